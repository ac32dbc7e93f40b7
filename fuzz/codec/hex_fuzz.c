#include "codec/hex.h"
#include "harness/test.h"

FUZZ(lk_hex_decode) {
  static const lk_slice samples[] = { LK_LIT_INIT("00ff7F"),
                                      LK_LIT_INIT("0123456789abcdefABCDEF") };
  uint8_t scratch[64];
  lk_slice text = gen_hostile(g, samples, 2, scratch, sizeof scratch);
  lk_buf bytes, again;
  lk_buf_init(&bytes, test_alloc(), 1u << 20);
  lk_buf_init(&again, test_alloc(), 1u << 20);
  if (lk_hex_decode(&bytes, text) == LK_OK) {
    CHECK_OK(lk_hex_encode(&again, lk_buf_slice(&bytes)));
    CHECK(lk_slice_equal_nocase(lk_buf_slice(&again), text));
  } else {
    CHECK_U64(bytes.len, 0);
  }
  lk_buf_deinit(&bytes);
  lk_buf_deinit(&again);
}
