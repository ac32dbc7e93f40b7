/* What is accepted is the one text of its form for these bytes. */
#include "codec/base64.h"
#include "harness/test.h"

FUZZ(lk_base64_decode) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("Zm9vYmFy"),
    LK_LIT_INIT("Zm8="),
    LK_LIT_INIT("-_-_Zg"),
    LK_LIT_INIT("+/+/Zg=="),
  };
  uint8_t scratch[64];
  lk_base64_form form = { (lk_base64_alphabet)gen_below(g, 2), (lk_base64_padding)gen_below(g, 2) };
  lk_slice text = gen_hostile(g, samples, 4, scratch, sizeof scratch);
  lk_buf bytes, again;
  lk_buf_init(&bytes, test_alloc(), 1u << 20);
  lk_buf_init(&again, test_alloc(), 1u << 20);
  if (lk_base64_decode(&bytes, text, form) == LK_OK) {
    CHECK_OK(lk_base64_encode(&again, lk_buf_slice(&bytes), form));
    CHECK_SLICE(lk_buf_slice(&again), text);
  } else {
    CHECK_U64(bytes.len, 0);
  }
  lk_buf_deinit(&bytes);
  lk_buf_deinit(&again);
}
