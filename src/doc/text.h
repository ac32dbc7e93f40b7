/* doc/text.h -- changing formatted text; for text*.c.
 *
 * An edit stands between two items of a text and knows, if asked, which attributes hold there. It moves
 * only forward: to an index first, then by what it inserts, formats and deletes. */
#ifndef LK_DOC_TEXT_H
#define LK_DOC_TEXT_H

#include "doc/engine.h"

/* ---- values and maps (text_attributes.c) ---- */

/* The value of an attribute. Yjs asks of objects whether they are one and the same; see text_attributes.c. */
typedef struct lk_text_value {
  uint32_t at;    /* offset in |values| of the document, or LK_NONE */
  bool own;       /* a caller here set it */
  lk_slice bytes; /* where |at| is LK_NONE: canonical any */
} lk_text_value;

/* On a FORMAT item, where it has no other meaning: a caller here set the value, or it is that very value. */
#define LK_ITEM_OWN LK_ITEM_WIDE

lk_text_value lk_text_null(void);
/* That of a FORMAT item. */
lk_text_value lk_text_value_of(const lk_item *item);
lk_slice lk_text_value_bytes(const lk_doc *doc, const lk_text_value *value);
bool lk_text_value_is_null(const lk_doc *doc, const lk_text_value *value);
/* JavaScript's null or undefined. */
bool lk_text_value_is_nothing(const lk_doc *doc, const lk_text_value *value);
/* Yjs' equalAttrs: also objects whose members are equal. */
bool lk_text_value_equal(const lk_doc *doc, const lk_text_value *a, const lk_text_value *b);
/* JavaScript's ===. */
bool lk_text_value_same(const lk_doc *doc, const lk_text_value *a, const lk_text_value *b);

/* A JavaScript Map: in order of insertion. A key that is set again stays where it is, one that was removed
 * comes back at the end. */
typedef struct lk_text_attribute {
  uint32_t key; /* a name; LK_NONE where it was removed */
  lk_text_value value;
} lk_text_attribute;

typedef struct lk_text_map {
  lk_text_attribute *items; /* in the arena, as |slots| */
  uint32_t count, cap;      /* removed ones too */
  uint32_t live;
  uint32_t *slots; /* number + 1 by hash; NULL for few */
} lk_text_map;

/* NULL where there is none. Good until the map is changed. */
lk_text_value *lk_text_map_find(const lk_text_map *self, uint32_t key);
/* The value, or null. */
lk_text_value lk_text_map_get(const lk_doc *doc, const lk_text_map *self, uint32_t key);
/* LK_ERR_NOMEM */
lk_err lk_text_map_set(lk_text_map *self, lk_arena *arena, uint32_t key,
                       lk_text_value value) LK_MUST_USE;
void lk_text_map_remove(lk_text_map *self, uint32_t key);
/* Sets in |to|, which is empty, what |from| has. */
lk_err lk_text_map_copy(const lk_text_map *from, lk_arena *arena, lk_text_map *to) LK_MUST_USE;
/* Sorts as the keys of an object are: those that look like array indexes first. */
lk_err lk_text_map_sort(const lk_doc *doc, lk_text_map *self, lk_arena *arena) LK_MUST_USE;

/* What FORMAT |item| makes of the attributes that held before it. */
lk_err lk_text_map_pass(const lk_doc *doc, lk_text_map *self, lk_arena *arena,
                        const lk_item *item) LK_MUST_USE;

/* ---- edits (text_format.c) ---- */

typedef struct lk_text_edit {
  lk_doc *doc;
  uint32_t type;
  uint32_t left, right; /* items on both sides, or LK_NONE */
  bool
      known; /* |current| is what holds here; otherwise it is empty, and can be read from the list */
  lk_text_map current;
  lk_arena arena;   /* as long as the edit */
  lk_arena scratch; /* one operation: the caller resets it */
} lk_text_edit;

/* What is inserted. */
typedef struct lk_text_content {
  uint8_t kind;   /* STRING, EMBED or TYPE */
  uint32_t type;  /* TYPE: without item */
  lk_slice bytes; /* STRING: UTF-8, not empty; EMBED: canonical any */
  lk_err (*fill)(void *ctx, lk_doc *doc, lk_node made); /* TYPE: called once it is in; or NULL */
  void *ctx;
} lk_text_content;

/* Stands at the beginning. */
void lk_text_edit_init(lk_text_edit *self, lk_doc *doc, uint32_t type);
void lk_text_edit_deinit(lk_text_edit *self);

/* Units in front of it. Only between operations. */
uint32_t lk_text_edit_index(const lk_text_edit *self);
/* Forward to |index|, which is not behind the end, and over what was deleted there. */
lk_err lk_text_edit_seek(lk_text_edit *self, uint32_t index) LK_MUST_USE;

/* |attributes| is changed. */
lk_err lk_text_edit_insert(lk_text_edit *self, lk_text_map *attributes,
                           const lk_text_content *content) LK_MUST_USE;
/* Formatted as what is before it. Only right after lk_text_edit_seek(). */
lk_err lk_text_edit_insert_alike(lk_text_edit *self, const lk_text_content *content) LK_MUST_USE;
/* What |length| goes beyond the end becomes newlines, as Quill wants it. */
lk_err lk_text_edit_format(lk_text_edit *self, lk_text_map *attributes,
                           uint64_t length) LK_MUST_USE;
/* Stops at the end. */
lk_err lk_text_edit_delete(lk_text_edit *self, uint64_t length) LK_MUST_USE;

/* ---- clean-up (text_cleanup.c) ---- */

/* Deletes the formatting from |start| to the next unit that is not needed there, after what was in between was
 * deleted. |before| holds in front of |start|; |current| holds in front of |here|, an item on the way or behind
 * it, and is kept right. */
lk_err lk_text_clean_gap(lk_doc *doc, uint32_t start, uint32_t here, const lk_text_map *before,
                         lk_text_map *current, lk_arena *arena, lk_arena *scratch) LK_MUST_USE;

/* ---- calls ---- */

/* lk_doc_text_insert_node() for a node with content of its own, which |fill| puts in: where Yjs inserts a type that
 * was filled beforehand, that content comes before the formatting that ends behind the node. */
lk_err lk_text_insert_filled(lk_doc *doc, lk_node node, uint64_t index, lk_node_kind kind,
                             lk_slice name, const lk_attributes *attributes,
                             lk_err (*fill)(void *ctx, lk_doc *doc, lk_node made), void *ctx,
                             lk_node *out) LK_MUST_USE;

#endif
