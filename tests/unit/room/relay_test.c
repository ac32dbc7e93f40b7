/* The relay room in the hub: what is said is heard by the others, and nobody waits for a disk. */
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
} world;

static void init(world *w) {
  *w = (world){ .env = LK_ENV_INIT(test_alloc(), NULL), .limits = lk_limits_default() };
  lk_memory_storage_init(&w->storage, test_alloc(), 1 << 24);
  CHECK_OK(lk_hub_open(&w->env, &w->limits, &w->storage.table, 7, &w->hub));
  lk_hub_step(w->hub, 0); /* the journal opens */
}

static void deinit(world *w) {
  lk_hub_close(w->hub);
  lk_memory_storage_deinit(&w->storage);
}

static uint64_t join(world *w) {
  uint64_t c;
  lk_hub_output out;
  CHECK_OK(lk_hub_connect(w->hub, &c));
  CHECK_OK(lk_hub_receive(w->hub, c, LK_LIT("[\"1\",\"1\",\"relay:a\",\"phx_join\",{}]"), 0));
  CHECK(lk_hub_poll(w->hub, &out)); /* at once: no storage is asked */
  CHECK_TEXT(out.text,
             "[\"1\",\"1\",\"relay:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  return c;
}

TEST(what_one_member_says_the_others_hear_as_it_was_said) {
  world w;
  lk_hub_output out;
  init(&w);
  uint64_t a = join(&w), b = join(&w), c = join(&w);
  CHECK_OK(lk_hub_receive(
      w.hub, b, LK_LIT("[\"1\",\"2\",\"relay:a\",\"move\",{\"x\":1e400,\"y\":[1, 2]}]"), 0));
  CHECK(lk_hub_poll(w.hub, &out) && out.connection == a);
  CHECK_TEXT(out.text, "[null,null,\"relay:a\",\"move\",{\"x\":1e400,\"y\":[1, 2]}]");
  CHECK(lk_hub_poll(w.hub, &out) && out.connection == c);
  CHECK(lk_hub_poll(w.hub, &out) && out.connection == b);
  CHECK_TEXT(out.text,
             "[\"1\",\"2\",\"relay:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  CHECK(!lk_hub_poll(w.hub, &out));
  CHECK(lk_hub_is_idle(w.hub));
  CHECK_U64(lk_hub_get_stats(w.hub).house.journals, 0);
  deinit(&w);
}

TEST(members_of_a_relay_stay_in_when_its_process_is_replaced) {
  world w;
  lk_hub_output out;
  init(&w);
  uint64_t a = join(&w), b = join(&w);
  CHECK_OK(lk_hub_replace_house(w.hub, &w.storage.table, 9));
  CHECK(!lk_hub_poll(w.hub, &out));
  CHECK_OK(lk_hub_receive(w.hub, a, LK_LIT("[\"1\",\"2\",\"relay:a\",\"e\",{}]"), 0));
  CHECK(lk_hub_poll(w.hub, &out) && out.connection == b);
  CHECK(lk_hub_poll(w.hub, &out) && out.connection == a);
  CHECK(!lk_hub_poll(w.hub, &out));
  deinit(&w);
}

TEST(an_idle_relay_is_put_away_and_opens_again) {
  world w;
  init(&w);
  uint64_t a = join(&w);
  lk_hub_disconnect(w.hub, a, 0);
  CHECK_U64(lk_hub_get_stats(w.hub).house.rooms, 1);
  lk_hub_step(w.hub, lk_hub_deadline(w.hub));
  CHECK_U64(lk_hub_get_stats(w.hub).house.rooms, 0);
  (void)join(&w);
  deinit(&w);
}

/* Goal: what a house cannot pass on costs those who should have heard it their place, with a reason, and nobody else anything. Before,
 * it gave the edge up, was asked again, and so on. */
TEST(what_no_frame_holds_puts_out_who_should_have_heard_it) {
  static char text[2100];
  char name[200];
  world w;
  lk_hub_output out;
  init(&w);
  w.limits.bus_frame_bytes = 2000;
  memset(name, 'n', sizeof name);
  uint64_t other = join(&w), c[2];
  for (int i = 0; i < 2; i++) {
    CHECK_OK(lk_hub_connect(w.hub, &c[i]));
    (void)snprintf(text, sizeof text, "[\"1\",\"1\",\"relay:%.200s\",\"phx_join\",{}]", name);
    CHECK_OK(lk_hub_receive(w.hub, c[i], lk_slice_cstr(text), 0));
    CHECK(lk_hub_poll(w.hub, &out) && lk_slice_find(out.text, LK_LIT("\"ok\"")) != LK_SLICE_NONE);
  }
  /* It goes to the house, without the topic's name, and not from there. */
  (void)snprintf(text, sizeof text, "[\"1\",\"2\",\"relay:%.200s\",\"e\",\"%01850d\"]", name, 0);
  CHECK_OK(lk_hub_receive(w.hub, c[0], lk_slice_cstr(text), 0));
  CHECK_COVERED(house_message_too_big);
  CHECK(lk_hub_poll(w.hub, &out) && out.connection == c[0]);
  CHECK(lk_slice_find(out.text, LK_LIT("\"status\":\"ok\"")) != LK_SLICE_NONE);
  CHECK(lk_hub_poll(w.hub, &out) && out.connection == c[1]);
  CHECK(lk_slice_find(out.text, LK_LIT("\"phx_error\",{\"reason\":\"answer_too_big\"}")) !=
        LK_SLICE_NONE);
  CHECK(!lk_hub_poll(w.hub, &out));
  CHECK_OK(lk_hub_receive(w.hub, other, LK_LIT("[\"1\",\"2\",\"relay:a\",\"e\",{}]"), 0));
  CHECK(lk_hub_poll(w.hub, &out) && out.connection == other && !lk_hub_poll(w.hub, &out));
  deinit(&w);
}
