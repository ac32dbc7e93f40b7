/* crypto/crypto.c -- what holds for every provider.
 *
 * Problem: a table of functions has many authors. Each of them would have to check each length,
 * wipe each output, and think of each NULL, and one of them would forget.
 *
 * Idea: a provider is trusted to compute, and nothing more. The functions here stand between it
 * and the engine:
 *
 *   caller -> is the member there? -> lengths and ranges -> provider -> wipe after failure -> caller
 *
 * What can be composed is composed here: HKDF needs only an HMAC, so that a provider has fewer
 * things to get wrong. PBKDF2 could be as well, but its inner loop is the whole point of it, and
 * both providers do it about twice as fast as a call for each step would.
 *
 * Always: after LK_ERR_AUTH, LK_ERR_KEY or a failed library, an output holds zeroes.
 *
 * Not chosen: a context of the provider for incremental hashing. It needs either a heap or an
 * opaque size that fits every library of the future. Messages in parts serve all our uses
 * (header and body of a record, label and digest); where the bytes arrive over time, lk_sha256
 * hashes them in plain C, which costs less than the network that brought them. */
#include "crypto/crypto.h"

/* A table made by older headers ends early. */
#define LACKS(self, member)                                                                        \
  ((self)->size < offsetof(lk_crypto, member) + sizeof((self)->member) || (self)->member == NULL)

bool lk_crypto_equal(const uint8_t *a, const uint8_t *b, size_t len) {
  /* Reading through volatile keeps the compiler from leaving the loop at the first difference. */
  const volatile uint8_t *x = a, *y = b;
  uint8_t difference = 0;
  for (size_t i = 0; i < len; i++) difference = (uint8_t)(difference | (x[i] ^ y[i]));
  return difference == 0;
}

void lk_crypto_wipe(void *ptr, size_t len) {
  if (len == 0) return;
  memset(ptr, 0, len);
  /* For the compiler, this reads all memory that |ptr| reaches: the memset cannot be dead. */
  __asm__ volatile("" : : "r"(ptr) : "memory");
}

/* Passes |err| on, with |out| wiped where it is one. */
static lk_err wipe_unless_ok(lk_err err, void *out, size_t len) {
  if (err != LK_OK) lk_crypto_wipe(out, len);
  return err;
}

lk_err lk_crypto_random(const lk_crypto *self, uint8_t *out, size_t len) {
  if (LACKS(self, random)) return LK_ERR_UNSUPPORTED;
  return wipe_unless_ok(self->random(self->ctx, out, len), out, len);
}

/* ---- hashes ---- */

lk_err lk_crypto_sha1(const lk_crypto *self, lk_slice data, uint8_t out[LK_SHA1_LEN]) {
  if (LACKS(self, sha1)) return LK_ERR_UNSUPPORTED;
  return wipe_unless_ok(self->sha1(self->ctx, &data, 1, out), out, LK_SHA1_LEN);
}

lk_err lk_crypto_sha256_parts(const lk_crypto *self, const lk_slice *parts, size_t count,
                              uint8_t out[LK_SHA256_LEN]) {
  if (LACKS(self, sha256)) return LK_ERR_UNSUPPORTED;
  return wipe_unless_ok(self->sha256(self->ctx, parts, count, out), out, LK_SHA256_LEN);
}

lk_err lk_crypto_sha256(const lk_crypto *self, lk_slice data, uint8_t out[LK_SHA256_LEN]) {
  return lk_crypto_sha256_parts(self, &data, 1, out);
}

lk_err lk_crypto_hmac_sha256_parts(const lk_crypto *self, lk_slice key, const lk_slice *parts,
                                   size_t count, uint8_t out[LK_SHA256_LEN]) {
  if (LACKS(self, hmac_sha256)) return LK_ERR_UNSUPPORTED;
  return wipe_unless_ok(self->hmac_sha256(self->ctx, key, parts, count, out), out, LK_SHA256_LEN);
}

lk_err lk_crypto_hmac_sha256(const lk_crypto *self, lk_slice key, lk_slice data,
                             uint8_t out[LK_SHA256_LEN]) {
  return lk_crypto_hmac_sha256_parts(self, key, &data, 1, out);
}

/* ---- key derivation ---- */

/* RFC 5869 section 2.2. Its "salt of zeroes where none is given" is the same as an empty key,
 * because HMAC pads its key with zeroes. */
lk_err lk_crypto_hkdf_sha256_extract(const lk_crypto *self, lk_slice salt, lk_slice material,
                                     uint8_t out[LK_SHA256_LEN]) {
  return lk_crypto_hmac_sha256(self, salt, material, out);
}

/* RFC 5869 section 2.3: T(n) = HMAC(key, T(n-1) | info | n), and T(0) is empty. */
lk_err lk_crypto_hkdf_sha256_expand(const lk_crypto *self, const uint8_t key[LK_SHA256_LEN],
                                    lk_slice info, uint8_t *out, size_t len) {
  if (LACKS(self, hmac_sha256)) return LK_ERR_UNSUPPORTED;
  if (len > LK_HKDF_SHA256_MAX) return LK_ERR_RANGE;

  uint8_t block[LK_SHA256_LEN];
  lk_err err = LK_OK;
  uint8_t number = 0;
  for (size_t off = 0; off < len; off += LK_SHA256_LEN) {
    number++;
    lk_slice parts[] = { { block, off == 0 ? 0 : sizeof block }, info, { &number, 1 } };
    err = lk_crypto_hmac_sha256_parts(self, lk_slice_of(key, LK_SHA256_LEN), parts, 3, block);
    if (err != LK_OK) break;
    memcpy(out + off, block, lk_min_size(len - off, sizeof block));
  }
  lk_crypto_wipe(block, sizeof block);
  return wipe_unless_ok(err, out, len);
}

lk_err lk_crypto_pbkdf2_sha256(const lk_crypto *self, lk_slice password, lk_slice salt,
                               uint32_t iterations, uint8_t *out, size_t len) {
  if (LACKS(self, pbkdf2_sha256)) return LK_ERR_UNSUPPORTED;
  if (iterations == 0 || iterations > LK_PBKDF2_ITERATIONS_MAX) return LK_ERR_RANGE;
  if (len == 0 || len > LK_PBKDF2_MAX) return LK_ERR_RANGE;
  return wipe_unless_ok(self->pbkdf2_sha256(self->ctx, password, salt, iterations, out, len), out,
                        len);
}

/* ---- Ed25519 ---- */

lk_err lk_crypto_ed25519_key(const lk_crypto *self, const uint8_t seed[LK_ED25519_SEED_LEN],
                             lk_ed25519_key *out) {
  if (LACKS(self, ed25519_public)) return LK_ERR_UNSUPPORTED;
  lk_ed25519_key key;
  memcpy(key.seed, seed, sizeof key.seed); /* first: |seed| may lie inside |out| */
  lk_err err = self->ed25519_public(self->ctx, key.seed, key.public_key);
  *out = key;
  lk_crypto_wipe(&key, sizeof key);
  return wipe_unless_ok(err, out, sizeof *out);
}

lk_err lk_crypto_ed25519_sign(const lk_crypto *self, const lk_ed25519_key *key, lk_slice message,
                              uint8_t out[LK_ED25519_SIGNATURE_LEN]) {
  if (LACKS(self, ed25519_sign)) return LK_ERR_UNSUPPORTED;
  if (message.len > LK_CRYPTO_MESSAGE_MAX) return LK_ERR_TOO_BIG;
  return wipe_unless_ok(self->ed25519_sign(self->ctx, key, message, out), out,
                        LK_ED25519_SIGNATURE_LEN);
}

lk_err lk_crypto_ed25519_verify(const lk_crypto *self,
                                const uint8_t public_key[LK_ED25519_PUBLIC_LEN], lk_slice message,
                                const uint8_t signature[LK_ED25519_SIGNATURE_LEN]) {
  if (LACKS(self, ed25519_verify)) return LK_ERR_UNSUPPORTED;
  if (message.len > LK_CRYPTO_MESSAGE_MAX) return LK_ERR_TOO_BIG;
  return self->ed25519_verify(self->ctx, public_key, message, signature);
}

/* ---- X25519 ---- */

lk_err lk_crypto_x25519_public(const lk_crypto *self, const uint8_t secret[LK_X25519_LEN],
                               uint8_t out[LK_X25519_LEN]) {
  if (LACKS(self, x25519_public)) return LK_ERR_UNSUPPORTED;
  return wipe_unless_ok(self->x25519_public(self->ctx, secret, out), out, LK_X25519_LEN);
}

/* The provider's own check for zeroes is not relied upon: a provider that lacked it would pass
 * every test of ours but the one with points of small order. */
lk_err lk_crypto_x25519_shared(const lk_crypto *self, const uint8_t secret[LK_X25519_LEN],
                               const uint8_t public_key[LK_X25519_LEN],
                               uint8_t out[LK_X25519_LEN]) {
  static const uint8_t zero[LK_X25519_LEN];
  if (LACKS(self, x25519_shared)) return LK_ERR_UNSUPPORTED;
  lk_err err = self->x25519_shared(self->ctx, secret, public_key, out);
  if (err == LK_OK && lk_crypto_equal(out, zero, sizeof zero)) err = LK_ERR_KEY;
  return wipe_unless_ok(err, out, LK_X25519_LEN);
}

/* ---- P-256 ---- */

lk_err lk_crypto_p256_public(const lk_crypto *self, const uint8_t secret[LK_P256_SECRET_LEN],
                             uint8_t out[LK_P256_PUBLIC_LEN]) {
  if (LACKS(self, p256_public)) return LK_ERR_UNSUPPORTED;
  return wipe_unless_ok(self->p256_public(self->ctx, secret, out), out, LK_P256_PUBLIC_LEN);
}

lk_err lk_crypto_p256_sign(const lk_crypto *self, const uint8_t secret[LK_P256_SECRET_LEN],
                           const uint8_t digest[LK_SHA256_LEN],
                           uint8_t out[LK_P256_SIGNATURE_LEN]) {
  if (LACKS(self, p256_sign)) return LK_ERR_UNSUPPORTED;
  return wipe_unless_ok(self->p256_sign(self->ctx, secret, digest, out), out,
                        LK_P256_SIGNATURE_LEN);
}

/* The first byte is checked here: 65 bytes that begin with 6 or 7 are a "hybrid" point, which
 * some libraries read and others do not. */
lk_err lk_crypto_p256_verify(const lk_crypto *self, const uint8_t public_key[LK_P256_PUBLIC_LEN],
                             const uint8_t digest[LK_SHA256_LEN],
                             const uint8_t signature[LK_P256_SIGNATURE_LEN]) {
  if (LACKS(self, p256_verify)) return LK_ERR_UNSUPPORTED;
  if (public_key[0] != 4) return LK_ERR_KEY;
  return self->p256_verify(self->ctx, public_key, digest, signature);
}

/* ---- authenticated encryption ---- */

static lk_err check_seal(lk_slice ad, lk_slice plain, size_t out_len) {
  if (plain.len > LK_CRYPTO_MESSAGE_MAX || ad.len > LK_CRYPTO_MESSAGE_MAX) return LK_ERR_TOO_BIG;
  return out_len == plain.len + LK_AEAD_TAG_LEN ? LK_OK : LK_ERR_INVALID;
}

/* Too short a message is refused before |out_len| is looked at: a caller that subtracted without
 * looking has a huge one, and |out| must not be touched. */
static lk_err check_open(lk_slice ad, lk_slice sealed, size_t out_len) {
  if (sealed.len < LK_AEAD_TAG_LEN) return LK_ERR_AUTH;
  size_t plain_len = sealed.len - LK_AEAD_TAG_LEN;
  if (plain_len > LK_CRYPTO_MESSAGE_MAX || ad.len > LK_CRYPTO_MESSAGE_MAX) return LK_ERR_TOO_BIG;
  return out_len == plain_len ? LK_OK : LK_ERR_INVALID;
}

lk_err lk_crypto_aes256gcm_seal(const lk_crypto *self, const uint8_t key[LK_AEAD_KEY_LEN],
                                const uint8_t nonce[LK_AES256GCM_NONCE_LEN], lk_slice ad,
                                lk_slice plain, uint8_t *out, size_t out_len) {
  lk_err err;
  if (LACKS(self, aes256gcm_seal)) return LK_ERR_UNSUPPORTED;
  if ((err = check_seal(ad, plain, out_len)) != LK_OK) return err;
  return wipe_unless_ok(self->aes256gcm_seal(self->ctx, key, nonce, ad, plain, out), out, out_len);
}

lk_err lk_crypto_aes256gcm_open(const lk_crypto *self, const uint8_t key[LK_AEAD_KEY_LEN],
                                const uint8_t nonce[LK_AES256GCM_NONCE_LEN], lk_slice ad,
                                lk_slice sealed, uint8_t *out, size_t out_len) {
  lk_err err;
  if (LACKS(self, aes256gcm_open)) return LK_ERR_UNSUPPORTED;
  if ((err = check_open(ad, sealed, out_len)) != LK_OK) return err;
  return wipe_unless_ok(self->aes256gcm_open(self->ctx, key, nonce, ad, sealed, out), out, out_len);
}

lk_err lk_crypto_xchacha20poly1305_seal(const lk_crypto *self, const uint8_t key[LK_AEAD_KEY_LEN],
                                        const uint8_t nonce[LK_XCHACHA20_NONCE_LEN], lk_slice ad,
                                        lk_slice plain, uint8_t *out, size_t out_len) {
  lk_err err;
  if (LACKS(self, xchacha20poly1305_seal)) return LK_ERR_UNSUPPORTED;
  if ((err = check_seal(ad, plain, out_len)) != LK_OK) return err;
  return wipe_unless_ok(self->xchacha20poly1305_seal(self->ctx, key, nonce, ad, plain, out), out,
                        out_len);
}

lk_err lk_crypto_xchacha20poly1305_open(const lk_crypto *self, const uint8_t key[LK_AEAD_KEY_LEN],
                                        const uint8_t nonce[LK_XCHACHA20_NONCE_LEN], lk_slice ad,
                                        lk_slice sealed, uint8_t *out, size_t out_len) {
  lk_err err;
  if (LACKS(self, xchacha20poly1305_open)) return LK_ERR_UNSUPPORTED;
  if ((err = check_open(ad, sealed, out_len)) != LK_OK) return err;
  return wipe_unless_ok(self->xchacha20poly1305_open(self->ctx, key, nonce, ad, sealed, out), out,
                        out_len);
}
