/* cli/cmd_doc_replay.c -- `laniakea doc replay`: a history of updates again, with a watch beside it.
 *
 * Only lk_doc_apply() is timed: reading files and checking are not what a server does with an update. */
#include <string.h>
#include <time.h>

#include "cli/doc.h"
#include "cli/progress.h"
#include "codec/json_writer.h"
#include "platform/posix/heap.h"

typedef struct replay {
  lk_cli_job job;
  lk_cli_source source;
  lk_doc *doc;
  uint64_t bytes;                         /* of updates */
  uint64_t total_ns, slowest_ns, slowest; /* which update, from 1 */
  uint64_t waiting_max;
  lk_doc_pending pending;
  lk_doc_size size;
  uint64_t memory, memory_max;
  uint64_t v1_bytes, v2_bytes;
} replay;

static uint64_t now_ns(void) {
  struct timespec at;
  (void)clock_gettime(CLOCK_MONOTONIC, &at);
  return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static int apply_one(replay *self) {
  uint64_t began = now_ns();
  int code = lk_cli_apply_update(self->doc, &self->source);
  uint64_t took = now_ns() - began;
  if (code != 0) return code;
  self->total_ns += took;
  self->bytes += self->source.update.bytes.len;
  if (took > self->slowest_ns || self->slowest == 0) {
    self->slowest_ns = took;
    self->slowest = self->source.count;
  }
  lk_doc_pending pending = lk_doc_get_pending(self->doc);
  self->waiting_max = lk_max_u64(self->waiting_max, pending.structs + pending.delete_ranges);
  self->memory_max = lk_max_u64(self->memory_max, lk_doc_memory(self->doc).total);
  return 0;
}

static lk_err encoded_bytes(const replay *self, lk_update_format format, uint64_t *out) {
  lk_buf bytes;
  lk_buf_init(&bytes, self->job.env.alloc, LK_CLI_RESULT_MAX);
  lk_err err = lk_doc_encode(self->doc, format, LK_SLICE_EMPTY, &bytes);
  *out = bytes.len;
  lk_buf_deinit(&bytes);
  return err;
}

static int measure_end(replay *self) {
  self->pending = lk_doc_get_pending(self->doc);
  self->size = lk_doc_get_size(self->doc);
  self->memory = lk_doc_memory(self->doc).total;
  lk_cli_progress("writing", 0, 0);
  lk_err err = encoded_bytes(self, LK_UPDATE_V1, &self->v1_bytes);
  if (err == LK_OK) err = encoded_bytes(self, LK_UPDATE_V2, &self->v2_bytes);
  if (err == LK_OK) return 0;
  lk_cli_say_error("document", err, lk_cli_error_detail(self->doc, err));
  return 1;
}

static int run(replay *self) {
  bool verify_each = lk_cli_args_get(self->job.args, "verify-each") != NULL;
  int code = lk_cli_open_doc(&self->job, &self->doc);
  while (code == 0 && (code = lk_cli_source_next(&self->source)) == 0 && !self->source.ended) {
    code = apply_one(self);
    if (code == 0 && verify_each)
      code = lk_cli_check_doc(&self->job, self->doc, self->source.update.label);
  }
  return code == 0 ? measure_end(self) : code;
}

/* ---- what it says ---- */

#define ULL(value) ((unsigned long long)(value))

static double milliseconds(uint64_t ns) { return (double)ns / 1e6; }

static void print_table(const replay *self) {
  uint64_t count = self->source.count;
  (void)printf("updates    %llu, %llu bytes\n", ULL(count), ULL(self->bytes));
  (void)printf("time       %.3f ms", milliseconds(self->total_ns));
  if (count > 0)
    (void)printf("; %.1f us each, slowest %.3f ms (update %llu)",
                 (double)self->total_ns / 1e3 / (double)count, milliseconds(self->slowest_ns),
                 ULL(self->slowest));
  (void)printf("\npending    %llu structs and %llu ranges of deletions at the end, %llu at most\n",
               ULL(self->pending.structs), ULL(self->pending.delete_ranges),
               ULL(self->waiting_max));
  (void)printf(
      "document   %llu clients, %llu structs, %llu of them tombstones, %llu units, %llu nodes\n",
      ULL(self->size.clients), ULL(self->size.structs), ULL(self->size.tombstones),
      ULL(self->size.units), ULL(self->size.nodes));
  (void)printf("memory     %llu bytes, %llu at most after an update\n", ULL(self->memory),
               ULL(self->memory_max));
  (void)printf("size       %llu bytes as V1, %llu as V2\n", ULL(self->v1_bytes),
               ULL(self->v2_bytes));
}

static void put(lk_json_writer *w, const char *key, uint64_t value) {
  (void)lk_json_write_key(w, lk_slice_cstr(key));
  (void)lk_json_write_u64(w, value);
}

static void put_object(lk_json_writer *w, const char *key) {
  (void)lk_json_write_key(w, lk_slice_cstr(key));
  (void)lk_json_begin_object(w);
}

static lk_err append_json(const replay *self, lk_buf *out) {
  lk_json_writer w;
  lk_json_writer_init(&w, out);
  (void)lk_json_begin_object(&w);
  put(&w, "updates", self->source.count);
  put(&w, "bytes", self->bytes);
  put_object(&w, "time");
  put(&w, "total_ns", self->total_ns);
  put(&w, "slowest_ns", self->slowest_ns);
  put(&w, "slowest_update", self->slowest);
  (void)lk_json_end_object(&w);
  put_object(&w, "pending");
  put(&w, "structs", self->pending.structs);
  put(&w, "delete_ranges", self->pending.delete_ranges);
  put(&w, "most", self->waiting_max);
  (void)lk_json_end_object(&w);
  put_object(&w, "document");
  put(&w, "clients", self->size.clients);
  put(&w, "structs", self->size.structs);
  put(&w, "tombstones", self->size.tombstones);
  put(&w, "units", self->size.units);
  put(&w, "nodes", self->size.nodes);
  put(&w, "memory_bytes", self->memory);
  put(&w, "memory_bytes_max", self->memory_max);
  put(&w, "v1_bytes", self->v1_bytes);
  put(&w, "v2_bytes", self->v2_bytes);
  (void)lk_json_end_object(&w);
  (void)lk_json_end_object(&w);
  return lk_json_writer_finish(&w);
}

static int print_json(const replay *self) {
  lk_buf json;
  lk_buf_init(&json, self->job.env.alloc, LK_CLI_RESULT_MAX);
  lk_err err = append_json(self, &json);
  if (err == LK_OK) err = lk_buf_append_u8(&json, '\n');
  bool ok = err == LK_OK && lk_cli_write_output(lk_buf_slice(&json), true);
  lk_buf_deinit(&json);
  return ok ? 0 : 1;
}

int lk_cli_doc_replay(const lk_cli_args *args) {
  replay self = { 0 };
  int code = lk_cli_job_begin(args, false, &self.job);
  if (code != 0) return code;
  lk_cli_source_init(&self.source, &self.job, lk_cli_args_get(args, "framed") != NULL);
  code = lk_cli_job_end(run(&self));
  if (code == 0 && lk_cli_args_get(args, "json") != NULL) {
    code = print_json(&self);
  } else if (code == 0) {
    print_table(&self);
    code = lk_cli_finish_output();
  }
  lk_cli_source_deinit(&self.source);
  lk_doc_close(self.doc);
  return code;
}
