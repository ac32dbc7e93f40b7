#include "channel/y_sync.h"

#include "harness/test.h"

/* What was read is written back to something that reads the same. */
FUZZ(lk_y_message_decode) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("\x00\x00\x01\x00"),
    LK_LIT_INIT("\x00\x02\x05hello\x03\x01\x01\x00"),
    LK_LIT_INIT("\x02\x00\x02no"),
  };
  uint8_t scratch[64];
  lk_reader in = lk_reader_of(gen_hostile(g, samples, 3, scratch, sizeof scratch));
  lk_y_message m, again;
  while (lk_y_message_decode(&in, &m) == LK_OK) {
    lk_buf out;
    lk_buf_init(&out, test_alloc(), 1 << 22);
    CHECK_OK(lk_y_message_encode(m.kind, m.body, &out));
    lk_reader back = lk_reader_of(lk_buf_slice(&out));
    CHECK_OK(lk_y_message_decode(&back, &again));
    CHECK_OK(lk_reader_end(&back));
    CHECK_U64(again.kind, m.kind);
    CHECK_SLICE(again.body, m.body);
    lk_buf_deinit(&out);
  }
}
