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
 * One activity at a time, and one operation in the storage at a time. There are many keepers, and most are at rest: what
 * an activity works with is allocated when it begins, and given back when it ends. To close needs no memory. */
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
  lk_slice topic; /* the owner's */
  size_t state_max;
  struct lk_keeper_work *work; /* NULL at rest, once what was loaded is released */
  lk_io io;
  uint64_t number; /* of the newest slot that was read or written */
  lk_file files[2];
  lk_err result; /* of the activity that ended last */
  uint8_t phase; /* what |io| is for; 0 at rest. See keeper.c */
  uint8_t slot;  /* which of the two that is about */
  bool is_removing;
  bool intact; /* nothing of what was loaded was damaged: there was no later state */
  bool has_file[2];
} lk_keeper;

/* Allocates nothing. |topic| is strangers' text, and outlives the keeper: files are called by its digest. |state_max| bounds
 * a state in bytes. Operations carry |user| in lk_io.user. */
void lk_keeper_init(lk_keeper *self, const lk_alloc *alloc, lk_storage *storage, lk_slice topic,
                    size_t state_max, void *user);

/* Safe on a zeroed struct, and twice. Files that are open stay so: close first. Nothing may be under
 * way in the storage, unless that is gone too. */
void lk_keeper_deinit(lk_keeper *self);

static inline bool lk_keeper_is_busy(const lk_keeper *self) { return self->phase != 0; }

/* What the file of |slot| is called. */
void lk_keeper_name(lk_slice topic, unsigned slot, uint8_t out[LK_KEEPER_NAME_LEN]);

/* Begins to load; files may not be open. LK_ERR_NOMEM, which is self->result too: nothing was begun. */
lk_err lk_keeper_load(lk_keeper *self) LK_MUST_USE;

/* Begins to keep |state|, which is copied. LK_ERR_LIMIT, LK_ERR_TOO_BIG, LK_ERR_NOMEM: nothing
 * was begun. */
lk_err lk_keeper_keep(lk_keeper *self, lk_slice state) LK_MUST_USE;

/* Begins to close. False where no file is open: there is nothing to wait for. */
bool lk_keeper_close(lk_keeper *self);

/* Begins to close and to remove, durably. A removal that failed may be begun again. LK_ERR_NOMEM: nothing was begun. */
lk_err lk_keeper_remove(lk_keeper *self) LK_MUST_USE;

/* Takes the completion of the operation that was under way. With LOADED, KEPT and REMOVED, self->result says
 * how it went. A failed keep may have reached the medium or not: only loading again tells. */
lk_keeper_event lk_keeper_advance(lk_keeper *self);

/* After LOADED with LK_OK: what was kept last, empty where there was nothing. Until release, or the next activity. */
lk_slice lk_keeper_state(const lk_keeper *self);

/* Gives back the memory of what was loaded. */
void lk_keeper_release(lk_keeper *self);

#endif
