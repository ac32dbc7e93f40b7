/* cli/progress.c -- a line that a timer draws.
 *
 * Merging two large updates is a single call that nobody can look into. So the line is not drawn by
 * who does the work but by SIGALRM, five times a second: it is there even where the work has nothing
 * to say, and then it counts seconds. The handler may use nothing but what is safe in one: it puts
 * the line together by hand and calls write(). */
#include "cli/progress.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "platform/posix/clock.h"

#define FIRST_MS 1000
#define EACH_MS 200
#define BAR_WIDTH 24
#define LINE_MAX_BYTES 160
#define LINE_CLEAR "\r\x1b[K"

static _Atomic(const char *) current_what;
static atomic_uint_fast64_t current_done, current_total, began_ms;
static volatile sig_atomic_t is_running, is_drawn;

static size_t put_text(char *line, size_t len, const char *text) {
  while (*text != 0 && len < LINE_MAX_BYTES) line[len++] = *text++;
  return len;
}

static size_t put_number(char *line, size_t len, uint64_t value) {
  char digits[21];
  size_t at = sizeof digits - 1;
  digits[at] = 0;
  do digits[--at] = (char)('0' + value % 10);
  while ((value /= 10) > 0);
  return put_text(line, len, digits + at);
}

static size_t put_bar(char *line, size_t len, uint64_t done, uint64_t total) {
  uint64_t percent = done >= total ? 100 : (uint64_t)((double)done * 100 / (double)total);
  len = put_text(line, len, " [");
  for (unsigned i = 0; i < BAR_WIDTH; i++)
    len = put_text(line, len, i * 100 < percent * BAR_WIDTH ? "#" : ".");
  len = put_text(line, len, "] ");
  len = put_number(line, len, percent);
  return put_text(line, len, " %");
}

static void draw(int signal_number) {
  char line[LINE_MAX_BYTES];
  int before = errno;
  const char *what = atomic_load(&current_what);
  uint64_t total = atomic_load(&current_total);
  (void)signal_number;
  size_t len = put_text(line, 0, LINE_CLEAR);
  len = put_text(line, len, what);
  if (total > 0) {
    len = put_bar(line, len, atomic_load(&current_done), total);
  } else {
    len = put_text(line, len, ", ");
    len = put_number(line, len, (lk_posix_monotonic_ms() - atomic_load(&began_ms)) / 1000);
    len = put_text(line, len, " s");
  }
  ssize_t ignored = write(STDERR_FILENO, line, len);
  (void)ignored;
  is_drawn = 1;
  errno = before;
}

void lk_cli_progress(const char *what, uint64_t done, uint64_t total) {
  atomic_store(&current_what, what);
  atomic_store(&current_done, done);
  atomic_store(&current_total, total);
}

static void set_timer(long first_ms, long each_ms) {
  struct itimerval timer = { { each_ms / 1000, each_ms % 1000 * 1000 },
                             { first_ms / 1000, first_ms % 1000 * 1000 } };
  (void)setitimer(ITIMER_REAL, &timer, NULL);
}

void lk_cli_progress_begin(bool quiet) {
  struct sigaction action;
  if (quiet || is_running || isatty(STDERR_FILENO) == 0) return;
  memset(&action, 0, sizeof action);
  action.sa_handler = draw;
  action.sa_flags = SA_RESTART;
  atomic_store(&began_ms, lk_posix_monotonic_ms());
  if (sigaction(SIGALRM, &action, NULL) != 0) return;
  is_running = 1;
  lk_cli_progress("reading", 0, 0);
  set_timer(FIRST_MS, EACH_MS);
}

void lk_cli_progress_end(void) {
  if (!is_running) return;
  set_timer(0, 0);
  (void)signal(SIGALRM, SIG_IGN); /* one may be on its way */
  is_running = 0;
  if (!is_drawn) return;
  ssize_t ignored = write(STDERR_FILENO, LINE_CLEAR, sizeof LINE_CLEAR - 1);
  (void)ignored;
  is_drawn = 0;
}
