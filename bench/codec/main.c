/* bench/codec/main.c -- what each byte costs on its way in and out.
 *
 * The same inputs are made by peers.mjs, which measures what a program in JavaScript would use
 * instead: lib0, TextDecoder, JSON, zlib. Names and units must agree with it. */
#include <stdlib.h>

#include "bench/bench.h"
#include "codec/crc32c.h"
#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "codec/utf.h"
#include "codec/varint.h"
#include "platform/posix/heap.h"

#define INTEGERS 10000u
#define TEXT_BYTES 65536u
#define RECORDS 1000u
#define BUFFER_MAX (1u << 24)

typedef struct world {
  lk_limits limits;
  lk_buf integers; /* encoded */
  lk_buf text;     /* mixed scripts, valid */
  lk_buf json;
  lk_buf out;
  lk_arena arena;
} world;

/* A wrong result would make every figure worthless. */
static void must(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "bench_codec: %s went wrong\n", what);
  exit(1);
}

/* ---- inputs ---- */

/* One to five bytes as varuints, in an order that branch predictors do not learn. */
static uint64_t integer_at(uint32_t index) {
  return (uint32_t)(index * 2654435761u) >> (index * 40503u % 65521u % 4 * 8);
}

static void fill_integers(lk_buf *out) {
  for (uint32_t i = 0; i < INTEGERS; i++) (void)lk_varuint_encode(out, integer_at(i));
}

static void fill_text(lk_buf *out) {
  lk_slice line = LK_LIT(
      "Laniakea, groß und weit \xE2\x98\x95 \xE6\xB5\xB7 \xF0\x9F\x90\x8B plain words follow. ");
  while (out->len + line.len <= TEXT_BYTES) (void)lk_buf_append(out, line);
}

static void write_record(lk_json_writer *w, uint32_t index) {
  lk_json_begin_object(w);
  lk_json_write_key(w, LK_LIT("id"));
  lk_json_write_u64(w, index);
  lk_json_write_key(w, LK_LIT("score"));
  lk_json_write_f64(w, index * 0.37);
  lk_json_write_key(w, LK_LIT("name"));
  lk_json_write_string(w, LK_LIT("Ada \"the first\" Lovelace"));
  lk_json_write_key(w, LK_LIT("tags"));
  lk_json_begin_array(w);
  lk_json_write_string(w, LK_LIT("groß"));
  lk_json_write_string(w, LK_LIT("plain"));
  lk_json_write_bool(w, index % 2 == 0);
  lk_json_write_null(w);
  lk_json_end_array(w);
  lk_json_end_object(w);
}

static lk_err write_json(lk_buf *out) {
  lk_json_writer w;
  lk_json_writer_init(&w, out);
  lk_json_begin_array(&w);
  for (uint32_t i = 0; i < RECORDS; i++) write_record(&w, i);
  lk_json_end_array(&w);
  return lk_json_writer_finish(&w);
}

/* ---- what is measured ---- */

static void decode_integers(void *ctx) {
  world *self = ctx;
  lk_reader in = lk_reader_of(lk_buf_slice(&self->integers));
  uint64_t sum = 0, value = 0;
  for (uint32_t i = 0; i < INTEGERS; i++) {
    if (lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &value) != LK_OK) break;
    sum += value;
  }
  must(lk_reader_left(&in) == 0, "decoding integers");
  bench_keep(sum);
}

static void encode_integers(void *ctx) {
  world *self = ctx;
  lk_buf_truncate(&self->out, 0);
  fill_integers(&self->out);
  must(self->out.len == self->integers.len, "encoding integers");
}

static void check_text(void *ctx) {
  world *self = ctx;
  must(lk_utf8_check(lk_buf_slice(&self->text)) == LK_OK, "checking text");
}

static void sum_text(void *ctx) {
  world *self = ctx;
  bench_keep(lk_crc32c(lk_buf_slice(&self->text)));
}

/* Reads every event and every number's value: what a caller who wants all of it has to do. */
static void read_json(void *ctx) {
  world *self = ctx;
  lk_json_reader reader;
  lk_json_event event = { 0 };
  double number, sum = 0;
  lk_arena_reset(&self->arena);
  lk_err err = lk_json_reader_init(&reader, lk_buf_slice(&self->json), &self->limits, &self->arena);
  while (err == LK_OK && event.kind != LK_JSON_END) {
    err = lk_json_next(&reader, &event);
    if (err == LK_OK && event.kind == LK_JSON_NUMBER) {
      err = lk_json_get_f64(&event, &number);
      sum += number;
    }
  }
  must(err == LK_OK, "reading JSON");
  bench_keep(sum);
}

static void write_all(void *ctx) {
  world *self = ctx;
  lk_buf_truncate(&self->out, 0);
  must(write_json(&self->out) == LK_OK && self->out.len == self->json.len, "writing JSON");
}

/* ---- rows ---- */

static void row_each(const char *name, bench_body *run, world *self) {
  bench_row("codec", name, "ns", bench_ns(run, self) / INTEGERS, BENCH_LOWER, 1.0);
}

static void row_bytes(const char *name, bench_body *run, world *self, size_t bytes) {
  bench_row("codec", name, "MB/s", (double)bytes * 1e3 / bench_ns(run, self), BENCH_HIGHER, 1.0);
}

int main(void) {
  const lk_alloc *heap = lk_posix_heap();
  world self = { .limits = lk_limits_default() };
  lk_buf *bufs[] = { &self.integers, &self.text, &self.json, &self.out };
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) lk_buf_init(bufs[i], heap, BUFFER_MAX);
  lk_arena_init(&self.arena, heap, BUFFER_MAX);

  fill_integers(&self.integers);
  fill_text(&self.text);
  must(write_json(&self.json) == LK_OK && lk_buf_err(&self.integers) == LK_OK &&
           lk_buf_err(&self.text) == LK_OK,
       "making the inputs");

  row_each("varuint decode", decode_integers, &self);
  row_each("varuint encode", encode_integers, &self);
  row_bytes("utf8 check", check_text, &self, self.text.len);
  row_bytes("crc32c", sum_text, &self, self.text.len);
  row_bytes("json read", read_json, &self, self.json.len);
  row_bytes("json write", write_all, &self, self.json.len);

  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) lk_buf_deinit(bufs[i]);
  lk_arena_deinit(&self.arena);
  return 0;
}
