/* room/doc_answers.c -- what a member is told, and when. */
#include "room/doc_parts.h"

#include "channel/refusal.h"
#include "codec/json_writer.h"

#define HELD_PARTS 4 /* one room may hold so large a part of what may wait for an edge */

lk_err lk_doc_room_push(lk_room *self, lk_room_effect effect) {
  return lk_effects_push_borrowed(&self->work->effects, &effect);
}

lk_err lk_doc_room_push_copy(lk_room *self, lk_room_effect effect) {
  return lk_effects_push(&self->work->effects, &effect);
}

/* What is known of the document is durable, and nobody waits for that. */
static bool is_all_kept(const lk_room *self) {
  return lk_held_is_empty(&self->work->held) &&
         lk_doc_journal_is_kept(&self->work->journal, lk_doc_journal_ticket(&self->work->journal));
}

static lk_err hold(lk_room *self, const lk_room_effect *effect) {
  LK_COVERED(doc_room_holds);
  const lk_doc_journal *j = &self->work->journal;
  const lk_held_point point = { lk_doc_journal_ticket(j), j->updates_noted };
  return lk_held_push(&self->work->held, point, effect);
}

lk_err lk_doc_room_push_kept(lk_room *self, lk_room_effect effect) {
  return is_all_kept(self) ? lk_doc_room_push(self, effect) : hold(self, &effect);
}

lk_err lk_doc_room_push_kept_copy(lk_room *self, lk_room_effect effect) {
  return is_all_kept(self) ? lk_doc_room_push_copy(self, effect) : hold(self, &effect);
}

bool lk_doc_room_is_busy(const lk_room *self) {
  return self->work->held.bytes > self->limits->bus_output_bytes / HELD_PARTS;
}

lk_err lk_doc_room_push_bytes(lk_room *self, uint64_t member, lk_slice event, lk_slice bytes,
                              lk_message_dialect dialect) {
  return lk_doc_room_push_kept_copy(self, (lk_room_effect){ .kind = LK_ROOM_PUSH,
                                                            .member = member,
                                                            .event = event,
                                                            .payload = bytes,
                                                            .binary = true,
                                                            .dialect = dialect });
}

static void write_member(lk_json_writer *w, lk_slice key, lk_slice text) {
  if (text.len == 0) return;
  (void)lk_json_write_key(w, key);
  (void)lk_json_write_string(w, text);
}

/* {"reason":..., "field":..., "error":..., "limit":..., "retry_after_ms":..., "message":...}, those that there are. */
static lk_err write_refusal(lk_room *self, const outcome *o, lk_slice field) {
  lk_json_writer w;
  const char *reason = o->reason, *limit = o->limit;
  lk_err why = o->why;
  lk_slice name = why != LK_OK ? lk_slice_cstr(lk_err_name(why)) : LK_SLICE_EMPTY;
  lk_buf_truncate(&self->work->text, 0);
  lk_json_writer_init(&w, &self->work->text);
  (void)lk_json_begin_object(&w);
  write_member(&w, LK_LIT("reason"), reason != NULL ? lk_slice_cstr(reason) : name);
  write_member(&w, LK_LIT("field"), field);
  if (reason != NULL) write_member(&w, LK_LIT("error"), name);
  if (limit == NULL && why == LK_ERR_LIMIT && self->doc != NULL)
    limit = lk_doc_limit_hit(self->doc);
  if (limit != NULL) write_member(&w, LK_LIT("limit"), lk_slice_cstr(limit));
  if (why == LK_ERR_NO_SPACE) {
    (void)lk_json_write_key(&w, LK_LIT("retry_after_ms"));
    (void)lk_json_write_u64(&w, LK_RETRY_SOON_MS);
  }
  if (why != LK_OK) write_member(&w, LK_LIT("message"), lk_slice_cstr(lk_err_text(why)));
  (void)lk_json_end_object(&w);
  return lk_json_writer_finish(&w);
}

static lk_err refuse(lk_room *self, const lk_room_input *input, const outcome *o, lk_slice field) {
  lk_err why = o->why;
  if (why == LK_ERR_NOMEM) return why;
  lk_trace_emit(self->env, LK_TRACE_room_refused, input->member, (uint64_t)why, input->event);
  lk_err err = write_refusal(self, o, field);
  if (err != LK_OK) return err;
  return lk_doc_room_push(
      self, (lk_room_effect){ .kind = input->kind == LK_ROOM_JOIN ? LK_ROOM_REFUSE : LK_ROOM_REPLY,
                              .member = input->member,
                              .request = input->request,
                              .payload = lk_buf_slice(&self->work->text),
                              .result = why,
                              .is_behind = why == LK_ERR_NO_SPACE });
}

lk_err lk_doc_room_refuse(lk_room *self, const lk_room_input *input, const char *reason, lk_err why,
                          lk_slice field) {
  const outcome o = refused(reason, why);
  return refuse(self, input, &o, field);
}

/* What the answer to an update means. */
static lk_slice level_payload(const lk_room *self) {
  return lk_slice_equal(self->level, LK_LIT("durable")) ? LK_LIT("{\"level\":\"durable\"}")
                                                        : LK_LIT("{\"level\":\"memory\"}");
}

lk_room_effect lk_doc_room_reply_ok(const lk_room *self, uint64_t member, uint64_t request) {
  return (lk_room_effect){ .kind = LK_ROOM_REPLY,
                           .member = member,
                           .request = request,
                           .ok = true,
                           .payload = level_payload(self) };
}

lk_err lk_doc_room_answer(lk_room *self, const lk_room_input *input, const outcome *o) {
  if (o->reason != NULL) return refuse(self, input, o, LK_SLICE_EMPTY);
  if (lk_doc_journal_is_kept(&self->work->journal, o->ticket))
    return lk_doc_room_push(self, lk_doc_room_reply_ok(self, input->member, input->request));
  return lk_doc_journal_wait(&self->work->journal, o->ticket, input->member, input->request);
}
