/* channel/presence.h -- who is there, of one topic, as Phoenix's presence_state and presence_diff tell it.
 *
 *   lk_presence_join(&p, member, now)                  a member that wants to know: gets the state
 *   lk_presence_track(&p, member, key, meta, ...)      and one that shows itself, under a key: its user
 *   lk_presence_update / _untrack / _leave
 *   lk_presence_tick(&p, now, &flush)                  at lk_presence_deadline(): what to send
 *
 * Changes gather in a window, and what differs at its end from what was told before goes out as one
 * presence_diff: who came and went in between is not mentioned, and a change of a meta is its new one
 * among the joins, with phx_ref_prev, and its old one among the leaves. Who joined in the window
 * gets a presence_state instead, which is encoded once for all of them. So each client hears of each other one
 * once. While a topic is busy its windows grow, each twice as long as the one before, up to a maximum.
 *
 *   presence_state  {"<key>":{"metas":[{"phx_ref":"...", ...},...]},...}
 *   presence_diff   {"joins":{"<key>":{"metas":[...]}},"leaves":{...}}
 *
 * What is shown is an OR-map of crdt/: key -> (node, member) -> meta. Objects of one topic in several processes
 * ("nodes") exchange lk_presence_take_delta() and lk_presence_merge(), in any order and any number of times, and come to
 * show the same. A node that is lost is dropped by those who remain; if it was only out of sight, it puts its members
 * in again when it hears of it.
 *
 * A meta is a JSON object of the application. It is shown in canonical form (RFC 8785), with "phx_ref" and
 * "phx_ref_prev" added in the place of members of that name. */
#ifndef LK_CHANNEL_PRESENCE_H
#define LK_CHANNEL_PRESENCE_H

#include "base/base.h"
#include "base/map.h"
#include "laniakea/crdt.h"

/* Bytes of a node's name. */
#define LK_PRESENCE_NODE_MAX 40
/* Characters of a phx_ref: letters, digits, - and _. */
#define LK_PRESENCE_REF_LEN 6
#define LK_PRESENCE_NEVER UINT64_MAX

#define LK_PRESENCE_WINDOW_MS 50
#define LK_PRESENCE_WINDOW_MAX_MS 1000
/* So many changes in one window make the next one twice as long; also fewer, where so much had to be told to all of the members
 * together. */
#define LK_PRESENCE_BUSY_COUNT 16
#define LK_PRESENCE_BUSY_TOLD 128

typedef struct lk_presence_options {
  const lk_env *env;
  const lk_limits *limits; /* presence_*, crdt_*, json_*; must outlive the object, as |env| must */
  /* Names this object among those of the topic, and no other one ever: not even a later one of the same process,
   * since what an earlier one knew is lost. 1 to LK_PRESENCE_NODE_MAX bytes of UTF-8. Copied. */
  lk_slice node;
  uint64_t hash_seed[2]; /* nobody can guess it */
  uint32_t window_ms;    /* 0: LK_PRESENCE_WINDOW_MS */
  /* 0: LK_PRESENCE_WINDOW_MAX_MS. Where it is no more than |window_ms|, windows do not grow. */
  uint32_t window_max_ms;
} lk_presence_options;

typedef struct lk_presence_shown lk_presence_shown;

typedef struct lk_presence {
  const lk_env *env;
  const lk_limits *limits;
  lk_crdt *state;            /* what is there now, with all that was merged */
  lk_map members;            /* of this node: member, 8 bytes big endian -> what it tracks */
  lk_presence_shown **shown; /* what was told at the last flush, by (key, node, member) */
  uint64_t *joiners;         /* of the last flush */
  uint32_t shown_count, shown_cap;
  uint32_t joiner_count, joiner_cap;
  uint32_t hearer_count;  /* members that receive presence */
  uint32_t waiting_count; /* of those, who wait for a state */
  uint32_t ref_next;
  uint32_t window_ms, window_min_ms, window_max_ms;
  uint64_t flush_count;
  uint64_t flushed_ms; /* the last time */
  uint64_t deadline_ms;
  uint64_t hash_seed[2];
  lk_arena scratch;
  lk_buf diff, leaves;
  lk_buf text;        /* the state as JSON, where |text_is_fresh| */
  lk_buf sent;        /* the version of |state| of which other nodes were told */
  lk_buf value, path; /* of the operation that runs */
  bool text_is_fresh;
  bool has_news;   /* of ours, for other nodes */
  bool has_merged; /* since the last flush: something of ours may have been taken away */
  bool is_torn;    /* members that left are there still, for want of memory */
  uint8_t node_len;
  uint8_t node[LK_PRESENCE_NODE_MAX];
} lk_presence;

/* LK_ERR_ACTOR for a name that is none, LK_ERR_NOMEM: then there is nothing to deinitialise, but it is safe. */
lk_err lk_presence_init(lk_presence *self, const lk_presence_options *options) LK_MUST_USE;

/* Safe on a zeroed struct, and twice. */
void lk_presence_deinit(lk_presence *self);

/* ---- members of this node ----
 *
 * A member is a number that the host never uses again, such as the one of a joining. */

/* The member wants a presence_state: it comes with the next flush, and with each later one the diff. To be called once
 * for each member that receives presence; one that only shows itself need not. LK_ERR_LIMIT
 * (room_members_count), LK_ERR_NOMEM. */
lk_err lk_presence_join(lk_presence *self, uint64_t member, uint64_t now_ms) LK_MUST_USE;

/* A member that receives presence and may have missed something gets the state again. Nothing happens where it is none. */
void lk_presence_repeat(lk_presence *self, uint64_t member, uint64_t now_ms);

/* Less than half of what may be shown is, in all and under |key|. */
bool lk_presence_is_half_empty(const lk_presence *self, lk_slice key);

/* Shows |member| under |key|, a user's id. One member may show itself under several keys. |entropy| is fresh and random;
 * phx_ref is made of it. Errors of both: LK_ERR_PAYLOAD where |meta| is no object, the errors of its JSON, LK_ERR_UTF8 for the key;
 * LK_ERR_TOO_BIG beyond presence_meta_bytes or, for the key, channel_name_bytes; LK_ERR_LIMIT beyond presence_metas_count, presence_key_metas_count,
 * presence_member_keys_count or the limits of CRDTs; LK_ERR_NOMEM. track: LK_ERR_EXISTS where it is shown under this key
 * already; update: LK_ERR_NOT_FOUND where it is not. Nothing has changed then. */
lk_err lk_presence_track(lk_presence *self, uint64_t member, lk_slice key, lk_slice meta,
                         uint64_t entropy, uint64_t now_ms) LK_MUST_USE;
lk_err lk_presence_update(lk_presence *self, uint64_t member, lk_slice key, lk_slice meta,
                          uint64_t entropy, uint64_t now_ms) LK_MUST_USE;

/* Sets one field of what |member| shows, under all its keys: |value| is JSON. Errors as above; LK_ERR_NOT_FOUND where it
 * shows nothing. Under the keys before the one that failed it is changed. */
lk_err lk_presence_set_field(lk_presence *self, uint64_t member, lk_slice name, lk_slice value,
                             uint64_t entropy, uint64_t now_ms) LK_MUST_USE;

/* A field that is added to what a member shows by somebody else, such as a room. */
typedef struct lk_presence_field {
  lk_slice name;
  lk_slice value; /* JSON; empty: none */
} lk_presence_field;

#define LK_PRESENCE_LENT_MAX 8

/* Adds |fields|, up to LK_PRESENCE_LENT_MAX, the same names each time, to what |member| shows under each key whose meta has none
 * of that name by itself. They take the place of those that were lent before; an update of its own meta takes them away. Where
 * nothing would change, nothing does. Errors as of set_field. */
lk_err lk_presence_lend(lk_presence *self, uint64_t member, const lk_presence_field *fields,
                        uint32_t count, uint64_t entropy, uint64_t now_ms) LK_MUST_USE;

/* Shows it under |key| no more; LK_OK also where it was not. LK_ERR_NOMEM: nothing has changed. */
lk_err lk_presence_untrack(lk_presence *self, uint64_t member, lk_slice key,
                           uint64_t now_ms) LK_MUST_USE;

/* The member is gone, under all its keys. Where memory is out, it goes at a later tick. */
void lk_presence_leave(lk_presence *self, uint64_t member, uint64_t now_ms);

/* What |member| of this node shows under the first of its keys, its meta with our members as JSON: both live until it is
 * changed. False where it shows nothing. */
bool lk_presence_first_of(const lk_presence *self, uint64_t member, lk_slice *key, lk_slice *meta);

/* The members of this node, in the order in which they came: |*cursor| 0 at first; false at the end. */
bool lk_presence_next_member(const lk_presence *self, uint32_t *cursor, uint64_t *member);

/* Whether any member of this node receives presence. */
static inline bool lk_presence_is_heard(const lk_presence *self) { return self->hearer_count > 0; }

/* True where nobody of this node is here, and nobody of another one is shown: the object may go. */
bool lk_presence_is_empty(const lk_presence *self);

/* ---- what to send ---- */

/* When to tick: LK_PRESENCE_NEVER while nothing has changed. */
uint64_t lk_presence_deadline(const lk_presence *self);

/* Each slice lives until the next tick. */
typedef struct lk_presence_flush {
  lk_slice
      diff; /* a presence_diff for all members that receive presence but the joiners; empty: none */
  lk_slice state; /* a presence_state for the joiners; empty where there are none */
  const uint64_t *joiners;
  uint32_t joiner_count;
} lk_presence_flush;

/* At or after the deadline, ends the window; else |out| is empty. LK_ERR_NOMEM, LK_ERR_LIMIT (a text beyond what a
 * buffer may hold): the window goes on until a new deadline, |out| is empty, nothing is lost. */
lk_err lk_presence_tick(lk_presence *self, uint64_t now_ms, lk_presence_flush *out) LK_MUST_USE;

/* What was told at the last flush, as a presence_state: it lives until the next tick. For who is told of that later than the others
 * (channel/presence_diffs.h). LK_ERR_NOMEM, LK_ERR_LIMIT. */
lk_err lk_presence_told(lk_presence *self, lk_slice *state) LK_MUST_USE;

/* ---- other nodes ---- */

/* Appends a delta with what this node has changed since the last call (and perhaps more); LK_ERR_END where there is
 * nothing. To be asked at each flush. LK_ERR_NOMEM, LK_ERR_LIMIT: it will be there again. */
lk_err lk_presence_take_delta(lk_presence *self, lk_buf *out) LK_MUST_USE;

/* For a node that begins, or that missed something: it sends its version, and gets in a delta what it lacks. The
 * errors are those of lk_crdt_version() and lk_crdt_diff_since(). */
lk_err lk_presence_version(const lk_presence *self, lk_buf *out) LK_MUST_USE;
lk_err lk_presence_diff_since(const lk_presence *self, lk_slice version, lk_buf *out) LK_MUST_USE;

/* Takes in a delta, all or nothing. What it shows that is no presence is not shown on. The errors of
 * lk_crdt_merge(). */
lk_err lk_presence_merge(lk_presence *self, lk_slice delta, uint64_t now_ms) LK_MUST_USE;

/* The node is lost: what it showed is removed. LK_ERR_INVALID for this node itself; LK_ERR_NOMEM, LK_ERR_LIMIT: a part may
 * have been removed, to be called again. */
lk_err lk_presence_drop_node(lk_presence *self, lk_slice node, uint64_t now_ms) LK_MUST_USE;

#endif
