/* doc/value_source.h -- the parts of a value, one at a time, from any or from JSON text.
 *
 * A cursor that knows no nesting: what a part means is its caller's knowledge, who may therefore move it about.
 * Both formats give the items of codec/any.h. Their differences that remain: a string of JSON text is given as it
 * is spelled (value_json.h); only any knows how many children a container has; only JSON has ends to read. */
#ifndef LK_DOC_VALUE_SOURCE_H
#define LK_DOC_VALUE_SOURCE_H

#include "codec/any.h"

/* The types of any that are written or looked for by number; the table is in codec/any.h. */
enum {
  LK_VALUE_TAG_STRING = 119,
  LK_VALUE_TAG_TRUE = 120,
  LK_VALUE_TAG_FALSE = 121,
  LK_VALUE_TAG_F64 = 123,
  LK_VALUE_TAG_INTEGER = 125,
  LK_VALUE_TAG_NULL = 126,
  LK_VALUE_TAG_UNDEFINED = 127,
};

typedef struct lk_value_source {
  lk_reader at;
  bool json;
  bool spaced; /* JSON: spaces were passed over */
} lk_value_source;

typedef struct lk_value_part {
  lk_any_item item;
  lk_slice raw; /* its bytes */
  bool as_is;   /* JavaScript would write them the same */
} lk_value_part;

static inline lk_value_source lk_value_source_of(lk_slice bytes, bool json) {
  return (lk_value_source){ .at = lk_reader_of(bytes), .json = json };
}

/* A value that is no container, or the beginning of one. Errors as in value.h; nothing has changed then but that
 * spaces may have been passed over. */
lk_err lk_value_next(lk_value_source *self, lk_value_part *out) LK_MUST_USE;

/* A key; of JSON with the colon behind it, which |raw| has not. */
lk_err lk_value_next_key(lk_value_source *self, lk_value_part *out) LK_MUST_USE;

/* JSON: whether a container goes on, |first| where nothing was read of it yet; otherwise its end was read. */
lk_err lk_value_next_comma(lk_value_source *self, bool object, bool first, bool *more) LK_MUST_USE;

/* JSON: passes over spaces. */
void lk_value_skip_space(lk_value_source *self);

static inline bool lk_value_is_begin(const lk_value_part *part) {
  return part->item.kind == LK_ANY_ARRAY_BEGIN || part->item.kind == LK_ANY_OBJECT_BEGIN;
}

#endif
