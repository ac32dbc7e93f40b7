/* The house by itself: how it ends in order. */
#include "room/house.h"

#include "base/budget.h"

#include "unit/room/house_world.h"

#include <stdio.h>

typedef struct world {
  lk_env env;
  lk_limits limits;
  lk_memory_storage storage;
  lk_house *house;
  uint64_t now;
} world;

static void begin(world *w, uint32_t index) {
  CHECK_OK(lk_house_open(&(lk_house_options){ .env = &w->env,
                                              .limits = &w->limits,
                                              .storage = &w->storage.table,
                                              .entropy = 1,
                                              .generation = 9,
                                              .edges_count = 1,
                                              .index = index },
                         &w->house));
}

static void init(world *w) {
  *w = (world){ .env = LK_ENV_INIT(test_alloc(), NULL), .limits = lk_limits_default() };
  lk_memory_storage_init(&w->storage, test_alloc(), 1 << 24);
  begin(w, 0);
}

static void deinit(world *w) {
  lk_house_close(w->house);
  lk_memory_storage_deinit(&w->storage);
}

static void say(world *w, const lk_bus_message *m) { edge_says(w->house, m, w->now); }

#define MEMBER (UINT64_C(1) << 32)

static void join(world *w) {
  say(w, &(lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 5, .answers = 9 });
  say(w, &(lk_bus_message){
             .kind = LK_BUS_JOIN, .request = 1, .member = MEMBER, .topic = LK_LIT("crdt:a") });
}

static void increment(world *w, bool again) {
  say(w, &(lk_bus_message){ .kind = LK_BUS_MESSAGE,
                            .request = 2,
                            .again = again,
                            .member = MEMBER,
                            .event = LK_LIT("crdt.increment"),
                            .payload = LK_LIT("{\"payload\":{\"amount\":1}}") });
}

static bool has_said(world *w, lk_slice text) { return house_has_said(w->house, text); }

/* Flips the last bit of |name|. */
static void damage(world *w, lk_slice name) {
  uint8_t byte = 0;
  lk_io io = { .kind = LK_IO_OPEN, .name = name };
  const lk_io_kind kinds[] = { LK_IO_OPEN, LK_IO_SIZE, LK_IO_READ, LK_IO_WRITE, LK_IO_CLOSE };
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    io.kind = kinds[i];
    if (io.kind == LK_IO_READ) {
      io.off--;
      io.into = &byte;
      io.into_len = 1;
    }
    if (io.kind == LK_IO_WRITE) {
      byte ^= 1;
      io.from = lk_slice_of(&byte, 1);
    }
    w->storage.table.submit(&w->storage.table, &io);
    CHECK(w->storage.table.poll(&w->storage.table) == &io);
    CHECK_OK(io.result);
  }
}

/* Goal: a house that ended in order has answered what it took, and knows damage from a crash. */
TEST(a_house_that_ends_makes_durable_what_it_took_and_seals_its_journal) {
  world w;
  init(&w);
  join(&w);
  lk_house_step(w.house, w.now);
  w.storage.hold = true;
  increment(&w, false);
  lk_house_end(w.house);
  lk_house_step(w.house, w.now);
  CHECK(!lk_house_is_idle(w.house) && !has_said(&w, LK_LIT("\"counts\":{},\"level\":\"durable\"")));
  w.storage.hold = false;
  lk_house_step(w.house, w.now);
  CHECK(lk_house_is_idle(w.house) && has_said(&w, LK_LIT("\"counts\":{},\"level\":\"durable\"")));
  CHECK(lk_house_deadline(w.house) > w.now + 1000); /* the journal is not opened again */
  say(&w, &(lk_bus_message){
              .kind = LK_BUS_JOIN, .request = 3, .member = MEMBER + 1, .topic = LK_LIT("crdt:b") });
  CHECK(has_said(&w, LK_LIT("LK_ERR_CANCELED")));
  lk_house_close(w.house);
  damage(&w, LK_LIT("journal-0-0000000001"));
  begin(&w, 0);
  join(&w);
  lk_house_step(w.house, w.now);
  CHECK(has_said(&w, LK_LIT("LK_ERR_CORRUPT")));
  CHECK_ERR(lk_house_get_stats(w.house).journal_err, LK_ERR_CORRUPT);
  deinit(&w);
}

TEST(a_house_may_be_told_to_end_at_any_time) {
  for (uint32_t operations = 0; operations < 20; operations++) {
    world w;
    init(&w);
    w.storage.hold = true;
    join(&w);
    increment(&w, false);
    for (uint32_t i = 0; i < operations; i++) {
      lk_memory_storage_release(&w.storage, 1);
      lk_house_step(w.house, w.now);
    }
    lk_house_end(w.house);
    lk_house_end(w.house);
    w.storage.hold = false;
    lk_house_step(w.house, w.now);
    CHECK(lk_house_is_idle(w.house));
    deinit(&w);
  }
}

TEST(houses_that_share_a_storage_have_journals_of_their_own) {
  world w;
  init(&w);
  join(&w);
  increment(&w, false);
  lk_house_step(w.house, w.now);
  lk_house_close(w.house);
  begin(&w, 4294967295u);
  lk_house_step(w.house, w.now);
  CHECK(lk_map_get(&w.storage.names, LK_LIT("journal-0-0000000001")) != NULL);
  CHECK(lk_map_get(&w.storage.names, LK_LIT("journal-4294967295-0000000001")) != NULL);
  deinit(&w);
}

/* Goal: an answer that was given and got lost with the process is given again, also where only a snapshot knows that the
 * request was applied. Method: the journal's segment with its record goes. */
TEST(a_request_that_only_a_snapshot_knows_is_not_applied_again) {
  world w;
  init(&w);
  w.limits.room_tail_bytes = w.limits.log_segment_bytes = 1;
  join(&w);
  lk_house_step(w.house, w.now);
  increment(&w, false);
  lk_house_step(w.house, w.now);
  CHECK(has_said(&w, LK_LIT("\"counts\":{},\"level\":\"durable\"")));
  CHECK_U64(lk_house_get_stats(w.house).snapshots, 1);
  say(&w, &(lk_bus_message){
              .kind = LK_BUS_JOIN, .request = 3, .member = MEMBER + 1, .topic = LK_LIT("crdt:b") });
  say(&w, &(lk_bus_message){ .kind = LK_BUS_MESSAGE,
                             .request = 4,
                             .member = MEMBER + 1,
                             .event = LK_LIT("crdt.merge"),
                             .payload = LK_LIT("{\"counts\":{\"x\":1}}") });
  lk_house_step(w.house, w.now);
  CHECK(lk_map_get(&w.storage.names, LK_LIT("journal-0-0000000001")) == NULL);
  lk_house_close(w.house);
  begin(&w, 0);
  join(&w);
  increment(&w, true);
  lk_house_step(w.house, w.now);
  CHECK_U64(lk_house_get_stats(w.house).repeated, 1);
  CHECK(has_said(&w, LK_LIT("\"value\":1,\"counts\":{},\"level\"")));
  deinit(&w);
}

/* ---- joins that a room answers later ---- */

static void join_doc(world *w, uint64_t member, uint64_t request) {
  say(w, &(lk_bus_message){ .kind = LK_BUS_JOIN,
                            .request = request,
                            .member = member,
                            .topic = LK_LIT("doc:a"),
                            .rights = LK_RIGHTS_WRITE,
                            .payload = LK_LIT("{\"presence\":{\"name\":\"late\"}}") });
}

static void write_doc(world *w, uint64_t request) {
  say(w, &(lk_bus_message){ .kind = LK_BUS_MESSAGE,
                            .request = request,
                            .member = MEMBER,
                            .event = LK_LIT("client_update"),
                            .rights = LK_RIGHTS_WRITE,
                            .payload = LK_LIT("{\"bin\":[1,1,5,0,4,1,1,116,1,120,0]}") });
}

/* An update of 700,000 characters by a client of its own. */
static void write_much(world *w, uint64_t request, bool again) {
  static uint8_t bytes[700015] = { 1, 1, 0, 0, 4, 1, 1, 't', 0xe0, 0xdc, 0x2a };
  memset(bytes + 11, 'x', 700000);
  bytes[2] = (uint8_t)request;
  const lk_bus_message m = { .kind = LK_BUS_MESSAGE,
                             .request = request,
                             .again = again,
                             .member = MEMBER,
                             .event = LK_LIT("client_update"),
                             .rights = LK_RIGHTS_WRITE,
                             .payload = lk_slice_of(bytes, 700012),
                             .binary = true };
  say(w, &m);
}

/* Of how many clients there is something, by the answer to a join. */
static uint32_t count_clients(const world *w) {
  lk_slice out = lk_house_output(w->house, 0), key = LK_LIT("\"state_vector\":[");
  size_t at = lk_slice_find(out, key);
  CHECK(at != LK_SLICE_NONE);
  return out.ptr[at + key.len] - '0';
}

/* Goal: a request counts as applied when the record is durable that has its change, not the one before.
 * Method: changes of which each has a record of its own, and a process that dies after each number of operations of its
 * storage. Afterwards as many requests are known as there are changes in the state. */
TEST(a_request_whose_change_is_in_a_later_record_is_not_applied_yet) {
  for (uint32_t operations = 0, found = 0; found < 4; operations++) {
    world w;
    CHECK(operations < 100);
    test_note("after %u operations", (unsigned)operations);
    init(&w);
    say(&w, &(lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 5, .answers = 9 });
    join_doc(&w, MEMBER, 1);
    lk_house_step(w.house, w.now);
    w.storage.hold = true;
    for (uint64_t request = 2; request <= 5; request++) write_much(&w, request, false);
    for (uint32_t i = 0; i < operations; i++) {
      lk_memory_storage_release(&w.storage, 1);
      lk_house_step(w.house, w.now);
    }
    lk_house_close(w.house);
    w.storage.submitted = w.storage.done = (lk_list){ 0 };
    w.storage.hold = false;
    begin(&w, 0);
    say(&w, &(lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 5, .answers = 9 });
    join_doc(&w, MEMBER, 1);
    lk_house_step(w.house, w.now);
    found = count_clients(&w);
    lk_house_consume(w.house, 0, lk_house_output(w.house, 0).len);
    for (uint64_t request = 2; request <= 5; request++) write_much(&w, request, true);
    lk_house_step(w.house, w.now);
    CHECK_U64(lk_house_get_stats(w.house).repeated, found);
    deinit(&w);
  }
}

/* A member is in, its first change is under way, and another one asks to come in. */
static void begin_late_join(world *w) {
  init(w);
  say(w, &(lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 5, .answers = 9 });
  join_doc(w, MEMBER, 1);
  lk_house_step(w->house, w->now);
  lk_house_consume(w->house, 0, lk_house_output(w->house, 0).len);
  w->storage.hold = true;
  write_doc(w, 2);
  lk_house_step(w->house, w->now);
  join_doc(w, MEMBER + 1, 3);
  say(w, &(lk_bus_message){ .kind = LK_BUS_MESSAGE,
                            .request = 4,
                            .member = MEMBER + 1,
                            .event = LK_LIT("read"),
                            .rights = LK_RIGHTS_WRITE,
                            .payload = LK_LIT("{\"as\":\"text\",\"root\":\"t\"}") });
  lk_house_step(w->house, w->now);
  CHECK_TEXT(lk_house_output(w->house, 0), "");
}

TEST(a_join_may_be_answered_late_and_what_came_behind_it_is_too) {
  world w;
  begin_late_join(&w);
  w.storage.hold = false;
  lk_house_step(w.house, w.now);
  CHECK(has_said(&w, LK_LIT("\"history\":[[1,1,5,0,4,1,1,116,1,120,0]]")));
  CHECK_U64(lk_house_get_stats(w.house).members, 2);
  deinit(&w);
}

TEST(who_leaves_before_its_join_is_answered_was_never_in) {
  world w;
  begin_late_join(&w);
  say(&w, &(lk_bus_message){ .kind = LK_BUS_LEAVE, .member = MEMBER + 1 });
  w.storage.hold = false;
  lk_house_step(w.house, w.now);
  CHECK(!has_said(&w, LK_LIT("\"history\"")));
  CHECK(has_said(&w, LK_LIT("\"level\":\"durable\"")));
  CHECK_U64(lk_house_get_stats(w.house).members, 1);
  deinit(&w);
}

TEST(a_join_whose_room_ends_before_its_answer_is_refused) {
  world w;
  begin_late_join(&w);
  say(&w, &(lk_bus_message){ .kind = LK_BUS_QUERY,
                             .request = 5,
                             .topic = LK_LIT("doc:a"),
                             .event = LK_LIT("delete"),
                             .rights = LK_RIGHTS_ADMIN });
  lk_house_step(w.house, w.now);
  CHECK(has_said(&w, LK_LIT("{\"reason\":\"room crashed\",\"retry_after_ms\":1000}")));
  w.storage.hold = false;
  lk_house_step(w.house, w.now);
  CHECK(!has_said(&w, LK_LIT("\"history\"")));
  CHECK_U64(lk_house_get_stats(w.house).members, 0);
  deinit(&w);
}

/* Goal: the room answers a join twice, and its member comes in once. Method: the edge begins again while the first answer waits. */
TEST(a_join_that_is_asked_again_before_it_is_answered_is_one) {
  world w;
  begin_late_join(&w);
  say(&w, &(lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 6, .answers = 9 });
  join_doc(&w, MEMBER, 1);
  join_doc(&w, MEMBER + 1, 3);
  w.storage.hold = false;
  lk_house_step(w.house, w.now);
  CHECK(has_said(&w, LK_LIT("\"history\"")));
  CHECK_U64(lk_house_get_stats(w.house).members, 2);
  say(&w, &(lk_bus_message){ .kind = LK_BUS_LEAVE, .member = MEMBER });
  say(&w, &(lk_bus_message){ .kind = LK_BUS_LEAVE, .member = MEMBER + 1 });
  CHECK_U64(lk_house_get_stats(w.house).members, 0);
  deinit(&w);
}

static void join_other(world *w, uint64_t member, uint64_t request) {
  say(w, &(lk_bus_message){ .kind = LK_BUS_JOIN,
                            .request = request,
                            .member = member,
                            .topic = LK_LIT("doc:b"),
                            .rights = LK_RIGHTS_WRITE,
                            .payload = LK_LIT("{}") });
}

/* Goal: what was held for a member of an edge that died is not told to one of the next edge that has its number. */
TEST(what_is_held_for_a_member_of_before_reaches_nobody) {
  world w;
  init(&w);
  say(&w, &(lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 5, .answers = 9 });
  join_doc(&w, MEMBER, 1);
  join_other(&w, MEMBER + 7, 2); /* the room is there */
  lk_house_step(w.house, w.now);
  w.storage.hold = true;
  write_doc(&w, 3);
  lk_house_step(w.house, w.now);
  say(&w, &(lk_bus_message){ .kind = LK_BUS_JOIN,
                             .request = 4,
                             .member = MEMBER + 1,
                             .topic = LK_LIT("doc:a"),
                             .rights = LK_RIGHTS_WRITE,
                             .payload = LK_LIT("{\"encoding\":\"binary\"}") });
  say(&w, &(lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 6, .answers = 9 });
  lk_house_consume(w.house, 0, lk_house_output(w.house, 0).len);
  join_other(&w, MEMBER + 1, 4);
  CHECK(has_said(&w, LK_LIT("\"history\":[],")));
  w.storage.hold = false;
  lk_house_step(w.house, w.now);
  CHECK(!has_said(&w, LK_LIT("\4\1\1t\1x"))); /* doc:a's first update */
  CHECK_U64(lk_house_get_stats(w.house).members, 1);
  deinit(&w);
}

/* A topic that was deleted and begun again, both in records that are still there. */
TEST(a_topic_that_began_again_behind_its_tombstone_is_there_after_a_restart) {
  world w;
  init(&w);
  say(&w, &(lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 5, .answers = 9 });
  const lk_slice amount = LK_LIT(
      "{\"event\":\"crdt.increment\",\"payload\":{\"payload\":{\"amount\":2}}}");
  for (uint64_t request = 1; request <= 3; request++) {
    say(&w, &(lk_bus_message){ .kind = LK_BUS_QUERY,
                               .request = request,
                               .topic = LK_LIT("crdt:z"),
                               .event = request == 2 ? LK_LIT("delete") : LK_LIT("ask"),
                               .payload = request == 2 ? LK_LIT("{}") : amount,
                               .rights = LK_RIGHTS_ADMIN });
    lk_house_step(w.house, w.now);
  }
  lk_house_close(w.house);
  begin(&w, 0);
  say(&w, &(lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 6, .answers = 9 });
  say(&w, &(lk_bus_message){ .kind = LK_BUS_QUERY,
                             .request = 1,
                             .topic = LK_LIT("crdt:z"),
                             .event = LK_LIT("ask"),
                             .payload = amount,
                             .rights = LK_RIGHTS_ADMIN });
  lk_house_step(w.house, w.now);
  CHECK(has_said(&w, LK_LIT("\"value\":4")));
  deinit(&w);
}

/* Goal: the room forgets whom the house refused, or refusals would fill it. */
TEST(who_is_refused_by_the_house_leaves_nothing_in_the_room) {
  lk_budget budget;
  lk_budget_init(&budget, test_alloc(), SIZE_MAX / 2);
  world w = { .env = LK_ENV_INIT(&budget.alloc, NULL), .limits = lk_limits_default() };
  lk_memory_storage_init(&w.storage, test_alloc(), 1 << 24);
  begin(&w, 0);
  say(&w, &(lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 5, .answers = 9 });
  join_doc(&w, MEMBER, 1);
  size_t before = 0;
  for (uint64_t i = 0; i < 2000; i++) {
    say(&w, &(lk_bus_message){ .kind = LK_BUS_JOIN,
                               .request = 2 + i,
                               .member = MEMBER + 1 + i,
                               .topic = LK_LIT("doc:a"),
                               .rights = LK_RIGHTS_READ,
                               .settled = 2 + i,
                               .payload = LK_LIT("{\"dialect\":\"y\",\"presence\":{\"key\":5}}") });
    lk_house_step(w.house, w.now);
    lk_house_consume(w.house, 0, lk_house_output(w.house, 0).len);
    if (i == 999) before = budget.used;
  }
  test_note("%zu bytes after 1,000, %zu after 2,000", before, budget.used);
  CHECK(budget.used <= before + 20000);
  deinit(&w);
  CHECK_U64(budget.used, 0);
}

/* Goal: more than an edge takes at once comes to it bit by bit. Before, the edge was given up, asked for all of it again, and so on. */
TEST(what_waits_for_a_room_is_answered_as_fast_as_its_edge_reads) {
  enum { MEMBERS = 10, VALUE = 2000 };
  static char write[VALUE + 100];
  house_world w;
  lk_bus_reader heard;
  lk_bus_message m;
  uint64_t accepted = 0;
  house_world_init(&w, &(lk_room_policy){ 0 });
  w.limits.bus_output_bytes = 12000;
  w.limits.bus_frame_bytes = 6000;
  house_world_open(&w);
  lk_house_step(w.house, w.now);
  house_world_hello(&w);
  (void)snprintf(write, sizeof write, "{\"payload\":{\"value\":\"%0*d\"}}", VALUE, 7);
  house_world_say(&w, &(lk_bus_message){ .kind = LK_BUS_JOIN,
                                         .request = 1,
                                         .member = 1,
                                         .topic = LK_LIT("crdt:a"),
                                         .payload = LK_LIT("{\"type\":\"lww\"}"),
                                         .rights = LK_RIGHTS_WRITE });
  house_world_say(&w, &(lk_bus_message){ .kind = LK_BUS_MESSAGE,
                                         .request = 2,
                                         .member = 1,
                                         .event = LK_LIT("crdt.set"),
                                         .payload = lk_slice_cstr(write),
                                         .rights = LK_RIGHTS_WRITE });
  for (int i = 0; i < 5; i++) lk_house_step(w.house, w.now);
  CHECK(house_has_said(w.house, LK_LIT("durable")));
  lk_house_close(w.house);

  /* It is loaded while they wait for it. */
  house_world_open(&w);
  lk_house_step(w.house, w.now);
  house_world_hello(&w);
  forget_said(w.house);
  for (uint64_t i = 1; i <= MEMBERS; i++)
    house_world_say(&w, &(lk_bus_message){ .kind = LK_BUS_JOIN,
                                           .request = i,
                                           .member = i,
                                           .topic = LK_LIT("crdt:a"),
                                           .payload = LK_LIT("{\"type\":\"lww\"}"),
                                           .rights = LK_RIGHTS_WRITE });
  for (int i = 0; i < 5; i++) lk_house_step(w.house, w.now);
  CHECK_COVERED(house_input_waits_for_its_edge);
  CHECK(lk_house_must_wait(w.house, 0));
  lk_bus_reader_init(&heard, test_alloc(), 6000);
  lk_bus_reader_boundary(&heard);
  for (lk_slice out; (out = lk_house_output(w.house, 0)).len > 0;) {
    lk_slice piece = lk_slice_first(out, 500);
    lk_err err;
    while ((err = lk_bus_read(&heard, &piece, &m)) == LK_OK) {
      CHECK(m.kind != LK_BUS_HELLO); /* it would be the edge's end */
      accepted += m.kind == LK_BUS_ACCEPT;
    }
    CHECK_ERR(err, LK_ERR_MORE);
    lk_house_consume(w.house, 0, lk_min_size(500, out.len));
  }
  lk_bus_reader_deinit(&heard);
  CHECK_U64(accepted, MEMBERS);
  CHECK(!lk_house_must_wait(w.house, 0));
  house_world_deinit(&w);
}
