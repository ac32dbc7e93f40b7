/* wasm/update.c -- work on updates that needs no document, in a module of its own: who only edits does not load it.
 *
 * Like all of wasm/ this is the border: one host, one thread, globals. Nothing is kept from one call to the next. */
#include "wasm/exports.h"

#include "laniakea/update.h"

/* A result of more is refused. */
#define RESULT_MAX (128u << 20)

static lk_env env;

static const lk_env *own_env(void) {
  if (env.alloc == NULL) env = (lk_env)LK_ENV_INIT(lk_wasm_alloc(), NULL);
  return &env;
}

typedef lk_err (*joining)(const lk_env *env, lk_update_format format, const lk_slice *updates,
                          size_t count, lk_buf *out);

static lk_err join_records(const lk_env *own, u32 format, u32 count, lk_slice records, joining how,
                           lk_buf *out) {
  lk_err err = LK_OK;
  if (count == 0) return how(own, (lk_update_format)format, NULL, 0, out);
  lk_slice *updates = lk_alloc_array(own->alloc, count, sizeof *updates);
  if (updates == NULL) return LK_ERR_NOMEM;
  for (u32 i = 0; i < count && err == LK_OK; i++) err = lk_wasm_take_record(&records, &updates[i]);
  if (err == LK_OK) err = how(own, (lk_update_format)format, updates, count, out);
  lk_free_array(own->alloc, updates, count, sizeof *updates);
  return err;
}

static u32 join(u32 format, u32 count, u32 records_len, joining how) {
  lk_slice records;
  if (lk_wasm_input(records_len, &records) != LK_OK || count > records_len / 4)
    return LK_ERR_INVALID;
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  return lk_wasm_answer(join_records(own_env(), format, count, records, how, out), out);
}

u32 lk_wasm_update_merge(u32 format, u32 count, u32 records_len) {
  return join(format, count, records_len, lk_update_merge);
}

u32 lk_wasm_update_compact(u32 format, u32 count, u32 records_len) {
  return join(format, count, records_len, lk_update_compact);
}

u32 lk_wasm_update_diff(u32 format, u32 update_len, u32 sv_len) {
  lk_slice input;
  if (lk_wasm_input((uint64_t)update_len + sv_len, &input) != LK_OK) return LK_ERR_INVALID;
  lk_slice update = lk_wasm_take(&input, update_len), sv = lk_wasm_take(&input, sv_len);
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  return lk_wasm_answer(lk_update_diff(own_env(), (lk_update_format)format, update, sv, out), out);
}

u32 lk_wasm_update_state_vector(u32 format, u32 len) {
  lk_slice update;
  if (lk_wasm_input(len, &update) != LK_OK) return LK_ERR_INVALID;
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  lk_err err = lk_update_state_vector(own_env(), (lk_update_format)format, update, out);
  return lk_wasm_answer(err, out);
}

u32 lk_wasm_update_convert(u32 from, u32 len, u32 to) {
  lk_slice update;
  if (lk_wasm_input(len, &update) != LK_OK) return LK_ERR_INVALID;
  lk_buf *out = lk_wasm_result(RESULT_MAX);
  lk_err err = lk_update_convert(own_env(), (lk_update_format)from, update, (lk_update_format)to,
                                 out);
  return lk_wasm_answer(err, out);
}
