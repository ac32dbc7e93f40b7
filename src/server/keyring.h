/* server/keyring.h -- the keys by which tokens of clients are checked, as files hold them, and what they hold later.
 *
 *   token ──its own form──> Phoenix.Token, signed or encrypted ──token.secret-file──┐
 *                           JSON Web Token ──token.jwt-*-file───────────────────────┴─> claims ──> lk_grant
 *
 * There may be several keys of each kind, so that one can be replaced by the next while tokens of both are about. A
 * token picks among them by its form and by no more: each key has one algorithm (crypto/jwt.h).
 *
 * Files are looked at twice a second, like those of TLS (server/tls_files.h). What is new is taken as a whole when it has been
 * the same for LK_KEYRING_SETTLE_MS, or refused as a whole with a line in the log, and then the keys from before stay. Who is
 * connected stays connected, but for tokens that were taken back.
 *
 *   secrets      the application's secret_key_base, 20 bytes at least; a newline at the end does not count
 *   jwt_secrets  a secret for HS256, 32 bytes at least, likewise
 *   jwt_publics  a public key in PEM form: Ed25519, or P-256 for ES256
 *   revoked      the "jti" of a token on each line; empty lines, and lines that begin with #, do not count
 *
 * Secrets must be closed to others on this machine, and no file may be writable by them. */
#ifndef LK_SERVER_KEYRING_H
#define LK_SERVER_KEYRING_H

#include "base/buf.h"
#include "channel/access.h"
#include "server/settings.h"

#define LK_KEYRING_LOOK_MS 500
#define LK_KEYRING_SETTLE_MS 100
#define LK_KEYRING_FILE_MAX 65536u
#define LK_KEYRING_REVOKED_MAX (8u << 20)
#define LK_KEYRING_KEYS_MAX 8u   /* files of each kind */
#define LK_KEYRING_SKEW_MS 60000 /* of clocks: for what is said not to be good yet */

/* Texts one behind the other, each with a NUL behind it, as settings have them. */
typedef struct lk_texts {
  const char *first;
  uint32_t count;
} lk_texts;

/* Everything is borrowed, and must live as long as the keyring. Zeroed: no keys. */
typedef struct lk_keyring_options {
  lk_texts secrets;
  lk_texts jwt_secrets;
  lk_texts jwt_publics;
  const char *salt;         /* of Phoenix.Token.sign(); NULL: "user socket" */
  const char *revoked;      /* NULL: there is none */
  const char *issuer;       /* NULL: any */
  const char *audience;     /* NULL: only tokens without one */
  uint64_t max_age_ms;      /* of a Phoenix.Token, whatever it says of itself; 0: what it says */
  lk_rights default_rights; /* of claims without "topics" */
} lk_keyring_options;

static inline bool lk_keyring_is_wanted(const lk_keyring_options *options) {
  return options->secrets.count + options->jwt_secrets.count + options->jwt_publics.count > 0;
}

/* As the settings say, which must live as long. */
lk_keyring_options lk_keyring_options_of(const lk_settings *settings);

typedef struct lk_keyring lk_keyring;

/* Loads all of it, at |now_ms| of the clock of lk_keyring_tick(). On failure |why| has a sentence for the console that
 * names the file, and |*out| is NULL:
 *   NOT_FOUND, IO, TOO_BIG   a file cannot be read
 *   PERMISSION               it cannot be read by us, or can be by others
 *   KEY                      it is too short, or not a key of the kind
 *   LIMIT                    there are more than LK_KEYRING_KEYS_MAX of a kind, or more ids than fit
 *   UNSUPPORTED, NOMEM       cryptography does not start */
lk_err lk_keyring_open(const lk_keyring_options *options, const lk_limits *limits,
                       const lk_alloc *alloc, uint64_t now_ms, lk_buf *why,
                       lk_keyring **out) LK_MUST_USE;

/* Wipes all keys. NULL is allowed. */
void lk_keyring_close(lk_keyring *self);

/* Looks at the files when it is time. True where they hold something new, which counts from now on: tokens may have been taken back
 * (lk_edge_recheck). A keyring that |is_quiet| leaves it to another process to tell of it. */
bool lk_keyring_tick(lk_keyring *self, uint64_t now_ms);
uint64_t lk_keyring_deadline(const lk_keyring *self);
void lk_keyring_set_quiet(lk_keyring *self);

/* Judges |token| as of |wall_ms|; errors as of lk_access.check. */
lk_err lk_keyring_check(lk_keyring *self, lk_slice token, uint64_t wall_ms, const lk_alloc *alloc,
                        lk_grant **out) LK_MUST_USE;

/* For edges, as of the system's clock. Lives as long as the keyring. */
const lk_access *lk_keyring_access(lk_keyring *self);

/* Tokens that were refused so far. */
uint64_t lk_keyring_refused(const lk_keyring *self);

#endif
