/* doc/value.h -- JavaScript's values as Yjs carries them: lib0's any, and JSON text.
 *
 * Yjs reads a value into a JavaScript object and writes it again. What comes out is not always what
 * came in: keys that look like array indexes come first and in their order, of a key that comes
 * twice the last value stays at the first one's place, numbers take their shortest form. Who wants to
 * emit Yjs' bytes has to write values the same way. Canonical here means: as they come out.
 *
 *   lk_value_any_decode       writeAny(readAny(bytes))
 *   lk_value_json_canonical   JSON.stringify(JSON.parse(text))
 *   lk_value_any_of_json      writeAny(JSON.parse(text))
 *   lk_value_json_of_any      JSON.stringify(readAny(bytes))
 *
 * What is canonical passes through unchanged, but for two oddities of JavaScript's own that hand-made
 * input alone can show: keys that differ in lone halves of surrogate pairs only ("\ud800", "\ud801") become one
 * text in any, and a key "__proto__", which JSON.parse makes a property of, sets the prototype in readAny. Such a
 * key or one of them is gone only after another reading, as it is in JavaScript.
 *
 * Results are borrowed from the input where it was canonical already, and otherwise pushed on |scratch|, which
 * holds nothing more than that afterwards. On failure |out| and what |scratch| holds are as before. |depth_max| is 0
 * to LK_ANY_DEPTH_MAX: 0 allows no array and no object. Nothing recurses.
 *
 * Errors of reading: LK_ERR_NOMEM, LK_ERR_DEPTH, LK_ERR_TRUNCATED, LK_ERR_UTF8; of any also LK_ERR_CORRUPT,
 * LK_ERR_RANGE and LK_ERR_NOT_CANONICAL, an integer that no JavaScript wrote; of JSON also LK_ERR_SYNTAX, and
 * LK_ERR_TRAILING for what stands behind the value. LK_ERR_TOO_BIG from 2^32 - 1 bytes on. */
#ifndef LK_DOC_VALUE_H
#define LK_DOC_VALUE_H

#include "base/arena.h"
#include "base/buf.h"
#include "codec/reader.h"

/* Reads one any. |in| moves only on success, behind the value as it came. */
lk_err lk_value_any_decode(lk_reader *in, uint32_t depth_max, lk_arena *scratch,
                           lk_slice *out) LK_MUST_USE;

/* JSON text as JSON.stringify(JSON.parse(json)) gives it. Halves of surrogate pairs that stand alone are
 * text here, unlike in codec/json_reader.h; they stay escapes. A number beyond all doubles becomes null. */
lk_err lk_value_json_canonical(lk_slice json, uint32_t depth_max, lk_arena *scratch,
                               lk_slice *out) LK_MUST_USE;

/* Any of JSON text, canonical or not. Give the text as it came: its canonical form has lost the sign of -0 and
 * what was beyond all doubles, which any can say. Lone halves of pairs become U+FFFD. |out| is always pushed. */
lk_err lk_value_any_of_json(lk_slice json, uint32_t depth_max, lk_arena *scratch,
                            lk_slice *out) LK_MUST_USE;

/* Appends one value, |any|, which must be canonical, as JSON. What JSON has no word for is written as
 * JSON.stringify does it: undefined in an array and NaN as null, undefined in an object left out, bytes
 * as an object of their indexes; and what JSON.stringify refuses: undefined at the top as null, a bigint as a
 * decimal number. On failure |out| is as before: its errors, and LK_ERR_DEPTH for bytes in LK_ANY_DEPTH_MAX
 * containers. */
lk_err lk_value_json_of_any(lk_slice any, lk_buf *out) LK_MUST_USE;

/* Whether Yjs takes two formatting values for the same (YText's equalAttrs): equal primitives, or objects,
 * arrays and bytes with the same keys of which all values are equal primitives, NaN not being equal to anything.
 * Both canonical. Identity, which JavaScript has and bytes have not: one slice given twice is one object, and
 * equal; what lies in an object never is an identical object. Objects of more than a hundred keys that come in
 * quite different orders are called different, since looking further takes time out of proportion. */
bool lk_value_equal_flat(lk_slice any_a, lk_slice any_b);

/* How many bytes the first of several canonical values takes: to cut a run of them. */
size_t lk_value_any_length(lk_slice any);

/* How many bytes the canonical integers take that |any| begins with, at most |*count| of them; that gets how many they
 * are. Most values are such. */
size_t lk_value_integers_length(lk_slice any, uint64_t *count);

#endif
