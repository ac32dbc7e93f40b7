/* A server that refuses in any words. */
#include "peer/channel.h"

#include "harness/test.h"

FUZZ(lk_peer_read_refusal) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("{\"reason\":\"room full\",\"retry_after_ms\":5}"),
    LK_LIT_INIT("{\"reason\":1,\"retry_after_ms\":-1}"),
  };
  uint8_t scratch[200];
  lk_limits limits = lk_limits_default();
  lk_arena arena;
  lk_slice reason;
  uint64_t hint_ms;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  lk_slice in = gen_hostile(g, samples, 2, scratch, sizeof scratch);
  lk_peer_read_refusal(in, &limits, &arena, &reason, &hint_ms);
  CHECK(reason.len <= in.len);
  (void)lk_peer_is_final(reason);
  lk_arena_deinit(&arena);
}
