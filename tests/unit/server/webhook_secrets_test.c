/* Secrets are taken up when their files change, and not while they are being written. */
#include "server/webhook_secrets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/test.h"

typedef struct fixture {
  char folder[64];
  char paths[256]; /* two, each with a NUL behind it */
  lk_webhook_options options;
  lk_webhook_secret_files files;
} fixture;

static const char *path_of(const fixture *f, int which) {
  return which == 0 ? f->paths : f->paths + strlen(f->paths) + 1;
}

/* In place of what is there, as programs that replace a file do. */
static void write_file(const fixture *f, int which, const char *text, mode_t mode) {
  char beside[128];
  (void)snprintf(beside, sizeof beside, "%s/beside", f->folder);
  FILE *file = fopen(beside, "w");
  CHECK(file != NULL);
  CHECK(fputs(text, file) >= 0 && fclose(file) == 0);
  CHECK(chmod(beside, mode) == 0);
  CHECK(rename(beside, path_of(f, which)) == 0);
}

static void init(fixture *f) {
  lk_buf why;
  *f = (fixture){ .folder = "/tmp/laniakea-secrets-XXXXXX" };
  CHECK(mkdtemp(f->folder) != NULL);
  int len = snprintf(f->paths, sizeof f->paths, "%s/a", f->folder);
  (void)snprintf(f->paths + len + 1, sizeof f->paths - (size_t)len - 1, "%s/b", f->folder);
  f->options.secret_files = f->paths;
  f->options.secret_files_count = 2;
  write_file(f, 0, "the first secret of webhooks", 0600);
  write_file(f, 1, "another secret of the webhooks", 0600);
  lk_buf_init(&why, test_alloc(), 1000);
  CHECK_OK(lk_webhook_secret_files_open(&f->files, &f->options, test_alloc(), 0, &why));
  f->files.is_quiet = true;
  lk_buf_deinit(&why);
}

static void deinit(fixture *f) {
  lk_webhook_secret_files_close(&f->files);
  lk_webhook_secret_files_close(&f->files);
  (void)unlink(path_of(f, 0));
  (void)unlink(path_of(f, 1));
  CHECK(rmdir(f->folder) == 0);
}

static lk_slice secret(const fixture *f, int which) {
  const lk_webhook_secret *s = &f->files.secrets.items[which];
  return lk_slice_of(s->bytes, s->len);
}

TEST(secrets_that_change_are_taken_up_once_their_files_lie_still) {
  fixture f;
  init(&f);
  CHECK_U64(f.files.secrets.count, 2);
  CHECK(!lk_webhook_secret_files_tick(&f.files, 500));
  write_file(&f, 0, "a later secret of the webhooks\n", 0600);
  CHECK(!lk_webhook_secret_files_tick(&f.files, 999)); /* it is not time yet */
  CHECK(!lk_webhook_secret_files_tick(&f.files, 1000));
  write_file(&f, 1, "and one more for the webhooks", 0600);
  CHECK(!lk_webhook_secret_files_tick(&f.files, 1100)); /* somebody is at it */
  CHECK_TEXT(secret(&f, 0), "the first secret of webhooks");
  CHECK(lk_webhook_secret_files_tick(&f.files, 1200));
  CHECK_TEXT(secret(&f, 0), "a later secret of the webhooks");
  CHECK_TEXT(secret(&f, 1), "and one more for the webhooks");
  CHECK_U64(lk_webhook_secret_files_deadline(&f.files), 1700);
  CHECK(!lk_webhook_secret_files_tick(&f.files, 1700));
  deinit(&f);
}

/* Goal: a secret that cannot be used takes none away. */
TEST(what_cannot_be_used_is_refused_as_a_whole) {
  static const struct {
    const char *text;
    mode_t mode;
  } rows[] = { { "short", 0600 }, { "", 0600 }, { "a secret that all others can read", 0644 } };
  fixture f;
  uint64_t now = 500;
  init(&f);
  for (size_t i = 0; i < 3; i++) {
    write_file(&f, 0, "a good one, which is not to be used", 0600);
    write_file(&f, 1, rows[i].text, rows[i].mode);
    for (int n = 0; n < 4; n++, now += 500) CHECK(!lk_webhook_secret_files_tick(&f.files, now));
    CHECK_U64(f.files.secrets.count, 2);
    CHECK_TEXT(secret(&f, 0), "the first secret of webhooks");
  }
  CHECK(unlink(path_of(&f, 1)) == 0);
  for (int n = 0; n < 4; n++, now += 500) CHECK(!lk_webhook_secret_files_tick(&f.files, now));
  write_file(&f, 1, "a good one as well, in the end", 0600);
  (void)lk_webhook_secret_files_tick(&f.files, now);
  CHECK(lk_webhook_secret_files_tick(&f.files, now + 100));
  CHECK_TEXT(secret(&f, 0), "a good one, which is not to be used");
  deinit(&f);
}
