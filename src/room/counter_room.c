/* room/counter_room.c -- one counter, its journal, and those who wait for it.
 *
 * A change is merged into |counter| at once and shown to nobody. It waits in two places: the
 * change in |next|, whoever asked for it in |waiting| with the ticket of the journal that will
 * cover it. At most one journal is under way; it writes what changed:
 *
 *   change ──> next ──(no journal under way: JOURNAL t)──> flying ──(JOURNALED t)──> durable, broadcast
 *   asker  ──> waiting, with that ticket ───────────────────────────(JOURNALED t)──> reply
 *
 * So while one write is on its way all further changes gather for the next one: group commit by
 * itself, and the storage decides how many share a write. Joins and reads never wait: they are
 * answered from |durable|, which costs a second copy of the counts and saves every reader from
 * seeing what a crash could take back.
 *
 * A journal that fails ends the room. What was not acknowledged then is gone here, and comes
 * back from the replicas, which send again what was not confirmed. A snapshot is |durable|: exactly what
 * has been journaled.
 *
 * Commands of clients without a replica are counted under an actor of the room's own. It keeps it
 * when it is opened again, unless what it came back with may not be the latest: then it takes a new
 * one, since to use up counts that some replica has already seen would let merging swallow them.
 *
 * Everything that a room holds must fit into one answer to a join, or nobody could join any more.
 * So the room counts what its state takes as JSON, at most, and refuses what would go beyond half of
 * the bytes that may wait for one member.
 *
 * Always: counter == durable + flying + next (as merges); the ticket under way is ticket_next - 1;
 * next is empty and nobody waits where nothing is under way. */
#include "room/counter_room.h"

#include "base/list.h"
#include "codec/hex.h"
#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "crdt/gcounter.h"
#include "room/effects.h"

#define EFFECTS_BESIDE_REPLIES 2

/* "room-" and 16 hexadecimal digits. */
#define ROOM_ACTOR_LEN (sizeof room_prefix + 16)
static const uint8_t room_prefix[] = { 'r', 'o', 'o', 'm', '-' };

typedef struct waiter {
  lk_link link;
  uint64_t ticket;
  uint64_t member;
  uint64_t request;
} waiter;

struct lk_room {
  const lk_env *env;
  const lk_limits *limits;
  lk_gcounter counter; /* everything, durable or not */
  lk_gcounter durable; /* what may be shown */
  lk_gcounter next;    /* what changed since the journal under way began */
  lk_gcounter flying;  /* what the journal under way makes durable */
  lk_list waiting;     /* in order of arrival, hence of ticket */
  lk_effects effects;
  lk_arena scratch; /* of one input */
  lk_buf text;      /* one payload at a time */
  uint64_t ticket_next;
  size_t json_len; /* at most, of counter as JSON */
  bool in_flight;
  lk_slice level;                  /* what an acknowledgement means here */
  uint8_t actor[LK_ACTOR_LEN_MAX]; /* of commands; actor_len 0 until the first one */
  uint32_t actor_len;
};

/* ---- payloads ---- */

static void write_replica(lk_json_writer *w, uint64_t entropy) {
  uint8_t bytes[8], digits[16];
  lk_store_be64(bytes, entropy);
  lk_hex_store(digits, lk_slice_of(bytes, sizeof bytes));
  (void)lk_json_write_key(w, LK_LIT("replica"));
  (void)lk_json_write_string(w, lk_slice_of(digits, sizeof digits));
}

/* {"value":..., "counts":...}; for a join also the type, and an id that no replica has. No counts where
 * |counts| is NULL: that is an acknowledgement, and says what it means. */
static lk_err render(lk_room *self, const lk_gcounter *counts, const uint64_t *entropy,
                     lk_slice *out) {
  lk_json_writer w;
  lk_buf_truncate(&self->text, 0);
  lk_json_writer_init(&w, &self->text);
  (void)lk_json_begin_object(&w);
  if (entropy != NULL) {
    (void)lk_json_write_key(&w, LK_LIT("type"));
    (void)lk_json_write_string(&w, LK_LIT("gcounter"));
    write_replica(&w, *entropy);
  }
  (void)lk_json_write_key(&w, LK_LIT("value"));
  (void)lk_json_write_u64(&w, lk_gcounter_value(&self->durable));
  (void)lk_json_write_key(&w, LK_LIT("counts"));
  if (counts != NULL) {
    (void)lk_gcounter_write_counts(counts, &w);
  } else {
    (void)lk_json_begin_object(&w);
    (void)lk_json_end_object(&w);
    (void)lk_json_write_key(&w, LK_LIT("level"));
    (void)lk_json_write_string(&w, self->level);
  }
  (void)lk_json_end_object(&w);
  lk_err err = lk_json_writer_finish(&w);
  if (err == LK_OK) *out = lk_buf_slice(&self->text);
  return err;
}

static lk_err push_error(lk_room *self, const lk_room_input *input, lk_slice reason, lk_slice field,
                         lk_slice message) {
  lk_json_writer w;
  lk_buf_truncate(&self->text, 0);
  lk_json_writer_init(&w, &self->text);
  (void)lk_json_begin_object(&w);
  (void)lk_json_write_key(&w, LK_LIT("reason"));
  (void)lk_json_write_string(&w, reason);
  if (field.len > 0) {
    (void)lk_json_write_key(&w, LK_LIT("field"));
    (void)lk_json_write_string(&w, field);
  }
  (void)lk_json_write_key(&w, LK_LIT("message"));
  (void)lk_json_write_string(&w, message);
  (void)lk_json_end_object(&w);
  lk_err err = lk_json_writer_finish(&w);
  if (err != LK_OK) return err;
  lk_room_effect effect = { .kind = LK_ROOM_REPLY,
                            .member = input->member,
                            .request = input->request,
                            .payload = lk_buf_slice(&self->text) };
  return lk_effects_push(&self->effects, &effect);
}

/* The member did something wrong: it is told, and the room goes on. Memory is our problem and the
 * room's end. */
static lk_err refuse(lk_room *self, const lk_room_input *input, lk_err why, lk_slice field) {
  if (why == LK_ERR_NOMEM) return why;
  lk_trace_emit(self->env, LK_TRACE_room_refused, input->member, (uint64_t)why, input->event);
  return push_error(self, input, lk_slice_cstr(lk_err_name(why)), field,
                    lk_slice_cstr(lk_err_text(why)));
}

/* ---- waiting and journals ---- */

static void free_waiter(lk_room *self, waiter *w) { lk_free_bytes(self->env->alloc, w, sizeof *w); }

static lk_err wait_for(lk_room *self, const lk_room_input *input, uint64_t ticket) {
  waiter *w = lk_alloc_bytes(self->env->alloc, sizeof *w);
  if (w == NULL) return LK_ERR_NOMEM;
  *w = (waiter){ .ticket = ticket, .member = input->member, .request = input->request };
  lk_list_push_last(&self->waiting, &w->link);
  return LK_OK;
}

static void swap(lk_gcounter *a, lk_gcounter *b) {
  lk_gcounter t = *a;
  *a = *b;
  *b = t;
}

static lk_err begin_journal(lk_room *self) {
  LK_ASSERT(!self->in_flight && lk_gcounter_is_empty(&self->flying));
  lk_buf_truncate(&self->text, 0);
  lk_err err = lk_gcounter_encode(&self->next, &self->text);
  if (err != LK_OK) return err;
  lk_room_effect effect = { .kind = LK_ROOM_JOURNAL,
                            .ticket = self->ticket_next,
                            .payload = lk_buf_slice(&self->text) };
  if ((err = lk_effects_push(&self->effects, &effect)) != LK_OK) return err;
  swap(&self->flying, &self->next);
  self->ticket_next++;
  self->in_flight = true;
  return LK_OK;
}

static lk_err answer_waiting(lk_room *self, uint64_t ticket, lk_slice change) {
  while (self->waiting.first != NULL) {
    waiter *w = LK_CONTAINER(self->waiting.first, waiter, link);
    if (w->ticket > ticket) break;
    lk_room_effect effect = { .kind = LK_ROOM_REPLY,
                              .member = w->member,
                              .request = w->request,
                              .ok = true,
                              .payload = change };
    lk_list_remove(&self->waiting, &w->link);
    lk_err err = lk_effects_push(&self->effects, &effect);
    free_waiter(self, w);
    if (err != LK_OK) return err;
  }
  return LK_OK;
}

static lk_err on_journaled(lk_room *self, const lk_room_input *input) {
  lk_slice change;
  LK_ASSERT(self->in_flight && input->ticket == self->ticket_next - 1);
  self->in_flight = false;
  lk_err err = lk_gcounter_merge(&self->durable, &self->flying, NULL);
  /* Those who asked know their change; the broadcast tells it to everybody once. */
  if (err == LK_OK) err = render(self, NULL, NULL, &change);
  if (err == LK_OK) err = answer_waiting(self, input->ticket, change);
  if (err == LK_OK) err = render(self, &self->flying, NULL, &change);
  if (err != LK_OK) return err;
  lk_room_effect effect = { .kind = LK_ROOM_BROADCAST,
                            .event = LK_LIT("state_updated"),
                            .payload = change };
  if ((err = lk_effects_push(&self->effects, &effect)) != LK_OK) return err;
  lk_gcounter_deinit(&self->flying);
  lk_gcounter_init(&self->flying, self->env->alloc, self->limits);
  return !lk_gcounter_is_empty(&self->next) ? begin_journal(self) : LK_OK;
}

static lk_err on_snapshot(lk_room *self) {
  lk_buf_truncate(&self->text, 0);
  lk_err err = lk_gcounter_encode(&self->durable, &self->text);
  if (err != LK_OK) return err;
  lk_room_effect effect = { .kind = LK_ROOM_SNAPSHOT_DONE, .payload = lk_buf_slice(&self->text) };
  return lk_effects_push(&self->effects, &effect);
}

/* ---- inputs ---- */

static lk_err on_join(lk_room *self, const lk_room_input *input) {
  lk_room_effect effect = { .kind = LK_ROOM_ACCEPT,
                            .member = input->member,
                            .request = input->request };
  lk_err err = render(self, &self->durable, &input->entropy, &effect.payload);
  return err == LK_OK ? lk_effects_push(&self->effects, &effect) : err;
}

static lk_err answer_now(lk_room *self, const lk_room_input *input, const lk_gcounter *counts) {
  lk_room_effect effect = {
    .kind = LK_ROOM_REPLY, .member = input->member, .request = input->request, .ok = true
  };
  lk_err err = render(self, counts, NULL, &effect.payload);
  return err == LK_OK ? lk_effects_push(&self->effects, &effect) : err;
}

/* Everything that may be shown. */
static lk_err on_get(lk_room *self, const lk_room_input *input) {
  return answer_now(self, input, &self->durable);
}

/* Nothing new came in, but perhaps it is not durable yet: then the answer waits for what is under
 * way and what gathers behind it. */
static lk_err answer_known(lk_room *self, const lk_room_input *input) {
  if (!self->in_flight) return answer_now(self, input, NULL);
  LK_COVERED(counter_room_known_but_not_durable);
  return wait_for(self, input,
                  !lk_gcounter_is_empty(&self->next) ? self->ticket_next : self->ticket_next - 1);
}

#ifdef LK_BUG_ACK_EARLY
static lk_err begin_and_answer(lk_room *self, const lk_room_input *input) {
  lk_err err = self->in_flight ? LK_OK : begin_journal(self);
  return err == LK_OK ? answer_now(self, input, NULL) : err;
}
#endif

static size_t json_len_max(const lk_room *self) { return self->limits->ws_output_bytes / 2; }

/* What an entry takes as JSON at most: "actor":18446744073709551615, with each byte escaped. */
static size_t entry_json_len(lk_slice actor) {
  size_t len = 24;
  for (size_t i = 0; i < actor.len; i++) {
    uint8_t c = actor.ptr[i];
    len += c < 0x20 || c == '"' || c == '\\' ? 6 : 1;
  }
  return len;
}

static size_t counts_json_len(const lk_gcounter *counts) {
  size_t len = 0;
  uint32_t cursor = 0;
  uint64_t count;
  lk_slice actor;
  while (lk_gcounter_next(counts, &cursor, &actor, &count)) len += entry_json_len(actor);
  return len;
}

/* Of those entries of |news| whose actors are new to the room. */
static size_t new_json_len(const lk_room *self, const lk_gcounter *news) {
  size_t len = 0;
  uint32_t cursor = 0;
  uint64_t count;
  lk_slice actor;
  while (lk_gcounter_next(news, &cursor, &actor, &count)) {
    if (lk_gcounter_count_of(&self->counter, actor) == 0) len += entry_json_len(actor);
  }
  return len;
}

/* Takes in |delta|, all of it or nothing. */
static lk_err change(lk_room *self, const lk_room_input *input, const lk_gcounter *delta) {
  bool changed;
  /* One completion answers everybody who waits, and then broadcasts and journals: all of that must
   * fit into the queue of effects, or the room would end of it. */
  if ((uint64_t)self->waiting.count + EFFECTS_BESIDE_REPLIES >= self->limits->room_effects_count) {
    return refuse(self, input, LK_ERR_FULL, LK_SLICE_EMPTY);
  }
  lk_gcounter news;
  lk_gcounter_init(&news, self->env->alloc, self->limits);
  lk_err err = lk_gcounter_diff(delta, &self->counter, &news);
  size_t json_len = self->json_len + new_json_len(self, &news);
  if (err == LK_OK && json_len > json_len_max(self)) {
    LK_COVERED(counter_room_is_full);
    err = LK_ERR_LIMIT;
  }
  if (err == LK_OK) err = lk_gcounter_merge(&self->counter, &news, &changed);
  if (err != LK_OK) {
    lk_gcounter_deinit(&news);
    return refuse(self, input, err, LK_LIT("counts"));
  }
  self->json_len = json_len;
  /* |next| holds a part of |counter|: it can hit no limit that |counter| did not, only memory. */
  err = lk_gcounter_merge(&self->next, &news, NULL);
  lk_gcounter_deinit(&news);
  if (err != LK_OK) return err;
  if (!changed) return answer_known(self, input);
#ifdef LK_BUG_ACK_EARLY /* planted for the simulator, which must find it: sim/README.md */
  return begin_and_answer(self, input);
#else
  err = wait_for(self, input, self->ticket_next);
  if (err == LK_OK && !self->in_flight) err = begin_journal(self);
  return err;
#endif
}

static lk_err read_amount(lk_room *self, lk_slice payload, uint64_t *out) {
  lk_json_member inner = { .name = LK_LIT("payload") }, amount = { .name = LK_LIT("amount") };
  lk_json_reader in;
  lk_err err = lk_json_reader_init(&in, payload, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, &inner, 1);
  if (err == LK_OK && inner.value.kind != LK_JSON_OBJECT_BEGIN) err = LK_ERR_PAYLOAD;
  if (err == LK_OK) err = lk_json_reader_init(&in, inner.raw, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, &amount, 1);
  if (err == LK_OK) err = lk_json_get_u64(&amount.value, out);
  return err == LK_ERR_TYPE ? LK_ERR_PAYLOAD : err;
}

static void set_actor(lk_room *self, lk_slice actor) {
  memcpy(self->actor, actor.ptr, actor.len);
  self->actor_len = (uint32_t)actor.len;
}

static void make_actor(lk_room *self, uint64_t entropy) {
  uint8_t name[ROOM_ACTOR_LEN], bytes[8];
  lk_store_be64(bytes, entropy);
  memcpy(name, room_prefix, sizeof room_prefix);
  lk_hex_store(name + sizeof room_prefix, lk_slice_of(bytes, sizeof bytes));
  set_actor(self, lk_slice_of(name, sizeof name));
}

/* The actor of an earlier opening. */
static void find_actor(lk_room *self) {
  uint32_t cursor = 0;
  uint64_t count;
  lk_slice actor;
  while (lk_gcounter_next(&self->counter, &cursor, &actor, &count)) {
    if (actor.len != ROOM_ACTOR_LEN) continue;
    if (!lk_slice_starts_with(actor, lk_slice_of(room_prefix, sizeof room_prefix))) continue;
    set_actor(self, actor);
    return;
  }
}

static lk_err on_increment(lk_room *self, const lk_room_input *input) {
  uint64_t amount, count;
  lk_err err = read_amount(self, input->payload, &amount);
  if (err == LK_OK && amount == 0) err = LK_ERR_RANGE;
  if (err != LK_OK) return refuse(self, input, err, LK_LIT("payload.amount"));
  if (input->applied) {
    LK_COVERED(counter_room_answers_what_is_applied);
    return answer_known(self, input);
  }
  if (self->actor_len == 0) make_actor(self, input->entropy);
  lk_slice actor = lk_slice_of(self->actor, self->actor_len);
  /* The sum bounds each count, so a sum that fits leaves room for the count. */
  if (!lk_add_u64(lk_gcounter_value(&self->counter), amount, &count)) {
    return refuse(self, input, LK_ERR_OVERFLOW, LK_LIT("payload.amount"));
  }
  lk_gcounter delta;
  lk_gcounter_init(&delta, self->env->alloc, self->limits);
  count = lk_gcounter_count_of(&self->counter, actor) + amount;
  err = lk_gcounter_increment(&delta, actor, count);
  err = err == LK_OK ? change(self, input, &delta) : refuse(self, input, err, LK_SLICE_EMPTY);
  lk_gcounter_deinit(&delta);
  return err;
}

static lk_err on_merge(lk_room *self, const lk_room_input *input) {
  lk_gcounter delta;
  lk_gcounter_init(&delta, self->env->alloc, self->limits);
  lk_err err = lk_gcounter_decode_json(&delta, input->payload);
  err = err == LK_OK ? change(self, input, &delta) : refuse(self, input, err, LK_LIT("counts"));
  lk_gcounter_deinit(&delta);
  return err;
}

static lk_err on_message(lk_room *self, const lk_room_input *input) {
  static const struct {
    lk_slice event;
    lk_err (*run)(lk_room *, const lk_room_input *);
  } rules[] = {
    { LK_LIT_INIT("crdt.increment"), on_increment },
    { LK_LIT_INIT("crdt.merge"), on_merge },
    { LK_LIT_INIT("crdt.get"), on_get },
  };
  lk_arena_reset(&self->scratch);
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    if (lk_slice_equal(rules[i].event, input->event)) return rules[i].run(self, input);
  }
  return refuse(self, input, LK_ERR_UNKNOWN_EVENT, LK_SLICE_EMPTY);
}

/* It may have missed changes while there was no room: it gets all of them, which does no harm to who has
 * them. */
static lk_err on_restore(lk_room *self, const lk_room_input *input) {
  lk_room_effect effect = { .kind = LK_ROOM_PUSH,
                            .member = input->member,
                            .event = LK_LIT("state_updated") };
  lk_err err = render(self, &self->durable, NULL, &effect.payload);
  return err == LK_OK ? lk_effects_push(&self->effects, &effect) : err;
}

static void on_leave(lk_room *self, uint64_t member) {
  for (lk_link *at = self->waiting.first, *next; at != NULL; at = next) {
    waiter *w = LK_CONTAINER(at, waiter, link);
    next = at->next;
    if (w->member != member) continue;
    lk_list_remove(&self->waiting, at);
    free_waiter(self, w);
  }
}

static lk_err step(lk_room *self, const lk_room_input *input) {
  switch (input->kind) {
  case LK_ROOM_JOIN: return on_join(self, input);
  case LK_ROOM_RESTORE: return on_restore(self, input);
  case LK_ROOM_MESSAGE:
  case LK_ROOM_QUERY: return on_message(self, input);
  case LK_ROOM_JOURNALED: return on_journaled(self, input);
  case LK_ROOM_SNAPSHOT: return on_snapshot(self);
  case LK_ROOM_LEAVE: on_leave(self, input->member); return LK_OK;
  case LK_ROOM_TICK: return LK_OK; /* this room sets no timer */
  }
  LK_UNREACHABLE();
}

static bool poll(lk_room *self, lk_room_effect *out) {
  return lk_effects_poll(&self->effects, out);
}

/* ---- life ---- */

static void close_room(lk_room *self) {
  const lk_alloc *alloc = self->env->alloc;
  for (lk_link *at; (at = lk_list_pop_first(&self->waiting)) != NULL;) {
    free_waiter(self, LK_CONTAINER(at, waiter, link));
  }
  lk_gcounter_deinit(&self->counter);
  lk_gcounter_deinit(&self->durable);
  lk_gcounter_deinit(&self->next);
  lk_gcounter_deinit(&self->flying);
  lk_effects_deinit(&self->effects);
  lk_arena_deinit(&self->scratch);
  lk_buf_deinit(&self->text);
  lk_free_bytes(alloc, self, sizeof *self);
}

static lk_err take_record(lk_room *self, lk_slice record) {
  lk_gcounter change;
  lk_gcounter_init(&change, self->env->alloc, self->limits);
  lk_err err = lk_gcounter_decode(&change, record);
  if (err == LK_OK) err = lk_gcounter_merge(&self->counter, &change, NULL);
  lk_gcounter_deinit(&change);
  return err;
}

static lk_err recover(lk_room *self, const lk_room_options *options) {
  lk_err err = LK_OK;
  if (options->recovered.len > 0) err = lk_gcounter_decode(&self->counter, options->recovered);
  for (size_t i = 0; err == LK_OK && i < options->records_count; i++)
    err = take_record(self, options->records[i]);
  if (err == LK_OK) err = lk_gcounter_merge(&self->durable, &self->counter, NULL);
  if (err != LK_OK) return err;
  self->json_len = counts_json_len(&self->counter);
  if (options->intact) find_actor(self);
  return LK_OK;
}

static lk_err open_room(const lk_room_options *options, lk_room **out) {
  lk_room *self = lk_alloc_bytes(options->env->alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  const lk_alloc *alloc = options->env->alloc;
  *self = (lk_room){
    .env = options->env, .limits = options->limits, .level = options->level, .ticket_next = 1
  };
  lk_gcounter_init(&self->counter, alloc, options->limits);
  lk_gcounter_init(&self->durable, alloc, options->limits);
  lk_gcounter_init(&self->next, alloc, options->limits);
  lk_gcounter_init(&self->flying, alloc, options->limits);
  lk_effects_init(&self->effects, alloc, options->limits);
  lk_arena_init(&self->scratch, alloc, (size_t)options->limits->json_bytes * 4);
  lk_buf_init(&self->text, alloc,
              (size_t)options->limits->crdt_state_bytes * 8); /* as JSON, escaped */
  lk_err err = recover(self, options);
  if (err != LK_OK) {
    close_room(self);
    return err;
  }
  *out = self;
  return LK_OK;
}

const lk_room_kind lk_counter_room_kind = {
  .size = sizeof(lk_room_kind),
  .name = "crdt",
  .open = open_room,
  .close = close_room,
  .step = step,
  .poll = poll,
  .is_kept = true,
};
