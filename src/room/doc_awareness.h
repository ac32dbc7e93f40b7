/* room/doc_awareness.h -- who of a document's members shows what: the awareness of y-protocols as a server keeps it.
 *
 * Members speak for the clients that they brought. What a member says of another one's client is passed over: editors
 * repeat what they heard, and take silent ones to have gone, each for itself. A client moves to another member that shows it
 * with a later clock, as an editor does that has reconnected before its old connection was given up; or with the same one, as
 * the first thing that it says, where the other one has only repeated it.
 *
 * What changed is told together, LK_DOC_AWARENESS_MS after what was told last. When a member leaves, its clients go.
 *
 * Presence and awareness are two views of the same people. One of the clients that a member speaks for is its own: the one that
 * it speaks of alone, as editors do; one that repeats what it heard names several. What those show can be followed, for presence.
 * And a member that has never spoken for a client can have a stand-in, which shows what presence has of it (doc_stand_ins.h). */
#ifndef LK_ROOM_DOC_AWARENESS_H
#define LK_ROOM_DOC_AWARENESS_H

#include "base/base.h"
#include "base/map.h"
#include "channel/awareness.h"
#include "room/doc_stand_ins.h"

#define LK_DOC_AWARENESS_MS 40u

typedef struct lk_doc_awareness {
  const lk_alloc *alloc;
  const lk_limits *limits;
  lk_awareness *states; /* NULL before the first */
  lk_map owners;        /* client -> member, and where in its list */
  lk_map members;       /* member -> its clients */
  lk_map changed;       /* clients of whom something is to be told */
  lk_map *fresh; /* members whose own client shows something else; NULL: nobody follows that */
  lk_doc_stand_ins *stand_ins; /* NULL before the first */
  uint64_t renew_ms; /* when stand-ins are to be shown again, or others take them to have gone */
  uint64_t told_ms;
  uint64_t seed[2];
} lk_doc_awareness;

/* Allocates nothing. |seed| is fresh entropy. */
void lk_doc_awareness_init(lk_doc_awareness *self, const lk_alloc *alloc, const lk_limits *limits,
                           const uint64_t seed[2]);
/* Safe on a zeroed struct, and twice. */
void lk_doc_awareness_deinit(lk_doc_awareness *self);

/* Takes in what |member| says. The errors of lk_awareness_apply(): nothing was taken in. */
lk_err lk_doc_awareness_take(lk_doc_awareness *self, uint64_t member, lk_slice update,
                             uint64_t now_ms) LK_MUST_USE;

/* |member| is gone, and with it its clients. LK_ERR_NOMEM: they go later, as silent ones do. */
lk_err lk_doc_awareness_leave(lk_doc_awareness *self, uint64_t member, uint64_t now_ms) LK_MUST_USE;

/* ---- presence ---- */

/* Whether |member| has ever spoken for a client. */
bool lk_doc_awareness_has_spoken(const lk_doc_awareness *self, uint64_t member);

/* How many have, of those who are here. */
static inline uint32_t lk_doc_awareness_speakers(const lk_doc_awareness *self) {
  return lk_map_count(&self->members);
}

/* What |member| shows by its own client. False where it shows nothing. */
bool lk_doc_awareness_own(const lk_doc_awareness *self, uint64_t member, uint64_t *client,
                          lk_slice *state);

/* From now on members are noted whose own clients show something else; first all of them. LK_ERR_NOMEM. */
lk_err lk_doc_awareness_follow(lk_doc_awareness *self) LK_MUST_USE;

/* Nobody asks for them any more. */
void lk_doc_awareness_unfollow(lk_doc_awareness *self);

/* Takes one of those; |*cursor| is 0 at first, and of no use when anything else was called. False where there is none. */
bool lk_doc_awareness_take_fresh(lk_doc_awareness *self, uint32_t *cursor, uint64_t *member);

/* The stand-in of |member|, who has not spoken, shows |state|. |date_ms|, since 1970, is what its clock comes from. The errors of
 * lk_awareness_apply(), LK_ERR_LIMIT beyond presence_stand_ins_count: it shows what it showed before. */
lk_err lk_doc_awareness_stand_in(lk_doc_awareness *self, uint64_t member, lk_slice state,
                                 uint64_t date_ms, uint64_t now_ms) LK_MUST_USE;

/* |member| has no stand-in any more. LK_ERR_NOMEM. */
lk_err lk_doc_awareness_stand_down(lk_doc_awareness *self, uint64_t member,
                                   uint64_t now_ms) LK_MUST_USE;
/* And nobody has. */
lk_err lk_doc_awareness_stand_down_all(lk_doc_awareness *self, uint64_t now_ms) LK_MUST_USE;

/* ---- telling ---- */

/* Whether what changed may be told. */
bool lk_doc_awareness_is_due(const lk_doc_awareness *self, uint64_t now_ms);

/* Something was told, to others or to presence: what comes now waits. */
static inline void lk_doc_awareness_note_told(lk_doc_awareness *self, uint64_t now_ms) {
  self->told_ms = lk_max_u64(now_ms, 1);
}

/* When lk_doc_awareness_tick() has something to do; UINT64_MAX: never. */
uint64_t lk_doc_awareness_deadline(const lk_doc_awareness *self);

/* Silent clients go; then what is due to be told is appended to |out|, an awareness update; nothing where nothing is. */
lk_err lk_doc_awareness_tick(lk_doc_awareness *self, uint64_t now_ms, lk_buf *out) LK_MUST_USE;

/* All that is shown, for who just came; nothing where nothing is shown. */
lk_err lk_doc_awareness_encode(const lk_doc_awareness *self, lk_buf *out);

/* The longest update that tells of all: the states, which awareness_bytes bounds together, and beside each an id, a clock and a
 * length. */
size_t lk_doc_awareness_update_max(const lk_limits *limits);

#endif
