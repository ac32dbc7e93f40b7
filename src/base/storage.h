/* base/storage.h -- files, asked for now and finished later.
 *
 * No step of the core waits for a disk: it submits an operation and goes on; the completion is
 * an input of a later step. So the same code runs over a thread that calls fdatasync, over OPFS
 * or IndexedDB in a browser, and over the simulator's disk, which tears and loses what was not
 * synced. Implementations: platform/posix, platform/memory, sim/disk.
 *
 * Rules that every implementation keeps and every user may rely on:
 *
 *  1. Operations of one file take effect in the order of submission. Those of different files
 *     may overtake each other.
 *  2. A write is durable when a sync that was submitted after it has completed with LK_OK, and
 *     not before. A sync covers the file's size and, for a file that the storage made, its name.
 *  3. A sync that failed (LK_ERR_SYNC) may have dropped any of the writes it should have
 *     covered, and no later sync of that file can tell. So it is never retried: every later
 *     operation on the file fails with LK_ERR_SYNC too, and its owner closes it, opens it again
 *     and recovers from what is really there.
 *  4. A write that fails may have written any part of its bytes.
 *  5. A read that reaches past the end is short: |done| says how much there was.
 *  6. Rename replaces its target at once and completely, and is durable when it completes. The
 *     file that moves was synced before by its owner.
 *  7. Each submitted operation completes exactly once, in poll order, also when the storage is
 *     closed first (then with LK_ERR_CANCELED). Bytes and names that it points to stay untouched
 *     until then, and belong to the submitter. */
#ifndef LK_BASE_STORAGE_H
#define LK_BASE_STORAGE_H

#include "base/list.h"
#include "base/slice.h"

typedef enum lk_io_kind {
  LK_IO_OPEN,     /* name -> file; |create|: made empty where there is none, else NOT_FOUND. NO_SPACE: it was not made */
  LK_IO_CLOSE,    /* file */
  LK_IO_READ,     /* file, off, into/len -> done */
  LK_IO_WRITE,    /* file, off, from -> done (all of it, or an error) */
  LK_IO_SYNC,     /* file */
  LK_IO_TRUNCATE, /* file, off: the new size */
  LK_IO_SIZE,     /* file -> off */
  LK_IO_RENAME,   /* name, name_to */
  LK_IO_REMOVE,   /* name; NOT_FOUND where there is none */
  /* name, into/len -> done: names of files behind |name|, which may be empty, in ascending order, each
   * with a newline behind it, as many as fit. 0 where there is none; one name always fits into LK_IO_NAME_MAX + 1. */
  LK_IO_LIST,
  /* file, off: that many bytes of the file have their place, so that writing them needs none; the size stays, and
   * truncating gives back what is behind it. LK_ERR_NO_SPACE: nothing was reserved, or a part. LK_ERR_UNSUPPORTED: this
   * storage cannot. A promise that a storage may break: a write may say NO_SPACE all the same. */
  LK_IO_RESERVE,
  /* As LIST, in whatever order is cheapest: |name| is the last name of the page before, empty for the first. A file that is
   * there all the while comes once. One walk at a time; LK_ERR_INVALID: this is not where the storage stands, begin anew. */
  LK_IO_WALK,
  /* name, off, into/len -> done: READ of a file that need not be open. NOT_FOUND. What it shows may never have been synced, and
   * come and go with a crash: it is a hint. */
  LK_IO_PEEK,
} lk_io_kind;

#define LK_IO_NAME_MAX 200

/* Whether an operation is about a file that is open. */
static inline bool lk_io_has_file(lk_io_kind kind) {
  return kind != LK_IO_OPEN && kind != LK_IO_RENAME && kind != LK_IO_REMOVE &&
         kind != LK_IO_LIST && kind != LK_IO_WALK && kind != LK_IO_PEEK;
}

/* A file is a small number that the storage gave out. */
typedef uint32_t lk_file;

/* One operation. The submitter owns the struct and leaves it alone until it comes back from
 * poll; |result| is LK_OK or the error. */
typedef struct lk_io {
  lk_io_kind kind;
  lk_err result;
  lk_file file;
  bool create;
  uint64_t off;
  union {
    lk_slice from; /* WRITE */
    lk_slice name; /* of those without a file: [A-Za-z0-9._-]+, no leading dot, at most LK_IO_NAME_MAX bytes */
  };
  union {
    struct {
      uint8_t *into;   /* READ, LIST, WALK, PEEK */
      size_t into_len; /* the same */
    };
    lk_slice name_to; /* RENAME */
  };
  size_t done;  /* READ, LIST, WALK, PEEK and WRITE */
  void *user;   /* the submitter's, never looked at */
  lk_link link; /* the storage's while the operation is under way */
} lk_io;

typedef struct lk_storage lk_storage;

struct lk_storage {
  size_t size; /* of this struct, as its maker knew it: the table grows at its end */
  /* Takes over |io|. Never fails: errors come with the completion. */
  void (*submit)(lk_storage *self, lk_io *io);
  /* The next completed operation, or NULL where none is complete. Never waits. */
  lk_io *(*poll)(lk_storage *self);
};

/* True where |name| follows the rule above: storages refuse others with LK_ERR_INVALID. */
bool lk_storage_name_ok(lk_slice name);

/* How a storage answers LIST: begin, offer each name that there is, in any order, and at the end |io->done| is right.
 * Names that no storage takes are passed over. */
void lk_storage_list_begin(lk_io *io);
void lk_storage_list_offer(lk_io *io, lk_slice name);

#endif
