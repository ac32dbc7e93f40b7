/* cli/cmd_doc.c -- which format a file has, and how updates come in.
 *
 * An update does not say its format. V2 begins with a byte of flags, which is 0; V1 begins with the
 * number of clients that have structs, so there a 0 means that only the delete set follows. Hence:
 *
 *   first byte   reads as V1   reads as V2
 *   not 0                                      V1, certainly
 *   0            no                            V2, or nothing at all
 *   0            yes           no              V1
 *   0            yes           yes             V2, unless the deletions stand in order: then the user is asked
 *
 * The last line is no fancy: of the small V2 updates of the corpus some in a thousand are, by chance, lists
 * of deletions. But what writes V1 writes its deletions sorted and joined, and chance does not.
 *
 * One update is in memory at a time, and never more of it than the limit for one: a row of updates may be a pipe
 * that does not end. */
#include "cli/doc.h"

#include <string.h>
#include <unistd.h>

#include "cli/progress.h"
#include "codec/varint.h"
#include "platform/posix/heap.h"
#include "platform/posix/random.h"
#include "server/console.h"

#define FRAME_HEADER_LEN 4

int lk_cli_doc(const lk_cli_args *args) {
  lk_console_say("there is no command doc %.64s; laniakea doc --help lists them", args->plain[0]);
  return 2;
}

/* ---- options ---- */

static size_t count_stdin(const lk_cli_args *args) {
  size_t count = 0;
  for (size_t i = 0; i < args->plain_count; i++) count += strcmp(args->plain[i], "-") == 0;
  return count;
}

int lk_cli_job_begin(const lk_cli_args *args, bool writes_bytes, lk_cli_job *out) {
  bool v1 = lk_cli_args_get(args, "v1") != NULL, v2 = lk_cli_args_get(args, "v2") != NULL;
  *out = (lk_cli_job){
    .args = args,
    .env = LK_ENV_INIT(lk_posix_heap(), NULL),
    .limits = lk_limits_default(),
    .asked = v1   ? LK_UPDATE_V1
             : v2 ? LK_UPDATE_V2
                  : (lk_update_format)0,
    .quiet = lk_cli_args_get(args, "quiet") != NULL,
  };
  if (v1 && v2) {
    lk_console_say("--v1 and --v2 exclude each other");
    return 2;
  }
  if (count_stdin(args) > 1) {
    lk_console_say("standard input (-) can be read only once");
    return 2;
  }
  bool to_stdout = writes_bytes && lk_cli_args_get(args, "output") == NULL;
  if (to_stdout && lk_cli_args_get(args, "force") == NULL && isatty(STDOUT_FILENO) != 0) {
    lk_console_say(
        "the result is bytes and standard output is a terminal; redirect it, or use --output "
        "OUT or --force");
    return 2;
  }
  lk_cli_progress_begin(out->quiet);
  return 0;
}

int lk_cli_job_end(int code) {
  lk_cli_progress_end();
  return code;
}

int lk_cli_job_finish(const lk_cli_job *self, lk_slice bytes, bool is_text) {
  const char *path = lk_cli_args_get(self->args, "output");
  lk_cli_progress_end();
  bool ok = path != NULL ? lk_cli_write_file(path, bytes) : lk_cli_write_output(bytes, is_text);
  return ok ? 0 : 1;
}

/* ---- formats ---- */

static bool reads_as(const lk_cli_job *self, lk_update_format format, lk_slice bytes) {
  return lk_update_check(&self->env, format, bytes, NULL) == LK_OK;
}

/* Whether |bytes|, which read as V1 and have no structs, are what an encoder makes of deletions: for each client
 * ranges that rise and do not touch, each client once. */
static bool are_ordered_deletions(lk_slice bytes) {
  lk_reader in = lk_reader_of(lk_slice_skip(bytes, 1));
  uint64_t clients, client, count, clock, len, before = UINT64_MAX;
  lk_err err = lk_varuint_decode(&in, UINT64_MAX, &clients);
  for (; err == LK_OK && clients > 0; clients--) {
    uint64_t end = 0;
    err = lk_varuint_decode(&in, UINT64_MAX, &client);
    if (err == LK_OK) err = lk_varuint_decode(&in, UINT64_MAX, &count);
    if (err != LK_OK || client >= before || count == 0) return false;
    before = client;
    for (uint64_t i = 0; err == LK_OK && i < count; i++) {
      err = lk_varuint_decode(&in, UINT64_MAX, &clock);
      if (err == LK_OK) err = lk_varuint_decode(&in, UINT64_MAX, &len);
      if (err != LK_OK || len == 0 || (i > 0 && clock <= end)) return false;
      if (!lk_add_u64(clock, len, &end)) return false;
    }
  }
  return err == LK_OK;
}

static int find_format(const lk_cli_job *self, lk_cli_update *update) {
  lk_slice bytes = lk_buf_slice(&update->bytes);
  bool has_structs = bytes.len == 0 || bytes.ptr[0] != 0;
  update->format = self->asked;
  if (self->asked != 0) return 0;
  update->format = LK_UPDATE_V1;
  if (has_structs) return 0;
  bool is_v1 = reads_as(self, LK_UPDATE_V1, bytes);
  if (is_v1 && !reads_as(self, LK_UPDATE_V2, bytes)) return 0;
  update->format = LK_UPDATE_V2;
  if (!is_v1 || !are_ordered_deletions(bytes)) return 0;
  lk_cli_progress_end();
  lk_console_say("%.400s: the bytes are an update in either format; say which by --v1 or --v2",
                 update->label);
  return 1;
}

/* ---- one update ---- */

void lk_cli_update_init(lk_cli_update *self) {
  *self = (lk_cli_update){ .format = LK_UPDATE_V1 };
  lk_buf_init(&self->bytes, lk_posix_heap(), SIZE_MAX / 2);
}

void lk_cli_update_deinit(lk_cli_update *self) { lk_buf_deinit(&self->bytes); }

int lk_cli_update_read(const lk_cli_job *self, const char *path, lk_cli_update *out) {
  (void)snprintf(out->label, sizeof out->label, "%s", lk_cli_file_name(path));
  lk_buf_truncate(&out->bytes, 0);
  bool ok = lk_cli_read_file(path, self->limits.doc_update_bytes, "doc_update_bytes", &out->bytes);
  return ok ? find_format(self, out) : 1;
}

/* ---- many updates ---- */

void lk_cli_source_init(lk_cli_source *self, const lk_cli_job *job, bool framed) {
  *self = (lk_cli_source){ .job = job, .framed = framed };
  lk_cli_update_init(&self->update);
  for (size_t i = 0; i < job->args->plain_count; i++) {
    uint64_t size = lk_cli_file_size(job->args->plain[i]);
    self->bytes_total += size;
    if (size > 0) continue;
    self->bytes_total = 0;
    return;
  }
}

void lk_cli_source_deinit(lk_cli_source *self) {
  lk_cli_close_file(self->file);
  self->file = NULL;
  lk_cli_update_deinit(&self->update);
}

/* All |len| bytes. LK_ERR_END where there is none, LK_ERR_TRUNCATED, LK_ERR_IO. */
static lk_err read_exactly(FILE *file, void *to, size_t len) {
  size_t got = fread(to, 1, len, file);
  if (got == len) return LK_OK;
  if (ferror(file) != 0) return LK_ERR_IO;
  return got == 0 ? LK_ERR_END : LK_ERR_TRUNCATED;
}

static lk_err read_frame(lk_cli_source *self) {
  uint8_t header[FRAME_HEADER_LEN];
  lk_buf *bytes = &self->update.bytes;
  lk_buf_truncate(bytes, 0);
  lk_err err = read_exactly(self->file, header, sizeof header);
  if (err != LK_OK) return err;
  uint32_t len = lk_load_le32(header);
  if (len > self->job->limits.doc_update_bytes) return LK_ERR_TOO_BIG;
  /* In pieces: a length that nothing stands behind must not cost its memory. */
  while (bytes->len < len && err == LK_OK) {
    size_t count = lk_min_size(len - bytes->len, 1u << 20);
    uint8_t *to = lk_buf_extend(bytes, count);
    if (to == NULL) return lk_buf_err(bytes);
    err = read_exactly(self->file, to, count);
  }
  self->bytes_done += sizeof header + len;
  return err == LK_ERR_END ? LK_ERR_TRUNCATED : err;
}

/* The next update of the open row; |*is_over| where there is none. */
static int next_frame(lk_cli_source *self, bool *is_over) {
  const char *path = self->job->args->plain[self->next_file - 1];
  self->frame++;
  (void)snprintf(self->update.label, sizeof self->update.label, "%.400s, update %llu",
                 lk_cli_file_name(path), (unsigned long long)self->frame);
  lk_err err = read_frame(self);
  *is_over = err == LK_ERR_END;
  if (*is_over) {
    lk_cli_close_file(self->file);
    self->file = NULL;
    return 0;
  }
  if (err == LK_OK) return find_format(self->job, &self->update);
  lk_cli_say_error(self->update.label, err, err == LK_ERR_TOO_BIG ? "doc_update_bytes" : "");
  return 1;
}

int lk_cli_source_next(lk_cli_source *self) {
  const lk_cli_args *args = self->job->args;
  for (;;) {
    bool is_over = true;
    int code = 0;
    if (self->file == NULL) {
      self->ended = self->next_file == args->plain_count;
      if (self->ended) return 0;
      const char *path = args->plain[self->next_file++];
      self->frame = 0;
      if (!self->framed) code = lk_cli_update_read(self->job, path, &self->update);
      else if ((self->file = lk_cli_open_file(path)) == NULL) return 1;
      is_over = false;
      self->bytes_done += self->framed ? 0 : self->update.bytes.len;
    }
    if (self->file != NULL) code = next_frame(self, &is_over);
    if (is_over && code == 0) continue;
    self->count++;
    lk_cli_progress("applying", self->bytes_done, self->bytes_total);
    return code;
  }
}

/* ---- documents ---- */

int lk_cli_open_doc(const lk_cli_job *self, lk_doc **out) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  lk_err err = lk_posix_random(options.seed, sizeof options.seed);
  if (err == LK_OK) err = lk_doc_open(&self->env, &options, out);
  if (err == LK_OK) return 0;
  lk_cli_say_error("document", err, "");
  return 1;
}

const char *lk_cli_error_detail(const lk_doc *doc, lk_err err) {
  return err == LK_ERR_LIMIT ? lk_doc_limit_hit(doc) : "";
}

int lk_cli_apply_update(lk_doc *doc, const lk_cli_source *source) {
  const lk_cli_update *update = &source->update;
  lk_err err = lk_doc_apply(doc, update->format, lk_buf_slice(&update->bytes), 0);
  if (err == LK_OK) return 0;
  lk_cli_say_error(update->label, err, lk_cli_error_detail(doc, err));
  return 1;
}
