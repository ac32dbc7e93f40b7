#include "peer/peer.h"

#include "harness/test.h"

/* Whatever a server says, the replica keeps its own count and never shows less than that. */
FUZZ(lk_peer_receive) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("[\"1\",\"1\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{\"value\":"
                "0,\"counts\":{}}}]"),
    LK_LIT_INIT("[\"1\",\"2\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{\"value\":"
                "7,\"counts\":{\"me\":7}}}]"),
    LK_LIT_INIT("[null,null,\"crdt:a\",\"state_updated\",{\"value\":9,\"counts\":{\"x\":9}}]"),
    LK_LIT_INIT("[\"1\",\"1\",\"crdt:a\",\"phx_error\",{\"reason\":\"storage\"}]"),
  };
  uint8_t scratch[200];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_limits limits = lk_limits_default();
  lk_peer_options options = { &env, &limits, LK_LIT("crdt:a"), LK_LIT("me"), LK_SLICE_EMPTY, 1, 0 };
  lk_peer p;
  lk_peer_event event;
  uint64_t now = 0;
  CHECK_OK(lk_peer_init(&p, &options));
  CHECK_OK(lk_peer_increment(&p, 7, now));
  for (int i = 0; i < 6; i++) {
    while (lk_peer_poll(&p, &event)) {
      if (event.kind == LK_PEER_OPEN) lk_peer_opened(&p, now);
    }
    lk_slice in = g->from_bytes ? lk_slice_first(g->bytes, gen_below(g, 200))
                                : gen_hostile(g, samples, 4, scratch, sizeof scratch);
    if (g->from_bytes) g->bytes = lk_slice_skip(g->bytes, in.len);
    (void)!lk_peer_receive(&p, in, now);
    CHECK(lk_peer_value(&p) >= 7);
    now += gen_below(g, 20000);
    lk_peer_tick(&p, now);
  }
  lk_peer_deinit(&p);
}
