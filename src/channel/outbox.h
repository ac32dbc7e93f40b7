/* channel/outbox.h -- messages that wait to be sent, in one bounded buffer.
 *
 * Encoders append straight into the buffer between begin and end; a message that failed leaves no
 * trace. Each message is text or binary, as WebSocket knows them. An outbox that has been emptied gives its
 * memory back: an idle connection keeps none. */
#ifndef LK_CHANNEL_OUTBOX_H
#define LK_CHANNEL_OUTBOX_H

#include "base/buf.h"

typedef struct lk_outbox {
  lk_buf bytes; /* messages, each behind its length in four bytes */
  size_t read;    /* how much of that was taken out */
  uint32_t count; /* of messages that wait */
} lk_outbox;

/* |bytes_max| bounds the buffer, lengths included. Where a reader is never done, what it took out
 * counts until it is the greater part: half of |bytes_max| may wait in any case. */
void lk_outbox_init(lk_outbox *self, const lk_alloc *alloc, size_t bytes_max);

/* Safe on a zeroed struct, and twice. */
void lk_outbox_deinit(lk_outbox *self);

/* Begins a message: append it to self->bytes, then call end with what begin returned and the
 * encoder's error. End returns that error or the buffer's; then there is no message. */
size_t lk_outbox_begin(lk_outbox *self);
lk_err lk_outbox_end_as(lk_outbox *self, size_t start, bool is_binary, lk_err err);

/* The same for a text. */
lk_err lk_outbox_end(lk_outbox *self, size_t start, lk_err err);

/* The oldest message; it lives until the next call. False when there is none. */
bool lk_outbox_next_message(lk_outbox *self, lk_slice *bytes, bool *is_binary);

/* The same where all of them are texts. */
bool lk_outbox_next(lk_outbox *self, lk_slice *text);

/* Forgets everything that waits, and gives the memory back. */
void lk_outbox_clear(lk_outbox *self);

static inline bool lk_outbox_is_empty(const lk_outbox *self) {
  return self->read == self->bytes.len;
}

#endif
