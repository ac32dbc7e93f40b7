/* base/buf.h -- bytes that grow, up to a maximum that is given at birth.
 *
 * An encoder appends many small things and wants to look at errors once. So a buffer remembers
 * its first error: what is appended afterwards is ignored, and lk_buf_err() tells at the end.
 * Every append also returns the error for those who want it at once. What was in the buffer
 * before the failing call is intact, and lk_buf_truncate() to an earlier length clears the error:
 * that is how one encoder's failure is undone without losing what came before it. */
#ifndef LK_BASE_BUF_H
#define LK_BASE_BUF_H

#include "base/alloc.h"
#include "base/slice.h"

typedef struct lk_buf {
  const lk_alloc *alloc;
  uint8_t *ptr;
  size_t len;
  size_t cap;
  size_t max;
  lk_err err;
} lk_buf;

/* Allocates nothing. |max| is the greatest length; an append beyond it fails with LK_ERR_LIMIT. */
void lk_buf_init(lk_buf *self, const lk_alloc *alloc, size_t max);

/* Safe on a zeroed struct, and twice. */
void lk_buf_deinit(lk_buf *self);

static inline lk_slice lk_buf_slice(const lk_buf *self) {
  return lk_slice_of(self->ptr, self->len);
}
static inline lk_err lk_buf_err(const lk_buf *self) { return self->err; }

/* Makes room for |more| bytes behind the end. LK_ERR_LIMIT or LK_ERR_NOMEM, also remembered. */
lk_err lk_buf_reserve(lk_buf *self, size_t more);
/* The same, growing by an eighth instead of by half: where many buffers are large at once, and stay so. */
lk_err lk_buf_reserve_tight(lk_buf *self, size_t more);

/* |bytes| may not point into the buffer itself. */
lk_err lk_buf_append(lk_buf *self, lk_slice bytes);
lk_err lk_buf_append_u8(lk_buf *self, uint8_t byte);
lk_err lk_buf_append_be16(lk_buf *self, uint16_t value);
lk_err lk_buf_append_be32(lk_buf *self, uint32_t value);
lk_err lk_buf_append_be64(lk_buf *self, uint64_t value);
lk_err lk_buf_append_le32(lk_buf *self, uint32_t value);
lk_err lk_buf_append_le64(lk_buf *self, uint64_t value);

/* |value| in decimal digits. */
lk_err lk_buf_append_decimal(lk_buf *self, uint64_t value);

/* Extends by |count| bytes for the caller to fill, and returns where they begin; NULL, with the
 * error remembered, where there is no room. Valid until the next call that grows the buffer. */
uint8_t *lk_buf_extend(lk_buf *self, size_t count);

/* Back to |len| bytes, which must not be more than there are. Clears the remembered error. */
void lk_buf_truncate(lk_buf *self, size_t len);

/* Gives everything back where it holds memory for more than |cap_max| bytes; it is empty then. For who keeps a buffer
 * while at rest and has used what is in it. */
void lk_buf_rest(lk_buf *self, size_t cap_max);

/* Gives back what it holds beyond its bytes, for one that grows no more. Where the allocator refuses it is as before. */
void lk_buf_fit(lk_buf *self);

/* Removes |count| bytes from the front, moving the rest: for output that was partly written. */
void lk_buf_consume(lk_buf *self, size_t count);

#endif
