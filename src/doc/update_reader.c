/* doc/update_reader.c -- an update, struct by struct, as views of its bytes.
 *
 *   struct := info [origin] [right] [parent [sub]] content
 *
 *   info     . . . c c c c c          content; parent and sub stand there only where neither an
 *            | | |                    origin nor a right origin does: else they are theirs
 *            | | 0x20 in a map
 *            | 0x40 right origin
 *            0x80 origin
 *
 * V1 is read in one go. Documents are mostly short texts with an origin, so a struct is some
 * twenty bytes and should cost some ten nanoseconds: the cursor is a local copy that the compiler
 * keeps in registers (what is called with its address gets a copy of the copy), numbers of up to
 * three bytes are taken from one load, the client, which is nearly always the one of the section, is
 * compared as a word with how it was written there, and a text that is ASCII is checked and
 * counted eight bytes at a time. Of |out| only that is written which its kind has.
 *
 * V2 is the same walk over columns. A text comes as a piece, which may begin or end with half a
 * surrogate pair. Only the content of a struct keeps the halves; in a name or a key, where Yjs never
 * cuts, a half becomes U+FFFD, as it would in V1.
 *
 * What is refused although Yjs reads it, since no Yjs writes it: bits beside the content of GC and
 * Skip, a parent info that is neither 0 nor 1, a struct without length, a feature flag. A client
 * whose number of structs is 0 is passed over. Nothing is said about the order of clients, or of a
 * client that comes twice: see the header.
 *
 * Empty texts are passed over, too. Yjs writes one where a program embeds '', yrs where it inserts '' with
 * attributes. They have no clock of their own, so that Yjs itself finds one thing or the other at theirs.
 *
 * Always: nothing is allocated for V1 unless a value has to be rewritten, and for V2 only the table of keys
 * besides; every loop here consumes a byte of input in each turn, or passes over EMPTY_MAX texts in all. */
#include "doc/update.h"

#include "codec/any.h"
#include "codec/lib0.h"
#include "codec/utf.h"
#include "codec/varint.h"
#include "doc/value.h"

#define KEYS_CAP_LEAST 32
#define EMPTY_MAX 1024 /* V2 packs any number of empty texts into a few bytes */
#define OUT_OF_LINE __attribute__((noinline))

/* Where bytes of code count for more, one walk serves whatever is left of the input and calls what it needs, and
 * columns have no short ways. */
#ifdef LK_SMALL
#define ALWAYS_INLINE
#define HURRIES false
#else
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define HURRIES true
#endif

/* ---- numbers and texts ---- */

/* Out of line, and by way of a copy: the caller's cursor stays in registers. */
static OUT_OF_LINE lk_err read_long_uint(lk_reader *in, uint64_t *out) {
  return lk_varuint_decode(in, LK_VARUINT_MAX_SAFE, out);
}

/* |roomy| says that the caller knows of four bytes more. */
static ALWAYS_INLINE lk_err read_uint_in(lk_reader *in, bool roomy, uint64_t *out) {
  if (roomy || lk_reader_left(in) >= 4) {
    uint32_t word = lk_load_le32(in->bytes.ptr + in->pos);
    if ((word & 0x80) == 0) {
      *out = word & 0x7F;
      in->pos += 1;
      return LK_OK;
    }
    if ((word & 0x8000) == 0) {
      *out = (word & 0x7F) | (word >> 1 & 0x3F80);
      in->pos += 2;
      return LK_OK;
    }
    if ((word & 0x800000) == 0) {
      *out = (word & 0x7F) | (word >> 1 & 0x3F80) | (word >> 2 & 0x1FC000);
      in->pos += 3;
      return LK_OK;
    }
  }
  lk_reader at = *in;
  uint64_t value;
  lk_err err = read_long_uint(&at, &value);
  if (err != LK_OK) return err;
  in->pos = at.pos;
  *out = value;
  return LK_OK;
}

static ALWAYS_INLINE lk_err read_uint(lk_reader *in, uint64_t *out) {
  return read_uint_in(in, false, out);
}

#define WORD_TOPS UINT64_C(0x8080808080808080)

/* Whether the next |len| bytes, which are there and are at least 1, are ASCII. Words may overlap, and
 * reach beyond a short text where there is input. */
static ALWAYS_INLINE bool next_is_ascii(const lk_reader *in, size_t len) {
  const uint8_t *at = in->bytes.ptr + in->pos;
  uint64_t any = 0;
  if (len > 8) {
    for (size_t i = 0; i < len - 8; i += 8) any |= lk_load_le64(at + i);
    any |= lk_load_le64(at + len - 8);
  } else if (lk_reader_left(in) >= 8) {
    any = lk_load_le64(at) << (64 - 8 * len);
  } else {
    for (size_t i = 0; i < len; i++) any |= at[i];
  }
  return (any & WORD_TOPS) == 0;
}

static OUT_OF_LINE lk_err count_wide(lk_slice text, uint64_t *units) {
  lk_err err = lk_utf8_check(text);
  if (err == LK_OK) *units = lk_utf16_len_of_utf8(text);
  return err;
}

/* A varString and its length in UTF-16 units. */
static ALWAYS_INLINE lk_err read_string_in(lk_reader *in, bool roomy, lk_slice *out,
                                           uint64_t *units) {
  uint64_t len;
  lk_err err = read_uint_in(in, roomy, &len);
  if (err != LK_OK) return err;
  if (len > lk_reader_left(in)) return LK_ERR_TRUNCATED;
  *out = (lk_slice){ in->bytes.ptr + in->pos, (size_t)len };
  if (len == 0 || next_is_ascii(in, (size_t)len)) {
    *units = len;
  } else {
    uint64_t wide;
    if ((err = count_wide(*out, &wide)) != LK_OK) return err;
    *units = wide;
  }
  in->pos += (size_t)len;
  return LK_OK;
}

static OUT_OF_LINE lk_err read_string(lk_reader *in, lk_slice *out) {
  uint64_t units;
  return read_string_in(in, false, out, &units);
}

/* A piece as plain text, its halves replaced. */
static lk_err mend_piece(lk_update_reader *self, const lk_column_piece *piece, lk_slice *out) {
  lk_slice mark = LK_UTF8_REPLACEMENT;
  *out = piece->text;
  if (piece->low_first == 0 && piece->high_last == 0) return LK_OK;
  uint8_t *to = lk_arena_push_bytes(self->scratch, piece->text.len + 2 * mark.len);
  if (to == NULL) return LK_ERR_NOMEM;
  size_t len = 0;
  if (piece->low_first != 0) {
    memcpy(to, mark.ptr, mark.len);
    len += mark.len;
  }
  if (piece->text.len > 0) memcpy(to + len, piece->text.ptr, piece->text.len);
  len += piece->text.len;
  if (piece->high_last != 0) {
    memcpy(to + len, mark.ptr, mark.len);
    len += mark.len;
  }
  *out = lk_slice_of(to, len);
  return LK_OK;
}

/* Names, and the texts of values. */
static lk_err read_name(lk_update_reader *self, lk_slice *out) {
  if (self->format == LK_UPDATE_V1) return read_string(&self->in, out);
  lk_column_piece piece;
  lk_err err = lk_column_text_decode(&self->texts, &piece, NULL);
  return err != LK_OK ? err : mend_piece(self, &piece, out);
}

/* The table doubles; the old one stays behind in |scratch|. */
static lk_err add_key(lk_update_reader *self, lk_slice key) {
  if (self->key_count == self->key_cap) {
    size_t cap;
    if (!lk_mul_size(lk_max_size(self->key_cap, KEYS_CAP_LEAST / 2), 2, &cap)) return LK_ERR_NOMEM;
    lk_slice *keys = lk_arena_push_array(self->scratch, cap, sizeof *keys);
    if (keys == NULL) return LK_ERR_NOMEM;
    if (self->key_count > 0) memcpy(keys, self->keys, self->key_count * sizeof *keys);
    self->keys = keys;
    self->key_cap = cap;
  }
  self->keys[self->key_count++] = key;
  return LK_OK;
}

/* In V2 a key that was not read before follows in the texts, whatever its clock is: as Yjs does. */
static lk_err read_key(lk_update_reader *self, lk_slice *out) {
  int64_t clock;
  lk_err err;
  if (self->format == LK_UPDATE_V1) return read_name(self, out);
  if ((err = lk_column_diff_decode(&self->key_clock, &clock)) != LK_OK) return err;
  if (clock < 0) return LK_ERR_CORRUPT;
  if ((uint64_t)clock < self->key_count) {
    LK_COVERED(update_key_was_read_before);
    *out = self->keys[clock];
    return LK_OK;
  }
  if ((err = read_name(self, out)) != LK_OK) return err;
  return add_key(self, *out);
}

/* ---- values ---- */

static lk_err read_any(lk_update_reader *self, lk_slice *out) {
  return lk_value_any_decode(&self->in, self->any_depth, self->scratch, out);
}

static lk_err canonical_json(lk_update_reader *self, lk_slice json, lk_slice *out) {
  return lk_value_json_canonical(json, self->any_depth, self->scratch, out);
}

/* Where several values have to be rewritten: a first pass measures, a second one writes. */
typedef struct value_run {
  uint8_t *to; /* NULL in the first pass */
  size_t len;
  bool same; /* the bytes of the input are what would be written */
} value_run;

static lk_err run_add(value_run *run, lk_slice bytes) {
  if (run->to != NULL && bytes.len > 0) memcpy(run->to + run->len, bytes.ptr, bytes.len);
  return lk_add_size(run->len, bytes.len, &run->len) ? LK_OK : LK_ERR_NOMEM;
}

static lk_err run_of_any(lk_update_reader *self, uint64_t count, value_run *run) {
  for (uint64_t i = 0; i < count; i++) {
    lk_slice value = lk_reader_rest(&self->in);
    lk_err err = LK_OK;
#ifndef LK_SMALL
    uint64_t integers = count - i;
    value.len = lk_value_integers_length(value, &integers);
    self->in.pos += value.len;
    err = run_add(run, value);
    if (err != LK_OK || (i += integers) == count) return err;
#endif
    lk_arena_mark mark = lk_arena_get_mark(self->scratch);
    size_t pos = self->in.pos;
    err = read_any(self, &value);
    if (err == LK_OK) err = run_add(run, value);
    if (err != LK_OK) return err;
    run->same &= value.ptr == self->in.bytes.ptr + pos && value.len == self->in.pos - pos;
    lk_arena_pop_to(self->scratch, mark);
  }
  return LK_OK;
}

static lk_err run_of_json(lk_update_reader *self, uint64_t count, value_run *run) {
  for (uint64_t i = 0; i < count; i++) {
    lk_arena_mark mark = lk_arena_get_mark(self->scratch);
    size_t pos = self->in.pos;
    uint8_t prefix[LK_VARUINT_LEN_MAX];
    lk_slice text, value;
    lk_err err = read_name(self, &text);
    value = text;
    if (err == LK_OK && !lk_slice_equal(text, LK_LIT("undefined")))
      err = canonical_json(self, text, &value);
    if (err != LK_OK) return err;
    size_t prefix_len = lk_varuint_store(prefix, value.len);
    if ((err = run_add(run, lk_slice_of(prefix, prefix_len))) != LK_OK) return err;
    if ((err = run_add(run, value)) != LK_OK) return err;
    run->same &= value.ptr == text.ptr && value.len == text.len &&
                 self->in.pos - pos == prefix_len + value.len;
    lk_arena_pop_to(self->scratch, mark);
  }
  return LK_OK;
}

/* |count| values of the one kind or the other, side by side. */
static lk_err read_values(lk_update_reader *self, uint64_t count,
                          lk_err (*pass)(lk_update_reader *self, uint64_t count, value_run *run),
                          lk_slice *out) {
  bool v2 = self->format == LK_UPDATE_V2;
  lk_reader in = self->in;
  lk_column_text_decoder texts;
  value_run run = { .same = true };
  if (v2) texts = self->texts;
  lk_err err = pass(self, count, &run);
  if (err != LK_OK) return err;
  if (run.same) {
    *out = lk_reader_since(&self->in, in.pos);
    return LK_OK;
  }
  LK_COVERED(update_values_are_rewritten);
  self->in = in;
  if (v2) self->texts = texts;
  run = (value_run){ .to = lk_arena_push_bytes(self->scratch, run.len) };
  if (run.to == NULL) return LK_ERR_NOMEM;
  err = pass(self, count, &run);
  *out = lk_slice_of(run.to, run.len);
  return err;
}

/* The value of EMBED and FORMAT. */
static lk_err read_json(lk_update_reader *self, lk_struct *out) {
  lk_slice text;
  out->value_is_json = self->format == LK_UPDATE_V1;
  if (!out->value_is_json) return read_any(self, &out->value);
  lk_err err = read_name(self, &text);
  return err != LK_OK ? err : canonical_json(self, text, &out->value);
}

/* ---- the options of a subdocument ----
 *
 * Yjs makes a Doc of them and writes what that says of itself: in this order "gc" where it is false,
 * "autoLoad" where it is true, "meta" where there is one. All else is lost, so it is dropped here. */

#define ANY_UNDEFINED 127
#define ANY_NULL 126
#define ANY_INTEGER 125
#define ANY_F32 124
#define ANY_F64 123
#define ANY_BIGINT 122
#define ANY_FALSE 121
#define ANY_STRING 119
#define ANY_OBJECT 118

/* JavaScript's idea of it; |any| is canonical. */
static bool is_truthy(lk_slice any) {
  const uint8_t *body = any.ptr + 1;
  switch (any.ptr[0]) {
  case ANY_UNDEFINED:
  case ANY_NULL:
  case ANY_FALSE: return false;
  case ANY_INTEGER: return body[0] != 0 && body[0] != 0x40; /* 0 and -0 */
  case ANY_F32: return (lk_load_be32(body) << 1) <= UINT32_C(0xFF) << 24;
  case ANY_F64: return (lk_load_be64(body) << 1) <= UINT64_C(0x7FF) << 53;
  case ANY_BIGINT: return lk_load_be64(body) != 0;
  case ANY_STRING: return body[0] != 0;
  default: return true;
  }
}

typedef struct doc_options {
  uint8_t *to; /* as long as what was read: it is never longer */
  size_t len;
  lk_slice gc, auto_load, meta;
} doc_options;

/* Notes the members that matter. No Yjs writes a guid here, which would replace the true one. */
static lk_err note_options(lk_slice any, doc_options *out) {
  lk_reader in = { any, 1 };
  uint64_t count;
  lk_err err = read_uint(&in, &count);
  LK_ASSERT(err == LK_OK);
  for (; count > 0; count--) {
    lk_slice key, value;
    err = lk_lib0_bytes_decode(&in, &key);
    LK_ASSERT(err == LK_OK);
    value = lk_reader_rest(&in);
    value = lk_slice_first(value, lk_value_any_length(value));
    in.pos += value.len;
    if (lk_slice_equal(key, LK_LIT("guid"))) return LK_ERR_CORRUPT;
    if (lk_slice_equal(key, LK_LIT("gc"))) out->gc = value;
    if (lk_slice_equal(key, LK_LIT("autoLoad"))) out->auto_load = value;
    if (lk_slice_equal(key, LK_LIT("meta"))) out->meta = value;
  }
  return LK_OK;
}

static void add_option(doc_options *self, lk_slice key, lk_slice value) {
  self->to[1]++;
  memcpy(self->to + self->len, key.ptr, key.len);
  if (value.len > 0) memcpy(self->to + self->len + key.len, value.ptr, value.len);
  self->len += key.len + value.len;
}

static void write_options(doc_options *self) {
  self->to[0] = ANY_OBJECT;
  self->to[1] = 0;
  self->len = 2;
  if (self->gc.len > 0 && self->gc.ptr[0] != ANY_UNDEFINED && !is_truthy(self->gc))
    add_option(self, LK_LIT("\x02gc\x79"), LK_SLICE_EMPTY);
  if (self->auto_load.len > 0 && is_truthy(self->auto_load))
    add_option(self,
               LK_LIT("\x08"
                      "autoLoad\x78"),
               LK_SLICE_EMPTY);
  if (self->meta.len > 0 && self->meta.ptr[0] != ANY_UNDEFINED && self->meta.ptr[0] != ANY_NULL)
    add_option(self, LK_LIT("\x04meta"), self->meta);
}

static lk_err read_options(lk_update_reader *self, lk_slice *out) {
  static const uint8_t none[] = { ANY_OBJECT, 0 };
  lk_slice any;
  doc_options options = { 0 };
  lk_err err = read_any(self, &any);
  if (err != LK_OK) return err;
  if (any.ptr[0] == ANY_UNDEFINED || any.ptr[0] == ANY_NULL) return LK_ERR_CORRUPT;
  *out = lk_slice_of(none, sizeof none);
  if (any.ptr[0] != ANY_OBJECT || any.len == sizeof none) return LK_OK;
  if ((err = note_options(any, &options)) != LK_OK) return err;
  lk_arena_mark mark = lk_arena_get_mark(self->scratch);
  if ((options.to = lk_arena_push_bytes(self->scratch, any.len)) == NULL) return LK_ERR_NOMEM;
  write_options(&options);
  *out = lk_slice_of(options.to, options.len);
  if (!lk_slice_equal(*out, any)) return LK_OK;
  lk_arena_pop_to(self->scratch, mark);
  *out = any;
  return LK_OK;
}

/* ---- contents ---- */

static lk_err read_len(lk_update_reader *self, uint64_t *out) {
  if (self->format == LK_UPDATE_V1) return read_uint(&self->in, out);
  return lk_column_uint_decode(&self->lens, out);
}

static lk_err read_type(lk_update_reader *self, lk_struct *out) {
  uint64_t type_ref;
  lk_err err = self->format == LK_UPDATE_V1 ? read_uint(&self->in, &type_ref)
                                            : lk_column_uint_decode(&self->type_refs, &type_ref);
  if (err != LK_OK) return err;
  if (type_ref >= LK_TYPE_REF_COUNT) return LK_ERR_CORRUPT;
  out->type_ref = (uint8_t)type_ref;
  if (type_ref != LK_TYPE_REF_ELEMENT && type_ref != LK_TYPE_REF_HOOK) return LK_OK;
  return read_key(self, &out->key);
}

static lk_err read_text(lk_update_reader *self, lk_struct *out) {
  if (self->format == LK_UPDATE_V2)
    return lk_column_text_decode(&self->texts, &out->text, &out->len);
  out->text.low_first = 0;
  out->text.high_last = 0;
  return read_string_in(&self->in, false, &out->text.text, &out->len);
}

/* Any content. GC and Skip are one here; of theirs, read_rare_v1() sees only such as have bits beside
 * it, and those nobody writes. */
static OUT_OF_LINE lk_err read_content(lk_update_reader *self, lk_struct *out) {
  lk_err err;
  out->len = 1;
  switch (out->kind) {
  case LK_CONTENT_DELETED: return read_len(self, &out->len);
  case LK_CONTENT_STRING: return read_text(self, out);
  case LK_CONTENT_JSON:
    if ((err = read_len(self, &out->len)) != LK_OK) return err;
    return read_values(self, out->len, run_of_json, &out->value);
  case LK_CONTENT_BINARY: return lk_lib0_bytes_decode(&self->in, &out->value);
  case LK_CONTENT_EMBED: return read_json(self, out);
  case LK_CONTENT_FORMAT:
    if ((err = read_key(self, &out->key)) != LK_OK) return err;
    return read_json(self, out);
  case LK_CONTENT_TYPE: return read_type(self, out);
  case LK_CONTENT_ANY:
    if ((err = read_len(self, &out->len)) != LK_OK) return err;
    return read_values(self, out->len, run_of_any, &out->value);
  case LK_CONTENT_DOC:
    if ((err = read_name(self, &out->key)) != LK_OK) return err;
    return read_options(self, &out->value);
  default: return LK_ERR_CORRUPT;
  }
}

/* ---- V1 ---- */

/* As far as a head and the number behind it may reach, and the words that they are read by: info, two
 * ids of twenty bytes at most, one number. Where so much is left the fast ways need not ask. */
#define ROOM_OF_HEAD 48

static ALWAYS_INLINE lk_err read_id_v1(const lk_update_reader *self, lk_reader *in, bool roomy,
                                       lk_doc_id *out) {
  lk_err err;
  if ((roomy || lk_reader_left(in) >= 8) &&
      (lk_load_le64(in->bytes.ptr + in->pos) & self->client_mask) == self->client_word) {
    out->client = self->client;
    in->pos += self->client_len;
  } else if ((err = read_uint_in(in, roomy, &out->client)) != LK_OK) {
    return err;
  }
  return read_uint_in(in, roomy, &out->clock);
}

static OUT_OF_LINE lk_err read_parent_v1(const lk_update_reader *self, lk_reader *in,
                                         lk_struct *out) {
  uint64_t is_root;
  lk_err err = read_uint(in, &is_root);
  if (err != LK_OK) return err;
  if (is_root > 1) return LK_ERR_CORRUPT;
  out->parent_form = is_root ? LK_PARENT_ROOT : LK_PARENT_ITEM;
  err = is_root ? read_string(in, &out->parent_name) : read_id_v1(self, in, false, &out->parent_id);
  if (err != LK_OK || (out->info & LK_INFO_SUB) == 0) return err;
  return read_string(in, &out->sub);
}

/* GC and Skip are their info alone. */
static inline bool has_head(uint8_t info) {
  return (info & LK_INFO_CONTENT) != LK_CONTENT_GC && (info & LK_INFO_CONTENT) != LK_CONTENT_SKIP;
}

/* What has a parent to read, or content that is not a text or a length: no need to hurry. */
static OUT_OF_LINE lk_err read_rare_v1(lk_update_reader *self, lk_struct *out) {
  if (has_head(out->info) && (out->info & (LK_INFO_ORIGIN | LK_INFO_RIGHT)) == 0) {
    lk_err err = read_parent_v1(self, &self->in, out);
    if (err != LK_OK) return err;
  }
  return read_content(self, out);
}

/* |roomy|: ROOM_OF_HEAD bytes are left. */
static ALWAYS_INLINE lk_err read_struct_v1(lk_update_reader *self, bool roomy, lk_struct *out) {
  lk_reader at = self->in;
  lk_err err = LK_OK;
  uint8_t info;
  if ((err = lk_reader_u8(&at, &info)) != LK_OK) return err;
  uint8_t kind = info & LK_INFO_CONTENT;
  out->info = info;
  out->kind = kind;
  out->parent_form = LK_PARENT_INHERITED;
  if ((info & LK_INFO_ORIGIN) != 0) err = read_id_v1(self, &at, roomy, &out->origin);
  if (err != LK_OK) return err;
  if ((info & LK_INFO_RIGHT) != 0) err = read_id_v1(self, &at, roomy, &out->right);
  if (err != LK_OK) return err;
  bool between = (info & (LK_INFO_ORIGIN | LK_INFO_RIGHT)) != 0;
  uint64_t len;
  if (between && kind == LK_CONTENT_STRING) {
    err = read_string_in(&at, roomy, &out->text.text, &len);
    out->text.low_first = 0;
    out->text.high_last = 0;
  } else if ((between && kind == LK_CONTENT_DELETED) || (info == kind && !has_head(info))) {
    err = read_uint_in(&at, roomy, &len);
  } else {
    self->in.pos = at.pos;
    return read_rare_v1(self, out);
  }
  if (err != LK_OK) return err;
  out->len = len;
  self->in.pos = at.pos;
  return LK_OK;
}

static OUT_OF_LINE lk_err read_last_v1(lk_update_reader *self, lk_struct *out) {
  return read_struct_v1(self, false, out);
}

static ALWAYS_INLINE lk_err next_v1(lk_update_reader *self, lk_struct *out) {
  if (HURRIES && lk_reader_left(&self->in) >= ROOM_OF_HEAD) return read_struct_v1(self, true, out);
  return read_last_v1(self, out);
}

/* ---- V2: the short ways through columns, the long ones being codec/column.c's ---- */

/* A varint of up to three bytes; 0 where it is longer or near the end of the column. */
static ALWAYS_INLINE size_t peek_varint(const lk_reader *in, uint32_t *magnitude, bool *negative) {
  if (!HURRIES || lk_reader_left(in) < 4) return 0;
  uint32_t word = lk_load_le32(in->bytes.ptr + in->pos);
  *negative = (word & 0x40) != 0;
  *magnitude = word & 0x3F;
  if ((word & 0x80) == 0) return 1;
  *magnitude |= word >> 2 & 0x1FC0;
  if ((word & 0x8000) == 0) return 2;
  *magnitude |= word >> 3 & 0xFE000;
  return (word & 0x800000) == 0 ? 3 : 0;
}

/* Most values stand alone: they are not negative. */
static ALWAYS_INLINE lk_err read_column_uint(lk_column_uint_decoder *column, uint64_t *out) {
  uint32_t magnitude;
  bool negative;
  size_t len = column->count == 0 ? peek_varint(&column->in, &magnitude, &negative) : 0;
  if (len == 0 || negative) return lk_column_uint_decode(column, out);
  column->in.pos += len;
  column->value = magnitude;
  *out = magnitude;
  return LK_OK;
}

/* Most steps stand alone, with a lowest bit of 0, or go on. LK_ERR_RANGE for a clock below 0. */
static ALWAYS_INLINE lk_err read_column_clock(lk_column_diff_decoder *column, uint64_t *out) {
  uint32_t doubled;
  bool negative;
  size_t len = column->count == 0 ? peek_varint(&column->in, &doubled, &negative) : 0;
  if (len > 0 && (doubled & 1) == 0) {
    int64_t step = doubled / 2;
    int64_t clock = column->value + (negative ? -step : step);
    if ((uint64_t)clock <= LK_VARUINT_MAX_SAFE) {
      column->in.pos += len;
      column->step = negative ? -step : step;
      column->value = clock;
      *out = (uint64_t)clock;
      return LK_OK;
    }
  }
  int64_t clock;
  lk_err err = lk_column_diff_decode(column, &clock);
  if (err != LK_OK) return err;
  if (clock < 0) return LK_ERR_RANGE;
  *out = (uint64_t)clock;
  return LK_OK;
}

static ALWAYS_INLINE lk_err read_column_byte(lk_column_rle_decoder *column, uint8_t *out) {
  if (!HURRIES || column->count > 0 || lk_reader_left(&column->in) < 2 ||
      column->in.bytes.ptr[column->in.pos + 1] >= 0x80)
    return lk_column_rle_decode(column, out);
  const uint8_t *run = column->in.bytes.ptr + column->in.pos;
  column->in.pos += 2;
  column->value = run[0];
  column->count = run[1];
  *out = run[0];
  return LK_OK;
}

/* A text that is ASCII has as many bytes as units. Where it turns out not to be, its length is read
 * again: one that comes from a run has left the run's value alone, another one sets it anew. */
static lk_err read_column_text(lk_column_text_decoder *column, lk_struct *out) {
  if (!HURRIES) return lk_column_text_decode(column, &out->text, &out->len);
  size_t pos = column->units.in.pos;
  uint64_t count = column->units.count, units;
  lk_err err = read_column_uint(&column->units, &units);
  if (err != LK_OK) return err;
  lk_reader in = lk_reader_of(column->text);
  if (column->low == 0 && units > 0 && units <= column->text.len &&
      next_is_ascii(&in, (size_t)units)) {
    out->text = (lk_column_piece){ .text = { column->text.ptr, (size_t)units } };
    out->len = units;
    column->text.ptr += units;
    column->text.len -= (size_t)units;
    return LK_OK;
  }
  column->units.in.pos = pos;
  column->units.count = count;
  return lk_column_text_decode(column, &out->text, &out->len);
}

/* ---- V2 ---- */

static ALWAYS_INLINE lk_err read_id_v2(lk_update_reader *self, lk_column_diff_decoder *clocks,
                                       lk_doc_id *out) {
  lk_err err = read_column_uint(&self->clients, &out->client);
  return err != LK_OK ? err : read_column_clock(clocks, &out->clock);
}

static OUT_OF_LINE lk_err read_parent_v2(lk_update_reader *self, lk_struct *out) {
  uint8_t is_root;
  lk_err err = lk_column_rle_decode(&self->parent_infos, &is_root);
  if (err != LK_OK) return err;
  if (is_root > 1) return LK_ERR_CORRUPT;
  out->parent_form = is_root ? LK_PARENT_ROOT : LK_PARENT_ITEM;
  err = is_root ? read_name(self, &out->parent_name)
                : read_id_v2(self, &self->left_clock, &out->parent_id);
  if (err != LK_OK || (out->info & LK_INFO_SUB) == 0) return err;
  return read_name(self, &out->sub);
}

static ALWAYS_INLINE lk_err read_head_v2(lk_update_reader *self, lk_struct *out) {
  lk_err err;
  uint8_t info = out->info;
  if ((info & LK_INFO_ORIGIN) != 0 &&
      (err = read_id_v2(self, &self->left_clock, &out->origin)) != LK_OK)
    return err;
  if ((info & LK_INFO_RIGHT) != 0 &&
      (err = read_id_v2(self, &self->right_clock, &out->right)) != LK_OK)
    return err;
  if ((info & (LK_INFO_ORIGIN | LK_INFO_RIGHT)) != 0) return LK_OK;
  return read_parent_v2(self, out);
}

static OUT_OF_LINE lk_err next_v2(lk_update_reader *self, lk_struct *out) {
  uint8_t info;
  lk_err err = read_column_byte(&self->infos, &info);
  if (err != LK_OK) return err;
  out->info = info;
  out->kind = info & LK_INFO_CONTENT;
  out->parent_form = LK_PARENT_INHERITED;
  if (has_head(info)) {
    if ((err = read_head_v2(self, out)) != LK_OK) return err;
  } else if (info != out->kind) {
    return LK_ERR_CORRUPT;
  }
  switch (out->kind) {
  case LK_CONTENT_STRING: return read_column_text(&self->texts, out);
  case LK_CONTENT_GC:
  case LK_CONTENT_DELETED: return read_column_uint(&self->lens, &out->len);
  case LK_CONTENT_SKIP: return read_uint(&self->in, &out->len); /* in no column */
  default: return read_content(self, out);
  }
}

/* ---- the walk ---- */

/* Each decoder begins with all zeros, but for what it reads. */
static lk_err init_columns(lk_update_reader *self) {
  lk_reader *columns[] = {
    &self->key_clock.in,    &self->clients.in,   &self->left_clock.in,
    &self->right_clock.in,  &self->infos.in,     NULL,
    &self->parent_infos.in, &self->type_refs.in, &self->lens.in,
  };
  size_t first = offsetof(lk_update_reader, key_clock);
  lk_slice column, texts = LK_SLICE_EMPTY;
  uint64_t flag;
  lk_err err = read_uint(&self->in, &flag);
  if (err != LK_OK) return err;
  if (flag != 0) return LK_ERR_CORRUPT;
  memset((uint8_t *)self + first, 0, offsetof(lk_update_reader, keys) - first);
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
    if ((err = lk_lib0_bytes_decode(&self->in, &column)) != LK_OK) return err;
    if (columns[i] != NULL) *columns[i] = lk_reader_of(column);
    else texts = column;
  }
  return lk_column_text_decoder_init(&self->texts, texts);
}

lk_err lk_update_reader_init(lk_update_reader *self, lk_update_format format, lk_slice update,
                             uint32_t any_depth, lk_arena *scratch) {
  LK_ASSERT(format == LK_UPDATE_V1 || format == LK_UPDATE_V2);
  LK_ASSERT(any_depth <= LK_ANY_DEPTH_MAX);
  /* Field by field: the columns are half a kilobyte, and an update is often thirty bytes. */
  self->format = format;
  self->in = lk_reader_of(update);
  self->structs_left = self->ranges_left = 0;
  self->in_deletes = false;
  self->empty_count = 0;
  self->any_depth = any_depth;
  self->scratch = scratch;
  self->keys = NULL;
  self->key_count = self->key_cap = 0;
  lk_err err = format == LK_UPDATE_V2 ? init_columns(self) : LK_OK;
  return err != LK_OK ? err : read_uint(&self->in, &self->sections_left);
}

/* How the client is written, for read_id_v1(): at most eight bytes, the rest masked off. */
static void remember_client(lk_update_reader *self) {
  uint8_t bytes[8] = { 0 };
  self->client_len = (uint8_t)lk_varuint_store(bytes, self->client);
  self->client_word = lk_load_le64(bytes);
  self->client_mask = UINT64_MAX >> (64 - 8 * self->client_len);
}

lk_err lk_update_next_client(lk_update_reader *self, uint64_t *client, uint64_t *clock,
                             uint64_t *count) {
  LK_ASSERT(!self->in_deletes && self->structs_left == 0);
  bool v1 = self->format == LK_UPDATE_V1;
  while (self->sections_left > 0) {
    lk_err err;
    if ((err = read_uint(&self->in, &self->structs_left)) != LK_OK) return err;
    err = v1 ? read_uint(&self->in, &self->client)
             : lk_column_uint_decode(&self->clients, &self->client);
    if (err != LK_OK) return err;
    if ((err = read_uint(&self->in, &self->clock)) != LK_OK) return err;
    self->sections_left--;
    if (self->structs_left == 0) continue;
    if (v1) remember_client(self);
    *client = self->client;
    *clock = self->clock;
    *count = self->structs_left;
    return LK_OK;
  }
  return LK_ERR_END;
}

lk_err lk_update_next_struct(lk_update_reader *self, lk_struct *out) {
  for (;; self->empty_count++) {
    if (self->structs_left == 0) return LK_ERR_END;
    lk_err err = self->format == LK_UPDATE_V1 ? next_v1(self, out) : next_v2(self, out);
    if (err != LK_OK) return err;
    if (out->len > 0) break;
    if (out->kind != LK_CONTENT_STRING || self->empty_count == EMPTY_MAX) return LK_ERR_CORRUPT;
    LK_COVERED(update_empty_text);
    self->structs_left--;
  }
  if (out->len > LK_VARUINT_MAX_SAFE - self->clock) return LK_ERR_RANGE;
  out->id = (lk_doc_id){ self->client, self->clock };
  self->clock += out->len;
  self->structs_left--;
  return LK_OK;
}

/* ---- deletes: in no column either ---- */

lk_err lk_update_next_delete_client(lk_update_reader *self, uint64_t *client, uint64_t *count) {
  LK_ASSERT(self->structs_left == 0 && self->ranges_left == 0);
  lk_err err;
  if (!self->in_deletes) {
    LK_ASSERT(self->sections_left == 0);
    if ((err = read_uint(&self->in, &self->sections_left)) != LK_OK) return err;
    self->in_deletes = true;
  }
  if (self->sections_left == 0) {
    err = lk_reader_end(&self->in);
    return err != LK_OK ? err : LK_ERR_END;
  }
  if ((err = read_uint(&self->in, &self->client)) != LK_OK) return err;
  if ((err = read_uint(&self->in, &self->ranges_left)) != LK_OK) return err;
  self->sections_left--;
  self->clock = 0;
  *client = self->client;
  *count = self->ranges_left;
  return LK_OK;
}

lk_err lk_update_next_delete(lk_update_reader *self, uint64_t *clock, uint64_t *len) {
  if (self->ranges_left == 0) return LK_ERR_END;
  bool v2 = self->format == LK_UPDATE_V2;
  uint64_t at, span;
  lk_err err = read_uint(&self->in, &at);
  if (err != LK_OK) return err;
  if ((err = read_uint(&self->in, &span)) != LK_OK) return err;
  if (v2) {
    at += self->clock; /* both below 2^53 */
    span++;
  }
  if (at > LK_VARUINT_MAX_SAFE || span > LK_VARUINT_MAX_SAFE - at) return LK_ERR_RANGE;
  self->clock = at + span;
  self->ranges_left--;
  *clock = at;
  *len = span;
  return LK_OK;
}
