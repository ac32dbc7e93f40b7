/* room/house_journal.c -- records and snapshots: what makes a room's answers true. Why it is done so
 * stands in house.c. */
#include "room/house_parts.h"

#include "codec/varint.h"

#define REOPEN_FIRST_MS 1000
#define REOPEN_LAST_MS 30000
#define KEEP_RETRY_MS 5000    /* there was no space for a snapshot */
#define RELIEF_RETRY_MS 30000 /* a room that could not be opened for its snapshot */

/* ---- snapshots ---- */

/* The journal needs to keep only what is behind the snapshots. */
void lk_house_retire(lk_house *self) {
  const lk_tail_item *oldest = lk_tails_oldest(&self->tails);
  if (self->journal_state != JOURNAL_OPEN) return;
  uint64_t bound = oldest != NULL ? oldest->index : self->appended + 1;
  lk_journal_retire(&self->journal, lk_min_u64(bound, lk_house_news_bound(self)));
}

/* Records that the last snapshot has not, and that are durable. */
static bool has_news(entry *e) {
  if (e->is_memory) return lk_house_scroll_bytes(e) > 0;
  const lk_tail *tail = lk_tails_find(&e->house->tails, entry_topic(e));
  return tail != NULL && lk_tail_first(tail)->index <= e->journaled;
}

/* Asks for one, unless it would hold nothing that the last one has not. May drop the room. */
static void begin_snapshot(entry *e) {
  if (e->is_snapshotting || e->house->now_ms < e->house->keep_at_ms || !has_news(e)) return;
  e->is_snapshotting = true;
  lk_house_run_room(e, (lk_room_input){ .kind = LK_ROOM_SNAPSHOT });
}

static uint64_t tail_bytes(entry *e) {
  if (e->is_memory) return lk_house_scroll_bytes(e);
  const lk_tail *tail = lk_tails_find(&e->house->tails, entry_topic(e));
  return tail == NULL ? 0 : tail->bytes;
}

/* An open room whose tail has grown long gets a snapshot. */
void lk_house_watch_tail(entry *e) {
  if (e->state != ENTRY_OPEN || !e->kind->is_kept) return;
  uint64_t bytes = tail_bytes(e);
  if (bytes > e->house->limits->room_tail_bytes && bytes / 2 > e->kept_len) begin_snapshot(e);
}

static bool has_tail(entry *e) { return lk_tails_find(&e->house->tails, entry_topic(e)) != NULL; }

/* The topic that holds the journal cannot be opened: not again at once. */
void lk_house_put_off_relief(entry *e) {
  lk_house *house = e->house;
  const lk_tail_item *oldest = lk_tails_oldest(&house->tails);
  if (oldest != NULL && lk_slice_equal(lk_tail_topic(oldest->tail), entry_topic(e)))
    house->relief_at_ms = house->now_ms + RELIEF_RETRY_MS;
}

/* Nobody has been in the room for a while. One of level memory is erased. */
void lk_house_put_away(entry *e) {
  if (!lk_house_is_at_rest(e) || e->is_snapshotting || lk_house_is_asked(e)) {
    lk_house_watch_idle(e); /* look again later */
  } else if (e->is_memory && lk_house_warm(e) != LK_OK) {
    LK_COVERED(house_has_no_memory_to_put_away);
    lk_house_watch_idle(e);
  } else if (e->is_memory) {
    LK_COVERED(house_erases_an_idle_room);
    e->is_doomed = true;
    lk_house_drop_room(e, LK_OK);
  } else if (has_tail(e) && e->house->now_ms < e->house->keep_at_ms) {
    lk_house_watch_idle(e); /* there is no space for its snapshot */
  } else if (has_tail(e)) {
    e->is_leaving = true;
    begin_snapshot(e);
  } else {
    LK_COVERED(hub_idle_room_put_away);
    lk_house_drop_room(e, LK_OK);
  }
}

static void on_snapshot_kept(entry *e) {
  bool is_leaving = e->is_leaving;
  e->is_snapshotting = e->is_leaving = false;
  if (!is_leaving || e->members.count > 0) return;
  if (lk_house_is_at_rest(e) && !has_tail(e)) {
    LK_COVERED(house_put_away_behind_its_snapshot);
    lk_house_drop_room(e, LK_OK);
  } else {
    lk_house_watch_idle(e);
  }
}

/* The slot that was to have it is worth nothing now, as it was before; the other one and the tail have everything. */
static void on_snapshot_refused(entry *e) {
  LK_COVERED(house_snapshot_without_space);
  e->house->keep_at_ms = e->house->now_ms + KEEP_RETRY_MS;
  e->is_snapshotting = e->is_leaving = false;
  lk_house_watch_idle(e);
}

/* Where the journal has grown long, the topic that needs its oldest record is kept whole; one that is not open
 * is opened for that. */
static void relieve(lk_house *self) {
  const lk_tail_item *oldest = lk_tails_oldest(&self->tails);
  if (self->journal_state != JOURNAL_OPEN) return;
  if (self->now_ms < lk_max_u64(self->relief_at_ms, self->keep_at_ms)) return;
  if (lk_tails_span(&self->tails) <= self->limits->house_journal_bytes) return;
  lk_slice topic = lk_tail_topic(oldest->tail);
  entry *e = lk_house_find_entry(self, topic);
  if (e != NULL) {
    if (e->state == ENTRY_OPEN) begin_snapshot(e);
    return;
  }
  const lk_room_kind *kind = lk_room_kind_of(topic);
  if (kind == NULL || !kind->is_kept || lk_house_make_entry(self, topic, kind, &e) != LK_OK) {
    self->relief_at_ms = self->now_ms + RELIEF_RETRY_MS;
    return;
  }
  LK_COVERED(house_opens_a_room_for_its_snapshot);
  lk_house_begin_loading(e);
}

/* ---- what the keeper and the scroll report ---- */

/* Where a record came behind the snapshot, or the file is closed, the scroll stays as it is: the next one is taken with
 * that. */
static void cut_scroll(entry *e) {
  lk_scroll *scroll = e->warmth == NULL ? NULL : &e->warmth->scroll;
  if (scroll == NULL || !scroll->has_file || lk_scroll_is_busy(scroll)) return;
  if (e->flight != FLIGHT_NONE || e->index != e->keeping || lk_house_scroll_bytes(e) == 0) return;
  lk_scroll_cut(scroll);
  e->house->busy_count++;
}

static void on_kept(entry *e) {
  lk_err result = e->keeper.result;
  if (result == LK_OK) {
    e->house->stats.snapshots++;
    lk_trace_emit(e->house->env, LK_TRACE_room_kept, e->keeping, e->kept_len, entry_topic(e));
    if (e->is_memory) {
      cut_scroll(e);
    } else {
      lk_house_name_is_kept(e->house, entry_topic(e));
      lk_tails_drop(&e->house->tails, entry_topic(e), e->keeping);
      lk_house_retire(e->house);
    }
  }
  if (e->state != ENTRY_OPEN) { /* the room was dropped meanwhile */
    lk_house_closing_goes_on(e, LK_OK);
  } else if (result == LK_ERR_NO_SPACE) {
    on_snapshot_refused(e);
  } else if (result != LK_OK) {
    lk_house_drop_room(e, result); /* which slot is whole, only loading tells */
  } else {
    on_snapshot_kept(e);
  }
}

/* The operation of |e| that was under way is complete. */
static void advance_keeper(entry *e) {
  lk_keeper_event event = lk_keeper_advance(&e->keeper);
  if (event == LK_KEEPER_BUSY) return;
  e->house->busy_count--;
  switch (event) {
  case LK_KEEPER_BUSY: break;
  case LK_KEEPER_LOADED: lk_house_slots_are_loaded(e); break;
  case LK_KEEPER_KEPT: on_kept(e); break;
  case LK_KEEPER_REMOVED: lk_house_closing_goes_on(e, e->keeper.result); break;
  }
}

static void land(entry *e);

/* A room whose record could not be written is opened again from what is really there. */
static void on_appended(entry *e) {
  lk_err result = e->warmth->scroll.result;
  if (result == LK_OK) {
    land(e);
    return;
  }
  if (result == LK_ERR_NO_SPACE) {
    if (!lk_house_write_on_ballast(e)) lk_house_take_back(e);
    return;
  }
  lk_house_forget_flight(e);
  if (e->state == ENTRY_OPEN) lk_house_drop_room(e, result);
  else lk_house_closing_goes_on(e, LK_OK);
}

static void on_cut(entry *e) {
  lk_err result = e->warmth->scroll.result;
  if (result != LK_OK && e->flight == FLIGHT_WRITING) { /* it waited for that, and goes with it */
    e->house->busy_count--;
    lk_house_forget_flight(e);
  }
  if (e->state != ENTRY_OPEN) lk_house_closing_goes_on(e, LK_OK);
  else if (result != LK_OK) lk_house_drop_room(e, result);
}

static void advance_scroll(entry *e) {
  lk_scroll *scroll = &e->warmth->scroll;
  lk_scroll_event event = lk_scroll_advance(scroll);
  if (event == LK_SCROLL_BUSY) return;
  e->house->busy_count--;
  switch (event) {
  case LK_SCROLL_BUSY: break;
  case LK_SCROLL_LOADED: lk_house_scroll_is_loaded(e); break;
  case LK_SCROLL_APPENDED: on_appended(e); break;
  case LK_SCROLL_CUT: on_cut(e); break;
  case LK_SCROLL_CLOSED: lk_house_scroll_is_closed(e); break;
  case LK_SCROLL_CONDEMNED:
  case LK_SCROLL_REMOVED: lk_house_closing_goes_on(e, scroll->result); break;
  }
}

/* ---- the journal ---- */

static lk_err append(entry *e) {
  lk_house *house = e->house;
  warmth *w = e->warmth;
  lk_tail_item *item = w->unsent;
  lk_slice topic = entry_topic(e);
  uint8_t len[LK_VARUINT_LEN_MAX];
  const lk_slice parts[] = { lk_slice_of(len, lk_varuint_store(len, topic.len)), topic,
                             lk_slice_of(item->bytes, item->len) };
  lk_err err = lk_journal_append(
      &house->journal, e->is_tombstone ? LK_KEPT_TOMBSTONE : LK_KEPT_RECORD, parts, 3, &e->index);
  if (err != LK_OK) return err;
  house->appended = e->index;
  lk_tails_put(&house->tails, item, e->index);
  lk_list_remove(&house->unsent, &w->flight_link);
  lk_list_push_last(&house->flying, &w->flight_link);
  w->unsent = NULL;
  e->flight = FLIGHT_FLYING;
  return LK_OK;
}

static void abandon(entry *e, lk_err why);

/* All that waits, or as much as the batch has room for: the rest goes when that is durable. */
static void append_unsent(lk_house *self) {
  while (self->unsent.first != NULL) {
    entry *e = LK_CONTAINER(self->unsent.first, warmth, flight_link)->entry;
    lk_err err = append(e);
    if (err == LK_ERR_FULL) {
      LK_COVERED(house_waits_for_the_batch_before);
      return;
    }
    if (err != LK_OK) abandon(e, err);
  }
}

/* A tombstone might have been refused: so what is before it is needed until it is durable. */
static void doom_tail(entry *e) {
  lk_tail *tail = lk_tails_find(&e->house->tails, entry_topic(e));
  LK_ASSERT(tail != NULL);
  lk_tail_item *item = LK_CONTAINER(tail->items.last, lk_tail_item, of_tail);
  LK_ASSERT(item->index == e->index);
  lk_tails_doom(&e->house->tails, item);
}

/* The record of |e| is durable. */
static void land(entry *e) {
  uint64_t ticket = e->warmth->ticket;
  if (e->is_tombstone) doom_tail(e);
  if (e->is_tombstone) lk_house_tell_deletion(e, e->index);
  else
    lk_house_note_news(e->house, entry_topic(e), e->index, e->is_memory);
  lk_house_forget_flight(e);
  e->house->stats.journals++;
  if (e->state != ENTRY_OPEN) {
    LK_COVERED(house_record_landed_without_its_room);
    lk_house_closing_goes_on(e, LK_OK);
    return;
  }
  e->journaled = e->index;
  for (uint32_t i = e->applied_count; i-- > 0 && !e->applied[i].is_durable;)
    e->applied[i].is_durable = true;
  lk_trace_emit(e->house->env, LK_TRACE_room_journaled, ticket, e->index, entry_topic(e));
  e->house->news.is_landing = lk_room_policy_is_watched(e->house->policy, entry_topic(e));
  lk_house_run_room(e, (lk_room_input){ .kind = LK_ROOM_JOURNALED, .ticket = ticket });
  e->house->news.is_landing = false;
  lk_house_watch_tail(e);
}

/* What flies with an index up to |durable| is answered. */
static void land_up_to(lk_house *self, uint64_t durable) {
  while (self->flying.first != NULL) {
    entry *e = LK_CONTAINER(self->flying.first, warmth, flight_link)->entry;
    if (e->index > durable) return;
    land(e);
  }
}

/* While opening: to be known before any room is. */
static lk_err note_record(lk_house *self, const lk_journal_event *event) {
  lk_slice topic, rest;
  lk_tail_item *item;
  bool is_tombstone = event->kind == LK_KEPT_TOMBSTONE;
  if (event->kind != LK_KEPT_RECORD && !is_tombstone) return LK_ERR_VERSION;
  lk_err err = lk_kept_decode_record(event->body, &topic, &rest);
  if (err == LK_OK) err = lk_tails_make(&self->tails, topic, rest, &item);
  if (err != LK_OK) return err;
  lk_tails_put(&self->tails, item, event->index);
  lk_house_name_is_there(self, topic);
  if (is_tombstone) lk_tails_doom(&self->tails, item);
  if (is_tombstone) lk_house_note_deletion(self, topic, event->index, false);
  else lk_house_note_news(self, topic, event->index, false);
  return LK_OK;
}

/* What the house before had begun to delete goes now. Without memory it goes when somebody joins. */
static void finish_deletions(lk_house *self) {
  uint32_t cursor = 0;
  lk_slice topic;
  void *value;
  entry *e;
  while (lk_map_next(&self->tails.tails, &cursor, &topic, &value)) {
    const lk_room_kind *kind = lk_room_kind_of(topic);
    if ((*(lk_tail **)value)->doomed == 0 || kind == NULL || !kind->is_kept) continue;
    if (lk_house_find_entry(self, topic) != NULL) continue; /* it is being loaded */
    LK_COVERED(house_finishes_a_deletion);
    if (lk_house_make_entry(self, topic, kind, &e) == LK_OK) lk_house_begin_loading(e);
  }
}

static void on_journal_opened(lk_house *self, uint64_t index) {
  uint32_t cursor = 0;
  lk_slice topic;
  void *value;
  self->journal_state = JOURNAL_OPEN;
  self->durable = self->appended = index;
  while (lk_map_next(&self->entries, &cursor, &topic, &value)) {
    lk_house_journal_is_open(*(entry **)value);
  }
  finish_deletions(self);
  lk_house_begin_scan(self);
}

/* |e| has to do with the journal, which is gone. */
static void abandon(entry *e, lk_err why) {
  bool was_flying = e->flight != FLIGHT_NONE;
  lk_house_forget_flight(e);
  switch (e->state) {
  case ENTRY_OPEN: lk_house_drop_room(e, why); break;
  case ENTRY_LOADING:
    lk_house_refuse_waiting(e, why);
    lk_house_drop_room(e, why);
    break;
  case ENTRY_CLOSING:
    if (was_flying) lk_house_closing_goes_on(e, why);
    break;
  case ENTRY_GONE: break;
  }
}

/* What was not durable may be there or not. */
static void on_journal_failed(lk_house *self, lk_err why) {
  uint32_t cursor = 0;
  lk_slice topic;
  void *value;
  self->journal_state = JOURNAL_ENDING;
  self->journal_err = why;
  self->stats.journal_failures++;
  self->stats.storage_failures++;
  lk_trace_emit(self->env, LK_TRACE_journal_failed, (uint64_t)why, 0, LK_SLICE_EMPTY);
  while (lk_map_next(&self->entries, &cursor, &topic, &value)) {
    entry *e = *(entry **)value;
    if (e->kind->is_kept && !e->is_memory) abandon(e, why);
  }
  lk_tails_clear(&self->tails);
  lk_journal_close(&self->journal);
}

static void on_journal_closed(lk_house *self) {
  if (self->is_ending) {
    self->journal_state = JOURNAL_ENDED;
    return;
  }
  self->journal_state = JOURNAL_PAUSED;
  self->reopen_at_ms = self->now_ms + self->reopen_ms;
  self->reopen_ms = lk_min_u64(self->reopen_ms * 2, REOPEN_LAST_MS);
}

static void on_journal_event(lk_house *self, const lk_journal_event *event) {
  lk_err err;
  switch (event->what) {
  case LK_JOURNAL_RECORD:
    if (self->journal_state != JOURNAL_OPENING) return; /* the one before was refused */
    if ((err = note_record(self, event)) != LK_OK) on_journal_failed(self, err);
    return;
  case LK_JOURNAL_OPENED: on_journal_opened(self, event->index); return;
  case LK_JOURNAL_DURABLE:
    self->durable = event->index;
    self->reopen_ms = REOPEN_FIRST_MS;
    land_up_to(self, event->index);
    return;
  case LK_JOURNAL_RETIRED: return;
  case LK_JOURNAL_REFUSED: lk_house_journal_refused(self, event->index); return;
  case LK_JOURNAL_SPACE: lk_house_journal_space(self, event->err == LK_OK); return;
  case LK_JOURNAL_FAILED:
    if (self->journal_state != JOURNAL_ENDING) on_journal_failed(self, event->err);
    return;
  case LK_JOURNAL_CLOSED: on_journal_closed(self); return;
  }
}

void lk_house_poll_journal(lk_house *self) {
  lk_journal_event event;
  while (lk_journal_poll(&self->journal, &event)) on_journal_event(self, &event);
}

void lk_house_open_journal(lk_house *self) {
  self->journal_state = JOURNAL_OPENING;
  self->is_disk_full = false; /* it will say so */
  lk_journal_open(&self->journal);
  lk_house_poll_journal(self);
}

/* What the call that is running left to be done: one write for all rooms that changed. */
static void write_all(lk_house *self) {
  relieve(self);
  append_unsent(self);
#ifdef LK_BUG_ACK_APPENDED /* planted for the simulator, which must find it: sim/README.md */
  land_up_to(self, self->appended);
#endif
  lk_journal_flush(&self->journal);
  lk_house_poll_journal(self);
}

static void take_completion(lk_house *self, lk_io *io) {
  if (io->user == self) {
    lk_journal_advance(&self->journal);
    lk_house_poll_journal(self);
  } else if (io == &self->revival.io) {
    lk_house_advance_revival(self);
  } else if (lk_house_is_of_scan(self, io)) {
    lk_house_advance_scan(self, io);
  } else if (io == &self->ballast.io) {
    lk_house_advance_ballast(self);
  } else {
    entry *e = io->user;
    if (lk_keeper_owns(&e->keeper, io)) advance_keeper(e);
    else advance_scroll(e);
  }
}

/* Memory that answers at once is done with when the call ends, whatever follows from what. */
void lk_house_end_call(lk_house *self) {
  lk_io *io;
  lk_house_put_out(self);
  write_all(self);
  while (self->memory != NULL && (io = self->memory->poll(self->memory)) != NULL) {
    take_completion(self, io);
    lk_house_put_out(self);
    write_all(self);
  }
  lk_house_tell_news(self);
  lk_house_sweep(self);
}

void lk_house_take_completions(lk_house *self) {
  lk_io *io;
  while (self->storage != NULL && (io = self->storage->poll(self->storage)) != NULL) {
    take_completion(self, io);
    lk_house_end_call(self);
  }
}

/* "journal-" and the index of the house: several may share a storage. */
void lk_house_init_journal(lk_house *self, uint32_t index) {
  uint8_t name[24] = "journal-";
  size_t len = 8, digits = 1;
  lk_journal_options options = {
    .alloc = self->env->alloc, .limits = self->limits, .storage = self->storage, .user = self
  };
  for (uint32_t left = index; left >= 10; left /= 10) digits++;
  for (size_t i = digits; i-- > 0; index /= 10) name[len + i] = (uint8_t)('0' + index % 10);
  options.name = lk_slice_of(name, len + digits);
  for (size_t i = 0; i < sizeof options.salt; i += 8)
    lk_store_le64(options.salt + i, lk_prng_u64(&self->seeds));
  lk_journal_init(&self->journal, &options);
}
