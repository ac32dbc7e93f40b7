/* laniakea/doc_undo.h -- taking back what one user did, and only that: Yjs' UndoManager.
 *
 *   lk_undo *undo;
 *   lk_undo_options options = LK_UNDO_OPTIONS_INIT;
 *   lk_undo_open(doc, &text, 1, &options, &undo);
 *   ...
 *   lk_undo_undo(undo, now_ms, &done);
 *
 * It watches some nodes (the scope) and remembers the transactions of certain origins that change them. Changes
 * within |capture_ms| of each other are taken back together. What others do in between stays; deleted
 * content is kept from garbage collection, until lk_undo_clear().
 *
 * For the same calls the updates are the bytes that Yjs 13.6 emits. Two differences: a transaction that changed nothing
 * is not remembered by a manager of a whole document, and undoing from within a callback of the same manager's undoing is
 * LK_ERR_STATE. A transaction that ends when there is no memory to remember it cannot be taken back. */
#ifndef LANIAKEA_DOC_UNDO_H
#define LANIAKEA_DOC_UNDO_H

#include "laniakea/doc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_undo lk_undo;

typedef struct lk_undo_options {
  size_t size;
  uint64_t capture_ms;     /* 500 in Yjs; 0: each transaction by itself */
  const uint64_t *origins; /* transactions with these origins count; NULL: those with origin 0 */
  size_t origin_count;
  bool ignore_remote_map_changes;
  uint64_t (*now_ms)(
      void *
          ctx); /* the time of day when a transaction is captured; NULL: capture_ms is taken for 0 */
  void *now_ctx;
} lk_undo_options;
#define LK_UNDO_OPTIONS_INIT                                                                       \
  { sizeof(lk_undo_options), 500, NULL, 0, false, NULL, NULL }

/* |scope| NULL with count 0: the whole document, whatever is added later. Closes before its document does. LK_ERR_NOT_FOUND, LK_ERR_NOMEM, LK_ERR_LIMIT. */
LK_API lk_err lk_undo_open(lk_doc *doc, const lk_node *scope, size_t count,
                           const lk_undo_options *options, lk_undo **out) LK_MUST_USE;
LK_API void lk_undo_close(lk_undo *self);
LK_API lk_err lk_undo_add_scope(lk_undo *self, lk_node node) LK_MUST_USE;
LK_API lk_err lk_undo_add_origin(lk_undo *self, uint64_t origin) LK_MUST_USE;
LK_API void lk_undo_remove_origin(lk_undo *self, uint64_t origin);

/* Takes back the last change that can be, or makes it again. |done|, which may be NULL, says whether there was
 * one: changes of which nothing is left to take back are dropped on the way. The errors of changing calls: document
 * and stacks are as before then, and it can be tried again. Takes time by what changed; a key of a map also by how
 * much there is to undo. */
LK_API lk_err lk_undo_undo(lk_undo *self, bool *done) LK_MUST_USE;
LK_API lk_err lk_undo_redo(lk_undo *self, bool *done) LK_MUST_USE;
LK_API size_t lk_undo_undo_count(const lk_undo *self);
LK_API size_t lk_undo_redo_count(const lk_undo *self);
/* The next change is not put together with the last one. */
LK_API void lk_undo_stop_capturing(lk_undo *self);
/* Forgets, and lets go of what was kept. LK_ERR_NOMEM, LK_ERR_LIMIT: only while a change is being told about; nothing is
 * forgotten then. */
LK_API lk_err lk_undo_clear(lk_undo *self, bool undo_stack, bool redo_stack) LK_MUST_USE;

/* The origin of the transactions that undo and redo make. */
LK_API uint64_t lk_undo_origin(const lk_undo *self);

/* Something of the caller's with each stack item, such as where the cursor was: |fn| is called when an item is made
 * or added to (|popped| false) and when it was undone or redone (|popped| true). |*meta| is 0 in a new one. */
typedef void (*lk_undo_fn)(void *ctx, lk_undo *undo, bool is_redo, bool popped, uint64_t *meta);
LK_API void lk_undo_on_item(lk_undo *self, lk_undo_fn fn, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
