#include "log/manifest.h"

#include "harness/test.h"

static lk_manifest sample(void) {
  lk_manifest m = { .oldest = 3,
                    .sealed_to = 4711,
                    .first = { .number = 5, .base = 60, .salt = "0123456789abcde" },
                    .last = { .number = 7, .base = 80, .salt = "0123456789abcde" } };
  memset(m.first.prev.hash, 1, LK_SHA256_LEN);
  memset(m.last.prev.hash, 2, LK_SHA256_LEN);
  return m;
}

TEST(manifest_comes_back_as_it_was) {
  uint8_t bytes[LK_MANIFEST_LEN];
  lk_manifest m = sample(), got;
  lk_manifest_encode(&m, bytes);
  CHECK_OK(lk_manifest_decode(lk_slice_of(bytes, sizeof bytes), &got));
  CHECK(got.oldest == 3 && got.sealed_to == 4711 && got.first.number == 5 && got.first.base == 60);
  CHECK(got.last.number == 7 && got.last.base == 80);
  CHECK(memcmp(got.first.prev.hash, m.first.prev.hash, LK_SHA256_LEN) == 0);
  CHECK(memcmp(got.last.prev.hash, m.last.prev.hash, LK_SHA256_LEN) == 0);
  CHECK(memcmp(got.first.salt, m.first.salt, LK_SEGMENT_SALT_LEN) == 0);
  CHECK(memcmp(got.last.salt, m.first.salt, LK_SEGMENT_SALT_LEN) == 0);
  for (size_t len = 0; len < sizeof bytes; len++)
    CHECK_ERR(lk_manifest_decode(lk_slice_of(bytes, len), &got), LK_ERR_CORRUPT);
}

static void check_refused(lk_manifest m, lk_err want) {
  uint8_t bytes[LK_MANIFEST_LEN];
  lk_manifest got = { .oldest = 99 };
  lk_manifest_encode(&m, bytes);
  CHECK_ERR(lk_manifest_decode(lk_slice_of(bytes, sizeof bytes), &got), want);
  CHECK_U64(got.oldest, 99);
}

TEST(manifest_that_makes_no_sense_is_refused) {
  lk_manifest m = sample();
  m.oldest = 0;
  check_refused(m, LK_ERR_CORRUPT);
  m.oldest = 6;
  check_refused(m, LK_ERR_CORRUPT);
  m = sample();
  m.last.number = 4;
  check_refused(m, LK_ERR_CORRUPT);
  m.last.number = LK_SEGMENT_NUMBER_MAX + 1;
  check_refused(m, LK_ERR_CORRUPT);
  m = sample();
  m.last.base = 59;
  check_refused(m, LK_ERR_CORRUPT);
  m = sample();
  m.sealed_to = UINT64_MAX;
  check_refused(m, LK_ERR_CORRUPT);
  m = sample();
  m.last.number = 5; /* one segment that begins in two ways */
  check_refused(m, LK_ERR_CORRUPT);
}

TEST(manifest_of_a_later_version_is_refused_by_name) {
  uint8_t bytes[LK_MANIFEST_LEN + 10] = { 2 };
  lk_manifest got;
  CHECK_ERR(lk_manifest_decode(lk_slice_of(bytes, sizeof bytes), &got), LK_ERR_VERSION);
}
