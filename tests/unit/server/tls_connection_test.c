/* One connection with TLS over a pair of sockets, with a clock that the test sets. What differs from a plain one. */
#include <sys/socket.h>

#include "server/connection.h"
#include "tls_peer.h"

typedef struct fixture {
  lk_limits limits;
  lk_routes routes;
  lk_loop loop;
  lk_connection_host host;
  peer_folder folder;
  lk_tls_files files;
  lk_tls_server server;
  lk_echo echo;
  SSL_CTX *context;
  peer client;
  lk_connection *connection;
  int fd;
  int ends; /* of polls */
  bool written;
  uint8_t scratch[65536];
} fixture;

static const lk_times times = LK_TIMES_INIT;

static fixture *of(const lk_connection *c) { return LK_CONTAINER(c->host, fixture, host); }
static lk_err on_open(lk_connection *c, const lk_http1_request *request, const lk_answer *answer) {
  (void)request;
  (void)answer;
  return c->state == LK_CONNECTION_HTTP ? LK_OK : LK_ERR_STATE;
}
static lk_err on_message(lk_connection *c, lk_slice bytes, bool is_binary) {
  lk_connection_send(c, bytes, is_binary);
  return LK_OK;
}
static void on_end(lk_connection *c) { (void)c; }
static void on_unsettled(lk_connection *c) { (void)c; }
static void on_lag(lk_connection *c, lk_bus_lag lag) {
  (void)c;
  (void)lag;
}
static lk_err on_poll(lk_connection *c, const lk_http1_request *request, const lk_answer *answer) {
  (void)c;
  (void)request;
  (void)answer;
  return LK_OK;
}
static void on_poll_end(lk_connection *c, bool is_written) {
  of(c)->ends++;
  of(c)->written = is_written;
}

static void init(fixture *f, const lk_alloc *alloc) {
  static const lk_assets none = { NULL, 0 };
  lk_buf why;
  int fds[2];
  *f = (fixture){ .limits = lk_limits_default() };
  f->routes = (lk_routes){ .assets = &none, .ready = true, .echo = &f->echo };
  lk_echo_init(&f->echo, &f->limits);
  folder_init(&f->folder);
  folder_fill(&f->folder, "EC", "localhost");
  lk_buf_init(&why, test_alloc(), 1024);
  CHECK_OK(
      lk_tls_files_open(&f->files, test_alloc(), f->folder.certificate, f->folder.key, 1000, &why));
  CHECK_OK(lk_tls_server_init(&f->server, test_alloc(), &f->files, NULL));
  lk_buf_deinit(&why);
  f->server.alloc = alloc;
  f->host = (lk_connection_host){ .alloc = alloc,
                                  .limits = &f->limits,
                                  .routes = &f->routes,
                                  .loop = &f->loop,
                                  .times = &times,
                                  .tls = &f->server,
                                  .scratch = f->scratch,
                                  .scratch_len = sizeof f->scratch,
                                  .on_open = on_open,
                                  .on_message = on_message,
                                  .on_end = on_end,
                                  .on_poll = on_poll,
                                  .on_poll_end = on_poll_end,
                                  .on_lag = on_lag,
                                  .on_unsettled = on_unsettled };
  f->context = peer_context(TLS1_3_VERSION);
  peer_init(&f->client, f->context);
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
  f->fd = fds[0];
  CHECK_OK(lk_loop_init(&f->loop));
  f->loop.now_ms = 1000;
  if (lk_connection_open(&f->host, fds[1], &f->connection) != LK_OK) (void)close(fds[1]);
}

static void deinit(fixture *f) {
  if (f->connection != NULL) lk_connection_close(f->connection);
  lk_loop_deinit(&f->loop);
  (void)close(f->fd);
  peer_deinit(&f->client);
  SSL_CTX_free(f->context);
  f->server.alloc = test_alloc();
  lk_tls_server_deinit(&f->server);
  lk_tls_files_close(&f->files);
  folder_deinit(&f->folder);
}

/* The server reads what is there, and settles. */
static void turn(fixture *f) {
  if (lk_connection_is_dead(f->connection)) return;
  f->connection->watch.callback(&f->connection->watch, EPOLLIN);
  lk_connection_settle(f->connection);
}

static void send_raw(fixture *f, const void *bytes, size_t len) {
  CHECK(send(f->fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
  turn(f);
}

/* All that the client has to send goes to the server in one piece, and back comes what is there. */
static void exchange(fixture *f) {
  uint8_t bytes[65536];
  size_t n = peer_take(&f->client, bytes, sizeof bytes);
  if (n > 0 && !lk_connection_is_dead(f->connection)) send_raw(f, bytes, n);
  for (ssize_t got; (got = recv(f->fd, bytes, sizeof bytes, 0)) > 0;) {
    CHECK(BIO_write(f->client.from_server, bytes, (int)got) == (int)got);
    if (!lk_connection_is_dead(f->connection)) lk_connection_settle(f->connection);
  }
}

static void shake(fixture *f) {
  for (int i = 0; i < 5 && SSL_do_handshake(f->client.ssl) != 1; i++) exchange(f);
}

static const char *ask(fixture *f, const char *request) {
  static char got[65536];
  size_t len = 0;
  CHECK(SSL_write(f->client.ssl, request, (int)strlen(request)) == (int)strlen(request));
  exchange(f);
  for (int n; (n = SSL_read(f->client.ssl, got + len, (int)(sizeof got - 1 - len))) > 0;)
    len += (size_t)n;
  got[len] = 0;
  return got;
}

static size_t count_of(const char *text, const char *what) {
  size_t count = 0;
  for (; (text = strstr(text, what)) != NULL; text++) count++;
  return count;
}

static bool client_heard_the_end(fixture *f) {
  char got[16];
  exchange(f);
  int n = SSL_read(f->client.ssl, got, sizeof got);
  return n == 0 && SSL_get_error(f->client.ssl, n) == SSL_ERROR_ZERO_RETURN;
}

#define GET "GET /healthz HTTP/1.1\r\nhost: localhost\r\n"

/* Goal: the request may come with the last flight of the handshake, in one packet with it. */
TEST(requests_over_tls_are_answered_and_the_last_one_ends_with_a_close_notify) {
  static fixture f;
  init(&f, test_alloc());
  shake(&f);
  CHECK_U64(count_of(ask(&f, GET "\r\n"), "HTTP/1.1 200"), 1);
  CHECK_U64(count_of(ask(&f, GET "\r\n" GET "\r\n" GET "\r\n"), "HTTP/1.1 200"), 3);
  CHECK_U64(count_of(ask(&f, GET "connection: close\r\n\r\n"), "HTTP/1.1 200"), 1);
  CHECK(client_heard_the_end(&f));
  CHECK(f.connection->state == LK_CONNECTION_LINGER);
  deinit(&f);
}

TEST(a_handshake_that_is_not_done_in_time_is_cut) {
  static fixture f;
  uint8_t bytes[4096];
  init(&f, test_alloc());
  (void)SSL_do_handshake(f.client.ssl);
  size_t n = peer_take(&f.client, bytes, sizeof bytes);
  for (size_t i = 0; i < 100; i++) { /* a byte each 49 ms: no single wait is long */
    f.loop.now_ms = 1000 + 49 * i;
    send_raw(&f, bytes + i, 1);
    CHECK(i < n && !lk_connection_is_dead(f.connection));
    CHECK_U64(lk_connection_deadline(f.connection), 1000 + LK_TLS_HANDSHAKE_MS);
  }
  f.loop.now_ms = 1000 + LK_TLS_HANDSHAKE_MS;
  lk_connection_settle(f.connection);
  CHECK(lk_connection_is_dead(f.connection));
  deinit(&f);
}

TEST(a_plain_request_gets_its_sentence_and_time_to_read_it) {
  static fixture f;
  char got[512] = "";
  init(&f, test_alloc());
  send_raw(&f, GET "\r\n", strlen(GET "\r\n"));
  CHECK(recv(f.fd, got, sizeof got - 1, 0) > 0);
  CHECK(strstr(got, "HTTP/1.1 400 ") == got && strstr(got, "This port speaks TLS") != NULL);
  CHECK(f.connection->state == LK_CONNECTION_LINGER);
  send_raw(&f, "more of the body", 16);
  CHECK(f.connection->state == LK_CONNECTION_LINGER);
  deinit(&f);
}

TEST(a_client_that_says_that_it_is_done_still_gets_what_it_asked_for) {
  static fixture f;
  init(&f, test_alloc());
  shake(&f);
  CHECK(SSL_write(f.client.ssl, GET "\r\n" GET "\r\n", 2 * (int)strlen(GET "\r\n")) > 0);
  CHECK(SSL_shutdown(f.client.ssl) == 0);
  exchange(&f);
  char got[4096];
  int n = SSL_read(f.client.ssl, got, sizeof got - 1);
  CHECK(n > 0);
  got[n] = 0;
  CHECK_U64(count_of(got, "HTTP/1.1 200"), 1);
  n = SSL_read(f.client.ssl, got, sizeof got - 1);
  CHECK(n > 0 && strncmp(got, "HTTP/1.1 200", 12) == 0);
  CHECK(client_heard_the_end(&f));
  CHECK(lk_connection_is_dead(f.connection));
  deinit(&f);
}

TEST(an_idle_client_is_told_of_the_end) {
  static fixture f;
  init(&f, test_alloc());
  shake(&f);
  CHECK_U64(count_of(ask(&f, GET "\r\n"), "HTTP/1.1 200"), 1);
  f.loop.now_ms = lk_connection_deadline(f.connection);
  lk_connection_settle(f.connection);
  CHECK(lk_connection_is_dead(f.connection));
  CHECK(client_heard_the_end(&f));
  deinit(&f);
}

/* Writes whole requests of at most |cap| bytes, in one record; how many. */
static size_t write_requests(fixture *f, size_t cap) {
  static char text[LK_TLS_RECORD_MAX];
  const size_t len = strlen(GET "\r\n"), count = cap / len;
  for (size_t i = 0; i < count; i++) memcpy(text + i * len, GET "\r\n", len);
  CHECK(SSL_write(f->client.ssl, text, (int)(count * len)) > 0);
  return count;
}

/* Goal: one reading may bring more plaintext than ciphertext, as a record may have waited for its last byte. Method: that,
 * with requests, of which the first one holds up all others. */
TEST(a_full_reading_behind_a_record_that_lacked_its_end_is_kept) {
  static fixture f;
  static uint8_t sealed[100000];
  static char got[65536];
  size_t asked = 0, answered = 0;
  init(&f, test_alloc());
  shake(&f);
  for (int i = 0; i < 4; i++) asked += write_requests(&f, 16368);
  asked += write_requests(&f, 16325);
  size_t n = peer_take(&f.client, sealed, sizeof sealed);
  size_t first = n - sizeof f.scratch + 20; /* all but the first record's end fits one reading */
  CHECK(first < 16368 + 22 && n - first <= sizeof f.scratch && n - first > sizeof f.scratch - 100);
  int room = 1 << 20;
  CHECK(setsockopt(f.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0);
  send_raw(&f, sealed, first);
  send_raw(&f, sealed + first, n - first);
  for (int i = 0; i < 2000 && answered < asked; i++) {
    exchange(&f);
    for (int len; (len = SSL_read(f.client.ssl, got, sizeof got - 1)) > 0; got[len] = 0) {
      got[len] = 0;
      answered += count_of(got, "HTTP/1.1 200");
    }
  }
  CHECK_U64(answered, asked);
  deinit(&f);
}

/* Goal: messages count as written when the socket has the last of them, and not when they are encrypted. Method: a client
 * with a full socket. */
TEST(messages_of_a_poll_count_as_written_when_their_records_are) {
  static char json[20000]; /* less than may be encrypted ahead, more than the socket takes */
  static fixture f;
  int small = 4096;
  init(&f, test_alloc());
  shake(&f);
  memset(json, 'x', sizeof json);
  CHECK(setsockopt(f.connection->watch.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
  static const char poll[] = "GET /socket/longpoll?vsn=2.0.0 HTTP/1.1\r\nhost: localhost\r\n\r\n";
  CHECK(SSL_write(f.client.ssl, poll, (int)strlen(poll)) > 0);
  exchange(&f);
  CHECK(f.connection->parked);
  CHECK_U64(f.ends, 0);
  lk_connection_answer_poll(f.connection, lk_slice_of(json, sizeof json), true);
  for (int i = 0; i < 3; i++) lk_connection_settle(f.connection);
  CHECK_U64(f.ends, 0);
  exchange(&f);
  CHECK_U64(f.ends, 1);
  CHECK(f.written);
  deinit(&f);
}

static const char upgrade[] =
    "GET /debug/echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/* Goal: what a client that does not read can make us keep does not grow with TLS but by one piece. Method: an echo whose
 * client only sends; it is slowed down, and nothing is lost when it reads. */
TEST(a_websocket_over_tls_echoes_and_slows_down_who_does_not_read) {
  static fixture f;
  static uint8_t frame[8 + 60000] = { 0x82, 0xfe, 60000 >> 8, 60000 & 255 };
  static uint8_t bytes[65536 + 4096];
  size_t sent = 0, got = 0;
  init(&f, test_alloc());
  shake(&f);
  CHECK_U64(count_of(ask(&f, upgrade), "HTTP/1.1 101"), 1);
  for (int i = 0; i < 1000; i++) {
    CHECK(SSL_write(f.client.ssl, frame, sizeof frame) == sizeof frame);
    size_t n = peer_take(&f.client, bytes, sizeof bytes);
    ssize_t put = send(f.fd, bytes, n, MSG_NOSIGNAL);
    if (put != (ssize_t)n) { /* the rest goes when it may */
      memmove(bytes, bytes + (put > 0 ? put : 0), n - (size_t)(put > 0 ? put : 0));
      sent++;
      size_t rest = n - (size_t)(put > 0 ? put : 0);
      for (int k = 0; rest > 0 && k < 10000; k++) {
        static uint8_t back[65536];
        ssize_t in = recv(f.fd, back, sizeof back, 0);
        if (in > 0) CHECK(BIO_write(f.client.from_server, back, (int)in) == (int)in);
        turn(&f);
        put = send(f.fd, bytes, rest, MSG_NOSIGNAL);
        if (put > 0) memmove(bytes, bytes + put, rest -= (size_t)put);
      }
      CHECK_U64(rest, 0);
      break;
    }
    sent++;
    turn(&f);
    CHECK(lk_tls_output(f.connection->tls).len <= LK_TLS_WRITE_MAX + 1024);
  }
  CHECK(sent > 2 && sent < 1000); /* it was slowed down */
  for (int i = 0; i < 1000 && got < sent * 60004; i++) {
    turn(&f);
    exchange(&f);
    for (int n; (n = SSL_read(f.client.ssl, bytes, sizeof bytes)) > 0;) got += (size_t)n;
  }
  CHECK_U64(got, sent * 60004);
  deinit(&f);
}

TEST(every_allocation_of_a_connection_with_tls_may_fail) {
  static fixture f;
  FAULT_LOOP(faults, test_alloc()) {
    init(&f, faulty_alloc(&faults));
    if (f.connection != NULL) {
      shake(&f);
      if (SSL_is_init_finished(f.client.ssl)) (void)ask(&f, GET "\r\n");
    }
    deinit(&f);
  }
}
