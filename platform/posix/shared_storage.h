/* platform/posix/shared_storage.h -- files in memory that outlive the process that writes them.
 *
 *   supervisor   lk_shared_memory_make ──fork──> room process   lk_shared_storage_open ... dies at any instant
 *                                      ──fork──> the next one   lk_shared_storage_open: what was completed is there
 *
 * It keeps every rule of base/storage.h where a process dies, and none where the machine does: this is what topics of
 * level memory are kept in. An operation is carried out where it is submitted, without a system call but those that give
 * memory back; poll gives it out. Nobody else sees the memory: it has no name, and goes with the last process that has it.
 *
 * What is removed or cut off is zero when the operation completes, and what a process that died was about
 * to remove is when the next one opens. */
#ifndef LK_PLATFORM_POSIX_SHARED_STORAGE_H
#define LK_PLATFORM_POSIX_SHARED_STORAGE_H

#include "base/storage.h"
#include "laniakea/env.h"

#define LK_SHARED_MEMORY_LEAST (UINT64_C(1) << 20)
#define LK_SHARED_MEMORY_MOST (UINT64_C(512) << 30)

/* Memory for one storage. */
typedef struct lk_shared_memory {
  uint8_t *at;
  size_t size;
} lk_shared_memory;

/* |bytes| is what all files together may have, what is needed to keep them included: a bound, and nothing that is taken
 * before it is used. LK_ERR_NOMEM, LK_ERR_LIMIT: more than this machine can address or LK_SHARED_MEMORY_MOST, or less
 * than LK_SHARED_MEMORY_LEAST; then nothing is held. */
lk_err lk_shared_memory_make(lk_shared_memory *self, uint64_t bytes) LK_MUST_USE;

/* This process has no use for it any more. Safe on a zeroed struct, and twice. */
void lk_shared_memory_close(lk_shared_memory *self);

typedef struct lk_shared_storage lk_shared_storage;

/* At most one process at a time. |memory| outlives the storage. LK_ERR_NOMEM; LK_ERR_CORRUPT: a process wrote where it
 * should not have, and what was kept is not to be trusted. */
lk_err lk_shared_storage_open(const lk_alloc *alloc, const lk_shared_memory *memory,
                              lk_shared_storage **out) LK_MUST_USE;

/* What the core wants; lives as long as |self|. Names have at most LK_SHARED_NAME_MAX bytes here: LK_ERR_INVALID. */
#define LK_SHARED_NAME_MAX 103
lk_storage *lk_shared_storage_table(lk_shared_storage *self);

/* Bytes in use, in whole blocks. */
uint64_t lk_shared_storage_used(const lk_shared_storage *self);

/* Lets go of it, as the end of the process would: what is in it stays. NULL is allowed. */
void lk_shared_storage_close(lk_shared_storage *self);

#endif
