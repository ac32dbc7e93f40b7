/* room/crdt_requests.h -- the requests that a room has executed, so that none is executed twice.
 *
 * A client that got no answer sends its command again, under the same request_id: after a reconnect, perhaps to another
 * process. The room remembers the last limits.room_requests_count of them, in the order in which they were executed. One that
 * is sent again after so many others is executed again.
 *
 * Of an id its SHA-256 is kept, cut to 16 bytes, and 4 bytes of that of the command: the same id for something else is a
 * client's mistake, and it is told so rather than answered with somebody else's result. */
#ifndef LK_ROOM_CRDT_REQUESTS_H
#define LK_ROOM_CRDT_REQUESTS_H

#include "base/base.h"
#include "codec/reader.h"

#define LK_CRDT_REQUEST_LEN 20

typedef struct lk_crdt_request {
  uint8_t id[16];
  uint8_t content[4];
} lk_crdt_request;

typedef struct lk_crdt_requests {
  const lk_alloc *alloc;
  lk_crdt_request *items; /* a ring once it is full */
  uint32_t first;
  uint32_t count;
  uint32_t cap;
  uint32_t count_max;
} lk_crdt_requests;

/* Allocates nothing. */
void lk_crdt_requests_init(lk_crdt_requests *self, const lk_alloc *alloc, uint32_t count_max);
/* Safe on a zeroed struct, and twice. */
void lk_crdt_requests_deinit(lk_crdt_requests *self);

/* |parts| are what the command is made of. */
lk_crdt_request lk_crdt_request_of(lk_slice id, const lk_slice *parts, size_t count);

/* The one with the id of |request|, or NULL. Good until one is added. */
const lk_crdt_request *lk_crdt_requests_find(const lk_crdt_requests *self,
                                             const lk_crdt_request *request);

/* Where there are too many the oldest goes. LK_ERR_NOMEM: nothing was changed. */
lk_err lk_crdt_requests_add(lk_crdt_requests *self, const lk_crdt_request *request) LK_MUST_USE;

/* Appends |count| of them, how many and then the oldest first, up to |skip| before the end. */
void lk_crdt_requests_encode(const lk_crdt_requests *self, uint32_t count, uint32_t skip,
                             lk_buf *out);

/* Adds those that are not there yet. LK_ERR_TRUNCATED, LK_ERR_RANGE, LK_ERR_NOT_CANONICAL, LK_ERR_NOMEM: some may
 * have been added. */
lk_err lk_crdt_requests_decode(lk_crdt_requests *self, lk_reader *in) LK_MUST_USE;
/* Passes over them. The same errors. */
lk_err lk_crdt_requests_skip(lk_reader *in) LK_MUST_USE;

#endif
