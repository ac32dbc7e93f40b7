/* bench/doc/replay.c -- replay.h. */
#include "bench/doc/replay.h"

#include "laniakea/doc_events.h"
#include "platform/posix/heap.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ENOUGH_MS 600
#define ELSEWHERE 1 /* the origin of what is applied */

static void *forward(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  (void)ctx;
  const lk_alloc *heap = lk_posix_heap();
  return heap->resize(heap->ctx, ptr, old_size, new_size);
}

static const lk_alloc alloc = { forward, NULL };
const lk_env bench_env = LK_ENV_INIT(&alloc, NULL);

void bench_must(lk_err err) {
  if (err == LK_OK) return;
  (void)fprintf(stderr, "bench: %s\n", lk_err_text(err));
  exit(1);
}

void bench_expect(bool is_true, const char *what) {
  if (is_true) return;
  (void)fprintf(stderr, "bench: %s\n", what);
  exit(1);
}

bool bench_equal(lk_slice a, lk_slice b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ---- measuring ---- */

double bench_cpu_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

double bench_wall_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

double bench_fastest(bench_run *run, bench_check *check, void *ctx, int rounds) {
  double best = 0, total = 0;
  for (int i = 0; i < rounds && total < ENOUGH_MS; i++) {
    double begin = bench_cpu_ms();
    void *result = run(ctx);
    double took = bench_cpu_ms() - begin;
    check(ctx, result);
    if (i == 0 || took < best) best = took;
    total += took;
  }
  return best;
}

static void row(const char *session, const char *task, const char *unit, const char *fields,
                double value) {
  printf("{\"suite\":\"doc\",\"name\":\"%s%s%s\",\"unit\":\"%s\",%s:%.9g}\n",
         session == NULL ? "" : session, session == NULL ? "" : ": ", task, unit, fields, value);
  (void)fflush(stdout);
}

void bench_show(const char *session, const char *task, const char *unit, double value) {
  row(session, task, unit, "\"value\"", value);
}

void bench_show_limit(const char *session, const char *task, const char *unit, double value) {
  row(session, task, unit, "\"peer\":\"bare gap buffer\",\"peer_value\"", value);
}

/* ---- documents ---- */

replica bench_open(uint64_t client) {
  replica self = { .undo = NULL };
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = client;
  bench_must(lk_doc_open(&bench_env, &options, &self.doc));
  bench_must(lk_doc_root(self.doc, TEXT("text"), LK_NODE_TEXT, &self.text));
  return self;
}

static void see(void *ctx, lk_doc *doc, const lk_event *event) {
  (void)ctx;
  (void)doc;
  (void)event;
}

/* The clock that moves with the system's ticks is exact enough for half a second, and costs a fraction of the
 * exact one: on some machines that takes longer than the edit. */
static uint64_t now_ms(void *ctx) {
  struct timespec now;
  (void)ctx;
  (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void bench_watch(replica *self) {
  lk_undo_options options = LK_UNDO_OPTIONS_INIT;
  options.now_ms = now_ms;
  bench_must(lk_doc_observe(self->doc, self->text, see, NULL, NULL));
  bench_must(lk_undo_open(self->doc, &self->text, 1, &options, &self->undo));
}

void bench_close(replica *self) {
  if (self->undo != NULL) lk_undo_close(self->undo);
  lk_doc_close(self->doc);
  *self = (replica){ .undo = NULL };
}

void bench_edit(const replica *self, const trace_edit *edit) {
  bool is_both = edit->deleted > 0 && edit->text.len > 0;
  if (is_both) bench_must(lk_doc_begin(self->doc, 0));
  if (edit->deleted > 0)
    bench_must(lk_doc_text_delete(self->doc, self->text, edit->at, edit->deleted));
  if (edit->text.len > 0)
    bench_must(lk_doc_text_insert(self->doc, self->text, edit->at, edit->text, NULL));
  if (is_both) lk_doc_commit(self->doc);
}

void bench_apply(const replica *self, lk_update_format format, lk_slice update) {
  bench_must(lk_doc_apply(self->doc, format, update, ELSEWHERE));
}

void bench_expect_text(const replica *self, lk_slice text) {
  lk_buf *out;
  bench_must(lk_buf_open(&bench_env, BYTES_MAX, &out));
  bench_must(lk_doc_text_string(self->doc, self->text, out));
  bench_expect(bench_equal(lk_buf_bytes(out), text), "the text is another one");
  lk_buf_close(out);
}

/* ---- updates ---- */

static void *grown(void *ptr, size_t *cap, size_t wanted, size_t size) {
  if (wanted <= *cap) return ptr;
  *cap = 2 * *cap + wanted;
  ptr = realloc(ptr, *cap * size);
  bench_expect(ptr != NULL, "no memory");
  return ptr;
}

void update_log_reserve(update_log *self, size_t len, size_t count) {
  self->bytes = grown(self->bytes, &self->cap, len, 1);
  self->ends = grown(self->ends, &self->count_cap, count, sizeof *self->ends);
}

static void note(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  update_log *self = ctx;
  (void)doc;
  (void)origin;
  if (!local) return;
  update_log_reserve(self, self->len + update.len, self->count + 1);
  memcpy(self->bytes + self->len, update.ptr, update.len);
  self->len += update.len;
  self->ends[self->count++] = self->len;
}

void update_log_listen(update_log *self, const replica *of, lk_update_format format) {
  bench_must(lk_doc_on_update(of->doc, format, note, self, NULL));
}

lk_slice update_log_at(const update_log *self, size_t index) {
  size_t begin = index == 0 ? 0 : self->ends[index - 1];
  return (lk_slice){ self->bytes + begin, self->ends[index] - begin };
}

void update_log_clear(update_log *self) { self->len = self->count = 0; }

void update_log_free(update_log *self) {
  free(self->bytes);
  free(self->ends);
  *self = (update_log){ 0 };
}
