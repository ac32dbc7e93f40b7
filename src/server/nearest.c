/* server/nearest.c -- a table of distances, as small as the names are. */
#include "server/nearest.h"

#include <stdint.h>
#include <string.h>

#define WORD_MAX 40

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Insertions, deletions, changes and swaps of neighbours that make |b| of |a|. */
static size_t distance(const char *a, const char *b) {
  size_t rows[WORD_MAX + 1][WORD_MAX + 1];
  size_t m = strlen(a), n = strlen(b);
  if (m > WORD_MAX || n > WORD_MAX) return SIZE_MAX;
  for (size_t i = 0; i <= m; i++) rows[i][0] = i;
  for (size_t j = 0; j <= n; j++) rows[0][j] = j;
  for (size_t i = 1; i <= m; i++) {
    for (size_t j = 1; j <= n; j++) {
      size_t same = a[i - 1] == b[j - 1] ? 0 : 1;
      rows[i][j] = least(rows[i - 1][j - 1] + same, least(rows[i - 1][j], rows[i][j - 1]) + 1);
      bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) rows[i][j] = least(rows[i][j], rows[i - 2][j - 2] + 1);
    }
  }
  return rows[m][n];
}

void lk_nearest_init(lk_nearest *self, const char *word) {
  *self = (lk_nearest){ .word = word, .distance = SIZE_MAX };
}

void lk_nearest_consider(lk_nearest *self, const char *candidate) {
  size_t d = distance(self->word, candidate);
  bool is_near = d < self->distance && d <= (strlen(candidate) + 2) / 3;
  if (!is_near) return;
  self->best = candidate;
  self->distance = d;
}
