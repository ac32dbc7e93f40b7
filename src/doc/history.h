/* doc/history.h -- what those have in common who look at a document as it was: snapshot.c, snapshot_delta.c, compare.c. */
#ifndef LK_DOC_HISTORY_H
#define LK_DOC_HISTORY_H

#include "codec/json_writer.h"
#include "doc/delete_set.h"
#include "doc/engine.h"
#include "doc/read.h"
#include "laniakea/doc_history.h"

/* A state of a document: which clocks were known, and which of them were deleted. */
typedef struct lk_version {
  bool now;              /* as the document is, whatever the sets say */
  lk_delete_set known;   /* of each client the range from 0 to its clock; merged */
  lk_delete_set deleted; /* merged */
} lk_version;

/* Allocates nothing; the version is that of an empty document. */
void lk_version_init(lk_version *self, const lk_alloc *alloc, const lk_limits *limits);
/* Safe on a zeroed struct, and twice. */
void lk_version_deinit(lk_version *self);

/* Reads a snapshot into a version that is empty. Ranges that overlap become one; of a client that comes twice the
 * greater clock counts. Errors as in laniakea/doc_history.h; the version may then be deinitialised alone. */
/* not foreign: lk_snapshot_equal() hands it whatever its fuzz target makes up */
lk_err lk_version_decode(lk_version *self, lk_update_format format, lk_slice snapshot) LK_MUST_USE;

/* The clock that the version knows of a client. */
uint64_t lk_version_clock(const lk_version *self, uint64_t client);

/* Whether unit |at| of |item| is to be seen there. |*until| receives up to where that holds for all, above |at| and at
 * most the item's length. */
bool lk_version_shows(const lk_version *self, const lk_doc *doc, const lk_item *item, uint32_t at,
                      uint32_t *until);

/* One any as JSON; |scratch| is for the moment. Errors are the writer's, too. */
lk_err lk_history_write_any(lk_json_writer *w, lk_slice any, lk_buf *scratch);

/* The members of an object: the formatting in force, as toDelta has it. |refs| is left as it was. */
lk_err lk_history_write_formats(lk_json_writer *w, const lk_formats *formats, lk_refs *refs,
                                lk_buf *scratch);

#endif
