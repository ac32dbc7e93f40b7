/* crypto/hmac.c -- HMAC = H((key ^ opad) || H((key ^ ipad) || message)).
 *
 * The key fills exactly one block: shorter ones are padded with zeroes, longer ones hashed first.
 * Both hashes therefore begin with a block that depends on the key alone, and init has mixed both
 * in already. What remains is two contexts, which is also the form in which PBKDF2 wants them. */
#include "crypto/hmac.h"

static void begin(lk_sha256 *hash, const uint8_t key[LK_SHA256_BLOCK_LEN], uint8_t pad) {
  uint8_t block[LK_SHA256_BLOCK_LEN];
  for (size_t i = 0; i < sizeof block; i++) block[i] = key[i] ^ pad;
  lk_sha256_init(hash);
  lk_sha256_update(hash, lk_slice_of(block, sizeof block));
  lk_crypto_wipe(block, sizeof block);
}

void lk_hmac_sha256_init(lk_hmac_sha256 *self, lk_slice key) {
  uint8_t block[LK_SHA256_BLOCK_LEN] = { 0 };
  if (key.len > sizeof block) {
    lk_sha256_init(&self->inner);
    lk_sha256_update(&self->inner, key);
    lk_sha256_final(&self->inner, block);
  } else if (key.len > 0) {
    memcpy(block, key.ptr, key.len);
  }
  begin(&self->inner, block, 0x36);
  begin(&self->outer, block, 0x5c);
  lk_crypto_wipe(block, sizeof block);
}

void lk_hmac_sha256_update(lk_hmac_sha256 *self, lk_slice data) {
  lk_sha256_update(&self->inner, data);
}

void lk_hmac_sha256_final(lk_hmac_sha256 *self, uint8_t out[LK_SHA256_LEN]) {
  uint8_t digest[LK_SHA256_LEN];
  lk_sha256_final(&self->inner, digest);
  lk_sha256_update(&self->outer, lk_slice_of(digest, sizeof digest));
  lk_sha256_final(&self->outer, out);
  lk_crypto_wipe(digest, sizeof digest);
}
