/* The room of a document by itself, between awareness and presence: what it says to the one of the other. */
#include "room/doc_room.h"

#include <stdlib.h>
#include <string.h>

#include "harness/faulty.h"
#include "harness/test.h"
#include "laniakea/awareness.h"
#include "room/doc_stand_ins.h"

#define DATE UINT64_C(1800000000000)

/* What one step gave. */
typedef struct heard {
  uint32_t shows, watches, updates;
  uint64_t shown;    /* the member of the last SHOW */
  bool is_watched;   /* as the last WATCH says */
  uint64_t timer_at; /* of the last TIMER; 0: none */
  lk_buf key, who;   /* of the last SHOW */
} heard;

typedef struct world {
  lk_env env;
  lk_limits limits;
  lk_room *room;
  lk_awareness *view; /* of somebody who hears all */
  uint64_t now_ms;
  heard heard;
} world;

static void open_world(world *w) {
  const lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  *w = (world){ .env = env, .limits = lk_limits_default(), .now_ms = 1000 };
  lk_buf_init(&w->heard.key, test_alloc(), 1 << 20);
  lk_buf_init(&w->heard.who, test_alloc(), 1 << 20);
  CHECK_OK(lk_awareness_open(&w->env, LK_AWARENESS_NO_CLIENT, 1, &w->view));
  lk_room_options options = { .env = &w->env,
                              .limits = &w->limits,
                              .topic = LK_LIT("doc:a"),
                              .level = LK_LIT("durable"),
                              .entropy = 42 };
  CHECK_OK(lk_doc_room_kind.open(&options, &w->room));
}

static void close_world(world *w) {
  lk_doc_room_kind.close(w->room);
  lk_awareness_close(w->view);
  lk_buf_deinit(&w->heard.key);
  lk_buf_deinit(&w->heard.who);
}

static void hear(world *w, const lk_room_effect *e) {
  heard *h = &w->heard;
  switch (e->kind) {
  case LK_ROOM_SHOW:
    h->shows++;
    h->shown = e->member;
    lk_buf_truncate(&h->key, 0);
    lk_buf_truncate(&h->who, 0);
    CHECK_OK(lk_buf_append(&h->key, e->event));
    CHECK_OK(lk_buf_append(&h->who, e->payload));
    break;
  case LK_ROOM_WATCH:
    h->watches++;
    h->is_watched = e->ok;
    break;
  case LK_ROOM_TIMER: h->timer_at = e->at_ms; break;
  case LK_ROOM_BROADCAST:
    if (!lk_slice_equal(e->event, LK_LIT("awareness"))) break;
    h->updates++;
    CHECK_OK(lk_awareness_apply(w->view, e->payload, 1));
    break;
  default: break;
  }
}

static void step(world *w, lk_room_input input) {
  lk_room_effect effect;
  w->heard.shows = w->heard.watches = w->heard.updates = 0;
  input.now_ms = w->now_ms;
  input.wall_ms = DATE + w->now_ms;
  input.rights = LK_RIGHTS_WRITE;
  CHECK_OK(lk_doc_room_kind.step(w->room, &input));
  while (lk_doc_room_kind.poll(w->room, &effect)) hear(w, &effect);
}

static void join(world *w, uint64_t member, const char *params, const char *subject) {
  step(w, (lk_room_input){ .kind = LK_ROOM_JOIN,
                           .member = member,
                           .request = member,
                           .payload = lk_slice_cstr(params),
                           .subject = lk_slice_cstr(subject) });
}

/* The windows of awareness end. */
static void pass(world *w, uint64_t by_ms) {
  w->now_ms += by_ms;
  step(w, (lk_room_input){ .kind = LK_ROOM_TICK });
}

static void say(world *w, uint64_t member, const uint8_t *update, size_t len) {
  step(w, (lk_room_input){ .kind = LK_ROOM_MESSAGE,
                           .member = member,
                           .request = 1,
                           .event = LK_LIT("awareness"),
                           .payload = lk_slice_of(update, len),
                           .binary = true });
}

/* {client, clock, state}, of less than 128 each. */
static void speak(world *w, uint64_t member, uint8_t client, uint8_t clock, const char *state) {
  uint8_t update[200] = { 1, client, clock, (uint8_t)strlen(state) };
  memcpy(update + 4, state, strlen(state));
  say(w, member, update, 4 + strlen(state));
}

static void see(world *w, uint64_t member, const char *key, const char *meta) {
  step(w, (lk_room_input){ .kind = LK_ROOM_SEEN,
                           .member = member,
                           .event = lk_slice_cstr(key),
                           .payload = lk_slice_cstr(meta) });
}

/* The state of the only client that is shown; none: empty. */
static lk_slice only(const world *w, uint64_t *client) {
  uint32_t cursor = 0;
  lk_slice state = LK_SLICE_EMPTY;
  CHECK(lk_awareness_count(w->view) <= 1);
  (void)lk_awareness_next(w->view, &cursor, client, &state);
  return state;
}

TEST(presence_is_told_of_nobody_before_somebody_looks_and_then_of_all) {
  world w;
  open_world(&w);
  join(&w, 1, "{}", "");
  join(&w, 2, "{}", "ada");
  speak(&w, 1, 10, 1, "{\"user\":{\"name\":\"Bob\"}}");
  pass(&w, 100);
  CHECK_U64(w.heard.shows, 0);
  step(&w, (lk_room_input){ .kind = LK_ROOM_LOOK, .ok = true });
  CHECK(w.heard.shows == 1 && w.heard.shown == 1);
  CHECK_TEXT(lk_buf_slice(&w.heard.key), "client-10");
  CHECK_TEXT(lk_buf_slice(&w.heard.who), "{\"user\":{\"name\":\"Bob\"}}");
  pass(&w, 100);
  speak(&w, 2, 20, 1, "{\"cursor\":[1]}");
  CHECK(w.heard.shows == 1 && w.heard.shown == 2);
  CHECK_TEXT(lk_buf_slice(&w.heard.key), "ada");
  /* Like others, presence hears of it in windows. */
  speak(&w, 2, 20, 2, "{\"cursor\":[2]}");
  speak(&w, 2, 20, 3, "{\"cursor\":[3]}");
  CHECK_U64(w.heard.shows, 0);
  pass(&w, 40);
  CHECK_U64(w.heard.shows, 1);
  CHECK_TEXT(lk_buf_slice(&w.heard.who), "{\"cursor\":[3]}");
  pass(&w, 100);
  speak(&w, 2, 20, 4, "null");
  CHECK(w.heard.shows == 1 && w.heard.who.len == 0);
  close_world(&w);
}

TEST(presence_is_told_of_nobody_when_nobody_looks_any_more_and_of_all_when_somebody_does) {
  world w;
  open_world(&w);
  step(&w, (lk_room_input){ .kind = LK_ROOM_LOOK }); /* nobody has shown anything */
  step(&w, (lk_room_input){ .kind = LK_ROOM_LOOK, .ok = true });
  join(&w, 1, "{}", "ada");
  join(&w, 2, "{}", "");
  speak(&w, 1, 10, 1, "{\"user\":1}");
  CHECK_U64(w.heard.shows, 1);
  pass(&w, 100);
  speak(&w, 1, 10, 2, "{\"user\":2}");
  speak(&w, 2, 20, 1, "{\"user\":3}"); /* it is still to be told, and never is */
  step(&w, (lk_room_input){ .kind = LK_ROOM_LOOK });
  pass(&w, 100);
  speak(&w, 1, 10, 3, "{\"user\":4}");
  pass(&w, 100);
  CHECK_U64(w.heard.shows, 0);
  pass(&w, 100);
  step(&w, (lk_room_input){ .kind = LK_ROOM_LOOK, .ok = true });
  CHECK_U64(w.heard.shows, 2);
  close_world(&w);
}

TEST(who_repeats_what_it_heard_is_present_as_itself) {
  static const uint8_t all[] = { 2,  20, 1, 8,   '{', '"', 'a', '"', ':', '2', '0', '}',
                                 30, 1,  8, '{', '"', 'a', '"', ':', '3', '0', '}' };
  world w;
  open_world(&w);
  step(&w, (lk_room_input){ .kind = LK_ROOM_LOOK, .ok = true });
  join(&w, 1, "{}", "");
  join(&w, 2, "{}", "");
  say(&w, 1, all, sizeof all); /* its own is the first of them */
  CHECK_TEXT(lk_buf_slice(&w.heard.key), "client-20");
  pass(&w, 100);
  speak(&w, 2, 30, 2, "{}"); /* the other one is here, too */
  pass(&w, 100);
  speak(&w, 1, 20, 2, "{}");
  CHECK_TEXT(lk_buf_slice(&w.heard.key), "client-20");
  CHECK_U64(w.heard.shown, 1);
  close_world(&w);
}

/* Goal: when a room has come back, and editors answer what they know, each in its own order, each is present as itself. */
TEST(who_was_repeated_before_it_spoke_is_present_all_the_same) {
  static const uint8_t ada[] = { 2, 10, 1, 2, '{', '}', 20, 1, 2, '{', '}' };
  static const uint8_t bob[] = { 2, 20, 1, 2, '{', '}', 10, 1, 2, '{', '}' };
  world w;
  uint64_t client;
  open_world(&w);
  step(&w, (lk_room_input){ .kind = LK_ROOM_LOOK, .ok = true });
  join(&w, 1, "{}", "");
  join(&w, 2, "{}", "");
  say(&w, 1, ada, sizeof ada);
  CHECK_TEXT(lk_buf_slice(&w.heard.key), "client-10");
  pass(&w, 100);
  say(&w, 2, bob, sizeof bob);
  pass(&w, 100);
  CHECK_U64(w.heard.shown, 2);
  CHECK_TEXT(lk_buf_slice(&w.heard.key), "client-20");
  step(&w, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = 2 });
  (void)only(&w, &client); /* and goes with itself */
  CHECK_U64(client, 10);
  pass(&w, 100);
  step(&w, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = 1 });
  CHECK_U64(lk_awareness_count(w.view), 0);
  close_world(&w);
}

TEST(many_are_shown_to_presence_bit_by_bit) {
  enum { MEMBERS = 700 };
  world w;
  uint32_t shown = 0, steps = 0;
  open_world(&w);
  for (uint64_t i = 1; i <= MEMBERS; i++) {
    uint8_t update[] = { 1, (uint8_t)(i % 128 | 128), (uint8_t)(i / 128), 1, 2, '{', '}' };
    join(&w, i, "{}", "");
    say(&w, i, update, sizeof update);
  }
  pass(&w, 1000);
  pass(&w, 1000);
  step(&w, (lk_room_input){ .kind = LK_ROOM_LOOK, .ok = true });
  for (; w.heard.shows > 0; steps++) {
    shown += w.heard.shows;
    CHECK(w.heard.shows <= 256);
    if (shown < MEMBERS) CHECK_U64(w.heard.timer_at, w.now_ms + 40);
    pass(&w, 39);
    CHECK_U64(w.heard.shows, 0);
    pass(&w, 1);
  }
  CHECK(shown == MEMBERS && steps >= 3);
  close_world(&w);
}

TEST(members_are_watched_while_somebody_hears_of_awareness) {
  world w;
  open_world(&w);
  join(&w, 1, "{}", "");
  CHECK_U64(w.heard.watches, 0);
  join(&w, 2, "{\"dialect\":\"y\"}", "");
  CHECK(w.heard.watches == 1 && w.heard.is_watched);
  speak(&w, 1, 10, 1, "{}");
  CHECK_U64(w.heard.watches, 0);
  step(&w, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = 2 });
  CHECK_U64(w.heard.watches, 0);
  step(&w, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = 1 });
  CHECK(w.heard.watches == 1 && !w.heard.is_watched);
  see(&w, 3, "bob", "{}"); /* it was under way */
  CHECK_U64(w.heard.updates, 0);
  step(&w, (lk_room_input){
               .kind = LK_ROOM_RESTORE, .member = 4, .payload = LK_LIT("{\"dialect\":\"y\"}") });
  CHECK(w.heard.watches == 1 && w.heard.is_watched);
  close_world(&w);
}

TEST(who_is_only_present_has_a_stand_in_until_it_leaves_or_speaks) {
  world w;
  uint64_t client = 0, again = 0, clock;
  open_world(&w);
  join(&w, 1, "{\"dialect\":\"y\"}", "");
  join(&w, 2, "{}", "");
  see(&w, 2, "bob", "{\"phx_ref\":\"x\",\"name\":\"Bob\",\"cursor_pos\":3}");
  CHECK_TEXT(only(&w, &client),
             "{\"user\":{\"name\":\"Bob\"},\"presence\":\"bob\",\"cursor_pos\":3}");
  CHECK(lk_doc_stand_ins_owns(client));
  CHECK(lk_awareness_clock(w.view, client, &clock));
  CHECK_U64(clock, lk_doc_stand_in_clock(DATE + w.now_ms));
  /* In windows, like all of awareness. */
  see(&w, 2, "bob", "{\"name\":\"Bobby\"}");
  CHECK_U64(w.heard.updates, 0);
  pass(&w, 40);
  CHECK_TEXT(only(&w, &again), "{\"user\":{\"name\":\"Bobby\"},\"presence\":\"bob\"}");
  CHECK_U64(again, client);
  pass(&w, 100);
  see(&w, 2, "", "");
  CHECK_U64(lk_awareness_count(w.view), 0);
  pass(&w, 100);
  see(&w, 2, "bob", "{}");
  CHECK_TEXT(only(&w, &again), "{\"user\":{\"name\":\"bob\"},\"presence\":\"bob\"}");
  CHECK_U64(again, client);
  pass(&w, 100);
  speak(&w, 2, 10, 1, "{\"user\":7}");
  CHECK_TEXT(only(&w, &again), "{\"user\":7}");
  CHECK_U64(again, 10);
  pass(&w, 100);
  see(&w, 2, "bob", "{}"); /* it has spoken for itself */
  pass(&w, 100);
  CHECK_U64(lk_awareness_count(w.view), 1);
  see(&w, 3, "cyd", "{}");
  CHECK_U64(lk_awareness_count(w.view), 2);
  pass(&w, 100);
  step(&w, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = 3 });
  CHECK_U64(lk_awareness_count(w.view), 1);
  close_world(&w);
}

/* Editors take to have gone of whom they hear nothing for 30 seconds. */
TEST(stand_ins_are_shown_again_in_time_while_somebody_hears_of_them) {
  world w;
  uint64_t client = 0, before, clock;
  uint32_t updates = 0;
  open_world(&w);
  join(&w, 1, "{\"dialect\":\"y\"}", "");
  see(&w, 2, "bob", "{}");
  (void)only(&w, &client);
  CHECK(lk_awareness_clock(w.view, client, &before));
  for (int seconds = 0; seconds < 100; seconds++) {
    uint64_t at = w.heard.timer_at;
    if (at > w.now_ms && at <= w.now_ms + 1000) CHECK(at >= w.now_ms);
    pass(&w, 1000);
    updates += w.heard.updates;
    CHECK_U64(lk_awareness_count(w.view), 1);
  }
  CHECK_COVERED(doc_awareness_renews);
  CHECK_U64(updates, 6);
  CHECK(lk_awareness_clock(w.view, client, &clock) && clock == before + 6);
  step(&w, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = 1 });
  CHECK_U64(lk_awareness_count(w.view), 0);
  w.heard.timer_at = 0;
  pass(&w, 400000); /* what went is forgotten, and nothing is left to be done */
  pass(&w, 400000);
  w.heard.timer_at = 0;
  pass(&w, 1000);
  CHECK_U64(w.heard.timer_at, 0);
  close_world(&w);
}

TEST(nobody_speaks_for_a_stand_in) {
  world w;
  uint64_t client = 0;
  lk_buf echo;
  open_world(&w);
  lk_buf_init(&echo, test_alloc(), 1000);
  step(&w, (lk_room_input){ .kind = LK_ROOM_LOOK, .ok = true });
  join(&w, 1, "{\"dialect\":\"y\"}", "");
  see(&w, 2, "bob", "{}");
  (void)only(&w, &client);
  /* An editor repeats it, and says that it has gone. */
  CHECK_OK(lk_awareness_encode(w.view, &echo));
  pass(&w, 100);
  say(&w, 1, echo.ptr, echo.len);
  CHECK(w.heard.updates == 0 && w.heard.shows == 0);
  CHECK_OK(lk_awareness_remove(w.view, &client, 1, 1));
  lk_buf_truncate(&echo, 0);
  CHECK_OK(lk_awareness_encode_clients(w.view, &client, 1, &echo));
  say(&w, 1, echo.ptr, echo.len);
  CHECK(w.heard.updates == 0 && w.heard.shows == 0);
  pass(&w, 100);
  CHECK(w.heard.updates == 0 && w.heard.shows == 0);
  pass(&w, 16000); /* it is shown again */
  CHECK_U64(lk_awareness_count(w.view), 1);
  lk_buf_deinit(&echo);
  close_world(&w);
}

TEST(stand_ins_are_bounded_and_what_is_no_meta_has_none) {
  world w;
  open_world(&w);
  w.limits.presence_stand_ins_count = 2;
  join(&w, 1, "{\"dialect\":\"y\"}", "");
  see(&w, 2, "a", "{");
  see(&w, 3, "\xff", "{}");
  for (uint64_t i = 4; i < 8; i++) see(&w, i, "b", "{}");
  pass(&w, 100);
  CHECK_U64(lk_awareness_count(w.view), 2);
  step(&w, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = 4 });
  see(&w, 7, "b", "{\"n\":1}");
  pass(&w, 100);
  CHECK_U64(lk_awareness_count(w.view), 2);
  close_world(&w);
}

static lk_err live(const lk_env *env, const lk_limits *limits) {
  static const uint8_t ada[] = { 1, 10, 1, 10, '{', '"', 'u', 's', 'e', 'r', '"', ':', '1', '}' };
  const lk_room_input inputs[] = {
    { .kind = LK_ROOM_LOOK, .ok = true },
    { .kind = LK_ROOM_JOIN, .member = 1, .payload = LK_LIT("{\"dialect\":\"y\"}") },
    { .kind = LK_ROOM_JOIN, .member = 2, .payload = LK_LIT("{}"), .subject = LK_LIT("ada") },
    { .kind = LK_ROOM_SEEN, .member = 2, .event = LK_LIT("k"), .payload = LK_LIT("{\"n\":1}") },
    { .kind = LK_ROOM_SEEN, .member = 3, .event = LK_LIT("l"), .payload = LK_LIT("{}") },
    { .kind = LK_ROOM_MESSAGE,
      .member = 2,
      .event = LK_LIT("awareness"),
      .payload = lk_slice_of(ada, sizeof ada),
      .binary = true },
    { .kind = LK_ROOM_TICK },
    { .kind = LK_ROOM_LEAVE, .member = 2 },
    { .kind = LK_ROOM_LEAVE, .member = 1 },
    { .kind = LK_ROOM_TICK },
  };
  lk_room_options options = { .env = env,
                              .limits = limits,
                              .topic = LK_LIT("doc:a"),
                              .level = LK_LIT("durable"),
                              .entropy = 42 };
  lk_room *room;
  lk_room_effect effect;
  lk_err err = lk_doc_room_kind.open(&options, &room);
  if (err != LK_OK) return err;
  for (size_t i = 0; err == LK_OK && i < sizeof inputs / sizeof inputs[0]; i++) {
    lk_room_input input = inputs[i];
    input.now_ms = 20000 * (i + 1);
    input.wall_ms = DATE + input.now_ms;
    input.rights = LK_RIGHTS_WRITE;
    err = lk_doc_room_kind.step(room, &input);
    while (err == LK_OK && lk_doc_room_kind.poll(room, &effect)) continue;
  }
  lk_doc_room_kind.close(room);
  return err;
}

TEST(a_room_that_shows_its_members_without_memory_ends_and_leaves_nothing) {
  lk_limits limits = lk_limits_default();
  FAULT_LOOP(faults, test_alloc()) {
    const lk_env env = LK_ENV_INIT(faulty_alloc(&faults), NULL);
    lk_err err = live(&env, &limits);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
  }
}
