/* doc/history.c -- a state of a document, asked about: was this to be seen then?
 *
 * A state is two sets of clocks, known and deleted; a clock that is known and not deleted is to be seen. Yjs asks
 * with structs: it cuts those of the document at all borders of the snapshot, walks, and merges them again. We leave
 * them whole and ask for stretches of an item, so that looking changes nothing, needs no transaction, and takes
 * steps only for what is looked at. */
#include "doc/history.h"

#include "codec/varint.h"

#define ANY_UNDEFINED 127 /* lib0's */

/* ---- versions ---- */

void lk_version_init(lk_version *self, const lk_alloc *alloc, const lk_limits *limits) {
  self->now = false;
  lk_delete_set_init(&self->known, alloc, limits->doc_clients_count);
  lk_delete_set_init(&self->deleted, alloc, limits->doc_delete_ranges_count);
}

void lk_version_deinit(lk_version *self) {
  lk_delete_set_deinit(&self->known);
  lk_delete_set_deinit(&self->deleted);
}

static lk_err decode_range(lk_reader *in, lk_update_format format, uint64_t *clock, uint64_t *len) {
  uint64_t at, count;
  lk_err err = lk_varuint_decode(in, LK_VARUINT_MAX_SAFE, &at);
  if (err == LK_OK) err = lk_varuint_decode(in, LK_VARUINT_MAX_SAFE, &count);
  if (err != LK_OK) return err;
  if (format == LK_UPDATE_V2) {
    at += *clock;
    count++;
  }
  if (at > LK_VARUINT_MAX_SAFE || count > LK_VARUINT_MAX_SAFE - at) return LK_ERR_RANGE;
  *clock = at;
  *len = count;
  return LK_OK;
}

/* The ranges of one client. Each takes two bytes at least, so that the input bounds what |count| may claim. */
static lk_err decode_ranges(lk_version *self, lk_reader *in, lk_update_format format) {
  uint64_t client, count, clock = 0, len;
  lk_err err = lk_varuint_decode(in, LK_VARUINT_MAX_SAFE, &client);
  if (err == LK_OK) err = lk_varuint_decode(in, LK_VARUINT_MAX_SAFE, &count);
  for (uint64_t i = 0; err == LK_OK && i < count; i++) {
    if ((err = decode_range(in, format, &clock, &len)) != LK_OK) return err;
    if (len > 0) err = lk_delete_set_join(&self->deleted, client, clock, len);
    if (format == LK_UPDATE_V2) clock += len;
  }
  return err;
}

static lk_err decode_vector(lk_version *self, lk_reader *in) {
  uint64_t count, client, clock;
  lk_err err = lk_varuint_decode(in, LK_VARUINT_MAX_SAFE, &count);
  for (uint64_t i = 0; err == LK_OK && i < count; i++) {
    err = lk_varuint_decode(in, LK_VARUINT_MAX_SAFE, &client);
    if (err == LK_OK) err = lk_varuint_decode(in, LK_VARUINT_MAX_SAFE, &clock);
    if (err == LK_OK && clock > 0) err = lk_delete_set_join(&self->known, client, 0, clock);
  }
  return err;
}

lk_err lk_version_decode(lk_version *self, lk_update_format format, lk_slice snapshot) {
  lk_reader in = lk_reader_of(snapshot);
  uint64_t clients;
  lk_err err = lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &clients);
  for (uint64_t i = 0; err == LK_OK && i < clients; i++) err = decode_ranges(self, &in, format);
  if (err == LK_OK) err = decode_vector(self, &in);
  if (err == LK_OK) err = lk_reader_end(&in);
  if (err == LK_OK) err = lk_delete_set_merge(&self->deleted);
  if (err == LK_OK) err = lk_delete_set_merge(&self->known);
  return err;
}

uint64_t lk_version_clock(const lk_version *self, uint64_t client) {
  size_t at = lk_delete_set_find(&self->known, client, 0);
  if (at == self->known.count || self->known.ranges[at].client != client) return 0;
  return self->known.ranges[at].value;
}

bool lk_version_shows(const lk_version *self, const lk_doc *doc, const lk_item *item, uint32_t at,
                      uint32_t *until) {
  *until = item->len;
  if (self->now) return !lk_item_deleted(item);
  uint64_t client = doc->clients.at[item->client].id, clock = (uint64_t)item->clock + at;
  uint64_t end = lk_min_u64(lk_item_end(item), lk_version_clock(self, client));
  if (end <= clock) return false;
  size_t found = lk_delete_set_find(&self->deleted, client, clock);
  bool deleted = false;
  if (found < self->deleted.count && self->deleted.ranges[found].client == client) {
    const lk_clock_entry *range = &self->deleted.ranges[found];
    deleted = range->clock <= clock;
    end = lk_min_u64(end, deleted ? range->clock + range->value : range->clock);
  }
  *until = (uint32_t)(end - item->clock);
  return !deleted;
}

/* ---- values and formatting ---- */

lk_err lk_history_write_any(lk_json_writer *w, lk_slice any, lk_buf *scratch) {
  lk_buf_truncate(scratch, 0);
  lk_err err = lk_doc_json_of_any(any, scratch);
  return err == LK_OK ? lk_json_write_raw(w, lk_buf_slice(scratch)) : err;
}

static bool format_before(const void *ctx, uint32_t a, uint32_t b) {
  const lk_formats *formats = ctx;
  uint32_t x = 0, y = 0;
  (void)lk_read_is_index(lk_format_key(formats->doc, &formats->at[a]), &x);
  (void)lk_read_is_index(lk_format_key(formats->doc, &formats->at[b]), &y);
  return x < y;
}

static lk_err push_formats(const lk_formats *formats, bool indexes, lk_refs *refs) {
  uint32_t index;
  lk_err err = LK_OK;
  for (uint32_t i = formats->base; i < formats->count && err == LK_OK; i++) {
    const lk_format *format = &formats->at[i];
    if (format->item == LK_NONE) continue;
    if (lk_read_is_index(lk_format_key(formats->doc, format), &index) != indexes) continue;
    err = lk_refs_push(refs, i);
  }
  return err;
}

lk_err lk_history_write_formats(lk_json_writer *w, const lk_formats *formats, lk_refs *refs,
                                lk_buf *scratch) {
  uint32_t from = refs->count;
  lk_err err = push_formats(formats, true, refs);
  if (err == LK_OK) lk_refs_sort(refs, from, format_before, formats);
  if (err == LK_OK) err = push_formats(formats, false, refs);
  for (uint32_t i = from; i < refs->count && err == LK_OK; i++) {
    const lk_format *format = &formats->at[refs->at[i]];
    lk_slice value = lk_format_value(formats->doc, format);
    if (value.len > 0 && value.ptr[0] == ANY_UNDEFINED) continue;
    (void)lk_json_write_key(w, lk_format_key(formats->doc, format));
    err = lk_history_write_any(w, value, scratch);
  }
  refs->count = from;
  return err;
}
