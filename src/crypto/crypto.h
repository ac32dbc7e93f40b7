/* crypto/crypto.h -- every cryptographic operation of the engine, behind one table.
 *
 * The core calls no library. It is given an lk_crypto: a table of functions with a context, made
 * by a provider. Two exist: lk_crypto_portable() in this floor (hashes, in freestanding C, also
 * for WebAssembly), and lk_crypto_native in platform/providers over the system's libraries.
 *
 * Nobody above this floor calls a member of the table. They call the lk_crypto_ functions below,
 * which check lengths and ranges once for all providers, answer LK_ERR_UNSUPPORTED for what the
 * provider lacks, and see to it that a failed opening leaves no plaintext behind.
 *
 *   errors of every function
 *     LK_ERR_UNSUPPORTED   the provider lacks it; nothing was written
 *     LK_ERR_NOMEM         the library behind the provider had no memory or refused to work
 *     others               named at the function
 *
 * Nothing here uses a heap of the engine. Outputs may be the same bytes as inputs only where that
 * is said. A table and its context belong to one thread at a time; lk_crypto_portable() has no
 * context and may be used by all. Secrets are handled without branches or look-ups that depend on
 * them, as far as the provider's library promises; in WebAssembly that is best effort. */
#ifndef LK_CRYPTO_CRYPTO_H
#define LK_CRYPTO_CRYPTO_H

#include "base/slice.h"
#include "laniakea/types.h"

#define LK_SHA1_LEN 20
#define LK_SHA256_LEN 32
#define LK_ED25519_SEED_LEN 32
#define LK_ED25519_PUBLIC_LEN 32
#define LK_ED25519_SIGNATURE_LEN 64
#define LK_X25519_LEN 32
#define LK_P256_SECRET_LEN 32
#define LK_P256_PUBLIC_LEN 65
#define LK_P256_SIGNATURE_LEN 64
#define LK_AEAD_KEY_LEN 32
#define LK_AEAD_TAG_LEN 16
#define LK_AES256GCM_NONCE_LEN 12
#define LK_XCHACHA20_NONCE_LEN 24

/* The greatest plaintext, and the greatest associated data, of one AEAD message; the greatest
 * message to sign. Far below what the algorithms bear (AES-GCM: 64 GB), and below what libraries
 * with lengths of type int can take. */
#define LK_CRYPTO_MESSAGE_MAX ((size_t)1 << 30)
#define LK_HKDF_SHA256_MAX ((size_t)255 * LK_SHA256_LEN)
#define LK_PBKDF2_MAX ((size_t)1024)
#define LK_PBKDF2_ITERATIONS_MAX 10000000u

/* The private half of an Ed25519 key pair. Made by lk_crypto_ed25519_key() only: signing with a
 * public key that does not belong to the seed would give the seed away. Wipe it after use. */
typedef struct lk_ed25519_key {
  uint8_t seed[LK_ED25519_SEED_LEN];
  uint8_t public_key[LK_ED25519_PUBLIC_LEN];
} lk_ed25519_key;

/* What a provider fills in. |size| is sizeof(lk_crypto) of the provider's headers: the table grows
 * at its end only, and what lies past |size| counts as NULL. A member may be NULL. |parts| is one
 * message in |count| pieces, so that a header and a body need not be copied together.
 *
 * A provider may rely on what the functions below check, writes |out| only after it has read all
 * of |parts|, which |out| may overlap, and returns LK_ERR_AUTH, LK_ERR_KEY and LK_ERR_ENTROPY as
 * they say, LK_ERR_NOMEM for any failure of its library. */
typedef struct lk_crypto {
  size_t size;
  const char *name; /* static, for people */
  void *ctx;        /* first argument of every function */

  lk_err (*random)(void *ctx, uint8_t *out, size_t len);

  lk_err (*sha1)(void *ctx, const lk_slice *parts, size_t count, uint8_t out[LK_SHA1_LEN]);
  lk_err (*sha256)(void *ctx, const lk_slice *parts, size_t count, uint8_t out[LK_SHA256_LEN]);
  lk_err (*hmac_sha256)(void *ctx, lk_slice key, const lk_slice *parts, size_t count,
                        uint8_t out[LK_SHA256_LEN]);
  lk_err (*pbkdf2_sha256)(void *ctx, lk_slice password, lk_slice salt, uint32_t iterations,
                          uint8_t *out, size_t len);

  lk_err (*ed25519_public)(void *ctx, const uint8_t seed[LK_ED25519_SEED_LEN],
                           uint8_t out[LK_ED25519_PUBLIC_LEN]);
  lk_err (*ed25519_sign)(void *ctx, const lk_ed25519_key *key, lk_slice message,
                         uint8_t out[LK_ED25519_SIGNATURE_LEN]);
  lk_err (*ed25519_verify)(void *ctx, const uint8_t public_key[LK_ED25519_PUBLIC_LEN],
                           lk_slice message, const uint8_t signature[LK_ED25519_SIGNATURE_LEN]);

  lk_err (*x25519_public)(void *ctx, const uint8_t secret[LK_X25519_LEN],
                          uint8_t out[LK_X25519_LEN]);
  lk_err (*x25519_shared)(void *ctx, const uint8_t secret[LK_X25519_LEN],
                          const uint8_t public_key[LK_X25519_LEN], uint8_t out[LK_X25519_LEN]);

  lk_err (*p256_public)(void *ctx, const uint8_t secret[LK_P256_SECRET_LEN],
                        uint8_t out[LK_P256_PUBLIC_LEN]);
  lk_err (*p256_sign)(void *ctx, const uint8_t secret[LK_P256_SECRET_LEN],
                      const uint8_t digest[LK_SHA256_LEN], uint8_t out[LK_P256_SIGNATURE_LEN]);
  lk_err (*p256_verify)(void *ctx, const uint8_t public_key[LK_P256_PUBLIC_LEN],
                        const uint8_t digest[LK_SHA256_LEN],
                        const uint8_t signature[LK_P256_SIGNATURE_LEN]);

  lk_err (*aes256gcm_seal)(void *ctx, const uint8_t key[LK_AEAD_KEY_LEN],
                           const uint8_t nonce[LK_AES256GCM_NONCE_LEN], lk_slice ad, lk_slice plain,
                           uint8_t *out);
  lk_err (*aes256gcm_open)(void *ctx, const uint8_t key[LK_AEAD_KEY_LEN],
                           const uint8_t nonce[LK_AES256GCM_NONCE_LEN], lk_slice ad,
                           lk_slice sealed, uint8_t *out);
  lk_err (*xchacha20poly1305_seal)(void *ctx, const uint8_t key[LK_AEAD_KEY_LEN],
                                   const uint8_t nonce[LK_XCHACHA20_NONCE_LEN], lk_slice ad,
                                   lk_slice plain, uint8_t *out);
  lk_err (*xchacha20poly1305_open)(void *ctx, const uint8_t key[LK_AEAD_KEY_LEN],
                                   const uint8_t nonce[LK_XCHACHA20_NONCE_LEN], lk_slice ad,
                                   lk_slice sealed, uint8_t *out);
} lk_crypto;

/* The portable provider: SHA-1, SHA-256, HMAC and PBKDF2. It has no random bytes, since the core
 * has none. A host that has more copies the table and sets the members that it can serve. */
const lk_crypto *lk_crypto_portable(void);

/* ---- secrets in memory ---- */

/* Compares in a time that depends on |len| only. Equal for |len| 0. */
bool lk_crypto_equal(const uint8_t *a, const uint8_t *b, size_t len) LK_MUST_USE;

/* Overwrites with zeroes, also where the compiler sees that nobody reads them. */
void lk_crypto_wipe(void *ptr, size_t len);

/* ---- random bytes ---- */

/* LK_ERR_ENTROPY: |out| holds zeroes and must not be used. */
lk_err lk_crypto_random(const lk_crypto *self, uint8_t *out, size_t len) LK_MUST_USE;

/* ---- hashes ---- */

/* SHA-1 (FIPS 180-4) is there for WebSocket's handshake. It protects nothing. */
lk_err lk_crypto_sha1(const lk_crypto *self, lk_slice data, uint8_t out[LK_SHA1_LEN]) LK_MUST_USE;

lk_err lk_crypto_sha256(const lk_crypto *self, lk_slice data,
                        uint8_t out[LK_SHA256_LEN]) LK_MUST_USE;

/* The hash of all parts one after the other. For bytes that are not all there yet, the
 * incremental lk_sha256 of crypto/sha256.h gives the same result without a provider. */
lk_err lk_crypto_sha256_parts(const lk_crypto *self, const lk_slice *parts, size_t count,
                              uint8_t out[LK_SHA256_LEN]) LK_MUST_USE;

/* HMAC-SHA-256 (RFC 2104). A key of any length, also empty. Compare with lk_crypto_equal(). */
lk_err lk_crypto_hmac_sha256(const lk_crypto *self, lk_slice key, lk_slice data,
                             uint8_t out[LK_SHA256_LEN]) LK_MUST_USE;
lk_err lk_crypto_hmac_sha256_parts(const lk_crypto *self, lk_slice key, const lk_slice *parts,
                                   size_t count, uint8_t out[LK_SHA256_LEN]) LK_MUST_USE;

/* HKDF-SHA-256 (RFC 5869), over the provider's HMAC. Expanding gives |len| bytes, at most
 * LK_HKDF_SHA256_MAX, else LK_ERR_RANGE. |out| may not overlap |info|. On failure |out| is
 * zeroed. */
lk_err lk_crypto_hkdf_sha256_extract(const lk_crypto *self, lk_slice salt, lk_slice material,
                                     uint8_t out[LK_SHA256_LEN]) LK_MUST_USE;
lk_err lk_crypto_hkdf_sha256_expand(const lk_crypto *self, const uint8_t key[LK_SHA256_LEN],
                                    lk_slice info, uint8_t *out, size_t len) LK_MUST_USE;

/* PBKDF2-HMAC-SHA-256 (RFC 8018). LK_ERR_RANGE where |iterations| is 0 or above
 * LK_PBKDF2_ITERATIONS_MAX, or |len| is 0 or above LK_PBKDF2_MAX. Takes |iterations| times the
 * time of an HMAC for each 32 bytes: not a thing to do where others wait. */
lk_err lk_crypto_pbkdf2_sha256(const lk_crypto *self, lk_slice password, lk_slice salt,
                               uint32_t iterations, uint8_t *out, size_t len) LK_MUST_USE;

/* ---- Ed25519 (RFC 8032) ---- */

/* |out| is usable only after LK_OK. */
lk_err lk_crypto_ed25519_key(const lk_crypto *self, const uint8_t seed[LK_ED25519_SEED_LEN],
                             lk_ed25519_key *out) LK_MUST_USE;

/* Deterministic: no random bytes are used. LK_ERR_TOO_BIG above LK_CRYPTO_MESSAGE_MAX. */
lk_err lk_crypto_ed25519_sign(const lk_crypto *self, const lk_ed25519_key *key, lk_slice message,
                              uint8_t out[LK_ED25519_SIGNATURE_LEN]) LK_MUST_USE;

/* LK_OK only for a signature that |public_key| made; LK_ERR_AUTH for everything else, also for
 * keys that are no point or of small order, for R of small order and for S not below the order of
 * the group: a signature cannot be changed into another valid one by a third party. All providers
 * must give the same answer for the same bytes, because replicas decide by it. */
lk_err lk_crypto_ed25519_verify(const lk_crypto *self,
                                const uint8_t public_key[LK_ED25519_PUBLIC_LEN], lk_slice message,
                                const uint8_t signature[LK_ED25519_SIGNATURE_LEN]) LK_MUST_USE;

/* ---- X25519 (RFC 7748) ---- */

/* Any 32 random bytes are a secret. */
lk_err lk_crypto_x25519_public(const lk_crypto *self, const uint8_t secret[LK_X25519_LEN],
                               uint8_t out[LK_X25519_LEN]) LK_MUST_USE;

/* LK_ERR_KEY where the result would be all zeroes, which only a key of small order brings about;
 * |out| is zeroed. The result is no key yet: put it through HKDF. */
lk_err lk_crypto_x25519_shared(const lk_crypto *self, const uint8_t secret[LK_X25519_LEN],
                               const uint8_t public_key[LK_X25519_LEN],
                               uint8_t out[LK_X25519_LEN]) LK_MUST_USE;

/* ---- ECDSA over P-256 with SHA-256 (FIPS 186-5), for tokens that others made ----
 *
 * A secret is a scalar, big-endian, from 1 to the order less 1. A public key is 0x04, X, Y. A
 * signature is r, s, 32 bytes each, as JWS has it; both S and order - S are accepted, as the
 * standard says, so a signature must not serve as an identity. */

/* LK_ERR_KEY where |secret| is out of range (one in 2^32 random ones): draw another. */
lk_err lk_crypto_p256_public(const lk_crypto *self, const uint8_t secret[LK_P256_SECRET_LEN],
                             uint8_t out[LK_P256_PUBLIC_LEN]) LK_MUST_USE;

/* Two signatures of the same digest may differ. LK_ERR_KEY as above; LK_ERR_ENTROPY where the
 * library could not draw its nonce. On failure |out| is zeroed. */
lk_err lk_crypto_p256_sign(const lk_crypto *self, const uint8_t secret[LK_P256_SECRET_LEN],
                           const uint8_t digest[LK_SHA256_LEN],
                           uint8_t out[LK_P256_SIGNATURE_LEN]) LK_MUST_USE;

/* LK_ERR_KEY where |public_key| is not a point of the curve in this form, LK_ERR_AUTH where the
 * signature is not one. */
lk_err lk_crypto_p256_verify(const lk_crypto *self, const uint8_t public_key[LK_P256_PUBLIC_LEN],
                             const uint8_t digest[LK_SHA256_LEN],
                             const uint8_t signature[LK_P256_SIGNATURE_LEN]) LK_MUST_USE;

/* ---- authenticated encryption with associated data ----
 *
 *   sealed := ciphertext (as long as the plaintext) tag:16
 *
 * |out_len| must be plain.len + LK_AEAD_TAG_LEN for sealing and sealed.len - LK_AEAD_TAG_LEN for
 * opening, else LK_ERR_INVALID. |out| may begin exactly where the input begins (in place), or must
 * not overlap it. LK_ERR_TOO_BIG above LK_CRYPTO_MESSAGE_MAX.
 *
 * Opening: LK_ERR_AUTH where key, nonce, associated data or sealed bytes are not the ones of a
 * sealing. |out| is then zeroed: nobody sees plaintext that was not authenticated; where the work
 * was in place, the sealed bytes are gone as well. Nothing was written after INVALID, TOO_BIG,
 * UNSUPPORTED, nor where |sealed| is shorter than a tag, which is LK_ERR_AUTH whatever |out_len|.
 *
 * A nonce must never be used twice with the same key. AES-256-GCM's is too short to be drawn at
 * random for more than 2^32 messages: count. XChaCha20's may always be drawn at random. */

lk_err lk_crypto_aes256gcm_seal(const lk_crypto *self, const uint8_t key[LK_AEAD_KEY_LEN],
                                const uint8_t nonce[LK_AES256GCM_NONCE_LEN], lk_slice ad,
                                lk_slice plain, uint8_t *out, size_t out_len) LK_MUST_USE;
lk_err lk_crypto_aes256gcm_open(const lk_crypto *self, const uint8_t key[LK_AEAD_KEY_LEN],
                                const uint8_t nonce[LK_AES256GCM_NONCE_LEN], lk_slice ad,
                                lk_slice sealed, uint8_t *out, size_t out_len) LK_MUST_USE;
lk_err lk_crypto_xchacha20poly1305_seal(const lk_crypto *self, const uint8_t key[LK_AEAD_KEY_LEN],
                                        const uint8_t nonce[LK_XCHACHA20_NONCE_LEN], lk_slice ad,
                                        lk_slice plain, uint8_t *out, size_t out_len) LK_MUST_USE;
lk_err lk_crypto_xchacha20poly1305_open(const lk_crypto *self, const uint8_t key[LK_AEAD_KEY_LEN],
                                        const uint8_t nonce[LK_XCHACHA20_NONCE_LEN], lk_slice ad,
                                        lk_slice sealed, uint8_t *out, size_t out_len) LK_MUST_USE;

#endif
