/* log/slot.h -- the latest state of something small, kept so that a crash finds the old or the new one.
 *
 * Two slots take turns. Writing number n goes to slot n mod 2, so the one that is torn by a crash
 * is never the one that holds the last acknowledged state. Recovery looks at both and takes the
 * intact one with the higher number. This module computes; the caller owns the files.
 *
 * For states of a few kilobytes that are written whole. Histories have the segments of the log. */
#ifndef LK_LOG_SLOT_H
#define LK_LOG_SLOT_H

#include "base/base.h"

#define LK_SLOT_HEADER_LEN 24

/* Appends the bytes of one slot: header, then |body|. The error is the buffer's; LK_ERR_TOO_BIG
 * for a body of 4 GiB or more. */
lk_err lk_slot_encode(uint64_t number, lk_slice body, lk_buf *out);

/* Reads one slot file. |*body| borrows from |bytes|. LK_ERR_TRUNCATED, LK_ERR_VERSION,
 * LK_ERR_CHECKSUM, LK_ERR_CORRUPT: this slot holds nothing. Bytes behind the body are the rest of
 * a longer one and are ignored. */
lk_err lk_slot_decode(lk_slice bytes, uint64_t *number, lk_slice *body) LK_MUST_USE;

/* The beginning of the body, of which |bytes|, the beginning of a slot file, have a part: nothing says whether it is whole, or the
 * newest. LK_ERR_TRUNCATED, LK_ERR_CORRUPT: it is no slot; LK_ERR_VERSION. */
lk_err lk_slot_peek(lk_slice bytes, lk_slice *body) LK_MUST_USE;

/* The newest of the two slot files; an empty or damaged one counts as not there. |*intact| tells
 * whether nothing was damaged: then this is the latest state that was ever written, else there may have
 * been a later one. Where neither is there: LK_ERR_NOT_FOUND if one of them is empty, since a first write
 * that was torn leaves that, else LK_ERR_CORRUPT: something was written and nothing is left of it. */
lk_err lk_slot_recover(lk_slice slot0, lk_slice slot1, uint64_t *number, lk_slice *body,
                       bool *intact) LK_MUST_USE;

#endif
