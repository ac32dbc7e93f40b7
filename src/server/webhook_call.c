/* server/webhook_call.c -- sockets, TLS over them, and one HTTP exchange at a time on each.
 *
 * A call and its connection are one struct: a call that is done may leave its connection behind, which the next call to the same
 * host takes over. GnuTLS reads and writes the socket itself here, unlike in server/tls.c: these connections are few, and we
 * choose whom they are to.
 *
 * Always: a call is on exactly one of |active|, |idle| and |done|, or it is |given|; it has a watch in the loop exactly while it has
 * a socket. */
#include "server/webhook_call.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#define SCRATCH_SIZE 16384u
#define READS_MAX 64 /* in one event: then it is the others' turn */

typedef enum call_state { RESOLVING, CONNECTING, HANDSHAKE, TALKING, IDLE, DONE } call_state;

struct lk_webhook_call {
  lk_webhook_caller *caller;
  lk_link link;
  lk_watch watch;
  call_state state;
  int fd; /* -1: none */
  gnutls_session_t session;
  lk_http_url url; /* its text is the caller's owner's */
  lk_endpoints addresses;
  uint32_t next_address;
  lk_buf out;
  size_t out_off;
  lk_http_client client;
  uint64_t deadline_ms;
  uint64_t tag;
  lk_err err;
  const char *why;
  uint32_t body_max;
  bool is_reused; /* the connection is from before */
  bool has_heard; /* a byte of the answer */
  char host[LK_HTTP_HOST_MAX + 1];
};

static lk_webhook_call *of_link(lk_link *link) { return LK_CONTAINER(link, lk_webhook_call, link); }

static uint64_t now_of(const lk_webhook_call *call) { return lk_loop_now(call->caller->loop); }

/* ---- ends ---- */

static void hang_up(lk_webhook_call *call) {
  if (call->session != NULL) gnutls_deinit(call->session);
  call->session = NULL;
  if (call->fd < 0) return;
  lk_loop_remove(call->caller->loop, &call->watch);
  (void)close(call->fd);
  call->fd = -1;
}

static void free_call(lk_webhook_call *call) {
  hang_up(call);
  lk_buf_deinit(&call->out);
  lk_http_client_deinit(&call->client);
  lk_free_bytes(call->caller->alloc, call, sizeof *call);
}

static void move_to(lk_webhook_call *call, lk_list *from, lk_list *to) {
  lk_list_remove(from, &call->link);
  lk_list_push_last(to, &call->link);
}

static void finish(lk_webhook_call *call, lk_err err, const char *why) {
  LK_ASSERT(call->state != IDLE && call->state != DONE);
  call->err = err;
  call->why = why;
  call->state = DONE;
  if (err != LK_OK) hang_up(call);
  lk_buf_deinit(&call->out);
  move_to(call, &call->caller->active, &call->caller->done);
}

/* ---- connecting ---- */

static void on_events(lk_watch *watch, uint32_t events);
static void connect_next(lk_webhook_call *call);
static void resolve(lk_webhook_call *call);

static void talk(lk_webhook_call *call);

/* A connection from before has ended meanwhile: the request goes over a new one. */
static void begin_anew(lk_webhook_call *call) {
  LK_COVERED(webhook_connection_was_stale);
  hang_up(call);
  call->is_reused = false;
  call->out_off = 0;
  lk_http_client_deinit(&call->client);
  lk_http_client_init(&call->client, call->caller->alloc, call->caller->limits, call->body_max);
  resolve(call);
}

/* Who did not answer, or not like a server. */
static void fail(lk_webhook_call *call, lk_err err, const char *why) {
  if (call->is_reused && !call->has_heard) begin_anew(call);
  else finish(call, err, why);
}

static bool is_address(const char *host) {
  bool has_letter = false;
  for (const char *at = host; *at != 0; at++) {
    if (*at == ':') return true;
    if ((*at < '0' || *at > '9') && *at != '.') has_letter = true;
  }
  return !has_letter;
}

static bool load_trust(lk_webhook_caller *self) {
  if (self->trust != NULL) return true;
  if (gnutls_certificate_allocate_credentials(&self->trust) < 0) return false;
  int count = self->ca_file != NULL ? gnutls_certificate_set_x509_trust_file(
                                          self->trust, self->ca_file, GNUTLS_X509_FMT_PEM)
                                    : gnutls_certificate_set_x509_system_trust(self->trust);
  if (count > 0) return true;
  gnutls_certificate_free_credentials(self->trust);
  self->trust = NULL;
  return false;
}

static bool open_session(lk_webhook_call *call) {
  static const gnutls_datum_t http = { (unsigned char *)(uintptr_t) "http/1.1", 8 };
  if (!load_trust(call->caller)) return false;
  if (gnutls_init(&call->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK) < 0) {
    call->session = NULL;
    return false;
  }
  gnutls_session_t session = call->session;
  if (gnutls_priority_set_direct(session, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", NULL) < 0 ||
      gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, call->caller->trust) < 0 ||
      gnutls_alpn_set_protocols(session, &http, 1, 0) < 0)
    return false;
  if (!is_address(call->host) &&
      gnutls_server_name_set(session, GNUTLS_NAME_DNS, call->host, strlen(call->host)) < 0)
    return false;
  gnutls_session_set_verify_cert(session, call->host, 0);
  gnutls_transport_set_int(session, call->fd);
  return true;
}

/* True when it is done, false where it waits or has failed. */
static bool shake_hands(lk_webhook_call *call) {
  int code = gnutls_handshake(call->session);
  if (code == GNUTLS_E_SUCCESS) return true;
  if (code == GNUTLS_E_AGAIN || code == GNUTLS_E_INTERRUPTED || gnutls_error_is_fatal(code) == 0) {
    lk_loop_modify(call->caller->loop, &call->watch,
                   gnutls_record_get_direction(call->session) != 0 ? EPOLLOUT : EPOLLIN);
    return false;
  }
  finish(call, LK_ERR_AUTH,
         code == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR
             ? "its certificate is not one that is trusted for this host"
             : gnutls_strerror(code));
  return false;
}

static void go_on(lk_webhook_call *call) {
  if (call->state == HANDSHAKE) {
    if (!shake_hands(call)) return;
    call->state = TALKING;
  }
  if (call->state == TALKING) talk(call);
}

static void on_connected(lk_webhook_call *call) {
  int code = 0;
  socklen_t len = sizeof code;
  if (getsockopt(call->fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0 || code != 0) {
    hang_up(call);
    connect_next(call);
    return;
  }
  call->state = call->url.is_tls ? HANDSHAKE : TALKING;
  if (call->url.is_tls && !open_session(call)) {
    finish(call, LK_ERR_AUTH, "TLS could not be begun: no certificates to trust, or no memory");
    return;
  }
  go_on(call);
}

/* The next address that can be tried. */
static void connect_next(lk_webhook_call *call) {
  lk_webhook_caller *caller = call->caller;
  const int on = 1;
  call->state = CONNECTING;
  while (call->next_address < call->addresses.count) {
    const lk_endpoint *to = &call->addresses.items[call->next_address++];
    call->fd = socket(to->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (call->fd < 0) continue;
    (void)setsockopt(call->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int code = connect(call->fd, (const struct sockaddr *)&to->at, to->len);
    if ((code == 0 || errno == EINPROGRESS) &&
        lk_loop_add(caller->loop, &call->watch, call->fd, EPOLLOUT, on_events) == LK_OK)
      return; /* writable: it is connected, or has failed */
    (void)close(call->fd);
    call->fd = -1;
  }
  lk_resolver_doubt(caller->resolver, call->url.host);
  finish(call, LK_ERR_IO, "nobody takes the connection");
}

static void resolve(lk_webhook_call *call) {
  lk_err err = lk_resolver_look(call->caller->resolver, call->url.host, call->url.port,
                                now_of(call), &call->addresses);
  call->state = RESOLVING;
  call->next_address = 0;
  if (err == LK_OK) connect_next(call);
  else if (err != LK_ERR_MORE) finish(call, err, "there is no host of this name");
}

static void on_resolved(lk_watch *watch, uint32_t events) {
  lk_webhook_caller *self = LK_CONTAINER(watch, lk_webhook_caller, resolver_watch);
  (void)events;
  lk_resolver_drain(self->resolver);
  for (lk_link *at = self->active.first, *next; at != NULL; at = next) {
    next = at->next;
    if (of_link(at)->state == RESOLVING) resolve(of_link(at));
  }
}

/* ---- talking ---- */

/* Bytes moved; 0: it would wait; below 0: it is over. */
static ssize_t put(lk_webhook_call *call, lk_slice bytes) {
  if (call->session != NULL) {
    ssize_t n = gnutls_record_send(call->session, bytes.ptr, bytes.len);
    return n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED ? 0 : n;
  }
  ssize_t n = send(call->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
  return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

/* Bytes that came; 0: none for now; below 0: the end, |*is_clean| where the other side said so. */
static ssize_t get(lk_webhook_call *call, bool *is_clean) {
  ssize_t n;
  *is_clean = false;
  if (call->session != NULL) {
    n = gnutls_record_recv(call->session, call->caller->scratch, SCRATCH_SIZE);
    if (n < 0 && gnutls_error_is_fatal((int)n) == 0) return 0;
  } else {
    n = recv(call->fd, call->caller->scratch, SCRATCH_SIZE, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  }
  *is_clean = n == 0;
  return n > 0 ? n : -1;
}

/* False where the call is over. */
static bool send_request(lk_webhook_call *call) {
  lk_slice left = lk_slice_skip(lk_buf_slice(&call->out), call->out_off);
  while (left.len > 0) {
    ssize_t n = put(call, left);
    if (n == 0) break;
    if (n < 0) {
      fail(call, LK_ERR_CLOSED, "it ended the connection");
      return false;
    }
    call->out_off += (size_t)n;
    left = lk_slice_skip(left, (size_t)n);
  }
  lk_loop_modify(call->caller->loop, &call->watch, left.len > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
  return true;
}

static void talk(lk_webhook_call *call) {
  lk_http_response response;
  if (!send_request(call)) return;
  for (int i = 0; i < READS_MAX; i++) {
    bool is_clean;
    ssize_t n = get(call, &is_clean);
    if (n == 0) return;
    lk_slice in = lk_slice_of(call->caller->scratch, n > 0 ? (size_t)n : 0);
    lk_err err = LK_OK;
    call->has_heard |= n > 0;
    if (n > 0) err = lk_http_client_feed(&call->client, &in);
    /* That TLS was cut off says nothing of what came before, unless only the end would tell its length. */
    else if (is_clean || call->session == NULL) err = lk_http_client_end(&call->client);
    else err = LK_ERR_TRUNCATED;
    if (err != LK_OK) {
      fail(call, err, n > 0 ? "it does not answer like a web server" : "it ended the connection");
      return;
    }
    if (!lk_http_client_poll(&call->client, &response)) continue;
    if (n < 0 || !response.keep_alive || in.len > 0 || call->out_off < call->out.len) hang_up(call);
    finish(call, LK_OK, NULL);
    return;
  }
}

static void on_events(lk_watch *watch, uint32_t events) {
  lk_webhook_call *call = LK_CONTAINER(watch, lk_webhook_call, watch);
  (void)events;
  switch (call->state) {
  case CONNECTING: on_connected(call); break;
  case HANDSHAKE:
  case TALKING: go_on(call); break;
  case IDLE: /* its end, or something that nobody asked for */
    lk_list_remove(&call->caller->idle, &call->link);
    free_call(call);
    break;
  default: hang_up(call); break; /* done; its connection is not worth keeping */
  }
}

/* ---- keeping ---- */

static bool is_same_host(const lk_http_url *a, const lk_http_url *b) {
  return a->is_tls == b->is_tls && a->port == b->port && lk_slice_equal(a->host, b->host);
}

/* |call| was polled, and its connection may serve another one. */
static void keep(lk_webhook_call *call) {
  lk_webhook_caller *self = call->caller;
  if (call->fd < 0 || self->idle.count >= LK_WEBHOOK_IDLE_MAX) {
    free_call(call);
    return;
  }
  lk_http_client_next(&call->client);
  lk_loop_modify(self->loop, &call->watch, EPOLLIN);
  call->state = IDLE;
  call->deadline_ms = now_of(call) + LK_WEBHOOK_IDLE_MS;
  lk_list_push_last(&self->idle, &call->link);
}

/* The one that was used last: the others may end. */
static lk_webhook_call *take_idle(lk_webhook_caller *self, const lk_http_url *url) {
  for (lk_link *at = self->idle.last; at != NULL; at = at->prev) {
    if (!is_same_host(&of_link(at)->url, url)) continue;
    lk_list_remove(&self->idle, at);
    return of_link(at);
  }
  return NULL;
}

/* ---- what owners call ---- */

lk_err lk_webhook_caller_init(lk_webhook_caller *self, const lk_alloc *alloc,
                              const lk_limits *limits, lk_loop *loop, const char *ca_file) {
  *self = (lk_webhook_caller){ .alloc = alloc, .limits = limits, .loop = loop, .ca_file = ca_file };
  self->resolver_watch.fd = -1;
  self->scratch = lk_alloc_bytes(alloc, SCRATCH_SIZE);
  if (self->scratch == NULL) return LK_ERR_NOMEM;
  lk_err err = lk_resolver_open(&self->resolver);
  if (err == LK_OK)
    err = lk_loop_add(loop, &self->resolver_watch, lk_resolver_fd(self->resolver), EPOLLIN,
                      on_resolved);
  return err;
}

static void free_list(lk_list *list) {
  for (lk_link *at; (at = lk_list_pop_first(list)) != NULL;) free_call(of_link(at));
}

void lk_webhook_caller_deinit(lk_webhook_caller *self) {
  if (self->alloc == NULL) return;
  free_list(&self->active);
  free_list(&self->idle);
  free_list(&self->done);
  if (self->given != NULL) free_call(self->given);
  if (self->resolver_watch.fd >= 0) lk_loop_remove(self->loop, &self->resolver_watch);
  lk_resolver_close(self->resolver);
  if (self->trust != NULL) gnutls_certificate_free_credentials(self->trust);
  if (self->scratch != NULL) lk_free_bytes(self->alloc, self->scratch, SCRATCH_SIZE);
  *self = (lk_webhook_caller){ 0 };
}

static lk_webhook_call *make_call(lk_webhook_caller *self) {
  lk_webhook_call *call = lk_alloc_bytes(self->alloc, sizeof *call);
  if (call == NULL) return NULL;
  memset(call, 0, sizeof *call);
  call->caller = self;
  call->fd = call->watch.fd = -1;
  return call;
}

lk_err lk_webhook_caller_begin(lk_webhook_caller *self, const lk_http_url *url, lk_slice request,
                               uint32_t body_max, uint64_t timeout_ms, uint64_t tag) {
  if (lk_webhook_caller_is_full(self)) return LK_ERR_FULL;
  lk_webhook_call *call = take_idle(self, url);
  bool is_reused = call != NULL;
  if (call == NULL) call = make_call(self);
  if (call == NULL) return LK_ERR_NOMEM;
  lk_buf_init(&call->out, self->alloc, request.len);
  lk_err err = lk_buf_append(&call->out, request);
  if (err != LK_OK) {
    free_call(call);
    return err;
  }
  call->url = *url;
  memcpy(call->host, url->host.ptr, url->host.len);
  call->host[url->host.len] = 0;
  call->out_off = 0;
  call->tag = tag;
  call->body_max = body_max;
  call->is_reused = is_reused;
  call->has_heard = false;
  call->deadline_ms = lk_loop_now(self->loop) + timeout_ms;
  lk_http_client_deinit(&call->client);
  lk_http_client_init(&call->client, self->alloc, self->limits, body_max);
  lk_list_push_last(&self->active, &call->link);
  if (is_reused) {
    call->state = TALKING;
    talk(call);
  } else {
    resolve(call);
  }
  return LK_OK;
}

bool lk_webhook_caller_poll(lk_webhook_caller *self, lk_webhook_result *out) {
  if (self->given != NULL) keep(self->given);
  lk_link *at = lk_list_pop_first(&self->done);
  self->given = at == NULL ? NULL : of_link(at);
  if (self->given == NULL) return false;
  *out = (lk_webhook_result){ .tag = self->given->tag,
                              .err = self->given->err,
                              .why = self->given->why };
  bool is_there = lk_http_client_poll(&self->given->client, &out->response);
  LK_ASSERT(is_there == (out->err == LK_OK));
  return true;
}

void lk_webhook_caller_tick(lk_webhook_caller *self, uint64_t now_ms) {
  for (lk_link *at = self->active.first, *next; at != NULL; at = next) {
    next = at->next;
    if (of_link(at)->deadline_ms <= now_ms) finish(of_link(at), LK_ERR_TIMEOUT, "it took too long");
  }
  for (lk_link *at = self->idle.first, *next; at != NULL; at = next) {
    next = at->next;
    if (of_link(at)->deadline_ms > now_ms) continue;
    lk_list_remove(&self->idle, at);
    free_call(of_link(at));
  }
}

uint64_t lk_webhook_caller_deadline(const lk_webhook_caller *self) {
  uint64_t deadline = UINT64_MAX;
  for (lk_link *at = self->active.first; at != NULL; at = at->next)
    deadline = lk_min_u64(deadline, of_link(at)->deadline_ms);
  for (lk_link *at = self->idle.first; at != NULL; at = at->next)
    deadline = lk_min_u64(deadline, of_link(at)->deadline_ms);
  return deadline;
}
