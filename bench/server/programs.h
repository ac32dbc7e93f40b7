/* bench/server/programs.h -- what main.c chooses from. Both get the arguments behind their name. */
#ifndef LK_BENCH_SERVER_PROGRAMS_H
#define LK_BENCH_SERVER_PROGRAMS_H

int run_load(int count, char **arguments);
int run_limit(int count, char **arguments);

#endif
