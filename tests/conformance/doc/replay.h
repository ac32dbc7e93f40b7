/* tests/conformance/doc/replay.h -- plays sessions of Yjs again on our engine, and compares. */
#ifndef CONFORMANCE_REPLAY_H
#define CONFORMANCE_REPLAY_H

#include "tests/conformance/doc/stream.h"

typedef enum level {
#define LEVEL(name, letter, about) LEVEL_##name,
#include "tests/conformance/doc/levels.def"
#undef LEVEL
  LEVEL_COUNT
} level;

typedef struct tally {
  uint64_t passed;
  uint64_t failed;
  uint64_t skipped; /* what is not there yet, and what follows a failure */
  uint64_t excused; /* differs in a session in which Yjs' own clients ended differently */
} tally;

typedef enum replay_bare { BARE_HALF, BARE_ALL, BARE_NONE } replay_bare;

typedef struct replay_options {
  FILE *in;
  FILE *report; /* each failure, with what was expected and what came */
  bool levels[LEVEL_COUNT];
  bool one_session;
  uint64_t session;    /* where |one_session| */
  uint64_t stop_after; /* failures; 0 for none */
  replay_bare bare; /* in which sessions operations that are alone are done without a transaction */
  bool whole;       /* failures show all structs, not only those around the difference */
  uint64_t
      spoil; /* the how many-th bytes that the engine gives are changed, to see that this is noticed */
} replay_options;

typedef struct replay_result {
  uint64_t sessions;
  uint64_t diverged; /* sessions in which Yjs' own clients ended differently */
  tally levels[LEVEL_COUNT];
} replay_result;

void replay_run(const replay_options *options, replay_result *out);

#endif
