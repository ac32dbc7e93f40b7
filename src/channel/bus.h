/* channel/bus.h -- what an edge process and a room process say to each other.
 *
 *   edge                                                room process
 *    │ HELLO generation ──────────────────────────────────> forgets the members of an earlier edge
 *    │ <──────────────────────────────── HELLO generation │ on its start, and as the answer
 *    │ RESTORE member topic payload ──────────────────────> a member that was in before it died
 *    │ JOIN request member topic payload ─────────────────> ACCEPT or REFUSE or UNMATCHED request
 *    │ MESSAGE request member event payload ──────────────> REPLY request status, or LATE
 *    │ LEAVE member ──────────────────────────────────────>
 *    │ QUERY request topic event payload ─────────────────> REPLY request status, or LATE or UNMATCHED: from nobody
 *    │                                                    │ who is in the room
 *    │ <──────────────────── PUSH member event payload    │
 *    │ <──────────────────── BROADCAST topic event payload│ one copy for each edge; but |member|
 *    │ <──────────────────── CRASH member reason          │ it is out
 *    │ LAG member lag ────────────────────────────────────> it reads more slowly than it is sent to, or no longer
 *    │ <──────────────────── LAG member lag profile       │ BEHIND: what is broadcast from here on is not for it; IN_STEP:
 *    │                                                    │ it has been sent what it missed, and gets the rest again
 *
 *   edge with a connection                              edge with the session (channel/relay.h)
 *    │ HELLO generation ──────────────────────────────────> forgets what an earlier one waited for; and back
 *    │ POLL_GET request token, POLL_POST .. body ─────────> POLL_ANSWER request body, or POLL_GONE: no such session
 *    │ POLL_WRITTEN request, POLL_LOST request ───────────> what became of the answer
 *
 * A member is one joining of one topic by one connection. Edges number their members and requests;
 * a request number is never used twice by one generation of an edge and is answered exactly once.
 * |event| is the status in a REPLY and the reason in a CRASH; in a JOIN and a RESTORE the alias by which the client knows the
 * topic, empty where that is its name. What a client may do comes with each of its requests,
 * since that changes; who it is, with its join.
 *
 * Messages are frames in a stream of bytes, since that is what a ring in shared memory carries. A
 * process may die with half a frame read or written, so whoever carries the stream knows where a frame
 * begins, and says so (lk_bus_reader_boundary):
 *
 *   frame := len:u32 kind:u8 flags:u8 field*     len counts from kind on; little endian
 *   field := varuint (numbers) | varuint bytes (texts), in the order of LK_BUS_HAS_*
 *
 * The other side is a process of ours, but one that talks to strangers and may die in the middle
 * of anything: what it sends is checked like any other bytes. */
#ifndef LK_CHANNEL_BUS_H
#define LK_CHANNEL_BUS_H

#include "channel/message.h"
#include "channel/profile.h"
#include "channel/rights.h"

enum {
  LK_BUS_HAS_GENERATION = 1, /* and |answers| */
  LK_BUS_HAS_REQUEST = 2,
  LK_BUS_HAS_SETTLED = 4,
  LK_BUS_HAS_MEMBER = 8,
  LK_BUS_HAS_TOPIC = 16,
  LK_BUS_HAS_EVENT = 32,
  LK_BUS_HAS_PAYLOAD = 64,
  LK_BUS_HAS_SUBJECT = 128,
  LK_BUS_HAS_PROFILES = 256,
};

typedef enum lk_bus_kind {
#define BUS(name, number, fields) LK_BUS_##name = (number),
#include "channel/bus.def"
#undef BUS
} lk_bus_kind;

/* For whom a BROADCAST is. Members that want presence wait for a state, and then hear of changes. */
typedef enum lk_bus_audience {
  LK_BUS_ALL,
  LK_BUS_WAITERS, /* who from then on are hearers; in an ACCEPT: this member wants presence */
  LK_BUS_HEARERS,
  LK_BUS_AUDIENCES
} lk_bus_audience;

/* How far a member is behind what it is sent, in the field |request| of a LAG. */
typedef enum lk_bus_lag {
  LK_BUS_IN_STEP,
  LK_BUS_SLOW,   /* it should be sent to less often */
  LK_BUS_BEHIND, /* and now not at all, until it has read what waits for it */
} lk_bus_lag;

typedef struct lk_bus_message {
  lk_bus_kind kind;
  lk_bus_audience audience;   /* BROADCAST, ACCEPT */
  lk_rights rights;           /* JOIN, RESTORE, MESSAGE, QUERY */
  lk_message_dialect dialect; /* ACCEPT: what this member reads from then on; PUSH: the same,
                                 PLAIN: as before */
  bool
      binary; /* |payload| is bytes, not JSON text; POLL_POST: a batch; POLL_ANSWER: has messages */
  bool again; /* MESSAGE, JOIN: sent before, to a room process that died */
  uint64_t generation; /* HELLO: the sender's */
  uint64_t answers;    /* HELLO: the generation of the receiver that the sender knows; 0: none */
  uint64_t request;    /* LAG: lk_bus_lag */
  uint64_t settled;    /* JOIN, MESSAGE: every request below it has been answered */
  uint64_t member;     /* BROADCAST: who does not get it; 0: everybody does */
  lk_slice topic;      /* POLL_*: the session's token */
  lk_slice event;
  lk_slice payload;
  lk_slice subject; /* who the client is, by its token; empty: nobody in particular */
  lk_profile_set
      profiles; /* BROADCAST: whose; ACCEPT, REPLY, LAG: the one of this member from then on, 0: as before */
} lk_bus_message;

/* How long its frame is. */
size_t lk_bus_size(const lk_bus_message *message);

/* More than there is in any frame beside its payload: names, numbers, and who somebody is by a token. */
#define LK_BUS_FRAME_REST 131072u

/* Appends one frame. LK_ERR_TOO_BIG where it would be longer than |frame_max| bytes; the buffer's
 * errors. On failure |out| is as before. */
lk_err lk_bus_encode(const lk_bus_message *message, uint32_t frame_max, lk_buf *out) LK_MUST_USE;

/* Takes back what has not gone yet of |out|, which holds frames of which |off| bytes have gone: a frame that
 * was begun is left whole. */
void lk_bus_forget(lk_buf *out, size_t off);

/* |count| more bytes of |out| have gone, of which |*off| had before. Frames that have gone whole are let go of
 * now and then, so that a reader who is never done does not keep all that it was ever sent; when all have gone, memory for
 * many is given back. */
void lk_bus_consume(lk_buf *out, size_t *off, size_t count);

/* Reads a stream that is cut anywhere. */
typedef struct lk_bus_reader {
  lk_buf partial;  /* the beginning of a frame whose end has not come */
  bool is_whole;   /* |partial| was given out */
  bool is_in_step; /* what comes next belongs to |partial|, or begins a frame */
  uint32_t frame_max;
} lk_bus_reader;

/* Allocates nothing. Bytes are passed over until the first boundary. */
void lk_bus_reader_init(lk_bus_reader *self, const lk_alloc *alloc, uint32_t frame_max);
/* Safe on a zeroed struct, and twice. */
void lk_bus_reader_deinit(lk_bus_reader *self);

/* The bytes that are read next begin a frame: one that is still unfinished will never end. */
void lk_bus_reader_boundary(lk_bus_reader *self);

/* Takes one message from the front of |in|. Its slices live until the next call and as long as
 * the bytes of |in|. LK_ERR_MORE: |in| is used up, and no message is whole. LK_ERR_CORRUPT,
 * LK_ERR_TOO_BIG: this is not such a stream; LK_ERR_NOMEM. After these, |in| is used up, and nothing
 * is read before the next boundary. */
lk_err lk_bus_read(lk_bus_reader *self, lk_slice *in, lk_bus_message *out) LK_MUST_USE;

#endif
