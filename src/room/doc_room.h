/* room/doc_room.h -- a document that many edit at once: Yjs's, checked, kept and passed on.
 *
 *   topic doc:<name>
 *
 *   join {encoding?, state_vector?, generation?, dialect?}
 *       ok {history, state_vector, generation, access, durability, profile, encoding}
 *          history: updates that together are the document, or what it has beyond the state vector; with the encoding
 *          "binary" it is empty, and they follow as server_update
 *       error {reason: "diverged", generation}: the client's content is of another document that had this name
 *       error {reason: "unseeded", generation}: perhaps so; it is empty again, and the client may not write
 *   client_update  {bin} or {b64} or bytes: an update        ok {level}  when it is kept
 *                                                            error {reason: "replica_refused", ...}: see below
 *                                                            error {reason: "read_only"}
 *   server_update  to the others, dressed as each of them reads bytes
 *   sync           {state_vector}                            ok {history, state_vector}, as a join
 *   read           {as, root?}: room/doc_query.h; also asked by who is not in the room
 *   position       asked by who is not in the room alone: ok, bytes: the generation, big endian, and the state vector;
 *                  LK_ERR_NOT_FOUND where nobody has written yet
 *   awareness      {bin} or {b64} or bytes, both ways: y-protocols' awareness
 *   versions, version_save, version_read, version_compare, version_restore, version_delete: docs/reference/channels.md; also
 *                  asked by who is not in the room
 *   versions_changed {change, id, ...}    to all, when that is durable
 *   yjs, yjs_sync  y-protocols' messages as bytes, both ways: who sends one is answered in kind from then on
 *
 * Each update is taken into the document before it is acknowledged or passed on, so nobody hears of one that is
 * none, or that asks for more than limits allow. Who sent such a one has a replica that ours cannot follow: whatever that member
 * sends next would wait for what was refused. So its writing ends with "replica_refused"; it may read on.
 *
 * Members that may only read are told "read_only" where an update would change anything that can be seen. What would
 * not, they send in good faith: it is answered and dropped.
 *
 * An update is passed on, and answered, when it is durable: a crash takes nothing back that anybody but its author has seen. Joins
 * and readings wait for what they tell, too.
 *
 * What the room writes down: room/doc_record.h. */
#ifndef LK_ROOM_DOC_ROOM_H
#define LK_ROOM_DOC_ROOM_H

#include "room/room.h"

extern const lk_room_kind lk_doc_room_kind;

/* The kind's step, by its name. */
lk_err lk_doc_room_step(lk_room *self, const lk_room_input *input) LK_MUST_USE;

#endif
