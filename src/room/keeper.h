/* room/keeper.h -- where the state of one room is kept: two slots of log/slot.h in a storage.
 *
 * A machine over lk_storage: the owner begins one of four activities and hands every completion
 * of the storage that carries its |user| to lk_keeper_advance(), until that says what has come of it.
 *
 *   lk_keeper_load    both slots are read, the newer one made durable        -> LK_KEEPER_LOADED
 *   lk_keeper_keep    a state is written to the older slot and synced        -> LK_KEEPER_KEPT
 *   lk_keeper_close   the files are closed                                   -> LK_KEEPER_CLOSED
 *   lk_keeper_remove  they are closed, and there are none any more           -> LK_KEEPER_REMOVED
 *
 * One activity at a time, and one operation in the storage at a time. */
#ifndef LK_ROOM_KEEPER_H
#define LK_ROOM_KEEPER_H

#include "base/storage.h"
#include "crypto/crypto.h"
#include "base/base.h"

/* A digest in hex, a dot, the number of the slot. */
#define LK_KEEPER_NAME_LEN (2 * LK_SHA256_LEN + 2)

typedef enum lk_keeper_event {
  LK_KEEPER_BUSY,
  LK_KEEPER_LOADED,
  LK_KEEPER_KEPT,
  LK_KEEPER_CLOSED,
  LK_KEEPER_REMOVED,
} lk_keeper_event;

typedef struct lk_keeper {
  const lk_alloc *alloc;
  lk_storage *storage;
  void *user;
  lk_io io;
  uint32_t phase; /* what |io| is for; 0 at rest. See keeper.c */
  unsigned slot;  /* which of the two that is about */
  bool is_removing;
  bool has_file[2];
  lk_file files[2];
  lk_buf slots[2]; /* while loading: what they hold */
  lk_buf bytes;    /* while keeping: what is being written */
  uint64_t number; /* of the newest slot that was read or written */
  lk_err result;   /* of the activity that ended last */
  lk_slice state;  /* what was loaded */
  bool intact;     /* and nothing was damaged: there was no later state */
  uint8_t names[2][LK_KEEPER_NAME_LEN];
} lk_keeper;

/* Allocates nothing. |topic| is strangers' text: files are called by its digest. |state_max| bounds
 * a state in bytes. Operations carry |user| in lk_io.user. */
void lk_keeper_init(lk_keeper *self, const lk_alloc *alloc, lk_storage *storage, lk_slice topic,
                    size_t state_max, void *user);

/* Safe on a zeroed struct, and twice. Files that are open stay so: close first. Nothing may be under
 * way in the storage, unless that is gone too. */
void lk_keeper_deinit(lk_keeper *self);

static inline bool lk_keeper_is_busy(const lk_keeper *self) { return self->phase != 0; }

/* Begins to load; files may not be open. */
void lk_keeper_load(lk_keeper *self);

/* Begins to keep |state|, which is copied. LK_ERR_LIMIT, LK_ERR_TOO_BIG, LK_ERR_NOMEM: nothing
 * was begun. */
lk_err lk_keeper_keep(lk_keeper *self, lk_slice state) LK_MUST_USE;

/* Begins to close. False where no file is open: there is nothing to wait for. */
bool lk_keeper_close(lk_keeper *self);

/* Begins to close and to remove, durably. A removal that failed may be begun again. */
void lk_keeper_remove(lk_keeper *self);

/* Takes the completion of the operation that was under way. With LOADED, KEPT and REMOVED, self->result says
 * how it went; after LOADED with LK_OK, self->state is what was kept last, empty where there was
 * nothing, until lk_keeper_release(). A failed keep may have reached the medium or not: only loading
 * again tells. */
lk_keeper_event lk_keeper_advance(lk_keeper *self);

/* Gives back the memory of what was loaded. */
void lk_keeper_release(lk_keeper *self);

#endif
