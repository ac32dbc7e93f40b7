/* log/manifest.h -- which segments a journal has: the small state that its two slots hold.
 *
 * Storages cannot list their files, so a journal writes down what it has. How the slots are written, and why
 * both: essay in journal.c. */
#ifndef LK_LOG_MANIFEST_H
#define LK_LOG_MANIFEST_H

#include "log/segment.h"

#define LK_MANIFEST_LEN 132

typedef struct lk_manifest {
  uint64_t oldest;     /* segments from this one up to |first| are retired and may still be there */
  lk_segment_id first; /* the oldest segment that is kept */
  lk_segment_id last;  /* the one that is being written; its file may not be there yet */
  uint64_t sealed_to;  /* how much of the last one is known to have been acknowledged */
} lk_manifest;

void lk_manifest_encode(const lk_manifest *self, uint8_t out[LK_MANIFEST_LEN]);

/* LK_ERR_CORRUPT, LK_ERR_VERSION; then |out| is as before. */
lk_err lk_manifest_decode(lk_slice bytes, lk_manifest *out) LK_MUST_USE;

#endif
