/* server/tls.h -- TLS 1.2 and 1.3 of one connection, bytes in and bytes out.
 *
 *   client ══ciphertext══> feed ──> read ══plaintext══> HTTP, WebSocket
 *   client <══ciphertext══ output, consume <── write <══plaintext══
 *
 * The library is GnuTLS, since QUIC needs it too (docs/decisions/015). Only suites with authenticated encryption
 * and a fresh key exchange are served; no compression, no renegotiation, no early data. The server name
 * that a client sends decides nothing, but must be made of letters, digits, dots and hyphens; of the protocols that it names
 * by ALPN, if any, "http/1.1" must be one.
 *
 * The machine knows no socket, and no clock but the one that it is lent for its statistics. What it allocates by our allocator is given back while a connection is idle; a
 * session of GnuTLS, about 10 KB, stays. */
#ifndef LK_SERVER_TLS_H
#define LK_SERVER_TLS_H

#include "base/histogram.h"
#include "server/tls_files.h"
#include "server/tls_tickets.h"

#define LK_TLS_HANDSHAKE_MS 5000 /* in all, from the first byte to the last */
#define LK_TLS_RECORD_MAX 16384  /* plaintext that one read returns at most */
#define LK_TLS_WRITE_MAX 32768   /* what waits for the client before more is encrypted */
#define LK_TLS_OUTPUT_MAX 262144 /* ciphertext; a handshake with a long chain needs most */
#define LK_TLS_NEVER UINT64_MAX

/* What connections of one process share. */
typedef struct lk_tls_server {
  const lk_alloc *alloc;
  const lk_tls_files *files;
  const lk_tls_tickets *tickets; /* NULL: none are given out */
  struct gnutls_priority_st *rules;
  uint8_t *plain; /* the last read's */
  uint64_t (*clock_us)(void); /* NULL: the histogram stays empty */
  lk_histogram times;         /* of handshakes that succeeded */
  uint64_t handshakes;
  uint64_t failures; /* of handshakes that began: also those that their client or their deadline ended */
  uint32_t handshake_ms; /* LK_TLS_HANDSHAKE_MS, unless the owner says otherwise */
} lk_tls_server;

typedef struct lk_tls lk_tls;

/* |files| and |tickets| must live as long. LK_ERR_NOMEM; LK_ERR_UNSUPPORTED where the system's rules for GnuTLS leave
 * nothing of ours: nothing is held. */
lk_err lk_tls_server_init(lk_tls_server *self, const lk_alloc *alloc, const lk_tls_files *files,
                          const lk_tls_tickets *tickets) LK_MUST_USE;
/* After its connections. Safe on a zeroed struct, and twice. */
void lk_tls_server_deinit(lk_tls_server *self);

/* LK_ERR_NOMEM. */
lk_err lk_tls_open(lk_tls_server *server, uint64_t now_ms, lk_tls **out) LK_MUST_USE;
/* NULL is allowed. */
void lk_tls_close(lk_tls *self);

/* What came from the client. It is borrowed, until lk_tls_read() has said that there is nothing more in it. */
void lk_tls_feed(lk_tls *self, lk_slice in);

/* What it says, at most LK_TLS_RECORD_MAX bytes a call; they live until the next read of any connection.
 *   MORE     that was all for now
 *   END      the client will say nothing more (close_notify), or what it says does not count
 *   CLOSED   it does not speak TLS as we do. What it should know is in the output, and nothing else goes there */
lk_err lk_tls_read(lk_tls *self, lk_slice *out) LK_MUST_USE;

/* Encrypts the front of |plain|, and says how much that was: nothing while the handshake goes on, or while the client
 * has not taken LK_TLS_WRITE_MAX bytes from before. LK_ERR_CLOSED: it failed, now or before. */
lk_err lk_tls_write(lk_tls *self, lk_slice plain, size_t *taken) LK_MUST_USE;

/* Behind what was written comes nothing more. True where this made output, the first time. */
bool lk_tls_end(lk_tls *self);

/* What the client must get next. */
lk_slice lk_tls_output(const lk_tls *self);
void lk_tls_consume(lk_tls *self, size_t count);

/* When the handshake must be done; LK_TLS_NEVER once it is. The connection's owner ends it then. */
uint64_t lk_tls_deadline(const lk_tls *self);

/* lk_tls_read() has said LK_ERR_END. */
bool lk_tls_has_ended(const lk_tls *self);

#endif
