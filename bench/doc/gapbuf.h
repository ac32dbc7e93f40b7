/* bench/doc/gapbuf.h -- the limit: a text that can be edited, and knows nothing of anybody else.
 *
 * The units of the text with a gap where the last edit was. An edit elsewhere first moves what lies
 * between; typing then only fills the gap. It is what an editor would do that keeps no history. */
#ifndef LK_BENCH_DOC_GAPBUF_H
#define LK_BENCH_DOC_GAPBUF_H

#include "laniakea/types.h"

typedef struct gapbuf {
  uint16_t *units;
  size_t gap, gap_end, cap;
} gapbuf;

void gapbuf_init(gapbuf *self);
void gapbuf_deinit(gapbuf *self);

/* |utf8| must be valid, and |at| and |deleted| lie in the text. */
void gapbuf_edit(gapbuf *self, size_t at, size_t deleted, lk_slice utf8);

/* The text in UTF-8, to be freed. Halves of surrogate pairs that stand alone become U+FFFD. */
lk_slice gapbuf_text(const gapbuf *self);

#endif
