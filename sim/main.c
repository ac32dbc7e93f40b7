/* sim/main.c -- the simulator as a program: seeds in, the first broken promise out.
 *
 *   laniakea-sim [--seed N] [--seeds COUNT] [--scenario NAME] [--minutes M] [--plant NAME]
 *                [--trace] [--twice] [--list]
 *
 * Seeds from N on, COUNT of them. The first that fails ends the program with status 1, everything
 * that was drawn, and the command that runs it again with its story. A failed assertion, a
 * sanitizer's report and a loop without end are failures too: the last words say which seed. */
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "platform/posix/heap.h"
#include "sim/scenario.h"

/* A seed takes milliseconds; one that takes this long is caught in a loop. With --minutes anything
 * may take long. */
#define SEED_SECONDS_MAX 120

typedef struct arguments {
  uint64_t seed;
  uint64_t seeds;
  uint32_t minutes;
  const sim_scenario *scenario;
  sim_plant plant;
  const char *program;
  bool trace;
  bool twice;
} arguments;

typedef struct totals {
  uint64_t seeds;
  uint64_t simulated_us;
  uint64_t events;
  uint64_t messages;
  uint64_t changes;
  uint64_t checks;
  uint64_t hash;
  uint64_t faults[SIM_FAULT_COUNT];
} totals;

#define U(value) ((unsigned long long)(value))

/* ---- last words ---- */

static char replay[512];
static size_t replay_len;

static void say_replay(void) { (void)!write(STDERR_FILENO, replay, replay_len); }

static void on_signal(int number) {
  static const char loop[] = "no end in sight: a loop?\n";
  if (number == SIGALRM) (void)!write(STDERR_FILENO, loop, sizeof loop - 1);
  say_replay();
  (void)signal(number, SIG_DFL);
  (void)raise(number);
}

_Noreturn void lk_panic(const lk_panic_site *site) {
  (void)fflush(stdout);
  (void)fprintf(stderr, "assertion failed at %s:%u: %s\n", site->file, site->line, site->expr);
  abort();
}

#ifdef LK_COVERAGE_MARKS
void lk_covered(const char *name);
void lk_covered(const char *name) { (void)name; }
#endif

#ifdef LK_UNDER_SANITIZER
void __sanitizer_set_death_callback(void (*callback)(void));
#endif

static void prepare_last_words(void) {
  static const int numbers[] = { SIGABRT, SIGALRM, SIGFPE, SIGILL };
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    (void)signal(numbers[i], on_signal);
#ifdef LK_UNDER_SANITIZER
  __sanitizer_set_death_callback(say_replay);
#else
  (void)signal(SIGSEGV, on_signal);
  (void)signal(SIGBUS, on_signal);
#endif
}

static void set_replay(const arguments *a, uint64_t seed) {
  char minutes[32] = "";
  if (a->minutes > 0) (void)snprintf(minutes, sizeof minutes, " --minutes %u", a->minutes);
  int len = snprintf(replay, sizeof replay,
                     "seed %llu; again: %s --seed %llu --scenario %s%s%s%s --trace\n", U(seed),
                     a->program, U(seed), a->scenario->name, minutes,
                     a->plant == SIM_PLANT_NONE ? "" : " --plant ",
                     a->plant == SIM_PLANT_NONE ? "" : sim_plant_names[a->plant]);
  replay_len = lk_min_size((size_t)len, sizeof replay - 1);
}

/* ---- arguments ---- */

static int list(void) {
  for (uint32_t i = 0; i < sim_scenario_count; i++) {
    (void)printf("%-16s %s\n", sim_scenarios[i].name, sim_scenarios[i].text);
  }
  (void)printf("\nfaults:\n");
  for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
    (void)printf("  %-18s %s\n", sim_fault_rows[i].name, sim_fault_rows[i].text);
  }
  (void)printf("\nplants (mistakes to be found):\n");
  for (uint32_t i = 1; i < SIM_PLANT_COUNT; i++) (void)printf("  %s\n", sim_plant_names[i]);
  return 0;
}

static int usage(const char *program) {
  (void)fprintf(
      stderr,
      "usage: %s [--seed N] [--seeds COUNT] [--scenario NAME] [--minutes M] [--plant NAME]\n"
      "       [--trace] [--twice] [--list]\n",
      program);
  return 2;
}

static bool read_number(const char *text, uint64_t *out) {
  char *end;
  if (text == NULL || *text < '0' || *text > '9') return false;
  *out = strtoull(text, &end, 0);
  return *end == 0;
}

static bool read_value(arguments *a, lk_slice name, const char *value) {
  uint64_t number = 0;
  if (value == NULL) return false;
  if (lk_slice_equal(name, LK_LIT("--seed"))) return read_number(value, &a->seed);
  if (lk_slice_equal(name, LK_LIT("--seeds"))) return read_number(value, &a->seeds);
  if (lk_slice_equal(name, LK_LIT("--minutes"))) {
    bool ok = read_number(value, &number) && number > 0 && number <= 100000;
    a->minutes = (uint32_t)number;
    return ok;
  }
  if (lk_slice_equal(name, LK_LIT("--plant"))) {
    a->plant = sim_plant_of(lk_slice_cstr(value));
    return a->plant != SIM_PLANT_COUNT;
  }
  if (!lk_slice_equal(name, LK_LIT("--scenario"))) return false;
  a->scenario = sim_scenario_of(lk_slice_cstr(value));
  return a->scenario != NULL;
}

/* ---- running ---- */

static void report_failure(const arguments *a, uint64_t seed, const sim_options *options,
                           const sim_result *result) {
  (void)fflush(stdout);
  (void)fprintf(stderr, "seed %llu of %s failed after %.3f simulated seconds, %llu events\n  %s\n",
                U(seed), a->scenario->name, (double)result->simulated_us / 1e6, U(result->events),
                result->failure);
  sim_options_print(options, stderr);
  say_replay();
}

static void add(totals *t, const sim_result *r) {
  t->seeds++;
  t->simulated_us += r->simulated_us;
  t->events += r->events;
  t->messages += r->messages;
  t->changes += r->changes;
  t->checks += r->checks;
  t->hash = t->hash * 31 + r->hash;
  for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) t->faults[i] += r->faults[i];
}

static bool run_seed(const arguments *a, uint64_t seed, totals *t) {
  sim_options options;
  sim_result result, again;
  set_replay(a, seed);
  (void)alarm(a->minutes > 0 ? 0 : SEED_SECONDS_MAX);
  sim_run(a->scenario, seed, a->minutes, a->plant, lk_posix_heap(), a->trace ? stdout : NULL,
          &options, &result);
  if (a->twice && !result.failed) {
    sim_run(a->scenario, seed, a->minutes, a->plant, lk_posix_heap(), NULL, &options, &again);
    if (again.hash != result.hash) {
      result.failed = true;
      (void)snprintf(result.failure, sizeof result.failure,
                     "two runs gave hashes %016llx and %016llx", U(result.hash), U(again.hash));
    }
  }
  (void)alarm(0);
  add(t, &result);
  if (result.failed) report_failure(a, seed, &options, &result);
  return !result.failed;
}

static double seconds(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void print_totals(const totals *t, double took) {
  double hours = (double)t->simulated_us / 3600e6;
  uint64_t faults = 0;
  for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) faults += t->faults[i];
  (void)printf("%llu seeds passed: %.1f simulated hours, %llu events, %llu messages, %llu changes, "
               "%llu checks\n",
               U(t->seeds), hours, U(t->events), U(t->messages), U(t->changes), U(t->checks));
  (void)printf("faults: %llu\n", U(faults));
  for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
    if (t->faults[i] > 0) (void)printf("  %-18s %llu\n", sim_fault_rows[i].name, U(t->faults[i]));
  }
  (void)printf("hash %016llx\n", U(t->hash));
  (void)fprintf(stderr, "%.1f s: %.0f seeds and %.0f simulated hours a minute\n", took,
                (double)t->seeds / took * 60, hours / took * 60);
}

int main(int argc, char **argv) {
  arguments a = { .seed = 1, .seeds = 1, .scenario = &sim_scenarios[0], .program = argv[0] };
  totals t = { 0 };
  for (int i = 1; i < argc; i++) {
    lk_slice name = lk_slice_cstr(argv[i]);
    if (lk_slice_equal(name, LK_LIT("--list"))) return list();
    if (lk_slice_equal(name, LK_LIT("--trace"))) a.trace = true;
    else if (lk_slice_equal(name, LK_LIT("--twice"))) a.twice = true;
    else if (read_value(&a, name, i + 1 < argc ? argv[i + 1] : NULL)) i++;
    else return usage(argv[0]);
  }
  prepare_last_words();
  double began = seconds(), told = began;
  bool is_terminal = isatty(STDERR_FILENO) == 1 && !a.trace;
  for (uint64_t i = 0; i < a.seeds; i++) {
    if (!run_seed(&a, a.seed + i, &t)) return 1;
    if (!is_terminal || seconds() - told < 0.5) continue;
    told = seconds();
    (void)fprintf(stderr, "\r%llu of %llu seeds", U(i + 1), U(a.seeds));
  }
  if (is_terminal) (void)fprintf(stderr, "\r\033[K");
  print_totals(&t, seconds() - began + 1e-6);
  return 0;
}
