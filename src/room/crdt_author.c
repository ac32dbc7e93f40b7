#include "room/crdt_author.h"

#include "codec/hex.h"

static const uint8_t prefix[] = { 'r', 'o', 'o', 'm', '-' };

lk_slice lk_crdt_author_id(const lk_crdt_author *self) { return lk_slice_of(self->id, self->len); }

void lk_crdt_author_forget(lk_crdt_author *self) { *self = (lk_crdt_author){ 0 }; }

void lk_crdt_author_take(lk_crdt_author *self, lk_slice id) {
  LK_ASSERT(id.len == sizeof self->id);
  memcpy(self->id, id.ptr, id.len);
  self->len = sizeof self->id;
  self->is_kept = true;
}

static void make(lk_crdt_author *self, uint64_t entropy) {
  uint8_t bytes[8];
  lk_store_be64(bytes, entropy);
  memcpy(self->id, prefix, sizeof prefix);
  lk_hex_store(self->id + sizeof prefix, lk_slice_of(bytes, sizeof bytes));
  self->len = sizeof self->id;
  self->is_kept = false;
}

lk_err lk_crdt_author_name(lk_crdt_author *self, uint64_t entropy, lk_slice label,
                           uint8_t bytes[LK_ACTOR_LEN_MAX], lk_slice *out) {
  if (self->len == 0) make(self, entropy);
  memcpy(bytes, self->id, self->len);
  *out = lk_slice_of(bytes, self->len);
  if (label.len == 0) return LK_OK;
  if (label.len > (size_t)LK_ACTOR_LEN_MAX - self->len - 1) return LK_ERR_ACTOR;
  bytes[self->len] = ':';
  memcpy(bytes + self->len + 1, label.ptr, label.len);
  *out = lk_slice_of(bytes, self->len + 1 + label.len);
  return LK_OK;
}

static bool knows(const lk_crdt *all, lk_slice id, const lk_flat_range *range) {
  lk_btree_cursor cursor;
  uint32_t actor = lk_actor_find(all, id);
  if (actor == LK_ACTOR_NONE) return false;
  const lk_range *known = lk_known_at_least(all, actor, range->lo, &cursor);
  return known != NULL && known->lo <= range->lo && known->hi >= range->hi;
}

bool lk_crdt_author_is_outdone(const lk_crdt_author *self, const lk_crdt *all,
                               const lk_flat *news) {
  const lk_slice us = lk_crdt_author_id(self);
  for (uint32_t i = 0; us.len > 0 && i < news->range_count; i++) {
    const lk_slice id = news->actors[news->ranges[i].actor];
    if (lk_slice_starts_with(id, us) && !knows(all, id, &news->ranges[i])) return true;
  }
  return false;
}
