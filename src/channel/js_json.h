/* channel/js_json.h -- JSON text as JavaScript would write it after reading it.
 *
 * y-protocols parses the state of each client and writes it anew for others. Who wants the same bytes
 * without keeping objects keeps the text that JSON.stringify(JSON.parse(text)) gives. What a JavaScript
 * peer sent is that text already; others may put spaces, other escapes or another order of members.
 *
 * Unlike codec/json_reader.h, which is for what we read ourselves, this takes an escaped half of a
 * surrogate pair ("\ud83d") for what it is in JavaScript, a character: pages cut names between halves. */
#ifndef LK_CHANNEL_JS_JSON_H
#define LK_CHANNEL_JS_JSON_H

#include "base/base.h"

/* Appends the text that JavaScript would write: no space, the shortest escapes, numbers as it prints them,
 * members named by an array index (0 to 4294967294) first and in order, of a name that stands twice the
 * last value at the first place. A text that is written so already is appended as it is.
 *
 * LK_ERR_SYNTAX, LK_ERR_TRUNCATED, LK_ERR_TRAILING, LK_ERR_UTF8; LK_ERR_DEPTH beyond json_depth of |limits|;
 * LK_ERR_RANGE for a number that no double holds, of which JavaScript makes null; LK_ERR_NOMEM, LK_ERR_LIMIT of |out|:
 * |out| is then as before. Scratch memory is taken from |out|'s allocator and given back. */
lk_err lk_js_json_rewrite(lk_slice text, const lk_limits *limits, lk_buf *out) LK_MUST_USE;

/* Whether two texts, both written by lk_js_json_rewrite() under |limits|, are the same value: members may
 * come in different orders. LK_ERR_NOMEM. */
lk_err lk_js_json_equal(lk_slice a, lk_slice b, const lk_limits *limits, const lk_alloc *alloc,
                        bool *equal) LK_MUST_USE;

#endif
