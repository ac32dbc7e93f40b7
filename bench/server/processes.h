/* bench/server/processes.h -- what all processes of a server take together, as /proc has it. */
#ifndef LK_BENCH_SERVER_PROCESSES_H
#define LK_BENCH_SERVER_PROCESSES_H

#include <stdint.h>

#define PROCESSES_MAX 128

typedef struct processes {
  int pids[PROCESSES_MAX];
  int count;
} processes;

/* |text| is numbers with commas between them. */
processes processes_of(const char *text);

/* Time on processors, in user space and in the kernel, in seconds: of the threads that there are now. */
double processes_cpu_s(const processes *self);

/* Memory in user space, in bytes: what several of them share counts once (the sum of Pss). Pages of programs and
 * libraries are left out: how much of them is in memory, and who else shares it, says nothing of clients. Takes the
 * kernel milliseconds for a gigabyte, in which the process waits. */
uint64_t processes_memory(const processes *self);

/* The same but that anonymous memory counts alone, without what is shared: cheap, for looking often. */
uint64_t processes_own_memory(const processes *self);

/* What the kernel holds for the TCP sockets of the whole machine, both ends of ours among them. */
uint64_t kernel_tcp_memory(void);

#endif
