/* unit/crypto/crypto_suite.h -- what every provider must compute, as functions of a provider.
 *
 * The hashes, which all providers have; what only some have stands with its provider. The tests
 * around them are in crypto_vectors_test.c and unit/platform/crypto_native_test.c. */
#ifndef LK_TESTS_CRYPTO_SUITE_H
#define LK_TESTS_CRYPTO_SUITE_H

#include "crypto/crypto.h"
#include "unit/crypto/crypto_vectors.h"

typedef lk_err (*crypto_suite_digest)(const lk_crypto *, lk_slice, uint8_t *);

/* The message of a case, repeated as often as the case says. */
static inline lk_slice crypto_message(crypto_vectors *all, const crypto_vector *one) {
  lk_slice piece = crypto_bytes(one, "message");
  size_t repeat = (size_t)crypto_number(one, "repeat", 1);
  if (repeat == 1) return piece;
  uint8_t *bytes = lk_arena_push_bytes(&all->arena, piece.len * repeat);
  CHECK(bytes != NULL);
  for (size_t i = 0; i < repeat; i++) memcpy(bytes + i * piece.len, piece.ptr, piece.len);
  return lk_slice_of(bytes, piece.len * repeat);
}

static inline void crypto_suite_hash(const lk_crypto *crypto, const char *group,
                                     crypto_suite_digest hash, size_t len) {
  crypto_vectors all = crypto_vectors_read(group);
  all.arena.max = 4u << 20;
  for (size_t i = 0; i < all.count; i++) {
    uint8_t digest[LK_SHA256_LEN];
    crypto_note(&all.items[i]);
    CHECK_OK(hash(crypto, crypto_message(&all, &all.items[i]), digest));
    CHECK_SLICE(lk_slice_of(digest, len), crypto_bytes(&all.items[i], "digest"));
  }
  crypto_vectors_free(&all);
}

/* Each message also in two parts, cut everywhere. */
static inline void crypto_suite_hmac(const lk_crypto *crypto) {
  crypto_vectors all = crypto_vectors_read("hmac_sha256");
  for (size_t i = 0; i < all.count; i++) {
    const crypto_vector *one = &all.items[i];
    lk_slice key = crypto_bytes(one, "key"), message = crypto_bytes(one, "message");
    lk_slice mac = crypto_bytes(one, "mac");
    uint8_t got[LK_SHA256_LEN];
    crypto_note(one);
    CHECK_OK(lk_crypto_hmac_sha256(crypto, key, message, got));
    CHECK_SLICE(lk_slice_of(got, mac.len), mac);
    for (size_t cut = 0; cut <= message.len; cut++) {
      lk_slice parts[] = { lk_slice_first(message, cut), lk_slice_skip(message, cut) };
      CHECK_OK(lk_crypto_hmac_sha256_parts(crypto, key, parts, 2, got));
      CHECK_SLICE(lk_slice_of(got, mac.len), mac);
    }
  }
  crypto_vectors_free(&all);
}

static inline void crypto_suite_hkdf(const lk_crypto *crypto) {
  crypto_vectors all = crypto_vectors_read("hkdf_sha256");
  for (size_t i = 0; i < all.count; i++) {
    const crypto_vector *one = &all.items[i];
    lk_slice okm = crypto_bytes(one, "okm");
    uint8_t prk[LK_SHA256_LEN], got[128];
    crypto_note(one);
    CHECK_OK(lk_crypto_hkdf_sha256_extract(crypto, crypto_bytes(one, "salt"),
                                           crypto_bytes(one, "material"), prk));
    CHECK_SLICE(lk_slice_of(prk, sizeof prk), crypto_bytes(one, "prk"));
    CHECK(okm.len <= sizeof got);
    CHECK_OK(lk_crypto_hkdf_sha256_expand(crypto, prk, crypto_bytes(one, "info"), got, okm.len));
    CHECK_SLICE(lk_slice_of(got, okm.len), okm);
  }
  crypto_vectors_free(&all);
}

static inline void crypto_suite_pbkdf2(const lk_crypto *crypto) {
  crypto_vectors all = crypto_vectors_read("pbkdf2_sha256");
  for (size_t i = 0; i < all.count; i++) {
    const crypto_vector *one = &all.items[i];
    lk_slice key = crypto_bytes(one, "key");
    uint8_t got[128];
    CHECK(key.len <= sizeof got);
    crypto_note(one);
    CHECK_OK(lk_crypto_pbkdf2_sha256(crypto, crypto_bytes(one, "password"),
                                     crypto_bytes(one, "salt"),
                                     (uint32_t)crypto_number(one, "iterations", 0), got, key.len));
    CHECK_SLICE(lk_slice_of(got, key.len), key);
  }
  crypto_vectors_free(&all);
}

#endif
