/* A cursor that never reads past its end, and does not move when it fails. */
#include "codec/reader.h"
#include "harness/test.h"

static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

TEST(reader_gives_integers_in_either_byte_order) {
  lk_reader in = lk_reader_of(lk_slice_of(bytes, sizeof bytes));
  uint8_t u8;
  uint16_t u16;
  uint32_t u32;
  uint64_t u64;
  CHECK_OK(lk_reader_peek_u8(&in, &u8));
  CHECK_U64(u8, 1);
  CHECK_OK(lk_reader_u8(&in, &u8));
  CHECK_U64(u8, 1);
  CHECK_OK(lk_reader_be16(&in, &u16));
  CHECK_U64(u16, 0x0203);
  CHECK_OK(lk_reader_be32(&in, &u32));
  CHECK_U64(u32, 0x04050607);
  CHECK_OK(lk_reader_be64(&in, &u64));
  CHECK_U64(u64, 0x08090A0B0C0D0E0F);
  CHECK_OK(lk_reader_end(&in));

  in.pos = 1;
  CHECK_OK(lk_reader_le16(&in, &u16));
  CHECK_U64(u16, 0x0302);
  CHECK_OK(lk_reader_le32(&in, &u32));
  CHECK_U64(u32, 0x07060504);
  CHECK_OK(lk_reader_le64(&in, &u64));
  CHECK_U64(u64, 0x0F0E0D0C0B0A0908);
}

/* Method: with 7 bytes left, whatever needs 8 fails; then with none left, everything does. */
TEST(reader_stays_where_it_is_when_too_little_is_left) {
  lk_reader in = lk_reader_of(lk_slice_of(bytes, 7));
  uint8_t u8 = 99;
  uint16_t u16 = 99;
  uint32_t u32 = 99;
  uint64_t u64 = 99;
  lk_slice part = LK_LIT("kept");
  CHECK_ERR(lk_reader_be64(&in, &u64), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_reader_le64(&in, &u64), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_reader_bytes(&in, 8, &part), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_reader_bytes(&in, UINT64_MAX, &part), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_reader_skip(&in, UINT64_MAX), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_reader_end(&in), LK_ERR_TRAILING);
  CHECK_U64(in.pos, 0);
  in.pos = 7;
  CHECK_ERR(lk_reader_u8(&in, &u8), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_reader_peek_u8(&in, &u8), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_reader_le16(&in, &u16), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_reader_be32(&in, &u32), LK_ERR_TRUNCATED);
  CHECK_U64(in.pos, 7);
  CHECK(u8 == 99 && u16 == 99 && u32 == 99 && u64 == 99);
  CHECK_TEXT(part, "kept");
}

TEST(reader_hands_out_slices_of_its_input) {
  lk_reader in = lk_reader_of(lk_slice_of(bytes, sizeof bytes));
  lk_slice part;
  CHECK_OK(lk_reader_skip(&in, 2));
  CHECK_OK(lk_reader_bytes(&in, 3, &part));
  CHECK(part.ptr == bytes + 2 && part.len == 3);
  CHECK(lk_reader_since(&in, 1).ptr == bytes + 1 && lk_reader_since(&in, 1).len == 4);
  CHECK(lk_reader_rest(&in).ptr == bytes + 5 && lk_reader_rest(&in).len == 10);
  CHECK_U64(lk_reader_left(&in), 10);
}

TEST(reader_of_nothing_gives_nothing) {
  lk_reader in = lk_reader_of(LK_SLICE_EMPTY);
  lk_slice part = LK_LIT("x");
  uint8_t u8;
  CHECK_OK(lk_reader_bytes(&in, 0, &part));
  CHECK_U64(part.len, 0);
  CHECK_OK(lk_reader_skip(&in, 0));
  CHECK_ERR(lk_reader_u8(&in, &u8), LK_ERR_TRUNCATED);
  CHECK_OK(lk_reader_end(&in));
}
