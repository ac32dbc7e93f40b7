/* doc/encode.c -- a document as an update: all of it, what another one lacks, or one transaction.
 *
 * Clients come with the highest id first, each from a clock on; the first struct may be cut there. Structs are as
 * Yjs would have them, so JOINED items are written as one.
 *
 * V1 is written straight into the buffer: room for a struct is made once, then its fields are stored without
 * another look. It is what every keystroke of every user goes through; a whole document goes through encode_whole.c.
 * V2 takes the way over lk_update_writer and its columns, whose memory the document keeps. */
#include "doc/encode.h"

#include "base/sort.h"
#include "codec/lib0.h"
#include "codec/utf.h"
#include "codec/varint.h"
#include "doc/value.h"

#define HEAD_MAX 64u /* info, two ids, parent and lengths, without names */

static uint8_t *put(uint8_t *to, uint64_t value) { return to + lk_varuint_store(to, value); }

static uint64_t client_id(const lk_doc *doc, uint16_t client) { return doc->clients.at[client].id; }

/* ---- groups ---- */

lk_group lk_group_at(const lk_doc *doc, uint16_t client, lk_place place) {
  lk_group self = { client, place, 0, 0, 0 };
  do {
    self.len += doc->items[lk_place_item(doc, client, place)].len;
    self.items++;
  } while (lk_place_next(doc, client, &place) &&
           (doc->items[lk_place_item(doc, client, place)].flags & LK_ITEM_JOINED) != 0);
  return self;
}

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
    const lk_item *item = &doc->items[lk_place_item(doc, self->client, *place)];
    uint32_t from = lk_min_u32(*skip, item->len);
    *skip -= from;
    if (from == item->len) continue;
    *out = (piece){ item, from, item->len - from };
    return true;
  }
  return false;
}

/* The text of the group as UTF-8, halves of pairs joined over the items. */
static lk_err group_text(const lk_doc *doc, const lk_group *self, lk_buf *out) {
  lk_place place = self->first;
  uint32_t done = 0, skip = self->offset;
  uint16_t high = 0;
  piece at;
  while (next_piece(doc, self, &place, &done, &skip, &at)) {
    lk_item_append_utf8(doc, at.item, at.from, at.len, &high, out);
  }
  lk_text_flush(&high, out);
  return lk_buf_err(out);
}

/* Its values, one behind the other. */
static lk_err group_values(const lk_doc *doc, const lk_group *self, lk_buf *out) {
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
    lk_buf_append(out, lk_slice_skip(all, cut));
  }
  return lk_buf_err(out);
}

/* ---- the head of an item, common to the formats ---- */

typedef struct head {
  uint8_t info;
  bool origin_written, right_written;
  lk_doc_id origin, right;
} head;

static head head_of(const lk_doc *doc, const lk_item *item, uint32_t offset) {
  head self = { .info = item->kind };
  if (offset > 0) {
    self.origin = (lk_doc_id){ client_id(doc, item->client), (uint64_t)item->clock + offset - 1 };
    self.info |= LK_INFO_ORIGIN;
  } else if (item->origin_client != LK_NO_CLIENT) {
    self.origin = (lk_doc_id){ client_id(doc, item->origin_client), item->origin_clock };
    self.info |= LK_INFO_ORIGIN;
  }
  if (item->right_client != LK_NO_CLIENT) {
    self.right = (lk_doc_id){ client_id(doc, item->right_client), item->right_clock };
    self.info |= LK_INFO_RIGHT;
  }
  if ((item->flags & LK_ITEM_SUB) != 0) self.info |= LK_INFO_SUB;
  return self;
}

/* ---- V1 ---- */

static uint8_t *room(lk_buf *out, size_t more) {
  return lk_buf_reserve(out, more) == LK_OK ? out->ptr + out->len : NULL;
}
static void done(lk_buf *out, const uint8_t *end) { out->len = (size_t)(end - out->ptr); }

static void put_slice_v1(lk_buf *out, lk_slice bytes) {
  lk_varuint_encode(out, bytes.len);
  lk_buf_append(out, bytes);
}

static void parent_v1(const lk_doc *doc, const lk_item *item, lk_buf *out) {
  const lk_type *parent = &doc->types.at[item->parent];
  if (parent->item == LK_NONE) {
    lk_buf_append_u8(out, 1);
    put_slice_v1(out, lk_name_slice(doc, parent->name));
  } else {
    const lk_item *owner = &doc->items[parent->item];
    lk_buf_append_u8(out, 0);
    lk_varuint_encode(out, client_id(doc, owner->client));
    lk_varuint_encode(out, owner->clock);
  }
  if ((item->flags & LK_ITEM_SUB) != 0) {
    put_slice_v1(out, lk_name_slice(doc, doc->entries.at[item->leaf].key));
  }
}

static void type_v1(const lk_doc *doc, const lk_item *item, lk_buf *out) {
  const lk_type *type = &doc->types.at[item->content];
  lk_varuint_encode(out, type->kind);
  if (type->kind == LK_TYPE_REF_ELEMENT || type->kind == LK_TYPE_REF_HOOK) {
    put_slice_v1(out, lk_name_slice(doc, type->name));
  }
}

/* Appends with a length in front what |write| appends. */
static lk_err measured_v1(const lk_doc *doc, const lk_group *self,
                          lk_err (*write)(const lk_doc *doc, const lk_group *self, lk_buf *out),
                          lk_buf *out) {
  size_t start = out->len;
  uint8_t *to = room(out, LK_VARUINT_LEN_MAX);
  if (to == NULL) return lk_buf_err(out);
  out->len += LK_VARUINT_LEN_MAX;
  lk_err err = write(doc, self, out);
  if (err != LK_OK) return err;
  size_t len = out->len - start - LK_VARUINT_LEN_MAX, width = lk_varuint_len(len);
  memmove(out->ptr + start + width, out->ptr + start + LK_VARUINT_LEN_MAX, len);
  (void)lk_varuint_store(out->ptr + start, len);
  out->len = start + width + len;
  return LK_OK;
}

static lk_err json_of_value(const lk_doc *doc, const lk_group *self, lk_buf *out) {
  const lk_item *item = &doc->items[lk_place_item(doc, self->client, self->first)];
  return lk_value_json_of_any(lk_value_bytes(doc, item->content), out);
}

static lk_err content_v1(const lk_doc *doc, const lk_group *self, const lk_item *item,
                         lk_buf *out) {
  switch (item->kind) {
  case LK_CONTENT_DELETED: return lk_varuint_encode(out, self->len - self->offset);
  case LK_CONTENT_STRING: return measured_v1(doc, self, group_text, out);
  case LK_CONTENT_JSON:
  case LK_CONTENT_ANY:
    lk_varuint_encode(out, self->len - self->offset);
    return group_values(doc, self, out);
  case LK_CONTENT_BINARY: put_slice_v1(out, lk_value_bytes(doc, item->content)); break;
  case LK_CONTENT_EMBED: return measured_v1(doc, self, json_of_value, out);
  case LK_CONTENT_FORMAT:
    put_slice_v1(out, lk_name_slice(doc, lk_item_key(doc, item)));
    return measured_v1(doc, self, json_of_value, out);
  case LK_CONTENT_TYPE: type_v1(doc, item, out); break;
  case LK_CONTENT_DOC:
    put_slice_v1(out, lk_name_slice(doc, lk_item_key(doc, item)));
    lk_buf_append(out, lk_value_bytes(doc, item->content));
    break;
  default: LK_UNREACHABLE();
  }
  return lk_buf_err(out);
}

lk_err lk_group_write_v1(const lk_doc *doc, const lk_group *self, lk_buf *out) {
  const lk_item *item = &doc->items[lk_place_item(doc, self->client, self->first)];
  bool plain = self->items == 1 && item->kind == LK_CONTENT_STRING &&
               (item->flags & LK_ITEM_WIDE) == 0;
  uint8_t *to = room(out, HEAD_MAX + (plain ? item->len : 0));
  if (to == NULL) return lk_buf_err(out);
  if (item->kind == LK_CONTENT_GC) {
    *to++ = LK_CONTENT_GC;
    done(out, put(to, self->len - self->offset));
    return LK_OK;
  }
  head at = head_of(doc, item, self->offset);
  *to++ = at.info;
  if ((at.info & LK_INFO_ORIGIN) != 0) to = put(put(to, at.origin.client), at.origin.clock);
  if ((at.info & LK_INFO_RIGHT) != 0) to = put(put(to, at.right.client), at.right.clock);
  if ((at.info & (LK_INFO_ORIGIN | LK_INFO_RIGHT)) == 0) {
    done(out, to);
    parent_v1(doc, item, out);
    return content_v1(doc, self, item, out);
  }
  if (plain) {
    uint32_t len = item->len - self->offset;
    to = put(to, len);
    memcpy(to, doc->text + item->content + self->offset, len);
    done(out, to + len);
    return LK_OK;
  }
  done(out, to);
  return content_v1(doc, self, item, out);
}

/* ---- V2 ---- */

static void put_name_v2(lk_update_writer *out, lk_slice name) {
  lk_update_put_text(out, (lk_column_piece){ .text = name });
}

static void parent_v2(const lk_doc *doc, const lk_item *item, lk_update_writer *out) {
  const lk_type *parent = &doc->types.at[item->parent];
  lk_update_put_parent_info(out, parent->item == LK_NONE);
  if (parent->item == LK_NONE) {
    put_name_v2(out, lk_name_slice(doc, parent->name));
  } else {
    const lk_item *owner = &doc->items[parent->item];
    lk_update_put_left(out, (lk_doc_id){ client_id(doc, owner->client), owner->clock });
  }
  if ((item->flags & LK_ITEM_SUB) != 0)
    put_name_v2(out, lk_name_slice(doc, doc->entries.at[item->leaf].key));
}

/* Text keeps lone halves of pairs at its ends, which the column can say. */
static lk_err text_v2(const lk_doc *doc, const lk_group *self, lk_buf *scratch,
                      lk_update_writer *out) {
  lk_place place = self->first;
  uint32_t count = 0, skip = self->offset;
  lk_column_piece text = { .low_first = 0 };
  uint16_t high = 0;
  piece at;
  bool first = true;
  lk_buf_truncate(scratch, 0);
  while (next_piece(doc, self, &place, &count, &skip, &at)) {
    uint16_t unit = lk_item_unit(doc, at.item, at.from);
    if (first && lk_utf_is_low_surrogate(unit)) {
      text.low_first = unit;
      at.from++;
      at.len--;
    }
    first = false;
    lk_item_append_utf8(doc, at.item, at.from, at.len, &high, scratch);
  }
  text.high_last = high;
  text.text = lk_buf_slice(scratch);
  if (lk_buf_err(scratch) == LK_OK) lk_update_put_text(out, text);
  return lk_buf_err(scratch);
}

static lk_err content_v2(const lk_doc *doc, const lk_group *self, const lk_item *item,
                         lk_buf *scratch, lk_update_writer *out) {
  lk_err err;
  switch (item->kind) {
  case LK_CONTENT_DELETED: lk_update_put_len(out, self->len - self->offset); break;
  case LK_CONTENT_STRING: return text_v2(doc, self, scratch, out);
  case LK_CONTENT_JSON:
  case LK_CONTENT_ANY:
    lk_buf_truncate(scratch, 0);
    if ((err = group_values(doc, self, scratch)) != LK_OK) return err;
    lk_update_put_len(out, self->len - self->offset);
    if (item->kind == LK_CONTENT_ANY) {
      lk_update_put_any(out, lk_buf_slice(scratch));
      break;
    }
    for (lk_reader in = lk_reader_of(lk_buf_slice(scratch)); lk_reader_left(&in) > 0;) {
      lk_slice text;
      if (lk_lib0_string_decode(&in, &text) != LK_OK) LK_UNREACHABLE();
      put_name_v2(out, text);
    }
    break;
  case LK_CONTENT_BINARY: lk_update_put_bytes(out, lk_value_bytes(doc, item->content)); break;
  case LK_CONTENT_FORMAT:
    lk_update_put_key(out, lk_name_slice(doc, lk_item_key(doc, item))); /* fall through */
  case LK_CONTENT_EMBED: lk_update_put_json(out, lk_value_bytes(doc, item->content), false); break;
  case LK_CONTENT_TYPE: {
    const lk_type *type = &doc->types.at[item->content];
    lk_update_put_type_ref(out, type->kind);
    if (type->kind == LK_TYPE_REF_ELEMENT || type->kind == LK_TYPE_REF_HOOK) {
      lk_update_put_key(out, lk_name_slice(doc, type->name));
    }
    break;
  }
  case LK_CONTENT_DOC:
    put_name_v2(out, lk_name_slice(doc, lk_item_key(doc, item)));
    lk_update_put_any(out, lk_value_bytes(doc, item->content));
    break;
  default: LK_UNREACHABLE();
  }
  return LK_OK;
}

static lk_err write_v2(const lk_doc *doc, const lk_group *self, lk_buf *scratch,
                       lk_update_writer *out) {
  const lk_item *item = &doc->items[lk_place_item(doc, self->client, self->first)];
  if (item->kind == LK_CONTENT_GC) {
    lk_update_put_info(out, LK_CONTENT_GC);
    lk_update_put_len(out, self->len - self->offset);
    return LK_OK;
  }
  head at = head_of(doc, item, self->offset);
  lk_update_put_info(out, at.info);
  if ((at.info & LK_INFO_ORIGIN) != 0) lk_update_put_left(out, at.origin);
  if ((at.info & LK_INFO_RIGHT) != 0) lk_update_put_right(out, at.right);
  if ((at.info & (LK_INFO_ORIGIN | LK_INFO_RIGHT)) == 0) parent_v2(doc, item, out);
  return content_v2(doc, self, item, scratch, out);
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

/* Where a part's structs begin, and how many there are. */
static lk_group first_group(lk_doc *doc, const lk_part *self, uint32_t *structs) {
  uint16_t client = (uint16_t)self->client;
  lk_place place = lk_client_place(doc, client, self->from);
  while ((doc->items[lk_place_item(doc, client, place)].flags & LK_ITEM_JOINED) != 0) {
    if (!lk_place_prev(doc, client, &place)) LK_UNREACHABLE();
  }
  lk_group first = lk_group_at(doc, client, place);
  first.offset = self->from - doc->items[lk_place_item(doc, client, place)].clock;
  *structs = 1;
  while (lk_place_next(doc, client, &place)) {
    *structs += (doc->items[lk_place_item(doc, client, place)].flags & LK_ITEM_JOINED) == 0;
  }
  return first;
}

/* To the group behind; false at the end. */
static bool next_group(const lk_doc *doc, lk_group *self) {
  lk_place place = self->first;
  for (uint32_t i = 0; i < self->items; i++) {
    if (!lk_place_next(doc, self->client, &place)) return false;
  }
  *self = lk_group_at(doc, self->client, place);
  return true;
}

static lk_err structs_v1(lk_doc *doc, const lk_part *parts, uint32_t count, lk_buf *out) {
  lk_varuint_encode(out, count);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t structs;
    lk_group at = first_group(doc, &parts[i], &structs);
    lk_varuint_encode(out, structs);
    lk_varuint_encode(out, parts[i].id);
    lk_varuint_encode(out, parts[i].from);
    do {
      lk_err err = lk_group_write_v1(doc, &at, out);
      if (err != LK_OK) return err;
    } while (next_group(doc, &at));
  }
  return lk_buf_err(out);
}

static lk_err structs_v2(lk_doc *doc, const lk_part *parts, uint32_t count, lk_update_writer *out) {
  lk_buf scratch;
  lk_err err = LK_OK;
  lk_buf_init(&scratch, &doc->alloc, doc->limits.doc_update_bytes);
  for (uint32_t i = 0; i < count && err == LK_OK; i++) {
    uint32_t structs;
    lk_group at = first_group(doc, &parts[i], &structs);
    lk_update_write_client(out, parts[i].id, parts[i].from);
    do err = write_v2(doc, &at, &scratch, out);
    while (err == LK_OK && next_group(doc, &at));
  }
  lk_buf_deinit(&scratch);
  return err;
}

/* ---- delete sets ---- */

/* What takes ranges: V1 a buffer, V2 a writer. */
typedef struct range_sink {
  lk_buf *v1;
  lk_update_writer *v2;
} range_sink;

static void put_range_client(const range_sink *self, uint64_t client, uint32_t ranges) {
  if (self->v2 != NULL) {
    lk_update_write_delete_client(self->v2, client, ranges);
    return;
  }
  lk_varuint_encode(self->v1, client);
  lk_varuint_encode(self->v1, ranges);
}
static void put_range(const range_sink *self, uint32_t clock, uint32_t len) {
  if (self->v2 != NULL) {
    lk_update_write_delete(self->v2, clock, len);
    return;
  }
  uint8_t *to = room(self->v1, 2 * LK_VARUINT_LEN_MAX);
  if (to != NULL) done(self->v1, put(put(to, clock), len));
}

/* The ranges of one client that are deleted; |sink| NULL counts them. */
static uint32_t deleted_ranges(const lk_doc *doc, uint16_t number, const range_sink *sink) {
  const lk_client *client = &doc->clients.at[number];
  uint32_t count = 0, start = 0, end = 0;
  for (uint32_t b = 0; b < client->block_count; b++) {
    const lk_block *block = &client->blocks[b];
    for (uint32_t i = 0; i < block->count; i++) {
      const lk_item *item = &doc->items[block->items[i]];
      if (!lk_item_deleted(item)) continue;
      if (item->clock == end && count > 0) {
        end += item->len;
        continue;
      }
      if (count++ > 0 && sink != NULL) put_range(sink, start, end - start);
      start = item->clock;
      end = lk_item_end(item);
    }
  }
  if (count > 0 && sink != NULL) put_range(sink, start, end - start);
  return count;
}

static lk_err deletes_of_document(const lk_doc *doc, const lk_part *all, uint32_t clients,
                                  const range_sink *sink) {
  uint32_t count = 0;
  uint32_t *counts = lk_alloc_array(&doc->alloc, clients + 1u, sizeof *counts);
  if (counts == NULL) return LK_ERR_NOMEM;
  for (uint32_t i = 0; i < clients; i++) {
    counts[i] = deleted_ranges(doc, (uint16_t)all[i].client, NULL);
    count += counts[i] > 0;
  }
  if (sink->v1 != NULL) lk_varuint_encode(sink->v1, count);
  for (uint32_t i = 0; i < clients; i++) {
    if (counts[i] == 0) continue;
    put_range_client(sink, all[i].id, counts[i]);
    (void)deleted_ranges(doc, (uint16_t)all[i].client, sink);
  }
  lk_free_array(&doc->alloc, counts, clients + 1u, sizeof *counts);
  return sink->v1 != NULL ? lk_buf_err(sink->v1) : LK_OK;
}

/* Ranges of a transaction, sorted by client number; written by client id. */
static void deletes_of_tx(const lk_tx *tx, const lk_part *parts, uint32_t count,
                          const range_sink *sink) {
  if (sink->v1 != NULL) lk_varuint_encode(sink->v1, count);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t first = parts[i].from, last = first;
    while (last < tx->ranges.count && tx->ranges.at[last].client == parts[i].client) last++;
    put_range_client(sink, parts[i].id, last - first);
    for (; first < last; first++)
      put_range(sink, tx->ranges.at[first].clock, tx->ranges.at[first].len);
  }
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

static lk_err encode_v1(lk_doc *doc, const lk_tx *tx, const lk_part *parts, uint32_t count,
                        const lk_part *ranges, uint32_t range_count, lk_buf *out) {
  size_t start = out->len;
  lk_err err = structs_v1(doc, parts, count, out);
  if (err == LK_OK) {
    range_sink sink = { out, NULL };
    if (tx != NULL) deletes_of_tx(tx, ranges, range_count, &sink);
    else err = deletes_of_document(doc, ranges, range_count, &sink);
    if (err == LK_OK) err = lk_buf_err(out);
  }
  if (err != LK_OK) lk_buf_truncate(out, start);
  return err;
}

static lk_err write_all_v2(lk_doc *doc, const lk_tx *tx, const lk_part *parts, uint32_t count,
                           const lk_part *ranges, uint32_t range_count, lk_update_writer *writer,
                           lk_buf *out) {
  lk_err err = structs_v2(doc, parts, count, writer);
  if (err == LK_OK) {
    range_sink sink = { NULL, writer };
    lk_update_write_deletes(writer);
    if (tx != NULL) deletes_of_tx(tx, ranges, range_count, &sink);
    else err = deletes_of_document(doc, ranges, range_count, &sink);
  }
  return err == LK_OK ? lk_update_writer_finish(writer, out) : err;
}

#define WRITER_KEPT                                                                                \
  4096 /* bytes of an update behind which the next one finds the memory of the one before */

void lk_encode_deinit(lk_doc *doc) {
  if (doc->writer == NULL) return;
  lk_update_writer_deinit(doc->writer);
  lk_free_bytes(&doc->alloc, doc->writer, sizeof *doc->writer);
  doc->writer = NULL;
}

/* A keystroke, as a rule: nine columns of a byte or two, whose memory is kept. */
static lk_err encode_v2(lk_doc *doc, const lk_tx *tx, const lk_part *parts, uint32_t count,
                        const lk_part *ranges, uint32_t range_count, lk_buf *out) {
  size_t start = out->len;
  if (doc->writer == NULL) {
    doc->writer = lk_alloc_bytes(&doc->alloc, sizeof *doc->writer);
    if (doc->writer == NULL) return LK_ERR_NOMEM;
    lk_update_writer_init(doc->writer, &doc->alloc, LK_UPDATE_V2, doc->limits.doc_update_bytes);
  }
  lk_err err = write_all_v2(doc, tx, parts, count, ranges, range_count, doc->writer, out);
  if (err != LK_OK || out->len - start > WRITER_KEPT) lk_encode_deinit(doc);
  else lk_update_writer_reset(doc->writer);
  return err;
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
    err = (format == LK_UPDATE_V1 ? encode_v1 : encode_v2)(doc, tx, parts, count, range_parts,
                                                           ranges, out);
  }
  parts_free(doc, parts, few, tx->touched.count);
  parts_free(doc, range_parts, few_ranges, ranges);
  return err;
}

/* ---- documents ---- */

/* All clients with structs, the highest id first. |parts| has room for all clients. */
static uint32_t all_parts(const lk_doc *doc, lk_part *parts) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < doc->clients.count; i++) {
    if (doc->clients.at[i].clock > 0) parts[count++] = (lk_part){ doc->clients.at[i].id, i, 0 };
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

/* Leaves the parts that have something beyond |froms|. */
static uint32_t parts_beyond(const lk_doc *doc, const lk_part *all, uint32_t count,
                             const uint32_t *froms, lk_part *out) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t from = froms[all[i].client];
    if (from < doc->clients.at[all[i].client].clock)
      out[kept++] = (lk_part){ all[i].id, all[i].client, from };
  }
  return kept;
}

static lk_err whole_v1(const lk_doc *doc, const lk_part *parts, uint32_t count, lk_buf *out) {
  size_t start = out->len;
  lk_err err = lk_doc_encode_whole(doc, parts, count, out);
  if (err != LK_OK) lk_buf_truncate(out, start);
  return err;
}

lk_err lk_doc_encode_state(lk_doc *doc, lk_update_format format, lk_slice sv, lk_buf *out) {
  size_t clients = doc->clients.count + 1u;
  lk_part *all = lk_alloc_array(&doc->alloc, clients * 2, sizeof *all);
  uint32_t *froms = lk_alloc_array(&doc->alloc, clients, sizeof *froms);
  lk_err err = all == NULL || froms == NULL ? LK_ERR_NOMEM : LK_OK;
  if (err == LK_OK) {
    memset(froms, 0, clients * sizeof *froms);
    err = lk_doc_read_state_vector(doc, sv, froms);
  }
  if (err == LK_OK) {
    lk_part *parts = all + clients;
    uint32_t count = all_parts(doc, all), beyond = parts_beyond(doc, all, count, froms, parts);
    if (format == LK_UPDATE_V1 && sv.len == 0) err = whole_v1(doc, all, count, out);
    else
      err = (format == LK_UPDATE_V1 ? encode_v1 : encode_v2)(doc, NULL, parts, beyond, all, count,
                                                             out);
  }
  lk_free_array(&doc->alloc, all, clients * 2, sizeof *all);
  lk_free_array(&doc->alloc, froms, clients, sizeof *froms);
  return err;
}

lk_err lk_doc_state_vector(const lk_doc *doc, lk_buf *out) {
  size_t clients = doc->clients.count + 1u, start = out->len;
  lk_part *all = lk_alloc_array(&doc->alloc, clients, sizeof *all);
  if (all == NULL) return LK_ERR_NOMEM;
  uint32_t count = all_parts(doc, all);
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
