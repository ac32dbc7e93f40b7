/* channel/profile.h -- how a client is served, by what it says that it can.
 *
 *   profile             events                                     state
 *   full_client         at once                                    deltas
 *   constrained_client  every 100 ms, those in between as one      deltas
 *   minimal_client      every 1000 ms                              as HTML, made here
 *
 * A client says it in the params of its join, and again as the event `capabilities` when it has changed:
 *
 *   has_workers, has_sab, has_webtransport   booleans
 *   memory_mb                                a number
 *   connection_type                          "wifi", "ethernet", "cellular", "unknown"
 *   effective_type                           "4g", "3g", "2g", "slow-2g"
 *
 * either there or in an object `capabilities`. Who says nothing is served in full. */
#ifndef LK_CHANNEL_PROFILE_H
#define LK_CHANNEL_PROFILE_H

#include "base/base.h"

typedef enum lk_profile {
  LK_PROFILE_FULL,
  LK_PROFILE_CONSTRAINED,
  LK_PROFILE_MINIMAL,
  LK_PROFILES
} lk_profile;

typedef enum lk_profile_preset { LK_PRESET_LENIENT, LK_PRESET_STRICT } lk_profile_preset;

#define LK_PROFILE_CONSTRAINED_MS 100u
#define LK_PROFILE_MINIMAL_MS 1000u

/* "full_client" and so on. */
lk_slice lk_profile_name(lk_profile profile);

/* A set of profiles; 0 is all of them. */
typedef uint8_t lk_profile_set;
static inline lk_profile_set lk_profile_only(lk_profile profile) {
  return (lk_profile_set)(1u << profile);
}
static inline bool lk_profile_is_in(lk_profile_set set, lk_profile profile) {
  return set == 0 || (set >> profile & 1) != 0;
}

typedef struct lk_capabilities {
  bool is_declared; /* anything at all */
  bool knows_workers, has_workers;
  bool knows_sab, has_sab;
  bool knows_memory;
  double memory_mb;
  lk_slice connection_type; /* empty: not said; borrowed */
  lk_slice effective_type;
} lk_capabilities;

/* Reads them from |params|, any JSON; what is no object says nothing. LK_ERR_PAYLOAD for one of another type, of which
 * |field| then is the name; the errors of JSON. */
lk_err lk_capabilities_read(lk_slice params, const lk_limits *limits, lk_arena *scratch,
                            lk_capabilities *out, lk_slice *field) LK_MUST_USE;

lk_profile lk_profile_of(lk_profile_preset preset, const lk_capabilities *capabilities);

#endif
