/* doc/inspect.c -- what an update holds, without taking it in.
 *
 * The clients of an update stand in its sections, in whatever order it has, and in its delete set. To count a client
 * once, its first place gathers what its later ones say: sorted by client, with the place as the
 * clock, all of one client lie side by side, and the merged delete set has the same order. */
#include "base/arena.h"
#include "doc/merge.h"

#define CLIENTS_CAP_LEAST 8

typedef struct survey {
  const lk_alloc *alloc;
  lk_limits limits;
  lk_arena scratch;
  lk_delete_set deletes;
  lk_update_client *clients;
  size_t client_count, client_cap;
  lk_update_summary sum;
} survey;

static void survey_init(survey *self, const lk_alloc *alloc) {
  *self = (survey){ .alloc = alloc, .limits = lk_limits_default() };
  lk_arena_init(&self->scratch, alloc, lk_update_scratch_max(&self->limits));
  lk_delete_set_init(&self->deletes, alloc, self->limits.doc_delete_ranges_count);
}

static void survey_deinit(survey *self) {
  lk_free_array(self->alloc, self->clients, self->client_cap, sizeof *self->clients);
  lk_delete_set_deinit(&self->deletes);
  lk_arena_deinit(&self->scratch);
}

/* Sums of clocks that strangers wrote may be more than 64 bits hold. */
static void add_capped(uint64_t *sum, uint64_t more) {
  if (!lk_add_u64(*sum, more, sum)) *sum = UINT64_MAX;
}

/* ---- clients ---- */

static lk_err add_client(survey *self, uint64_t client, uint64_t clock) {
  if (self->client_count == self->client_cap) {
    size_t cap;
    if (!lk_grow_cap(self->client_cap, self->client_count + 1, CLIENTS_CAP_LEAST,
                     SIZE_MAX / sizeof *self->clients, &cap))
      return LK_ERR_LIMIT;
    lk_update_client *grown = lk_resize_array(self->alloc, self->clients, self->client_cap, cap,
                                              sizeof *grown);
    if (grown == NULL) return LK_ERR_NOMEM;
    self->clients = grown;
    self->client_cap = cap;
  }
  self->clients[self->client_count++] =
      (lk_update_client){ .client = client, .from = clock, .to = clock };
  return LK_OK;
}

static void fold_client(lk_update_client *into, lk_update_client *from) {
  into->from = lk_min_u64(into->from, from->from);
  into->to = lk_max_u64(into->to, from->to);
  into->structs += from->structs;
  from->structs = 0; /* it is gone */
}

/* Gives each section's client what the delete set has of it, and adds those that are in no section. |order| has
 * the clients as lk_clock_entries_sort() has them, the place in |value|. */
static lk_err join_deletes(survey *self, const lk_clock_entry *order, size_t count) {
  size_t at = 0;
  for (size_t i = 0; i < self->deletes.count; i++) {
    const lk_clock_entry *range = &self->deletes.ranges[i];
    while (at < count && order[at].client > range->client) at++;
    bool is_new = at == count || order[at].client != range->client;
    lk_update_client *last = self->client_count > count ? &self->clients[self->client_count - 1]
                                                        : NULL;
    if (is_new && (last == NULL || last->client != range->client)) {
      lk_err err = add_client(self, range->client, 0);
      if (err != LK_OK) return err;
    }
    size_t place = is_new ? self->client_count - 1 : (size_t)order[at].value;
    add_capped(&self->clients[place].deleted_units, range->value);
  }
  return LK_OK;
}

static lk_err join_clients(survey *self) {
  size_t count = self->client_count;
  lk_clock_entry *order = NULL;
  if (count > 0 && (order = lk_alloc_array(self->alloc, count, sizeof *order)) == NULL)
    return LK_ERR_NOMEM;
  for (size_t i = 0; i < count; i++) order[i] = (lk_clock_entry){ self->clients[i].client, i, i };
  lk_err err = lk_clock_entries_sort(self->alloc, order, count);
  for (size_t i = 1; i < count && err == LK_OK; i++) {
    if (order[i].client != order[i - 1].client) continue;
    fold_client(&self->clients[order[i - 1].value], &self->clients[order[i].value]);
    order[i].value = order[i - 1].value;
  }
  if (err == LK_OK) err = join_deletes(self, order, count);
  lk_free_array(self->alloc, order, count, sizeof *order);
  if (err != LK_OK) return err;
  size_t kept = 0;
  for (size_t i = 0; i < self->client_count; i++)
    if (i >= count || self->clients[i].structs > 0) self->clients[kept++] = self->clients[i];
  self->client_count = kept;
  return LK_OK;
}

/* ---- structs ---- */

static size_t content_bytes(const lk_struct *view) {
  switch (view->kind) {
  case LK_CONTENT_STRING: return view->text.text.len;
  case LK_CONTENT_FORMAT:
  case LK_CONTENT_DOC: return view->key.len + view->value.len;
  case LK_CONTENT_TYPE:
    return view->type_ref == LK_TYPE_REF_ELEMENT || view->type_ref == LK_TYPE_REF_HOOK
               ? view->key.len
               : 0;
  case LK_CONTENT_JSON:
  case LK_CONTENT_BINARY:
  case LK_CONTENT_EMBED:
  case LK_CONTENT_ANY: return view->value.len;
  default: return 0;
  }
}

static void count_struct(lk_update_summary *sum, const lk_struct *view) {
  sum->structs++;
  sum->kinds[view->kind]++;
  add_capped(&sum->kind_bytes[view->kind], content_bytes(view));
  if (view->kind != LK_CONTENT_SKIP) add_capped(&sum->units, view->len);
  sum->skips += view->kind == LK_CONTENT_SKIP;
  sum->tombstones += view->kind == LK_CONTENT_GC || view->kind == LK_CONTENT_DELETED;
}

static lk_err survey_structs(survey *self, lk_update_walk *walk) {
  lk_err err;
  while ((err = lk_update_walk_next(walk)) == LK_OK) {
    const lk_struct *view = &walk->view;
    count_struct(&self->sum, view);
    if (walk->begins && (err = add_client(self, view->id.client, view->id.clock)) != LK_OK)
      return err;
    lk_update_client *client = &self->clients[self->client_count - 1];
    client->structs++;
    client->to = view->id.clock + view->len;
  }
  return err == LK_ERR_END ? LK_OK : err;
}

static lk_err survey_run(survey *self, lk_update_format format, lk_slice update) {
  lk_update_walk walk;
  lk_err err = lk_update_walk_init(&walk, format, update, &self->limits, &self->scratch);
  if (err == LK_OK) err = survey_structs(self, &walk);
  if (err == LK_OK) err = lk_delete_set_read(&self->deletes, &walk.reader, false);
  if (err != LK_OK) return err;
  self->sum.deleted_ranges = self->deletes.count;
  if ((err = lk_delete_set_merge(&self->deletes)) != LK_OK) return err;
  for (size_t i = 0; i < self->deletes.count; i++)
    add_capped(&self->sum.deleted_units, self->deletes.ranges[i].value);
  err = join_clients(self);
  self->sum.clients = self->client_count;
  return err;
}

lk_err lk_update_check(const lk_env *env, lk_update_format format, lk_slice update,
                       lk_update_summary *out) {
  survey work;
  if (!lk_update_format_is_valid(format)) return LK_ERR_INVALID;
  survey_init(&work, env->alloc);
  lk_err err = survey_run(&work, format, update);
  if (err == LK_OK && out != NULL) {
    work.sum.size = out->size;
    memcpy(out, &work.sum, lk_min_size(out->size, sizeof work.sum));
  }
  survey_deinit(&work);
  return err;
}

lk_err lk_update_clients(const lk_env *env, lk_update_format format, lk_slice update,
                         lk_err (*each)(void *ctx, const lk_update_client *client), void *ctx) {
  survey work;
  if (!lk_update_format_is_valid(format)) return LK_ERR_INVALID;
  survey_init(&work, env->alloc);
  lk_err err = survey_run(&work, format, update);
  for (size_t i = 0; i < work.client_count && err == LK_OK; i++) err = each(ctx, &work.clients[i]);
  survey_deinit(&work);
  return err;
}
