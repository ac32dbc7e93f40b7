/* The client's TLS (laniakea/client_tls.h) against the server's (server/tls.h), over a socket that takes little at a time. */
#include "laniakea/client_tls.h"

#include <sys/socket.h>

#include "tls_peer.h"

#define LONG_LEN ((size_t)1 << 20)

typedef struct fixture {
  peer_folder folder;
  lk_tls_files files;
  lk_tls_server server;
  lk_tls *far; /* the server's end */
  const lk_client_tls *tls;
  void *near;
  int fds[2]; /* the client's, the server's */
} fixture;

static void open_server(fixture *f) {
  lk_buf why;
  lk_buf_init(&why, test_alloc(), 1024);
  CHECK_OK(
      lk_tls_files_open(&f->files, test_alloc(), f->folder.certificate, f->folder.key, 1000, &why));
  CHECK_OK(lk_tls_server_init(&f->server, test_alloc(), &f->files, NULL));
  CHECK_OK(lk_tls_open(&f->server, 1000, &f->far));
  lk_buf_deinit(&why);
}

static void init(fixture *f, const char *host) {
  int size = 4096;
  lk_client_tls_options options = LK_CLIENT_TLS_OPTIONS_INIT;
  *f = (fixture){ 0 };
  folder_init(&f->folder);
  folder_fill(&f->folder, "EC", "first.example");
  open_server(f);
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f->fds) == 0);
  for (int i = 0; i < 2; i++)
    CHECK(setsockopt(f->fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0);
  options.ca_file = f->folder.certificate;
  CHECK_OK(lk_client_tls_open(&options, &f->tls));
  CHECK_OK(f->tls->open(f->tls->ctx, f->fds[0], host, &f->near));
}

static void close_near(fixture *f) {
  if (f->near != NULL) f->tls->close(f->near);
  f->near = NULL;
}

static void deinit(fixture *f) {
  close_near(f);
  lk_client_tls_close(f->tls);
  lk_tls_close(f->far);
  lk_tls_server_deinit(&f->server);
  lk_tls_files_close(&f->files);
  folder_deinit(&f->folder);
  for (int i = 0; i < 2; i++) CHECK(close(f->fds[i]) == 0);
}

/* One turn of the server's: what it has to say goes as far as it does, and one part of what came is read. What lk_tls_read() gave last. */
static lk_err turn(fixture *f, lk_buf *heard) {
  uint8_t bytes[1000];
  lk_slice plain, out = lk_tls_output(f->far);
  lk_err err = LK_ERR_MORE;
  ssize_t n = out.len > 0 ? send(f->fds[1], out.ptr, out.len, MSG_NOSIGNAL) : 0;
  if (n > 0) lk_tls_consume(f->far, (size_t)n);
  n = recv(f->fds[1], bytes, sizeof bytes, 0);
  if (n <= 0) return err;
  lk_tls_feed(f->far, lk_slice_of(bytes, (size_t)n));
  while ((err = lk_tls_read(f->far, &plain)) == LK_OK) CHECK_OK(lk_buf_append(heard, plain));
  return err;
}

static lk_err meet(fixture *f, lk_buf *heard) {
  lk_err err = LK_ERR_MORE;
  for (int i = 0; i < 1000 && err == LK_ERR_MORE; i++) {
    bool wants_to_write;
    err = f->tls->shake_hands(f->near, &wants_to_write);
    if (err == LK_ERR_MORE) (void)turn(f, heard);
  }
  return err;
}

/* What the client has got so far goes to the end of |heard|. */
static lk_err listen_near(fixture *f, lk_buf *heard) {
  uint8_t bytes[16384];
  size_t len;
  lk_err err;
  while ((err = f->tls->read(f->near, bytes, sizeof bytes, &len)) == LK_OK)
    CHECK_OK(lk_buf_append(heard, lk_slice_of(bytes, len)));
  return err;
}

static uint8_t byte_at(size_t i) { return (uint8_t)(i * 7 + i / 251); }

/* Goal: what is longer than the socket takes arrives whole, in order and once, each way; and the end is said. */
TEST(client_tls_says_and_hears_more_than_a_socket_takes) {
  fixture f;
  lk_buf said, heard, back;
  size_t sent = 0, returned = 0, waits = 0;
  init(&f, "first.example");
  lk_buf_init(&said, test_alloc(), LONG_LEN);
  lk_buf_init(&heard, test_alloc(), LONG_LEN);
  lk_buf_init(&back, test_alloc(), LONG_LEN);
  uint8_t *bytes = lk_buf_extend(&said, LONG_LEN);
  CHECK(bytes != NULL);
  for (size_t i = 0; i < LONG_LEN; i++) bytes[i] = byte_at(i);
  CHECK_OK(meet(&f, &heard));
  while (back.len < LONG_LEN) {
    size_t taken = 0;
    lk_err err = LK_ERR_MORE;
    if (sent < LONG_LEN)
      err = f.tls->write(f.near, lk_slice_of(bytes + sent, LONG_LEN - sent), &taken);
    CHECK(err == LK_OK || err == LK_ERR_MORE);
    waits += err == LK_ERR_MORE;
    sent += taken;
    CHECK_ERR(turn(&f, &heard), LK_ERR_MORE);
    CHECK_OK(lk_tls_write(f.far, lk_slice_skip(lk_buf_slice(&heard), returned), &taken));
    returned += taken;
    CHECK_ERR(listen_near(&f, &back), LK_ERR_MORE);
  }
  CHECK(waits > 10);
  CHECK(lk_slice_equal(lk_buf_slice(&back), lk_buf_slice(&said)));
  close_near(&f);
  CHECK_ERR(turn(&f, &heard), LK_ERR_END);
  lk_buf_deinit(&said);
  lk_buf_deinit(&heard);
  lk_buf_deinit(&back);
  deinit(&f);
}

/* Goal: whoever has another name hears an alert and nothing else. */
TEST(client_tls_says_nothing_to_another_server) {
  fixture f;
  lk_buf heard;
  init(&f, "second.example");
  lk_buf_init(&heard, test_alloc(), 64);
  CHECK_ERR(meet(&f, &heard), LK_ERR_CERT_NAME);
  CHECK_ERR(turn(&f, &heard), LK_ERR_CLOSED);
  CHECK_U64(f.server.handshakes, 0);
  CHECK_U64(heard.len, 0);
  deinit(&f);
}

/* Goal: a connection that was cut is no end that was said, and is not waited for. */
TEST(client_tls_notices_that_it_was_cut_off) {
  fixture f;
  lk_buf heard;
  size_t taken;
  init(&f, "first.example");
  lk_buf_init(&heard, test_alloc(), 64);
  CHECK_OK(meet(&f, &heard));
  CHECK(shutdown(f.fds[1], SHUT_RDWR) == 0);
  CHECK_ERR(listen_near(&f, &heard), LK_ERR_CLOSED);
  CHECK_ERR(f.tls->write(f.near, LK_LIT("x"), &taken), LK_ERR_CLOSED);
  deinit(&f);
}

TEST(client_tls_names_what_is_wrong_with_the_file_of_whom_to_trust) {
  fixture f;
  const lk_client_tls *tls;
  lk_client_tls_options options = LK_CLIENT_TLS_OPTIONS_INIT;
  init(&f, "first.example");
  options.ca_file = f.folder.key;
  CHECK_ERR(lk_client_tls_open(&options, &tls), LK_ERR_CORRUPT);
  CHECK(tls == NULL);
  options.ca_file = "/nowhere/authority.pem";
  CHECK_ERR(lk_client_tls_open(&options, &tls), LK_ERR_NOT_FOUND);
  lk_client_tls_close(NULL);
  deinit(&f);
}

/* Goal: a host that was lent no TLS does not speak in the clear where it was asked for. */
TEST(client_host_without_tls_refuses_addresses_that_want_it) {
  static const char *const urls[] = { "https://a.example", "wss://a.example" };
  lk_client_host_options options = LK_CLIENT_HOST_OPTIONS_INIT;
  lk_client_host *host;
  for (size_t i = 0; i < 2; i++) {
    options.url = urls[i];
    CHECK_ERR(lk_client_host_open(&options, &host), LK_ERR_UNSUPPORTED);
    CHECK(host == NULL);
  }
  options.url = "wsss://a.example";
  CHECK_ERR(lk_client_host_open(&options, &host), LK_ERR_SYNTAX);
  options.url = "ws://127.0.0.1:1";
  CHECK_OK(lk_client_host_open(&options, &host));
  lk_client_host_close(host);
}
