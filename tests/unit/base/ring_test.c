#include "base/ring.h"
#include "harness/test.h"

PROPERTY(ring_is_a_queue_that_never_exceeds_its_capacity) {
  uint32_t cap = gen_range(g, 1, 9), in = 0, out = 0;
  lk_ring r;
  CHECK_OK(lk_ring_init(&r, test_alloc(), sizeof in, cap));
  for (uint32_t i = gen_below(g, 60); i > 0; i--) {
    if (gen_bool(g)) {
      CHECK_ERR(lk_ring_push(&r, &in), in - out == cap ? LK_ERR_FULL : LK_OK);
      if (in - out < cap) in++;
    } else {
      uint32_t item = 0;
      CHECK(lk_ring_pop(&r, &item) == (in > out));
      if (in > out) CHECK_U64(item, out++);
    }
    CHECK_U64(r.count, in - out);
    for (uint32_t k = 0; k < r.count; k++) CHECK_U64(*(uint32_t *)lk_ring_at(&r, k), out + k);
  }
  lk_ring_deinit(&r);
  lk_ring_deinit(&r);
}

TEST(ring_reading_past_its_count_panics) {
  lk_ring r;
  CHECK_OK(lk_ring_init(&r, test_alloc(), 4, 2));
  CHECK_PANICS((void)lk_ring_at(&r, 0));
  lk_ring_deinit(&r);
}

TEST(ring_without_memory_is_safe_to_deinit) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_ring r;
    lk_err err = lk_ring_init(&r, faulty_alloc(&faults), 4, 2); /* before |hit| is asked for */
    CHECK_ERR(err, faults.hit ? LK_ERR_NOMEM : LK_OK);
    lk_ring_deinit(&r);
  }
}
