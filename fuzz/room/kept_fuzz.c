#include "room/kept.h"

#include "harness/test.h"

/* also fuzzes: lk_kept_decode_record, lk_kept_decode_snapshot, lk_kept_decode_mark */
/* Any bytes: what is taken apart lies within them, and its marks can be read as often as they are counted. */
FUZZ(lk_kept_decode) {
  static const lk_slice samples[] = { LK_LIT_INIT("\x06"
                                                  "crdt:a\x01\x00\x05\x03state"),
                                      LK_LIT_INIT("\x02\x09\x01\x00\x05\x03state"),
                                      LK_LIT_INIT("\x03\x09\x06"
                                                  "crdt:a\x01\x00\x05\x03state") };
  uint8_t scratch[200];
  lk_slice in = g->from_bytes ? g->bytes : gen_hostile(g, samples, 3, scratch, sizeof scratch);
  lk_slice topic, rest = in;
  uint64_t index;
  lk_kept kept;
  lk_mark mark;
  switch (gen_below(g, 3)) {
  case 0:
    if (lk_kept_decode_record(in, &topic, &rest) != LK_OK) return;
    CHECK(topic.len + rest.len < in.len);
    break;
  case 1:
    if (lk_kept_decode_snapshot(in, &index, &topic, &rest) != LK_OK) return;
    CHECK(topic.len + rest.len < in.len);
    break;
  }
  if (lk_kept_decode(rest, &kept) != LK_OK) return;
  CHECK(kept.marks.len + kept.bytes.len <= rest.len);
  lk_reader marks = lk_reader_of(kept.marks);
  for (uint64_t i = 0; i < kept.marks_count; i++) CHECK_OK(lk_kept_decode_mark(&marks, &mark));
  CHECK_U64(lk_reader_left(&marks), 0);
}
