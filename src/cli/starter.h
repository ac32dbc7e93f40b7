/* cli/starter.h -- the app that `laniakea new` writes, as the program carries it.
 *
 * tools/embed_starter.mjs makes the table of a build from examples/starter and, in vendor/, the npm
 * packages of build/npm that it depends on. Where those were not built the table is empty. */
#ifndef LK_CLI_STARTER_H
#define LK_CLI_STARTER_H

#include "base/slice.h"

/* What stands in the files of vendor/ is written as it is; in all others the app's name takes the
 * place of this one. */
#define LK_STARTER_NAME "my-app"
#define LK_STARTER_VENDOR "vendor/"

typedef struct lk_starter_file {
  const char *path; /* below the app's folder */
  const uint8_t *begin;
  const uint8_t *end;
} lk_starter_file;

typedef struct lk_starter {
  const lk_starter_file *files;
  size_t count;
} lk_starter;

/* The table of this build. */
extern const lk_starter lk_starter_built;

#endif
