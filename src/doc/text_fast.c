/* doc/text_fast.c -- a keystroke, ours or somebody else's.
 *
 * Nearly every change to a text is a few characters, put behind what the same user typed last or taken out of one
 * run. Such a change needs no transaction: what it will be once it is cleaned up is known beforehand. So it is made
 * at once, in tens of nanoseconds, and its update is written from what is at hand. An update that says such a thing is
 * recognised by its bytes, also where text replaces other text; modules in which bytes of code count for more know V1 alone,
 * and one thing at a time.
 *
 * The next character mostly comes where the last one was. doc->typing remembers where that is, and that nothing has to be
 * looked at again: then it is a few stores, and the order index is told later, by lk_typing_end(), which
 * everybody calls who changes anything else or asks for an index.
 *
 * Whatever is not of that kind is left to text.c and apply.c: formatted or wide text, an open transaction, concurrent
 * neighbours, memory that is not there yet. So nothing here can fail half-way.
 *
 * Who replaces text does so in a transaction: a deletion, and characters where that was. As long as a transaction has nothing
 * but these two they are made at once as well, and doc->stroke says so. The next call within it settles that, as below.
 *
 * What undo managers will want to keep is known beforehand as well: they are asked. It keeps its text, and becomes one with
 * what is kept beside it, where their texts lie side by side. Should none of them want it in the end, because an observer that
 * is called before them saw to that, it is settled, and goes the way of all else.
 *
 * Observers of events get what a transaction would tell them (lk_stroke_tell()), while the items look already as they will
 * when it is over. Who only listens, or asks for the delta, cannot tell. Who looks closer, or changes anything, calls
 * lk_stroke_settle(): that cuts out what was typed or deleted, and from then on it is a transaction like any other.
 *
 * Where nobody observes events, one value that comes into a list is of that kind, too.
 *
 * That both ways leave the same document and the same bytes is tested. */
#include "doc/engine.h"

#include "codec/varint.h"
#include "doc/events.h"
#include "doc/value.h"

/* More is a paste, for which a transaction is no burden. */
#define TYPED_MAX 65536

/* A stretch of typing is looked at as a whole again after so many characters. */
#define TYPED_ON_MAX 256

/* Where bytes of code count for more, numbers are written by a call. */
#ifdef LK_SMALL
#define MAYBE_INLINE __attribute__((noinline))
#else
#define MAYBE_INLINE inline
#endif

#define OUT_OF_LINE __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))

/* Whether there is what it takes to tell observers. */
static bool can_tell(lk_doc *doc) { return !doc->tells_txs || lk_stroke_ready(doc); }

/* Where nobody observes, no more has to be asked: nothing is typed on while observers are called, even when the last one
 * of them has just gone (lk_doc_off()). */
static inline bool is_observed(const lk_doc *doc) { return doc->observers.count > 0; }

static bool is_open_to_it(lk_doc *doc, const lk_type *type) {
  bool is_told = doc->tx != NULL || can_tell(doc); /* an open transaction has what that takes */
  return !doc->cleaning && (type->flags & LK_TYPE_HAS_FORMAT) == 0 && is_told;
}

static bool reserve_gone(lk_doc *doc, lk_tx *tx, uint32_t count) {
  doc->gone.count = 0;
  return LK_VEC_RESERVE(doc, tx->ranges, count) == LK_OK &&
         LK_VEC_RESERVE(doc, doc->gone, count) == LK_OK;
}

/* Whether the open transaction may begin with a deletion that is made at once. One within another may not: that is how
 * tests go the slow way. */
static bool may_replace(lk_doc *doc) {
  lk_tx *tx = doc->tx;
  if (!LK_FAST_ALL) return false;
  bool is_empty = (tx->changed.count | tx->touched.count | tx->ranges.count | tx->merges.count) ==
                  0;
  return tx->depth == 1 && is_empty && tx->local && LK_VEC_RESERVE(doc, tx->changed, 1) == LK_OK &&
         LK_VEC_RESERVE(doc, tx->touched, 1) == LK_OK && reserve_gone(doc, tx, 1);
}

/* Whether that is what the open transaction did, and all of it, and what comes at |index| stands in its place. */
static bool replaces(const lk_doc *doc, uint32_t slot, uint32_t index) {
  const lk_stroke *stroke = &doc->stroke;
  bool is_there = stroke->type == slot && stroke->index == index;
  return LK_FAST_ALL && stroke->tx == doc->tx && is_there && doc->tx->touched.count == 0;
}

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* What is shorter than a word, or its rest, is read as two that overlap. */
static bool is_ascii(lk_slice text) {
  const uint8_t *at = text.ptr;
  size_t len = text.len;
  uint64_t bits = 0;
  if (len < 4) {
    if (len == 0) return true;
    bits = (uint64_t)at[0] | at[len / 2] | at[len - 1];
  } else if (len < 8) {
    bits = lk_load_le32(at) | lk_load_le32(at + len - 4);
  } else {
    for (size_t i = 0; i + 8 < len; i += 8) bits |= lk_load_le64(at + i);
    bits |= lk_load_le64(at + len - 8);
  }
  return (bits & HIGH_BITS) == 0;
}

/* The same for copying: most of what is typed is short, and a call that asks how short takes longer. */
static inline void copy_text(uint8_t *to, lk_slice text) {
  const uint8_t *from = text.ptr;
  size_t len = text.len;
  if (len < 4) {
    uint8_t first = from[0], middle = from[len / 2], last = from[len - 1];
    to[0] = first;
    to[len / 2] = middle;
    to[len - 1] = last;
  } else if (len < 8) {
    uint32_t first = lk_load_le32(from), last = lk_load_le32(from + len - 4);
    lk_store_le32(to, first);
    lk_store_le32(to + len - 4, last);
  } else {
    memcpy(to, from, len);
  }
}

/* ---- the update ---- */

static MAYBE_INLINE uint8_t *put(uint8_t *to, uint32_t value) {
  for (; value >= 0x80; value >>= 7) *to++ = (uint8_t)(value | 0x80);
  *to++ = (uint8_t)value;
  return to;
}

/* Where that is a call, it is one and not three. */
static MAYBE_INLINE uint8_t *put_id(const lk_doc *doc, uint8_t *to, uint32_t client,
                                    uint32_t clock) {
  for (uint64_t id = doc->clients.at[client].id;; id >>= 7) {
    if (id < 0x80) {
      *to++ = (uint8_t)id;
      break;
    }
    *to++ = (uint8_t)(id | 0x80);
  }
  return put(to, clock);
}

/* Whose change it was: that of the caller's own call, or an update that came from |origin|. */
typedef struct whose {
  uint64_t origin;
  bool local;
} whose;
static const whose OURS = { 0, true };

static uint8_t *emit_room(lk_doc *doc, size_t len) {
  lk_buf *emit = &doc->emit;
  if (emit->err == LK_OK && emit->cap >= len + 96) return emit->ptr;
  lk_buf_truncate(emit, 0);
  return lk_buf_reserve(emit, len + 96) == LK_OK ? emit->ptr : NULL;
}

static void emit_to(lk_doc *doc, const uint8_t *end) {
  doc->emit.len = end == NULL ? 0 : (size_t)(end - doc->emit.ptr);
}

static void emit_insert(lk_doc *doc, const lk_stroke *what, lk_slice text, uint32_t origin_client,
                        uint32_t origin_clock, uint32_t right) {
  uint8_t *to = emit_room(doc, text.len);
  if (to != NULL) {
    *to++ = 1;
    *to++ = 1;
    to = put_id(doc, to, what->client, what->clock);
    *to++ = (uint8_t)(LK_CONTENT_STRING | (origin_client != LK_NO_CLIENT ? LK_INFO_ORIGIN : 0) |
                      (right != LK_NONE ? LK_INFO_RIGHT : 0));
    if (origin_client != LK_NO_CLIENT) to = put_id(doc, to, origin_client, origin_clock);
    if (right != LK_NONE) to = put_id(doc, to, doc->items[right].client, doc->items[right].clock);
    if (text.len == 1) {
      *to++ = 1;
      *to++ = text.ptr[0];
    } else {
      to = put(to, (uint32_t)text.len);
      memcpy(to, text.ptr, text.len);
      to += text.len;
    }
    *to++ = 0;
  }
  emit_to(doc, to);
}

static void emit_delete(lk_doc *doc, const lk_stroke *what) {
  uint8_t *to = emit_room(doc, 0);
  if (to != NULL) {
    *to++ = 0;
    *to++ = 1;
    to = put_id(doc, to, what->client, 1); /* 1 range of his */
    to = put(put(to, what->clock), what->len);
  }
  emit_to(doc, to);
}

#ifndef LK_SMALL

/* The same in V2: nine columns, each behind its length, then what has no column. */

/* What stands in front of deletions by themselves: empty columns, of which the texts' has an empty string, and no structs. */
static const uint8_t deletes_v2[] = { 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1 };

static OUT_OF_LINE uint8_t *put_far(uint8_t *to, uint64_t value) {
  return lk_varuint_put(to, value);
}

/* A varint of lib0: the sign and 6 bits, then the others. */
static uint8_t *put_varint(uint8_t *to, uint64_t magnitude, bool negative) {
  *to = (uint8_t)((magnitude & 0x3F) | (negative ? 0x40 : 0));
  if (magnitude < 0x40) return to + 1;
  *to |= 0x80;
  return put_far(to + 1, magnitude >> 6);
}

/* The clients of a struct, its origin and its right origin, where they are there; equal ones that follow each other as
 * one, negative, with their number less two. */
static uint8_t *put_clients(const lk_doc *doc, uint8_t *to, const uint16_t ids[3]) {
  for (uint32_t i = 0, next; i < 3; i = next) {
    next = i + 1;
    if (ids[i] == LK_NO_CLIENT) continue;
    uint32_t count = 1;
    for (; next < 3 && (ids[next] == ids[i] || ids[next] == LK_NO_CLIENT); next++)
      count += ids[next] == ids[i];
    to = put_varint(to, doc->clients.at[ids[i]].id, count > 1);
    if (count > 1) to = put_far(to, count - 2);
  }
  return to;
}

/* A column of one clock, a step of its own and from 0, or of none. */
static uint8_t *put_clock_column(uint8_t *to, bool is_there, uint32_t clock) {
  uint8_t *begin = to++;
  if (is_there) to = put_varint(to, 2 * (uint64_t)clock, false);
  *begin = (uint8_t)(to - begin - 1);
  return to;
}

static OUT_OF_LINE void emit_insert_v2(lk_doc *doc, const lk_stroke *what, lk_slice text,
                                       uint32_t origin_client, uint32_t origin_clock,
                                       uint32_t right) {
  uint8_t *to = emit_room(doc, text.len), *begin;
  if (to != NULL) {
    uint16_t ids[] = { (uint16_t)what->client, (uint16_t)origin_client, LK_NO_CLIENT };
    uint32_t right_clock = 0;
    if (right != LK_NONE) {
      ids[2] = doc->items[right].client;
      right_clock = doc->items[right].clock;
    }
    *to++ = 0;
    *to++ = 0;
    begin = to++;
    to = put_clients(doc, to, ids);
    *begin = (uint8_t)(to - begin - 1);
    to = put_clock_column(to, ids[1] != LK_NO_CLIENT, origin_clock);
    to = put_clock_column(to, right != LK_NONE, right_clock);
    *to++ = 1;
    *to++ = (uint8_t)(LK_CONTENT_STRING | (ids[1] != LK_NO_CLIENT ? LK_INFO_ORIGIN : 0) |
                      (right != LK_NONE ? LK_INFO_RIGHT : 0));
    size_t units_len = lk_varint_len((lk_varint){ text.len, false });
    to = put_far(to, lk_varuint_len(text.len) + text.len + units_len);
    to = put_far(to, text.len);
    memcpy(to, text.ptr, text.len);
    to = put_varint(to + text.len, text.len, false);
    memcpy(to, "\0\0\0\1\1", 5);
    to = put_far(to + 5, what->clock);
    *to++ = 0;
  }
  emit_to(doc, to);
}

/* One value of a list. */
static OUT_OF_LINE void emit_value(lk_doc *doc, const lk_item *item, uint32_t clock, bool is_v2,
                                   lk_slice any) {
  uint8_t *to = emit_room(doc, any.len), *begin;
  bool own = item->clock != clock; /* the struct was there before */
  uint16_t origin = own ? item->client : item->origin_client;
  uint32_t origin_clock = own ? clock - 1 : item->origin_clock;
  uint16_t ids[] = { item->client, origin, item->right_client };
  if (to != NULL) {
    uint8_t info = (uint8_t)(LK_CONTENT_ANY | (origin != LK_NO_CLIENT ? LK_INFO_ORIGIN : 0) |
                             (item->right_client != LK_NO_CLIENT ? LK_INFO_RIGHT : 0));
    if (is_v2) {
      *to++ = 0;
      *to++ = 0;
      begin = to++;
      to = put_clients(doc, to, ids);
      *begin = (uint8_t)(to - begin - 1);
      to = put_clock_column(to, origin != LK_NO_CLIENT, origin_clock);
      to = put_clock_column(to, ids[2] != LK_NO_CLIENT, item->right_clock);
      memcpy(to, "\1\0\1\0\0\0\1\1\1\1", 10);
      to[1] = info;
      to = put_far(to + 10, clock);
    } else {
      *to++ = 1;
      *to++ = 1;
      to = put_id(doc, to, item->client, clock);
      *to++ = info;
      if (origin != LK_NO_CLIENT) to = put_id(doc, to, origin, origin_clock);
      if (ids[2] != LK_NO_CLIENT) to = put_id(doc, to, ids[2], item->right_clock);
      *to++ = 1;
    }
    memcpy(to, any.ptr, any.len);
    to += any.len;
    *to++ = 0;
  }
  emit_to(doc, to);
}

static OUT_OF_LINE void emit_delete_v2(lk_doc *doc, const lk_stroke *what) {
  uint8_t *to = emit_room(doc, 0);
  if (to != NULL) {
    memcpy(to, deletes_v2, sizeof deletes_v2);
    to = put_far(to + sizeof deletes_v2, doc->clients.at[what->client].id);
    *to++ = 1;
    to = put_far(put(to, what->clock), what->len - 1);
  }
  emit_to(doc, to);
}

/* Ranges of one client that ascend. */
static OUT_OF_LINE void emit_ranges(lk_doc *doc, const lk_range *ranges, uint32_t count,
                                    bool is_v2) {
  uint8_t *to = emit_room(doc, (size_t)count * 12);
  if (to != NULL) {
    uint32_t end = 0;
    memcpy(to, is_v2 ? deletes_v2 : (const uint8_t[]){ 0, 1 }, is_v2 ? sizeof deletes_v2 : 2);
    to = put_far(to + (is_v2 ? sizeof deletes_v2 : 2), doc->clients.at[ranges->client].id);
    to = put(to, count);
    for (uint32_t i = 0; i < count; i++) {
      to = put(to, ranges[i].clock - end);
      to = put(to, ranges[i].len - is_v2);
      if (is_v2) end = ranges[i].clock + ranges[i].len;
    }
  }
  emit_to(doc, to);
}

/* The last struct of |client|, which is plain text. */
static uint8_t *put_last(const lk_doc *doc, uint8_t *to, uint16_t client) {
  const lk_item *item = &doc->items[lk_client_last(doc, client)];
  bool has_left = item->origin_client != LK_NO_CLIENT,
       has_right = item->right_client != LK_NO_CLIENT;
  *to++ = 1;
  *to++ = 1;
  to = put_id(doc, to, client, item->clock);
  *to++ = (uint8_t)(LK_CONTENT_STRING | (has_left ? LK_INFO_ORIGIN : 0) |
                    (has_right ? LK_INFO_RIGHT : 0));
  if (has_left) to = put_id(doc, to, item->origin_client, item->origin_clock);
  if (has_right) to = put_id(doc, to, item->right_client, item->right_clock);
  to = put(to, item->len);
  memcpy(to, doc->text + item->content, item->len);
  return to + item->len;
}

bool lk_replace_emit(lk_doc *doc, const lk_tx *tx) {
  const lk_range *ranges = tx->ranges.at;
  const lk_touched *typed = tx->touched.count > 0 ? tx->touched.at : NULL;
  uint32_t count = tx->ranges.count, len = typed == NULL ? 0 : typed->after - typed->before;
  if (doc->update_observers == 0 || doc->update2_observers > 0 || !tx->local) return false;
  if (count == 0 || ranges[0].client != ranges[count - 1].client) return false;
  uint8_t *to = emit_room(doc, len + (size_t)count * 12);
  if (to != NULL) {
    if (typed == NULL) *to++ = 0;
    else
      to = put_last(doc, to, (uint16_t)typed->client); /* behind what is gone it goes on nowhere */
    *to++ = 1;
    to = put_id(doc, to, ranges->client, count);
    for (uint32_t i = 0; i < count; i++) to = put(put(to, ranges[i].clock), ranges[i].len);
  }
  emit_to(doc, to);
  return true;
}

#else
#define read_typed(doc, update, key) false
#define emit_insert_v2(doc, what, text, origin_client, origin_clock, right) ((void)0)
#define emit_delete_v2(doc, what) ((void)0)
#endif

/* To all observers; the update was written, if it is not told about as a transaction. */
static void tell(lk_doc *doc, whose who, const lk_stroke *what) {
  if (doc->tells_txs) {
    lk_stroke_tell(doc, what, who.origin, who.local);
    return;
  }
  uint32_t format = doc->update_observers > 0 ? LK_OBSERVE_UPDATE_V1 : LK_OBSERVE_UPDATE_V2;
  doc->cleaning = true; /* what observers change is cleaned up behind */
  lk_emit_update(doc, format, who.origin, who.local);
  doc->cleaning = false;
  if (doc->cleanups != NULL) lk_cleanups_run(doc);
}

static void tell_insert(lk_doc *doc, whose who, const lk_stroke *what, lk_slice text,
                        uint32_t origin_client, uint32_t origin_clock, uint32_t right) {
  if (doc->update_observers > 0) emit_insert(doc, what, text, origin_client, origin_clock, right);
  else if (doc->update2_observers > 0)
    emit_insert_v2(doc, what, text, origin_client, origin_clock, right);
  tell(doc, who, what);
}

static void tell_delete(lk_doc *doc, whose who, const lk_stroke *what) {
  if (doc->update_observers > 0) emit_delete(doc, what);
  else if (doc->update2_observers > 0) emit_delete_v2(doc, what);
  tell(doc, who, what);
}

#ifndef LK_SMALL
/* What was deleted, in |tx|, which is the first free one. */
static void tell_ranges(lk_doc *doc, whose who, lk_tx *tx) {
  lk_ranges_sort(tx->ranges.at, &tx->ranges.count, true);
  const lk_range *first = tx->ranges.at, *last = first + tx->ranges.count - 1;
  bool wanted = doc->update_observers + doc->update2_observers > 0;
  if (!wanted || first->client != last->client) {
    doc->stroke = (lk_stroke){ .right = LK_NONE, .many = true };
    lk_replace_tell(doc, tx, who.origin, who.local);
    return;
  }
  const lk_stroke what = { .type = LK_NONE };
  emit_ranges(doc, first, tx->ranges.count, doc->update_observers == 0);
  tell(doc, who, &what);
}
#endif

/* ---- items without a journal ---- */

/* Room for |more| in a block, in which |place| is. Modules in which bytes of code count for more leave it to the slow way
 * where there is none. */
static bool block_has_room(lk_doc *doc, uint16_t client, lk_place *place, uint32_t more) {
  const lk_block *block = &doc->clients.at[client].blocks[place->block];
  if ((uint32_t)block->cap - block->count >= more) return true;
  return LK_FAST_ALL && lk_client_spread(doc, client, place, more) == LK_OK;
}

/* Room for two items more, of which one splits |item|, which stands at |*place|. Items may move. */
static bool has_room(lk_doc *doc, const lk_type *type, uint32_t item, lk_place *place) {
  if (doc->item_cap - doc->item_live < 2 && lk_items_reserve(doc, 2) != LK_OK) return false;
  if (type->order != LK_NONE && lk_order_reserve(doc, 2) != LK_OK) return false;
  if (item == LK_NONE) return true;
  if (type->order != LK_NONE) lk_order_room(doc, item);
  uint16_t client = doc->items[item].client;
  *place = lk_item_place(doc, item);
  return block_has_room(doc, client, place, 2);
}

static uint32_t take_item(lk_doc *doc) {
  uint32_t is_new = doc->item_free == LK_NONE;
  uint32_t item = is_new ? doc->item_count : doc->item_free;
  doc->item_free = doc->items[item].left | (0 - is_new); /* LK_NONE: the last one was taken */
  doc->item_count += is_new;
  doc->item_live++;
  return item;
}

/* Puts |number| behind its |left|, whose |right| is right. */
static void link(lk_doc *doc, lk_type *type, uint32_t number) {
  lk_item *item = &doc->items[number];
  if (item->left != LK_NONE) doc->items[item->left].right = number;
  else type->start = number;
  if (item->right != LK_NONE) doc->items[item->right].left = number;
  else type->end = number;
}

/* The right half of a narrow text, which stands at |place|. The order index is not told. */
static uint32_t halve(lk_doc *doc, lk_type *type, uint32_t number, uint32_t offset,
                      lk_place place) {
  uint32_t right = take_item(doc);
  lk_item *item = &doc->items[number];
  lk_item half = *item;
  half.clock += offset;
  half.len -= offset;
  half.depth += offset;
  half.content += offset;
  half.origin_client = item->client;
  half.origin_clock = half.clock - 1;
  half.left = number;
  half.flags &= (uint8_t)~LK_ITEM_JOINED;
  doc->items[right] = half;
  if (lk_client_insert(doc, item->client, place, right) != LK_OK) LK_UNREACHABLE();
  item->len = offset;
  link(doc, type, right);
  return right;
}

static uint32_t split(lk_doc *doc, lk_type *type, uint32_t number, uint32_t offset,
                      lk_place place) {
  uint32_t right = halve(doc, type, number, offset, place);
  if (type->order != LK_NONE) lk_order_link_half(doc, right);
  return right;
}

static bool has_flag(const lk_doc *doc, uint32_t item, uint8_t flags) {
  return item != LK_NONE && (doc->items[item].flags & flags) != 0;
}

static bool is_joined(const lk_doc *doc, uint32_t item) {
  return has_flag(doc, item, LK_ITEM_JOINED);
}

/* What is kept for an undo manager, even for one that is gone, becomes one with what is deleted beside it, and then all
 * of it is kept: a transaction sees to that, where what is deleted now is not kept as well. */
static bool may_end_beside(const lk_doc *doc, uint32_t left, uint32_t right, bool keep) {
  uint8_t kept = keep ? 0 : LK_ITEM_KEEP;
  return !has_flag(doc, left, kept) && !has_flag(doc, right, (uint8_t)(kept | LK_ITEM_JOINED));
}

static inline bool is_plain(const lk_item *item) {
  uint32_t others = LK_ITEM_DELETED | LK_ITEM_WIDE | LK_ITEM_REDONE | LK_ITEM_KEEP;
  return (item->kind == LK_CONTENT_STRING) & ((item->flags & others) == 0);
}

static bool has_right(const lk_doc *doc, const lk_item *item, uint32_t right) {
  if (right == LK_NONE) return item->right_client == LK_NO_CLIENT;
  return item->right_client == doc->items[right].client &&
         item->right_clock == doc->items[right].clock;
}

static inline bool same_right(const lk_item *a, const lk_item *b) {
  bool has_none = a->right_client == LK_NO_CLIENT;
  return (a->right_client == b->right_client) & (has_none | (a->right_clock == b->right_clock));
}

/* ---- inserting ---- */

/* Whether a text may be put behind that of |item| where it lies. */
static bool text_goes_on(lk_doc *doc, lk_client *client, const lk_item *item, uint32_t len) {
  uint32_t end = item->content + item->len;
  if (end == doc->text_len) return lk_text_reserve(doc, len) == LK_OK;
  return client->text_end != 0 && client->text_used == end && client->text_end - end >= len;
}

static void extend(lk_doc *doc, lk_type *type, uint32_t left, lk_slice text) {
  lk_item *item = &doc->items[left];
  lk_client *client = &doc->clients.at[item->client];
  uint32_t end = item->content + item->len, len = (uint32_t)text.len;
  copy_text(doc->text + end, text);
  if (end == doc->text_len) doc->text_len += len;
  else client->text_used += len;
  item->len += len;
  client->clock += len;
  doc->units += len;
  type->length += len;
  if (type->order != LK_NONE) lk_order_add(doc, item->leaf, (int32_t)len, 0);
}

/* A new item between two neighbours, without content. */
static inline lk_item item_between(const lk_doc *doc, uint32_t slot, uint16_t number, uint32_t left,
                                   uint32_t right) {
  lk_item item = {
    .clock = doc->clients.at[number].clock,
    .left = left,
    .right = right,
    .parent = slot,
    .leaf = LK_NONE,
    .client = number,
    .origin_client = LK_NO_CLIENT,
    .right_client = LK_NO_CLIENT,
  };
  if (left != LK_NONE) {
    const lk_item *at = &doc->items[left];
    item.origin_client = at->client;
    item.origin_clock = lk_item_end(at) - 1;
    item.depth = at->depth + at->len;
  }
  if (right != LK_NONE) {
    item.right_client = doc->items[right].client;
    item.right_clock = doc->items[right].clock;
  }
  return item;
}

/* Puts it there; there is room for it. |half|, where that is not LK_NONE, was cut off in front of it just now, and
 * the order index does not know it yet. */
static inline uint32_t put_item(lk_doc *doc, const lk_item *item, uint32_t half) {
  lk_client *client = &doc->clients.at[item->client];
  lk_block *block = &client->blocks[client->block_count - 1];
  lk_type *type = &doc->types.at[item->parent];
  uint32_t made = take_item(doc);
  doc->items[made] = *item;
  link(doc, type, made);
  if (type->order != LK_NONE) {
    if (half != LK_NONE) lk_order_link_two(doc, item->left, made, half, true);
    else lk_order_link(doc, item->parent, made);
  }
  block->items[block->count++] = made;
  block->dead = false;
  client->clock += item->len;
  doc->units += item->len;
  type->length += item->len;
  return made;
}

/* A struct of its own between |left|, which is split before unit |offset| where that is above 0, and what is right of
 * it. Gives its number, or LK_NONE where something is missing. */
static uint32_t insert_between(lk_doc *doc, uint32_t slot, uint16_t number, uint32_t left,
                               uint32_t offset, uint32_t right, lk_slice text) {
  lk_place place;
  if (lk_text_reserve(doc, (uint32_t)text.len) != LK_OK ||
      !has_room(doc, &doc->types.at[slot], offset > 0 ? left : LK_NONE, &place))
    return LK_NONE;
  lk_place last = { doc->clients.at[number].block_count - 1, 0 };
  if (LK_FAST_ALL ? lk_client_room(doc, number) != LK_OK : !block_has_room(doc, number, &last, 1))
    return LK_NONE;
  uint32_t half = offset > 0 ? halve(doc, &doc->types.at[slot], left, offset, place) : LK_NONE;
  lk_item item = item_between(doc, slot, number, left, half != LK_NONE ? half : right);
  item.kind = LK_CONTENT_STRING;
  item.len = (uint32_t)text.len;
  item.content = doc->text_len;
  copy_text(doc->text + doc->text_len, text);
  doc->text_len += item.len;
  return put_item(doc, &item, half);
}

#ifndef LK_SMALL

/* ---- values ---- */

/* Whether |len| bytes may be put behind those of |item| where they lie. */
static bool values_go_on(lk_doc *doc, const lk_item *item, size_t len) {
  uint32_t end = item->content + (uint32_t)sizeof(lk_value_head) +
                 lk_value_head_at(doc, item->content)->size;
  if (((end + 3) & ~3u) != doc->values_len || len > doc->limits.doc_values_bytes) return false;
  uint32_t more = (uint32_t)len + 4;
  return doc->values_cap - doc->values_len >= more ||
         lk_vec_grow(doc, (void **)&doc->values, &doc->values_cap, doc->values_len, more,
                     doc->limits.doc_values_bytes, 1) == LK_OK;
}

static void extend_values(lk_doc *doc, lk_item *item, lk_slice any) {
  lk_value_head *head = (lk_value_head *)(void *)(doc->values + item->content);
  lk_client *client = &doc->clients.at[item->client];
  lk_type *type = &doc->types.at[item->parent];
  uint32_t end = item->content + (uint32_t)sizeof *head + head->size;
  memcpy(doc->values + end, any.ptr, any.len);
  head->size += (uint32_t)any.len;
  doc->values_len = (end + (uint32_t)any.len + 3) & ~3u;
  item->len++;
  client->clock++;
  doc->units++;
  type->length++;
  if (type->order != LK_NONE) lk_order_add(doc, item->leaf, 1, 0);
}

/* Between two neighbours: in the struct of |left| where that goes on, otherwise as one of its own. Gives the item, or
 * LK_NONE where it is not as simple. */
static uint32_t put_value(lk_doc *doc, uint32_t slot, uint16_t number, uint32_t left,
                          uint32_t right, lk_slice any) {
  uint32_t had = doc->values_len, at;
  if ((left == LK_NONE && right == LK_NONE) || is_joined(doc, right)) return LK_NONE;
  if (left != LK_NONE && left == lk_client_last(doc, number)) {
    lk_item *item = &doc->items[left];
    bool is_one = item->kind == LK_CONTENT_ANY &&
                  (item->flags & (LK_ITEM_DELETED | LK_ITEM_REDONE)) == 0;
    if (is_one && has_right(doc, item, right)) {
      if ((item->flags & LK_ITEM_KEEP) != 0 || item->len >= LK_VALUES_MAX ||
          !values_go_on(doc, item, any.len))
        return LK_NONE;
      extend_values(doc, item, any);
      return left;
    }
  }
  if (lk_value_add(doc, any, LK_NONE, &at) != LK_OK) return LK_NONE;
  if (!has_room(doc, &doc->types.at[slot], LK_NONE, NULL) || lk_client_room(doc, number) != LK_OK) {
    doc->values_len = had;
    return LK_NONE;
  }
  lk_item item = item_between(doc, slot, number, left, right);
  item.kind = LK_CONTENT_ANY;
  item.len = 1;
  item.content = at;
  return put_item(doc, &item, LK_NONE);
}

static bool takes_values(const lk_doc *doc, uint32_t slot) {
  return !doc->tells_txs && (doc->types.at[slot].flags & LK_TYPE_HAS_FORMAT) == 0 &&
         !lk_type_deleted(doc, slot);
}

/* The value that came into |made| last, with that clock. */
static void tell_value(lk_doc *doc, whose who, uint32_t made, uint32_t clock, size_t len) {
  const lk_item *item = &doc->items[made];
  lk_slice all = lk_value_bytes(doc, item->content);
  lk_stroke what = { .type = item->parent, .client = item->client, .clock = clock, .len = 1 };
  if (doc->update_observers + doc->update2_observers > 0)
    emit_value(doc, item, clock, doc->update_observers == 0, lk_slice_skip(all, all.len - len));
  tell(doc, who, &what);
}
#endif

typedef enum outcome { NOT_FAST, EXTENDED, INSERTED } outcome;

/* Between two neighbours: behind |left| where that goes on, otherwise as a struct of its own. */
static outcome insert_at(lk_doc *doc, uint32_t slot, uint16_t number, uint32_t left, uint32_t right,
                         lk_slice text, uint32_t *made) {
  lk_client *client = &doc->clients.at[number];
  const lk_block *block = &client->blocks[client->block_count - 1];
  if ((left == LK_NONE && right == LK_NONE) || is_joined(doc, right)) return NOT_FAST;
  if (left != LK_NONE && left == block->items[block->count - 1u]) {
    lk_item *item = &doc->items[left];
    bool is_one = item->kind == LK_CONTENT_STRING &&
                  (item->flags & (LK_ITEM_DELETED | LK_ITEM_REDONE)) == 0;
    if (is_one && has_right(doc, item, right)) {
      if (!is_plain(item) || !text_goes_on(doc, client, item, (uint32_t)text.len)) return NOT_FAST;
      extend(doc, &doc->types.at[slot], left, text);
      *made = left;
      return EXTENDED;
    }
  }
  *made = insert_between(doc, slot, number, left, 0, right, text);
  return *made == LK_NONE ? NOT_FAST : INSERTED;
}

static bool can_write(const lk_doc *doc, uint16_t number) {
  const lk_client *client = &doc->clients.at[number];
  if (doc->limits.doc_clock < TYPED_MAX || doc->limits.doc_units_count < TYPED_MAX) return false;
  return client->block_count > 0 && client->clock <= doc->limits.doc_clock - TYPED_MAX &&
         doc->units <= doc->limits.doc_units_count - TYPED_MAX;
}

void lk_typing_stop(lk_doc *doc) {
  lk_typing *at = &doc->typing;
  const lk_item *item = &doc->items[at->item];
  if (doc->types.at[item->parent].order != LK_NONE)
    lk_order_add(doc, item->leaf, (int32_t)(item->len - at->known), 0);
}

/* What was typed may go on behind |made|, which ends at |index|. */
static void typing_begin(lk_doc *doc, uint32_t slot, uint32_t index, uint32_t made) {
  const lk_item *item = &doc->items[made];
  const lk_client *client = &doc->clients.at[item->client];
  lk_typing *at = &doc->typing;
  uint32_t end = item->content + item->len, room = TYPED_ON_MAX;
  bool at_end = end == doc->text_len;
  if (!at_end && (client->text_end == 0 || client->text_used != end)) return;
  room = lk_min_u32(room, (at_end ? doc->text_cap : client->text_end) - end);
  room = lk_min_u32(room, doc->limits.doc_clock - client->clock);
  room = lk_min_u32(room, doc->limits.doc_units_count - doc->units);
  if (room == 0) return;
  at->types_at = at->types_from = index;
  at->types_end = (uint64_t)index + room;
  at->node = lk_node_of(doc, slot);
  at->item = made;
  at->known = item->len;
  doc->types.at[slot].cursor = made; /* which stays where it is */
  doc->types.at[slot].cursor_at = index - item->len;
}

bool lk_text_type_on(lk_doc *doc, lk_node text, uint64_t index, lk_slice utf8) {
  lk_typing *at = &doc->typing;
  if (index != at->types_at || index == at->types_end) return false;
  if (utf8.len != 1 || utf8.ptr[0] >= 0x80) return false;
  if (text.slot != at->node.slot || text.check != at->node.check) return false;
  bool observed = is_observed(doc);
  if (observed && (doc->cleaning || !can_tell(doc))) return false;
  lk_item *item = &doc->items[at->item];
  lk_client *client = &doc->clients.at[item->client];
  lk_type *type = &doc->types.at[text.slot];
  uint32_t len = item->len, end = item->content + len, clock = client->clock;
  if (end == doc->text_len) doc->text_len = end + 1;
  else client->text_used = end + 1;
  item->len = len + 1;
  client->clock = clock + 1;
  doc->units++;
  type->length++;
  at->types_at = index + 1;
  doc->text[end] = utf8.ptr[0];
  if (observed) {
    lk_stroke what = { .type = text.slot, .client = item->client, .clock = clock, .len = 1 };
    what.right = LK_NONE;
    tell_insert(doc, OURS, &what, utf8, item->client, clock - 1, item->right);
  }
  return true;
}

bool lk_text_insert_fast(lk_doc *doc, uint32_t slot, uint32_t index, lk_slice text) {
  lk_type *type = &doc->types.at[slot];
  lk_typing_end(doc);
  lk_tx *tx = doc->tx; /* which has a deletion by now */
  if (!is_open_to_it(doc, type) || text.len > TYPED_MAX || !is_ascii(text)) return false;
  if (tx != NULL && !replaces(doc, slot, index)) return false;
  if (doc->client == LK_NO_CLIENT || !can_write(doc, doc->client)) return false;
  uint32_t left, right = LK_NONE, before = index, made, clock = doc->clients.at[doc->client].clock;
  uint32_t cut = LK_NONE;
  if (index < type->length) {
    right = lk_list_find(doc, slot, index, &before);
    left = doc->items[right].left;
  } else {
    left = type->end;
  }
  if (tx != NULL && (before != index || !has_flag(doc, left, LK_ITEM_DELETED))) return false;
  if (before == index) {
    if (insert_at(doc, slot, doc->client, left, right, text, &made) == NOT_FAST) return false;
  } else {
    if (!is_plain(&doc->items[right])) return false;
    left = right;
    made = insert_between(doc, slot, doc->client, left, index - before, LK_NONE, text);
    if (made == LK_NONE) return false;
    right = cut = doc->items[made].right;
  }
  type = &doc->types.at[slot];
  uint32_t units = (uint32_t)text.len;
  type->cursor = right != LK_NONE ? right : made;
  type->cursor_at = right != LK_NONE ? index + units : index + units - doc->items[made].len;
  if (tx != NULL) {
    lk_client *client = &doc->clients.at[doc->client];
    client->touched = tx->number;
    client->before = clock;
    tx->touched.at[tx->touched.count++] = (lk_touched){ doc->client, clock, client->clock };
    return true;
  }
  typing_begin(doc, slot, index + units, made);
  if (doc->observers.count > 0) {
    const lk_item *item = &doc->items[made];
    bool own = item->clock != clock; /* it was there before */
    lk_stroke what = { .type = slot, .client = doc->client, .clock = clock, .len = units };
    what.right = cut;
    tell_insert(doc, OURS, &what, text, own ? doc->client : item->origin_client,
                own ? clock - 1 : item->origin_clock, right);
  }
  return true;
}

#ifndef LK_SMALL
static bool find_before(lk_doc *doc, uint32_t slot, uint32_t index, uint32_t *left,
                        uint32_t *right) {
  uint32_t before;
  *left = LK_NONE;
  *right = doc->types.at[slot].start;
  if (index == 0) return true;
  *left = lk_list_find(doc, slot, index - 1, &before);
  *right = doc->items[*left].right;
  return before + doc->items[*left].len == index;
}

bool lk_list_insert_fast(lk_doc *doc, uint32_t slot, uint32_t index, lk_slice any) {
  lk_type *type = &doc->types.at[slot];
  uint32_t left = type->end, right = LK_NONE, units = type->length;
  lk_typing_end(doc);
  if (!takes_values(doc, slot) || doc->client == LK_NO_CLIENT || !can_write(doc, doc->client))
    return false;
  if (index == LK_NONE) index = units;
  else if (!find_before(doc, slot, index, &left, &right)) return false;
  uint32_t clock = doc->clients.at[doc->client].clock;
  uint32_t made = put_value(doc, slot, doc->client, left, right, any);
  if (made == LK_NONE) return false;
  type->cursor = made;
  type->cursor_at = index + 1 - doc->items[made].len;
  if (doc->observers.count > 0) tell_value(doc, OURS, made, clock, any.len);
  return true;
}
#endif

/* ---- deleting ---- */

/* Whether |right| goes on where |left| ends, in the same place. */
static inline bool follows(const lk_item *l, const lk_item *r) {
  /* As one condition, and not as one jump for each. */
  bool is_next = (l->client == r->client) & (lk_item_end(l) == r->clock);
  bool is_own = (r->origin_client == l->client) & (r->origin_clock == r->clock - 1);
  return is_next & is_own & same_right(l, r);
}

/* Whether |deleted|, which is |left| or |right|, has no text any more, and the other one will be part of it when it is deleted. */
static inline bool continues(const lk_doc *doc, uint32_t left, uint32_t right, uint32_t deleted) {
  if (left == LK_NONE || right == LK_NONE) return false;
  const lk_item *d = &doc->items[deleted];
  bool is_gone = (d->kind == LK_CONTENT_DELETED) &
                 ((d->flags & (LK_ITEM_KEEP | LK_ITEM_REDONE)) == 0);
  return is_gone & follows(&doc->items[left], &doc->items[right]);
}

/* The same for text that is kept. Two such items whose texts do not lie side by side, or of which one is not simple, are one
 * struct as well, but that is not made here. */
typedef enum border { APART, ONE, HARD } border;
#define KEPT (LK_ITEM_DELETED | LK_ITEM_KEEP)

static bool is_side_by_side(const lk_item *l, const lk_item *r) {
  return l->content + l->len == r->content;
}

static border kept_border(const lk_doc *doc, uint32_t left, uint32_t right, uint32_t deleted) {
  if (left == LK_NONE || right == LK_NONE) return APART;
  const lk_item *l = &doc->items[left], *r = &doc->items[right], *d = &doc->items[deleted];
  if (d->kind != LK_CONTENT_STRING || !lk_item_deleted(d) || (d->flags & LK_ITEM_REDONE) != 0 ||
      !follows(l, r))
    return APART;
  return d->flags == KEPT && is_side_by_side(l, r) ? ONE : HARD;
}

static border border_with(const lk_doc *doc, uint32_t left, uint32_t right, uint32_t deleted,
                          bool keep) {
  if (keep) return kept_border(doc, left, right, deleted);
  return continues(doc, left, right, deleted) ? ONE : APART;
}

/* The text of a deleted stretch; in a transaction it may be wanted back. */
static void waste(lk_doc *doc, uint32_t at, uint32_t len) {
  if (at + len == doc->text_len && doc->tx == NULL) doc->text_len = at;
  else doc->text_waste += len;
}

static void shrink_units(lk_doc *doc, lk_type *type, uint32_t leaf, uint32_t len) {
  type->length -= len;
  if (type->order != LK_NONE) lk_order_add(doc, leaf, -(int32_t)len, 0);
}

/* The last |len| units of |number|, behind which |next| stands, become part of that: once more backspace. */
static ALWAYS_INLINE void delete_tail(lk_doc *doc, uint32_t number, uint32_t next, uint32_t len,
                                      bool keep) {
  lk_item *item = &doc->items[number], *gone = &doc->items[next];
  item->len -= len;
  gone->clock -= len;
  gone->len += len;
  gone->origin_clock = gone->clock - 1;
  gone->depth -= len;
  gone->content -= keep ? len : 0;
  /* in one leaf |number| is less deep than that */
  if (gone->leaf != item->leaf) lk_order_rise(doc, next);
}

/* The first |len| units of |number|, in front of which |last| stands. */
static ALWAYS_INLINE void delete_head(lk_doc *doc, uint32_t number, uint32_t last, uint32_t len) {
  lk_item *item = &doc->items[number];
  doc->items[last].len += len;
  item->clock += len;
  item->len -= len;
  item->origin_clock = item->clock - 1;
  item->depth += len;
  item->content += len;
}

/* The next deletion may go on in |number|, beside |gone|. */
static void note_beside(lk_doc *doc, uint32_t number, uint32_t gone) {
  doc->typing.beside = number;
  doc->typing.gone = gone;
}

/* |len| units of |number|, from |offset| on. Where they are to be kept for undo managers they keep their text. */
static bool delete_stretch(lk_doc *doc, uint32_t slot, uint32_t number, uint32_t offset,
                           uint32_t len, bool keep) {
  lk_type *type = &doc->types.at[slot];
  lk_item *item = &doc->items[number];
  uint32_t text = item->content + offset;
  if (is_joined(doc, number) || !may_end_beside(doc, item->left, item->right, keep)) return false;
  bool head = offset == 0, tail = offset + len == item->len;
  border before = head ? border_with(doc, item->left, number, item->left, keep) : APART;
  border behind = tail ? border_with(doc, number, item->right, item->right, keep) : APART;
  if (before == HARD || behind == HARD) return false;
  if (behind == ONE && !head) {
    note_beside(doc, number, item->right);
    delete_tail(doc, number, item->right, len, keep);
    shrink_units(doc, type, item->leaf, len);
  } else if (before == ONE && !tail) {
    note_beside(doc, number, item->left);
    delete_head(doc, number, item->left, len);
    shrink_units(doc, type, item->leaf, len);
  } else {
    lk_place place = { 0, 0 };
    if (!(head && tail) && !has_room(doc, type, number, &place)) return false;
    type = &doc->types.at[slot];
    uint32_t gone = number, rest = LK_NONE;
    if (!head && !tail) {
      gone = halve(doc, type, number, offset, place);
      place.at++;
      rest = halve(doc, type, gone, len, place);
      if (type->order != LK_NONE) lk_order_link_two(doc, number, gone, rest, false);
    } else if (!head) {
      gone = split(doc, type, number, offset, place);
    } else if (!tail) {
      rest = split(doc, type, number, len, place);
    }
    lk_item *dead = &doc->items[gone];
    dead->kind = keep ? LK_CONTENT_STRING : LK_CONTENT_DELETED;
    dead->flags = keep ? KEPT : LK_ITEM_DELETED;
    shrink_units(doc, type, dead->leaf, len);
    if (behind == ONE) lk_item_absorb(doc, gone, dead->right);
    if (before == ONE) lk_item_absorb(doc, dead->left, gone);
    if (!head && tail) note_beside(doc, number, doc->items[number].right);
    if (head && !tail) note_beside(doc, rest, doc->items[rest].left);
  }
  if (!keep) waste(doc, text, len);
  return true;
}

/* Whether what is deleted in a text by a transaction of |origin| is to be kept for undo managers. */
static bool keeps(const lk_doc *doc, uint32_t slot, uint64_t origin) {
  return LK_FAST_ALL && doc->after_observers > 0 && lk_undo_keeps(doc, slot, origin);
}

/* What is kept keeps what it is in: a transaction sees to that once. */
static bool may_keep(const lk_doc *doc, uint32_t slot) {
  uint32_t item = doc->types.at[slot].item;
  return item == LK_NONE || has_flag(doc, item, LK_ITEM_KEEP);
}

/* After units of |number| were deleted beside what was deleted before, the next one may be, too. */
static void deleting_begin(lk_doc *doc, uint32_t slot, uint32_t index, uint32_t number) {
  lk_typing *at = &doc->typing;
  const lk_item *item = &doc->items[number];
  lk_type *type = &doc->types.at[slot];
  bool back = item->right == at->gone;
  bool kept = doc->items[at->gone].kind == LK_CONTENT_STRING;
  if (item->len == 1 || !is_plain(item)) return;
  if (border_with(doc, back ? number : at->gone, back ? at->gone : number, at->gone, kept) != ONE)
    return;
  at->item = number;
  at->known = item->len;
  at->node = lk_node_of(doc, slot);
  at->deletes_at = at->deletes_from = back ? index - 1 : index;
  type->cursor = number;
  type->cursor_at = back ? index - item->len : index;
}

bool lk_text_delete_on(lk_doc *doc, lk_node text, uint64_t index, uint64_t length) {
  lk_typing *at = &doc->typing;
  if (index != at->deletes_at || length != 1 || index == UINT64_MAX) return false;
  if (text.slot != at->node.slot || text.check != at->node.check) return false;
  bool observed = is_observed(doc);
  if (observed && (doc->cleaning || !can_tell(doc))) return false;
  /* where the last observer went, all of this has come to its end */
  bool keep = observed && doc->items[at->gone].kind == LK_CONTENT_STRING;
  if (observed && keeps(doc, text.slot, OURS.origin) != keep) return false;
  lk_item *item = &doc->items[at->item];
  lk_type *type = &doc->types.at[text.slot];
  bool back = item->right == at->gone;
  uint32_t clock = back ? lk_item_end(item) - 1 : item->clock;
  uint32_t content = back ? item->content + item->len - 1 : item->content;
  if (back) delete_tail(doc, at->item, at->gone, 1, keep);
  else delete_head(doc, at->item, at->gone, 1);
  if (!keep) waste(doc, content, 1);
  type->length--;
  at->deletes_from = UINT64_MAX - 1; /* no index: so it is owed */
  at->deletes_at = item->len == 1 ? UINT64_MAX : back ? index - 1 : index;
  if (observed) {
    lk_stroke what = { .type = text.slot, .client = item->client, .clock = clock, .len = 1 };
    what.content = content;
    what.deleted = true;
    what.head = !back;
    what.tail = back;
    what.kept = keep;
    tell_delete(doc, OURS, &what);
  }
  return true;
}

/* |len| units of |item| from |offset| on, as they are told about. */
static lk_stroke deletion(const lk_item *item, uint32_t offset, uint32_t len, bool keep) {
  return (lk_stroke){
    .type = item->parent,
    .client = item->client,
    .clock = item->clock + offset,
    .len = len,
    .content = item->content + offset,
    .right = LK_NONE,
    .deleted = true,
    .head = offset == 0,
    .tail = offset + len == item->len,
    .kept = keep,
  };
}

/* What the open transaction knows about its first deletion, which stands in |gone|. */
static void replacing_begin(lk_doc *doc, uint32_t slot, uint32_t index, bool keep) {
  lk_tx *tx = doc->tx;
  lk_type *type = &doc->types.at[slot];
  tx->collects = true;
  type->changed = type->changed_list = tx->number;
  tx->changed.at[tx->changed.count++] = (lk_change){ slot, LK_NONE, LK_NONE };
  doc->stroke = (lk_stroke){ .tx = tx, .type = slot, .right = LK_NONE, .many = true, .kept = keep };
  doc->stroke.index = index;
}

static lk_gone gone_of(const lk_stroke *what) {
  return (lk_gone){ what->client, what->clock, what->len, what->content, what->head, what->tail };
}

static void note_gone(lk_doc *doc, lk_tx *tx, const lk_stroke *what) {
  doc->gone.at[doc->gone.count++] = gone_of(what);
  lk_range *last = tx->ranges.count > 0 ? &tx->ranges.at[tx->ranges.count - 1] : NULL;
  bool goes_on = last != NULL && last->client == what->client &&
                 last->clock + last->len == what->clock;
  if (goes_on) last->len += what->len;
  else tx->ranges.at[tx->ranges.count++] = (lk_range){ what->client, what->clock, what->len };
}

#ifndef LK_SMALL

/* The first item at or behind |item| that shows something; there is one. */
static uint32_t next_shown(const lk_doc *doc, const lk_type *type, uint32_t item) {
  if (type->order != LK_NONE) return lk_order_next_shown(doc, item);
  while (lk_item_units(&doc->items[item]) == 0) item = doc->items[item].right;
  return item;
}

/* Whether what is kept of |number| and the item in front of it, where that is deleted with it, or was before, can be made one as
 * they lie. */
static bool keeps_on(const lk_doc *doc, uint32_t number, bool is_first) {
  uint32_t left = doc->items[number].left;
  if (left == LK_NONE) return true;
  const lk_item *l = &doc->items[left], *r = &doc->items[number];
  if (lk_item_deleted(l)) return kept_border(doc, left, number, left) != HARD;
  return is_first || !follows(l, r) || is_side_by_side(l, r);
}

/* The |len| units from unit |offset| of |number| on: how many items they are in, or 0 where that is not all plain text.
 * |*last| is the one in which they end, |*rest| how many units of it stay. What was deleted before is passed over. */
static uint32_t count_plain(const lk_doc *doc, const lk_type *type, uint32_t number,
                            uint32_t offset, uint32_t len, bool keep, uint32_t *last,
                            uint32_t *rest) {
  len += offset;
  for (uint32_t count = 1, at = number;; count++) {
    const lk_item *item = &doc->items[at];
    if (!is_plain(item) || is_joined(doc, at) ||
        !may_end_beside(doc, item->left, item->right, keep))
      return 0;
    if (keep && (count > 1 || offset == 0) && !keeps_on(doc, at, count == 1)) return 0;
    if (item->len >= len) {
      *last = at;
      *rest = item->len - len;
      bool is_hard = keep && *rest == 0 && kept_border(doc, at, item->right, item->right) == HARD;
      return is_hard ? 0 : count;
    }
    if (keep && kept_border(doc, at, item->right, item->right) == HARD) return 0;
    len -= item->len;
    at = next_shown(doc, type, item->right);
  }
}

/* |number|, which is whole. The order index is not told. Gives its length. */
static uint32_t delete_whole(lk_doc *doc, lk_type *type, uint32_t number, lk_tx *tx, bool keep) {
  lk_item *item = &doc->items[number];
  if (tx != NULL) {
    lk_stroke what = deletion(item, 0, item->len, keep);
    note_gone(doc, tx, &what);
  }
  item->kind = keep ? LK_CONTENT_STRING : LK_CONTENT_DELETED;
  item->flags = keep ? KEPT : LK_ITEM_DELETED;
  type->length -= item->len;
  if (!keep) waste(doc, item->content, item->len);
  return item->len;
}

static bool absorbs(const lk_doc *doc, uint32_t left, uint32_t right, bool keep) {
  return border_with(doc, left, right, left, keep) == ONE &&
         border_with(doc, left, right, right, keep) == ONE;
}

/* What is deleted becomes one with what is beside it; what was deleted before stays as it is among itself. So whoever goes
 * from left to right over what is deleted has an item |kept|, and behind it a |run| of those that will be part of it. */
typedef struct erasing {
  lk_tx *tx;
  bool keep;
  uint32_t len;  /* units that are left */
  uint32_t kept; /* or LK_NONE */
  uint32_t run;
  uint32_t last;  /* the last of them, or |kept| */
  bool last_went; /* now, and not before */
  bool is_over;
} erasing;

static void end_run(lk_doc *doc, erasing *self, uint32_t kept) {
  if (self->run > 0) lk_items_absorb(doc, self->kept, self->run);
  self->kept = kept;
  self->run = 0;
}

/* Whether |number|, the next one, becomes part of what was before it. |*went| gets the units that it loses. */
static inline bool erase_next(lk_doc *doc, lk_type *type, erasing *self, uint32_t number,
                              uint32_t *went) {
  *went = lk_item_units(&doc->items[number]);
  if (*went > 0) self->len -= delete_whole(doc, type, number, self->tx, self->keep);
  bool goes_on = (self->last_went || *went > 0) && absorbs(doc, self->last, number, self->keep);
  self->is_over = self->len == 0 && *went == 0;
  self->last = number;
  self->last_went = *went > 0;
  if (goes_on) self->run++;
  else end_run(doc, self, number);
  return goes_on;
}

/* In a list that is not indexed. */
static void erase_in_list(lk_doc *doc, lk_type *type, erasing *self, uint32_t at) {
  uint32_t went;
  while (at != LK_NONE && !self->is_over) {
    uint32_t next = doc->items[at].right;
    if (self->len == 0 && lk_item_units(&doc->items[at]) > 0) return;
    (void)erase_next(doc, type, self, at, &went);
    at = next;
  }
}

/* In one leaf of the order index, from child |at| on. */
static void erase_in_leaf(lk_doc *doc, lk_type *type, erasing *self, uint32_t number, uint32_t at) {
  lk_order_node *leaf = &doc->nodes.at[number];
  uint32_t to = at, units = 0, went;
  for (; at < leaf->count && !self->is_over; at++) {
    uint32_t child = leaf->child[at];
    if (self->len == 0 && lk_item_units(&doc->items[child]) > 0) {
      self->is_over = true;
      break;
    }
    leaf->child[to] = child;
    to += !erase_next(doc, type, self, child, &went);
    units += went;
  }
  lk_order_close(doc, number, to, at, units);
}

static void erase_in_leaves(lk_doc *doc, lk_type *type, erasing *self, uint32_t first) {
  uint32_t leaf = doc->items[first].leaf;
  for (uint32_t at = lk_order_slot(doc, first); leaf != LK_NONE && !self->is_over; at = 0) {
    const lk_order_node *node = &doc->nodes.at[leaf];
    uint32_t next = node->next;
    if (node->units > 0 || self->last_went) {
      erase_in_leaf(doc, type, self, leaf, at);
    } else {
      self->last = node->child[node->count - 1u]; /* all of it was deleted before */
      end_run(doc, self, self->last);
    }
    leaf = next;
  }
}

/* The |len| units from |first| on, which begins there and ends with an item; gives what stands behind them. */
static uint32_t delete_items(lk_doc *doc, lk_type *type, uint32_t first, uint32_t len, lk_tx *tx,
                             bool keep) {
  uint32_t left = doc->items[first].left;
  erasing self = { .tx = tx, .keep = keep, .len = len, .kept = left, .last = left };
  if (type->order != LK_NONE) erase_in_leaves(doc, type, &self, first);
  else erase_in_list(doc, type, &self, first);
  end_run(doc, &self, self.kept);
  return self.kept == LK_NONE ? type->start : doc->items[self.kept].right;
}

/* |len| units from |offset| of |number| on, which are in several items. */
static bool delete_several(lk_doc *doc, uint32_t slot, uint32_t number, uint32_t offset,
                           uint32_t index, uint32_t len, bool keep) {
  lk_type *type = &doc->types.at[slot];
  lk_tx *open = doc->tx, *tx = open == NULL && doc->observers.count > 0 ? doc->tx_free : open;
  lk_place place;
  uint32_t last, rest;
  if (doc->observers.count > 0 && tx == NULL) return false;
  uint32_t count = count_plain(doc, type, number, offset, len, keep, &last, &rest);
  if (count == 0) return false;
  if (tx != NULL) tx->ranges.count = 0;
  if (tx != NULL && !reserve_gone(doc, tx, count)) return false;
  if (rest > 0 && !has_room(doc, type, last, &place)) return false;
  if (offset > 0 && !has_room(doc, type, number, &place)) return false;
  if (offset > 0) number = split(doc, type, number, offset, place);
  if (rest > 0) {
    const lk_item *item = &doc->items[last];
    (void)split(doc, type, last, item->len - rest, lk_item_place(doc, last));
  }
  type->cursor = delete_items(doc, type, number, len, tx, keep);
  type->cursor_at = index;
  if (tx != NULL) {
    doc->gone.at[0].head = offset == 0;
    doc->gone.at[count - 1].tail = rest == 0;
  }
  if (open != NULL) {
    replacing_begin(doc, slot, index, keep);
    return true;
  }
  if (doc->tells_txs) {
    doc->stroke = (lk_stroke){ .type = slot, .right = LK_NONE, .many = true, .kept = keep };
    lk_replace_tell(doc, tx, OURS.origin, true);
    return true;
  }
  lk_doc_tidy(doc);
  if (tx != NULL) tell_ranges(doc, OURS, tx);
  return true;
}
#else
#define delete_several(doc, slot, number, offset, index, len, keep) false
#endif

bool lk_text_delete_fast(lk_doc *doc, uint32_t slot, uint32_t index, uint32_t len) {
  lk_type *type = &doc->types.at[slot];
  lk_typing_end(doc);
  doc->typing.gone = LK_NONE;
  lk_tx *tx = doc->tx;
  if (!is_open_to_it(doc, type) || !doc->gc || index >= type->length) return false;
  if (!LK_FAST_ALL && doc->after_observers > 0) return false; /* who may want to keep it */
  if (tx != NULL && !may_replace(doc)) return false;
  bool keep = keeps(doc, slot, tx != NULL ? tx->origin : OURS.origin);
  if (keep && !may_keep(doc, slot)) return false;
  uint32_t before, number = lk_list_find(doc, slot, index, &before);
  const lk_item *item = &doc->items[number];
  if (!is_plain(item)) return false;
  if (len > item->len - (index - before))
    return delete_several(doc, slot, number, index - before, index, len, keep);
  lk_stroke what = deletion(item, index - before, len, keep);
  if (!delete_stretch(doc, slot, number, index - before, len, keep)) return false;
  if (tx != NULL) {
    note_gone(doc, tx, &what);
    replacing_begin(doc, slot, index, keep);
    return true;
  }
  if (doc->typing.gone != LK_NONE) deleting_begin(doc, slot, index, doc->typing.beside);
  if (doc->observers.count > 0) tell_delete(doc, OURS, &what);
  return true;
}

/* ---- updates ---- */

typedef struct keystroke {
  uint16_t client;
  uint64_t clock;
  uint16_t origin_client, right_client; /* or LK_NO_CLIENT, but not both */
  uint64_t origin_clock, right_clock;
  bool is_value;
  lk_slice text;    /* or one value, canonical any */
  lk_slice deletes; /* of one client, who comes first: what a text replaces; or empty */
} keystroke;

static bool read_uint(lk_reader *in, uint64_t *out) {
  return lk_varuint_decode(in, LK_VARUINT_MAX_SAFE, out) == LK_OK;
}

/* The client |id|, if it is here and has passed |clock|. */
static bool find_here(lk_doc *doc, uint64_t id, uint64_t clock, uint16_t *client) {
  if (doc->clients.at[doc->client_last].id != id) {
    uint16_t found = lk_client_find(doc, id);
    if (found == LK_NO_CLIENT) return false;
    doc->client_last = found;
  }
  *client = doc->client_last;
  return clock <= doc->clients.at[*client].clock;
}

/* |len| bytes of V1 named |client|, and will again. */
static void note_known(lk_doc *doc, const uint8_t *bytes, size_t len, uint16_t client) {
  lk_id_bytes *known = doc->known_ids;
  uint64_t word = 0;
  if (len > sizeof word || client == known[0].client) return;
  for (size_t i = 0; i < len; i++) word |= (uint64_t)bytes[i] << 8 * i;
  known[1] = known[0];
  known[0] = (lk_id_bytes){ word, UINT64_MAX >> (64 - 8 * len), (uint8_t)len, client };
}

/* A client that is here, with a clock that it has passed. */
static bool read_here(lk_doc *doc, lk_reader *in, uint16_t *client, uint64_t *clock) {
  uint64_t id;
  size_t from = in->pos;
  if (!read_uint(in, &id)) return false;
  size_t len = in->pos - from;
  if (!read_uint(in, clock) || !find_here(doc, id, *clock, client)) return false;
  if (LK_FAST_ALL) note_known(doc, in->bytes.ptr + from, len, *client);
  return true;
}

/* What a struct of text, or of values, has that stands beside something. */
static bool read_info(lk_reader *in, bool *has_left, bool *has_right, bool *is_value) {
  uint8_t info;
  if (lk_reader_u8(in, &info) != LK_OK) return false;
  *has_left = (info & LK_INFO_ORIGIN) != 0;
  *has_right = (info & LK_INFO_RIGHT) != 0;
  uint8_t kind = info & (uint8_t) ~(LK_INFO_ORIGIN | LK_INFO_RIGHT);
  *is_value = LK_FAST_ALL && kind == LK_CONTENT_ANY;
  return (kind == LK_CONTENT_STRING || *is_value) && (*has_left || *has_right);
}

/* As it is written by Yjs. */
static bool read_value(lk_doc *doc, lk_reader *in, lk_slice *out) {
  size_t from = in->pos;
  lk_arena scratch;
  lk_arena_init(&scratch, &doc->alloc, doc->limits.doc_update_bytes);
  lk_err err = lk_value_any_decode(in, doc->limits.any_depth, &scratch, out);
  lk_arena_deinit(&scratch);
  return err == LK_OK && out->ptr == in->bytes.ptr + from;
}

/* What an update ends with: no deletions, or those of one client. */
static bool read_end(lk_slice rest, lk_slice *deletes) {
  *deletes = LK_SLICE_EMPTY;
  if (rest.len == 0 || rest.ptr[0] > (LK_FAST_ALL ? 1 : 0)) return false;
  if (rest.ptr[0] == 0) return rest.len == 1;
  *deletes = lk_slice_skip(rest, 1);
  return rest.len > 1;
}

/* One struct of ASCII text, or of one value, that has an origin or a right origin, and what the update ends with. */
static bool read_insert(lk_doc *doc, lk_reader *in, keystroke *out) {
  uint64_t len;
  bool has_left, has_right;
  out->origin_client = out->right_client = LK_NO_CLIENT;
  if (!read_here(doc, in, &out->client, &out->clock) ||
      !read_info(in, &has_left, &has_right, &out->is_value))
    return false;
  if (has_left && !read_here(doc, in, &out->origin_client, &out->origin_clock)) return false;
  if (has_right && !read_here(doc, in, &out->right_client, &out->right_clock)) return false;
  if (!read_uint(in, &len) || len == 0 || len > TYPED_MAX) return false;
  if (LK_FAST_ALL && out->is_value) {
    if (len != 1 || !read_value(doc, in, &out->text)) return false;
  } else if (lk_reader_bytes(in, len, &out->text) != LK_OK) {
    return false;
  }
  return read_end(lk_reader_rest(in), &out->deletes) && (out->is_value || is_ascii(out->text));
}

#ifndef LK_SMALL

/* The same for the most of them, by whom is known by the bytes of his id: |at| and |end| stay in registers, and which form a
 * number has is predicted. False also for what read_insert() knows. */

static inline bool known_client(const lk_doc *doc, const uint8_t **at, const uint8_t *end,
                                uint16_t *client) {
  const lk_id_bytes *known = doc->known_ids;
  ptrdiff_t left = end - *at;
  if (left <= 0) return false;
  uint64_t word = left >= 8 ? lk_load_le64(*at) : lk_load_le64(end - 8) >> (64 - 8 * left);
  if ((word & known->mask) != known->word) known++;
  if ((word & known->mask) != known->word || left < known->len) return false;
  *client = known->client;
  *at += known->len;
  return true;
}

/* Of up to three bytes. */
static inline bool short_clock(const uint8_t **at, const uint8_t *end, uint64_t *clock) {
  if (end - *at < 4) return false;
  uint32_t word = lk_load_le32(*at), tops = word & 0x808080;
  if (tops == 0x808080) return false;
  if (tops == 0x8080) {
    *clock = (word & 0x7F) | (word >> 1 & 0x3F80) | (word >> 2 & 0x1FC000);
    *at += 3;
  } else if ((tops & 0x8080) == 0x80) {
    *clock = (word & 0x7F) | (word >> 1 & 0x3F80);
    *at += 2;
  } else {
    *clock = word & 0x7F;
    *at += 1;
  }
  return true;
}

static inline bool known_here(const lk_doc *doc, const uint8_t **at, const uint8_t *end,
                              uint16_t *client, uint64_t *clock) {
  return known_client(doc, at, end, client) && short_clock(at, end, clock) &&
         *clock <= doc->clients.at[*client].clock;
}

/* What it found is written field by field: a struct that was written so and is read as a whole, to be copied, has to wait
 * until all of it has left the processor. */
static inline bool read_typed(const lk_doc *doc, lk_slice update, keystroke *out) {
  const uint8_t *at = update.ptr + 2, *end = update.ptr + update.len;
  uint16_t client, origin = LK_NO_CLIENT, right = LK_NO_CLIENT;
  uint64_t clock, origin_clock = 0, right_clock = 0;
  if (update.len < 10 || !known_here(doc, &at, end, &client, &clock)) return false;
  uint8_t info = *at++; /* it was within the word of the clock */
  bool has_left = (info & LK_INFO_ORIGIN) != 0, has_right = (info & LK_INFO_RIGHT) != 0;
  if ((info & (uint8_t) ~(LK_INFO_ORIGIN | LK_INFO_RIGHT)) != LK_CONTENT_STRING) return false;
  if (!has_left && !has_right) return false;
  if (has_left && !known_here(doc, &at, end, &origin, &origin_clock)) return false;
  if (has_right && !known_here(doc, &at, end, &right, &right_clock)) return false;
  ptrdiff_t len = *at++;
  if (len == 0 || len >= 0x80 || len >= end - at) return false;
  out->client = client;
  out->clock = clock;
  out->origin_client = origin;
  out->origin_clock = origin_clock;
  out->right_client = right;
  out->right_clock = right_clock;
  out->is_value = false;
  out->text = lk_slice_of(at, (size_t)len);
  return read_end(lk_slice_of(at + len, (size_t)(end - at - len)), &out->deletes) &&
         is_ascii(out->text);
}

/* A column of V2: the bytes behind their length. */
static bool read_column(lk_reader *in, lk_reader *column) {
  uint64_t len;
  if (!read_uint(in, &len)) return false;
  *column = lk_reader_of(LK_SLICE_EMPTY);
  return lk_reader_bytes(in, len, &column->bytes) == LK_OK;
}

static bool read_varint(lk_reader *in, lk_varint *out) {
  return lk_varint_decode(in, LK_VARUINT_MAX_SAFE, out) == LK_OK;
}

/* As put_clients() wrote them: |count| of them. */
static bool read_clients(lk_reader *in, uint64_t *ids, uint32_t count) {
  for (uint32_t i = 0; i < count;) {
    lk_varint id;
    uint64_t more = 0;
    if (!read_varint(in, &id) || (id.negative && !read_uint(in, &more))) return false;
    if (more > 1 || (more += id.negative ? 2 : 1) > count - i) return false;
    while (more-- > 0) ids[i++] = id.magnitude;
  }
  return lk_reader_left(in) == 0;
}

static bool read_clock(lk_reader *column, uint64_t *clock) {
  lk_varint step;
  if (!read_varint(column, &step) || step.negative || (step.magnitude & 1) != 0) return false;
  *clock = step.magnitude / 2;
  return lk_reader_left(column) == 0;
}

static bool read_text(lk_reader *column, lk_slice *text) {
  uint64_t len;
  lk_varint units;
  return read_uint(column, &len) && len > 0 && len <= TYPED_MAX &&
         lk_reader_bytes(column, len, text) == LK_OK && read_varint(column, &units) &&
         !units.negative && units.magnitude == len && lk_reader_left(column) == 0;
}

/* A column of one clock, or of none. */
static bool read_clock_if(lk_reader *column, bool is_there, uint64_t *clock) {
  return is_there ? read_clock(column, clock) : lk_reader_left(column) == 0;
}

#define COLUMNS 9

static bool read_columns(lk_reader *in, lk_reader columns[COLUMNS]) {
  static const uint8_t empty[] = { 0, 6, 7 };
  for (uint32_t i = 0; i < COLUMNS; i++)
    if (!read_column(in, &columns[i])) return false;
  for (uint32_t i = 0; i < sizeof empty; i++)
    if (lk_reader_left(&columns[empty[i]]) > 0) return false;
  return true;
}

/* What has no column: one client with one struct, its value if it has one, and no deletions. */
static bool read_rest(lk_doc *doc, lk_reader *in, keystroke *out) {
  uint64_t clients, structs, deletes;
  return read_uint(in, &clients) && clients == 1 && read_uint(in, &structs) && structs == 1 &&
         read_uint(in, &out->clock) && (!out->is_value || read_value(doc, in, &out->text)) &&
         read_uint(in, &deletes) && deletes == 0 && lk_reader_left(in) == 0;
}

static bool is_u8(const lk_reader *column, uint8_t value) {
  return column->bytes.len == 1 && column->bytes.ptr[0] == value;
}

/* The columns of texts and of lengths. */
static bool read_content(lk_reader *texts, const lk_reader *lens, keystroke *out) {
  if (out->is_value) return is_u8(texts, 0) && is_u8(lens, 1);
  return read_text(texts, &out->text) && is_ascii(out->text) && lens->bytes.len == 0;
}

/* What read_insert() reads, in V2 and behind its first byte. */
static bool read_insert_v2(lk_doc *doc, lk_reader *in, keystroke *out) {
  lk_reader columns[COLUMNS], *info = &columns[4];
  uint64_t ids[3];
  bool has_left, has_right;
  if (!read_columns(in, columns) || !read_info(info, &has_left, &has_right, &out->is_value) ||
      lk_reader_left(info) > 0 || !read_rest(doc, in, out))
    return false;
  if (!read_clients(&columns[1], ids, 1u + has_left + has_right) ||
      !read_clock_if(&columns[2], has_left, &out->origin_clock) ||
      !read_clock_if(&columns[3], has_right, &out->right_clock) ||
      !read_content(&columns[5], &columns[8], out))
    return false;
  out->origin_client = out->right_client = LK_NO_CLIENT;
  return find_here(doc, ids[0], out->clock, &out->client) &&
         (!has_left || find_here(doc, ids[1], out->origin_clock, &out->origin_client)) &&
         (!has_right || find_here(doc, ids[1 + has_left], out->right_clock, &out->right_client));
}

#endif

static bool is_right(const lk_doc *doc, const keystroke *key, uint32_t right) {
  if (right == LK_NONE) return key->right_client == LK_NO_CLIENT;
  return key->right_client == doc->items[right].client &&
         key->right_clock == doc->items[right].clock;
}

/* Whether a list may be changed behind the backs of everybody. */
static bool is_free(const lk_doc *doc, const lk_item *item) {
  if (item->kind == LK_CONTENT_GC || (item->flags & LK_ITEM_SUB) != 0) return false;
  return (doc->types.at[item->parent].flags & LK_TYPE_HAS_FORMAT) == 0 &&
         !lk_type_deleted(doc, item->parent);
}

/* Where it says that it stands: behind |*left|, within it before unit |*offset| where that is above 0; and what that is in.
 * Only between neighbours that stand side by side, where nobody else wrote. */
static bool find_between(lk_doc *doc, const keystroke *key, uint32_t *left, uint32_t *offset,
                         uint32_t *right) {
  *offset = 0;
  if (key->origin_client == LK_NO_CLIENT) {
    if (key->right_clock >= doc->clients.at[key->right_client].clock) return false;
    *left = LK_NONE;
    *right = lk_client_item(doc, key->right_client, (uint32_t)key->right_clock);
    const lk_item *item = &doc->items[*right];
    return is_right(doc, key, *right) && is_free(doc, item) && item->left == LK_NONE;
  }
  if (key->origin_clock >= doc->clients.at[key->origin_client].clock) return false;
  *left = lk_client_item(doc, key->origin_client, (uint32_t)key->origin_clock);
  const lk_item *item = &doc->items[*left];
  if (!is_free(doc, item)) return false;
  *right = item->right;
  uint32_t end = (uint32_t)key->origin_clock + 1 - item->clock;
  if (end == item->len) return is_right(doc, key, *right);
  *offset = end;
  return is_plain(item) && key->right_client == item->client &&
         key->right_clock == key->origin_clock + 1;
}

#ifndef LK_SMALL
static bool apply_value(lk_doc *doc, whose who, const keystroke *key) {
  uint32_t left, right, offset;
  if (!find_between(doc, key, &left, &offset, &right) || offset > 0) return false;
  uint32_t slot = doc->items[left != LK_NONE ? left : right].parent;
  if (!takes_values(doc, slot)) return false;
  uint32_t made = put_value(doc, slot, key->client, left, right, key->text);
  if (made == LK_NONE) return false;
  doc->types.at[slot].cursor = LK_NONE;
  if (doc->observers.count > 0) tell_value(doc, who, made, (uint32_t)key->clock, key->text.len);
  return true;
}
#else
#define apply_value(doc, who, key) false
#endif

/* Its text, where that stands in |only|, or anywhere where that is LK_NONE. Gives the item that it is in, or LK_NONE where it is
 * not as simple; |*cut| is what was cut off for it, or LK_NONE. */
static inline uint32_t make_insert(lk_doc *doc, const keystroke *key, uint32_t only,
                                   uint32_t *cut) {
  uint32_t left, right, offset, made;
  *cut = LK_NONE;
  if (!find_between(doc, key, &left, &offset, &right)) return LK_NONE;
  uint32_t slot = doc->items[left != LK_NONE ? left : right].parent;
  if (LK_FAST_ALL && only != LK_NONE && slot != only) return LK_NONE;
  if (offset == 0) {
    if (insert_at(doc, slot, key->client, left, right, key->text, &made) == NOT_FAST)
      return LK_NONE;
  } else {
    made = insert_between(doc, slot, key->client, left, offset, LK_NONE, key->text);
    if (made == LK_NONE) return LK_NONE;
    *cut = doc->items[made].right;
  }
  doc->types.at[slot].cursor = LK_NONE;
  return made;
}

/* As it is told about. */
static lk_stroke insertion(const lk_doc *doc, const keystroke *key, uint32_t made, uint32_t cut) {
  return (lk_stroke){
    .type = doc->items[made].parent,
    .client = key->client,
    .clock = (uint32_t)key->clock,
    .len = (uint32_t)key->text.len,
    .right = cut,
  };
}

/* Whether its author may write it now. */
static bool is_next(const lk_doc *doc, const keystroke *key) {
  const lk_client *client = &doc->clients.at[key->client];
  return can_write(doc, key->client) && key->clock == client->clock && client->id != doc->client_id;
}

static bool apply_insert(lk_doc *doc, whose who, const keystroke *key) {
  uint32_t cut;
  if (!is_next(doc, key)) return false;
  if (LK_FAST_ALL && key->is_value) return apply_value(doc, who, key);
  uint32_t made = make_insert(doc, key, LK_NONE, &cut);
  if (made == LK_NONE) return false;
  if (doc->observers.count > 0) {
    lk_stroke what = insertion(doc, key, made, cut);
    tell_insert(doc, who, &what, key->text, key->origin_client, (uint32_t)key->origin_clock,
                doc->items[made].right);
  }
  return true;
}

#ifndef LK_SMALL

#define RANGES_MAX 1024
/* Items of which a part stays: more memory than for these is not asked for beforehand. */
#define CUTS_MAX 2

/* What is deleted of one client: ranges that ascend, each of whole items or of stretches of them. Where it |replaces| text comes
 * first, and may go on in the last item of its client, which is cut from it then. */
typedef struct erasure {
  uint16_t client;
  bool replaces;
  uint32_t count, cuts;
  uint32_t pieces; /* of items: one more where text comes within one of them */
  uint32_t type;   /* in which all of it stands, or LK_NONE */
  lk_range *ranges;
} erasure;

/* In V2 a clock counts from where the last range ended, and a length is less one. */
static bool read_ranges(lk_reader *in, uint32_t count, bool is_v2, uint32_t clocks, erasure *out) {
  uint64_t end = 0, clock, len;
  for (uint32_t i = 0; i < count; i++) {
    if (!read_uint(in, &clock) || !read_uint(in, &len)) return false;
    clock += is_v2 ? end : 0;
    len += is_v2;
    if (len == 0 || clock < end || clock >= clocks || len > clocks - clock) return false;
    end = clock + len;
    out->ranges[i] = (lk_range){ out->client, (uint32_t)clock, (uint32_t)len };
  }
  out->count = count;
  return lk_reader_left(in) == 0;
}

/* For each cut, and for text that comes where something is cut: two items. */
#define CUT_ITEMS (2 * CUTS_MAX + 2)

/* What cutting needs, several times over: so that the first one leaves enough. */
static bool has_room_for_cuts(lk_doc *doc, uint16_t client, uint32_t number, lk_place *place) {
  bool is_indexed = doc->types.at[doc->items[number].parent].order != LK_NONE;
  return lk_client_spread(doc, client, place, CUT_ITEMS) == LK_OK &&
         (!is_indexed || lk_order_reserve(doc, CUT_ITEMS) == LK_OK);
}

/* Whether delete_stretch() will do all of a range, item after item, with the memory for it. */
static bool may_erase(lk_doc *doc, erasure *self, const lk_range *range) {
  lk_place place = lk_client_place(doc, self->client, range->clock);
  for (uint32_t clock = range->clock, end = clock + range->len; clock < end;) {
    uint32_t number = lk_place_item(doc, self->client, place);
    const lk_item *item = &doc->items[number];
    if (!is_plain(item) || !is_free(doc, item) || is_joined(doc, number) ||
        !may_end_beside(doc, item->left, item->right, false))
      return false;
    bool grows = self->replaces && lk_item_end(item) == doc->clients.at[self->client].clock;
    bool is_cut = clock > item->clock || end < lk_item_end(item) || grows;
    if (is_cut &&
        (++self->cuts > CUTS_MAX || !has_room_for_cuts(doc, self->client, number, &place)))
      return false;
    if (self->pieces++ == 0) self->type = item->parent;
    else if (self->type != item->parent) self->type = LK_NONE;
    clock = lk_item_end(item);
    if (clock < end && !lk_place_next(doc, self->client, &place)) LK_UNREACHABLE();
  }
  return true;
}

/* Notes it in |gone|, where it is to be told about as events. */
static void erase(lk_doc *doc, const lk_range *range) {
  for (uint32_t clock = range->clock, end = clock + range->len; clock < end;) {
    uint32_t number = lk_client_item(doc, (uint16_t)range->client, clock);
    const lk_item *item = &doc->items[number];
    uint32_t slot = item->parent, offset = clock - item->clock;
    uint32_t len = lk_min_u32(end, lk_item_end(item)) - clock;
    if (doc->tells_txs) {
      lk_stroke what = deletion(item, offset, len, false);
      doc->gone.at[doc->gone.count++] = gone_of(&what);
    }
    bool is_done = delete_stretch(doc, slot, number, offset, len, false);
    LK_ASSERT(is_done);
    doc->types.at[slot].cursor = LK_NONE;
    clock += len;
  }
}

/* Reads the ranges of a client, and sees to it that all of them may be erased, and told about. */
static bool prepare_erasure(lk_doc *doc, lk_reader in, bool is_v2, erasure *all) {
  uint64_t id, count;
  lk_tx *tx = doc->tx_free;
  if (!read_uint(&in, &id) || !read_uint(&in, &count) || count == 0 ||
      count > lk_min_size(RANGES_MAX, lk_reader_left(&in) / 2))
    return false;
  doc->erased.count = 0;
  if (LK_VEC_RESERVE(doc, doc->erased, (uint32_t)count) != LK_OK) return false;
  all->ranges = doc->erased.at;
  all->client = lk_client_find(doc, id);
  if (all->client == LK_NO_CLIENT || !doc->gc) return false;
  if (!read_ranges(&in, (uint32_t)count, is_v2, doc->clients.at[all->client].clock, all))
    return false;
  if (lk_items_reserve(doc, CUT_ITEMS) != LK_OK) return false; /* first: indexes go by it */
  for (uint32_t i = 0; i < all->count; i++)
    if (!may_erase(doc, all, &all->ranges[i])) return false;
  if (doc->observers.count == 0) return true;
  if (tx == NULL || (doc->tells_txs && all->type == LK_NONE)) return false;
  return LK_VEC_RESERVE(doc, tx->ranges, all->count) == LK_OK &&
         LK_VEC_RESERVE(doc, tx->touched, 1) == LK_OK &&
         (!doc->tells_txs || reserve_gone(doc, tx, all->pieces + all->replaces));
}

static void erase_all(lk_doc *doc, const erasure *all) {
  lk_tx *tx = doc->tx_free;
  for (uint32_t i = 0; i < all->count; i++) erase(doc, &all->ranges[i]);
  lk_typing_end(doc);
  if (doc->observers.count == 0) return;
  memcpy(tx->ranges.at, all->ranges, all->count * sizeof *all->ranges);
  tx->ranges.count = all->count;
}

/* A text that replaces others: it comes first, as in a transaction. */
static bool apply_replace(lk_doc *doc, whose who, const keystroke *key) {
  erasure all = { .replaces = true };
  uint32_t made, cut;
  if (key->is_value || !is_next(doc, key) ||
      !prepare_erasure(doc, lk_reader_of(key->deletes), false, &all) ||
      (made = make_insert(doc, key, doc->tells_txs ? all.type : LK_NONE, &cut)) == LK_NONE)
    return false;
  lk_stroke what = insertion(doc, key, made, cut);
  erase_all(doc, &all);
  if (doc->observers.count == 0) {
    lk_doc_tidy(doc);
    return true;
  }
  doc->stroke = what;
  doc->stroke.many = true;
  lk_replace_tell(doc, doc->tx_free, who.origin, who.local);
  return true;
}

/* Several ranges of a client, or one over several items. */
static bool apply_deletes(lk_doc *doc, whose who, lk_reader in, bool is_v2) {
  erasure all = { .replaces = false };
  if (!prepare_erasure(doc, in, is_v2, &all)) return false;
  erase_all(doc, &all);
  if (!doc->tells_txs) {
    lk_doc_tidy(doc);
    if (doc->observers.count > 0) tell_ranges(doc, who, doc->tx_free);
    return true;
  }
  doc->stroke = (lk_stroke){ .type = all.type, .right = LK_NONE, .many = true };
  lk_replace_tell(doc, doc->tx_free, who.origin, who.local);
  return true;
}
#else
#define apply_replace(doc, who, key) false
#define apply_deletes(doc, who, in, is_v2) false
#endif

/* A stretch of one item. */
static bool apply_delete(lk_doc *doc, whose who, lk_reader *in, bool is_v2) {
  uint64_t id, clock, len;
  uint8_t ranges;
  if (!read_uint(in, &id) || lk_reader_u8(in, &ranges) != LK_OK || ranges != 1) return false;
  if (!read_uint(in, &clock) || !read_uint(in, &len) || lk_reader_left(in) > 0) return false;
  len += is_v2;
  if (len == 0) return false;
  uint16_t client = lk_client_find(doc, id);
  if (client == LK_NO_CLIENT || clock >= doc->clients.at[client].clock) return false;
  uint32_t number = lk_client_item(doc, client, (uint32_t)clock);
  const lk_item *item = &doc->items[number];
  uint32_t offset = (uint32_t)clock - item->clock, slot = item->parent;
  if (!is_plain(item) || !is_free(doc, item) || len > item->len - offset || !doc->gc) return false;
  lk_stroke what;
  if (doc->observers.count > 0) what = deletion(item, offset, (uint32_t)len, false);
  if (!delete_stretch(doc, slot, number, offset, (uint32_t)len, false)) return false;
  lk_typing_end(doc);
  doc->types.at[slot].cursor = LK_NONE;
  if (doc->observers.count > 0) tell_delete(doc, who, &what);
  return true;
}

static bool apply_v1(lk_doc *doc, whose who, lk_slice update) {
  keystroke key;
  lk_reader in = { update, 2 };
  if (update.ptr[0] == 1 && update.ptr[1] == 1) {
    bool is_typed = LK_FAST_ALL && read_typed(doc, update, &key);
    if (!is_typed && !read_insert(doc, &in, &key)) return false;
    return key.deletes.len == 0 ? apply_insert(doc, who, &key) : apply_replace(doc, who, &key);
  }
  return update.ptr[0] == 0 && update.ptr[1] == 1 &&
         (apply_delete(doc, who, &in, false) ||
          apply_deletes(doc, who, lk_reader_of(lk_slice_skip(update, 2)), false));
}

#ifndef LK_SMALL
static bool apply_v2(lk_doc *doc, whose who, lk_slice update) {
  keystroke key;
  lk_reader in = { update, 1 };
  if (update.ptr[0] != 0) return false;
  if (read_insert_v2(doc, &in, &key)) return apply_insert(doc, who, &key);
  in.pos = sizeof deletes_v2;
  if (update.len <= sizeof deletes_v2 || memcmp(update.ptr, deletes_v2, sizeof deletes_v2) != 0)
    return false;
  return apply_delete(doc, who, &in, true) ||
         apply_deletes(doc, who, lk_reader_of(lk_slice_skip(update, sizeof deletes_v2)), true);
}
#else
static bool apply_v2(lk_doc *doc, whose who, lk_slice update) {
  (void)doc, (void)who, (void)update;
  return false;
}
#endif

bool lk_apply_fast(lk_doc *doc, lk_update_format format, lk_slice update, uint64_t origin) {
  whose who = { origin, false };
  if (doc->tx != NULL || doc->cleaning || doc->clients.count == 0 || !can_tell(doc)) return false;
  if (lk_btree_count(&doc->pending) > 0 || lk_btree_count(&doc->pending_ranges) > 0) return false;
  if (update.len < 4 || update.len > TYPED_MAX) return false;
  lk_typing_end(doc);
  return format == LK_UPDATE_V1 ? apply_v1(doc, who, update) : apply_v2(doc, who, update);
}

/* ---- when somebody looks closer ---- */

/* The item that was typed or deleted, by itself: cut off from what it became part of. */
static lk_err cut_out(lk_doc *doc, const lk_stroke *what, uint32_t *item) {
  uint16_t client = (uint16_t)what->client;
  uint32_t next;
  lk_err err = lk_item_clean_start(doc, client, what->clock, item);
  if (err != LK_OK || what->clock + what->len == doc->clients.at[client].clock) return err;
  return lk_item_clean_start(doc, client, what->clock + what->len, &next);
}

static void note_cut(lk_doc *doc, lk_tx *tx, uint32_t item) {
  const lk_item *at = &doc->items[item];
  tx->merges.at[tx->merges.count++] = (lk_merge_try){ at->client, at->clock, item };
}

/* Its text is still where it was. Undo managers that come now are asked whether they want to keep it. */
static void show_deleted(lk_doc *doc, const lk_gone *gone, const lk_stroke *what) {
  uint32_t number = lk_client_item(doc, (uint16_t)gone->client, gone->clock);
  lk_item *item = &doc->items[number];
  item->kind = LK_CONTENT_STRING;
  item->content = gone->content;
  item->flags = LK_FAST_ALL && what->wanted ? KEPT : LK_ITEM_DELETED;
  if (LK_FAST_ALL && what->kept) return;
  if (doc->text_len == gone->content) doc->text_len += item->len;
  else doc->text_waste -= item->len;
}

static void note_cuts(lk_doc *doc, lk_tx *tx, const lk_gone *gone) {
  if (!gone->head) note_cut(doc, tx, lk_client_item(doc, (uint16_t)gone->client, gone->clock));
  if (!gone->tail)
    note_cut(doc, tx, lk_client_item(doc, (uint16_t)gone->client, gone->clock + gone->len));
}

static lk_err cut_out_gone(lk_doc *doc, const lk_gone *gone, uint32_t count) {
  lk_err err = LK_OK;
  uint32_t item;
  for (uint32_t i = 0; err == LK_OK && i < count; i++) {
    lk_stroke what = { .client = gone[i].client, .clock = gone[i].clock, .len = gone[i].len };
    err = cut_out(doc, &what, &item);
  }
  return err;
}

lk_err lk_stroke_open(lk_doc *doc) {
  lk_stroke *what = &doc->stroke;
  lk_tx *tx = what->tx, *open = doc->tx;
  lk_gone one = gone_of(what);
  bool many = LK_FAST_ALL && what->many;
  const lk_gone *gone = many ? doc->gone.at : &one;
  uint32_t count = many ? doc->gone.count : 1, item;
  lk_typing_end(doc);
  lk_err err = LK_VEC_RESERVE(doc, tx->merges, 2 * count + 1);
  if (err != LK_OK) return err;
  doc->tx = tx;
  lk_mark mark;
  lk_doc_mark(doc, &mark);
  if (many) err = cut_out_gone(doc, gone, count);
  if (err == LK_OK && what->len > 0) err = cut_out(doc, what, &item);
  if (err != LK_OK) lk_doc_rollback(doc, &mark);
  doc->journal.count = 0;
  doc->tx = open;
  if (err != LK_OK) return err;
  tx->merges.count = 0;
  if (what->right != LK_NONE) note_cut(doc, tx, what->right);
  for (uint32_t i = many || what->deleted ? count : 0; i > 0; i--) {
    show_deleted(doc, &gone[i - 1], what); /* the text that went last, first */
    note_cuts(doc, tx, &gone[i - 1]);
  }
  what->tx = NULL;
  return LK_OK;
}
