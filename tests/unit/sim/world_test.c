#include "sim/world.h"

#include "harness/test.h"
#include "sim/node.h"
#include "sim/scenario.h"

typedef struct ring {
  sim_event event;
  sim_world *world;
  char name;
  char *order;
} ring;

static void on_ring(sim_event *event) {
  ring *r = LK_CONTAINER(event, ring, event);
  size_t len = lk_slice_cstr(r->order).len;
  r->order[len] = r->name;
}

TEST(events_run_in_order_of_time_and_then_of_scheduling) {
  static const sim_options options = { .seed = 1 };
  char order[8] = { 0 };
  ring rings[4];
  sim_world world;
  sim_world_init(&world, test_alloc(), &options, NULL);
  for (unsigned i = 0; i < 4; i++) {
    rings[i] = (ring){ .world = &world, .name = (char)('a' + i), .order = order };
    sim_event_init(&rings[i].event, on_ring);
  }
  sim_world_schedule(&world, &rings[0].event, 20);
  sim_world_schedule(&world, &rings[1].event, 10);
  sim_world_schedule(&world, &rings[2].event, 20);
  sim_world_schedule(&world, &rings[3].event, 5);
  sim_world_schedule(&world, &rings[3].event, SIM_NEVER); /* cancelled */
  CHECK(!sim_event_is_set(&rings[3].event));
  sim_world_run(&world, 15);
  CHECK_U64(world.now_us, 15);
  CHECK_SLICE(lk_slice_cstr(order), LK_LIT("b"));
  sim_world_schedule(&world, &rings[1].event, 3); /* past: now */
  sim_world_run(&world, 100);
  CHECK_SLICE(lk_slice_cstr(order), LK_LIT("bbac"));
  CHECK_U64(world.event_count, 4);
  sim_world_deinit(&world);
}

TEST(a_failed_world_stands_still_and_keeps_its_first_reason) {
  static const sim_options options = { .seed = 1 };
  char order[8] = { 0 };
  sim_world world;
  sim_world_init(&world, test_alloc(), &options, NULL);
  ring r = { .world = &world, .name = 'a', .order = order };
  sim_event_init(&r.event, on_ring);
  sim_world_schedule(&world, &r.event, 5);
  sim_world_fail(&world, "first %d", 1);
  sim_world_fail(&world, "second");
  CHECK_SLICE(lk_slice_cstr(world.failure), LK_LIT("first 1"));
  CHECK(!sim_world_step(&world));
  sim_world_run(&world, 10);
  CHECK_U64(world.now_us, 0);
  sim_world_cancel(&world, &r.event);
  sim_world_deinit(&world);
}

TEST(faults_strike_at_their_rate_and_never_in_calm) {
  sim_options options = { .seed = 1 };
  sim_world world;
  lk_prng prng;
  unsigned struck = 0;
  options.rate[SIM_FAULT_net_drop] = 250000;
  sim_world_init(&world, test_alloc(), &options, NULL);
  sim_world_stream(&world, 7, &prng);
  for (unsigned i = 0; i < 10000; i++)
    struck += sim_world_strikes(&world, SIM_FAULT_net_drop, &prng);
  CHECK(struck > 2300 && struck < 2700);
  CHECK_U64(world.faults[SIM_FAULT_net_drop], struck);
  CHECK(!sim_world_strikes(&world, SIM_FAULT_net_cut, &prng)); /* off */
  world.calm = true;
  for (unsigned i = 0; i < 100; i++) CHECK(!sim_world_strikes(&world, SIM_FAULT_net_drop, &prng));
  sim_world_deinit(&world);
}

/* ---- nodes ---- */

static void *leaked;
static void start_leaky(sim_node *node) { leaked = lk_alloc_bytes(&node->memory.table, 10); }

TEST(a_process_that_leaves_memory_behind_fails_the_run) {
  static const sim_options options = { .seed = 1 };
  static const sim_node_kind leaky = { .name = "leaky", .start = start_leaky };
  sim_world world;
  sim_node node;
  sim_world_init(&world, test_alloc(), &options, NULL);
  sim_node_init(&node, &world, &leaky, 1, "leaky", 1000);
  sim_node_start(&node);
  CHECK(node.is_up && node.memory.used == 10);
  sim_node_stop(&node);
  CHECK(world.failed);
  CHECK(lk_slice_starts_with(lk_slice_cstr(world.failure), LK_LIT("leak")));
  lk_free_bytes(&node.memory.table, leaked, 10);
  sim_world_deinit(&world);
}

static uint32_t wakes;
static void count_wake(sim_node *node) {
  (void)node;
  wakes++;
}

TEST(alarms_ring_by_the_clock_of_the_node_and_wait_for_the_end_of_a_pause) {
  static const sim_options options = { .seed = 1 };
  static const sim_node_kind kind = { .name = "x", .wake = count_wake };
  sim_world world;
  sim_node node;
  wakes = 0;
  sim_world_init(&world, test_alloc(), &options, NULL);
  sim_node_init(&node, &world, &kind, 1, "x", 1000);
  sim_node_start(&node);
  uint64_t at = sim_node_now_ms(&node) + 1000;
  sim_node_wake_at(&node, at);
  while (wakes == 0) CHECK(sim_world_step(&world));
  CHECK_U64(sim_node_now_ms(&node), at);
  CHECK(world.now_us >= 990000 && world.now_us <= 1010000);
  sim_node_pause(&node, world.now_us + 500);
  sim_node_poke(&node);
  sim_node_wake_at(&node, SIM_NEVER); /* does not take the poke back */
  sim_world_run(&world, world.now_us + 499);
  CHECK_U64(wakes, 1);
  sim_world_run(&world, world.now_us + 2);
  CHECK_U64(wakes, 2);
  sim_node_poke(&node);
  sim_node_stop(&node);
  sim_world_run(&world, world.now_us + 1000);
  CHECK_U64(wakes, 2); /* the dead do not wake */
  sim_world_deinit(&world);
}

TEST(a_node_that_uses_more_than_its_bound_fails_the_run) {
  static const sim_options options = { .seed = 1 };
  static const sim_node_kind kind = { .name = "x" };
  sim_world world;
  sim_node node;
  sim_world_init(&world, test_alloc(), &options, NULL);
  sim_node_init(&node, &world, &kind, 1, "x", 100);
  void *a = lk_alloc_bytes(&node.memory.table, 60);
  CHECK(!world.failed);
  void *b = lk_alloc_bytes(&node.memory.table, 60);
  CHECK(world.failed);
  CHECK_U64(node.memory.peak, 120);
  lk_free_bytes(&node.memory.table, a, 60);
  lk_free_bytes(&node.memory.table, b, 60);
  CHECK_U64(node.memory.used, 0);
  sim_world_deinit(&world);
}

TEST(allocations_fail_only_where_they_may) {
  sim_options options = { .seed = 1 };
  static const sim_node_kind kind = { .name = "x" };
  sim_world world;
  sim_node node;
  options.rate[SIM_FAULT_memory_out] = 1000000;
  sim_world_init(&world, test_alloc(), &options, NULL);
  sim_node_init(&node, &world, &kind, 1, "x", 100);
  void *a = lk_alloc_bytes(&node.memory.table, 60);
  CHECK(a != NULL);
  node.memory.may_fail = true;
  CHECK(lk_alloc_bytes(&node.memory.table, 10) == NULL);
  CHECK(lk_resize_array(&node.memory.table, a, 60, 70, 1) == NULL);
  lk_free_bytes(&node.memory.table, a, 60);
  sim_world_deinit(&world);
}

/* ---- whole runs ---- */

static uint64_t hash_of(uint64_t seed, FILE *trace) {
  sim_options options;
  sim_result result;
  sim_run(&sim_scenarios[0], seed, 0, SIM_PLANT_NONE, test_alloc(), trace, &options, &result);
  if (result.failed)
    test_fail(LK_FILE, __LINE__, "seed %llu: %s", (unsigned long long)seed, result.failure);
  return result.hash;
}

TEST(one_seed_is_one_run_and_another_seed_is_another) {
  uint64_t first = hash_of(4, NULL);
  CHECK_U64(hash_of(4, NULL), first);
  CHECK(hash_of(9, NULL) != first);
}

TEST(writing_the_story_down_does_not_change_it) {
  FILE *nowhere = fopen("/dev/null", "w");
  CHECK(nowhere != NULL);
  CHECK_U64(hash_of(4, nowhere), hash_of(4, NULL));
  (void)fclose(nowhere);
}

/* Goal: every fault of the table happens in some run, or it is a line that does nothing. Datagrams
 * have no user among the scenarios yet: net_test.c covers theirs. */
TEST(every_fault_strikes_in_some_run) {
  uint64_t faults[SIM_FAULT_COUNT] = { 0 };
  for (uint64_t seed = 1; seed <= 16; seed++) {
    sim_options options;
    sim_result result;
    lk_slice name = seed <= 12 ? LK_LIT("counter-storm") : LK_LIT("doc-storm");
    sim_run(sim_scenario_of(name), seed, 0, SIM_PLANT_NONE, test_alloc(), NULL,
            &options, &result);
    if (result.failed)
      test_fail(LK_FILE, __LINE__, "seed %llu: %s", (unsigned long long)seed, result.failure);
    for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) faults[i] += result.faults[i];
  }
  for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
    bool is_datagram = i == SIM_FAULT_net_drop || i == SIM_FAULT_net_duplicate;
    if (faults[i] == 0 && !is_datagram)
      test_fail(LK_FILE, __LINE__, "%s never struck", sim_fault_rows[i].name);
  }
}

/* Goal: each mistake that a host can be told to make is found soon. (Those in the core need
 * programs of their own: tests/sim/planted.test.mjs.) */
TEST(each_planted_mistake_of_a_host_is_found) {
  for (uint32_t plant = 1; plant < SIM_PLANT_COUNT; plant++) {
    bool found = false;
    for (uint64_t seed = 1; seed <= 20 && !found; seed++) {
      sim_options options;
      sim_result result;
      sim_run(&sim_scenarios[0], seed, 0, (sim_plant)plant, test_alloc(), NULL, &options, &result);
      found = result.failed;
    }
    if (!found) test_fail(LK_FILE, __LINE__, "%s was not found", sim_plant_names[plant]);
  }
}

PROPERTY(a_draw_over_orders_of_magnitude_stays_between_its_bounds) {
  lk_prng prng;
  lk_prng_init(&prng, gen_u64(g));
  uint32_t low = 1 + gen_below(g, 1000), high = low + gen_below(g, 1u << 30);
  uint32_t drawn = sim_draw_log(&prng, low, high);
  CHECK(drawn >= low && drawn <= high);
}
