/* room/crdt_news.c -- joining is what deltas are for.
 *
 *   {"value":1,"counts":{"a":1},"delta":D1}  ┐
 *   {"value":3,"counts":{"b":2},"delta":D2}  ├──> {"value":4,"counts":{"a":2,"b":2},"delta":D1+D2+D3}
 *   {"value":4,"counts":{"a":2},"delta":D3}  ┘
 *
 * A value is of its moment, so the last one counts. Where the last message has none, because it would be long, an earlier
 * one would be of the past: there is none either. Counts only grow, so they are joined like deltas: as a gcounter of their
 * own, since a delta alone does not say how far its actor has come. */
#include "room/crdt_news.h"

#include "codec/base64.h"
#include "codec/json_reader.h"
#include "room/crdt_answers.h"

typedef struct joined {
  const lk_env *env;
  lk_limits limits;
  lk_arena scratch; /* of one message */
  lk_crdt news;
  lk_crdt counts;
  bool has_news;
  bool has_counts;
} joined;

static lk_err take_delta(joined *self, lk_slice text) {
  lk_crdt_scope scope = { self->env->alloc, &self->limits };
  lk_flat flat;
  lk_buf bytes;
  lk_buf_init(&bytes, self->env->alloc, self->limits.crdt_state_bytes);
  lk_err err = lk_base64_decode(&bytes, text, LK_BASE64_FORM_STANDARD);
  if (err == LK_OK) err = lk_flat_decode(&flat, lk_buf_slice(&bytes), &scope, &self->scratch);
  if (err == LK_OK && !self->has_news) {
    err = lk_crdt_init(&self->news, flat.type, self->env->alloc, &self->limits);
    self->has_news = err == LK_OK;
  }
  if (err == LK_OK) err = lk_crdt_merge_flat(&self->news, &flat, NULL);
  lk_buf_deinit(&bytes);
  return err;
}

static lk_err take_counts(joined *self, const lk_json_member *counts) {
  lk_crdt_scope scope = { self->env->alloc, &self->limits };
  lk_flat flat;
  lk_buf form;
  if (counts->value.kind == LK_JSON_ABSENT) return LK_OK;
  lk_buf_init(&form, self->env->alloc, SIZE_MAX / 2);
  (void)lk_buf_append(&form, LK_LIT("{\"counts\":"));
  (void)lk_buf_append(&form, counts->raw);
  lk_err err = lk_buf_append(&form, LK_LIT("}"));
  if (err == LK_OK)
    err = lk_flat_decode_json(&flat, &lk_crdt_type_gcounter, lk_buf_slice(&form), &scope,
                              &self->scratch);
  if (err == LK_OK && !self->has_counts) {
    err = lk_crdt_init(&self->counts, &lk_crdt_type_gcounter, self->env->alloc, &self->limits);
    self->has_counts = err == LK_OK;
  }
  if (err == LK_OK) err = lk_crdt_merge_flat(&self->counts, &flat, NULL);
  lk_buf_deinit(&form);
  return err;
}

/* |*value| is its value, or empty. */
static lk_err take(joined *self, lk_slice payload, lk_slice *value) {
  lk_json_member members[] = { { .name = LK_LIT("value") },
                               { .name = LK_LIT("counts") },
                               { .name = LK_LIT("delta") } };
  lk_json_reader in;
  lk_err err = lk_json_reader_init(&in, payload, &self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 3);
  if (err != LK_OK) return err;
  *value = members[0].value.kind == LK_JSON_ABSENT ? LK_SLICE_EMPTY : members[0].raw;
  if (members[2].value.kind != LK_JSON_STRING) return LK_ERR_UNSUPPORTED;
  err = take_counts(self, &members[1]);
  return err == LK_OK ? take_delta(self, members[2].value.text) : err;
}

static lk_err write(joined *self, lk_slice value, lk_buf *out) {
  lk_json_writer w;
  lk_buf bytes;
  lk_buf_init(&bytes, self->env->alloc, SIZE_MAX / 2);
  lk_json_writer_init(&w, out);
  (void)lk_json_begin_object(&w);
  if (value.len > 0) {
    (void)lk_json_write_key(&w, LK_LIT("value"));
    (void)lk_json_write_raw(&w, value);
  }
  if (self->has_counts) lk_crdt_answer_write_counts(&w, &self->counts, NULL);
  lk_err err = lk_crdt_encode(&self->news, &bytes);
  if (err == LK_OK)
    err = lk_crdt_answer_write_bytes(self->env->alloc, &w, LK_LIT("delta"), lk_buf_slice(&bytes));
  (void)lk_json_end_object(&w);
  lk_buf_deinit(&bytes);
  return err == LK_OK ? lk_json_writer_finish(&w) : err;
}

lk_err lk_crdt_news_merge(const lk_env *env, const lk_slice *payloads, size_t count, lk_buf *out) {
  joined all = { .env = env, .limits = lk_limits_default() };
  lk_slice value = LK_SLICE_EMPTY; /* borrowed from its payload */
  lk_err err = count > 0 ? LK_OK : LK_ERR_UNSUPPORTED;
  for (size_t i = 0; err == LK_OK && i < count; i++) {
    lk_arena_init(&all.scratch, env->alloc, SIZE_MAX / 2);
    err = take(&all, payloads[i], &value);
    lk_arena_deinit(&all.scratch);
  }
  if (err == LK_OK) err = write(&all, value, out);
  if (all.has_news) lk_crdt_deinit(&all.news);
  if (all.has_counts) lk_crdt_deinit(&all.counts);
  return err;
}
