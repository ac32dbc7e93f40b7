/* A server that says anything: frames. */
#include "peer/frame.h"

#include "harness/test.h"

static const lk_slice messages[] = {
  LK_LIT_INIT("[\"1\",\"1\",\"doc:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":"
              "\"room full\",\"retry_after_ms\":5}}]"),
  LK_LIT_INIT("[null,null,\"crdt:a\",\"state_updated\",{\"value\":1}]"),
  LK_LIT_INIT("\x02\x05\x0d"
              "doc:aserver_update\x01\x01"),
  LK_LIT_INIT("\x01\x01\x01\x05\x02"
              "23doc:aok{}"),
  LK_LIT_INIT("\x00\x01\x05\x01"
              "1doc:ae\x01"),
};

FUZZ(lk_frame_decode) {
  uint8_t scratch[400];
  lk_limits limits = lk_limits_default();
  lk_arena arena;
  lk_frame frame;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  bool is_binary = gen_bool(g);
  lk_slice in = gen_hostile(g, messages, sizeof messages / sizeof messages[0], scratch,
                            sizeof scratch);
  if (lk_frame_decode(in, is_binary, &limits, &arena, &frame) == LK_OK && frame.is_reply)
    CHECK_TEXT(frame.message.event, "phx_reply");
  lk_arena_deinit(&arena);
}
