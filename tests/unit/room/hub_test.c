/* The hub with its counter room, over the memory storage: what clients see, line by line. */
#include "room/hub.h"

#include "crdt/gcounter.h"
#include "log/journal.h"
#include "room/keeper.h"
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

static void step(world *w) { lk_hub_step(w->hub, w->now); }

/* A hub over |storage|, its journal open unless something went wrong. */
static void begin(world *w, lk_storage *storage, uint64_t entropy) {
  CHECK_OK(lk_hub_open(&w->env, &w->limits, storage, entropy, &w->hub));
  step(w);
}

/* The hub ends as in a crash; what the storage was doing for it is done. */
static void die(world *w) {
  while (w->storage.table.poll(&w->storage.table) != NULL) continue;
  lk_hub_close(w->hub);
}

static void world_init(world *w) {
  *w = (world){ .env = LK_ENV_INIT(test_alloc(), NULL), .limits = lk_limits_default() };
  lk_memory_storage_init(&w->storage, test_alloc(), 1 << 24);
  begin(w, &w->storage.table, 7);
}

static void world_deinit(world *w) {
  lk_hub_close(w->hub);
  lk_memory_storage_deinit(&w->storage);
}

static uint64_t connect(world *w) {
  uint64_t c;
  CHECK_OK(lk_hub_connect(w->hub, &c));
  return c;
}

static void tell(world *w, uint64_t c, lk_slice text) {
  CHECK_OK(lk_hub_receive(w->hub, c, text, w->now));
}

/* The next output must be this text to this connection. */
#define CHECK_SENT(w, c, want)                                                                     \
  do {                                                                                             \
    lk_hub_output out_;                                                                            \
    CHECK(lk_hub_poll((w)->hub, &out_));                                                           \
    CHECK(out_.kind == LK_HUB_SEND);                                                               \
    CHECK_TEXT(out_.text, want);                                                                   \
    CHECK_U64(out_.connection, c);                                                                 \
  } while (0)

static void check_silent(world *w) {
  lk_hub_output out;
  CHECK(!lk_hub_poll(w->hub, &out));
}

static void drain(world *w) {
  lk_hub_output out;
  while (lk_hub_poll(w->hub, &out)) continue;
}

static void join(world *w, uint64_t c) {
  tell(w, c, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  step(w);
  drain(w);
}

#define INCREMENT(n)                                                                               \
  LK_LIT("[\"1\",\"2\",\"crdt:a\",\"crdt.increment\",{\"payload\":{\"amount\":" #n "}}]")
#define GET LK_LIT("[\"1\",\"9\",\"crdt:a\",\"crdt.get\",{}]")

/* The number behind "value": in the next output. */
static uint64_t next_value(world *w) {
  lk_hub_output out;
  CHECK(lk_hub_poll(w->hub, &out));
  size_t at = lk_slice_find(out.text, LK_LIT("\"value\":"));
  CHECK(at != LK_SLICE_NONE);
  uint64_t value = 0;
  for (at += 8; out.text.ptr[at] >= '0' && out.text.ptr[at] <= '9'; at++) {
    value = value * 10 + (uint64_t)(out.text.ptr[at] - '0');
  }
  return value;
}

/* How many actors of rooms are among the counts that crdt.get gives. */
static uint64_t actors_of_room(world *w, uint64_t c) {
  lk_hub_output out;
  uint64_t count = 0;
  tell(w, c, GET);
  CHECK(lk_hub_poll(w->hub, &out));
  for (size_t at; (at = lk_slice_find(out.text, LK_LIT("\"room-"))) != LK_SLICE_NONE; count++) {
    out.text = lk_slice_skip(out.text, at + 1);
  }
  return count;
}

static lk_err run_io(world *w, lk_io *io) {
  w->storage.table.submit(&w->storage.table, io);
  CHECK(w->storage.table.poll(&w->storage.table) == io);
  return io->result;
}

/* Flips a bit in the last byte of the state in |slot| of the topic crdt:a. */
static void damage_slot(world *w, unsigned slot) {
  uint8_t byte = 0, name[LK_KEEPER_NAME_LEN];
  lk_keeper_name(LK_LIT("crdt:a"), slot, name);
  lk_io open = { .kind = LK_IO_OPEN, .name = lk_slice_of(name, sizeof name) };
  CHECK_OK(run_io(w, &open));
  lk_io size = { .kind = LK_IO_SIZE, .file = open.file };
  CHECK_OK(run_io(w, &size));
  CHECK_OK(run_io(w, &(lk_io){ .kind = LK_IO_READ,
                               .file = open.file,
                               .off = size.off - 1,
                               .into = &byte,
                               .into_len = 1 }));
  byte ^= 1;
  CHECK_OK(run_io(
      w, &(lk_io){
             .kind = LK_IO_WRITE, .file = open.file, .off = size.off - 1, .from = { &byte, 1 } }));
  CHECK_OK(run_io(w, &(lk_io){ .kind = LK_IO_CLOSE, .file = open.file }));
}

TEST(a_join_waits_for_the_storage_and_is_answered_with_the_state) {
  world w;
  world_init(&w);
  uint64_t c = connect(&w);
  tell(&w, c, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  check_silent(&w);
  step(&w);
  lk_hub_output out;
  CHECK(lk_hub_poll(w.hub, &out));
  CHECK(lk_slice_starts_with(out.text,
                             LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\","
                                    "\"response\":{\"type\":\"gcounter\",\"replica\":\"")));
  CHECK(lk_slice_ends_with(out.text, LK_LIT("\",\"value\":0,\"counts\":{},\"state\":\"AQEAAAA=\","
                                            "\"level\":\"durable\"}}]")));
  world_deinit(&w);
}

TEST(a_topic_of_no_kind_is_unmatched) {
  world w;
  world_init(&w);
  uint64_t c = connect(&w);
  tell(&w, c, LK_LIT("[\"1\",\"1\",\"nothing:a\",\"phx_join\",{}]"));
  CHECK_SENT(&w, c,
             "[null,\"1\",\"nothing:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{"
             "\"reason\":\"unmatched topic\"}}]");
  tell(&w, c, LK_LIT("[\"1\",\"1\",\"crdt:\",\"phx_join\",{}]"));
  CHECK_SENT(&w, c,
             "[null,\"1\",\"crdt:\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":"
             "\"unmatched topic\"}}]");
  tell(&w, c, LK_LIT("[\"1\",\"1\",\"phoenix\",\"phx_join\",{}]"));
  CHECK_SENT(&w, c,
             "[null,\"1\",\"phoenix\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":"
             "\"unmatched topic\"}}]");
  check_silent(&w);
  CHECK_U64(lk_hub_get_stats(w.hub).house.rooms, 0);
  world_deinit(&w);
}

/* Goal: neither the asker nor anybody else hears of a change before it is durable. */
TEST(an_increment_is_acknowledged_and_broadcast_only_when_it_is_durable) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w), b = connect(&w);
  join(&w, a);
  join(&w, b);
  w.storage.hold = true;
  tell(&w, a, INCREMENT(2));
  step(&w);
  check_silent(&w);
  tell(&w, b, GET);
  CHECK_U64(next_value(&w), 0); /* a reader sees what is durable, and does not wait */
  for (int i = 0; i < 2; i++) { /* write, sync */
    check_silent(&w);
    lk_memory_storage_release(&w.storage, 1);
    step(&w);
  }
  CHECK_U64(next_value(&w), 2); /* reply to a */
  CHECK_U64(next_value(&w), 2); /* broadcast to a */
  CHECK_U64(next_value(&w), 2); /* broadcast to b */
  check_silent(&w);
  w.storage.hold = false;
  world_deinit(&w);
}

/* Goal: while one journal is under way, further changes gather and share the next one. */
TEST(changes_that_come_during_a_journal_share_the_next_one) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  join(&w, a);
  w.storage.hold = true;
  for (int i = 0; i < 10; i++) tell(&w, a, INCREMENT(1));
  w.storage.hold = false;
  step(&w);
  CHECK_U64(lk_hub_get_stats(w.hub).house.journals, 2);
  CHECK_U64(next_value(&w), 1);
  CHECK_U64(next_value(&w), 1); /* the broadcast of the first */
  for (int i = 0; i < 10; i++) CHECK_U64(next_value(&w), 10);
  check_silent(&w);
  world_deinit(&w);
}

TEST(what_was_acknowledged_is_there_when_the_hub_opens_again) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  join(&w, a);
  for (uint64_t n = 1; n <= 5; n++) {
    tell(&w, a, INCREMENT(1));
    step(&w);
    CHECK_U64(next_value(&w), n);
    drain(&w);
  }
  die(&w);
  begin(&w, &w.storage.table, 8);
  a = connect(&w);
  tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  step(&w);
  CHECK_U64(next_value(&w), 5);
  /* Nothing was damaged, so the room goes on counting under its own actor. */
  tell(&w, a, INCREMENT(1));
  step(&w);
  drain(&w);
  CHECK_U64(actors_of_room(&w, a), 1);
  world_deinit(&w);
}

/* Nobody is in the room any more, and it goes, with a snapshot. */
static void put_away(world *w, uint64_t c) {
  lk_hub_disconnect(w->hub, c, w->now);
  for (int i = 0; i < 3 && lk_hub_get_stats(w->hub).house.rooms > 0; i++) {
    w->now += LK_ROOM_IDLE_MS_PRESET;
    step(w);
  }
  CHECK_U64(lk_hub_get_stats(w->hub).house.rooms, 0);
}

/* Goal: where the newest snapshot is damaged the room may have forgotten counts that replicas have seen; it
 * must not count on under the same actor. Method: two snapshots; the journal has no record of before, since
 * each has a segment of its own. */
TEST(a_room_that_came_back_damaged_counts_under_a_new_actor) {
  world w;
  world_init(&w);
  w.limits.log_segment_bytes = 1;
  for (int i = 0; i < 2; i++) {
    uint64_t c = connect(&w);
    join(&w, c);
    tell(&w, c, INCREMENT(1));
    step(&w);
    drain(&w);
    put_away(&w, c);
  }
  uint64_t b = connect(&w), a;
  tell(&w, b, LK_LIT("[\"1\",\"1\",\"crdt:b\",\"phx_join\",{}]"));
  tell(&w, b, LK_LIT("[\"1\",\"2\",\"crdt:b\",\"crdt.merge\",{\"counts\":{\"x\":3}}]"));
  step(&w); /* a new segment: the one before goes */
  die(&w);
  damage_slot(&w, 0); /* the second snapshot is number 2 */
  begin(&w, &w.storage.table, 8);
  a = connect(&w);
  tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  step(&w);
  CHECK_U64(next_value(&w), 1);
  tell(&w, a, INCREMENT(1));
  step(&w);
  drain(&w);
  CHECK_U64(actors_of_room(&w, a), 2);
  world_deinit(&w);
}

/* Goal: what a room holds always fits into the answer to a join. */
TEST(a_room_refuses_what_newcomers_could_not_be_told) {
  world w;
  lk_hub_output out;
  char text[400];
  world_init(&w);
  w.limits.ws_output_bytes = 4000;
  die(&w);
  begin(&w, &w.storage.table, 7);
  uint64_t a = connect(&w);
  join(&w, a);
  for (int i = 0; i < 100; i++) {
    /* Quotes take two bytes each as JSON, control characters six. */
    (void)snprintf(text, sizeof text,
                   "[\"1\",\"3\",\"crdt:a\",\"crdt.merge\",{\"counts\":{\"%d\\u0001\\\"\":"
                   "18446744073709551}}]",
                   i);
    tell(&w, a, lk_slice_cstr(text));
    step(&w);
    while (lk_hub_poll(w.hub, &out)) CHECK(out.kind == LK_HUB_SEND);
  }
  CHECK_COVERED(crdt_room_is_full);
  uint64_t b = connect(&w);
  tell(&w, b, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  CHECK(lk_hub_poll(w.hub, &out));
  CHECK(out.kind == LK_HUB_SEND && out.text.len > 1000 && out.text.len < 2200);
  CHECK(lk_slice_find(out.text, LK_LIT("\"status\":\"ok\"")) != LK_SLICE_NONE);
  world_deinit(&w);
}

/* Goal: commands are counted under the room's own actor, from that actor's count. */
TEST(commands_and_merges_add_up) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  join(&w, a);
  tell(&w, a, LK_LIT("[\"1\",\"3\",\"crdt:a\",\"crdt.merge\",{\"counts\":{\"x\":3}}]"));
  step(&w);
  drain(&w);
  for (uint64_t n = 1; n <= 2; n++) {
    tell(&w, a, INCREMENT(2));
    step(&w);
    CHECK_U64(next_value(&w), 3 + 2 * n);
    drain(&w);
  }
  world_deinit(&w);
}

TEST(messages_right_behind_a_join_wait_with_it_and_keep_their_order) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  tell(&w, a, INCREMENT(1));
  tell(&w, a, GET);
  check_silent(&w);
  step(&w);
  CHECK_U64(next_value(&w), 0); /* the join */
  CHECK_U64(next_value(&w), 0); /* the reader, before the journal */
  CHECK_U64(next_value(&w), 1);
  CHECK_U64(next_value(&w), 1);
  check_silent(&w);
  world_deinit(&w);
}

TEST(messages_behind_a_join_that_failed_are_unmatched) {
  world w;
  faulty faults;
  faulty_storage storage;
  lk_hub_output out;
  world_init(&w);
  die(&w);
  faulty_init(&faults, test_alloc());
  faulty_storage_init(&storage, &w.storage.table, &faults, STORAGE_FAIL, LK_ERR_IO, 1);
  faults.fail_at = 1;
  begin(&w, &storage.table, 7);
  uint64_t a = connect(&w);
  tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  tell(&w, a, INCREMENT(1));
  step(&w);
  CHECK(lk_hub_poll(w.hub, &out));
  CHECK(lk_slice_starts_with(
      out.text, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_reply\",{\"status\":\"error\"")));
  CHECK_SENT(&w, a,
             "[null,\"2\",\"crdt:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":"
             "\"unmatched topic\"}}]");
  check_silent(&w);
  world_deinit(&w);
}

/* Goal: rooms, their members and those who wait to become members are bounded, and who does not fit
 * is told so and may stay connected. */
TEST(rooms_members_and_waiting_joins_are_bounded) {
  static const char *full = "[\"1\",\"1\",\"crdt:%s\",\"phx_reply\",{\"status\":\"error\","
                            "\"response\":{\"reason\":\"%s full\",\"retry_after_ms\":5000}}]";
  char text[300];
  lk_hub_output out;
  world w;
  world_init(&w);
  die(&w);
  w.limits.room_members_count = w.limits.rooms_count = 1;
  w.limits.ws_output_bytes = 512;
  begin(&w, &w.storage.table, 7);
  uint64_t c[3] = { connect(&w), connect(&w), connect(&w) };
  tell(&w, c[0], LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  /* While loading, what waits is bounded in bytes. */
  (void)snprintf(text, sizeof text, "[\"1\",\"1\",\"crdt:a\",\"phx_join\",\"%0200d\"]", 0);
  for (int i = 0; i < 2; i++) tell(&w, c[1 + i], lk_slice_cstr(text));
  (void)snprintf(text, sizeof text, full, "a", "server");
  CHECK(lk_hub_poll(w.hub, &out) && out.connection == c[2]);
  CHECK_SLICE(out.text, lk_slice_cstr(text));
  lk_hub_disconnect(w.hub, c[1], 0);
  step(&w);
  CHECK_U64(next_value(&w), 0);
  tell(&w, c[2], LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  (void)snprintf(text, sizeof text, full, "a", "room");
  CHECK(lk_hub_poll(w.hub, &out) && out.connection == c[2]);
  CHECK_SLICE(out.text, lk_slice_cstr(text));
  tell(&w, c[2], LK_LIT("[\"1\",\"1\",\"crdt:b\",\"phx_join\",{}]"));
  (void)snprintf(text, sizeof text, full, "b", "server");
  CHECK(lk_hub_poll(w.hub, &out) && out.connection == c[2]);
  CHECK_SLICE(out.text, lk_slice_cstr(text));
  check_silent(&w);
  CHECK_U64(lk_hub_get_stats(w.hub).house.members, 1);
  world_deinit(&w);
}

TEST(a_merge_is_taken_in_once_however_often_it_comes) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w), b = connect(&w);
  join(&w, a);
  join(&w, b);
  for (int i = 0; i < 3; i++) {
    tell(&w, a, LK_LIT("[\"1\",\"3\",\"crdt:a\",\"crdt.merge\",{\"counts\":{\"x\":3,\"y\":4}}]"));
    step(&w);
    CHECK_SENT(&w, a,
               "[\"1\",\"3\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{\"value\":7,"
               "\"counts\":{},\"level\":\"durable\"}}]");
    if (i == 0) {
      CHECK_SENT(
          &w, a,
          "[null,null,\"crdt:a\",\"state_updated\",{\"value\":7,\"counts\":{\"x\":3,\"y\":4},"
          "\"delta\":\"AQECAgIBeAEAAgF5AAMAAAIBAAM=\"}]");
      CHECK_SENT(
          &w, b,
          "[null,null,\"crdt:a\",\"state_updated\",{\"value\":7,\"counts\":{\"x\":3,\"y\":4},"
          "\"delta\":\"AQECAgIBeAEAAgF5AAMAAAIBAAM=\"}]");
    }
    check_silent(&w);
  }
  world_deinit(&w);
}

/* Goal: a merge of what is known, but not durable yet, is not acknowledged before it is. */
TEST(a_repeated_merge_waits_for_the_journal_of_the_first) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  join(&w, a);
  w.storage.hold = true;
  for (int i = 0; i < 2; i++)
    tell(&w, a, LK_LIT("[\"1\",\"3\",\"crdt:a\",\"crdt.merge\",{\"counts\":{\"x\":3}}]"));
  check_silent(&w);
  CHECK_COVERED(crdt_room_known_but_not_durable);
  w.storage.hold = false;
  step(&w);
  for (int i = 0; i < 3; i++) CHECK_U64(next_value(&w), 3);
  check_silent(&w);
  world_deinit(&w);
}

TEST(bad_payloads_are_answered_by_name_and_change_nothing) {
  static const struct {
    lk_slice text;
    const char *reason;
  } cases[] = {
    { LK_LIT_INIT("[\"1\",\"2\",\"crdt:a\",\"crdt.increment\",{}]"), "LK_ERR_PAYLOAD" },
    { LK_LIT_INIT("[\"1\",\"2\",\"crdt:a\",\"crdt.increment\",{\"payload\":{}}]"),
      "LK_ERR_PAYLOAD" },
    { LK_LIT_INIT("[\"1\",\"2\",\"crdt:a\",\"crdt.increment\",[]]"), "LK_ERR_PAYLOAD" },
    { LK_LIT_INIT("[\"1\",\"2\",\"crdt:a\",\"crdt.increment\",{\"payload\":{\"amount\":0}}]"),
      "LK_ERR_RANGE" },
    { LK_LIT_INIT("[\"1\",\"2\",\"crdt:a\",\"crdt.increment\",{\"payload\":{\"amount\":-1}}]"),
      "LK_ERR_RANGE" },
    { LK_LIT_INIT("[\"1\",\"2\",\"crdt:a\",\"crdt.increment\",{\"payload\":{\"amount\":\"1\"}}]"),
      "LK_ERR_PAYLOAD" },
    { LK_LIT_INIT("[\"1\",\"2\",\"crdt:a\",\"crdt.merge\",{\"counts\":{\"\":1}}]"),
      "LK_ERR_ACTOR" },
    { LK_LIT_INIT("[\"1\",\"2\",\"crdt:a\",\"crdt.destroy\",{}]"), "LK_ERR_UNKNOWN_EVENT" },
  };
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  join(&w, a);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_hub_output out;
    test_note("case %zu", i);
    tell(&w, a, cases[i].text);
    step(&w);
    CHECK(lk_hub_poll(w.hub, &out));
    CHECK(lk_slice_find(out.text, LK_LIT("\"status\":\"error\"")) != LK_SLICE_NONE);
    CHECK(lk_slice_find(out.text, lk_slice_cstr(cases[i].reason)) != LK_SLICE_NONE);
    bool names_field = lk_slice_find(out.text, LK_LIT("\"field\":")) != LK_SLICE_NONE;
    CHECK(names_field == (i + 1 < sizeof cases / sizeof cases[0])); /* the last is about no field */
    check_silent(&w);
  }
  CHECK_U64(lk_hub_get_stats(w.hub).house.journals, 0);
  CHECK_U64(lk_hub_get_stats(w.hub).edge.messages_in, 1 + sizeof cases / sizeof cases[0]);
  world_deinit(&w);
}

TEST(a_message_that_is_none_closes_its_connection_only) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w), b = connect(&w);
  CHECK_ERR(lk_hub_receive(w.hub, a, LK_LIT("nonsense"), 0), LK_ERR_SYNTAX);
  lk_hub_disconnect(w.hub, a, 0);
  lk_hub_disconnect(w.hub, a, 0);
  CHECK_ERR(lk_hub_receive(w.hub, a, LK_LIT("[]"), 0), LK_ERR_CLOSED);
  tell(&w, b, LK_LIT("[null,\"5\",\"phoenix\",\"heartbeat\",{}]"));
  CHECK_SENT(&w, b, "[null,\"5\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  world_deinit(&w);
}

/* ---- a room process that dies ---- */

/* A storage of which the hub hears only as long as |hears| lasts, so that a house can be stopped between
 * any two operations. */
typedef struct deaf_storage {
  lk_storage table;
  lk_storage *inner;
  uint32_t hears;
} deaf_storage;

static void deaf_submit(lk_storage *storage, lk_io *io) {
  deaf_storage *self = LK_CONTAINER(storage, deaf_storage, table);
  self->inner->submit(self->inner, io);
}

static lk_io *deaf_poll(lk_storage *storage) {
  deaf_storage *self = LK_CONTAINER(storage, deaf_storage, table);
  lk_io *io = self->hears > 0 ? self->inner->poll(self->inner) : NULL;
  if (io != NULL) self->hears--;
  return io;
}

static void world_init_deaf(world *w, deaf_storage *storage) {
  world_init(w);
  die(w);
  *storage = (deaf_storage){ { sizeof storage->table, deaf_submit, deaf_poll },
                             &w->storage.table,
                             UINT32_MAX };
  begin(w, &storage->table, 7);
}

/* Another house begins. What the storage was doing for the last one is done, but nobody heard of it. */
static void replace_house(world *w, deaf_storage *storage, uint64_t entropy) {
  while (storage->inner->poll(storage->inner) != NULL) continue;
  CHECK_OK(lk_hub_replace_house(w->hub, &storage->table, entropy));
}

/* Goal: a request is applied once, whether its answer was lost before or behind the write.
 * Method: the house is stopped after each possible number of operations. */
TEST(a_request_whose_answer_was_lost_is_answered_by_the_next_house_and_counted_once) {
  uint64_t repeated = 0;
  for (uint32_t operations = 0; operations < 40; operations++) {
    world w;
    deaf_storage storage;
    lk_hub_output out;
    world_init_deaf(&w, &storage);
    if (operations >= 20) w.limits.room_tail_bytes = w.limits.log_segment_bytes = 1;
    uint64_t a = connect(&w), b = connect(&w);
    join(&w, a);
    join(&w, b);
    tell(&w, a, INCREMENT(5));
    storage.hears = operations % 20;
    step(&w);
    storage.hears = UINT32_MAX;
    drain(&w); /* it may have been answered */
    replace_house(&w, &storage, 11);
    step(&w);
    CHECK_U64(lk_hub_get_stats(w.hub).house.members, 2);
    repeated += lk_hub_get_stats(w.hub).house.repeated;
    CHECK(lk_hub_poll(w.hub, &out)); /* what the members may have missed */
    CHECK(lk_slice_find(out.text, LK_LIT("state_updated")) != LK_SLICE_NONE);
    drain(&w);
    tell(&w, b, GET);
    CHECK_U64(next_value(&w), 5);
    world_deinit(&w);
  }
  CHECK(repeated > 0);
}

/* Goal: whatever the moment at which room processes die, each request is answered once and counted once.
 * Method: clients come, add and go; between any two steps the house may be replaced by another one over the same
 * storage. In the end the value is what was acknowledged. */
PROPERTY(every_increment_is_answered_once_and_counted_once_whenever_room_processes_die) {
  enum { CLIENTS = 3, TOPICS = 3 };
  char text[120];
  world w;
  deaf_storage storage;
  lk_hub_output out;
  uint64_t clients[CLIENTS], told[TOPICS] = { 0 }, answered[TOPICS] = { 0 };
  world_init_deaf(&w, &storage);
  if (gen_bool(g)) w.limits.room_tail_bytes = 1 + gen_below(g, 400);
  if (gen_bool(g)) w.limits.log_segment_bytes = 1 + gen_below(g, 400);
  if (gen_bool(g)) w.limits.house_journal_bytes = 1 + gen_below(g, 400);
  if (gen_bool(g)) w.limits.log_batch_bytes = 1 + gen_below(g, 100);
  for (int i = 0; i < CLIENTS; i++) clients[i] = connect(&w);
  for (int i = 0; i < CLIENTS * TOPICS; i++) {
    (void)snprintf(text, sizeof text, "[\"1\",\"1\",\"crdt:%c\",\"phx_join\",{}]",
                   'a' + i % TOPICS);
    tell(&w, clients[i / TOPICS], lk_slice_cstr(text));
  }
  uint32_t rounds = 1 + gen_below(g, 40);
  for (uint32_t i = 0; i < rounds; i++) {
    switch (gen_below(g, 4)) {
    case 0:
      storage.hears = gen_below(g, 30);
      step(&w);
      break;
    case 1: replace_house(&w, &storage, 100 + i); break;
    default: {
      uint32_t topic = gen_below(g, TOPICS);
      (void)snprintf(text, sizeof text,
                     "[\"1\",\"2\",\"crdt:%c\",\"crdt.increment\",{\"payload\":{\"amount\":1}}]",
                     'a' + (int)topic);
      tell(&w, clients[gen_below(g, CLIENTS)], lk_slice_cstr(text));
      told[topic]++;
    }
    }
  }
  storage.hears = UINT32_MAX;
  step(&w);
  while (lk_hub_poll(w.hub, &out)) {
    CHECK(out.kind == LK_HUB_SEND);
    for (int i = 0; i < TOPICS; i++) {
      (void)snprintf(text, sizeof text, "[\"1\",\"2\",\"crdt:%c\",\"phx_reply\",{\"status\":\"ok\"",
                     'a' + i);
      answered[i] += lk_slice_starts_with(out.text, lk_slice_cstr(text));
    }
  }
  for (int i = 0; i < TOPICS; i++) {
    CHECK_U64(answered[i], told[i]);
    (void)snprintf(text, sizeof text, "[\"1\",\"9\",\"crdt:%c\",\"crdt.get\",{}]", 'a' + i);
    tell(&w, clients[0], lk_slice_cstr(text));
    CHECK_U64(next_value(&w), told[i]);
  }
  world_deinit(&w);
}

#define MERGE_INTO(topic, n)                                                                       \
  LK_LIT("[\"1\",\"2\",\"crdt:" topic "\",\"crdt.merge\",{\"counts\":{\"x\":" #n "}}]")
#define JOIN(topic) LK_LIT("[\"1\",\"1\",\"crdt:" topic "\",\"phx_join\",{}]")

/* Goal: the changes of all rooms share a write and a sync. Method: one is under way, and held; those that come
 * meanwhile are the next one. */
TEST(changes_of_many_rooms_are_made_durable_together) {
  char text[100];
  lk_hub_output out;
  uint64_t ok = 0;
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  for (int i = 0; i < 50; i++) {
    (void)snprintf(text, sizeof text, "[\"1\",\"1\",\"crdt:%d\",\"phx_join\",{}]", i);
    tell(&w, a, lk_slice_cstr(text));
  }
  step(&w);
  drain(&w);
  w.storage.hold = true;
  for (int i = 0; i < 50; i++) {
    (void)snprintf(text, sizeof text,
                   "[\"1\",\"2\",\"crdt:%d\",\"crdt.merge\",{\"counts\":{\"x\":3}}]", i);
    tell(&w, a, lk_slice_cstr(text));
  }
  w.storage.hold = false;
  step(&w);
  while (lk_hub_poll(w.hub, &out)) {
    ok += lk_slice_find(out.text, LK_LIT("\"level\":\"durable\"")) != LK_SLICE_NONE;
  }
  CHECK_U64(ok, 50);
  CHECK_U64(lk_hub_get_stats(w.hub).house.journals, 50);
  CHECK_U64(lk_hub_get_stats(w.hub).house.batches, 2);
  world_deinit(&w);
}

/* Goal: where a batch is full, changes wait for the next one, in order, and all are answered. */
TEST(a_change_for_which_the_batch_has_no_room_goes_with_the_next_one) {
  world w;
  lk_hub_output out;
  uint64_t ok = 0;
  world_init(&w);
  w.limits.log_batch_bytes = 1;
  uint64_t a = connect(&w);
  tell(&w, a, JOIN("a"));
  tell(&w, a, JOIN("b"));
  tell(&w, a, JOIN("c"));
  tell(&w, a, JOIN("d"));
  step(&w);
  drain(&w);
  w.storage.hold = true;
  tell(&w, a, MERGE_INTO("a", 1));
  tell(&w, a, MERGE_INTO("b", 2));
  tell(&w, a, MERGE_INTO("c", 3));
  tell(&w, a, MERGE_INTO("d", 4));
  CHECK_COVERED(house_waits_for_the_batch_before);
  w.storage.hold = false;
  step(&w);
  while (lk_hub_poll(w.hub, &out)) {
    if (lk_slice_find(out.text, LK_LIT("\"level\"")) != LK_SLICE_NONE) ok++;
  }
  CHECK_U64(ok, 4);
  CHECK_U64(lk_hub_get_stats(w.hub).house.batches, 4);
  world_deinit(&w);
}

/* Goal: snapshots bound what the journal keeps. Method: many changes of one room with small limits; the files
 * that there are, and what they hold. */
TEST(snapshots_are_taken_as_the_journal_grows_and_old_segments_go) {
  world w;
  world_init(&w);
  w.limits.room_tail_bytes = 2000;
  w.limits.log_segment_bytes = 500;
  w.limits.log_reserve_bytes = 1000;
  uint64_t a = connect(&w);
  join(&w, a);
  for (int i = 0; i < 500; i++) {
    tell(&w, a, INCREMENT(1));
    step(&w);
    drain(&w);
  }
  uint64_t snapshots = lk_hub_get_stats(w.hub).house.snapshots;
  CHECK(snapshots > 10 && snapshots < 100);
  CHECK(lk_map_count(&w.storage.names) < 15); /* of 100 segments and more */
  CHECK(w.storage.size_used < 9000);
  die(&w);
  begin(&w, &w.storage.table, 8);
  a = connect(&w);
  tell(&w, a, JOIN("a"));
  step(&w);
  CHECK_U64(next_value(&w), 500);
  world_deinit(&w);
}

/* Goal: a room in which nobody is any more does not hold the journal for ever. Method: a house dies, one topic is
 * not joined again, another one fills the journal. */
TEST(a_topic_that_nobody_joins_again_is_opened_for_its_snapshot_when_the_journal_has_grown) {
  world w;
  world_init(&w);
  w.limits.log_segment_bytes = 500;
  w.limits.house_journal_bytes = 2000;
  uint64_t a = connect(&w);
  tell(&w, a, JOIN("b"));
  tell(&w, a, MERGE_INTO("b", 77));
  step(&w);
  drain(&w);
  die(&w);
  begin(&w, &w.storage.table, 8);
  a = connect(&w);
  join(&w, a);
  for (int i = 0; i < 200; i++) {
    tell(&w, a, INCREMENT(1));
    step(&w);
    drain(&w);
  }
  CHECK_COVERED(house_opens_a_room_for_its_snapshot);
  CHECK(lk_hub_get_stats(w.hub).house.snapshots > 3);
  CHECK(lk_map_count(&w.storage.names) < 15);
  tell(&w, a, JOIN("b"));
  step(&w);
  CHECK_U64(next_value(&w), 77);
  die(&w);
  begin(&w, &w.storage.table, 9);
  a = connect(&w);
  tell(&w, a, JOIN("b"));
  tell(&w, a, JOIN("a"));
  step(&w);
  CHECK_U64(next_value(&w), 77);
  CHECK_U64(next_value(&w), 200);
  world_deinit(&w);
}

/* Goal: a topic that holds the journal and cannot be opened is tried now and then, and others go on. Method: it has
 * more actors than the limits of the next house allow. */
TEST(a_topic_that_cannot_be_opened_for_its_snapshot_is_tried_again_later) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  tell(&w, a, JOIN("b"));
  tell(&w, a, LK_LIT("[\"1\",\"2\",\"crdt:b\",\"crdt.merge\",{\"counts\":{\"x\":3,\"y\":4}}]"));
  step(&w);
  drain(&w);
  die(&w);
  w.limits.crdt_actors_count = 1;
  w.limits.house_journal_bytes = 1;
  begin(&w, &w.storage.table, 8);
  a = connect(&w);
  for (int i = 0; i < 3; i++, w.now += 20000) {
    if (i == 0) join(&w, a);
    tell(&w, a, INCREMENT(1));
    step(&w);
    drain(&w);
  }
  CHECK_U64(lk_hub_get_stats(w.hub).house.rooms_dropped, 2); /* now, and after half a minute */
  die(&w);
  w.limits = lk_limits_default();
  begin(&w, &w.storage.table, 9);
  a = connect(&w);
  tell(&w, a, JOIN("b"));
  tell(&w, a, JOIN("a"));
  step(&w);
  CHECK_U64(next_value(&w), 7);
  CHECK_U64(next_value(&w), 3);
  world_deinit(&w);
}

/* Goal: a snapshot that fails ends its room and no other, and takes nothing with it. Method: one operation of
 * the slot fails after the other. */
TEST(a_snapshot_that_fails_drops_its_room_only) {
  for (uint64_t fail_at = 1; fail_at <= 3; fail_at++) { /* open, write, sync */
    world w;
    faulty faults;
    faulty_storage storage;
    lk_hub_output out;
    world_init(&w);
    die(&w);
    faulty_init(&faults, test_alloc());
    faulty_storage_init(&storage, &w.storage.table, &faults, STORAGE_FAIL, LK_ERR_SYNC, 1);
    begin(&w, &storage.table, 7);
    uint64_t a = connect(&w);
    join(&w, a);
    tell(&w, a, JOIN("b"));
    step(&w);
    tell(&w, a, INCREMENT(1));
    step(&w);
    drain(&w);
    w.limits.room_tail_bytes = 1;
    faults.seen = 0;
    faults.fail_at = fail_at + 2; /* behind the write and sync of the journal */
    tell(&w, a, INCREMENT(1));
    step(&w);
    CHECK_U64(next_value(&w), 2);
    CHECK_U64(next_value(&w), 2);
    CHECK_SENT(&w, a, "[\"1\",\"1\",\"crdt:a\",\"phx_error\",{\"reason\":\"storage\"}]");
    check_silent(&w);
    CHECK_U64(lk_hub_get_stats(w.hub).house.journal_failures, 0);
    tell(&w, a, MERGE_INTO("b", 5));
    tell(&w, a, JOIN("a"));
    step(&w);
    CHECK_U64(next_value(&w), 5);
    CHECK_U64(next_value(&w), 5);
    CHECK_U64(next_value(&w), 2);
    while (lk_hub_poll(w.hub, &out)) continue;
    world_deinit(&w);
  }
}

/* Goal: a room that has a snapshot from a journal that is not this one stays shut: it would take new records for
 * old ones. Method: the journal's files are lost. */
TEST(a_room_whose_snapshot_is_ahead_of_the_journal_is_refused) {
  static const lk_slice lost[] = { LK_LIT_INIT("journal-0-manifest.0"),
                                   LK_LIT_INIT("journal-0-manifest.1"),
                                   LK_LIT_INIT("journal-0-0000000001") };
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  join(&w, a);
  tell(&w, a, INCREMENT(1));
  step(&w);
  drain(&w);
  put_away(&w, a);
  die(&w);
  for (size_t i = 0; i < 3; i++)
    CHECK_OK(run_io(&w, &(lk_io){ .kind = LK_IO_REMOVE, .name = lost[i] }));
  begin(&w, &w.storage.table, 8);
  a = connect(&w);
  tell(&w, a, JOIN("a"));
  step(&w);
  CHECK_SENT(&w, a,
             "[\"1\",\"1\",\"crdt:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":"
             "\"storage\",\"retry_after_ms\":5000,\"message\":\"LK_ERR_CORRUPT\"}}]");
  world_deinit(&w);
}

TEST(an_idle_room_is_put_away_and_comes_back_with_its_state) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  join(&w, a);
  for (int i = 1; i <= 2; i++) { /* twice, so that both slots are open */
    if (i == 1) tell(&w, a, INCREMENT(1));
    else tell(&w, a, INCREMENT(2));
    step(&w);
  }
  drain(&w);
  lk_hub_disconnect(w.hub, a, w.now);
  CHECK_U64(lk_hub_get_stats(w.hub).house.rooms, 1);
  CHECK(lk_hub_deadline(w.hub) != LK_HUB_NEVER);
  w.now += LK_ROOM_IDLE_MS_PRESET - 1;
  step(&w);
  CHECK_U64(lk_hub_get_stats(w.hub).house.rooms, 1);
  w.now++;
  step(&w);
  step(&w);
  CHECK_COVERED(house_put_away_behind_its_snapshot);
  CHECK_U64(lk_hub_get_stats(w.hub).house.snapshots, 1);
  uint32_t open = 0;
  for (uint32_t i = 0; i < w.storage.open_cap; i++) open += w.storage.open[i] != NULL;
  CHECK_U64(open, 3); /* the journal's: a segment, and two slots of its manifest */
  CHECK_U64(lk_hub_get_stats(w.hub).house.rooms, 0);
  CHECK(lk_hub_is_idle(w.hub));
  a = connect(&w);
  tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  step(&w);
  CHECK_U64(next_value(&w), 3);
  put_away(&w, a); /* nothing changed: without another snapshot */
  CHECK_COVERED(hub_idle_room_put_away);
  CHECK_U64(lk_hub_get_stats(w.hub).house.snapshots, 1);
  world_deinit(&w);
}

/* Goal: records that the journal still has, but the snapshot too, are not behind it. Method: what has no tail is
 * put away without another snapshot. */
TEST(records_that_a_snapshot_holds_are_not_applied_again_when_the_journal_is_read) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  join(&w, a);
  tell(&w, a, INCREMENT(1));
  step(&w);
  drain(&w);
  put_away(&w, a);
  die(&w);
  begin(&w, &w.storage.table, 8);
  a = connect(&w);
  join(&w, a);
  put_away(&w, a);
  CHECK_U64(lk_hub_get_stats(w.hub).house.snapshots, 0);
  world_deinit(&w);
}

/* Goal: a room that changed while its last snapshot was under way is not put away without those changes. */
TEST(a_room_that_changes_during_its_last_snapshot_is_put_away_with_another_one) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  join(&w, a);
  tell(&w, a, INCREMENT(1));
  step(&w);
  drain(&w);
  lk_hub_disconnect(w.hub, a, w.now);
  w.now += LK_ROOM_IDLE_MS_PRESET;
  w.storage.hold = true;
  step(&w); /* the snapshot begins */
  a = connect(&w);
  tell(&w, a, JOIN("a"));
  tell(&w, a, INCREMENT(2));
  lk_hub_disconnect(w.hub, a, w.now);
  w.storage.hold = false;
  step(&w);
  CHECK_U64(lk_hub_get_stats(w.hub).house.rooms, 1);
  CHECK_U64(lk_hub_get_stats(w.hub).house.snapshots, 1);
  for (int i = 0; i < 2; i++) {
    w.now += LK_ROOM_IDLE_MS_PRESET;
    step(&w);
  }
  CHECK_U64(lk_hub_get_stats(w.hub).house.rooms, 0);
  CHECK_U64(lk_hub_get_stats(w.hub).house.snapshots, 2);
  world_deinit(&w);
}

/* Goal: who comes back before the room is put away keeps it. */
TEST(a_room_with_members_again_is_not_put_away) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  join(&w, a);
  lk_hub_disconnect(w.hub, a, w.now);
  w.now += LK_ROOM_IDLE_MS_PRESET - 1;
  a = connect(&w);
  join(&w, a);
  w.now += 2;
  step(&w);
  check_silent(&w);
  CHECK_U64(lk_hub_get_stats(w.hub).house.members, 1);
  world_deinit(&w);
}

/* Goal: a room that nobody is in, but whose journal is under way, is put away after that. */
TEST(a_room_is_not_put_away_while_its_journal_is_under_way) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  join(&w, a);
  w.storage.hold = true;
  tell(&w, a, INCREMENT(1));
  lk_hub_disconnect(w.hub, a, w.now);
  w.now += LK_ROOM_IDLE_MS_PRESET;
  step(&w);
  CHECK_U64(lk_hub_get_stats(w.hub).house.rooms, 1);
  CHECK(lk_hub_deadline(w.hub) > w.now && lk_hub_deadline(w.hub) != LK_HUB_NEVER);
  w.storage.hold = false;
  step(&w);
  CHECK_U64(lk_hub_get_stats(w.hub).house.journals, 1);
  w.now += LK_ROOM_IDLE_MS_PRESET;
  step(&w);
  step(&w);
  CHECK_U64(lk_hub_get_stats(w.hub).house.rooms, 0);
  world_deinit(&w);
}

/* Goal: as many may wait for a journal as the room says, and their answers end no room.
 * Method: fill the wait behind a journal that is held, with one that is refused and one for the
 * journal after next, so that the completion replies, broadcasts and journals again. */
TEST(a_room_whose_waiters_are_full_refuses_and_goes_on) {
  world w;
  lk_hub_output out;
  uint64_t ok = 0, refused = 0;
  world_init(&w);
  w.limits.room_effects_count = 8;
  uint64_t a = connect(&w);
  join(&w, a);
  w.storage.hold = true;
  for (int i = 0; i < 10; i++) tell(&w, a, INCREMENT(1));
  for (int i = 0; i < 3; i++) { /* the first journal: its asker is answered, the second begins */
    lk_memory_storage_release(&w.storage, 1);
    step(&w);
  }
  for (int i = 0; i < 10; i++) tell(&w, a, INCREMENT(1));
  w.storage.hold = false;
  step(&w);
  while (lk_hub_poll(w.hub, &out)) {
    ok += lk_slice_find(out.text, LK_LIT("\"status\":\"ok\"")) != LK_SLICE_NONE;
    refused += lk_slice_find(out.text, LK_LIT("LK_ERR_FULL")) != LK_SLICE_NONE;
  }
  CHECK_U64(lk_hub_get_stats(w.hub).house.rooms_dropped, 0);
  CHECK_U64(lk_hub_get_stats(w.hub).house.members, 1);
  CHECK_U64(ok, 7); /* one at once, five behind it, one behind those */
  CHECK_U64(refused, 13);
  world_deinit(&w);
}

/* Goal: a room that ends while its record is under way comes back with it, and not before it is decided.
 * Method: the room runs out of memory, and is dropped, while its first record is held; somebody joins. */
TEST(a_record_whose_room_was_dropped_meanwhile_is_in_it_when_it_opens_again) {
  FAULT_LOOP(faults, test_alloc()) {
    world w = { .env = LK_ENV_INIT(faulty_alloc(&faults), NULL), .limits = lk_limits_default() };
    uint64_t fail_at = faults.fail_at;
    faults.fail_at = 0;
    lk_memory_storage_init(&w.storage, test_alloc(), 1 << 24);
    begin(&w, &w.storage.table, 7);
    uint64_t a = connect(&w), b = connect(&w);
    join(&w, a);
    w.storage.hold = true;
    tell(&w, a, INCREMENT(1));
    faults.seen = 0;
    faults.fail_at = fail_at;
    (void)!lk_hub_receive(w.hub, a, INCREMENT(2), w.now);
    faults.fail_at = 0;
    drain(&w);
    if (lk_hub_get_stats(w.hub).house.rooms_dropped > 0) {
      tell(&w, b, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
      step(&w);
      check_silent(&w);
      w.storage.hold = false;
      step(&w);
      CHECK_COVERED(house_record_landed_without_its_room);
      CHECK_COVERED(hub_room_opened_again_after_a_drop);
      CHECK_U64(next_value(&w), 1);
    }
    w.storage.hold = false;
    step(&w);
    CHECK(lk_hub_is_idle(w.hub));
    faults.fail_at = fail_at;
    world_deinit(&w);
  }
}

/* Goal: a state that does not fit smaller limits keeps its room shut; it is not taken for damage, which
 * would bring back the older one. */
TEST(a_state_beyond_the_limits_is_refused_and_kept) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  join(&w, a);
  tell(&w, a, INCREMENT(1));
  step(&w);
  tell(&w, a,
       LK_LIT("[\"1\",\"3\",\"crdt:a\",\"crdt.merge\",{\"counts\":{\"another\":3,\"and "
              "another\":4}}]"));
  step(&w);
  drain(&w);
  put_away(&w, a);
  die(&w);
  w.limits.crdt_state_bytes = 40; /* the first state fits, the second does not */
  begin(&w, &w.storage.table, 8);
  a = connect(&w);
  tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  step(&w);
  CHECK_SENT(&w, a,
             "[\"1\",\"1\",\"crdt:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":"
             "\"storage\",\"retry_after_ms\":5000,\"message\":\"LK_ERR_TOO_BIG\"}}]");
  die(&w);
  w.limits = lk_limits_default();
  w.limits.crdt_actors_count = 2; /* now the room itself does not understand it */
  begin(&w, &w.storage.table, 8);
  a = connect(&w);
  tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  step(&w);
  CHECK_SENT(&w, a,
             "[\"1\",\"1\",\"crdt:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":"
             "\"storage\",\"retry_after_ms\":5000,\"message\":\"LK_ERR_LIMIT\"}}]");
  die(&w);
  w.limits = lk_limits_default();
  begin(&w, &w.storage.table, 9);
  a = connect(&w);
  tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  step(&w);
  CHECK_U64(next_value(&w), 8);
  world_deinit(&w);
}

/* Goal: whatever the storage does at any of its operations, a member that was told "ok" finds its
 * count after the room came back; and the room always comes back.
 * Method: the fault loop over storage operations; afterwards a fresh hub on the bare storage. */
static void storage_scenario(storage_fault fault, lk_err error) {
  FAULT_LOOP(faults, test_alloc()) {
    world w;
    faulty_storage storage;
    uint64_t acknowledged = 0;
    world_init(&w);
    die(&w);
    w.limits.room_tail_bytes = w.limits.log_segment_bytes =
        1; /* snapshots and turns are among them */
    faulty_storage_init(&storage, &w.storage.table, &faults, fault, error, 3);
    begin(&w, &storage.table, 7);
    uint64_t a = connect(&w);
    for (int i = 0; i < 4; i++) {
      lk_hub_output out;
      tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
      step(&w);
      drain(&w);
      tell(&w, a, INCREMENT(1));
      step(&w);
      w.now += 10000; /* a journal that failed is opened again */
      while (lk_hub_poll(w.hub, &out)) {
        if (lk_slice_starts_with(
                out.text, LK_LIT("[\"1\",\"2\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\"")))
          acknowledged++;
      }
    }
    CHECK(faults.hit || acknowledged == 4);
    CHECK(faults.hit || lk_hub_get_stats(w.hub).house.snapshots > 0);
    step(&w);
    step(&w); /* the first one may have begun to open the journal */
    CHECK(lk_hub_is_idle(w.hub));
    die(&w);
    begin(&w, &w.storage.table, 8);
    a = connect(&w);
    tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
    step(&w);
    CHECK(next_value(&w) >= acknowledged);
    world_deinit(&w);
  }
}

TEST(no_acknowledged_count_is_lost_when_storage_operations_fail) {
  storage_scenario(STORAGE_FAIL, LK_ERR_IO);
}
TEST(no_acknowledged_count_is_lost_when_writes_tear) { storage_scenario(STORAGE_TEAR, LK_ERR_IO); }
TEST(no_acknowledged_count_is_lost_when_operations_are_late) {
  storage_scenario(STORAGE_DELAY, LK_OK);
}
TEST(no_acknowledged_count_is_lost_when_the_disk_is_full) {
  storage_scenario(STORAGE_FAIL, LK_ERR_NO_SPACE);
}

/* Goal: where the journal fails, members are told, and it is opened again after a while; until then joins are
 * refused by name. Method: each sync fails, then all is well; the pause doubles. */
TEST(members_of_rooms_whose_journal_failed_are_told_and_may_rejoin) {
  world w;
  faulty faults;
  faulty_storage storage;
  world_init(&w);
  die(&w);
  faulty_init(&faults, test_alloc());
  faulty_storage_init(&storage, &w.storage.table, &faults, STORAGE_FAIL, LK_ERR_SYNC, 1);
  begin(&w, &storage.table, 7);
  uint64_t a = connect(&w);
  for (uint64_t pause = 1000; pause <= 4000; pause *= 2) {
    join(&w, a);
    faults.seen = 0;
    faults.fail_at = 2; /* write, sync */
    tell(&w, a, INCREMENT(1));
    step(&w);
    CHECK_SENT(&w, a, "[\"1\",\"1\",\"crdt:a\",\"phx_error\",{\"reason\":\"storage\"}]");
    check_silent(&w);
    tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
    CHECK_SENT(&w, a,
               "[\"1\",\"1\",\"crdt:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{"
               "\"reason\":\"storage\",\"retry_after_ms\":5000,\"message\":\"LK_ERR_SYNC\"}}]");
    CHECK_COVERED(house_refuses_without_journal);
    CHECK(lk_hub_is_idle(w.hub));
    CHECK_U64(lk_hub_deadline(w.hub), w.now + pause);
    w.now += pause;
    step(&w);
  }
  CHECK_U64(lk_hub_get_stats(w.hub).house.journal_failures, 3);
  for (int i = 0; i < 2; i++) {
    lk_hub_output out;
    if (i == 0) join(&w, a);
    tell(&w, a, INCREMENT(1));
    step(&w);
    CHECK(lk_hub_poll(w.hub, &out));
    CHECK(lk_slice_find(out.text, LK_LIT("\"status\":\"ok\"")) != LK_SLICE_NONE);
    drain(&w);
  }
  faults.seen = 0;
  faults.fail_at = 2;
  tell(&w, a, INCREMENT(1));
  step(&w);
  drain(&w);
  CHECK_U64(lk_hub_deadline(w.hub), w.now + 1000); /* what is durable ends the doubling */
  world_deinit(&w);
}

/* Goal: whatever allocation fails in the hub, nothing leaks, nothing is used after it was freed, and
 * nothing acknowledged is lost. Method: the fault loop over a session of joins, counts and leaves. */
TEST(hub_survives_every_failed_allocation) {
  FAULT_LOOP(faults, test_alloc()) {
    world w = { .env = LK_ENV_INIT(faulty_alloc(&faults), NULL), .limits = lk_limits_default() };
    w.limits.room_tail_bytes = w.limits.log_segment_bytes = 1;
    uint64_t acknowledged = 0, a, b;
    lk_memory_storage_init(&w.storage, test_alloc(), 1 << 24);
    if (lk_hub_open(&w.env, &w.limits, &w.storage.table, 7, &w.hub) != LK_OK) {
      lk_memory_storage_deinit(&w.storage);
      continue;
    }
    bool has_a = lk_hub_connect(w.hub, &a) == LK_OK, has_b = lk_hub_connect(w.hub, &b) == LK_OK;
    for (int i = 0; i < 3; i++) {
      lk_hub_output out;
      static const lk_slice script[] = {
        LK_LIT_INIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"),
        LK_LIT_INIT("[\"1\",\"2\",\"crdt:a\",\"crdt.increment\",{\"payload\":{\"amount\":1}}]"),
        LK_LIT_INIT("[\"1\",\"9\",\"crdt:a\",\"crdt.get\",{}]"),
      };
      for (size_t k = 0; k < 3; k++) {
        if (has_a && lk_hub_receive(w.hub, a, script[k], 0) != LK_OK) {
          lk_hub_disconnect(w.hub, a, 0);
          has_a = false;
        }
        if (has_b) (void)!lk_hub_receive(w.hub, b, script[k], 0);
        step(&w);
      }
      w.now += 2000;
      while (lk_hub_poll(w.hub, &out)) {
        if (lk_slice_find(out.text, LK_LIT("\"2\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\"")) !=
            LK_SLICE_NONE)
          acknowledged++;
      }
    }
    CHECK(faults.hit || acknowledged == 6);
    if (has_b) lk_hub_disconnect(w.hub, b, 0);
    step(&w);
    die(&w);
    w.env.alloc = test_alloc();
    begin(&w, &w.storage.table, 8);
    a = connect(&w);
    tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
    step(&w);
    CHECK(next_value(&w) >= acknowledged);
    world_deinit(&w);
  }
}

/* Goal: a house that cannot get the memory to read its journal tries again, and then has all of it. */
TEST(a_journal_with_records_is_opened_in_the_end_whatever_allocation_fails) {
  FAULT_LOOP(faults, test_alloc()) {
    uint64_t fail_at = faults.fail_at;
    world w;
    world_init(&w);
    uint64_t a = connect(&w);
    join(&w, a);
    for (int i = 0; i < 3; i++) {
      w.limits.room_tail_bytes = i < 2 ? 1 : UINT32_MAX; /* a snapshot, and a record behind it */
      tell(&w, a, INCREMENT(1));
      step(&w);
    }
    tell(&w, a, JOIN("b"));
    tell(&w, a, MERGE_INTO("b", 8));
    step(&w);
    die(&w);
    w.env.alloc = faulty_alloc(&faults);
    faults.fail_at = 0;
    begin(&w, &w.storage.table, 8);
    a = connect(&w);
    CHECK_OK(lk_hub_replace_house(w.hub, &w.storage.table, 9));
    faults.seen = 0;
    faults.fail_at = fail_at;
    for (int i = 0; i < 3; i++, w.now += 40000) step(&w);
    faults.fail_at = 0;
    for (int i = 0; i < 3; i++, w.now += 40000) step(&w);
    drain(&w);
    tell(&w, a, JOIN("a"));
    step(&w);
    CHECK_U64(next_value(&w), 3);
    tell(&w, a, JOIN("b"));
    step(&w);
    CHECK_U64(next_value(&w), 8);
    world_deinit(&w);
    faults.fail_at = fail_at;
  }
}

/* Goal: a journal with something that this version does not know is left alone, and said to be that. */
TEST(a_journal_with_a_record_of_a_later_version_is_refused_by_name) {
  static const uint8_t salt[LK_SEGMENT_SALT_LEN] = { 1 };
  world w = { .env = LK_ENV_INIT(test_alloc(), NULL), .limits = lk_limits_default() };
  lk_journal journal;
  lk_journal_event event;
  lk_journal_options options = { .alloc = test_alloc(),
                                 .limits = &w.limits,
                                 .storage = &w.storage.table,
                                 .name = LK_LIT("journal-0") };
  const lk_slice body = LK_LIT("?");
  uint64_t index;
  memcpy(options.salt, salt, sizeof salt);
  lk_memory_storage_init(&w.storage, test_alloc(), 1 << 24);
  lk_journal_init(&journal, &options);
  lk_journal_open(&journal);
  for (int step_of = 0; step_of < 3; step_of++) {
    while (w.storage.table.poll(&w.storage.table) != NULL) {
      lk_journal_advance(&journal);
      while (lk_journal_poll(&journal, &event)) continue;
    }
    if (step_of == 0) CHECK_OK(lk_journal_append(&journal, 3, &body, 1, &index));
    if (step_of == 1) lk_journal_close(&journal);
    lk_journal_flush(&journal);
    while (lk_journal_poll(&journal, &event)) continue;
  }
  lk_journal_deinit(&journal);
  begin(&w, &w.storage.table, 8);
  uint64_t a = connect(&w);
  tell(&w, a, JOIN("a"));
  CHECK_SENT(&w, a,
             "[\"1\",\"1\",\"crdt:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":"
             "\"storage\",\"retry_after_ms\":5000,\"message\":\"LK_ERR_VERSION\"}}]");
  CHECK(lk_hub_is_idle(w.hub));
  world_deinit(&w);
}
