/* doc/value_json.h -- JSON's strings and numbers as JavaScript reads and writes them.
 *
 * A JavaScript string may hold one half of a surrogate pair without the other: JSON.parse makes one of
 * "\ud800", JSON.stringify spells it so again, and UTF-8 has no bytes for it. codec/json_reader.h refuses
 * such texts, as messages have no use for them; documents have to keep what other editors wrote.
 *
 * A string is handled as it is spelled: what stands between its quotes, escapes and all, borrowed. */
#ifndef LK_DOC_VALUE_JSON_H
#define LK_DOC_VALUE_JSON_H

#include "base/buf.h"
#include "codec/reader.h"

/* Reads the string whose opening quote comes next. |*as_is| tells whether JSON.stringify would spell it the same.
 * LK_ERR_TRUNCATED, LK_ERR_SYNTAX, LK_ERR_UTF8: nothing has changed then. */
lk_err lk_value_json_string_decode(lk_reader *in, lk_slice *spelled, bool *as_is) LK_MUST_USE;

/* Reads the number that comes next, an infinity where it is beyond all doubles. |*as_is| as above. LK_ERR_TRUNCATED,
 * LK_ERR_SYNTAX: nothing has changed then. */
lk_err lk_value_json_number_decode(lk_reader *in, double *out, bool *as_is) LK_MUST_USE;

/* ---- of what was read above ---- */

/* What becomes of a lone half of a pair, three bytes in either case. */
typedef enum lk_value_lone {
  LK_VALUE_LONE_REPLACED, /* U+FFFD, as TextEncoder does it */
  LK_VALUE_LONE_KEPT, /* as if it were a character: not UTF-8, but different halves stay different */
} lk_value_lone;

/* The length of the text that |spelled| stands for, and its bytes, for which |out| has room. */
size_t lk_value_json_text_len(lk_slice spelled);
void lk_value_json_text(lk_slice spelled, lk_value_lone lone, uint8_t *out);

/* Append what JSON.stringify writes: a string with its quotes; null for the infinities and NaN. */
lk_err lk_value_json_put_string(lk_buf *out, lk_slice spelled);
/* The same for |text|, which is valid UTF-8 and not spelled in any way. */
lk_err lk_value_json_put_text(lk_buf *out, lk_slice text);
lk_err lk_value_json_put_number(lk_buf *out, double value);

#endif
