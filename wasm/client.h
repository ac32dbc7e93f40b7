/* wasm/client.h -- what wasm/client.c and wasm/client_storage.c share. */
#ifndef LK_WASM_CLIENT_H
#define LK_WASM_CLIENT_H

#include "base/storage.h"
#include "wasm/exports.h"

/* Words that the host reads where they lie; wasm/client.def tells it what they mean, in this order. */
typedef struct lk_wasm_io_board {
  u32 kind, file, create, off_lo, off_hi;
  u32 bytes_at, bytes_len, into_at, into_len;
} lk_wasm_io_board;

/* The storage that the host is; with nothing under way, for a client that opens. */
lk_storage *lk_wasm_storage_begin(void);

#endif
