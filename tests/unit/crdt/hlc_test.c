#include "crdt/hlc.h"

#include "harness/test.h"

static lk_hlc stamp_of(uint64_t ms, uint32_t count) { return (lk_hlc){ ms, count }; }

/* A few values and their boundaries, so that stamps often tie. */
static lk_hlc gen_stamp(lk_gen *g) {
  uint64_t ms = gen_bool(g) ? gen_below(g, 4) : gen_u64(g) & LK_HLC_MS_MAX;
  uint32_t count = gen_bool(g) ? UINT32_MAX - gen_below(g, 2) : gen_below(g, 3);
  return stamp_of(ms, count);
}

TEST(the_next_stamp_follows_the_clock_or_else_what_was_seen) {
  static const struct {
    lk_hlc seen;
    uint64_t now;
    lk_hlc want;
  } cases[] = {
    { { 0, 0 }, 0, { 0, 1 } },
    { { 0, 0 }, 5, { 5, 0 } },
    { { 100, 7 }, 250, { 250, 0 } },
    { { 100, 7 }, 101, { 101, 0 } },
    { { 100, 7 }, 100, { 100, 8 } },
    { { 100, 7 }, 40, { 100, 8 } },
    { { 100, UINT32_MAX - 1 }, 40, { 100, UINT32_MAX } },
    { { 100, UINT32_MAX }, 40, { 101, 0 } },
    { { 100, UINT32_MAX }, 100, { 101, 0 } },
    { { 100, UINT32_MAX }, 101, { 101, 0 } },
    { { LK_HLC_MS_MAX, 7 }, 100, { LK_HLC_MS_MAX, 8 } },
    { { 100, 7 }, LK_HLC_MS_MAX, { LK_HLC_MS_MAX, 0 } },
    { { LK_HLC_MS_MAX - 1, UINT32_MAX }, 0, { LK_HLC_MS_MAX, 0 } },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_hlc next;
    test_note("case %zu", i);
    CHECK_OK(lk_hlc_next(cases[i].seen, cases[i].now, &next));
    CHECK_U64(next.ms, cases[i].want.ms);
    CHECK_U64(next.count, cases[i].want.count);
  }
  CHECK_COVERED(hlc_filled_a_millisecond);
}

TEST(at_the_end_of_time_there_is_no_next_stamp) {
  lk_hlc next = stamp_of(3, 4);
  CHECK_ERR(lk_hlc_next(stamp_of(LK_HLC_MS_MAX, UINT32_MAX), 0, &next), LK_ERR_OVERFLOW);
  CHECK_ERR(lk_hlc_next(stamp_of(LK_HLC_MS_MAX, UINT32_MAX), LK_HLC_MS_MAX, &next),
            LK_ERR_OVERFLOW);
  CHECK_ERR(lk_hlc_next(stamp_of(1, 1), LK_HLC_MS_MAX + 1, &next), LK_ERR_OVERFLOW);
  CHECK_ERR(lk_hlc_next(stamp_of(1, 1), UINT64_MAX, &next), LK_ERR_OVERFLOW);
  CHECK(lk_hlc_compare(next, stamp_of(3, 4)) == 0);
  CHECK_PANICS(CHECK_OK(lk_hlc_next(stamp_of(LK_HLC_MS_MAX + 1, 0), 0, &next)));
}

/* Goal: whatever the clock does, a stamp is above what was seen and not before the clock, and no
 * stamp between would have done: the count starts again whenever it can. */
PROPERTY(the_next_stamp_is_the_least_above_what_was_seen_and_not_before_now) {
  lk_hlc seen = gen_stamp(g), next;
  uint64_t now = gen_bool(g) ? seen.ms + gen_below(g, 3) : gen_u64(g) & LK_HLC_MS_MAX;
  if (now > LK_HLC_MS_MAX || lk_hlc_compare(seen, stamp_of(LK_HLC_MS_MAX, UINT32_MAX)) == 0) return;
  CHECK_OK(lk_hlc_next(seen, now, &next));
  CHECK(lk_hlc_compare(next, seen) > 0);
  CHECK(next.ms >= now && next.ms <= LK_HLC_MS_MAX);
  lk_hlc before = next.count > 0 ? stamp_of(next.ms, next.count - 1)
                                 : stamp_of(next.ms - 1, UINT32_MAX);
  CHECK(lk_hlc_compare(before, seen) == 0 || before.ms < now);
}

TEST(a_stamp_is_admitted_up_to_the_drift_and_not_beyond) {
  CHECK_OK(lk_hlc_admit(stamp_of(1000, UINT32_MAX), 1000, 0));
  CHECK_OK(lk_hlc_admit(stamp_of(0, 0), 1000, 0));
  CHECK_OK(lk_hlc_admit(stamp_of(1060, UINT32_MAX), 1000, 60));
  CHECK_ERR(lk_hlc_admit(stamp_of(1061, 0), 1000, 60), LK_ERR_CLOCK);
  CHECK_ERR(lk_hlc_admit(stamp_of(1001, 0), 1000, 0), LK_ERR_CLOCK);
  CHECK_OK(lk_hlc_admit(stamp_of(LK_HLC_MS_MAX, 0), 1, UINT64_MAX)); /* now + drift wraps */
  CHECK_OK(lk_hlc_admit(stamp_of(5, 0), UINT64_MAX, 1));
}

TEST(stamps_are_ordered_by_time_and_then_by_count) {
  CHECK(lk_hlc_compare(stamp_of(1, 9), stamp_of(2, 0)) < 0);
  CHECK(lk_hlc_compare(stamp_of(2, 0), stamp_of(1, 9)) > 0);
  CHECK(lk_hlc_compare(stamp_of(2, 0), stamp_of(2, UINT32_MAX)) < 0);
  CHECK(lk_hlc_compare(stamp_of(2, UINT32_MAX), stamp_of(2, 0)) > 0);
  CHECK(lk_hlc_compare(stamp_of(2, 3), stamp_of(2, 3)) == 0);
}

PROPERTY(stamps_come_back_from_their_bytes) {
  lk_hlc stamp = gen_stamp(g), back;
  lk_buf bytes;
  lk_buf_init(&bytes, test_alloc(), 64);
  lk_buf_append_u8(&bytes, 0xAA);
  CHECK_OK(lk_hlc_encode(&bytes, stamp));
  lk_buf_append_u8(&bytes, 0xBB);
  lk_reader in = lk_reader_of(lk_buf_slice(&bytes));
  CHECK_OK(lk_reader_skip(&in, 1));
  CHECK_OK(lk_hlc_decode(&in, &back));
  CHECK(lk_hlc_compare(stamp, back) == 0);
  CHECK_U64(lk_reader_left(&in), 1);
  lk_buf_deinit(&bytes);
}

TEST(bytes_that_are_no_stamp_are_refused_by_name_and_not_read) {
  static const struct {
    lk_slice bytes;
    lk_err want;
  } cases[] = {
    { LK_LIT_INIT("\x64\x07"), LK_OK },
    { LK_LIT_INIT("\xff\xff\xff\xff\xff\xff\x3f\xff\xff\xff\xff\x0f"), LK_OK }, /* the greatest */
    { LK_LIT_INIT(""), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x64"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x64\x80"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x80\x80\x80\x80\x80\x80\x40\x00"), LK_ERR_RANGE },
    { LK_LIT_INIT("\x64\x80\x80\x80\x80\x10"), LK_ERR_RANGE },
    { LK_LIT_INIT("\xe4\x00\x07"), LK_ERR_NOT_CANONICAL },
    { LK_LIT_INIT("\x64\x87\x00"), LK_ERR_NOT_CANONICAL },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_reader in = lk_reader_of(cases[i].bytes);
    lk_hlc out = stamp_of(3, 4);
    test_note("case %zu", i);
    CHECK_ERR(lk_hlc_decode(&in, &out), cases[i].want);
    if (cases[i].want == LK_OK) {
      CHECK_U64(lk_reader_left(&in), 0);
    } else {
      CHECK_U64(in.pos, 0);
      CHECK(lk_hlc_compare(out, stamp_of(3, 4)) == 0);
    }
  }
}

/* Goal: a buffer has a whole stamp or nothing of it, whether a maximum or an allocation stops it. */
TEST(a_buffer_has_no_half_of_a_stamp) {
  lk_hlc stamp = stamp_of(UINT64_C(1) << 40, 1 << 20); /* 6 and 3 bytes */
  for (size_t max = 0; max <= 9; max++) {
    lk_buf bytes;
    lk_buf_init(&bytes, test_alloc(), max);
    CHECK_ERR(lk_hlc_encode(&bytes, stamp), max < 9 ? LK_ERR_LIMIT : LK_OK);
    CHECK_U64(bytes.len, max < 9 ? 0 : 9);
    lk_buf_deinit(&bytes);
  }
  FAULT_LOOP(faults, test_alloc()) {
    lk_buf bytes;
    lk_buf_init(&bytes, faulty_alloc(&faults), 64);
    lk_err err = lk_hlc_encode(&bytes, stamp);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    CHECK_U64(bytes.len, err == LK_OK ? 9 : 0);
    lk_buf_deinit(&bytes);
  }
}
