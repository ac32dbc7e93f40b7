/* tests/unit/codec/vectors.h -- walking the cases of a section of tests/vectors/<file>.json.
 *
 *   lk_json_member f[] = { { .name = LK_LIT_INIT("value") }, { .name = LK_LIT_INIT("hex") } };
 *   vectors v;
 *   vectors_open(&v, "tests/vectors/lib0.json", LK_LIT("varuint"));
 *   while (vectors_next(&v, f, 2)) { ... vectors_hex(&v, &f[1]) ... }
 *   vectors_close(&v);
 *
 * What cannot be read fails the running test; so does a section without cases. */
#ifndef LK_TESTS_CODEC_VECTORS_H
#define LK_TESTS_CODEC_VECTORS_H

#include "codec/hex.h"
#include "codec/json_reader.h"
#include "harness/test.h"

typedef struct vectors {
  lk_arena arena; /* what the current case holds */
  lk_arena names; /* what the reader holds */
  lk_json_reader reader;
  uint32_t count;
} vectors;

static inline void vectors_open(vectors *v, const char *path, lk_slice section) {
  lk_limits limits = LK_LIMITS_INIT;
  lk_json_event event;
  lk_slice skipped;
  *v = (vectors){ 0 };
  lk_arena_init(&v->arena, test_alloc(), 1u << 20);
  lk_arena_init(&v->names, test_alloc(), 1u << 20);
  CHECK_OK(lk_json_reader_init(&v->reader, test_read_file(path), &limits, &v->names));
  CHECK_OK(lk_json_next(&v->reader, &event));
  for (;;) {
    CHECK_OK(lk_json_next(&v->reader, &event));
    if (event.kind != LK_JSON_KEY) test_fail(LK_FILE, __LINE__, "no such section in %s", path);
    if (lk_slice_equal(event.text, section)) break;
    CHECK_OK(lk_json_skip_value(&v->reader, &skipped));
  }
  CHECK_OK(lk_json_next(&v->reader, &event));
  CHECK(event.kind == LK_JSON_ARRAY_BEGIN);
}

/* The next case, whose members are borrowed until the one after it; false behind the last. */
static inline bool vectors_next(vectors *v, lk_json_member *members, size_t count) {
  lk_arena_reset(&v->arena);
  lk_err err = lk_json_read_members(&v->reader, members, count);
  if (err == LK_ERR_END) {
    CHECK(v->count > 0);
    return false;
  }
  CHECK_OK(err);
  v->count++;
  return true;
}

static inline void vectors_close(vectors *v) {
  lk_arena_deinit(&v->arena);
  lk_arena_deinit(&v->names);
}

static inline bool vectors_has(const lk_json_member *m) { return m->value.kind != LK_JSON_ABSENT; }

static inline lk_slice vectors_text(const lk_json_member *m) {
  lk_slice text = LK_SLICE_EMPTY;
  CHECK_OK(lk_json_get_string(&m->value, &text));
  return text;
}

static inline uint64_t vectors_u64(const lk_json_member *m) {
  uint64_t value = 0;
  CHECK_OK(lk_json_get_u64(&m->value, &value));
  return value;
}

static inline bool vectors_bool(const lk_json_member *m) {
  bool value = false;
  CHECK_OK(lk_json_get_bool(&m->value, &value));
  return value;
}

static inline lk_slice vectors_unhex(vectors *v, lk_slice text) {
  lk_slice bytes = LK_SLICE_EMPTY;
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), 1u << 20);
  CHECK_OK(lk_hex_decode(&buf, text));
  CHECK_OK(lk_arena_copy(&v->arena, lk_buf_slice(&buf), &bytes));
  lk_buf_deinit(&buf);
  return bytes;
}

static inline lk_slice vectors_hex(vectors *v, const lk_json_member *m) {
  return vectors_unhex(v, vectors_text(m));
}

/* UTF-16 units that are written as four digits each. */
static inline const uint16_t *vectors_units(vectors *v, lk_slice text, size_t *count) {
  lk_slice bytes = vectors_unhex(v, text);
  uint16_t *units = lk_arena_push_array(&v->arena, bytes.len / 2 + 1, sizeof *units);
  CHECK(units != NULL);
  *count = bytes.len / 2;
  for (size_t i = 0; i < *count; i++) units[i] = lk_load_be16(bytes.ptr + 2 * i);
  return units;
}

#define VECTORS_FIELD(text)                                                                        \
  { .name = LK_LIT_INIT(text) }

#endif
