/* The secret that a data directory has of its own: made once, as a whole, for its owner alone. */
#include "server/own_secret.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/faulty.h"
#include "harness/test.h"

typedef struct fixture {
  char folder[64];
  char path[128];
  lk_buf secret;
  lk_buf why;
} fixture;

static void setup(fixture *f) {
  *f = (fixture){ .folder = "/tmp/laniakea-own-secret-XXXXXX" };
  CHECK(mkdtemp(f->folder) != NULL);
  (void)snprintf(f->path, sizeof f->path, "%s/" LK_OWN_SECRET_NAME, f->folder);
  lk_buf_init(&f->secret, test_alloc(), 8192);
  lk_buf_init(&f->why, test_alloc(), 4096);
}

static void teardown(fixture *f) {
  lk_buf_deinit(&f->secret);
  lk_buf_deinit(&f->why);
  (void)unlink(f->path);
  CHECK(rmdir(f->folder) == 0); /* nothing else was left there */
}

static void check_says(const fixture *f, const char *words) {
  test_note("%.*s", (int)f->why.len, f->why.len > 0 ? (const char *)f->why.ptr : "");
  CHECK(lk_slice_find(lk_buf_slice(&f->why), lk_slice_cstr(words)) != LK_SLICE_NONE);
}

static void write_secret(const fixture *f, const char *text, mode_t mode) {
  FILE *file = fopen(f->path, "w");
  CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0 && chmod(f->path, mode) == 0);
}

TEST(own_secret_is_made_once_and_for_its_owner_alone) {
  fixture f;
  struct stat st;
  setup(&f);
  for (int i = 0; i < 2; i++) {
    mode_t before = umask(i == 0 ? 0 : 0777);
    CHECK_OK(lk_own_secret_make(f.folder, &f.why));
    (void)umask(before);
    CHECK(stat(f.path, &st) == 0 && (st.st_mode & 07777) == 0600 && st.st_size == 65);
  }
  CHECK_OK(lk_own_secret_read(f.folder, &f.secret, &f.why));
  CHECK_U64(f.secret.len, 64);
  CHECK_OK(lk_own_secret_read(f.folder, &f.secret, &f.why));
  CHECK(memcmp(f.secret.ptr, f.secret.ptr + 64, 64) == 0);
  CHECK_U64(f.why.len, 0);
  (void)unlink(f.path);
  (void)umask(0777);
  CHECK_OK(lk_own_secret_read(f.folder, &f.secret, &f.why)); /* another one, whatever the mask */
  (void)umask(022);
  CHECK(stat(f.path, &st) == 0 && (st.st_mode & 07777) == 0600);
  CHECK(memcmp(f.secret.ptr, f.secret.ptr + 128, 64) != 0);
  teardown(&f);
}

TEST(own_secret_that_others_may_know_is_refused) {
  static const mode_t open_modes[] = { 0640, 0604, 0620, 0602, 0610, 0601, 0644, 0666, 0777 };
  fixture f;
  setup(&f);
  for (size_t i = 0; i < sizeof open_modes / sizeof open_modes[0]; i++) {
    write_secret(&f, "0123456789abcdefghij", open_modes[i]);
    CHECK_ERR(lk_own_secret_read(f.folder, &f.secret, &f.why), LK_ERR_PERMISSION);
    CHECK_ERR(lk_own_secret_make(f.folder, &f.why), LK_ERR_PERMISSION);
    check_says(&f, "chmod 600 closes it");
    CHECK(lk_slice_find(lk_buf_slice(&f.why), LK_LIT("0123456789")) == LK_SLICE_NONE);
  }
  CHECK_U64(f.secret.len, 0);
  write_secret(&f, "0123456789abcdefghij\r\n", 0400);
  CHECK_OK(lk_own_secret_read(f.folder, &f.secret, &f.why));
  CHECK_TEXT(lk_buf_slice(&f.secret), "0123456789abcdefghij");
  teardown(&f);
}

TEST(own_secret_is_not_made_where_something_else_is) {
  fixture f;
  char nowhere[200];
  setup(&f);
  write_secret(&f, "short", 0600);
  CHECK_ERR(lk_own_secret_make(f.folder, &f.why), LK_ERR_KEY);
  check_says(&f, "remove it, and a new one is made");
  (void)unlink(f.path);
  CHECK(mkdir(f.path, 0700) == 0);
  CHECK_ERR(lk_own_secret_make(f.folder, &f.why), LK_ERR_KEY);
  CHECK(rmdir(f.path) == 0);
  CHECK(mkfifo(f.path, 0600) == 0);
  CHECK_ERR(lk_own_secret_make(f.folder, &f.why), LK_ERR_KEY);
  (void)unlink(f.path);
  CHECK(symlink("nowhere", f.path) == 0);
  CHECK_ERR(lk_own_secret_make(f.folder, &f.why), LK_ERR_NOT_FOUND);
  (void)unlink(f.path);
  (void)snprintf(nowhere, sizeof nowhere, "%s/none", f.folder);
  CHECK_ERR(lk_own_secret_make(nowhere, &f.why), LK_ERR_NOT_FOUND);
  check_says(&f, "No such file");
  teardown(&f);
}

/* Goal: a server and a command that come at once have the same secret. Method: processes that all begin when a pipe is closed,
 * and say by another one what they read. */
TEST(own_secret_of_many_who_come_at_once_is_one) {
  enum { MANY = 12 };
  fixture f;
  int start[2], told[2];
  char texts[MANY][64];
  setup(&f);
  CHECK(pipe(start) == 0 && pipe(told) == 0);
  for (int i = 0; i < MANY; i++) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid > 0) continue;
    char byte;
    (void)close(start[1]);
    (void)!read(start[0], &byte, 1);
    lk_err err = lk_own_secret_read(f.folder, &f.secret, &f.why);
    _exit(err == LK_OK && write(told[1], f.secret.ptr, 64) == 64 ? 0 : 1);
  }
  (void)close(start[0]);
  (void)close(start[1]);
  for (int i = 0; i < MANY; i++) {
    int status;
    CHECK(wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(read(told[0], texts[i], 64) == 64 && memcmp(texts[0], texts[i], 64) == 0);
  }
  (void)close(told[0]);
  (void)close(told[1]);
  teardown(&f);
}

TEST(own_secret_without_memory_is_told_and_leaves_nothing) {
  fixture f;
  setup(&f);
  FAULT_LOOP(faults, test_alloc()) {
    lk_buf secret, why;
    lk_buf_init(&secret, faulty_alloc(&faults), 8192);
    lk_buf_init(&why, faulty_alloc(&faults), 4096);
    (void)unlink(f.path);
    lk_err err = lk_own_secret_read(f.folder, &secret, &why);
    CHECK(err == (faults.hit ? LK_ERR_NOMEM : LK_OK));
    CHECK_U64(secret.len, err == LK_OK ? 64 : 0);
    lk_buf_deinit(&secret);
    lk_buf_deinit(&why);
  }
  teardown(&f);
}
