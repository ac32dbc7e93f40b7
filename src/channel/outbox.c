/* channel/outbox.c -- length, message, length, message. The highest bit of a length says that the message is
 * binary. */
#include "channel/outbox.h"

#define LEN_BYTES 4
#define BINARY_BIT (UINT32_C(1) << 31)

void lk_outbox_init(lk_outbox *self, const lk_alloc *alloc, size_t bytes_max) {
  *self = (lk_outbox){ 0 };
  lk_buf_init(&self->bytes, alloc, lk_min_size(bytes_max, BINARY_BIT - 1));
}

void lk_outbox_deinit(lk_outbox *self) {
  lk_buf_deinit(&self->bytes);
  *self = (lk_outbox){ 0 };
}

void lk_outbox_clear(lk_outbox *self) {
  const lk_alloc *alloc = self->bytes.alloc;
  size_t max = self->bytes.max;
  lk_buf_deinit(&self->bytes);
  lk_outbox_init(self, alloc, max);
}

size_t lk_outbox_begin(lk_outbox *self) {
  /* What was taken out is not waiting any more. Once it is the greater part, moving the rest costs
   * less than what was sent since the last time. */
  if (self->read > self->bytes.len / 2) {
    lk_buf_consume(&self->bytes, self->read);
    self->read = 0;
  }
  size_t start = self->bytes.len;
  lk_buf_append_be32(&self->bytes, 0);
  return start;
}

lk_err lk_outbox_end_as(lk_outbox *self, size_t start, bool is_binary, lk_err err) {
  if (err == LK_OK) err = lk_buf_err(&self->bytes);
  if (err != LK_OK) {
    LK_COVERED(outbox_took_a_message_back);
    lk_buf_truncate(&self->bytes, start);
    return err;
  }
  uint32_t len = (uint32_t)(self->bytes.len - start - LEN_BYTES);
  lk_store_be32(self->bytes.ptr + start, is_binary ? len | BINARY_BIT : len);
  self->count++;
  return LK_OK;
}

lk_err lk_outbox_end(lk_outbox *self, size_t start, lk_err err) {
  return lk_outbox_end_as(self, start, false, err);
}

bool lk_outbox_next_message(lk_outbox *self, lk_slice *bytes, bool *is_binary) {
  if (lk_outbox_is_empty(self)) {
    if (self->bytes.cap > 0) lk_outbox_clear(self);
    return false;
  }
  lk_slice rest = lk_slice_skip(lk_buf_slice(&self->bytes), self->read);
  uint32_t word = lk_load_be32(rest.ptr);
  *is_binary = (word & BINARY_BIT) != 0;
  *bytes = lk_slice_first(lk_slice_skip(rest, LEN_BYTES), word & ~BINARY_BIT);
  self->read += LEN_BYTES + bytes->len;
  self->count--;
  return true;
}

bool lk_outbox_next(lk_outbox *self, lk_slice *text) {
  bool is_binary = false;
  bool found = lk_outbox_next_message(self, text, &is_binary);
  LK_ASSERT(!is_binary);
  return found;
}
