/* server/own_secret.h -- the secret that a data directory has of its own, so that there is one before anybody has thought of it.
 *
 *   DIRECTORY/.token-secret     64 letters of base64 and a newline; mode 0600
 *
 * It is for Phoenix.Tokens: `laniakea token mint --data DIRECTORY` signs with it, and a server takes what it signed when it is
 * told to, by token.secret-file. It is made once, whoever comes first, and never replaced, shown or logged. */
#ifndef LK_SERVER_OWN_SECRET_H
#define LK_SERVER_OWN_SECRET_H

#include "base/buf.h"

#define LK_OWN_SECRET_NAME ".token-secret"
#define LK_OWN_SECRET_MAX 4096u

/* Makes the secret of |directory| where it has none. On failure |why| has a sentence for the console, without the secret:
 *   NOT_FOUND, IO, TOO_BIG   it cannot be made or read
 *   PERMISSION               others can read or write it, or we cannot
 *   KEY                      there is something else in its place
 *   ENTROPY, NOMEM */
lk_err lk_own_secret_make(const char *directory, lk_buf *why) LK_MUST_USE;

/* The same, and appends it to |out| without its newline; on failure |out| is as before. */
lk_err lk_own_secret_read(const char *directory, lk_buf *out, lk_buf *why) LK_MUST_USE;

#endif
