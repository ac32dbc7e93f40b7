/* bench/doc/main.c -- the document engine natively: what an edit costs here and elsewhere, and a whole document.
 *
 * Typing sessions are replayed (trace.h): recorded ones from the folder LK_TRACES, or else one that is made
 * up. The peers get the same in node.mjs, and names of rows must agree with those in shared/tasks.mjs.
 * Beside the edits stands what they cost a bare gap buffer. What comes out is compared with the
 * session's text and, where the folder has them, with the bytes of real Yjs. */
#include "bench/doc/gapbuf.h"
#include "bench/doc/replay.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define STATE_ROUNDS 25

/* One session, or its first edits, and what comes of it. */
typedef struct session {
  const recording *trace;
  char name[96];
  size_t edit_count;
  lk_slice text;
  bool is_watched;
  update_log updates; /* of all edits */
  update_log scratch;
  lk_slice *slices; /* the updates again */
  replica document; /* that has them all */
  lk_update_format format;
  lk_buf *state; /* the document in that format */
  lk_buf *out;
} session;

static replica *open_replica(const session *s, uint64_t client) {
  static replica self;
  self = bench_open(client);
  if (s->is_watched) bench_watch(&self);
  return &self;
}

/* A row of each task has this behind its name. */
#define WATCHED ", observer and undo manager attached"

/* The row |task|, and the one with an observer and an undo manager. */
static void bench_both(session *s, const char *task, bench_run *run, bench_check *check,
                       int rounds) {
  char watched[128];
  bench_show(s->name, task, "ms", bench_fastest(run, check, s, rounds));
  (void)snprintf(watched, sizeof watched, "%s" WATCHED, task);
  s->is_watched = true;
  bench_show(s->name, watched, "ms", bench_fastest(run, check, s, rounds));
  s->is_watched = false;
}

/* ---- edits ---- */

static void *replay_gap_buffer(void *ctx) {
  static gapbuf buffer;
  session *s = ctx;
  gapbuf_init(&buffer);
  for (size_t i = 0; i < s->edit_count; i++) {
    const trace_edit *edit = &s->trace->edits[i];
    gapbuf_edit(&buffer, edit->at, edit->deleted, edit->text);
  }
  return &buffer;
}

static void check_gap_buffer(void *ctx, void *result) {
  session *s = ctx;
  lk_slice text = gapbuf_text(result);
  if (s->text.ptr == NULL) s->text = text;
  else {
    bench_expect(bench_equal(text, s->text), "the session has another text");
    free((void *)text.ptr);
  }
  gapbuf_deinit(result);
}

static void *replay(void *ctx) {
  session *s = ctx;
  replica *self = open_replica(s, 1);
  for (size_t i = 0; i < s->edit_count; i++) bench_edit(self, &s->trace->edits[i]);
  return self;
}

static void *replay_with_updates(void *ctx) {
  session *s = ctx;
  replica *self = open_replica(s, 1);
  update_log_clear(&s->scratch);
  update_log_listen(&s->scratch, self, LK_UPDATE_V1);
  for (size_t i = 0; i < s->edit_count; i++) bench_edit(self, &s->trace->edits[i]);
  return self;
}

static void *apply_updates(void *ctx) {
  session *s = ctx;
  replica *self = open_replica(s, 99);
  for (size_t i = 0; i < s->updates.count; i++) bench_apply(self, LK_UPDATE_V1, s->slices[i]);
  return self;
}

static void check_text(void *ctx, void *result) {
  session *s = ctx;
  bench_expect_text(result, s->text);
  bench_close(result);
}

/* ---- the whole document ---- */

static void *encode(void *ctx) {
  session *s = ctx;
  lk_buf_clear(s->out);
  bench_must(lk_doc_encode(s->document.doc, s->format, (lk_slice){ NULL, 0 }, s->out));
  return NULL;
}

static void check_nothing(void *ctx, void *result) {
  (void)ctx;
  (void)result;
}

static void *load_and_read(void *ctx) {
  session *s = ctx;
  replica *self = open_replica(s, 99);
  bench_apply(self, s->format, lk_buf_bytes(s->state));
  lk_buf_clear(s->out);
  bench_must(lk_doc_text_string(self->doc, self->text, s->out));
  return self;
}

static void check_read(void *ctx, void *result) {
  session *s = ctx;
  bench_expect(bench_equal(lk_buf_bytes(s->out), s->text), "what was loaded is another text");
  bench_close(result);
}

static void *merge(void *ctx) {
  session *s = ctx;
  lk_buf_clear(s->out);
  bench_must(lk_update_merge(&bench_env, LK_UPDATE_V1, s->slices, s->updates.count, s->out));
  return NULL;
}

static void *compact(void *ctx) {
  session *s = ctx;
  lk_buf_clear(s->out);
  bench_must(lk_update_compact(&bench_env, LK_UPDATE_V1, s->slices, s->updates.count, s->out));
  return NULL;
}

static void check_merge(void *ctx, void *result) {
  session *s = ctx;
  (void)result;
  replica self = bench_open(99);
  bench_apply(&self, LK_UPDATE_V1, lk_buf_bytes(s->out));
  bench_expect_text(&self, s->text);
  bench_close(&self);
}

static void bench_format(session *s, lk_update_format format, const char *const names[3]) {
  s->format = format;
  encode(s);
  bench_show(s->name, names[2], "bytes", (double)lk_buf_bytes(s->out).len);
  bench_show(s->name, names[0], "ms", bench_fastest(encode, check_nothing, s, STATE_ROUNDS));
  /* What was encoded becomes what is loaded, and the other buffer takes what is read. */
  lk_buf *empty = s->state;
  s->state = s->out;
  s->out = empty;
  bench_both(s, names[1], load_and_read, check_read, STATE_ROUNDS);
}

/* What the document holds when it was loaded, not when it was typed. */
static void bench_memory(session *s) {
  replica self = bench_open(99);
  bench_apply(&self, s->format, lk_buf_bytes(s->state));
  bench_show(s->name, "memory of the loaded document", "bytes",
             (double)lk_doc_memory(self.doc).total);
  bench_close(&self);
}

static void bench_state(session *s, const replica *document) {
  static const char *const v1[3] = { "encode the document (v1)",
                                     "load the document (v1) and read its text",
                                     "bytes of the document (v1)" };
  static const char *const v2[3] = { "encode the document (v2)",
                                     "load the document (v2) and read its text",
                                     "bytes of the document (v2)" };
  s->document = *document;
  bench_format(s, LK_UPDATE_V1, v1);
  bench_memory(s);
  bench_format(s, LK_UPDATE_V2, v2);
}

/* ---- what real Yjs wrote ---- */

/* Compares with the first of the files |name| and |other| that is there. */
static void expect_file(const char *name, const char *suffix, lk_slice bytes, const char *what) {
  char file[128];
  const char *folder = getenv("LK_TRACES");
  if (folder == NULL) return;
  (void)snprintf(file, sizeof file, "%s%s", name, suffix);
  lk_slice wanted = trace_file(folder, file);
  if (wanted.ptr == NULL) return;
  bench_expect(bench_equal(bytes, wanted), what);
  free((void *)wanted.ptr);
}

static void put_u32(uint8_t *out, size_t value) {
  for (int i = 0; i < 4; i++) out[i] = (uint8_t)(value >> 8 * i);
}

/* "count, then each update behind its length", as the .yup files have them. */
static lk_slice framed(const update_log *log) {
  uint8_t *bytes = malloc(4 + 4 * log->count + log->len);
  bench_expect(bytes != NULL, "no memory");
  size_t at = 4;
  put_u32(bytes, log->count);
  for (size_t i = 0; i < log->count; i++) {
    lk_slice update = update_log_at(log, i);
    put_u32(bytes + at, update.len);
    memcpy(bytes + at + 4, update.ptr, update.len);
    at += 4 + update.len;
  }
  return (lk_slice){ bytes, at };
}

/* Only of a whole session, whose |document| has no other edits. */
static void expect_what_yjs_wrote(session *s, const replica *document) {
  s->document = *document;
  s->format = LK_UPDATE_V1;
  encode(s);
  lk_slice state = lk_buf_bytes(s->out);
  expect_file(s->trace->name, ".yjs-v1.bin", state, "Yjs encodes the document in other bytes");
  expect_file(s->trace->name, ".final", state, "Yjs encodes the document in other bytes");
  lk_slice updates = framed(&s->updates);
  expect_file(s->trace->name, ".yup", updates, "Yjs sends other updates");
  free((void *)updates.ptr);
  merge(s);
  expect_file(s->trace->name, ".merged", lk_buf_bytes(s->out), "Yjs merges to other bytes");
}

/* ---- one session ---- */

static void session_init(session *s, const recording *trace) {
  *s = (session){ .trace = trace, .edit_count = trace->edit_count, .text = trace->text };
  (void)snprintf(s->name, sizeof s->name, "%s", trace->name);
  bench_must(lk_buf_open(&bench_env, BYTES_MAX, &s->state));
  bench_must(lk_buf_open(&bench_env, BYTES_MAX, &s->out));
}

static void session_deinit(session *s) {
  if (s->text.ptr != s->trace->text.ptr) free((void *)s->text.ptr);
  update_log_free(&s->updates);
  update_log_free(&s->scratch);
  free(s->slices);
  lk_buf_close(s->state);
  lk_buf_close(s->out);
}

static void keep_slices(session *s) {
  free(s->slices);
  s->slices = calloc(s->updates.count + 1, sizeof *s->slices);
  bench_expect(s->slices != NULL, "no memory");
  for (size_t i = 0; i < s->updates.count; i++) s->slices[i] = update_log_at(&s->updates, i);
}

/* As measured, once more; its updates are kept for what follows. */
static replica record(session *s) {
  replica self = *(replica *)replay_with_updates(s);
  s->updates = s->scratch;
  s->scratch = (update_log){ 0 };
  keep_slices(s);
  bench_expect(s->updates.count == s->edit_count, "an edit gave no update, or several");
  return self;
}

static void bench_edits(session *s) {
  const char *task = "each edit a transaction";
  bench_show_limit(s->name, task, "ms",
                   bench_fastest(replay_gap_buffer, check_gap_buffer, s, BENCH_ROUNDS));
  bench_both(s, task, replay, check_text, BENCH_ROUNDS);
  bench_both(s, "each edit a transaction, its update encoded", replay_with_updates, check_text,
             BENCH_ROUNDS);
}

static void bench_merge(session *s) {
  bench_show(s->name, "merge the updates without a document", "ms",
             bench_fastest(merge, check_merge, s, BENCH_ROUNDS));
  bench_show(s->name, "merge and compact the updates without a document", "ms",
             bench_fastest(compact, check_merge, s, BENCH_ROUNDS));
  bench_show(s->name, "bytes of the updates merged and compacted", "bytes",
             (double)lk_buf_bytes(s->out).len);
}

static void bench_updates(session *s) {
  bench_show(s->name, "bytes of the updates", "bytes", (double)s->updates.len);
  bench_both(s, "apply the updates one by one", apply_updates, check_text, BENCH_ROUNDS);
  bench_merge(s);
}

static void bench_session(const recording *trace) {
  session s;
  session_init(&s, trace);
  bench_edits(&s);
  replica document = record(&s);
  expect_what_yjs_wrote(&s, &document);
  bench_updates(&s);
  bench_state(&s, &document);
  bench_close(&document);
  session_deinit(&s);
}

/* Peers that take minutes for all edits of a long session get its first ones. */
static void bench_cut(const recording *trace, size_t edit_count, const char *count) {
  session s;
  if (trace->edit_count <= edit_count) return;
  session_init(&s, trace);
  s.edit_count = edit_count;
  s.text = (lk_slice){ NULL, 0 };
  (void)snprintf(s.name, sizeof s.name, "%s, first %s edits", trace->name, count);
  bench_edits(&s);
  replica document = record(&s);
  bench_updates(&s);
  bench_state(&s, &document);
  bench_close(&document);
  session_deinit(&s);
}

/* ---- a session of several who write at once ---- */

#define AGENTS_MAX 16
#define MERGED_COUNT 8000

typedef struct exchange {
  session session;       /* its updates are those of all agents */
  size_t *updates_begin; /* of each txn, and behind the last one's */
  uint8_t *seen[AGENTS_MAX];
  uint32_t *open, *missing;
  replica agents[AGENTS_MAX];
} exchange;

static void exchange_init(exchange *self, const recording *trace) {
  bench_expect(trace->agents <= AGENTS_MAX, "too many agents");
  session_init(&self->session, trace);
  size_t count = trace->txn_count + 1;
  self->updates_begin = calloc(count, sizeof *self->updates_begin);
  self->open = calloc(count + trace->edit_count, sizeof *self->open);
  self->missing = calloc(count, sizeof *self->missing);
  bool is_ok = self->updates_begin != NULL && self->open != NULL && self->missing != NULL;
  for (uint32_t i = 0; i < trace->agents; i++) {
    self->seen[i] = calloc(count, 1);
    is_ok = is_ok && self->seen[i] != NULL;
  }
  bench_expect(is_ok, "no memory");
}

static void exchange_deinit(exchange *self) {
  for (uint32_t i = 0; i < AGENTS_MAX; i++) free(self->seen[i]);
  free(self->updates_begin);
  free(self->open);
  free(self->missing);
  session_deinit(&self->session);
}

static int by_number(const void *a, const void *b) {
  uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
  return one < other ? -1 : one > other;
}

/* The txns that |agent| has not seen of those that |txn| builds on; from now on it has. */
static size_t find_missing(exchange *self, uint8_t *seen, const trace_txn *txn) {
  const recording *trace = self->session.trace;
  size_t open = 0, missing = 0;
  for (;;) {
    for (uint32_t i = 0; i < txn->parents_count; i++) {
      uint32_t parent = trace->parents[txn->parents_begin + i];
      if (seen[parent]) continue;
      seen[parent] = 1;
      self->missing[missing++] = parent;
      self->open[open++] = parent;
    }
    if (open == 0) break;
    txn = &trace->txns[self->open[--open]];
  }
  qsort(self->missing, missing, sizeof *self->missing, by_number);
  return missing;
}

static void catch_up(exchange *self, const trace_txn *txn) {
  size_t count = find_missing(self, self->seen[txn->agent], txn);
  for (size_t i = 0; i < count; i++) {
    uint32_t at = self->missing[i];
    for (size_t k = self->updates_begin[at]; k < self->updates_begin[at + 1]; k++)
      bench_apply(&self->agents[txn->agent], LK_UPDATE_V1,
                  update_log_at(&self->session.scratch, k));
  }
}

static void *write_and_exchange(void *ctx) {
  exchange *self = ctx;
  const recording *trace = self->session.trace;
  update_log *log = &self->session.scratch;
  update_log_clear(log);
  for (uint32_t i = 0; i < trace->agents; i++) {
    self->agents[i] = *open_replica(&self->session, i + 1);
    update_log_listen(log, &self->agents[i], LK_UPDATE_V1);
    memset(self->seen[i], 0, trace->txn_count);
  }
  for (size_t at = 0; at < trace->txn_count; at++) {
    const trace_txn *txn = &trace->txns[at];
    catch_up(self, txn);
    self->updates_begin[at] = log->count;
    for (uint32_t i = 0; i < txn->edits_count; i++)
      bench_edit(&self->agents[txn->agent], &trace->edits[txn->edits_begin + i]);
    self->updates_begin[at + 1] = log->count;
    self->seen[txn->agent][at] = 1;
  }
  return NULL;
}

static void close_agents(void *ctx, void *result) {
  exchange *self = ctx;
  (void)result;
  for (uint32_t i = 0; i < self->session.trace->agents; i++) bench_close(&self->agents[i]);
}

static void bench_concurrent(const recording *trace) {
  exchange self = { 0 };
  session *s = &self.session;
  char task[128];
  exchange_init(&self, trace);
  (void)snprintf(task, sizeof task, "%u replicas write and exchange updates", trace->agents);
  bench_show(s->name, task, "ms",
             bench_fastest(write_and_exchange, close_agents, &self, BENCH_ROUNDS));
  (void)snprintf(task, sizeof task, "%u replicas write and exchange updates" WATCHED,
                 trace->agents);
  s->is_watched = true;
  bench_show(s->name, task, "ms",
             bench_fastest(write_and_exchange, close_agents, &self, BENCH_ROUNDS));
  s->is_watched = false;
  s->updates = s->scratch;
  s->scratch = (update_log){ 0 };
  keep_slices(s);
  bench_both(s, "apply the updates one by one", apply_updates, check_text, BENCH_ROUNDS);
  replica document = *(replica *)apply_updates(s);
  expect_what_yjs_wrote(s, &document);
  bench_state(s, &document);
  bench_close(&document);
  bench_merge(s);
  if (s->updates.count > MERGED_COUNT) s->updates.count = MERGED_COUNT;
  bench_show(s->name, "merge the first 8,000 updates without a document", "ms",
             bench_fastest(merge, check_nothing, s, BENCH_ROUNDS));
  exchange_deinit(&self);
}

/* ---- a long run of one author ---- */

#define RUN_UNITS 5000000
#define APPENDED 20

/* The second twenty count: what the processor has forgotten over the long run is not what is asked for. */
static double append(const replica *self, uint32_t from) {
  double begin = bench_wall_ms();
  for (uint32_t i = 0; i < APPENDED; i++) bench_edit(self, &(trace_edit){ from + i, 0, TEXT("y") });
  return bench_wall_ms() - begin;
}

static double apply_appended(const replica *self, const update_log *log, size_t from) {
  double begin = bench_wall_ms();
  for (size_t i = 0; i < APPENDED; i++)
    bench_apply(self, LK_UPDATE_V1, update_log_at(log, from + i));
  return bench_wall_ms() - begin;
}

/* |text|, a run and its end, in a document and in one that is told of it: milliseconds of both. */
static void append_once(lk_slice text, bool is_watched, double took[2]) {
  update_log log = { 0 };
  replica self = bench_open(1), other = bench_open(2);
  update_log_reserve(&log, 2 * RUN_UNITS, 4 * APPENDED);
  update_log_listen(&log, &self, LK_UPDATE_V1);
  bench_edit(&self, &(trace_edit){ 0, 0, { text.ptr, RUN_UNITS } });
  if (is_watched) bench_watch(&self);
  (void)append(&self, RUN_UNITS);
  took[0] = append(&self, RUN_UNITS + APPENDED);
  bench_apply(&other, LK_UPDATE_V1, update_log_at(&log, 0));
  if (is_watched) bench_watch(&other);
  (void)apply_appended(&other, &log, 1);
  took[1] = apply_appended(&other, &log, 1 + APPENDED);
  bench_expect_text(&self, text);
  bench_expect_text(&other, text);
  bench_close(&self);
  bench_close(&other);
  update_log_free(&log);
}

static void bench_append(bool is_watched) {
  static const char *const names[2] = {
    "one author's run of 5 MB: append 20 characters, each update encoded",
    "one author's run of 5 MB: append 20 characters that come one by one",
  };
  size_t len = RUN_UNITS + 2 * APPENDED;
  uint8_t *run = malloc(len);
  double best[2] = { 0, 0 }, took[2];
  bench_expect(run != NULL, "no memory");
  memset(run, 'x', RUN_UNITS);
  memset(run + RUN_UNITS, 'y', len - RUN_UNITS);
  for (int round = 0; round < BENCH_ROUNDS; round++) {
    append_once((lk_slice){ run, len }, is_watched, took);
    for (int i = 0; i < 2; i++)
      if (round == 0 || took[i] < best[i]) best[i] = took[i];
  }
  for (int i = 0; i < 2; i++) {
    char task[160];
    (void)snprintf(task, sizeof task, "%s%s", names[i], is_watched ? WATCHED : "");
    bench_show(NULL, task, "us", 1000 * best[i]);
  }
  free(run);
}

/* ---- what there is ---- */

static void bench_trace(const recording *trace) {
  if (trace->is_concurrent) {
    bench_concurrent(trace);
    return;
  }
  bench_session(trace);
  bench_cut(trace, 2000, "2,000");
  bench_cut(trace, 8000, "8,000");
}

/* The heap keeps what was given back, as that of a process that opens one document after the other, and as Node's does
 * where the peers are measured: else half the time of a load would be that of fresh pages. */
static void keep_memory(void) {
  bench_expect(mallopt(M_MMAP_THRESHOLD, 1 << 30) == 1, "mallopt");
  bench_expect(mallopt(M_TRIM_THRESHOLD, 1 << 30) == 1, "mallopt");
}

int main(void) {
  static const char *const recorded[][2] = {
    { "automerge-paper", "ltr" },
    { "sveltecomponent", "ltr" },
    { "json-crdt-patch", "ltr" },
    { "friendsforever", "ltc" },
  };
  const char *folder = getenv("LK_TRACES");
  recording trace;
  keep_memory();
  if (folder == NULL || folder[0] == '\0') {
    trace_generate(&trace);
    bench_trace(&trace);
    trace_free(&trace);
  } else {
    for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++) {
      if (!trace_read(&trace, folder, recorded[i][0], recorded[i][1])) continue;
      bench_trace(&trace);
      trace_free(&trace);
    }
  }
  bench_append(false);
  bench_append(true);
  bench_shapes();
  return 0;
}
