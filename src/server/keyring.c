/* server/keyring.c -- files into keys, tokens through keys, claims into grants.
 *
 *   OPEN ──> keys ──a stamp differs──> CHANGING ──the same for 100 ms──> fresh keys, or the ones from before
 *
 * A set of keys is made whole before it replaces the one before, and one that cannot be used counts as tried: one line
 * in the log for each change of a file. Keys are derived on loading, since deriving is slow on purpose; a token costs
 * two hashes, or one signature.
 *
 * Forms of tokens can be told apart before anything is believed: what Phoenix signs begins with a name of an HMAC in
 * base64, what it encrypts with XCP, and a JSON Web Token with an object in base64. A wrong guess costs nothing
 * but a refusal, as each form has keys of its own.
 *
 * "Not yet" is a matter of clocks that differ, so 60 s of it pass; "no longer" is exact, so that what a client is told
 * of its end (expires_at) is when it comes.
 *
 * It lives in each edge process, which inherits it from the supervisor: a process that is started anew has the keys
 * that were last good, whatever the files hold by then. */
#include "server/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/abstract.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/map.h"
#include "crypto/jwt.h"
#include "crypto/phoenix_token.h"
#include "platform/posix/clock.h"
#include "platform/posix/random.h"
#include "platform/providers/crypto_native.h"
#include "server/console.h"
#include "server/log.h"

#define FILES_MAX (3 * LK_KEYRING_KEYS_MAX + 1)
#define REVOKED_COUNT_MAX (1u << 20)
#define ARENA_MAX ((size_t)1 << 22)

/* What tells one content of a file from the next. All zeros: it could not be looked at. */
typedef struct stamp {
  struct timespec modified;
  struct timespec changed;
  dev_t device;
  ino_t inode;
  off_t size;
} stamp;

/* What the files hold. Secrets of JSON Web Tokens point into |secrets|. */
typedef struct keys {
  lk_phoenix_key phoenix[LK_KEYRING_KEYS_MAX];
  lk_jwt_key jwt[2 * LK_KEYRING_KEYS_MAX];
  lk_buf secrets[LK_KEYRING_KEYS_MAX];
  uint32_t phoenix_count;
  uint32_t jwt_count;
  uint32_t secrets_count;
  lk_map revoked; /* ids, without values */
} keys;

struct lk_keyring {
  lk_keyring_options options;
  lk_limits limits;
  const lk_alloc *alloc;
  lk_crypto_native *native;
  lk_access access;
  keys *keys;
  const char *files[FILES_MAX];
  stamp tried[FILES_MAX]; /* what was loaded last, or refused */
  stamp seen[FILES_MAX];  /* what is different since |look_ms| was set */
  uint32_t files_count;
  uint64_t look_ms;
  uint64_t seed[2];
  uint64_t refused;
  bool is_quiet;
};

__attribute__((format(printf, 2, 3))) static void say(lk_buf *why, const char *format, ...) {
  char text[LK_CONSOLE_LINE_MAX];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (len < 0) return;
  lk_buf_truncate(why, 0);
  (void)lk_buf_append(why, lk_slice_of(text, lk_min_size((size_t)len, sizeof text - 1)));
}

static lk_texts texts_of(const lk_settings *settings, lk_setting setting) {
  const lk_setting_value *value = &settings->values[setting];
  return (lk_texts){ value->text, value->count };
}

lk_keyring_options lk_keyring_options_of(const lk_settings *settings) {
  lk_rights rights = LK_RIGHTS_NONE; /* for "none" */
  const char *word = lk_settings_text(settings, LK_SETTING_token_default_rights);
  if (word != NULL) (void)lk_rights_of_word(lk_slice_cstr(word), &rights);
  return (lk_keyring_options){
    .secrets = texts_of(settings, LK_SETTING_token_secret_file),
    .jwt_secrets = texts_of(settings, LK_SETTING_token_jwt_secret_file),
    .jwt_publics = texts_of(settings, LK_SETTING_token_jwt_public_key_file),
    .salt = lk_settings_text(settings, LK_SETTING_token_salt),
    .revoked = lk_settings_text(settings, LK_SETTING_token_revoked_file),
    .issuer = lk_settings_text(settings, LK_SETTING_token_issuer),
    .audience = lk_settings_text(settings, LK_SETTING_token_audience),
    .max_age_ms = lk_settings_number(settings, LK_SETTING_token_max_age),
    .default_rights = rights,
  };
}

/* ---- files ---- */

static stamp look_at(const char *path) {
  struct stat st;
  if (stat(path, &st) != 0) return (stamp){ 0 };
  return (stamp){ .modified = st.st_mtim,
                  .changed = st.st_ctim,
                  .device = st.st_dev,
                  .inode = st.st_ino,
                  .size = st.st_size };
}

static bool same_time(struct timespec a, struct timespec b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool all_same(const stamp *a, const stamp *b, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    if (!same_time(a[i].modified, b[i].modified) || !same_time(a[i].changed, b[i].changed) ||
        a[i].device != b[i].device || a[i].inode != b[i].inode || a[i].size != b[i].size)
      return false;
  }
  return true;
}

static lk_err refuse_errno(const char *path, lk_buf *why) {
  say(why, "cannot read %s: %s", path, strerror(errno));
  if (errno == ENOENT || errno == ENOTDIR) return LK_ERR_NOT_FOUND;
  return errno == EACCES || errno == EPERM ? LK_ERR_PERMISSION : LK_ERR_IO;
}

/* A file that others can write is theirs; a secret that they can read is none. */
static lk_err check_mode(const struct stat *st, const char *path, bool is_secret, lk_buf *why) {
  mode_t wrong = st->st_mode & (is_secret ? S_IROTH | S_IWOTH : S_IWOTH);
  if (!S_ISREG(st->st_mode)) {
    say(why, "%s is not a file", path);
    return LK_ERR_IO;
  }
  if (wrong == 0) return LK_OK;
  say(why, "everybody on this machine may %s %s; chmod 600 stops that",
      (wrong & S_IWOTH) != 0 ? "change" : "read", path);
  return LK_ERR_PERMISSION;
}

static lk_err read_open(int fd, const char *path, bool is_secret, lk_buf *out, lk_buf *why) {
  struct stat st;
  if (fstat(fd, &st) != 0) return refuse_errno(path, why);
  lk_err err = check_mode(&st, path, is_secret, why);
  if (err != LK_OK) return err;
  if ((uint64_t)st.st_size > out->max) {
    say(why, "%s has more than %zu bytes", path, out->max);
    return LK_ERR_TOO_BIG;
  }
  if (st.st_size == 0) return LK_OK;
  uint8_t *to = lk_buf_extend(out, (size_t)st.st_size); /* one block: nothing is copied */
  if (to == NULL) return LK_ERR_NOMEM;
  ssize_t n = pread(fd, to, (size_t)st.st_size, 0);
  lk_buf_truncate(out, n < 0 ? 0 : (size_t)n);
  return n < 0 ? refuse_errno(path, why) : LK_OK;
}

/* |out| is empty, and has its maximum. */
static lk_err read_file(const char *path, bool is_secret, lk_buf *out, lk_buf *why) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would make us wait */
  if (fd < 0) return refuse_errno(path, why);
  lk_err err = read_open(fd, path, is_secret, out, why);
  (void)close(fd);
  return err;
}

static void wipe(lk_buf *secret) {
  if (secret->ptr != NULL) lk_crypto_wipe(secret->ptr, secret->cap);
  lk_buf_deinit(secret);
}

/* Without the newline that editors and echo put at the end. */
static lk_slice secret_of(const lk_buf *bytes) {
  lk_slice text = lk_buf_slice(bytes);
  if (lk_slice_ends_with(text, LK_LIT("\n"))) text = lk_slice_first(text, text.len - 1);
  if (lk_slice_ends_with(text, LK_LIT("\r"))) text = lk_slice_first(text, text.len - 1);
  return text;
}

/* ---- one key of each kind ---- */

static lk_err load_phoenix(const lk_keyring *self, keys *to, const char *path, lk_buf *why) {
  lk_buf bytes;
  const char *salt = self->options.salt != NULL ? self->options.salt : "user socket";
  lk_buf_init(&bytes, self->alloc, LK_KEYRING_FILE_MAX);
  lk_err err = read_file(path, true, &bytes, why);
  if (err == LK_OK) {
    err = lk_phoenix_key_init(&to->phoenix[to->phoenix_count], lk_crypto_native_table(self->native),
                              &self->limits, secret_of(&bytes), lk_slice_cstr(salt), NULL);
    if (err == LK_OK) to->phoenix_count++;
    if (err == LK_ERR_KEY)
      say(why, "the secret in %s is shorter than %d bytes", path, LK_PHOENIX_SECRET_LEN_MIN);
  }
  wipe(&bytes);
  return err;
}

static lk_err load_jwt_secret(const lk_keyring *self, keys *to, const char *path, lk_buf *why) {
  lk_buf *bytes = &to->secrets[to->secrets_count++];
  lk_buf_init(bytes, self->alloc, LK_KEYRING_FILE_MAX);
  lk_err err = read_file(path, true, bytes, why);
  if (err != LK_OK) return err;
  err = lk_jwt_key_init_hs256(&to->jwt[to->jwt_count], LK_SLICE_EMPTY, secret_of(bytes));
  if (err == LK_OK) to->jwt_count++;
  if (err == LK_ERR_KEY)
    say(why, "the secret in %s is shorter than %d bytes, or the text of a public key", path,
        LK_JWT_SECRET_LEN_MIN);
  return err;
}

/* Big-endian numbers with their leading zeros cut or doubled, into 32 bytes. */
static bool put_number(uint8_t *out, const gnutls_datum_t *number) {
  size_t skip = 0;
  while (skip < number->size && number->size - skip > 32 && number->data[skip] == 0) skip++;
  size_t len = number->size - skip;
  if (len > 32) return false;
  memset(out, 0, 32 - len);
  memcpy(out + 32 - len, number->data + skip, len);
  return true;
}

static lk_err key_of_pem(const gnutls_datum_t *pem, lk_jwt_key *out) {
  gnutls_pubkey_t key;
  gnutls_ecc_curve_t curve;
  gnutls_datum_t x = { 0 }, y = { 0 };
  uint8_t point[LK_P256_PUBLIC_LEN] = { 4 };
  lk_err err = LK_ERR_KEY;
  if (gnutls_pubkey_init(&key) < 0) return LK_ERR_NOMEM;
  if (gnutls_pubkey_import(key, pem, GNUTLS_X509_FMT_PEM) >= 0 &&
      gnutls_pubkey_export_ecc_raw(key, &curve, &x, &y) >= 0) {
    if (curve == GNUTLS_ECC_CURVE_ED25519 && x.size == LK_ED25519_PUBLIC_LEN) {
      lk_jwt_key_init_ed25519(out, LK_SLICE_EMPTY, x.data);
      err = LK_OK;
    } else if (curve == GNUTLS_ECC_CURVE_SECP256R1 && put_number(point + 1, &x) &&
               put_number(point + 33, &y)) {
      lk_jwt_key_init_es256(out, LK_SLICE_EMPTY, point);
      err = LK_OK;
    }
  }
  gnutls_free(x.data);
  gnutls_free(y.data);
  gnutls_pubkey_deinit(key);
  return err;
}

static lk_err load_jwt_public(const lk_keyring *self, keys *to, const char *path, lk_buf *why) {
  lk_buf bytes;
  lk_buf_init(&bytes, self->alloc, LK_KEYRING_FILE_MAX);
  lk_err err = read_file(path, false, &bytes, why);
  const gnutls_datum_t pem = { bytes.ptr, (unsigned)bytes.len };
  if (err == LK_OK) {
    err = pem.size == 0 ? LK_ERR_KEY : key_of_pem(&pem, &to->jwt[to->jwt_count]);
    if (err == LK_OK) to->jwt_count++;
    if (err == LK_ERR_KEY)
      say(why,
          "%s holds no public key in PEM form that is Ed25519 or P-256 (\"-----BEGIN PUBLIC "
          "KEY-----\")",
          path);
  }
  wipe(&bytes); /* it may be a private key by mistake */
  return err;
}

static lk_err load_revoked(const lk_keyring *self, keys *to, const char *path, lk_buf *why) {
  lk_buf bytes;
  void *ignored;
  bool is_new;
  lk_buf_init(&bytes, self->alloc, LK_KEYRING_REVOKED_MAX);
  lk_err err = read_file(path, false, &bytes, why);
  lk_slice rest = lk_buf_slice(&bytes);
  while (err == LK_OK && rest.len > 0) {
    lk_slice line = lk_slice_cut(rest, '\n', &rest);
    if (lk_slice_ends_with(line, LK_LIT("\r"))) line = lk_slice_first(line, line.len - 1);
    line = lk_slice_trim(line);
    if (line.len > 0 && line.ptr[0] != '#') err = lk_map_put(&to->revoked, line, &ignored, &is_new);
  }
  if (err == LK_ERR_LIMIT) say(why, "%s names more than %u tokens", path, REVOKED_COUNT_MAX);
  lk_buf_deinit(&bytes);
  return err;
}

/* ---- all of them ---- */

static void free_keys(const lk_keyring *self, keys *k) {
  if (k == NULL) return;
  for (uint32_t i = 0; i < LK_KEYRING_KEYS_MAX; i++) lk_phoenix_key_deinit(&k->phoenix[i]);
  for (uint32_t i = 0; i < k->secrets_count; i++) wipe(&k->secrets[i]);
  lk_map_deinit(&k->revoked);
  lk_free_bytes(self->alloc, k, sizeof *k);
}

typedef lk_err (*loader)(const lk_keyring *self, keys *to, const char *path, lk_buf *why);

static lk_err load_each(const lk_keyring *self, keys *to, lk_texts paths, loader load,
                        lk_buf *why) {
  const char *path = paths.first;
  lk_err err = LK_OK;
  for (uint32_t i = 0; i < paths.count && err == LK_OK; i++) {
    err = load(self, to, path, why);
    path += strlen(path) + 1;
  }
  return err;
}

static lk_err load_all(lk_keyring *self, lk_buf *why, keys **out) {
  const lk_keyring_options *o = &self->options;
  keys *k = lk_alloc_bytes(self->alloc, sizeof *k);
  if (k == NULL) return LK_ERR_NOMEM;
  *k = (keys){ 0 };
  lk_map_init(&k->revoked, self->alloc, 1, REVOKED_COUNT_MAX, self->seed);
  for (uint32_t i = 0; i < self->files_count; i++) self->tried[i] = look_at(self->files[i]);
  lk_err err = load_each(self, k, o->secrets, load_phoenix, why);
  if (err == LK_OK) err = load_each(self, k, o->jwt_secrets, load_jwt_secret, why);
  if (err == LK_OK) err = load_each(self, k, o->jwt_publics, load_jwt_public, why);
  if (err == LK_OK && o->revoked != NULL) err = load_revoked(self, k, o->revoked, why);
  if (err == LK_ERR_NOMEM) say(why, "no memory to load the keys of tokens");
  if (err == LK_OK) *out = k;
  else free_keys(self, k);
  return err;
}

static void list_files(lk_keyring *self, lk_texts paths) {
  const char *path = paths.first;
  for (uint32_t i = 0; i < paths.count; i++) {
    self->files[self->files_count++] = path;
    path += strlen(path) + 1;
  }
}

static lk_err check_counts(const lk_keyring_options *o, lk_buf *why) {
  const uint32_t counts[] = { o->secrets.count, o->jwt_secrets.count, o->jwt_publics.count };
  for (int i = 0; i < 3; i++) {
    if (counts[i] <= LK_KEYRING_KEYS_MAX) continue;
    say(why, "more than %u files with keys of one kind", LK_KEYRING_KEYS_MAX);
    return LK_ERR_LIMIT;
  }
  return LK_OK;
}

/* ---- checking ---- */

static bool is_phoenix(lk_slice token) {
  return lk_phoenix_is_encrypted(token) || lk_slice_starts_with(token, LK_LIT("SFM"));
}

typedef struct verdict {
  lk_slice json;
  uint64_t expires_ms;
} verdict;

static uint64_t end_of(int64_t ms) {
  if (ms == INT64_MAX) return LK_GRANT_FOREVER;
  return ms < 0 ? 0 : (uint64_t)ms;
}

/* A key that does not fit says "invalid"; any other word is of the one that does. */
static lk_err check_phoenix(const lk_keyring *self, lk_slice token, int64_t now_ms, lk_arena *arena,
                            verdict *out) {
  const lk_phoenix_rules rules = { .age = LK_PHOENIX_AGE_OF_TOKEN, .skew_ms = LK_KEYRING_SKEW_MS };
  lk_phoenix_claims claims = { 0 };
  lk_err err = LK_ERR_TOKEN_INVALID;
  bool is_encrypted = lk_phoenix_is_encrypted(token);
  for (uint32_t i = 0; i < self->keys->phoenix_count && err == LK_ERR_TOKEN_INVALID; i++) {
    const lk_phoenix_key *key = &self->keys->phoenix[i];
    err = is_encrypted ? lk_phoenix_decrypt(key, token, now_ms, &rules, arena, &claims)
                       : lk_phoenix_verify(key, token, now_ms, &rules, arena, &claims);
  }
  if (err != LK_OK) return err;
  int64_t ends = claims.expires_at_ms;
  uint64_t age = self->options.max_age_ms;
  if (age > 0 && age < INT64_MAX / 2 && claims.signed_at_ms < INT64_MAX / 2 &&
      claims.signed_at_ms + (int64_t)age < ends)
    ends = claims.signed_at_ms + (int64_t)age;
  *out = (verdict){ claims.json, end_of(ends) };
  return LK_OK;
}

static lk_slice text_or_empty(const char *text) {
  return text != NULL ? lk_slice_cstr(text) : LK_SLICE_EMPTY;
}

static lk_err check_jwt(const lk_keyring *self, lk_slice token, int64_t now_ms, lk_arena *arena,
                        verdict *out) {
  const lk_jwt_rules rules = { .keys = self->keys->jwt,
                               .key_count = self->keys->jwt_count,
                               .issuer = text_or_empty(self->options.issuer),
                               .audience = text_or_empty(self->options.audience),
                               .leeway_s = LK_KEYRING_SKEW_MS / 1000 };
  lk_jwt_claims claims = { 0 };
  lk_err err = lk_jwt_verify(&rules, lk_crypto_native_table(self->native), &self->limits, token,
                             now_ms, arena, &claims);
  if (err == LK_OK) *out = (verdict){ claims.json, end_of(claims.expires_at_ms) };
  return err;
}

static lk_err check_token(const lk_keyring *self, lk_slice token, uint64_t wall_ms, lk_arena *arena,
                          const lk_alloc *alloc, lk_grant **out) {
  verdict v = { 0 };
  int64_t now_ms = (int64_t)lk_min_u64(wall_ms, INT64_MAX / 4);
  if (token.len == 0) return LK_ERR_TOKEN_MISSING;
  lk_err err = is_phoenix(token) ? check_phoenix(self, token, now_ms, arena, &v)
                                 : check_jwt(self, token, now_ms, arena, &v);
  if (err == LK_OK && v.expires_ms <= wall_ms) err = LK_ERR_TOKEN_EXPIRED;
  if (err != LK_OK) return err;
  return lk_grant_parse(v.json,
                        &(lk_grant_options){ .expires_ms = v.expires_ms,
                                             .default_rights = self->options.default_rights },
                        &self->limits, alloc, out);
}

static bool is_revoked(void *ctx, const lk_grant *grant) {
  const lk_keyring *self = ctx;
  lk_slice id = lk_grant_id(grant);
  return id.len > 0 && lk_map_get(&self->keys->revoked, id) != NULL;
}

lk_err lk_keyring_check(lk_keyring *self, lk_slice token, uint64_t wall_ms, const lk_alloc *alloc,
                        lk_grant **out) {
  lk_arena arena;
  lk_grant *grant = NULL;
  lk_arena_init(&arena, self->alloc, ARENA_MAX);
  lk_err err = check_token(self, token, wall_ms, &arena, alloc, &grant);
  lk_arena_deinit(&arena);
  if (err == LK_OK && is_revoked(self, grant)) {
    lk_grant_free(grant, alloc);
    err = LK_ERR_TOKEN_REVOKED;
  }
  if (err == LK_OK) *out = grant;
  else if (err != LK_ERR_NOMEM) self->refused++;
  return err;
}

static lk_err check_now(void *ctx, lk_slice token, const lk_alloc *alloc, lk_grant **out) {
  return lk_keyring_check(ctx, token, lk_posix_wall_ms(), alloc, out);
}

/* ---- life ---- */

lk_err lk_keyring_open(const lk_keyring_options *options, const lk_limits *limits,
                       const lk_alloc *alloc, uint64_t now_ms, lk_buf *why, lk_keyring **out) {
  *out = NULL;
  lk_err err = check_counts(options, why);
  if (err != LK_OK) return err;
  lk_keyring *self = lk_alloc_bytes(alloc, sizeof *self);
  if (self == NULL) {
    say(why, "no memory for the keys of tokens");
    return LK_ERR_NOMEM;
  }
  *self = (lk_keyring){
    .options = *options, .limits = *limits, .alloc = alloc, .look_ms = now_ms + LK_KEYRING_LOOK_MS
  };
  self->access = (lk_access){ .ctx = self, .check = check_now, .is_revoked = is_revoked };
  list_files(self, options->secrets);
  list_files(self, options->jwt_secrets);
  list_files(self, options->jwt_publics);
  if (options->revoked != NULL) self->files[self->files_count++] = options->revoked;
  err = lk_posix_random(self->seed, sizeof self->seed);
  if (err == LK_OK) err = lk_crypto_native_open(alloc, &self->native);
  if (err != LK_OK) say(why, "cryptography does not start: %s", lk_err_text(err));
  if (err == LK_OK) err = load_all(self, why, &self->keys);
  if (err == LK_OK) *out = self;
  else lk_keyring_close(self);
  return err;
}

void lk_keyring_close(lk_keyring *self) {
  if (self == NULL) return;
  free_keys(self, self->keys);
  lk_crypto_native_close(self->native);
  lk_free_bytes(self->alloc, self, sizeof *self);
}

void lk_keyring_set_quiet(lk_keyring *self) { self->is_quiet = true; }

static bool replace(lk_keyring *self) {
  keys *fresh = NULL;
  lk_buf why;
  lk_buf_init(&why, self->alloc, LK_CONSOLE_LINE_MAX);
  bool ok = load_all(self, &why, &fresh) == LK_OK;
  if (ok) {
    free_keys(self, self->keys);
    self->keys = fresh;
  }
  if (!self->is_quiet && ok)
    lk_log_say(LK_LOG_keys_changed, "tokens are checked with what the files of keys hold now");
  if (!self->is_quiet && !ok)
    lk_log_say(LK_LOG_keys_refused, "%.*s; tokens are checked with the keys from before",
               (int)why.len, (const char *)why.ptr);
  lk_buf_deinit(&why);
  return ok;
}

bool lk_keyring_tick(lk_keyring *self, uint64_t now_ms) {
  stamp now[FILES_MAX];
  if (now_ms < self->look_ms) return false;
  for (uint32_t i = 0; i < self->files_count; i++) now[i] = look_at(self->files[i]);
  self->look_ms = now_ms + LK_KEYRING_LOOK_MS;
  if (all_same(now, self->tried, self->files_count)) {
    memcpy(self->seen, now, sizeof now[0] * self->files_count);
    return false;
  }
  if (all_same(now, self->seen, self->files_count)) return replace(self);
  memcpy(self->seen, now, sizeof now[0] * self->files_count);
  self->look_ms = now_ms + LK_KEYRING_SETTLE_MS;
  return false;
}

uint64_t lk_keyring_deadline(const lk_keyring *self) { return self->look_ms; }

const lk_access *lk_keyring_access(lk_keyring *self) { return &self->access; }

uint64_t lk_keyring_refused(const lk_keyring *self) { return self->refused; }
