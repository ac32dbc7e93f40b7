/* peer/keeping.c -- records that are owed, and records that are not needed any more.
 *
 * What a topic owes is written in one order, always: DROP, TOPIC, STATE, changes by number, ACKED. So a reader meets a topic's
 * TOPIC before anything else of it, whatever was refused for want of space and written again later.
 *
 * IN PIECES. Where the journal says that a STATE or a CHANGE is TOO_BIG, it is written in pieces, and its topic stands at that place of the
 * order until the last one is appended: LK_ERR_MORE. It has its turn first in each step, when the piece before is durable and nothing else is
 * gathered yet; so it cannot starve. A record of another topic that would be long waits for that. A STATE is encoded once, and what the
 * replica learns meanwhile is no reason for another one: it follows as the difference between the two versions. NEWS in between would be read
 * before the STATE that they build on, and a document bounds what may wait for structs (doc_pending_bytes).
 *   A generation of a document that the diary does not know is recorded right before what has something of it: the TOPIC stands before the
 * last piece, not before the first one, or a crash in between would leave a device that claims what it does not have.
 *   What is REFUSED, and a journal that fails, ends it; so does an acknowledgement of the CHANGE. A compaction does not begin in the middle.
 *
 * COMPACTION. When more has been written than a few times what counts, the journal begins a new segment and every topic is
 * written again: TOPIC, STATE, and the changes that wait. A batch of the journal is bounded, so that goes in pieces, between
 * which topics go on as ever: what they record stands behind the new segment's beginning as well. When the last piece is durable,
 * the journal may let go of everything before that beginning. Reading twice does no harm (diary.h), so a crash anywhere in
 * between is none of our business.
 *
 * REFUSED says that records from an index on are not there, and that the next gets that index again. Whatever stood in those is
 * owed again; a compaction that was under way begins anew some time.
 *
 * While the journal is opened for the first time its records are taken in as they come; if that opening fails half-way, what was
 * taken in is dropped, since only OPENED says that it is safe. */
#include "peer/keeping.h"

#include "base/trace.h"
#include "peer/client.h"

#define RETRY_FIRST_MS 200u
#define RETRY_MAX_MS 30000u
#define SPACE_MS 5000u
#define COMPACT_LEAST(limits) ((uint64_t)(limits)->log_segment_bytes / 16)
#define COMPACT_TIMES 4u
#define SCRATCH_MAX (LK_DIARY_TOPIC_MAX + 2 * LK_DIARY_NAME_MAX + 64)

static lk_topic *first_of(const lk_keeping *self) {
  return lk_client_topic_of(self->client->topics.first);
}
static lk_topic *next_of(const lk_topic *topic) { return lk_client_topic_of(topic->link.next); }

static void set_trouble(lk_keeping *self, lk_err trouble) {
  if (self->trouble != trouble) self->client->has_status = true;
  self->trouble = trouble;
  for (lk_topic *t = first_of(self); t != NULL; t = next_of(t)) t->has_status |= t->is_kept;
}

/* ---- reading ---- */

static lk_err take_topic(lk_keeping *self, const lk_diary_record *record, uint64_t index) {
  lk_topic *topic = lk_client_find_topic(self->client, record->topic);
  if (topic != NULL && topic->kind != record->topic_kind) return LK_ERR_CORRUPT;
  if (record->topic_kind == LK_TOPIC_PLAIN) return LK_ERR_CORRUPT; /* there is nothing to keep */
  const lk_topic_type *type;
  lk_err err = lk_topic_type_of(record->topic_kind, &type);
  if (err != LK_OK) return err == LK_ERR_UNKNOWN_TYPE ? LK_ERR_VERSION : err;
  if (record->actor.len != LK_TOPIC_ACTOR_LEN) return LK_ERR_CORRUPT;
  if (topic == NULL) {
    err = lk_client_add_topic(self->client, record->topic, record->topic_kind, &topic);
    if (err != LK_OK) return err;
  }
  topic->is_kept = topic->uses_kept_name = topic->records.is_known = true;
  topic->records.owes_topic = false;
  topic->records.topic = index;
  memcpy(topic->kept_name, record->actor.ptr, LK_TOPIC_ACTOR_LEN);
  if (record->generation.len == 0) return LK_OK; /* it says nothing of that; a DROP does */
  topic->generation.len = (uint32_t)record->generation.len;
  memcpy(topic->generation.name, record->generation.ptr, topic->generation.len);
  topic->records.generation = topic->generation;
  return LK_OK;
}

static lk_err load(lk_topic *topic, lk_slice bytes, uint64_t index) {
  topic->is_foreign = true;
  lk_err err = topic->type->load(topic, bytes);
  topic->is_foreign = false;
  topic->records.state = index;
  return err;
}

static lk_err take_record(lk_keeping *self, const lk_diary_record *record, uint64_t index) {
  if (record->kind == LK_DIARY_TOPIC) return take_topic(self, record, index);
  lk_topic *topic = lk_client_find_topic(self->client, record->topic);
  if (topic == NULL)
    return LK_OK; /* its TOPIC was let go of, and comes again with all that counts */
  switch (record->kind) {
  case LK_DIARY_STATE:
  case LK_DIARY_NEWS: return load(topic, record->bytes, index);
  case LK_DIARY_CHANGE: {
    lk_err err = lk_backlog_restore(&topic->backlog, record->number, record->bytes, index);
    return err == LK_OK ? load(topic, record->bytes, index) : err;
  }
  case LK_DIARY_ACKED:
    lk_backlog_ack(&topic->backlog, record->number);
    topic->records.acked = topic->backlog.acked;
    return LK_OK;
  default: lk_client_remove_topic(self->client, topic); return LK_OK;
  }
}

static lk_err take_piece(lk_keeping *self, const lk_diary_record *piece, uint64_t index) {
  lk_diary_record record;
  bool is_whole;
  lk_err err = lk_pieces_read(&self->pieces, piece, &is_whole, &record);
  if (err != LK_OK || !is_whole) return err;
  LK_COVERED(keeping_reads_pieces);
  err = take_record(self, &record, index);
  lk_pieces_collector_reset(&self->pieces);
  return err;
}

static lk_err read_record(lk_keeping *self, const lk_journal_event *event) {
  lk_diary_record record;
  if (self->was_read) return LK_OK;
  lk_err err = lk_diary_decode(event->kind, event->body, &record);
  if (err != LK_OK) return err;
  if (record.kind == LK_DIARY_PIECE) return take_piece(self, &record, event->index);
  return take_record(self, &record, event->index);
}

static void forget_topics(lk_keeping *self) {
  while (first_of(self) != NULL) lk_client_remove_topic(self->client, first_of(self));
}

/* ---- what is owed ---- */

/* All of |topic|'s replica, or what it learned meanwhile. */
static bool is_writing_state(const lk_keeping *self, const lk_topic *topic) {
  return self->being_written.topic == topic && self->being_written.kind != LK_DIARY_CHANGE;
}

void lk_keeping_owe(lk_keeping *self, lk_topic *topic) {
  if (is_writing_state(self, topic)) self->being_written.is_behind = true;
  else topic->records.owes_state = true;
}

static void end_long(lk_keeping *self) {
  lk_keeping_long *l = &self->being_written;
  lk_buf_rest(&l->bytes, 0);
  lk_buf_rest(&l->version, 0);
  l->topic = NULL;
  l->writer = (lk_pieces_writer){ 0 };
}

/* Not all of it is written, and the rest will not be. */
static void give_up_long(lk_keeping *self) {
  lk_keeping_long *l = &self->being_written;
  if (l->topic == NULL) return;
  LK_COVERED(keeping_gives_up_pieces);
  lk_topic_records *r = &l->topic->records;
  if (l->kind != LK_DIARY_CHANGE) {
    if (l->was_owed || l->is_behind || l->kind == LK_DIARY_NEWS) r->owes_state = true;
    else r->state = l->state_before;
  }
  end_long(self);
}

void lk_keeping_give_up(lk_keeping *self, const lk_topic *topic) {
  if (self->being_written.topic == topic) give_up_long(self);
}

static void owe_everything(lk_topic *topic) {
  lk_topic_records *r = &topic->records;
  r->owes_topic = r->owes_state = true;
  r->topic = r->state = r->acked = 0;
  r->generation.len = 0;
  r->rewrite = LK_TOPIC_REWRITTEN;
  lk_backlog_entry *e = lk_backlog_first(&topic->backlog);
  for (; e != NULL; e = lk_backlog_next(e)) e->record = 0;
}

/* Records from |index| on are not there. */
static void owe_from(lk_topic *topic, uint64_t index) {
  lk_topic_records *r = &topic->records;
  if (r->topic >= index) {
    r->owes_topic = true;
    r->topic = 0;
    r->generation.len = 0;
  }
  if (r->state >= index) r->owes_state = true;
  r->acked = 0;
  r->rewrite = LK_TOPIC_REWRITTEN;
  lk_backlog_entry *e = lk_backlog_first(&topic->backlog);
  for (; e != NULL; e = lk_backlog_next(e)) {
    if (e->record >= index) e->record = 0;
  }
}

static lk_err append(lk_keeping *self, const lk_topic *topic, lk_diary_record record,
                     uint64_t *index) {
  record.topic = lk_buf_slice(&topic->name);
  return lk_diary_append(&self->journal, &self->scratch, &record, index);
}

static lk_err write_drop(lk_keeping *self, lk_topic *topic) {
  uint64_t index;
  if (!topic->records.owes_drop) return LK_OK;
  lk_err err = append(self, topic, (lk_diary_record){ .kind = LK_DIARY_DROP }, &index);
  if (err != LK_OK) return err;
  topic->records.owes_drop = false;
  topic->records.topic = 0;
  topic->records.generation.len = 0;
  return LK_OK;
}

static lk_err write_topic(lk_keeping *self, lk_topic *topic,
                          const lk_topic_generation *generation) {
  lk_topic_records *r = &topic->records;
  const lk_diary_record record = {
    .kind = LK_DIARY_TOPIC,
    .topic_kind = topic->kind,
    .actor = lk_slice_of(topic->kept_name, LK_TOPIC_ACTOR_LEN),
    .generation = lk_topic_generation_name(generation),
  };
  lk_err err = append(self, topic, record, &r->topic);
  if (err != LK_OK) return err;
  r->generation = *generation;
  r->owes_topic = !lk_slice_equal(lk_topic_generation_name(generation),
                                  lk_topic_generation_name(&topic->generation));
  r->is_known = true;
  if (r->rewrite == LK_TOPIC_REWRITE_TOPIC) r->rewrite = LK_TOPIC_REWRITE_STATE;
  return LK_OK;
}

/* ---- records that are too long ---- */

/* The next piece of |record|, which is of |topic|'s. LK_ERR_MORE: it has not been written whole. */
static lk_err write_piece(lk_keeping *self, const lk_topic *topic, lk_diary_record record,
                          uint64_t *index) {
  lk_keeping_long *l = &self->being_written;
  record.topic = lk_buf_slice(&topic->name);
  lk_err err = lk_pieces_write(&l->writer, &self->journal, &self->scratch, &record, self->durable);
  if (err == LK_OK) *index = l->writer.index;
  return err;
}

/* It is encoded in |bytes|, whose memory goes with it. Unless it is NEWS, nothing is being written. */
static lk_err begin_long(lk_keeping *self, lk_topic *topic, lk_diary_kind kind, lk_buf *bytes) {
  lk_keeping_long *l = &self->being_written;
  lk_buf_truncate(&l->version, 0);
  lk_err err = topic->type->version(topic, &l->version);
  if (err != LK_OK) {
    lk_buf_truncate(&l->version, 0);
    return err;
  }
  lk_buf spare = l->bytes;
  l->bytes = *bytes;
  *bytes = spare;
  l->topic = topic;
  l->kind = kind;
  l->number = 0;
  l->writer.off = 0;
  l->is_behind = false;
  l->owes_topic = topic->records.owes_topic;
  return LK_OK;
}

static lk_err begin_long_state(lk_keeping *self, lk_topic *topic, lk_buf *bytes) {
  lk_topic_records *r = &topic->records;
  LK_COVERED(keeping_writes_a_state_in_pieces);
  lk_err err = begin_long(self, topic, LK_DIARY_STATE, bytes);
  if (err != LK_OK) return err;
  self->being_written.was_owed = r->owes_state;
  self->being_written.state_before = r->state;
  r->owes_state = false;
  r->state = 0; /* what is missed is not safe before all of it is */
  return LK_OK;
}

/* Of what the replica learned while the record before was being written. */
static lk_err begin_difference(lk_keeping *self, lk_topic *topic) {
  lk_buf *bytes = &self->client->bytes;
  LK_COVERED(keeping_writes_a_difference);
  lk_buf_truncate(bytes, 0);
  lk_err err = topic->type->since(topic, lk_buf_slice(&self->being_written.version), bytes);
  if (err == LK_OK) err = begin_long(self, topic, LK_DIARY_NEWS, bytes);
  lk_buf_rest(bytes, 65536);
  return err;
}

static void note_state(lk_topic *topic, uint64_t index) {
  lk_topic_records *r = &topic->records;
  r->state = index;
  if (r->rewrite != LK_TOPIC_REWRITE_STATE) return;
  r->rewrite = LK_TOPIC_REWRITE_CHANGES;
  r->rewritten = topic->backlog.acked;
  r->acked = 0;
}

static lk_err write_topic_of_long(lk_keeping *self, lk_topic *topic, lk_diary_record record) {
  lk_keeping_long *l = &self->being_written;
  record.topic = lk_buf_slice(&topic->name);
  if (!l->owes_topic || l->writer.index > self->durable ||
      !lk_pieces_is_last(&l->writer, &self->client->limits, &record))
    return LK_OK;
  lk_err err = write_topic(self, topic, &topic->generation);
  if (err != LK_OK) return err;
  lk_journal_join_next(&self->journal); /* a claim without content is none */
  l->owes_topic = false;
  return LK_OK;
}

static lk_err go_on_with_state(lk_keeping *self, lk_topic *topic) {
  lk_keeping_long *l = &self->being_written;
  uint64_t index;
  while (true) {
    const lk_diary_record record = { .kind = l->kind, .bytes = lk_buf_slice(&l->bytes) };
    lk_err err = write_topic_of_long(self, topic, record);
    if (err == LK_OK) err = write_piece(self, topic, record, &index);
    if (err == LK_OK && !l->is_behind) break;
    if (err == LK_OK) err = begin_difference(self, topic);
    if (err != LK_OK) return err;
  }
  end_long(self);
  note_state(topic, index);
  return LK_OK;
}

/* ---- what is owed, in its order ---- */

static lk_err write_state(lk_keeping *self, lk_topic *topic) {
  lk_buf *bytes = &self->client->bytes;
  uint64_t index;
  if (is_writing_state(self, topic)) return go_on_with_state(self, topic);
  lk_keeping_give_up(self, topic); /* a change, which comes behind it */
  if (self->being_written.topic != NULL) return LK_ERR_MORE; /* this one may be long, too */
  lk_buf_truncate(bytes, 0);
  lk_err err = topic->type->encode(topic, bytes);
  const lk_diary_record record = { .kind = LK_DIARY_STATE, .bytes = lk_buf_slice(bytes) };
  bool is_long = topic->name.len + 2 + bytes->len > self->client->limits.log_record_bytes;
  if (err == LK_OK && topic->records.owes_topic && !is_long) {
    err = write_topic(self, topic, &topic->generation);
    if (err == LK_OK) lk_journal_join_next(&self->journal); /* a claim without content is none */
  }
  if (err == LK_OK) err = append(self, topic, record, &index);
  if (err == LK_OK) {
    topic->records.owes_state = false;
    note_state(topic, index);
  } else if (err == LK_ERR_TOO_BIG) {
    err = begin_long_state(self, topic, bytes);
    if (err == LK_OK) err = go_on_with_state(self, topic);
  }
  lk_buf_rest(bytes, 65536);
  return err;
}

static lk_err write_change(lk_keeping *self, lk_topic *topic, const lk_backlog_entry *entry,
                           uint64_t *index) {
  lk_keeping_long *l = &self->being_written;
  const lk_diary_record record = { .kind = LK_DIARY_CHANGE,
                                   .number = entry->number,
                                   .bytes = lk_slice_of(entry->bytes, entry->len) };
  bool is_begun = l->topic == topic && l->kind == LK_DIARY_CHANGE && l->number == entry->number;
  lk_err err = is_begun ? LK_ERR_TOO_BIG : append(self, topic, record, index);
  if (err != LK_ERR_TOO_BIG) return err;
  if (!is_begun && l->topic != NULL) return LK_ERR_MORE;
  LK_COVERED(keeping_writes_a_change_in_pieces);
  l->topic = topic;
  l->kind = LK_DIARY_CHANGE;
  l->number = entry->number;
  err = write_piece(self, topic, record, index);
  if (err == LK_OK) end_long(self);
  return err;
}

/* Those behind the last one that stands in a record. */
static lk_err write_changes(lk_keeping *self, lk_topic *topic) {
  lk_link *at = topic->backlog.entries.last;
  while (at != NULL && lk_backlog_of(at)->record == 0 && at->prev != NULL) at = at->prev;
  for (; at != NULL; at = at->next) {
    lk_backlog_entry *entry = lk_backlog_of(at);
    if (entry->record != 0) continue;
    lk_err err = write_change(self, topic, entry, &entry->record);
    if (err != LK_OK) return err;
  }
  return LK_OK;
}

static lk_err write_acked(lk_keeping *self, lk_topic *topic) {
  uint64_t index;
  const lk_diary_record record = { .kind = LK_DIARY_ACKED, .number = topic->backlog.acked };
  if (topic->backlog.acked <= topic->records.acked) return LK_OK;
  lk_err err = append(self, topic, record, &index);
  if (err == LK_OK) topic->records.acked = record.number;
  return err;
}

static lk_err rewrite_changes(lk_keeping *self, lk_topic *topic) {
  lk_topic_records *r = &topic->records;
  uint64_t index;
  lk_err err;
  if (r->rewrite != LK_TOPIC_REWRITE_CHANGES) return LK_OK;
  lk_backlog_entry *e = lk_backlog_first(&topic->backlog);
  for (; e != NULL; e = lk_backlog_next(e)) {
    if (e->number <= r->rewritten) continue;
    if ((err = write_change(self, topic, e, &index)) != LK_OK) return err;
    if (e->record == 0) e->record = index;
    r->rewritten = e->number;
  }
  r->rewrite = LK_TOPIC_REWRITTEN;
  return LK_OK;
}

/* One that a reader has to meet before anything else, or one that tells a generation. Where a STATE follows, that has the TOPIC of a
 * generation that is new to the diary. */
static lk_err write_owed_topic(lk_keeping *self, lk_topic *topic, bool owes_state) {
  const lk_topic_records *r = &topic->records;
  const lk_topic_generation known = r->generation;
  bool is_first = r->topic == 0 || r->rewrite == LK_TOPIC_REWRITE_TOPIC;
  if (!is_first && (owes_state || !r->owes_topic)) return LK_OK;
  return write_topic(self, topic, owes_state ? &known : &topic->generation);
}

static lk_err write_owed(lk_keeping *self, lk_topic *topic) {
  const lk_topic_records *r = &topic->records;
  lk_err err = write_drop(self, topic);
  bool owes_state = r->owes_state || is_writing_state(self, topic) ||
                    r->rewrite == LK_TOPIC_REWRITE_TOPIC || r->rewrite == LK_TOPIC_REWRITE_STATE;
  if (err == LK_OK) err = write_owed_topic(self, topic, owes_state);
  if (err == LK_OK && owes_state) err = write_state(self, topic);
  if (err == LK_OK) err = rewrite_changes(self, topic);
  if (err == LK_OK) err = write_changes(self, topic);
  return err == LK_OK ? write_acked(self, topic) : err;
}

/* What no replica could take in again: the topic cannot be kept. */
static void give_topic_up(lk_keeping *self, lk_topic *topic) {
  LK_COVERED(keeping_topic_is_too_big);
  lk_keeping_give_up(self, topic);
  topic->is_kept = false;
  topic->has_status = true;
  self->cannot_compact = true; /* what it has of before must stay */
  self->is_compacting = false;
  set_trouble(self, LK_ERR_TOO_BIG);
}

/* ---- compaction ---- */

static void begin_compaction(lk_keeping *self) {
  LK_COVERED(keeping_compacts);
  LK_ASSERT(self->being_written.topic == NULL);
  lk_journal_rotate(&self->journal);
  self->is_compacting = true;
  self->compact_from = self->journal.next_index;
  self->compact_to = 0;
  self->written = self->journal.stats.bytes_written;
#ifdef LK_BUG_PEER_RETIRE_EARLY /* planted for the simulator, which must find it: sim/README.md */
  lk_journal_retire(&self->journal, self->compact_from);
#endif
  for (lk_topic *t = first_of(self); t != NULL; t = next_of(t)) {
    if (t->is_kept) t->records.rewrite = LK_TOPIC_REWRITE_TOPIC;
  }
}

static bool is_time_to_compact(const lk_keeping *self) {
  uint64_t written = self->journal.stats.bytes_written - self->written;
  uint64_t most = lk_max_u64(COMPACT_LEAST(&self->client->limits), COMPACT_TIMES * self->compacted);
  return !self->is_compacting && !self->cannot_compact && self->has_space &&
         self->being_written.topic == NULL && written > most;
}

static void note_rewritten(lk_keeping *self) {
  if (!self->is_compacting || self->compact_to != 0) return;
  for (lk_topic *t = first_of(self); t != NULL; t = next_of(t)) {
    if (t->is_kept && t->records.rewrite != LK_TOPIC_REWRITTEN) return;
  }
  self->compact_to = self->journal.next_index - 1;
}

static void end_compaction(lk_keeping *self) {
  if (!self->is_compacting || self->compact_to == 0 || self->durable < self->compact_to) return;
  self->is_compacting = false;
  self->compacted = self->journal.stats.bytes_written - self->written;
  self->written = self->journal.stats.bytes_written;
  lk_journal_retire(&self->journal, self->compact_from);
}

/* ---- writing ---- */

/* False: nothing more can be written for now. */
static bool write_topics_records(lk_keeping *self, lk_topic *topic) {
  if (!topic->is_kept) return true;
  lk_err err = write_owed(self, topic);
  if (err == LK_ERR_TOO_BIG || err == LK_ERR_LIMIT) give_topic_up(self, topic);
  else if (err != LK_OK && err != LK_ERR_MORE) return false; /* full, or no memory: behind the next batch */
  return true;
}

/* The topic whose record is being written in pieces. */
static lk_topic *topic_of_long(lk_keeping *self) {
  lk_keeping_long *l = &self->being_written;
  if (l->topic != NULL && l->kind == LK_DIARY_CHANGE && l->number <= l->topic->backlog.acked)
    give_up_long(self); /* it is with the server */
  return l->topic;
}

void lk_keeping_write(lk_keeping *self) {
  if (!lk_keeping_is_well(self)) return;
  lk_topic *first = topic_of_long(self);
  bool goes_on = first == NULL || write_topics_records(self, first);
  for (lk_topic *t = first_of(self); goes_on && t != NULL; t = next_of(t)) {
    if (t != first) goes_on = write_topics_records(self, t);
  }
  note_rewritten(self);
  lk_journal_flush(&self->journal);
}

void lk_keeping_note_news(lk_keeping *self, lk_topic *topic, lk_slice bytes) {
  const lk_topic_records *r = &topic->records;
  bool must_wait = r->owes_state || r->owes_topic || r->owes_drop ||
                   r->rewrite == LK_TOPIC_REWRITE_TOPIC || r->rewrite == LK_TOPIC_REWRITE_STATE ||
                   is_writing_state(self, topic) || !lk_keeping_is_well(self);
  if (!topic->is_kept) return;
  const lk_diary_record record = { .kind = LK_DIARY_NEWS, .bytes = bytes };
  if (must_wait || append(self, topic, record, &topic->records.state) != LK_OK)
    lk_keeping_owe(self, topic);
}

/* ---- events ---- */

static uint64_t draw_retry(lk_keeping *self) {
  uint64_t wait = (uint64_t)RETRY_FIRST_MS << lk_min_u32(self->attempt++, 16);
  return self->client->now_ms + lk_min_u64(wait, RETRY_MAX_MS);
}

/* What time does not mend. */
static bool is_lost_for_good(lk_err err) {
  return err == LK_ERR_CORRUPT || err == LK_ERR_VERSION || err == LK_ERR_EXISTS ||
         err == LK_ERR_LIMIT || err == LK_ERR_UNSUPPORTED;
}

static void on_failed(lk_keeping *self, lk_err err) {
  lk_trace_emit(self->client->env, LK_TRACE_journal_failed, (uint64_t)err, 0, LK_SLICE_EMPTY);
  set_trouble(self, err);
  give_up_long(self);
  lk_pieces_collector_reset(&self->pieces);
  if (!self->was_read) forget_topics(self);
  self->is_compacting = false;
  self->state = LK_KEEPING_CLOSING;
  lk_journal_close(&self->journal);
}

static void on_closed(lk_keeping *self) {
  if (!self->was_read && is_lost_for_good(self->trouble)) {
    LK_COVERED(keeping_is_lost);
    self->state = LK_KEEPING_LOST;
    self->client->is_ready = true;
    return;
  }
  self->state = LK_KEEPING_RESTING;
  self->retry_at_ms = draw_retry(self);
}

static void on_opened(lk_keeping *self, uint64_t last) {
  self->state = LK_KEEPING_OPEN;
  self->has_space = true;
  self->attempt = 0;
  self->durable = last;
  self->written = self->journal.stats.bytes_written;
  set_trouble(self, LK_OK);
  lk_pieces_collector_reset(&self->pieces); /* what a crash has cut off */
  if (!self->was_read) {
    self->was_read = true;
    self->client->is_ready = true;
    lk_client_count_pending(self->client);
    return;
  }
  LK_COVERED(keeping_opens_again);
  for (lk_topic *t = first_of(self); t != NULL; t = next_of(t)) {
    if (t->is_kept) owe_everything(t);
  }
  begin_compaction(self);
}

static void on_refused(lk_keeping *self, uint64_t index) {
  LK_COVERED(keeping_was_refused);
  give_up_long(self);
  for (lk_topic *t = first_of(self); t != NULL; t = next_of(t)) owe_from(t, index);
  self->is_compacting = false;
}

static void on_space(lk_keeping *self, lk_err err) {
  self->has_space = err == LK_OK;
  self->space_at_ms = err == LK_OK ? LK_CLIENT_NEVER : self->client->now_ms + SPACE_MS;
  set_trouble(self, err);
}

static void on_durable(lk_keeping *self, uint64_t index) {
  for (lk_topic *t = first_of(self); t != NULL; t = next_of(t))
    t->has_status |= lk_topic_recorded(t) < t->backlog.last; /* it may be more now */
  self->durable = index;
  self->client->has_status = true;
  end_compaction(self);
  if (is_time_to_compact(self)) begin_compaction(self);
}

static void on_event(lk_keeping *self, const lk_journal_event *event) {
  lk_err err;
  switch (event->what) {
  case LK_JOURNAL_RECORD:
    if (self->state != LK_KEEPING_OPENING) break;
    if ((err = read_record(self, event)) != LK_OK) on_failed(self, err);
    break;
  case LK_JOURNAL_OPENED: on_opened(self, event->index); break;
  case LK_JOURNAL_DURABLE: on_durable(self, event->index); break;
  case LK_JOURNAL_REFUSED: on_refused(self, event->index); break;
  case LK_JOURNAL_SPACE: on_space(self, event->err); break;
  case LK_JOURNAL_FAILED:
    if (self->state != LK_KEEPING_CLOSING) on_failed(self, event->err);
    break;
  case LK_JOURNAL_CLOSED: on_closed(self); break;
  case LK_JOURNAL_RETIRED: break;
  }
}

static void drain(lk_keeping *self) {
  lk_journal_event event;
  while (lk_journal_poll(&self->journal, &event)) on_event(self, &event);
}

void lk_keeping_advance(lk_keeping *self) {
  if (self->storage == NULL) return;
  while (self->storage->poll(self->storage) != NULL) {
    lk_journal_advance(&self->journal);
    drain(self);
  }
}

static void open_journal(lk_keeping *self) {
  self->state = LK_KEEPING_OPENING;
  self->retry_at_ms = LK_CLIENT_NEVER;
  lk_journal_open(&self->journal);
  drain(self);
}

void lk_keeping_tick(lk_keeping *self, uint64_t now_ms) {
  if (self->state == LK_KEEPING_RESTING && now_ms >= self->retry_at_ms) open_journal(self);
  if (self->state != LK_KEEPING_OPEN || self->has_space || now_ms < self->space_at_ms) return;
  self->space_at_ms = now_ms + SPACE_MS;
  lk_journal_try_space(&self->journal);
  drain(self);
}

uint64_t lk_keeping_deadline(const lk_keeping *self) {
  if (self->state == LK_KEEPING_RESTING) return self->retry_at_ms;
  if (self->state == LK_KEEPING_OPEN && !self->has_space) return self->space_at_ms;
  return LK_CLIENT_NEVER;
}

void lk_keeping_init(lk_keeping *self, lk_client *client, lk_storage *storage,
                     const uint8_t salt[LK_SEGMENT_SALT_LEN]) {
  *self = (lk_keeping){ .client = client, .storage = storage };
  self->retry_at_ms = self->space_at_ms = LK_CLIENT_NEVER;
  const lk_alloc *alloc = client->env->alloc;
  lk_buf_init(&self->scratch, alloc, SCRATCH_MAX);
  lk_buf_init(&self->being_written.bytes, alloc, client->limits.doc_update_bytes);
  lk_buf_init(&self->being_written.version, alloc, client->limits.doc_update_bytes);
  lk_pieces_collector_init(&self->pieces, alloc, &client->limits);
  if (storage == NULL) {
    client->is_ready = true;
    return;
  }
  lk_journal_options options = { .alloc = client->env->alloc,
                                 .limits = &client->limits,
                                 .storage = storage,
                                 .user = self,
                                 .name = LK_LIT("diary") };
  memcpy(options.salt, salt, LK_SEGMENT_SALT_LEN);
  lk_journal_init(&self->journal, &options);
  open_journal(self);
}

void lk_keeping_deinit(lk_keeping *self) {
  lk_journal_deinit(&self->journal);
  lk_buf_deinit(&self->scratch);
  lk_buf_deinit(&self->being_written.bytes);
  lk_buf_deinit(&self->being_written.version);
  lk_pieces_collector_deinit(&self->pieces);
  *self = (lk_keeping){ 0 };
}
