/* Terms from outside: all ways to read one agree, and what has JSON comes back from it. */
#include "codec/etf.h"
#include "codec/json_reader.h"
#include "harness/test.h"

static const lk_slice samples[] = {
  LK_LIT_INIT("\x83h\x03t\x00\x00\x00\x02"
              "d\x00\x04roled\x00\x06"
              "editorm\x00\x00\x00\x07user_ida*n"
              "\x06\x00\x00h\xe5\xcf\x8b\x01"
              "b\x00\x01Q\x80"),
  LK_LIT_INIT("\x83l\x00\x00\x00\x02"
              "F?\xf8\x00\x00\x00\x00\x00\x00k\x00\x03\x01\x02\x03j"),
  LK_LIT_INIT("\x83i\x00\x00\x00\x02s\x01\xe9o\x00\x00\x00\x0a\x01\x01\x02\x03\x04\x05\x06\x07\x08"
              "\x09\x0a"),
  LK_LIT_INIT("\x83t\x00\x00\x00\x02"
              "a\x01w\x03nilm\x00\x00\x00\x02\xc3\xa9h\x00"),
};

/* How many values |bytes| has, and the error; each event is borrowed from the bytes. */
static lk_err walk(lk_slice bytes, size_t *count) {
  lk_etf_reader r;
  lk_etf_event event = { 0 };
  lk_err err = lk_etf_reader_init(&r, bytes);
  for (*count = 0; err == LK_OK && event.kind != LK_ETF_END; ++*count) {
    if ((err = lk_etf_next(&r, &event)) != LK_OK) break;
    CHECK(r.depth <= LK_ETF_DEPTH_MAX && *count <= 2 * bytes.len + 1);
    if (event.text.len > 0)
      CHECK(event.text.ptr >= bytes.ptr &&
            event.text.ptr + event.text.len <= bytes.ptr + bytes.len);
  }
  return err;
}

/* also fuzzes: lk_etf_skip_value, lk_etf_to_json */
FUZZ(lk_etf_next) {
  uint8_t scratch[512];
  lk_limits limits = lk_limits_default();
  lk_slice bytes = gen_hostile(g, samples, sizeof samples / sizeof *samples, scratch,
                               sizeof scratch);
  size_t count;
  lk_err err = walk(bytes, &count);
  lk_etf_reader r;
  lk_slice term = LK_SLICE_EMPTY;
  lk_err skipped = lk_etf_reader_init(&r, bytes);
  if (skipped == LK_OK) skipped = lk_etf_skip_value(&r, &term);
  if (err != LK_ERR_TRAILING) CHECK_ERR(skipped, err);
  if (skipped != LK_OK) return;
  CHECK_U64(term.len, r.in.pos - 1);

  lk_buf json, again;
  lk_buf_init(&json, test_alloc(), 1u << 16);
  lk_buf_init(&again, test_alloc(), 1u << 16);
  if (lk_etf_to_json(term, &json) == LK_OK) {
    CHECK_OK(lk_json_check(lk_buf_slice(&json), &limits, NULL));
    CHECK(json.len <= term.len * 8);
    err = lk_etf_write_json(&again, lk_buf_slice(&json), &limits);
    CHECK(err == LK_OK || err == LK_ERR_RANGE); /* integers beyond 64 bits are read only */
  } else {
    CHECK_U64(json.len, 0);
  }
  if (again.len > 0) {
    lk_buf same;
    lk_buf_init(&same, test_alloc(), 1u << 16);
    CHECK_OK(lk_etf_to_json(lk_buf_slice(&again), &same));
    CHECK_SLICE(lk_buf_slice(&same), lk_buf_slice(&json));
    lk_buf_deinit(&same);
  }
  lk_buf_deinit(&json);
  lk_buf_deinit(&again);
}

/* Any JSON that can be written reads back as the same term. */
FUZZ(lk_etf_write_json) {
  static const lk_slice texts[] = {
    LK_LIT_INIT("{\"a\":[1,2,{\"b\":\"\\u00e9\"}],\"c\":-1.5e-3,\"d\":[],\"e\":null}"),
    LK_LIT_INIT("[18446744073709551615,-9223372036854775808,255,256,[1,2,3],true]"),
  };
  uint8_t scratch[512];
  lk_limits limits = lk_limits_default();
  lk_buf term, json, again;
  lk_slice text = gen_hostile(g, texts, 2, scratch, sizeof scratch);
  lk_buf_init(&term, test_alloc(), 1u << 16);
  lk_buf_init(&json, test_alloc(), 1u << 16);
  lk_buf_init(&again, test_alloc(), 1u << 16);
  if (lk_etf_write_json(&term, text, &limits) == LK_OK) {
    CHECK_OK(lk_json_check(text, &limits, NULL));
    CHECK_OK(lk_etf_to_json(lk_buf_slice(&term), &json));
    /* a float without a fraction is printed as an integer, perhaps one beyond 64 bits */
    lk_err err = lk_etf_write_json(&again, lk_buf_slice(&json), &limits);
    CHECK(err == LK_OK || err == LK_ERR_RANGE);
    lk_buf_truncate(&term, 0);
    if (err == LK_OK) {
      CHECK_OK(lk_etf_to_json(lk_buf_slice(&again), &term));
      CHECK_SLICE(lk_buf_slice(&term), lk_buf_slice(&json));
    }
  } else {
    CHECK_U64(term.len, 0);
  }
  lk_buf_deinit(&term);
  lk_buf_deinit(&json);
  lk_buf_deinit(&again);
}
