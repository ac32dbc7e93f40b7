#include "harness/test.h"

TEST(buf_gives_back_what_was_appended) {
  lk_buf b;
  lk_buf_init(&b, test_alloc(), 1000);
  lk_buf_append(&b, LK_LIT("ab"));
  lk_buf_append_u8(&b, 'c');
  lk_buf_append_be16(&b, 0x0102);
  lk_buf_append_be32(&b, 0x03040506);
  lk_buf_append_le32(&b, 0x03040506);
  lk_buf_append_decimal(&b, 0);
  lk_buf_append_decimal(&b, UINT64_MAX);
  CHECK_OK(lk_buf_err(&b));
  CHECK_TEXT(lk_buf_slice(&b), "abc\x01\x02\x03\x04\x05\x06\x06\x05\x04\x03"
                               "018446744073709551615");
  lk_buf_deinit(&b);
  lk_buf_deinit(&b);
}

TEST(buf_appends_integers_in_the_order_that_their_name_says) {
  lk_buf b;
  lk_buf_init(&b, test_alloc(), 100);
  lk_buf_append_be64(&b, 0x0102030405060708u);
  lk_buf_append_le64(&b, 0x0102030405060708u);
  CHECK_OK(lk_buf_err(&b));
  CHECK_TEXT(lk_buf_slice(&b), "\1\2\3\4\5\6\7\10"
                               "\10\7\6\5\4\3\2\1");
  lk_buf_deinit(&b);
}

#ifdef LK_DEBUG
/* Goal: bytes of the buffer itself are found out also where the append would have moved them away. */
TEST(buf_appending_its_own_bytes_panics) {
  lk_buf b;
  lk_buf_init(&b, test_alloc(), 1000);
  lk_buf_append(&b, LK_LIT("0123456789"));
  while (b.len < b.cap) lk_buf_append_u8(&b, 'x');
  CHECK_PANICS(lk_buf_append(&b, lk_slice_first(lk_buf_slice(&b), 10)));
  lk_buf_deinit(&b);
}
#endif

TEST(buf_extend_gives_room_to_fill_or_nothing) {
  lk_buf b;
  lk_buf_init(&b, test_alloc(), 5);
  lk_buf_append(&b, LK_LIT("ab"));
  uint8_t *at = lk_buf_extend(&b, 3);
  CHECK(at != NULL);
  memcpy(at, "cde", 3);
  CHECK_TEXT(lk_buf_slice(&b), "abcde");
  CHECK(lk_buf_extend(&b, 1) == NULL);
  CHECK_ERR(lk_buf_err(&b), LK_ERR_LIMIT);
  CHECK_TEXT(lk_buf_slice(&b), "abcde");
  lk_buf_deinit(&b);
}

/* Goal: an encoder may look at the error once, at the end, and what came before is intact. */
TEST(buf_remembers_its_first_error_and_ignores_what_follows) {
  lk_buf b;
  lk_buf_init(&b, test_alloc(), 4);
  CHECK_OK(lk_buf_append(&b, LK_LIT("abc")));
  CHECK_ERR(lk_buf_append(&b, LK_LIT("de")), LK_ERR_LIMIT);
  CHECK_COVERED(buf_reached_its_maximum);
  CHECK_ERR(lk_buf_append_u8(&b, 'd'), LK_ERR_LIMIT); /* would fit, but the error stands */
  CHECK_ERR(lk_buf_err(&b), LK_ERR_LIMIT);
  CHECK_TEXT(lk_buf_slice(&b), "abc");
  lk_buf_truncate(&b, 2);
  CHECK_TEXT(lk_buf_slice(&b), "ab");
  CHECK_OK(lk_buf_append(&b, LK_LIT("cd")));
  CHECK_TEXT(lk_buf_slice(&b), "abcd");
  lk_buf_deinit(&b);
}

TEST(buf_at_rest_keeps_what_is_small_and_gives_back_the_rest) {
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), 1000);
  CHECK_OK(lk_buf_append(&buf, LK_LIT("some")));
  lk_buf_rest(&buf, buf.cap);
  CHECK(lk_slice_equal(lk_buf_slice(&buf), LK_LIT("some")));
  lk_buf_rest(&buf, buf.cap - 1);
  CHECK(buf.cap == 0 && buf.len == 0 && buf.max == 1000);
  CHECK_OK(lk_buf_append(&buf, LK_LIT("more")));
  lk_buf_deinit(&buf);
}

TEST(buf_consume_moves_the_rest_to_the_front) {
  lk_buf b;
  lk_buf_init(&b, test_alloc(), 100);
  lk_buf_append(&b, LK_LIT("written and waiting"));
  lk_buf_consume(&b, 12);
  CHECK_TEXT(lk_buf_slice(&b), "waiting");
  lk_buf_consume(&b, 7);
  CHECK_U64(b.len, 0);
  CHECK_PANICS(lk_buf_consume(&b, 1));
  lk_buf_deinit(&b);
}

TEST(buf_survives_every_failed_allocation) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_buf b;
    lk_buf_init(&b, faulty_alloc(&faults), 1 << 20);
    size_t len = 0;
    for (int i = 0; i < 400 && lk_buf_append(&b, LK_LIT("0123456789")) == LK_OK; i++) len += 10;
    CHECK_ERR(lk_buf_err(&b), faults.hit ? LK_ERR_NOMEM : LK_OK);
    CHECK_U64(b.len, len);
    for (size_t i = 0; i < len; i++) CHECK_U64(b.ptr[i], '0' + i % 10);
    lk_buf_deinit(&b);
  }
  CHECK(faults.hits > 4);
}

/* Goal: growing is linear in what is written, not quadratic.
 * Method: count the bytes that the allocator was asked for. */
static uint64_t bytes_asked;
static void *count_resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  const lk_alloc *inner = ctx;
  bytes_asked += new_size;
  return inner->resize(inner->ctx, ptr, old_size, new_size);
}

TEST(buf_growth_asks_for_a_bounded_multiple_of_its_length) {
  lk_alloc counting = { count_resize, (void *)(uintptr_t)test_alloc() };
  lk_buf b;
  bytes_asked = 0;
  lk_buf_init(&b, &counting, 1 << 24);
  for (int i = 0; i < 1 << 20; i++) lk_buf_append_u8(&b, 'x');
  CHECK_OK(lk_buf_err(&b));
  CHECK(bytes_asked < 5u << 20);
  lk_buf_deinit(&b);
}

TEST(a_buffer_that_is_to_stay_tight_grows_by_an_eighth) {
  lk_buf b;
  lk_buf_init(&b, test_alloc(), 1000);
  CHECK_OK(lk_buf_reserve_tight(&b, 100));
  CHECK_U64(b.cap, 100);
  CHECK(lk_buf_extend(&b, 100) != NULL);
  CHECK_OK(lk_buf_reserve_tight(&b, 1));
  CHECK_U64(b.cap, 112);
  CHECK_OK(lk_buf_reserve_tight(&b, 850));
  CHECK_U64(b.cap, 950);
  CHECK_OK(lk_buf_reserve_tight(&b, 851));
  CHECK_U64(b.cap, 1000);
  CHECK_ERR(lk_buf_reserve_tight(&b, 901), LK_ERR_LIMIT);
  CHECK_U64(b.len, 100);
  lk_buf_deinit(&b);
}

TEST(a_buffer_that_grows_no_more_gives_back_what_it_does_not_need) {
  lk_buf b;
  lk_buf_init(&b, test_alloc(), 1000);
  lk_buf_fit(&b);
  CHECK_U64(b.cap, 0);
  CHECK_OK(lk_buf_append(&b, LK_LIT("some bytes")));
  CHECK_OK(lk_buf_reserve(&b, 100));
  lk_buf_fit(&b);
  CHECK_U64(b.cap, 10);
  CHECK_TEXT(lk_buf_slice(&b), "some bytes");
  CHECK_OK(lk_buf_append(&b, LK_LIT(" more"))); /* it may, though */
  CHECK_TEXT(lk_buf_slice(&b), "some bytes more");
  lk_buf_deinit(&b);
}
