/* crdt/counter.c -- laniakea/counter.h over crdt/gcounter.h: an actor, a counter, nothing else. */
#include "crdt/gcounter.h"
#include "laniakea/counter.h"

struct lk_counter {
  const lk_alloc *alloc;
  lk_limits limits;
  lk_gcounter counter;
  uint8_t actor[LK_ACTOR_LEN_MAX];
  uint32_t actor_len;
};

lk_err lk_counter_open(const lk_env *env, lk_slice actor, lk_counter **out) {
  lk_err err = lk_gcounter_check_actor(actor);
  if (err != LK_OK) return err;
  lk_counter *self = lk_alloc_bytes(env->alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_counter){ .alloc = env->alloc, .limits = lk_limits_default() };
  lk_gcounter_init(&self->counter, self->alloc, &self->limits);
  memcpy(self->actor, actor.ptr, actor.len);
  self->actor_len = (uint32_t)actor.len;
  *out = self;
  return LK_OK;
}

void lk_counter_close(lk_counter *self) {
  if (self == NULL) return;
  lk_gcounter_deinit(&self->counter);
  lk_free_bytes(self->alloc, self, sizeof *self);
}

lk_err lk_counter_increment(lk_counter *self, uint64_t amount) {
  return lk_gcounter_increment(&self->counter, lk_slice_of(self->actor, self->actor_len), amount,
                               NULL);
}

uint64_t lk_counter_value(const lk_counter *self) { return self->counter.value; }

lk_err lk_counter_merge(lk_counter *self, lk_slice bytes) {
  lk_gcounter other;
  lk_gcounter_init(&other, self->alloc, &self->limits);
  lk_err err = lk_gcounter_decode(&other, bytes);
  if (err == LK_OK) err = lk_gcounter_merge(&self->counter, &other, NULL);
  lk_gcounter_deinit(&other);
  return err;
}

lk_err lk_counter_encode(const lk_counter *self, uint8_t *out, size_t cap, size_t *len) {
  lk_buf bytes;
  lk_buf_init(&bytes, self->alloc, self->limits.crdt_state_bytes);
  lk_err err = lk_gcounter_encode(&self->counter, &bytes);
  if (err == LK_OK) {
    *len = bytes.len;
    if (bytes.len > cap) err = LK_ERR_TOO_BIG;
    else memcpy(out, bytes.ptr, bytes.len);
  }
  lk_buf_deinit(&bytes);
  return err;
}
