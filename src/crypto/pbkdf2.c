/* crypto/pbkdf2.c -- a password, made slow to guess.
 *
 *   U(1) = HMAC(password, salt || number:u32)     U(i) = HMAC(password, U(i-1))
 *   block number := U(1) ^ U(2) ^ ... ^ U(iterations)
 *
 * Who defends pays for each iteration what an attacker pays, so ours must not cost more than his:
 * exactly two compressions. The first block of both hashes of an HMAC depends on the password
 * only and is mixed in once. What follows is always 32 bytes, so that message and padding fill one
 * block, of which only the first half ever changes:
 *
 *   block := U(i-1) or inner digest:32 | 0x80 | zeroes:23 | bits:u64, (64 + 32) * 8
 */
#include "crypto/pbkdf2.h"

#include "crypto/hmac.h"

/* Hashes the 32 bytes at the front of |block| from |start| on, back to the same place. */
static void step(const uint32_t start[8], uint8_t block[LK_SHA256_BLOCK_LEN]) {
  uint32_t state[8];
  memcpy(state, start, sizeof state);
  lk_sha256_blocks(state, block, 1);
  for (size_t i = 0; i < 8; i++) lk_store_be32(block + i * 4, state[i]);
  lk_crypto_wipe(state, sizeof state);
}

/* Block |number| of the output. |keyed| has the password worked in, and no message. */
static void derive_block(const lk_hmac_sha256 *keyed, lk_slice salt, uint32_t number,
                         uint32_t iterations, uint8_t out[LK_SHA256_LEN]) {
  uint8_t block[LK_SHA256_BLOCK_LEN] = { [LK_SHA256_LEN] = 0x80 };
  lk_store_be64(block + 56, (LK_SHA256_BLOCK_LEN + LK_SHA256_LEN) * 8);

  uint8_t index[4];
  lk_store_be32(index, number);
  lk_hmac_sha256 first = *keyed;
  lk_hmac_sha256_update(&first, salt);
  lk_hmac_sha256_update(&first, lk_slice_of(index, sizeof index));
  lk_hmac_sha256_final(&first, block);
  memcpy(out, block, LK_SHA256_LEN);

  for (uint32_t i = 1; i < iterations; i++) {
    step(keyed->inner.state, block);
    step(keyed->outer.state, block);
    for (size_t k = 0; k < LK_SHA256_LEN; k++) out[k] ^= block[k];
  }
  lk_crypto_wipe(block, sizeof block);
}

void lk_pbkdf2_sha256(lk_slice password, lk_slice salt, uint32_t iterations, uint8_t *out,
                      size_t len) {
  LK_ASSERT(iterations > 0 && len > 0 && len <= LK_PBKDF2_MAX);
  lk_hmac_sha256 keyed;
  uint8_t block[LK_SHA256_LEN];
  lk_hmac_sha256_init(&keyed, password);
  uint32_t number = 1;
  for (size_t off = 0; off < len; off += sizeof block) {
    derive_block(&keyed, salt, number++, iterations, block);
    memcpy(out + off, block, lk_min_size(len - off, sizeof block));
  }
  lk_crypto_wipe(&keyed, sizeof keyed);
  lk_crypto_wipe(block, sizeof block);
}
