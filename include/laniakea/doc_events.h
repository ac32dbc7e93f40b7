/* laniakea/doc_events.h -- what a transaction changed in a document, node by node.
 *
 *   lk_doc_observe(doc, text, redraw, ctx, NULL);
 *
 *   static void redraw(void *ctx, lk_doc *doc, const lk_event *event) {
 *     lk_event_delta(event, out);              [{"retain":5},{"insert":" world"}]
 *   }
 *
 * An event is about one node and one transaction. It is good during the callback only; what it tells is worked out
 * when it is asked for, so an observer that just wants to know costs nothing. Callbacks may read the document and
 * may change it: such a change is a transaction of its own, which is done at once and told about
 * afterwards. Who asks the first event afterwards hears of both, as the document says both then. Callbacks may add and
 * remove observers: a new one hears of the next transaction, a removed one of nothing more.
 *
 * The order is Yjs': observers of the changed nodes, in the order in which the nodes were first changed; deep
 * observers; undo managers; updates (lk_doc_on_update()); subdocuments. Nodes that were deleted meanwhile are left
 * out. Other than in Yjs a root that nobody asked for by kind is told about too. */
#ifndef LANIAKEA_DOC_EVENTS_H
#define LANIAKEA_DOC_EVENTS_H

#include "laniakea/doc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_event lk_event;

typedef void (*lk_event_fn)(void *ctx, lk_doc *doc, const lk_event *event);
/* All events of one transaction below a node, those with the shortest path first. Where there is no memory for
 * many, they come in several calls. */
typedef void (*lk_events_fn)(void *ctx, lk_doc *doc, const lk_event *const *events, size_t count);

/* Changes of |node| itself. lk_doc_off() ends it. LK_ERR_NOT_FOUND, LK_ERR_NOMEM, LK_ERR_LIMIT. */
LK_API lk_err lk_doc_observe(lk_doc *self, lk_node node, lk_event_fn fn, void *ctx,
                             uint32_t *id) LK_MUST_USE;
/* Of |node| and everything in it: Yjs' observeDeep. */
LK_API lk_err lk_doc_observe_deep(lk_doc *self, lk_node node, lk_events_fn fn, void *ctx,
                                  uint32_t *id) LK_MUST_USE;

LK_API lk_node lk_event_target(const lk_event *event);
LK_API uint64_t lk_event_origin(const lk_event *event);
LK_API bool lk_event_local(const lk_event *event);

/* Appends the way from the observed node (for lk_doc_observe(): from the root) to the target, a JSON array of
 * indexes and keys. LK_ERR_NOMEM, LK_ERR_LIMIT: of all below too. */
LK_API lk_err lk_event_path(const lk_event *event, lk_buf *out) LK_MUST_USE;

/* Appends what happened to the list, as Yjs' event.delta: retain, insert, delete; for texts with attributes. Inserted
 * elements of arrays and XML nodes are an array of their JSON, a text's a string or an embed. As in Yjs, asking deletes
 * formatting that turns out to say nothing new, in a transaction of its own; the errors of changing calls. It takes
 * time by what changed; in a formatted text also by the formatting in front of what was inserted. */
LK_API lk_err lk_event_delta(const lk_event *event, lk_buf *out) LK_MUST_USE;

typedef enum lk_key_action { LK_KEY_ADD, LK_KEY_UPDATE, LK_KEY_DELETE } lk_key_action;

/* Keys of a map, or attributes, that changed: Yjs' event.keys. Begin with |*cursor| 0; false when there is no more.
 * |old_json|, which may be NULL, gets the former value appended; nothing where there was none. What goes wrong
 * with that is the buffer's error. */
LK_API bool lk_event_next_key(const lk_event *event, uint32_t *cursor, lk_slice *key,
                              lk_key_action *action, lk_buf *old_json);

/* Whether the list, or that key, is among the changes. */
LK_API bool lk_event_list_changed(const lk_event *event);

/* Subdocuments that came and went with a transaction: their guids and options, as any, borrowed for the call. One
 * that came and went in the same transaction is not among them. */
typedef void (*lk_subdocs_fn)(void *ctx, lk_doc *doc, const lk_value *added, size_t added_count,
                              const lk_value *removed, size_t removed_count);
LK_API lk_err lk_doc_on_subdocs(lk_doc *self, lk_subdocs_fn fn, void *ctx,
                                uint32_t *id) LK_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
