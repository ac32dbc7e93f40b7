/* wasm/history.c -- documents as they were, and what changed in them, in a module of its own: it needs most of the engine and
 * what no editor does, so that only who looks at versions loads it.
 *
 * Like all of wasm/ this is the border: one host, one thread, globals. Nothing is kept from one call to the next: a
 * document comes as an update, and goes. */
#include "wasm/exports.h"

#include "doc/restore.h"

/* A result of more is refused. */
#define RESULT_MAX (128u << 20)

static lk_env env;

static const lk_env *own_env(void) {
  if (env.alloc == NULL) env = (lk_env)LK_ENV_INIT(lk_wasm_alloc(), NULL);
  return &env;
}

/* A document of what |update| says, which was taken in before. */
static lk_err load(u32 format, lk_slice update, u64 seed, u64 seed2, lk_doc **out) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.seed[0] = seed;
  options.seed[1] = seed2;
  options.keep_deleted = true;
  lk_err err = lk_doc_open(own_env(), &options, out);
  if (err != LK_OK) return err;
  err = lk_doc_load(*out, (lk_update_format)format, update, 0);
  if (err != LK_OK) lk_doc_close(*out);
  return err;
}

u32 lk_wasm_history_at(u32 format, u32 document_len, u32 snapshot_len, u64 seed, u64 seed2) {
  lk_slice snapshot;
  lk_doc *doc;
  if (lk_wasm_input((uint64_t)document_len + snapshot_len, &snapshot) != LK_OK)
    return LK_ERR_INVALID;
  lk_slice document = lk_wasm_take(&snapshot, document_len);
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  lk_err err = load(format, document, seed, seed2, &doc);
  if (err != LK_OK) return err;
  err = lk_doc_shows(doc, LK_UPDATE_V1, snapshot);
  if (err == LK_OK)
    err = lk_doc_at_snapshot(doc, LK_UPDATE_V1, snapshot, (lk_update_format)format, out);
  lk_doc_close(doc);
  return lk_wasm_answer(err, out);
}

/* Users are the host's: it knows who has which client. */

u32 lk_wasm_history_compare(u32 format, u32 before_len, u32 after_len) {
  lk_slice after;
  if (lk_wasm_input((uint64_t)before_len + after_len, &after) != LK_OK) return LK_ERR_INVALID;
  lk_slice before = lk_wasm_take(&after, before_len);
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  lk_err err = lk_doc_compare(own_env(), (lk_update_format)format, before, after, NULL, NULL, out);
  return lk_wasm_answer(err, out);
}

u32 lk_wasm_history_compare_snapshots(u32 format, u32 document_len, u32 before_len, u32 after_len,
                                      u64 seed, u64 seed2) {
  lk_slice after;
  lk_doc *doc;
  if (lk_wasm_input((uint64_t)document_len + before_len + after_len, &after) != LK_OK)
    return LK_ERR_INVALID;
  lk_slice document = lk_wasm_take(&after, document_len);
  lk_slice before = lk_wasm_take(&after, before_len);
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  lk_err err = load(format, document, seed, seed2, &doc);
  if (err != LK_OK) return err;
  if (before.len > 0) err = lk_doc_shows(doc, LK_UPDATE_V1, before);
  if (err == LK_OK && after.len > 0) err = lk_doc_shows(doc, LK_UPDATE_V1, after);
  if (err == LK_OK)
    err = lk_doc_compare_snapshots(doc, LK_UPDATE_V1, before, after, NULL, NULL, out);
  lk_doc_close(doc);
  return lk_wasm_answer(err, out);
}
