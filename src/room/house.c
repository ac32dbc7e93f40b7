/* room/house.c -- which rooms are open, who is in them, and where they are kept.
 *
 * A topic has an entry from the first join or query until its room has been idle for a while:
 *
 *            first join                    journal open, both slots read, kind->open
 *   (none) ────────────> LOADING ─────────────────────────────────────> OPEN
 *                           │ storage error: joins refused                │ idle, STOP, step failed, deleted
 *                           v                                             v
 *                        CLOSING <───────────────────────────────────────┘
 *                           │ nothing under way, files closed; joins came meanwhile: LOADING again, else GONE
 *
 * Each topic has a level, which its acknowledgements name (room/policy.h says which; docs/decisions/018):
 *
 *               records                                            snapshots        acknowledged     when it is idle
 *   durable     the journal of all rooms (log/journal.h)           room/keeper.h    when synced      leaves memory
 *   memory      a file of the topic's own (room/scroll.h)          the same         when written     is erased
 *
 * A completion of a storage finds the journal or its entry by lk_io.user. A storage for level memory completes at once,
 * so that a change is asked for, kept and answered within one call.
 *
 * A change and its record
 * -----------------------
 *   durable   JOURNAL effect ──> UNSENT ──append──> FLYING ──DURABLE──> JOURNALED to the room, which answers
 *                                  │ the journal's batch is full: wait, in order
 *   memory    JOURNAL effect ──> WRITING ──written──> JOURNALED
 *
 * Appending is done when a public call ends, and then one flush. The record goes into the topic's tail
 * (room/tails.h) as it is appended, so the tail may hold what is not durable yet. A room that ends meanwhile
 * is opened again only when that is decided: its entry stays in CLOSING until then. Otherwise
 * it could give out the same count for a second change, or show a change that a crash takes back.
 *
 * Snapshots
 * ---------
 * A snapshot holds exactly the records that are durable, and says up to which index. When it is durable
 * itself, the tail is cut to what follows, and the journal is told the oldest record that anybody needs; a scroll is cut
 * whole. One is taken when
 *
 *   the tail has grown beyond room_tail_bytes and twice the state, so that each byte is rewritten once at most;
 *   a durable room is put away, so that what is not open has no tail, unless a house died;
 *   the journal has grown beyond house_journal_bytes, of the topic with the oldest record, which is opened
 *   for that where it is not open.
 *
 * The journal fails
 * -----------------
 *   OPENING ──> OPEN ── error ──> ENDING ── closed ──> PAUSED ── 1 s, 2 s, ... 30 s ──> OPENING
 *                  └─ lk_house_end ─┘ └──────────────> ENDED
 *
 * Whether what was appended last is there, only opening again tells. So every durable room is dropped,
 * and nobody who waits for an answer gets one. Joins wait while the journal opens, and are refused while
 * it ends or pauses. Where a snapshot or a scroll fails, only its room is dropped.
 *
 * A storage is full: house_space.c.
 *
 * An edge and its generation
 * --------------------------
 * Each edge has a place that outlives it. HELLO makes both sides known to each other; before that, what
 * an edge sends is passed over, since it was meant for a house that died. An edge with another
 * generation is another process: the members of the one before are gone.
 *
 *   house starts: HELLO h ──> edge: HELLO e (answers h), RESTORE*, JOIN*, MESSAGE* (those unanswered)
 *   edge starts:  HELLO e ──> house: HELLO h ──> as above
 *
 * An edge that has to begin again, since it did not take what it was sent or sent what is no message, is
 * greeted with the next number.
 *
 * What has been applied
 * ---------------------
 * A request that changes a room is answered when the journal has it. If the house dies between the two,
 * the request comes again, and must not be applied again. So each record has marks: the numbers of the requests
 * whose changes are in it, which are all that were open when it was made and that no earlier record has. A
 * snapshot has those of the records in it, but for requests whose edges know them to be answered: an
 * edge says with each request below which number all is answered, so they are few (room/kept.h).
 *
 * An edge that begins again with the same house asks again, too: see house_members.c.
 *
 * Members are found by their number's lower half in a table of their edge, entries by topic. An entry
 * that is done with leaves the map at once, so that a new join makes a new one, but its memory goes only
 * when the public call that was running ends: whatever called it may still look.
 *
 * Always: busy_count is the number of keepers, scrolls and the like with something under way; an entry in LOADING or
 * CLOSING has no room; inputs wait only there; a durable entry is OPEN only while the journal is; what
 * flies is in order of index, and every index in it is above what is durable.
 *
 * Not chosen: a journal for each durable room, which is a sync for each; the whole state in each record, which is what
 * the slots were before (docs/decisions/016). */
#include "room/house_parts.h"

#include "base/heap.h"
#include "crypto/sha256.h"

#define REOPEN_FIRST_MS 1000

void lk_house_draw_seed(lk_house *self, uint64_t seed[2]) {
  seed[0] = lk_prng_u64(&self->seeds);
  seed[1] = lk_prng_u64(&self->seeds);
}

/* Who sees enough numbers of one generator knows its state. So the streams are derived by a hash that
 * does not lead back: the ids that clients see say nothing about the seeds of the maps. */
static void derive_stream(uint64_t entropy, lk_slice purpose, lk_prng *out) {
  lk_sha256 hash;
  uint8_t bytes[8], digest[LK_SHA256_LEN];
  lk_store_le64(bytes, entropy);
  lk_sha256_init(&hash);
  lk_sha256_update(&hash, purpose);
  lk_sha256_update(&hash, lk_slice_of(bytes, sizeof bytes));
  lk_sha256_final(&hash, digest);
  for (size_t i = 0; i < 4; i++) out->state[i] = lk_load_le64(digest + 8 * i);
}

static void on_timer(entry *e, const entry_timer *timer) {
  if (lk_house_tick_pace(e, timer)) return;
  if (timer == &e->idle) lk_list_remove(&e->house->idlers, &e->idle_link);
  if (timer == e->presence) lk_house_tell_attendance(e);
  else if (timer == &e->timer) lk_house_run_room(e, (lk_room_input){ .kind = LK_ROOM_TICK });
  else lk_house_put_away(e);
}

void lk_house_set_date(lk_house *self, uint64_t wall_ms, uint64_t now_ms) {
  self->wall_ms = wall_ms;
  self->wall_at_ms = now_ms;
}

static bool is_full(const lk_house *self) { return self->is_disk_full || self->is_memory_full; }

void lk_house_step(lk_house *self, uint64_t now_ms) {
  lk_heap_item *item;
  self->now_ms = lk_max_u64(self->now_ms, now_ms);
  lk_house_take_completions(self);
  if (self->journal_state == JOURNAL_PAUSED && self->now_ms >= self->reopen_at_ms)
    lk_house_open_journal(self);
  if (is_full(self) && self->now_ms >= self->space_at_ms) lk_house_try_space(self);
  while ((item = lk_heap_first(&self->timers)) != NULL && item->key <= self->now_ms) {
    lk_heap_remove(&self->timers, item);
    entry_timer *timer = LK_CONTAINER(item, entry_timer, item);
    on_timer(timer->entry, timer);
  }
  lk_house_cool(self);
  if (self->now_ms >= lk_house_revives_at(self)) lk_house_begin_revival(self);
  lk_house_end_call(self);
}

uint64_t lk_house_deadline(const lk_house *self) {
  lk_heap_item *item = lk_heap_first(&self->timers);
  uint64_t at_ms = item == NULL ? LK_HOUSE_NEVER : item->key;
  if (is_full(self)) at_ms = lk_min_u64(at_ms, self->space_at_ms);
  at_ms = lk_min_u64(at_ms, lk_min_u64(lk_house_cools_at(self), lk_house_revives_at(self)));
  return self->journal_state == JOURNAL_PAUSED ? lk_min_u64(at_ms, self->reopen_at_ms) : at_ms;
}

/* Rooms that still have something to be journaled are dropped by the error of append; what flies, lands. */
void lk_house_end(lk_house *self) {
  lk_house_end_call(self); /* what is gathered is begun */
  self->is_ending = true;
  if (self->journal_state == JOURNAL_PAUSED) self->journal_state = JOURNAL_ENDED;
  if (self->journal_state != JOURNAL_OPENING && self->journal_state != JOURNAL_OPEN) return;
  self->journal_state = JOURNAL_ENDING;
  self->journal_err = LK_ERR_CANCELED;
  lk_journal_close(&self->journal);
  lk_house_poll_journal(self);
  lk_house_sweep(self);
}

bool lk_house_is_idle(const lk_house *self) {
  return self->busy_count == 0 && !lk_journal_is_busy(&self->journal);
}

lk_house_stats lk_house_get_stats(const lk_house *self) {
  lk_house_stats stats = self->stats;
  stats.journal_err = self->stats.journal_failures > 0 ? self->journal_err : LK_OK;
  stats.batches = self->journal.stats.batches;
  stats.is_full = is_full(self);
  stats.rooms = lk_map_count(&self->entries);
  stats.members = 0;
  for (uint32_t i = 0; i < self->edges_count; i++) stats.members += self->edges[i].members_count;
  return stats;
}

lk_err lk_house_open(const lk_house_options *options, lk_house **out) {
  uint64_t seed[2];
  const lk_alloc *alloc = options->env->alloc;
  static const lk_room_policy preset = LK_ROOM_POLICY_PRESET;
  LK_ASSERT(options->storage != NULL || options->memory != NULL);
  LK_ASSERT(options->generation != 0);
  LK_ASSERT(options->edges_count > 0 && options->edges_count <= LK_HOUSE_EDGES_MAX);
  lk_house *self = lk_alloc_bytes(alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_house){ .env = options->env,
                      .awake = options->awake,
                      .limits = options->limits,
                      .storage = options->storage,
                      .memory = options->memory,
                      .policy = options->policy != NULL ? options->policy : &preset,
                      .index = options->index,
                      .houses_count = options->houses_count,
                      .turns = 1,
                      .journal_state = JOURNAL_ENDED,
                      .journal_err = LK_ERR_CANCELED,
                      .generation = options->generation,
                      .reopen_ms = REOPEN_FIRST_MS };
  self->edges = lk_alloc_array(alloc, options->edges_count, sizeof *self->edges);
  if (self->edges == NULL) {
    lk_free_bytes(alloc, self, sizeof *self);
    return LK_ERR_NOMEM;
  }
  self->edges_count = options->edges_count;
  derive_stream(options->entropy, LK_LIT("ids"), &self->ids);
  derive_stream(options->entropy, LK_LIT("seeds"), &self->seeds);
  lk_house_draw_seed(self, seed);
  lk_map_init(&self->entries, alloc, sizeof(entry *), options->limits->rooms_count, seed);
  lk_heap_init(&self->timers, alloc, UINT32_MAX / 4);
  lk_buf_init(&self->kept, alloc, lk_house_kept_bytes_max(options->limits));
  lk_buf_init(&self->refused, alloc, SIZE_MAX / 4);
  lk_buf_init(&self->put_out, alloc, SIZE_MAX / 4);
  lk_house_draw_seed(self, seed);
  lk_tails_init(&self->tails, alloc, seed);
  lk_house_init_names(self);
  lk_house_init_news(self);
  lk_house_init_journal(self, options->index);
  for (uint32_t i = 0; i < self->edges_count; i++) {
    lk_house_init_edge(self, &self->edges[i]);
    lk_house_greet(self, &self->edges[i]);
  }
  if (self->storage != NULL) lk_house_open_journal(self);
  if (self->memory != NULL) {
    lk_house_begin_ballast(self);
    lk_house_begin_revival(self);
  }
  *out = self;
  return LK_OK;
}

void lk_house_close(lk_house *self) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  if (self == NULL) return;
  while (lk_map_next(&self->entries, &cursor, &key, &value)) lk_house_free_entry(*(entry **)value);
  for (uint32_t i = 0; i < self->edges_count; i++) lk_house_deinit_edge(self, &self->edges[i]);
  lk_free_array(self->env->alloc, self->edges, self->edges_count, sizeof *self->edges);
  lk_map_deinit(&self->entries);
  lk_heap_deinit(&self->timers);
  lk_buf_deinit(&self->kept);
  lk_buf_deinit(&self->refused);
  lk_buf_deinit(&self->put_out);
  lk_tails_deinit(&self->tails);
  lk_house_deinit_names(self);
  lk_house_deinit_news(self);
  lk_journal_deinit(&self->journal);
  lk_free_bytes(self->env->alloc, self, sizeof *self);
}
