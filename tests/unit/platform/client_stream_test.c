/* A client's connection, to sockets of the test's own; TLS over it has unit/server/client_tls_test.c. */
#include "platform/posix/client_stream.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness/test.h"

/* A socket on a port of its own of this machine, which takes connections or refuses them. */
static int bind_one(bool listens, struct sockaddr_in *at) {
  socklen_t len = sizeof *at;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  *at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  CHECK(fd >= 0 && bind(fd, (struct sockaddr *)at, len) == 0);
  CHECK(getsockname(fd, (struct sockaddr *)at, &len) == 0);
  CHECK(!listens || listen(fd, 1) == 0);
  return fd;
}

static lk_http_url url_of(const struct sockaddr_in *at) {
  return (lk_http_url){ .host = LK_LIT("127.0.0.1"), .port = ntohs(at->sin_port) };
}

static lk_err advance(lk_client_stream *stream) {
  lk_err err = LK_ERR_MORE;
  while (err == LK_ERR_MORE) {
    struct pollfd one = { .fd = stream->fd, .events = lk_client_stream_events(stream, false) };
    CHECK(poll(&one, 1, 10000) == 1);
    err = lk_client_stream_advance(stream);
  }
  return err;
}

/* Goal: a name that has an address where nobody listens, as "localhost" often has, is reached by the next one. */
TEST(client_stream_tries_the_next_address) {
  lk_client_stream stream = LK_CLIENT_STREAM_INIT;
  struct sockaddr_in closed, open;
  int quiet = bind_one(false, &closed), listener = bind_one(true, &open);
  struct addrinfo second = { .ai_family = AF_INET,
                             .ai_socktype = SOCK_STREAM,
                             .ai_addr = (struct sockaddr *)&open,
                             .ai_addrlen = sizeof open };
  struct addrinfo first = { .ai_family = AF_INET,
                            .ai_socktype = SOCK_STREAM,
                            .ai_addr = (struct sockaddr *)&closed,
                            .ai_addrlen = sizeof closed,
                            .ai_next = &second };
  lk_http_url url = url_of(&open);
  CHECK_OK(lk_client_stream_open(&stream, &url, NULL));
  CHECK(close(stream.fd) == 0);
  stream.fd = -1;
  stream.next = &first; /* as if the name had these two, and the one before had failed */
  CHECK_ERR(lk_client_stream_advance(&stream), LK_ERR_MORE);
  CHECK_OK(advance(&stream));
  CHECK(stream.state == LK_CLIENT_STREAM_OPEN && stream.found == NULL);
  lk_client_stream_close(&stream);
  CHECK(close(quiet) == 0 && close(listener) == 0);
}

TEST(client_stream_says_why_there_is_none) {
  lk_client_stream stream = LK_CLIENT_STREAM_INIT;
  struct sockaddr_in closed;
  int quiet = bind_one(false, &closed);
  lk_http_url url = url_of(&closed);
  lk_err err = lk_client_stream_open(&stream, &url, NULL);
  CHECK_ERR(err == LK_OK ? advance(&stream) : err, LK_ERR_CLOSED);
  lk_client_stream_close(&stream);
  url.host = LK_LIT("256.256.256.256");
  CHECK_ERR(lk_client_stream_open(&stream, &url, NULL), LK_ERR_NOT_FOUND);
  lk_client_stream_close(&stream);
  lk_client_stream_close(&stream);
  CHECK(close(quiet) == 0);
}
