/* The hub with its counter room, over the memory storage: what clients see, line by line. */
#include "room/hub.h"

#include "crdt/gcounter.h"
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

static void world_init(world *w) {
  *w = (world){ .env = LK_ENV_INIT(test_alloc(), NULL), .limits = lk_limits_default() };
  lk_memory_storage_init(&w->storage, test_alloc(), 1 << 20);
  CHECK_OK(lk_hub_open(&w->env, &w->limits, &w->storage.table, 7, &w->hub));
}

static void world_deinit(world *w) {
  lk_hub_close(w->hub);
  lk_memory_storage_deinit(&w->storage);
}

static void step(world *w) { lk_hub_step(w->hub, w->now); }

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
  lk_keeper k;
  uint8_t byte = 0;
  lk_keeper_init(&k, test_alloc(), &w->storage.table, LK_LIT("crdt:a"), 1000, NULL);
  lk_io open = { .kind = LK_IO_OPEN, .name = lk_slice_of(k.names[slot], LK_KEEPER_NAME_LEN) };
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
  lk_keeper_deinit(&k);
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
  CHECK(lk_slice_ends_with(out.text, LK_LIT("\",\"value\":0,\"counts\":{}}}]")));
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
  for (int i = 0; i < 3; i++) { /* open, write, sync */
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
  lk_hub_close(w.hub);
  CHECK_OK(lk_hub_open(&w.env, &w.limits, &w.storage.table, 8, &w.hub));
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

/* Goal: where the newest slot is damaged the room may have forgotten counts that replicas have seen; it
 * must not count on under the same actor. */
TEST(a_room_that_came_back_damaged_counts_under_a_new_actor) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  join(&w, a);
  for (int i = 0; i < 2; i++) {
    tell(&w, a, INCREMENT(1));
    step(&w);
  }
  lk_hub_close(w.hub);
  damage_slot(&w, 0); /* the second state is number 2 */
  CHECK_OK(lk_hub_open(&w.env, &w.limits, &w.storage.table, 8, &w.hub));
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
  lk_hub_close(w.hub);
  CHECK_OK(lk_hub_open(&w.env, &w.limits, &w.storage.table, 7, &w.hub));
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
  CHECK_COVERED(counter_room_is_full);
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
  lk_hub_close(w.hub);
  faulty_init(&faults, test_alloc());
  faulty_storage_init(&storage, &w.storage.table, &faults, STORAGE_FAIL, LK_ERR_IO, 1);
  faults.fail_at = 1;
  CHECK_OK(lk_hub_open(&w.env, &w.limits, &storage.table, 7, &w.hub));
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
                            "\"response\":{\"reason\":\"%s full\"}}]";
  char text[300];
  lk_hub_output out;
  world w;
  world_init(&w);
  lk_hub_close(w.hub);
  w.limits.room_members_count = w.limits.rooms_count = 1;
  w.limits.ws_output_bytes = 512;
  CHECK_OK(lk_hub_open(&w.env, &w.limits, &w.storage.table, 7, &w.hub));
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
               "\"counts\":{}}}]");
    if (i == 0) {
      CHECK_SENT(
          &w, a,
          "[null,null,\"crdt:a\",\"state_updated\",{\"value\":7,\"counts\":{\"x\":3,\"y\":4}}]");
      CHECK_SENT(
          &w, b,
          "[null,null,\"crdt:a\",\"state_updated\",{\"value\":7,\"counts\":{\"x\":3,\"y\":4}}]");
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
  CHECK_COVERED(counter_room_known_but_not_durable);
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
  lk_hub_close(w->hub);
  *storage = (deaf_storage){ { sizeof storage->table, deaf_submit, deaf_poll },
                             &w->storage.table,
                             UINT32_MAX };
  CHECK_OK(lk_hub_open(&w->env, &w->limits, &storage->table, 7, &w->hub));
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
  for (uint32_t operations = 0; operations < 8; operations++) {
    world w;
    deaf_storage storage;
    lk_hub_output out;
    world_init_deaf(&w, &storage);
    uint64_t a = connect(&w), b = connect(&w);
    join(&w, a);
    join(&w, b);
    tell(&w, a, INCREMENT(5));
    storage.hears = operations;
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
  enum { CLIENTS = 3 };
  world w;
  deaf_storage storage;
  lk_hub_output out;
  uint64_t clients[CLIENTS], told = 0, answered = 0;
  world_init_deaf(&w, &storage);
  for (int i = 0; i < CLIENTS; i++) clients[i] = connect(&w);
  for (int i = 0; i < CLIENTS; i++)
    tell(&w, clients[i], LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  uint32_t rounds = 1 + gen_below(g, 40);
  for (uint32_t i = 0; i < rounds; i++) {
    switch (gen_below(g, 4)) {
    case 0:
      storage.hears = gen_below(g, 8);
      step(&w);
      break;
    case 1: replace_house(&w, &storage, 100 + i); break;
    default: tell(&w, clients[gen_below(g, CLIENTS)], INCREMENT(1)); told++;
    }
  }
  storage.hears = UINT32_MAX;
  step(&w);
  while (lk_hub_poll(w.hub, &out)) {
    CHECK(out.kind == LK_HUB_SEND);
    if (lk_slice_starts_with(out.text,
                             LK_LIT("[\"1\",\"2\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\"")))
      answered++;
  }
  CHECK_U64(answered, told);
  tell(&w, clients[0], GET);
  CHECK_U64(next_value(&w), told);
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
  uint64_t due = lk_hub_deadline(w.hub);
  CHECK(due != LK_HUB_NEVER);
  w.now = due;
  step(&w);
  step(&w);
  CHECK_COVERED(hub_idle_room_put_away);
  for (uint32_t i = 0; i < w.storage.open_cap; i++) CHECK(w.storage.open[i] == NULL);
  CHECK_U64(lk_hub_get_stats(w.hub).house.rooms, 0);
  CHECK(lk_hub_is_idle(w.hub));
  a = connect(&w);
  tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  step(&w);
  CHECK_U64(next_value(&w), 3);
  world_deinit(&w);
}

/* Goal: who comes back before the room is put away keeps it. */
TEST(a_room_with_members_again_is_not_put_away) {
  world w;
  world_init(&w);
  uint64_t a = connect(&w);
  join(&w, a);
  lk_hub_disconnect(w.hub, a, w.now);
  uint64_t due = lk_hub_deadline(w.hub);
  w.now = due - 1;
  a = connect(&w);
  join(&w, a);
  CHECK_U64(lk_hub_deadline(w.hub), LK_HUB_NEVER);
  w.now = due + 1;
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
  uint64_t due = lk_hub_deadline(w.hub);
  w.now = due;
  step(&w);
  CHECK_U64(lk_hub_get_stats(w.hub).house.rooms, 1);
  CHECK(lk_hub_deadline(w.hub) > due && lk_hub_deadline(w.hub) != LK_HUB_NEVER);
  w.storage.hold = false;
  step(&w);
  CHECK_U64(lk_hub_get_stats(w.hub).house.journals, 1);
  w.now = lk_hub_deadline(w.hub);
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

/* Goal: a journal counts as one only when its sync was. Method: the room runs out of memory, and is
 * dropped, while its first journal is still being opened. */
TEST(a_journal_whose_room_was_dropped_meanwhile_is_none) {
  FAULT_LOOP(faults, test_alloc()) {
    world w = { .env = LK_ENV_INIT(faulty_alloc(&faults), NULL), .limits = lk_limits_default() };
    uint64_t fail_at = faults.fail_at;
    faults.fail_at = 0;
    lk_memory_storage_init(&w.storage, test_alloc(), 1 << 20);
    CHECK_OK(lk_hub_open(&w.env, &w.limits, &w.storage.table, 7, &w.hub));
    uint64_t a = connect(&w);
    join(&w, a);
    w.storage.hold = true;
    tell(&w, a, INCREMENT(1));
    faults.seen = 0;
    faults.fail_at = fail_at;
    (void)!lk_hub_receive(w.hub, a, INCREMENT(2), w.now);
    faults.fail_at = 0;
    bool dropped = lk_hub_get_stats(w.hub).house.rooms_dropped > 0;
    w.storage.hold = false;
    step(&w);
    step(&w);
    uint64_t journals = lk_hub_get_stats(w.hub).house.journals;
    if (dropped) CHECK_U64(journals, 0);
    else CHECK(journals >= 1 && (faults.hit || journals == 2));
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
  lk_hub_close(w.hub);
  w.limits.crdt_state_bytes = 40; /* the first state fits, the second does not */
  CHECK_OK(lk_hub_open(&w.env, &w.limits, &w.storage.table, 8, &w.hub));
  a = connect(&w);
  tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  step(&w);
  CHECK_SENT(&w, a,
             "[\"1\",\"1\",\"crdt:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":"
             "\"storage\",\"message\":\"LK_ERR_TOO_BIG\"}}]");
  lk_hub_close(w.hub);
  w.limits = lk_limits_default();
  w.limits.crdt_actors_count = 2; /* now the room itself does not understand it */
  CHECK_OK(lk_hub_open(&w.env, &w.limits, &w.storage.table, 8, &w.hub));
  a = connect(&w);
  tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  step(&w);
  CHECK_SENT(&w, a,
             "[\"1\",\"1\",\"crdt:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":"
             "\"storage\",\"message\":\"LK_ERR_LIMIT\"}}]");
  lk_hub_close(w.hub);
  w.limits = lk_limits_default();
  CHECK_OK(lk_hub_open(&w.env, &w.limits, &w.storage.table, 9, &w.hub));
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
    lk_hub_close(w.hub);
    faulty_storage_init(&storage, &w.storage.table, &faults, fault, error, 3);
    CHECK_OK(lk_hub_open(&w.env, &w.limits, &storage.table, 7, &w.hub));
    uint64_t a = connect(&w);
    for (int i = 0; i < 4; i++) {
      lk_hub_output out;
      tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
      step(&w);
      drain(&w);
      tell(&w, a, INCREMENT(1));
      step(&w);
      while (lk_hub_poll(w.hub, &out)) {
        if (lk_slice_starts_with(
                out.text, LK_LIT("[\"1\",\"2\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\"")))
          acknowledged++;
      }
    }
    CHECK(faults.hit || acknowledged == 4);
    step(&w);
    CHECK(lk_hub_is_idle(w.hub));
    lk_hub_close(w.hub);
    CHECK_OK(lk_hub_open(&w.env, &w.limits, &w.storage.table, 8, &w.hub));
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

TEST(members_of_a_room_whose_journal_failed_are_told_and_may_rejoin) {
  world w;
  faulty faults;
  faulty_storage storage;
  world_init(&w);
  lk_hub_close(w.hub);
  faulty_init(&faults, test_alloc());
  faulty_storage_init(&storage, &w.storage.table, &faults, STORAGE_FAIL, LK_ERR_SYNC, 1);
  CHECK_OK(lk_hub_open(&w.env, &w.limits, &storage.table, 7, &w.hub));
  uint64_t a = connect(&w);
  join(&w, a);
  faults.seen = 0;
  faults.fail_at = 3; /* open, write, sync */
  tell(&w, a, INCREMENT(1));
  step(&w);
  CHECK_SENT(&w, a, "[\"1\",\"1\",\"crdt:a\",\"phx_error\",{\"reason\":\"storage\"}]");
  check_silent(&w);
  CHECK_U64(lk_hub_get_stats(w.hub).house.rooms_dropped, 1);
  join(&w, a);
  tell(&w, a, INCREMENT(1));
  step(&w);
  lk_hub_output out;
  CHECK(lk_hub_poll(w.hub, &out));
  CHECK(lk_slice_find(out.text, LK_LIT("\"status\":\"ok\"")) != LK_SLICE_NONE);
  world_deinit(&w);
}

/* Goal: whatever allocation fails in the hub, nothing leaks, nothing is used after it was freed, and
 * nothing acknowledged is lost. Method: the fault loop over a session of joins, counts and leaves. */
TEST(hub_survives_every_failed_allocation) {
  FAULT_LOOP(faults, test_alloc()) {
    world w = { .env = LK_ENV_INIT(faulty_alloc(&faults), NULL), .limits = lk_limits_default() };
    uint64_t acknowledged = 0, a, b;
    lk_memory_storage_init(&w.storage, test_alloc(), 1 << 20);
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
      while (lk_hub_poll(w.hub, &out)) {
        if (lk_slice_find(out.text, LK_LIT("\"2\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\"")) !=
            LK_SLICE_NONE)
          acknowledged++;
      }
    }
    CHECK(faults.hit || acknowledged == 6);
    if (has_b) lk_hub_disconnect(w.hub, b, 0);
    step(&w);
    lk_hub_close(w.hub);
    w.env.alloc = test_alloc();
    CHECK_OK(lk_hub_open(&w.env, &w.limits, &w.storage.table, 8, &w.hub));
    a = connect(&w);
    tell(&w, a, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
    step(&w);
    CHECK(next_value(&w) >= acknowledged);
    world_deinit(&w);
  }
}
