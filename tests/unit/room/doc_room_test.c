/* The room of a document by itself: what its members hear, what it writes down, and that it comes back from that. */
#include "room/doc_room.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "channel/y_sync.h"
#include "codec/hex.h"
#include "codec/varint.h"
#include "harness/faulty.h"
#include "harness/test.h"
#include "laniakea/awareness.h"
#include "laniakea/doc.h"
#include "unit/room/doc_client.h"
#include "unit/room/heard.h"

typedef struct world {
  lk_env env;
  lk_env awake;
  lk_limits limits;
  lk_room *room;
  heard heard;
  uint64_t now_ms;
  uint64_t request;
  lk_buf snapshot;    /* the last one */
  lk_buf records[64]; /* those since, that are durable */
  lk_slice slices[64];
  uint32_t records_count;
  lk_buf flying; /* the record under way */
  uint64_t ticket;
  uint64_t turn_last; /* and what it covers */
  bool is_flying;
  lk_slice level;
  uint64_t erased_after_ms;
} world;

static void hear(world *w) {
  lk_room_effect effect;
  while (lk_doc_room_kind.poll(w->room, &effect)) {
    if (effect.kind == LK_ROOM_JOURNAL) {
      CHECK(!w->is_flying);
      lk_buf_truncate(&w->flying, 0);
      CHECK_OK(lk_buf_append(&w->flying, effect.payload));
      w->ticket = effect.ticket;
      w->turn_last = effect.turn_last;
      w->is_flying = true;
    }
    if (effect.kind == LK_ROOM_SNAPSHOT_DONE) {
      lk_buf_truncate(&w->snapshot, 0);
      CHECK_OK(lk_buf_append(&w->snapshot, effect.payload));
    }
    heard_keep(&w->heard, effect);
  }
}

static lk_err open_room(world *w) {
  for (uint32_t i = 0; i < w->records_count; i++) w->slices[i] = lk_buf_slice(&w->records[i]);
  lk_room_options options = { .env = &w->env,
                              .awake = &w->awake,
                              .limits = &w->limits,
                              .topic = LK_LIT("doc:a"),
                              .recovered = lk_buf_slice(&w->snapshot),
                              .records = w->slices,
                              .records_count = w->records_count,
                              .intact = true,
                              .level = w->level,
                              .erased_after_ms = w->erased_after_ms,
                              .entropy = 42 + w->now_ms };
  return lk_doc_room_kind.open(&options, &w->room);
}

/* Counts what the room has, and what of it is there while somebody writes. */
static size_t room_bytes, awake_bytes;
static void *count_resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  const lk_alloc *inner = test_alloc();
  size_t *part = ctx;
  room_bytes += new_size - old_size;
  if (part != NULL) *part += new_size - old_size;
  return inner->resize(inner->ctx, ptr, old_size, new_size);
}
static const lk_alloc counting = { count_resize, NULL };
static const lk_alloc counting_awake = { count_resize, &awake_bytes };

static void init(world *w) {
  room_bytes = awake_bytes = 0;
  *w = (world){ .env = LK_ENV_INIT(&counting, NULL),
                .awake = LK_ENV_INIT(&counting_awake, NULL),
                .limits = lk_limits_default(),
                .level = LK_LIT("durable"),
                .now_ms = 1000 };
  lk_buf_init(&w->snapshot, test_alloc(), 1 << 26);
  lk_buf_init(&w->flying, test_alloc(), 1 << 26);
  for (uint32_t i = 0; i < 64; i++) lk_buf_init(&w->records[i], test_alloc(), 1 << 26);
  CHECK_OK(open_room(w));
}

static void close_world(world *w) {
  heard_forget(&w->heard);
  if (w->room != NULL) lk_doc_room_kind.close(w->room);
  CHECK_U64(awake_bytes, 0);
  lk_buf_deinit(&w->snapshot);
  lk_buf_deinit(&w->flying);
  for (uint32_t i = 0; i < 64; i++) lk_buf_deinit(&w->records[i]);
}

static void step(world *w, lk_room_input input) {
  heard_forget(&w->heard);
  input.now_ms = w->now_ms;
  input.turn = w->request + (input.request == 0);
  CHECK_OK(lk_doc_room_kind.step(w->room, &input));
  hear(w);
}

/* The record under way becomes durable. */
static void land(world *w) {
  CHECK(w->is_flying && w->records_count < 64);
  CHECK_OK(lk_buf_append(&w->records[w->records_count++], lk_buf_slice(&w->flying)));
  w->is_flying = false;
  step(w, (lk_room_input){ .kind = LK_ROOM_JOURNALED, .ticket = w->ticket });
}

/* The process dies: what is durable is left. */
static void crash(world *w) {
  lk_doc_room_kind.close(w->room);
  w->room = NULL;
  w->is_flying = false;
  w->now_ms += 7;
  CHECK_OK(open_room(w));
}

static void take_snapshot(world *w) {
  step(w, (lk_room_input){ .kind = LK_ROOM_SNAPSHOT });
  for (uint32_t i = 0; i < w->records_count; i++) lk_buf_truncate(&w->records[i], 0);
  w->records_count = 0;
}

static void join(world *w, uint64_t member, lk_slice params, lk_rights rights, lk_slice subject) {
  step(w, (lk_room_input){ .kind = LK_ROOM_JOIN,
                           .member = member,
                           .request = ++w->request,
                           .payload = params,
                           .rights = rights,
                           .subject = subject });
}

static void say(world *w, uint64_t member, lk_slice event, lk_slice bytes, lk_rights rights) {
  step(w, (lk_room_input){ .kind = LK_ROOM_MESSAGE,
                           .member = member,
                           .request = ++w->request,
                           .event = event,
                           .payload = bytes,
                           .binary = true,
                           .rights = rights });
}

static const lk_room_effect *find(const world *w, lk_room_effect_kind kind) {
  return heard_find(&w->heard, kind);
}

static bool has(lk_slice text, lk_slice part) { return lk_slice_find(text, part) != LK_SLICE_NONE; }

/* ---- clients ---- */

static lk_slice type(client *c, uint64_t at, const char *text) {
  CHECK_OK(lk_doc_text_insert(c->doc, c->text, at, lk_slice_cstr(text), NULL));
  return lk_buf_slice(&c->last);
}

/* A newcomer that reads binary frames has |want|. */
static void check_room(world *w, const char *want) {
  client c;
  client_init(&c, 999);
  join(w, 900, LK_LIT("{\"encoding\":\"binary\"}"), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  CHECK(find(w, LK_ROOM_ACCEPT) != NULL);
  for (uint32_t i = 0; i < w->heard.count; i++) {
    const lk_room_effect *e = &w->heard.at[i];
    if (e->kind != LK_ROOM_PUSH || !lk_slice_equal(e->event, LK_LIT("server_update"))) continue;
    CHECK(e->binary && e->member == 900);
    CHECK_OK(lk_doc_apply(c.doc, LK_UPDATE_V1, e->payload, 0));
  }
  check_text(&c, want);
  client_deinit(&c);
  step(w, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = 900 });
}

/* ---- tests ---- */

TEST(a_join_says_when_a_document_that_is_in_memory_alone_is_erased) {
  static const struct {
    lk_slice level;
    uint64_t erased_after_ms;
    lk_slice says;
  } rows[] = {
    { LK_LIT_INIT("memory"), 900000,
      LK_LIT_INIT("\"durability\":\"memory\",\"idle_ms\":900000,\"p") },
    { LK_LIT_INIT("durable"), 0, LK_LIT_INIT("\"durability\":\"durable\",\"profile\":\"") },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    world w;
    init(&w);
    lk_doc_room_kind.close(w.room);
    w.level = rows[i].level;
    w.erased_after_ms = rows[i].erased_after_ms;
    CHECK_OK(open_room(&w));
    join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
    const lk_room_effect *e = find(&w, LK_ROOM_ACCEPT);
    CHECK(e != NULL && has(e->payload, rows[i].says));
    close_world(&w);
  }
}

/* Goal: nobody hears of what could still be lost. */
TEST(an_update_is_passed_on_and_answered_when_it_is_durable) {
  world w;
  client a;
  init(&w);
  client_init(&a, 1);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  const lk_room_effect *e = find(&w, LK_ROOM_ACCEPT);
  CHECK(e != NULL && e->dialect == LK_DIALECT_ARRAY);
  CHECK(lk_slice_starts_with(e->payload,
                             LK_LIT("{\"history\":[],\"state_vector\":[0],\"generation\":\"")));
  CHECK(has(e->payload, LK_LIT("\"access\":\"write\",\"durability\":\"durable\"")));
  say(&w, 1, LK_LIT("client_update"), type(&a, 0, "hello"), LK_RIGHTS_WRITE);
  CHECK(find(&w, LK_ROOM_JOURNAL) != NULL && find(&w, LK_ROOM_REPLY) == NULL);
  CHECK(find(&w, LK_ROOM_BROADCAST) == NULL);
  /* Two more gather, and are journaled together. */
  say(&w, 1, LK_LIT("client_update"), type(&a, 5, "!"), LK_RIGHTS_WRITE);
  say(&w, 2, LK_LIT("client_update"), type(&a, 6, "?"), LK_RIGHTS_WRITE);
  CHECK(find(&w, LK_ROOM_JOURNAL) == NULL);
  land(&w);
  CHECK_U64(w.heard.count, 3); /* the next record, the news, the reply */
  CHECK(w.heard.at[0].kind == LK_ROOM_JOURNAL);
  e = &w.heard.at[1];
  CHECK(e->kind == LK_ROOM_BROADCAST && e->member == 1 && e->binary);
  CHECK_TEXT(e->event, "server_update");
  CHECK_SLICE(e->payload, lk_slice_of((const uint8_t *)"\1\1\1\0\4\1\1t\5hello\0", 15));
  e = &w.heard.at[2];
  CHECK(e->kind == LK_ROOM_REPLY && e->ok && e->request == 2);
  CHECK_TEXT(e->payload, "{\"level\":\"durable\"}");
  land(&w);
  CHECK_U64(w.heard.count, 4);
  CHECK(w.heard.at[0].kind == LK_ROOM_BROADCAST && w.heard.at[0].member == 1);
  CHECK(w.heard.at[1].kind == LK_ROOM_BROADCAST && w.heard.at[1].member == 2);
  CHECK(w.heard.at[2].request == 3 && w.heard.at[3].request == 4);
  check_room(&w, "hello!?");
  client_deinit(&a);
  close_world(&w);
}

/* Goal: what a member is given, and may build on, is durable. */
TEST(who_joins_or_asks_while_a_change_is_not_durable_is_answered_when_it_is) {
  world w;
  client a;
  init(&w);
  client_init(&a, 1);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  say(&w, 1, LK_LIT("client_update"), type(&a, 0, "x"), LK_RIGHTS_WRITE);
  say(&w, 1, LK_LIT("client_update"), type(&a, 1, "y"), LK_RIGHTS_WRITE); /* in the next record */
  join(&w, 2, LK_LIT("{\"encoding\":\"binary\"}"), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  CHECK(find(&w, LK_ROOM_ACCEPT) == NULL && find(&w, LK_ROOM_PUSH) == NULL);
  CHECK_COVERED(doc_room_holds);
  step(&w, (lk_room_input){ .kind = LK_ROOM_MESSAGE,
                            .member = 1,
                            .request = 77,
                            .event = LK_LIT("sync"),
                            .payload = LK_LIT("{}"),
                            .rights = LK_RIGHTS_READ });
  CHECK(find(&w, LK_ROOM_REPLY) == NULL);
  land(&w);
  CHECK(find(&w, LK_ROOM_ACCEPT) == NULL);
  say(&w, 1, LK_LIT("client_update"), type(&a, 2, "z"), LK_RIGHTS_WRITE); /* in one after that */
  CHECK(find(&w, LK_ROOM_ACCEPT) == NULL);
  land(&w);
  CHECK_U64(w.heard.count, 7);
  CHECK(w.heard.at[0].kind == LK_ROOM_JOURNAL && w.heard.at[1].kind == LK_ROOM_BROADCAST);
  CHECK(w.heard.at[2].kind == LK_ROOM_ACCEPT && w.heard.at[2].member == 2);
  CHECK(w.heard.at[3].kind == LK_ROOM_PUSH && w.heard.at[3].member == 2);
  CHECK(w.heard.at[4].kind == LK_ROOM_PUSH && w.heard.at[4].member == 2);
  CHECK(w.heard.at[5].kind == LK_ROOM_REPLY && w.heard.at[5].request == 77);
  CHECK(w.heard.at[6].kind == LK_ROOM_REPLY && w.heard.at[6].request == 3);
  land(&w);
  CHECK(find(&w, LK_ROOM_ACCEPT) == NULL && find(&w, LK_ROOM_BROADCAST) != NULL);
  /* Nothing is under way: at once. */
  join(&w, 3, LK_LIT("{}"), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  CHECK(find(&w, LK_ROOM_ACCEPT) != NULL);
  check_room(&w, "xyz");
  client_deinit(&a);
  close_world(&w);
}

/* Goal: who joins hears of each update in the answer or after it, also of one that is made durable with what the answer has. */
TEST(who_joins_misses_nothing_that_is_in_the_record_it_waits_for) {
  world w;
  client a;
  init(&w);
  client_init(&a, 1);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  say(&w, 1, LK_LIT("client_update"), type(&a, 0, "x"), LK_RIGHTS_WRITE);
  say(&w, 1, LK_LIT("client_update"), type(&a, 1, "y"), LK_RIGHTS_WRITE);
  join(&w, 2, LK_LIT("{}"), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  say(&w, 1, LK_LIT("client_update"), type(&a, 2, "z"), LK_RIGHTS_WRITE); /* beside y */
  land(&w);
  CHECK(find(&w, LK_ROOM_ACCEPT) == NULL);
  land(&w);
  CHECK_U64(w.heard.count, 5);
  CHECK(w.heard.at[0].kind == LK_ROOM_BROADCAST && has(w.heard.at[0].payload, LK_LIT("y")));
  CHECK(w.heard.at[1].kind == LK_ROOM_ACCEPT);
  CHECK(w.heard.at[2].kind == LK_ROOM_BROADCAST && has(w.heard.at[2].payload, LK_LIT("z")));
  CHECK(w.heard.at[3].request == 3 && w.heard.at[4].request == 5);
  client_deinit(&a);
  close_world(&w);
}

TEST(updates_come_as_arrays_and_base64_too_and_bad_ones_are_named) {
  static const struct {
    const char *payload;
    const char *reply; /* NULL: it is taken */
  } rows[] = {
    { "{\"bin\":[1,1,5,0,4,1,1,116,1,120,0]}", NULL },
    { " { \"x\": 1, \"bin\" : [ 1,1,6,0, 4,1,1,116,1,120,0 ] } ", NULL },
    { "{\"b64\":\"AQEHAAQBAXQBeAA=\"}", NULL },
    { "{\"bin\":[1,300]}", "{\"reason\":\"LK_ERR_RANGE\",\"field\":\"bin\",\"message\":\"" },
    { "{\"bin\":[1,2,]}", "{\"reason\":\"LK_ERR_SYNTAX\",\"field\":\"bin\",\"message\":\"" },
    { "{\"b64\":\"%\"}", "{\"reason\":\"LK_ERR_SYNTAX\",\"field\":\"b64\",\"message\":\"" },
    { "{\"b64\":7}", "{\"reason\":\"LK_ERR_PAYLOAD\",\"field\":\"b64\",\"message\":\"" },
    { "{}", "{\"reason\":\"LK_ERR_PAYLOAD\",\"field\":\"b64\",\"message\":\"" },
    { "[]", "{\"reason\":\"LK_ERR_PAYLOAD\",\"message\":\"" },
    { "7", "{\"reason\":\"LK_ERR_PAYLOAD\",\"message\":\"" },
    { "{\"bin\":[1]} x", "{\"reason\":\"LK_ERR_TRAILING\",\"message\":\"" },
    { "{\"bin\":[1,2,3]}", "{\"reason\":\"replica_refused\",\"error\":\"LK_ERR_TRUNCATED\"," },
  };
  world w;
  init(&w);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    test_note("row %u", (unsigned)i);
    step(&w, (lk_room_input){ .kind = LK_ROOM_MESSAGE,
                              .member = 1,
                              .request = ++w.request,
                              .event = LK_LIT("client_update"),
                              .payload = lk_slice_cstr(rows[i].payload),
                              .rights = LK_RIGHTS_WRITE });
    const lk_room_effect *e = find(&w, LK_ROOM_REPLY);
    if (rows[i].reply == NULL) {
      CHECK(e == NULL);
      land(&w);
      CHECK(find(&w, LK_ROOM_BROADCAST) != NULL);
      continue;
    }
    CHECK(e != NULL && !e->ok && w.heard.count == 1);
    CHECK(lk_slice_starts_with(e->payload, lk_slice_cstr(rows[i].reply)));
  }
  check_room(&w, "xxx");
  close_world(&w);
}

/* Goal: what was acknowledged survives any crash; what was not may be sent again and counts once.
 * Method: a crash after each of the steps of a typing session, with snapshots in between. */
TEST(a_room_comes_back_with_all_that_was_acknowledged) {
  for (uint32_t crash_at = 0; crash_at < 40; crash_at++) {
    world w;
    client a;
    uint32_t steps = 0;
    char want[64] = "";
    test_note("crash after step %u", crash_at);
    init(&w);
    client_init(&a, 1);
    join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
    for (uint32_t i = 0; i < 10; i++) {
      char letter[2] = { (char)('a' + i), 0 };
      lk_slice update = type(&a, i, letter);
      strcat(want, letter);
      say(&w, 1, LK_LIT("client_update"), update, LK_RIGHTS_WRITE);
      if (steps++ == crash_at) crash(&w);
      /* The edge sends again what has no answer. */
      if (!w.is_flying) say(&w, 1, LK_LIT("client_update"), update, LK_RIGHTS_WRITE);
      if (steps++ == crash_at && i % 3 == 2) take_snapshot(&w);
      land(&w);
      CHECK(find(&w, LK_ROOM_REPLY) != NULL);
      if (steps++ == crash_at) crash(&w);
      if (i == 5) take_snapshot(&w);
      if (steps++ == crash_at) crash(&w);
      check_room(&w, want);
    }
    crash(&w);
    check_room(&w, want);
    client_deinit(&a);
    close_world(&w);
  }
}

TEST(what_is_known_is_answered_when_it_is_durable_and_passed_on_to_nobody) {
  world w;
  client a;
  init(&w);
  client_init(&a, 1);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  lk_slice update = type(&a, 0, "x");
  say(&w, 1, LK_LIT("client_update"), update, LK_RIGHTS_WRITE);
  say(&w, 2, LK_LIT("client_update"), update, LK_RIGHTS_WRITE);
  CHECK_U64(w.heard.count, 0);
  land(&w);
  CHECK_U64(w.heard.count, 3); /* one was news */
  say(&w, 2, LK_LIT("client_update"), update, LK_RIGHTS_WRITE);
  CHECK_U64(w.heard.count, 1);
  CHECK(w.heard.at[0].kind == LK_ROOM_REPLY && w.heard.at[0].ok);
  client_deinit(&a);
  close_world(&w);
}

TEST(who_may_only_read_is_told_so_unless_nothing_would_be_seen) {
  world w;
  client a;
  lk_attribute bold = { LK_LIT("b"), { .kind = LK_VALUE_BOOL, .boolean = true } };
  lk_attributes formats = { &bold, 1 };
  static const uint8_t hidden[] = { 0, 1, 1, 1, 3, 2 }; /* deletes the two formats */
  init(&w);
  client_init(&a, 1);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  lk_slice update = type(&a, 0, "abc");
  say(&w, 1, LK_LIT("client_update"), update, LK_RIGHTS_WRITE);
  land(&w);
  CHECK_OK(lk_doc_text_format(a.doc, a.text, 0, 3, &formats));
  say(&w, 1, LK_LIT("client_update"), lk_buf_slice(&a.last), LK_RIGHTS_WRITE);
  land(&w);
  join(&w, 2, LK_LIT("{}"), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  CHECK(has(find(&w, LK_ROOM_ACCEPT)->payload, LK_LIT("\"access\":\"read\"")));
  say(&w, 2, LK_LIT("client_update"), lk_slice_of(hidden, sizeof hidden), LK_RIGHTS_READ);
  CHECK(w.heard.count == 1 && w.heard.at[0].ok);
  say(&w, 2, LK_LIT("client_update"), type(&a, 3, "d"), LK_RIGHTS_READ);
  CHECK(w.heard.count == 1 && !w.heard.at[0].ok);
  CHECK_TEXT(w.heard.at[0].payload, "{\"reason\":\"read_only\"}");
  say(&w, 2, LK_LIT("yjs"), LK_LIT("\x00\x02\x03\x01\x02\x03"), LK_RIGHTS_READ);
  CHECK(find(&w, LK_ROOM_PUSH) != NULL && !find(&w, LK_ROOM_REPLY)->ok);
  check_room(&w, "abc");
  client_deinit(&a);
  close_world(&w);
}

TEST(a_refused_update_ends_the_writing_of_its_member_alone) {
  world w;
  client a, b;
  init(&w);
  client_init(&a, 1);
  client_init(&b, 2);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  join(&w, 2, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  say(&w, 1, LK_LIT("client_update"), LK_LIT("\x01\x01\x05"), LK_RIGHTS_WRITE);
  CHECK(lk_slice_starts_with(find(&w, LK_ROOM_REPLY)->payload,
                             LK_LIT("{\"reason\":\"replica_refused\",\"error\":")));
  say(&w, 1, LK_LIT("client_update"), type(&a, 0, "x"), LK_RIGHTS_WRITE);
  CHECK_TEXT(find(&w, LK_ROOM_REPLY)->payload, "{\"reason\":\"replica_refused\"}");
  say(&w, 2, LK_LIT("client_update"), type(&b, 0, "y"), LK_RIGHTS_WRITE);
  land(&w);
  check_room(&w, "y");
  /* It comes back as a new member, whose replica may be whole. */
  step(&w, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = 1 });
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  say(&w, 1, LK_LIT("client_update"), lk_buf_slice(&a.last), LK_RIGHTS_WRITE);
  land(&w);
  check_room(&w, "xy");
  client_deinit(&a);
  client_deinit(&b);
  close_world(&w);
}

TEST(a_join_with_a_state_vector_gets_what_is_missing) {
  world w;
  client a, b;
  static const char start[] = "{\"history\":[";
  init(&w);
  client_init(&a, 1);
  client_init(&b, 2);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  say(&w, 1, LK_LIT("client_update"), type(&a, 0, "abc"), LK_RIGHTS_WRITE);
  land(&w);
  say(&w, 1, LK_LIT("client_update"), type(&a, 3, "d"), LK_RIGHTS_WRITE);
  land(&w);
  static const struct {
    const char *params, *history;
  } rows[] = {
    { "{\"state_vector\":[1,1,3]}", "{\"history\":[[1,1,1,3,132,1,2,1,100,0]]" },
    { "{\"state_vector\":{\"b64\":\"AQEE\"},\"encoding\":\"base64\"}", "{\"history\":[]" },
    { "{\"state_vector\":\"AQED\",\"encoding\":\"base64\"}",
      "{\"history\":[\"AQEBA4QBAgFkAA==\"]" },
    { "{\"state_vector\":null}", start },
    { "{\"state_vector\":[]}", start },
    { "{\"state_vector\":[1]}", "{\"reason\":\"LK_ERR_TRUNCATED\",\"field\":\"state_vector\"" },
    { "{\"state_vector\":7}", "{\"reason\":\"LK_ERR_PAYLOAD\",\"field\":\"state_vector\"" },
    { "{\"encoding\":\"hex\"}", "{\"reason\":\"LK_ERR_PAYLOAD\",\"field\":\"encoding\"" },
    { "{\"generation\":7}", "{\"reason\":\"LK_ERR_PAYLOAD\",\"field\":\"generation\"" },
    { "{\"dialect\":\"z\"}", "{\"reason\":\"LK_ERR_PAYLOAD\",\"field\":\"dialect\"" },
    { "[]", start },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    test_note("row %u", (unsigned)i);
    join(&w, 5, lk_slice_cstr(rows[i].params), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
    lk_slice payload = w.heard.at[0].payload;
    CHECK(lk_slice_starts_with(payload, lk_slice_cstr(rows[i].history)));
    bool is_refused = w.heard.at[0].kind == LK_ROOM_REFUSE;
    CHECK(is_refused == lk_slice_starts_with(payload, LK_LIT("{\"reason\"")));
  }
  client_deinit(&a);
  client_deinit(&b);
  close_world(&w);
}

/* Goal: joins get the document whatever was encoded before. Method: joins between updates, over the point where what came since
 * is folded in. */
TEST(a_join_gets_what_was_encoded_and_what_came_since) {
  world w;
  client a;
  char text[1200] = "";
  init(&w);
  client_init(&a, 1);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  for (uint32_t i = 0; i < 700; i++) {
    char letter[2] = { (char)('a' + i % 26), 0 };
    say(&w, 1, LK_LIT("client_update"), type(&a, i, letter), LK_RIGHTS_WRITE);
    strcat(text, letter);
    w.is_flying = false; /* never written down: it does not matter here */
    step(&w, (lk_room_input){ .kind = LK_ROOM_JOURNALED, .ticket = w.ticket });
    if (i < 3 || i % 97 == 0) check_room(&w, text);
  }
  CHECK_COVERED(doc_encoded_is_obsolete);
  client_deinit(&a);
  close_world(&w);
}

TEST(a_client_of_another_generation_is_kept_apart_unless_the_room_is_empty) {
  world w;
  client a;
  init(&w);
  client_init(&a, 1);
  join(&w, 1, LK_LIT("{\"generation\":\"0123456789abcdef\"}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  lk_slice reply = find(&w, LK_ROOM_ACCEPT)->payload;
  size_t at = lk_slice_find(reply, LK_LIT("\"generation\":\""));
  char params[64];
  snprintf(params, sizeof params, "{\"generation\":\"%.16s\"}", (const char *)reply.ptr + at + 14);
  say(&w, 1, LK_LIT("client_update"), type(&a, 0, "x"), LK_RIGHTS_WRITE);
  land(&w);
  for (int round = 0; round < 3; round++) {
    join(&w, 2, lk_slice_cstr(params), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
    CHECK(find(&w, LK_ROOM_ACCEPT) != NULL);
    join(&w, 3, LK_LIT("{\"generation\":\"0123456789abcdef\"}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
    CHECK(find(&w, LK_ROOM_ACCEPT) == NULL);
    CHECK(lk_slice_starts_with(find(&w, LK_ROOM_REFUSE)->payload,
                               LK_LIT("{\"reason\":\"diverged\",\"generation\":\"")));
    if (round == 1) take_snapshot(&w);
    crash(&w);
  }
  client_deinit(&a);
  close_world(&w);
}

/* Goal: whoever asks for all again and again while a change is not durable does not fill the memory. */
TEST(what_is_held_is_bounded) {
  static char text[4001];
  world w;
  client a;
  init(&w);
  w.limits.bus_output_bytes = 65536;
  client_init(&a, 20);
  memset(text, 'x', sizeof text - 1);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  say(&w, 1, LK_LIT("client_update"), type(&a, 0, text), LK_RIGHTS_WRITE);
  size_t before = room_bytes;
  uint32_t refused = 0;
  for (uint32_t i = 0; i < 200; i++) {
    step(&w, (lk_room_input){ .kind = LK_ROOM_MESSAGE,
                              .member = 1,
                              .request = 100 + i,
                              .event = LK_LIT("sync"),
                              .payload = LK_LIT("{}"),
                              .rights = LK_RIGHTS_READ });
    const lk_room_effect *e = find(&w, LK_ROOM_REPLY);
    if (e == NULL) continue;
    CHECK(!e->ok && lk_slice_starts_with(e->payload, LK_LIT("{\"reason\":\"busy\"")));
    refused++;
  }
  CHECK(refused > 150 && room_bytes - before < 65536);
  join(&w, 2, LK_LIT("{}"), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  CHECK(lk_slice_starts_with(find(&w, LK_ROOM_REFUSE)->payload, LK_LIT("{\"reason\":\"busy\"")));
  land(&w);
  join(&w, 2, LK_LIT("{}"), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  CHECK(find(&w, LK_ROOM_ACCEPT) != NULL);
  client_deinit(&a);
  close_world(&w);
}

/* Goal: a document never becomes so large that its room could not tell it or keep it. */
TEST(a_document_may_be_as_large_as_one_snapshot_and_no_larger) {
  static char text[20001];
  world w;
  client a;
  uint32_t taken = 0;
  init(&w);
  w.limits.crdt_state_bytes = 100000;
  client_init(&a, 20);
  memset(text, 'x', sizeof text - 1);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  for (uint32_t i = 0; i < 10; i++) {
    say(&w, 1, LK_LIT("client_update"), type(&a, 0, text), LK_RIGHTS_WRITE);
    const lk_room_effect *e = find(&w, LK_ROOM_REPLY);
    if (e != NULL) {
      CHECK(!e->ok && has(e->payload, LK_LIT("replica_refused")));
      CHECK(i != taken || has(e->payload, LK_LIT("\"limit\":\"crdt_state_bytes\"")));
      CHECK(i == taken || !has(e->payload, LK_LIT("LK_ERR_TOO_BIG")));
      continue;
    }
    taken++;
    land(&w);
  }
  CHECK_U64(taken, 4);
  CHECK_COVERED(doc_room_measures_itself);
  take_snapshot(&w);
  CHECK(w.snapshot.len < 100000);
  client_deinit(&a);
  close_world(&w);
}

/* Goal: what a reader has of a document that was lost does not stand beside what is written after it. */
TEST(a_reader_of_another_generation_waits_until_the_room_has_content) {
  static const char params[] =
      "{\"generation\":\"0123456789abcdef\",\"state_vector\":{\"bin\":[1,20,1]}}";
  world w;
  client a, b;
  init(&w);
  client_init(&a, 20);
  client_init(&b, 30);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  join(&w, 2, lk_slice_cstr(params), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  CHECK(find(&w, LK_ROOM_ACCEPT) == NULL);
  CHECK(lk_slice_starts_with(find(&w, LK_ROOM_REFUSE)->payload,
                             LK_LIT("{\"reason\":\"unseeded\",\"generation\":\"")));
  /* With nothing of its own it may come in. */
  join(&w, 3, LK_LIT("{\"generation\":\"0123456789abcdef\",\"state_vector\":{\"bin\":[0]}}"),
       LK_RIGHTS_READ, LK_SLICE_EMPTY);
  CHECK(find(&w, LK_ROOM_ACCEPT) != NULL);
  /* Somebody writes another document. */
  say(&w, 1, LK_LIT("client_update"), type(&b, 0, "new"), LK_RIGHTS_WRITE);
  land(&w);
  join(&w, 2, lk_slice_cstr(params), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  CHECK(
      lk_slice_starts_with(find(&w, LK_ROOM_REFUSE)->payload, LK_LIT("{\"reason\":\"diverged\"")));
  /* Or brings back the one that the reader has. */
  say(&w, 1, LK_LIT("client_update"), type(&a, 0, "old"), LK_RIGHTS_WRITE);
  land(&w);
  join(&w, 2, lk_slice_cstr(params), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  CHECK(find(&w, LK_ROOM_ACCEPT) != NULL);
  /* But not all that this one has: it could not send the rest, and would show it for good. Who may write sends it. */
  static const char ahead[] =
      "{\"generation\":\"0123456789abcdef\",\"state_vector\":{\"bin\":[1,20,9]}}";
  join(&w, 4, lk_slice_cstr(ahead), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  CHECK(
      lk_slice_starts_with(find(&w, LK_ROOM_REFUSE)->payload, LK_LIT("{\"reason\":\"diverged\"")));
  CHECK_COVERED(doc_room_diverged_reader);
  join(&w, 5, lk_slice_cstr(ahead), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  CHECK(find(&w, LK_ROOM_ACCEPT) != NULL);
  client_deinit(&a);
  client_deinit(&b);
  close_world(&w);
}

/* Goal: who was passed by is told all of it at once, and nothing is lost between the two. */
TEST(a_member_that_reads_too_slowly_catches_up_with_one_update) {
  world w;
  client a, copy;
  init(&w);
  client_init(&a, 20);
  client_init(&copy, 30);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  join(&w, 2, LK_LIT("{}"), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  say(&w, 1, LK_LIT("client_update"), type(&a, 0, "a"), LK_RIGHTS_WRITE);
  step(&w, (lk_room_input){ .kind = LK_ROOM_LAG, .member = 2 });
  CHECK(find(&w, LK_ROOM_SKIP) == NULL); /* it is still to be told of that */
  say(&w, 1, LK_LIT("client_update"), type(&a, 1, "b"), LK_RIGHTS_WRITE);
  land(&w);
  CHECK(w.heard.at[0].kind == LK_ROOM_JOURNAL && w.heard.at[1].kind == LK_ROOM_BROADCAST);
  CHECK_OK(lk_doc_apply(copy.doc, LK_UPDATE_V1, w.heard.at[1].payload, 0));
  CHECK(w.heard.at[2].kind == LK_ROOM_SKIP && w.heard.at[2].member == 2);
  land(&w);
  for (uint64_t i = 2; i < 20; i++) {
    say(&w, 1, LK_LIT("client_update"), type(&a, i, "c"), LK_RIGHTS_WRITE);
    land(&w);
  }
  say(&w, 1, LK_LIT("client_update"), type(&a, 20, "d"), LK_RIGHTS_WRITE);
  step(&w, (lk_room_input){ .kind = LK_ROOM_CATCH_UP, .member = 2 });
  CHECK(find(&w, LK_ROOM_PUSH) == NULL && find(&w, LK_ROOM_RESUME) == NULL);
  land(&w);
  CHECK(w.heard.at[0].kind == LK_ROOM_BROADCAST); /* of d, which passes it by */
  const lk_room_effect *e = &w.heard.at[1];
  CHECK(e->kind == LK_ROOM_PUSH && e->member == 2);
  CHECK_TEXT(e->event, "server_update");
  CHECK_OK(lk_doc_apply(copy.doc, LK_UPDATE_V1, e->payload, 0));
  CHECK(w.heard.at[2].kind == LK_ROOM_RESUME && w.heard.at[2].member == 2);
  CHECK_COVERED(doc_room_catches_up);
  check_text(&copy, "abccccccccccccccccccd");
  /* Of one that was in before the room died nothing is known: it has been told all. */
  step(&w, (lk_room_input){ .kind = LK_ROOM_CATCH_UP, .member = 7 });
  CHECK(w.heard.count == 1 && w.heard.at[0].kind == LK_ROOM_RESUME);
  client_deinit(&copy);
  client_deinit(&a);
  close_world(&w);
}

/* ---- y-protocols ---- */

/* The |n|th y-protocols message among what |member| was pushed. */
static bool y_message(const world *w, uint64_t member, uint32_t n, lk_y_message *out) {
  for (uint32_t i = 0; i < w->heard.count; i++) {
    const lk_room_effect *e = &w->heard.at[i];
    if (e->kind != LK_ROOM_PUSH || e->member != member) continue;
    if (!lk_slice_equal(e->event, LK_LIT("yjs")) || n-- > 0) continue;
    CHECK(e->binary && e->dialect == LK_DIALECT_YJS);
    lk_reader in = lk_reader_of(e->payload);
    CHECK_OK(lk_y_message_decode(&in, out));
    CHECK_OK(lk_reader_end(&in));
    return true;
  }
  return false;
}

TEST(a_client_of_y_websocket_is_asked_and_answered) {
  world w;
  client a;
  lk_y_message m;
  lk_buf bytes;
  init(&w);
  client_init(&a, 1);
  lk_buf_init(&bytes, test_alloc(), 1 << 16);
  join(&w, 1, LK_LIT("{\"dialect\":\"y\"}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  CHECK(find(&w, LK_ROOM_ACCEPT)->dialect == LK_DIALECT_YJS);
  CHECK(y_message(&w, 1, 0, &m) && m.kind == LK_Y_SYNC_STEP1);
  CHECK_SLICE(m.body, lk_slice_of((const uint8_t *)"", 1));
  /* What it has, and its question, in one frame. */
  CHECK_OK(lk_y_message_encode(LK_Y_SYNC_STEP2, type(&a, 0, "abc"), &bytes));
  CHECK_OK(lk_y_message_encode(LK_Y_SYNC_STEP1, LK_LIT("\x01\x01\x03"), &bytes));
  say(&w, 1, LK_LIT("yjs"), lk_buf_slice(&bytes), LK_RIGHTS_WRITE);
  CHECK(find(&w, LK_ROOM_REPLY) == NULL && !y_message(&w, 1, 0, &m)); /* not of what may be lost */
  land(&w);
  CHECK(find(&w, LK_ROOM_BROADCAST) != NULL);
  CHECK(y_message(&w, 1, 0, &m) && m.kind == LK_Y_SYNC_STEP2);
  CHECK(m.body.len == 2 &&
        !y_message(&w, 1, 1, &m)); /* nothing is missing, and it was asked before */
  CHECK(find(&w, LK_ROOM_REPLY)->ok);
  /* One that joined without saying what it speaks is asked, too. */
  join(&w, 2, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  say(&w, 2, LK_LIT("yjs_sync"), lk_slice_of((const uint8_t *)"\x00\x00\x01\x00", 4),
      LK_RIGHTS_WRITE);
  CHECK(y_message(&w, 2, 0, &m) && m.kind == LK_Y_SYNC_STEP2);
  check_room(&w, "abc");
  lk_buf_deinit(&bytes);
  client_deinit(&a);
  close_world(&w);
}

static void show(lk_awareness *from, const char *state, lk_buf *out) {
  CHECK_OK(lk_awareness_set_local(from, lk_slice_cstr(state), 1));
  lk_buf_truncate(out, 0);
  CHECK_OK(lk_awareness_encode_changed(from, out));
}

/* What was broadcast is taken in by |to|. */
static bool take_awareness(world *w, lk_awareness *to) {
  const lk_room_effect *e = find(w, LK_ROOM_BROADCAST);
  if (e == NULL || !lk_slice_equal(e->event, LK_LIT("awareness"))) return false;
  CHECK_OK(lk_awareness_apply(to, e->payload, 1));
  return true;
}

TEST(awareness_is_told_in_windows_and_goes_with_its_member) {
  world w;
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_awareness *ada, *bob;
  lk_buf bytes;
  lk_slice state;
  init(&w);
  lk_buf_init(&bytes, test_alloc(), 1 << 16);
  CHECK_OK(lk_awareness_open(&env, 10, 1, &ada));
  CHECK_OK(lk_awareness_open(&env, 20, 1, &bob));
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  join(&w, 2, LK_LIT("{}"), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  show(ada, "{\"at\":1}", &bytes);
  say(&w, 1, LK_LIT("awareness"), lk_buf_slice(&bytes), LK_RIGHTS_READ);
  CHECK(take_awareness(&w, bob));
  CHECK(lk_awareness_get(bob, 10, &state));
  CHECK_TEXT(state, "{\"at\":1}");
  /* Within the window nothing is told, but the timer is set. */
  show(ada, "{\"at\":2}", &bytes);
  say(&w, 1, LK_LIT("awareness"), lk_buf_slice(&bytes), LK_RIGHTS_READ);
  CHECK(!take_awareness(&w, bob));
  CHECK_U64(find(&w, LK_ROOM_TIMER)->at_ms, 1040);
  show(ada, "{\"at\":3}", &bytes);
  say(&w, 1, LK_LIT("awareness"), lk_buf_slice(&bytes), LK_RIGHTS_READ);
  CHECK(find(&w, LK_ROOM_TIMER) == NULL); /* it is set */
  w.now_ms = 1040;
  step(&w, (lk_room_input){ .kind = LK_ROOM_TICK });
  CHECK(take_awareness(&w, bob));
  CHECK(lk_awareness_get(bob, 10, &state));
  CHECK_TEXT(state, "{\"at\":3}");
  /* A third one that comes is shown all. */
  join(&w, 3, LK_LIT("{}"), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  CHECK_TEXT(find(&w, LK_ROOM_PUSH)->event, "awareness");
  /* Bob takes Ada to have gone, and says so: nobody is told. */
  uint64_t ada_id = 10;
  CHECK_OK(lk_awareness_remove(bob, &ada_id, 1, 2));
  lk_buf_truncate(&bytes, 0);
  CHECK_OK(lk_awareness_encode_changed(bob, &bytes));
  w.now_ms = 2000;
  say(&w, 2, LK_LIT("awareness"), lk_buf_slice(&bytes), LK_RIGHTS_READ);
  CHECK(find(&w, LK_ROOM_BROADCAST) == NULL && find(&w, LK_ROOM_REPLY)->ok);
  CHECK_COVERED(doc_awareness_of_others_is_passed_over);
  /* She leaves. */
  step(&w, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = 1 });
  const lk_room_effect *e = find(&w, LK_ROOM_BROADCAST);
  CHECK(e != NULL && has(e->payload, LK_LIT("null")));
  join(&w, 4, LK_LIT("{}"), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  CHECK(find(&w, LK_ROOM_PUSH) == NULL);
  lk_awareness_close(ada);
  lk_awareness_close(bob);
  lk_buf_deinit(&bytes);
  close_world(&w);
}

/* ---- memory ---- */

static lk_err drive(world *w, lk_room_input input) {
  lk_room_effect effect;
  input.now_ms = w->now_ms += 50;
  input.rights = LK_RIGHTS_WRITE;
  lk_err err = lk_doc_room_kind.step(w->room, &input);
  while (err == LK_OK && lk_doc_room_kind.poll(w->room, &effect)) {
    if (effect.kind == LK_ROOM_JOURNAL) {
      w->is_flying = true;
      w->ticket = effect.ticket;
    }
  }
  if (err != LK_OK || !w->is_flying) return err;
  w->is_flying = false;
  return drive(w, (lk_room_input){ .kind = LK_ROOM_JOURNALED, .ticket = w->ticket });
}

static lk_err live(world *w, lk_slice update, lk_slice awareness) {
  const lk_room_input inputs[] = {
    { .kind = LK_ROOM_JOIN, .member = 1, .payload = LK_LIT("{}"), .subject = LK_LIT("ada") },
    { .kind = LK_ROOM_JOIN, .member = 2, .payload = LK_LIT("{\"dialect\":\"y\"}") },
    { .kind = LK_ROOM_MESSAGE,
      .member = 1,
      .event = LK_LIT("client_update"),
      .payload = update,
      .binary = true },
    { .kind = LK_ROOM_MESSAGE,
      .member = 2,
      .event = LK_LIT("yjs"),
      .payload = lk_slice_of((const uint8_t *)"\x00\x00\x01\x00", 4),
      .binary = true },
    { .kind = LK_ROOM_MESSAGE,
      .member = 1,
      .event = LK_LIT("awareness"),
      .payload = awareness,
      .binary = true },
    { .kind = LK_ROOM_MESSAGE,
      .member = 1,
      .event = LK_LIT("sync"),
      .payload = LK_LIT("{\"encoding\":\"base64\"}") },
    { .kind = LK_ROOM_MESSAGE,
      .member = 2,
      .event = LK_LIT("client_update"),
      .payload = LK_LIT("{\"bin\":[9]}") },
    { .kind = LK_ROOM_JOIN, .member = 3, .payload = LK_LIT("{\"encoding\":\"binary\"}") },
    { .kind = LK_ROOM_SNAPSHOT },
    { .kind = LK_ROOM_LEAVE, .member = 1 },
    { .kind = LK_ROOM_TICK },
  };
  lk_err err = open_room(w);
  for (size_t i = 0; err == LK_OK && i < sizeof inputs / sizeof inputs[0]; i++)
    err = drive(w, inputs[i]);
  if (w->room != NULL) lk_doc_room_kind.close(w->room);
  w->room = NULL;
  return err;
}

TEST(a_room_without_memory_ends_and_leaves_nothing) {
  client a;
  lk_awareness *here;
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_buf awareness;
  client_init(&a, 1);
  lk_slice update = type(&a, 0, "abc");
  lk_buf_init(&awareness, test_alloc(), 1000);
  CHECK_OK(lk_awareness_open(&env, 10, 1, &here));
  show(here, "{}", &awareness);
  FAULT_LOOP(faults, test_alloc()) {
    world w = { .env = LK_ENV_INIT(faulty_alloc(&faults), NULL),
                .awake = LK_ENV_INIT(faulty_alloc(&faults), NULL),
                .limits = lk_limits_default(),
                .level = LK_LIT("memory") };
    lk_err err = live(&w, update, lk_buf_slice(&awareness));
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    CHECK(err == LK_ERR_NOMEM || !faults.hit || !faults.lasting);
  }
  lk_awareness_close(here);
  lk_buf_deinit(&awareness);
  client_deinit(&a);
}

/* Who wrote is told apart by subjects, and survives. */
TEST(the_first_writer_of_each_client_is_written_down) {
  world w;
  client a, b;
  init(&w);
  client_init(&a, 5);
  client_init(&b, 6);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_LIT("ada"));
  join(&w, 2, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_LIT("bob"));
  lk_slice update = type(&a, 0, "x");
  say(&w, 1, LK_LIT("client_update"), update, LK_RIGHTS_WRITE);
  CHECK(has(find(&w, LK_ROOM_JOURNAL)->payload, LK_LIT("\x02\x05\x03"
                                                       "ada")) ||
        has(lk_buf_slice(&w.flying), LK_LIT("ada")));
  land(&w);
  CHECK_OK(lk_doc_apply(b.doc, LK_UPDATE_V1, update, 0));
  (void)type(&b, 1, "y");
  say(&w, 2, LK_LIT("client_update"), lk_buf_slice(&b.last), LK_RIGHTS_WRITE);
  CHECK(has(lk_buf_slice(&w.flying), LK_LIT("\x02\x06\x03"
                                            "bob")));
  land(&w);
  say(&w, 1, LK_LIT("client_update"), type(&a, 1, "z"), LK_RIGHTS_WRITE);
  CHECK(!has(lk_buf_slice(&w.flying), LK_LIT("ada")));
  land(&w);
  crash(&w);
  take_snapshot(&w);
  CHECK(has(lk_buf_slice(&w.snapshot), LK_LIT("\x02\x05\x03"
                                              "ada\x02\x06\x03"
                                              "bob")));
  client_deinit(&a);
  client_deinit(&b);
  close_world(&w);
}

TEST(a_room_that_does_not_understand_what_it_wrote_does_not_open) {
  static const lk_slice bad[] = {
    LK_LIT_INIT("\x02"),
    LK_LIT_INIT("\x01\x07"),
    LK_LIT_INIT("\x01\x01"),
    LK_LIT_INIT("\x01\x00\x05\x01"),
    LK_LIT_INIT("\x01\x00\x03\x01\x02\x03"),
    LK_LIT_INIT("nonsense"),
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    world w = { .env = LK_ENV_INIT(test_alloc(), NULL), .limits = lk_limits_default() };
    const lk_room_options options = {
      .env = &w.env, .limits = &w.limits, .recovered = bad[i], .level = LK_LIT("durable")
    };
    test_note("row %u", (unsigned)i);
    CHECK(lk_doc_room_kind.open(&options, &w.room) != LK_OK);
  }
}

TEST(records_that_have_grown_long_are_followed_by_others) {
  world w;
  client a;
  static char text[700001];
  memset(text, 'x', sizeof text - 1);
  init(&w);
  client_init(&a, 1);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  for (uint64_t i = 0; i < 4; i++)
    say(&w, 1, LK_LIT("client_update"), type(&a, i * 700000, text), LK_RIGHTS_WRITE);
  CHECK_COVERED(doc_journal_gathers_in_another_record);
  for (uint64_t i = 0; i < 4; i++) {
    CHECK(w.flying.len > 700000 && w.flying.len < 700100);
    CHECK_U64(w.turn_last,
              i == 0 || i == 3 ? 0 : 2 + i); /* the first one flew before there were others */
    land(&w);
    const lk_room_effect *e = find(&w, LK_ROOM_REPLY);
    CHECK(e != NULL && e->request == 2 + i);
  }
  CHECK(!w.is_flying);
  client_deinit(&a);
  close_world(&w);
}

/* Goal: a document that nobody changes is closed, and nobody can tell.
 * Method: the allocator's count before and after; then all that a member may say, to one that sleeps. */
TEST(a_document_that_nobody_changes_sleeps_and_wakes) {
  world w;
  client a;
  init(&w);
  client_init(&a, 1);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  CHECK_U64(find(&w, LK_ROOM_TIMER)->at_ms, 3000);
  say(&w, 1, LK_LIT("client_update"), type(&a, 0, "abc"), LK_RIGHTS_WRITE);
  land(&w);
  w.now_ms = 2500;
  say(&w, 1, LK_LIT("client_update"), type(&a, 3, "d"), LK_RIGHTS_WRITE);
  land(&w);
  w.now_ms = 3000;
  step(&w, (lk_room_input){ .kind = LK_ROOM_TICK });
  CHECK_U64(find(&w, LK_ROOM_TIMER)->at_ms, 4500); /* not yet */
  size_t awake = room_bytes;
  w.now_ms = 4500;
  step(&w, (lk_room_input){ .kind = LK_ROOM_TICK });
  CHECK(find(&w, LK_ROOM_TIMER) == NULL);
  CHECK(room_bytes + 3000 < awake);
  CHECK_U64(awake_bytes, 0);
  say(&w, 1, LK_LIT("client_update"), lk_buf_slice(&a.last), LK_RIGHTS_WRITE); /* known */
  CHECK_COVERED(doc_room_wakes);
  CHECK(find(&w, LK_ROOM_REPLY)->ok);
  for (int round = 0; round < 3; round++) {
    w.now_ms += 10000;
    step(&w, (lk_room_input){ .kind = LK_ROOM_TICK });
    if (round == 0)
      say(&w, 1, LK_LIT("yjs"), lk_slice_of((const uint8_t *)"\0\0\1\0", 4), LK_RIGHTS_WRITE);
    if (round == 1) take_snapshot(&w);
    if (round == 2) say(&w, 1, LK_LIT("client_update"), type(&a, 4, "e"), LK_RIGHTS_WRITE);
    if (round == 2) land(&w);
    check_room(&w, round < 2 ? "abcd" : "abcde");
  }
  w.now_ms += 10000;
  step(&w, (lk_room_input){ .kind = LK_ROOM_TICK });
  crash(&w);
  check_room(&w, "abcde");
  client_deinit(&a);
  close_world(&w);
}

TEST(a_document_is_read_by_who_is_not_in_its_room) {
  static const struct {
    const char *payload, *want;
    bool ok, binary;
  } rows[] = {
    { "{}", "{\"t\":\"abc\",\"m\":{\"k\":1}}", true, false },
    { "{\"as\":\"json\",\"root\":\"m\"}", "{\"k\":1}", true, false },
    { "{\"as\":\"text\"}", "abc", true, true },
    { "{\"as\":\"text\",\"root\":\"t\"}", "abc", true, true },
    { "{\"as\":\"delta\"}", "[{\"insert\":\"abc\"}]", true, false },
    { "{\"as\":\"html\"}", "<p>abc</p>", true, true },
    { "{\"as\":\"state_vector\"}", "\x01\x01\x04", true, true },
    { "{\"as\":\"text\",\"root\":\"m\"}", "{\"reason\":\"LK_ERR_TYPE\",\"field\":\"root\",", false,
      false },
    { "{\"as\":\"json\",\"root\":\"x\"}", "{\"reason\":\"LK_ERR_NOT_FOUND\",\"field\":\"root\",",
      false, false },
    { "{\"as\":\"pdf\"}", "{\"reason\":\"LK_ERR_INVALID\",\"field\":\"as\",", false, false },
    { "[]", "{\"reason\":\"LK_ERR_PAYLOAD\",\"field\":\"as\",", false, false },
  };
  world w;
  client a;
  lk_node map;
  const lk_value one = { .kind = LK_VALUE_NUMBER, .number = 1 };
  init(&w);
  client_init(&a, 1);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  say(&w, 1, LK_LIT("client_update"), type(&a, 0, "abc"), LK_RIGHTS_WRITE);
  land(&w);
  CHECK_OK(lk_doc_root(a.doc, LK_LIT("m"), LK_NODE_MAP, &map));
  CHECK_OK(lk_doc_map_set(a.doc, map, LK_LIT("k"), &one));
  say(&w, 1, LK_LIT("client_update"), lk_buf_slice(&a.last), LK_RIGHTS_WRITE);
  land(&w);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    test_note("row %u", (unsigned)i);
    step(&w, (lk_room_input){ .kind = LK_ROOM_QUERY,
                              .request = ++w.request,
                              .event = LK_LIT("read"),
                              .payload = lk_slice_cstr(rows[i].payload),
                              .rights = LK_RIGHTS_READ });
    const lk_room_effect *e = find(&w, LK_ROOM_REPLY);
    CHECK(e != NULL && e->ok == rows[i].ok && e->binary == rows[i].binary);
    CHECK(lk_slice_starts_with(e->payload, lk_slice_cstr(rows[i].want)));
  }
  client_deinit(&a);
  close_world(&w);
}

TEST(who_asks_where_a_document_stands_hears_which_one_it_is_and_how_far_it_has_come) {
  world w;
  client a;
  uint8_t digits[16];
  init(&w);
  client_init(&a, 1);
  const lk_room_input position = { .kind = LK_ROOM_QUERY,
                                   .request = 1000,
                                   .event = LK_LIT("position"),
                                   .payload = LK_LIT("{}"),
                                   .rights = LK_RIGHTS_READ };
  step(&w, position);
  CHECK(has(find(&w, LK_ROOM_REPLY)->payload, LK_LIT("LK_ERR_NOT_FOUND")));
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  lk_slice joined = find(&w, LK_ROOM_ACCEPT)->payload;
  size_t at = lk_slice_find(joined, LK_LIT("\"generation\":\"")) + 14;
  memcpy(digits, joined.ptr + at, sizeof digits);
  say(&w, 1, LK_LIT("client_update"), type(&a, 0, "abc"), LK_RIGHTS_WRITE);
  land(&w);
  step(&w, position);
  const lk_room_effect *e = find(&w, LK_ROOM_REPLY);
  uint8_t said[16];
  CHECK(e->ok && e->binary);
  lk_hex_store(said, lk_slice_first(e->payload, 8));
  CHECK_SLICE(lk_slice_of(said, 16), lk_slice_of(digits, 16));
  CHECK_TEXT(lk_slice_skip(e->payload, 8), "\x01\x01\x03");
  client_deinit(&a);
  close_world(&w);
}

TEST(a_client_of_y_websocket_that_has_nothing_gets_what_is_encoded_and_what_came_since) {
  world w;
  client a, b;
  lk_y_message m;
  init(&w);
  client_init(&a, 1);
  client_init(&b, 2);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  for (uint64_t i = 0; i < 3; i++) {
    say(&w, 1, LK_LIT("client_update"), type(&a, i, "x"), LK_RIGHTS_WRITE);
    land(&w);
    if (i == 0) check_room(&w, "x"); /* it is encoded */
  }
  join(&w, 2, LK_LIT("{\"dialect\":\"y\"}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  say(&w, 2, LK_LIT("yjs"), lk_slice_of((const uint8_t *)"\0\0\1\0", 4), LK_RIGHTS_WRITE);
  for (uint32_t i = 0; i < 3; i++) {
    CHECK(y_message(&w, 2, i, &m));
    CHECK_U64(m.kind, i == 0 ? LK_Y_SYNC_STEP2 : LK_Y_UPDATE);
    CHECK_OK(lk_doc_apply(b.doc, LK_UPDATE_V1, m.body, 0));
  }
  CHECK(!y_message(&w, 2, 3, &m));
  check_text(&b, "xxx");
  client_deinit(&a);
  client_deinit(&b);
  close_world(&w);
}

/* Goal: of two who make the same document one is told that it is there, even before it is durable. */
TEST(a_document_is_made_once_by_who_is_not_in_it) {
  static const uint8_t first[] = { 1, 1, 1, 0, 4, 1, 1, 't', 1, 'a', 0 };
  static const uint8_t second[] = { 1, 1, 2, 0, 4, 1, 1, 't', 1, 'b', 0 };
  const lk_room_input create = { .kind = LK_ROOM_QUERY,
                                 .event = LK_LIT("create"),
                                 .payload = lk_slice_of(first, sizeof first),
                                 .binary = true,
                                 .rights = LK_RIGHTS_WRITE };
  lk_room_input other = create, again = create;
  world w;
  init(&w);
  step(&w, create);
  CHECK(find(&w, LK_ROOM_REPLY) == NULL);
  other.payload = lk_slice_of(second, sizeof second);
  step(&w, other);
  const lk_room_effect *e = find(&w, LK_ROOM_REPLY);
  CHECK(e != NULL && !e->ok);
  CHECK(lk_slice_find(e->payload, LK_LIT("LK_ERR_EXISTS")) != LK_SLICE_NONE);
  land(&w);
  e = find(&w, LK_ROOM_REPLY);
  CHECK(e != NULL && e->ok);
  again.applied = true; /* its answer was lost with a process */
  step(&w, again);
  e = find(&w, LK_ROOM_REPLY);
  CHECK(e != NULL && e->ok);
  close_world(&w);
}

TEST(a_document_has_the_limits_of_its_server) {
  world w;
  client a;
  init(&w);
  client_init(&a, 1);
  lk_doc_room_kind.close(w.room);
  w.limits.doc_text_bytes = 1000;
  CHECK_OK(open_room(&w));
  static char text[2001];
  memset(text, 'x', sizeof text - 1);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  say(&w, 1, LK_LIT("client_update"), type(&a, 0, text), LK_RIGHTS_WRITE);
  CHECK(lk_slice_starts_with(
      find(&w, LK_ROOM_REPLY)->payload,
      LK_LIT("{\"reason\":\"replica_refused\",\"error\":\"LK_ERR_LIMIT\",\"limit\":"
             "\"doc_text_bytes\"")));
  client_deinit(&a);
  close_world(&w);
}

TEST(who_was_in_before_the_room_died_gets_all_and_is_asked_what_it_shows) {
  world w;
  client a;
  lk_y_message m;
  init(&w);
  client_init(&a, 1);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  say(&w, 1, LK_LIT("client_update"), type(&a, 0, "x"), LK_RIGHTS_WRITE);
  land(&w);
  crash(&w);
  step(&w, (lk_room_input){ .kind = LK_ROOM_RESTORE,
                            .member = 1,
                            .payload = LK_LIT("{}"),
                            .rights = LK_RIGHTS_WRITE });
  CHECK_U64(w.heard.at[0].kind, LK_ROOM_PUSH);
  CHECK_TEXT(w.heard.at[0].event, "server_update");
  CHECK_TEXT(w.heard.at[1].event, "awareness");
  CHECK(w.heard.at[1].payload.len == 1 && w.heard.at[1].payload.ptr[0] == 0);
  step(&w, (lk_room_input){ .kind = LK_ROOM_RESTORE,
                            .member = 2,
                            .payload = LK_LIT("{\"dialect\":\"y\"}"),
                            .rights = LK_RIGHTS_WRITE });
  CHECK(y_message(&w, 2, 0, &m) && m.kind == LK_Y_QUERY_AWARENESS);
  client_deinit(&a);
  close_world(&w);
}

/* Goal: a question of a byte, of which many stand in one message, is answered once: an answer may be as long as the
 * document. */
TEST(a_message_full_of_questions_is_answered_once) {
  world w;
  client a;
  static uint8_t questions[8000];
  init(&w);
  client_init(&a, 1);
  join(&w, 1, LK_LIT("{\"dialect\":\"y\"}"), LK_RIGHTS_WRITE, LK_SLICE_EMPTY);
  say(&w, 1, LK_LIT("client_update"), type(&a, 0, "some text"), LK_RIGHTS_WRITE);
  land(&w);
  say(&w, 1, LK_LIT("awareness"), lk_slice_of((const uint8_t[]){ 1, 9, 1, 2, '{', '}' }, 6),
      LK_RIGHTS_READ);
  join(&w, 2, LK_LIT("{\"dialect\":\"y\"}"), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  memset(questions, 3, sizeof questions); /* for awareness */
  say(&w, 2, LK_LIT("yjs"), lk_slice_of(questions, sizeof questions), LK_RIGHTS_READ);
  CHECK(w.heard.count <= 3 && find(&w, LK_ROOM_PUSH) != NULL);
  for (size_t i = 0; i < sizeof questions; i += 4)
    memcpy(questions + i, "\0\0\1\0", 4); /* for all */
  say(&w, 2, LK_LIT("yjs"), lk_slice_of(questions, sizeof questions), LK_RIGHTS_READ);
  CHECK(w.heard.count <= 5 && find(&w, LK_ROOM_PUSH) != NULL);
  client_deinit(&a);
  close_world(&w);
}

/* Goal: awareness may be as full as its limit says, and whoever comes is told of all of it. */
TEST(who_joins_a_room_full_of_awareness_hears_of_it) {
  world w;
  static uint8_t state[65536 + 6];
  init(&w);
  join(&w, 1, LK_LIT("{}"), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  for (uint32_t i = 0; i < 128; i++) {
    memcpy(state, (const uint8_t[]){ 1, (uint8_t)i, 1, 0x80, 0x80, 4 }, 6);
    memset(state + 6, 'x', 65536);
    state[6] = state[sizeof state - 1] = '"';
    w.now_ms += 100;
    say(&w, 1, LK_LIT("awareness"), lk_slice_of(state, sizeof state), LK_RIGHTS_READ);
    step(&w, (lk_room_input){ .kind = LK_ROOM_TICK });
  }
  join(&w, 2, LK_LIT("{}"), LK_RIGHTS_READ, LK_SLICE_EMPTY);
  const lk_room_effect *shown = find(&w, LK_ROOM_PUSH);
  CHECK(shown != NULL && shown->payload.len > (size_t)128 * 65536);
  close_world(&w);
}
