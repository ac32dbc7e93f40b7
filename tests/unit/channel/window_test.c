#include "channel/window.h"

#include "harness/gen.h"
#include "harness/test.h"

static int things[64];

TEST(numbers_are_found_until_they_are_taken_and_never_before_or_after) {
  lk_window w;
  uint64_t number = 0;
  lk_window_init(&w, test_alloc(), 100);
  CHECK(lk_window_get(&w, 0) == NULL && lk_window_take(&w, 5) == NULL);
  CHECK_OK(lk_window_put(&w, 10, &things[0]));
  CHECK_OK(lk_window_put(&w, 13, &things[1]));
  CHECK(lk_window_get(&w, 9) == NULL && lk_window_get(&w, 11) == NULL &&
        lk_window_get(&w, 14) == NULL);
  CHECK(lk_window_get(&w, 13) == &things[1]);
  CHECK(lk_window_next(&w, &number) == &things[0] && number == 10);
  CHECK(lk_window_take(&w, 10) == &things[0]);
  CHECK(lk_window_get(&w, 10) == NULL);
  number = 0;
  CHECK(lk_window_next(&w, &number) == &things[1] && number == 13);
  number = 14;
  CHECK(lk_window_next(&w, &number) == NULL);
  CHECK_ERR(lk_window_put(&w, 13, &things[2]), LK_ERR_RANGE);
  CHECK_ERR(lk_window_put(&w, 5, &things[2]), LK_ERR_RANGE);
  CHECK_ERR(lk_window_put(&w, 113, &things[2]), LK_ERR_LIMIT);
  CHECK_OK(lk_window_put(&w, 112, &things[2]));
  CHECK(lk_window_take(&w, 13) == &things[1] && lk_window_take(&w, 112) == &things[2]);
  CHECK(lk_window_is_empty(&w));
  CHECK_ERR(lk_window_put(&w, 112, &things[2]), LK_ERR_RANGE); /* done with for ever */
  CHECK_OK(lk_window_put(&w, UINT64_MAX - 1, &things[3]));
  lk_window_deinit(&w);
  lk_window_deinit(&w);
}

/* Against an array that forgets nothing. */
PROPERTY(a_window_is_an_array_of_what_is_open) {
  enum { COUNT = 400 };
  int *model[COUNT] = { 0 };
  uint32_t next = gen_below(g, 20);
  lk_window w;
  lk_window_init(&w, test_alloc(), COUNT);
  while (next < COUNT) {
    if (!gen_chance(g, 2, 5)) {
      model[next] = &things[gen_below(g, 64)];
      CHECK_OK(lk_window_put(&w, next, model[next]));
      next += gen_chance(g, 1, 10) ? gen_range(g, 1, 30) : 1;
    } else if (next > 0) {
      uint32_t at = gen_chance(g, 1, 2) && next > 4 ? next - gen_range(g, 1, 4)
                                                    : gen_below(g, next);
      CHECK(lk_window_take(&w, at) == (void *)model[at]);
      model[at] = NULL;
    }
    uint32_t look = gen_below(g, COUNT);
    CHECK(lk_window_get(&w, look) == (void *)model[look]);
  }
  uint64_t number = 0;
  for (uint32_t i = 0; i < COUNT; i++) {
    if (model[i] == NULL) continue;
    CHECK(lk_window_next(&w, &number) == (void *)model[i] && number == i);
    number++;
  }
  CHECK(lk_window_next(&w, &number) == NULL);
  lk_window_deinit(&w);
}

TEST(a_window_without_memory_is_as_before) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_window w;
    uint32_t put = 0;
    lk_window_init(&w, faulty_alloc(&faults), 1000);
    for (uint32_t i = 0; i < 60; i++) {
      lk_err err = lk_window_put(&w, i + 1, &things[i]);
      if (err != LK_OK) break;
      put++;
    }
    for (uint32_t i = 0; i < 60; i++)
      CHECK(lk_window_get(&w, i + 1) == (i < put ? (void *)&things[i] : NULL));
    CHECK(faults.hit || put == 60);
    lk_window_deinit(&w);
  }
}
