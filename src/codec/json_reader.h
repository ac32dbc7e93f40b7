/* codec/json_reader.h -- JSON, pulled event by event out of bytes that stay where they are.
 *
 *   lk_json_reader r;
 *   if ((err = lk_json_reader_init(&r, text, limits, arena)) != LK_OK) return err;
 *   while ((err = lk_json_next(&r, &event)) == LK_OK && event.kind != LK_JSON_END) { ... }
 *
 * Accepts what RFC 8259 allows and nothing else: no comments, no trailing commas, no leading zeros,
 * no byte order mark, no control characters in strings. Four points that the RFC leaves open:
 *
 *   - Text is UTF-8, checked in every string. An escape of one half of a surrogate pair without the
 *     other ("\ud800") has no UTF-8 and is LK_ERR_UTF8, although JSON's grammar allows it.
 *   - Numbers are handed out as texts with getters. Integers keep their 64 bits; what no double can
 *     hold (1e999) is a valid number whose lk_json_get_f64() gives LK_ERR_RANGE.
 *   - Names that occur twice in an object are both handed out. lk_json_read_members() takes the
 *     last, as JavaScript does.
 *   - Nesting and size are bounded by lk_limits (json_depth, json_bytes).
 *
 * The text must stay unchanged for as long as the reader and what it handed out are used. Strings
 * without escapes are slices of the text; those with escapes are decoded into the arena and live as
 * long as what is pushed there. Nothing else is allocated, and nothing recurses.
 *
 * Errors in the text are final: every later call gives the same error, and lk_json_error_offset()
 * says where it is. LK_ERR_TRUNCATED: the text ends too early. LK_ERR_SYNTAX: a byte that the
 * grammar does not allow. LK_ERR_UTF8, LK_ERR_DEPTH, and LK_ERR_TRAILING for bytes behind the
 * value. But LK_ERR_NOMEM leaves the reader where it was: the call may be repeated. */
#ifndef LK_CODEC_JSON_READER_H
#define LK_CODEC_JSON_READER_H

#include "base/base.h"
#include "codec/number.h"

/* The ceiling of json_depth in limits.def: one bit of the reader for each level. */
#define LK_JSON_DEPTH_MAX 512

typedef enum lk_json_kind {
  LK_JSON_ABSENT, /* no event; a member that the object does not have */
  LK_JSON_OBJECT_BEGIN,
  LK_JSON_OBJECT_END,
  LK_JSON_ARRAY_BEGIN,
  LK_JSON_ARRAY_END,
  LK_JSON_KEY,
  LK_JSON_STRING,
  LK_JSON_NUMBER,
  LK_JSON_TRUE,
  LK_JSON_FALSE,
  LK_JSON_NULL,
  LK_JSON_END /* the text is over and was good */
} lk_json_kind;

typedef struct lk_json_event {
  lk_json_kind kind;
  lk_slice raw;  /* its bytes in the text; a string with its quotes, a beginning as one bracket */
  lk_slice text; /* KEY and STRING: the decoded text */
  lk_number number; /* NUMBER: see codec/number.h */
} lk_json_event;

typedef struct lk_json_reader {
  lk_slice text;
  size_t pos;
  lk_arena *arena;
  uint32_t depth;
  uint32_t depth_max;
  uint8_t state; /* what may come next; see json_reader.c */
  lk_err err;
  size_t error_offset;
  uint32_t in_object[LK_JSON_DEPTH_MAX / 32]; /* bit i: is level i an object? */
} lk_json_reader;

/* Borrows |text| and |arena|. LK_ERR_TOO_BIG where the text is longer than json_bytes; the reader
 * is then a failed one. There is nothing to deinitialise. */
lk_err lk_json_reader_init(lk_json_reader *self, lk_slice text, const lk_limits *limits,
                           lk_arena *arena) LK_MUST_USE;

/* The next event. A text is known to be good only when LK_JSON_END has come, which is then given
 * again and again. On failure |out| is as before. */
lk_err lk_json_next(lk_json_reader *self, lk_json_event *out) LK_MUST_USE;

/* For callers who have read the one value they want: LK_OK where nothing but space is left. */
lk_err lk_json_finish(lk_json_reader *self) LK_MUST_USE;

/* Reads one whole value of any kind without decoding it; |raw| is its bytes, checked as strictly as
 * those of lk_json_next(), so that they can be passed on verbatim. LK_ERR_END where the array or
 * object has no more, which changes nothing: lk_json_next() gives its end. LK_ERR_STATE where a key
 * or the end of the text comes next, which changes nothing either. */
lk_err lk_json_skip_value(lk_json_reader *self, lk_slice *raw) LK_MUST_USE;

/* The rest of the value that began with |event|, the latest one that lk_json_next() gave: reads up
 * to the end of the array or object, or nothing for other values. |raw| is the whole value. For an
 * event that begins no value LK_ERR_TYPE, and nothing is read. */
lk_err lk_json_skip_rest(lk_json_reader *self, const lk_json_event *event,
                         lk_slice *raw) LK_MUST_USE;

/* Checks a whole text, without an arena. |offset| receives where the error is; it may be NULL. */
lk_err lk_json_check(lk_slice text, const lk_limits *limits, size_t *offset) LK_MUST_USE;

/* How many bytes of the text are before the error: those before the token that is wrong, or before
 * the byte in it where that is known. Of no meaning where there was no error. */
static inline size_t lk_json_error_offset(const lk_json_reader *self) { return self->error_offset; }

/* ---- the value of an event ---- */

/* All of these: LK_ERR_TYPE where the event is of another kind, and |out| is then as before. The
 * numbers: LK_ERR_RANGE where it does not fit, and LK_ERR_TYPE also for an integer that is not
 * written as one ("1.0"). */
lk_err lk_json_get_u64(const lk_json_event *event, uint64_t *out) LK_MUST_USE;
lk_err lk_json_get_i64(const lk_json_event *event, int64_t *out) LK_MUST_USE;
lk_err lk_json_get_f64(const lk_json_event *event, double *out) LK_MUST_USE;
lk_err lk_json_get_bool(const lk_json_event *event, bool *out) LK_MUST_USE;
lk_err lk_json_get_string(const lk_json_event *event, lk_slice *out) LK_MUST_USE;

/* ---- the members of one object, by name ---- */

/* The caller sets |name|; the rest is filled in. An array or object is given by its beginning, and
 * |raw| is all of it, for a reader of its own. */
typedef struct lk_json_member {
  lk_slice name;
  lk_json_event value; /* LK_JSON_ABSENT where there is no such member */
  lk_slice raw;
} lk_json_member;

/* Reads the object that comes next, whole, and gives those of its members that |members| names; the
 * others are checked and passed over. Takes time proportional to |count| for each member: meant
 * for a handful. LK_ERR_TYPE where a value of another kind comes next, LK_ERR_END and
 * LK_ERR_STATE as in lk_json_skip_value(): nothing is read then. On other errors |members| may be
 * filled in part. */
lk_err lk_json_read_members(lk_json_reader *self, lk_json_member *members,
                            size_t count) LK_MUST_USE;

#endif
