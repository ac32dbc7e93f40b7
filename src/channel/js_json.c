/* channel/js_json.c -- one pass that writes tokens anew, and a second one where members must move.
 *
 * The first pass reads the text and appends each token as JavaScript prints it, members in the order in
 * which they came. On the way it lists the members:
 *
 *   {"b": [ {"y":1, "x":2} ], "7":3}     becomes     {"b":[{"y":1,"x":2}],"7":3}
 *
 *   member   0:"b"  1:"y"  2:"x"  3:"7"        each with the places, in the new text, of its name and of
 *   next       3      2      -      -          its value; linked within each object
 *
 * When an object ends, its members are put into order: by name, where equal names become one member with
 * the place of the first and the value of the last; then by JavaScript's order, array indexes first.
 * Mostly that changes nothing, since JavaScript wrote the text, and the first pass was all.
 *
 * Else the second pass copies the new text along the links. It finds the members of an object that begins
 * at p as those of which the first has its name at p + 1: the list is in the order of the text, and searched
 * by halves. Whole values are copied from where they stand: what lies deep is copied once.
 *
 * Two texts are equal as values if the second pass writes the same along the order of names.
 *
 * All of it takes time near linear in the text: n names of an object are sorted with n log n comparisons.
 * Nothing recurses; an open level is a few bytes of a fixed array. A number may become longer, 1e20 by the factor
 * of five; nothing else does. Always: places are relative to where the output began, and have 32 bits.
 *
 * Not chosen: codec/json_canonical.h, which sorts by names, refuses names that stand twice and halves of
 * pairs; a tree of all values. */
#include "channel/js_json.h"

#include "codec/json_special.h"
#include "codec/number.h"
#include "codec/utf.h"

#define NONE UINT32_MAX
#define DEPTH_MAX 512 /* the ceiling of json_depth */

typedef struct member {
  uint32_t name_at; /* its opening quote */
  uint32_t name_end;
  uint32_t value_at;
  uint32_t value_end;
  uint32_t next;       /* behind it in its object; in the end in the order asked for */
  uint32_t first;      /* of the member that stands first in an object: the one that comes first, */
  uint32_t object_end; /* and the place behind the object */
} member;

typedef enum order { JAVASCRIPT, NAMES } order;

typedef struct level {
  uint32_t first; /* members; NONE: none yet */
  uint32_t last;
  bool object;
} level;

typedef struct rewriter {
  lk_slice text;
  size_t at;
  lk_buf *out;
  size_t start; /* the length that |out| had */
  order order;
  bool moved; /* the members of some object are in another order than they came, or fewer */
  member *members;
  uint32_t count;
  uint32_t cap;
  uint32_t depth_max;
  uint32_t depth;
  level levels[DEPTH_MAX];
} rewriter;

static uint32_t place(const rewriter *self) { return (uint32_t)(self->out->len - self->start); }

static lk_slice written(const rewriter *self) {
  return lk_slice_skip(lk_buf_slice(self->out), self->start);
}

/* ---- strings ---- */

static bool hex_digit(uint8_t byte, uint32_t *out) {
  if (byte >= '0' && byte <= '9') *out = byte - '0';
  else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f') *out = (byte | 0x20u) - 'a' + 10;
  else return false;
  return true;
}

/* The unit of "\u" and four digits at |at|. */
static lk_err read_unit(lk_slice text, size_t at, uint32_t *out) {
  uint32_t unit = 0;
  for (size_t i = 0; i < 6; i++) {
    uint32_t digit = 0;
    if (at + i == text.len) return LK_ERR_TRUNCATED;
    uint8_t byte = text.ptr[at + i];
    bool good = i == 0 ? byte == '\\' : i == 1 ? byte == 'u' : hex_digit(byte, &digit);
    if (!good) return LK_ERR_SYNTAX;
    unit = unit << 4 | digit;
  }
  *out = unit;
  return LK_OK;
}

/* What the escape at the place of |self| stands for: a code point or half of a pair. */
static lk_err read_escape(rewriter *self, uint32_t *out) {
  static const char letters[] = "bfnrt\"\\/", points[] = "\b\f\n\r\t\"\\/";
  uint32_t low;
  if (self->text.len - self->at < 2) return LK_ERR_TRUNCATED;
  uint8_t kind = self->text.ptr[self->at + 1];
  for (size_t i = 0; letters[i] != 0; i++) {
    if (kind != letters[i]) continue;
    *out = (uint8_t)points[i];
    self->at += 2;
    return LK_OK;
  }
  lk_err err = read_unit(self->text, self->at, out);
  if (err != LK_OK) return err;
  self->at += 6;
  if (!lk_utf_is_high_surrogate(*out)) return LK_OK;
  if (read_unit(self->text, self->at, &low) != LK_OK || !lk_utf_is_low_surrogate(low)) return LK_OK;
  self->at += 6;
  *out = lk_utf_join((uint16_t)*out, (uint16_t)low);
  return LK_OK;
}

static void write_unit(lk_buf *out, uint32_t unit) {
  static const char digits[] = "0123456789abcdef";
  uint8_t text[6] = { '\\', 'u' };
  for (size_t i = 0; i < 4; i++) text[2 + i] = (uint8_t)digits[unit >> (12 - 4 * i) & 15];
  lk_buf_append(out, lk_slice_of(text, 6));
}

/* One character that came as an escape: most need none. */
static void write_point(lk_buf *out, uint32_t point) {
  uint8_t text[4] = { '\\' };
  switch (point) {
  case '"':
  case '\\': text[1] = (uint8_t)point; break;
  case '\b': text[1] = 'b'; break;
  case '\f': text[1] = 'f'; break;
  case '\n': text[1] = 'n'; break;
  case '\r': text[1] = 'r'; break;
  case '\t': text[1] = 't'; break;
  default: break;
  }
  if (text[1] != 0) lk_buf_append(out, lk_slice_of(text, 2));
  else if (point < 0x20 || lk_utf_is_surrogate(point)) write_unit(out, point);
  else lk_buf_append(out, lk_slice_of(text, lk_utf8_encode(point, text)));
}

/* The string at the place of |self|, quotes included. */
static lk_err rewrite_string(rewriter *self) {
  uint64_t high = 0; /* of no interest: the text has been checked */
  lk_buf_append_u8(self->out, '"');
  self->at++;
  for (;;) {
    size_t from = self->at;
    self->at = lk_json_find_special(self->text, from, &high);
    lk_buf_append(self->out, lk_slice_of(self->text.ptr + from, self->at - from));
    if (self->at == self->text.len) return LK_ERR_TRUNCATED;
    uint8_t byte = self->text.ptr[self->at];
    if (byte == '"') break;
    if (byte != '\\') return LK_ERR_SYNTAX;
    uint32_t point;
    lk_err err = read_escape(self, &point);
    if (err != LK_OK) return err;
    write_point(self->out, point);
  }
  self->at++;
  return lk_buf_append_u8(self->out, '"');
}

/* ---- other simple values ---- */

static lk_err rewrite_number(rewriter *self) {
  uint8_t printed[LK_NUMBER_F64_CHARS];
  lk_number number;
  double value;
  lk_err err = lk_number_scan(lk_slice_skip(self->text, self->at), &number);
  if (err == LK_OK) err = lk_number_get_f64(&number, &value);
  if (err != LK_OK) return err;
  self->at += number.text.len;
  return lk_buf_append(self->out, lk_slice_of(printed, lk_number_print_f64(value, printed)));
}

static lk_err rewrite_word(rewriter *self, lk_slice word) {
  lk_slice rest = lk_slice_first(lk_slice_skip(self->text, self->at), word.len);
  if (!lk_slice_starts_with(word, rest)) return LK_ERR_SYNTAX;
  if (rest.len < word.len) return LK_ERR_TRUNCATED;
  self->at += word.len;
  return lk_buf_append(self->out, word);
}

/* ---- the order of members ---- */

static lk_slice name_of(const rewriter *self, uint32_t index) {
  const member *m = &self->members[index];
  return lk_slice_of(self->out->ptr + self->start + m->name_at, m->name_end - m->name_at);
}

/* The array index that a name, with its quotes, is; or NONE, which is none. */
static uint32_t array_index(lk_slice name) {
  uint64_t value = 0;
  name = lk_slice_first(lk_slice_skip(name, 1), name.len - 2);
  if (name.len == 0 || name.len > 10 || (name.ptr[0] == '0' && name.len > 1)) return NONE;
  for (size_t i = 0; i < name.len; i++) {
    if (name.ptr[i] < '0' || name.ptr[i] > '9') return NONE;
    value = value * 10 + (name.ptr[i] - '0');
  }
  return value < NONE ? (uint32_t)value : NONE;
}

/* Equal names, and members that are no index, stay in the order in which they came. */
static int compare(const rewriter *self, order by, uint32_t a, uint32_t b) {
  lk_slice name_a = name_of(self, a), name_b = name_of(self, b);
  int result = by == NAMES ? lk_slice_compare(name_a, name_b) : 0;
  if (by == JAVASCRIPT) {
    uint32_t rank_a = array_index(name_a), rank_b = array_index(name_b);
    result = (rank_a > rank_b) - (rank_a < rank_b);
  }
  return result != 0 ? result : (a > b) - (a < b);
}

static uint32_t merge(rewriter *self, order by, uint32_t a, uint32_t b) {
  uint32_t head = NONE, *tail = &head;
  while (a != NONE && b != NONE) {
    uint32_t *from = compare(self, by, a, b) < 0 ? &a : &b;
    *tail = *from;
    tail = &self->members[*from].next;
    *from = *tail;
  }
  *tail = a != NONE ? a : b;
  return head;
}

/* Merge sort from below: a list in heaps[i] has 2^i members. */
static uint32_t sort(rewriter *self, order by, uint32_t list) {
  uint32_t heaps[32], all = NONE;
  for (size_t i = 0; i < 32; i++) heaps[i] = NONE;
  while (list != NONE) {
    uint32_t run = list;
    list = self->members[run].next;
    self->members[run].next = NONE;
    size_t i = 0;
    for (; heaps[i] != NONE; i++) {
      run = merge(self, by, heaps[i], run);
      heaps[i] = NONE;
    }
    heaps[i] = run;
  }
  for (size_t i = 0; i < 32; i++) all = merge(self, by, heaps[i], all);
  return all;
}

/* In a list sorted by names: of a name that stands several times the first member takes the last value. */
static void join_equal(rewriter *self, uint32_t list) {
  for (uint32_t at = list; at != NONE; at = self->members[at].next) {
    member *m = &self->members[at];
    while (m->next != NONE && lk_slice_equal(name_of(self, at), name_of(self, m->next))) {
      const member *later = &self->members[m->next];
      LK_COVERED(js_json_joined_equal_names);
      m->value_at = later->value_at;
      m->value_end = later->value_end;
      m->next = later->next;
      self->moved = true;
    }
  }
}

static void end_object(rewriter *self, const level *object) {
  if (object->first == NONE) return;
  uint32_t list = object->first;
  if (object->first != object->last) {
    list = sort(self, NAMES, list);
    join_equal(self, list);
    if (self->order == JAVASCRIPT) list = sort(self, JAVASCRIPT, list);
  }
  self->members[object->first].first = list;
  self->members[object->first].object_end = place(self);
  for (uint32_t at = list; at != NONE && !self->moved; at = self->members[at].next) {
    uint32_t next = self->members[at].next;
    self->moved = next != NONE && next < at;
  }
}

/* ---- the first pass ---- */

static void skip_space(rewriter *self) {
  for (; self->at < self->text.len; self->at++) {
    uint8_t byte = self->text.ptr[self->at];
    if (byte != ' ' && byte != '\n' && byte != '\r' && byte != '\t') return;
  }
}

/* The next byte that is no space; LK_ERR_TRUNCATED where there is none. */
static lk_err peek(rewriter *self, uint8_t *out) {
  skip_space(self);
  if (self->at == self->text.len) return LK_ERR_TRUNCATED;
  *out = self->text.ptr[self->at];
  return LK_OK;
}

static lk_err add_member(rewriter *self, uint32_t name_at) {
  level *object = &self->levels[self->depth - 1];
  if (self->count == self->cap) {
    size_t cap;
    if (!lk_grow_cap(self->cap, (size_t)self->count + 1, 8, NONE, &cap)) return LK_ERR_LIMIT;
    member *grown = lk_resize_array(self->out->alloc, self->members, self->cap, cap, sizeof *grown);
    if (grown == NULL) return LK_ERR_NOMEM;
    self->members = grown;
    self->cap = (uint32_t)cap;
  }
  uint32_t index = self->count++;
  self->members[index] = (member){ .name_at = name_at, .next = NONE, .first = NONE };
  if (object->first == NONE) object->first = index;
  else self->members[object->last].next = index;
  object->last = index;
  return LK_OK;
}

static lk_err begin_member(rewriter *self) {
  uint8_t byte;
  uint32_t name_at = place(self);
  lk_err err = peek(self, &byte);
  if (err == LK_OK && byte != '"') err = LK_ERR_SYNTAX;
  if (err == LK_OK) err = add_member(self, name_at);
  if (err == LK_OK) err = rewrite_string(self);
  if (err != LK_OK) return err;
  self->members[self->count - 1].name_end = place(self);
  if ((err = peek(self, &byte)) != LK_OK) return err;
  if (byte != ':') return LK_ERR_SYNTAX;
  self->at++;
  err = lk_buf_append_u8(self->out, ':');
  self->members[self->count - 1].value_at = place(self);
  return err;
}

static lk_err begin_level(rewriter *self, bool object) {
  if (self->depth == self->depth_max) return LK_ERR_DEPTH;
  self->levels[self->depth++] = (level){ NONE, NONE, object };
  self->at++;
  return lk_buf_append_u8(self->out, object ? '{' : '[');
}

static lk_err end_level(rewriter *self) {
  const level *top = &self->levels[--self->depth];
  self->at++;
  lk_err err = lk_buf_append_u8(self->out, top->object ? '}' : ']');
  if (err == LK_OK && top->object) end_object(self, top);
  return err;
}

/* Behind a value: closes levels up to where the next value begins, or until the whole is over. */
static lk_err go_on(rewriter *self) {
  while (self->depth > 0) {
    level *top = &self->levels[self->depth - 1];
    uint8_t byte;
    if (top->object) self->members[top->last].value_end = place(self);
    lk_err err = peek(self, &byte);
    if (err != LK_OK) return err;
    if (byte == ',') {
      self->at++;
      err = lk_buf_append_u8(self->out, ',');
      return err == LK_OK && top->object ? begin_member(self) : err;
    }
    if (byte != (top->object ? '}' : ']')) return LK_ERR_SYNTAX;
    if ((err = end_level(self)) != LK_OK) return err;
  }
  return LK_OK;
}

static lk_err rewrite_simple(rewriter *self, uint8_t byte) {
  lk_err err;
  switch (byte) {
  case '"': err = rewrite_string(self); break;
  case 't': err = rewrite_word(self, LK_LIT("true")); break;
  case 'f': err = rewrite_word(self, LK_LIT("false")); break;
  case 'n': err = rewrite_word(self, LK_LIT("null")); break;
  default: err = rewrite_number(self); break;
  }
  return err == LK_OK ? go_on(self) : err;
}

/* A simple value whole, or the beginning of another up to its first value. */
static lk_err rewrite_value(rewriter *self) {
  uint8_t byte;
  lk_err err = peek(self, &byte);
  if (err != LK_OK) return err;
  bool object = byte == '{';
  if (!object && byte != '[') return rewrite_simple(self, byte);
  if ((err = begin_level(self, object)) != LK_OK) return err;
  if ((err = peek(self, &byte)) != LK_OK) return err;
  if (byte == (object ? '}' : ']')) {
    err = end_level(self);
    return err == LK_OK ? go_on(self) : err;
  }
  return object ? begin_member(self) : LK_OK;
}

static lk_err rewrite_all(rewriter *self) {
  lk_err err;
  do {
    if ((err = rewrite_value(self)) != LK_OK) return err;
  } while (self->depth > 0);
  skip_space(self);
  return self->at == self->text.len ? LK_OK : LK_ERR_TRAILING;
}

/* ---- the second pass ---- */

/* The member whose name stands at |name_at|. */
static uint32_t find_member(const rewriter *self, uint32_t name_at) {
  uint32_t low = 0, high = self->count;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (self->members[middle].name_at <= name_at) low = middle;
    else high = middle;
  }
  LK_ASSERT(self->members[low].name_at == name_at);
  return low;
}

/* The place behind what can be copied at |at| in one go, up to |end| or the next object with members. */
static size_t plain_end(lk_slice text, size_t at, size_t end) {
  for (; at < end; at++) {
    if (text.ptr[at] == '{' && text.ptr[at + 1] == '"') return at;
    if (text.ptr[at] != '"') continue;
    for (at++; text.ptr[at] != '"'; at++) at += text.ptr[at] == '\\';
  }
  return end;
}

typedef struct open_object {
  uint32_t member; /* being written */
  uint32_t end;    /* the place behind the object in what is copied */
} open_object;

/* Writes the name of |index|, and gives the place of its value. */
static size_t copy_name(const rewriter *self, uint32_t index, lk_buf *out) {
  lk_buf_append(out, name_of(self, index));
  lk_buf_append_u8(out, ':');
  return self->members[index].value_at;
}

/* Appends what the first pass wrote, with the members in their order. */
static lk_err copy_in_order(const rewriter *self, lk_buf *out) {
  open_object stack[DEPTH_MAX];
  uint32_t depth = 0;
  lk_slice text = written(self);
  for (size_t at = 0;;) {
    size_t end = depth == 0 ? text.len : self->members[stack[depth - 1].member].value_end;
    size_t stop = plain_end(text, at, end);
    lk_buf_append(out, lk_slice_of(text.ptr + at, stop - at));
    if (stop < end) {
      uint32_t first = find_member(self, (uint32_t)stop + 1);
      LK_ASSERT(depth < DEPTH_MAX);
      stack[depth++] = (open_object){ self->members[first].first, self->members[first].object_end };
      lk_buf_append_u8(out, '{');
      at = copy_name(self, self->members[first].first, out);
      continue;
    }
    if (depth == 0) return lk_buf_err(out);
    open_object *top = &stack[depth - 1];
    top->member = self->members[top->member].next;
    lk_buf_append_u8(out, top->member == NONE ? '}' : ',');
    if (top->member != NONE) {
      at = copy_name(self, top->member, out);
    } else {
      at = top->end;
      depth--;
    }
  }
}

/* ---- both ---- */

static lk_err replace_in_order(const rewriter *self) {
  lk_buf ordered;
  lk_buf_init(&ordered, self->out->alloc, self->out->len - self->start);
  lk_err err = copy_in_order(self, &ordered);
  if (err == LK_OK) {
    lk_buf_truncate(self->out, self->start);
    err = lk_buf_append(self->out,
                        lk_buf_slice(&ordered)); /* no longer than it was: there is room */
  }
  lk_buf_deinit(&ordered);
  return err;
}

static lk_err rewrite(lk_slice text, const lk_limits *limits, order by, lk_buf *out) {
  rewriter self; /* no initialiser: clearing all the levels would take longer than reading */
  LK_ASSERT(limits->json_depth > 0 && limits->json_depth <= DEPTH_MAX);
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  self.text = text;
  self.at = 0;
  self.out = out;
  self.start = out->len;
  self.order = by;
  self.moved = false;
  self.members = NULL;
  self.count = 0;
  self.cap = 0;
  self.depth_max = limits->json_depth;
  self.depth = 0;
  /* Places are 32 bits, and a text grows by the factor of five at most. */
  if (text.len > NONE / 8) return LK_ERR_LIMIT;
  lk_err err = lk_utf8_check(text);
  if (err == LK_OK) err = rewrite_all(&self);
  if (err == LK_OK && self.moved) err = replace_in_order(&self);
  lk_free_array(out->alloc, self.members, self.cap, sizeof *self.members);
  if (err != LK_OK) lk_buf_truncate(out, self.start);
  return err;
}

lk_err lk_js_json_rewrite(lk_slice text, const lk_limits *limits, lk_buf *out) {
  return rewrite(text, limits, JAVASCRIPT, out);
}

lk_err lk_js_json_equal(lk_slice a, lk_slice b, const lk_limits *limits, const lk_alloc *alloc,
                        bool *equal) {
  *equal = lk_slice_equal(a, b);
  if (*equal || a.len != b.len) return LK_OK; /* the same tokens in another order are as long */
  lk_buf sorted_a, sorted_b;
  lk_buf_init(&sorted_a, alloc, a.len);
  lk_buf_init(&sorted_b, alloc, b.len);
  lk_err err = rewrite(a, limits, NAMES, &sorted_a);
  if (err == LK_OK) err = rewrite(b, limits, NAMES, &sorted_b);
  if (err == LK_OK) *equal = lk_slice_equal(lk_buf_slice(&sorted_a), lk_buf_slice(&sorted_b));
  lk_buf_deinit(&sorted_a);
  lk_buf_deinit(&sorted_b);
  LK_ASSERT(err == LK_OK || err == LK_ERR_NOMEM);
  return err;
}
