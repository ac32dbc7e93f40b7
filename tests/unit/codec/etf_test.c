/* Erlang's terms: one of each kind, each refusal, JSON both ways, and no memory. */
#include "codec/etf.h"

#include "codec/hex.h"
#include "unit/codec/vectors.h"

/* The term |hex| (without the version in front) as JSON, or the error. */
static lk_err to_json(const char *hex, lk_buf *out) {
  lk_buf term;
  lk_buf_init(&term, test_alloc(), 1u << 16);
  CHECK_OK(lk_hex_decode(&term, lk_slice_cstr(hex)));
  lk_err err = lk_etf_to_json(lk_buf_slice(&term), out);
  lk_buf_deinit(&term);
  return err;
}

static void check_json(const char *hex, const char *want) {
  lk_buf json;
  test_note("%s", hex);
  lk_buf_init(&json, test_alloc(), 1u << 16);
  CHECK_OK(to_json(hex, &json));
  CHECK_SLICE(lk_buf_slice(&json), lk_slice_cstr(want));
  lk_buf_deinit(&json);
}

static void check_refused(const char *hex, lk_err want) {
  lk_buf json;
  test_note("%s", hex);
  lk_buf_init(&json, test_alloc(), 1u << 16);
  CHECK_OK(lk_buf_append(&json, LK_LIT("before")));
  CHECK_ERR(to_json(hex, &json), want);
  CHECK_TEXT(lk_buf_slice(&json), "before");
  lk_buf_deinit(&json);
}

TEST(etf_integers_of_all_widths_become_numbers) {
  check_json("6100", "0");
  check_json("61ff", "255");
  check_json("6200000100", "256");
  check_json("62ffffffff", "-1");
  check_json("6280000000", "-2147483648");
  check_json("6e0400ffffffff", "4294967295");
  check_json("6e08010000000000000080", "-9223372036854775808");
}

TEST(etf_integers_beyond_64_bits_keep_all_digits) {
  check_json("6e0800ffffffffffffffff", "18446744073709551615");
  check_json("6e0900000000000000000001", "18446744073709551616");
  check_json("6e0901000000000000000001", "-18446744073709551616");
  check_json("6f0000000d0000000040eaed7446d09c2c9f0c", "1000000000000000000000000000000");
  check_json("6e0300ff0000", "255"); /* zeroes behind, which Erlang does not write */
  check_json("6e0001", "0");
}

TEST(etf_atoms_are_names_but_for_three) {
  check_json("6400036e696c", "null");
  check_json("770474727565", "true");
  check_json("730566616c7365", "false");
  check_json("760005616263c3a9", "\"abc\xC3\xA9\"");
  check_json("640001e9", "\"\xC3\xA9\"");
  check_json("7303c3a9ff", "\"\xC3\x83\xC2\xA9\xC3\xBF\"");
}

TEST(etf_compounds_become_arrays_and_objects) {
  check_json("6a", "[]");
  check_json("6b0003010203", "[1,2,3]");
  check_json("6c00000002610161026a", "[1,2]");
  check_json("6800", "[]");
  check_json("6802610168016102", "[1,[2]]");
  check_json("6900000001616a", "[106]");
  check_json("7400000000", "{}");
  check_json("74000000036d00000001616101770162610261036a", "{\"a\":1,\"b\":2,\"3\":[]}");
  check_json("6d0000000522410a5c01", "\"\\\"A\\n\\\\\\u0001\"");
}

TEST(etf_floats_become_numbers_as_javascript_prints_them) {
  check_json("463ff8000000000000", "1.5");
  check_json("463ff0000000000000", "1");
  check_json("464415af1d78b58c40", "100000000000000000000");
  check_json("467fefffffffffffff", "1.7976931348623157e+308");
  check_json("468000000000000000", "0");
}

TEST(etf_things_that_are_no_data_are_refused_by_name) {
  static const char *const tags[] = { "58", "67", "59", "66", "78", "5a",
                                      "65", "72", "70", "71", "75", "4d" };
  for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) check_refused(tags[i], LK_ERR_TYPE);
  check_refused("5000000010789c", LK_ERR_UNSUPPORTED); /* compressed */
  check_refused("00", LK_ERR_CORRUPT);
  check_refused("ff", LK_ERR_CORRUPT);
  check_refused("6c0000000161016102", LK_ERR_TYPE);  /* [1 | 2] */
  check_refused("467ff0000000000000", LK_ERR_RANGE); /* infinity */
  check_refused("467ff8000000000000", LK_ERR_RANGE); /* NaN */
  check_refused("6e010201", LK_ERR_CORRUPT);         /* a sign of 2 */
  check_refused("770180", LK_ERR_UTF8);
}

TEST(etf_that_json_cannot_say_is_refused_by_name) {
  check_refused("6d00000001ff", LK_ERR_UTF8);
  check_refused("740000000168006101", LK_ERR_TYPE); /* %{{} => 1} */
  check_refused("7400000001463ff80000000000006101", LK_ERR_TYPE);
  check_refused("740000000277016161016d00000001616102", LK_ERR_EXISTS); /* %{:a => 1, "a" => 2} */
}

/* Every beginning of a good term is refused, and as incomplete. */
TEST(etf_terms_that_end_early_are_truncated_wherever_they_end) {
  static const uint8_t term[] = { 104, 3,   116, 0,  0,   0,  1, 109, 0, 0, 0,   1,   'a',
                                  108, 0,   0,   0,  1,   98, 0, 0,   0, 1, 106, 119, 2,
                                  'o', 'k', 70,  63, 240, 0,  0, 0,   0, 0, 0 };
  lk_buf json;
  lk_buf_init(&json, test_alloc(), 1u << 10);
  CHECK_OK(lk_etf_to_json(lk_slice_of(term, sizeof term), &json));
  CHECK_TEXT(lk_buf_slice(&json), "[{\"a\":[1]},\"ok\",1]");
  for (size_t len = 0; len < sizeof term; len++) {
    CHECK_ERR(lk_etf_to_json(lk_slice_of(term, len), &json), LK_ERR_TRUNCATED);
  }
  lk_buf_deinit(&json);
}

/* Goal: a claim of length costs nothing. Method: the greatest claims with nothing behind them. */
TEST(etf_claims_of_length_are_checked_against_the_bytes_that_are_there) {
  check_refused("6cffffffff", LK_ERR_TRUNCATED);
  check_refused("69ffffffff61016101", LK_ERR_TRUNCATED);
  check_refused("74ffffffff61016101", LK_ERR_TRUNCATED);
  check_refused("74000000026101610161", LK_ERR_TRUNCATED);
  check_refused("6dffffffff", LK_ERR_TRUNCATED);
  check_refused("6fffffffff00", LK_ERR_TRUNCATED);
  check_refused("6bffff", LK_ERR_TRUNCATED);
  check_refused("73ff", LK_ERR_TRUNCATED);
}

/* Whoever relies on |count| before the elements have come must be able to. */
TEST(etf_a_count_that_is_handed_out_has_its_bytes) {
  lk_etf_reader r;
  lk_etf_event event;
  lk_etf_term_reader_init(&r, LK_LIT("t\x00\x00\x00\x02"
                                     "a\x01"));
  CHECK_ERR(lk_etf_next(&r, &event), LK_ERR_TRUNCATED);
  lk_etf_term_reader_init(&r, LK_LIT("h\x03"
                                     "a\x01"));
  CHECK_ERR(lk_etf_next(&r, &event), LK_ERR_TRUNCATED);
}

TEST(etf_names_of_atoms_are_text_when_they_are_handed_out) {
  lk_etf_reader r;
  lk_etf_event event;
  lk_etf_term_reader_init(&r, LK_LIT("w\x02\xc3w"));
  CHECK_ERR(lk_etf_next(&r, &event), LK_ERR_UTF8);
  CHECK_ERR(lk_etf_next(&r, &event), LK_ERR_UTF8);
}

TEST(etf_bytes_behind_a_term_are_refused) {
  check_refused("610161", LK_ERR_TRAILING);
  check_refused("6a00", LK_ERR_TRAILING);
}

static void nest(lk_buf *out, unsigned depth) {
  lk_buf_truncate(out, 0);
  for (unsigned i = 0; i < depth; i++) CHECK_OK(lk_etf_write_tuple(out, 1));
  CHECK_OK(lk_etf_write_i64(out, 7));
}

TEST(etf_is_read_up_to_its_depth_and_no_deeper) {
  lk_buf term, json;
  lk_buf_init(&term, test_alloc(), 1u << 10);
  lk_buf_init(&json, test_alloc(), 1u << 10);
  nest(&term, LK_ETF_DEPTH_MAX);
  CHECK_OK(lk_etf_to_json(lk_buf_slice(&term), &json));
  nest(&term, LK_ETF_DEPTH_MAX + 1);
  CHECK_ERR(lk_etf_to_json(lk_buf_slice(&term), &json), LK_ERR_DEPTH);
  CHECK_COVERED(etf_too_deep);
  lk_buf_deinit(&term);
  lk_buf_deinit(&json);
}

TEST(etf_integers_and_names_have_a_greatest_length) {
  uint8_t bytes[6 + 300] = { 111, 0, 0, 1, 0, 0 };
  lk_buf json;
  lk_buf_init(&json, test_alloc(), 1u << 12);
  memset(bytes + 6, 0xff, sizeof bytes - 6);
  lk_store_be32(bytes + 1, LK_ETF_INTEGER_BYTES_MAX + 1);
  CHECK_ERR(lk_etf_to_json(lk_slice_of(bytes, 6 + LK_ETF_INTEGER_BYTES_MAX + 1), &json),
            LK_ERR_TOO_BIG);
  lk_store_be32(bytes + 1, LK_ETF_INTEGER_BYTES_MAX);
  CHECK_OK(lk_etf_to_json(lk_slice_of(bytes, 6 + LK_ETF_INTEGER_BYTES_MAX), &json));
  CHECK_U64(json.len, 309);
  CHECK(lk_slice_starts_with(lk_buf_slice(&json), LK_LIT("17976931348623159077293051907890247")));
  bytes[0] = 100; /* a Latin-1 atom of 256 characters */
  lk_store_be16(bytes + 1, 256);
  CHECK_ERR(lk_etf_to_json(lk_slice_of(bytes, 3 + 256), &json), LK_ERR_TOO_BIG);
  lk_buf_deinit(&json);
}

TEST(etf_version_must_be_131) {
  lk_etf_reader r;
  lk_etf_event event;
  CHECK_ERR(lk_etf_reader_init(&r, LK_LIT("\x82"
                                          "a\x01")),
            LK_ERR_VERSION);
  CHECK_ERR(lk_etf_next(&r, &event), LK_ERR_VERSION);
  CHECK_ERR(lk_etf_reader_init(&r, LK_SLICE_EMPTY), LK_ERR_TRUNCATED);
  CHECK_OK(lk_etf_reader_init(&r, LK_LIT("\x83"
                                         "a\x01")));
  CHECK_OK(lk_etf_next(&r, &event));
  CHECK_U64(event.magnitude, 1);
  CHECK_OK(lk_etf_next(&r, &event));
  CHECK(event.kind == LK_ETF_END);
}

TEST(etf_values_are_skipped_whole_and_an_end_is_told) {
  lk_etf_reader r;
  lk_etf_event event;
  lk_slice value;
  CHECK_OK(lk_etf_reader_init(&r, LK_LIT("\x83h\x02h\x01"
                                         "a\x01"
                                         "a\x02")));
  CHECK_OK(lk_etf_next(&r, &event));
  CHECK(event.kind == LK_ETF_TUPLE && event.count == 2);
  CHECK_OK(lk_etf_skip_value(&r, &value));
  CHECK_TEXT(value, "h\x01"
                    "a\x01");
  CHECK_OK(lk_etf_skip_value(&r, &value));
  CHECK_TEXT(value, "a\x02");
  CHECK_ERR(lk_etf_skip_value(&r, &value), LK_ERR_END);
  CHECK_OK(lk_etf_next(&r, &event));
  CHECK(event.kind == LK_ETF_CLOSE);
  CHECK_OK(lk_etf_next(&r, &event));
  CHECK(event.kind == LK_ETF_END);
  CHECK_ERR(lk_etf_skip_value(&r, &value), LK_ERR_END);
}

/* ---- from JSON ---- */

static void check_written(const char *json, const char *hex) {
  lk_limits limits = lk_limits_default();
  lk_buf term, text;
  test_note("%s", json);
  lk_buf_init(&term, test_alloc(), 1u << 16);
  lk_buf_init(&text, test_alloc(), 1u << 16);
  CHECK_OK(lk_etf_write_json(&term, lk_slice_cstr(json), &limits));
  CHECK_OK(lk_hex_encode(&text, lk_buf_slice(&term)));
  CHECK_SLICE(lk_buf_slice(&text), lk_slice_cstr(hex));
  lk_buf_truncate(&text, 0);
  CHECK_OK(lk_etf_to_json(lk_buf_slice(&term), &text));
  CHECK_SLICE(lk_buf_slice(&text), lk_slice_cstr(json));
  lk_buf_deinit(&term);
  lk_buf_deinit(&text);
}

/* The bytes are those that term_to_binary() of OTP 26 gives, without the version. */
TEST(etf_json_is_written_as_erlang_would) {
  check_written("0", "6100");
  check_written("-1", "62ffffffff");
  check_written("2147483648", "6e040000000080");
  check_written("18446744073709551615", "6e0800ffffffffffffffff");
  check_written("-9223372036854775808", "6e08010000000000000080");
  check_written("1.5", "463ff8000000000000");
  check_written("[]", "6a");
  check_written("[1,2,255]", "6b00030102ff");
  check_written("[1,256]", "6c00000002610162000001006a");
  check_written("[1,[2],3]", "6c0000000361016b00010261036a");
  check_written("{\"a\":[null,true],\"b\":{}}",
                "74000000026d00000001616c0000000277036e696c7704747275656a6d00000001627400000000");
}

static void check_unwritten(const char *json, lk_err want) {
  lk_limits limits = lk_limits_default();
  lk_buf term;
  test_note("%s", json);
  lk_buf_init(&term, test_alloc(), 1u << 16);
  CHECK_OK(lk_buf_append(&term, LK_LIT("before")));
  CHECK_ERR(lk_etf_write_json(&term, lk_slice_cstr(json), &limits), want);
  CHECK_TEXT(lk_buf_slice(&term), "before");
  CHECK_OK(lk_buf_err(&term));
  lk_buf_deinit(&term);
}

TEST(etf_refuses_json_that_is_none_or_means_two_things) {
  check_unwritten("", LK_ERR_TRUNCATED);
  check_unwritten("[1,", LK_ERR_TRUNCATED);
  check_unwritten("1 2", LK_ERR_TRAILING);
  check_unwritten("{\"a\":1,\"a\":2}", LK_ERR_EXISTS);
  check_unwritten("18446744073709551616", LK_ERR_RANGE);
  check_unwritten("1e999", LK_ERR_RANGE);
  check_unwritten("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[7]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
                  LK_ERR_DEPTH);
}

TEST(etf_lists_longer_than_a_string_may_be_are_lists) {
  lk_limits limits = lk_limits_default();
  lk_buf json, term;
  lk_buf_init(&json, test_alloc(), 1u << 20);
  lk_buf_init(&term, test_alloc(), 1u << 20);
  (void)lk_buf_append(&json, LK_LIT("[9"));
  for (uint32_t i = 1; i < 65535; i++) (void)lk_buf_append(&json, LK_LIT(",9"));
  CHECK_OK(lk_buf_append(&json, LK_LIT("]")));
  CHECK_OK(lk_etf_write_json(&term, lk_buf_slice(&json), &limits));
  CHECK_U64(term.len, 3 + 65535);
  lk_buf_truncate(&json, json.len - 1);
  lk_buf_truncate(&term, 0);
  CHECK_OK(lk_buf_append(&json, LK_LIT(",9]")));
  CHECK_OK(lk_etf_write_json(&term, lk_buf_slice(&json), &limits));
  CHECK_U64(term.len, 5 + 2 * 65536 + 1);
  lk_buf_deinit(&json);
  lk_buf_deinit(&term);
}

TEST(etf_survives_every_failed_allocation_with_nothing_written) {
  lk_slice json = LK_LIT("{\"a\":[1,\"\\u00e9\",{\"b\":[1,2,3]}],\"c\":1.5}");
  lk_limits limits = lk_limits_default();
  FAULT_LOOP(faults, test_alloc()) {
    lk_buf term, text;
    lk_buf_init(&term, faulty_alloc(&faults), 1u << 16);
    lk_buf_init(&text, faulty_alloc(&faults), 1u << 16);
    lk_err err = lk_etf_write_json(&term, json, &limits);
    CHECK(err == LK_OK || (err == LK_ERR_NOMEM && term.len == 0));
    if (err == LK_OK) {
      err = lk_etf_to_json(lk_buf_slice(&term), &text);
      CHECK(err == LK_OK || (err == LK_ERR_NOMEM && text.len == 0));
    }
    lk_buf_deinit(&term);
    lk_buf_deinit(&text);
  }
}

/* ---- the genuine payloads ---- */

TEST(etf_of_genuine_tokens_reads_as_what_was_signed) {
  lk_json_member f[] = { VECTORS_FIELD("etf"), VECTORS_FIELD("json") };
  vectors v;
  lk_buf json;
  lk_buf_init(&json, test_alloc(), 1u << 12);
  vectors_open(&v, "tests/vectors/phoenix_token.json", LK_LIT("signed"));
  while (vectors_next(&v, f, 2)) {
    lk_etf_reader r;
    lk_etf_event event;
    lk_slice data;
    int64_t number;
    CHECK_OK(lk_etf_reader_init(&r, vectors_hex(&v, &f[0])));
    CHECK_OK(lk_etf_next(&r, &event));
    CHECK(event.kind == LK_ETF_TUPLE && event.count == 3);
    CHECK_OK(lk_etf_skip_value(&r, &data));
    CHECK_OK(lk_etf_next(&r, &event));
    CHECK_OK(lk_etf_get_i64(&event, &number));
    CHECK_I64(number, 1700000000000);
    CHECK_OK(lk_etf_next(&r, &event));
    CHECK_OK(lk_etf_get_i64(&event, &number));
    CHECK_I64(number, 86400);
    lk_buf_truncate(&json, 0);
    CHECK_OK(lk_etf_to_json(data, &json));
    CHECK_SLICE(lk_buf_slice(&json), vectors_text(&f[1]));
  }
  vectors_close(&v);
  lk_buf_deinit(&json);
}
