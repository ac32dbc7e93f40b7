/* base/sort.h -- sorting in place, without memory and without an order that is bad.
 *
 * Rows in this code nearly always come sorted; that is looked at first. Otherwise it is a heap sort: O(n log n)
 * whatever a stranger arranged. It is not stable: who needs that breaks ties in the comparison. */
#ifndef LK_BASE_SORT_H
#define LK_BASE_SORT_H

#include <stdbool.h>
#include <stddef.h>

/* Whether |a| must stand before |b|. */
typedef bool (*lk_sort_before)(const void *ctx, const void *a, const void *b);

/* The most bytes of one item. */
#define LK_SORT_ITEM_MAX 64

/* |items| may be NULL where |count| is 0. */
void lk_sort(void *items, size_t count, size_t item_size, lk_sort_before before, const void *ctx);

#endif
