/* harness/gen.c -- choices from a seed or from bytes. */
#include "harness/gen.h"

void gen_init_seed(lk_gen *g, uint64_t seed) {
  *g = (lk_gen){ 0 };
  lk_prng_init(&g->prng, seed);
}

void gen_init_bytes(lk_gen *g, lk_slice bytes) {
  *g = (lk_gen){ .from_bytes = true, .bytes = bytes };
  /* For what a fuzzer should not spend its bytes on, such as hash seeds. */
  lk_prng_init(&g->prng, 1);
}

/* |count| bytes of the input as an integer; missing ones are zero. */
static uint64_t take(lk_gen *g, size_t count) {
  uint64_t value = 0;
  for (size_t i = 0; i < count && g->bytes.len > 0; i++) {
    value = value << 8 | g->bytes.ptr[0];
    g->bytes = lk_slice_skip(g->bytes, 1);
  }
  return value;
}

static const uint64_t boundaries[] = {
  0,          1,         2,          63,         64,         127,
  128,        255,       256,        16383,      16384,      65535,
  65536,      INT32_MAX, UINT32_MAX, 1ull << 31, 1ull << 32, (1ull << 53) - 1,
  1ull << 53, INT64_MAX, 1ull << 63, UINT64_MAX,
};

uint64_t gen_u64(lk_gen *g) {
  if (g->from_bytes) return take(g, 8);
  switch (lk_prng_below(&g->prng, 4)) {
  case 0: return boundaries[lk_prng_below(&g->prng, sizeof boundaries / sizeof boundaries[0])];
  case 1: return lk_prng_below(&g->prng, 300);
  case 2: return lk_prng_u64(&g->prng) >> lk_prng_below(&g->prng, 64);
  default: return lk_prng_u64(&g->prng);
  }
}

uint32_t gen_below(lk_gen *g, uint32_t bound) {
  LK_ASSERT(bound > 0);
  if (!g->from_bytes) return (uint32_t)lk_prng_below(&g->prng, bound);
  if (bound == 1) return 0;
  return (uint32_t)(take(g, bound <= 256 ? 1 : bound <= 65536 ? 2 : 4) % bound);
}

uint32_t gen_range(lk_gen *g, uint32_t low, uint32_t high) {
  LK_ASSERT(low <= high && high - low < UINT32_MAX);
  return low + gen_below(g, high - low + 1);
}

bool gen_bool(lk_gen *g) { return gen_below(g, 2) == 1; }

/* The smallest choice is "no", whatever the odds: exhausted bytes end loops. */
bool gen_chance(lk_gen *g, uint32_t parts, uint32_t whole) {
  LK_ASSERT(whole > 0 && parts <= whole);
  return gen_below(g, whole) >= whole - parts;
}

size_t gen_bytes(lk_gen *g, uint8_t *out, size_t max) {
  if (max == 0) return 0;
  size_t len = gen_below(g, (uint32_t)lk_min_size(max, UINT32_MAX - 1) + 1);
  if (g->from_bytes) {
    len = lk_min_size(len, g->bytes.len);
    if (len > 0) memcpy(out, g->bytes.ptr, len);
    g->bytes = lk_slice_skip(g->bytes, len);
  } else {
    lk_prng_fill(&g->prng, out, len);
  }
  return len;
}

static uint32_t gen_code_point(lk_gen *g) {
  switch (gen_below(g, 6)) {
  case 0:
  case 1:
  case 2: return gen_below(g, 0x80);
  case 3: return gen_range(g, 0x80, 0x7ff);
  case 4: {
    uint32_t c = gen_range(g, 0x800, 0xffff - 0x800);
    return c >= 0xd800 ? c + 0x800 : c; /* steps over the surrogates */
  }
  default: return gen_range(g, 0x10000, 0x10ffff);
  }
}

size_t gen_utf8(lk_gen *g, uint8_t *out, size_t max) {
  size_t len = 0;
  uint32_t count = gen_below(g, (uint32_t)lk_min_size(max, 1u << 20) + 1);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t c = gen_code_point(g);
    size_t need = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (need > max - len) break;
    static const uint8_t first_bits[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    for (size_t k = need; k-- > 1; c >>= 6) out[len + k] = (uint8_t)(0x80 | (c & 0x3f));
    out[len] = (uint8_t)(c | first_bits[need]);
    len += need;
  }
  return len;
}

/* ---- hostile bytes ---- */

static void flip(lk_prng *p, uint8_t *bytes, size_t len) {
  if (len > 0) bytes[lk_prng_below(p, len)] ^= (uint8_t)(1u << lk_prng_below(p, 8));
}

static void set_extreme(lk_prng *p, uint8_t *bytes, size_t len) {
  static const uint8_t extremes[] = { 0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff };
  if (len == 0) return;
  size_t at = (size_t)lk_prng_below(p, len);
  size_t run = (size_t)lk_prng_range(p, 1, lk_min_size(len - at, 10));
  memset(bytes + at, extremes[lk_prng_below(p, sizeof extremes)], run);
}

static size_t cut_out(lk_prng *p, uint8_t *bytes, size_t len) {
  if (len == 0) return 0;
  size_t at = (size_t)lk_prng_below(p, len);
  size_t run = (size_t)lk_prng_range(p, 1, len - at);
  memmove(bytes + at, bytes + at + run, len - at - run);
  return len - run;
}

static size_t repeat(lk_prng *p, uint8_t *bytes, size_t len, size_t cap) {
  if (len == 0 || len == cap) return len;
  size_t at = (size_t)lk_prng_below(p, len);
  size_t run = (size_t)lk_prng_range(p, 1, lk_min_size(len - at, cap - len));
  memmove(bytes + at + run, bytes + at, len - at);
  return len + run;
}

static size_t mutate(lk_prng *p, uint8_t *bytes, size_t len, size_t cap) {
  switch (lk_prng_below(p, 6)) {
  case 0:
  case 1: flip(p, bytes, len); return len;
  case 2: set_extreme(p, bytes, len); return len;
  case 3: return cut_out(p, bytes, len);
  case 4: return repeat(p, bytes, len, cap);
  default: return (size_t)lk_prng_below(p, (uint64_t)len + 1); /* cut the end off */
  }
}

lk_slice gen_hostile(lk_gen *g, const lk_slice *samples, size_t sample_count, uint8_t *scratch,
                     size_t scratch_len) {
  if (g->from_bytes) {
    lk_slice all = g->bytes;
    g->bytes = LK_SLICE_EMPTY;
    return all;
  }
  lk_prng *p = &g->prng;
  if (sample_count == 0 || lk_prng_chance(p, 1, 8)) {
    size_t len = (size_t)lk_prng_below(p, lk_min_size(scratch_len, 64) + 1);
    lk_prng_fill(p, scratch, len);
    return lk_slice_of(scratch, len);
  }
  lk_slice sample = samples[lk_prng_below(p, sample_count)];
  size_t len = lk_min_size(sample.len, scratch_len);
  if (len > 0) memcpy(scratch, sample.ptr, len);
  for (uint64_t i = lk_prng_below(p, 6); i > 0; i--) len = mutate(p, scratch, len, scratch_len);
  return lk_slice_of(scratch, len);
}
