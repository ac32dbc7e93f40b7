/* codec/any.h -- lib0's `any`: JSON's values and four more, read as a stream.
 *
 *   value  := 127 (undefined) | 126 (null) | 125 varint | 124 float32 | 123 float64
 *           | 122 bigInt64 | 121 (false) | 120 (true) | 119 varString
 *           | 118 count (varString value)*          object
 *           | 117 count value*                      array
 *           | 116 varUint8Array
 *
 * A value comes as a sequence of items, as in
 *
 *   { a: [1] }    OBJECT_BEGIN count 1, KEY "a", ARRAY_BEGIN count 1, NUMBER 1, ARRAY_END,
 *                 OBJECT_END
 *
 * Nothing is allocated and nothing recurses: the stack is an array that the caller lends. Counts
 * are checked against what is left of the input before they are handed out, so a caller may
 * reserve room for |count| children of one container (not for the sum over nested ones, unless
 * it bounds that sum). Keys come in the order of the bytes; one that occurs twice comes twice,
 * and JavaScript keeps the last. */
#ifndef LK_CODEC_ANY_H
#define LK_CODEC_ANY_H

#include "base/buf.h"
#include "codec/reader.h"

/* The most frames that a reader can use, the ceiling of the limit any_depth. */
#define LK_ANY_DEPTH_MAX 512

typedef enum lk_any_kind {
  LK_ANY_UNDEFINED,
  LK_ANY_NULL,
  LK_ANY_BOOL,
  LK_ANY_NUMBER, /* a JavaScript number, whichever of the three ways it is written in */
  LK_ANY_BIGINT,
  LK_ANY_STRING,
  LK_ANY_BYTES,
  LK_ANY_ARRAY_BEGIN,
  LK_ANY_ARRAY_END,
  LK_ANY_OBJECT_BEGIN,
  LK_ANY_OBJECT_END,
  LK_ANY_KEY,
} lk_any_kind;

typedef struct lk_any_item {
  lk_any_kind kind;
  uint32_t count; /* ARRAY_BEGIN: elements; OBJECT_BEGIN: pairs */
  union {
    bool boolean;
    double number;
    int64_t bigint;
    lk_slice bytes; /* STRING, KEY (both valid UTF-8), BYTES; borrowed from the input */
  } as;
} lk_any_item;

typedef struct lk_any_frame {
  uint32_t left; /* children that are still to come */
  bool keyed;    /* an object */
  bool has_key;  /* its key was read, the value comes next */
} lk_any_frame;

/* Reads one value. The struct may not be copied while it reads, since |in| is shared. */
typedef struct lk_any_reader {
  lk_reader *in;
  lk_any_frame *frames;
  uint32_t depth_max;
  uint32_t depth;
  bool done;
  bool canonical; /* see lk_any_is_canonical() */
} lk_any_reader;

/* |in| and |frames|, an array of |depth_max|, stay the caller's and must outlive the reading.
 * |depth_max| is 0 to LK_ANY_DEPTH_MAX: 0 allows no array and no object. */
void lk_any_reader_init(lk_any_reader *self, lk_reader *in, lk_any_frame *frames,
                        uint32_t depth_max);

/* The next item. LK_ERR_END once the value is complete: |in| then stands right behind it. Errors:
 * LK_ERR_TRUNCATED (also for a count that cannot be true), LK_ERR_CORRUPT for an unknown type,
 * LK_ERR_DEPTH, LK_ERR_UTF8, and those of a varint. Then |in|, the reader and |out| are as
 * before the call; what came earlier has been read. */
lk_err lk_any_decode(lk_any_reader *self, lk_any_item *out) LK_MUST_USE;

/* Whether lib0 would write the very bytes that were read so far: shortest varints, and the
 * number's one form. The order of keys and keys that come twice are not looked at. */
static inline bool lk_any_is_canonical(const lk_any_reader *self) { return self->canonical; }

/* One item alone: a value, or the beginning of a container, of which nothing is remembered. |*canonical| becomes false where
 * lib0 would write other bytes, and else is as before. On an error so are |in| and |out|. */
lk_err lk_any_item_decode(lk_reader *in, lk_any_item *out, bool *canonical) LK_MUST_USE;

/* Checks a whole value and hands out its bytes, for those who keep values as they came.
 * |canonical| as above; it may be NULL. Uses some 4 KiB of stack. */
lk_err lk_any_span_decode(lk_reader *in, uint32_t depth_max, lk_slice *out,
                          bool *canonical) LK_MUST_USE;

/* Appending. A container is its begin, with the number of children, followed by that many
 * values, or pairs of key and value. Errors are the buffer's and it remembers them. Text must be
 * valid UTF-8. */
lk_err lk_any_encode_undefined(lk_buf *out);
lk_err lk_any_encode_null(lk_buf *out);
lk_err lk_any_encode_bool(lk_buf *out, bool value);
lk_err lk_any_encode_number(lk_buf *out, double value); /* picks lib0's form */
lk_err lk_any_encode_bigint(lk_buf *out, int64_t value);
lk_err lk_any_encode_string(lk_buf *out, lk_slice text);
lk_err lk_any_encode_bytes(lk_buf *out, lk_slice bytes);
lk_err lk_any_encode_array_begin(lk_buf *out, uint32_t count);
lk_err lk_any_encode_object_begin(lk_buf *out, uint32_t count);
lk_err lk_any_encode_key(lk_buf *out, lk_slice text);

/* Any of the above, as it came from lk_any_decode(); the ends write nothing. */
lk_err lk_any_encode(lk_buf *out, const lk_any_item *item);

#endif
