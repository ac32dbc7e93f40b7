/* crypto/phoenix_token.h -- Phoenix.Token: what a Phoenix application hands to its users, checked
 * here, and made here for Phoenix.
 *
 *   At start, once (2,000 hashes):
 *     lk_phoenix_key key;
 *     err = lk_phoenix_key_init(&key, crypto, limits, secret_key_base, LK_LIT("user socket"), NULL);
 *
 *   For each connection:
 *     lk_phoenix_rules rules = { .skew_ms = LK_PHOENIX_SKEW_MS };
 *     lk_phoenix_claims claims;
 *     err = lk_phoenix_verify(&key, token, now_ms, &rules, &arena, &claims);
 *     LK_OK                  claims.json is what the application signed, such as {"user_id":42}
 *     LK_ERR_TOKEN_MISSING   there is none
 *     LK_ERR_TOKEN_EXPIRED   it was good, ask for a new one
 *     LK_ERR_TOKEN_INVALID   anything else: not ours, changed, or from the future
 *     LK_ERR_TOKEN_CLAIMS    genuine, but what was signed has no JSON (codec/etf.h says what has)
 *     LK_ERR_TOO_BIG         longer than the limit token_bytes
 *
 * Only LK_OK lets anybody in. LK_ERR_NOMEM says nothing about the token. */
#ifndef LK_CRYPTO_PHOENIX_TOKEN_H
#define LK_CRYPTO_PHOENIX_TOKEN_H

#include "base/base.h"
#include "crypto/crypto.h"

/* Phoenix's own defaults. */
#define LK_PHOENIX_ITERATIONS 1000u
#define LK_PHOENIX_KEY_LEN 32u
#define LK_PHOENIX_MAX_AGE_S 86400

#define LK_PHOENIX_KEY_LEN_MAX 128u
#define LK_PHOENIX_SECRET_LEN_MIN 20
/* How far the clocks of two servers may reasonably be apart. */
#define LK_PHOENIX_SKEW_MS 60000

typedef enum lk_phoenix_digest {
  LK_PHOENIX_SHA256,
  LK_PHOENIX_SHA384,
  LK_PHOENIX_SHA512
} lk_phoenix_digest;

/* How the key is derived: Phoenix's key_iterations, key_length and key_digest. 0 is its default. */
typedef struct lk_phoenix_key_options {
  uint32_t iterations;
  uint32_t length; /* bytes; other than 32 cannot encrypt */
  lk_phoenix_digest digest;
} lk_phoenix_key_options;

/* A derived key, to be kept: deriving is slow on purpose. One thread at a time, as |crypto| is. */
typedef struct lk_phoenix_key {
  const lk_crypto *crypto;
  const lk_limits *limits;
  uint32_t len;
  uint8_t bytes[LK_PHOENIX_KEY_LEN_MAX];
} lk_phoenix_key;

/* Derives the key that an application with this secret_key_base has for |salt|, which is the
 * second argument of Phoenix.Token.sign(). |options| may be NULL; |crypto| and |limits| must outlive
 * the key. LK_ERR_KEY for a secret below LK_PHOENIX_SECRET_LEN_MIN bytes, LK_ERR_RANGE for
 * options out of range, LK_ERR_UNSUPPORTED, LK_ERR_NOMEM: the key is then zeroes, and verifies nothing. */
lk_err lk_phoenix_key_init(lk_phoenix_key *self, const lk_crypto *crypto, const lk_limits *limits,
                           lk_slice secret_key_base, lk_slice salt,
                           const lk_phoenix_key_options *options) LK_MUST_USE;

/* Wipes it. */
void lk_phoenix_key_deinit(lk_phoenix_key *self);

/* ---- checking ---- */

typedef enum lk_phoenix_age {
  LK_PHOENIX_AGE_OF_TOKEN, /* what the token says of itself */
  LK_PHOENIX_AGE_GIVEN,    /* |max_age_s|, whatever the token says; 0 and below is always expired */
  LK_PHOENIX_AGE_ANY,      /* Phoenix's :infinity */
} lk_phoenix_age;

/* Zeroes are the strictest that a fresh token of the same machine passes. */
typedef struct lk_phoenix_rules {
  lk_phoenix_age age;
  int64_t max_age_s;
  uint32_t skew_ms; /* signed so far in the future is still now */
  /* The HMAC that the token must have; Phoenix.Token itself knows only the first. It has nothing to
   * do with the digest of the key's derivation. */
  lk_phoenix_digest digest;
} lk_phoenix_rules;

#define LK_PHOENIX_FOREVER INT64_MAX

typedef struct lk_phoenix_claims {
  lk_slice json; /* what was signed */
  lk_slice term; /* the same as an external term, without the version in front */
  int64_t signed_at_ms;
  int64_t expires_at_ms; /* by the age that counted here; LK_PHOENIX_FOREVER */
} lk_phoenix_claims;

/* Phoenix.Token.verify(). Old tokens, which do not say their age, have LK_PHOENIX_MAX_AGE_S. The claims
 * live as long as what is pushed to |arena|; on failure |arena| and |out| are as before.
 * Signatures are compared in constant time, and nothing is read before that. */
lk_err lk_phoenix_verify(const lk_phoenix_key *self, lk_slice token, int64_t now_ms,
                         const lk_phoenix_rules *rules, lk_arena *arena,
                         lk_phoenix_claims *out) LK_MUST_USE;

/* Phoenix.Token.decrypt(), of plug_crypto 2. The same results; also LK_ERR_KEY for a key that is
 * not 32 bytes long, LK_ERR_UNSUPPORTED where the provider lacks XChaCha20-Poly1305. |rules->digest| is not
 * looked at. */
lk_err lk_phoenix_decrypt(const lk_phoenix_key *self, lk_slice token, int64_t now_ms,
                          const lk_phoenix_rules *rules, lk_arena *arena,
                          lk_phoenix_claims *out) LK_MUST_USE;

/* Whether |token| looks like an encrypted one. */
bool lk_phoenix_is_encrypted(lk_slice token);

/* ---- making ---- */

typedef struct lk_phoenix_stamp {
  int64_t signed_at_ms;
  int64_t
      max_age_s; /* from 1; LK_PHOENIX_FOREVER for :infinity. Verifiers with an age of their own ignore it */
} lk_phoenix_stamp;

/* Phoenix.Token.sign(), always with HMAC-SHA-256: appends the token for the data that |json| is
 * (lk_etf_write_json). For data without atoms the bytes are Phoenix's own. LK_ERR_RANGE for an age
 * below 1, LK_ERR_TOO_BIG where the token would be longer than token_bytes, the errors of the JSON
 * reader and of |out|; |out| is then as before. */
lk_err lk_phoenix_sign(const lk_phoenix_key *self, lk_slice json, lk_phoenix_stamp stamp,
                       lk_buf *out) LK_MUST_USE;

/* Phoenix.Token.encrypt(). Takes its nonce from the provider: LK_ERR_ENTROPY. LK_ERR_KEY and
 * LK_ERR_UNSUPPORTED as in lk_phoenix_decrypt(). */
lk_err lk_phoenix_encrypt(const lk_phoenix_key *self, lk_slice json, lk_phoenix_stamp stamp,
                          lk_buf *out) LK_MUST_USE;

#endif
