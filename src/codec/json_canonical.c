/* codec/json_canonical.c -- sorted members without a tree, and an answer without memory.
 *
 * Most texts that arrive are canonical already, since our own replicas wrote them. So the first
 * question to any text is asked by a reader that knows nothing but the canonical form: no spaces,
 * no needless escapes, names that rise. It stops at the first byte that does not fit, keeps one
 * number for each open level (where the latest name of that object begins) and needs no memory.
 * Whoever gets a no there has to be told why, or helped, by the others, which may be slower:
 *
 *   1. lk_json_check() finds whatever is wrong with the text as JSON. What follows relies on it,
 *      and can be simple: in a good text every bracket outside of a string is a level, and a
 *      string is a name if a colon follows.
 *   2. A survey finds numbers that are out of range, counts the members, and compares each name
 *      with the one before it.
 *   3. The members are listed in the order of the text, each object's own ones linked, and the
 *      links are sorted.
 *   4. The text is written by following the links:
 *
 *      {"b": [ {"y":1, "x":2} ], "a":3}      member   0:"b"  1:"y"  2:"x"  3:"a"
 *                                            next     -      -      1      0
 *                                            first    3      2      of the object begun there
 *
 * A member stands in the list behind all that stand before it in the text. So the members in the
 * value of member i begin at i + 1, and where an object ends, as many have been passed as were
 * written since it began: no object has to know its number.
 *
 * All of it together takes time proportional to the text, except for sorting: n names of an object
 * are sorted with n log n comparisons, and a comparison looks at no more than what two names have
 * in common. Nothing that was written is moved again, however deep it lies. A member has 16 bytes
 * in the list and, names being distinct, six in the text at least, but for one in each object.
 *
 * Order. Names are compared as they stand, escapes are decoded on the way. UTF-16 differs from code
 * points in one thing: what is above U+FFFF begins with a surrogate, D800 to DFFF, and so comes
 * before U+E000 to U+FFFF. These are lifted above all others for the comparison.
 *
 * Always: positions fit into 32 bits (the ceiling of json_bytes is 2^28).
 *
 * Not chosen: sorting each object when it ends in the output, by moving bytes (what lies d levels
 * deep would be moved d times); a tree of all values (several times the memory); a table of hashes
 * against names that stand twice (sorting shows them anyway). */
#include "codec/json_canonical.h"

#include "codec/json_reader.h"
#include "codec/json_special.h"
#include "codec/json_writer.h"
#include "codec/utf.h"

#define NONE UINT32_MAX

enum {
#define LIMIT(name, preset, ceiling, why) CEILING_##name = (ceiling),
#include "base/limits.def"
#undef LIMIT
};
_Static_assert((uint32_t)CEILING_json_bytes < NONE, "positions have 32 bits");

/* ---- good strings: |at| is within one that was checked ---- */

static uint32_t hex4_at(lk_slice text, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; i++) {
    uint32_t byte = lk_slice_at(text, at + i);
    value = value << 4 | (byte <= '9' ? byte - '0' : (byte | 0x20) - 'a' + 10);
  }
  return value;
}

/* What the escape at |*at| stands for; |*at| moves behind it. */
static uint32_t read_escape(lk_slice text, size_t *at) {
  uint8_t kind = lk_slice_at(text, *at + 1);
  *at += 2;
  switch (kind) {
  case 'b': return '\b';
  case 'f': return '\f';
  case 'n': return '\n';
  case 'r': return '\r';
  case 't': return '\t';
  case 'u': break;
  default: return kind;
  }
  uint32_t unit = hex4_at(text, *at);
  *at += 4;
  if (!lk_utf_is_surrogate(unit)) return unit;
  uint32_t low = hex4_at(text, *at + 2);
  *at += 6;
  LK_ASSERT(lk_utf_is_high_surrogate(unit) && lk_utf_is_low_surrogate(low));
  return lk_utf_join((uint16_t)unit, (uint16_t)low);
}

/* The place of the character at |*at| in the order of UTF-16, above 0; 0 for the quote at the end
 * of the string. |*at| moves behind the character. */
static uint32_t read_rank(lk_slice text, size_t *at) {
  uint32_t point = lk_slice_at(text, *at);
  if (point == '"') return 0;
  if (point == '\\') {
    point = read_escape(text, at);
  } else if (point < 0x80) {
    ++*at;
  } else {
    lk_slice rest = lk_slice_skip(text, *at);
    lk_err err = lk_utf8_decode(&rest, &point);
    LK_ASSERT(err == LK_OK);
    *at = text.len - rest.len;
  }
  bool lifted = point >= 0xE000 && point <= 0xFFFF;
  return point + 1 + (lifted ? LK_UTF_CODE_POINT_MAX : 0);
}

/* How many bytes, plain, the same in both and making whole characters, follow at |a| and at |b|. */
static size_t common_len(lk_slice text, size_t a, size_t b) {
  size_t room = text.len - lk_max_size(a, b), len = 0;
  for (; room - len >= 8; len += 8) {
    uint64_t word = lk_load_le64(text.ptr + a + len);
    uint64_t stop = (word ^ lk_load_le64(text.ptr + b + len)) | lk_json_special_bytes(word);
    if (stop == 0) continue;
    len += lk_ctz_u64(stop) / 8;
    break;
  }
  while (len > 0 && (lk_slice_at(text, a + len) & 0xC0) == 0x80) len--;
  return len;
}

/* The order of two names, given by their opening quotes. */
static int compare_names(lk_slice text, size_t a, size_t b) {
  a++;
  b++;
  for (;;) {
    size_t common = common_len(text, a, b);
    a += common;
    b += common;
    uint32_t rank = read_rank(text, &a), other = read_rank(text, &b);
    if (rank != other) return rank < other ? -1 : 1;
    if (rank == 0) return 0;
  }
}

/* ---- is it canonical? Nothing is known of the text ---- */

/* The length of the escape at |at|, if it is one that the canonical form has; else 0. */
static size_t canonical_escape_len(lk_slice text, size_t at) {
  if (text.len - at < 2) return 0;
  switch (text.ptr[at + 1]) {
  case '"':
  case '\\':
  case 'b':
  case 'f':
  case 'n':
  case 'r':
  case 't': return 2;
  case 'u': break;
  default: return 0;
  }
  if (text.len - at < 6 || text.ptr[at + 2] != '0' || text.ptr[at + 3] != '0') return 0;
  uint8_t high = text.ptr[at + 4], low = text.ptr[at + 5];
  bool digit = low >= '0' && low <= '9';
  if (high == '1') return digit || (low >= 'a' && low <= 'f') ? 6 : 0;
  /* 8, 9, a, c and d have letters of their own. */
  return high == '0' && ((digit && low < '8') || low == 'b' || low == 'e' || low == 'f') ? 6 : 0;
}

/* The pass functions give the position behind what is canonical at |at|, or 0. */

static size_t pass_string(lk_slice text, size_t at) {
  size_t begin = at + 1;
  uint64_t high = 0;
  for (at = begin;;) {
    at = lk_json_find_special(text, at, &high);
    if (at == text.len) return 0;
    if (text.ptr[at] == '"') break;
    size_t escape = text.ptr[at] == '\\' ? canonical_escape_len(text, at) : 0;
    if (escape == 0) return 0;
    at += escape;
  }
  lk_slice inside = lk_slice_first(lk_slice_skip(text, begin), at - begin);
  return high == 0 || lk_utf8_check(inside) == LK_OK ? at + 1 : 0;
}

static size_t pass_number(lk_slice text, size_t at) {
  /* JavaScript's integers that are told apart by all of their digits: printed as they are read. */
  static const uint64_t plain_max = (uint64_t)1 << 53;
  lk_number number;
  double value;
  if (lk_number_scan(lk_slice_skip(text, at), &number) != LK_OK) return 0;
  size_t end = at + number.text.len;
  if (number.integer && number.exact && number.digits <= plain_max) {
    return number.negative && number.digits == 0 ? 0 : end;
  }
  if (lk_number_get_f64(&number, &value) != LK_OK) return 0;
  uint8_t printed[LK_NUMBER_F64_CHARS];
  size_t len = lk_number_print_f64(value, printed);
  return lk_slice_equal(lk_slice_of(printed, len), number.text) ? end : 0;
}

static size_t pass_word(lk_slice text, size_t at, lk_slice word) {
  return lk_slice_starts_with(lk_slice_skip(text, at), word) ? at + word.len : 0;
}

static size_t pass_simple(lk_slice text, size_t at) {
  if (at >= text.len) return 0;
  switch (text.ptr[at]) {
  case '"': return pass_string(text, at);
  case 't': return pass_word(text, at, LK_LIT("true"));
  case 'f': return pass_word(text, at, LK_LIT("false"));
  case 'n': return pass_word(text, at, LK_LIT("null"));
  default: return pass_number(text, at);
  }
}

typedef struct strict_reader {
  lk_slice text;
  size_t at;
  uint32_t depth;
  uint32_t names[LK_JSON_DEPTH_MAX]; /* the latest of each level; 0: none yet; NONE: an array */
} strict_reader;

static uint8_t peek(const strict_reader *self) {
  return self->at < self->text.len ? self->text.ptr[self->at] : 0;
}

static bool pass_name(strict_reader *self) {
  uint32_t *latest = &self->names[self->depth - 1];
  size_t begin = self->at;
  if (peek(self) != '"') return false;
  self->at = pass_string(self->text, begin);
  if (self->at == 0 || peek(self) != ':') return false;
  self->at++;
  if (*latest != 0 && compare_names(self->text, *latest, begin) >= 0) return false;
  *latest = (uint32_t)begin;
  return true;
}

/* Behind a value, or a bracket that was just opened and is closed at once: up to where the next
 * value begins, or out of all levels. */
static bool pass_to_next(strict_reader *self) {
  while (self->depth > 0) {
    bool object = self->names[self->depth - 1] != NONE;
    uint8_t byte = peek(self);
    self->at++;
    if (byte == ',') return !object || pass_name(self);
    if (byte != (object ? '}' : ']')) return false;
    self->depth--;
  }
  return true;
}

/* Reads a simple value whole, or the beginning of another up to its first value. */
static bool pass_value(strict_reader *self, uint32_t depth_max) {
  uint8_t byte = peek(self);
  if (byte != '{' && byte != '[') {
    self->at = pass_simple(self->text, self->at);
    return self->at != 0 && pass_to_next(self);
  }
  if (self->depth == depth_max) return false;
  self->names[self->depth++] = byte == '{' ? 0 : NONE;
  self->at++;
  if (peek(self) == (byte == '{' ? '}' : ']')) return pass_to_next(self);
  return byte == '[' || pass_name(self);
}

static bool is_canonical(lk_slice text, const lk_limits *limits) {
  LK_ASSERT(limits->json_depth > 0 && limits->json_depth <= LK_JSON_DEPTH_MAX);
  if (text.len == 0 || text.len > limits->json_bytes) return false;
  if (text.ptr[0] != '{' && text.ptr[0] != '[') return pass_simple(text, 0) == text.len;
  strict_reader reader; /* no initialiser: clearing all the levels would take longer than reading */
  reader.text = text;
  reader.at = 0;
  reader.depth = 0;
  do {
    if (!pass_value(&reader, limits->json_depth)) return false;
  } while (reader.depth > 0);
  return reader.at == text.len;
}

/* ---- the members of a good text ---- */

typedef struct member {
  uint32_t name_at; /* its opening quote */
  uint32_t next;    /* the one behind it in its object, in the end in the order of names */
  uint32_t first;   /* of the member that stands first in an object: the least one, */
  uint32_t end_at;  /* and the position behind the object */
} member;

typedef struct member_list {
  lk_slice text;
  member *members; /* NULL while they are only counted */
  uint32_t count;
  bool sorted; /* all of them are in order as they stand */
} member_list;

typedef struct level {
  uint32_t name_at; /* the latest name; 0: none yet */
  uint32_t first;   /* members of this object */
  uint32_t last;
  bool sorted;
} level;

/* The position behind the string at |at|. */
static size_t skip_string(lk_slice text, size_t at, bool *escaped) {
  uint64_t high = 0;
  *escaped = false;
  for (at++;;) {
    at = lk_json_find_special(text, at, &high);
    if (lk_slice_at(text, at) == '"') return at + 1;
    *escaped = true;
    at += 2; /* what is behind \u cannot be mistaken for anything else */
  }
}

static size_t skip_space(lk_slice text, size_t at) {
  while (at < text.len && text.ptr[at] <= ' ') at++;
  return at;
}

static bool is_number(uint8_t byte) { return byte == '-' || (byte >= '0' && byte <= '9'); }

/* The number at |at|; the position behind it, and LK_ERR_RANGE where no double holds it. */
static lk_err read_number(lk_slice text, size_t *at, double *out) {
  lk_number number;
  lk_err err = lk_number_scan(lk_slice_skip(text, *at), &number);
  LK_ASSERT(err == LK_OK);
  *at += number.text.len;
  return lk_number_get_f64(&number, out);
}

static lk_err add_member(member_list *self, level *object, size_t name_at) {
  uint32_t index = self->count++;
  if (object->name_at != 0) {
    int order = compare_names(self->text, object->name_at, name_at);
    if (order == 0) return LK_ERR_EXISTS;
    if (order > 0) object->sorted = self->sorted = false;
  }
  object->name_at = (uint32_t)name_at;
  if (self->members == NULL) return LK_OK;
  self->members[index] = (member){ (uint32_t)name_at, NONE, NONE, 0 };
  if (object->last == NONE) {
    object->first = index;
  } else {
    self->members[object->last].next = index;
  }
  object->last = index;
  return LK_OK;
}

/* Two lists, each in order, as one. |*twice| is set where a name is in both. */
static uint32_t merge(const member_list *self, uint32_t a, uint32_t b, bool *twice) {
  uint32_t head = NONE, *tail = &head;
  while (a != NONE && b != NONE) {
    int order = compare_names(self->text, self->members[a].name_at, self->members[b].name_at);
    if (order == 0) *twice = true;
    uint32_t *from = order < 0 ? &a : &b;
    *tail = *from;
    tail = &self->members[*from].next;
    *from = *tail;
  }
  *tail = a != NONE ? a : b;
  return head;
}

/* Merge sort from below: a list in heaps[i] has 2^i members. It needs no memory but the links, and
 * no order of the input makes it slow. Whatever stands side by side in the end was compared, so
 * that a name that stands twice is found. */
static lk_err sort(const member_list *self, uint32_t *first) {
  uint32_t heaps[32], rest = *first, all = NONE;
  bool twice = false;
  for (size_t i = 0; i < 32; i++) heaps[i] = NONE;
  while (rest != NONE) {
    uint32_t run = rest;
    rest = self->members[run].next;
    self->members[run].next = NONE;
    size_t i = 0;
    for (; heaps[i] != NONE; i++) {
      run = merge(self, heaps[i], run, &twice);
      heaps[i] = NONE;
    }
    heaps[i] = run;
  }
  for (size_t i = 0; i < 32; i++) all = merge(self, heaps[i], all, &twice);
  *first = all;
  return twice ? LK_ERR_EXISTS : LK_OK;
}

static lk_err end_object(const member_list *self, const level *object, size_t end_at) {
  if (self->members == NULL || object->first == NONE) return LK_OK;
  uint32_t first = object->first;
  lk_err err = object->sorted ? LK_OK : sort(self, &first);
  self->members[object->first].first = first;
  self->members[object->first].end_at = (uint32_t)end_at;
  return err;
}

/* Passes over the whole text, counting and, where there is room for them, listing its members. */
static lk_err survey(member_list *self) {
  level levels[LK_JSON_DEPTH_MAX];
  uint32_t depth = 0;
  lk_slice text = self->text;
  self->count = 0;
  self->sorted = true;
  for (size_t at = 0; at < text.len;) {
    lk_err err = LK_OK;
    uint8_t byte = text.ptr[at];
    bool escaped;
    double value;
    if (byte == '"') {
      size_t begin = at;
      at = skip_space(text, skip_string(text, at, &escaped));
      if (at < text.len && text.ptr[at] == ':') err = add_member(self, &levels[depth - 1], begin);
    } else if (is_number(byte)) {
      err = read_number(text, &at, &value);
    } else {
      at++;
      if (byte == '{' || byte == '[') levels[depth++] = (level){ 0, NONE, NONE, true };
      if (byte == '}') err = end_object(self, &levels[depth - 1], at);
      if (byte == '}' || byte == ']') depth--;
    }
    if (err != LK_OK) return err;
  }
  return LK_OK;
}

static void free_members(member_list *self, const lk_alloc *alloc) {
  lk_free_array(alloc, self->members, self->count, sizeof *self->members);
}

static lk_err list_members(member_list *self, const lk_alloc *alloc) {
  uint32_t count = self->count;
  if (count == 0) return LK_OK;
  self->members = lk_alloc_array(alloc, count, sizeof *self->members);
  if (self->members == NULL) return LK_ERR_NOMEM;
  lk_err err = survey(self);
  LK_ASSERT(err != LK_OK || self->count == count);
  self->count = count; /* what was allocated, also on failure */
  return err;
}

/* Finds everything that can be wrong with |text|, and lists its members where |listed|, or where
 * they have to be sorted for that. The list has to be freed in any case. */
static lk_err examine(member_list *self, lk_slice text, const lk_limits *limits,
                      const lk_alloc *alloc, bool listed) {
  *self = (member_list){ .text = text };
  lk_err err = lk_json_check(text, limits, NULL);
  if (err == LK_OK) err = survey(self);
  if (err == LK_OK && (listed || !self->sorted)) err = list_members(self, alloc);
  return err;
}

/* ---- writing ---- */

typedef struct place {
  uint32_t begun;   /* the first member of this object in the text; NONE: an array */
  uint32_t current; /* the one that is being written */
  uint32_t before;  /* how many had been written when it began */
} place;

typedef struct emitter {
  const member_list *list;
  lk_json_writer writer;
  lk_buf decoded; /* one string at a time, where it has escapes */
  size_t at;
  uint32_t written;
  uint32_t upcoming; /* the next member in the text behind |at| */
  uint32_t depth;
  place places[LK_JSON_DEPTH_MAX];
} emitter;

static lk_err decode_string(lk_slice raw, lk_buf *out) {
  uint64_t high = 0; /* of no interest: the text has been checked */
  lk_buf_truncate(out, 0);
  for (size_t at = 0; at < raw.len;) {
    size_t plain = lk_json_find_special(raw, at, &high);
    (void)lk_buf_append(out, lk_slice_first(lk_slice_skip(raw, at), plain - at));
    at = plain;
    if (at == raw.len) break;
    uint8_t bytes[4];
    size_t len = lk_utf8_encode(read_escape(raw, &at), bytes);
    (void)lk_buf_append(out, lk_slice_of(bytes, len));
  }
  return lk_buf_err(out);
}

/* The string at |self->at|, decoded; it lives until the next one. */
static lk_err take_string(emitter *self, lk_slice *out) {
  bool escaped;
  size_t begin = self->at + 1;
  self->at = skip_string(self->list->text, self->at, &escaped);
  *out = lk_slice_first(lk_slice_skip(self->list->text, begin), self->at - 1 - begin);
  if (!escaped) return LK_OK;
  lk_err err = decode_string(*out, &self->decoded);
  if (err == LK_OK) *out = lk_buf_slice(&self->decoded);
  return err;
}

/* Goes to member |index|, writes its name, and stops before the colon. */
static lk_err write_name(emitter *self, uint32_t index) {
  lk_slice name;
  self->places[self->depth - 1].current = index;
  self->at = self->list->members[index].name_at;
  self->upcoming = index + 1;
  self->written++;
  lk_err err = take_string(self, &name);
  return err == LK_OK ? lk_json_write_key(&self->writer, name) : err;
}

static lk_err write_string(emitter *self) {
  lk_slice string;
  lk_err err = take_string(self, &string);
  return err == LK_OK ? lk_json_write_string(&self->writer, string) : err;
}

static lk_err write_number(emitter *self) {
  double value;
  lk_err err = read_number(self->list->text, &self->at, &value);
  LK_ASSERT(err == LK_OK); /* the survey has looked at it */
  return lk_json_write_f64(&self->writer, value);
}

static lk_err begin_object(emitter *self) {
  lk_slice text = self->list->text;
  lk_err err = lk_json_begin_object(&self->writer);
  if (err != LK_OK) return err;
  self->at = skip_space(text, self->at + 1);
  if (lk_slice_at(text, self->at) == '}') {
    self->at++;
    return lk_json_end_object(&self->writer);
  }
  self->places[self->depth++] = (place){ self->upcoming, NONE, self->written };
  return write_name(self, self->list->members[self->upcoming].first);
}

/* Behind the value of a member: the one whose name is next, or out of the object. */
static lk_err end_member(emitter *self) {
  const place *object = &self->places[self->depth - 1];
  uint32_t next = self->list->members[object->current].next;
  if (next != NONE) return write_name(self, next);
  self->at = self->list->members[object->begun].end_at;
  self->upcoming = object->begun + (self->written - object->before);
  self->depth--;
  return lk_json_end_object(&self->writer);
}

static lk_err begin_array(emitter *self) {
  self->places[self->depth++] = (place){ NONE, NONE, 0 };
  self->at++;
  return lk_json_begin_array(&self->writer);
}

static lk_err end_array(emitter *self) {
  self->depth--;
  self->at++;
  return lk_json_end_array(&self->writer);
}

static lk_err write_word(emitter *self, uint8_t first) {
  self->at += first == 'f' ? 5 : 4;
  return first == 'n' ? lk_json_write_null(&self->writer)
                      : lk_json_write_bool(&self->writer, first == 't');
}

static lk_err write_token(emitter *self) {
  uint8_t byte = self->list->text.ptr[self->at];
  bool in_object = self->depth > 0 && self->places[self->depth - 1].begun != NONE;
  switch (byte) {
  case '{': return begin_object(self);
  case '[': return begin_array(self);
  case '}': return end_member(self);
  case ']': return end_array(self);
  case '"': return write_string(self);
  case 't':
  case 'f':
  case 'n': return write_word(self, byte);
  case ',':
    if (in_object) return end_member(self);
    break;
  default:
    if (is_number(byte)) return write_number(self);
    break;
  }
  self->at++; /* space, colon, comma in an array: the writer sets its own */
  return LK_OK;
}

static lk_err write_canonical(const member_list *list, lk_buf *out) {
  lk_err err = LK_OK;
  emitter self;
  self.list = list;
  self.at = 0;
  self.written = self.upcoming = self.depth = 0;
  lk_json_writer_init(&self.writer, out);
  lk_buf_init(&self.decoded, out->alloc, list->text.len);
  while (err == LK_OK && self.at < list->text.len) err = write_token(&self);
  lk_buf_deinit(&self.decoded);
  if (err != LK_OK) return err;
  LK_ASSERT(self.depth == 0 && self.written == list->count);
  return lk_json_writer_finish(&self.writer);
}

/* ---- the public functions ---- */

static lk_err write_as_it_is(lk_slice json, lk_buf *out) {
  lk_json_writer writer;
  lk_json_writer_init(&writer, out);
  (void)lk_json_write_raw(&writer, json);
  return lk_json_writer_finish(&writer);
}

lk_err lk_json_canonicalize(lk_slice json, const lk_limits *limits, lk_buf *out) {
  member_list list;
  size_t before = out->len;
  lk_err err = lk_buf_err(out);
  if (err != LK_OK) return err;
  if (is_canonical(json, limits)) return write_as_it_is(json, out);
  err = examine(&list, json, limits, out->alloc, true);
  if (err == LK_OK && (err = write_canonical(&list, out)) != LK_OK) lk_buf_truncate(out, before);
  free_members(&list, out->alloc);
  return err;
}

lk_err lk_json_check_canonical(lk_slice json, const lk_limits *limits, const lk_alloc *alloc) {
  member_list list;
  if (is_canonical(json, limits)) return LK_OK;
  lk_err err = examine(&list, json, limits, alloc, false);
  free_members(&list, alloc);
  return err == LK_OK ? LK_ERR_NOT_CANONICAL : err;
}
