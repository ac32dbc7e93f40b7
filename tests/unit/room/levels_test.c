/* A house with two storages: topics of level durable and of level memory, what is erased, and requests from nobody. */
#include "room/house.h"

#include "harness/faulty.h"
#include "unit/room/house_world.h"

#include <stdio.h>

#define IDLE_MS 1000
#define MEMBER (UINT64_C(1) << 32)

static const lk_slice ephemeral[] = { LK_LIT_INIT("crdt:e*") };
static const lk_slice everything[] = { LK_LIT_INIT("*") };

typedef house_world world;

static void say(world *w, const lk_bus_message *m) { house_world_say(w, m); }

static void step(world *w) { lk_house_step(w->house, w->now); }

static void begin(world *w) {
  house_world_open(w);
  house_world_hello(w);
  step(w);
}

/* |reserve| and |ballast|: what is set aside of either storage. */
static void init_with(world *w, uint32_t reserve, uint32_t ballast) {
  house_world_init(
      w, &(lk_room_policy){ .ephemeral = ephemeral, .ephemeral_count = 1, .idle_ms = IDLE_MS });
  w->limits.log_reserve_bytes = reserve;
  w->limits.house_ballast_bytes = ballast;
  begin(w);
}

static void init(world *w) { init_with(w, 100000, 50000); }

static void let_storages_finish(world *w) {
  while (w->disk.table.poll(&w->disk.table) != NULL) continue;
  while (w->memory.table.poll(&w->memory.table) != NULL) continue;
}

/* As a process is killed: what the storages have under way is done, and nobody hears of it. */
static void die(world *w) {
  let_storages_finish(w);
  lk_house_close(w->house);
}

static void deinit(world *w) {
  let_storages_finish(w);
  house_world_deinit(w);
}

static void forget_output(world *w) { forget_said(w->house); }

static bool has_said(world *w, lk_slice text) { return house_has_said(w->house, text); }

static void join(world *w, uint64_t member, lk_slice topic) {
  say(w, &(lk_bus_message){ .kind = LK_BUS_JOIN,
                            .request = ++w->request,
                            .member = member,
                            .topic = topic,
                            .rights = LK_RIGHTS_ADMIN });
}

static void leave(world *w, uint64_t member) {
  say(w, &(lk_bus_message){ .kind = LK_BUS_LEAVE, .member = member });
}

static void increment(world *w, uint64_t member) {
  say(w, &(lk_bus_message){ .kind = LK_BUS_MESSAGE,
                            .request = ++w->request,
                            .member = member,
                            .event = LK_LIT("crdt.increment"),
                            .payload = LK_LIT("{\"payload\":{\"amount\":1}}"),
                            .rights = LK_RIGHTS_ADMIN });
}

static void query_as(world *w, lk_slice topic, lk_slice event, lk_slice payload, lk_rights rights) {
  forget_output(w);
  say(w, &(lk_bus_message){ .kind = LK_BUS_QUERY,
                            .request = ++w->request,
                            .topic = topic,
                            .event = event,
                            .payload = payload,
                            .rights = rights });
}

static void query(world *w, lk_slice topic, lk_slice event, lk_slice payload) {
  query_as(w, topic, event, payload, LK_RIGHTS_ADMIN);
  step(w);
}

/* What a new join is told. */
static bool joins_with(world *w, uint64_t member, lk_slice topic, lk_slice text) {
  forget_output(w);
  join(w, member, topic);
  step(w);
  return has_said(w, text);
}

/* But for the one that holds nothing and is there for the space. */
static uint32_t files_of(const lk_memory_storage *storage) {
  return lk_map_count(&storage->names) -
         (lk_map_get(&storage->names, LK_LIT("ballast")) != NULL ? 1 : 0);
}

/* A topic with one increment in it, and nobody there. */
static void make_topic(world *w, uint64_t member, lk_slice topic) {
  join(w, member, topic);
  step(w);
  increment(w, member);
  step(w);
  leave(w, member);
}

TEST(an_acknowledgement_names_the_level_of_its_topic) {
  world w;
  init(&w);
  join(&w, MEMBER, LK_LIT("crdt:d"));
  join(&w, MEMBER + 1, LK_LIT("crdt:e"));
  step(&w);
  forget_output(&w);
  increment(&w, MEMBER);
  step(&w);
  CHECK(has_said(&w, LK_LIT("\"level\":\"durable\"")) && !has_said(&w, LK_LIT("\"memory\"")));
  forget_output(&w);
  increment(&w, MEMBER + 1); /* answered at once: nothing has to be waited for */
  CHECK(has_said(&w, LK_LIT("\"level\":\"memory\"")) && !has_said(&w, LK_LIT("\"durable\"")));
  CHECK_U64(files_of(&w.memory), 1);
  deinit(&w);
}

TEST(a_topic_in_memory_is_there_when_another_house_begins) {
  world w;
  init(&w);
  w.limits.room_tail_bytes = 1;
  join(&w, MEMBER, LK_LIT("crdt:e"));
  step(&w);
  for (int i = 0; i < 40; i++) increment(&w, MEMBER);
  CHECK(lk_house_get_stats(w.house).snapshots > 0);
  die(&w);
  begin(&w);
  CHECK(joins_with(&w, MEMBER, LK_LIT("crdt:e"), LK_LIT("\"value\":40")));
  CHECK_U64(files_of(&w.disk), 3); /* the journal's */
  deinit(&w);
}

TEST(a_request_that_was_applied_in_memory_is_not_applied_again) {
  world w;
  init(&w);
  join(&w, MEMBER, LK_LIT("crdt:e"));
  step(&w);
  increment(&w, MEMBER);
  die(&w);
  begin(&w);
  forget_output(&w);
  say(&w, &(lk_bus_message){ .kind = LK_BUS_RESTORE,
                             .member = MEMBER,
                             .topic = LK_LIT("crdt:e"),
                             .payload = LK_LIT("{}"),
                             .rights = LK_RIGHTS_ADMIN });
  for (int i = 0; i < 2; i++) { /* the one from before, and another one */
    say(&w, &(lk_bus_message){ .kind = LK_BUS_MESSAGE,
                               .request = w.request++,
                               .again = true,
                               .member = MEMBER,
                               .event = LK_LIT("crdt.increment"),
                               .payload = LK_LIT("{\"payload\":{\"amount\":1}}"),
                               .rights = LK_RIGHTS_ADMIN });
    step(&w);
    CHECK_U64(lk_house_get_stats(w.house).repeated, 1);
    CHECK(has_said(&w, i == 0 ? LK_LIT("\"value\":1") : LK_LIT("\"value\":2")));
    CHECK(i > 0 || !has_said(&w, LK_LIT("\"value\":2")));
  }
  deinit(&w);
}

/* As when one of the two had no memory for what it was told: the same edge, and the same house. */
static void begin_again(world *w) {
  say(w, &(lk_bus_message){ .kind = LK_BUS_HELLO, .generation = w->edge_generation });
  house_world_hello(w);
}

static void restore(world *w, uint64_t member, lk_slice topic) {
  say(w, &(lk_bus_message){ .kind = LK_BUS_RESTORE,
                            .member = member,
                            .topic = topic,
                            .payload = LK_LIT("{}"),
                            .rights = LK_RIGHTS_ADMIN });
}

/* The last |count| increments, in their order. */
static void increment_again(world *w, uint64_t member, uint32_t count) {
  w->request -= count;
  for (uint32_t i = 0; i < count; i++) {
    say(w, &(lk_bus_message){ .kind = LK_BUS_MESSAGE,
                              .request = ++w->request,
                              .again = true,
                              .member = member,
                              .event = LK_LIT("crdt.increment"),
                              .payload = LK_LIT("{\"payload\":{\"amount\":1}}"),
                              .rights = LK_RIGHTS_ADMIN });
  }
}

static void hold(world *w, bool is_held) { w->disk.hold = w->memory.hold = is_held; }

static void steps(world *w) {
  for (int i = 0; i < 4; i++) step(w);
}

static bool counts(world *w, lk_slice topic, uint32_t count) {
  char text[32];
  (void)snprintf(text, sizeof text, "\"value\":%u,", count);
  query(w, topic, LK_LIT("crdt.get"), LK_LIT("{}"));
  return has_said(w, lk_slice_cstr(text));
}

/* Goal: what an edge asks again of the house that was asked before is done once, be it durable, in a record that is under way
 * or in none yet; and the next house knows of all of it. */
TEST(requests_that_come_again_to_the_same_house_are_counted_once) {
  static const lk_slice topics[] = { LK_LIT_INIT("crdt:d"), LK_LIT_INIT("crdt:e") };
  for (uint32_t way = 0; way < 4; way++) {
    for (uint32_t count = 1; count <= 3; count++) {
      world w;
      lk_slice topic = topics[way & 1];
      init(&w);
      join(&w, MEMBER, topic);
      step(&w);
      hold(&w, way >= 2);
      for (uint32_t i = 0; i < count; i++) increment(&w, MEMBER);
      if (way < 2) steps(&w);
      for (int times = 0; times < 2; times++) {
        begin_again(&w);
        restore(&w, MEMBER, topic);
        increment_again(&w, MEMBER, count);
      }
      increment(&w, MEMBER);
      CHECK_U64(lk_house_get_stats(w.house).repeated, 2 * count);
      hold(&w, false);
      steps(&w);
      CHECK(counts(&w, topic, count + 1));
      die(&w);
      begin(&w);
      restore(&w, MEMBER, topic);
      w.request--; /* the question */
      increment_again(&w, MEMBER, count + 1);
      steps(&w);
      CHECK_U64(lk_house_get_stats(w.house).repeated, count + 1);
      CHECK(counts(&w, topic, count + 1));
      deinit(&w);
    }
  }
  CHECK_COVERED(house_keeps_what_no_record_covers);
}

/* Goal: what was parted from an edge that is gone says nothing of the next one's requests. Method: these have its numbers, and
 * one comes again to the next house that nobody ever did. */
TEST(a_request_is_not_taken_for_one_of_an_edge_that_is_gone) {
  world w;
  init(&w);
  join(&w, MEMBER, LK_LIT("crdt:d"));
  step(&w);
  hold(&w, true);
  for (int i = 0; i < 2; i++) increment(&w, MEMBER);
  const uint64_t parted = w.request;
  begin_again(&w);
  w.edge_generation++;
  house_world_hello(&w);
  hold(&w, false);
  steps(&w);
  w.request = parted - 2;
  CHECK(joins_with(&w, MEMBER, LK_LIT("crdt:d"), LK_LIT("\"value\":2")));
  die(&w);
  begin(&w);
  restore(&w, MEMBER, LK_LIT("crdt:d"));
  w.request = parted;
  increment_again(&w, MEMBER, 1);
  steps(&w);
  CHECK_U64(lk_house_get_stats(w.house).repeated, 0);
  CHECK(counts(&w, LK_LIT("crdt:d"), 3));
  deinit(&w);
}

/* Goal: also where there is no memory to remember all that at once. */
TEST(requests_that_come_again_without_memory_to_know_them_are_counted_once) {
  FAULT_LOOP(faults, test_alloc()) {
    world w;
    const uint64_t fail_at = faults.fail_at;
    faults.fail_at = 0;
    house_world_init(
        &w, &(lk_room_policy){ .ephemeral = ephemeral, .ephemeral_count = 1, .idle_ms = IDLE_MS });
    w.env = (lk_env)LK_ENV_INIT(faulty_alloc(&faults), NULL);
    begin(&w);
    join(&w, MEMBER, LK_LIT("crdt:d"));
    step(&w);
    hold(&w, true);
    for (int i = 0; i < 3; i++) increment(&w, MEMBER);
    faults.seen = 0;
    faults.fail_at = fail_at;
    begin_again(&w);
    faults.fail_at = 0;
    restore(&w, MEMBER, LK_LIT("crdt:d"));
    increment_again(&w, MEMBER, 3);
    hold(&w, false);
    steps(&w);
    CHECK(counts(&w, LK_LIT("crdt:d"), 3));
    faults.fail_at = fail_at;
    deinit(&w);
  }
  CHECK_COVERED(house_looks_through_what_is_applied);
}

typedef struct counting {
  lk_alloc table;
  size_t live; /* bytes */
} counting;

static void *resize_counted(void *ctx, void *ptr, size_t from, size_t to) {
  counting *self = ctx;
  void *made = test_alloc()->resize(test_alloc()->ctx, ptr, from, to);
  if (made != NULL || to == 0) self->live = self->live - from + to;
  return made;
}

/* Goal: an edge that begins again and again, while no record covers what it asked, is remembered as one that did so once. */
TEST(requests_stand_here_once_however_often_their_edge_begins_again) {
  world w;
  counting counted = { .table = { resize_counted, &counted }, .live = 0 };
  size_t before = 0;
  house_world_init(
      &w, &(lk_room_policy){ .ephemeral = ephemeral, .ephemeral_count = 1, .idle_ms = IDLE_MS });
  w.env = (lk_env)LK_ENV_INIT(&counted.table, NULL);
  begin(&w);
  join(&w, MEMBER, LK_LIT("crdt:d"));
  step(&w);
  hold(&w, true);
  for (int i = 0; i < 8; i++) increment(&w, MEMBER);
  for (int times = 0; times < 20; times++) {
    begin_again(&w);
    restore(&w, MEMBER, LK_LIT("crdt:d"));
    increment_again(&w, MEMBER, 8);
    forget_output(&w);
    if (times == 3) before = counted.live;
  }
  CHECK_U64(counted.live, before);
  hold(&w, false);
  steps(&w);
  CHECK(counts(&w, LK_LIT("crdt:d"), 8));
  deinit(&w);
}

/* Goal: nothing remains of an idle topic in memory; a durable one leaves memory and comes back. */
TEST(an_idle_topic_in_memory_is_erased_and_a_durable_one_is_kept) {
  world w;
  init(&w);
  w.limits.room_tail_bytes = 1;
  make_topic(&w, MEMBER, LK_LIT("crdt:d"));
  make_topic(&w, MEMBER + 1, LK_LIT("crdt:e"));
  CHECK(w.memory.size_used > 0);
  w.now += IDLE_MS - 1;
  step(&w);
  CHECK_U64(lk_house_get_stats(w.house).rooms, 2);
  w.now++;
  step(&w);
  step(&w);
  CHECK_U64(lk_house_get_stats(w.house).rooms, 0);
  CHECK_U64(lk_house_get_stats(w.house).erased, 1);
  CHECK_COVERED(house_erases_an_idle_room);
  CHECK_U64(files_of(&w.memory), 0);
  CHECK_U64(w.memory.size_used, w.limits.house_ballast_bytes);
  CHECK(joins_with(&w, MEMBER, LK_LIT("crdt:d"), LK_LIT("\"value\":1")));
  CHECK(joins_with(&w, MEMBER + 1, LK_LIT("crdt:e"), LK_LIT("\"value\":0")));
  deinit(&w);
}

TEST(rules_say_how_long_a_topic_stays_without_members) {
  world w;
  const lk_idle_rule rules[] = { { LK_LIT_INIT("crdt:ex*"), 10 }, { LK_LIT_INIT("crdt:e*"), 50 } };
  init(&w);
  w.policy.idle = rules;
  w.policy.idle_count = 2;
  make_topic(&w, MEMBER, LK_LIT("crdt:ex"));
  make_topic(&w, MEMBER + 1, LK_LIT("crdt:ey"));
  make_topic(&w, MEMBER + 2, LK_LIT("crdt:d"));
  for (uint64_t rooms = 3; rooms > 0; rooms--) {
    CHECK_U64(lk_house_get_stats(w.house).rooms, rooms);
    w.now = rooms == 3 ? 10 : rooms == 2 ? 50 : IDLE_MS;
    step(&w);
    step(&w);
  }
  CHECK_U64(lk_house_get_stats(w.house).rooms, 0);
  deinit(&w);
}

/* Goal: a topic that nobody is in when its house dies is erased all the same. */
TEST(what_a_house_leaves_in_memory_is_found_by_the_next_one_and_erased_in_time) {
  world w;
  char topic[20];
  init(&w);
  for (uint64_t i = 0; i < 80; i++) { /* more than one page of names */
    (void)snprintf(topic, sizeof topic, "crdt:e%u", (unsigned)i);
    make_topic(&w, MEMBER + i, lk_slice_cstr(topic));
  }
  CHECK_U64(files_of(&w.memory), 80);
  die(&w);
  begin(&w);
  CHECK_COVERED(house_revives_a_room);
  CHECK_U64(lk_house_get_stats(w.house).rooms, 80);
  w.now += IDLE_MS;
  step(&w);
  CHECK_U64(files_of(&w.memory), 0);
  deinit(&w);
}

/* Goal: whenever the house dies while a topic is erased, the next one has all of it or nothing, and in the end nothing. */
TEST(a_topic_that_was_half_erased_does_not_come_back_in_part) {
  for (uint32_t operations = 0; operations < 12; operations++) {
    world w;
    init(&w);
    w.limits.room_tail_bytes = 1;
    join(&w, MEMBER, LK_LIT("crdt:e"));
    step(&w);
    for (int i = 0; i < 30; i++) increment(&w, MEMBER); /* a snapshot, and records behind it */
    leave(&w, MEMBER);
    w.now += IDLE_MS;
    w.memory.hold = true;
    for (uint32_t i = 0; i <= operations; i++) {
      step(&w);
      if (i < operations) lk_memory_storage_release(&w.memory, 1);
    }
    w.memory.submitted = (lk_list){ 0 }; /* nobody will carry them out */
    die(&w);
    w.memory.hold = false;
    begin(&w);
    forget_output(&w);
    join(&w, MEMBER, LK_LIT("crdt:e"));
    step(&w);
    CHECK(has_said(&w, LK_LIT("\"value\":30")) || has_said(&w, LK_LIT("\"value\":0")));
    CHECK(operations < 2 || has_said(&w, LK_LIT("\"value\":0")));
    leave(&w, MEMBER);
    w.now += IDLE_MS;
    step(&w);
    CHECK_U64(files_of(&w.memory), 0);
    deinit(&w);
  }
}

/* Goal: calling a topic ephemeral that is on disk loses nothing. */
TEST(a_topic_on_disk_stays_durable_until_it_is_deleted) {
  world w;
  init(&w);
  make_topic(&w, MEMBER, LK_LIT("crdt:d"));
  for (int way = 0; way < 2; way++) { /* with a record in the journal, and with a snapshot alone */
    die(&w);
    w.policy.ephemeral = everything;
    begin(&w);
    CHECK(joins_with(&w, MEMBER, LK_LIT("crdt:d"),
                     way == 0 ? LK_LIT("\"value\":1") : LK_LIT("\"value\":2")));
    forget_output(&w);
    increment(&w, MEMBER);
    step(&w);
    CHECK(has_said(&w, LK_LIT("\"level\":\"durable\"")));
    leave(&w, MEMBER);
    w.now += IDLE_MS;
    step(&w);
    step(&w);
    CHECK_U64(lk_house_get_stats(w.house).rooms, 0);
  }
  CHECK(joins_with(&w, MEMBER, LK_LIT("crdt:d"), LK_LIT("\"value\":3")));
  query(&w, LK_LIT("crdt:d"), LK_LIT("delete"), LK_SLICE_EMPTY);
  CHECK(has_said(&w, LK_LIT("ok")) && has_said(&w, LK_LIT("deleted")));
  CHECK(joins_with(&w, MEMBER, LK_LIT("crdt:d"), LK_LIT("\"value\":0")));
  forget_output(&w);
  increment(&w, MEMBER);
  CHECK(has_said(&w, LK_LIT("\"level\":\"memory\"")));
  deinit(&w);
}

TEST(without_a_disk_every_topic_is_in_memory_and_without_memory_on_disk) {
  world w;
  for (int is_disk = 0; is_disk < 2; is_disk++) {
    init(&w);
    die(&w);
    CHECK_OK(lk_house_open(&(lk_house_options){ .env = &w.env,
                                                .limits = &w.limits,
                                                .storage = is_disk ? &w.disk.table : NULL,
                                                .memory = is_disk ? NULL : &w.memory.table,
                                                .policy = &w.policy,
                                                .generation = 7,
                                                .edges_count = 1 },
                           &w.house));
    say(&w, &(lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 5, .answers = 7 });
    step(&w);
    make_topic(&w, MEMBER, is_disk ? LK_LIT("crdt:e") : LK_LIT("crdt:d"));
    CHECK(has_said(&w, is_disk ? LK_LIT("\"level\":\"durable\"") : LK_LIT("\"level\":\"memory\"")));
    lk_house_end(w.house);
    step(&w);
    CHECK(lk_house_is_idle(w.house));
    deinit(&w);
  }
}

/* ---- when there is no space ---- */

static void merge(world *w, uint64_t member, lk_slice delta) {
  say(w, &(lk_bus_message){ .kind = LK_BUS_MESSAGE,
                            .request = ++w->request,
                            .member = member,
                            .event = LK_LIT("crdt.merge"),
                            .payload = delta,
                            .rights = LK_RIGHTS_ADMIN });
}

static bool is_full(world *w) { return lk_house_get_stats(w->house).is_full; }

/* What an increment of |member| is answered. */
static bool increments_with(world *w, uint64_t member, lk_slice text) {
  forget_output(w);
  increment(w, member);
  step(w);
  return has_said(w, text);
}

/* A second later. */
static void look_for_space(world *w) {
  forget_output(w);
  w->now += 1000;
  step(w);
  step(w); /* what the first one began */
}

/* Goal: where memory is full changes are refused before they are made, nobody is thrown out, reading and joining and
 * deleting go on, and when there is space all goes on by itself; what was under way when it turned out is kept. */
TEST(memory_that_is_full_refuses_changes_and_serves_everything_else) {
  world w;
  init(&w);
  w.policy.idle_ms = 1000000;
  join(&w, MEMBER, LK_LIT("crdt:e"));
  join(&w, MEMBER + 1, LK_LIT("crdt:e"));
  join(&w, MEMBER + 2, LK_LIT("crdt:e2"));
  step(&w);
  increment(&w, MEMBER);
  w.memory.size_max = w.memory.size_used;
  CHECK(increments_with(&w, MEMBER, LK_LIT("\"value\":2")));
  CHECK_COVERED(house_gives_up_its_ballast);
  CHECK(is_full(&w));
  CHECK(increments_with(&w, MEMBER, LK_LIT("\"reason\":\"storage_full\"")));
  CHECK(has_said(&w, LK_LIT("\"retry_after_ms\":1000")));
  CHECK(!has_said(&w, LK_LIT("state_updated")) && !has_said(&w, LK_LIT("\"value\":3")));
  forget_output(&w);
  merge(&w, MEMBER + 1, LK_LIT("{\"payload\":{\"counts\":{\"x\":5}}}"));
  CHECK(has_said(&w, LK_LIT("\"reason\":\"storage_full\"")));
  CHECK(joins_with(&w, MEMBER + 3, LK_LIT("crdt:e"), LK_LIT("\"value\":2")));
  CHECK(joins_with(&w, MEMBER + 4, LK_LIT("crdt:e3"), LK_LIT("\"value\":0")));
  query(&w, LK_LIT("crdt:e2"), LK_LIT("delete"), LK_LIT("{}"));
  CHECK(has_said(&w, LK_LIT("ok")));
  look_for_space(&w);
  CHECK(is_full(&w) && !has_said(&w, LK_LIT("storage_full")));
  w.memory.size_max = 1 << 24;
  look_for_space(&w);
  CHECK(!is_full(&w));
  /* It goes on from what was refused: it is to come again. */
  CHECK_COVERED(house_calls_who_is_behind);
  CHECK(has_said(&w, LK_LIT("storage_full")));
  CHECK_U64(lk_house_output(w.house, 0).ptr[4], LK_BUS_CRASH);
  CHECK(increments_with(&w, MEMBER, LK_LIT("\"value\":3")));
  CHECK(increments_with(&w, MEMBER + 1, LK_LIT("")) && !has_said(&w, LK_LIT("\"value\":4")));
  CHECK(joins_with(&w, MEMBER + 1, LK_LIT("crdt:e"), LK_LIT("\"value\":3")));
  CHECK_U64(lk_house_get_stats(w.house).refused, 2);
  CHECK_U64(lk_house_get_stats(w.house).storage_failures, 0);
  CHECK_U64(lk_house_get_stats(w.house).rooms_dropped, 0);
  deinit(&w);
}

/* Goal: a record beyond what was set aside is taken back: its author is told why, and the room comes back with what was
 * acknowledged. */
TEST(a_change_in_memory_that_finds_no_space_is_taken_back) {
  world w;
  init_with(&w, 100000, 1);
  join(&w, MEMBER, LK_LIT("crdt:e"));
  join(&w, MEMBER + 1, LK_LIT("crdt:e"));
  step(&w);
  increment(&w, MEMBER);
  w.memory.size_max = w.memory.size_used;
  CHECK(increments_with(&w, MEMBER, LK_LIT("\"reason\":\"storage_full\"")));
  CHECK_COVERED(house_takes_a_change_back);
  CHECK(!has_said(&w, LK_LIT("\"value\":2")));
  CHECK(joins_with(&w, MEMBER + 2, LK_LIT("crdt:e"), LK_LIT("\"value\":1")));
  CHECK(increments_with(&w, MEMBER + 2, LK_LIT("\"reason\":\"storage_full\"")));
  w.memory.size_max = 1 << 24;
  look_for_space(&w);
  CHECK(increments_with(&w, MEMBER + 2, LK_LIT("\"value\":2")));
  deinit(&w);
}

/* A world whose disk is about to be full: the journal cannot reserve any more. */
static void init_short(world *w) {
  init_with(w, 4000, 50000);
  w->policy.idle_ms = 1000000;
  join(w, MEMBER, LK_LIT("crdt:d"));
  join(w, MEMBER + 1, LK_LIT("crdt:d"));
  join(w, MEMBER + 2, LK_LIT("crdt:d2"));
  step(w);
  CHECK(increments_with(w, MEMBER + 2, LK_LIT("\"value\":1")));
  w->disk.size_max = w->disk.size_used;
}

/* The same for a disk: every change that was made is kept, and from then on they are refused. */
TEST(disk_that_is_full_refuses_changes_and_serves_everything_else) {
  world w;
  char value[24];
  init_short(&w);
  unsigned count = 0;
  while (!is_full(&w)) {
    (void)snprintf(value, sizeof value, "\"value\":%u", ++count);
    CHECK(increments_with(&w, MEMBER, lk_slice_cstr(value)));
  }
  CHECK(count > 5);
  CHECK(increments_with(&w, MEMBER, LK_LIT("\"reason\":\"storage_full\"")));
  CHECK(!has_said(&w, LK_LIT("state_updated")));
  query(&w, LK_LIT("crdt:d"), LK_LIT("crdt.increment"), LK_LIT("{\"payload\":{\"amount\":1}}"));
  CHECK(has_said(&w, LK_LIT("\"reason\":\"storage_full\"")));
  forget_output(&w);
  merge(&w, MEMBER + 1, LK_LIT("{\"payload\":{\"counts\":{\"x\":5}}}"));
  CHECK(joins_with(&w, MEMBER + 3, LK_LIT("crdt:d"), lk_slice_cstr(value)));
  CHECK(joins_with(&w, MEMBER + 4, LK_LIT("crdt:d3"), LK_LIT("\"value\":0")));
  query(&w, LK_LIT("crdt:d2"), LK_LIT("delete"), LK_LIT("{}")); /* in what is set aside */
  CHECK(has_said(&w, LK_LIT("ok")) && !has_said(&w, LK_LIT("LK_ERR")));
  look_for_space(&w);
  CHECK(is_full(&w));
  w.disk.size_max = 1 << 24;
  look_for_space(&w);
  CHECK(!is_full(&w) && has_said(&w, LK_LIT("storage_full"))); /* to the one that is behind */
  (void)snprintf(value, sizeof value, "\"value\":%u", ++count);
  CHECK(increments_with(&w, MEMBER, lk_slice_cstr(value)));
  CHECK_U64(lk_house_get_stats(w.house).rooms_dropped, 0);
  CHECK_U64(lk_house_get_stats(w.house).journal_failures, 0);
  die(&w);
  begin(&w);
  CHECK(joins_with(&w, MEMBER, LK_LIT("crdt:d"), lk_slice_cstr(value)));
  CHECK(joins_with(&w, MEMBER + 1, LK_LIT("crdt:d2"), LK_LIT("\"value\":0")));
  deinit(&w);
}

/* Goal: what nothing was set aside for is taken back in the rooms that it is of, and in no other; a deletion that finds no
 * space deletes nothing. Method: the disk is full when a batch is written, and another one waits behind it. */
TEST(changes_on_a_disk_that_find_no_space_are_taken_back) {
  world w;
  init_with(&w, 1, 50000);
  w.policy.idle_ms = 1000000;
  join(&w, MEMBER, LK_LIT("crdt:d"));
  join(&w, MEMBER + 1, LK_LIT("crdt:d"));
  join(&w, MEMBER + 2, LK_LIT("crdt:d2"));
  join(&w, MEMBER + 3, LK_LIT("crdt:d3"));
  step(&w);
  increment(&w, MEMBER + 2);
  CHECK(increments_with(&w, MEMBER, LK_LIT("\"value\":1")));
  forget_output(&w);
  w.disk.hold = true;
  increment(&w, MEMBER);
  increment(&w, MEMBER + 1);
  increment(&w, MEMBER + 2);
  w.disk.size_max = 0;
  w.disk.hold = false;
  step(&w);
  CHECK_COVERED(house_takes_a_change_back);
  CHECK(has_said(&w, LK_LIT("\"reason\":\"storage_full\"")) && !has_said(&w, LK_LIT("\"value\"")));
  CHECK_U64(lk_house_get_stats(w.house).refused, 3);
  CHECK_U64(lk_house_get_stats(w.house).members, 1); /* the one of d3 */
  CHECK_U64(lk_house_get_stats(w.house).journal_failures, 0);
  CHECK(joins_with(&w, MEMBER + 4, LK_LIT("crdt:d"), LK_LIT("\"value\":1")));
  query(&w, LK_LIT("crdt:d2"), LK_LIT("delete"), LK_LIT("{}"));
  CHECK(has_said(&w, LK_LIT("LK_ERR_NO_SPACE")));
  CHECK(joins_with(&w, MEMBER + 5, LK_LIT("crdt:d2"), LK_LIT("\"value\":1")));
  die(&w);
  begin(&w);
  CHECK(joins_with(&w, MEMBER + 4, LK_LIT("crdt:d"), LK_LIT("\"value\":1")));
  CHECK(joins_with(&w, MEMBER + 5, LK_LIT("crdt:d2"), LK_LIT("\"value\":1")));
  w.disk.size_max = 1 << 24;
  look_for_space(&w);
  CHECK(increments_with(&w, MEMBER + 4, LK_LIT("\"value\":2")));
  query(&w, LK_LIT("crdt:d2"), LK_LIT("delete"), LK_LIT("{}"));
  CHECK(has_said(&w, LK_LIT("ok")) && !has_said(&w, LK_LIT("LK_ERR")));
  CHECK(joins_with(&w, MEMBER + 6, LK_LIT("crdt:d2"), LK_LIT("\"value\":0")));
  deinit(&w);
}

/* Goal: a room whose snapshot finds no space stays as it is, with its members, and is put away when there is some. */
TEST(snapshot_that_finds_no_space_is_taken_later) {
  world w;
  init(&w);
  make_topic(&w, MEMBER, LK_LIT("crdt:d"));
  w.disk.size_max = 0;
  for (int i = 0; i < 3; i++) {
    w.now += IDLE_MS;
    step(&w);
    CHECK_U64(lk_house_get_stats(w.house).rooms, 1);
  }
  CHECK_COVERED(house_snapshot_without_space);
  CHECK(joins_with(&w, MEMBER, LK_LIT("crdt:d"), LK_LIT("\"value\":1")));
  leave(&w, MEMBER);
  w.disk.size_max = 1 << 24;
  for (int i = 0; i < 8; i++) {
    w.now += IDLE_MS;
    step(&w);
  }
  CHECK_U64(lk_house_get_stats(w.house).rooms, 0);
  CHECK_U64(lk_house_get_stats(w.house).rooms_dropped, 0);
  CHECK(joins_with(&w, MEMBER, LK_LIT("crdt:d"), LK_LIT("\"value\":1")));
  deinit(&w);
}

/* ---- queries ---- */

TEST(a_query_is_answered_by_a_room_that_nobody_is_in) {
  world w;
  init(&w);
  make_topic(&w, MEMBER, LK_LIT("crdt:d"));
  for (int i = 0; i < 2; i++) { /* open, and put away */
    query(&w, LK_LIT("crdt:d"), LK_LIT("crdt.get"), LK_LIT("{}"));
    CHECK(has_said(&w, LK_LIT("\"value\":1")));
    w.now += IDLE_MS;
    step(&w);
    step(&w);
    CHECK_U64(lk_house_get_stats(w.house).rooms, 0);
  }
  query(&w, LK_LIT("nothing:d"), LK_LIT("crdt.get"), LK_LIT("{}"));
  CHECK_U64(lk_house_output(w.house, 0).ptr[4], LK_BUS_UNMATCHED);
  CHECK_U64(lk_house_get_stats(w.house).rooms, 0);
  deinit(&w);
}

TEST(a_query_that_changes_a_room_is_made_once) {
  for (int is_open = 0; is_open < 2; is_open++) { /* when it comes again */
    world w;
    init(&w);
    const lk_slice amount = LK_LIT("{\"payload\":{\"amount\":1}}");
    query(&w, LK_LIT("crdt:d"), LK_LIT("crdt.increment"), amount);
    CHECK(has_said(&w, LK_LIT("\"value\":1")) && has_said(&w, LK_LIT("durable")));
    die(&w);
    begin(&w);
    if (is_open) {
      say(&w, &(lk_bus_message){ .kind = LK_BUS_RESTORE,
                                 .member = MEMBER,
                                 .topic = LK_LIT("crdt:d"),
                                 .payload = LK_LIT("{}"),
                                 .rights = LK_RIGHTS_READ });
      step(&w);
    }
    say(&w, &(lk_bus_message){ .kind = LK_BUS_QUERY,
                               .request = w.request,
                               .again = true,
                               .topic = LK_LIT("crdt:d"),
                               .event = LK_LIT("crdt.increment"),
                               .payload = amount,
                               .rights = LK_RIGHTS_ADMIN });
    step(&w);
    CHECK_U64(lk_house_get_stats(w.house).repeated, 1);
    CHECK(has_said(&w, LK_LIT("\"value\":1")));
    deinit(&w);
  }
}

/* Goal: who asks gets an answer also where the room ends under the query; an edge that is another one gets none. */
TEST(queries_whose_room_or_edge_ends_are_forgotten) {
  world w;
  init(&w);
  w.disk.hold = true;
  for (int i = 0; i < 3; i++)
    query(&w, LK_LIT("crdt:d"), LK_LIT("crdt.increment"), LK_LIT("{\"payload\":{\"amount\":1}}"));
  say(&w, &(lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 6, .answers = w.generation });
  forget_output(&w);
  w.disk.hold = false;
  step(&w);
  CHECK_U64(lk_house_output(w.house, 0).len, 0);
  w.request = 0;
  query(&w, LK_LIT("crdt:d"), LK_LIT("crdt.get"), LK_LIT("{}"));
  CHECK(has_said(&w, LK_LIT("\"value\":0")));
  w.disk.hold = true;
  query(&w, LK_LIT("crdt:d"), LK_LIT("crdt.increment"), LK_LIT("{\"payload\":{\"amount\":1}}"));
  query(&w, LK_LIT("crdt:d"), LK_LIT("delete"), LK_LIT("{}"));
  w.disk.hold = false;
  step(&w);
  CHECK_U64(lk_house_output(w.house, 0).ptr[4], LK_BUS_LATE);
  deinit(&w);
}

TEST(topics_are_listed_page_by_page_for_those_who_administer) {
  world w;
  char topic[20];
  init(&w);
  for (uint64_t i = 0; i < 5; i++) {
    (void)snprintf(topic, sizeof topic, "crdt:%c%u", i % 2 ? 'e' : 'd', (unsigned)i);
    make_topic(&w, MEMBER + i, lk_slice_cstr(topic));
  }
  join(&w, MEMBER + 9, LK_LIT("crdt:d0"));
  query_as(&w, LK_SLICE_EMPTY, LK_LIT("topics"), LK_SLICE_EMPTY, LK_RIGHTS_WRITE);
  CHECK(has_said(&w, LK_LIT("LK_ERR_DENIED")));
  query(&w, LK_SLICE_EMPTY, LK_LIT("topics"), LK_LIT("{\"limit\":2}"));
  CHECK(has_said(&w, LK_LIT("{\"topics\":[{\"topic\":\"crdt:d0\",\"members\":1,\"level\":"
                            "\"durable\",\"open\":true,\"bytes\":")));
  CHECK(has_said(&w, LK_LIT("crdt:d2")) && !has_said(&w, LK_LIT("crdt:d4")));
  CHECK(has_said(&w, LK_LIT("\"more\":true,\"complete\":true}")));
  query(&w, LK_SLICE_EMPTY, LK_LIT("topics"), LK_LIT("{\"after\":\"crdt:d2\"}"));
  CHECK(has_said(&w, LK_LIT("crdt:d4")) && !has_said(&w, LK_LIT("crdt:d2")));
  CHECK(has_said(&w, LK_LIT("\"topic\":\"crdt:e3\",\"members\":0,\"level\":\"memory\"")));
  CHECK(has_said(&w, LK_LIT("\"more\":false,\"complete\":true}")));
  query(&w, LK_SLICE_EMPTY, LK_LIT("topics"), LK_LIT("{\"limit\":0}"));
  CHECK(has_said(&w, LK_LIT("LK_ERR_RANGE")));
  query(&w, LK_SLICE_EMPTY, LK_LIT("other"), LK_SLICE_EMPTY);
  CHECK(has_said(&w, LK_LIT("LK_ERR_UNKNOWN_EVENT")));
  deinit(&w);
}

/* ---- deleting ---- */

TEST(who_may_not_administer_deletes_nothing) {
  world w;
  init(&w);
  make_topic(&w, MEMBER, LK_LIT("crdt:d"));
  query_as(&w, LK_LIT("crdt:d"), LK_LIT("delete"), LK_SLICE_EMPTY, LK_RIGHTS_WRITE);
  step(&w);
  CHECK(has_said(&w, LK_LIT("LK_ERR_DENIED")));
  CHECK(joins_with(&w, MEMBER, LK_LIT("crdt:d"), LK_LIT("\"value\":1")));
  deinit(&w);
}

/* Goal: a deletion that was answered is one, and one that was not leaves all or nothing, whenever the house dies. */
TEST(a_deleted_topic_is_gone_whenever_the_house_dies) {
  for (uint32_t operations = 0; operations < 20; operations++) {
    for (int is_memory = 0; is_memory < 2; is_memory++) {
      const lk_slice topic = is_memory ? LK_LIT("crdt:e") : LK_LIT("crdt:d");
      world w;
      init(&w);
      w.limits.room_tail_bytes = 1;
      join(&w, MEMBER, topic);
      step(&w);
      for (int i = 0; i < 30; i++) {
        increment(&w, MEMBER);
        step(&w);
      }
      w.disk.hold = w.memory.hold = true;
      query(&w, topic, LK_LIT("delete"), LK_SLICE_EMPTY);
      join(&w, MEMBER + 1, topic); /* comes behind it */
      for (uint32_t i = 0; i < operations; i++) {
        lk_memory_storage_release(&w.disk, 1);
        lk_memory_storage_release(&w.memory, 1);
        step(&w);
      }
      CHECK(has_said(&w, LK_LIT("deleted")));
      bool is_answered = lk_house_get_stats(w.house).erased > 0;
      w.disk.submitted = w.memory.submitted = (lk_list){ 0 };
      die(&w);
      w.disk.hold = w.memory.hold = false;
      begin(&w);
      forget_output(&w);
      join(&w, MEMBER, topic);
      step(&w);
      step(&w);
      CHECK(has_said(&w, LK_LIT("\"value\":0")) ||
            (!is_answered && has_said(&w, LK_LIT("\"value\":30"))));
      CHECK(operations < 19 || is_answered);
      deinit(&w);
    }
  }
  CHECK_COVERED(house_finishes_a_deletion);
}

TEST(a_topic_may_be_deleted_while_it_is_loaded_or_closed_or_was_never_there) {
  for (uint32_t operations = 0; operations < 16; operations++) {
    world w;
    init(&w);
    make_topic(&w, MEMBER, LK_LIT("crdt:d"));
    w.now += IDLE_MS;
    w.disk.hold = true;
    step(&w);
    for (uint32_t i = 0; i < operations; i++) { /* on its way out, gone, and on its way in */
      if (i == 8) join(&w, MEMBER + 1, LK_LIT("crdt:d"));
      lk_memory_storage_release(&w.disk, 1);
      step(&w);
    }
    query(&w, LK_LIT("crdt:d"), LK_LIT("delete"), LK_SLICE_EMPTY);
    query(&w, LK_LIT("crdt:never"), LK_LIT("delete"), LK_SLICE_EMPTY);
    w.disk.hold = false;
    for (int i = 0; i < 3; i++) step(&w);
    CHECK_U64(lk_house_get_stats(w.house).erased, 2);
    CHECK(joins_with(&w, MEMBER + 2, LK_LIT("crdt:d"), LK_LIT("\"value\":0")));
    deinit(&w);
  }
}

TEST(a_house_with_two_levels_survives_every_failed_allocation) {
  FAULT_LOOP(faults, test_alloc()) {
    world w;
    init(&w);
    die(&w);
    w.env = (lk_env)LK_ENV_INIT(faulty_alloc(&faults), NULL);
    w.limits.room_tail_bytes = 1;
    w.generation++;
    if (lk_house_open(&(lk_house_options){ .env = &w.env,
                                           .limits = &w.limits,
                                           .storage = &w.disk.table,
                                           .memory = &w.memory.table,
                                           .policy = &w.policy,
                                           .generation = w.generation,
                                           .edges_count = 1 },
                      &w.house) != LK_OK) {
      lk_memory_storage_deinit(&w.disk);
      lk_memory_storage_deinit(&w.memory);
      continue;
    }
    say(&w, &(lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 5, .answers = w.generation });
    step(&w);
    make_topic(&w, MEMBER, LK_LIT("crdt:e"));
    make_topic(&w, MEMBER + 1, LK_LIT("crdt:d"));
    query(&w, LK_SLICE_EMPTY, LK_LIT("topics"), LK_LIT("{}"));
    query(&w, LK_LIT("crdt:d"), LK_LIT("crdt.get"), LK_LIT("{}"));
    query(&w, LK_LIT("crdt:d"), LK_LIT("delete"), LK_LIT("{}"));
    w.now += IDLE_MS;
    step(&w);
    step(&w);
    deinit(&w);
  }
  CHECK_COVERED(house_has_no_memory_to_erase);
}

/* Goal: a room that is on its way out is opened again for who joins, and knows the requests that may come again. */
TEST(who_joins_while_a_room_is_put_away_finds_all_that_was_in_it) {
  for (uint32_t operations = 0; operations < 8; operations++) {
    world w;
    init(&w);
    make_topic(&w, MEMBER, LK_LIT("crdt:d"));
    w.now += IDLE_MS;
    w.disk.hold = true;
    step(&w);
    for (uint32_t i = 0; i < operations; i++) {
      lk_memory_storage_release(&w.disk, 1);
      step(&w);
    }
    forget_output(&w);
    join(&w, MEMBER + 1, LK_LIT("crdt:d"));
    w.disk.hold = false;
    for (int i = 0; i < 3; i++) step(&w);
    CHECK(has_said(&w, LK_LIT("\"value\":1")) && !has_said(&w, LK_LIT("LK_ERR")));
    deinit(&w);
  }
}

/* Method: allocations fail while somebody joins; where that is what it is told, it tries again. */
TEST(a_room_that_there_is_no_memory_to_load_opens_when_there_is_some) {
  uint32_t refused = 0;
  FAULT_LOOP(faults, test_alloc()) {
    world w;
    uint64_t fail_at = faults.fail_at;
    faults.fail_at = 0;
    init(&w);
    die(&w);
    w.env = (lk_env)LK_ENV_INIT(faulty_alloc(&faults), NULL);
    begin(&w);
    make_topic(&w, MEMBER, LK_LIT("crdt:d"));
    w.now += IDLE_MS;
    step(&w);
    step(&w);
    CHECK_U64(lk_house_get_stats(w.house).rooms, 0);
    forget_output(&w);
    faults.seen = 0;
    faults.fail_at = fail_at;
    join(&w, MEMBER + 1, LK_LIT("crdt:d"));
    step(&w);
    faults.fail_at = 0;
    if (has_said(&w, LK_LIT("LK_ERR_NOMEM"))) {
      refused++;
      CHECK(joins_with(&w, MEMBER + 2, LK_LIT("crdt:d"), LK_LIT("\"value\":1")));
    }
    faults.fail_at = fail_at;
    deinit(&w);
  }
  CHECK(refused > 0);
  CHECK_COVERED(house_has_no_memory_to_load);
}

static uint32_t open_files_of(const lk_memory_storage *storage) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < storage->open_cap; i++) count += storage->open[i] != NULL;
  return count;
}

/* Method: allocations fail while a topic is deleted whose slots are there. */
TEST(a_topic_that_there_is_no_memory_to_delete_leaves_no_file_open) {
  FAULT_LOOP(faults, test_alloc()) {
    world w;
    uint64_t fail_at = faults.fail_at;
    faults.fail_at = 0;
    init(&w);
    die(&w);
    w.env = (lk_env)LK_ENV_INIT(faulty_alloc(&faults), NULL);
    w.limits.room_tail_bytes = 1;
    begin(&w);
    uint32_t open = open_files_of(&w.disk);
    make_topic(&w, MEMBER, LK_LIT("crdt:d"));
    CHECK_U64(open_files_of(&w.disk), open);
    faults.seen = 0;
    faults.fail_at = fail_at;
    query(&w, LK_LIT("crdt:d"), LK_LIT("delete"), LK_LIT("{}"));
    faults.fail_at = 0;
    for (int i = 0; i < 4; i++) {
      w.now += 60000;
      step(&w);
    }
    CHECK_U64(lk_house_get_stats(w.house).rooms, 0);
    CHECK_U64(open_files_of(&w.disk), open);
    faults.fail_at = fail_at;
    deinit(&w);
  }
  CHECK_COVERED(house_has_no_memory_to_erase);
}
