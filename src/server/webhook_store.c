/* server/webhook_store.c -- written := version:u8 count (after)* dues      numbers as varuints; dues as in webhook_dues.c. */
#include "server/webhook_store.h"

#include "codec/reader.h"
#include "codec/varint.h"

#define WRITTEN_VERSION 1u
#define STATE_MAX ((size_t)1 << 28)

static void give_up(lk_webhook_store *self, lk_err why, uint64_t now_ms) {
  self->err = why;
  self->retry_ms = now_ms + LK_WEBHOOK_STORE_RETRY_MS;
  self->state = LK_WEBHOOK_STORE_BROKEN;
}

static lk_keeper_place place_of(lk_webhook_store *self) {
  return (lk_keeper_place){ .alloc = self->alloc,
                            .storage = self->storage,
                            .topic = LK_LIT("webhooks"),
                            .state_max = STATE_MAX,
                            .user = self };
}

static void load(lk_webhook_store *self, uint64_t now_ms) {
  const lk_keeper_place place = place_of(self);
  lk_err err = lk_keeper_load(&self->keeper, &place);
  self->state = LK_WEBHOOK_STORE_LOADING;
  if (err != LK_OK) give_up(self, err, now_ms);
}

void lk_webhook_store_open(lk_webhook_store *self, const lk_alloc *alloc, lk_storage *storage,
                           bool is_memory) {
  *self = (lk_webhook_store){ .alloc = alloc, .storage = storage, .is_memory = is_memory };
  self->has_loaded = storage == NULL;
  if (storage == NULL) return;
  load(self, 0);
}

void lk_webhook_store_deinit(lk_webhook_store *self) {
  lk_keeper_deinit(&self->keeper);
  *self = (lk_webhook_store){ 0 };
}

/* ---- reading ---- */

static lk_err read_state(const lk_webhook_store *self, lk_webhook_dues *dues,
                         lk_webhook_cursor *cursors, uint32_t cursors_count, uint64_t now_ms) {
  lk_slice state = lk_keeper_state(&self->keeper);
  lk_reader in = lk_reader_of(state);
  uint8_t version;
  uint64_t count, after;
  if (state.len == 0) return LK_OK;
  lk_err err = lk_reader_u8(&in, &version);
  if (err == LK_OK && version != WRITTEN_VERSION) err = LK_ERR_VERSION;
  if (err == LK_OK) err = lk_varuint_decode(&in, UINT32_MAX, &count);
  for (uint64_t i = 0; err == LK_OK && i < count; i++) {
    err = lk_varuint_decode(&in, UINT64_MAX, &after);
    if (err == LK_OK && i < cursors_count && !self->is_memory) cursors[i].after = after;
  }
  if (err != LK_OK) return err;
  return lk_webhook_dues_decode(dues, self->is_memory, lk_reader_rest(&in), now_ms);
}

/* What cannot be understood is left where it is until it is replaced: rooms still know what is in their journals. */
static bool on_loaded(lk_webhook_store *self, lk_webhook_dues *dues, lk_webhook_cursor *cursors,
                      uint32_t cursors_count, uint64_t now_ms) {
  if (self->keeper.result != LK_OK) {
    give_up(self, self->keeper.result, now_ms);
    return true;
  }
  self->err = LK_OK;
  if (!self->has_loaded) self->err = read_state(self, dues, cursors, cursors_count, now_ms);
  if (!self->has_loaded && self->err == LK_OK) self->kept = dues->version[self->is_memory];
  self->has_loaded = true;
  lk_keeper_release(&self->keeper);
  self->state = LK_WEBHOOK_STORE_RESTING;
  return self->err != LK_OK;
}

static bool on_kept(lk_webhook_store *self, uint64_t now_ms) {
  if (self->keeper.result != LK_OK) {
    give_up(self, self->keeper.result, now_ms);
    return true;
  }
  self->kept = self->keeping;
  self->state = LK_WEBHOOK_STORE_RESTING;
  return false;
}

static bool advance(lk_webhook_store *self, lk_webhook_dues *dues, lk_webhook_cursor *cursors,
                    uint32_t cursors_count, uint64_t now_ms) {
  switch (lk_keeper_advance(&self->keeper)) {
  case LK_KEEPER_LOADED: return on_loaded(self, dues, cursors, cursors_count, now_ms);
  case LK_KEEPER_KEPT: return on_kept(self, now_ms);
  default: return false;
  }
}

bool lk_webhook_store_advance(lk_webhook_store *self, lk_webhook_dues *dues,
                              lk_webhook_cursor *cursors, uint32_t cursors_count, uint64_t now_ms) {
  bool has_failed = false;
  while (self->storage != NULL && self->storage->poll(self->storage) != NULL)
    has_failed |= advance(self, dues, cursors, cursors_count, now_ms);
  return has_failed;
}

/* ---- writing ---- */

lk_err lk_webhook_store_keep(lk_webhook_store *self, const lk_webhook_dues *dues,
                             const lk_webhook_cursor *cursors, uint32_t cursors_count) {
  lk_buf out;
  if (self->state != LK_WEBHOOK_STORE_RESTING) return LK_OK;
  uint64_t version = dues->version[self->is_memory];
  if (self->kept == version) return LK_OK;
  lk_buf_init(&out, self->alloc, STATE_MAX);
  (void)lk_buf_append_u8(&out, WRITTEN_VERSION);
  (void)lk_varuint_encode(&out, self->is_memory ? 0 : cursors_count);
  for (uint32_t i = 0; i < cursors_count && !self->is_memory; i++)
    (void)lk_varuint_encode(&out, cursors[i].after);
  lk_err err = lk_webhook_dues_encode(dues, self->is_memory, &out);
  const lk_keeper_place place = place_of(self);
  if (err == LK_OK) err = lk_keeper_keep(&self->keeper, &place, lk_buf_slice(&out));
  if (err == LK_OK) {
    self->keeping = version;
    self->state = LK_WEBHOOK_STORE_KEEPING;
  }
  lk_buf_deinit(&out);
  return err;
}

void lk_webhook_store_tick(lk_webhook_store *self, uint64_t now_ms) {
  if (self->state != LK_WEBHOOK_STORE_BROKEN || now_ms < self->retry_ms) return;
  load(self, now_ms);
}
