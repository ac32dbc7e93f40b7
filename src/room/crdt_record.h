/* room/crdt_record.h -- what a room of the catalogue writes down, in records and in snapshots alike.
 *
 *   record  := state                                   a state or a delta in the catalogue's bytes, whose first is below 128
 *            | 0xFF flags:u8 [actor] [requests] state  flags: 1 actor, 2 requests
 *   actor   := len:u8 u8*                              the id for commands from then on
 *
 * What was executed under a request_id is written with the delta that it made: a record has both or neither, so a command
 * is never there without its id. */
#ifndef LK_ROOM_CRDT_RECORD_H
#define LK_ROOM_CRDT_RECORD_H

#include "codec/reader.h"
#include "room/crdt_author.h"
#include "room/crdt_requests.h"

/* Appends what stands before the state, as far as it is needed: |actor| where there is one, and |count| requests, up to
 * |skip| before the latest. Errors are the buffer's, and remembered by it. */
void lk_crdt_record_begin(lk_slice actor, const lk_crdt_requests *requests, uint32_t count,
                          uint32_t skip, lk_buf *out);

/* Reads |record|. |*actor| is empty where it has none; requests are added to |requests|, or passed over where that is NULL.
 * |*state| is not empty. LK_ERR_VERSION, LK_ERR_TRUNCATED, LK_ERR_RANGE, LK_ERR_NOT_CANONICAL, LK_ERR_NOMEM: some requests
 * may have been added. */
lk_err lk_crdt_record_read(lk_slice record, lk_crdt_requests *requests, lk_slice *actor,
                           lk_slice *state) LK_MUST_USE;

#endif
