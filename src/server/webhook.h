/* server/webhook.h -- what the server says to an application's webhooks, and how it understands what they answer.
 *
 *   kind        setting               when                                              what an answer means
 *   change      webhook.change        a topic has changed, or was deleted, and is       2xx: taken; anything else: again, later
 *                                     quiet for a moment
 *   authorise   webhook.authorise     a client joins a topic, or asks the HTTP API      {"allow": true}, {"allow": false}
 *   load        webhook.load          a document that nobody has written yet is joined  its first content
 *
 * Each is a POST of JSON, {"type", "timestamp", "data"}, signed as the Standard Webhooks specification 1.0.0 says, so that
 * its libraries can check it:
 *
 *   webhook-id          the same each time one message is sent again
 *   webhook-timestamp   seconds since 1970, of this attempt
 *   webhook-signature   "v1," and base64 of HMAC-SHA-256(secret, id "." timestamp "." body); several with spaces between
 *                       them where there are several secrets, which is how one is replaced
 *
 * Nothing here does I/O. What fails closes: only an answer that says so in so many words lets a client in. */
#ifndef LK_SERVER_WEBHOOK_H
#define LK_SERVER_WEBHOOK_H

#include "base/base.h"
#include "channel/rights.h"
#include "wire/http_client.h"

#define LK_WEBHOOK_RULES_MAX 32u
#define LK_WEBHOOK_SECRETS_MAX 4u
#define LK_WEBHOOK_SECRET_LEAST 24u
#define LK_WEBHOOK_SECRET_MOST 64u
#define LK_WEBHOOK_ID_LEN 36u /* "msg_" and 32 digits */
#define LK_WEBHOOK_BY_MAX 8u  /* names of those who changed a topic that are told */

typedef enum lk_webhook_kind {
  LK_WEBHOOK_CHANGE,
  LK_WEBHOOK_AUTHORISE,
  LK_WEBHOOK_LOAD,
  LK_WEBHOOK_KINDS
} lk_webhook_kind;

/* Which topics, and whom to ask. */
typedef struct lk_webhook_rule {
  lk_slice pattern; /* a topic, or the beginning of topics with a * behind */
  lk_http_url url;
} lk_webhook_rule;

/* Reads "doc:*=https://app.example/hooks"; borrows |text|. LK_ERR_SYNTAX, LK_ERR_RANGE. */
lk_err lk_webhook_rule_read(lk_slice text, lk_webhook_rule *out) LK_MUST_USE;

typedef struct lk_webhook_rules {
  lk_webhook_rule items[LK_WEBHOOK_RULES_MAX];
  uint32_t count;
} lk_webhook_rules;

/* The first one that fits; NULL: none does. */
const lk_webhook_rule *lk_webhook_find(const lk_webhook_rules *self, lk_slice topic);

/* ---- signing ---- */

typedef struct lk_webhook_secret {
  uint8_t bytes[LK_WEBHOOK_SECRET_MOST];
  uint32_t len;
} lk_webhook_secret;

typedef struct lk_webhook_secrets {
  lk_webhook_secret items[LK_WEBHOOK_SECRETS_MAX];
  uint32_t count;
} lk_webhook_secrets;

/* "whsec_" and base64, as the specification has it; or the bytes themselves. 24 to 64 of them, else LK_ERR_KEY.
 * not foreign: whoever runs the server wrote the file */
lk_err lk_webhook_secret_read(lk_slice text, const lk_alloc *alloc,
                              lk_webhook_secret *out) LK_MUST_USE;

/* Appends the value of webhook-signature. */
lk_err lk_webhook_sign(const lk_webhook_secrets *secrets, lk_slice id, uint64_t seconds,
                       lk_slice body, lk_buf *out);

/* An id that is the same for the same message, whatever it is signed with: whoever is sent it twice can tell. It is no secret, nor a proof
 * of anything. */
void lk_webhook_id(lk_slice topic, uint64_t sequence, uint64_t salt,
                   uint8_t out[LK_WEBHOOK_ID_LEN]);

/* Appends a whole request. |keep_alive| false: the connection is for this one only. */
lk_err lk_webhook_request(const lk_http_url *url, const lk_webhook_secrets *secrets, lk_slice id,
                          uint64_t wall_ms, lk_slice body, lk_buf *out) LK_MUST_USE;

/* ---- what is said ---- */

typedef struct lk_webhook_change {
  lk_slice topic;
  uint64_t sequence; /* grows with every change of a topic */
  uint64_t changes;  /* how many, since the last one that was told */
  uint64_t first_ms; /* since 1970: the first of them */
  uint64_t last_ms;  /* and the last */
  bool is_memory;    /* of the level */
  lk_slice by[LK_WEBHOOK_BY_MAX];
  uint32_t by_count;
  bool is_deleted; /* there is nothing of the topic any more */
  bool
      is_anew; /* there was nothing in between, since the last message: this is another topic of the name */
  lk_slice state_vector; /* of a document; empty: not known */
  bool has_generation;
  uint64_t generation; /* of a document, as its room's joins say it */
} lk_webhook_change;

lk_err lk_webhook_write_change(const lk_webhook_change *change, lk_buf *out) LK_MUST_USE;

typedef struct lk_webhook_question {
  lk_slice topic;
  lk_slice action;  /* "join", or what the HTTP API is to do: "read", "write", "admin" */
  lk_slice subject; /* empty: nobody in particular */
  lk_rights rights; /* that the client's token gives */
  lk_slice params;  /* of a join, JSON, without its token; empty: none */
} lk_webhook_question;

lk_err lk_webhook_write_authorise(const lk_webhook_question *question, uint64_t wall_ms,
                                  lk_buf *out) LK_MUST_USE;
lk_err lk_webhook_write_loading(lk_slice topic, uint64_t wall_ms, lk_buf *out) LK_MUST_USE;

/* ---- what is answered ---- */

typedef enum lk_webhook_verdict {
  LK_WEBHOOK_OK,
  LK_WEBHOOK_FORBIDDEN,
  LK_WEBHOOK_FAILED,
  LK_WEBHOOK_TIMEOUT,
} lk_webhook_verdict;

/* {"allow": true, "rights": "read"}: |*rights| is the most that the client gets, ADMIN where nothing is said of it.
 * {"allow": false}, 401, 403 and 404 are FORBIDDEN; all else is FAILED. */
lk_webhook_verdict lk_webhook_read_authorise(const lk_http_response *response,
                                             const lk_limits *limits, const lk_alloc *alloc,
                                             lk_rights *rights);

/* 200 with the content: an update as application/octet-stream, or application/json as rooms take it. 204: there is none, so
 * that the document begins empty; |out| is then empty. All else is FAILED, 401, 403 and 404 FORBIDDEN. |out| is of the response. */
lk_webhook_verdict lk_webhook_read_load(const lk_http_response *response, lk_slice *out,
                                        bool *is_binary);

/* {"reason", "message"}, for clients. */
lk_slice lk_webhook_refusal(lk_webhook_verdict verdict);

/* 2xx. */
static inline bool lk_webhook_is_taken(const lk_http_response *response) {
  return response->status >= 200 && response->status < 300;
}

/* Milliseconds that the other side wants to be left alone, by Retry-After in seconds, at most a day; 0: it does not say. */
uint64_t lk_webhook_retry_after_ms(const lk_http_response *response);

#endif
