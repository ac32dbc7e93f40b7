/* sim/doc_user.h -- what the parts of a user know of each other. They share one struct (doc_world.h):
 *
 *   doc_user        the tab: it opens, connects, goes offline, closes
 *   doc_replica     the document in it, and what is not acknowledged
 *   doc_provider    speaks for it as phoenix.js does; doc_provider_y as y-websocket does
 *   doc_wire        the words of both
 *   doc_typist      makes the changes
 *   doc_librarian   makes, restores and deletes versions */
#ifndef SIM_DOC_USER_H
#define SIM_DOC_USER_H

#include "channel/awareness.h"
#include "channel/message.h"
#include "channel/y_sync.h"
#include "sim/doc_world.h"

static inline uint64_t now_of(const doc_user *self) { return sim_node_now_ms(&self->node); }
static inline sim_world *world_of(const doc_user *self) { return self->world->world; }
static inline const lk_alloc *alloc_of(const doc_user *self) { return world_of(self)->alloc; }
static inline doc_ledger *ledger_of(doc_user *self) { return &self->world->ledgers[self->topic]; }

/* ---- the tab ---- */

/* What must work on the simulator's own memory, and with a server that is ours. */
void doc_user_expect(doc_user *self, lk_err err, const char *what);

/* When to try again what did not work. */
uint64_t doc_user_draw_later(doc_user *self);

/* The connection is gone, or is given up. */
void doc_user_lose(doc_user *self);
void doc_user_give_up(doc_user *self);

/* ---- the replica ---- */

/* Keys of the map. */
#define DOC_KEYS_COUNT 3
extern const lk_slice doc_keys[DOC_KEYS_COUNT];

void doc_replica_open(doc_user *self);
void doc_replica_close(doc_user *self);
void doc_replica_save(doc_user *self);
void doc_replica_forget_pending(doc_user *self, uint32_t at);

/* Nothing of it is left; renew: and a new one is open. */
void doc_replica_lose(doc_user *self);
void doc_replica_renew(doc_user *self);

/* Takes in what others did. Marks of formatting that have become needless by it go, as in Yjs, which is a change of its own. */
void doc_replica_apply(doc_user *self, lk_slice update);

/* What the replica has beyond |vector|. |out| is uninitialised before. */
void doc_replica_encode_beyond(doc_user *self, lk_slice vector, lk_buf *out);
void doc_replica_encode_vector(doc_user *self, lk_buf *out);

/* Whether the replica shows something that is beyond |vector|. What waits for other updates is in no vector: both may have
 * it. */
bool doc_replica_has_more(doc_user *self, lk_slice vector);

/* ---- the wire ---- */

lk_slice doc_wire_number(uint64_t number, char text[24]);

/* A message of |kind|: 't' text, 'b' bytes, 'h' who it is. */
void doc_wire_send(doc_user *self, char kind, lk_slice bytes);

/* [join_ref, ref, topic, event, payload]; gives the ref. */
uint64_t doc_wire_push(doc_user *self, lk_slice topic, const char *event, lk_slice payload);

/* Bytes as this wire has them; gives the ref. */
uint64_t doc_wire_push_bytes(doc_user *self, const char *event, lk_slice bytes);
void doc_wire_dress(lk_buf *out, doc_wire wire, lk_slice bytes);
void doc_wire_send_y(doc_user *self, lk_y_kind kind, lk_slice body);

/* ---- the provider ---- */

void doc_provider_join(doc_user *self);
void doc_provider_join_y(doc_user *self);
void doc_provider_ask_to_sync(doc_user *self);

/* It is not joined any more: no answer will come. */
void doc_provider_forget_refs(doc_user *self);

/* The change that was just made goes on its way, or waits for a connection. */
void doc_provider_take_change(doc_user *self, const doc_pending *what);

/* What the replica took away by itself when it took something in is kept, to be sent as any change. */
void doc_provider_take_tidied(doc_user *self);

/* Sends what was not sent on this connection, if it is joined. */
void doc_provider_send_again(doc_user *self);

/* Shows another state of its own, and tells what |here| has to tell. */
void doc_provider_show(doc_user *self);
void doc_provider_tell(doc_user *self);

void doc_provider_on_text(doc_user *self, const lk_message *m, lk_arena *scratch);
void doc_provider_on_frame(doc_user *self, lk_slice bytes);
void doc_provider_on_y(doc_user *self, lk_slice bytes);
void doc_provider_on_awareness(doc_user *self, lk_slice update);
void doc_provider_on_refused(doc_user *self, lk_slice reason);

/* ---- the librarian ---- */

/* Asks for something about versions, or nothing. */
void doc_librarian_act(doc_user *self);

/* Asks again for what was not answered. */
void doc_librarian_send(doc_user *self);

/* What was asked for was answered; |reason| says why not. */
void doc_librarian_on_reply(doc_user *self, bool ok, lk_slice response, lk_slice reason,
                            lk_arena *scratch);

/* ---- the typist ---- */

/* Makes a change, or none. */
void doc_typist_change(doc_user *self);

#endif
