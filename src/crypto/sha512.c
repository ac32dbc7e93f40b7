/* crypto/sha512.c -- SHA-512 as FIPS 180-4 section 6.4 has it, and what is built on it.
 *
 * It is SHA-256 (essay in sha256.c) with words of 64 bits, blocks of 128 bytes, 80 rounds, and
 * lengths of 16 bytes in the padding, of which the first 8 are zero here. SHA-384 begins with
 * other words and shows 48 bytes of the end.
 *
 * HMAC keeps two contexts into which the key has been mixed, and PBKDF2 copies them for each
 * iteration. Not chosen: PBKDF2's one-block shortcut as in pbkdf2.c. It saves half of the time of
 * something that happens once for each key of a server.
 *
 * The constants are what the standard says they are, fractional parts of cube and square roots of
 * the first primes; they were computed, not typed. */
#include "crypto/sha512.h"

static const uint64_t round_constants[80] = {
  0x428a2f98d728ae22u, 0x7137449123ef65cdu, 0xb5c0fbcfec4d3b2fu, 0xe9b5dba58189dbbcu,
  0x3956c25bf348b538u, 0x59f111f1b605d019u, 0x923f82a4af194f9bu, 0xab1c5ed5da6d8118u,
  0xd807aa98a3030242u, 0x12835b0145706fbeu, 0x243185be4ee4b28cu, 0x550c7dc3d5ffb4e2u,
  0x72be5d74f27b896fu, 0x80deb1fe3b1696b1u, 0x9bdc06a725c71235u, 0xc19bf174cf692694u,
  0xe49b69c19ef14ad2u, 0xefbe4786384f25e3u, 0x0fc19dc68b8cd5b5u, 0x240ca1cc77ac9c65u,
  0x2de92c6f592b0275u, 0x4a7484aa6ea6e483u, 0x5cb0a9dcbd41fbd4u, 0x76f988da831153b5u,
  0x983e5152ee66dfabu, 0xa831c66d2db43210u, 0xb00327c898fb213fu, 0xbf597fc7beef0ee4u,
  0xc6e00bf33da88fc2u, 0xd5a79147930aa725u, 0x06ca6351e003826fu, 0x142929670a0e6e70u,
  0x27b70a8546d22ffcu, 0x2e1b21385c26c926u, 0x4d2c6dfc5ac42aedu, 0x53380d139d95b3dfu,
  0x650a73548baf63deu, 0x766a0abb3c77b2a8u, 0x81c2c92e47edaee6u, 0x92722c851482353bu,
  0xa2bfe8a14cf10364u, 0xa81a664bbc423001u, 0xc24b8b70d0f89791u, 0xc76c51a30654be30u,
  0xd192e819d6ef5218u, 0xd69906245565a910u, 0xf40e35855771202au, 0x106aa07032bbd1b8u,
  0x19a4c116b8d2d0c8u, 0x1e376c085141ab53u, 0x2748774cdf8eeb99u, 0x34b0bcb5e19b48a8u,
  0x391c0cb3c5c95a63u, 0x4ed8aa4ae3418acbu, 0x5b9cca4f7763e373u, 0x682e6ff3d6b2b8a3u,
  0x748f82ee5defb2fcu, 0x78a5636f43172f60u, 0x84c87814a1f0ab72u, 0x8cc702081a6439ecu,
  0x90befffa23631e28u, 0xa4506cebde82bde9u, 0xbef9a3f7b2c67915u, 0xc67178f2e372532bu,
  0xca273eceea26619cu, 0xd186b8c721c0c207u, 0xeada7dd6cde0eb1eu, 0xf57d4f7fee6ed178u,
  0x06f067aa72176fbau, 0x0a637dc5a2c898a6u, 0x113f9804bef90daeu, 0x1b710b35131c471bu,
  0x28db77f523047d84u, 0x32caab7b40c72493u, 0x3c9ebe0a15c9bebcu, 0x431d67c49c100d4cu,
  0x4cc5d4becb3e42b6u, 0x597f299cfc657e2au, 0x5fcb6fab3ad6faecu, 0x6c44198c4a475817u,
};

static inline uint64_t rotr(uint64_t x, unsigned n) { return x >> n | x << (64 - n); }
static inline uint64_t big_sigma0(uint64_t x) { return rotr(x, 28) ^ rotr(x, 34) ^ rotr(x, 39); }
static inline uint64_t big_sigma1(uint64_t x) { return rotr(x, 14) ^ rotr(x, 18) ^ rotr(x, 41); }
static inline uint64_t sigma0(uint64_t x) { return rotr(x, 1) ^ rotr(x, 8) ^ x >> 7; }
static inline uint64_t sigma1(uint64_t x) { return rotr(x, 19) ^ rotr(x, 61) ^ x >> 6; }
static inline uint64_t choose(uint64_t x, uint64_t y, uint64_t z) { return z ^ (x & (y ^ z)); }
static inline uint64_t majority(uint64_t x, uint64_t y, uint64_t z) {
  return (x & y) | (z & (x | y));
}

/* Word |t| of the schedule; from the 16th on it takes the place of word t - 16. */
static inline uint64_t schedule(uint64_t w[16], unsigned t) {
  if (t >= 16) w[t & 15] += sigma1(w[(t + 14) & 15]) + w[(t + 9) & 15] + sigma0(w[(t + 1) & 15]);
  return w[t & 15];
}

/* |v| is a, b, ... h of the standard, of which each round shifts all by one place. */
static void compress(uint64_t state[8], const uint8_t *block, uint64_t w[16]) {
  uint64_t v[8];
  memcpy(v, state, sizeof v);
  for (unsigned i = 0; i < 16; i++) w[i] = lk_load_be64(block + (size_t)i * 8);
  for (unsigned t = 0; t < 80; t++) {
    uint64_t sum = v[7] + big_sigma1(v[4]) + choose(v[4], v[5], v[6]) + round_constants[t];
    sum += schedule(w, t);
    uint64_t first = sum + big_sigma0(v[0]) + majority(v[0], v[1], v[2]);
    memmove(v + 1, v, 7 * sizeof *v);
    v[4] += sum;
    v[0] = first;
  }
  for (unsigned i = 0; i < 8; i++) state[i] += v[i];
  lk_crypto_wipe(v, sizeof v);
}

static void mix(uint64_t state[8], const uint8_t *blocks, size_t count) {
  uint64_t w[16];
  for (size_t i = 0; i < count; i++) compress(state, blocks + i * LK_SHA512_BLOCK_LEN, w);
  lk_crypto_wipe(w, sizeof w);
}

void lk_sha512_init(lk_sha512 *self, size_t digest_len) {
  static const uint64_t begin512[8] = {
    0x6a09e667f3bcc908u, 0xbb67ae8584caa73bu, 0x3c6ef372fe94f82bu, 0xa54ff53a5f1d36f1u,
    0x510e527fade682d1u, 0x9b05688c2b3e6c1fu, 0x1f83d9abfb41bd6bu, 0x5be0cd19137e2179u,
  };
  static const uint64_t begin384[8] = {
    0xcbbb9d5dc1059ed8u, 0x629a292a367cd507u, 0x9159015a3070dd17u, 0x152fecd8f70e5939u,
    0x67332667ffc00b31u, 0x8eb44a8768581511u, 0xdb0c2e0d64f98fa7u, 0x47b5481dbefa4fa4u,
  };
  LK_ASSERT(digest_len == LK_SHA384_LEN || digest_len == LK_SHA512_LEN);
  *self = (lk_sha512){ .digest_len = digest_len };
  memcpy(self->state, digest_len == LK_SHA512_LEN ? begin512 : begin384, sizeof self->state);
}

/* Adds to the unfinished block, and mixes it in if that completes it. Returns what is left. */
static lk_slice fill_pending(lk_sha512 *self, size_t have, lk_slice data) {
  size_t n = lk_min_size(data.len, LK_SHA512_BLOCK_LEN - have);
  memcpy(self->pending + have, data.ptr, n);
  if (have + n == LK_SHA512_BLOCK_LEN) mix(self->state, self->pending, 1);
  return lk_slice_skip(data, n);
}

void lk_sha512_update(lk_sha512 *self, lk_slice data) {
  if (data.len == 0) return;
  size_t have = (size_t)(self->total % LK_SHA512_BLOCK_LEN);
  self->total += data.len;
  if (have > 0) data = fill_pending(self, have, data);

  size_t blocks = data.len / LK_SHA512_BLOCK_LEN;
  mix(self->state, data.ptr, blocks);
  data = lk_slice_skip(data, blocks * LK_SHA512_BLOCK_LEN);
  if (data.len > 0) memcpy(self->pending, data.ptr, data.len);
}

/* The padding is a message like any other: 0x80, then zeroes until 8 bytes short of a block. */
void lk_sha512_final(lk_sha512 *self, uint8_t *out) {
  static const uint8_t padding[LK_SHA512_BLOCK_LEN] = { 0x80 };
  uint8_t digest[LK_SHA512_LEN], bits[16] = { 0 };
  lk_store_be64(bits + 8, self->total * 8);
  size_t have = (size_t)(self->total % LK_SHA512_BLOCK_LEN);
  size_t zeroes = (LK_SHA512_BLOCK_LEN + 111 - have) % LK_SHA512_BLOCK_LEN;
  lk_sha512_update(self, lk_slice_of(padding, 1 + zeroes));
  lk_sha512_update(self, lk_slice_of(bits, sizeof bits));
  for (size_t i = 0; i < 8; i++) lk_store_be64(digest + i * 8, self->state[i]);
  memcpy(out, digest, self->digest_len);
  lk_crypto_wipe(digest, sizeof digest);
  lk_crypto_wipe(self, sizeof *self);
}

/* ---- HMAC ---- */

static void begin(lk_sha512 *hash, size_t digest_len, const uint8_t *key, uint8_t pad) {
  uint8_t block[LK_SHA512_BLOCK_LEN];
  for (size_t i = 0; i < sizeof block; i++) block[i] = key[i] ^ pad;
  lk_sha512_init(hash, digest_len);
  lk_sha512_update(hash, lk_slice_of(block, sizeof block));
  lk_crypto_wipe(block, sizeof block);
}

void lk_hmac_sha512_init(lk_hmac_sha512 *self, size_t digest_len, lk_slice key) {
  uint8_t block[LK_SHA512_BLOCK_LEN] = { 0 };
  if (key.len > sizeof block) {
    lk_sha512_init(&self->inner, digest_len);
    lk_sha512_update(&self->inner, key);
    lk_sha512_final(&self->inner, block);
  } else if (key.len > 0) {
    memcpy(block, key.ptr, key.len);
  }
  begin(&self->inner, digest_len, block, 0x36);
  begin(&self->outer, digest_len, block, 0x5c);
  lk_crypto_wipe(block, sizeof block);
}

void lk_hmac_sha512_update(lk_hmac_sha512 *self, lk_slice data) {
  lk_sha512_update(&self->inner, data);
}

void lk_hmac_sha512_final(lk_hmac_sha512 *self, uint8_t *out) {
  uint8_t digest[LK_SHA512_LEN];
  size_t len = self->inner.digest_len;
  lk_sha512_final(&self->inner, digest);
  lk_sha512_update(&self->outer, lk_slice_of(digest, len));
  lk_sha512_final(&self->outer, out);
  lk_crypto_wipe(digest, sizeof digest);
}

/* ---- PBKDF2 ---- */

/* Block |number| of the output. |keyed| has the password worked in, and no message. */
static void derive_block(const lk_hmac_sha512 *keyed, lk_slice salt, uint32_t number,
                         uint32_t iterations, uint8_t *out) {
  uint8_t last[LK_SHA512_LEN], index[4];
  size_t len = keyed->inner.digest_len;
  lk_hmac_sha512 hmac = *keyed;
  lk_store_be32(index, number);
  lk_hmac_sha512_update(&hmac, salt);
  lk_hmac_sha512_update(&hmac, lk_slice_of(index, sizeof index));
  lk_hmac_sha512_final(&hmac, last);
  memcpy(out, last, len);
  for (uint32_t i = 1; i < iterations; i++) {
    hmac = *keyed;
    lk_hmac_sha512_update(&hmac, lk_slice_of(last, len));
    lk_hmac_sha512_final(&hmac, last);
    for (size_t k = 0; k < len; k++) out[k] ^= last[k];
  }
  lk_crypto_wipe(last, sizeof last);
}

void lk_pbkdf2_sha512(size_t digest_len, lk_slice password, lk_slice salt, uint32_t iterations,
                      uint8_t *out, size_t len) {
  LK_ASSERT(iterations > 0 && len > 0 && len <= LK_PBKDF2_MAX);
  lk_hmac_sha512 keyed;
  uint8_t block[LK_SHA512_LEN];
  lk_hmac_sha512_init(&keyed, digest_len, password);
  uint32_t number = 1;
  for (size_t off = 0; off < len; off += digest_len) {
    derive_block(&keyed, salt, number++, iterations, block);
    memcpy(out + off, block, lk_min_size(len - off, digest_len));
  }
  lk_crypto_wipe(&keyed, sizeof keyed);
  lk_crypto_wipe(block, sizeof block);
}
