/* Goal: lk_doc_news() says exactly what taking an update in would change.
 * Method: random sessions of replicas with text, formats, maps and deletions, gaps and repetitions among them; each update
 * is asked about and then taken in, and the document compared with what it was. */
#include "doc/news.h"

#include <stdlib.h>
#include <string.h>

#include "craft.h"
#include "doc/engine.h"
#include "harness/test.h"

#define REPLICAS 3
#define UPDATES_MAX 256

typedef struct pool {
  lk_slice at[UPDATES_MAX];
  uint32_t count;
} pool;

static void note_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  pool *p = ctx;
  (void)doc, (void)origin;
  if (!local || update.len == 0 || p->count == UPDATES_MAX) return;
  uint8_t *copy = malloc(update.len);
  memcpy(copy, update.ptr, update.len);
  p->at[p->count++] = lk_slice_of(copy, update.len);
}

static void edit(lk_gen *g, lk_doc *doc) {
  lk_node text, map;
  lk_attribute bold = { LK_LIT("b"), { .kind = LK_VALUE_BOOL, .boolean = gen_bool(g) } };
  lk_attributes formats = { &bold, 1 };
  lk_value value = { .kind = LK_VALUE_NUMBER, .number = gen_below(g, 3) };
  CHECK_OK(lk_doc_root(doc, LK_LIT("t"), LK_NODE_TEXT, &text));
  CHECK_OK(lk_doc_root(doc, LK_LIT("m"), LK_NODE_MAP, &map));
  uint32_t len = (uint32_t)lk_doc_node_length(doc, text), at = gen_below(g, len + 1);
  switch (gen_below(g, 5)) {
  case 0:
  case 1: CHECK_OK(lk_doc_text_insert(doc, text, at, LK_LIT("abc"), NULL)); break;
  case 2: CHECK_OK(lk_doc_text_delete(doc, text, at, gen_below(g, len - at + 1))); break;
  case 3: CHECK_OK(lk_doc_text_format(doc, text, at, gen_below(g, len - at + 1), &formats)); break;
  case 4: CHECK_OK(lk_doc_map_set(doc, map, LK_LIT("k"), &value)); break;
  }
}

/* All that it would tell, and all that can be seen. */
static void read_all(lk_doc *doc, lk_buf *state, lk_buf *seen) {
  lk_node text;
  lk_buf_init(state, test_alloc(), 1 << 20);
  lk_buf_init(seen, test_alloc(), 1 << 20);
  CHECK_OK(lk_doc_encode(doc, LK_UPDATE_V1, LK_SLICE_EMPTY, state));
  CHECK_OK(lk_doc_root(doc, LK_LIT("t"), LK_NODE_TEXT, &text));
  CHECK_OK(lk_doc_json(doc, seen));
  CHECK_OK(lk_doc_text_string(doc, text, seen));
}

static uint32_t news_counts[3];

static void take(lk_doc *doc, lk_slice update) {
  lk_buf state, seen, state_after, seen_after;
  lk_news news;
  lk_doc_pending before = lk_doc_get_pending(doc);
  read_all(doc, &state, &seen);
  CHECK_OK(lk_doc_news(doc, LK_UPDATE_V1, update, &news));
  news_counts[news]++;
  CHECK_OK(lk_doc_apply(doc, LK_UPDATE_V1, update, 0));
  read_all(doc, &state_after, &seen_after);
  bool is_same = lk_slice_equal(lk_buf_slice(&state), lk_buf_slice(&state_after));
  /* What waits is not looked up: it counts as news each time. */
  if (before.structs + before.delete_ranges == 0) CHECK(is_same == (news == LK_NEWS_NONE));
  if (news == LK_NEWS_NONE) CHECK(is_same);
  if (news == LK_NEWS_HIDDEN) CHECK_SLICE(lk_buf_slice(&seen_after), lk_buf_slice(&seen));
  lk_buf_deinit(&state);
  lk_buf_deinit(&seen);
  lk_buf_deinit(&state_after);
  lk_buf_deinit(&seen_after);
}

TEST(news_are_what_taking_an_update_in_would_change) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  memset(news_counts, 0, sizeof news_counts);
  for (uint64_t seed = 1; seed <= 60; seed++) {
    lk_gen g;
    pool p = { .count = 0 };
    lk_doc *docs[REPLICAS];
    gen_init_seed(&g, seed);
    test_note("seed %u", (unsigned)seed);
    for (uint32_t i = 0; i < REPLICAS; i++) {
      lk_doc_options options = LK_DOC_OPTIONS_INIT;
      options.client = i + 1;
      CHECK_OK(lk_doc_open(&env, &options, &docs[i]));
      CHECK_OK(lk_doc_on_update(docs[i], LK_UPDATE_V1, note_update, &p, NULL));
    }
    for (uint32_t step = 0; step < 60; step++) {
      lk_doc *doc = docs[gen_below(&g, REPLICAS)];
      if (p.count == 0 || gen_chance(&g, 1, 3)) edit(&g, doc);
      else if (gen_chance(&g, 1, 8)) {
        lk_buf all;
        lk_buf_init(&all, test_alloc(), 1 << 20);
        CHECK_OK(lk_doc_encode(docs[gen_below(&g, REPLICAS)], LK_UPDATE_V1, LK_SLICE_EMPTY, &all));
        take(doc, lk_buf_slice(&all));
        lk_buf_deinit(&all);
      } else take(doc, p.at[gen_below(&g, p.count)]);
    }
    for (uint32_t i = 0; i < REPLICAS; i++) lk_doc_close(docs[i]);
    for (uint32_t i = 0; i < p.count; i++) free((void *)(uintptr_t)p.at[i].ptr);
  }
  for (int i = 0; i < 3; i++) CHECK(i == LK_NEWS_HIDDEN || news_counts[i] > 200);
}

TEST(deleted_formats_are_news_that_nobody_sees) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  lk_attribute bold = { LK_LIT("b"), { .kind = LK_VALUE_BOOL, .boolean = true } };
  lk_attributes formats = { &bold, 1 };
  lk_doc *doc;
  lk_node text;
  lk_news news;
  craft u;
  CHECK_OK(lk_doc_open(&env, &options, &doc));
  CHECK_OK(lk_doc_root(doc, LK_LIT("t"), LK_NODE_TEXT, &text));
  CHECK_OK(lk_doc_text_insert(doc, text, 0, LK_LIT("abc"), NULL)); /* 0 to 3 */
  CHECK_OK(lk_doc_text_format(doc, text, 0, 3, &formats));         /* 3 and 4 */
  static const struct {
    uint64_t clock, len;
    lk_news news;
  } rows[] = {
    { 3, 2, LK_NEWS_HIDDEN }, { 4, 1, LK_NEWS_HIDDEN }, { 2, 2, LK_NEWS_SOME },
    { 4, 2, LK_NEWS_SOME },   { 5, 1, LK_NEWS_SOME },   { 9, 1, LK_NEWS_SOME },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    test_note("row %u", (unsigned)i);
    craft_begin(&u, LK_UPDATE_V1);
    craft_deletes(&u);
    lk_update_write_delete_client(&u.writer, 1, 1);
    lk_update_write_delete(&u.writer, rows[i].clock, rows[i].len);
    CHECK_OK(lk_doc_news(doc, LK_UPDATE_V1, craft_end(&u), &news));
    CHECK_U64(news, rows[i].news);
    craft_free(&u);
  }
  CHECK_U64(lk_doc_clock_of(doc, 1), 5);
  CHECK_U64(lk_doc_clock_of(doc, 2), 0);
  CHECK_U64(lk_doc_clients_count(doc), 1);
  lk_doc_close(doc);
}

/* Goal: finding out costs no more than the update warrants.
 * Method: 3,000 ranges, each over 4,000 items that are deleted and cannot become one. All of them walked would be 12 million
 * steps; the update, of some 12 kB, has 120,000: beyond those it counts as news. */
TEST(ranges_that_lie_over_each_other_cost_no_more_than_their_bytes) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  lk_doc *doc;
  lk_news news;
  craft u;
  CHECK_OK(lk_doc_open(&env, &options, &doc));
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 2, 0);
  for (uint64_t i = 0; i < 4000; i++)
    craft_deleted(&u, CRAFT_NONE, i == 0 ? CRAFT_NONE : AT(2, i - 1), 1);
  craft_deletes(&u);
  CHECK_OK(lk_doc_apply(doc, LK_UPDATE_V1, craft_end(&u), 0));
  craft_free(&u);
  for (uint64_t count = 3; count <= 3000; count += 2997) {
    craft_begin(&u, LK_UPDATE_V1);
    craft_deletes(&u);
    lk_update_write_delete_client(&u.writer, 2, count);
    for (uint64_t i = 0; i < count; i++) lk_update_write_delete(&u.writer, 0, 4000);
    CHECK_OK(lk_doc_news(doc, LK_UPDATE_V1, craft_end(&u), &news));
    test_note("%u ranges", (unsigned)count);
    CHECK_U64(news, LK_NEWS_SOME);
    craft_free(&u);
  }
  craft_begin(&u, LK_UPDATE_V1);
  craft_deletes(&u);
  lk_update_write_delete_client(&u.writer, 2, 1);
  lk_update_write_delete(&u.writer, 3000, 900);
  CHECK_OK(lk_doc_news(doc, LK_UPDATE_V1, craft_end(&u), &news));
  CHECK_U64(news, LK_NEWS_NONE);
  craft_free(&u);
  lk_doc_close(doc);
}

TEST(what_is_no_update_is_no_news) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  lk_doc *doc;
  lk_news news = LK_NEWS_HIDDEN;
  CHECK_OK(lk_doc_open(&env, &options, &doc));
  CHECK_ERR(lk_doc_news(doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &news), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_doc_news(doc, LK_UPDATE_V1, LK_LIT("\x00\x00\x07"), &news), LK_ERR_TRAILING);
  CHECK_U64(news, LK_NEWS_HIDDEN);
  static const uint8_t nothing[] = { 0, 0 };
  CHECK_OK(lk_doc_news(doc, LK_UPDATE_V1, lk_slice_of(nothing, 2), &news));
  CHECK_U64(news, LK_NEWS_NONE);
  lk_doc_close(doc);
}
