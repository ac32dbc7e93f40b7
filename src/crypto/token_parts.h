/* crypto/token_parts.h -- what Phoenix's signed tokens and JSON Web Tokens have in common:
 *
 *   header "." payload "." signature        each in base64url without padding
 *
 * The signature is made over the text of the first two with the dot between them. For the two
 * modules beside this one. */
#ifndef LK_CRYPTO_TOKEN_PARTS_H
#define LK_CRYPTO_TOKEN_PARTS_H

#include "base/base.h"

typedef struct lk_token_parts {
  lk_slice header;
  lk_slice payload;
  lk_slice signature;
  lk_slice signed_text; /* header, dot, payload */
} lk_token_parts;

/* LK_ERR_TOKEN_MISSING for an empty text, LK_ERR_TOO_BIG above |bytes_max|, LK_ERR_TOKEN_INVALID
 * for anything but three parts. The parts are borrowed from |text|. */
lk_err lk_token_parts_of(lk_slice text, uint32_t bytes_max, lk_token_parts *out) LK_MUST_USE;

/* Pushes the bytes of |text|. LK_ERR_TOKEN_INVALID where it is not the one base64url of some bytes. */
lk_err lk_token_parts_bytes(lk_slice text, lk_arena *arena, lk_slice *out) LK_MUST_USE;

/* What a failed step of reading a token means to the caller: no memory, or no token. */
static inline lk_err lk_token_refusal(lk_err err) {
  return err == LK_OK || err == LK_ERR_NOMEM ? err : LK_ERR_TOKEN_INVALID;
}

#endif
