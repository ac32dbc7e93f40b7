/* room/hub.c -- passing bytes to and fro until both have nothing more to say. */
#include "room/hub.h"

#include "base/prng.h"

struct lk_hub {
  const lk_env *env;
  const lk_limits *limits;
  lk_edge *edge;
  lk_house *house; /* NULL after a replacement that failed */
  uint64_t now_ms;
};

static void pass_on(lk_hub *self) {
  lk_slice bytes;
  bool moved = true;
  while (moved && self->house != NULL) {
    moved = false;
    if ((bytes = lk_edge_bus_output(self->edge, 0)).len > 0) {
      lk_house_feed(self->house, 0, bytes, true, self->now_ms);
      lk_edge_bus_consume(self->edge, 0, bytes.len);
      moved = true;
    }
    if ((bytes = lk_house_output(self->house, 0)).len > 0) {
      lk_edge_feed(self->edge, 0, bytes, true);
      lk_house_consume(self->house, 0, bytes.len);
      moved = true;
    }
  }
}

static void note_time(lk_hub *self, uint64_t now_ms) {
  self->now_ms = lk_max_u64(self->now_ms, now_ms);
}

static uint64_t draw_generation(lk_prng *prng) { return lk_prng_u64(prng) | 1; }

static lk_err open_house(lk_hub *self, lk_storage *storage, uint64_t entropy, lk_prng *prng) {
  return lk_house_open(&(lk_house_options){ .env = self->env,
                                            .limits = self->limits,
                                            .storage = storage,
                                            .entropy = entropy,
                                            .generation = draw_generation(prng),
                                            .edges_count = 1 },
                       &self->house);
}

lk_err lk_hub_replace_house(lk_hub *self, lk_storage *storage, uint64_t entropy) {
  lk_prng prng;
  lk_prng_init(&prng, entropy);
  lk_house_close(self->house);
  self->house = NULL;
  lk_err err = open_house(self, storage, entropy, &prng);
  if (err == LK_OK) pass_on(self);
  return err;
}

lk_err lk_hub_open(const lk_env *env, const lk_limits *limits, lk_storage *storage,
                   uint64_t entropy, lk_hub **out) {
  lk_prng prng;
  lk_hub *self = lk_alloc_bytes(env->alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_hub){ .env = env, .limits = limits };
  lk_prng_init(&prng, entropy);
  lk_edge_options options = { .env = env,
                              .limits = limits,
                              .generation = draw_generation(&prng),
                              .hash_seed = { lk_prng_u64(&prng), lk_prng_u64(&prng) },
                              .houses_count = 1 };
  lk_err err = lk_edge_open(&options, &self->edge);
  if (err == LK_OK) err = open_house(self, storage, entropy, &prng);
  if (err != LK_OK) {
    lk_hub_close(self);
    return err;
  }
  pass_on(self);
  *out = self;
  return LK_OK;
}

void lk_hub_close(lk_hub *self) {
  if (self == NULL) return;
  lk_edge_close(self->edge);
  lk_house_close(self->house);
  lk_free_bytes(self->env->alloc, self, sizeof *self);
}

bool lk_hub_is_idle(const lk_hub *self) {
  return self->house == NULL || lk_house_is_idle(self->house);
}

lk_err lk_hub_connect(lk_hub *self, uint64_t *connection) {
  return lk_edge_connect(self->edge, LK_MESSAGE_V2, NULL, connection);
}

static lk_err receive(lk_hub *self, uint64_t connection, lk_slice bytes, bool is_binary,
                      uint64_t now_ms) {
  note_time(self, now_ms);
  lk_err err = lk_edge_receive(self->edge, connection, bytes, is_binary);
  pass_on(self);
  return err;
}

lk_err lk_hub_receive(lk_hub *self, uint64_t connection, lk_slice text, uint64_t now_ms) {
  return receive(self, connection, text, false, now_ms);
}

lk_err lk_hub_receive_binary(lk_hub *self, uint64_t connection, lk_slice bytes, uint64_t now_ms) {
  return receive(self, connection, bytes, true, now_ms);
}

void lk_hub_disconnect(lk_hub *self, uint64_t connection, uint64_t now_ms) {
  note_time(self, now_ms);
  lk_edge_disconnect(self->edge, connection);
  pass_on(self);
}

void lk_hub_step(lk_hub *self, uint64_t now_ms) {
  note_time(self, now_ms);
  if (self->house != NULL) lk_house_step(self->house, self->now_ms);
  lk_edge_step(self->edge, self->now_ms);
  pass_on(self);
}

bool lk_hub_poll(lk_hub *self, lk_hub_output *out) {
  lk_edge_output given;
  do {
    if (!lk_edge_poll_one(self->edge, &given)) return false;
  } while (given.kind == LK_EDGE_RESUME ||
           given.kind == LK_EDGE_ANSWER); /* we never pause, nor ask */
  *out = (lk_hub_output){ .kind = given.kind == LK_EDGE_SEND ? LK_HUB_SEND : LK_HUB_CLOSE,
                          .connection = given.connections[0],
                          .text = given.bytes,
                          .is_binary = given.is_binary,
                          .reason = given.reason };
  return true;
}

uint64_t lk_hub_deadline(const lk_hub *self) {
  uint64_t at_ms = self->house == NULL ? LK_HUB_NEVER : lk_house_deadline(self->house);
  return lk_min_u64(at_ms, lk_edge_deadline(self->edge));
}

lk_hub_stats lk_hub_get_stats(const lk_hub *self) {
  return (lk_hub_stats){ lk_edge_get_stats(self->edge), self->house == NULL
                                                            ? (lk_house_stats){ 0 }
                                                            : lk_house_get_stats(self->house) };
}
