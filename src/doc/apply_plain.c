/* doc/apply_plain.c -- the structs that most of a document is made of, in bulk.
 *
 * Nearly every struct of a text is a run of characters, or of deleted ones, that somebody put between two neighbours who
 * still stand side by side. A document that is loaded has thousands of them in a row, in V1, which are read here by their
 * bytes and put into the pool and the list at once, some twenty nanoseconds each. In what comes first:
 *
 *   reading   the client's id is compared as a word with how it was written for the section; numbers of up to four
 *             bytes are taken from one load; text is copied and looked at by words
 *   finding   the neighbour by its clock: a map of the section's clocks (lk_clock_map) says where to look
 *   linking   only between neighbours, in a list without an index: nobody else has to be asked
 *   journal   one entry for a run of items with numbers that follow on: taking back goes through them from the end
 *
 * As soon as a struct is anything else, the run ends in front of it and apply.c does what is to be done, be it an error.
 * So nothing is decided here but that a struct is plain. In what order and with what outcome structs are taken in is the
 * same in both files, and tested.
 *
 * Always: what is counted in the document while a run is under way (items, text, units) is brought up to date before
 * anything is called that may look at it, and before leaving. */
#include "doc/apply.h"

#include "codec/utf.h"
#include "codec/varint.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define UNLIKELY(condition) (__builtin_expect((condition), 0))
#define OUT_OF_LINE __attribute__((noinline))
/* More than the info, two ids and a length take, or than two numbers, and what loads by words reach beyond. */
#define HEAD_MAX 48
#define TAIL_MAX 16
#define TEXT_ROOM 32 /* text is copied so many bytes at a time */
/* Items that are looked at from where the map points. */
#define OWN_WALK 64
#define MAP_WALK 16
#define MAP_SHIFT 5 /* of a map that nobody had to coarsen */

/* ---- the map of clocks ---- */

/* Every other stretch goes. */
static OUT_OF_LINE lk_clock_map map_coarsened(lk_clock_map map) {
  map.shift++;
  map.count = (map.count + 1) / 2;
  for (uint32_t i = 1; i < map.count; i++) map.at[i] = map.at[2 * (size_t)i];
  map.next = map.from + ((uint64_t)map.count << map.shift);
  return map;
}

/* |number| stands for what begins before |end|. */
static ALWAYS_INLINE void map_note(lk_clock_map *map, uint32_t number, uint32_t end) {
  while (map->next < end) {
    if (UNLIKELY(map->count == map->cap)) {
      *map = map_coarsened(*map);
      continue;
    }
    map->at[map->count++] = number;
    map->next += (uint64_t)1 << map->shift;
  }
}

void lk_section_map(lk_applying *self, lk_section *section, uint32_t clock, uint32_t structs) {
  lk_clock_map *map = &section->map;
  *map = (lk_clock_map){ .from = clock, .next = UINT64_MAX, .shift = MAP_SHIFT };
  if (structs < MAP_WALK) return;
  map->at = lk_arena_push_array(&self->scratch, structs, sizeof *map->at);
  if (map->at == NULL) return;
  map->cap = structs;
  map->next = clock;
}

void lk_section_note(lk_applying *self, lk_section *section, uint32_t number) {
  map_note(&section->map, number, lk_item_end(&self->doc->items[number]));
}

/* The integrated item that holds |clock|, which its client has passed. */
static OUT_OF_LINE uint32_t find(const lk_applying *self, uint16_t client, uint32_t clock) {
  lk_doc *doc = self->doc;
  uint32_t section = doc->clients.at[client].section;
  if (section != LK_NONE) {
    const lk_clock_map *map = &self->sections.at[section].map;
    uint32_t slot = (clock - map->from) >> map->shift;
    if (clock >= map->from && slot < map->count) {
      uint32_t number = map->at[slot], end = lk_min_u32(number + MAP_WALK, doc->item_count);
      for (; number < end; number++) {
        const lk_item *item = &doc->items[number];
        if (clock - item->clock >= item->len || item->client != client) continue;
        if ((item->flags & LK_ITEM_LOOSE) == 0 && item->kind != LK_CONTENT_FREE) return number;
      }
    }
  }
  return lk_client_item(doc, client, clock);
}

/* ---- reading ---- */

/* What was read, and what comes behind it; |at| NULL where it is something else. By value, so that the cursor of who reads
 * has no address and stays in a register. */
typedef struct word_at {
  const uint8_t *at;
  uint32_t value;
} word_at;

static OUT_OF_LINE word_at read_other_u32(const uint8_t *at) {
  uint32_t word = lk_load_le32(at), ends = ~word & 0x80808080;
  if (ends == 0) return (word_at){ NULL, 0 };
  uint32_t bits = lk_ctz_u32(ends) + 1;
  word &= UINT32_MAX >> (32 - bits);
  word = (word & 0x7F) | (word >> 1 & 0x3F80) | (word >> 2 & 0x1FC000) | (word >> 3 & 0xFE00000);
  return (word_at){ at + bits / 8, word };
}

static ALWAYS_INLINE bool take_word(word_at read, const uint8_t **at, uint32_t *out) {
  *at = read.at;
  *out = read.value;
  return read.at != NULL;
}

/* Clocks have three bytes as a rule, in short documents two. */
static ALWAYS_INLINE bool read_clock(const uint8_t **at, uint32_t *out) {
  uint32_t word = lk_load_le32(*at);
  if ((word & 0x808080) == 0x8080) {
    *out = (word & 0x7F) | (word >> 1 & 0x3F80) | (word >> 2 & 0x1FC000);
    *at += 3;
    return true;
  }
  if ((word & 0x8080) == 0x80) {
    *out = (word & 0x7F) | (word >> 1 & 0x3F80);
    *at += 2;
    return true;
  }
  return take_word(read_other_u32(*at), at, out);
}

/* And lengths one. */
static ALWAYS_INLINE bool read_len(const uint8_t **at, uint32_t *out) {
  if (UNLIKELY(**at >= 0x80)) return take_word(read_other_u32(*at), at, out);
  *out = *(*at)++;
  return true;
}

/* A client that is no new one. Its bytes are known from now on. */
static OUT_OF_LINE word_at read_other(lk_applying *self, const uint8_t *at) {
  lk_reader in = lk_reader_of(lk_slice_of(at, LK_VARUINT_LEN_MAX));
  uint64_t id;
  word_at none = { NULL, 0 };
  if (lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &id) != LK_OK || in.pos > 8) return none;
  uint16_t client = lk_client_find(self->doc, id);
  if (client == LK_NO_CLIENT) return none;
  uint64_t mask = UINT64_MAX >> (64 - 8 * in.pos);
  self->other = (lk_id_bytes){ lk_load_le64(at) & mask, mask, (uint8_t)in.pos, client };
  return (word_at){ at + in.pos, client };
}

/* Any client. */
static OUT_OF_LINE word_at skip_client(const uint8_t *at) {
  lk_reader in = lk_reader_of(lk_slice_of(at, LK_VARUINT_LEN_MAX));
  uint64_t id;
  if (lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &id) != LK_OK) return (word_at){ NULL, 0 };
  return (word_at){ at + in.pos, 0 };
}

static ALWAYS_INLINE bool read_id(lk_applying *self, const lk_id_bytes *own, const uint8_t **at,
                                  uint32_t *client, uint32_t *clock) {
  uint64_t word = lk_load_le64(*at);
  if ((word & own->mask) == own->word) {
    *client = own->client;
    *at += own->len;
  } else if ((word & self->other.mask) == self->other.word && self->other.mask != 0) {
    *client = self->other.client;
    *at += self->other.len;
  } else if (!take_word(read_other(self, *at), at, client)) {
    return false;
  }
  return read_clock(at, clock);
}

/* Copies text and some bytes behind it. Whether it is ASCII is asked afterwards, for many at once. */
static ALWAYS_INLINE void copy_text(uint8_t *to, const uint8_t *from, uint32_t len) {
  memcpy(to, from, TEXT_ROOM / 2);
  memcpy(to + TEXT_ROOM / 2, from + TEXT_ROOM / 2, TEXT_ROOM / 2);
  if (len > TEXT_ROOM) memcpy(to + TEXT_ROOM, from + TEXT_ROOM, len - TEXT_ROOM);
}

static bool is_ascii(const uint8_t *text, size_t len) {
  uint64_t bits = 0;
  size_t i = 0;
  for (; i + 8 <= len; i += 8) {
    uint64_t word;
    memcpy(&word, text + i, 8);
    bits |= word;
  }
  for (; i < len; i++) bits |= text[i];
  return (bits & UINT64_C(0x8080808080808080)) == 0;
}

/* ---- linking ---- */

/* Whether plain structs may be added to the list of |type| by whoever knows their neighbours. */
static OUT_OF_LINE bool is_open(const lk_doc *doc, uint32_t type) {
  const lk_type *parent = &doc->types.at[type];
  return parent->order == LK_NONE && parent->item == LK_NONE &&
         parent->changed_list == doc->tx->number;
}

/* Notes |count| items from |number| on in the entry on top, if that is a run of |step| that they continue; otherwise in
 * one of their own. */
static inline lk_err note(lk_doc *doc, lk_undo_step step, uint32_t number, uint32_t count) {
  if (doc->journal.count > 0) {
    lk_journal_entry *top = &doc->journal.at[doc->journal.count - 1];
    if (top->step == (uint32_t)step && top->a + top->b + 1 == number) {
      top->b += count;
      return LK_OK;
    }
  }
  return lk_journal(doc, step, number, count - 1, 0);
}

/* ---- reading a struct ---- */

/* Structs that are read before they are linked: in short loops, numbers stay in registers. */
#define CHUNK_MAX 64
#define CHUNK_LEAST 4

/* Until they are linked, |left| is where each stands in the update. */
typedef struct chunk {
  uint32_t first; /* their numbers in the pool */
  uint32_t count;
  uint32_t begin, end;           /* in the update */
  uint32_t text_begin, text_end; /* in the document's text */
} chunk;

/* Text that is not all ASCII goes in with all its checks, and room for the |rest| of the update is left behind it. */
static OUT_OF_LINE bool read_wide(lk_doc *doc, uint32_t *text_len, lk_slice text, size_t rest,
                                  lk_item *item) {
  bool wide;
  uint32_t before = doc->text_len;
  if (lk_utf8_check(text) != LK_OK) return false;
  doc->text_len = *text_len;
  lk_err err = lk_text_add(doc, (lk_column_piece){ .text = text }, &item->content, &item->len,
                           &wide);
  if (err == LK_OK) err = lk_text_reserve(doc, (uint32_t)rest + TEXT_ROOM);
  *text_len = doc->text_len;
  doc->text_len = before;
  if (wide) item->flags |= LK_ITEM_WIDE;
  return err == LK_OK;
}

/* Reads up to |most| structs of a client that stands at |clock| into free items of the pool; |out->count| is how many of
 * those that come next are plain. There is room for all text that may come. Where it is not |careful|, whether the text
 * is ASCII is left to be asked. */
static ALWAYS_INLINE void read_structs(lk_applying *self, const lk_id_bytes *own_id, uint64_t clock,
                                       uint32_t most, bool careful, chunk *out) {
  lk_doc *doc = self->doc;
  const lk_id_bytes own = *own_id;
  const uint8_t *base = self->in.in.bytes.ptr, *at = base + out->begin,
                *end = base + self->in.in.bytes.len - HEAD_MAX;
  uint8_t *text = doc->text;
  uint32_t text_len = doc->text_len;
  lk_item *first = &doc->items[out->first], *item = first, *last = first + most;
  out->count = 0;
  out->end = out->begin;
  out->text_begin = out->text_end = text_len;
  if (self->in.in.bytes.len < HEAD_MAX) return;
  for (; item < last && at <= end; item++) {
    const uint8_t *begin = at;
    uint8_t info = *at++, kind = info & (LK_INFO_CONTENT | LK_INFO_SUB);
    uint32_t right_clock = 0, len;
    if (kind != LK_CONTENT_STRING && kind != LK_CONTENT_DELETED) break;
    if ((info & LK_INFO_ORIGIN) == 0) break;
    item->left = (uint32_t)(begin - base);
    uint32_t origin_client, origin_clock, right = LK_NO_CLIENT;
    if (!read_id(self, &own, &at, &origin_client, &origin_clock)) break;
    if ((info & LK_INFO_RIGHT) != 0 && !read_id(self, &own, &at, &right, &right_clock)) break;
    if (!read_len(&at, &len) || len == 0) break;
    item->origin_client = (uint16_t)origin_client;
    item->origin_clock = origin_clock;
    item->clock = (uint32_t)clock;
    item->len = len;
    item->right_clock = right_clock;
    item->content = text_len;
    item->client = own.client;
    item->right_client = (uint16_t)right;
    item->kind = kind;
    item->flags = 0;
    if (kind == LK_CONTENT_STRING) {
      if (at > end || len > (size_t)(end - at)) break;
      if (careful && !is_ascii(at, len)) {
        if (!read_wide(doc, &text_len, lk_slice_of(at, len), (size_t)(end - at) + HEAD_MAX, item))
          break;
        text = doc->text;
      } else {
        copy_text(text + text_len, at, len);
        text_len += len;
      }
      at += len;
      len = item->len;
    }
    clock += len;
    out->end = (uint32_t)(at - base);
    out->text_end = text_len;
  }
  if (clock > doc->limits.doc_clock) { /* which of them it was is found one by one */
    out->end = out->begin;
    out->text_end = out->text_begin;
    return;
  }
  out->count = (uint32_t)(item - first);
}

/* Where the struct behind the first |count| of the chunk begins. */
static inline uint32_t chunk_at(const lk_doc *doc, const chunk *in, uint32_t count) {
  return count == in->count ? in->end : doc->items[in->first + count].left;
}
static inline uint32_t chunk_text_at(const lk_doc *doc, const chunk *in, uint32_t count) {
  return count == in->count ? in->text_end : doc->items[in->first + count].content;
}

static OUT_OF_LINE void read_careful(lk_applying *self, const lk_id_bytes *own, uint64_t clock,
                                     uint32_t most, chunk *out) {
  read_structs(self, own, clock, most, true, out);
}

static OUT_OF_LINE void read_chunk(lk_applying *self, const lk_id_bytes *own, uint64_t clock,
                                   uint32_t most, chunk *out) {
  if (!self->careful) {
    read_structs(self, own, clock, most, false, out);
    if (is_ascii(self->doc->text + out->text_begin, out->text_end - out->text_begin)) return;
    self->careful = true;
  }
  read_careful(self, own, clock, most, out);
}

/* ---- a run, straight in ---- */

/* So many items share a note. */
#define MAP_GROUP 4

/* The item that ends behind |clock|, among those of the pool before |count|; it may be another client's. */
static ALWAYS_INLINE uint32_t find_own(const lk_item *items, uint32_t count,
                                       const lk_clock_map *map, uint32_t noted, uint32_t clock) {
  uint32_t slot = (clock - map->from) >> map->shift;
  if (clock < map->from || map->cap == 0) return LK_NONE;
  uint32_t number = slot < map->count ? map->at[slot] : noted;
  uint32_t end = lk_min_u32(number + OWN_WALK, count);
  const lk_item *item = &items[number];
  while (number < end && lk_item_end(item) <= clock) {
    item++;
    number++;
  }
  return number == end ? LK_NONE : number;
}

static ALWAYS_INLINE bool same_right(const lk_item *a, const lk_item *b) {
  return a->right_client == b->right_client &&
         (a->right_client == LK_NO_CLIENT || a->right_clock == b->right_clock);
}

/* Whether |item|, the next one of its client, goes on where |last| ends. */
static ALWAYS_INLINE bool may_be_one(const lk_item *last, const lk_item *item) {
  return item->origin_clock + 1 == item->clock && item->origin_client == item->client &&
         last->client == item->client && last->kind == item->kind && same_right(last, item);
}

/* What was deleted by who wrote it; there is room. */
static ALWAYS_INLINE void note_deleted(lk_tx *tx, uint16_t client, uint32_t clock, uint32_t len) {
  uint32_t count = tx->ranges.count;
  lk_range *last = tx->ranges.at + count;
  if (count > tx->range_floor && last[-1].clock + last[-1].len == clock &&
      last[-1].client == client) {
    last[-1].len += len;
    return;
  }
  *last = (lk_range){ client, clock, len };
  tx->ranges.count = count + 1;
}

/* Links those of the chunk that stand between neighbours; gives how many, from the first on. Room for what they note is
 * made. */
static uint32_t link_chunk(lk_applying *self, lk_section *section, uint32_t last, const chunk *in) {
  lk_doc *doc = self->doc;
  lk_item *const items = doc->items;
  lk_tx *tx = doc->tx;
  lk_clock_map map = section->map;
  uint32_t number = in->first, end = in->first + in->count, known = self->known, shown = 0;
  uint32_t noted = number; /* items from here on are not in the map yet */
  const uint16_t own = section->client;
  for (; number < end; last = number++) {
    lk_item *item = &items[number];
    const uint32_t origin_clock = item->origin_clock, clock = item->clock, len = item->len;
    uint32_t left = last;
    bool goes_on = false;
    if (UNLIKELY(item->origin_client != own)) {
      if (origin_clock >= doc->clients.at[item->origin_client].clock) break;
      left = find(self, item->origin_client, origin_clock);
    } else if (origin_clock + 1 != clock) {
      left = find_own(items, number, &map, noted, origin_clock);
      if (left == LK_NONE || items[left].client != own) break;
    } else {
      goes_on = items[last].kind == item->kind && same_right(&items[last], item);
    }
    lk_item *l = &items[left];
    const uint32_t left_len = l->len, right = l->right;
    if (l->clock + left_len != origin_clock + 1) break;
    if ((l->flags & (LK_ITEM_SUB | LK_ITEM_LOOSE)) != 0) break;
    if (UNLIKELY(l->parent != known)) {
      if (l->parent == LK_NONE || !is_open(doc, l->parent)) break;
      if (known != LK_TYPE_UNKNOWN) doc->types.at[known].length += shown;
      shown = 0;
      known = l->parent;
      doc->types.at[known].cursor = LK_NONE;
    }
    if (UNLIKELY(right == LK_NONE)) {
      if (item->right_client != LK_NO_CLIENT) break;
      doc->types.at[known].end = number;
    } else {
      lk_item *r = &items[right];
      if (r->clock != item->right_clock || r->client != item->right_client) break;
      if ((r->flags & LK_ITEM_JOINED) != 0) break;
      r->left = number;
    }
    bool deleted = item->kind == LK_CONTENT_DELETED;
    item->left = left;
    item->right = right;
    item->parent = known;
    item->leaf = LK_NONE;
    item->depth = l->depth + left_len;
    l->right = number;
    if (goes_on) /* they may become one when all is here */
      tx->merges.at[tx->merges.count++] = (lk_merge_try){ own, clock, number };
    if (deleted) {
      item->flags = LK_ITEM_DELETED;
      note_deleted(tx, own, clock, len);
    } else {
      shown += len;
    }
    if (number - noted == MAP_GROUP - 1) {
      map_note(&map, noted, clock + len);
      noted = number + 1;
    }
  }
  if (number > noted) map_note(&map, noted, lk_item_end(&items[number - 1]));
  section->map = map;
  if (known != LK_TYPE_UNKNOWN) doc->types.at[known].length += shown;
  self->known = known;
  return number - in->first;
}

/* Makes the |count| linked items part of the document. */
static void keep_chunk(lk_doc *doc, uint16_t number, uint32_t first, uint32_t count) {
  lk_client *client = &doc->clients.at[number];
  lk_block *block = &client->blocks[client->block_count - 1];
  uint32_t clock = lk_item_end(&doc->items[first + count - 1]);
  uint32_t *to = block->items + block->count;
  for (uint32_t i = 0; i < count; i++) to[i] = first + i;
  block->count = (uint16_t)(block->count + count);
  block->dead = false;
  doc->units += clock - client->clock;
  client->clock = clock;
  doc->item_count += count;
  doc->item_live += count;
  doc->journal.at[doc->journal.count - 1].b += count;
}

static lk_err room_for_chunk(lk_doc *doc, uint16_t client, uint32_t structs) {
  lk_tx *tx = doc->tx;
  lk_err err = lk_client_room(doc, client);
  /* half of what is to come may be deletions; what is too much is given back with the rest */
  uint32_t more = lk_max_u32(structs / 2, CHUNK_MAX);
  if (err == LK_OK && tx->ranges.cap - tx->ranges.count < CHUNK_MAX)
    err = LK_VEC_RESERVE(doc, tx->ranges, more);
  if (err == LK_OK && tx->merges.cap - tx->merges.count < CHUNK_MAX)
    err = LK_VEC_RESERVE(doc, tx->merges, more);
  return err;
}

/* How many structs may be taken in without a limit being passed. */
static uint32_t count_allowed(const lk_doc *doc, const chunk *in) {
  uint32_t most = doc->limits.doc_units_count, count = in->count;
  uint32_t left = most - lk_min_u32(doc->units, most);
  const lk_item *items = doc->items + in->first;
  while (count > 0 && lk_item_end(&items[count - 1]) - items[0].clock > left) count--;
  return count;
}

static lk_err run_direct(lk_applying *self, lk_section *section, const lk_id_bytes *own,
                         uint32_t *pos, uint32_t *taken) {
  lk_doc *doc = self->doc;
  lk_client *client = &doc->clients.at[own->client];
  chunk in = { .begin = *pos };
  uint32_t last = lk_client_last(doc, own->client);
  uint32_t structs = (uint32_t)lk_min_u64(self->in.structs_left, lk_reader_left(&self->in.in) / 8);
  lk_err err = lk_journal(doc, LK_STEP_MADE, doc->item_count, UINT32_MAX, 0); /* of none yet */
  if (err != LK_OK) return err;
  self->known = LK_TYPE_UNKNOWN;
  while (err == LK_OK && (err = room_for_chunk(doc, own->client, structs)) == LK_OK) {
    const lk_block *block = &client->blocks[client->block_count - 1];
    uint32_t most = lk_min_u32(self->chunk, (uint32_t)(block->cap - block->count));
    most = lk_min_u32(most, doc->item_cap - doc->item_count);
    most = (uint32_t)lk_min_u64(most, self->in.structs_left - *taken);
    in.first = doc->item_count;
    read_chunk(self, own, client->clock, most, &in);
    uint32_t read = in.count;
    in.count = count_allowed(doc, &in);
    uint32_t linked = link_chunk(self, section, last, &in);
    in.count = read;
    if (linked > 0) {
      keep_chunk(doc, own->client, in.first, linked);
      doc->text_len = chunk_text_at(doc, &in, linked);
      last = in.first + linked - 1;
    }
    in.begin = chunk_at(doc, &in, linked);
    *taken += linked;
    if (linked < most || most == 0) {
      self->chunk = lk_max_u32(linked, CHUNK_LEAST);
      break;
    }
    self->chunk = lk_min_u32(self->chunk * 2, CHUNK_MAX);
  }
  *pos = in.begin;
  lk_client_trim(doc, own->client);
  if (*taken == 0) doc->journal.count--;
  return err;
}

/* ---- a run, put aside ---- */

/* Up to the first that refers to what its own client wrote later. */
static uint32_t count_backward(const lk_doc *doc, chunk *in) {
  for (uint32_t i = 0; i < in->count; i++) {
    const lk_item *item = &doc->items[in->first + i];
    bool ahead = (item->origin_client == item->client && item->origin_clock >= item->clock) ||
                 (item->right_client == item->client && item->right_clock >= item->clock);
    if (!ahead) continue;
    in->end = item->left;
    in->text_end = item->content;
    return i;
  }
  return in->count;
}

/* For later: all that is known of them is what was read. */
static lk_err run_loose(lk_applying *self, lk_section *section, const lk_id_bytes *own,
                        uint32_t *pos, uint32_t *taken) {
  lk_doc *doc = self->doc;
  chunk in = { .begin = *pos };
  uint64_t clock = self->in.clock;
  lk_err err = LK_OK;
  while (err == LK_OK && (err = LK_VEC_RESERVE(doc, doc->incoming, CHUNK_MAX)) == LK_OK) {
    uint32_t most = lk_min_u32(CHUNK_MAX, doc->item_cap - doc->item_count);
    most = (uint32_t)lk_min_u64(most, self->in.structs_left - *taken);
    in.first = doc->item_count;
    read_chunk(self, own, clock, most, &in);
    in.count = count_backward(doc, &in);
    if (in.count == 0) break;
    if ((err = note(doc, LK_STEP_NEW, in.first, in.count)) != LK_OK) break;
    for (uint32_t i = in.first; i < in.first + in.count; i++) {
      lk_item *item = &doc->items[i];
      item->left = item->right = item->parent = item->leaf = LK_NONE;
      item->flags |= LK_ITEM_LOOSE;
      doc->incoming.at[doc->incoming.count++] = i;
      clock = lk_item_end(item);
      map_note(&section->map, i, (uint32_t)clock);
    }
    doc->text_len = in.text_end;
    doc->item_count += in.count;
    doc->item_live += in.count;
    *taken += in.count;
    in.begin = in.end;
    if (in.count < most) break;
  }
  *pos = in.begin;
  self->in.clock = clock;
  return err;
}

lk_err lk_take_plain_run(lk_applying *self, lk_section *section) {
  lk_doc *doc = self->doc;
  lk_update_reader *in = &self->in;
  const lk_client *client = &doc->clients.at[section->client];
  lk_id_bytes own = { in->client_word, in->client_mask, in->client_len, section->client };
  uint32_t text = doc->text_len, taken = 0, pos = (uint32_t)in->in.pos;
  size_t left = lk_reader_left(&in->in);
  if (doc->item_free != LK_NONE || own.mask == 0 || in->structs_left == 0) return LK_OK;
  if (in->clock < client->clock) return LK_OK;
  if (self->direct && (client->touched != doc->tx->number || in->clock != client->clock ||
                       client->block_count == 0))
    return LK_OK;
  if (doc->text_cap - doc->text_len < left + TEXT_ROOM &&
      lk_text_reserve(doc, (uint32_t)left + TEXT_ROOM) != LK_OK)
    return LK_OK;
  lk_err err = (self->direct ? run_direct : run_loose)(self, section, &own, &pos, &taken);
  in->in.pos = pos;
  if (self->direct) in->clock = client->clock;
  in->structs_left -= taken;
  doc->steps_max += LK_STEPS_EACH * ((uint64_t)taken + (doc->text_len - text));
  return err;
}

/* ---- what is deleted ---- */

/* With a look at the end before each byte. */
static bool reads_deletes(lk_reader in) {
  uint64_t clients, id, count, number;
  if (lk_varuint_decode(&in, UINT32_MAX, &clients) != LK_OK) return false;
  for (; clients > 0; clients--) {
    if (lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &id) != LK_OK) return false;
    if (lk_varuint_decode(&in, UINT32_MAX, &count) != LK_OK) return false;
    for (uint64_t i = 0; i < 2 * count; i++) {
      if (lk_varuint_decode(&in, UINT32_MAX, &number) != LK_OK) return false;
    }
  }
  return lk_reader_left(&in) == 0;
}

bool lk_deletes_are_plain(const lk_applying *self) {
  const lk_reader *in = &self->in.in;
  const uint8_t *at = in->bytes.ptr + in->pos, *end = in->bytes.ptr + in->bytes.len;
  uint32_t clients, client, count, clock, len;
  if (self->in.format != LK_UPDATE_V1) return false;
  if (end - at < 4 * TAIL_MAX) return reads_deletes(*in);
  if (!read_len(&at, &clients)) return false;
  for (; clients > 0; clients--) {
    if (end - at < TAIL_MAX || !take_word(skip_client(at), &at, &client)) return false;
    if (!read_len(&at, &count)) return false;
    for (; count > 0 && end - at >= TAIL_MAX; count--) {
      if (!read_clock(&at, &clock) || !read_len(&at, &len)) return false;
    }
    if (count == 0) continue;
    if (clients > 1) return false;
    lk_reader rest = lk_reader_of(lk_slice_of(at, (size_t)(end - at)));
    for (uint64_t number, i = 0; i < 2 * (uint64_t)count; i++) {
      if (lk_varuint_decode(&rest, UINT32_MAX, &number) != LK_OK) return false;
    }
    return lk_reader_left(&rest) == 0;
  }
  return at == end;
}

uint32_t lk_skip_known_deletes(lk_applying *self, uint16_t client, uint32_t *range) {
  const lk_tx *tx = self->doc->tx;
  lk_update_reader *in = &self->in;
  const uint8_t *at = in->in.bytes.ptr + in->in.pos, *end = in->in.bytes.ptr + in->in.bytes.len;
  uint32_t skipped = 0, r = *range;
  for (; skipped < in->ranges_left && end - at >= 8; skipped++) {
    const uint8_t *next = at;
    uint32_t clock, len;
    if (!read_clock(&next, &clock) || !read_len(&next, &len)) break;
    while (r < tx->ranges.count && tx->ranges.at[r].client == client &&
           (uint64_t)tx->ranges.at[r].clock + tx->ranges.at[r].len <= clock)
      r++;
    if (r >= tx->ranges.count) break;
    const lk_range *known = &tx->ranges.at[r];
    if (known->client != client || known->clock > clock) break;
    if (len > known->len - (clock - known->clock)) break;
    at = next;
  }
  *range = r;
  in->ranges_left -= skipped;
  in->in.pos = (size_t)(at - in->in.bytes.ptr);
  return skipped;
}

/* ---- one by one ---- */

/* What stands right of |left| if a plain struct with such origins may be put between the two. */
static inline bool neighbours(lk_applying *self, const lk_item *item, uint32_t left,
                              uint32_t *right) {
  const lk_doc *doc = self->doc;
  const lk_item *l = &doc->items[left];
  if (l->kind == LK_CONTENT_GC || (l->flags & LK_ITEM_SUB) != 0) return false;
  if (lk_item_end(l) - 1 != item->origin_clock || l->depth > UINT32_MAX / 2) return false;
  if (l->parent != self->known) {
    if (!is_open(doc, l->parent)) return false;
    self->known = l->parent;
  }
  *right = l->right;
  if (*right == LK_NONE) return item->right_client == LK_NO_CLIENT;
  const lk_item *r = &doc->items[*right];
  return r->client == item->right_client && r->clock == item->right_clock &&
         (r->flags & LK_ITEM_JOINED) == 0;
}

static inline void link(lk_doc *doc, uint32_t number, uint32_t left, uint32_t right) {
  lk_item *item = &doc->items[number], *l = &doc->items[left];
  lk_type *parent = &doc->types.at[l->parent];
  item->left = left;
  item->right = right;
  item->parent = l->parent;
  item->depth = l->depth + l->len;
  l->right = number;
  if (right != LK_NONE) doc->items[right].left = number;
  else parent->end = number;
  parent->length += item->kind == LK_CONTENT_STRING ? item->len : 0;
  parent->cursor = LK_NONE;
}

/* Its place by clock, and what was deleted; memory is asked for first. */
static inline lk_err append(lk_doc *doc, uint32_t number) {
  const lk_item *item = &doc->items[number];
  lk_client *client = &doc->clients.at[item->client];
  lk_block *block = &client->blocks[client->block_count - 1];
  lk_tx *tx = doc->tx;
  bool deleted = item->kind == LK_CONTENT_DELETED;
  lk_err err = deleted ? LK_VEC_RESERVE(doc, tx->ranges, 1) : LK_OK;
  if (err != LK_OK) return err;
  if (block->count == block->cap) {
    if ((err = lk_client_append(doc, item->client, number)) != LK_OK) return err;
  } else {
    block->items[block->count++] = number;
    block->dead = false;
  }
  client->clock += item->len;
  doc->units += item->len;
  if (deleted) note_deleted(tx, item->client, item->clock, item->len);
  return LK_OK;
}

/* Whether what it refers to was integrated. */
static inline bool is_here(const lk_doc *doc, const lk_item *item) {
  if (item->origin_clock >= doc->clients.at[item->origin_client].clock) return false;
  return item->right_client == LK_NO_CLIENT ||
         item->right_clock < doc->clients.at[item->right_client].clock;
}

lk_err lk_take_plain_loose(lk_applying *self, uint32_t number, bool *taken) {
  lk_doc *doc = self->doc;
  lk_item *item = &doc->items[number];
  const lk_client *client = &doc->clients.at[item->client];
  uint32_t left, right;
  *taken = false;
  if (item->kind != LK_CONTENT_STRING && item->kind != LK_CONTENT_DELETED) return LK_OK;
  if (item->origin_client == LK_NO_CLIENT || item->parent != LK_NONE) return LK_OK;
  if (client->clock != item->clock || client->touched != doc->tx->number || !is_here(doc, item))
    return LK_OK;
  left = find(self, item->origin_client, item->origin_clock);
  if (!neighbours(self, item, left, &right)) return LK_OK;
  uint32_t most = doc->limits.doc_units_count;
  if (item->len > most - lk_min_u32(doc->units, most)) return LK_OK;
  const lk_block *block = &client->blocks[client->block_count - 1];
  if (may_be_one(&doc->items[block->items[block->count - 1u]], item)) return LK_OK;
  lk_err err = note(doc, LK_STEP_LINKED, number, 1);
  if (err != LK_OK) return err;
  if ((err = append(doc, number)) != LK_OK) {
    lk_journal_entry *top = &doc->journal.at[doc->journal.count - 1];
    if (top->b > 0) top->b--;
    else doc->journal.count--;
    return err;
  }
  item->flags &= (uint8_t)~LK_ITEM_LOOSE;
  if (item->kind == LK_CONTENT_DELETED) item->flags |= LK_ITEM_DELETED;
  item->leaf = LK_NONE;
  link(doc, number, left, right);
  *taken = true;
  return LK_OK;
}
