/* bench/server/updates.h -- Yjs updates for the generator to send: small ones that carry a time, and a whole session. */
#ifndef LK_BENCH_SERVER_UPDATES_H
#define LK_BENCH_SERVER_UPDATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who writes by himself at the end of what he wrote before, as somebody who types. */
typedef struct author {
  uint64_t client;
  uint64_t clock; /* of what comes next */
} author;

#define UPDATE_FRAME_MAX 96 /* bytes of an update beside its text */

/* Writes the update by which |self| inserts |text|, ASCII, and deletes the |deleted| characters before it that are his
 * own. How long it is. */
size_t author_write(author *self, const char *text, size_t len, size_t deleted, uint8_t *out);

/* What twenty authors type in turns into one text, in runs at random places, a fifth of it deletions; always the same.
 * Each keystroke is an update, made by our own engine, whose updates are the bytes of Yjs. */
typedef struct session {
  uint8_t *bytes;
  size_t *ends;
  size_t count;
  uint64_t units; /* of the text in the end */
} session;

session session_make(size_t count);

/* How long the text is that |update| makes of an empty document; UINT64_MAX where it is no update. */
uint64_t update_units(const uint8_t *update, size_t len);

#endif
