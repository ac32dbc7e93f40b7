/* room/doc_shown.c -- what members show each other: doc_awareness.h, said and heard. */
#include "room/doc_parts.h"

#include "codec/varint.h"
#include "room/doc_payload.h"

lk_err lk_doc_room_tell_awareness(lk_room *self, uint64_t now_ms) {
  lk_buf update;
  if (self->awareness == NULL) return LK_OK;
  lk_buf_init(&update, self->env->alloc, self->limits->awareness_bytes);
  lk_err err = lk_doc_awareness_tick(self->awareness, now_ms, &update);
  if (err == LK_OK && update.len > 0) {
    const lk_room_effect news = { .kind = LK_ROOM_BROADCAST,
                                  .event = LK_LIT("awareness"),
                                  .payload = lk_buf_slice(&update),
                                  .binary = true };
    err = lk_doc_room_push_copy(self, news);
    /* Who is told later what was shown until now hears this after it. */
    if (err == LK_OK && !lk_held_is_empty(&self->work->held))
      err = lk_doc_room_push_kept_copy(self, news);
  }
  lk_buf_deinit(&update);
  return err;
}

static lk_err make_awareness(lk_room *self) {
  if (self->awareness != NULL) return LK_OK;
  self->awareness = lk_alloc_bytes(self->env->alloc, sizeof *self->awareness);
  if (self->awareness == NULL) return LK_ERR_NOMEM;
  lk_doc_awareness_init(self->awareness, self->env->alloc, self->limits, self->seed);
  return LK_OK;
}

lk_err lk_doc_room_take_awareness(lk_room *self, const lk_room_input *input, lk_slice update,
                                  outcome *out) {
  *out = (outcome){ 0 };
  lk_err err = make_awareness(self);
  if (err == LK_OK)
    err = lk_doc_awareness_take(self->awareness, input->member, update, input->now_ms);
  if (err != LK_OK && err != LK_ERR_NOMEM) {
    *out = refused("awareness", err);
    return LK_OK;
  }
  return err == LK_OK ? lk_doc_room_tell_awareness(self, input->now_ms) : err;
}

lk_err lk_doc_room_push_awareness(lk_room *self, uint64_t member) {
  lk_buf update;
  if (self->awareness == NULL) return LK_OK;
  lk_buf_init(&update, self->env->alloc, self->limits->awareness_bytes);
  lk_err err = lk_doc_awareness_encode(self->awareness, &update);
  if (err == LK_OK && update.len > 0)
    err = lk_doc_room_push_bytes(self, member, LK_LIT("awareness"), lk_buf_slice(&update),
                                 LK_DIALECT_PLAIN);
  lk_buf_deinit(&update);
  return err;
}

lk_err lk_doc_room_on_awareness(lk_room *self, const lk_room_input *input) {
  lk_slice update;
  outcome o;
  lk_doc_payload in = { self->limits, &self->work->scratch, &self->work->bytes, LK_SLICE_EMPTY };
  lk_err err = lk_doc_payload_read(&in, input->payload, input->binary, &update);
  if (err != LK_OK) return lk_doc_room_refuse(self, input, NULL, err, in.field);
  err = lk_doc_room_take_awareness(self, input, update, &o);
  return err == LK_OK ? lk_doc_room_answer(self, input, &o) : err;
}

/* One awareness update of several: entries one behind the other, so that the later one counts. */
lk_err lk_doc_room_merge_awareness(const lk_slice *updates, size_t count, lk_buf *out) {
  uint64_t entries = 0, n;
  lk_err err = LK_OK;
  for (size_t i = 0; err == LK_OK && i < count; i++) {
    lk_reader in = lk_reader_of(updates[i]);
    err = lk_varuint_decode(&in, UINT32_MAX, &n);
    entries += err == LK_OK ? n : 0;
  }
  if (err == LK_OK) err = lk_varuint_encode(out, entries);
  for (size_t i = 0; err == LK_OK && i < count; i++) {
    lk_reader in = lk_reader_of(updates[i]);
    err = lk_varuint_decode(&in, UINT32_MAX, &n);
    if (err == LK_OK) err = lk_buf_append(out, lk_reader_rest(&in));
  }
  return err;
}
