/* server/tls.c -- a session of GnuTLS between two buffers.
 *
 *   HANDSHAKE ──done──> OPEN ──close_notify──> ENDED
 *       └──────── alert, nonsense, no memory ────┴──> FAILED
 *
 * GnuTLS asks for bytes (pull) and hands bytes out (push). Pull takes from what was fed, and says "again" when that is
 * used up; GnuTLS keeps what it has of a record until the rest comes. So all that was fed is taken, and nothing of the
 * client's is kept here. Push appends to |out|, which is freed whenever it is empty: an idle connection has none.
 *
 * What a stranger may make us keep is bounded by three things: a record's length is checked by GnuTLS before it makes room
 * for it (16 KB and a little); at most SILENT_MAX bytes are pulled without any plaintext coming of them, since
 * GnuTLS collects a message of the handshake of up to 16 MB, whatever gnutls_handshake_set_max_packet_length()
 * said; and |out| has a maximum whose passing ends the connection. What it may make us do is bounded by what it
 * sends, but for one asymmetric operation a handshake.
 *
 * A request in plain text on this port is most likely somebody's mistake, and worth a sentence in return: the first byte
 * of TLS is HANDSHAKE_RECORD, that of a request a capital letter.
 *
 * Renegotiation is refused with a no_renegotiation alert and the end of the connection: nobody needs it, and 1.3 has none.
 * Warnings that we do not understand are ignored.
 *
 * Always: after FAILED neither GnuTLS nor the caller adds to |out|. */
#include "server/tls.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <string.h>

#define SILENT_MAX 65536 /* what a client says in a handshake has 3 KB at most */
#define HANDSHAKE_RECORD 22

/* Authenticated encryption only; keys are agreed on by ephemeral curves only. What is not named is not spoken. */
static const char rules[] =
    "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+AES-128-GCM:+CHACHA20-POLY1305:+AES-256-GCM:+AEAD:"
    "+ECDHE-ECDSA:+ECDHE-RSA:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:"
    "+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SHA256:+SIGN-EDDSA-ED25519:+SIGN-RSA-PSS-RSAE-SHA256:"
    "+SIGN-RSA-PSS-SHA256:+SIGN-RSA-SHA256:+SIGN-ECDSA-SECP384R1-SHA384:+SIGN-ECDSA-SHA384:"
    "+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-PSS-SHA384:+SIGN-RSA-SHA384:+SIGN-RSA-PSS-RSAE-SHA512:+"
    "SIGN-RSA-PSS-SHA512:"
    "+SIGN-RSA-SHA512:+SIGN-ECDSA-SECP521R1-SHA512:+SIGN-ECDSA-SHA512:+GROUP-SECP521R1:+COMP-NULL:+"
    "CTYPE-X509";

#define PLAIN_BODY "This port speaks TLS: ask for https:// or wss:// instead.\n"
static const char plain_answer[] =
    "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n"
    "content-length: 58\r\nconnection: close\r\n\r\n" PLAIN_BODY;
_Static_assert(sizeof PLAIN_BODY - 1 == 58, "the length in plain_answer is the body's");

typedef enum tls_state { TLS_HANDSHAKE, TLS_OPEN, TLS_ENDED, TLS_FAILED } tls_state;

struct lk_tls {
  lk_tls_server *server;
  gnutls_session_t session;
  lk_tls_identity *identity; /* sessions point to its credentials, and do not count that */
  lk_slice in;               /* fed, and not pulled yet */
  lk_buf out;
  size_t out_off;
  uint64_t deadline_ms;
  uint64_t began_us;
  size_t silent; /* bytes pulled since plaintext came */
  tls_state state;
  bool has_begun; /* the first byte was looked at */
  bool has_succeeded;
  bool has_said_end;
};

/* ---- what they share ---- */

lk_err lk_tls_server_init(lk_tls_server *self, const lk_alloc *alloc, const lk_tls_files *files,
                          const lk_tls_tickets *tickets) {
  *self = (lk_tls_server){
    .alloc = alloc, .files = files, .tickets = tickets, .handshake_ms = LK_TLS_HANDSHAKE_MS
  };
  int code = gnutls_priority_init(&self->rules, rules, NULL);
  self->plain = lk_alloc_bytes(alloc, LK_TLS_RECORD_MAX);
  if (code >= 0 && self->plain != NULL) return LK_OK;
  lk_tls_server_deinit(self);
  return code >= 0 || code == GNUTLS_E_MEMORY_ERROR ? LK_ERR_NOMEM : LK_ERR_UNSUPPORTED;
}

void lk_tls_server_deinit(lk_tls_server *self) {
  if (self->rules != NULL) gnutls_priority_deinit(self->rules);
  if (self->plain != NULL) lk_free_bytes(self->alloc, self->plain, LK_TLS_RECORD_MAX);
  *self = (lk_tls_server){ 0 };
}

/* ---- what GnuTLS calls ---- */

static ssize_t pull(gnutls_transport_ptr_t ctx, void *to, size_t cap) {
  lk_tls *self = ctx;
  size_t n = lk_min_size(cap, self->in.len);
  if (n == 0) {
    gnutls_transport_set_errno(self->session, EAGAIN);
    return -1;
  }
  if ((self->silent += n) > SILENT_MAX) {
    LK_COVERED(tls_says_nothing_at_length);
    gnutls_transport_set_errno(self->session, EIO);
    return -1;
  }
  memcpy(to, self->in.ptr, n);
  self->in = lk_slice_skip(self->in, n);
  return (ssize_t)n;
}

static int pull_would_wait(gnutls_transport_ptr_t ctx, unsigned wait_ms) {
  const lk_tls *self = ctx;
  (void)wait_ms;
  return self->in.len > 0 ? 1 : 0;
}

static ssize_t push(gnutls_transport_ptr_t ctx, const void *bytes, size_t len) {
  lk_tls *self = ctx;
  if (self->out.cap == 0) lk_buf_init(&self->out, self->server->alloc, LK_TLS_OUTPUT_MAX);
  if (lk_buf_append(&self->out, lk_slice_of(bytes, len)) == LK_OK) return (ssize_t)len;
  gnutls_transport_set_errno(self->session, ENOMEM);
  return -1;
}

/* ---- birth and end ---- */

static uint64_t clock_of(const lk_tls_server *server) {
  return server->clock_us != NULL ? server->clock_us() : 0;
}

static lk_err give_tickets(lk_tls *self) {
  uint8_t secret[LK_TLS_SECRET_LEN];
  const lk_tls_tickets *tickets = self->server->tickets;
  if (tickets == NULL || !lk_tls_tickets_copy(tickets, secret)) return LK_OK;
  const gnutls_datum_t key = { secret, sizeof secret };
  gnutls_db_set_cache_expiration(self->session, (int)(LK_TLS_TICKET_MS / 1000));
  int code = gnutls_session_ticket_enable_server(self->session, &key);
  explicit_bzero(secret, sizeof secret);
  return code >= 0 ? LK_OK : LK_ERR_NOMEM;
}

static lk_err configure(lk_tls *self) {
  static const gnutls_datum_t http = { (unsigned char *)(uintptr_t) "http/1.1", 8 };
  gnutls_session_t session = self->session;
  if (gnutls_priority_set(session, self->server->rules) < 0 ||
      gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, self->identity->credentials) < 0 ||
      gnutls_alpn_set_protocols(session, &http, 1, GNUTLS_ALPN_MANDATORY) < 0)
    return LK_ERR_NOMEM;
  gnutls_certificate_server_set_request(session, GNUTLS_CERT_IGNORE);
  gnutls_transport_set_ptr(session, self);
  gnutls_transport_set_pull_function(session, pull);
  gnutls_transport_set_pull_timeout_function(session, pull_would_wait);
  gnutls_transport_set_push_function(session, push);
  return give_tickets(self);
}

lk_err lk_tls_open(lk_tls_server *server, uint64_t now_ms, lk_tls **out) {
  lk_tls *self = lk_alloc_bytes(server->alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_tls){ .server = server, .deadline_ms = now_ms + server->handshake_ms };
  self->began_us = clock_of(server);
  self->identity = lk_tls_identity_ref(server->files->identity);
  lk_err err = gnutls_init(&self->session, GNUTLS_SERVER | GNUTLS_NONBLOCK) >= 0 ? LK_OK
                                                                                 : LK_ERR_NOMEM;
  if (err == LK_OK) err = configure(self);
  if (err == LK_OK) *out = self;
  else lk_tls_close(self);
  return err;
}

void lk_tls_close(lk_tls *self) {
  if (self == NULL) return;
  if (self->has_begun && !self->has_succeeded) self->server->failures++;
  if (self->session != NULL) gnutls_deinit(self->session);
  lk_tls_identity_unref(self->identity);
  lk_buf_deinit(&self->out);
  lk_free_bytes(self->server->alloc, self, sizeof *self);
}

/* ---- reading ---- */

/* Records before the one that there was no room for are whole. */
static lk_err fail(lk_tls *self, int code) {
  lk_buf_truncate(&self->out, self->out.len);
  if (code == GNUTLS_E_REHANDSHAKE)
    (void)gnutls_alert_send(self->session, GNUTLS_AL_WARNING, GNUTLS_A_NO_RENEGOTIATION);
  else (void)gnutls_alert_send_appropriate(self->session, code);
  self->in = LK_SLICE_EMPTY;
  self->state = TLS_FAILED;
  return LK_ERR_CLOSED;
}

static bool is_fatal(int code) {
  return code != GNUTLS_E_AGAIN && code != GNUTLS_E_INTERRUPTED &&
         code != GNUTLS_E_WARNING_ALERT_RECEIVED;
}

/* GnuTLS does not always say that it could not push. */
static bool has_lost_output(const lk_tls *self) { return lk_buf_err(&self->out) != LK_OK; }

/* |code| is below zero, and no plaintext came of what |before| bytes were left of. LK_OK: try again, as GnuTLS
 * says "again" also where it has more to read, but never twice of the same. */
static lk_err judge(lk_tls *self, int code, size_t before) {
  if (has_lost_output(self)) return fail(self, GNUTLS_E_PUSH_ERROR);
  if (is_fatal(code)) return fail(self, code);
  if (code == GNUTLS_E_AGAIN && self->in.len == 0) return LK_ERR_MORE;
  return self->in.len < before ? LK_OK : fail(self, GNUTLS_E_INTERNAL_ERROR);
}

static void succeed(lk_tls *self) {
  self->state = TLS_OPEN;
  self->has_succeeded = true;
  self->server->handshakes++;
  if (self->server->clock_us != NULL)
    lk_histogram_add(&self->server->times, clock_of(self->server) - self->began_us);
}

static lk_err shake_hands(lk_tls *self) {
  lk_err err = LK_OK;
  while (err == LK_OK && self->state == TLS_HANDSHAKE) {
    size_t before = self->in.len;
    int code = gnutls_handshake(self->session);
    if (code >= 0 && !has_lost_output(self)) succeed(self);
    else err = judge(self, code, before);
  }
  return err;
}

static lk_err read_record(lk_tls *self, lk_slice *out) {
  lk_err err = LK_OK;
  while (err == LK_OK) {
    size_t before = self->in.len;
    ssize_t n = gnutls_record_recv(self->session, self->server->plain, LK_TLS_RECORD_MAX);
    if (n > 0) {
      self->silent = 0;
      *out = lk_slice_of(self->server->plain, (size_t)n);
      return LK_OK;
    }
    if (n == 0) {
      self->state = TLS_ENDED;
      return LK_ERR_END;
    }
    err = judge(self, (int)n, before);
  }
  return err;
}

/* The first byte is none of TLS. GnuTLS does not see it: it would read it as SSL 2, too. */
static lk_err answer_stranger(lk_tls *self, uint8_t first) {
  static const uint8_t alert[] = { 21, 3, 3, 0, 2, GNUTLS_AL_FATAL, GNUTLS_A_UNEXPECTED_MESSAGE };
  if (first >= 'A' && first <= 'Z') (void)push(self, plain_answer, sizeof plain_answer - 1);
  else (void)push(self, alert, sizeof alert);
  self->in = LK_SLICE_EMPTY;
  self->state = TLS_FAILED;
  return LK_ERR_CLOSED;
}

void lk_tls_feed(lk_tls *self, lk_slice in) {
  LK_ASSERT(self->in.len == 0);
  if (self->state == TLS_HANDSHAKE || self->state == TLS_OPEN) self->in = in;
}

lk_err lk_tls_read(lk_tls *self, lk_slice *out) {
  if (self->state == TLS_FAILED) return LK_ERR_CLOSED;
  if (self->state == TLS_ENDED) return LK_ERR_END;
  if (!self->has_begun && self->in.len > 0) {
    self->has_begun = true;
    if (self->in.ptr[0] != HANDSHAKE_RECORD) return answer_stranger(self, self->in.ptr[0]);
  }
  lk_err err = shake_hands(self);
  if (err == LK_OK) err = read_record(self, out);
  if (err == LK_ERR_END) self->in = LK_SLICE_EMPTY;
  return err;
}

/* ---- writing ---- */

lk_slice lk_tls_output(const lk_tls *self) {
  return lk_slice_skip(lk_buf_slice(&self->out), self->out_off);
}

void lk_tls_consume(lk_tls *self, size_t count) {
  LK_ASSERT(count <= self->out.len - self->out_off);
  self->out_off += count;
  if (self->out_off < self->out.len) return;
  lk_buf_deinit(&self->out);
  self->out_off = 0;
}

lk_err lk_tls_write(lk_tls *self, lk_slice plain, size_t *taken) {
  *taken = 0;
  if (self->state == TLS_FAILED || self->has_said_end) return LK_ERR_CLOSED;
  size_t waiting = lk_tls_output(self).len;
  if (self->state == TLS_HANDSHAKE || waiting >= LK_TLS_WRITE_MAX) return LK_OK;
  plain = lk_slice_first(plain, lk_min_size(plain.len, LK_TLS_WRITE_MAX - waiting));
  while (*taken < plain.len) {
    ssize_t n = gnutls_record_send(self->session, plain.ptr + *taken, plain.len - *taken);
    if (n < 0 || has_lost_output(self)) return fail(self, n < 0 ? (int)n : GNUTLS_E_PUSH_ERROR);
    *taken += (size_t)n;
  }
  return LK_OK;
}

bool lk_tls_end(lk_tls *self) {
  bool says = (self->state == TLS_OPEN || self->state == TLS_ENDED) && !self->has_said_end;
  if (!says) return false;
  self->has_said_end = true;
  int code = gnutls_bye(self->session, GNUTLS_SHUT_WR);
  if (code < 0) self->state = TLS_FAILED;
  return code >= 0;
}

/* ---- what it is like ---- */

uint64_t lk_tls_deadline(const lk_tls *self) {
  return self->state == TLS_HANDSHAKE ? self->deadline_ms : LK_TLS_NEVER;
}

bool lk_tls_has_ended(const lk_tls *self) { return self->state == TLS_ENDED; }
