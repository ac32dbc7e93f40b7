#include "crdt/gcounter.h"

#include "harness/test.h"

/* also fuzzes: lk_gcounter_decode, lk_crdt_check_actor */
FUZZ(lk_gcounter_decode_json) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("{\"counts\":{\"alice\":3,\"bob\":5}}"),
    LK_LIT_INIT("{\"x\":[],\"counts\":{\"\\u00e9\":18446744073709551615}}")
  };
  uint8_t scratch[128];
  lk_limits l = lk_limits_default();
  lk_gcounter c, again;
  lk_buf out;
  lk_slice in = gen_hostile(g, samples, 2, scratch, sizeof scratch);
  if (lk_crdt_check_actor(in) == LK_OK) CHECK(in.len > 0 && in.len <= LK_ACTOR_LEN_MAX);
  lk_gcounter_init(&c, test_alloc(), &l);
  lk_gcounter_init(&again, test_alloc(), &l);
  lk_buf_init(&out, test_alloc(), 1 << 22);
  if (lk_gcounter_decode_json(&c, in) == LK_OK) {
    lk_gcounter_deinit(&again);
    lk_gcounter_init(&again, test_alloc(), &l);
    CHECK_OK(lk_gcounter_encode(&c, &out));
    CHECK_OK(lk_gcounter_decode(&again, lk_buf_slice(&out)));
    CHECK(lk_gcounter_equal(&c, &again));
    lk_gcounter_deinit(&again);
    lk_gcounter_init(&again, test_alloc(), &l);
    lk_buf_truncate(&out, 0);
    CHECK_OK(lk_gcounter_encode_json(&c, &out));
    CHECK_OK(lk_gcounter_decode_json(&again, lk_buf_slice(&out)));
    CHECK(lk_gcounter_equal(&c, &again));
  }
  lk_buf_deinit(&out);
  lk_gcounter_deinit(&c);
  lk_gcounter_deinit(&again);
}
