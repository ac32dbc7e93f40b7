/* Goal: versions of a document are made, kept, shown and gone back to, whatever dies meanwhile.
 * Method: the room by itself, with a clock, a date and a disk that the test has; every allocation failed once. What a version
 * reads like is checked against the document as it was; tests/e2e/versions.test.mjs asks Yjs. */
#include "room/doc_versions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/faulty.h"
#include "harness/test.h"
#include "laniakea/doc_history.h"
#include "room/doc_journal.h"
#include "room/doc_room.h"
#include "unit/room/doc_client.h"
#include "unit/room/heard.h"

#define RECORDS_MAX 128

typedef struct world {
  lk_alloc alloc; /* the room's */
  lk_env env;
  lk_limits limits;
  lk_version_policy policy;
  lk_room *room;
  heard heard; /* of the last step and what landed in it */
  uint64_t now_ms, wall_ms, request;
  lk_buf snapshot;
  lk_buf records[RECORDS_MAX];
  lk_slice slices[RECORDS_MAX];
  uint32_t records_count;
  lk_err err; /* of the last step */
} world;

static lk_err open_room(world *w) {
  for (uint32_t i = 0; i < w->records_count; i++) w->slices[i] = lk_buf_slice(&w->records[i]);
  lk_room_options options = { .env = &w->env,
                              .limits = &w->limits,
                              .topic = LK_LIT("doc:a"),
                              .recovered = lk_buf_slice(&w->snapshot),
                              .records = w->slices,
                              .records_count = w->records_count,
                              .intact = true,
                              .level = LK_LIT("durable"),
                              .versions = w->policy,
                              .entropy = 42 + w->now_ms };
  w->room = NULL;
  return lk_doc_room_kind.open(&options, &w->room);
}

static void init(world *w) {
  *w = (world){ .alloc = *test_alloc(),
                .limits = lk_limits_default(),
                .policy = { true, 0, LK_VERSIONS_AUTOMATIC_PRESET },
                .now_ms = 1000,
                .wall_ms = 1700000000000 };
  w->env = (lk_env)LK_ENV_INIT(&w->alloc, NULL);
  lk_buf_init(&w->snapshot, test_alloc(), 1 << 24);
  for (uint32_t i = 0; i < RECORDS_MAX; i++) lk_buf_init(&w->records[i], test_alloc(), 1 << 24);
  CHECK_OK(open_room(w));
}

static void deinit(world *w) {
  heard_forget(&w->heard);
  if (w->room != NULL) lk_doc_room_kind.close(w->room);
  lk_buf_deinit(&w->snapshot);
  for (uint32_t i = 0; i < RECORDS_MAX; i++) lk_buf_deinit(&w->records[i]);
}

static bool hear(world *w, uint64_t *ticket) {
  lk_room_effect effect;
  bool is_flying = false;
  while (lk_doc_room_kind.poll(w->room, &effect)) {
    if (effect.kind == LK_ROOM_JOURNAL) {
      CHECK(w->records_count < RECORDS_MAX);
      CHECK_OK(lk_buf_append(&w->records[w->records_count++], effect.payload));
      *ticket = effect.ticket;
      is_flying = true;
    } else if (effect.kind == LK_ROOM_SNAPSHOT_DONE) {
      lk_buf_truncate(&w->snapshot, 0);
      CHECK_OK(lk_buf_append(&w->snapshot, effect.payload));
    } else {
      heard_keep(&w->heard, effect);
    }
  }
  return is_flying;
}

/* One input, and its records land at once. */
static void step(world *w, lk_room_input input) {
  uint64_t ticket = 0;
  heard_forget(&w->heard);
  input.now_ms = w->now_ms;
  input.wall_ms = w->wall_ms;
  input.entropy = w->now_ms * 7919 + w->request;
  w->err = lk_doc_room_kind.step(w->room, &input);
  while (w->err == LK_OK && hear(w, &ticket)) {
    const lk_room_input landed = { .kind = LK_ROOM_JOURNALED,
                                   .ticket = ticket,
                                   .now_ms = w->now_ms };
    w->err = lk_doc_room_kind.step(w->room, &landed);
  }
}

static void pass_time(world *w, uint64_t ms) {
  w->now_ms += ms;
  w->wall_ms += ms;
}

static void crash(world *w) {
  lk_doc_room_kind.close(w->room);
  w->now_ms = 5; /* of another machine */
  w->wall_ms += 10;
  CHECK_OK(open_room(w));
}

static void take_snapshot(world *w) {
  step(w, (lk_room_input){ .kind = LK_ROOM_SNAPSHOT });
  for (uint32_t i = 0; i < w->records_count; i++) lk_buf_truncate(&w->records[i], 0);
  w->records_count = 0;
}

static const lk_room_effect *find(const world *w, lk_room_effect_kind kind) {
  return heard_find(&w->heard, kind);
}

/* The payload of the answer. */
static lk_slice ask_as(world *w, lk_rights rights, bool applied, const char *event,
                       const char *payload) {
  step(w, (lk_room_input){ .kind = LK_ROOM_QUERY,
                           .request = ++w->request,
                           .event = lk_slice_cstr(event),
                           .payload = lk_slice_cstr(payload),
                           .applied = applied,
                           .rights = rights,
                           .subject = LK_LIT("ada") });
  const lk_room_effect *e = find(w, LK_ROOM_REPLY);
  return w->err == LK_OK && e != NULL ? e->payload : LK_SLICE_EMPTY;
}

static lk_slice ask(world *w, const char *event, const char *payload) {
  return ask_as(w, LK_RIGHTS_ADMIN, false, event, payload);
}

static void check_has(lk_slice text, const char *part) {
  if (lk_slice_find(text, lk_slice_cstr(part)) == LK_SLICE_NONE)
    test_fail(LK_FILE, __LINE__, "no %s in %.*s", part, (int)text.len, (const char *)text.ptr);
}

static bool has(lk_slice text, const char *part) {
  return lk_slice_find(text, lk_slice_cstr(part)) != LK_SLICE_NONE;
}

/* What the answer's id is. */
static uint64_t id_of(lk_slice answer) {
  size_t at = lk_slice_find(answer, LK_LIT("\"id\":"));
  CHECK(at != LK_SLICE_NONE);
  return at == LK_SLICE_NONE ? 0 : strtoull((const char *)answer.ptr + at + 5, NULL, 10);
}

/* ---- who writes ---- */

static void send(world *w, client *c) {
  step(w, (lk_room_input){ .kind = LK_ROOM_QUERY,
                           .request = ++w->request,
                           .event = LK_LIT("client_update"),
                           .payload = lk_buf_slice(&c->last),
                           .binary = true,
                           .rights = LK_RIGHTS_WRITE,
                           .subject = LK_LIT("bob") });
}

static void type(world *w, client *c, uint64_t at, const char *text) {
  CHECK_OK(lk_doc_text_insert(c->doc, c->text, at, lk_slice_cstr(text), NULL));
  send(w, c);
}

static void cut(world *w, client *c, uint64_t at, uint64_t len) {
  CHECK_OK(lk_doc_text_delete(c->doc, c->text, at, len));
  send(w, c);
}

/* The client hears what the others were told. */
static void listen(world *w, client *c) {
  for (uint32_t i = 0; i < w->heard.count; i++) {
    const lk_room_effect *e = &w->heard.at[i];
    if (e->kind == LK_ROOM_BROADCAST && lk_slice_equal(e->event, LK_LIT("server_update")))
      CHECK_OK(lk_doc_apply(c->doc, LK_UPDATE_V1, e->payload, 0));
  }
}

static void check_version(world *w, uint64_t id, const char *want) {
  char payload[64];
  (void)snprintf(payload, sizeof payload, "{\"id\":%llu,\"as\":\"text\"}", (unsigned long long)id);
  CHECK_SLICE(ask(w, "version_read", payload), lk_slice_cstr(want));
}

static void check_room(world *w, const char *want) {
  CHECK_SLICE(ask(w, "read", "{\"as\":\"text\"}"), lk_slice_cstr(want));
}

/* ---- saving and reading ---- */

TEST(a_version_shows_what_was_there_and_lists_who_saved_it) {
  world w;
  client c;
  init(&w);
  client_init(&c, 5);
  type(&w, &c, 0, "first");
  lk_slice answer = ask(&w, "version_save", "{\"name\":\"a \\\"b\\\"\"}");
  check_has(answer, "{\"id\":1,\"at\":1700000000000,\"name\":\"a \\\"b\\\"\",\"by\":\"ada\",");
  check_has(answer, "\"automatic\":false,\"bytes\":");
  check_has(answer, "\"level\":\"durable\"}");
  cut(&w, &c, 0, 5);
  type(&w, &c, 0, "second");
  CHECK_U64(id_of(ask(&w, "version_save", "{}")), 2);
  type(&w, &c, 6, "!");
  check_version(&w, 1, "first");
  check_version(&w, 2, "second");
  check_room(&w, "second!");
  answer = ask(&w, "versions", "{\"limit\":1}");
  CHECK(lk_slice_starts_with(answer, LK_LIT("{\"versions\":[{\"id\":2,")));
  check_has(answer, "\"more\":true,\"interval_ms\":0}");
  answer = ask(&w, "versions", "{\"limit\":1,\"before\":2}");
  CHECK(lk_slice_starts_with(answer, LK_LIT("{\"versions\":[{\"id\":1,")));
  check_has(answer, "\"more\":false");
  check_has(ask(&w, "version_read", "{\"id\":1}"), "{\"t\":\"first\"}");
  check_has(ask(&w, "version_read", "{\"id\":1,\"as\":\"html\",\"root\":\"x\"}"),
            "LK_ERR_NOT_FOUND");
  answer = ask(&w, "version_read", "{\"id\":1,\"as\":\"snapshot_v2\"}");
  CHECK_SLICE(answer, LK_LIT("\x00\x01\x05\x05"));
  client_deinit(&c);
  deinit(&w);
}

/* What all were told of versions in the last step; empty: nothing. */
static lk_slice told(const world *w) {
  for (uint32_t i = 0; i < w->heard.count; i++) {
    const lk_room_effect *e = &w->heard.at[i];
    if (e->kind == LK_ROOM_BROADCAST && lk_slice_equal(e->event, LK_LIT("versions_changed"))) {
      CHECK(!e->binary && e->member == 0);
      return e->payload;
    }
  }
  return LK_SLICE_EMPTY;
}

TEST(members_hear_when_a_version_is_made_deleted_or_restored) {
  world w;
  client c;
  init(&w);
  client_init(&c, 5);
  type(&w, &c, 0, "first");
  CHECK_U64(told(&w).len, 0);
  (void)ask(&w, "version_save", "{\"name\":\"a\",\"request_id\":\"x\"}");
  CHECK(
      lk_slice_starts_with(told(&w), LK_LIT("{\"change\":\"made\",\"id\":1,\"at\":1700000000000,"
                                            "\"name\":\"a\",\"by\":\"ada\",\"automatic\":false,")));
  (void)ask(&w, "version_save", "{\"name\":\"a\",\"request_id\":\"x\"}");
  CHECK_U64(told(&w).len, 0); /* it was made before */
  type(&w, &c, 5, "!");
  (void)ask(&w, "version_restore", "{\"id\":1}");
  CHECK(lk_slice_starts_with(told(&w), LK_LIT("{\"change\":\"restored\",\"id\":1,")));
  check_has(told(&w), "\"before\":2}");
  (void)ask(&w, "version_restore", "{\"id\":1}");
  CHECK_U64(told(&w).len, 0); /* it shows that already */
  (void)ask(&w, "version_delete", "{\"id\":1}");
  CHECK_SLICE(told(&w), LK_LIT("{\"change\":\"deleted\",\"id\":1}"));
  (void)ask(&w, "version_delete", "{\"id\":1}");
  CHECK_U64(told(&w).len, 0);
  (void)ask(&w, "versions", "{}");
  CHECK_U64(told(&w).len, 0);
  client_deinit(&c);
  deinit(&w);
}

TEST(members_hear_of_a_version_that_makes_itself) {
  world w;
  client c;
  init(&w);
  w.policy.interval_ms = 1000;
  crash(&w);
  client_init(&c, 5);
  type(&w, &c, 0, "first");
  pass_time(&w, 2000);
  type(&w, &c, 5, "!");
  check_has(told(&w), "{\"change\":\"made\",\"id\":1,");
  check_has(told(&w), "\"automatic\":true");
  client_deinit(&c);
  deinit(&w);
}

/* Nobody is told what a crash may take back. */
TEST(of_a_version_that_is_not_kept_nobody_hears) {
  world w;
  client c;
  lk_room_effect effect;
  init(&w);
  client_init(&c, 5);
  type(&w, &c, 0, "first");
  CHECK_OK(lk_doc_room_kind.step(w.room, &(lk_room_input){ .kind = LK_ROOM_QUERY,
                                                           .request = ++w.request,
                                                           .event = LK_LIT("version_save"),
                                                           .payload = LK_LIT("{}"),
                                                           .now_ms = w.now_ms,
                                                           .wall_ms = w.wall_ms,
                                                           .rights = LK_RIGHTS_ADMIN }));
  while (lk_doc_room_kind.poll(w.room, &effect)) CHECK(effect.kind != LK_ROOM_BROADCAST);
  client_deinit(&c);
  deinit(&w);
}

/* Goal: what was answered is there after any death, with snapshots in between, and ids are not given twice. */
TEST(versions_come_back_after_the_room_died) {
  for (int with_snapshot = 0; with_snapshot < 2; with_snapshot++) {
    world w;
    client c;
    init(&w);
    client_init(&c, 5);
    type(&w, &c, 0, "one");
    (void)ask(&w, "version_save", "{\"name\":\"n\"}");
    cut(&w, &c, 0, 3);
    type(&w, &c, 0, "two");
    (void)ask(&w, "version_save", "{}");
    check_has(ask(&w, "version_delete", "{\"id\":2}"), "{\"id\":2,\"level\":\"durable\"}");
    if (with_snapshot) take_snapshot(&w);
    crash(&w);
    check_version(&w, 1, "one");
    check_has(ask(&w, "version_read", "{\"id\":2}"),
              "\"reason\":\"LK_ERR_NOT_FOUND\",\"field\":\"id\"");
    CHECK_U64(id_of(ask(&w, "version_save", "{}")), 3);
    crash(&w);
    lk_slice answer = ask(&w, "versions", "{}");
    CHECK(lk_slice_starts_with(answer, LK_LIT("{\"versions\":[{\"id\":3,")));
    check_has(answer, "{\"id\":1,\"at\":1700000000000,\"name\":\"n\",\"by\":\"ada\"");
    client_deinit(&c);
    deinit(&w);
  }
}

/* A snapshot may have what records behind it have, too. */
TEST(what_was_written_down_twice_is_there_once) {
  world w;
  client c;
  init(&w);
  client_init(&c, 5);
  type(&w, &c, 0, "one");
  (void)ask(&w, "version_save", "{\"request_id\":\"r\"}");
  (void)ask(&w, "version_save", "{}");
  (void)ask(&w, "version_delete", "{\"id\":2}");
  step(&w, (lk_room_input){ .kind = LK_ROOM_SNAPSHOT });
  crash(&w);
  lk_slice answer = ask(&w, "versions", "{}");
  size_t at = lk_slice_find(answer, LK_LIT("\"id\":1"));
  CHECK(at != LK_SLICE_NONE && !has(answer, "\"id\":2"));
  CHECK(!has(lk_slice_skip(answer, at + 1), "\"id\":"));
  client_deinit(&c);
  deinit(&w);
}

/* The document sleeps between one step and the next. */
TEST(versions_of_a_document_that_sleeps_are_read) {
  world w;
  client c;
  init(&w);
  client_init(&c, 5);
  type(&w, &c, 0, "one");
  (void)ask(&w, "version_save", "{}");
  cut(&w, &c, 0, 3);
  pass_time(&w, 100000);
  step(&w, (lk_room_input){ .kind = LK_ROOM_TICK });
  check_version(&w, 1, "one");
  client_deinit(&c);
  deinit(&w);
}

/* ---- going back ---- */

TEST(going_back_is_an_update_for_all_and_can_be_gone_back_on) {
  world w;
  client c, other;
  init(&w);
  client_init(&c, 5);
  client_init(&other, 6);
  type(&w, &c, 0, "old text");
  listen(&w, &other);
  (void)ask(&w, "version_save", "{}");
  cut(&w, &c, 0, 4);
  listen(&w, &other);
  type(&w, &c, 0, "new ");
  listen(&w, &other);
  take_snapshot(&w); /* from now on what is encoded for who joins is kept */
  lk_slice answer = ask(&w, "version_restore", "{\"id\":1}");
  check_has(answer, "{\"id\":1,");
  check_has(answer, "\"before\":2,\"level\":\"durable\"}");
  const lk_room_effect *e = find(&w, LK_ROOM_BROADCAST);
  CHECK(e != NULL && e->member == 0 && e->binary);
  listen(&w, &other);
  listen(&w, &c);
  check_text(&other, "old text");
  check_text(&c, "old text");
  take_snapshot(&w);
  crash(&w);
  check_room(&w, "old text");
  check_version(&w, 2, "new text");
  check_has(ask(&w, "version_compare", "{\"from\":2}"), "\"user\":\"ada\",\"added\":4,");
  answer = ask(&w, "version_restore", "{\"id\":2}");
  listen(&w, &other);
  listen(&w, &c);
  check_text(&other, "new text");
  /* Nobody has changed it since. */
  CHECK(!has(ask(&w, "version_restore", "{\"id\":2,\"request_id\":\"x\"}"), "before"));
  CHECK(find(&w, LK_ROOM_BROADCAST) == NULL);
  type(&w, &other, 0, "x");
  listen(&w, &c);
  check_has(ask(&w, "version_restore", "{\"id\":2}"), "\"before\":4");
  listen(&w, &other);
  listen(&w, &c);
  check_text(&c, "new text");
  /* The document shows it already. */
  CHECK_U64(id_of(ask(&w, "version_save", "{}")), 5);
  CHECK(!has(ask(&w, "version_restore", "{\"id\":5}"), "before"));
  CHECK(find(&w, LK_ROOM_BROADCAST) == NULL);
  client_deinit(&c);
  client_deinit(&other);
  deinit(&w);
}

TEST(what_changed_between_versions_is_told_with_who_wrote_it) {
  world w;
  client c;
  init(&w);
  client_init(&c, 5);
  type(&w, &c, 0, "ab");
  (void)ask(&w, "version_save", "{}");
  type(&w, &c, 2, "cde");
  (void)ask(&w, "version_save", "{}");
  cut(&w, &c, 0, 1);
  check_has(ask(&w, "version_compare", "{\"from\":1,\"to\":2}"),
            "{\"clients\":[{\"client\":5,\"user\":\"bob\",\"added\":3,\"deleted\":0,");
  check_has(ask(&w, "version_compare", "{\"from\":2}"), "\"added\":0,\"deleted\":1,");
  check_has(ask(&w, "version_compare", "{\"from\":2,\"to\":1}"), "\"added\":0,\"deleted\":3,");
  check_has(ask(&w, "version_compare", "{\"to\":1}"), "\"added\":2,");
  check_has(ask(&w, "version_compare", "{\"from\":9}"), "\"field\":\"from\"");
  check_has(ask(&w, "version_compare", "{\"from\":1,\"to\":9}"), "\"field\":\"to\"");
  w.limits.bus_frame_bytes = 1 << 20; /* less than nothing is left for an answer */
  check_has(ask(&w, "version_compare", "{\"from\":1}"),
            "{\"reason\":\"LK_ERR_LIMIT\",\"limit\":\"bus_frame_bytes\"");
  client_deinit(&c);
  deinit(&w);
}

/* ---- once ---- */

TEST(a_request_is_done_once) {
  world w;
  client c;
  init(&w);
  client_init(&c, 5);
  type(&w, &c, 0, "a");
  const char *save = "{\"name\":\"n\",\"request_id\":\"r1\"}";
  const char *restore = "{\"id\":1,\"request_id\":\"r2\"}";
  CHECK_U64(id_of(ask(&w, "version_save", save)), 1);
  type(&w, &c, 1, "b");
  CHECK_U64(id_of(ask(&w, "version_save", save)), 1);
  check_has(ask(&w, "version_save", "{\"name\":\"m\",\"request_id\":\"r1\"}"),
            "\"reason\":\"LK_ERR_EXISTS\",\"field\":\"request_id\"");
  check_has(ask(&w, "version_restore", restore), "\"before\":2");
  listen(&w, &c);
  type(&w, &c, 1, "c");
  for (int i = 0; i < 3; i++) {
    check_has(ask(&w, "version_restore", restore), "\"before\":2");
    check_room(&w, "ac");
    if (i == 1) take_snapshot(&w);
    crash(&w);
  }
  const char *gone = "{\"id\":1,\"request_id\":\"r3\"}";
  check_has(ask(&w, "version_delete", gone), "{\"id\":1,");
  check_has(ask(&w, "version_delete", gone), "{\"id\":1,");
  check_has(ask(&w, "version_delete", "{\"id\":1}"), "LK_ERR_NOT_FOUND");
  client_deinit(&c);
  deinit(&w);
}

/* Goal: where an answer was lost with a process, the change is not made again. */
TEST(what_is_in_the_state_is_only_answered) {
  world w;
  client c;
  init(&w);
  client_init(&c, 5);
  type(&w, &c, 0, "a");
  (void)ask(&w, "version_save", "{\"name\":\"n\"}");
  type(&w, &c, 1, "b");
  CHECK_U64(id_of(ask_as(&w, LK_RIGHTS_WRITE, true, "version_save", "{\"name\":\"n\"}")), 1);
  CHECK_U64(id_of(ask_as(&w, LK_RIGHTS_WRITE, true, "version_restore", "{\"id\":1}")), 1);
  CHECK_U64(id_of(ask_as(&w, LK_RIGHTS_ADMIN, true, "version_delete", "{\"id\":1}")), 1);
  check_room(&w, "ab");
  check_version(&w, 1, "a");
  client_deinit(&c);
  deinit(&w);
}

TEST(requests_are_forgotten_after_so_many_others) {
  world w;
  init(&w);
  lk_doc_room_kind.close(w.room);
  w.limits.room_requests_count = 2;
  CHECK_OK(open_room(&w));
  for (int i = 0; i < 3; i++) {
    char payload[40];
    (void)snprintf(payload, sizeof payload, "{\"request_id\":\"%d\"}", i);
    CHECK_U64(id_of(ask(&w, "version_save", payload)), (uint64_t)i + 1);
  }
  CHECK_U64(id_of(ask(&w, "version_save", "{\"request_id\":\"2\"}")), 3);
  CHECK_U64(id_of(ask(&w, "version_save", "{\"request_id\":\"0\"}")), 4);
  deinit(&w);
}

/* ---- by themselves ---- */

#define HOUR 3600000u

static void init_automatic(world *w, uint32_t most) {
  init(w);
  lk_doc_room_kind.close(w->room);
  w->policy = (lk_version_policy){ true, HOUR, most };
  CHECK_OK(open_room(w));
}

/* Goal: what somebody left behind is a version when the next one goes on, not sooner and not more often. */
TEST(a_version_is_made_when_the_document_moves_on) {
  world w;
  client c;
  init_automatic(&w, 10);
  client_init(&c, 5);
  type(&w, &c, 0, "a");
  pass_time(&w, HOUR - 1);
  type(&w, &c, 1, "b");
  check_has(ask(&w, "versions", "{}"), "{\"versions\":[],\"more\":false,\"interval_ms\":3600000}");
  pass_time(&w, 1);
  type(&w, &c, 2, "c");
  check_version(&w, 1, "ab");
  check_has(ask(&w, "versions", "{}"), "\"automatic\":true");
  type(&w, &c, 3, "d");
  pass_time(&w, HOUR - 1);
  type(&w, &c, 4, "e");
  CHECK(!has(ask(&w, "versions", "{}"), "\"id\":2"));
  pass_time(&w, 5 * HOUR);
  type(&w, &c, 5, "f");
  check_version(&w, 2, "abcde");
  /* What was saved counts, and nothing is made of what has a version already. */
  pass_time(&w, HOUR);
  (void)ask(&w, "version_save", "{}");
  pass_time(&w, 2 * HOUR);
  type(&w, &c, 6, "g");
  CHECK(!has(ask(&w, "versions", "{}"), "\"id\":4"));
  pass_time(&w, HOUR - 10);
  type(&w, &c, 7, "h");
  (void)ask(&w, "version_save", "{}");
  type(&w, &c, 8, "i");
  pass_time(&w, HOUR - 1);
  type(&w, &c, 9, "j");
  CHECK(!has(ask(&w, "versions", "{}"), "\"id\":5"));
  pass_time(&w, 1);
  type(&w, &c, 10, "k");
  check_version(&w, 5, "abcdefghij");
  client_deinit(&c);
  deinit(&w);
}

TEST(the_date_tells_a_room_that_was_opened_again_how_old_the_last_version_is) {
  world w;
  client c;
  init_automatic(&w, 10);
  client_init(&c, 5);
  type(&w, &c, 0, "a");
  pass_time(&w, HOUR);
  type(&w, &c, 1, "b"); /* version 1 */
  crash(&w);
  type(&w, &c, 2, "c");
  pass_time(&w, HOUR - 11); /* since the version; the crash took 10 */
  type(&w, &c, 3, "d");
  CHECK(!has(ask(&w, "versions", "{}"), "\"id\":2"));
  pass_time(&w, 1);
  type(&w, &c, 4, "e");
  check_version(&w, 2, "abcd");
  pass_time(&w, HOUR);
  crash(&w);
  type(&w, &c, 5, "f");
  check_version(&w, 3, "abcde");
  w.wall_ms = 0; /* nobody knows */
  crash(&w);
  w.wall_ms = 0;
  type(&w, &c, 6, "g");
  check_version(&w, 4, "abcdef");
  client_deinit(&c);
  deinit(&w);
}

/* Goal: a document that was there before the setting has a version before anything else happens. */
TEST(an_old_document_begins_with_a_version) {
  world w;
  client c;
  init(&w);
  lk_doc_room_kind.close(w.room);
  w.policy = (lk_version_policy){ .is_on = false };
  CHECK_OK(open_room(&w));
  client_init(&c, 5);
  type(&w, &c, 0, "old");
  check_has(ask(&w, "versions", "{}"), "LK_ERR_UNSUPPORTED");
  w.policy = (lk_version_policy){ true, HOUR, 10 };
  crash(&w);
  cut(&w, &c, 0, 3);
  check_version(&w, 1, "old");
  client_deinit(&c);
  deinit(&w);
}

/* ---- limits ---- */

TEST(the_oldest_automatic_version_goes_and_saved_ones_stay) {
  world w;
  client c;
  init_automatic(&w, 2);
  client_init(&c, 5);
  type(&w, &c, 0, "a");
  (void)ask(&w, "version_save", "{}");
  for (uint64_t i = 1; i < 5; i++) {
    pass_time(&w, 2 * HOUR);
    type(&w, &c, i, "x");
    pass_time(&w, 2 * HOUR);
    type(&w, &c, i, "y");
  }
  crash(&w);
  lk_slice answer = ask(&w, "versions", "{}");
  uint32_t count = 0;
  for (size_t i = 0; i + 5 < answer.len; i++)
    count += lk_slice_starts_with(lk_slice_skip(answer, i), LK_LIT("\"id\":"));
  CHECK_U64(count, 3);
  check_has(answer, "{\"id\":1,");
  check_has(answer, "{\"id\":8,");
  check_has(answer, "{\"id\":7,");
  client_deinit(&c);
  deinit(&w);
}

TEST(there_is_an_end_to_what_can_be_saved) {
  world w;
  client c;
  init_automatic(&w, 10);
  client_init(&c, 5);
  w.limits.versions_saved_count = 2;
  type(&w, &c, 0, "a");
  pass_time(&w, HOUR);
  type(&w, &c, 0, "b"); /* version 1 */
  (void)ask(&w, "version_save", "{}");
  (void)ask(&w, "version_save", "{}");
  check_has(ask(&w, "version_save", "{}"),
            "{\"reason\":\"LK_ERR_LIMIT\",\"limit\":\"versions_saved_count\"");
  check_version(&w, 1, "a");
  pass_time(&w, HOUR);
  type(&w, &c, 0, "d");
  pass_time(&w, HOUR);
  cut(&w, &c, 0, 1);
  check_version(&w, 4, "dba"); /* others are still made by themselves */
  check_has(ask(&w, "version_delete", "{\"id\":4}"), "{\"id\":4,");
  w.limits.versions_saved_count = 10;
  w.limits.versions_bytes = 3 * (uint32_t)(sizeof(lk_doc_version) + 10);
  CHECK_U64(id_of(ask(&w, "version_save", "{}")), 5); /* the automatic one goes for it */
  check_has(ask(&w, "version_read", "{\"id\":1}"), "LK_ERR_NOT_FOUND");
  check_has(ask(&w, "version_save", "{}"), "\"limit\":\"versions_bytes\"");
  /* Then nothing is made by itself, and nobody can go back, since that could not be gone back on. */
  pass_time(&w, 3 * HOUR);
  type(&w, &c, 0, "c");
  check_has(ask(&w, "version_restore", "{\"id\":2}"), "\"limit\":\"versions_bytes\"");
  check_room(&w, "cba");
  check_has(ask(&w, "version_delete", "{\"id\":3}"), "{\"id\":3,");
  w.limits.log_record_bytes = LK_DOC_JOURNAL_RECORD_MAX + 65536 + 60;
  check_has(ask(&w, "version_restore", "{\"id\":2}"), "\"limit\":\"log_record_bytes\"");
  w.limits.log_record_bytes = 1 << 24;
  cut(&w, &c, 0, 3);
  w.limits.room_memory_bytes = 1;
  check_has(ask(&w, "version_restore", "{\"id\":2}"), "\"limit\":\"room_memory_bytes\"");
  check_room(&w, "");
  w.limits.room_memory_bytes = 1 << 28;
  check_has(ask(&w, "version_restore", "{\"id\":2}"), "\"before\":6");
  check_room(&w, "ba");
  client_deinit(&c);
  deinit(&w);
}

TEST(without_space_for_records_versions_are_only_read) {
  static const char *const changes[] = { "version_save", "version_restore", "version_delete" };
  world w;
  client c;
  init(&w);
  client_init(&c, 5);
  type(&w, &c, 0, "a");
  (void)ask(&w, "version_save", "{}");
  uint32_t records = w.records_count;
  for (size_t i = 0; i < 3; i++) {
    step(&w, (lk_room_input){ .kind = LK_ROOM_QUERY,
                              .request = ++w.request,
                              .event = lk_slice_cstr(changes[i]),
                              .payload = LK_LIT("{\"id\":1}"),
                              .is_full = true,
                              .rights = LK_RIGHTS_ADMIN });
    check_has(find(&w, LK_ROOM_REPLY)->payload, "{\"reason\":\"storage_full\"");
    check_has(find(&w, LK_ROOM_REPLY)->payload, "\"retry_after_ms\":1000");
  }
  CHECK_U64(w.records_count, records);
  check_version(&w, 1, "a");
  client_deinit(&c);
  deinit(&w);
}

/* ---- the setting ---- */

TEST(versions_outlive_the_setting_that_made_them) {
  world w;
  client c;
  init(&w);
  client_init(&c, 5);
  type(&w, &c, 0, "one");
  (void)ask(&w, "version_save", "{}");
  w.policy = (lk_version_policy){ .is_on = false };
  crash(&w);
  cut(&w, &c, 0, 3);
  take_snapshot(&w);
  crash(&w);
  check_version(&w, 1, "one");
  check_has(ask(&w, "version_save", "{}"), "LK_ERR_UNSUPPORTED");
  check_has(ask(&w, "version_restore", "{\"id\":1}"), "\"before\":2");
  check_room(&w, "one");
  client_deinit(&c);
  deinit(&w);
}

/* Goal: a version that shows what was collected before says so, and nothing is made up in its place. */
TEST(a_version_of_what_was_collected_is_refused_by_name) {
  world w;
  client c;
  lk_buf snapshot, update;
  init(&w);
  client_init(&c, 5);
  lk_buf_init(&snapshot, test_alloc(), 1000);
  lk_buf_init(&update, test_alloc(), 1000);
  CHECK_OK(lk_doc_text_insert(c.doc, c.text, 0, LK_LIT("abc"), NULL));
  CHECK_OK(lk_doc_snapshot(c.doc, LK_UPDATE_V2, &snapshot));
  CHECK_OK(lk_doc_text_delete(c.doc, c.text, 1, 1));
  CHECK_OK(lk_doc_encode(c.doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &update));
  const lk_doc_version version = { .id = 1, .snapshot = lk_buf_slice(&snapshot) };
  lk_buf bytes;
  lk_buf_init(&bytes, test_alloc(), 1000);
  CHECK_OK(lk_doc_version_encode(&version, &bytes));
  const lk_doc_item items[] = { { LK_DOC_ITEM_VERSION, 1, lk_buf_slice(&bytes) },
                                { LK_DOC_ITEM_UPDATE, 0, lk_buf_slice(&update) } };
  CHECK_OK(lk_doc_record_begin(&w.snapshot));
  for (int i = 0; i < 2; i++) CHECK_OK(lk_doc_record_append(&w.snapshot, &items[i]));
  crash(&w);
  check_room(&w, "ac");
  check_has(ask(&w, "version_read", "{\"id\":1}"),
            "\"reason\":\"LK_ERR_COLLECTED\",\"field\":\"id\"");
  check_has(ask(&w, "version_restore", "{\"id\":1}"), "LK_ERR_COLLECTED");
  check_has(ask(&w, "version_compare", "{\"to\":1}"), "\"LK_ERR_COLLECTED\",\"field\":\"to\"");
  check_has(ask(&w, "version_compare", "{\"from\":1}"), "\"LK_ERR_COLLECTED\",\"field\":\"from\"");
  lk_buf_deinit(&snapshot);
  lk_buf_deinit(&update);
  lk_buf_deinit(&bytes);
  client_deinit(&c);
  deinit(&w);
}

/* ---- who may, and what is wrong ---- */

TEST(what_is_asked_wrongly_is_named) {
  static const struct {
    lk_rights rights;
    const char *event, *payload, *reply;
  } rows[] = {
    { LK_RIGHTS_READ, "version_save", "{}", "{\"reason\":\"read_only\"}" },
    { LK_RIGHTS_READ, "version_restore", "{\"id\":1}", "{\"reason\":\"read_only\"}" },
    { LK_RIGHTS_WRITE, "version_delete", "{\"id\":1}", "{\"reason\":\"unauthorized\"}" },
    { LK_RIGHTS_READ, "versions", "{\"must_exist\":true}",
      "\"LK_ERR_NOT_FOUND\",\"field\":\"topic\"" },
    { LK_RIGHTS_READ, "versions", "{}", "{\"versions\":[]," },
    { LK_RIGHTS_READ, "versions", "[]", "LK_ERR_PAYLOAD" },
    { LK_RIGHTS_READ, "versions", "", "LK_ERR_TRUNCATED" },
    { LK_RIGHTS_READ, "versions", "{\"limit\":0}", "\"LK_ERR_RANGE\",\"field\":\"limit\"" },
    { LK_RIGHTS_READ, "versions", "{\"limit\":1001}", "\"LK_ERR_RANGE\",\"field\":\"limit\"" },
    { LK_RIGHTS_READ, "versions", "{\"before\":\"x\"}", "\"LK_ERR_PAYLOAD\",\"field\":\"before\"" },
    { LK_RIGHTS_READ, "version_read", "{}", "\"LK_ERR_NOT_FOUND\",\"field\":\"id\"" },
    { LK_RIGHTS_READ, "version_read", "{\"id\":-1}", "\"LK_ERR_PAYLOAD\",\"field\":\"id\"" },
    { LK_RIGHTS_READ, "version_compare", "{\"from\":1}",
      "\"LK_ERR_NOT_FOUND\",\"field\":\"from\"" },
    { LK_RIGHTS_WRITE, "version_save", "{\"name\":7}", "\"LK_ERR_PAYLOAD\",\"field\":\"name\"" },
    { LK_RIGHTS_WRITE, "version_save", "{\"name\":\"12345\"}",
      "\"LK_ERR_TOO_BIG\",\"field\":\"name\"" },
    { LK_RIGHTS_WRITE, "version_save", "{\"request_id\":[]}",
      "\"LK_ERR_PAYLOAD\",\"field\":\"request_id\"" },
    { LK_RIGHTS_WRITE, "version_restore", "{\"id\":3}", "\"LK_ERR_NOT_FOUND\",\"field\":\"id\"" },
    { LK_RIGHTS_ADMIN, "version_delete", "{\"id\":3}", "\"LK_ERR_NOT_FOUND\",\"field\":\"id\"" },
    { LK_RIGHTS_ADMIN, "version_undelete", "{}", "LK_ERR_UNKNOWN_EVENT" },
  };
  world w;
  init(&w);
  w.limits.version_name_bytes = 4;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    test_note("row %u", (unsigned)i);
    check_has(ask_as(&w, rows[i].rights, false, rows[i].event, rows[i].payload), rows[i].reply);
    CHECK_U64(w.records_count, 0);
  }
  deinit(&w);
}

TEST(what_was_written_down_is_read_or_refused) {
  lk_doc_version version;
  CHECK_ERR(lk_doc_version_decode(LK_LIT(""), &version), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_doc_version_decode(LK_LIT("\x02\x01\x00\x00"), &version), LK_ERR_CORRUPT);
  CHECK_ERR(lk_doc_version_decode(LK_LIT("\x01\x01\x05"), &version), LK_ERR_TRUNCATED);
  CHECK_OK(lk_doc_version_decode(LK_LIT("\x01\x05\x01n\x02"
                                        "me\x00\x00"),
                                 &version));
  CHECK(version.is_automatic && version.wall_ms == 5);
  CHECK_TEXT(version.name, "n");
  CHECK_TEXT(version.author, "me");
  CHECK_U64(version.snapshot.len, 2);
}

/* ---- memory ---- */

/* All that is asked of versions, once; false where a step failed, and the room would be dropped. */
static bool live(world *w, client *c) {
  static const struct {
    const char *event, *payload;
  } asks[] = {
    { "version_save", "{\"name\":\"n\",\"request_id\":\"a\"}" },
    { NULL, NULL },
    { "versions", "{}" },
    { "version_read", "{\"id\":1,\"as\":\"html\"}" },
    { "version_compare", "{\"from\":1}" },
    { "version_restore", "{\"id\":1,\"request_id\":\"b\"}" },
    { "version_delete", "{\"id\":1,\"request_id\":\"c\"}" },
  };
  for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
    pass_time(w, 2 * HOUR);
    if (asks[i].event == NULL) type(w, c, 1, "more");
    else (void)ask(w, asks[i].event, asks[i].payload);
    if (w->err != LK_OK) return false;
  }
  step(w, (lk_room_input){ .kind = LK_ROOM_SNAPSHOT });
  return w->err == LK_OK;
}

/* Goal: without memory the room is dropped, or goes on; what it wrote down can be read either way, and what was answered
 * stays true. */
TEST(a_room_without_memory_for_versions_comes_back) {
  FAULT_LOOP(faults, test_alloc()) {
    world w;
    client c;
    init_automatic(&w, 2);
    client_init(&c, 5);
    type(&w, &c, 0, "text");
    lk_alloc working = w.alloc;
    w.alloc = *faulty_alloc(&faults);
    bool is_whole = live(&w, &c);
    CHECK(is_whole || w.err == LK_ERR_NOMEM);
    lk_doc_room_kind.close(w.room);
    lk_err err = open_room(&w);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (err == LK_OK) lk_doc_room_kind.close(w.room);
    w.alloc = working;
    CHECK_OK(open_room(&w));
    (void)ask(&w, "versions", "{}");
    if (is_whole) {
      check_has(find(&w, LK_ROOM_REPLY)->payload, "{\"versions\":[{\"id\":");
      check_room(&w, "text");
    }
    client_deinit(&c);
    deinit(&w);
  }
}
