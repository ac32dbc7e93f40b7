/* base/buf.c -- growth by half, an error that is remembered, and nothing else. */
#include "base/buf.h"

#include "laniakea/buf.h"

#define BUF_CAP_LEAST 64

void lk_buf_init(lk_buf *self, const lk_alloc *alloc, size_t max) {
  *self = (lk_buf){ .alloc = alloc, .max = max };
}

void lk_buf_deinit(lk_buf *self) {
  if (self->alloc != NULL) lk_free_bytes(self->alloc, self->ptr, self->cap);
  *self = (lk_buf){ 0 };
}

void lk_buf_rest(lk_buf *self, size_t cap_max) {
  if (self->cap <= cap_max) return;
  const lk_alloc *alloc = self->alloc;
  size_t max = self->max;
  lk_buf_deinit(self);
  lk_buf_init(self, alloc, max);
}

void lk_buf_fit(lk_buf *self) {
  if (self->len == 0 || self->len == self->cap) return;
  uint8_t *bytes = lk_resize_array(self->alloc, self->ptr, self->cap, self->len, 1);
  if (bytes == NULL) return;
  self->ptr = bytes;
  self->cap = self->len;
}

static lk_err fail(lk_buf *self, lk_err err) {
  if (self->err == LK_OK) self->err = err;
  return self->err;
}

static lk_err resize(lk_buf *self, size_t cap) {
  uint8_t *ptr = lk_resize_array(self->alloc, self->ptr, self->cap, cap, 1);
  if (ptr == NULL) return fail(self, LK_ERR_NOMEM);
  self->ptr = ptr;
  self->cap = cap;
  return LK_OK;
}

lk_err lk_buf_reserve(lk_buf *self, size_t more) {
  size_t needed, cap;
  if (self->err != LK_OK) return self->err;
  if (more <= self->cap - self->len) return LK_OK;
  if (!lk_add_size(self->len, more, &needed)) return fail(self, LK_ERR_LIMIT);
  if (!lk_grow_cap(self->cap, needed, BUF_CAP_LEAST, self->max, &cap)) {
    LK_COVERED(buf_reached_its_maximum);
    return fail(self, LK_ERR_LIMIT);
  }
  return resize(self, cap);
}

lk_err lk_buf_reserve_tight(lk_buf *self, size_t more) {
  size_t needed;
  if (self->err != LK_OK) return self->err;
  if (more <= self->cap - self->len) return LK_OK;
  if (!lk_add_size(self->len, more, &needed) || needed > self->max) return fail(self, LK_ERR_LIMIT);
  return resize(self, lk_min_size(self->max, lk_max_size(needed, self->cap + self->cap / 8)));
}

uint8_t *lk_buf_extend(lk_buf *self, size_t count) {
  if (lk_buf_reserve(self, count) != LK_OK) return NULL;
  uint8_t *at = self->ptr + self->len;
  self->len += count;
  return at;
}

lk_err lk_buf_append(lk_buf *self, lk_slice bytes) {
  /* Before the reserve, which may move the buffer away from under |bytes|. */
  LK_DEBUG_ASSERT(bytes.len == 0 || self->cap == 0 || bytes.ptr + bytes.len <= self->ptr ||
                  bytes.ptr >= self->ptr + self->cap);
  lk_err err = lk_buf_reserve(self, bytes.len);
  if (err != LK_OK || bytes.len == 0) return err;
  memcpy(self->ptr + self->len, bytes.ptr, bytes.len);
  self->len += bytes.len;
  return LK_OK;
}

lk_err lk_buf_append_u8(lk_buf *self, uint8_t byte) {
  lk_err err = lk_buf_reserve(self, 1);
  if (err == LK_OK) self->ptr[self->len++] = byte;
  return err;
}

lk_err lk_buf_append_be16(lk_buf *self, uint16_t value) {
  uint8_t bytes[2];
  lk_store_be16(bytes, value);
  return lk_buf_append(self, lk_slice_of(bytes, sizeof bytes));
}

lk_err lk_buf_append_be32(lk_buf *self, uint32_t value) {
  uint8_t bytes[4];
  lk_store_be32(bytes, value);
  return lk_buf_append(self, lk_slice_of(bytes, sizeof bytes));
}

lk_err lk_buf_append_be64(lk_buf *self, uint64_t value) {
  uint8_t bytes[8];
  lk_store_be64(bytes, value);
  return lk_buf_append(self, lk_slice_of(bytes, sizeof bytes));
}

lk_err lk_buf_append_le32(lk_buf *self, uint32_t value) {
  uint8_t bytes[4];
  lk_store_le32(bytes, value);
  return lk_buf_append(self, lk_slice_of(bytes, sizeof bytes));
}

lk_err lk_buf_append_le64(lk_buf *self, uint64_t value) {
  uint8_t bytes[8];
  lk_store_le64(bytes, value);
  return lk_buf_append(self, lk_slice_of(bytes, sizeof bytes));
}

lk_err lk_buf_append_decimal(lk_buf *self, uint64_t value) {
  uint8_t digits[20]; /* 2^64 has 20 */
  size_t at = sizeof digits;
  do {
    digits[--at] = (uint8_t)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  return lk_buf_append(self, lk_slice_of(digits + at, sizeof digits - at));
}

void lk_buf_truncate(lk_buf *self, size_t len) {
  LK_ASSERT(len <= self->len);
  self->len = len;
  self->err = LK_OK;
}

void lk_buf_consume(lk_buf *self, size_t count) {
  LK_ASSERT(count <= self->len);
  if (count == 0) return;
  memmove(self->ptr, self->ptr + count, self->len - count);
  self->len -= count;
}

/* ---- laniakea/buf.h ---- */

lk_err lk_buf_open(const lk_env *env, size_t max, lk_buf **out) {
  lk_buf *self = lk_alloc_bytes(env->alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  lk_buf_init(self, env->alloc, max);
  *out = self;
  return LK_OK;
}

void lk_buf_close(lk_buf *self) {
  if (self == NULL) return;
  const lk_alloc *alloc = self->alloc;
  lk_buf_deinit(self);
  lk_free_bytes(alloc, self, sizeof *self);
}

lk_slice lk_buf_bytes(const lk_buf *self) { return lk_buf_slice(self); }

void lk_buf_clear(lk_buf *self) { lk_buf_truncate(self, 0); }
