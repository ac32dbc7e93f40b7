/* crdt/position.h -- places between places, for lists that many edit at once.
 *
 * A position is a string of bytes; positions are ordered as bytes are (lk_slice_compare). Between
 * any two there is room for more, and no two replicas ever make the same one: each contains the
 * actor that made it and a number that this actor uses once. A position means the same everywhere
 * and for ever; it depends on no other element, so that elements may arrive and go in any order.
 *
 *   position := step (side step)*         side: left or right of the step before it
 *   step     := actor, signed number      the number's magnitude is the |seq| that was passed
 *
 * Runs stay together: what one replica types between two neighbours, from left to right, from right
 * to left or to and fro, is not mixed with what another types there at the same time. A run costs
 * its prefix and a growing number, so that positions stay short however long it gets. The form and
 * the reasons: essay in position.c. */
#ifndef LK_CRDT_POSITION_H
#define LK_CRDT_POSITION_H

#include "base/base.h"

/* Appends a position strictly between |left| and |right|, positions or empty: the beginning, the
 * end. They may not point into |out|. |actor| is 1 to 64 bytes of UTF-8; |seq|, 1 to 2^63-1, is one
 * for which |actor| has never made a position, in any order; runs stay together where it grows. The
 * result has at most actor.len + 11 bytes more than the longer neighbour. Takes time proportional
 * to the lengths.
 *
 * LK_ERR_ACTOR, LK_ERR_RANGE for a bad |actor| or |seq|; LK_ERR_INVALID where |left| is not before
 * |right| or one of them is no position; LK_ERR_LIMIT where the result would be longer than
 * |len_max| or |out|'s maximum; LK_ERR_NOMEM. |out| is then as before and remembers no error,
 * unless it came with one: that is then returned. */
lk_err lk_position_between(lk_slice left, lk_slice right, lk_slice actor, uint64_t seq,
                           size_t len_max, lk_buf *out) LK_MUST_USE;

/* LK_OK for bytes that have the form of a position, of which there is one; it may still be one that
 * nobody made. LK_ERR_TRUNCATED; LK_ERR_TRAILING; LK_ERR_ACTOR; LK_ERR_NOT_CANONICAL for a number
 * that has a shorter form, or is zero; LK_ERR_RANGE for one above 2^63-1; LK_ERR_CORRUPT for a mark
 * behind a step that is none. */
lk_err lk_position_decode(lk_slice position) LK_MUST_USE;

#endif
