/* tests/conformance/doc/state.h -- how a document reads, through the public functions alone. */
#ifndef CONFORMANCE_STATE_H
#define CONFORMANCE_STATE_H

#include "tests/conformance/doc/value.h"

/* A root of a session: its name, and the kind that the streams' short names say. */
typedef struct root {
  lk_slice name;
  lk_node_kind kind;
} root;

lk_node_kind root_kind_of(lk_slice name);

/* Appends what stateOf() of model.mjs tells of the node. Errors are those of the functions that were
 * asked, LK_ERR_CORRUPT where they contradict each other. */
lk_err state_print(const lk_doc *doc, lk_node node, lk_buf *out, lk_arena *arena);

/* All roots, joined by newlines. */
lk_err states_print(lk_doc *doc, const root *roots, size_t count, lk_buf *out, lk_arena *arena);

/* Whether texts tell which nodes are embedded in them. Where they do not, the states of texts with
 * such nodes are wrong, and state_embedded() fails. */
bool state_tells_embedded(void);

/* The node that is the |index|th operation of the text's delta. LK_ERR_NOT_FOUND where that is none. */
lk_err state_embedded(const lk_doc *doc, lk_node text, size_t index, lk_node *out, lk_arena *arena);

#endif
