/* doc/apply_plain.c -- the structs that most of a document is made of, in bulk.
 *
 * Nearly every struct of a text is a run of characters, or of deleted ones, that somebody put between two neighbours who
 * still stand side by side. A document that is loaded has thousands of them in a row, in V1, which are read here by their
 * bytes and put into the pool and the list at once, some fifteen nanoseconds each. In what comes first:
 *
 *   reading   most structs are alike but for their numbers: that is asked once, with words. Text is copied by words, and
 *             looked at later
 *   finding   the neighbour by the clock with which it ends: a table of the section's clocks (lk_clock_map) has it
 *   linking   only between neighbours, in a list without an index: nobody else has to be asked
 *   journal   one entry for a run of items with numbers that follow on: taking back goes through them from the end
 *
 * What costs most is not instructions but branches that nobody can predict. Text or deleted, behind the client's last item or
 * elsewhere, part of the last deleted stretch or a new one: each is as likely as not, and none of them is a branch here.
 *
 * What several wrote at the same time refers to each other. Then all is read first and put aside, and linked in the order in
 * which Yjs takes it, as far as one author's structs have what they refer to; what the next one lacks is linked before it, as
 * far as it is needed.
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
#define LIKELY(condition) (__builtin_expect((condition), 1))
#define UNLIKELY(condition) (__builtin_expect((condition), 0))
#define OUT_OF_LINE __attribute__((noinline))
/* More than the info, two ids and a length take, or than two numbers, and what loads by words reach beyond. */
#define HEAD_MAX 48
#define TAIL_MAX 16
#define CLOCKS_READ (1u << 28) /* of what is read as words: four bytes */
#define TEXT_ROOM 32 /* text is copied so many bytes at a time */
/* How large maps are, for at least half as many structs. */
#define MAP_LEAST 16
#define MAP_MOST (1u << 20)

/* ---- the map of clocks ---- */

static ALWAYS_INLINE void map_note(const lk_clock_map *map, uint32_t number, uint32_t end) {
  if (map->at != NULL) map->at[(end - 1) & map->mask] = number;
}

/* The item that ends with |clock|, perhaps. */
static ALWAYS_INLINE uint32_t map_guess(const lk_clock_map *map, uint32_t clock) {
  return map->at == NULL ? LK_NONE : map->at[clock & map->mask];
}

void lk_section_map(lk_applying *self, lk_section *section, uint32_t structs) {
  lk_clock_map *map = &section->map;
  uint32_t count = MAP_LEAST;
  *map = (lk_clock_map){ .at = NULL };
  if (structs < MAP_LEAST) return;
  while (count < MAP_MOST && count / 2 < structs) count *= 2;
  map->at = lk_arena_push_array(&self->scratch, count, sizeof *map->at);
  if (map->at == NULL) return;
  memset(map->at, 0, count * sizeof *map->at);
  map->mask = count - 1;
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
    uint32_t number = map_guess(map, clock);
    if (number < doc->item_count) {
      const lk_item *item = &doc->items[number];
      bool holds = clock - item->clock < item->len && item->client == client;
      if (holds && (item->flags & LK_ITEM_LOOSE) == 0 && item->kind != LK_CONTENT_FREE)
        return number;
    }
    number = lk_client_item(doc, client, clock);
    if (lk_item_end(&doc->items[number]) - 1 == clock) map_note(map, number, clock + 1);
    return number;
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

/* As far as 8 bytes behind the text may be read. */
static ALWAYS_INLINE bool is_ascii(const uint8_t *text, size_t len) {
  uint64_t bits = 0;
  size_t i = 0;
  for (; len - i > 8; i += 8) bits |= lk_load_le64(text + i);
  /* 1 to 8 are left, the last of them on top */
  if (len > 0) bits |= lk_load_le64(text + i) << (64 - 8 * (len - i));
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

/* Whether a struct is text or deleted nobody can predict: nothing of what is done with one of them branches on that. */
#define KINDS_PLAIN (UINT64_C(1) << LK_CONTENT_STRING | UINT64_C(1) << LK_CONTENT_DELETED)
_Static_assert((int)LK_CONTENT_DELETED == (int)LK_ITEM_DELETED && (LK_CONTENT_STRING & 1) == 0, "");
/* Of one of the two: all bits for text, none for what is deleted. */
#define SHOWN_MASK(kind) ((uint32_t)((kind)&LK_CONTENT_DELETED) - 1)

/* A struct up to its text, which is at |at|; NULL where it is not a plain one. */
typedef struct head {
  const uint8_t *at;
  uint32_t origin_clock, right_clock, len;
  uint16_t origin_client, right_client;
  uint8_t kind;
} head;

static OUT_OF_LINE head read_other_head(lk_applying *self, const lk_id_bytes *own,
                                        const uint8_t *at) {
  const head none = { .at = NULL };
  uint32_t client, right = LK_NO_CLIENT;
  uint8_t info = *at++;
  head out = { .kind = info & (LK_INFO_CONTENT | LK_INFO_SUB) };
  if ((KINDS_PLAIN >> out.kind & 1) == 0 || (info & LK_INFO_ORIGIN) == 0) return none;
  if (!read_id(self, own, &at, &client, &out.origin_clock)) return none;
  if ((info & LK_INFO_RIGHT) != 0 && !read_id(self, own, &at, &right, &out.right_clock))
    return none;
  if (!read_len(&at, &out.len) || out.len == 0) return none;
  out.origin_client = (uint16_t)client;
  out.right_client = (uint16_t)right;
  out.at = at;
  return out;
}

static ALWAYS_INLINE uint32_t clock_of(uint32_t word, uint32_t width) {
  uint32_t two = (word & 0x7F) | (word >> 1 & 0x3F80);
  return width == 2 ? two : two | (word >> 2 & 0x1FC000);
}

/* Most structs stand between two of their own client, with clocks of |width| bytes, which is two or three, and a length of
 * one: whether one is like that is asked once. Where they are |mixed|, each neighbour may as well be of the client that was met
 * last beside their own one, whose id is as long: which of the two nobody can predict. */
static ALWAYS_INLINE bool read_usual_head(const lk_applying *self, const lk_id_bytes *own,
                                          const uint8_t *at, uint32_t width, bool mixed,
                                          head *out) {
  const lk_id_bytes *other = &self->other;
  const uint8_t *first = at + 1 + own->len, *second = first + width + own->len;
  uint32_t origin = lk_load_le32(first), right = lk_load_le32(second);
  uint32_t usual = width == 3 ? 0x8080 : 0x80, ends = usual << 8 | 0x80;
  uint32_t widths = ((origin ^ usual) | (right ^ usual)) & ends;
  uint32_t kind = (uint32_t)*at ^ (LK_INFO_ORIGIN | LK_INFO_RIGHT), len = second[width];
  uint64_t one = lk_load_le64(at + 1) & own->mask, two = lk_load_le64(first + width) & own->mask;
  bool one_is_own = one == own->word, two_is_own = two == own->word;
  bool are_known = mixed ? (one_is_own | (one == other->word)) &
                               (two_is_own | (two == other->word)) & (other->mask == own->mask)
                         : ((one ^ own->word) | (two ^ own->word)) == 0;
  if (UNLIKELY(!are_known || widths != 0 || len - 1 >= 0x7F || kind >= 64 ||
               (KINDS_PLAIN >> kind & 1) == 0))
    return false;
  *out = (head){ second + width + 1,
                 clock_of(origin, width),
                 clock_of(right, width),
                 len,
                 !mixed || one_is_own ? own->client : other->client,
                 !mixed || two_is_own ? own->client : other->client,
                 (uint8_t)kind };
  return true;
}

static ALWAYS_INLINE head read_head(lk_applying *self, const lk_id_bytes *own, const uint8_t *at,
                                    bool mixed) {
  head out;
  if (LIKELY(read_usual_head(self, own, at, 3, mixed, &out))) return out;
  if (LK_FAST_ALL && read_usual_head(self, own, at, 2, mixed, &out)) return out;
  return read_other_head(self, own, at);
}

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

/* Where reading stands. */
typedef struct cursor {
  const uint8_t *at, *end; /* the last place where a struct may begin */
  uint8_t *text;
  uint32_t text_len;
  uint32_t clock;     /* of the next struct, */
  uint32_t clock_max; /* and where it may end at most */
} cursor;

static cursor cursor_at(const lk_applying *self, uint32_t pos, uint32_t clock) {
  const lk_doc *doc = self->doc;
  const uint8_t *base = self->in.in.bytes.ptr;
  uint32_t most = doc->limits.doc_units_count;
  uint64_t clock_max = (uint64_t)clock + (most - lk_min_u32(doc->units, most));
  return (cursor){ base + pos, base + self->in.in.bytes.len - HEAD_MAX,
                   doc->text,  doc->text_len,
                   clock,      (uint32_t)lk_min_u64(clock_max, doc->limits.doc_clock) };
}

/* Reads into |item| what is known of it before it has a place, and gives it; |*in| is then behind it. |at| is NULL where it
 * is not plain, and |*in| of no use any more. What is not read |careful|ly is taken to be ASCII. */
static ALWAYS_INLINE head read_struct(lk_applying *self, const lk_id_bytes *own, cursor *in,
                                      bool careful, bool mixed, lk_item *item) {
  head h = read_head(self, own, in->at, mixed);
  head none = { .at = NULL };
  uint32_t bytes = h.len & SHOWN_MASK(h.kind);
  if (UNLIKELY(h.at == NULL) || (ptrdiff_t)bytes > in->end - h.at) return none;
  item->origin_client = h.origin_client;
  item->origin_clock = h.origin_clock;
  item->clock = in->clock;
  item->len = h.len;
  item->right_clock = h.right_clock;
  item->content = in->text_len;
  item->client = own->client;
  item->right_client = h.right_client;
  item->kind = h.kind;
  item->flags = h.kind & LK_ITEM_DELETED;
  in->at = h.at + bytes;
  if (UNLIKELY(careful) && !is_ascii(h.at, bytes)) {
    size_t rest = (size_t)(in->end - h.at) + HEAD_MAX;
    if (!read_wide(self->doc, &in->text_len, lk_slice_of(h.at, bytes), rest, item)) return none;
    in->text = self->doc->text;
    h.len = item->len;
  } else {
    copy_text(in->text + in->text_len, h.at, bytes);
    in->text_len += bytes;
  }
  if (UNLIKELY(h.len > in->clock_max - in->clock)) return none; /* the limit is named by others */
  in->clock += h.len;
  return h;
}

/* ---- a run, straight in ---- */

/* Structs for which there is room at once. */
#define CHUNK_MAX 64

/* Structs that were taken in together. */
typedef struct chunk {
  uint32_t first, count;                   /* their numbers in the pool */
  uint32_t ranges, merges, last_range_len; /* of the transaction, before */
} chunk;

/* The item that holds |clock|, among those of the client's blocks and those that are to follow, from |first| to |last|. */
static OUT_OF_LINE uint32_t find_far(lk_doc *doc, uint16_t client, uint32_t first, uint32_t last,
                                     uint32_t clock) {
  const lk_item *items = doc->items;
  if (clock >= items[last].clock) return last;
  /* By the clock even of his last one: the block that these are to stand in may be empty still. */
  if (last < first || clock < items[first].clock)
    return lk_place_item(doc, client, lk_client_place(doc, client, clock));
  for (uint32_t count = last + 1 - first; count > 1;) {
    uint32_t half = count / 2;
    first += items[first + half].clock <= clock ? half : 0;
    count -= half;
  }
  return first;
}

/* The same, where the map knows it, for the item |number|. */
static ALWAYS_INLINE uint32_t find_own(lk_doc *doc, const lk_clock_map *map, uint16_t client,
                                       uint32_t number, uint32_t first, uint32_t last,
                                       uint32_t clock) {
  uint32_t found = map_guess(map, clock);
  if (LIKELY(found < number)) {
    const lk_item *item = &doc->items[found];
    if (LIKELY(lk_item_end(item) - 1 == clock && item->client == client)) return found;
  }
  return find_far(doc, client, first, last, clock);
}

static ALWAYS_INLINE bool same_right(const lk_item *a, const lk_item *b) {
  return (a->right_client == b->right_client) &
         ((a->right_client == LK_NO_CLIENT) | (a->right_clock == b->right_clock));
}

/* The last of the transaction's ranges, which may grow. */
typedef struct growing {
  lk_range *next; /* behind it */
  uint32_t start, end;
} growing;

static ALWAYS_INLINE growing growing_range(const lk_tx *tx, uint16_t client) {
  growing out = { tx->ranges.at + tx->ranges.count, 0, UINT32_MAX }; /* where nothing begins */
  if (tx->ranges.count == tx->range_floor || out.next[-1].client != client) return out;
  out.start = out.next[-1].clock;
  out.end = out.start + out.next[-1].len;
  return out;
}

/* What was deleted by who wrote it, or nothing where |deleted| is 0; there is room for one more, which then is written
 * for nothing. */
static ALWAYS_INLINE growing growing_note(growing self, uint16_t client, uint32_t clock,
                                          uint32_t len, uint32_t deleted) {
  uint32_t grows = deleted & (clock == self.end), end = clock + len;
  uint32_t start = grows ? self.start : clock;
  self.next[-(int)grows] = (lk_range){ client, start, end - start };
  self.next += deleted ^ grows;
  self.start = deleted ? start : self.start;
  self.end = deleted ? end : self.end;
  return self;
}

/* Takes in up to |most| structs that stand between neighbours, from the first on, as new items behind the pool's last one;
 * gives how many. Room for them and for what they note is made. */
static uint32_t link_chunk(lk_applying *self, lk_section *section, const lk_id_bytes *own_id,
                           uint32_t last, uint32_t most, cursor *io) {
  lk_doc *doc = self->doc;
  lk_item *const items = doc->items;
  lk_tx *tx = doc->tx;
  const lk_clock_map map = section->map;
  cursor in = *io;
  const lk_id_bytes own = *own_id;
  const bool careful = self->careful;
  const uint32_t first = doc->item_count, end = first + most;
  uint32_t number = first, known = self->known, shown = 0;
  lk_merge_try *merge = tx->merges.at + tx->merges.count;
  growing range = growing_range(tx, own.client);
  for (; number < end; last = number++) {
    lk_item *item = &items[number];
    const uint32_t clock = in.clock;
    io->at = in.at;
    io->text_len = in.text_len;
    const head h = read_struct(self, &own, &in, careful, false, item);
    if (UNLIKELY(h.at == NULL)) break;
    const uint32_t origin_clock = h.origin_clock;
    uint32_t left;
    if (UNLIKELY(h.origin_client != own.client)) {
      if (origin_clock >= doc->clients.at[h.origin_client].clock) break;
      left = find(self, h.origin_client, origin_clock);
    } else {
      if (origin_clock >= clock) break;
      left = find_own(doc, &map, own.client, number, first, last, origin_clock);
    }
    lk_item *const l = &items[left];
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
      if (h.right_client != LK_NO_CLIENT) break;
      doc->types.at[known].end = number;
    } else {
      lk_item *r = &items[right];
      if (r->clock != h.right_clock || r->client != h.right_client) break;
      if ((r->flags & LK_ITEM_JOINED) != 0) break;
      r->left = number;
    }
    item->left = left;
    item->right = right;
    item->parent = known;
    item->leaf = LK_NONE;
    item->depth = l->depth + left_len;
    l->right = number;
    /* they may become one when all is here */
    *merge = (lk_merge_try){ own.client, clock, number };
    merge += (h.origin_client == own.client) & (origin_clock + 1 == clock) &
             (items[last].kind == h.kind) & same_right(&items[last], item);
    range = growing_note(range, own.client, clock, h.len, h.kind & LK_CONTENT_DELETED);
    shown += h.len & SHOWN_MASK(h.kind);
    map_note(&map, number, in.clock);
  }
  if (number == end) *io = in;
  tx->merges.count = (uint32_t)(merge - tx->merges.at);
  tx->ranges.count = (uint32_t)(range.next - tx->ranges.at);
  if (known != LK_TYPE_UNKNOWN) doc->types.at[known].length += shown;
  self->known = known;
  return number - first;
}

/* Makes the |count| linked items part of the document. */
static void keep_chunk(lk_doc *doc, uint16_t number, uint32_t count) {
  lk_client *client = &doc->clients.at[number];
  lk_block *block = &client->blocks[client->block_count - 1];
  uint32_t first = doc->item_count, clock = lk_item_end(&doc->items[first + count - 1]);
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

/* Takes the |count| linked items out again, and what they noted. */
static OUT_OF_LINE void drop_chunk(lk_doc *doc, uint32_t count, const chunk *before) {
  lk_tx *tx = doc->tx;
  const lk_item *first = &doc->items[doc->item_count];
  for (const lk_item *item = first + count; item-- > first;) {
    lk_type *parent = &doc->types.at[item->parent];
    doc->items[item->left].right = item->right;
    if (item->right != LK_NONE) doc->items[item->right].left = item->left;
    else parent->end = item->left;
    parent->length -= lk_item_units(item);
  }
  tx->merges.count = before->merges;
  tx->ranges.count = before->ranges;
  if (before->ranges > 0) tx->ranges.at[before->ranges - 1].len = before->last_range_len;
}

static lk_err room_for_chunk(lk_doc *doc, uint16_t client, uint32_t structs) {
  lk_tx *tx = doc->tx;
  lk_err err = lk_client_room(doc, client);
  /* half of what is to come may be deletions; what is too much is given back with the rest */
  uint32_t more = lk_max_u32(structs / 2, CHUNK_MAX);
  if (err == LK_OK && tx->ranges.cap - tx->ranges.count < CHUNK_MAX)
    err = LK_VEC_RESERVE_HERE(doc, tx->ranges, more);
  if (err == LK_OK && tx->merges.cap - tx->merges.count < CHUNK_MAX)
    err = LK_VEC_RESERVE_HERE(doc, tx->merges, more);
  return err;
}

/* Whether the text was ASCII is asked behind up to 64 structs, once. When it was not, they are read again, and from then on
 * each is asked. */
static bool has_read_rightly(lk_applying *self, const cursor *in) {
  const lk_doc *doc = self->doc;
  if (self->careful || is_ascii(doc->text + doc->text_len, in->text_len - doc->text_len))
    return true;
  self->careful = true;
  return false;
}

static lk_err run_direct(lk_applying *self, lk_section *section, const lk_id_bytes *own,
                         uint32_t *pos, uint32_t *taken) {
  lk_doc *doc = self->doc;
  const lk_tx *tx = doc->tx;
  lk_client *client = &doc->clients.at[own->client];
  uint32_t last = lk_client_last(doc, own->client);
  uint32_t structs = (uint32_t)lk_min_u64(self->in.structs_left, lk_reader_left(&self->in.in) / 8);
  lk_err err = lk_journal(doc, LK_STEP_MADE, doc->item_count, UINT32_MAX, 0); /* of none yet */
  if (err != LK_OK) return err;
  self->known = LK_TYPE_UNKNOWN;
  while ((err = room_for_chunk(doc, own->client, structs)) == LK_OK) {
    const lk_block *block = &client->blocks[client->block_count - 1];
    uint32_t most = lk_min_u32(doc->item_cap - doc->item_count,
                               (uint32_t)(block->cap - block->count));
    most = (uint32_t)lk_min_u64(most, self->in.structs_left - *taken);
    chunk before = { .ranges = tx->ranges.count, .merges = tx->merges.count };
    if (before.ranges > 0) before.last_range_len = tx->ranges.at[before.ranges - 1].len;
    cursor in = cursor_at(self, *pos, client->clock);
    uint32_t count = link_chunk(self, section, own, last, most, &in);
    if (count > 0 && !has_read_rightly(self, &in)) {
      drop_chunk(doc, count, &before);
      continue;
    }
    if (count > 0) {
      last = doc->item_count + count - 1;
      keep_chunk(doc, own->client, count);
      doc->text_len = in.text_len;
    }
    *pos = (uint32_t)(in.at - self->in.in.bytes.ptr);
    *taken += count;
    if (count < most || most == 0) break;
  }
  lk_client_trim(doc, own->client);
  self->known = LK_TYPE_UNKNOWN; /* what comes next may make an index */
  if (*taken == 0) doc->journal.count--;
  return err;
}

/* ---- a run, put aside ---- */

/* Whether it refers to what its own client wrote later. */
static ALWAYS_INLINE bool is_backward(const lk_item *item) {
  bool origin_is = (item->origin_client == item->client) & (item->origin_clock >= item->clock);
  bool right_is = (item->right_client == item->client) & (item->right_clock >= item->clock);
  return origin_is | right_is;
}

/* Reads up to |most| structs into items behind the pool's last one, for later; gives how many. All that is known of them
 * is what was read. */
static uint32_t read_chunk(lk_applying *self, const lk_section *section, const lk_id_bytes *own_id,
                           uint32_t most, cursor *io) {
  const lk_doc *doc = self->doc;
  lk_item *const items = doc->items;
  const lk_clock_map map = section->map;
  uint32_t *const incoming = doc->incoming.at + doc->incoming.count;
  cursor in = *io;
  const lk_id_bytes own = *own_id;
  const bool careful = self->careful;
  const uint32_t first = doc->item_count, end = first + most;
  uint32_t number = first;
  for (; number < end; number++) {
    lk_item *item = &items[number];
    io->at = in.at;
    io->text_len = in.text_len;
    io->clock = in.clock;
    if (read_struct(self, &own, &in, careful, true, item).at == NULL || is_backward(item)) break;
    item->left = item->right = item->parent = item->leaf = LK_NONE;
    item->flags = (item->flags & LK_ITEM_WIDE) | LK_ITEM_LOOSE;
    incoming[number - first] = number;
    map_note(&map, number, in.clock);
  }
  if (number == end) *io = in;
  return number - first;
}

static lk_err run_loose(lk_applying *self, lk_section *section, const lk_id_bytes *own,
                        uint32_t *pos, uint32_t *taken) {
  lk_doc *doc = self->doc;
  lk_err err = lk_journal(doc, LK_STEP_NEW, doc->item_count, UINT32_MAX, 0); /* of none yet */
  if (err != LK_OK) return err;
  while ((err = LK_VEC_RESERVE_HERE(doc, doc->incoming, CHUNK_MAX)) == LK_OK) {
    uint32_t most = lk_min_u32(doc->item_cap - doc->item_count, CHUNK_MAX);
    most = (uint32_t)lk_min_u64(most, self->in.structs_left - *taken);
    cursor in = cursor_at(self, *pos, (uint32_t)self->in.clock);
    in.clock_max = doc->limits.doc_clock;
    uint32_t count = read_chunk(self, section, own, most, &in);
    if (count > 0 && !has_read_rightly(self, &in)) continue;
    if (count > 0) {
      doc->incoming.count += count;
      doc->item_count += count;
      doc->item_live += count;
      doc->journal.at[doc->journal.count - 1].b += count;
      doc->text_len = in.text_len;
      self->in.clock = in.clock;
    }
    *pos = (uint32_t)(in.at - self->in.in.bytes.ptr);
    *taken += count;
    if (count < most || most == 0) break;
  }
  if (*taken == 0) doc->journal.count--;
  return err;
}

lk_err lk_take_plain_run(lk_applying *self, lk_section *section) {
  lk_doc *doc = self->doc;
  lk_update_reader *in = &self->in;
  const lk_client *client = &doc->clients.at[section->client];
  lk_id_bytes own = { in->client_word, in->client_mask, in->client_len, section->client };
  uint32_t text = doc->text_len, taken = 0, pos = (uint32_t)in->in.pos;
  size_t left = lk_reader_left(&in->in);
  if (left < HEAD_MAX || in->clock > doc->limits.doc_clock) return LK_OK;
  if (doc->limits.doc_clock < CLOCKS_READ)
    return LK_OK; /* of origins only others ask whether they may be */
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

/* Authors who wrote at the same time deleted in turns. So many ranges of others are passed over for each of its own. */
#define FOREIGN_EACH 16

uint32_t lk_skip_known_deletes(lk_applying *self, uint16_t client, uint32_t *range) {
  const lk_tx *tx = self->doc->tx;
  lk_update_reader *in = &self->in;
  const uint8_t *at = in->in.bytes.ptr + in->in.pos, *end = in->in.bytes.ptr + in->in.bytes.len;
  uint32_t skipped = 0, r = *range;
  uint64_t foreign = FOREIGN_EACH * in->ranges_left;
  for (; skipped < in->ranges_left && end - at >= 8; skipped++) {
    const uint8_t *next = at;
    uint32_t clock, len;
    if (!read_clock(&next, &clock) || !read_len(&next, &len)) break;
    for (; r < tx->ranges.count; r++) {
      const lk_range *passed = &tx->ranges.at[r];
      bool is_foreign = passed->client != client;
      if (is_foreign ? foreign == 0 : (uint64_t)passed->clock + passed->len > clock) break;
      foreign -= is_foreign;
    }
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

/* ---- what was put aside ---- */

/* The maps of a section and of the one that it refers to. */
typedef struct maps {
  lk_clock_map own, other;
  uint32_t other_client; /* LK_NO_CLIENT for none yet */
} maps;

static OUT_OF_LINE void maps_turn(const lk_applying *self, maps *at, uint32_t client) {
  uint32_t section = self->doc->clients.at[client].section;
  at->other_client = client;
  at->other = (lk_clock_map){ .at = NULL };
  if (section != LK_NONE) at->other = self->sections.at[section].map;
}

/* Whether |number| ends with that. */
static ALWAYS_INLINE bool ends_with(const lk_doc *doc, uint32_t number, uint32_t client,
                                    uint32_t clock) {
  if (UNLIKELY(number >= doc->item_count)) return false;
  const lk_item *item = &doc->items[number];
  return lk_item_end(item) - 1 == clock && item->client == client && item->kind != LK_CONTENT_FREE;
}

/* Links up to |most| loose items of |section| from its next one on, behind |last| of its client, as long as they are plain and
 * all that they refer to is there, until the client's clock has passed |until|; gives how many. */
static uint32_t link_loose(lk_applying *self, const lk_section *section, uint32_t last,
                           uint32_t most, uint32_t until) {
  lk_doc *doc = self->doc;
  lk_item *const items = doc->items;
  lk_tx *tx = doc->tx;
  const uint16_t own = section->client;
  const uint32_t *const numbers = doc->incoming.at + section->next;
  const uint32_t first = numbers[0], end = first + most;
  uint32_t number = first, known = self->known, shown = 0;
  uint32_t clock = doc->clients.at[own].clock;
  const uint32_t clock_max = clock + doc->limits.doc_units_count -
                             lk_min_u32(doc->units, doc->limits.doc_units_count);
  maps map = { .own = section->map, .other_client = LK_NO_CLIENT };
  lk_merge_try *merge = tx->merges.at + tx->merges.count;
  growing range = growing_range(tx, own);
  for (; number < end && clock <= until; last = number++) {
    lk_item *item = &items[number];
    const uint32_t origin_clock = item->origin_clock, origin = item->origin_client;
    uint32_t left;
    if (UNLIKELY(numbers[number - first] != number || item->clock != clock ||
                 (KINDS_PLAIN >> item->kind & 1) == 0 || origin == LK_NO_CLIENT ||
                 item->len > clock_max - clock))
      break;
    if (origin == own) {
      left = map_guess(&map.own, origin_clock);
      if (UNLIKELY(!ends_with(doc, left, own, origin_clock))) {
        left = find_far(doc, own, first, last, origin_clock);
      }
    } else {
      if (UNLIKELY(origin != map.other_client)) maps_turn(self, &map, origin);
      left = map_guess(&map.other, origin_clock);
      if (!ends_with(doc, left, origin, origin_clock)) {
        if (origin_clock >= doc->clients.at[origin].clock) break;
        left = find(self, (uint16_t)origin, origin_clock);
      }
    }
    lk_item *const l = &items[left];
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
    item->left = left;
    item->right = right;
    item->parent = known;
    item->depth = l->depth + left_len;
    item->leaf = LK_NONE;
    item->flags = (item->flags & LK_ITEM_WIDE) | (item->kind & LK_ITEM_DELETED);
    l->right = number;
    *merge = (lk_merge_try){ own, clock, number };
    merge += (origin == own) & (origin_clock + 1 == clock) & (items[last].kind == item->kind) &
             same_right(&items[last], item);
    range = growing_note(range, own, clock, item->len, item->kind & LK_CONTENT_DELETED);
    shown += item->len & SHOWN_MASK(item->kind);
    clock += item->len;
  }
  tx->merges.count = (uint32_t)(merge - tx->merges.at);
  tx->ranges.count = (uint32_t)(range.next - tx->ranges.at);
  if (known != LK_TYPE_UNKNOWN) doc->types.at[known].length += shown;
  self->known = known;
  return number - first;
}

lk_err lk_take_plain_loose(lk_applying *self, lk_section *section, uint32_t until) {
  lk_doc *doc = self->doc;
  lk_client *client = &doc->clients.at[section->client];
  if (client->touched != doc->tx->number || client->block_count == 0) return LK_OK;
  lk_err err = LK_OK;
  while (section->next < section->end && client->clock <= until) {
    uint32_t left = section->end - section->next, last = lk_client_last(doc, section->client);
    if ((err = room_for_chunk(doc, section->client, left)) != LK_OK) break;
    if ((err = LK_VEC_RESERVE_HERE(doc, doc->journal, 1)) != LK_OK) break;
    lk_block *block = &client->blocks[client->block_count - 1];
    uint32_t *to = block->items + block->count, first = doc->incoming.at[section->next];
    uint32_t most = lk_min_u32(left, (uint32_t)(block->cap - block->count));
    uint32_t count = link_loose(self, section, last, most, until);
    if (count == 0) break;
    for (uint32_t n = 0; n < count; n++) to[n] = first + n;
    block->count = (uint16_t)(block->count + count);
    block->dead = false;
    uint32_t clock = lk_item_end(&doc->items[first + count - 1]);
    doc->units += clock - client->clock;
    client->clock = clock;
    section->next += count;
    err = note(doc, LK_STEP_LINKED, first, count);
    LK_ASSERT(err == LK_OK); /* there is room */
    if (count < most) break;
  }
  lk_client_trim(doc, section->client);
  return err;
}
