/* codec/json_bytes.h -- bytes as a JSON array of their numbers, as JavaScript makes one of an Uint8Array.
 *
 *     01 14 ff   <->   [1,20,255]
 *
 * The reader takes what JSON allows: space, and no number but the integers 0 to 255 in digits. */
#ifndef LK_CODEC_JSON_BYTES_H
#define LK_CODEC_JSON_BYTES_H

#include "base/buf.h"

/* Appends, without space. LK_ERR_TOO_BIG, and the errors of the buffer: it is then as before, but remembers its own. */
lk_err lk_json_append_bytes(lk_buf *out, lk_slice bytes);

/* Appends the bytes of the array |text|, all of it. LK_ERR_SYNTAX, LK_ERR_RANGE for a number above 255, the errors of the
 * buffer: |out| is then as before. */
lk_err lk_json_parse_bytes(lk_slice text, lk_buf *out) LK_MUST_USE;

#endif
