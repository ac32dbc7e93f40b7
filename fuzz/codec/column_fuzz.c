/* Columns from strangers. A few bytes may claim any number of values, so a bounded number is
 * asked for; each value is in range, and an error changes nothing. */
#include "codec/column.h"
#include "codec/utf.h"
#include "harness/test.h"

#define VALUES_MAX 64

static const lk_slice samples[] = {
  LK_LIT_INIT("\x45\x01\x07\x41\x00\x80\x01"),
  LK_LIT_INIT("\x07\x01\x06\x41\x05\xC3\x02\x00"),
  LK_LIT_INIT("\006abc\xC3\251d\x01\x42\x00"),
  LK_LIT_INIT("\x06\xF0\x9F\x98\x80zz\x41\x00\x02"),
};

static lk_slice hostile(lk_gen *g, uint8_t *scratch, size_t len) {
  return gen_hostile(g, samples, 4, scratch, len);
}

/* Calls |decode| on |d| until it fails; |value_is_good| sees each |value|. */
#define READ_ALL(d, decode, type, value_is_good)                                                   \
  for (int i = 0; i < VALUES_MAX; i++) {                                                           \
    uint8_t before[sizeof d];                                                                      \
    type value = 0;                                                                                \
    memcpy(before, &d, sizeof d);                                                                  \
    if (decode(&d, &value) != LK_OK) {                                                             \
      CHECK(memcmp(before, &d, sizeof d) == 0 && value == 0);                                      \
      break;                                                                                       \
    }                                                                                              \
    CHECK(value_is_good);                                                                          \
  }

#define SAFE ((int64_t)LK_VARUINT_MAX_SAFE)

/* also fuzzes: lk_column_rle_decode_run */
FUZZ(lk_column_rle_decode) {
  uint8_t scratch[64];
  lk_slice all = hostile(g, scratch, sizeof scratch);
  uint8_t again;
  lk_column_rle_decoder d = lk_column_rle_decoder_of(all);
  READ_ALL(d, lk_column_rle_decode, uint8_t, d.in.pos > 0)
  lk_column_rle_decoder one = lk_column_rle_decoder_of(all);
  CHECK((lk_column_rle_decode_run(&one, &again) == LK_OK) == (d.in.pos > 0));
}

/* also fuzzes: lk_column_uint_decode_run */
FUZZ(lk_column_uint_decode) {
  uint8_t scratch[64];
  lk_slice all = hostile(g, scratch, sizeof scratch);
  uint64_t first = 0;
  lk_column_uint_decoder one = lk_column_uint_decoder_of(all);
  bool any = lk_column_uint_decode_run(&one, &first) == LK_OK;
  lk_column_uint_decoder d = lk_column_uint_decoder_of(all);
  READ_ALL(d, lk_column_uint_decode, uint64_t,
           value <= LK_VARUINT_MAX_SAFE && any && (i > 0 || value == first))
}

FUZZ(lk_column_inc_decode) {
  uint8_t scratch[64];
  lk_slice all = hostile(g, scratch, sizeof scratch);
  lk_column_inc_decoder d = lk_column_inc_decoder_of(all);
  READ_ALL(d, lk_column_inc_decode, uint64_t, value <= LK_VARUINT_MAX_SAFE)
}

/* also fuzzes: lk_column_diff_decode_run */
FUZZ(lk_column_diff_decode) {
  uint8_t scratch[64];
  lk_slice all = hostile(g, scratch, sizeof scratch);
  int64_t first = 0;
  lk_column_diff_decoder one = lk_column_diff_decoder_of(all);
  bool any = lk_column_diff_decode_run(&one, &first) == LK_OK;
  lk_column_diff_decoder d = lk_column_diff_decoder_of(all);
  READ_ALL(d, lk_column_diff_decode, int64_t,
           value >= -SAFE && value <= SAFE && any && (i > 0 || value == first))
}

FUZZ(lk_column_delta_decode) {
  uint8_t scratch[64];
  int64_t start = (int64_t)(gen_u64(g) & LK_VARUINT_MAX_SAFE);
  lk_slice all = hostile(g, scratch, sizeof scratch);
  lk_column_delta_decoder d = lk_column_delta_decoder_of(all, start);
  READ_ALL(d, lk_column_delta_decode, int64_t, value >= -SAFE && value <= SAFE)
}

FUZZ(lk_column_rledelta_decode) {
  uint8_t scratch[64];
  int64_t start = (int64_t)(gen_u64(g) & LK_VARUINT_MAX_SAFE);
  lk_slice all = hostile(g, scratch, sizeof scratch);
  lk_column_rledelta_decoder d = lk_column_rledelta_decoder_of(all, start);
  READ_ALL(d, lk_column_rledelta_decode, int64_t, value >= -SAFE && value <= SAFE)
}

/* Pieces are valid text with proper halves and add up; joined they are the front of the text. */
FUZZ(lk_column_text_decode) {
  uint8_t scratch[64];
  lk_column_text_decoder d;
  lk_column_text_encoder e;
  lk_column_piece piece;
  lk_slice out;
  uint64_t units;
  if (lk_column_text_decoder_init(&d, hostile(g, scratch, sizeof scratch)) != LK_OK) return;
  lk_slice all = d.text;
  lk_column_text_encoder_init(&e, test_alloc(), 4096);
  for (int i = 0; i < VALUES_MAX && lk_column_text_decode(&d, &piece, &units) == LK_OK; i++) {
    CHECK_OK(lk_utf8_check(piece.text));
    CHECK(piece.low_first == 0 || lk_utf_is_low_surrogate(piece.low_first));
    CHECK(piece.high_last == 0 || lk_utf_is_high_surrogate(piece.high_last));
    CHECK_U64(units,
              lk_utf16_len_of_utf8(piece.text) + (piece.low_first != 0) + (piece.high_last != 0));
    lk_column_text_append_piece(&e, piece);
  }
  CHECK(lk_slice_starts_with(all, lk_buf_slice(&e.text)));
  CHECK_OK(lk_column_text_finish(&e, &out));
  lk_column_text_encoder_deinit(&e);
}
