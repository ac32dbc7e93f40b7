/* channel/awareness.c -- the rules of y-protocols, in two steps: first decide, then do.
 *
 *   update := count:varuint ( client:varuint clock:varuint state:varString )*     state: JSON, null: gone
 *
 * An entry is taken where its clock is greater than the known one (0 for a client never heard of, so that an
 * entry of clock 0 is never taken), or where both are equal and it says that a client is gone who is not.
 * What follows from it is said in events:
 *
 *                        never heard of     known, offline     known, online
 *     a state            ADDED              UPDATED            UPDATED, or RENEWED where it is equal
 *     null               -                  REMOVED            REMOVED
 *     null, of ourselves -                  REMOVED            REMOVED, but we stay, with a clock one greater
 *
 * A client is "online" while it shows a state. The clock of one that went is kept, or else a late message would
 * bring it back. Since each page load is a new client, those clocks are forgotten after a while.
 *
 *   clients  in the order in which they were first heard of: that of awareness.js' meta, and of time-outs
 *   ranks    the same by id, to find them
 *   online   a list through the clients, in the order in which they came online: that of awareness.js' states,
 *            and of an update with all of them
 *
 * Applying is all or nothing although the rules go entry by entry, and one client may come twice. Clients do not
 * influence each other, though; so entries are sorted by client, and for each one the entries are played through
 * on the side: what is taken, which event it gives, which state is the last. Then all memory is there or
 * the update is refused, the limits hold or it is refused, and what was decided is done in the
 * order of the entries, which is that of the events. Sorting costs n log n, new clients are put into the ranks
 * in one go: time is near linear in the update, plus one move through the ranks where a client is new.
 *
 * Always: a client is online where its |state| is there; due_ms is no later than the first moment at which tick
 * has something to do; the own client is the first one, and never forgotten.
 *
 * JavaScript takes 0, false and "" for nothing in some places of awareness.js, and so do we: such a state is
 * held, but sent as null, and nobody defends it.
 *
 * Not chosen: a hash map, which needs entropy against strangers who choose ids; undoing what was done
 * before an entry failed, since old states and places in the list would have to be kept for it. */
#include "channel/awareness.h"

#include "channel/js_json.h"
#include "codec/json_writer.h"
#include "codec/lib0.h"
#include "codec/varint.h"

#define NONE LK_AWARENESS_NONE
#define NULL_TEXT LK_LIT("null")
#define ENTRY_BYTES_MIN 3 /* two integers and the length of a text */
#define BUF_MAX ((size_t)UINT32_MAX / 2)

static bool is_null(lk_slice state) { return lk_slice_equal(state, NULL_TEXT); }

/* JavaScript's notion of a value that counts, for a text that it wrote. */
static bool is_truthy(lk_slice state) {
  return state.len > 0 && !is_null(state) && !lk_slice_equal(state, LK_LIT("0")) &&
         !lk_slice_equal(state, LK_LIT("false")) && !lk_slice_equal(state, LK_LIT("\"\""));
}

static lk_slice state_of(const lk_awareness_client *c) {
  return lk_slice_of(c->state, c->state_len);
}

/* ---- finding ---- */

/* How many of the first |count| ranks have an id below |id|. */
static uint32_t rank_of(const lk_awareness *self, uint64_t id, uint32_t count) {
  uint32_t low = 0, high = count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (self->clients[self->ranks[middle]].id < id) low = middle + 1;
    else high = middle;
  }
  return low;
}

static uint32_t find(const lk_awareness *self, uint64_t id) {
  uint32_t rank = rank_of(self, id, self->count);
  if (rank == self->count || self->clients[self->ranks[rank]].id != id) return NONE;
  return self->ranks[rank];
}

static lk_awareness_client *own_client(const lk_awareness *self) {
  return self->own == LK_AWARENESS_NO_CLIENT ? NULL : &self->clients[0];
}

/* ---- clients ---- */

/* Room for |more| clients in both arrays. */
static lk_err reserve_clients(lk_awareness *self, uint32_t more) {
  size_t cap;
  if (more <= self->cap - self->count) return LK_OK;
  if (!lk_grow_cap(self->cap, (size_t)self->count + more, 4, NONE / 2, &cap)) return LK_ERR_LIMIT;
  uint32_t *ranks = lk_alloc_array(self->alloc, cap, sizeof *ranks);
  lk_awareness_client *clients = ranks == NULL ? NULL
                                               : lk_resize_array(self->alloc, self->clients,
                                                                 self->cap, cap, sizeof *clients);
  if (clients == NULL) {
    lk_free_array(self->alloc, ranks, cap, sizeof *ranks);
    return LK_ERR_NOMEM;
  }
  if (self->count > 0) memcpy(ranks, self->ranks, self->count * sizeof *ranks);
  lk_free_array(self->alloc, self->ranks, self->cap, sizeof *ranks);
  self->ranks = ranks;
  self->clients = clients;
  self->cap = (uint32_t)cap;
  return LK_OK;
}

/* There is room. The ranks follow by rank_fresh(). */
static uint32_t append_client(lk_awareness *self, uint64_t id) {
  LK_ASSERT(self->count < self->cap);
  self->clients[self->count] = (lk_awareness_client){ .id = id, .prev = NONE, .next = NONE };
  return self->count++;
}

/* Puts the clients that were appended last, |count| of them, into the ranks: |fresh| has them in order. What lies
 * between two of them is moved as a block. */
static void rank_fresh(lk_awareness *self, const uint32_t *fresh, uint32_t count) {
  uint32_t end = self->count - count;
  for (; count > 0; count--) {
    uint32_t rank = rank_of(self, self->clients[fresh[count - 1]].id, end);
    uint32_t *from = self->ranks + rank;
    memmove(from + count, from, (end - rank) * sizeof *from);
    from[count - 1] = fresh[count - 1];
    end = rank;
  }
}

static void go_online(lk_awareness *self, uint32_t index) {
  lk_awareness_client *c = &self->clients[index];
  if (c->online) return;
  c->online = true;
  c->prev = self->last;
  c->next = NONE;
  if (self->last == NONE) self->first = index;
  else self->clients[self->last].next = index;
  self->last = index;
  self->online_count++;
}

static void go_offline(lk_awareness *self, uint32_t index) {
  lk_awareness_client *c = &self->clients[index];
  if (!c->online) return;
  c->online = false;
  if (c->prev == NONE) self->first = c->next;
  else self->clients[c->prev].next = c->next;
  if (c->next == NONE) self->last = c->prev;
  else self->clients[c->next].prev = c->prev;
  self->online_count--;
}

/* |state|, which may be NULL, becomes the client's. */
static void replace_state(lk_awareness *self, lk_awareness_client *c, uint8_t *state,
                          uint32_t len) {
  lk_free_bytes(self->alloc, c->state, c->state_len);
  self->state_bytes = self->state_bytes - c->state_len + len;
  c->state = state;
  c->state_len = len;
}

static void take_away(lk_awareness *self, uint32_t index) {
  go_offline(self, index);
  replace_state(self, &self->clients[index], NULL, 0);
}

static lk_err copy_state(const lk_awareness *self, lk_slice state, uint8_t **out) {
  *out = lk_alloc_bytes(self->alloc, state.len);
  if (*out == NULL) return LK_ERR_NOMEM;
  memcpy(*out, state.ptr, state.len);
  return LK_OK;
}

/* ---- time ---- */

static uint64_t after(uint64_t time_ms, uint32_t by_ms) {
  return time_ms > UINT64_MAX - by_ms ? UINT64_MAX : time_ms + by_ms;
}

/* When something has to be done about |c|. */
static uint64_t due_of(const lk_awareness *self, const lk_awareness_client *c) {
  if (c->id != self->own) {
    return after(c->updated_ms, c->online ? LK_AWARENESS_TIMEOUT_MS : LK_AWARENESS_FORGET_MS);
  }
  bool renewed = is_truthy(state_of(c)) && c->clock < LK_AWARENESS_MAX;
  return renewed ? after(c->updated_ms, LK_AWARENESS_RENEW_MS) : UINT64_MAX;
}

/* To be called when the client is as it will be. */
static void look_after(lk_awareness *self, const lk_awareness_client *c) {
  self->due_ms = lk_min_u64(self->due_ms, due_of(self, c));
}

/* ---- forgetting ---- */

/* Whether the clock of |c| has been kept for long enough; for |all|, of whoever is offline. */
static bool is_forgotten(const lk_awareness *self, const lk_awareness_client *c, bool all,
                         uint64_t now_ms) {
  return !c->online && c->id != self->own && (all || due_of(self, c) <= now_ms);
}

/* Until the end |prev| holds the new index of a client. */
static void forget(lk_awareness *self, bool all, uint64_t now_ms) {
  uint32_t kept = 0, ranked = 0, last = NONE;
  lk_awareness_client *clients = self->clients;
  for (uint32_t i = 0; i < self->count; i++) {
    clients[i].prev = is_forgotten(self, &clients[i], all, now_ms) ? NONE : kept++;
  }
  if (kept < self->count) LK_COVERED(awareness_forgot_a_client);
  for (uint32_t i = 0; i < self->count; i++) {
    uint32_t index = clients[self->ranks[i]].prev;
    if (index != NONE) self->ranks[ranked++] = index;
  }
  if (self->first != NONE) self->first = clients[self->first].prev;
  for (uint32_t i = 0; i < self->count; i++) {
    if (clients[i].online && clients[i].next != NONE)
      clients[i].next = clients[clients[i].next].prev;
  }
  for (uint32_t i = 0; i < self->count; i++) {
    if (clients[i].prev != NONE) clients[clients[i].prev] = clients[i];
  }
  self->count = kept;
  for (uint32_t i = self->first; i != NONE; i = clients[i].next) {
    clients[i].prev = last;
    last = i;
  }
  self->last = last;
}

/* Clients online are limited in number; those offline are kept as long as all together are not more. What is above
 * by one is the own client, which is not forgotten. */
static void forget_many(lk_awareness *self) {
  if (self->count > self->limits.awareness_clients_count + 1) forget(self, true, 0);
}

/* ---- events ---- */

static lk_err reserve_events(lk_awareness *self, uint32_t count) {
  self->event_count = 0;
  if (count <= self->event_cap) return LK_OK;
  lk_awareness_event *grown = lk_resize_array(self->alloc, self->events, self->event_cap, count,
                                              sizeof *grown);
  if (grown == NULL) return LK_ERR_NOMEM;
  self->events = grown;
  self->event_cap = count;
  return LK_OK;
}

static void add_event(lk_awareness *self, uint64_t client, lk_awareness_change change) {
  LK_ASSERT(self->event_count < self->event_cap);
  self->events[self->event_count++] = (lk_awareness_event){ client, change };
}

const lk_awareness_event *lk_awareness_events(const lk_awareness *self, size_t *count) {
  *count = self->event_count;
  return self->events;
}

/* ---- opening ---- */

static lk_err init_own(lk_awareness *self, uint64_t now_ms) {
  uint8_t *state;
  lk_err err = reserve_clients(self, 1);
  if (err == LK_OK) err = copy_state(self, LK_LIT("{}"), &state);
  if (err != LK_OK) return err;
  uint32_t index = append_client(self, self->own);
  rank_fresh(self, &index, 1);
  go_online(self, index);
  self->clients[index].updated_ms = now_ms;
  replace_state(self, &self->clients[index], state, 2);
  look_after(self, &self->clients[index]);
  return LK_OK;
}

lk_err lk_awareness_init(lk_awareness *self, const lk_alloc *alloc, const lk_limits *limits,
                         uint64_t client, uint64_t now_ms) {
  *self = (lk_awareness){ .alloc = alloc,
                          .limits = *limits,
                          .own = client,
                          .due_ms = UINT64_MAX,
                          .first = NONE,
                          .last = NONE };
  if (client == LK_AWARENESS_NO_CLIENT) return LK_OK;
  if (client > LK_AWARENESS_MAX) return LK_ERR_RANGE;
  return init_own(self, now_ms);
}

void lk_awareness_deinit(lk_awareness *self) {
  for (uint32_t i = 0; i < self->count; i++) {
    lk_free_bytes(self->alloc, self->clients[i].state, self->clients[i].state_len);
  }
  if (self->alloc != NULL) {
    lk_free_array(self->alloc, self->clients, self->cap, sizeof *self->clients);
    lk_free_array(self->alloc, self->ranks, self->cap, sizeof *self->ranks);
    lk_free_array(self->alloc, self->events, self->event_cap, sizeof *self->events);
  }
  *self = (lk_awareness){ 0 };
}

lk_err lk_awareness_open(const lk_env *env, uint64_t client, uint64_t now_ms, lk_awareness **out) {
  lk_limits limits = lk_limits_default();
  lk_awareness *self = lk_alloc_bytes(env->alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  lk_err err = lk_awareness_init(self, env->alloc, &limits, client, now_ms);
  if (err == LK_OK) {
    *out = self;
    return LK_OK;
  }
  lk_awareness_deinit(self);
  lk_free_bytes(env->alloc, self, sizeof *self);
  return err;
}

void lk_awareness_close(lk_awareness *self) {
  if (self == NULL) return;
  const lk_alloc *alloc = self->alloc;
  lk_awareness_deinit(self);
  lk_free_bytes(alloc, self, sizeof *self);
}

/* ---- the own state ---- */

/* Which event the own client's |state| gives, and whether it may be set. */
static lk_err judge_local(const lk_awareness *self, lk_slice state, lk_awareness_change *out) {
  const lk_awareness_client *own = own_client(self);
  bool equal = false;
  if (own->clock == LK_AWARENESS_MAX) return LK_ERR_OVERFLOW;
  *out = LK_AWARENESS_REMOVED;
  if (is_null(state)) return LK_OK;
  if (self->state_bytes - own->state_len + state.len > self->limits.awareness_bytes) {
    return LK_ERR_LIMIT;
  }
  *out = LK_AWARENESS_ADDED;
  if (!own->online) {
    return self->online_count < self->limits.awareness_clients_count ? LK_OK : LK_ERR_LIMIT;
  }
  lk_err err = lk_js_json_equal(state_of(own), state, &self->limits, self->alloc, &equal);
  *out = equal ? LK_AWARENESS_RENEWED : LK_AWARENESS_UPDATED;
  return err;
}

/* |state| is as JavaScript writes it. */
static lk_err set_local(lk_awareness *self, lk_slice state, uint64_t now_ms) {
  lk_awareness_change change;
  uint8_t *copy = NULL;
  lk_awareness_client *own = own_client(self);
  lk_err err = judge_local(self, state, &change);
  if (err == LK_OK) err = reserve_events(self, 1);
  if (err == LK_OK && change != LK_AWARENESS_REMOVED) err = copy_state(self, state, &copy);
  if (err != LK_OK) return err;
  if (copy == NULL) {
    take_away(self, 0);
  } else {
    go_online(self, 0);
    replace_state(self, own, copy, (uint32_t)state.len);
  }
  own->clock++;
  own->updated_ms = now_ms;
  look_after(self, own);
  add_event(self, own->id, change);
  return LK_OK;
}

lk_err lk_awareness_set_local(lk_awareness *self, lk_slice state, uint64_t now_ms) {
  lk_buf text;
  self->event_count = 0;
  if (own_client(self) == NULL) return LK_ERR_STATE;
  lk_buf_init(&text, self->alloc, self->limits.awareness_state_bytes);
  lk_err err = lk_js_json_rewrite(state.len == 0 ? NULL_TEXT : state, &self->limits, &text);
  if (err == LK_ERR_LIMIT) err = LK_ERR_TOO_BIG;
  if (err == LK_OK) err = set_local(self, lk_buf_slice(&text), now_ms);
  lk_buf_deinit(&text);
  return err;
}

/* Appends |object| with one more member, which by lk_js_json_rewrite() takes the place of an older one. */
static lk_err append_with_member(const lk_awareness *self, lk_slice object, lk_slice name,
                                 lk_slice value, lk_buf *out) {
  lk_json_writer writer;
  lk_buf_append(out, lk_slice_first(object, object.len - 1));
  if (object.len > 2) lk_buf_append_u8(out, ',');
  lk_json_writer_init(&writer, out);
  (void)lk_json_write_string(&writer, name);
  lk_err err = lk_json_writer_finish(&writer);
  if (err != LK_OK) return err;
  lk_buf_append_u8(out, ':');
  /* By itself first: what is no single value could close the object. */
  if ((err = lk_js_json_rewrite(value, &self->limits, out)) != LK_OK) return err;
  return lk_buf_append_u8(out, '}');
}

lk_err lk_awareness_set_local_field(lk_awareness *self, lk_slice name, lk_slice value,
                                    uint64_t now_ms) {
  lk_buf text;
  const lk_awareness_client *own = own_client(self);
  self->event_count = 0;
  if (own == NULL) return LK_ERR_STATE;
  if (!is_truthy(state_of(own))) return LK_OK;
  if (own->state[0] != '{') return LK_ERR_TYPE;
  lk_buf_init(&text, self->alloc, BUF_MAX);
  lk_err err = append_with_member(self, state_of(own), name, value, &text);
  if (err == LK_OK) err = lk_awareness_set_local(self, lk_buf_slice(&text), now_ms);
  lk_buf_deinit(&text);
  return err;
}

/* ---- reading updates ---- */

static lk_err read_count(lk_reader *in, uint64_t *out) {
  uint64_t count;
  lk_err err = lk_varuint_decode(in, LK_AWARENESS_MAX, &count);
  if (err != LK_OK) return err;
  if (count > lk_reader_left(in) / ENTRY_BYTES_MIN) return LK_ERR_TRUNCATED;
  *out = count;
  return LK_OK;
}

static lk_err read_entry(lk_reader *in, lk_awareness_entry *out) {
  lk_err err = lk_varuint_decode(in, LK_AWARENESS_MAX, &out->client);
  if (err == LK_OK) err = lk_varuint_decode(in, LK_AWARENESS_MAX, &out->clock);
  return err == LK_OK ? lk_lib0_string_decode(in, &out->state) : err;
}

lk_err lk_awareness_update_read(lk_slice update,
                                lk_err (*each)(void *ctx, const lk_awareness_entry *entry),
                                void *ctx) {
  lk_awareness_entry entry;
  uint64_t count;
  lk_reader in = lk_reader_of(update);
  lk_err err = read_count(&in, &count);
  for (; err == LK_OK && count > 0; count--) {
    err = read_entry(&in, &entry);
    if (err == LK_OK) err = each(ctx, &entry);
  }
  return err == LK_OK ? lk_reader_end(&in) : err;
}

/* ---- applying: decide ---- */

typedef struct item {
  uint64_t client;
  uint64_t clock;     /* that it came with; that it leads to, where that is greater */
  size_t state_at;    /* in the batch's texts */
  uint32_t state_len; /* 0: null */
  uint32_t leader;    /* the first item of the same client, which has the rest for all of them: */
  uint32_t index;     /* of the client; NONE: it is to be made */
  uint8_t
      *fresh; /* the state in the end, if it is another than before; owned until it is given away */
  uint32_t fresh_len;
  bool online; /* in the end */
  bool taken;
  bool comes;     /* what taking it does, if anything: the client goes online, */
  bool goes;      /* or offline */
  uint8_t change; /* an lk_awareness_change, or 0 */
} item;

typedef struct batch {
  item *items;
  uint32_t *order; /* of the items, by client and then as they came */
  uint32_t count;
  uint32_t fresh_count;  /* clients to be made */
  uint64_t online_count; /* after it */
  uint64_t state_bytes;
  lk_buf texts;
} batch;

static lk_slice item_state(const batch *b, const item *it) {
  return lk_slice_first(lk_slice_skip(lk_buf_slice(&b->texts), it->state_at), it->state_len);
}

static lk_err read_item(const lk_awareness *self, lk_reader *in, batch *b, item *out) {
  lk_awareness_entry entry;
  size_t at = b->texts.len;
  lk_err err = read_entry(in, &entry);
  if (err == LK_OK) err = lk_js_json_rewrite(entry.state, &self->limits, &b->texts);
  if (err != LK_OK) return err;
  size_t len = b->texts.len - at;
  if (len > self->limits.awareness_state_bytes) return LK_ERR_TOO_BIG;
  *out = (item){ .client = entry.client, .clock = entry.clock, .state_at = at, .index = NONE };
  out->state_len = (uint32_t)len;
  if (is_null(item_state(b, out))) out->state_len = 0;
  return LK_OK;
}

static lk_err read_items(const lk_awareness *self, lk_slice update, batch *b) {
  uint64_t count;
  lk_reader in = lk_reader_of(update);
  lk_err err = read_count(&in, &count);
  if (err != LK_OK) return err;
  if (count > self->limits.awareness_clients_count) return LK_ERR_LIMIT;
  if (count == 0) return lk_reader_end(&in);
  b->items = lk_alloc_array(self->alloc, (size_t)count, sizeof *b->items);
  b->order = lk_alloc_array(self->alloc, (size_t)count, sizeof *b->order);
  b->count = (uint32_t)count;
  if (b->items == NULL || b->order == NULL) return LK_ERR_NOMEM;
  for (uint32_t i = 0; i < b->count; i++) b->items[i] = (item){ 0 }; /* so that they can be freed */
  for (uint32_t i = 0; i < b->count; i++) {
    b->order[i] = i;
    if ((err = read_item(self, &in, b, &b->items[i])) != LK_OK) return err;
  }
  return lk_reader_end(&in);
}

static bool is_before(const batch *b, uint32_t x, uint32_t y) {
  uint64_t client_x = b->items[x].client, client_y = b->items[y].client;
  return client_x != client_y ? client_x < client_y : x < y;
}

static void sift_down(batch *b, uint32_t at, uint32_t count) {
  uint32_t *order = b->order, moved = order[at];
  for (;;) {
    uint32_t child = 2 * at + 1;
    if (child >= count) break;
    if (child + 1 < count && is_before(b, order[child], order[child + 1])) child++;
    if (!is_before(b, moved, order[child])) break;
    order[at] = order[child];
    at = child;
  }
  order[at] = moved;
}

/* Heap sort: no order of the input makes it slow, and no two items are equal. */
static void sort_items(batch *b) {
  uint32_t sorted = 1;
  while (sorted < b->count && is_before(b, b->order[sorted - 1], b->order[sorted])) sorted++;
  if (sorted >= b->count) return;
  for (uint32_t i = b->count / 2; i > 0; i--) sift_down(b, i - 1, b->count);
  for (uint32_t end = b->count - 1; end > 0; end--) {
    uint32_t greatest = b->order[0];
    b->order[0] = b->order[end];
    b->order[end] = greatest;
    sift_down(b, 0, end);
  }
}

/* One client, while its items are played through. */
typedef struct draft {
  bool own;
  bool known;
  bool online;
  uint64_t clock;
  lk_slice state;
} draft;

static draft draft_of(const lk_awareness *self, uint64_t client, uint32_t index) {
  draft d = { .own = client == self->own, .known = index != NONE };
  if (d.known) {
    d.online = self->clients[index].online;
    d.clock = self->clients[index].clock;
    d.state = state_of(&self->clients[index]);
  }
  return d;
}

static lk_err play_state(const lk_awareness *self, draft *d, item *it, lk_slice state) {
  bool equal = false;
  lk_err err = LK_OK;
  if (d->online) err = lk_js_json_equal(d->state, state, &self->limits, self->alloc, &equal);
  it->change = !d->known ? LK_AWARENESS_ADDED : equal ? LK_AWARENESS_RENEWED : LK_AWARENESS_UPDATED;
  it->comes = d->online = true;
  d->state = state;
  return err;
}

static lk_err play_null(draft *d, item *it) {
  if (d->known) it->change = LK_AWARENESS_REMOVED;
  if (d->own && is_truthy(d->state)) {
    LK_COVERED(awareness_said_that_it_is_still_here);
    if (it->clock == LK_AWARENESS_MAX) return LK_ERR_RANGE; /* nobody could read our answer */
    it->clock++;
    return LK_OK;
  }
  it->goes = true;
  d->online = false;
  d->state = LK_SLICE_EMPTY;
  return LK_OK;
}

static lk_err play_item(const lk_awareness *self, const batch *b, draft *d, item *it) {
  bool null = it->state_len == 0;
  bool removes = null && d->online && d->clock == it->clock;
  if (it->clock <= d->clock && !removes) return LK_OK;
  lk_err err = null ? play_null(d, it) : play_state(self, d, it, item_state(b, it));
  it->taken = true;
  d->clock = it->clock;
  d->known = true;
  return err;
}

/* Everything about one client, whose items are order[from] to order[to - 1]. */
static lk_err decide_client(const lk_awareness *self, batch *b, uint32_t from, uint32_t to) {
  item *leader = &b->items[b->order[from]];
  leader->index = find(self, leader->client);
  draft before = draft_of(self, leader->client, leader->index), d = before;
  for (uint32_t i = from; i < to; i++) {
    item *it = &b->items[b->order[i]];
    it->leader = b->order[from];
    lk_err err = play_item(self, b, &d, it);
    if (err != LK_OK) return err;
  }
  leader->online = d.online;
  b->fresh_count += !before.known && d.known;
  b->online_count = b->online_count + d.online - before.online;
  b->state_bytes = b->state_bytes + d.state.len - before.state.len;
  if (!d.online || lk_slice_equal(d.state, before.state)) return LK_OK;
  leader->fresh_len = (uint32_t)d.state.len;
  return copy_state(self, d.state, &leader->fresh);
}

static lk_err decide(const lk_awareness *self, batch *b) {
  b->online_count = self->online_count;
  b->state_bytes = self->state_bytes;
  sort_items(b);
  for (uint32_t from = 0, to; from < b->count; from = to) {
    uint64_t client = b->items[b->order[from]].client;
    for (to = from + 1; to < b->count && b->items[b->order[to]].client == client;) to++;
    lk_err err = decide_client(self, b, from, to);
    if (err != LK_OK) return err;
  }
  if (b->online_count > self->limits.awareness_clients_count) return LK_ERR_LIMIT;
  return b->state_bytes <= self->limits.awareness_bytes ? LK_OK : LK_ERR_LIMIT;
}

/* ---- applying: do ---- */

static void do_item(lk_awareness *self, batch *b, const item *it, uint64_t now_ms) {
  item *leader = &b->items[it->leader];
  if (leader->index == NONE) leader->index = append_client(self, it->client);
  lk_awareness_client *c = &self->clients[leader->index];
  c->clock = it->clock;
  c->updated_ms = now_ms;
  if (it->comes) go_online(self, leader->index);
  if (it->goes) go_offline(self, leader->index);
  if (it->change != 0) add_event(self, it->client, (lk_awareness_change)it->change);
}

/* A client is then as all of its items leave it. */
static void settle_client(lk_awareness *self, item *leader) {
  lk_awareness_client *c = &self->clients[leader->index];
  LK_ASSERT(c->online == leader->online);
  if (!leader->online) {
    replace_state(self, c, NULL, 0);
  } else if (leader->fresh != NULL) {
    replace_state(self, c, leader->fresh, leader->fresh_len);
    leader->fresh = NULL;
  }
  look_after(self, c);
}

static void carry_out(lk_awareness *self, batch *b, uint64_t now_ms) {
  uint32_t old_count = self->count, fresh_count = 0;
  for (uint32_t i = 0; i < b->count; i++) {
    if (b->items[i].taken) do_item(self, b, &b->items[i], now_ms);
  }
  for (uint32_t i = 0; i < b->count; i++) {
    uint32_t at = b->order[i];
    item *leader = &b->items[at];
    if (leader->leader != at || leader->index == NONE) continue;
    settle_client(self, leader);
    /* What has been passed in |order| is not needed any more. */
    if (leader->index >= old_count) b->order[fresh_count++] = leader->index;
  }
  LK_ASSERT(fresh_count == b->fresh_count && self->count == old_count + fresh_count);
  rank_fresh(self, b->order, fresh_count);
}

static void free_batch(const lk_awareness *self, batch *b) {
  if (b->items != NULL && b->order != NULL) {
    for (uint32_t i = 0; i < b->count; i++) {
      lk_free_bytes(self->alloc, b->items[i].fresh, b->items[i].fresh_len);
    }
  }
  lk_free_array(self->alloc, b->items, b->count, sizeof *b->items);
  lk_free_array(self->alloc, b->order, b->count, sizeof *b->order);
  lk_buf_deinit(&b->texts);
}

lk_err lk_awareness_apply(lk_awareness *self, lk_slice update, uint64_t now_ms) {
  batch b = { 0 };
  self->event_count = 0;
  forget_many(self);
  lk_buf_init(&b.texts, self->alloc, self->limits.awareness_bytes);
  lk_err err = read_items(self, update, &b);
  if (err == LK_OK) err = decide(self, &b);
  if (err == LK_OK) err = reserve_clients(self, b.fresh_count);
  if (err == LK_OK) err = reserve_events(self, b.count);
  if (err == LK_OK) carry_out(self, &b, now_ms);
  free_batch(self, &b);
  return err;
}

/* ---- going ---- */

lk_err lk_awareness_remove(lk_awareness *self, const uint64_t *clients, size_t count,
                           uint64_t now_ms) {
  lk_err err = reserve_events(self, (uint32_t)lk_min_size(count, self->online_count));
  if (err != LK_OK) return err;
  for (size_t i = 0; i < count; i++) {
    uint32_t index = find(self, clients[i]);
    if (index == NONE || !self->clients[index].online) continue;
    lk_awareness_client *c = &self->clients[index];
    take_away(self, index);
    if (c->id == self->own) {
      if (c->clock < LK_AWARENESS_MAX) c->clock++;
      c->updated_ms = now_ms;
    }
    look_after(self, c);
    add_event(self, c->id, LK_AWARENESS_REMOVED);
  }
  return LK_OK;
}

static void renew_own(lk_awareness *self, uint64_t now_ms) {
  lk_awareness_client *own = own_client(self);
  if (own == NULL || due_of(self, own) > now_ms) return;
  own->clock++;
  own->updated_ms = now_ms;
  add_event(self, own->id, LK_AWARENESS_RENEWED);
}

lk_err lk_awareness_tick(lk_awareness *self, uint64_t now_ms) {
  self->event_count = 0;
  if (now_ms < self->due_ms) return LK_OK;
  lk_err err = reserve_events(self, self->online_count);
  if (err != LK_OK) return err;
  /* Before others time out: those must still be known when the news of it is sent. */
  forget(self, false, now_ms);
  renew_own(self, now_ms);
  self->due_ms = UINT64_MAX;
  for (uint32_t i = 0; i < self->count; i++) {
    lk_awareness_client *c = &self->clients[i];
    if (c->online && c->id != self->own && due_of(self, c) <= now_ms) {
      take_away(self, i);
      add_event(self, c->id, LK_AWARENESS_REMOVED);
    }
    look_after(self, c);
  }
  return LK_OK;
}

uint64_t lk_awareness_deadline(const lk_awareness *self) { return self->due_ms; }

/* ---- reading ---- */

bool lk_awareness_get(const lk_awareness *self, uint64_t client, lk_slice *state) {
  uint32_t index = find(self, client);
  if (index == NONE || !self->clients[index].online) return false;
  *state = state_of(&self->clients[index]);
  return true;
}

bool lk_awareness_clock(const lk_awareness *self, uint64_t client, uint64_t *clock) {
  uint32_t index = find(self, client);
  if (index == NONE) return false;
  *clock = self->clients[index].clock;
  return true;
}

/* A cursor is the index of the latest client, plus one. */
bool lk_awareness_next(const lk_awareness *self, uint32_t *cursor, uint64_t *client,
                       lk_slice *state) {
  uint32_t index = *cursor == 0 ? self->first : self->clients[*cursor - 1].next;
  if (index == NONE) return false;
  *cursor = index + 1;
  if (client != NULL) *client = self->clients[index].id;
  if (state != NULL) *state = state_of(&self->clients[index]);
  return true;
}

uint32_t lk_awareness_count(const lk_awareness *self) { return self->online_count; }

/* ---- writing updates ---- */

static void write_client(const lk_awareness_client *c, lk_buf *out) {
  lk_slice state = state_of(c);
  lk_varuint_encode(out, c->id);
  lk_varuint_encode(out, c->clock);
  lk_lib0_string_encode(out, is_truthy(state) ? state : NULL_TEXT);
}

/* The buffer's error; what was written since |start| is then taken back, unless it had failed before. */
static lk_err finish(lk_buf *out, size_t start, lk_err err) {
  if (err != LK_OK) lk_buf_truncate(out, start);
  return err;
}

lk_err lk_awareness_encode(const lk_awareness *self, lk_buf *out) {
  size_t start = out->len;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  lk_varuint_encode(out, self->online_count);
  for (uint32_t i = self->first; i != NONE; i = self->clients[i].next) {
    write_client(&self->clients[i], out);
  }
  return finish(out, start, lk_buf_err(out));
}

lk_err lk_awareness_encode_clients(const lk_awareness *self, const uint64_t *clients, size_t count,
                                   lk_buf *out) {
  size_t start = out->len;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  lk_varuint_encode(out, count);
  for (size_t i = 0; i < count; i++) {
    uint32_t index = find(self, clients[i]);
    if (index == NONE) return finish(out, start, LK_ERR_NOT_FOUND);
    write_client(&self->clients[index], out);
  }
  return finish(out, start, lk_buf_err(out));
}

/* In which of y-websocket's three lists an event stands. */
static int list_of(lk_awareness_change change) {
  return change == LK_AWARENESS_ADDED ? 0 : change == LK_AWARENESS_REMOVED ? 2 : 1;
}

lk_err lk_awareness_encode_changed(const lk_awareness *self, lk_buf *out) {
  size_t start = out->len;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  lk_varuint_encode(out, self->event_count);
  for (int list = 0; list < 3; list++) {
    for (uint32_t i = 0; i < self->event_count; i++) {
      if (list_of(self->events[i].change) != list) continue;
      uint32_t index = find(self, self->events[i].client);
      LK_ASSERT(index != NONE);
      write_client(&self->clients[index], out);
    }
  }
  return finish(out, start, lk_buf_err(out));
}

/* ---- modifying an update ---- */

typedef struct modifier {
  lk_limits limits;
  lk_err (*modify)(void *ctx, const lk_awareness_entry *entry, lk_slice *state);
  void *ctx;
  lk_buf before; /* one state */
  lk_buf after;
  lk_buf *out;
} modifier;

static lk_err modify_entry(void *ctx, const lk_awareness_entry *entry) {
  modifier *m = ctx;
  lk_awareness_entry shown = *entry;
  lk_buf_truncate(&m->before, 0);
  lk_buf_truncate(&m->after, 0);
  lk_err err = lk_js_json_rewrite(entry->state, &m->limits, &m->before);
  if (err != LK_OK) return err;
  shown.state = lk_buf_slice(&m->before);
  lk_slice state = shown.state;
  if ((err = m->modify(m->ctx, &shown, &state)) != LK_OK) return err;
  if ((err = lk_js_json_rewrite(state, &m->limits, &m->after)) != LK_OK) return err;
  lk_varuint_encode(m->out, entry->client);
  lk_varuint_encode(m->out, entry->clock);
  return lk_lib0_string_encode(m->out, lk_buf_slice(&m->after));
}

lk_err lk_awareness_update_modify(const lk_env *env, lk_slice update,
                                  lk_err (*modify)(void *ctx, const lk_awareness_entry *entry,
                                                   lk_slice *state),
                                  void *ctx, lk_buf *out) {
  size_t start = out->len;
  uint64_t count;
  lk_reader in = lk_reader_of(update);
  modifier m = { .limits = lk_limits_default(), .modify = modify, .ctx = ctx, .out = out };
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  lk_err err = read_count(&in, &count);
  if (err != LK_OK) return err;
  lk_buf_init(&m.before, env->alloc, BUF_MAX);
  lk_buf_init(&m.after, env->alloc, BUF_MAX);
  err = lk_varuint_encode(out, count);
  if (err == LK_OK) err = lk_awareness_update_read(update, modify_entry, &m);
  lk_buf_deinit(&m.before);
  lk_buf_deinit(&m.after);
  return finish(out, start, err);
}
