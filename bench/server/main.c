/* bench/server/main.c -- the two programs of this folder in one, as bench/bench.cmake makes one of each folder.
 *
 *   bench_server load OPTION...     a load generator (load.c)
 *   bench_server limit PORT         the least that a server of rooms can be (limit.c)
 *
 * load.mjs beside it starts both, and the servers that they are measured with. Without arguments there is nothing to
 * measure: tools/bench.mjs calls every program of a suite once without any. */
#include "bench/server/programs.h"

#include <stdio.h>
#include <string.h>

int main(int count, char **arguments) {
  if (count < 2) return 0;
  if (strcmp(arguments[1], "load") == 0) return run_load(count - 2, arguments + 2);
  if (strcmp(arguments[1], "limit") == 0) return run_limit(count - 2, arguments + 2);
  (void)fprintf(stderr, "bench_server load OPTION... | limit PORT\n");
  return 2;
}
