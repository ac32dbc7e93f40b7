/* doc/apply.h -- what the two files that take in updates share: apply.c, which knows every kind of struct, and
 * apply_plain.c, which knows the most frequent ones and is quick. */
#ifndef LK_DOC_APPLY_H
#define LK_DOC_APPLY_H

#include "doc/engine.h"

/* A step is some 10 ns. */
#define LK_STEPS_BASE 2000u
#define LK_STEPS_EACH 10u /* for a struct, a unit of content, an item that is deleted */

/* Neither a type nor LK_NONE, which GC has for a parent. */
#define LK_TYPE_UNKNOWN (UINT32_MAX - 2)

/* Where the items of a section lie: at the last bits of the clock with which it ends, the last item that ends with such
 * ones. Most of what is asked for was written not long ago, and few clocks are the last of an item. What it says is a guess
 * that is looked at again: items are split while an update is taken in, and some come from elsewhere. */
typedef struct lk_clock_map {
  uint32_t *at; /* NULL for none */
  uint32_t mask;
} lk_clock_map;

/* The structs of one client in an update. */
typedef struct lk_section {
  uint64_t id;
  uint16_t client;
  uint32_t next, end;    /* in |incoming| */
  uint32_t until;        /* the clock of it that is waited for */
  uint32_t first_delete; /* in the transaction's |ranges|: none of its own stands before it */
  lk_clock_map map;
} lk_section;

typedef struct lk_applying {
  lk_doc *doc;
  lk_arena scratch;
  lk_update_reader in;
  LK_VEC(lk_section) sections;
  uint32_t structs; /* that were announced */
  bool direct;      /* everything so far went straight in */
  uint64_t
      above; /* the client before, of those that went straight in: they come with falling ids */
  lk_id_bytes other; /* the last client that was met beside the section's own; |mask| 0 for none */
  bool careful;      /* there was text that is not ASCII: there may be more */
  uint32_t known;    /* a type to which plain structs may be added, or LK_TYPE_UNKNOWN */
} lk_applying;

/* Begins the map of a section that is said to have that many structs. */
void lk_section_map(lk_applying *self, lk_section *section, uint32_t structs);
/* The item |number|, whose clocks begin where those before it in the section ended, is there. Never fails: without memory
 * what it is for is found by searching. */
void lk_section_note(lk_applying *self, lk_section *section, uint32_t number);

/* Takes in the plain structs that come next, in V1, up to the first that is anything else, of which the caller takes care.
 * |section| is open. As long as |direct| they are integrated, then they become loose. */
lk_err lk_take_plain_run(lk_applying *self, lk_section *section) LK_MUST_USE;

/* Whether all deleted ranges that follow can be read, in V1; false also where that takes a closer look. */
bool lk_deletes_are_plain(const lk_applying *self);
/* Passes over deleted ranges of |client|, in V1, that this update's own structs said to be deleted; gives how many.
 * |*range| is where in the transaction's ranges to look first, and where it ended. */
uint32_t lk_skip_known_deletes(lk_applying *self, uint16_t client, uint32_t *range);

/* Integrates the loose items that come next in |section|, as long as they are plain and all that they refer to is there, until
 * its client's clock has passed |until|. */
lk_err lk_take_plain_loose(lk_applying *self, lk_section *section, uint32_t until) LK_MUST_USE;

#endif
