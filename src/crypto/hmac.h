/* crypto/hmac.h -- HMAC-SHA-256 (RFC 2104) in plain C, step by step.
 *
 * The key is worked in at init and not needed afterwards; a context that was initialised, but
 * not updated, may be copied by assignment to authenticate many messages under one key. final
 * wipes the struct. Nothing can fail. To compare two results use lk_crypto_equal(). */
#ifndef LK_CRYPTO_HMAC_H
#define LK_CRYPTO_HMAC_H

#include "crypto/sha256.h"

typedef struct lk_hmac_sha256 {
  lk_sha256 inner;
  lk_sha256 outer;
} lk_hmac_sha256;

void lk_hmac_sha256_init(lk_hmac_sha256 *self, lk_slice key);
void lk_hmac_sha256_update(lk_hmac_sha256 *self, lk_slice data);
void lk_hmac_sha256_final(lk_hmac_sha256 *self, uint8_t out[LK_SHA256_LEN]);

#endif
