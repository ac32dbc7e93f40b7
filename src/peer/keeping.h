/* peer/keeping.h -- the diary of a client: read once, written as it goes, made small again.
 *
 *   NONE        there is no storage
 *   OPENING ──> OPEN ──failed──> CLOSING ──> RESTING ──later──> OPENING again
 *      └─ damaged, or by a later version ──> LOST: the files stay as they are, and nothing is kept
 *
 * While it is OPEN, topics owe records, and each step of the client writes what is owed; a journal that is full for now, or a storage without space,
 * is owed the more. Whatever cannot be recorded change by change is owed as a STATE, so nothing waits in queues.
 *
 * What is too long for a record of the journal is written in pieces (pieces.h), one record of all topics at a time. Meanwhile other
 * topics go on, and this one's records wait: its changes in its backlog, and what others change is told, when the STATE is
 * written, as one difference to that.
 *
 * A journal that failed is opened again, and not believed: this process knows all that is in it, and writes that anew. */
#ifndef LK_PEER_KEEPING_H
#define LK_PEER_KEEPING_H

#include "laniakea/client.h"
#include "log/journal.h"
#include "peer/pieces.h"

typedef enum lk_keeping_state {
  LK_KEEPING_NONE,
  LK_KEEPING_OPENING,
  LK_KEEPING_OPEN,
  LK_KEEPING_CLOSING,
  LK_KEEPING_RESTING,
  LK_KEEPING_LOST,
} lk_keeping_state;

/* The record that is being written in pieces. */
typedef struct lk_keeping_long {
  lk_topic *topic; /* NULL: there is none */
  lk_pieces_writer writer;
  lk_diary_kind kind;    /* a STATE; NEWS since then; a CHANGE */
  uint64_t number;       /* of the CHANGE, which is in the topic's backlog */
  lk_buf bytes;          /* of the others */
  lk_buf version;        /* of the replica when they were encoded */
  bool is_behind;        /* the replica has something since then that is in no record */
  bool owes_topic;       /* a TOPIC, right before the last piece: the diary knows another generation */
  bool was_owed;         /* not for a compaction alone */
  uint64_t state_before; /* topic->records.state */
} lk_keeping_long;

typedef struct lk_keeping {
  lk_client *client;
  lk_storage *storage;
  lk_journal journal;
  lk_keeping_state state;
  bool was_read; /* by this process: what another opening shows is known */
  bool has_space;
  uint32_t attempt; /* openings in a row that failed */
  uint64_t retry_at_ms;
  uint64_t space_at_ms; /* when to look whether there is some */
  uint64_t durable;     /* the last record that is */
  lk_err trouble;       /* LK_OK: none */
  lk_buf scratch;
  lk_pieces_collector pieces;
  lk_keeping_long being_written;

  bool is_compacting;
  bool cannot_compact;
  uint64_t compact_from; /* records from here on are all that counts, when it is done */
  uint64_t compact_to;   /* once that is durable; 0: not all is written yet */
  uint64_t written;      /* bytes, when the last one ended */
  uint64_t compacted;    /* bytes that the last one wrote */
} lk_keeping;

/* Begins to open; or there is no storage. */
void lk_keeping_init(lk_keeping *self, lk_client *client, lk_storage *storage,
                     const uint8_t salt[LK_SEGMENT_SALT_LEN]);
/* Safe on a zeroed struct, and twice. */
void lk_keeping_deinit(lk_keeping *self);

/* Takes completions from the storage. */
void lk_keeping_advance(lk_keeping *self);

/* Appends what topics owe, and begins to write it. */
void lk_keeping_write(lk_keeping *self);

/* Others changed |topic|: |bytes| tell how. */
void lk_keeping_note_news(lk_keeping *self, lk_topic *topic, lk_slice bytes);

/* |topic|'s replica has something that stands in no record. */
void lk_keeping_owe(lk_keeping *self, lk_topic *topic);

/* |topic| is not any more what it was: of what is being written of it, nothing counts. */
void lk_keeping_give_up(lk_keeping *self, const lk_topic *topic);

/* What is made now will be durable in a moment. */
static inline bool lk_keeping_is_well(const lk_keeping *self) {
  return self->state == LK_KEEPING_OPEN && self->has_space;
}

void lk_keeping_tick(lk_keeping *self, uint64_t now_ms);
uint64_t lk_keeping_deadline(const lk_keeping *self);

#endif
