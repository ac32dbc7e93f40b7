/* Published sums, and the sum computed one bit at a time. */
#include "codec/crc32c.h"
#include "harness/test.h"

TEST(crc32c_has_the_published_check_value) {
  CHECK_U64(lk_crc32c(LK_LIT("123456789")), 0xE3069283);
  CHECK_U64(lk_crc32c(LK_SLICE_EMPTY), 0);
}

/* RFC 3720, B.4; the RFC prints the sums byte by byte, lowest first. */
TEST(crc32c_has_the_vectors_of_rfc_3720) {
  uint8_t bytes[32];
  static const uint8_t command[48] = {
    0x01, 0xC0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0,
    0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0,    0,
  };
  memset(bytes, 0, sizeof bytes);
  CHECK_U64(lk_crc32c(lk_slice_of(bytes, 32)), 0x8A9136AA);
  memset(bytes, 0xFF, sizeof bytes);
  CHECK_U64(lk_crc32c(lk_slice_of(bytes, 32)), 0x62A8AB43);
  for (uint8_t i = 0; i < 32; i++) bytes[i] = i;
  CHECK_U64(lk_crc32c(lk_slice_of(bytes, 32)), 0x46DD794E);
  for (uint8_t i = 0; i < 32; i++) bytes[i] = (uint8_t)(31 - i);
  CHECK_U64(lk_crc32c(lk_slice_of(bytes, 32)), 0x113FDB5C);
  CHECK_U64(lk_crc32c(lk_slice_of(command, sizeof command)), 0xD9963A56);
}

static uint32_t plain_crc32c(lk_slice bytes) {
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < bytes.len; i++) {
    crc ^= bytes.ptr[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);
  }
  return ~crc;
}

/* Goal: tables, alignments and cuts do not show in the sum. */
PROPERTY(crc32c_of_pieces_is_that_of_the_bits) {
  uint8_t bytes[80];
  lk_slice all = lk_slice_of(bytes, gen_bytes(g, bytes, sizeof bytes));
  all = lk_slice_skip(all, gen_below(g, 9));
  uint32_t want = plain_crc32c(all);
  CHECK_U64(lk_crc32c(all), want);
  for (size_t cut = 0; cut <= all.len; cut++) {
    uint32_t crc = lk_crc32c(lk_slice_first(all, cut));
    CHECK_U64(lk_crc32c_update(crc, lk_slice_skip(all, cut)), want);
  }
}
