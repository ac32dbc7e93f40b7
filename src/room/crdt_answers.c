/* room/crdt_answers.c -- JSON around values, states and deltas.
 *
 * A state is told twice: as the value that its type reads, for who has no replica, and in base64 for who has one. A
 * gcounter's also as {"counts":{...}}, which is its state for who merges by hand: of each actor the numbers from 1 on without
 * a gap, since that is what a count can say.
 *
 * The value of a large object is not written again for every change of it: whoever has no replica asks for it. */
#include "room/crdt_answers.h"

#include "codec/base64.h"
#include "codec/hex.h"

/* Longer values are asked for, not told. */
#define VALUE_TOLD_MAX 4096u
/* Objects with more entries than that have a longer value, unless they count. */
#define ENTRIES_TOLD_MAX 2048u

static void begin_text(lk_crdt_answers *self, lk_json_writer *w) {
  lk_buf_truncate(&self->text, 0);
  lk_json_writer_init(w, &self->text);
  (void)lk_json_begin_object(w);
}

static lk_err end_text(lk_crdt_answers *self, lk_json_writer *w, lk_slice *out) {
  (void)lk_json_end_object(w);
  lk_err err = lk_json_writer_finish(w);
  if (err == LK_OK) *out = lk_buf_slice(&self->text);
  return err;
}

static void write_text(lk_json_writer *w, lk_slice key, lk_slice text) {
  (void)lk_json_write_key(w, key);
  (void)lk_json_write_string(w, text);
}

/* "value", unless it is longer than |len_max|. */
static lk_err write_value(lk_crdt_answers *self, lk_json_writer *w, const lk_crdt *of,
                          size_t len_max) {
  lk_buf value;
  if (len_max == VALUE_TOLD_MAX && !lk_shape_has_runs(of->type) &&
      of->fact_count > ENTRIES_TOLD_MAX)
    return LK_OK;
  lk_buf_init(&value, self->alloc, len_max);
  lk_err err = lk_crdt_value(of, LK_SLICE_EMPTY, &value);
  if (err == LK_OK) {
    (void)lk_json_write_key(w, LK_LIT("value"));
    (void)lk_json_write_raw(w, lk_buf_slice(&value));
  }
  lk_buf_deinit(&value);
  return err == LK_ERR_LIMIT ? LK_OK : err;
}

/* How far |actor| has counted without a gap. */
static uint64_t count_of(const lk_crdt *of, uint32_t actor) {
  lk_btree_cursor cursor;
  const lk_run *run = lk_live_at_least(of, actor, 1, &cursor);
  return run != NULL && run->lo == 1 ? lk_fact_at(of, run->fact)->hi : 0;
}

static lk_slice actor_id(const lk_crdt *of, uint32_t actor) {
  return lk_slice_of(of->actors[actor].id, of->actors[actor].id_len);
}

static void write_count(lk_json_writer *w, const lk_crdt *of, uint32_t actor) {
  uint64_t count = count_of(of, actor);
  if (count == 0) return;
  (void)lk_json_write_key(w, actor_id(of, actor));
  (void)lk_json_write_u64(w, count);
}

void lk_crdt_answer_write_counts(lk_json_writer *w, const lk_crdt *of, const lk_flat *counted) {
  uint32_t count = counted == NULL ? of->actor_count : counted->actor_count;
  if (of->type != &lk_crdt_type_gcounter) return;
  (void)lk_json_write_key(w, LK_LIT("counts"));
  (void)lk_json_begin_object(w);
  for (uint32_t i = 0; i < count; i++) {
    uint32_t actor = counted == NULL ? of->actors[i].at_rank
                                     : lk_actor_find(of, counted->actors[i]);
    if (actor != LK_ACTOR_NONE) write_count(w, of, actor);
  }
  (void)lk_json_end_object(w);
}

lk_err lk_crdt_answer_write_bytes(const lk_alloc *alloc, lk_json_writer *w, lk_slice key,
                                  lk_slice bytes) {
  lk_buf text;
  lk_buf_init(&text, alloc, SIZE_MAX / 2);
  lk_err err = lk_base64_encode(&text, bytes, LK_BASE64_FORM_STANDARD);
  if (err == LK_OK) write_text(w, key, lk_buf_slice(&text));
  lk_buf_deinit(&text);
  return err;
}

/* "state" or "delta": all of |of|. */
static lk_err write_object(lk_crdt_answers *self, lk_json_writer *w, lk_slice key,
                           const lk_crdt *of, lk_crdt_form form) {
  bool as_json = form == LK_CRDT_FORM_JSON;
  lk_buf_truncate(&self->bytes, 0);
  lk_err err = as_json ? lk_crdt_encode_json(of, &self->bytes) : lk_crdt_encode(of, &self->bytes);
  if (err != LK_OK) return err;
  if (!as_json) return lk_crdt_answer_write_bytes(self->alloc, w, key, lk_buf_slice(&self->bytes));
  (void)lk_json_write_key(w, key);
  return lk_json_write_raw(w, lk_buf_slice(&self->bytes));
}

static void write_replica(lk_json_writer *w, uint64_t entropy) {
  uint8_t bytes[8], digits[16];
  lk_store_be64(bytes, entropy);
  lk_hex_store(digits, lk_slice_of(bytes, sizeof bytes));
  write_text(w, LK_LIT("replica"), lk_slice_of(digits, sizeof digits));
}

/* All that may be known of |of|: "value", "counts" and "state"; or the first two as the state. */
static lk_err write_whole(lk_crdt_answers *self, lk_json_writer *w, const lk_crdt *of,
                          lk_crdt_form form) {
  bool is_counts = form == LK_CRDT_FORM_COUNTS;
  if (is_counts) {
    (void)lk_json_write_key(w, LK_LIT("state"));
    (void)lk_json_begin_object(w);
  }
  lk_err err = write_value(self, w, of, SIZE_MAX / 2);
  lk_crdt_answer_write_counts(w, of, NULL);
  if (is_counts) (void)lk_json_end_object(w);
  else if (err == LK_OK) err = write_object(self, w, LK_LIT("state"), of, form);
  return err;
}

lk_err lk_crdt_answer_join(lk_crdt_answers *self, const lk_crdt *of, uint64_t entropy,
                           lk_crdt_form form, lk_slice *out) {
  lk_json_writer w;
  begin_text(self, &w);
  write_text(&w, LK_LIT("type"), lk_slice_cstr(of->type->name));
  write_replica(&w, entropy);
  lk_err err = write_whole(self, &w, of, form);
  if (err != LK_OK) return err;
  write_text(&w, LK_LIT("level"), self->level);
  return end_text(self, &w, out);
}

lk_err lk_crdt_answer_get(lk_crdt_answers *self, const lk_crdt *of, lk_crdt_form form,
                          lk_slice *out) {
  lk_json_writer w;
  begin_text(self, &w);
  lk_err err = write_whole(self, &w, of, form);
  return err == LK_OK ? end_text(self, &w, out) : err;
}

lk_err lk_crdt_answer_change(lk_crdt_answers *self, const lk_crdt *of, lk_slice *out) {
  lk_json_writer w;
  begin_text(self, &w);
  lk_err err = write_value(self, &w, of, VALUE_TOLD_MAX);
  if (err != LK_OK) return err;
  if (of->type == &lk_crdt_type_gcounter) {
    (void)lk_json_write_key(&w, LK_LIT("counts"));
    (void)lk_json_begin_object(&w);
    (void)lk_json_end_object(&w);
  }
  write_text(&w, LK_LIT("level"), self->level);
  return end_text(self, &w, out);
}

lk_err lk_crdt_answer_news(lk_crdt_answers *self, const lk_crdt *of, const lk_flat *counted,
                           lk_slice delta, lk_slice *out) {
  lk_json_writer w;
  begin_text(self, &w);
  lk_err err = write_value(self, &w, of, VALUE_TOLD_MAX);
  lk_crdt_answer_write_counts(&w, of, counted);
  if (err == LK_OK) err = lk_crdt_answer_write_bytes(self->alloc, &w, LK_LIT("delta"), delta);
  return err == LK_OK ? end_text(self, &w, out) : err;
}

lk_err lk_crdt_answer_error(lk_crdt_answers *self, lk_slice reason, lk_slice field,
                            uint32_t retry_after_ms, lk_slice message, lk_slice *out) {
  lk_json_writer w;
  begin_text(self, &w);
  write_text(&w, LK_LIT("reason"), reason);
  if (field.len > 0) write_text(&w, LK_LIT("field"), field);
  if (retry_after_ms > 0) {
    (void)lk_json_write_key(&w, LK_LIT("retry_after_ms"));
    (void)lk_json_write_u64(&w, retry_after_ms);
  }
  write_text(&w, LK_LIT("message"), message);
  return end_text(self, &w, out);
}

lk_err lk_crdt_answer_all(lk_crdt_answers *self, const lk_crdt *of, lk_crdt_form form,
                          lk_slice *out) {
  lk_json_writer w;
  begin_text(self, &w);
  lk_err err = write_value(self, &w, of, SIZE_MAX / 2);
  lk_crdt_answer_write_counts(&w, of, NULL);
  if (err == LK_OK && form != LK_CRDT_FORM_COUNTS)
    err = write_object(self, &w, LK_LIT("delta"), of, form);
  return err == LK_OK ? end_text(self, &w, out) : err;
}

static lk_err write_page(lk_crdt_answers *self, lk_crdt_page *page, const lk_crdt *of,
                         lk_arena *arena, lk_buf *html) {
  page->type = of->type;
  lk_buf_truncate(&self->bytes, 0);
  lk_err err = lk_crdt_value(of, LK_SLICE_EMPTY, &self->bytes);
  page->value = lk_buf_slice(&self->bytes);
  return err == LK_OK ? lk_crdt_html_write(page, arena, html) : err;
}

lk_err lk_crdt_answer_page(lk_crdt_answers *self, lk_crdt_page *page, const lk_crdt *of,
                           lk_arena *arena, lk_slice *out) {
  lk_json_writer w;
  lk_buf html;
  lk_buf_init(&html, self->alloc, SIZE_MAX / 2);
  lk_err err = write_page(self, page, of, arena, &html);
  if (err == LK_OK) {
    begin_text(self, &w);
    write_text(&w, LK_LIT("html"), lk_buf_slice(&html));
    err = end_text(self, &w, out);
  }
  lk_buf_deinit(&html);
  return err;
}

void lk_crdt_answers_init(lk_crdt_answers *self, const lk_alloc *alloc, lk_slice level) {
  *self = (lk_crdt_answers){ .alloc = alloc, .level = level };
  lk_buf_init(&self->text, alloc, SIZE_MAX / 2);
  lk_buf_init(&self->bytes, alloc, SIZE_MAX / 2);
}

void lk_crdt_answers_deinit(lk_crdt_answers *self) {
  lk_buf_deinit(&self->text);
  lk_buf_deinit(&self->bytes);
}

void lk_crdt_answers_rest(lk_crdt_answers *self, size_t cap_max) {
  lk_buf_rest(&self->text, cap_max);
  lk_buf_rest(&self->bytes, cap_max);
}
