/* platform/memory/storage.h -- files that live as long as the struct: for tests, examples and
 * private tabs.
 *
 * Keeps every rule of base/storage.h. Operations complete in the order of submission, at the
 * next poll; with |hold| set they wait until lk_memory_storage_release(), so that a test can look
 * at the world between submission and completion. Durability has no meaning here: nothing
 * survives deinit. (sim/disk.h is the one that loses what was not synced.) */
#ifndef LK_PLATFORM_MEMORY_STORAGE_H
#define LK_PLATFORM_MEMORY_STORAGE_H

#include "base/buf.h"
#include "base/map.h"
#include "base/storage.h"

typedef struct lk_memory_file lk_memory_file;

typedef struct lk_memory_storage {
  lk_storage table; /* first: pass &self->table where an lk_storage is wanted */
  const lk_alloc *alloc;
  lk_map names;          /* name -> lk_memory_file * */
  lk_list all;           /* every file, also removed ones that are still open */
  lk_memory_file **open; /* by lk_file */
  uint32_t open_cap;
  lk_list submitted;
  lk_list done;
  uint64_t size_max; /* bytes of all files together; more is LK_ERR_NO_SPACE */
  uint64_t size_used;
  bool hold;
} lk_memory_storage;

/* |size_max| bounds the bytes of all files; names and open files are bounded to 65536 each. */
void lk_memory_storage_init(lk_memory_storage *self, const lk_alloc *alloc, uint64_t size_max);

/* Forgets all files. Operations that have not been polled are left to their owners. Safe on a
 * zeroed struct, and twice. */
void lk_memory_storage_deinit(lk_memory_storage *self);

/* Carries out what was submitted while |hold| was set, at most |count| operations. */
void lk_memory_storage_release(lk_memory_storage *self, uint32_t count);

#endif
