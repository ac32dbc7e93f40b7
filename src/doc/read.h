/* doc/read.h -- what those who read a document have in common; for the files of this floor.
 *
 * Reading changes nothing but caches. Memory that a reader needs while it works comes from the document's
 * allocator and is given back before it returns. Nothing recurses: nodes in nodes are frames of an array. */
#ifndef LK_DOC_READ_H
#define LK_DOC_READ_H

#include "doc/engine.h"

/* ---- what a root of unknown kind is shown as ---- */

/* The node's kind. For a root that nobody has asked for, what its first live list item looks like: XML nodes
 * make it a fragment, text, formatting and embeds a text, all else an array; without any, a map where
 * it has entries. LK_NODE_UNKNOWN where it holds nothing. */
lk_node_kind lk_read_kind(const lk_doc *doc, uint32_t type);

/* The item that counts in the entry, or LK_NONE where it is deleted. */
static inline uint32_t lk_read_entry(const lk_doc *doc, uint32_t entry) {
  uint32_t item = lk_entry_item(doc, entry);
  return item == LK_NONE || lk_item_deleted(&doc->items[item]) ? LK_NONE : item;
}

/* ---- numbers, in order ---- */

typedef struct lk_refs {
  const lk_alloc *alloc;
  uint32_t *at;
  uint32_t count, cap;
} lk_refs;

void lk_refs_deinit(lk_refs *self);
lk_err lk_refs_push(lk_refs *self, uint32_t ref) LK_MUST_USE;

typedef bool (*lk_refs_before)(const void *ctx, uint32_t a, uint32_t b);
/* Sorts those from |from| on, which are distinct in the order |before|. Takes n log n steps and no memory. */
void lk_refs_sort(lk_refs *self, uint32_t from, lk_refs_before before, const void *ctx);

/* JavaScript's order of strings, which is that of UTF-16 units; both are valid UTF-8. */
/* not foreign: names were checked when the document took them in */
int lk_read_compare_utf16(lk_slice a, lk_slice b);

/* Whether JavaScript lists that key among the first of an object, by its number. */
/* not foreign: names were checked when the document took them in */
bool lk_read_is_index(lk_slice key, uint32_t *out);

/* Pushes the live entries of |type| in the order in which a JavaScript object has its keys. */
lk_err lk_read_push_entries(const lk_doc *doc, uint32_t type, lk_refs *out) LK_MUST_USE;

/* The text as a byte for each unit where it is all ASCII, else in UTF-16 (|*wide|), little endian. Half a pair becomes
 * U+FFFD, as in UTF-8. */
lk_err lk_read_text_units(const lk_doc *doc, uint32_t type, lk_buf *out, bool *wide) LK_MUST_USE;

/* ---- formatting in force ---- */

typedef struct lk_format {
  uint32_t name;
  uint32_t item; /* the FORMAT item that set it; LK_NONE for a hole */
} lk_format;

/* What formatting applies where a reader of a text stands, in the order of a JavaScript Map: a key that is set again
 * keeps its place, one that was deleted comes last. Finding a key takes one step: a table by names,
 * made when the first key comes. Texts in texts share one object, see begin. */
typedef struct lk_formats {
  const lk_doc *doc;
  lk_format *at;
  uint32_t *where; /* by name: 1 + where it was put last, which may not be true any more */
  uint32_t base, count, cap, holes;
  uint32_t where_count;
} lk_formats;

void lk_formats_init(lk_formats *self, const lk_doc *doc);
void lk_formats_deinit(lk_formats *self);
/* |item| is a FORMAT item that is not deleted. LK_ERR_NOMEM. */
lk_err lk_formats_apply(lk_formats *self, uint32_t item) LK_MUST_USE;
bool lk_formats_has(const lk_formats *self, uint32_t name);
/* True where the key was in force. */
bool lk_formats_remove(lk_formats *self, uint32_t name);
static inline uint32_t lk_formats_count(const lk_formats *self) {
  return self->count - self->base - self->holes;
}

/* A text within the text that is being read: begins with no formatting; end brings back what was. */
typedef struct lk_formats_outer {
  uint32_t base, holes;
} lk_formats_outer;
lk_formats_outer lk_formats_begin(lk_formats *self);
void lk_formats_end(lk_formats *self, lk_formats_outer outer);

static inline lk_slice lk_format_key(const lk_doc *doc, const lk_format *format) {
  return lk_name_slice(doc, format->name);
}
static inline lk_slice lk_format_value(const lk_doc *doc, const lk_format *format) {
  return lk_value_bytes(doc, doc->items[format->item].content);
}

/* ---- values of an item ---- */

/* Those of JSON that were parsed; deinit is safe on a zeroed document, and twice. */
void lk_read_init(lk_doc *doc);
void lk_read_deinit(lk_doc *doc);

/* One after the other; |at| < |count| says whether there is one more. */
typedef struct lk_read_values {
  lk_slice rest;
  uint32_t left;
  bool json;
} lk_read_values;

/* For items with ANY, JSON or EMBED. */
lk_read_values lk_read_values_of(const lk_doc *doc, const lk_item *item);
/* An any, or JSON text (which may be "undefined") where |json|. */
lk_slice lk_read_next_value(lk_read_values *self);

/* The value at unit |at| of an item that is not deleted; undefined where there is no memory to parse it. */
void lk_read_value(const lk_doc *doc, const lk_item *item, uint32_t at, lk_value *out);

/* ---- whole nodes, appended; on failure |out| is as before ---- */

lk_err lk_read_text(const lk_doc *doc, uint32_t type, lk_buf *out) LK_MUST_USE;
/* |formats| has been initialised, and is for any number of calls: its table is as long as the document has names,
 * and made once. */
lk_err lk_read_xml(const lk_doc *doc, uint32_t type, lk_formats *formats, lk_buf *out) LK_MUST_USE;
lk_err lk_read_json(const lk_doc *doc, uint32_t type, lk_buf *out) LK_MUST_USE;

/* String(value) of JavaScript; arrays as their elements, objects as [object Object]. */
/* not foreign: values were checked when the document took them in */
void lk_read_append_js(lk_slice any, lk_buf *out);

#endif
