/* room/doc_encoded.c -- see the header. */
#include "room/doc_encoded.h"

#include "codec/varint.h"

#define SINCE_MIN 4096 /* bytes of |since| that never make |whole| obsolete */
#define SINCE_COUNT_MAX 512

typedef struct lk_doc_encoded_parts {
  lk_buf whole; /* empty where there is none */
  lk_buf since; /* each behind its length */
  uint32_t since_count;
} parts;

void lk_doc_encoded_init(lk_doc_encoded *self, const lk_alloc *alloc, const lk_alloc *awake,
                         size_t bytes_max) {
  *self = (lk_doc_encoded){ .alloc = alloc, .awake = awake, .bytes_max = bytes_max };
}

static void free_parts(lk_doc_encoded *self) {
  parts *p = self->parts;
  if (p == NULL) return;
  lk_buf_deinit(&p->whole);
  lk_buf_deinit(&p->since);
  lk_free_bytes(self->awake, p, sizeof *p);
  self->parts = NULL;
}

static void free_rest(lk_doc_encoded *self) {
  lk_free_bytes(self->alloc, (uint8_t *)(uintptr_t)self->rest.ptr, self->rest.len);
  self->rest = LK_SLICE_EMPTY;
}

static void forget(lk_doc_encoded *self) {
  free_parts(self);
  free_rest(self);
}

void lk_doc_encoded_deinit(lk_doc_encoded *self) {
  forget(self);
  *self = (lk_doc_encoded){ 0 };
}

static lk_slice whole_of(const lk_doc_encoded *self) {
  return self->parts != NULL ? lk_buf_slice(&self->parts->whole) : self->rest;
}

static uint32_t since_count(const lk_doc_encoded *self) {
  return self->parts != NULL ? self->parts->since_count : 0;
}

size_t lk_doc_encoded_len(const lk_doc_encoded *self) { return whole_of(self).len; }

/* What was at rest is in them. */
static lk_err need_parts(lk_doc_encoded *self) {
  if (self->parts != NULL) return LK_OK;
  parts *p = lk_alloc_bytes(self->awake, sizeof *p);
  if (p == NULL) return LK_ERR_NOMEM;
  lk_buf_init(&p->whole, self->awake, self->bytes_max);
  lk_buf_init(&p->since, self->awake, self->bytes_max);
  p->since_count = 0;
  lk_err err = self->rest.len > 0 ? lk_buf_append(&p->whole, self->rest) : LK_OK;
  self->parts = p;
  if (err != LK_OK) free_parts(self);
  else free_rest(self);
  return err;
}

void lk_doc_encoded_note(lk_doc_encoded *self, lk_slice update) {
  if (whole_of(self).len == 0) return;
  lk_err err = need_parts(self);
  if (err == LK_OK) err = lk_varuint_encode(&self->parts->since, update.len);
  if (err == LK_OK) err = lk_buf_append(&self->parts->since, update);
  size_t most = lk_max_size(SINCE_MIN, whole_of(self).len / 4);
  if (err != LK_OK || ++self->parts->since_count > SINCE_COUNT_MAX ||
      self->parts->since.len > most) {
    LK_COVERED(doc_encoded_is_obsolete);
    forget(self);
  }
}

static lk_err ensure(lk_doc_encoded *self, lk_doc *doc) {
  if (whole_of(self).len > 0) return LK_OK;
  LK_ASSERT(doc != NULL);
  lk_err err = need_parts(self);
  if (err == LK_OK) err = lk_doc_encode(doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &self->parts->whole);
  if (err != LK_OK) forget(self);
  return err;
}

lk_err lk_doc_encoded_whole(lk_doc_encoded *self, lk_doc *doc, lk_slice *out) {
  if (since_count(self) > 0) forget(self);
  lk_err err = ensure(self, doc);
  if (err == LK_OK) *out = whole_of(self);
  return err;
}

lk_err lk_doc_encoded_rest(lk_doc_encoded *self, lk_doc *doc) {
  lk_slice whole;
  lk_err err = lk_doc_encoded_whole(self, doc, &whole);
  if (err != LK_OK || self->parts == NULL) return err;
  uint8_t *bytes = lk_alloc_bytes(self->alloc, whole.len);
  if (bytes == NULL) return LK_ERR_NOMEM;
  memcpy(bytes, whole.ptr, whole.len);
  self->rest = lk_slice_of(bytes, whole.len);
  free_parts(self);
  return LK_OK;
}

bool lk_doc_encoded_is_empty(lk_doc_encoded *self, lk_doc *doc) {
  return ensure(self, doc) == LK_OK && since_count(self) == 0 &&
         lk_doc_update_is_empty(whole_of(self));
}

lk_err lk_doc_encoded_begin(lk_doc_encoded *self, lk_doc *doc, lk_doc_encoded_walk *out) {
  lk_err err = ensure(self, doc);
  if (err != LK_OK) return err;
  out->whole = whole_of(self);
  if (lk_doc_update_is_empty(out->whole)) out->whole = LK_SLICE_EMPTY;
  out->since = lk_reader_of(self->parts != NULL ? lk_buf_slice(&self->parts->since) : LK_SLICE_EMPTY);
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
