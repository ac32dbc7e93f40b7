/* The native provider: the published vectors, what must be refused, agreement with the portable
 * provider and with libsodium's own composition, and a library without memory. */
#include "platform/providers/crypto_native.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <sodium.h>
#include <stdlib.h>

#include "unit/crypto/crypto_suite.h"

/* ---- OpenSSL's heap, which the test can make fail ---- */

static struct {
  bool armed;
  uint64_t left; /* allocations that succeed before one fails, once armed */
  bool failed;
} heap;

static bool heap_fails(void) {
  if (!heap.armed || heap.failed || heap.left-- > 0) return false;
  heap.failed = true;
  return true;
}
static void *heap_alloc(size_t size, const char *file, int line) {
  (void)file;
  (void)line;
  return heap_fails() ? NULL : malloc(size);
}
static void *heap_resize(void *ptr, size_t size, const char *file, int line) {
  (void)file;
  (void)line;
  return heap_fails() ? NULL : realloc(ptr, size);
}
static void heap_free(void *ptr, const char *file, int line) {
  (void)file;
  (void)line;
  free(ptr);
}

/* Must come before the library's first allocation. */
__attribute__((constructor)) static void heap_install(void) {
  if (CRYPTO_set_mem_functions(heap_alloc, heap_resize, heap_free) != 1) abort();
}

/* ---- a provider for a test ---- */

typedef struct fixture {
  lk_crypto_native *native;
  const lk_crypto *crypto;
} fixture;

static fixture setup(void) {
  fixture f;
  CHECK_OK(lk_crypto_native_open(test_alloc(), &f.native));
  f.crypto = lk_crypto_native_table(f.native);
  return f;
}

/* A refusal leaves no reason behind in the thread's queue, where it would confuse others. */
static void teardown(fixture *f) {
  CHECK(ERR_peek_error() == 0);
  lk_crypto_native_close(f->native);
}

static bool all_zero(const uint8_t *bytes, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if (bytes[i] != 0) return false;
  }
  return true;
}

static void flip(uint8_t *bytes, size_t bit) { bytes[bit / 8] ^= (uint8_t)(1u << bit % 8); }

/* ---- hashes ---- */

TEST(native_sha1_gives_the_published_digests) {
  fixture f = setup();
  crypto_suite_hash(f.crypto, "sha1", lk_crypto_sha1, LK_SHA1_LEN);
  teardown(&f);
}

TEST(native_sha256_gives_the_published_digests) {
  fixture f = setup();
  crypto_suite_hash(f.crypto, "sha256", lk_crypto_sha256, LK_SHA256_LEN);
  teardown(&f);
}

TEST(native_hmac_gives_the_published_codes_wherever_the_message_is_cut) {
  fixture f = setup();
  crypto_suite_hmac(f.crypto);
  teardown(&f);
}

TEST(native_hkdf_gives_the_published_keys) {
  fixture f = setup();
  crypto_suite_hkdf(f.crypto);
  teardown(&f);
}

TEST(native_pbkdf2_gives_the_published_keys) {
  fixture f = setup();
  crypto_suite_pbkdf2(f.crypto);
  teardown(&f);
}

#define SAME(call_native, call_portable, len)                                                      \
  do {                                                                                             \
    CHECK_OK(call_native);                                                                         \
    CHECK_OK(call_portable);                                                                       \
    CHECK_SLICE(lk_slice_of(one, (len)), lk_slice_of(two, (len)));                                 \
  } while (0)

/* Goal: a browser and a server hash alike, for every length of key and message.
 * Method: all lengths up to three blocks, the native object used for one after the other, so that
 * what it keeps between calls would show. */
TEST(native_and_portable_hashes_agree) {
  fixture f = setup();
  const lk_crypto *portable = lk_crypto_portable();
  uint8_t bytes[300], one[70], two[70];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 13 + 5);
  for (size_t len = 0; len <= 200; len++) {
    lk_slice data = lk_slice_of(bytes, len), key = lk_slice_of(bytes + 100, 200 - len);
    lk_slice parts[] = { data, key, data };
    SAME(lk_crypto_sha1(f.crypto, data, one), lk_crypto_sha1(portable, data, two), LK_SHA1_LEN);
    SAME(lk_crypto_sha256(f.crypto, data, one), lk_crypto_sha256(portable, data, two),
         LK_SHA256_LEN);
    SAME(lk_crypto_sha256_parts(f.crypto, parts, 3, one),
         lk_crypto_sha256_parts(portable, parts, 3, two), LK_SHA256_LEN);
    SAME(lk_crypto_hmac_sha256_parts(f.crypto, key, parts, 3, one),
         lk_crypto_hmac_sha256_parts(portable, key, parts, 3, two), LK_SHA256_LEN);
    SAME(lk_crypto_pbkdf2_sha256(f.crypto, key, data, 3, one, 1 + len % 70),
         lk_crypto_pbkdf2_sha256(portable, key, data, 3, two, 1 + len % 70), 1 + len % 70);
  }
  teardown(&f);
}

/* EVP reads a missing key as "the one of last time". */
TEST(an_empty_hmac_key_is_not_the_key_of_the_call_before) {
  fixture f = setup();
  uint8_t one[LK_SHA256_LEN], two[LK_SHA256_LEN];
  CHECK_OK(lk_crypto_hmac_sha256(f.crypto, LK_LIT("another key"), LK_LIT("message"), one));
  SAME(lk_crypto_hmac_sha256(f.crypto, LK_SLICE_EMPTY, LK_LIT("message"), one),
       lk_crypto_hmac_sha256(lk_crypto_portable(), LK_SLICE_EMPTY, LK_LIT("message"), two),
       LK_SHA256_LEN);
  SAME(lk_crypto_hmac_sha256(f.crypto, LK_LIT("k"), LK_SLICE_EMPTY, one),
       lk_crypto_hmac_sha256(lk_crypto_portable(), LK_LIT("k"), LK_SLICE_EMPTY, two),
       LK_SHA256_LEN);
  teardown(&f);
}

/* ---- Ed25519 ---- */

TEST(native_ed25519_gives_the_published_keys_and_signatures) {
  fixture f = setup();
  crypto_vectors all = crypto_vectors_read("ed25519");
  for (size_t i = 0; i < all.count; i++) {
    const crypto_vector *one = &all.items[i];
    lk_slice message = crypto_bytes(one, "message");
    lk_ed25519_key key;
    uint8_t signature[LK_ED25519_SIGNATURE_LEN];
    crypto_note(one);
    CHECK_OK(lk_crypto_ed25519_key(f.crypto, crypto_array(one, "seed", 32), &key));
    CHECK_SLICE(lk_slice_of(key.public_key, 32), crypto_bytes(one, "public"));
    CHECK_OK(lk_crypto_ed25519_sign(f.crypto, &key, message, signature));
    CHECK_SLICE(lk_slice_of(signature, 64), crypto_bytes(one, "signature"));
    CHECK_OK(lk_crypto_ed25519_verify(f.crypto, key.public_key, message, signature));
  }
  crypto_vectors_free(&all);
  teardown(&f);
}

static const uint8_t seed[32] = { 1, 2, 3 };

TEST(native_ed25519_refuses_every_flipped_bit) {
  fixture f = setup();
  lk_ed25519_key key;
  uint8_t signature[LK_ED25519_SIGNATURE_LEN], message[] = "a record of the log";
  lk_slice text = lk_slice_of(message, sizeof message);
  CHECK_OK(lk_crypto_ed25519_key(f.crypto, seed, &key));
  CHECK_OK(lk_crypto_ed25519_sign(f.crypto, &key, text, signature));

  struct {
    uint8_t *bytes;
    size_t len;
  } parts[] = { { signature, sizeof signature },
                { key.public_key, 32 },
                { message, sizeof message } };
  for (size_t p = 0; p < 3; p++) {
    for (size_t bit = 0; bit < parts[p].len * 8; bit++) {
      test_note("part %zu bit %zu", p, bit);
      flip(parts[p].bytes, bit);
      CHECK_ERR(lk_crypto_ed25519_verify(f.crypto, key.public_key, text, signature), LK_ERR_AUTH);
      flip(parts[p].bytes, bit);
    }
  }
  CHECK_OK(lk_crypto_ed25519_verify(f.crypto, key.public_key, text, signature));
  teardown(&f);
}

/* S and S + L are the same scalar: who accepts both lets anybody make a second signature. */
TEST(native_ed25519_refuses_s_plus_the_order) {
  static const uint8_t order[32] = {
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10,
  };
  fixture f = setup();
  crypto_vectors all = crypto_vectors_read("ed25519");
  for (size_t i = 0; i < all.count; i++) {
    const crypto_vector *one = &all.items[i];
    uint8_t signature[LK_ED25519_SIGNATURE_LEN];
    unsigned carry = 0;
    crypto_note(one);
    memcpy(signature, crypto_array(one, "signature", 64), 64);
    for (size_t k = 0; k < 32; k++) {
      carry += (unsigned)signature[32 + k] + order[k];
      signature[32 + k] = (uint8_t)carry;
      carry >>= 8;
    }
    CHECK(carry == 0);
    CHECK_ERR(lk_crypto_ed25519_verify(f.crypto, crypto_array(one, "public", 32),
                                       crypto_bytes(one, "message"), signature),
              LK_ERR_AUTH);
  }
  crypto_vectors_free(&all);
  teardown(&f);
}

/* With the neutral element as key, R = neutral and S = 0 satisfy the equation for any message. */
TEST(native_ed25519_refuses_a_key_under_which_everything_is_signed) {
  fixture f = setup();
  uint8_t neutral[32] = { 1 }, signature[64] = { 1 };
  CHECK_ERR(lk_crypto_ed25519_verify(f.crypto, neutral, LK_LIT("anything"), signature),
            LK_ERR_AUTH);
  teardown(&f);
}

/* ---- X25519 ---- */

TEST(native_x25519_gives_the_published_secrets) {
  fixture f = setup();
  uint8_t got[LK_X25519_LEN];
  crypto_vectors all = crypto_vectors_read("x25519");
  for (size_t i = 0; i < all.count; i++) {
    crypto_note(&all.items[i]);
    CHECK_OK(lk_crypto_x25519_shared(f.crypto, crypto_array(&all.items[i], "secret", 32),
                                     crypto_array(&all.items[i], "public", 32), got));
    CHECK_SLICE(lk_slice_of(got, 32), crypto_bytes(&all.items[i], "shared"));
  }
  crypto_vectors_free(&all);
  all = crypto_vectors_read("x25519_public");
  for (size_t i = 0; i < all.count; i++) {
    crypto_note(&all.items[i]);
    CHECK_OK(lk_crypto_x25519_public(f.crypto, crypto_array(&all.items[i], "secret", 32), got));
    CHECK_SLICE(lk_slice_of(got, 32), crypto_bytes(&all.items[i], "public"));
  }
  crypto_vectors_free(&all);
  teardown(&f);
}

TEST(native_x25519_gives_the_published_results_when_iterated) {
  fixture f = setup();
  crypto_vectors all = crypto_vectors_read("x25519_iterated");
  for (size_t i = 0; i < all.count; i++) {
    uint8_t k[32] = { 9 }, u[32] = { 9 }, next[32];
    crypto_note(&all.items[i]);
    for (uint64_t n = crypto_number(&all.items[i], "count", 0); n > 0; n--) {
      CHECK_OK(lk_crypto_x25519_shared(f.crypto, k, u, next));
      memcpy(u, k, sizeof u);
      memcpy(k, next, sizeof k);
    }
    CHECK_SLICE(lk_slice_of(k, 32), crypto_bytes(&all.items[i], "result"));
  }
  crypto_vectors_free(&all);
  teardown(&f);
}

TEST(native_x25519_refuses_points_of_small_order) {
  fixture f = setup();
  crypto_vectors all = crypto_vectors_read("x25519_refused");
  for (size_t i = 0; i < all.count; i++) {
    uint8_t got[LK_X25519_LEN];
    memset(got, 0xee, sizeof got);
    crypto_note(&all.items[i]);
    CHECK_ERR(
        lk_crypto_x25519_shared(f.crypto, seed, crypto_array(&all.items[i], "public", 32), got),
        LK_ERR_KEY);
    CHECK(all_zero(got, sizeof got));
  }
  crypto_vectors_free(&all);
  teardown(&f);
}

/* ---- P-256 ---- */

TEST(native_p256_gives_the_published_keys_and_accepts_the_published_signatures) {
  fixture f = setup();
  crypto_vectors all = crypto_vectors_read("p256");
  for (size_t i = 0; i < all.count; i++) {
    const crypto_vector *one = &all.items[i];
    uint8_t key[LK_P256_PUBLIC_LEN], digest[LK_SHA256_LEN], signature[LK_P256_SIGNATURE_LEN];
    const uint8_t *secret = crypto_array(one, "secret", 32);
    crypto_note(one);
    CHECK_OK(lk_crypto_p256_public(f.crypto, secret, key));
    CHECK_SLICE(lk_slice_of(key, sizeof key), crypto_bytes(one, "public"));
    CHECK_OK(lk_crypto_sha256(f.crypto, crypto_bytes(one, "message"), digest));
    CHECK_OK(lk_crypto_p256_verify(f.crypto, key, digest, crypto_array(one, "signature", 64)));
    CHECK_OK(lk_crypto_p256_sign(f.crypto, secret, digest, signature));
    CHECK_OK(lk_crypto_p256_verify(f.crypto, key, digest, signature));
  }
  crypto_vectors_free(&all);
  teardown(&f);
}

/* Enough signatures that some r or s has a leading zero, which DER leaves out (one in 128). */
TEST(native_p256_accepts_its_own_signatures_whatever_their_leading_zeroes) {
  fixture f = setup();
  uint8_t key[LK_P256_PUBLIC_LEN], digest[LK_SHA256_LEN] = { 0 };
  uint8_t signature[LK_P256_SIGNATURE_LEN];
  unsigned short_halves = 0;
  CHECK_OK(lk_crypto_p256_public(f.crypto, seed, key));
  for (unsigned i = 0; i < 20000 && short_halves < 3; i++) {
    digest[0] = (uint8_t)i;
    CHECK_OK(lk_crypto_p256_sign(f.crypto, seed, digest, signature));
    CHECK_OK(lk_crypto_p256_verify(f.crypto, key, digest, signature));
    if (signature[0] == 0 || signature[32] == 0) short_halves++;
  }
  CHECK_U64(short_halves, 3);
  teardown(&f);
}

TEST(native_p256_refuses_every_flipped_bit) {
  fixture f = setup();
  uint8_t key[LK_P256_PUBLIC_LEN], digest[LK_SHA256_LEN] = { 7 };
  uint8_t signature[LK_P256_SIGNATURE_LEN];
  CHECK_OK(lk_crypto_p256_public(f.crypto, seed, key));
  CHECK_OK(lk_crypto_p256_sign(f.crypto, seed, digest, signature));
  for (size_t bit = 0; bit < sizeof signature * 8; bit++) {
    flip(signature, bit);
    CHECK_ERR(lk_crypto_p256_verify(f.crypto, key, digest, signature), LK_ERR_AUTH);
    flip(signature, bit);
  }
  for (size_t bit = 0; bit < sizeof digest * 8; bit++) {
    flip(digest, bit);
    CHECK_ERR(lk_crypto_p256_verify(f.crypto, key, digest, signature), LK_ERR_AUTH);
    flip(digest, bit);
  }
  for (size_t bit = 0; bit < sizeof key * 8; bit++) { /* a point next to one is on no curve */
    flip(key, bit);
    CHECK_ERR(lk_crypto_p256_verify(f.crypto, key, digest, signature), LK_ERR_KEY);
    flip(key, bit);
  }
  CHECK_OK(lk_crypto_p256_verify(f.crypto, key, digest, signature));
  teardown(&f);
}

static const uint8_t p256_order[32] = {
  0xff, 0xff, 0xff, 0xff, 0,    0,    0,    0,    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
  0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
};

TEST(native_p256_refuses_halves_that_are_zero_or_not_below_the_order) {
  fixture f = setup();
  uint8_t key[LK_P256_PUBLIC_LEN], digest[LK_SHA256_LEN] = { 7 };
  uint8_t good[LK_P256_SIGNATURE_LEN], bad[LK_P256_SIGNATURE_LEN];
  static const uint8_t zero[32];
  uint8_t ones[32];
  memset(ones, 0xff, sizeof ones);
  const uint8_t *halves[] = { zero, p256_order, ones };
  CHECK_OK(lk_crypto_p256_public(f.crypto, seed, key));
  CHECK_OK(lk_crypto_p256_sign(f.crypto, seed, digest, good));
  for (size_t i = 0; i < 3; i++) {
    for (size_t half = 0; half < 2; half++) {
      memcpy(bad, good, sizeof bad);
      memcpy(bad + half * 32, halves[i], 32);
      CHECK_ERR(lk_crypto_p256_verify(f.crypto, key, digest, bad), LK_ERR_AUTH);
    }
  }
  memset(bad, 0, sizeof bad);
  CHECK_ERR(lk_crypto_p256_verify(f.crypto, key, digest, bad), LK_ERR_AUTH);
  teardown(&f);
}

TEST(native_p256_refuses_points_off_the_curve_and_other_forms) {
  fixture f = setup();
  uint8_t digest[LK_SHA256_LEN] = { 7 }, signature[LK_P256_SIGNATURE_LEN];
  CHECK_OK(lk_crypto_p256_sign(f.crypto, seed, digest, signature));
  crypto_vectors all = crypto_vectors_read("p256_refused");
  for (size_t i = 0; i < all.count; i++) {
    crypto_note(&all.items[i]);
    CHECK_ERR(lk_crypto_p256_verify(f.crypto,
                                    crypto_array(&all.items[i], "public", LK_P256_PUBLIC_LEN),
                                    digest, signature),
              LK_ERR_KEY);
  }
  crypto_vectors_free(&all);
  teardown(&f);
}

TEST(native_p256_refuses_secrets_out_of_range) {
  fixture f = setup();
  uint8_t out[LK_P256_PUBLIC_LEN], digest[LK_SHA256_LEN] = { 7 };
  crypto_vectors all = crypto_vectors_read("p256_secret_refused");
  for (size_t i = 0; i < all.count; i++) {
    const uint8_t *secret = crypto_array(&all.items[i], "secret", 32);
    crypto_note(&all.items[i]);
    CHECK_ERR(lk_crypto_p256_public(f.crypto, secret, out), LK_ERR_KEY);
    CHECK_ERR(lk_crypto_p256_sign(f.crypto, secret, digest, out), LK_ERR_KEY);
  }
  crypto_vectors_free(&all);
  uint8_t greatest[32];
  memcpy(greatest, p256_order, 32);
  greatest[31]--;
  CHECK_OK(lk_crypto_p256_public(f.crypto, greatest, out));
  teardown(&f);
}

/* ---- authenticated encryption ---- */

typedef lk_err (*aead)(const lk_crypto *, const uint8_t *key, const uint8_t *nonce, lk_slice ad,
                       lk_slice in, uint8_t *out, size_t out_len);
typedef struct aead_kind {
  const char *name;
  size_t nonce_len;
  aead seal, open;
} aead_kind;

static const aead_kind kinds[] = {
  { "aes256gcm", LK_AES256GCM_NONCE_LEN, lk_crypto_aes256gcm_seal, lk_crypto_aes256gcm_open },
  { "xchacha20poly1305", LK_XCHACHA20_NONCE_LEN, lk_crypto_xchacha20poly1305_seal,
    lk_crypto_xchacha20poly1305_open },
};

#define SEALED_MAX 256

/* A sealing with all its inputs, in memory that a test may spoil. */
typedef struct sealing {
  const aead_kind *kind;
  uint8_t key[LK_AEAD_KEY_LEN];
  uint8_t nonce[LK_XCHACHA20_NONCE_LEN];
  uint8_t ad[SEALED_MAX], plain[SEALED_MAX], sealed[SEALED_MAX + LK_AEAD_TAG_LEN];
  size_t ad_len, plain_len;
} sealing;

static lk_err open_into(const lk_crypto *crypto, const sealing *s, uint8_t *out) {
  return s->kind->open(crypto, s->key, s->nonce, lk_slice_of(s->ad, s->ad_len),
                       lk_slice_of(s->sealed, s->plain_len + LK_AEAD_TAG_LEN), out, s->plain_len);
}

static lk_err seal_into(const lk_crypto *crypto, const sealing *s, uint8_t *out) {
  return s->kind->seal(crypto, s->key, s->nonce, lk_slice_of(s->ad, s->ad_len),
                       lk_slice_of(s->plain, s->plain_len), out, s->plain_len + LK_AEAD_TAG_LEN);
}

static void load(sealing *s, const aead_kind *kind, const crypto_vector *one) {
  lk_slice ad = crypto_bytes(one, "ad"), plain = crypto_bytes(one, "plain");
  *s = (sealing){ .kind = kind, .ad_len = ad.len, .plain_len = plain.len };
  CHECK(ad.len <= SEALED_MAX && plain.len <= SEALED_MAX);
  memcpy(s->key, crypto_array(one, "key", LK_AEAD_KEY_LEN), LK_AEAD_KEY_LEN);
  memcpy(s->nonce, crypto_array(one, "nonce", kind->nonce_len), kind->nonce_len);
  memcpy(s->ad, ad.ptr, ad.len);
  memcpy(s->plain, plain.ptr, plain.len);
  memcpy(s->sealed, crypto_array(one, "sealed", plain.len + LK_AEAD_TAG_LEN),
         plain.len + LK_AEAD_TAG_LEN);
}

static void check_sealing(const lk_crypto *crypto, const sealing *s) {
  size_t sealed_len = s->plain_len + LK_AEAD_TAG_LEN;
  lk_slice plain = lk_slice_of(s->plain, s->plain_len);
  uint8_t got[SEALED_MAX + LK_AEAD_TAG_LEN];
  CHECK_OK(seal_into(crypto, s, got));
  CHECK_SLICE(lk_slice_of(got, sealed_len), lk_slice_of(s->sealed, sealed_len));
  CHECK_OK(open_into(crypto, s, got));
  CHECK_SLICE(lk_slice_of(got, s->plain_len), plain);

  sealing place = *s;
  memcpy(place.sealed, place.plain, place.plain_len);
  CHECK_OK(place.kind->seal(crypto, s->key, s->nonce, lk_slice_of(s->ad, s->ad_len),
                            lk_slice_of(place.sealed, s->plain_len), place.sealed, sealed_len));
  CHECK_SLICE(lk_slice_of(place.sealed, sealed_len), lk_slice_of(s->sealed, sealed_len));
  CHECK_OK(open_into(crypto, &place, place.sealed));
  CHECK_SLICE(lk_slice_of(place.sealed, s->plain_len), plain);
}

TEST(native_aeads_give_the_published_bytes_also_in_place) {
  fixture f = setup();
  for (size_t k = 0; k < 2; k++) {
    crypto_vectors all = crypto_vectors_read(kinds[k].name);
    for (size_t i = 0; i < all.count; i++) {
      sealing s;
      crypto_note(&all.items[i]);
      load(&s, &kinds[k], &all.items[i]);
      check_sealing(f.crypto, &s);
    }
    crypto_vectors_free(&all);
  }
  teardown(&f);
}

/* libsodium's HChaCha20 is half of our XChaCha20. */
TEST(the_subkey_derivation_that_we_build_on_gives_the_published_key) {
  crypto_vectors all = crypto_vectors_read("hchacha20");
  for (size_t i = 0; i < all.count; i++) {
    uint8_t subkey[32];
    CHECK(crypto_core_hchacha20(subkey, crypto_array(&all.items[i], "nonce", 16),
                                crypto_array(&all.items[i], "key", 32), NULL) == 0);
    CHECK_SLICE(lk_slice_of(subkey, 32), crypto_bytes(&all.items[i], "subkey"));
  }
  crypto_vectors_free(&all);
}

static void check_every_flip(const lk_crypto *crypto, sealing *s) {
  struct {
    const char *name;
    uint8_t *bytes;
    size_t len;
  } parts[] = {
    { "key", s->key, sizeof s->key },
    { "nonce", s->nonce, s->kind->nonce_len },
    { "ad", s->ad, s->ad_len },
    { "sealed", s->sealed, s->plain_len + LK_AEAD_TAG_LEN },
  };
  uint8_t out[SEALED_MAX];
  for (size_t p = 0; p < sizeof parts / sizeof *parts; p++) {
    for (size_t bit = 0; bit < parts[p].len * 8; bit++) {
      test_note("%s: %s bit %zu", s->kind->name, parts[p].name, bit);
      memset(out, 0xee, sizeof out);
      flip(parts[p].bytes, bit);
      CHECK_ERR(open_into(crypto, s, out), LK_ERR_AUTH);
      flip(parts[p].bytes, bit);
      CHECK(all_zero(out, s->plain_len));
      CHECK_U64(out[s->plain_len], 0xee);
    }
  }
  CHECK_OK(open_into(crypto, s, out));
}

TEST(native_aeads_refuse_every_flipped_bit_and_leave_zeroes) {
  fixture f = setup();
  for (size_t k = 0; k < 2; k++) {
    crypto_vectors all = crypto_vectors_read(kinds[k].name);
    for (size_t i = 0; i < all.count; i++) {
      sealing s;
      load(&s, &kinds[k], &all.items[i]);
      check_every_flip(f.crypto, &s);
    }
    crypto_vectors_free(&all);
  }
  teardown(&f);
}

TEST(native_aeads_refuse_sealed_bytes_that_were_cut_or_lengthened) {
  fixture f = setup();
  for (size_t k = 0; k < 2; k++) {
    sealing s = { .kind = &kinds[k], .ad_len = 5, .plain_len = 100 };
    uint8_t sealed[SEALED_MAX] = { 0 }, out[SEALED_MAX];
    CHECK_OK(seal_into(f.crypto, &s, sealed));
    for (size_t len = 0; len <= 140; len++) {
      size_t out_len = len < LK_AEAD_TAG_LEN ? 0 : len - LK_AEAD_TAG_LEN;
      CHECK_ERR(s.kind->open(f.crypto, s.key, s.nonce, lk_slice_of(s.ad, s.ad_len),
                             lk_slice_of(sealed, len), out, out_len),
                len == 116 ? LK_OK : LK_ERR_AUTH);
    }
    /* What moves from the associated data to the text is noticed. */
    CHECK_ERR(s.kind->open(f.crypto, s.key, s.nonce, lk_slice_of(s.ad, s.ad_len - 1),
                           lk_slice_of(sealed, 116), out, 100),
              LK_ERR_AUTH);
  }
  teardown(&f);
}

/* Goal: our composition of HChaCha20 and OpenSSL's cipher is libsodium's XChaCha20-Poly1305, and
 * one object serves both ciphers in any order. Method: all lengths around the cipher's blocks. */
TEST(native_xchacha_agrees_with_libsodium_at_every_length) {
  fixture f = setup();
  sealing s = { .kind = &kinds[1] }, other = { .kind = &kinds[0], .plain_len = 20 };
  for (size_t i = 0; i < SEALED_MAX; i++) s.plain[i] = (uint8_t)(i * 5 + 1);
  for (size_t i = 0; i < SEALED_MAX; i++) s.ad[i] = (uint8_t)(i * 11 + 3);
  for (size_t len = 0; len <= SEALED_MAX; len++) {
    s.plain_len = len;
    s.ad_len = SEALED_MAX - len;
    s.key[len % 32]++;
    s.nonce[len % 24]++;
    CHECK(crypto_aead_xchacha20poly1305_ietf_encrypt(s.sealed, NULL, s.plain, len, s.ad, s.ad_len,
                                                     NULL, s.nonce, s.key) == 0);
    check_sealing(f.crypto, &s);
    CHECK_OK(seal_into(f.crypto, &other, other.sealed));
    check_sealing(f.crypto, &other);
  }
  teardown(&f);
}

TEST(native_aeads_seal_and_open_a_megabyte) {
  enum { LEN = 1 << 20 };
  fixture f = setup();
  uint8_t key[32] = { 1 }, nonce[24] = { 2 };
  uint8_t *bytes = malloc(LEN + LK_AEAD_TAG_LEN);
  CHECK(bytes != NULL);
  for (size_t k = 0; k < 2; k++) {
    memset(bytes, 0x5a, LEN);
    CHECK_OK(kinds[k].seal(f.crypto, key, nonce, LK_SLICE_EMPTY, lk_slice_of(bytes, LEN), bytes,
                           LEN + LK_AEAD_TAG_LEN));
    CHECK(bytes[LEN - 1] != 0x5a || bytes[LEN - 2] != 0x5a);
    CHECK_OK(kinds[k].open(f.crypto, key, nonce, LK_SLICE_EMPTY,
                           lk_slice_of(bytes, LEN + LK_AEAD_TAG_LEN), bytes, LEN));
    for (size_t i = 0; i < LEN; i++) CHECK(bytes[i] == 0x5a);
  }
  free(bytes);
  teardown(&f);
}

/* ---- random bytes, the object, and no memory ---- */

TEST(native_random_bytes_differ_and_fill_all_that_was_asked_for) {
  enum { LEN = 1 << 16 };
  fixture f = setup();
  static uint8_t one[LEN + 1], two[LEN];
  unsigned seen[256] = { 0 };
  one[LEN] = 0xee;
  CHECK_OK(lk_crypto_random(f.crypto, one, 0));
  CHECK_OK(lk_crypto_random(f.crypto, one, LEN));
  CHECK_OK(lk_crypto_random(f.crypto, two, LEN));
  CHECK(memcmp(one, two, LEN) != 0);
  CHECK(!all_zero(one + LEN - 16, 16));
  CHECK_U64(one[LEN], 0xee);
  for (size_t i = 0; i < LEN; i++) seen[one[i]]++;
  for (size_t i = 0; i < 256; i++) CHECK(seen[i] > 128 && seen[i] < 512); /* 256, 8 sigma */
  teardown(&f);
}

TEST(the_native_provider_has_every_member_of_the_table) {
  fixture f = setup();
  CHECK_U64(f.crypto->size, sizeof(lk_crypto));
  const uint8_t *member = (const uint8_t *)f.crypto + offsetof(lk_crypto, random);
  for (; member < (const uint8_t *)f.crypto + sizeof(lk_crypto); member += sizeof(void *)) {
    CHECK(!all_zero(member, sizeof(void *)));
  }
  teardown(&f);
}

/* Every operation once, with inputs for which it succeeds. LK_OK or the first error. */
typedef lk_err (*operation)(const lk_crypto *);
static const uint8_t forty_eight[48];
static uint8_t result[1024];

static lk_err run_sha256(const lk_crypto *c) {
  return lk_crypto_sha256(c, lk_slice_of(forty_eight, 48), result);
}
static lk_err run_hmac(const lk_crypto *c) {
  return lk_crypto_hmac_sha256(c, lk_slice_of(forty_eight, 48), LK_LIT("m"), result);
}
static lk_err run_pbkdf2(const lk_crypto *c) {
  return lk_crypto_pbkdf2_sha256(c, LK_LIT("p"), LK_LIT("s"), 2, result, 64);
}
static lk_err run_p256_public(const lk_crypto *c) { return lk_crypto_p256_public(c, seed, result); }
static lk_err run_p256_sign(const lk_crypto *c) {
  return lk_crypto_p256_sign(c, seed, forty_eight, result);
}
/* LK_OK where a signature of |digest| is accepted, which is right for the first one only. */
static lk_err verify_digest(const lk_crypto *c, const uint8_t *digest) {
  static uint8_t key[LK_P256_PUBLIC_LEN], signature[LK_P256_SIGNATURE_LEN];
  if (key[0] == 0) {
    bool armed = heap.armed;
    heap.armed = false;
    CHECK_OK(lk_crypto_p256_public(c, seed, key));
    CHECK_OK(lk_crypto_p256_sign(c, seed, forty_eight, signature));
    heap.armed = armed;
  }
  return lk_crypto_p256_verify(c, key, digest, signature);
}
/* What is refused as it should be counts as success, what is accepted as corrupt. */
static lk_err expect_auth(lk_err err) {
  return err == LK_ERR_AUTH ? LK_OK : err == LK_OK ? LK_ERR_CORRUPT : err;
}
static lk_err run_p256_verify(const lk_crypto *c) { return verify_digest(c, forty_eight); }
static lk_err run_p256_refuse(const lk_crypto *c) { return expect_auth(verify_digest(c, seed)); }
static lk_err run_aead_refuse(const lk_crypto *c) {
  return expect_auth(lk_crypto_aes256gcm_open(c, seed, forty_eight, LK_SLICE_EMPTY,
                                              lk_slice_of(forty_eight, 48), result, 32));
}
static lk_err run_aead(const lk_crypto *c, const aead_kind *kind) {
  lk_slice plain = lk_slice_of(forty_eight, 48);
  lk_err err = kind->seal(c, seed, forty_eight, plain, plain, result, 64);
  if (err != LK_OK) return err;
  return kind->open(c, seed, forty_eight, plain, lk_slice_of(result, 64), result, 48);
}
static lk_err run_aes256gcm(const lk_crypto *c) { return run_aead(c, &kinds[0]); }
static lk_err run_xchacha20poly1305(const lk_crypto *c) { return run_aead(c, &kinds[1]); }

static const struct {
  const char *name;
  operation run;
} operations[] = {
  { "sha256", run_sha256 },           { "hmac", run_hmac },
  { "pbkdf2", run_pbkdf2 },           { "p256_public", run_p256_public },
  { "p256_sign", run_p256_sign },     { "p256_verify", run_p256_verify },
  { "p256_refuse", run_p256_refuse }, { "aead_refuse", run_aead_refuse },
  { "aes256gcm", run_aes256gcm },     { "xchacha20poly1305", run_xchacha20poly1305 },
};

/* Opens, runs one operation and closes while OpenSSL's allocation number |allowed| + 1 fails. */
static lk_err run_starved(operation run, uint64_t allowed, bool starve_open) {
  lk_crypto_native *native;
  heap.left = allowed;
  heap.failed = false;
  heap.armed = starve_open;
  lk_err err = lk_crypto_native_open(test_alloc(), &native);
  if (err == LK_OK) {
    heap.armed = true;
    err = run(lk_crypto_native_table(native));
  } else {
    CHECK(native == NULL);
  }
  heap.armed = false;
  CHECK(ERR_peek_error() == 0 || err == LK_OK);
  ERR_clear_error();
  lk_crypto_native_close(native);
  return err;
}

/* Goal: no memory in the library is an error of ours, not a crash, a leak or a false answer; and
 * the next call is as if nothing had been. Method: fail the 1st, 2nd, ... allocation of one
 * operation until none fails. OpenSSL may get along without some of them, and calls it missing
 * entropy where its generator found no memory. */
TEST(native_operations_survive_a_library_without_memory) {
  for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
    CHECK_OK(run_starved(operations[i].run, UINT64_MAX, false)); /* its one-time initialisation */
    for (uint64_t allowed = 0;; allowed++) {
      lk_err err = run_starved(operations[i].run, allowed, false);
      if (!heap.failed) break;
      bool signing = operations[i].run == run_p256_sign;
      if (err != LK_OK && err != LK_ERR_NOMEM && !(signing && err == LK_ERR_ENTROPY)) {
        test_fail(LK_FILE, __LINE__, "%s said %s when allocation %llu failed", operations[i].name,
                  lk_err_name(err), (unsigned long long)allowed);
      }
      CHECK_OK(run_starved(operations[i].run, UINT64_MAX, false));
    }
  }
}

TEST(native_open_fails_cleanly_at_each_allocation_of_the_library) {
  CHECK_OK(run_starved(run_sha256, UINT64_MAX, true));
  uint64_t failures = 0;
  for (uint64_t allowed = 0;; allowed++) {
    lk_err err = run_starved(run_sha256, allowed, true);
    if (!heap.failed) break;
    CHECK(err == LK_OK || err == LK_ERR_NOMEM || err == LK_ERR_UNSUPPORTED);
    failures += err != LK_OK;
  }
  CHECK(failures > 0);
}

static void *no_memory(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  (void)ctx;
  (void)ptr;
  (void)old_size;
  (void)new_size;
  return NULL;
}

TEST(native_open_without_memory_gives_no_object_and_closing_none_is_allowed) {
  static const lk_alloc none = { no_memory, NULL };
  lk_crypto_native *native = (lk_crypto_native *)(void *)result;
  CHECK_ERR(lk_crypto_native_open(&none, &native), LK_ERR_NOMEM);
  CHECK(native == NULL);
  lk_crypto_native_close(native);
}

TEST(two_objects_do_not_disturb_each_other) {
  fixture one = setup(), two = setup();
  CHECK_OK(run_aes256gcm(one.crypto));
  teardown(&one);
  CHECK_OK(run_aes256gcm(two.crypto));
  CHECK_OK(run_p256_verify(two.crypto));
  teardown(&two);
}
