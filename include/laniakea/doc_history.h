/* laniakea/doc_history.h -- a document as it was, who changed what since, and positions that stay with their text.
 *
 * A snapshot is a state vector and a delete set: small, and all that is needed to see the document as it was, as
 * long as nothing was garbage-collected (options.keep_deleted). Documents that collect keep versions as full
 * updates instead: lk_doc_compare() takes those, lk_doc_compare_snapshots() the others.
 *
 * Nothing here changes a document, but for caches: unlike Yjs, which cuts structs where a snapshot does, and with
 * them a surrogate pair that the snapshot cuts. Snapshots, versions and positions may be a stranger's bytes. Errors of
 * reading them:
 *
 *   LK_ERR_TRUNCATED, LK_ERR_RANGE, LK_ERR_NOT_CANONICAL, LK_ERR_CORRUPT, LK_ERR_UTF8, LK_ERR_TRAILING
 *   LK_ERR_LIMIT   more clients or ranges than the limits allow (limits.def, doc_...)
 *
 * and of all calls LK_ERR_NOMEM, LK_ERR_LIMIT where |out| is full, and LK_ERR_INVALID for a format that is none. On
 * failure |out| is as before. */
#ifndef LANIAKEA_DOC_HISTORY_H
#define LANIAKEA_DOC_HISTORY_H

#include "laniakea/doc.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- snapshots ---- */

/* Appends a snapshot, in Yjs' bytes (encodeSnapshot, encodeSnapshotV2). */
LK_API lk_err lk_doc_snapshot(const lk_doc *self, lk_update_format format, lk_buf *out) LK_MUST_USE;

/* Whether two snapshots say the same, however they are written. */
LK_API lk_err lk_snapshot_equal(const lk_env *env, lk_update_format format, lk_slice a, lk_slice b,
                                bool *out) LK_MUST_USE;

/* Appends, as an update in the format |to|, the document as it was at |snapshot|: what Yjs' createDocFromSnapshot
 * makes its document of. LK_ERR_STATE where this document collects garbage; LK_ERR_NOT_FOUND where the snapshot knows
 * structs that are not here. */
LK_API lk_err lk_doc_at_snapshot(lk_doc *self, lk_update_format format, lk_slice snapshot,
                                 lk_update_format to, lk_buf *out) LK_MUST_USE;

/* A text at |snapshot| and what changed since |before|, as a delta: Yjs' toDelta(snapshot, before). Either may be
 * empty: now, and no comparison. Text that came since has the attribute "ychange"
 * {"type":"added","client":N}, text that is gone {"type":"removed","client":N}, last among its attributes;
 * N wrote the text (who deleted it is not known to Yjs). An embed has the mark of the text before it, as in Yjs.
 * Embedded nodes appear as their JSON of now. What was garbage-collected is not there.
 * LK_ERR_NOT_FOUND, LK_ERR_TYPE for the node. */
LK_API lk_err lk_doc_text_delta_at(lk_doc *self, lk_node node, lk_update_format format,
                                   lk_slice snapshot, lk_slice before, lk_buf *out) LK_MUST_USE;

/* ---- comparing versions ----
 *
 * What changed, as JSON:
 *
 *   { "clients": [ { "client": N, "user": "name", "added": N, "deleted": N, "formats": N } ... ],
 *     "users":   [ { "user": "name", "added": N, "deleted": N, "formats": N } ... ],
 *     "roots":   { "root's name": [ node ... ] } }
 *
 * |added| are units (of text in UTF-16, elements, values of maps) that the client wrote and that the later version shows
 * and the earlier one does not; |deleted| those that it wrote and that the earlier one shows and the later one
 * does not. Yjs knows who wrote a thing and not who deleted it. |formats| are marks of formatting that the client set
 * since. Clients come by their ids, users by their names. What is within a node that came or went
 * counts too.
 *
 * Each node in which something changed appears once, each before those in it:
 *
 *   { "path": [ 2, "key", 0 ],        the way from the root in the later version; in the earlier one if the node is gone
 *     "kind": "text",                 array map text xml_element xml_fragment xml_hook xml_text unknown
 *     "name": "p",                    of XML elements and hooks
 *     "state": "added",               or "deleted", where one of the versions has no such node
 *     "delta": [ op ... ],            where the list changed
 *     "entries": { "key": change ... } }  where entries of the map, or attributes, did
 *
 *   op := { "retain": N }
 *       | { "retain": N, "formats": { "bold": { "old": true, "new": false, "client": N } } }
 *       | { "insert": content, "attributes": { ... }, "client": N }
 *       | { "delete": content, "client": N }
 *   content := "text" | [ value ... ] (elements, or one embed) | { "kind": "map", "name": ... } (a node: see its own
 *       entry in the list, if there is anything in it)
 *   change := { "action": "add" | "update" | "delete", "old": value, "new": value, "client": N }, with "old_node" and
 *       "new_node" for nodes
 *
 * |client| wrote what was inserted, set or deleted. Of formatting it set the mark that counts in the later version, and is
 * missing where that mark was there before: then it changed since another mark was deleted.
 * Values are as lk_doc_json_of_any() writes them, subdocuments {"guid":...}.
 *
 * Time is that of loading both versions, and linear in what is written. The output is as large as the changes;
 * |out|'s maximum bounds it. */

/* Names the user of a client; empty where there is none. The bytes, UTF-8, stay until the call returns that asked. */
typedef lk_slice (*lk_user_fn)(void *ctx, uint64_t client);

/* Versions are full updates of the same document, |format| theirs; either may be empty for an empty document. |user_of|
 * may be NULL. Versions that are not one the other's predecessor can be compared too; of what one has
 * and the other one has garbage-collected, content is missing then. The errors of lk_doc_apply(). */
LK_API lk_err lk_doc_compare(const lk_env *env, lk_update_format format, lk_slice before,
                             lk_slice after, lk_user_fn user_of, void *ctx,
                             lk_buf *out) LK_MUST_USE;

/* The same between snapshots of a document that keeps what is deleted, else LK_ERR_STATE. |before| empty: an empty
 * document; |after| empty: now. */
LK_API lk_err lk_doc_compare_snapshots(lk_doc *self, lk_update_format format, lk_slice before,
                                       lk_slice after, lk_user_fn user_of, void *ctx,
                                       lk_buf *out) LK_MUST_USE;

/* ---- positions ----
 *
 * A position in a list that stays where it was in relation to what is around it, whatever is inserted and deleted
 * elsewhere: cursors and comments. The bytes are those of Yjs' encodeRelativePosition. */

/* |assoc| 0 or above: stays with what follows; below 0: with what stands before. LK_ERR_RANGE past the end,
 * LK_ERR_NOT_FOUND where the node is not there any more. */
LK_API lk_err lk_doc_position(lk_doc *self, lk_node node, uint64_t index, int assoc,
                              lk_buf *out) LK_MUST_USE;
/* The same in Yjs' JSON form, which editors put into their awareness. */
LK_API lk_err lk_doc_position_json(lk_doc *self, lk_node node, uint64_t index, int assoc,
                                   lk_buf *out) LK_MUST_USE;

/* Appends the bytes of a position in Yjs' JSON form. As there, an item counts before the name of a root, and that before
 * a node. LK_ERR_CORRUPT where it has none of the three; also the errors of JSON. */
LK_API lk_err lk_position_of_json(const lk_env *env, lk_slice json, lk_buf *out) LK_MUST_USE;

/* Where it is now. Takes O(log n). Follows what an undo manager of this document made of it again.
 * LK_ERR_NOT_FOUND where what it refers to is not here (yet), was garbage-collected, or is in a node that is
 * deleted. |*index| is at most the node's length; 0 for a value of a map, which no editor points at. |node| and |index| may
 * be NULL. */
LK_API lk_err lk_doc_resolve_position(lk_doc *self, lk_slice position, lk_node *node,
                                      uint64_t *index) LK_MUST_USE;

#ifdef __cplusplus
}
#endif
#endif
