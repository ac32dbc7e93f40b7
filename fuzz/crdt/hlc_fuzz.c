#include "crdt/hlc.h"

#include "harness/test.h"

/* What decodes is canonical: encoding it again gives the same bytes. It has a next stamp, unless
 * it is the last one. */
FUZZ(lk_hlc_decode) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("\x64\x07"),
    LK_LIT_INIT("\x80\xd0\x95\xff\xbc\x31\x00"),
    LK_LIT_INIT("\xff\xff\xff\xff\xff\xff\x3f\xff\xff\xff\xff\x0f"),
  };
  uint8_t scratch[64];
  lk_hlc stamp, next;
  lk_buf out;
  lk_slice bytes = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  lk_reader in = lk_reader_of(bytes);
  if (lk_hlc_decode(&in, &stamp) != LK_OK) {
    CHECK_U64(in.pos, 0);
    return;
  }
  lk_buf_init(&out, test_alloc(), 64);
  CHECK_OK(lk_hlc_encode(&out, stamp));
  CHECK_SLICE(lk_buf_slice(&out), lk_slice_first(bytes, in.pos));
  lk_buf_deinit(&out);
  if (lk_hlc_next(stamp, 0, &next) == LK_OK) CHECK(lk_hlc_compare(next, stamp) > 0);
  else CHECK(stamp.ms == LK_HLC_MS_MAX && stamp.count == UINT32_MAX);
}
