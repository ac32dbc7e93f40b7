#include "harness/test.h"

/* Goal: a sum or product that does not fit is refused and the result variable keeps its value. */
TEST(checked_arithmetic_refuses_what_does_not_fit) {
  size_t size = 7;
  uint64_t wide = 7;
  CHECK(!lk_add_size(SIZE_MAX, 1, &size) && size == 7);
  CHECK(!lk_mul_size(SIZE_MAX / 2 + 1, 2, &size) && size == 7);
  CHECK(!lk_add_u64(UINT64_MAX, 1, &wide) && wide == 7);
  CHECK(!lk_mul_u64(1ull << 32, 1ull << 32, &wide) && wide == 7);
  CHECK(lk_add_size(SIZE_MAX - 1, 1, &size) && size == SIZE_MAX);
  CHECK(lk_mul_u64(UINT32_MAX, UINT32_MAX, &wide) && wide == 0xfffffffe00000001u);
}

TEST(narrowing_keeps_the_value_or_refuses) {
  uint32_t narrow = 7;
  CHECK(lk_u64_to_u32(UINT32_MAX, &narrow) && narrow == UINT32_MAX);
  narrow = 7;
  CHECK(!lk_u64_to_u32(1ull << 32, &narrow) && narrow == 7);
}

TEST(loads_read_bytes_in_the_order_that_their_name_says) {
  static const uint8_t bytes[] = { 0x81, 0x02, 0x83, 0x04, 0x85, 0x06, 0x87, 0x08 };
  CHECK_U64(lk_load_be16(bytes), 0x8102);
  CHECK_U64(lk_load_le16(bytes), 0x0281);
  CHECK_U64(lk_load_be32(bytes), 0x81028304);
  CHECK_U64(lk_load_le32(bytes), 0x04830281);
  CHECK_U64(lk_load_be64(bytes), 0x8102830485068708);
  CHECK_U64(lk_load_le64(bytes), 0x0887068504830281);
}

PROPERTY(stores_and_loads_are_inverse_at_any_alignment) {
  uint8_t bytes[16] = { 0 };
  size_t at = gen_below(g, 8);
  uint64_t value = gen_u64(g);
  lk_store_be64(bytes + at, value);
  CHECK_U64(lk_load_be64(bytes + at), value);
  lk_store_le64(bytes + at, value);
  CHECK_U64(lk_load_le64(bytes + at), value);
  lk_store_be32(bytes + at, (uint32_t)value);
  CHECK_U64(lk_load_be32(bytes + at), (uint32_t)value);
  lk_store_le32(bytes + at, (uint32_t)value);
  CHECK_U64(lk_load_le32(bytes + at), (uint32_t)value);
  lk_store_be16(bytes + at, (uint16_t)value);
  CHECK_U64(lk_load_be16(bytes + at), (uint16_t)value);
  lk_store_le16(bytes + at, (uint16_t)value);
  CHECK_U64(lk_load_le16(bytes + at), (uint16_t)value);
}

TEST(rotating_by_zero_and_by_the_width_is_defined) {
  CHECK_U64(lk_rotl_u64(0x8000000000000001u, 0), 0x8000000000000001u);
  CHECK_U64(lk_rotl_u64(0x8000000000000001u, 1), 3);
  CHECK_U64(lk_rotl_u32(0x80000001u, 32), 0x80000001u);
  CHECK_U64(lk_rotl_u32(0x80000001u, 1), 3);
}

TEST(doubles_and_their_bits_are_inverse) {
  CHECK_U64(lk_bits_of_f64(1.0), 0x3ff0000000000000u);
  CHECK(lk_f64_of_bits(0xc000000000000000u) == -2.0);
  CHECK_U64(lk_bits_of_f32(1.5f), 0x3fc00000u);
  CHECK(lk_f32_of_bits(0x40000000u) == 2.0f);
}
