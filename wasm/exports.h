/* wasm/exports.h -- the words of exports.def, doc.def, update.def, history.def, client.def and vectors.def in C, and what all modules share. */
#ifndef LK_WASM_EXPORTS_H
#define LK_WASM_EXPORTS_H

#include "base/base.h"

typedef uint32_t u32;
typedef uint64_t u64;
typedef double ms;

/* |name| is the name in the module; in C it has our prefix. */
#define EXPORT(name, result, parameters, text)                                                     \
  __attribute__((export_name(#name))) result lk_wasm_##name parameters;
#define ABI(number) enum { LK_WASM_ABI = number };
#define PEER_EVENT(name, number)
#define PEER_STATE(name, number)
#define DOC_CALL(group, name, number, text)
#define CLIENT_EVENT(name, number)
#define CLIENT_NEWS(name, number, text)
#define IO(name, number, text)
#include "wasm/exports.def"
#include "wasm/doc.def"
#include "wasm/update.def"
#include "wasm/history.def"
#include "wasm/client.def"
#undef EXPORT
#undef ABI
#undef PEER_EVENT
#undef PEER_STATE
#undef DOC_CALL
#undef CLIENT_EVENT
#undef CLIENT_NEWS
#undef IO

/* A host's clock is a double; the core's is not. What is no time at all counts as 0. */
#define LK_WASM_MS_MAX 9007199254740991.0
static inline uint64_t lk_wasm_time(ms now) {
  if (!(now > 0)) return 0;
  return now < LK_WASM_MS_MAX ? (uint64_t)now : (uint64_t)LK_WASM_MS_MAX;
}

/* What the instance allocates from: linear memory, up to the maximum that the linker was given. */
const lk_alloc *lk_wasm_alloc(void);

/* The bytes that the host wrote to the scratch buffer; LK_ERR_INVALID where it never asked for as
 * many. */
lk_err lk_wasm_input(uint64_t len, lk_slice *out) LK_MUST_USE;

/* Sets what out_ptr() and out_len() say. */
void lk_wasm_hand_out(lk_slice bytes);

/* The next |len| bytes of what the host wrote, which are there. */
static inline lk_slice lk_wasm_take(lk_slice *input, size_t len) {
  lk_slice part = lk_slice_first(*input, len);
  *input = lk_slice_skip(*input, len);
  return part;
}

/* The next of several things that stand behind their lengths (u32, little endian). */
lk_err lk_wasm_take_record(lk_slice *records, lk_slice *out) LK_MUST_USE;

/* Hands out |out|, or nothing where |err| says so; gives |err|. */
u32 lk_wasm_answer(lk_err err, const lk_buf *out);

/* An empty buffer of |max| bytes at most that stays until the next call of this; for results. */
lk_buf *lk_wasm_result(size_t max);

#endif
