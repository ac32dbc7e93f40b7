#include "crdt/position.h"

#include "harness/test.h"

/* Checks that a position between the two, one of which may be empty, is one and is between. */
static void check_between(lk_slice left, lk_slice right, uint64_t seq) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 20);
  CHECK_OK(lk_position_between(left, right, LK_LIT("bob"), seq, 1 << 20, &out));
  CHECK_OK(lk_position_decode(lk_buf_slice(&out)));
  CHECK(lk_slice_compare(left, lk_buf_slice(&out)) < 0);
  CHECK(right.len == 0 || lk_slice_compare(lk_buf_slice(&out), right) < 0);
  CHECK(out.len <= lk_max_size(left.len, right.len) + 3 + 11);
  lk_buf_deinit(&out);
}

/* Whatever decodes, alone or in two pieces, has room before it, behind it and between.
 * also fuzzes: lk_position_between */
FUZZ(lk_position_decode) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("cpc\0\x80\x02"),
    LK_LIT_INIT("bmjdf\0\x80\x03"
                "cpc\0\x06\xfe\xd3\x01"
                "bmjdf\0\xf8\xfa\x02"),
    LK_LIT_INIT("cpc\0\x83\x03"
                "cpc\0\x7a\x01"
                "dbspm\0\xf9\x30\x39\x02"),
  };
  uint8_t scratch[256];
  uint64_t seq = 1 + gen_u64(g) % (uint64_t)INT64_MAX;
  size_t cut = gen_below(g, 64);
  lk_slice in = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  if (lk_position_decode(in) == LK_OK) {
    check_between(in, LK_SLICE_EMPTY, seq);
    check_between(LK_SLICE_EMPTY, in, seq);
  }
  lk_slice a = lk_slice_first(in, cut), b = lk_slice_skip(in, cut);
  for (size_t i = 0; i < 3; i++) {
    if (in.len > 0 && lk_position_decode(in) == LK_OK && !lk_slice_equal(in, samples[i])) {
      bool before = lk_slice_compare(in, samples[i]) < 0;
      check_between(before ? in : samples[i], before ? samples[i] : in, seq);
    }
  }
  if (lk_position_decode(a) != LK_OK || lk_position_decode(b) != LK_OK || lk_slice_equal(a, b))
    return;
  check_between(lk_slice_compare(a, b) < 0 ? a : b, lk_slice_compare(a, b) < 0 ? b : a, seq);
}
