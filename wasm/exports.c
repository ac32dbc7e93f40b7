/* wasm/exports.c -- peers behind numbers.
 *
 * A host holds handles, not addresses: a stale or made-up one is found instead of followed.
 *
 *   handle := generation * 256 + slot + 1
 *
 * Freeing a slot raises its generation, so an old handle does not reach the slot's next peer (until
 * the generation wraps after 16 million of them). Peers are many to an instance only where a page
 * brings home the changes of closed tabs; sixteen are plenty. */
#include "wasm/exports.h"

#include "peer/peer.h"

#define PEERS_MAX 16u

typedef struct slot {
  lk_peer *peer; /* NULL: free */
  uint32_t generation;
} slot;

static slot slots[PEERS_MAX];
static lk_limits limits;
static lk_env env;

/* ---- handles ---- */

static u32 handle_of(const slot *s) { return s->generation << 8 | ((u32)(s - slots) + 1); }

static slot *slot_of(u32 handle) {
  u32 place = (handle & 255) - 1;
  if (place >= PEERS_MAX) return NULL;
  slot *s = &slots[place];
  return s->peer != NULL && handle_of(s) == handle ? s : NULL;
}

static lk_peer *peer_of(u32 handle) {
  const slot *s = slot_of(handle);
  return s == NULL ? NULL : s->peer;
}

static slot *find_free_slot(void) {
  for (u32 i = 0; i < PEERS_MAX; i++) {
    if (slots[i].peer == NULL) return &slots[i];
  }
  return NULL;
}

/* ---- making and ending ---- */

static lk_err read_options(u32 topic_len, u32 actor_len, u32 restored_len, lk_peer_options *out) {
  lk_slice input;
  lk_err err = lk_wasm_input((uint64_t)topic_len + actor_len + restored_len, &input);
  if (err != LK_OK) return err;
  out->topic = lk_slice_first(input, topic_len);
  out->actor = lk_slice_first(lk_slice_skip(input, topic_len), actor_len);
  out->restored = lk_slice_last(input, restored_len);
  return LK_OK;
}

u32 lk_wasm_peer_new(u32 topic_len, u32 actor_len, u32 restored_len, u64 entropy, ms now) {
  limits = lk_limits_default();
  env = (lk_env)LK_ENV_INIT(lk_wasm_alloc(), NULL);
  lk_peer_options options = {
    .env = &env, .limits = &limits, .entropy = entropy, .now_ms = lk_wasm_time(now)
  };
  lk_err err = read_options(topic_len, actor_len, restored_len, &options);
  if (err != LK_OK) return err;
  slot *s = find_free_slot();
  if (s == NULL) return LK_ERR_LIMIT;
  lk_peer *peer = lk_alloc_bytes(env.alloc, sizeof *peer);
  if (peer == NULL) return LK_ERR_NOMEM;
  err = lk_peer_init(peer, &options);
  if (err != LK_OK) {
    lk_peer_deinit(peer);
    lk_free_bytes(env.alloc, peer, sizeof *peer);
    return err;
  }
  s->peer = peer;
  lk_wasm_hand_out((lk_slice){ (const uint8_t *)(uintptr_t)handle_of(s), 0 });
  return LK_OK;
}

void lk_wasm_peer_free(u32 peer) {
  slot *s = slot_of(peer);
  if (s == NULL) return;
  lk_peer_deinit(s->peer);
  lk_free_bytes(env.alloc, s->peer, sizeof *s->peer);
  *s = (slot){ NULL, (s->generation + 1) & 0xFFFFFF };
}

/* ---- inputs ---- */

u32 lk_wasm_peer_increment(u32 peer, u64 amount, ms now) {
  lk_peer *self = peer_of(peer);
  return self == NULL ? LK_ERR_INVALID : lk_peer_increment(self, amount, lk_wasm_time(now));
}

u32 lk_wasm_peer_receive(u32 peer, u32 len, ms now) {
  lk_peer *self = peer_of(peer);
  lk_slice text;
  if (self == NULL || lk_wasm_input(len, &text) != LK_OK) return LK_ERR_INVALID;
  return lk_peer_receive(self, text, lk_wasm_time(now));
}

void lk_wasm_peer_opened(u32 peer, ms now) {
  lk_peer *self = peer_of(peer);
  if (self != NULL) lk_peer_opened(self, lk_wasm_time(now));
}

void lk_wasm_peer_closed(u32 peer, ms now) {
  lk_peer *self = peer_of(peer);
  if (self != NULL) lk_peer_closed(self, lk_wasm_time(now));
}

void lk_wasm_peer_wake(u32 peer, ms now) {
  lk_peer *self = peer_of(peer);
  if (self != NULL) lk_peer_wake(self, lk_wasm_time(now));
}

void lk_wasm_peer_tick(u32 peer, ms now) {
  lk_peer *self = peer_of(peer);
  if (self != NULL) lk_peer_tick(self, lk_wasm_time(now));
}

/* ---- outputs ---- */

static u32 event_number(lk_peer_event_kind kind) {
  static const uint8_t numbers[] = {
#define EXPORT(name, result, parameters, text)
#define ABI(number)
#define PEER_EVENT(name, number) [LK_PEER_##name] = number,
#define PEER_STATE(name, number)
#include "wasm/exports.def"
#undef EXPORT
#undef ABI
#undef PEER_EVENT
#undef PEER_STATE
  };
  LK_ASSERT((size_t)kind < sizeof numbers);
  return numbers[kind];
}

u32 lk_wasm_peer_poll(u32 peer) {
  lk_peer *self = peer_of(peer);
  lk_peer_event event = { 0 };
  if (self == NULL || !lk_peer_poll(self, &event)) return 0;
  lk_wasm_hand_out(event.kind == LK_PEER_SEND ? event.text : LK_SLICE_EMPTY);
  return event_number(event.kind);
}

ms lk_wasm_peer_deadline(u32 peer) {
  const lk_peer *self = peer_of(peer);
  uint64_t at = self == NULL ? LK_PEER_NEVER : lk_peer_deadline(self);
  return at == LK_PEER_NEVER ? __builtin_inf() : (ms)at;
}

u32 lk_wasm_peer_state(u32 peer) {
  static const uint8_t numbers[] = {
#define EXPORT(name, result, parameters, text)
#define ABI(number)
#define PEER_EVENT(name, number)
#define PEER_STATE(name, number) [LK_PEER_##name] = number,
#include "wasm/exports.def"
#undef EXPORT
#undef ABI
#undef PEER_EVENT
#undef PEER_STATE
  };
  const lk_peer *self = peer_of(peer);
  return self == NULL ? 0 : numbers[lk_peer_get_state(self)];
}

u64 lk_wasm_peer_value(u32 peer) {
  const lk_peer *self = peer_of(peer);
  return self == NULL ? 0 : lk_peer_value(self);
}

u64 lk_wasm_peer_pending(u32 peer) {
  const lk_peer *self = peer_of(peer);
  return self == NULL ? 0 : lk_peer_pending(self);
}

u32 lk_wasm_peer_save(u32 peer) {
  const lk_peer *self = peer_of(peer);
  if (self == NULL) return LK_ERR_INVALID;
  lk_buf *out = lk_wasm_result(limits.crdt_state_bytes);
  lk_err err = lk_peer_save(self, out);
  lk_wasm_hand_out(err == LK_OK ? lk_buf_slice(out) : LK_SLICE_EMPTY);
  return err;
}
