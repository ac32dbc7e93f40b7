/* room/house.h -- rooms and their journals, without connections: the machine inside a room process.
 *
 *   edges ──channel/bus.h──> house ──input──> room ──effect──> house ──channel/bus.h──> edges
 *                              │ JOURNAL            SNAPSHOT_DONE
 *                              v                    v
 *              durable    one journal of all rooms   two slots for each topic     over a storage that syncs
 *              memory     a file for each topic      the same                     over one that survives the house
 *
 * Which topics are of which level says the policy. A topic that is on disk stays durable, whatever the policy says, until it is
 * deleted. One of level memory is erased when it has been without members for a while.
 *
 * The daemon drives it with rings and files, the simulator with its network and disk: it is the same
 * code. A host calls, in any order:
 *
 *   lk_house_feed       bytes that an edge sent
 *   lk_house_step       time has passed, or the storage may have completed something
 *   lk_house_output     bytes for an edge; lk_house_consume when they are on their way
 *   lk_house_deadline   when to call lk_house_step at the latest
 *
 * A house may die at any instant. The next one has another generation and says so: edges then restore
 * their members and send again what was not answered. What of it had been applied stands in the journal
 * beside the state, so it is answered and not applied twice.
 *
 * Where a storage is full, changes are refused, and everything else goes on: house_space.c. Where the journal fails, every room that is kept is dropped and its members are told; they rejoin, and
 * rooms are opened again from what the storage really holds. The journal is opened again after a
 * second, later after up to half a minute; joins are refused meanwhile. */
#ifndef LK_ROOM_HOUSE_H
#define LK_ROOM_HOUSE_H

#include "base/storage.h"
#include "room/policy.h"
#include "room/room.h"

typedef struct lk_house lk_house;

#define LK_HOUSE_NEVER UINT64_MAX
#define LK_HOUSE_EDGES_MAX 64

/* All of it outlives the house. */
typedef struct lk_house_options {
  const lk_env *env;
  const lk_env *awake; /* likewise, for what rooms need while somebody writes or reads; NULL: |env| */
  const lk_limits *limits;
  lk_storage *storage; /* of level durable: acknowledged when synced. NULL: no topic has it */
  lk_storage *
      memory; /* of level memory: acknowledged when written. It survives the house, not the machine. NULL: no
                          topic has it; one of the two is there */
  const lk_room_policy *policy; /* NULL: LK_ROOM_POLICY_PRESET */
  uint64_t entropy;             /* seeds ids and what strangers may not guess */
  uint64_t generation;          /* not 0, and never used before on the same links */
  uint32_t edges_count;         /* at most LK_HOUSE_EDGES_MAX */
  uint32_t
      index; /* of this house among those that share the storage. A topic must always be the same
                           one's: its records are in that house's journal */
  uint32_t houses_count; /* that do. 0: it has it for itself */
} lk_house_options;

/* Each edge is greeted: that is in its output. LK_ERR_NOMEM. */
lk_err lk_house_open(const lk_house_options *options, lk_house **out) LK_MUST_USE;

/* Drops everything at once, as a crash would. Operations that are under way in the storage must
 * have been completed or the storage be gone: lk_house_is_idle() tells. */
void lk_house_close(lk_house *self);

/* No change is taken any more. What was taken becomes durable, and the journal notes that it was closed in order, so
 * that damage can be told from a crash: lk_house_is_idle() tells when that is done. */
void lk_house_end(lk_house *self);

/* True where no operation of this house is under way in the storage. */
bool lk_house_is_idle(const lk_house *self);

/* Takes |bytes| of |edge|, cut anywhere; |boundary| where they begin a frame. Bytes that are not of the
 * bus are passed over up to the next boundary, and the edge is greeted anew, so that it begins again. */
void lk_house_feed(lk_house *self, uint32_t edge, lk_slice bytes, bool boundary, uint64_t now_ms);

/* What |edge| is to be sent, in whole frames but for the part that was consumed; until the next call. */
lk_slice lk_house_output(const lk_house *self, uint32_t edge);
void lk_house_consume(lk_house *self, uint32_t edge, size_t count);

/* So much waits for |edge|, half of bus_output_bytes, that nothing more should be taken from it until it has read some of that: what
 * it asks would be answered on top. */
bool lk_house_must_wait(const lk_house *self, uint32_t edge);

/* The date at |now_ms|: what rooms are told goes by it from then on. Without it they know none. */
void lk_house_set_date(lk_house *self, uint64_t wall_ms, uint64_t now_ms);

/* Takes completions from the storage and lets timers fire. */
void lk_house_step(lk_house *self, uint64_t now_ms);

/* The time of the earliest timer, or LK_HOUSE_NEVER. Storage completions have none: the host knows
 * when to look. */
uint64_t lk_house_deadline(const lk_house *self);

typedef struct lk_house_stats {
  uint64_t rooms;
  uint64_t members;
  uint64_t requests;
  uint64_t journals;  /* records that became durable */
  uint64_t batches;   /* in so many writes with one sync each */
  uint64_t snapshots; /* that became durable */
  uint64_t erased;    /* topics: deleted, or of level memory and idle */
  uint64_t journal_failures;
  lk_err journal_err; /* of the last one; LK_OK where there was none */
  uint64_t rooms_dropped;
  uint64_t refused_rooms;    /* joins at rooms_count, or for want of memory for a room */
  uint64_t refused_members;  /* joins at room_members_count */
  uint64_t refused_presence; /* what somebody wanted to show, at a limit of presence */
  uint64_t refused_limits;   /* requests at a limit of their room: its memory, sizes, counts */
  uint64_t repeated;         /* requests that came again and had been applied */
  uint64_t members_skipped;  /* so often somebody read too slowly, and was spared what others were told */
  uint64_t storage_failures; /* rooms dropped for what the storage said */
  uint64_t refused;          /* changes for which there was no space */
  bool is_full;              /* there is none, on the disk or in memory: changes are refused, until there is some */
} lk_house_stats;

lk_house_stats lk_house_get_stats(const lk_house *self);

#endif
