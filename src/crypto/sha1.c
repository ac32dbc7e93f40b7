/* crypto/sha1.c -- SHA-1 as FIPS 180-4 section 6.1 has it, for short inputs.
 *
 * The 80 words of the schedule live in a ring of 16: word t depends on t-3, t-8, t-14 and t-16,
 * which modulo 16 are t+13, t+8, t+2 and t itself. Buffering and padding are those of sha256.c,
 * where they are explained. */
#include "crypto/sha1.h"

#define BLOCK_LEN 64u

static uint32_t schedule(uint32_t w[16], unsigned t) {
  if (t < 16) return w[t];
  uint32_t mixed = w[(t + 13) & 15] ^ w[(t + 8) & 15] ^ w[(t + 2) & 15] ^ w[t & 15];
  return w[t & 15] = lk_rotl_u32(mixed, 1);
}

/* The function and the constant of round |t|. */
static uint32_t mix(unsigned t, uint32_t b, uint32_t c, uint32_t d) {
  if (t < 20) return ((b & c) | (~b & d)) + 0x5a827999u;
  if (t < 40) return (b ^ c ^ d) + 0x6ed9eba1u;
  if (t < 60) return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu;
  return (b ^ c ^ d) + 0xca62c1d6u;
}

static void compress(uint32_t state[5], const uint8_t *block) {
  uint32_t w[16];
  for (unsigned i = 0; i < 16; i++) w[i] = lk_load_be32(block + (size_t)i * 4);

  uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  for (unsigned t = 0; t < 80; t++) {
    uint32_t next = lk_rotl_u32(a, 5) + mix(t, b, c, d) + e + schedule(w, t);
    e = d;
    d = c;
    c = lk_rotl_u32(b, 30);
    b = a;
    a = next;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
}

void lk_sha1_init(lk_sha1 *self) {
  *self = (lk_sha1){
    .state = { 0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u },
  };
}

void lk_sha1_update(lk_sha1 *self, lk_slice data) {
  size_t have = (size_t)(self->total % BLOCK_LEN);
  self->total += data.len;
  while (data.len > 0) {
    size_t n = lk_min_size(data.len, BLOCK_LEN - have);
    memcpy(self->pending + have, data.ptr, n);
    data = lk_slice_skip(data, n);
    have += n;
    if (have < BLOCK_LEN) return;
    compress(self->state, self->pending);
    have = 0;
  }
}

void lk_sha1_final(lk_sha1 *self, uint8_t out[LK_SHA1_LEN]) {
  static const uint8_t padding[BLOCK_LEN] = { 0x80 };
  uint8_t bits[8];
  lk_store_be64(bits, self->total * 8);
  size_t gap = (size_t)((BLOCK_LEN + 55 - self->total % BLOCK_LEN) % BLOCK_LEN);
  lk_sha1_update(self, lk_slice_of(padding, 1 + gap));
  lk_sha1_update(self, lk_slice_of(bits, sizeof bits));
  for (size_t i = 0; i < 5; i++) lk_store_be32(out + i * 4, self->state[i]);
  lk_crypto_wipe(self, sizeof *self);
}
