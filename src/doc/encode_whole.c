/* doc/encode_whole.c -- all of a document as one update in V1, in one walk.
 *
 * What a room hands to everybody who joins. Most structs are text, or deleted stretches, that their own client wrote
 * behind something: those are stored here field by field, into room that is made once for each. What is anything else is
 * left to encode.c. What is deleted is collected on the way, already encoded, since it is written behind all structs.
 *
 * How many structs a client has is written before them, but only known behind them, since JOINED items continue the
 * struct before them: when one comes, that struct is taken back and written as a whole. So as many bytes are kept for the
 * number as it takes without them, which is nearly always right. */
#include "doc/encode.h"

#include "codec/varint.h"

#define ALWAYS_INLINE inline __attribute__((always_inline))
#define OUT_OF_LINE __attribute__((noinline))
#define HEAD_MAX                                                                                   \
  64 /* more than the numbers of one struct take, and what is stored beyond by words */
#define COPY_LEN 32

/* A deleted stretch. */
typedef struct span {
  uint32_t start, end;
} span;

typedef struct whole {
  const lk_doc *doc;
  lk_buf *out;
  lk_buf deleted;  /* ranges, client by client */
  uint64_t word;   /* the client's id as it is written, */
  uint32_t width;  /* and how many bytes of that */
  uint32_t ranges; /* how many of them were written for the client, */
  uint32_t structs;
  uint32_t span_count;          /* and how many are about to be; the last of which may grow */
  span spans[LK_BLOCK_MAX + 2]; /* one is written for nothing */
} whole;

static ALWAYS_INLINE uint8_t *put_u32(uint8_t *to, uint32_t value) {
  if (value >= 0x4000 && value < 0x200000) {
    lk_store_le32(to,
                  (value & 0x7F) | 0x80 | (value << 1 & 0x7F00) | 0x8000 | (value << 2 & 0x7F0000));
    return to + 3;
  }
  if (value < 0x80) {
    *to = (uint8_t)value;
    return to + 1;
  }
  return to + lk_varuint_store(to, value);
}

/* ---- what is deleted ---- */

/* Writes all but the last |kept| of the spans. */
static OUT_OF_LINE void put_spans(whole *self, uint32_t kept) {
  uint32_t count = self->span_count - lk_min_u32(self->span_count, kept);
  if (lk_buf_reserve(&self->deleted, (size_t)count * 16 + 16) != LK_OK) {
    self->span_count = 0; /* who asks that buffer learns it */
    return;
  }
  uint8_t *to = self->deleted.ptr + self->deleted.len;
  for (uint32_t i = 0; i < count; i++) {
    to = put_u32(to, self->spans[i].start);
    to = put_u32(to, self->spans[i].end - self->spans[i].start);
  }
  self->deleted.len = (size_t)(to - self->deleted.ptr);
  self->ranges += count;
  self->spans[0] = self->spans[count];
  self->span_count -= count;
}

/* Whether an item is deleted nobody can predict: where it is not, what is written here counts for nothing. */
static ALWAYS_INLINE void note_deleted(whole *self, const lk_item *item) {
  uint32_t deleted = item->flags & LK_ITEM_DELETED, count = self->span_count;
  uint32_t end = count == 0 ? UINT32_MAX : self->spans[count - 1].end;
  uint32_t grows = deleted & (item->clock == end);
  span *at = &self->spans[count - grows];
  at->start = grows ? at->start : item->clock;
  at->end = lk_item_end(item);
  self->span_count = count + (deleted ^ grows);
}

/* ---- structs ---- */

static ALWAYS_INLINE uint8_t *put_id(const whole *self, uint8_t *to, uint16_t own, uint16_t client,
                                     uint32_t clock) {
  if (client == own) {
    lk_store_le64(to, self->word);
    to += self->width;
  } else {
    to += lk_varuint_store(to, self->doc->clients.at[client].id);
  }
  return put_u32(to, clock);
}

/* Of a plain item: all bits for text, none where it is deleted. */
static ALWAYS_INLINE uint32_t shown_mask(const lk_item *item) {
  return (uint32_t)(item->kind & LK_CONTENT_DELETED) - 1;
}

/* Text or deleted, and behind where its text is, or would be, COPY_LEN bytes can be read. */
static ALWAYS_INLINE bool is_plain(const lk_doc *doc, const lk_item *item) {
  const uint32_t kinds = UINT32_C(1) << LK_CONTENT_STRING | UINT32_C(1) << LK_CONTENT_DELETED;
  return (kinds >> (item->kind & 31) & 1) != 0 && (item->flags & LK_ITEM_WIDE) == 0 &&
         item->origin_client != LK_NO_CLIENT &&
         ((item->content + item->len) & shown_mask(item)) + COPY_LEN <= doc->text_cap;
}

/* There is room for HEAD_MAX bytes, the text, and COPY_LEN more. */
static ALWAYS_INLINE uint8_t *put_plain(const whole *self, uint8_t *to, const lk_item *item) {
  uint32_t right = item->right_client != LK_NO_CLIENT, bytes = item->len & shown_mask(item);
  const uint8_t *text = self->doc->text + (item->content & shown_mask(item));
  *to++ = (uint8_t)(item->kind | LK_INFO_ORIGIN | right * LK_INFO_RIGHT |
                    ((item->flags & LK_ITEM_SUB) != 0) * (uint32_t)LK_INFO_SUB);
  to = put_id(self, to, item->client, item->origin_client, item->origin_clock);
  if (right) to = put_id(self, to, item->client, item->right_client, item->right_clock);
  to = put_u32(to, item->len);
  uint8_t *end = to + bytes;
  do { /* nearly always once; a call for the rest would cost as much as all of it */
    memcpy(to, text, COPY_LEN / 2);
    memcpy(to + COPY_LEN / 2, text + COPY_LEN / 2, COPY_LEN / 2);
    to += COPY_LEN;
    text += COPY_LEN;
  } while (to < end);
  return end;
}

static OUT_OF_LINE uint8_t *make_room(lk_buf *out, uint8_t *to, size_t len) {
  out->len = (size_t)(to - out->ptr);
  return lk_buf_reserve(out, HEAD_MAX + len + COPY_LEN) == LK_OK ? out->ptr + out->len : NULL;
}

/* The struct of several items that begins at |place|, instead of what was written of it from |begin| on. */
static lk_err put_joined(whole *self, uint16_t client, lk_place place, size_t begin) {
  lk_group group = lk_group_at(self->doc, client, place);
  lk_buf_truncate(self->out, begin);
  return lk_group_write_v1(self->doc, &group, self->out);
}

static lk_err put_structs(whole *self, uint16_t number) {
  const lk_doc *doc = self->doc;
  const lk_client *client = &doc->clients.at[number];
  lk_buf *out = self->out;
  uint8_t *to = out->ptr + out->len;
  size_t begin = 0; /* of the last struct */
  lk_place first = { 0, 0 };
  bool joined = false; /* it was written with all its items */
  for (uint32_t b = 0; b < client->block_count; b++) {
    const lk_block *block = &client->blocks[b];
    put_spans(self, 1);
    for (uint32_t i = 0; i < block->count; i++) {
      const lk_item *item = &doc->items[block->items[i]];
      note_deleted(self, item);
      if ((item->flags & LK_ITEM_JOINED) != 0) {
        if (joined) continue;
        out->len = (size_t)(to - out->ptr);
        lk_err err = put_joined(self, number, first, begin);
        if (err != LK_OK) return err;
        to = out->ptr + out->len;
        joined = true;
        continue;
      }
      uint32_t bytes = item->len & shown_mask(item);
      if (out->cap - (size_t)(to - out->ptr) < HEAD_MAX + COPY_LEN + (size_t)bytes) {
        if ((to = make_room(out, to, bytes)) == NULL) return lk_buf_err(out);
      }
      begin = (size_t)(to - out->ptr);
      first = (lk_place){ b, i };
      joined = false;
      self->structs++;
      if (is_plain(doc, item)) {
        to = put_plain(self, to, item);
        continue;
      }
      lk_group group = { number, first, 0, item->len, 1 };
      out->len = begin;
      lk_err err = lk_group_write_v1(doc, &group, out);
      if (err != LK_OK) return err;
      to = out->ptr + out->len;
    }
  }
  out->len = (size_t)(to - out->ptr);
  return LK_OK;
}

/* ---- clients ---- */

static uint32_t count_items(const lk_client *client) {
  uint32_t count = 0;
  for (uint32_t b = 0; b < client->block_count; b++) count += client->blocks[b].count;
  return count;
}

/* Writes |count| at |at|, where |kept| bytes stand for it. */
static lk_err put_count(lk_buf *out, size_t at, size_t kept, uint32_t count) {
  size_t width = lk_varuint_len(count);
  if (width < kept) {
    memmove(out->ptr + at + width, out->ptr + at + kept, out->len - at - kept);
    out->len -= kept - width;
  }
  (void)lk_varuint_store(out->ptr + at, count);
  return LK_OK;
}

static lk_err put_client(whole *self, const lk_part *part) {
  const lk_client *client = &self->doc->clients.at[part->client];
  lk_buf *out = self->out;
  uint8_t id[8] = { 0 };
  self->width = (uint32_t)lk_varuint_store(id, part->id);
  self->word = lk_load_le64(id);
  self->span_count = self->ranges = self->structs = 0;
  uint32_t most = count_items(client);
  lk_varuint_encode(out, most);
  size_t kept = lk_varuint_len(most), at = out->len - kept;
  lk_varuint_encode(out, part->id);
  lk_varuint_encode(out, 0);
  lk_err err = lk_buf_err(out);
  if (err == LK_OK) err = put_structs(self, (uint16_t)part->client);
  if (err != LK_OK) return err;
  put_spans(self, 0);
  return self->structs == most ? LK_OK : put_count(out, at, kept, self->structs);
}

/* The deleted ranges of one client. */
typedef struct deletes {
  uint32_t ranges;
  size_t end; /* in |deleted| */
} deletes;

static lk_err put_deletes(const whole *self, const lk_part *parts, uint32_t count,
                          const deletes *of) {
  uint32_t clients = 0;
  size_t at = 0;
  for (uint32_t i = 0; i < count; i++) clients += of[i].ranges > 0;
  lk_varuint_encode(self->out, clients);
  for (uint32_t i = 0; i < count; i++) {
    if (of[i].ranges == 0) continue;
    lk_varuint_encode(self->out, parts[i].id);
    lk_varuint_encode(self->out, of[i].ranges);
    lk_buf_append(self->out, lk_slice_of(self->deleted.ptr + at, of[i].end - at));
    at = of[i].end;
  }
  return lk_buf_err(self->out);
}

/* Text, and numbers of a usual length: what is reserved at first, so that |out| does not grow by and by. */
static void expect(const whole *self, const lk_part *parts, uint32_t count) {
  const lk_doc *doc = self->doc;
  size_t each = 10 + (count == 0 ? 0 : 2 * lk_varuint_len(parts[0].id));
  size_t expected = doc->text_len + (size_t)doc->item_live * each + HEAD_MAX;
  if (expected < self->out->max - self->out->len) (void)lk_buf_reserve(self->out, expected);
}

lk_err lk_doc_encode_whole(const lk_doc *doc, const lk_part *parts, uint32_t count, lk_buf *out) {
  deletes *of = lk_alloc_array(&doc->alloc, count + 1u, sizeof *of);
  if (of == NULL) return LK_ERR_NOMEM;
  whole self = { .doc = doc, .out = out };
  lk_buf_init(&self.deleted, &doc->alloc, doc->limits.doc_update_bytes);
  expect(&self, parts, count);
  lk_varuint_encode(out, count);
  lk_err err = lk_buf_err(out);
  for (uint32_t i = 0; i < count && err == LK_OK; i++) {
    err = put_client(&self, &parts[i]);
    if (err == LK_OK) err = lk_buf_err(&self.deleted);
    of[i] = (deletes){ self.ranges, self.deleted.len };
  }
  if (err == LK_OK) err = put_deletes(&self, parts, count, of);
  lk_buf_deinit(&self.deleted);
  lk_free_array(&doc->alloc, of, count + 1u, sizeof *of);
  return err;
}
