#include "codec/id.h"
#include "harness/test.h"

FUZZ(lk_id_decode_text) {
  static const lk_slice samples[] = { LK_LIT_INIT("017F22E2-79b0-7cc3-98c4-dc0c0c07398f") };
  uint8_t scratch[64], text[LK_ID_TEXT_LEN];
  lk_slice in = gen_hostile(g, samples, 1, scratch, sizeof scratch);
  lk_id id;
  if (lk_id_decode_text(in, &id) != LK_OK) return;
  lk_id_format(&id, text);
  CHECK(lk_slice_equal_nocase(lk_slice_of(text, sizeof text), in));
}
