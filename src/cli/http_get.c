/* cli/http_get.c -- connect, send, read to the end, all before one deadline.
 *
 * The socket does not block: whoever is slow, at whatever step, runs into the same wall. */
#include "cli/http_get.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/args.h"
#include "platform/posix/clock.h"
#include "server/console.h"
#include "server/http_response.h"
#include "server/origin.h"

#define CHUNK 16384

/* ---- where ---- */

static bool cut_authority(const char *text, char *out, size_t size) {
  static const char scheme[] = "http://";
  if (strncmp(text, scheme, sizeof scheme - 1) != 0) return false;
  text += sizeof scheme - 1;
  size_t len = strcspn(text, "/");
  if (len == 0 || len >= size || (text[len] != 0 && strcmp(text + len, "/") != 0)) return false;
  memcpy(out, text, len);
  out[len] = 0;
  return strpbrk(out, "@?# \r\n\t") == NULL;
}

static bool cut_host_and_port(lk_cli_url *out) {
  const char *host = out->authority, *end = host + strcspn(host, ":"), *colon = end;
  uint64_t port;
  if (host[0] == '[') {
    end = strchr(++host, ']');
    if (end == NULL || (end[1] != 0 && end[1] != ':')) return false;
    colon = end + 1;
  }
  (void)snprintf(out->host, sizeof out->host, "%.*s", (int)(end - host), host);
  (void)snprintf(out->port, sizeof out->port, "%s", *colon == ':' ? colon + 1 : "80");
  return end > host && lk_cli_parse_number(out->port, 65535, &port) && port > 0;
}

bool lk_cli_parse_url(const char *text, bool any_host, lk_cli_url *out) {
  if (!cut_authority(text, out->authority, LK_CLI_HOST_MAX) || !cut_host_and_port(out)) {
    lk_console_say("%.200s is not a URL such as http://127.0.0.1:4000", text);
    return false;
  }
  if (any_host || lk_origin_host_is_loopback(lk_slice_cstr(out->authority))) return true;
  lk_console_say("%.200s is not on this machine; --any-host asks it all the same", text);
  return false;
}

/* ---- asking ---- */

typedef struct asking {
  int fd;
  uint64_t deadline_ms;
} asking;

/* Until |events| come; false with errno. */
static bool wait_for(const asking *self, short events) {
  for (;;) {
    struct pollfd one = { .fd = self->fd, .events = events };
    uint64_t now = lk_posix_monotonic_ms();
    int left = now >= self->deadline_ms ? 0 : (int)lk_min_u64(self->deadline_ms - now, 60000);
    int count = poll(&one, 1, left);
    if (count > 0) return true;
    if (count < 0 && errno == EINTR) continue; /* such as a window that is resized */
    if (count == 0) errno = ETIMEDOUT;
    return false;
  }
}

static bool finish_connecting(const asking *self) {
  int code = 0;
  socklen_t len = sizeof code;
  if (!wait_for(self, POLLOUT)) return false;
  if (getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0) return false;
  errno = code;
  return code == 0;
}

static bool connect_to(asking *self, const struct addrinfo *all) {
  for (const struct addrinfo *a = all; a != NULL; a = a->ai_next) {
    self->fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
    if (self->fd < 0) continue;
    bool ok = connect(self->fd, a->ai_addr, a->ai_addrlen) == 0;
    if (ok || (errno == EINPROGRESS && finish_connecting(self))) return true;
    int code = errno;
    (void)close(self->fd);
    self->fd = -1;
    errno = code;
  }
  return false;
}

static bool send_all(const asking *self, const char *text) {
  size_t len = strlen(text);
  while (len > 0) {
    ssize_t n = send(self->fd, text, len, MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN && wait_for(self, POLLOUT)) continue;
    if (n < 0) return false;
    text += n;
    len -= (size_t)n;
  }
  return true;
}

static bool receive_all(const asking *self, lk_buf *out) {
  for (;;) {
    size_t at = out->len;
    uint8_t *to = lk_buf_extend(out, CHUNK);
    if (to == NULL) {
      errno = EMSGSIZE;
      return false;
    }
    ssize_t n = recv(self->fd, to, CHUNK, 0);
    int code = errno;
    lk_buf_truncate(out, at + (n > 0 ? (size_t)n : 0));
    errno = code;
    if (n == 0) return true;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno != EAGAIN || !wait_for(self, POLLIN))) return false;
  }
}

/* |self->fd| may be left open after a failure. */
static bool reach(asking *self, const lk_cli_url *url) {
  struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV }, *all;
  if (getaddrinfo(url->host, url->port, &hints, &all) != 0) {
    errno = EHOSTUNREACH;
    return false;
  }
  bool ok = connect_to(self, all);
  int code = errno;
  freeaddrinfo(all);
  errno = code;
  return ok;
}

int lk_cli_connect(const lk_cli_url *url, uint64_t deadline_ms) {
  asking self = { .fd = -1, .deadline_ms = deadline_ms };
  if (reach(&self, url)) return self.fd;
  int code = errno;
  if (self.fd >= 0) (void)close(self.fd);
  errno = code;
  return -1;
}

static bool exchange(asking *self, const lk_cli_url *url, const char *path, lk_buf *out) {
  char request[LK_CLI_HOST_MAX + 256];
  bool ok = reach(self, url);
  (void)snprintf(request, sizeof request,
                 "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, url->authority);
  return ok && send_all(self, request) && receive_all(self, out);
}

bool lk_cli_http_get(const lk_cli_url *url, const char *path, uint64_t deadline_ms, lk_buf *out,
                     char *why, size_t why_size) {
  asking self = { .fd = -1, .deadline_ms = deadline_ms };
  lk_http_response response;
  bool ok = exchange(&self, url, path, out);
  if (!ok) (void)snprintf(why, why_size, "%s", strerror(errno));
  if (self.fd >= 0) (void)close(self.fd);
  if (!ok) return false;
  lk_err err = lk_http_response_parse(lk_buf_slice(out), &response);
  if (err != LK_OK)
    (void)snprintf(why, why_size, "this is no answer of a server: %s", lk_err_name(err));
  else if (response.status != 200)
    (void)snprintf(why, why_size, "it answers %u", (unsigned)response.status);
  else lk_buf_consume(out, out->len - response.body.len);
  return err == LK_OK && response.status == 200;
}
