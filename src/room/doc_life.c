/* room/doc_life.c -- a room's beginning from what was kept, its snapshots, and its end.
 *
 * A snapshot is the document as it is, with updates that are not durable yet: to have them twice does no harm, and nobody but
 * their authors has heard of them. */
#include "room/doc_parts.h"

#include "crypto/sha256.h"

static lk_err recover_item(lk_room *self, const lk_doc_item *item) {
  bool is_new;
  switch (item->kind) {
  case LK_DOC_ITEM_UPDATE:
    self->encoded_most += item->bytes.len;
    return lk_doc_load(self->doc, LK_UPDATE_V1, item->bytes, 0);
  case LK_DOC_ITEM_GENERATION:
    self->generation = item->number;
    self->generation_is_kept = true;
    return LK_OK;
  case LK_DOC_ITEM_WRITER: return lk_doc_room_add_writer(self, item->number, item->bytes, &is_new);
  case LK_DOC_ITEM_VERSION:
  case LK_DOC_ITEM_VERSION_GONE:
  case LK_DOC_ITEM_VERSION_DONE: return lk_doc_versions_take(self->versions, item);
  }
  LK_UNREACHABLE();
}

static lk_err recover(lk_room *self, lk_slice bytes) {
  lk_reader in;
  lk_doc_item item;
  lk_err err = lk_doc_record_open(bytes, &in);
  if (err != LK_OK) return err;
  while ((err = lk_doc_record_next(&in, &item)) == LK_OK) {
    if ((err = recover_item(self, &item)) != LK_OK) return err;
  }
  return err == LK_ERR_END ? LK_OK : err;
}

static lk_err recover_all(lk_room *self, const lk_room_options *options) {
  lk_err err = options->recovered.len > 0 ? recover(self, options->recovered) : LK_OK;
  for (size_t i = 0; err == LK_OK && i < options->records_count; i++)
    err = recover(self, options->records[i]);
  return err;
}

/* Looks for versions in what was written down, before the document is opened, since it must keep what they show. What cannot
 * be read will be refused by recover(). */
static void look_for_versions(lk_slice bytes, bool *is_known, bool *has_some) {
  lk_reader in;
  lk_doc_item item;
  lk_err err = bytes.len > 0 ? lk_doc_record_open(bytes, &in) : LK_ERR_END;
  while (err == LK_OK && (err = lk_doc_record_next(&in, &item)) == LK_OK) {
    *is_known = *is_known || lk_doc_versions_knows(item.kind);
    *has_some = *has_some || item.kind == LK_DOC_ITEM_VERSION;
  }
}

/* A document keeps what its versions show, also when no more are to be made. */
static lk_err make_versions(lk_room *self, const lk_room_options *options) {
  bool is_known = options->versions.is_on, has_some = options->versions.is_on;
  look_for_versions(options->recovered, &is_known, &has_some);
  for (size_t i = 0; i < options->records_count; i++)
    look_for_versions(options->records[i], &is_known, &has_some);
  if (!is_known) return LK_OK;
  self->keeps_deleted = has_some;
  self->versions = lk_alloc_bytes(self->env->alloc, sizeof *self->versions);
  if (self->versions == NULL) return LK_ERR_NOMEM;
  lk_doc_versions_init(self->versions, self->env->alloc, self->limits, &options->versions);
  return LK_OK;
}

/* Clients are told the generation, and must not guess the seeds from it: so all of them come from one hash, from which
 * no way leads back. */
static lk_err make_doc(lk_room *self, const lk_room_options *options) {
  uint8_t bytes[8], digest[LK_SHA256_LEN];
  lk_sha256 hash;
  lk_store_le64(bytes, options->entropy);
  lk_sha256_init(&hash);
  lk_sha256_update(&hash, LK_LIT("document"));
  lk_sha256_update(&hash, lk_slice_of(bytes, sizeof bytes));
  lk_sha256_final(&hash, digest);
  self->generation = lk_load_le64(digest);
  self->doc_client = lk_load_le64(digest + 8) >> 11;
  self->seed[0] = lk_load_le64(digest + 16);
  self->seed[1] = lk_load_le64(digest + 24);
  lk_doc_encoded_init(&self->encoded, self->env->alloc, self->awake->alloc,
                      self->limits->doc_update_bytes);
  return lk_doc_room_open_doc(self);
}

lk_err lk_doc_room_open_room(const lk_room_options *options, lk_room **out) {
  const lk_alloc *alloc = options->env->alloc;
  lk_room *self = lk_alloc_bytes(alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_room){ .env = options->env,
                     .awake = options->awake != NULL ? options->awake : options->env,
                     .limits = options->limits,
                     .level = options->level,
                     .erased_after_ms = options->erased_after_ms,
                     .timer_at = LK_DOC_ROOM_NEVER };
  lk_err err = make_versions(self, options);
  if (err == LK_OK) err = make_doc(self, options);
  if (err == LK_OK) err = recover_all(self, options);
  if (err != LK_OK) {
    lk_doc_room_close_room(self);
    return err;
  }
  *out = self;
  return LK_OK;
}

void lk_doc_room_close_room(lk_room *self) {
  const lk_alloc *alloc = self->env->alloc;
  lk_doc_room_free_work(self);
  lk_doc_encoded_deinit(&self->encoded);
  lk_doc_close(self->doc);
  lk_doc_room_free_people(self);
  if (self->awareness != NULL) {
    lk_doc_awareness_deinit(self->awareness);
    lk_free_bytes(alloc, self->awareness, sizeof *self->awareness);
  }
  if (self->rendered != NULL) {
    lk_doc_rendered_deinit(self->rendered);
    lk_free_bytes(alloc, self->rendered, sizeof *self->rendered);
  }
  if (self->versions != NULL) {
    lk_doc_versions_deinit(self->versions);
    lk_free_bytes(alloc, self->versions, sizeof *self->versions);
  }
  lk_free_bytes(alloc, self, sizeof *self);
}

lk_err lk_doc_room_on_snapshot(lk_room *self) {
  lk_doc_item update = { .kind = LK_DOC_ITEM_UPDATE };
  const lk_doc_item generation = { .kind = LK_DOC_ITEM_GENERATION, .number = self->generation };
  lk_buf *out = &self->work->text;
  lk_err err = lk_doc_encoded_whole(&self->encoded, self->doc, &update.bytes);
  lk_buf_truncate(out, 0);
  if (err == LK_OK) err = lk_doc_record_begin(out);
  if (err == LK_OK) err = lk_doc_record_append(out, &generation);
  if (err == LK_OK) err = lk_doc_room_append_writers(self, out);
  if (err == LK_OK && self->versions != NULL) err = lk_doc_versions_append(self->versions, out);
  if (err == LK_OK) err = lk_doc_record_append(out, &update);
  if (err != LK_OK) return err;
  return lk_doc_room_push(self, (lk_room_effect){ .kind = LK_ROOM_SNAPSHOT_DONE,
                                                  .payload = lk_buf_slice(out),
                                                  .is_ahead = true });
}
