/* channel/access.h -- who a client is, and what it may do where: what a token said when it was good.
 *
 *   token ──lk_access.check──> claims, such as {"sub":"ann","topics":{"doc:*":"write","crdt:demo":"read"}}
 *         ──lk_grant_of_claims──> lk_grant ──lk_grant_rights(topic)──> NONE, READ, WRITE or ADMIN
 *
 * Claims that count here; others are the application's:
 *
 *   sub       who it is: a text or a number. Where there is none, user_id. Claims that are no object, but a text or
 *             a number by themselves as Phoenix applications sign them, are the subject.
 *   jti       the name of the token, by which it can be taken back
 *   topics    which rights where: patterns with "read", "write" or "admin". A pattern is a topic's name, or the
 *             beginning of names with a * at its end. The most of all that match counts. Without this claim
 *             what the options say.
 *
 * How a token is checked is the host's affair: an edge asks by an lk_access, which lives in server/keyring.h. What
 * stands in genuine claims and cannot be understood gives no rights: the token is refused as a whole. */
#ifndef LK_CHANNEL_ACCESS_H
#define LK_CHANNEL_ACCESS_H

#include "base/base.h"
#include "channel/rights.h"

#define LK_GRANT_FOREVER UINT64_MAX
#define LK_GRANT_RULES_MAX 256u
#define LK_GRANT_NAME_MAX 255u /* bytes of a subject, an id or a pattern */

/* One block of memory, and never changed. */
typedef struct lk_grant {
  uint64_t expires_ms; /* since 1970; from then on it is none */
  uint32_t size;       /* of the block */
  uint16_t rules_count;
  uint8_t subject_len;
  uint8_t id_len;
  uint8_t bytes[]; /* subject, id, rules: rights, length, beginning or whole name */
} lk_grant;

typedef struct lk_grant_options {
  uint64_t expires_ms;      /* LK_GRANT_FOREVER where it has no end */
  lk_rights default_rights; /* on every topic, for claims without "topics" */
} lk_grant_options;

/* Makes a grant of |claims|, which must be JSON: LK_ERR_TOKEN_CLAIMS where it is none, or where a claim of those above
 * has another form; LK_ERR_TOO_BIG for one of more than LK_GRANT_NAME_MAX bytes, or for more than LK_GRANT_RULES_MAX
 * patterns; LK_ERR_NOMEM. */
lk_err lk_grant_parse(lk_slice claims, const lk_grant_options *options, const lk_limits *limits,
                      const lk_alloc *alloc, lk_grant **out) LK_MUST_USE;

/* |alloc| is the one that it was made with. NULL is allowed. */
void lk_grant_free(lk_grant *self, const lk_alloc *alloc);

/* Takes time in proportion to the patterns, of which most tokens have a few. */
lk_rights lk_grant_rights(const lk_grant *self, lk_slice topic);

/* Both live as long as the grant. Empty: there is none. */
static inline lk_slice lk_grant_subject(const lk_grant *self) {
  return lk_slice_of(self->bytes, self->subject_len);
}
static inline lk_slice lk_grant_id(const lk_grant *self) {
  return lk_slice_of(self->bytes + self->subject_len, self->id_len);
}

/* "read", "write" or "admin"; false for another word. */
bool lk_rights_of_word(lk_slice word, lk_rights *out);

/* How a host checks tokens. */
typedef struct lk_access {
  void *ctx;
  /* LK_OK: |*out| is a grant of |alloc|, the caller's. LK_ERR_TOKEN_MISSING for an empty token, LK_ERR_TOKEN_EXPIRED,
   * LK_ERR_TOKEN_REVOKED, LK_ERR_TOKEN_CLAIMS, LK_ERR_TOKEN_INVALID, LK_ERR_TOO_BIG; others, such as LK_ERR_NOMEM, say
   * nothing about the token. */
  lk_err (*check)(void *ctx, lk_slice token, const lk_alloc *alloc, lk_grant **out);
  /* Whether a token that was good has been taken back since. */
  bool (*is_revoked)(void *ctx, const lk_grant *grant);
} lk_access;

#endif
