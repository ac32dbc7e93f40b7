/* bench/doc/trace.h -- typing sessions to replay: recorded ones, and one that is made up.
 *
 * Recorded ones are read from the folder that LK_TRACES names:
 *
 *   magic "LTR1" or "LTC1" | u32le edits | u32le txns | u32le bytes of the text | u32le agents | txn* | text
 *   txn of LTR1 := varuint edits, edit*
 *   txn of LTC1 := varuint agent, varuint parents, varuint* (txns that it builds on), varuint edits, edit*
 *   edit        := varuint at, varuint deleted, varuint bytes, what is inserted in UTF-8
 *
 * Places and lengths are in UTF-16 units. Of LTC1, they are in what the agent sees who knows the
 * parents and all that those build on.
 *
 * The files are not part of the project. Without them there is one that is made up: somebody types,
 * corrects, goes elsewhere. shared/trace.mjs makes the same one, and both know its hash. */
#ifndef LK_BENCH_DOC_TRACE_H
#define LK_BENCH_DOC_TRACE_H

#include "laniakea/types.h"

typedef struct trace_edit {
  uint32_t at, deleted; /* units */
  lk_slice text;        /* inserted there */
} trace_edit;

typedef struct trace_txn {
  uint32_t agent;
  uint32_t parents_begin, parents_count; /* in |parents| */
  uint32_t edits_begin, edits_count;     /* in |edits| */
} trace_txn;

typedef struct recording {
  const char *name;
  bool is_concurrent;
  uint32_t agents;
  trace_edit *edits;
  size_t edit_count;
  trace_txn *txns; /* of one that is made up: none */
  size_t txn_count;
  uint32_t *parents;
  lk_slice text; /* at the end */
  uint8_t *bytes;
} recording;

/* Reads |folder|/|name|.|extension|, extension "ltr" or "ltc"; |name| is borrowed. False if there is no
 * such file; a broken one ends the program. */
bool trace_read(recording *out, const char *folder, const char *name, const char *extension);
void trace_generate(recording *out);
void trace_free(recording *self);

/* Numbers that look random, the same ones as in JavaScript. |state| is any number but 0. */
typedef struct trace_random {
  uint32_t state;
} trace_random;

uint32_t trace_below(trace_random *self, uint32_t count);
uint8_t trace_letter(trace_random *self);
/* A word of |least| to |most| letters into |out|, which has room for them. */
lk_slice trace_word(trace_random *self, uint32_t least, uint32_t most, uint8_t *out);

/* The whole file, or of |ptr| NULL if there is none. To be freed. */
lk_slice trace_file(const char *folder, const char *name);

#endif
