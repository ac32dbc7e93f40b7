/* Awareness and presence of one document, through the hub: who is seen by whom, with rooms, house and edge as they are. What
 * a document's room says of it by itself is in doc_shown_test.c. */
#include "room/hub.h"

#include <stdio.h>
#include <string.h>

#include "base/budget.h"
#include "harness/faulty.h"
#include "harness/test.h"
#include "platform/memory/storage.h"

typedef struct world {
  lk_env env;
  lk_limits limits;
  lk_memory_storage storage;
  lk_hub *hub;
  uint64_t now;
  lk_buf heard; /* all that one connection was told: see listen() */
  const char *topic;
} world;

static void init_with(world *w, const lk_alloc *alloc) {
  *w = (world){ .env = LK_ENV_INIT(alloc, NULL), .limits = lk_limits_default(), .topic = "doc:a" };
  lk_memory_storage_init(&w->storage, test_alloc(), 1 << 24);
  lk_buf_init(&w->heard, test_alloc(), 1 << 24);
  CHECK_OK(lk_hub_open(&w->env, &w->limits, &w->storage.table, 7, &w->hub));
}

static void init(world *w) { init_with(w, test_alloc()); }

static void deinit(world *w) {
  lk_hub_close(w->hub);
  lk_memory_storage_deinit(&w->storage);
  lk_buf_deinit(&w->heard);
}

static void tell(world *w, uint64_t c, const char *event, const char *payload) {
  char text[600];
  (void)snprintf(text, sizeof text, "[\"1\",\"1\",\"%s\",\"%s\",%s]", w->topic, event, payload);
  CHECK_OK(lk_hub_receive(w->hub, c, lk_slice_cstr(text), w->now));
}

static uint64_t join(world *w, const char *params) {
  uint64_t c;
  CHECK_OK(lk_hub_connect(w->hub, &c));
  tell(w, c, "phx_join", params);
  return c;
}

/* What |c| is told in the next two seconds, in which all windows end. */
static lk_slice listen(world *w, uint64_t c) {
  lk_hub_output out;
  lk_buf_truncate(&w->heard, 0);
  for (int i = 0; i < 20; i++) {
    w->now += 100;
    lk_hub_step(w->hub, w->now);
    while (lk_hub_poll(w->hub, &out)) {
      if (out.connection == c) CHECK_OK(lk_buf_append(&w->heard, out.text));
    }
  }
  return lk_buf_slice(&w->heard);
}

static bool hears(world *w, uint64_t c, const char *part) {
  lk_slice all = listen(w, c);
  if (lk_slice_find(all, lk_slice_cstr(part)) != LK_SLICE_NONE) return true;
  test_note("not in %.*s", (int)all.len, (const char *)all.ptr);
  return false;
}

/* Client 9 of |c| shows |state|, at |clock|. */
static void speak_for(world *w, uint64_t c, int client, int clock, const char *state) {
  char text[600];
  size_t len = (size_t)snprintf(text, sizeof text, "{\"bin\":[1,%d,%d,%u", client, clock,
                                (unsigned)strlen(state));
  for (const char *at = state; *at != 0; at++)
    len += (size_t)snprintf(text + len, sizeof text - len, ",%d", *at);
  (void)snprintf(text + len, sizeof text - len, "]}");
  tell(w, c, "awareness", text);
}

static void speak(world *w, uint64_t c, int clock, const char *state) {
  speak_for(w, c, 9, clock, state);
}

#define LISTENS "{\"presence\":{}}"
#define SHOWS_BOB "{\"presence\":{\"key\":\"bob\",\"meta\":{\"name\":\"Bob\"}}}"

TEST(who_speaks_in_awareness_is_present_under_a_key_of_its_own) {
  world w;
  init(&w);
  uint64_t ada = join(&w, "{}"), first = join(&w, LISTENS);
  (void)listen(&w, first);
  speak(&w, ada, 1, "{\"user\":{\"name\":\"Ada\"}}");
  CHECK(hears(&w, first, "\"joins\":{\"client-9\":{\"metas\":[{\"phx_ref\":"));
  speak(&w, ada, 2, "{\"user\":{\"name\":\"Ada\"},\"cursor\":5}");
  CHECK(hears(&w, first, "{\"cursor\":5,"));
  /* Who comes later is told with all others. */
  uint64_t late = join(&w, LISTENS);
  CHECK(hears(&w, late, "presence_state\",{\"client-9\":{\"metas\":[{\"cursor\":5,"));
  speak(&w, ada, 3, "null");
  CHECK(hears(&w, first, "\"joins\":{},\"leaves\":{\"client-9\":"));
  speak(&w, ada, 4, "{}");
  CHECK(hears(&w, first, "\"joins\":{\"client-9\":{\"metas\":[{\"phx_ref\":"));
  lk_hub_disconnect(w.hub, ada, w.now);
  CHECK(hears(&w, first, "\"joins\":{},\"leaves\":{\"client-9\":"));
  deinit(&w);
}

/* Whoever asks first asks for all who are there already, and is told at once. */
TEST(the_first_who_asks_for_presence_is_told_of_all_who_have_spoken) {
  world w;
  init(&w);
  uint64_t ada = join(&w, "{}");
  (void)listen(&w, ada);
  speak(&w, ada, 1, "{\"user\":1}");
  (void)listen(&w, ada);
  uint64_t first = join(&w, LISTENS);
  CHECK(hears(&w, first, "presence_state\",{\"client-9\":{\"metas\":[{\"phx_ref\":"));
  deinit(&w);
}

/* Somebody comes, looks at presence or not, hears of |ada|, and goes. */
static void look(world *w, uint64_t ada, const char *params) {
  uint64_t other = join(w, params);
  bool looks = strlen(params) > 2;
  CHECK(hears(w, other, looks ? "\"client-9\":{\"metas\":[{\"phx_ref\":" : "ok"));
  speak(w, ada, (int)(w->now / 1000), "{\"user\":1,\"cursor\":7}");
  CHECK(hears(w, other, looks ? "\"cursor\":7" : "awareness"));
  speak(w, ada, (int)(w->now / 1000), "{\"user\":1}");
  (void)listen(w, other);
  lk_hub_disconnect(w->hub, other, w->now);
  (void)listen(w, ada);
}

/* Goal: when the last one who looks has left, all is as it was before the first, and the next one is told of all again.
 * Method: memory is counted, beside somebody who hears nothing of presence. In another document all has happened before, so that
 * buffers have been as long as they get. */
TEST(nothing_is_kept_of_presence_where_nobody_looks_any_more) {
  world w;
  lk_budget budget;
  lk_budget_init(&budget, test_alloc(), SIZE_MAX / 2);
  init_with(&w, &budget.alloc);
  w.topic = "doc:b";
  for (int turn = 0; turn < 2; turn++) {
    uint64_t ada = join(&w, "{}");
    (void)listen(&w, ada);
    speak(&w, ada, 1, "{\"user\":1}");
    look(&w, ada, "{}");
    const size_t before = budget.used;
    look(&w, ada, LISTENS);
    if (turn > 0) CHECK(budget.used <= before);
    look(&w, ada, LISTENS);
    if (turn > 0) CHECK(budget.used <= before);
    w.topic = "doc:a";
  }
  deinit(&w);
}

/* Goal: who only shows itself is not told of others; they are shown with it as soon as somebody looks, and not before. */
TEST(what_a_room_knows_is_lent_again_when_somebody_looks_again) {
  world w;
  init(&w);
  uint64_t first = join(&w, LISTENS), bob = join(&w, "{}");
  tell(&w, bob, "presence.track", "{\"key\":\"bob\"}");
  speak(&w, bob, 1, "{\"cursor\":1}");
  CHECK(hears(&w, first, "{\"bob\":{\"metas\":[{\"cursor\":1,"));
  lk_hub_disconnect(w.hub, first, w.now);
  (void)listen(&w, bob);
  speak(&w, bob, 2, "null");
  (void)listen(&w, bob);
  uint64_t second = join(&w, LISTENS);
  CHECK(hears(&w, second, "presence_state\",{\"bob\":{\"metas\":[{\"phx_ref"));
  speak(&w, bob, 3, "{\"cursor\":3}");
  CHECK(hears(&w, second, "{\"bob\":{\"metas\":[{\"cursor\":3,"));
  deinit(&w);
}

TEST(what_a_member_shows_by_itself_stays_and_what_the_room_knows_stands_beside_it) {
  world w;
  init(&w);
  uint64_t listener = join(&w, LISTENS), bob = join(&w, SHOWS_BOB);
  (void)listen(&w, bob);
  speak(&w, bob, 1, "{\"user\":{\"name\":\"Robert\"},\"cursor\":1}");
  CHECK(hears(&w, listener, "\"bob\":{\"metas\":[{\"cursor\":1,\"name\":\"Bob\","));
  CHECK(lk_slice_find(lk_buf_slice(&w.heard), LK_LIT("client-9")) == LK_SLICE_NONE);
  tell(&w, bob, "presence.update", "{\"key\":\"bob\",\"meta\":{\"user\":\"own\"}}");
  CHECK(hears(&w, listener, "\"user\":\"own\"}]}},\"leaves\""));
  CHECK(lk_slice_find(lk_buf_slice(&w.heard), LK_LIT("{\"bob\":{\"metas\":[{\"cursor\":1,\"phx")) !=
        LK_SLICE_NONE);
  speak(&w, bob, 2, "{\"user\":{\"name\":\"Rob\"},\"cursor\":2}");
  CHECK(hears(&w, listener, "\"user\":\"own\"}]}},\"leaves\""));
  tell(&w, bob, "presence.track", "{\"key\":\"b2\",\"meta\":{}}");
  CHECK(hears(&w, listener, "\"joins\":{\"b2\":{\"metas\":[{\"cursor\":2,\"phx_ref\":"));
  speak(&w, bob, 3, "null");
  CHECK(hears(&w, listener, "\"b2\":{\"metas\":[{\"phx_ref\":"));
  deinit(&w);
}

TEST(a_guest_of_presence_shows_itself_and_is_a_guest_again) {
  world w;
  init(&w);
  uint64_t listener = join(&w, LISTENS), ada = join(&w, "{}");
  (void)listen(&w, ada);
  speak(&w, ada, 1, "{\"user\":1}");
  (void)listen(&w, ada);
  tell(&w, ada, "presence.update", "{\"key\":\"client-9\"}"); /* that is not its key */
  CHECK(hears(&w, ada, "LK_ERR_NOT_FOUND"));
  tell(&w, ada, "presence.untrack", "{\"key\":\"client-9\"}");
  CHECK(!hears(&w, listener, "leaves"));
  tell(&w, ada, "presence.track", "{\"key\":\"client-9\",\"meta\":{\"n\":1}}");
  CHECK(hears(&w, listener, "{\"client-9\":{\"metas\":[{\"n\":1,\"phx_ref\":"));
  tell(&w, ada, "presence.track", "{\"key\":\"ada\",\"meta\":[]}");
  CHECK(hears(&w, ada, "LK_ERR_PAYLOAD"));
  tell(&w, ada, "presence.untrack", "{\"key\":\"client-9\"}");
  CHECK(hears(&w, listener, "\"joins\":{\"client-9\":{\"metas\":[{\"phx_ref\":"));
  tell(&w, ada, "presence.track", "{\"key\":\"ada\",\"meta\":{}}");
  CHECK(hears(&w, listener, "\"leaves\":{\"client-9\":"));
  deinit(&w);
}

/* Goal: guests leave room for those who want to be seen, who could not come in otherwise. */
TEST(guests_take_half_of_a_presence_at_most) {
  world w;
  uint64_t guests[6];
  init(&w);
  w.limits.presence_metas_count = 8;
  uint64_t listener = join(&w, LISTENS);
  for (int i = 0; i < 6; i++) {
    guests[i] = join(&w, "{}");
    (void)listen(&w, guests[i]);
    speak_for(&w, guests[i], 20 + i, 1, "{\"user\":1}");
  }
  (void)listen(&w, listener);
  for (int i = 0; i < 4; i++) {
    uint64_t shown = join(&w, SHOWS_BOB);
    CHECK(hears(&w, shown, "\"status\":\"ok\""));
  }
  uint64_t late = join(&w, SHOWS_BOB);
  CHECK(hears(&w, late, "LK_ERR_LIMIT"));
  deinit(&w);
}

TEST(what_does_not_fit_into_a_meta_is_not_shown) {
  world w;
  init(&w);
  w.limits.presence_meta_bytes = 60;
  uint64_t listener = join(&w, LISTENS), bob = join(&w, SHOWS_BOB);
  (void)listen(&w, bob);
  speak(&w, bob, 1, "{\"user\":1,\"cursor\":\"0123456789012345678901234567890123456789\"}");
  CHECK(hears(&w, listener, "\"user\":1"));
  CHECK(lk_slice_find(lk_buf_slice(&w.heard), LK_LIT("cursor")) == LK_SLICE_NONE);
  CHECK_COVERED(attendance_lends_less);
  deinit(&w);
}

TEST(who_is_present_is_shown_in_awareness_while_somebody_hears_of_it) {
  world w;
  init(&w);
  uint64_t bob = join(&w, SHOWS_BOB);
  CHECK(lk_slice_find(listen(&w, bob), LK_LIT("\"awareness\"")) == LK_SLICE_NONE);
  uint64_t ada = join(&w, "{\"encoding\":\"base64\"}");
  (void)listen(&w, ada);
  speak(&w, ada, 1, "{}");
  /* {"user":{"name":"Bob"},"presence":"bob"} at its end, in base64 */
  CHECK(hears(&w, ada, "InVzZXIiOnsibmFtZSI6IkJvYiJ9LCJwcmVzZW5jZSI6ImJvYiJ9"));
  tell(&w, bob, "cursor_pos", "[1]");
  CHECK(lk_slice_find(listen(&w, ada), LK_LIT("\"awareness\"")) != LK_SLICE_NONE);
  speak(&w, ada, 2, "null");
  (void)listen(&w, ada);
  lk_hub_disconnect(w.hub, bob, w.now);
  CHECK(hears(&w, ada, "udWxs\"}")); /* null, at its end */
  deinit(&w);
}

TEST(people_see_each_other_again_after_the_death_of_their_room_process) {
  world w;
  init(&w);
  uint64_t bob = join(&w, SHOWS_BOB), ada = join(&w, "{\"encoding\":\"base64\"}");
  (void)listen(&w, ada);
  speak(&w, ada, 1, "{\"user\":1}");
  CHECK(hears(&w, ada, "ImJvYiJ9"));
  CHECK_OK(lk_hub_replace_house(w.hub, &w.storage.table, 99));
  CHECK(hears(&w, bob, "presence_state\",{\"bob\":"));
  speak(&w, ada, 1, "{\"user\":1}"); /* it was asked for that */
  CHECK(hears(&w, bob, "\"joins\":{\"client-9\":"));
  uint64_t late = join(&w, "{\"encoding\":\"base64\"}");
  CHECK(hears(&w, late, "cHJlc2VuY2UiOiJib2IifQ==")); /* presence":"bob"} */
  deinit(&w);
}

TEST(presence_and_awareness_without_memory_are_late_and_never_wrong) {
  FAULT_LOOP(faults, test_alloc()) {
    world w = { .env = LK_ENV_INIT(faulty_alloc(&faults), NULL), .limits = lk_limits_default() };
    uint64_t c[2];
    static const char *params[] = { LISTENS, SHOWS_BOB };
    lk_memory_storage_init(&w.storage, test_alloc(), 1 << 24);
    lk_buf_init(&w.heard, test_alloc(), 1 << 24);
    if (lk_hub_open(&w.env, &w.limits, &w.storage.table, 7, &w.hub) == LK_OK) {
      for (int i = 0; i < 2; i++) {
        char text[300];
        if (lk_hub_connect(w.hub, &c[i]) != LK_OK) continue;
        (void)snprintf(text, sizeof text, "[\"1\",\"1\",\"doc:a\",\"phx_join\",%s]", params[i]);
        (void)!lk_hub_receive(w.hub, c[i], lk_slice_cstr(text), w.now);
        (void)listen(&w, c[i]);
        (void)!lk_hub_receive(
            w.hub, c[i],
            LK_LIT("[\"1\",\"2\",\"doc:a\",\"awareness\",{\"bin\":[1,9,1,2,123,125]}]"), w.now);
        (void)listen(&w, c[i]);
        (void)!lk_hub_receive(w.hub, c[i],
                              LK_LIT("[\"1\",\"3\",\"doc:a\",\"presence.track\",{\"key\":\"k\"}]"),
                              w.now);
        (void)listen(&w, c[i]);
        if (i == 1) lk_hub_disconnect(w.hub, c[0], w.now);
      }
      if (!faults.hit) CHECK(lk_hub_get_stats(w.hub).house.members == 1);
      lk_hub_close(w.hub);
    }
    lk_memory_storage_deinit(&w.storage);
    lk_buf_deinit(&w.heard);
  }
  CHECK_COVERED(doc_room_has_no_memory_to_sleep); /* and it is not asked again and again */
}
