/* wasm/memory.c -- the instance's heap, and the way of bytes in and out.
 *
 * An instance is single-threaded and has one host, so what belongs to the border itself (the heap,
 * one scratch buffer, one result) is global here. Below the border nothing is. */
#include "wasm/exports.h"

#include "platform/wasm/heap.h"
#include "platform/wasm/panic.h"

/* The linker's --max-memory, less what lies below the heap. */
#define HEAP_PAGES_MAX (LK_WASM_MEMORY_MAX / LK_WASM_PAGE_LEN)
#define SCRATCH_MAX (64u << 20)

static lk_wasm_heap heap;
static lk_buf scratch;
static lk_buf result;
static lk_slice handed_out;

static uint8_t *grow_memory(void *ctx, size_t pages) {
  (void)ctx;
  size_t before = __builtin_wasm_memory_grow(0, pages);
  return before == SIZE_MAX ? NULL : (uint8_t *)(before * LK_WASM_PAGE_LEN);
}

const lk_alloc *lk_wasm_alloc(void) {
  if (heap.alloc.resize == NULL) lk_wasm_heap_init(&heap, grow_memory, NULL, HEAP_PAGES_MAX);
  return &heap.alloc;
}

u32 lk_wasm_scratch(u32 len) {
  if (scratch.alloc == NULL) lk_buf_init(&scratch, lk_wasm_alloc(), SCRATCH_MAX);
  lk_buf_truncate(&scratch, 0);
  if (lk_buf_extend(&scratch, lk_max_size(len, 1)) == NULL) return 0;
  return (u32)(uintptr_t)scratch.ptr;
}

lk_err lk_wasm_input(uint64_t len, lk_slice *out) {
  if (len > scratch.len) return LK_ERR_INVALID;
  *out = lk_slice_first(lk_buf_slice(&scratch), (size_t)len);
  return LK_OK;
}

lk_buf *lk_wasm_result(size_t max) {
  lk_buf_deinit(&result);
  lk_buf_init(&result, lk_wasm_alloc(), max);
  return &result;
}

void lk_wasm_hand_out(lk_slice bytes) { handed_out = bytes; }

u32 lk_wasm_answer(lk_err err, const lk_buf *out) {
  lk_wasm_hand_out(err == LK_OK ? lk_buf_slice(out) : LK_SLICE_EMPTY);
  return err;
}

lk_err lk_wasm_take_record(lk_slice *records, lk_slice *out) {
  if (records->len < 4) return LK_ERR_TRUNCATED;
  u32 len = lk_load_le32(lk_wasm_take(records, 4).ptr);
  if (len > records->len) return LK_ERR_TRUNCATED;
  *out = lk_wasm_take(records, len);
  return LK_OK;
}

u32 lk_wasm_out_ptr(void) { return (u32)(uintptr_t)handed_out.ptr; }
u32 lk_wasm_out_len(void) { return (u32)handed_out.len; }
u32 lk_wasm_abi(void) { return LK_WASM_ABI; }
u32 lk_wasm_memory_used(void) { return (u32)heap.used; }

u32 lk_wasm_panic_line(void) {
  const lk_panic_site *site = lk_wasm_panic_site();
  return site == NULL ? 0 : site->line;
}

u32 lk_wasm_panic_file(void) {
  const lk_panic_site *site = lk_wasm_panic_site();
  return site == NULL ? 0 : (u32)(uintptr_t)site->file;
}

u32 lk_wasm_panic_expr(void) {
  const lk_panic_site *site = lk_wasm_panic_site();
  return site == NULL ? 0 : (u32)(uintptr_t)site->expr;
}
