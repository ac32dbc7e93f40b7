/* cli/cmd_token.c -- `laniakea token ...`: tokens of a Phoenix application, at a shell.
 *
 * A command line is there for every user of the machine to read, so neither the secret nor a token
 * may stand in one: the secret comes from a file, the environment or the server's data directory, what is signed or
 * verified from a file or standard input. Both lose one newline at the end, which editors and echo put there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "channel/access.h"
#include "cli/files.h"
#include "cli/settings.h"
#include "codec/json_writer.h"
#include "crypto/phoenix_token.h"
#include "platform/posix/heap.h"
#include "platform/providers/crypto_native.h"
#include "server/console.h"
#include "server/keyring.h"
#include "server/own_secret.h"

#define SECRET_VARIABLE "SECRET_KEY_BASE"
#define SECRET_MAX 4096
#define DATA_MAX 65536
#define AGE_MAX_S ((uint64_t)INT64_MAX / 1000)

/* What both commands have. deinit always. */
typedef struct job {
  const lk_cli_args *args;
  lk_limits limits;
  lk_crypto_native *native;
  lk_phoenix_key key;
  const char *salt;
  lk_settings settings; /* of the server, where they were asked for a secret */
  bool has_settings;
  bool is_of_server; /* where no salt is given, it is that of the server */
  lk_buf input;
  lk_buf output;
} job;

static void job_deinit(job *self) {
  lk_phoenix_key_deinit(&self->key);
  lk_settings_deinit(&self->settings);
  lk_buf_deinit(&self->input);
  lk_buf_deinit(&self->output);
  lk_crypto_native_close(self->native);
}

static const char *option(const job *self, const char *name) {
  return lk_cli_args_get(self->args, name);
}

static const char *input_path(const job *self) {
  return self->args->plain_count > 0 ? self->args->plain[0] : "-";
}

static void strip_newline(lk_buf *text) {
  if (text->len > 0 && text->ptr[text->len - 1] == '\n') lk_buf_truncate(text, text->len - 1);
  if (text->len > 0 && text->ptr[text->len - 1] == '\r') lk_buf_truncate(text, text->len - 1);
}

static int64_t clock_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- options ---- */

/* The number of --|name| in |out|, which stays as it is where the option is not given. */
static bool read_number(const job *self, const char *name, uint64_t max, uint64_t *out) {
  const char *text = option(self, name);
  if (text == NULL || lk_cli_parse_number(text, max, out)) return true;
  lk_console_say("--%s %.64s is not a number from 0 to %llu", name, text, (unsigned long long)max);
  return false;
}

static bool read_time(const job *self, const char *name, int64_t *out) {
  uint64_t ms = 0;
  *out = clock_ms();
  if (option(self, name) == NULL) return true;
  if (!read_number(self, name, INT64_MAX, &ms)) return false;
  *out = (int64_t)ms;
  return true;
}

/* Of --max-age: seconds, or infinity as LK_PHOENIX_FOREVER. */
static bool read_age(const job *self, int64_t *out) {
  const char *text = option(self, "max-age");
  uint64_t seconds = LK_PHOENIX_MAX_AGE_S;
  if (text != NULL && strcmp(text, "infinity") == 0) {
    *out = LK_PHOENIX_FOREVER;
    return true;
  }
  if (!read_number(self, "max-age", AGE_MAX_S, &seconds)) return false;
  *out = (int64_t)seconds;
  return true;
}

/* Of --|name|: one of three |words|, the first where it is not given. */
static bool read_digest(const job *self, const char *name, const char *const words[3],
                        lk_phoenix_digest *out) {
  const char *text = option(self, name);
  *out = LK_PHOENIX_SHA256;
  for (unsigned i = 0; i < 3; i++) {
    if (text != NULL && strcmp(text, words[i]) != 0) continue;
    *out = (lk_phoenix_digest)i;
    return true;
  }
  lk_console_say("--%s %.64s is not one of %s, %s, %s", name, text, words[0], words[1], words[2]);
  return false;
}

/* ---- the key ---- */

static bool read_secret_file(const char *path, lk_buf *secret) {
  if (!lk_cli_read_file(path, SECRET_MAX, "the greatest secret", secret)) return false;
  strip_newline(secret);
  return true;
}

static bool read_own_secret(const char *directory, lk_buf *secret) {
  lk_buf why;
  lk_buf_init(&why, lk_posix_heap(), LK_CONSOLE_LINE_MAX);
  lk_err err = lk_own_secret_read(directory, secret, &why);
  if (err != LK_OK)
    lk_console_say("%.*s (%s)", (int)why.len, (const char *)why.ptr, lk_err_name(err));
  lk_buf_deinit(&why);
  return err == LK_OK;
}

/* What a server with these settings would check by, or its data directory has for when it does. */
static bool read_secret_of_server(job *self, lk_buf *secret) {
  const lk_settings *settings = &self->settings;
  const char *data = lk_settings_text(settings, LK_SETTING_data);
  const lk_keyring_options keys = lk_keyring_options_of(settings);
  if (keys.secrets.count > 0) return read_secret_file(keys.secrets.first, secret);
  if (lk_keyring_is_wanted(&keys)) {
    lk_console_say("the server has keys for JSON Web Tokens alone, which are not made here");
    return false;
  }
  if (data != NULL) return read_own_secret(data, secret);
  lk_console_say("there is no secret: name a file by --secret-file, or the server's data directory "
                 "by --data, or set " SECRET_VARIABLE);
  return false;
}

static bool load_settings(job *self) {
  char text[LK_CONSOLE_LINE_MAX];
  const char *data = option(self, "data");
  self->has_settings = true;
  if (!lk_cli_load_settings(NULL, &self->settings)) return false;
  if (data != NULL) lk_settings_take(&self->settings, LK_SETTING_data, data, LK_SETTINGS_FLAG);
  for (uint32_t i = 0; i < self->settings.problems_count; i++)
    lk_console_say("%s", lk_cli_problem_text(&self->settings, i, text, sizeof text));
  return self->settings.errors == 0;
}

/* Whoever names a directory means its secret, whatever the environment has. */
static bool read_secret(job *self, lk_buf *secret) {
  const char *path = option(self, "secret-file"), *value = getenv(SECRET_VARIABLE);
  if (path != NULL) return read_secret_file(path, secret);
  if (value != NULL && option(self, "data") == NULL)
    return lk_buf_append(secret, lk_slice_cstr(value)) == LK_OK;
  return load_settings(self) && read_secret_of_server(self, secret);
}

static const char *salt_of_server(const job *self) {
  const char *salt =
      self->has_settings ? lk_settings_text(&self->settings, LK_SETTING_token_salt) : NULL;
  return salt != NULL ? salt : "user socket";
}

static int derive(job *self, const lk_phoenix_key_options *how) {
  const char *detail = "";
  lk_buf secret;
  lk_buf_init(&secret, lk_posix_heap(), SECRET_MAX + 65536 + 1); /* one block: nothing is copied */
  int code = read_secret(self, &secret) ? 0 : 1;
  if (code == 0) {
    if (self->salt == NULL) self->salt = salt_of_server(self);
    lk_err err = lk_phoenix_key_init(&self->key, lk_crypto_native_table(self->native),
                                     &self->limits, lk_buf_slice(&secret),
                                     lk_slice_cstr(self->salt), how);
    if (err == LK_ERR_KEY) detail = "a secret_key_base has at least 20 bytes";
    if (err != LK_OK) lk_cli_say_error("secret", err, detail);
    code = err == LK_OK ? 0 : 1;
  }
  if (secret.ptr != NULL) lk_crypto_wipe(secret.ptr, secret.cap);
  lk_buf_deinit(&secret);
  return code;
}

static int make_key(job *self) {
  static const char *const digests[3] = { "sha256", "sha384", "sha512" };
  lk_phoenix_key_options how = { 0 };
  uint64_t iterations = LK_PHOENIX_ITERATIONS, length = LK_PHOENIX_KEY_LEN;
  if (self->salt == NULL && !self->is_of_server) {
    lk_console_say("the salt is missing: --salt SALT, as the application gives it");
    return 2;
  }
  if (!read_number(self, "iterations", LK_PBKDF2_ITERATIONS_MAX, &iterations) ||
      !read_number(self, "key-length", LK_PHOENIX_KEY_LEN_MAX, &length) ||
      !read_digest(self, "key-digest", digests, &how.digest))
    return 2;
  how.iterations = (uint32_t)iterations;
  how.length = (uint32_t)length;
  lk_err err = lk_crypto_native_open(lk_posix_heap(), &self->native);
  if (err == LK_OK) return derive(self, &how);
  lk_cli_say_error("cryptography", err, "");
  return 1;
}

static void job_init(job *self, const lk_cli_args *args) {
  *self = (job){ .args = args, .limits = lk_limits_default() };
  lk_buf_init(&self->input, lk_posix_heap(), (size_t)1 << 24);
  lk_buf_init(&self->output, lk_posix_heap(), (size_t)1 << 24);
}

/* Derives the key and reads the input. */
static int job_begin(job *self, const lk_cli_args *args) {
  job_init(self, args);
  self->salt = option(self, "salt");
  self->is_of_server = option(self, "data") != NULL;
  const char *secret = option(self, "secret-file");
  if (secret != NULL && strcmp(secret, "-") == 0 && strcmp(input_path(self), "-") == 0) {
    lk_console_say("standard input cannot be the secret and the input; name a file");
    return 2;
  }
  int code = make_key(self);
  if (code != 0) return code;
  if (!lk_cli_read_file(input_path(self), DATA_MAX, "the greatest input", &self->input)) return 1;
  strip_newline(&self->input);
  return 0;
}

/* Prints |output| and a newline. */
static int print(job *self) {
  if (lk_buf_append_u8(&self->output, '\n') != LK_OK) {
    lk_cli_say_error("output", lk_buf_err(&self->output), "");
    return 1;
  }
  return lk_cli_write_output(lk_buf_slice(&self->output), true) ? 0 : 1;
}

/* ---- sign ---- */

static lk_err write_token(job *self, lk_phoenix_stamp stamp) {
  lk_slice data = lk_buf_slice(&self->input);
  bool json = option(self, "json") != NULL;
  if (json) (void)lk_buf_append(&self->output, LK_LIT("{\"token\":\""));
  lk_err err = option(self, "encrypt") != NULL
                   ? lk_phoenix_encrypt(&self->key, data, stamp, &self->output)
                   : lk_phoenix_sign(&self->key, data, stamp, &self->output);
  if (err == LK_OK && json) err = lk_buf_append(&self->output, LK_LIT("\"}"));
  return err;
}

static int sign(job *self) {
  lk_phoenix_stamp stamp;
  const char *detail = "";
  if (!read_time(self, "signed-at", &stamp.signed_at_ms) || !read_age(self, &stamp.max_age_s))
    return 2;
  if (stamp.max_age_s == 0) {
    lk_console_say(
        "--max-age 0 makes a token that nobody accepts; give seconds from 1, or infinity");
    return 2;
  }
  lk_err err = write_token(self, stamp);
  if (err == LK_OK) return print(self);
  if (err == LK_ERR_KEY) detail = "only keys of 32 bytes encrypt";
  if (err == LK_ERR_TOO_BIG) detail = "token_bytes";
  lk_cli_say_error(lk_cli_file_name(input_path(self)), err, detail);
  return 1;
}

int lk_cli_token_sign(const lk_cli_args *args) {
  job self;
  int code = job_begin(&self, args);
  if (code == 0) code = sign(&self);
  job_deinit(&self);
  return code;
}

/* ---- mint ---- */

static void write_name(lk_json_writer *to, const char *key, const char *name) {
  if (name == NULL) return;
  (void)lk_json_write_key(to, lk_slice_cstr(key));
  (void)lk_json_write_string(to, lk_slice_cstr(name));
}

/* PATTERN=RIGHTS of each --topic. A pattern may have an = in it, rights have none. */
static bool write_topics(const job *self, lk_json_writer *to) {
  size_t pos = 0, count = 0;
  for (const char *text; (text = lk_cli_args_next(self->args, "topic", &pos)) != NULL; count++) {
    const char *last = strrchr(text, '=');
    lk_rights rights;
    if (last == NULL || !lk_rights_of_word(lk_slice_cstr(last + 1), &rights)) {
      lk_console_say("--topic %.64s is not PATTERN=read, =write or =admin", text);
      return false;
    }
    if (count == 0) {
      (void)lk_json_write_key(to, LK_LIT("topics"));
      (void)lk_json_begin_object(to);
    }
    (void)lk_json_write_key(to, lk_slice_of(text, (size_t)(last - text)));
    (void)lk_json_write_string(to, lk_slice_cstr(last + 1));
  }
  if (count > 0) (void)lk_json_end_object(to);
  return true;
}

/* As the server will read them. */
static int check_claims(const job *self) {
  lk_grant *grant = NULL;
  lk_err err = lk_grant_parse(lk_buf_slice(&self->input), &(lk_grant_options){ 0 }, &self->limits,
                              lk_posix_heap(), &grant);
  lk_grant_free(grant, lk_posix_heap());
  if (err == LK_OK) return 0;
  lk_cli_say_error(
      "token", err,
      "a pattern is a name of at most 255 bytes, or the beginning of one with a * at its end");
  return 2;
}

static int write_claims(job *self) {
  lk_json_writer to;
  lk_json_writer_init(&to, &self->input);
  (void)lk_json_begin_object(&to);
  write_name(&to, "sub", option(self, "subject"));
  write_name(&to, "jti", option(self, "id"));
  if (!write_topics(self, &to)) return 2;
  (void)lk_json_end_object(&to);
  lk_err err = lk_json_writer_finish(&to);
  if (err == LK_OK) return check_claims(self);
  lk_cli_say_error("token", err, "");
  return 2;
}

int lk_cli_token_mint(const lk_cli_args *args) {
  job self;
  job_init(&self, args);
  self.salt = option(&self, "salt");
  self.is_of_server = true;
  int code = write_claims(&self);
  if (code == 0) code = make_key(&self);
  if (code == 0) code = sign(&self);
  job_deinit(&self);
  return code;
}

/* ---- verify ---- */

static lk_err verify(job *self, const lk_phoenix_rules *rules, int64_t now_ms, lk_arena *arena,
                     lk_phoenix_claims *out) {
  lk_slice token = lk_buf_slice(&self->input);
  if (lk_phoenix_is_encrypted(token))
    return lk_phoenix_decrypt(&self->key, token, now_ms, rules, arena, out);
  return lk_phoenix_verify(&self->key, token, now_ms, rules, arena, out);
}

/* |claims| is of meaning where |err| is LK_OK. */
static lk_err write_report(lk_buf *out, lk_err err, const lk_phoenix_claims *claims) {
  lk_json_writer to;
  lk_json_writer_init(&to, out);
  (void)lk_json_begin_object(&to);
  (void)lk_json_write_key(&to, LK_LIT("ok"));
  (void)lk_json_write_bool(&to, err == LK_OK);
  if (err == LK_OK) {
    (void)lk_json_write_key(&to, LK_LIT("data"));
    (void)lk_json_write_raw(&to, claims->json);
    (void)lk_json_write_key(&to, LK_LIT("signed_at_ms"));
    (void)lk_json_write_i64(&to, claims->signed_at_ms);
    (void)lk_json_write_key(&to, LK_LIT("expires_at_ms"));
    if (claims->expires_at_ms == LK_PHOENIX_FOREVER) (void)lk_json_write_null(&to);
    else (void)lk_json_write_i64(&to, claims->expires_at_ms);
  } else {
    (void)lk_json_write_key(&to, LK_LIT("error"));
    (void)lk_json_write_string(&to, lk_slice_cstr(lk_err_name(err)));
  }
  (void)lk_json_end_object(&to);
  return lk_json_writer_finish(&to);
}

static int report(job *self, lk_err err, const lk_phoenix_claims *claims) {
  bool json = option(self, "json") != NULL;
  lk_err written = LK_OK;
  if (json) written = write_report(&self->output, err, claims);
  else if (err == LK_OK) written = lk_buf_append(&self->output, claims->json);
  else lk_cli_say_error("token", err, err == LK_ERR_TOO_BIG ? "token_bytes" : "");
  if (written != LK_OK) lk_cli_say_error("output", written, "");
  if (written != LK_OK || (!json && err != LK_OK)) return 1;
  int code = print(self);
  return err == LK_OK ? code : 1;
}

static int check(job *self) {
  static const char *const algorithms[3] = { "HS256", "HS384", "HS512" };
  lk_phoenix_rules rules = { .age = LK_PHOENIX_AGE_OF_TOKEN };
  lk_phoenix_claims claims = { 0 };
  uint64_t skew_s = LK_PHOENIX_SKEW_MS / 1000;
  int64_t now_ms;
  lk_arena arena;
  if (!read_time(self, "at", &now_ms) || !read_age(self, &rules.max_age_s) ||
      !read_number(self, "skew", 86400, &skew_s) ||
      !read_digest(self, "algorithm", algorithms, &rules.digest))
    return 2;
  rules.skew_ms = (uint32_t)skew_s * 1000;
  if (rules.max_age_s == LK_PHOENIX_FOREVER) rules.age = LK_PHOENIX_AGE_ANY;
  else if (option(self, "max-age") != NULL) rules.age = LK_PHOENIX_AGE_GIVEN;
  lk_arena_init(&arena, lk_posix_heap(), (size_t)1 << 24);
  lk_err err = verify(self, &rules, now_ms, &arena, &claims);
  int code = report(self, err, &claims);
  lk_arena_deinit(&arena);
  return code;
}

int lk_cli_token_verify(const lk_cli_args *args) {
  job self;
  int code = job_begin(&self, args);
  if (code == 0) code = check(&self);
  job_deinit(&self);
  return code;
}

int lk_cli_token(const lk_cli_args *args) {
  lk_console_say("there is no command token %.64s; laniakea token --help lists them",
                 args->plain[0]);
  return 2;
}
