/* server/nearest.h -- what was meant by a word that nobody knows.
 *
 *   lk_nearest n;
 *   lk_nearest_init(&n, word);
 *   for each name that there is: lk_nearest_consider(&n, name);
 *   if (n.best != NULL) "did you mean %s?"
 *
 * The nearest name is the one with the fewest letters to insert, drop, change or swap, if these are
 * at most a third of its length: "sevre" means serve, "launch" means nothing here. */
#ifndef LK_SERVER_NEAREST_H
#define LK_SERVER_NEAREST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct lk_nearest {
  const char *word;
  const char *best; /* NULL: none is near enough */
  size_t distance;
} lk_nearest;

void lk_nearest_init(lk_nearest *self, const char *word);
void lk_nearest_consider(lk_nearest *self, const char *candidate);

#endif
