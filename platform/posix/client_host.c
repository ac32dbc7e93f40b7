/* platform/posix/client_host.c -- carries out what an lk_client wants.
 *
 *   NONE ──CONNECT──> CONNECTING ──> UPGRADING ──101──> OPEN
 *    ^                     │             │               │
 *    └─────────────────────┴─────────────┴── lost, refused, HANG_UP
 *
 * Everything is done by one poll(2) on the socket, the storage's eventfd and the caller's descriptor. The client says how long each
 * phase may take and gives up itself, so nothing here has a time-out. CONNECTING is the stream's business, and its handshake of TLS is part
 * of that: no byte of a request, and so no token, leaves before the server is known to be the one that was asked for. */
#include "laniakea/client_host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/base.h"
#include "codec/base64.h"
#include "platform/posix/client_stream.h"
#include "platform/posix/clock.h"
#include "platform/posix/heap.h"
#include "platform/posix/random.h"
#include "platform/posix/storage.h"
#include "wire/upgrade.h"
#include "wire/ws.h"

#define HEAD_MAX 16384u
#define READ_BYTES 65536u
#define READS_MAX 16 /* then it is the caller's turn */
#define KEY_LEN 24
#define FLUSH_MS 2000u
#define CLOSE_TOKEN 4401u

typedef enum host_phase { NONE, CONNECTING, UPGRADING, OPEN } host_phase;

struct lk_client_host {
  lk_env env;
  lk_limits limits;
  lk_client *client;
  lk_posix_storage *storage;
  lk_buf url;
  lk_http_url parts; /* of |url| */
  lk_buf token;
  host_phase phase;
  const lk_client_tls *tls;
  lk_client_stream stream;
  bool may_have_more; /* the stream was not read to its end */
  lk_err why;         /* lk_client_host_error() */
  int lock; /* on the folder; -1: none */
  lk_ws ws;
  lk_ws_mask mask;
  lk_buf out; /* UPGRADING: what is left of the request */
  lk_buf in;  /* UPGRADING: the answer so far */
  uint8_t key[KEY_LEN];
};

static uint64_t now(void) { return lk_posix_monotonic_ms(); }

/* ---- coming and going ---- */

static void drop(lk_client_host *self) {
  lk_client_stream_close(&self->stream);
  self->phase = NONE;
  self->may_have_more = false;
  lk_ws_deinit(&self->ws);
  lk_buf_truncate(&self->out, 0);
  lk_buf_truncate(&self->in, 0);
}

static void lose(lk_client_host *self, lk_err why, uint32_t code, uint64_t hint_ms) {
  drop(self);
  self->why = why;
  lk_client_closed(self->client, code, hint_ms, now());
}

static lk_err draw_key(lk_client_host *self) {
  uint8_t random[16];
  lk_buf text;
  lk_err err = lk_posix_random(random, sizeof random);
  if (err == LK_OK) err = lk_posix_random(self->mask.seed, sizeof self->mask.seed);
  if (err != LK_OK) return err;
  lk_buf_init(&text, self->env.alloc, KEY_LEN);
  err = lk_base64_encode(&text, lk_slice_of(random, sizeof random), LK_BASE64_FORM_STANDARD);
  if (err == LK_OK) memcpy(self->key, text.ptr, KEY_LEN);
  lk_buf_deinit(&text);
  return err;
}

static lk_err write_request(lk_client_host *self, lk_slice token) {
  lk_buf *out = &self->out;
  (void)lk_buf_append(out, LK_LIT("GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: "));
  (void)lk_buf_append(out, self->parts.authority);
  (void)lk_buf_append(out, LK_LIT("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "));
  (void)lk_buf_append(out, lk_slice_of(self->key, KEY_LEN));
  if (token.len > 0) {
    (void)lk_buf_append(out, LK_LIT("\r\nAuthorization: Bearer "));
    (void)lk_buf_append(out, token);
  }
  return lk_buf_append(out, LK_LIT("\r\n\r\n"));
}

static void begin(lk_client_host *self, lk_slice token) {
  drop(self);
  self->mask = (lk_ws_mask){ 0 };
  lk_err err = draw_key(self);
  if (err == LK_OK) err = write_request(self, token);
  if (err == LK_OK) err = lk_client_stream_open(&self->stream, &self->parts, self->tls);
  self->phase = CONNECTING;
  if (err != LK_OK) lose(self, err, 0, 0);
}

/* ---- messages ---- */

static void feed(lk_client_host *self, lk_slice in) {
  lk_ws_event event;
  while (self->phase == OPEN && in.len > 0) {
    lk_err err = lk_ws_feed(&self->ws, now(), &in);
    while (self->phase == OPEN && lk_ws_poll(&self->ws, &event)) {
      if (event.kind == LK_WS_ENDED) lose(self, LK_ERR_CLOSED, event.code, 0);
      else (void)lk_client_receive(self->client, event.payload, !event.text, now());
    }
    if (err != LK_OK && self->phase == OPEN) lose(self, err, 0, 0);
  }
}

/* ---- the upgrade ---- */

/* The value of the header |name|, which has its colon. */
static lk_slice header_of(lk_slice head, lk_slice name) {
  while (head.len > 0) {
    lk_slice line = lk_slice_cut(head, '\n', &head);
    if (!lk_slice_equal_nocase(lk_slice_first(line, name.len), name)) continue;
    line = lk_slice_skip(line, name.len);
    if (lk_slice_ends_with(line, LK_LIT("\r"))) line.len--;
    return lk_slice_trim(line);
  }
  return LK_SLICE_EMPTY;
}

/* Retry-After in seconds; a date is not read. */
static uint64_t hint_of(lk_slice head) {
  lk_slice text = header_of(head, LK_LIT("retry-after:"));
  uint64_t seconds = 0;
  for (size_t i = 0; i < text.len && i < 6; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') return 0;
    seconds = seconds * 10 + (uint64_t)(text.ptr[i] - '0');
  }
  return seconds * 1000;
}

static void refuse(lk_client_host *self, lk_slice head) {
  bool is_token = lk_slice_starts_with(head, LK_LIT("HTTP/1.1 401")) ||
                  lk_slice_starts_with(head, LK_LIT("HTTP/1.1 403"));
  lose(self, LK_ERR_CLOSED, is_token ? CLOSE_TOKEN : 0, hint_of(head));
}

/* To all of the request: what of it were left would stand before the first frame. */
static bool is_accepted(const lk_client_host *self, lk_slice head) {
  uint8_t answer[LK_UPGRADE_ANSWER_LEN];
  lk_upgrade_answer(lk_slice_of(self->key, KEY_LEN), answer);
  return self->out.len == 0 && lk_slice_starts_with(head, LK_LIT("HTTP/1.1 101")) &&
         lk_slice_equal(header_of(head, LK_LIT("sec-websocket-accept:")),
                        lk_slice_of(answer, sizeof answer));
}

static void read_head(lk_client_host *self) {
  size_t end = lk_slice_find(lk_buf_slice(&self->in), LK_LIT("\r\n\r\n"));
  if (end == LK_SLICE_NONE) return;
  lk_slice head = lk_slice_first(lk_buf_slice(&self->in), end);
  if (!is_accepted(self, head)) {
    refuse(self, head);
    return;
  }
  const lk_ws_options options = { .role = LK_WS_CLIENT, .mask = &self->mask };
  lk_ws_init(&self->ws, self->env.alloc, &self->limits, &options, now());
  self->phase = OPEN;
  self->why = LK_OK;
  lk_client_opened(self->client, now());
  lk_buf_consume(&self->in, end + 4);
  lk_buf rest = self->in; /* the machine may end, and what it was fed with must not */
  lk_buf_init(&self->in, self->env.alloc, HEAD_MAX);
  feed(self, lk_buf_slice(&rest));
  lk_buf_deinit(&rest);
}

/* ---- bytes ---- */

static void take_in(lk_client_host *self, lk_slice bytes) {
  if (self->phase == OPEN) feed(self, bytes);
  else if (lk_buf_append(&self->in, bytes) != LK_OK) lose(self, LK_ERR_LIMIT, 0, 0);
  else read_head(self);
}

static void read_some(lk_client_host *self) {
  uint8_t bytes[READ_BYTES];
  size_t len;
  for (int i = 0; i < READS_MAX && self->phase != NONE; i++) {
    lk_err err = lk_client_stream_read(&self->stream, bytes, sizeof bytes, &len);
    self->may_have_more = err == LK_OK;
    if (err == LK_ERR_MORE) return;
    if (err != LK_OK) lose(self, err, 0, 0);
    else take_in(self, lk_slice_of(bytes, len));
  }
}

static lk_slice output_of(const lk_client_host *self) {
  return self->phase == OPEN ? lk_ws_output(&self->ws) : lk_buf_slice(&self->out);
}

static void write_some(lk_client_host *self) {
  lk_slice bytes = output_of(self);
  while (self->phase >= UPGRADING && bytes.len > 0) {
    size_t taken = 0;
    lk_err err = lk_client_stream_write(&self->stream, bytes, &taken);
    if (err == LK_ERR_MORE) return;
    if (err != LK_OK) {
      lose(self, err, 0, 0);
      return;
    }
    if (self->phase == OPEN) lk_ws_consume(&self->ws, taken);
    else lk_buf_consume(&self->out, taken);
    bytes = output_of(self);
  }
}

static void go_on_connecting(lk_client_host *self) {
  lk_err err = lk_client_stream_advance(&self->stream);
  if (err == LK_ERR_MORE) return;
  if (err != LK_OK) {
    lose(self, err, 0, 0);
    return;
  }
  self->phase = UPGRADING;
  write_some(self);
}

/* ---- what the client wants ---- */

static void give_token(lk_client_host *self) {
  /* The same one every time: a program whose tokens end writes a host of its own, or opens this one anew. */
  if (lk_client_set_token(self->client, lk_buf_slice(&self->token), 0, now()) == LK_OK) return;
  lk_client_no_token(self->client, now());
}

static void say(lk_client_host *self, const lk_client_event *event) {
  if (self->phase != OPEN) return;
  lk_err err = lk_ws_send(&self->ws, event->is_binary ? LK_WS_BINARY : LK_WS_TEXT, event->bytes);
  if (err != LK_OK) lose(self, err, 0, 0);
}

bool lk_client_host_poll(lk_client_host *self, lk_client_event *out) {
  while (lk_client_poll(self->client, out)) {
    switch (out->kind) {
    case LK_CLIENT_TOKEN: give_token(self); break;
    case LK_CLIENT_CONNECT: begin(self, out->bytes); break;
    case LK_CLIENT_SEND: say(self, out); break;
    case LK_CLIENT_HANG_UP: drop(self); break;
    case LK_CLIENT_READY:
    case LK_CLIENT_CHANGED:
    case LK_CLIENT_STATUS: return true;
    }
  }
  write_some(self);
  return false;
}

/* ---- waiting ---- */

static int timeout_of(const lk_client_host *self, int timeout_ms) {
  uint64_t at = lk_client_deadline(self->client), from = now();
  if (self->may_have_more) return 0;
  if (at == LK_CLIENT_NEVER) return timeout_ms;
  uint64_t wait = at > from ? lk_min_u64(at - from, 3600000) : 0;
  return timeout_ms >= 0 && (uint64_t)timeout_ms < wait ? timeout_ms : (int)wait;
}

static void serve_stream(lk_client_host *self, short got) {
  bool can_read = self->may_have_more || (got & (POLLIN | POLLHUP | POLLERR)) != 0;
  if (self->phase == CONNECTING) {
    if (got != 0) go_on_connecting(self);
    return;
  }
  if ((got & POLLOUT) != 0) write_some(self);
  if (self->phase != NONE && can_read) read_some(self);
}

/* What ends a connection here is only that the other side was silent. */
static void tick(lk_client_host *self) {
  lk_client_status before = { .size = sizeof before }, after = { .size = sizeof after };
  lk_client_get_status(self->client, &before);
  lk_client_tick(self->client, now());
  lk_client_get_status(self->client, &after);
  if (before.state != LK_CLIENT_OFFLINE && after.state == LK_CLIENT_OFFLINE)
    self->why = LK_ERR_TIMEOUT;
}

void lk_client_host_wait(lk_client_host *self, int fd, int timeout_ms, bool *readable) {
  /* A descriptor of -1 is passed over. */
  struct pollfd all[] = {
    { .fd = self->stream.fd,
      .events = lk_client_stream_events(&self->stream, output_of(self).len > 0) },
    { .fd = self->storage != NULL ? lk_posix_storage_fd(self->storage) : -1, .events = POLLIN },
    { .fd = fd, .events = POLLIN },
  };
  if (readable != NULL) *readable = false;
  if (poll(all, 3, timeout_of(self, timeout_ms)) < 0) /* a signal: nothing was said of any */
    all[0].revents = all[1].revents = all[2].revents = 0;
  if (all[1].revents != 0) lk_client_stored(self->client, now());
  serve_stream(self, all[0].revents);
  if (readable != NULL) *readable = all[2].revents != 0;
  if (now() >= lk_client_deadline(self->client)) tick(self);
}

lk_client *lk_client_host_client(lk_client_host *self) { return self->client; }
lk_err lk_client_host_error(const lk_client_host *self) { return self->why; }
uint64_t lk_client_host_now_ms(void) { return now(); }
uint64_t lk_client_host_time_ms(void) { return lk_posix_wall_ms(); }

/* ---- life ---- */

/* Two processes that write one journal would destroy it. */
static lk_err lock_folder(lk_client_host *self, const char *folder) {
  int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (at < 0) return errno == EACCES ? LK_ERR_PERMISSION : LK_ERR_NOT_FOUND;
  self->lock = at;
  return flock(at, LOCK_EX | LOCK_NB) == 0 ? LK_OK : LK_ERR_EXISTS;
}

/* "ws:" and "wss:" are other words for "http:" and "https:". */
static lk_err take_url(lk_client_host *self, lk_slice url) {
  lk_err err = LK_OK;
  bool is_ws = lk_slice_starts_with(url, LK_LIT("ws:")) ||
               lk_slice_starts_with(url, LK_LIT("wss:"));
  if (is_ws) err = lk_buf_append(&self->url, LK_LIT("http"));
  if (err == LK_OK) err = lk_buf_append(&self->url, lk_slice_skip(url, is_ws ? 2 : 0));
  return err == LK_OK ? lk_http_url_parse(lk_buf_slice(&self->url), &self->parts) : err;
}

static lk_err take_options(lk_client_host *self, const lk_client_host_options *options) {
  lk_err err = take_url(self, lk_slice_cstr(options->url));
  self->tls = options->tls;
  if (err == LK_OK && self->parts.is_tls && self->tls == NULL) err = LK_ERR_UNSUPPORTED;
  if (err == LK_OK && options->token != NULL)
    err = lk_buf_append(&self->token, lk_slice_cstr(options->token));
  if (err != LK_OK || options->folder == NULL) return err;
  err = lock_folder(self, options->folder);
  return err == LK_OK
             ? lk_posix_storage_open(lk_posix_heap(), options->folder, NULL, &self->storage)
             : err;
}

static lk_err open_client(lk_client_host *self, const lk_client_host_options *options) {
  lk_client_options client = LK_CLIENT_OPTIONS_INIT;
  client.capabilities = options->capabilities;
  client.uses_token = options->token != NULL;
  if (self->storage != NULL) client.storage = lk_posix_storage_table(self->storage);
  lk_err err = lk_posix_random(client.entropy, sizeof client.entropy);
  if (err == LK_OK) err = lk_client_open(&self->env, &client, &self->client);
  if (err == LK_OK) lk_client_connect(self->client, now());
  return err;
}

lk_err lk_client_host_open(const lk_client_host_options *options, lk_client_host **out) {
  const lk_alloc *heap = lk_posix_heap();
  lk_client_host *self = lk_alloc_bytes(heap, sizeof *self);
  *out = NULL;
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_client_host){
    .env = LK_ENV_INIT(heap, NULL),
    .limits = LK_LIMITS_INIT,
    .stream = LK_CLIENT_STREAM_INIT,
    .lock = -1,
  };
  self->limits.ws_message_bytes = self->limits.ws_send_bytes; /* what a server sends at once */
  lk_buf_init(&self->url, heap, LK_HTTP_URL_MAX);
  lk_buf_init(&self->token, heap, self->limits.token_bytes);
  lk_buf_init(&self->out, heap, HEAD_MAX);
  lk_buf_init(&self->in, heap, HEAD_MAX + READ_BYTES);
  lk_err err = take_options(self, options);
  if (err == LK_OK) err = open_client(self, options);
  if (err == LK_OK) *out = self;
  else lk_client_host_close(self);
  return err;
}

static void flush(lk_client_host *self) {
  uint64_t until = now() + FLUSH_MS;
  lk_client_status status = { .size = sizeof status };
  lk_client_event event;
  for (;;) {
    while (lk_client_host_poll(self, &event)) continue;
    lk_client_get_status(self->client, &status);
    if (status.unsaved_count == 0 || status.storage != LK_OK || now() >= until) return;
    lk_client_host_wait(self, -1, 50, NULL);
  }
}

/* Nothing of the client is under way in the storage any more. */
static void stop_storage(lk_client_host *self) {
  struct pollfd one = { .fd = lk_posix_storage_fd(self->storage), .events = POLLIN };
  lk_posix_storage_stop(self->storage);
  lk_client_stored(self->client, now());
  while (lk_client_is_busy(self->client)) {
    (void)poll(&one, 1, 10);
    lk_client_stored(self->client, now());
  }
}

void lk_client_host_close(lk_client_host *self) {
  if (self == NULL) return;
  if (self->client != NULL && self->storage != NULL) {
    flush(self);
    stop_storage(self);
  }
  lk_client_close(self->client);
  lk_posix_storage_close(self->storage);
  drop(self);
  if (self->lock >= 0) (void)close(self->lock);
  lk_buf_deinit(&self->url);
  lk_buf_deinit(&self->token);
  lk_buf_deinit(&self->out);
  lk_buf_deinit(&self->in);
  lk_free_bytes(lk_posix_heap(), self, sizeof *self);
}
