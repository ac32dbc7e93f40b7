/* room/doc_stand_ins.c -- ids that come out the same again.
 *
 * An id is a hash of the member's number, and the next one that is free where two have the same. The hash's key is no
 * secret: it only hides how members are counted. */
#include "room/doc_stand_ins.h"

#define ID_MASK ((UINT64_C(1) << 24) - 1)
#define FIRST_DATE_MS UINT64_C(1767225600000) /* 2026 */

static lk_slice key_of(uint64_t number, uint8_t bytes[8]) {
  lk_store_le64(bytes, number);
  return lk_slice_of(bytes, 8);
}

void lk_doc_stand_ins_init(lk_doc_stand_ins *self, const lk_alloc *alloc, uint32_t count_max,
                           const uint64_t seed[2]) {
  LK_ASSERT(count_max <= ID_MASK / 2); /* so that a free one is found soon */
  lk_map_init(&self->members, alloc, sizeof(lk_doc_stand_in), count_max, seed);
  lk_map_init(&self->clients, alloc, sizeof(uint64_t), count_max, seed);
}

void lk_doc_stand_ins_deinit(lk_doc_stand_ins *self) {
  lk_map_deinit(&self->members);
  lk_map_deinit(&self->clients);
}

lk_doc_stand_in *lk_doc_stand_ins_find(const lk_doc_stand_ins *self, uint64_t member) {
  uint8_t bytes[8];
  return lk_map_get(&self->members, key_of(member, bytes));
}

static lk_err make_client(lk_doc_stand_ins *self, uint64_t member, uint64_t *out) {
  static const uint64_t key[2] = { 0, 0 };
  uint8_t bytes[8];
  void *value;
  bool is_new;
  uint64_t at = lk_siphash13(key, key_of(member, bytes));
  for (;; at++) {
    uint64_t client = LK_DOC_STAND_IN_FIRST + (at & ID_MASK);
    lk_err err = lk_map_put(&self->clients, key_of(client, bytes), &value, &is_new);
    if (err != LK_OK) return err;
    if (!is_new) continue;
    *(uint64_t *)value = member;
    *out = client;
    return LK_OK;
  }
}

lk_err lk_doc_stand_ins_need(lk_doc_stand_ins *self, uint64_t member, lk_doc_stand_in **out) {
  uint8_t bytes[8];
  void *value;
  bool is_new;
  lk_err err = lk_map_put(&self->members, key_of(member, bytes), &value, &is_new);
  if (err != LK_OK) return err;
  *out = value;
  if (!is_new) return LK_OK;
  err = make_client(self, member, &(*out)->client);
  if (err != LK_OK) (void)lk_map_remove(&self->members, key_of(member, bytes));
  return err;
}

void lk_doc_stand_ins_remove(lk_doc_stand_ins *self, uint64_t member) {
  uint8_t bytes[8];
  const lk_doc_stand_in *s = lk_doc_stand_ins_find(self, member);
  if (s == NULL) return;
  (void)lk_map_remove(&self->clients, key_of(s->client, bytes));
  (void)lk_map_remove(&self->members, key_of(member, bytes));
}

bool lk_doc_stand_ins_next(const lk_doc_stand_ins *self, uint32_t *cursor, uint64_t *member,
                           lk_doc_stand_in **out) {
  lk_slice key;
  void *value;
  if (!lk_map_next(&self->members, cursor, &key, &value)) return false;
  *member = lk_load_le64(key.ptr);
  *out = value;
  return true;
}

uint64_t lk_doc_stand_in_clock(uint64_t date_ms) {
  return date_ms > FIRST_DATE_MS ? 1 + (date_ms - FIRST_DATE_MS) / LK_DOC_STAND_IN_TICK_MS : 1;
}
