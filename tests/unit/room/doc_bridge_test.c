/* What awareness and presence say of somebody, each in the words of the other. */
#include "room/doc_bridge.h"

#include "codec/json_reader.h"
#include "harness/test.h"

typedef struct fixture {
  lk_limits limits;
  lk_arena scratch;
  lk_buf out;
} fixture;

static void setup(fixture *f, uint32_t bytes) {
  f->limits = lk_limits_default();
  f->limits.presence_awareness_bytes = bytes;
  lk_arena_init(&f->scratch, test_alloc(), 1 << 20);
  lk_buf_init(&f->out, test_alloc(), 1 << 20);
}

static void teardown(fixture *f) {
  lk_arena_deinit(&f->scratch);
  lk_buf_deinit(&f->out);
}

TEST(presence_shows_the_user_and_the_cursor_of_an_awareness_state) {
  static const char *cases[][2] = {
    { "{\"user\":{\"name\":\"Ada\",\"color\":\"#30bced\"},\"cursor\":{\"anchor\":1},\"secret\":7}",
      "{\"user\":{\"name\":\"Ada\",\"color\":\"#30bced\"},\"cursor\":{\"anchor\":1}}" },
    { "{\"cursor\":[1],\"user\":\"ada\"}", "{\"user\":\"ada\",\"cursor\":[1]}" },
    { "{\"user\":null,\"cursor\":null}", "{}" },
    { "{}", "{}" },
    { "[1]", "{}" },
    { "\"text\"", "{}" },
    { "{\"user\":\"\\ud800\"}", "{}" }, /* JavaScript has such texts, and we do not */
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    fixture f;
    setup(&f, 2048);
    test_note("%s", cases[i][0]);
    CHECK_OK(lk_doc_bridge_presence(lk_slice_cstr(cases[i][0]), &f.limits, &f.scratch, &f.out));
    CHECK_SLICE(lk_buf_slice(&f.out), lk_slice_cstr(cases[i][1]));
    teardown(&f);
  }
}

TEST(awareness_shows_the_user_and_the_cursor_of_a_meta) {
  static const char *cases[][2] = {
    { "{\"phx_ref\":\"a\",\"name\":\"Bob\",\"away\":true,\"cursor_pos\":{\"x\":3}}",
      "{\"user\":{\"name\":\"Bob\",\"away\":true},\"presence\":\"k\\\"\",\"cursor_pos\":{\"x\":3}"
      "}" },
    { "{\"phx_ref\":\"a\",\"phx_ref_prev\":\"b\"}",
      "{\"user\":{\"name\":\"k\\\"\"},\"presence\":\"k\\\"\"}" },
    { "{\"user\":{\"name\":\"Cyd\",\"cursor_pos\":1},\"name\":\"other\",\"cursor_pos\":null}",
      "{\"user\":{\"name\":\"Cyd\",\"cursor_pos\":1},\"presence\":\"k\\\"\"}" },
    { "{\"user\":{\"color\":\"red\"}}",
      "{\"user\":{\"color\":\"red\",\"name\":\"k\\\"\"},\"presence\":\"k\\\"\"}" },
    { "{\"user\":7,\"name\":{\"first\":1},\"n\":[{}]}",
      "{\"user\":{\"n\":[{}],\"name\":\"k\\\"\"},\"presence\":\"k\\\"\"}" },
    { "{\"name\":\"\"}", "{\"user\":{\"name\":\"k\\\"\"},\"presence\":\"k\\\"\"}" },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    fixture f;
    setup(&f, 2048);
    test_note("%s", cases[i][0]);
    CHECK_OK(lk_doc_bridge_awareness(LK_LIT("k\""), lk_slice_cstr(cases[i][0]), &f.limits,
                                     &f.scratch, &f.out));
    CHECK_SLICE(lk_buf_slice(&f.out), lk_slice_cstr(cases[i][1]));
    CHECK_OK(lk_json_check(lk_buf_slice(&f.out), &f.limits, NULL));
    teardown(&f);
  }
}

/* Goal: at no limit more is shown than the limit says, and what there is room for is. */
TEST(what_is_too_long_is_shown_in_part) {
  static const char state[] = "{\"user\":{\"name\":\"Ada\"},\"cursor\":{\"anchor\":12345}}";
  static const char meta[] =
      "{\"user\":{\"name\":\"Ada\",\"color\":\"red\"},\"cursor_pos\":{\"x\":3}}";
  uint32_t users = 0, cursors = 0, whole = 0;
  for (uint32_t bytes = 2; bytes < 120; bytes++) {
    fixture f;
    setup(&f, bytes);
    CHECK_OK(lk_doc_bridge_presence(lk_slice_cstr(state), &f.limits, &f.scratch, &f.out));
    CHECK(f.out.len <= bytes);
    users += lk_slice_find(lk_buf_slice(&f.out), LK_LIT("Ada")) != LK_SLICE_NONE;
    whole += f.out.len == sizeof state - 1;
    lk_buf_truncate(&f.out, 0);
    CHECK_OK(
        lk_doc_bridge_awareness(LK_LIT("k"), lk_slice_cstr(meta), &f.limits, &f.scratch, &f.out));
    CHECK(f.out.len <= bytes ||
          lk_slice_equal(lk_buf_slice(&f.out),
                         LK_LIT("{\"user\":{\"name\":\"k\"},\"presence\":\"k\"}")));
    cursors += lk_slice_find(lk_buf_slice(&f.out), LK_LIT("\"x\":3")) != LK_SLICE_NONE;
    teardown(&f);
  }
  CHECK_COVERED(doc_bridge_shows_less_in_presence);
  CHECK_COVERED(doc_bridge_shows_less_in_awareness);
  CHECK_U64(whole, 120 - (sizeof state - 1));
  CHECK(users > whole && cursors > 0);
}
