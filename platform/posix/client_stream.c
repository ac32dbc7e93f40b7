/* platform/posix/client_stream.c -- one connection of a client; its header is its manual. */
#include "platform/posix/client_stream.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- coming and going ---- */

static void hang_up(lk_client_stream *self) {
  if (self->fd >= 0) (void)close(self->fd);
  self->fd = -1;
}

static void forget_addresses(lk_client_stream *self) {
  if (self->found != NULL) freeaddrinfo(self->found);
  self->found = self->next = NULL;
}

void lk_client_stream_close(lk_client_stream *self) {
  if (self->session != NULL) self->tls->close(self->session);
  hang_up(self);
  forget_addresses(self);
  *self = (lk_client_stream)LK_CLIENT_STREAM_INIT;
}

/* The next address that can be tried. */
static lk_err connect_next(lk_client_stream *self) {
  const int one = 1;
  for (struct addrinfo *at; (at = self->next) != NULL; hang_up(self)) {
    self->next = at->ai_next;
    self->fd = socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
                      at->ai_protocol);
    if (self->fd < 0) continue;
    (void)setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(self->fd, at->ai_addr, at->ai_addrlen) == 0 || errno == EINPROGRESS) return LK_OK;
  }
  return LK_ERR_CLOSED;
}

lk_err lk_client_stream_open(lk_client_stream *self, const lk_http_url *url,
                             const lk_client_tls *tls) {
  const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
  char port[8];
  LK_ASSERT(self->state == LK_CLIENT_STREAM_NONE && (!url->is_tls || tls != NULL));
  memcpy(self->host, url->host.ptr, url->host.len);
  self->host[url->host.len] = 0;
  (void)snprintf(port, sizeof port, "%u", (unsigned)url->port);
  self->tls = url->is_tls ? tls : NULL;
  self->state = LK_CLIENT_STREAM_CONNECTING;
  lk_err err = getaddrinfo(self->host, port, &hints, &self->found) == 0 ? LK_OK : LK_ERR_NOT_FOUND;
  self->next = self->found;
  return err == LK_OK ? connect_next(self) : err;
}

static bool is_connected(const lk_client_stream *self) {
  int code = 0;
  socklen_t len = sizeof code;
  return getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &code, &len) == 0 && code == 0;
}

static lk_err finish_connecting(lk_client_stream *self) {
  lk_err err = LK_OK;
  if (!is_connected(self)) {
    hang_up(self);
    err = connect_next(self);
    return err == LK_OK ? LK_ERR_MORE : err;
  }
  forget_addresses(self);
  if (self->tls != NULL)
    err = self->tls->open(self->tls->ctx, self->fd, self->host, &self->session);
  if (err == LK_OK) self->state = LK_CLIENT_STREAM_SECURING;
  return err;
}

lk_err lk_client_stream_advance(lk_client_stream *self) {
  lk_err err = LK_OK;
  if (self->state == LK_CLIENT_STREAM_CONNECTING) err = finish_connecting(self);
  if (err == LK_OK && self->session != NULL)
    err = self->tls->shake_hands(self->session, &self->wants_to_write);
  if (err == LK_OK) self->state = LK_CLIENT_STREAM_OPEN;
  return err;
}

short lk_client_stream_events(const lk_client_stream *self, bool has_output) {
  switch (self->state) {
  case LK_CLIENT_STREAM_NONE: break;
  case LK_CLIENT_STREAM_CONNECTING: return POLLOUT;
  case LK_CLIENT_STREAM_SECURING: return self->wants_to_write ? POLLOUT : POLLIN;
  case LK_CLIENT_STREAM_OPEN: return (short)(POLLIN | (has_output ? POLLOUT : 0));
  }
  return 0;
}

/* ---- bytes ---- */

static lk_err err_of(ssize_t n) {
  return n < 0 && (errno == EAGAIN || errno == EINTR) ? LK_ERR_MORE : LK_ERR_CLOSED;
}

lk_err lk_client_stream_read(lk_client_stream *self, uint8_t *to, size_t cap, size_t *len) {
  if (self->session != NULL) return self->tls->read(self->session, to, cap, len);
  ssize_t n = recv(self->fd, to, cap, 0);
  if (n <= 0) return err_of(n);
  *len = (size_t)n;
  return LK_OK;
}

lk_err lk_client_stream_write(lk_client_stream *self, lk_slice bytes, size_t *taken) {
  if (self->session != NULL) return self->tls->write(self->session, bytes, taken);
  ssize_t n = send(self->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
  if (n < 0) return err_of(n);
  *taken = (size_t)n;
  return LK_OK;
}
