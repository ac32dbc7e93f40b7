/* codec/json_reader.c -- a JSON text as a sequence of events, without a tree and without recursion.
 *
 * What may come next depends on one small state and on whether the innermost open bracket is an
 * object: that is one bit for each level, and the whole memory of the grammar.
 *
 *     state      may come              then
 *     VALUE      a value               NEXT, or DONE outside of all brackets
 *     FIRST      a value, or ]         as above; an array was just opened
 *     FIRST_KEY  "key" : , or }        VALUE; an object was just opened
 *     NEXT       ] or } as it fits,    NEXT or DONE
 *                or , and a value,     as VALUE (in an array)
 *                or , and "key" :      VALUE (in an object)
 *     DONE       space up to the end
 *
 * A comma is read together with what follows it, so that there is no state in which a trailing one
 * could be accepted. One function, step(), makes every move; reading, skipping and checking are
 * loops around it, and so they cannot differ in what they accept.
 *
 * A string is passed over once to find its end, eight bytes at a time while nothing in them is
 * special; bytes above 7F are only noticed there, and the UTF-8 of the string is checked at its end
 * as one piece. Escapes are checked and measured on the way, so that decoding, the second pass,
 * cannot fail and needs exactly the memory that it uses.
 *
 * Always: pos and state change only when a step has succeeded; pos is then the byte behind the
 * token (behind the colon for a key), so that a slice of the text between two positions is exactly
 * what was written there. That is how values are passed on verbatim.
 *
 * Not chosen: a tree (memory of the sender's choosing, and most messages are read once, in order);
 * feeding in pieces (every transport here has whole messages; positions in one slice are what makes
 * strings free of copies); replacing lone surrogates by U+FFFD (two different keys would become the
 * same one). */
#include "codec/json_reader.h"

#include "codec/json_special.h"
#include "codec/utf.h"

/* The bits of in_object are enough for every depth that limits.def allows. */
enum {
#define LIMIT(name, preset, ceiling, why) CEILING_##name = (ceiling),
#include "base/limits.def"
#undef LIMIT
};
_Static_assert(CEILING_json_depth <= LK_JSON_DEPTH_MAX, "json_depth");

typedef enum state { VALUE, FIRST, FIRST_KEY, NEXT, DONE } state;

static lk_err fail(lk_json_reader *self, lk_err err, size_t offset) {
  self->err = err;
  self->error_offset = offset;
  return err;
}

static lk_slice slice_between(const lk_json_reader *self, size_t begin, size_t end) {
  return lk_slice_first(lk_slice_skip(self->text, begin), end - begin);
}

static inline size_t skip_space(lk_slice text, size_t at) {
  while (at < text.len) {
    uint8_t byte = text.ptr[at];
    if (byte > ' ' || (byte != ' ' && byte != '\n' && byte != '\r' && byte != '\t')) break;
    at++;
  }
  return at;
}

/* ---- levels ---- */

static bool top_is_object(const lk_json_reader *self) {
  if (self->depth == 0) return false;
  uint32_t level = self->depth - 1;
  return (self->in_object[level / 32] >> level % 32 & 1) != 0;
}

static void push_level(lk_json_reader *self, bool object) {
  uint32_t bit = (uint32_t)1 << self->depth % 32;
  uint32_t *word = &self->in_object[self->depth / 32];
  *word = object ? *word | bit : *word & ~bit;
  self->depth++;
}

/* ---- strings ---- */

/* Four hexadecimal digits at |*at|, which moves behind them or to the byte that is none. */
static lk_err read_hex4(lk_slice text, size_t *at, uint32_t *out) {
  uint32_t value = 0;
  for (uint32_t i = 0; i < 4; i++, ++*at) {
    if (*at == text.len) return LK_ERR_TRUNCATED;
    uint8_t byte = text.ptr[*at], letter = byte | 0x20;
    if (byte >= '0' && byte <= '9') {
      value = value << 4 | (uint32_t)(byte - '0');
    } else if (letter >= 'a' && letter <= 'f') {
      value = value << 4 | (uint32_t)(letter - 'a' + 10);
    } else {
      return LK_ERR_SYNTAX;
    }
  }
  *out = value;
  return LK_OK;
}

/* The second half of a pair: |*at| is behind the first one. */
static lk_err read_low_surrogate(lk_slice text, size_t *at, uint32_t *point) {
  static const uint8_t lead[2] = { '\\', 'u' };
  uint32_t low;
  for (uint32_t i = 0; i < 2; i++, ++*at) {
    if (*at == text.len) return LK_ERR_TRUNCATED;
    if (text.ptr[*at] != lead[i]) return LK_ERR_UTF8;
  }
  lk_err err = read_hex4(text, at, &low);
  if (err != LK_OK) return err;
  if (!lk_utf_is_low_surrogate(low)) return LK_ERR_UTF8;
  *point = lk_utf_join((uint16_t)*point, (uint16_t)low);
  return LK_OK;
}

/* Reads the escape whose backslash is at |*at|, and moves |*at| behind it; on failure to where the
 * error is. A pair of surrogates is one escape. */
static lk_err read_escape(lk_slice text, size_t *at, uint32_t *point) {
  size_t begin = (*at)++;
  if (*at == text.len) return LK_ERR_TRUNCATED;
  switch (text.ptr[*at]) {
  case '"': *point = '"'; break;
  case '\\': *point = '\\'; break;
  case '/': *point = '/'; break;
  case 'b': *point = '\b'; break;
  case 'f': *point = '\f'; break;
  case 'n': *point = '\n'; break;
  case 'r': *point = '\r'; break;
  case 't': *point = '\t'; break;
  case 'u': {
    ++*at;
    lk_err err = read_hex4(text, at, point);
    if (err != LK_OK || !lk_utf_is_surrogate(*point)) return err;
    err = LK_ERR_UTF8;
    if (lk_utf_is_high_surrogate(*point)) err = read_low_surrogate(text, at, point);
    if (err == LK_ERR_UTF8) *at = begin;
    return err;
  }
  default: return LK_ERR_SYNTAX;
  }
  ++*at;
  return LK_OK;
}

static size_t utf8_len(uint32_t point) {
  return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

typedef struct string_span {
  size_t begin; /* behind the opening quote */
  size_t end;   /* at the closing quote */
  size_t decoded_len;
} string_span;

/* Passes over the string whose opening quote is at |begin|, and checks all of it. */
static lk_err span_string(lk_json_reader *self, size_t begin, string_span *out) {
  lk_slice text = self->text;
  size_t at = begin + 1, escapes_len = 0, escapes_decoded_len = 0;
  uint64_t high = 0;
  for (;;) {
    at = lk_json_find_special(text, at, &high);
    if (at == text.len) return fail(self, LK_ERR_TRUNCATED, at);
    if (text.ptr[at] == '"') break;
    if (text.ptr[at] != '\\') return fail(self, LK_ERR_SYNTAX, at);
    uint32_t point;
    size_t escape = at;
    lk_err err = read_escape(text, &at, &point);
    if (err != LK_OK) return fail(self, err, at);
    escapes_len += at - escape;
    escapes_decoded_len += utf8_len(point);
  }
  *out = (string_span){ begin + 1, at, at - begin - 1 - escapes_len + escapes_decoded_len };
  if (high == 0) return LK_OK;
  size_t invalid = lk_utf8_find_invalid(slice_between(self, out->begin, out->end));
  return invalid == LK_SLICE_NONE ? LK_OK : fail(self, LK_ERR_UTF8, out->begin + invalid);
}

/* The text of a string that span_string() has found to be good. */
static lk_err decode_string(lk_json_reader *self, const string_span *span, lk_slice *out) {
  lk_slice raw = slice_between(self, span->begin, span->end);
  if (raw.len == span->decoded_len) { /* every escape is longer than what it stands for */
    *out = raw;
    return LK_OK;
  }
  uint8_t *bytes = lk_arena_push_bytes(self->arena, span->decoded_len);
  if (bytes == NULL) return LK_ERR_NOMEM;
  size_t at = 0, len = 0;
  while (at < raw.len) {
    if (raw.ptr[at] != '\\') {
      bytes[len++] = raw.ptr[at++];
      continue;
    }
    uint32_t point;
    lk_err err = read_escape(raw, &at, &point);
    uint8_t encoded[4];
    size_t count = lk_utf8_encode(point, encoded);
    LK_ASSERT(err == LK_OK && count <= span->decoded_len - len);
    memcpy(bytes + len, encoded, count);
    len += count;
  }
  LK_ASSERT(len == span->decoded_len);
  *out = lk_slice_of(bytes, len);
  return LK_OK;
}

/* ---- one token each; |at| is where it begins ---- */

/* What every token ends with: the reader moves behind it. */
static void move_to(lk_json_reader *self, size_t pos, state next) {
  self->pos = pos;
  self->state = (uint8_t)next;
}

static void move_behind_value(lk_json_reader *self, size_t pos) {
  move_to(self, pos, self->depth == 0 ? DONE : NEXT);
}

static lk_err read_string(lk_json_reader *self, size_t at, bool decode, lk_json_event *out) {
  lk_json_event event = { .kind = LK_JSON_STRING };
  string_span span;
  lk_err err = span_string(self, at, &span);
  if (err == LK_OK && decode) err = decode_string(self, &span, &event.text);
  if (err != LK_OK) return err;
  event.raw = slice_between(self, at, span.end + 1);
  move_behind_value(self, span.end + 1);
  *out = event;
  return LK_OK;
}

static lk_err read_key(lk_json_reader *self, size_t at, bool decode, lk_json_event *out) {
  lk_json_event event = { .kind = LK_JSON_KEY };
  string_span span;
  if (self->text.ptr[at] != '"') return fail(self, LK_ERR_SYNTAX, at);
  lk_err err = span_string(self, at, &span);
  if (err != LK_OK) return err;
  event.raw = slice_between(self, at, span.end + 1);
  at = skip_space(self->text, span.end + 1);
  if (at == self->text.len) return fail(self, LK_ERR_TRUNCATED, at);
  if (self->text.ptr[at] != ':') return fail(self, LK_ERR_SYNTAX, at);
  if (decode && (err = decode_string(self, &span, &event.text)) != LK_OK) return err;
  move_to(self, at + 1, VALUE);
  *out = event;
  return LK_OK;
}

static lk_err read_number(lk_json_reader *self, size_t at, lk_json_event *out) {
  lk_number number;
  lk_err err = lk_number_scan(lk_slice_skip(self->text, at), &number);
  if (err != LK_OK) return fail(self, err, at);
  move_behind_value(self, at + number.text.len);
  *out = (lk_json_event){ .kind = LK_JSON_NUMBER, .raw = number.text, .number = number };
  return LK_OK;
}

static lk_err read_word(lk_json_reader *self, size_t at, lk_slice word, lk_json_kind kind,
                        lk_json_event *out) {
  size_t begin = at;
  for (size_t i = 0; i < word.len; i++, at++) {
    if (at == self->text.len) return fail(self, LK_ERR_TRUNCATED, at);
    if (self->text.ptr[at] != word.ptr[i]) return fail(self, LK_ERR_SYNTAX, at);
  }
  move_behind_value(self, at);
  *out = (lk_json_event){ .kind = kind, .raw = slice_between(self, begin, at) };
  return LK_OK;
}

static lk_err read_begin(lk_json_reader *self, size_t at, bool object, lk_json_event *out) {
  if (self->depth == self->depth_max) return fail(self, LK_ERR_DEPTH, at);
  push_level(self, object);
  move_to(self, at + 1, object ? FIRST_KEY : FIRST);
  *out = (lk_json_event){ .kind = object ? LK_JSON_OBJECT_BEGIN : LK_JSON_ARRAY_BEGIN,
                          .raw = slice_between(self, at, at + 1) };
  return LK_OK;
}

static lk_err read_end(lk_json_reader *self, size_t at, lk_json_event *out) {
  bool object = top_is_object(self);
  if (self->text.ptr[at] != (object ? '}' : ']')) return fail(self, LK_ERR_SYNTAX, at);
  self->depth--;
  move_behind_value(self, at + 1);
  *out = (lk_json_event){ .kind = object ? LK_JSON_OBJECT_END : LK_JSON_ARRAY_END,
                          .raw = slice_between(self, at, at + 1) };
  return LK_OK;
}

static lk_err read_value(lk_json_reader *self, size_t at, bool decode, lk_json_event *out) {
  uint8_t byte = self->text.ptr[at];
  switch (byte) {
  case '"': return read_string(self, at, decode, out);
  case '{': return read_begin(self, at, true, out);
  case '[': return read_begin(self, at, false, out);
  case 't': return read_word(self, at, LK_LIT("true"), LK_JSON_TRUE, out);
  case 'f': return read_word(self, at, LK_LIT("false"), LK_JSON_FALSE, out);
  case 'n': return read_word(self, at, LK_LIT("null"), LK_JSON_NULL, out);
  default: break;
  }
  if (byte == '-' || (byte >= '0' && byte <= '9')) return read_number(self, at, out);
  return fail(self, LK_ERR_SYNTAX, at);
}

/* The only function that moves a reader: one event on. Without |decode| the texts of strings are
 * checked but not given, and the arena is not touched. */
static lk_err step(lk_json_reader *self, bool decode, lk_json_event *out) {
  if (self->err != LK_OK) return self->err;
  lk_slice text = self->text;
  size_t at = skip_space(text, self->pos);
  if (self->state == DONE) {
    if (at < text.len) return fail(self, LK_ERR_TRAILING, at);
    *out = (lk_json_event){ .kind = LK_JSON_END };
    return LK_OK;
  }
  if (at == text.len) return fail(self, LK_ERR_TRUNCATED, at);
  switch (self->state) {
  case FIRST:
    if (text.ptr[at] == ']') return read_end(self, at, out);
    return read_value(self, at, decode, out);
  case FIRST_KEY:
    if (text.ptr[at] == '}') return read_end(self, at, out);
    return read_key(self, at, decode, out);
  case NEXT:
    if (text.ptr[at] != ',') return read_end(self, at, out);
    at = skip_space(text, at + 1);
    if (at == text.len) return fail(self, LK_ERR_TRUNCATED, at);
    if (top_is_object(self)) return read_key(self, at, decode, out);
    return read_value(self, at, decode, out);
  default: return read_value(self, at, decode, out);
  }
}

/* ---- the public moves ---- */

static lk_err reader_init(lk_json_reader *self, lk_slice text, const lk_limits *limits,
                          lk_arena *arena) {
  LK_ASSERT(limits->json_depth > 0 && limits->json_depth <= LK_JSON_DEPTH_MAX);
  *self = (lk_json_reader){
    .text = text, .arena = arena, .depth_max = limits->json_depth, .state = VALUE
  };
  return text.len <= limits->json_bytes ? LK_OK : fail(self, LK_ERR_TOO_BIG, 0);
}

lk_err lk_json_reader_init(lk_json_reader *self, lk_slice text, const lk_limits *limits,
                           lk_arena *arena) {
  LK_ASSERT(arena != NULL);
  return reader_init(self, text, limits, arena);
}

lk_err lk_json_next(lk_json_reader *self, lk_json_event *out) { return step(self, true, out); }

lk_err lk_json_finish(lk_json_reader *self) {
  lk_json_event event;
  if (self->err == LK_OK && self->state != DONE) return LK_ERR_STATE;
  return step(self, false, &event);
}

/* LK_OK where step() will read a value, or find that there is none where one must be. */
static lk_err expect_value(const lk_json_reader *self) {
  if (self->err != LK_OK) return self->err;
  if (self->state == VALUE) return LK_OK;
  if (self->state == DONE) return LK_ERR_STATE;
  bool object = top_is_object(self);
  size_t at = skip_space(self->text, self->pos);
  if (at < self->text.len && self->text.ptr[at] == (object ? '}' : ']')) return LK_ERR_END;
  return object ? LK_ERR_STATE : LK_OK;
}

lk_err lk_json_skip_value(lk_json_reader *self, lk_slice *raw) {
  lk_json_event event;
  lk_err err = expect_value(self);
  if (err == LK_OK) err = step(self, false, &event);
  return err == LK_OK ? lk_json_skip_rest(self, &event, raw) : err;
}

lk_err lk_json_skip_rest(lk_json_reader *self, const lk_json_event *event, lk_slice *raw) {
  lk_json_event inner;
  lk_err err;
  switch (event->kind) {
  case LK_JSON_STRING:
  case LK_JSON_NUMBER:
  case LK_JSON_TRUE:
  case LK_JSON_FALSE:
  case LK_JSON_NULL: *raw = event->raw; return LK_OK;
  case LK_JSON_OBJECT_BEGIN:
  case LK_JSON_ARRAY_BEGIN: break;
  default: return LK_ERR_TYPE;
  }
  if (self->err != LK_OK) return self->err;
  /* It is the latest event, not an older one. */
  LK_ASSERT(event->raw.ptr + 1 == self->text.ptr + self->pos);
  size_t begin = self->pos - 1;
  uint32_t outside = self->depth - 1;
  while (self->depth > outside) {
    if ((err = step(self, false, &inner)) != LK_OK) return err;
  }
  *raw = slice_between(self, begin, self->pos);
  return LK_OK;
}

lk_err lk_json_check(lk_slice text, const lk_limits *limits, size_t *offset) {
  lk_json_reader reader;
  lk_json_event event = { .kind = LK_JSON_ABSENT };
  lk_err err = reader_init(&reader, text, limits, NULL);
  while (err == LK_OK && event.kind != LK_JSON_END) err = step(&reader, false, &event);
  if (err != LK_OK && offset != NULL) *offset = reader.error_offset;
  return err;
}

/* ---- values ---- */

lk_err lk_json_get_u64(const lk_json_event *event, uint64_t *out) {
  return event->kind == LK_JSON_NUMBER ? lk_number_get_u64(&event->number, out) : LK_ERR_TYPE;
}

lk_err lk_json_get_i64(const lk_json_event *event, int64_t *out) {
  return event->kind == LK_JSON_NUMBER ? lk_number_get_i64(&event->number, out) : LK_ERR_TYPE;
}

lk_err lk_json_get_f64(const lk_json_event *event, double *out) {
  return event->kind == LK_JSON_NUMBER ? lk_number_get_f64(&event->number, out) : LK_ERR_TYPE;
}

lk_err lk_json_get_bool(const lk_json_event *event, bool *out) {
  if (event->kind != LK_JSON_TRUE && event->kind != LK_JSON_FALSE) return LK_ERR_TYPE;
  *out = event->kind == LK_JSON_TRUE;
  return LK_OK;
}

lk_err lk_json_get_string(const lk_json_event *event, lk_slice *out) {
  if (event->kind != LK_JSON_STRING) return LK_ERR_TYPE;
  *out = event->text;
  return LK_OK;
}

/* ---- members ---- */

static lk_json_member *find_member(lk_json_member *members, size_t count, lk_slice name) {
  for (size_t i = 0; i < count; i++) {
    if (lk_slice_equal(members[i].name, name)) return &members[i];
  }
  return NULL;
}

/* Reads a value, and into |member| unless that is NULL. */
static lk_err read_member(lk_json_reader *self, lk_json_member *member) {
  lk_json_event event;
  lk_slice raw;
  lk_err err = step(self, member != NULL, &event);
  if (err == LK_OK) err = lk_json_skip_rest(self, &event, &raw);
  if (err != LK_OK || member == NULL) return err;
  member->value = event;
  member->raw = raw;
  return LK_OK;
}

static lk_err read_members(lk_json_reader *self, lk_json_member *members, size_t count) {
  for (;;) {
    lk_json_event event;
    lk_arena_mark mark = lk_arena_get_mark(self->arena);
    lk_err err = step(self, true, &event);
    if (err != LK_OK || event.kind == LK_JSON_OBJECT_END) return err;
    lk_json_member *member = find_member(members, count, event.text);
    lk_arena_pop_to(self->arena, mark); /* the key has served; names that are long do not add up */
    if ((err = read_member(self, member)) != LK_OK) return err;
  }
}

lk_err lk_json_read_members(lk_json_reader *self, lk_json_member *members, size_t count) {
  lk_json_reader before = *self;
  lk_arena_mark mark = lk_arena_get_mark(self->arena);
  lk_json_event event;
  lk_err err = expect_value(self);
  if (err != LK_OK || (err = step(self, false, &event)) != LK_OK) return err;
  if (event.kind != LK_JSON_OBJECT_BEGIN) {
    *self = before;
    return LK_ERR_TYPE;
  }
  for (size_t i = 0; i < count; i++) {
    members[i].value = (lk_json_event){ .kind = LK_JSON_ABSENT };
    members[i].raw = LK_SLICE_EMPTY;
  }
  err = read_members(self, members, count);
  if (err == LK_ERR_NOMEM) {
    lk_arena_pop_to(self->arena, mark);
    *self = before;
  }
  return err;
}
