/* doc/events.h -- who is told about changes, inside. */
#ifndef LK_DOC_EVENTS_H
#define LK_DOC_EVENTS_H

#include "doc/engine.h"
#include "laniakea/doc_events.h"

typedef enum lk_observer_kind {
  LK_OBSERVE_UPDATE_V1,
  LK_OBSERVE_UPDATE_V2,
  /* those above want updates, those below events */
  LK_OBSERVE_NODE,  /* changes of one node */
  LK_OBSERVE_DEEP,  /* and of all below it */
  LK_OBSERVE_AFTER, /* each transaction when the other observers were called: undo managers */
  LK_OBSERVE_SUBDOCS,
} lk_observer_kind;

/* Of LK_OBSERVE_AFTER. */
typedef void (*lk_after_fn)(void *ctx, lk_doc *doc, lk_tx *tx);

/* LK_ERR_NOMEM, LK_ERR_LIMIT. |id| may be NULL. */
lk_err lk_observer_add(lk_doc *doc, uint32_t what, uint32_t type, void (*fn)(void), void *ctx,
                       uint32_t *id) LK_MUST_USE;

/* Once the updates are out; where lk_events_call() was called before. */
void lk_events_subdocs(lk_doc *doc, lk_tx *tx);

/* |changed| of the transaction holds |count| changes of the target from |first| on. */
struct lk_event {
  lk_doc *doc;
  const lk_tx *tx;
  uint32_t target, observed;
  uint32_t first, count;
};

/* The client's state before the transaction. */
uint32_t lk_event_before(const lk_event *event, uint16_t client);
/* Yjs' adds and deletes: whether the transaction made, or deleted, the item. */
static inline bool lk_event_adds(const lk_event *event, const lk_item *item) {
  return item->clock >= lk_event_before(event, item->client);
}
static inline bool lk_event_deletes(const lk_event *event, const lk_item *item) {
  return lk_ranges_have(event->tx->ranges.at, event->tx->ranges.count, item->client, item->clock);
}

/* The transaction after |tx| that the document knows of: what callbacks did meanwhile. */
static inline const lk_tx *lk_event_next_tx(const lk_doc *doc, const lk_tx *tx) {
  return tx->next != NULL ? tx->next : tx == doc->tx ? NULL : doc->tx;
}

/* ---- in which words it is told ---- */

typedef enum lk_event_mark {
  LK_SAY_BEGIN,
  LK_SAY_END,
  LK_SAY_COMMA,
  LK_SAY_RETAIN, /* the beginnings of operations */
  LK_SAY_DELETE,
  LK_SAY_INSERT,
  LK_SAY_OPERATION_END,
  LK_SAY_ATTRIBUTES,
  LK_SAY_COLON,
  LK_SAY_ATTRIBUTES_END,
  LK_SAY_LIST,
  LK_SAY_LIST_END,
} lk_event_mark;

/* JSON, or whatever else says the same; each function appends. */
typedef struct lk_event_form {
  lk_slice mark[LK_SAY_LIST_END + 1];
  lk_err (*count)(lk_buf *out, uint32_t count);
  lk_err (*index)(lk_buf *out, uint32_t index);
  lk_err (*string)(lk_buf *out, lk_slice text);
  /* An any, or the text of JSON, perhaps "undefined", where |json|. */
  lk_err (*plain)(lk_slice value, bool json, lk_buf *out);
  /* The value at unit |at| of |item|, deleted or not; in JSON undefined is null. On failure |out| is as before. */
  lk_err (*value)(const lk_doc *doc, const lk_item *item, uint32_t at, lk_buf *out);
} lk_event_form;

extern const lk_event_form lk_event_json;

/* As those of laniakea/doc_events.h, which give JSON. */
lk_err lk_event_path_as(const lk_event *event, const lk_event_form *form, lk_buf *out) LK_MUST_USE;
lk_err lk_event_delta_as(const lk_event *event, const lk_event_form *form, lk_buf *out) LK_MUST_USE;
bool lk_event_next_key_as(const lk_event *event, const lk_event_form *form, uint32_t *cursor,
                          lk_slice *key, lk_key_action *action, lk_buf *old);

#endif
