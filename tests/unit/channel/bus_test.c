#include "channel/bus.h"

#include "harness/gen.h"
#include "harness/test.h"

#define FRAME_MAX 4096u

static const lk_bus_message samples[] = {
  { .kind = LK_BUS_HELLO, .generation = UINT64_MAX, .answers = 7 },
  { .kind = LK_BUS_JOIN,
    .request = 300,
    .settled = 299,
    .member = (UINT64_C(1) << 56) - 1,
    .topic = LK_LIT_INIT("crdt:a"),
    .event = LK_LIT_INIT("counter:a"),
    .payload = LK_LIT_INIT("{}"),
    .rights = LK_RIGHTS_READ,
    .subject = LK_LIT_INIT("user-1") },
  { .kind = LK_BUS_RESTORE,
    .member = 1,
    .topic = LK_LIT_INIT("relay:b"),
    .rights = LK_RIGHTS_ADMIN },
  { .kind = LK_BUS_ACCEPT,
    .audience = LK_BUS_WAITERS,
    .request = 4,
    .payload = LK_LIT_INIT("{}"),
    .dialect = LK_DIALECT_YJS,
    .profiles = 4 },
  { .kind = LK_BUS_QUERY,
    .request = 301,
    .settled = 300,
    .topic = LK_LIT_INIT("doc:a"),
    .event = LK_LIT_INIT("read"),
    .payload = LK_LIT_INIT("{}"),
    .rights = LK_RIGHTS_WRITE,
    .subject = LK_LIT_INIT("u") },
  { .kind = LK_BUS_MESSAGE,
    .binary = true,
    .again = true,
    .request = 1,
    .event = LK_LIT_INIT("yjs"),
    .payload = LK_LIT_INIT("\x00\x01\xff") },
  { .kind = LK_BUS_LEAVE, .member = 12 },
  { .kind = LK_BUS_REPLY,
    .request = 5,
    .event = LK_LIT_INIT("ok"),
    .payload = LK_LIT_INIT("{\"a\":1}") },
  { .kind = LK_BUS_BROADCAST,
    .audience = LK_BUS_HEARERS,
    .member = 9,
    .topic = LK_LIT_INIT("t"),
    .event = LK_LIT_INIT("e"),
    .payload = LK_LIT_INIT("[1,2,3]") },
  { .kind = LK_BUS_CRASH, .member = 3, .event = LK_LIT_INIT("storage") },
  { .kind = LK_BUS_UNMATCHED, .request = 8 },
};
#define SAMPLES (sizeof samples / sizeof samples[0])

static void check_same(const lk_bus_message *got, const lk_bus_message *want) {
  CHECK(got->kind == want->kind && got->audience == want->audience && got->binary == want->binary &&
        got->again == want->again);
  CHECK(got->rights == want->rights && got->dialect == want->dialect);
  CHECK_SLICE(got->subject, want->subject);
  CHECK_U64(got->profiles, want->profiles);
  CHECK_U64(got->generation, want->generation);
  CHECK_U64(got->answers, want->answers);
  CHECK_U64(got->request, want->request);
  CHECK_U64(got->settled, want->settled);
  CHECK_U64(got->member, want->member);
  CHECK_SLICE(got->topic, want->topic);
  CHECK_SLICE(got->event, want->event);
  CHECK_SLICE(got->payload, want->payload);
}

static void encode_all(lk_buf *out) {
  lk_buf_init(out, test_alloc(), 1 << 16);
  for (size_t i = 0; i < SAMPLES; i++) CHECK_OK(lk_bus_encode(&samples[i], FRAME_MAX, out));
}

/* Goal: where the stream is cut does not matter. Method: cut it at every place, into two and into single bytes. */
TEST(bus_messages_come_out_as_they_went_in_wherever_the_stream_is_cut) {
  lk_buf bytes;
  encode_all(&bytes);
  for (size_t cut = 0; cut <= bytes.len + 1; cut++) {
    size_t step = cut == bytes.len + 1 ? 1 : lk_max_size(cut, 1), count = 0;
    lk_bus_reader reader;
    lk_bus_message m;
    lk_bus_reader_init(&reader, test_alloc(), FRAME_MAX);
    lk_bus_reader_boundary(&reader);
    for (size_t at = 0; at < bytes.len; at += step) {
      lk_slice in = lk_slice_of(bytes.ptr + at, lk_min_size(step, bytes.len - at));
      lk_err err;
      while ((err = lk_bus_read(&reader, &in, &m)) == LK_OK) check_same(&m, &samples[count++]);
      CHECK_ERR(err, LK_ERR_MORE);
      CHECK_U64(in.len, 0);
    }
    CHECK_U64(count, SAMPLES);
    lk_bus_reader_deinit(&reader);
    lk_bus_reader_deinit(&reader);
  }
  lk_buf_deinit(&bytes);
}

TEST(a_frame_whose_end_never_came_is_forgotten_at_the_next_boundary) {
  lk_buf bytes;
  lk_bus_reader reader;
  lk_bus_message m;
  encode_all(&bytes);
  lk_bus_reader_init(&reader, test_alloc(), FRAME_MAX);
  lk_slice in = lk_buf_slice(&bytes);
  CHECK_ERR(lk_bus_read(&reader, &in, &m),
            LK_ERR_MORE); /* before the first boundary nothing is read */
  CHECK_U64(in.len, 0);
  lk_bus_reader_boundary(&reader);
  in = lk_slice_of(bytes.ptr, 7);
  CHECK_ERR(lk_bus_read(&reader, &in, &m), LK_ERR_MORE);
  lk_bus_reader_boundary(&reader);
  in = lk_buf_slice(&bytes);
  CHECK_OK(lk_bus_read(&reader, &in, &m));
  check_same(&m, &samples[0]);
  lk_bus_reader_deinit(&reader);
  lk_buf_deinit(&bytes);
}

TEST(bytes_that_are_no_frames_are_refused_and_passed_over_until_a_boundary) {
  static const struct {
    lk_slice bytes;
    lk_err err;
  } rows[] = {
    { LK_LIT_INIT("\x01\x00\x00\x00\x01"), LK_ERR_CORRUPT },     /* no room for a head */
    { LK_LIT_INIT("\x02\x00\x00\x00\x00\x00"), LK_ERR_CORRUPT }, /* no such kind */
    { LK_LIT_INIT("\x02\x00\x00\x00\x63\x00"), LK_ERR_CORRUPT },
    { LK_LIT_INIT("\x03\x00\x00\x00\x05\x0c\x01"), LK_ERR_CORRUPT }, /* no such audience */
    { LK_LIT_INIT("\x02\x00\x00\x00\x05\x00"), LK_ERR_CORRUPT },     /* a field is missing */
    { LK_LIT_INIT("\x04\x00\x00\x00\x05\x00\x01\x01"),
      LK_ERR_CORRUPT }, /* something behind the last field */
    { LK_LIT_INIT("\x05\x00\x00\x00\x0b\x00\x01\x09x"),
      LK_ERR_CORRUPT }, /* a text that runs past the end */
    { LK_LIT_INIT("\xff\xff\xff\xff\x01\x00"), LK_ERR_TOO_BIG },
    { LK_LIT_INIT("\xfd\x0f\x00\x00\x01\x00"), LK_ERR_TOO_BIG }, /* one byte above the limit */
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    lk_bus_reader reader;
    lk_bus_message m;
    lk_bus_reader_init(&reader, test_alloc(), FRAME_MAX);
    lk_bus_reader_boundary(&reader);
    lk_slice in = rows[i].bytes;
    test_note("row %u", (unsigned)i);
    CHECK_ERR(lk_bus_read(&reader, &in, &m), rows[i].err);
    in = LK_LIT("\x03\x00\x00\x00\x05\x00\x01");
    CHECK_ERR(lk_bus_read(&reader, &in, &m), LK_ERR_MORE);
    lk_bus_reader_boundary(&reader);
    in = LK_LIT("\x03\x00\x00\x00\x05\x00\x01");
    CHECK_OK(lk_bus_read(&reader, &in, &m));
    lk_bus_reader_deinit(&reader);
  }
}

TEST(a_message_that_is_too_long_or_finds_no_memory_leaves_the_buffer_as_it_was) {
  static uint8_t long_payload[FRAME_MAX];
  lk_bus_message big = samples[7];
  big.payload = lk_slice_of(long_payload, sizeof long_payload);
  FAULT_LOOP(faults, test_alloc()) {
    lk_buf out;
    lk_buf_init(&out, faulty_alloc(&faults), 1 << 16);
    lk_err err = lk_bus_encode(&samples[1], FRAME_MAX, &out);
    size_t before = out.len;
    if (err == LK_OK) CHECK(lk_bus_encode(&big, FRAME_MAX, &out) != LK_OK);
    else CHECK_ERR(err, LK_ERR_NOMEM);
    CHECK_U64(out.len, before);
    lk_buf_deinit(&out);
  }
}

/* A host took half of a frame when the rest is taken back: that frame stays whole. */
TEST(what_is_taken_back_begins_behind_the_frame_that_was_begun) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 16);
  CHECK_OK(lk_bus_encode(&samples[0], FRAME_MAX, &out));
  size_t first = out.len;
  CHECK_OK(lk_bus_encode(&samples[1], FRAME_MAX, &out));
  size_t second = out.len;
  CHECK_OK(lk_bus_encode(&samples[2], FRAME_MAX, &out));
  lk_bus_forget(&out, first + 1);
  CHECK_U64(out.len, second);
  lk_bus_forget(&out, first);
  CHECK_U64(out.len, first);
  lk_bus_forget(&out, 0);
  CHECK_U64(out.len, 0);
  lk_buf_deinit(&out);
}

/* Goal: what has gone does not stay, also where something always waits. Method: one frame more is written than is
 * taken, in odd portions, for megabytes; a frame is cut off its rest at every step. */
/* Goal: what a moment of many messages took is not kept for ever, and what each turn takes is. */
TEST(output_that_was_taken_keeps_memory_for_a_few_messages) {
  static const uint8_t payload[300];
  const lk_bus_message m = { .kind = LK_BUS_PUSH,
                             .member = 1,
                             .payload = lk_slice_of(payload, sizeof payload) };
  lk_buf out;
  size_t off = 0;
  lk_buf_init(&out, test_alloc(), 1 << 20);
  for (int i = 0; i < 300; i++) CHECK_OK(lk_bus_encode(&m, FRAME_MAX, &out));
  size_t cap = out.cap, len = out.len;
  CHECK(len > 65536);
  lk_bus_consume(&out, &off, len - 1);
  CHECK_U64(out.cap, cap); /* a frame is left, and what went with it may be moved */
  lk_bus_consume(&out, &off, out.len - off);
  CHECK_U64(out.cap, 0);
  for (int i = 0; i < 10; i++) CHECK_OK(lk_bus_encode(&m, FRAME_MAX, &out));
  cap = out.cap;
  lk_bus_consume(&out, &off, out.len);
  CHECK_U64(out.cap, cap);
  lk_buf_deinit(&out);
}

TEST(output_that_is_never_taken_whole_does_not_grow) {
  static const uint8_t payload[300];
  lk_bus_message m = { .kind = LK_BUS_PUSH,
                       .member = 1,
                       .payload = lk_slice_of(payload, sizeof payload) };
  lk_buf out;
  size_t off = 0, sent = 0;
  lk_bus_reader reader;
  lk_bus_message got;
  uint64_t count = 0;
  lk_buf_init(&out, test_alloc(), 1 << 20);
  lk_bus_reader_init(&reader, test_alloc(), FRAME_MAX);
  lk_bus_reader_boundary(&reader);
  CHECK_OK(lk_bus_encode(&m, FRAME_MAX, &out));
  for (uint64_t i = 0; i < 20000; i++) {
    m.member = i + 2;
    CHECK_OK(lk_bus_encode(&m, FRAME_MAX, &out));
    size_t n = lk_min_size(out.len - off - 1, 251 + i % 113);
    lk_slice in = lk_slice_of(out.ptr + off, n);
    while (lk_bus_read(&reader, &in, &got) == LK_OK) CHECK_U64(got.member, ++count);
    lk_bus_consume(&out, &off, n);
    sent += n;
    if (out.len - off > 2000) {
      lk_slice rest = lk_slice_of(out.ptr + off, 1500);
      while (lk_bus_read(&reader, &rest, &got) == LK_OK) CHECK_U64(got.member, ++count);
      lk_bus_consume(&out, &off, 1500);
    }
    CHECK(out.cap < 400000);
  }
  CHECK(sent > 4000000);
  CHECK_COVERED(bus_output_compacted);
  lk_bus_reader_deinit(&reader);
  lk_buf_deinit(&out);
}
