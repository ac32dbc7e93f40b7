/* room/doc_room.c -- one document and its members.
 *
 *   update ──> is it news? ──> lk_doc_apply ──> record ──JOURNAL t──> ... JOURNALED t ──> broadcast, reply
 *                │ no             │ refused
 *                v                v
 *      reply, when what       replica_refused
 *      is known is kept
 *
 * Nothing is said of what could still be lost. Whoever heard of an update may write behind it, and be acknowledged for that; if the
 * room died and its author was gone, what was acknowledged would wait for ever. So the others hear of an update
 * when it is durable, and who joins meanwhile, or asks what there is, is answered when that is (room/held.h).
 *
 * What is written down and who waits for it: doc_journal.h. What who joins is given: doc_encoded.h. What members show
 * each other: doc_awareness.h, and doc_shown.c, where that meets presence. The other files of this room: doc_parts.h.
 *
 * Effects point to what lives as long as they: the input, the journal's records, |text|. Each step puts at most one
 * payload into |text|; other things that are made for one effect are copied. */
#include "room/doc_parts.h"

#include "room/doc_query.h"

static lk_err arm_timer(lk_room *self) {
  uint64_t at = lk_doc_room_sleep_at(self);
  if (self->awareness != NULL) at = lk_min_u64(at, lk_doc_awareness_deadline(self->awareness));
  if (at >= self->timer_at) return LK_OK; /* then it is looked at again */
  self->timer_at = at;
  return lk_doc_room_push(self, (lk_room_effect){ .kind = LK_ROOM_TIMER, .at_ms = at });
}

static lk_err on_leave(lk_room *self, const lk_room_input *input) {
  lk_doc_room_forget_note(self, input->member);
  lk_held_forget(&self->work->held, input->member);
  if (self->awareness == NULL) return lk_doc_room_unsee(self, input);
  lk_err err = lk_doc_awareness_leave(self->awareness, input->member, input->now_ms);
  if (err == LK_OK) err = lk_doc_room_unsee(self, input);
  return err == LK_OK ? lk_doc_room_tell_awareness(self, input->now_ms) : err;
}

lk_err lk_doc_room_tell_page(lk_room *self, const lk_room_input *input) {
  bool is_join = input->kind != LK_ROOM_RENDER;
  lk_buf page;
  lk_err err = lk_doc_room_wake(self, input);
  if (err == LK_OK && self->rendered == NULL) {
    self->rendered = lk_alloc_bytes(self->env->alloc, sizeof *self->rendered);
    if (self->rendered == NULL) return LK_ERR_NOMEM;
    lk_doc_rendered_init(self->rendered, self->env->alloc, self->seed);
  }
  if (err != LK_OK) return err;
  lk_buf_init(&page, self->env->alloc, self->limits->bus_frame_bytes);
  err = lk_doc_rendered_write(self->rendered, self->doc, is_join, &page);
  if (err == LK_OK && page.len > 0) {
    err = lk_doc_room_push_kept_copy(
        self, (lk_room_effect){ .kind = is_join ? LK_ROOM_PUSH : LK_ROOM_BROADCAST,
                                .member = is_join ? input->member : 0,
                                .event = LK_LIT("render"),
                                .payload = lk_buf_slice(&page),
                                .profiles = lk_profile_only(LK_PROFILE_MINIMAL) });
  }
  lk_buf_deinit(&page);
  return err == LK_ERR_LIMIT ? LK_OK : err; /* too long for a message: it is not told */
}

static lk_err on_read(lk_room *self, const lk_room_input *input) {
  lk_doc_reading reading;
  lk_err err = lk_doc_room_wake(self, input);
  lk_buf_truncate(&self->work->text, 0);
  if (err == LK_OK)
    err = lk_doc_query_read(self->doc, self->limits, &self->work->scratch, input->payload,
                            &self->work->text, &reading);
  if (err != LK_OK) return err;
  return lk_doc_room_push_kept(self,
                               (lk_room_effect){ .kind = LK_ROOM_REPLY,
                                                 .is_reading = true,
                                                 .member = input->member,
                                                 .request = input->request,
                                                 .ok = reading.ok,
                                                 .binary = reading.binary,
                                                 .payload = lk_buf_slice(&self->work->text) });
}

static lk_err on_message(lk_room *self, const lk_room_input *input) {
  static const struct {
    lk_slice event;
    lk_err (*run)(lk_room *, const lk_room_input *);
  } rules[] = {
    { LK_LIT_INIT("client_update"), lk_doc_room_on_client_update },
    { LK_LIT_INIT("yjs"), lk_doc_room_on_yjs },
    { LK_LIT_INIT("yjs_sync"), lk_doc_room_on_yjs_sync },
    { LK_LIT_INIT("awareness"), lk_doc_room_on_awareness },
    { LK_LIT_INIT("sync"), lk_doc_room_on_sync },
    { LK_LIT_INIT("read"), on_read },
    { LK_LIT_INIT("phx_too_big"), lk_doc_room_on_too_big },
    { LK_LIT_INIT("phx_too_big_inside"), lk_doc_room_on_too_big },
  };
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    if (lk_slice_equal(rules[i].event, input->event)) return rules[i].run(self, input);
  }
  if (lk_doc_room_is_of_versions(input->event)) return lk_doc_room_on_version(self, input);
  return lk_doc_room_refuse(self, input, NULL, LK_ERR_UNKNOWN_EVENT, LK_SLICE_EMPTY);
}

/* Whatever was ever written is in a record that says which document this is. */
static lk_err on_create(lk_room *self, const lk_room_input *input) {
  if (self->generation_is_kept && !input->applied)
    return lk_doc_room_refuse(self, input, NULL, LK_ERR_EXISTS, LK_LIT("topic"));
  return lk_doc_room_on_client_update(self, input);
}

/* Which document this is, and how far it has come: its generation in eight bytes, big endian, and its state vector. */
static lk_err on_position(lk_room *self, const lk_room_input *input) {
  uint8_t generation[8];
  if (!self->generation_is_kept)
    return lk_doc_room_refuse(self, input, NULL, LK_ERR_NOT_FOUND, LK_LIT("topic"));
  lk_err err = lk_doc_room_wake(self, input);
  lk_buf *out = &self->work->text;
  if (err != LK_OK) return err;
  lk_store_be64(generation, self->generation);
  lk_buf_truncate(out, 0);
  (void)lk_buf_append(out, lk_slice_of(generation, sizeof generation));
  err = lk_doc_state_vector(self->doc, out);
  if (err != LK_OK) return err;
  return lk_doc_room_push_kept(self, (lk_room_effect){ .kind = LK_ROOM_REPLY,
                                                       .is_reading = true,
                                                       .member = input->member,
                                                       .request = input->request,
                                                       .ok = true,
                                                       .binary = true,
                                                       .payload = lk_buf_slice(out) });
}

/* Who is in no room can ask what it says, and add to it. */
static lk_err on_query(lk_room *self, const lk_room_input *input) {
  if (lk_slice_equal(input->event, LK_LIT("create"))) return on_create(self, input);
  if (lk_slice_equal(input->event, LK_LIT("client_update")))
    return lk_doc_room_on_client_update(self, input);
  if (lk_slice_equal(input->event, LK_LIT("read"))) return on_read(self, input);
  if (lk_slice_equal(input->event, LK_LIT("position"))) return on_position(self, input);
  if (lk_doc_room_is_of_versions(input->event)) return lk_doc_room_on_version(self, input);
  return lk_doc_room_refuse(self, input, NULL, LK_ERR_UNKNOWN_EVENT, LK_SLICE_EMPTY);
}

static lk_err on_tick(lk_room *self, const lk_room_input *input) {
  self->timer_at = LK_DOC_ROOM_NEVER;
  if (lk_doc_room_sleep_at(self) <= input->now_ms) lk_doc_room_fall_asleep(self, input->now_ms);
  return lk_doc_room_tell_awareness(self, input->now_ms);
}

static lk_err run(lk_room *self, const lk_room_input *input) {
  switch (input->kind) {
  case LK_ROOM_JOIN: return lk_doc_room_on_join(self, input);
  case LK_ROOM_RESTORE: return lk_doc_room_on_restore(self, input);
  case LK_ROOM_MESSAGE: return on_message(self, input);
  case LK_ROOM_QUERY: return on_query(self, input);
  case LK_ROOM_JOURNALED: return lk_doc_room_on_journaled(self, input);
  case LK_ROOM_SNAPSHOT: return lk_doc_room_on_snapshot(self);
  case LK_ROOM_LEAVE: return on_leave(self, input);
  case LK_ROOM_TICK: return on_tick(self, input);
  case LK_ROOM_LAG: return lk_doc_room_on_lag(self, input);
  case LK_ROOM_CATCH_UP: return lk_doc_room_on_catch_up(self, input);
  case LK_ROOM_LOOK: return lk_doc_room_on_look(self, input);
  case LK_ROOM_SEEN: return lk_doc_room_on_seen(self, input);
  case LK_ROOM_RENDER: return lk_doc_room_tell_page(self, input);
  }
  LK_UNREACHABLE();
}

/* Each answer to one of these may be as long as the document. */
static bool asks_for_all(const lk_room_input *input) {
  if (input->kind == LK_ROOM_JOIN) return true;
  if (input->kind != LK_ROOM_MESSAGE && input->kind != LK_ROOM_QUERY) return false;
  return lk_slice_equal(input->event, LK_LIT("sync")) ||
         lk_slice_equal(input->event, LK_LIT("read")) || lk_doc_room_is_of_versions(input->event);
}

lk_err lk_doc_room_step(lk_room *self, const lk_room_input *input) {
  lk_err err = lk_doc_room_begin_work(self);
  if (err == LK_OK) self->work->journal.turn = input->turn;
  if (err == LK_OK && lk_doc_room_is_busy(self) && asks_for_all(input))
    err = lk_doc_room_refuse(self, input, "busy", LK_ERR_LIMIT, LK_SLICE_EMPTY);
  else if (err == LK_OK) err = run(self, input);
  return err == LK_OK ? arm_timer(self) : err;
}

/* First what the last step said, then what became durable: what was held for no more than that, news for the others, and
 * answers to their authors, one for each poll. */
static bool poll_work(lk_room *self, lk_room_effect *out) {
  lk_doc_work *w = self->work;
  lk_doc_waiter waiter;
  const lk_held_point reached = { w->journal.ticket_kept, w->journal.updates_told };
  if (lk_effects_poll(&w->effects, out) || lk_held_poll(&w->held, reached, out)) return true;
  if (lk_doc_room_poll_news(self, out)) return true;
  if (!lk_doc_journal_poll(&w->journal, &waiter)) return false;
  *out = lk_doc_room_reply_ok(self, waiter.member, waiter.request);
  return true;
}

static bool poll(lk_room *self, lk_room_effect *out) {
  if (self->work == NULL) return false;
  if (poll_work(self, out)) return true;
  lk_doc_room_end_work(self);
  return false;
}

static lk_err merge(const lk_env *env, lk_slice event, const lk_slice *payloads, size_t count,
                    lk_buf *out) {
  if (lk_slice_equal(event, LK_LIT("server_update")))
    return lk_update_compact(env, LK_UPDATE_V1, payloads, count, out);
  if (lk_slice_equal(event, LK_LIT("awareness")))
    return lk_doc_room_merge_awareness(payloads, count, out);
  return LK_ERR_UNSUPPORTED;
}

const lk_room_kind lk_doc_room_kind = {
  .size = sizeof(lk_room_kind),
  .name = "doc",
  .open = lk_doc_room_open_room,
  .close = lk_doc_room_close_room,
  .step = lk_doc_room_step,
  .poll = poll,
  .is_kept = true,
  .has_cursors = true,
  .has_replicas = true,
  .catches_up = true,
  .knows_people = true,
  .renders = true,
  .merge = merge,
};
