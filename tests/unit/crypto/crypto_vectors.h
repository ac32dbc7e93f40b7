/* unit/crypto/crypto_vectors.h -- tests/vectors/crypto.json for the tests of any provider.
 *
 *   crypto_vectors all = crypto_vectors_read("sha256");
 *   for (size_t i = 0; i < all.count; i++) { lk_slice m = crypto_bytes(&all.items[i], "message"); }
 *   crypto_vectors_free(&all);
 *
 * Whatever is wrong with the file fails the running test. */
#ifndef LK_TESTS_CRYPTO_VECTORS_H
#define LK_TESTS_CRYPTO_VECTORS_H

#include "codec/hex.h"
#include "codec/json_reader.h"
#include "harness/test.h"

#define CRYPTO_FIELDS_MAX 8
#define CRYPTO_CASES_MAX 16

typedef struct crypto_field {
  lk_slice name;
  lk_slice bytes;
  uint64_t number;
} crypto_field;

typedef struct crypto_vector {
  crypto_field fields[CRYPTO_FIELDS_MAX];
  size_t count;
} crypto_vector;

typedef struct crypto_vectors {
  lk_arena arena;
  crypto_vector items[CRYPTO_CASES_MAX];
  size_t count;
} crypto_vectors;

static inline lk_slice crypto_unhex(lk_slice text, lk_arena *arena) {
  CHECK(text.len % 2 == 0);
  uint8_t *bytes = lk_arena_push_bytes(arena, text.len / 2);
  CHECK(bytes != NULL);
  for (size_t i = 0; i < text.len / 2; i++) {
    int high = lk_hex_digit(text.ptr[2 * i]), low = lk_hex_digit(text.ptr[2 * i + 1]);
    CHECK(high >= 0 && low >= 0);
    bytes[i] = (uint8_t)(high << 4 | low);
  }
  return lk_slice_of(bytes, text.len / 2);
}

/* The object whose beginning was just read. */
static inline void crypto_read_case(lk_json_reader *in, crypto_vector *out, lk_arena *arena) {
  lk_json_event event;
  for (;;) {
    CHECK_OK(lk_json_next(in, &event));
    if (event.kind == LK_JSON_OBJECT_END) return;
    CHECK(event.kind == LK_JSON_KEY && out->count < CRYPTO_FIELDS_MAX);
    crypto_field *field = &out->fields[out->count++];
    field->name = event.text;
    CHECK_OK(lk_json_next(in, &event));
    if (event.kind == LK_JSON_NUMBER) {
      CHECK_OK(lk_json_get_u64(&event, &field->number));
    } else if (lk_slice_equal(field->name, LK_LIT("source"))) {
      CHECK_OK(lk_json_get_string(&event, &field->bytes));
    } else {
      CHECK(event.kind == LK_JSON_STRING);
      field->bytes = crypto_unhex(event.text, arena);
    }
  }
}

/* Goes to the array called |group| in the outer object, and past its opening bracket. */
static inline void crypto_find_group(lk_json_reader *in, const char *group) {
  lk_json_event event;
  lk_slice raw;
  CHECK_OK(lk_json_next(in, &event));
  CHECK(event.kind == LK_JSON_OBJECT_BEGIN);
  for (;;) {
    CHECK_OK(lk_json_next(in, &event));
    if (event.kind != LK_JSON_KEY) test_fail(LK_FILE, __LINE__, "no vectors for %s", group);
    if (lk_slice_equal(event.text, lk_slice_cstr(group))) break;
    CHECK_OK(lk_json_skip_value(in, &raw));
  }
  CHECK_OK(lk_json_next(in, &event));
  CHECK(event.kind == LK_JSON_ARRAY_BEGIN);
}

static inline crypto_vectors crypto_vectors_read(const char *group) {
  lk_limits limits = lk_limits_default();
  crypto_vectors all = { .count = 0 };
  lk_json_reader in;
  lk_json_event event;
  lk_arena_init(&all.arena, test_alloc(), 1u << 20);
  lk_slice text = test_read_file("tests/vectors/crypto.json");
  CHECK_OK(lk_json_reader_init(&in, text, &limits, &all.arena));
  crypto_find_group(&in, group);
  for (;;) {
    CHECK_OK(lk_json_next(&in, &event));
    if (event.kind == LK_JSON_ARRAY_END) break;
    CHECK(event.kind == LK_JSON_OBJECT_BEGIN && all.count < CRYPTO_CASES_MAX);
    crypto_read_case(&in, &all.items[all.count++], &all.arena);
  }
  CHECK(all.count > 0);
  return all;
}

static inline void crypto_vectors_free(crypto_vectors *all) { lk_arena_deinit(&all->arena); }

static inline const crypto_field *crypto_find(const crypto_vector *self, const char *name) {
  for (size_t i = 0; i < self->count; i++) {
    if (lk_slice_equal(self->fields[i].name, lk_slice_cstr(name))) return &self->fields[i];
  }
  return NULL;
}

/* Names the case in the output of a failing test. */
static inline void crypto_note(const crypto_vector *self) {
  const crypto_field *source = crypto_find(self, "source");
  CHECK(source != NULL);
  test_note("case: %.*s", (int)source->bytes.len, (const char *)source->bytes.ptr);
}

static inline lk_slice crypto_bytes(const crypto_vector *self, const char *name) {
  const crypto_field *field = crypto_find(self, name);
  if (field == NULL) test_fail(LK_FILE, __LINE__, "the case has no \"%s\"", name);
  return field->bytes;
}

/* The same, and it must be |len| bytes long. */
static inline const uint8_t *crypto_array(const crypto_vector *self, const char *name, size_t len) {
  lk_slice bytes = crypto_bytes(self, name);
  CHECK_U64(bytes.len, len);
  return bytes.ptr;
}

static inline uint64_t crypto_number(const crypto_vector *self, const char *name,
                                     uint64_t otherwise) {
  const crypto_field *field = crypto_find(self, name);
  return field != NULL ? field->number : otherwise;
}

#endif
