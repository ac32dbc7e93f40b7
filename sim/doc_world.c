/* sim/doc_world.c -- a story in six parts.
 *
 *   safety     users write, faults happen; lost, twice, phantom and forbidden are looked for all the time
 *   heal       no fault strikes any more, everybody comes back, nobody writes; who has what it may not say drops it
 *   liveness   within options.liveness_ms all is acknowledged, and all replicas and what the server keeps read the same
 *   leaving    some leave the durable document, all leave the one of level memory; time passes
 *   newcomers  see the text, and nobody who has left; the topic of level memory is erased and begins anew
 *   the end    the plug is pulled once more, and everything durable is still there
 *
 * What the server has is read from its disk and its memory, as a restart would find it. While it runs, what was
 * acknowledged must be there already: that is looked at now and then, since reading a document costs more than a step. */
#include "sim/doc_world.h"

#include "sim/recovery.h"
#include "sim/scenario.h"

#define LOOK_US (500u * SIM_MS)
#define LOOK_GAP_US (3000u * SIM_MS) /* between two looks at what was acknowledged */
#define KILLS_PER_LOOK 8
#define LEAVING_US (90000u * SIM_MS)
#define NEWCOMERS_US (120000u * SIM_MS)

lk_slice doc_topic(uint32_t topic) {
  return topic == DOC_KEPT ? LK_LIT("doc:kept") : LK_LIT("doc:brief");
}

static const char *const topic_names[DOC_TOPICS] = { "doc:kept", "doc:brief" };

static sim_node *server_node(doc_world *self) { return &self->server.node; }

/* ---- what the server has ---- */

static void recover(doc_world *self, uint32_t topic, sim_view view, doc_kept *out) {
  doc_kept_init(out, self);
  lk_err err = doc_server_recover(&self->server, topic, view, out);
  if (err != LK_OK)
    sim_world_fail(self->world, "lost: the server cannot recover %s: %s", topic_names[topic],
                   lk_err_name(err));
}

static void check_topic(doc_world *self, uint32_t topic, sim_view view) {
  lk_buf text;
  doc_kept kept;
  recover(self, topic, view, &kept);
  lk_buf_init(&text, self->world->alloc, SIZE_MAX / 2);
  doc_write_text(kept.doc, &text);
  doc_ledger_check(&self->ledgers[topic], "the server", lk_buf_slice(&text));
  if (topic == DOC_KEPT && !self->world->failed) doc_shelf_check(&self->shelf, &kept, self);
  lk_buf_deinit(&text);
  doc_kept_deinit(&kept);
}

void doc_world_check_server(doc_world *self, sim_view view) {
  for (uint32_t i = 0; i < DOC_TOPICS && !self->world->failed; i++) check_topic(self, i, view);
}

void doc_world_check_promise(doc_world *self) {
  if (self->world->failed || self->world->now_us < self->look_at_us) return;
  self->look_at_us = self->world->now_us + 1 + lk_prng_below(&self->prng, 2 * LOOK_GAP_US);
  doc_world_check_server(self, SIM_VIEW_MEDIUM);
}

/* ---- the nemesis's questions ---- */

static void crashed(void *ctx, sim_node *node) {
  doc_world *self = ctx;
  if (node == server_node(self)) doc_world_check_server(self, SIM_VIEW_CACHED);
}

static bool rot(void *ctx, lk_prng *prng) {
  doc_world *self = ctx;
  (void)prng;
  return sim_rot_slot(&self->server.disk, doc_topic(DOC_KEPT));
}

static bool kill_rooms(void *ctx) {
  doc_world *self = ctx;
  if (!doc_server_kill_rooms(&self->server)) return false;
  if (lk_prng_chance(&self->prng, 1, KILLS_PER_LOOK)) doc_world_check_server(self, SIM_VIEW_CACHED);
  return true;
}

static bool kill_edge(void *ctx) {
  doc_world *self = ctx;
  return doc_server_kill_edge(&self->server);
}

static void fill_memory(void *ctx, uint64_t until_us) {
  doc_world *self = ctx;
  doc_server_fill_memory(&self->server, until_us);
}

/* ---- making and ending ---- */

static doc_user *add_user(doc_world *self, uint32_t topic, doc_wire wire, bool may_write) {
  doc_user *user = &self->users[self->user_count];
  doc_user_init(user, self, self->user_count++, topic, wire, may_write);
  return user;
}

/* The first two may write, so that each document has one who does. */
static void draw_user(doc_world *self) {
  uint32_t number = self->user_count;
  doc_wire wire = (doc_wire)lk_prng_below(&self->prng, 4);
  uint32_t topic = lk_prng_chance(&self->prng, 2, 3) ? DOC_KEPT : DOC_BRIEF;
  bool may_write = lk_prng_chance(&self->prng, 4, 5);
  if (number < 2) topic = number;
  bool may_delete = lk_prng_chance(&self->prng, 1, 2);
  doc_user *user = add_user(self, topic, wire, may_write || number < 2);
  user->may_delete = user->may_write && may_delete;
  sim_nemesis_add(&self->nemesis, &user->node, NULL, false);
}

static void init_ledgers(doc_world *self) {
  self->shelf.ledger = &self->ledgers[DOC_KEPT];
  for (uint32_t i = 0; i < DOC_TOPICS; i++) {
    self->ledgers[i].world = self->world;
    self->ledgers[i].topic = topic_names[i];
  }
}

static void init(doc_world *self, sim_world *world) {
  const sim_options *o = world->options;
  self->world = world;
  self->env = (lk_env)LK_ENV_INIT(world->alloc, NULL);
  lk_prng_split(&world->root, SIM_STREAM_NODE + SIM_NODES_MAX, &self->prng);
  sim_net_init(&self->net, world);
  sim_nemesis_init(&self->nemesis, world, &self->net);
  self->nemesis.ctx = self;
  self->nemesis.crashed = crashed;
  self->nemesis.rot = rot;
  self->nemesis.kill_rooms = kill_rooms;
  self->nemesis.kill_edge = kill_edge;
  self->nemesis.fill_memory = fill_memory;
  init_ledgers(self);
  doc_server_init(&self->server, self);
  sim_nemesis_add(&self->nemesis, server_node(self), &self->server.disk, true);
  for (uint32_t i = 0; i < o->peers + o->plains; i++) draw_user(self);
}

static void start(doc_world *self) {
  sim_node_start(server_node(self));
  for (uint32_t i = 0; i < self->user_count; i++) sim_node_start(&self->users[i].node);
  sim_nemesis_begin(&self->nemesis);
}

static void deinit(doc_world *self) {
  sim_nemesis_deinit(&self->nemesis);
  for (uint32_t i = 0; i < self->user_count; i++) doc_user_deinit(&self->users[i]);
  doc_server_deinit(&self->server);
  sim_net_deinit(&self->net);
}

/* ---- peace ---- */

static void heal(doc_world *self) {
  sim_nemesis_heal(&self->nemesis);
  for (uint32_t i = 0; i < self->user_count; i++) doc_user_rest(&self->users[i]);
}

/* Of a reader that has tidied up the formatting for itself, only the text counts. */
static bool reads_like(doc_world *self, const doc_user *user, lk_doc *doc) {
  lk_buf mine, theirs;
  lk_buf_init(&mine, self->world->alloc, SIZE_MAX / 2);
  lk_buf_init(&theirs, self->world->alloc, SIZE_MAX / 2);
  void (*write)(lk_doc *, lk_buf *) = user->has_tidied ? doc_write_text : doc_write_state;
  write(user->doc, &mine);
  write(doc, &theirs);
  bool same = lk_slice_equal(lk_buf_slice(&mine), lk_buf_slice(&theirs));
  lk_buf_deinit(&mine);
  lk_buf_deinit(&theirs);
  return same;
}

static bool topic_is_settled(doc_world *self, uint32_t topic) {
  doc_kept kept;
  bool is_settled = true;
  recover(self, topic, SIM_VIEW_CACHED, &kept);
  for (uint32_t i = 0; i < self->user_count && is_settled; i++) {
    const doc_user *user = &self->users[i];
    if (user->topic == topic && user->node.is_up) is_settled = reads_like(self, user, kept.doc);
  }
  doc_kept_deinit(&kept);
  return is_settled;
}

/* What keeps the world from being settled, or NULL. */
static const char *unsettled(doc_world *self) {
  for (uint32_t i = 0; i < self->user_count; i++) {
    const doc_user *user = &self->users[i];
    if (user->node.is_up && !doc_user_is_settled(user)) return doc_user_waits_for(user);
  }
  for (uint32_t i = 0; i < DOC_TOPICS; i++) {
    if (!topic_is_settled(self, i)) return "replicas read otherwise than the server";
  }
  return NULL;
}

static void wait_until_settled(doc_world *self) {
  uint64_t until = self->world->now_us + self->world->options->liveness_ms * SIM_MS;
  const char *why;
  while ((why = unsettled(self)) != NULL && !self->world->failed) {
    if (self->world->now_us >= until) {
      sim_world_fail(self->world, "overdue: %s", why);
      return;
    }
    sim_world_run(self->world, self->world->now_us + LOOK_US);
  }
}

static void check_complete(doc_world *self, uint32_t topic, const char *who) {
  lk_buf text;
  doc_kept kept;
  recover(self, topic, SIM_VIEW_CACHED, &kept);
  lk_buf_init(&text, self->world->alloc, SIZE_MAX / 2);
  doc_write_text(kept.doc, &text);
  doc_ledger_check_complete(&self->ledgers[topic], who, lk_buf_slice(&text));
  if (topic == DOC_KEPT && !self->world->failed) doc_shelf_check(&self->shelf, &kept, self);
  sim_world_note(self->world, "world", "text", topic, text.len, LK_SLICE_EMPTY);
  lk_buf_deinit(&text);
  doc_kept_deinit(&kept);
}

static void check_all(doc_world *self) {
  for (uint32_t i = 0; i < DOC_TOPICS && !self->world->failed; i++)
    check_complete(self, i, "the server");
}

/* ---- leaving, and newcomers ---- */

/* Of the durable document every second one goes. */
static void leave(doc_world *self) {
  uint32_t left = 0;
  for (uint32_t i = 0; i < self->user_count; i++) {
    doc_user *user = &self->users[i];
    if (user->topic == DOC_BRIEF || left++ % 2 == 1) doc_user_leave(user);
  }
  sim_world_run(self->world,
                self->world->now_us + LEAVING_US + 2 * self->server.idle[0].idle_ms * SIM_MS);
}

static bool is_of_somebody(const doc_world *self, uint64_t client) {
  for (uint32_t i = 0; i < self->user_count; i++) {
    const doc_user *user = &self->users[i];
    if (user->topic == DOC_KEPT && user->node.is_up && lk_doc_client(user->doc) == client)
      return true;
  }
  return false;
}

/* Who came last knows only from the server who is there. */
static void check_awareness(doc_world *self, const doc_user *newcomer) {
  uint32_t cursor = 0;
  uint64_t client;
  lk_slice state;
  while (lk_awareness_next(newcomer->here, &cursor, &client, &state)) {
    if (!is_of_somebody(self, client))
      sim_world_fail(self->world, "ghost: client %llu has left and is still shown",
                     (unsigned long long)client);
  }
  for (uint32_t i = 0; i < self->user_count; i++) {
    const doc_user *user = &self->users[i];
    if (user->topic != DOC_KEPT || !user->node.is_up) continue;
    if (!lk_awareness_get(newcomer->here, lk_doc_client(user->doc), &state))
      sim_world_fail(self->world, "hidden: %s is there and is not shown", user->node.name);
  }
}

static void check_began_anew(doc_world *self, const doc_user *newcomer) {
  for (uint32_t i = 0; i < self->user_count; i++) {
    const doc_user *user = &self->users[i];
    if (user == newcomer || user->topic != DOC_BRIEF) continue;
    if (lk_slice_equal(lk_slice_cstr(user->generation), lk_slice_cstr(newcomer->generation)))
      sim_world_fail(self->world, "undead: an erased topic has the generation of before");
  }
  if (lk_doc_node_length(newcomer->doc, newcomer->text) > 0 ||
      lk_doc_map_count(newcomer->doc, newcomer->map) > 0)
    sim_world_fail(self->world, "undead: an erased topic has content");
}

static void meet_newcomers(doc_world *self) {
  if (sim_memory_has(&self->server.memory, doc_topic(DOC_BRIEF)))
    sim_world_fail(self->world, "undead: an idle topic of level memory is still kept");
  doc_user *first = add_user(self, DOC_KEPT, DOC_WIRE_ARRAY, false);
  doc_user *second = add_user(self, DOC_BRIEF, DOC_WIRE_BASE64, false);
  doc_user_rest(first);
  doc_user_rest(second);
  sim_world_run(self->world, self->world->now_us + NEWCOMERS_US);
  if (!self->world->failed) wait_until_settled(self);
  if (self->world->failed) return;
  check_awareness(self, first);
  check_began_anew(self, second);
}

/* The plug is pulled: what was durable is all there. */
static void check_the_end(doc_world *self) {
  sim_nemesis_crash(&self->nemesis, &self->nemesis.targets[0], true);
  check_complete(self, DOC_KEPT, "the disk");
}

static void tell(doc_world *self) {
  sim_world_run(self->world, self->world->options->safety_ms * SIM_MS);
  if (!self->world->failed) heal(self);
  if (!self->world->failed) wait_until_settled(self);
  if (!self->world->failed) check_all(self);
  if (!self->world->failed) leave(self);
  if (!self->world->failed) meet_newcomers(self);
  if (!self->world->failed) check_the_end(self);
}

void sim_doc_run(sim_world *world, sim_result *result) {
  doc_world *self = lk_alloc_bytes(world->alloc, sizeof *self);
  LK_ASSERT(self != NULL);
  memset(self, 0, sizeof *self);
  init(self, world);
  start(self);
  tell(self);
  result->changes = self->changes;
  result->messages = self->net.delivered;
  for (uint32_t i = 0; i < DOC_TOPICS; i++) result->checks += self->ledgers[i].checks;
  deinit(self);
  lk_free_bytes(world->alloc, self, sizeof *self);
}
