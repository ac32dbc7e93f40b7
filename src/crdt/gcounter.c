/* crdt/gcounter.c -- entries sorted by actor, merged like two sorted lists.
 *
 *   state   := kind:u8=1 version:u8=1 count:varuint entry*
 *   entry   := actor_len:varuint actor n:varuint          n >= 1, at most 2^64-1
 *
 * Sorted by the bytes of the actor and without repetition, every integer in its shortest form: one
 * state has one encoding, so that bytes may be compared and hashed instead of states.
 *
 * The sum is kept in |value| and must fit 64 bits. A merge could take it beyond (two replicas
 * that each stayed within); that is refused as a whole, since a counter that shows a wrong sum
 * is worse than one that says it is full. To reach it honestly takes 2^64 counts.
 *
 * Always: entries are sorted, actors distinct, counts above 0, value == sum of counts.
 *
 * Every change is prepared before it is made: merge takes the room and makes the copies that it will
 * need, and only then weaves them in, which cannot fail. So a failed allocation leaves the counter
 * as it was. */
#include "crdt/gcounter.h"

#include "codec/json_reader.h"
#include "codec/reader.h"
#include "codec/utf.h"
#include "codec/varint.h"

#define KIND 1
#define VERSION 1

void lk_gcounter_init(lk_gcounter *self, const lk_alloc *alloc, const lk_limits *limits) {
  *self = (lk_gcounter){ .alloc = alloc, .count_max = limits->crdt_actors_count };
}

static void free_entries(const lk_alloc *alloc, lk_gcounter_entry *entries, uint32_t count,
                         uint32_t cap) {
  for (uint32_t i = 0; i < count; i++) lk_free_bytes(alloc, entries[i].actor, entries[i].actor_len);
  lk_free_array(alloc, entries, cap, sizeof *entries);
}

void lk_gcounter_deinit(lk_gcounter *self) {
  if (self->alloc != NULL) free_entries(self->alloc, self->entries, self->count, self->cap);
  *self = (lk_gcounter){ 0 };
}

/* Gives up the entries but stays usable: what a failed decode leaves behind. */
static void clear(lk_gcounter *self) {
  free_entries(self->alloc, self->entries, self->count, self->cap);
  self->entries = NULL;
  self->count = self->cap = 0;
  self->value = 0;
}

static lk_slice actor_of(const lk_gcounter_entry *entry) {
  return lk_slice_of(entry->actor, entry->actor_len);
}

/* The place of |actor|, or where it would go. */
static uint32_t find(const lk_gcounter *self, lk_slice actor, bool *found) {
  uint32_t low = 0, high = self->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    int order = lk_slice_compare(actor_of(&self->entries[middle]), actor);
    if (order == 0) {
      *found = true;
      return middle;
    }
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  *found = false;
  return low;
}

uint64_t lk_gcounter_count_of(const lk_gcounter *self, lk_slice actor) {
  bool found;
  uint32_t at = find(self, actor, &found);
  return found ? self->entries[at].count : 0;
}

lk_err lk_gcounter_check_actor(lk_slice actor) {
  if (actor.len == 0 || actor.len > LK_ACTOR_LEN_MAX) return LK_ERR_ACTOR;
  return lk_utf8_check(actor) == LK_OK ? LK_OK : LK_ERR_ACTOR;
}

static lk_err copy_entry(const lk_alloc *alloc, lk_slice actor, uint64_t count,
                         lk_gcounter_entry *out) {
  uint8_t *copy = lk_alloc_bytes(alloc, actor.len);
  if (copy == NULL) return LK_ERR_NOMEM;
  memcpy(copy, actor.ptr, actor.len);
  *out = (lk_gcounter_entry){ copy, (uint32_t)actor.len, count };
  return LK_OK;
}

static lk_err make_room(lk_gcounter *self) {
  size_t cap;
  if (self->count < self->cap) return LK_OK;
  if (!lk_grow_cap(self->cap, (size_t)self->count + 1, 4, self->count_max, &cap)) {
    LK_COVERED(gcounter_reached_its_maximum);
    return LK_ERR_LIMIT;
  }
  lk_gcounter_entry *entries = lk_resize_array(self->alloc, self->entries, self->cap, cap,
                                               sizeof *entries);
  if (entries == NULL) return LK_ERR_NOMEM;
  self->entries = entries;
  self->cap = (uint32_t)cap;
  return LK_OK;
}

/* Makes the count of |actor| at least |count|. */
static lk_err raise(lk_gcounter *self, lk_slice actor, uint64_t count) {
  bool found;
  uint64_t value;
  uint32_t at = find(self, actor, &found);
  uint64_t had = found ? self->entries[at].count : 0;
  if (count <= had) return LK_OK;
  if (!lk_add_u64(self->value, count - had, &value)) return LK_ERR_OVERFLOW;
  if (!found) {
    lk_gcounter_entry entry;
    lk_err err = make_room(self);
    if (err == LK_OK) err = copy_entry(self->alloc, actor, count, &entry);
    if (err != LK_OK) return err;
    memmove(self->entries + at + 1, self->entries + at, (self->count - at) * sizeof entry);
    self->entries[at] = entry;
    self->count++;
  }
  self->entries[at].count = count;
  self->value = value;
  return LK_OK;
}

lk_err lk_gcounter_increment(lk_gcounter *self, lk_slice actor, uint64_t amount,
                             lk_gcounter *delta) {
  uint64_t count, value;
  lk_err err = lk_gcounter_check_actor(actor);
  if (err != LK_OK) return err;
  if (amount == 0) return LK_ERR_RANGE;
  /* The actor's own count is never above the sum, so the second check covers the first. */
  count = lk_gcounter_count_of(self, actor);
  if (!lk_add_u64(self->value, amount, &value)) return LK_ERR_OVERFLOW;
  count += amount;
  /* The delta goes first: a delta that is ahead of its counter for an instant is never sent, while a
   * counter whose change is in no delta would never be heard of. */
  if (delta != NULL && (err = raise(delta, actor, count)) != LK_OK) return err;
  return raise(self, actor, count);
}

/* ---- merging ---- */

/* Whether |other| has anything that |self| lacks, and the sum that merging would give. */
static lk_err measure(const lk_gcounter *self, const lk_gcounter *other, uint32_t *missing,
                      uint64_t *value, bool *news) {
  uint32_t i = 0;
  *missing = 0;
  *value = self->value;
  *news = false;
  for (uint32_t k = 0; k < other->count; k++) {
    int order = -1;
    while (i < self->count && (order = lk_slice_compare(actor_of(&self->entries[i]),
                                                        actor_of(&other->entries[k]))) < 0) {
      i++;
    }
    uint64_t had = i < self->count && order == 0 ? self->entries[i].count : 0;
    if (other->entries[k].count <= had) continue;
    *news = true;
    if (had == 0) ++*missing;
    if (!lk_add_u64(*value, other->entries[k].count - had, value)) return LK_ERR_OVERFLOW;
  }
  return LK_OK;
}

/* Raises the counts that |self| has already; adds the others from the end, so that each entry
 * moves once, into room that is there. Cannot fail but for the copies, which |fresh| holds. */
static void weave(lk_gcounter *self, const lk_gcounter *other, lk_gcounter_entry *fresh,
                  uint32_t missing) {
  uint32_t i = self->count, to = self->count + missing;
  for (uint32_t k = other->count; k-- > 0;) {
    int order = 1;
    while (i > 0 && (order = lk_slice_compare(actor_of(&self->entries[i - 1]),
                                              actor_of(&other->entries[k]))) > 0) {
      self->entries[--to] = self->entries[--i];
    }
    if (i > 0 && order == 0) {
      lk_gcounter_entry entry = self->entries[--i];
#ifdef LK_BUG_MERGE_ADDS /* planted for the simulator, which must find it: sim/README.md */
      entry.count += other->entries[k].count;
#else
      entry.count = lk_max_u64(entry.count, other->entries[k].count);
#endif
      self->entries[--to] = entry;
    } else {
      self->entries[--to] = fresh[--missing];
    }
  }
  LK_ASSERT(missing == 0 && to == i);
}

/* Copies of the entries that |self| lacks, in order. */
static lk_err copy_missing(const lk_gcounter *self, const lk_gcounter *other,
                           lk_gcounter_entry *out, uint32_t missing) {
  uint32_t done = 0;
  for (uint32_t k = 0; k < other->count && done < missing; k++) {
    bool found;
    (void)find(self, actor_of(&other->entries[k]), &found);
    if (found) continue;
    lk_err err = copy_entry(self->alloc, actor_of(&other->entries[k]), other->entries[k].count,
                            &out[done]);
    if (err != LK_OK) {
      while (done > 0) {
        done--;
        lk_free_bytes(self->alloc, out[done].actor, out[done].actor_len);
      }
      return err;
    }
    done++;
  }
  LK_ASSERT(done == missing);
  return LK_OK;
}

lk_err lk_gcounter_merge(lk_gcounter *self, const lk_gcounter *other, bool *changed) {
  uint32_t missing;
  uint64_t value;
  bool news;
  lk_gcounter_entry *fresh = NULL;
  lk_err err = measure(self, other, &missing, &value, &news);
  if (err != LK_OK) return err;
  if (missing > self->count_max - self->count) return LK_ERR_LIMIT;
  if (missing > 0) {
    uint32_t needed = self->count + missing;
    if (needed > self->cap) {
      lk_gcounter_entry *entries = lk_resize_array(self->alloc, self->entries, self->cap, needed,
                                                   sizeof *entries);
      if (entries == NULL) return LK_ERR_NOMEM;
      self->entries = entries;
      self->cap = needed;
    }
    fresh = lk_alloc_array(self->alloc, missing, sizeof *fresh);
    if (fresh == NULL) return LK_ERR_NOMEM;
    err = copy_missing(self, other, fresh, missing);
    if (err != LK_OK) {
      lk_free_array(self->alloc, fresh, missing, sizeof *fresh);
      return err;
    }
  }
  if (news) {
    weave(self, other, fresh, missing);
    self->count += missing;
    self->value = value;
  }
  lk_free_array(self->alloc, fresh, missing, sizeof *fresh);
  if (changed != NULL) *changed = news;
  return LK_OK;
}

lk_err lk_gcounter_diff(const lk_gcounter *self, const lk_gcounter *since, lk_gcounter *out) {
  for (uint32_t i = 0; i < self->count; i++) {
    const lk_gcounter_entry *entry = &self->entries[i];
    if (lk_gcounter_count_of(since, actor_of(entry)) >= entry->count) continue;
    lk_err err = raise(out, actor_of(entry), entry->count);
    if (err != LK_OK) return err;
  }
  return LK_OK;
}

bool lk_gcounter_equal(const lk_gcounter *a, const lk_gcounter *b) {
  if (a->count != b->count || a->value != b->value) return false;
  for (uint32_t i = 0; i < a->count; i++) {
    if (a->entries[i].count != b->entries[i].count) return false;
    if (!lk_slice_equal(actor_of(&a->entries[i]), actor_of(&b->entries[i]))) return false;
  }
  return true;
}

/* ---- bytes ---- */

lk_err lk_gcounter_encode(const lk_gcounter *self, lk_buf *out) {
  lk_buf_append_u8(out, KIND);
  lk_buf_append_u8(out, VERSION);
  lk_varuint_encode(out, self->count);
  for (uint32_t i = 0; i < self->count; i++) {
    lk_varuint_encode(out, self->entries[i].actor_len);
    lk_buf_append(out, actor_of(&self->entries[i]));
    lk_varuint_encode(out, self->entries[i].count);
  }
  return lk_buf_err(out);
}

static lk_err decode_head(lk_reader *in, uint64_t *count) {
  uint8_t kind, version;
  lk_err err;
  if ((err = lk_reader_u8(in, &kind)) != LK_OK) return err;
  if (kind != KIND) return LK_ERR_TYPE;
  if ((err = lk_reader_u8(in, &version)) != LK_OK) return err;
  if (version != VERSION) return LK_ERR_VERSION;
  return lk_varuint_decode_canonical(in, UINT64_MAX, count);
}

static lk_err decode_entry(lk_reader *in, lk_slice *actor, uint64_t *count) {
  uint64_t len;
  lk_err err;
  if ((err = lk_varuint_decode_canonical(in, UINT64_MAX, &len)) != LK_OK) return err;
  if (len > LK_ACTOR_LEN_MAX) return LK_ERR_ACTOR;
  if ((err = lk_reader_bytes(in, len, actor)) != LK_OK) return err;
  if ((err = lk_gcounter_check_actor(*actor)) != LK_OK) return err;
  if ((err = lk_varuint_decode_canonical(in, UINT64_MAX, count)) != LK_OK) return err;
  return *count == 0 ? LK_ERR_NOT_CANONICAL : LK_OK;
}

static lk_err decode_entries(lk_gcounter *out, lk_reader *in) {
  uint64_t count;
  lk_slice last = LK_SLICE_EMPTY;
  lk_err err = decode_head(in, &count);
  if (err != LK_OK) return err;
  if (count > out->count_max) return LK_ERR_LIMIT;
  /* An entry has three bytes at least, so a huge count is refused before it costs anything. */
  if (count > lk_reader_left(in) / 3) return LK_ERR_TRUNCATED;
  for (uint64_t i = 0; i < count; i++) {
    lk_slice actor;
    uint64_t n;
    if ((err = decode_entry(in, &actor, &n)) != LK_OK) return err;
    if (i > 0 && lk_slice_compare(last, actor) >= 0) return LK_ERR_NOT_CANONICAL;
    if ((err = raise(out, actor, n)) != LK_OK) return err; /* goes to the end: they are sorted */
    last = actor;
  }
  return lk_reader_end(in);
}

lk_err lk_gcounter_decode(lk_gcounter *out, lk_slice bytes) {
  LK_ASSERT(out->count == 0);
  lk_reader in = lk_reader_of(bytes);
  lk_err err = decode_entries(out, &in);
  if (err != LK_OK) clear(out);
  return err;
}

/* ---- JSON ---- */

lk_err lk_gcounter_write_counts(const lk_gcounter *self, lk_json_writer *w) {
  (void)lk_json_begin_object(w);
  for (uint32_t i = 0; i < self->count; i++) {
    (void)lk_json_write_key(w, actor_of(&self->entries[i]));
    (void)lk_json_write_u64(w, self->entries[i].count);
  }
  return lk_json_end_object(w);
}

lk_err lk_gcounter_encode_json(const lk_gcounter *self, lk_buf *out) {
  lk_json_writer w;
  lk_json_writer_init(&w, out);
  (void)lk_json_begin_object(&w);
  (void)lk_json_write_key(&w, LK_LIT("counts"));
  (void)lk_gcounter_write_counts(self, &w);
  (void)lk_json_end_object(&w);
  return lk_json_writer_finish(&w);
}

/* A stranger's object has its members in any order, and to insert each in its place would move half of
 * the others every time: 65,536 of them backwards took half a second. So they are put at the end,
 * then sorted, then those with the same actor become one. */
static lk_err append(lk_gcounter *self, lk_slice actor, uint64_t count) {
  if (count == 0) return LK_OK;
  lk_err err = make_room(self);
  if (err == LK_OK) err = copy_entry(self->alloc, actor, count, &self->entries[self->count]);
  if (err == LK_OK) self->count++;
  return err;
}

static int order_of(const lk_gcounter_entry *a, const lk_gcounter_entry *b) {
  return lk_slice_compare(actor_of(a), actor_of(b));
}

static void sift_down(lk_gcounter_entry *entries, uint32_t at, uint32_t count) {
  for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && order_of(&entries[child], &entries[child + 1]) < 0) child++;
    if (order_of(&entries[at], &entries[child]) >= 0) return;
    lk_gcounter_entry entry = entries[at];
    entries[at] = entries[child];
    entries[child] = entry;
  }
}

/* Heapsort: in place, without recursion, and no order of the input makes it slow. */
static void sort(lk_gcounter_entry *entries, uint32_t count) {
  uint32_t sorted = 1;
  while (sorted < count && order_of(&entries[sorted - 1], &entries[sorted]) < 0) sorted++;
  if (sorted >= count) return; /* as we write them ourselves */
  for (uint32_t at = count / 2; at-- > 0;) sift_down(entries, at, count);
  for (uint32_t last = count; last-- > 1;) {
    lk_gcounter_entry entry = entries[0];
    entries[0] = entries[last];
    entries[last] = entry;
    sift_down(entries, 0, last);
  }
}

/* Makes true what must always hold of entries that were appended. */
static lk_err settle(lk_gcounter *self) {
  uint32_t kept = 0;
  sort(self->entries, self->count);
  for (uint32_t i = 0; i < self->count; i++) {
    lk_gcounter_entry *entry = &self->entries[i];
    if (kept > 0 && order_of(&self->entries[kept - 1], entry) == 0) {
      lk_gcounter_entry *same = &self->entries[kept - 1];
      same->count = lk_max_u64(same->count, entry->count);
      lk_free_bytes(self->alloc, entry->actor, entry->actor_len);
    } else {
      self->entries[kept++] = *entry;
    }
  }
  self->count = kept;
  for (uint32_t i = 0; i < kept; i++) {
    if (!lk_add_u64(self->value, self->entries[i].count, &self->value)) return LK_ERR_OVERFLOW;
  }
  return LK_OK;
}

/* {"actor":n,...}, the object behind "counts". A count of 0 says nothing and is left out. */
static lk_err decode_counts(lk_gcounter *out, lk_json_reader *in) {
  lk_json_event event;
  lk_err err;
  if ((err = lk_json_next(in, &event)) != LK_OK) return err;
  if (event.kind != LK_JSON_OBJECT_BEGIN) return LK_ERR_PAYLOAD;
  for (;;) {
    uint64_t count;
    if ((err = lk_json_next(in, &event)) != LK_OK) return err;
    if (event.kind == LK_JSON_OBJECT_END) return settle(out);
    lk_slice actor = event.text;
    if ((err = lk_gcounter_check_actor(actor)) != LK_OK) return err;
    if ((err = lk_json_next(in, &event)) != LK_OK) return err;
    if (lk_json_get_u64(&event, &count) != LK_OK) return LK_ERR_PAYLOAD;
    if ((err = append(out, actor, count)) != LK_OK) return err;
  }
}

lk_err lk_gcounter_decode_json(lk_gcounter *out, lk_slice text, const lk_limits *limits) {
  LK_ASSERT(out->count == 0);
  lk_json_member counts = { .name = LK_LIT("counts") };
  lk_json_reader in;
  lk_arena arena;
  lk_arena_init(&arena, out->alloc, (size_t)limits->json_bytes * 2);
  lk_err err = lk_json_reader_init(&in, text, limits, &arena);
  if (err == LK_OK) err = lk_json_read_members(&in, &counts, 1);
  if (err == LK_OK) err = lk_json_finish(&in);
  if (err == LK_ERR_TYPE) err = LK_ERR_PAYLOAD;
  if (err == LK_OK && counts.value.kind == LK_JSON_ABSENT) err = LK_ERR_PAYLOAD;
  if (err == LK_OK) err = lk_json_reader_init(&in, counts.raw, limits, &arena);
  if (err == LK_OK) err = decode_counts(out, &in);
  lk_arena_deinit(&arena);
  if (err != LK_OK) clear(out);
  return err;
}
