/* `any` from strangers: bounded, and written again it reads as the same items. */
#include "codec/any.h"
#include "harness/test.h"

#define DEPTH_MAX 8

static const lk_slice samples[] = {
  LK_LIT_INIT("\x76\x03\001a\x7D\x45\001b\x75\x02\x77\x02hi\x7E\001c\x74\x02\x00\xFF"),
  LK_LIT_INIT("\x75\x04\x7C\x3F\x00\x00\x00\x7B\x3F\xB9\x99\x99\x99\x99\x99\x9A\x7A\x00\x00\x00"
              "\x00\x00\x00\x00\x05\x78"),
  LK_LIT_INIT("\x75\x01\x75\x01\x75\x01\x76\x01\x00\x75\x00"),
  LK_LIT_INIT("\x79\x7F\x7E"),
};

FUZZ(lk_any_decode) {
  uint8_t scratch[96];
  lk_slice all = gen_hostile(g, samples, 4, scratch, sizeof scratch);
  lk_reader in = lk_reader_of(all);
  lk_any_frame frames[DEPTH_MAX];
  lk_any_reader reader;
  lk_any_item item;
  lk_buf again;
  lk_err err;
  size_t items = 0;
  lk_buf_init(&again, test_alloc(), 4 * all.len + 64);
  lk_any_reader_init(&reader, &in, frames, DEPTH_MAX);
  for (;;) {
    size_t before = in.pos;
    err = lk_any_decode(&reader, &item);
    CHECK(reader.depth <= DEPTH_MAX);
    CHECK(err == LK_OK || in.pos == before);
    if (err != LK_OK) break;
    CHECK_OK(lk_any_encode(&again, &item));
    CHECK(++items <= 2 * all.len); /* at most a begin and an end for each byte */
  }
  if (err == LK_ERR_END) {
    bool same = lk_slice_equal(lk_buf_slice(&again), lk_reader_since(&in, 0));
    CHECK_U64(same, lk_any_is_canonical(&reader));
  }
  lk_buf_deinit(&again);
}

/* Agrees with reading item by item; and what it gives is read again without being moved. */
FUZZ(lk_any_span_decode) {
  uint8_t scratch[96];
  lk_slice all = gen_hostile(g, samples, 4, scratch, sizeof scratch), span = LK_SLICE_EMPTY, twice;
  lk_reader in = lk_reader_of(all);
  bool canonical = false, same = true;
  if (lk_any_span_decode(&in, DEPTH_MAX, &span, &canonical) != LK_OK) {
    CHECK(in.pos == 0 && span.ptr == NULL);
    return;
  }
  CHECK(span.len == in.pos && span.ptr == all.ptr);
  in = lk_reader_of(span);
  CHECK_OK(lk_any_span_decode(&in, DEPTH_MAX, &twice, &same));
  CHECK(twice.len == span.len && same == canonical);
}

/* An item alone is what a reader gives first. */
FUZZ(lk_any_item_decode) {
  uint8_t scratch[96];
  lk_slice all = gen_hostile(g, samples, 4, scratch, sizeof scratch);
  lk_reader in = lk_reader_of(all), alone = in;
  lk_any_frame frame;
  lk_any_reader reader;
  lk_any_item item, first;
  bool canonical = true;
  lk_any_reader_init(&reader, &in, &frame, 1);
  lk_err err = lk_any_decode(&reader, &first);
  CHECK_ERR(lk_any_item_decode(&alone, &item, &canonical), err);
  CHECK(alone.pos == in.pos && canonical == lk_any_is_canonical(&reader));
  if (err == LK_OK) CHECK(item.kind == first.kind);
}
