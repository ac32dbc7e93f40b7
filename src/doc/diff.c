/* doc/diff.c -- one update, cut by a state vector, turned into one, or written in the other format.
 *
 * All three walk once over the structs and write what they keep, as Yjs's diffUpdate, convertUpdateFormat and
 * encodeStateVectorFromUpdate do. Sections of one client that follow on each other become one, as there.
 *
 * Where we differ, since Yjs has it wrong for updates that it does not write itself:
 *
 *   - Two sections of one client in a row that do not follow on each other: Yjs makes one of them too and
 *     so moves the second one's clocks. Here they stay two.
 *   - A delete set whose ranges overlap or step back, or are empty, cannot be said in V2: Yjs writes other ranges
 *     or throws. Here they are merged first.
 *   - An update that begins with a Skip from clock 0: Yjs counts the Skip into the state vector, and nobody
 *     would send what is missing. Here it does not count. */
#include "base/arena.h"
#include "doc/merge.h"

/* ---- a state vector ---- */

/* What is known of a client, in the order of lk_clock_entries_sort(). */
typedef struct known {
  lk_clock_entry *items;
  size_t count;
} known;

/* Of a client that comes twice the last clock counts, as in Yjs. */
static lk_err read_known(const lk_alloc *alloc, lk_slice sv, known *out) {
  lk_reader in = lk_reader_of(sv);
  uint64_t count;
  *out = (known){ 0 };
  if (sv.len == 0) return LK_OK;
  lk_err err = lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &count);
  if (err != LK_OK) return err;
  if (count > lk_reader_left(&in) / 2) return LK_ERR_TRUNCATED;
  if (count == 0) return lk_reader_end(&in);
  lk_clock_entry *items = lk_alloc_array(alloc, (size_t)count, sizeof *items);
  if (items == NULL) return LK_ERR_NOMEM;
  for (size_t i = 0; i < count && err == LK_OK; i++) {
    items[i].clock = 0;
    err = lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &items[i].client);
    if (err == LK_OK) err = lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &items[i].value);
  }
  if (err == LK_OK) err = lk_reader_end(&in);
  if (err == LK_OK) err = lk_clock_entries_sort(alloc, items, (size_t)count);
  if (err == LK_OK) *out = (known){ items, (size_t)count };
  else lk_free_array(alloc, items, (size_t)count, sizeof *items);
  return err;
}

/* Behind the last entry of |client| or of one that comes before it. */
static size_t known_end(const known *self, uint64_t client) {
  size_t low = 0, high = self->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (self->items[middle].client >= client) low = middle + 1;
    else high = middle;
  }
  return low;
}

static uint64_t known_clock(const known *self, uint64_t client) {
  size_t end = known_end(self, client);
  return end > 0 && self->items[end - 1].client == client ? self->items[end - 1].value : 0;
}

/* ---- walking and writing ---- */

typedef struct rewrite {
  lk_limits limits;
  lk_arena scratch;
  lk_update_walk walk;
  lk_update_writer writer;
  bool open; /* a section is; the next struct of |client| would begin at |clock| */
  uint64_t client, clock;
} rewrite;

static lk_err rewrite_init(rewrite *self, const lk_env *env, lk_update_format from, lk_slice update,
                           lk_update_format to) {
  self->limits = lk_limits_default();
  self->open = false;
  lk_arena_init(&self->scratch, env->alloc, lk_update_scratch_max(&self->limits));
  lk_update_writer_init(&self->writer, env->alloc, to, self->limits.doc_update_bytes);
  return lk_update_walk_init(&self->walk, from, update, &self->limits, &self->scratch);
}

static void rewrite_deinit(rewrite *self) {
  lk_update_writer_deinit(&self->writer);
  lk_arena_deinit(&self->scratch);
}

/* Writes the struct at hand without its first |offset| clocks. */
static void keep(rewrite *self, uint64_t offset) {
  const lk_struct *view = &self->walk.view;
  uint64_t clock = view->id.clock + offset;
  if (!self->open || self->client != view->id.client || self->clock != clock)
    lk_update_write_client(&self->writer, view->id.client, clock);
  lk_update_write_struct(&self->writer, view, offset);
  self->open = true;
  self->client = view->id.client;
  self->clock = view->id.clock + view->len;
}

/* The delete set, and the end. |walk| has no structs left. */
static lk_err rewrite_finish(rewrite *self, const lk_alloc *alloc, lk_buf *out) {
  lk_delete_set deletes;
  lk_delete_set_init(&deletes, alloc, self->limits.doc_delete_ranges_count);
  lk_err err = lk_delete_set_read(&deletes, &self->walk.reader, false);
  if (err == LK_OK) err = lk_delete_set_group(&deletes);
  if (err == LK_OK) err = lk_delete_set_write(&deletes, &self->writer);
  if (err == LK_OK) err = lk_update_writer_finish(&self->writer, out);
  lk_delete_set_deinit(&deletes);
  return err;
}

/* ---- diff ---- */

/* What the state vector lacks of one client comes after what it has: from the first struct on that goes
 * beyond it all are kept, Skips too, which are not kept before. */
static lk_err keep_unknown(rewrite *self, const known *theirs) {
  lk_err err;
  bool keeping = false, any = false;
  uint64_t client = 0, clock = 0;
  while ((err = lk_update_walk_next(&self->walk)) == LK_OK) {
    const lk_struct *view = &self->walk.view;
    if (!any || view->id.client != client) {
      any = true;
      client = view->id.client;
      clock = known_clock(theirs, client);
      keeping = false;
    }
    if (keeping) {
      keep(self, 0);
    } else if (view->kind != LK_CONTENT_SKIP && view->id.clock + view->len > clock) {
      keep(self, clock > view->id.clock ? clock - view->id.clock : 0);
      keeping = true;
    }
  }
  return err == LK_ERR_END ? LK_OK : err;
}

lk_err lk_update_diff(const lk_env *env, lk_update_format format, lk_slice update, lk_slice sv,
                      lk_buf *out) {
  rewrite work;
  known theirs;
  size_t before = out->len;
  if (!lk_update_format_is_valid(format)) return LK_ERR_INVALID;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  lk_err err = read_known(env->alloc, sv, &theirs);
  if (err != LK_OK) return err;
  err = rewrite_init(&work, env, format, update, format);
  if (err == LK_OK) err = keep_unknown(&work, &theirs);
  if (err == LK_OK) err = rewrite_finish(&work, env->alloc, out);
  rewrite_deinit(&work);
  lk_free_array(env->alloc, theirs.items, theirs.count, sizeof *theirs.items);
  return lk_update_settle(out, before, err);
}

/* ---- convert ---- */

static lk_err keep_all(rewrite *self) {
  lk_err err;
  while ((err = lk_update_walk_next(&self->walk)) == LK_OK) keep(self, 0);
  return err == LK_ERR_END ? LK_OK : err;
}

lk_err lk_update_convert(const lk_env *env, lk_update_format from, lk_slice update,
                         lk_update_format to, lk_buf *out) {
  rewrite work;
  size_t before = out->len;
  if (!lk_update_format_is_valid(from) || !lk_update_format_is_valid(to)) return LK_ERR_INVALID;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  lk_err err = rewrite_init(&work, env, from, update, to);
  if (err == LK_OK) err = keep_all(&work);
  if (err == LK_OK) err = rewrite_finish(&work, env->alloc, out);
  rewrite_deinit(&work);
  return lk_update_settle(out, before, err);
}

/* ---- the state vector of an update ---- */

typedef struct prefix {
  lk_buf clocks;
  uint64_t count;
  uint64_t client, clock; /* of the client at hand: it has all below |clock| */
  bool any, whole;        /* |whole|: no gap yet */
} prefix;

static void prefix_end(prefix *self) {
  if (!self->any || self->clock == 0) return;
  self->count++;
  (void)lk_varuint_encode(&self->clocks, self->client);
  (void)lk_varuint_encode(&self->clocks, self->clock);
}

static void prefix_add(prefix *self, const lk_struct *view) {
  if (!self->any || view->id.client != self->client) {
    prefix_end(self);
    self->any = true;
    self->client = view->id.client;
    self->clock = 0;
    self->whole = true;
  }
  if (view->kind == LK_CONTENT_SKIP || view->id.clock != self->clock) self->whole = false;
  if (self->whole) self->clock = view->id.clock + view->len;
}

static lk_err write_prefix(prefix *self, lk_buf *out) {
  prefix_end(self);
  if (lk_buf_err(&self->clocks) != LK_OK) return lk_buf_err(&self->clocks);
  (void)lk_varuint_encode(out, self->count);
  return lk_buf_append(out, lk_buf_slice(&self->clocks));
}

lk_err lk_update_state_vector(const lk_env *env, lk_update_format format, lk_slice update,
                              lk_buf *out) {
  lk_limits limits = lk_limits_default();
  lk_arena scratch;
  lk_update_walk walk;
  lk_delete_set deletes;
  prefix seen = { 0 };
  size_t before = out->len;
  if (!lk_update_format_is_valid(format)) return LK_ERR_INVALID;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  lk_arena_init(&scratch, env->alloc, lk_update_scratch_max(&limits));
  lk_buf_init(&seen.clocks, env->alloc, limits.doc_update_bytes);
  lk_delete_set_init(&deletes, env->alloc, limits.doc_delete_ranges_count);
  lk_err err = lk_update_walk_init(&walk, format, update, &limits, &scratch);
  while (err == LK_OK)
    if ((err = lk_update_walk_next(&walk)) == LK_OK) prefix_add(&seen, &walk.view);
  if (err == LK_ERR_END) err = lk_delete_set_read(&deletes, &walk.reader, false);
  if (err == LK_OK) err = write_prefix(&seen, out);
  lk_delete_set_deinit(&deletes);
  lk_buf_deinit(&seen.clocks);
  lk_arena_deinit(&scratch);
  return lk_update_settle(out, before, err);
}
