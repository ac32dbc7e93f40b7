/* channel/edge.c -- who is connected, who is in which topic, and what is unanswered.
 *
 *   connection ──session's tag──> member ──> topic ──> house
 *                                   │
 *                                   └── asked*: its requests without an answer
 *
 * Connections, members and requests are named by numbers. Those of connections and members are a place in
 * a table and how often the place was taken before: found by subtraction, never by a search, and a number
 * that is no longer good is known as such. Requests are numbered one by one, for each house, and stand in its
 * window until they are answered.
 *
 * A member's life: JOIN makes it, with a request that asks the house. ACCEPT puts it on its topic's list, which
 * is what broadcasts walk. LEAVE, REFUSE, CRASH and the end of the connection end it, and with it what it
 * asked: nobody is there for the answers.
 *
 * A house that says HELLO with a new number is another process than before, or lost track of us. It knows
 * nothing, so it is told all: who is in, then what is unanswered, in order. Until a house has said HELLO,
 * nothing is sent, only kept.
 *
 *   us: HELLO ─> house: HELLO ─> us: HELLO (answers it), RESTORE for each member, JOIN and MESSAGE for
 *   each unanswered request, marked as sent again
 *
 * A topic that clients know by another name (channel/alias.h) has a record for each of its names, with the members
 * who came by it: so each of them hears its own. Only the record of the topic itself, its home, is known to the house; a
 * broadcast to it goes to those of its aliases, too.
 *
 * Output collects in one place for all connections: messages in |box|, and in |items| who gets how many of
 * them. A message to many is one message and a list of receivers.
 *
 * Where the host checks tokens, a connection has what its token gave, and a member what a token in the params of its
 * join gave for that topic; the more of the two counts, looked up anew for each request. Both are leases: a heap
 * of deadlines ends them to the millisecond, the connection's with the connection, a member's with that member alone.
 * Where there are no tokens, each costs a pointer.
 *
 * Always: a member is on its topic's list exactly while it is in; a topic has a record exactly while
 * it has members, in or joining, or an alias has. */
#include "channel/edge.h"

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "channel/bus.h"
#include "channel/window.h"
#include "codec/crc32c.h"
#include "codec/json_reader.h"
#include "codec/json_writer.h"

#define INDEX_BITS 32
#define USES_MASK 0xFFFFFFu /* a house has 56 bits for the number of a member */
#define NO_PLACE UINT32_MAX
#define GREET_MS                                                                                   \
  1000 /* between two times that houses that were given up are asked to begin again */
#define BOX_KEPT 65536 /* bytes that the empty box keeps */

typedef struct topic {
  struct topic *home;    /* the topic that this is an alias of; itself where it is none */
  struct topic *aliases; /* of a home: the first */
  struct topic *next;    /* of an alias: the next of its home */
  lk_list members;       /* those who are in, in order of joining */
  uint32_t classes[LK_MESSAGE_CLASSES]; /* how many of them are of which class */
  uint32_t users;                       /* members, in or joining, and aliases */
  uint32_t house;
  uint32_t name_len;
  uint8_t name[]; /* |name_len| bytes */
} topic;

typedef struct connection connection;
typedef struct member member;

/* What a token gave, and when that ends. */
typedef struct lease {
  lk_heap_item timer; /* in the heap where the grant has an end */
  lk_grant *grant;
  connection *connection;
  member *member; /* NULL: it is the connection's own */
} lease;

struct connection {
  lk_session session;
  uint64_t number;
  lease *lease;         /* NULL: none */
  connection *next_end; /* while a CLOSE is due */
  uint32_t unanswered;  /* bytes of requests: a message beyond edge_unanswered_bytes at most */
  uint16_t reason;      /* lk_err */
  bool is_closing : 1;  /* a CLOSE is due, or was given out: nothing more is taken or sent */
  bool is_told : 1;     /* the CLOSE was given out */
  bool is_full : 1;     /* RESUME is due some day */
  uint8_t lag;          /* lk_bus_lag */
};

struct member {
  lk_link link; /* of its topic, while it is in */
  connection *connection;
  topic *topic;
  lease *lease; /* of a token for this topic; NULL: none */
  lk_list asked;
  uint64_t number;
  uint32_t payload_len;  /* of its join, what a new house is told; 0: {}, as nearly always */
  uint32_t channel : 24; /* at most LK_SESSION_CHANNEL_MAX */
  uint32_t audience : 2; /* lk_bus_audience: ALL where it has not asked for presence */
  uint32_t profile : 2;  /* lk_profile */
  uint32_t dialect : 2;  /* lk_message_dialect */
  uint32_t is_in : 1;
  uint32_t is_behind : 1; /* broadcasts pass it by */
  uint8_t payload[];
};

/* A request without an answer. */
typedef struct asked {
  lk_link link; /* of its member */
  member *member;
  uint64_t request;
  bool is_join;
  bool is_binary;
  bool has_ref;
  uint32_t asked_us; /* the lower half of the time */
  uint32_t ref_len;
  uint32_t event_len;
  uint32_t payload_len;
  uint8_t bytes[]; /* ref, event, payload */
} asked;

typedef struct house {
  lk_bus_reader reader;
  lk_buf out;
  size_t out_off;
  lk_window asked;
  lk_window queries; /* numbered with the others */
  uint64_t greeting; /* what it said last in a HELLO; 0: nothing yet */
  bool must_greet;   /* it was given up: it is to be asked for another HELLO */
  uint64_t request_next;
} house;

typedef struct item {
  lk_edge_output_kind kind; /* SEND or RESUME */
  uint32_t messages;        /* SEND: so many from the box */
  uint32_t receivers;       /* SEND to many: so many numbers; 0: to |connection| alone */
  size_t receivers_at;
  uint64_t connection;
} item;

typedef struct slot {
  void *thing;        /* NULL: free */
  uint32_t uses;      /* how often it was taken */
  uint32_t next_free; /* while it is free */
} slot;

/* Things with numbers: a place, and above it how often it was taken. No number is 0. */
typedef struct table {
  slot *slots;
  uint32_t cap;
  uint32_t count;
  uint32_t first_free;
  uint32_t count_max;
} table;

struct lk_edge {
  lk_edge_options options;
  const lk_alloc *alloc;
  const lk_limits *limits;
  table connections;
  table members;
  lk_map topics; /* name -> topic * */
  lk_arena scratch;
  lk_outbox box;
  item *items;
  uint32_t items_count;
  uint32_t items_next;
  uint32_t items_cap;
  connection *first_end; /* those that a CLOSE is due for, in order */
  connection *last_end;
  lk_heap leases;       /* by their ends */
  bool must_greet;      /* some house */
  uint64_t greet_at_ms; /* not before that */
  uint64_t *receivers;
  size_t receivers_count;
  size_t receivers_cap;
  house *houses;
  lk_queries queries; /* those that are answered and not told */
  lk_edge_stats stats;
  lk_histogram latency;
  uint64_t now_us; /* 0: nobody says */
};

/* As its members call it. */
static lk_slice topic_name(const topic *t) { return lk_slice_of(t->name, t->name_len); }

/* As its house, and whatever speaks of rights, calls it. */
static lk_slice home_name(const topic *t) { return topic_name(t->home); }

/* ---- tables ---- */

static void *table_get(const table *self, uint64_t number) {
  uint64_t place = number & UINT32_MAX;
  if (place >= self->cap || self->slots[place].thing == NULL) return NULL;
  return self->slots[place].uses == number >> INDEX_BITS ? self->slots[place].thing : NULL;
}

static lk_err table_grow(const lk_alloc *alloc, table *self) {
  size_t cap;
  if (!lk_grow_cap(self->cap, (size_t)self->cap + 1, 16, self->count_max, &cap))
    return LK_ERR_LIMIT;
  slot *slots = lk_resize_array(alloc, self->slots, self->cap, cap, sizeof *slots);
  if (slots == NULL) return LK_ERR_NOMEM;
  self->slots = slots;
  for (size_t i = cap; i-- > self->cap;) {
    slots[i] = (slot){ .next_free = self->first_free };
    self->first_free = (uint32_t)i;
  }
  self->cap = (uint32_t)cap;
  return LK_OK;
}

static lk_err table_add(const lk_alloc *alloc, table *self, void *thing, uint64_t *number) {
  if (self->first_free == NO_PLACE) {
    lk_err err = table_grow(alloc, self);
    if (err != LK_OK) return err;
  }
  uint32_t place = self->first_free;
  slot *s = &self->slots[place];
  self->first_free = s->next_free;
  s->thing = thing;
  s->uses = s->uses == USES_MASK ? 1 : s->uses + 1;
  self->count++;
  *number = (uint64_t)s->uses << INDEX_BITS | place;
  return LK_OK;
}

static void table_remove(table *self, uint64_t number) {
  uint32_t place = (uint32_t)number;
  LK_ASSERT(table_get(self, number) != NULL);
  self->slots[place].thing = NULL;
  self->slots[place].next_free = self->first_free;
  self->first_free = place;
  self->count--;
}

/* ---- output ---- */

static lk_err reserve_item(lk_edge *self) {
  size_t cap;
  if (self->items_count < self->items_cap) return LK_OK;
  if (!lk_grow_cap(self->items_cap, (size_t)self->items_cap + 1, 16, UINT32_MAX / 2, &cap))
    return LK_ERR_LIMIT;
  item *items = lk_resize_array(self->alloc, self->items, self->items_cap, cap, sizeof *items);
  if (items == NULL) return LK_ERR_NOMEM;
  self->items = items;
  self->items_cap = (uint32_t)cap;
  return LK_OK;
}

/* There is room: reserve_item() was asked. */
static void add_item(lk_edge *self, item what) {
  LK_ASSERT(self->items_count < self->items_cap);
  self->items[self->items_count++] = what;
}

static lk_session_io io_of(lk_edge *self) {
  return (lk_session_io){ .alloc = self->alloc,
                          .limits = self->limits,
                          .hash_seed = self->options.hash_seed,
                          .scratch = &self->scratch,
                          .output = &self->box };
}

/* Ends the connection: a gap in what it was told would be worse than a new start. */
static void end_connection(lk_edge *self, connection *c, lk_err why) {
  if (c->is_closing) return;
  c->is_closing = true;
  c->reason = (uint16_t)why;
  c->next_end = NULL;
  if (self->first_end == NULL) self->first_end = c;
  else self->last_end->next_end = c;
  self->last_end = c;
}

/* |c| goes before its CLOSE was given out: rare enough to look for it. */
static void forget_end(lk_edge *self, const connection *c) {
  connection *before = NULL;
  for (connection *at = self->first_end; at != c; at = at->next_end) before = at;
  if (before == NULL) self->first_end = c->next_end;
  else before->next_end = c->next_end;
  if (self->last_end == c) self->last_end = before;
}

/* What a session puts into the box is for its connection: begin, let the session speak, end. Without memory
 * for a note of it nothing may be said. */
static bool begin_speech(lk_edge *self, connection *c, uint32_t *before) {
  *before = self->box.count;
  if (c->is_closing) return false;
  lk_err err = reserve_item(self);
  if (err != LK_OK) end_connection(self, c, err);
  return err == LK_OK;
}

static void end_speech(lk_edge *self, connection *c, uint32_t before, lk_err err) {
  uint32_t count = self->box.count - before;
  if (count > 0)
    add_item(self, (item){ .kind = LK_EDGE_SEND, .messages = count, .connection = c->number });
  if (err != LK_OK) end_connection(self, c, err);
}

/* The next connection that has to be closed and whose host does not know. */
static bool poll_end(lk_edge *self, lk_edge_output *out) {
  connection *c = self->first_end;
  if (c == NULL) return false;
  self->first_end = c->next_end;
  c->is_told = true;
  *out = (lk_edge_output){
    .kind = LK_EDGE_CLOSE, .reason = (lk_err)c->reason, .connections = &c->number, .count = 1
  };
  return true;
}

/* The item whose turn it is, NULL where all have been told. */
static item *next_item(lk_edge *self) {
  for (; self->items_next < self->items_count; self->items_next++) {
    item *it = &self->items[self->items_next];
    if (it->kind != LK_EDGE_SEND || it->messages > 0) return it;
  }
  self->items_next = self->items_count = 0;
  self->receivers_count = 0;
  if (self->box.bytes.cap > BOX_KEPT) lk_outbox_clear(&self->box);
  return NULL;
}

static void take_message(lk_edge *self, item *it, lk_edge_output *out) {
  bool is_there = lk_outbox_next_message(&self->box, &out->bytes, &out->is_binary);
  LK_ASSERT(is_there);
  it->messages--;
}

static bool poll_answer(lk_edge *self, lk_edge_output *out) {
  const lk_query *q = lk_queries_poll(&self->queries);
  if (q == NULL) return false;
  *out = (lk_edge_output){ .kind = LK_EDGE_ANSWER,
                           .is_binary = q->is_binary,
                           .bytes = lk_buf_slice(&q->answer),
                           .tag = q->tag,
                           .status = q->status };
  return true;
}

bool lk_edge_poll(lk_edge *self, lk_edge_output *out) {
  item *it = next_item(self);
  if (it == NULL) return poll_answer(self, out) || poll_end(self, out);
  *out = (lk_edge_output){ .kind = it->kind, .connections = &it->connection, .count = 1 };
  if (it->kind == LK_EDGE_SEND) take_message(self, it, out);
  else self->items_next++;
  if (it->receivers > 0) {
    out->connections = self->receivers + it->receivers_at;
    out->count = it->receivers;
  }
  if (it->kind == LK_EDGE_SEND) self->stats.messages_out += out->count;
  return true;
}

/* A message to many stays in the box until its last receiver is told. */
bool lk_edge_poll_one(lk_edge *self, lk_edge_output *out) {
  item *it = next_item(self);
  if (it == NULL || it->receivers <= 1) return lk_edge_poll(self, out);
  const lk_outbox before = self->box;
  *out = (lk_edge_output){ .kind = it->kind,
                           .connections = self->receivers + it->receivers_at,
                           .count = 1 };
  take_message(self, it, out);
  it->messages++;
  it->receivers--;
  it->receivers_at++;
  self->box.read = before.read;
  self->box.count = before.count;
  self->stats.messages_out++;
  return true;
}

/* ---- what houses are told ---- */

/* A house that does not take what it is sent gets it anew when it says HELLO again. It does so by itself where it is another
 * process by then; lk_edge_step() asks the one that is the same. Not here: without memory the two would ask each other for ever. */
static void tell(lk_edge *self, uint32_t to, const lk_bus_message *message) {
  house *h = &self->houses[to];
  if (h->greeting == 0) return;
  lk_err err = lk_bus_encode(message, self->limits->bus_frame_bytes, &h->out);
  if (err == LK_OK) return;
  LK_COVERED(edge_house_given_up);
  h->greeting = 0;
  h->must_greet = self->must_greet = true;
  lk_bus_forget(&h->out, h->out_off);
}

static void say_hello(lk_edge *self, house *h) {
  lk_bus_message hello = { .kind = LK_BUS_HELLO,
                           .generation = self->options.generation,
                           .answers = h->greeting };
  lk_err err = lk_bus_encode(&hello, self->limits->bus_frame_bytes, &h->out);
  if (err == LK_OK) return;
  LK_COVERED(edge_hello_without_memory);
  h->must_greet = self->must_greet = true;
}

static uint32_t house_of(const lk_edge *self, lk_slice name) {
  return lk_crc32c(name) % self->options.houses_count;
}

uint32_t lk_edge_house_of(const lk_edge *self, lk_slice name) {
  uint8_t bytes[LK_ALIAS_TOPIC_MAX];
  return house_of(self, lk_aliases_resolve(&self->options.aliases, name, bytes));
}

/* ---- what tokens gave ---- */

static void free_lease(lk_edge *self, lease *l) {
  if (l == NULL) return;
  if (l->timer.place != LK_HEAP_OUT) lk_heap_remove(&self->leases, &l->timer);
  lk_grant_free(l->grant, self->alloc);
  lk_free_bytes(self->alloc, l, sizeof *l);
}

/* Takes over |grant|, also where it fails. Without a grant there is no lease. */
static lk_err make_lease(lk_edge *self, lk_grant *grant, connection *c, lease **out) {
  *out = NULL;
  if (grant == NULL) return LK_OK;
  lease *l = lk_alloc_bytes(self->alloc, sizeof *l);
  lk_err err = l == NULL ? LK_ERR_NOMEM : LK_OK;
  if (err == LK_OK) {
    *l = (lease){ .timer = LK_HEAP_ITEM_INIT, .grant = grant, .connection = c };
    if (grant->expires_ms != LK_GRANT_FOREVER)
      err = lk_heap_push(&self->leases, &l->timer, grant->expires_ms);
  }
  if (err == LK_OK) {
    *out = l;
    return LK_OK;
  }
  lk_grant_free(grant, self->alloc);
  lk_free_bytes(self->alloc, l, sizeof *l);
  return err;
}

/* |own| is of a token for this topic, which is not called by an alias. */
static lk_rights rights_on(const lk_edge *self, const connection *c, const lease *own,
                           lk_slice name) {
  unsigned most = LK_RIGHTS_NONE;
  if (self->options.access == NULL) return LK_RIGHTS_ADMIN;
  if (c->lease != NULL) most = lk_grant_rights(c->lease->grant, name);
  if (own != NULL) most = lk_max_u32(most, lk_grant_rights(own->grant, name));
  return (lk_rights)most;
}

static lk_rights rights_of(const lk_edge *self, const member *m) {
  return rights_on(self, m->connection, m->lease, home_name(m->topic));
}

static lk_slice subject_of_lease(const lease *l) {
  return l != NULL ? lk_grant_subject(l->grant) : LK_SLICE_EMPTY;
}

/* Who the member is: the connection's subject, or where that is nobody, that of the topic's token. */
static lk_slice subject_on(const connection *c, const lease *own) {
  lk_slice subject = subject_of_lease(c->lease);
  return subject.len > 0 ? subject : subject_of_lease(own);
}

/* Every request below it has been answered. */
static uint64_t settled_of(const house *h) {
  uint64_t first = 0, first_query = 0;
  if (lk_window_next(&h->asked, &first) == NULL) first = h->request_next;
  if (lk_window_next(&h->queries, &first_query) == NULL) first_query = h->request_next;
  return lk_min_u64(first, first_query);
}

static void send_query(lk_edge *self, uint32_t index, const lk_query *q, bool again) {
  lk_bus_message message = lk_query_message(q, settled_of(&self->houses[index]), again);
  if (again) self->stats.sent_again++;
  tell(self, index, &message);
}

lk_err lk_edge_query(lk_edge *self, const lk_question *question) {
  uint8_t bytes[LK_ALIAS_TOPIC_MAX];
  lk_question meant = *question;
  uint32_t index = question->house;
  const lk_query *q;
  if (question->topic.len > LK_ALIAS_NAME_MAX || index >= self->options.houses_count)
    return LK_ERR_TOO_BIG;
  if (meant.topic.len > 0) {
    meant.topic = lk_aliases_resolve(&self->options.aliases, question->topic, bytes);
    index = house_of(self, meant.topic);
  }
  house *h = &self->houses[index];
  lk_err err = lk_queries_ask(&self->queries, &h->queries, h->request_next, &meant, &q);
  if (err != LK_OK) return err;
  h->request_next++;
  self->stats.unanswered++;
  self->stats.requests++;
  send_query(self, index, q, false);
  return LK_OK;
}

static void send_request(lk_edge *self, const asked *a, bool again) {
  const member *m = a->member;
  house *h = &self->houses[m->topic->house];
  lk_slice rest = lk_slice_of(a->bytes, (size_t)a->ref_len + a->event_len + a->payload_len);
  rest = lk_slice_skip(rest, a->ref_len);
  lk_bus_message message = {
    .kind = a->is_join ? LK_BUS_JOIN : LK_BUS_MESSAGE,
    .binary = a->is_binary,
    .again = again,
    .request = a->request,
    .settled = settled_of(h),
    .member = m->number,
    .topic = home_name(m->topic),
    .event = lk_slice_first(rest, a->event_len),
    .payload = lk_slice_skip(rest, a->event_len),
    .rights = rights_of(self, m),
    .subject = a->is_join ? subject_on(m->connection, m->lease) : LK_SLICE_EMPTY,
  };
  if (again) self->stats.sent_again++;
  tell(self, m->topic->house, &message);
}

/* ---- requests ---- */

static size_t asked_size(const asked *a) {
  return sizeof *a + a->ref_len + a->event_len + a->payload_len;
}

static lk_slice asked_ref(const asked *a) {
  return a->has_ref ? (lk_slice){ a->bytes, a->ref_len } : LK_SLICE_EMPTY;
}

/* |a| is in its window no more. */
static void free_asked(lk_edge *self, asked *a) {
  connection *c = a->member->connection;
  size_t size = asked_size(a);
  lk_list_remove(&a->member->asked, &a->link);
  c->unanswered -= (uint32_t)size;
  self->stats.unanswered--;
  if (c->is_full && c->unanswered <= self->limits->edge_unanswered_bytes / 2) {
    /* Where there is no memory to say so, the next answer does. */
    if (reserve_item(self) == LK_OK) {
      c->is_full = false;
      add_item(self, (item){ .kind = LK_EDGE_RESUME, .connection = c->number });
    }
  }
  lk_free_bytes(self->alloc, a, size);
}

static lk_err ask(lk_edge *self, member *m, const lk_session_event *event) {
  house *h = &self->houses[m->topic->house];
  size_t size = sizeof(asked) + event->ref.len + event->event.len + event->payload.len;
  if (size > UINT32_MAX - m->connection->unanswered) return LK_ERR_LIMIT;
  asked *a = lk_alloc_bytes(self->alloc, size);
  if (a == NULL) return LK_ERR_NOMEM;
  *a = (asked){ .member = m,
                .request = h->request_next,
                .is_join = event->kind == LK_SESSION_JOIN,
                .is_binary = event->is_binary,
                .has_ref = event->ref.ptr != NULL,
                .asked_us = (uint32_t)self->now_us };
  lk_err err = lk_window_put(&h->asked, a->request, a);
  if (err != LK_OK) {
    lk_free_bytes(self->alloc, a, size);
    return err;
  }
  h->request_next++;
  a->ref_len =
      (uint32_t)event->ref.len; /* the session bounds names; ws_message_bytes all of them */
  a->event_len = (uint32_t)event->event.len;
  a->payload_len = (uint32_t)event->payload.len;
  uint8_t *at = a->bytes;
  const lk_slice parts[] = { event->ref, event->event, event->payload };
  for (size_t i = 0; i < 3; i++) {
    if (parts[i].len > 0) memcpy(at, parts[i].ptr, parts[i].len);
    at += parts[i].len;
  }
  lk_list_push_last(&m->asked, &a->link);
  m->connection->unanswered += (uint32_t)size;
  if (m->connection->unanswered > self->limits->edge_unanswered_bytes)
    m->connection->is_full = true;
  self->stats.unanswered++;
  self->stats.requests++;
  send_request(self, a, false);
  return LK_OK;
}

/* ---- members ---- */

static unsigned class_of(const member *m) {
  return lk_message_class(lk_session_form(&m->connection->session), (lk_message_dialect)m->dialect);
}

/* The record of |name|, made where there is none: at home in |home|, or NULL for itself. */
static lk_err put_topic(lk_edge *self, lk_slice name, topic *home, topic **out) {
  void *place;
  bool is_new;
  lk_err err = lk_map_put(&self->topics, name, &place, &is_new);
  if (err != LK_OK) return err;
  if (!is_new) {
    *out = *(topic **)place;
    return LK_OK;
  }
  topic *t = lk_alloc_bytes(self->alloc, sizeof *t + name.len);
  if (t == NULL) {
    (void)lk_map_remove(&self->topics, name);
    return LK_ERR_NOMEM;
  }
  *t = (topic){ .home = home == NULL ? t : home, .name_len = (uint32_t)name.len };
  if (name.len > 0) memcpy(t->name, name.ptr, name.len);
  t->house = house_of(self, home_name(t));
  if (home != NULL) {
    t->next = home->aliases;
    home->aliases = t;
    home->users++;
  }
  *(topic **)place = t;
  *out = t;
  return LK_OK;
}

static void free_topic(lk_edge *self, topic *t) {
  (void)lk_map_remove(&self->topics, topic_name(t));
  lk_free_bytes(self->alloc, t, sizeof *t + t->name_len);
}

/* One of whose home nothing may be left either. */
static void release_topic(lk_edge *self, topic *t) {
  topic *home = t->home;
  if (t->users > 0) return;
  if (t != home) {
    topic **at = &home->aliases;
    while (*at != t) at = &(*at)->next;
    *at = t->next;
    home->users--;
    free_topic(self, t);
  }
  if (home->users == 0) free_topic(self, home);
}

/* The record of what a client calls |name|. */
static lk_err get_topic(lk_edge *self, lk_slice name, topic **out) {
  uint8_t bytes[LK_ALIAS_TOPIC_MAX];
  topic *home;
  lk_slice meant = lk_aliases_resolve(&self->options.aliases, name, bytes);
  if (meant.ptr == name.ptr) return put_topic(self, name, NULL, out);
  if (meant.len > self->limits->channel_name_bytes) return LK_ERR_TOO_BIG;
  lk_err err = put_topic(self, meant, NULL, &home);
  if (err == LK_OK && (err = put_topic(self, name, home, out)) != LK_OK) release_topic(self, home);
  return err;
}

static lk_err make_member(lk_edge *self, connection *c, const lk_session_event *event,
                          member **out) {
  topic *t;
  lk_err err = get_topic(self, event->topic, &t);
  if (err != LK_OK) return err;
  lk_slice payload = lk_slice_equal(event->payload, LK_LIT("{}")) ? LK_SLICE_EMPTY : event->payload;
  size_t size = sizeof(member) + payload.len;
  member *m = lk_alloc_bytes(self->alloc, size);
  uint64_t number = 0;
  err = m == NULL ? LK_ERR_NOMEM : table_add(self->alloc, &self->members, m, &number);
  if (err != LK_OK) {
    lk_free_bytes(self->alloc, m, size);
    release_topic(self, t);
    return err;
  }
  *m = (member){ .connection = c,
                 .topic = t,
                 .number = number,
                 .channel = event->channel & LK_SESSION_CHANNEL_MAX,
                 .payload_len = (uint32_t)payload.len };
  if (payload.len > 0) memcpy(m->payload, payload.ptr, payload.len);
  t->users++;
  *out = m;
  return LK_OK;
}

static void free_member(lk_edge *self, member *m) {
  topic *t = m->topic;
  house *h = &self->houses[t->house];
  while (m->asked.first != NULL) {
    asked *a = LK_CONTAINER(m->asked.first, asked, link);
    (void)lk_window_take(&h->asked, a->request);
    free_asked(self, a);
  }
  if (m->is_in) {
    lk_list_remove(&t->members, &m->link);
    t->classes[class_of(m)]--;
  }
  table_remove(&self->members, m->number);
  free_lease(self, m->lease);
  lk_free_bytes(self->alloc, m, sizeof *m + m->payload_len);
  t->users--;
  release_topic(self, t);
}

static void let_in(member *m) {
  m->is_in = true;
  lk_list_push_last(&m->topic->members, &m->link);
  m->topic->classes[class_of(m)]++;
}

/* ---- what sessions want ---- */

#define UNAUTHORIZED                                                                               \
  LK_LIT("{\"reason\":\"unauthorized\",\"message\":\"what this client was given says nothing of "  \
         "this topic; ask for a token that does\"}")

static void refuse_join(lk_edge *self, connection *c, const lk_session_event *event, lk_slice why) {
  lk_session_io io = io_of(self);
  uint32_t before;
  const lk_session_answer given = {
    .topic = event->topic, .channel = event->channel, .ref = event->ref, .payload = why
  };
  if (begin_speech(self, c, &before))
    end_speech(self, c, before, lk_session_refuse(&c->session, &io, &given));
}

static const char *name_of_refusal(lk_err why) {
  switch (why) {
  case LK_ERR_TOKEN_MISSING: return "token_missing";
  case LK_ERR_TOKEN_EXPIRED: return "token_expired";
  case LK_ERR_TOKEN_REVOKED: return "token_revoked";
  case LK_ERR_TOKEN_CLAIMS: return "token_claims";
  default: return "token_invalid";
  }
}

/* {"reason": name, "message": text} in the scratch arena, or something shorter where that is full. */
static lk_slice write_error(lk_edge *self, lk_err why) {
  lk_slice text = LK_LIT("{\"reason\":\"server full\"}");
  lk_json_writer to;
  lk_buf out;
  if (why == LK_ERR_NOMEM) return text;
  lk_buf_init(&out, self->alloc, 1024);
  lk_json_writer_init(&to, &out);
  (void)lk_json_begin_object(&to);
  (void)lk_json_write_key(&to, LK_LIT("reason"));
  (void)lk_json_write_string(&to, lk_slice_cstr(name_of_refusal(why)));
  (void)lk_json_write_key(&to, LK_LIT("message"));
  (void)lk_json_write_string(&to, lk_slice_cstr(lk_err_text(why)));
  (void)lk_json_end_object(&to);
  uint8_t *copy = NULL;
  if (lk_json_writer_finish(&to) == LK_OK) copy = lk_arena_push(&self->scratch, out.len);
  if (copy != NULL) {
    memcpy(copy, out.ptr, out.len);
    text = lk_slice_of(copy, out.len);
  }
  lk_buf_deinit(&out);
  return text;
}

/* Params of a join without their "token", which goes to nobody else, into |out|, which has room for |params|. */
static lk_err strip_token(lk_edge *self, lk_slice params, uint8_t *out, size_t *len,
                          lk_json_event *token) {
  lk_json_reader in;
  lk_json_event event;
  lk_slice value;
  size_t at = 0;
  lk_err err = lk_json_reader_init(&in, params, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_next(&in, &event);
  if (err == LK_OK && event.kind != LK_JSON_OBJECT_BEGIN) return LK_ERR_TYPE;
  while (err == LK_OK && (err = lk_json_next(&in, &event)) == LK_OK && event.kind == LK_JSON_KEY) {
    if (lk_slice_equal(event.text, LK_LIT("token"))) {
      err = lk_json_next(&in, token);
      if (err == LK_OK) err = lk_json_skip_rest(&in, token, &value);
      continue;
    }
    if ((err = lk_json_skip_value(&in, &value)) != LK_OK) break;
    out[at] = at == 0 ? '{' : ',';
    at++;
    memcpy(out + at, event.raw.ptr, event.raw.len);
    at += event.raw.len;
    out[at++] = ':';
    memcpy(out + at, value.ptr, value.len);
    at += value.len;
  }
  if (at == 0) out[at++] = '{';
  out[at++] = '}';
  *len = at;
  return err;
}

/* Another somebody than the connection may not come in by a token for one topic. */
static lk_err check_subject(lk_slice before, const lk_grant *grant) {
  lk_slice subject = lk_grant_subject(grant);
  bool fits = before.len == 0 || subject.len == 0 || lk_slice_equal(before, subject);
  return fits ? LK_OK : LK_ERR_TOKEN_CLAIMS;
}

static lk_err take_token(lk_edge *self, connection *c, lk_slice token, lk_slice subject,
                         lease **out) {
  const lk_access *access = self->options.access;
  lk_grant *grant = NULL;
  lk_err err = access->check(access->ctx, token, self->alloc, &grant);
  if (err == LK_OK) err = check_subject(subject, grant);
  if (err == LK_OK) return make_lease(self, grant, c, out);
  lk_grant_free(grant, self->alloc);
  return err;
}

/* A join may bring a token for its topic: |event| is then without it. */
static lk_err take_topic_token(lk_edge *self, connection *c, lk_session_event *event, lease **out) {
  lk_json_event token = { .kind = LK_JSON_ABSENT };
  *out = NULL;
  if (self->options.access == NULL || event->is_binary || event->payload.len <= 2) return LK_OK;
  size_t len = 0;
  uint8_t *rest = lk_arena_push(&self->scratch, event->payload.len + 2);
  if (rest == NULL) return LK_ERR_NOMEM;
  lk_err err = strip_token(self, event->payload, rest, &len, &token);
  if (err == LK_ERR_TYPE) return LK_OK; /* no object: what the room makes of it */
  if (err != LK_OK || token.kind == LK_JSON_ABSENT) return err;
  event->payload = lk_slice_of(rest, len);
  if (token.kind != LK_JSON_STRING) return LK_ERR_TOKEN_INVALID;
  return take_token(self, c, token.text, subject_of_lease(c->lease), out);
}

static lk_err ask_to_join(lk_edge *self, connection *c, const lk_session_event *event, lease *own) {
  lk_session_io io = io_of(self);
  member *m;
  lk_err err = make_member(self, c, event, &m);
  if (err != LK_OK) {
    free_lease(self, own);
    return err;
  }
  m->lease = own;
  if (own != NULL) own->member = m;
  bool is_there = lk_session_set_tag(&c->session, &io, event->topic, event->channel, m->number);
  LK_ASSERT(is_there);
  err = ask(self, m, event);
  if (err != LK_OK) free_member(self, m);
  return err;
}

/* Who may not even read is refused here: clients try again for ever, and that shall cost the rooms nothing. */
static void on_join(lk_edge *self, connection *c, const lk_session_event *event) {
  uint8_t name[LK_ALIAS_TOPIC_MAX];
  lk_session_event wanted = *event;
  lease *own;
  lk_err err = take_topic_token(self, c, &wanted, &own);
  if (err != LK_OK) {
    refuse_join(self, c, event, write_error(self, err));
  } else if (rights_on(self, c, own,
                       lk_aliases_resolve(&self->options.aliases, event->topic, name)) <
             LK_RIGHTS_READ) {
    free_lease(self, own);
    self->stats.unauthorized++;
    refuse_join(self, c, event, UNAUTHORIZED);
  } else if (ask_to_join(self, c, &wanted, own) != LK_OK) {
    refuse_join(self, c, event, LK_LIT("{\"reason\":\"server full\"}"));
  }
}

static void on_leave(lk_edge *self, uint64_t number) {
  member *m = table_get(&self->members, number);
  if (m == NULL) return;
  tell(self, m->topic->house, &(lk_bus_message){ .kind = LK_BUS_LEAVE, .member = number });
  free_member(self, m);
}

static void reply_error(lk_edge *self, connection *c, const lk_session_event *event,
                        lk_slice payload) {
  lk_session_io io = io_of(self);
  uint32_t before;
  const lk_session_answer given = { .topic = event->topic,
                                    .channel = event->channel,
                                    .ref = event->ref,
                                    .status = LK_LIT("error"),
                                    .payload = payload };
  if (begin_speech(self, c, &before))
    end_speech(self, c, before, lk_session_reply(&c->session, &io, &given));
}

/* ---- tokens in band ---- */

static void reply_expiry(lk_edge *self, connection *c, const lk_session_event *event,
                         const lease *l) {
  lk_session_io io = io_of(self);
  lk_buf text;
  uint32_t before;
  lk_buf_init(&text, self->alloc, 64);
  (void)lk_buf_append(&text, LK_LIT("{\"expires_at\":"));
  if (l->grant->expires_ms == LK_GRANT_FOREVER) (void)lk_buf_append(&text, LK_LIT("null"));
  else (void)lk_buf_append_decimal(&text, l->grant->expires_ms);
  lk_err err = lk_buf_append(&text, LK_LIT("}"));
  const lk_session_answer given = { .topic = event->topic,
                                    .channel = event->channel,
                                    .ref = event->ref,
                                    .status = LK_LIT("ok"),
                                    .payload = err == LK_OK ? lk_buf_slice(&text)
                                                            : LK_SLICE_EMPTY };
  if (begin_speech(self, c, &before))
    end_speech(self, c, before, lk_session_reply(&c->session, &io, &given));
  lk_buf_deinit(&text);
}

static lk_slice reason_of(lk_err why) {
  switch (why) {
  case LK_ERR_TOKEN_EXPIRED: return LK_LIT("{\"reason\":\"token_expired\"}");
  case LK_ERR_TOKEN_REVOKED: return LK_LIT("{\"reason\":\"token_revoked\"}");
  default: return LK_LIT("{\"reason\":\"unauthorized\"}");
  }
}

/* The member is out, as if its room had ended under it: a client comes back, and asks its page for a token. */
static void eject(lk_edge *self, member *who, lk_err why) {
  connection *c = who->connection;
  lk_session_io io = io_of(self);
  lk_session_answer given = { .topic = topic_name(who->topic),
                              .channel = who->channel,
                              .payload = reason_of(why) };
  uint32_t before;
  if (!who->is_in) given.ref = asked_ref(LK_CONTAINER(who->asked.first, asked, link));
  if (begin_speech(self, c, &before))
    end_speech(self, c, before,
               who->is_in ? lk_session_crash(&c->session, &io, &given)
                          : lk_session_refuse(&c->session, &io, &given));
  on_leave(self, who->number);
}

/* With another token a connection may have lost what it is in. */
static void eject_unauthorized(lk_edge *self, connection *c) {
  uint64_t tag = 0, next_tag = 0;
  const lk_session_channel *next, *at = lk_session_next(&c->session, NULL, &tag);
  for (; at != NULL; at = next, tag = next_tag) {
    next = lk_session_next(&c->session, at, &next_tag);
    member *m = table_get(&self->members, tag);
    if (m != NULL && rights_of(self, m) < LK_RIGHTS_READ) eject(self, m, LK_ERR_TOKEN_CLAIMS);
  }
}

#define NO_TOKENS LK_LIT("{\"reason\":\"this server asks for no token\"}")

/* On the topic phoenix: the connection's own. */
static void on_token(lk_edge *self, connection *c, const lk_session_event *event) {
  lease *fresh = NULL;
  if (self->options.access == NULL) {
    reply_error(self, c, event, NO_TOKENS);
    return;
  }
  lk_err err = take_token(self, c, event->payload, LK_SLICE_EMPTY, &fresh);
  if (err == LK_OK && !lk_slice_equal(subject_of_lease(fresh), subject_of_lease(c->lease))) {
    free_lease(self, fresh);
    err = LK_ERR_TOKEN_CLAIMS;
  }
  if (err != LK_OK) {
    reply_error(self, c, event, write_error(self, err));
    return;
  }
  free_lease(self, c->lease);
  c->lease = fresh;
  reply_expiry(self, c, event, fresh);
  eject_unauthorized(self, c);
}

/* The text of {"token": text}. */
static bool read_token(lk_edge *self, const lk_session_event *event, lk_slice *token) {
  lk_json_reader in;
  lk_json_member wanted = { .name = LK_LIT_INIT("token") };
  if (event->is_binary) return false;
  lk_err err = lk_json_reader_init(&in, event->payload, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, &wanted, 1);
  return err == LK_OK && lk_json_get_string(&wanted.value, token) == LK_OK;
}

/* On a topic: for that alone. What it does not allow leaves the one before in force. */
static void on_topic_token(lk_edge *self, member *m, const lk_session_event *event) {
  connection *c = m->connection;
  lease *fresh = NULL;
  lk_slice token;
  if (self->options.access == NULL || !read_token(self, event, &token)) {
    reply_error(self, c, event,
                self->options.access == NULL ? NO_TOKENS
                                             : LK_LIT("{\"reason\":\"token_missing\"}"));
    return;
  }
  lk_err err = take_token(self, c, token, subject_on(c, m->lease), &fresh);
  if (err == LK_OK && rights_on(self, c, fresh, home_name(m->topic)) < LK_RIGHTS_READ) {
    self->stats.unauthorized++;
    free_lease(self, fresh);
    reply_error(self, c, event, UNAUTHORIZED);
    return;
  }
  if (err != LK_OK) {
    reply_error(self, c, event, write_error(self, err));
    return;
  }
  free_lease(self, m->lease);
  m->lease = fresh;
  fresh->member = m;
  reply_expiry(self, c, event, fresh);
}

static void end_lease(lk_edge *self, lease *l, lk_err why) {
  self->stats.leases_ended++;
  if (l->member != NULL) eject(self, l->member, why);
  else end_connection(self, l->connection, why);
}

uint64_t lk_edge_deadline(const lk_edge *self) {
  const lk_heap_item *first = lk_heap_first(&self->leases);
  uint64_t at = first != NULL ? first->key : UINT64_MAX;
  return self->must_greet ? lk_min_u64(at, self->greet_at_ms) : at;
}

/* Houses that were given up are asked for another HELLO, at most once in a while. */
static void greet_again(lk_edge *self, uint64_t wall_ms) {
  /* The date may have been set back: then it is asked at once. */
  bool is_due = wall_ms >= self->greet_at_ms || self->greet_at_ms - wall_ms > GREET_MS;
  if (!self->must_greet || !is_due) return;
  self->must_greet = false;
  self->greet_at_ms = wall_ms > UINT64_MAX - GREET_MS ? wall_ms : wall_ms + GREET_MS;
  for (uint32_t i = 0; i < self->options.houses_count; i++) {
    house *h = &self->houses[i];
    if (!h->must_greet) continue;
    LK_COVERED(edge_greets_again);
    h->must_greet = false;
    if (h->greeting == 0) say_hello(self, h); /* else it has said it meanwhile */
  }
}

void lk_edge_step(lk_edge *self, uint64_t wall_ms) {
  const lk_heap_item *first;
  greet_again(self, wall_ms);
  while ((first = lk_heap_first(&self->leases)) != NULL && first->key <= wall_ms)
    end_lease(self, LK_CONTAINER(lk_heap_pop(&self->leases), lease, timer), LK_ERR_TOKEN_EXPIRED);
}

static bool is_revoked(const lk_edge *self, const lease *l) {
  const lk_access *access = self->options.access;
  return l != NULL && access->is_revoked(access->ctx, l->grant);
}

void lk_edge_recheck(lk_edge *self) {
  if (self->options.access == NULL) return;
  for (uint32_t i = 0; i < self->members.cap; i++) {
    const member *m = self->members.slots[i].thing;
    if (m != NULL && is_revoked(self, m->lease)) end_lease(self, m->lease, LK_ERR_TOKEN_REVOKED);
  }
  for (uint32_t i = 0; i < self->connections.cap; i++) {
    const connection *c = self->connections.slots[i].thing;
    if (c != NULL && is_revoked(self, c->lease)) end_lease(self, c->lease, LK_ERR_TOKEN_REVOKED);
  }
}

/* ---- messages ---- */

static void on_message(lk_edge *self, connection *c, const lk_session_event *event) {
  member *m = table_get(&self->members, event->tag);
  if (m == NULL) {
    reply_error(self, c, event, LK_LIT("{\"reason\":\"not joined\"}"));
  } else if (lk_slice_equal(event->event, LK_LIT("access_token"))) {
    on_topic_token(self, m, event);
  } else if (rights_of(self, m) < LK_RIGHTS_READ) {
    self->stats.unauthorized++;
    reply_error(self, c, event, UNAUTHORIZED);
  } else if (ask(self, m, event) != LK_OK) {
    reply_error(self, c, event, LK_LIT("{\"reason\":\"server full\"}"));
  }
}

static void on_event(lk_edge *self, connection *c, const lk_session_event *event) {
  switch (event->kind) {
  case LK_SESSION_JOIN: on_join(self, c, event); break;
  case LK_SESSION_MESSAGE: on_message(self, c, event); break;
  case LK_SESSION_LEAVE: on_leave(self, event->tag); break;
  case LK_SESSION_TOKEN: on_token(self, c, event); break;
  }
}

lk_err lk_edge_open_document(lk_edge *self, uint64_t number, lk_slice name, lk_slice payload) {
  lk_session_events events;
  connection *c = table_get(&self->connections, number);
  if (c == NULL || c->is_closing) return LK_ERR_CLOSED;
  lk_session_io io = io_of(self);
  lk_arena_reset(&self->scratch);
  lk_err err = lk_session_open(&c->session, &io, name, payload, &events);
  for (uint32_t i = 0; i < events.count; i++) on_event(self, c, &events.items[i]);
  return err;
}

lk_err lk_edge_receive(lk_edge *self, uint64_t number, lk_slice bytes, bool is_binary) {
  lk_session_events events;
  connection *c = table_get(&self->connections, number);
  if (c == NULL || c->is_closing) return LK_ERR_CLOSED;
  lk_session_io io = io_of(self);
  uint32_t before;
  self->stats.messages_in++;
  lk_arena_reset(&self->scratch);
  if (!begin_speech(self, c, &before)) return (lk_err)c->reason;
  lk_err err = lk_session_feed(&c->session, &io, bytes, is_binary, &events);
  end_speech(self, c, before, LK_OK);
  if (err != LK_OK) return err;
  for (uint32_t i = 0; i < events.count; i++) on_event(self, c, &events.items[i]);
  return LK_OK;
}

/* ---- connections ---- */

lk_err lk_edge_connect(lk_edge *self, lk_message_form form, lk_grant *grant, uint64_t *number) {
  connection *c = lk_alloc_bytes(self->alloc, sizeof *c);
  if (c == NULL) {
    lk_grant_free(grant, self->alloc);
    return LK_ERR_NOMEM;
  }
  *c = (connection){ 0 };
  lk_err err = make_lease(self, grant, c, &c->lease);
  if (err == LK_OK) err = table_add(self->alloc, &self->connections, c, number);
  if (err != LK_OK) {
    free_lease(self, c->lease);
    lk_free_bytes(self->alloc, c, sizeof *c);
    return err;
  }
  c->number = *number;
  lk_session_init(&c->session, form);
  return LK_OK;
}

void lk_edge_disconnect(lk_edge *self, uint64_t number) {
  lk_session_event event;
  connection *c = table_get(&self->connections, number);
  if (c == NULL) return;
  lk_session_io io = io_of(self);
  if (c->is_closing && !c->is_told) forget_end(self, c);
  c->is_closing = c->is_told = true;
  while (lk_session_end(&c->session, &io, &event)) on_leave(self, event.tag);
  lk_session_deinit(&c->session, self->alloc);
  table_remove(&self->connections, number);
  free_lease(self, c->lease);
  lk_free_bytes(self->alloc, c, sizeof *c);
}

bool lk_edge_is_full(const lk_edge *self, uint64_t number) {
  const connection *c = table_get(&self->connections, number);
  return c != NULL && c->is_full;
}

bool lk_edge_is_answered(const lk_edge *self, uint64_t number) {
  const connection *c = table_get(&self->connections, number);
  return c == NULL || c->unanswered == 0;
}

/* ---- what houses answer ---- */

static asked *take_asked(house *h, uint64_t request, bool is_join) {
  const asked *a = lk_window_get(&h->asked, request);
  return a != NULL && a->is_join == is_join ? lk_window_take(&h->asked, request) : NULL;
}

/* What came behind a join that failed has nobody to go to. */
static void answer_too_late(lk_edge *self, member *who) {
  connection *c = who->connection;
  lk_session_io io = io_of(self);
  for (lk_link *at = who->asked.first; at != NULL; at = at->next) {
    uint32_t before;
    const lk_session_answer given = { .topic = topic_name(who->topic),
                                      .ref = asked_ref(LK_CONTAINER(at, asked, link)) };
    if (begin_speech(self, c, &before))
      end_speech(self, c, before, lk_session_too_late(&c->session, &io, &given));
  }
}

/* The answer to |a|, which is done with. |ends|: so is its member. */
static void answer(lk_edge *self, asked *a, const lk_bus_message *m,
                   lk_err (*how)(lk_session *, const lk_session_io *, const lk_session_answer *),
                   bool ends) {
  member *who = a->member;
  connection *c = who->connection;
  lk_session_io io = io_of(self);
  const lk_session_answer given = { .topic = topic_name(who->topic),
                                    .channel = who->channel,
                                    .ref = asked_ref(a),
                                    .status = m->event,
                                    .payload = m->payload,
                                    .is_binary = m->binary,
                                    .dialect = (lk_message_dialect)who->dialect };
  uint32_t before;
  if (begin_speech(self, c, &before)) end_speech(self, c, before, how(&c->session, &io, &given));
  if (self->now_us > 0)
    lk_histogram_add(&self->latency, (uint32_t)((uint32_t)self->now_us - a->asked_us));
  free_asked(self, a);
  if (!ends) return;
  answer_too_late(self, who);
  free_member(self, who);
}

/* |set| has one profile, or none where it stays. */
static void change_profile(member *m, lk_profile_set set) {
  for (unsigned i = 0; i < LK_PROFILES; i++) {
    if ((set >> i & 1) != 0) m->profile = i & 3;
  }
}

/* ---- who reads slowly ---- */

static void tell_lag(lk_edge *self, const member *m) {
  tell(self, m->topic->house,
       &(lk_bus_message){ .kind = LK_BUS_LAG, .member = m->number, .request = m->connection->lag });
}

void lk_edge_set_lag(lk_edge *self, uint64_t number, lk_bus_lag lag) {
  connection *c = table_get(&self->connections, number);
  uint64_t tag = 0;
  if (c == NULL || c->lag == lag) return;
  LK_COVERED(edge_lag_changes);
  c->lag = (uint8_t)lag;
  const lk_session_channel *at = lk_session_next(&c->session, NULL, &tag);
  for (; at != NULL; at = lk_session_next(&c->session, at, &tag)) {
    const member *m = table_get(&self->members, tag);
    if (m != NULL && m->is_in) tell_lag(self, m);
  }
}

/* Who heard of presence hears of it anew when it is in step again. */
static void on_lag(lk_edge *self, const lk_bus_message *m) {
  member *who = table_get(&self->members, m->member);
  if (who == NULL || !who->is_in) return;
  change_profile(who, m->profiles);
  bool was_behind = who->is_behind;
  who->is_behind = m->request == LK_BUS_BEHIND;
  if (was_behind && !who->is_behind && who->audience == LK_BUS_HEARERS)
    who->audience = LK_BUS_WAITERS;
}

/* ---- answers ---- */

static void on_answer(lk_edge *self, house *h, const lk_bus_message *m) {
  bool is_join = m->kind != LK_BUS_REPLY && m->kind != LK_BUS_LATE;
  asked *a = take_asked(h, m->request, is_join);
  if (a == NULL && lk_queries_answer(&self->queries, &h->queries, m)) self->stats.unanswered--;
  if (a == NULL) return; /* left meanwhile */
  switch (m->kind) {
  case LK_BUS_ACCEPT:
    a->member->audience = m->audience & 3;
    change_profile(a->member, m->profiles);
    a->member->dialect = m->dialect & 3;
    let_in(a->member);
    if (a->member->connection->lag > 0) tell_lag(self, a->member);
    answer(self, a, m, lk_session_accept, false);
    break;
  case LK_BUS_REFUSE: answer(self, a, m, lk_session_refuse, true); break;
  case LK_BUS_UNMATCHED: answer(self, a, m, lk_session_unmatched, true); break;
  case LK_BUS_LATE: answer(self, a, m, lk_session_too_late, false); break;
  default:
    change_profile(a->member, m->profiles);
    answer(self, a, m, lk_session_reply, false);
    break;
  }
}

/* The room has found out what this member speaks. */
static void change_dialect(member *m, lk_message_dialect dialect) {
  if (dialect == LK_DIALECT_PLAIN || m->dialect == (uint32_t)dialect) return;
  if (m->is_in) m->topic->classes[class_of(m)]--;
  m->dialect = dialect & 3;
  if (m->is_in) m->topic->classes[class_of(m)]++;
}

static void on_push(lk_edge *self, const lk_bus_message *m) {
  member *who = table_get(&self->members, m->member);
  if (who == NULL) return;
  change_dialect(who, m->dialect);
  connection *c = who->connection;
  lk_session_io io = io_of(self);
  const lk_session_answer given = { .topic = topic_name(who->topic),
                                    .channel = who->channel,
                                    .event = m->event,
                                    .payload = m->payload,
                                    .is_binary = m->binary,
                                    .dialect = (lk_message_dialect)who->dialect };
  uint32_t before;
  if (begin_speech(self, c, &before))
    end_speech(self, c, before, lk_session_push(&c->session, &io, &given));
}

/* The room ended under the member. |event| is a word of the house's that needs no escapes. */
static void on_crash(lk_edge *self, const lk_bus_message *m) {
  member *who = table_get(&self->members, m->member);
  if (who == NULL) return;
  connection *c = who->connection;
  lk_session_io io = io_of(self);
  lk_buf reason;
  lk_buf_init(&reason, self->alloc, 1024);
  (void)lk_buf_append(&reason, LK_LIT("{\"reason\":\""));
  (void)lk_buf_append(&reason, m->event);
  lk_err err = lk_buf_append(&reason, LK_LIT("\"}"));
  lk_session_answer given = { .topic = topic_name(who->topic), .channel = who->channel };
  if (err == LK_OK) given.payload = lk_buf_slice(&reason);
  uint32_t before;
  if (begin_speech(self, c, &before))
    end_speech(self, c, before, lk_session_crash(&c->session, &io, &given));
  lk_buf_deinit(&reason);
  free_member(self, who);
}

/* ---- one message to many ---- */

/* Whether |m| is meant for |who|. Who waited for a state has it with this. */
static bool is_receiver(member *who, const lk_bus_message *m, unsigned classes) {
  if ((1u << class_of(who) & classes) == 0 || who->number == m->member ||
      who->connection->is_closing)
    return false;
  if (m->audience != LK_BUS_ALL && who->audience != m->audience) return false;
  if (who->is_behind || !lk_profile_is_in(m->profiles, (lk_profile)who->profile)) return false;
  if (m->audience == LK_BUS_WAITERS) who->audience = LK_BUS_HEARERS;
  return true;
}

static lk_err note_receivers(lk_edge *self, const topic *t, unsigned classes,
                             const lk_bus_message *m, uint32_t *count) {
  size_t cap, most = self->receivers_count + t->members.count;
  if (most > self->receivers_cap) {
    if (!lk_grow_cap(self->receivers_cap, most, 64, SIZE_MAX / 16, &cap)) return LK_ERR_LIMIT;
    uint64_t *receivers = lk_resize_array(self->alloc, self->receivers, self->receivers_cap, cap,
                                          sizeof *receivers);
    if (receivers == NULL) return LK_ERR_NOMEM;
    self->receivers = receivers;
    self->receivers_cap = cap;
  }
  *count = 0;
  for (lk_link *at = t->members.first; at != NULL; at = at->next) {
    member *who = LK_CONTAINER(at, member, link);
    if (!is_receiver(who, m, classes)) continue;
    self->receivers[self->receivers_count + *count] = who->connection->number;
    ++*count;
  }
  return LK_OK;
}

/* To all receivers whose class is in |classes|: they read the same bytes, those of |class|. */
static lk_err broadcast(lk_edge *self, const topic *t, const lk_bus_message *m, unsigned class,
                        unsigned classes) {
  lk_message_form form = (lk_message_form)(class / LK_DIALECTS);
  const lk_message message = { .topic = topic_name(t),
                               .event = m->event,
                               .payload = m->payload,
                               .binary = m->binary,
                               .dialect = (lk_message_dialect)(class % LK_DIALECTS) };
  uint32_t count;
  bool is_binary;
  if (!lk_message_is_sayable(form, &message)) return LK_OK;
  lk_err err = reserve_item(self);
  if (err == LK_OK) err = note_receivers(self, t, classes, m, &count);
  if (err != LK_OK || count == 0) return err;
  size_t start = lk_outbox_begin(&self->box);
  err = lk_message_encode_broadcast(form, &message, &self->box.bytes, &is_binary);
  err = lk_outbox_end_as(&self->box, start, is_binary, err);
  if (err != LK_OK) return err;
  add_item(self, (item){ .kind = LK_EDGE_SEND,
                         .messages = 1,
                         .receivers = count,
                         .receivers_at = self->receivers_count });
  self->receivers_count += count;
  return LK_OK;
}

/* Those who cannot be told end: they come back, and get the state. */
static void end_receivers(lk_edge *self, const topic *t, unsigned classes, lk_err why) {
  for (const lk_link *at = t->members.first; at != NULL; at = at->next) {
    const member *who = LK_CONTAINER(at, member, link);
    if ((1u << class_of(who) & classes) != 0) end_connection(self, who->connection, why);
  }
}

/* To those who came by one name. */
static void broadcast_to_all(lk_edge *self, const topic *t, const lk_bus_message *m) {
  unsigned done = 0;
  for (unsigned i = 0; i < LK_MESSAGE_CLASSES; i++) {
    unsigned classes = 0;
    if (t->classes[i] == 0 || (done >> i & 1) != 0) continue;
    unsigned class = lk_message_shared_class(i, m->binary);
    for (unsigned j = 0; j < LK_MESSAGE_CLASSES; j++) {
      if (lk_message_shared_class(j, m->binary) == class) classes |= 1u << j;
    }
    done |= classes;
    lk_err err = broadcast(self, t, m, class, classes);
    if (err != LK_OK) end_receivers(self, t, classes, err);
  }
}

static void on_broadcast(lk_edge *self, const lk_bus_message *m) {
  topic *const *place = lk_map_get(&self->topics, m->topic);
  if (place == NULL) return;
  broadcast_to_all(self, *place, m);
  for (const topic *t = (*place)->aliases; t != NULL; t = t->next) broadcast_to_all(self, t, m);
}

/* ---- a house that begins ---- */

/* Who heard of presence hears of it anew: the house does not know what was told. */
static void restore_members(lk_edge *self, uint32_t index) {
  for (uint32_t i = 0; i < self->members.cap; i++) {
    member *m = self->members.slots[i].thing;
    if (m == NULL || !m->is_in || m->topic->house != index) continue;
    if (m->audience == LK_BUS_HEARERS) m->audience = LK_BUS_WAITERS;
    m->is_behind = false; /* it is sent all, whatever it had */
    tell(self, index,
         &(lk_bus_message){ .kind = LK_BUS_RESTORE,
                            .member = m->number,
                            .topic = home_name(m->topic),
                            .payload = m->payload_len > 0 ? lk_slice_of(m->payload, m->payload_len)
                                                          : LK_LIT("{}"),
                            .rights = rights_of(self, m),
                            .subject = subject_on(m->connection, m->lease) });
    if (m->connection->lag > 0) tell_lag(self, m);
  }
}

static void on_hello(lk_edge *self, uint32_t index, const lk_bus_message *m) {
  house *h = &self->houses[index];
  const asked *a;
  if (m->generation == h->greeting) return;
  h->greeting = m->generation;
  say_hello(self, h);
  restore_members(self, index);
  for (uint64_t request = 0; (a = lk_window_next(&h->asked, &request)) != NULL; request++) {
    send_request(self, a, true);
  }
  const lk_query *q;
  for (uint64_t request = 0; (q = lk_window_next(&h->queries, &request)) != NULL; request++) {
    send_query(self, index, q, true);
  }
}

static void on_message_of_house(lk_edge *self, uint32_t index, const lk_bus_message *m) {
  switch (m->kind) {
  case LK_BUS_HELLO: on_hello(self, index, m); break;
  case LK_BUS_PUSH: on_push(self, m); break;
  case LK_BUS_BROADCAST: on_broadcast(self, m); break;
  case LK_BUS_CRASH: on_crash(self, m); break;
  case LK_BUS_LAG: on_lag(self, m); break;
  case LK_BUS_JOIN:
  case LK_BUS_RESTORE:
  case LK_BUS_MESSAGE:
  case LK_BUS_QUERY:
  case LK_BUS_LEAVE: break; /* what only edges say */
  default: on_answer(self, &self->houses[index], m); break;
  }
}

void lk_edge_feed(lk_edge *self, uint32_t index, lk_slice bytes, bool boundary) {
  LK_ASSERT(index < self->options.houses_count);
  house *h = &self->houses[index];
  lk_bus_message m;
  lk_err err;
  if (boundary) lk_bus_reader_boundary(&h->reader);
  while ((err = lk_bus_read(&h->reader, &bytes, &m)) == LK_OK) on_message_of_house(self, index, &m);
  if (err == LK_ERR_MORE) return;
  /* We missed something: as if we had just been born. */
  LK_COVERED(edge_house_out_of_step);
  h->greeting = 0;
  say_hello(self, h);
}

lk_slice lk_edge_bus_output(const lk_edge *self, uint32_t index) {
  LK_ASSERT(index < self->options.houses_count);
  const house *h = &self->houses[index];
  return lk_slice_skip(lk_buf_slice(&h->out), h->out_off);
}

void lk_edge_bus_consume(lk_edge *self, uint32_t index, size_t count) {
  LK_ASSERT(index < self->options.houses_count);
  house *h = &self->houses[index];
  lk_bus_consume(&h->out, &h->out_off, count);
}

/* ---- life ---- */

bool lk_edge_is_idle(const lk_edge *self) { return self->stats.unanswered == 0; }

lk_edge_stats lk_edge_get_stats(const lk_edge *self) {
  lk_edge_stats stats = self->stats;
  stats.connections = self->connections.count;
  stats.members = self->members.count;
  return stats;
}

void lk_edge_set_time(lk_edge *self, uint64_t now_us) { self->now_us = now_us; }

const lk_histogram *lk_edge_latency(const lk_edge *self) { return &self->latency; }

lk_err lk_edge_open(const lk_edge_options *options, lk_edge **out) {
  const lk_alloc *alloc = options->env->alloc;
  const lk_limits *limits = options->limits;
  uint64_t members_max = (uint64_t)limits->server_connections_count * limits->channel_topics_count;
  LK_ASSERT(options->generation != 0);
  LK_ASSERT(options->houses_count > 0 && options->houses_count <= LK_EDGE_HOUSES_MAX);
  LK_ASSERT(lk_aliases_are_apart(&options->aliases));
  lk_edge *self = lk_alloc_bytes(alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_edge){ .options = *options, .alloc = alloc, .limits = limits };
  self->houses = lk_alloc_array(alloc, options->houses_count, sizeof *self->houses);
  if (self->houses == NULL) {
    lk_free_bytes(alloc, self, sizeof *self);
    return LK_ERR_NOMEM;
  }
  self->connections = (table){ .first_free = NO_PLACE,
                               .count_max = limits->server_connections_count };
  self->members = (table){ .first_free = NO_PLACE,
                           .count_max = (uint32_t)lk_min_u64(members_max, NO_PLACE / 2) };
  lk_map_init(&self->topics, alloc, sizeof(topic *), self->members.count_max, options->hash_seed);
  lk_heap_init(&self->leases, alloc, UINT32_MAX / 2);
  lk_arena_init(&self->scratch, alloc, (size_t)limits->json_bytes * 4);
  lk_outbox_init(&self->box, alloc, limits->bus_output_bytes);
  lk_queries_init(&self->queries, alloc, limits->bus_frame_bytes);
  for (uint32_t i = 0; i < options->houses_count; i++) {
    house *h = &self->houses[i];
    *h = (house){ .request_next = 1 };
    lk_bus_reader_init(&h->reader, alloc, limits->bus_frame_bytes);
    lk_buf_init(&h->out, alloc, limits->bus_output_bytes);
    lk_window_init(&h->asked, alloc, limits->bus_requests_count);
    lk_window_init(&h->queries, alloc, limits->bus_requests_count);
    say_hello(self, h);
  }
  *out = self;
  return LK_OK;
}

void lk_edge_close(lk_edge *self) {
  if (self == NULL) return;
  const lk_alloc *alloc = self->alloc;
  for (uint32_t i = 0; i < self->connections.cap; i++) {
    const connection *c = self->connections.slots[i].thing;
    if (c != NULL) lk_edge_disconnect(self, c->number);
  }
  for (uint32_t i = 0; i < self->options.houses_count; i++) {
    lk_bus_reader_deinit(&self->houses[i].reader);
    lk_buf_deinit(&self->houses[i].out);
    lk_window_deinit(&self->houses[i].asked);
    lk_queries_clear(&self->queries, &self->houses[i].queries);
    lk_window_deinit(&self->houses[i].queries);
  }
  lk_free_array(alloc, self->houses, self->options.houses_count, sizeof *self->houses);
  lk_free_array(alloc, self->connections.slots, self->connections.cap, sizeof(slot));
  lk_free_array(alloc, self->members.slots, self->members.cap, sizeof(slot));
  lk_free_array(alloc, self->items, self->items_cap, sizeof *self->items);
  lk_free_array(alloc, self->receivers, self->receivers_cap, sizeof *self->receivers);
  lk_map_deinit(&self->topics);
  lk_heap_deinit(&self->leases);
  lk_arena_deinit(&self->scratch);
  lk_outbox_deinit(&self->box);
  lk_queries_deinit(&self->queries);
  lk_free_bytes(alloc, self, sizeof *self);
}
