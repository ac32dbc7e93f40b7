/* The table from names to rows: it equals a list of names whatever is put in and taken out, and takes no more than it says. */
#include <string.h>

#include "base/map.h"
#include "harness/faulty.h"
#include "harness/gen.h"
#include "harness/test.h"
#include "platform/posix/row_index.h"

enum { NAMES = 200, ROWS = 200 };

/* Row r has name number names[r] - 1, or none. */
typedef struct model {
  uint8_t names[ROWS];
  uint8_t texts[NAMES][4];
  uint32_t count;
} model;

static lk_slice text_of(const model *m, uint32_t name) {
  return lk_slice_of(m->texts[name], sizeof m->texts[name]);
}

static lk_slice name_of(const void *rows, uint32_t row) {
  const model *m = rows;
  CHECK(row < ROWS);
  return m->names[row] == 0 ? LK_SLICE_EMPTY : text_of(m, m->names[row] - 1u);
}

static bool model_find(const model *m, uint32_t name, uint32_t *row) {
  for (*row = 0; *row < ROWS; (*row)++) {
    if (m->names[*row] == name + 1) return true;
  }
  return false;
}

static void check_equal(const lk_row_index *index, const model *m) {
  uint32_t taken = 0;
  CHECK_U64(index->count, m->count);
  for (uint32_t slot = 0; slot < index->cap; slot++) taken += index->slots[slot] != 0;
  CHECK_U64(taken, m->count); /* nothing is left where something was */
  for (uint32_t name = 0; name < NAMES; name++) {
    uint32_t row = ROWS, want;
    bool is_there = model_find(m, name, &want);
    CHECK(lk_row_index_find(index, text_of(m, name), &row) == is_there);
    if (is_there) CHECK_U64(row, want);
  }
}

static lk_err add(lk_row_index *index, model *m, uint32_t row, uint32_t name) {
  lk_err err = lk_row_index_reserve(index);
  if (err != LK_OK) return err;
  m->names[row] = (uint8_t)(name + 1);
  m->count++;
  lk_row_index_add(index, row);
  return LK_OK;
}

static void take(lk_row_index *index, model *m, uint32_t row) {
  lk_row_index_remove(index, row);
  m->names[row] = 0;
  m->count--;
}

/* Texts whose probing begins at one of |homes| slots of the smallest table: long runs, some of them around its end. */
static void draw_texts(lk_gen *g, model *m, const uint64_t seed[2], uint32_t homes) {
  uint32_t first = gen_below(g, 16);
  uint32_t n = gen_below(g, 1000);
  for (uint32_t i = 0; i < NAMES; n++) {
    memcpy(m->texts[i], &n, sizeof m->texts[i]);
    uint32_t home = (uint32_t)lk_siphash13(seed, text_of(m, i)) & 15;
    if (((home - first) & 15) < homes) i++;
  }
}

PROPERTY(row_index_equals_a_model) {
  static const uint32_t all_homes[] = { 1, 2, 5, 16 };
  model m = { 0 };
  lk_row_index index;
  uint64_t seed[2] = { gen_u64(g), gen_u64(g) };
  uint32_t names = gen_range(g, 1, NAMES), homes = all_homes[gen_below(g, 4)];
  draw_texts(g, &m, seed, homes);
  lk_row_index_init(&index, test_alloc(), seed, name_of, &m);
  for (uint32_t i = gen_below(g, 400); i > 0; i--) {
    uint32_t name = gen_below(g, names), row = gen_below(g, ROWS), at;
    bool is_there = model_find(&m, name, &at);
    if (is_there) take(&index, &m, at);
    if ((!is_there || gen_chance(g, 1, 3)) && m.names[row] == 0) /* or a row gets another name */
      CHECK_OK(add(&index, &m, row, name));
    if (gen_chance(g, 1, 8)) check_equal(&index, &m);
  }
  check_equal(&index, &m);
  lk_row_index_deinit(&index);
  lk_row_index_deinit(&index);
}

/* Goal: sixteen bytes a name are the most, however often names come and go. */
TEST(row_index_takes_as_much_as_its_names_at_once_need) {
  static const uint64_t seed[2] = { 1, 2 };
  model m = { 0 };
  lk_row_index index;
  uint32_t row;
  for (uint32_t i = 0; i < NAMES; i++) memcpy(m.texts[i], &i, sizeof m.texts[i]);
  lk_row_index_init(&index, test_alloc(), seed, name_of, &m);
  CHECK(!lk_row_index_find(&index, LK_LIT("none"), &row));
  for (uint32_t i = 0; i < 100000; i++) {
    if (i >= 64) take(&index, &m, (i - 64) % ROWS);
    CHECK_OK(add(&index, &m, i % ROWS, i % NAMES));
  }
  CHECK_U64(index.count, 64);
  CHECK_U64(index.cap, 128); /* it is half full */
  check_equal(&index, &m);
  CHECK_OK(add(&index, &m, (100000 % ROWS), 100000 % NAMES));
  CHECK_U64(index.cap, 256);
  check_equal(&index, &m);
  lk_row_index_deinit(&index);
}

TEST(row_index_is_as_before_when_memory_runs_out) {
  static const uint64_t seed[2] = { 3, 4 };
  FAULT_LOOP(faults, test_alloc()) {
    model m = { 0 };
    lk_row_index index;
    lk_err err = LK_OK;
    for (uint32_t i = 0; i < NAMES; i++) memcpy(m.texts[i], &i, sizeof m.texts[i]);
    lk_row_index_init(&index, faulty_alloc(&faults), seed, name_of, &m);
    for (uint32_t i = 0; i < 100 && err == LK_OK; i++) err = add(&index, &m, i, i);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    check_equal(&index, &m);
    if (err == LK_OK) CHECK_U64(m.count, 100);
    lk_row_index_deinit(&index);
  }
}
