/* cli/cmd_top.c -- `laniakea top`: ask, show, wait; over and over.
 *
 * On a terminal the view has the alternate screen to itself, which is given back however this ends: by q, by a
 * signal, or by a server that is gone. Signals only set a flag; waiting is one poll() on the keyboard, which they
 * interrupt. Each frame is one write, drawn over the one before, so that nothing flickers; lines are cut at the
 * terminal's edge, and those below it are left out. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/http_get.h"
#include "cli/top.h"
#include "platform/posix/clock.h"
#include "platform/posix/heap.h"
#include "server/console.h"

#define DEFAULT_URL "http://127.0.0.1:4000"
#define ANSWER_MS 5000
#define ANSWER_MAX ((size_t)4 << 20)
#define SCREEN_BEGIN "\x1b[?1049h\x1b[?25l\x1b[?7l"
#define SCREEN_END "\x1b[?7h\x1b[?25h\x1b[?1049l"
#define FRAME_BEGIN "\x1b[H"
#define LINE_END "\x1b[K\n" /* the terminal adds the return */
#define FRAME_END "\x1b[J"
#define CTRL_C 3

static volatile sig_atomic_t is_stopped, is_resized;

typedef struct top {
  lk_cli_url url;
  const char *url_text;
  uint64_t interval_ms;
  bool is_json;
  bool is_screen;
  struct termios before;
  lk_top_snapshot snapshots[2]; /* by turns */
  unsigned long count;          /* of them, since the server was found */
  lk_buf answer;
  lk_buf view;
  lk_buf frame;
} top;

static void on_signal(int number) {
  if (number == SIGWINCH) is_resized = 1;
  else is_stopped = 1;
}

/* ---- the terminal ---- */

static void write_all(int fd, const char *bytes, size_t len) {
  while (len > 0) {
    ssize_t n = write(fd, bytes, len);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      is_stopped = 1; /* nobody looks any more */
      return;
    }
    bytes += n;
    len -= (size_t)n;
  }
}

static void watch_signals(void) {
  static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGWINCH };
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal; /* without SA_RESTART: waiting ends */
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    (void)sigaction(numbers[i], &action, NULL);
  (void)signal(SIGPIPE, SIG_IGN);
}

static void begin_screen(top *self) {
  struct termios raw;
  if (!self->is_screen || tcgetattr(STDIN_FILENO, &self->before) != 0) {
    self->is_screen = false;
    return;
  }
  raw = self->before;
  raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
  raw.c_cc[VMIN] = 0;
  raw.c_cc[VTIME] = 0;
  (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  write_all(STDOUT_FILENO, SCREEN_BEGIN, sizeof SCREEN_BEGIN - 1);
}

static void end_screen(const top *self) {
  if (!self->is_screen) return;
  write_all(STDOUT_FILENO, SCREEN_END, sizeof SCREEN_END - 1);
  (void)tcsetattr(STDIN_FILENO, TCSANOW, &self->before);
}

/* As many lines of the view as there are rows. */
static void draw(top *self) {
  struct winsize size = { 0 };
  lk_slice rest = lk_buf_slice(&self->view);
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) size.ws_row = 24;
  if (size.ws_col == 0) size.ws_col = 80;
  lk_buf_truncate(&self->frame, 0);
  (void)lk_buf_append(&self->frame, LK_LIT(FRAME_BEGIN));
  for (unsigned row = 1; row < size.ws_row && rest.len > 0; row++) {
    lk_slice line = lk_slice_cut(rest, '\n', &rest);
    (void)lk_buf_append(&self->frame, lk_slice_first(line, size.ws_col));
    (void)lk_buf_append(&self->frame, LK_LIT(LINE_END));
  }
  (void)lk_buf_append(&self->frame, LK_LIT(FRAME_END "q quits"));
  write_all(STDOUT_FILENO, (const char *)self->frame.ptr, self->frame.len);
}

/* A key was pressed: does it mean the end? */
static bool read_keys(void) {
  char keys[64];
  ssize_t n = read(STDIN_FILENO, keys, sizeof keys);
  for (ssize_t i = 0; i < n; i++) {
    if (keys[i] == 'q' || keys[i] == 'Q' || keys[i] == CTRL_C) return true;
  }
  return n == 0; /* the terminal is gone */
}

/* Until |until_ms|, or the end; draws anew where the terminal's size changed. */
static void wait_until(top *self, uint64_t until_ms) {
  for (;;) {
    uint64_t now = lk_posix_monotonic_ms();
    struct pollfd keyboard = { .fd = self->is_screen ? STDIN_FILENO : -1, .events = POLLIN };
    if (is_resized && self->is_screen) draw(self);
    is_resized = 0;
    if (is_stopped || now >= until_ms) return;
    int count = poll(&keyboard, 1, (int)(until_ms - now));
    if (count > 0 && read_keys()) is_stopped = 1;
  }
}

/* ---- one round ---- */

static bool ask(top *self, char *why, size_t why_size) {
  uint64_t now = lk_posix_monotonic_ms();
  lk_buf_truncate(&self->answer, 0);
  bool ok = lk_cli_http_get(&self->url, "/metrics", now + ANSWER_MS, &self->answer, why, why_size);
  lk_top_snapshot *next = &self->snapshots[self->count % 2];
  if (ok && lk_top_read(lk_buf_slice(&self->answer), lk_posix_monotonic_ms(), next) != LK_OK) {
    (void)snprintf(why, why_size, "what it says of itself cannot be read");
    ok = false;
  }
  self->count = ok ? self->count + 1 : 0;
  return ok;
}

static void show(top *self) {
  const lk_top_snapshot *now = &self->snapshots[(self->count - 1) % 2];
  const lk_top_snapshot *before = self->count > 1 ? &self->snapshots[self->count % 2] : NULL;
  lk_err err = LK_OK;
  lk_buf_truncate(&self->view, 0);
  if (self->is_json) err = lk_top_write_json(now, before, &self->view);
  else lk_top_print(now, before, self->url_text, &self->view);
  LK_ASSERT(err == LK_OK || err == LK_ERR_NOMEM);
  if (self->is_screen) draw(self);
  else write_all(STDOUT_FILENO, (const char *)self->view.ptr, self->view.len);
}

/* On a screen, a server that is gone is waited for: whoever looks at it may be restarting it. */
static void show_lost(top *self, const char *why) {
  char text[512];
  (void)snprintf(text, sizeof text, "Laniakea at %.200s: %s\n", self->url_text, why);
  lk_buf_truncate(&self->view, 0);
  (void)lk_buf_append(&self->view, lk_slice_cstr(text));
  draw(self);
}

/* Until it is stopped, or has failed for good: false. */
static bool go_on(top *self, char *why, size_t why_size) {
  bool ok = true;
  while (!is_stopped) {
    uint64_t next_ms = lk_posix_monotonic_ms() + self->interval_ms;
    if (ok) show(self);
    else show_lost(self, why);
    wait_until(self, next_ms);
    if (is_stopped) break;
    ok = ask(self, why, why_size);
    if (!ok && !self->is_screen) return false;
  }
  return true;
}

static int run(top *self, bool once) {
  char why[128];
  bool ok = ask(self, why, sizeof why);
  if (ok && once) show(self);
  if (ok && !once) {
    begin_screen(self);
    ok = go_on(self, why, sizeof why);
    end_screen(self);
  }
  if (!ok) lk_console_say("%.200s: %s", self->url_text, why);
  return ok ? 0 : 1;
}

int lk_cli_top(const lk_cli_args *args) {
  const char *url = lk_cli_args_get(args, "url"), *interval = lk_cli_args_get(args, "interval");
  uint64_t seconds = 1;
  top self = { .url_text = url != NULL ? url : DEFAULT_URL,
               .is_json = lk_cli_args_get(args, "json") != NULL };
  bool once = lk_cli_args_get(args, "once") != NULL;
  if (!lk_cli_parse_url(self.url_text, lk_cli_args_get(args, "any-host") != NULL, &self.url))
    return 2;
  if (interval != NULL && (!lk_cli_parse_number(interval, 3600, &seconds) || seconds == 0)) {
    lk_console_say("--interval %.64s is not a number from 1 to 3600", interval);
    return 2;
  }
  self.interval_ms = seconds * 1000;
  self.is_screen = !once && !self.is_json && isatty(STDOUT_FILENO) != 0 &&
                   isatty(STDIN_FILENO) != 0;
  lk_buf_init(&self.answer, lk_posix_heap(), ANSWER_MAX);
  lk_buf_init(&self.view, lk_posix_heap(), ANSWER_MAX);
  lk_buf_init(&self.frame, lk_posix_heap(), ANSWER_MAX);
  watch_signals();
  int code = run(&self, once);
  lk_buf_deinit(&self.answer);
  lk_buf_deinit(&self.view);
  lk_buf_deinit(&self.frame);
  return code;
}
