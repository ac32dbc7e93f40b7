#include "log/slot.h"

#include "harness/test.h"

static lk_slice make(uint64_t number, lk_slice body, lk_buf *out) {
  lk_buf_init(out, test_alloc(), 1000);
  CHECK_OK(lk_slot_encode(number, body, out));
  return lk_buf_slice(out);
}

TEST(the_newer_of_two_slots_is_taken) {
  lk_buf a, b;
  uint64_t number;
  lk_slice body;
  make(4, LK_LIT("four"), &a);
  make(5, LK_LIT("five"), &b);
  CHECK_OK(lk_slot_recover(lk_buf_slice(&a), lk_buf_slice(&b), &number, &body));
  CHECK_U64(number, 5);
  CHECK_TEXT(body, "five");
  CHECK_OK(lk_slot_recover(lk_buf_slice(&a), LK_SLICE_EMPTY, &number, &body));
  CHECK_TEXT(body, "four");
  /* In the wrong place: somebody copied files about. */
  CHECK_ERR(lk_slot_recover(lk_buf_slice(&b), lk_buf_slice(&a), &number, &body), LK_ERR_CORRUPT);
  lk_buf_deinit(&a);
  lk_buf_deinit(&b);
}

TEST(bytes_behind_the_body_are_the_rest_of_a_longer_one) {
  lk_buf a;
  uint64_t number;
  lk_slice body;
  make(2, LK_LIT("short"), &a);
  lk_buf_append(&a, LK_LIT("what was there before"));
  CHECK_OK(lk_slot_decode(lk_buf_slice(&a), &number, &body));
  CHECK_TEXT(body, "short");
  lk_buf_deinit(&a);
}

/* Goal: a slot torn at any byte, or with any bit flipped, holds nothing; the other one serves. */
TEST(any_tear_and_any_flipped_bit_falls_back_to_the_older_slot) {
  lk_buf a, b;
  uint64_t number;
  lk_slice body;
  make(4, LK_LIT("what was acknowledged"), &a);
  make(5, LK_LIT("what was being written"), &b);
  for (size_t len = 0; len < b.len; len++) {
    CHECK_OK(lk_slot_recover(lk_buf_slice(&a), lk_slice_first(lk_buf_slice(&b), len), &number, &body));
    CHECK_TEXT(body, "what was acknowledged");
  }
  CHECK_COVERED(slot_survived_damage);
  for (size_t bit = 0; bit < b.len * 8; bit++) {
    b.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
    lk_err err = lk_slot_recover(lk_buf_slice(&a), lk_buf_slice(&b), &number, &body);
    /* A flip in the version looks like a newer format, which is not to be overwritten. */
    if (bit / 8 == 4 || bit / 8 == 5) {
      CHECK_ERR(err, LK_ERR_VERSION);
    } else {
      CHECK_OK(err);
      CHECK_U64(number, 4);
    }
    b.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  lk_buf_deinit(&a);
  lk_buf_deinit(&b);
}

TEST(nothing_written_yet_is_told_from_everything_lost) {
  lk_buf a;
  uint64_t number;
  lk_slice body, torn;
  make(1, LK_LIT("first"), &a);
  torn = lk_slice_first(lk_buf_slice(&a), 10);
  CHECK_ERR(lk_slot_recover(LK_SLICE_EMPTY, LK_SLICE_EMPTY, &number, &body), LK_ERR_NOT_FOUND);
  CHECK_ERR(lk_slot_recover(LK_SLICE_EMPTY, torn, &number, &body), LK_ERR_NOT_FOUND);
  CHECK_ERR(lk_slot_recover(torn, torn, &number, &body), LK_ERR_CORRUPT);
  CHECK_COVERED(slot_found_nothing);
  lk_buf_deinit(&a);
}
