/* codec/hex.h -- bytes as pairs of hexadecimal digits. */
#ifndef LK_CODEC_HEX_H
#define LK_CODEC_HEX_H

#include "base/buf.h"

/* The value of one digit in either case, or -1. */
int lk_hex_digit(uint8_t character);

/* Appends lower case digits. Errors are the buffer's, and remembered by it. */
lk_err lk_hex_encode(lk_buf *out, lk_slice bytes);

/* Writes 2 * bytes.len lower case digits to |out|, without a NUL. */
void lk_hex_store(uint8_t *out, lk_slice bytes);

/* Appends the bytes of |text|, digits in either case. LK_ERR_SYNTAX for anything but an even
 * number of digits: then |out| is as before. */
lk_err lk_hex_decode(lk_buf *out, lk_slice text) LK_MUST_USE;

#endif
