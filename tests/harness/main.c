/* harness/main.c -- runs the tests of one binary, or gives their bodies to libFuzzer.
 *
 * A test that fails jumps back here, so that the others still run. Output is what went wrong and
 * how to repeat it, then one line of counts; `--verbose` names each test and its time. */
#include "harness/internal.h"
#include "harness/test.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CASES_DEFAULT 2000
#define NOTES_MAX 4096
#define COVERED_MAX 256
#define SECONDS_MAX 300 /* for one test, all its cases together; hangs are failures */

static test_case *tests;
static struct {
  const char *program;
  const char *filter;
  uint64_t seed;
  uint64_t cases;
  bool list;
  bool verbose;
} options = { .seed = 1, .cases = CASES_DEFAULT };

static struct {
  test_case *test;
  uint64_t seed; /* of the case that is running */
  jmp_buf failed;
  bool running;
  jmp_buf panicked;
  bool panic_expected;
  char notes[NOTES_MAX];
  size_t notes_len;
  const char *covered[COVERED_MAX];
  size_t covered_count;
  char *files[16];
  size_t file_count;
} now;

void test_register(test_case *test) {
  /* Sorted by place in the source, whatever order the linker chose. */
  test_case **at = &tests;
  while (*at != NULL) {
    int order = strcmp((*at)->file, test->file);
    if (order > 0 || (order == 0 && (*at)->line > test->line)) break;
    at = &(*at)->next;
  }
  test->next = *at;
  *at = test;
}

/* ---- failing ---- */

static void print_repeat(void) {
  if (now.test == NULL) return;
  (void)printf("  repeat: %s --filter %s", options.program, now.test->name);
  if (now.test->kind != TEST_PLAIN) {
    (void)printf(" --seed %llu --cases 1", (unsigned long long)now.seed);
  }
  (void)printf("\n");
  (void)fflush(stdout);
}

static _Noreturn void leave(void) {
#ifdef LK_FUZZ_DRIVER
  abort();
#else
  if (!now.running) exit(1);
  longjmp(now.failed, 1);
#endif
}

_Noreturn void test_fail(const char *file, unsigned line, const char *format, ...) {
  va_list args;
  (void)printf("FAIL %s\n  %s:%u: ", now.test == NULL ? "?" : now.test->name, file, line);
  va_start(args, format);
  (void)vprintf(format, args);
  va_end(args);
  (void)printf("\n%s", now.notes);
  print_repeat();
  leave();
}

_Noreturn void harness_die(const char *text) { test_fail("harness", 0, "%s", text); }

void test_note(const char *format, ...) {
  va_list args;
  size_t room = sizeof now.notes - now.notes_len;
  if (room < 8) return;
  va_start(args, format);
  int n = vsnprintf(now.notes + now.notes_len, room, format, args);
  va_end(args);
  if (n < 0) return;
  now.notes_len += lk_min_size((size_t)n, room - 2);
  now.notes[now.notes_len++] = '\n';
  now.notes[now.notes_len] = 0;
}

_Noreturn void lk_panic(const lk_panic_site *site) {
  if (now.panic_expected) longjmp(now.panicked, 1);
  test_fail(site->file, site->line, "assertion failed: %s", site->expr);
}

bool test_panic_begin(void) {
  now.panic_expected = true;
  return true;
}
jmp_buf *test_panic_buf(void) { return &now.panicked; }
void test_panic_end(void) { now.panic_expected = false; }

#ifndef LK_FUZZ_DRIVER
/* A crash still says which test it was in, then dies of the signal. */
static void on_signal(int number) {
  static const char text[] = "CRASH in the test named below\n";
  (void)!write(1, text, sizeof text - 1);
  if (now.test != NULL) {
    (void)!write(1, now.test->name, strlen(now.test->name));
    (void)!write(1, "\n", 1);
  }
  (void)signal(number, SIG_DFL);
  (void)raise(number);
}
#endif

/* ---- checks ---- */

void test_check_err(const char *file, unsigned line, const char *expr, lk_err got, lk_err want) {
  if (got != want) {
    test_fail(file, line, "%s: got %s, want %s", expr, lk_err_name(got), lk_err_name(want));
  }
}

void test_check_u64(const char *file, unsigned line, const char *expr, uint64_t got,
                    uint64_t want) {
  if (got != want) {
    test_fail(file, line, "%s: got %llu (0x%llx), want %llu (0x%llx)", expr,
              (unsigned long long)got, (unsigned long long)got, (unsigned long long)want,
              (unsigned long long)want);
  }
}

void test_check_i64(const char *file, unsigned line, const char *expr, int64_t got, int64_t want) {
  if (got != want) {
    test_fail(file, line, "%s: got %lld, want %lld", expr, (long long)got, (long long)want);
  }
}

/* Up to 96 bytes, those that are not printable in hex. */
static void render(lk_slice bytes, char out[400]) {
  size_t len = 0;
  for (size_t i = 0; i < bytes.len && i < 96; i++) {
    uint8_t c = bytes.ptr[i];
    if (c >= 0x20 && c < 0x7f && c != '\\') out[len++] = (char)c;
    else len += (size_t)snprintf(out + len, 5, "\\x%02x", c);
  }
  (void)snprintf(out + len, 8, bytes.len > 96 ? "..." : "");
}

void test_check_slice(const char *file, unsigned line, const char *expr, lk_slice got,
                      lk_slice want) {
  if (lk_slice_equal(got, want)) return;
  char got_text[400], want_text[400];
  render(got, got_text);
  render(want, want_text);
  size_t at = 0;
  while (at < got.len && at < want.len && got.ptr[at] == want.ptr[at]) at++;
  test_fail(file, line,
            "%s differs at byte %zu:\n    got  %zu bytes \"%s\"\n    want %zu bytes \"%s\"", expr,
            at, got.len, got_text, want.len, want_text);
}

/* ---- coverage marks ---- */

#ifdef LK_COVERAGE_MARKS
void lk_covered(const char *name) {
  for (size_t i = 0; i < now.covered_count; i++) {
    if (now.covered[i] == name || strcmp(now.covered[i], name) == 0) return;
  }
  if (now.covered_count < COVERED_MAX) now.covered[now.covered_count++] = name;
}
#endif

bool test_was_covered(const char *name) {
#ifdef LK_COVERAGE_MARKS
  for (size_t i = 0; i < now.covered_count; i++) {
    if (strcmp(now.covered[i], name) == 0) return true;
  }
  return false;
#else
  (void)name; /* this build has no marks: the builds that have them ask */
  return true;
#endif
}

/* ---- files ---- */

lk_slice test_read_file(const char *path) {
  const char *root = getenv("LK_SOURCE_DIR");
  char full[1024];
  (void)snprintf(full, sizeof full, "%s/%s", root != NULL ? root : LK_SOURCE_DIR, path);
  FILE *file = fopen(full, "rb");
  if (file == NULL) test_fail(path, 0, "cannot be opened; LK_SOURCE_DIR names the source tree");
  size_t cap = 1 << 16, len = 0;
  char *bytes = malloc(cap);
  for (size_t n; bytes != NULL && (n = fread(bytes + len, 1, cap - len, file)) > 0;) {
    len += n;
    if (len == cap) bytes = realloc(bytes, cap *= 2);
  }
  (void)fclose(file);
  if (bytes == NULL || now.file_count == sizeof now.files / sizeof now.files[0]) {
    harness_die("too many or too large files in one test");
  }
  now.files[now.file_count++] = bytes;
  return lk_slice_of(bytes, len);
}

/* ---- running ---- */

static void begin_case(uint64_t seed) {
  now.seed = seed;
  now.notes_len = 0;
  now.notes[0] = 0;
  now.panic_expected = false;
}

static void end_case(void) {
  size_t bytes, leaks = harness_free_leaks(&bytes);
  if (leaks > 0)
    test_fail(now.test->file, now.test->line, "leaks %zu blocks, %zu bytes", leaks, bytes);
}

static void free_files(void) {
  while (now.file_count > 0) free(now.files[--now.file_count]);
}

#ifdef LK_FUZZ_DRIVER

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc;
  options.program = (*argv)[0];
  const char *name = getenv("LK_FUZZ");
  for (test_case *t = tests; t != NULL; t = t->next) {
    if (name != NULL && strcmp(t->name, name) == 0 && t->kind != TEST_PLAIN) now.test = t;
  }
  if (now.test != NULL) return 0;
  for (test_case *t = tests; t != NULL; t = t->next) {
    if (t->kind != TEST_PLAIN) (void)printf("%s\n", t->name);
  }
  exit(name == NULL || strcmp(name, "list") == 0 ? 0 : 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lk_gen g;
  gen_init_bytes(&g, lk_slice_of(data, size));
  begin_case(0);
  now.test->run(&g);
  end_case();
  free_files();
  return 0;
}

#else

/* What a fuzzer begins with, and what is left when its bytes are used up: no choice but the smallest. Loops must end. */
static void run_exhausted(test_case *test) {
  lk_gen g;
  begin_case(0);
  gen_init_bytes(&g, LK_SLICE_EMPTY);
  test->run(&g);
  end_case();
}

static bool run_test(test_case *test) {
  /* Volatile: they are read after a longjmp. */
  volatile uint64_t index = 0;
  volatile uint64_t count = test->kind == TEST_PLAIN ? 1
                                                     : lk_max_u64(options.cases / test->weight, 1);
  volatile bool passed = true;
  now.test = test;
  now.covered_count = 0;
  now.running = true;
  (void)alarm(SECONDS_MAX);
  if (setjmp(now.failed) == 0) {
    if (test->kind != TEST_PLAIN) run_exhausted(test);
    for (; index < count; index++) {
      lk_gen g;
      begin_case(options.seed + index);
      gen_init_seed(&g, now.seed);
      test->run(&g);
      end_case();
    }
  } else {
    size_t bytes;
    (void)harness_free_leaks(&bytes);
    passed = false;
  }
  (void)alarm(0);
  now.running = false;
  free_files();
  return passed;
}

static double seconds(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int usage(void) {
  (void)fprintf(stderr,
                "usage: %s [--list] [--verbose] [--filter TEXT] [--seed N] [--cases N]\n"
                "  --filter TEXT  only tests whose name contains TEXT\n"
                "  --seed N       the first seed of each property (default 1)\n"
                "  --cases N      seeds for each property (default %d, LK_TEST_CASES)\n",
                options.program, CASES_DEFAULT);
  return 2;
}

static bool parse_u64(const char *text, uint64_t *out) {
  char *end;
  if (text == NULL || *text == 0 || *text == '-') return false;
  *out = strtoull(text, &end, 0);
  return *end == 0;
}

static bool parse_options(int argc, char **argv) {
  options.program = argv[0];
  const char *cases = getenv("LK_TEST_CASES");
  if (cases != NULL && (!parse_u64(cases, &options.cases) || options.cases == 0)) return false;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--list") == 0) options.list = true;
    else if (strcmp(argv[i], "--verbose") == 0) options.verbose = true;
    else if (i + 1 == argc) return false;
    else if (strcmp(argv[i], "--filter") == 0) options.filter = argv[++i];
    else if (strcmp(argv[i], "--seed") == 0 && parse_u64(argv[i + 1], &options.seed)) i++;
    else if (strcmp(argv[i], "--cases") == 0 && parse_u64(argv[i + 1], &options.cases)) i++;
    else return false;
  }
  return options.cases > 0;
}

int main(int argc, char **argv) {
  if (!parse_options(argc, argv)) return usage();
#ifdef LK_UNDER_SANITIZER
  static const int fatal[] = { SIGALRM }; /* the sanitizer reports the others better */
#else
  static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM };
#endif
  for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) (void)signal(fatal[i], on_signal);
  unsigned passed = 0, failed = 0;
  for (test_case *t = tests; t != NULL; t = t->next) {
    if (options.filter != NULL && strstr(t->name, options.filter) == NULL) continue;
    if (options.list) {
      (void)printf("%s\n", t->name);
      continue;
    }
    double began = seconds();
    bool ok = run_test(t);
    ok ? passed++ : failed++;
    if (options.verbose) {
      (void)printf("%s %s (%.0f ms)\n", ok ? "ok  " : "FAIL", t->name, (seconds() - began) * 1e3);
    }
  }
  if (options.list) return 0;
  if (passed + failed == 0) {
    (void)printf("no test matches\n");
    return 2;
  }
  (void)printf("%u passed, %u failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}

#endif
