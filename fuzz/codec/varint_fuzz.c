/* Integers of variable length: what is read is in range, and is what its canonical form reads. */
#include "codec/varint.h"
#include "harness/test.h"

static const lk_slice samples[] = {
  LK_LIT_INIT("\x05"),
  LK_LIT_INIT("\xAC\x02 more bytes"),
  LK_LIT_INIT("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x0F"),
  LK_LIT_INIT("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),
};

/* also fuzzes: lk_varuint_decode_long, lk_varuint_decode_canonical */
FUZZ(lk_varuint_decode) {
  uint8_t scratch[32];
  uint64_t max = gen_u64(g), value = 0, again = 0;
  lk_reader in = lk_reader_of(gen_hostile(g, samples, 4, scratch, sizeof scratch)), at = in;
  lk_err err = lk_varuint_decode(&in, max, &value);
  CHECK_ERR(lk_varuint_decode_long(&at, max, &again), err);
  CHECK(at.pos == in.pos && again == value);
  at.pos = 0;
  bool shortest = err == LK_OK && in.pos == lk_varuint_len(value);
  CHECK((lk_varuint_decode_canonical(&at, max, &again) == LK_OK) == shortest);
  if (err == LK_OK) CHECK(value <= max && in.pos <= LK_VARUINT_LEN_MAX);
  else CHECK_U64(in.pos, 0);
}

FUZZ(lk_varint_decode) {
  uint8_t scratch[32];
  uint64_t max = gen_u64(g);
  lk_varint value = { 0 }, again = { 0 };
  lk_reader in = lk_reader_of(gen_hostile(g, samples, 4, scratch, sizeof scratch));
  if (lk_varint_decode(&in, max, &value) != LK_OK) {
    CHECK_U64(in.pos, 0);
    return;
  }
  CHECK(value.magnitude <= max && in.pos >= lk_varint_len(value));
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), LK_VARUINT_LEN_MAX);
  CHECK_OK(lk_varint_encode(&buf, value));
  in = lk_reader_of(lk_buf_slice(&buf));
  CHECK_OK(lk_varint_decode(&in, max, &again));
  CHECK(again.magnitude == value.magnitude && again.negative == value.negative);
  lk_buf_deinit(&buf);
}
