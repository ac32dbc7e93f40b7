/* Bytes as JSON arrays. */
#include "codec/json_bytes.h"
#include "codec/json_reader.h"
#include "harness/test.h"

/* What is read is JSON, and written again it is the same but for space. */
FUZZ(lk_json_parse_bytes) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("[1,20,255]"),
    LK_LIT_INIT("[ 0 ,\t99\n, 100 ]"),
    LK_LIT_INIT("[]"),
  };
  uint8_t scratch[64];
  lk_slice text = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  const lk_limits limits = lk_limits_default();
  lk_buf bytes, again, back;
  lk_buf_init(&bytes, test_alloc(), 1u << 20);
  lk_buf_init(&again, test_alloc(), 1u << 20);
  lk_buf_init(&back, test_alloc(), 1u << 20);
  if (lk_json_parse_bytes(text, &bytes) == LK_OK) {
    CHECK_OK(lk_json_check(text, &limits, NULL));
    CHECK_OK(lk_json_append_bytes(&again, lk_buf_slice(&bytes)));
    CHECK(again.len <= text.len);
    CHECK_OK(lk_json_parse_bytes(lk_buf_slice(&again), &back));
    CHECK_SLICE(lk_buf_slice(&back), lk_buf_slice(&bytes));
  } else {
    CHECK_U64(bytes.len, 0);
  }
  lk_buf_deinit(&bytes);
  lk_buf_deinit(&again);
  lk_buf_deinit(&back);
}
