/* cli/cmd_doc_inspect.c -- `laniakea doc inspect`: what an update is made of, and what of it is needless.
 *
 * Everything is gathered first and printed then, as a table or as JSON. That the update
 * reads is all that is asked of it: where no document can take it, because of a limit or of
 * what it says, the table still comes, with the reason in place of the document. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doc.h"
#include "cli/progress.h"
#include "doc/print.h"
#include "codec/json_writer.h"
#include "platform/posix/heap.h"
#include "server/console.h"

#define KINDS (sizeof((lk_update_summary *)0)->kinds / sizeof((lk_update_summary *)0)->kinds[0])
#define CLIENTS_SHOWN 20

static const char *const kind_names[KINDS] = { "gc",     "deleted", "json",   "binary",
                                               "string", "embed",   "format", "type",
                                               "any",    "doc",     "skip" };
static const char *const node_names[] = { "array",        "map",      "text",     "xml element",
                                          "xml fragment", "xml hook", "xml text", "empty" };

typedef struct inspection {
  lk_cli_job job;
  lk_cli_update update;
  lk_update_summary sum;
  lk_update_client *clients;
  size_t client_count, client_cap;
  uint64_t compacted_bytes, v1_bytes, v2_bytes;
  lk_doc *doc;
  lk_err doc_err; /* why there is no document */
  char doc_detail[64];
  uint64_t collected_bytes; /* where there is one */
} inspection;

/* ---- gathering ---- */

static lk_err add_client(void *ctx, const lk_update_client *client) {
  inspection *self = ctx;
  if (self->client_count == self->client_cap) {
    size_t cap = self->client_cap * 2 + 16;
    lk_update_client *grown = realloc(self->clients, cap * sizeof *grown);
    if (grown == NULL) return LK_ERR_NOMEM;
    self->clients = grown;
    self->client_cap = cap;
  }
  self->clients[self->client_count++] = *client;
  return LK_OK;
}

static lk_err measure_sizes(inspection *self) {
  lk_slice bytes = lk_buf_slice(&self->update.bytes);
  lk_update_format own = self->update.format;
  lk_buf out;
  lk_buf_init(&out, self->job.env.alloc, LK_CLI_RESULT_MAX);
  lk_err err = lk_update_compact(&self->job.env, own, &bytes, 1, &out);
  self->compacted_bytes = out.len;
  lk_buf_truncate(&out, 0);
  if (err == LK_OK) err = lk_update_convert(&self->job.env, own, bytes, LK_UPDATE_V1, &out);
  self->v1_bytes = out.len;
  lk_buf_truncate(&out, 0);
  if (err == LK_OK) err = lk_update_convert(&self->job.env, own, bytes, LK_UPDATE_V2, &out);
  self->v2_bytes = out.len;
  lk_buf_deinit(&out);
  return err;
}

static int open_document(inspection *self) {
  lk_buf out;
  int code = lk_cli_open_doc(&self->job, &self->doc);
  if (code != 0) return code;
  lk_buf_init(&out, self->job.env.alloc, LK_CLI_RESULT_MAX);
  lk_update_format own = self->update.format;
  self->doc_err = lk_doc_apply(self->doc, own, lk_buf_slice(&self->update.bytes), 0);
  if (self->doc_err == LK_OK) self->doc_err = lk_doc_encode(self->doc, own, LK_SLICE_EMPTY, &out);
  self->collected_bytes = out.len;
  (void)snprintf(self->doc_detail, sizeof self->doc_detail, "%s",
                 lk_cli_error_detail(self->doc, self->doc_err));
  lk_buf_deinit(&out);
  return 0;
}

static int gather(inspection *self) {
  int code = lk_cli_update_read(&self->job, self->job.args->plain[0], &self->update);
  if (code != 0) return code;
  lk_slice bytes = lk_buf_slice(&self->update.bytes);
  lk_cli_progress("looking", 0, 0);
  self->sum.size = sizeof self->sum;
  lk_err err = lk_update_check(&self->job.env, self->update.format, bytes, &self->sum);
  if (err == LK_OK)
    err = lk_update_clients(&self->job.env, self->update.format, bytes, add_client, self);
  if (err == LK_OK) err = measure_sizes(self);
  if (err == LK_OK) return open_document(self);
  lk_cli_say_error(self->update.label, err, "");
  return 1;
}

/* ---- as a table ---- */

static void print_escaped(lk_slice text) {
  lk_buf line;
  lk_buf_init(&line, lk_posix_heap(), SIZE_MAX / 2);
  lk_console_escape(text, &line);
  if (line.len > 0) (void)fwrite(line.ptr, 1, line.len, stdout);
  lk_buf_deinit(&line);
}

static void print_summary(const inspection *self) {
  const lk_update_summary *sum = &self->sum;
  (void)printf("format       V%d, %zu bytes\n", (int)self->update.format, self->update.bytes.len);
  (void)printf("clients      %" PRIu64 "\n", sum->clients);
  (void)printf("structs      %" PRIu64 " of %" PRIu64 " units\n", sum->structs, sum->units);
  (void)printf("tombstones   %" PRIu64 " structs\n", sum->tombstones);
  (void)printf("gaps         %" PRIu64 "\n", sum->skips);
  (void)printf("deletions    %" PRIu64 " ranges of %" PRIu64 " units\n", sum->deleted_ranges,
               sum->deleted_units);
}

static void print_content(const lk_update_summary *sum) {
  (void)printf("\ncontent         structs          bytes\n");
  for (size_t i = 0; i < KINDS; i++) {
    if (sum->kinds[i] == 0) continue;
    (void)printf("%-10s %12" PRIu64 " %14" PRIu64 "\n", kind_names[i], sum->kinds[i],
                 sum->kind_bytes[i]);
  }
}

static int by_structs(const void *a, const void *b) {
  const lk_update_client *x = a, *y = b;
  if (x->structs != y->structs) return x->structs > y->structs ? -1 : 1;
  return (x->client > y->client) - (x->client < y->client);
}

/* Sorts them: after this the order of the update is gone. */
static void print_clients(inspection *self) {
  if (self->client_count == 0) return;
  qsort(self->clients, self->client_count, sizeof *self->clients, by_structs);
  (void)printf("\nclient                   from           to    structs  deleted units\n");
  for (size_t i = 0; i < self->client_count && i < CLIENTS_SHOWN; i++) {
    const lk_update_client *c = &self->clients[i];
    (void)printf("%-16" PRIu64 " %12" PRIu64 " %12" PRIu64 " %10" PRIu64 " %14" PRIu64 "\n",
                 c->client, c->from, c->to, c->structs, c->deleted_units);
  }
  if (self->client_count > CLIENTS_SHOWN)
    (void)printf("and %zu more; --json has all\n", self->client_count - CLIENTS_SHOWN);
}

static void print_size(const inspection *self, const char *what, uint64_t bytes) {
  double own = (double)self->update.bytes.len;
  (void)printf("%-26s %12" PRIu64 " %+8.1f %%\n", what, bytes, ((double)bytes - own) * 100 / own);
}

static void print_sizes(const inspection *self) {
  (void)printf("\nsize                              bytes\n");
  print_size(self, "as it is", self->update.bytes.len);
  print_size(self, "compacted", self->compacted_bytes);
  if (self->doc_err == LK_OK) print_size(self, "after garbage collection", self->collected_bytes);
  if (self->update.format != LK_UPDATE_V1) print_size(self, "as V1", self->v1_bytes);
  if (self->update.format != LK_UPDATE_V2) print_size(self, "as V2", self->v2_bytes);
}

static void print_roots(const lk_doc *doc) {
  uint32_t cursor = 0;
  lk_slice name;
  lk_node node;
  while (lk_doc_next_root(doc, &cursor, &name, &node)) {
    lk_node_kind kind = lk_doc_root_kind(doc, node);
    uint64_t length = kind == LK_NODE_MAP ? lk_doc_map_count(doc, node)
                                          : lk_doc_node_length(doc, node);
    (void)printf("root         %s, length %" PRIu64 ": ", node_names[kind], length);
    print_escaped(name);
    (void)printf("\n");
  }
}

static void print_document(const inspection *self) {
  if (self->doc_err != LK_OK) {
    const char *gap = self->doc_detail[0] != 0 ? ", " : "";
    (void)printf("\ndocument     cannot be opened: %s (%s%s%s)\n", lk_err_text(self->doc_err),
                 lk_err_name(self->doc_err), gap, self->doc_detail);
    return;
  }
  lk_doc_size size = lk_doc_get_size(self->doc);
  lk_doc_pending pending = lk_doc_get_pending(self->doc);
  (void)printf("\ndocument     %" PRIu64 " structs, %" PRIu64 " of them tombstones, %" PRIu64
               " nodes, %zu bytes of memory\n",
               size.structs, size.tombstones, size.nodes, lk_doc_memory(self->doc).total);
  (void)printf("pending      %" PRIu64 " structs and %" PRIu64
               " ranges of deletions wait for other updates\n",
               pending.structs, pending.delete_ranges);
  print_roots(self->doc);
}

/* ---- as JSON ---- */

static void put_key(lk_json_writer *w, const char *key) {
  (void)lk_json_write_key(w, lk_slice_cstr(key));
}

static void put(lk_json_writer *w, const char *key, uint64_t value) {
  put_key(w, key);
  (void)lk_json_write_u64(w, value);
}

static void put_text(lk_json_writer *w, const char *key, const char *text) {
  put_key(w, key);
  (void)lk_json_write_string(w, lk_slice_cstr(text));
}

static void put_summary(lk_json_writer *w, const inspection *self) {
  const lk_update_summary *sum = &self->sum;
  put_text(w, "format", self->update.format == LK_UPDATE_V1 ? "v1" : "v2");
  put(w, "bytes", self->update.bytes.len);
  put(w, "structs", sum->structs);
  put(w, "units", sum->units);
  put(w, "tombstones", sum->tombstones);
  put(w, "skips", sum->skips);
  put(w, "deleted_ranges", sum->deleted_ranges);
  put(w, "deleted_units", sum->deleted_units);
  put_key(w, "content");
  (void)lk_json_begin_object(w);
  for (size_t i = 0; i < KINDS; i++) {
    put_key(w, kind_names[i]);
    (void)lk_json_begin_object(w);
    put(w, "structs", sum->kinds[i]);
    put(w, "bytes", sum->kind_bytes[i]);
    (void)lk_json_end_object(w);
  }
  (void)lk_json_end_object(w);
}

static void put_clients(lk_json_writer *w, const inspection *self) {
  put_key(w, "clients");
  (void)lk_json_begin_array(w);
  for (size_t i = 0; i < self->client_count; i++) {
    const lk_update_client *c = &self->clients[i];
    (void)lk_json_begin_object(w);
    put(w, "client", c->client);
    put(w, "from", c->from);
    put(w, "to", c->to);
    put(w, "structs", c->structs);
    put(w, "deleted_units", c->deleted_units);
    (void)lk_json_end_object(w);
  }
  (void)lk_json_end_array(w);
}

static void put_sizes(lk_json_writer *w, const inspection *self) {
  put_key(w, "sizes");
  (void)lk_json_begin_object(w);
  put(w, "compacted", self->compacted_bytes);
  put_key(w, "collected");
  if (self->doc_err == LK_OK) (void)lk_json_write_u64(w, self->collected_bytes);
  else (void)lk_json_write_null(w);
  put(w, "v1", self->v1_bytes);
  put(w, "v2", self->v2_bytes);
  (void)lk_json_end_object(w);
}

static void put_roots(lk_json_writer *w, const lk_doc *doc) {
  uint32_t cursor = 0;
  lk_slice name;
  lk_node node;
  put_key(w, "roots");
  (void)lk_json_begin_array(w);
  while (lk_doc_next_root(doc, &cursor, &name, &node)) {
    lk_node_kind kind = lk_doc_root_kind(doc, node);
    (void)lk_json_begin_object(w);
    put_key(w, "name");
    (void)lk_json_write_string(w, name);
    put_text(w, "kind", node_names[kind]);
    put(w, "length",
        kind == LK_NODE_MAP ? lk_doc_map_count(doc, node) : lk_doc_node_length(doc, node));
    (void)lk_json_end_object(w);
  }
  (void)lk_json_end_array(w);
}

static void put_document(lk_json_writer *w, const inspection *self) {
  put_key(w, "document");
  (void)lk_json_begin_object(w);
  if (self->doc_err != LK_OK) {
    put_text(w, "error", lk_err_name(self->doc_err));
    put_text(w, "limit", self->doc_detail);
  } else {
    lk_doc_size size = lk_doc_get_size(self->doc);
    lk_doc_pending pending = lk_doc_get_pending(self->doc);
    put(w, "structs", size.structs);
    put(w, "tombstones", size.tombstones);
    put(w, "nodes", size.nodes);
    put(w, "memory_bytes", lk_doc_memory(self->doc).total);
    put(w, "pending_structs", pending.structs);
    put(w, "pending_delete_ranges", pending.delete_ranges);
    put_roots(w, self->doc);
  }
  (void)lk_json_end_object(w);
}

static int print_json(const inspection *self) {
  lk_buf json;
  lk_json_writer w;
  lk_buf_init(&json, self->job.env.alloc, LK_CLI_RESULT_MAX);
  lk_json_writer_init(&w, &json);
  (void)lk_json_begin_object(&w);
  put_summary(&w, self);
  put_clients(&w, self);
  put_sizes(&w, self);
  put_document(&w, self);
  (void)lk_json_end_object(&w);
  lk_err err = lk_json_writer_finish(&w);
  if (err == LK_OK) err = lk_buf_append_u8(&json, '\n');
  if (err != LK_OK) lk_cli_say_error(self->update.label, err, "");
  bool ok = err == LK_OK && lk_cli_write_output(lk_buf_slice(&json), true);
  lk_buf_deinit(&json);
  return ok ? 0 : 1;
}

static int print_all(inspection *self) {
  if (lk_cli_args_get(self->job.args, "json") != NULL) return print_json(self);
  print_summary(self);
  print_content(&self->sum);
  print_clients(self);
  print_sizes(self);
  print_document(self);
  return lk_cli_finish_output();
}

int lk_cli_doc_inspect(const lk_cli_args *args) {
  inspection self = { 0 };
  int code = lk_cli_job_begin(args, false, &self.job);
  if (code != 0) return code;
  lk_cli_update_init(&self.update);
  code = lk_cli_job_end(gather(&self));
  if (code == 0) code = print_all(&self);
  lk_cli_update_deinit(&self.update);
  free(self.clients);
  lk_doc_close(self.doc);
  return code;
}
