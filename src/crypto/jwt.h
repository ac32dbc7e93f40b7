/* crypto/jwt.h -- checking JSON Web Tokens (RFC 7519): HMAC-SHA-256, Ed25519 and ECDSA with P-256 only.
 *
 *     lk_jwt_key keys[2];
 *     err = lk_jwt_key_init_hs256(&keys[0], LK_SLICE_EMPTY, secret);
 *     err = lk_jwt_key_init_ed25519(&keys[1], LK_LIT("2026-11"), public_key);
 *     lk_jwt_rules rules = { .keys = keys, .key_count = 2, .issuer = LK_LIT("https://login"), .leeway_s = 60 };
 *
 *     err = lk_jwt_verify(&rules, crypto, limits, token, now_ms, &arena, &claims);
 *     LK_OK                  claims.json is the payload, claims.subject its "sub"
 *     LK_ERR_TOKEN_MISSING   there is none
 *     LK_ERR_TOKEN_EXPIRED   its "exp" is over
 *     LK_ERR_TOKEN_CLAIMS    genuine, but another audience or issuer, not valid yet, or without "exp"
 *     LK_ERR_TOKEN_INVALID   anything else
 *     LK_ERR_TOO_BIG         longer than the limit token_bytes
 *
 * A key is made for one algorithm and used for no other. What the header of a token says about its
 * algorithm can only make it match fewer keys: there is no value for "none", and a public key
 * is not a secret for HMAC, because it is of another type.
 *
 * Only LK_OK lets anybody in. LK_ERR_NOMEM and LK_ERR_UNSUPPORTED say nothing about the token. */
#ifndef LK_CRYPTO_JWT_H
#define LK_CRYPTO_JWT_H

#include "base/base.h"
#include "crypto/crypto.h"

/* RFC 7518 section 3.2: a shorter secret would be the weakest part. */
#define LK_JWT_SECRET_LEN_MIN 32

typedef enum lk_jwt_algorithm { LK_JWT_HS256, LK_JWT_ED25519, LK_JWT_ES256 } lk_jwt_algorithm;

typedef struct lk_jwt_key {
  lk_jwt_algorithm algorithm;
  lk_slice kid;    /* its name; a key without one may be meant by any token of its algorithm */
  lk_slice secret; /* HS256 */
  uint8_t public_key[LK_P256_PUBLIC_LEN]; /* ED25519, which has fewer bytes; ES256 */
} lk_jwt_key;

/* |kid| and |secret| are borrowed. LK_ERR_KEY for a secret below LK_JWT_SECRET_LEN_MIN bytes, or one that
 * is the text of a public key or certificate ("-----BEGIN PUBLIC ..."), which is no secret. */
lk_err lk_jwt_key_init_hs256(lk_jwt_key *self, lk_slice kid, lk_slice secret) LK_MUST_USE;
void lk_jwt_key_init_ed25519(lk_jwt_key *self, lk_slice kid,
                             const uint8_t public_key[LK_ED25519_PUBLIC_LEN]);
/* |public_key| is a point of the curve, uncompressed: 4, x, y. One that is none vouches for nothing. */
void lk_jwt_key_init_es256(lk_jwt_key *self, lk_slice kid,
                           const uint8_t public_key[LK_P256_PUBLIC_LEN]);

/* Zeroes are the strictest. Everything is borrowed. */
typedef struct lk_jwt_rules {
  const lk_jwt_key *keys;
  size_t key_count;
  lk_slice issuer; /* where given, "iss" must be this */
  lk_slice
      audience; /* where given, "aud" must have it; where not, a token with "aud" is for others */
  uint32_t leeway_s; /* how far clocks may be apart: for "exp", "nbf" and "iat" */
  bool allows_no_exp;
} lk_jwt_rules;

#define LK_JWT_FOREVER INT64_MAX

typedef struct lk_jwt_claims {
  lk_slice json;         /* the whole payload, an object in which no name stands twice */
  lk_slice subject;      /* "sub"; empty where there is none */
  int64_t expires_at_ms; /* without leeway; LK_JWT_FOREVER */
  const lk_jwt_key *key; /* the one that vouched for it */
} lk_jwt_claims;

/* Tries the keys with the algorithm of the token's header; where it has a "kid", those of that name
 * and those without a name. A header that asks for an extension ("crit") is refused, since there
 * are none here. The claims live as long as what is pushed to |arena|; on failure |arena| and |out|
 * are as before. No claim is read before the signature is good. */
lk_err lk_jwt_verify(const lk_jwt_rules *rules, const lk_crypto *crypto, const lk_limits *limits,
                     lk_slice token, int64_t now_ms, lk_arena *arena,
                     lk_jwt_claims *out) LK_MUST_USE;

#endif
