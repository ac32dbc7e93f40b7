/* codec/json_canonical.h -- one JSON value, one text: the canonical form of RFC 8785.
 *
 * Where values are compared, hashed or sorted as bytes, each value must have one text: members sorted by
 * the UTF-16 units of their names, no space, the shortest escapes, numbers as JavaScript prints
 * them. Values are those of I-JSON (RFC 7493): numbers are doubles, so 9007199254740993 becomes
 * 9007199254740992, and 1.0 is 1; a name that stands twice in one object is refused. */
#ifndef LK_CODEC_JSON_CANONICAL_H
#define LK_CODEC_JSON_CANONICAL_H

#include "base/base.h"

/* Appends the canonical text of the value that |json| is. Scratch memory is taken from |out|'s
 * allocator and given back. The errors of the JSON reader (LK_ERR_SYNTAX, LK_ERR_TRUNCATED, LK_ERR_TRAILING,
 * LK_ERR_UTF8, LK_ERR_DEPTH, LK_ERR_TOO_BIG), LK_ERR_RANGE for a number that no double holds,
 * LK_ERR_EXISTS for a name that stands twice, LK_ERR_NOMEM, LK_ERR_LIMIT of |out|: |out| is then as before. */
lk_err lk_json_canonicalize(lk_slice json, const lk_limits *limits, lk_buf *out) LK_MUST_USE;

/* LK_OK where |json| is the canonical text of a value; LK_ERR_NOT_CANONICAL where it is another text of
 * one; else as above, LK_ERR_NOMEM included. Takes no memory for numbers, literals, strings, and for objects
 * and arrays as long as their names come in order. */
lk_err lk_json_check_canonical(lk_slice json, const lk_limits *limits,
                               const lk_alloc *alloc) LK_MUST_USE;

#endif
