/* peer/diary.h -- what a device keeps of its topics: records of one journal.
 *
 * One journal (log/journal.h) for all topics of a client: one sync for all that changed meanwhile. A record names its topic,
 * and is one of
 *
 *   TOPIC   what the topic is: kind, the name under which this device changes it, the generation of a document
 *   STATE   all of the replica
 *   CHANGE  one of our own changes, with its number: it waits for the server until an ACKED has that number or a later one
 *   NEWS    what others changed
 *   ACKED   the server has our changes up to this number
 *   DROP    nothing that was said of the topic before counts any more
 *   PIECE   a part of a STATE, a CHANGE or NEWS that no record is long enough for (pieces.h)
 *
 * Replicas merge, and numbers only grow: so but for DROP it does no harm to read a record twice, or behind a STATE that has it
 * already. That is what makes compaction simple (keeping.c): write everything that counts once more, at the end; when that is
 * durable, let go of the beginning. A crash at any point leaves more than is needed, never less.
 *
 *   record := topic_len:varuint topic body
 *   TOPIC  := kind:u8 actor_len:varuint actor generation_len:varuint generation
 *   STATE  := bytes         NEWS := bytes         DROP := nothing
 *   CHANGE := number:varuint bytes                ACKED := number:varuint
 *   PIECE  := of:u8 number:varuint total:varuint off:varuint bytes      of: a kind; number: 0 but for a CHANGE
 *
 * The record's kind is the journal's. */
#ifndef LK_PEER_DIARY_H
#define LK_PEER_DIARY_H

#include "base/base.h"
#include "log/journal.h"

/* On disk: never changed, never used again. */
typedef enum lk_diary_kind {
  LK_DIARY_TOPIC = 1,
  LK_DIARY_STATE = 2,
  LK_DIARY_CHANGE = 3,
  LK_DIARY_NEWS = 4,
  LK_DIARY_ACKED = 5,
  LK_DIARY_DROP = 6,
  LK_DIARY_PIECE = 7,
} lk_diary_kind;

#define LK_DIARY_TOPIC_MAX 255
#define LK_DIARY_NAME_MAX 64 /* of an actor or a generation */

typedef struct lk_diary_record {
  lk_diary_kind kind;
  lk_slice topic;
  uint8_t topic_kind; /* TOPIC: a number of types.def, 0 for a document */
  lk_slice actor;
  lk_slice generation;
  uint64_t number;  /* CHANGE, ACKED, PIECE */
  lk_slice bytes;   /* STATE, CHANGE, NEWS, PIECE */
  lk_diary_kind of; /* PIECE: what it is a part of, as are the next two */
  uint64_t total;   /* bytes of all of that */
  uint64_t off;     /* of these, those before |bytes| */
} lk_diary_record;

/* Bytes of a PIECE's record around |bytes|. */
size_t lk_diary_piece_around(const lk_diary_record *piece);

/* Appends |record| to |journal|, whose errors these are, and |scratch|'s. */
lk_err lk_diary_append(lk_journal *journal, lk_buf *scratch, const lk_diary_record *record,
                       uint64_t *index) LK_MUST_USE;

/* Reads what a journal's record of that kind has; it borrows from |body|. LK_ERR_VERSION for a kind that this version does not
 * know, LK_ERR_CORRUPT. */
lk_err lk_diary_decode(uint8_t kind, lk_slice body, lk_diary_record *out) LK_MUST_USE;

#endif
