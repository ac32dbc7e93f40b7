/* server/webhook_store.h -- what is due to webhooks, written down: as files in the data directory, or in memory of the supervisor.
 *
 *   LOADING ──> RESTING ──keep──> KEEPING ──> RESTING
 *                  ^                  │ it failed
 *                  └── LOADING <── 5 s ── BROKEN
 *
 * It is one state in two slots (room/keeper.h), replaced as a whole: what is due is little, and seldom much. A store that fails is
 * opened again after a while; what it should have held is still in memory then, and rooms that were not told that it came
 * tell it again. */
#ifndef LK_SERVER_WEBHOOK_STORE_H
#define LK_SERVER_WEBHOOK_STORE_H

#include "room/keeper.h"
#include "server/webhook_dues.h"
#include "server/webhook_news.h"

#define LK_WEBHOOK_STORE_RETRY_MS 5000u

typedef enum lk_webhook_store_state {
  LK_WEBHOOK_STORE_NONE, /* there is no such storage */
  LK_WEBHOOK_STORE_LOADING,
  LK_WEBHOOK_STORE_RESTING,
  LK_WEBHOOK_STORE_KEEPING,
  LK_WEBHOOK_STORE_BROKEN, /* until |retry_ms| */
} lk_webhook_store_state;

typedef struct lk_webhook_store {
  const lk_alloc *alloc;
  lk_storage *storage;
  lk_keeper keeper;
  lk_webhook_store_state state;
  bool is_memory;
  bool has_loaded;  /* once: from then on memory knows better */
  uint64_t kept;    /* the version of the dues that is written down */
  uint64_t keeping; /* and that is being written */
  uint64_t retry_ms;
  lk_err err; /* of the last failure */
} lk_webhook_store;

/* Begins to load. |storage| NULL: there is nothing to keep. Completions that it polls are for lk_webhook_store_advance(). */
void lk_webhook_store_open(lk_webhook_store *self, const lk_alloc *alloc, lk_storage *storage,
                           bool is_memory);
void lk_webhook_store_deinit(lk_webhook_store *self);

/* Takes what the storage has completed. What was loaded the first time goes into |dues| and |cursors|. True where something
 * failed: |err| says what. */
bool lk_webhook_store_advance(lk_webhook_store *self, lk_webhook_dues *dues,
                              lk_webhook_cursor *cursors, uint32_t cursors_count, uint64_t now_ms);

/* Writes down what is new, unless it is busy. LK_ERR_NOMEM and the like: nothing was begun. */
lk_err lk_webhook_store_keep(lk_webhook_store *self, const lk_webhook_dues *dues,
                             const lk_webhook_cursor *cursors, uint32_t cursors_count) LK_MUST_USE;

/* Tries again what failed. */
void lk_webhook_store_tick(lk_webhook_store *self, uint64_t now_ms);

static inline bool lk_webhook_store_has(const lk_webhook_store *self, uint64_t version) {
  return self->state == LK_WEBHOOK_STORE_NONE || self->kept >= version;
}
static inline bool lk_webhook_store_is_busy(const lk_webhook_store *self) {
  return lk_keeper_is_busy(&self->keeper);
}

#endif
