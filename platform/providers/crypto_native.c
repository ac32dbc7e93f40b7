/* platform/providers/crypto_native.c -- which library does what, and why.
 *
 * Measured on one core of a server with SHA and AES instructions, microseconds (Debian 12,
 * OpenSSL 3.0.22, libsodium 1.0.18), the better one chosen:
 *
 *                                   OpenSSL (EVP)      libsodium
 *   SHA-256, 64 bytes / 1 MB           0.10 / 520        0.30 / 2240    OpenSSL
 *   HMAC-SHA-256, 64 bytes             0.34              0.80           OpenSSL
 *   PBKDF2, 10,000 iterations          1900              none           OpenSSL
 *   Ed25519 sign / verify, 200 bytes   49 / 65           13 / 36        libsodium
 *   X25519 shared                      52                28             libsodium
 *   XChaCha20-Poly1305, 1 KB / 1 MB    0.67 / 208        1.06 / 666     both, see below
 *   AES-256-GCM, 1 KB / 1 MB           0.56 / 190        (not timed)    OpenSSL
 *   P-256 sign / verify                28 / 48           none           OpenSSL
 *
 * OpenSSL's numbers hold with algorithms fetched once and contexts used again: with a fetch and a
 * new context in each call the hash of 64 bytes takes 0.31.
 *
 * Ed25519 is libsodium's for a second reason. The RFC leaves open which odd keys and signatures
 * (small order, not reduced) to accept, and libraries differ. Replicas must not; libsodium's
 * rules are strict, and a provider for the browser has to follow the same ones.
 *
 * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha section 2) is ChaCha20-Poly1305 with a derived key:
 *
 *   subkey := HChaCha20(key, nonce[0..16])          libsodium has it, OpenSSL does not
 *   sealed := ChaCha20-Poly1305(subkey, 0:u32 || nonce[16..24], ...)     OpenSSL is faster
 *
 * Errors: a function of OpenSSL returns 1 or it failed. Its reasons go to a queue of the thread,
 * which is nobody else's to find; each failed call empties it.
 *
 * Not chosen: EVP_PKEY for Ed25519 and X25519 with keys kept between calls, which would close
 * some of the gap, for a cache that has to be wiped and bounded. */
#include "platform/providers/crypto_native.h"

#include <errno.h>
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/obj_mac.h>
#include <openssl/params.h>
#include <sodium.h>
#include <sys/random.h>

#include "base/alloc.h"

struct lk_crypto_native {
  lk_crypto table;
  const lk_alloc *alloc;
  EVP_MD *sha1;
  EVP_MD *sha256;
  EVP_MD_CTX *digest;
  EVP_MAC *hmac;
  EVP_MAC_CTX *mac;
  EVP_KDF *pbkdf2;
  EVP_CIPHER *aes256gcm;
  EVP_CIPHER_CTX *aes256gcm_ctx; /* one each: changing the cipher of a context allocates */
  EVP_CIPHER *chacha20poly1305;
  EVP_CIPHER_CTX *chacha20poly1305_ctx;
  EC_GROUP *p256;
  BN_CTX *numbers;
  EVP_PKEY_CTX *ec_keys; /* makes keys from numbers */
  EVP_PKEY *p256_params; /* a key of the curve without the key: copied for each public key */
};

/* Both are 64 bytes, seed first, so that a key need not be repacked to sign. */
_Static_assert(sizeof(lk_ed25519_key) == crypto_sign_SECRETKEYBYTES, "key is seed, public key");
_Static_assert(offsetof(lk_ed25519_key, public_key) == LK_ED25519_SEED_LEN, "seed first");
_Static_assert(LK_CRYPTO_MESSAGE_MAX <= INT_MAX, "EVP takes lengths of type int");

/* What a failed call of OpenSSL means: |err|, unless one of the reasons is that there was no
 * memory. "Wrong signature" and "no memory to look" must not be the same to a caller. */
static lk_err failed(lk_err err) {
  unsigned long reason;
  while ((reason = ERR_get_error()) != 0) {
    if (ERR_GET_REASON(reason) == ERR_R_MALLOC_FAILURE) err = LK_ERR_NOMEM;
  }
  return err;
}

/* A pointer that may be read even where the slice is empty: NULL means "no output" to some
 * functions of EVP, and memcpy does not allow it. */
static const uint8_t *bytes_of(lk_slice s) { return s.len > 0 ? s.ptr : (const uint8_t *)""; }

/* ---- random bytes ---- */

/* In pieces of 256 bytes, because the system never gives less than that where it gives anything:
 * the loop runs in tests as it does under signals. Nobody here asks for much. */
static lk_err native_random(void *ctx, uint8_t *out, size_t len) {
  (void)ctx;
  while (len > 0) {
    ssize_t n = getrandom(out, lk_min_size(len, 256), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return LK_ERR_ENTROPY;
    out += n;
    len -= (size_t)n;
  }
  return LK_OK;
}

/* ---- hashes ---- */

static lk_err hash(EVP_MD_CTX *digest, const EVP_MD *algorithm, const lk_slice *parts, size_t count,
                   uint8_t *out) {
  if (EVP_DigestInit_ex2(digest, algorithm, NULL) != 1) return failed(LK_ERR_NOMEM);
  for (size_t i = 0; i < count; i++) {
    if (EVP_DigestUpdate(digest, bytes_of(parts[i]), parts[i].len) != 1)
      return failed(LK_ERR_NOMEM);
  }
  return EVP_DigestFinal_ex(digest, out, NULL) == 1 ? LK_OK : failed(LK_ERR_NOMEM);
}

static lk_err native_sha1(void *ctx, const lk_slice *parts, size_t count,
                          uint8_t out[LK_SHA1_LEN]) {
  lk_crypto_native *self = ctx;
  return hash(self->digest, self->sha1, parts, count, out);
}

static lk_err native_sha256(void *ctx, const lk_slice *parts, size_t count,
                            uint8_t out[LK_SHA256_LEN]) {
  lk_crypto_native *self = ctx;
  return hash(self->digest, self->sha256, parts, count, out);
}

/* EVP_MAC_init() reads a key of NULL as "the key of last time", hence bytes_of(). */
static lk_err native_hmac_sha256(void *ctx, lk_slice key, const lk_slice *parts, size_t count,
                                 uint8_t out[LK_SHA256_LEN]) {
  lk_crypto_native *self = ctx;
  size_t len;
  if (EVP_MAC_init(self->mac, bytes_of(key), key.len, NULL) != 1) return failed(LK_ERR_NOMEM);
  for (size_t i = 0; i < count; i++) {
    if (EVP_MAC_update(self->mac, bytes_of(parts[i]), parts[i].len) != 1)
      return failed(LK_ERR_NOMEM);
  }
  if (EVP_MAC_final(self->mac, out, &len, LK_SHA256_LEN) != 1) return failed(LK_ERR_NOMEM);
  return LK_OK;
}

/* OpenSSL's lower bounds for salt and iterations (SP 800-132) are switched off: the caller
 * decides, and the published vectors break them. */
static lk_err native_pbkdf2_sha256(void *ctx, lk_slice password, lk_slice salt, uint32_t iterations,
                                   uint8_t *out, size_t len) {
  lk_crypto_native *self = ctx;
  unsigned rounds = iterations;
  int unbounded = 1;
  char name[] = "SHA256";
  OSSL_PARAM params[] = {
    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, name, 0),
    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PASSWORD,
                                      (void *)(uintptr_t)bytes_of(password), password.len),
    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)bytes_of(salt),
                                      salt.len),
    OSSL_PARAM_construct_uint(OSSL_KDF_PARAM_ITER, &rounds),
    OSSL_PARAM_construct_int(OSSL_KDF_PARAM_PKCS5, &unbounded),
    OSSL_PARAM_construct_end(),
  };
  /* A fresh context, since this one would keep the password: next to the work it costs nothing. */
  EVP_KDF_CTX *kdf = EVP_KDF_CTX_new(self->pbkdf2);
  if (kdf == NULL) return failed(LK_ERR_NOMEM);
  int done = EVP_KDF_derive(kdf, out, len, params);
  EVP_KDF_CTX_free(kdf);
  return done == 1 ? LK_OK : failed(LK_ERR_NOMEM);
}

/* ---- Ed25519 and X25519 ---- */

static lk_err native_ed25519_public(void *ctx, const uint8_t seed[LK_ED25519_SEED_LEN],
                                    uint8_t out[LK_ED25519_PUBLIC_LEN]) {
  (void)ctx;
  uint8_t both[crypto_sign_SECRETKEYBYTES];
  int failure = crypto_sign_seed_keypair(out, both, seed);
  sodium_memzero(both, sizeof both);
  return failure == 0 ? LK_OK : LK_ERR_KEY;
}

static lk_err native_ed25519_sign(void *ctx, const lk_ed25519_key *key, lk_slice message,
                                  uint8_t out[LK_ED25519_SIGNATURE_LEN]) {
  (void)ctx;
  const uint8_t *both = (const uint8_t *)key;
  int failure = crypto_sign_detached(out, NULL, bytes_of(message), message.len, both);
  return failure == 0 ? LK_OK : LK_ERR_KEY;
}

static lk_err native_ed25519_verify(void *ctx, const uint8_t public_key[LK_ED25519_PUBLIC_LEN],
                                    lk_slice message,
                                    const uint8_t signature[LK_ED25519_SIGNATURE_LEN]) {
  (void)ctx;
  int refused = crypto_sign_verify_detached(signature, bytes_of(message), message.len, public_key);
  return refused == 0 ? LK_OK : LK_ERR_AUTH;
}

static lk_err native_x25519_public(void *ctx, const uint8_t secret[LK_X25519_LEN],
                                   uint8_t out[LK_X25519_LEN]) {
  (void)ctx;
  return crypto_scalarmult_base(out, secret) == 0 ? LK_OK : LK_ERR_KEY;
}

static lk_err native_x25519_shared(void *ctx, const uint8_t secret[LK_X25519_LEN],
                                   const uint8_t public_key[LK_X25519_LEN],
                                   uint8_t out[LK_X25519_LEN]) {
  (void)ctx;
  return crypto_scalarmult(out, secret, public_key) == 0 ? LK_OK : LK_ERR_KEY;
}

/* ---- P-256 ---- */

/* The secret as a number, or NULL with |err| set: LK_ERR_KEY unless 0 < secret < order. */
static BIGNUM *read_secret(const lk_crypto_native *self, const uint8_t *secret, lk_err *err) {
  *err = LK_ERR_NOMEM;
  BIGNUM *number = BN_secure_new();
  if (number == NULL) return NULL;
  BN_set_flags(number, BN_FLG_CONSTTIME);
  if (BN_bin2bn(secret, LK_P256_SECRET_LEN, number) == NULL) goto fail;
  *err = LK_ERR_KEY;
  if (BN_is_zero(number) || BN_cmp(number, EC_GROUP_get0_order(self->p256)) >= 0) goto fail;
  *err = LK_OK;
  return number;
fail:
  BN_clear_free(number);
  return NULL;
}

static lk_err native_p256_public(void *ctx, const uint8_t secret[LK_P256_SECRET_LEN],
                                 uint8_t out[LK_P256_PUBLIC_LEN]) {
  lk_crypto_native *self = ctx;
  lk_err err;
  EC_POINT *point = NULL;
  BIGNUM *number = read_secret(self, secret, &err);
  if (number == NULL) return failed(err);
  err = LK_ERR_NOMEM;
  point = EC_POINT_new(self->p256);
  if (point == NULL) goto done;
  if (EC_POINT_mul(self->p256, point, number, NULL, NULL, self->numbers) != 1) goto done;
  if (EC_POINT_point2oct(self->p256, point, POINT_CONVERSION_UNCOMPRESSED, out, LK_P256_PUBLIC_LEN,
                         self->numbers) == LK_P256_PUBLIC_LEN)
    err = LK_OK;
done:
  EC_POINT_clear_free(point);
  BN_clear_free(number);
  return err == LK_OK ? LK_OK : failed(err);
}

/* EVP takes the secret as a number in the machine's byte order. The public key is not needed to
 * sign, and not given. */
static EVP_PKEY *make_signer(lk_crypto_native *self, const uint8_t *secret, lk_err *err) {
  EVP_PKEY *key = NULL;
  uint8_t native[LK_P256_SECRET_LEN];
  char curve[] = "P-256";
  BIGNUM *number = read_secret(self, secret, err);
  if (number == NULL) return NULL;
  *err = LK_ERR_NOMEM;
  if (BN_bn2nativepad(number, native, sizeof native) == (int)sizeof native) {
    OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
      OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_PRIV_KEY, native, sizeof native),
      OSSL_PARAM_construct_end(),
    };
    if (EVP_PKEY_fromdata(self->ec_keys, &key, EVP_PKEY_KEYPAIR, params) != 1) key = NULL;
  }
  sodium_memzero(native, sizeof native);
  BN_clear_free(number);
  return key;
}

/* r and s from the DER that EVP speaks, padded to 32 bytes each. */
static bool signature_from_der(const uint8_t *der, size_t len, uint8_t *out) {
  ECDSA_SIG *both = d2i_ECDSA_SIG(NULL, &der, (long)len);
  if (both == NULL) return false;
  const int half = LK_P256_SIGNATURE_LEN / 2;
  bool fits = BN_bn2binpad(ECDSA_SIG_get0_r(both), out, half) == half &&
              BN_bn2binpad(ECDSA_SIG_get0_s(both), out + half, half) == half;
  ECDSA_SIG_free(both);
  return fits;
}

/* The other way. Returns the length, 0 where there is no memory. 2 * (2 + 33) + 2 = 72 bytes. */
#define DER_MAX 72
static size_t signature_to_der(const uint8_t *signature, uint8_t der[DER_MAX]) {
  const int half = LK_P256_SIGNATURE_LEN / 2;
  size_t len = 0;
  BIGNUM *r = BN_bin2bn(signature, half, NULL);
  BIGNUM *s = BN_bin2bn(signature + half, half, NULL);
  ECDSA_SIG *both = ECDSA_SIG_new();
  if (r == NULL || s == NULL || both == NULL) goto done;
  if (ECDSA_SIG_set0(both, r, s) != 1) goto done;
  r = s = NULL; /* now |both|'s */
  uint8_t *end = der;
  int written = i2d_ECDSA_SIG(both, &end);
  if (written > 0) len = (size_t)written;
done:
  ECDSA_SIG_free(both);
  BN_free(r);
  BN_free(s);
  return len;
}

static lk_err native_p256_sign(void *ctx, const uint8_t secret[LK_P256_SECRET_LEN],
                               const uint8_t digest[LK_SHA256_LEN],
                               uint8_t out[LK_P256_SIGNATURE_LEN]) {
  lk_crypto_native *self = ctx;
  lk_err err;
  uint8_t der[DER_MAX];
  size_t len = sizeof der;
  EVP_PKEY_CTX *signer = NULL;
  EVP_PKEY *key = make_signer(self, secret, &err);
  if (key == NULL) goto done;
  err = LK_ERR_NOMEM;
  signer = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
  if (signer == NULL || EVP_PKEY_sign_init(signer) != 1) goto done;
  /* With a valid key only a generator without entropy makes this fail. */
  err = LK_ERR_ENTROPY;
  if (EVP_PKEY_sign(signer, der, &len, digest, LK_SHA256_LEN) != 1) goto done;
  err = signature_from_der(der, len, out) ? LK_OK : LK_ERR_NOMEM;
done:
  EVP_PKEY_CTX_free(signer);
  EVP_PKEY_free(key);
  return err == LK_OK ? LK_OK : failed(err);
}

static lk_err native_p256_verify(void *ctx, const uint8_t public_key[LK_P256_PUBLIC_LEN],
                                 const uint8_t digest[LK_SHA256_LEN],
                                 const uint8_t signature[LK_P256_SIGNATURE_LEN]) {
  lk_crypto_native *self = ctx;
  lk_err err = LK_ERR_NOMEM;
  uint8_t der[DER_MAX];
  EVP_PKEY_CTX *verifier = NULL;
  size_t len = signature_to_der(signature, der);
  EVP_PKEY *key = EVP_PKEY_dup(self->p256_params);
  if (len == 0 || key == NULL) goto done;
  err = LK_ERR_KEY; /* not on the curve */
  if (EVP_PKEY_set1_encoded_public_key(key, public_key, LK_P256_PUBLIC_LEN) != 1) goto done;
  err = LK_ERR_NOMEM;
  verifier = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
  if (verifier == NULL || EVP_PKEY_verify_init(verifier) != 1) goto done;
  /* 0 is "wrong"; below it is "not even numbers in range", which is as wrong. */
  err = EVP_PKEY_verify(verifier, der, len, digest, LK_SHA256_LEN) == 1 ? LK_OK : LK_ERR_AUTH;
done:
  EVP_PKEY_CTX_free(verifier);
  EVP_PKEY_free(key);
  return err == LK_OK ? LK_OK : failed(err);
}

/* ---- authenticated encryption: two ciphers, one way to drive them ---- */

static lk_err seal(EVP_CIPHER_CTX *cipher, const EVP_CIPHER *algorithm, const uint8_t *key,
                   const uint8_t *nonce, lk_slice ad, lk_slice plain, uint8_t *out) {
  int n;
  if (EVP_EncryptInit_ex2(cipher, algorithm, key, nonce, NULL) != 1) goto fail;
  if (ad.len > 0 && EVP_EncryptUpdate(cipher, NULL, &n, ad.ptr, (int)ad.len) != 1) goto fail;
  if (plain.len > 0 && EVP_EncryptUpdate(cipher, out, &n, plain.ptr, (int)plain.len) != 1)
    goto fail;
  if (EVP_EncryptFinal_ex(cipher, out + plain.len, &n) != 1) goto fail;
  if (EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_GET_TAG, LK_AEAD_TAG_LEN, out + plain.len) != 1)
    goto fail;
  return LK_OK;
fail:
  return failed(LK_ERR_NOMEM);
}

/* The tag is taken out first, because in place the end of |out| may be where it stands. The
 * plaintext is written before the tag is compared; the caller of the table wipes it then. */
static lk_err open_sealed(EVP_CIPHER_CTX *cipher, const EVP_CIPHER *algorithm, const uint8_t *key,
                          const uint8_t *nonce, lk_slice ad, lk_slice sealed, uint8_t *out) {
  int n;
  uint8_t tag[LK_AEAD_TAG_LEN], nothing[1];
  lk_slice body = lk_slice_first(sealed, sealed.len - LK_AEAD_TAG_LEN);
  memcpy(tag, sealed.ptr + body.len, sizeof tag);
  if (EVP_DecryptInit_ex2(cipher, algorithm, key, nonce, NULL) != 1) goto fail;
  if (EVP_CIPHER_CTX_ctrl(cipher, EVP_CTRL_AEAD_SET_TAG, LK_AEAD_TAG_LEN, tag) != 1) goto fail;
  if (ad.len > 0 && EVP_DecryptUpdate(cipher, NULL, &n, ad.ptr, (int)ad.len) != 1) goto fail;
  if (body.len > 0 && EVP_DecryptUpdate(cipher, out, &n, body.ptr, (int)body.len) != 1) goto fail;
  if (EVP_DecryptFinal_ex(cipher, nothing, &n) != 1) return failed(LK_ERR_AUTH);
  return LK_OK;
fail:
  return failed(LK_ERR_NOMEM);
}

static lk_err native_aes256gcm_seal(void *ctx, const uint8_t key[LK_AEAD_KEY_LEN],
                                    const uint8_t nonce[LK_AES256GCM_NONCE_LEN], lk_slice ad,
                                    lk_slice plain, uint8_t *out) {
  lk_crypto_native *self = ctx;
  return seal(self->aes256gcm_ctx, self->aes256gcm, key, nonce, ad, plain, out);
}

static lk_err native_aes256gcm_open(void *ctx, const uint8_t key[LK_AEAD_KEY_LEN],
                                    const uint8_t nonce[LK_AES256GCM_NONCE_LEN], lk_slice ad,
                                    lk_slice sealed, uint8_t *out) {
  lk_crypto_native *self = ctx;
  return open_sealed(self->aes256gcm_ctx, self->aes256gcm, key, nonce, ad, sealed, out);
}

/* The key and nonce under which ChaCha20-Poly1305 is XChaCha20-Poly1305. */
static bool derive_subkey(const uint8_t *key, const uint8_t *nonce, uint8_t subkey[LK_AEAD_KEY_LEN],
                          uint8_t subnonce[12]) {
  memset(subnonce, 0, 4);
  memcpy(subnonce + 4, nonce + crypto_core_hchacha20_INPUTBYTES, 8);
  return crypto_core_hchacha20(subkey, nonce, key, NULL) == 0;
}

static lk_err native_xchacha20poly1305_seal(void *ctx, const uint8_t key[LK_AEAD_KEY_LEN],
                                            const uint8_t nonce[LK_XCHACHA20_NONCE_LEN],
                                            lk_slice ad, lk_slice plain, uint8_t *out) {
  lk_crypto_native *self = ctx;
  uint8_t subkey[LK_AEAD_KEY_LEN], subnonce[12];
  if (!derive_subkey(key, nonce, subkey, subnonce)) return LK_ERR_KEY;
  lk_err err = seal(self->chacha20poly1305_ctx, self->chacha20poly1305, subkey, subnonce, ad, plain,
                    out);
  sodium_memzero(subkey, sizeof subkey);
  return err;
}

static lk_err native_xchacha20poly1305_open(void *ctx, const uint8_t key[LK_AEAD_KEY_LEN],
                                            const uint8_t nonce[LK_XCHACHA20_NONCE_LEN],
                                            lk_slice ad, lk_slice sealed, uint8_t *out) {
  lk_crypto_native *self = ctx;
  uint8_t subkey[LK_AEAD_KEY_LEN], subnonce[12];
  if (!derive_subkey(key, nonce, subkey, subnonce)) return LK_ERR_KEY;
  lk_err err = open_sealed(self->chacha20poly1305_ctx, self->chacha20poly1305, subkey, subnonce, ad,
                           sealed, out);
  sodium_memzero(subkey, sizeof subkey);
  return err;
}

/* ---- the object ---- */

static const lk_crypto members = {
  .size = sizeof(lk_crypto),
  .name = "native",
  .random = native_random,
  .sha1 = native_sha1,
  .sha256 = native_sha256,
  .hmac_sha256 = native_hmac_sha256,
  .pbkdf2_sha256 = native_pbkdf2_sha256,
  .ed25519_public = native_ed25519_public,
  .ed25519_sign = native_ed25519_sign,
  .ed25519_verify = native_ed25519_verify,
  .x25519_public = native_x25519_public,
  .x25519_shared = native_x25519_shared,
  .p256_public = native_p256_public,
  .p256_sign = native_p256_sign,
  .p256_verify = native_p256_verify,
  .aes256gcm_seal = native_aes256gcm_seal,
  .aes256gcm_open = native_aes256gcm_open,
  .xchacha20poly1305_seal = native_xchacha20poly1305_seal,
  .xchacha20poly1305_open = native_xchacha20poly1305_open,
};

static bool open_hashes(lk_crypto_native *self) {
  char name[] = "SHA256";
  OSSL_PARAM params[] = {
    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
    OSSL_PARAM_construct_end(),
  };
  if ((self->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL)) == NULL) return false;
  if ((self->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL)) == NULL) return false;
  if ((self->digest = EVP_MD_CTX_new()) == NULL) return false;
  if ((self->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL)) == NULL) return false;
  if ((self->mac = EVP_MAC_CTX_new(self->hmac)) == NULL) return false;
  if (EVP_MAC_CTX_set_params(self->mac, params) != 1) return false;
  return (self->pbkdf2 = EVP_KDF_fetch(NULL, "PBKDF2", NULL)) != NULL;
}

static bool open_ciphers(lk_crypto_native *self) {
  self->aes256gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
  self->chacha20poly1305 = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
  self->aes256gcm_ctx = EVP_CIPHER_CTX_new();
  self->chacha20poly1305_ctx = EVP_CIPHER_CTX_new();
  return self->aes256gcm != NULL && self->chacha20poly1305 != NULL && self->aes256gcm_ctx != NULL &&
         self->chacha20poly1305_ctx != NULL;
}

static bool open_curve(lk_crypto_native *self) {
  char curve[] = "P-256";
  OSSL_PARAM params[] = {
    OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
    OSSL_PARAM_construct_end(),
  };
  self->p256 = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
  if (self->p256 == NULL) return false;
  if ((self->numbers = BN_CTX_secure_new()) == NULL) return false;
  if ((self->ec_keys = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL)) == NULL) return false;
  if (EVP_PKEY_fromdata_init(self->ec_keys) != 1) return false;
  return EVP_PKEY_fromdata(self->ec_keys, &self->p256_params, EVP_PKEY_KEY_PARAMETERS, params) == 1;
}

lk_err lk_crypto_native_open(const lk_alloc *alloc, lk_crypto_native **out) {
  *out = NULL;
  if (sodium_init() < 0) return LK_ERR_UNSUPPORTED; /* 1 where it was called before */
  lk_crypto_native *self = lk_alloc_bytes(alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_crypto_native){ .table = members, .alloc = alloc };
  self->table.ctx = self;
  if (!open_hashes(self) || !open_ciphers(self) || !open_curve(self)) {
    lk_crypto_native_close(self);
    return failed(LK_ERR_UNSUPPORTED);
  }
  *out = self;
  return LK_OK;
}

void lk_crypto_native_close(lk_crypto_native *self) {
  if (self == NULL) return;
  EVP_PKEY_free(self->p256_params);
  EVP_PKEY_CTX_free(self->ec_keys);
  BN_CTX_free(self->numbers);
  EC_GROUP_free(self->p256);
  EVP_CIPHER_CTX_free(self->chacha20poly1305_ctx);
  EVP_CIPHER_CTX_free(self->aes256gcm_ctx);
  EVP_CIPHER_free(self->chacha20poly1305);
  EVP_CIPHER_free(self->aes256gcm);
  EVP_KDF_free(self->pbkdf2);
  EVP_MAC_CTX_free(self->mac);
  EVP_MAC_free(self->hmac);
  EVP_MD_CTX_free(self->digest);
  EVP_MD_free(self->sha256);
  EVP_MD_free(self->sha1);
  lk_free_bytes(self->alloc, self, sizeof *self);
}

const lk_crypto *lk_crypto_native_table(const lk_crypto_native *self) { return &self->table; }
