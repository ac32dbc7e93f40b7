/* The canonical form: that it is the right one, that it is recognised without being made, and that
 * no text makes either of them slow, greedy or wrong.
 *
 * tests/vectors/jcs.json has what JavaScript makes of some hundred texts. */
#include "codec/json_canonical.h"

#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "codec/utf.h"
#include "harness/test.h"
#include "vectors.h"

#define OUT_MAX (1u << 24)

static lk_limits big_limits(void) {
  lk_limits limits = LK_LIMITS_INIT;
  limits.json_bytes = OUT_MAX;
  return limits;
}

/* |canonical| is what |text| has to become. Both functions are asked, about both texts. */
static void check_canonical_is(lk_slice text, lk_slice canonical) {
  lk_limits limits = big_limits();
  bool same = lk_slice_equal(text, canonical);
  lk_buf out;
  lk_buf_init(&out, test_alloc(), OUT_MAX);
  test_note("%.*s\n", (int)lk_min_size(text.len, 200), (const char *)text.ptr);
  CHECK_OK(lk_json_canonicalize(text, &limits, &out));
  CHECK_SLICE(lk_buf_slice(&out), canonical);
  CHECK_ERR(lk_json_check_canonical(text, &limits, test_alloc()),
            same ? LK_OK : LK_ERR_NOT_CANONICAL);
  CHECK_OK(lk_json_check_canonical(canonical, &limits, test_alloc()));
  lk_buf_truncate(&out, 0);
  CHECK_OK(lk_json_canonicalize(canonical, &limits, &out));
  CHECK_SLICE(lk_buf_slice(&out), canonical);
  lk_buf_deinit(&out);
}

static void check_refused(lk_slice text, lk_err want) {
  lk_limits limits = big_limits();
  lk_buf out;
  lk_buf_init(&out, test_alloc(), OUT_MAX);
  test_note("%.*s\n", (int)lk_min_size(text.len, 200), (const char *)text.ptr);
  CHECK_OK(lk_buf_append(&out, LK_LIT("kept")));
  CHECK_ERR(lk_json_canonicalize(text, &limits, &out), want);
  CHECK_TEXT(lk_buf_slice(&out), "kept");
  CHECK_OK(lk_buf_err(&out));
  CHECK_ERR(lk_json_check_canonical(text, &limits, test_alloc()), want);
  lk_buf_deinit(&out);
}

#define CHECK_CANONICAL(text, canonical) check_canonical_is(LK_LIT(text), LK_LIT(canonical))
#define CHECK_REFUSED(text, err) check_refused(LK_LIT(text), (err))

/* ---- vectors ---- */

TEST(every_text_becomes_what_javascript_makes_of_it) {
  lk_json_member f[] = { VECTORS_FIELD("text"), VECTORS_FIELD("canonical") };
  vectors v;
  vectors_open(&v, "tests/vectors/jcs.json", LK_LIT("canonical"));
  while (vectors_next(&v, f, 2)) check_canonical_is(vectors_text(&f[0]), vectors_text(&f[1]));
  CHECK(v.count >= 200);
  vectors_close(&v);
}

static lk_err err_of_name(lk_slice name) {
  for (int code = 1; code < 256; code++) {
    if (lk_slice_equal(lk_slice_cstr(lk_err_name((lk_err)code)), name)) return (lk_err)code;
  }
  test_fail(LK_FILE, __LINE__, "no error is called %.*s", (int)name.len, (const char *)name.ptr);
}

TEST(what_has_no_canonical_form_is_refused_with_its_reason) {
  lk_json_member f[] = { VECTORS_FIELD("text"), VECTORS_FIELD("error") };
  vectors v;
  vectors_open(&v, "tests/vectors/jcs.json", LK_LIT("refused"));
  while (vectors_next(&v, f, 2))
    check_refused(vectors_text(&f[0]), err_of_name(vectors_text(&f[1])));
  CHECK(v.count >= 40);
  vectors_close(&v);
}

TEST(bytes_that_are_no_utf8_are_refused) {
  CHECK_REFUSED("\"\xC3\"", LK_ERR_UTF8);
  CHECK_REFUSED("\"\xED\xA0\xBD\xED\xB8\x80\"", LK_ERR_UTF8);
  CHECK_REFUSED("{\"a\":1,\"\xFF\":2}", LK_ERR_UTF8);
  CHECK_REFUSED("[\"0123456789\xC0\x80\"]", LK_ERR_UTF8);
}

/* ---- order ---- */

/* Goal: the one place where UTF-16 and code points differ, and both neighbours of it. */
TEST(names_above_ffff_come_before_those_from_e000_on) {
  CHECK_CANONICAL("{\"\xEF\xAC\xB3\":1,\"\xF0\x9F\x98\x80\":2}",
                  "{\"\xF0\x9F\x98\x80\":2,\"\xEF\xAC\xB3\":1}");
  CHECK_CANONICAL(
      "{\"\\uFFFF\":1,\"\\uE000\":2,\"\\uDBFF\\uDFFF\":3,\"\\uD800\\uDC00\":4,\"\\uD7FF\":5}",
      "{\"\xED\x9F\xBF\":5,\"\xF0\x90\x80\x80\":4,\"\xF4\x8F\xBF\xBF\":3,"
      "\"\xEE\x80\x80\":2,\"\xEF\xBF\xBF\":1}");
}

/* Goal: names that differ inside a character, inside a word of eight bytes and behind one. */
TEST(names_are_compared_by_whole_characters) {
  CHECK_CANONICAL("{\"abcdefg\xEF\xBF\xBF\":1,\"abcdefg\xF0\x90\x80\x80\":2}",
                  "{\"abcdefg\xF0\x90\x80\x80\":2,\"abcdefg\xEF\xBF\xBF\":1}");
  CHECK_CANONICAL("{\"abcdefgh\xE2\x82\xAD\":1,\"abcdefgh\xE2\x82\xAC\":2,\"abcdefgh\":3}",
                  "{\"abcdefgh\":3,\"abcdefgh\xE2\x82\xAC\":2,\"abcdefgh\xE2\x82\xAD\":1}");
  CHECK_CANONICAL("{\"abc\\u0064efghi\":1,\"abcd\\u0065fgh\":2}",
                  "{\"abcdefgh\":2,\"abcdefghi\":1}");
}

static int order_in_utf16(lk_slice a, lk_slice b) {
  uint16_t units[2][64];
  size_t count_a = lk_utf16_of_utf8(a, units[0], 64), count_b = lk_utf16_of_utf8(b, units[1], 64);
  for (size_t i = 0; i < count_a && i < count_b; i++) {
    if (units[0][i] != units[1][i]) return units[0][i] < units[1][i] ? -1 : 1;
  }
  return (count_a > count_b) - (count_a < count_b);
}

static void append_escaped(lk_buf *out, uint32_t unit, bool upper) {
  static const char lower_digits[] = "0123456789abcdef", upper_digits[] = "0123456789ABCDEF";
  (void)lk_buf_append(out, LK_LIT("\\u"));
  for (uint32_t shift = 16; shift > 0; shift -= 4) {
    uint32_t digit = unit >> (shift - 4) & 15;
    (void)lk_buf_append_u8(out, (uint8_t)(upper ? upper_digits : lower_digits)[digit]);
  }
}

/* |text| as a string, in one of the many ways of writing it. */
static void append_spelled(lk_gen *g, lk_buf *out, lk_slice text) {
  (void)lk_buf_append_u8(out, '"');
  while (text.len > 0) {
    lk_slice before = text;
    uint32_t point;
    CHECK_OK(lk_utf8_decode(&text, &point));
    bool escaped = point < 0x20 || point == '"' || point == '\\' || gen_chance(g, 1, 4);
    if (!escaped) {
      (void)lk_buf_append(out, lk_slice_first(before, before.len - text.len));
    } else if ((point == '"' || point == '\\' || point == '/') && gen_bool(g)) {
      (void)lk_buf_append_u8(out, '\\');
      (void)lk_buf_append_u8(out, (uint8_t)point);
    } else if (point >= 0x10000) {
      append_escaped(out, lk_utf_high_of(point), gen_bool(g));
      append_escaped(out, lk_utf_low_of(point), gen_bool(g));
    } else {
      append_escaped(out, point, gen_bool(g));
    }
  }
  (void)lk_buf_append_u8(out, '"');
}

/* Goal: the order, against one that makes UTF-16 of both names and compares units. */
PROPERTY(two_names_are_ordered_by_their_utf16_units) {
  lk_limits limits = LK_LIMITS_INIT;
  uint8_t bytes[2][40];
  size_t shared = gen_utf8(g, bytes[0], 20);
  memcpy(bytes[1], bytes[0], shared);
  lk_slice a = { bytes[0], shared + gen_utf8(g, bytes[0] + shared, 20) };
  lk_slice b = { bytes[1], shared + gen_utf8(g, bytes[1] + shared, 20) };
  int order = order_in_utf16(a, b);
  lk_buf text, out;
  lk_buf_init(&text, test_alloc(), OUT_MAX);
  lk_buf_init(&out, test_alloc(), OUT_MAX);
  (void)lk_buf_append(&text, LK_LIT("{"));
  append_spelled(g, &text, a);
  (void)lk_buf_append(&text, LK_LIT(":1,"));
  append_spelled(g, &text, b);
  CHECK_OK(lk_buf_append(&text, LK_LIT(":2}")));
  CHECK_ERR(lk_json_canonicalize(lk_buf_slice(&text), &limits, &out),
            order == 0 ? LK_ERR_EXISTS : LK_OK);
  if (order < 0) CHECK(lk_slice_ends_with(lk_buf_slice(&out), LK_LIT(":2}")));
  if (order > 0) CHECK(lk_slice_ends_with(lk_buf_slice(&out), LK_LIT(":1}")));
  lk_buf_deinit(&text);
  lk_buf_deinit(&out);
}

TEST(a_name_that_stands_twice_is_refused_however_it_is_spelled) {
  CHECK_REFUSED("{\"a\":1,\"a\":1}", LK_ERR_EXISTS);
  CHECK_REFUSED("{\"a\":1,\"\\u0061\":2}", LK_ERR_EXISTS);
  CHECK_REFUSED("{\"\\u0061\":1,\"c\":2,\"b\":3,\"a\":4}", LK_ERR_EXISTS);
  CHECK_REFUSED("{\"z\":1,\"\xF0\x9F\x98\x80\":1,\"y\":1,\"\\uD83D\\ude00\":2}", LK_ERR_EXISTS);
  CHECK_REFUSED("[{\"x\":{\"b\":1,\"a\":{},\"b\":[]}}]", LK_ERR_EXISTS);
  CHECK_REFUSED("[{\"b\":1,\"a\":2,\"b\":3},{\"behind\":1}]", LK_ERR_EXISTS);
  CHECK_CANONICAL("{\"a\":{\"a\":{\"a\":1}}}", "{\"a\":{\"a\":{\"a\":1}}}");
  CHECK_CANONICAL("[{\"a\":1},{\"a\":1}]", "[{\"a\":1},{\"a\":1}]");
}

/* ---- escapes ---- */

/* Goal: of all ways to write a character of ASCII the one that is canonical, and no other.
 * Method: each character raw, behind a backslash, and as \u with small and with capital digits. */
TEST(each_ascii_character_has_one_spelling) {
  lk_limits limits = LK_LIMITS_INIT;
  for (uint32_t c = 0; c < 0x80; c++) {
    uint32_t good = 0;
    lk_buf out;
    lk_buf_init(&out, test_alloc(), 100);
    for (uint32_t way = 0; way < 4; way++) {
      lk_buf text;
      lk_buf_init(&text, test_alloc(), 100);
      (void)lk_buf_append_u8(&text, '"');
      if (way == 1) (void)lk_buf_append_u8(&text, '\\');
      if (way < 2) (void)lk_buf_append_u8(&text, (uint8_t)c);
      if (way >= 2) append_escaped(&text, c, way == 3);
      CHECK_OK(lk_buf_append_u8(&text, '"'));
      lk_buf_truncate(&out, 0);
      lk_err made = lk_json_canonicalize(lk_buf_slice(&text), &limits, &out);
      lk_err checked = lk_json_check_canonical(lk_buf_slice(&text), &limits, test_alloc());
      bool same = made == LK_OK && lk_slice_equal(lk_buf_slice(&text), lk_buf_slice(&out));
      CHECK_ERR(checked, made != LK_OK ? made : same ? LK_OK : LK_ERR_NOT_CANONICAL);
      /* A letter behind a backslash is another character; small and capital digits are the same
       * bytes where none of them is a letter. */
      bool counts = way == 1 ? c == '"' || c == '\\' : way == 3 ? (c & 15) >= 10 : true;
      if (same && counts) good++;
      lk_buf_deinit(&text);
    }
    bool letter = c == '\b' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
    CHECK_U64(good, letter ? 0 : 1);
    lk_buf_deinit(&out);
  }
  CHECK_CANONICAL("\"\\b\\t\\n\\f\\r\"", "\"\\b\\t\\n\\f\\r\"");
  CHECK_CANONICAL("[\"\\b\\t\\n\\f\\r\", \"\\\"\\\\\\/\"]", "[\"\\b\\t\\n\\f\\r\",\"\\\"\\\\/\"]");
  CHECK_CANONICAL("\"\\u0008\\u0009\\u000a\\u000c\\u000D\"", "\"\\b\\t\\n\\f\\r\"");
}

/* ---- any value, written in any way ---- */

/* In the order of UTF-16. */
static const lk_slice names[] = {
  LK_LIT_INIT(""),
  LK_LIT_INIT("\n"),
  LK_LIT_INIT("\""),
  LK_LIT_INIT("10"),
  LK_LIT_INIT("9"),
  LK_LIT_INIT("A"),
  LK_LIT_INIT("\\"),
  LK_LIT_INIT("a"),
  LK_LIT_INIT("a longer name"),
  LK_LIT_INIT("a longer name, and more"),
  LK_LIT_INIT("\xC3\xA9"),
  LK_LIT_INIT("\xF0\x9F\x98\x80"),
  LK_LIT_INIT("\xEE\x80\x80"),
};
enum { NAMES = sizeof names / sizeof *names };

static const struct {
  lk_slice canonical;
  lk_slice others[2];
} simple[] = {
  { LK_LIT_INIT("0"), { LK_LIT_INIT("-0.0"), LK_LIT_INIT("0e7") } },
  { LK_LIT_INIT("100"), { LK_LIT_INIT("1e2"), LK_LIT_INIT("100.0") } },
  { LK_LIT_INIT("-1.5e-7"), { LK_LIT_INIT("-0.00000015"), LK_LIT_INIT("-15E-8") } },
  { LK_LIT_INIT("9007199254740992"),
    { LK_LIT_INIT("9007199254740993"), LK_LIT_INIT("9007199254740992.0") } },
  { LK_LIT_INIT("\"\""), { LK_LIT_INIT("\"\""), LK_LIT_INIT("\"\"") } },
  { LK_LIT_INIT("\"{,:}/\\n\""),
    { LK_LIT_INIT("\"{,:}\\/\\n\""), LK_LIT_INIT("\"\\u007b,:}/\\u000A\"") } },
  { LK_LIT_INIT("null"), { LK_LIT_INIT("null"), LK_LIT_INIT("null") } },
  { LK_LIT_INIT("true"), { LK_LIT_INIT("true"), LK_LIT_INIT("true") } },
};

/* Both texts of one value: the canonical one, and some other or the same. */
typedef struct pair {
  lk_buf canonical;
  lk_buf spelled;
} pair;

static void pair_init(pair *p) {
  lk_buf_init(&p->canonical, test_alloc(), OUT_MAX);
  lk_buf_init(&p->spelled, test_alloc(), OUT_MAX);
}

static void pair_deinit(pair *p) {
  lk_buf_deinit(&p->canonical);
  lk_buf_deinit(&p->spelled);
}

static void append_space(lk_gen *g, pair *p) {
  static const lk_slice spaces[] = { LK_LIT_INIT(" "), LK_LIT_INIT("\r\n"), LK_LIT_INIT("\t") };
  if (gen_chance(g, 1, 16)) (void)lk_buf_append(&p->spelled, spaces[gen_below(g, 3)]);
}

static void append_both(pair *p, lk_slice text) {
  (void)lk_buf_append(&p->canonical, text);
  (void)lk_buf_append(&p->spelled, text);
}

static void append_value(lk_gen *g, pair *p, uint32_t depth);

static void append_members(lk_gen *g, pair *p, uint32_t depth) {
  pair members[NAMES];
  uint32_t count = 0;
  bool shuffled = gen_chance(g, 1, 4), respelled = gen_chance(g, 1, 4);
  uint32_t one_in = gen_range(g, 2, 6);
  for (uint32_t i = 0; i < NAMES; i++) {
    if (!gen_chance(g, 1, one_in)) continue;
    pair *m = &members[count++];
    lk_json_writer w;
    pair_init(m);
    lk_json_writer_init(&w, &m->canonical);
    (void)lk_json_write_string(&w, names[i]);
    CHECK_OK(lk_json_writer_finish(&w));
    if (respelled) append_spelled(g, &m->spelled, names[i]);
    if (!respelled) (void)lk_buf_append(&m->spelled, lk_buf_slice(&m->canonical));
    append_space(g, m);
    append_both(m, LK_LIT(":"));
    append_value(g, m, depth + 1);
    if (count > 1) (void)lk_buf_append_u8(&p->canonical, ',');
    (void)lk_buf_append(&p->canonical, lk_buf_slice(&m->canonical));
  }
  for (uint32_t left = count; left > 0; left--) {
    uint32_t taken = shuffled ? gen_below(g, left) : 0;
    if (left < count) (void)lk_buf_append_u8(&p->spelled, ',');
    append_space(g, p);
    (void)lk_buf_append(&p->spelled, lk_buf_slice(&members[taken].spelled));
    pair_deinit(&members[taken]);
    for (uint32_t i = taken; i + 1 < left; i++) members[i] = members[i + 1];
  }
}

static void append_value(lk_gen *g, pair *p, uint32_t depth) {
  uint32_t kind = gen_below(g, depth < 4 ? 4 : 1);
  append_space(g, p);
  if (kind == 0) {
    uint32_t i = gen_below(g, sizeof simple / sizeof *simple);
    bool other = gen_chance(g, 1, 8);
    (void)lk_buf_append(&p->canonical, simple[i].canonical);
    (void)lk_buf_append(&p->spelled,
                        other ? simple[i].others[gen_below(g, 2)] : simple[i].canonical);
  } else if (kind == 1) {
    append_both(p, LK_LIT("["));
    for (uint32_t n = gen_below(g, 4), i = 0; i < n; i++) {
      if (i > 0) append_both(p, LK_LIT(","));
      append_value(g, p, depth + 1);
    }
    append_both(p, LK_LIT("]"));
  } else {
    append_both(p, LK_LIT("{"));
    append_members(g, p, depth);
    append_both(p, LK_LIT("}"));
  }
  append_space(g, p);
}

/* Goal: the form, that it is found again unchanged, and that it is recognised exactly.
 * Method: values that are written twice while they are made up, canonically and somehow. */
PROPERTY_SLOW(every_spelling_of_a_value_has_the_same_canonical_text, 2) {
  pair p;
  pair_init(&p);
  append_value(g, &p, 0);
  CHECK_OK(lk_buf_err(&p.canonical));
  CHECK_OK(lk_buf_err(&p.spelled));
  check_canonical_is(lk_buf_slice(&p.spelled), lk_buf_slice(&p.canonical));
  pair_deinit(&p);
}

/* Goal: what is cut off or changed by one bit is judged the same by both functions, and nothing
 * behind the end is looked at. Method: copies of exactly their length, for AddressSanitizer. */
TEST(a_text_cut_or_changed_anywhere_is_judged_the_same_by_both) {
  static const lk_slice texts[] = {
    LK_LIT_INIT("{\"a\":[1,-2.5,true,null,\"x\\n\\u001f\"],\"b\":{\"\":{},\"c\":[]},"
                "\"\xF0\x9F\x98\x80\":\"\xC3\xA9\"}"),
    LK_LIT_INIT("{ \"b\\u0061\":false,\"a\":{\"\\ud83d\\ude00\":1e2,\"z\":\"\\/\"} }"),
  };
  lk_limits limits = LK_LIMITS_INIT;
  for (size_t t = 0; t < 2; t++) {
    for (size_t change = 0; change < 9 * texts[t].len; change++) {
      size_t at = change / 9, len = change % 9 == 8 ? at : texts[t].len;
      uint8_t *copy = len == 0 ? NULL : lk_alloc_bytes(test_alloc(), len);
      if (copy != NULL) memcpy(copy, texts[t].ptr, len);
      if (copy != NULL && len > at) copy[at] ^= (uint8_t)(1u << change % 9);
      lk_slice text = lk_slice_of(copy, len);
      lk_buf out;
      lk_buf_init(&out, test_alloc(), OUT_MAX);
      lk_err made = lk_json_canonicalize(text, &limits, &out);
      bool same = made == LK_OK && lk_slice_equal(text, lk_buf_slice(&out));
      if (len == at) CHECK(made != LK_OK);
      CHECK_ERR(lk_json_check_canonical(text, &limits, test_alloc()), made != LK_OK ? made
                                                                      : same
                                                                          ? LK_OK
                                                                          : LK_ERR_NOT_CANONICAL);
      lk_buf_deinit(&out);
      lk_free_bytes(test_alloc(), copy, len);
    }
  }
}

/* ---- limits and memory ---- */

TEST(nesting_and_size_end_where_the_limits_say) {
  lk_limits limits = LK_LIMITS_INIT;
  lk_buf out;
  lk_buf_init(&out, test_alloc(), OUT_MAX);
  limits.json_depth = 3;
  CHECK_OK(lk_json_check_canonical(LK_LIT("[{\"a\":[]}]"), &limits, test_alloc()));
  CHECK_ERR(lk_json_check_canonical(LK_LIT("[{\"a\":[[]]}]"), &limits, test_alloc()), LK_ERR_DEPTH);
  CHECK_ERR(lk_json_canonicalize(LK_LIT("[{\"a\":[[]]}]"), &limits, &out), LK_ERR_DEPTH);
  limits.json_bytes = 5;
  CHECK_OK(lk_json_check_canonical(LK_LIT("12345"), &limits, test_alloc()));
  CHECK_ERR(lk_json_check_canonical(LK_LIT("123456"), &limits, test_alloc()), LK_ERR_TOO_BIG);
  CHECK_ERR(lk_json_canonicalize(LK_LIT("123456"), &limits, &out), LK_ERR_TOO_BIG);
  CHECK_U64(out.len, 0);
  lk_buf_deinit(&out);
}

/* Goal: the deepest text that any limit allows fits into all that is kept for each level. */
TEST(the_deepest_nesting_of_all_is_sorted_and_recognised) {
  lk_limits limits = LK_LIMITS_INIT;
  lk_buf text, want, out;
  lk_buf_init(&text, test_alloc(), OUT_MAX);
  lk_buf_init(&want, test_alloc(), OUT_MAX);
  lk_buf_init(&out, test_alloc(), OUT_MAX);
  limits.json_depth = LK_JSON_DEPTH_MAX;
  for (uint32_t i = 0; i < LK_JSON_DEPTH_MAX; i++) {
    (void)lk_buf_append(&text, LK_LIT("{\"b\":0,\"a\":"));
    (void)lk_buf_append(&want, LK_LIT("{\"a\":"));
  }
  (void)lk_buf_append(&text, LK_LIT("1"));
  (void)lk_buf_append(&want, LK_LIT("1"));
  for (uint32_t i = 0; i < LK_JSON_DEPTH_MAX; i++) {
    (void)lk_buf_append(&text, LK_LIT("}"));
    (void)lk_buf_append(&want, LK_LIT(",\"b\":0}"));
  }
  CHECK_OK(lk_json_canonicalize(lk_buf_slice(&text), &limits, &out));
  CHECK_SLICE(lk_buf_slice(&out), lk_buf_slice(&want));
  CHECK_OK(lk_json_check_canonical(lk_buf_slice(&want), &limits, test_alloc()));
  CHECK_ERR(lk_json_check_canonical(lk_buf_slice(&text), &limits, test_alloc()),
            LK_ERR_NOT_CANONICAL);
  limits.json_depth--;
  CHECK_ERR(lk_json_check_canonical(lk_buf_slice(&want), &limits, test_alloc()), LK_ERR_DEPTH);
  lk_buf_deinit(&text);
  lk_buf_deinit(&want);
  lk_buf_deinit(&out);
}

static void *refuse(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  (void)ctx;
  (void)ptr;
  (void)old_size;
  (void)new_size;
  return NULL;
}

TEST(checking_takes_no_memory_unless_names_are_out_of_order) {
  static const lk_alloc none = { refuse, NULL };
  static const lk_slice good[] = {
    LK_LIT_INIT("\"a\\n\xC3\xA9\""),
    LK_LIT_INIT("-1.5e-7"),
    LK_LIT_INIT("true"),
    LK_LIT_INIT("{\"\\n\":1,\"a\":[{\"b\":{}},\"\\u0000\"],\"b\":null}"),
  };
  static const lk_slice other[] = {
    LK_LIT_INIT("\"\\u0061\\/\""),
    LK_LIT_INIT("1.0"),
    LK_LIT_INIT(" true"),
    LK_LIT_INIT("{\"\\u000a\" : 1, \"\\u0061\": [ ], \"b\":\"\\ud83d\\ude00\"}"),
  };
  lk_limits limits = LK_LIMITS_INIT;
  for (size_t i = 0; i < 4; i++) {
    CHECK_OK(lk_json_check_canonical(good[i], &limits, &none));
    CHECK_ERR(lk_json_check_canonical(other[i], &limits, &none), LK_ERR_NOT_CANONICAL);
  }
  CHECK_ERR(lk_json_check_canonical(LK_LIT("[1,2"), &limits, &none), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_json_check_canonical(LK_LIT("{\"a\":1,\"a\":1}"), &limits, &none), LK_ERR_EXISTS);
  CHECK_ERR(lk_json_check_canonical(LK_LIT("{\"b\":1,\"a\":1}"), &limits, &none), LK_ERR_NOMEM);
}

TEST(without_memory_the_output_is_as_before) {
  lk_slice text = LK_LIT("{\"b\":\"x\\u0041\",\"a\":[1.0,{\"d\":\"\\u00e9 and more\",\"c\":{}}]}");
  lk_limits limits = LK_LIMITS_INIT;
  FAULT_LOOP(faults, test_alloc()) {
    lk_buf out;
    lk_buf_init(&out, faulty_alloc(&faults), OUT_MAX);
    lk_err begun = lk_buf_append(&out, LK_LIT("kept"));
    lk_err err = lk_json_canonicalize(text, &limits, &out);
    if (begun == LK_OK && err == LK_OK) {
      CHECK_TEXT(lk_buf_slice(&out),
                 "kept{\"a\":[1,{\"c\":{},\"d\":\"\xC3\xA9 and more\"}],\"b\":\"xA\"}");
    } else {
      CHECK_ERR(err, LK_ERR_NOMEM);
      CHECK_U64(out.len, begun == LK_OK ? 4 : 0);
      CHECK_ERR(lk_buf_err(&out), begun);
    }
    lk_buf_deinit(&out);
    err = lk_json_check_canonical(text, &limits, faulty_alloc(&faults));
    CHECK(err == LK_ERR_NOT_CANONICAL || (err == LK_ERR_NOMEM && faults.hit));
  }
}

TEST(an_output_that_is_full_is_as_before) {
  static const lk_slice texts[] = { LK_LIT_INIT("[1,2,3]"), LK_LIT_INIT("[1, 2, 3]"),
                                    LK_LIT_INIT("{\"b\":\"\\u0062\",\"a\":1}") };
  lk_limits limits = LK_LIMITS_INIT;
  for (size_t t = 0; t < 3; t++) {
    lk_err err = LK_ERR_LIMIT;
    for (size_t max = 4; err == LK_ERR_LIMIT; max++) {
      lk_buf out;
      lk_buf_init(&out, test_alloc(), max);
      CHECK_OK(lk_buf_append(&out, LK_LIT("kept")));
      err = lk_json_canonicalize(texts[t], &limits, &out);
      if (err == LK_ERR_LIMIT) {
        CHECK_TEXT(lk_buf_slice(&out), "kept");
        CHECK_OK(lk_buf_err(&out));
      } else {
        CHECK_OK(err);
        CHECK_U64(out.len, max);
      }
      lk_buf_deinit(&out);
    }
  }
}

TEST(an_output_that_has_failed_before_stays_so) {
  lk_limits limits = LK_LIMITS_INIT;
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 2);
  CHECK_ERR(lk_buf_append(&out, LK_LIT("abc")), LK_ERR_LIMIT);
  CHECK_ERR(lk_json_canonicalize(LK_LIT("1"), &limits, &out), LK_ERR_LIMIT);
  CHECK_ERR(lk_json_canonicalize(LK_LIT(" 1"), &limits, &out), LK_ERR_LIMIT);
  CHECK_ERR(lk_buf_err(&out), LK_ERR_LIMIT);
  CHECK_U64(out.len, 0);
  lk_buf_deinit(&out);
}

/* ---- hostile texts ---- */

typedef struct meter {
  const lk_alloc *inner;
  size_t used;
  size_t peak;
} meter;

static void *meter_resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  meter *self = ctx;
  void *result = self->inner->resize(self->inner->ctx, ptr, old_size, new_size);
  if (new_size > 0 && result == NULL) return NULL;
  self->used = self->used - old_size + new_size;
  self->peak = lk_max_size(self->peak, self->used);
  return result;
}

/* Checking |text| must give |want| and take at most three times its bytes; so much for what is kept
 * while it is made canonical, too, apart from the output. */
static void check_scratch(const lk_buf *text, lk_err want) {
  lk_limits limits = big_limits();
  meter m = { test_alloc(), 0, 0 };
  lk_alloc counting = { meter_resize, &m };
  CHECK_OK(lk_buf_err(text));
  CHECK_ERR(lk_json_check_canonical(lk_buf_slice(text), &limits, &counting), want);
  CHECK(m.used == 0 && m.peak <= 3 * text->len);
  if (want != LK_ERR_NOT_CANONICAL) return;
  lk_buf out;
  lk_buf_init(&out, &counting, OUT_MAX);
  CHECK_OK(lk_buf_reserve(&out, 2 * text->len));
  size_t before = m.used;
  m.peak = 0;
  CHECK_OK(lk_json_canonicalize(lk_buf_slice(text), &limits, &out));
  CHECK(m.used == before && m.peak - before <= 3 * text->len);
  CHECK_OK(lk_json_check_canonical(lk_buf_slice(&out), &limits, test_alloc()));
  lk_buf_deinit(&out);
}

static void append_number_name(lk_buf *text, uint32_t number) {
  (void)lk_buf_append_u8(text, '"');
  (void)lk_buf_append_decimal(text, number);
  (void)lk_buf_append(text, LK_LIT("\":0"));
}

/* Goal: no order of many names is slow: a quadratic sort would take minutes here, not a second.
 * Method: names that fall, names that jump, and all of them the same but for the first. */
TEST(many_names_in_any_order_take_little_time_and_memory) {
  enum { COUNT = 100003 };
  for (uint32_t order = 0; order < 3; order++) {
    lk_buf text;
    lk_buf_init(&text, test_alloc(), OUT_MAX);
    (void)lk_buf_append(&text, LK_LIT("{\"z\":0"));
    for (uint32_t i = 0; i < COUNT; i++) {
      (void)lk_buf_append_u8(&text, ',');
      uint32_t jumping = (uint32_t)((uint64_t)i * 61803 % COUNT);
      append_number_name(&text, order == 0 ? 2 * COUNT - i : order == 1 ? jumping : i % 2);
    }
    (void)lk_buf_append_u8(&text, '}');
    check_scratch(&text, order < 2 ? LK_ERR_NOT_CANONICAL : LK_ERR_EXISTS);
    lk_buf_deinit(&text);
  }
}

/* Goal: what lies deep is not moved once for each level, and small objects do not cost much memory.
 * */
TEST(deep_and_wide_objects_take_little_time_and_memory) {
  lk_buf text;
  lk_buf_init(&text, test_alloc(), OUT_MAX);
  for (uint32_t depth = 0; depth < 60; depth++) {
    (void)lk_buf_append(&text, LK_LIT("{\"z\":["));
    for (uint32_t i = 0; i < 1000; i++) {
      (void)lk_buf_append(&text, i % 2 == 0 ? LK_LIT("{\"b\":0,\"\":0},") : LK_LIT("{\"\":0},"));
    }
    (void)lk_buf_append(&text, LK_LIT("{}],\"y\":"));
  }
  (void)lk_buf_append(&text, LK_LIT("0"));
  for (uint32_t depth = 0; depth < 60; depth++) (void)lk_buf_append(&text, LK_LIT("}"));
  check_scratch(&text, LK_ERR_NOT_CANONICAL);
  lk_buf_deinit(&text);
}

TEST(long_names_that_begin_alike_take_little_time_and_memory) {
  lk_buf text;
  lk_buf_init(&text, test_alloc(), OUT_MAX);
  for (uint32_t i = 0; i < 1000; i++) {
    (void)lk_buf_append(&text, i == 0 ? LK_LIT("{\"") : LK_LIT(",\""));
    for (uint32_t k = 0; k < 100; k++)
      (void)lk_buf_append(&text, LK_LIT("same\xE2\x82\xAC\\u0061"));
    (void)lk_buf_append_decimal(&text, 2000 - i);
    (void)lk_buf_append(&text, LK_LIT("\":{}"));
  }
  (void)lk_buf_append(&text, LK_LIT("}"));
  check_scratch(&text, LK_ERR_NOT_CANONICAL);
  lk_buf_deinit(&text);
}
