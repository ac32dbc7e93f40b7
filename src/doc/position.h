/* doc/position.h -- what of relative positions takes a document, for who reads and writes their bytes by himself, as the host
 * of a module does. laniakea/doc_history.h has the rest, and is the manual. */
#ifndef LK_DOC_POSITION_H
#define LK_DOC_POSITION_H

#include "doc/engine.h"
#include "laniakea/doc_history.h"

/* Where that unit is now, or what was made of it since: the node it is in, which may be deleted, and the index before it
 * or, with |behind|, behind it. LK_ERR_NOT_FOUND where it is not here, or was garbage-collected. */
lk_err lk_position_index(lk_doc *doc, lk_doc_id unit, bool behind, uint32_t *type,
                         uint64_t *index) LK_MUST_USE;

/* The node that this item is, which may be deleted. LK_ERR_NOT_FOUND likewise, and where it is no node. */
lk_err lk_position_node(lk_doc *doc, lk_doc_id node, uint32_t *type) LK_MUST_USE;

#endif
