/* codec/id.h -- 128-bit ids that sort by the time at which they were made: UUID version 7.
 *
 *   48 bits milliseconds since 1970 | 4 bits version 7 | 12 bits | 2 bits variant | 62 bits
 *
 * The order of the bytes is the order of the ids (RFC 9562, 5.7). One generator's ids are
 * strictly increasing whatever the clock does; ids of different generators differ by chance. They
 * tell when they were made, and the next one of a generator can be guessed better than by
 * chance: never a secret. */
#ifndef LK_CODEC_ID_H
#define LK_CODEC_ID_H

#include "base/slice.h"

#define LK_ID_LEN 16
#define LK_ID_TEXT_LEN 36
#define LK_ID_MS_MAX ((UINT64_C(1) << 48) - 1)
#define LK_ID_ENTROPY_LEN 10

typedef struct lk_id {
  uint8_t bytes[LK_ID_LEN];
} lk_id;

/* A zeroed struct is a fresh generator. */
typedef struct lk_id_generator {
  uint64_t ms;   /* of the last id, which may be ahead of the clock */
  uint64_t high; /* its 12 bits */
  uint64_t low;  /* its 62 bits */
  bool began;
} lk_id_generator;

/* The next id. |entropy| is LK_ID_ENTROPY_LEN fresh random bytes. Where the clock stands or goes
 * back, the last id's time is kept; where that is used up, the time runs ahead by 1 ms.
 * LK_ERR_RANGE for |now_ms| above LK_ID_MS_MAX, and where even the last millisecond is used up:
 * the generator is then unchanged. */
lk_err lk_id_generate(lk_id_generator *self, uint64_t now_ms, const uint8_t *entropy,
                      lk_id *out) LK_MUST_USE;

/* An id of given parts, the excess bits of which are ignored. */
lk_id lk_id_of_parts(uint64_t ms, uint64_t high_12, uint64_t low_62);

/* Whether version and variant are those of a UUIDv7. lk_id_ms() means something only then. */
bool lk_id_is_v7(const lk_id *self);
uint64_t lk_id_ms(const lk_id *self);

static inline lk_slice lk_id_slice(const lk_id *self) {
  return lk_slice_of(self->bytes, LK_ID_LEN);
}
static inline int lk_id_compare(const lk_id *a, const lk_id *b) {
  return memcmp(a->bytes, b->bytes, LK_ID_LEN);
}

/* Writes LK_ID_TEXT_LEN characters, lower case, without a NUL. */
void lk_id_format(const lk_id *self, uint8_t *out);

/* Reads the text form of any UUID, in either case: who wants only ids of this kind asks
 * lk_id_is_v7(). LK_ERR_SYNTAX: |out| is as before. */
lk_err lk_id_decode_text(lk_slice text, lk_id *out) LK_MUST_USE;

#endif
