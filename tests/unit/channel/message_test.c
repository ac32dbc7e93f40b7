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
    { LK_LIT_INIT("[1.5,null,\"t\",\"e\",{}]"), LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("[null,1e3,\"t\",\"e\",{}]"), LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("[null,true,\"t\",\"e\",{}]"), LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("[null,123456789012345678901,\"t\",\"e\",{}]"), LK_ERR_TOO_BIG },
    { LK_LIT_INIT("[null,null,7,\"e\",{}]"), LK_ERR_BAD_MESSAGE },
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

TEST(references_that_are_numbers_go_back_as_numbers) {
  static const struct {
    lk_message_form form;
    lk_slice said, text;
  } cases[] = {
    { LK_MESSAGE_V2, LK_LIT_INIT("[12,-3,\"t\",\"e\",{}]"),
      LK_LIT_INIT("[12,-3,\"t\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]") },
    { LK_MESSAGE_V2, LK_LIT_INIT("[\"12\",9007199254740993,\"t\",\"e\",{}]"),
      LK_LIT_INIT("[\"12\",9007199254740993,\"t\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]") },
    { LK_MESSAGE_V1,
      LK_LIT_INIT("{\"topic\":\"t\",\"event\":\"e\",\"payload\":{},\"ref\":5}"),
      LK_LIT_INIT("{\"topic\":\"t\",\"event\":\"phx_reply\",\"ref\":5,\"payload\":{\"status\":\"ok\","
                  "\"response\":{}}}") },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    fixture f;
    lk_message m;
    bool is_binary;
    lk_buf out;
    setup(&f);
    lk_buf_init(&out, test_alloc(), 1000);
    CHECK_OK(lk_message_decode(cases[i].form, cases[i].said, false, &f.limits, &f.arena, &m));
    CHECK_OK(lk_message_encode_reply(cases[i].form, &m, LK_LIT("ok"), &out, &is_binary));
    CHECK_SLICE(lk_buf_slice(&out), cases[i].text);
    m.binary = true;
    lk_buf_truncate(&out, 0);
    if (cases[i].form == LK_MESSAGE_V2) { /* in a frame every reference is a text */
      CHECK_OK(lk_message_encode_reply(LK_MESSAGE_V2, &m, LK_LIT("ok"), &out, &is_binary));
      CHECK(is_binary && lk_buf_slice(&out).ptr[1] == 2);
      CHECK(lk_slice_starts_with(lk_slice_skip(lk_buf_slice(&out), 5), LK_LIT("12")));
    }
    lk_buf_deinit(&out);
    teardown(&f);
  }
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
  bool is_binary;
  setup(&f);
  lk_message m = { .ref = LK_LIT("7"),
                   .topic = LK_LIT("a\"b"),
                   .event = LK_LIT("ev"),
                   .payload = LK_LIT("{\"x\":1}") };
  CHECK_OK(lk_message_encode_text(&m, &f.out));
  CHECK_TEXT(lk_buf_slice(&f.out), "[null,\"7\",\"a\\\"b\",\"ev\",{\"x\":1}]");
  lk_buf_truncate(&f.out, 0);
  m.join_ref = LK_LIT("2");
  m.payload = LK_LIT("{}");
  CHECK_OK(lk_message_encode_reply(LK_MESSAGE_V2, &m, LK_LIT("ok"), &f.out, &is_binary));
  CHECK(!is_binary);
  CHECK_TEXT(lk_buf_slice(&f.out),
             "[\"2\",\"7\",\"a\\\"b\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  teardown(&f);
}

/* The frames that a genuine Phoenix 1.8 server and phoenix.js 1.8 exchanged. */
TEST(binary_frames_are_those_of_phoenix) {
  fixture f;
  bool is_binary;
  setup(&f);
  lk_message m = { .join_ref = LK_LIT("2"),
                   .ref = LK_LIT("9"),
                   .topic = LK_LIT("cap:a"),
                   .event = LK_LIT("ok"),
                   .payload = LK_LIT("\x01\x02\xff"),
                   .binary = true };
  CHECK_OK(lk_message_encode_reply(LK_MESSAGE_V2, &m, LK_LIT("ok"), &f.out, &is_binary));
  CHECK_TEXT(lk_buf_slice(&f.out), "\x01\x01\x01\x05\x02"
                                   "29cap:aok\x01\x02\xff");
  lk_buf_truncate(&f.out, 0);
  m.event = LK_LIT("bp");
  m.payload = LK_LIT("\x09\x08\xff");
  CHECK_OK(lk_message_encode_push(LK_MESSAGE_V2, &m, &f.out, &is_binary));
  CHECK_TEXT(lk_buf_slice(&f.out), "\x00\x01\x05\x02"
                                   "2cap:abp\x09\x08\xff");
  lk_buf_truncate(&f.out, 0);
  m.event = LK_LIT("bb");
  m.payload = LK_LIT("\x07\x07\xff");
  CHECK_OK(lk_message_encode_broadcast(LK_MESSAGE_V2, &m, &f.out, &is_binary));
  CHECK(is_binary);
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
  bool is_binary;
  setup(&f);
  lk_buf_append(&f.out, LK_LIT("before"));
  lk_message m = { .topic = lk_slice_of(name, sizeof name),
                   .event = LK_LIT("e"),
                   .payload = LK_LIT("1") };
  m.binary = true;
  CHECK_ERR(lk_message_encode_push(LK_MESSAGE_V2, &m, &f.out, &is_binary), LK_ERR_TOO_BIG);
  f.out.max = 100;
  m.topic = LK_LIT("t");
  m.payload = lk_slice_of(name, sizeof name);
  CHECK_ERR(lk_message_encode_broadcast(LK_MESSAGE_V2, &m, &f.out, &is_binary), LK_ERR_LIMIT);
  CHECK_TEXT(lk_buf_slice(&f.out), "before");
  CHECK_OK(lk_buf_err(&f.out));
  m.event = LK_LIT("yjs");
  for (uint32_t class = 0; class < LK_MESSAGE_CLASSES; class ++) {
    lk_message_form form = (lk_message_form)(class / LK_DIALECTS);
    m.dialect = (lk_message_dialect)(class % LK_DIALECTS);
    m.binary = form != LK_MESSAGE_V2_TEXT;
    CHECK_ERR(lk_message_encode_push(form, &m, &f.out, &is_binary), LK_ERR_LIMIT);
    if (form != LK_MESSAGE_Y)
      CHECK_ERR(lk_message_encode_reply(form, &m, LK_LIT("ok"), &f.out, &is_binary), LK_ERR_LIMIT);
    CHECK_TEXT(lk_buf_slice(&f.out), "before");
    CHECK_OK(lk_buf_err(&f.out));
  }
  m.payload = LK_LIT("1");
  m.event = LK_LIT("\xff");
  for (int i = 0; i < 2; i++) {
    m.binary = i == 1;
    CHECK_ERR(lk_message_encode_push(LK_MESSAGE_V2, &m, &f.out, &is_binary), LK_ERR_UTF8);
    CHECK_TEXT(lk_buf_slice(&f.out), "before");
  }
  m.payload = lk_slice_of(name, sizeof name);
  CHECK_ERR(lk_message_encode_text(&m, &f.out), LK_ERR_UTF8);
  CHECK_TEXT(lk_buf_slice(&f.out), "before");
  CHECK_OK(lk_buf_err(&f.out));
  teardown(&f);
}

TEST(objects_of_the_first_version_are_read_in_any_order_and_lack_nothing_but_a_join_ref) {
  static const struct {
    lk_slice text;
    lk_err want;
  } cases[] = {
    { LK_LIT_INIT("[]"), LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("{}"), LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("{\"topic\":\"t\",\"event\":\"e\",\"payload\":{}}"), LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("{\"topic\":\"t\",\"event\":\"e\",\"ref\":null}"), LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("{\"topic\":\"t\",\"payload\":{},\"ref\":null}"), LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("{\"event\":\"t\",\"payload\":{},\"ref\":null}"), LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("{\"topic\":\"t\",\"event\":\"e\",\"ref\":5.5,\"payload\":1}"),
      LK_ERR_TOO_BIG },
    { LK_LIT_INIT("{\"topic\":\"t\",\"event\":\"e\",\"ref\":{},\"payload\":1}"),
      LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("{\"topic\":null,\"event\":\"e\",\"ref\":null,\"payload\":1}"),
      LK_ERR_BAD_MESSAGE },
    { LK_LIT_INIT("{\"topic\":\"t\",\"event\":\"e\",\"ref\":null,\"payload\":1} x"),
      LK_ERR_TRAILING },
    { LK_LIT_INIT("{\"topic\":\"t\",\"event\":\"e\",\"ref\":null,\"payload\":1"),
      LK_ERR_TRUNCATED },
    { LK_LIT_INIT("{\"topic\":\"t\",\"event\":\"\\u0061bcd\",\"ref\":null,\"payload\":1}"),
      LK_ERR_TOO_BIG },
  };
  fixture f;
  lk_message m;
  setup(&f);
  CHECK_OK(lk_message_decode(
      LK_MESSAGE_V1,
      LK_LIT(
          "{\"payload\": [1 ,2] ,\"ref\":\"7\",\"z\":{},\"event\":\"\\u0065v\",\"topic\":\"t\"}"),
      false, &f.limits, &f.arena, &m));
  CHECK(m.join_ref.ptr == NULL && !m.binary);
  CHECK_TEXT(m.ref, "7");
  CHECK_TEXT(m.topic, "t");
  CHECK_TEXT(m.event, "ev");
  CHECK_TEXT(m.payload, "[1 ,2]");
  CHECK_OK(lk_message_decode(
      LK_MESSAGE_V1,
      LK_LIT("{\"join_ref\":\"\",\"payload\":1,\"ref\":null,\"event\":\"e\",\"topic\":\"t\"}"),
      false, &f.limits, &f.arena, &m));
  CHECK(m.join_ref.ptr != NULL && m.join_ref.len == 0 && m.ref.ptr == NULL);
  lk_arena_deinit(&f.arena);
  lk_arena_init(&f.arena, test_alloc(), 1 << 20);
  f.limits.channel_name_bytes = 3;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    test_note("case %zu", i);
    CHECK_ERR(lk_message_decode(LK_MESSAGE_V1, cases[i].text, false, &f.limits, &f.arena, &m),
              cases[i].want);
    lk_arena_mark mark = lk_arena_get_mark(&f.arena);
    CHECK(mark.chunk == NULL);
  }
  /* The limit of names holds of frames, too. */
  CHECK_ERR(lk_message_decode(LK_MESSAGE_V2,
                              LK_LIT("\x00\x00\x00\x04\x01"
                                     "topice"),
                              true, &f.limits, &f.arena, &m),
            LK_ERR_TOO_BIG);
  CHECK_OK(lk_message_decode(LK_MESSAGE_V2_TEXT,
                             LK_LIT("\x00\x00\x00\x03\x01"
                                    "tope"),
                             true, &f.limits, &f.arena, &m));
  CHECK(m.binary);
  teardown(&f);
}

/* Goal: one broadcast has three encodings at most, and which of them serves whom is known. */
TEST(a_broadcast_is_encoded_once_for_each_form) {
  static const struct {
    lk_message_form form;
    bool payload_is_binary, is_binary;
    lk_slice want;
  } cases[] = {
    { LK_MESSAGE_V2, false, false, LK_LIT_INIT("[null,null,\"t\",\"e\",{\"x\":1}]") },
    { LK_MESSAGE_V2_TEXT, false, false, LK_LIT_INIT("[null,null,\"t\",\"e\",{\"x\":1}]") },
    { LK_MESSAGE_V1, false, false,
      LK_LIT_INIT("{\"topic\":\"t\",\"event\":\"e\",\"ref\":null,\"payload\":{\"x\":1}}") },
    { LK_MESSAGE_V2, true, true, LK_LIT_INIT("\x02\x01\x01te{\"x\":1}") },
    { LK_MESSAGE_V2_TEXT, true, false,
      LK_LIT_INIT("[null,null,\"t\",\"e\",{\"b64\":\"eyJ4IjoxfQ==\"}]") },
    { LK_MESSAGE_V1, true, false,
      LK_LIT_INIT("{\"topic\":\"t\",\"event\":\"e\",\"ref\":null,\"payload\":{\"b64\":\"eyJ4IjoxfQ="
                  "=\"}}") },
  };
  fixture f;
  bool is_binary;
  setup(&f);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_message m = { .join_ref = LK_LIT("1"),
                     .ref = LK_LIT("2"),
                     .topic = LK_LIT("t"),
                     .event = LK_LIT("e"),
                     .payload = LK_LIT("{\"x\":1}"),
                     .binary = cases[i].payload_is_binary };
    lk_buf_truncate(&f.out, 0);
    CHECK_OK(lk_message_encode_broadcast(cases[i].form, &m, &f.out, &is_binary));
    CHECK_SLICE(lk_buf_slice(&f.out), cases[i].want);
    CHECK(is_binary == cases[i].is_binary);
  }
  teardown(&f);
}

TEST(bytes_are_dressed_as_their_reader_wants_them) {
  static const struct {
    lk_message_form form;
    lk_message_dialect dialect;
    lk_slice event;
    lk_slice want;
  } cases[] = {
    { LK_MESSAGE_V2, LK_DIALECT_ARRAY, LK_LIT_INIT("server_update"),
      LK_LIT_INIT("[null,null,\"t\",\"server_update\",{\"bin\":[1,20,255]}]") },
    { LK_MESSAGE_V2, LK_DIALECT_BASE64, LK_LIT_INIT("server_update"),
      LK_LIT_INIT("[null,null,\"t\",\"server_update\",{\"b64\":\"ART/\"}]") },
    { LK_MESSAGE_V2, LK_DIALECT_YJS, LK_LIT_INIT("server_update"),
      LK_LIT_INIT("\x02\x01\x03tyjs\x00\x02\x03\x01\x14\xff") },
    { LK_MESSAGE_V2, LK_DIALECT_YJS, LK_LIT_INIT("awareness"),
      LK_LIT_INIT("\x02\x01\x03tyjs\x01\x03\x01\x14\xff") },
    { LK_MESSAGE_V2, LK_DIALECT_YJS, LK_LIT_INIT("other"),
      LK_LIT_INIT("\x02\x01\x05tother\x01\x14\xff") },
    { LK_MESSAGE_V1, LK_DIALECT_YJS, LK_LIT_INIT("server_update"), /* 00 02 03 01 14 ff */
      LK_LIT_INIT("{\"topic\":\"t\",\"event\":\"yjs\",\"ref\":null,\"payload\":{\"b64\":\"AAIDART/"
                  "\"}}") },
    { LK_MESSAGE_V2_TEXT, LK_DIALECT_YJS, LK_LIT_INIT("awareness"), /* 01 03 01 14 ff */
      LK_LIT_INIT("[null,null,\"t\",\"yjs\",{\"b64\":\"AQMBFP8=\"}]") },
    { LK_MESSAGE_Y, LK_DIALECT_PLAIN, LK_LIT_INIT("server_update"),
      LK_LIT_INIT("\x00\x02\x03\x01\x14\xff") },
    { LK_MESSAGE_Y, LK_DIALECT_YJS, LK_LIT_INIT("yjs"), LK_LIT_INIT("\x01\x14\xff") },
  };
  fixture f;
  bool is_binary;
  setup(&f);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_message m = { .topic = LK_LIT("t"),
                     .event = cases[i].event,
                     .payload = LK_LIT("\x01\x14\xff"),
                     .binary = true,
                     .dialect = cases[i].dialect };
    lk_buf_truncate(&f.out, 0);
    CHECK_OK(lk_message_encode_broadcast(cases[i].form, &m, &f.out, &is_binary));
    CHECK_SLICE(lk_buf_slice(&f.out), cases[i].want);
    uint8_t first = cases[i].want.ptr[0];
    CHECK(is_binary == (first != '[' && first != '{'));
  }
  teardown(&f);
}

/* Goal: a receiver may be sent what was encoded for the class that it shares.
 * Method: every form and dialect, JSON and bytes, by itself and by the class that it shares. */
TEST(classes_that_share_read_the_same_bytes) {
  fixture f;
  bool is_binary, shared_is_binary;
  setup(&f);
  for (unsigned i = 0; i < 2 * LK_MESSAGE_CLASSES; i++) {
    unsigned class = i / 2, shared = lk_message_shared_class(class, i % 2 == 1);
    lk_message m = { .topic = LK_LIT("t"),
                     .event = LK_LIT("server_update"),
                     .payload = LK_LIT("{\"x\":1}"),
                     .binary = i % 2 == 1,
                     .dialect = (lk_message_dialect)(class % LK_DIALECTS) };
    lk_message_form form = (lk_message_form)(class / LK_DIALECTS);
    CHECK(lk_message_shared_class(shared, m.binary) == shared);
    CHECK(lk_message_is_sayable(form, &m) ==
          lk_message_is_sayable((lk_message_form)(shared / LK_DIALECTS), &m));
    if (!lk_message_is_sayable(form, &m)) continue;
    lk_buf_truncate(&f.out, 0);
    CHECK_OK(lk_message_encode_broadcast(form, &m, &f.out, &is_binary));
    size_t len = f.out.len;
    m.dialect = (lk_message_dialect)(shared % LK_DIALECTS);
    CHECK_OK(lk_message_encode_broadcast((lk_message_form)(shared / LK_DIALECTS), &m, &f.out,
                                         &shared_is_binary));
    CHECK(is_binary == shared_is_binary);
    CHECK_SLICE(lk_slice_skip(lk_buf_slice(&f.out), len),
                lk_slice_first(lk_buf_slice(&f.out), len));
  }
  CHECK(lk_message_shared_class(lk_message_class(LK_MESSAGE_V2_TEXT, LK_DIALECT_YJS), false) ==
        lk_message_class(LK_MESSAGE_V2, LK_DIALECT_PLAIN));
  teardown(&f);
}
