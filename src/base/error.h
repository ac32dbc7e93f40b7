/* base/error.h -- the table behind lk_err_name() and lk_err_text(). */
#ifndef LK_BASE_ERROR_H
#define LK_BASE_ERROR_H

#include "laniakea/types.h"

/* Walks the table, for generators and tests: false when |index| is past its end. */
bool lk_err_entry(size_t index, lk_err *code, const char **name, const char **text);

#endif
