/* wasm/doc.h -- what wasm/doc.c and wasm/doc_watch.c share: documents behind handles, and the board. */
#ifndef LK_WASM_DOC_H
#define LK_WASM_DOC_H

#include "wasm/exports.h"

#include "laniakea/doc.h"

/* A result or queue of more is refused. */
#define LK_WASM_DOC_BYTES_MAX (128u << 20)

/* What calls do that have many uses. */
#define DOC_CALL(group, name, number, text) LK_WASM_##group##_##name = number,
#define EXPORT(name, result, parameters, text)
typedef enum lk_wasm_doc_call {
#include "wasm/doc.def"
} lk_wasm_doc_call;
#undef DOC_CALL
#undef EXPORT

/* Words that the host reads and writes where they lie, at doc_board_at(): a call for each of them would cost more than
 * what it is about. wasm/doc.def tells the host what they mean, in this order. */
typedef struct lk_wasm_board {
  u32 queued, queue, lost;
  u32 slot, check, kind;
  u32 count;
} lk_wasm_board;
extern lk_wasm_board lk_wasm_doc_board;

typedef struct lk_wasm_undo lk_wasm_undo;

/* What the host does for us. tell() calls the listener that doc_observe() gave |token| to; until it returns doc_event()
 * answers for |round|. |events| is their number times 2, plus 1 where the change was made here. */
#define LK_WASM_HOST(name) __attribute__((import_module("host"), import_name(#name)))
void lk_wasm_host_tell(u32 token, u32 round, u32 origin, u32 events) LK_WASM_HOST(tell);
ms lk_wasm_host_now(void) LK_WASM_HOST(now);
/* Number(text), of what is a number of JSON. */
double lk_wasm_host_read_number(const uint8_t *text, size_t len) LK_WASM_HOST(read_number);
/* Writes String(value), and gives how many bytes that is: LK_NUMBER_F64_CHARS at most. */
size_t lk_wasm_host_print_number(double value, uint8_t *out) LK_WASM_HOST(print_number);

/* NULL where |handle| is none. */
lk_doc *lk_wasm_doc_of(u32 handle);
/* The undo managers of that document, the latest first; NULL where |handle| is none. */
lk_wasm_undo **lk_wasm_undos_of(u32 handle);
/* Those of a document that is about to close. */
void lk_wasm_undos_close(lk_wasm_undo *undos);

static inline lk_node lk_wasm_node(u32 slot, u32 check) { return (lk_node){ slot, check }; }
/* Puts a node on the board. */
void lk_wasm_show_node(const lk_doc *doc, lk_node node);

#endif
