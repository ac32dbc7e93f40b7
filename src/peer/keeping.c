/* peer/keeping.c -- records that are owed, and records that are not needed any more.
 *
 * What a topic owes is written in one order, always: DROP, TOPIC, STATE, changes by number, ACKED. So a reader meets a topic's
 * TOPIC before anything else of it, whatever was refused for want of space and written again later.
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
  topic->generation.len = (uint32_t)record->generation.len;
  if (topic->generation.len > 0)
    memcpy(topic->generation.name, record->generation.ptr, topic->generation.len);
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

static lk_err read_record(lk_keeping *self, const lk_journal_event *event) {
  lk_diary_record record;
  if (self->was_read) return LK_OK;
  lk_err err = lk_diary_decode(event->kind, event->body, &record);
  return err == LK_OK ? take_record(self, &record, event->index) : err;
}

static void forget_topics(lk_keeping *self) {
  while (first_of(self) != NULL) lk_client_remove_topic(self->client, first_of(self));
}

/* ---- what is owed ---- */

static void owe_everything(lk_topic *topic) {
  lk_topic_records *r = &topic->records;
  r->owes_topic = r->owes_state = true;
  r->topic = r->state = r->acked = 0;
  r->rewrite = LK_TOPIC_REWRITTEN;
  lk_backlog_entry *e = lk_backlog_first(&topic->backlog);
  for (; e != NULL; e = lk_backlog_next(e)) e->record = 0;
}

/* Records from |index| on are not there. */
static void owe_from(lk_topic *topic, uint64_t index) {
  lk_topic_records *r = &topic->records;
  if (r->topic >= index) r->owes_topic = true;
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
  if (err == LK_OK) topic->records.owes_drop = false;
  return err;
}

static lk_err write_topic(lk_keeping *self, lk_topic *topic) {
  const lk_diary_record record = {
    .kind = LK_DIARY_TOPIC,
    .topic_kind = topic->kind,
    .actor = lk_slice_of(topic->kept_name, LK_TOPIC_ACTOR_LEN),
    .generation = lk_topic_generation_name(&topic->generation),
  };
  lk_err err = append(self, topic, record, &topic->records.topic);
  if (err != LK_OK) return err;
  topic->records.owes_topic = false;
  topic->records.is_known = true;
  return LK_OK;
}

static lk_err write_state(lk_keeping *self, lk_topic *topic) {
  lk_buf *bytes = &self->client->bytes;
  lk_buf_truncate(bytes, 0);
  lk_err err = topic->type->encode(topic, bytes);
  const lk_diary_record record = { .kind = LK_DIARY_STATE, .bytes = lk_buf_slice(bytes) };
  if (err == LK_OK) err = append(self, topic, record, &topic->records.state);
  if (err == LK_OK) topic->records.owes_state = false;
  lk_buf_rest(bytes, 65536);
  return err;
}

static lk_err write_change(lk_keeping *self, const lk_topic *topic, const lk_backlog_entry *entry,
                           uint64_t *index) {
  const lk_diary_record record = { .kind = LK_DIARY_CHANGE,
                                   .number = entry->number,
                                   .bytes = lk_slice_of(entry->bytes, entry->len) };
  return append(self, topic, record, index);
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

static lk_err rewrite(lk_keeping *self, lk_topic *topic) {
  lk_topic_records *r = &topic->records;
  uint64_t index;
  lk_err err = LK_OK;
  if (r->rewrite == LK_TOPIC_REWRITE_STATE) {
    err = write_topic(self, topic);
    if (err == LK_OK) err = write_state(self, topic);
    if (err != LK_OK) return err;
    r->rewrite = LK_TOPIC_REWRITE_CHANGES;
    r->rewritten = topic->backlog.acked;
    r->acked = 0;
  }
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

static lk_err write_owed(lk_keeping *self, lk_topic *topic) {
  lk_err err = write_drop(self, topic);
  if (err == LK_OK && topic->records.owes_topic) err = write_topic(self, topic);
  if (err == LK_OK && topic->records.owes_state) err = write_state(self, topic);
  if (err == LK_OK) err = rewrite(self, topic);
  if (err == LK_OK) err = write_changes(self, topic);
  return err == LK_OK ? write_acked(self, topic) : err;
}

/* A record that no journal takes: the topic cannot be kept. */
static void give_topic_up(lk_keeping *self, lk_topic *topic) {
  LK_COVERED(keeping_topic_is_too_big);
  topic->is_kept = false;
  topic->has_status = true;
  self->cannot_compact = true;
  set_trouble(self, LK_ERR_TOO_BIG);
}

/* ---- compaction ---- */

static void begin_compaction(lk_keeping *self) {
  LK_COVERED(keeping_compacts);
  lk_journal_rotate(&self->journal);
  self->is_compacting = true;
  self->compact_from = self->journal.next_index;
  self->compact_to = 0;
  self->written = self->journal.stats.bytes_written;
#ifdef LK_BUG_PEER_RETIRE_EARLY /* planted for the simulator, which must find it: sim/README.md */
  lk_journal_retire(&self->journal, self->compact_from);
#endif
  for (lk_topic *t = first_of(self); t != NULL; t = next_of(t)) {
    if (t->is_kept) t->records.rewrite = LK_TOPIC_REWRITE_STATE;
  }
}

static bool is_time_to_compact(const lk_keeping *self) {
  uint64_t written = self->journal.stats.bytes_written - self->written;
  uint64_t most = lk_max_u64(COMPACT_LEAST(&self->client->limits), COMPACT_TIMES * self->compacted);
  return !self->is_compacting && !self->cannot_compact && self->has_space && written > most;
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

void lk_keeping_write(lk_keeping *self) {
  if (!lk_keeping_is_well(self)) return;
  for (lk_topic *t = first_of(self); t != NULL; t = next_of(t)) {
    if (!t->is_kept) continue;
    lk_err err = write_owed(self, t);
    if (err == LK_ERR_TOO_BIG || err == LK_ERR_LIMIT) give_topic_up(self, t);
    else if (err != LK_OK) break; /* full, or no memory: behind the next batch */
  }
  note_rewritten(self);
  lk_journal_flush(&self->journal);
}

void lk_keeping_note_news(lk_keeping *self, lk_topic *topic, lk_slice bytes) {
  lk_topic_records *r = &topic->records;
  if (!topic->is_kept || r->rewrite == LK_TOPIC_REWRITE_STATE) return; /* that will have it */
  if (r->owes_state || r->owes_topic || r->owes_drop || !lk_keeping_is_well(self)) {
    r->owes_state = true;
    return;
  }
  const lk_diary_record record = { .kind = LK_DIARY_NEWS, .bytes = bytes };
  if (append(self, topic, record, &r->state) != LK_OK) r->owes_state = true;
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
  lk_buf_init(&self->scratch, client->env->alloc, SCRATCH_MAX);
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
  *self = (lk_keeping){ 0 };
}
