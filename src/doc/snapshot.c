/* doc/snapshot.c -- snapshots: a document's state in a few bytes, and the document as it was then.
 *
 *   snapshot := deletes vector
 *   deletes  := clients (client count (clock len)*)*          the highest client first
 *   vector   := clients (client clock)*                       likewise
 *
 * V1 writes clocks and lengths as they are. V2 writes a clock as what lies between it and the end of the range
 * before, and a length less one. Everything is a varuint; V2's columns have no part in it.
 *
 * The document as it was (lk_doc_at_snapshot) is its own update, read again: of each client as much as the vector
 * has, with the snapshot's delete set. Deleted content is in the update since the document keeps it; what was
 * deleted later is simply not deleted there. */
#include "codec/utf.h"
#include "codec/varint.h"
#include "doc/history.h"
#include "doc/merge.h"
#include "doc/value.h"

/* ---- writing ---- */

static lk_err collect_client(const lk_client *client, const lk_doc *doc, lk_version *out) {
  lk_err err = lk_delete_set_add(&out->known, client->id, 0, client->clock);
  for (uint32_t b = 0; b < client->block_count; b++) {
    const lk_block *block = &client->blocks[b];
    for (uint32_t i = 0; i < block->count && err == LK_OK; i++) {
      const lk_item *item = &doc->items[block->items[i]];
      if (lk_item_deleted(item))
        err = lk_delete_set_join(&out->deleted, client->id, item->clock, item->len);
    }
  }
  return err;
}

static lk_err collect(const lk_doc *doc, lk_version *out) {
  lk_err err = LK_OK;
  for (uint32_t i = 0; i < doc->clients.count && err == LK_OK; i++) {
    if (doc->clients.at[i].clock > 0) err = collect_client(&doc->clients.at[i], doc, out);
  }
  if (err == LK_OK) err = lk_delete_set_merge(&out->deleted);
  if (err == LK_OK) err = lk_delete_set_merge(&out->known);
  return err;
}

/* Behind the last range of the client whose first one is at |from|. */
static size_t client_end(const lk_delete_set *set, size_t from) {
  size_t end = from;
  while (end < set->count && set->ranges[end].client == set->ranges[from].client) end++;
  return end;
}

static void put_ranges(const lk_delete_set *set, lk_update_format format, lk_buf *out) {
  uint64_t clients = 0;
  for (size_t i = 0; i < set->count; i = client_end(set, i)) clients++;
  (void)lk_varuint_encode(out, clients);
  for (size_t i = 0, end; i < set->count; i = end) {
    uint64_t from = 0;
    end = client_end(set, i);
    (void)lk_varuint_encode(out, set->ranges[i].client);
    (void)lk_varuint_encode(out, end - i);
    for (size_t k = i; k < end; k++) {
      const lk_clock_entry *range = &set->ranges[k];
      bool v2 = format == LK_UPDATE_V2;
      (void)lk_varuint_encode(out, v2 ? range->clock - from : range->clock);
      (void)lk_varuint_encode(out, v2 ? range->value - 1 : range->value);
      from = range->clock + range->value;
    }
  }
}

static void put_vector(const lk_delete_set *known, lk_buf *out) {
  (void)lk_varuint_encode(out, known->count);
  for (size_t i = 0; i < known->count; i++) {
    (void)lk_varuint_encode(out, known->ranges[i].client);
    (void)lk_varuint_encode(out, known->ranges[i].value);
  }
}

lk_err lk_doc_snapshot(const lk_doc *doc, lk_update_format format, lk_buf *out) {
  lk_version version;
  size_t before = out->len;
  if (!lk_update_format_is_valid(format)) return LK_ERR_INVALID;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  lk_version_init(&version, &doc->alloc, &doc->limits);
  lk_err err = collect(doc, &version);
  if (err == LK_OK) {
    put_ranges(&version.deleted, format, out);
    put_vector(&version.known, out);
    err = lk_buf_err(out);
  }
  lk_version_deinit(&version);
  return lk_update_settle(out, before, err);
}

/* ---- comparing ---- */

static bool same_set(const lk_delete_set *a, const lk_delete_set *b) {
  if (a->count != b->count) return false;
  for (size_t i = 0; i < a->count; i++) {
    const lk_clock_entry *x = &a->ranges[i], *y = &b->ranges[i];
    if (x->client != y->client || x->clock != y->clock || x->value != y->value) return false;
  }
  return true;
}

lk_err lk_snapshot_equal(const lk_env *env, lk_update_format format, lk_slice a, lk_slice b,
                         bool *out) {
  lk_limits limits = lk_limits_default();
  lk_version one, other;
  if (!lk_update_format_is_valid(format)) return LK_ERR_INVALID;
  lk_version_init(&one, env->alloc, &limits);
  lk_version_init(&other, env->alloc, &limits);
  lk_err err = lk_version_decode(&one, format, a);
  if (err == LK_OK) err = lk_version_decode(&other, format, b);
  if (err == LK_OK)
    *out = same_set(&one.known, &other.known) && same_set(&one.deleted, &other.deleted);
  lk_version_deinit(&one);
  lk_version_deinit(&other);
  return err;
}

/* ---- the document as it was ---- */

/* The first |keep| units. As Yjs, a cut through a surrogate pair leaves U+FFFD. */
static lk_err cut_text(lk_column_piece *piece, uint64_t keep, lk_arena *scratch) {
  lk_slice left, right;
  bool halved;
  lk_err err = lk_utf8_split(piece->text, keep - (piece->low_first != 0), &left, &right, &halved);
  if (err != LK_OK) return err;
  piece->text = left;
  piece->high_last = 0;
  if (!halved) return LK_OK;
  uint8_t *bytes = lk_arena_push_bytes(scratch, left.len + LK_UTF8_REPLACEMENT.len);
  if (bytes == NULL) return LK_ERR_NOMEM;
  if (left.len > 0) memcpy(bytes, left.ptr, left.len);
  memcpy(bytes + left.len, LK_UTF8_REPLACEMENT.ptr, LK_UTF8_REPLACEMENT.len);
  piece->text = lk_slice_of(bytes, left.len + LK_UTF8_REPLACEMENT.len);
  return LK_OK;
}

/* The bytes of the first |keep| values. */
static lk_slice cut_values(const lk_struct *view, uint64_t keep) {
  lk_reader in = lk_reader_of(view->value);
  for (; keep > 0; keep--) {
    uint64_t len;
    if (view->kind == LK_CONTENT_ANY) len = lk_value_any_length(lk_reader_rest(&in));
    else if (lk_varuint_decode(&in, UINT32_MAX, &len) != LK_OK) LK_UNREACHABLE();
    if (lk_reader_skip(&in, len) != LK_OK) LK_UNREACHABLE();
  }
  return lk_reader_since(&in, 0);
}

/* Leaves the first |keep| clocks of it; what has one clock is never cut. */
static lk_err cut_back(lk_struct *view, uint64_t keep, lk_arena *scratch) {
  if (keep >= view->len) return LK_OK;
  view->len = keep;
  if (view->kind == LK_CONTENT_STRING) return cut_text(&view->text, keep, scratch);
  if (view->kind == LK_CONTENT_ANY || view->kind == LK_CONTENT_JSON)
    view->value = cut_values(view, keep);
  return LK_OK;
}

/* What |version| has of the structs that |in| has. */
static lk_err copy_structs(const lk_version *version, lk_update_reader *in, lk_arena *scratch,
                           lk_update_writer *out) {
  uint64_t id, clock, count;
  lk_struct view;
  lk_err err;
  while ((err = lk_update_next_client(in, &id, &clock, &count)) == LK_OK) {
    uint64_t end = lk_version_clock(version, id);
    if (end > 0) lk_update_write_client(out, id, clock);
    while ((err = lk_update_next_struct(in, &view)) == LK_OK) {
      if (view.id.clock >= end) continue;
      if ((err = cut_back(&view, end - view.id.clock, scratch)) != LK_OK) return err;
      lk_update_write_struct(out, &view, 0);
    }
    if (err != LK_ERR_END) return err;
  }
  return err == LK_ERR_END ? LK_OK : err;
}

/* |whole| is the document as V2, which can say half of a surrogate pair. */
static lk_err copy_version(const lk_doc *doc, lk_version *version, lk_slice whole,
                           lk_update_format to, lk_buf *out) {
  lk_update_reader in;
  lk_update_writer writer;
  lk_arena scratch;
  lk_arena_init(&scratch, &doc->alloc, lk_update_scratch_max(&doc->limits));
  lk_update_writer_init(&writer, &doc->alloc, to, doc->limits.doc_update_bytes);
  lk_err err = lk_update_reader_init(&in, LK_UPDATE_V2, whole, doc->limits.any_depth, &scratch);
  if (err == LK_OK) err = copy_structs(version, &in, &scratch, &writer);
  if (err == LK_OK) err = lk_delete_set_write(&version->deleted, &writer);
  if (err == LK_OK) err = lk_update_writer_finish(&writer, out);
  lk_update_writer_deinit(&writer);
  lk_arena_deinit(&scratch);
  return err;
}

/* LK_ERR_NOT_FOUND where the document has not all that the version knows. */
static lk_err check_known(const lk_doc *doc, const lk_version *version) {
  for (size_t i = 0; i < version->known.count; i++) {
    uint16_t client = lk_client_find(doc, version->known.ranges[i].client);
    if (client == LK_NO_CLIENT) return LK_ERR_NOT_FOUND;
    if (doc->clients.at[client].clock < version->known.ranges[i].value) return LK_ERR_NOT_FOUND;
  }
  return LK_OK;
}

lk_err lk_doc_at_snapshot(lk_doc *doc, lk_update_format format, lk_slice snapshot,
                          lk_update_format to, lk_buf *out) {
  lk_version version;
  lk_buf whole;
  size_t before = out->len;
  if (!lk_update_format_is_valid(format) || !lk_update_format_is_valid(to)) return LK_ERR_INVALID;
  if (doc->gc) return LK_ERR_STATE;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  lk_version_init(&version, &doc->alloc, &doc->limits);
  lk_buf_init(&whole, &doc->alloc, doc->limits.doc_update_bytes);
  lk_err err = lk_version_decode(&version, format, snapshot);
  if (err == LK_OK) err = check_known(doc, &version);
  if (err == LK_OK) err = lk_doc_encode_state(doc, LK_UPDATE_V2, LK_SLICE_EMPTY, &whole);
  if (err == LK_OK) err = copy_version(doc, &version, lk_buf_slice(&whole), to, out);
  lk_buf_deinit(&whole);
  lk_version_deinit(&version);
  return lk_update_settle(out, before, err);
}
