/* server/own_secret.c -- a file that is there whole or not at all.
 *
 *   open(.token-secret.PID.RANDOM, O_EXCL, 0600) ─> write ─> fsync ─> rename, unless the name is taken ─> fsync of the directory
 *
 * A server and a `laniakea token mint` may come at the same time: whoever renames second finds the name taken, removes what it
 * made, and uses the first one's. No crash leaves half a secret; what one may leave is a file under a name that nobody reads.
 *
 * A secret that others could read is refused rather than mended: they may have read it. */
#include "server/own_secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/base64.h"
#include "crypto/crypto.h"
#include "platform/posix/random.h"
#include "server/console.h"

#define RANDOM_LEN 48
#define LEN_MIN 20 /* crypto/phoenix_token.h takes no shorter ones */

__attribute__((format(printf, 2, 3))) static void say(lk_buf *why, const char *format, ...) {
  char text[LK_CONSOLE_LINE_MAX];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  lk_buf_truncate(why, 0);
  if (len > 0)
    (void)lk_buf_append(why, lk_slice_of(text, lk_min_size((size_t)len, sizeof text - 1)));
}

static lk_err refuse_errno(const char *what, const char *directory, lk_buf *why) {
  int code = errno;
  say(why, "cannot %s %s/" LK_OWN_SECRET_NAME ": %s", what, directory, strerror(code));
  if (code == ENOENT || code == ENOTDIR) return LK_ERR_NOT_FOUND;
  return code == EACCES || code == EPERM ? LK_ERR_PERMISSION : LK_ERR_IO;
}

/* ---- making ---- */

static bool write_all(int fd, lk_slice bytes) {
  while (bytes.len > 0) {
    ssize_t n = write(fd, bytes.ptr, bytes.len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes = lk_slice_skip(bytes, (size_t)n);
  }
  return true;
}

static lk_err draw_secret(lk_buf *out) {
  uint8_t random[RANDOM_LEN];
  lk_err err = lk_posix_random(random, sizeof random);
  if (err == LK_OK)
    err = lk_base64_encode(out, lk_slice_of(random, sizeof random), LK_BASE64_FORM_STANDARD);
  if (err == LK_OK) err = lk_buf_append_u8(out, '\n');
  lk_crypto_wipe(random, sizeof random);
  return err;
}

/* A name that is taken stays its owner's. Where the file system knows no such rename, a second name does the same. */
static bool rename_unless_taken(int directory, const char *from) {
  int result = renameat2(directory, from, directory, LK_OWN_SECRET_NAME, RENAME_NOREPLACE);
  if (result == 0) return true;
  if (errno == EINVAL || errno == ENOSYS)
    result = linkat(directory, from, directory, LK_OWN_SECRET_NAME, 0);
  bool is_there = result == 0 || errno == EEXIST;
  int code = errno;
  (void)unlinkat(directory, from, 0);
  errno = code;
  return is_there;
}

static bool write_beside(int directory, const char *name, lk_slice secret) {
  int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return false;
  bool ok = fchmod(fd, 0600) == 0 && write_all(fd, secret) && fsync(fd) == 0;
  int code = errno;
  ok = close(fd) == 0 && ok;
  if (ok) return true;
  (void)unlinkat(directory, name, 0);
  errno = code;
  return false;
}

static lk_err put(int directory, const char *path, lk_slice secret, lk_buf *why) {
  char name[96];
  uint64_t random;
  lk_err err = lk_posix_random(&random, sizeof random);
  if (err != LK_OK) return err;
  (void)snprintf(name, sizeof name, LK_OWN_SECRET_NAME ".%ld.%016llx", (long)getpid(),
                 (unsigned long long)random);
  bool ok = write_beside(directory, name, secret) && rename_unless_taken(directory, name) &&
            fsync(directory) == 0;
  return ok ? LK_OK : refuse_errno("make", path, why);
}

static lk_err make(int directory, const char *path, lk_buf *why) {
  lk_buf secret;
  lk_buf_init(&secret, why->alloc, 128);
  lk_err err = lk_buf_reserve(&secret, 128); /* one block: nothing is copied */
  if (err == LK_OK) err = draw_secret(&secret);
  if (err == LK_OK) err = put(directory, path, lk_buf_slice(&secret), why);
  if (secret.ptr != NULL) lk_crypto_wipe(secret.ptr, secret.cap);
  lk_buf_deinit(&secret);
  if (err == LK_ERR_ENTROPY) say(why, "there are no random numbers to make a secret of");
  return err;
}

/* ---- reading ---- */

static lk_err check(const struct stat *st, const char *path, lk_buf *why) {
  if (!S_ISREG(st->st_mode)) {
    say(why, "%s/" LK_OWN_SECRET_NAME " is not a file", path);
    return LK_ERR_KEY;
  }
  if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    say(why,
        "others on this machine may read or change %s/" LK_OWN_SECRET_NAME
        " (its mode is %03o): chmod 600 closes it, but they may know it; to have a new one, remove "
        "it",
        path, (unsigned)(st->st_mode & 0777));
    return LK_ERR_PERMISSION;
  }
  if (st->st_size >= LEN_MIN && st->st_size <= (off_t)LK_OWN_SECRET_MAX) return LK_OK;
  say(why, "%s/" LK_OWN_SECRET_NAME " holds no secret; remove it, and a new one is made", path);
  return LK_ERR_KEY;
}

static lk_err append(int fd, size_t size, lk_buf *out) {
  size_t before = out->len;
  uint8_t *to = lk_buf_extend(out, size);
  if (to == NULL) return lk_buf_err(out);
  ssize_t n = pread(fd, to, size, 0);
  if (n != (ssize_t)size) {
    lk_crypto_wipe(to, size);
    lk_buf_truncate(out, before);
    return LK_ERR_IO;
  }
  while (out->len > before && (out->ptr[out->len - 1] == '\n' || out->ptr[out->len - 1] == '\r'))
    lk_buf_truncate(out, out->len - 1);
  return LK_OK;
}

/* LK_ERR_NOT_FOUND where there is none; then |why| is as before. |out| may be NULL. */
static lk_err read_at(int directory, const char *path, lk_buf *out, lk_buf *why) {
  struct stat st;
  int fd = openat(directory, LK_OWN_SECRET_NAME,
                  O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would make us wait */
  if (fd < 0 && errno == ENOENT) return LK_ERR_NOT_FOUND;
  if (fd < 0) return refuse_errno("read", path, why);
  lk_err err = fstat(fd, &st) == 0 ? check(&st, path, why) : refuse_errno("read", path, why);
  if (err == LK_OK && out != NULL) {
    err = append(fd, (size_t)st.st_size, out);
    if (err == LK_ERR_IO) say(why, "cannot read all of %s/" LK_OWN_SECRET_NAME, path);
  }
  (void)close(fd);
  return err;
}

static lk_err use(const char *path, lk_buf *out, lk_buf *why) {
  int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return refuse_errno("use", path, why);
  lk_err err = read_at(directory, path, out, why);
  if (err == LK_ERR_NOT_FOUND) {
    err = make(directory, path, why);
    if (err == LK_OK) err = read_at(directory, path, out, why);
    if (err == LK_ERR_NOT_FOUND) say(why, "%s/" LK_OWN_SECRET_NAME " went away again", path);
  }
  if (err == LK_ERR_NOMEM) say(why, "no memory for the secret");
  (void)close(directory);
  return err;
}

lk_err lk_own_secret_make(const char *directory, lk_buf *why) { return use(directory, NULL, why); }

lk_err lk_own_secret_read(const char *directory, lk_buf *out, lk_buf *why) {
  return use(directory, out, why);
}
