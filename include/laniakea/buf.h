/* laniakea/buf.h -- bytes that a function hands out: they grow as needed and are yours.
 *
 *   lk_buf *out;
 *   lk_buf_open(&env, 1 << 20, &out);
 *   lk_crdt_encode(crdt, out);
 *   send(lk_buf_bytes(out));
 *   lk_buf_clear(out);                   and use it again
 *   lk_buf_close(out);
 *
 * Functions append to a buffer; one that fails leaves it as it was. */
#ifndef LANIAKEA_BUF_H
#define LANIAKEA_BUF_H

#include "laniakea/env.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_buf lk_buf;

/* |max| is the most bytes that it may hold; what would go beyond fails with LK_ERR_LIMIT. LK_ERR_NOMEM. */
LK_API lk_err lk_buf_open(const lk_env *env, size_t max, lk_buf **out) LK_MUST_USE;
LK_API void lk_buf_close(lk_buf *self);

/* Good until the buffer is changed. */
LK_API lk_slice lk_buf_bytes(const lk_buf *self);
LK_API void lk_buf_clear(lk_buf *self);

#ifdef __cplusplus
}
#endif
#endif
