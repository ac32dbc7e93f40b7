#include "log/manifest.h"

#include "harness/test.h"

FUZZ(lk_manifest_decode) {
  uint8_t bytes[LK_MANIFEST_LEN], again[LK_MANIFEST_LEN], scratch[300];
  lk_manifest m = { .oldest = 1,
                    .first = { .number = 1 + gen_below(g, 3), .base = 1 },
                    .last = { .number = 4, .base = 9 } };
  lk_manifest_encode(&m, bytes);
  lk_slice samples[] = { lk_slice_of(bytes, sizeof bytes) };
  lk_slice in = gen_hostile(g, samples, 1, scratch, sizeof scratch);
  if (lk_manifest_decode(in, &m) != LK_OK) return;
  /* What is taken makes sense, and has one form. */
  CHECK(m.oldest > 0 && m.oldest <= m.first.number && m.first.number <= m.last.number);
  lk_manifest_encode(&m, again);
  CHECK_SLICE(lk_slice_of(again, sizeof again), in);
}
