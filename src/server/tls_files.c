/* server/tls_files.c -- read two files, see whether they belong together, and look again.
 *
 *   CURRENT ──a stamp differs from what was tried──> CHANGING ──the same for 100 ms──> loaded or refused ──> CURRENT
 *                                                       └── differs again: another 100 ms
 *
 * A stamp is what stat() says of a file: a rename gives it another inode, writing in place other times. What was refused
 * counts as tried, so that one bad pair is one line in the log and not two a second.
 *
 * Files are read whole before any of them is parsed, and the two results are made before either replaces anything: there
 * is no moment at which a new connection could get the one with the other's key. Bytes of a key are wiped when they are
 * given back, as far as that is ours to do.
 *
 * Not chosen: inotify. It watches inodes and not names, so that a renamed file or a changed symbolic link, which is how
 * both certbot and Kubernetes replace certificates, has to be looked for in the directories above; two stat() a second and file
 * cost 5 microseconds. Not chosen either: SIGHUP. It asks to stop here, as of every program whose terminal goes. */
#include "server/tls_files.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/log.h"

#define WHY_MAX 2048

/* ---- words ---- */

__attribute__((format(printf, 2, 3))) static void say(lk_buf *why, const char *format, ...) {
  char text[WHY_MAX];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (len < 0) return;
  lk_buf_truncate(why, 0);
  (void)lk_buf_append(why, lk_slice_of(text, lk_min_size((size_t)len, sizeof text - 1)));
}

/* ---- files ---- */

static lk_tls_stamp stamp_of(const struct stat *st) {
  return (lk_tls_stamp){ .modified = st->st_mtim,
                         .changed = st->st_ctim,
                         .device = st->st_dev,
                         .inode = st->st_ino,
                         .size = st->st_size };
}

static lk_tls_stamp look_at(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 ? stamp_of(&st) : (lk_tls_stamp){ 0 };
}

static bool same_time(struct timespec a, struct timespec b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same(const lk_tls_stamp *a, const lk_tls_stamp *b) {
  return same_time(a->modified, b->modified) && same_time(a->changed, b->changed) &&
         a->device == b->device && a->inode == b->inode && a->size == b->size;
}

static bool both_same(const lk_tls_stamp a[2], const lk_tls_stamp b[2]) {
  return same(&a[0], &b[0]) && same(&a[1], &b[1]);
}

static lk_err refuse_errno(const char *path, lk_buf *why) {
  say(why, "cannot read %s: %s", path, strerror(errno));
  if (errno == ENOENT || errno == ENOTDIR) return LK_ERR_NOT_FOUND;
  return errno == EACCES || errno == EPERM ? LK_ERR_PERMISSION : LK_ERR_IO;
}

static lk_err read_open(int fd, const char *path, lk_tls_stamp *stamp, lk_buf *out, lk_buf *why) {
  struct stat st;
  if (fstat(fd, &st) != 0) return refuse_errno(path, why);
  *stamp = stamp_of(&st);
  if (!S_ISREG(st.st_mode)) {
    say(why, "%s is not a file", path);
    return LK_ERR_IO;
  }
  if (st.st_size > LK_TLS_FILE_MAX) {
    say(why, "%s has more than %u bytes, which no certificate or key has", path, LK_TLS_FILE_MAX);
    return LK_ERR_TOO_BIG;
  }
  uint8_t *to = lk_buf_extend(out, (size_t)st.st_size + 1); /* GnuTLS wants a NUL behind text */
  if (to == NULL) return LK_ERR_NOMEM;
  ssize_t n = pread(fd, to, (size_t)st.st_size, 0);
  if (n < 0) return refuse_errno(path, why);
  to[n] = 0;
  lk_buf_truncate(out, (size_t)n);
  return LK_OK;
}

static lk_err read_whole(const char *path, lk_tls_stamp *stamp, lk_buf *out, lk_buf *why) {
  *stamp = (lk_tls_stamp){ 0 };
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would make us wait */
  if (fd < 0) return refuse_errno(path, why);
  lk_err err = read_open(fd, path, stamp, out, why);
  (void)close(fd);
  return err;
}

static void wipe(lk_buf *secret) {
  if (secret->cap > 0) explicit_bzero(secret->ptr, secret->cap);
  lk_buf_deinit(secret);
}

/* ---- what they hold ---- */

typedef struct pair {
  gnutls_x509_crt_t *chain;
  unsigned count;
  gnutls_x509_privkey_t key;
} pair;

static void free_pair(pair *self) {
  for (unsigned i = 0; i < self->count; i++) gnutls_x509_crt_deinit(self->chain[i]);
  gnutls_free(self->chain);
  if (self->key != NULL) gnutls_x509_privkey_deinit(self->key);
  *self = (pair){ 0 };
}

static gnutls_datum_t datum(const lk_buf *bytes) {
  return (gnutls_datum_t){ bytes->ptr, (unsigned)bytes->len };
}

static lk_err parse_chain(pair *self, const char *path, const lk_buf *bytes, lk_buf *why) {
  gnutls_datum_t text = datum(bytes);
  int code = gnutls_x509_crt_list_import2(&self->chain, &self->count, &text, GNUTLS_X509_FMT_PEM,
                                          GNUTLS_X509_CRT_LIST_SORT);
  if (code >= 0 && self->count > 0) return LK_OK;
  self->count = 0;
  if (code == GNUTLS_E_MEMORY_ERROR) return LK_ERR_NOMEM;
  say(why, "%s holds no chain of certificates in PEM form, the server's first (%s)", path,
      gnutls_strerror(code));
  return LK_ERR_SYNTAX;
}

static lk_err parse_key(pair *self, const char *path, const lk_buf *bytes, lk_buf *why) {
  gnutls_datum_t text = datum(bytes);
  if (gnutls_x509_privkey_init(&self->key) < 0) return LK_ERR_NOMEM;
  int code = gnutls_x509_privkey_import2(self->key, &text, GNUTLS_X509_FMT_PEM, NULL, 0);
  if (code >= 0) return LK_OK;
  if (code == GNUTLS_E_MEMORY_ERROR) return LK_ERR_NOMEM;
  if (code == GNUTLS_E_DECRYPTION_FAILED) {
    say(why, "the key in %s is encrypted; a server has nobody to ask for the password", path);
    return LK_ERR_KEY;
  }
  say(why, "%s holds no private key in PEM form (%s)", path, gnutls_strerror(code));
  return LK_ERR_SYNTAX;
}

/* Of such keys a client of TLS 1.2 or 1.3 that offers what everybody offers can check a signature. */
static bool is_served(gnutls_x509_privkey_t key) {
  switch (gnutls_x509_privkey_get_pk_algorithm(key)) {
  case GNUTLS_PK_RSA:
  case GNUTLS_PK_RSA_PSS:
  case GNUTLS_PK_ECDSA:
  case GNUTLS_PK_EDDSA_ED25519: return true;
  default: return false;
  }
}

static lk_err marry(lk_tls_identity *self, const pair *both, const lk_tls_files *files,
                    lk_buf *why) {
  if (!is_served(both->key)) {
    say(why, "the key in %s is of a kind that is not served; use ECDSA, RSA or Ed25519",
        files->key);
    return LK_ERR_KEY;
  }
  if (gnutls_certificate_allocate_credentials(&self->credentials) < 0) return LK_ERR_NOMEM;
  int code = gnutls_certificate_set_x509_key(self->credentials, both->chain, (int)both->count,
                                             both->key);
  if (code == GNUTLS_E_MEMORY_ERROR) return LK_ERR_NOMEM;
  if (code < 0) {
    say(why, "the key in %s is not that of the first certificate in %s (%s)", files->key,
        files->certificate, gnutls_strerror(code));
    return LK_ERR_KEY;
  }
  self->valid_until = (int64_t)gnutls_x509_crt_get_expiration_time(both->chain[0]);
  return LK_OK;
}

static lk_err identity_of(const lk_tls_files *files, const lk_buf *certificate, const lk_buf *key,
                          lk_buf *why, lk_tls_identity **out) {
  pair both = { 0 };
  lk_tls_identity *self = lk_alloc_bytes(files->alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_tls_identity){ .alloc = files->alloc, .refs = 1 };
  lk_err err = parse_chain(&both, files->certificate, certificate, why);
  if (err == LK_OK) err = parse_key(&both, files->key, key, why);
  if (err == LK_OK) err = marry(self, &both, files, why);
  free_pair(&both);
  if (err == LK_OK) *out = self;
  else lk_tls_identity_unref(self);
  return err;
}

lk_tls_identity *lk_tls_identity_ref(lk_tls_identity *self) {
  self->refs++;
  return self;
}

void lk_tls_identity_unref(lk_tls_identity *self) {
  if (self == NULL || --self->refs > 0) return;
  if (self->credentials != NULL) gnutls_certificate_free_credentials(self->credentials);
  lk_free_bytes(self->alloc, self, sizeof *self);
}

/* ---- loading ---- */

/* |tried| is what was found, whatever comes of it. */
static lk_err load(lk_tls_files *self, lk_buf *why, lk_tls_identity **out) {
  lk_buf certificate, key;
  lk_buf_init(&certificate, self->alloc, LK_TLS_FILE_MAX + 1);
  lk_buf_init(&key, self->alloc, LK_TLS_FILE_MAX + 1);
  self->tried[1] = look_at(self->key);
  lk_err err = read_whole(self->certificate, &self->tried[0], &certificate, why);
  if (err == LK_OK) err = read_whole(self->key, &self->tried[1], &key, why);
  if (err == LK_OK) err = identity_of(self, &certificate, &key, why, out);
  if (err == LK_ERR_NOMEM) say(why, "no memory to load the certificate in %s", self->certificate);
  lk_buf_deinit(&certificate);
  wipe(&key);
  return err;
}

static void say_when_it_ends(const lk_tls_files *self) {
  char date[32];
  struct tm parts;
  time_t ends = (time_t)self->identity->valid_until;
  if (self->is_quiet || gmtime_r(&ends, &parts) == NULL) return;
  (void)strftime(date, sizeof date, "%Y-%m-%d %H:%M", &parts);
  if (ends <= time(NULL))
    lk_log_say(LK_LOG_certificate_ended, "the certificate in %s ended on %s UTC: clients will refuse it",
               self->certificate, date);
}

lk_err lk_tls_files_open(lk_tls_files *self, const lk_alloc *alloc, const char *certificate,
                         const char *key, uint64_t now_ms, lk_buf *why) {
  *self = (lk_tls_files){
    .alloc = alloc, .certificate = certificate, .key = key, .look_ms = now_ms + LK_TLS_LOOK_MS
  };
  lk_err err = load(self, why, &self->identity);
  if (err == LK_OK) say_when_it_ends(self);
  return err;
}

void lk_tls_files_close(lk_tls_files *self) {
  lk_tls_identity_unref(self->identity);
  self->identity = NULL;
}

static void replace(lk_tls_files *self) {
  lk_tls_identity *fresh = NULL;
  lk_buf why;
  lk_buf_init(&why, self->alloc, WHY_MAX);
  if (load(self, &why, &fresh) == LK_OK) {
    lk_tls_identity_unref(self->identity);
    self->identity = fresh;
    if (!self->is_quiet)
      lk_log_say(LK_LOG_certificate_changed, "new connections get the new certificate in %s",
                 self->certificate);
    say_when_it_ends(self);
  } else if (!self->is_quiet) {
    lk_log_say(LK_LOG_certificate_refused, "%.*s; new connections get the certificate from before",
               (int)why.len, (const char *)why.ptr);
  }
  lk_buf_deinit(&why);
}

void lk_tls_files_tick(lk_tls_files *self, uint64_t now_ms) {
  if (now_ms < self->look_ms) return;
  const lk_tls_stamp now[2] = { look_at(self->certificate), look_at(self->key) };
  self->look_ms = now_ms + LK_TLS_LOOK_MS;
  if (both_same(now, self->tried)) {
    memcpy(self->seen, now, sizeof now);
  } else if (both_same(now, self->seen)) {
    replace(self);
  } else {
    memcpy(self->seen, now, sizeof now);
    self->look_ms = now_ms + LK_TLS_SETTLE_MS;
  }
}
