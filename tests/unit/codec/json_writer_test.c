/* The JSON writer: where commas go, what is escaped, and how errors and misuse end. */
#include "codec/json_writer.h"

#include "codec/json_reader.h"
#include "harness/test.h"

#include <math.h>

static lk_buf buf;
static lk_json_writer w;

static void begin(size_t max) {
  lk_buf_init(&buf, test_alloc(), max);
  lk_json_writer_init(&w, &buf);
}

TEST(commas_and_colons_come_by_themselves) {
  begin(1000);
  CHECK_OK(lk_json_begin_object(&w));
  CHECK_OK(lk_json_write_key(&w, LK_LIT("a")));
  CHECK_OK(lk_json_begin_array(&w));
  CHECK_OK(lk_json_write_u64(&w, UINT64_MAX));
  CHECK_OK(lk_json_write_i64(&w, INT64_MIN));
  CHECK_OK(lk_json_begin_object(&w));
  CHECK_OK(lk_json_end_object(&w));
  CHECK_OK(lk_json_write_f64(&w, -0.5));
  CHECK_OK(lk_json_begin_array(&w));
  CHECK_OK(lk_json_end_array(&w));
  CHECK_OK(lk_json_write_null(&w));
  CHECK_OK(lk_json_end_array(&w));
  CHECK_OK(lk_json_write_key(&w, LK_LIT("b")));
  CHECK_OK(lk_json_write_bool(&w, true));
  CHECK_OK(lk_json_write_key(&w, LK_LIT("")));
  CHECK_OK(lk_json_write_bool(&w, false));
  CHECK_OK(lk_json_write_key(&w, LK_LIT("r")));
  CHECK_OK(lk_json_write_raw(&w, LK_LIT("{ }")));
  CHECK_OK(lk_json_end_object(&w));
  CHECK_OK(lk_json_writer_finish(&w));
  CHECK_TEXT(lk_buf_slice(&buf),
             "{\"a\":[18446744073709551615,-9223372036854775808,{},-0.5,[],null],"
             "\"b\":true,\"\":false,\"r\":{ }}");
  lk_buf_deinit(&buf);
}

TEST(a_writer_appends_to_what_the_buffer_has) {
  begin(100);
  CHECK_OK(lk_buf_append(&buf, LK_LIT("data: ")));
  lk_json_writer_init(&w, &buf);
  CHECK_OK(lk_json_write_null(&w));
  CHECK_OK(lk_json_writer_finish(&w));
  CHECK_TEXT(lk_buf_slice(&buf), "data: null");
  lk_buf_deinit(&buf);
}

TEST(strings_are_escaped_as_json_stringify_escapes_them) {
  begin(1000);
  CHECK_OK(
      lk_json_write_string(&w, LK_LIT("\"\\/\b\f\n\r\t\x01\x0B\x1F\x7F'<\xE2\x80\xA8\xC3\xA9\0")));
  CHECK_OK(lk_json_writer_finish(&w));
  CHECK_TEXT(lk_buf_slice(&buf),
             "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u000b\\u001f\x7F'<\xE2\x80\xA8\xC3\xA9\\u0000\"");
  lk_buf_deinit(&buf);
}

TEST(numbers_are_written_as_json_stringify_writes_them) {
  begin(1000);
  CHECK_OK(lk_json_begin_array(&w));
  CHECK_OK(lk_json_write_f64(&w, -0.0));
  CHECK_OK(lk_json_write_f64(&w, 1e21));
  CHECK_OK(lk_json_write_f64(&w, 1e-7));
  CHECK_OK(lk_json_write_f64(&w, 5e-324));
  CHECK_OK(lk_json_end_array(&w));
  CHECK_OK(lk_json_writer_finish(&w));
  CHECK_TEXT(lk_buf_slice(&buf), "[0,1e+21,1e-7,5e-324]");
  lk_buf_deinit(&buf);
}

/* Goal: one error, remembered, and nothing of the value left in the buffer. */
static void check_fails(lk_err want) {
  CHECK_ERR(lk_json_write_null(&w), want);
  CHECK_ERR(lk_json_end_object(&w), want); /* deaf: not even the wrong bracket is asserted */
  CHECK_ERR(lk_json_writer_finish(&w), want);
  CHECK_TEXT(lk_buf_slice(&buf), "kept");
  CHECK_OK(lk_buf_append(&buf, LK_LIT("!")));
  lk_buf_deinit(&buf);
}

static void begin_kept(size_t max) {
  begin(max);
  CHECK_OK(lk_buf_append(&buf, LK_LIT("kept")));
  lk_json_writer_init(&w, &buf);
  CHECK_OK(lk_json_begin_array(&w));
}

TEST(what_is_no_number_is_refused) {
  static const double bad[] = { (double)NAN, (double)INFINITY, -(double)INFINITY };
  for (size_t i = 0; i < 3; i++) {
    begin_kept(100);
    CHECK_ERR(lk_json_write_f64(&w, bad[i]), LK_ERR_INVALID);
    check_fails(LK_ERR_INVALID);
  }
}

TEST(text_that_is_not_utf8_is_refused) {
  begin_kept(100);
  CHECK_ERR(lk_json_write_string(&w, LK_LIT("a\xFF")), LK_ERR_UTF8);
  check_fails(LK_ERR_UTF8);
  begin_kept(100);
  CHECK_OK(lk_json_begin_object(&w));
  CHECK_ERR(lk_json_write_key(&w, LK_LIT("\xED\xA0\x80")), LK_ERR_UTF8);
  check_fails(LK_ERR_UTF8);
}

/* Goal: wherever the buffer ends, the value is refused as a whole.
 * Method: a buffer of every size that is too small. */
TEST(a_full_buffer_leaves_nothing_half_written) {
  for (size_t max = 5; max < 4 + sizeof "[{\"a\\n\":\"b\\u0001c\"},12]" - 1; max++) {
    begin_kept(max);
    (void)lk_json_begin_object(&w);
    (void)lk_json_write_key(&w, LK_LIT("a\n"));
    (void)lk_json_write_string(&w, LK_LIT("b\x01"
                                          "c"));
    (void)lk_json_end_object(&w);
    (void)lk_json_write_u64(&w, 12);
    CHECK_ERR(lk_json_end_array(&w), LK_ERR_LIMIT);
    check_fails(LK_ERR_LIMIT);
  }
}

TEST(an_error_that_the_buffer_came_with_stays_in_it) {
  begin(4);
  CHECK_OK(lk_buf_append(&buf, LK_LIT("kept")));
  CHECK_ERR(lk_buf_append(&buf, LK_LIT("more")), LK_ERR_LIMIT);
  lk_json_writer_init(&w, &buf);
  CHECK_ERR(lk_json_write_null(&w), LK_ERR_LIMIT);
  CHECK_ERR(lk_json_writer_finish(&w), LK_ERR_LIMIT);
  CHECK_ERR(lk_buf_err(&buf), LK_ERR_LIMIT);
  CHECK_TEXT(lk_buf_slice(&buf), "kept");
  lk_buf_deinit(&buf);
}

TEST(a_writer_without_memory_leaves_the_buffer_as_it_was) {
  FAULT_LOOP(faults, test_alloc()) {
    static const char letters[300] = { 0 };
    lk_buf_init(&buf, faulty_alloc(&faults), 10000);
    lk_json_writer_init(&w, &buf);
    (void)lk_json_begin_array(&w);
    (void)lk_json_write_string(&w, lk_slice_of(letters, sizeof letters));
    (void)lk_json_end_array(&w);
    lk_err err = lk_json_writer_finish(&w);
    CHECK(err == LK_OK ? buf.len == 4 + 6 * sizeof letters : err == LK_ERR_NOMEM && buf.len == 0);
    CHECK_OK(lk_buf_err(&buf));
    lk_buf_deinit(&buf);
  }
}

TEST(nesting_ends_at_the_writers_maximum) {
  begin(4096);
  for (uint32_t i = 0; i < LK_JSON_WRITER_DEPTH_MAX; i++) {
    bool object = i % 3 == 0;
    CHECK_OK(object ? lk_json_begin_object(&w) : lk_json_begin_array(&w));
    if (object) CHECK_OK(lk_json_write_key(&w, LK_LIT("k")));
  }
  lk_json_writer full = w;
  CHECK_OK(lk_json_write_null(&w));
  for (uint32_t i = LK_JSON_WRITER_DEPTH_MAX; i-- > 0;) {
    CHECK_OK(i % 3 == 0 ? lk_json_end_object(&w) : lk_json_end_array(&w));
  }
  CHECK_OK(lk_json_writer_finish(&w));
  CHECK_ERR(lk_json_begin_array(&full), LK_ERR_DEPTH);
  CHECK_ERR(lk_json_writer_finish(&full), LK_ERR_DEPTH);
  CHECK_U64(buf.len, 0);
  lk_buf_deinit(&buf);
}

TEST(what_stands_in_the_wrong_place_is_asserted) {
  begin(1000);
  CHECK_PANICS((void)lk_json_writer_finish(&w)); /* nothing was written */
  CHECK_PANICS((void)lk_json_end_array(&w));
  CHECK_PANICS((void)lk_json_write_key(&w, LK_LIT("k")));
  CHECK_PANICS((void)lk_json_write_raw(&w, LK_SLICE_EMPTY));
  CHECK_OK(lk_json_begin_object(&w));
  CHECK_PANICS((void)lk_json_write_null(&w)); /* without its key */
  CHECK_PANICS((void)lk_json_begin_array(&w));
  CHECK_PANICS((void)lk_json_end_array(&w));
  CHECK_OK(lk_json_write_key(&w, LK_LIT("k")));
  CHECK_PANICS((void)lk_json_write_key(&w, LK_LIT("k")));
  CHECK_PANICS((void)lk_json_end_object(&w)); /* the key lacks its value */
  CHECK_OK(lk_json_write_null(&w));
  CHECK_PANICS((void)lk_json_write_null(&w));
  CHECK_PANICS((void)lk_json_writer_finish(&w)); /* still open */
  CHECK_OK(lk_json_end_object(&w));
  CHECK_PANICS((void)lk_json_write_null(&w)); /* a second value */
  CHECK_PANICS((void)lk_json_end_object(&w));
  CHECK_OK(lk_json_writer_finish(&w));
  CHECK_TEXT(lk_buf_slice(&buf), "{\"k\":null}");
  lk_buf_deinit(&buf);
}

PROPERTY(any_text_is_read_back_as_it_was_written) {
  uint8_t bytes[200];
  lk_slice text = lk_slice_of(bytes, gen_utf8(g, bytes, sizeof bytes));
  lk_limits limits = lk_limits_default();
  lk_arena arena;
  lk_json_reader r;
  lk_json_event event;
  for (uint32_t i = gen_below(g, 4); i > 0 && text.len > 0; i--) {
    uint32_t at = gen_below(g, (uint32_t)text.len);
    if (bytes[at] < 0x80) bytes[at] = (uint8_t)gen_below(g, 0x80); /* control characters, quotes */
  }
  begin(10000);
  CHECK_OK(lk_json_write_string(&w, text));
  CHECK_OK(lk_json_writer_finish(&w));
  lk_arena_init(&arena, test_alloc(), 10000);
  CHECK_OK(lk_json_reader_init(&r, lk_buf_slice(&buf), &limits, &arena));
  CHECK_OK(lk_json_next(&r, &event));
  CHECK_SLICE(event.text, text);
  CHECK_OK(lk_json_finish(&r));
  lk_arena_deinit(&arena);
  lk_buf_deinit(&buf);
}
