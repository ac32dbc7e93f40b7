/* bench/server/limit.c -- the least that a server of rooms can be: what remains is nearly all the kernel's.
 *
 * One process, one thread, one epoll. The path of a connection is its room; whatever message comes is written at once
 * to each other connection of the room, one send for each. It knows no protocol above WebSocket, answers nothing,
 * keeps nothing, believes what it reads, and holds an idle connection in a few dozen bytes. Nobody would want to use it;
 * what it takes is what other servers can come close to and not below, unless they save system calls.
 *
 * The frame of a client is a header, four bytes of mask and the payload; that of a server lacks the mask. So the payload
 * is unmasked where it lies, the server's header is written right before it, and those bytes are sent to all. */
#include "bench/server/programs.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/posix/heap.h"
#include "wire/upgrade.h"

#define ROOMS_MAX 65536
#define WAITING_MAX (1u << 20) /* bytes for a client that does not read: then it goes */
#define BATCH 512

typedef struct client {
  struct room *room;
  int fd;
  uint32_t place; /* among the members */
  uint32_t rest_len;
  uint32_t waiting_len;
  uint8_t *rest;    /* the beginning of a frame */
  uint8_t *waiting; /* what its socket did not take */
} client;

typedef struct room {
  client **members;
  uint32_t count;
  uint32_t cap;
} room;

static room *rooms; /* by the number at the end of a path */
static int poller;
static uint8_t input[1 << 18];

static void watch(client *c, int operation, uint32_t events) {
  struct epoll_event event = { .events = events, .data.ptr = c };
  if (epoll_ctl(poller, operation, c->fd, &event) != 0) perror("limit: epoll_ctl");
}

/* ---- members ---- */

static void enter(client *c, uint32_t number) {
  room *r = &rooms[number % ROOMS_MAX];
  if (r->count == r->cap) {
    r->cap = r->cap == 0 ? 2 : r->cap * 2;
    r->members = realloc(r->members, r->cap * sizeof *r->members);
    if (r->members == NULL) abort();
  }
  c->room = r;
  c->place = r->count;
  r->members[r->count++] = c;
}

/* The struct stays for ever: it may stand in the batch of events once more, and the process does not live long. */
static void drop(client *c) {
  if (c->fd < 0) return;
  if (c->room != NULL) {
    client *last = c->room->members[--c->room->count];
    c->room->members[c->place] = last;
    last->place = c->place;
  }
  (void)close(c->fd);
  c->fd = -1;
}

/* ---- writing ---- */

static void keep_waiting(client *c, const uint8_t *bytes, size_t len) {
  if (c->waiting_len + len > WAITING_MAX) {
    drop(c);
    return;
  }
  if (c->waiting_len == 0) watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
  c->waiting = realloc(c->waiting, c->waiting_len + len);
  if (c->waiting == NULL) abort();
  memcpy(c->waiting + c->waiting_len, bytes, len);
  c->waiting_len += (uint32_t)len;
}

static void give(client *c, const uint8_t *bytes, size_t len) {
  ssize_t n = 0;
  if (c->waiting_len == 0) n = send(c->fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n < 0 && errno != EAGAIN) drop(c);
  else if (n < 0 || (size_t)n < len)
    keep_waiting(c, bytes + (n < 0 ? 0 : n), len - (size_t)(n < 0 ? 0 : n));
}

static void give_waiting(client *c) {
  ssize_t n = send(c->fd, c->waiting, c->waiting_len, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n <= 0) return;
  c->waiting_len -= (uint32_t)n;
  memmove(c->waiting, c->waiting + n, c->waiting_len);
  if (c->waiting_len > 0) return;
  free(c->waiting);
  c->waiting = NULL;
  watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

/* ---- reading ---- */

static void unmask(uint8_t *bytes, size_t len, const uint8_t key[4]) {
  uint32_t mask, word;
  size_t i = 0;
  memcpy(&mask, key, 4);
  for (; i + 4 <= len; i += 4) {
    memcpy(&word, bytes + i, 4);
    word ^= mask;
    memcpy(bytes + i, &word, 4);
  }
  for (; i < len; i++) bytes[i] ^= key[i & 3];
}

/* Takes one frame and passes it on; how long it was, 0 where it is not all there. */
static size_t take_frame(client *c, uint8_t *frame, size_t len) {
  size_t head = 2, payload;
  if (len < 6) return 0;
  payload = frame[1] & 127;
  if (payload == 126) {
    payload = (size_t)frame[2] << 8 | frame[3];
    head = 4;
  }
  if (len < head + 4 + payload) return 0;
  uint8_t *at = frame + head + 4, kind = frame[0];
  unmask(at, payload, frame + head);
  if ((kind & 15) == 8) drop(c);
  if ((kind & 15) > 2) return head + 4 + payload;
  at -= head;
  if (head == 4) memcpy(at, (uint8_t[]){ kind, 126, (uint8_t)(payload >> 8), (uint8_t)payload }, 4);
  else memcpy(at, (uint8_t[]){ kind, (uint8_t)payload }, 2);
  for (uint32_t i = c->room->count; i-- > 0;) {
    client *other = c->room->members[i];
    if (other != c) give(other, at, head + payload);
  }
  return head + 4 + payload;
}

/* The request must come in one piece: it is short, and the client ours. */
static size_t take_handshake(client *c, size_t len) {
  static const lk_http1_options options = { 0 };
  const lk_limits limits = lk_limits_default();
  lk_http1 http;
  lk_http1_request request;
  lk_buf response;
  lk_slice in = lk_slice_of(input, len);
  lk_http1_init(&http, lk_posix_heap(), &limits, &options, 0);
  lk_buf_init(&response, lk_posix_heap(), 4096);
  if (lk_http1_feed(&http, 0, &in) != LK_OK || !lk_http1_poll(&http, &request) ||
      lk_upgrade_accept(&request, NULL, 0, &response, NULL) != LK_OK) {
    drop(c);
  } else {
    size_t at = request.path.len;
    while (at > 0 && request.path.ptr[at - 1] >= '0' && request.path.ptr[at - 1] <= '9') at--;
    uint32_t number = 0;
    for (; at < request.path.len; at++)
      number = number * 10 + (uint32_t)(request.path.ptr[at] - '0');
    enter(c, number);
    give(c, response.ptr, response.len);
  }
  lk_buf_deinit(&response);
  lk_http1_deinit(&http);
  return len - in.len;
}

static void keep_rest(client *c, const uint8_t *bytes, size_t len) {
  free(c->rest);
  c->rest = len > 0 ? malloc(len) : NULL;
  if (len > 0 && c->rest == NULL) abort();
  if (len > 0) memcpy(c->rest, bytes, len);
  c->rest_len = (uint32_t)len;
}

static void take_input(client *c) {
  size_t len = c->rest_len, off = 0;
  if (len > 0) memcpy(input, c->rest, len);
  ssize_t n = recv(c->fd, input + len, sizeof input - len, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    drop(c);
    return;
  }
  len += (size_t)n;
  if (c->room == NULL) off = take_handshake(c, len);
  while (c->fd >= 0) {
    size_t taken = take_frame(c, input + off, len - off);
    if (taken == 0) break;
    off += taken;
  }
  if (c->fd >= 0 && (len > off || c->rest_len > 0)) keep_rest(c, input + off, len - off);
}

/* ---- the loop ---- */

static void welcome(int listener) {
  int on = 1;
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
    client *c = calloc(1, sizeof *c);
    if (c == NULL) abort();
    c->fd = fd;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
  }
}

static int listen_on(uint16_t port) {
  struct sockaddr_in address = { .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 4096) == 0)
    return fd;
  perror("limit");
  exit(1);
}

static void take_event(client *c, uint32_t events) {
  if (c->fd >= 0 && (events & EPOLLOUT) != 0 && c->waiting_len > 0) give_waiting(c);
  if (c->fd >= 0 && (events & ~(uint32_t)EPOLLOUT) != 0) take_input(c);
}

int run_limit(int count, char **arguments) {
  struct epoll_event events[BATCH];
  struct rlimit files;
  if (count < 1) return 2;
  rooms = calloc(ROOMS_MAX, sizeof *rooms);
  poller = epoll_create1(0);
  if (rooms == NULL || poller < 0) return 1;
  (void)getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &files);
  int listener = listen_on((uint16_t)atoi(arguments[0]));
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };
  (void)epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int n = epoll_wait(poller, events, BATCH, -1);
    for (int i = 0; i < n; i++) {
      if (events[i].data.ptr == NULL) welcome(listener);
      else take_event(events[i].data.ptr, events[i].events);
    }
  }
}
