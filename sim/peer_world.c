/* sim/peer_world.c -- a story in four parts.
 *
 *   safety     users change things, faults happen; lost, phantom and twice are looked for all the time
 *   heal       no fault strikes any more, everybody comes back, nobody changes anything
 *   liveness   within options.liveness_ms all is acknowledged and saved, and all replicas are equal
 *   the end    the devices go, the server loses its power, and a newcomer finds everything
 *
 * The newcomer comes to a server that nobody could have helped: replicas bring back what a server lost, and would hide it. */
#include "sim/peer_world.h"

#include <stdio.h>
#include <string.h>

#include "sim/scenario.h"

#define LOOK_US (500u * SIM_MS)
#define NEWCOMER (PEER_DEVICES_MAX + 1)

const char *const peer_subject_names[PEER_SUBJECTS] = { [PEER_COUNT] = "crdt:count",
                                                        [PEER_LIST] = "crdt:list",
                                                        [PEER_DOC] = "doc:text",
                                                        [PEER_MEMORY] = "crdt:memory" };

/* ---- what a value tells ---- */

/* How often each change is there, by device and number. */
typedef struct sighting {
  uint8_t seen[PEER_DEVICES_MAX][PEER_CHANGES_MAX];
} sighting;

static peer_device *device_of(peer_world *self, uint64_t number) {
  if (number == 0 || number > self->device_count) return NULL;
  return &self->devices[number - 1];
}

static bool read_number(lk_slice *text, uint64_t *out) {
  size_t digits = 0;
  *out = 0;
  while (digits < text->len && digits < 9 && text->ptr[digits] >= '0' && text->ptr[digits] <= '9')
    *out = *out * 10 + (uint64_t)(text->ptr[digits++] - '0');
  *text = lk_slice_skip(*text, digits);
  return digits > 0;
}

/* "2.17" of a value. */
static bool note_one(peer_world *self, peer_subject subject, lk_slice name, sighting *out) {
  uint64_t number, change;
  if (!read_number(&name, &number) || name.len == 0 || name.ptr[0] != '.') return false;
  name = lk_slice_skip(name, 1);
  if (!read_number(&name, &change) || name.len > 0) return false;
  const peer_device *device = device_of(self, number);
  if (device == NULL || change >= device->ledgers[subject].count) return false;
  out->seen[number - 1][change]++;
  return true;
}

/* All strings of |json| that are not the name of the root. */
static void note_all(peer_world *self, const char *who, peer_subject subject, lk_slice json,
                     sighting *out) {
  lk_slice rest = json, name;
  memset(out, 0, sizeof *out);
  if (subject == PEER_DOC) (void)lk_slice_cut(json, '[', &rest);
  for (;;) {
    (void)lk_slice_cut(rest, '"', &rest);
    if (rest.len == 0) return;
    name = lk_slice_cut(rest, '"', &rest);
    if (!note_one(self, subject, name, out)) {
      sim_world_fail(self->world, "phantom: %s shows \"%.*s\" in %s, which nobody made", who,
                     (int)name.len, (const char *)name.ptr, peer_subject_names[subject]);
      return;
    }
  }
}

static bool must_be_there(const peer_change *c, bool is_own, peer_subject subject, peer_must must) {
  if (must == PEER_MUST_NOTHING || c->is_over) return false;
  if (must == PEER_MUST_SAVED) return is_own && c->is_saved && subject != PEER_MEMORY;
  return c->is_saved || c->is_acked;
}

static void check_sighting(peer_world *self, const peer_device *device, peer_subject subject,
                           peer_must must, const sighting *s) {
  for (uint32_t d = 0; d < self->device_count; d++) {
    const peer_ledger *ledger = &self->devices[d].ledgers[subject];
    for (uint32_t i = 0; i < ledger->count; i++) {
      bool is_own = &self->devices[d] == device;
      if (s->seen[d][i] > 1)
        sim_world_fail(self->world, "twice: %s shows %u.%u %u times in %s", device->node.name,
                       d + 1, i, s->seen[d][i], peer_subject_names[subject]);
      if (s->seen[d][i] == 0 && must_be_there(&ledger->changes[i], is_own, subject, must))
        sim_world_fail(self->world, "lost: %s does not show %u.%u in %s, which was %s",
                       device->node.name, d + 1, i, peer_subject_names[subject],
                       ledger->changes[i].is_acked ? "acknowledged" : "saved");
    }
  }
}

/* Those that must be counted, and those that may. */
static void check_count(peer_world *self, const peer_device *device, peer_must must,
                        uint64_t value) {
  uint64_t least = 0, most = 0;
  for (uint32_t d = 0; d < self->device_count; d++) {
    const peer_ledger *ledger = &self->devices[d].ledgers[PEER_COUNT];
    for (uint32_t i = 0; i < ledger->count; i++) {
      bool is_own = &self->devices[d] == device;
      least += must_be_there(&ledger->changes[i], is_own, PEER_COUNT, must);
      most++;
    }
  }
  if (value < least)
    sim_world_fail(self->world, "lost: %s counts %llu, and %llu are promised", device->node.name,
                   (unsigned long long)value, (unsigned long long)least);
  if (value > most)
    sim_world_fail(self->world, "twice: %s counts %llu, and there were %llu", device->node.name,
                   (unsigned long long)value, (unsigned long long)most);
}

void peer_world_check(peer_world *self, const peer_device *device, peer_subject subject,
                      peer_must must) {
  sighting s;
  lk_buf json;
  uint64_t value;
  lk_topic *topic = device->topics[subject];
  if (self->world->failed) return;
  self->checks++;
  lk_buf_init(&json, self->world->alloc, SIZE_MAX / 2);
  lk_err err = lk_topic_value(topic, LK_SLICE_EMPTY, &json);
  lk_slice text = lk_buf_slice(&json);
  if (err != LK_OK && err != LK_ERR_NOMEM) {
    sim_world_fail(self->world, "%s cannot read: %s", device->node.name, lk_err_name(err));
  } else if (err == LK_OK && subject == PEER_COUNT) {
    if (text.len > 0 && text.ptr[0] == '"') text = lk_slice_skip(text, 1);
    (void)read_number(&text, &value);
    check_count(self, device, must, value);
  } else if (err == LK_OK) {
    note_all(self, device->node.name, subject, text, &s);
    if (!self->world->failed) check_sighting(self, device, subject, must, &s);
  }
  lk_buf_deinit(&json);
}

/* ---- the nemesis's questions ---- */

static bool kill_rooms(void *ctx) {
  peer_world *self = ctx;
  return peer_server_kill_rooms(&self->server);
}

/* ---- making and ending ---- */

static void init(peer_world *self, sim_world *world) {
  self->world = world;
  sim_net_init(&self->net, world);
  sim_nemesis_init(&self->nemesis, world, &self->net);
  self->nemesis.ctx = self;
  self->nemesis.kill_rooms = kill_rooms;
  peer_server_init(&self->server, self);
  sim_nemesis_add(&self->nemesis, &self->server.node, &self->server.disk, true);
  self->device_count = lk_min_u32(lk_max_u32(world->options->peers, 2), PEER_DEVICES_MAX);
  for (uint32_t i = 0; i < self->device_count; i++) {
    peer_device_init(&self->devices[i], self, i + 1, true);
    sim_nemesis_add(&self->nemesis, &self->devices[i].node, &self->devices[i].disk, true);
  }
  peer_device_init(&self->newcomer, self, NEWCOMER, false);
}

static void start(peer_world *self) {
  sim_node_start(&self->server.node);
  for (uint32_t i = 0; i < self->device_count; i++) sim_node_start(&self->devices[i].node);
  sim_nemesis_begin(&self->nemesis);
}

static void deinit(peer_world *self) {
  sim_nemesis_deinit(&self->nemesis);
  for (uint32_t i = 0; i < self->device_count; i++) peer_device_deinit(&self->devices[i]);
  peer_device_deinit(&self->newcomer);
  peer_server_deinit(&self->server);
  sim_net_deinit(&self->net);
}

/* ---- peace ---- */

/* What it holds. A root that somebody asked for and nobody filled is shown, and one that nobody asked for is not. */
static lk_slice content_of(lk_slice json, peer_subject subject) {
  lk_slice content = json;
  if (subject == PEER_DOC) (void)lk_slice_cut(json, '[', &content);
  return lk_slice_equal(content, LK_LIT("]}")) ? LK_SLICE_EMPTY : content;
}

static bool is_same(peer_world *self, const peer_device *a, const peer_device *b,
                    peer_subject subject) {
  lk_buf x, y;
  lk_buf_init(&x, self->world->alloc, SIZE_MAX / 2);
  lk_buf_init(&y, self->world->alloc, SIZE_MAX / 2);
  bool same = lk_topic_value(a->topics[subject], LK_SLICE_EMPTY, &x) == LK_OK &&
              lk_topic_value(b->topics[subject], LK_SLICE_EMPTY, &y) == LK_OK &&
              lk_slice_equal(content_of(lk_buf_slice(&x), subject),
                             content_of(lk_buf_slice(&y), subject));
  lk_buf_deinit(&x);
  lk_buf_deinit(&y);
  return same;
}

/* What keeps the world from being settled, or NULL. */
static const char *unsettled(peer_world *self) {
  for (uint32_t i = 0; i < self->device_count; i++) {
    const char *why = peer_device_unsettled(&self->devices[i]);
    if (why != NULL) return why;
    for (int s = 0; s < PEER_SUBJECTS; s++) {
      if (!is_same(self, &self->devices[0], &self->devices[i], (peer_subject)s))
        return "replicas differ";
    }
  }
  return NULL;
}

static void say_overdue(peer_world *self, const char *what) {
  sim_world_fail(self->world, "overdue: %s", what);
  for (uint32_t i = 0; i < self->device_count; i++) {
    for (int s = 0; s < PEER_SUBJECTS; s++) {
      const peer_device *d = &self->devices[i];
      if (d->topics[s] == NULL) continue;
      sim_world_note(self->world, d->node.name, "overdue", (uint64_t)s, d->topics[s]->channel.state,
                     lk_peer_channel_reason(&d->topics[s]->channel));
    }
  }
}

static void wait_until_settled(peer_world *self) {
  uint64_t until = self->world->now_us + self->world->options->liveness_ms * SIM_MS;
  const char *why;
  while ((why = unsettled(self)) != NULL && !self->world->failed) {
    if (self->world->now_us >= until) {
      say_overdue(self, why);
      return;
    }
    sim_world_run(self->world, self->world->now_us + LOOK_US);
  }
}

static void heal(peer_world *self) {
  sim_nemesis_heal(&self->nemesis);
  for (uint32_t i = 0; i < self->device_count; i++) peer_device_rest(&self->devices[i]);
}

static void check_all(peer_world *self, const peer_device *device) {
  for (int s = 0; s < PEER_SUBJECTS && !self->world->failed; s++)
    peer_world_check(self, device, (peer_subject)s, PEER_MUST_ALL);
}

/* What the devices have on their disks is what they showed. */
static void restart_devices(peer_world *self) {
  for (uint32_t i = 0; i < self->device_count; i++) {
    peer_device *d = &self->devices[i];
    sim_disk_cut(&d->disk);
    sim_node_stop(&d->node);
    sim_net_forget(&self->net, &d->node);
    sim_node_start(&d->node);
  }
}

static void stop_devices(peer_world *self) {
  for (uint32_t i = 0; i < self->device_count; i++) {
    peer_device *d = &self->devices[i];
    sim_disk_kill(&d->disk);
    sim_node_stop(&d->node);
    sim_net_forget(&self->net, &d->node);
  }
}

static const char *newcomer_unsettled(peer_world *self) {
  return peer_device_unsettled(&self->newcomer);
}

static void meet_newcomer(peer_world *self) {
  uint64_t until = self->world->now_us + self->world->options->liveness_ms * SIM_MS;
  sim_nemesis_crash(&self->nemesis, &self->nemesis.targets[0], true);
  sim_nemesis_heal(&self->nemesis);
  sim_node_start(&self->newcomer.node);
  while (newcomer_unsettled(self) != NULL && !self->world->failed) {
    if (self->world->now_us >= until) {
      say_overdue(self, newcomer_unsettled(self));
      return;
    }
    sim_world_run(self->world, self->world->now_us + LOOK_US);
  }
  /* A document's content comes behind the answer to the join. */
  sim_world_run(self->world, self->world->now_us + 10 * LOOK_US);
  if (!self->world->failed) check_all(self, &self->newcomer);
}

static void check_the_end(peer_world *self) {
  for (uint32_t i = 0; i < self->device_count; i++) check_all(self, &self->devices[i]);
  if (!self->world->failed) restart_devices(self);
  if (!self->world->failed) wait_until_settled(self);
  if (self->world->failed) return;
  stop_devices(self);
  meet_newcomer(self);
  sim_world_note(self->world, "world", "end", self->changes, self->checks, LK_SLICE_EMPTY);
}

void sim_peer_run(sim_world *world, sim_result *result) {
  peer_world *self = lk_alloc_bytes(world->alloc, sizeof *self);
  LK_ASSERT(self != NULL);
  memset(self, 0, sizeof *self);
  init(self, world);
  start(self);
  sim_world_run(world, world->options->safety_ms * SIM_MS);
  if (!world->failed) heal(self);
  if (!world->failed) wait_until_settled(self);
  if (!world->failed) check_the_end(self);
  result->changes = self->changes;
  result->messages = self->net.delivered;
  result->checks = self->checks;
  deinit(self);
  lk_free_bytes(world->alloc, self, sizeof *self);
}
