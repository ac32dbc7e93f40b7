/* The rules of base/storage.h as checks that every storage must pass. */
#ifndef LK_TESTS_STORAGE_RULES_H
#define LK_TESTS_STORAGE_RULES_H

#include "base/storage.h"

/* Called when poll gave nothing and something is still under way; may sleep or advance time. */
typedef void (*storage_wait)(void *ctx);

/* Runs one operation to its completion. */
lk_err storage_run(lk_storage *storage, storage_wait wait, void *ctx, lk_io *io);

/* All rules that can be seen without cutting power. The storage is empty before and after. */
void storage_check_rules(lk_storage *storage, storage_wait wait, void *ctx);

#endif
