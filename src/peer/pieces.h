/* peer/pieces.h -- a record of the diary that is longer than one of the journal's may be: as several, and as one again.
 *
 *   STATE, 10 MiB  ──>  PIECE off 0 │ other records │ PIECE off 4 MiB │ ... │ PIECE off 8 MiB, the last: from here on it counts
 *
 * A journal bounds its records, since each is in memory whole where it is written and where it is read; nothing bounds a document to
 * that. So what is too long stands in pieces. Each says what it is a piece of, how long all of that is, and its own place.
 *
 * WRITING. One record at a time is written in pieces, and one piece at a time is under way in the journal: others write what they have in
 * between, and the journal's buffers do not grow. A record is given up by beginning another one, which begins at 0.
 *
 * READING. A journal gives back a beginning of what was written to it, record by record: what a crash took is the end. So pieces are laid
 * behind each other as they come, and are nothing until the last one is there: of what was not finished, or was given up, nothing is read. A
 * journal also lets go of its own beginning, once all that counts was written again behind it: pieces whose first ones went
 * with that are of something that does not count, and are passed over.
 *
 * HOW LONG the whole may be is no limit of storage: it is the longest thing that a replica takes in (doc_update_bytes, crdt_state_bytes). What is
 * longer could be kept, and not be read.
 *
 * Not chosen: pieces in log/journal.h, below everybody who keeps records. Rooms keep their states in slots (room/keeper.h), not in
 * records, and refuse an update that no record holds before they make it; so nobody else has use for it, and what a record's index and
 * its durability mean stays simple. */
#ifndef LK_PEER_PIECES_H
#define LK_PEER_PIECES_H

#include "base/limits.h"
#include "peer/diary.h"

/* The longest |bytes| of a record. */
static inline size_t lk_pieces_whole_max(const lk_limits *limits) {
  return lk_max_size(limits->doc_update_bytes, limits->crdt_state_bytes);
}

/* How far the record has come that is being written. Zeroed: at its beginning. */
typedef struct lk_pieces_writer {
  size_t off;     /* so many of its bytes stand in pieces */
  uint64_t index; /* of the latest one; 0: there is none */
} lk_pieces_writer;

/* Appends the next piece of |record|, which has bytes, unless the one before it is not |durable| yet. LK_OK: that was the last one,
 * or had been before. LK_ERR_MORE: it was not; call again later, with the same record. Else as lk_diary_append(), and
 * LK_ERR_TOO_BIG where it is longer than may be; nothing was changed then. */
lk_err lk_pieces_write(lk_pieces_writer *self, lk_journal *journal, lk_buf *scratch,
                       const lk_diary_record *record, uint64_t durable) LK_MUST_USE;

/* Whether the next piece is the last one. */
bool lk_pieces_is_last(const lk_pieces_writer *self, const lk_limits *limits,
                       const lk_diary_record *record);

/* The record whose pieces are being read. */
typedef struct lk_pieces_collector {
  lk_buf bytes;   /* as far as they have come */
  uint64_t total; /* 0: none is begun */
  uint64_t number;
  lk_diary_kind of;
  uint8_t topic[LK_DIARY_TOPIC_MAX];
  size_t topic_len;
} lk_pieces_collector;

/* Allocates nothing. */
void lk_pieces_collector_init(lk_pieces_collector *self, const lk_alloc *alloc,
                              const lk_limits *limits);
/* Safe on a zeroed struct, and twice. */
void lk_pieces_collector_deinit(lk_pieces_collector *self);

/* Takes a PIECE. |*is_whole|: |*out| is the record whose last one it was; it borrows from here and from |piece|. LK_ERR_LIMIT: it is longer
 * than it may be; LK_ERR_NOMEM. */
lk_err lk_pieces_read(lk_pieces_collector *self, const lk_diary_record *piece, bool *is_whole,
                      lk_diary_record *out) LK_MUST_USE;

/* Forgets what was read, and gives its memory back. */
void lk_pieces_collector_reset(lk_pieces_collector *self);

#endif
