/* room/doc_encoded.c -- see the header. */
#include "room/doc_encoded.h"

#include "codec/varint.h"

#define SINCE_MIN 4096 /* bytes of |since| that never make |whole| obsolete */
#define SINCE_COUNT_MAX 512

static void forget(lk_doc_encoded *self) {
  lk_buf_deinit(&self->whole);
  lk_buf_deinit(&self->since);
  lk_buf_init(&self->whole, self->alloc, self->bytes_max);
  lk_buf_init(&self->since, self->alloc, self->bytes_max);
  self->since_count = 0;
}

void lk_doc_encoded_init(lk_doc_encoded *self, const lk_alloc *alloc, size_t bytes_max) {
  *self = (lk_doc_encoded){ .alloc = alloc, .bytes_max = bytes_max };
  forget(self);
}

void lk_doc_encoded_attach(lk_doc_encoded *self, lk_doc *doc) {
  LK_ASSERT(doc != NULL || (self->whole.len > 0 && self->since_count == 0));
  self->doc = doc;
  if (doc == NULL) lk_buf_fit(&self->whole); /* it is all that there is for a while */
}

void lk_doc_encoded_deinit(lk_doc_encoded *self) {
  lk_buf_deinit(&self->whole);
  lk_buf_deinit(&self->since);
  *self = (lk_doc_encoded){ 0 };
}

void lk_doc_encoded_note(lk_doc_encoded *self, lk_slice update) {
  if (self->whole.len == 0) return;
  (void)lk_varuint_encode(&self->since, update.len);
  lk_err err = lk_buf_append(&self->since, update);
  size_t most = lk_max_size(SINCE_MIN, self->whole.len / 4);
  if (err != LK_OK || ++self->since_count > SINCE_COUNT_MAX || self->since.len > most) {
    LK_COVERED(doc_encoded_is_obsolete);
    forget(self);
  }
}

static lk_err ensure(lk_doc_encoded *self) {
  if (self->whole.len > 0) return LK_OK;
  lk_err err = lk_doc_encode(self->doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &self->whole);
  if (err != LK_OK) forget(self);
  return err;
}

lk_err lk_doc_encoded_whole(lk_doc_encoded *self, lk_slice *out) {
  if (self->since_count > 0) forget(self);
  lk_err err = ensure(self);
  if (err == LK_OK) *out = lk_buf_slice(&self->whole);
  return err;
}

bool lk_doc_encoded_is_empty(lk_doc_encoded *self) {
  return ensure(self) == LK_OK && self->since_count == 0 &&
         lk_doc_update_is_empty(lk_buf_slice(&self->whole));
}

lk_err lk_doc_encoded_begin(lk_doc_encoded *self, lk_doc_encoded_walk *out) {
  lk_err err = ensure(self);
  if (err != LK_OK) return err;
  out->whole = lk_buf_slice(&self->whole);
  if (lk_doc_update_is_empty(out->whole)) out->whole = LK_SLICE_EMPTY;
  out->since = lk_reader_of(lk_buf_slice(&self->since));
  return LK_OK;
}

bool lk_doc_encoded_next(lk_doc_encoded_walk *walk, lk_slice *update) {
  uint64_t len;
  if (walk->whole.len > 0) {
    *update = walk->whole;
    walk->whole = LK_SLICE_EMPTY;
    return true;
  }
  if (lk_reader_left(&walk->since) == 0) return false;
  lk_err err = lk_varuint_decode(&walk->since, SIZE_MAX, &len);
  if (err == LK_OK) err = lk_reader_bytes(&walk->since, len, update);
  LK_ASSERT(err == LK_OK); /* we wrote it */
  return true;
}
