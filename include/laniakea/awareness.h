/* laniakea/awareness.h -- who is here, and what each one shows of itself: cursor, selection, name.
 *
 *   lk_awareness_open(&env, client, now_ms, &here);
 *   lk_awareness_set_local(here, text("{\"name\":\"Ada\"}"), now_ms);
 *   lk_awareness_encode_changed(here, out);              send it, and likewise after every call below
 *   lk_awareness_apply(here, received, now_ms);          take in what others send
 *   lk_awareness_next(here, &cursor, &client, &state);   who shows what
 *   lk_awareness_tick(here, now_ms);                     by lk_awareness_deadline() at the latest
 *
 * The bytes and the rules are those of y-protocols' awareness.js, so that editors of the Yjs family see each
 * other's cursors. A state is JSON, kept as JavaScript writes it (lk_js_json_rewrite() in channel/js_json.h says
 * what that means). It is not saved and not merged: each client has one, with a clock that counts its
 * changes, and the greater clock wins. A client that went away shows no state; one of whom nothing was heard for
 * LK_AWARENESS_TIMEOUT_MS is taken to have gone. A state is sent again before half of that is over.
 *
 * Differences to awareness.js, none of which shows between well-meaning peers: an update is taken in as a whole or
 * refused as a whole; there are limits (limits.def, awareness_...); the clocks of clients that went away are
 * forgotten in the end, after LK_AWARENESS_FORGET_MS or when there are many; numbers that no double
 * holds are refused where JavaScript makes infinities of them. */
#ifndef LANIAKEA_AWARENESS_H
#define LANIAKEA_AWARENESS_H

#include "laniakea/buf.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_awareness lk_awareness;

#define LK_AWARENESS_TIMEOUT_MS 30000u
#define LK_AWARENESS_RENEW_MS 15000u
#define LK_AWARENESS_FORGET_MS 300000u

/* Client ids and clocks are integers that a JavaScript number holds: up to this. */
#define LK_AWARENESS_MAX ((UINT64_C(1) << 53) - 1)

/* For an object that only keeps what others show, such as a server's. */
#define LK_AWARENESS_NO_CLIENT UINT64_MAX

/* ---- one object for each document ---- */

/* |client| is the id of this replica in the document (lk_doc's, Yjs's doc.clientID), or LK_AWARENESS_NO_CLIENT. It
 * starts with the state {} and the clock 0, which others ignore until it is changed. Times are of any
 * clock that never goes back. LK_ERR_RANGE for |client|, LK_ERR_NOMEM. */
LK_API lk_err lk_awareness_open(const lk_env *env, uint64_t client, uint64_t now_ms,
                                lk_awareness **out) LK_MUST_USE;
LK_API void lk_awareness_close(lk_awareness *self);

/* ---- changing ----
 *
 * Each of these fills the list of events anew. On error the list is empty and nothing else has changed. */

/* Shows |state|, any JSON, to the others; null, as text or as an empty slice, says that this client goes
 * away. LK_ERR_STATE where there is no own client; LK_ERR_TOO_BIG, LK_ERR_LIMIT, LK_ERR_NOMEM;
 * LK_ERR_OVERFLOW when the clock is used up, which a stranger can bring about: go on with a new id. The errors of JSON: LK_ERR_SYNTAX,
 * LK_ERR_TRUNCATED, LK_ERR_TRAILING, LK_ERR_UTF8, LK_ERR_DEPTH, LK_ERR_RANGE. */
LK_API lk_err lk_awareness_set_local(lk_awareness *self, lk_slice state,
                                     uint64_t now_ms) LK_MUST_USE;

/* Sets one member of the own state, which must be an object, else LK_ERR_TYPE; where this client shows no
 * state nothing happens. |value| is JSON. Else as above. */
LK_API lk_err lk_awareness_set_local_field(lk_awareness *self, lk_slice name, lk_slice value,
                                           uint64_t now_ms) LK_MUST_USE;

/* Takes in an update. The bytes may come from anybody. LK_ERR_TRUNCATED,
 * LK_ERR_TRAILING, LK_ERR_RANGE, LK_ERR_NOT_CANONICAL for an integer of too many bytes, LK_ERR_UTF8,
 * LK_ERR_SYNTAX, LK_ERR_DEPTH; LK_ERR_TOO_BIG for a state, LK_ERR_LIMIT; LK_ERR_NOMEM.
 *
 * Who sends that this client is gone is answered by a greater clock: the event is LK_AWARENESS_REMOVED although
 * the state stays, and lk_awareness_encode_changed() sends it. */
LK_API lk_err lk_awareness_apply(lk_awareness *self, lk_slice update, uint64_t now_ms) LK_MUST_USE;

/* Takes clients to have gone: those of a connection that broke. Unknown ones are passed over. LK_ERR_NOMEM. */
LK_API lk_err lk_awareness_remove(lk_awareness *self, const uint64_t *clients, size_t count,
                                  uint64_t now_ms) LK_MUST_USE;

/* Renews the own state and takes those to have gone of whom nothing was heard. May be called at any time.
 * LK_ERR_NOMEM. */
LK_API lk_err lk_awareness_tick(lk_awareness *self, uint64_t now_ms) LK_MUST_USE;

/* When lk_awareness_tick() may have something to do next: perhaps early, never late. UINT64_MAX: no time. */
LK_API uint64_t lk_awareness_deadline(const lk_awareness *self);

typedef enum lk_awareness_change {
  LK_AWARENESS_ADDED = 1,
  LK_AWARENESS_UPDATED = 2,
  LK_AWARENESS_RENEWED = 3, /* the same state with a new clock: to be sent on, not to be shown */
  LK_AWARENESS_REMOVED = 4
} lk_awareness_change;

typedef struct lk_awareness_event {
  uint64_t client;
  lk_awareness_change change;
} lk_awareness_event;

/* What the latest change did, in order. Of awareness.js' lists, `added` and `removed` are the events of that name,
 * `updated` those of UPDATED and RENEWED, and for `change` those of UPDATED alone. A client can be listed
 * more than once if an update was. Good until the next change; NULL only where |*count| is 0. */
LK_API const lk_awareness_event *lk_awareness_events(const lk_awareness *self, size_t *count);

/* ---- reading ---- */

/* The state of |client|, good until the next change; false where it shows none. */
LK_API bool lk_awareness_get(const lk_awareness *self, uint64_t client, lk_slice *state);

/* False where nothing is known of |client|, not even that it went away. */
LK_API bool lk_awareness_clock(const lk_awareness *self, uint64_t client, uint64_t *clock);

/* Those who show a state, in the order in which they came: |*cursor| 0 at first; false at the end. |client| and
 * |state| may be NULL. */
LK_API bool lk_awareness_next(const lk_awareness *self, uint32_t *cursor, uint64_t *client,
                              lk_slice *state);

/* How many that are. */
LK_API uint32_t lk_awareness_count(const lk_awareness *self);

/* ---- updates ----
 *
 * These append to |out|; LK_ERR_LIMIT and LK_ERR_NOMEM of it. */

/* All who show a state: for somebody who just came. */
LK_API lk_err lk_awareness_encode(const lk_awareness *self, lk_buf *out) LK_MUST_USE;

/* Those that are named, as they are now. LK_ERR_NOT_FOUND where nothing is known of one. */
LK_API lk_err lk_awareness_encode_clients(const lk_awareness *self, const uint64_t *clients,
                                          size_t count, lk_buf *out) LK_MUST_USE;

/* Those of the latest events: first the added, then the updated and renewed, then the removed, as y-websocket
 * sends them. */
LK_API lk_err lk_awareness_encode_changed(const lk_awareness *self, lk_buf *out) LK_MUST_USE;

/* One client in an update. */
typedef struct lk_awareness_entry {
  uint64_t client;
  uint64_t clock;
  lk_slice state; /* JSON as it came; not checked */
} lk_awareness_entry;

/* Hands out what an update says of each client, for who must know who speaks for whom; |each| may end it by an
 * error of its own, which is returned. LK_ERR_TRUNCATED, LK_ERR_TRAILING, LK_ERR_RANGE,
 * LK_ERR_NOT_CANONICAL, LK_ERR_UTF8: part of the update may have been handed out then. */
LK_API lk_err lk_awareness_update_read(lk_slice update,
                                       lk_err (*each)(void *ctx, const lk_awareness_entry *entry),
                                       void *ctx) LK_MUST_USE;

/* Appends the update with other states: |modify| is given each entry, its state as JavaScript writes it, and may
 * point |*state|, which is that state, at another JSON text, good until it is called again. The errors
 * of lk_awareness_apply(), of JSON also for what |modify| gave; its own. */
LK_API lk_err lk_awareness_update_modify(const lk_env *env, lk_slice update,
                                         lk_err (*modify)(void *ctx,
                                                          const lk_awareness_entry *entry,
                                                          lk_slice *state),
                                         void *ctx, lk_buf *out) LK_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
