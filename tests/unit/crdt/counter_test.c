/* The public counter, through its header alone. */
#include "laniakea/laniakea.h"

#include "harness/test.h"

#include <string.h>

TEST(the_library_knows_its_version) {
  CHECK(strcmp(lk_version(), LK_VERSION_TEXT) == 0);
  CHECK_U64(lk_abi(), LK_ABI);
}

TEST(two_replicas_that_exchange_their_states_agree) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_counter *a, *b;
  uint8_t bytes[64];
  size_t len;
  CHECK_ERR(lk_counter_open(&env, LK_SLICE_EMPTY, &a), LK_ERR_ACTOR);
  CHECK_OK(lk_counter_open(&env, LK_LIT("a"), &a));
  CHECK_OK(lk_counter_open(&env, LK_LIT("b"), &b));
  CHECK_OK(lk_counter_increment(a, 3));
  CHECK_OK(lk_counter_increment(b, 5));
  CHECK_ERR(lk_counter_encode(a, bytes, 0, &len), LK_ERR_TOO_BIG);
  CHECK_OK(lk_counter_encode(a, bytes, len, &len));
  for (int i = 0; i < 2; i++) CHECK_OK(lk_counter_merge(b, lk_slice_of(bytes, len)));
  CHECK_U64(lk_counter_value(b), 8);
  CHECK_ERR(lk_counter_merge(b, lk_slice_of(bytes, len - 1)), LK_ERR_TRUNCATED);
  CHECK_U64(lk_counter_value(b), 8);
  lk_counter_close(a);
  lk_counter_close(b);
  lk_counter_close(NULL);
}
