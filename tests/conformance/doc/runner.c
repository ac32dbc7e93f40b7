/* tests/conformance/doc/runner.c -- doc_conformance: does our document engine do what Yjs did?
 *
 *   node sessions.mjs --seed 1 --count 2000 | doc_conformance
 *   doc_conformance --levels MDC --session 17 --stop-after 1 FILE
 *
 * Ends with 0 where all is as Yjs had it, 1 where something differs, 2 where the input is no good. */
#include "tests/conformance/doc/replay.h"
#include "tests/conformance/doc/serve.h"

#include <stdlib.h>
#include <string.h>

static const struct {
  char letter;
  const char *about;
} levels[] = {
#define LEVEL(name, letter, about) { letter, about },
#include "tests/conformance/doc/levels.def"
#undef LEVEL
};

static _Noreturn void usage(void) {
  (void)fputs(
      "usage: doc_conformance [--levels LETTERS] [--session N] [--stop-after N] [--whole]\n"
      "                       [--bare all|none] [--spoil N] [FILE]\n"
      "       doc_conformance --serve\n"
      "FILE holds records of sessions, gunzipped; without one they are read from standard input.\n"
      "  --levels      some of these alone:\n",
      stderr);
  for (size_t i = 0; i < LEVEL_COUNT; i++) {
    (void)fprintf(stderr, "                  %c  %s\n", levels[i].letter, levels[i].about);
  }
  (void)fputs(
      "  --session     that session alone\n"
      "  --stop-after  so many failures\n"
      "  --whole       show all of the two updates, not only where they differ\n"
      "  --bare        operations that are alone without a transaction: in all sessions or in\n"
      "                none, else in half of them\n"
      "  --spoil       change the Nth bytes that the engine gives, to see it noticed\n"
      "  --serve       obey commands: see serve.h\n",
      stderr);
  exit(2);
}

static uint64_t number_of(const char *text) {
  char *end;
  uint64_t number = strtoull(text, &end, 10);
  if (*text == 0 || *end != 0) usage();
  return number;
}

static void choose(replay_options *options, const char *letters) {
  memset(options->levels, 0, sizeof options->levels);
  for (; *letters != 0; letters++) {
    size_t at = 0;
    while (at < LEVEL_COUNT && levels[at].letter != *letters) at++;
    if (at == LEVEL_COUNT) usage();
    options->levels[at] = true;
  }
}

static replay_bare bare_of(const char *word) {
  if (strcmp(word, "all") == 0) return BARE_ALL;
  if (strcmp(word, "none") != 0) usage();
  return BARE_NONE;
}

/* Returns how many words were read. */
static int read_option(replay_options *options, char **words, int left) {
  const char *word = words[0];
  if (strcmp(word, "--whole") == 0) {
    options->whole = true;
    return 1;
  }
  if (word[0] != '-') {
    if ((options->in = fopen(word, "rb")) == NULL) die("%s cannot be opened", word);
    return 1;
  }
  if (left < 2) usage();
  if (strcmp(word, "--levels") == 0 || strcmp(word, "--level") == 0) choose(options, words[1]);
  else if (strcmp(word, "--stop-after") == 0) options->stop_after = number_of(words[1]);
  else if (strcmp(word, "--bare") == 0) options->bare = bare_of(words[1]);
  else if (strcmp(word, "--spoil") == 0) options->spoil = number_of(words[1]);
  else if (strcmp(word, "--session") == 0) {
    options->one_session = true;
    options->session = number_of(words[1]);
  } else {
    usage();
  }
  return 2;
}

#define LONG(number) ((unsigned long long)(number))

static bool report(const replay_options *options, const replay_result *result) {
  tally all = { 0 };
  printf("      passed   failed  skipped  excused\n");
  for (size_t i = 0; i < LEVEL_COUNT; i++) {
    const tally *at = &result->levels[i];
    if (!options->levels[i]) continue;
    printf("%c  %9llu%9llu%9llu%9llu  %s\n", levels[i].letter, LONG(at->passed), LONG(at->failed),
           LONG(at->skipped), LONG(at->excused), levels[i].about);
    all.passed += at->passed;
    all.failed += at->failed;
  }
  printf("%llu sessions, in %llu of which Yjs differs from itself\n", LONG(result->sessions),
         LONG(result->diverged));
  printf("%llu passed, %llu failed\n", LONG(all.passed), LONG(all.failed));
  return all.failed == 0;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--serve") == 0) {
    serve(stdin, stdout);
    return 0;
  }
  replay_options options = { .in = stdin, .report = stdout };
  memset(options.levels, 1, sizeof options.levels);
  for (int i = 1; i < argc;) i += read_option(&options, argv + i, argc - i);
  replay_result result;
  replay_run(&options, &result);
  bool good = report(&options, &result);
  if (options.in != stdin) (void)fclose(options.in);
  return good ? 0 : 1;
}
