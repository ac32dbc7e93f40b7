/* A diary that holds anything. */
#include "peer/diary.h"

#include "harness/test.h"

FUZZ(lk_diary_decode) {
  static const lk_slice samples[] = { LK_LIT_INIT("\x05"
                                                  "doc:a\x00\x02"
                                                  "ab\x01"
                                                  "g"),
                                      LK_LIT_INIT("\x05"
                                                  "doc:a\x07"
                                                  "bytes") };
  uint8_t scratch[100];
  lk_diary_record record;
  uint8_t kind = (uint8_t)gen_below(g, 8);
  lk_slice in = gen_hostile(g, samples, 2, scratch, sizeof scratch);
  if (lk_diary_decode(kind, in, &record) != LK_OK) return;
  CHECK(record.topic.len > 0 && record.topic.len + record.bytes.len <= in.len);
}
