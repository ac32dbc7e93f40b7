/* crdt/position.c -- a tree that is never built, kept in the order of bytes.
 *
 * A position is the path to a node of a tree, and the list is that tree read from left to right:
 * what hangs on the left of a node, the node, what hangs on its right. The root, and each side of
 * each node, is a slot. Any number of nodes may be in one slot, ordered by actor and then by number;
 * so an actor's nodes in a slot lie together, its family. A number is +seq or -seq: with +seq an
 * actor goes behind its family, with -seq before it.
 *
 *   root slot   (alice,-3)  (alice,+1)  (alice,+2)                      the list:
 *                                 \           \                           -3 +1 x y +2 z
 *                          (bob,+7) (bob,+8)   (carol,+1)
 *                              x        y          z
 *
 * The bytes.
 *
 *   position := step (side step)* end         left = 01, end = 02, right = 03
 *   step     := actor number
 *   actor    := (byte + 1){1,64} 00           valid UTF-8 is 00..F4, so 01..F5 stand here
 *   number   := 80..F7                        1 to 120
 *             | (F7 + k) magnitude:k bytes    above that, big endian, k from 1 to 8, as few as do
 *             | the same with each bit turned over, for negative numbers
 *
 *   alice +1    62 6D 6A 64 66 00 80 02
 *   alice -300  62 6D 6A 64 66 00 06 FE D3 02
 *
 * Each part tells where it ends and sorts as it should, so the whole does. The actor's 00 is below
 * whatever a longer actor has there, which is what "a prefix comes first" means; adding one to each
 * byte leaves 00 free without an escape, though U+0000 is allowed. A longer number has a greater
 * first byte; turning the bits over turns the order over. A node must come behind its left side, the
 * paths of which are longer than its own: hence the end mark, between the marks of the two sides,
 * where the mere end of the bytes would put it before both.
 *
 * A new position. The paths of the neighbours l < r begin with slots that they share. In the first
 * in which they differ we are bounded on both sides, and below it on one: along l we must stay above
 * l's steps, along r below r's.
 *
 *   1. The slot in which their steps differ, if the actor's +seq or -seq fits between the steps.
 *   2. The slots below that, along l: the first in which +seq is above l's step; failing all, the
 *      right side of l itself.
 *   3. The same along r, with -seq too, ending with the left side of r.
 *   4. Of 2 and 3 the shorter, and 2 where they tie.
 *
 * There always is one. If steps differ in some slot, the right side of l is below l's step there,
 * and so before r. If none do, one path ends where the other goes on, or they take two sides of
 * one node. Where l ends, r is on its right, and the left side of r is behind l; where r ends, the
 * same mirrored; where they take two sides, both will do. An empty l or r is a bound that is not
 * there. None of this asks that seq be greater than other numbers, only that it be unused. (A
 * stranger may have used it: the step does not fit beside its double, and a later slot is taken.)
 *
 * Each path is read a fixed number of times, and each of its steps is compared with a step of ours
 * over at most its own length: linear in the bytes, whoever made them.
 *
 * Runs stay together, as long as an actor's numbers grow. Say that an actor types a run between l
 * and r, anywhere before, behind and in what it has typed there; p is the first node of it. Then
 * every later one is in p's family in p's slot, or below a new member of it:
 *   - Behind the run, +seq fits beside p; a shorter place would have done for p too, and was not
 *     there. Before the run, the same with -seq.
 *   - Unless p itself continued an older family: p = (a,+5) behind (a,+2), below which l is. Then -6
 *     does not fit between them. A place below (a,+2) would be among what others put between l and
 *     r, so it must be one below p. This is the exception to 4: between two members of the actor's
 *     own family, the side of the later one is taken, which has the greater magnitude.
 * Others who insert between l and r have not seen p. They are in other families, or below older
 * members of this one, none of which is between l and r. So nobody is inside of the run.
 *
 * How long they get, while numbers grow. Appending, by any number of actors in any order, gives at
 * most one step for each actor: the actors along l descend, or a shorter place would have done. The
 * same holds for prepending. One actor alone stays at one step: its name and 3 to 11 bytes. At random
 * places the length seems to grow as the logarithm of the count (position_test.c has numbers). The
 * worst is to insert between the last two inserted, each time on the other side of the last one: a
 * step each time, until |len_max| ends it. A number that is smaller than those before costs a step
 * more where it does not fit.
 *
 * Not chosen: fractions, as in Logoot and LSEQ, where the digits of two runs at one place interleave.
 * Nor each element of a run below the one before it, as in the tree of Fugue, which this one
 * abbreviates: such paths grow with the run unless the tree is kept in memory. */
#include "crdt/position.h"

#include "codec/reader.h"
#include "crdt/type.h"

enum { NONE = 0, LEFT = 1, END = 2, RIGHT = 3 };

#define ACTOR_END 0x00
#define NUMBER_LEN_MAX 9
#define STEP_LEN_MAX (LK_ACTOR_LEN_MAX + 1 + NUMBER_LEN_MAX)
#define MAGNITUDE_MAX ((uint64_t)INT64_MAX)

/* ---- numbers ---- */

#define SMALL_MAX 120u   /* the greatest in one byte */
#define SMALL_BASE 0x7Fu /* which is this plus the number */
#define LONG_BASE 0xF7u  /* this plus the count of bytes that follow */
#define NEGATIVE_BELOW 0x80u

static size_t number_len(uint64_t magnitude) {
  return magnitude <= SMALL_MAX ? 1 : 1 + (71 - lk_clz_u64(magnitude)) / 8;
}

static size_t store_number(uint8_t *out, uint64_t magnitude, bool negative) {
  size_t len = number_len(magnitude);
  uint8_t flip = negative ? 0xFF : 0;
  uint64_t first = len == 1 ? SMALL_BASE + magnitude : LONG_BASE + (len - 1);
  out[0] = (uint8_t)(first ^ flip);
  for (size_t i = len - 1; i > 0; i--, magnitude >>= 8)
    out[i] = (uint8_t)((magnitude & 0xFF) ^ flip);
  return len;
}

static lk_err read_number(lk_reader *in, uint64_t *out) {
  uint8_t first;
  lk_slice rest;
  lk_err err = lk_reader_u8(in, &first);
  if (err != LK_OK) return err;
  uint8_t flip = first < NEGATIVE_BELOW ? 0xFF : 0;
  first ^= flip;
  *out = first - SMALL_BASE;
  if (first <= LONG_BASE) return LK_OK;

  if ((err = lk_reader_bytes(in, first - LONG_BASE, &rest)) != LK_OK) return err;
  *out = 0;
  for (size_t i = 0; i < rest.len; i++) *out = *out << 8 | (rest.ptr[i] ^ flip);
  if (number_len(*out) != 1 + rest.len) return LK_ERR_NOT_CANONICAL;
  return *out <= MAGNITUDE_MAX ? LK_OK : LK_ERR_RANGE;
}

/* ---- steps ---- */

typedef struct step {
  lk_slice bytes;     /* actor and number: they order the steps of a slot */
  lk_slice actor;     /* the first part of them, with its end */
  uint64_t magnitude; /* of the number */
  uint8_t mark;       /* what follows: LEFT, RIGHT or END */
} step;

static lk_err read_actor(lk_reader *in) {
  uint8_t text[LK_ACTOR_LEN_MAX], byte;
  for (size_t len = 0;; len++) {
    lk_err err = lk_reader_u8(in, &byte);
    if (err != LK_OK) return err;
    if (byte == ACTOR_END) return lk_crdt_check_actor(lk_slice_of(text, len));
    if (len == LK_ACTOR_LEN_MAX) return LK_ERR_ACTOR;
    text[len] = (uint8_t)(byte - 1);
  }
}

static lk_err read_step(lk_reader *in, step *out) {
  lk_err err;
  size_t pos = in->pos;
  if ((err = read_actor(in)) != LK_OK) return err;
  out->actor = lk_reader_since(in, pos);
  if ((err = read_number(in, &out->magnitude)) != LK_OK) return err;
  out->bytes = lk_reader_since(in, pos);
  if ((err = lk_reader_u8(in, &out->mark)) != LK_OK) return err;
  return out->mark >= LEFT && out->mark <= RIGHT ? LK_OK : LK_ERR_CORRUPT;
}

lk_err lk_position_decode(lk_slice position) {
  lk_reader in = lk_reader_of(position);
  step at;
  do {
    lk_err err = read_step(&in, &at);
    if (err != LK_OK) return err;
  } while (at.mark != END);
  return lk_reader_end(&in);
}

/* The next step of a position that was decoded before. */
static step next_step(lk_reader *in) {
  step at;
  lk_err err = read_step(in, &at);
  LK_ASSERT(err == LK_OK);
  return at;
}

/* ---- finding a place ---- */

/* What the new position may end with: the actor and +seq, or the actor and -seq. */
typedef struct own_steps {
  uint8_t bytes[2][STEP_LEN_MAX];
  size_t actor_len; /* with its end */
  size_t len;
} own_steps;

static void make_own(own_steps *self, lk_slice actor, uint64_t seq) {
  self->actor_len = actor.len + 1;
  for (size_t negative = 0; negative < 2; negative++) {
    uint8_t *to = self->bytes[negative];
    for (size_t i = 0; i < actor.len; i++) to[i] = (uint8_t)(actor.ptr[i] + 1);
    to[actor.len] = ACTOR_END;
    self->len = self->actor_len + store_number(to + self->actor_len, seq, negative == 1);
  }
}

static lk_slice own_step(const own_steps *self, bool negative) {
  return lk_slice_of(self->bytes[negative], self->len);
}

static bool is_own(const own_steps *self, const step *at) {
  return lk_slice_equal(at->actor, lk_slice_of(self->bytes[0], self->actor_len));
}

/* Where the new step goes: into the slot in which |prefix| ends, or to a side of the node that
 * |prefix| is. */
typedef struct place {
  lk_slice prefix;
  uint8_t side; /* LEFT, RIGHT, or NONE for the slot */
  bool negative;
} place;

static size_t place_len(const place *self) { return self->prefix.len + (self->side != NONE); }

/* Whether a step of ours is strictly between two others, each of which may be missing. */
static bool fits(const own_steps *own, const step *low, const step *high, bool *negative) {
  for (unsigned sign = 0; sign < 2; sign++) {
    lk_slice mine = own_step(own, sign == 1);
    if (low != NULL && lk_slice_compare(low->bytes, mine) >= 0) continue;
    if (high != NULL && lk_slice_compare(mine, high->bytes) >= 0) continue;
    *negative = sign == 1;
    return true;
  }
  return false;
}

/* The shortest place that is on |side| of a neighbour as far as |path|, what is left of it, goes. */
static place beside(const own_steps *own, lk_reader path, uint8_t side) {
  place found = { .side = NONE };
  while (lk_reader_left(&path) > 0) {
    size_t slot = path.pos;
    step at = next_step(&path);
    found.prefix = lk_slice_first(path.bytes, slot);
    if (fits(own, side == RIGHT ? &at : NULL, side == LEFT ? &at : NULL, &found.negative))
      return found;
  }
  return (place){ lk_slice_first(path.bytes, path.bytes.len - 1), side, false };
}

/* For neighbours that are both there. */
static place between(const own_steps *own, lk_slice left, lk_slice right) {
  lk_reader l = lk_reader_of(left), r = lk_reader_of(right);
  step a, b;
  place found = { .side = NONE };
  do {
    found.prefix = lk_slice_first(left, l.pos);
    a = next_step(&l);
    b = next_step(&r);
  } while (lk_slice_equal(a.bytes, b.bytes) && a.mark == b.mark);

  if (lk_slice_equal(a.bytes, b.bytes)) {
    if (a.mark == END) return beside(own, r, LEFT);  /* r is on the right of l */
    if (b.mark == END) return beside(own, l, RIGHT); /* l is on the left of r */
  } else {
    if (fits(own, &a, &b, &found.negative)) return found;
    if (is_own(own, &a) && is_own(own, &b)) { /* stay with the later one: see above */
      LK_COVERED(position_between_own_steps);
      return b.magnitude > a.magnitude ? beside(own, r, LEFT) : beside(own, l, RIGHT);
    }
  }
  place behind = beside(own, l, RIGHT), before = beside(own, r, LEFT);
  return place_len(&before) < place_len(&behind) ? before : behind;
}

static place find_place(const own_steps *own, lk_slice left, lk_slice right) {
  if (left.len > 0 && right.len > 0) return between(own, left, right);
  if (left.len > 0) return beside(own, lk_reader_of(left), RIGHT);
  if (right.len > 0) return beside(own, lk_reader_of(right), LEFT);
  return (place){ .side = NONE };
}

/* ---- the whole ---- */

static lk_err check_neighbours(lk_slice left, lk_slice right) {
  if (left.len > 0 && lk_position_decode(left) != LK_OK) return LK_ERR_INVALID;
  if (right.len > 0 && lk_position_decode(right) != LK_OK) return LK_ERR_INVALID;
  if (right.len > 0 && lk_slice_compare(left, right) >= 0) return LK_ERR_INVALID;
  return LK_OK;
}

static uint8_t *put(uint8_t *to, lk_slice bytes) {
  if (bytes.len > 0) memcpy(to, bytes.ptr, bytes.len);
  return to + bytes.len;
}

static lk_err append(lk_buf *out, const place *at, lk_slice mine, size_t len_max) {
  size_t len_before = out->len, len;
  if (out->err != LK_OK) return out->err;
  if (!lk_add_size(place_len(at), mine.len + 1, &len) || len > len_max) return LK_ERR_LIMIT;
  uint8_t *to = lk_buf_extend(out, len);
  if (to == NULL) {
    lk_err err = lk_buf_err(out);
    lk_buf_truncate(out, len_before); /* forgets the error: the buffer is as before */
    return err;
  }
  to = put(to, at->prefix);
  if (at->side != NONE) *to++ = at->side;
  to = put(to, mine);
  *to = END;
  return LK_OK;
}

lk_err lk_position_between(lk_slice left, lk_slice right, lk_slice actor, uint64_t seq,
                           size_t len_max, lk_buf *out) {
  own_steps own;
  lk_err err = lk_crdt_check_actor(actor);
  if (err != LK_OK) return err;
  if (seq == 0 || seq > MAGNITUDE_MAX) return LK_ERR_RANGE;
  if ((err = check_neighbours(left, right)) != LK_OK) return err;
  make_own(&own, actor, seq);
  place at = find_place(&own, left, right);
  return append(out, &at, own_step(&own, at.negative), len_max);
}
