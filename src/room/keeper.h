/* room/keeper.h -- where the state of one room is kept: two slots of log/slot.h in a storage.
 *
 * A machine over lk_storage: the owner begins one of three activities and hands every completion
 * of the storage that lk_keeper_owns() to lk_keeper_advance(), until that says what has come of it.
 *
 *   lk_keeper_load    both slots are read, the newer one made durable        -> LK_KEEPER_LOADED
 *   lk_keeper_keep    a state is written to the older slot and synced        -> LK_KEEPER_KEPT
 *   lk_keeper_remove  there are no files any more                            -> LK_KEEPER_REMOVED
 *
 * One activity at a time, and one operation in the storage at a time. There are many keepers, and most are at rest: what
 * an activity works with is allocated when it begins, and given back when it ends; its files are closed by then. */
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
  LK_KEEPER_REMOVED,
} lk_keeper_event;

/* Whose state, and where: what the owner knows of each keeper anyway. */
typedef struct lk_keeper_place {
  const lk_alloc *alloc;
  lk_storage *storage;
  lk_slice topic;   /* strangers' text: files are called by its digest */
  size_t state_max; /* bounds a state in bytes */
  void *user;       /* operations carry it in lk_io.user */
} lk_keeper_place;

/* A zeroed struct is one that has not loaded anything. */
typedef struct lk_keeper {
  struct lk_keeper_work *work; /* NULL at rest, once what was loaded is released */
  uint64_t number;             /* of the newest slot that was read or written */
  lk_err result;               /* of the activity that ended last */
  uint8_t phase;               /* what is under way; 0 at rest. See keeper.c */
  bool intact;                 /* nothing of what was loaded was damaged: there was no later state */
} lk_keeper;

/* Safe on a zeroed struct, and twice. Nothing may be under way in the storage, unless that is gone too. */
void lk_keeper_deinit(lk_keeper *self);

static inline bool lk_keeper_is_busy(const lk_keeper *self) { return self->phase != 0; }

/* Whether |io| is the operation that it has under way. */
bool lk_keeper_owns(const lk_keeper *self, const lk_io *io);

/* What the file of |slot| is called. */
void lk_keeper_name(lk_slice topic, unsigned slot, uint8_t out[LK_KEEPER_NAME_LEN]);

/* Begin, with |place| copied; its topic outlives the activity. LK_ERR_NOMEM: nothing was begun. */

/* The error is self->result too. */
lk_err lk_keeper_load(lk_keeper *self, const lk_keeper_place *place) LK_MUST_USE;
/* Copies |state|. Also LK_ERR_LIMIT, LK_ERR_TOO_BIG: nothing was begun. */
lk_err lk_keeper_keep(lk_keeper *self, const lk_keeper_place *place, lk_slice state) LK_MUST_USE;
/* Durably. A removal that failed may be begun again. */
lk_err lk_keeper_remove(lk_keeper *self, const lk_keeper_place *place) LK_MUST_USE;

/* Takes the completion of the operation that was under way. With all but BUSY, self->result says
 * how it went. A failed keep may have reached the medium or not: only loading again tells. */
lk_keeper_event lk_keeper_advance(lk_keeper *self);

/* After LOADED with LK_OK: what was kept last, empty where there was nothing. Until release, or the next activity. */
lk_slice lk_keeper_state(const lk_keeper *self);

/* Gives back the memory of what was loaded. */
void lk_keeper_release(lk_keeper *self);

#endif
