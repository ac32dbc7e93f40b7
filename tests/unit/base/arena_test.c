#include "harness/test.h"

#include <stdalign.h>

TEST(arena_pushes_are_aligned_distinct_and_writable) {
  lk_arena a;
  lk_arena_init(&a, test_alloc(), 1 << 20);
  uint8_t *last = NULL;
  for (size_t size = 0; size < 300; size++) {
    uint8_t *p = lk_arena_push(&a, size);
    CHECK(p != NULL && (p != last || size <= 1)); /* an empty block takes no room */
    CHECK_U64((uintptr_t)p % alignof(max_align_t), 0);
    memset(p, (int)size, size);
    last = p;
  }
  lk_arena_deinit(&a);
  lk_arena_deinit(&a);
}

TEST(arena_bytes_lie_side_by_side) {
  lk_arena a;
  lk_arena_init(&a, test_alloc(), 1 << 20);
  uint8_t *p = lk_arena_push_bytes(&a, 3);
  uint8_t *q = lk_arena_push_bytes(&a, 5);
  CHECK(q == p + 3);
  lk_slice copy;
  CHECK_OK(lk_arena_copy(&a, LK_LIT("text"), &copy));
  CHECK(copy.ptr == q + 5);
  CHECK_TEXT(copy, "text");
  lk_arena_deinit(&a);
}

TEST(arena_refuses_more_than_its_maximum_and_keeps_what_it_has) {
  lk_arena a;
  lk_arena_init(&a, test_alloc(), 4096);
  uint8_t *p = lk_arena_push(&a, 1000);
  CHECK(p != NULL);
  memset(p, 7, 1000);
  CHECK(lk_arena_push(&a, 8192) == NULL);
  CHECK_COVERED(arena_reached_its_maximum);
  CHECK(lk_arena_push(&a, SIZE_MAX) == NULL);
  CHECK(lk_arena_push_array(&a, SIZE_MAX / 2, 4) == NULL);
  for (int i = 0; i < 1000; i++) CHECK_U64(p[i], 7);
  CHECK(a.used <= 4096);
  lk_arena_deinit(&a);
}

/* Goal: mark, push and pop in a loop settles: the spare chunk serves without the allocator. */
static unsigned allocations;
static void *count_resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  const lk_alloc *inner = ctx;
  if (new_size > 0) allocations++;
  return inner->resize(inner->ctx, ptr, old_size, new_size);
}

TEST(arena_popping_and_pushing_again_does_not_allocate) {
  lk_alloc counting = { count_resize, (void *)(uintptr_t)test_alloc() };
  lk_arena a;
  allocations = 0;
  lk_arena_init(&a, &counting, 1 << 20);
  for (int i = 0; i < 100; i++) {
    lk_arena_mark mark = lk_arena_get_mark(&a);
    CHECK(lk_arena_push(&a, 5000) != NULL);
    lk_arena_pop_to(&a, mark);
  }
  CHECK_U64(allocations, 1);
  lk_arena_deinit(&a);
}

/* Goal: whatever is pushed and popped, what lies below the mark keeps its bytes.
 * Method: a stack of blocks filled with their number, checked after each pop. */
PROPERTY(arena_keeps_everything_below_a_mark) {
  enum { DEPTH = 24 };
  struct {
    lk_arena_mark mark;
    uint8_t *p;
    size_t len;
  } stack[DEPTH];
  size_t depth = 0;
  lk_arena a;
  lk_arena_init(&a, test_alloc(), 1 << 18);
  for (uint32_t i = gen_below(g, 60); i > 0; i--) {
    if (depth < DEPTH && gen_below(g, 3) < 2) {
      stack[depth].mark = lk_arena_get_mark(&a);
      stack[depth].len = gen_below(g, 8) == 0 ? gen_below(g, 9000) : gen_below(g, 64);
      stack[depth].p = gen_bool(g) ? lk_arena_push(&a, stack[depth].len)
                                   : lk_arena_push_bytes(&a, stack[depth].len);
      if (stack[depth].p == NULL) continue;
      memset(stack[depth].p, (int)depth, stack[depth].len);
      depth++;
    } else if (depth > 0) {
      depth = gen_below(g, (uint32_t)depth);
      lk_arena_pop_to(&a, stack[depth].mark);
    }
    for (size_t k = 0; k < depth; k++) {
      for (size_t j = 0; j < stack[k].len; j++) CHECK_U64(stack[k].p[j], k);
    }
  }
  lk_arena_reset(&a);
  CHECK_U64(a.used, 0);
  lk_arena_deinit(&a);
}

TEST(arena_survives_every_failed_allocation) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_arena a;
    lk_arena_init(&a, faulty_alloc(&faults), 1 << 20);
    uint8_t *kept = lk_arena_push(&a, 10);
    if (kept != NULL) memset(kept, 9, 10);
    bool all = kept != NULL;
    for (size_t i = 0; i < 10; i++) all &= lk_arena_push(&a, 3000) != NULL;
    CHECK(all != faults.hit);
    for (int i = 0; kept != NULL && i < 10; i++) CHECK_U64(kept[i], 9);
    lk_arena_deinit(&a);
  }
}
