/* base/num.h -- integers that a peer can influence, handled without surprises.
 *
 * size_t is memory (32 bits in the browser), uint64_t is files, clocks and counters, uint32_t is
 * bounded counts. Crossing between them, and adding or multiplying what came from outside, goes
 * through the checked helpers: they return false and leave |out| alone when the result does not
 * fit. Loads and stores work on bytes, so that neither alignment nor the machine's byte order
 * can matter; compilers turn each into one instruction. */
#ifndef LK_BASE_NUM_H
#define LK_BASE_NUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

/* ---- checked arithmetic ---- */

static inline bool lk_add_size(size_t a, size_t b, size_t *out) {
  size_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return false;
  *out = sum;
  return true;
}

static inline bool lk_mul_size(size_t a, size_t b, size_t *out) {
  size_t product;
  if (__builtin_mul_overflow(a, b, &product)) return false;
  *out = product;
  return true;
}

static inline bool lk_add_u64(uint64_t a, uint64_t b, uint64_t *out) {
  uint64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return false;
  *out = sum;
  return true;
}

/* By division: the compiler's overflow check of a 64-bit product calls __multi3 on wasm32, which
 * a freestanding module does not have. */
static inline bool lk_mul_u64(uint64_t a, uint64_t b, uint64_t *out) {
  if (a != 0 && b > UINT64_MAX / a) return false;
  *out = a * b;
  return true;
}

static inline bool lk_u64_to_size(uint64_t value, size_t *out) {
  if (value > SIZE_MAX) return false;
  *out = (size_t)value;
  return true;
}

static inline bool lk_u64_to_u32(uint64_t value, uint32_t *out) {
  if (value > UINT32_MAX) return false;
  *out = (uint32_t)value;
  return true;
}

static inline bool lk_size_to_u32(size_t value, uint32_t *out) { return lk_u64_to_u32(value, out); }

/* ---- least, greatest, rounding ---- */

static inline size_t lk_min_size(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t lk_max_size(size_t a, size_t b) { return a > b ? a : b; }
static inline uint32_t lk_min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }
static inline uint32_t lk_max_u32(uint32_t a, uint32_t b) { return a > b ? a : b; }
static inline uint64_t lk_min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t lk_max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* |value| must not be 0. */
static inline unsigned lk_clz_u64(uint64_t value) { return (unsigned)__builtin_clzll(value); }
static inline unsigned lk_ctz_u64(uint64_t value) { return (unsigned)__builtin_ctzll(value); }
static inline unsigned lk_ctz_u32(uint32_t value) { return (unsigned)__builtin_ctz(value); }
static inline unsigned lk_clz_u32(uint32_t value) { return (unsigned)__builtin_clz(value); }

static inline uint64_t lk_rotl_u64(uint64_t value, unsigned bits) {
  return (value << (bits & 63u)) | (value >> (-bits & 63u));
}
static inline uint32_t lk_rotl_u32(uint32_t value, unsigned bits) {
  return (value << (bits & 31u)) | (value >> (-bits & 31u));
}

/* ---- loads and stores ---- */

static inline uint16_t lk_load_be16(const uint8_t *p) {
  return (uint16_t)((uint32_t)p[0] << 8 | p[1]);
}
static inline uint32_t lk_load_be32(const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint64_t lk_load_be64(const uint8_t *p) {
  return (uint64_t)lk_load_be32(p) << 32 | lk_load_be32(p + 4);
}
static inline uint16_t lk_load_le16(const uint8_t *p) {
  return (uint16_t)((uint32_t)p[1] << 8 | p[0]);
}
static inline uint32_t lk_load_le32(const uint8_t *p) {
  return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}
static inline uint64_t lk_load_le64(const uint8_t *p) {
  return (uint64_t)lk_load_le32(p + 4) << 32 | lk_load_le32(p);
}

static inline void lk_store_be16(uint8_t *p, uint16_t v) {
  p[0] = (uint8_t)(v >> 8);
  p[1] = (uint8_t)v;
}
static inline void lk_store_be32(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)(v >> 24);
  p[1] = (uint8_t)(v >> 16);
  p[2] = (uint8_t)(v >> 8);
  p[3] = (uint8_t)v;
}
static inline void lk_store_be64(uint8_t *p, uint64_t v) {
  lk_store_be32(p, (uint32_t)(v >> 32));
  lk_store_be32(p + 4, (uint32_t)v);
}
static inline void lk_store_le16(uint8_t *p, uint16_t v) {
  p[0] = (uint8_t)v;
  p[1] = (uint8_t)(v >> 8);
}
static inline void lk_store_le32(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)v;
  p[1] = (uint8_t)(v >> 8);
  p[2] = (uint8_t)(v >> 16);
  p[3] = (uint8_t)(v >> 24);
}
static inline void lk_store_le64(uint8_t *p, uint64_t v) {
  lk_store_le32(p, (uint32_t)v);
  lk_store_le32(p + 4, (uint32_t)(v >> 32));
}

/* A double and its IEEE 754 bits, without breaking the aliasing rules. */
static inline uint64_t lk_bits_of_f64(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
static inline double lk_f64_of_bits(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
static inline uint32_t lk_bits_of_f32(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
static inline float lk_f32_of_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

#endif
