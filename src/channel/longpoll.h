/* channel/longpoll.h -- Phoenix clients that poll by HTTP instead of keeping a WebSocket.
 *
 * A session is a connection of an lk_edge that outlives its HTTP requests. The client holds a token for it; it
 * fetches messages with GET, which waits where there are none, and sends some with POST.
 *
 *   GET   no token, or one that names no session   410 and the token of a new session
 *         messages wait                            200 and all of them
 *         none come for window_ms                  204
 *         no room for another session              500, and "retry_after_ms": the client comes again later
 *   POST  the messages were handled                200
 *         the token names no session, or the
 *         messages broke the protocol              410: the client connects anew
 *         not handled within window_ms             408
 *
 * These are the "status" in a body of JSON; HTTP's own status is 200 each time, and what stands around the body is
 * the host's affair, as are methods, vsn, origins and CORS. Bodies live until the next call.
 *
 * A session ends with a POST of nothing, which is how a client leaves; 1.5 windows after its last GET; when more waits for it than longpoll_output_bytes, where more than half of that
 * did before the last message, or than longpoll_messages_count; when the edge closes it. Messages that a GET was given are kept until the host says that
 * they were written, and given to the next one where they could not be.
 *
 * A machine without sockets, clock or randomness. The host calls get and post as requests come, hands it what the
 * edge says to a session, and afterwards polls for answers until there are none. While lk_edge_poll() gives
 * output, nothing here calls the edge: only get, post, poll and deinit do. */
#ifndef LK_CHANNEL_LONGPOLL_H
#define LK_CHANNEL_LONGPOLL_H

#include "base/heap.h"
#include "base/map.h"
#include "channel/edge.h"

#define LK_LONGPOLL_RANDOM_LEN 16
#define LK_LONGPOLL_TOKEN_LEN 22 /* characters */

typedef struct lk_longpoll_options {
  const lk_alloc *alloc;
  const lk_limits *limits; /* longpoll_*, ws_message_bytes, bus_frame_bytes */
  lk_edge *edge;
  uint64_t hash_seed[2]; /* nobody can guess it */
  uint32_t window_ms;    /* above 0; Phoenix has 10,000 */
} lk_longpoll_options;

typedef struct lk_longpoll {
  lk_longpoll_options options;
  lk_map by_token;  /* -> session *, of those that have not ended */
  lk_map by_number; /* -> session * */
  lk_heap timers;
  lk_list due; /* sessions with something to poll */
  lk_buf body; /* of the answer that was polled last */
  lk_buf line; /* a binary frame that is being read */
} lk_longpoll;

/* Allocates nothing. What |options| points to must outlive the machine. */
void lk_longpoll_init(lk_longpoll *self, const lk_longpoll_options *options);

/* Ends all sessions and disconnects them from the edge; those who wait hear nothing. Safe on a zeroed struct, and
 * twice. */
void lk_longpoll_deinit(lk_longpoll *self);

/* ---- requests ---- */

typedef struct lk_longpoll_request {
  uint64_t now_ms;
  lk_slice token; /* as the client wrote it; empty: none */
  void *waiter;   /* whoever asked: the host's name for it, never NULL */
  /* GET: what a new session speaks, LK_MESSAGE_V2_TEXT or LK_MESSAGE_V1, and bytes that nobody can guess. */
  lk_message_form form;
  const uint8_t *random; /* LK_LONGPOLL_RANDOM_LEN of them */
  lk_grant *grant; /* of the client of a new session, as for lk_edge_connect(); NULL where lk_longpoll_knows() the token */
  /* POST: must live until the answer. A batch is lines; otherwise the body is one message. */
  lk_slice body;
  bool is_batch;
} lk_longpoll_request;

/* Either appends the answer to |out|, and |*session| is 0; or the request waits, |*session| names its session, and
 * lk_longpoll_poll() gives the answer later, perhaps at once. LK_ERR_NOMEM, LK_ERR_LIMIT, both of |out|: nothing
 * waits. */
lk_err lk_longpoll_get(lk_longpoll *self, const lk_longpoll_request *request, lk_buf *out,
                       uint64_t *session) LK_MUST_USE;
lk_err lk_longpoll_post(lk_longpoll *self, const lk_longpoll_request *request, lk_buf *out,
                        uint64_t *session) LK_MUST_USE;

/* Whether |token| names a session that has not ended. */
bool lk_longpoll_knows(const lk_longpoll *self, lk_slice token);

/* |waiter| is gone, and with it the answer that it waits for or that was not yet written. */
void lk_longpoll_lost(lk_longpoll *self, uint64_t session, const void *waiter, uint64_t now_ms);

/* The answer with messages that |waiter| was given is on its way to the client. */
void lk_longpoll_written(lk_longpoll *self, uint64_t session, const void *waiter, uint64_t now_ms);

/* ---- what the edge says ----
 *
 * |session| is a connection of the edge; those that are none of ours are ignored. */

void lk_longpoll_take(lk_longpoll *self, uint64_t session, lk_slice text);
void lk_longpoll_resume(lk_longpoll *self, uint64_t session);
void lk_longpoll_close(lk_longpoll *self, uint64_t session);

/* The server stops: at most |count| sessions, the oldest first, end, and those who wait are told so. */
void lk_longpoll_end_some(lk_longpoll *self, uint32_t count);

/* ---- answers ---- */

typedef struct lk_longpoll_answer {
  void *waiter; /* waits no longer */
  lk_slice body;
  bool has_messages; /* tell by written or lost what became of it */
} lk_longpoll_answer;

/* The edge may have output afterwards, also where this returns false. */
bool lk_longpoll_poll(lk_longpoll *self, lk_longpoll_answer *out);

static inline bool lk_longpoll_is_due(const lk_longpoll *self) { return self->due.count > 0; }

static inline uint32_t lk_longpoll_count(const lk_longpoll *self) {
  return lk_map_count(&self->by_token);
}

/* When lk_longpoll_tick() must be called; UINT64_MAX for never. */
uint64_t lk_longpoll_deadline(const lk_longpoll *self);
void lk_longpoll_tick(lk_longpoll *self, uint64_t now_ms);

#endif
