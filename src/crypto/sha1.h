/* crypto/sha1.h -- SHA-1 (FIPS 180-4), for WebSocket's handshake and nothing else: collisions
 * have been shown. Use it through lk_crypto_sha1().
 *
 * init, then update any number of times, then final once, which leaves the struct wiped: init it
 * again before the next message. A context may be copied by assignment in mid-message. Nothing
 * can fail. */
#ifndef LK_CRYPTO_SHA1_H
#define LK_CRYPTO_SHA1_H

#include "crypto/crypto.h"

typedef struct lk_sha1 {
  uint32_t state[5];
  uint64_t total; /* bytes so far; fewer than 2^61 */
  uint8_t pending[64];
} lk_sha1;

void lk_sha1_init(lk_sha1 *self);
void lk_sha1_update(lk_sha1 *self, lk_slice data);
void lk_sha1_final(lk_sha1 *self, uint8_t out[LK_SHA1_LEN]);

#endif
