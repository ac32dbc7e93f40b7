/* channel/relay.c -- two tables, and frames between them.
 *
 *   asking edge                                   serving edge
 *     asked: number -> waiter, until what was       served, of each peer: number -> request, its body and session,
 *     answered is written or lost                   until the answer has gone, or what became of it is known
 *
 * A request without an answer is in one of two lists: waiting, the oldest first, which time and the death of its edge end;
 * or gone, until the host has polled it. An answer with messages leaves its request in |asked|, out of both lists,
 * since the serving edge keeps the messages until it hears what became of them.
 *
 * Numbers begin at a random place, so that an answer to an edge that has died is none to its successor.
 *
 * Nothing here waits for an edge that is there and does not read: its frames gather up to bus_output_bytes,
 * then requests are refused. What cannot be said to it (no memory for the frame) is made up by the other side's clock:
 * an answer that never comes ends by the asker's patience, messages of which nobody heard by the session's end. */
#include "channel/relay.h"

#include "codec/base64.h"

typedef struct asked {
  lk_link link; /* in waiting or gone, while |is_open| */
  lk_poller *waiter;
  uint64_t number;
  uint64_t since_ms;
  uint32_t edge;
  bool is_open; /* has no answer */
} asked;

typedef struct served {
  lk_poller poller;
  uint32_t edge;
  uint64_t number;
  uint64_t session; /* 0: not known yet */
  lk_buf body;
} served;

struct lk_relay_peer {
  lk_bus_reader reader;
  lk_buf out;
  size_t out_off;
  uint64_t greeting; /* the generation that it said; 0: none yet */
  lk_map served;
};

static lk_slice key_of(const uint64_t *number) { return lk_slice_of(number, sizeof *number); }

static lk_err say(lk_relay *self, uint32_t edge, lk_bus_message message) {
  lk_relay_peer *p = &self->peers[edge];
  lk_err err = lk_bus_encode(&message, self->options.limits->bus_frame_bytes, &p->out);
  if (err != LK_OK) lk_buf_truncate(&p->out, p->out.len); /* errors are remembered until then */
  return err;
}

/* ---- what was asked ---- */

static asked *find_asked(const lk_relay *self, uint64_t number) {
  asked *const *place = lk_map_get(&self->asked, key_of(&number));
  return place != NULL ? *place : NULL;
}

static void close_asked(lk_relay *self, asked *a) {
  if (!a->is_open) return;
  a->is_open = false;
  lk_list_remove(&self->waiting, &a->link);
}

static void forget_asked(lk_relay *self, asked *a) {
  (void)lk_map_remove(&self->asked, key_of(&a->number));
  lk_free_bytes(self->options.alloc, a, sizeof *a);
}

static void lose_asked(lk_relay *self, asked *a) {
  close_asked(self, a);
  lk_list_push_last(&self->gone, &a->link);
  (void)lk_map_remove(&self->asked, key_of(&a->number)); /* nothing can be said of it any more */
}

/* All that |edge| was asked; what it has answered stays, and is no longer its affair. */
static void lose_asked_of(lk_relay *self, uint32_t edge) {
  for (lk_link *at = self->waiting.first, *next; at != NULL; at = next) {
    asked *a = LK_CONTAINER(at, asked, link);
    next = at->next;
    if (a->edge == edge) lose_asked(self, a);
  }
}

static asked *make_asked(lk_relay *self, uint32_t edge, const lk_longpoll_request *request) {
  void *value;
  bool is_new;
  asked *a = lk_alloc_bytes(self->options.alloc, sizeof *a);
  if (a == NULL) return NULL;
  *a = (asked){ .waiter = request->waiter,
                .number = self->last_number + 1,
                .since_ms = request->now_ms,
                .edge = edge,
                .is_open = true };
  if (lk_map_put(&self->asked, key_of(&a->number), &value, &is_new) != LK_OK) {
    lk_free_bytes(self->options.alloc, a, sizeof *a);
    return NULL;
  }
  *(asked **)value = a;
  self->last_number++;
  lk_list_push_last(&self->waiting, &a->link);
  return a;
}

lk_err lk_relay_ask(lk_relay *self, uint32_t edge, const lk_longpoll_request *request, bool is_post,
                    uint64_t *number) {
  LK_ASSERT(edge < self->options.edges_count && edge != self->options.index);
  asked *a = make_asked(self, edge, request);
  if (a == NULL) return LK_ERR_NOMEM;
  lk_err err = say(self, edge,
                   (lk_bus_message){ .kind = is_post ? LK_BUS_POLL_POST : LK_BUS_POLL_GET,
                                     .request = a->number,
                                     .topic = request->token,
                                     .payload = is_post ? request->body : LK_SLICE_EMPTY,
                                     .binary = is_post && request->is_batch });
  if (err != LK_OK) {
    close_asked(self, a);
    forget_asked(self, a);
    return err;
  }
  *number = a->number;
  return LK_OK;
}

/* Who went while its answer was about to be polled is not told. */
static void forget_gone(lk_relay *self, uint64_t number) {
  for (lk_link *at = self->gone.first; at != NULL; at = at->next) {
    asked *a = LK_CONTAINER(at, asked, link);
    if (a->number != number) continue;
    lk_list_remove(&self->gone, at);
    lk_free_bytes(self->options.alloc, a, sizeof *a);
    return;
  }
}

static void end_asked(lk_relay *self, uint64_t number, lk_bus_kind what) {
  asked *a = find_asked(self, number);
  if (a == NULL) {
    forget_gone(self, number);
    return;
  }
  (void)say(self, a->edge, (lk_bus_message){ .kind = what, .request = number });
  close_asked(self, a);
  forget_asked(self, a);
}

void lk_relay_lost(lk_relay *self, uint64_t number) { end_asked(self, number, LK_BUS_POLL_LOST); }

void lk_relay_written(lk_relay *self, uint64_t number) {
  end_asked(self, number, LK_BUS_POLL_WRITTEN);
}

static lk_relay_answer answer_of(const asked *a) {
  return (lk_relay_answer){ .waiter = a->waiter, .number = a->number };
}

bool lk_relay_poll(lk_relay *self, lk_relay_answer *out) {
  lk_link *first = lk_list_pop_first(&self->gone);
  if (first == NULL) return false;
  asked *a = LK_CONTAINER(first, asked, link);
  *out = answer_of(a);
  out->is_gone = true;
  lk_free_bytes(self->options.alloc, a, sizeof *a);
  return true;
}

/* |edge| answers only what it was asked, and once. */
static bool on_answer(lk_relay *self, uint32_t edge, const lk_bus_message *m,
                      lk_relay_answer *out) {
  asked *a = find_asked(self, m->request);
  if (a == NULL || !a->is_open || a->edge != edge) return false;
  *out = answer_of(a);
  out->is_gone = m->kind == LK_BUS_POLL_GONE;
  out->body = m->payload;
  out->has_messages = m->binary && !out->is_gone;
  close_asked(self, a);
  if (!out->has_messages) forget_asked(self, a);
  return true;
}

/* ---- what is served ---- */

static served *find_served(const lk_relay *self, uint32_t edge, uint64_t number) {
  served *const *place = lk_map_get(&self->peers[edge].served, key_of(&number));
  return place != NULL ? *place : NULL;
}

static void forget_served(lk_relay *self, served *s) {
  (void)lk_map_remove(&self->peers[s->edge].served, key_of(&s->number));
  lk_buf_deinit(&s->body);
  lk_free_bytes(self->options.alloc, s, sizeof *s);
}

static void lose_served(lk_relay *self, served *s) {
  lk_longpoll_lost(self->options.longpoll, s->session, &s->poller, self->now_ms);
  forget_served(self, s);
}

static void lose_served_of(lk_relay *self, uint32_t edge) {
  lk_slice key;
  void *value;
  for (uint32_t at = 0; lk_map_next(&self->peers[edge].served, &at, &key, &value);)
    lose_served(self, *(served **)value);
}

/* NULL where there is no memory for it, or where it has been asked already. */
static served *make_served(lk_relay *self, uint32_t edge, const lk_bus_message *m) {
  void *value;
  bool is_new;
  served *s = lk_alloc_bytes(self->options.alloc, sizeof *s);
  if (s == NULL) return NULL;
  *s = (served){ .poller.is_relayed = true, .edge = edge, .number = m->request };
  lk_buf_init(&s->body, self->options.alloc, self->options.limits->longpoll_body_bytes);
  lk_err err = lk_buf_append(&s->body, m->payload);
  if (err == LK_OK)
    err = lk_map_put(&self->peers[edge].served, key_of(&s->number), &value, &is_new);
  if (err == LK_OK && !is_new) err = LK_ERR_EXISTS;
  if (err == LK_OK) {
    *(served **)value = s;
    return s;
  }
  lk_buf_deinit(&s->body);
  lk_free_bytes(self->options.alloc, s, sizeof *s);
  return NULL;
}

static void say_gone(lk_relay *self, uint32_t edge, uint64_t number) {
  (void)say(self, edge, (lk_bus_message){ .kind = LK_BUS_POLL_GONE, .request = number });
}

static lk_err ask_longpoll(lk_relay *self, served *s, const lk_bus_message *m, lk_buf *json) {
  lk_longpoll *longpoll = self->options.longpoll;
  const lk_longpoll_request request = { .now_ms = self->now_ms,
                                        .token = m->topic,
                                        .waiter = &s->poller,
                                        .body = lk_buf_slice(&s->body),
                                        .is_batch = m->binary };
  return m->kind == LK_BUS_POLL_POST ? lk_longpoll_post(longpoll, &request, json, &s->session)
                                     : lk_longpoll_get(longpoll, &request, json, &s->session);
}

static void serve(lk_relay *self, uint32_t edge, const lk_bus_message *m) {
  lk_buf json;
  served *s = lk_longpoll_knows(self->options.longpoll, m->topic) ? make_served(self, edge, m)
                                                                  : NULL;
  if (s == NULL) {
    say_gone(self, edge, m->request);
    return;
  }
  lk_buf_init(&json, self->options.alloc, 4096);
  lk_err err = ask_longpoll(self, s, m, &json);
  if (err != LK_OK) say_gone(self, edge, m->request);
  else if (s->session == 0)
    (void)say(self, edge,
              (lk_bus_message){ .kind = LK_BUS_POLL_ANSWER,
                                .request = m->request,
                                .payload = lk_buf_slice(&json) });
  lk_buf_deinit(&json);
  if (err != LK_OK || s->session == 0) forget_served(self, s);
}

void lk_relay_take(lk_relay *self, const lk_longpoll_answer *answer) {
  served *s = LK_CONTAINER(answer->waiter, served, poller);
  lk_err err = say(self, s->edge,
                   (lk_bus_message){ .kind = LK_BUS_POLL_ANSWER,
                                     .request = s->number,
                                     .payload = answer->body,
                                     .binary = answer->has_messages });
  if (answer->has_messages && err != LK_OK) {
    LK_COVERED(relay_answer_has_no_room);
    lose_served(self, s);
  } else if (!answer->has_messages) {
    forget_served(self, s);
  }
}

static void on_written(lk_relay *self, uint32_t edge, const lk_bus_message *m) {
  served *s = find_served(self, edge, m->request);
  if (s == NULL) return;
  lk_longpoll_written(self->options.longpoll, s->session, &s->poller, self->now_ms);
  lose_served(self, s); /* which is nothing to a session that knows it as written */
}

static void on_lost(lk_relay *self, uint32_t edge, const lk_bus_message *m) {
  served *s = find_served(self, edge, m->request);
  if (s != NULL) lose_served(self, s);
}

/* ---- the other edges ---- */

static void say_hello(lk_relay *self, uint32_t edge) {
  (void)say(self, edge,
            (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = self->options.generation });
}

static void forget_peer(lk_relay *self, uint32_t edge) {
  lose_asked_of(self, edge);
  lose_served_of(self, edge);
}

static void on_hello(lk_relay *self, uint32_t edge, const lk_bus_message *m) {
  lk_relay_peer *p = &self->peers[edge];
  if (p->greeting == m->generation) return;
  /* The first one may come behind what we asked it: then it is no successor. */
  if (p->greeting != 0) forget_peer(self, edge);
  p->greeting = m->generation;
  say_hello(self, edge); /* who comes after us has not heard of it; whoever has passes it over */
}

static bool on_message(lk_relay *self, uint32_t edge, const lk_bus_message *m,
                       lk_relay_answer *out) {
  switch (m->kind) {
  case LK_BUS_HELLO: on_hello(self, edge, m); return false;
  case LK_BUS_POLL_GET:
  case LK_BUS_POLL_POST: serve(self, edge, m); return false;
  case LK_BUS_POLL_WRITTEN: on_written(self, edge, m); return false;
  case LK_BUS_POLL_LOST: on_lost(self, edge, m); return false;
  case LK_BUS_POLL_ANSWER:
  case LK_BUS_POLL_GONE: return on_answer(self, edge, m, out);
  default: return false; /* what is said between an edge and a room */
  }
}

bool lk_relay_feed(lk_relay *self, uint32_t edge, lk_slice *in, bool boundary,
                   lk_relay_answer *out) {
  LK_ASSERT(edge < self->options.edges_count && edge != self->options.index);
  lk_relay_peer *p = &self->peers[edge];
  lk_bus_message m;
  lk_err err;
  if (boundary) lk_bus_reader_boundary(&p->reader);
  while ((err = lk_bus_read(&p->reader, in, &m)) == LK_OK) {
    if (on_message(self, edge, &m, out)) return true;
  }
  if (err != LK_ERR_MORE) { /* we missed something, whatever it was */
    LK_COVERED(relay_edge_out_of_step);
    forget_peer(self, edge);
  }
  return false;
}

lk_slice lk_relay_output(const lk_relay *self, uint32_t edge) {
  LK_ASSERT(edge < self->options.edges_count);
  const lk_relay_peer *p = &self->peers[edge];
  return lk_slice_skip(lk_buf_slice(&p->out), p->out_off);
}

void lk_relay_consume(lk_relay *self, uint32_t edge, size_t count) {
  LK_ASSERT(edge < self->options.edges_count);
  lk_bus_consume(&self->peers[edge].out, &self->peers[edge].out_off, count);
}

/* ---- tokens ---- */

uint32_t lk_relay_edge_of(const lk_relay *self, lk_slice token) {
  uint8_t bytes[LK_LONGPOLL_RANDOM_LEN];
  lk_buf decoded = { .ptr = bytes, .cap = sizeof bytes, .max = sizeof bytes };
  if (token.len != LK_LONGPOLL_TOKEN_LEN) return self->options.index;
  if (lk_base64_decode(&decoded, token, LK_BASE64_FORM_URL) != LK_OK) return self->options.index;
  return bytes[LK_LONGPOLL_RANDOM_LEN - 1] % self->options.edges_count;
}

void lk_relay_mark(const lk_relay *self, uint8_t random[LK_LONGPOLL_RANDOM_LEN]) {
  uint8_t *last = &random[LK_LONGPOLL_RANDOM_LEN - 1];
  uint32_t count = self->options.edges_count;
  uint32_t rounds = 256 / count; /* so many values leave the same index */
  *last = (uint8_t)(*last % rounds * count + self->options.index);
}

/* ---- time and the end ---- */

uint64_t lk_relay_deadline(const lk_relay *self) {
  const lk_link *first = self->waiting.first;
  if (first == NULL) return UINT64_MAX;
  return LK_CONTAINER(first, asked, link)->since_ms + self->options.patience_ms;
}

void lk_relay_tick(lk_relay *self, uint64_t now_ms) {
  self->now_ms = now_ms;
  while (lk_relay_deadline(self) <= now_ms) {
    asked *a = LK_CONTAINER(self->waiting.first, asked, link);
    (void)say(self, a->edge, (lk_bus_message){ .kind = LK_BUS_POLL_LOST, .request = a->number });
    lose_asked(self, a);
  }
}

void lk_relay_end_all(lk_relay *self) {
  while (self->waiting.first != NULL)
    lose_asked(self, LK_CONTAINER(self->waiting.first, asked, link));
}

/* ---- life ---- */

lk_err lk_relay_open(lk_relay *self, const lk_relay_options *options) {
  const lk_alloc *alloc = options->alloc;
  const lk_limits *limits = options->limits;
  uint32_t count = options->edges_count;
  LK_ASSERT(count > 0 && count <= LK_RELAY_EDGES_MAX && options->index < count);
  LK_ASSERT(options->generation != 0);
  *self = (lk_relay){ .options = *options, .last_number = options->generation >> 2 };
  lk_map_init(&self->asked, alloc, sizeof(asked *), limits->server_connections_count,
              options->hash_seed);
  self->peers = lk_alloc_array(alloc, count, sizeof *self->peers);
  if (self->peers == NULL) return LK_ERR_NOMEM;
  for (uint32_t i = 0; i < count; i++) {
    lk_relay_peer *p = &self->peers[i];
    *p = (lk_relay_peer){ 0 };
    lk_bus_reader_init(&p->reader, alloc, limits->bus_frame_bytes);
    lk_buf_init(&p->out, alloc, limits->bus_output_bytes);
    lk_map_init(&p->served, alloc, sizeof(served *), limits->server_connections_count,
                options->hash_seed);
    if (i != options->index) say_hello(self, i);
  }
  return LK_OK;
}

static void free_asked(lk_relay *self) {
  lk_slice key;
  void *value;
  lk_relay_answer ignored;
  while (lk_relay_poll(self, &ignored)) continue;
  for (uint32_t at = 0; lk_map_next(&self->asked, &at, &key, &value);)
    lk_free_bytes(self->options.alloc, *(asked **)value, sizeof(asked));
  lk_map_deinit(&self->asked);
}

void lk_relay_close(lk_relay *self) {
  if (self->options.alloc == NULL) return;
  free_asked(self);
  for (uint32_t i = 0; self->peers != NULL && i < self->options.edges_count; i++) {
    lk_relay_peer *p = &self->peers[i];
    lose_served_of(self, i);
    lk_map_deinit(&p->served);
    lk_bus_reader_deinit(&p->reader);
    lk_buf_deinit(&p->out);
  }
  lk_free_array(self->options.alloc, self->peers, self->options.edges_count, sizeof *self->peers);
  *self = (lk_relay){ 0 };
}
