/* JSON from outside. All ways to read a text must accept the same ones, with the same error at
 * the same place, and what was accepted must come out of a writer as a text that reads the
 * same. */
#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "codec/utf.h"
#include "harness/test.h"

static const lk_slice samples[] = {
  LK_LIT_INIT("[null,\"3\",\"phoenix\",\"phx_reply\",{\"response\":{},\"status\":\"ok\"}]"),
  LK_LIT_INIT("{\"a\":[1,-2.5e10,true,false,null],\"b\":{\"c\":\"\\u00e9\\ud83d\\ude00\\n\"}}"),
  LK_LIT_INIT(" [ [ ] , { } , \"\" , 0 , -0.0E+0 ] \n"),
  LK_LIT_INIT("{\"\":\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\",\"a\":1,\"a\":18446744073709551616}"),
  LK_LIT_INIT("[[[[[[[[[{\"x\":{\"y\":[{\"z\":\"\\\\\\\"\"}]}}]]]]]]]]]"),
  LK_LIT_INIT("\"just a text of more than eight bytes \\/ with an escape\""),
};
#define SAMPLES (sizeof samples / sizeof *samples)
#define DEPTH 16

static lk_slice draw(lk_gen *g, uint8_t *scratch, size_t len, lk_limits *limits) {
  *limits = lk_limits_default();
  limits->json_depth = DEPTH;
  limits->json_bytes = 1 << 16;
  return gen_hostile(g, samples, SAMPLES, scratch, len);
}

static bool is_inside(lk_slice part, lk_slice whole) {
  return part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len;
}

static lk_err write_event(lk_json_writer *w, const lk_json_event *event) {
  switch (event->kind) {
  case LK_JSON_OBJECT_BEGIN: return lk_json_begin_object(w);
  case LK_JSON_OBJECT_END: return lk_json_end_object(w);
  case LK_JSON_ARRAY_BEGIN: return lk_json_begin_array(w);
  case LK_JSON_ARRAY_END: return lk_json_end_array(w);
  case LK_JSON_KEY: return lk_json_write_key(w, event->text);
  case LK_JSON_STRING: return lk_json_write_string(w, event->text);
  case LK_JSON_END: return LK_OK;
  default: return lk_json_write_raw(w, event->raw);
  }
}

/* Every event of |in|, written again; the same error and offset as lk_json_check(). */
static lk_err read_all(lk_slice in, const lk_limits *limits, lk_arena *arena, lk_buf *out) {
  lk_json_reader r;
  lk_json_writer w;
  lk_json_event event = { .kind = LK_JSON_ABSENT };
  size_t offset = 0, events = 0;
  lk_err checked = lk_json_check(in, limits, &offset);
  lk_err err = lk_json_reader_init(&r, in, limits, arena);
  lk_json_writer_init(&w, out);
  while (err == LK_OK && event.kind != LK_JSON_END) {
    err = lk_json_next(&r, &event);
    if (err != LK_OK) break;
    CHECK(r.depth <= DEPTH && ++events <= 2 * in.len + 1);
    if (event.kind != LK_JSON_END) CHECK(is_inside(event.raw, in));
    CHECK_OK(lk_utf8_check(event.text));
    CHECK_OK(write_event(&w, &event));
  }
  CHECK_ERR(err, checked);
  if (err == LK_OK) return lk_json_writer_finish(&w);
  CHECK_U64(lk_json_error_offset(&r), offset);
  CHECK(offset <= in.len);
  return err;
}

FUZZ(lk_json_next) {
  uint8_t scratch[512];
  lk_limits limits;
  lk_arena arena;
  lk_buf first, second;
  lk_slice in = draw(g, scratch, sizeof scratch, &limits);
  lk_arena_init(&arena, test_alloc(), 1 << 17);
  lk_buf_init(&first, test_alloc(), 1 << 20);
  lk_buf_init(&second, test_alloc(), 1 << 20);
  if (read_all(in, &limits, &arena, &first) == LK_OK && first.len <= limits.json_bytes) {
    CHECK_OK(read_all(lk_buf_slice(&first), &limits, &arena, &second));
    CHECK_SLICE(lk_buf_slice(&second), lk_buf_slice(&first));
  }
  lk_buf_deinit(&first);
  lk_buf_deinit(&second);
  lk_arena_deinit(&arena);
}

FUZZ(lk_json_skip_value) {
  uint8_t scratch[512];
  lk_limits limits;
  lk_arena arena;
  lk_json_reader r;
  lk_slice raw = LK_SLICE_EMPTY;
  size_t offset;
  lk_slice in = draw(g, scratch, sizeof scratch, &limits);
  lk_arena_init(&arena, test_alloc(), 1 << 17);
  lk_err err = lk_json_reader_init(&r, in, &limits, &arena);
  if (err == LK_OK) err = lk_json_skip_value(&r, &raw);
  if (err == LK_OK) {
    CHECK(is_inside(raw, in) && raw.len > 0);
    CHECK_OK(lk_json_check(raw, &limits, NULL));
    err = lk_json_finish(&r);
  }
  CHECK_ERR(lk_json_check(in, &limits, &offset), err);
  if (err != LK_OK) CHECK_U64(lk_json_error_offset(&r), offset);
  CHECK_U64(arena.used, 0);
  lk_arena_deinit(&arena);
}

/* Spaces around a text change nothing but the place of the error. */
FUZZ(lk_json_check) {
  uint8_t scratch[512], spaced[4096];
  lk_limits limits;
  size_t offset = 0, spaced_offset = 0;
  lk_slice in = draw(g, scratch, sizeof scratch, &limits);
  if (in.len > sizeof spaced - 2) return;
  spaced[0] = '\t';
  if (in.len > 0) memcpy(spaced + 1, in.ptr, in.len);
  spaced[in.len + 1] = '\n';
  lk_err err = lk_json_check(in, &limits, &offset);
  lk_err with_spaces = lk_json_check(lk_slice_of(spaced, in.len + 2), &limits, &spaced_offset);
  if (err == LK_ERR_TRUNCATED) { /* the newline may be what is wrong now, or stand in a string */
    CHECK(with_spaces == LK_ERR_TRUNCATED || with_spaces == LK_ERR_SYNTAX ||
          with_spaces == LK_ERR_UTF8);
  } else {
    CHECK_ERR(with_spaces, err);
    if (err != LK_OK) CHECK_U64(spaced_offset, offset + 1);
  }
}

/* Some values are skipped after their first event, the others are read: no matter which. */
FUZZ(lk_json_skip_rest) {
  uint8_t scratch[512];
  lk_limits limits;
  lk_arena arena;
  lk_json_reader r;
  lk_json_event event = { .kind = LK_JSON_ABSENT };
  lk_slice raw;
  lk_slice in = draw(g, scratch, sizeof scratch, &limits);
  lk_arena_init(&arena, test_alloc(), 1 << 17);
  lk_err err = lk_json_reader_init(&r, in, &limits, &arena);
  while (err == LK_OK && event.kind != LK_JSON_END) {
    if ((err = lk_json_next(&r, &event)) != LK_OK) break;
    bool begins = event.kind == LK_JSON_OBJECT_BEGIN || event.kind == LK_JSON_ARRAY_BEGIN;
    if (!begins || (event.raw.ptr - in.ptr) % 2 == 0) continue;
    uint32_t depth = r.depth;
    if ((err = lk_json_skip_rest(&r, &event, &raw)) != LK_OK) break;
    CHECK(r.depth == depth - 1 && is_inside(raw, in) && raw.ptr == event.raw.ptr);
    CHECK_OK(lk_json_check(raw, &limits, NULL));
  }
  CHECK_ERR(lk_json_check(in, &limits, NULL), err);
  lk_arena_deinit(&arena);
}

/* After any number of events: a text is finished when its one value is whole, and not before. */
FUZZ(lk_json_finish) {
  uint8_t scratch[512];
  lk_limits limits;
  lk_arena arena;
  lk_json_reader r;
  lk_json_event event = { .kind = LK_JSON_ABSENT };
  uint32_t events = g->from_bytes ? UINT32_MAX : gen_below(g, 20);
  lk_slice in = draw(g, scratch, sizeof scratch, &limits);
  lk_arena_init(&arena, test_alloc(), 1 << 17);
  lk_err err = lk_json_reader_init(&r, in, &limits, &arena);
  for (; err == LK_OK && event.kind != LK_JSON_END && events > 0; events--) {
    bool whole = event.kind != LK_JSON_ABSENT && event.kind != LK_JSON_KEY && r.depth == 0;
    lk_json_reader copy = r;
    lk_err finished = lk_json_finish(&copy);
    if (!whole) CHECK_ERR(finished, LK_ERR_STATE);
    err = lk_json_next(&r, &event);
    if (whole) CHECK_ERR(finished, err);
  }
  if (err != LK_OK) CHECK_ERR(lk_json_finish(&r), err);
  lk_arena_deinit(&arena);
}

FUZZ(lk_json_read_members) {
  uint8_t scratch[512];
  lk_limits limits;
  lk_arena arena;
  lk_json_reader r;
  lk_json_member members[] = { { .name = LK_LIT("a") }, { .name = LK_LIT("") } };
  lk_slice in = draw(g, scratch, sizeof scratch, &limits);
  lk_arena_init(&arena, test_alloc(), 1 << 17);
  lk_err err = lk_json_reader_init(&r, in, &limits, &arena);
  if (err == LK_OK) err = lk_json_read_members(&r, members, 2);
  if (err == LK_ERR_TYPE) { /* not an object: still unread */
    CHECK_U64(r.pos, 0);
    err = lk_json_skip_value(&r, &members[0].raw);
  } else if (err == LK_OK) {
    for (size_t i = 0; i < 2; i++) {
      if (members[i].value.kind == LK_JSON_ABSENT) continue;
      CHECK(is_inside(members[i].raw, in));
      CHECK_OK(lk_json_check(members[i].raw, &limits, NULL));
    }
  }
  if (err == LK_OK) err = lk_json_finish(&r);
  CHECK_ERR(lk_json_check(in, &limits, NULL), err);
  lk_arena_deinit(&arena);
}
