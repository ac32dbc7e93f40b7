/* channel/presence_diffs.c -- what came and stayed, and what was known and went.
 *
 *   {"joins":{"ann":[A2 prev A1]},"leaves":{"ann":[A1]}}  ┐
 *   {"joins":{"ann":[A3 prev A2]},"leaves":{"ann":[A2]}}  ├──> {"joins":{"ann":[A3 prev A1]},"leaves":{"ann":[A1]}}
 *   {"joins":{"bob":[B1]},"leaves":{}}                    │
 *   {"joins":{},"leaves":{"bob":[B1]}}                    ┘
 *
 * A meta is known by its phx_ref, which is never given twice under one key. One that is named first in a leave was known before;
 * in a join, it was not. Each leave and join after that turns it round, and in the end those are joins that are there and were
 * not known, and those leaves that were known and are not there.
 *
 * phx_ref_prev of a join names what the client knows in its place. Where that is a meta that came in between, and so is never
 * told, it is what that one had in the place of it, or nothing.
 *
 * phoenix.js keeps the metas of a key in the order in which they came. So they are told in that order, and not, like those of one
 * diff, in that of their members. */
#include "channel/presence_diffs.h"

#include "base/list.h"
#include "base/map.h"
#include "codec/json_reader.h"

#define SCRATCH_MAX ((size_t)UINT32_MAX / 2)

/* All that was said of one key. */
typedef struct person {
  lk_link link;  /* in the order of the first mention */
  lk_list metas; /* in that of the last */
  lk_slice key;  /* JSON */
} person;

typedef struct meta {
  lk_link link;
  lk_slice raw; /* as its diff has it */
  lk_slice ref; /* JSON */
  lk_slice
      prev_raw; /* in |raw|, with the comma before it: the member phx_ref_prev; empty: it has none */
  lk_slice prev; /* JSON: the value to be told instead; empty: none */
  bool was_known;
  bool is_there;
} meta;

typedef struct merge {
  lk_limits limits;
  lk_arena scratch;
  lk_map persons; /* key -> person * */
  lk_map metas;   /* key, ref -> meta * */
  lk_list all;    /* persons */
  lk_buf name;    /* of the meta that is looked for */
} merge;

/* ---- reading ---- */

static lk_err read_meta(merge *self, lk_slice raw, meta *out) {
  lk_json_reader in;
  lk_json_event key;
  lk_slice value;
  *out = (meta){ .raw = raw };
  lk_err err = lk_json_reader_init(&in, raw, &self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_next(&in, &key);
  if (err == LK_OK && key.kind != LK_JSON_OBJECT_BEGIN) return LK_ERR_UNSUPPORTED;
  while (err == LK_OK && (err = lk_json_next(&in, &key)) == LK_OK && key.kind == LK_JSON_KEY) {
    err = lk_json_skip_value(&in, &value);
    if (err != LK_OK) break;
    if (lk_slice_equal(key.text, LK_LIT("phx_ref"))) out->ref = value;
    if (!lk_slice_equal(key.text, LK_LIT("phx_ref_prev"))) continue;
    const uint8_t *from = key.raw.ptr - 1, *end = value.ptr + value.len;
    if (*from != ',') return LK_ERR_UNSUPPORTED; /* phx_ref stands before it: names are sorted */
    out->prev_raw = lk_slice_of(from, (size_t)(end - from));
    out->prev = value;
  }
  return err == LK_OK && out->ref.len == 0 ? LK_ERR_UNSUPPORTED : err;
}

/* The meta of that ref, or NULL. Where |is_new| is not NULL there is one: it is made, and then not filled in. */
static lk_err find_meta(merge *self, const person *who, lk_slice ref, meta **out, bool *is_new) {
  void *place;
  lk_buf_truncate(&self->name, 0);
  (void)lk_buf_append(&self->name, who->key);
  lk_err err = lk_buf_append(&self->name, ref);
  if (err != LK_OK) return err;
  if (is_new == NULL) {
    meta *const *known = lk_map_get(&self->metas, lk_buf_slice(&self->name));
    *out = known == NULL ? NULL : *known;
    return LK_OK;
  }
  err = lk_map_put(&self->metas, lk_buf_slice(&self->name), &place, is_new);
  if (err != LK_OK) return err;
  if (*is_new) *(meta **)place = lk_arena_push(&self->scratch, sizeof(meta));
  *out = *(meta **)place;
  return *out == NULL ? LK_ERR_NOMEM : LK_OK;
}

/* What clients know in the place of a meta that follows |self->prev|. */
static lk_err settle_prev(merge *self, const person *who, meta *m) {
  meta *before;
  if (m->prev.len == 0) return LK_OK;
  lk_err err = find_meta(self, who, m->prev, &before, NULL);
  if (err == LK_OK && before != NULL && !before->was_known) m->prev = before->prev;
  return err;
}

static lk_err take_meta(merge *self, person *who, lk_slice raw, bool is_join) {
  meta read, *m;
  bool is_new;
  lk_err err = read_meta(self, raw, &read);
  if (err == LK_OK && is_join) err = settle_prev(self, who, &read);
  if (err == LK_OK) err = find_meta(self, who, read.ref, &m, &is_new);
  if (err != LK_OK) return err;
  if (is_new) {
    *m = read;
    m->was_known = !is_join;
  } else {
    lk_list_remove(&who->metas, &m->link);
  }
  m->is_there = is_join;
  lk_list_push_last(&who->metas, &m->link);
  return LK_OK;
}

static lk_err need_person(merge *self, lk_slice key, person **out) {
  void *place;
  bool is_new;
  lk_err err = lk_map_put(&self->persons, key, &place, &is_new);
  if (err != LK_OK) return err;
  if (is_new) {
    person *made = lk_arena_push(&self->scratch, sizeof *made);
    if (made == NULL) return LK_ERR_NOMEM;
    *made = (person){ .key = key };
    lk_list_push_last(&self->all, &made->link);
    *(person **)place = made;
  }
  *out = *(person **)place;
  return LK_OK;
}

static lk_err expect(lk_json_reader *in, lk_json_kind kind, lk_json_event *event) {
  lk_err err = lk_json_next(in, event);
  return err == LK_OK && event->kind != kind ? LK_ERR_UNSUPPORTED : err;
}

/* {"metas":[..]} of one key. */
static lk_err take_person(merge *self, lk_json_reader *in, lk_slice key, bool is_join) {
  lk_json_event event;
  lk_slice raw;
  person *who;
  lk_err err = need_person(self, key, &who);
  if (err == LK_OK) err = expect(in, LK_JSON_OBJECT_BEGIN, &event);
  if (err == LK_OK) err = expect(in, LK_JSON_KEY, &event);
  if (err == LK_OK) err = expect(in, LK_JSON_ARRAY_BEGIN, &event);
  while (err == LK_OK && (err = lk_json_skip_value(in, &raw)) == LK_OK)
    err = take_meta(self, who, raw, is_join);
  if (err == LK_ERR_END) err = expect(in, LK_JSON_ARRAY_END, &event);
  return err == LK_OK ? expect(in, LK_JSON_OBJECT_END, &event) : err;
}

static lk_err take_diff(merge *self, lk_slice diff) {
  lk_json_reader in;
  lk_json_event event;
  lk_err err = lk_json_reader_init(&in, diff, &self->limits, &self->scratch);
  if (err == LK_OK) err = expect(&in, LK_JSON_OBJECT_BEGIN, &event);
  for (int i = 0; err == LK_OK && i < 2; i++) { /* "joins", "leaves" */
    err = expect(&in, LK_JSON_KEY, &event);
    if (err == LK_OK) err = expect(&in, LK_JSON_OBJECT_BEGIN, &event);
    while (err == LK_OK && (err = lk_json_next(&in, &event)) == LK_OK && event.kind == LK_JSON_KEY)
      err = take_person(self, &in, event.raw, i == 0);
  }
  return err == LK_OK ? expect(&in, LK_JSON_OBJECT_END, &event) : err;
}

/* ---- writing ---- */

/* With another phx_ref_prev, or without one. */
static void write_meta(const meta *m, lk_buf *out) {
  const uint8_t *behind = m->prev_raw.ptr + m->prev_raw.len;
  if (m->prev_raw.len == 0) {
    (void)lk_buf_append(out, m->raw);
    return;
  }
  (void)lk_buf_append(out, lk_slice_of(m->raw.ptr, (size_t)(m->prev_raw.ptr - m->raw.ptr)));
  if (m->prev.len > 0) {
    (void)lk_buf_append(out, LK_LIT(",\"phx_ref_prev\":"));
    (void)lk_buf_append(out, m->prev);
  }
  (void)lk_buf_append(out, lk_slice_of(behind, (size_t)(m->raw.ptr + m->raw.len - behind)));
}

static bool is_told(const meta *m, bool is_join) {
  return m->is_there == is_join && m->was_known != is_join;
}

/* Those of all persons, and how many there are. */
static uint32_t write_side(const merge *self, bool is_join, lk_buf *out) {
  uint32_t all = 0;
  for (lk_link *at = self->all.first; at != NULL; at = at->next) {
    const person *who = LK_CONTAINER(at, person, link);
    uint32_t count = 0;
    for (lk_link *on = who->metas.first; on != NULL; on = on->next) {
      const meta *m = LK_CONTAINER(on, meta, link);
      if (!is_told(m, is_join)) continue;
      if (count == 0 && all > 0) (void)lk_buf_append_u8(out, ',');
      if (count == 0) (void)lk_buf_append(out, who->key);
      (void)lk_buf_append(out, count == 0 ? LK_LIT(":{\"metas\":[") : LK_LIT(","));
      write_meta(m, out);
      count++;
      all++;
    }
    if (count > 0) (void)lk_buf_append(out, LK_LIT("]}"));
  }
  return all;
}

static lk_err write(const merge *self, lk_buf *out) {
  const size_t start = out->len;
  (void)lk_buf_append(out, LK_LIT("{\"joins\":{"));
  uint32_t count = write_side(self, true, out);
  (void)lk_buf_append(out, LK_LIT("},\"leaves\":{"));
  count += write_side(self, false, out);
  lk_err err = lk_buf_append(out, LK_LIT("}}"));
  if (err != LK_OK || count == 0) lk_buf_truncate(out, start);
  return err;
}

lk_err lk_presence_diffs_merge(const lk_env *env, const uint64_t hash_seed[2],
                               const lk_slice *diffs, size_t count, lk_buf *out) {
  merge self = { .limits = lk_limits_default() };
  lk_err err = LK_OK;
  self.limits.json_depth =
      LK_JSON_DEPTH_MAX; /* metas were read within the limits of the application */
  self.limits.json_bytes = UINT32_MAX;
  lk_arena_init(&self.scratch, env->alloc, SCRATCH_MAX);
  lk_map_init(&self.persons, env->alloc, sizeof(person *), UINT32_MAX / 4, hash_seed);
  lk_map_init(&self.metas, env->alloc, sizeof(meta *), UINT32_MAX / 4, hash_seed);
  lk_buf_init(&self.name, env->alloc, SCRATCH_MAX);
  for (size_t i = 0; err == LK_OK && i < count; i++) err = take_diff(&self, diffs[i]);
  if (err == LK_OK) err = write(&self, out);
  lk_buf_deinit(&self.name);
  lk_map_deinit(&self.metas);
  lk_map_deinit(&self.persons);
  lk_arena_deinit(&self.scratch);
  return err;
}
