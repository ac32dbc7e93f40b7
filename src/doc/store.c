/* doc/store.c -- where items, clients, names, types and content lie, and how changes are taken back.
 *
 * Everything is addressed by number, so that arrays may move when they grow and a document is the same on
 * machines with pointers of 32 and of 64 bits. Numbers of items are reused through a free list; all
 * others only grow, except that a rollback cuts them to where they were.
 *
 * A client's items by clock are kept in blocks of at most LK_BLOCK_MAX, so that a split in the middle of
 * a million items moves some hundred bytes. Searching remembers where it ended: typing, streams of
 * updates and loading ask for the same item or its neighbour nearly always.
 *
 * The hash indexes use linear probing without tombstones, which works since keys leave in the reverse
 * order of their coming: the last key to come is in nobody's way. */
#include "doc/engine.h"

#include "base/map.h"
#include "base/quad.h"
#include "codec/utf.h"
#include "doc/value.h"

/* ---- memory ---- */

lk_err lk_vec_grow(lk_doc *doc, void **at, uint32_t *cap, uint32_t count, uint32_t more,
                   uint32_t max, size_t item_size) {
  if (more > max - lk_min_u32(count, max)) return LK_ERR_LIMIT;
  size_t grown;
  if (!lk_grow_cap(*cap, (size_t)count + more, 8, max, &grown)) return LK_ERR_LIMIT;
  void *moved = lk_resize_array(&doc->alloc, *at, *cap, grown, item_size);
  if (moved == NULL) return LK_ERR_NOMEM;
  *at = moved;
  *cap = (uint32_t)grown;
  return LK_OK;
}

/* All vectors have the same parts. */
typedef LK_VEC(void) any_vec;

void lk_vec_free(lk_doc *doc, void *vec, size_t item_size) {
  any_vec *self = vec;
  lk_free_array(&doc->alloc, self->at, self->cap, item_size);
  *self = (any_vec){ 0 };
}

#ifdef LK_SMALL
lk_err lk_vec_reserve(lk_doc *doc, void *vec, uint32_t more, size_t item_size) {
  any_vec *self = vec;
  if (self->cap - self->count >= more) return LK_OK;
  return lk_vec_grow(doc, &self->at, &self->cap, self->count, more, UINT32_MAX / 2, item_size);
}
#endif

lk_err lk_numbers_push(lk_doc *doc, lk_numbers *self, uint32_t number) {
  lk_err err = LK_VEC_RESERVE(doc, *self, 1);
  if (err == LK_OK) self->at[self->count++] = number;
  return err;
}

/* ---- hash indexes ---- */

static uint64_t mix(uint64_t seed, uint64_t value) {
  value ^= seed;
  value *= UINT64_C(0x9E3779B97F4A7C15);
  value ^= value >> 32;
  value *= UINT64_C(0xD6E8FEB86659FD93);
  return value ^ value >> 29;
}

static void index_put(lk_index *self, uint64_t hash, uint32_t number) {
  uint32_t at = (uint32_t)hash & (self->cap - 1);
  while (self->slots[at] != 0) at = (at + 1) & (self->cap - 1);
  self->slots[at] = number + 1;
}

/* The last number that was put in leaves. */
static void index_drop(lk_index *self, uint64_t hash, uint32_t number) {
  uint32_t at = (uint32_t)hash & (self->cap - 1);
  while (self->slots[at] != number + 1) at = (at + 1) & (self->cap - 1);
  self->slots[at] = 0;
}

/* Makes room for one more than |count| numbers; |hash_of| tells the hash of each. */
static lk_err index_reserve(lk_doc *doc, lk_index *self, uint32_t count,
                            uint64_t (*hash_of)(const lk_doc *doc, uint32_t number)) {
  if ((count + 1) * 2 <= self->cap) return LK_OK;
  uint32_t cap = self->cap == 0 ? 16 : self->cap * 2;
  uint32_t *slots = lk_alloc_array(&doc->alloc, cap, sizeof *slots);
  if (slots == NULL) return LK_ERR_NOMEM;
  memset(slots, 0, cap * sizeof *slots);
  lk_free_array(&doc->alloc, self->slots, self->cap, sizeof *slots);
  *self = (lk_index){ slots, cap };
  for (uint32_t i = 0; i < count; i++) index_put(self, hash_of(doc, i), i);
  return LK_OK;
}

/* ---- items ---- */

lk_err lk_items_reserve(lk_doc *doc, uint32_t count) {
  if (doc->item_cap - doc->item_count >= count) return LK_OK;
  if (count >
      doc->limits.doc_structs_count - lk_min_u32(doc->limits.doc_structs_count, doc->item_count)) {
    return lk_doc_limit(doc, "doc_structs_count");
  }
  return lk_vec_grow(doc, (void **)&doc->items, &doc->item_cap, doc->item_count, count,
                     doc->limits.doc_structs_count, sizeof(lk_item));
}

lk_err lk_item_new(lk_doc *doc, uint32_t *out) {
  lk_err err = lk_journal(doc, LK_STEP_NEW, 0, 0, 0);
  if (err != LK_OK) return err;
  uint32_t item = doc->item_free;
  if (item != LK_NONE) {
    doc->item_free = doc->items[item].left;
  } else {
    if (doc->item_count == doc->item_cap && (err = lk_items_reserve(doc, 1)) != LK_OK) {
      doc->journal.count--;
      return err;
    }
    item = doc->item_count++;
  }
  doc->journal.at[doc->journal.count - 1].a = item;
  doc->item_live++;
  *out = item;
  return LK_OK;
}

void lk_item_free(lk_doc *doc, uint32_t item) {
  doc->items[item].kind = LK_CONTENT_FREE;
  doc->items[item].left = doc->item_free;
  doc->item_free = item;
  doc->item_live--;
}

/* ---- clients ---- */

static uint64_t client_hash(const lk_doc *doc, uint32_t client) {
  return mix(doc->seed[0], doc->clients.at[client].id);
}

uint16_t lk_client_find(const lk_doc *doc, uint64_t id) {
  if (doc->client_index.cap == 0) return LK_NO_CLIENT;
  uint32_t mask = doc->client_index.cap - 1;
  for (uint32_t at = (uint32_t)mix(doc->seed[0], id) & mask;; at = (at + 1) & mask) {
    uint32_t slot = doc->client_index.slots[at];
    if (slot == 0) return LK_NO_CLIENT;
    if (doc->clients.at[slot - 1].id == id) return (uint16_t)(slot - 1);
  }
}

lk_err lk_client_intern(lk_doc *doc, uint64_t id, uint16_t *out) {
  if (doc->client_last < doc->clients.count && doc->clients.at[doc->client_last].id == id) {
    *out = doc->client_last;
    return LK_OK;
  }
  uint16_t found = lk_client_find(doc, id);
  if (found != LK_NO_CLIENT) {
    *out = doc->client_last = found;
    return LK_OK;
  }
  uint32_t count = doc->clients.count;
  if (count >= doc->limits.doc_clients_count) return lk_doc_limit(doc, "doc_clients_count");
  lk_err err = LK_VEC_RESERVE(doc, doc->clients, 1);
  if (err == LK_OK) err = index_reserve(doc, &doc->client_index, count, client_hash);
  if (err != LK_OK) return err;
  doc->clients.at[count] = (lk_client){ .id = id, .section = LK_NONE, .waits_for = LK_NONE };
  doc->clients.count++;
  index_put(&doc->client_index, client_hash(doc, count), count);
  *out = (uint16_t)count;
  return LK_OK;
}

lk_err lk_doc_own_client(lk_doc *doc, uint16_t *out) {
  if (doc->client == LK_NO_CLIENT) {
    lk_err err = lk_client_intern(doc, doc->client_id, &doc->client);
    if (err != LK_OK) return err;
  }
  *out = doc->client;
  return LK_OK;
}

static void client_drop_last(lk_doc *doc) {
  uint32_t last = doc->clients.count - 1;
  lk_client *client = &doc->clients.at[last];
  index_drop(&doc->client_index, client_hash(doc, last), last);
  for (uint32_t i = 0; i < client->block_count; i++) {
    lk_free_array(&doc->alloc, client->blocks[i].items, client->blocks[i].cap, sizeof(uint32_t));
  }
  lk_free_array(&doc->alloc, client->blocks, client->block_cap, sizeof(lk_block));
  doc->clients.count--;
  doc->client_last = 0;
  lk_known_ids_forget(doc);
  if (doc->client == last) doc->client = LK_NO_CLIENT;
}

/* ---- a client's items by clock ---- */

/* Both searches are written so that compilers make no branch of the comparison, which nobody could predict. */
static uint32_t block_search(const lk_client *client, uint32_t clock) {
  const lk_block *blocks = client->blocks;
  uint32_t base = 0;
  for (uint32_t count = client->block_count; count > 1;) {
    uint32_t half = count / 2;
    base += blocks[base + half].first <= clock ? half : 0;
    count -= half;
  }
  return base;
}

static uint32_t item_search(const lk_doc *doc, const lk_block *block, uint32_t clock) {
  const lk_item *items = doc->items;
  const uint32_t *numbers = block->items;
  uint32_t base = 0;
  for (uint32_t count = block->count; count > 1;) {
    uint32_t half = count / 2;
    base += items[numbers[base + half]].clock <= clock ? half : 0;
    count -= half;
  }
  return base;
}

#define NEAR 6 /* items that are looked at before searching */

/* Looks around where something was found last. */
static bool place_near(const lk_doc *doc, const lk_client *client, uint32_t clock,
                       lk_place *place) {
  const lk_block *block = &client->blocks[place->block];
  if (place->at >= block->count) return false;
  if (doc->items[block->items[place->at]].clock <= clock) {
    uint32_t end = lk_min_u32(block->count, place->at + NEAR);
    for (; place->at < end; place->at++) {
      if (lk_item_end(&doc->items[block->items[place->at]]) > clock) return true;
    }
    return false;
  }
  for (uint32_t i = 0; i < NEAR && place->at > 0; i++) {
    if (doc->items[block->items[--place->at]].clock <= clock) return true;
  }
  return false;
}

/* The first clock of a block is not told when its first item grows or shrinks at the expense of the one before it: a
 * search may end a little beside. */
static void place_settle(const lk_doc *doc, uint16_t number, uint32_t clock, lk_place *place) {
  for (;;) {
    const lk_item *item = &doc->items[lk_place_item(doc, number, *place)];
    if (item->clock > clock) {
      if (!lk_place_prev(doc, number, place)) LK_UNREACHABLE();
    } else if (lk_item_end(item) <= clock) {
      if (!lk_place_next(doc, number, place)) LK_UNREACHABLE();
    } else {
      return;
    }
  }
}

/* Whether a clock is in a block, as far as is known without looking at its items. */
static inline bool has_clock(const lk_client *client, uint32_t block, uint32_t clock) {
  return client->blocks[block].first <= clock &&
         (block + 1 == client->block_count || client->blocks[block + 1].first > clock);
}

/* Nearly everything is asked for near to what was found last, or at the end. */
lk_place lk_client_place(lk_doc *doc, uint16_t number, uint32_t clock) {
  lk_client *client = &doc->clients.at[number];
  LK_ASSERT(clock < client->clock);
  lk_place place = { client->hint_block, client->hint_at };
  bool here = place.block < client->block_count;
  bool same = LK_FAST_ALL && here && has_clock(client, place.block, clock);
  if ((LK_FAST_ALL ? same : here) && place_near(doc, client, clock, &place)) goto found;
  if (!same) place.block = client->block_count - 1;
  if (same || client->blocks[place.block].first > clock) {
    if (!same) place.block = block_search(client, clock);
    place.at = item_search(doc, &client->blocks[place.block], clock);
    goto found;
  }
  const lk_block *block = &client->blocks[place.block];
  place.at = block->count - 1u;
  if (doc->items[block->items[place.at]].clock <= clock)
    return place; /* the end has no need of a hint */
  place.at = item_search(doc, block, clock);
found:
  place_settle(doc, number, clock, &place);
  client->hint_block = place.block;
  client->hint_at = place.at;
  return place;
}

lk_place lk_struct_place(lk_doc *doc, uint16_t number, uint32_t clock) {
  lk_place place = lk_client_place(doc, number, clock);
  while ((doc->items[lk_place_item(doc, number, place)].flags & LK_ITEM_JOINED) != 0) {
    if (!lk_place_prev(doc, number, &place)) LK_UNREACHABLE();
  }
  return place;
}

/* Its block is known by its clock, its place there by its number, without looking at any other item. */
lk_place lk_item_place(lk_doc *doc, uint32_t number) {
  const lk_item *item = &doc->items[number];
#ifndef LK_SMALL
  lk_client *client = &doc->clients.at[item->client];
  lk_place place = { client->hint_block, 0 };
  if (place.block >= client->block_count || !has_clock(client, place.block, item->clock))
    place.block = block_search(client, item->clock);
  const lk_block *block = &client->blocks[place.block];
  /* Nearly all blocks have room for that many, and a loop that is known to be so long is none. */
  if (block->cap == LK_BLOCK_MAX) place.at = lk_words_find(block->items, LK_BLOCK_MAX, number);
  else place.at = lk_words_find(block->items, block->cap & ~3u, number);
  if (place.at < block->count && block->items[place.at] == number) {
    client->hint_block = place.block;
    client->hint_at = place.at;
    return place;
  }
#endif
  return lk_client_place(doc, item->client, item->clock);
}

uint32_t lk_client_item(lk_doc *doc, uint16_t client, uint32_t clock) {
  /* Whoever types goes on behind what he typed last. */
  if (LK_FAST_ALL && clock + 1 == doc->clients.at[client].clock) return lk_client_last(doc, client);
  return lk_place_item(doc, client, lk_client_place(doc, client, clock));
}

bool lk_place_next(const lk_doc *doc, uint16_t client, lk_place *place) {
  const lk_client *c = &doc->clients.at[client];
  if (place->at + 1u < c->blocks[place->block].count) {
    place->at++;
    return true;
  }
  if (place->block + 1 >= c->block_count) return false;
  place->block++;
  place->at = 0;
  return true;
}

bool lk_place_prev(const lk_doc *doc, uint16_t client, lk_place *place) {
  if (place->at > 0) {
    place->at--;
    return true;
  }
  if (place->block == 0) return false;
  place->block--;
  place->at = doc->clients.at[client].blocks[place->block].count - 1u;
  return true;
}

/* A new block with room for |cap| items behind |block|, or as the first one. */
static lk_err block_new(lk_doc *doc, lk_client *client, uint32_t at, uint16_t cap) {
  uint32_t *items = lk_alloc_array(&doc->alloc, cap, sizeof *items);
  if (items == NULL) return LK_ERR_NOMEM;
  if (client->block_count == client->block_cap) {
    uint32_t wanted = client->block_cap == 0 ? 1 : client->block_cap + client->block_cap / 2 + 1;
    lk_block *blocks = lk_resize_array(&doc->alloc, client->blocks, client->block_cap, wanted,
                                       sizeof *blocks);
    if (blocks == NULL) {
      lk_free_array(&doc->alloc, items, cap, sizeof *items);
      return LK_ERR_NOMEM;
    }
    client->blocks = blocks;
    client->block_cap = wanted;
  }
  memmove(client->blocks + at + 1, client->blocks + at,
          (client->block_count - at) * sizeof *client->blocks);
  client->blocks[at] = (lk_block){ items, 0, 0, cap, false };
  client->block_count++;
  return LK_OK;
}

static lk_err block_widen(lk_doc *doc, lk_block *block, uint32_t cap) {
  if (cap > LK_BLOCK_MAX) cap = LK_BLOCK_MAX;
  uint32_t *items = lk_resize_array(&doc->alloc, block->items, block->cap, cap, sizeof *items);
  if (items == NULL) return LK_ERR_NOMEM;
  block->items = items;
  block->cap = (uint16_t)cap;
  return LK_OK;
}

static void block_remove(lk_doc *doc, lk_client *client, uint32_t at) {
  lk_free_array(&doc->alloc, client->blocks[at].items, client->blocks[at].cap, sizeof(uint32_t));
  client->block_count--;
  memmove(client->blocks + at, client->blocks + at + 1,
          (client->block_count - at) * sizeof *client->blocks);
}

lk_err lk_client_reserve(lk_doc *doc, uint16_t number, uint32_t count) {
  lk_client *client = &doc->clients.at[number];
  uint32_t blocks = client->block_count + count / LK_BLOCK_MAX + 1;
  if (blocks <= client->block_cap) return LK_OK;
  lk_block *moved = lk_resize_array(&doc->alloc, client->blocks, client->block_cap, blocks,
                                    sizeof *moved);
  if (moved == NULL) return LK_ERR_NOMEM;
  client->blocks = moved;
  client->block_cap = blocks;
  return LK_OK;
}

lk_err lk_client_append(lk_doc *doc, uint16_t number, uint32_t item) {
  lk_client *client = &doc->clients.at[number];
  lk_block *block = client->block_count == 0 ? NULL : &client->blocks[client->block_count - 1];
  lk_err err = LK_OK;
  if (block == NULL || block->count == LK_BLOCK_MAX) {
    err = block_new(doc, client, client->block_count, block == NULL ? 2 : LK_BLOCK_MAX);
    if (err != LK_OK) return err;
    block = &client->blocks[client->block_count - 1];
    block->first = doc->items[item].clock;
  } else if (block->count == block->cap &&
             (err = block_widen(doc, block, block->cap * 2u)) != LK_OK) {
    return err;
  }
  block->items[block->count++] = item;
  block->dead = false;
  return LK_OK;
}

lk_err lk_client_room(lk_doc *doc, uint16_t number) {
  lk_client *client = &doc->clients.at[number];
  lk_block *block = &client->blocks[client->block_count - 1];
  if (block->count < block->cap) return LK_OK;
  if (block->cap < LK_BLOCK_MAX) return block_widen(doc, block, LK_BLOCK_MAX);
  lk_err err = block_new(doc, client, client->block_count, LK_BLOCK_MAX);
  if (err == LK_OK) client->blocks[client->block_count - 1].first = client->clock;
  return err;
}

void lk_client_trim(lk_doc *doc, uint16_t number) {
  lk_client *client = &doc->clients.at[number];
  if (client->blocks[client->block_count - 1].count == 0)
    block_remove(doc, client, client->block_count - 1);
}

lk_err lk_client_spread(lk_doc *doc, uint16_t number, lk_place *place, uint32_t more) {
  lk_client *client = &doc->clients.at[number];
  lk_block *block = &client->blocks[place->block];
  LK_DEBUG_ASSERT(more <= LK_BLOCK_MAX / 2);
  if ((uint32_t)block->cap - block->count >= more) return LK_OK;
  if (block->count + more <= LK_BLOCK_MAX)
    return block_widen(doc, block, lk_max_u32(block->cap * 2u, block->count + more));
  /* In two, each of which has items: it has more than half of LK_BLOCK_MAX. */
  lk_err err = block_new(doc, client, place->block + 1, LK_BLOCK_MAX);
  if (err != LK_OK) return err;
  block = &client->blocks[place->block];
  lk_block *upper = block + 1;
  upper->count = (uint16_t)(block->count >> 1);
  block->count = (uint16_t)(block->count - upper->count);
  memcpy(upper->items, block->items + block->count, upper->count * sizeof(uint32_t));
  upper->first = doc->items[upper->items[0]].clock;
  if (place->at >= block->count) {
    place->at -= block->count;
    place->block++;
  }
  return LK_OK;
}

lk_err lk_client_insert(lk_doc *doc, uint16_t number, lk_place place, uint32_t item) {
  lk_client *client = &doc->clients.at[number];
  lk_err err = lk_client_spread(doc, number, &place, 1);
  if (err != LK_OK) return err;
  lk_block *block = &client->blocks[place.block];
  memmove(block->items + place.at + 2, block->items + place.at + 1,
          (block->count - place.at - 1u) * sizeof(uint32_t));
  block->items[place.at + 1] = item;
  block->dead = false;
  block->count++;
  client->hint_block = place.block;
  client->hint_at = place.at + 1;
  return LK_OK;
}

void lk_client_remove_run(lk_doc *doc, uint16_t number, lk_place place, uint32_t count) {
  lk_client *client = &doc->clients.at[number];
  uint32_t at = place.at;
  for (uint32_t i = place.block; count > 0; at = 0) {
    lk_block *block = &client->blocks[i];
    uint32_t here = lk_min_u32(count, block->count - at);
    block->count = (uint16_t)(block->count - here);
    memmove(block->items + at, block->items + at + here, (block->count - at) * sizeof(uint32_t));
    count -= here;
    if (block->count == 0) {
      block_remove(doc, client, i);
      continue;
    }
    if (at == 0) block->first = doc->items[block->items[0]].clock;
    i++;
  }
  client->hint_block = place.at > 0 ? place.block : 0;
  client->hint_at = place.at > 0 ? place.at - 1 : 0;
}

void lk_client_remove(lk_doc *doc, uint16_t number, lk_place place) {
  lk_client_remove_run(doc, number, place, 1);
}

/* ---- names ---- */

static uint64_t slice_hash(const lk_doc *doc, lk_slice name) {
  return lk_siphash13(doc->seed, name);
}
static uint64_t name_hash(const lk_doc *doc, uint32_t name) {
  return slice_hash(doc, lk_name_slice(doc, name));
}

uint32_t lk_name_find(const lk_doc *doc, lk_slice name) {
  if (doc->name_index.cap == 0) return LK_NONE;
  uint32_t mask = doc->name_index.cap - 1;
  for (uint32_t at = (uint32_t)slice_hash(doc, name) & mask;; at = (at + 1) & mask) {
    uint32_t slot = doc->name_index.slots[at];
    if (slot == 0) return LK_NONE;
    if (lk_slice_equal(lk_name_slice(doc, slot - 1), name)) return slot - 1;
  }
}

lk_err lk_name_intern(lk_doc *doc, lk_slice name, uint32_t *out) {
  uint32_t found = lk_name_find(doc, name);
  if (found != LK_NONE) {
    *out = found;
    return LK_OK;
  }
  if (name.len >
      doc->limits.doc_names_bytes - lk_min_u32(doc->limits.doc_names_bytes, doc->name_bytes_len)) {
    return lk_doc_limit(doc, "doc_names_bytes");
  }
  uint32_t len = (uint32_t)name.len;
  lk_err err = LK_VEC_RESERVE(doc, doc->names, 1);
  if (err == LK_OK) err = index_reserve(doc, &doc->name_index, doc->names.count, name_hash);
  if (err == LK_OK && doc->name_bytes_cap - doc->name_bytes_len < len) {
    err = lk_vec_grow(doc, (void **)&doc->name_bytes, &doc->name_bytes_cap, doc->name_bytes_len,
                      len, doc->limits.doc_names_bytes, 1);
  }
  if (err != LK_OK) return err;
  if (len > 0) memcpy(doc->name_bytes + doc->name_bytes_len, name.ptr, len);
  uint32_t number = doc->names.count++;
  doc->names.at[number] = (lk_name){ doc->name_bytes_len, len };
  doc->name_bytes_len += len;
  index_put(&doc->name_index, name_hash(doc, number), number);
  *out = number;
  return LK_OK;
}

/* ---- types, roots, entries ---- */

lk_err lk_type_new(lk_doc *doc, uint8_t kind, uint32_t name, uint32_t *out) {
  if (doc->types.count >= doc->limits.doc_nodes_count) return lk_doc_limit(doc, "doc_nodes_count");
  lk_err err = LK_VEC_RESERVE(doc, doc->types, 1);
  if (err != LK_OK) return err;
  doc->types.at[doc->types.count] = (lk_type){
    .item = LK_NONE,
    .name = name,
    .start = LK_NONE,
    .end = LK_NONE,
    .entry_first = LK_NONE,
    .entry_last = LK_NONE,
    .order = LK_NONE,
    .cursor = LK_NONE,
    .kind = kind,
    .check = doc->types.count * 2654435761u + 1,
  };
  *out = doc->types.count++;
  return LK_OK;
}

static uint32_t root_find(const lk_doc *doc, uint32_t name) {
  /* Roots share the index of entries: a root is the entry of no type. */
  uint32_t entry = lk_entry_find(doc, LK_NONE, name);
  return entry == LK_NONE ? LK_NONE : doc->entries.at[entry].last;
}

lk_err lk_root_intern(lk_doc *doc, lk_slice slice, uint32_t *out) {
  uint32_t name, entry;
  lk_err err = lk_name_intern(doc, slice, &name);
  if (err != LK_OK) return err;
  uint32_t found = root_find(doc, name);
  if (found != LK_NONE) {
    *out = found;
    return LK_OK;
  }
  if (doc->roots.count >= doc->limits.doc_roots_count) return lk_doc_limit(doc, "doc_roots_count");
  if ((err = LK_VEC_RESERVE(doc, doc->roots, 1)) != LK_OK) return err;
  uint32_t type;
  if ((err = lk_type_new(doc, LK_NODE_UNKNOWN, name, &type)) != LK_OK) return err;
  if ((err = lk_entry_intern(doc, LK_NONE, name, &entry)) != LK_OK) {
    doc->types.count--;
    return err;
  }
  doc->entries.at[entry].last = type;
  doc->roots.at[doc->roots.count++] = type;
  *out = type;
  return LK_OK;
}

static uint64_t pair_hash(const lk_doc *doc, uint32_t type, uint32_t key) {
  return mix(doc->seed[1], (uint64_t)type << 32 | key);
}
static uint64_t entry_hash(const lk_doc *doc, uint32_t entry) {
  return pair_hash(doc, doc->entries.at[entry].type, doc->entries.at[entry].key);
}

uint32_t lk_entry_find(const lk_doc *doc, uint32_t type, uint32_t key) {
  if (doc->entry_index.cap == 0 || key == LK_NONE) return LK_NONE;
  uint32_t mask = doc->entry_index.cap - 1;
  for (uint32_t at = (uint32_t)pair_hash(doc, type, key) & mask;; at = (at + 1) & mask) {
    uint32_t slot = doc->entry_index.slots[at];
    if (slot == 0) return LK_NONE;
    const lk_entry *entry = &doc->entries.at[slot - 1];
    if (entry->type == type && entry->key == key) return slot - 1;
  }
}

lk_err lk_entry_intern(lk_doc *doc, uint32_t type, uint32_t key, uint32_t *out) {
  uint32_t found = lk_entry_find(doc, type, key);
  if (found != LK_NONE) {
    *out = found;
    return LK_OK;
  }
  uint32_t number = doc->entries.count;
  uint32_t before = type == LK_NONE ? LK_NONE : doc->types.at[type].entry_last;
  lk_err err = LK_VEC_RESERVE(doc, doc->entries, 1);
  if (err == LK_OK) err = index_reserve(doc, &doc->entry_index, number, entry_hash);
  if (err == LK_OK) err = lk_journal(doc, LK_STEP_ENTRY, number, before, 0);
  if (err != LK_OK) return err;
  doc->entries.at[number] = (lk_entry){ type, key, LK_NONE, LK_NONE, LK_NONE, 0, 0 };
  doc->entries.count++;
  index_put(&doc->entry_index, entry_hash(doc, number), number);
  if (type != LK_NONE) {
    lk_type *owner = &doc->types.at[type];
    if (before == LK_NONE) owner->entry_first = number;
    else doc->entries.at[before].next = number;
    owner->entry_last = number;
  }
  *out = number;
  return LK_OK;
}

static void entry_drop_last(lk_doc *doc, uint32_t before) {
  uint32_t last = doc->entries.count - 1;
  lk_entry *entry = &doc->entries.at[last];
  index_drop(&doc->entry_index, entry_hash(doc, last), last);
  if (entry->type != LK_NONE) {
    lk_type *owner = &doc->types.at[entry->type];
    owner->entry_last = before;
    if (before == LK_NONE) owner->entry_first = LK_NONE;
    else doc->entries.at[before].next = LK_NONE;
  }
  doc->entries.count--;
}

/* ---- text ---- */

/* A large text gets some room behind it, so that what is typed next does not move it. */
lk_err lk_text_reserve(lk_doc *doc, uint32_t more) {
  uint32_t most = doc->limits.doc_text_bytes, roomy = more + more / 8;
  if (doc->text_cap - doc->text_len >= more) return LK_OK;
  if (roomy < more || roomy > most - lk_min_u32(doc->text_len, most)) roomy = more;
  lk_err err = lk_vec_grow(doc, (void **)&doc->text, &doc->text_cap, doc->text_len, roomy, most, 1);
  return err == LK_ERR_LIMIT ? lk_doc_limit(doc, "doc_text_bytes") : err;
}

static bool is_ascii(lk_slice text) {
  size_t i = 0;
  for (; i + 8 <= text.len; i += 8) {
    if ((lk_load_le64(text.ptr + i) & UINT64_C(0x8080808080808080)) != 0) return false;
  }
  for (; i < text.len; i++) {
    if (text.ptr[i] >= 0x80) return false;
  }
  return true;
}

static void store_unit(uint8_t *at, uint16_t unit) { memcpy(at, &unit, 2); }

static lk_err text_add_wide(lk_doc *doc, lk_column_piece piece, uint32_t *at, uint32_t *units) {
  size_t count = lk_utf16_len_of_utf8(piece.text) + (piece.low_first != 0) + (piece.high_last != 0);
  if (count > UINT32_MAX / 4) return lk_doc_limit(doc, "doc_text_bytes");
  uint32_t len = (uint32_t)count * 2;
  lk_err err = lk_text_reserve(doc, len + 1);
  if (err != LK_OK) return err;
  doc->text_len += doc->text_len & 1;
  uint8_t *to = doc->text + doc->text_len;
  *at = doc->text_len;
  *units = (uint32_t)count;
  doc->text_len += len;
  if (piece.low_first != 0) {
    store_unit(to, piece.low_first);
    to += 2;
  }
  while (piece.text.len > 0) {
    uint32_t point;
    if (piece.text.ptr[0] < 0x80) {
      store_unit(to, piece.text.ptr[0]);
      piece.text = lk_slice_skip(piece.text, 1);
      to += 2;
      continue;
    }
    if (lk_utf8_decode(&piece.text, &point) != LK_OK) LK_UNREACHABLE();
    if (point < 0x10000) {
      store_unit(to, (uint16_t)point);
      to += 2;
    } else {
      store_unit(to, lk_utf_high_of(point));
      store_unit(to + 2, lk_utf_low_of(point));
      to += 4;
    }
  }
  if (piece.high_last != 0) store_unit(to, piece.high_last);
  return LK_OK;
}

lk_err lk_text_add(lk_doc *doc, lk_column_piece piece, uint32_t *at, uint32_t *units, bool *wide) {
  *wide = piece.low_first != 0 || piece.high_last != 0 || !is_ascii(piece.text);
  if (*wide) return text_add_wide(doc, piece, at, units);
  if (piece.text.len > UINT32_MAX / 4) return lk_doc_limit(doc, "doc_text_bytes");
  uint32_t len = (uint32_t)piece.text.len;
  lk_err err = lk_text_reserve(doc, len);
  if (err != LK_OK) return err;
  if (len > 0) memcpy(doc->text + doc->text_len, piece.text.ptr, len);
  *at = doc->text_len;
  *units = len;
  doc->text_len += len;
  return LK_OK;
}

static void append_point(lk_buf *out, uint32_t point) {
  uint8_t bytes[4];
  lk_buf_append(out, lk_slice_of(bytes, lk_utf8_encode(point, bytes)));
}

void lk_text_flush(uint16_t *high, lk_buf *out) {
  if (*high != 0) append_point(out, LK_UTF_REPLACEMENT);
  *high = 0;
}

static void append_unit(uint16_t unit, uint16_t *high, lk_buf *out) {
  if (*high != 0 && lk_utf_is_low_surrogate(unit)) {
    append_point(out, lk_utf_join(*high, unit));
    *high = 0;
    return;
  }
  lk_text_flush(high, out);
  if (lk_utf_is_high_surrogate(unit)) *high = unit;
  else append_point(out, unit); /* a low half alone becomes U+FFFD there */
}

void lk_item_append_utf8(const lk_doc *doc, const lk_item *item, uint32_t from, uint32_t len,
                         uint16_t *high, lk_buf *out) {
  if ((item->flags & LK_ITEM_WIDE) == 0) {
    lk_text_flush(high, out);
    lk_buf_append(out, lk_slice_of(doc->text + item->content + from, len));
    return;
  }
  for (uint32_t i = from; i < from + len; i++) append_unit(lk_item_unit(doc, item, i), high, out);
}

uint32_t lk_item_utf8_len(const lk_doc *doc, const lk_item *item, uint32_t from, uint32_t len) {
  if ((item->flags & LK_ITEM_WIDE) == 0) return len;
  uint32_t bytes = 0;
  for (uint32_t i = from; i < from + len; i++) {
    uint16_t unit = lk_item_unit(doc, item, i);
    bool pair = lk_utf_is_high_surrogate(unit) && i + 1 < from + len &&
                lk_utf_is_low_surrogate(lk_item_unit(doc, item, i + 1));
    bytes += unit < 0x80 ? 1 : unit < 0x800 ? 2 : pair ? 4 : 3;
    if (pair) i++;
  }
  return bytes;
}

/* ---- values ---- */

lk_err lk_value_add(lk_doc *doc, lk_slice bytes, uint32_t name, uint32_t *at) {
  size_t head = sizeof(lk_value_head);
  if (bytes.len > doc->limits.doc_values_bytes) return lk_doc_limit(doc, "doc_values_bytes");
  uint32_t len = (uint32_t)(head + bytes.len + 3) & ~3u;
  size_t own = doc->values == NULL ? SIZE_MAX
                                   : (size_t)((uintptr_t)bytes.ptr - (uintptr_t)doc->values);
  if (doc->values_cap - doc->values_len < len) {
    lk_err err = lk_vec_grow(doc, (void **)&doc->values, &doc->values_cap, doc->values_len, len,
                             doc->limits.doc_values_bytes, 1);
    if (err == LK_ERR_LIMIT) return lk_doc_limit(doc, "doc_values_bytes");
    if (err != LK_OK) return err;
  }
  if (own < doc->values_len) bytes.ptr = doc->values + own;
  uint8_t *to = doc->values + doc->values_len;
  lk_value_head *written = (lk_value_head *)(void *)to;
  *written = (lk_value_head){ (uint32_t)bytes.len, name };
  if (bytes.len > 0) memcpy(to + head, bytes.ptr, bytes.len);
  *at = doc->values_len;
  doc->values_len += len;
  return LK_OK;
}

lk_slice lk_item_any(const lk_doc *doc, const lk_item *item, uint32_t at) {
  lk_slice rest = lk_value_bytes(doc, item->content);
  if (item->kind == LK_CONTENT_JSON) {
    for (lk_reader in = lk_reader_of(rest);; at--) {
      uint64_t len;
      lk_slice text;
      if (lk_varuint_decode(&in, UINT32_MAX, &len) != LK_OK ||
          lk_reader_bytes(&in, len, &text) != LK_OK) {
        LK_UNREACHABLE();
      }
      if (at == 0) return text;
    }
  }
  for (; at > 0; at--) rest = lk_slice_skip(rest, lk_value_any_length(rest));
  return lk_slice_first(rest, lk_value_any_length(rest));
}

/* ---- the journal ---- */

lk_err lk_journal(lk_doc *doc, lk_undo_step step, uint32_t a, uint32_t b, uint32_t c) {
  lk_err err = LK_VEC_RESERVE_HERE(doc, doc->journal, 1);
  if (err != LK_OK) return err;
  doc->journal.at[doc->journal.count++] = (lk_journal_entry){ (uint32_t)step, a, b, c };
  return LK_OK;
}

void lk_doc_mark(const lk_doc *doc, lk_mark *out) {
  const lk_tx *tx = doc->tx;
  *out = (lk_mark){
    .journal = doc->journal.count,
    .items = doc->item_count,
    .names = doc->names.count,
    .name_bytes = doc->name_bytes_len,
    .clients = doc->clients.count,
    .types = doc->types.count,
    .entries = doc->entries.count,
    .roots = doc->roots.count,
    .text = doc->text_len,
    .values = doc->values_len,
    .redone = doc->redone.count,
    .ranges = tx->ranges.count,
    .touched = tx->touched.count,
    .merges = tx->merges.count,
    .changed = tx->changed.count,
    .subdocs = tx->subdocs.count,
  };
}

static void unlink_item(lk_doc *doc, uint32_t number, uint32_t entry_last) {
  lk_item *item = &doc->items[number];
  lk_client *client = &doc->clients.at[item->client];
  lk_place last = { client->block_count - 1, client->blocks[client->block_count - 1].count - 1u };
  LK_ASSERT(lk_place_item(doc, item->client, last) == number);
  lk_client_remove(doc, item->client, last);
  doc->units -= client->clock - item->clock;
  client->clock = item->clock;
  client->text_used = client->text_end = 0;
  if (item->kind == LK_CONTENT_GC) return;
  lk_type *parent = &doc->types.at[item->parent];
  if (item->right != LK_NONE) doc->items[item->right].left = item->left;
  if (item->left != LK_NONE) doc->items[item->left].right = item->right;
  if ((item->flags & LK_ITEM_SUB) != 0) {
    lk_entry *entry = &doc->entries.at[item->leaf];
    entry->last = entry_last;
    if (entry->first == number) entry->first = item->right;
    return;
  }
  if (parent->start == number) parent->start = item->right;
  if (parent->end == number) parent->end = item->left;
  if (parent->order != LK_NONE) lk_order_unlink(doc, number);
  parent->length -= lk_item_units(item);
  parent->cursor = LK_NONE;
}

static void unlink_items(lk_doc *doc, const lk_journal_entry *step) {
  for (uint32_t i = step->b + 1; i-- > 0;) unlink_item(doc, step->a + i, LK_NONE);
}

static void drop_items(lk_doc *doc, const lk_mark *mark, const lk_journal_entry *step) {
  for (uint32_t i = step->b + 1; i-- > 0;) {
    if (step->a + i < mark->items) lk_item_free(doc, step->a + i);
    else doc->item_live--;
  }
}

static void unsplit_item(lk_doc *doc, const lk_journal_entry *step) {
  lk_item *left = &doc->items[step->a], *right = &doc->items[step->b];
  lk_type *parent = &doc->types.at[left->parent];
  lk_place place = lk_client_place(doc, right->client, right->clock);
  lk_client_remove(doc, right->client, place);
  if ((right->flags & LK_ITEM_SUB) != 0) {
    if (doc->entries.at[right->leaf].last == step->b) doc->entries.at[right->leaf].last = step->a;
  } else {
    if (parent->end == step->b) parent->end = step->a;
    if (parent->order != LK_NONE) {
      lk_order_unlink(doc, step->b);
      lk_order_add(doc, left->leaf, (int32_t)lk_item_units(right), 0);
    }
    parent->cursor = LK_NONE;
  }
  left->right = right->right;
  if (right->right != LK_NONE) doc->items[right->right].left = step->a;
  if (left->kind == LK_CONTENT_ANY || left->kind == LK_CONTENT_JSON) {
    lk_value_head *head = (lk_value_head *)(void *)(doc->values + left->content);
    head->size += lk_value_head_at(doc, right->content)->size;
  }
  if (step->c != 0) {
    store_unit(doc->text + left->content + (size_t)(left->len - 1) * 2, (uint16_t)(step->c >> 16));
    store_unit(doc->text + right->content, (uint16_t)step->c);
  }
  left->len += right->len;
}

static void undelete_item(lk_doc *doc, uint32_t number) {
  lk_item *item = &doc->items[number];
  lk_place place = lk_client_place(doc, item->client, item->clock);
  doc->clients.at[item->client].blocks[place.block].dead = false;
  item->flags &= (uint8_t)~LK_ITEM_DELETED;
  if ((item->flags & LK_ITEM_SUB) != 0) return;
  lk_type *parent = &doc->types.at[item->parent];
  parent->length += lk_item_units(item);
  parent->cursor = LK_NONE;
  if (parent->order != LK_NONE) {
    lk_order_add(doc, item->leaf, (int32_t)lk_item_units(item), item->kind == LK_CONTENT_FORMAT);
  }
}

static void step_back(lk_doc *doc, const lk_mark *mark, const lk_journal_entry *step) {
  lk_item *item = step->a < doc->item_count ? &doc->items[step->a] : NULL;
  switch ((lk_undo_step)step->step) {
  case LK_STEP_NEW: drop_items(doc, mark, step); break;
  case LK_STEP_LINK: unlink_item(doc, step->a, step->b); break;
  case LK_STEP_LINKED: unlink_items(doc, step); break;
  case LK_STEP_MADE:
    unlink_items(doc, step);
    drop_items(doc, mark, step);
    break;
  case LK_STEP_SPLIT: unsplit_item(doc, step); break;
  case LK_STEP_DELETE: undelete_item(doc, step->a); break;
  case LK_STEP_KIND:
    item->kind = (uint8_t)step->b;
    item->flags = (uint8_t)(step->b >> 8);
    item->content = step->c;
    break;
  case LK_STEP_FLAGS: item->flags = (uint8_t)step->b; break;
  case LK_STEP_TYPE:
    doc->types.at[step->a].flags = (uint8_t)step->b;
    doc->types.at[step->a].kind = (uint8_t)(step->b >> 8);
    break;
  case LK_STEP_CHANGED:
  case LK_STEP_REMARK:
    doc->types.at[step->a].changed = step->b;
    doc->types.at[step->a].changed_list = step->c;
    break;
  case LK_STEP_ENTRY_CHANGED: doc->entries.at[step->a].changed = step->b; break;
  case LK_STEP_TOUCH:
    doc->clients.at[step->a].touched = step->b;
    doc->clients.at[step->a].before = step->c;
    break;
  case LK_STEP_REDONE: lk_item_drop_redone(doc, step->a); break;
  case LK_STEP_ENTRY: entry_drop_last(doc, step->b); break;
  case LK_STEP_GROWN: {
    lk_client *client = &doc->clients.at[item->client];
    doc->units -= item->len - step->b;
    item->len = step->b;
    client->clock = lk_item_end(item);
    break;
  }
  case LK_STEP_SAVED: *item = doc->saved.at[step->b]; break;
  case LK_STEP_UNIT: store_unit(doc->text + step->a, (uint16_t)step->b); break;
  case LK_STEP_PEND:
  case LK_STEP_UNPEND:
  case LK_STEP_WAIT:
  case LK_STEP_UNWAIT:
  case LK_STEP_RANGE:
  case LK_STEP_UNRANGE: lk_pending_step_back(doc, step); break;
  }
}

void lk_doc_rollback(lk_doc *doc, const lk_mark *mark) {
  lk_tx *tx = doc->tx;
  while (doc->journal.count > mark->journal) {
    lk_journal_entry step = doc->journal.at[--doc->journal.count];
    step_back(doc, mark, &step);
  }
  doc->item_count = mark->items;
  doc->roots.count = mark->roots;
  for (; doc->types.count > mark->types; doc->types.count--)
    lk_order_drop(doc, doc->types.count - 1);
  while (doc->names.count > mark->names) {
    uint32_t last = doc->names.count - 1;
    index_drop(&doc->name_index, name_hash(doc, last), last);
    doc->names.count--;
  }
  doc->name_bytes_len = mark->name_bytes;
  while (doc->clients.count > mark->clients) client_drop_last(doc);
  doc->text_len = mark->text;
  doc->values_len = mark->values;
  tx->ranges.count = mark->ranges;
  tx->touched.count = mark->touched;
  tx->merges.count = mark->merges;
  tx->changed.count = mark->changed;
  tx->subdocs.count = mark->subdocs;
}
