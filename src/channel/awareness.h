/* channel/awareness.h -- the object of laniakea/awareness.h, to be embedded with limits of one's own. */
#ifndef LK_CHANNEL_AWARENESS_H
#define LK_CHANNEL_AWARENESS_H

#include "base/base.h"
#include "laniakea/awareness.h"

#define LK_AWARENESS_NONE UINT32_MAX

typedef struct lk_awareness_client {
  uint64_t id;
  uint64_t clock;
  uint64_t updated_ms;
  uint8_t *state; /* owned; NULL where none is shown */
  uint32_t state_len;
  uint32_t prev; /* among those online, in the order in which they came */
  uint32_t next;
  bool online; /* shows a state */
} lk_awareness_client;

struct lk_awareness {
  const lk_alloc *alloc;
  lk_limits limits;
  uint64_t own;    /* or LK_AWARENESS_NO_CLIENT */
  uint64_t due_ms; /* nothing has to be done before */
  lk_awareness_client
      *clients;    /* in the order in which they were first heard of; the own one first */
  uint32_t *ranks; /* the same by their ids; as many, with the same cap */
  uint32_t count;
  uint32_t cap;
  uint32_t online_count;
  uint32_t first; /* of those online */
  uint32_t last;
  size_t state_bytes; /* of all of them */
  lk_awareness_event *events;
  uint32_t event_count;
  uint32_t event_cap;
};

/* See lk_awareness_open(). |limits| are copied. Deinit is safe after a failed init. */
lk_err lk_awareness_init(lk_awareness *self, const lk_alloc *alloc, const lk_limits *limits,
                         uint64_t client, uint64_t now_ms) LK_MUST_USE;

/* Safe on a zeroed struct, and twice. */
void lk_awareness_deinit(lk_awareness *self);

#endif
