/* wasm/doc.h -- what wasm/doc.c and wasm/doc_watch.c share: documents behind handles, and the board. */
#ifndef LK_WASM_DOC_H
#define LK_WASM_DOC_H

#include "wasm/exports.h"

#include "laniakea/doc.h"

/* A result or queue of more is refused. */
#define LK_WASM_DOC_BYTES_MAX (128u << 20)

/* Words that the host reads and writes where they lie, at doc_board(): a call for each of them would cost more than
 * what it is about. wasm/doc.def tells the host what they mean, in this order. */
typedef struct lk_wasm_board {
  u32 queued, queue, lost;
  u32 slot, check, kind;
  u32 count;
  u32 unused;
  double now_ms;
} lk_wasm_board;
extern lk_wasm_board lk_wasm_doc_board;

typedef struct lk_wasm_undo lk_wasm_undo;

/* NULL where |handle| is none. */
lk_doc *lk_wasm_doc_of(u32 handle);
/* The undo managers of that document, the latest first; NULL where |handle| is none. */
lk_wasm_undo **lk_wasm_undos_of(u32 handle);
/* Those of a document that is about to close. */
void lk_wasm_undos_close(lk_wasm_undo *undos);

const lk_env *lk_wasm_doc_env(void);

static inline lk_node lk_wasm_node(u32 slot, u32 check) { return (lk_node){ slot, check }; }
/* Puts a node on the board. */
void lk_wasm_show_node(const lk_doc *doc, lk_node node);
/* slot:u32 check:u32 kind:u8 */
void lk_wasm_append_node(const lk_doc *doc, lk_node node, lk_buf *out);

#endif
