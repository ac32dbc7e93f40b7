/* crdt/hlc.c -- a clock that never goes back, because it has seen where it was.
 *
 *   stamp := ms:varuint count:varuint        each in its shortest form
 *
 *   seen            now     next
 *   {100, 7}        250     {250, 0}         the clock has moved on: time of day again
 *   {100, 7}        100     {100, 8}         the same millisecond
 *   {100, 7}         40     {100, 8}         a clock that was set back, or another's that is ahead
 *   {100, 2^32-1}    40     {101, 0}         a full millisecond lends from the one after it
 *
 * Always: next is above what was seen and not before now, so that it orders as causality does, and
 * it is as close to the time of day as that allows. Nothing is remembered here: "seen" is the
 * greatest stamp in the state, which every replica has anyway, so that a restart cannot lose it.
 *
 * The end of time. 48 bits of milliseconds last until the year 10889; whoever is there has a broken
 * clock or met a forged stamp. Then next refuses. Not chosen: to go on with the last millisecond
 * that there is. All writes would tie, first by count and then by actor, silently and for good,
 * since what was seen never goes back; an error can be repaired by setting the clock. A forged
 * stamp does not get that far where lk_hlc_admit() is asked first.
 *
 * A writer may be admitted at the very edge, {now + drift, 2^32-1}. Who has seen it writes {now +
 * drift + 1, 0} next, which others refuse until their clock has moved on by a millisecond: trying
 * again is enough. */
#include "crdt/hlc.h"

#include "codec/varint.h"

lk_err lk_hlc_next(lk_hlc seen, uint64_t now_ms, lk_hlc *out) {
  LK_ASSERT(seen.ms <= LK_HLC_MS_MAX);
  if (now_ms > LK_HLC_MS_MAX) return LK_ERR_OVERFLOW;
  if (now_ms > seen.ms) {
    *out = (lk_hlc){ now_ms, 0 };
  } else if (seen.count < UINT32_MAX) {
    *out = (lk_hlc){ seen.ms, seen.count + 1 };
  } else if (seen.ms < LK_HLC_MS_MAX) {
    LK_COVERED(hlc_filled_a_millisecond);
    *out = (lk_hlc){ seen.ms + 1, 0 };
  } else {
    return LK_ERR_OVERFLOW;
  }
  return LK_OK;
}

lk_err lk_hlc_admit(lk_hlc stamp, uint64_t now_ms, uint64_t drift_ms) {
  /* A difference, since the sum may not fit. */
  bool ahead = stamp.ms > now_ms && stamp.ms - now_ms > drift_ms;
  return ahead ? LK_ERR_CLOCK : LK_OK;
}

lk_err lk_hlc_encode(lk_buf *out, lk_hlc stamp) {
  LK_ASSERT(stamp.ms <= LK_HLC_MS_MAX);
  /* Room for both at once, so that no half of a stamp is left in a buffer that is full. */
  uint8_t *at = lk_buf_extend(out, lk_varuint_len(stamp.ms) + lk_varuint_len(stamp.count));
  if (at == NULL) return lk_buf_err(out);
  at += lk_varuint_store(at, stamp.ms);
  (void)lk_varuint_store(at, stamp.count);
  return LK_OK;
}

lk_err lk_hlc_decode(lk_reader *in, lk_hlc *out) {
  lk_reader at = *in;
  uint64_t ms, count;
  lk_err err = lk_varuint_decode_canonical(&at, LK_HLC_MS_MAX, &ms);
  if (err == LK_OK) err = lk_varuint_decode_canonical(&at, UINT32_MAX, &count);
  if (err != LK_OK) return err;
  *in = at;
  *out = (lk_hlc){ ms, (uint32_t)count };
  return LK_OK;
}
