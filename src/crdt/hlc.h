/* crdt/hlc.h -- hybrid logical clocks: time of day where clocks agree, causality where they do not.
 *
 * A stamp is a time in milliseconds and a count that orders what happens within one. The next stamp
 * of a replica is above every stamp that it has seen, whatever its clock says, so that what was
 * written later, knowing what was there, always wins; a clock that runs ahead wins only against
 * those who have not heard of it.
 *
 * How far a stamp may be ahead of the receiver's clock is asked where an operation is admitted,
 * never when states are merged: replicas that merged the same states must agree whatever their
 * clocks say. */
#ifndef LK_CRDT_HLC_H
#define LK_CRDT_HLC_H

#include "base/buf.h"
#include "codec/reader.h"

#define LK_HLC_MS_MAX ((UINT64_C(1) << 48) - 1)

typedef struct lk_hlc {
  uint64_t ms;    /* since 1970; at most LK_HLC_MS_MAX */
  uint32_t count; /* within that millisecond */
} lk_hlc;

static inline int lk_hlc_compare(lk_hlc a, lk_hlc b) {
  if (a.ms != b.ms) return a.ms < b.ms ? -1 : 1;
  return (a.count > b.count) - (a.count < b.count);
}

/* A stamp above |seen|, the greatest that this replica knows (zeroed for none), and not before
 * |now_ms|. LK_ERR_OVERFLOW at the end of time, that is where |now_ms| is above LK_HLC_MS_MAX or
 * |seen| is the last stamp: |out| is as before. */
lk_err lk_hlc_next(lk_hlc seen, uint64_t now_ms, lk_hlc *out) LK_MUST_USE;

/* LK_ERR_CLOCK where |stamp| is more than |drift_ms| ahead of |now_ms|. */
lk_err lk_hlc_admit(lk_hlc stamp, uint64_t now_ms, uint64_t drift_ms) LK_MUST_USE;

/* ms:varuint count:varuint, canonical. encode's error is the buffer's, which then has nothing of the
 * stamp. decode: LK_ERR_TRUNCATED, LK_ERR_RANGE, LK_ERR_NOT_CANONICAL; |in| and |out| are as before. */
lk_err lk_hlc_encode(lk_buf *out, lk_hlc stamp);
lk_err lk_hlc_decode(lk_reader *in, lk_hlc *out) LK_MUST_USE;

#endif
