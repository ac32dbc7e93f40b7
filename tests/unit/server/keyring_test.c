/* Keys in files, tokens that they vouch for, and a matrix of forgeries that they do not. */
#include "server/keyring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "codec/base64.h"
#include "crypto/phoenix_token.h"
#include "harness/faulty.h"
#include "harness/test.h"
#include "platform/providers/crypto_native.h"

#define NOW_S 1700000000
#define NOW_MS ((uint64_t)NOW_S * 1000)
#define BASE "laniakealaniakealaniakealaniakea"
#define OLD_BASE "an older secret_key_base of the application"
#define SECRET "0123456789abcdef0123456789abcdef"
#define OLD_SECRET "another secret of 32 bytes or so"
#define GOOD "{\"sub\":\"ann\",\"iss\":\"https://login\",\"aud\":\"us\",\"exp\":1700000060}"

typedef enum algorithm { HS256, EDDSA, ES256, ALGORITHMS } algorithm;
static const char *const names[] = { "HS256", "EdDSA", "ES256" };

typedef struct fixture {
  char folder[64];
  char paths[3][300];
  lk_crypto_native *native;
  const lk_crypto *crypto;
  lk_limits limits;
  lk_ed25519_key ed;
  uint8_t ec[LK_P256_SECRET_LEN];
  uint8_t ec_public[LK_P256_PUBLIC_LEN];
  lk_phoenix_key phoenix;
  lk_keyring_options options;
  lk_keyring *keys;
  lk_buf token;
  lk_buf why;
} fixture;

/* ---- files ---- */

static const char *path_of(const fixture *f, const char *name) {
  static char path[128];
  (void)snprintf(path, sizeof path, "%s/%s", f->folder, name);
  return path;
}

static void write_file(const fixture *f, const char *name, lk_slice text, mode_t mode) {
  char fresh[160];
  (void)snprintf(fresh, sizeof fresh, "%s.new", path_of(f, name));
  FILE *file = fopen(fresh, "w");
  CHECK(file != NULL);
  CHECK(text.len == 0 || fwrite(text.ptr, 1, text.len, file) == text.len);
  CHECK(fclose(file) == 0 && chmod(fresh, mode) == 0 && rename(fresh, path_of(f, name)) == 0);
}

/* What stands before the point of a public key in a SubjectPublicKeyInfo. */
static const uint8_t ed_prefix[] = { 0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                     0x2b, 0x65, 0x70, 0x03, 0x21, 0x00 };
static const uint8_t ec_prefix[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                     0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                     0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 };

static void append_pem(lk_slice prefix, lk_slice point, lk_buf *out) {
  lk_buf der;
  lk_buf_init(&der, test_alloc(), 256);
  (void)lk_buf_append(&der, prefix);
  CHECK_OK(lk_buf_append(&der, point));
  (void)lk_buf_append(out, LK_LIT("-----BEGIN PUBLIC KEY-----\n"));
  CHECK_OK(lk_base64_encode(out, lk_buf_slice(&der), LK_BASE64_FORM_STANDARD));
  CHECK_OK(lk_buf_append(out, LK_LIT("\n-----END PUBLIC KEY-----\n")));
  lk_buf_deinit(&der);
}

static lk_slice ed_pem(const fixture *f, lk_buf *out) {
  append_pem(lk_slice_of(ed_prefix, sizeof ed_prefix),
             lk_slice_of(f->ed.public_key, sizeof f->ed.public_key), out);
  return lk_buf_slice(out);
}

static lk_slice ec_pem(const fixture *f, lk_buf *out) {
  append_pem(lk_slice_of(ec_prefix, sizeof ec_prefix),
             lk_slice_of(f->ec_public, sizeof f->ec_public), out);
  return lk_buf_slice(out);
}

/* Two names as settings have lists. */
static lk_texts two_paths(fixture *f, int place, const char *one, const char *other) {
  char *at = f->paths[place];
  size_t len = (size_t)snprintf(at, sizeof f->paths[0] / 2, "%s", path_of(f, one));
  (void)snprintf(at + len + 1, sizeof f->paths[0] / 2, "%s", path_of(f, other));
  return (lk_texts){ at, 2 };
}

static void write_keys(fixture *f) {
  lk_buf pem;
  lk_buf_init(&pem, test_alloc(), 4096);
  write_file(f, "base", LK_LIT(BASE "\n"), 0600);
  write_file(f, "old-base", LK_LIT(OLD_BASE), 0600);
  write_file(f, "secret", LK_LIT(SECRET "\r\n"), 0600);
  write_file(f, "old-secret", LK_LIT(OLD_SECRET), 0640);
  write_file(f, "ed", ed_pem(f, &pem), 0644);
  lk_buf_truncate(&pem, 0);
  write_file(f, "ec", ec_pem(f, &pem), 0644);
  lk_buf_deinit(&pem);
}

static void setup(fixture *f) {
  static const uint8_t seed[LK_ED25519_SEED_LEN] = { 1, 2, 3 };
  *f = (fixture){ .folder = "/tmp/laniakea-keyring-XXXXXX", .limits = lk_limits_default() };
  CHECK(mkdtemp(f->folder) != NULL);
  CHECK_OK(lk_crypto_native_open(test_alloc(), &f->native));
  f->crypto = lk_crypto_native_table(f->native);
  CHECK_OK(lk_crypto_ed25519_key(f->crypto, seed, &f->ed));
  f->ec[31] = 7;
  CHECK_OK(lk_crypto_p256_public(f->crypto, f->ec, f->ec_public));
  CHECK_OK(lk_phoenix_key_init(&f->phoenix, f->crypto, &f->limits, LK_LIT(BASE),
                               LK_LIT("user socket"), NULL));
  lk_buf_init(&f->token, test_alloc(), 1u << 20);
  lk_buf_init(&f->why, test_alloc(), 4096);
  write_keys(f);
  f->options = (lk_keyring_options){ .secrets = two_paths(f, 0, "old-base", "base"),
                                     .jwt_secrets = two_paths(f, 1, "old-secret", "secret"),
                                     .jwt_publics = two_paths(f, 2, "ed", "ec"),
                                     .issuer = "https://login",
                                     .audience = "us",
                                     .default_rights = LK_RIGHTS_WRITE };
}

static void open_keys(fixture *f) {
  lk_err err = lk_keyring_open(&f->options, &f->limits, test_alloc(), 0, &f->why, &f->keys);
  test_note("%.*s", (int)f->why.len, f->why.len > 0 ? (const char *)f->why.ptr : "");
  CHECK_OK(err);
}

static void teardown(fixture *f) {
  static const char *const files[] = { "base", "old-base", "secret",  "old-secret",
                                       "ed",   "ec",       "revoked", "other" };
  lk_keyring_close(f->keys);
  lk_phoenix_key_deinit(&f->phoenix);
  lk_crypto_native_close(f->native);
  lk_buf_deinit(&f->token);
  lk_buf_deinit(&f->why);
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) (void)unlink(path_of(f, files[i]));
  CHECK(rmdir(f->folder) == 0);
}

/* ---- making tokens ---- */

static void begin_token(fixture *f, const char *header, const char *claims) {
  lk_buf_truncate(&f->token, 0);
  CHECK_OK(lk_base64_encode(&f->token, lk_slice_cstr(header), LK_BASE64_FORM_URL));
  (void)lk_buf_append_u8(&f->token, '.');
  CHECK_OK(lk_base64_encode(&f->token, lk_slice_cstr(claims), LK_BASE64_FORM_URL));
}

static lk_slice end_token(fixture *f, lk_slice signature) {
  (void)lk_buf_append_u8(&f->token, '.');
  CHECK_OK(lk_base64_encode(&f->token, signature, LK_BASE64_FORM_URL));
  return lk_buf_slice(&f->token);
}

static lk_slice sign_hs256(fixture *f, const char *header, const char *claims, lk_slice secret) {
  uint8_t mac[LK_SHA256_LEN];
  begin_token(f, header, claims);
  CHECK_OK(lk_crypto_hmac_sha256(f->crypto, secret, lk_buf_slice(&f->token), mac));
  return end_token(f, lk_slice_of(mac, sizeof mac));
}

/* By the key of |by|, whatever the header says. */
static lk_slice sign_jwt(fixture *f, algorithm by, const char *header, const char *claims) {
  uint8_t signature[64], digest[LK_SHA256_LEN];
  if (by == HS256) return sign_hs256(f, header, claims, LK_LIT(SECRET));
  begin_token(f, header, claims);
  if (by == EDDSA) {
    CHECK_OK(lk_crypto_ed25519_sign(f->crypto, &f->ed, lk_buf_slice(&f->token), signature));
  } else {
    CHECK_OK(lk_crypto_sha256(f->crypto, lk_buf_slice(&f->token), digest));
    CHECK_OK(lk_crypto_p256_sign(f->crypto, f->ec, digest, signature));
  }
  return end_token(f, lk_slice_of(signature, sizeof signature));
}

static lk_slice make_jwt(fixture *f, algorithm by, const char *claims) {
  char header[64];
  (void)snprintf(header, sizeof header, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", names[by]);
  return sign_jwt(f, by, header, claims);
}

static lk_slice make_phoenix(fixture *f, const lk_phoenix_key *key, bool is_encrypted,
                             const char *json, int64_t signed_at_ms, int64_t max_age_s) {
  const lk_phoenix_stamp stamp = { .signed_at_ms = signed_at_ms, .max_age_s = max_age_s };
  lk_buf_truncate(&f->token, 0);
  CHECK_OK(is_encrypted ? lk_phoenix_encrypt(key, lk_slice_cstr(json), stamp, &f->token)
                        : lk_phoenix_sign(key, lk_slice_cstr(json), stamp, &f->token));
  return lk_buf_slice(&f->token);
}

/* Five kinds of genuine tokens. */
enum { KINDS = ALGORITHMS + 2 };
static lk_slice make_good(fixture *f, int kind) {
  if (kind < ALGORITHMS) return make_jwt(f, (algorithm)kind, GOOD);
  return make_phoenix(f, &f->phoenix, kind > ALGORITHMS, "{\"user_id\":42}", (int64_t)NOW_MS, 60);
}

static lk_err judge(fixture *f, lk_slice token, uint64_t now_ms, lk_grant **grant) {
  *grant = NULL;
  return lk_keyring_check(f->keys, token, now_ms, test_alloc(), grant);
}

/* ---- what is accepted ---- */

TEST(keyring_takes_tokens_of_each_kind_of_key) {
  fixture f;
  lk_grant *grant;
  setup(&f);
  open_keys(&f);
  for (int kind = 0; kind < KINDS; kind++) {
    CHECK_OK(judge(&f, make_good(&f, kind), NOW_MS, &grant));
    CHECK_SLICE(lk_grant_subject(grant), kind < ALGORITHMS ? LK_LIT("ann") : LK_LIT("42"));
    CHECK_U64(grant->expires_ms, NOW_MS + 60000);
    CHECK_U64(lk_grant_rights(grant, LK_LIT("doc:a")), LK_RIGHTS_WRITE);
    lk_grant_free(grant, test_alloc());
  }
  CHECK_U64(lk_keyring_refused(f.keys), 0);
  teardown(&f);
}

TEST(keyring_takes_tokens_of_the_key_before_while_it_is_there) {
  fixture f;
  lk_grant *grant;
  lk_phoenix_key old;
  setup(&f);
  open_keys(&f);
  CHECK_OK(lk_phoenix_key_init(&old, f.crypto, &f.limits, LK_LIT(OLD_BASE), LK_LIT("user socket"),
                               NULL));
  CHECK_OK(judge(&f, make_phoenix(&f, &old, false, "42", (int64_t)NOW_MS, 60), NOW_MS, &grant));
  lk_grant_free(grant, test_alloc());
  CHECK_OK(judge(&f, make_phoenix(&f, &old, true, "42", (int64_t)NOW_MS, 60), NOW_MS, &grant));
  lk_grant_free(grant, test_alloc());
  CHECK_OK(
      judge(&f, sign_hs256(&f, "{\"alg\":\"HS256\"}", GOOD, LK_LIT(OLD_SECRET)), NOW_MS, &grant));
  lk_grant_free(grant, test_alloc());
  lk_phoenix_key_deinit(&old);
  teardown(&f);
}

TEST(keyring_ends_tokens_to_the_millisecond) {
  fixture f;
  lk_grant *grant;
  setup(&f);
  open_keys(&f);
  for (int kind = 0; kind < KINDS; kind++) {
    lk_slice token = make_good(&f, kind);
    CHECK_OK(judge(&f, token, NOW_MS + 59999, &grant));
    lk_grant_free(grant, test_alloc());
    CHECK_ERR(judge(&f, token, NOW_MS + 60000, &grant), LK_ERR_TOKEN_EXPIRED);
  }
  teardown(&f);
}

TEST(keyring_takes_the_lesser_of_what_a_phoenix_token_says_of_its_age_and_what_is_allowed) {
  static const struct {
    int64_t says_s;
    uint64_t ends_ms;
  } rows[] = { { 30, NOW_MS + 30000 },
               { 90, NOW_MS + 60000 },
               { LK_PHOENIX_FOREVER, NOW_MS + 60000 } };
  fixture f;
  lk_grant *grant;
  setup(&f);
  f.options.max_age_ms = 60000;
  open_keys(&f);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    CHECK_OK(judge(&f, make_phoenix(&f, &f.phoenix, false, "1", (int64_t)NOW_MS, rows[i].says_s),
                   NOW_MS, &grant));
    CHECK_U64(grant->expires_ms, rows[i].ends_ms);
    lk_grant_free(grant, test_alloc());
  }
  CHECK_ERR(judge(&f, make_phoenix(&f, &f.phoenix, false, "1", (int64_t)NOW_MS - 60000, 90), NOW_MS,
                  &grant),
            LK_ERR_TOKEN_EXPIRED);
  lk_keyring_close(f.keys);
  f.options.max_age_ms = 0;
  open_keys(&f);
  CHECK_OK(judge(&f, make_phoenix(&f, &f.phoenix, false, "1", (int64_t)NOW_MS, LK_PHOENIX_FOREVER),
                 NOW_MS, &grant));
  CHECK_U64(grant->expires_ms, LK_GRANT_FOREVER);
  lk_grant_free(grant, test_alloc());
  teardown(&f);
}

/* ---- files ---- */

static void check_refused(fixture *f, lk_err err, const char *words) {
  CHECK_ERR(lk_keyring_open(&f->options, &f->limits, test_alloc(), 0, &f->why, &f->keys), err);
  CHECK(f->keys == NULL);
  test_note("%.*s", (int)f->why.len, (const char *)f->why.ptr);
  CHECK(lk_slice_find(lk_buf_slice(&f->why), lk_slice_cstr(words)) != LK_SLICE_NONE);
  CHECK(lk_slice_find(lk_buf_slice(&f->why), LK_LIT("sesame")) == LK_SLICE_NONE);
}

TEST(keyring_refuses_files_that_cannot_be_keys_and_says_why) {
  static const struct {
    const char *name;
    const char *text;
    mode_t mode;
    lk_err err;
    const char *words;
  } rows[] = {
    { "base", "sesame", 0600, LK_ERR_KEY, "shorter than 20 bytes" },
    { "base", BASE, 0604, LK_ERR_PERMISSION, "may read" },
    { "base", BASE, 0602, LK_ERR_PERMISSION, "may change" },
    { "base", "", 0600, LK_ERR_KEY, "shorter than 20 bytes" },
    { "secret", "sesame", 0600, LK_ERR_KEY, "shorter than 32 bytes" },
    { "secret", "0123456789abcdef0123456789abcde\n", 0600, LK_ERR_KEY, "shorter than 32 bytes" },
    { "secret", "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA", 0600, LK_ERR_KEY, "public key" },
    { "secret", SECRET, 0644, LK_ERR_PERMISSION, "may read" },
    { "ed", "sesame", 0600, LK_ERR_KEY, "no public key" },
    { "ed", "", 0600, LK_ERR_KEY, "no public key" },
    { "ec", "-----BEGIN PUBLIC KEY-----\nc2VzYW1l\n-----END PUBLIC KEY-----\n", 0600, LK_ERR_KEY,
      "no public key" },
  };
  fixture f;
  setup(&f);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    write_keys(&f);
    write_file(&f, rows[i].name, lk_slice_cstr(rows[i].text), rows[i].mode);
    check_refused(&f, rows[i].err, rows[i].words);
  }
  write_keys(&f);
  CHECK(unlink(path_of(&f, "ed")) == 0);
  check_refused(&f, LK_ERR_NOT_FOUND, "cannot read");
  f.options.secrets = (lk_texts){ f.folder, 1 };
  check_refused(&f, LK_ERR_IO, "is not a file");
  f.options.secrets.count = LK_KEYRING_KEYS_MAX + 1;
  check_refused(&f, LK_ERR_LIMIT, "more than 8 files");
  teardown(&f);
}

/* Goal: a change counts when it has settled, as a whole, and what cannot be used changes nothing. */
TEST(keyring_takes_what_files_hold_later) {
  fixture f;
  lk_grant *grant;
  setup(&f);
  open_keys(&f);
  lk_keyring_set_quiet(f.keys);
  CHECK_U64(lk_keyring_deadline(f.keys), LK_KEYRING_LOOK_MS);
  CHECK(!lk_keyring_tick(f.keys, LK_KEYRING_LOOK_MS));
  write_file(&f, "secret", LK_LIT("a third secret that has 32 bytes"), 0600);
  CHECK(!lk_keyring_tick(f.keys, 2 * LK_KEYRING_LOOK_MS - 1)); /* not yet looked */
  CHECK(!lk_keyring_tick(f.keys, 2 * LK_KEYRING_LOOK_MS));
  CHECK_OK(judge(&f, make_jwt(&f, HS256, GOOD), NOW_MS, &grant));
  lk_grant_free(grant, test_alloc());
  uint64_t settled = 2 * LK_KEYRING_LOOK_MS + LK_KEYRING_SETTLE_MS;
  CHECK_U64(lk_keyring_deadline(f.keys), settled);
  CHECK(lk_keyring_tick(f.keys, settled));
  CHECK_ERR(judge(&f, make_jwt(&f, HS256, GOOD), NOW_MS, &grant), LK_ERR_TOKEN_INVALID);
  CHECK_OK(judge(&f, make_jwt(&f, EDDSA, GOOD), NOW_MS, &grant));
  lk_grant_free(grant, test_alloc());
  write_file(&f, "secret", LK_LIT("short"), 0600);
  for (uint64_t now = settled; now < 10000; now += 50) CHECK(!lk_keyring_tick(f.keys, now));
  lk_slice third = sign_hs256(&f, "{\"alg\":\"HS256\"}", GOOD,
                              LK_LIT("a third secret that has 32 bytes"));
  CHECK_OK(judge(&f, third, NOW_MS, &grant));
  lk_grant_free(grant, test_alloc());
  teardown(&f);
}

TEST(keyring_refuses_tokens_that_were_taken_back) {
  static char path[128];
  fixture f;
  lk_grant *grant, *other;
  setup(&f);
  write_file(&f, "revoked", LK_LIT("# one a line\n\n  7 \r\nlong name\n#8\n"), 0644);
  (void)snprintf(path, sizeof path, "%s", path_of(&f, "revoked"));
  f.options.revoked = path;
  f.options.audience = f.options.issuer = NULL;
  open_keys(&f);
  lk_keyring_set_quiet(f.keys);
  CHECK_ERR(judge(&f, make_jwt(&f, HS256, "{\"exp\":1e12,\"jti\":\"7\"}"), NOW_MS, &grant),
            LK_ERR_TOKEN_REVOKED);
  CHECK_ERR(judge(&f, make_jwt(&f, ES256, "{\"exp\":1e12,\"jti\":\"long name\"}"), NOW_MS, &grant),
            LK_ERR_TOKEN_REVOKED);
  CHECK_ERR(judge(&f, make_phoenix(&f, &f.phoenix, true, "{\"jti\":7}", (int64_t)NOW_MS, 60),
                  NOW_MS, &grant),
            LK_ERR_TOKEN_REVOKED);
  CHECK_OK(judge(&f, make_jwt(&f, HS256, "{\"exp\":1e12,\"jti\":\"#8\"}"), NOW_MS, &grant));
  CHECK_OK(judge(&f, make_jwt(&f, HS256, "{\"exp\":1e12}"), NOW_MS, &other));
  const lk_access *access = lk_keyring_access(f.keys);
  CHECK(!access->is_revoked(access->ctx, grant) && !access->is_revoked(access->ctx, other));
  write_file(&f, "revoked", LK_LIT("#8\n #8\n8\n"), 0644);
  CHECK(!lk_keyring_tick(f.keys, 500) && lk_keyring_tick(f.keys, 600));
  CHECK(!access->is_revoked(access->ctx, grant));
  lk_grant_free(grant, test_alloc());
  CHECK_OK(judge(&f, make_jwt(&f, HS256, "{\"exp\":1e12,\"jti\":\"7\"}"), NOW_MS, &grant));
  write_file(&f, "revoked", LK_LIT("7"), 0644);
  CHECK(!lk_keyring_tick(f.keys, 1100) && lk_keyring_tick(f.keys, 1200));
  CHECK(access->is_revoked(access->ctx, grant) && !access->is_revoked(access->ctx, other));
  lk_grant_free(grant, test_alloc());
  lk_grant_free(other, test_alloc());
  teardown(&f);
}

TEST(keyring_every_failing_allocation_is_told) {
  fixture f;
  setup(&f);
  f.options.secrets.count = 1; /* the derivation allocates nothing */
  FAULT_LOOP(faults, test_alloc()) {
    lk_keyring *keys;
    lk_grant *grant = NULL;
    const lk_alloc *alloc = faulty_alloc(&faults);
    lk_slice token = make_jwt(&f, HS256, GOOD);
    lk_err err = lk_keyring_open(&f.options, &f.limits, alloc, 0, &f.why, &keys);
    CHECK((keys == NULL) == (err != LK_OK));
    if (err == LK_OK) err = lk_keyring_check(keys, token, NOW_MS, alloc, &grant);
    CHECK(err == (faults.hit ? LK_ERR_NOMEM : LK_OK));
    if (keys != NULL) CHECK_U64(lk_keyring_refused(keys), 0);
    lk_grant_free(grant, alloc);
    lk_keyring_close(keys);
  }
  teardown(&f);
}

/* ---- the matrix of forgeries ----
 *
 * Goal: nobody without a key gets in, and nobody with a key for something else. Method: all that can be done to a genuine
 * token of each of five kinds without its key, with another key, and with what libraries have fallen for. They
 * are counted, so that a generator that makes nothing is seen. */

static unsigned forged;
static lk_map different; /* all of them, each once */

static void refuse(fixture *f, lk_slice token, const char *what) {
  lk_grant *grant;
  test_note("%s: %.*s", what, (int)token.len, (const char *)token.ptr);
  lk_err err = judge(f, token, NOW_MS, &grant);
  CHECK(err == LK_ERR_TOKEN_INVALID || err == LK_ERR_TOKEN_CLAIMS || err == LK_ERR_TOKEN_EXPIRED ||
        err == LK_ERR_TOKEN_MISSING || err == LK_ERR_TOO_BIG);
  CHECK(grant == NULL);
  forged++;
  bool is_new;
  void *ignored;
  CHECK_OK(lk_map_put(&different, token, &ignored, &is_new));
}

typedef struct copy {
  uint8_t bytes[1024];
  size_t len;
} copy;

static copy copy_of(lk_slice token) {
  copy c = { .len = token.len };
  CHECK(token.len + 32 < sizeof c.bytes);
  memcpy(c.bytes, token.ptr, token.len);
  return c;
}

static void forge_by_cutting(fixture *f, const copy *c) {
  for (size_t i = 0; i < 16; i++) refuse(f, lk_slice_of(c->bytes, c->len * i / 16), "cut");
  for (size_t i = 1; i <= 4; i++) {
    refuse(f, lk_slice_of(c->bytes, c->len - i), "cut at the end");
    refuse(f, lk_slice_of(c->bytes + i, c->len - i), "cut in front");
  }
}

static void forge_by_flipping(fixture *f, const copy *c) {
  for (size_t i = 0; i < 48; i++) {
    copy flipped = *c;
    flipped.bytes[c->len * i / 48] ^= (uint8_t)(1u << i % 7);
    refuse(f, lk_slice_of(flipped.bytes, c->len), "a bit");
  }
  copy last = *c; /* a bit that some decoders do not look at */
  last.bytes[c->len - 1] = last.bytes[c->len - 1] == 'A' ? 'B' : 'A';
  refuse(f, lk_slice_of(last.bytes, c->len), "the last letter");
}

static void forge_by_adding(fixture *f, const copy *c) {
  static const char *const pieces[] = { ".", "=", "==", "A", " ", "\n", "..", ".A", "%", "\x01" };
  for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
    lk_slice piece = lk_slice_cstr(pieces[i]);
    copy longer = *c;
    memcpy(longer.bytes + c->len, piece.ptr, piece.len);
    refuse(f, lk_slice_of(longer.bytes, c->len + piece.len), "behind");
    memcpy(longer.bytes, piece.ptr, piece.len);
    memcpy(longer.bytes + piece.len, c->bytes, c->len);
    refuse(f, lk_slice_of(longer.bytes, c->len + piece.len), "in front");
  }
  copy with_nul = *c;
  with_nul.bytes[c->len] = 0;
  refuse(f, lk_slice_of(with_nul.bytes, c->len + 1), "a NUL");
}

/* The parts of a token in every other order, and without one of them. */
static void forge_by_parts(fixture *f, const copy *c) {
  static const int orders[][3] = { { 0, 2, 1 },  { 1, 0, 2 },   { 2, 1, 0 },  { 1, 2, 0 },
                                   { 0, 1, -1 }, { 0, -1, 2 },  { -1, 1, 2 }, { 0, 0, 2 },
                                   { 0, 1, 1 },  { -1, -1, -1 } };
  lk_slice parts[3], rest = lk_slice_of(c->bytes, c->len);
  for (int i = 0; i < 3; i++) parts[i] = lk_slice_cut(rest, '.', &rest);
  if (parts[2].len == 0) return; /* an encrypted one has two */
  for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
    lk_buf token;
    lk_buf_init(&token, test_alloc(), 4096);
    for (int k = 0; k < 3; k++) {
      if (k > 0) (void)lk_buf_append_u8(&token, '.');
      if (orders[i][k] >= 0) (void)lk_buf_append(&token, parts[orders[i][k]]);
    }
    refuse(f, lk_buf_slice(&token), "parts");
    lk_buf_deinit(&token);
  }
}

/* Every name of an algorithm in the header, signed by each key of another one, and by none. */
static void forge_by_algorithms(fixture *f) {
  static const char *const claimed[] = {
    "none",  "None",  "NONE",  "nOnE",  "",      "HS256", "HS384",   "HS512",  "RS256",
    "PS256", "ES256", "ES384", "EdDSA", "Ed448", "hs256", "Ed25519", "HS256 ", "SFMyNTY"
  };
  for (size_t i = 0; i < sizeof claimed / sizeof claimed[0]; i++) {
    char header[64];
    (void)snprintf(header, sizeof header, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", claimed[i]);
    for (int by = 0; by < ALGORITHMS; by++) {
      bool is_own = strcmp(claimed[i], names[by]) == 0 ||
                    (by == EDDSA && strcmp(claimed[i], "Ed25519") == 0);
      if (!is_own) refuse(f, sign_jwt(f, (algorithm)by, header, GOOD), "another algorithm");
    }
    begin_token(f, header, GOOD);
    refuse(f, lk_buf_slice(&f->token), "no signature");
    refuse(f, end_token(f, LK_SLICE_EMPTY), "an empty signature");
  }
}

/* What everybody knows is no secret; what is a secret for something else is not one for this. */
static void forge_by_confusion(fixture *f) {
  lk_phoenix_key other;
  lk_buf pem[2];
  for (int i = 0; i < 2; i++) {
    lk_buf_init(&pem[i], test_alloc(), 4096);
    lk_slice text = i == 0 ? ed_pem(f, &pem[i]) : ec_pem(f, &pem[i]);
    refuse(f, sign_hs256(f, "{\"alg\":\"HS256\"}", GOOD, text), "a public key as secret");
    refuse(f, sign_hs256(f, "{\"alg\":\"HS256\"}", GOOD, lk_slice_first(text, text.len - 1)),
           "without its newline");
    refuse(f, sign_hs256(f, "{\"alg\":\"EdDSA\"}", GOOD, text), "a public key as secret");
    refuse(f, sign_hs256(f, "{\"alg\":\"ES256\"}", GOOD, text), "a public key as secret");
    lk_buf_deinit(&pem[i]);
  }
  refuse(f, sign_hs256(f, "{\"alg\":\"HS256\"}", GOOD, lk_slice_of(f->ed.public_key, 32)),
         "its bytes");
  refuse(f, sign_hs256(f, "{\"alg\":\"HS256\"}", GOOD, lk_slice_of(f->ec_public, 65)), "its bytes");
  refuse(f, sign_hs256(f, "{\"alg\":\"HS256\"}", GOOD, LK_SLICE_EMPTY), "no secret");
  refuse(f, sign_hs256(f, "{\"alg\":\"HS256\"}", GOOD, LK_LIT(SECRET "\r\n")),
         "the newline of the file");
  refuse(f, sign_hs256(f, "{\"alg\":\"HS256\"}", GOOD, LK_LIT(BASE)), "the secret of Phoenix");
  refuse(f, sign_hs256(f, "{\"alg\":\"HS256\"}", GOOD, lk_slice_of(f->phoenix.bytes, 32)),
         "the key of Phoenix");
  static const char *const secrets[][2] = { { SECRET, "user socket" },
                                            { BASE, "user socket " },
                                            { BASE, "" },
                                            { BASE, "channel" },
                                            { BASE "\n", "user socket" } };
  for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
    CHECK_OK(lk_phoenix_key_init(&other, f->crypto, &f->limits, lk_slice_cstr(secrets[i][0]),
                                 lk_slice_cstr(secrets[i][1]), NULL));
    for (int k = 0; k < 2; k++)
      refuse(f, make_phoenix(f, &other, k == 1, "{\"user_id\":42}", (int64_t)NOW_MS, 60),
             "another secret or salt");
    lk_phoenix_key_deinit(&other);
  }
}

/* Genuine signatures under what is not for here and now, or not to be understood. */
static void forge_by_claims(fixture *f) {
#define WITH(more) "{\"iss\":\"https://login\",\"aud\":\"us\",\"exp\":1700000060" more "}"
#define WITHOUT(claims) "{" claims "}"
  static const char *const claims[] = {
    WITHOUT("\"iss\":\"https://login\",\"aud\":\"us\""),
    WITHOUT("\"iss\":\"https://login\",\"aud\":\"us\",\"exp\":1700000000"),
    WITHOUT("\"iss\":\"https://login\",\"aud\":\"us\",\"exp\":1699999999.999"),
    WITHOUT("\"iss\":\"https://login\",\"aud\":\"us\",\"exp\":0"),
    WITHOUT("\"iss\":\"https://login\",\"aud\":\"us\",\"exp\":-1"),
    WITHOUT("\"iss\":\"https://login\",\"aud\":\"us\",\"exp\":\"1800000000\""),
    WITHOUT("\"iss\":\"https://login\",\"aud\":\"us\",\"exp\":null"),
    WITHOUT("\"iss\":\"https://login\",\"aud\":\"us\",\"exp\":1e999"),
    WITHOUT("\"iss\":\"https://login\",\"aud\":\"us\",\"exp\":1,\"exp\":1800000000"),
    WITHOUT("\"iss\":\"https://login\",\"aud\":\"us\",\"exp\":1800000000,\"exp\":1"),
    WITHOUT("\"aud\":\"us\",\"exp\":1700000060"),
    WITHOUT("\"iss\":\"https://login\",\"exp\":1700000060"),
    WITHOUT("\"iss\":\"https://other\",\"aud\":\"us\",\"exp\":1700000060"),
    WITHOUT("\"iss\":\"https://login\",\"aud\":\"them\",\"exp\":1700000060"),
    WITHOUT("\"iss\":\"https://login\",\"aud\":[\"them\"],\"exp\":1700000060"),
    WITHOUT("\"iss\":\"https://login\",\"aud\":{\"us\":1},\"exp\":1700000060"),
    WITHOUT("\"iss\":[\"https://login\"],\"aud\":\"us\",\"exp\":1700000060"),
    WITH(",\"nbf\":1700000061"),
    WITH(",\"iat\":1700000061"),
    WITH(",\"nbf\":\"1\""),
    WITH(",\"sub\":42"),
    WITH(",\"sub\":[\"ann\"]"),
    WITH(",\"sub\":\"ann\",\"sub\":\"bob\""),
    WITH(",\"jti\":[]"),
    WITH(",\"topics\":[]"),
    WITH(",\"topics\":null"),
    WITH(",\"topics\":{\"a\":\"own\"}"),
    WITH(",\"topics\":{\"*a\":\"read\"}"),
    WITH(",\"topics\":{\"a\":\"read\",\"a\":\"admin\"}"),
    WITH("}{"),
    WITH(",\"a\":\xff"),
    "[]",
    "null",
    "\"ann\"",
    "42",
    "",
    "{",
    "{}",
  };
  for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
    for (int by = 0; by < ALGORITHMS; by++)
      refuse(f, make_jwt(f, (algorithm)by, claims[i]), claims[i]);
  }
  static const char *const headers[] = {
    "{\"alg\":\"%s\",\"crit\":[\"exp\"]}",
    "{\"alg\":\"%s\",\"crit\":[]}",
    "{\"alg\":\"%s\",\"typ\":\"JWE\"}",
    "{\"alg\":\"%s\",\"typ\":7}",
    "{\"alg\":\"%s\",\"kid\":7}",
    "{\"alg\":[\"%s\"]}",
    "{\"alg\":\"%s\",\"alg\":\"none\"}",
    "{\"alg\":\"none\",\"alg\":\"%s\"}",
    "{\"Alg\":\"%s\"}",
    "[\"%s\"]",
    "\"%s\"",
    "{\"alg\":\"%s\"}x",
  };
  for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
    for (int by = 0; by < ALGORITHMS; by++) {
      char header[100];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
      (void)snprintf(header, sizeof header, headers[i], names[by]);
#pragma GCC diagnostic pop
      refuse(f, sign_jwt(f, (algorithm)by, header, GOOD), header);
    }
  }
  for (int k = 0; k < 2; k++) {
    refuse(f, make_phoenix(f, &f->phoenix, k == 1, "42", (int64_t)NOW_MS - 60001, 60), "over");
    refuse(f, make_phoenix(f, &f->phoenix, k == 1, "42", 0, 86400), "over");
    refuse(f, make_phoenix(f, &f->phoenix, k == 1, "42", (int64_t)NOW_MS + 60001, 60),
           "from the future");
    refuse(f, make_phoenix(f, &f->phoenix, k == 1, "[1]", (int64_t)NOW_MS, 60), "a list");
    refuse(f, make_phoenix(f, &f->phoenix, k == 1, "null", (int64_t)NOW_MS, 60), "nobody");
    refuse(f, make_phoenix(f, &f->phoenix, k == 1, "true", (int64_t)NOW_MS, 60), "true");
    refuse(
        f,
        make_phoenix(f, &f->phoenix, k == 1, "{\"topics\":{\"a\":\"own\"}}", (int64_t)NOW_MS, 60),
        "a right");
  }
}

TEST(keyring_no_forged_token_is_taken) {
  fixture f;
  lk_grant *grant;
  setup(&f);
  open_keys(&f);
  static const uint64_t seed[2] = { 0 };
  forged = 0;
  lk_map_init(&different, test_alloc(), 0, 4096, seed);
  for (int kind = 0; kind < KINDS; kind++) {
    copy c = copy_of(make_good(&f, kind));
    CHECK_OK(judge(&f, lk_slice_of(c.bytes, c.len), NOW_MS, &grant));
    lk_grant_free(grant, test_alloc());
    forge_by_cutting(&f, &c);
    forge_by_flipping(&f, &c);
    forge_by_adding(&f, &c);
    forge_by_parts(&f, &c);
  }
  forge_by_algorithms(&f);
  forge_by_confusion(&f);
  forge_by_claims(&f);
  test_note("%u forgeries, %u of them different", forged, (unsigned)lk_map_count(&different));
  CHECK(lk_map_count(&different) >= 700 && forged >= 700);
  lk_map_deinit(&different);
  CHECK_U64(lk_keyring_refused(f.keys), forged);
  teardown(&f);
}
