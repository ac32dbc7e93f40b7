/* server/listener.c -- socket, bind, listen. */
#include "server/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "server/console.h"

#define BIND_TRIES 30
#define BIND_PAUSE_MS 50
#define BACKLOG 1024

typedef union any_address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
} any_address;

static bool parse(const char *text, uint16_t port, any_address *out, socklen_t *len) {
  memset(out, 0, sizeof *out);
  if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1) {
    out->v4.sin_family = AF_INET;
    out->v4.sin_port = htons(port);
    *len = sizeof out->v4;
    return true;
  }
  if (inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1) {
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(port);
    *len = sizeof out->v6;
    return true;
  }
  return false;
}

static lk_err refuse(const char *address) {
  lk_console_say("%s is not an address in numbers, such as 127.0.0.1 or ::1", address);
  return LK_ERR_INVALID;
}

static lk_err complain(const char *address, uint16_t port) {
  if (errno == EADDRINUSE) {
    lk_console_say(
        "port %u of %s is taken by another program; stop it, or choose another port with "
        "--port (0 lets the system choose)",
        port, address);
    return LK_ERR_EXISTS;
  }
  lk_console_say("cannot listen on port %u of %s: %s", port, address, strerror(errno));
  return LK_ERR_IO;
}

static void write_url(lk_listener *self, const char *scheme, const char *address, uint16_t port) {
  bool v6 = strchr(address, ':') != NULL;
  (void)snprintf(self->url, sizeof self->url, "%s://%s%s%s:%u", scheme, v6 ? "[" : "", address,
                 v6 ? "]" : "", port);
}

/* A server of ours that was killed leaves processes that hold the port until they have noticed, some milliseconds later. So
 * who starts it again at once is not told that somebody else has the port. */
static int bind_soon(int fd, const struct sockaddr *at, socklen_t len) {
  const struct timespec pause = { .tv_nsec = BIND_PAUSE_MS * 1000000L };
  int result = bind(fd, at, len);
  for (int i = 0; i < BIND_TRIES && result != 0 && errno == EADDRINUSE; i++) {
    (void)nanosleep(&pause, NULL);
    result = bind(fd, at, len);
  }
  return result;
}

lk_err lk_listener_open(lk_listener *self, const char *scheme, const char *address, uint16_t port) {
  any_address at;
  socklen_t len;
  int on = 1;
  *self = (lk_listener){ .fd = -1 };
  if (!parse(address, port, &at, &len)) return refuse(address);
  self->fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->fd < 0) return complain(address, port);
  /* A server that was just stopped leaves connections in TIME_WAIT; they must not hold the port. */
  (void)setsockopt(self->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  bool failed = bind_soon(self->fd, &at.any, len) != 0 || listen(self->fd, BACKLOG) != 0 ||
                getsockname(self->fd, &at.any, &len) != 0;
  if (failed) {
    lk_err err = complain(address, port);
    lk_listener_close(self);
    return err;
  }
  write_url(self, scheme, address,
            ntohs(at.any.sa_family == AF_INET ? at.v4.sin_port : at.v6.sin6_port));
  return LK_OK;
}

void lk_listener_close(lk_listener *self) {
  if (self->fd >= 0) (void)close(self->fd);
  self->fd = -1;
}
