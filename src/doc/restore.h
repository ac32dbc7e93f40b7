/* doc/restore.h -- the way back to a version, for documents that keep what is deleted.
 *
 * History is never rewritten: what came since the version is deleted, and what was deleted since is written again, by a
 * client of its own, where it stood. That is one update like any other. What both states show stays the same
 * items: cursors, comments and what others type there at that moment keep their places. */
#ifndef LK_DOC_RESTORE_H
#define LK_DOC_RESTORE_H

#include "laniakea/doc_history.h"

/* Whether the document can show all that it showed at |snapshot|. LK_ERR_COLLECTED where some of it was garbage-collected,
 * before the document kept what is deleted or by who wrote it; LK_ERR_NOT_FOUND where the snapshot knows what is not
 * here; the errors of reading snapshots. */
lk_err lk_doc_shows(lk_doc *self, lk_update_format format, lk_slice snapshot) LK_MUST_USE;

/* Appends an update in the format |to| that makes the document show what it showed at |snapshot|, and changes nothing
 * yet. |client| will have written what it brings back: an id with which nobody has written here, else LK_ERR_ACTOR. The
 * update is empty (two zeros in V1) where nothing is to be changed.
 *
 * LK_ERR_STATE where the document collects garbage; the errors of lk_doc_shows(); LK_ERR_NOMEM, LK_ERR_LIMIT for the
 * length of the update. On failure |out| is as before. */
lk_err lk_doc_restore(lk_doc *self, lk_update_format format, lk_slice snapshot, uint64_t client,
                      lk_update_format to, lk_buf *out) LK_MUST_USE;

#endif
