/* room/doc_awareness.h -- who of a document's members shows what: the awareness of y-protocols as a server keeps it.
 *
 * Members speak for the clients that they brought. What a member says of another one's client is passed over: editors
 * repeat what they heard, and take silent ones to have gone, each for itself. A client moves to another member that shows it
 * with a later clock, as an editor does that has reconnected before its old connection was given up.
 *
 * What changed is told together, LK_DOC_AWARENESS_MS after what was told last. When a member leaves, its clients go. */
#ifndef LK_ROOM_DOC_AWARENESS_H
#define LK_ROOM_DOC_AWARENESS_H

#include "base/base.h"
#include "base/map.h"
#include "channel/awareness.h"

#define LK_DOC_AWARENESS_MS 40u

typedef struct lk_doc_awareness {
  const lk_alloc *alloc;
  const lk_limits *limits;
  lk_awareness *states; /* NULL before the first */
  lk_map owners;        /* client -> member */
  lk_map members;       /* member -> its clients */
  lk_map changed;       /* clients of whom something is to be told */
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

/* When lk_doc_awareness_tick() has something to do; UINT64_MAX: never. */
uint64_t lk_doc_awareness_deadline(const lk_doc_awareness *self);

/* Silent clients go; then what is due to be told is appended to |out|, an awareness update; nothing where nothing is. */
lk_err lk_doc_awareness_tick(lk_doc_awareness *self, uint64_t now_ms, lk_buf *out) LK_MUST_USE;

/* All that is shown, for who just came; nothing where nothing is shown. */
lk_err lk_doc_awareness_encode(const lk_doc_awareness *self, lk_buf *out);

#endif
