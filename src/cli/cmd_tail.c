/* cli/cmd_tail.c -- `laniakea tail TOPIC`: one WebSocket, joined to one topic, until somebody has seen enough.
 *
 *   connect ──> upgrade ──> join ──> a line for each message ──> SIGINT: 0
 *                                └── the room ended: join again, a moment later
 *
 * peer/watcher.h says what a message means; here is what it takes to get one. Signals only set a flag, and waiting is one
 * poll() on the socket, which they interrupt. Lines for people are escaped whole: a name in presence might move the cursor. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/http_get.h"
#include "codec/base64.h"
#include "peer/watcher.h"
#include "platform/posix/clock.h"
#include "platform/posix/heap.h"
#include "platform/posix/random.h"
#include "server/console.h"
#include "wire/upgrade.h"
#include "wire/ws.h"

#define DEFAULT_URL "http://127.0.0.1:4000"
#define CONNECT_MS 5000
#define HEARTBEAT_MS 25000
#define IDLE_MS 70000
#define JOIN_AGAIN_MS 500
#define HEAD_MAX 16384u
#define LINE_MAX_BYTES ((size_t)64 << 20)
#define KEY_LEN 24

static volatile sig_atomic_t is_stopped;

typedef struct tail {
  lk_cli_url url;
  const char *token; /* NULL: none */
  int fd;
  lk_limits limits;
  lk_env env;
  lk_watcher watcher;
  lk_ws ws;
  lk_ws_mask mask;
  lk_buf in; /* the head of the answer, and what came behind it */
  lk_buf line;
  lk_buf shown;
  uint64_t heartbeat_ms;
  uint64_t join_ms; /* when to join again; 0: not */
  uint8_t key[KEY_LEN];
  bool has_failed;
} tail;

static void on_signal(int number) {
  (void)number;
  is_stopped = 1;
}

static void watch_signals(void) {
  static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal; /* without SA_RESTART: waiting ends */
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    (void)sigaction(numbers[i], &action, NULL);
  (void)signal(SIGPIPE, SIG_IGN);
}

/* ---- bytes ---- */

static bool wait_for(const tail *self, short events, uint64_t until_ms) {
  struct pollfd one = { .fd = self->fd, .events = events };
  uint64_t now = lk_posix_monotonic_ms();
  int left = now >= until_ms ? 0 : (int)lk_min_u64(until_ms - now, 60000);
  return poll(&one, 1, left) > 0;
}

static bool send_all(const tail *self, lk_slice bytes) {
  uint64_t until = lk_posix_monotonic_ms() + CONNECT_MS;
  while (bytes.len > 0 && !is_stopped) {
    ssize_t n = send(self->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
    if (n > 0) bytes = lk_slice_skip(bytes, (size_t)n);
    else if (errno != EAGAIN && errno != EINTR) return false;
    else if (!wait_for(self, POLLOUT, until) && lk_posix_monotonic_ms() >= until) return false;
  }
  return true;
}

/* False at the end, with errno 0, or after an error. Nothing may have come. */
static bool receive(const tail *self, uint8_t *bytes, size_t cap, size_t *len) {
  ssize_t n = recv(self->fd, bytes, cap, 0);
  *len = n > 0 ? (size_t)n : 0;
  if (n == 0) errno = 0;
  return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static int fail(const tail *self, const char *why) {
  lk_console_say("%.200s: %.200s", self->url.authority, why);
  return 1;
}

/* ---- the upgrade ---- */

static lk_err make_key(tail *self) {
  uint8_t random[16];
  lk_buf text;
  lk_err err = lk_posix_random(random, sizeof random);
  if (err != LK_OK) return err;
  lk_buf_init(&text, lk_posix_heap(), KEY_LEN);
  err = lk_base64_encode(&text, lk_slice_of(random, sizeof random), LK_BASE64_FORM_STANDARD);
  if (err == LK_OK) memcpy(self->key, text.ptr, KEY_LEN);
  lk_buf_deinit(&text);
  return err;
}

static void put(lk_buf *out, const char *text) { (void)lk_buf_append(out, lk_slice_cstr(text)); }

static lk_err write_request(const tail *self, lk_buf *out) {
  put(out, "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: ");
  put(out, self->url.authority);
  put(out, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: ");
  (void)lk_buf_append(out, lk_slice_of(self->key, KEY_LEN));
  if (self->token != NULL) {
    put(out, "\r\nAuthorization: Bearer ");
    put(out, self->token);
  }
  return lk_buf_append(out, LK_LIT("\r\n\r\n"));
}

/* The value of the header |name|, in lower case with its colon. */
static lk_slice header_of(lk_slice head, lk_slice name) {
  while (head.len > 0) {
    lk_slice one = lk_slice_cut(head, '\n', &head);
    if (lk_slice_equal_nocase(lk_slice_first(one, name.len), name)) {
      one = lk_slice_skip(one, name.len);
      if (lk_slice_ends_with(one, LK_LIT("\r"))) one.len--;
      return lk_slice_trim(one);
    }
  }
  return LK_SLICE_EMPTY;
}

/* What stands behind the head of a refusal says more than its status. */
static int refused(const tail *self, lk_slice head, lk_slice body) {
  lk_buf text;
  lk_slice rest, status = lk_slice_cut(head, '\r', &rest);
  lk_buf_init(&text, lk_posix_heap(), 8192);
  lk_console_escape(lk_slice_first(status, 100), &text);
  (void)lk_buf_append(&text, LK_LIT(" "));
  lk_console_escape(lk_slice_first(body, 400), &text);
  lk_console_say("%.200s refuses: %.*s", self->url.authority, (int)text.len,
                 text.len > 0 ? (const char *)text.ptr : "");
  lk_buf_deinit(&text);
  return 1;
}

static int check_head(tail *self, size_t end) {
  uint8_t answer[LK_UPGRADE_ANSWER_LEN];
  lk_slice head = lk_slice_first(lk_buf_slice(&self->in), end);
  lk_slice body = lk_slice_skip(lk_buf_slice(&self->in), end + 4);
  if (!lk_slice_starts_with(head, LK_LIT("HTTP/1.1 101"))) return refused(self, head, body);
  lk_upgrade_answer(lk_slice_of(self->key, KEY_LEN), answer);
  if (!lk_slice_equal(header_of(head, LK_LIT("sec-websocket-accept:")),
                      lk_slice_of(answer, sizeof answer)))
    return fail(self, "this is no answer of a WebSocket server");
  lk_buf_consume(&self->in, end + 4);
  return 0;
}

static int read_head(tail *self) {
  uint64_t until = lk_posix_monotonic_ms() + CONNECT_MS;
  for (;;) {
    size_t before = self->in.len, len, end;
    if (!wait_for(self, POLLIN, until) || is_stopped)
      return fail(self, "it did not answer in time");
    uint8_t *to = lk_buf_extend(&self->in, 4096);
    if (to == NULL) return fail(self, "its answer is too long");
    bool ok = receive(self, to, 4096, &len);
    lk_buf_truncate(&self->in, before + len);
    if (!ok) return fail(self, errno != 0 ? strerror(errno) : "it closed the connection");
    end = lk_slice_find(lk_buf_slice(&self->in), LK_LIT("\r\n\r\n"));
    if (end != LK_SLICE_NONE) return check_head(self, end);
  }
}

static int upgrade(tail *self) {
  lk_buf request;
  self->fd = lk_cli_connect(&self->url, lk_posix_monotonic_ms() + CONNECT_MS);
  if (self->fd < 0) return fail(self, strerror(errno));
  if (make_key(self) != LK_OK) return fail(self, "the system gives no random bytes");
  lk_buf_init(&request, lk_posix_heap(), HEAD_MAX);
  bool ok = write_request(self, &request) == LK_OK && send_all(self, lk_buf_slice(&request));
  lk_buf_deinit(&request);
  return ok ? read_head(self) : fail(self, strerror(errno));
}

/* ---- messages ---- */

static bool flush(tail *self) {
  lk_slice out = lk_ws_output(&self->ws);
  if (out.len == 0) return true;
  if (!send_all(self, out)) return false;
  lk_ws_consume(&self->ws, out.len);
  return true;
}

static void say(tail *self, lk_err (*write)(const lk_watcher *, lk_buf *)) {
  lk_buf text;
  lk_buf_init(&text, lk_posix_heap(), 65536);
  if (write(&self->watcher, &text) == LK_OK) {
    lk_err err = lk_ws_send(&self->ws, LK_WS_TEXT, lk_buf_slice(&text));
    if (err != LK_OK) self->has_failed = true;
  }
  lk_buf_deinit(&text);
}

static void print(tail *self, uint64_t wall_ms) {
  char at[32];
  time_t seconds = (time_t)(wall_ms / 1000);
  struct tm parts;
  lk_buf_truncate(&self->shown, 0);
  if (self->watcher.as_json) {
    (void)lk_buf_append(&self->shown, lk_buf_slice(&self->line));
  } else {
    if (localtime_r(&seconds, &parts) == NULL) memset(&parts, 0, sizeof parts);
    int len = snprintf(at, sizeof at, "%02d:%02d:%02d.%03u ", parts.tm_hour, parts.tm_min,
                       parts.tm_sec, (unsigned)(wall_ms % 1000));
    (void)lk_buf_append(&self->shown, lk_slice_of(at, (size_t)len));
    lk_console_escape(lk_buf_slice(&self->line), &self->shown);
  }
  (void)lk_buf_append(&self->shown, LK_LIT("\n"));
  (void)fwrite(self->shown.ptr, 1, self->shown.len, stdout);
  if (fflush(stdout) != 0) is_stopped = 1; /* nobody reads any more */
}

static void take_message(tail *self, const lk_ws_event *event) {
  lk_watched what;
  uint64_t wall_ms = lk_posix_wall_ms();
  lk_buf_truncate(&self->line, 0);
  lk_err err = lk_watcher_feed(&self->watcher, event->payload, !event->text, wall_ms, &self->line,
                               &what);
  if (err != LK_OK) {
    lk_console_say("a message could not be read: %s", lk_err_name(err));
    return;
  }
  if (self->line.len > 0) print(self, wall_ms);
  if (what == LK_WATCHED_REFUSED) self->has_failed = true;
  if (what == LK_WATCHED_ENDED) self->join_ms = lk_posix_monotonic_ms() + JOIN_AGAIN_MS;
}

static void take_bytes(tail *self, lk_slice in) {
  lk_ws_event event;
  while (in.len > 0 && !self->has_failed) {
    lk_err err = lk_ws_feed(&self->ws, lk_posix_monotonic_ms(), &in);
    while (lk_ws_poll(&self->ws, &event)) {
      if (event.kind == LK_WS_MESSAGE) {
        take_message(self, &event);
        continue;
      }
      lk_console_say("%.200s closed the connection with %u", self->url.authority,
                     (unsigned)event.code);
      self->has_failed = true;
    }
    if (err != LK_OK) self->has_failed = true;
  }
}

static void keep_alive(tail *self) {
  uint64_t now = lk_posix_monotonic_ms();
  if (self->join_ms != 0 && now >= self->join_ms) {
    self->join_ms = 0;
    say(self, lk_watcher_join);
  }
  if (now >= self->heartbeat_ms) {
    self->heartbeat_ms = now + HEARTBEAT_MS;
    say(self, lk_watcher_heartbeat);
  }
  lk_ws_tick(&self->ws, now);
}

static void read_some(tail *self) {
  static uint8_t bytes[65536];
  size_t len;
  if (!receive(self, bytes, sizeof bytes, &len)) {
    lk_console_say("%.200s: %s", self->url.authority,
                   errno != 0 ? strerror(errno) : "it closed the connection");
    self->has_failed = true;
    return;
  }
  take_bytes(self, lk_slice_of(bytes, len));
}

static int watch(tail *self) {
  const lk_ws_options options = {
    .role = LK_WS_CLIENT, .idle_ms = IDLE_MS, .close_ms = CONNECT_MS, .mask = &self->mask
  };
  if (lk_posix_random(self->mask.seed, sizeof self->mask.seed) != LK_OK)
    return fail(self, "the system gives no random bytes");
  lk_ws_init(&self->ws, lk_posix_heap(), &self->limits, &options, lk_posix_monotonic_ms());
  self->heartbeat_ms = lk_posix_monotonic_ms() + HEARTBEAT_MS;
  say(self, lk_watcher_join);
  take_bytes(self, lk_buf_slice(&self->in));
  while (!is_stopped && !self->has_failed) {
    if (!flush(self)) return fail(self, strerror(errno));
    uint64_t until = lk_min_u64(self->heartbeat_ms, lk_ws_deadline(&self->ws));
    if (self->join_ms != 0) until = lk_min_u64(until, self->join_ms);
    if (wait_for(self, POLLIN, until)) read_some(self);
    keep_alive(self);
  }
  if (!self->has_failed &&
      lk_ws_close(&self->ws, lk_posix_monotonic_ms(), LK_WS_CODE_NORMAL, LK_SLICE_EMPTY) == LK_OK) {
    is_stopped = 0; /* for sending the farewell */
    (void)flush(self);
  }
  return self->has_failed ? 1 : 0;
}

/* ---- the command ---- */

static bool is_plain(const char *token) {
  for (; *token != 0; token++) {
    if (*token <= 0x20 || *token >= 0x7F) return false;
  }
  return true;
}

static bool read_options(tail *self, const lk_cli_args *args) {
  const char *url = lk_cli_args_get(args, "url");
  self->token = lk_cli_args_get(args, "token");
  if (self->token == NULL) self->token = getenv("LANIAKEA_TOKEN");
  if (self->token != NULL && self->token[0] == 0) self->token = NULL;
  if (self->token != NULL && !is_plain(self->token)) {
    lk_console_say("the token has characters that no token has");
    return false;
  }
  if (args->plain_count != 1 || strlen(args->plain[0]) > 255 || args->plain[0][0] == 0) {
    lk_console_say("which topic? Such as: laniakea tail doc:notes");
    return false;
  }
  return lk_cli_parse_url(url != NULL ? url : DEFAULT_URL,
                          lk_cli_args_get(args, "any-host") != NULL, &self->url);
}

int lk_cli_tail(const lk_cli_args *args) {
  tail self = { .fd = -1, .limits = lk_limits_default() };
  if (!read_options(&self, args)) return 2;
  self.limits.ws_message_bytes = self.limits.bus_frame_bytes; /* a history may be long */
  self.limits.json_bytes = self.limits.bus_frame_bytes;
  self.env = (lk_env)LK_ENV_INIT(lk_posix_heap(), NULL);
  lk_watcher_init(&self.watcher, &self.env, &self.limits, lk_slice_cstr(args->plain[0]));
  self.watcher.with_content = lk_cli_args_get(args, "content") != NULL;
  self.watcher.as_json = lk_cli_args_get(args, "json") != NULL;
  lk_buf_init(&self.in, lk_posix_heap(), HEAD_MAX);
  lk_buf_init(&self.line, lk_posix_heap(), LINE_MAX_BYTES);
  lk_buf_init(&self.shown, lk_posix_heap(), 4 * LINE_MAX_BYTES);
  watch_signals();
  int code = upgrade(&self);
  if (code == 0) code = watch(&self);
  lk_ws_deinit(&self.ws);
  if (self.fd >= 0) (void)close(self.fd);
  lk_watcher_deinit(&self.watcher);
  lk_buf_deinit(&self.in);
  lk_buf_deinit(&self.line);
  lk_buf_deinit(&self.shown);
  return is_stopped ? 0 : code;
}
