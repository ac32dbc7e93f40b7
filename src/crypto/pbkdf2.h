/* crypto/pbkdf2.h -- PBKDF2-HMAC-SHA-256 (RFC 8018) in plain C. */
#ifndef LK_CRYPTO_PBKDF2_H
#define LK_CRYPTO_PBKDF2_H

#include "crypto/crypto.h"

/* |iterations| and |len| must not be 0. Takes about 2 * iterations * (len / 32 rounded up)
 * compressions of SHA-256. Nothing can fail. Callers with a provider use
 * lk_crypto_pbkdf2_sha256(), which also limits the work. */
void lk_pbkdf2_sha256(lk_slice password, lk_slice salt, uint32_t iterations, uint8_t *out,
                      size_t len);

#endif
