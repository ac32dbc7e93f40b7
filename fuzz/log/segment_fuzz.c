#include "log/segment_reader.h"

#include "codec/crc32c.h"
#include "harness/test.h"

#define BODY_MAX 5000u

static const lk_segment_id id = { .number = 3, .base = 50, .salt = "0123456789abcde" };
static lk_slice name(void) { return LK_LIT("j-0000000003"); }

/* A segment with two batches. */
static void make_sample(lk_buf *out) {
  lk_segment_place place = lk_segment_start(&id, name());
  lk_slice parts[] = { LK_LIT("a record"), LK_LIT(" in parts") };
  lk_buf_init(out, test_alloc(), 1u << 22);
  lk_segment_header_encode(&id, lk_buf_extend(out, LK_SEGMENT_HEADER_LEN));
  for (uint32_t i = 0; i < 2; i++) {
    lk_buf batch;
    lk_buf_init(&batch, test_alloc(), 1000);
    CHECK_OK(lk_batch_begin(&batch));
    for (uint32_t n = 0; n <= i; n++) CHECK_OK(lk_batch_append(&batch, (uint8_t)n, parts, 2));
    lk_batch_finish(&batch, i + 1, &place);
    CHECK_OK(lk_buf_append(out, lk_buf_slice(&batch)));
    lk_buf_deinit(&batch);
  }
}

/* Reads |bytes| as a segment; returns how many records there were. Whatever they are, records have
 * consecutive indexes and lie in the file, and memory is bounded. */
static uint64_t read_all(lk_slice bytes, uint64_t sealed_to) {
  lk_segment_reader r;
  uint64_t records = 0, total = 0;
  lk_segment_step step;
  lk_segment_reader_init(&r, test_alloc(), &id, name(), bytes.len, sealed_to, BODY_MAX);
  while ((step = lk_segment_reader_poll(&r)) == LK_SEGMENT_READ || step == LK_SEGMENT_RECORD) {
    if (step == LK_SEGMENT_RECORD) {
      CHECK_U64(r.index, id.base + records++);
      total += r.record.body.len + LK_RECORD_HEADER_LEN;
      CHECK(total <= bytes.len);
      continue;
    }
    CHECK(r.read_off <= bytes.len && r.into_len <= bytes.len - r.read_off && r.into_len > 0);
    memcpy(r.into, bytes.ptr + (size_t)r.read_off, r.into_len);
    lk_segment_reader_feed(&r, r.into_len);
  }
  CHECK(r.window.cap <= 2 * (BODY_MAX + 2 * LK_SEGMENT_READ_LEN));
  if (step == LK_SEGMENT_TORN) CHECK(sealed_to == 0 && r.place.off < bytes.len + (bytes.len == 0));
  if (step == LK_SEGMENT_END) CHECK(r.place.off == bytes.len);
  if (step != LK_SEGMENT_FAILED) CHECK(r.place.index == id.base + records);
  lk_segment_reader_deinit(&r);
  return records;
}

/* also fuzzes: lk_segment_header_decode, lk_batch_decode, lk_batch_check, lk_segment_reader_poll,
 * lk_segment_reader_deinit */
FUZZ(lk_segment_reader_feed) {
  lk_buf sample;
  uint8_t scratch[512];
  lk_segment_id found;
  lk_batch batch;
  lk_slice body;
  make_sample(&sample);
  lk_segment_place place = lk_segment_start(&id, name());
  lk_slice samples[] = { lk_buf_slice(&sample),
                         lk_slice_skip(lk_buf_slice(&sample), LK_SEGMENT_HEADER_LEN) };
  lk_slice in = gen_hostile(g, samples, 2, scratch, sizeof scratch);
  (void)read_all(in, 0);
  (void)read_all(in, in.len);
  (void)!lk_segment_header_decode(in, &found);
  (void)!lk_batch_decode(place.seed, place.off, in, &batch);
  if (lk_batch_check(&place, in, &body) == LK_OK) CHECK(body.len < in.len);
  lk_buf_deinit(&sample);
}

/* Goal: what is behind the checksums bears anything too. Method: a batch whose checksums hold around hostile
 * records and a hostile count. */
FUZZ(lk_record_decode) {
  uint8_t scratch[256];
  lk_record record;
  lk_buf sample;
  uint32_t count = gen_range(g, 1, 4);
  make_sample(&sample);
  lk_segment_place place = lk_segment_start(&id, name());
  lk_slice samples[] = { LK_LIT("\1\0\0\0\1x\0\0\0\0\2"), LK_LIT("\2\0\0\0\1xy\1\0\0\0\2z") };
  lk_slice in = gen_hostile(g, samples, 2, scratch, sizeof scratch), rest = in;
  size_t before = in.len;
  while (lk_record_decode(&rest, &record) == LK_OK) {
    CHECK(rest.len < before && record.body.len < before);
    before = rest.len;
  }
  if (in.len >= (size_t)count * LK_RECORD_HEADER_LEN) {
    lk_buf batch;
    lk_buf_init(&batch, test_alloc(), 1u << 22);
    CHECK_OK(lk_batch_begin(&batch));
    CHECK_OK(lk_buf_append(&batch, in));
    lk_batch_finish(&batch, count, &place);
    lk_buf_truncate(&sample, LK_SEGMENT_HEADER_LEN);
    CHECK_OK(lk_buf_append(&sample, lk_buf_slice(&batch)));
    (void)read_all(lk_buf_slice(&sample), 0);
    lk_buf_deinit(&batch);
  }
  lk_buf_deinit(&sample);
}
