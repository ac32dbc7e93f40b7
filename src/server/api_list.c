/* server/api_list.c -- one reader for each answer, and the least of their next names is the next. */
#include "server/api_list.h"

#include "codec/json_reader.h"
#include "codec/json_writer.h"

typedef struct source {
  lk_json_reader in; /* within the array */
  lk_slice raw;      /* the next topic; empty: there is none */
  lk_slice name;
  bool more; /* the house has others */
  bool is_complete;
} source;

static lk_err advance(source *self, const lk_limits *limits, lk_arena *arena) {
  lk_json_member name = { .name = LK_LIT("topic") };
  lk_json_reader item;
  self->raw = LK_SLICE_EMPTY;
  lk_err err = lk_json_skip_value(&self->in, &self->raw);
  if (err == LK_ERR_END) {
    self->raw = LK_SLICE_EMPTY;
    return LK_OK;
  }
  if (err == LK_OK) err = lk_json_reader_init(&item, self->raw, limits, arena);
  if (err == LK_OK) err = lk_json_read_members(&item, &name, 1);
  if (err == LK_OK && name.value.kind != LK_JSON_STRING) err = LK_ERR_PAYLOAD;
  self->name = name.value.text;
  return err;
}

static lk_err open_source(source *self, lk_slice answer, const lk_limits *limits, lk_arena *arena) {
  lk_json_member members[] = { { .name = LK_LIT("topics") },
                               { .name = LK_LIT("more") },
                               { .name = LK_LIT("complete") } };
  lk_json_reader in;
  lk_json_event begin;
  lk_err err = lk_json_reader_init(&in, answer, limits, arena);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 3);
  if (err == LK_OK && members[0].value.kind != LK_JSON_ARRAY_BEGIN) err = LK_ERR_PAYLOAD;
  if (err != LK_OK) return err;
  self->more = members[1].value.kind == LK_JSON_TRUE;
  self->is_complete = members[2].value.kind == LK_JSON_TRUE;
  err = lk_json_reader_init(&self->in, members[0].raw, limits, arena);
  if (err == LK_OK) err = lk_json_next(&self->in, &begin);
  return err == LK_OK ? advance(self, limits, arena) : err;
}

static source *least_of(source *all, size_t count) {
  source *least = NULL;
  for (size_t i = 0; i < count; i++) {
    if (all[i].raw.len == 0) continue;
    if (least == NULL || lk_slice_compare(all[i].name, least->name) < 0) least = &all[i];
  }
  return least;
}

static lk_err merge(source *all, size_t count, uint32_t limit, const lk_limits *limits,
                    lk_arena *arena, lk_buf *out) {
  lk_json_writer w;
  source *next;
  bool more = false, is_complete = true;
  lk_err err = LK_OK;
  size_t before = out->len;
  lk_json_writer_init(&w, out);
  (void)lk_json_begin_object(&w);
  (void)lk_json_write_key(&w, LK_LIT("topics"));
  (void)lk_json_begin_array(&w);
  for (uint32_t i = 0; err == LK_OK && i < limit; i++) {
    if ((next = least_of(all, count)) == NULL) break;
    (void)lk_json_write_raw(&w, next->raw);
    err = advance(next, limits, arena);
  }
  (void)lk_json_end_array(&w);
  for (size_t i = 0; i < count; i++) {
    more = more || all[i].more || all[i].raw.len > 0;
    is_complete = is_complete && all[i].is_complete;
  }
  (void)lk_json_write_key(&w, LK_LIT("more"));
  (void)lk_json_write_bool(&w, more);
  (void)lk_json_write_key(&w, LK_LIT("complete"));
  (void)lk_json_write_bool(&w, is_complete);
  (void)lk_json_end_object(&w);
  lk_err written = lk_json_writer_finish(&w);
  if (err != LK_OK && written == LK_OK) lk_buf_truncate(out, before);
  return err == LK_OK ? written : err;
}

lk_err lk_api_list_merge(const lk_slice *answers, size_t count, uint32_t limit,
                         const lk_limits *limits, lk_arena *arena, lk_buf *out) {
  lk_limits ours = *limits;
  lk_err err = LK_OK;
  ours.json_bytes = ours.bus_frame_bytes; /* it is our own text */
  source *all = lk_arena_push_array(arena, count, sizeof *all);
  if (all == NULL) return LK_ERR_NOMEM;
  for (size_t i = 0; err == LK_OK && i < count; i++) {
    all[i] = (source){ 0 };
    err = open_source(&all[i], answers[i], &ours, arena);
  }
  return err == LK_OK ? merge(all, count, limit, &ours, arena, out) : err;
}
