/* room/doc_sleep.c -- the document, open and closed.
 *
 * A document that nobody changes sleeps: it is closed, and what remains is its encoding, which is a fraction of it. The
 * next change opens it again, which takes a small one microseconds. Large ones are left open for longer. */
#include "room/doc_parts.h"

#include "doc/news.h"

#define SLEEP_MS 2000        /* a small document that long without a change is closed */
#define SLEEP_LARGE_MS 60000 /* and a large one */
#define LARGE_BYTES 32768    /* as encoded */

lk_err lk_doc_room_open_doc(lk_room *self) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = self->doc_client;
  options.seed[0] = self->seed[0];
  options.seed[1] = self->seed[1];
  lk_err err = lk_doc_open(self->env, &options, &self->doc);
  if (err != LK_OK) return err;
  lk_doc_set_limits(self->doc, self->limits);
  lk_doc_encoded_attach(&self->encoded, self->doc);
  return LK_OK;
}

/* Before anything that needs the document. */
lk_err lk_doc_room_wake(lk_room *self, const lk_room_input *input) {
  self->touched_ms = input->now_ms;
  if (self->doc != NULL) return LK_OK;
  LK_COVERED(doc_room_wakes);
  lk_slice whole = lk_buf_slice(&self->encoded.whole);
  lk_err err = lk_doc_room_open_doc(self);
  return err == LK_OK ? lk_doc_load(self->doc, LK_UPDATE_V1, whole, 0) : err;
}

uint64_t lk_doc_room_sleep_at(const lk_room *self) {
  if (self->doc == NULL) return LK_DOC_ROOM_NEVER;
  return self->touched_ms + (self->encoded.whole.len > LARGE_BYTES ? SLEEP_LARGE_MS : SLEEP_MS);
}

void lk_doc_room_empty(lk_room *self, lk_buf *buf) {
  size_t max = buf->max;
  lk_buf_deinit(buf);
  lk_buf_init(buf, self->env->alloc, max);
}

/* What cannot be encoded for want of memory stays open. */
void lk_doc_room_fall_asleep(lk_room *self) {
  lk_slice whole;
  if (lk_doc_encoded_whole(&self->encoded, &whole) != LK_OK) return;
  lk_doc_encoded_attach(&self->encoded, NULL);
  lk_doc_close(self->doc);
  self->doc = NULL;
  lk_effects_trim(&self->effects);
  lk_doc_room_empty(self, &self->bytes);
  lk_doc_room_empty(self, &self->text);
  lk_arena_deinit(&self->scratch);
  lk_arena_init(&self->scratch, self->env->alloc, LK_DOC_ROOM_SCRATCH_MAX);
}
