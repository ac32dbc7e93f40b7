/* tests/conformance/doc/ops.h -- carries out the operations of a stream on a document, by the public functions. */
#ifndef CONFORMANCE_OPS_H
#define CONFORMANCE_OPS_H

#include "laniakea/doc_undo.h"
#include "tests/conformance/doc/state.h"

/* The origins of transactions, of which undo managers follow the first. */
#define ORIGIN_LOCAL 1
#define ORIGIN_REMOTE 2

typedef enum ops_result {
  OPS_DONE,
  OPS_FAILED,      /* |ops_error| says which operation and why */
  OPS_UNSUPPORTED, /* there is no function for it yet; the document is as before */
} ops_result;

typedef struct ops_error {
  lk_err err;
  lk_slice op; /* its JSON */
} ops_error;

/* |json| is an array of operations; all of them are one transaction, but undo and redo are their own. Roots need
 * not be open yet. |undo| may be NULL, where undoing is unsupported. With |bare| an operation that is alone is done without
 * a transaction around it, if one call is enough: its origin is 0 then. */
ops_result ops_run(lk_doc *doc, lk_undo *undo, const root *roots, size_t root_count, lk_slice json,
                   bool bare, lk_arena *arena, ops_error *error);

/* An undo manager as the sessions have it: over all roots, each local transaction by itself. NULL where
 * there are none yet. */
lk_undo *ops_open_undo(lk_doc *doc, const root *roots, size_t root_count);
void ops_close_undo(lk_undo *undo);

#endif
