/* room/doc_stand_ins.h -- entries in a document's awareness for members who show themselves in presence alone.
 *
 * A stand-in has a client id that the room made for it. It is one of the last 2^24 that a JavaScript number holds: clients of Yjs
 * draw theirs from the first 2^32, or from all 2^53, of which one in five hundred millions would be one of these; what anybody
 * says of those is passed over. It is made of the member's number, which stays when a room comes back after its process died,
 * and its clock is the date. So who saw a stand-in before sees the same one go on, and not another one beside it until that is
 * taken to have gone. */
#ifndef LK_ROOM_DOC_STAND_INS_H
#define LK_ROOM_DOC_STAND_INS_H

#include "base/base.h"
#include "base/map.h"

#define LK_DOC_STAND_IN_TICK_MS 100u
/* The first of their ids; all from it on are theirs. */
#define LK_DOC_STAND_IN_FIRST ((UINT64_C(1) << 53) - (UINT64_C(1) << 24))

typedef struct lk_doc_stand_in {
  uint64_t client;
  uint64_t clock; /* of what was shown last; 0: nothing was */
} lk_doc_stand_in;

typedef struct lk_doc_stand_ins {
  lk_map members; /* member -> lk_doc_stand_in */
  lk_map clients; /* client -> member */
} lk_doc_stand_ins;

/* Allocates nothing. There are at most |count_max| at once. |seed| is fresh entropy, which has no influence on ids. */
void lk_doc_stand_ins_init(lk_doc_stand_ins *self, const lk_alloc *alloc, uint32_t count_max,
                           const uint64_t seed[2]);
/* Safe on a zeroed struct, and twice. */
void lk_doc_stand_ins_deinit(lk_doc_stand_ins *self);

static inline bool lk_doc_stand_ins_owns(uint64_t client) {
  return client >= LK_DOC_STAND_IN_FIRST;
}

/* The one of |member|, or NULL; good until another one comes or goes. */
lk_doc_stand_in *lk_doc_stand_ins_find(const lk_doc_stand_ins *self, uint64_t member);

/* Finds or makes it. LK_ERR_NOMEM; LK_ERR_LIMIT beyond |count_max|. */
lk_err lk_doc_stand_ins_need(lk_doc_stand_ins *self, uint64_t member,
                             lk_doc_stand_in **out) LK_MUST_USE;

/* |member| has none any more. */
void lk_doc_stand_ins_remove(lk_doc_stand_ins *self, uint64_t member);

/* All of them, in the order in which they came: |*cursor| 0 at first; false at the end. Only the one that was returned may be
 * removed meanwhile. */
bool lk_doc_stand_ins_next(const lk_doc_stand_ins *self, uint32_t *cursor, uint64_t *member,
                           lk_doc_stand_in **out);

/* The least clock of what is shown at |date_ms|, since 1970; 0: not known. Who shows something else LK_DOC_STAND_IN_TICK_MS
 * later at the earliest never comes before the date. Until 2039 it has 32 bits, since there are clients that have no more. */
uint64_t lk_doc_stand_in_clock(uint64_t date_ms);

#endif
