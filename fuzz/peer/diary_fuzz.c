/* A diary that holds anything. */
#include "peer/pieces.h"

#include "harness/test.h"

FUZZ(lk_diary_decode) {
  static const lk_slice samples[] = { LK_LIT_INIT("\x05"
                                                  "doc:a\x00\x02"
                                                  "ab\x01"
                                                  "g"),
                                      LK_LIT_INIT("\x05"
                                                  "doc:a\x07"
                                                  "bytes"),
                                      LK_LIT_INIT("\x05"
                                                  "doc:a\x02\x07\x05\x03"
                                                  "es") };
  uint8_t scratch[100];
  lk_diary_record record;
  uint8_t kind = (uint8_t)gen_below(g, 9);
  lk_slice in = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  if (lk_diary_decode(kind, in, &record) != LK_OK) return;
  CHECK(record.topic.len > 0 && record.topic.len + record.bytes.len <= in.len);
}

/* Pieces in any order, of anything: what is whole is as long as its first piece said, and is read once. */
FUZZ(lk_pieces_read) {
  lk_limits limits = lk_limits_default();
  lk_pieces_collector reader;
  lk_diary_record piece, out;
  uint8_t scratch[64];
  bool is_whole;
  limits.doc_update_bytes = limits.crdt_state_bytes = 40;
  lk_pieces_collector_init(&reader, test_alloc(), &limits);
  for (uint32_t i = gen_below(g, 24); i > 0; i--) {
    size_t len = gen_bytes(g, scratch, sizeof scratch);
    piece = (lk_diary_record){ .kind = LK_DIARY_PIECE,
                               .topic = gen_bool(g) ? LK_LIT("a") : LK_LIT("b"),
                               .of = gen_bool(g) ? LK_DIARY_STATE : LK_DIARY_CHANGE,
                               .number = gen_below(g, 2),
                               .total = gen_chance(g, 1, 8) ? gen_u64(g) : gen_range(g, 1, 41),
                               .off = gen_bool(g) ? reader.bytes.len : gen_below(g, 40) };
    if (len == 0 || piece.off > piece.total || len > piece.total - piece.off)
      continue; /* no PIECE */
    piece.bytes = lk_slice_of(scratch, len);
    size_t had = reader.total == 0 ? 0 : reader.bytes.len;
    lk_err err = lk_pieces_read(&reader, &piece, &is_whole, &out);
    CHECK(err == LK_OK || (err == LK_ERR_LIMIT && piece.total > 40));
    CHECK(reader.bytes.len <= 40);
    if (err != LK_OK || !is_whole) continue;
    CHECK_U64(out.bytes.len, piece.total);
    CHECK(piece.off == 0 || had == piece.off);
    CHECK_SLICE(lk_slice_skip(out.bytes, (size_t)piece.off), piece.bytes);
  }
  lk_pieces_collector_deinit(&reader);
}
