/* Values from strangers: whatever comes out is canonical, and says the same in each form. */
#include "doc/value.h"

#include "codec/any.h"
#include "codec/json_reader.h"
#include "codec/utf.h"
#include "doc/value_json.h"
#include "harness/test.h"

#define DEPTH_MAX 12

static const lk_slice anys[] = {
  LK_LIT_INIT("\x76\x04\x01\x62\x7D\x01\x01\x30\x75\x02\x7F\x7A\0\0\0\0\0\0\0\x05\x01\x62\x7E\x02"
              "\x31\x30\x77\x02hi"),
  LK_LIT_INIT("\x75\x05\x7C\x3F\x80\x00\x00\x7B\x7F\xF8\0\0\0\0\0\x01\x7C\xFF\xC0\0\0\x7D\x80\x00"
              "\x74\x02\x00\xFF"),
  LK_LIT_INIT("\x76\x03\x09__proto__\x7E\x09__proto__\x76\x01\x01\x61\x78\x09__proto__\x79"),
  LK_LIT_INIT("\x75\x02\x76\x02\x01\x78\x75\x00\x01\x31\x76\x00\x75\x01\x76\x01\x00\x7D\x40"),
};
static const lk_slice texts[] = {
  LK_LIT_INIT(
      "{\"b\":1,\"10\":[{\"y\":null,\"2\":-0}], \"b\":\"\\ud800\\ud83d\\ude00\\n\\u0061\"}"),
  LK_LIT_INIT(
      "{\"\\ud800\":1,\"\\ud801\":2,\"\\u0030\":1e999,\"__proto__\":{\"\xC3\xA9\":[[],{}]}}"),
  LK_LIT_INIT("[1e20,5e-324,9007199254740993,\"\\/\\\\\",true,false,1.50]"),
  LK_LIT_INIT("{\"a\":1,\"b\":[\"canonical\",{}],\"c\":{\"d\":0.1}}"),
};

static bool has_prototype(lk_slice bytes) {
  return lk_slice_find(bytes, LK_LIT("__proto__")) != LK_SLICE_NONE;
}

/* Whether a bigint is in |any|: its JSON may be a number that JSON.parse rounds. */
static bool has_bigint(lk_slice any) {
  lk_any_frame frames[DEPTH_MAX];
  lk_any_reader reader;
  lk_any_item item;
  lk_reader in = lk_reader_of(any);
  lk_any_reader_init(&reader, &in, frames, DEPTH_MAX);
  while (lk_any_decode(&reader, &item) == LK_OK) {
    if (item.kind == LK_ANY_BIGINT) return true;
  }
  return false;
}

static void check_canonical_any(lk_slice any, lk_arena *scratch) {
  lk_reader in = lk_reader_of(any);
  lk_slice out;
  lk_buf json;
  CHECK_U64(lk_value_any_length(any), any.len);
  if (has_prototype(any)) return;
  CHECK_OK(lk_value_any_decode(&in, DEPTH_MAX, scratch, &out));
  CHECK(out.ptr == any.ptr && out.len == any.len);
  lk_buf_init(&json, test_alloc(), 1 << 24);
  CHECK_OK(lk_value_json_of_any(any, &json));
  CHECK_OK(lk_value_json_canonical(lk_buf_slice(&json), DEPTH_MAX + 1, scratch, &out));
  if (!has_bigint(any)) CHECK(out.ptr == json.ptr && out.len == json.len);
  lk_buf_deinit(&json);
}

FUZZ(lk_value_any_decode) {
  uint8_t noise[192];
  lk_arena scratch;
  lk_slice all = gen_hostile(g, anys, sizeof anys / sizeof *anys, noise, sizeof noise), out, span;
  lk_reader in = lk_reader_of(all), plain = lk_reader_of(all);
  lk_arena_init(&scratch, test_alloc(), 1 << 24);
  lk_err want = lk_any_span_decode(&plain, DEPTH_MAX, &span, NULL);
  CHECK_ERR(lk_value_any_decode(&in, DEPTH_MAX, &scratch, &out), want);
  CHECK_U64(in.pos, plain.pos);
  if (want == LK_OK) {
    check_canonical_any(out, &scratch);
    /* The next value, if there is one, is another side to compare with. */
    lk_slice other;
    if (lk_value_any_decode(&in, DEPTH_MAX, &scratch, &other) == LK_OK) {
      bool equal = lk_value_equal_flat(out, other);
      CHECK(!equal || lk_value_equal_flat(other, out));
    }
  }
  lk_arena_deinit(&scratch);
}

FUZZ(lk_value_json_canonical) {
  uint8_t noise[192];
  lk_arena scratch;
  lk_limits limits = lk_limits_default();
  lk_slice in = gen_hostile(g, texts, sizeof texts / sizeof *texts, noise, sizeof noise), out, any;
  limits.json_depth = DEPTH_MAX;
  lk_arena_init(&scratch, test_alloc(), 1 << 24);
  lk_err strict = lk_json_check(in, &limits, NULL);
  lk_err err = lk_value_json_canonical(in, DEPTH_MAX, &scratch, &out);
  /* The strict reader stops at a lone half of a pair, where this one goes on. */
  if (strict != LK_ERR_UTF8 && in.len <= limits.json_bytes) CHECK_ERR(err, strict);
  if (err != LK_OK) {
    CHECK_ERR(lk_value_any_of_json(in, DEPTH_MAX, &scratch, &any), err);
    CHECK_U64(scratch.used, 0);
  } else {
    lk_slice again;
    CHECK_OK(lk_value_json_canonical(out, DEPTH_MAX, &scratch, &again));
    CHECK(again.ptr == out.ptr && again.len == out.len);
    CHECK_OK(lk_value_any_of_json(in, DEPTH_MAX, &scratch, &any));
    CHECK_U64(lk_value_any_length(any), any.len);
    lk_reader reader = lk_reader_of(any);
    CHECK_OK(lk_value_any_decode(&reader, DEPTH_MAX, &scratch, &again));
    check_canonical_any(again, &scratch);
  }
  lk_arena_deinit(&scratch);
}

/* What is spelled again is spelled in the one way, and means the same.
 * also fuzzes: lk_value_json_number_decode */
FUZZ(lk_value_json_string_decode) {
  uint8_t noise[96], text[1024], other[1024];
  lk_slice in = gen_hostile(g, texts, sizeof texts / sizeof *texts, noise, sizeof noise), spelled,
           again;
  bool as_is;
  double number, back;
  in = lk_slice_first(in, sizeof text);
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 20);
  for (size_t at = 0; at < in.len; at++) {
    lk_reader reader = { in, at };
    lk_buf_truncate(&out, 0);
    if (lk_value_json_string_decode(&reader, &spelled, &as_is) == LK_OK) {
      size_t len = lk_value_json_text_len(spelled);
      CHECK_OK(lk_value_json_put_string(&out, spelled));
      CHECK_U64(as_is, lk_slice_equal(lk_reader_since(&reader, at), lk_buf_slice(&out)));
      lk_reader rest = lk_reader_of(lk_buf_slice(&out));
      CHECK_OK(lk_value_json_string_decode(&rest, &again, &as_is));
      CHECK(as_is && lk_value_json_text_len(again) == len && len <= spelled.len);
      lk_value_json_text(spelled, LK_VALUE_LONE_KEPT, text);
      lk_value_json_text(again, LK_VALUE_LONE_KEPT, other);
      CHECK(len == 0 || memcmp(text, other, len) == 0);
      lk_value_json_text(again, LK_VALUE_LONE_REPLACED, other);
      CHECK_OK(lk_utf8_check(lk_slice_of(other, len)));
    } else if (lk_value_json_number_decode(&reader, &number, &as_is) == LK_OK) {
      CHECK_OK(lk_value_json_put_number(&out, number));
      CHECK_U64(as_is, lk_slice_equal(lk_reader_since(&reader, at), lk_buf_slice(&out)));
      lk_reader rest = lk_reader_of(lk_buf_slice(&out));
      if (number - number == 0) {
        CHECK_OK(lk_value_json_number_decode(&rest, &back, &as_is));
        CHECK(as_is && back == number);
      }
    } else {
      CHECK_U64(reader.pos, at);
    }
  }
  lk_buf_deinit(&out);
}
