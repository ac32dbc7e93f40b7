/* codec/json_writer.h -- JSON, written token by token onto the end of a buffer.
 *
 *   lk_json_writer w;
 *   lk_json_writer_init(&w, &buf);
 *   lk_json_begin_object(&w);
 *   lk_json_write_key(&w, LK_LIT("status"));
 *   lk_json_write_string(&w, status);
 *   lk_json_end_object(&w);
 *   return lk_json_writer_finish(&w);
 *
 * Writes one value, without spaces, and escapes what JSON.stringify escapes: quotes, backslashes
 * and control characters. Commas and colons are put where they belong. What stands in the wrong
 * place (a value in an object without its key, an end that fits no beginning) is a mistake in our
 * own code and asserted; bad data is an error.
 *
 * The first error is remembered and what is written afterwards is ignored, so that it is enough to
 * look at lk_json_writer_finish(). All or nothing: on failure that call cuts the buffer back to
 * the length which it had at lk_json_writer_init(). */
#ifndef LK_CODEC_JSON_WRITER_H
#define LK_CODEC_JSON_WRITER_H

#include "base/base.h"

/* Open objects and arrays at the same time; one bit each. */
#define LK_JSON_WRITER_DEPTH_MAX 512

typedef struct lk_json_writer {
  lk_buf *buf;
  size_t start; /* the length that |buf| had */
  uint32_t depth;
  uint8_t state;   /* what may come next; see json_writer.c */
  bool buf_failed; /* before the writer came */
  lk_err err;
  uint32_t in_object[LK_JSON_WRITER_DEPTH_MAX / 32];
} lk_json_writer;

/* Borrows |buf|, which must not be changed by others until the writer is finished. An error that
 * the buffer already has stays in it and is the writer's as well. */
void lk_json_writer_init(lk_json_writer *self, lk_buf *buf);

/* Asserts that exactly one value was written. LK_OK, or the first error, of a write or of the
 * buffer: LK_ERR_LIMIT, LK_ERR_NOMEM; what was written is then removed, and the buffer can be used
 * again, unless it had failed before the writer came. */
lk_err lk_json_writer_finish(lk_json_writer *self);

/* Each of the following returns LK_OK or the writer's first error. */

/* LK_ERR_DEPTH where LK_JSON_WRITER_DEPTH_MAX are open. */
lk_err lk_json_begin_object(lk_json_writer *self);
lk_err lk_json_end_object(lk_json_writer *self);
lk_err lk_json_begin_array(lk_json_writer *self);
lk_err lk_json_end_array(lk_json_writer *self);

/* LK_ERR_UTF8 where the text is not valid. Nobody looks whether a key occurs twice. |text| may
 * not point into the buffer. */
lk_err lk_json_write_key(lk_json_writer *self, lk_slice text);
lk_err lk_json_write_string(lk_json_writer *self, lk_slice text);

/* All 64 bits, also where JavaScript's numbers would not hold them. */
lk_err lk_json_write_u64(lk_json_writer *self, uint64_t value);
lk_err lk_json_write_i64(lk_json_writer *self, int64_t value);

/* As JSON.stringify writes it, -0 as 0. LK_ERR_INVALID for NaN and the infinities. */
lk_err lk_json_write_f64(lk_json_writer *self, double value);
lk_err lk_json_write_bool(lk_json_writer *self, bool value);
lk_err lk_json_write_null(lk_json_writer *self);

/* |json| as it is, where a value may stand. It must be one JSON text, such as the raw bytes that a
 * reader gave; that is believed, not checked, except that it is not empty. */
lk_err lk_json_write_raw(lk_json_writer *self, lk_slice json);

#endif
