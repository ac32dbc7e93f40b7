/* server/webhook_news.c -- JSON between room/house_news.c and the dues. */
#include "server/webhook_news.h"

#include "codec/json_reader.h"
#include "codec/json_writer.h"

lk_err lk_webhook_news_ask(const lk_webhook_cursor *cursor, lk_buf *out) {
  lk_json_writer w;
  lk_json_writer_init(&w, out);
  (void)lk_json_begin_object(&w);
  (void)lk_json_write_key(&w, LK_LIT("after"));
  (void)lk_json_write_u64(&w, cursor->after);
  (void)lk_json_write_key(&w, LK_LIT("serial"));
  (void)lk_json_write_u64(&w, cursor->serial);
  (void)lk_json_end_object(&w);
  return lk_json_writer_finish(&w);
}

static lk_err read_names(lk_slice json, const lk_limits *limits, lk_arena *arena,
                         lk_webhook_change *out) {
  lk_json_reader in;
  lk_json_event event;
  lk_err err = lk_json_reader_init(&in, json, limits, arena);
  if (err == LK_OK) err = lk_json_next(&in, &event);
  if (err == LK_OK && event.kind != LK_JSON_ARRAY_BEGIN) return LK_ERR_PAYLOAD;
  while (err == LK_OK && (err = lk_json_next(&in, &event)) == LK_OK &&
         event.kind == LK_JSON_STRING) {
    if (out->by_count < LK_WEBHOOK_BY_MAX) out->by[out->by_count++] = event.text;
  }
  return err;
}

static lk_err read_change(lk_json_reader *in, const lk_limits *limits, lk_arena *arena,
                          uint64_t wall_ms, lk_webhook_change *out) {
  enum { TOPIC, SEQUENCE, CHANGES, FIRST, LAST, MEMORY, BY, DELETED, ANEW, FIELDS };
  lk_json_member m[FIELDS] = { { .name = LK_LIT("topic") },   { .name = LK_LIT("sequence") },
                               { .name = LK_LIT("changes") }, { .name = LK_LIT("first") },
                               { .name = LK_LIT("last") },    { .name = LK_LIT("memory") },
                               { .name = LK_LIT("by") },      { .name = LK_LIT("deleted") },
                               { .name = LK_LIT("anew") } };
  *out = (lk_webhook_change){ .topic = LK_SLICE_EMPTY };
  lk_err err = lk_json_read_members(in, m, FIELDS);
  if (err == LK_OK) err = lk_json_get_string(&m[TOPIC].value, &out->topic);
  if (err == LK_OK) err = lk_json_get_u64(&m[SEQUENCE].value, &out->sequence);
  if (err == LK_OK) err = lk_json_get_u64(&m[CHANGES].value, &out->changes);
  if (err == LK_OK) err = lk_json_get_u64(&m[FIRST].value, &out->first_ms);
  if (err == LK_OK) err = lk_json_get_u64(&m[LAST].value, &out->last_ms);
  if (err == LK_OK) err = lk_json_get_bool(&m[MEMORY].value, &out->is_memory);
  if (err == LK_OK && m[BY].value.kind != LK_JSON_ABSENT)
    err = read_names(m[BY].raw, limits, arena, out);
  out->is_deleted = m[DELETED].value.kind == LK_JSON_TRUE;
  out->is_anew = m[ANEW].value.kind == LK_JSON_TRUE;
  if (err == LK_OK && (out->topic.len == 0 || out->changes == 0)) err = LK_ERR_PAYLOAD;
  if (out->first_ms == 0) out->first_ms = wall_ms;
  if (out->last_ms == 0) out->last_ms = wall_ms;
  return err;
}

typedef struct reading {
  const lk_limits *limits;
  lk_arena arena;
  uint64_t now_ms;
  uint64_t wall_ms;
  lk_webhook_dues *dues;
  uint32_t count;
} reading;

static lk_err read_changes(reading *self, lk_slice json) {
  lk_json_reader in;
  lk_json_event event;
  lk_webhook_change change;
  lk_slice one;
  lk_err err = lk_json_reader_init(&in, json, self->limits, &self->arena);
  if (err == LK_OK) err = lk_json_next(&in, &event);
  if (err == LK_OK && event.kind != LK_JSON_ARRAY_BEGIN) return LK_ERR_PAYLOAD;
  while (err == LK_OK && (err = lk_json_skip_value(&in, &one)) == LK_OK) {
    lk_json_reader of_one;
    lk_arena_mark mark = lk_arena_get_mark(&self->arena);
    err = lk_json_reader_init(&of_one, one, self->limits, &self->arena);
    if (err == LK_OK)
      err = read_change(&of_one, self->limits, &self->arena, self->wall_ms, &change);
    if (err == LK_OK) err = lk_webhook_dues_note(self->dues, &change, self->now_ms);
    lk_arena_pop_to(&self->arena, mark);
    self->count++;
  }
  return err == LK_ERR_END ? LK_OK : err;
}

static lk_err read_answer(reading *self, lk_slice answer, lk_webhook_cursor *out) {
  lk_json_member m[] = { { .name = LK_LIT("changes") },
                         { .name = LK_LIT("serial") },
                         { .name = LK_LIT("upto") },
                         { .name = LK_LIT("more") } };
  lk_json_reader in;
  lk_err err = lk_json_reader_init(&in, answer, self->limits, &self->arena);
  if (err == LK_OK) err = lk_json_read_members(&in, m, 4);
  if (err == LK_OK) err = lk_json_get_u64(&m[1].value, &out->serial);
  if (err == LK_OK) err = lk_json_get_u64(&m[2].value, &out->after);
  if (err == LK_OK) err = lk_json_get_bool(&m[3].value, &out->has_more);
  if (err == LK_OK && m[0].value.kind != LK_JSON_ARRAY_BEGIN) err = LK_ERR_PAYLOAD;
  return err == LK_OK ? read_changes(self, m[0].raw) : err;
}

lk_err lk_webhook_news_read(lk_slice answer, const lk_limits *limits, const lk_alloc *alloc,
                            uint64_t now_ms, uint64_t wall_ms, lk_webhook_dues *dues,
                            lk_webhook_cursor *cursor, uint32_t *count) {
  lk_limits wide = *limits;
  lk_webhook_cursor moved = *cursor;
  wide.json_bytes = UINT32_MAX / 16; /* a process of ours wrote it */
  reading self = { .limits = &wide, .now_ms = now_ms, .wall_ms = wall_ms, .dues = dues };
  lk_arena_init(&self.arena, alloc, limits->bus_frame_bytes * (size_t)2);
  lk_err err = read_answer(&self, answer, &moved);
  lk_arena_deinit(&self.arena);
  *count = self.count;
  if (err == LK_OK) *cursor = moved;
  return err;
}
