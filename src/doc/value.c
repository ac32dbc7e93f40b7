/* doc/value.c -- what is done with values: as they come out, as JSON, compared, cut.
 *
 * The order of things is value_tree.c's, the parts are value_source.c's and value_json.c's.
 *
 * Comparing. Yjs' equalAttrs(a, b) is
 *
 *   a === b || typeof a and typeof b are 'object', neither is null, and object.equalFlat(a, b)
 *
 * and equalFlat asks whether both have as many keys, and whether for each key of a, b has it and a[key] === b[key].
 * It does not ask what kind of object it is: [] equals {}, and bytes equal the array of their numbers. The
 * values in them are compared by identity, so that nested objects differ even if they look alike.
 * (b[key] also finds what b inherits, as in {length: 1} against [5]. That is not imitated.)
 *
 * Each key of a is looked for in b from where the last one was found: two objects that were made the same way are gone
 * through once. What is passed over on the way is counted, and where that is out of proportion the search is given up:
 * there is no memory for a table here, and strangers would choose the order that takes a minute. */
#include "doc/value.h"

#include "codec/number.h"
#include "doc/value_json.h"
#include "doc/value_tree.h"

/* ---- canonical form ---- */

#define ANY_INTEGER 125
#define INTEGER_LEN_MAX 6 /* of one of 31 bits, the last 4 of which are in the last byte */

/* How long an integer in canonical form is that begins |bytes|; 0 for anything else, and -0. */
static size_t integer_len(lk_slice bytes) {
  if (bytes.len == 0 || bytes.ptr[0] != ANY_INTEGER) return 0;
  size_t end = lk_min_size(bytes.len, INTEGER_LEN_MAX), len = 1;
  while (len < end && bytes.ptr[len] >= 0x80) len++;
  if (len == end) return 0;
  uint8_t last = bytes.ptr[len++];
  bool is_short = len == 2 ? last != 0x40 : last != 0;
  return is_short && (len < INTEGER_LEN_MAX || last < 0x10) ? len : 0;
}

size_t lk_value_integers_length(lk_slice any, uint64_t *count) {
  size_t at = 0, len;
  uint64_t seen = 0;
#ifndef LK_SMALL
  /* As above, but for a word at a time: the first byte without its highest bit is the last one. */
  for (; seen < *count && any.len - at >= 8; seen++) {
    uint64_t word = lk_load_le64(any.ptr + at);
    uint64_t ends = ~word & UINT64_C(0x808080808000);
    if ((uint8_t)word != ANY_INTEGER || ends == 0) break;
    uint32_t end = lk_ctz_u64(ends) & ~7u;
    uint8_t last = (uint8_t)(word >> end);
    if (last == (end == 8 ? 0x40 : 0) || (end == 40 && last >= 0x10)) break;
    at += end / 8 + 1;
  }
#endif
  for (; seen < *count && (len = integer_len(lk_slice_skip(any, at))) > 0; seen++) at += len;
  *count = seen;
  return at;
}

lk_err lk_value_any_decode(lk_reader *in, uint32_t depth_max, lk_arena *scratch, lk_slice *out) {
  lk_slice rest = lk_reader_rest(in);
  size_t integer = integer_len(rest);
  if (integer > 0) return lk_reader_bytes(in, integer, out);
  lk_value_source from = lk_value_source_of(rest, false);
  lk_value_survey survey;
  lk_err err = lk_value_survey_of(&from, depth_max, &survey);
  if (err != LK_OK) return err;
  lk_slice bytes = lk_slice_first(rest, survey.len);
  if (survey.canonical) *out = bytes;
  else if ((err = lk_value_rewrite(bytes, false, false, &survey, scratch, out)) != LK_OK) {
    return err;
  }
  in->pos += survey.len;
  return LK_OK;
}

static lk_err survey_json(lk_slice json, uint32_t depth_max, lk_value_survey *out) {
  lk_value_source from = lk_value_source_of(json, true);
  lk_err err = lk_value_survey_of(&from, depth_max, out);
  return err == LK_OK ? lk_reader_end(&from.at) : err;
}

lk_err lk_value_json_canonical(lk_slice json, uint32_t depth_max, lk_arena *scratch,
                               lk_slice *out) {
  lk_value_survey survey;
  lk_err err = survey_json(json, depth_max, &survey);
  if (err != LK_OK) return err;
  if (!survey.canonical) return lk_value_rewrite(json, true, true, &survey, scratch, out);
  *out = json;
  return LK_OK;
}

lk_err lk_value_any_of_json(lk_slice json, uint32_t depth_max, lk_arena *scratch, lk_slice *out) {
  lk_value_survey survey;
  lk_err err = survey_json(json, depth_max, &survey);
  return err == LK_OK ? lk_value_rewrite(json, true, false, &survey, scratch, out) : err;
}

/* ---- JSON of any ---- */

typedef struct json_maker {
  lk_buf *out;
  lk_slice key; /* read, and not written before its value is known not to be undefined */
  bool has_key;
  bool comma; /* something stands in front of what comes next */
} json_maker;

static void put_u8(json_maker *self, uint8_t byte) { (void)lk_buf_append_u8(self->out, byte); }

static void begin_value(json_maker *self) {
  if (self->comma) put_u8(self, ',');
  self->comma = true;
  if (!self->has_key) return;
  (void)lk_value_json_put_text(self->out, self->key);
  put_u8(self, ':');
  self->has_key = false;
}

/* As JSON.stringify writes a Uint8Array: {"0":255,"1":0}. */
static void put_bytes(json_maker *self, lk_slice bytes) {
  for (size_t i = 0; i < bytes.len && self->out->err == LK_OK; i++) {
    put_u8(self, i == 0 ? '{' : ',');
    put_u8(self, '"');
    (void)lk_buf_append_decimal(self->out, i);
    (void)lk_buf_append(self->out, LK_LIT("\":"));
    (void)lk_buf_append_decimal(self->out, bytes.ptr[i]);
  }
  if (bytes.len == 0) put_u8(self, '{');
  put_u8(self, '}');
}

static void put_i64(lk_buf *out, int64_t value) {
  uint8_t text[LK_NUMBER_INT_CHARS];
  (void)lk_buf_append(out, lk_slice_of(text, lk_number_print_i64(value, text)));
}

static void put_value(json_maker *self, const lk_any_item *item) {
  lk_buf *out = self->out;
  begin_value(self);
  switch (item->kind) {
  case LK_ANY_BOOL:
    (void)lk_buf_append(out, item->as.boolean ? LK_LIT("true") : LK_LIT("false"));
    break;
  case LK_ANY_NUMBER: (void)lk_value_json_put_number(out, item->as.number); break;
  case LK_ANY_BIGINT: put_i64(out, item->as.bigint); break;
  case LK_ANY_STRING: (void)lk_value_json_put_text(out, item->as.bytes); break;
  case LK_ANY_BYTES: put_bytes(self, item->as.bytes); break;
  case LK_ANY_ARRAY_BEGIN:
  case LK_ANY_OBJECT_BEGIN:
    put_u8(self, item->kind == LK_ANY_ARRAY_BEGIN ? '[' : '{');
    self->comma = false;
    break;
  default: (void)lk_buf_append(out, LK_LIT("null")); break;
  }
}

static void make_item(json_maker *self, const lk_any_item *item) {
  switch (item->kind) {
  case LK_ANY_KEY:
    self->key = item->as.bytes;
    self->has_key = true;
    return;
  case LK_ANY_ARRAY_END:
  case LK_ANY_OBJECT_END:
    put_u8(self, item->kind == LK_ANY_ARRAY_END ? ']' : '}');
    self->comma = true;
    return;
  case LK_ANY_UNDEFINED:
    if (!self->has_key) break;
    self->has_key = false; /* left out */
    return;
  default: break;
  }
  put_value(self, item);
}

lk_err lk_value_json_of_any(lk_slice any, lk_buf *out) {
  lk_any_frame frames[LK_ANY_DEPTH_MAX];
  lk_any_item item;
  lk_any_reader reader;
  lk_reader in = lk_reader_of(any);
  json_maker self = { .out = out };
  lk_err err;
  size_t before = out->len;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  lk_any_reader_init(&reader, &in, frames, LK_ANY_DEPTH_MAX);
  while ((err = lk_any_decode(&reader, &item)) == LK_OK) {
    if (item.kind == LK_ANY_BYTES && reader.depth == LK_ANY_DEPTH_MAX) err = LK_ERR_DEPTH;
    else make_item(&self, &item);
    if (err == LK_OK) err = lk_buf_err(out);
    if (err != LK_OK) break;
  }
  if (err == LK_ERR_END) err = lk_buf_err(out);
  if (err != LK_OK) lk_buf_truncate(out, before);
  return err;
}

/* ---- comparing ---- */

/* The pairs of a container or of bytes, in their order, again from the beginning after the last. */
typedef struct pairs {
  lk_value_source from;
  size_t began; /* where the first pair begins */
  lk_any_kind kind;
  lk_slice bytes; /* BYTES */
  uint32_t count;
  uint32_t next;
  uint8_t room[LK_NUMBER_INT_CHARS]; /* for a key that is an index */
} pairs;

static void pairs_init(pairs *self, lk_value_source from, const lk_value_part *part) {
  *self = (pairs){ .from = from, .began = from.at.pos, .kind = part->item.kind };
  if (part->item.kind == LK_ANY_BYTES) {
    self->bytes = part->item.as.bytes;
    self->count = (uint32_t)self->bytes.len; /* of less than 2^32 bytes */
  } else {
    self->count = part->item.count;
  }
}

/* The next pair; false where its value is a container or bytes, which are equal to nothing and not passed over. There
 * must be a pair. */
static bool pairs_next(pairs *self, lk_slice *key, lk_any_item *value) {
  lk_value_part part;
  lk_err err = LK_OK;
  if (self->next == self->count) {
    self->from.at.pos = self->began;
    self->next = 0;
  }
  if (self->kind != LK_ANY_OBJECT_BEGIN) {
    *key = lk_slice_of(self->room, lk_number_print_u64(self->next, self->room));
  } else {
    err = lk_value_next_key(&self->from, &part);
    *key = part.item.as.bytes;
  }
  if (self->kind == LK_ANY_BYTES) {
    *value = (lk_any_item){ .kind = LK_ANY_NUMBER, .as.number = self->bytes.ptr[self->next] };
  } else {
    if (err == LK_OK) err = lk_value_next(&self->from, &part);
    *value = part.item;
  }
  LK_ASSERT(err == LK_OK); /* it was canonical */
  self->next++;
  return value->kind <= LK_ANY_STRING;
}

/* JavaScript's ===, where neither is an object. */
static bool primitives_equal(const lk_any_item *a, const lk_any_item *b) {
  if (a->kind != b->kind) return false;
  switch (a->kind) {
  case LK_ANY_UNDEFINED:
  case LK_ANY_NULL: return true;
  case LK_ANY_BOOL: return a->as.boolean == b->as.boolean;
  case LK_ANY_NUMBER: return a->as.number == b->as.number;
  case LK_ANY_BIGINT: return a->as.bigint == b->as.bigint;
  case LK_ANY_STRING: return lk_slice_equal(a->as.bytes, b->as.bytes);
  default: return false;
  }
}

/* Whether |b| has this pair too. |*effort| is how many of its pairs may still be looked at in vain. */
static bool pairs_have(pairs *b, lk_slice key, const lk_any_item *value, uint64_t *effort) {
  lk_slice key_b;
  lk_any_item value_b;
  for (uint32_t seen = 0; seen < b->count; seen++) {
    if (!pairs_next(b, &key_b, &value_b)) return false;
    if (lk_slice_equal(key, key_b)) return primitives_equal(value, &value_b);
    if (*effort == 0) {
      LK_COVERED(value_comparison_was_given_up);
      return false;
    }
    --*effort;
  }
  return false;
}

static bool pairs_equal(pairs *a, pairs *b) {
  uint64_t effort = 16384 + 64 * (uint64_t)a->count;
  if (a->count != b->count) return false;
  for (uint32_t i = 0; i < a->count; i++) {
    lk_slice key;
    lk_any_item value;
    if (!pairs_next(a, &key, &value) || !pairs_have(b, key, &value, &effort)) return false;
  }
  return true;
}

static bool is_object(const lk_value_part *part) {
  return lk_value_is_begin(part) || part->item.kind == LK_ANY_BYTES;
}

bool lk_value_equal_flat(lk_slice any_a, lk_slice any_b) {
  lk_value_source from_a = lk_value_source_of(any_a, false);
  lk_value_source from_b = lk_value_source_of(any_b, false);
  lk_value_part a, b;
  lk_err err = lk_value_next(&from_a, &a);
  if (err == LK_OK) err = lk_value_next(&from_b, &b);
  LK_ASSERT(err == LK_OK);
  if (!is_object(&a) || !is_object(&b)) return primitives_equal(&a.item, &b.item);
  if (any_a.ptr == any_b.ptr && any_a.len == any_b.len) return true;
  pairs pairs_a, pairs_b;
  pairs_init(&pairs_a, from_a, &a);
  pairs_init(&pairs_b, from_b, &b);
  return pairs_equal(&pairs_a, &pairs_b);
}

/* ---- cutting ---- */

/* Items of a list are mostly integers, and one of them is found by walking over those before it. */
size_t lk_value_any_length(lk_slice any) {
  size_t len = integer_len(any);
  if (len > 0) return len;
  lk_value_source from = lk_value_source_of(any, false);
  lk_value_part part;
  lk_err err = lk_value_next(&from, &part);
  if (err == LK_OK && lk_value_is_begin(&part)) {
    from.at.pos = 0;
    err = lk_any_span_decode(&from.at, LK_ANY_DEPTH_MAX, &part.raw, NULL);
  }
  LK_ASSERT(err == LK_OK);
  return part.raw.len;
}
