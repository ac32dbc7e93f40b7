/* server/toml.h -- the part of TOML 1.0 that names and values need.
 *
 *   file    := line*                       UTF-8; lines end with LF or CRLF
 *   line    := [ section | pair ] [ "#" comment ]
 *   section := "[" name "]"
 *   pair    := name "=" value
 *   name    := word ( "." word )*          a word: A-Z a-z 0-9 _ -
 *   value   := string | integer | "true" | "false" | "[" [ string ( "," string )* [ "," ] ] "]"
 *   string  := '"' ... '"' with \b \t \n \f \r \" \\ \uXXXX \UXXXXXXXX, or "'" ... "'" as it stands
 *   integer := [ "+" | "-" ] digits        no zero in front; "_" may stand between two digits
 *
 * Spaces and tabs may stand around everything, and line ends and comments between the strings of a list. What is
 * accepted says the same to every reader of TOML, if the caller refuses what stands twice; what TOML has
 * beyond it (dates, tables in braces, text over several lines, names in quotes) is refused by an error that says so.
 *
 * Each error is of one line, or of one list: reading may go on behind it. Nothing recurses. */
#ifndef LK_SERVER_TOML_H
#define LK_SERVER_TOML_H

#include "base/buf.h"

#define LK_TOML_NAME_MAX 64

typedef enum lk_toml_kind {
  LK_TOML_SECTION, /* no value */
  LK_TOML_STRING,
  LK_TOML_INTEGER, /* its digits, with a sign where it is negative */
  LK_TOML_BOOLEAN, /* "true" or "false" */
  LK_TOML_LIST,    /* |count| strings, each with a NUL behind it */
} lk_toml_kind;

typedef struct lk_toml_item {
  lk_toml_kind kind;
  uint32_t line;
  lk_slice
      section; /* the pair stands in it; of a SECTION, its name; empty before the first one, "?" where it had an error */
  lk_slice name;
  lk_slice
      text; /* valid UTF-8 without NUL, but for the ends of a list's strings; until the next call */
  uint32_t count;
} lk_toml_item;

typedef struct lk_toml {
  lk_slice rest; /* lines that have not been begun */
  lk_slice line; /* what is left of the present one */
  lk_slice section;
  lk_buf text;
  uint32_t number;     /* of the present line, from 1 */
  uint32_t count;      /* strings in |text| */
  const char *problem; /* after an error: what is wrong and what to do; static */
} lk_toml;

/* |bytes| must outlive the reader and everything it gives. */
void lk_toml_init(lk_toml *self, const lk_alloc *alloc, lk_slice bytes);
/* Safe on a zeroed struct, and twice. */
void lk_toml_deinit(lk_toml *self);

/* The next section or pair. LK_ERR_END behind the last one. LK_ERR_SYNTAX, LK_ERR_UTF8: |problem| of |number|; the
 * next call goes on with the line behind. LK_ERR_NOMEM: what was asked for is lost. */
lk_err lk_toml_parse_next(lk_toml *self, lk_toml_item *out) LK_MUST_USE;

#endif
