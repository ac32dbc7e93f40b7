/* wasm/vectors.c -- the core's pure functions, one by one, for the cases of tests/vectors/.
 *
 * Native tests run the same cases over the same sources. What can differ is the compiler's other
 * back end, a size_t of 32 bits, the four memory functions and the allocator: enough to look. */
#include "wasm/exports.h"

#include "codec/any.h"
#include "codec/base64.h"
#include "codec/column.h"
#include "codec/crc32c.h"
#include "codec/hex.h"
#include "codec/json_canonical.h"
#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "codec/lib0.h"
#include "codec/number.h"
#include "codec/utf.h"
#include "codec/varint.h"
#include "crypto/crypto.h"
#include "crypto/phoenix_token.h"

#define PARTS_MAX 4
#define RESULT_MAX (16u << 20)
#define DEPTH_MAX 64

/* LK_OK and the result handed out, or why not; LK_ERR_UNSUPPORTED for an operation that is none. */
__attribute__((export_name("vector"))) u32 lk_wasm_vector(u32 op, u32 len);

typedef lk_err (*operation)(const lk_slice parts[PARTS_MAX], lk_buf *out);

/* A byte that is no part of any UTF-8 text. */
#define SEPARATOR 0xFF

/* ---- crypto ---- */

static lk_err run_sha1(const lk_slice parts[], lk_buf *out) {
  uint8_t *digest = lk_buf_extend(out, LK_SHA1_LEN);
  return digest == NULL ? out->err : lk_crypto_sha1(lk_crypto_portable(), parts[0], digest);
}

static lk_err run_sha256(const lk_slice parts[], lk_buf *out) {
  uint8_t *digest = lk_buf_extend(out, LK_SHA256_LEN);
  return digest == NULL ? out->err : lk_crypto_sha256(lk_crypto_portable(), parts[0], digest);
}

static lk_err run_hmac_sha256(const lk_slice parts[], lk_buf *out) {
  uint8_t *mac = lk_buf_extend(out, LK_SHA256_LEN);
  if (mac == NULL) return out->err;
  return lk_crypto_hmac_sha256(lk_crypto_portable(), parts[0], parts[1], mac);
}

static lk_err run_hkdf_sha256(const lk_slice parts[], lk_buf *out) {
  uint64_t len;
  lk_err err = lk_number_parse_u64(parts[3], &len);
  if (err != LK_OK) return err;
  if (len > LK_HKDF_SHA256_MAX) return LK_ERR_RANGE;
  uint8_t *key = lk_buf_extend(out, LK_SHA256_LEN + (size_t)len);
  if (key == NULL) return out->err;
  err = lk_crypto_hkdf_sha256_extract(lk_crypto_portable(), parts[0], parts[1], key);
  if (err != LK_OK) return err;
  return lk_crypto_hkdf_sha256_expand(lk_crypto_portable(), key, parts[2], key + LK_SHA256_LEN,
                                      (size_t)len);
}

static lk_err run_pbkdf2_sha256(const lk_slice parts[], lk_buf *out) {
  uint64_t iterations, len;
  lk_err err = lk_number_parse_u64(parts[2], &iterations);
  if (err == LK_OK) err = lk_number_parse_u64(parts[3], &len);
  if (err != LK_OK) return err;
  if (iterations > LK_PBKDF2_ITERATIONS_MAX || len > LK_PBKDF2_MAX) return LK_ERR_RANGE;
  uint8_t *key = lk_buf_extend(out, (size_t)len);
  if (key == NULL) return out->err;
  return lk_crypto_pbkdf2_sha256(lk_crypto_portable(), parts[0], parts[1], (uint32_t)iterations,
                                 key, (size_t)len);
}

/* By the bits of its digest; SHA-256 for anything else. */
static lk_phoenix_digest digest_of(uint64_t bits) {
  return bits == 512 ? LK_PHOENIX_SHA512 : bits == 384 ? LK_PHOENIX_SHA384 : LK_PHOENIX_SHA256;
}

static lk_err run_phoenix_derive(const lk_slice parts[], lk_buf *out) {
  lk_limits limits = lk_limits_default();
  uint64_t iterations, bits;
  lk_phoenix_key key;
  lk_err err = lk_number_parse_u64(parts[2], &iterations);
  if (err == LK_OK) err = lk_number_parse_u64(parts[3], &bits);
  if (err != LK_OK) return err;
  lk_phoenix_key_options how = { .iterations = (uint32_t)iterations, .digest = digest_of(bits) };
  err = lk_phoenix_key_init(&key, lk_crypto_portable(), &limits, parts[0], parts[1], &how);
  return err == LK_OK ? lk_buf_append(out, lk_slice_of(key.bytes, key.len)) : err;
}

static lk_err run_phoenix_verify(const lk_slice parts[], lk_buf *out) {
  lk_limits limits = lk_limits_default();
  lk_phoenix_rules rules = { .skew_ms = 0 };
  lk_phoenix_claims claims;
  lk_phoenix_key key;
  lk_arena arena;
  int64_t now;
  lk_err err = lk_number_parse_i64(parts[3], &now);
  if (err == LK_OK)
    err = lk_phoenix_key_init(&key, lk_crypto_portable(), &limits, parts[0], parts[1], NULL);
  if (err != LK_OK) return err;
  lk_arena_init(&arena, out->alloc, RESULT_MAX);
  err = lk_phoenix_verify(&key, parts[2], now, &rules, &arena, &claims);
  if (err == LK_OK) err = lk_buf_append(out, claims.json);
  lk_arena_deinit(&arena);
  return err;
}

/* ---- lib0 ---- */

static void append_signed(lk_buf *out, uint64_t magnitude, bool negative) {
  if (negative) (void)lk_buf_append_u8(out, '-');
  (void)lk_buf_append_decimal(out, magnitude);
}

static lk_err read_signed(lk_slice text, lk_varint *out) {
  out->negative = lk_slice_starts_with(text, LK_LIT("-"));
  return lk_number_parse_u64(lk_slice_skip(text, out->negative ? 1 : 0), &out->magnitude);
}

static lk_err run_varuint_decode(const lk_slice parts[], lk_buf *out) {
  lk_reader in = lk_reader_of(parts[0]);
  uint64_t value;
  lk_err err = lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &value);
  if (err == LK_OK) err = lk_reader_end(&in);
  return err == LK_OK ? lk_buf_append_decimal(out, value) : err;
}

static lk_err run_varuint_encode(const lk_slice parts[], lk_buf *out) {
  uint64_t value;
  lk_err err = lk_number_parse_u64(parts[0], &value);
  return err == LK_OK ? lk_varuint_encode(out, value) : err;
}

static lk_err run_varint_decode(const lk_slice parts[], lk_buf *out) {
  lk_reader in = lk_reader_of(parts[0]);
  lk_varint value;
  lk_err err = lk_varint_decode(&in, LK_VARUINT_MAX_SAFE, &value);
  if (err == LK_OK) err = lk_reader_end(&in);
  if (err == LK_OK) append_signed(out, value.magnitude, value.negative);
  return err;
}

static lk_err run_varint_encode(const lk_slice parts[], lk_buf *out) {
  lk_varint value;
  lk_err err = read_signed(parts[0], &value);
  return err == LK_OK ? lk_varint_encode(out, value) : err;
}

static lk_err run_string_decode(const lk_slice parts[], lk_buf *out) {
  lk_reader in = lk_reader_of(parts[0]);
  lk_slice text;
  lk_err err = lk_lib0_string_decode(&in, &text);
  if (err == LK_OK) err = lk_reader_end(&in);
  return err == LK_OK ? lk_buf_append(out, text) : err;
}

static lk_err run_string_encode(const lk_slice parts[], lk_buf *out) {
  return lk_lib0_string_encode(out, parts[0]);
}

static lk_err run_bytes_decode(const lk_slice parts[], lk_buf *out) {
  lk_reader in = lk_reader_of(parts[0]);
  lk_slice bytes;
  lk_err err = lk_lib0_bytes_decode(&in, &bytes);
  if (err == LK_OK) err = lk_reader_end(&in);
  return err == LK_OK ? lk_buf_append(out, bytes) : err;
}

static lk_err run_bytes_encode(const lk_slice parts[], lk_buf *out) {
  return lk_lib0_bytes_encode(out, parts[0]);
}

static void append_text(lk_buf *out, lk_slice name, lk_slice bytes) {
  (void)lk_buf_append(out, name);
  (void)lk_hex_encode(out, bytes);
}

static void append_bits(lk_buf *out, double value) {
  uint8_t bytes[8];
  lk_buf bits;
  lk_buf_init(&bits, out->alloc, sizeof bytes);
  (void)lk_lib0_f64_encode(&bits, value);
  append_text(out, LK_LIT("number "), lk_buf_slice(&bits));
  lk_buf_deinit(&bits);
}

static void append_item(lk_buf *out, const lk_any_item *item) {
  switch (item->kind) {
  case LK_ANY_UNDEFINED: (void)lk_buf_append(out, LK_LIT("undefined")); break;
  case LK_ANY_NULL: (void)lk_buf_append(out, LK_LIT("null")); break;
  case LK_ANY_BOOL:
    (void)lk_buf_append(out, item->as.boolean ? LK_LIT("true") : LK_LIT("false"));
    break;
  case LK_ANY_NUMBER: append_bits(out, item->as.number); break;
  case LK_ANY_BIGINT: {
    lk_varint value = lk_varint_of_i64(item->as.bigint);
    (void)lk_buf_append(out, LK_LIT("bigint "));
    append_signed(out, value.magnitude, value.negative);
    break;
  }
  case LK_ANY_STRING: append_text(out, LK_LIT("string "), item->as.bytes); break;
  case LK_ANY_BYTES: append_text(out, LK_LIT("bytes "), item->as.bytes); break;
  case LK_ANY_KEY: append_text(out, LK_LIT("key "), item->as.bytes); break;
  case LK_ANY_ARRAY_BEGIN:
  case LK_ANY_OBJECT_BEGIN:
    (void)lk_buf_append(out,
                        item->kind == LK_ANY_ARRAY_BEGIN ? LK_LIT("array ") : LK_LIT("object "));
    (void)lk_buf_append_decimal(out, item->count);
    break;
  case LK_ANY_ARRAY_END:
  case LK_ANY_OBJECT_END: (void)lk_buf_append(out, LK_LIT("end")); break;
  }
}

static lk_err walk_any(lk_slice bytes, lk_buf *out, bool recode) {
  lk_any_frame frames[DEPTH_MAX];
  lk_reader in = lk_reader_of(bytes);
  lk_any_reader reader;
  lk_any_item item;
  lk_err err;
  lk_any_reader_init(&reader, &in, frames, DEPTH_MAX);
  while ((err = lk_any_decode(&reader, &item)) == LK_OK) {
    if (recode) {
      (void)lk_any_encode(out, &item);
    } else {
      if (out->len > 0) (void)lk_buf_append_u8(out, ';');
      append_item(out, &item);
    }
  }
  return err == LK_ERR_END ? lk_reader_end(&in) : err;
}

static lk_err run_any_items(const lk_slice parts[], lk_buf *out) {
  return walk_any(parts[0], out, false);
}
static lk_err run_any_recode(const lk_slice parts[], lk_buf *out) {
  return walk_any(parts[0], out, true);
}

/* ---- columns ---- */

static bool is_kind(lk_slice kind, const char *name) {
  return lk_slice_equal(kind, lk_slice_cstr(name));
}

/* Calls |append| for each value of the text. */
#define EACH_VALUE(text, append)                                                                   \
  for (lk_slice rest_ = (text), word_; rest_.len > 0 && err == LK_OK;) {                           \
    word_ = lk_slice_cut(rest_, ' ', &rest_);                                                      \
    if ((err = read_i64(word_, &value)) == LK_OK) append;                                          \
  }

static lk_err read_i64(lk_slice text, int64_t *out) {
  lk_varint value;
  lk_err err = read_signed(text, &value);
  return err == LK_OK ? lk_varint_to_i64(value, out) : err;
}

#define ENCODE_COLUMN(kind, type, begin)                                                           \
  static lk_err encode_##kind(lk_slice values, int64_t start, lk_buf *out) {                       \
    lk_column_##kind##_encoder column;                                                             \
    lk_slice bytes = LK_SLICE_EMPTY;                                                               \
    int64_t value;                                                                                 \
    lk_err err = LK_OK;                                                                            \
    (void)start;                                                                                   \
    lk_column_##kind##_encoder_init begin;                                                         \
    EACH_VALUE(values, lk_column_##kind##_append(&column, (type)value))                            \
    if (err == LK_OK) err = lk_column_##kind##_finish(&column, &bytes);                            \
    if (err == LK_OK) err = lk_buf_append(out, bytes);                                             \
    lk_column_##kind##_encoder_deinit(&column);                                                    \
    return err;                                                                                    \
  }
ENCODE_COLUMN(rle, uint8_t, (&column, out->alloc, RESULT_MAX))
ENCODE_COLUMN(uint, uint64_t, (&column, out->alloc, RESULT_MAX))
ENCODE_COLUMN(inc, uint64_t, (&column, out->alloc, RESULT_MAX))
ENCODE_COLUMN(diff, int64_t, (&column, out->alloc, RESULT_MAX))
ENCODE_COLUMN(delta, int64_t, (&column, out->alloc, RESULT_MAX, start))
ENCODE_COLUMN(rledelta, int64_t, (&column, out->alloc, RESULT_MAX, start))

#define DECODE_COLUMN(kind, type, negative, begin)                                                 \
  static lk_err decode_##kind(lk_slice bytes, int64_t start, uint64_t count, lk_buf *out) {        \
    lk_column_##kind##_decoder column = lk_column_##kind##_decoder_of begin;                       \
    lk_err err = LK_OK;                                                                            \
    type value = 0;                                                                                \
    (void)start;                                                                                   \
    for (; count > 0 && err == LK_OK; count--) {                                                   \
      err = lk_column_##kind##_decode(&column, &value);                                            \
      if (err == LK_OK)                                                                            \
        append_signed(out, (negative) ? 0 - (uint64_t)value : (uint64_t)value, (negative));        \
      (void)lk_buf_append_u8(out, ' ');                                                            \
    }                                                                                              \
    return err;                                                                                    \
  }
DECODE_COLUMN(rle, uint8_t, false, (bytes))
DECODE_COLUMN(uint, uint64_t, false, (bytes))
DECODE_COLUMN(inc, uint64_t, false, (bytes))
DECODE_COLUMN(diff, int64_t, value < 0, (bytes))
DECODE_COLUMN(delta, int64_t, value < 0, (bytes, start))
DECODE_COLUMN(rledelta, int64_t, value < 0, (bytes, start))

static const struct {
  const char *kind;
  lk_err (*encode)(lk_slice values, int64_t start, lk_buf *out);
  lk_err (*decode)(lk_slice bytes, int64_t start, uint64_t count, lk_buf *out);
} columns[] = {
  { "rle", encode_rle, decode_rle },       { "uint", encode_uint, decode_uint },
  { "inc", encode_inc, decode_inc },       { "diff", encode_diff, decode_diff },
  { "delta", encode_delta, decode_delta }, { "rledelta", encode_rledelta, decode_rledelta },
};

static lk_err run_column_encode(const lk_slice parts[], lk_buf *out) {
  int64_t start;
  lk_err err = read_i64(parts[1], &start);
  if (err != LK_OK) return err;
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
    if (is_kind(parts[0], columns[i].kind)) return columns[i].encode(parts[2], start, out);
  }
  return LK_ERR_UNSUPPORTED;
}

static lk_err run_column_decode(const lk_slice parts[], lk_buf *out) {
  int64_t start;
  uint64_t count;
  lk_err err = read_i64(parts[1], &start);
  if (err == LK_OK) err = lk_number_parse_u64(parts[3], &count);
  if (err != LK_OK) return err;
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
    if (is_kind(parts[0], columns[i].kind)) return columns[i].decode(parts[2], start, count, out);
  }
  return LK_ERR_UNSUPPORTED;
}

/* ---- text ---- */

static lk_err run_utf8_to_utf16(const lk_slice parts[], lk_buf *out) {
  lk_err err = lk_utf8_check(parts[0]);
  if (err != LK_OK) return err;
  size_t cap = lk_utf16_len_of_utf8(parts[0]);
  uint16_t *units = lk_alloc_array(out->alloc, cap + 1, sizeof *units);
  if (units == NULL) return LK_ERR_NOMEM;
  size_t count = lk_utf16_of_utf8(parts[0], units, cap);
  for (size_t i = 0; i < count; i++) (void)lk_buf_append_be16(out, units[i]);
  lk_free_array(out->alloc, units, cap + 1, sizeof *units);
  return out->err;
}

static lk_err run_utf16_to_utf8(const lk_slice parts[], lk_buf *out) {
  size_t count = parts[0].len / 2;
  uint16_t *units = lk_alloc_array(out->alloc, count + 1, sizeof *units);
  if (units == NULL) return LK_ERR_NOMEM;
  for (size_t i = 0; i < count; i++) units[i] = lk_load_be16(parts[0].ptr + 2 * i);
  (void)lk_utf8_append_utf16(out, units, count);
  lk_free_array(out->alloc, units, count + 1, sizeof *units);
  return out->err;
}

static lk_err run_utf8_split(const lk_slice parts[], lk_buf *out) {
  uint64_t index;
  lk_slice left, right;
  bool halved = false;
  lk_err err = lk_number_parse_u64(parts[1], &index);
  if (err == LK_OK) err = lk_utf8_split(parts[0], index, &left, &right, &halved);
  if (err != LK_OK) return err;
  (void)lk_buf_append(out, left);
  if (halved) (void)lk_buf_append(out, LK_UTF8_REPLACEMENT);
  (void)lk_buf_append_u8(out, SEPARATOR);
  if (halved) (void)lk_buf_append(out, LK_UTF8_REPLACEMENT);
  return lk_buf_append(out, right);
}

static lk_err run_f64_print(const lk_slice parts[], lk_buf *out) {
  lk_reader in = lk_reader_of(parts[0]);
  uint8_t text[LK_NUMBER_F64_CHARS];
  double value;
  lk_err err = lk_lib0_f64_decode(&in, &value);
  if (err != LK_OK) return err;
  return lk_buf_append(out, lk_slice_of(text, lk_number_print_f64(value, text)));
}

static lk_err run_f64_parse(const lk_slice parts[], lk_buf *out) {
  double value;
  lk_err err = lk_number_parse_f64(parts[0], &value);
  return err == LK_OK ? lk_lib0_f64_encode(out, value) : err;
}

static lk_err write_number(lk_json_writer *writer, const lk_json_event *event) {
  uint64_t whole;
  int64_t negative;
  double value;
  if (lk_json_get_u64(event, &whole) == LK_OK) return lk_json_write_u64(writer, whole);
  if (lk_json_get_i64(event, &negative) == LK_OK) return lk_json_write_i64(writer, negative);
  lk_err err = lk_json_get_f64(event, &value);
  return err == LK_OK ? lk_json_write_f64(writer, value) : err;
}

static lk_err write_event(lk_json_writer *writer, const lk_json_event *event) {
  switch (event->kind) {
  case LK_JSON_OBJECT_BEGIN: return lk_json_begin_object(writer);
  case LK_JSON_OBJECT_END: return lk_json_end_object(writer);
  case LK_JSON_ARRAY_BEGIN: return lk_json_begin_array(writer);
  case LK_JSON_ARRAY_END: return lk_json_end_array(writer);
  case LK_JSON_KEY: return lk_json_write_key(writer, event->text);
  case LK_JSON_STRING: return lk_json_write_string(writer, event->text);
  case LK_JSON_NUMBER: return write_number(writer, event);
  case LK_JSON_TRUE: return lk_json_write_bool(writer, true);
  case LK_JSON_FALSE: return lk_json_write_bool(writer, false);
  case LK_JSON_NULL: return lk_json_write_null(writer);
  case LK_JSON_ABSENT:
  case LK_JSON_END: break;
  }
  return LK_OK;
}

static lk_err run_json_canonical(const lk_slice parts[], lk_buf *out) {
  lk_limits limits = lk_limits_default();
  lk_json_event event = { 0 };
  lk_json_reader reader;
  lk_json_writer writer;
  lk_arena arena;
  lk_arena_init(&arena, out->alloc, RESULT_MAX);
  lk_json_writer_init(&writer, out);
  lk_err err = lk_json_reader_init(&reader, parts[0], &limits, &arena);
  while (err == LK_OK && (err = lk_json_next(&reader, &event)) == LK_OK &&
         event.kind != LK_JSON_END) {
    err = write_event(&writer, &event);
  }
  if (err == LK_OK) err = lk_json_writer_finish(&writer);
  lk_arena_deinit(&arena);
  return err;
}

/* Also asks whether the text was canonical: the answer must be what comparing both gives. */
static lk_err run_json_jcs(const lk_slice parts[], lk_buf *out) {
  lk_limits limits = lk_limits_default();
  lk_err checked = lk_json_check_canonical(parts[0], &limits, out->alloc);
  lk_err err = lk_json_canonicalize(parts[0], &limits, out);
  if (err != LK_OK) return checked == err ? err : LK_ERR_STATE;
  bool same = lk_slice_equal(parts[0], lk_buf_slice(out));
  return checked == (same ? LK_OK : LK_ERR_NOT_CANONICAL) ? LK_OK : LK_ERR_STATE;
}

static lk_err run_base64_encode(const lk_slice parts[], lk_buf *out) {
  return lk_base64_encode(out, parts[0], LK_BASE64_FORM_STANDARD);
}

static lk_err run_base64_decode(const lk_slice parts[], lk_buf *out) {
  return lk_base64_decode(out, parts[0], LK_BASE64_FORM_STANDARD);
}

static lk_err run_hex_encode(const lk_slice parts[], lk_buf *out) {
  return lk_hex_encode(out, parts[0]);
}
static lk_err run_hex_decode(const lk_slice parts[], lk_buf *out) {
  return lk_hex_decode(out, parts[0]);
}

static lk_err run_crc32c(const lk_slice parts[], lk_buf *out) {
  return lk_buf_append_be32(out, lk_crc32c(parts[0]));
}

/* ---- the platform's own ---- */

static lk_err run_mem_move(const lk_slice parts[], lk_buf *out) {
  uint64_t place[3];
  lk_err err = lk_buf_append(out, parts[0]);
  for (size_t i = 0; i < 3 && err == LK_OK; i++) err = lk_number_parse_u64(parts[i + 1], &place[i]);
  if (err != LK_OK) return err;
  uint64_t len = out->len;
  if (place[2] > len || place[0] > len - place[2] || place[1] > len - place[2]) return LK_ERR_RANGE;
  memmove(out->ptr + place[0], out->ptr + place[1], (size_t)place[2]);
  return LK_OK;
}

static lk_err run_mem_compare(const lk_slice parts[], lk_buf *out) {
  if (parts[0].len != parts[1].len) return LK_ERR_INVALID;
  int order = memcmp(parts[0].ptr, parts[1].ptr, parts[0].len);
  append_signed(out, order != 0, order < 0);
  return out->err;
}

static lk_err run_panic(const lk_slice parts[], lk_buf *out) {
  LK_ASSERT(parts[0].len > 0 && out->len > 0);
  return LK_OK;
}

static lk_err run_allocate(const lk_slice parts[], lk_buf *out) {
  uint64_t size;
  lk_err err = lk_number_parse_u64(parts[0], &size);
  if (err != LK_OK || size == 0 || size > UINT32_MAX) return err != LK_OK ? err : LK_ERR_RANGE;
  uint8_t *block = lk_alloc_bytes(out->alloc, (size_t)size);
  if (block == NULL) return LK_ERR_NOMEM;
  memset(block, 3, (size_t)size);
  uint64_t sum = (uint64_t)block[0] + block[size / 2] + block[size - 1];
  lk_free_bytes(out->alloc, block, (size_t)size);
  return lk_buf_append_decimal(out, sum);
}

/* ---- the entry ---- */

static lk_err read_parts(lk_slice input, lk_slice parts[PARTS_MAX]) {
  lk_reader in = lk_reader_of(input);
  for (size_t i = 0; i < PARTS_MAX && lk_reader_left(&in) > 0; i++) {
    uint32_t len;
    lk_err err = lk_reader_be32(&in, &len);
    if (err == LK_OK) err = lk_reader_bytes(&in, len, &parts[i]);
    if (err != LK_OK) return err;
  }
  return lk_reader_end(&in);
}

static operation operation_of(u32 op) {
  switch (op) {
#define VECTOR(name, number, takes, gives)                                                         \
  case number:                                                                                     \
    return run_##name;
#include "wasm/vectors.def"
#undef VECTOR
  default: return NULL;
  }
}

u32 lk_wasm_vector(u32 op, u32 len) {
  lk_slice parts[PARTS_MAX] = { 0 };
  lk_slice input;
  operation run = operation_of(op);
  if (run == NULL) return LK_ERR_UNSUPPORTED;
  lk_err err = lk_wasm_input(len, &input);
  if (err == LK_OK) err = read_parts(input, parts);
  if (err != LK_OK) return err;
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  err = run(parts, out);
  if (err == LK_OK) err = out->err;
  lk_wasm_hand_out(err == LK_OK ? lk_buf_slice(out) : LK_SLICE_EMPTY);
  return err;
}
