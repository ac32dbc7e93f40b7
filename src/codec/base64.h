/* codec/base64.h -- RFC 4648's base64, in both alphabets, with one text for each bytes.
 *
 * The decoder is strict: no white space, no bits behind the last byte, padding only as the form
 * allows it. So a text that is accepted is the only one of its form for these bytes (with
 * LK_BASE64_PAD_OPTIONAL: one of two), and may be compared or signed. */
#ifndef LK_CODEC_BASE64_H
#define LK_CODEC_BASE64_H

#include "base/buf.h"

typedef enum lk_base64_alphabet {
  LK_BASE64_STANDARD, /* + and / */
  LK_BASE64_URL,      /* - and _ */
} lk_base64_alphabet;

typedef enum lk_base64_padding {
  LK_BASE64_PAD_REQUIRED,  /* to a multiple of four characters with = */
  LK_BASE64_PAD_FORBIDDEN, /* as in JSON Web Tokens */
  LK_BASE64_PAD_OPTIONAL,  /* for decoding: either, but not half of it; encodes with padding */
} lk_base64_padding;

typedef struct lk_base64_form {
  lk_base64_alphabet alphabet;
  lk_base64_padding padding;
} lk_base64_form;

#define LK_BASE64_FORM_STANDARD ((lk_base64_form){ LK_BASE64_STANDARD, LK_BASE64_PAD_REQUIRED })
#define LK_BASE64_FORM_URL ((lk_base64_form){ LK_BASE64_URL, LK_BASE64_PAD_FORBIDDEN })

/* Appends. Errors are the buffer's, and remembered by it. */
lk_err lk_base64_encode(lk_buf *out, lk_slice bytes, lk_base64_form form);

/* Appends the bytes of |text|. LK_ERR_SYNTAX for a character, length or padding that the form
 * does not allow; LK_ERR_NOT_CANONICAL where bits behind the last byte are not 0. Then |out| is
 * as before. */
lk_err lk_base64_decode(lk_buf *out, lk_slice text, lk_base64_form form) LK_MUST_USE;

#endif
