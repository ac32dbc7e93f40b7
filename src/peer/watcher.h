/* peer/watcher.h -- what a server says in one topic, as lines for people and programs: `laniakea tail`.
 *
 *   joined type="gcounter" level="durable" bytes=212
 *   server_update bytes=42 structs=3 clients=1 text_bytes=12 deleted=0 by=1234
 *   awareness bytes=60 clients=2 gone=0
 *   presence_diff joins="ann" leaves=""
 *   state_updated bytes=80
 *
 * Joins with lk_watcher_join(), then reads whatever comes: text and frames of Phoenix's serializer V2. Without |with_content|
 * no line has anything of what users wrote but their names in presence. No socket, no clock, no terminal: who prints lines to one must
 * escape them, since names are strangers'. */
#ifndef LK_PEER_WATCHER_H
#define LK_PEER_WATCHER_H

#include "base/base.h"
#include "laniakea/env.h"

typedef enum lk_watched {
  LK_WATCHED_NOTHING, /* an answer to a heartbeat, or what is about other topics */
  LK_WATCHED_JOINED,
  LK_WATCHED_REFUSED, /* the join */
  LK_WATCHED_NEWS,
  LK_WATCHED_ENDED, /* the room went away: join again */
} lk_watched;

typedef struct lk_watcher {
  const lk_env *env;
  const lk_limits *limits;
  lk_slice topic; /* borrowed */
  bool with_content;
  bool as_json; /* one object for each line, with "at" in milliseconds */
  lk_arena scratch;
} lk_watcher;

/* Allocates nothing. |topic| and |limits| must outlive it. */
void lk_watcher_init(lk_watcher *self, const lk_env *env, const lk_limits *limits, lk_slice topic);
/* Safe on a zeroed struct, and twice. */
void lk_watcher_deinit(lk_watcher *self);

/* Appends the message that joins, which also asks for presence; or a heartbeat. */
lk_err lk_watcher_join(const lk_watcher *self, lk_buf *out) LK_MUST_USE;
lk_err lk_watcher_heartbeat(const lk_watcher *self, lk_buf *out) LK_MUST_USE;

/* Reads one message, and appends what it says as a line without its end; nothing for NOTHING. LK_ERR_BAD_MESSAGE and the
 * errors of JSON: it is none; LK_ERR_NOMEM. A payload that is not what its event promises is a line that says so. */
lk_err lk_watcher_feed(lk_watcher *self, lk_slice bytes, bool is_binary, uint64_t wall_ms,
                       lk_buf *line, lk_watched *out) LK_MUST_USE;

#endif
