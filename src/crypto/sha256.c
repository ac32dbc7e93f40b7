/* crypto/sha256.c -- SHA-256 as FIPS 180-4 section 6.2 has it.
 *
 * A message is cut into blocks of 64 bytes, and each is mixed into a state of eight words:
 *
 *   message || 0x80 || 0x00 ... || bits:u64 big-endian      padded to a multiple of 64
 *
 * The bytes of an unfinished block wait in |pending|; whole blocks are read from where they are.
 * Always: |pending| holds total mod 64 bytes, so that one counter serves both purposes.
 *
 * The schedule of 64 words lives in a ring of 16 that is renewed while it is read (t-2, t-7, t-15
 * and t-16 are t+14, t+9, t+1 and t modulo 16): less memory to touch, and to wipe.
 *
 * Not chosen: eight rounds written out with the names rotated, so that nothing moves. It was 1 to
 * 5 % faster, which is less than the noise of the machine it was measured on. Nor the processor's
 * SHA instructions by intrinsics: the library behind the native provider has them (six times as
 * fast), for more processors than we could test. */
#include "crypto/sha256.h"

/* FIPS 180-4 section 4.2.2: fractional parts of the cube roots of the first 64 primes. */
static const uint32_t round_constants[64] = {
  0x428a2f98u, 0x71374491u, 0xb5c0fbcfu, 0xe9b5dba5u, 0x3956c25bu, 0x59f111f1u, 0x923f82a4u,
  0xab1c5ed5u, 0xd807aa98u, 0x12835b01u, 0x243185beu, 0x550c7dc3u, 0x72be5d74u, 0x80deb1feu,
  0x9bdc06a7u, 0xc19bf174u, 0xe49b69c1u, 0xefbe4786u, 0x0fc19dc6u, 0x240ca1ccu, 0x2de92c6fu,
  0x4a7484aau, 0x5cb0a9dcu, 0x76f988dau, 0x983e5152u, 0xa831c66du, 0xb00327c8u, 0xbf597fc7u,
  0xc6e00bf3u, 0xd5a79147u, 0x06ca6351u, 0x14292967u, 0x27b70a85u, 0x2e1b2138u, 0x4d2c6dfcu,
  0x53380d13u, 0x650a7354u, 0x766a0abbu, 0x81c2c92eu, 0x92722c85u, 0xa2bfe8a1u, 0xa81a664bu,
  0xc24b8b70u, 0xc76c51a3u, 0xd192e819u, 0xd6990624u, 0xf40e3585u, 0x106aa070u, 0x19a4c116u,
  0x1e376c08u, 0x2748774cu, 0x34b0bcb5u, 0x391c0cb3u, 0x4ed8aa4au, 0x5b9cca4fu, 0x682e6ff3u,
  0x748f82eeu, 0x78a5636fu, 0x84c87814u, 0x8cc70208u, 0x90befffau, 0xa4506cebu, 0xbef9a3f7u,
  0xc67178f2u,
};

static inline uint32_t rotr(uint32_t x, unsigned n) { return x >> n | x << (32 - n); }
static inline uint32_t big_sigma0(uint32_t x) { return rotr(x, 2) ^ rotr(x, 13) ^ rotr(x, 22); }
static inline uint32_t big_sigma1(uint32_t x) { return rotr(x, 6) ^ rotr(x, 11) ^ rotr(x, 25); }
static inline uint32_t sigma0(uint32_t x) { return rotr(x, 7) ^ rotr(x, 18) ^ x >> 3; }
static inline uint32_t sigma1(uint32_t x) { return rotr(x, 17) ^ rotr(x, 19) ^ x >> 10; }
static inline uint32_t choose(uint32_t x, uint32_t y, uint32_t z) { return z ^ (x & (y ^ z)); }
static inline uint32_t majority(uint32_t x, uint32_t y, uint32_t z) {
  return (x & y) | (z & (x | y));
}

/* Word |t| of the schedule; from the 16th on it takes the place of word t - 16. */
static inline uint32_t schedule(uint32_t w[16], unsigned t) {
  if (t >= 16) w[t & 15] += sigma1(w[(t + 14) & 15]) + w[(t + 9) & 15] + sigma0(w[(t + 1) & 15]);
  return w[t & 15];
}

static void compress(uint32_t state[8], const uint8_t *block, uint32_t w[16]) {
  for (unsigned i = 0; i < 16; i++) w[i] = lk_load_be32(block + (size_t)i * 4);

  uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
  uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
  for (unsigned t = 0; t < 64; t++) {
    uint32_t sum = h + big_sigma1(e) + choose(e, f, g) + round_constants[t] + schedule(w, t);
    h = g;
    g = f;
    f = e;
    e = d + sum;
    d = c;
    c = b;
    b = a;
    a = sum + big_sigma0(b) + majority(b, c, d);
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
}

void lk_sha256_blocks(uint32_t state[8], const uint8_t *blocks, size_t count) {
  uint32_t w[16];
  for (size_t i = 0; i < count; i++) compress(state, blocks + i * LK_SHA256_BLOCK_LEN, w);
  lk_crypto_wipe(w, sizeof w); /* in HMAC it is made from the key */
}

void lk_sha256_init(lk_sha256 *self) {
  *self = (lk_sha256){
    .state = { 0x6a09e667u, 0xbb67ae85u, 0x3c6ef372u, 0xa54ff53au, 0x510e527fu, 0x9b05688cu,
               0x1f83d9abu, 0x5be0cd19u },
  };
}

/* Adds to the unfinished block, and mixes it in if that completes it. Returns what is left. */
static lk_slice fill_pending(lk_sha256 *self, size_t have, lk_slice data) {
  size_t n = lk_min_size(data.len, LK_SHA256_BLOCK_LEN - have);
  memcpy(self->pending + have, data.ptr, n);
  if (have + n == LK_SHA256_BLOCK_LEN) lk_sha256_blocks(self->state, self->pending, 1);
  return lk_slice_skip(data, n);
}

void lk_sha256_update(lk_sha256 *self, lk_slice data) {
  if (data.len == 0) return;
  size_t have = (size_t)(self->total % LK_SHA256_BLOCK_LEN);
  self->total += data.len;
  if (have > 0) data = fill_pending(self, have, data);

  size_t blocks = data.len / LK_SHA256_BLOCK_LEN;
  lk_sha256_blocks(self->state, data.ptr, blocks);
  data = lk_slice_skip(data, blocks * LK_SHA256_BLOCK_LEN);
  if (data.len > 0) memcpy(self->pending, data.ptr, data.len);
}

/* The padding is a message like any other: 0x80, then zeroes until 8 bytes short of a block. */
void lk_sha256_final(lk_sha256 *self, uint8_t out[LK_SHA256_LEN]) {
  static const uint8_t padding[LK_SHA256_BLOCK_LEN] = { 0x80 };
  uint8_t bits[8];
  lk_store_be64(bits, self->total * 8);
  size_t have = (size_t)(self->total % LK_SHA256_BLOCK_LEN);
  size_t zeroes = (LK_SHA256_BLOCK_LEN + 55 - have) % LK_SHA256_BLOCK_LEN;
  lk_sha256_update(self, lk_slice_of(padding, 1 + zeroes));
  lk_sha256_update(self, lk_slice_of(bits, sizeof bits));
  for (size_t i = 0; i < 8; i++) lk_store_be32(out + i * 4, self->state[i]);
  lk_crypto_wipe(self, sizeof *self);
}
