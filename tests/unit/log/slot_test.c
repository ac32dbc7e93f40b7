#include "log/slot.h"

#include "codec/crc32c.h"
#include "harness/test.h"

static lk_slice make(uint64_t number, lk_slice body, lk_buf *out) {
  lk_buf_init(out, test_alloc(), 1000);
  CHECK_OK(lk_slot_encode(number, body, out));
  return lk_buf_slice(out);
}

TEST(the_newer_of_two_slots_is_taken) {
  lk_buf a, b;
  uint64_t number;
  bool intact;
  lk_slice body;
  make(4, LK_LIT("four"), &a);
  make(5, LK_LIT("five"), &b);
  CHECK_OK(lk_slot_recover(lk_buf_slice(&a), lk_buf_slice(&b), &number, &body, &intact));
  CHECK_U64(number, 5);
  CHECK_TEXT(body, "five");
  CHECK_OK(lk_slot_recover(lk_buf_slice(&a), LK_SLICE_EMPTY, &number, &body, &intact));
  CHECK_TEXT(body, "four");
  lk_buf_truncate(&a, 0);
  CHECK_OK(lk_slot_encode(6, LK_LIT("six"), &a));
  CHECK_OK(lk_slot_recover(lk_buf_slice(&a), lk_buf_slice(&b), &number, &body, &intact));
  CHECK_U64(number, 6);
  CHECK_TEXT(body, "six");
  /* In the wrong place: somebody copied files about. */
  CHECK_ERR(lk_slot_recover(lk_buf_slice(&b), lk_buf_slice(&a), &number, &body, &intact),
            LK_ERR_CORRUPT);
  lk_buf_deinit(&a);
  lk_buf_deinit(&b);
}

/* Method: what is no slot of ours carries a checksum that holds, so that nothing else refuses it. */
TEST(a_slot_says_by_name_what_is_wrong_with_it) {
  lk_buf a;
  uint64_t number;
  lk_slice body, whole = make(2, LK_LIT("body"), &a);
  CHECK_ERR(lk_slot_decode(lk_slice_first(whole, LK_SLOT_HEADER_LEN - 1), &number, &body),
            LK_ERR_TRUNCATED);
  CHECK_ERR(lk_slot_decode(lk_slice_first(whole, whole.len - 1), &number, &body), LK_ERR_TRUNCATED);
  a.ptr[whole.len - 1] ^= 1;
  CHECK_ERR(lk_slot_decode(whole, &number, &body), LK_ERR_CHECKSUM);
  a.ptr[whole.len - 1] ^= 1;
  a.ptr[0] = 'X';
  uint32_t crc = lk_crc32c(lk_slice_first(whole, 20));
  lk_store_le32(a.ptr + 20, lk_crc32c_update(crc, lk_slice_skip(whole, LK_SLOT_HEADER_LEN)));
  CHECK_ERR(lk_slot_decode(whole, &number, &body), LK_ERR_CORRUPT);
  lk_buf_deinit(&a);
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
  bool intact;
  lk_slice body;
  make(4, LK_LIT("what was acknowledged"), &a);
  make(5, LK_LIT("what was being written"), &b);
  for (size_t len = 0; len < b.len; len++) {
    CHECK_OK(lk_slot_recover(lk_buf_slice(&a), lk_slice_first(lk_buf_slice(&b), len), &number,
                             &body, &intact));
    CHECK_TEXT(body, "what was acknowledged");
  }
  CHECK_COVERED(slot_survived_damage);
  for (size_t bit = 0; bit < b.len * 8; bit++) {
    b.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
    lk_err err = lk_slot_recover(lk_buf_slice(&a), lk_buf_slice(&b), &number, &body, &intact);
    CHECK_OK(err); /* a flip in the version is damage, not a newer format */
    CHECK_U64(number, 4);
    b.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  lk_buf_deinit(&a);
  lk_buf_deinit(&b);
}

/* Goal: what a later version wrote is refused, not overwritten. Method: its layout keeps magic, len
 * and checksum in their places, so one is forged here. */
TEST(an_intact_slot_of_a_newer_version_is_refused_as_a_whole) {
  lk_buf a, b;
  uint64_t number;
  bool intact;
  lk_slice body;
  make(4, LK_LIT("ours"), &a);
  make(5, LK_LIT("theirs"), &b);
  lk_store_le16(b.ptr + 4, 2);
  uint32_t crc = lk_crc32c(lk_slice_of(b.ptr, 20));
  lk_store_le32(b.ptr + 20,
                lk_crc32c_update(crc, lk_slice_skip(lk_buf_slice(&b), LK_SLOT_HEADER_LEN)));
  CHECK_ERR(lk_slot_decode(lk_buf_slice(&b), &number, &body), LK_ERR_VERSION);
  CHECK_ERR(lk_slot_recover(lk_buf_slice(&a), lk_buf_slice(&b), &number, &body, &intact),
            LK_ERR_VERSION);
  lk_buf_deinit(&a);
  lk_buf_deinit(&b);
}

TEST(nothing_written_yet_is_told_from_everything_lost) {
  lk_buf a;
  uint64_t number;
  bool intact;
  lk_slice body, torn;
  make(1, LK_LIT("first"), &a);
  torn = lk_slice_first(lk_buf_slice(&a), 10);
  CHECK_ERR(lk_slot_recover(LK_SLICE_EMPTY, LK_SLICE_EMPTY, &number, &body, &intact),
            LK_ERR_NOT_FOUND);
  CHECK_ERR(lk_slot_recover(LK_SLICE_EMPTY, torn, &number, &body, &intact), LK_ERR_NOT_FOUND);
  CHECK_ERR(lk_slot_recover(torn, torn, &number, &body, &intact), LK_ERR_CORRUPT);
  CHECK_COVERED(slot_found_nothing);
  lk_buf_deinit(&a);
}
