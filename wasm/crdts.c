/* wasm/crdts.c -- objects of the catalogue behind numbers.
 *
 *   handle := generation << 16 | slot         generation: 1 to 65535, so that 0 is no handle
 *
 * Free slots are a list, the one that was freed last first. Freeing raises the slot's generation; a slot
 * whose generations are used up is never taken again, so a stale handle reaches nothing, ever.
 *
 * Many operations, one delta. To join the deltas of a batch is to merge them, which is work for each of
 * them; and where it failed, an operation would be done whose delta nobody has. So while an object holds,
 * its deltas are only laid behind each other,
 *
 *   held := (len:u32 delta)*
 *
 * into memory that the operation itself is refused without. Joining them is left to crdt_release(), which
 * can be called again when it failed.
 *
 * Like all of wasm/ this is the border: one host, one thread, globals. */
#include "wasm/exports.h"

#include "laniakea/crdt.h"

#define CRDTS_MAX 65536u
#define CRDTS_LEAST 16u
#define GENERATION_MAX 0xFFFFu
#define SLOT_NONE UINT32_MAX
#define RESULT_MAX (64u << 20)
#define HELD_MAX (64u << 20)
#define LEN_LEN 4u

typedef struct slot {
  lk_crdt *crdt; /* NULL: free */
  lk_buf *held;  /* NULL: hands out each delta */
  uint32_t generation;
  uint32_t next_free;
} slot;

static slot *slots;
static size_t slot_cap;
static uint32_t first_free = SLOT_NONE;
static uint32_t batch_done;
static lk_env env;

/* ---- handles ---- */

static slot *slot_of(u32 handle) {
  u32 place = handle & 0xFFFF;
  if (place >= slot_cap) return NULL;
  slot *s = &slots[place];
  return s->crdt != NULL && s->generation == handle >> 16 ? s : NULL;
}

static lk_crdt *crdt_of(u32 handle) {
  const slot *s = slot_of(handle);
  return s == NULL ? NULL : s->crdt;
}

/* More slots, all of them free, the lowest one first in the list. */
static lk_err grow_slots(void) {
  size_t cap;
  if (!lk_grow_cap(slot_cap, slot_cap + 1, CRDTS_LEAST, CRDTS_MAX, &cap)) return LK_ERR_LIMIT;
  slot *grown = lk_resize_array(env.alloc, slots, slot_cap, cap, sizeof *slots);
  if (grown == NULL) return LK_ERR_NOMEM;
  slots = grown;
  for (size_t i = cap; i-- > slot_cap;) {
    slots[i] = (slot){ .generation = 1, .next_free = first_free };
    first_free = (uint32_t)i;
  }
  slot_cap = cap;
  return LK_OK;
}

u32 lk_wasm_crdt_new(u32 type) {
  if (env.alloc == NULL) env = (lk_env)LK_ENV_INIT(lk_wasm_alloc(), NULL);
  lk_err err = first_free == SLOT_NONE ? grow_slots() : LK_OK;
  if (err != LK_OK) return err;
  slot *s = &slots[first_free];
  err = lk_crdt_open(&env, (lk_crdt_kind)type, &s->crdt);
  if (err != LK_OK) return err;
  uintptr_t handle = (uintptr_t)s->generation << 16 | first_free;
  first_free = s->next_free;
  lk_wasm_hand_out((lk_slice){ (const uint8_t *)handle, 0 });
  return LK_OK;
}

void lk_wasm_crdt_free(u32 crdt) {
  slot *s = slot_of(crdt);
  if (s == NULL) return;
  lk_crdt_close(s->crdt);
  lk_buf_close(s->held);
  *s = (slot){ .generation = s->generation + 1, .next_free = first_free };
  if (s->generation <= GENERATION_MAX) first_free = (uint32_t)(s - slots);
}

/* ---- bytes in and out ---- */

static lk_slice take(lk_slice *input, size_t len) {
  lk_slice part = lk_slice_first(*input, len);
  *input = lk_slice_skip(*input, len);
  return part;
}

static u32 hand_out(lk_err err, const lk_buf *out) {
  lk_wasm_hand_out(err == LK_OK ? lk_buf_slice(out) : LK_SLICE_EMPTY);
  return err;
}

/* What a function without inputs appends. */
static u32 hand_out_of(u32 crdt, lk_err (*append)(const lk_crdt *self, lk_buf *out)) {
  const lk_crdt *self = crdt_of(crdt);
  if (self == NULL) return LK_ERR_INVALID;
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  return hand_out(append(self, out), out);
}

static u32 hand_out_byte(uint8_t byte) {
  lk_buf *out = lk_wasm_result(1);
  return hand_out(lk_buf_append_u8(out, byte), out);
}

/* ---- changing ---- */

/* A delta's length stands before it, and is known only when it is there. */
static lk_err apply_held(slot *s, lk_crdt_op *op, lk_slice name, lk_slice args) {
  size_t before = s->held->len;
  uint8_t *len = lk_buf_extend(s->held, LEN_LEN);
  lk_err err = len == NULL ? s->held->err : LK_OK;
  op->delta = s->held;
  if (err == LK_OK) err = lk_crdt_apply(s->crdt, op, name, args);
  if (err == LK_OK) {
    lk_store_le32(s->held->ptr + before, (uint32_t)(s->held->len - before - LEN_LEN));
  } else {
    lk_buf_truncate(s->held, before);
  }
  return err;
}

u32 lk_wasm_crdt_apply(u32 crdt, u32 actor_len, u32 path_len, u32 name_len, u32 args_len, ms now) {
  slot *s = slot_of(crdt);
  lk_slice input;
  lk_err err = lk_wasm_input((uint64_t)actor_len + path_len + name_len + args_len, &input);
  if (s == NULL || err != LK_OK) return LK_ERR_INVALID;
  lk_crdt_op op = { .now_ms = lk_wasm_time(now) };
  op.actor = take(&input, actor_len);
  op.at = take(&input, path_len);
  lk_slice name = take(&input, name_len), args = take(&input, args_len);
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  if (s->held != NULL) return hand_out(apply_held(s, &op, name, args), out);
  op.delta = out;
  return hand_out(lk_crdt_apply(s->crdt, &op, name, args), out);
}

static lk_err apply_record(slot *s, lk_crdt_op *op, lk_slice *records) {
  u32 lens[3];
  for (int i = 0; i < 3; i++) {
    if (records->len < LEN_LEN) return LK_ERR_TRUNCATED;
    lens[i] = lk_load_le32(take(records, LEN_LEN).ptr);
  }
  if ((uint64_t)lens[0] + lens[1] + lens[2] > records->len) return LK_ERR_TRUNCATED;
  op->at = take(records, lens[0]);
  lk_slice name = take(records, lens[1]), args = take(records, lens[2]);
  return apply_held(s, op, name, args);
}

/* The records' own error comes before that of joining them. */
u32 lk_wasm_crdt_batch(u32 crdt, u32 actor_len, u32 records_len, ms now) {
  slot *s = slot_of(crdt);
  lk_slice records;
  lk_err err = lk_wasm_input((uint64_t)actor_len + records_len, &records);
  batch_done = 0;
  if (s == NULL || err != LK_OK) return LK_ERR_INVALID;
  bool held = s->held != NULL;
  if (!held) err = lk_wasm_crdt_hold(crdt);
  if (err != LK_OK) return err;
  lk_crdt_op op = { .now_ms = lk_wasm_time(now) };
  op.actor = take(&records, actor_len);
  for (; err == LK_OK && records.len > 0; batch_done += err == LK_OK) {
    err = apply_record(s, &op, &records);
  }
  lk_wasm_hand_out(LK_SLICE_EMPTY);
  lk_err released = held ? LK_OK : lk_wasm_crdt_release(crdt);
  return err != LK_OK ? err : released;
}

u32 lk_wasm_crdt_batch_done(void) { return batch_done; }

/* ---- many deltas, one delta ---- */

u32 lk_wasm_crdt_hold(u32 crdt) {
  slot *s = slot_of(crdt);
  if (s == NULL) return LK_ERR_INVALID;
  return s->held != NULL ? LK_OK : lk_buf_open(&env, HELD_MAX, &s->held);
}

static lk_slice take_held(lk_slice *held) {
  size_t len = lk_load_le32(take(held, LEN_LEN).ptr);
  return take(held, len);
}

static lk_err join(lk_crdt_kind kind, lk_slice held, lk_buf *out) {
  lk_crdt *joined;
  lk_slice rest = held;
  if (held.len > 0) {
    lk_slice first = take_held(&rest);
    if (rest.len == 0) return lk_buf_append(out, first);
  }
  lk_err err = lk_crdt_open(&env, kind, &joined);
  if (err != LK_OK) return err;
  while (err == LK_OK && held.len > 0) err = lk_crdt_merge(joined, take_held(&held), NULL);
  if (err == LK_OK) err = lk_crdt_encode(joined, out);
  lk_crdt_close(joined);
  return err;
}

u32 lk_wasm_crdt_release(u32 crdt) {
  slot *s = slot_of(crdt);
  if (s == NULL) return LK_ERR_INVALID;
  if (s->held == NULL) return LK_ERR_STATE;
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  lk_err err = join(lk_crdt_get_kind(s->crdt), lk_buf_slice(s->held), out);
  if (err == LK_OK) {
    lk_buf_close(s->held);
    s->held = NULL;
  }
  return hand_out(err, out);
}

/* ---- exchanging ---- */

static u32 merge(u32 crdt, u32 len,
                 lk_err (*take_in)(lk_crdt *self, lk_slice bytes, bool *changed)) {
  lk_crdt *self = crdt_of(crdt);
  lk_slice bytes;
  bool changed = false;
  if (self == NULL || lk_wasm_input(len, &bytes) != LK_OK) return LK_ERR_INVALID;
  lk_err err = take_in(self, bytes, &changed);
  return err == LK_OK ? hand_out_byte(changed) : err;
}

u32 lk_wasm_crdt_merge(u32 crdt, u32 len) { return merge(crdt, len, lk_crdt_merge); }
u32 lk_wasm_crdt_merge_json(u32 crdt, u32 len) { return merge(crdt, len, lk_crdt_merge_json); }

u32 lk_wasm_crdt_encode(u32 crdt) { return hand_out_of(crdt, lk_crdt_encode); }
u32 lk_wasm_crdt_encode_json(u32 crdt) { return hand_out_of(crdt, lk_crdt_encode_json); }
u32 lk_wasm_crdt_version(u32 crdt) { return hand_out_of(crdt, lk_crdt_version); }

u32 lk_wasm_crdt_diff_since(u32 crdt, u32 len) {
  const lk_crdt *self = crdt_of(crdt);
  lk_slice version;
  if (self == NULL || lk_wasm_input(len, &version) != LK_OK) return LK_ERR_INVALID;
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  return hand_out(lk_crdt_diff_since(self, version, out), out);
}

/* Both, of one type. */
static lk_err pair_of(u32 crdt, u32 other, const lk_crdt **a, const lk_crdt **b) {
  *a = crdt_of(crdt);
  *b = crdt_of(other);
  if (*a == NULL || *b == NULL) return LK_ERR_INVALID;
  return lk_crdt_get_kind(*a) == lk_crdt_get_kind(*b) ? LK_OK : LK_ERR_TYPE;
}

u32 lk_wasm_crdt_diff(u32 crdt, u32 other) {
  const lk_crdt *a, *b;
  lk_err err = pair_of(crdt, other, &a, &b);
  if (err != LK_OK) return err;
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  return hand_out(lk_crdt_diff(a, b, out), out);
}

u32 lk_wasm_crdt_compare(u32 crdt, u32 other) {
  const lk_crdt *a, *b;
  lk_err err = pair_of(crdt, other, &a, &b);
  return err == LK_OK ? hand_out_byte((uint8_t)lk_crdt_compare(a, b)) : err;
}

/* ---- reading ---- */

u32 lk_wasm_crdt_value(u32 crdt, u32 path_len) {
  const lk_crdt *self = crdt_of(crdt);
  lk_slice path;
  if (self == NULL || lk_wasm_input(path_len, &path) != LK_OK) return LK_ERR_INVALID;
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  return hand_out(lk_crdt_value(self, path, out), out);
}

static lk_err append_digest(const lk_crdt *self, lk_buf *out) {
  uint8_t *digest = lk_buf_extend(out, LK_CRDT_DIGEST_LEN);
  return digest == NULL ? out->err : lk_crdt_digest(self, digest);
}

u32 lk_wasm_crdt_digest(u32 crdt) { return hand_out_of(crdt, append_digest); }

static lk_err append_size(const lk_crdt *self, lk_buf *out) {
  lk_crdt_size size = lk_crdt_get_size(self);
  (void)lk_buf_append_le32(out, size.entries);
  (void)lk_buf_append_le32(out, size.ranges);
  (void)lk_buf_append_le32(out, size.actors);
  return lk_buf_append_le32(out, (uint32_t)size.bytes);
}

u32 lk_wasm_crdt_size(u32 crdt) { return hand_out_of(crdt, append_size); }
