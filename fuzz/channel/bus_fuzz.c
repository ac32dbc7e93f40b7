#include "channel/bus.h"

#include "harness/test.h"

/* also fuzzes: lk_bus_reader_deinit, lk_bus_reader_boundary */
/* What was read is written back to the same frame, but for longer forms of numbers. */
FUZZ(lk_bus_read) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("\x04\x00\x00\x00\x01\x00\x05\x07"),
    LK_LIT_INIT("\x11\x00\x00\x00\x02\x30\x05\x04\x01\x06"
                "crdt:a\x02{}\x00"),
    LK_LIT_INIT("\x0b\x00\x00\x00\x04\x03\x05\x04\x01\x01"
                "e\x03\x00\x01\xff"),
    LK_LIT_INIT("\x03\x00\x00\x00\x05\x00\x0c"),
  };
  uint8_t scratch[120];
  lk_bus_reader reader;
  lk_bus_message m, again;
  lk_buf out;
  lk_bus_reader_init(&reader, test_alloc(), 1000);
  lk_bus_reader_boundary(&reader);
  lk_buf_init(&out, test_alloc(), 1 << 16);
  lk_slice in = gen_hostile(g, samples, 4, scratch, sizeof scratch);
  while (lk_bus_read(&reader, &in, &m) == LK_OK) {
    lk_buf_truncate(&out, 0);
    CHECK_OK(lk_bus_encode(&m, 1000, &out));
    lk_bus_reader other;
    lk_slice bytes = lk_buf_slice(&out);
    lk_bus_reader_init(&other, test_alloc(), 1000);
    lk_bus_reader_boundary(&other);
    CHECK_OK(lk_bus_read(&other, &bytes, &again));
    CHECK(again.kind == m.kind && again.member == m.member && again.request == m.request);
    CHECK(again.rights == m.rights && again.dialect == m.dialect && again.audience == m.audience);
    CHECK_SLICE(again.subject, m.subject);
    CHECK(again.profiles == m.profiles);
    CHECK_SLICE(again.payload, m.payload);
    lk_bus_reader_deinit(&other);
  }
  lk_buf_deinit(&out);
  lk_bus_reader_deinit(&reader);
}
