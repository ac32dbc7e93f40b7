#include "room/names.h"

#include "harness/faulty.h"
#include "harness/gen.h"
#include "harness/test.h"

static lk_slice name_of(uint32_t number, uint8_t bytes[LK_NAMES_NAME_MAX]) {
  size_t len = 4 + number * 37 % 250;
  memset(bytes, 'x', len);
  for (size_t i = 0; i < 4; i++, number /= 26) bytes[i] = (uint8_t)('a' + number % 26);
  return lk_slice_of(bytes, len);
}

/* Always: names come in order, each block has one, and there are as many as are counted. */
static void check_order(const lk_names *names) {
  uint8_t before[LK_NAMES_NAME_MAX], flags;
  size_t before_len = 0;
  uint64_t count = 0;
  lk_slice name;
  for (lk_names_cursor at = { 0 }; lk_names_next(names, &at, &name, &flags); count++) {
    CHECK(lk_slice_compare(lk_slice_of(before, before_len), name) < 0);
    memcpy(before, name.ptr, name.len);
    before_len = name.len;
  }
  CHECK_U64(count, names->count);
}

/* Goal: after any puts and removals there is what was put and not removed, with its flags. */
PROPERTY(names_are_those_that_were_put_and_not_removed) {
  enum { NAMES = 200 };
  uint8_t is_in[NAMES] = { 0 }, bytes[LK_NAMES_NAME_MAX], *flags;
  lk_names names;
  lk_names_init(&names, test_alloc(), SIZE_MAX);
  for (uint32_t steps = (uint32_t)gen_below(g, 1000); steps > 0; steps--) {
    uint32_t number = (uint32_t)gen_below(g, NAMES);
    lk_slice name = name_of(number, bytes);
    if (gen_below(g, 3) == 0) {
      CHECK(lk_names_remove(&names, name) == (is_in[number] != 0));
      is_in[number] = 0;
    } else {
      CHECK_OK(lk_names_put(&names, name, &flags));
      CHECK_U64(*flags, is_in[number]);
      *flags = is_in[number] = (uint8_t)(1 + gen_below(g, 255));
    }
  }
  check_order(&names);
  for (uint32_t i = 0; i < NAMES; i++) {
    flags = lk_names_find(&names, name_of(i, bytes));
    CHECK_U64(flags == NULL ? 0 : *flags, is_in[i]);
    lk_names_cursor at = lk_names_seek(&names, name_of(i, bytes));
    lk_slice name;
    uint8_t of_next;
    if (is_in[i] == 0) continue;
    CHECK(lk_names_next(&names, &at, &name, &of_next));
    CHECK(lk_slice_equal(name, name_of(i, bytes)) && of_next == is_in[i]);
  }
  lk_names_deinit(&names);
}

/* Goal: nothing remains of a name that was removed, wherever it has been. */
TEST(names_that_were_removed_are_gone_from_memory) {
  lk_names names;
  uint8_t bytes[LK_NAMES_NAME_MAX], *flags;
  lk_names_init(&names, test_alloc(), SIZE_MAX);
  for (uint32_t i = 0; i < 100; i++) CHECK_OK(lk_names_put(&names, name_of(i, bytes), &flags));
  for (uint32_t i = 1; i < 100; i++) CHECK(lk_names_remove(&names, name_of(i, bytes)));
  CHECK_U64(names.blocks_count, 1);
  lk_slice left = lk_slice_of((const uint8_t *)names.blocks[0],
                              lk_names_bytes(&names) - names.blocks_cap * sizeof(void *));
  size_t count = 0;
  for (size_t i = 0; i < left.len; i++) count += left.ptr[i] != 0;
  CHECK(count <= 8); /* a length, and the name that is left */
  CHECK_U64(name_of(0, bytes).len, 4);
  lk_names_deinit(&names);
}

TEST(a_name_between_two_is_sought_from_the_next_one) {
  lk_names names;
  uint8_t *flags, of;
  lk_slice name;
  lk_names_init(&names, test_alloc(), SIZE_MAX);
  lk_names_cursor at = lk_names_seek(&names, LK_LIT("a"));
  CHECK(!lk_names_next(&names, &at, &name, &of));
  CHECK(lk_names_find(&names, LK_LIT("a")) == NULL && !lk_names_remove(&names, LK_LIT("a")));
  CHECK_OK(lk_names_put(&names, LK_LIT("b"), &flags));
  CHECK_OK(lk_names_put(&names, LK_LIT("d"), &flags));
  at = lk_names_seek(&names, LK_LIT("c"));
  CHECK(lk_names_next(&names, &at, &name, &of));
  CHECK_TEXT(name, "d");
  CHECK(!lk_names_next(&names, &at, &name, &of));
  lk_names_deinit(&names);
  lk_names_deinit(&names);
}

TEST(names_beyond_the_bound_are_refused_and_the_others_stay) {
  lk_names names;
  uint8_t bytes[256] = { 'n' }, *flags;
  uint32_t count = 0;
  lk_names_init(&names, test_alloc(), 4096);
  CHECK_ERR(lk_names_put(&names, lk_slice_of(bytes, 256), &flags), LK_ERR_TOO_BIG);
  while (lk_names_put(&names, name_of(count, bytes), &flags) == LK_OK) count++;
  CHECK(count > 10);
  CHECK_ERR(lk_names_put(&names, name_of(count, bytes), &flags), LK_ERR_LIMIT);
  CHECK_U64(names.count, count);
  check_order(&names);
  lk_names_deinit(&names);
}

TEST(names_without_memory_are_as_before) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_names names;
    uint8_t bytes[LK_NAMES_NAME_MAX], *flags;
    uint64_t count = 0;
    lk_names_init(&names, faulty_alloc(&faults), SIZE_MAX);
    for (uint32_t i = 0; i < 40; i++) {
      lk_err err = lk_names_put(&names, name_of(i, bytes), &flags);
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      if (err == LK_OK) count++;
    }
    CHECK(faults.hit || count == 40);
    CHECK_U64(names.count, count);
    check_order(&names);
    lk_names_deinit(&names);
  }
}
