/* What strangers show of themselves, said in other words. */
#include "room/doc_bridge.h"

#include "codec/json_reader.h"
#include "harness/test.h"

static const lk_slice samples[] = {
  LK_LIT_INIT("{\"user\":{\"name\":\"Ada\"},\"cursor\":{\"anchor\":1},\"x\":null}"),
  LK_LIT_INIT("{\"name\":\"Bob\",\"cursor_pos\":[1],\"phx_ref\":\"x\"}"),
  LK_LIT_INIT("{\"user\":{\"name\":\"\\u0041\",\"user\":1e3},\"name\":{}}"),
};

/* Goal: what comes out is JSON of the length that is allowed, whatever goes in. */
FUZZ(lk_doc_bridge_presence) {
  uint8_t scratch[120];
  lk_limits limits = lk_limits_default();
  lk_arena arena;
  lk_buf out;
  limits.presence_awareness_bytes = 2 + gen_below(g, 60);
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  lk_buf_init(&out, test_alloc(), 1 << 20);
  lk_slice text = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  CHECK_OK(lk_doc_bridge_presence(text, &limits, &arena, &out));
  CHECK(out.len <= limits.presence_awareness_bytes);
  CHECK_OK(lk_json_check(lk_buf_slice(&out), &limits, NULL));
  lk_arena_deinit(&arena);
  lk_buf_deinit(&out);
}

FUZZ(lk_doc_bridge_awareness) {
  uint8_t scratch[120];
  lk_limits limits = lk_limits_default();
  lk_arena arena;
  lk_buf out;
  limits.presence_awareness_bytes = 60 + gen_below(g, 60);
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  lk_buf_init(&out, test_alloc(), 1 << 20);
  lk_slice meta = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  if (lk_doc_bridge_awareness(LK_LIT("key"), meta, &limits, &arena, &out) == LK_OK) {
    CHECK(out.len <= limits.presence_awareness_bytes);
    CHECK_OK(lk_json_check(lk_buf_slice(&out), &limits, NULL));
  }
  lk_arena_deinit(&arena);
  lk_buf_deinit(&out);
}
