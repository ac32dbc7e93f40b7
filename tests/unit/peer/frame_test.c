/* The client's side of serializer V2, held to the server's side. */
#include "peer/frame.h"

#include "harness/test.h"

typedef struct bench {
  lk_limits limits;
  lk_arena arena;
  lk_buf out;
} bench;

static void bench_init(bench *b) {
  b->limits = lk_limits_default();
  lk_arena_init(&b->arena, test_alloc(), 1 << 20);
  lk_buf_init(&b->out, test_alloc(), 1 << 20);
}

static void bench_deinit(bench *b) {
  lk_arena_deinit(&b->arena);
  lk_buf_deinit(&b->out);
}

static void check_same(const lk_message *a, const lk_message *b) {
  CHECK_SLICE(a->join_ref, b->join_ref);
  CHECK_SLICE(a->topic, b->topic);
  CHECK_SLICE(a->event, b->event);
  CHECK_SLICE(a->payload, b->payload);
  CHECK(a->binary == b->binary);
}

/* What we write the server reads as it was meant. */
TEST(frame_push_is_what_a_server_reads) {
  bench b;
  for (int binary = 0; binary < 2; binary++) {
    const lk_message m = { .join_ref = LK_LIT("1"),
                           .ref = LK_LIT("22"),
                           .topic = LK_LIT("doc:a"),
                           .event = LK_LIT("client_update"),
                           .payload = binary != 0 ? LK_LIT("\x01\x00") : LK_LIT("{\"a\":1}"),
                           .binary = binary != 0 };
    lk_message read;
    bool is_binary;
    bench_init(&b);
    CHECK_OK(lk_frame_encode(&m, &b.out, &is_binary));
    CHECK(is_binary == m.binary);
    CHECK_OK(lk_message_decode(LK_MESSAGE_V2, lk_buf_slice(&b.out), is_binary, &b.limits, &b.arena,
                               &read));
    check_same(&read, &m);
    CHECK_SLICE(read.ref, m.ref);
    bench_deinit(&b);
  }
}

TEST(frame_reads_what_a_server_pushes_and_broadcasts) {
  bench b;
  lk_frame frame;
  bool is_binary;
  for (int i = 0; i < 4; i++) {
    lk_message m = { .join_ref = LK_LIT("7"),
                     .topic = LK_LIT("doc:a"),
                     .event = LK_LIT("server_update"),
                     .payload = i % 2 != 0 ? LK_LIT("\x01\x00") : LK_LIT("[]"),
                     .binary = i % 2 != 0 };
    bench_init(&b);
    lk_err err = i < 2 ? lk_message_encode_push(LK_MESSAGE_V2, &m, &b.out, &is_binary)
                       : lk_message_encode_broadcast(LK_MESSAGE_V2, &m, &b.out, &is_binary);
    CHECK_OK(err);
    CHECK_OK(lk_frame_decode(lk_buf_slice(&b.out), is_binary, &b.limits, &b.arena, &frame));
    CHECK(!frame.is_reply);
    if (i >= 2) m.join_ref = LK_SLICE_EMPTY;
    check_same(&frame.message, &m);
    bench_deinit(&b);
  }
}

TEST(frame_reads_replies_in_both_forms) {
  bench b;
  lk_frame frame;
  bool is_binary;
  for (int binary = 0; binary < 2; binary++) {
    const lk_message m = { .join_ref = LK_LIT("7"),
                           .ref = LK_LIT("9"),
                           .topic = LK_LIT("doc:a"),
                           .event = LK_LIT("phx_reply"),
                           .payload = binary != 0 ? LK_LIT("\x01") : LK_LIT("{\"x\":[1]}"),
                           .binary = binary != 0 };
    bench_init(&b);
    CHECK_OK(lk_message_encode_reply(LK_MESSAGE_V2, &m, LK_LIT("error"), &b.out, &is_binary));
    CHECK_OK(lk_frame_decode(lk_buf_slice(&b.out), is_binary, &b.limits, &b.arena, &frame));
    CHECK(frame.is_reply);
    CHECK_TEXT(frame.status, "error");
    CHECK_SLICE(frame.message.ref, m.ref);
    check_same(&frame.message, &m);
    bench_deinit(&b);
  }
}

/* Goal: what a server makes of bytes for a client without frames is the same bytes again, and somebody's own JSON stays that. */
TEST(frame_opens_bytes_in_a_text) {
  bench b;
  lk_frame frame;
  bool is_binary;
  uint8_t bytes[70];
  for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7);
  for (size_t len = 0; len <= sizeof bytes; len++) {
    const lk_message m = { .ref = LK_LIT("9"),
                           .topic = LK_LIT("doc:a"),
                           .event = LK_LIT("server_update"),
                           .payload = lk_slice_of(bytes, len),
                           .binary = true };
    for (int is_reply = 0; is_reply < 2; is_reply++) {
      bench_init(&b);
      if (is_reply)
        CHECK_OK(lk_message_encode_reply(LK_MESSAGE_V2_TEXT, &m, LK_LIT("ok"), &b.out, &is_binary));
      else CHECK_OK(lk_message_encode_broadcast(LK_MESSAGE_V2_TEXT, &m, &b.out, &is_binary));
      CHECK(!is_binary);
      CHECK_OK(lk_frame_decode(lk_buf_slice(&b.out), false, &b.limits, &b.arena, &frame));
      CHECK(!frame.message.binary);
      CHECK_OK(lk_frame_open_bytes(&frame, &b.arena));
      CHECK(frame.message.binary);
      CHECK_SLICE(frame.message.payload, m.payload);
      bench_deinit(&b);
    }
  }
}

TEST(frame_leaves_what_is_no_bytes) {
  static const char *const payloads[] = {
    "{}",
    "[]",
    "{\"b64\":\"A\"}",
    "{\"b64\":\"AAA\"}",
    "{\"b64\":\"AA==\",\"x\":\"\"}",
    "{\"b64\":1}",
    "{\"b6\":\"AA==\"}",
    "{\"b64\":\"\\u0041A==\"}",
    "{\"b64\": \"AA==\"}",
    "{\"b64\":\"}",
  };
  for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
    bench b;
    test_note("case %zu", i);
    bench_init(&b);
    lk_frame frame = { .message = { .payload = lk_slice_cstr(payloads[i]) } };
    CHECK_OK(lk_frame_open_bytes(&frame, &b.arena));
    CHECK(!frame.message.binary);
    CHECK_SLICE(frame.message.payload, lk_slice_cstr(payloads[i]));
    bench_deinit(&b);
  }
}

TEST(frame_opens_bytes_once) {
  bench b;
  bench_init(&b);
  lk_frame frame = { .message = { .payload = LK_LIT("{\"b64\":\"AAAA\"}"), .binary = true } };
  CHECK_OK(lk_frame_open_bytes(&frame, &b.arena));
  CHECK_TEXT(frame.message.payload, "{\"b64\":\"AAAA\"}");
  bench_deinit(&b);
}

TEST(frame_opens_bytes_with_memory_alone) {
  bench b;
  bench_init(&b);
  b.arena.max = 0;
  lk_frame frame = { .message = { .payload = LK_LIT("{\"b64\":\"AAAA\"}") } };
  CHECK_ERR(lk_frame_open_bytes(&frame, &b.arena), LK_ERR_NOMEM);
  CHECK(!frame.message.binary);
  bench_deinit(&b);
}

TEST(frame_refuses_what_is_none) {
  static const char *const texts[] = {
    "[null,null,\"a\",\"phx_reply\",{}]",
    "[null,null,\"a\",\"phx_reply\",[]]",
    "[null,null,\"a\",\"phx_reply\",{\"status\":1,\"response\":{}}]",
    "[null,null,\"a\",\"phx_reply\",{\"status\":\"ok\"}]",
    "{}",
  };
  static const lk_slice frames[] = { LK_LIT_INIT(""), LK_LIT_INIT("\x03\x00\x00\x00\x00"),
                                     LK_LIT_INIT("\x02\x05\x01"
                                                 "doc:"),
                                     LK_LIT_INIT("\x01\x01\x01") };
  bench b;
  lk_frame frame;
  bench_init(&b);
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    CHECK_ERR(lk_frame_decode(lk_slice_cstr(texts[i]), false, &b.limits, &b.arena, &frame),
              LK_ERR_BAD_MESSAGE);
  for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++)
    CHECK_ERR(lk_frame_decode(frames[i], true, &b.limits, &b.arena, &frame), LK_ERR_BAD_MESSAGE);
  CHECK_ERR(lk_frame_decode(LK_LIT("\x02\x01\x01\xff\xff"), true, &b.limits, &b.arena, &frame),
            LK_ERR_UTF8);
  bench_deinit(&b);
}
