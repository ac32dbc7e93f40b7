/* Several presence_diffs as one. That clients of phoenix.js show the same is seen in tests/conformance/presence. */
#include "channel/presence_diffs.h"

#include "harness/faulty.h"
#include "harness/test.h"

#define DIFFS_MAX 4

static lk_err merge(const lk_alloc *alloc, const char *const diffs[DIFFS_MAX], lk_buf *out) {
  static const uint64_t seed[2] = { 1, 2 };
  const lk_env env = LK_ENV_INIT(alloc, NULL);
  lk_slice slices[DIFFS_MAX];
  size_t count = 0;
  while (count < DIFFS_MAX && diffs[count] != NULL) {
    slices[count] = lk_slice_cstr(diffs[count]);
    count++;
  }
  return lk_presence_diffs_merge(&env, seed, slices, count, out);
}

#define JOIN(key, metas) "{\"joins\":{\"" key "\":{\"metas\":[" metas "]}},\"leaves\":{}}"
#define LEAVE(key, metas) "{\"joins\":{},\"leaves\":{\"" key "\":{\"metas\":[" metas "]}}}"
#define BOTH(key, joins, leaves)                                                                   \
  "{\"joins\":{\"" key "\":{\"metas\":[" joins "]}},\"leaves\":{\"" key "\":{\"metas\":[" leaves   \
  "]}}}"
#define META(ref) "{\"n\":{\"phx_ref_prev\":0},\"phx_ref\":\"" ref "\",\"z\":[]}"
#define NEXT(ref, prev) "{\"n\":1,\"phx_ref\":\"" ref "\",\"phx_ref_prev\":\"" prev "\",\"z\":[]}"

static const struct {
  const char *what;
  const char *diffs[DIFFS_MAX];
  const char *want;
} cases[] = {
  { "nothing", { NULL }, "" },
  { "one", { JOIN("a", META("A1")) }, JOIN("a", META("A1")) },
  { "who came and went is not mentioned", { JOIN("a", META("A1")), LEAVE("a", META("A1")) }, "" },
  { "several under one key, in the order in which they came",
    { JOIN("a", META("A9")), JOIN("b", META("B1")), JOIN("a", META("A1") "," META("A2")) },
    "{\"joins\":{\"a\":{\"metas\":[" META("A9") "," META("A1") "," META(
        "A2") "]},\"b\":{"
              "\"metas\":[" META("B1") "]}},\"leaves\":{}}" },
  { "a ref counts under its key alone",
    { JOIN("a", META("A1")), LEAVE("b", META("A1")) },
    "{\"joins\":{\"a\":{\"metas\":[" META("A1") "]}},\"leaves\":{\"b\":{\"metas\":[" META(
        "A1") "]}}}" },
  { "changes of what was known: the last one, in the place of the first",
    { BOTH("a", NEXT("A2", "A1"), META("A1")), BOTH("a", NEXT("A3", "A2"), NEXT("A2", "A1")) },
    BOTH("a", NEXT("A3", "A1"), META("A1")) },
  { "changes of what came meanwhile: it comes as it is now",
    { JOIN("a", META("A1")), BOTH("a", NEXT("A2", "A1"), META("A1")),
      BOTH("a", NEXT("A3", "A2"), NEXT("A2", "A1")) },
    JOIN("a", "{\"n\":1,\"phx_ref\":\"A3\",\"z\":[]}") },
  { "changed, and gone: what was known goes",
    { BOTH("a", NEXT("A2", "A1"), META("A1")), LEAVE("a", NEXT("A2", "A1")) },
    LEAVE("a", META("A1")) },
  { "out of sight for a while", { LEAVE("a", META("A1")), JOIN("a", META("A1")) }, "" },
  { "keys that need escapes",
    { JOIN("a\\\"\\n", META("A1")), JOIN("\\u00e9", META("A2")), LEAVE("a\\\"\\n", META("A1")) },
    JOIN("\\u00e9", META("A2")) },
};

TEST(diffs_are_merged_into_one_that_says_the_same) {
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_buf out;
    test_note("%s", cases[i].what);
    lk_buf_init(&out, test_alloc(), 1 << 20);
    CHECK_OK(merge(test_alloc(), cases[i].diffs, &out));
    CHECK_SLICE(lk_buf_slice(&out), lk_slice_cstr(cases[i].want));
    lk_buf_deinit(&out);
  }
}

TEST(what_is_no_diff_is_not_merged) {
  static const struct {
    const char *diff;
    lk_err want;
  } rows[] = {
    { "", LK_ERR_TRUNCATED },
    { "[]", LK_ERR_UNSUPPORTED },
    { "{\"joins\":{}}", LK_ERR_UNSUPPORTED },
    { "{\"joins\":{},\"leaves\":{},\"x\":{}}", LK_ERR_UNSUPPORTED },
    { JOIN("a", "1"), LK_ERR_UNSUPPORTED },
    { JOIN("a", "{}"), LK_ERR_UNSUPPORTED },
    { JOIN("a", "{\"phx_ref_prev\":\"x\",\"phx_ref\":\"y\"}"), LK_ERR_UNSUPPORTED },
    { "{\"joins\":{\"a\":{\"metas\":7}},\"leaves\":{}}", LK_ERR_UNSUPPORTED },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    lk_buf out;
    const char *diffs[DIFFS_MAX] = { JOIN("a", META("A1")), rows[i].diff };
    test_note("%s", rows[i].diff);
    lk_buf_init(&out, test_alloc(), 1 << 20);
    CHECK_ERR(merge(test_alloc(), diffs, &out), rows[i].want);
    CHECK_U64(out.len, 0);
    lk_buf_deinit(&out);
  }
}

TEST(diffs_are_merged_or_memory_is_out) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_buf out;
    lk_buf_init(&out, faulty_alloc(&faults), 1 << 20);
    lk_err err = merge(faulty_alloc(&faults), cases[3].diffs, &out);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    CHECK_SLICE(lk_buf_slice(&out), lk_slice_cstr(err == LK_OK ? cases[3].want : ""));
    lk_buf_deinit(&out);
  }
}
