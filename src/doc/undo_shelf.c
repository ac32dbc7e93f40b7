/* doc/undo_shelf.c -- old lists of which one knows what was made again.
 *
 * When a node and what was in it are made again, item by item, each asks for the nearest ones to its left and to its
 * right in the old list that are in the new node already. The first ones find nothing up to the end. So walking there
 * takes a time that grows with the square of the list.
 *
 * A shelf has the items of one old list in their order, and a bit for each: whether it leads into the new node. The
 * nearest bit is found by words, and by a second set of bits that tells which words are not zero.
 *
 * Walking leaves traces in Yjs: what an item that it passes leads to is cut out, even where that is in
 * some other node. This shows in the update when a new item is then put at the end of what was cut. So there is
 * another bit for those that were made again elsewhere; when a search passes one it is cut out, once.
 *
 * What an item leads to may be made again itself later on. Those that lead on to somewhere else are therefore listed
 * by the item at which they end. */
#include "doc/undo.h"

#include "doc/read.h"

typedef struct bits {
  uint64_t *words;
  uint64_t *some; /* a bit for each word */
  uint32_t word_count;
} bits;

struct lk_undo_shelf {
  lk_undo_shelf *next;
  uint32_t list, parent;
  uint32_t *items;     /* in order */
  uint32_t *by_number; /* places, sorted by the number of the item */
  uint32_t count;
  bits leads;      /* into the new node */
  bits uncut;      /* made again elsewhere, and not looked at yet */
  uint32_t *ends;  /* for those that lead elsewhere: the item at which they end */
  uint32_t *tails; /* their places, sorted by that */
  uint32_t tail_count;
};

/* ---- bits ---- */

static lk_err bits_init(bits *self, lk_arena *arena, uint32_t count) {
  self->word_count = count / 64 + 1;
  self->words = lk_arena_push_array(arena, self->word_count, sizeof *self->words);
  self->some = lk_arena_push_array(arena, self->word_count / 64 + 1, sizeof *self->some);
  if (self->words == NULL || self->some == NULL) return LK_ERR_NOMEM;
  memset(self->words, 0, self->word_count * sizeof *self->words);
  memset(self->some, 0, (self->word_count / 64 + 1) * sizeof *self->some);
  return LK_OK;
}

static void bits_set(bits *self, uint32_t at) {
  self->words[at / 64] |= UINT64_C(1) << at % 64;
  self->some[at / 4096] |= UINT64_C(1) << at / 64 % 64;
}

static void bits_clear(bits *self, uint32_t at) {
  self->words[at / 64] &= ~(UINT64_C(1) << at % 64);
  if (self->words[at / 64] == 0) self->some[at / 4096] &= ~(UINT64_C(1) << at / 64 % 64);
}

/* The first one in |words| from |at| on, or LK_NONE. */
static uint32_t first_from(const uint64_t *words, uint32_t word_count, uint32_t at) {
  uint32_t word = at / 64;
  if (word >= word_count) return LK_NONE;
  uint64_t rest = words[word] >> at % 64 << at % 64;
  while (rest == 0) {
    if (++word == word_count) return LK_NONE;
    rest = words[word];
  }
  return word * 64 + lk_ctz_u64(rest);
}

/* The last one below |end|. */
static uint32_t last_below(const uint64_t *words, uint32_t end) {
  uint32_t word = end / 64;
  uint64_t rest = end % 64 == 0 ? 0 : words[word] << (64 - end % 64) >> (64 - end % 64);
  while (rest == 0) {
    if (word == 0) return LK_NONE;
    rest = words[--word];
  }
  return word * 64 + 63 - lk_clz_u64(rest);
}

static uint32_t bits_next(const bits *self, uint32_t at) {
  uint32_t word = at / 64;
  if (word >= self->word_count) return LK_NONE;
  uint32_t found = first_from(self->words, word + 1, at);
  if (found != LK_NONE) return found;
  word = first_from(self->some, self->word_count / 64 + 1, word + 1);
  return word == LK_NONE ? LK_NONE : first_from(self->words, word + 1, word * 64);
}

static uint32_t bits_previous(const bits *self, uint32_t end) {
  uint32_t word = end / 64;
  uint64_t below = end % 64 == 0 ? 0 : self->words[word] << (64 - end % 64);
  if (below != 0) return last_below(self->words, end);
  word = last_below(self->some, word);
  return word == LK_NONE ? LK_NONE : last_below(self->words, word * 64 + 64);
}

/* ---- making one ---- */

/* Whether |number| leads into the node of |parent|; |*end| is where it ends. Cuts nothing. */
static bool leads_to(lk_doc *doc, uint32_t number, uint32_t parent, uint32_t *end) {
  const lk_item *item = &doc->items[number];
  uint16_t client = item->client;
  uint32_t clock = item->clock;
  for (*end = number;; item = &doc->items[*end]) {
    if (item->kind == LK_CONTENT_GC) return false;
    if (lk_undo_parent(doc, item) == parent) return true;
    uint32_t diff = clock - item->clock;
    if (!lk_item_redone(doc, *end, &client, &clock)) return false;
    clock += diff;
    *end = lk_client_item(doc, client, clock);
  }
}

static bool number_below(const void *ctx, uint32_t a, uint32_t b) {
  const lk_undo_shelf *self = ctx;
  return self->items[a] < self->items[b];
}
static bool end_below(const void *ctx, uint32_t a, uint32_t b) {
  const lk_undo_shelf *self = ctx;
  return self->ends[a] != self->ends[b] ? self->ends[a] < self->ends[b] : a < b;
}

static void put_item(lk_doc *doc, lk_undo_shelf *shelf, uint32_t item) {
  uint32_t place = shelf->count++;
  shelf->items[place] = item;
  shelf->by_number[place] = place;
  if ((doc->items[item].flags & LK_ITEM_REDONE) == 0) return;
  if (leads_to(doc, item, shelf->parent, &shelf->ends[place])) {
    bits_set(&shelf->leads, place);
  } else {
    bits_set(&shelf->uncut, place);
    shelf->tails[shelf->tail_count++] = place;
  }
}

static lk_err fill(lk_undo *self, lk_undo_shelf *shelf) {
  lk_doc *doc = self->doc;
  uint32_t count = 0, start = doc->types.at[shelf->list].start;
  for (uint32_t at = start; at != LK_NONE; at = doc->items[at].right) count++;
  uint32_t *room = lk_arena_push_array(&self->arena, count, 4 * sizeof *room);
  if (room == NULL) return LK_ERR_NOMEM;
  shelf->items = room;
  shelf->by_number = room + count;
  shelf->ends = room + (size_t)count * 2;
  shelf->tails = room + (size_t)count * 3;
  lk_err err = bits_init(&shelf->leads, &self->arena, count);
  if (err == LK_OK) err = bits_init(&shelf->uncut, &self->arena, count);
  if (err != LK_OK) return err;
  for (uint32_t at = start; at != LK_NONE; at = doc->items[at].right) put_item(doc, shelf, at);
  lk_refs by_number = { .at = shelf->by_number, .count = count, .cap = count };
  lk_refs tails = { .at = shelf->tails, .count = shelf->tail_count, .cap = count };
  lk_refs_sort(&by_number, 0, number_below, shelf);
  lk_refs_sort(&tails, 0, end_below, shelf);
  return LK_OK;
}

lk_undo_shelf *lk_undo_shelf_find(const lk_undo *self, uint32_t list, uint32_t parent) {
  lk_undo_shelf *shelf = self->shelves;
  while (shelf != NULL && (shelf->list != list || shelf->parent != parent)) shelf = shelf->next;
  return shelf;
}

lk_err lk_undo_shelf_make(lk_undo *self, uint32_t list, uint32_t parent, lk_undo_shelf **out) {
  lk_undo_shelf *shelf = lk_arena_push(&self->arena, sizeof *shelf);
  if (shelf == NULL) return LK_ERR_NOMEM;
  LK_COVERED(doc_undo_shelf);
  *shelf = (lk_undo_shelf){ .next = self->shelves, .list = list, .parent = parent };
  lk_err err = fill(self, shelf);
  if (err != LK_OK) return err;
  self->shelves = *out = shelf;
  return LK_OK;
}

/* ---- what was made since ---- */

/* LK_NONE for one that came to the list later: the right half of one that was cut. */
static uint32_t place_of(const lk_undo_shelf *self, uint32_t item) {
  uint32_t low = 0, high = self->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (self->items[self->by_number[middle]] < item) low = middle + 1;
    else high = middle;
  }
  if (low == self->count || self->items[self->by_number[low]] != item) return LK_NONE;
  return self->by_number[low];
}

static void note(lk_doc *doc, lk_undo_shelf *self, uint32_t place) {
  uint32_t end;
  if (!leads_to(doc, self->items[place], self->parent, &end)) return;
  bits_set(&self->leads, place);
  bits_clear(&self->uncut, place);
}

static void note_made(lk_doc *doc, lk_undo_shelf *self, uint32_t item) {
  uint32_t low = 0, high = self->tail_count;
  if (doc->items[item].parent == self->list) {
    uint32_t place = place_of(self, item);
    if (place != LK_NONE) note(doc, self, place);
  }
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (self->ends[self->tails[middle]] < item) low = middle + 1;
    else high = middle;
  }
  for (; low < self->tail_count && self->ends[self->tails[low]] == item; low++)
    note(doc, self, self->tails[low]);
}

void lk_undo_shelves_note(lk_undo *self, uint32_t item) {
  for (lk_undo_shelf *shelf = self->shelves; shelf != NULL; shelf = shelf->next)
    note_made(self->doc, shelf, item);
}

/* ---- searching ---- */

static lk_err cut_between(lk_doc *doc, lk_undo_shelf *self, uint32_t from, uint32_t end) {
  lk_err err = LK_OK;
  for (uint32_t at; err == LK_OK && (at = bits_next(&self->uncut, from)) < end; from = at + 1) {
    uint32_t item = self->items[at];
    err = lk_undo_trace(doc, self->parent, &item);
    bits_clear(&self->uncut, at);
  }
  return err;
}

lk_err lk_undo_shelf_left(lk_undo *undo, lk_undo_shelf *self, uint32_t item, uint32_t *out) {
  lk_doc *doc = undo->doc;
  uint32_t place = place_of(self, item);
  uint32_t found = bits_previous(&self->leads, place);
  lk_err err = cut_between(doc, self, found == LK_NONE ? 0 : found + 1, place);
  *out = LK_NONE;
  if (err != LK_OK || found == LK_NONE) return err;
  *out = self->items[found];
  for (;;) { /* to the last part of it, should it have been cut since */
    uint32_t right = doc->items[*out].right;
    if (right == item || place_of(self, right) != LK_NONE)
      return lk_undo_trace(doc, self->parent, out);
    *out = right;
  }
}

lk_err lk_undo_shelf_right(lk_undo *undo, lk_undo_shelf *self, uint32_t item, uint32_t *out) {
  uint32_t place = place_of(self, item);
  uint32_t found = bits_next(&self->leads, place + 1);
  lk_err err = cut_between(undo->doc, self, place, found == LK_NONE ? self->count : found);
  *out = found == LK_NONE ? LK_NONE : self->items[found];
  return err == LK_OK ? lk_undo_trace(undo->doc, self->parent, out) : err;
}
