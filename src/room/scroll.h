/* room/scroll.h -- the records of one topic of level memory, in a file of its own, each kept as soon as it is written.
 *
 * What is durable on a disk is written for many rooms at once, since a sync is dear (log/journal.h). In memory there is
 * no sync, so that records of different topics need not lie together: then one topic can be erased, and nothing of it is left.
 *
 * A machine over lk_storage, like the keeper: the owner begins one activity and hands its completions to lk_scroll_advance().
 *
 *   lk_scroll_load     the file is read                               -> LK_SCROLL_LOADED
 *   lk_scroll_append   one record is written; made where it is missing -> LK_SCROLL_APPENDED
 *   lk_scroll_cut      all records go: a snapshot has them             -> LK_SCROLL_CUT
 *   lk_scroll_condemn  all that is kept of the topic is to go          -> LK_SCROLL_CONDEMNED
 *   lk_scroll_close    the file is closed, until it is needed         -> LK_SCROLL_CLOSED
 *   lk_scroll_remove   it is closed, and there is none any more        -> LK_SCROLL_REMOVED
 *
 *   scroll := version:u8 topic_len:u8 topic record*       version 0: condemned
 *   record := len:u32 index:u64 bytes        len counts the bytes; little endian
 *
 * The storage keeps what was written when its process dies, and a write that makes a file longer wholly or not at all.
 * A record that is cut short all the same is as good as never written. */
#ifndef LK_ROOM_SCROLL_H
#define LK_ROOM_SCROLL_H

#include "base/base.h"
#include "base/storage.h"
#include "crypto/crypto.h"

#define LK_SCROLL_NAME_LEN (2 * LK_SHA256_LEN + 4) /* a digest in hex, and ".log" */
#define LK_SCROLL_TOPIC_MAX 255
#define LK_SCROLL_HEAD_MAX (2 + LK_SCROLL_TOPIC_MAX)

typedef enum lk_scroll_event {
  LK_SCROLL_BUSY,
  LK_SCROLL_LOADED,
  LK_SCROLL_APPENDED,
  LK_SCROLL_CUT,
  LK_SCROLL_CONDEMNED,
  LK_SCROLL_CLOSED,
  LK_SCROLL_REMOVED,
} lk_scroll_event;

typedef struct lk_scroll {
  const lk_alloc *alloc;
  lk_storage *storage;
  void *user;
  lk_slice topic; /* the owner's */
  lk_io io;
  uint32_t phase; /* what |io| is for; 0 at rest. See scroll.c */
  bool has_file;
  bool is_queued; /* |writing| follows when the cut or the closing is done */
  bool is_removing;
  bool is_condemned; /* as was loaded: whoever was removing the topic did not come to the end */
  lk_file file;
  uint64_t end;   /* where the next record goes; 0: not even the head is there */
  lk_buf loaded;  /* what was read, until release */
  lk_buf writing; /* what is being written */
  size_t bytes_max;
  lk_err result; /* of the activity that ended last */
  uint8_t name[LK_SCROLL_NAME_LEN];
} lk_scroll;

/* Allocates nothing. |topic| has at most LK_SCROLL_TOPIC_MAX bytes and outlives the scroll. |record_max| bounds one record, and |bytes_max|
 * all that a scroll may hold to be loaded. Operations carry |user|. */
void lk_scroll_init(lk_scroll *self, const lk_alloc *alloc, lk_storage *storage, lk_slice topic,
                    size_t record_max, size_t bytes_max, void *user);

/* Safe on a zeroed struct, and twice. A file that is open stays so; nothing may be under way, unless the storage is gone. */
void lk_scroll_deinit(lk_scroll *self);

static inline bool lk_scroll_is_busy(const lk_scroll *self) { return self->phase != 0; }

/* The file is there, closed, and known to end at |end|; 0: it is not there. Instead of loading it. */
void lk_scroll_resume(lk_scroll *self, uint64_t end);

/* Bytes of records of a scroll of |topic| that ends at |end|. */
uint64_t lk_scroll_bytes_before(lk_slice topic, uint64_t end);

/* The file may not be open. No file is an empty scroll. LK_ERR_CORRUPT: it is another topic's; LK_ERR_VERSION,
 * LK_ERR_TOO_BIG, LK_ERR_NOMEM. */
void lk_scroll_load(lk_scroll *self);

/* Copies |bytes|. May also be called while the scroll is being cut or closed: it is written when that is done, and
 * forgotten where the cut fails. LK_ERR_NOMEM, LK_ERR_LIMIT, LK_ERR_TOO_BIG: nothing was begun. */
lk_err lk_scroll_append(lk_scroll *self, uint64_t index, lk_slice bytes) LK_MUST_USE;

/* After an append that found no space: the same record once more. */
void lk_scroll_try_again(lk_scroll *self);

/* The file is open: something was appended or loaded. */
void lk_scroll_cut(lk_scroll *self);

/* Says so in the file, where there is one: from then on nothing of the topic counts, its snapshots included, until all is
 * removed. False: there is none. */
bool lk_scroll_condemn(lk_scroll *self);

/* False where there is nothing to close. */
bool lk_scroll_close(lk_scroll *self);

void lk_scroll_remove(lk_scroll *self);

/* Takes the completion that was under way. self->result says how the activity went. After LOADED with LK_OK,
 * lk_scroll_records() are what was kept. */
lk_scroll_event lk_scroll_advance(lk_scroll *self);

/* Empty where there is none; until release. */
lk_slice lk_scroll_records(const lk_scroll *self);
void lk_scroll_release(lk_scroll *self);

/* The next of |*records|, which moves behind it; false at the end. */
bool lk_scroll_next(lk_slice *records, uint64_t *index, lk_slice *bytes);

/* The topic of a scroll that begins with |bytes|. LK_ERR_TRUNCATED, LK_ERR_VERSION. */
lk_err lk_scroll_topic(lk_slice bytes, lk_slice *topic) LK_MUST_USE;

#endif
