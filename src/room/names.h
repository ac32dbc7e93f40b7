/* room/names.h -- the names of topics, in order: small, since there may be very many.
 *
 * Names lie one behind the other in blocks of a kilobyte, so that one costs its bytes, two more, and the space that blocks
 * have left: a quarter or so. To find one is a binary search among the blocks and a walk through one. Each name has a byte of
 * flags, which are the owner's. */
#ifndef LK_ROOM_NAMES_H
#define LK_ROOM_NAMES_H

#include "base/base.h"

#define LK_NAMES_NAME_MAX 255

typedef struct lk_names_block lk_names_block;

typedef struct lk_names {
  const lk_alloc *alloc;
  lk_names_block **blocks; /* in order; none is empty */
  size_t blocks_count;
  size_t blocks_cap;
  uint64_t count;
  size_t bytes_max;
} lk_names;

/* A place between two names, good until the next put or remove. */
typedef struct lk_names_cursor {
  size_t block;
  size_t off;
} lk_names_cursor;

/* Allocates nothing. All blocks together have at most |bytes_max| bytes, but for the table of them. */
void lk_names_init(lk_names *self, const lk_alloc *alloc, size_t bytes_max);

/* Safe on a zeroed struct, and twice. */
void lk_names_deinit(lk_names *self);

/* The flags of |name|, until the next put or remove; NULL: it is not in. */
uint8_t *lk_names_find(const lk_names *self, lk_slice name);

/* Puts |name| in, of 1 to LK_NAMES_NAME_MAX bytes, with no flags, unless it is there; |*flags| as find. LK_ERR_NOMEM,
 * LK_ERR_LIMIT, LK_ERR_TOO_BIG: nothing has changed, but that cursors are no longer good. */
lk_err lk_names_put(lk_names *self, lk_slice name, uint8_t **flags) LK_MUST_USE;

/* False: it was not in. */
bool lk_names_remove(lk_names *self, lk_slice name);

/* Before the first name that is |from| or behind it. */
lk_names_cursor lk_names_seek(const lk_names *self, lk_slice from);

/* The name behind |*cursor|, which moves behind it; false at the end. |name| is good as long as the cursor. */
bool lk_names_next(const lk_names *self, lk_names_cursor *cursor, lk_slice *name, uint8_t *flags);

/* What all this takes. */
size_t lk_names_bytes(const lk_names *self);

#endif
