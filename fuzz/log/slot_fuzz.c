#include "log/slot.h"

#include "harness/test.h"

/* also fuzzes: lk_slot_recover, lk_slot_peek */
FUZZ(lk_slot_decode) {
  lk_buf sample;
  uint8_t scratch[128];
  uint64_t number;
  bool intact;
  lk_slice body;
  lk_buf_init(&sample, test_alloc(), 1000);
  CHECK_OK(lk_slot_encode(gen_below(g, 3), LK_LIT("a body"), &sample));
  lk_slice samples[] = { lk_buf_slice(&sample) };
  lk_slice in = gen_hostile(g, samples, 1, scratch, sizeof scratch);
  if (lk_slot_decode(in, &number, &body) == LK_OK) CHECK(body.len + LK_SLOT_HEADER_LEN <= in.len);
  if (lk_slot_peek(in, &body) == LK_OK) CHECK(body.len + LK_SLOT_HEADER_LEN <= in.len);
  (void)!lk_slot_recover(in, lk_buf_slice(&sample), &number, &body, &intact);
  (void)!lk_slot_recover(lk_buf_slice(&sample), in, &number, &body, &intact);
  lk_buf_deinit(&sample);
}
