/* doc/undo.h -- what an undo manager remembers, and how items are made again; for undo*.c. */
#ifndef LK_DOC_UNDO_H
#define LK_DOC_UNDO_H

#include "doc/engine.h"
#include "laniakea/doc_undo.h"

/* One step to take back: the ranges from these places on, up to the next entry's. */
typedef struct lk_undo_entry {
  uint32_t inserted, deleted;
  uint64_t meta;
} lk_undo_entry;

/* The ranges of all entries lie behind each other. Only those of the last entry may grow, and they are not in
 * order until lk_undo_stack_sort(): then each client's are sorted and merged, and the clients come as they
 * came first, since the order in which items are made again shows in the update. */
typedef struct lk_undo_stack {
  LK_VEC(lk_undo_entry) entries;
  LK_VEC(lk_range) inserted;
  LK_VEC(lk_range) deleted;
  bool unsorted;
} lk_undo_stack;

typedef struct lk_undo_ranges {
  const lk_range *at;
  uint32_t count;
} lk_undo_ranges;

lk_undo_ranges lk_undo_inserted(const lk_undo_stack *self, uint32_t entry);
lk_undo_ranges lk_undo_deleted(const lk_undo_stack *self, uint32_t entry);
/* Of sorted ones. */
bool lk_undo_ranges_have(lk_undo_ranges self, uint32_t client, uint32_t clock);

/* An old list whose items are made again in another one: undo_shelf.c. */
typedef struct lk_undo_shelf lk_undo_shelf;

struct lk_undo {
  lk_doc *doc;
  lk_undo_stack undo, redo;
  lk_numbers scope; /* types */
  bool whole;       /* all of the document is */
  LK_VEC(uint64_t) origins;
  uint64_t origin; /* its own */
  uint64_t capture_ms;
  uint64_t (*now_ms)(void *ctx);
  void *now_ctx;
  uint64_t last_change; /* 0: the next change is an entry of its own */
  bool ignore_remote_map_changes;
  bool undoing, redoing;
  uint32_t observer;
  lk_undo_fn fn;
  void *fn_ctx;

  /* the entry that is being taken back */
  uint32_t entry;
  lk_undo_stack *from;
  lk_numbers to_redo;
  lk_numbers to_delete;
  lk_numbers chain;
  lk_arena arena;
  lk_undo_shelf *shelves; /* in the arena */
};

/* Whether |item|, which has a parent, is in the scope. */
bool lk_undo_in_scope(const lk_undo *self, uint32_t item);

/* The item of the node that |item| is in, or LK_NONE. */
static inline uint32_t lk_undo_parent(const lk_doc *doc, const lk_item *item) {
  return item->parent == LK_NONE ? LK_NONE : doc->types.at[item->parent].item;
}

/* Makes what |item| was again. |*made| is false where that cannot be. */
lk_err lk_undo_redo_item(lk_undo *self, uint32_t item, bool *made) LK_MUST_USE;

/* From |*item| to what it leads to in the node of the item |parent|, or LK_NONE. What is on the way is cut out,
 * also where it leads elsewhere. */
lk_err lk_undo_trace(lk_doc *doc, uint32_t parent, uint32_t *item) LK_MUST_USE;

/* ---- shelves (undo_shelf.c): |list| is a type whose items are made again in the node of the item |parent| ---- */

/* NULL where there is none. */
lk_undo_shelf *lk_undo_shelf_find(const lk_undo *self, uint32_t list, uint32_t parent);
/* Takes as long as the list is. LK_ERR_NOMEM. */
lk_err lk_undo_shelf_make(lk_undo *self, uint32_t list, uint32_t parent,
                          lk_undo_shelf **out) LK_MUST_USE;
/* |item| has just been made again. */
void lk_undo_shelves_note(lk_undo *self, uint32_t item);
/* The nearest one to the left or right of |item| that leads into the node, traced to there; or LK_NONE. |item| was in
 * the list when the shelf was made. */
lk_err lk_undo_shelf_left(lk_undo *undo, lk_undo_shelf *self, uint32_t item,
                          uint32_t *out) LK_MUST_USE;
lk_err lk_undo_shelf_right(lk_undo *undo, lk_undo_shelf *self, uint32_t item,
                           uint32_t *out) LK_MUST_USE;

#endif
