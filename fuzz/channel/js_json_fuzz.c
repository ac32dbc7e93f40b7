#include "channel/js_json.h"
#include "codec/json_canonical.h"
#include "codec/json_reader.h"

#include "harness/test.h"

static const lk_slice samples[] = {
  LK_LIT_INIT(
      "{\"user\":{\"name\":\"Ada\",\"color\":\"#fff\"},\"cursor\":{\"anchor\":12,\"head\":14}}"),
  LK_LIT_INIT("{\"b\":[1.50,-0,1e20],\"10\":null,\"9\":{},\"b\":\"\\ud83d\\ude00\\ud83d\\u000a\"}"),
  LK_LIT_INIT("[{\"a\":{\"b\":{\"2\":[],\"1\":true}}},\"\\\"{\"]"),
};

/* Whatever our strict reader takes is taken; the result is rewritten to itself and means the same, by
 * the canonical form and by lk_js_json_equal(). */
FUZZ(lk_js_json_rewrite) {
  uint8_t scratch[256];
  lk_limits limits = lk_limits_default();
  lk_buf out, again, canonical, rewritten;
  lk_slice in = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  bool same = false;
  lk_buf *all[] = { &out, &again, &canonical, &rewritten };
  for (size_t i = 0; i < 4; i++) lk_buf_init(all[i], test_alloc(), 1 << 24);
  lk_err err = lk_js_json_rewrite(in, &limits, &out);
  if (err == LK_OK) {
    CHECK_OK(lk_js_json_rewrite(lk_buf_slice(&out), &limits, &again));
    CHECK_SLICE(lk_buf_slice(&again), lk_buf_slice(&out));
  } else {
    CHECK(err == LK_ERR_RANGE || lk_json_check(in, &limits, NULL) != LK_OK);
    CHECK_U64(out.len, 0);
  }
  if (lk_json_canonicalize(in, &limits, &canonical) == LK_OK) {
    CHECK_OK(err);
    CHECK_OK(lk_json_canonicalize(lk_buf_slice(&out), &limits, &rewritten));
    CHECK_SLICE(lk_buf_slice(&rewritten), lk_buf_slice(&canonical));
    lk_buf_truncate(&again, 0);
    CHECK_OK(lk_js_json_rewrite(lk_buf_slice(&canonical), &limits, &again));
    CHECK_OK(
        lk_js_json_equal(lk_buf_slice(&out), lk_buf_slice(&again), &limits, test_alloc(), &same));
    CHECK(same);
  }
  for (size_t i = 0; i < 4; i++) lk_buf_deinit(all[i]);
}
