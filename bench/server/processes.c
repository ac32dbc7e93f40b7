/* bench/server/processes.c -- numbers from /proc. A process that has ended counts as nothing. */
#include "bench/server/processes.h"

#include <dirent.h>
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

/* Of a thread, in nanoseconds. */
static uint64_t thread_cpu_ns(int pid, const char *thread) {
  char path[320];
  unsigned long long ran = 0;
  (void)snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, thread);
  FILE *file = fopen(path, "r");
  if (file == NULL) return 0;
  if (fscanf(file, "%llu", &ran) != 1) ran = 0;
  (void)fclose(file);
  return ran;
}

static double cpu_s(int pid) {
  char path[64];
  uint64_t sum = 0;
  (void)snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *folder = opendir(path);
  if (folder == NULL) return 0;
  for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
    sum += thread_cpu_ns(pid, entry->d_name);
  (void)closedir(folder);
  return (double)sum / 1e9;
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
