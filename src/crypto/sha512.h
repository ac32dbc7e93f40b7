/* crypto/sha512.h -- SHA-384 and SHA-512 (FIPS 180-4), and HMAC and PBKDF2 over them, in plain C.
 *
 * For tokens that others made: Phoenix lets an application choose these digests. Nothing of our
 * own uses them, so no provider has them and the table of crypto.h does not grow.
 *
 * Both are one function with two beginnings, of which SHA-384 shows 48 bytes. |digest_len| says
 * which: LK_SHA384_LEN or LK_SHA512_LEN, anything else is asserted. init, update, final as in
 * crypto/sha256.h: final wipes, contexts may be copied, nothing can fail. */
#ifndef LK_CRYPTO_SHA512_H
#define LK_CRYPTO_SHA512_H

#include "crypto/crypto.h"

#define LK_SHA384_LEN 48
#define LK_SHA512_LEN 64
#define LK_SHA512_BLOCK_LEN 128

typedef struct lk_sha512 {
  uint64_t state[8];
  uint64_t total; /* bytes so far; fewer than 2^61 */
  size_t digest_len;
  uint8_t pending[LK_SHA512_BLOCK_LEN];
} lk_sha512;

void lk_sha512_init(lk_sha512 *self, size_t digest_len);
void lk_sha512_update(lk_sha512 *self, lk_slice data);
/* Writes |digest_len| bytes. */
void lk_sha512_final(lk_sha512 *self, uint8_t *out);

/* RFC 2104; see crypto/hmac.h. */
typedef struct lk_hmac_sha512 {
  lk_sha512 inner;
  lk_sha512 outer;
} lk_hmac_sha512;

void lk_hmac_sha512_init(lk_hmac_sha512 *self, size_t digest_len, lk_slice key);
void lk_hmac_sha512_update(lk_hmac_sha512 *self, lk_slice data);
void lk_hmac_sha512_final(lk_hmac_sha512 *self, uint8_t *out);

/* RFC 8018. |iterations| and |len| must not be 0. About a microsecond for each iteration and
 * |digest_len| bytes of |out|. */
void lk_pbkdf2_sha512(size_t digest_len, lk_slice password, lk_slice salt, uint32_t iterations,
                      uint8_t *out, size_t len);

#endif
