/* cli/files.c -- reading with a limit, writing all or nothing.
 *
 * A file is read and not mapped: another process may cut a mapped one short, and that is a signal
 * in the middle of a decoder. And a pipe cannot be mapped, so there is one way for both.
 *
 * The file of --output may be one that was read, and the only copy of somebody's document. So the
 * result is written beside it under another name, brought to disk, and put in its place by one
 * rename. Where there is something else than a regular file, such as /dev/null or a pipe, it is
 * written to, since to replace it would break what it is. */
#include "cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/progress.h"
#include "platform/posix/heap.h"
#include "server/console.h"

#define CHUNK 65536
#define PATH_MAX_BYTES 4096
#define SHOWN_BYTES (1u << 20) /* what is read in no time is not worth a word */

static bool is_stdin(const char *path) { return strcmp(path, "-") == 0; }

const char *lk_cli_file_name(const char *path) { return is_stdin(path) ? "standard input" : path; }

static bool complain(const char *what, const char *path) {
  int code = errno;
  lk_cli_progress_end();
  lk_console_say("cannot %s %s: %s", what, lk_cli_file_name(path), strerror(code));
  return false;
}

void lk_cli_say_error(const char *name, lk_err err, const char *detail) {
  lk_cli_progress_end();
  lk_console_say("%.400s: %s (%s%s%s)", name, lk_err_text(err), lk_err_name(err),
                 detail[0] != 0 ? ", " : "", detail);
}

/* ---- reading ---- */

FILE *lk_cli_open_file(const char *path) {
  if (is_stdin(path)) return stdin;
  FILE *file = fopen(path, "rbe");
  if (file == NULL) (void)complain("open", path);
  return file;
}

void lk_cli_close_file(FILE *file) {
  if (file != NULL && file != stdin) (void)fclose(file);
}

uint64_t lk_cli_file_size(const char *path) {
  struct stat about;
  int result = is_stdin(path) ? fstat(STDIN_FILENO, &about) : stat(path, &about);
  return result == 0 && S_ISREG(about.st_mode) && about.st_size > 0 ? (uint64_t)about.st_size : 0;
}

static bool refuse_size(const char *path, size_t max, const char *limit) {
  char detail[96];
  (void)snprintf(detail, sizeof detail, "%s is %zu bytes", limit, max);
  lk_cli_say_error(lk_cli_file_name(path), LK_ERR_TOO_BIG, detail);
  return false;
}

static bool read_all(FILE *file, const char *path, size_t max, const char *limit, lk_buf *out) {
  uint64_t size = lk_cli_file_size(path);
  size_t start = out->len;
  if (size > max) return refuse_size(path, max, limit);
  if (size > 0) (void)lk_buf_reserve(out, (size_t)size + CHUNK);
  for (;;) {
    size_t at = out->len;
    uint8_t *to = lk_buf_extend(out, CHUNK);
    if (to == NULL) {
      lk_cli_say_error(lk_cli_file_name(path), lk_buf_err(out), "");
      return false;
    }
    size_t got = fread(to, 1, CHUNK, file);
    lk_buf_truncate(out, at + got);
    if (out->len - start > max) return refuse_size(path, max, limit);
    if (out->len - start > SHOWN_BYTES) lk_cli_progress("reading", out->len - start, size);
    if (got < CHUNK) return ferror(file) == 0 || complain("read", path);
  }
}

bool lk_cli_read_file(const char *path, size_t max, const char *limit, lk_buf *out) {
  FILE *file = lk_cli_open_file(path);
  if (file == NULL) return false;
  bool ok = read_all(file, path, max, limit, out);
  lk_cli_close_file(file);
  return ok;
}

/* ---- writing ---- */

static bool write_all(int fd, lk_slice bytes) {
  while (bytes.len > 0) {
    ssize_t n = write(fd, bytes.ptr, bytes.len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes = lk_slice_skip(bytes, (size_t)n);
  }
  return true;
}

static bool write_in_place(const char *path, lk_slice bytes) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return complain("open", path);
  bool ok = write_all(fd, bytes);
  if (!ok) (void)complain("write", path);
  if (close(fd) != 0 && ok) return complain("write", path);
  return ok;
}

/* What open() would have given a new file, or what the old one had. */
static mode_t mode_for(const struct stat *old) {
  if (old != NULL) return old->st_mode & 07777;
  mode_t mask = umask(0);
  (void)umask(mask);
  return 0666 & ~mask;
}

static bool write_beside(const char *path, const struct stat *old, lk_slice bytes) {
  char beside[PATH_MAX_BYTES];
  if ((size_t)snprintf(beside, sizeof beside, "%s.XXXXXX", path) >= sizeof beside) {
    errno = ENAMETOOLONG;
    return complain("write", path);
  }
  int fd = mkostemp(beside, O_CLOEXEC);
  if (fd < 0) return complain("write", path);
  bool ok = write_all(fd, bytes) && fchmod(fd, mode_for(old)) == 0 && fsync(fd) == 0;
  int code = errno;
  ok = close(fd) == 0 && ok;
  if (ok && rename(beside, path) == 0) return true;
  if (ok) code = errno;
  (void)unlink(beside);
  errno = code;
  return complain("write", path);
}

bool lk_cli_write_file(const char *path, lk_slice bytes) {
  struct stat about;
  int known = lstat(path, &about);
  if (known != 0 && errno == ENOENT) return write_beside(path, NULL, bytes);
  if (known == 0 && S_ISREG(about.st_mode)) return write_beside(path, &about, bytes);
  return write_in_place(path, bytes);
}

/* Line by line, so that the newlines and tabs stay. */
static bool write_escaped(lk_slice text) {
  lk_buf line;
  bool ok = true;
  lk_buf_init(&line, lk_posix_heap(), SIZE_MAX / 2);
  while (text.len > 0 && ok) {
    size_t len = 0;
    while (len < text.len && text.ptr[len] != '\n' && text.ptr[len] != '\t') len++;
    lk_buf_truncate(&line, 0);
    lk_console_escape(lk_slice_first(text, len), &line);
    if (len < text.len) (void)lk_buf_append_u8(&line, text.ptr[len++]);
    ok = lk_buf_err(&line) == LK_OK && fwrite(line.ptr, 1, line.len, stdout) == line.len;
    text = lk_slice_skip(text, len);
  }
  lk_buf_deinit(&line);
  return ok;
}

bool lk_cli_write_output(lk_slice bytes, bool is_text) {
  bool ok = is_text && isatty(STDOUT_FILENO) != 0
                ? write_escaped(bytes)
                : bytes.len == 0 || fwrite(bytes.ptr, 1, bytes.len, stdout) == bytes.len;
  if (ok && fflush(stdout) == 0) return true;
  return complain("write to", "standard output");
}
