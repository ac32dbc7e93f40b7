/* codec/etf.h -- Erlang's External Term Format, as far as plain data goes.
 *
 * Phoenix.Token carries an Erlang term, so who checks such tokens has to read one. This is a reader
 * that hands out one event after the other, without memory and without recursion:
 *
 *   lk_etf_reader r;
 *   if ((err = lk_etf_reader_init(&r, bytes)) != LK_OK) return err;
 *   while ((err = lk_etf_next(&r, &event)) == LK_OK && event.kind != LK_ETF_END) { ... }
 *
 * Numbers, atoms, binaries, lists, tuples and maps, LK_ETF_DEPTH_MAX deep. Errors are final, every
 * later call gives the same one:
 *
 *   LK_ERR_VERSION      the first byte is not 131
 *   LK_ERR_UNSUPPORTED  a compressed term, which could be a bomb
 *   LK_ERR_TYPE         pids, ports, references, functions, bit strings, lists with a tail: no data
 *   LK_ERR_CORRUPT      a tag that no version of Erlang writes here
 *   LK_ERR_TRUNCATED    the bytes end inside the term, or announce more than there are
 *   LK_ERR_TRAILING     something stands behind the term
 *   LK_ERR_DEPTH, LK_ERR_UTF8 (a name), LK_ERR_RANGE (a float that is not finite),
 *   LK_ERR_TOO_BIG      an integer of more than LK_ETF_INTEGER_BYTES_MAX bytes, a name of more than
 *                       255 characters
 *
 * Atoms are compared as names and never made: they cannot fill a table, as they could in Erlang. */
#ifndef LK_CODEC_ETF_H
#define LK_CODEC_ETF_H

#include "base/base.h"
#include "codec/reader.h"

#define LK_ETF_DEPTH_MAX 32
/* What a double, and so JSON, can hold at all: integers below 2^1024. */
#define LK_ETF_INTEGER_BYTES_MAX 128

typedef enum lk_etf_kind {
  LK_ETF_ABSENT, /* no event */
  LK_ETF_INTEGER,
  LK_ETF_FLOAT,
  LK_ETF_ATOM,
  LK_ETF_BINARY,
  LK_ETF_BYTES, /* a list of integers from 0 to 255, which Erlang writes as its bytes */
  LK_ETF_LIST,  /* the events of its |count| elements follow, then CLOSE; likewise: */
  LK_ETF_TUPLE,
  LK_ETF_MAP, /* |count| times a key and its value */
  LK_ETF_CLOSE,
  LK_ETF_END /* the term is over and was good */
} lk_etf_kind;

typedef struct lk_etf_event {
  lk_etf_kind kind;
  bool is_key;        /* this value, also a compound one, is a key of a map */
  bool is_latin1;     /* ATOM: |text| is Latin-1 and has bytes above 127; otherwise UTF-8 */
  bool is_negative;   /* INTEGER */
  uint32_t count;     /* LIST, TUPLE, MAP */
  uint64_t magnitude; /* INTEGER, where |text| is empty */
  double number;      /* FLOAT */
  lk_slice text;      /* ATOM, BINARY, BYTES; INTEGER beyond 64 bits: its bytes, lowest first */
} lk_etf_event;

typedef struct lk_etf_reader {
  lk_reader in;
  lk_err err;
  bool began;
  uint32_t depth;
  uint64_t left[LK_ETF_DEPTH_MAX]; /* terms that level i still has */
  uint8_t tag[LK_ETF_DEPTH_MAX];   /* what level i was opened by */
} lk_etf_reader;

/* |bytes| as term_to_binary() writes them, with the version in front. They stay the caller's, and must
 * stay unchanged while the reader and its events are used. On an error the reader is a failed one. */
lk_err lk_etf_reader_init(lk_etf_reader *self, lk_slice bytes) LK_MUST_USE;

/* One term without the version in front, such as lk_etf_skip_value() gives it. */
void lk_etf_term_reader_init(lk_etf_reader *self, lk_slice term);

/* The next event. A term is known to be good only when LK_ETF_END has come, which is then given
 * again and again. On failure |out| is as before. */
lk_err lk_etf_next(lk_etf_reader *self, lk_etf_event *out) LK_MUST_USE;

/* Reads one whole value; |term| is its bytes. LK_ERR_END where the compound or the term has no
 * more, which changes nothing. */
lk_err lk_etf_skip_value(lk_etf_reader *self, lk_slice *term) LK_MUST_USE;

/* LK_ERR_TYPE where the event is of another kind, LK_ERR_RANGE where the integer does not fit. */
lk_err lk_etf_get_i64(const lk_etf_event *event, int64_t *out) LK_MUST_USE;

/* Whether the event is the atom with this name, which must be ASCII. */
bool lk_etf_is_atom(const lk_etf_event *event, lk_slice name);

/* Appends |term|, without the version in front, as JSON: nil, true and false as what they are
 * there, other atoms and binaries as strings, lists and tuples as arrays, maps as objects with
 * atoms, binaries and integers as keys; integers with all their digits, floats as JavaScript prints
 * them (1.0 is 1). Besides the reader's errors: LK_ERR_UTF8 for a binary that is no text, LK_ERR_TYPE
 * for another key, LK_ERR_EXISTS for two keys of a map that are one in JSON (:a and "a"), LK_ERR_RANGE
 * where JSON has an integer that no double comes near. All or nothing: on failure |out| is as before. */
lk_err lk_etf_to_json(lk_slice term, lk_buf *out) LK_MUST_USE;

/* ---- writing: errors are the buffer's, and remembered by it ---- */

lk_err lk_etf_write_version(lk_buf *out);
lk_err lk_etf_write_i64(lk_buf *out, int64_t value);
lk_err lk_etf_write_f64(lk_buf *out, double value);   /* finite: asserted */
lk_err lk_etf_write_atom(lk_buf *out, lk_slice name); /* UTF-8, at most 255 bytes: asserted */
lk_err lk_etf_write_binary(lk_buf *out, lk_slice bytes);
/* The elements are written next. */
lk_err lk_etf_write_tuple(lk_buf *out, uint8_t count);

/* Appends the term that |json| is, as Elixir's JSON libraries read it: strings as binaries, objects
 * as maps with binaries as keys, in the order of the text. The same bytes as Erlang's for data
 * without large maps. The errors of the JSON reader, LK_ERR_EXISTS for a name that stands twice,
 * LK_ERR_RANGE for an integer beyond 64 bits or a number that no double holds, LK_ERR_DEPTH beyond
 * LK_ETF_DEPTH_MAX, LK_ERR_NOMEM. All or nothing: on failure |out| is as before. */
lk_err lk_etf_write_json(lk_buf *out, lk_slice json, const lk_limits *limits) LK_MUST_USE;

#endif
