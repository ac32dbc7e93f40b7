/* Each invariant is shown a history that breaks it, and one beside it that does not. */
#include "sim/oracle.h"

#include "harness/test.h"

typedef struct forged {
  sim_options options;
  sim_world world;
  sim_oracle oracle;
  lk_limits limits;
  lk_gcounter state;
} forged;

static void begin(forged *f) {
  *f = (forged){ .options = { .seed = 1 }, .limits = LK_LIMITS_INIT };
  sim_world_init(&f->world, test_alloc(), &f->options, NULL);
  sim_oracle_init(&f->oracle, &f->world);
  lk_gcounter_init(&f->state, test_alloc(), &f->limits);
}

static void end(forged *f) {
  lk_gcounter_deinit(&f->state);
  sim_oracle_deinit(&f->oracle);
  sim_world_deinit(&f->world);
}

static void has(forged *f, const char *actor, uint64_t count) {
  CHECK_OK(lk_gcounter_increment(&f->state, lk_slice_cstr(actor), count));
}

/* The last check was passed, or found just this. */
static void expect(forged *f, sim_violation violation) {
  CHECK_U64(f->oracle.violation, violation);
  CHECK(f->world.failed == (violation != SIM_VIOLATION_NONE));
}

TEST(a_confirmed_count_that_the_server_lacks_is_lost) {
  forged f;
  begin(&f);
  sim_oracle_counted(&f.oracle, LK_LIT("ann"), 5);
  sim_oracle_confirmed(&f.oracle, LK_LIT("ann"), 3);
  has(&f, "ann", 3);
  sim_oracle_check_server(&f.oracle, &f.state); /* 2 of 5 are not confirmed yet */
  expect(&f, SIM_VIOLATION_NONE);
  sim_oracle_confirmed(&f.oracle, LK_LIT("ann"), 4);
  sim_oracle_check_server(&f.oracle, &f.state);
  expect(&f, SIM_VIOLATION_LOST);
  end(&f);
}

TEST(a_confirmed_actor_that_is_gone_altogether_is_lost) {
  forged f;
  begin(&f);
  sim_oracle_counted(&f.oracle, LK_LIT("ann"), 1);
  has(&f, "ann", 1);
  sim_oracle_confirmed_all(&f.oracle, &f.state);
  lk_gcounter_deinit(&f.state);
  lk_gcounter_init(&f.state, test_alloc(), &f.limits);
  sim_oracle_check_server(&f.oracle, &f.state);
  expect(&f, SIM_VIOLATION_LOST);
  end(&f);
}

TEST(an_acknowledged_request_that_left_no_trace_is_lost) {
  forged f;
  begin(&f);
  sim_oracle_sent(&f.oracle, 7);
  sim_oracle_acknowledged(&f.oracle, 4);
  has(&f, "room-1", 3);
  has(&f, "room-2", 1);
  sim_oracle_check_server(&f.oracle, &f.state);
  expect(&f, SIM_VIOLATION_NONE);
  sim_oracle_acknowledged(&f.oracle, 1);
  sim_oracle_check_server(&f.oracle, &f.state);
  expect(&f, SIM_VIOLATION_LOST);
  end(&f);
}

TEST(a_value_that_was_shown_and_is_no_longer_reached_is_lost) {
  forged f;
  begin(&f);
  sim_oracle_sent(&f.oracle, 7);
  has(&f, "room-1", 6);
  sim_oracle_shown(&f.oracle, 6);
  sim_oracle_check_server(&f.oracle, &f.state);
  expect(&f, SIM_VIOLATION_NONE);
  sim_oracle_shown(&f.oracle, 7);
  sim_oracle_check_server(&f.oracle, &f.state);
  expect(&f, SIM_VIOLATION_LOST);
  end(&f);
}

TEST(a_count_above_what_its_user_counted_is_a_phantom) {
  forged f;
  begin(&f);
  sim_oracle_counted(&f.oracle, LK_LIT("ann"), 5);
  has(&f, "ann", 5);
  sim_oracle_check_server(&f.oracle, &f.state);
  sim_oracle_check_replica(&f.oracle, 1, &f.state);
  expect(&f, SIM_VIOLATION_NONE);
  has(&f, "ann", 1);
  sim_oracle_check_replica(&f.oracle, 1, &f.state);
  expect(&f, SIM_VIOLATION_PHANTOM);
  end(&f);
}

TEST(an_actor_that_nobody_knows_is_a_phantom) {
  forged f;
  begin(&f);
  sim_oracle_confirmed(&f.oracle, LK_LIT("bob"), 1); /* told of is not counted */
  has(&f, "bob", 1);
  sim_oracle_check_server(&f.oracle, &f.state);
  expect(&f, SIM_VIOLATION_PHANTOM);
  end(&f);
}

TEST(requests_that_count_more_than_was_sent_are_a_phantom) {
  forged f;
  begin(&f);
  sim_oracle_sent(&f.oracle, 5);
  has(&f, "room-1", 5);
  sim_oracle_check_server(&f.oracle, &f.state);
  expect(&f, SIM_VIOLATION_NONE);
  sim_oracle_refused(&f.oracle, 2); /* and was counted all the same */
  sim_oracle_check_server(&f.oracle, &f.state);
  expect(&f, SIM_VIOLATION_PHANTOM);
  end(&f);
}

TEST(a_replica_whose_value_becomes_smaller_fell_unless_it_is_another_one) {
  forged f;
  begin(&f);
  sim_oracle_counted(&f.oracle, LK_LIT("ann"), 9);
  has(&f, "ann", 9);
  sim_oracle_check_replica(&f.oracle, 1, &f.state);
  lk_gcounter_deinit(&f.state);
  lk_gcounter_init(&f.state, test_alloc(), &f.limits);
  sim_oracle_check_replica(&f.oracle, 2, &f.state);
  sim_oracle_replaced(&f.oracle, 3);
  sim_oracle_check_replica(&f.oracle, 3, &f.state);
  expect(&f, SIM_VIOLATION_NONE);
  sim_oracle_check_replica(&f.oracle, 1, &f.state);
  expect(&f, SIM_VIOLATION_FELL);
  end(&f);
}

TEST(a_living_user_whose_count_is_incomplete_in_the_end_diverged) {
  forged f;
  begin(&f);
  sim_oracle_counted(&f.oracle, LK_LIT("ann"), 5);
  sim_oracle_counted(&f.oracle, LK_LIT("bob"), 5);
  sim_oracle_confirmed(&f.oracle, LK_LIT("bob"), 2);
  sim_oracle_died(&f.oracle, LK_LIT("bob"));
  has(&f, "ann", 5);
  has(&f, "bob", 3); /* between confirmed and counted: fine for the dead */
  sim_oracle_check_complete(&f.oracle, &f.state);
  expect(&f, SIM_VIOLATION_NONE);
  sim_oracle_counted(&f.oracle, LK_LIT("ann"), 6);
  sim_oracle_check_complete(&f.oracle, &f.state);
  expect(&f, SIM_VIOLATION_DIVERGED);
  end(&f);
}

TEST(replicas_that_differ_in_the_end_diverged) {
  forged f;
  lk_gcounter other;
  begin(&f);
  lk_gcounter_init(&other, test_alloc(), &f.limits);
  sim_oracle_check_equal(&f.oracle, "ann", &f.state, &other);
  expect(&f, SIM_VIOLATION_NONE);
  has(&f, "ann", 1);
  CHECK_OK(lk_gcounter_increment(&other, LK_LIT("bob"), 1)); /* equal values, other counts */
  sim_oracle_check_equal(&f.oracle, "ann", &f.state, &other);
  expect(&f, SIM_VIOLATION_DIVERGED);
  lk_gcounter_deinit(&other);
  end(&f);
}

TEST(what_did_not_happen_in_time_is_overdue_and_the_first_violation_stays) {
  forged f;
  begin(&f);
  sim_oracle_overdue(&f.oracle, "an answer");
  expect(&f, SIM_VIOLATION_OVERDUE);
  has(&f, "nobody", 1);
  sim_oracle_check_server(&f.oracle, &f.state);
  expect(&f, SIM_VIOLATION_OVERDUE);
  CHECK_SLICE(lk_slice_cstr(f.world.failure), LK_LIT("overdue: an answer"));
  end(&f);
}
