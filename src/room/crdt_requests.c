/* room/crdt_requests.c -- a ring that is walked from end to end.
 *
 * A thousand ids of 16 bytes are looked through in less than a microsecond; an index over them would cost as much memory
 * again, in each room. The ring is an array that grows up to the limit and only then turns. */
#include "room/crdt_requests.h"

#include "codec/varint.h"
#include "crypto/sha256.h"

void lk_crdt_requests_init(lk_crdt_requests *self, const lk_alloc *alloc, uint32_t count_max) {
  *self = (lk_crdt_requests){ .alloc = alloc, .count_max = count_max };
}

void lk_crdt_requests_deinit(lk_crdt_requests *self) {
  if (self->alloc != NULL) lk_free_array(self->alloc, self->items, self->cap, sizeof *self->items);
  *self = (lk_crdt_requests){ 0 };
}

/* Each part with its length, so that what stands where cannot be moved from one to the next. */
lk_crdt_request lk_crdt_request_of(lk_slice id, const lk_slice *parts, size_t count) {
  lk_crdt_request out;
  lk_sha256 hash;
  uint8_t digest[LK_SHA256_LEN], len[8];
  lk_sha256_init(&hash);
  lk_sha256_update(&hash, id);
  lk_sha256_final(&hash, digest);
  memcpy(out.id, digest, sizeof out.id);
  lk_sha256_init(&hash);
  for (size_t i = 0; i < count; i++) {
    lk_store_le64(len, parts[i].len);
    lk_sha256_update(&hash, lk_slice_of(len, sizeof len));
    lk_sha256_update(&hash, parts[i]);
  }
  lk_sha256_final(&hash, digest);
  memcpy(out.content, digest, sizeof out.content);
  return out;
}

/* The |index|-th by age. */
static const lk_crdt_request *at(const lk_crdt_requests *self, uint32_t index) {
  uint32_t place = self->first + index;
  return &self->items[place < self->cap ? place : place - self->cap];
}

const lk_crdt_request *lk_crdt_requests_find(const lk_crdt_requests *self,
                                             const lk_crdt_request *request) {
  for (uint32_t i = 0; i < self->count; i++) {
    const lk_crdt_request *one = at(self, i);
    if (memcmp(one->id, request->id, sizeof one->id) == 0) return one;
  }
  return NULL;
}

static lk_err make_place(lk_crdt_requests *self) {
  size_t cap;
  if (self->count < self->cap) return LK_OK;
  LK_ASSERT(self->first == 0);
  if (!lk_grow_cap(self->cap, (size_t)self->count + 1, 4, self->count_max, &cap))
    return LK_ERR_LIMIT;
  lk_crdt_request *items = lk_resize_array(self->alloc, self->items, self->cap, cap, sizeof *items);
  if (items == NULL) return LK_ERR_NOMEM;
  self->items = items;
  self->cap = (uint32_t)cap;
  return LK_OK;
}

lk_err lk_crdt_requests_add(lk_crdt_requests *self, const lk_crdt_request *request) {
  if (self->count == self->count_max) {
    LK_COVERED(crdt_room_forgets_a_request);
    self->items[self->first] = *request;
    self->first = self->first + 1 == self->cap ? 0 : self->first + 1;
    return LK_OK;
  }
  lk_err err = make_place(self);
  if (err == LK_OK) self->items[self->count++] = *request;
  return err;
}

void lk_crdt_requests_encode(const lk_crdt_requests *self, uint32_t count, uint32_t skip,
                             lk_buf *out) {
  uint32_t end = self->count - lk_min_u32(skip, self->count);
  count = lk_min_u32(count, end);
  (void)lk_varuint_encode(out, count);
  for (uint32_t i = end - count; i < end; i++) {
    const lk_crdt_request *one = at(self, i);
    (void)lk_buf_append(out, lk_slice_of(one->id, sizeof one->id));
    (void)lk_buf_append(out, lk_slice_of(one->content, sizeof one->content));
  }
}

lk_err lk_crdt_requests_decode(lk_crdt_requests *self, lk_reader *in) {
  uint64_t count;
  lk_err err = lk_varuint_decode_canonical(in, UINT32_MAX, &count);
  for (; err == LK_OK && count > 0; count--) {
    lk_crdt_request one;
    lk_slice id, content;
    err = lk_reader_bytes(in, sizeof one.id, &id);
    if (err == LK_OK) err = lk_reader_bytes(in, sizeof one.content, &content);
    if (err != LK_OK) return err;
    memcpy(one.id, id.ptr, sizeof one.id);
    memcpy(one.content, content.ptr, sizeof one.content);
    if (lk_crdt_requests_find(self, &one) == NULL) err = lk_crdt_requests_add(self, &one);
  }
  return err;
}

lk_err lk_crdt_requests_skip(lk_reader *in) {
  uint64_t count;
  lk_err err = lk_varuint_decode_canonical(in, UINT32_MAX, &count);
  return err == LK_OK ? lk_reader_skip(in, count * LK_CRDT_REQUEST_LEN) : err;
}
