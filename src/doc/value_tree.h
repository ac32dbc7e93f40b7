/* doc/value_tree.h -- one value in the order in which JavaScript would write it.
 *
 * lk_value_survey_of() looks through a value once, without memory, and tells whether there is anything to do;
 * lk_value_rewrite() does it. See the essay in value_tree.c. */
#ifndef LK_DOC_VALUE_TREE_H
#define LK_DOC_VALUE_TREE_H

#include "base/arena.h"
#include "base/buf.h"
#include "doc/value_source.h"

typedef struct lk_value_survey {
  size_t len;          /* of the value as it came, in JSON with the spaces around it */
  uint32_t node_count; /* what rewriting needs memory for: containers and their members */
  bool
      canonical; /* nothing has to be rewritten; false also where an object has too many keys to be sure */
} lk_value_survey;

/* Checks the value that comes next and moves behind it. Errors as in value.h: |from| and |out| mean nothing then. */
lk_err lk_value_survey_of(lk_value_source *from, uint32_t depth_max,
                          lk_value_survey *out) LK_MUST_USE;

/* Pushes the value |bytes|, of which |survey| was made, as JSON or any on |scratch|. From any only any is made; the
 * other way from any, when it is in order, is in value.c. LK_ERR_NOMEM: nothing has changed then. */
lk_err lk_value_rewrite(lk_slice bytes, bool json, bool to_json, const lk_value_survey *survey,
                        lk_arena *scratch, lk_slice *out) LK_MUST_USE;

#endif
