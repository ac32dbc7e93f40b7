/* room/crdt_room.c -- one object, its journal, and those who wait for it.
 *
 * A change is made in the object's |state| at once and shown to nobody. It waits in two places: its delta in the
 * journal's |next|, whoever asked for it among the journal's |waiting|. At most one record is under way; what changes
 * meanwhile gathers for the next one, and the storage decides how many share a write. Joins and reads never wait: they
 * are answered from what is |shown|.
 *
 *   JOIN, get, render ───────────────────────────────────────────> shown: crdt_members.c
 *   command ──> executed once, by request_id: crdt_execution.c ─┐
 *   merge ────> checked and narrowed: crdt_merges.c ────────────┴> state ─> journal.next ─> JOURNAL
 *   JOURNALED ─> merged into shown; who waited is answered, and all are told: crdt_replies.c
 *
 * When nobody says anything for a while the object is packed (crdt_copies.h), and the buffers go that a busy room needs.
 *
 * A journal that fails ends the room. What was not acknowledged then is gone here, and comes back from the replicas,
 * which send again what was not confirmed, and from clients, which do so under the same request_id.
 *
 * Always: state == shown + flying + next (as merges). */
#include "room/crdt_parts.h"

#include "channel/refusal.h"
#include "room/crdt_news.h"

/* After so long without an input an object is packed, unless its bytes are many. */
#define PACKED_AFTER_MS 5000u
/* Buffers that are larger do not stay from one input to the next. */
#define BUFFER_KEPT_MAX 128u

/* ---- inputs ---- */

/* What is executed already needs no space, nor does an answer that was lost. */
static bool lacks_space(lk_room *self, const lk_room_input *input) {
  bool is_known = false;
  if (!input->is_full || input->applied) return false;
  return input->binary || lk_crdt_room_is_executed(self, input->payload, &is_known) != LK_OK ||
         !is_known;
}

/* A replica goes on from what it wanted merged. */
static lk_err refuse_for_space(lk_room *self, const lk_room_input *input, bool is_behind) {
  lk_room_effect effect = { .kind = LK_ROOM_REPLY,
                            .member = input->member,
                            .request = input->request,
                            .result = LK_ERR_NO_SPACE,
                            .is_behind = is_behind };
  lk_err err = lk_crdt_answer_error(&self->answers, LK_LIT("storage_full"), LK_SLICE_EMPTY,
                                    LK_RETRY_SOON_MS, lk_slice_cstr(lk_err_text(LK_ERR_NO_SPACE)),
                                    &effect.payload);
  return err == LK_OK ? lk_effects_push(&self->effects, &effect) : err;
}

lk_err lk_crdt_room_on_message(lk_room *self, const lk_room_input *input) {
  static const struct {
    lk_slice event;
    lk_err (*run)(lk_room *, const lk_room_input *);
    bool changes;
  } rules[] = {
    { LK_LIT_INIT("crdt.get"), lk_crdt_room_on_get, false },
    { LK_LIT_INIT("crdt.subscribe"), lk_crdt_room_on_get, false },
    { LK_LIT_INIT("render"), lk_crdt_room_on_render, false },
    { LK_LIT_INIT("crdt.merge"), lk_crdt_room_on_merge, true },
    { LK_LIT_INIT("increment"), lk_crdt_room_on_command, true },
  };
  lk_err (*run)(lk_room *, const lk_room_input *) = NULL;
  bool changes = true;
  if (lk_slice_starts_with(input->event, LK_LIT("crdt."))) run = lk_crdt_room_on_command;
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    if (!lk_slice_equal(rules[i].event, input->event)) continue;
    run = rules[i].run;
    changes = rules[i].changes;
  }
  if (run == NULL) return lk_crdt_room_refuse(self, input, LK_ERR_UNKNOWN_EVENT, LK_SLICE_EMPTY);
  if (changes && input->rights == LK_RIGHTS_READ) {
    return lk_crdt_room_refuse_with(self, input, LK_LIT("read_only"), LK_SLICE_EMPTY,
                                    LK_LIT("you may read this and not change it"));
  }
  if (changes && lacks_space(self, input))
    return refuse_for_space(self, input, run == lk_crdt_room_on_merge);
  return run(self, input);
}

/* What is under way is not in it: it might come a second time. */
static lk_err on_snapshot(lk_room *self) {
  uint32_t fresh = lk_crdt_journal_requests_fresh(&self->journal);
  uint32_t durable = self->requests.count - lk_min_u32(fresh, self->requests.count);
  lk_err err = lk_crdt_room_settle_type(self, NULL);
  if (err != LK_OK) return err;
  lk_buf_truncate(&self->bytes, 0);
  lk_crdt_record_begin(lk_crdt_author_id(&self->author), &self->requests, durable, fresh,
                       &self->bytes);
  if ((err = lk_crdt_encode(self->copies.shown, &self->bytes)) != LK_OK) return err;
  lk_room_effect effect = { .kind = LK_ROOM_SNAPSHOT_DONE, .payload = lk_buf_slice(&self->bytes) };
  return lk_effects_push(&self->effects, &effect);
}

static lk_err set_timer(lk_room *self) {
  lk_room_effect effect = { .kind = LK_ROOM_TIMER, .at_ms = self->used_ms + PACKED_AFTER_MS };
  self->timer_is_set = true;
  return lk_effects_push(&self->effects, &effect);
}

/* One timer at a time: what happened meanwhile only moves the next one. */
static lk_err on_tick(lk_room *self, const lk_room_input *input) {
  bool is_busy = self->journal.in_flight;
  self->timer_is_set = false;
  if (self->copies.shown == NULL) return LK_OK;
  if (is_busy) self->used_ms = lk_max_u64(self->used_ms, input->now_ms);
  if (is_busy || input->now_ms < self->used_ms + PACKED_AFTER_MS) return set_timer(self);
  if (!lk_crdt_copies_pack(&self->copies)) return LK_OK;
  lk_crdt_journal_rest(&self->journal, 0);
  lk_crdt_answers_rest(&self->answers, 0);
  lk_buf_rest(&self->bytes, 0);
  return LK_OK;
}

static lk_err take_input(lk_room *self, const lk_room_input *input) {
  switch (input->kind) {
  case LK_ROOM_JOIN: return lk_crdt_room_on_join(self, input);
  case LK_ROOM_RESTORE: return lk_crdt_room_on_restore(self, input);
  case LK_ROOM_MESSAGE: return lk_crdt_room_on_message(self, input);
  case LK_ROOM_QUERY: return lk_crdt_room_on_query(self, input);
  case LK_ROOM_JOURNALED: return lk_crdt_room_on_journaled(self, input);
  case LK_ROOM_SNAPSHOT: return on_snapshot(self);
  case LK_ROOM_LEAVE: lk_crdt_room_on_leave(self, input); return LK_OK;
  case LK_ROOM_TICK: return on_tick(self, input);
  case LK_ROOM_RENDER: return lk_crdt_room_tell_page(self, 0);
  case LK_ROOM_LAG: return lk_crdt_room_on_lag(self, input);
  case LK_ROOM_CATCH_UP: return lk_crdt_room_on_catch_up(self, input);
  case LK_ROOM_LOOK:
  case LK_ROOM_SEEN: return LK_OK; /* it knows nobody from elsewhere */
  }
  LK_UNREACHABLE();
}

/* Gives back what only a busy room needs. */
static void rest(lk_room *self) {
  size_t scratch_max = self->scratch.max;
  lk_arena_deinit(&self->scratch);
  lk_arena_init(&self->scratch, self->env->alloc, scratch_max);
  lk_crdt_journal_rest(&self->journal, BUFFER_KEPT_MAX);
  lk_crdt_answers_rest(&self->answers, BUFFER_KEPT_MAX);
  lk_buf_rest(&self->bytes, BUFFER_KEPT_MAX);
  if (!self->journal.in_flight) lk_crdt_copies_rest(&self->copies);
}

static lk_err step(lk_room *self, const lk_room_input *input) {
  bool needs_object = input->kind != LK_ROOM_TICK && input->kind != LK_ROOM_LEAVE;
  lk_err err = needs_object ? lk_crdt_copies_unpack(&self->copies) : LK_OK;
  if (err == LK_OK) err = take_input(self, input);
  if (needs_object) self->used_ms = input->now_ms;
  /* A completion has effects enough; what it completes has set the timer. */
  bool may_set = needs_object && input->kind != LK_ROOM_JOURNALED && !self->timer_is_set;
  if (err == LK_OK && may_set && self->copies.shown != NULL) err = set_timer(self);
  rest(self);
  return err;
}

static bool poll(lk_room *self, lk_room_effect *out) {
  if (lk_effects_poll(&self->effects, out)) return true;
  lk_effects_deinit(&self->effects);
  lk_effects_init(&self->effects, self->env->alloc, self->limits);
  return false;
}

static lk_err merge(const lk_env *env, lk_slice event, const lk_slice *payloads, size_t count,
                    lk_buf *out) {
  if (!lk_slice_equal(event, LK_LIT("state_updated"))) return LK_ERR_UNSUPPORTED;
  return lk_crdt_news_merge(env, payloads, count, out);
}

/* ---- life ---- */

static void close_room(lk_room *self) {
  const lk_alloc *alloc = self->env->alloc;
  lk_crdt_copies_deinit(&self->copies);
  lk_crdt_journal_deinit(&self->journal);
  lk_crdt_requests_deinit(&self->requests);
  lk_crdt_answers_deinit(&self->answers);
  lk_effects_deinit(&self->effects);
  lk_arena_deinit(&self->scratch);
  lk_buf_deinit(&self->bytes);
  lk_free_bytes(alloc, (void *)(uintptr_t)self->name.ptr, self->name.len);
  lk_free_bytes(alloc, self, sizeof *self);
}

static lk_err take_record(lk_room *self, lk_slice record) {
  lk_slice actor, state;
  lk_err err = lk_crdt_record_read(record, &self->requests, &actor, &state);
  if (err != LK_OK) return err;
  if (actor.len > 0) lk_crdt_author_take(&self->author, actor);
  if (self->copies.type == NULL) {
    const lk_crdt_type *type = lk_crdt_type_of(state.ptr[0]);
    if (type == NULL) return LK_ERR_UNKNOWN_TYPE;
    if ((err = lk_crdt_copies_set_type(&self->copies, type)) != LK_OK) return err;
  }
  return lk_crdt_merge(self->copies.shown, state, NULL);
}

static lk_err recover(lk_room *self, const lk_room_options *options) {
  lk_err err = LK_OK;
  if (options->recovered.len > 0) err = take_record(self, options->recovered);
  for (size_t i = 0; err == LK_OK && i < options->records_count; i++)
    err = take_record(self, options->records[i]);
  if (!options->intact) lk_crdt_author_forget(&self->author);
  /* It is measured when the first change comes. */
  self->copies.bound = lk_crdt_trial_len_max(&self->copies);
  return err;
}

static lk_err copy_name(lk_room *self, lk_slice topic) {
  lk_slice name;
  (void)lk_slice_cut(topic, ':', &name);
  if (name.len == 0) return LK_OK;
  uint8_t *copy = lk_alloc_bytes(self->env->alloc, name.len);
  if (copy == NULL) return LK_ERR_NOMEM;
  memcpy(copy, name.ptr, name.len);
  self->name = lk_slice_of(copy, name.len);
  return LK_OK;
}

static lk_err open_room(const lk_room_options *options, lk_room **out) {
  const lk_alloc *alloc = options->env->alloc;
  lk_room *self = lk_alloc_bytes(alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_room){ .env = options->env, .limits = options->limits };
  lk_crdt_copies_init(&self->copies, alloc, options->limits);
  lk_crdt_journal_init(&self->journal, alloc);
  lk_crdt_requests_init(&self->requests, alloc, options->limits->room_requests_count);
  lk_crdt_answers_init(&self->answers, alloc, options->level);
  lk_effects_init(&self->effects, alloc, options->limits);
  lk_arena_init(&self->scratch, alloc, SIZE_MAX / 2);
  lk_buf_init(&self->bytes, alloc, SIZE_MAX / 2);
  lk_err err = copy_name(self, options->topic);
  if (err == LK_OK) err = recover(self, options);
  if (err != LK_OK) {
    close_room(self);
    return err;
  }
  *out = self;
  return LK_OK;
}

const lk_room_kind lk_crdt_room_kind = {
  .size = sizeof(lk_room_kind),
  .name = "crdt",
  .open = open_room,
  .close = close_room,
  .step = step,
  .poll = poll,
  .is_kept = true,
  .catches_up = true,
  .renders = true,
  .merge = merge,
};
