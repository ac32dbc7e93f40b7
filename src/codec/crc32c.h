/* codec/crc32c.h -- CRC-32C (Castagnoli), against rot and torn writes, not against malice.
 *
 * The sum of nothing is 0, and lk_crc32c_update(lk_crc32c(a), b) is the sum of a followed by b. */
#ifndef LK_CODEC_CRC32C_H
#define LK_CODEC_CRC32C_H

#include "base/slice.h"

uint32_t lk_crc32c_update(uint32_t crc, lk_slice bytes);

static inline uint32_t lk_crc32c(lk_slice bytes) { return lk_crc32c_update(0, bytes); }

#endif
