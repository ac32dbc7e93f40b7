/* laniakea/doc.h -- documents that many people edit at once: Yjs's, read and written byte for byte.
 *
 *   lk_doc *doc;
 *   lk_doc_options options = LK_DOC_OPTIONS_INIT;
 *   options.client = my_random_number;
 *   lk_doc_open(&env, &options, &doc);
 *   lk_node text;
 *   lk_doc_root(doc, slice("text"), LK_NODE_TEXT, &text);
 *   lk_doc_on_update(doc, LK_UPDATE_V1, send_to_others, ctx, NULL);
 *   lk_doc_text_insert(doc, text, 0, slice("hello"), NULL);      changed here, now; the update goes out
 *   lk_doc_apply(doc, LK_UPDATE_V1, received, 0);                 and what others send comes in
 *   lk_doc_text_string(doc, text, out);
 *
 * A document is a set of named roots, and nodes in nodes: text with formatting, arrays, maps, XML.
 * Replicas that applied the same updates, in any order and however often, read the same. For the same calls
 * the updates are the bytes that Yjs 13.6 emits, and each side takes what the other one writes.
 *
 * Indexes and lengths count UTF-16 units, as editors and Yjs do. Text comes in and goes out as UTF-8. An index
 * between the halves of a surrogate pair cuts it: both halves become U+FFFD, as in Yjs.
 *
 * A call that fails changes nothing. Errors of all changing calls:
 *
 *   LK_ERR_NOMEM, LK_ERR_LIMIT (lk_doc_limit_hit() names it)
 *   LK_ERR_STATE   called from within an observer that may only read
 *   LK_ERR_NOT_FOUND  the node is not in the document any more
 *   LK_ERR_TYPE    the node is of another kind
 *   LK_ERR_RANGE   an index or length past the end
 *   LK_ERR_UTF8
 *
 * One thread at a time. */
#ifndef LANIAKEA_DOC_H
#define LANIAKEA_DOC_H

#include "laniakea/update.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_doc lk_doc;

typedef struct lk_doc_options {
  size_t size; /* sizeof(lk_doc_options) of the caller's headers */
  uint64_t
      client; /* this replica's id, below 2^53; random (Yjs takes 32 bits), never one that another
                         replica uses at the same time */
  uint64_t seed[2];  /* entropy: against chosen hash collisions, and for a new client id where
                         another replica turns out to have ours */
  bool keep_deleted; /* no garbage collection: deleted content stays, for snapshots */
} lk_doc_options;
#define LK_DOC_OPTIONS_INIT                                                                        \
  { sizeof(lk_doc_options), 1, { 0, 0 }, false }

/* LK_ERR_INVALID for a client id of 2^53 or above. */
LK_API lk_err lk_doc_open(const lk_env *env, const lk_doc_options *options,
                          lk_doc **out) LK_MUST_USE;
LK_API void lk_doc_close(lk_doc *self);

/* Changes where an update turns out to come from another replica with the same id. */
LK_API uint64_t lk_doc_client(const lk_doc *self);

/* The limit that the last LK_ERR_LIMIT was about, such as "doc_structs_count"; empty if there was none. */
LK_API const char *lk_doc_limit_hit(const lk_doc *self);

/* ---- nodes ---- */

/* The numbers of the format. */
typedef enum lk_node_kind {
  LK_NODE_ARRAY = 0,
  LK_NODE_MAP = 1,
  LK_NODE_TEXT = 2,
  LK_NODE_XML_ELEMENT = 3,
  LK_NODE_XML_FRAGMENT = 4,
  LK_NODE_XML_HOOK = 5,
  LK_NODE_XML_TEXT = 6,
  LK_NODE_UNKNOWN = 7, /* a root that nobody has asked for by its kind yet */
} lk_node_kind;

/* A text, array, map or XML node of one document. Handles are values, and stay good until the node
 * is deleted; calls with one of a deleted node give LK_ERR_NOT_FOUND. */
typedef struct lk_node {
  uint32_t slot;
  uint32_t check;
} lk_node;

/* The root |name|, made if it is not there (a root that holds nothing is not part of any update).
 * LK_NODE_UNKNOWN takes it as whatever it is. LK_ERR_TYPE where it was asked for as another kind before. */
LK_API lk_err lk_doc_root(lk_doc *self, lk_slice name, lk_node_kind kind, lk_node *out) LK_MUST_USE;

/* Roots in the order in which they came up. Begin with |*cursor| 0; false when there is no more. */
LK_API bool lk_doc_next_root(const lk_doc *self, uint32_t *cursor, lk_slice *name, lk_node *node);

LK_API bool lk_doc_has_node(const lk_doc *self, lk_node node);
LK_API lk_node_kind lk_doc_node_kind(const lk_doc *self, lk_node node);
/* The root's name, or the name of an XmlElement or XmlHook. Empty for others. */
LK_API lk_slice lk_doc_node_name(const lk_doc *self, lk_node node);
/* False for a root. */
LK_API bool lk_doc_node_parent(const lk_doc *self, lk_node node, lk_node *out);
/* Units of a text, elements of an array or XML node. 0 for a map. */
LK_API uint64_t lk_doc_node_length(const lk_doc *self, lk_node node);

/* ---- values ---- */

typedef enum lk_value_kind {
  LK_VALUE_UNDEFINED,
  LK_VALUE_NULL,
  LK_VALUE_BOOL,
  LK_VALUE_NUMBER,
  LK_VALUE_BIGINT,
  LK_VALUE_STRING, /* |bytes|, UTF-8 */
  LK_VALUE_BINARY, /* |bytes| */
  LK_VALUE_ANY, /* |bytes|: an array or object, in lib0's any encoding; lk_doc_any_of_json() makes one */
  LK_VALUE_NODE, /* |node|; only read, inserted by the calls that end in _node */
  LK_VALUE_DOC,  /* a subdocument: |bytes| is its guid, |options| one any, an object; see below */
} lk_value_kind;

typedef struct lk_value {
  lk_value_kind kind;
  bool boolean;
  double number;
  int64_t bigint;
  lk_slice bytes;
  lk_slice options;
  lk_node node;
} lk_value;

/* Appends |json| in lib0's any encoding, read as JSON.parse reads it. LK_ERR_SYNTAX, LK_ERR_UTF8, LK_ERR_DEPTH. */
LK_API lk_err lk_doc_any_of_json(lk_slice json, lk_buf *out) LK_MUST_USE;
/* Appends |any|, one value, as JSON.stringify writes it: bytes as an object of their indexes, undefined in objects
 * not at all and elsewhere as null, as it does NaN. A bigint, at which it throws, becomes a decimal number. */
LK_API lk_err lk_doc_json_of_any(lk_slice any, lk_buf *out) LK_MUST_USE;

/* A formatting attribute: key and value; null takes the formatting away. */
typedef struct lk_attribute {
  lk_slice key;
  lk_value value;
} lk_attribute;

typedef struct lk_attributes {
  const lk_attribute *items;
  size_t count;
} lk_attributes;

/* ---- transactions ----
 *
 * Everything between begin and commit is one transaction: one update, one round of observers. Each changing
 * call outside of one is a transaction by itself. They nest: the outermost commit counts. |origin| is
 * any number of the caller's that observers see and undo managers choose by; 0 stands for none.
 * Commit needs no memory and cannot fail. */
LK_API lk_err lk_doc_begin(lk_doc *self, uint64_t origin) LK_MUST_USE;
LK_API void lk_doc_commit(lk_doc *self);

/* ---- text (LK_NODE_TEXT, LK_NODE_XML_TEXT) ---- */

/* |attributes| NULL: formatted like the text before |index|. Otherwise formatted exactly so. Inserting
 * nothing does nothing. */
LK_API lk_err lk_doc_text_insert(lk_doc *self, lk_node node, uint64_t index, lk_slice utf8,
                                 const lk_attributes *attributes) LK_MUST_USE;
/* One unit that is not a character, such as an image: an array or object, a number, a boolean. |attributes| NULL: none.
 * LK_ERR_INVALID for other values, and for attributes with values that formatting cannot have (undefined, nodes,
 * documents), here and in all calls that take some. */
LK_API lk_err lk_doc_text_insert_embed(lk_doc *self, lk_node node, uint64_t index,
                                       const lk_value *value,
                                       const lk_attributes *attributes) LK_MUST_USE;
/* A node as embed. |name| for XML elements and hooks; |out| may be NULL. */
LK_API lk_err lk_doc_text_insert_node(lk_doc *self, lk_node node, uint64_t index, lk_node_kind kind,
                                      lk_slice name, const lk_attributes *attributes,
                                      lk_node *out) LK_MUST_USE;
LK_API lk_err lk_doc_text_delete(lk_doc *self, lk_node node, uint64_t index,
                                 uint64_t length) LK_MUST_USE;
LK_API lk_err lk_doc_text_format(lk_doc *self, lk_node node, uint64_t index, uint64_t length,
                                 const lk_attributes *attributes) LK_MUST_USE;
/* |json| is a Quill delta, an array of operations; what embeds nodes cannot be said in it. Deleting past the end
 * stops there, retaining past the end makes newlines, both as in Yjs. |sanitize| as in Yjs: false drops a newline at
 * the very end. Also LK_ERR_SYNTAX, and LK_ERR_PAYLOAD for what is no operation. */
LK_API lk_err lk_doc_text_apply_delta(lk_doc *self, lk_node node, lk_slice json,
                                      bool sanitize) LK_MUST_USE;

/* ---- arrays and XML children (LK_NODE_ARRAY, LK_NODE_XML_FRAGMENT, LK_NODE_XML_ELEMENT) ---- */

LK_API lk_err lk_doc_list_insert(lk_doc *self, lk_node node, uint64_t index, const lk_value *values,
                                 size_t count) LK_MUST_USE;
/* Behind the last element and behind all that was deleted there, which Yjs' push does. */
LK_API lk_err lk_doc_list_push(lk_doc *self, lk_node node, const lk_value *values,
                               size_t count) LK_MUST_USE;
LK_API lk_err lk_doc_list_insert_node(lk_doc *self, lk_node node, uint64_t index, lk_node_kind kind,
                                      lk_slice name, lk_node *out) LK_MUST_USE;
LK_API lk_err lk_doc_list_delete(lk_doc *self, lk_node node, uint64_t index,
                                 uint64_t length) LK_MUST_USE;
/* Also of a text: its embeds and nodes, LK_VALUE_UNDEFINED for a character. The slices of |out| are good until the document
 * changes. */
LK_API lk_err lk_doc_list_get(const lk_doc *self, lk_node node, uint64_t index,
                              lk_value *out) LK_MUST_USE;

/* ---- maps, and the attributes of all other nodes ---- */

LK_API lk_err lk_doc_map_set(lk_doc *self, lk_node node, lk_slice key,
                             const lk_value *value) LK_MUST_USE;
LK_API lk_err lk_doc_map_set_node(lk_doc *self, lk_node node, lk_slice key, lk_node_kind kind,
                                  lk_slice name, lk_node *out) LK_MUST_USE;
/* Deleting what is not there does nothing. */
LK_API lk_err lk_doc_map_delete(lk_doc *self, lk_node node, lk_slice key) LK_MUST_USE;
/* LK_ERR_NOT_FOUND also where the key has no value. */
LK_API lk_err lk_doc_map_get(const lk_doc *self, lk_node node, lk_slice key,
                             lk_value *out) LK_MUST_USE;
LK_API uint64_t lk_doc_map_count(const lk_doc *self, lk_node node);
/* Entries in the order in which their keys came. Begin with |*cursor| 0; false when there is no more. */
LK_API bool lk_doc_map_next(const lk_doc *self, lk_node node, uint32_t *cursor, lk_slice *key,
                            lk_value *out);

/* ---- reading ---- */

/* The text without formatting; for XML what Yjs' toString gives; of other nodes as to_json. */
LK_API lk_err lk_doc_text_string(const lk_doc *self, lk_node node, lk_buf *out) LK_MUST_USE;
LK_API lk_err lk_doc_xml_string(const lk_doc *self, lk_node node, lk_buf *out) LK_MUST_USE;
/* Yjs' toDelta, as JSON. Nodes that are embedded appear as their own JSON. */
LK_API lk_err lk_doc_text_delta(const lk_doc *self, lk_node node, lk_buf *out) LK_MUST_USE;
/* Yjs' toJSON of one node, or of all roots. A root that nobody asked for by its kind is shown by what it holds, and left
 * out where it holds nothing. */
LK_API lk_err lk_doc_node_json(const lk_doc *self, lk_node node, lk_buf *out) LK_MUST_USE;
LK_API lk_err lk_doc_json(const lk_doc *self, lk_buf *out) LK_MUST_USE;

/* ---- updates ---- */

/* Takes in |update|, as one transaction with |origin|. What it has already is skipped; what depends on
 * updates that have not come yet is kept as pending, and taken in when they come. The errors of
 * laniakea/update.h, and LK_ERR_STEPS where the update asks for more work than its size warrants. */
LK_API lk_err lk_doc_apply(lk_doc *self, lk_update_format format, lk_slice update,
                           uint64_t origin) LK_MUST_USE;

/* The same for what was taken in before, such as a document that lk_doc_encode() wrote and a disk kept: no steps are
 * counted. What many updates were allowed one by one may be more than one update is. */
LK_API lk_err lk_doc_load(lk_doc *self, lk_update_format format, lk_slice update,
                          uint64_t origin) LK_MUST_USE;

/* Appends what this document has beyond the state vector |sv|, pending things included; all of it
 * where |sv| is empty. */
LK_API lk_err lk_doc_encode(const lk_doc *self, lk_update_format format, lk_slice sv,
                            lk_buf *out) LK_MUST_USE;
LK_API lk_err lk_doc_state_vector(const lk_doc *self, lk_buf *out) LK_MUST_USE;

typedef struct lk_doc_pending {
  uint64_t structs;       /* that wait for others */
  uint64_t bytes;         /* of memory that they take */
  uint64_t delete_ranges; /* of structs that are not here yet */
} lk_doc_pending;
LK_API lk_doc_pending lk_doc_get_pending(const lk_doc *self);

/* |update| is borrowed for the call. |local| is false for lk_doc_apply(). |update| is empty where there was no
 * memory to write it: the change itself was made; lk_doc_encode() gives it later. */
typedef void (*lk_doc_update_fn)(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin,
                                 bool local);
/* Calls |fn| after each transaction that changed something. |id|, which may be NULL, receives what
 * lk_doc_off() wants. The callback may read, and may change the document: that is then a transaction
 * of its own, which follows. */
LK_API lk_err lk_doc_on_update(lk_doc *self, lk_update_format format, lk_doc_update_fn fn,
                               void *ctx, uint32_t *id) LK_MUST_USE;
/* For observers of all kinds. An id that is not known does nothing. */
LK_API void lk_doc_off(lk_doc *self, uint32_t id);

/* ---- how large is it ---- */

typedef struct lk_doc_memory_use {
  size_t total; /* bytes that were asked of the allocator and not given back */
  size_t items, text, values, index, names, pending, other;
} lk_doc_memory_use;
LK_API lk_doc_memory_use lk_doc_memory(const lk_doc *self);

typedef struct lk_doc_size {
  uint64_t clients, structs, tombstones, units, nodes;
} lk_doc_size;
LK_API lk_doc_size lk_doc_get_size(const lk_doc *self);

#ifdef __cplusplus
}
#endif
#endif
