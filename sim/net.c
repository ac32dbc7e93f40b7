/* sim/net.c -- two queues for each connection, one delivery under way in each.
 *
 *        side 0 (who connected)                       side 1
 *          queue ── SYN, text, text, FIN ──> deliver     │
 *            │     deliver <── ACK, text, RST ──────── queue
 *
 * A queue's event is set for its first item. When it fires, the item is delivered, or, where the
 * path is blocked or the receiver is paused, tried again later. An item that has been stuck for
 * SIM_NET_GIVE_UP_US ends the sender's side.
 *
 * An end is a connection's number times two plus the side, so it is never used again and never 0.
 * A side is |known| while its process may still name it; a connection goes when neither side knows
 * it and both queues are empty. */
#include "sim/net.h"

#define RETRY_US (50u * SIM_MS)
#define STALL_MAX_US (20000u * SIM_MS)
#define CLOG_DELAY_MAX_US (3000u * SIM_MS)

/* LOST: what was sent when the connection was dead already; nobody hears it, but who has forgotten the connection says so. */
typedef enum item_kind { ITEM_SYN, ITEM_ACK, ITEM_TEXT, ITEM_LOST, ITEM_FIN, ITEM_RST } item_kind;

typedef struct item {
  lk_link link;
  item_kind kind;
  uint64_t due_us;
  size_t len;
  uint8_t bytes[];
} item;

typedef struct connection connection;

typedef struct side {
  connection *connection;
  sim_node *node;
  uint64_t node_starts; /* which life of the node's process this belongs to */
  bool known;           /* the process has this end */
  lk_list queue;        /* items from this side */
  size_t queued;
  uint64_t stuck_since_us; /* SIM_NEVER: the first item is not stuck */
  sim_event deliver;
} side;

struct connection {
  sim_net *net;
  uint64_t number;
  side sides[2];
  bool is_cut; /* it died: what was not under way then is lost */
};

typedef struct datagram {
  lk_link link;
  sim_net *net;
  sim_node *from;
  sim_node *to;
  sim_event arrive;
  size_t len;
  uint8_t bytes[];
} datagram;

static lk_slice key_of(uint64_t number, uint8_t bytes[8]) {
  lk_store_be64(bytes, number);
  return lk_slice_of(bytes, 8);
}

static side *find(const sim_net *self, sim_end end) {
  uint8_t bytes[8];
  connection **at = lk_map_get(&self->connections, key_of(end / 2, bytes));
  return at == NULL ? NULL : &(*at)->sides[end % 2];
}

static unsigned side_index(const side *s) { return s == &s->connection->sides[1]; }
static side *other(side *s) { return &s->connection->sides[1 - side_index(s)]; }
static sim_end end_of(const side *s) { return s->connection->number * 2 + side_index(s); }

static bool is_blocked(const sim_net *self, const sim_node *from, const sim_node *to) {
  return self->blocks[from->number][to->number] > 0;
}

static uint64_t draw_delay(sim_net *self, const sim_node *from, const sim_node *to) {
  const sim_options *o = self->world->options;
  uint64_t delay = lk_prng_range(&self->prng, o->delay_low_us, o->delay_high_us);
  if (self->clogged_until_us[from->number][to->number] > self->world->now_us) {
    delay += lk_prng_below(&self->prng, CLOG_DELAY_MAX_US);
  }
  return delay;
}

/* ---- queues ---- */

static void free_item(side *s, item *i) {
  lk_free_bytes(s->connection->net->world->alloc, i, sizeof *i + i->len);
}

static void drop_queue(side *s) {
  for (lk_link *at; (at = lk_list_pop_first(&s->queue)) != NULL;)
    free_item(s, LK_CONTAINER(at, item, link));
  s->queued = 0;
  s->stuck_since_us = SIM_NEVER;
  sim_world_cancel(s->connection->net->world, &s->deliver);
}

static void push(side *s, item_kind kind, lk_slice text, uint64_t extra_us) {
  sim_net *net = s->connection->net;
  item *i = lk_alloc_bytes(net->world->alloc, sizeof *i + text.len);
  if (i == NULL) {
    sim_world_fail(net->world, "the simulator itself ran out of memory");
    return;
  }
  *i = (item){ .kind = kind, .len = text.len };
  if (text.len > 0) memcpy(i->bytes, text.ptr, text.len);
  i->due_us = net->world->now_us + draw_delay(net, s->node, other(s)->node) + extra_us;
  lk_list_push_last(&s->queue, &i->link);
  s->queued += text.len;
  if (s->queue.count == 1) sim_world_schedule(net->world, &s->deliver, i->due_us);
}

static void forget_if_unknown(connection *c) {
  uint8_t bytes[8];
  for (unsigned i = 0; i < 2; i++) {
    if (c->sides[i].known || c->sides[i].queue.count > 0) return;
  }
  (void)lk_map_remove(&c->net->connections, key_of(c->number, bytes));
  lk_free_bytes(c->net->world->alloc, c, sizeof *c);
}

/* ---- delivering ---- */

/* Whether |s|'s process is the one that has this end. */
static bool is_there(const side *s) {
  return s->known && s->node->is_up && s->node->starts == s->node_starts;
}

static bool ends_in_reset(const side *s) {
  return s->queue.last != NULL && LK_CONTAINER(s->queue.last, item, link)->kind == ITEM_RST;
}

static void tell_closed(side *s) {
  if (!is_there(s)) {
    s->known = false;
    return;
  }
  s->known = false;
  sim_world_note(s->node->world, s->node->name, "closed", end_of(s), 0, LK_SLICE_EMPTY);
  if (s->node->kind->closed != NULL) s->node->kind->closed(s->node, end_of(s));
}

static void accept(side *from, side *to) {
  if (!to->node->is_up || to->node->kind->accepted == NULL) {
    to->known = false;
    push(to, ITEM_RST, LK_SLICE_EMPTY, 0);
    return;
  }
  to->known = true;
  to->node_starts = to->node->starts;
  push(to, ITEM_ACK, LK_SLICE_EMPTY, 0);
  to->node->kind->accepted(to->node, end_of(to), from->node);
}

static void arrive(side *from, const item *i) {
  side *to = other(from);
  const sim_node_kind *kind = to->node->kind;
  lk_slice text = { i->bytes, i->len };
  from->connection->net->delivered++;
  if (i->kind == ITEM_SYN) {
    accept(from, to);
    return;
  }
  if (i->kind == ITEM_FIN || i->kind == ITEM_RST) {
    /* Nobody is left to hear what is under way, unless the wire itself broke for both sides. */
    if (!ends_in_reset(to)) drop_queue(to);
    tell_closed(to);
    return;
  }
  if (!is_there(to)) {
    /* The system answers for a process that knows nothing of it. */
    to->known = false;
    if (from->known) push(to, ITEM_RST, LK_SLICE_EMPTY, 0);
    drop_queue(from);
    return;
  }
  if (i->kind == ITEM_ACK && kind->opened != NULL) kind->opened(to->node, end_of(to));
  if (i->kind == ITEM_TEXT) {
    sim_world_note(to->node->world, to->node->name, "received", end_of(to), 0, text);
    if (kind->received != NULL) kind->received(to->node, end_of(to), text);
  }
}

/* True where the first item of |s| cannot arrive now; when to try again is set then. */
static bool is_stuck(side *s) {
  sim_net *net = s->connection->net;
  sim_node *to = other(s)->node;
  if (to->is_up && sim_node_is_paused(to)) {
    sim_world_schedule(net->world, &s->deliver, to->paused_until_us);
    return true;
  }
  if (!is_blocked(net, s->node, to) && !to->is_dark) return false;
  if (s->stuck_since_us == SIM_NEVER) s->stuck_since_us = net->world->now_us;
  if (net->world->now_us - s->stuck_since_us < SIM_NET_GIVE_UP_US) {
    sim_world_schedule(net->world, &s->deliver, net->world->now_us + RETRY_US);
    return true;
  }
  drop_queue(s);
  tell_closed(s); /* the other side is not told: half-open */
  return true;
}

static void on_deliver(sim_event *event) {
  side *s = LK_CONTAINER(event, side, deliver);
  connection *c = s->connection;
  if (!is_stuck(s)) {
    item *i = LK_CONTAINER(lk_list_pop_first(&s->queue), item, link);
    s->queued -= i->len;
    s->stuck_since_us = SIM_NEVER;
    if (s->queue.first != NULL) {
      sim_world_schedule(c->net->world, &s->deliver,
                         LK_CONTAINER(s->queue.first, item, link)->due_us);
    }
    arrive(s, i);
    free_item(s, i);
  }
  forget_if_unknown(c);
}

/* ---- what nodes do ---- */

sim_end sim_net_connect(sim_net *self, sim_node *from, sim_node *to) {
  uint8_t bytes[8];
  void *slot;
  bool is_new;
  connection *c = lk_alloc_bytes(self->world->alloc, sizeof *c);
  if (c == NULL ||
      lk_map_put(&self->connections, key_of(self->next, bytes), &slot, &is_new) != LK_OK) {
    lk_free_bytes(self->world->alloc, c, sizeof *c);
    sim_world_fail(self->world, "the simulator itself ran out of memory");
    return SIM_END_NONE;
  }
  *(connection **)slot = c;
  *c = (connection){ .net = self, .number = self->next++ };
  for (unsigned i = 0; i < 2; i++) {
    c->sides[i] =
        (side){ .connection = c, .node = i == 0 ? from : to, .stuck_since_us = SIM_NEVER };
    sim_event_init(&c->sides[i].deliver, on_deliver);
  }
  c->sides[0].known = true;
  c->sides[0].node_starts = from->starts;
  sim_world_note(self->world, from->name, "connect", c->number * 2, to->number, LK_SLICE_EMPTY);
  push(&c->sides[0], ITEM_SYN, LK_SLICE_EMPTY, 0);
  return c->number * 2;
}

/* The connection dies here and now: both sides hear of it after a while, or only one does. */
static void cut(side *s) {
  sim_net *net = s->connection->net;
  uint64_t who = lk_prng_below(&net->prng, 3);
  s->connection->is_cut = true;
  for (unsigned i = 0; i < 2; i++) {
    side *hears = &s->connection->sides[i];
    side *speaks = other(hears);
    if (lk_prng_chance(&net->prng, 1, 2)) drop_queue(speaks);
    if (who == 2 || who == i) push(speaks, ITEM_RST, LK_SLICE_EMPTY, 0);
  }
}

void sim_net_send(sim_net *self, sim_end end, lk_slice text) {
  side *s = find(self, end);
  uint64_t stall = 0;
  if (s == NULL || !s->known) return;
  if (s->connection->is_cut) {
    if (!ends_in_reset(s)) push(s, ITEM_LOST, LK_SLICE_EMPTY, 0);
    return;
  }
  if (sim_world_strikes(self->world, SIM_FAULT_net_cut, &self->prng)) {
    cut(s);
    return;
  }
  if (sim_world_strikes(self->world, SIM_FAULT_net_stall, &self->prng)) {
    stall = lk_prng_below(&self->prng, STALL_MAX_US);
  }
  push(s, ITEM_TEXT, text, stall);
}

void sim_net_close(sim_net *self, sim_end end) {
  side *s = find(self, end);
  if (s == NULL || !s->known) return;
  s->known = false;
  push(s, ITEM_FIN, LK_SLICE_EMPTY, 0);
}

size_t sim_net_queued(const sim_net *self, sim_end end) {
  const side *s = find(self, end);
  return s == NULL ? 0 : s->queued;
}

void sim_net_forget(sim_net *self, sim_node *node) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  while (lk_map_next(&self->connections, &cursor, &key, &value)) {
    connection *c = *(connection **)value;
    for (unsigned i = 0; i < 2; i++) {
      side *s = &c->sides[i];
      if (s->node != node || !s->known) continue;
      s->known = false;
      if (node->is_dark) drop_queue(s);
      else push(s, ITEM_FIN, LK_SLICE_EMPTY, 0);
    }
    forget_if_unknown(c);
  }
}

uint32_t sim_net_count(const sim_net *self) { return lk_map_count(&self->connections); }

/* ---- datagrams ---- */

static void free_datagram(datagram *d) {
  lk_list_remove(&d->net->datagrams, &d->link);
  sim_world_cancel(d->net->world, &d->arrive);
  lk_free_bytes(d->net->world->alloc, d, sizeof *d + d->len);
}

static void on_arrive(sim_event *event) {
  datagram *d = LK_CONTAINER(event, datagram, arrive);
  sim_node *to = d->to;
  bool heard = to->is_up && !is_blocked(d->net, d->from, to) && to->kind->datagram != NULL;
  if (heard && sim_node_is_paused(to)) {
    sim_world_schedule(d->net->world, event, to->paused_until_us);
    return;
  }
  if (heard) {
    lk_slice bytes = { d->bytes, d->len };
    d->net->delivered++;
    sim_world_note(to->world, to->name, "datagram", d->from->number, 0, bytes);
    to->kind->datagram(to, d->from, bytes);
  }
  free_datagram(d);
}

static void launch(sim_net *self, sim_node *from, sim_node *to, lk_slice bytes) {
  datagram *d = lk_alloc_bytes(self->world->alloc, sizeof *d + bytes.len);
  if (d == NULL) return; /* as good as lost */
  *d = (datagram){ .net = self, .from = from, .to = to, .len = bytes.len };
  if (bytes.len > 0) memcpy(d->bytes, bytes.ptr, bytes.len);
  lk_list_push_last(&self->datagrams, &d->link);
  sim_event_init(&d->arrive, on_arrive);
  sim_world_schedule(self->world, &d->arrive, self->world->now_us + draw_delay(self, from, to));
}

void sim_net_datagram(sim_net *self, sim_node *from, sim_node *to, lk_slice bytes) {
  if (sim_world_strikes(self->world, SIM_FAULT_net_drop, &self->prng)) return;
  launch(self, from, to, bytes);
  if (sim_world_strikes(self->world, SIM_FAULT_net_duplicate, &self->prng))
    launch(self, from, to, bytes);
}

/* ---- trouble ---- */

void sim_net_block(sim_net *self, uint32_t from, uint32_t to) {
  LK_ASSERT(from < SIM_NODES_MAX && to < SIM_NODES_MAX);
  self->blocks[from][to]++;
}

/* Healing may have let go before. */
void sim_net_unblock(sim_net *self, uint32_t from, uint32_t to) {
  if (self->blocks[from][to] > 0) self->blocks[from][to]--;
}

void sim_net_clog(sim_net *self, uint32_t from, uint32_t to, uint64_t until_us) {
  self->clogged_until_us[from][to] = lk_max_u64(self->clogged_until_us[from][to], until_us);
}

void sim_net_heal(sim_net *self) {
  memset(self->blocks, 0, sizeof self->blocks);
  memset(self->clogged_until_us, 0, sizeof self->clogged_until_us);
}

/* ---- life ---- */

void sim_net_init(sim_net *self, sim_world *world) {
  static const uint64_t seed[2] = { 0, 0 }; /* keys are our own */
  *self = (sim_net){ .world = world, .next = 1 };
  sim_world_stream(world, SIM_STREAM_NET, &self->prng);
  lk_map_init(&self->connections, world->alloc, sizeof(connection *), UINT32_MAX / 4, seed);
}

void sim_net_deinit(sim_net *self) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  if (self->world == NULL) return;
  while (self->datagrams.first != NULL)
    free_datagram(LK_CONTAINER(self->datagrams.first, datagram, link));
  while (lk_map_next(&self->connections, &cursor, &key, &value)) {
    connection *c = *(connection **)value;
    for (unsigned i = 0; i < 2; i++) drop_queue(&c->sides[i]);
    lk_free_bytes(self->world->alloc, c, sizeof *c);
  }
  lk_map_deinit(&self->connections);
  *self = (sim_net){ 0 };
}
