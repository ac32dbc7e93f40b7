/* server/webhook_dues.c -- one entry for each topic, in a map by its name and in a heap by its time.
 *
 *   written := version:u8 count entry*
 *   entry   := topic sequence changes first_ms last_ms failing_ms attempts flags by       texts with their length, varuints
 *   flags   := 1 deleted, 2 anew       version 1 had none
 *
 * Times that stand in what is written are of the calendar: the other clock begins anew with the machine. What was read is due
 * at once, or, where it had failed, after the wait that was due anyway; a receiver that comes back together with us shall not
 * find all of it at its door in one moment.
 *
 * The jitter is half of the wait: of two topics that failed together one comes between half and all of it, and so does the
 * other. */
#include "server/webhook_dues.h"

#include "codec/reader.h"
#include "codec/varint.h"

#define WRITTEN_VERSION 2u
#define VERSION_WITHOUT_FLAGS 1u
#define NUMBERS 7 /* of an entry */
#define BY_BYTES_MAX (LK_WEBHOOK_BY_MAX * 256u)

void lk_webhook_dues_init(lk_webhook_dues *self, const lk_alloc *alloc,
                          const lk_webhook_times *times, uint32_t count_max,
                          const uint64_t seed[3]) {
  *self = (lk_webhook_dues){ .alloc = alloc, .times = times, .count_max = count_max };
  lk_map_init(&self->topics, alloc, sizeof(lk_webhook_due *), count_max, seed);
  lk_heap_init(&self->waiting, alloc, count_max);
  lk_prng_init(&self->jitter, seed[2]);
}

static void free_due(lk_webhook_dues *self, lk_webhook_due *due) {
  if (due->timer.place != LK_HEAP_OUT) lk_heap_remove(&self->waiting, &due->timer);
  lk_buf_deinit(&due->by);
  lk_free_bytes(self->alloc, due, sizeof *due + due->topic.len);
}

void lk_webhook_dues_deinit(lk_webhook_dues *self) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  if (self->alloc == NULL) return;
  while (lk_map_next(&self->topics, &cursor, &key, &value))
    free_due(self, *(lk_webhook_due **)value);
  lk_map_deinit(&self->topics);
  lk_heap_deinit(&self->waiting);
  *self = (lk_webhook_dues){ 0 };
}

static void touch(lk_webhook_dues *self, const lk_webhook_due *due) {
  self->version[due->is_memory ? 1 : 0]++;
}

static void forget(lk_webhook_dues *self, lk_webhook_due *due) {
  touch(self, due);
  (void)lk_map_remove(&self->topics, due->topic);
  free_due(self, due);
}

/* Its place in the heap is kept for as long as it lives, so that this never fails. */
static void wait_until(lk_webhook_dues *self, lk_webhook_due *due, uint64_t at_ms) {
  due->is_flying = false;
  due->is_anew |= due->sent_anew; /* nobody has heard that */
  due->sent_anew = false;
  lk_heap_move(&self->waiting, &due->timer, at_ms);
}

/* ---- noting ---- */

static bool knows_name(const lk_webhook_due *due, lk_slice name) {
  for (size_t at = 0; at < due->by.len; at += 1u + due->by.ptr[at]) {
    if (lk_slice_equal(lk_slice_of(due->by.ptr + at + 1, due->by.ptr[at]), name)) return true;
  }
  return false;
}

static uint32_t count_names(const lk_webhook_due *due) {
  uint32_t count = 0;
  for (size_t at = 0; at < due->by.len; at += 1u + due->by.ptr[at]) count++;
  return count;
}

/* Without memory a name is missing. */
static void add_name(lk_webhook_due *due, lk_slice name) {
  if (name.len == 0 || name.len > UINT8_MAX || knows_name(due, name) ||
      count_names(due) == LK_WEBHOOK_BY_MAX)
    return;
  size_t before = due->by.len;
  (void)lk_buf_append_u8(&due->by, (uint8_t)name.len);
  if (lk_buf_append(&due->by, name) != LK_OK) lk_buf_truncate(&due->by, before);
}

static lk_err make_due(lk_webhook_dues *self, lk_slice topic, lk_webhook_due **out) {
  void *place;
  bool is_new;
  lk_webhook_due *due = lk_alloc_bytes(self->alloc, sizeof *due + topic.len);
  if (due == NULL) return LK_ERR_NOMEM;
  *due = (lk_webhook_due){ .timer = LK_HEAP_ITEM_INIT };
  uint8_t *name = (uint8_t *)(due + 1);
  if (topic.len > 0) memcpy(name, topic.ptr, topic.len);
  due->topic = lk_slice_of(name, topic.len);
  lk_buf_init(&due->by, self->alloc, BY_BYTES_MAX);
  lk_err err = lk_map_put(&self->topics, topic, &place, &is_new);
  if (err == LK_OK) {
    *(lk_webhook_due **)place = due;
    err = lk_heap_push(&self->waiting, &due->timer, UINT64_MAX);
    if (err != LK_OK) (void)lk_map_remove(&self->topics, topic);
  }
  if (err != LK_OK) free_due(self, due);
  else *out = due;
  return err;
}

/* As long as it is quiet, but not for ever. */
static uint64_t quiet_at(const lk_webhook_dues *self, const lk_webhook_due *due, uint64_t now_ms) {
  return lk_min_u64(now_ms + self->times->debounce_ms,
                    due->since_ms + self->times->debounce_most_ms);
}

/* It grows, or the next message would have the id of the last one. A topic in memory begins again with 1 when
 * it was erased; so the same number may be of another one's change. */
static uint64_t next_sequence(const lk_webhook_due *due, const lk_webhook_change *change) {
  bool is_other = change->is_memory && (change->is_anew || change->is_deleted != due->is_deleted);
  if (change->sequence > due->sequence) return change->sequence;
  if (change->sequence == due->sequence && !is_other) return change->sequence;
  return due->sequence + (change->is_memory ? change->changes : 0);
}

/* What is told is how it is now; and that in between it was gone. */
static void merge_deletion(lk_webhook_due *due, const lk_webhook_change *change) {
  if (!change->is_deleted) due->is_anew |= change->is_anew || due->is_deleted;
  due->is_deleted = change->is_deleted;
}

static void merge(lk_webhook_dues *self, lk_webhook_due *due, const lk_webhook_change *change,
                  uint64_t now_ms) {
  if (due->changes == 0) {
    due->first_ms = change->first_ms;
    due->since_ms = now_ms;
  }
  due->sequence = next_sequence(due, change);
  due->changes += change->changes;
  due->last_ms = lk_max_u64(due->last_ms, change->last_ms);
  if (due->is_memory != change->is_memory) touch(self, due); /* there it goes */
  due->is_memory = change->is_memory;
  merge_deletion(due, change);
  for (uint32_t i = 0; i < change->by_count && i < LK_WEBHOOK_BY_MAX; i++)
    add_name(due, change->by[i]);
  touch(self, due);
}

lk_err lk_webhook_dues_note(lk_webhook_dues *self, const lk_webhook_change *change,
                            uint64_t now_ms) {
  lk_webhook_due **found = lk_map_get(&self->topics, change->topic), *due = NULL;
  if (found == NULL && lk_map_count(&self->topics) >= self->count_max) {
    LK_COVERED(webhook_dues_are_full);
    self->dropped++;
    return LK_OK;
  }
  lk_err err = found == NULL ? make_due(self, change->topic, &due) : LK_OK;
  if (err != LK_OK) return err;
  if (found != NULL) due = *found;
  merge(self, due, change, now_ms);
  /* One that fails waits for its back-off, whatever is written meanwhile. */
  if (!due->is_flying && due->failing_ms == 0) wait_until(self, due, quiet_at(self, due, now_ms));
  return LK_OK;
}

/* ---- delivering ---- */

uint64_t lk_webhook_dues_deadline(const lk_webhook_dues *self) {
  const lk_heap_item *first = lk_heap_first(&self->waiting);
  return first != NULL ? first->key : UINT64_MAX;
}

lk_webhook_due *lk_webhook_dues_poll(lk_webhook_dues *self, uint64_t now_ms) {
  if (lk_webhook_dues_deadline(self) > now_ms) return NULL;
  lk_webhook_due *due = LK_CONTAINER(lk_heap_first(&self->waiting), lk_webhook_due, timer);
  lk_heap_move(&self->waiting, &due->timer, UINT64_MAX); /* and keeps its place */
  due->is_flying = true;
  due->sent_anew = due->is_anew;
  due->is_anew = false;
  due->sent_sequence = due->sequence;
  due->sent_changes = due->changes;
  return due;
}

lk_webhook_change lk_webhook_due_change(const lk_webhook_due *due) {
  lk_webhook_change change = { .topic = due->topic,
                               .sequence = due->sequence,
                               .changes = due->changes,
                               .first_ms = due->first_ms,
                               .last_ms = due->last_ms,
                               .is_memory = due->is_memory,
                               .is_deleted = due->is_deleted,
                               .is_anew = due->is_anew || due->sent_anew };
  for (size_t at = 0; at < due->by.len && change.by_count < LK_WEBHOOK_BY_MAX;
       at += 1u + due->by.ptr[at])
    change.by[change.by_count++] = lk_slice_of(due->by.ptr + at + 1, due->by.ptr[at]);
  return change;
}

void lk_webhook_dues_delivered(lk_webhook_dues *self, lk_webhook_due *due, uint64_t now_ms) {
  LK_ASSERT(due->is_flying);
  self->delivered++;
  if (due->changes == due->sent_changes) {
    forget(self, due);
    return;
  }
  due->sent_anew = false;
  due->changes -= due->sent_changes;
  due->first_ms = due->last_ms;
  due->since_ms = now_ms;
  due->failing_ms = 0;
  due->attempts = 0;
  touch(self, due);
  wait_until(self, due, quiet_at(self, due, now_ms));
}

uint64_t lk_webhook_backoff_ms(const lk_webhook_times *times, uint32_t attempts) {
  uint64_t wait = times->retry_ms;
  for (uint32_t i = 1; i < attempts && wait < times->retry_most_ms; i++) wait *= 2;
  return lk_min_u64(wait, times->retry_most_ms);
}

bool lk_webhook_dues_failed(lk_webhook_dues *self, lk_webhook_due *due, uint64_t wait_ms,
                            uint64_t now_ms, uint64_t wall_ms) {
  LK_ASSERT(due->is_flying);
  due->attempts++;
  if (due->failing_ms == 0) due->failing_ms = lk_max_u64(wall_ms, 1);
  if (wall_ms > due->failing_ms && wall_ms - due->failing_ms >= self->times->retry_for_ms) {
    self->given_up++;
    forget(self, due);
    return false;
  }
  uint64_t backoff = lk_webhook_backoff_ms(self->times, due->attempts);
  backoff = backoff / 2 + lk_prng_below(&self->jitter, backoff / 2 + 1);
  touch(self, due);
  wait_until(self, due, now_ms + lk_max_u64(backoff, wait_ms));
  return true;
}

void lk_webhook_dues_put_off(lk_webhook_dues *self, lk_webhook_due *due, uint64_t wait_ms,
                             uint64_t now_ms) {
  LK_ASSERT(due->is_flying);
  wait_until(self, due, now_ms + wait_ms);
}

/* ---- written down ---- */

static void encode_text(lk_buf *out, lk_slice text) {
  (void)lk_varuint_encode(out, text.len);
  (void)lk_buf_append(out, text);
}

lk_err lk_webhook_dues_encode(const lk_webhook_dues *self, bool is_memory, lk_buf *out) {
  uint32_t cursor = 0, count = 0;
  lk_slice key;
  void *value;
  while (lk_map_next(&self->topics, &cursor, &key, &value))
    if ((*(lk_webhook_due **)value)->is_memory == is_memory) count++;
  (void)lk_buf_append_u8(out, WRITTEN_VERSION);
  (void)lk_varuint_encode(out, count);
  cursor = 0;
  while (lk_map_next(&self->topics, &cursor, &key, &value)) {
    const lk_webhook_due *due = *(lk_webhook_due **)value;
    if (due->is_memory != is_memory) continue;
    encode_text(out, due->topic);
    const bool is_anew = due->is_anew || due->sent_anew;
    const uint64_t numbers[NUMBERS] = { due->sequence,
                                        due->changes,
                                        due->first_ms,
                                        due->last_ms,
                                        due->failing_ms,
                                        due->attempts,
                                        (due->is_deleted ? 1u : 0u) | (is_anew ? 2u : 0u) };
    for (size_t i = 0; i < NUMBERS; i++) (void)lk_varuint_encode(out, numbers[i]);
    encode_text(out, lk_buf_slice(&due->by));
  }
  return lk_buf_err(out);
}

static lk_err decode_text(lk_reader *in, lk_slice *out) {
  uint64_t len;
  lk_err err = lk_varuint_decode(in, UINT32_MAX, &len);
  return err == LK_OK ? lk_reader_bytes(in, len, out) : err;
}

static lk_err decode_names(lk_slice by, lk_webhook_change *out) {
  while (by.len > 0) {
    size_t len = by.ptr[0];
    if (len == 0 || len > by.len - 1 || out->by_count == LK_WEBHOOK_BY_MAX) return LK_ERR_CORRUPT;
    out->by[out->by_count++] = lk_slice_first(lk_slice_skip(by, 1), len);
    by = lk_slice_skip(by, len + 1);
  }
  return LK_OK;
}

static lk_err decode_due(lk_webhook_dues *self, lk_reader *in, size_t numbers_count, bool is_memory,
                         uint64_t now_ms) {
  lk_webhook_change change = { .is_memory = is_memory };
  uint64_t numbers[NUMBERS] = { 0 };
  lk_slice by = LK_SLICE_EMPTY;
  lk_err err = decode_text(in, &change.topic);
  for (size_t i = 0; i < numbers_count && err == LK_OK; i++)
    err = lk_varuint_decode(in, UINT64_MAX / 4, &numbers[i]);
  if (err == LK_OK) err = decode_text(in, &by);
  if (err == LK_OK) err = decode_names(by, &change);
  if (err != LK_OK) return err;
  if (numbers[1] == 0 || lk_map_get(&self->topics, change.topic) != NULL) return LK_ERR_CORRUPT;
  change.sequence = numbers[0];
  change.changes = numbers[1];
  change.first_ms = numbers[2];
  change.last_ms = numbers[3];
  change.is_deleted = (numbers[6] & 1) != 0;
  change.is_anew = (numbers[6] & 2) != 0;
  err = lk_webhook_dues_note(self, &change, now_ms);
  lk_webhook_due *const *found = lk_map_get(&self->topics, change.topic);
  if (err != LK_OK || found == NULL) return err;
  lk_webhook_due *due = *found;
  due->failing_ms = numbers[4];
  due->attempts = (uint32_t)lk_min_u64(numbers[5], UINT32_MAX / 2);
  uint64_t wait = lk_webhook_backoff_ms(self->times, lk_max_u32(due->attempts, 1));
  wait_until(self, due, now_ms + lk_prng_below(&self->jitter, wait + 1));
  return LK_OK;
}

lk_err lk_webhook_dues_decode(lk_webhook_dues *self, bool is_memory, lk_slice bytes,
                              uint64_t now_ms) {
  lk_reader in = lk_reader_of(bytes);
  uint8_t version;
  uint64_t count;
  lk_err err = lk_reader_u8(&in, &version);
  bool is_old = err == LK_OK && version == VERSION_WITHOUT_FLAGS;
  if (err == LK_OK && version != WRITTEN_VERSION && !is_old) err = LK_ERR_VERSION;
  if (err == LK_OK) err = lk_varuint_decode(&in, UINT32_MAX, &count);
  for (; err == LK_OK && count > 0; count--)
    err = decode_due(self, &in, is_old ? NUMBERS - 1 : NUMBERS, is_memory, now_ms);
  return err == LK_OK ? lk_reader_end(&in) : err;
}
