/* tests/conformance/doc/dump.h -- updates as text, and where two of them differ.
 *
 * Reads both formats by itself rather than by src/doc, so that it can be believed where that is wrong. */
#ifndef CONFORMANCE_DUMP_H
#define CONFORMANCE_DUMP_H

#include "tests/conformance/doc/value.h"

#include <stdio.h>

/* One line for each struct and each range of the delete set; the last line says what is wrong, if anything. */
void dump_update(lk_update_format format, lk_slice update, lk_buf *out);

/* Writes where |got| and |expected| begin to differ: the bytes around it, and, where |format| is not 0,
 * the structs there of both. All structs where |whole|. */
void dump_difference(FILE *out, int format, lk_slice expected, lk_slice got, bool whole);

/* The same for texts. */
void dump_text_difference(FILE *out, lk_slice expected, lk_slice got);

#endif
