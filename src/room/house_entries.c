/* room/house_entries.c -- the beginning of an entry: making, loading, opening. Its states stand in house.c.
 *
 * Where a topic is kept is found out when it is loaded:
 *
 *   level memory by the policy?  no ──────────────────────────────────────────────> durable
 *                                yes ──> is there anything of it on the disk?  yes ─> durable
 *                                                                              no ──> memory
 *
 * So a topic that had been durable before somebody called it ephemeral stays durable, and is not lost, until it is
 * deleted; what it says with each acknowledgement is what it is. The other way round there is nothing to lose: the policy
 * changes with the server, and with that memory is gone. Where the disk cannot tell, the topic is refused. */
#include "room/house_parts.h"

#include "codec/varint.h"

/* ---- when there are many ---- */

/* Whoever joins and leaves leaves a room behind that idles for a while. So that a thousand of them do not keep everybody
 * else out, those that have idled longest go before their time when rooms get scarce: a few for each new one. Those
 * of level memory stay in which something is kept: they would be erased, and their time was promised. */
#define SCARCE_PARTS 8 /* in that part of the limit, the last one */
#define EVICTED_AT_ONCE 4
#define LOOKED_AT 32

static bool may_go_early(entry *e) {
  if (!lk_house_is_at_rest(e) || e->is_snapshotting || lk_house_is_asked(e)) return false;
  return !e->is_memory || (lk_house_scroll_bytes(e) == 0 && e->kept_len == 0);
}

static void make_space(lk_house *self) {
  uint32_t most = self->limits->rooms_count, looked = 0, evicted = 0;
  if (lk_map_count(&self->entries) < most - most / SCARCE_PARTS) return;
  for (lk_link *at = self->idlers.first, *next; at != NULL && looked < LOOKED_AT; at = next) {
    entry *e = LK_CONTAINER(at, entry, idle_link);
    next = at->next;
    looked++;
    if (!may_go_early(e)) continue;
    LK_COVERED(house_puts_away_before_its_time);
    lk_house_stop_idle(e);
    lk_house_put_away(e);
    if (++evicted == EVICTED_AT_ONCE) return;
  }
}

/* ---- entries ---- */

void lk_house_stop_timer(lk_house *house, entry_timer *timer) {
  if (timer->item.place != LK_HEAP_OUT) lk_heap_remove(&house->timers, &timer->item);
}

void lk_house_stop_timers(entry *e) {
  lk_house_stop_idle(e);
  lk_house_stop_timer(e->house, &e->timer);
  if (e->presence != NULL) lk_house_stop_timer(e->house, e->presence);
}

void lk_house_forget_recovered(entry *e) {
  e->is_searched = false;
  if (e->recovered == NULL) return;
  lk_map_deinit(e->recovered);
  lk_free_bytes(e->house->env->alloc, e->recovered, sizeof *e->recovered);
  e->recovered = NULL;
}

static size_t waiting_size(const waiting_input *w) {
  return sizeof *w + w->event_len + w->subject_len + w->payload_len;
}

/* The record of |e| is not waited for any more. One that was appended may be there in the end. */
void lk_house_forget_flight(entry *e) {
  lk_house *house = e->house;
  warmth *w = e->warmth;
  if (e->flight == FLIGHT_UNSENT || e->flight == FLIGHT_FLYING)
    lk_list_remove(e->flight == FLIGHT_UNSENT ? &house->unsent : &house->flying, &w->flight_link);
  if (e->flight == FLIGHT_UNSENT) lk_tails_unmake(&house->tails, w->unsent);
  if (w != NULL) w->unsent = NULL;
  e->is_tombstone = false;
  e->flight = FLIGHT_NONE;
}

bool lk_house_is_at_rest(const entry *e) {
  return e->flight == FLIGHT_NONE && !lk_keeper_is_busy(&e->keeper) &&
         (e->warmth == NULL || !lk_scroll_is_busy(&e->warmth->scroll));
}

/* |w| is on the list no more. */
void lk_house_free_waiting(entry *e, waiting_input *w) {
  e->waiting_bytes -= waiting_size(w);
  lk_free_bytes(e->house->env->alloc, w, waiting_size(w));
}

void lk_house_free_entry(entry *e) {
  lk_house *house = e->house;
  const lk_alloc *alloc = house->env->alloc;
  if (e->room != NULL) e->kind->close(e->room);
  lk_house_stop_timers(e);
  lk_house_forget_flight(e);
  for (lk_link *at; (at = lk_list_pop_first(&e->waiting)) != NULL;) {
    lk_house_free_waiting(e, LK_CONTAINER(at, waiting_input, link));
  }
  lk_house_forget_handed(e, true);
  lk_free_array(alloc, e->applied, e->applied_cap, sizeof *e->applied);
  lk_house_forget_recovered(e);
  lk_attendance_deinit(&e->attendance);
  lk_house_free_pace(e);
  lk_free_bytes(alloc, e->presence, sizeof *e->presence);
  lk_keeper_deinit(&e->keeper);
  lk_house_free_warmth(e);
  lk_free_bytes(alloc, e, entry_size(house, e->topic_len));
}

size_t lk_house_kept_bytes_max(const lk_limits *limits) {
  return (size_t)limits->crdt_state_bytes +
         (size_t)limits->bus_requests_count * LK_KEPT_MARK_LEN_MAX + LK_KEPT_HEAD_LEN_MAX;
}

lk_keeper_place lk_house_place_of(entry *e) {
  const lk_house *house = e->house;
  bool is_on_disk = !e->is_memory && house->storage != NULL;
  return (lk_keeper_place){ .alloc = house->env->alloc,
                            .storage = is_on_disk ? house->storage : house->memory,
                            .topic = entry_topic(e),
                            .state_max = lk_house_kept_bytes_max(house->limits),
                            .user = e };
}

lk_err lk_house_make_entry(lk_house *self, lk_slice topic, const lk_room_kind *kind, entry **out) {
  void *slot;
  bool is_new;
  const lk_alloc *alloc = self->env->alloc;
  size_t size = entry_size(self, topic.len);
  if (topic.len > LK_SCROLL_TOPIC_MAX) return LK_ERR_TOO_BIG;
  make_space(self);
  entry *e = lk_alloc_bytes(alloc, size);
  if (e == NULL) return LK_ERR_NOMEM;
  lk_err err = lk_map_put(&self->entries, topic, &slot, &is_new);
  if (err != LK_OK) {
    lk_free_bytes(alloc, e, size);
    return err;
  }
  memset(e, 0, size);
  e->house = self;
  e->kind = kind;
  e->idle = (entry_timer){ LK_HEAP_ITEM_INIT, e };
  e->timer = (entry_timer){ LK_HEAP_ITEM_INIT, e };
  e->number = ++self->entries_made;
  e->topic_len =
      (uint32_t)topic.len; /* the edge's session bounds names, bus_frame_bytes at least */
  memcpy(topic_at(e), topic.ptr, topic.len);
  *(entry **)slot = e;
  lk_house_name_is_there(self, topic);
  *out = e;
  return LK_OK;
}

entry *lk_house_find_entry(const lk_house *self, lk_slice topic) {
  entry **at = lk_map_get(&self->entries, topic);
  return at == NULL ? NULL : *at;
}

/* An open room without members is put away after a while. */
void lk_house_watch_idle(entry *e) {
  lk_heap *timers = &e->house->timers;
  bool is_idle = e->state == ENTRY_OPEN && e->members.count == 0;
  if (!is_idle) {
    lk_house_stop_idle(e);
  } else if (e->idle.item.place == LK_HEAP_OUT) {
    /* Without memory for the timer the room stays until the next member leaves. */
    lk_err err = lk_heap_push(timers, &e->idle.item,
                              e->house->now_ms +
                                  lk_room_policy_idle_ms(e->house->policy, entry_topic(e)));
    if (err == LK_OK) lk_list_push_last(&e->house->idlers, &e->idle_link);
  }
}

void lk_house_stop_idle(entry *e) {
  if (e->idle.item.place == LK_HEAP_OUT) return;
  lk_heap_remove(&e->house->timers, &e->idle.item);
  lk_list_remove(&e->house->idlers, &e->idle_link);
}

/* ---- loading ---- */

/* May drop the entry. */
static void load(entry *e) {
  const lk_keeper_place place = lk_house_place_of(e);
  lk_err err = lk_keeper_load(&e->keeper, &place);
  if (err == LK_OK) {
    e->house->busy_count++;
  } else {
    LK_COVERED(house_has_no_memory_to_load);
    lk_house_open_and_let_in(e, LK_SLICE_EMPTY, true, err);
  }
}

bool lk_house_wants_memory(entry *e) {
  const lk_house *house = e->house;
  if (e->is_memory) return true;
  if (!e->kind->is_kept || house->memory == NULL) return false;
  return house->storage == NULL || lk_room_policy_is_ephemeral(house->policy, entry_topic(e));
}

static void load_from_memory(entry *e) {
  lk_house_move_to_memory(e);
  load(e);
}

/* What is on disk is in the files and in the journal, which must be open. */
static void load_from_disk(entry *e) {
  switch (e->house->journal_state) {
  case JOURNAL_OPENING: break; /* when it is open, the loading begins */
  case JOURNAL_OPEN: load(e); break;
  case JOURNAL_ENDING:
  case JOURNAL_PAUSED:
  case JOURNAL_ENDED:
    LK_COVERED(house_refuses_without_journal);
    lk_house_open_and_let_in(e, LK_SLICE_EMPTY, true, e->house->journal_err);
    break;
  }
}

void lk_house_begin_loading(entry *e) {
  LK_ASSERT(e->room == NULL && lk_house_is_at_rest(e));
  e->state = ENTRY_LOADING;
  if (!e->kind->is_kept) lk_house_open_and_let_in(e, LK_SLICE_EMPTY, true, LK_OK);
  else if (e->is_memory) load(e);
  else if (e->house->storage == NULL) load_from_memory(e);
  else load_from_disk(e);
}

void lk_house_journal_is_open(entry *e) {
  if (e->state == ENTRY_LOADING && !e->is_memory && lk_house_is_at_rest(e)) load(e);
}

/* The disk has nothing of a topic that is to be in memory. */
static bool leaves_disk(entry *e) {
  return !e->is_memory && lk_house_wants_memory(e) && e->keeper.result == LK_OK &&
         e->keeper.number == 0 && lk_tails_find(&e->house->tails, entry_topic(e)) == NULL;
}

static void load_scroll(entry *e) {
  if (lk_house_warm(e) != LK_OK) {
    lk_house_open_and_let_in(e, LK_SLICE_EMPTY, true, LK_ERR_NOMEM);
    return;
  }
  e->house->busy_count++;
  lk_scroll_load(&e->warmth->scroll);
}

void lk_house_slots_are_loaded(entry *e) {
  if (e->state != ENTRY_LOADING) {
    lk_keeper_release(&e->keeper); /* the journal failed meanwhile */
    lk_house_closing_goes_on(e, LK_OK);
  } else if (leaves_disk(e)) {
    lk_keeper_release(&e->keeper);
    load_from_memory(e);
  } else if (e->is_memory && e->keeper.result == LK_OK) {
    load_scroll(e);
  } else {
    if (!e->is_memory && e->keeper.number > 0) lk_house_name_is_kept(e->house, entry_topic(e));
    lk_house_open_and_let_in(e, lk_keeper_state(&e->keeper), e->keeper.intact, e->keeper.result);
  }
}

void lk_house_scroll_is_loaded(entry *e) {
  /* What the house that wrote it had noted went with that. */
  lk_scroll *scroll = &e->warmth->scroll;
  lk_slice kept = lk_keeper_state(&e->keeper);
  bool was_written = kept.len > 0 || lk_scroll_records(scroll).len > 0;
  if (scroll->is_condemned) e->is_doomed = true;
  lk_house_open_and_let_in(e, kept, e->keeper.intact, scroll->result);
  if (was_written && e->state == ENTRY_OPEN)
    lk_house_note_news(e->house, entry_topic(e), e->index, true);
}

/* As for what waits for a client: one that is longer than all may be goes where little else waits. */
static bool may_wait(const entry *e, size_t size) {
  size_t most = e->house->limits->ws_output_bytes;
  if (size > most) return e->waiting_bytes <= most / 2;
  return e->waiting_bytes <= most && size <= most - e->waiting_bytes;
}

lk_err lk_house_queue_input(entry *e, uint64_t number, const lk_bus_message *m) {
  lk_house *house = e->house;
  size_t size = sizeof(waiting_input) + m->event.len + m->subject.len + m->payload.len;
  /* What was in the room before may always come back. */
  if (m->kind != LK_BUS_RESTORE && !may_wait(e, size)) return LK_ERR_LIMIT;
  waiting_input *w = lk_alloc_bytes(house->env->alloc, size);
  if (w == NULL) return LK_ERR_NOMEM;
  *w = (waiting_input){
    .kind = m->kind,
    .binary = m->binary,
    .again = m->again,
    .member = number,
    .request = m->request,
    .rights = m->rights,
    .event_len = (uint32_t)m->event.len, /* a frame's length has 32 bits */
    .subject_len = (uint32_t)m->subject.len,
    .payload_len = (uint32_t)m->payload.len,
  };
  const lk_slice parts[] = { m->event, m->subject, m->payload };
  uint8_t *at = w->bytes;
  for (size_t i = 0; i < 3; i++) {
    if (parts[i].len > 0) memcpy(at, parts[i].ptr, parts[i].len);
    at += parts[i].len;
  }
  e->waiting_bytes += size;
  lk_list_push_last(&e->waiting, &w->link);
  return LK_OK;
}

/* ---- opening ---- */

void lk_house_refuse_waiting(entry *e, lk_err why) {
  lk_house *house = e->house;
  lk_buf text;
  lk_buf_init(&text, house->env->alloc, 256);
  lk_buf_append(&text, LK_LIT("{\"reason\":\"storage\"," LK_RETRY_FULL ",\"message\":\""));
  lk_buf_append(&text, lk_slice_cstr(lk_err_name(why)));
  lk_buf_append(&text, LK_LIT("\"}"));
  lk_slice response = lk_buf_err(&text) == LK_OK ? lk_buf_slice(&text) : LK_LIT("{}");
  for (lk_link *at; (at = lk_list_pop_first(&e->waiting)) != NULL;) {
    waiting_input *w = LK_CONTAINER(at, waiting_input, link);
    member *m = lk_house_find_member(house, w->member);
    if (w->kind == LK_BUS_JOIN) {
      lk_house_refuse_join(house, w->member, w->request, response);
    } else if (w->kind == LK_BUS_QUERY) {
      lk_house_answer(house, w->member, w->request, LK_BUS_REPLY, LK_LIT("error"), response, false);
    } else if (w->kind == LK_BUS_MESSAGE) {
      lk_house_answer(house, w->member, w->request, LK_BUS_LATE, LK_SLICE_EMPTY, LK_SLICE_EMPTY,
                      false);
    } else if (m != NULL) {
      lk_house_free_member(house, m);
      lk_house_tell_crash(house, w->member, LK_LIT("storage"));
    }
    lk_house_free_waiting(e, w);
  }
  lk_buf_deinit(&text);
}

static void take_in(entry *e, const waiting_input *w) {
  lk_slice rest = lk_slice_of(w->bytes, waiting_size(w) - sizeof *w);
  member *m = lk_house_find_member(e->house, w->member);
  const lk_room_input_kind kind = w->kind == LK_BUS_JOIN    ? LK_ROOM_JOIN
                                  : w->kind == LK_BUS_QUERY ? LK_ROOM_QUERY
                                                            : LK_ROOM_MESSAGE;
  lk_room_input input = { .kind = kind,
                          .member = w->member,
                          .request = w->request,
                          .event = lk_slice_first(rest, w->event_len),
                          .subject = lk_slice_first(lk_slice_skip(rest, w->event_len),
                                                    w->subject_len),
                          .payload = lk_slice_skip(rest, (size_t)w->event_len + w->subject_len),
                          .rights = w->rights,
                          .binary = w->binary };
  if (m == NULL && w->kind != LK_BUS_QUERY) { /* its join was refused */
    lk_house_answer(e->house, w->member, w->request, LK_BUS_LATE, LK_SLICE_EMPTY, LK_SLICE_EMPTY,
                    false);
    return;
  }
  if (w->kind == LK_BUS_RESTORE) {
    lk_house_restore(e, m, input);
    return;
  }
  if (w->kind == LK_BUS_MESSAGE &&
      lk_attendance_knows(input.event, e->kind->has_cursors && !w->binary)) {
    lk_house_change_attendance(e, w->member, w->request, input.event, input.payload);
    return;
  }
  if (w->kind == LK_BUS_MESSAGE && lk_house_answers_too_big(e, w->member, w->request, input.event))
    return;
  if (w->kind == LK_BUS_MESSAGE && lk_house_is_of_pace(input.event)) {
    lk_house_change_pace(e, m, w->request, input.payload);
    return;
  }
  if (w->kind == LK_BUS_JOIN && m != NULL) m->state = MEMBER_JOINS;
  else input.applied = w->again && lk_house_was_applied(e, w->member, w->request);
  if (input.applied) e->house->stats.repeated++;
  lk_house_ask_room(e, input);
}

/* The room has its join, and has not answered it. */
static bool is_joining(const lk_house *self, uint64_t number) {
  const member *m = lk_house_find_member(self, number);
  return m != NULL && m->state == MEMBER_JOINS;
}

/* What waited goes in, in its order, but for what waits for its own join, or for its edge to read. Any of it may drop the room: the
 * rest then waits for the next loading. */
void lk_house_let_waiting_in(entry *e) {
  e->has_let_in = false;
  for (lk_link *at = e->waiting.first, *next; e->state == ENTRY_OPEN && at != NULL; at = next) {
    waiting_input *w = LK_CONTAINER(at, waiting_input, link);
    next = at->next;
    if (is_joining(e->house, w->member)) continue;
    if (lk_house_must_wait(e->house, edge_of(w->member))) {
      LK_COVERED(house_input_waits_for_its_edge);
      e->house->has_paused = true;
      continue;
    }
    lk_list_remove(&e->waiting, at);
    take_in(e, w);
    lk_house_free_waiting(e, w);
  }
  if (e->state == ENTRY_OPEN) lk_house_watch_idle(e); /* those who waited may all have left */
}

void lk_house_take_paused(lk_house *self) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  self->has_paused = false;
  while (lk_map_next(&self->entries, &cursor, &key, &value)) {
    entry *e = *(entry **)value;
    if (e->state == ENTRY_OPEN && e->waiting.count > 0) lk_house_let_waiting_in(e);
  }
}

/* The edge may ask for it again: it is known as applied. */
static lk_err note_recovered(entry *e, const lk_mark *mark) {
  if (!lk_house_may_come_again(e->house, mark)) return LK_OK;
  lk_err err = lk_house_note_applied(e, (applied){ *mark, true });
  return err == LK_OK ? lk_house_know_applied(e, mark) : err;
}

/* Takes the marks out of |rest|; |*bytes| are the room's. */
static lk_err read_kept(entry *e, lk_slice rest, lk_slice *bytes) {
  lk_kept kept;
  lk_err err = lk_kept_decode(rest, &kept);
  lk_reader marks = lk_reader_of(kept.marks);
  for (uint64_t i = 0; err == LK_OK && i < kept.marks_count; i++) {
    lk_mark mark;
    err = lk_kept_decode_mark(&marks, &mark);
    if (err == LK_OK) err = note_recovered(e, &mark);
  }
  if (err == LK_OK) *bytes = kept.bytes;
  return err;
}

/* Nothing was ever kept where |kept| is empty. */
static lk_err read_snapshot(entry *e, lk_slice kept, lk_slice *state) {
  lk_slice topic = LK_SLICE_EMPTY, rest;
  uint64_t index = 0;
  *state = LK_SLICE_EMPTY;
  e->journaled = 0;
  if (kept.len == 0) return LK_OK;
  lk_err err = lk_kept_decode_snapshot(kept, &index, &topic, &rest);
  if (err == LK_OK && topic.len > 0 && !lk_slice_equal(topic, entry_topic(e)))
    err = LK_ERR_CORRUPT; /* somebody moved the file */
  if (err == LK_OK) err = read_kept(e, rest, state);
  /* Later than all that the journal has: it lost records, and would give their numbers to others, which this
   * room would then take for old. */
  if (err == LK_OK && !e->is_memory && index > e->house->durable) err = LK_ERR_CORRUPT;
  if (err == LK_OK) e->journaled = index;
  return err;
}

/* The records behind the snapshot: an array that is freed with |records_free|. */
typedef struct tail_records {
  lk_slice *items;
  size_t count;
  size_t cap;
} tail_records;

static lk_err note_tail_record(entry *e, tail_records *out, uint64_t index, lk_slice bytes) {
  size_t cap;
  if (out->count == out->cap) {
    if (!lk_grow_cap(out->cap, out->count + 1, 16, SIZE_MAX / sizeof(lk_slice), &cap))
      return LK_ERR_LIMIT;
    lk_slice *items = lk_resize_array(e->house->env->alloc, out->items, out->cap, cap,
                                      sizeof *items);
    if (items == NULL) return LK_ERR_NOMEM;
    out->items = items;
    out->cap = cap;
  }
  e->journaled = index;
  return read_kept(e, bytes, &out->items[out->count++]);
}

static lk_err read_tail(entry *e, tail_records *out) {
  const lk_tail *tail = lk_tails_find(&e->house->tails, entry_topic(e));
  lk_err err = LK_OK;
  for (lk_link *at = tail == NULL ? NULL : tail->items.first; err == LK_OK && at != NULL;
       at = at->next) {
    lk_tail_item *item = LK_CONTAINER(at, lk_tail_item, of_tail);
    LK_ASSERT(item->index <= e->house->durable);
    err = note_tail_record(e, out, item->index, lk_slice_of(item->bytes, item->len));
  }
  return err;
}

/* A scroll that was not cut has some that the snapshot has, too. */
static lk_err read_scroll(entry *e, tail_records *out) {
  lk_slice records = lk_scroll_records(&e->warmth->scroll), bytes;
  uint64_t index;
  lk_err err = LK_OK;
  while (err == LK_OK && lk_scroll_next(&records, &index, &bytes)) {
    if (index > e->journaled) err = note_tail_record(e, out, index, bytes);
  }
  e->index = e->journaled;
  return err;
}

static bool is_of_memory(const entry *e) { return e->is_memory || e->house->storage == NULL; }

static lk_slice level_of(const entry *e) {
  return is_of_memory(e) ? LK_LIT("memory") : LK_LIT("durable");
}

/* What is kept nowhere but in memory goes with its room. */
static uint64_t erased_after(entry *e) {
  return is_of_memory(e) ? lk_room_policy_idle_ms(e->house->policy, entry_topic(e)) : 0;
}

static lk_err open_room(entry *e, lk_slice kept, bool is_intact) {
  lk_house *house = e->house;
  lk_slice state;
  tail_records records = { 0 };
  lk_err err = read_snapshot(e, kept, &state);
  if (err == LK_OK) {
    e->kept_len = kept.len;
    lk_tails_drop(&house->tails, entry_topic(e), e->journaled); /* what is loaded is durable */
    err = e->is_memory ? read_scroll(e, &records) : read_tail(e, &records);
  }
  if (err == LK_OK) {
    lk_room_options options = { .env = house->env,
                                .awake = house->awake,
                                .limits = house->limits,
                                .topic = entry_topic(e),
                                .recovered = state,
                                .records = records.items,
                                .records_count = records.count,
                                .intact = is_intact,
                                .level = level_of(e),
                                .erased_after_ms = erased_after(e),
                                .versions = lk_room_policy_versions(house->policy, entry_topic(e)),
                                .entropy = lk_prng_u64(&house->ids) };
    err = e->kind->open(&options, &e->room);
  }
  lk_free_array(house->env->alloc, records.items, records.cap, sizeof *records.items);
  return err;
}

/* A tombstone in its tail, or in its scroll: whoever was deleting it did not come to the end. */
static bool is_doomed(const entry *e, lk_slice topic) {
  const lk_tail *tail = !e->is_memory ? lk_tails_find(&e->house->tails, topic) : NULL;
  return e->is_doomed || (tail != NULL && tail->doomed != 0);
}

/* |err| says how the loading of |kept| went. */
void lk_house_open_and_let_in(entry *e, lk_slice kept, bool is_intact, lk_err err) {
  bool is_reachable = is_of_memory(e) || e->house->journal_state == JOURNAL_OPEN;
  e->is_doomed = is_reachable && is_doomed(e, entry_topic(e));
  if (err == LK_OK && !e->is_doomed) err = open_room(e, kept, is_intact);
  lk_keeper_release(&e->keeper);
  if (e->warmth != NULL) lk_scroll_release(&e->warmth->scroll);
  if (e->is_doomed) {
    lk_house_drop_room(e, LK_OK);
    return;
  }
  if (err != LK_OK) {
    lk_house_put_off_relief(e);
    lk_house_refuse_waiting(e, err);
    lk_house_drop_room(e, err);
    return;
  }
  lk_trace_emit(e->house->env, LK_TRACE_room_opened, e->waiting.count, kept.len, entry_topic(e));
  e->state = ENTRY_OPEN;
  lk_house_let_waiting_in(e);
  lk_house_watch_tail(e);
}
