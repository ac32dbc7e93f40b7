/* room/hub.c -- who is connected, which rooms are open, and what their journals are doing.
 *
 * A topic has an entry from the first join until its room has been idle for a while:
 *
 *            first join                    both slots read, kind->open
 *   (none) ────────────> LOADING ─────────────────────────────────────> OPEN
 *                           │ storage error: joins refused                │ idle, STOP, step failed
 *                           v                                             v
 *                        CLOSING <───────────────────────────────────────┘
 *                           │ files closed; joins came meanwhile: LOADING again, else GONE
 *
 * Each entry has one storage operation under way at most, and |phase| says which. Loading reads
 * the two slots of log/slot.h; a JOURNAL effect writes the next one and syncs it:
 *
 *   LOAD_OPEN ─ LOAD_SIZE ─ LOAD_READ (slot 0, then slot 1)     no such file: an empty slot
 *   LOAD_WRITE ─ LOAD_SYNC (the newer one)                      then the room opens
 *   KEEP_OPEN ─ KEEP_WRITE ─ KEEP_SYNC                          then JOURNALED to the room
 *   CLOSE (slot 0, then slot 1)
 *
 * Why loading writes: what a read gives may stand in a cache only, put there by a process that died
 * before its sync or by a sync that failed, after which the cache looks clean. Shown to members it
 * would be a promise; worse, the next journal would replace the other slot, which is the one that
 * is safe. So the newer slot is written once more, the same bytes in the same place, and synced
 * before anybody hears of it. Tearing that write changes nothing: it replaces bytes with themselves.
 *
 * A member is (connection, channel) in one number, so that the way back from an effect to a
 * session needs no table. Members of a room stand in a map in order of joining; a broadcast is
 * encoded once and goes out in that order.
 *
 * An entry that is done with leaves the map at once, so that a new join makes a new one, but its
 * memory goes only when the public call that was running ends: whatever called it may still look.
 *
 * Nothing is sent from here: sessions collect output, connections with output or with an end
 * stand on |ready|, and the host polls.
 *
 * Always: io_count is the number of entries whose operation is under way; an entry in LOADING or
 * CLOSING has no room; waiting joins exist only there. */
#include "room/hub.h"

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "channel/session.h"
#include "codec/hex.h"
#include "crypto/sha256.h"
#include "log/slot.h"

#define ROOM_IDLE_MS 30000
#define CHANNEL_BITS 24
#define SLOT_NAME_LEN (2 * LK_SHA256_LEN + 2)

typedef struct connection {
  uint64_t number;
  lk_session session;
  lk_link ready_link;
  bool is_ready;
  bool is_closing; /* a CLOSE is due, or was given out: nothing more is taken or sent */
  bool told;       /* the CLOSE was given out */
  lk_err reason;
} connection;

typedef enum phase {
  PHASE_REST,
  PHASE_LOAD_OPEN,
  PHASE_LOAD_SIZE,
  PHASE_LOAD_READ,
  PHASE_LOAD_WRITE,
  PHASE_LOAD_SYNC,
  PHASE_KEEP_OPEN,
  PHASE_KEEP_WRITE,
  PHASE_KEEP_SYNC,
  PHASE_CLOSE,
} phase;

typedef enum entry_state { ENTRY_LOADING, ENTRY_OPEN, ENTRY_CLOSING, ENTRY_GONE } entry_state;

/* A join that came while the room was not there. */
typedef struct waiting_join {
  lk_link link;
  uint64_t member;
  uint32_t ref_len;
  uint32_t payload_len;
  bool has_ref;
  uint8_t bytes[]; /* ref, then payload */
} waiting_join;

typedef struct entry entry;

typedef struct entry_timer {
  lk_heap_item item;
  entry *entry;
} entry_timer;

struct entry {
  lk_hub *hub;
  lk_link gone_link;
  const lk_room_kind *kind;
  lk_room *room;           /* ENTRY_OPEN */
  entry_state state;
  phase phase;
  unsigned slot;           /* which of the two the phase is about */
  lk_io io;
  bool io_under_way;
  bool has_file[2];
  lk_file files[2];
  lk_buf slots[2];         /* while loading: what they hold */
  lk_buf keep;             /* while a journal is under way: what is being written */
  uint64_t keep_number;    /* of the newest slot that was written or read */
  uint64_t ticket;
  lk_list joins;
  lk_map members;          /* member, 8 bytes big endian -> nothing */
  entry_timer idle;        /* no members for ROOM_IDLE_MS: put the room away */
  entry_timer timer;       /* the room's own */
  uint8_t names[2][SLOT_NAME_LEN];
  uint32_t topic_len;
  uint8_t topic[];         /* |topic_len| bytes */
};

struct lk_hub {
  const lk_env *env;
  const lk_limits *limits;
  lk_storage *storage;
  lk_prng ids;             /* what inputs call entropy, and hash seeds */
  lk_map connections;      /* number, 8 bytes big endian -> connection * */
  lk_map entries;          /* topic -> entry * */
  lk_heap timers;          /* entries' idle and timer items */
  lk_list ready;           /* connections with something for the host */
  lk_list gone;            /* entries to free when the running call ends */
  lk_buf message;          /* one broadcast, encoded */
  uint64_t connection_next;
  uint64_t io_count;
  uint64_t now_ms;
  lk_hub_stats stats;
};

/* ---- small keys ---- */

static lk_slice key_of(uint64_t number, uint8_t bytes[8]) {
  lk_store_be64(bytes, number);
  return lk_slice_of(bytes, 8);
}

static uint64_t member_of(uint64_t number, uint32_t channel) { return number << CHANNEL_BITS | channel; }
static uint64_t member_connection(uint64_t member) { return member >> CHANNEL_BITS; }
static uint32_t member_channel(uint64_t member) {
  return (uint32_t)(member & ((1u << CHANNEL_BITS) - 1));
}

static lk_slice entry_topic(const entry *e) { return lk_slice_of(e->topic, e->topic_len); }

static void draw_seed(lk_hub *self, uint64_t seed[2]) {
  seed[0] = lk_prng_u64(&self->ids);
  seed[1] = lk_prng_u64(&self->ids);
}

/* ---- connections ---- */

static connection *find_connection(const lk_hub *self, uint64_t number) {
  uint8_t bytes[8];
  connection **at = lk_map_get(&self->connections, key_of(number, bytes));
  return at == NULL ? NULL : *at;
}

static void make_ready(lk_hub *self, connection *c) {
  if (c->is_ready) return;
  c->is_ready = true;
  lk_list_push_last(&self->ready, &c->ready_link);
}

/* What could not be put into its output ends the connection: a gap in what it was told would be
 * worse than a new start. */
static void after_send(lk_hub *self, connection *c, lk_err err) {
  if (err != LK_OK && !c->is_closing) {
    c->is_closing = true;
    c->reason = err;
  }
  make_ready(self, c);
}

lk_err lk_hub_connect(lk_hub *self, uint64_t *number) {
  uint8_t bytes[8];
  uint64_t seed[2];
  void *slot;
  bool is_new;
  connection *c = lk_alloc_bytes(self->env->alloc, sizeof *c);
  if (c == NULL) return LK_ERR_NOMEM;
  *c = (connection){ .number = self->connection_next };
  lk_err err = lk_map_put(&self->connections, key_of(c->number, bytes), &slot, &is_new);
  if (err != LK_OK) {
    lk_free_bytes(self->env->alloc, c, sizeof *c);
    return err;
  }
  draw_seed(self, seed);
  lk_session_init(&c->session, self->env->alloc, self->limits, seed);
  *(connection **)slot = c;
  self->connection_next++;
  *number = c->number;
  return LK_OK;
}

static void free_connection(lk_hub *self, connection *c) {
  if (c->is_ready) lk_list_remove(&self->ready, &c->ready_link);
  lk_session_deinit(&c->session);
  lk_free_bytes(self->env->alloc, c, sizeof *c);
}

/* ---- storage ---- */

static void submit(entry *e, phase next, lk_io io) {
  LK_ASSERT(!e->io_under_way);
  e->phase = next;
  e->io = io;
  e->io.user = e;
  e->io_under_way = true;
  e->hub->io_count++;
  e->hub->storage->submit(e->hub->storage, &e->io);
}

static lk_slice slot_name(const entry *e, unsigned slot) {
  return lk_slice_of(e->names[slot], SLOT_NAME_LEN);
}

/* Topics are strangers' text: their names as files are digests. */
static void make_names(entry *e) {
  lk_sha256 hash;
  uint8_t digest[LK_SHA256_LEN];
  lk_sha256_init(&hash);
  lk_sha256_update(&hash, entry_topic(e));
  lk_sha256_final(&hash, digest);
  for (unsigned slot = 0; slot < 2; slot++) {
    lk_hex_store(e->names[slot], lk_slice_of(digest, sizeof digest));
    e->names[slot][SLOT_NAME_LEN - 2] = '.';
    e->names[slot][SLOT_NAME_LEN - 1] = (uint8_t)('0' + slot);
  }
}

static void load_slot(entry *e, unsigned slot) {
  e->slot = slot;
  submit(e, PHASE_LOAD_OPEN, (lk_io){ .kind = LK_IO_OPEN, .name = slot_name(e, slot) });
}

static void begin_loading(entry *e) {
  LK_ASSERT(e->room == NULL && !e->has_file[0] && !e->has_file[1]);
  e->state = ENTRY_LOADING;
  for (unsigned slot = 0; slot < 2; slot++) lk_buf_truncate(&e->slots[slot], 0);
  load_slot(e, 0);
}

/* ---- entries ---- */

static void stop_timer(lk_hub *hub, entry_timer *timer) {
  if (timer->item.place != LK_HEAP_OUT) lk_heap_remove(&hub->timers, &timer->item);
}

static void stop_timers(entry *e) {
  stop_timer(e->hub, &e->idle);
  stop_timer(e->hub, &e->timer);
}

static void free_join(entry *e, waiting_join *j) {
  lk_free_bytes(e->hub->env->alloc, j, sizeof *j + j->ref_len + j->payload_len);
}

static void free_entry(entry *e) {
  lk_hub *hub = e->hub;
  if (e->room != NULL) e->kind->close(e->room);
  stop_timers(e);
  for (lk_link *at; (at = lk_list_pop_first(&e->joins)) != NULL;) {
    free_join(e, LK_CONTAINER(at, waiting_join, link));
  }
  lk_map_deinit(&e->members);
  for (unsigned slot = 0; slot < 2; slot++) lk_buf_deinit(&e->slots[slot]);
  lk_buf_deinit(&e->keep);
  lk_free_bytes(hub->env->alloc, e, sizeof *e + e->topic_len);
}

static lk_err make_entry(lk_hub *self, lk_slice topic, const lk_room_kind *kind, entry **out) {
  uint64_t seed[2];
  void *slot;
  bool is_new;
  const lk_alloc *alloc = self->env->alloc;
  entry *e = lk_alloc_bytes(alloc, sizeof *e + topic.len);
  if (e == NULL) return LK_ERR_NOMEM;
  lk_err err = lk_map_put(&self->entries, topic, &slot, &is_new);
  if (err != LK_OK) {
    lk_free_bytes(alloc, e, sizeof *e + topic.len);
    return err;
  }
  *e = (entry){ .hub = self, .kind = kind, .idle = { LK_HEAP_ITEM_INIT, e }, .timer = { LK_HEAP_ITEM_INIT, e } };
  e->topic_len = (uint32_t)topic.len; /* the session bounds names */
  memcpy(e->topic, topic.ptr, topic.len);
  size_t slot_len_max = (size_t)self->limits->crdt_state_bytes + LK_SLOT_HEADER_LEN;
  for (unsigned i = 0; i < 2; i++) lk_buf_init(&e->slots[i], alloc, slot_len_max);
  lk_buf_init(&e->keep, alloc, slot_len_max);
  draw_seed(self, seed);
  lk_map_init(&e->members, alloc, 0, self->limits->room_members_count, seed);
  make_names(e);
  *(entry **)slot = e;
  *out = e;
  return LK_OK;
}

static entry *find_entry(const lk_hub *self, lk_slice topic) {
  entry **at = lk_map_get(&self->entries, topic);
  return at == NULL ? NULL : *at;
}

/* An open room without members is put away after a while. */
static void watch_idle(entry *e) {
  lk_heap *timers = &e->hub->timers;
  bool is_idle = e->state == ENTRY_OPEN && lk_map_count(&e->members) == 0;
  if (!is_idle) {
    stop_timer(e->hub, &e->idle);
  } else if (e->idle.item.place == LK_HEAP_OUT) {
    /* Without memory for the timer the room stays until the next member leaves. */
    (void)!lk_heap_push(timers, &e->idle.item, e->hub->now_ms + ROOM_IDLE_MS);
  }
}

static void close_next_file(entry *e) {
  for (unsigned slot = 0; slot < 2; slot++) {
    if (!e->has_file[slot]) continue;
    e->has_file[slot] = false;
    submit(e, PHASE_CLOSE, (lk_io){ .kind = LK_IO_CLOSE, .file = e->files[slot] });
    return;
  }
  e->phase = PHASE_REST;
  if (e->joins.count > 0) {
    LK_COVERED(hub_room_opened_again_after_a_drop);
    begin_loading(e);
    return;
  }
  e->state = ENTRY_GONE;
  (void)lk_map_remove(&e->hub->entries, entry_topic(e));
  lk_list_push_last(&e->hub->gone, &e->gone_link);
}

static void sweep(lk_hub *self) {
  for (lk_link *at; (at = lk_list_pop_first(&self->gone)) != NULL;) {
    free_entry(LK_CONTAINER(at, entry, gone_link));
  }
}

/* The room goes; its members are told why, so that they come back. Where an operation is under
 * way, its completion goes on from here. */
static void entry_drop(entry *e, lk_err why) {
  lk_hub *hub = e->hub;
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  lk_trace_emit(hub->env, LK_TRACE_room_stopped, (uint64_t)why, 0, entry_topic(e));
  if (e->room != NULL) e->kind->close(e->room);
  e->room = NULL;
  e->state = ENTRY_CLOSING;
  if (why != LK_OK) hub->stats.rooms_dropped++;
  while (lk_map_next(&e->members, &cursor, &key, &value)) {
    uint64_t member = lk_load_be64(key.ptr);
    connection *c = find_connection(hub, member_connection(member));
    LK_ASSERT(c != NULL);
    after_send(hub, c, lk_session_crash(&c->session, entry_topic(e), member_channel(member),
                                        LK_LIT("storage")));
    (void)lk_map_remove(&e->members, key);
  }
  stop_timers(e);
  if (!e->io_under_way) close_next_file(e);
}

/* ---- what a room wants done ---- */

static lk_err step_room(entry *e, lk_room_input input) {
  input.now_ms = e->hub->now_ms;
  input.entropy = lk_prng_u64(&e->hub->ids);
  return e->kind->step(e->room, &input);
}

static lk_err add_member(entry *e, uint64_t member) {
  uint8_t bytes[8];
  void *value;
  bool is_new;
  return lk_map_put(&e->members, key_of(member, bytes), &value, &is_new);
}

static void do_accept(entry *e, connection *c, const lk_room_effect *effect) {
  uint32_t channel = member_channel(effect->member);
  if (!lk_session_has(&c->session, entry_topic(e), channel)) return; /* left meanwhile */
  lk_err err = add_member(e, effect->member);
  if (err == LK_OK) {
    err = lk_session_accept(&c->session, entry_topic(e), channel, effect->ref, effect->payload);
    lk_trace_emit(e->hub->env, LK_TRACE_room_joined, effect->member, lk_map_count(&e->members),
                  entry_topic(e));
  } else {
    err = lk_session_refuse(&c->session, entry_topic(e), channel, effect->ref,
                            LK_LIT("{\"reason\":\"room full\"}"));
  }
  after_send(e->hub, c, err);
}

static void do_answer(entry *e, const lk_room_effect *effect) {
  connection *c = find_connection(e->hub, member_connection(effect->member));
  uint32_t channel = member_channel(effect->member);
  lk_slice topic = entry_topic(e);
  if (c == NULL || c->is_closing) return;
  switch (effect->kind) {
  case LK_ROOM_ACCEPT: do_accept(e, c, effect); break;
  case LK_ROOM_REFUSE:
    after_send(e->hub, c, lk_session_refuse(&c->session, topic, channel, effect->ref, effect->payload));
    break;
  case LK_ROOM_REPLY:
    after_send(e->hub, c, lk_session_reply(&c->session, topic, channel, effect->ref,
                                           effect->ok ? LK_LIT("ok") : LK_LIT("error"),
                                           effect->payload));
    break;
  case LK_ROOM_PUSH:
    after_send(e->hub, c, lk_session_push(&c->session, topic, channel, effect->event, effect->payload));
    break;
  case LK_ROOM_BROADCAST:
  case LK_ROOM_JOURNAL:
  case LK_ROOM_TIMER:
  case LK_ROOM_STOP: LK_UNREACHABLE();
  }
}

static void do_broadcast(entry *e, const lk_room_effect *effect) {
  lk_hub *hub = e->hub;
  lk_message message = { .topic = entry_topic(e), .event = effect->event, .payload = effect->payload };
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  lk_buf_truncate(&hub->message, 0);
  lk_err err = lk_message_encode_text(&message, &hub->message);
  while (lk_map_next(&e->members, &cursor, &key, &value)) {
    uint64_t member = lk_load_be64(key.ptr);
    connection *c = find_connection(hub, member_connection(member));
    if (member == effect->member || c == NULL || c->is_closing) continue;
    after_send(hub, c, err != LK_OK ? err : lk_session_send(&c->session, lk_buf_slice(&hub->message)));
  }
}

static lk_err do_journal(entry *e, const lk_room_effect *effect) {
  LK_ASSERT(e->phase == PHASE_REST); /* one journal at a time: the room waits for its completion */
  lk_buf_truncate(&e->keep, 0);
  lk_err err = lk_slot_encode(e->keep_number + 1, effect->payload, &e->keep);
  if (err != LK_OK) return err;
  e->ticket = effect->ticket;
#ifdef LK_BUG_SAME_SLOT /* planted for the simulator, which must find it: sim/README.md */
  e->slot = 0;
#else
  e->slot = (unsigned)((e->keep_number + 1) % 2);
#endif
  if (e->has_file[e->slot]) {
    submit(e, PHASE_KEEP_WRITE, (lk_io){ .kind = LK_IO_WRITE, .file = e->files[e->slot],
                                         .from = lk_buf_slice(&e->keep) });
  } else {
    submit(e, PHASE_KEEP_OPEN, (lk_io){ .kind = LK_IO_OPEN, .create = true,
                                        .name = slot_name(e, e->slot) });
  }
  return LK_OK;
}

static lk_err do_timer(entry *e, uint64_t at_ms) {
  if (e->timer.item.place != LK_HEAP_OUT) {
    lk_heap_move(&e->hub->timers, &e->timer.item, at_ms);
    return LK_OK;
  }
  return lk_heap_push(&e->hub->timers, &e->timer.item, at_ms);
}

/* Carries out what the room's last step left behind. May drop the room. */
static void entry_drain(entry *e) {
  lk_room_effect effect;
  lk_err err = LK_OK;
  while (err == LK_OK && e->kind->poll(e->room, &effect)) {
    switch (effect.kind) {
    case LK_ROOM_ACCEPT:
    case LK_ROOM_REFUSE:
    case LK_ROOM_REPLY:
    case LK_ROOM_PUSH: do_answer(e, &effect); break;
    case LK_ROOM_BROADCAST: do_broadcast(e, &effect); break;
    case LK_ROOM_JOURNAL: err = do_journal(e, &effect); break;
    case LK_ROOM_TIMER: err = do_timer(e, effect.at_ms); break;
    case LK_ROOM_STOP: err = effect.result != LK_OK ? effect.result : LK_ERR_STATE; break;
    }
  }
  if (err != LK_OK) entry_drop(e, err);
  else watch_idle(e);
}

/* One input to an open room, and what follows from it. May drop the room; whoever was joining is
 * told that it did not work. */
static void run_room(entry *e, lk_room_input input) {
  lk_err err = step_room(e, input);
  if (err == LK_OK) {
    entry_drain(e);
    return;
  }
  if (input.kind == LK_ROOM_JOIN) {
    lk_room_effect refusal = { .kind = LK_ROOM_REFUSE, .member = input.member, .ref = input.ref,
                               .payload = LK_LIT("{\"reason\":\"room crashed\"}") };
    do_answer(e, &refusal);
  }
  entry_drop(e, err);
}

/* ---- loading and journals ---- */

static void refuse_joins(entry *e, lk_err why) {
  lk_buf text;
  lk_buf_init(&text, e->hub->env->alloc, 256);
  lk_buf_append(&text, LK_LIT("{\"reason\":\"storage\",\"message\":\""));
  lk_buf_append(&text, lk_slice_cstr(lk_err_name(why)));
  lk_buf_append(&text, LK_LIT("\"}"));
  lk_slice response = lk_buf_err(&text) == LK_OK ? lk_buf_slice(&text) : LK_LIT("{}");
  for (lk_link *at; (at = lk_list_pop_first(&e->joins)) != NULL;) {
    waiting_join *j = LK_CONTAINER(at, waiting_join, link);
    connection *c = find_connection(e->hub, member_connection(j->member));
    lk_slice ref = j->has_ref ? (lk_slice){ j->bytes, j->ref_len } : LK_SLICE_EMPTY;
    if (c != NULL) {
      after_send(e->hub, c, lk_session_refuse(&c->session, entry_topic(e),
                                              member_channel(j->member), ref, response));
    }
    free_join(e, j);
  }
  lk_buf_deinit(&text);
}

static void fail_loading(entry *e, lk_err why) {
  refuse_joins(e, why);
  entry_drop(e, why);
}

/* Joins that waited go in, in their order. One of them may drop the room: the rest then waits
 * for the next loading. */
static void let_joins_in(entry *e) {
  while (e->state == ENTRY_OPEN && e->joins.count > 0) {
    waiting_join *j = LK_CONTAINER(lk_list_pop_first(&e->joins), waiting_join, link);
    lk_room_input input = { .kind = LK_ROOM_JOIN, .member = j->member,
                            .payload = lk_slice_of(j->bytes + j->ref_len, j->payload_len) };
    if (j->has_ref) input.ref = (lk_slice){ j->bytes, j->ref_len };
    run_room(e, input);
    free_join(e, j);
  }
  if (e->state == ENTRY_OPEN) watch_idle(e); /* those who waited may all have left */
}

static lk_err recover(const entry *e, uint64_t *number, lk_slice *body) {
  return lk_slot_recover(lk_buf_slice(&e->slots[0]), lk_buf_slice(&e->slots[1]), number, body);
}

static void open_loaded(entry *e) {
  lk_hub *hub = e->hub;
  lk_slice recovered = LK_SLICE_EMPTY;
  uint64_t number = 0;
  lk_err err = recover(e, &number, &recovered);
  if (err == LK_ERR_NOT_FOUND) err = LK_OK;
  if (err == LK_OK) {
    lk_room_options options = { hub->env, hub->limits, entry_topic(e), recovered,
                                lk_prng_u64(&hub->ids) };
    err = e->kind->open(&options, &e->room);
  }
  if (err != LK_OK) {
    fail_loading(e, err);
    return;
  }
  lk_trace_emit(hub->env, LK_TRACE_room_opened, e->joins.count, recovered.len, entry_topic(e));
  for (unsigned slot = 0; slot < 2; slot++) {
    size_t max = e->slots[slot].max;
    lk_buf_deinit(&e->slots[slot]); /* not needed until the room is opened again */
    lk_buf_init(&e->slots[slot], hub->env->alloc, max);
  }
  e->keep_number = number;
  e->state = ENTRY_OPEN;
  e->phase = PHASE_REST;
  let_joins_in(e);
}

/* Both slots are read. The newer one becomes durable before the room opens: see the top. */
static void make_durable(entry *e) {
  lk_slice body = LK_SLICE_EMPTY;
  uint64_t number = 0;
  lk_err err = recover(e, &number, &body);
  if (err == LK_ERR_NOT_FOUND) {
    open_loaded(e);
  } else if (err != LK_OK) {
    fail_loading(e, err);
  } else {
    e->slot = (unsigned)(number % 2);
    submit(e, PHASE_LOAD_WRITE,
           (lk_io){ .kind = LK_IO_WRITE, .file = e->files[e->slot],
                    .from = lk_slice_first(lk_buf_slice(&e->slots[e->slot]),
                                           LK_SLOT_HEADER_LEN + body.len) });
  }
}

static void slot_loaded(entry *e) {
  if (e->slot == 0) load_slot(e, 1);
  else make_durable(e);
}

static void on_loaded_size(entry *e, uint64_t size) {
  lk_buf *into = &e->slots[e->slot];
  size_t len;
  /* Longer than any slot that these limits allow: it was written under greater ones, and to read a
   * part would be to take it for damaged and fall back to an older state. */
  if (size > into->max || !lk_u64_to_size(size, &len)) {
    fail_loading(e, LK_ERR_TOO_BIG);
    return;
  }
  if (len == 0) {
    slot_loaded(e);
    return;
  }
  uint8_t *at = lk_buf_extend(into, len);
  if (at == NULL) {
    fail_loading(e, LK_ERR_NOMEM);
    return;
  }
  submit(e, PHASE_LOAD_READ, (lk_io){ .kind = LK_IO_READ, .file = e->files[e->slot], .into = at,
                                      .into_len = len });
}

static void on_journaled(entry *e, lk_err result) {
  e->phase = PHASE_REST;
  if (result == LK_OK) {
    e->keep_number++;
    e->hub->stats.journals++;
    lk_trace_emit(e->hub->env, LK_TRACE_room_journaled, e->ticket, e->keep.len, entry_topic(e));
  }
  if (e->state != ENTRY_OPEN) {
    close_next_file(e); /* the room was dropped while the write was under way */
    return;
  }
  run_room(e, (lk_room_input){ .kind = LK_ROOM_JOURNALED, .ticket = e->ticket, .result = result });
}

static void on_opened(entry *e, lk_io *io) {
  if (io->result == LK_OK) {
    e->has_file[e->slot] = true;
    e->files[e->slot] = io->file;
  }
}

/* A journal that failed, or whose room was dropped meanwhile, goes no further. */
static bool is_journal_over(const entry *e, const lk_io *io) {
  return io->result != LK_OK || e->state != ENTRY_OPEN;
}

/* One operation of |e| is complete. */
static void advance(entry *e) {
  lk_io *io = &e->io;
  e->io_under_way = false;
  e->hub->io_count--;
  switch (e->phase) {
  case PHASE_REST: LK_UNREACHABLE();
  case PHASE_LOAD_OPEN:
    on_opened(e, io);
    if (io->result == LK_ERR_NOT_FOUND) slot_loaded(e);
    else if (io->result != LK_OK) fail_loading(e, io->result);
    else submit(e, PHASE_LOAD_SIZE, (lk_io){ .kind = LK_IO_SIZE, .file = io->file });
    break;
  case PHASE_LOAD_SIZE:
    if (io->result != LK_OK) fail_loading(e, io->result);
    else on_loaded_size(e, io->off);
    break;
  case PHASE_LOAD_READ:
    if (io->result != LK_OK) {
      fail_loading(e, io->result);
    } else {
      lk_buf_truncate(&e->slots[e->slot], io->done);
      slot_loaded(e);
    }
    break;
  case PHASE_LOAD_WRITE:
    if (io->result != LK_OK) fail_loading(e, io->result);
    else submit(e, PHASE_LOAD_SYNC, (lk_io){ .kind = LK_IO_SYNC, .file = io->file });
    break;
  case PHASE_LOAD_SYNC:
    if (io->result != LK_OK) fail_loading(e, io->result);
    else open_loaded(e);
    break;
  case PHASE_KEEP_OPEN:
    on_opened(e, io);
    if (is_journal_over(e, io)) on_journaled(e, io->result != LK_OK ? io->result : LK_ERR_CANCELED);
    else submit(e, PHASE_KEEP_WRITE, (lk_io){ .kind = LK_IO_WRITE, .file = io->file,
                                              .from = lk_buf_slice(&e->keep) });
    break;
  case PHASE_KEEP_WRITE:
    if (is_journal_over(e, io)) on_journaled(e, io->result != LK_OK ? io->result : LK_ERR_CANCELED);
    else submit(e, PHASE_KEEP_SYNC, (lk_io){ .kind = LK_IO_SYNC, .file = io->file });
    break;
  case PHASE_KEEP_SYNC: on_journaled(e, io->result); break;
  case PHASE_CLOSE: close_next_file(e); break;
  }
}

/* ---- what sessions want ---- */

static lk_err queue_join(entry *e, uint64_t member, const lk_session_event *event) {
  lk_hub *hub = e->hub;
  size_t len = event->ref.len + event->payload.len;
  if (e->joins.count >= hub->limits->room_members_count) return LK_ERR_LIMIT;
  waiting_join *j = lk_alloc_bytes(hub->env->alloc, sizeof *j + len);
  if (j == NULL) return LK_ERR_NOMEM;
  *j = (waiting_join){ .member = member, .has_ref = event->ref.ptr != NULL };
  j->ref_len = (uint32_t)event->ref.len;
  j->payload_len = (uint32_t)event->payload.len; /* json_bytes bounds it */
  if (event->ref.len > 0) memcpy(j->bytes, event->ref.ptr, event->ref.len);
  memcpy(j->bytes + event->ref.len, event->payload.ptr, event->payload.len);
  lk_list_push_last(&e->joins, &j->link);
  return LK_OK;
}

static void on_join(lk_hub *self, connection *c, const lk_session_event *event) {
  uint64_t member = member_of(c->number, event->channel);
  const lk_room_kind *kind = lk_room_kind_of(event->topic);
  entry *e = find_entry(self, event->topic);
  lk_err err = LK_OK;
  if (kind == NULL) {
    after_send(self, c, lk_session_unmatched(&c->session, event->topic, event->channel, event->ref));
    return;
  }
  if (e == NULL) {
    err = make_entry(self, event->topic, kind, &e);
    if (err == LK_OK) {
      err = queue_join(e, member, event);
      begin_loading(e); /* also without the join: the entry is there and finds its way out */
      if (err == LK_OK) return;
    }
  } else if (e->state == ENTRY_OPEN) {
    run_room(e, (lk_room_input){ .kind = LK_ROOM_JOIN, .member = member, .ref = event->ref,
                                 .payload = event->payload });
    return;
  } else {
    err = queue_join(e, member, event);
    if (err == LK_OK) return;
  }
  after_send(self, c, lk_session_refuse(&c->session, event->topic, event->channel, event->ref,
                                        LK_LIT("{\"reason\":\"server full\"}")));
}

static void on_leave(lk_hub *self, connection *c, const lk_session_event *event) {
  uint8_t bytes[8];
  uint64_t member = member_of(c->number, event->channel);
  entry *e = find_entry(self, event->topic);
  if (e == NULL) return;
  for (lk_link *at = e->joins.first, *next; at != NULL; at = next) {
    waiting_join *j = LK_CONTAINER(at, waiting_join, link);
    next = at->next;
    if (j->member != member) continue;
    lk_list_remove(&e->joins, at);
    free_join(e, j);
  }
  bool was_in = lk_map_remove(&e->members, key_of(member, bytes));
  if (e->state != ENTRY_OPEN) return;
  if (was_in) {
    lk_trace_emit(self->env, LK_TRACE_room_left, member, lk_map_count(&e->members), entry_topic(e));
  }
  run_room(e, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = member });
}

static void on_message(lk_hub *self, connection *c, const lk_session_event *event) {
  uint8_t bytes[8];
  uint64_t member = member_of(c->number, event->channel);
  entry *e = find_entry(self, event->topic);
  if (e == NULL || e->state != ENTRY_OPEN ||
      lk_map_get(&e->members, key_of(member, bytes)) == NULL) {
    after_send(self, c, lk_session_reply(&c->session, event->topic, event->channel, event->ref,
                                         LK_LIT("error"), LK_LIT("{\"reason\":\"not joined\"}")));
    return;
  }
  run_room(e, (lk_room_input){ .kind = LK_ROOM_MESSAGE, .member = member, .ref = event->ref,
                               .event = event->event, .payload = event->payload });
}

lk_err lk_hub_receive(lk_hub *self, uint64_t number, lk_slice text, uint64_t now_ms) {
  lk_session_event event;
  connection *c = find_connection(self, number);
  if (c == NULL || c->is_closing) return LK_ERR_CLOSED;
  self->now_ms = lk_max_u64(self->now_ms, now_ms);
  self->stats.messages_in++;
  lk_err err = lk_session_feed(&c->session, text);
  while (lk_session_poll(&c->session, &event)) {
    switch (event.kind) {
    case LK_SESSION_JOIN: on_join(self, c, &event); break;
    case LK_SESSION_MESSAGE: on_message(self, c, &event); break;
    case LK_SESSION_LEAVE: on_leave(self, c, &event); break;
    }
  }
  if (err == LK_OK && c->is_closing) err = c->reason;
  make_ready(self, c);
  sweep(self);
  return err;
}

void lk_hub_disconnect(lk_hub *self, uint64_t number, uint64_t now_ms) {
  uint8_t bytes[8];
  lk_session_event event;
  connection *c = find_connection(self, number);
  if (c == NULL) return;
  self->now_ms = lk_max_u64(self->now_ms, now_ms);
  c->is_closing = c->told = true;
  while (lk_session_end(&c->session, &event)) on_leave(self, c, &event);
  (void)lk_map_remove(&self->connections, key_of(number, bytes));
  free_connection(self, c);
  sweep(self);
}

/* ---- time, output, life ---- */

static void on_timer(entry *e, const entry_timer *timer) {
  if (timer == &e->timer) {
    run_room(e, (lk_room_input){ .kind = LK_ROOM_TICK });
  } else if (e->phase == PHASE_REST) {
    LK_COVERED(hub_idle_room_put_away);
    entry_drop(e, LK_OK);
  } else {
    watch_idle(e); /* a journal is still under way: look again later */
  }
}

void lk_hub_step(lk_hub *self, uint64_t now_ms) {
  lk_io *io;
  lk_heap_item *item;
  self->now_ms = lk_max_u64(self->now_ms, now_ms);
  while ((io = self->storage->poll(self->storage)) != NULL) advance(io->user);
  while ((item = lk_heap_first(&self->timers)) != NULL && item->key <= self->now_ms) {
    lk_heap_remove(&self->timers, item);
    entry_timer *timer = LK_CONTAINER(item, entry_timer, item);
    on_timer(timer->entry, timer);
  }
  sweep(self);
}

uint64_t lk_hub_deadline(const lk_hub *self) {
  lk_heap_item *item = lk_heap_first(&self->timers);
  return item == NULL ? LK_HUB_NEVER : item->key;
}

bool lk_hub_poll(lk_hub *self, lk_hub_output *out) {
  while (self->ready.first != NULL) {
    connection *c = LK_CONTAINER(self->ready.first, connection, ready_link);
    lk_slice text;
    if (!c->told && lk_session_next_output(&c->session, &text)) {
      self->stats.messages_out++;
      *out = (lk_hub_output){ LK_HUB_SEND, c->number, text, LK_OK };
      return true;
    }
    lk_list_remove(&self->ready, &c->ready_link);
    c->is_ready = false;
    if (c->is_closing && !c->told) {
      c->told = true;
      *out = (lk_hub_output){ LK_HUB_CLOSE, c->number, LK_SLICE_EMPTY, c->reason };
      return true;
    }
  }
  return false;
}

bool lk_hub_is_idle(const lk_hub *self) { return self->io_count == 0; }

lk_hub_stats lk_hub_get_stats(const lk_hub *self) {
  lk_hub_stats stats = self->stats;
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  stats.connections = lk_map_count(&self->connections);
  stats.rooms = lk_map_count(&self->entries);
  stats.members = 0;
  while (lk_map_next(&self->entries, &cursor, &key, &value)) {
    stats.members += lk_map_count(&(*(entry **)value)->members);
  }
  return stats;
}

lk_err lk_hub_open(const lk_env *env, const lk_limits *limits, lk_storage *storage, uint64_t entropy,
                   lk_hub **out) {
  uint64_t seed[2];
  lk_hub *self = lk_alloc_bytes(env->alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_hub){ .env = env, .limits = limits, .storage = storage, .connection_next = 1 };
  lk_prng_init(&self->ids, entropy);
  draw_seed(self, seed);
  lk_map_init(&self->connections, env->alloc, sizeof(connection *), limits->server_connections_count, seed);
  draw_seed(self, seed);
  lk_map_init(&self->entries, env->alloc, sizeof(entry *), limits->rooms_count, seed);
  lk_heap_init(&self->timers, env->alloc, UINT32_MAX / 4);
  lk_buf_init(&self->message, env->alloc, limits->ws_output_bytes);
  *out = self;
  return LK_OK;
}

void lk_hub_close(lk_hub *self) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  if (self == NULL) return;
  while (lk_map_next(&self->connections, &cursor, &key, &value)) {
    free_connection(self, *(connection **)value);
  }
  for (cursor = 0; lk_map_next(&self->entries, &cursor, &key, &value);) free_entry(*(entry **)value);
  lk_map_deinit(&self->connections);
  lk_map_deinit(&self->entries);
  lk_heap_deinit(&self->timers);
  lk_buf_deinit(&self->message);
  lk_free_bytes(self->env->alloc, self, sizeof *self);
}
