/* crypto/sha256.h -- SHA-256 (FIPS 180-4), step by step, in plain C.
 *
 * For bytes that arrive over time, and for HMAC. What is in memory already goes through
 * lk_crypto_sha256() or lk_crypto_sha256_parts(), where a provider may use the processor's own
 * instructions; the results are the same.
 *
 * init, then update any number of times, then final once, which leaves the struct wiped: init it
 * again before the next message. A context may be copied by assignment in mid-message, and then
 * both go on by themselves. Nothing can fail, nothing is allocated. */
#ifndef LK_CRYPTO_SHA256_H
#define LK_CRYPTO_SHA256_H

#include "crypto/crypto.h"

#define LK_SHA256_BLOCK_LEN 64

typedef struct lk_sha256 {
  uint32_t state[8];
  uint64_t total; /* bytes so far; fewer than 2^61 */
  uint8_t pending[LK_SHA256_BLOCK_LEN];
} lk_sha256;

void lk_sha256_init(lk_sha256 *self);
void lk_sha256_update(lk_sha256 *self, lk_slice data);
void lk_sha256_final(lk_sha256 *self, uint8_t out[LK_SHA256_LEN]);

/* The compression function alone: mixes |count| blocks of 64 bytes into |state|. For HMAC. */
void lk_sha256_blocks(uint32_t state[8], const uint8_t *blocks, size_t count);

#endif
