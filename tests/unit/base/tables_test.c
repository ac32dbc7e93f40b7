/* The tables: errors, limits, traces, storage names, and the list. */
#include "base/error.h"
#include "base/list.h"
#include "base/storage.h"
#include "harness/test.h"

#include <string.h>

TEST(every_error_has_a_name_and_a_sentence) {
  lk_err code;
  const char *name, *text;
  size_t count = 0;
  for (; lk_err_entry(count, &code, &name, &text); count++) {
    CHECK(strcmp(lk_err_name(code), name) == 0);
    CHECK(strcmp(lk_err_text(code), text) == 0);
    CHECK(strlen(text) > 5);
  }
  CHECK(count > 30);
  CHECK(strcmp(lk_err_name((lk_err)9999), "LK_ERR_UNKNOWN") == 0);
  CHECK(strcmp(lk_err_name(LK_OK), "LK_OK") == 0);
}

TEST(default_limits_are_within_their_ceilings) {
  lk_limits limits = lk_limits_default();
  const char *name = NULL;
  CHECK_OK(lk_limits_check(&limits, &name));
  CHECK_U64(limits.channel_topics_count, 100);
  limits.json_depth = 0;
  CHECK_ERR(lk_limits_check(&limits, &name), LK_ERR_RANGE);
  CHECK(strcmp(name, "json_depth") == 0);
}

TEST(limits_can_be_set_by_name_within_their_range) {
  lk_limits limits = lk_limits_default();
  CHECK_OK(lk_limits_set(&limits, LK_LIT("ws_message_bytes"), 16));
  CHECK_U64(limits.ws_message_bytes, 16);
  CHECK_ERR(lk_limits_set(&limits, LK_LIT("ws_message_bytes"), 0), LK_ERR_RANGE);
  CHECK_ERR(lk_limits_set(&limits, LK_LIT("ws_message_bytes"), 1ull << 40), LK_ERR_RANGE);
  CHECK_ERR(lk_limits_set(&limits, LK_LIT("ws_message"), 1), LK_ERR_NOT_FOUND);
  CHECK_U64(limits.ws_message_bytes, 16);
}

static void collect(void *ctx, const lk_trace_record *record) { *(lk_trace_record *)ctx = *record; }

TEST(a_trace_reaches_the_sink_by_name_and_without_one_costs_nothing) {
  lk_trace_record got = { 0 };
  lk_trace sink = { collect, &got };
  lk_env env = LK_ENV_INIT(test_alloc(), &sink);
  lk_trace_emit(&env, LK_TRACE_room_joined, 3, 4, LK_LIT("crdt:demo"));
  CHECK(strcmp(got.name, "room_joined") == 0 && got.a == 3 && got.b == 4);
  CHECK_TEXT(got.text, "crdt:demo");
  env.trace = NULL;
  lk_trace_emit(&env, LK_TRACE_room_joined, 5, 6, LK_SLICE_EMPTY);
  CHECK_U64(got.a, 3);
  CHECK(strcmp(lk_trace_name(0), "unknown") == 0);
}

TEST(storage_takes_plain_names_only) {
  CHECK(lk_storage_name_ok(LK_LIT("room-1_A.log")));
  CHECK(!lk_storage_name_ok(LK_LIT("")));
  CHECK(!lk_storage_name_ok(LK_LIT(".")));
  CHECK(!lk_storage_name_ok(LK_LIT("..")));
  CHECK(!lk_storage_name_ok(LK_LIT(".hidden")));
  CHECK(!lk_storage_name_ok(LK_LIT("a/b")));
  CHECK(!lk_storage_name_ok(LK_LIT("a\0b")));
  CHECK(!lk_storage_name_ok(LK_LIT("a b")));
  uint8_t name[201];
  memset(name, 'a', sizeof name);
  CHECK(lk_storage_name_ok(lk_slice_of(name, 200)));
  CHECK(!lk_storage_name_ok(lk_slice_of(name, 201)));
}

TEST(list_keeps_order_through_insertion_and_removal) {
  struct item {
    uint32_t n;
    lk_link link;
  } items[4] = { { .n = 0 }, { .n = 1 }, { .n = 2 }, { .n = 3 } };
  lk_list list = { 0 };
  lk_list_push_last(&list, &items[1].link);
  lk_list_push_last(&list, &items[2].link);
  lk_list_push_first(&list, &items[0].link);
  lk_list_push_last(&list, &items[3].link);
  lk_list_remove(&list, &items[2].link);
  static const uint32_t want[] = { 0, 1, 3 };
  uint32_t seen = 0;
  for (lk_link *at = list.first; at != NULL; at = at->next) {
    CHECK_U64(LK_CONTAINER(at, struct item, link)->n, want[seen++]);
  }
  CHECK_U64(list.count, 3);
  CHECK_PANICS(lk_list_remove(&list, &items[2].link)); /* not on the list any more */
  CHECK(lk_list_pop_first(&list) == &items[0].link);
  lk_list_remove(&list, &items[3].link);
  CHECK(list.first == &items[1].link && list.last == &items[1].link);
  CHECK(lk_list_pop_first(&list) != NULL && lk_list_pop_first(&list) == NULL);
}
