/* platform/posix/row_index.h -- which row has a name, where the rows already hold the names.
 *
 * A table of row numbers and nothing else: four bytes for each of its slots, of which at most half are taken, so that a
 * name costs from 8 to 16 bytes, however long it is. base/map.h would copy it.
 *
 * For one thread. Rows are in no order here; whoever wants one goes through the rows. */
#ifndef LK_PLATFORM_POSIX_ROW_INDEX_H
#define LK_PLATFORM_POSIX_ROW_INDEX_H

#include "base/slice.h"
#include "laniakea/env.h"

/* The name of |row|, which stays the same as long as it is in the index; empty where it is not, and is not about to be. */
typedef lk_slice (*lk_row_name)(const void *rows, uint32_t row);

typedef struct lk_row_index {
  const lk_alloc *alloc;
  lk_row_name name_of;
  const void *rows;
  uint64_t seed[2];
  uint32_t *slots; /* |cap| of them, 0 or a power of two: row + 1, or 0 */
  uint32_t cap;
  uint32_t count;
  uint32_t rows_end; /* rows from here on were never added */
} lk_row_index;

/* Allocates nothing. |seed| should come from entropy where strangers choose names. */
void lk_row_index_init(lk_row_index *self, const lk_alloc *alloc, const uint64_t seed[2],
                       lk_row_name name_of, const void *rows);

/* Safe on a zeroed struct, and twice. */
void lk_row_index_deinit(lk_row_index *self);

/* False where no row of the index has |name|. */
bool lk_row_index_find(const lk_row_index *self, lk_slice name, uint32_t *row);

/* There is room for one more row. LK_ERR_NOMEM, LK_ERR_LIMIT: the index is as before. Of the rows that were ever added, and
 * those before them, the ones in the index have names, and no others. */
lk_err lk_row_index_reserve(lk_row_index *self) LK_MUST_USE;

/* There is room, and no row of the index has the name of |row|, which is below UINT32_MAX. */
void lk_row_index_add(lk_row_index *self, uint32_t row);

/* |row| is in the index and still has its name. Its slot serves others at once; the table does not shrink. */
void lk_row_index_remove(lk_row_index *self, uint32_t row);

#endif
