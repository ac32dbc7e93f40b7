/* bench/server/processes.c -- numbers from /proc. A process that has ended counts as nothing. */
#include "bench/server/processes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

processes processes_of(const char *text) {
  processes self = { .count = 0 };
  while (*text != '\0' && self.count < PROCESSES_MAX) {
    char *end;
    long pid = strtol(text, &end, 10);
    if (end == text) break;
    self.pids[self.count++] = (int)pid;
    text = *end == ',' ? end + 1 : end;
  }
  return self;
}

static FILE *open_file(int pid, const char *name) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  return fopen(path, "r");
}

static double cpu_s(int pid) {
  char line[1024];
  unsigned long user = 0, kernel = 0;
  FILE *file = open_file(pid, "stat");
  if (file == NULL) return 0;
  const char *at = fgets(line, sizeof line, file) == NULL ? NULL : strrchr(line, ')');
  (void)fclose(file);
  /* The name stands in parentheses and may hold anything; eleven fields behind it come the two times. */
  if (at == NULL ||
      sscanf(at + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel) != 2)
    return 0;
  return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

/* The number in kilobytes that follows |name| in a file of such lines. */
static uint64_t kilobytes(int pid, const char *file_name, const char *name) {
  char line[256];
  unsigned long long value = 0;
  FILE *file = open_file(pid, file_name);
  if (file == NULL) return 0;
  while (value == 0 && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, name, strlen(name)) == 0) value = strtoull(line + strlen(name), NULL, 10);
  }
  (void)fclose(file);
  return value;
}

uint64_t kernel_tcp_memory(void) {
  char line[256];
  unsigned long long pages = 0;
  FILE *file = fopen("/proc/net/sockstat", "r");
  if (file == NULL) return 0;
  while (fgets(line, sizeof line, file) != NULL) {
    const char *at = strncmp(line, "TCP:", 4) == 0 ? strstr(line, " mem ") : NULL;
    if (at != NULL) pages = strtoull(at + 5, NULL, 10);
  }
  (void)fclose(file);
  return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

double processes_cpu_s(const processes *self) {
  double sum = 0;
  for (int i = 0; i < self->count; i++) sum += cpu_s(self->pids[i]);
  return sum;
}

uint64_t processes_memory(const processes *self) {
  uint64_t sum = 0;
  for (int i = 0; i < self->count; i++) {
    sum += kilobytes(self->pids[i], "smaps_rollup", "Pss_Anon:");
    sum += kilobytes(self->pids[i], "smaps_rollup", "Pss_Shmem:");
  }
  return sum * 1024;
}

uint64_t processes_own_memory(const processes *self) {
  uint64_t sum = 0;
  for (int i = 0; i < self->count; i++) sum += kilobytes(self->pids[i], "status", "RssAnon:");
  return sum * 1024;
}
