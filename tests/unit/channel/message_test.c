#include "channel/message.h"

#include "harness/test.h"

typedef struct fixture {
  lk_limits limits;
  lk_arena arena;
  lk_buf out;
} fixture;

static void setup(fixture *f) {
  f->limits = lk_limits_default();
  lk_arena_init(&f->arena, test_alloc(), 1 << 20);
  lk_buf_init(&f->out, test_alloc(), 1 << 20);
}

static void teardown(fixture *f) {
  lk_arena_deinit(&f->arena);
  lk_buf_deinit(&f->out);
}

TEST(a_text_message_is_five_elements_and_its_payload_is_kept_as_it_came) {
  fixture f;
  lk_message m;
  setup(&f);
  CHECK_OK(lk_message_decode_text(
      LK_LIT(" [\"2\", \"5\" ,\"crdt:d\\u00e9mo\",\"ev\", {\"n\": 18446744073709551615 }, 6, []] "),
      &f.limits, &f.arena, &m));
  CHECK_TEXT(m.join_ref, "2");
  CHECK_TEXT(m.ref, "5");
  CHECK_TEXT(m.topic, "crdt:d\xc3\xa9mo");
  CHECK_TEXT(m.event, "ev");
  CHECK_TEXT(m.payload, "{\"n\": 18446744073709551615 }");
  CHECK_OK(lk_message_decode_text(LK_LIT("[null,null,\"t\",\"e\",1]"), &f.limits, &f.arena, &m));
  CHECK(m.join_ref.ptr == NULL && m.ref.ptr == NULL);
  CHECK_OK(lk_message_decode_text(LK_LIT("[\"\",\"\",\"t\",\"e\",1]"), &f.limits, &f.arena, &m));
  CHECK(m.join_ref.ptr != NULL && m.join_ref.len == 0);
  teardown(&f);
}

TEST(other_shapes_are_refused) {
  static const struct {
    lk_slice text;
    lk_err want;
  } cases[] = {
    { LK_LIT_INIT("{}"), LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("[]"), LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("[null,null,\"t\",\"e\"]"), LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("[1,null,\"t\",\"e\",{}]"), LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("[null,2,\"t\",\"e\",{}]"), LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("[null,null,null,\"e\",{}]"), LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("[null,null,\"t\",[],{}]"), LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("[null,null,\"t\",\"e\",{}"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("[null,null,\"t\",\"e\",{}]x"), LK_ERR_TRAILING },
    { LK_LIT_INIT("[null,null,\"t\",\"e\",{]]"), LK_ERR_SYNTAX },
    { LK_LIT_INIT("[null,null,\"\xff\",\"e\",{}]"), LK_ERR_UTF8 },
  };
  fixture f;
  setup(&f);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_message m;
    test_note("case %zu", i);
    CHECK_ERR(lk_message_decode_text(cases[i].text, &f.limits, &f.arena, &m), cases[i].want);
    CHECK_U64(f.arena.used, 0);
  }
  teardown(&f);
}

TEST(a_name_over_the_limit_is_too_big) {
  fixture f;
  lk_message m;
  setup(&f);
  f.limits.channel_name_bytes = 3;
  CHECK_OK(lk_message_decode_text(LK_LIT("[null,null,\"abc\",\"e\",{}]"), &f.limits, &f.arena, &m));
  CHECK_ERR(
      lk_message_decode_text(LK_LIT("[null,null,\"abcd\",\"e\",{}]"), &f.limits, &f.arena, &m),
      LK_ERR_TOO_BIG);
  teardown(&f);
}

TEST(texts_are_written_as_phoenix_reads_them) {
  fixture f;
  setup(&f);
  lk_message m = { LK_SLICE_EMPTY, LK_LIT("7"),         LK_LIT("a\"b"),
                   LK_LIT("ev"),   LK_LIT("{\"x\":1}"), false };
  CHECK_OK(lk_message_encode_text(&m, &f.out));
  CHECK_TEXT(lk_buf_slice(&f.out), "[null,\"7\",\"a\\\"b\",\"ev\",{\"x\":1}]");
  lk_buf_truncate(&f.out, 0);
  m.join_ref = LK_LIT("2");
  CHECK_OK(lk_message_encode_reply(&m, LK_LIT("ok"), LK_LIT("{}"), &f.out));
  CHECK_TEXT(lk_buf_slice(&f.out),
             "[\"2\",\"7\",\"a\\\"b\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  teardown(&f);
}

/* The frames that a genuine Phoenix 1.8 server and phoenix.js 1.8 exchanged. */
TEST(binary_frames_are_those_of_phoenix) {
  fixture f;
  setup(&f);
  lk_message m = { LK_LIT("2"), LK_LIT("9"), LK_LIT("cap:a"), LK_LIT("ok"), LK_LIT("\x01\x02\xff"),
                   true };
  CHECK_OK(lk_message_encode_binary_reply(&m, &f.out));
  CHECK_TEXT(lk_buf_slice(&f.out), "\x01\x01\x01\x05\x02"
                                   "29cap:aok\x01\x02\xff");
  lk_buf_truncate(&f.out, 0);
  m.event = LK_LIT("bp");
  m.payload = LK_LIT("\x09\x08\xff");
  CHECK_OK(lk_message_encode_binary_push(&m, &f.out));
  CHECK_TEXT(lk_buf_slice(&f.out), "\x00\x01\x05\x02"
                                   "2cap:abp\x09\x08\xff");
  lk_buf_truncate(&f.out, 0);
  m.event = LK_LIT("bb");
  m.payload = LK_LIT("\x07\x07\xff");
  CHECK_OK(lk_message_encode_binary_broadcast(&m, &f.out));
  CHECK_TEXT(lk_buf_slice(&f.out), "\x02\x05\x02"
                                   "cap:abb\x07\x07\xff");
  CHECK_OK(lk_message_decode_binary(LK_LIT("\x00\x01\x02\x05\x03"
                                           "212cap:abin\x01\x02\x03"),
                                    &m));
  CHECK_TEXT(m.join_ref, "2");
  CHECK_TEXT(m.ref, "12");
  CHECK_TEXT(m.topic, "cap:a");
  CHECK_TEXT(m.event, "bin");
  CHECK_TEXT(m.payload, "\x01\x02\x03");
  CHECK(m.binary);
  teardown(&f);
}

TEST(binary_frames_whose_lengths_lie_are_refused) {
  lk_message m;
  CHECK_ERR(lk_message_decode_binary(LK_LIT(""), &m), LK_ERR_BAD_MESSAGE);
  CHECK_ERR(lk_message_decode_binary(LK_LIT("\x00\x00\x00\x00"), &m), LK_ERR_BAD_MESSAGE);
  CHECK_ERR(lk_message_decode_binary(LK_LIT("\x01\x00\x00\x00\x00"), &m), LK_ERR_BAD_MESSAGE);
  CHECK_ERR(lk_message_decode_binary(LK_LIT("\x00\x01\x01\x01\x02"
                                            "123e"),
                                     &m),
            LK_ERR_BAD_MESSAGE);
  CHECK_ERR(lk_message_decode_binary(LK_LIT("\x00\x00\x00\x01\x00\xff"), &m), LK_ERR_UTF8);
  CHECK_OK(lk_message_decode_binary(LK_LIT("\x00\x00\x00\x00\x00"), &m));
  CHECK(m.ref.ptr == NULL);
}

TEST(a_text_that_is_refused_leaves_the_arena_as_it_was) {
  lk_limits limits = lk_limits_default();
  lk_arena arena;
  lk_message m;
  lk_arena_init(&arena, test_alloc(), 10000);
  CHECK(lk_arena_push_bytes(&arena, 1) != NULL);
  lk_arena_mark before = lk_arena_get_mark(&arena);
  CHECK_ERR(
      lk_message_decode_text(LK_LIT("[\"\\u0061\",\"\\u0062\",\"t\",5,{}]"), &limits, &arena, &m),
      LK_ERR_BAD_MESSAGE);
  lk_arena_mark after = lk_arena_get_mark(&arena);
  CHECK(before.chunk == after.chunk && before.pos == after.pos);
  lk_arena_deinit(&arena);
}

TEST(a_message_that_does_not_fit_leaves_the_buffer_as_it_was) {
  uint8_t name[300];
  memset(name, 'n', sizeof name);
  fixture f;
  setup(&f);
  lk_buf_append(&f.out, LK_LIT("before"));
  lk_message m = { .topic = lk_slice_of(name, sizeof name),
                   .event = LK_LIT("e"),
                   .payload = LK_LIT("1") };
  CHECK_ERR(lk_message_encode_binary_push(&m, &f.out), LK_ERR_TOO_BIG);
  f.out.max = 100;
  m.topic = LK_LIT("t");
  m.payload = lk_slice_of(name, sizeof name);
  CHECK_ERR(lk_message_encode_binary_broadcast(&m, &f.out), LK_ERR_LIMIT);
  CHECK_TEXT(lk_buf_slice(&f.out), "before");
  CHECK_OK(lk_buf_err(&f.out));
  CHECK_ERR(lk_message_encode_text(&m, &f.out), LK_ERR_LIMIT);
  CHECK_TEXT(lk_buf_slice(&f.out), "before");
  CHECK_OK(lk_buf_err(&f.out));
  teardown(&f);
}
