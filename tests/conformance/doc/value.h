/* tests/conformance/doc/value.h -- values as a tree: read from JSON or from lib0's any, printed canonically.
 *
 * What JSON has no word for is an object with one member, as model.mjs says: {"$undef":1} and so on. All
 * memory is an arena's; running out of it ends the program, which is a tool and not a library. */
#ifndef CONFORMANCE_VALUE_H
#define CONFORMANCE_VALUE_H

#include "base/base.h"
#include "codec/reader.h"
#include "laniakea/doc.h"

typedef enum value_kind {
  VALUE_UNDEFINED,
  VALUE_NULL,
  VALUE_BOOL,
  VALUE_NUMBER,
  VALUE_BIGINT,
  VALUE_STRING,
  VALUE_BYTES,
  VALUE_ARRAY,
  VALUE_OBJECT,
  VALUE_DOC, /* |text| is the guid */
} value_kind;

typedef struct js_value js_value;
struct js_value {
  value_kind kind;
  bool boolean;
  bool in_order; /* an object whose members are printed as they come */
  double number;
  int64_t bigint;
  lk_slice text;   /* STRING, BYTES, DOC */
  lk_slice raw;    /* the JSON that it was read from; empty where it was not */
  lk_slice key;    /* where it is a member */
  js_value *first; /* of ARRAY and OBJECT */
  js_value *last;
  js_value *next; /* its neighbour */
  size_t count;
};

/* Ends the program where |err| is one; |what| says what was tried. */
void must(lk_err err, const char *what);
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *push(lk_arena *arena, size_t size);
const lk_env *conformance_env(void);
void buf_open(lk_buf *buf);

/* Text that is not JSON gives NULL. The result points into |json|. */
js_value *value_of_json(lk_slice json, lk_arena *arena);
/* The any that |in| begins with; NULL where there is none. The result points into |in|'s bytes. */
js_value *value_of_any(lk_reader *in, lk_arena *arena);

js_value *value_new(value_kind kind, lk_arena *arena);
js_value *value_string(lk_slice text, lk_arena *arena);
/* At the end of an array, or of an object, whose keys are believed to differ. */
void value_add(js_value *container, lk_slice key, js_value *item);
/* The item of an array or of an object; NULL where it is not there, or |self| is something else. */
const js_value *value_at(const js_value *self, size_t index);
const js_value *value_member(const js_value *self, const char *key);

/* With members sorted by their UTF-16 units, except where |in_order|. */
void value_print(const js_value *self, lk_buf *out, lk_arena *arena);
/* As lib0's any, members in their order. */
void value_encode(const js_value *self, lk_buf *out);

/* For the functions of doc.h; what has to be encoded lies in |arena|. */
lk_value value_to_doc(const js_value *self, lk_arena *arena);

int compare_utf16(lk_slice a, lk_slice b);
bool text_is(lk_slice text, const char *literal);

#endif
