/* room/doc_sleep.c -- the document, open and closed, and what a room needs while it does something.
 *
 * A document that nobody changes sleeps: it is closed, and what remains is its encoding, which is a fraction of it. The
 * next change opens it again, which takes a small one microseconds. Large ones are left open for longer. */
#include "room/doc_parts.h"

#include "doc/news.h"

#define SCRATCH_MAX ((size_t)1 << 24)
#define BUF_KEPT 512         /* bytes that an idle buffer keeps */
#define SLEEP_MS 2000        /* a small document that long without a change is closed */
#define SLEEP_LARGE_MS 60000 /* and a large one */
#define LARGE_BYTES 32768    /* as encoded */

lk_err lk_doc_room_open_doc(lk_room *self) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = self->doc_client;
  options.seed[0] = self->seed[0];
  options.seed[1] = self->seed[1];
  options.keep_deleted = self->keeps_deleted;
  lk_err err = lk_doc_open(self->awake, &options, &self->doc);
  if (err != LK_OK) return err;
  lk_doc_set_limits(self->doc, self->limits);
  return LK_OK;
}

/* Before anything that needs the document. */
lk_err lk_doc_room_wake(lk_room *self, const lk_room_input *input) {
  self->touched_ms = input->now_ms;
  if (self->doc != NULL) return LK_OK;
  LK_COVERED(doc_room_wakes);
  lk_slice whole;
  lk_err err = lk_doc_encoded_whole(&self->encoded, NULL, &whole);
  if (err == LK_OK) err = lk_doc_room_open_doc(self);
  return err == LK_OK ? lk_doc_load(self->doc, LK_UPDATE_V1, whole, 0) : err;
}

uint64_t lk_doc_room_sleep_at(const lk_room *self) {
  if (self->doc == NULL) return LK_DOC_ROOM_NEVER;
  return self->touched_ms + (lk_doc_encoded_len(&self->encoded) > LARGE_BYTES ? SLEEP_LARGE_MS : SLEEP_MS);
}

void lk_doc_room_fall_asleep(lk_room *self, uint64_t now_ms) {
  if (lk_doc_encoded_rest(&self->encoded, self->doc) != LK_OK) {
    LK_COVERED(doc_room_has_no_memory_to_sleep);
    self->touched_ms = now_ms;
    return;
  }
  lk_doc_close(self->doc);
  self->doc = NULL;
}

/* ---- work ---- */

lk_err lk_doc_room_begin_work(lk_room *self) {
  const lk_alloc *alloc = self->awake->alloc;
  lk_doc_work *w = self->work;
  if (w != NULL) {
    lk_arena_reset(&w->scratch);
    lk_buf_rest(&w->bytes, BUF_KEPT);
    lk_buf_rest(&w->text, BUF_KEPT);
    return LK_OK;
  }
  w = self->work = lk_alloc_bytes(alloc, sizeof *w);
  if (w == NULL) return LK_ERR_NOMEM;
  lk_effects_init(&w->effects, alloc, self->limits);
  lk_held_init(&w->held, alloc);
  lk_arena_init(&w->scratch, alloc, SCRATCH_MAX);
  lk_buf_init(&w->bytes, alloc, self->limits->doc_update_bytes);
  lk_buf_init(&w->text, alloc, SIZE_MAX / 4);
  lk_doc_journal_init(&w->journal, alloc);
  return LK_OK;
}

void lk_doc_room_free_work(lk_room *self) {
  lk_doc_work *w = self->work;
  if (w == NULL) return;
  lk_effects_deinit(&w->effects);
  lk_held_deinit(&w->held);
  lk_arena_deinit(&w->scratch);
  lk_buf_deinit(&w->bytes);
  lk_buf_deinit(&w->text);
  lk_doc_journal_deinit(&w->journal);
  lk_free_bytes(self->awake->alloc, w, sizeof *w);
  self->work = NULL;
}

void lk_doc_room_end_work(lk_room *self) {
  bool is_asleep = self->doc == NULL;
  if (is_asleep && lk_held_is_empty(&self->work->held) &&
      lk_doc_journal_is_idle(&self->work->journal))
    lk_doc_room_free_work(self);
}
