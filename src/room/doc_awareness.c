/* room/doc_awareness.c -- who speaks for whom, and what waits to be told.
 *
 * An update is cut down to what its sender may say before it is taken in: entries are copied one by one into another
 * update, which is mostly the same one. What changed are the events of that.
 *
 * Stand-ins are clients of nobody: members cannot speak for them, so what a bridge made is never bridged back. */
#include "room/doc_awareness.h"

#include "codec/lib0.h"
#include "codec/varint.h"

/* Whose a client is. */
typedef struct owned {
  uint64_t member;
  uint32_t place; /* among the member's clients */
} owned;

/* The clients of one member, in no order. */
typedef struct clients {
  uint64_t *ids;
  uint32_t count;
  uint32_t cap;
  uint64_t own; /* its own one, plus 1; 0: none */
} clients;

static lk_slice key_of(uint64_t number, uint8_t bytes[8]) {
  lk_store_le64(bytes, number);
  return lk_slice_of(bytes, 8);
}

static uint64_t number_of(lk_slice key) { return lk_load_le64(key.ptr); }

void lk_doc_awareness_init(lk_doc_awareness *self, const lk_alloc *alloc, const lk_limits *limits,
                           const uint64_t seed[2]) {
  *self = (lk_doc_awareness){ .alloc = alloc, .limits = limits, .seed = { seed[0], seed[1] } };
  lk_map_init(&self->owners, alloc, sizeof(owned), UINT32_MAX / 4, seed);
  lk_map_init(&self->members, alloc, sizeof(clients), UINT32_MAX / 4, seed);
  lk_map_init(&self->changed, alloc, 0, UINT32_MAX / 4, seed);
}

void lk_doc_awareness_unfollow(lk_doc_awareness *self) {
  if (self->fresh == NULL) return;
  lk_map_deinit(self->fresh);
  lk_free_bytes(self->alloc, self->fresh, sizeof *self->fresh);
  self->fresh = NULL;
}

static void forget_states(lk_doc_awareness *self) {
  if (self->states == NULL) return;
  lk_awareness_deinit(self->states);
  lk_free_bytes(self->alloc, self->states, sizeof *self->states);
  self->states = NULL;
}

void lk_doc_awareness_deinit(lk_doc_awareness *self) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  if (self->alloc == NULL) return;
  forget_states(self);
  while (lk_map_next(&self->members, &cursor, &key, &value)) {
    const clients *c = value;
    lk_free_array(self->alloc, c->ids, c->cap, sizeof *c->ids);
  }
  lk_doc_awareness_unfollow(self);
  if (self->stand_ins != NULL) {
    lk_doc_stand_ins_deinit(self->stand_ins);
    lk_free_bytes(self->alloc, self->stand_ins, sizeof *self->stand_ins);
  }
  lk_map_deinit(&self->owners);
  lk_map_deinit(&self->members);
  lk_map_deinit(&self->changed);
  *self = (lk_doc_awareness){ 0 };
}

static lk_err make_states(lk_doc_awareness *self, uint64_t now_ms) {
  if (self->states != NULL) return LK_OK;
  lk_awareness *states = lk_alloc_bytes(self->alloc, sizeof *states);
  if (states == NULL) return LK_ERR_NOMEM;
  lk_err err = lk_awareness_init(states, self->alloc, self->limits, LK_AWARENESS_NO_CLIENT, now_ms);
  if (err != LK_OK) {
    lk_free_bytes(self->alloc, states, sizeof *states);
    return err;
  }
  self->states = states;
  return LK_OK;
}

/* ---- whose own client shows something else ---- */

static lk_err note_fresh(lk_doc_awareness *self, uint64_t member) {
  uint8_t bytes[8];
  void *value;
  bool is_new;
  if (self->fresh == NULL) return LK_OK;
  return lk_map_put(self->fresh, key_of(member, bytes), &value, &is_new);
}

/* Where |client| is its own. */
static lk_err note_fresh_own(lk_doc_awareness *self, uint64_t member, uint64_t client) {
  uint8_t bytes[8];
  if (self->fresh == NULL) return LK_OK;
  const clients *c = lk_map_get(&self->members, key_of(member, bytes));
  return c != NULL && c->own == client + 1 ? note_fresh(self, member) : LK_OK;
}

lk_err lk_doc_awareness_follow(lk_doc_awareness *self) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  lk_err err = LK_OK;
  if (self->fresh == NULL) {
    self->fresh = lk_alloc_bytes(self->alloc, sizeof *self->fresh);
    if (self->fresh == NULL) return LK_ERR_NOMEM;
    lk_map_init(self->fresh, self->alloc, 0, UINT32_MAX / 4, self->seed);
  }
  while (err == LK_OK && lk_map_next(&self->members, &cursor, &key, &value))
    err = note_fresh(self, number_of(key));
  return err;
}

bool lk_doc_awareness_take_fresh(lk_doc_awareness *self, uint32_t *cursor, uint64_t *member) {
  lk_slice key;
  void *value;
  if (self->fresh == NULL || !lk_map_next(self->fresh, cursor, &key, &value)) return false;
  *member = number_of(key);
  (void)lk_map_remove(self->fresh, key);
  return true;
}

bool lk_doc_awareness_has_spoken(const lk_doc_awareness *self, uint64_t member) {
  uint8_t bytes[8];
  return lk_map_get(&self->members, key_of(member, bytes)) != NULL;
}

bool lk_doc_awareness_own(const lk_doc_awareness *self, uint64_t member, uint64_t *client,
                          lk_slice *state) {
  uint8_t bytes[8];
  const clients *c = lk_map_get(&self->members, key_of(member, bytes));
  if (c == NULL || c->own == 0) return false;
  *client = c->own - 1;
  return lk_awareness_get(self->states, *client, state);
}

/* ---- owners ---- */

static owned *find_owned(const lk_doc_awareness *self, uint64_t client) {
  uint8_t bytes[8];
  return lk_map_get(&self->owners, key_of(client, bytes));
}

/* 0: nobody. */
static uint64_t owner_of(const lk_doc_awareness *self, uint64_t client) {
  const owned *o = find_owned(self, client);
  return o == NULL ? 0 : o->member;
}

/* The last one of the member's clients takes the place of the one that goes. */
static void drop_client(lk_doc_awareness *self, const owned *of, uint64_t client) {
  uint8_t bytes[8];
  clients *c = lk_map_get(&self->members, key_of(of->member, bytes));
  if (c == NULL) return; /* it is leaving */
  const uint64_t last = c->ids[--c->count];
  if (last != client) {
    find_owned(self, last)->place = of->place;
    c->ids[of->place] = last;
  }
  if (c->own == client + 1) c->own = 0;
}

static lk_err disown(lk_doc_awareness *self, uint64_t client) {
  uint8_t bytes[8];
  const owned *of = find_owned(self, client);
  if (of == NULL) return LK_OK;
  lk_err err = note_fresh_own(self, of->member, client);
  drop_client(self, of, client);
  (void)lk_map_remove(&self->owners, key_of(client, bytes));
  return err;
}

/* |client| is the last one of |member|'s, at |*place|. */
static lk_err add_client(lk_doc_awareness *self, uint64_t member, uint64_t client,
                         uint32_t *place) {
  uint8_t bytes[8];
  void *value;
  bool is_new;
  size_t cap;
  lk_err err = lk_map_put(&self->members, key_of(member, bytes), &value, &is_new);
  if (err != LK_OK) return err;
  clients *c = value;
  if (c->count == c->cap) {
    if (!lk_grow_cap(c->cap, (size_t)c->count + 1, 1, self->limits->awareness_clients_count, &cap))
      return LK_ERR_LIMIT;
    uint64_t *ids = lk_resize_array(self->alloc, c->ids, c->cap, cap, sizeof *ids);
    if (ids == NULL) return LK_ERR_NOMEM;
    c->ids = ids;
    c->cap = (uint32_t)cap;
  }
  *place = c->count;
  c->ids[c->count++] = client;
  return LK_OK;
}

/* On failure |client| is nobody's: its silence will end it. */
static lk_err own(lk_doc_awareness *self, uint64_t member, uint64_t client) {
  uint8_t bytes[8];
  void *value;
  bool is_new;
  owned its = { .member = member };
  if (owner_of(self, client) == member) return LK_OK;
  lk_err err = disown(self, client);
  if (err == LK_OK) err = add_client(self, member, client, &its.place);
  if (err != LK_OK) return err;
  err = lk_map_put(&self->owners, key_of(client, bytes), &value, &is_new);
  if (err == LK_OK) *(owned *)value = its;
  else drop_client(self, &its, client);
  return err;
}

/* ---- taking in ---- */

typedef struct filter {
  lk_doc_awareness *self;
  uint64_t member;
  uint32_t said;  /* entries */
  uint32_t count; /* of those, what it may say */
  lk_buf *out;    /* entries, without their count */
} filter;

static bool is_gone(lk_slice state) { return lk_slice_equal(state, LK_LIT("null")); }

static clients *clients_of(const lk_doc_awareness *self, uint64_t member) {
  uint8_t bytes[8];
  return lk_map_get(&self->members, key_of(member, bytes));
}

/* When a room comes back, everybody is asked, and who answers first names all. So |owner| may only have repeated what is the
 * sender's own: that is what the sender names first, if it has not spoken before. */
static bool has_repeated(const filter *f, uint64_t owner, uint64_t client) {
  const clients *its = clients_of(f->self, owner), *ours = clients_of(f->self, f->member);
  bool is_our_own = f->said == 1 && (ours == NULL || ours->own == 0 || ours->own == client + 1);
  return is_our_own && its != NULL && its->own != client + 1;
}

static bool may_say(const filter *f, const lk_awareness_entry *entry) {
  uint64_t known, owner = owner_of(f->self, entry->client);
  if (lk_doc_stand_ins_owns(entry->client)) return false;
  if (owner == 0 || owner == f->member) return true;
  if (is_gone(entry->state)) return false;
  if (!lk_awareness_clock(f->self->states, entry->client, &known) || entry->clock > known)
    return true;
  return entry->clock == known && has_repeated(f, owner, entry->client);
}

static lk_err filter_entry(void *ctx, const lk_awareness_entry *entry) {
  filter *f = ctx;
  f->said++;
  if (!may_say(f, entry)) {
    LK_COVERED(doc_awareness_of_others_is_passed_over);
    return LK_OK;
  }
  f->count++;
  (void)lk_varuint_encode(f->out, entry->client);
  (void)lk_varuint_encode(f->out, entry->clock);
  return lk_lib0_string_encode(f->out, entry->state);
}

/* An editor that speaks of one client speaks of its own. Where the first thing that is heard of it is a list, its own is the first
 * of that. */
static void note_own(const filter *f, uint64_t client) {
  clients *c = clients_of(f->self, f->member);
  if (f->said == 1 || c->own == 0) c->own = client + 1;
}

/* Whoever speaks for a client owns it; of those that went, nobody. */
static lk_err own_entry(void *ctx, const lk_awareness_entry *entry) {
  const filter *f = ctx;
  if (is_gone(entry->state)) return disown(f->self, entry->client);
  bool has_moved = owner_of(f->self, entry->client) != f->member;
  lk_err err = own(f->self, f->member, entry->client);
  if (err != LK_OK) return err;
  note_own(f, entry->client);
  return has_moved ? note_fresh_own(f->self, f->member, entry->client) : LK_OK;
}

static lk_err note_change(lk_doc_awareness *self, const lk_awareness_event *event) {
  uint8_t bytes[8];
  void *value;
  bool is_new;
  lk_err err = lk_map_put(&self->changed, key_of(event->client, bytes), &value, &is_new);
  if (err != LK_OK) return err;
  if (event->change == LK_AWARENESS_REMOVED) return disown(self, event->client);
  if (self->fresh == NULL) return LK_OK;
  return note_fresh_own(self, owner_of(self, event->client), event->client);
}

static lk_err note_changes(lk_doc_awareness *self) {
  size_t count;
  const lk_awareness_event *events = lk_awareness_events(self->states, &count);
  lk_err err = LK_OK;
  for (size_t i = 0; err == LK_OK && i < count; i++) err = note_change(self, &events[i]);
  return err;
}

static lk_err take_filtered(filter *f, lk_buf *whole, uint64_t now_ms) {
  lk_doc_awareness *self = f->self;
  (void)lk_varuint_encode(whole, f->count);
  lk_err err = lk_buf_append(whole, lk_buf_slice(f->out));
  if (err == LK_OK) err = lk_awareness_apply(self->states, lk_buf_slice(whole), now_ms);
  if (err == LK_OK) err = lk_awareness_update_read(lk_buf_slice(whole), own_entry, f);
  if (err == LK_OK) err = note_changes(self);
  if (err == LK_OK && self->stand_ins != NULL && lk_doc_awareness_has_spoken(self, f->member))
    err = lk_doc_awareness_stand_down(self, f->member, now_ms);
  return err;
}

#define ENTRY_BYTES_MAX 24 /* an id, a clock, a length */

size_t lk_doc_awareness_update_max(const lk_limits *limits) {
  return (size_t)limits->awareness_bytes +
         ENTRY_BYTES_MAX * (size_t)limits->awareness_clients_count + 16;
}

lk_err lk_doc_awareness_take(lk_doc_awareness *self, uint64_t member, lk_slice update,
                             uint64_t now_ms) {
  lk_buf entries, whole;
  size_t max = (size_t)self->limits->awareness_bytes + 16;
  lk_err err = make_states(self, now_ms);
  if (err != LK_OK) return err;
  if (update.len > self->limits->awareness_bytes) return LK_ERR_TOO_BIG;
  lk_buf_init(&entries, self->alloc, max);
  lk_buf_init(&whole, self->alloc, max);
  filter f = { .self = self, .member = member, .out = &entries };
  err = lk_awareness_update_read(update, filter_entry, &f);
  if (err == LK_OK) err = lk_buf_err(&entries);
  if (err == LK_OK && f.count > 0) err = take_filtered(&f, &whole, now_ms);
  lk_buf_deinit(&entries);
  lk_buf_deinit(&whole);
  return err;
}

lk_err lk_doc_awareness_leave(lk_doc_awareness *self, uint64_t member, uint64_t now_ms) {
  uint8_t bytes[8], other[8];
  lk_err err = lk_doc_awareness_stand_down(self, member, now_ms);
  if (self->fresh != NULL) (void)lk_map_remove(self->fresh, key_of(member, bytes));
  clients *at = lk_map_get(&self->members, key_of(member, bytes));
  if (at == NULL || err != LK_OK) return err;
  clients c = *at;
  (void)lk_map_remove(&self->members, key_of(member, bytes));
  for (uint32_t i = 0; i < c.count; i++)
    (void)lk_map_remove(&self->owners, key_of(c.ids[i], other));
  err = lk_awareness_remove(self->states, c.ids, c.count, now_ms);
  if (err == LK_OK) err = note_changes(self);
  lk_free_array(self->alloc, c.ids, c.cap, sizeof *c.ids);
  return err;
}

/* ---- stand-ins ---- */

static lk_err need_stand_in(lk_doc_awareness *self, uint64_t member, lk_doc_stand_in **out) {
  if (self->stand_ins == NULL) {
    self->stand_ins = lk_alloc_bytes(self->alloc, sizeof *self->stand_ins);
    if (self->stand_ins == NULL) return LK_ERR_NOMEM;
    lk_doc_stand_ins_init(self->stand_ins, self->alloc, self->limits->presence_stand_ins_count,
                          self->seed);
  }
  return lk_doc_stand_ins_need(self->stand_ins, member, out);
}

static void append_entry(lk_buf *out, uint64_t client, uint64_t clock, lk_slice state) {
  (void)lk_varuint_encode(out, client);
  (void)lk_varuint_encode(out, clock);
  (void)lk_lib0_string_encode(out, state);
}

static lk_err apply(lk_doc_awareness *self, const lk_buf *update, uint64_t now_ms) {
  lk_err err = lk_buf_err(update);
  if (err == LK_OK) err = lk_awareness_apply(self->states, lk_buf_slice(update), now_ms);
  return err == LK_OK ? note_changes(self) : err;
}

/* The id may have been another member's before. */
static uint64_t next_clock(const lk_doc_awareness *self, const lk_doc_stand_in *s,
                           uint64_t date_ms) {
  uint64_t known = 0, least = lk_doc_stand_in_clock(date_ms);
  bool is_known = lk_awareness_clock(self->states, s->client, &known);
  return is_known ? lk_max_u64(least, known + 1) : least;
}

lk_err lk_doc_awareness_stand_in(lk_doc_awareness *self, uint64_t member, lk_slice state,
                                 uint64_t date_ms, uint64_t now_ms) {
  lk_doc_stand_in *s = NULL;
  lk_buf update;
  LK_ASSERT(!lk_doc_awareness_has_spoken(self, member));
  lk_err err = make_states(self, now_ms);
  if (err == LK_OK) err = need_stand_in(self, member, &s);
  if (err != LK_OK) return err;
  uint64_t clock = next_clock(self, s, date_ms);
  lk_buf_init(&update, self->alloc, lk_doc_awareness_update_max(self->limits));
  (void)lk_varuint_encode(&update, 1);
  append_entry(&update, s->client, clock, state);
  err = apply(self, &update, now_ms);
  lk_buf_deinit(&update);
  if (err == LK_OK) s->clock = clock;
  else if (s->clock == 0) lk_doc_stand_ins_remove(self->stand_ins, member);
  if (err == LK_OK && self->renew_ms == 0) self->renew_ms = now_ms + LK_AWARENESS_RENEW_MS;
  return err;
}

lk_err lk_doc_awareness_stand_down(lk_doc_awareness *self, uint64_t member, uint64_t now_ms) {
  const lk_doc_stand_in *s = self->stand_ins == NULL
                                 ? NULL
                                 : lk_doc_stand_ins_find(self->stand_ins, member);
  if (s == NULL) return LK_OK;
  lk_err err = lk_awareness_remove(self->states, &s->client, 1, now_ms);
  if (err != LK_OK) return err;
  lk_doc_stand_ins_remove(self->stand_ins, member);
  if (lk_map_count(&self->stand_ins->members) == 0) self->renew_ms = 0;
  return note_changes(self);
}

lk_err lk_doc_awareness_stand_down_all(lk_doc_awareness *self, uint64_t now_ms) {
  uint32_t cursor = 0;
  uint64_t member;
  lk_doc_stand_in *s;
  lk_err err = LK_OK;
  while (err == LK_OK && self->stand_ins != NULL &&
         lk_doc_stand_ins_next(self->stand_ins, &cursor, &member, &s))
    err = lk_doc_awareness_stand_down(self, member, now_ms);
  return err;
}

static lk_err renew(lk_doc_awareness *self, uint64_t now_ms) {
  uint32_t cursor = 0;
  uint64_t member;
  lk_doc_stand_in *s;
  lk_slice state;
  lk_buf update;
  if (self->renew_ms == 0 || now_ms < self->renew_ms) return LK_OK;
  LK_COVERED(doc_awareness_renews);
  lk_buf_init(&update, self->alloc, lk_doc_awareness_update_max(self->limits));
  (void)lk_varuint_encode(&update, lk_map_count(&self->stand_ins->members));
  while (lk_doc_stand_ins_next(self->stand_ins, &cursor, &member, &s)) {
    bool is_shown = lk_awareness_get(self->states, s->client, &state);
    append_entry(&update, s->client, ++s->clock, is_shown ? state : LK_LIT("null"));
  }
  lk_err err = apply(self, &update, now_ms);
  lk_buf_deinit(&update);
  self->renew_ms = now_ms + LK_AWARENESS_RENEW_MS;
  return err == LK_ERR_NOMEM ? err : LK_OK;
}

/* ---- telling ---- */

bool lk_doc_awareness_is_due(const lk_doc_awareness *self, uint64_t now_ms) {
  return self->told_ms == 0 || now_ms >= self->told_ms + LK_DOC_AWARENESS_MS;
}

uint64_t lk_doc_awareness_deadline(const lk_doc_awareness *self) {
  if (self->states == NULL) return UINT64_MAX;
  uint64_t deadline = lk_awareness_deadline(self->states);
  if (self->renew_ms != 0) deadline = lk_min_u64(deadline, self->renew_ms);
  if (lk_map_count(&self->changed) == 0 && (self->fresh == NULL || lk_map_count(self->fresh) == 0))
    return deadline;
  return lk_min_u64(deadline, self->told_ms == 0 ? 0 : self->told_ms + LK_DOC_AWARENESS_MS);
}

/* Those of |changed| of whom anything is still known. */
static lk_err encode_changed(lk_doc_awareness *self, lk_buf *out) {
  uint32_t cursor = 0, count = 0;
  uint64_t clock;
  lk_slice key;
  void *value;
  uint32_t cap = lk_map_count(&self->changed);
  uint64_t *ids = lk_alloc_array(self->alloc, cap, sizeof *ids);
  if (ids == NULL) return LK_ERR_NOMEM;
  while (lk_map_next(&self->changed, &cursor, &key, &value)) {
    uint64_t client = number_of(key);
    if (lk_awareness_clock(self->states, client, &clock)) ids[count++] = client;
  }
  lk_err err = count == 0 ? LK_OK : lk_awareness_encode_clients(self->states, ids, count, out);
  lk_free_array(self->alloc, ids, cap, sizeof *ids);
  return err;
}

lk_err lk_doc_awareness_tick(lk_doc_awareness *self, uint64_t now_ms, lk_buf *out) {
  if (self->states == NULL) return LK_OK;
  lk_err err = renew(self, now_ms);
  if (err == LK_OK) err = lk_awareness_tick(self->states, now_ms);
  if (err == LK_OK) err = note_changes(self);
  if (err != LK_OK || lk_map_count(&self->changed) == 0) return err;
  if (!lk_doc_awareness_is_due(self, now_ms)) return LK_OK;
  if ((err = encode_changed(self, out)) != LK_OK) return err;
  lk_doc_awareness_note_told(self, now_ms);
  lk_map_deinit(&self->changed);
  lk_map_init(&self->changed, self->alloc, 0, UINT32_MAX / 4, self->seed);
  return LK_OK;
}

lk_err lk_doc_awareness_encode(const lk_doc_awareness *self, lk_buf *out) {
  if (self->states == NULL || lk_awareness_count(self->states) == 0) return LK_OK;
  return lk_awareness_encode(self->states, out);
}
