/* channel/refusal.h -- what is refused for now: {"reason", "retry_after_ms"}.
 *
 * Time cures it, and says itself when it is worth while to ask again: a client that asks sooner is refused again, and one of thousands
 * that does is what the server has no time for. A client of ours waits for so long at least (peer/channel.h); phoenix.js has times of its own.
 *
 *   5 s   somebody has to go first: topics, members, memory
 *   1 s   something is looked at again by then: the disk (room/house_space.c), a room that broke down, an application
 *
 * What no time cures has no such member (peer/refusals.def). */
#ifndef LK_CHANNEL_REFUSAL_H
#define LK_CHANNEL_REFUSAL_H

#include "base/base.h"

#define LK_RETRY_FULL_MS 5000
#define LK_RETRY_SOON_MS 1000

/* The same as a member of JSON. */
#define LK_RETRY_TEXT_OF(ms) "\"retry_after_ms\":" #ms
#define LK_RETRY_TEXT(ms) LK_RETRY_TEXT_OF(ms)
#define LK_RETRY_FULL LK_RETRY_TEXT(LK_RETRY_FULL_MS)
#define LK_RETRY_SOON LK_RETRY_TEXT(LK_RETRY_SOON_MS)

#define LK_REFUSED_SERVER_FULL LK_LIT("{\"reason\":\"server full\"," LK_RETRY_FULL "}")
#define LK_REFUSED_ROOM_FULL LK_LIT("{\"reason\":\"room full\"," LK_RETRY_FULL "}")
#define LK_REFUSED_ROOM_CRASHED LK_LIT("{\"reason\":\"room crashed\"," LK_RETRY_SOON "}")
#define LK_REFUSED_HOOK_FAILED LK_LIT("{\"reason\":\"hook_failed\"," LK_RETRY_SOON "}")

#endif
