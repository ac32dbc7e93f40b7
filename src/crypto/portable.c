/* crypto/portable.c -- the provider that is always there: the hashes, in plain C. */
#include "crypto/crypto.h"
#include "crypto/hmac.h"
#include "crypto/pbkdf2.h"
#include "crypto/sha1.h"
#include "crypto/sha256.h"

static lk_err sha1(void *ctx, const lk_slice *parts, size_t count, uint8_t out[LK_SHA1_LEN]) {
  (void)ctx;
  lk_sha1 hash;
  lk_sha1_init(&hash);
  for (size_t i = 0; i < count; i++) lk_sha1_update(&hash, parts[i]);
  lk_sha1_final(&hash, out);
  return LK_OK;
}

static lk_err sha256(void *ctx, const lk_slice *parts, size_t count, uint8_t out[LK_SHA256_LEN]) {
  (void)ctx;
  lk_sha256 hash;
  lk_sha256_init(&hash);
  for (size_t i = 0; i < count; i++) lk_sha256_update(&hash, parts[i]);
  lk_sha256_final(&hash, out);
  return LK_OK;
}

static lk_err hmac_sha256(void *ctx, lk_slice key, const lk_slice *parts, size_t count,
                          uint8_t out[LK_SHA256_LEN]) {
  (void)ctx;
  lk_hmac_sha256 hmac;
  lk_hmac_sha256_init(&hmac, key);
  for (size_t i = 0; i < count; i++) lk_hmac_sha256_update(&hmac, parts[i]);
  lk_hmac_sha256_final(&hmac, out);
  return LK_OK;
}

static lk_err pbkdf2_sha256(void *ctx, lk_slice password, lk_slice salt, uint32_t iterations,
                            uint8_t *out, size_t len) {
  (void)ctx;
  lk_pbkdf2_sha256(password, salt, iterations, out, len);
  return LK_OK;
}

static const lk_crypto portable = {
  .size = sizeof(lk_crypto),
  .name = "portable",
  .sha1 = sha1,
  .sha256 = sha256,
  .hmac_sha256 = hmac_sha256,
  .pbkdf2_sha256 = pbkdf2_sha256,
};

const lk_crypto *lk_crypto_portable(void) { return &portable; }
