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
 * How a state is loaded and kept is the keeper's work (room/keeper.h): each entry has one, and a
 * completion of the storage finds its entry by lk_io.user.
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
 * Always: busy_count is the number of keepers with something under way; an entry in LOADING or
 * CLOSING has no room; inputs wait only there. */
#include "room/hub.h"

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "channel/session.h"
#include "crypto/sha256.h"
#include "room/keeper.h"

#define ROOM_IDLE_MS 30000
#define CHANNEL_BITS 24

typedef struct connection {
  uint64_t number;
  lk_session session;
  lk_link ready_link;
  bool is_ready;
  bool is_closing; /* a CLOSE is due, or was given out: nothing more is taken or sent */
  bool told;       /* the CLOSE was given out */
  lk_err reason;
} connection;

typedef enum entry_state { ENTRY_LOADING, ENTRY_OPEN, ENTRY_CLOSING, ENTRY_GONE } entry_state;

/* A join that came while the room was not there, or a message of a member whose join waits. */
typedef struct waiting_input {
  lk_link link;
  bool is_join;
  bool has_ref;
  uint64_t member;
  uint32_t ref_len;
  uint32_t event_len;
  uint32_t payload_len;
  uint8_t bytes[]; /* ref, event, payload */
} waiting_input;

typedef struct entry entry;

typedef struct entry_timer {
  lk_heap_item item;
  entry *entry;
} entry_timer;

struct entry {
  lk_hub *hub;
  lk_link gone_link;
  const lk_room_kind *kind;
  lk_room *room; /* ENTRY_OPEN */
  entry_state state;
  lk_keeper keeper;
  uint64_t ticket;
  lk_list waiting;      /* inputs, in order of arrival */
  size_t waiting_bytes; /* of those, bounded by limits.ws_output_bytes */
  lk_map members;       /* member, 8 bytes big endian -> nothing */
  entry_timer idle;     /* no members for ROOM_IDLE_MS: put the room away */
  entry_timer timer;    /* the room's own */
  uint32_t topic_len;
  uint8_t topic[]; /* |topic_len| bytes */
};

struct lk_hub {
  const lk_env *env;
  const lk_limits *limits;
  lk_storage *storage;
  lk_prng ids;        /* what inputs call entropy: clients see it as ids */
  lk_prng seeds;      /* of hashes: nobody may guess them */
  lk_map connections; /* number, 8 bytes big endian -> connection * */
  lk_map entries;     /* topic -> entry * */
  lk_heap timers;     /* entries' idle and timer items */
  lk_list ready;      /* connections with something for the host */
  lk_list gone;       /* entries to free when the running call ends */
  lk_buf message;     /* one broadcast, encoded */
  uint64_t connection_next;
  uint64_t busy_count;
  uint64_t now_ms;
  lk_hub_stats stats;
};

/* ---- small keys ---- */

static lk_slice key_of(uint64_t number, uint8_t bytes[8]) {
  lk_store_be64(bytes, number);
  return lk_slice_of(bytes, 8);
}

static uint64_t member_of(uint64_t number, uint32_t channel) {
  return number << CHANNEL_BITS | channel;
}
static uint64_t member_connection(uint64_t member) { return member >> CHANNEL_BITS; }
static uint32_t member_channel(uint64_t member) {
  return (uint32_t)(member & ((1u << CHANNEL_BITS) - 1));
}

static lk_slice entry_topic(const entry *e) { return lk_slice_of(e->topic, e->topic_len); }

static void draw_seed(lk_hub *self, uint64_t seed[2]) {
  seed[0] = lk_prng_u64(&self->seeds);
  seed[1] = lk_prng_u64(&self->seeds);
}

/* Who sees enough numbers of one generator knows its state. So the streams are derived by a hash that
 * does not lead back: the ids that clients see say nothing about the seeds of the maps. */
static void derive_stream(uint64_t entropy, lk_slice purpose, lk_prng *out) {
  lk_sha256 hash;
  uint8_t bytes[8], digest[LK_SHA256_LEN];
  lk_store_le64(bytes, entropy);
  lk_sha256_init(&hash);
  lk_sha256_update(&hash, purpose);
  lk_sha256_update(&hash, lk_slice_of(bytes, sizeof bytes));
  lk_sha256_final(&hash, digest);
  for (size_t i = 0; i < 4; i++) out->state[i] = lk_load_le64(digest + 8 * i);
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

/* ---- entries ---- */

static void stop_timer(lk_hub *hub, entry_timer *timer) {
  if (timer->item.place != LK_HEAP_OUT) lk_heap_remove(&hub->timers, &timer->item);
}

static void stop_timers(entry *e) {
  stop_timer(e->hub, &e->idle);
  stop_timer(e->hub, &e->timer);
}

static size_t waiting_size(const waiting_input *w) {
  return sizeof *w + w->ref_len + w->event_len + w->payload_len;
}

/* |w| is on the list no more. */
static void free_waiting(entry *e, waiting_input *w) {
  e->waiting_bytes -= waiting_size(w);
  lk_free_bytes(e->hub->env->alloc, w, waiting_size(w));
}

static void free_entry(entry *e) {
  lk_hub *hub = e->hub;
  if (e->room != NULL) e->kind->close(e->room);
  stop_timers(e);
  for (lk_link *at; (at = lk_list_pop_first(&e->waiting)) != NULL;) {
    free_waiting(e, LK_CONTAINER(at, waiting_input, link));
  }
  lk_map_deinit(&e->members);
  lk_keeper_deinit(&e->keeper);
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
  *e = (entry){
    .hub = self, .kind = kind, .idle = { LK_HEAP_ITEM_INIT, e }, .timer = { LK_HEAP_ITEM_INIT, e }
  };
  e->topic_len = (uint32_t)topic.len; /* the session bounds names */
  memcpy(e->topic, topic.ptr, topic.len);
  lk_keeper_init(&e->keeper, alloc, self->storage, topic, self->limits->crdt_state_bytes, e);
  draw_seed(self, seed);
  lk_map_init(&e->members, alloc, 0, self->limits->room_members_count, seed);
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

static void begin_loading(entry *e) {
  LK_ASSERT(e->room == NULL);
  e->state = ENTRY_LOADING;
  e->hub->busy_count++;
  lk_keeper_load(&e->keeper);
}

/* The files are closed. Who wanted to join meanwhile gets the room as it is now in the storage. */
static void finish_closing(entry *e) {
  if (e->waiting.count > 0) {
    LK_COVERED(hub_room_opened_again_after_a_drop);
    begin_loading(e);
    return;
  }
  e->state = ENTRY_GONE;
  (void)lk_map_remove(&e->hub->entries, entry_topic(e));
  lk_list_push_last(&e->hub->gone, &e->gone_link);
}

static void begin_closing(entry *e) {
  if (lk_keeper_close(&e->keeper)) e->hub->busy_count++;
  else finish_closing(e);
}

static void sweep(lk_hub *self) {
  for (lk_link *at; (at = lk_list_pop_first(&self->gone)) != NULL;) {
    free_entry(LK_CONTAINER(at, entry, gone_link));
  }
}

/* The room goes; its members are told why, so that they come back. Where its journal is under way,
 * its completion goes on from here. */
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
    after_send(
        hub, c,
        lk_session_crash(&c->session, entry_topic(e), member_channel(member), LK_LIT("storage")));
    (void)lk_map_remove(&e->members, key);
  }
  stop_timers(e);
  if (!lk_keeper_is_busy(&e->keeper)) begin_closing(e);
}

/* ---- what a room wants done ---- */

static lk_err step_room(entry *e, lk_room_input input) {
  input.now_ms = e->hub->now_ms;
  input.entropy = lk_prng_u64(&e->hub->ids);
  return e->kind->step(e->room, &input);
}

static bool is_member(const entry *e, uint64_t member) {
  uint8_t bytes[8];
  return lk_map_get(&e->members, key_of(member, bytes)) != NULL;
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
    after_send(e->hub, c,
               lk_session_refuse(&c->session, topic, channel, effect->ref, effect->payload));
    break;
  case LK_ROOM_REPLY:
    after_send(e->hub, c,
               lk_session_reply(&c->session, topic, channel, effect->ref,
                                effect->ok ? LK_LIT("ok") : LK_LIT("error"), effect->payload));
    break;
  case LK_ROOM_PUSH:
    after_send(e->hub, c,
               lk_session_push(&c->session, topic, channel, effect->event, effect->payload));
    break;
  case LK_ROOM_BROADCAST:
  case LK_ROOM_JOURNAL:
  case LK_ROOM_TIMER:
  case LK_ROOM_STOP: LK_UNREACHABLE();
  }
}

static void do_broadcast(entry *e, const lk_room_effect *effect) {
  lk_hub *hub = e->hub;
  lk_message message = { .topic = entry_topic(e),
                         .event = effect->event,
                         .payload = effect->payload };
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  lk_buf_truncate(&hub->message, 0);
  lk_err err = lk_message_encode_text(&message, &hub->message);
  while (lk_map_next(&e->members, &cursor, &key, &value)) {
    uint64_t member = lk_load_be64(key.ptr);
    connection *c = find_connection(hub, member_connection(member));
    if (member == effect->member || c == NULL || c->is_closing) continue;
    after_send(hub, c,
               err != LK_OK ? err : lk_session_send(&c->session, lk_buf_slice(&hub->message)));
  }
}

/* One journal at a time: the room waits for its completion. */
static lk_err do_journal(entry *e, const lk_room_effect *effect) {
  lk_err err = lk_keeper_keep(&e->keeper, effect->payload);
  if (err != LK_OK) return err;
  e->ticket = effect->ticket;
  e->hub->busy_count++;
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
    lk_room_effect refusal = { .kind = LK_ROOM_REFUSE,
                               .member = input.member,
                               .ref = input.ref,
                               .payload = LK_LIT("{\"reason\":\"room crashed\"}") };
    do_answer(e, &refusal);
  }
  entry_drop(e, err);
}

/* ---- what the keeper reports ---- */

static void refuse_waiting(entry *e, lk_err why) {
  lk_buf text;
  lk_buf_init(&text, e->hub->env->alloc, 256);
  lk_buf_append(&text, LK_LIT("{\"reason\":\"storage\",\"message\":\""));
  lk_buf_append(&text, lk_slice_cstr(lk_err_name(why)));
  lk_buf_append(&text, LK_LIT("\"}"));
  lk_slice response = lk_buf_err(&text) == LK_OK ? lk_buf_slice(&text) : LK_LIT("{}");
  for (lk_link *at; (at = lk_list_pop_first(&e->waiting)) != NULL;) {
    waiting_input *w = LK_CONTAINER(at, waiting_input, link);
    connection *c = find_connection(e->hub, member_connection(w->member));
    lk_slice ref = w->has_ref ? (lk_slice){ w->bytes, w->ref_len } : LK_SLICE_EMPTY;
    if (c != NULL && w->is_join) {
      after_send(
          e->hub, c,
          lk_session_refuse(&c->session, entry_topic(e), member_channel(w->member), ref, response));
    } else if (c != NULL) {
      after_send(e->hub, c, lk_session_too_late(&c->session, entry_topic(e), ref));
    }
    free_waiting(e, w);
  }
  lk_buf_deinit(&text);
}

/* What waited goes in, in its order. Any of it may drop the room: the rest then waits for the next
 * loading. */
static void let_waiting_in(entry *e) {
  while (e->state == ENTRY_OPEN && e->waiting.count > 0) {
    waiting_input *w = LK_CONTAINER(lk_list_pop_first(&e->waiting), waiting_input, link);
    lk_slice rest = lk_slice_of(w->bytes, waiting_size(w) - sizeof *w);
    lk_room_input input = { .kind = w->is_join ? LK_ROOM_JOIN : LK_ROOM_MESSAGE,
                            .member = w->member };
    if (w->has_ref) input.ref = (lk_slice){ w->bytes, w->ref_len };
    rest = lk_slice_skip(rest, w->ref_len);
    input.event = lk_slice_first(rest, w->event_len);
    input.payload = lk_slice_skip(rest, w->event_len);
    if (w->is_join || is_member(e, w->member)) run_room(e, input);
    free_waiting(e, w);
  }
  if (e->state == ENTRY_OPEN) watch_idle(e); /* those who waited may all have left */
}

static void on_loaded(entry *e) {
  lk_hub *hub = e->hub;
  size_t recovered_len = e->keeper.state.len;
  lk_err err = e->keeper.result;
  if (err == LK_OK) {
    lk_room_options options = { hub->env,        hub->limits,      entry_topic(e),
                                e->keeper.state, e->keeper.intact, lk_prng_u64(&hub->ids) };
    err = e->kind->open(&options, &e->room);
  }
  lk_keeper_release(&e->keeper);
  if (err != LK_OK) {
    refuse_waiting(e, err);
    entry_drop(e, err);
    return;
  }
  lk_trace_emit(hub->env, LK_TRACE_room_opened, e->waiting.count, recovered_len, entry_topic(e));
  e->state = ENTRY_OPEN;
  let_waiting_in(e);
}

static void on_kept(entry *e) {
  lk_err result = e->keeper.result;
  if (e->state != ENTRY_OPEN) {
    begin_closing(e); /* the room was dropped meanwhile: nobody waits for this journal */
    return;
  }
  if (result == LK_OK) {
    e->hub->stats.journals++;
    lk_trace_emit(e->hub->env, LK_TRACE_room_journaled, e->ticket, e->keeper.bytes.len,
                  entry_topic(e));
  }
  run_room(e, (lk_room_input){ .kind = LK_ROOM_JOURNALED, .ticket = e->ticket, .result = result });
}

/* The operation of |e| that was under way is complete. */
static void advance(entry *e) {
  lk_keeper_event event = lk_keeper_advance(&e->keeper);
  if (event == LK_KEEPER_BUSY) return;
  e->hub->busy_count--;
  switch (event) {
  case LK_KEEPER_BUSY: break;
  case LK_KEEPER_LOADED: on_loaded(e); break;
  case LK_KEEPER_KEPT: on_kept(e); break;
  case LK_KEEPER_CLOSED: finish_closing(e); break;
  }
}

/* ---- what sessions want ---- */

static lk_err queue_input(entry *e, uint64_t member, const lk_session_event *event) {
  lk_hub *hub = e->hub;
  size_t size = sizeof(waiting_input) + event->ref.len + event->event.len + event->payload.len;
  if (size > hub->limits->ws_output_bytes - e->waiting_bytes) return LK_ERR_LIMIT;
  waiting_input *w = lk_alloc_bytes(hub->env->alloc, size);
  if (w == NULL) return LK_ERR_NOMEM;
  *w = (waiting_input){ .is_join = event->kind == LK_SESSION_JOIN, .member = member };
  w->has_ref = event->ref.ptr != NULL;
  w->ref_len = (uint32_t)event->ref.len; /* the session bounds names, json_bytes the payload */
  w->event_len = (uint32_t)event->event.len;
  w->payload_len = (uint32_t)event->payload.len;
  uint8_t *at = w->bytes;
  const lk_slice parts[] = { event->ref, event->event, event->payload };
  for (size_t i = 0; i < 3; i++) {
    if (parts[i].len > 0) memcpy(at, parts[i].ptr, parts[i].len);
    at += parts[i].len;
  }
  e->waiting_bytes += size;
  lk_list_push_last(&e->waiting, &w->link);
  return LK_OK;
}

static bool is_waiting(const entry *e, uint64_t member) {
  for (lk_link *at = e->waiting.first; at != NULL; at = at->next) {
    if (LK_CONTAINER(at, waiting_input, link)->member == member) return true;
  }
  return false;
}

static void on_join(lk_hub *self, connection *c, const lk_session_event *event) {
  uint64_t member = member_of(c->number, event->channel);
  const lk_room_kind *kind = lk_room_kind_of(event->topic);
  entry *e = find_entry(self, event->topic);
  lk_err err = LK_OK;
  if (kind == NULL) {
    after_send(self, c,
               lk_session_unmatched(&c->session, event->topic, event->channel, event->ref));
    return;
  }
  if (e == NULL) {
    err = make_entry(self, event->topic, kind, &e);
    if (err == LK_OK) {
      err = queue_input(e, member, event);
      begin_loading(e); /* also without the join: the entry is there and finds its way out */
      if (err == LK_OK) return;
    }
  } else if (e->state == ENTRY_OPEN) {
    run_room(e, (lk_room_input){ .kind = LK_ROOM_JOIN,
                                 .member = member,
                                 .ref = event->ref,
                                 .payload = event->payload });
    return;
  } else {
    err = queue_input(e, member, event);
    if (err == LK_OK) return;
  }
  after_send(self, c,
             lk_session_refuse(&c->session, event->topic, event->channel, event->ref,
                               LK_LIT("{\"reason\":\"server full\"}")));
}

static void on_leave(lk_hub *self, connection *c, const lk_session_event *event) {
  uint8_t bytes[8];
  uint64_t member = member_of(c->number, event->channel);
  entry *e = find_entry(self, event->topic);
  if (e == NULL) return;
  for (lk_link *at = e->waiting.first, *next; at != NULL; at = next) {
    waiting_input *j = LK_CONTAINER(at, waiting_input, link);
    next = at->next;
    if (j->member != member) continue;
    lk_list_remove(&e->waiting, at);
    free_waiting(e, j);
  }
  bool was_in = lk_map_remove(&e->members, key_of(member, bytes));
  if (e->state != ENTRY_OPEN) return;
  if (was_in) {
    lk_trace_emit(self->env, LK_TRACE_room_left, member, lk_map_count(&e->members), entry_topic(e));
  }
  run_room(e, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = member });
}

/* A message that comes right behind its join waits with it, as it would in Phoenix. */
static void on_message(lk_hub *self, connection *c, const lk_session_event *event) {
  uint64_t member = member_of(c->number, event->channel);
  entry *e = find_entry(self, event->topic);
  if (e != NULL && e->state == ENTRY_OPEN && is_member(e, member)) {
    run_room(e, (lk_room_input){ .kind = LK_ROOM_MESSAGE,
                                 .member = member,
                                 .ref = event->ref,
                                 .event = event->event,
                                 .payload = event->payload });
    return;
  }
  lk_err err = e != NULL && is_waiting(e, member) ? queue_input(e, member, event)
                                                  : LK_ERR_NOT_JOINED;
  if (err == LK_OK) return;
  after_send(self, c,
             lk_session_reply(&c->session, event->topic, event->channel, event->ref,
                              LK_LIT("error"),
                              err == LK_ERR_NOT_JOINED ? LK_LIT("{\"reason\":\"not joined\"}")
                                                       : LK_LIT("{\"reason\":\"server full\"}")));
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
  } else if (!lk_keeper_is_busy(&e->keeper)) {
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

bool lk_hub_is_idle(const lk_hub *self) { return self->busy_count == 0; }

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

lk_err lk_hub_open(const lk_env *env, const lk_limits *limits, lk_storage *storage,
                   uint64_t entropy, lk_hub **out) {
  uint64_t seed[2];
  lk_hub *self = lk_alloc_bytes(env->alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_hub){ .env = env, .limits = limits, .storage = storage, .connection_next = 1 };
  derive_stream(entropy, LK_LIT("ids"), &self->ids);
  derive_stream(entropy, LK_LIT("seeds"), &self->seeds);
  draw_seed(self, seed);
  lk_map_init(&self->connections, env->alloc, sizeof(connection *),
              limits->server_connections_count, seed);
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
  for (cursor = 0; lk_map_next(&self->entries, &cursor, &key, &value);)
    free_entry(*(entry **)value);
  lk_map_deinit(&self->connections);
  lk_map_deinit(&self->entries);
  lk_heap_deinit(&self->timers);
  lk_buf_deinit(&self->message);
  lk_free_bytes(self->env->alloc, self, sizeof *self);
}
