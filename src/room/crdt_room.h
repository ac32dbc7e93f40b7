/* room/crdt_room.h -- a room that holds one object of the catalogue, of any type. What it says on the wire:
 *
 *   join    {"type":"orset"}      ok    {"type","value","replica","state","level"}
 *                                 error {"reason":"type_mismatch","field":"type","message"}
 *   crdt.<operation>              {"type":"crdt.add","payload":{"element":"x"},"request_id":"...","timestamp":...}: see
 *                                 crdt_commands.h; also the payload alone
 *   crdt.merge                    {"delta":D} or {"state":D}; {"counts":{"actor":3}} of a gcounter; or bytes
 *   crdt.get, crdt.subscribe      ok    {"value","state"}
 *   render                        ok    {"html"}: see crdt_html.h
 *   ask                           of nobody who is in the room: {"event","payload","type","must_exist","is_new"}, any of the above
 *                                 with terms: LK_ERR_NOT_FOUND where there must be an object and is none, LK_ERR_EXISTS where
 *                                 it must be new and is not; an object that is new takes the type of a writer
 *   state_updated                 to every member: {"value","delta"}, what changed
 *
 * A change is answered {"value","level"} when it is kept. D is a state or a delta in base64, or in the catalogue's JSON as an
 * object; what the room says is base64, but with {"encoding":"json"} in a join or a question. Every number that leaves the room is
 * durable. "value" is left out of answers to changes and of state_updated where it is long (VALUE_TOLD_MAX in crdt_answers.c).
 * A gcounter's answers also have "counts", its state in plain JSON: of a change those that changed, of an answer to
 * one none.
 *
 * No type in a join means the one that the object has, or gcounter. An object that was never changed and that nobody has
 * joined takes any type.
 *
 * Commands are counted under a replica id of the room's own, "room-" and 16 digits, which no other replica has; a gcounter's under
 * that id with ":" and the node_id behind it, where there is one. A request_id is executed once (crdt_requests.h).
 *
 * "increment" is crdt.increment in the words of the first clients: {"node_id"} alone counts one. They call crdt:<id> by the
 * name counter:<id> (an alias), which comes as a join's event. It is a gcounter for them, unless it is a pncounter already,
 * of which they see the value; another type is a mismatch. Their joins are answered {"state":{"value","counts"}}, and
 * while they are there every "state_updated" has all counts.
 *
 * An id in a request is up to clients: it must be unique among all clients of the object, so a UUID. */
#ifndef LK_ROOM_CRDT_ROOM_H
#define LK_ROOM_CRDT_ROOM_H

#include "room/room.h"

extern const lk_room_kind lk_crdt_room_kind;

#endif
