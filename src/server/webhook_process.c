/* server/webhook_process.c -- one turn of the event loop, over and over.
 *
 *   rings from rooms ──> edge machine ──answers──┬─ "changes" ──> dues ──> stores ──> the next question
 *                                                └─ what the desk asked, a state vector
 *   rings from edges ──> desk ──┐
 *   dues that are due ──────────┴──> caller ──HTTP──> results ──> desk, dues
 *
 * A room is asked for its changes, keeps the question until there are some, and is asked again when what it said is written
 * down, GATHER_MS later: so however busy rooms are, they are asked a few times a second. A question that has waited for REASK_MS is
 * asked anew, so that requests behind it can be forgotten (channel/window.h).
 *
 * At most DELIVERIES_MAX messages about changes are under way at once. Of documents they have the generation and the state vector,
 * for which the room is asked first.
 *
 * Told to stop, it begins nothing new, and ends when what is under way has ended and is written down, or when its time is over. What is
 * due then is due when the next server begins. */
#include "server/webhook_process.h"

#include <string.h>
#include <unistd.h>

#include "base/budget.h"
#include "channel/edge.h"
#include "platform/posix/clock.h"
#include "platform/posix/heap.h"
#include "platform/posix/random.h"
#include "platform/posix/storage.h"
#include "server/log.h"
#include "server/loop.h"
#include "server/process.h"
#include "server/webhook_call.h"
#include "server/webhook_desk.h"
#include "server/webhook_store.h"

#define TURN_ROUNDS 8
#define PIECES_MAX 4096 /* of one process in one round: then it is the others' turn */
#define GATHER_MS 100u
#define REASK_MS 10000u
#define AGAIN_MS 1000u /* after what should not have happened */
#define LAZY_MS 500u   /* before it is written down that something was delivered */
#define DELIVERIES_MAX 16u
#define ANSWER_BYTES_MAX 65536u
#define REQUEST_BYTES_MAX (1u << 20)

/* What an answer belongs to, above what it is about. */
enum { TAG_CHANGES = 1, TAG_POSITION, TAG_DELIVERY, TAG_DESK };
#define TAG_SHIFT 56
#define TAG_REST ((UINT64_C(1) << TAG_SHIFT) - 1)

static uint64_t tag_of(uint64_t kind, uint64_t rest) { return kind << TAG_SHIFT | rest; }

typedef enum source_state { SOURCE_RESTING, SOURCE_ASKED, SOURCE_KEEPING } source_state;

/* A process for rooms, as one that tells of changes. */
typedef struct source {
  lk_webhook_cursor cursor;
  source_state state;
  uint32_t asked;     /* which question is the last: answers to others count for nothing */
  uint64_t at_ms;     /* when to ask */
  uint64_t needed[2]; /* KEEPING: versions that must be written down */
} source;

/* A message about a change that is under way. */
typedef struct delivery {
  lk_webhook_due *due; /* NULL: free */
  const lk_webhook_rule *rule;
  uint64_t began_us;
} delivery;

typedef struct webhook_process {
  const lk_webhook_process_options *options;
  lk_limits limits;
  lk_budget budget;
  lk_env env;
  lk_loop loop;
  lk_watch bell_watches[2];
  lk_watch storage_watch;
  lk_bell *bells[2]; /* as an edge, as a process for rooms */
  uint32_t edges_count;
  uint32_t rooms_count;
  lk_edge *edge;
  lk_link_sender to_rooms[LK_EDGE_HOUSES_MAX];
  lk_link_sender to_edges[LK_WEBHOOK_DESK_EDGES_MAX];
  lk_webhook_caller caller;
  lk_webhook_desk desk;
  lk_webhook_secret_files secrets;
  lk_webhook_dues dues;
  lk_posix_storage *files;
  lk_shared_storage *memory;
  lk_webhook_store stores[2]; /* durable, memory */
  source sources[LK_EDGE_HOUSES_MAX];
  lk_webhook_cursor cursors[LK_EDGE_HOUSES_MAX];
  delivery deliveries[DELIVERIES_MAX];
  lk_histogram latency;
  lk_histogram latency_told;
  uint64_t failed;
  uint64_t keep_at_ms; /* what is not urgent */
  uint64_t stop_ms;    /* LK_LOOP_NEVER while it serves */
} webhook_process;

static uint64_t now_of(const webhook_process *self) { return lk_loop_now(&self->loop); }

static bool is_stopping(const webhook_process *self) { return self->stop_ms != LK_LOOP_NEVER; }

static bool wants_changes(const webhook_process *self) {
  return self->options->webhooks->rules[LK_WEBHOOK_CHANGE].count > 0;
}

/* ---- asking rooms ---- */

static void ask_changes(webhook_process *self, uint32_t index) {
  source *s = &self->sources[index];
  lk_buf text;
  lk_buf_init(&text, self->env.alloc, 200);
  lk_err err = lk_webhook_news_ask(&s->cursor, &text);
  s->asked = (s->asked + 1) & UINT16_MAX;
  if (err == LK_OK)
    err = lk_edge_query(self->edge,
                        &(lk_question){ .house = index,
                                        .event = LK_LIT("changes"),
                                        .payload = lk_buf_slice(&text),
                                        .rights = LK_RIGHTS_ADMIN,
                                        .tag = tag_of(TAG_CHANGES, index << 16 | s->asked) });
  lk_buf_deinit(&text);
  s->state = err == LK_OK ? SOURCE_ASKED : SOURCE_RESTING;
  s->at_ms = now_of(self) + (err == LK_OK ? REASK_MS : AGAIN_MS);
}

static bool are_loaded(const webhook_process *self) {
  return self->stores[0].has_loaded && self->stores[1].has_loaded;
}

static void run_sources(webhook_process *self) {
  if (!wants_changes(self) || !are_loaded(self) || is_stopping(self)) return;
  for (uint32_t i = 0; i < self->rooms_count; i++) {
    source *s = &self->sources[i];
    if (s->state == SOURCE_KEEPING && lk_webhook_store_has(&self->stores[0], s->needed[0]) &&
        lk_webhook_store_has(&self->stores[1], s->needed[1]))
      s->state = SOURCE_RESTING;
    if (s->state != SOURCE_KEEPING && now_of(self) >= s->at_ms) ask_changes(self, i);
  }
}

static void take_changes(webhook_process *self, const lk_edge_output *output) {
  uint32_t index = (uint32_t)((output->tag & TAG_REST) >> 16), count = 0;
  source *s = &self->sources[index];
  if ((output->tag & UINT16_MAX) != s->asked) return; /* it has been asked anew */
  lk_err err = output->status == LK_ANSWER_OK ? LK_OK : LK_ERR_CANCELED;
  if (err == LK_OK)
    err = lk_webhook_news_read(output->bytes, &self->limits, self->env.alloc, now_of(self),
                               lk_posix_wall_ms(), &self->dues, &s->cursor, &count);
  s->at_ms = now_of(self) + (err != LK_OK ? AGAIN_MS : s->cursor.has_more ? 0 : GATHER_MS);
  s->state = SOURCE_RESTING;
  if (err != LK_OK || count == 0) return;
  s->state = SOURCE_KEEPING;
  s->needed[0] = self->dues.version[0];
  s->needed[1] = self->dues.version[1];
  self->cursors[index] = s->cursor;
}

/* ---- writing down ---- */

static bool is_urgent(const webhook_process *self) {
  for (uint32_t i = 0; i < self->rooms_count; i++) {
    if (self->sources[i].state == SOURCE_KEEPING) return true;
  }
  return is_stopping(self);
}

static void say_lost(const webhook_process *self, const lk_webhook_store *store) {
  (void)self;
  lk_log_say(LK_LOG_webhook_lost, "what is due to webhooks, of topics that are %s: %s (%s)",
             store->is_memory ? "in memory" : "durable", lk_err_text(store->err),
             lk_err_name(store->err));
}

static void run_stores(webhook_process *self) {
  bool is_dirty = false;
  for (int i = 0; i < 2; i++) {
    lk_webhook_store *store = &self->stores[i];
    if (lk_webhook_store_advance(store, &self->dues, self->cursors, self->rooms_count,
                                 now_of(self)))
      say_lost(self, store);
    lk_webhook_store_tick(store, now_of(self));
    is_dirty |= store->state == LK_WEBHOOK_STORE_RESTING &&
                !lk_webhook_store_has(store, self->dues.version[i]);
  }
  if (!is_dirty) {
    self->keep_at_ms = LK_LOOP_NEVER;
    return;
  }
  if (self->keep_at_ms == LK_LOOP_NEVER) self->keep_at_ms = now_of(self) + LAZY_MS;
  if (!is_urgent(self) && now_of(self) < self->keep_at_ms) return;
  for (int i = 0; i < 2; i++) {
    if (lk_webhook_store_keep(&self->stores[i], &self->dues, self->cursors, self->rooms_count) !=
        LK_OK)
      self->keep_at_ms = now_of(self) + AGAIN_MS;
    else if (lk_webhook_store_advance(&self->stores[i], &self->dues, self->cursors,
                                      self->rooms_count, now_of(self))) /* memory is at once */
      say_lost(self, &self->stores[i]);
  }
}

/* What was loaded is where rooms are asked from. */
static void begin_sources(webhook_process *self) {
  for (uint32_t i = 0; i < self->rooms_count; i++) {
    if (self->sources[i].asked == 0) self->sources[i].cursor.after = self->cursors[i].after;
  }
}

/* ---- delivering ---- */

static void put_off(webhook_process *self, delivery *d) {
  lk_webhook_dues_put_off(&self->dues, d->due, AGAIN_MS, now_of(self));
  d->due = NULL;
}

static uint64_t index_of(const webhook_process *self, const delivery *d) {
  return (uint64_t)(d - self->deliveries);
}

/* |position| is what a document's room says to that; empty: it is not known. */
static lk_err write_request(webhook_process *self, const delivery *d, lk_slice position,
                            lk_buf *out) {
  uint8_t id[LK_WEBHOOK_ID_LEN];
  lk_webhook_change change = lk_webhook_due_change(d->due);
  lk_buf body;
  change.has_generation = position.len >= 8;
  if (change.has_generation) {
    change.generation = lk_load_be64(position.ptr);
    change.state_vector = lk_slice_skip(position, 8);
  }
  lk_webhook_id(change.topic, change.sequence, change.first_ms, id);
  lk_buf_init(&body, self->env.alloc, REQUEST_BYTES_MAX);
  lk_err err = lk_webhook_write_change(&change, &body);
  if (err == LK_OK)
    err = lk_webhook_request(&d->rule->url, &self->secrets.secrets, lk_slice_of(id, sizeof id),
                             lk_posix_wall_ms(), lk_buf_slice(&body), out);
  lk_buf_deinit(&body);
  return err;
}

static void call(webhook_process *self, delivery *d, lk_slice position) {
  lk_buf request;
  lk_buf_init(&request, self->env.alloc, REQUEST_BYTES_MAX * 2);
  lk_err err = write_request(self, d, position, &request);
  d->began_us = lk_posix_monotonic_us();
  if (err == LK_OK)
    err = lk_webhook_caller_begin(&self->caller, &d->rule->url, lk_buf_slice(&request),
                                  ANSWER_BYTES_MAX, self->options->webhooks->times.timeout_ms,
                                  tag_of(TAG_DELIVERY, index_of(self, d)));
  if (err != LK_OK) put_off(self, d);
  lk_buf_deinit(&request);
}

static void begin_delivery(webhook_process *self, delivery *d) {
  d->rule = lk_webhook_find(&self->options->webhooks->rules[LK_WEBHOOK_CHANGE], d->due->topic);
  if (d->rule == NULL) { /* the rules were others when it was written down */
    lk_webhook_dues_delivered(&self->dues, d->due, now_of(self));
    d->due = NULL;
  } else if (d->due->is_deleted || !lk_slice_starts_with(d->due->topic, LK_LIT("doc:"))) {
    call(self, d, LK_SLICE_EMPTY);
  } else if (lk_edge_query(self->edge,
                           &(lk_question){ .topic = d->due->topic,
                                           .event = LK_LIT("position"),
                                           .payload = LK_LIT("{}"),
                                           .rights = LK_RIGHTS_READ,
                                           .tag = tag_of(TAG_POSITION, index_of(self, d)) }) !=
             LK_OK) {
    put_off(self, d);
  }
}

/* Who cannot be asked is told of without it: the topic may be gone. */
static void take_position(webhook_process *self, const lk_edge_output *output) {
  delivery *d = &self->deliveries[(output->tag & TAG_REST) % DELIVERIES_MAX];
  bool is_there = output->status == LK_ANSWER_OK && output->is_binary;
  LK_ASSERT(d->due != NULL);
  call(self, d,
       is_there && output->bytes.len < REQUEST_BYTES_MAX / 4 ? output->bytes : LK_SLICE_EMPTY);
}

static void run_deliveries(webhook_process *self) {
  if (is_stopping(self) || !are_loaded(self)) return;
  for (uint32_t i = 0; i < DELIVERIES_MAX && !lk_webhook_caller_is_full(&self->caller); i++) {
    delivery *d = &self->deliveries[i];
    if (d->due != NULL) continue;
    d->due = lk_webhook_dues_poll(&self->dues, now_of(self));
    if (d->due == NULL) return;
    begin_delivery(self, d);
  }
}

static void say_failure(const delivery *d, const lk_webhook_result *result) {
  if (result->err != LK_OK)
    lk_log_say(LK_LOG_webhook_failed, "the webhook at %.*s: %s (%s)",
               (int)d->rule->url.authority.len, (const char *)d->rule->url.authority.ptr,
               result->why != NULL ? result->why : lk_err_text(result->err),
               lk_err_name(result->err));
  else
    lk_log_say(LK_LOG_webhook_failed, "the webhook at %.*s answers %u",
               (int)d->rule->url.authority.len, (const char *)d->rule->url.authority.ptr,
               (unsigned)result->response.status);
}

static void take_delivery(webhook_process *self, const lk_webhook_result *result) {
  delivery *d = &self->deliveries[(result->tag & TAG_REST) % DELIVERIES_MAX];
  uint64_t wait_ms = result->err == LK_OK ? lk_webhook_retry_after_ms(&result->response) : 0;
  lk_webhook_due *due = d->due;
  LK_ASSERT(due != NULL);
  lk_histogram_add(&self->latency, lk_posix_monotonic_us() - d->began_us);
  d->due = NULL;
  if (result->err == LK_OK && lk_webhook_is_taken(&result->response)) {
    lk_webhook_dues_delivered(&self->dues, due, now_of(self));
    return;
  }
  self->failed++;
  say_failure(d, result);
  if (!lk_webhook_dues_failed(&self->dues, due, wait_ms, now_of(self), lk_posix_wall_ms()))
    lk_log_say(LK_LOG_webhook_given_up,
               "a change was not told to the webhook at %.*s, and is given up",
               (int)d->rule->url.authority.len, (const char *)d->rule->url.authority.ptr);
}

static void run_caller(webhook_process *self) {
  lk_webhook_result result;
  lk_webhook_caller_tick(&self->caller, now_of(self));
  while (lk_webhook_caller_poll(&self->caller, &result)) {
    if (result.tag >> TAG_SHIFT == TAG_DELIVERY) take_delivery(self, &result);
    else lk_webhook_desk_take_result(&self->desk, &result, result.tag & TAG_REST);
  }
}

/* ---- rings ---- */

static uint32_t own_edge(const webhook_process *self) {
  return self->options->links->edges_count - 1;
}
static uint32_t own_room(const webhook_process *self) {
  return self->options->links->rooms_count - 1;
}

static lk_channel_ring *ring_of_room(const webhook_process *self, uint32_t room) {
  return lk_links_to_edge(self->options->links, own_edge(self), room);
}
static lk_channel_ring *ring_of_edge(const webhook_process *self, uint32_t edge) {
  return lk_links_to_room(self->options->links, edge, own_room(self));
}

static void take_answers(webhook_process *self) {
  lk_edge_output output;
  while (lk_edge_poll(self->edge, &output)) {
    if (output.kind != LK_EDGE_ANSWER) continue;
    switch (output.tag >> TAG_SHIFT) {
    case TAG_CHANGES: take_changes(self, &output); break;
    case TAG_POSITION: take_position(self, &output); break;
    default: lk_webhook_desk_take_answer(&self->desk, &output, output.tag & TAG_REST); break;
    }
  }
}

static bool take_from_room(webhook_process *self, uint32_t room) {
  lk_channel_ring *ring = ring_of_room(self, room);
  lk_slice piece;
  bool is_first, wants_room = false;
  int count = 0;
  for (; count < PIECES_MAX; count++) {
    lk_err err = lk_channel_ring_peek(ring, &piece, &is_first);
    if (err == LK_ERR_END) break;
    if (err != LK_OK) continue; /* it was emptied: what comes next begins a frame */
    lk_edge_feed(self->edge, room, piece, is_first);
    wants_room |= lk_channel_ring_consume(ring);
    take_answers(self);
  }
  if (wants_room) lk_bell_ring(lk_links_room_bell(self->options->links, room));
  return count > 0;
}

static bool take_from_edge(webhook_process *self, uint32_t edge) {
  lk_channel_ring *ring = ring_of_edge(self, edge);
  lk_slice piece;
  bool is_first, wants_room = false;
  int count = 0;
  for (; count < PIECES_MAX; count++) {
    lk_err err = lk_channel_ring_peek(ring, &piece, &is_first);
    if (err == LK_ERR_END) break;
    if (err != LK_OK) continue;
    lk_webhook_desk_feed(&self->desk, edge, piece, is_first);
    wants_room |= lk_channel_ring_consume(ring);
  }
  if (wants_room) lk_bell_ring(lk_links_edge_bell(self->options->links, edge));
  return count > 0;
}

static bool give_to_room(webhook_process *self, uint32_t room) {
  lk_slice out = lk_edge_bus_output(self->edge, room);
  size_t sent = out.len > 0 ? lk_link_send(&self->to_rooms[room], out) : 0;
  if (sent > 0) lk_edge_bus_consume(self->edge, room, sent);
  return sent > 0;
}

static bool give_to_edge(webhook_process *self, uint32_t edge) {
  lk_slice out = lk_webhook_desk_output(&self->desk, edge);
  size_t sent = out.len > 0 ? lk_link_send(&self->to_edges[edge], out) : 0;
  if (sent > 0) lk_webhook_desk_consume(&self->desk, edge, sent);
  return sent > 0;
}

static bool exchange(webhook_process *self) {
  bool moved = false;
  for (uint32_t i = 0; i < self->rooms_count; i++) moved |= take_from_room(self, i);
  for (uint32_t i = 0; i < self->edges_count; i++) moved |= take_from_edge(self, i);
  run_stores(self);
  if (are_loaded(self)) begin_sources(self);
  run_sources(self);
  run_caller(self);
  run_deliveries(self);
  lk_webhook_desk_step(&self->desk, now_of(self), lk_posix_wall_ms());
  run_caller(self);
  for (uint32_t i = 0; i < self->rooms_count; i++) moved |= give_to_room(self, i);
  for (uint32_t i = 0; i < self->edges_count; i++) moved |= give_to_edge(self, i);
  return moved;
}

static void wake(webhook_process *self) {
  for (int i = 0; i < 2; i++) lk_bell_wake(self->bells[i]);
}

/* True where we may sleep: from now on a writer rings, and a reader who has made room. */
static bool prepare_to_sleep(webhook_process *self) {
  bool is_quiet = true;
  for (int i = 0; i < 2; i++) lk_bell_prepare(self->bells[i]);
  for (uint32_t i = 0; i < self->rooms_count; i++)
    is_quiet &= lk_channel_ring_is_empty(ring_of_room(self, i)) && !give_to_room(self, i);
  for (uint32_t i = 0; i < self->edges_count; i++)
    is_quiet &= lk_channel_ring_is_empty(ring_of_edge(self, i)) && !give_to_edge(self, i);
  if (!is_quiet) wake(self);
  return is_quiet;
}

/* ---- the loop ---- */

static void on_edge_bell(lk_watch *watch, uint32_t events) {
  (void)events;
  lk_bell_drain(LK_CONTAINER(watch, webhook_process, bell_watches[0])->bells[0]);
}

static void on_room_bell(lk_watch *watch, uint32_t events) {
  (void)events;
  lk_bell_drain(LK_CONTAINER(watch, webhook_process, bell_watches[1])->bells[1]);
}

static void on_storage(lk_watch *watch, uint32_t events) {
  (void)watch;
  (void)events; /* the turn that follows looks */
}

static void on_signal(void *ctx, int number) {
  webhook_process *self = ctx;
  (void)number;
  if (!is_stopping(self)) self->stop_ms = now_of(self) + lk_times_give_up(&self->options->times);
}

static void say_numbers(webhook_process *self) {
  lk_links_numbers *row = lk_links_edge_numbers(self->options->links, own_edge(self));
  lk_links_say(row, LK_NUMBER_webhook_due, lk_webhook_dues_count(&self->dues));
  lk_links_say(row, LK_NUMBER_webhook_delivered, self->dues.delivered);
  lk_links_say(row, LK_NUMBER_webhook_given_up, self->dues.given_up);
  lk_links_say(row, LK_NUMBER_webhook_dropped, self->dues.dropped);
  lk_links_say(row, LK_NUMBER_webhook_failed, self->failed + self->desk.stats.failed);
  lk_links_say(row, LK_NUMBER_webhook_allowed, self->desk.stats.allowed);
  lk_links_say(row, LK_NUMBER_webhook_refused, self->desk.stats.refused);
  lk_links_say(row, LK_NUMBER_webhook_loaded, self->desk.stats.loaded);
  lk_links_tell(row, LK_HISTOGRAM_webhook, &self->latency, &self->latency_told);
}

static bool is_delivering(const webhook_process *self) {
  for (uint32_t i = 0; i < DELIVERIES_MAX; i++) {
    if (self->deliveries[i].due != NULL) return true;
  }
  return false;
}

static bool is_written_down(const webhook_process *self) {
  for (int i = 0; i < 2; i++) {
    const lk_webhook_store *store = &self->stores[i];
    if (lk_webhook_store_is_busy(store)) return false;
    if (store->state == LK_WEBHOOK_STORE_RESTING &&
        !lk_webhook_store_has(store, self->dues.version[i]))
      return false;
  }
  return true;
}

static bool is_done(const webhook_process *self) {
  if (!is_stopping(self)) return false;
  if (now_of(self) >= self->stop_ms) return true;
  return !is_delivering(self) && lk_webhook_desk_is_idle(&self->desk) && is_written_down(self);
}

static uint64_t next_deadline(const webhook_process *self) {
  uint64_t deadline = lk_min_u64(self->stop_ms, lk_webhook_caller_deadline(&self->caller));
  deadline = lk_min_u64(deadline, lk_webhook_secret_files_deadline(&self->secrets));
  deadline = lk_min_u64(deadline, self->keep_at_ms);
  deadline = lk_min_u64(deadline, lk_webhook_desk_deadline(&self->desk));
  for (int i = 0; i < 2; i++) {
    if (self->stores[i].state == LK_WEBHOOK_STORE_BROKEN)
      deadline = lk_min_u64(deadline, self->stores[i].retry_ms);
  }
  if (is_stopping(self) || !are_loaded(self)) return deadline;
  bool has_slot = false;
  for (uint32_t i = 0; i < DELIVERIES_MAX; i++) has_slot |= self->deliveries[i].due == NULL;
  if (has_slot && !lk_webhook_caller_is_full(&self->caller))
    deadline = lk_min_u64(deadline, lk_webhook_dues_deadline(&self->dues));
  for (uint32_t i = 0; i < self->rooms_count && wants_changes(self); i++) {
    if (self->sources[i].state != SOURCE_KEEPING)
      deadline = lk_min_u64(deadline, self->sources[i].at_ms);
  }
  return deadline;
}

/* Rooms that were given up are asked to begin again. */
static uint64_t step_edge(webhook_process *self) {
  uint64_t wall = lk_posix_wall_ms(), deadline = lk_edge_deadline(self->edge);
  if (deadline == UINT64_MAX) return LK_LOOP_NEVER;
  if (deadline <= wall) lk_edge_step(self->edge, wall);
  return now_of(self) + AGAIN_MS;
}

static uint64_t turn(void *ctx) {
  webhook_process *self = ctx;
  wake(self);
  (void)lk_webhook_secret_files_tick(&self->secrets, now_of(self));
  uint64_t edge_deadline = step_edge(self);
  for (int i = 0; i < TURN_ROUNDS && exchange(self); i++) continue;
  say_numbers(self);
  lk_links_blame_of_edge(self->options->links, own_edge(self));
  lk_links_blame_of_room(self->options->links, own_room(self));
  if (is_done(self)) {
    lk_loop_stop(&self->loop);
    return LK_LOOP_NEVER;
  }
  if (!prepare_to_sleep(self)) return 0;
  return lk_min_u64(edge_deadline, next_deadline(self));
}

/* ---- birth and end ---- */

static lk_err open_stores(webhook_process *self) {
  const lk_webhook_process_options *options = self->options;
  lk_err err = LK_OK;
  if (options->directory != NULL)
    err = lk_posix_storage_open(lk_posix_heap(), options->directory, NULL, &self->files);
  if (err == LK_OK && self->files != NULL)
    err = lk_loop_add(&self->loop, &self->storage_watch, lk_posix_storage_fd(self->files), EPOLLIN,
                      on_storage);
  if (err == LK_OK && options->memory.at != NULL)
    err = lk_shared_storage_open(self->env.alloc, &options->memory, &self->memory);
  if (err != LK_OK) return err;
  lk_webhook_store_open(&self->stores[0], self->env.alloc,
                        self->files != NULL ? lk_posix_storage_table(self->files) : NULL, false);
  lk_webhook_store_open(&self->stores[1], self->env.alloc,
                        self->memory != NULL ? lk_shared_storage_table(self->memory) : NULL, true);
  return LK_OK;
}

static lk_err open_machines(webhook_process *self) {
  const lk_webhook_process_options *options = self->options;
  uint64_t seeds[8];
  lk_err err = lk_posix_random(seeds, sizeof seeds);
  if (err != LK_OK) return err;
  lk_webhook_dues_init(&self->dues, self->env.alloc, &options->webhooks->times,
                       self->limits.webhook_dues_count, seeds);
  err = lk_edge_open(&(lk_edge_options){ .env = &self->env,
                                         .limits = &self->limits,
                                         .generation = seeds[3] | 1,
                                         .hash_seed = { seeds[4], seeds[5] },
                                         .houses_count = self->rooms_count },
                     &self->edge);
  if (err == LK_OK)
    err = lk_webhook_caller_init(&self->caller, self->env.alloc, &self->limits, &self->loop,
                                 options->webhooks->ca_file);
  if (err == LK_OK)
    err = lk_webhook_desk_init(&self->desk,
                               &(lk_webhook_desk_options){ .alloc = self->env.alloc,
                                                           .limits = &self->limits,
                                                           .webhooks = options->webhooks,
                                                           .secrets = &self->secrets.secrets,
                                                           .edge = self->edge,
                                                           .caller = &self->caller,
                                                           .latency = &self->latency,
                                                           .tag = tag_of(TAG_DESK, 0),
                                                           .generation = seeds[6] | 1,
                                                           .seed = seeds[7],
                                                           .edges_count = self->edges_count });
  return err;
}

static lk_err open_process(webhook_process *self, const lk_webhook_process_options *options) {
  const lk_links *links = options->links;
  static const lk_watch_callback on_bells[2] = { on_edge_bell, on_room_bell };
  memset(self, 0, sizeof *self);
  self->options = options;
  self->limits = options->limits;
  self->secrets = *options->secrets;
  self->secrets.is_quiet = true; /* the supervisor says it */
  self->loop.epoll = self->loop.signals = -1;
  self->stop_ms = self->keep_at_ms = LK_LOOP_NEVER;
  self->edges_count = links->edges_count - 1;
  self->rooms_count = links->rooms_count - 1;
  lk_budget_init(&self->budget, lk_posix_heap(), self->limits.edge_memory_bytes);
  self->env = (lk_env)LK_ENV_INIT(&self->budget.alloc, NULL);
  self->bells[0] = lk_links_edge_bell(links, own_edge(self));
  self->bells[1] = lk_links_room_bell(links, own_room(self));
  self->bell_watches[0].fd = self->bell_watches[1].fd = self->storage_watch.fd = -1;
  for (uint32_t i = 0; i < self->rooms_count; i++)
    self->to_rooms[i] = (lk_link_sender){ .ring = lk_links_to_room(links, own_edge(self), i),
                                          .bell = lk_links_room_bell(links, i) };
  for (uint32_t i = 0; i < self->edges_count; i++)
    self->to_edges[i] = (lk_link_sender){ .ring = lk_links_to_edge(links, i, own_room(self)),
                                          .bell = lk_links_edge_bell(links, i) };
  lk_err err = lk_loop_init(&self->loop);
  if (err == LK_OK) err = lk_process_watch_signals(&self->loop, on_signal, self);
  for (int i = 0; i < 2 && err == LK_OK; i++)
    err = lk_loop_add(&self->loop, &self->bell_watches[i], self->bells[i]->fd, EPOLLIN,
                      on_bells[i]);
  if (err == LK_OK) err = open_machines(self);
  return err == LK_OK ? open_stores(self) : err;
}

/* The storage stops first, so that nothing is under way when its submitter goes. */
static void close_process(webhook_process *self) {
  if (self->files != NULL) lk_posix_storage_stop(self->files);
  lk_webhook_caller_deinit(&self->caller);
  lk_webhook_desk_deinit(&self->desk);
  lk_webhook_secret_files_close(&self->secrets);
  lk_edge_close(self->edge);
  for (int i = 0; i < 2; i++) lk_webhook_store_deinit(&self->stores[i]);
  lk_webhook_dues_deinit(&self->dues);
  lk_posix_storage_close(self->files);
  lk_shared_storage_close(self->memory);
  lk_loop_deinit(&self->loop);
}

static void tell_ready(const webhook_process *self) {
  const lk_links *links = self->options->links;
  lk_links_set(&lk_links_room_numbers(links, own_room(self))->ready, 1);
  lk_process_tell_ready(links, lk_links_edge_numbers(links, own_edge(self)), self->options->ready_fd);
}

int lk_webhook_process_run(const lk_webhook_process_options *options) {
  const lk_alloc *heap = lk_posix_heap();
  int code = LK_PROCESS_STOPPED;
  webhook_process *self = lk_alloc_bytes(heap, sizeof *self);
  if (self == NULL) return LK_PROCESS_FAILED;
  lk_err err = open_process(self, options);
  if (err == LK_OK) {
    tell_ready(self);
    lk_loop_run(&self->loop, turn, self);
  } else {
    lk_log_say(LK_LOG_webhooks_refused, "webhooks cannot be called: %s (%s)", lk_err_text(err),
               lk_err_name(err));
    code = LK_PROCESS_HOPELESS;
  }
  close_process(self);
  lk_free_bytes(heap, self, sizeof *self);
  return code;
}
