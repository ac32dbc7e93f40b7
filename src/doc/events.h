/* doc/events.h -- who is told about changes, inside. */
#ifndef LK_DOC_EVENTS_H
#define LK_DOC_EVENTS_H

#include "doc/engine.h"

typedef enum lk_observer_kind {
  LK_OBSERVE_UPDATE_V1,
  LK_OBSERVE_UPDATE_V2,
  /* those above want updates, those below events */
  LK_OBSERVE_NODE,  /* changes of one node */
  LK_OBSERVE_DEEP,  /* and of all below it */
  LK_OBSERVE_AFTER, /* each transaction when the other observers were called: undo managers */
  LK_OBSERVE_SUBDOCS,
} lk_observer_kind;

/* LK_ERR_NOMEM, LK_ERR_LIMIT. |id| may be NULL. */
lk_err lk_observer_add(lk_doc *doc, uint32_t what, uint32_t type, void (*fn)(void), void *ctx,
                       uint32_t *id) LK_MUST_USE;

#endif
