/* platform/posix/slabs.h -- the memory of a process that holds many small things for long, and others for a moment.
 *
 * Blocks have no header, and what is freed goes back to the system: a server that had ten thousand documents open takes
 * afterwards what ten thousand sleeping ones need. The C library's heap keeps each page on which anything is left.
 *
 * For one thread. Blocks above LK_SLABS_SMALL_MAX are the C library's. */
#ifndef LK_PLATFORM_POSIX_SLABS_H
#define LK_PLATFORM_POSIX_SLABS_H

#include "base/list.h"
#include "laniakea/env.h"

#define LK_SLABS_SMALL_MAX 4096
#define LK_SLABS_CLASSES 80
#define LK_SLABS_SPARE_MAX 8

typedef struct lk_slabs lk_slabs;

/* One of the two allocators. */
typedef struct lk_slabs_face {
  lk_alloc alloc;
  lk_slabs *slabs;
  uint8_t side;
} lk_slabs_face;

struct lk_slabs {
  /* Good as long as the struct stays where it is. What is freed soon stands apart, so that it leaves no holes between what
   * stays; each is freed where it was allocated. */
  lk_slabs_face lasting;
  lk_slabs_face brief;
  bool gives_back; /* a page of the system is no longer than a slab */
  bool is_clean; /* what is freed is zero before: nothing of it is found in the process any more */
  lk_list classes[2][LK_SLABS_CLASSES]; /* slabs that have a free block, of each size */
  lk_list spare;  /* slabs that have nothing but free blocks, and wait for use; the oldest first */
  lk_list areas;  /* all of them */
  lk_list vacant; /* those with a place for a slab */
};

/* Asks the system for nothing yet. */
void lk_slabs_init(lk_slabs *self, bool is_clean);

/* Every small block is gone, freed or not. Safe on a zeroed struct, and twice. */
void lk_slabs_deinit(lk_slabs *self);

#endif
