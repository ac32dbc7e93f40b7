/* JSON as JavaScript rewrites it: JavaScript's own answers, and the ways to fail. */
#include "channel/js_json.h"

#include "tests/unit/codec/vectors.h"

#ifndef PATH
#define PATH "tests/vectors/awareness.json"
#endif

static lk_err rewrite(lk_slice text, lk_buf *out) {
  lk_limits limits = lk_limits_default();
  lk_buf_init(out, test_alloc(), 1 << 20);
  return lk_js_json_rewrite(text, &limits, out);
}

static bool equal(lk_slice a, lk_slice b) {
  lk_limits limits = lk_limits_default();
  bool result = false;
  CHECK_OK(lk_js_json_equal(a, b, &limits, test_alloc(), &result));
  return result;
}

TEST(js_json_is_rewritten_as_javascript_does_it) {
  lk_json_member f[] = { VECTORS_FIELD("text"), VECTORS_FIELD("want") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("rewrite"));
  while (vectors_next(&v, f, 2)) {
    lk_buf out, again;
    test_note("case %u", v.count);
    CHECK_OK(rewrite(vectors_text(&f[0]), &out));
    CHECK_SLICE(lk_buf_slice(&out), vectors_text(&f[1]));
    CHECK_OK(rewrite(lk_buf_slice(&out), &again));
    CHECK_SLICE(lk_buf_slice(&again), lk_buf_slice(&out));
    lk_buf_deinit(&out);
    lk_buf_deinit(&again);
  }
  CHECK_COVERED(js_json_joined_equal_names);
  vectors_close(&v);
}

TEST(js_json_that_javascript_refuses_is_refused) {
  lk_json_member f[] = { VECTORS_FIELD("text") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("refused"));
  while (vectors_next(&v, f, 1)) {
    lk_buf out;
    test_note("case %u", v.count);
    CHECK(rewrite(vectors_text(&f[0]), &out) != LK_OK);
    CHECK_U64(out.len, 0);
    lk_buf_deinit(&out);
  }
  vectors_close(&v);
}

TEST(js_json_errors_have_names) {
  static const struct {
    lk_slice text;
    lk_err want;
  } cases[] = {
    { LK_LIT_INIT(""), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("[1,"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("tru"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\"\\ud8"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("{\"a\":1,\"a\""), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("[1,]"), LK_ERR_SYNTAX },
    { LK_LIT_INIT("{\"a\":1]"), LK_ERR_SYNTAX },
    { LK_LIT_INIT("trux"), LK_ERR_SYNTAX },
    { LK_LIT_INIT("{\"a\"=1}"), LK_ERR_SYNTAX },
    { LK_LIT_INIT("\"\\u12g4\""), LK_ERR_SYNTAX },
    { LK_LIT_INIT("\"\n\""), LK_ERR_SYNTAX },
    { LK_LIT_INIT("{} 1"), LK_ERR_TRAILING },
    { LK_LIT_INIT("\"\xC0\x80\""), LK_ERR_UTF8 },
    { LK_LIT_INIT("\"\xED\xA0\x80\""), LK_ERR_UTF8 },
    { LK_LIT_INIT("[1e999]"), LK_ERR_RANGE },
    { LK_LIT_INIT("{\"1\":1,\"0\":-1e999}"), LK_ERR_RANGE },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_buf out;
    test_note("case %zu", i);
    CHECK_ERR(rewrite(cases[i].text, &out), cases[i].want);
    CHECK_U64(out.len, 0);
    lk_buf_deinit(&out);
  }
}

/* Goal: the limit of nesting is exact, and no depth is too much for the stack. */
TEST(js_json_is_refused_beyond_its_depth) {
  static uint8_t text[2000];
  lk_limits limits = lk_limits_default();
  for (uint32_t max = 1; max <= 512; max += 73) {
    for (uint32_t depth = max; depth <= max + 1; depth++) {
      size_t len = 0;
      lk_buf out;
      limits.json_depth = max;
      for (uint32_t i = 0; i < depth; i++) text[len++] = '[';
      for (uint32_t i = 0; i < depth; i++) text[len++] = ']';
      lk_buf_init(&out, test_alloc(), 4096);
      CHECK_ERR(lk_js_json_rewrite(lk_slice_of(text, len), &limits, &out),
                depth == max ? LK_OK : LK_ERR_DEPTH);
      CHECK_U64(out.len, depth == max ? len : 0);
      lk_buf_deinit(&out);
    }
  }
}

TEST(js_json_is_equal_where_only_members_stand_elsewhere) {
  static const struct {
    lk_slice a, b;
    bool want;
  } cases[] = {
    { LK_LIT_INIT("{}"), LK_LIT_INIT("{}"), true },
    { LK_LIT_INIT("{}"), LK_LIT_INIT("[]"), false },
    { LK_LIT_INIT("{\"a\":1,\"b\":2}"), LK_LIT_INIT("{\"b\":2,\"a\":1}"), true },
    { LK_LIT_INIT("{\"a\":1,\"b\":2}"), LK_LIT_INIT("{\"b\":1,\"a\":2}"), false },
    { LK_LIT_INIT("[1,2]"), LK_LIT_INIT("[2,1]"), false },
    { LK_LIT_INIT("[{\"x\":{\"q\":[],\"p\":0}},1]"), LK_LIT_INIT("[{\"x\":{\"p\":0,\"q\":[]}},1]"),
      true },
    { LK_LIT_INIT("{\"a\":{\"x\":1},\"b\":{\"y\":1}}"),
      LK_LIT_INIT("{\"b\":{\"x\":1},\"a\":{\"y\":1}}"), false },
    { LK_LIT_INIT("{\"1\":0,\"\":\"\\ud83d\"}"), LK_LIT_INIT("{\"\":\"\\ud83d\",\"1\":0}"), true },
    { LK_LIT_INIT("1"), LK_LIT_INIT("10"), false },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    test_note("case %zu", i);
    CHECK(equal(cases[i].a, cases[i].b) == cases[i].want);
    CHECK(equal(cases[i].b, cases[i].a) == cases[i].want);
  }
}

/* Goal: what stands before in the buffer is never touched, and the result does not depend on it. */
TEST(js_json_is_appended_behind_what_is_there) {
  lk_limits limits = lk_limits_default();
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 100);
  CHECK_OK(lk_buf_append(&out, LK_LIT("{\"2\":")));
  CHECK_OK(lk_js_json_rewrite(LK_LIT("{ \"1\" : 0, \"0\":{\"5\":1,\"4\":2}}"), &limits, &out));
  CHECK_TEXT(lk_buf_slice(&out), "{\"2\":{\"0\":{\"4\":2,\"5\":1},\"1\":0}");
  CHECK_ERR(lk_js_json_rewrite(LK_LIT("[1,2"), &limits, &out), LK_ERR_TRUNCATED);
  CHECK_TEXT(lk_buf_slice(&out), "{\"2\":{\"0\":{\"4\":2,\"5\":1},\"1\":0}");
  lk_buf_deinit(&out);
}

TEST(js_json_is_refused_where_the_buffer_has_no_room) {
  lk_slice text = LK_LIT("{\"1\":1e20,\"0\":[\"\\u00e9\"]}");
  lk_limits limits = lk_limits_default();
  for (size_t max = 0; max <= 39; max++) {
    lk_buf out;
    lk_buf_init(&out, test_alloc(), max);
    lk_err err = lk_js_json_rewrite(text, &limits, &out);
    CHECK_ERR(err, max < 38 ? LK_ERR_LIMIT : LK_OK);
    CHECK_U64(out.len, err == LK_OK ? 38 : 0);
    CHECK_OK(lk_buf_err(&out));
    lk_buf_deinit(&out);
  }
}

/* Goal: an object with many names in the worst order takes near-linear time: this one would take minutes
 * if it were quadratic. Names fall, are indexes, and each stands twice. */
TEST(js_json_with_many_members_is_not_slow) {
  lk_limits limits = lk_limits_default();
  lk_buf text, out;
  lk_buf_init(&text, test_alloc(), 1 << 26);
  lk_buf_init(&out, test_alloc(), 1 << 26);
  lk_buf_append_u8(&text, '{');
  for (uint32_t i = 200000; i > 0; i--) {
    lk_buf_append(&text, LK_LIT("\""));
    lk_buf_append_decimal(&text, i / 2);
    lk_buf_append(&text, i > 1 ? LK_LIT("\":{\"b\":1,\"a\":2},") : LK_LIT("\":3}"));
  }
  CHECK_OK(lk_js_json_rewrite(lk_buf_slice(&text), &limits, &out));
  CHECK(
      lk_slice_starts_with(lk_buf_slice(&out), LK_LIT("{\"0\":3,\"1\":{\"b\":1,\"a\":2},\"2\":")));
  lk_buf_deinit(&text);
  lk_buf_deinit(&out);
}

TEST(js_json_survives_every_failed_allocation) {
  lk_slice text = LK_LIT(
      "{\"b\":{\"z\":1,\"1\":2,\"0\":3},\"a\":[],\"b\":{\"y\":1,\"0\":\"\\u000a\"}}");
  lk_limits limits = lk_limits_default();
  FAULT_LOOP(faults, test_alloc()) {
    lk_buf out;
    bool same = false;
    lk_buf_init(&out, faulty_alloc(&faults), 1000);
    lk_err err = lk_js_json_rewrite(text, &limits, &out);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (err == LK_OK) CHECK_TEXT(lk_buf_slice(&out), "{\"b\":{\"0\":\"\\n\",\"y\":1},\"a\":[]}");
    else CHECK_U64(out.len, 0);
    err = lk_js_json_equal(LK_LIT("{\"a\":1,\"b\":[]}"), LK_LIT("{\"b\":[],\"a\":1}"), &limits,
                           faulty_alloc(&faults), &same);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (err == LK_OK) CHECK(same);
    lk_buf_deinit(&out);
  }
}
