/* One connection over a pair of sockets, with a clock that the test sets. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/test.h"
#include "platform/providers/deflate_zlib.h"
#include "server/connection.h"

typedef struct fixture {
  lk_limits limits;
  lk_routes routes;
  lk_http1_body_rule bodies[LK_ROUTES_BODIES_COUNT];
  lk_loop loop;
  lk_connection_host host;
  lk_connection *connection;
  int client;
  bool is_unsettled;
  lk_bus_lag lag;
  uint8_t scratch[65536];
} fixture;

static const lk_times times = LK_TIMES_INIT;

static fixture *of(const lk_connection *c) { return LK_CONTAINER(c->host, fixture, host); }

static lk_err on_open(lk_connection *c, const lk_http1_request *request, const lk_answer *answer) {
  (void)c;
  (void)request;
  (void)answer;
  return LK_OK;
}

static bool holds; /* the host takes no more after a message */

static lk_err on_message(lk_connection *c, lk_slice bytes, bool is_binary) {
  (void)bytes;
  (void)is_binary;
  c->paused = holds;
  return LK_OK;
}

/* What the host was told of messages that are too long, and what it says. */
static struct {
  uint64_t total;
  size_t len;
  lk_err err;
} beginning;

static lk_err on_beginning(lk_connection *c, lk_slice bytes, uint64_t total, bool is_binary) {
  (void)c;
  CHECK(is_binary);
  beginning.total = total;
  beginning.len = bytes.len;
  return beginning.err;
}

static void on_end(lk_connection *c) { (void)c; }

/* What the connection said of its polls. */
static struct {
  int asked, written, lost;
  lk_err err;
} polls;

static lk_err on_poll(lk_connection *c, const lk_http1_request *request, const lk_answer *answer) {
  (void)c;
  CHECK(lk_slice_equal(request->body, answer->is_post ? LK_LIT("[]") : LK_SLICE_EMPTY));
  polls.asked++;
  return polls.err;
}

static void on_poll_end(lk_connection *c, bool is_written) {
  (void)c;
  if (is_written) polls.written++;
  else polls.lost++;
}

static void on_unsettled(lk_connection *c) { of(c)->is_unsettled = true; }
static void on_lag(lk_connection *c, lk_bus_lag lag) { of(c)->lag = lag; }

static void write_metrics(void *ctx, lk_buf *out) {
  (void)ctx;
  (void)out;
}

static void init(fixture *f, uint64_t now_ms) {
  static const lk_assets none = { NULL, 0 };
  int fds[2];
  *f = (fixture){ .limits = lk_limits_default() };
  f->routes = (lk_routes){ .assets = &none, .ready = true, .metrics = write_metrics };
  lk_routes_bodies(&f->limits, f->bodies);
  f->routes.bodies = f->bodies;
  f->routes.bodies_count = LK_ROUTES_BODIES_COUNT;
  memset(&polls, 0, sizeof polls);
  f->host = (lk_connection_host){ .alloc = test_alloc(),
                                  .limits = &f->limits,
                                  .routes = &f->routes,
                                  .loop = &f->loop,
                                  .times = &times,
                                  .scratch = f->scratch,
                                  .scratch_len = sizeof f->scratch,
                                  .on_open = on_open,
                                  .on_message = on_message,
                                  .on_beginning = on_beginning,
                                  .on_end = on_end,
                                  .on_poll = on_poll,
                                  .on_poll_end = on_poll_end,
                                  .on_lag = on_lag,
                                  .on_unsettled = on_unsettled };
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
  f->client = fds[0];
  CHECK_OK(lk_loop_init(&f->loop));
  f->loop.now_ms = now_ms;
  CHECK_OK(lk_connection_open(&f->host, fds[1], &f->connection));
}

static void deinit(fixture *f) {
  lk_connection_close(f->connection);
  lk_loop_deinit(&f->loop);
  (void)close(f->client);
}

/* The client sends |text| at |now_ms|, and the server reads it; nothing is settled yet. */
static void say(fixture *f, uint64_t now_ms, lk_slice text) {
  CHECK(send(f->client, text.ptr, text.len, 0) == (ssize_t)text.len);
  f->loop.now_ms = now_ms;
  f->connection->watch.callback(&f->connection->watch, EPOLLIN);
}

static size_t settle_and_count(fixture *f, const char *what) {
  static char got[262144];
  size_t count = 0;
  f->is_unsettled = false;
  lk_connection_settle(f->connection);
  ssize_t len = recv(f->client, got, sizeof got - 1, 0);
  got[len > 0 ? len : 0] = 0;
  for (const char *at = got; (at = strstr(at, what)) != NULL; at++) count++;
  return count;
}

/* Goal: a refusal is written however old the connection is. Method: the request begins while the connection may
 * still be idle, and turns out to be none after more time than a response may stall. */
TEST(a_request_that_is_refused_late_is_still_told_why) {
  static fixture f;
  init(&f, 1000);
  say(&f, 1000 + 28000, LK_LIT("GET / "));
  CHECK_U64(settle_and_count(&f, "HTTP/1.1"), 0);
  say(&f, 1000 + 31000, LK_LIT("nonsense\r\n\r\n"));
  CHECK_U64(settle_and_count(&f, "HTTP/1.1 400 "), 1);
  CHECK(!lk_connection_is_dead(f.connection));
  deinit(&f);
}

/* Goal: a client with many requests in one packet gets all its answers, and does not keep the loop to itself.
 * Method: count the answers of each settling. */
TEST(requests_in_one_packet_leave_turns_to_others) {
  static fixture f;
  char text[50 * 64] = "";
  size_t total = 0;
  init(&f, 1000);
  for (int i = 0; i < 50; i++) strcat(text, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  say(&f, 1000, lk_slice_cstr(text));
  do {
    size_t count = settle_and_count(&f, "HTTP/1.1 200 ");
    CHECK(count <= 8);
    total += count;
  } while (f.is_unsettled);
  CHECK_U64(total, 50);
  CHECK((f.connection->watch.events & EPOLLIN) != 0);
  deinit(&f);
}

/* ---- long-poll ---- */

#define POLL LK_LIT("GET /socket/longpoll HTTP/1.1\r\nHost: localhost\r\n\r\n")
#define HEALTH "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

/* Goal: what comes behind a request that waits is answered behind it, and not before. */
TEST(a_parked_request_holds_up_those_behind_it_and_no_time_out_ends_it) {
  static fixture f;
  init(&f, 1000);
  say(&f, 1000,
      LK_LIT(
          "POST /socket/longpoll HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
          "1\r\n[\r\n1\r\n]\r\n0\r\n\r\n" HEALTH));
  CHECK_U64(settle_and_count(&f, "HTTP/1.1"), 0);
  CHECK(polls.asked == 1 && f.connection->parked);
  CHECK(f.connection->watch.events == EPOLLRDHUP);
  CHECK(lk_connection_deadline(f.connection) == LK_LOOP_NEVER);
  f.loop.now_ms = 1000000;
  CHECK_U64(settle_and_count(&f, "HTTP/1.1"), 0);
  lk_connection_answer_poll(f.connection, LK_LIT("{\"status\":200}"), false);
  CHECK_U64(settle_and_count(&f, "HTTP/1.1 200 "), 2);
  CHECK((f.connection->watch.events & EPOLLIN) != 0 && polls.written == 0 && polls.lost == 0);
  deinit(&f);
}

TEST(a_poll_with_messages_ends_once_when_they_are_written) {
  static fixture f;
  init(&f, 1000);
  for (int i = 1; i <= 3; i++) {
    say(&f, 1000, POLL);
    lk_connection_answer_poll(f.connection, LK_LIT("{\"messages\":[1]}"), true);
    CHECK(polls.written == i - 1);
    CHECK_U64(settle_and_count(&f, "\r\n\r\n{\"messages\":[1]}"), 1);
    CHECK(polls.written == i && polls.lost == 0);
  }
  deinit(&f);
  CHECK(polls.lost == 0);
}

TEST(messages_that_are_not_wholly_written_are_lost_with_their_connection) {
  static fixture f;
  lk_buf json;
  init(&f, 1000);
  lk_buf_init(&json, test_alloc(), 1 << 20);
  CHECK(lk_buf_extend(&json, 1 << 20) != NULL);
  memset(json.ptr, 'x', json.len);
  say(&f, 1000, POLL);
  lk_connection_answer_poll(f.connection, lk_buf_slice(&json), true);
  (void)settle_and_count(&f, "HTTP");
  CHECK(polls.written == 0 && polls.lost == 0 && !lk_connection_is_dead(f.connection));
  f.loop.now_ms += 30000; /* nothing is read for as long as a response may stall */
  (void)settle_and_count(&f, "HTTP");
  lk_connection_settle(f.connection);
  f.loop.now_ms += 30000;
  lk_connection_settle(f.connection);
  CHECK(lk_connection_is_dead(f.connection));
  CHECK(polls.written == 0 && polls.lost == 1);
  deinit(&f);
  CHECK(polls.lost == 1);
  lk_buf_deinit(&json);
}

/* Goal: a client that has gone is noticed before messages are written to nobody. */
TEST(a_client_that_ends_its_half_while_it_is_parked_has_gone) {
  static fixture f;
  init(&f, 1000);
  say(&f, 1000, POLL);
  lk_connection_settle(f.connection);
  CHECK(f.connection->watch.events == EPOLLRDHUP);
  f.connection->watch.callback(&f.connection->watch, EPOLLRDHUP);
  CHECK(lk_connection_is_dead(f.connection) && polls.lost == 1);
  deinit(&f);
  CHECK(polls.lost == 1);
}

TEST(a_parked_request_is_still_answered_when_the_server_stops) {
  static fixture f;
  init(&f, 1000);
  say(&f, 1000, POLL);
  lk_connection_drain(f.connection);
  CHECK_U64(settle_and_count(&f, "HTTP/1.1"), 0);
  CHECK(f.connection->parked && f.connection->state == LK_CONNECTION_HTTP);
  lk_connection_answer_poll(f.connection, LK_LIT("{}"), false);
  CHECK_U64(settle_and_count(&f, "\r\nconnection: close\r\n"), 1);
  CHECK(f.connection->state == LK_CONNECTION_LINGER);
  deinit(&f);
}

TEST(a_client_that_closes_after_its_poll_is_told_so) {
  static fixture f;
  init(&f, 1000);
  say(&f, 1000,
      LK_LIT("GET /socket/longpoll HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
  lk_connection_answer_poll(f.connection, LK_LIT("{}"), true);
  CHECK_U64(settle_and_count(&f, "\r\nconnection: close\r\n"), 1);
  CHECK(f.connection->state == LK_CONNECTION_LINGER && polls.written == 1 && polls.lost == 0);
  deinit(&f);
}

TEST(a_poll_for_which_there_is_no_room_is_refused) {
  static fixture f;
  init(&f, 1000);
  polls.err = LK_ERR_NOMEM;
  say(&f, 1000, POLL);
  CHECK_U64(settle_and_count(&f, "HTTP/1.1 503 "), 1);
  CHECK(polls.lost == 0 && polls.written == 0 && f.connection->state == LK_CONNECTION_LINGER);
  deinit(&f);
  CHECK(polls.lost == 0);
}

/* ---- the echo ---- */

static const char echo_request[] =
    "GET /debug/echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
    "client_no_context_takeover\r\n\r\n";

/* A masked frame that becomes |len| zeros, less than 126 bytes long. */
static void add_zeros(lk_buf *to, size_t len) {
  static const lk_deflate_options options = LK_DEFLATE_OPTIONS_INIT;
  static const uint8_t zeros[65536];
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  lk_deflate_stream *s = NULL;
  lk_buf packed;
  lk_buf_init(&packed, test_alloc(), 1000);
  CHECK(len <= sizeof zeros);
  CHECK_OK(zlib->deflate_open(test_alloc(), &options, &s));
  CHECK_OK(zlib->deflate_feed(s, lk_slice_of(zeros, len), LK_DEFLATE_SYNC, &packed));
  zlib->deflate_close(s);
  CHECK(packed.len < 126 + 4);
  lk_buf_append_u8(to, 0xc2);
  lk_buf_append_u8(to, (uint8_t)(0x80 | (packed.len - 4)));
  lk_buf_append(to, LK_LIT("\0\0\0\0")); /* a key that changes nothing */
  CHECK_OK(lk_buf_append(to, lk_slice_first(lk_buf_slice(&packed), packed.len - 4)));
  lk_buf_deinit(&packed);
}

/* All that has been written, without looking at it. */
static size_t drain(fixture *f) {
  static char bytes[262144];
  size_t total = 0;
  for (ssize_t n; (n = recv(f->client, bytes, sizeof bytes, 0)) > 0;) total += (size_t)n;
  return total;
}

/* Goal: a client that sends few bytes that become many, and reads late, is slowed down and neither cut
 * off nor given more memory than the bound.
 * Method: a hundred messages in one packet, each of which becomes 64 KB, with room for a few. */
TEST(an_echo_waits_until_what_it_said_is_read) {
  enum { COUNT = 100, LEN = 65536, FRAME = LEN + 10 };
  static fixture f;
  lk_echo echo;
  lk_buf frames;
  size_t got = 0;
  init(&f, 1000);
  lk_echo_init(&echo, &f.limits);
  echo.limits.ws_message_bytes = LEN;
  echo.limits.ws_output_bytes = 2 * FRAME;
  echo.deflate.packed_bytes_min = UINT32_MAX; /* the answers come as they are */
  f.routes.echo = &echo;
  lk_buf_init(&frames, test_alloc(), 65536);
  for (int i = 0; i < COUNT; i++) add_zeros(&frames, LEN);
  say(&f, 1000, lk_slice_cstr(echo_request));
  CHECK_U64(settle_and_count(&f, "\r\nsec-websocket-extensions: permessage-deflate; "), 1);
  say(&f, 1000, lk_buf_slice(&frames));
  CHECK(f.connection->state == LK_CONNECTION_SOCKET && f.connection->is_open);
  lk_connection_settle(f.connection);
  CHECK((f.connection->watch.events & EPOLLIN) == 0);
  for (int turns = 0; got < COUNT * FRAME && turns < 10000; turns++) {
    CHECK(lk_ws_output(&f.connection->ws).len <= 2 * FRAME);
    got += drain(&f);
    lk_connection_settle(f.connection);
  }
  CHECK_U64(got, COUNT * FRAME);
  CHECK(f.connection->is_open && f.connection->unread == NULL);
  CHECK((f.connection->watch.events & EPOLLIN) != 0);
  deinit(&f);
  lk_buf_deinit(&frames);
}

static const char socket_request[] =
    "GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/* Goal: the host hears that a client reads too slowly before anything has to be dropped, and when it has caught up.
 * Method: messages of 1 KB for a client that reads nothing, and then all; settled only when the connection asks for it. */
TEST(what_waits_for_a_slow_reader_is_told_in_steps) {
  static fixture f;
  static uint8_t text[1024];
  int sent = 0, slow_at = 0, small = 4096;
  memset(text, 'x', sizeof text);
  init(&f, 1000);
  f.limits.ws_output_bytes = 256 * 1024;
  CHECK(setsockopt(f.connection->watch.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
  say(&f, 1000, lk_slice_cstr(socket_request));
  CHECK_U64(settle_and_count(&f, "HTTP/1.1 101 "), 1);
  while (f.lag != LK_BUS_BEHIND) {
    CHECK(++sent < 200);
    lk_connection_send(f.connection, lk_slice_of(text, sizeof text), false);
    if (!f.is_unsettled) continue;
    f.is_unsettled = false;
    lk_connection_settle(f.connection);
    if (f.lag == LK_BUS_SLOW && slow_at == 0) slow_at = sent;
  }
  CHECK(slow_at >= 16 && sent >= slow_at + 40);
  CHECK(f.connection->is_open);
  for (int turns = 0; f.lag != LK_BUS_IN_STEP; turns++) {
    CHECK(turns < 10000 && f.lag == LK_BUS_BEHIND);
    (void)drain(&f);
    lk_connection_settle(f.connection);
  }
  CHECK(lk_ws_output(&f.connection->ws).len < 4096);
  deinit(&f);
}

/* Goal: ten thousand quiet clients cost what their structs cost, and those stay small.
 * Method: a WebSocket that has said and heard something holds no memory beside its struct. */
TEST(a_quiet_websocket_has_nothing_but_a_small_struct) {
  static const uint8_t ping[] = { 0x89, 0x80, 0, 0, 0, 0 };
  static fixture f;
  init(&f, 1000);
  say(&f, 1000, lk_slice_cstr(socket_request));
  CHECK_U64(settle_and_count(&f, "HTTP/1.1 101 "), 1);
  say(&f, 1000, lk_slice_of(ping, sizeof ping));
  lk_connection_send(f.connection, LK_LIT("hello"), false);
  lk_connection_settle(f.connection);
  CHECK_U64(drain(&f), 2 + (2 + 5));
  const lk_connection *c = f.connection;
  CHECK(c->is_ws && c->unread == NULL && c->ws.control == NULL);
  CHECK(c->ws.message.ptr == NULL && c->ws.output.ptr == NULL);
  CHECK(sizeof *c <= 448);
  deinit(&f);
}

/* Goal: a client that does not read costs no system call for each message that it is sent.
 * Method: fill its socket; a further message asks for nothing, and is written when the socket says that it may. */
TEST(a_client_that_does_not_read_is_not_tried_again_with_each_message) {
  static uint8_t much[300000];
  static fixture f;
  init(&f, 1000);
  say(&f, 1000, lk_slice_cstr(socket_request));
  CHECK_U64(settle_and_count(&f, "HTTP/1.1 101 "), 1);
  lk_connection_send(f.connection, lk_slice_of(much, sizeof much), true);
  CHECK(f.is_unsettled);
  f.is_unsettled = false;
  lk_connection_settle(f.connection);
  CHECK((f.connection->watch.events & EPOLLOUT) != 0);
  lk_connection_send(f.connection, LK_LIT("more"), true);
  CHECK(!f.is_unsettled);
  size_t got = drain(&f);
  f.connection->watch.callback(&f.connection->watch, EPOLLOUT);
  CHECK(f.is_unsettled);
  lk_connection_settle(f.connection);
  got += drain(&f);
  CHECK_U64(got, 10 + sizeof much + 2 + 4);
  deinit(&f);
}

/* Goal: whoever is held up, for its rate or for what is unanswered, is not taken for silent meanwhile.
 * Method: the host takes no more after a message; then two minutes pass, and then it goes on. */
TEST(a_client_that_is_not_read_is_not_called_silent) {
  static const uint8_t message[] = { 0x82, 0x81, 0, 0, 0, 0, 'x' };
  static fixture f;
  init(&f, 1000);
  say(&f, 1000, lk_slice_cstr(socket_request));
  CHECK_U64(settle_and_count(&f, "HTTP/1.1 101 "), 1);
  holds = true;
  say(&f, 2000, lk_slice_of(message, sizeof message));
  CHECK_U64(settle_and_count(&f, "\x89"), 0);
  CHECK(lk_connection_deadline(f.connection) == LK_LOOP_NEVER);
  CHECK((f.connection->watch.events & EPOLLIN) == 0);
  f.loop.now_ms = 122000;
  CHECK_U64(settle_and_count(&f, "\x89"), 0);
  CHECK(!lk_connection_is_dead(f.connection) && f.connection->is_open);
  holds = false;
  lk_connection_resume(f.connection);
  CHECK_U64(settle_and_count(&f, "\x89"), 0);
  CHECK((f.connection->watch.events & EPOLLIN) != 0);
  CHECK_U64(lk_connection_deadline(f.connection), 122000 + 25000);
  deinit(&f);
}

/* Goal: a message that is too long reaches the host by its beginning, where the client's form has a way to answer; else, and
 * beyond 16 times the limit, it is closed with 1009. */
TEST(a_message_that_is_too_long_is_the_hosts_to_answer_up_to_sixteen_times_the_limit) {
  static const char older[] = "GET /socket/websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                              "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  static const struct {
    const char *request;
    uint16_t len;
    lk_err err;
    bool is_told, is_closed;
  } rows[] = { { socket_request, 1600, LK_OK, true, false },
               { socket_request, 1600, LK_ERR_TOO_BIG, true, true },
               { socket_request, 1601, LK_OK, false, true },
               { older, 1600, LK_OK, false, true } };
  for (size_t i = 0; i < 4; i++) {
    static fixture f;
    static uint8_t frame[1 << 11] = { 0x82, 0xfe };
    init(&f, 1000);
    f.limits.ws_message_bytes = 100;
    beginning.total = 0;
    beginning.err = rows[i].err;
    say(&f, 1000, lk_slice_cstr(rows[i].request));
    CHECK_U64(settle_and_count(&f, "HTTP/1.1 101 "), 1);
    lk_store_be16(frame + 2, rows[i].len);
    say(&f, 1000, lk_slice_of(frame, 8u + rows[i].len));
    CHECK_U64(settle_and_count(&f, "\x88\x02\x03\xf1"), rows[i].is_closed ? 1 : 0);
    CHECK_U64(beginning.total, rows[i].is_told ? rows[i].len : 0);
    if (rows[i].is_told) CHECK_U64(beginning.len, 100);
    deinit(&f);
  }
}

/* ---- connections of one document ---- */

static const char document_request[] =
    "GET /y/a%20b HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/* Goal: y-websocket does not leave a server that has nothing to say: within 30 s it hears a message, also where
 * its own messages are heard all the time, so that it needs no ping. */
TEST(a_client_of_a_document_hears_something_in_time_and_others_do_not) {
  static const uint8_t ping[] = { 0x89, 0x80, 0, 0, 0, 0 };
  static const char nobody[] = "\x82\x03\x01\x01";
  for (int is_document = 0; is_document < 2; is_document++) {
    static fixture f;
    init(&f, 1000);
    say(&f, 1000, lk_slice_cstr(is_document == 1 ? document_request : socket_request));
    CHECK_U64(settle_and_count(&f, "HTTP/1.1 101 "), 1);
    size_t heard = 0;
    for (uint64_t now = 2000; now < 90000; now += 1000) {
      if (now % 5000 == 3000) say(&f, now, lk_slice_of(ping, sizeof ping));
      f.loop.now_ms = now;
      CHECK(lk_connection_deadline(f.connection) > now - 1000);
      size_t count = settle_and_count(&f, nobody);
      CHECK(count <= 1);
      heard += count;
      if (now == 30000 && is_document == 1) CHECK_U64(heard, 1);
      if (now == 50000) lk_connection_send(f.connection, LK_LIT("x"), true);
    }
    CHECK_U64(heard,
              is_document == 1 ? 3 : 0); /* at 21, 41 and, after what was said at 50, 70 and 90 s */
    deinit(&f);
  }
}

static lk_err no_token(void *ctx, lk_slice token, const lk_alloc *alloc, lk_grant **out) {
  (void)ctx;
  (void)token;
  (void)alloc;
  (void)out;
  return LK_ERR_TOKEN_MISSING;
}

static lk_err not_for_strangers(lk_connection *c, const lk_http1_request *request,
                                const lk_answer *answer) {
  (void)c;
  (void)request;
  (void)answer;
  CHECK(false);
  return LK_OK;
}

/* Goal: a page hears why it is turned away, within a WebSocket, and it costs no more than a refusal: the host is not
 * asked, and what the client sends behind it is thrown away. */
TEST(a_client_of_a_document_without_a_token_is_upgraded_and_closed_at_once) {
  static const char closed[] = "\r\n\r\n\x88\x16\x11\x31LK_ERR_TOKEN_MISSING";
  static const uint8_t much[60000] = { 0x82, 0xff, 0, 0, 0, 0, 0, 1 };
  static fixture f;
  const lk_access access = { .check = no_token };
  init(&f, 1000);
  f.routes.access = &access;
  f.host.on_open = not_for_strangers;
  say(&f, 1000, lk_slice_cstr(document_request));
  CHECK_U64(settle_and_count(&f, closed), 1);
  CHECK(f.connection->state == LK_CONNECTION_LINGER && !f.connection->is_ws);
  for (int i = 0; i < 20; i++) say(&f, 1100, lk_slice_of(much, sizeof much));
  CHECK(f.connection->unread == NULL && f.connection->exchange->out.ptr == NULL);
  CHECK_U64(settle_and_count(&f, "H"), 0);
  f.loop.now_ms = lk_connection_deadline(f.connection);
  CHECK(f.loop.now_ms <= 4000);
  lk_connection_settle(f.connection);
  CHECK(lk_connection_is_dead(f.connection));
  deinit(&f);
}

/* Goal: whoever brings no good token connects anew after some requests, or after many bytes.
 * Method: upgrades that are refused; what is served to everybody does not count. */
TEST(a_client_that_brings_no_token_again_and_again_is_closed) {
  static const char health[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
  const lk_access access = { .check = no_token };
  for (int is_large = 0; is_large < 2; is_large++) {
    static fixture f;
    init(&f, 1000);
    f.routes.access = &access;
    if (is_large == 1) f.limits.edge_stranger_bytes = 1000;
    for (int i = 0; i < 20; i++) {
      say(&f, 1000, lk_slice_cstr(health));
      CHECK_U64(settle_and_count(&f, "HTTP/1.1 200 "), 1);
    }
    int refused = 0;
    for (; f.connection->state == LK_CONNECTION_HTTP && refused < 20; refused++) {
      say(&f, 1000, lk_slice_cstr(socket_request));
      CHECK_U64(settle_and_count(&f, "LK_ERR_TOKEN_MISSING"), 1);
    }
    CHECK_U64(refused, is_large == 1 ? 2 : 8);
    CHECK_U64(f.host.strangers, 1);
    deinit(&f);
  }
}

TEST(what_ends_a_connection_has_a_code_by_which_its_client_comes_back_or_not) {
  static const struct {
    lk_err err;
    unsigned code;
  } rows[] = {
    { LK_ERR_LIMIT, 1013 },          { LK_ERR_FULL, 1013 },          { LK_ERR_NOMEM, 1011 },
    { LK_ERR_CLOSED, 1001 },         { LK_ERR_BAD_MESSAGE, 1008 },   { LK_ERR_UNSUPPORTED, 1003 },
    { LK_ERR_TRUNCATED, 1008 },      { LK_ERR_TOKEN_MISSING, 4401 }, { LK_ERR_TOKEN_INVALID, 4401 },
    { LK_ERR_TOKEN_EXPIRED, 4401 },  { LK_ERR_TOKEN_CLAIMS, 4401 },  { LK_ERR_TOKEN_REVOKED, 4401 },
    { LK_ERR_DENIED, 4403 },         { LK_ERR_UNMATCHED_TOPIC, 4404 }, { LK_ERR_REFUSED, 4422 },
    { LK_ERR_DIALECT, 4426 },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    CHECK_U64(lk_connection_code_of(rows[i].err), rows[i].code);
}
