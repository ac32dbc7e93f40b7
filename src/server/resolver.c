/* server/resolver.c -- a table of names, and a thread that fills it.
 *
 *   EMPTY ──look──> WANTED ──the thread takes it──> ASKED ──> KNOWN until its time is over, then WANTED again
 *
 * The table is the only thing that both sides touch, under one lock, and nobody waits while holding it. It is counted by two,
 * the owner and the thread: whoever leaves last frees it. So closing never waits for a name server.
 *
 * Not chosen: a DNS client of our own. It would have to read resolv.conf, nsswitch.conf and hosts as this system's libc does, and
 * people would find out one by one where it does not. */
#include "server/resolver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "platform/posix/clock.h"
#include "platform/posix/heap.h"
#include "wire/http_client.h"

typedef enum name_state { NAME_EMPTY, NAME_WANTED, NAME_ASKED, NAME_KNOWN } name_state;

typedef struct name {
  char host[LK_HTTP_HOST_MAX + 1];
  name_state state;
  bool is_found;
  uint64_t good_until_ms;
  lk_endpoints addresses; /* with port 0 */
} name;

struct lk_resolver {
  pthread_mutex_t lock;
  pthread_cond_t wanted;
  name names[LK_RESOLVER_NAMES_MAX];
  int fd;
  uint32_t owners;
  bool has_thread;
  bool is_closing;
};

static void release(lk_resolver *self) {
  (void)pthread_mutex_lock(&self->lock);
  uint32_t left = --self->owners;
  (void)pthread_mutex_unlock(&self->lock);
  if (left > 0) return;
  (void)pthread_mutex_destroy(&self->lock);
  (void)pthread_cond_destroy(&self->wanted);
  (void)close(self->fd);
  lk_free_bytes(lk_posix_heap(), self, sizeof *self);
}

lk_err lk_resolver_open(lk_resolver **out) {
  lk_resolver *self = lk_alloc_bytes(lk_posix_heap(), sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  memset(self, 0, sizeof *self);
  self->owners = 1;
  self->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (self->fd < 0) {
    lk_free_bytes(lk_posix_heap(), self, sizeof *self);
    return LK_ERR_LIMIT;
  }
  (void)pthread_mutex_init(&self->lock, NULL);
  (void)pthread_cond_init(&self->wanted, NULL);
  *out = self;
  return LK_OK;
}

void lk_resolver_close(lk_resolver *self) {
  if (self == NULL) return;
  (void)pthread_mutex_lock(&self->lock);
  self->is_closing = true;
  (void)pthread_cond_signal(&self->wanted);
  (void)pthread_mutex_unlock(&self->lock);
  release(self);
}

int lk_resolver_fd(const lk_resolver *self) { return self->fd; }

void lk_resolver_drain(lk_resolver *self) {
  uint64_t count;
  ssize_t ignored = read(self->fd, &count, sizeof count);
  (void)ignored;
}

/* ---- the thread ---- */

static void resolve(const char *host, lk_endpoints *out) {
  const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
  struct addrinfo *all = NULL;
  out->count = 0;
  if (getaddrinfo(host, NULL, &hints, &all) != 0) return;
  for (const struct addrinfo *at = all; at != NULL; at = at->ai_next) {
    if (out->count == LK_RESOLVER_ADDRESSES_MAX || at->ai_addrlen > sizeof out->items[0].at)
      continue;
    lk_endpoint *to = &out->items[out->count++];
    memcpy(&to->at, at->ai_addr, at->ai_addrlen);
    to->len = at->ai_addrlen;
  }
  freeaddrinfo(all);
}

static name *next_wanted(lk_resolver *self) {
  for (uint32_t i = 0; i < LK_RESOLVER_NAMES_MAX; i++) {
    if (self->names[i].state == NAME_WANTED) return &self->names[i];
  }
  return NULL;
}

/* Under the lock, but for the call that waits. */
static void answer(lk_resolver *self, name *n) {
  static const uint64_t one = 1;
  lk_endpoints found;
  n->state = NAME_ASKED;
  (void)pthread_mutex_unlock(&self->lock);
  resolve(n->host, &found);
  (void)pthread_mutex_lock(&self->lock);
  n->addresses = found;
  n->is_found = found.count > 0;
  n->state = NAME_KNOWN;
  n->good_until_ms = lk_posix_monotonic_ms() +
                     (n->is_found ? LK_RESOLVER_FRESH_MS : LK_RESOLVER_FAILED_MS);
  ssize_t ignored = write(self->fd, &one, sizeof one);
  (void)ignored;
}

static void *run(void *ctx) {
  lk_resolver *self = ctx;
  (void)pthread_mutex_lock(&self->lock);
  while (!self->is_closing) {
    name *n = next_wanted(self);
    if (n != NULL) answer(self, n);
    else (void)pthread_cond_wait(&self->wanted, &self->lock);
  }
  (void)pthread_mutex_unlock(&self->lock);
  release(self);
  return NULL;
}

/* Signals are the loop's. */
static bool start_thread(lk_resolver *self) {
  sigset_t all, before;
  pthread_t thread;
  if (self->has_thread) return true;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  self->has_thread = pthread_create(&thread, NULL, run, self) == 0;
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (self->has_thread) {
    (void)pthread_detach(thread);
    self->owners++;
  }
  return self->has_thread;
}

/* ---- asking ---- */

static void set_port(lk_endpoint *address, uint16_t port) {
  if (address->at.ss_family == AF_INET)
    ((struct sockaddr_in *)(void *)&address->at)->sin_port = htons(port);
  else ((struct sockaddr_in6 *)(void *)&address->at)->sin6_port = htons(port);
}

static bool read_number(const char *host, lk_endpoints *out) {
  struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&out->items[0].at;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&out->items[0].at;
  memset(&out->items[0], 0, sizeof out->items[0]);
  out->count = 1;
  if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    out->items[0].len = sizeof *v4;
    return true;
  }
  if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1) return false;
  v6->sin6_family = AF_INET6;
  out->items[0].len = sizeof *v6;
  return true;
}

/* Its place, or a free one, or NULL. */
static name *place_of(lk_resolver *self, const char *host) {
  name *free_place = NULL;
  for (uint32_t i = LK_RESOLVER_NAMES_MAX; i-- > 0;) {
    name *n = &self->names[i];
    if (n->state == NAME_EMPTY) free_place = n;
    else if (strcmp(n->host, host) == 0) return n;
  }
  return free_place;
}

static lk_err look(lk_resolver *self, const char *host, uint64_t now_ms, lk_endpoints *out) {
  name *n = place_of(self, host);
  if (n == NULL) return LK_ERR_LIMIT;
  if (n->state == NAME_KNOWN && now_ms < n->good_until_ms) {
    *out = n->addresses;
    return n->is_found ? LK_OK : LK_ERR_NOT_FOUND;
  }
  if (n->state == NAME_WANTED || n->state == NAME_ASKED) return LK_ERR_MORE;
  if (!start_thread(self)) return LK_ERR_LIMIT;
  (void)snprintf(n->host, sizeof n->host, "%s", host);
  n->state = NAME_WANTED;
  (void)pthread_cond_signal(&self->wanted);
  return LK_ERR_MORE;
}

lk_err lk_resolver_look(lk_resolver *self, lk_slice host, uint16_t port, uint64_t now_ms,
                        lk_endpoints *out) {
  char text[LK_HTTP_HOST_MAX + 1];
  lk_err err = LK_OK;
  if (host.len > LK_HTTP_HOST_MAX) return LK_ERR_NOT_FOUND;
  memcpy(text, host.ptr, host.len);
  text[host.len] = 0;
  if (!read_number(text, out)) {
    (void)pthread_mutex_lock(&self->lock);
    err = look(self, text, now_ms, out);
    (void)pthread_mutex_unlock(&self->lock);
  }
  for (uint32_t i = 0; err == LK_OK && i < out->count; i++) set_port(&out->items[i], port);
  return err;
}

void lk_resolver_doubt(lk_resolver *self, lk_slice host) {
  (void)pthread_mutex_lock(&self->lock);
  for (uint32_t i = 0; i < LK_RESOLVER_NAMES_MAX; i++) {
    name *n = &self->names[i];
    if (n->state == NAME_KNOWN && lk_slice_equal(lk_slice_cstr(n->host), host))
      n->good_until_ms = 0;
  }
  (void)pthread_mutex_unlock(&self->lock);
}
