/* platform/posix/channel_ring.h -- messages from one process to another through shared memory.
 *
 * One process writes, one reads; either may die at any instant, in the middle of anything, and be replaced by
 * another one that goes on where it stopped. What was written whole is read once, in order; of what was
 * being written or read when a process died, the reader learns that it is incomplete (|is_first|).
 *
 *   maker     lk_channel_ring_make     once, before the processes begin; forked processes inherit it
 *   writer    lk_channel_ring_write    then wakes the reader where it sleeps
 *   reader    lk_channel_ring_peek, _consume
 *
 * Waiting is done with bells: each process has one, whatever the number of its rings. A process that
 * is going to sleep says so, looks once more into its rings, and then waits for its descriptor:
 *
 *   lk_bell_prepare(&bell); if (all rings are empty) wait; lk_bell_wake(&bell);
 *
 * The other process is ours, but it may be broken, and all of the ring is within its reach: counters and lengths are checked
 * wherever they are used. A ring that makes no sense is emptied by whoever notices, so that neither end waits for the other
 * for ever, and lk_channel_ring_take_fault() tells. What was in it is lost: the process at the other end is to be ended, and
 * its successor makes itself known as it would after any death. */
#ifndef LK_PLATFORM_POSIX_CHANNEL_RING_H
#define LK_PLATFORM_POSIX_CHANNEL_RING_H

#include "base/base.h"

#include <stdatomic.h>

/* In shared memory. */
typedef struct lk_bell_shared {
  _Atomic uint32_t asleep;
} lk_bell_shared;

typedef struct lk_bell {
  lk_bell_shared *shared;
  int fd; /* an eventfd: readable when it was rung */
} lk_bell;

/* LK_ERR_LIMIT, LK_ERR_NOMEM. */
lk_err lk_bell_make(lk_bell *self) LK_MUST_USE;
/* Safe on a zeroed struct whose fd is -1, and twice. */
void lk_bell_close(lk_bell *self);

/* The owner is about to wait. */
void lk_bell_prepare(lk_bell *self);
/* It is awake: nobody needs to ring. */
void lk_bell_wake(lk_bell *self);
/* Its descriptor was readable: forgets that it was rung. */
void lk_bell_drain(lk_bell *self);
/* Anybody: wakes the owner where it sleeps or is about to. Costs a system call only then. */
void lk_bell_ring(lk_bell *self);
/* For a process that begins, in the place of one that may have died just before it rang. */
void lk_bell_ring_always(lk_bell *self);

typedef struct lk_channel_ring_shared lk_channel_ring_shared;

/* A handle; each process may copy it. */
typedef struct lk_channel_ring {
  lk_channel_ring_shared *shared;
  uint8_t
      *bytes; /* mapped twice, one behind the other, so that any stretch of it lies in one piece */
  uint32_t size;
  uint32_t peeked; /* the reader's: how much the piece takes that was peeked */
  bool is_faulty;  /* it made no sense */
} lk_channel_ring;

/* |size| is a power of two and at least a page. LK_ERR_LIMIT, LK_ERR_NOMEM. */
lk_err lk_channel_ring_make(lk_channel_ring *self, uint32_t size) LK_MUST_USE;
/* Safe on a zeroed struct, and twice. */
void lk_channel_ring_close(lk_channel_ring *self);

/* A process that takes the place of another one, at either end, before anything else: what its predecessor may have left that makes
 * no sense is gone then, and nobody's fault. */
void lk_channel_ring_take_over_reading(lk_channel_ring *self);
void lk_channel_ring_take_over_writing(lk_channel_ring *self);

/* Whether this end has found since the last time that the ring made no sense. */
bool lk_channel_ring_take_fault(lk_channel_ring *self);

/* Writes what fits of |bytes|, and returns how much that is. They are a message where |is_first|, or what is left of
 * one. Where not all of it fits, the reader will ring the writer's bell when there is room. */
size_t lk_channel_ring_write(lk_channel_ring *self, lk_slice bytes, bool is_first);

/* The next piece; |*is_first| where it begins a message. LK_ERR_END: there is none. LK_ERR_CORRUPT: the ring made
 * no sense and is empty now; lk_channel_ring_take_fault() says so, too. */
lk_err lk_channel_ring_peek(lk_channel_ring *self, lk_slice *piece, bool *is_first) LK_MUST_USE;

/* The piece that was peeked is done with. True where the writer waits for room: ring its bell. */
bool lk_channel_ring_consume(lk_channel_ring *self);

bool lk_channel_ring_is_empty(const lk_channel_ring *self);

#endif
