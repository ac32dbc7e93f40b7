/* The functions in front of the table: what they promise whatever the provider does. The
 * providers here are made up for that: one that refuses everything after it wrote its output,
 * and ones that lack members. */
#include "crypto/crypto.h"
#include "harness/test.h"

#define OUT_LEN 65

/* What the refusing provider is told to return, in its context. */
static lk_err refuse(void *ctx, uint8_t *out, size_t len) {
  memset(out, 0x5a, len);
  return *(const lk_err *)ctx;
}
static lk_err refuse_random(void *ctx, uint8_t *out, size_t len) { return refuse(ctx, out, len); }
static lk_err refuse_sha1(void *ctx, const lk_slice *parts, size_t count,
                          uint8_t out[LK_SHA1_LEN]) {
  (void)parts;
  (void)count;
  return refuse(ctx, out, LK_SHA1_LEN);
}
static lk_err refuse_sha256(void *ctx, const lk_slice *parts, size_t count,
                            uint8_t out[LK_SHA256_LEN]) {
  (void)parts;
  (void)count;
  return refuse(ctx, out, LK_SHA256_LEN);
}
static lk_err refuse_hmac(void *ctx, lk_slice key, const lk_slice *parts, size_t count,
                          uint8_t out[LK_SHA256_LEN]) {
  (void)key;
  return refuse_sha256(ctx, parts, count, out);
}
static lk_err refuse_pbkdf2(void *ctx, lk_slice password, lk_slice salt, uint32_t iterations,
                            uint8_t *out, size_t len) {
  (void)password;
  (void)salt;
  (void)iterations;
  return refuse(ctx, out, len);
}
static lk_err refuse_public32(void *ctx, const uint8_t secret[32], uint8_t out[32]) {
  (void)secret;
  return refuse(ctx, out, 32);
}
static lk_err refuse_sign(void *ctx, const lk_ed25519_key *key, lk_slice message,
                          uint8_t out[LK_ED25519_SIGNATURE_LEN]) {
  (void)key;
  (void)message;
  return refuse(ctx, out, LK_ED25519_SIGNATURE_LEN);
}
static lk_err refuse_shared(void *ctx, const uint8_t secret[LK_X25519_LEN],
                            const uint8_t public_key[LK_X25519_LEN], uint8_t out[LK_X25519_LEN]) {
  (void)public_key;
  return refuse_public32(ctx, secret, out);
}
static lk_err refuse_p256_public(void *ctx, const uint8_t secret[LK_P256_SECRET_LEN],
                                 uint8_t out[LK_P256_PUBLIC_LEN]) {
  (void)secret;
  return refuse(ctx, out, LK_P256_PUBLIC_LEN);
}
static lk_err refuse_p256_sign(void *ctx, const uint8_t secret[LK_P256_SECRET_LEN],
                               const uint8_t digest[LK_SHA256_LEN],
                               uint8_t out[LK_P256_SIGNATURE_LEN]) {
  (void)secret;
  (void)digest;
  return refuse(ctx, out, LK_P256_SIGNATURE_LEN);
}
static lk_err refuse_seal(void *ctx, const uint8_t *key, const uint8_t *nonce, lk_slice ad,
                          lk_slice plain, uint8_t *out) {
  (void)key;
  (void)nonce;
  (void)ad;
  return refuse(ctx, out, plain.len + LK_AEAD_TAG_LEN);
}
static lk_err refuse_open(void *ctx, const uint8_t *key, const uint8_t *nonce, lk_slice ad,
                          lk_slice sealed, uint8_t *out) {
  (void)key;
  (void)nonce;
  (void)ad;
  return refuse(ctx, out, sealed.len - LK_AEAD_TAG_LEN);
}

static lk_crypto refusing(lk_err *err) {
  return (lk_crypto){
    .size = sizeof(lk_crypto),
    .name = "refusing",
    .ctx = err,
    .random = refuse_random,
    .sha1 = refuse_sha1,
    .sha256 = refuse_sha256,
    .hmac_sha256 = refuse_hmac,
    .pbkdf2_sha256 = refuse_pbkdf2,
    .ed25519_public = refuse_public32,
    .ed25519_sign = refuse_sign,
    .x25519_public = refuse_public32,
    .x25519_shared = refuse_shared,
    .p256_public = refuse_p256_public,
    .p256_sign = refuse_p256_sign,
    .aes256gcm_seal = refuse_seal,
    .aes256gcm_open = refuse_open,
    .xchacha20poly1305_seal = refuse_seal,
    .xchacha20poly1305_open = refuse_open,
  };
}

/* Calls every function that has an output, one for each index; |len| is how much it writes.
 * False past the last one. */
static const uint8_t some[OUT_LEN] = { 4 };
static bool call(const lk_crypto *c, unsigned index, uint8_t out[OUT_LEN], size_t *len,
                 lk_err *err) {
  lk_ed25519_key pair = { { 0 }, { 0 } };
  lk_slice text = lk_slice_of(some, 32);
  *len = 32;
  switch (index) {
  case 0: *err = lk_crypto_random(c, out, 32); return true;
  case 1:
    *err = lk_crypto_sha1(c, text, out);
    *len = LK_SHA1_LEN;
    return true;
  case 2: *err = lk_crypto_sha256(c, text, out); return true;
  case 3: *err = lk_crypto_sha256_parts(c, &text, 1, out); return true;
  case 4: *err = lk_crypto_hmac_sha256(c, text, text, out); return true;
  case 5: *err = lk_crypto_hmac_sha256_parts(c, text, &text, 1, out); return true;
  case 6: *err = lk_crypto_hkdf_sha256_extract(c, text, text, out); return true;
  case 7: *err = lk_crypto_hkdf_sha256_expand(c, some, text, out, 32); return true;
  case 8: *err = lk_crypto_pbkdf2_sha256(c, text, text, 1, out, 32); return true;
  case 9:
    *len = sizeof pair;
    memset(&pair, 0xee, sizeof pair);
    *err = lk_crypto_ed25519_key(c, some, &pair);
    memcpy(out, &pair, sizeof pair);
    return true;
  case 10:
    *err = lk_crypto_ed25519_sign(c, &pair, text, out);
    *len = 64;
    return true;
  case 11: *err = lk_crypto_x25519_public(c, some, out); return true;
  case 12: *err = lk_crypto_x25519_shared(c, some, some, out); return true;
  case 13:
    *err = lk_crypto_p256_public(c, some, out);
    *len = LK_P256_PUBLIC_LEN;
    return true;
  case 14:
    *err = lk_crypto_p256_sign(c, some, some, out);
    *len = 64;
    return true;
  case 15:
    *err = lk_crypto_aes256gcm_seal(c, some, some, text, text, out, 48);
    *len = 48;
    return true;
  case 16:
    *err = lk_crypto_aes256gcm_open(c, some, some, text, text, out, 16);
    *len = 16;
    return true;
  case 17:
    *err = lk_crypto_xchacha20poly1305_seal(c, some, some, text, text, out, 48);
    *len = 48;
    return true;
  case 18:
    *err = lk_crypto_xchacha20poly1305_open(c, some, some, text, text, out, 16);
    *len = 16;
    return true;
  default: return false;
  }
}

static bool all_bytes_are(const uint8_t *bytes, size_t len, uint8_t want) {
  for (size_t i = 0; i < len; i++) {
    if (bytes[i] != want) return false;
  }
  return true;
}

TEST(a_failed_call_passes_the_error_on_and_leaves_zeroes_and_nothing_else) {
  static const lk_err errors[] = { LK_ERR_AUTH, LK_ERR_KEY, LK_ERR_ENTROPY, LK_ERR_NOMEM };
  for (size_t e = 0; e < sizeof errors / sizeof *errors; e++) {
    lk_err told = errors[e], got;
    lk_crypto crypto = refusing(&told);
    uint8_t out[OUT_LEN];
    size_t len;
    for (unsigned i = 0; memset(out, 0xee, sizeof out), call(&crypto, i, out, &len, &got); i++) {
      test_note("function %u", i);
      CHECK_ERR(got, told);
      CHECK(all_bytes_are(out, len, 0));
      CHECK(all_bytes_are(out + len, sizeof out - len, 0xee));
    }
  }
}

static void check_unsupported(const lk_crypto *crypto) {
  lk_err got;
  uint8_t out[OUT_LEN];
  size_t len;
  for (unsigned i = 0; memset(out, 0xee, sizeof out), call(crypto, i, out, &len, &got); i++) {
    test_note("function %u", i);
    CHECK_ERR(got, LK_ERR_UNSUPPORTED);
    CHECK(all_bytes_are(out, sizeof out, 0xee));
  }
  CHECK_ERR(lk_crypto_ed25519_verify(crypto, some, LK_SLICE_EMPTY, out), LK_ERR_UNSUPPORTED);
  CHECK_ERR(lk_crypto_p256_verify(crypto, some, some, out), LK_ERR_UNSUPPORTED);
}

TEST(a_member_that_is_missing_is_unsupported_and_writes_nothing) {
  lk_crypto none = { .size = sizeof(lk_crypto) };
  check_unsupported(&none);
}

/* Goal: a provider built with older headers has a shorter table, and what lies behind its end is
 * somebody else's memory. Method: a full table that says it is short. */
TEST(members_past_the_size_of_the_table_are_not_looked_at) {
  lk_err told = LK_OK;
  lk_crypto older = refusing(&told);
  older.size = offsetof(lk_crypto, random);
  check_unsupported(&older);
  uint8_t out[LK_SHA256_LEN];
  older.size = offsetof(lk_crypto, sha256) + sizeof older.sha256;
  CHECK_OK(lk_crypto_sha256(&older, LK_SLICE_EMPTY, out));
  older.size--;
  CHECK_ERR(lk_crypto_sha256(&older, LK_SLICE_EMPTY, out), LK_ERR_UNSUPPORTED);
}

TEST(the_portable_provider_has_hashes_and_says_so_for_the_rest) {
  const lk_crypto *portable = lk_crypto_portable();
  uint8_t out[OUT_LEN];
  size_t len;
  lk_err got;
  for (unsigned i = 0; call(portable, i, out, &len, &got); i++) {
    test_note("function %u", i);
    CHECK_ERR(got, i >= 1 && i <= 8 ? LK_OK : LK_ERR_UNSUPPORTED);
  }
}

/* ---- lengths and ranges: the provider, which would refuse with AUTH, is not even asked ---- */

TEST(aead_refuses_outputs_of_the_wrong_length_before_it_writes) {
  lk_err told = LK_ERR_AUTH;
  lk_crypto crypto = refusing(&told);
  uint8_t out[OUT_LEN];
  lk_slice ad = LK_SLICE_EMPTY, plain = lk_slice_of(some, 10), sealed = lk_slice_of(some, 26);
  memset(out, 0xee, sizeof out);
  CHECK_ERR(lk_crypto_aes256gcm_seal(&crypto, some, some, ad, plain, out, 25), LK_ERR_INVALID);
  CHECK_ERR(lk_crypto_aes256gcm_open(&crypto, some, some, ad, sealed, out, 11), LK_ERR_INVALID);
  CHECK_ERR(lk_crypto_xchacha20poly1305_seal(&crypto, some, some, ad, plain, out, 27),
            LK_ERR_INVALID);
  CHECK_ERR(lk_crypto_xchacha20poly1305_open(&crypto, some, some, ad, sealed, out, 9),
            LK_ERR_INVALID);
  CHECK(all_bytes_are(out, sizeof out, 0xee));
}

/* A caller that subtracts 16 from 15 passes a huge |out_len|. */
TEST(opening_what_is_shorter_than_a_tag_fails_without_writing) {
  lk_err told = LK_OK;
  lk_crypto crypto = refusing(&told);
  uint8_t out[OUT_LEN];
  memset(out, 0xee, sizeof out);
  for (size_t len = 0; len < LK_AEAD_TAG_LEN; len++) {
    lk_slice sealed = lk_slice_of(some, len);
    CHECK_ERR(lk_crypto_aes256gcm_open(&crypto, some, some, LK_SLICE_EMPTY, sealed, out,
                                       len - LK_AEAD_TAG_LEN),
              LK_ERR_AUTH);
    CHECK_ERR(lk_crypto_xchacha20poly1305_open(&crypto, some, some, LK_SLICE_EMPTY, sealed, out, 0),
              LK_ERR_AUTH);
  }
  CHECK(all_bytes_are(out, sizeof out, 0xee));
}

static lk_err accept_ed25519(void *ctx, const uint8_t *public_key, lk_slice message,
                             const uint8_t *signature) {
  (void)ctx;
  (void)public_key;
  (void)message;
  (void)signature;
  return LK_OK;
}

/* The slices lie about their length; nobody may read them. */
TEST(messages_above_the_maximum_are_refused_before_anybody_reads_them) {
  lk_err told = LK_OK;
  lk_crypto crypto = refusing(&told);
  lk_ed25519_key pair = { { 0 }, { 0 } };
  uint8_t out[OUT_LEN];
  lk_slice huge = { some, LK_CRYPTO_MESSAGE_MAX + 1 }, none = LK_SLICE_EMPTY;
  lk_slice huge_sealed = { some, LK_CRYPTO_MESSAGE_MAX + 1 + LK_AEAD_TAG_LEN };
  crypto.ed25519_verify = accept_ed25519;
  CHECK_ERR(lk_crypto_ed25519_sign(&crypto, &pair, huge, out), LK_ERR_TOO_BIG);
  CHECK_ERR(lk_crypto_ed25519_verify(&crypto, some, huge, out), LK_ERR_TOO_BIG);
  CHECK_ERR(lk_crypto_aes256gcm_seal(&crypto, some, some, none, huge, out, huge.len + 16),
            LK_ERR_TOO_BIG);
  CHECK_ERR(lk_crypto_aes256gcm_seal(&crypto, some, some, huge, none, out, 16), LK_ERR_TOO_BIG);
  CHECK_ERR(lk_crypto_aes256gcm_open(&crypto, some, some, none, huge_sealed, out, huge.len),
            LK_ERR_TOO_BIG);
  CHECK_ERR(
      lk_crypto_xchacha20poly1305_open(&crypto, some, some, huge, lk_slice_of(some, 16), out, 0),
      LK_ERR_TOO_BIG);
}

TEST(key_derivation_refuses_lengths_and_counts_out_of_range) {
  static uint8_t out[LK_HKDF_SHA256_MAX + 1];
  const lk_crypto *portable = lk_crypto_portable();
  lk_slice text = LK_LIT("text");
  CHECK_OK(lk_crypto_hkdf_sha256_expand(portable, some, text, out, LK_HKDF_SHA256_MAX));
  CHECK_ERR(lk_crypto_hkdf_sha256_expand(portable, some, text, out, sizeof out), LK_ERR_RANGE);
  CHECK_OK(lk_crypto_hkdf_sha256_expand(portable, some, text, out, 0));
  CHECK_OK(lk_crypto_pbkdf2_sha256(portable, text, text, 1, out, LK_PBKDF2_MAX));
  CHECK_ERR(lk_crypto_pbkdf2_sha256(portable, text, text, 0, out, 32), LK_ERR_RANGE);
  CHECK_ERR(lk_crypto_pbkdf2_sha256(portable, text, text, LK_PBKDF2_ITERATIONS_MAX + 1, out, 32),
            LK_ERR_RANGE);
  CHECK_ERR(lk_crypto_pbkdf2_sha256(portable, text, text, 1, out, 0), LK_ERR_RANGE);
  CHECK_ERR(lk_crypto_pbkdf2_sha256(portable, text, text, 1, out, LK_PBKDF2_MAX + 1), LK_ERR_RANGE);
}

/* RFC 5869: the output for a shorter length is the beginning of that for a longer one. */
TEST(hkdf_outputs_of_all_lengths_begin_alike) {
  uint8_t longest[LK_SHA256_LEN * 3 + 5], got[sizeof longest + 1];
  const lk_crypto *portable = lk_crypto_portable();
  CHECK_OK(lk_crypto_hkdf_sha256_expand(portable, some, LK_LIT("i"), longest, sizeof longest));
  for (size_t len = 0; len <= sizeof longest; len++) {
    memset(got, 0xee, sizeof got);
    CHECK_OK(lk_crypto_hkdf_sha256_expand(portable, some, LK_LIT("i"), got, len));
    CHECK(len == 0 || memcmp(got, longest, len) == 0);
    CHECK_U64(got[len], 0xee);
  }
}

static lk_err zero_shared(void *ctx, const uint8_t *secret, const uint8_t *public_key,
                          uint8_t *out) {
  (void)ctx;
  (void)secret;
  (void)public_key;
  memset(out, 0, LK_X25519_LEN);
  return LK_OK;
}

TEST(a_shared_secret_of_zeroes_is_refused_even_where_the_provider_took_it) {
  lk_crypto lax = { .size = sizeof(lk_crypto), .x25519_shared = zero_shared };
  uint8_t out[LK_X25519_LEN];
  CHECK_ERR(lk_crypto_x25519_shared(&lax, some, some, out), LK_ERR_KEY);
}

static lk_err accept_p256(void *ctx, const uint8_t *public_key, const uint8_t *digest,
                          const uint8_t *signature) {
  (void)ctx;
  (void)public_key;
  (void)digest;
  (void)signature;
  return LK_OK;
}

TEST(p256_takes_points_in_one_form_only) {
  lk_crypto lax = { .size = sizeof(lk_crypto), .p256_verify = accept_p256 };
  uint8_t point[LK_P256_PUBLIC_LEN] = { 0 }, signature[LK_P256_SIGNATURE_LEN] = { 0 };
  for (unsigned first = 0; first < 256; first++) {
    point[0] = (uint8_t)first;
    CHECK_ERR(lk_crypto_p256_verify(&lax, point, some, signature), first == 4 ? LK_OK : LK_ERR_KEY);
  }
}

/* ---- secrets in memory ---- */

PROPERTY(comparing_finds_every_single_flipped_bit) {
  uint8_t a[64], b[64];
  size_t len = gen_bytes(g, a, sizeof a);
  if (len > 0) memcpy(b, a, len);
  CHECK(lk_crypto_equal(a, b, len));
  if (len == 0) return;
  b[gen_below(g, (uint32_t)len)] ^= (uint8_t)(1u << gen_below(g, 8));
  CHECK(!lk_crypto_equal(a, b, len));
}

TEST(wiping_zeroes_the_bytes_that_it_was_given_and_no_others) {
  uint8_t bytes[40];
  for (size_t len = 0; len <= 32; len++) {
    memset(bytes, 0xee, sizeof bytes);
    lk_crypto_wipe(bytes + 4, len);
    CHECK(all_bytes_are(bytes, 4, 0xee));
    CHECK(all_bytes_are(bytes + 4, len, 0));
    CHECK(all_bytes_are(bytes + 4 + len, sizeof bytes - 4 - len, 0xee));
  }
}
