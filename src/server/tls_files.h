/* server/tls_files.h -- a certificate and its key, as two files hold them, and what they hold later.
 *
 * Certificates are replaced while the server runs: a program writes two files, and nobody is told. So the files
 * are looked at twice a second. What is new is loaded when it has been the same for LK_TLS_SETTLE_MS, as the two are
 * seldom written at once; a pair that cannot be used is refused with a line on the console, and the one before
 * stays. A connection holds on to the identity that it began with. */
#ifndef LK_SERVER_TLS_FILES_H
#define LK_SERVER_TLS_FILES_H

#include <sys/types.h>
#include <time.h>

#include "base/buf.h"

#define LK_TLS_LOOK_MS 500
#define LK_TLS_SETTLE_MS 100
#define LK_TLS_FILE_MAX (1u << 20)

/* A chain of certificates with the key of the first one; counted, and never changed. */
typedef struct lk_tls_identity {
  const lk_alloc *alloc;
  struct gnutls_certificate_credentials_st *credentials;
  int64_t valid_until; /* seconds since 1970: the first certificate's end */
  uint32_t refs;
} lk_tls_identity;

/* What tells one content of a file from the next. All zeros: it could not be looked at. */
typedef struct lk_tls_stamp {
  struct timespec modified;
  struct timespec changed;
  dev_t device;
  ino_t inode;
  off_t size;
} lk_tls_stamp;

typedef struct lk_tls_files {
  const lk_alloc *alloc;
  const char *certificate; /* paths; they must live as long */
  const char *key;
  lk_tls_identity *identity; /* what new connections show */
  lk_tls_stamp tried[2];     /* what was loaded last, or refused */
  lk_tls_stamp seen[2];      /* what is different since |look_ms| was set */
  uint64_t look_ms;
  bool is_quiet; /* another process says what happens to the files */
} lk_tls_files;

/* Loads both. On failure |why| has a sentence for the console that names the file, and nothing is held:
 *   NOT_FOUND, PERMISSION, IO   a file cannot be read
 *   TOO_BIG                     one has more than LK_TLS_FILE_MAX bytes
 *   SYNTAX                      there is no certificate, or no key, in PEM form
 *   KEY                         the key is encrypted, not of this certificate, or of a kind that is not served
 *   NOMEM */
lk_err lk_tls_files_open(lk_tls_files *self, const lk_alloc *alloc, const char *certificate,
                         const char *key, uint64_t now_ms, lk_buf *why) LK_MUST_USE;

/* Safe on a zeroed struct, and twice. */
void lk_tls_files_close(lk_tls_files *self);

/* Looks at the files when it is time; the console is told what became of them. */
void lk_tls_files_tick(lk_tls_files *self, uint64_t now_ms);

static inline uint64_t lk_tls_files_deadline(const lk_tls_files *self) { return self->look_ms; }

lk_tls_identity *lk_tls_identity_ref(lk_tls_identity *self);
/* NULL is allowed. */
void lk_tls_identity_unref(lk_tls_identity *self);

#endif
