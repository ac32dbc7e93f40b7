/* codec/etf.c -- a term is a tag and what the tag says.
 *
 *   131 term
 *   term :=  97 u8 | 98 i32 | 110 n:u8 sign:u8 byte[n] | 111 n:u32 sign:u8 byte[n]     integers
 *         |  70 f64
 *         | 100 n:u16 byte[n] | 115 n:u8 byte[n]       atoms in Latin-1, as OTP 25 still writes them
 *         | 118 n:u16 byte[n] | 119 n:u8 byte[n]       atoms in UTF-8
 *         | 109 n:u32 byte[n]                          binary
 *         | 107 n:u16 byte[n]                          list of small integers
 *         | 106                                        empty list
 *         | 108 n:u32 term[n] tail:term                list; the tail of a proper one is 106
 *         | 104 n:u8 term[n] | 105 n:u32 term[n]       tuple
 *         | 116 n:u32 (key:term value:term)[n]         map
 *
 * Everything is in front of what it describes, so one pass with a counter for each open level reads
 * it. A term has at least one byte: a count above the bytes that are left is refused before anybody
 * relies on it, and no count makes work that was not paid for in bytes.
 *
 * Not chosen: a tree. What reads a token wants three values and the bytes of one of them; a tree
 * would need memory in an amount that a stranger chooses.
 *
 * JSON has fewer types than Erlang. What would be ambiguous is refused rather than guessed, since
 * these are claims about who somebody is: binaries that are no text, and maps whose different keys
 * would become the same name. */
#include "codec/etf.h"

#include "codec/json_canonical.h"
#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "codec/utf.h"

enum {
  VERSION = 131,
  COMPRESSED = 80,
  FLOAT = 70,
  BIT_BINARY = 77,
  SMALL_INTEGER = 97,
  INTEGER = 98,
  ATOM_LATIN1 = 100,
  SMALL_TUPLE = 104,
  LARGE_TUPLE = 105,
  NIL = 106,
  STRING = 107,
  LIST = 108,
  BINARY = 109,
  SMALL_BIG = 110,
  LARGE_BIG = 111,
  SMALL_ATOM_LATIN1 = 115,
  MAP = 116,
  ATOM_UTF8 = 118,
  SMALL_ATOM_UTF8 = 119,
};

#define ATOM_CHARS_MAX 255

/* ---- one value ---- */

/* A length of 1, 2 or 4 bytes, as the tag has it. */
static lk_err read_length(lk_reader *in, unsigned width, uint32_t *out) {
  uint8_t byte = 0;
  uint16_t half = 0;
  lk_err err;
  if (width == 4) return lk_reader_be32(in, out);
  if (width == 2) {
    err = lk_reader_be16(in, &half);
    *out = half;
  } else {
    err = lk_reader_u8(in, &byte);
    *out = byte;
  }
  return err;
}

static lk_err read_text(lk_reader *in, unsigned width, lk_slice *out) {
  uint32_t len;
  lk_err err = read_length(in, width, &len);
  return err == LK_OK ? lk_reader_bytes(in, len, out) : err;
}

static lk_err read_small_integer(lk_reader *in, lk_etf_event *out) {
  uint8_t value;
  lk_err err = lk_reader_u8(in, &value);
  if (err == LK_OK) out->magnitude = value;
  return err;
}

static lk_err read_integer(lk_reader *in, lk_etf_event *out) {
  uint32_t bits;
  lk_err err = lk_reader_be32(in, &bits);
  if (err != LK_OK) return err;
  out->is_negative = bits >> 31 != 0;
  out->magnitude = out->is_negative ? (uint32_t)(0u - bits) : bits;
  return LK_OK;
}

static lk_err read_big(lk_reader *in, unsigned width, lk_etf_event *out) {
  uint32_t len;
  uint8_t sign;
  lk_slice bytes;
  lk_err err = read_length(in, width, &len);
  if (err == LK_OK) err = lk_reader_u8(in, &sign);
  if (err == LK_OK) err = lk_reader_bytes(in, len, &bytes);
  if (err != LK_OK) return err;
  if (sign > 1) return LK_ERR_CORRUPT;
  while (bytes.len > 0 && bytes.ptr[bytes.len - 1] == 0) bytes.len--;
  if (bytes.len > LK_ETF_INTEGER_BYTES_MAX) return LK_ERR_TOO_BIG;
  out->is_negative = sign == 1 && bytes.len > 0;
  if (bytes.len > 8) {
    out->text = bytes;
    return LK_OK;
  }
  for (size_t i = bytes.len; i > 0; i--) out->magnitude = out->magnitude << 8 | bytes.ptr[i - 1];
  return LK_OK;
}

static lk_err read_float(lk_reader *in, lk_etf_event *out) {
  uint64_t bits;
  lk_err err = lk_reader_be64(in, &bits);
  if (err != LK_OK) return err;
  if ((bits >> 52 & 0x7FF) == 0x7FF) return LK_ERR_RANGE; /* Erlang has no such number */
  out->number = lk_f64_of_bits(bits);
  return LK_OK;
}

static bool is_ascii(lk_slice text) {
  for (size_t i = 0; i < text.len; i++) {
    if (text.ptr[i] > 127) return false;
  }
  return true;
}

static lk_err read_atom(lk_reader *in, unsigned width, bool latin1, lk_etf_event *out) {
  lk_err err = read_text(in, width, &out->text);
  if (err != LK_OK) return err;
  if (is_ascii(out->text) || latin1) {
    out->is_latin1 = !is_ascii(out->text);
    return out->text.len <= ATOM_CHARS_MAX ? LK_OK : LK_ERR_TOO_BIG;
  }
  if (lk_utf8_check(out->text) != LK_OK) return LK_ERR_UTF8;
  size_t chars = 0;
  for (size_t i = 0; i < out->text.len; i++) chars += (out->text.ptr[i] & 0xC0) != 0x80;
  return chars <= ATOM_CHARS_MAX ? LK_OK : LK_ERR_TOO_BIG;
}

/* Opens a level of |out->count| times |terms| terms. */
static lk_err open_level(lk_etf_reader *self, uint8_t tag, unsigned terms,
                         const lk_etf_event *out) {
  uint64_t count = (uint64_t)out->count * terms;
  if (count > lk_reader_left(&self->in)) return LK_ERR_TRUNCATED;
  if (self->depth == LK_ETF_DEPTH_MAX) {
    LK_COVERED(etf_too_deep);
    return LK_ERR_DEPTH;
  }
  self->tag[self->depth] = tag;
  self->left[self->depth++] = count;
  return LK_OK;
}

static lk_err read_compound(lk_etf_reader *self, uint8_t tag, lk_etf_event *out) {
  lk_err err = LK_OK;
  if (tag == SMALL_TUPLE) err = read_length(&self->in, 1, &out->count);
  else if (tag != NIL) err = read_length(&self->in, 4, &out->count);
  return err == LK_OK ? open_level(self, tag, tag == MAP ? 2 : 1, out) : err;
}

static lk_etf_kind kind_of(uint8_t tag) {
  switch (tag) {
  case SMALL_INTEGER:
  case INTEGER:
  case SMALL_BIG:
  case LARGE_BIG: return LK_ETF_INTEGER;
  case FLOAT: return LK_ETF_FLOAT;
  case ATOM_LATIN1:
  case SMALL_ATOM_LATIN1:
  case ATOM_UTF8:
  case SMALL_ATOM_UTF8: return LK_ETF_ATOM;
  case BINARY: return LK_ETF_BINARY;
  case STRING: return LK_ETF_BYTES;
  case NIL:
  case LIST: return LK_ETF_LIST;
  case SMALL_TUPLE:
  case LARGE_TUPLE: return LK_ETF_TUPLE;
  case MAP: return LK_ETF_MAP;
  default: return LK_ETF_ABSENT;
  }
}

/* Of tags that are no data for us: those of things which live in one Erlang node, and nonsense. */
static lk_err refuse_tag(uint8_t tag) {
  switch (tag) {
  case COMPRESSED: return LK_ERR_UNSUPPORTED;
  case BIT_BINARY:
  case 88:  /* pids: NEW_PID, */
  case 103: /* PID */
  case 89:  /* ports: NEW_PORT, */
  case 102: /* PORT, */
  case 120: /* V4_PORT */
  case 90:  /* references: NEWER_, */
  case 101: /* REFERENCE, */
  case 114: /* NEW_ */
  case 112: /* functions: NEW_FUN, */
  case 113: /* EXPORT, */
  case 117: /* FUN */ return LK_ERR_TYPE;
  default: return LK_ERR_CORRUPT;
  }
}

static lk_err read_value(lk_etf_reader *self, lk_etf_event *out) {
  lk_reader *in = &self->in;
  uint8_t tag;
  lk_err err = lk_reader_u8(in, &tag);
  if (err != LK_OK) return err;
  out->kind = kind_of(tag);
  switch (tag) {
  case SMALL_INTEGER: return read_small_integer(in, out);
  case INTEGER: return read_integer(in, out);
  case SMALL_BIG: return read_big(in, 1, out);
  case LARGE_BIG: return read_big(in, 4, out);
  case FLOAT: return read_float(in, out);
  case ATOM_LATIN1: return read_atom(in, 2, true, out);
  case SMALL_ATOM_LATIN1: return read_atom(in, 1, true, out);
  case ATOM_UTF8: return read_atom(in, 2, false, out);
  case SMALL_ATOM_UTF8: return read_atom(in, 1, false, out);
  case BINARY: return read_text(in, 4, &out->text);
  case STRING: return read_text(in, 2, &out->text);
  default: return out->kind != LK_ETF_ABSENT ? read_compound(self, tag, out) : refuse_tag(tag);
  }
}

/* ---- the term ---- */

/* The level has no more terms. */
static lk_err close_level(lk_etf_reader *self, lk_etf_event *out) {
  uint8_t tail;
  if (self->tag[self->depth - 1] == LIST) {
    lk_err err = lk_reader_u8(&self->in, &tail);
    if (err != LK_OK) return err;
    if (tail != NIL) return LK_ERR_TYPE;
  }
  self->depth--;
  out->kind = LK_ETF_CLOSE;
  return LK_OK;
}

static lk_err step(lk_etf_reader *self, lk_etf_event *out) {
  if (self->depth == 0) {
    if (self->began) {
      out->kind = LK_ETF_END;
      return lk_reader_end(&self->in);
    }
    self->began = true;
    return read_value(self, out);
  }
  uint64_t *left = &self->left[self->depth - 1];
  if (*left == 0) return close_level(self, out);
  out->is_key = self->tag[self->depth - 1] == MAP && *left % 2 == 0;
  --*left;
  return read_value(self, out);
}

void lk_etf_term_reader_init(lk_etf_reader *self, lk_slice term) {
  *self = (lk_etf_reader){ .in = lk_reader_of(term) };
}

lk_err lk_etf_reader_init(lk_etf_reader *self, lk_slice bytes) {
  uint8_t version;
  lk_etf_term_reader_init(self, bytes);
  self->err = lk_reader_u8(&self->in, &version);
  if (self->err == LK_OK && version != VERSION) self->err = LK_ERR_VERSION;
  return self->err;
}

lk_err lk_etf_next(lk_etf_reader *self, lk_etf_event *out) {
  lk_etf_event event = { 0 };
  if (self->err == LK_OK) self->err = step(self, &event);
  if (self->err == LK_OK) *out = event;
  return self->err;
}

lk_err lk_etf_skip_value(lk_etf_reader *self, lk_slice *term) {
  lk_etf_event event;
  uint32_t depth = self->depth;
  size_t start = self->in.pos;
  if (self->err != LK_OK) return self->err;
  if (depth == 0 ? self->began : self->left[depth - 1] == 0) return LK_ERR_END;
  do {
    lk_err err = lk_etf_next(self, &event);
    if (err != LK_OK) return err;
  } while (self->depth > depth);
  *term = lk_reader_since(&self->in, start);
  return LK_OK;
}

lk_err lk_etf_get_i64(const lk_etf_event *event, int64_t *out) {
  if (event->kind != LK_ETF_INTEGER) return LK_ERR_TYPE;
  uint64_t most = event->is_negative ? (uint64_t)1 << 63 : INT64_MAX;
  if (event->text.len > 0 || event->magnitude > most) return LK_ERR_RANGE;
  *out = event->is_negative ? (int64_t)(0 - event->magnitude) : (int64_t)event->magnitude;
  return LK_OK;
}

bool lk_etf_is_atom(const lk_etf_event *event, lk_slice name) {
  return event->kind == LK_ETF_ATOM && lk_slice_equal(event->text, name);
}

/* ---- to JSON ---- */

/* Of the sign, and of the digits of any integer that the reader lets pass: 128 bytes have 309. */
#define DIGITS_MAX 320

/* Long division by 10 from the highest byte on, once for each digit: 128 * 309 steps at worst.
 * Writes to the end of |room|. */
static lk_slice print_big(lk_slice bytes, bool negative, uint8_t room[DIGITS_MAX]) {
  uint8_t rest[LK_ETF_INTEGER_BYTES_MAX];
  size_t len = bytes.len, at = DIGITS_MAX;
  LK_ASSERT(len <= sizeof rest);
  memcpy(rest, bytes.ptr, len);
  while (len > 0) {
    uint32_t remainder = 0;
    for (size_t i = len; i > 0; i--) {
      uint32_t part = remainder << 8 | rest[i - 1];
      rest[i - 1] = (uint8_t)(part / 10);
      remainder = part % 10;
    }
    room[--at] = (uint8_t)('0' + remainder);
    while (len > 0 && rest[len - 1] == 0) len--;
  }
  if (negative) room[--at] = '-';
  return lk_slice_of(room + at, DIGITS_MAX - at);
}

static lk_slice print_integer(const lk_etf_event *event, uint8_t room[DIGITS_MAX]) {
  if (event->text.len > 0) return print_big(event->text, event->is_negative, room);
  size_t sign = event->is_negative ? 1 : 0;
  room[0] = '-';
  return lk_slice_of(room, sign + lk_number_print_u64(event->magnitude, room + sign));
}

/* The name of an atom as UTF-8, in |room| where it is not yet. */
static lk_slice name_of(const lk_etf_event *event, uint8_t room[2 * ATOM_CHARS_MAX]) {
  if (!event->is_latin1) return event->text;
  size_t len = 0;
  for (size_t i = 0; i < event->text.len; i++) {
    uint8_t point[4];
    size_t n = lk_utf8_encode(event->text.ptr[i], point);
    memcpy(room + len, point, n);
    len += n;
  }
  return lk_slice_of(room, len);
}

static lk_err write_key(lk_json_writer *to, const lk_etf_event *event) {
  uint8_t room[2 * ATOM_CHARS_MAX];
  switch (event->kind) {
  case LK_ETF_ATOM: return lk_json_write_key(to, name_of(event, room));
  case LK_ETF_BINARY: return lk_json_write_key(to, event->text);
  case LK_ETF_INTEGER: return lk_json_write_key(to, print_integer(event, room));
  default: return LK_ERR_TYPE;
  }
}
_Static_assert(DIGITS_MAX <= 2 * ATOM_CHARS_MAX, "the room of a name is also that of digits");

static lk_err write_atom(lk_json_writer *to, const lk_etf_event *event) {
  uint8_t room[2 * ATOM_CHARS_MAX];
  if (lk_etf_is_atom(event, LK_LIT("nil"))) return lk_json_write_null(to);
  if (lk_etf_is_atom(event, LK_LIT("true"))) return lk_json_write_bool(to, true);
  if (lk_etf_is_atom(event, LK_LIT("false"))) return lk_json_write_bool(to, false);
  return lk_json_write_string(to, name_of(event, room));
}

static lk_err write_bytes(lk_json_writer *to, lk_slice bytes) {
  lk_err err = lk_json_begin_array(to);
  for (size_t i = 0; i < bytes.len && err == LK_OK; i++) err = lk_json_write_u64(to, bytes.ptr[i]);
  return err == LK_OK ? lk_json_end_array(to) : err;
}

static lk_err write_integer(lk_json_writer *to, const lk_etf_event *event) {
  uint8_t room[DIGITS_MAX];
  return lk_json_write_raw(to, print_integer(event, room));
}

static lk_err write_close(lk_json_writer *to, bool was_map) {
  return was_map ? lk_json_end_object(to) : lk_json_end_array(to);
}

/* |was_map|: whether the level that CLOSE ends is one. */
static lk_err write_event(lk_json_writer *to, const lk_etf_event *event, bool was_map) {
  if (event->is_key) return write_key(to, event);
  switch (event->kind) {
  case LK_ETF_INTEGER: return write_integer(to, event);
  case LK_ETF_FLOAT: return lk_json_write_f64(to, event->number);
  case LK_ETF_ATOM: return write_atom(to, event);
  case LK_ETF_BINARY: return lk_json_write_string(to, event->text);
  case LK_ETF_BYTES: return write_bytes(to, event->text);
  case LK_ETF_LIST:
  case LK_ETF_TUPLE: return lk_json_begin_array(to);
  case LK_ETF_MAP: return lk_json_begin_object(to);
  case LK_ETF_CLOSE: return write_close(to, was_map);
  case LK_ETF_ABSENT:
  case LK_ETF_END: break;
  }
  return LK_OK;
}

/* Looks for names that stand twice: the canonical form refuses them. */
static lk_err check_names(lk_slice json, const lk_limits *limits, const lk_alloc *alloc) {
  lk_buf canonical;
  lk_buf_init(&canonical, alloc, SIZE_MAX / 2);
  lk_err err = lk_json_canonicalize(json, limits, &canonical);
  lk_buf_deinit(&canonical);
  return err;
}

static lk_err write_all(lk_etf_reader *from, lk_json_writer *to, bool *has_map) {
  lk_etf_event event = { 0 };
  lk_err err = LK_OK;
  while (err == LK_OK && (err = lk_etf_next(from, &event)) == LK_OK && event.kind != LK_ETF_END) {
    *has_map = *has_map || event.kind == LK_ETF_MAP;
    err = write_event(to, &event, from->tag[from->depth % LK_ETF_DEPTH_MAX] == MAP);
  }
  return err;
}

lk_err lk_etf_to_json(lk_slice term, lk_buf *out) {
  lk_etf_reader from;
  lk_json_writer to;
  bool has_map = false;
  size_t start = out->len;
  lk_limits limits = lk_limits_default();
  lk_err err = lk_buf_err(out);
  if (err != LK_OK) return err;
  lk_etf_term_reader_init(&from, term);
  lk_json_writer_init(&to, out);
  err = write_all(&from, &to, &has_map);
  if (err == LK_OK) err = lk_json_writer_finish(&to);
  if (err == LK_OK && has_map) {
    limits.json_bytes = UINT32_MAX;
    err = check_names(lk_slice_skip(lk_buf_slice(out), start), &limits, out->alloc);
  }
  if (err != LK_OK) lk_buf_truncate(out, start);
  return err;
}

/* ---- writing ---- */

lk_err lk_etf_write_version(lk_buf *out) { return lk_buf_append_u8(out, VERSION); }

lk_err lk_etf_write_tuple(lk_buf *out, uint8_t count) {
  (void)lk_buf_append_u8(out, SMALL_TUPLE);
  return lk_buf_append_u8(out, count);
}

static lk_err write_big(lk_buf *out, bool negative, uint64_t magnitude) {
  uint8_t bytes[8], len = 8;
  lk_store_le64(bytes, magnitude);
  while (len > 0 && bytes[len - 1] == 0) len--;
  (void)lk_buf_append_u8(out, SMALL_BIG);
  (void)lk_buf_append_u8(out, len);
  (void)lk_buf_append_u8(out, negative ? 1 : 0);
  return lk_buf_append(out, lk_slice_of(bytes, len));
}

lk_err lk_etf_write_i64(lk_buf *out, int64_t value) {
  if (value >= 0 && value <= 255) {
    (void)lk_buf_append_u8(out, SMALL_INTEGER);
    return lk_buf_append_u8(out, (uint8_t)value);
  }
  if (value >= INT32_MIN && value <= INT32_MAX) {
    (void)lk_buf_append_u8(out, INTEGER);
    return lk_buf_append_be32(out, (uint32_t)value);
  }
  return write_big(out, value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

lk_err lk_etf_write_f64(lk_buf *out, double value) {
  LK_ASSERT(value - value == 0); /* only of finite numbers it is 0 */
  (void)lk_buf_append_u8(out, FLOAT);
  return lk_buf_append_be64(out, lk_bits_of_f64(value));
}

lk_err lk_etf_write_atom(lk_buf *out, lk_slice name) {
  LK_ASSERT(name.len <= ATOM_CHARS_MAX && lk_utf8_check(name) == LK_OK);
  (void)lk_buf_append_u8(out, SMALL_ATOM_UTF8);
  (void)lk_buf_append_u8(out, (uint8_t)name.len);
  return lk_buf_append(out, name);
}

lk_err lk_etf_write_binary(lk_buf *out, lk_slice bytes) {
  uint32_t len;
  if (!lk_size_to_u32(bytes.len, &len)) return lk_buf_reserve(out, SIZE_MAX);
  (void)lk_buf_append_u8(out, BINARY);
  (void)lk_buf_append_be32(out, len);
  return lk_buf_append(out, bytes);
}

/* ---- from JSON ---- */

/* An array or object whose elements are being written: its count stands in front of them and is
 * filled in at its end. */
typedef struct level {
  size_t start;
  uint32_t count;
  bool is_map;
  bool is_bytes; /* so far nothing but integers from 0 to 255 */
} level;

typedef struct json_source {
  lk_json_reader reader;
  lk_buf *out;
  uint32_t depth;
  level levels[LK_ETF_DEPTH_MAX];
} json_source;

static lk_err begin_compound(json_source *self, bool is_map) {
  if (self->depth == LK_ETF_DEPTH_MAX) return LK_ERR_DEPTH;
  self->levels[self->depth++] = (level){ self->out->len, 0, is_map, !is_map };
  (void)lk_buf_append_u8(self->out, is_map ? MAP : LIST);
  return lk_buf_append_be32(self->out, 0);
}

/* Two bytes each, 97 and the number, become one each behind another head. */
static void pack_bytes(lk_buf *out, const level *top) {
  uint8_t *at = out->ptr + top->start;
  at[0] = STRING;
  lk_store_be16(at + 1, (uint16_t)top->count);
  for (uint32_t i = 0; i < top->count; i++) at[3 + i] = at[6 + 2 * (size_t)i];
  lk_buf_truncate(out, top->start + 3 + top->count);
}

static lk_err end_compound(json_source *self) {
  lk_buf *out = self->out;
  const level *top = &self->levels[--self->depth];
  if (!top->is_map && top->count == 0) {
    lk_buf_truncate(out, top->start);
    return lk_buf_append_u8(out, NIL);
  }
  if (top->is_bytes && top->count <= UINT16_MAX) {
    pack_bytes(out, top);
    return LK_OK;
  }
  lk_store_be32(out->ptr + top->start + 1, top->count);
  return top->is_map ? LK_OK : lk_buf_append_u8(out, NIL);
}

static lk_err write_number(lk_buf *out, const lk_json_event *event) {
  int64_t whole;
  uint64_t positive;
  double number;
  if (lk_json_get_i64(event, &whole) == LK_OK) return lk_etf_write_i64(out, whole);
  if (lk_json_get_u64(event, &positive) == LK_OK) return write_big(out, false, positive);
  if (event->number.integer) return LK_ERR_RANGE;
  lk_err err = lk_json_get_f64(event, &number);
  return err == LK_OK ? lk_etf_write_f64(out, number) : err;
}

static lk_err write_json_event(json_source *self, const lk_json_event *event) {
  switch (event->kind) {
  case LK_JSON_OBJECT_BEGIN: return begin_compound(self, true);
  case LK_JSON_ARRAY_BEGIN: return begin_compound(self, false);
  case LK_JSON_OBJECT_END:
  case LK_JSON_ARRAY_END: return end_compound(self);
  case LK_JSON_KEY:
  case LK_JSON_STRING: return lk_etf_write_binary(self->out, event->text);
  case LK_JSON_NUMBER: return write_number(self->out, event);
  case LK_JSON_TRUE: return lk_etf_write_atom(self->out, LK_LIT("true"));
  case LK_JSON_FALSE: return lk_etf_write_atom(self->out, LK_LIT("false"));
  case LK_JSON_NULL: return lk_etf_write_atom(self->out, LK_LIT("nil"));
  case LK_JSON_ABSENT:
  case LK_JSON_END: break;
  }
  return LK_OK;
}

/* Counts the value that |event| begins in the level around it. Keys count for maps. */
static lk_err count_event(json_source *self, const lk_json_event *event) {
  if (self->depth == 0) return LK_OK;
  level *top = &self->levels[self->depth - 1];
  bool is_end = event->kind == LK_JSON_OBJECT_END || event->kind == LK_JSON_ARRAY_END;
  uint64_t number;
  if (is_end || top->is_map != (event->kind == LK_JSON_KEY)) return LK_OK;
  if (top->count == UINT32_MAX) return LK_ERR_TOO_BIG;
  top->count++;
  top->is_bytes = top->is_bytes && lk_json_get_u64(event, &number) == LK_OK && number <= 255;
  return LK_OK;
}

static lk_err write_json(json_source *self) {
  lk_json_event event = { 0 };
  lk_err err = LK_OK;
  while (err == LK_OK && (err = lk_json_next(&self->reader, &event)) == LK_OK &&
         event.kind != LK_JSON_END) {
    err = count_event(self, &event);
    if (err == LK_OK) err = write_json_event(self, &event);
  }
  return err;
}

lk_err lk_etf_write_json(lk_buf *out, lk_slice json, const lk_limits *limits) {
  json_source self = { .out = out };
  lk_arena arena;
  size_t start = out->len;
  lk_err err = lk_buf_err(out);
  if (err != LK_OK) return err;
  lk_arena_init(&arena, out->alloc, SIZE_MAX / 2);
  err = lk_json_reader_init(&self.reader, json, limits, &arena);
  if (err == LK_OK) err = check_names(json, limits, out->alloc);
  if (err == LK_OK) err = write_json(&self);
  lk_arena_deinit(&arena);
  if (err != LK_OK) lk_buf_truncate(out, start);
  return err;
}
