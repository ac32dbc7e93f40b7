/* doc/read_tree.h -- what a node holds, in bytes from which JavaScript makes JSON, XML and deltas by itself.
 *
 *   tree     := 3 kind:u8 body        kind: an lk_node_kind, of a root that nobody asked for what it looks like
 *   body     := text:any              text
 *             | name:varString pair* 0 content* 0     elements; the name as it is, or "undefined" for a root
 *             | pair* 0 content* 0    all others, but for unknown ones, which have none
 *   pair     := key:any content       without an order of its own: that of the entries
 *   content  := any | tree
 *             | 4 key:varString any   formatting from here on, in texts
 *             | 5 any                 an embed of a text, which may be a string, too
 *             | 6 json:varString      a value that is kept as JSON's text, or as "undefined"
 *
 * Content that is one run of text is one string, in an array one for each unit. A subdocument is an object without
 * members. Of what Yjs never shows, attributes of texts for example, there is nothing.
 *
 * What is asked for by itself, an element or the value of a key, is content, too, but does not go into what it is:
 *
 *   shallow  := any | 6 json:varString
 *             | 1 slot:u32 check:u32 kind:u8     a node; little endian
 *             | 2 guid:varString any             a subdocument and its options
 *
 * No order, no attribute, no number is made here as JavaScript would make it: read_json.c and read_xml.c do that
 * for those who have no JavaScript at hand. */
#ifndef LK_DOC_READ_TREE_H
#define LK_DOC_READ_TREE_H

#include "doc/events.h"

typedef enum lk_tree_what {
  LK_TREE_ALL,
  LK_TREE_DELTA,    /* a text's is that of an XML text */
  LK_TREE_ELEMENTS, /* the body alone, shallow, without pairs */
  LK_TREE_ENTRIES,  /* likewise, with nothing but pairs, also of a node that is no map */
} lk_tree_what;

/* Appends the tree of |node|, which may be of any kind. LK_ERR_NOT_FOUND, LK_ERR_NOMEM, LK_ERR_LIMIT: |out| is as before
 * then. */
lk_err lk_doc_tree(const lk_doc *self, lk_node node, lk_tree_what what, lk_buf *out) LK_MUST_USE;

/* Append what lk_doc_list_get() and lk_doc_map_get() give, shallow, with their errors and those of above. */
lk_err lk_doc_tree_element(const lk_doc *self, lk_node node, uint32_t index,
                           lk_buf *out) LK_MUST_USE;
lk_err lk_doc_tree_value(const lk_doc *self, lk_node node, lk_slice key, lk_buf *out) LK_MUST_USE;

/* How events say it: paths are steps, each an any; former values are content; and
 *
 *   delta       := operation*
 *   operation   := 1 count:varUint [attributes]     retain
 *                | 2 count:varUint                  delete
 *                | 3 content [attributes]           insert into a text
 *                | 3 7 content* 0                   into a list
 *   attributes  := 4 (key:any value:any)* 0 */
extern const lk_event_form lk_event_tree;

#endif
