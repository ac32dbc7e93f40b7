/* Presence through the hub: what members are told of each other. The rules of diffs are in presence_test.c. */
#include "room/hub.h"

#include "harness/test.h"
#include "platform/memory/storage.h"

#include <stdio.h>
#include <string.h>

typedef struct world {
  lk_env env;
  lk_limits limits;
  lk_memory_storage storage;
  lk_hub *hub;
  uint64_t now;
} world;

static void init(world *w) {
  *w = (world){ .env = LK_ENV_INIT(test_alloc(), NULL), .limits = lk_limits_default() };
  lk_memory_storage_init(&w->storage, test_alloc(), 1 << 24);
  CHECK_OK(lk_hub_open(&w->env, &w->limits, &w->storage.table, 7, &w->hub));
}

static void deinit(world *w) {
  lk_hub_close(w->hub);
  lk_memory_storage_deinit(&w->storage);
}

static void tell(world *w, uint64_t c, const char *text) {
  CHECK_OK(lk_hub_receive(w->hub, c, lk_slice_cstr(text), w->now));
}

static uint64_t connect(world *w) {
  uint64_t c;
  CHECK_OK(lk_hub_connect(w->hub, &c));
  return c;
}

#define JOIN(payload) "[\"1\",\"1\",\"relay:a\",\"phx_join\"," payload "]"
#define SHOWN(key) "{\"presence\":{\"key\":\"" key "\",\"meta\":{\"n\":1}}}"

/* Lets windows of presence end. */
static void pass_time(world *w) {
  w->now += 2000;
  lk_hub_step(w->hub, w->now);
}

/* How many messages with |event| and |word| in them |c| has got; everything else is thrown away. */
static uint32_t heard(world *w, uint64_t c, const char *event, const char *word) {
  lk_hub_output out;
  uint32_t count = 0;
  while (lk_hub_poll(w->hub, &out)) {
    if (out.connection != c || lk_slice_find(out.text, lk_slice_cstr(event)) == LK_SLICE_NONE)
      continue;
    count += lk_slice_find(out.text, lk_slice_cstr(word)) != LK_SLICE_NONE;
  }
  return count;
}

static void drain(world *w) { (void)heard(w, 0, "", ""); }

TEST(members_that_ask_hear_who_is_there_and_then_who_comes_and_goes) {
  world w;
  init(&w);
  uint64_t a = connect(&w), b = connect(&w), c = connect(&w);
  tell(&w, a, JOIN(SHOWN("ada")));
  tell(&w, c, JOIN("{}"));
  drain(&w);
  pass_time(&w);
  CHECK_U64(
      heard(&w, a, "[null,null,\"relay:a\",\"presence_state\",{\"ada\":{\"metas\":[{", "\"n\":1"),
      1);
  tell(&w, b, JOIN(SHOWN("bob")));
  drain(&w);
  pass_time(&w);
  CHECK_U64(heard(&w, a, "\"presence_diff\",{\"joins\":{\"bob\":", "\"leaves\":{}"), 1);
  lk_hub_disconnect(w.hub, b, w.now);
  pass_time(&w);
  CHECK_U64(heard(&w, a, "\"presence_diff\",{\"joins\":{},\"leaves\":{\"bob\":", "metas"), 1);
  deinit(&w);
}

TEST(who_has_not_asked_hears_nothing_of_it_and_a_joiner_hears_of_itself_once) {
  world w;
  lk_hub_output out;
  init(&w);
  uint64_t a = connect(&w), b = connect(&w);
  tell(&w, a, JOIN("{}"));
  tell(&w, b, JOIN(SHOWN("bob")));
  drain(&w);
  pass_time(&w);
  uint32_t count = 0;
  for (; lk_hub_poll(w.hub, &out); count++) CHECK_U64(out.connection, b);
  CHECK_U64(count, 1);
  deinit(&w);
}

TEST(members_show_change_and_hide_themselves) {
  world w;
  init(&w);
  uint64_t a = connect(&w), b = connect(&w);
  tell(&w, a, JOIN("{\"presence\":{}}"));
  tell(&w, b, JOIN("{}"));
  pass_time(&w);
  CHECK_U64(heard(&w, a, "presence_state\",{}", ""), 1);
  tell(&w, b, "[\"1\",\"2\",\"relay:a\",\"presence.track\",{\"key\":\"bob\",\"meta\":{\"at\":1}}]");
  pass_time(&w);
  CHECK_U64(heard(&w, a, "\"joins\":{\"bob\"", "\"at\":1"), 1);
  tell(&w, b,
       "[\"1\",\"3\",\"relay:a\",\"presence.update\",{\"key\":\"bob\",\"meta\":{\"at\":2}}]");
  pass_time(&w);
  CHECK_U64(heard(&w, a, "phx_ref_prev", "\"leaves\":{\"bob\""), 1);
  tell(&w, b, "[\"1\",\"4\",\"relay:a\",\"presence.untrack\",{\"key\":\"bob\"}]");
  pass_time(&w);
  CHECK_U64(heard(&w, a, "\"joins\":{}", "\"leaves\":{\"bob\""), 1);
  deinit(&w);
}

/* As seed has it: who moves the cursor changes what it shows. In other rooms it is an event like any other. */
TEST(cursors_of_a_document_are_a_field_of_what_its_members_show) {
  world w;
  init(&w);
  uint64_t a = connect(&w), b = connect(&w);
  lk_hub_step(w.hub, w.now);
  tell(&w, a, "[\"1\",\"1\",\"doc:a\",\"phx_join\",{\"presence\":{}}]");
  tell(&w, b,
       "[\"1\",\"1\",\"doc:a\",\"phx_join\",{\"presence\":{\"key\":\"bob\",\"meta\":{\"n\":1}}}]");
  pass_time(&w); /* the room opens */
  pass_time(&w);
  drain(&w);
  tell(&w, b, "[\"1\",\"2\",\"doc:a\",\"cursor_pos\",{\"x\":3}]");
  CHECK_U64(heard(&w, b, "phx_reply", "\"status\":\"ok\""), 1);
  pass_time(&w);
  CHECK_U64(heard(&w, a, "\"joins\":{\"bob\"", "\"cursor_pos\":{\"x\":3},\"n\":1"), 1);
  tell(&w, a, "[\"1\",\"2\",\"doc:a\",\"cursor_pos\",{\"x\":3}]");
  CHECK_U64(heard(&w, a, "\"status\":\"error\"", "LK_ERR_NOT_FOUND"), 1);
  tell(&w, a, "[\"3\",\"3\",\"relay:a\",\"phx_join\",{}]");
  tell(&w, b, "[\"3\",\"3\",\"relay:a\",\"phx_join\",{}]");
  drain(&w);
  tell(&w, b, "[\"3\",\"4\",\"relay:a\",\"cursor_pos\",{\"x\":3}]");
  CHECK_U64(heard(&w, a, "\"cursor_pos\",{\"x\":3}", ""), 1);
  deinit(&w);
}

TEST(what_is_wrong_with_a_wish_is_said_and_the_member_stays_as_it_was) {
  static const char *wishes[] = { "{\"presence\":7}", "{\"presence\":{\"key\":7}}",
                                  "{\"presence\":{\"key\":\"k\",\"meta\":[]}}" };
  world w;
  init(&w);
  uint64_t a = connect(&w);
  for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
    char text[200];
    (void)snprintf(text, sizeof text, "[\"1\",\"1\",\"relay:a\",\"phx_join\",%s]", wishes[i]);
    test_note("%s", wishes[i]);
    tell(&w, a, text);
    CHECK_U64(heard(&w, a, "\"status\":\"error\"", "LK_ERR_PAYLOAD\",\"field\":\"presence\""), 1);
  }
  CHECK_U64(lk_hub_get_stats(w.hub).house.members, 0);
  tell(&w, a, JOIN("{}"));
  drain(&w);
  tell(&w, a, "[\"1\",\"2\",\"relay:a\",\"presence.update\",{\"key\":\"k\"}]");
  CHECK_U64(heard(&w, a, "\"status\":\"error\"", "LK_ERR_NOT_FOUND"), 1);
  tell(&w, a, "[\"1\",\"2\",\"relay:a\",\"presence.track\",{}]");
  CHECK_U64(heard(&w, a, "\"status\":\"error\"", "LK_ERR_PAYLOAD"), 1);
  CHECK_U64(lk_hub_get_stats(w.hub).house.members, 1);
  deinit(&w);
}

TEST(presence_survives_the_death_of_its_room_process) {
  world w;
  init(&w);
  uint64_t a = connect(&w), b = connect(&w);
  tell(&w, a, JOIN(SHOWN("ada")));
  tell(&w, b, JOIN(SHOWN("bob")));
  pass_time(&w);
  drain(&w);
  CHECK_OK(lk_hub_replace_house(w.hub, &w.storage.table, 99));
  pass_time(&w);
  CHECK_U64(heard(&w, a, "\"presence_state\",{", "\"ada\""), 1);
  tell(&w, b, "[\"1\",\"4\",\"relay:a\",\"phx_leave\",{}]");
  pass_time(&w);
  CHECK_U64(heard(&w, a, "\"presence_diff\",{\"joins\":{},\"leaves\":{\"bob\"", ""), 1);
  deinit(&w);
}

TEST(presence_without_memory_is_late_and_never_wrong) {
  FAULT_LOOP(faults, test_alloc()) {
    world w = { .env = LK_ENV_INIT(faulty_alloc(&faults), NULL), .limits = lk_limits_default() };
    uint64_t a;
    lk_memory_storage_init(&w.storage, test_alloc(), 1 << 24);
    lk_err err = lk_hub_open(&w.env, &w.limits, &w.storage.table, 7, &w.hub);
    if (err == LK_OK) {
      if (lk_hub_connect(w.hub, &a) == LK_OK) {
        err = lk_hub_receive(w.hub, a, LK_LIT(JOIN(SHOWN("ada"))), 0);
        for (int i = 0; i < 3; i++) pass_time(&w);
        if (err == LK_OK && !faults.hit) CHECK_U64(heard(&w, a, "presence_state", "ada"), 1);
        lk_hub_disconnect(w.hub, a, w.now);
        pass_time(&w);
      }
      lk_hub_close(w.hub);
    }
    lk_memory_storage_deinit(&w.storage);
  }
}

/* Goal: presence of many is not quadratic in frames. Method: 1,000 members join one topic within a second, each
 * showing itself; every frame and byte that they are sent is counted, joins' replies included. */
TEST(a_thousand_joins_of_one_topic_are_few_frames_for_each_client) {
  enum { MEMBERS = 1000 };
  static uint32_t frames[MEMBERS + 1];
  world w;
  lk_hub_output out;
  uint64_t bytes = 0, members[MEMBERS];
  uint32_t most = 0;
  init(&w);
  memset(frames, 0, sizeof frames);
  for (uint32_t i = 0; i < MEMBERS + 40; i++) {
    w.now = i < MEMBERS ? i
                        : MEMBERS + (i - MEMBERS) *
                                        100; /* one each millisecond, and then time for the rest */
    lk_hub_step(w.hub, w.now);
    if (i < MEMBERS) {
      char text[160];
      members[i] = connect(&w);
      (void)snprintf(
          text, sizeof text,
          "[\"1\",\"1\",\"relay:a\",\"phx_join\",{\"presence\":{\"key\":\"user%u\",\"meta\":{}}}]",
          (unsigned)i);
      tell(&w, members[i], text);
    }
    while (lk_hub_poll(w.hub, &out)) {
      uint64_t index = out.connection & UINT32_MAX;
      bytes += out.text.len;
      CHECK(index < MEMBERS);
      frames[index]++;
    }
  }
  for (uint32_t i = 0; i < MEMBERS; i++) most = lk_max_u32(most, frames[i]);
  test_note("%llu bytes, at most %u frames", (unsigned long long)bytes, (unsigned)most);
  CHECK(most <= 20);
  CHECK(bytes <= 60000000);
  CHECK(bytes > 10000000); /* everybody did learn of everybody */
  deinit(&w);
}
