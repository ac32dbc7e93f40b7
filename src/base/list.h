/* base/list.h -- a doubly linked list whose links live inside the items.
 *
 * The list owns nothing and allocates nothing; an item is on at most one list for each link
 * that it embeds. Order is the order of insertion, so iteration is deterministic.
 *
 *   struct session { lk_link by_age; ... };
 *   for (lk_link *at = list.first; at != NULL; at = at->next) {
 *     struct session *s = LK_CONTAINER(at, struct session, by_age);
 */
#ifndef LK_BASE_LIST_H
#define LK_BASE_LIST_H

#include "base/check.h"
#include <stddef.h>
#include <stdint.h>

#define LK_CONTAINER(link, type, member)                                                           \
  ((type *)(void *)((unsigned char *)(link)-offsetof(type, member)))

typedef struct lk_link {
  struct lk_link *prev;
  struct lk_link *next;
} lk_link;

/* A zeroed struct is an empty list. */
typedef struct lk_list {
  lk_link *first;
  lk_link *last;
  uint32_t count;
} lk_list;

static inline void lk_list_push_last(lk_list *self, lk_link *link) {
  LK_ASSERT(self->count < UINT32_MAX);
  *link = (lk_link){ .prev = self->last, .next = NULL };
  if (self->last != NULL) self->last->next = link;
  else self->first = link;
  self->last = link;
  self->count++;
}

static inline void lk_list_push_first(lk_list *self, lk_link *link) {
  LK_ASSERT(self->count < UINT32_MAX);
  *link = (lk_link){ .prev = NULL, .next = self->first };
  if (self->first != NULL) self->first->prev = link;
  else self->last = link;
  self->first = link;
  self->count++;
}

/* |link| must be on this list. Its own pointers are cleared. */
static inline void lk_list_remove(lk_list *self, lk_link *link) {
  LK_ASSERT(self->count > 0);
  LK_ASSERT(link->prev == NULL ? self->first == link : link->prev->next == link);
  LK_ASSERT(link->next == NULL ? self->last == link : link->next->prev == link);
  if (link->prev != NULL) link->prev->next = link->next;
  else self->first = link->next;
  if (link->next != NULL) link->next->prev = link->prev;
  else self->last = link->prev;
  *link = (lk_link){ NULL, NULL };
  self->count--;
}

/* NULL where the list is empty. */
static inline lk_link *lk_list_pop_first(lk_list *self) {
  lk_link *link = self->first;
  if (link != NULL) lk_list_remove(self, link);
  return link;
}

#endif
