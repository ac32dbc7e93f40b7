/* Messages with y-protocols' bytes, and what is no message. */
#include "channel/y_sync.h"

#include "tests/unit/codec/vectors.h"

#define PATH "tests/vectors/awareness.json"

static lk_y_kind kind_of(lk_slice name) {
  static const lk_slice names[LK_Y_KINDS] = {
    LK_LIT_INIT("step1"),     LK_LIT_INIT("step2"),  LK_LIT_INIT("update"),
    LK_LIT_INIT("awareness"), LK_LIT_INIT("denied"), LK_LIT_INIT("query"),
  };
  uint32_t kind = 0;
  while (kind < LK_Y_KINDS && !lk_slice_equal(names[kind], name)) kind++;
  CHECK(kind < LK_Y_KINDS);
  return (lk_y_kind)kind;
}

TEST(y_messages_have_the_bytes_of_y_protocols) {
  lk_json_member f[] = { VECTORS_FIELD("kind"), VECTORS_FIELD("body"), VECTORS_FIELD("hex") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("messages"));
  while (vectors_next(&v, f, 3)) {
    lk_y_kind kind = kind_of(vectors_text(&f[0]));
    lk_slice body = vectors_hex(&v, &f[1]), wire = vectors_hex(&v, &f[2]);
    lk_reader in = lk_reader_of(wire);
    lk_y_message got;
    lk_buf out;
    lk_buf_init(&out, test_alloc(), 4096);
    CHECK_OK(lk_y_message_decode(&in, &got));
    CHECK_U64(got.kind, kind);
    CHECK_SLICE(got.body, body);
    CHECK_OK(lk_reader_end(&in));
    CHECK_OK(lk_y_message_encode(kind, body, &out));
    CHECK_SLICE(lk_buf_slice(&out), wire);
    lk_buf_deinit(&out);
  }
  vectors_close(&v);
}

TEST(y_messages_may_stand_one_behind_the_other) {
  lk_slice wire = LK_LIT("\x00\x00\x01\x00\x03\x01\x01\x00\x00\x02\x02hi");
  static const lk_y_kind want[] = { LK_Y_SYNC_STEP1, LK_Y_QUERY_AWARENESS, LK_Y_AWARENESS,
                                    LK_Y_UPDATE };
  lk_reader in = lk_reader_of(wire);
  lk_y_message got;
  for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
    CHECK_OK(lk_y_message_decode(&in, &got));
    CHECK_U64(got.kind, want[i]);
  }
  CHECK_TEXT(got.body, "hi");
  CHECK_OK(lk_reader_end(&in));
  CHECK_ERR(lk_y_message_decode(&in, &got), LK_ERR_TRUNCATED);
}

/* Goal: each refusal has its name, and leaves the place and the result alone. */
TEST(y_messages_that_are_none_are_refused_and_nothing_is_read) {
  static const struct {
    lk_slice wire;
    lk_err want;
  } cases[] = {
    { LK_LIT_INIT(""), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x00"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x00\x00"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x00\x01\x02x"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x00\x02\xFF\xFF\xFF\xFF\x0Fx"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x00\x03\x00"), LK_ERR_UNKNOWN_EVENT },
    { LK_LIT_INIT("\x00\xFF\x01\x00"), LK_ERR_UNKNOWN_EVENT },
    { LK_LIT_INIT("\x00\x80\x02\x00"), LK_ERR_UNKNOWN_EVENT }, /* 256 is not 0 */
    { LK_LIT_INIT("\x01"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x02\x01\x00"), LK_ERR_UNKNOWN_EVENT },
    { LK_LIT_INIT("\x02\x00\x01\xFF"), LK_ERR_UTF8 },
    { LK_LIT_INIT("\x04"), LK_ERR_UNKNOWN_EVENT },
    { LK_LIT_INIT("\x80\x02\x00"), LK_ERR_UNKNOWN_EVENT },
    { LK_LIT_INIT("\x80\x80\x80\x80\x80\x80\x80\x10"), LK_ERR_RANGE },
    { LK_LIT_INIT("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), LK_ERR_NOT_CANONICAL },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_reader in = lk_reader_of(cases[i].wire);
    lk_y_message got = { LK_Y_KINDS, LK_LIT("as before") };
    test_note("case %zu", i);
    CHECK_ERR(lk_y_message_decode(&in, &got), cases[i].want);
    CHECK_U64(in.pos, 0);
    CHECK_U64(got.kind, LK_Y_KINDS);
    CHECK_TEXT(got.body, "as before");
  }
}

TEST(y_message_that_does_not_fit_leaves_the_buffer_as_it_was) {
  uint8_t body[100] = { 0 };
  for (size_t max = 2; max < 2 + 103; max++) {
    lk_buf out;
    lk_buf_init(&out, test_alloc(), max);
    CHECK_OK(lk_buf_append(&out, LK_LIT("ab")));
    CHECK_ERR(lk_y_message_encode(LK_Y_UPDATE, lk_slice_of(body, sizeof body), &out), LK_ERR_LIMIT);
    CHECK_TEXT(lk_buf_slice(&out), "ab");
    lk_buf_deinit(&out);
  }
}

TEST(y_message_needs_a_kind_that_exists_and_no_body_where_there_is_none) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 100);
  CHECK_PANICS((void)lk_y_message_encode(LK_Y_KINDS, LK_SLICE_EMPTY, &out));
  CHECK_PANICS((void)lk_y_message_encode(LK_Y_QUERY_AWARENESS, LK_LIT("x"), &out));
  CHECK_U64(out.len, 0);
  lk_buf_deinit(&out);
}
