/* laniakea/client.h -- a peer: replicas on this device, and a server that is there or not.
 *
 *   lk_client *client;
 *   lk_client_options options = LK_CLIENT_OPTIONS_INIT;
 *   options.entropy[0] = ...                              from the system
 *   lk_client_open(&env, &options, &client);
 *   ... the host's loop, until LK_CLIENT_READY ...
 *   lk_topic *likes;
 *   lk_client_open_crdt(client, slice("crdt:likes"), LK_CRDT_GCOUNTER, LK_TOPIC_KEPT, now, &likes);
 *   lk_topic_apply(likes, no_path, slice("increment"), slice("[1]"), now);   changed here, now
 *   lk_topic_value(likes, no_path, out);                                     1, whoever can be reached
 *
 * Offline is not a mode: it is a connection that isn't there. What is changed is in the replica at once, is recorded on
 * this device, is sent when that is possible, and counts as pending until the server says that it has kept it. It is on the server
 * exactly once, however often connections, servers and this program end on the way.
 *
 * THE HOST. A client opens no socket and no file and reads no clock. It is a machine that a host drives: a browser's worker, a C
 * program, a simulator. (laniakea/client_host.h is one for POSIX that is ready to use.)
 *
 *   while (lk_client_poll(client, &event)) carry_out(&event);      after every call below
 *   lk_client_opened, _closed, _receive    what became of the connection
 *   lk_client_stored                       the storage may have completed something
 *   lk_client_tick                         lk_client_deadline() has passed
 *
 * |now_ms| is any clock that does not go backwards, but for |time_ms|, which is the time of day: milliseconds since 1970.
 *
 * PROTOCOL. Phoenix channels, serializer V2, binary frames: "ws://HOST/socket/websocket?vsn=2.0.0" of a Laniakea server, or its
 * long-poll (lk_client_opened_as_text()).
 *
 * STORAGE. With one (an lk_storage, which a host makes), topics that are opened as LK_TOPIC_KEPT are on this device for good, with
 * all that is pending; what an earlier process left pending is sent even where nobody opens its topic. Without one, where the
 * storage cannot be read (lk_client_status.storage) and for LK_TOPIC_MEMORY, a topic lives as long as the client.
 *
 * OTHER REPLICAS. A program may have replicas of its own beside those in here, such as the pages of a browser, whose worker has the client:
 * they change at once where they are, without asking anybody. What one makes goes in by lk_topic_merge(), as if it had been made here; what
 * others change comes out by a watcher (lk_client_watch()); and lk_topic_version() and lk_topic_since() bring one up that missed something.
 *
 * LIMITS. What is pending is bounded, by count and by bytes (LK_ERR_BACKLOG). Nothing is ever dropped to make room.
 *
 * One thread at a time. */
#ifndef LANIAKEA_CLIENT_H
#define LANIAKEA_CLIENT_H

#include "laniakea/crdt.h"
#include "laniakea/doc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_client lk_client;
typedef struct lk_topic lk_topic;
struct lk_storage; /* made by a host */

#define LK_CLIENT_NEVER UINT64_MAX

typedef struct lk_client_options {
  size_t size;                /* sizeof(lk_client_options) of the caller's headers */
  struct lk_storage *storage; /* outlives the client, and is for it alone; NULL: nothing is kept */
  uint64_t entropy[2];        /* from the system: names of replicas are drawn from it */
  bool uses_token;            /* LK_CLIENT_TOKEN comes */
  lk_slice
      capabilities; /* an object, as docs/reference/channels.md has it: {"memory_mb":512}; copied; empty: none are told */
  uint32_t pending_count_max; /* changes; 0 stands for 65536 */
  uint32_t pending_bytes_max; /* 0 stands for 16 MiB */
} lk_client_options;
#define LK_CLIENT_OPTIONS_INIT                                                                     \
  { sizeof(lk_client_options), NULL, { 0, 0 }, false, { NULL, 0 }, 0, 0 }

/* Begins to read the storage. LK_ERR_NOMEM; LK_ERR_INVALID for capabilities that are no object. */
LK_API lk_err lk_client_open(const lk_env *env, const lk_client_options *options,
                             lk_client **out) LK_MUST_USE;

/* Others from now on: for joins to come, and told to topics that are joined, whose profile may become another one then. The errors of
 * lk_client_open(), and LK_ERR_LIMIT for some that are too long: then they are as before. Empty: none. */
LK_API lk_err lk_client_set_capabilities(lk_client *self, lk_slice json,
                                         uint64_t now_ms) LK_MUST_USE;

/* Ends at once, as a crash would, and closes all topics: what is recorded is safe. Nothing of it may be under way in the storage, unless that
 * is gone too: lk_client_is_busy() tells. */
LK_API void lk_client_close(lk_client *self);
LK_API bool lk_client_is_busy(const lk_client *self);

/* ---- the connection ---- */

/* Connects, as soon as the storage was read, and again whenever the connection is lost; until lk_client_disconnect(). */
LK_API void lk_client_connect(lk_client *self, uint64_t now_ms);
LK_API void lk_client_disconnect(lk_client *self);

/* The network came back, or the user wants it now: tries at once instead of waiting. */
LK_API void lk_client_wake(lk_client *self, uint64_t now_ms);

typedef enum lk_client_event_kind {
  LK_CLIENT_TOKEN, /* give one with lk_client_set_token(), now or later, or say lk_client_no_token() */
  LK_CLIENT_CONNECT, /* open a connection, with the token |bytes| where there is one, and report what becomes of it */
  LK_CLIENT_SEND,    /* send |bytes| as one message, binary or text */
  LK_CLIENT_HANG_UP, /* close the connection; that need not be reported */
  LK_CLIENT_READY, /* the storage was read: topics may be opened. Comes once, without a storage too */
  LK_CLIENT_CHANGED, /* |topic| reads otherwise than before; not told of what lk_topic_apply() did */
  LK_CLIENT_STATUS, /* lk_client_get_status() or lk_topic_get_status() gives something else for |topic|, or for the client where that is NULL */
} lk_client_event_kind;

typedef struct lk_client_event {
  lk_client_event_kind kind;
  bool is_binary;
  lk_slice bytes;  /* until the next call */
  lk_topic *topic; /* one that somebody opened */
} lk_client_event;

/* The next thing for the host to do; false when there is none. */
LK_API bool lk_client_poll(lk_client *self, lk_client_event *out);

/* Reports that do not fit are about a connection that was given up, and ignored. */
LK_API void lk_client_opened(lk_client *self, uint64_t now_ms);
/* The same for a connection that carries texts alone, such as Phoenix's long-poll ("http://HOST/socket/longpoll?vsn=2.0.0"): the host
 * sends binary messages in base64 there, as phoenix.js does, and bytes of the server's come in texts. */
LK_API void lk_client_opened_as_text(lk_client *self, uint64_t now_ms);
/* |code| is the WebSocket's; 4401 also where the upgrade was answered 401 or 403; 0: there is none. |hint_ms|: how long the server
 * wants to be left alone (Retry-After); 0: it did not say. */
LK_API void lk_client_closed(lk_client *self, uint32_t code, uint64_t hint_ms, uint64_t now_ms);
/* One message of the server's. An error says that it was none that a server should send, or that memory was out: the
 * connection was given up, and another one may do better. Nothing is left for the host to do. */
LK_API lk_err lk_client_receive(lk_client *self, lk_slice bytes, bool is_binary, uint64_t now_ms);
/* |life_ms|: how long it holds from now on; 0: not known. Before it ends the next one is asked for and told the server in band.
 * LK_ERR_TOO_BIG, LK_ERR_NOMEM: as if there were none. */
LK_API lk_err lk_client_set_token(lk_client *self, lk_slice token, uint64_t life_ms,
                                  uint64_t now_ms) LK_MUST_USE;
LK_API void lk_client_no_token(lk_client *self, uint64_t now_ms);
LK_API void lk_client_stored(lk_client *self, uint64_t now_ms);
LK_API void lk_client_tick(lk_client *self, uint64_t now_ms);
LK_API uint64_t lk_client_deadline(const lk_client *self);

typedef enum lk_client_state {
  LK_CLIENT_OFFLINE,
  LK_CLIENT_CONNECTING,
  LK_CLIENT_ONLINE,
} lk_client_state;

typedef struct lk_client_status {
  size_t size; /* sizeof(lk_client_status), set by the caller */
  lk_client_state state;
  lk_err storage;         /* LK_OK: all that is to be kept is kept, or will be in a moment */
  uint64_t pending_count; /* changes that the server has not acknowledged */
  uint64_t pending_bytes;
  uint64_t unsaved_count;   /* of these, those that this device has not recorded yet */
  uint64_t acknowledged_ms; /* when the server last acknowledged something, by |now_ms|; 0: never */
  uint32_t round_trip_ms;   /* of the latest question that was answered; UINT32_MAX: none was */
} lk_client_status;
LK_API void lk_client_get_status(const lk_client *self, lk_client_status *out);

/* ---- topics ---- */

typedef enum lk_topic_keeping {
  LK_TOPIC_KEPT,   /* on this device, for good */
  LK_TOPIC_MEMORY, /* as long as the client */
} lk_topic_keeping;

/* Opens the replica of an object of the catalogue ("crdt:likes"), or of a document ("doc:notes"), and joins. The same topic may be
 * opened several times, and is one. LK_ERR_STATE before READY; LK_ERR_TYPE where this device has the topic as something else;
 * LK_ERR_INVALID for a name that is empty or longer than 255 bytes; LK_ERR_UNKNOWN_TYPE; LK_ERR_NOMEM. */
LK_API lk_err lk_client_open_crdt(lk_client *self, lk_slice name, lk_crdt_kind kind,
                                  lk_topic_keeping keeping, uint64_t now_ms,
                                  lk_topic **out) LK_MUST_USE;
LK_API lk_err lk_client_open_doc(lk_client *self, lk_slice name, lk_topic_keeping keeping,
                                 uint64_t now_ms, lk_topic **out) LK_MUST_USE;
/* Opens a topic without a replica ("relay:lobby"): it is joined, lk_topic_push() says something in it, and a watcher hears. What
 * is about a replica gives LK_ERR_TYPE. Never kept. */
LK_API lk_err lk_client_open_plain(lk_client *self, lk_slice name, uint64_t now_ms,
                                   lk_topic **out) LK_MUST_USE;
/* Once for each opening. What is pending is sent all the same; then, if nobody has it open, the topic is left, and what was not
 * to be kept is forgotten. */
LK_API void lk_topic_close(lk_topic *self, uint64_t now_ms);
LK_API lk_slice lk_topic_name(const lk_topic *self);

/* Changes an object: the operation |name| of the catalogue with |arguments|, a JSON array, of the object at |path| (empty for itself,
 * see lk_crdt_path_append()). The errors of lk_crdt_apply(), LK_ERR_TYPE for a document, and LK_ERR_BACKLOG. */
LK_API lk_err lk_topic_apply(lk_topic *self, lk_slice path, lk_slice name, lk_slice arguments,
                             uint64_t time_ms, uint64_t now_ms) LK_MUST_USE;
/* Appends what it reads: lk_crdt_value(), or lk_doc_json() of a document. */
LK_API lk_err lk_topic_value(const lk_topic *self, lk_slice path, lk_buf *out) LK_MUST_USE;
/* For reading; NULL for a document. */
LK_API const lk_crdt *lk_topic_crdt(const lk_topic *self);
/* The document, to be read and changed by the calls of laniakea/doc.h, and never closed; NULL for an object. Call
 * lk_topic_changed() behind changes. It is another one after lk_topic_start_anew(). */
LK_API lk_doc *lk_topic_doc(lk_topic *self);
LK_API void lk_topic_changed(lk_topic *self, uint64_t now_ms);
/* LK_ERR_BACKLOG where as much is pending as may be: ask before changing a document. What is changed all the same is kept. */
LK_API lk_err lk_topic_may_change(const lk_topic *self) LK_MUST_USE;

typedef enum lk_topic_state {
  LK_TOPIC_AWAY, /* there is no connection, or the server asked to come back later: |reason| */
  LK_TOPIC_JOINED,
  LK_TOPIC_REFUSED, /* |reason|: the join, or what is pending, will not be taken; the replica is as it was */
} lk_topic_state;

typedef struct lk_topic_status {
  size_t size; /* sizeof(lk_topic_status), set by the caller */
  lk_topic_state state;
  lk_slice reason; /* the server's word for it, such as "diverged"; until the next call */
  uint64_t pending_count;
  lk_slice
      level; /* where the server keeps it: "durable" or "memory"; empty: it was not asked yet */
  lk_slice profile; /* how the server serves us; empty: it did not say */
  bool is_read_only;
  bool is_kept; /* what is changed now is recorded for good, on this device, in a moment */
  uint64_t
      changes; /* the number of the latest change, by this replica or one beside it; numbers only grow */
  /* Changes up to this number are durable on this device, or with the server; all of them where |is_kept| is false, since
   * then none will be, and nothing waits for it. */
  uint64_t recorded;
  uint64_t acknowledged; /* the server has changes up to this number */
} lk_topic_status;
LK_API void lk_topic_get_status(const lk_topic *self, lk_topic_status *out);

/* After REFUSED: tries again, with another token for example. */
LK_API void lk_topic_retry(lk_topic *self, uint64_t now_ms);
/* After REFUSED: drops the replica and all that is pending in it, and takes what the server has. Make a copy of what it
 * says before. LK_ERR_NOMEM: as before. */
LK_API lk_err lk_topic_start_anew(lk_topic *self, uint64_t now_ms) LK_MUST_USE;

/* ---- replicas beside this one ---- */

/* Takes in a change that another replica on this device made: a state or a delta of an object, an update (V1) of a document. From
 * now on it is as if it had been made here: recorded, sent, and pending until it is acknowledged. |waits|: it was made under a name that
 * goes on over restarts (as lk_crdt_op.actor), so it does not leave before it is recorded. |*number|: the change's, for
 * lk_topic_status; 0 where it said nothing new. Never LK_ERR_BACKLOG: who made it asked before. LK_ERR_TYPE for a plain topic; the errors of
 * lk_crdt_merge() and lk_doc_apply(): then nothing was taken in, but for LK_ERR_DOT, which refuses the topic as well. */
LK_API lk_err lk_topic_merge(lk_topic *self, lk_slice bytes, bool waits, uint64_t now_ms,
                             uint64_t *number) LK_MUST_USE;
/* Appends what is known here: an object's version, a document's state vector. */
LK_API lk_err lk_topic_version(const lk_topic *self, lk_buf *out) LK_MUST_USE;
/* Appends what is known here beyond |version|, which is such a one: a delta, or an update (V1). Empty: everything. */
LK_API lk_err lk_topic_since(const lk_topic *self, lk_slice version, lk_buf *out) LK_MUST_USE;

/* ---- what is said beside replicas ---- */

/* What the server said in a topic. Lives as long as the call that has it. */
typedef struct lk_client_message {
  bool is_reply;
  uint64_t ref;     /* of a reply: what lk_topic_push() gave */
  lk_slice status;  /* of a reply: "ok" or "error" */
  lk_slice event;   /* of others: "presence_diff", "awareness", ... */
  lk_slice payload; /* JSON, or bytes */
  bool is_binary;
} lk_client_message;

/* Who wants to know what a replica here does not need to be told. Each may be NULL. They are called while an input is carried out,
 * about topics that somebody has open, and must not call the client or its topics. */
typedef struct lk_client_watcher {
  void *ctx;
  /* Others changed |topic|: |bytes| are a delta or an update that says how. Empty: there was no memory to say it; lk_topic_since() does.
   * Not told of what lk_topic_apply() and lk_topic_merge() did. */
  void (*news)(void *ctx, lk_topic *topic, lk_slice bytes);
  /* A reply to lk_topic_push(), or what was said in the topic that is not about the replica. */
  void (*heard)(void *ctx, lk_topic *topic, const lk_client_message *message);
} lk_client_watcher;
/* One at most; copied. NULL: none. */
LK_API void lk_client_watch(lk_client *self, const lk_client_watcher *watcher);

/* Says something in a topic that is joined, else LK_ERR_STATE: nothing waits for a connection, and nothing is said twice. Whether an answer comes
 * nobody knows: its |*ref| is that of this joining. LK_ERR_INVALID for an |event| that is empty, longer than 255 bytes or the protocol's own
 * (phx_...); LK_ERR_UTF8; LK_ERR_PAYLOAD for what should be JSON; LK_ERR_TOO_BIG; LK_ERR_NOMEM: the connection was given up. */
LK_API lk_err lk_topic_push(lk_topic *self, lk_slice event, lk_slice payload, bool is_binary,
                            uint64_t now_ms, uint64_t *ref) LK_MUST_USE;

/* From now on the watcher hears of presence in the topic; it joins again where it has joined without. */
LK_API void lk_topic_hear_presence(lk_topic *self, uint64_t now_ms);

#ifdef __cplusplus
}
#endif
#endif
