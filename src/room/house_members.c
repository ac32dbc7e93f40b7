/* room/house_members.c -- who is in a room, what they asked, and which of it is in the state.
 *
 * Members are found by their number's lower half in a table of their edge, requests in its window.
 *
 * Each record has marks: the numbers of the requests whose changes are in it. What an earlier house applied is
 * in |recovered|: where one of these comes again, the room only answers.
 *
 * An edge may begin again with this very house, where one of the two had no memory for what it was told. It asks again
 * what it has no answer to. Of that the room may have some in its state: in a record, or in none yet. So all that is applied
 * goes to |recovered| then, and what no record covers stays among the requests, parted from its edge, until one does. */
#include "room/house_parts.h"

#define INDEX_MASK UINT32_MAX

/* ---- members ---- */

member *lk_house_find_member(const lk_house *self, uint64_t number) {
  uint64_t index = number & INDEX_MASK;
  const edge *e = &self->edges[edge_of(number)];
  member *m = index < e->members_cap ? e->members[index] : NULL;
  return m != NULL && m->number == number ? m : NULL;
}

static lk_err make_place(lk_house *self, edge *e, uint64_t index) {
  size_t cap;
  uint64_t most = (uint64_t)self->limits->server_connections_count *
                  self->limits->channel_topics_count;
  if (index < e->members_cap) return LK_OK;
  if (index >= most || !lk_grow_cap(e->members_cap, (size_t)index + 1, 64, UINT32_MAX / 2, &cap))
    return LK_ERR_LIMIT;
  member **members = lk_resize_array(self->env->alloc, e->members, e->members_cap, cap,
                                     sizeof *members);
  if (members == NULL) return LK_ERR_NOMEM;
  memset(members + e->members_cap, 0, (cap - e->members_cap) * sizeof *members);
  e->members = members;
  e->members_cap = (uint32_t)cap;
  return LK_OK;
}

lk_err lk_house_make_member(entry *at, uint64_t number, member **out) {
  lk_house *self = at->house;
  edge *e = &self->edges[edge_of(number)];
  uint64_t index = number & INDEX_MASK;
  lk_err err = make_place(self, e, index);
  if (err != LK_OK) return err;
  if (e->members[index] != NULL) return LK_ERR_EXISTS; /* the edge has lost count */
  member *m = lk_alloc_bytes(self->env->alloc, sizeof *m);
  if (m == NULL) return LK_ERR_NOMEM;
  *m = (member){ .entry = at, .number = number, .state = MEMBER_WAITS };
  e->members[index] = m;
  e->members_count++;
  *out = m;
  return LK_OK;
}

void lk_house_free_member(lk_house *self, member *m) {
  edge *e = &self->edges[edge_of(m->number)];
  if (m->state == MEMBER_IN) {
    lk_house_leave_pace(m);
    lk_list_remove(&m->entry->members, &m->link);
    m->entry->edge_members[edge_of(m->number)]--;
  }
  e->members[m->number & INDEX_MASK] = NULL;
  e->members_count--;
  lk_house_forget_subject(self, m->number, 0);
  lk_free_bytes(self->env->alloc, m, sizeof *m);
}

bool lk_house_let_in(member *m) {
  entry *e = m->entry;
  if (e->members.count >= e->house->limits->room_members_count) return false;
  m->state = MEMBER_IN;
  lk_list_push_last(&e->members, &m->link);
  e->edge_members[edge_of(m->number)]++;
  lk_house_enter_pace(m);
  return true;
}

/* ---- requests ---- */

/* Whoever asked does not wait for it any more. */
static void part(lk_house *self, asked *a) {
  member *m = lk_house_find_member(self, a->member);
  if (m != NULL) m->asked_count--;
  if (own_of(a->member) == 0) lk_house_forget_subject(self, a->member, a->request);
  a->is_parted = true;
}

void lk_house_free_parted(lk_house *self, asked *a) {
  LK_ASSERT(a->is_parted);
  lk_list_remove(&a->entry->asked, &a->link);
  lk_free_bytes(self->env->alloc, a->params, a->params_len);
  lk_free_bytes(self->env->alloc, a, sizeof *a);
}

static void free_asked(lk_house *self, asked *a) {
  part(self, a);
  lk_house_free_parted(self, a);
}

bool lk_house_is_asked(const entry *e) {
  for (lk_link *at = e->asked.first; at != NULL; at = at->next)
    if (!LK_CONTAINER(at, asked, link)->is_parted) return true;
  return false;
}

/* The request is answered, or nobody waits for its answer. */
void lk_house_settle(lk_house *self, uint64_t number, uint64_t request) {
  asked *a = lk_window_take(&self->edges[edge_of(number)].asked, request);
  if (a != NULL) free_asked(self, a);
}

/* LK_ERR_RANGE: the edge has used the number before. */
lk_err lk_house_note_asked(entry *e, uint64_t number, uint64_t request) {
  lk_house *self = e->house;
  asked *a = lk_alloc_bytes(self->env->alloc, sizeof *a);
  if (a == NULL) return LK_ERR_NOMEM;
  *a = (asked){ .entry = e, .member = number, .request = request };
  lk_err err = lk_window_put(&self->edges[edge_of(number)].asked, request, a);
  if (err != LK_OK) {
    lk_free_bytes(self->env->alloc, a, sizeof *a);
    return err;
  }
  lk_list_push_last(&e->asked, &a->link);
  member *m = lk_house_find_member(self, number); /* NULL: a query */
  if (m != NULL) m->asked_count++;
  return LK_OK;
}

lk_err lk_house_keep_params(entry *e, uint64_t number, uint64_t request, lk_slice params) {
  asked *a = lk_window_get(&e->house->edges[edge_of(number)].asked, request);
  if (a == NULL || a->entry != e || a->params != NULL || params.len == 0) return LK_OK;
  a->params = lk_alloc_bytes(e->house->env->alloc, params.len);
  if (a->params == NULL) return LK_ERR_NOMEM;
  memcpy(a->params, params.ptr, params.len);
  a->params_len = (uint32_t)params.len; /* a frame's length has 32 bits */
  return LK_OK;
}

lk_slice lk_house_kept_params(const lk_house *self, uint64_t number, uint64_t request) {
  const asked *a = lk_window_get(&self->edges[edge_of(number)].asked, request);
  return a != NULL && a->params != NULL ? lk_slice_of(a->params, a->params_len) : LK_SLICE_EMPTY;
}

/* What |m| asked and nobody answered is forgotten. Most who leave have asked for nothing, and look at nothing. */
static void forget_asked(member *m) {
  entry *e = m->entry;
  for (lk_link *at = e->asked.first, *next; m->asked_count > 0 && at != NULL; at = next) {
    asked *a = LK_CONTAINER(at, asked, link);
    next = at->next;
    if (a->member == m->number && !a->is_parted) lk_house_settle(e->house, a->member, a->request);
  }
}

/* Members hear that the room is gone, and who was joining that it did not work; who has made a query is told that nobody
 * knows. */
void lk_house_forget_handed(entry *e, bool all) {
  for (lk_link *at = e->asked.first, *next; at != NULL; at = next) {
    asked *a = LK_CONTAINER(at, asked, link);
    next = at->next;
    if (!all && a->turn == TURN_NONE) continue;
    if (a->is_parted) {
      lk_house_free_parted(e->house, a);
      continue;
    }
    const member *m = lk_house_find_member(e->house, a->member);
    if (m != NULL && m->state == MEMBER_JOINS) {
      lk_house_refuse_join(e->house, a->member, a->request, LK_REFUSED_ROOM_CRASHED);
    } else if (own_of(a->member) != 0) lk_house_settle(e->house, a->member, a->request);
    else lk_house_answer_late(e->house, a->member, a->request);
  }
}

lk_slice lk_house_mark_key(const lk_mark *mark, uint8_t bytes[20]) {
  lk_store_le32(bytes, mark->edge);
  lk_store_le64(bytes + 4, mark->generation);
  lk_store_le64(bytes + 12, mark->request);
  return lk_slice_of(bytes, 20);
}

lk_mark lk_house_mark_of(const entry *e, const asked *a) {
  const uint32_t from = edge_of(a->member);
  return (lk_mark){ e->house->edges[from].generation, a->request, from };
}

static bool is_same(const lk_mark *a, const lk_mark *b) {
  return a->request == b->request && a->edge == b->edge && a->generation == b->generation;
}

static bool is_among_applied(const entry *e, const lk_mark *mark) {
  LK_COVERED(house_looks_through_what_is_applied);
  for (uint32_t i = 0; i < e->applied_count; i++)
    if (is_same(&e->applied[i].mark, mark)) return true;
  for (lk_link *at = e->asked.first; at != NULL; at = at->next) {
    const asked *a = LK_CONTAINER(at, asked, link);
    const lk_mark own = lk_house_mark_of(e, a);
    if (a->is_parted && is_same(&own, mark)) return true;
  }
  return false;
}

bool lk_house_was_applied(const entry *e, uint64_t number, uint64_t request) {
  uint8_t bytes[20];
  const lk_mark mark = { e->house->edges[edge_of(number)].generation, request, edge_of(number) };
  if (e->recovered != NULL && lk_map_get(e->recovered, lk_house_mark_key(&mark, bytes)) != NULL)
    return true;
  return e->is_searched && is_among_applied(e, &mark);
}

static lk_err make_recovered(entry *e) {
  uint64_t seed[2];
  const lk_alloc *alloc = e->house->env->alloc;
  if (e->recovered != NULL) return LK_OK;
  e->recovered = lk_alloc_bytes(alloc, sizeof *e->recovered);
  if (e->recovered == NULL) return LK_ERR_NOMEM;
  lk_house_draw_seed(e->house, seed);
  lk_map_init(e->recovered, alloc, 0, UINT32_MAX / 4, seed);
  return LK_OK;
}

lk_err lk_house_know_applied(entry *e, const lk_mark *mark) {
  uint8_t bytes[20];
  void *value;
  bool is_new;
  lk_err err = make_recovered(e);
  if (err != LK_OK) return err;
  return lk_map_put(e->recovered, lk_house_mark_key(mark, bytes), &value, &is_new);
}

/* Anew, so that it does not grow with each time: what cannot come again any more has left |applied|. */
static void know_all_applied(entry *e) {
  lk_err err = LK_OK;
  lk_house_forget_recovered(e);
  lk_house_prune_applied(e);
  for (uint32_t i = 0; i < e->applied_count && err == LK_OK; i++)
    err = lk_house_know_applied(e, &e->applied[i].mark);
  for (lk_link *at = e->asked.first; at != NULL && err == LK_OK; at = at->next) {
    const asked *a = LK_CONTAINER(at, asked, link);
    const lk_mark mark = lk_house_mark_of(e, a);
    if (a->is_parted) err = lk_house_know_applied(e, &mark);
  }
  e->is_searched = err != LK_OK;
}

void lk_house_part(lk_house *self, uint32_t index) {
  lk_window *window = &self->edges[index].asked;
  uint32_t cursor = 0;
  lk_slice topic;
  void *value;
  asked *a;
  for (uint64_t request = 0; (a = lk_window_next(window, &request)) != NULL; request++) {
    bool is_given = a->turn != TURN_NONE && a->ticket == 0;
    /* One that came again stands here already: however often an edge begins again, each request does so once. */
    if (!is_given || lk_house_was_applied(a->entry, a->member, a->request)) continue;
    LK_COVERED(house_keeps_what_no_record_covers);
    (void)lk_window_take(window, request);
    part(self, a);
    self->edges[index].has_parted = true;
  }
  while (lk_map_next(&self->entries, &cursor, &topic, &value)) know_all_applied(*(entry **)value);
}

void lk_house_forget_parted(lk_house *self, uint32_t index) {
  uint32_t cursor = 0;
  lk_slice topic;
  void *value;
  if (!self->edges[index].has_parted) return;
  self->edges[index].has_parted = false;
  while (lk_map_next(&self->entries, &cursor, &topic, &value)) {
    const entry *e = *(entry **)value;
    for (lk_link *at = e->asked.first, *next; at != NULL; at = next) {
      asked *a = LK_CONTAINER(at, asked, link);
      next = at->next;
      if (a->is_parted && edge_of(a->member) == index) lk_house_free_parted(self, a);
    }
  }
}

static lk_err grow_applied(entry *e, size_t most) {
  size_t cap;
  if (!lk_grow_cap(e->applied_cap, (size_t)e->applied_cap + 1, 2, most, &cap)) return LK_ERR_LIMIT;
  applied *items = lk_resize_array(e->house->env->alloc, e->applied, e->applied_cap, cap,
                                   sizeof *items);
  if (items == NULL) return LK_ERR_NOMEM;
  e->applied = items;
  e->applied_cap = (uint32_t)cap;
  return LK_OK;
}

/* Where no place is left, some is first made by forgetting. There is more where that leaves more than half of them taken: so
 * a mark is looked at twice or so on average, however many requests an edge has under way. */
lk_err lk_house_note_applied(entry *e, applied a) {
  const size_t most = (size_t)e->house->limits->bus_requests_count * LK_HOUSE_EDGES_MAX;
  lk_err err = LK_OK;
  if (e->applied_count == e->applied_cap) {
    lk_house_prune_applied(e);
    if (e->applied_count >= e->applied_cap / 2) err = grow_applied(e, most);
  }
  if (e->applied_count == e->applied_cap) return err;
  e->applied[e->applied_count++] = a;
  return LK_OK;
}

/* May |mark| come again? Not from an edge that is gone, and not where the edge has the answer. An edge that
 * has not greeted us yet may be any. */
bool lk_house_may_come_again(const lk_house *self, const lk_mark *mark) {
  if (mark->edge >= self->edges_count) return false;
  const edge *e = &self->edges[mark->edge];
  if (!e->greeted) return true;
  return mark->generation == e->generation && mark->request >= e->settled;
}

void lk_house_free_answered(entry *e) {
  lk_house_prune_applied(e);
  if (e->applied_count > 0) return;
  lk_free_array(e->house->env->alloc, e->applied, e->applied_cap, sizeof *e->applied);
  e->applied = NULL;
  e->applied_cap = 0;
}

void lk_house_prune_applied(entry *e) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < e->applied_count; i++) {
    if (lk_house_may_come_again(e->house, &e->applied[i].mark)) e->applied[kept++] = e->applied[i];
  }
  e->applied_count = kept;
}

/* ---- leaving ---- */

/* Of those inputs that wait, the ones of |number|; |request| 0: all of them. */
static void forget_waiting(entry *e, uint64_t number, uint64_t request) {
  for (lk_link *at = e->waiting.first, *next; at != NULL; at = next) {
    waiting_input *w = LK_CONTAINER(at, waiting_input, link);
    next = at->next;
    if (w->member != number || (request != 0 && w->request != request)) continue;
    lk_list_remove(&e->waiting, at);
    lk_house_free_waiting(e, w);
  }
}

void lk_house_forget_queries(lk_house *self, uint32_t index) {
  lk_window *window = &self->edges[index].asked;
  const asked *a;
  for (uint64_t request = 0; (a = lk_window_next(window, &request)) != NULL; request++) {
    entry *e = a->entry;
    forget_waiting(e, a->member, a->request);
    lk_house_settle(self, a->member, a->request);
  }
}

void lk_house_remove_member(lk_house *self, member *m) {
  entry *e = m->entry;
  uint64_t number = m->number;
  bool was_in = m->state == MEMBER_IN;
  forget_waiting(e, number, 0);
  forget_asked(m);
  lk_house_free_member(self, m);
  if (e->state != ENTRY_OPEN) return;
  lk_house_leave_attendance(e, number);
  if (was_in) {
    lk_trace_emit(self->env, LK_TRACE_room_left, number, e->members.count, entry_topic(e));
  }
  lk_house_run_room(e, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = number });
}
