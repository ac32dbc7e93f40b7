/* Values as Yjs carries them, against what lib0 and JavaScript's JSON made of the same ones. */
#include "doc/value.h"

#include "codec/any.h"
#include "codec/varint.h"
#include "unit/codec/vectors.h"

#define PATH "tests/vectors/doc_value.json"
#define DEPTH 64

static lk_arena new_arena(void) {
  lk_arena arena;
  lk_arena_init(&arena, test_alloc(), (size_t)1 << 28);
  return arena;
}

static lk_buf new_buf(void) {
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), (size_t)1 << 28);
  return buf;
}

/* Reads |any| with bytes behind it, which are not to be touched. */
static lk_slice decode(lk_slice any, lk_buf *behind, lk_arena *scratch) {
  lk_slice out = LK_SLICE_EMPTY;
  lk_buf_truncate(behind, 0);
  lk_buf_append(behind, any);
  lk_buf_append(behind, LK_LIT("\x7D\x07"));
  lk_reader in = lk_reader_of(lk_buf_slice(behind));
  CHECK_OK(lk_value_any_decode(&in, DEPTH, scratch, &out));
  CHECK_U64(in.pos, any.len);
  CHECK((out.ptr == behind->ptr) == lk_slice_equal(out, any)); /* borrowed where it is the same */
  return out;
}

TEST(any_comes_out_as_lib0_writes_what_it_read) {
  lk_json_member f[] = { VECTORS_FIELD("hex"), VECTORS_FIELD("out") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("any"));
  while (vectors_next(&v, f, 2)) {
    lk_arena scratch = new_arena();
    lk_buf behind = new_buf();
    test_note("%.*s", (int)vectors_text(&f[0]).len, (const char *)vectors_text(&f[0]).ptr);
    CHECK_SLICE(decode(vectors_hex(&v, &f[0]), &behind, &scratch), vectors_hex(&v, &f[1]));
    lk_buf_deinit(&behind);
    lk_arena_deinit(&scratch);
  }
  vectors_close(&v);
}

/* Those of 31 bits are; the others come out as floats, and no byte is there that says nothing. */
TEST(integers_are_of_31_bits_and_as_short_as_can_be) {
  static const struct {
    lk_slice in, out;
  } cases[] = {
    { LK_LIT_INIT("\x7D\x00"), LK_LIT_INIT("\x7D\x00") },
    { LK_LIT_INIT("\x7D\x7F"), LK_LIT_INIT("\x7D\x7F") },
    { LK_LIT_INIT("\x7D\xC0\x01"), LK_LIT_INIT("\x7D\xC0\x01") },
    { LK_LIT_INIT("\x7D\x80\x00"), LK_LIT_INIT("\x7D\x00") },
    { LK_LIT_INIT("\x7D\xBF\x80\x00"), LK_LIT_INIT("\x7D\x3F") },
    { LK_LIT_INIT("\x7D\xBF\xFF\xFF\xFF\x0F"), LK_LIT_INIT("\x7D\xBF\xFF\xFF\xFF\x0F") },
    { LK_LIT_INIT("\x7D\xFF\xFF\xFF\xFF\x0F"), LK_LIT_INIT("\x7D\xFF\xFF\xFF\xFF\x0F") },
    { LK_LIT_INIT("\x7D\x80\x80\x80\x80\x10"), LK_LIT_INIT("\x7C\x4F\x00\x00\x00") },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_arena scratch = new_arena();
    lk_buf behind = new_buf();
    test_note("%zu", i);
    CHECK_SLICE(decode(cases[i].in, &behind, &scratch), cases[i].out);
    lk_buf_deinit(&behind);
    lk_arena_deinit(&scratch);
  }
}

/* Something like an integer: of any length, too long for what it says, or of more than 31 bits. */
static void draw_integer(lk_gen *g, lk_buf *out) {
  static const uint8_t lasts[] = { 0, 1, 0x0F, 0x10, 0x3F, 0x40, 0x7F };
  lk_buf_append_u8(out, gen_chance(g, 1, 16) ? 0x7C : 0x7D);
  for (uint32_t more = gen_below(g, 6); more > 0; more--)
    lk_buf_append_u8(out, (uint8_t)(0x80 | gen_below(g, 128)));
  lk_buf_append_u8(out,
                   gen_bool(g) ? lasts[gen_below(g, sizeof lasts)] : (uint8_t)gen_below(g, 128));
}

/* Goal: a run of integers ends where the first one does that is none, or is not canonical.
 * Method: a run of anything like them, read at once, and one by one with nothing behind each. */
PROPERTY(integers_side_by_side_are_those_that_are_integers_alone) {
  lk_buf bytes = new_buf();
  size_t ends[9] = { 0 };
  uint64_t drawn = 1 + gen_below(g, 8), alone = 0, together = drawn;
  for (uint64_t i = 0; i < drawn; i++) {
    draw_integer(g, &bytes);
    ends[i + 1] = bytes.len;
  }
  lk_slice all = lk_buf_slice(&bytes);
  for (uint64_t one = 1; alone < drawn && one == 1; alone += one) {
    lk_slice piece = lk_slice_first(lk_slice_skip(all, ends[alone]), ends[alone + 1] - ends[alone]);
    size_t len = lk_value_integers_length(piece, &one);
    CHECK_U64(len, one == 1 ? piece.len : 0);
  }
  CHECK_U64(lk_value_integers_length(all, &together), ends[alone]);
  CHECK_U64(together, alone);
  if (alone > 0) {
    uint64_t fewer = alone - 1;
    CHECK_U64(lk_value_integers_length(all, &fewer), ends[alone - 1]);
  }
  lk_buf_deinit(&bytes);
}

TEST(json_comes_out_as_javascript_writes_what_it_read) {
  lk_json_member f[] = { VECTORS_FIELD("text"), VECTORS_FIELD("out"), VECTORS_FIELD("any") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("json"));
  while (vectors_next(&v, f, 3)) {
    lk_arena scratch = new_arena();
    lk_slice text = vectors_text(&f[0]), want = vectors_text(&f[1]), out = LK_SLICE_EMPTY, any;
    test_note("%.*s", (int)text.len, (const char *)text.ptr);
    CHECK_OK(lk_value_json_canonical(text, DEPTH, &scratch, &out));
    CHECK_SLICE(out, want);
    CHECK((out.ptr == text.ptr) == lk_slice_equal(text, want));
    CHECK_OK(lk_value_json_canonical(want, DEPTH, &scratch, &out));
    CHECK(out.ptr == want.ptr && out.len == want.len);
    CHECK_OK(lk_value_any_of_json(text, DEPTH, &scratch, &any));
    CHECK_SLICE(any, vectors_hex(&v, &f[2]));
    lk_arena_deinit(&scratch);
  }
  vectors_close(&v);
}

TEST(any_becomes_the_json_that_javascript_writes) {
  lk_json_member f[] = { VECTORS_FIELD("hex"), VECTORS_FIELD("out") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("json_of_any"));
  while (vectors_next(&v, f, 2)) {
    lk_buf out = new_buf(), behind = new_buf();
    lk_slice any = vectors_hex(&v, &f[0]);
    test_note("%.*s", (int)vectors_text(&f[0]).len, (const char *)vectors_text(&f[0]).ptr);
    lk_buf_append(&out, LK_LIT("before"));
    CHECK_OK(lk_value_json_of_any(any, &out));
    CHECK_SLICE(lk_slice_skip(lk_buf_slice(&out), 6), vectors_text(&f[1]));
    lk_buf_append(&behind, any);
    lk_buf_append(&behind, any);
    CHECK_U64(lk_value_any_length(lk_buf_slice(&behind)), any.len);
    lk_buf_deinit(&out);
    lk_buf_deinit(&behind);
  }
  vectors_close(&v);
}

#define SIDES_MAX 64

TEST(flat_values_are_equal_where_yjs_finds_them_equal) {
  lk_json_member f[] = { VECTORS_FIELD("hex"), VECTORS_FIELD("equals") };
  lk_arena kept = new_arena();
  lk_slice sides[SIDES_MAX], equals[SIDES_MAX];
  size_t count = 0;
  vectors v;
  vectors_open(&v, PATH, LK_LIT("equal"));
  for (; vectors_next(&v, f, 2); count++) {
    CHECK(count < SIDES_MAX);
    CHECK_OK(lk_arena_copy(&kept, vectors_hex(&v, &f[0]), &sides[count]));
    CHECK_OK(lk_arena_copy(&kept, vectors_text(&f[1]), &equals[count]));
  }
  vectors_close(&v);
  for (size_t i = 0; i < count; i++) {
    CHECK_U64(equals[i].len, count);
    for (size_t j = 0; j < count; j++) {
      lk_slice other;
      CHECK_OK(
          lk_arena_copy(&kept, sides[j], &other)); /* one slice given twice would be identity */
      test_note("sides %zu and %zu", i, j);
      CHECK_U64(lk_value_equal_flat(sides[i], other), equals[i].ptr[j] == '1');
    }
  }
  lk_arena_deinit(&kept);
}

TEST(one_slice_given_twice_is_one_object) {
  lk_slice nested = LK_LIT("\x75\x01\x75\x00"), nan = LK_LIT("\x7B\x7F\xF8\0\0\0\0\0\0");
  uint8_t copy[4];
  memcpy(copy, nested.ptr, 4);
  CHECK(lk_value_equal_flat(nested, nested));
  CHECK(!lk_value_equal_flat(nested, lk_slice_of(copy, 4)));
  CHECK(!lk_value_equal_flat(nan, nan));
}

/* ---- what is refused ---- */

TEST(what_javascript_refuses_is_refused_and_changes_nothing) {
  lk_json_member f[] = { VECTORS_FIELD("hex"), VECTORS_FIELD("text") };
  lk_slice untouched = LK_LIT("untouched");
  vectors v;
  vectors_open(&v, PATH, LK_LIT("refused"));
  while (vectors_next(&v, f, 2)) {
    lk_arena scratch = new_arena();
    lk_slice out = untouched;
    lk_buf json = new_buf();
    if (vectors_has(&f[0])) {
      lk_slice any = vectors_hex(&v, &f[0]);
      lk_reader in = lk_reader_of(any);
      CHECK(lk_value_any_decode(&in, DEPTH, &scratch, &out) != LK_OK);
      CHECK_U64(in.pos, 0);
      CHECK(lk_value_json_of_any(any, &json) != LK_OK);
      CHECK(json.len == 0 && json.err == LK_OK);
    } else {
      lk_slice text = vectors_text(&f[1]);
      test_note("%.*s", (int)text.len, (const char *)text.ptr);
      CHECK(lk_value_json_canonical(text, DEPTH, &scratch, &out) != LK_OK);
      CHECK(lk_value_any_of_json(text, DEPTH, &scratch, &out) != LK_OK);
    }
    CHECK(out.ptr == untouched.ptr && scratch.used == 0);
    lk_buf_deinit(&json);
    lk_arena_deinit(&scratch);
  }
  vectors_close(&v);
}

TEST(each_mistake_in_json_has_its_error) {
  static const struct {
    lk_slice text;
    lk_err want;
  } cases[] = {
    { LK_LIT_INIT(""), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("[1"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\"a"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\"\\u00"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("tru"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("{\"a\""), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("trux"), LK_ERR_SYNTAX },
    { LK_LIT_INIT("[1,]"), LK_ERR_SYNTAX },
    { LK_LIT_INIT("{\"a\",1}"), LK_ERR_SYNTAX },
    { LK_LIT_INIT("{1:1}"), LK_ERR_SYNTAX },
    { LK_LIT_INIT("\"\\x\""), LK_ERR_SYNTAX },
    { LK_LIT_INIT("\"\t\""), LK_ERR_SYNTAX },
    { LK_LIT_INIT("1 2"), LK_ERR_TRAILING },
    { LK_LIT_INIT("{}}"), LK_ERR_TRAILING },
    { LK_LIT_INIT("\"\xFF\""), LK_ERR_UTF8 },
    { LK_LIT_INIT("{\"\xED\xA0\x80\":1}"), LK_ERR_UTF8 },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    lk_arena scratch = new_arena();
    lk_slice out;
    test_note("case %zu", i);
    CHECK_ERR(lk_value_json_canonical(cases[i].text, DEPTH, &scratch, &out), cases[i].want);
    CHECK_ERR(lk_value_any_of_json(cases[i].text, DEPTH, &scratch, &out), cases[i].want);
    lk_arena_deinit(&scratch);
  }
}

static void append_times(lk_buf *out, lk_slice bytes, size_t times) {
  while (times-- > 0) lk_buf_append(out, bytes);
}

TEST(nesting_is_bounded_in_both_formats) {
  for (uint32_t depth = 0; depth <= LK_ANY_DEPTH_MAX; depth = depth * 2 + 1) {
    lk_arena scratch = new_arena();
    lk_buf any = new_buf(), json = new_buf(), back = new_buf();
    lk_slice out;
    append_times(&any, LK_LIT("\x75\x01"), depth);
    lk_buf_append(&any, LK_LIT("\x7D\x80\x00")); /* 0, in a longer form: it is rewritten */
    append_times(&json, LK_LIT("["), depth);
    lk_buf_append(&json, LK_LIT(" 0"));
    append_times(&json, LK_LIT("]"), depth);
    lk_reader in = lk_reader_of(lk_buf_slice(&any));
    if (depth > 0) {
      CHECK_ERR(lk_value_any_decode(&in, depth - 1, &scratch, &out), LK_ERR_DEPTH);
      CHECK_ERR(lk_value_json_canonical(lk_buf_slice(&json), depth - 1, &scratch, &out),
                LK_ERR_DEPTH);
    }
    CHECK_OK(lk_value_any_decode(&in, depth, &scratch, &out));
    CHECK_U64(out.len, any.len - 1);
    CHECK_U64(lk_value_any_length(out), out.len);
    CHECK_OK(lk_value_json_of_any(out, &back));
    CHECK_OK(lk_value_json_canonical(lk_buf_slice(&json), depth, &scratch, &out));
    CHECK_SLICE(out, lk_buf_slice(&back));
    lk_buf_deinit(&any);
    lk_buf_deinit(&json);
    lk_buf_deinit(&back);
    lk_arena_deinit(&scratch);
  }
}

/* JSON says bytes with an object, which is one level more. */
TEST(bytes_at_the_greatest_depth_have_no_json) {
  lk_buf any = new_buf(), json = new_buf();
  append_times(&any, LK_LIT("\x75\x01"), LK_ANY_DEPTH_MAX);
  lk_buf_append(&any, LK_LIT("\x74\x00"));
  CHECK_ERR(lk_value_json_of_any(lk_buf_slice(&any), &json), LK_ERR_DEPTH);
  CHECK_U64(json.len, 0);
  CHECK_OK(lk_value_json_of_any(lk_slice_skip(lk_buf_slice(&any), 2), &json));
  lk_buf_deinit(&any);
  lk_buf_deinit(&json);
}

TEST(json_that_does_not_fit_leaves_the_buffer_as_it_was) {
  lk_slice any = LK_LIT("\x75\x02\x77\x03one\x77\x03two");
  for (size_t max = 1; max <= 15; max++) {
    lk_buf out;
    lk_buf_init(&out, test_alloc(), max + 1);
    lk_buf_append(&out, LK_LIT("x"));
    lk_err err = lk_value_json_of_any(any, &out);
    CHECK_ERR(err, max < 13 ? LK_ERR_LIMIT : LK_OK);
    CHECK_U64(out.len, max < 13 ? 1 : 14);
    CHECK_OK(lk_buf_err(&out));
    lk_buf_deinit(&out);
  }
}

/* ---- memory ---- */

/* Goal: what is canonical costs no memory.
 * Method: an arena that never gives any. */
TEST(canonical_values_need_no_memory) {
  static const lk_slice anys[] = {
    LK_LIT_INIT("\x78"),
    LK_LIT_INIT("\x7E"),
    LK_LIT_INIT("\x77\x05hello"),
    LK_LIT_INIT("\x7D\x2A"),
    LK_LIT_INIT("\x7B\x3F\xB9\x99\x99\x99\x99\x99\x9A"),
    LK_LIT_INIT("\x76\x03\0010\x7E\0011\x75\x01\x76\x01\x01\x61\x7F\x01\x61\x7D\x01"),
  };
  static const lk_slice texts[] = {
    LK_LIT_INIT("true"),
    LK_LIT_INIT("null"),
    LK_LIT_INIT("\"bold\""),
    LK_LIT_INIT("-12"),
    LK_LIT_INIT("{\"0\":null,\"1\":[{\"a\":0.1}],\"a\":\"\\ud800\\n\",\"__proto__\":{}}"),
    LK_LIT_INIT("{\"a\":{\"a\":{\"a\":1}}}"),
  };
  lk_arena scratch;
  lk_slice out;
  lk_arena_init(&scratch, test_alloc(), 0);
  for (size_t i = 0; i < sizeof anys / sizeof *anys; i++) {
    lk_reader in = lk_reader_of(anys[i]);
    CHECK_OK(lk_value_any_decode(&in, DEPTH, &scratch, &out));
    CHECK(out.ptr == anys[i].ptr && out.len == anys[i].len);
  }
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    CHECK_OK(lk_value_json_canonical(texts[i], DEPTH, &scratch, &out));
    CHECK(out.ptr == texts[i].ptr && out.len == texts[i].len);
  }
  lk_arena_deinit(&scratch);
}

TEST(failed_allocations_change_nothing) {
  lk_slice any = LK_LIT(
      "\x76\x03\x01\x62\x7D\x01\x01\x61\x75\x01\x76\x02\x01\x78\x7E\0011\x7E\x01\x62\x7D\x80\x00");
  lk_slice json = LK_LIT("{\"\\u0062\":1,\"a\":[{\"x\":null,\"1\":null}], \"b\":0}");
  FAULT_LOOP(faults, test_alloc()) {
    lk_slice out[3] = { 0 };
    lk_reader in = lk_reader_of(any);
    lk_arena scratch;
    lk_arena_init(&scratch, faulty_alloc(&faults), 1 << 16);
    lk_err err = lk_value_any_decode(&in, DEPTH, &scratch, &out[0]);
    CHECK(err == LK_OK ? in.pos == any.len : err == LK_ERR_NOMEM && in.pos == 0);
    if (err == LK_OK)
      CHECK_TEXT(out[0], "\x76\x02\x01\x62\x7D\x00\x01\x61\x75\x01\x76\x02\0011\x7E\x01\x78\x7E");
    size_t used = scratch.top == NULL ? 0 : scratch.used;
    err = lk_value_json_canonical(json, DEPTH, &scratch, &out[1]);
    CHECK(err == LK_OK || (err == LK_ERR_NOMEM && scratch.used == used && out[1].ptr == NULL));
    if (err == LK_OK) CHECK_TEXT(out[1], "{\"b\":0,\"a\":[{\"1\":null,\"x\":null}]}");
    err = lk_value_any_of_json(json, DEPTH, &scratch, &out[2]);
    CHECK(err == LK_OK || (err == LK_ERR_NOMEM && out[2].ptr == NULL));
    if (err == LK_OK && out[0].ptr != NULL) CHECK_SLICE(out[2], out[0]);
    lk_arena_deinit(&scratch);
  }
}

TEST(scratch_holds_the_result_and_nothing_more) {
  lk_arena scratch = new_arena();
  lk_slice first, second;
  CHECK_OK(lk_value_json_canonical(LK_LIT("{\"b\":1, \"1\":2}"), DEPTH, &scratch, &first));
  CHECK_OK(lk_value_json_canonical(LK_LIT("[ 1 ]"), DEPTH, &scratch, &second));
  CHECK_TEXT(first, "{\"1\":2,\"b\":1}");
  CHECK(second.ptr == first.ptr + first.len); /* side by side */
  lk_arena_deinit(&scratch);
}

/* Goal: what is needed for putting one object in order is given back before the next one.
 * Method: a thousand objects, and memory for their nodes and little more. */
TEST(many_small_objects_need_memory_for_one_at_a_time) {
  lk_arena scratch;
  lk_buf any = new_buf();
  lk_slice out;
  lk_any_encode_array_begin(&any, 1000);
  append_times(&any, LK_LIT("\x76\x02\x01\x61\x7E\0011\x7E"), 1000);
  lk_arena_init(&scratch, test_alloc(), 100000);
  lk_reader in = lk_reader_of(lk_buf_slice(&any));
  CHECK_OK(lk_value_any_decode(&in, DEPTH, &scratch, &out));
  CHECK_U64(out.len, any.len);
  lk_buf_deinit(&any);
  lk_arena_deinit(&scratch);
}

/* ---- many keys ---- */

static void append_key(lk_buf *out, char letter, uint32_t number) {
  uint8_t key[8] = { (uint8_t)letter };
  for (size_t i = 7; i > 0; i--, number /= 10) key[i] = (uint8_t)('0' + number % 10);
  lk_any_encode_key(out, lk_slice_of(key, sizeof key));
}

enum { MANY = 100000 };

/* Goal: an object of any size is read in a time that is in proportion, and as JavaScript would.
 * Method: keys in order, backwards, and all of them twice; something quadratic would take minutes. */
TEST(objects_of_many_keys_are_put_in_order) {
  lk_arena scratch = new_arena();
  lk_buf plain = new_buf(), backwards = new_buf(), twice = new_buf();
  lk_slice out;
  lk_any_encode_object_begin(&plain, MANY);
  lk_any_encode_object_begin(&backwards, MANY);
  lk_any_encode_object_begin(&twice, 2 * MANY);
  for (uint32_t round = 0; round < 2; round++) {
    for (uint32_t i = 0; i < MANY; i++) {
      append_key(&twice, 'k', round == 0 ? i : MANY - 1 - i);
      lk_any_encode_number(&twice, round == 0 ? -1.0 : (double)(MANY - 1 - i));
      if (round == 1) continue;
      append_key(&plain, 'k', i);
      lk_any_encode_number(&plain, i);
      append_key(&backwards, 'k', MANY - 1 - i);
      lk_any_encode_number(&backwards, MANY - 1 - i);
    }
  }
  lk_reader in = lk_reader_of(lk_buf_slice(&plain));
  CHECK_OK(lk_value_any_decode(&in, DEPTH, &scratch, &out));
  CHECK(out.ptr == plain.ptr &&
        out.len == plain.len); /* too many to be sure at once, yet borrowed */
  in = lk_reader_of(lk_buf_slice(&twice));
  CHECK_OK(lk_value_any_decode(&in, DEPTH, &scratch, &out));
  CHECK(lk_slice_equal(out, lk_buf_slice(&plain)));
  CHECK(lk_value_equal_flat(out, lk_buf_slice(&plain)));
  CHECK(
      !lk_value_equal_flat(out, lk_buf_slice(&backwards))); /* equal, but too far from each other */
  CHECK_COVERED(value_comparison_was_given_up);
  lk_buf_deinit(&plain);
  lk_buf_deinit(&backwards);
  lk_buf_deinit(&twice);
  lk_arena_deinit(&scratch);
}

TEST(objects_of_a_hundred_keys_are_equal_in_any_order) {
  lk_buf plain = new_buf(), backwards = new_buf();
  lk_any_encode_object_begin(&plain, 100);
  lk_any_encode_object_begin(&backwards, 100);
  for (uint32_t i = 0; i < 100; i++) {
    append_key(&plain, 'k', i);
    lk_any_encode_number(&plain, i);
    append_key(&backwards, 'k', 99 - i);
    lk_any_encode_number(&backwards, 99 - i);
  }
  CHECK(lk_value_equal_flat(lk_buf_slice(&plain), lk_buf_slice(&backwards)));
  backwards.ptr[backwards.len - 1] = 1; /* the value of the first key, which was 0 */
  CHECK(!lk_value_equal_flat(lk_buf_slice(&plain), lk_buf_slice(&backwards)));
  lk_buf_deinit(&plain);
  lk_buf_deinit(&backwards);
}

/* Goal: a key that comes twice is noticed wherever the two stand, and however many are between them. */
PROPERTY(repeated_keys_are_noticed_at_any_distance) {
  lk_arena scratch = new_arena();
  lk_buf any = new_buf();
  uint32_t count = gen_range(g, 2, 90), second = gen_range(g, 1, count - 1);
  uint32_t first = gen_below(g, second);
  lk_slice out;
  lk_any_encode_object_begin(&any, count);
  for (uint32_t i = 0; i < count; i++) {
    append_key(&any, 'k', i == second ? first : i);
    lk_any_encode_number(&any, i == second ? 50 : 1);
  }
  lk_reader in = lk_reader_of(lk_buf_slice(&any)), back;
  CHECK_OK(lk_value_any_decode(&in, DEPTH, &scratch, &out));
  CHECK_U64(out.len, any.len - 11);
  back = lk_reader_of(lk_slice_skip(out, 2 + 11 * (size_t)first + 9));
  lk_slice value;
  CHECK_OK(lk_any_span_decode(&back, 0, &value, NULL));
  CHECK_TEXT(value, "\x7D\x32");
  lk_buf_deinit(&any);
  lk_arena_deinit(&scratch);
}
