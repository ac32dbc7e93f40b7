#include "base/budget.h"

#include "harness/gen.h"
#include "harness/test.h"

TEST(a_budget_gives_out_what_it_has_and_takes_back_what_was_given) {
  lk_budget b;
  lk_budget_init(&b, test_alloc(), 100);
  void *p = lk_alloc_bytes(&b.alloc, 60);
  CHECK(p != NULL && lk_alloc_bytes(&b.alloc, 41) == NULL);
  CHECK_U64(b.refused, 1);
  void *q = lk_alloc_bytes(&b.alloc, 40);
  CHECK(q != NULL);
  CHECK(b.alloc.resize(b.alloc.ctx, p, 60, 61) == NULL); /* and |p| is as before */
  p = b.alloc.resize(b.alloc.ctx, p, 60, 10);
  CHECK(p != NULL && b.used == 50);
  q = b.alloc.resize(b.alloc.ctx, q, 40, 90);
  CHECK(q != NULL && b.used == 100);
  lk_free_bytes(&b.alloc, p, 10);
  lk_free_bytes(&b.alloc, q, 90);
  CHECK_U64(b.used, 0);
  CHECK(lk_alloc_bytes(&b.alloc, SIZE_MAX) == NULL);
}

TEST(allocators_that_share_a_budget_count_together) {
  lk_budget b;
  lk_budget_share other;
  lk_budget_init(&b, test_alloc(), 100);
  lk_budget_share_init(&other, &b, test_alloc());
  void *p = lk_alloc_bytes(&b.alloc, 60);
  CHECK(p != NULL && lk_alloc_bytes(&other.alloc, 41) == NULL);
  CHECK_U64(b.refused, 1);
  void *q = lk_alloc_bytes(&other.alloc, 40);
  CHECK(q != NULL && b.used == 100 && lk_alloc_bytes(&b.alloc, 1) == NULL);
  lk_free_bytes(&other.alloc, q, 40);
  lk_free_bytes(&b.alloc, p, 60);
  CHECK_U64(b.used, 0);
}

TEST(a_budget_counts_nothing_that_was_not_given) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_budget b;
    lk_budget_init(&b, faulty_alloc(&faults), 100);
    void *p = lk_alloc_bytes(&b.alloc, 60);
    CHECK(b.used == (p != NULL ? 60 : 0) && b.refused == 0);
    lk_free_bytes(&b.alloc, p, 60);
    CHECK_U64(b.used, 0);
  }
}
