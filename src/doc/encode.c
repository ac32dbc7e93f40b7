/* doc/encode.c -- a document as an update: all of it, what another one lacks, or one transaction.
 *
 * Clients come with the highest id first, each from a clock on; the first struct may be cut there. Structs are as
 * Yjs would have them, so JOINED items are written as one. Each becomes a view, as if it had been read from an update, and
 * lk_update_writer says it in either format: V1 straight into the buffer, V2 by way of columns whose memory the document
 * keeps. A whole document in V1 goes through encode_whole.c, which hands over what is no plain text.
 *
 * What waits. Yjs puts the state, what of the pending structs is beyond it, and the pending deletions together by merging
 * updates. Of each client the pending structs come behind the others, with a Skip where there is a gap, and pending
 * deletions are deletions like others: so one walk over the clients does it. Two things show that Yjs merged:
 * a struct in a map whose parent is not written does not say that it is in one, and a client that has nothing but
 * deletions that wait comes up. */
#include "doc/encode.h"

#include "base/sort.h"
#include "codec/utf.h"
#include "codec/varint.h"
#include "doc/value.h"

#define HEAD_ROOM                                                                                  \
  160               /* more than the numbers of a struct take, and what is stored beyond by words */
#define COPY_LEN 32 /* what is shorter is copied by words */
#define ALWAYS_INLINE inline __attribute__((always_inline))

/* ---- groups ---- */

static const lk_item *group_item(const lk_doc *doc, const lk_group *self, lk_place place) {
  return &doc->items[place.block == LK_NONE ? place.at : lk_place_item(doc, self->client, place)];
}

static bool is_joined(const lk_doc *doc, uint16_t client, lk_place place) {
  return (doc->items[lk_place_item(doc, client, place)].flags & LK_ITEM_JOINED) != 0;
}

lk_group lk_group_at(const lk_doc *doc, uint16_t client, lk_place place) {
  lk_group self = { client, place, 0, 0, 0 };
  do {
    self.len += doc->items[lk_place_item(doc, client, place)].len;
    self.items++;
  } while (lk_place_next(doc, client, &place) && is_joined(doc, client, place));
  return self;
}

/* ---- structs as views ---- */

/* Calls for each item of a group with the part of it that is written. */
typedef struct piece {
  const lk_item *item;
  uint32_t from, len;
} piece;

static bool next_piece(const lk_doc *doc, const lk_group *self, lk_place *place, uint32_t *done,
                       uint32_t *skip, piece *out) {
  while (*done < self->items) {
    if (*done > 0 && !lk_place_next(doc, self->client, place)) LK_UNREACHABLE();
    ++*done;
    const lk_item *item = group_item(doc, self, *place);
    uint32_t from = lk_min_u32(*skip, item->len);
    *skip -= from;
    if (from == item->len) continue;
    *out = (piece){ item, from, item->len - from };
    return true;
  }
  return false;
}

/* Its text: halves of pairs are joined over the items, and stay alone at the ends. */
static lk_column_piece group_text(const lk_doc *doc, const lk_group *self, lk_buf *scratch) {
  lk_place place = self->first;
  uint32_t done = 0, skip = self->offset;
  uint16_t low = 0, high = 0;
  piece at;
  for (bool first = true; next_piece(doc, self, &place, &done, &skip, &at); first = false) {
    uint16_t unit = lk_item_unit(doc, at.item, at.from);
    if (first && lk_utf_is_low_surrogate(unit)) {
      low = unit;
      at.from++;
      at.len--;
    }
    lk_item_append_utf8(doc, at.item, at.from, at.len, &high, scratch);
  }
  return (lk_column_piece){ lk_buf_slice(scratch), low, high };
}

/* Its values, one behind the other. */
static void group_values(const lk_doc *doc, const lk_group *self, lk_buf *scratch) {
  lk_place place = self->first;
  uint32_t done = 0, skip = self->offset;
  piece at;
  while (next_piece(doc, self, &place, &done, &skip, &at)) {
    lk_slice all = lk_value_bytes(doc, at.item->content);
    size_t cut = 0;
    if (at.from > 0) {
      lk_slice first = lk_item_any(doc, at.item, at.from);
      cut = (size_t)(first.ptr - all.ptr);
      if (at.item->kind == LK_CONTENT_JSON) cut -= lk_varuint_len(first.len);
    }
    lk_buf_append(scratch, lk_slice_skip(all, cut));
  }
}

static lk_slice name_slice(const lk_doc *doc, uint32_t name) {
  return name == LK_NONE ? LK_SLICE_EMPTY : lk_name_slice(doc, name);
}

static lk_doc_id id_of(const lk_doc *doc, uint32_t client, uint32_t clock) {
  return (lk_doc_id){ doc->clients.at[client].id, clock };
}

/* |loose|: what engine.h says of such items. */
static void view_parent(const lk_doc *doc, const lk_item *item, bool loose, lk_struct *out) {
  uint32_t key = loose ? item->right : 0;
  if (item->parent == LK_PARENT_LOOSE) {
    out->parent_form = LK_PARENT_ITEM;
    out->parent_id = id_of(doc, item->leaf, item->left);
  } else if (doc->types.at[item->parent].item == LK_NONE) {
    out->parent_form = LK_PARENT_ROOT;
    out->parent_name = name_slice(doc, doc->types.at[item->parent].name);
  } else {
    const lk_item *owner = &doc->items[doc->types.at[item->parent].item];
    out->parent_form = LK_PARENT_ITEM;
    out->parent_id = id_of(doc, owner->client, owner->clock);
  }
  if ((item->flags & LK_ITEM_SUB) == 0) return;
  if (!loose) key = doc->entries.at[item->leaf].key;
  out->sub = name_slice(doc, key);
}

/* |merged|: as Yjs writes it when it merged updates. */
static void view_head(const lk_doc *doc, const lk_group *self, const lk_item *item, bool merged,
                      lk_struct *out) {
  bool loose = self->first.block == LK_NONE;
  out->parent_form = LK_PARENT_INHERITED;
  if (item->right_client != LK_NO_CLIENT) {
    out->info |= LK_INFO_RIGHT;
    out->right = id_of(doc, item->right_client, item->right_clock);
  }
  if (item->origin_client != LK_NO_CLIENT) {
    out->info |= LK_INFO_ORIGIN;
    out->origin = id_of(doc, item->origin_client, item->origin_clock);
  }
  uint8_t whole = out->info;
  if (self->offset > 0) {
    out->info |= LK_INFO_ORIGIN;
    out->origin = id_of(doc, item->client, item->clock + self->offset - 1);
  }
  const uint8_t between = LK_INFO_ORIGIN | LK_INFO_RIGHT;
  if ((out->info & between) == 0) view_parent(doc, item, loose, out);
  bool named = ((loose ? whole : out->info) & between) == 0;
  if ((item->flags & LK_ITEM_SUB) != 0 && (named || !merged)) out->info |= LK_INFO_SUB;
}

static void view_content(const lk_doc *doc, const lk_group *self, const lk_item *item,
                         lk_buf *scratch, lk_struct *out) {
  lk_buf_truncate(scratch, 0);
  switch (item->kind) {
  case LK_CONTENT_DELETED: return;
  case LK_CONTENT_STRING:
    if (self->items > 1 || (item->flags & LK_ITEM_WIDE) != 0) {
      out->text = group_text(doc, self, scratch);
    } else {
      out->text = (lk_column_piece){ .text = { doc->text + item->content + self->offset,
                                               (size_t)out->len } };
    }
    return;
  case LK_CONTENT_TYPE:
    if (self->first.block == LK_NONE) {
      out->type_ref = (uint8_t)(item->content >> 28);
      out->key = name_slice(doc, (item->content & 0x0FFFFFFF) - 1);
    } else {
      out->type_ref = doc->types.at[item->content].kind;
      out->key = name_slice(doc, doc->types.at[item->content].name);
    }
    return;
  default:
    out->value = lk_value_bytes(doc, item->content);
    out->value_is_json = false;
    out->key = name_slice(doc, lk_item_key(doc, item));
    if (self->items == 1 && self->offset == 0) return;
    group_values(doc, self, scratch);
    out->value = lk_buf_slice(scratch);
  }
}

/* The struct but for its id, which the writer does not ask for. |scratch| has what had to be put together. */
static lk_err view_of(const lk_doc *doc, const lk_group *self, bool merged, lk_buf *scratch,
                      lk_struct *out) {
  const lk_item *item = group_item(doc, self, self->first);
  out->kind = out->info = item->kind;
  out->len = self->len - self->offset;
  if (item->kind == LK_CONTENT_GC) return LK_OK;
  view_head(doc, self, item, merged, out);
  view_content(doc, self, item, scratch, out);
  return lk_buf_err(scratch);
}

lk_err lk_group_write_v1(const lk_doc *doc, const lk_group *self, lk_buf *out) {
  lk_struct view;
  lk_err err = view_of(doc, self, false, &doc->writer->scratch, &view);
  return err != LK_OK ? err : lk_update_append_struct(doc->writer, &view, out);
}

/* ---- parts ---- */

static bool part_before(const void *ctx, const void *a, const void *b) {
  (void)ctx;
  return ((const lk_part *)a)->id > ((const lk_part *)b)->id;
}

/* The highest id first. */
static void sort_parts(lk_part *parts, uint32_t count) {
  lk_sort(parts, count, sizeof *parts, part_before, NULL);
}

/* An update that is being written. */
typedef struct encoding {
  lk_doc *doc;
  const lk_tx *tx; /* or NULL: the document */
  const lk_part *parts,
      *deleting; /* clients with structs, and with deletions; LK_NONE for one that is not here */
  uint32_t count, deleting_count;
  bool merged; /* with what waits */
} encoding;

static lk_err write_group(const encoding *self, const lk_group *group) {
  lk_update_writer *out = self->doc->writer;
  lk_struct view;
  lk_err err = view_of(self->doc, group, self->merged, &out->scratch, &view);
  if (err == LK_OK) lk_update_put_struct(out, &view);
  return err;
}

static ALWAYS_INLINE uint8_t *put_id(const lk_doc *doc, uint8_t *to, uint16_t own, uint16_t client,
                                     uint32_t clock) {
  if (client == own) {
    lk_store_le64(to, doc->writer->client_word);
    to += doc->writer->client_len;
  } else {
    to += lk_varuint_store(to, doc->clients.at[client].id);
  }
  return lk_varuint_put(to, clock);
}

static bool is_plain(const lk_item *item) {
  bool narrow = item->kind == LK_CONTENT_STRING && (item->flags & LK_ITEM_WIDE) == 0;
  return (narrow || item->kind == LK_CONTENT_DELETED) && item->origin_client != LK_NO_CLIENT;
}

/* Text and what is deleted, behind something: stored without a view, as nearly all structs are of that kind. */
static ALWAYS_INLINE void put_plain(const lk_doc *doc, const lk_item *item) {
  bool is_text = item->kind == LK_CONTENT_STRING;
  lk_buf *rest = &doc->writer->rest;
  lk_update_count_struct(doc->writer);
  if (rest->err != LK_OK || rest->cap - rest->len < HEAD_ROOM + (is_text ? item->len : 0)) {
    if (lk_buf_reserve(rest, HEAD_ROOM + (is_text ? item->len : 0)) != LK_OK) return;
  }
  uint8_t *to = rest->ptr + rest->len;
  uint8_t *info = to++;
  *info = item->kind | LK_INFO_ORIGIN | (item->flags & LK_ITEM_SUB) * (LK_INFO_SUB / LK_ITEM_SUB);
  to = put_id(doc, to, item->client, item->origin_client, item->origin_clock);
  if (item->right_client != LK_NO_CLIENT) {
    *info |= LK_INFO_RIGHT;
    to = put_id(doc, to, item->client, item->right_client, item->right_clock);
  }
  to = lk_varuint_put(to, item->len);
  if (is_text) {
    const uint8_t *text = doc->text + item->content;
    bool is_short = item->len <= COPY_LEN && doc->text_cap - item->content >= COPY_LEN;
    if (is_short) memcpy(to, text, COPY_LEN);
    else memcpy(to, text, item->len);
    to += item->len;
  }
  rest->len = (size_t)(to - rest->ptr);
}

/* What is integrated of a client. A struct of several items that begins before that is written from the item on in which
 * its rest begins: this has what is in front of it as origin, and the right origin of all of them. */
static lk_err write_here(const encoding *self, const lk_part *part) {
  lk_doc *doc = self->doc;
  uint16_t number = (uint16_t)part->client;
  const lk_client *client = &doc->clients.at[number];
  const lk_item *last = NULL; /* of the group that was begun */
  lk_place at = lk_client_place(doc, number, part->from), first = at;
  uint32_t offset = part->from - doc->items[lk_place_item(doc, number, at)].clock;
  uint32_t items = 0, len = 0;
  bool plain = doc->writer->format == LK_UPDATE_V1 && !self->merged;
  lk_update_write_client(doc->writer, part->id, part->from);
  for (;; at = (lk_place){ at.block + 1, 0 }) {
    bool is_end = at.block == client->block_count;
    const lk_block *block = &client->blocks[at.block];
    for (; is_end || at.at < block->count; at.at++) {
      const lk_item *item = is_end ? NULL : &doc->items[block->items[at.at]];
      if ((is_end || (item->flags & LK_ITEM_JOINED) == 0) && items > 0) {
        if (plain && items == 1 && offset == 0 && is_plain(last)) {
          put_plain(doc, last);
        } else {
          lk_group group = { number, first, offset, len, items };
          lk_err err = write_group(self, &group);
          if (err != LK_OK) return err;
        }
        first = at;
        offset = len = items = 0;
      }
      if (is_end) return LK_OK;
      last = item;
      len += item->len;
      items++;
    }
  }
}

/* What waits of a client, behind |end|; |is_open| where its section was begun. */
static lk_err write_waiting(const encoding *self, const lk_part *part, uint32_t end, bool is_open) {
  lk_doc *doc = self->doc;
  lk_err err = LK_OK;
  lk_btree_cursor cursor;
  lk_pending_struct key = { part->client, 0, 0, 0 };
  const lk_pending_struct *at = lk_btree_at_least(&doc->pending, &key, &cursor);
  for (; err == LK_OK && at != NULL && at->client == part->client; at = lk_btree_next(&cursor)) {
    uint32_t from = lk_max_u32(at->clock, end);
    lk_group group = { (uint16_t)at->client, { LK_NONE, at->item }, from - at->clock, at->len, 1 };
    if (at->clock + at->len <= end) continue;
    if (!is_open) lk_update_write_client(doc->writer, part->id, from);
    else if (from > end) lk_update_put_skip(doc->writer, from - end);
    err = write_group(self, &group);
    is_open = true;
    end = at->clock + at->len;
  }
  return err;
}

static lk_err write_structs(const encoding *self) {
  lk_err err = LK_OK;
  for (uint32_t i = 0; i < self->count && err == LK_OK; i++) {
    const lk_part *part = &self->parts[i];
    if (part->client == LK_NONE) continue;
    uint32_t clock = self->doc->clients.at[part->client].clock;
    bool is_here = part->from < clock;
    if (is_here) err = write_here(self, part);
    if (err == LK_OK && self->merged)
      err = write_waiting(self, part, is_here ? clock : part->from, is_here);
  }
  return err;
}

/* ---- delete sets ---- */

/* The deletions of one client, and the range that is being collected: none where |end| is 0. */
typedef struct range_run {
  lk_update_writer *out;
  uint64_t client, start, end;
  bool is_open; /* the client was written */
} range_run;

static void end_range(range_run *self) {
  if (self->end == 0) return;
  if (!self->is_open) lk_update_write_delete_client(self->out, self->client, LK_UPDATE_COUNTED);
  self->is_open = true;
  lk_update_write_delete(self->out, self->start, self->end - self->start);
}

static void add_range(range_run *self, uint64_t clock, uint64_t len) {
  if (clock > self->end || self->end == 0) {
    end_range(self);
    self->start = clock;
  }
  self->end = lk_max_u64(self->end, clock + len);
}

/* What waits of the client's deletions, in front of |clock|. */
static const lk_pending_range *add_waiting(range_run *self, const lk_pending_range *at,
                                           lk_btree_cursor *cursor, uint64_t clock) {
  for (; at != NULL && at->client == self->client && at->clock < clock; at = lk_btree_next(cursor))
    add_range(self, at->clock, at->len);
  return at;
}

static void write_ranges(const encoding *self, const lk_part *part) {
  const lk_doc *doc = self->doc;
  range_run of = { doc->writer, part->id, 0, 0, false };
  lk_btree_cursor cursor;
  const lk_pending_range *waiting = NULL;
  if (self->merged) {
    lk_pending_range key = { part->id, 0, 0 };
    waiting = lk_btree_at_least(&doc->pending_ranges, &key, &cursor);
  }
  const lk_client *client = part->client == LK_NONE ? NULL : &doc->clients.at[part->client];
  for (uint32_t b = 0; client != NULL && b < client->block_count; b++) {
    const lk_block *block = &client->blocks[b];
    for (uint32_t i = 0; i < block->count; i++) {
      const lk_item *item = &doc->items[block->items[i]];
      if (!lk_item_deleted(item)) continue;
      if (waiting != NULL) waiting = add_waiting(&of, waiting, &cursor, item->clock);
      add_range(&of, item->clock, item->len);
    }
  }
  (void)add_waiting(&of, waiting, &cursor, UINT64_MAX);
  end_range(&of);
}

/* Ranges of a transaction, sorted by client number; written by client id. */
static void write_ranges_of_tx(const encoding *self, const lk_part *part) {
  lk_update_writer *out = self->doc->writer;
  const lk_tx *tx = self->tx;
  lk_update_write_delete_client(out, part->id, LK_UPDATE_COUNTED);
  for (uint32_t i = part->from; i < tx->ranges.count && tx->ranges.at[i].client == part->client;
       i++)
    lk_update_write_delete(out, tx->ranges.at[i].clock, tx->ranges.at[i].len);
}

static void write_deletes(const encoding *self) {
  lk_update_write_deletes(self->doc->writer);
  for (uint32_t i = 0; i < self->deleting_count; i++) {
    if (self->tx != NULL) write_ranges_of_tx(self, &self->deleting[i]);
    else write_ranges(self, &self->deleting[i]);
  }
}

/* ---- updates ---- */

#define WRITER_KEPT                                                                                \
  4096 /* bytes of an update behind which the next one finds the memory of the one before */

void lk_encode_deinit(lk_doc *doc) {
  if (doc->writer == NULL) return;
  lk_update_writer_deinit(doc->writer);
  lk_free_bytes(&doc->alloc, doc->writer, sizeof *doc->writer);
  doc->writer = NULL;
}

static lk_err make_writer(lk_doc *doc) {
  if (doc->writer != NULL) return LK_OK;
  doc->writer = lk_alloc_bytes(&doc->alloc, sizeof *doc->writer);
  if (doc->writer == NULL) return LK_ERR_NOMEM;
  lk_update_writer_init(doc->writer, &doc->alloc, LK_UPDATE_V2, doc->limits.doc_update_bytes);
  return LK_OK;
}

static lk_err write_all(const encoding *self, lk_update_format format, lk_buf *out) {
  lk_update_writer *writer = self->doc->writer;
  lk_update_writer_open(writer, format, out);
  lk_err err = write_structs(self);
  if (err == LK_OK) write_deletes(self);
  return lk_update_writer_close(writer, err, out);
}

static lk_err write_whole(const encoding *self, lk_buf *out) {
  return lk_doc_encode_whole(self->doc, self->parts, self->count, out);
}

/* A keystroke, as a rule: columns of a byte or two, whose memory is kept. */
static lk_err encode(const encoding *self, lk_update_format format, bool whole, lk_buf *out) {
  lk_doc *doc = self->doc;
  size_t start = out->len;
  lk_err err = make_writer(doc);
  if (err != LK_OK) return err;
  err = whole ? write_whole(self, out) : LK_ERR_UNSUPPORTED;
  if (err == LK_ERR_UNSUPPORTED) err = write_all(self, format, out);
  if (err != LK_OK || self->tx == NULL || out->len - start > WRITER_KEPT) lk_encode_deinit(doc);
  else lk_update_writer_reset(doc->writer);
  if (err != LK_OK) lk_buf_truncate(out, start);
  return err;
}

/* ---- transactions ---- */

#define FEW 16

static lk_part *parts_new(const lk_doc *doc, lk_part *few, uint32_t count) {
  return count <= FEW ? few : lk_alloc_array(&doc->alloc, count, sizeof(lk_part));
}
static void parts_free(const lk_doc *doc, lk_part *parts, const lk_part *few, uint32_t count) {
  if (parts != few) lk_free_array(&doc->alloc, parts, count, sizeof(lk_part));
}

static uint32_t tx_parts(const lk_doc *doc, const lk_tx *tx, lk_part *parts) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < tx->touched.count; i++) {
    const lk_touched *at = &tx->touched.at[i];
    const lk_client *client = &doc->clients.at[at->client];
    if (client->clock > at->before)
      parts[count++] = (lk_part){ client->id, at->client, at->before };
  }
  sort_parts(parts, count);
  return count;
}

/* |from| is then the first of the client's ranges. */
static uint32_t tx_range_parts(const lk_doc *doc, const lk_tx *tx, lk_part *parts) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < tx->ranges.count; i++) {
    uint32_t client = tx->ranges.at[i].client;
    if (i > 0 && tx->ranges.at[i - 1].client == client) continue;
    if (parts != NULL) parts[count] = (lk_part){ doc->clients.at[client].id, client, i };
    count++;
  }
  if (parts != NULL) sort_parts(parts, count);
  return count;
}

lk_err lk_tx_encode(lk_doc *doc, lk_tx *tx, lk_update_format format, lk_buf *out) {
  lk_part few[FEW], few_ranges[FEW];
  uint32_t ranges = tx_range_parts(doc, tx, NULL);
  lk_part *parts = parts_new(doc, few, tx->touched.count);
  lk_part *range_parts = parts_new(doc, few_ranges, ranges);
  lk_err err = parts == NULL || range_parts == NULL ? LK_ERR_NOMEM : LK_OK;
  if (err == LK_OK) {
    uint32_t count = tx_parts(doc, tx, parts);
    (void)tx_range_parts(doc, tx, range_parts);
    encoding self = { doc, tx, parts, range_parts, count, ranges, false };
    err = encode(&self, format, false, out);
  }
  parts_free(doc, parts, few, tx->touched.count);
  parts_free(doc, range_parts, few_ranges, ranges);
  return err;
}

/* ---- documents ---- */

/* All clients, and those of deletions that wait; the highest id first. |parts| has room for them. */
static uint32_t all_parts(const lk_doc *doc, bool merged, lk_part *parts) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < doc->clients.count; i++) {
    if (merged || doc->clients.at[i].clock > 0)
      parts[count++] = (lk_part){ doc->clients.at[i].id, i, 0 };
  }
  lk_btree_cursor cursor;
  const lk_pending_range *at = merged ? lk_btree_first(&doc->pending_ranges, &cursor) : NULL;
  uint64_t last = UINT64_MAX;
  for (; at != NULL; at = lk_btree_next(&cursor)) {
    if (at->client != last && lk_client_find(doc, at->client) == LK_NO_CLIENT)
      parts[count++] = (lk_part){ at->client, LK_NONE, 0 };
    last = at->client;
  }
  sort_parts(parts, count);
  return count;
}

lk_err lk_doc_read_state_vector(const lk_doc *doc, lk_slice sv, uint32_t *froms) {
  lk_reader in = lk_reader_of(sv);
  uint64_t count, id, clock;
  if (sv.len == 0) return LK_OK;
  lk_err err = lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &count);
  for (uint64_t i = 0; err == LK_OK && i < count; i++) {
    err = lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &id);
    if (err == LK_OK) err = lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &clock);
    if (err != LK_OK) return err;
    uint16_t client = lk_client_find(doc, id);
    if (client != LK_NO_CLIENT) froms[client] = (uint32_t)lk_min_u64(clock, UINT32_MAX);
  }
  return err != LK_OK ? err : lk_reader_end(&in);
}

static lk_err encode_document(lk_doc *doc, lk_update_format format, lk_slice sv, bool merged,
                              lk_buf *out) {
  size_t clients = doc->clients.count + 1u, most = clients;
  lk_err err = lk_stroke_settle(doc); /* an observer that encodes sees structs before their clean-up */
  if (err != LK_OK) return err;
  if (merged) most += lk_btree_count(&doc->pending_ranges);
  lk_part *parts = lk_alloc_array(&doc->alloc, most, sizeof *parts);
  uint32_t *froms = lk_alloc_array(&doc->alloc, clients, sizeof *froms);
  err = parts == NULL || froms == NULL ? LK_ERR_NOMEM : LK_OK;
  if (err == LK_OK) {
    memset(froms, 0, clients * sizeof *froms);
    err = lk_doc_read_state_vector(doc, sv, froms);
  }
  if (err == LK_OK) {
    uint32_t count = all_parts(doc, merged, parts);
    for (uint32_t i = 0; i < count; i++)
      if (parts[i].client != LK_NONE) parts[i].from = froms[parts[i].client];
    encoding self = { doc, NULL, parts, parts, count, count, merged };
    err = encode(&self, format, format == LK_UPDATE_V1 && sv.len == 0 && !merged, out);
  }
  lk_free_array(&doc->alloc, parts, most, sizeof *parts);
  lk_free_array(&doc->alloc, froms, clients, sizeof *froms);
  return err;
}

lk_err lk_doc_encode_state(lk_doc *doc, lk_update_format format, lk_slice sv, lk_buf *out) {
  return encode_document(doc, format, sv, false, out);
}

lk_err lk_doc_encode(const lk_doc *self, lk_update_format format, lk_slice sv, lk_buf *out) {
  lk_doc *doc = (lk_doc *)(uintptr_t)self; /* caches only */
  if (format != LK_UPDATE_V1 && format != LK_UPDATE_V2) return LK_ERR_INVALID;
  bool waits = lk_btree_count(&doc->pending) > 0 || lk_btree_count(&doc->pending_ranges) > 0;
  return encode_document(doc, format, sv, waits, out);
}

lk_err lk_doc_state_vector(const lk_doc *doc, lk_buf *out) {
  size_t clients = doc->clients.count + 1u, start = out->len;
  lk_part *all = lk_alloc_array(&doc->alloc, clients, sizeof *all);
  if (all == NULL) return LK_ERR_NOMEM;
  uint32_t count = all_parts(doc, false, all);
  lk_varuint_encode(out, count);
  for (uint32_t i = 0; i < count; i++) {
    lk_varuint_encode(out, all[i].id);
    lk_varuint_encode(out, doc->clients.at[all[i].client].clock);
  }
  lk_free_array(&doc->alloc, all, clients, sizeof *all);
  lk_err err = lk_buf_err(out);
  if (err != LK_OK) lk_buf_truncate(out, start);
  return err;
}
