/* log/journal.h -- records in order, in files, durable when it says so.
 *
 * A journal is a row of segments (log/segment.h), NAME-0000000001 and so on, and two small files,
 * NAME-manifest.0 and .1, that say which segments there are. One owner appends; each record gets
 * an index, from 1 on, without gaps, for ever. It is a machine over lk_storage; nothing waits:
 *
 *   lk_journal_init(&j, &options);
 *   lk_journal_open(&j);
 *   for each completion of the storage whose user is options.user:
 *     lk_journal_advance(&j);
 *     while (lk_journal_poll(&j, &event)) ...
 *   lk_journal_append(&j, kind, parts, count, &index);   as many as a step of the owner has
 *   lk_journal_flush(&j);                                once, at the end of the step
 *   ... poll says LK_JOURNAL_DURABLE: records up to event.index may be acknowledged
 *
 * At most one operation is in the storage at a time. While one batch is written and synced, what
 * is appended is gathered: it is the next batch, begun without another flush (group commit).
 *
 * After any crash, opening hands out a prefix of what was appended, less what was retired, with
 * every record in it that was said to be durable.
 *
 * Where the storage is full, the journal goes on without what does not fit: REFUSED says what that is, and none of it will
 * ever be there. So that it need not come to that, space is reserved ahead of what is written, and SPACE says early that no
 * more is to be had; its owner then stops making records, asks from time to time with lk_journal_try_space(), and
 * goes on when SPACE says so. After any other error of the storage the journal has failed and does nothing more: what was not durable yet may be there or not, and only opening again
 * tells. The owner closes it, and may then open it again, with the same struct. */
#ifndef LK_LOG_JOURNAL_H
#define LK_LOG_JOURNAL_H

#include "base/limits.h"
#include "base/storage.h"
#include "log/manifest.h"
#include "log/segment_reader.h"

#define LK_JOURNAL_NAME_MAX 160 /* bytes of the owner's part of the files' names */
#define LK_JOURNAL_SUFFIX_MAX 16

typedef struct lk_journal_options {
  const lk_alloc *alloc;
  const lk_limits *limits; /* log_*; outlives the journal */
  lk_storage *storage;
  void *user;    /* in lk_io.user of every operation */
  lk_slice name; /* copied; follows the rule of lk_io.name, at most LK_JOURNAL_NAME_MAX bytes */
  uint8_t
      salt[LK_SEGMENT_SALT_LEN]; /* random; used where the journal is made. It keeps clients from
                                        writing records that look like parts of a segment */
} lk_journal_options;

typedef enum lk_journal_event_kind {
  /* While opening: |index|, |segment|, |kind|, |body|. The last ones are safe only when OPENED comes:
   * before it nobody outside may learn of what follows from them. */
  LK_JOURNAL_RECORD,
  /* |index|: the last record's, 0 where there never was one. |cut|: bytes of an unfinished batch that were
   * cut off. */
  LK_JOURNAL_OPENED,
  LK_JOURNAL_DURABLE, /* every record up to and including |index| */
  LK_JOURNAL_RETIRED, /* |index|: of the first record that is still kept */
  /* |index|: this record and those behind it found no space. The next one that is appended gets that index. */
  LK_JOURNAL_REFUSED,
  /* |err|: NO_SPACE: there is room for what was appended, perhaps, and for little more; OK: there is space again */
  LK_JOURNAL_SPACE,
  LK_JOURNAL_FAILED, /* |err|, once. CORRUPT: |segment| and |off| say where; 0: the manifest */
  LK_JOURNAL_CLOSED,
} lk_journal_event_kind;

typedef struct lk_journal_event {
  lk_journal_event_kind what;
  uint8_t kind;
  lk_err err;
  uint64_t index;
  uint64_t segment;
  uint64_t off;
  uint64_t cut;
  lk_slice body; /* until the next call of any function */
} lk_journal_event;

/* Since init; bytes are of files, headers and padding counted. */
typedef struct lk_journal_stats {
  uint64_t records; /* durable, appended by us */
  uint64_t batches;
  uint64_t syncs; /* completed */
  uint64_t bytes_written;
  uint64_t refused; /* records */
  uint64_t segments_made;
  uint64_t segments_retired;
} lk_journal_stats;

/* Where a segment begins. */
typedef struct lk_journal_row {
  uint64_t base;
  lk_log_chain prev;
} lk_journal_row;

/* All of it is journal.c's business. */
typedef struct lk_journal {
  lk_journal_options options;
  lk_io io;
  uint8_t phase; /* what |io| is for; 0 at rest */
  uint8_t state;
  uint8_t after;  /* what follows when the manifest is written */
  uint8_t events; /* bits: what poll has yet to tell */
  bool closing;
  bool flushing; /* what is gathered is to be written as soon as nothing else is */
  bool rotating;
  bool tidied;         /* the latest thing done was retiring or removing: now a batch comes first */
  bool stuck;          /* a file could not be removed */
  uint8_t space;       /* what is known of it */
  bool cannot_reserve; /* the storage does not know how */
  bool is_probe_refused; /* of the probe that is under way */
  bool is_turn_stuck;    /* the last segment that the manifest names could not be made: no space */
  bool has_file;
  bool has_slot[2];
  lk_file file; /* the last segment; while opening, the one that is being read */
  lk_file slots[2];
  unsigned slot; /* the one that |io| is about */
  unsigned slots_to_write;
  lk_buf slot_bytes[2];
  lk_manifest manifest;
  uint64_t manifest_number; /* of the newest slot */
  lk_segment_reader reader;
  lk_segment_id reading;
  uint64_t size;          /* of the segment that is being read */
  lk_segment_place place; /* the end, with the batch under way */
  uint64_t write_off;     /* where that batch goes */
  lk_segment_place undo;  /* and what |place| was before it */
  uint64_t reserved_to;   /* bytes of the last segment that have their space */
  uint64_t refused;       /* the index that REFUSED tells */
  lk_buf gathering;       /* a batch that has been begun, or empty */
  lk_buf writing;         /* the one under way */
  uint32_t gathered_count;
  bool is_joined; /* the next record goes into the batch that is gathered */
  uint32_t writing_count;
  uint64_t next_index;   /* the next record that is appended gets it */
  uint64_t durable;      /* the last index that is safe */
  uint64_t retire_below; /* the owner needs no record with a lower index */
  uint64_t retired_to;   /* the first record that is kept, as the storage knows */
  uint64_t removing;     /* the oldest segment that may be there still */
  lk_journal_row *rows;  /* of the segments from manifest.first on */
  size_t rows_count;
  size_t rows_cap;
  uint64_t cut;
  lk_err err;
  uint64_t torn_at; /* opening: where the segment before the one that is read is torn; 0: nowhere */
  uint64_t bad_segment;
  uint64_t bad_off;
  lk_journal_stats stats;
  size_t stem_len;                                           /* the owner's part of |name| */
  uint8_t name[LK_JOURNAL_NAME_MAX + LK_JOURNAL_SUFFIX_MAX]; /* of the file that |io| is about */
  uint8_t header[LK_SEGMENT_HEADER_LEN];
} lk_journal;

/* Allocates nothing. |options| is copied. */
void lk_journal_init(lk_journal *self, const lk_journal_options *options);

/* Safe on a zeroed struct, and twice. Files that are open stay so: close first. Nothing may be under
 * way in the storage, unless that is gone too. */
void lk_journal_deinit(lk_journal *self);

/* Whether one of its operations is in the storage: until it has come back, the struct must stay. */
bool lk_journal_is_busy(const lk_journal *self);

/* Begins to open; makes the journal where there is none. Ends with OPENED or FAILED:
 *
 *   LK_ERR_CORRUPT    something that was acknowledged is damaged or missing
 *   LK_ERR_VERSION    written by a later version
 *   LK_ERR_LIMIT      a batch above the limits
 *   LK_ERR_EXISTS     segments without a manifest
 *                     (after these four nothing was changed)
 *   LK_ERR_NOMEM      and whatever the storage said
 *
 * Only after init, or after CLOSED. */
void lk_journal_open(lk_journal *self);

/* Appends one record, the parts one after the other, which are copied. |*index| is its index. Not
 * before OPENED. Nothing was changed by an error:
 *
 *   LK_ERR_FULL       log_batch_bytes are gathered; wait for DURABLE
 *   LK_ERR_TOO_BIG    more than log_record_bytes
 *   LK_ERR_NOMEM
 *   LK_ERR_STATE      not open, or closing
 *   after FAILED      its error */
lk_err lk_journal_append(lk_journal *self, uint8_t kind, const lk_slice *parts, size_t count,
                         uint64_t *index) LK_MUST_USE;

/* The record that is appended next goes into one batch with the last one, however long that gets: after a crash both are there, or
 * neither is. Without effect where a single record is all that a batch may have. */
void lk_journal_join_next(lk_journal *self);


/* Begins to write what was gathered. Does nothing where nothing was; a batch that is under way is
 * followed by it without being told. */
void lk_journal_flush(lk_journal *self);

/* After SPACE has said that there is none: looks whether there is some again. SPACE says so; nothing where there is not. Does
 * nothing while something is under way, or where there is no want of space. */
void lk_journal_try_space(lk_journal *self);

/* The next batch begins a new segment, unless the one that there is has no record yet: so that what
 * is before it can be retired. Not before OPENED. */
void lk_journal_rotate(lk_journal *self);

/* The owner needs no record below |index| any more: what they did is durable elsewhere. Segments that
 * hold nothing else are removed, now or when they are no longer the last one. RETIRED tells. */
void lk_journal_retire(lk_journal *self, uint64_t index);

/* Writes what was gathered, notes where the journal ends, so that the next opening can tell damage
 * there from a crash, and closes the files. CLOSED comes in any case, also of a failed journal;
 * FAILED before it where something went wrong. May be called at any time; what was being opened is
 * given up. */
void lk_journal_close(lk_journal *self);

/* Takes the completion of the operation that was under way. Call poll afterwards. */
void lk_journal_advance(lk_journal *self);

/* The next event, or false: wait for a completion. Call until false after every open, advance,
 * flush, retire and close: it is here that opening moves on. */
bool lk_journal_poll(lk_journal *self, lk_journal_event *out);

#endif
