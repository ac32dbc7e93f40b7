/* The JSON reader: what it accepts, what it gives, and what it leaves alone.
 *
 * tests/vectors/json.json is read by the reader itself and holds good and bad texts; the same file
 * is checked against JavaScript by tests/vectors/check_json.mjs. */
#include "codec/json_reader.h"

#include "codec/json_writer.h"
#include "codec/utf.h"
#include "harness/test.h"

#define ARENA_MAX (1 << 20)

static lk_limits limits_default;
static lk_arena arena;

static void begin(lk_json_reader *r, lk_slice text) {
  limits_default = lk_limits_default();
  CHECK_OK(lk_json_reader_init(r, text, &limits_default, &arena));
}

static void arena_begin(void) { lk_arena_init(&arena, test_alloc(), ARENA_MAX); }

static lk_json_event next(lk_json_reader *r, lk_json_kind kind) {
  lk_json_event event;
  CHECK_OK(lk_json_next(r, &event));
  CHECK_U64(event.kind, kind);
  return event;
}

/* ---- vectors ---- */

static lk_err write_number(lk_json_writer *w, const lk_json_event *event) {
  uint64_t u64;
  int64_t i64;
  double f64;
  if (lk_json_get_u64(event, &u64) == LK_OK) return lk_json_write_u64(w, u64);
  if (lk_json_get_i64(event, &i64) == LK_OK) return lk_json_write_i64(w, i64);
  lk_err err = lk_json_get_f64(event, &f64);
  return err == LK_OK ? lk_json_write_f64(w, f64) : err;
}

static lk_err write_event(lk_json_writer *w, const lk_json_event *event) {
  switch (event->kind) {
  case LK_JSON_OBJECT_BEGIN: return lk_json_begin_object(w);
  case LK_JSON_OBJECT_END: return lk_json_end_object(w);
  case LK_JSON_ARRAY_BEGIN: return lk_json_begin_array(w);
  case LK_JSON_ARRAY_END: return lk_json_end_array(w);
  case LK_JSON_KEY: return lk_json_write_key(w, event->text);
  case LK_JSON_STRING: return lk_json_write_string(w, event->text);
  case LK_JSON_NUMBER: return write_number(w, event);
  case LK_JSON_TRUE: return lk_json_write_bool(w, true);
  case LK_JSON_FALSE: return lk_json_write_bool(w, false);
  case LK_JSON_NULL: return lk_json_write_null(w);
  default: return LK_ERR_STATE;
  }
}

/* Reads |text| and writes what was read. */
static lk_err rewrite(lk_slice text, lk_buf *out) {
  lk_json_reader r;
  lk_json_writer w;
  lk_json_event event;
  begin(&r, text);
  lk_json_writer_init(&w, out);
  for (;;) {
    lk_err err = lk_json_next(&r, &event);
    if (err != LK_OK) return err;
    if (event.kind == LK_JSON_END) return lk_json_writer_finish(&w);
    if ((err = write_event(&w, &event)) != LK_OK) return err;
  }
}

static void append_hex(lk_buf *out, lk_slice hex) {
  CHECK(hex.len % 2 == 0);
  for (size_t i = 0; i < hex.len; i += 2) {
    uint32_t high = hex.ptr[i], low = hex.ptr[i + 1];
    high = high <= '9' ? high - '0' : high - 'a' + 10;
    low = low <= '9' ? low - '0' : low - 'a' + 10;
    CHECK_OK(lk_buf_append_u8(out, (uint8_t)(high << 4 | low)));
  }
}

/* Every way to read a text has to say the same about it. */
static void check_text(lk_slice input, lk_slice expect, lk_slice canonical) {
  lk_buf out;
  lk_json_reader r;
  lk_slice raw;
  lk_buf_init(&out, test_alloc(), 1 << 20);
  lk_err err = rewrite(input, &out);
  CHECK_SLICE(err == LK_OK ? LK_LIT("ok") : lk_slice_cstr(lk_err_name(err)), expect);
  if (err == LK_OK) CHECK_SLICE(lk_buf_slice(&out), canonical);

  /* LK_ERR_RANGE: a good text whose number no double can hold. */
  lk_err grammar = err == LK_ERR_RANGE ? LK_OK : err;
  CHECK_ERR(lk_json_check(input, &limits_default, NULL), grammar);
  begin(&r, input);
  lk_err skipped = lk_json_skip_value(&r, &raw);
  CHECK_ERR(skipped == LK_OK ? lk_json_finish(&r) : skipped, grammar);
  lk_buf_deinit(&out);
}

TEST(every_vector_gives_what_it_says) {
  enum { NAME, HEX, REPEAT, THEN, EXPECT, CANONICAL, MEMBERS };
  lk_json_member file[] = { { .name = LK_LIT("cases") } };
  lk_json_member m[MEMBERS] = {
    [NAME] = { .name = LK_LIT("name") },     [HEX] = { .name = LK_LIT("hex") },
    [REPEAT] = { .name = LK_LIT("repeat") }, [THEN] = { .name = LK_LIT("then") },
    [EXPECT] = { .name = LK_LIT("expect") }, [CANONICAL] = { .name = LK_LIT("canonical") },
  };
  lk_json_reader whole, list;
  lk_err err;
  size_t count = 0;
  arena_begin();
  begin(&whole, test_read_file("tests/vectors/json.json"));
  CHECK_OK(lk_json_read_members(&whole, file, 1));
  CHECK_OK(lk_json_finish(&whole));
  begin(&list, file[0].raw);
  (void)next(&list, LK_JSON_ARRAY_BEGIN);
  for (; (err = lk_json_read_members(&list, m, MEMBERS)) == LK_OK; count++) {
    uint64_t repeat = 1;
    lk_buf input;
    test_note("%.*s\n", (int)m[NAME].value.text.len, (const char *)m[NAME].value.text.ptr);
    if (m[REPEAT].value.kind == LK_JSON_NUMBER) repeat = m[REPEAT].value.number.digits;
    lk_buf_init(&input, test_alloc(), 1 << 20);
    while (repeat-- > 0) append_hex(&input, m[HEX].value.text);
    append_hex(&input, m[THEN].value.text);
    check_text(lk_buf_slice(&input), m[EXPECT].value.text, m[CANONICAL].value.text);
    lk_buf_deinit(&input);
    lk_arena_reset(&arena);
  }
  CHECK_ERR(err, LK_ERR_END);
  (void)next(&list, LK_JSON_ARRAY_END);
  CHECK(count >= 250);
  lk_arena_deinit(&arena);
}

/* ---- events ---- */

TEST(a_text_is_given_as_its_events_in_order) {
  lk_json_reader r;
  arena_begin();
  begin(&r, LK_LIT(" {\"a\": [1, true], \"b\":{\"c\":null},\"d\" : \"e\"} "));
  CHECK_TEXT(next(&r, LK_JSON_OBJECT_BEGIN).raw, "{");
  CHECK_TEXT(next(&r, LK_JSON_KEY).text, "a");
  CHECK_TEXT(next(&r, LK_JSON_ARRAY_BEGIN).raw, "[");
  CHECK_TEXT(next(&r, LK_JSON_NUMBER).raw, "1");
  CHECK_TEXT(next(&r, LK_JSON_TRUE).raw, "true");
  CHECK_TEXT(next(&r, LK_JSON_ARRAY_END).raw, "]");
  CHECK_TEXT(next(&r, LK_JSON_KEY).raw, "\"b\"");
  (void)next(&r, LK_JSON_OBJECT_BEGIN);
  CHECK_TEXT(next(&r, LK_JSON_KEY).text, "c");
  CHECK_TEXT(next(&r, LK_JSON_NULL).raw, "null");
  CHECK_TEXT(next(&r, LK_JSON_OBJECT_END).raw, "}");
  (void)next(&r, LK_JSON_KEY);
  lk_json_event string = next(&r, LK_JSON_STRING);
  CHECK_TEXT(string.text, "e");
  CHECK_TEXT(string.raw, "\"e\"");
  (void)next(&r, LK_JSON_OBJECT_END);
  (void)next(&r, LK_JSON_END);
  (void)next(&r, LK_JSON_END);
  lk_arena_deinit(&arena);
}

TEST(a_string_without_escapes_is_borrowed_and_one_with_escapes_is_not) {
  lk_slice in = LK_LIT("[\"plain \xC3\xA9\", \"esc\\u0061ped\", \"\"]");
  lk_json_reader r;
  arena_begin();
  begin(&r, in);
  (void)next(&r, LK_JSON_ARRAY_BEGIN);
  lk_slice plain = next(&r, LK_JSON_STRING).text;
  CHECK(plain.ptr == in.ptr + 2 && plain.len == 8);
  CHECK_U64(arena.used, 0);
  lk_slice escaped = next(&r, LK_JSON_STRING).text;
  CHECK(escaped.ptr < in.ptr || escaped.ptr >= in.ptr + in.len);
  CHECK_TEXT(escaped, "escaped");
  CHECK_U64(next(&r, LK_JSON_STRING).text.len, 0);
  lk_arena_deinit(&arena);
}

/* Goal: all escapes, with the lengths of the UTF-8 that they stand for. */
TEST(escapes_become_the_characters_that_they_stand_for) {
  lk_json_reader r;
  arena_begin();
  begin(&r, LK_LIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t \\u0000\\u007F\\u0080\\u07ff\\u0800\\uFFFF"
                   "\\ud800\\udc00\\uDBFF\\uDFFF\""));
  CHECK_SLICE(next(&r, LK_JSON_STRING).text,
              LK_LIT("\"\\/\b\f\n\r\t \0\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF"
                     "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"));
  lk_arena_deinit(&arena);
}

TEST(a_value_of_another_kind_is_a_type_error_that_changes_nothing) {
  lk_json_reader r;
  uint64_t u64 = 7;
  int64_t i64 = 7;
  double f64 = 7;
  bool flag = true;
  lk_slice text = LK_LIT("seven");
  arena_begin();
  begin(&r, LK_LIT("[null, \"1\", 1.5, 18446744073709551615, false]"));
  (void)next(&r, LK_JSON_ARRAY_BEGIN);
  lk_json_event null = next(&r, LK_JSON_NULL), string = next(&r, LK_JSON_STRING);
  lk_json_event fraction = next(&r, LK_JSON_NUMBER), big = next(&r, LK_JSON_NUMBER);
  lk_json_event no = next(&r, LK_JSON_FALSE);
  CHECK_ERR(lk_json_get_u64(&string, &u64), LK_ERR_TYPE);
  CHECK_ERR(lk_json_get_u64(&fraction, &u64), LK_ERR_TYPE);
  CHECK_ERR(lk_json_get_i64(&null, &i64), LK_ERR_TYPE);
  CHECK_ERR(lk_json_get_i64(&big, &i64), LK_ERR_RANGE);
  CHECK_ERR(lk_json_get_f64(&string, &f64), LK_ERR_TYPE);
  CHECK_ERR(lk_json_get_bool(&null, &flag), LK_ERR_TYPE);
  CHECK_ERR(lk_json_get_string(&null, &text), LK_ERR_TYPE);
  CHECK(u64 == 7 && i64 == 7 && f64 == 7 && flag);
  CHECK_TEXT(text, "seven");
  CHECK_OK(lk_json_get_u64(&big, &u64));
  CHECK_U64(u64, UINT64_MAX);
  CHECK_OK(lk_json_get_f64(&fraction, &f64));
  CHECK(f64 == 1.5);
  CHECK_OK(lk_json_get_bool(&no, &flag));
  CHECK(!flag);
  CHECK_OK(lk_json_get_string(&string, &text));
  CHECK_TEXT(text, "1");
  lk_arena_deinit(&arena);
}

/* ---- skipping ---- */

TEST(a_skipped_value_is_given_verbatim) {
  lk_json_reader r;
  lk_slice raw;
  arena_begin();
  begin(&r, LK_LIT("[ 1e2 ,\t{ \"a\" : [ ] , \"a\":\"\\u0041\" } , \"x\\n\",null ]"));
  (void)next(&r, LK_JSON_ARRAY_BEGIN);
  CHECK_OK(lk_json_skip_value(&r, &raw));
  CHECK_TEXT(raw, "1e2");
  CHECK_OK(lk_json_skip_value(&r, &raw));
  CHECK_TEXT(raw, "{ \"a\" : [ ] , \"a\":\"\\u0041\" }");
  CHECK_OK(lk_json_skip_value(&r, &raw));
  CHECK_TEXT(raw, "\"x\\n\"");
  CHECK_OK(lk_json_skip_value(&r, &raw));
  CHECK_TEXT(raw, "null");
  CHECK_ERR(lk_json_skip_value(&r, &raw), LK_ERR_END);
  (void)next(&r, LK_JSON_ARRAY_END);
  CHECK_OK(lk_json_finish(&r));
  CHECK_U64(arena.used, 0);
  lk_arena_deinit(&arena);
}

TEST(skipping_where_no_value_may_stand_changes_nothing) {
  lk_json_reader r;
  lk_slice raw = LK_LIT("before");
  arena_begin();
  begin(&r, LK_LIT("{\"a\":1,\"b\":{}}"));
  (void)next(&r, LK_JSON_OBJECT_BEGIN);
  CHECK_ERR(lk_json_skip_value(&r, &raw), LK_ERR_STATE);
  (void)next(&r, LK_JSON_KEY);
  CHECK_OK(lk_json_skip_value(&r, &raw));
  CHECK_TEXT(raw, "1");
  CHECK_ERR(lk_json_skip_value(&r, &raw), LK_ERR_STATE);
  CHECK_ERR(lk_json_finish(&r), LK_ERR_STATE);
  CHECK_TEXT(next(&r, LK_JSON_KEY).text, "b");
  (void)next(&r, LK_JSON_OBJECT_BEGIN);
  CHECK_ERR(lk_json_skip_value(&r, &raw), LK_ERR_END);
  (void)next(&r, LK_JSON_OBJECT_END);
  CHECK_ERR(lk_json_skip_value(&r, &raw), LK_ERR_END);
  (void)next(&r, LK_JSON_OBJECT_END);
  CHECK_ERR(lk_json_skip_value(&r, &raw), LK_ERR_STATE);
  CHECK_TEXT(raw, "1");
  CHECK_OK(lk_json_finish(&r));
  lk_arena_deinit(&arena);
}

TEST(the_rest_of_a_value_can_be_skipped_after_its_first_event) {
  lk_json_reader r;
  lk_slice raw;
  arena_begin();
  begin(&r, LK_LIT("[{\"a\":[1,[2]]}, 5]"));
  (void)next(&r, LK_JSON_ARRAY_BEGIN);
  lk_json_event object = next(&r, LK_JSON_OBJECT_BEGIN);
  CHECK_OK(lk_json_skip_rest(&r, &object, &raw));
  CHECK_TEXT(raw, "{\"a\":[1,[2]]}");
  lk_json_event number = next(&r, LK_JSON_NUMBER);
  CHECK_OK(lk_json_skip_rest(&r, &number, &raw));
  CHECK_TEXT(raw, "5");
  lk_json_event end = next(&r, LK_JSON_ARRAY_END);
  CHECK_ERR(lk_json_skip_rest(&r, &end, &raw), LK_ERR_TYPE);
  CHECK_PANICS(CHECK_OK(lk_json_skip_rest(&r, &object, &raw))); /* not the latest event */
  lk_arena_deinit(&arena);
}

/* ---- members ---- */

TEST(members_are_found_by_name_and_others_passed_over) {
  lk_json_reader r;
  lk_json_member m[] = { { .name = LK_LIT("id") },
                         { .name = LK_LIT("tags") },
                         { .name = LK_LIT("none") },
                         { .name = LK_LIT("text") } };
  arena_begin();
  begin(&r,
        LK_LIT("{\"x\":[{\"id\":1}],\"tags\":[\"a\", \"b\"],\"i\\u0064\":42,\"text\":\"t\\n\"}"));
  CHECK_OK(lk_json_read_members(&r, m, 4));
  CHECK_OK(lk_json_finish(&r));
  CHECK_TEXT(m[0].raw, "42");
  CHECK_U64(m[0].value.number.digits, 42);
  CHECK_U64(m[1].value.kind, LK_JSON_ARRAY_BEGIN);
  CHECK_TEXT(m[1].raw, "[\"a\", \"b\"]");
  CHECK_U64(m[2].value.kind, LK_JSON_ABSENT);
  CHECK_U64(m[2].raw.len, 0);
  CHECK_TEXT(m[3].value.text, "t\n");
  lk_arena_deinit(&arena);
}

TEST(of_members_with_the_same_name_the_last_one_counts) {
  lk_json_reader r;
  lk_json_member m[] = { { .name = LK_LIT("a") } };
  arena_begin();
  begin(&r, LK_LIT("[{\"a\":1,\"a\":[2],\"a\":\"3\"},{}]"));
  (void)next(&r, LK_JSON_ARRAY_BEGIN);
  CHECK_OK(lk_json_read_members(&r, m, 1));
  CHECK_TEXT(m[0].raw, "\"3\"");
  CHECK_TEXT(m[0].value.text, "3");
  CHECK_OK(lk_json_read_members(&r, m, 1)); /* what the object before had is forgotten */
  CHECK_U64(m[0].value.kind, LK_JSON_ABSENT);
  CHECK_U64(m[0].raw.len, 0);
  CHECK_ERR(lk_json_read_members(&r, m, 1), LK_ERR_END);
  lk_arena_deinit(&arena);
}

TEST(looking_for_members_in_another_value_leaves_it_unread) {
  lk_json_reader r;
  lk_json_member m[] = { { .name = LK_LIT("a") } };
  arena_begin();
  begin(&r, LK_LIT("[[1],\"\\n\"]"));
  CHECK_ERR(lk_json_read_members(&r, m, 1), LK_ERR_TYPE);
  (void)next(&r, LK_JSON_ARRAY_BEGIN);
  CHECK_ERR(lk_json_read_members(&r, m, 1), LK_ERR_TYPE);
  (void)next(&r, LK_JSON_ARRAY_BEGIN);
  (void)next(&r, LK_JSON_NUMBER);
  (void)next(&r, LK_JSON_ARRAY_END);
  CHECK_ERR(lk_json_read_members(&r, m, 1), LK_ERR_TYPE);
  CHECK_TEXT(next(&r, LK_JSON_STRING).text, "\n");
  lk_arena_deinit(&arena);
}

/* Goal: keys that nobody asked for cost nothing that stays.
 * Method: far more of them, with an escape each, than the arena could hold. */
TEST(keys_with_escapes_do_not_add_up) {
  enum { KEYS = 200, KEY_LEN = 60 };
  lk_buf text;
  lk_json_reader r;
  lk_json_writer w;
  lk_json_member m[] = { { .name = LK_LIT("a") } };
  uint8_t key[KEY_LEN] = { '\n' };
  limits_default = lk_limits_default();
  lk_buf_init(&text, test_alloc(), 1 << 17);
  lk_json_writer_init(&w, &text);
  CHECK_OK(lk_json_begin_object(&w));
  for (int i = 0; i < KEYS; i++) {
    CHECK_OK(lk_json_write_key(&w, lk_slice_of(key, KEY_LEN)));
    CHECK_OK(lk_json_write_null(&w));
  }
  CHECK_OK(lk_json_end_object(&w));
  CHECK_OK(lk_json_writer_finish(&w));
  lk_arena_init(&arena, test_alloc(), KEYS * KEY_LEN / 2);
  begin(&r, lk_buf_slice(&text));
  CHECK_OK(lk_json_read_members(&r, m, 1));
  CHECK_OK(lk_json_finish(&r));
  lk_arena_deinit(&arena);
  lk_buf_deinit(&text);
}

/* ---- errors and limits ---- */

TEST(members_that_find_no_memory_leave_reader_and_arena_as_they_were) {
  enum { LONG = 6000 };
  lk_buf text;
  lk_json_reader r;
  lk_json_writer w;
  lk_json_member m[] = { { .name = LK_LIT("a") }, { .name = LK_LIT("b") } };
  static const uint8_t zeros[LONG] = { 0 };
  lk_buf_init(&text, test_alloc(), 1 << 17);
  lk_json_writer_init(&w, &text);
  CHECK_OK(lk_json_begin_object(&w));
  CHECK_OK(lk_json_write_key(&w, LK_LIT("a")));
  CHECK_OK(lk_json_write_string(&w, LK_LIT("\n")));
  CHECK_OK(lk_json_write_key(&w, LK_LIT("b")));
  CHECK_OK(lk_json_write_string(&w, lk_slice_of(zeros, LONG)));
  CHECK_OK(lk_json_end_object(&w));
  CHECK_OK(lk_json_writer_finish(&w));
  lk_arena_init(&arena, test_alloc(), LONG);
  begin(&r, lk_buf_slice(&text));
  CHECK(lk_arena_push_bytes(&arena, 10) != NULL);
  lk_arena_mark mark = lk_arena_get_mark(&arena);
  CHECK_ERR(lk_json_read_members(&r, m, 2), LK_ERR_NOMEM);
  CHECK(lk_arena_get_mark(&arena).chunk == mark.chunk && lk_arena_get_mark(&arena).pos == mark.pos);
  arena.max = 4 * LONG;
  CHECK_OK(lk_json_read_members(&r, m, 2));
  CHECK_TEXT(m[0].value.text, "\n");
  CHECK_U64(m[1].value.text.len, LONG);
  CHECK_OK(lk_json_finish(&r));
  lk_arena_deinit(&arena);
  lk_buf_deinit(&text);
}

TEST(an_error_names_the_place_where_it_is) {
  static const struct {
    lk_slice text;
    lk_err err;
    size_t offset;
  } cases[] = {
    { LK_LIT_INIT(""), LK_ERR_TRUNCATED, 0 },
    { LK_LIT_INIT("  "), LK_ERR_TRUNCATED, 2 },
    { LK_LIT_INIT("[1,]"), LK_ERR_SYNTAX, 3 },
    { LK_LIT_INIT("{\"a\" 1}"), LK_ERR_SYNTAX, 5 },
    { LK_LIT_INIT("[1 2]"), LK_ERR_SYNTAX, 3 },
    { LK_LIT_INIT("[1}"), LK_ERR_SYNTAX, 2 },
    { LK_LIT_INIT("[ 01]"), LK_ERR_SYNTAX, 2 },
    { LK_LIT_INIT("[trux]"), LK_ERR_SYNTAX, 4 },
    { LK_LIT_INIT("tru"), LK_ERR_TRUNCATED, 3 },
    { LK_LIT_INIT("\"abc"), LK_ERR_TRUNCATED, 4 },
    { LK_LIT_INIT("\"abcdefghi\n\""), LK_ERR_SYNTAX, 10 },
    { LK_LIT_INIT("\"a\\x\""), LK_ERR_SYNTAX, 3 },
    { LK_LIT_INIT("\"\\u12g4\""), LK_ERR_SYNTAX, 5 },
    { LK_LIT_INIT("\"a\\ud800b\""), LK_ERR_UTF8, 2 },
    { LK_LIT_INIT("\"\\ud800\\u0041\""), LK_ERR_UTF8, 1 },
    { LK_LIT_INIT("\"abc\xC3\""), LK_ERR_UTF8, 5 }, /* the quote cannot follow the C3 */
    { LK_LIT_INIT("\"abc\xFF\""), LK_ERR_UTF8, 4 },
    { LK_LIT_INIT("[] x"), LK_ERR_TRAILING, 3 },
  };
  size_t offset;
  limits_default = lk_limits_default();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    test_note("case %zu", i);
    CHECK_ERR(lk_json_check(cases[i].text, &limits_default, &offset), cases[i].err);
    CHECK_U64(offset, cases[i].offset);
  }
}

TEST(an_error_is_final) {
  lk_json_reader r;
  lk_json_event event = { .kind = LK_JSON_ABSENT };
  lk_slice raw;
  lk_json_member m[] = { { .name = LK_LIT("a") } };
  arena_begin();
  begin(&r, LK_LIT("[1 x"));
  (void)next(&r, LK_JSON_ARRAY_BEGIN);
  (void)next(&r, LK_JSON_NUMBER);
  for (int i = 0; i < 2; i++) {
    CHECK_ERR(lk_json_next(&r, &event), LK_ERR_SYNTAX);
    CHECK_ERR(lk_json_skip_value(&r, &raw), LK_ERR_SYNTAX);
    CHECK_ERR(lk_json_read_members(&r, m, 1), LK_ERR_SYNTAX);
    CHECK_ERR(lk_json_finish(&r), LK_ERR_SYNTAX);
    CHECK_U64(lk_json_error_offset(&r), 3);
  }
  CHECK_U64(event.kind, LK_JSON_ABSENT);
  lk_arena_deinit(&arena);
}

TEST(a_text_may_be_as_long_and_as_deep_as_its_limits) {
  lk_limits limits = lk_limits_default();
  lk_json_reader r;
  lk_json_event event;
  arena_begin();
  limits.json_bytes = 6;
  limits.json_depth = 3;
  CHECK_OK(lk_json_check(LK_LIT("[[[]]]"), &limits, NULL));
  CHECK_ERR(lk_json_check(LK_LIT("[[[] ]]"), &limits, NULL), LK_ERR_TOO_BIG);
  CHECK_ERR(lk_json_reader_init(&r, LK_LIT("1234567"), &limits, &arena), LK_ERR_TOO_BIG);
  CHECK_ERR(lk_json_next(&r, &event), LK_ERR_TOO_BIG);
  limits.json_depth = 2;
  CHECK_ERR(lk_json_check(LK_LIT("[[[]]]"), &limits, NULL), LK_ERR_DEPTH);
  CHECK_ERR(lk_json_check(LK_LIT("[[{}]]"), &limits, NULL), LK_ERR_DEPTH);
  lk_arena_deinit(&arena);
}

/* Goal: the stack of bits is right at every depth up to the greatest, also across its words.
 * Method: arrays and objects in an irregular order, closed by the bracket that fits; then each
 * end exchanged for the other one. */
TEST(the_kind_of_every_level_is_remembered) {
  static char text[LK_JSON_DEPTH_MAX * 6];
  static char ends[LK_JSON_DEPTH_MAX];
  lk_limits limits = lk_limits_default();
  limits.json_depth = LK_JSON_DEPTH_MAX;
  size_t len = 0, offset;
  for (uint32_t i = 0; i < LK_JSON_DEPTH_MAX; i++) {
    bool object = (i * 2654435761u >> 16 & 1) != 0;
    memcpy(text + len, object ? "{\"\":" : "[", object ? 4 : 1);
    len += object ? 4 : 1;
    ends[LK_JSON_DEPTH_MAX - 1 - i] = object ? '}' : ']';
  }
  text[len++] = '1';
  memcpy(text + len, ends, sizeof ends);
  lk_slice all = lk_slice_of(text, len + sizeof ends);
  CHECK_OK(lk_json_check(all, &limits, NULL));
  for (size_t i = 0; i < sizeof ends; i++) {
    text[len + i] = ends[i] == '}' ? ']' : '}';
    CHECK_ERR(lk_json_check(all, &limits, &offset), LK_ERR_SYNTAX);
    CHECK_U64(offset, len + i);
    text[len + i] = ends[i];
  }
}

TEST(when_memory_is_out_the_call_can_be_repeated) {
  lk_slice text = LK_LIT("[\"a\\n\",{\"\\u006b\":\"\\u0076\",\"x\":\"\\n\"}]");
  FAULT_LOOP(faults, test_alloc()) {
    lk_json_reader r;
    lk_json_event event;
    lk_json_member m[] = { { .name = LK_LIT("k") } };
    lk_err err;
    lk_arena_init(&arena, faulty_alloc(&faults), ARENA_MAX);
    begin(&r, text);
    (void)next(&r, LK_JSON_ARRAY_BEGIN);
    while ((err = lk_json_next(&r, &event)) == LK_ERR_NOMEM) arena.alloc = test_alloc();
    CHECK_OK(err);
    CHECK_TEXT(event.text, "a\n");
    lk_arena_deinit(&arena);
    lk_arena_init(&arena, faulty_alloc(&faults), ARENA_MAX);
    while ((err = lk_json_read_members(&r, m, 1)) == LK_ERR_NOMEM) arena.alloc = test_alloc();
    CHECK_OK(err);
    CHECK_TEXT(m[0].value.text, "v");
    (void)next(&r, LK_JSON_ARRAY_END);
    CHECK_OK(lk_json_finish(&r));
    lk_arena_deinit(&arena);
  }
}

/* ---- properties ---- */

static void write_text(lk_gen *g, lk_json_writer *w, bool key) {
  uint8_t bytes[40];
  lk_slice text = lk_slice_of(bytes, gen_utf8(g, bytes, gen_below(g, sizeof bytes)));
  CHECK_OK(key ? lk_json_write_key(w, text) : lk_json_write_string(w, text));
}

static void write_scalar(lk_gen *g, lk_json_writer *w) {
  switch (gen_below(g, 6)) {
  case 0: CHECK_OK(lk_json_write_null(w)); break;
  case 1: CHECK_OK(lk_json_write_bool(w, gen_bool(g))); break;
  case 2: CHECK_OK(lk_json_write_u64(w, gen_u64(g))); break;
  case 3: CHECK_OK(lk_json_write_i64(w, (int64_t)gen_u64(g))); break;
  case 4: CHECK_OK(lk_json_write_f64(w, (double)(int64_t)gen_u64(g) / 1024)); break;
  default: write_text(g, w, false); break;
  }
}

/* A text whose outermost value is an array; ends in time when every choice is 0. */
static void write_tree(lk_gen *g, lk_json_writer *w) {
  bool object[8] = { false };
  uint32_t depth = 1;
  CHECK_OK(lk_json_begin_array(w));
  for (uint32_t left = gen_below(g, 24); left > 0; left--) {
    uint32_t move = gen_below(g, 6);
    if (move == 0 && depth > 1) {
      depth--;
      CHECK_OK(object[depth] ? lk_json_end_object(w) : lk_json_end_array(w));
      continue;
    }
    if (object[depth - 1]) write_text(g, w, true);
    if (move < 3 && depth < sizeof object) {
      object[depth] = gen_bool(g);
      CHECK_OK(object[depth] ? lk_json_begin_object(w) : lk_json_begin_array(w));
      depth++;
    } else {
      write_scalar(g, w);
    }
  }
  while (depth-- > 0) CHECK_OK(object[depth] ? lk_json_end_object(w) : lk_json_end_array(w));
}

PROPERTY(what_is_written_is_read_and_written_again_the_same) {
  lk_buf first, second;
  lk_json_writer w;
  arena_begin();
  lk_buf_init(&first, test_alloc(), 1 << 16);
  lk_buf_init(&second, test_alloc(), 1 << 16);
  lk_json_writer_init(&w, &first);
  write_tree(g, &w);
  CHECK_OK(lk_json_writer_finish(&w));
  CHECK_OK(rewrite(lk_buf_slice(&first), &second));
  CHECK_SLICE(lk_buf_slice(&second), lk_buf_slice(&first));
  lk_buf_deinit(&first);
  lk_buf_deinit(&second);
  lk_arena_deinit(&arena);
}

/* Goal: a text that was cut off is never taken for a whole one, wherever that was. */
PROPERTY_SLOW(every_beginning_of_a_text_is_truncated, 4) {
  lk_buf buf;
  lk_json_writer w;
  size_t offset;
  limits_default = lk_limits_default();
  lk_buf_init(&buf, test_alloc(), 1 << 16);
  lk_json_writer_init(&w, &buf);
  write_tree(g, &w);
  CHECK_OK(lk_json_writer_finish(&w));
  for (size_t len = 0; len < buf.len; len++) {
    CHECK_ERR(lk_json_check(lk_slice_first(lk_buf_slice(&buf), len), &limits_default, &offset),
              LK_ERR_TRUNCATED);
    CHECK(offset <= len);
  }
  lk_buf_deinit(&buf);
}

/* Goal: the fast search for what is special in a string misses nothing at any distance.
 * Method: one byte of any value, somewhere in a row of letters; what must come of it is obvious. */
PROPERTY(a_special_byte_in_a_string_is_seen_wherever_it_stands) {
  uint8_t text[40];
  uint32_t len = gen_range(g, 1, 36), at = gen_below(g, len);
  uint8_t byte = (uint8_t)gen_below(g, 256);
  limits_default = lk_limits_default();
  memset(text, 'z', sizeof text);
  text[0] = '"';
  text[1 + at] = byte;
  text[1 + len] = '"';
  lk_err want = byte >= 0x80 ? LK_ERR_UTF8 : byte < 0x20 ? LK_ERR_SYNTAX : LK_OK;
  if (byte == '"') want = LK_ERR_TRAILING;
  if (byte == '\\') want = at + 1 == len ? LK_ERR_TRUNCATED : LK_ERR_SYNTAX;
  CHECK_ERR(lk_json_check(lk_slice_of(text, len + 2), &limits_default, NULL), want);
}
