/* Texts that strangers call canonical. */
#include "codec/json_canonical.h"

#include "codec/json_reader.h"
#include "harness/test.h"

static const lk_slice samples[] = {
  LK_LIT_INIT("{\"a\":[1,-2.5,true,false,null],\"b\":{\"\":{},\"c\":\"\\n\\u001f\\\\\"},"
              "\"\xC3\xA9\":1e+30}"),
  LK_LIT_INIT("{\"\xEF\xAC\xB3\":1,\"\xF0\x9F\x98\x80\":2,\"\\ud83d\\ude01\":{\"b\":1,\"a\":2}}"),
  LK_LIT_INIT(
      "[{\"b\":[{\"d\":1,\"c\":2},{}],\"a\":[]},{\"\\u0062\":\"\\u0041\\/\",\"a\" : -0.0}]"),
  LK_LIT_INIT(
      "{\"same beginning 1\":1,\"same beginning 2\":2,\"same beginning\":9007199254740993}"),
  LK_LIT_INIT("\"just a text of more than eight bytes, with \xE2\x82\xAC in it\""),
  LK_LIT_INIT("{\"a\":1,\"b\":2,\"\\u0061\":3}"),
};
#define SAMPLES (sizeof samples / sizeof *samples)

static uint64_t mix(uint64_t hash, uint64_t value) {
  hash = (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
  return hash ^ hash >> 29;
}

static uint64_t mix_bytes(uint64_t hash, lk_slice bytes) {
  for (size_t i = 0; i < bytes.len; i++) hash = mix(hash, bytes.ptr[i]);
  return mix(hash, bytes.len);
}

/* A sum over all events of |text|, so that it does not depend on their order: each with its depth,
 * and strings and numbers with their values. */
static uint64_t sum_of(lk_slice text, const lk_limits *limits) {
  lk_arena arena;
  lk_json_reader r;
  lk_json_event event = { .kind = LK_JSON_ABSENT };
  uint64_t sum = 0;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  CHECK_OK(lk_json_reader_init(&r, text, limits, &arena));
  while (event.kind != LK_JSON_END) {
    double value = 0;
    CHECK_OK(lk_json_next(&r, &event));
    if (event.kind == LK_JSON_NUMBER) CHECK_OK(lk_json_get_f64(&event, &value));
    uint64_t hash = mix_bytes(mix(r.depth, (uint64_t)event.kind), event.text);
    sum += mix(hash, lk_bits_of_f64(value == 0 ? 0 : value));
  }
  lk_arena_deinit(&arena);
  return sum;
}

/* Checking and making agree about every text; what was made holds the same values, is found
 * canonical, and is made of itself.
 * also fuzzes: lk_json_canonicalize */
FUZZ(lk_json_check_canonical) {
  uint8_t scratch[512];
  lk_limits limits = lk_limits_default();
  lk_buf out, again;
  limits.json_depth = 16;
  limits.json_bytes = 1 << 16;
  lk_slice in = gen_hostile(g, samples, SAMPLES, scratch, sizeof scratch);
  lk_buf_init(&out, test_alloc(), 1 << 20);
  lk_buf_init(&again, test_alloc(), 1 << 20);
  lk_err read = lk_json_check(in, &limits, NULL);
  lk_err checked = lk_json_check_canonical(in, &limits, test_alloc());
  lk_err made = lk_json_canonicalize(in, &limits, &out);
  if (made == LK_OK) {
    bool same = lk_slice_equal(in, lk_buf_slice(&out));
    CHECK_ERR(checked, same ? LK_OK : LK_ERR_NOT_CANONICAL);
    if (out.len <= limits.json_bytes) {
      CHECK_OK(lk_json_check_canonical(lk_buf_slice(&out), &limits, test_alloc()));
      CHECK_OK(lk_json_canonicalize(lk_buf_slice(&out), &limits, &again));
      CHECK_SLICE(lk_buf_slice(&again), lk_buf_slice(&out));
      CHECK_U64(sum_of(lk_buf_slice(&out), &limits), sum_of(in, &limits));
    }
  } else {
    CHECK_ERR(checked, made);
    CHECK_U64(out.len, 0);
  }
  if (read != LK_OK) CHECK_ERR(made, read);
  if (read == LK_OK) CHECK(made == LK_OK || made == LK_ERR_RANGE || made == LK_ERR_EXISTS);
  lk_buf_deinit(&out);
  lk_buf_deinit(&again);
}
