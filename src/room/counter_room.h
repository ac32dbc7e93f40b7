/* room/counter_room.h -- a room that holds one grow-only counter. What it says on the wire:
 *
 *   join              ok    {"type":"gcounter","value":8,"counts":{...},"replica":"id"}
 *   crdt.increment    {"payload":{"amount":2}}
 *   crdt.merge        {"counts":{"actor":3,...}}          a replica's state or delta
 *   crdt.get          anything
 *                     ok    {"value":8,"counts":{},"level":"durable"}     after a change
 *                     ok    {"value":8,"counts":{...}}                    after crdt.get
 *                     error {"reason":...,"field":...,"message":...}
 *   state_updated     to every member: {"value":8,"counts":{...}}, the changed counts alone
 *
 * Every number that leaves the room is durable, joins and answers to crdt.get included. Where the house keeps
 * it in memory only, that means: safe from the death of a process; "level" then says "memory". */
#ifndef LK_ROOM_COUNTER_ROOM_H
#define LK_ROOM_COUNTER_ROOM_H

#include "room/room.h"

extern const lk_room_kind lk_counter_room_kind;

#endif
