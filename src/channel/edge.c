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
 * How fast clients may go is the pacer's affair (channel/pacer.h): each message is taken out of buckets, and whoever is in debt is full
 * for a while, like somebody with too much unanswered. Either ends with the same RESUME.
 *
 * Before some topics stands a gate (channel/gate.h): a member of one is gated until its keeper has answered, and what it
 * asks has no number until then, so that numbers reach a house in order.
 *
 * Always: a member is on its topic's list exactly while it is in; a topic has a record exactly while
 * it has members, in or joining, or an alias has. */
#include "channel/edge_parts.h"

uint64_t lk_edge_deadline(const lk_edge *self) {
  const lk_heap_item *first = lk_heap_first(&self->leases);
  uint64_t at = first != NULL ? first->key : UINT64_MAX;
  return self->must_greet ? lk_min_u64(at, self->greet_at_ms) : at;
}

void lk_edge_step(lk_edge *self, uint64_t wall_ms) {
  const lk_heap_item *first;
  lk_edge_greet_again(self, wall_ms);
  while ((first = lk_heap_first(&self->leases)) != NULL && first->key <= wall_ms)
    lk_edge_end_lease(self, LK_CONTAINER(lk_heap_pop(&self->leases), lease, timer),
                      LK_ERR_TOKEN_EXPIRED);
}

bool lk_edge_is_idle(const lk_edge *self) { return self->stats.unanswered == 0; }

lk_edge_stats lk_edge_get_stats(const lk_edge *self) {
  lk_edge_stats stats = self->stats;
  stats.connections = self->connections.count;
  stats.members = self->members.count;
  stats.held = lk_pacer_held(&self->pacer);
  stats.held_by_connection = self->pacer.stats.by_connection;
  stats.held_by_subject = self->pacer.stats.by_subject;
  stats.held_by_topic = self->pacer.stats.by_topic;
  return stats;
}

void lk_edge_set_time(lk_edge *self, uint64_t now_us) { self->now_us = now_us; }

/* Who has no memory to be told waits on. */
void lk_edge_tick(lk_edge *self, uint64_t now_us) {
  connection *c;
  lk_edge_set_time(self, now_us);
  while ((c = lk_pacer_due(&self->pacer, now_us)) != NULL) {
    if (!c->is_full && lk_edge_reserve_item(self) != LK_OK) {
      LK_COVERED(edge_resumes_later);
      lk_pacer_put_off(&self->pacer, c->hold, now_us);
      return;
    }
    lk_pacer_let_go(&self->pacer, &c->hold, now_us);
    if (!c->is_full) lk_edge_resume(self, c);
  }
}

uint64_t lk_edge_tick_deadline(const lk_edge *self) { return lk_pacer_deadline(&self->pacer); }

const lk_histogram *lk_edge_latency(const lk_edge *self) { return &self->latency; }

const lk_histogram *lk_edge_holds(const lk_edge *self) { return &self->pacer.times; }

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
  self->houses = lk_alloc_array(alloc, houses_of(self), sizeof *self->houses);
  if (self->houses == NULL) {
    lk_free_bytes(alloc, self, sizeof *self);
    return LK_ERR_NOMEM;
  }
  self->connections = (table){ .first_free = NO_PLACE,
                               .count_max = limits->server_connections_count };
  self->members = (table){ .first_free = NO_PLACE,
                           .count_max = (uint32_t)lk_min_u64(members_max, NO_PLACE / 2) };
  lk_heap_init(&self->leases, alloc, UINT32_MAX / 2);
  lk_pacer_init(&self->pacer, alloc, &options->rates, limits->server_connections_count,
                options->hash_seed);
  lk_arena_init(&self->scratch, alloc, (size_t)limits->json_bytes * 4);
  lk_outbox_init(&self->box, alloc, limits->bus_output_bytes);
  lk_queries_init(&self->queries, alloc, limits->bus_frame_bytes);
  for (uint32_t i = 0; i < houses_of(self); i++) {
    house *h = &self->houses[i];
    *h = (house){ .request_next = 1, .unsent = 1, .unrestored = NO_PLACE };
    lk_bus_reader_init(&h->reader, alloc, limits->bus_frame_bytes);
    lk_buf_init(&h->out, alloc, limits->bus_output_bytes);
    lk_window_init(&h->asked, alloc, limits->bus_requests_count);
    lk_window_init(&h->queries, alloc, limits->bus_requests_count);
    lk_edge_say_hello(self, h);
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
  for (uint32_t i = 0; i < houses_of(self); i++) {
    lk_bus_reader_deinit(&self->houses[i].reader);
    lk_buf_deinit(&self->houses[i].out);
    lk_window_deinit(&self->houses[i].asked);
    lk_queries_clear(&self->queries, &self->houses[i].queries);
    lk_window_deinit(&self->houses[i].queries);
  }
  lk_free_array(alloc, self->houses, houses_of(self), sizeof *self->houses);
  lk_free_array(alloc, self->connections.slots, self->connections.cap, sizeof(slot));
  lk_free_array(alloc, self->members.slots, self->members.cap, sizeof(slot));
  lk_free_array(alloc, self->items, self->items_cap, sizeof *self->items);
  lk_free_array(alloc, self->receivers, self->receivers_cap, sizeof *self->receivers);
  LK_ASSERT(self->topics.count == 0); /* the last member took the last one with it */
  lk_heap_deinit(&self->leases);
  lk_pacer_deinit(&self->pacer);
  lk_arena_deinit(&self->scratch);
  lk_outbox_deinit(&self->box);
  lk_queries_deinit(&self->queries);
  lk_free_bytes(alloc, self, sizeof *self);
}
