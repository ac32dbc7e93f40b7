/* platform/providers/client_tls_gnutls.c -- GnuTLS behind laniakea/client_tls.h.
 *
 * GnuTLS reads and writes the socket itself. It checks the certificate in the middle of the handshake, by what it was told before:
 * trust, name and purpose. So there is no moment at which a session is open and unchecked, and no call that a caller could forget.
 *
 * This is all of liblaniakea-tls: it stands on public headers and the C library alone, since what liblaniakea has inside cannot be
 * seen from another library.
 *
 * What is not spoken: renegotiation (a server that asks for it is passed over), resumption (a client has one connection, and keeps it),
 * client certificates. */
#include "laniakea/client_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RULES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

typedef struct provider {
  lk_client_tls table; /* first: callers have its address */
  gnutls_certificate_credentials_t trust;
} provider;

typedef struct session {
  gnutls_session_t tls;
  gnutls_typed_vdata_st checks[2]; /* GnuTLS keeps a pointer */
  bool is_open;                    /* the handshake is done, and nothing has failed since */
  char host[];                     /* GnuTLS keeps a pointer */
} session;

/* ---- errors ---- */

/* Of several reasons the first that matters: of whom nobody trusts, nothing else is worth saying. */
static lk_err certificate_err(gnutls_session_t tls) {
  unsigned status = gnutls_session_get_verify_cert_status(tls);
  if ((status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA)) != 0)
    return LK_ERR_CERT_ISSUER;
  if ((status & (GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED)) != 0) return LK_ERR_CERT_TIME;
  if ((status & GNUTLS_CERT_UNEXPECTED_OWNER) != 0) return LK_ERR_CERT_NAME;
  return LK_ERR_CERT_REFUSED;
}

/* |code| is below zero. What is not fatal, such as a warning or a ticket instead of data, is "again" too: GnuTLS takes one record at a
 * time from the socket, so what follows is still there for poll(2) to see. */
static lk_err err_of(const session *self, int code) {
  if (gnutls_error_is_fatal(code) == 0) return LK_ERR_MORE;
  switch (code) {
  case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR: return certificate_err(self->tls);
  case GNUTLS_E_INVALID_SESSION: /* it has failed before */
  case GNUTLS_E_PREMATURE_TERMINATION:
  case GNUTLS_E_PULL_ERROR:
  case GNUTLS_E_PUSH_ERROR: return LK_ERR_CLOSED;
  case GNUTLS_E_MEMORY_ERROR: return LK_ERR_NOMEM;
  default: return LK_ERR_TLS;
  }
}

static lk_err fail(session *self, int code) {
  lk_err err = err_of(self, code);
  if (err == LK_ERR_MORE) return err;
  if (err != LK_ERR_CLOSED) (void)gnutls_alert_send_appropriate(self->tls, code);
  self->is_open = false;
  return err;
}

/* ---- a session ---- */

static void session_close(void *ctx) {
  session *self = ctx;
  if (self->is_open) (void)gnutls_bye(self->tls, GNUTLS_SHUT_WR);
  if (self->tls != NULL) gnutls_deinit(self->tls);
  free(self);
}

static bool is_address(const char *host) {
  struct in6_addr any;
  return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

/* An address is no server name: RFC 6066, 3. */
static int set_name(session *self) {
  if (is_address(self->host)) return GNUTLS_E_SUCCESS;
  return gnutls_server_name_set(self->tls, GNUTLS_NAME_DNS, self->host, strlen(self->host));
}

static void set_checks(session *self) {
  self->checks[0] = (gnutls_typed_vdata_st){ .type = GNUTLS_DT_DNS_HOSTNAME,
                                             .data = (unsigned char *)self->host };
  self->checks[1] = (gnutls_typed_vdata_st){
    .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_SERVER
  };
  gnutls_session_set_verify_cert2(self->tls, self->checks, 2, 0);
}

static int configure(session *self, const provider *lender, int fd) {
  static const gnutls_datum_t http = { (unsigned char *)(uintptr_t) "http/1.1", 8 };
  int code = gnutls_init(&self->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
  if (code >= 0) code = gnutls_priority_set_direct(self->tls, RULES, NULL);
  if (code >= 0) code = gnutls_credentials_set(self->tls, GNUTLS_CRD_CERTIFICATE, lender->trust);
  if (code >= 0) code = gnutls_alpn_set_protocols(self->tls, &http, 1, 0);
  if (code >= 0) code = set_name(self);
  if (code < 0) return code;
  set_checks(self);
  gnutls_transport_set_int(self->tls, fd);
  return GNUTLS_E_SUCCESS;
}

static lk_err session_open(void *ctx, int fd, const char *host, void **out) {
  size_t len = strlen(host) + 1;
  session *self = calloc(1, sizeof *self + len);
  if (self == NULL) return LK_ERR_NOMEM;
  memcpy(self->host, host, len);
  int code = configure(self, ctx, fd);
  if (code >= 0) {
    *out = self;
    return LK_OK;
  }
  session_close(self);
  return code == GNUTLS_E_MEMORY_ERROR ? LK_ERR_NOMEM : LK_ERR_TLS;
}

static lk_err session_shake_hands(void *ctx, bool *wants_to_write) {
  session *self = ctx;
  int code = gnutls_handshake(self->tls);
  *wants_to_write = gnutls_record_get_direction(self->tls) != 0;
  if (code < 0) return fail(self, code);
  self->is_open = true;
  return LK_OK;
}

static lk_err session_read(void *ctx, uint8_t *to, size_t cap, size_t *len) {
  session *self = ctx;
  ssize_t n = gnutls_record_recv(self->tls, to, cap);
  if (n < 0) return fail(self, (int)n);
  if (n == 0) return LK_ERR_CLOSED;
  *len = (size_t)n;
  return LK_OK;
}

/* A record that did not go is kept by GnuTLS, and is what the next call is about: the bytes that it was made of stand in front again. */
static lk_err session_write(void *ctx, lk_slice bytes, size_t *taken) {
  session *self = ctx;
  ssize_t n = gnutls_record_send(self->tls, bytes.ptr, bytes.len);
  if (n < 0) return fail(self, (int)n);
  *taken = (size_t)n;
  return LK_OK;
}

/* ---- whom to trust ---- */

static lk_err load(provider *self, const char *ca_file) {
  int count = ca_file != NULL ? gnutls_certificate_set_x509_trust_file(self->trust, ca_file,
                                                                       GNUTLS_X509_FMT_PEM)
                              : gnutls_certificate_set_x509_system_trust(self->trust);
  if (count > 0) return LK_OK;
  if (count == GNUTLS_E_MEMORY_ERROR) return LK_ERR_NOMEM;
  if (ca_file == NULL) return LK_ERR_NOT_FOUND;
  if (access(ca_file, R_OK) == 0) return LK_ERR_CORRUPT;
  return errno == EACCES ? LK_ERR_PERMISSION : LK_ERR_NOT_FOUND;
}

lk_err lk_client_tls_open(const lk_client_tls_options *options, const lk_client_tls **out) {
  provider *self = calloc(1, sizeof *self);
  *out = NULL;
  if (self == NULL) return LK_ERR_NOMEM;
  self->table = (lk_client_tls){ .size = sizeof self->table,
                                 .ctx = self,
                                 .open = session_open,
                                 .shake_hands = session_shake_hands,
                                 .read = session_read,
                                 .write = session_write,
                                 .close = session_close };
  lk_err err = gnutls_certificate_allocate_credentials(&self->trust) < 0 ? LK_ERR_NOMEM : LK_OK;
  if (err == LK_OK) err = load(self, options->ca_file);
  if (err == LK_OK) *out = &self->table;
  else lk_client_tls_close(&self->table);
  return err;
}

void lk_client_tls_close(const lk_client_tls *table) {
  if (table == NULL) return;
  provider *self = table->ctx;
  if (self->trust != NULL) gnutls_certificate_free_credentials(self->trust);
  free(self);
}
