/* room/relay_room.h -- a room that passes on what its members say, and keeps nothing.
 *
 *   join        ok {}
 *   any event   to every other member with the same event and payload, JSON or bytes
 *               ok {} to whoever sent it
 *
 * What is said while nobody else is there is heard by nobody. A member that was away (its room process died)
 * has missed what was said meanwhile, as a listener to a radio has. */
#ifndef LK_ROOM_RELAY_ROOM_H
#define LK_ROOM_RELAY_ROOM_H

#include "room/room.h"

extern const lk_room_kind lk_relay_room_kind;

#endif
