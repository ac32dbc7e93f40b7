/* cli/cmd_new.c -- `laniakea new`: an app to begin with.
 *
 * The folder is there as a whole or not at all: files are written into one beside it, which gets
 * its name last. So a full disk or a Ctrl-C never leaves an app that lacks a file, and what has the
 * name already is never touched: rename() replaces an empty folder and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/files.h"
#include "cli/starter.h"
#include "platform/posix/heap.h"
#include "server/console.h"

#define PATH_BYTES 4096
#define NAME_LEN_MAX 64

typedef struct app {
  char folder[PATH_BYTES]; /* without a slash at its end */
  char beside[PATH_BYTES]; /* where it is made */
  const char *name;        /* the last part of |folder| */
} app;

/* ---- its name ---- */

static bool is_plain(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

/* One that npm takes, and that means nothing in JSON, HTML and TypeScript. */
static bool is_name(const char *name) {
  size_t len = strlen(name);
  if (len == 0 || len > NAME_LEN_MAX || !is_plain(name[0])) return false;
  for (size_t i = 0; i < len; i++) {
    if (!is_plain(name[i]) && strchr("-_.", name[i]) == NULL) return false;
  }
  return true;
}

static bool app_init(app *self, const char *folder) {
  size_t len = strlen(folder);
  while (len > 1 && folder[len - 1] == '/') len--;
  int beside = snprintf(self->beside, sizeof self->beside, "%.*s.XXXXXX", (int)len, folder);
  if (beside < 0 || (size_t)beside >= sizeof self->beside) {
    lk_cli_say_error(folder, LK_ERR_TOO_BIG, "the path is too long");
    return false;
  }
  (void)snprintf(self->folder, sizeof self->folder, "%.*s", (int)len, folder);
  const char *slash = strrchr(self->folder, '/');
  self->name = slash != NULL ? slash + 1 : self->folder;
  if (is_name(self->name)) return true;
  lk_console_say(
      "%.400s: the folder's name is the app's, and that has lower-case letters, digits and -, "
      "such as my-app",
      self->folder);
  return false;
}

/* ---- its files ---- */

static bool complain(const char *what, const char *path) {
  lk_console_say("cannot %s %.400s: %s; nothing was written", what, path, strerror(errno));
  return false;
}

static bool refuse(const app *self) {
  lk_cli_say_error(self->folder, LK_ERR_EXISTS,
                   "choose another name, or move it away; nothing was written");
  return false;
}

/* The path of a file while it is made: |out| has PATH_BYTES. */
static bool path_of(const app *self, const char *path, char *out) {
  int len = snprintf(out, PATH_BYTES, "%s/%s", self->beside, path);
  if (len > 0 && len < PATH_BYTES) return true;
  errno = ENAMETOOLONG;
  return false;
}

/* |bytes| with the app's name in the place of LK_STARTER_NAME. */
static lk_err fill_in(lk_slice bytes, const char *name, lk_buf *out) {
  static const lk_slice mark = LK_LIT_INIT(LK_STARTER_NAME);
  while (bytes.len >= mark.len) {
    bool is_mark = memcmp(bytes.ptr, mark.ptr, mark.len) == 0;
    lk_err err = is_mark ? lk_buf_append(out, (lk_slice){ (const uint8_t *)name, strlen(name) })
                         : lk_buf_append_u8(out, bytes.ptr[0]);
    if (err != LK_OK) return err;
    bytes = lk_slice_skip(bytes, is_mark ? mark.len : 1);
  }
  return lk_buf_append(out, bytes);
}

static bool write_bytes(const char *path, lk_slice bytes) {
  FILE *file = fopen(path, "wbxe");
  if (file == NULL) return false;
  bool ok = fwrite(bytes.ptr, 1, bytes.len, file) == bytes.len;
  int code = errno;
  if (fclose(file) != 0) return false;
  errno = code;
  return ok;
}

/* The folders of |path| below the app's own. */
static bool make_folders(char *path, size_t from) {
  for (char *slash = strchr(path + from, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    bool ok = mkdir(path, 0777) == 0 || errno == EEXIST;
    *slash = '/';
    if (!ok) return false;
  }
  return true;
}

static bool write_file(const app *self, const lk_starter_file *file) {
  char path[PATH_BYTES];
  lk_slice bytes = { file->begin, (size_t)(file->end - file->begin) };
  bool is_vendor = strncmp(file->path, LK_STARTER_VENDOR, strlen(LK_STARTER_VENDOR)) == 0;
  if (!path_of(self, file->path, path)) return complain("write", file->path);
  if (!make_folders(path, strlen(self->beside) + 1)) return complain("make the folder of", path);
  if (is_vendor) return write_bytes(path, bytes) || complain("write", path);
  lk_buf text;
  lk_buf_init(&text, lk_posix_heap(), SIZE_MAX / 2);
  lk_err err = fill_in(bytes, self->name, &text);
  if (err != LK_OK) lk_cli_say_error(file->path, err, "");
  bool ok = err == LK_OK && (write_bytes(path, lk_buf_slice(&text)) || complain("write", path));
  lk_buf_deinit(&text);
  return ok;
}

/* Takes back what was made of it: files, and folders as soon as they are empty. */
static void app_remove(const app *self) {
  char path[PATH_BYTES];
  for (size_t i = lk_starter_built.count; i-- > 0;) {
    if (!path_of(self, lk_starter_built.files[i].path, path)) continue;
    (void)unlink(path);
    for (char *slash = strrchr(path, '/'); slash > path + strlen(self->beside);
         slash = strrchr(path, '/')) {
      *slash = 0;
      (void)rmdir(path);
    }
  }
  (void)rmdir(self->beside);
}

/* Gives it its name, if nothing has that. */
static bool app_put(const app *self) {
  mode_t mask = umask(0);
  (void)umask(mask);
  if (chmod(self->beside, 0777 & ~mask) != 0) return complain("make", self->folder);
  if (rename(self->beside, self->folder) == 0) return true;
  if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR) return refuse(self);
  return complain("make", self->folder);
}

static bool app_write(app *self) {
  if (mkdtemp(self->beside) == NULL) return complain("make", self->folder);
  bool ok = true;
  for (size_t i = 0; i < lk_starter_built.count && ok; i++)
    ok = write_file(self, &lk_starter_built.files[i]);
  ok = ok && app_put(self);
  if (!ok) app_remove(self);
  return ok;
}

int lk_cli_new(const lk_cli_args *args) {
  app self;
  if (!app_init(&self, args->plain[0])) return 2;
  if (lk_starter_built.count == 0) {
    lk_console_say(
        "this program was built without the npm packages; `make build` makes one that has them");
    return 1;
  }
  if (!app_write(&self)) return 1;
  (void)printf("%s is ready. In that folder:\n"
               "  npm install\n"
               "  npm run dev        http://localhost:5173, in as many tabs as you like\n"
               "and its server, in another terminal:\n"
               "  laniakea serve\n",
               self.folder);
  return lk_cli_finish_output();
}
