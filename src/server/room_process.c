/* server/room_process.c -- one turn of the event loop, over and over.
 *
 *   rings from edges ──> house ──submit──> storage thread
 *                          ^                   │ eventfd
 *   turn:  house step <────┴── completions ────┘
 *          house output ──> rings to edges
 *
 * An edge that has much to read first is not listened to meanwhile: else what it asks would pile up as answers.
 *
 * Rings have no descriptor: whoever writes rings our bell, and only where we sleep. So a turn ends by saying that
 * we are about to sleep, and looking once more. */
#include "server/room_process.h"

#include <errno.h>
#include <unistd.h>

#include "base/budget.h"
#include "platform/posix/clock.h"
#include "platform/posix/heap.h"
#include "platform/posix/random.h"
#include "platform/posix/storage.h"
#include "room/house.h"
#include "server/log.h"
#include "server/loop.h"
#include "server/process.h"

#define TURN_ROUNDS 8
#define PIECES_MAX 4096 /* of one edge in one round: then it is the others' turn */

typedef struct room_process {
  const lk_room_process_options *options;
  lk_limits limits;
  lk_slabs slabs;
  lk_budget budget;     /* of what clients make us keep */
  lk_budget_share awake_budget;
  lk_env env;
  lk_env awake; /* of what rooms need while somebody writes or reads */
  lk_loop loop;
  lk_watch bell_watch;
  lk_watch storage_watch;
  lk_posix_storage *storage; /* of durable topics, or NULL */
  lk_shared_storage *memory; /* of the others, or NULL */
  lk_house *house;
  lk_bell *bell;
  lk_link_sender senders[LK_HOUSE_EDGES_MAX];
  uint64_t stop_ms; /* LK_LOOP_NEVER while it serves */
  uint64_t dropped_told;
  uint64_t failures_told;
  uint64_t failures_said;
  bool full_said;
} room_process;

/* ---- rings ---- */

static lk_channel_ring *ring_from(const room_process *self, uint32_t edge) {
  return lk_links_to_room(self->options->links, edge, self->options->index);
}

static bool take_from_edge(room_process *self, uint32_t edge) {
  lk_channel_ring *ring = ring_from(self, edge);
  lk_slice piece;
  bool is_first, wants_room = false;
  int count = 0;
  for (lk_err err; count < PIECES_MAX && !lk_house_must_wait(self->house, edge); count++) {
    err = lk_channel_ring_peek(ring, &piece, &is_first);
    if (err == LK_ERR_END) break;
    if (err != LK_OK) continue; /* it was emptied: what comes next begins a frame */
    lk_house_feed(self->house, edge, piece, is_first, lk_loop_now(&self->loop));
    wants_room |= lk_channel_ring_consume(ring);
  }
  if (wants_room) lk_bell_ring(lk_links_edge_bell(self->options->links, edge));
  return count > 0;
}

static bool give_to_edge(room_process *self, uint32_t edge) {
  lk_slice out = lk_house_output(self->house, edge);
  if (out.len == 0) return false;
  size_t sent = lk_link_send(&self->senders[edge], out);
  lk_house_consume(self->house, edge, sent);
  return sent > 0;
}

static bool exchange(room_process *self) {
  bool moved = false;
  lk_house_set_date(self->house, lk_posix_wall_ms(), lk_loop_now(&self->loop));
  for (uint32_t i = 0; i < self->options->links->edges_count; i++) moved |= take_from_edge(self, i);
  lk_house_step(self->house, lk_loop_now(&self->loop));
  for (uint32_t i = 0; i < self->options->links->edges_count; i++) moved |= give_to_edge(self, i);
  return moved;
}

static bool is_taken(const room_process *self, uint32_t edge) {
  return lk_channel_ring_is_empty(ring_from(self, edge)) || lk_house_must_wait(self->house, edge);
}

/* True where we may sleep: from now on a writer rings, and a reader who has made room. Who did so a moment ago saw us
 * awake: so what found no room is tried once more. */
static bool prepare_to_sleep(room_process *self) {
  lk_bell_prepare(self->bell);
  for (uint32_t i = 0; i < self->options->links->edges_count; i++) {
    if (is_taken(self, i) && !give_to_edge(self, i)) continue;
    lk_bell_wake(self->bell);
    return false;
  }
  return true;
}

/* ---- the loop ---- */

static void on_bell(lk_watch *watch, uint32_t events) {
  (void)events;
  lk_bell_drain(LK_CONTAINER(watch, room_process, bell_watch)->bell);
}

static void on_storage(lk_watch *watch, uint32_t events) {
  (void)watch;
  (void)events; /* the turn that follows steps the house */
}

static void on_signal(void *ctx, int number) {
  room_process *self = ctx;
  (void)number;
  if (self->stop_ms != LK_LOOP_NEVER) return;
  self->stop_ms = lk_loop_now(&self->loop) + lk_times_give_up(&self->options->times);
  lk_house_end(self->house);
}

static void say_numbers(room_process *self) {
  lk_links_numbers *row = lk_links_room_numbers(self->options->links, self->options->index);
  lk_house_stats stats = lk_house_get_stats(self->house);
  if (stats.storage_failures > self->failures_told) {
    self->failures_told = stats.storage_failures;
    lk_links_set(&row->failed_ms, lk_loop_now(&self->loop));
  }
  lk_links_say(row, LK_NUMBER_storage_failures, stats.storage_failures);
  lk_links_say(row, LK_NUMBER_storage_full, stats.is_full);
  lk_links_say(row, LK_NUMBER_changes_refused, stats.refused);
  if (stats.rooms_dropped > self->dropped_told) {
    lk_log_say(LK_LOG_rooms_dropped, "rooms were ended by an error of their journal or their own: %llu so far",
               (unsigned long long)stats.rooms_dropped);
    self->dropped_told = stats.rooms_dropped;
  }
  lk_links_say(row, LK_NUMBER_rooms, stats.rooms);
  lk_links_say(row, LK_NUMBER_members, stats.members);
  lk_links_say(row, LK_NUMBER_requests, stats.requests);
  lk_links_say(row, LK_NUMBER_repeated, stats.repeated);
  lk_links_say(row, LK_NUMBER_journals, stats.journals);
  lk_links_say(row, LK_NUMBER_batches, stats.batches);
  lk_links_say(row, LK_NUMBER_snapshots, stats.snapshots);
  lk_links_say(row, LK_NUMBER_journal_failures, stats.journal_failures);
  lk_links_say(row, LK_NUMBER_rooms_dropped, stats.rooms_dropped);
  lk_links_say(row, LK_NUMBER_refused_rooms, stats.refused_rooms);
  lk_links_say(row, LK_NUMBER_refused_members, stats.refused_members);
  lk_links_say(row, LK_NUMBER_refused_presence, stats.refused_presence);
  lk_links_say(row, LK_NUMBER_refused_limits, stats.refused_limits);
  lk_links_say(row, LK_NUMBER_members_skipped, stats.members_skipped);
  lk_links_say(row, LK_NUMBER_erased, stats.erased);
  if (self->memory != NULL)
    lk_links_say(row, LK_NUMBER_memory_used, lk_shared_storage_used(self->memory));
}

/* Joins are refused until somebody mends it. */
static void say_failure(room_process *self) {
  lk_house_stats stats = lk_house_get_stats(self->house);
  if (stats.journal_failures == self->failures_said) return;
  self->failures_said = stats.journal_failures;
  lk_log_say(LK_LOG_journal_failed, "the journal of rooms in %s failed, and is opened again: %s (%s)",
             self->options->directory == NULL ? "memory" : self->options->directory,
             lk_err_text(stats.journal_err),
             lk_err_name(stats.journal_err));
}

/* Changes are refused until somebody frees some. */
static void say_space(room_process *self) {
  lk_house_stats stats = lk_house_get_stats(self->house);
  if (stats.is_full == self->full_said) return;
  self->full_said = stats.is_full;
  if (stats.is_full)
    lk_log_say(LK_LOG_storage_full, "there is no space to keep changes, which are refused with storage_full: free some in %s",
               self->options->directory == NULL ? "memory" : self->options->directory);
  else lk_log_say(LK_LOG_storage_has_space, "there is space again, and changes are taken");
}

static bool is_done(const room_process *self) {
  return self->stop_ms != LK_LOOP_NEVER &&
         (lk_house_is_idle(self->house) || lk_loop_now(&self->loop) >= self->stop_ms);
}

static uint64_t turn(void *ctx) {
  room_process *self = ctx;
  lk_bell_wake(self->bell);
  for (int i = 0; i < TURN_ROUNDS && exchange(self); i++) continue;
  say_numbers(self);
  say_failure(self);
  say_space(self);
  lk_links_blame_of_room(self->options->links, self->options->index);
  if (is_done(self)) {
    lk_loop_stop(&self->loop);
    return LK_LOOP_NEVER;
  }
  if (!prepare_to_sleep(self)) return 0;
  uint64_t deadline = lk_house_deadline(self->house);
  return self->stop_ms < deadline ? self->stop_ms : deadline;
}

/* ---- birth and end ---- */

/* What a sync took is seen where it is made: by the storage's thread, which is the only one that writes these cells. The
 * calls of a storage have no context, and a process has one storage. */
static lk_links_numbers *sync_row;

static int measured_sync(int fd) {
  uint64_t began_us = lk_posix_monotonic_us();
  int result = fdatasync(fd);
  int code = errno;
  lk_links_observe(sync_row, LK_HISTOGRAM_journal_sync, lk_posix_monotonic_us() - began_us);
  errno = code;
  return result;
}

static const lk_posix_calls measured_calls = { pread, pwrite, measured_sync, fsync };

static lk_err open_house(room_process *self) {
  uint64_t seeds[2];
  lk_err err = lk_posix_random(seeds, sizeof seeds);
  if (err != LK_OK) return err;
  return lk_house_open(&(lk_house_options){ .env = &self->env,
                                            .awake = &self->awake,
                                            .limits = &self->limits,
                                            .storage = self->storage == NULL
                                                           ? NULL
                                                           : lk_posix_storage_table(self->storage),
                                            .memory = self->memory == NULL
                                                          ? NULL
                                                          : lk_shared_storage_table(self->memory),
                                            .policy = &self->options->policy,
                                            .entropy = seeds[0],
                                            .generation = seeds[1] | 1,
                                            .edges_count = self->options->links->edges_count,
                                            .index = self->options->index,
                                            .houses_count = lk_links_rooms(self->options->links) },
                       &self->house);
}

static lk_err open_storages(room_process *self) {
  const lk_room_process_options *options = self->options;
  lk_err err = LK_OK;
  if (options->memory.at != NULL)
    err = lk_shared_storage_open(self->env.alloc, &options->memory, &self->memory);
  if (err != LK_OK || options->directory == NULL) return err;
  /* Its thread allocates, too: not from our slabs. */
  err = lk_posix_storage_open(lk_posix_clean_heap(), options->directory, &measured_calls,
                              &self->storage);
  if (err != LK_OK) return err;
  return lk_loop_add(&self->loop, &self->storage_watch, lk_posix_storage_fd(self->storage), EPOLLIN,
                     on_storage);
}

static lk_err open_process(room_process *self, const lk_room_process_options *options) {
  const lk_links *links = options->links;
  lk_err err;
  *self = (room_process){ .options = options,
                          .limits = options->limits,
                          .loop = { .epoll = -1, .signals = -1 },
                          .stop_ms = LK_LOOP_NEVER };
  /* What is erased is to be gone from our own memory, too. */
  const lk_alloc *lasting, *brief;
  lk_process_heap(&self->slabs, options->memory.at != NULL, &lasting, &brief);
  lk_budget_init(&self->budget, lasting, self->limits.house_memory_bytes);
  lk_budget_share_init(&self->awake_budget, &self->budget, brief);
  self->env = (lk_env)LK_ENV_INIT(&self->budget.alloc, NULL);
  self->awake = (lk_env)LK_ENV_INIT(&self->awake_budget.alloc, NULL);
  self->bell = lk_links_room_bell(links, options->index);
  self->bell_watch.fd = self->storage_watch.fd = -1;
  for (uint32_t i = 0; i < links->edges_count; i++) {
    self->senders[i] = (lk_link_sender){ .ring = lk_links_to_edge(links, i, options->index),
                                         .bell = lk_links_edge_bell(links, i) };
  }
  if ((err = lk_loop_init(&self->loop)) != LK_OK) return err;
  if ((err = lk_process_watch_signals(&self->loop, on_signal, self)) != LK_OK) return err;
  if ((err = lk_loop_add(&self->loop, &self->bell_watch, self->bell->fd, EPOLLIN, on_bell)) !=
      LK_OK)
    return err;
  sync_row = lk_links_room_numbers(links, options->index);
  err = open_storages(self);
  return err == LK_OK ? open_house(self) : err;
}

/* The storage stops first, so that nothing that the house submitted is under way when it goes. */
static void close_process(room_process *self) {
  if (self->storage != NULL) lk_posix_storage_stop(self->storage);
  if (self->house != NULL) {
    for (int i = 0; i < TURN_ROUNDS && !lk_house_is_idle(self->house); i++)
      lk_house_step(self->house, lk_loop_now(&self->loop));
    if (lk_house_is_idle(self->house)) lk_house_close(self->house);
  }
  lk_posix_storage_close(self->storage);
  lk_shared_storage_close(self->memory);
  lk_loop_deinit(&self->loop);
  lk_slabs_deinit(&self->slabs);
}

int lk_room_process_run(const lk_room_process_options *options) {
  const lk_alloc *heap = lk_posix_heap();
  int code = LK_PROCESS_STOPPED;
  room_process *self = lk_alloc_bytes(heap, sizeof *self);
  if (self == NULL) return LK_PROCESS_FAILED;
  lk_err err = open_process(self, options);
  if (err == LK_OK) {
    lk_process_tell_ready(options->links, lk_links_room_numbers(options->links, options->index),
                          options->ready_fd);
    lk_loop_run(&self->loop, turn, self);
  } else {
    lk_log_say(LK_LOG_storage_refused, "rooms cannot be served from %s: %s (%s)",
               options->directory == NULL ? "memory" : options->directory, lk_err_text(err),
               lk_err_name(err));
    code = LK_PROCESS_HOPELESS;
  }
  close_process(self);
  lk_free_bytes(heap, self, sizeof *self);
  return code;
}
