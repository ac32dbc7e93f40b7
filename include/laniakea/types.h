/* laniakea/types.h -- the words that every other header uses.
 *
 * Bytes are passed as slices: a pointer and a length, no terminating NUL, never freed by the
 * function that receives them. Text is UTF-8 in a slice. A slice that a function hands out
 * lives as long as the header of that function says.
 *
 * Every function that can fail returns an lk_err and leaves its objects as they were, unless
 * its comment says otherwise. lk_err_name() and lk_err_text() turn a code into words. */
#ifndef LANIAKEA_TYPES_H
#define LANIAKEA_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "laniakea/errors.h"

#if defined(__GNUC__) || defined(__clang__)
#define LK_API __attribute__((visibility("default")))
#define LK_MUST_USE __attribute__((warn_unused_result))
#else
#define LK_API
#define LK_MUST_USE
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Borrowed bytes. |ptr| may be NULL only where |len| is 0. */
typedef struct lk_slice {
  const uint8_t *ptr;
  size_t len;
} lk_slice;

/* The name of |err| as it stands in the documentation, such as "LK_ERR_CORRUPT", and a sentence
 * that says what happened and what to do. Both are static, terminated by NUL, and never NULL:
 * a code that this version does not know gives "LK_ERR_UNKNOWN". */
LK_API const char *lk_err_name(lk_err err);
LK_API const char *lk_err_text(lk_err err);

#ifdef __cplusplus
}
#endif
#endif
