/* channel/presence.c -- telling what differs, not what happened.
 *
 * Phoenix sends a diff for each change: 1,000 users who join one topic cost it 835,000 frames. Here nothing is sent
 * when something changes. The change goes into an OR-map of crdt/, and a window opens. When it
 * ends, two ordered lists are laid over each other: what was told at the end of the last window ("shown"), and what is in
 * the map now.
 *
 *   shown   ann/A1 "x"    bob/A2 "y"                  cyd/B1 "z"
 *   map                   bob/A2 "w"    bea/A7 "v"    cyd/B1 "z"
 *           leaves        both          joins         -
 *
 * So it does not matter how the map came to be what it is: by members of this node, by deltas of others in any order, by
 * the loss of a node. Who came and went within a window is in neither list. One flush costs a walk through both, whatever
 * the number of changes, and at most one encoding of the whole state for all who joined.
 *
 *   ormap ─┬─ (ormap, "ann") ─── (mvreg, node member)   {"phx_ref":...}
 *          └─ (ormap, "bob") ─┬─ (mvreg, node member)   node: a name; member: 16 hexadecimal digits
 *                             └─ (mvreg, node member)
 *
 * Each register has one writer, the node in its name. When a node is lost, the others remove its registers: removals of
 * OR-maps hit what was seen, so a member that came meanwhile stays. A node that was taken for lost and was not
 * finds at the next flush after a merge that its own are missing, and writes them again with the same bytes. Its own clients never
 * see that; those of the others see a leave and a join.
 *
 * A value is compared by its bytes, and each change of a meta has a phx_ref of its own: a diff that had the same phx_ref
 * among joins and leaves would remove the meta from phoenix.js.
 *
 * Where memory ends, a call fails with nothing changed. A member's leaving cannot fail: it is remembered, and done later.
 *
 * Always: a window is open (there is a deadline) where the map may differ from what is shown, or somebody waits for a
 * state; what a record of |members| tracks is in the map, but for what others took away since the last flush.
 *
 * Not chosen: hiding what a lost node showed instead of removing it, as Phoenix.Tracker does. That needs every node to
 * know of every other one whether it is up, and what it showed stays in memory until somebody forgets it. */
#include "channel/presence.h"

#include "codec/base64.h"
#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "codec/utf.h"
#include "crdt/state.h"

#define MEMBER_DIGITS 16
#define TAG_MAX (LK_PRESENCE_NODE_MAX + MEMBER_DIGITS)
#define REF_BYTES 6
#define SCRATCH_MAX ((size_t)UINT32_MAX / 2)

/* What a member of this node shows under one key. */
typedef struct tracked tracked;
struct tracked {
  tracked *next;
  uint64_t flush; /* flush_count when |ref| was made: later flushes have told it */
  uint8_t ref[LK_PRESENCE_REF_LEN];
  uint8_t prev[LK_PRESENCE_REF_LEN];
  bool has_prev;
  uint8_t lent; /* which fields of |value| are lent, by their places in the list */
  uint32_t key_len;
  uint32_t value_len;
  uint8_t bytes[]; /* key, value */
};

/* A member of this node. */
typedef struct record {
  tracked *first;
  uint32_t count;
  bool hears; /* and does not only show itself */
  bool waits; /* for a state */
  bool left;  /* what it tracks is still to be removed */
} record;

/* One meta as clients know it. */
struct lk_presence_shown {
  uint32_t key_len;
  uint32_t tag_len;
  uint32_t value_len;
  bool is_new;  /* made by the flush that runs */
  bool is_kept; /* by it */
  uint8_t bytes[];
};

/* The same, in the map. */
typedef struct slot {
  lk_slice key;
  lk_slice tag;
  lk_slice value;
} slot;

/* ---- slots ---- */

static slot slot_of(const lk_presence_shown *s) {
  return (slot){ lk_slice_of(s->bytes, s->key_len), lk_slice_of(s->bytes + s->key_len, s->tag_len),
                 lk_slice_of(s->bytes + s->key_len + s->tag_len, s->value_len) };
}

static int compare_slots(const slot *a, const slot *b) {
  int order = lk_slice_compare(a->key, b->key);
  return order != 0 ? order : lk_slice_compare(a->tag, b->tag);
}

static size_t shown_size(const lk_presence_shown *s) {
  return sizeof *s + s->key_len + s->tag_len + s->value_len;
}

static void free_shown(const lk_presence *self, lk_presence_shown *s) {
  lk_free_bytes(self->env->alloc, s, shown_size(s));
}

/* NULL where memory is out. */
static lk_presence_shown *make_shown(const lk_presence *self, const slot *from) {
  lk_presence_shown *s = lk_alloc_bytes(self->env->alloc, sizeof *s + from->key.len +
                                                              from->tag.len + from->value.len);
  if (s == NULL) return NULL;
  *s = (lk_presence_shown){ .key_len =
                                (uint32_t)from->key.len, /* the CRDT's limits bound all three */
                            .tag_len = (uint32_t)from->tag.len,
                            .value_len = (uint32_t)from->value.len,
                            .is_new = true };
  if (from->key.len > 0) memcpy(s->bytes, from->key.ptr, from->key.len);
  if (from->tag.len > 0) memcpy(s->bytes + from->key.len, from->tag.ptr, from->tag.len);
  memcpy(s->bytes + from->key.len + from->tag.len, from->value.ptr, from->value.len);
  return s;
}

/* ---- the map ---- */

/* A walk through the map in order of (key, tag). Zeroed at first but for |state|. */
typedef struct walk {
  const lk_crdt *state;
  lk_btree_cursor keys, tags;
  uint32_t key;
} walk;

/* The next child of that kind: a peer may have put others there. */
static uint32_t next_of_kind(const lk_crdt *state, uint32_t parent, const lk_crdt_type *type,
                             lk_btree_cursor *cursor) {
  uint32_t node;
  do node = lk_node_next_kid(state, parent, cursor);
  while (node != LK_NODE_NONE && lk_node_type(state, node) != type);
  return node;
}

/* Of a register with several values, which no honest node writes, the first one. */
static lk_slice value_at(const lk_crdt *state, uint32_t node) {
  lk_btree_cursor cursor = { 0 };
  return lk_fact_value(state, lk_fact_next(state, node, &cursor));
}

static bool walk_next(walk *self, slot *out) {
  uint32_t node = LK_NODE_NONE;
  if (self->key != LK_NODE_NONE) {
    node = next_of_kind(self->state, self->key, &lk_crdt_type_mvreg, &self->tags);
  }
  while (node == LK_NODE_NONE) {
    self->key = next_of_kind(self->state, LK_NODE_ROOT, &lk_crdt_type_ormap, &self->keys);
    if (self->key == LK_NODE_NONE) return false;
    self->tags = (lk_btree_cursor){ 0 };
    node = next_of_kind(self->state, self->key, &lk_crdt_type_mvreg, &self->tags);
  }
  *out = (slot){ lk_node_key(self->state, self->key), lk_node_key(self->state, node),
                 value_at(self->state, node) };
  return true;
}

/* "node" and the member in hexadecimal, in |bytes|. */
static lk_slice tag_of(const lk_presence *self, uint64_t member, uint8_t bytes[TAG_MAX]) {
  static const char digits[] = "0123456789abcdef";
  memcpy(bytes, self->node, self->node_len);
  for (uint32_t i = 0; i < MEMBER_DIGITS; i++) {
    bytes[self->node_len + i] = (uint8_t)digits[member >> (60 - 4 * i) & 15];
  }
  return lk_slice_of(bytes, (size_t)self->node_len + MEMBER_DIGITS);
}

/* Whether what stands under |tag| is of |node|. */
static bool is_of_node(lk_slice tag, lk_slice node) {
  return tag.len == node.len + MEMBER_DIGITS && lk_slice_starts_with(tag, node);
}

static lk_crdt_op op_at(lk_presence *self) {
  return (lk_crdt_op){ .actor = lk_slice_of(self->node, self->node_len),
                       .at = lk_buf_slice(&self->path) };
}

static lk_err map_set(lk_presence *self, uint64_t member, lk_slice key, lk_slice value) {
  uint8_t bytes[TAG_MAX];
  lk_buf_truncate(&self->path, 0);
  lk_err err = lk_crdt_path_append(&self->path, LK_CRDT_ORMAP, key);
  if (err == LK_OK) {
    err = lk_crdt_path_append(&self->path, LK_CRDT_MVREG, tag_of(self, member, bytes));
  }
  if (err != LK_OK) return err;
  lk_crdt_op op = op_at(self);
  err = lk_mvreg_set(self->state, &op, value);
  if (err == LK_OK) self->has_news = true;
  return err;
}

static lk_err map_remove(lk_presence *self, lk_slice key, lk_slice tag) {
  lk_buf_truncate(&self->path, 0);
  lk_err err = lk_crdt_path_append(&self->path, LK_CRDT_ORMAP, key);
  if (err != LK_OK) return err;
  lk_crdt_op op = op_at(self);
  err = lk_ormap_remove(self->state, &op, tag);
  if (err == LK_OK) self->has_news = true;
  return err;
}

static uint32_t map_key_node(const lk_presence *self, lk_slice key) {
  return lk_node_find(self->state, LK_NODE_ROOT, &lk_crdt_type_ormap, key);
}

static bool map_has(const lk_presence *self, uint64_t member, lk_slice key) {
  uint8_t bytes[TAG_MAX];
  return lk_node_find(self->state, map_key_node(self, key), &lk_crdt_type_mvreg,
                      tag_of(self, member, bytes)) != LK_NODE_NONE;
}

/* ---- life ---- */

static void init_bufs(lk_presence *self) {
  lk_buf *const bufs[] = { &self->diff, &self->leaves, &self->text,
                           &self->sent, &self->value,  &self->path };
  for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++) {
    lk_buf_init(bufs[i], self->env->alloc, SCRATCH_MAX);
  }
  lk_arena_init(&self->scratch, self->env->alloc, SCRATCH_MAX);
}

static lk_err open_state(lk_presence *self) {
  lk_crdt *state = lk_alloc_bytes(self->env->alloc, sizeof *state);
  if (state == NULL) return LK_ERR_NOMEM;
  lk_err err = lk_crdt_init(state, &lk_crdt_type_ormap, self->env->alloc, self->limits);
  if (err == LK_OK) self->state = state;
  else lk_free_bytes(self->env->alloc, state, sizeof *state);
  return err;
}

lk_err lk_presence_init(lk_presence *self, const lk_presence_options *o) {
  *self = (lk_presence){ .env = o->env, .limits = o->limits, .deadline_ms = LK_PRESENCE_NEVER };
  if (o->node.len > LK_PRESENCE_NODE_MAX || lk_crdt_check_actor(o->node) != LK_OK) {
    return LK_ERR_ACTOR;
  }
  memcpy(self->node, o->node.ptr, o->node.len);
  self->node_len = (uint8_t)o->node.len;
  self->window_min_ms = o->window_ms > 0 ? o->window_ms : LK_PRESENCE_WINDOW_MS;
  self->window_max_ms = o->window_max_ms > 0 ? o->window_max_ms : LK_PRESENCE_WINDOW_MAX_MS;
  self->window_ms = self->window_min_ms;
  self->hash_seed[0] = o->hash_seed[0];
  self->hash_seed[1] = o->hash_seed[1];
  lk_map_init(&self->members, o->env->alloc, sizeof(record), o->limits->room_members_count,
              o->hash_seed);
  init_bufs(self);
  lk_err err = open_state(self);
  if (err != LK_OK) lk_presence_deinit(self);
  return err;
}

static void free_tracked(const lk_presence *self, tracked *t) {
  lk_free_bytes(self->env->alloc, t, sizeof *t + t->key_len + t->value_len);
}

static void free_record(const lk_presence *self, record *r) {
  for (tracked *t = r->first, *next; t != NULL; t = next) {
    next = t->next;
    free_tracked(self, t);
  }
}

void lk_presence_deinit(lk_presence *self) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  if (self->env == NULL) return;
  const lk_alloc *alloc = self->env->alloc;
  while (lk_map_next(&self->members, &cursor, &key, &value)) free_record(self, value);
  lk_map_deinit(&self->members);
  for (uint32_t i = 0; i < self->shown_count; i++) free_shown(self, self->shown[i]);
  lk_free_array(alloc, self->shown, self->shown_cap, sizeof(lk_presence_shown *));
  lk_free_array(alloc, self->joiners, self->joiner_cap, sizeof *self->joiners);
  lk_crdt_close(self->state);
  lk_buf *const bufs[] = { &self->diff, &self->leaves, &self->text,
                           &self->sent, &self->value,  &self->path };
  for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++) lk_buf_deinit(bufs[i]);
  lk_arena_deinit(&self->scratch);
  *self = (lk_presence){ 0 };
}

bool lk_presence_is_empty(const lk_presence *self) {
  return lk_map_count(&self->members) == 0 && self->shown_count == 0 &&
         lk_crdt_get_size(self->state).entries == 0;
}

/* ---- windows ---- */

static uint64_t after(uint64_t time_ms, uint32_t by_ms) {
  return time_ms > LK_PRESENCE_NEVER - 1 - by_ms ? LK_PRESENCE_NEVER - 1 : time_ms + by_ms;
}

/* Something has changed. A topic that was quiet for a window begins with short ones again. */
static void open_window(lk_presence *self, uint64_t now_ms) {
  if (self->deadline_ms != LK_PRESENCE_NEVER) return;
  if (now_ms > after(self->flushed_ms, self->window_ms)) self->window_ms = self->window_min_ms;
  self->deadline_ms = after(now_ms, self->window_ms);
}

static void close_window(lk_presence *self, uint32_t changes, uint64_t now_ms) {
  uint32_t most = lk_max_u32(self->window_max_ms, self->window_min_ms);
  /* Each change is told to each member. */
  uint64_t told = (uint64_t)changes * lk_map_count(&self->members);
  bool is_busy = changes >= LK_PRESENCE_BUSY_COUNT || told >= LK_PRESENCE_BUSY_TOLD;
  uint32_t grown = self->window_ms > most / 2 ? most : self->window_ms * 2;
  self->window_ms = is_busy ? grown : self->window_min_ms;
  self->flushed_ms = now_ms;
  self->deadline_ms = LK_PRESENCE_NEVER;
  self->flush_count++;
}

uint64_t lk_presence_deadline(const lk_presence *self) { return self->deadline_ms; }

/* ---- members ---- */

static lk_slice member_key(uint64_t member, uint8_t bytes[8]) {
  lk_store_be64(bytes, member);
  return lk_slice_of(bytes, 8);
}

static record *find_member(const lk_presence *self, uint64_t member) {
  uint8_t bytes[8];
  return lk_map_get(&self->members, member_key(member, bytes));
}

static void forget_member(lk_presence *self, uint64_t member) {
  uint8_t bytes[8];
  (void)lk_map_remove(&self->members, member_key(member, bytes));
}

static lk_err need_member(lk_presence *self, uint64_t member, record **out, bool *is_new) {
  uint8_t bytes[8];
  void *value;
  lk_err err = lk_map_put(&self->members, member_key(member, bytes), &value, is_new);
  if (err != LK_OK) return err;
  *out = value;
  LK_ASSERT(!(*out)->left); /* a number is never used again */
  return LK_OK;
}

static void wait_for_state(lk_presence *self, record *r, uint64_t now_ms) {
  if (!r->waits) self->waiting_count++;
  r->waits = true;
  open_window(self, now_ms);
}

lk_err lk_presence_join(lk_presence *self, uint64_t member, uint64_t now_ms) {
  record *r;
  bool is_new;
  lk_err err = need_member(self, member, &r, &is_new);
  if (err != LK_OK) return err;
  if (!r->hears) self->hearer_count++;
  r->hears = true;
  wait_for_state(self, r, now_ms);
  return LK_OK;
}

void lk_presence_repeat(lk_presence *self, uint64_t member, uint64_t now_ms) {
  record *r = find_member(self, member);
  if (r != NULL && r->hears) wait_for_state(self, r, now_ms);
}

/* Where the link to what |r| shows under |key| is; it leads to NULL where there is nothing. */
static tracked **find_tracked(record *r, lk_slice key) {
  tracked **at = &r->first;
  while (*at != NULL && !lk_slice_equal(lk_slice_of((*at)->bytes, (*at)->key_len), key)) {
    at = &(*at)->next;
  }
  return at;
}

/* Removes from the map all that |r| shows. What could not be removed stays with it. */
static lk_err remove_tracked(lk_presence *self, uint64_t member, record *r) {
  uint8_t bytes[TAG_MAX];
  lk_slice tag = tag_of(self, member, bytes);
  while (r->first != NULL) {
    tracked *t = r->first;
    lk_err err = map_remove(self, lk_slice_of(t->bytes, t->key_len), tag);
    if (err != LK_OK) return err;
    r->first = t->next;
    r->count--;
    free_tracked(self, t);
  }
  return LK_OK;
}

void lk_presence_leave(lk_presence *self, uint64_t member, uint64_t now_ms) {
  record *r = find_member(self, member);
  if (r == NULL || r->left) return;
  if (r->hears) self->hearer_count--;
  if (r->waits) self->waiting_count--;
  r->hears = r->waits = false;
  if (r->first != NULL) open_window(self, now_ms);
  if (remove_tracked(self, member, r) == LK_OK) {
    forget_member(self, member);
    return;
  }
  LK_COVERED(presence_leave_was_put_off);
  r->left = true;
  self->is_torn = true;
}

/* ---- metas ---- */

/* 36 bits of a hash of this object's name, of a number of its own and of what the caller drew. Clients compare refs of one
 * key only, of which there are a few; and each of them is sent to everybody, so every character counts. */
static lk_err make_ref(lk_presence *self, uint64_t entropy, uint8_t out[LK_PRESENCE_REF_LEN]) {
  uint8_t bytes[8], source[16 + LK_PRESENCE_NODE_MAX];
  lk_store_be64(source, entropy);
  lk_store_be64(source + 8, self->ref_next++);
  memcpy(source + 16, self->node, self->node_len);
  lk_store_be64(bytes,
                lk_siphash13(self->hash_seed, lk_slice_of(source, 16 + (size_t)self->node_len)));
  lk_buf_truncate(&self->value, 0);
  lk_err err = lk_base64_encode(&self->value, lk_slice_of(bytes, REF_BYTES), LK_BASE64_FORM_URL);
  if (err == LK_OK) memcpy(out, self->value.ptr, LK_PRESENCE_REF_LEN);
  return err;
}

static bool is_ours(lk_slice name) {
  return lk_slice_equal(name, LK_LIT("phx_ref")) || lk_slice_equal(name, LK_LIT("phx_ref_prev"));
}

/* The place of |name| among |fields|, or |count|. */
static uint32_t place_of(lk_slice name, const lk_presence_field *fields, uint32_t count) {
  uint32_t place = 0;
  while (place < count && !lk_slice_equal(fields[place].name, name)) place++;
  return place;
}

/* Some fields of a list of up to LK_PRESENCE_LENT_MAX. */
typedef struct some_fields {
  const lk_presence_field *fields;
  uint32_t count;
  uint8_t which; /* a bit for each */
} some_fields;

static bool is_among(const some_fields *self, lk_slice name) {
  uint32_t place = place_of(name, self->fields, self->count);
  return place < self->count && (self->which >> place & 1) != 0;
}

/* The members of |meta| without ours and without |but|, each behind a comma. */
static lk_err copy_members(lk_presence *self, lk_slice meta, const some_fields *but, lk_buf *out) {
  lk_json_reader in;
  lk_json_event event;
  lk_slice raw;
  lk_err err = lk_json_reader_init(&in, meta, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_next(&in, &event);
  if (err != LK_OK) return err;
  if (event.kind != LK_JSON_OBJECT_BEGIN) return LK_ERR_PAYLOAD;
  while ((err = lk_json_next(&in, &event)) == LK_OK && event.kind == LK_JSON_KEY) {
    if ((err = lk_json_skip_value(&in, &raw)) != LK_OK) return err;
    if (is_ours(event.text) || is_among(but, event.text)) continue;
    lk_buf_append_u8(out, ',');
    lk_buf_append(out, event.raw);
    lk_buf_append_u8(out, ':');
    lk_buf_append(out, raw);
  }
  if (err == LK_OK) err = lk_json_finish(&in);
  return err == LK_OK ? lk_buf_err(out) : err;
}

/* |meta| with |ref| and, unless it is NULL, |prev|, in self->value. */
static lk_err make_value(lk_presence *self, lk_slice meta, const uint8_t *ref,
                         const uint8_t *prev) {
  lk_buf *out = &self->value;
  if (meta.len > self->limits->presence_meta_bytes) return LK_ERR_TOO_BIG;
  lk_buf_truncate(out, 0);
  lk_buf_append(out, LK_LIT("{\"phx_ref\":\""));
  lk_buf_append(out, lk_slice_of(ref, LK_PRESENCE_REF_LEN));
  if (prev != NULL) {
    lk_buf_append(out, LK_LIT("\",\"phx_ref_prev\":\""));
    lk_buf_append(out, lk_slice_of(prev, LK_PRESENCE_REF_LEN));
  }
  lk_buf_append_u8(out, '"');
  lk_err err = copy_members(self, meta, &(some_fields){ 0 }, out);
  lk_arena_reset(&self->scratch);
  return err == LK_OK ? lk_buf_append_u8(out, '}') : err;
}

/* What |member| is to show under |key|, not yet shown. |old| is what it has shown until now, or NULL. phx_ref_prev is
 * what clients know: an earlier ref that no flush has told is passed over. */
static lk_err make_tracked(lk_presence *self, lk_slice key, lk_slice meta, uint64_t entropy,
                           const tracked *old, tracked **out) {
  uint8_t ref[LK_PRESENCE_REF_LEN];
  const uint8_t *prev = NULL;
  if (old != NULL && old->flush < self->flush_count) prev = old->ref;
  else if (old != NULL && old->has_prev) prev = old->prev;
  lk_err err = make_ref(self, entropy, ref);
  if (err == LK_OK) err = make_value(self, meta, ref, prev);
  if (err != LK_OK) return err;
  lk_slice value = lk_buf_slice(&self->value);
  tracked *t = lk_alloc_bytes(self->env->alloc, sizeof *t + key.len + value.len);
  if (t == NULL) return LK_ERR_NOMEM;
  *t = (tracked){ .flush = self->flush_count, .has_prev = prev != NULL };
  t->key_len = (uint32_t)key.len;
  t->value_len = (uint32_t)value.len;
  memcpy(t->ref, ref, sizeof ref);
  if (prev != NULL) memcpy(t->prev, prev, sizeof ref);
  if (key.len > 0) memcpy(t->bytes, key.ptr, key.len);
  memcpy(t->bytes + key.len, value.ptr, value.len);
  *out = t;
  return LK_OK;
}

/* Puts the new |t| into the map in the place of |*at|, and there. */
static lk_err show(lk_presence *self, uint64_t member, tracked **at, tracked *t, uint64_t now_ms) {
  lk_err err = map_set(self, member, lk_slice_of(t->bytes, t->key_len),
                       lk_slice_of(t->bytes + t->key_len, t->value_len));
  if (err != LK_OK) {
    free_tracked(self, t);
    return err == LK_ERR_EXISTS ? LK_ERR_PAYLOAD : err; /* a name that stands twice in the meta */
  }
  t->next = *at != NULL ? (*at)->next : NULL;
  if (*at != NULL) free_tracked(self, *at);
  *at = t;
  open_window(self, now_ms);
  return LK_OK;
}

static lk_err check_key(const lk_presence *self, lk_slice key) {
  return key.len > self->limits->channel_name_bytes ? LK_ERR_TOO_BIG : lk_utf8_check(key);
}

bool lk_presence_is_half_empty(const lk_presence *self, lk_slice key) {
  const lk_limits *l = self->limits;
  uint32_t node = map_key_node(self, key);
  lk_crdt_size size = lk_crdt_get_size(self->state);
  return size.entries < l->presence_metas_count / 2 && size.bytes < l->crdt_state_bytes / 2 &&
         (node == LK_NODE_NONE ||
          lk_node_at(self->state, node)->kids < l->presence_key_metas_count / 2);
}

static lk_err check_room(const lk_presence *self, const record *r, lk_slice key) {
  const lk_limits *l = self->limits;
  uint32_t node = map_key_node(self, key);
  bool is_full = r->count >= l->presence_member_keys_count ||
                 lk_crdt_get_size(self->state).entries >= l->presence_metas_count;
  if (node != LK_NODE_NONE && lk_node_at(self->state, node)->kids >= l->presence_key_metas_count) {
    is_full = true;
  }
  return is_full ? LK_ERR_LIMIT : LK_OK;
}

static lk_err track(lk_presence *self, uint64_t member, record *r, lk_slice key, lk_slice meta,
                    uint64_t entropy, uint64_t now_ms) {
  tracked *t, **at = find_tracked(r, key);
  if (*at != NULL) return LK_ERR_EXISTS;
  lk_err err = check_room(self, r, key);
  if (err == LK_OK) err = make_tracked(self, key, meta, entropy, NULL, &t);
  if (err == LK_OK) err = show(self, member, at, t, now_ms);
  if (err == LK_OK) r->count++;
  return err;
}

lk_err lk_presence_track(lk_presence *self, uint64_t member, lk_slice key, lk_slice meta,
                         uint64_t entropy, uint64_t now_ms) {
  record *r;
  bool is_new;
  lk_err err = check_key(self, key);
  if (err == LK_OK) err = need_member(self, member, &r, &is_new);
  if (err != LK_OK) return err;
  err = track(self, member, r, key, meta, entropy, now_ms);
  if (err != LK_OK && is_new) forget_member(self, member);
  return err;
}

/* |member| shows |meta| under the key of |*at| from now on; |lent| says what of it is. */
static lk_err show_anew(lk_presence *self, uint64_t member, tracked **at, lk_slice meta,
                        uint8_t lent, uint64_t entropy, uint64_t now_ms) {
  tracked *t;
  lk_slice key = lk_slice_of((*at)->bytes, (*at)->key_len);
  lk_err err = make_tracked(self, key, meta, entropy, *at, &t);
  if (err != LK_OK) return err;
  t->lent = lent;
  return show(self, member, at, t, now_ms);
}

lk_err lk_presence_update(lk_presence *self, uint64_t member, lk_slice key, lk_slice meta,
                          uint64_t entropy, uint64_t now_ms) {
  record *r = find_member(self, member);
  tracked **at = r == NULL || r->left ? NULL : find_tracked(r, key);
  if (at == NULL || *at == NULL) return LK_ERR_NOT_FOUND;
  return show_anew(self, member, at, meta, 0, entropy, now_ms);
}

static lk_slice value_of(const tracked *t) {
  return lk_slice_of(t->bytes + t->key_len, t->value_len);
}

/* Appends a member behind a comma. */
static lk_err append_member(lk_buf *out, const lk_presence_field *field) {
  lk_json_writer w;
  lk_buf_append_u8(out, ',');
  lk_json_writer_init(&w, out);
  (void)lk_json_write_string(&w, field->name);
  lk_err err = lk_json_writer_finish(&w);
  lk_buf_append_u8(out, ':');
  lk_buf_append(out, field->value);
  return err == LK_OK ? lk_buf_err(out) : err;
}

/* What |t| shows without |but| and without a ref, and |with| instead, in |meta|. */
static lk_err make_meta(lk_presence *self, const tracked *t, const some_fields *but,
                        const some_fields *with, lk_buf *meta) {
  lk_err err = LK_OK;
  lk_buf_truncate(meta, 0);
  for (uint32_t i = 0; err == LK_OK && i < with->count; i++) {
    if ((with->which >> i & 1) != 0) err = append_member(meta, &with->fields[i]);
  }
  if (err == LK_OK) err = copy_members(self, value_of(t), but, meta);
  lk_arena_reset(&self->scratch);
  if (err == LK_OK && meta->len == 0) lk_buf_append_u8(meta, ',');
  if (err == LK_OK) err = lk_buf_append_u8(meta, '}');
  if (err == LK_OK) meta->ptr[0] = '{'; /* in the place of the first comma */
  return err;
}

lk_err lk_presence_set_field(lk_presence *self, uint64_t member, lk_slice name, lk_slice value,
                             uint64_t entropy, uint64_t now_ms) {
  const lk_presence_field field = { name, value };
  const some_fields its = { &field, 1, 1 };
  record *r = find_member(self, member);
  lk_buf meta;
  lk_err err = r == NULL || r->left || r->first == NULL ? LK_ERR_NOT_FOUND : LK_OK;
  if (err != LK_OK) return err;
  lk_buf_init(&meta, self->env->alloc, SIZE_MAX / 4);
  for (tracked **at = &r->first; *at != NULL && err == LK_OK; at = &(*at)->next) {
    err = make_meta(self, *at, &its, &its, &meta);
    if (err == LK_OK)
      err = show_anew(self, member, at, lk_buf_slice(&meta), (*at)->lent, entropy++, now_ms);
  }
  lk_buf_deinit(&meta);
  return err;
}

/* ---- fields that are lent ---- */

/* Which of |fields| |t| shows, and which of these just so. */
static lk_err look_at(lk_presence *self, const tracked *t, const lk_presence_field *fields,
                      uint32_t count, uint8_t *has, uint8_t *alike) {
  lk_json_reader in;
  lk_json_member members[LK_PRESENCE_LENT_MAX];
  *has = *alike = 0;
  for (uint32_t i = 0; i < count; i++) members[i] = (lk_json_member){ .name = fields[i].name };
  lk_err err = lk_json_reader_init(&in, value_of(t), self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, count);
  for (uint32_t i = 0; err == LK_OK && i < count; i++) {
    if (members[i].value.kind == LK_JSON_ABSENT) continue;
    *has = (uint8_t)(*has | 1u << i);
    if (lk_slice_equal(members[i].raw, fields[i].value)) *alike = (uint8_t)(*alike | 1u << i);
  }
  lk_arena_reset(&self->scratch);
  return err;
}

static lk_err lend(lk_presence *self, uint64_t member, tracked **at,
                   const lk_presence_field *fields, uint32_t count, lk_buf *meta, uint64_t entropy,
                   uint64_t now_ms) {
  uint8_t has, alike, wanted = 0;
  const uint8_t lent = (*at)->lent;
  lk_err err = look_at(self, *at, fields, count, &has, &alike);
  if (err != LK_OK) return err;
  for (uint32_t i = 0; i < count; i++) {
    bool is_its_own = ((has & ~lent) >> i & 1) != 0;
    if (!is_its_own && fields[i].value.len > 0) wanted = (uint8_t)(wanted | 1u << i);
  }
  if (wanted == lent && (wanted & ~alike) == 0) return LK_OK;
  const some_fields but = { fields, count, lent }, with = { fields, count, wanted };
  err = make_meta(self, *at, &but, &with, meta);
  if (err != LK_OK) return err;
  return show_anew(self, member, at, lk_buf_slice(meta), wanted, entropy, now_ms);
}

lk_err lk_presence_lend(lk_presence *self, uint64_t member, const lk_presence_field *fields,
                        uint32_t count, uint64_t entropy, uint64_t now_ms) {
  record *r = find_member(self, member);
  lk_buf meta;
  lk_err err = r == NULL || r->left || r->first == NULL ? LK_ERR_NOT_FOUND : LK_OK;
  LK_ASSERT(count <= LK_PRESENCE_LENT_MAX);
  if (err != LK_OK) return err;
  lk_buf_init(&meta, self->env->alloc, SIZE_MAX / 4);
  for (tracked **at = &r->first; *at != NULL && err == LK_OK; at = &(*at)->next)
    err = lend(self, member, at, fields, count, &meta, entropy++, now_ms);
  lk_buf_deinit(&meta);
  return err;
}

bool lk_presence_first_of(const lk_presence *self, uint64_t member, lk_slice *key, lk_slice *meta) {
  const record *r = find_member(self, member);
  if (r == NULL || r->left || r->first == NULL) return false;
  *key = lk_slice_of(r->first->bytes, r->first->key_len);
  *meta = value_of(r->first);
  return true;
}

bool lk_presence_next_member(const lk_presence *self, uint32_t *cursor, uint64_t *member) {
  lk_slice key;
  void *value;
  while (lk_map_next(&self->members, cursor, &key, &value)) {
    *member = lk_load_be64(key.ptr);
    if (!((const record *)value)->left) return true;
  }
  return false;
}

lk_err lk_presence_untrack(lk_presence *self, uint64_t member, lk_slice key, uint64_t now_ms) {
  uint8_t bytes[TAG_MAX];
  record *r = find_member(self, member);
  tracked **at = r == NULL || r->left ? NULL : find_tracked(r, key);
  if (at == NULL || *at == NULL) return LK_OK;
  tracked *t = *at;
  lk_err err = map_remove(self, key, tag_of(self, member, bytes));
  if (err != LK_OK) return err;
  *at = t->next;
  free_tracked(self, t);
  r->count--;
  if (r->count == 0 && !r->hears) forget_member(self, member);
  open_window(self, now_ms);
  return LK_OK;
}

/* ---- before a flush: the map as it should be ---- */

/* What others took away of |r| is shown again, unless it left. */
static lk_err assert_tracked(lk_presence *self, uint64_t member, const record *r) {
  lk_err err = LK_OK;
  for (const tracked *t = r->first; t != NULL && err == LK_OK; t = t->next) {
    lk_slice key = lk_slice_of(t->bytes, t->key_len);
    if (map_has(self, member, key)) continue;
    LK_COVERED(presence_showed_again_what_others_dropped);
    err = map_set(self, member, key, lk_slice_of(t->bytes + t->key_len, t->value_len));
  }
  return err;
}

static lk_err mend(lk_presence *self) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  lk_err err = LK_OK;
  if (!self->is_torn && !self->has_merged) return LK_OK;
  while (err == LK_OK && lk_map_next(&self->members, &cursor, &key, &value)) {
    record *r = value;
    uint64_t member = lk_load_be64(key.ptr);
    err = r->left ? remove_tracked(self, member, r) : assert_tracked(self, member, r);
    if (err == LK_OK && r->left) forget_member(self, member);
  }
  if (err == LK_OK) self->is_torn = self->has_merged = false;
  return err;
}

/* ---- a flush ---- */

/* Metas grouped by key: "key":{"metas":[..]},... A JSON writer that failed leaves the buffer without an error, so
 * it is remembered here. */
typedef struct group {
  lk_buf *buf;
  lk_slice key;
  uint32_t count;
  lk_err err;
} group;

static void put_meta(group *self, const slot *s) {
  if (self->count > 0 && lk_slice_equal(self->key, s->key)) {
    lk_buf_append_u8(self->buf, ',');
  } else {
    lk_json_writer w;
    if (self->count > 0) lk_buf_append(self->buf, LK_LIT("]},"));
    lk_json_writer_init(&w, self->buf);
    (void)lk_json_write_string(&w, s->key); /* a key of the map is UTF-8 */
    lk_err err = lk_json_writer_finish(&w);
    if (self->err == LK_OK) self->err = err;
    lk_buf_append(self->buf, LK_LIT(":{\"metas\":["));
  }
  self->key = s->key;
  self->count++;
  lk_buf_append(self->buf, s->value);
}

/* The first error of all. */
static lk_err end_metas(const group *self) {
  if (self->count > 0) lk_buf_append(self->buf, LK_LIT("]}"));
  return self->err != LK_OK ? self->err : lk_buf_err(self->buf);
}

/* A flush under way. Until it is committed nothing of the object has changed but its buffers. */
typedef struct flush {
  lk_presence *self;
  lk_presence_shown **shown;
  uint32_t count, cap;
  group joins, leaves;
  lk_err err;
} flush;

/* What clients can use: an object with a phx_ref. Other nodes may have put anything there. */
static lk_err check_value(lk_presence *self, lk_slice value, bool *is_presence) {
  lk_json_reader in;
  lk_json_member ref = { .name = LK_LIT_INIT("phx_ref") };
  lk_err err = lk_json_reader_init(&in, value, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, &ref, 1);
  *is_presence = err == LK_OK && ref.value.kind == LK_JSON_STRING;
  lk_arena_reset(&self->scratch);
  return err == LK_ERR_NOMEM ? err : LK_OK;
}

static void keep(flush *f, lk_presence_shown *s) {
  LK_ASSERT(f->count < f->cap);
  f->shown[f->count++] = s;
}

static void add_join(flush *f, const slot *s) {
  bool is_presence;
  f->err = check_value(f->self, s->value, &is_presence);
  if (!is_presence) return;
  lk_presence_shown *made = make_shown(f->self, s);
  if (made == NULL) {
    f->err = LK_ERR_NOMEM;
    return;
  }
  keep(f, made);
  put_meta(&f->joins, s);
}

static void add_leave(flush *f, const lk_presence_shown *s) {
  slot was = slot_of(s);
  put_meta(&f->leaves, &was);
}

/* |was| is shown, |is| is in the map; one of them may be missing. */
static void add_pair(flush *f, lk_presence_shown *was, const slot *is) {
  if (was != NULL && is != NULL && lk_slice_equal(slot_of(was).value, is->value)) {
    was->is_kept = true;
    keep(f, was);
    return;
  }
  if (was != NULL) add_leave(f, was);
  if (is != NULL) add_join(f, is);
}

/* Lays what is shown over what is there. */
static void compare_all(flush *f) {
  const lk_presence *self = f->self;
  walk w = { .state = self->state };
  slot is, was;
  bool more = walk_next(&w, &is);
  uint32_t i = 0;
  while (f->err == LK_OK && (more || i < self->shown_count)) {
    int order = !more ? -1 : 1;
    if (i < self->shown_count && more) {
      was = slot_of(self->shown[i]);
      order = compare_slots(&was, &is);
    }
    add_pair(f, order <= 0 ? self->shown[i] : NULL, order >= 0 ? &is : NULL);
    if (order <= 0) i++;
    if (order >= 0) more = walk_next(&w, &is);
  }
}

static lk_err begin_flush(flush *f, lk_presence *self) {
  *f = (flush){ .self = self };
  lk_buf_truncate(&self->diff, 0);
  lk_buf_truncate(&self->leaves, 0);
  f->joins.buf = &self->diff;
  f->leaves.buf = &self->leaves;
  f->cap = lk_crdt_get_size(self->state).entries;
  if (f->cap == 0) return LK_OK;
  f->shown = lk_alloc_array(self->env->alloc, f->cap, sizeof(lk_presence_shown *));
  return f->shown == NULL ? LK_ERR_NOMEM : LK_OK;
}

static lk_err write_diff(flush *f) {
  lk_presence *self = f->self;
  lk_buf_append(&self->diff, LK_LIT("{\"joins\":{"));
  compare_all(f);
  lk_err joins = end_metas(&f->joins), leaves = end_metas(&f->leaves);
  lk_buf_append(&self->diff, LK_LIT("},\"leaves\":{"));
  lk_buf_append(&self->diff, lk_buf_slice(&self->leaves));
  lk_buf_append(&self->diff, LK_LIT("}}"));
  if (f->err != LK_OK) return f->err;
  if (joins != LK_OK || leaves != LK_OK) return joins != LK_OK ? joins : leaves;
  return lk_buf_err(&self->diff);
}

/* The state of |count| metas as JSON, in self->text. */
static lk_err write_state(lk_presence *self, lk_presence_shown *const *shown, uint32_t count) {
  lk_buf *out = &self->text;
  group all = { .buf = out };
  lk_buf_truncate(out, 0);
  lk_buf_append(out, LK_LIT("{"));
  for (uint32_t i = 0; i < count; i++) {
    slot s = slot_of(shown[i]);
    put_meta(&all, &s);
  }
  lk_err err = end_metas(&all);
  lk_buf_append(out, LK_LIT("}"));
  return err != LK_OK ? err : lk_buf_err(out);
}

static lk_err reserve_joiners(lk_presence *self) {
  if (self->waiting_count <= self->joiner_cap) return LK_OK;
  uint64_t *grown = lk_resize_array(self->env->alloc, self->joiners, self->joiner_cap,
                                    self->waiting_count, sizeof *grown);
  if (grown == NULL) return LK_ERR_NOMEM;
  self->joiners = grown;
  self->joiner_cap = self->waiting_count;
  return LK_OK;
}

static void collect_joiners(lk_presence *self) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  self->joiner_count = 0;
  while (self->joiner_count < self->waiting_count &&
         lk_map_next(&self->members, &cursor, &key, &value)) {
    record *r = value;
    if (!r->waits) continue;
    r->waits = false;
    self->joiners[self->joiner_count++] = lk_load_be64(key.ptr);
  }
  LK_ASSERT(self->joiner_count == self->waiting_count);
  self->waiting_count = 0;
}

/* What is shown becomes what the flush has found. */
static void commit_shown(flush *f) {
  lk_presence *self = f->self;
  for (uint32_t i = 0; i < self->shown_count; i++) {
    if (!self->shown[i]->is_kept) free_shown(self, self->shown[i]);
  }
  for (uint32_t i = 0; i < f->count; i++) f->shown[i]->is_new = f->shown[i]->is_kept = false;
  lk_free_array(self->env->alloc, self->shown, self->shown_cap, sizeof(lk_presence_shown *));
  self->shown = f->shown;
  self->shown_count = f->count;
  self->shown_cap = f->cap;
}

static void abandon_flush(flush *f) {
  lk_presence *self = f->self;
  for (uint32_t i = 0; i < f->count; i++) {
    f->shown[i]->is_kept = false;
    if (f->shown[i]->is_new) free_shown(self, f->shown[i]);
  }
  lk_free_array(self->env->alloc, f->shown, f->cap, sizeof(lk_presence_shown *));
}

/* Everything that can fail. */
static lk_err prepare_flush(flush *f, lk_presence *self) {
  lk_err err = begin_flush(f, self);
  if (err == LK_OK) err = write_diff(f);
  if (err != LK_OK) return err;
  if (f->joins.count + f->leaves.count > 0) self->text_is_fresh = false;
  if (self->waiting_count == 0) return LK_OK;
  if (!self->text_is_fresh) err = write_state(self, f->shown, f->count);
  return err == LK_OK ? reserve_joiners(self) : err;
}

static lk_err run_flush(lk_presence *self, uint64_t now_ms, lk_presence_flush *out) {
  flush f;
  lk_err err = prepare_flush(&f, self);
  if (err != LK_OK) {
    LK_COVERED(presence_flush_was_put_off);
    abandon_flush(&f);
    return err;
  }
  uint32_t changes = f.joins.count + f.leaves.count;
  commit_shown(&f);
  if (self->waiting_count > 0) self->text_is_fresh = true;
  collect_joiners(self);
  close_window(self, changes, now_ms);
  if (changes > 0) out->diff = lk_buf_slice(&self->diff);
  if (self->joiner_count > 0) out->state = lk_buf_slice(&self->text);
  out->joiners = self->joiners;
  out->joiner_count = self->joiner_count;
  return LK_OK;
}

lk_err lk_presence_tick(lk_presence *self, uint64_t now_ms, lk_presence_flush *out) {
  *out = (lk_presence_flush){ 0 };
  if (now_ms < self->deadline_ms || self->deadline_ms == LK_PRESENCE_NEVER) return LK_OK;
  lk_err err = mend(self);
  if (err == LK_OK) err = run_flush(self, now_ms, out);
  if (err != LK_OK) self->deadline_ms = after(now_ms, self->window_ms);
  return err;
}

lk_err lk_presence_told(lk_presence *self, lk_slice *state) {
  lk_err err = LK_OK;
  if (!self->text_is_fresh) err = write_state(self, self->shown, self->shown_count);
  if (err != LK_OK) return err;
  self->text_is_fresh = true;
  *state = lk_buf_slice(&self->text);
  return LK_OK;
}

/* ---- other nodes ---- */

/* Others know all of it now, or need not be told by us. */
static lk_err note_sent(lk_presence *self) {
  lk_buf version;
  lk_buf_init(&version, self->env->alloc, SCRATCH_MAX);
  lk_err err = lk_crdt_version(self->state, &version);
  if (err != LK_OK) {
    lk_buf_deinit(&version);
    return err;
  }
  lk_buf_deinit(&self->sent);
  self->sent = version;
  return LK_OK;
}

lk_err lk_presence_take_delta(lk_presence *self, lk_buf *out) {
  size_t before = out->len;
  if (!self->has_news) return LK_ERR_END;
  lk_err err = self->sent.len == 0
                   ? lk_crdt_encode(self->state, out)
                   : lk_crdt_diff_since(self->state, lk_buf_slice(&self->sent), out);
  if (err != LK_OK) return err;
  err = note_sent(self);
  if (err != LK_OK) lk_buf_truncate(out, before);
  else self->has_news = false;
  return err;
}

lk_err lk_presence_version(const lk_presence *self, lk_buf *out) {
  return lk_crdt_version(self->state, out);
}

lk_err lk_presence_diff_since(const lk_presence *self, lk_slice version, lk_buf *out) {
  return lk_crdt_diff_since(self->state, version, out);
}

lk_err lk_presence_merge(lk_presence *self, lk_slice delta, uint64_t now_ms) {
  bool changed = false;
  lk_err err = lk_crdt_merge(self->state, delta, &changed);
  if (err != LK_OK || !changed) return err;
  self->has_merged = true;
  open_window(self, now_ms);
  /* What came from there need not go back. Without memory for that it does, and does no harm. */
  if (!self->has_news) (void)!note_sent(self);
  return LK_OK;
}

/* Copies of the keys and tags of |node|, |*count| of them, in the scratch arena: removing moves what a walk sees. */
static slot *list_node(lk_presence *self, lk_slice node, uint32_t *count) {
  walk w = { .state = self->state };
  slot s, *list = lk_arena_push_array(&self->scratch, lk_crdt_get_size(self->state).entries,
                                      sizeof *list);
  *count = 0;
  while (list != NULL && walk_next(&w, &s)) {
    if (!is_of_node(s.tag, node)) continue;
    slot *copy = &list[*count];
    *copy = (slot){ 0 };
    if (lk_arena_copy(&self->scratch, s.key, &copy->key) != LK_OK ||
        lk_arena_copy(&self->scratch, s.tag, &copy->tag) != LK_OK) {
      return NULL;
    }
    ++*count;
  }
  return list;
}

lk_err lk_presence_drop_node(lk_presence *self, lk_slice node, uint64_t now_ms) {
  uint32_t count;
  if (lk_slice_equal(node, lk_slice_of(self->node, self->node_len))) return LK_ERR_INVALID;
  slot *list = list_node(self, node, &count);
  lk_err err = list == NULL ? LK_ERR_NOMEM : LK_OK;
  for (uint32_t i = 0; i < count && err == LK_OK; i++) {
    err = map_remove(self, list[i].key, list[i].tag);
    if (err == LK_OK) open_window(self, now_ms);
  }
  lk_arena_reset(&self->scratch);
  return err;
}
