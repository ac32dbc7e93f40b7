/* tests/unit/doc/merge_model.h -- random updates, and Yjs's merge as slow and plain as it stands there.
 *
 * What model_merge() does is the loop of mergeUpdatesV2: all readers sorted anew in every turn, by the comparison
 * that Yjs has, in the way in which V8 sorts. Memory lives until the arena that the caller hands in goes. */
#ifndef LK_TESTS_DOC_MERGE_MODEL_H
#define LK_TESTS_DOC_MERGE_MODEL_H

#include "base/arena.h"
#include "base/limits.h"
#include "codec/any.h"
#include "codec/utf.h"
#include "codec/varint.h"
#include "doc/update.h"
#include "harness/test.h"

static inline lk_env model_env(const lk_alloc *alloc) { return (lk_env)LK_ENV_INIT(alloc, NULL); }

static inline lk_buf model_buf(void) {
  lk_buf buf;
  lk_buf_init(&buf, test_alloc(), (size_t)1 << 26);
  return buf;
}

static inline lk_arena model_arena(void) {
  lk_arena arena;
  lk_arena_init(&arena, test_alloc(), (size_t)1 << 28);
  return arena;
}

static inline void *model_push(lk_arena *arena, size_t count, size_t size) {
  void *got = lk_arena_push_array(arena, count + 1, size);
  CHECK(got != NULL);
  return got;
}

/* ---- random updates ---- */

typedef struct model_style {
  uint32_t clients; /* up to 6 of them */
  uint32_t clocks;  /* sections begin below */
  uint32_t structs; /* in one section */
  uint32_t gc;      /* one in so many structs; 0 none */
  uint32_t skips;   /* likewise */
  bool wild;        /* clients in any order */
  bool plain;       /* texts and what is deleted alone */
} model_style;

static inline model_style model_gen_style(lk_gen *g) {
  return (model_style){ .clients = gen_range(g, 1, 6),
                        .clocks = gen_bool(g) ? 4 : 40,
                        .structs = gen_range(g, 1, 5),
                        .gc = gen_bool(g) ? 0 : gen_range(g, 2, 4),
                        .skips = gen_bool(g) ? 0 : 5,
                        .wild = gen_chance(g, 1, 5),
                        .plain = gen_bool(g) };
}

static const uint64_t model_clients[] = { (1ull << 53) - 1, 1ull << 32, 300, 3, 2, 1 };

static inline lk_doc_id model_gen_id(lk_gen *g, const model_style *style) {
  return (lk_doc_id){ model_clients[gen_below(g, style->clients)],
                      gen_below(g, style->clocks + 8) };
}

static inline void model_gen_content(lk_gen *g, const model_style *style, lk_struct *s) {
  static const lk_slice texts[] = { LK_LIT_INIT("a"),
                                    LK_LIT_INIT("bcd"),
                                    LK_LIT_INIT("0123456789"),
                                    LK_LIT_INIT("\xC3\xA9"),
                                    LK_LIT_INIT("a\xF0\x9F\x98\x80"
                                                "b"),
                                    LK_LIT_INIT("\xF0\x9F\x98\x80\xF0\x9F\x98\x80") };
  static const uint8_t kinds[] = { 4, 1, 8, 2, 3, 5, 6, 7, 9 };
  s->kind = kinds[gen_below(g, style->plain ? 2 : sizeof kinds)];
  s->len = 1;
  s->value_is_json = true;
  s->key = LK_LIT("bold");
  s->value = LK_LIT("\"x\"");
  switch (s->kind) {
  case LK_CONTENT_STRING:
    s->text = (lk_column_piece){ .text = texts[gen_below(g, 6)] };
    s->len = lk_utf16_len_of_utf8(s->text.text);
    return;
  case LK_CONTENT_DELETED: s->len = gen_range(g, 1, 5); return;
  case LK_CONTENT_JSON:
    s->len = 3;
    s->value = LK_LIT("\x01"
                      "1\x09undefined\x03\"x\"");
    return;
  case LK_CONTENT_ANY:
    s->len = gen_range(g, 1, 3);
    s->value = lk_slice_first(LK_LIT("\x7E\x78\x7F"), (size_t)s->len);
    return;
  case LK_CONTENT_BINARY: s->value = LK_LIT("\x80\x01"); return;
  case LK_CONTENT_TYPE: s->type_ref = (uint8_t)gen_below(g, LK_TYPE_REF_COUNT); return;
  case LK_CONTENT_DOC: s->value = LK_LIT("\x76\x00"); return;
  default: return;
  }
}

static inline lk_struct model_gen_struct(lk_gen *g, const model_style *style, lk_doc_id id) {
  lk_struct s = { .id = id };
  if (style->gc > 0 && gen_chance(g, 1, style->gc)) {
    s.len = gen_range(g, 1, 6);
    return s;
  }
  model_gen_content(g, style, &s);
  if (gen_bool(g)) {
    s.info |= LK_INFO_ORIGIN;
    bool goes_on = gen_bool(g) && id.clock > 0;
    s.origin = goes_on ? (lk_doc_id){ id.client, id.clock - 1 } : model_gen_id(g, style);
  }
  if (gen_chance(g, 1, 4)) {
    s.info |= LK_INFO_RIGHT;
    s.right = model_gen_id(g, style);
  }
  if (s.info == 0) {
    s.parent_form = gen_bool(g) ? LK_PARENT_ITEM : LK_PARENT_ROOT;
    s.parent_id = model_gen_id(g, style);
    s.parent_name = LK_LIT("root");
  }
  if (gen_chance(g, 1, 4)) s.info |= LK_INFO_SUB;
  s.sub = LK_LIT("key");
  s.info |= s.kind;
  return s;
}

static inline void model_gen_section(lk_gen *g, const model_style *style, lk_update_writer *w,
                                     uint64_t client) {
  lk_doc_id id = { client, gen_below(g, style->clocks) };
  lk_update_write_client(w, client, id.clock);
  bool may_skip = false;
  for (uint32_t n = gen_range(g, 1, style->structs); n > 0; n--) {
    if (may_skip && style->skips > 0 && gen_chance(g, 1, style->skips)) {
      lk_update_put_skip(w, 3);
      id.clock += 3;
    }
    lk_struct s = model_gen_struct(g, style, id);
    lk_update_write_struct(w, &s, 0);
    id.clock += s.len;
    may_skip = true;
  }
}

static inline void model_gen_deletes(lk_gen *g, const model_style *style, lk_update_writer *w) {
  lk_update_write_deletes(w);
  for (uint32_t c = 0; c < style->clients; c++) {
    if (!gen_chance(g, 1, 3)) continue;
    uint32_t count = gen_below(g, 4);
    uint64_t clock = 0;
    lk_update_write_delete_client(w, model_clients[c], count);
    for (; count > 0; count--) {
      clock += gen_below(g, 8);
      uint64_t len = gen_range(g, 1, 4);
      lk_update_write_delete(w, clock, len);
      clock += len;
    }
  }
}

/* Appends an update to |out|. */
static inline void model_gen_update(lk_gen *g, lk_update_format format, const model_style *style,
                                    lk_buf *out) {
  lk_update_writer w;
  lk_update_writer_init(&w, test_alloc(), format, (size_t)1 << 24);
  uint32_t turned = style->wild ? gen_below(g, style->clients) : 0;
  for (uint32_t c = 0; c < style->clients; c++) {
    if (gen_bool(g)) continue;
    uint32_t place = (c + turned) % style->clients;
    model_gen_section(g, style, &w, model_clients[place]);
  }
  model_gen_deletes(g, style, &w);
  CHECK_OK(lk_update_writer_finish(&w, out));
  lk_update_writer_deinit(&w);
}

/* Up to |max| updates, some of them twice. The bytes lie in |arena|. */
static inline size_t model_gen_updates(lk_gen *g, lk_update_format format, const model_style *style,
                                       lk_slice *updates, uint32_t max, lk_arena *arena) {
  size_t count = gen_below(g, max + 1);
  for (size_t i = 0; i < count; i++) {
    if (i > 0 && gen_chance(g, 1, 8)) {
      updates[i] = updates[gen_below(g, (uint32_t)i)];
      continue;
    }
    lk_buf buf = model_buf();
    model_gen_update(g, format, style, &buf);
    CHECK_OK(lk_arena_copy(arena, lk_buf_slice(&buf), &updates[i]));
    lk_buf_deinit(&buf);
  }
  return count;
}

/* ---- reading all of an update ---- */

typedef struct model_range {
  uint64_t client, clock, len;
} model_range;

typedef struct model_update {
  lk_struct *structs;
  model_range *ranges;
  size_t struct_count, range_count;
} model_update;

#define MODEL_MAX 4000

static inline model_update model_read(lk_update_format format, lk_slice bytes, bool with_skips,
                                      lk_arena *arena) {
  model_update out = { .structs = model_push(arena, MODEL_MAX, sizeof(lk_struct)),
                       .ranges = model_push(arena, MODEL_MAX, sizeof(model_range)) };
  lk_update_reader in;
  lk_err err;
  uint64_t client, clock, len, count;
  CHECK_OK(lk_update_reader_init(&in, format, bytes, 64, arena));
  while ((err = lk_update_next_client(&in, &client, &clock, &count)) == LK_OK) {
    lk_struct *s = &out.structs[out.struct_count];
    for (; (err = lk_update_next_struct(&in, s)) == LK_OK; s = &out.structs[out.struct_count]) {
      CHECK(out.struct_count < MODEL_MAX);
      if (s->parent_form == LK_PARENT_INHERITED) s->info &= (uint8_t)~LK_INFO_SUB;
      out.struct_count += with_skips || s->kind != LK_CONTENT_SKIP;
    }
    CHECK_ERR(err, LK_ERR_END);
  }
  CHECK_ERR(err, LK_ERR_END);
  while ((err = lk_update_next_delete_client(&in, &client, &count)) == LK_OK) {
    while ((err = lk_update_next_delete(&in, &clock, &len)) == LK_OK) {
      CHECK(out.range_count < MODEL_MAX);
      out.ranges[out.range_count++] = (model_range){ client, clock, len };
    }
    CHECK_ERR(err, LK_ERR_END);
  }
  CHECK_ERR(err, LK_ERR_END);
  return out;
}

/* ---- the sort ---- */

typedef struct model_reader {
  const lk_struct *structs;
  size_t count, at;
} model_reader;

static inline const lk_struct *model_at(const model_reader *r) { return &r->structs[r->at]; }

static inline int model_compare(const model_reader *a, const model_reader *b) {
  const lk_struct *x = model_at(a), *y = model_at(b);
  if (x->id.client != y->id.client) return x->id.client > y->id.client ? -1 : 1;
  if (x->id.clock != y->id.clock) return x->id.clock < y->id.clock ? -1 : 1;
  return (x->kind == LK_CONTENT_GC) == (y->kind == LK_CONTENT_GC) ? 0 : -1;
}

/* Array.prototype.sort of less than 64: the run at the front, turned round if it descends, then each of the rest by
 * halving. Of more, any stable sort: none of our cases then has two answers. */
static inline void model_sort(model_reader **readers, size_t count) {
  size_t run = 1;
  bool descends = count > 1 && model_compare(readers[1], readers[0]) < 0;
  while (run < count && (model_compare(readers[run], readers[run - 1]) < 0) == descends) run++;
  for (size_t i = 0; descends && i < run / 2; i++) {
    model_reader *swapped = readers[i];
    readers[i] = readers[run - 1 - i];
    readers[run - 1 - i] = swapped;
  }
  for (size_t i = run; i < count; i++) {
    model_reader *moved = readers[i];
    size_t low = 0, high = i;
    while (low < high) {
      size_t middle = (low + high) / 2;
      if (model_compare(moved, readers[middle]) < 0) high = middle;
      else low = middle + 1;
    }
    for (size_t k = i; k > low; k--) readers[k] = readers[k - 1];
    readers[low] = moved;
  }
}

/* ---- the loop ---- */

typedef struct model_writer {
  lk_update_writer out;
  bool any;
  uint64_t client;
} model_writer;

static inline void model_write(model_writer *w, const lk_struct *s) {
  if (!w->any || w->client != s->id.client) {
    lk_update_write_client(&w->out, s->id.client, s->id.clock);
  }
  w->any = true;
  w->client = s->id.client;
  lk_update_write_struct(&w->out, s, 0);
}

static inline uint64_t model_end(const lk_struct *s) { return s->id.clock + s->len; }

static inline size_t model_drop_empty(model_reader **readers, size_t count) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++)
    if (readers[i]->at < readers[i]->count) readers[kept++] = readers[i];
  return kept;
}

static inline bool model_has(const model_reader *r) { return r->at < r->count; }

/* One turn of the reader in front. |have| says whether |w| is anything. */
static inline void model_turn(model_writer *out, model_reader *r, lk_struct *w, bool *have) {
  uint64_t client = model_at(r)->id.client;
  bool passed = false;
  if (*have) {
    while (model_has(r) && model_end(model_at(r)) <= model_end(w) &&
           model_at(r)->id.client >= w->id.client) {
      r->at++;
      passed = true;
    }
    if (!model_has(r) || model_at(r)->id.client != client) return;
    lk_struct s = *model_at(r);
    if (passed && s.id.clock > model_end(w)) return;
    if (client != w->id.client) {
      model_write(out, w);
      *w = s;
      r->at++;
    } else if (model_end(w) < s.id.clock) {
      model_write(out, w);
      *w = (lk_struct){ .kind = LK_CONTENT_SKIP,
                        .info = LK_CONTENT_SKIP,
                        .id = { client, model_end(w) },
                        .len = s.id.clock - model_end(w) };
    } else {
      lk_struct_cut_front(&s, model_end(w) - s.id.clock);
      if (w->kind == LK_CONTENT_GC && s.kind == LK_CONTENT_GC) {
        w->len += s.len;
      } else {
        model_write(out, w);
        *w = s;
        r->at++;
      }
    }
  } else {
    *w = *model_at(r);
    *have = true;
    r->at++;
  }
  for (; model_has(r) && model_at(r)->id.client == client && model_at(r)->id.clock == model_end(w);
       r->at++) {
    model_write(out, w);
    *w = *model_at(r);
  }
}

static inline size_t model_merge_ranges(model_range *ranges, size_t count) {
  for (size_t i = 1; i < count; i++) {
    for (size_t k = i; k > 0; k--) {
      model_range *a = &ranges[k - 1], *b = &ranges[k], swapped = *a;
      bool wrong = a->client != b->client ? a->client < b->client : a->clock > b->clock;
      if (!wrong) break;
      *a = *b;
      *b = swapped;
    }
  }
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    model_range *left = kept > 0 ? &ranges[kept - 1] : NULL;
    if (left != NULL && left->client == ranges[i].client &&
        left->clock + left->len >= ranges[i].clock) {
      left->len = lk_max_u64(left->len, ranges[i].clock + ranges[i].len - left->clock);
    } else {
      ranges[kept++] = ranges[i];
    }
  }
  return kept;
}

static inline void model_write_ranges(lk_update_writer *w, const model_range *ranges,
                                      size_t count) {
  lk_update_write_deletes(w);
  for (size_t i = 0; i < count;) {
    size_t n = 0;
    while (i + n < count && ranges[i + n].client == ranges[i].client) n++;
    lk_update_write_delete_client(w, ranges[i].client, n);
    for (size_t end = i + n; i < end; i++)
      lk_update_write_delete(w, ranges[i].clock, ranges[i].len);
  }
}

/* Appends what Yjs makes of the updates, two or more. */
static inline void model_merge(lk_update_format format, const lk_slice *updates, size_t count,
                               lk_buf *out, lk_arena *arena) {
  model_reader *readers = model_push(arena, count, sizeof *readers);
  model_reader **order = model_push(arena, count, sizeof *order);
  model_range *ranges = model_push(arena, MODEL_MAX, sizeof *ranges);
  size_t range_count = 0, left = count;
  for (size_t i = 0; i < count; i++) {
    model_update u = model_read(format, updates[i], false, arena);
    readers[i] = (model_reader){ u.structs, u.struct_count, 0 };
    order[i] = &readers[i];
    CHECK(range_count + u.range_count <= MODEL_MAX);
    memcpy(ranges + range_count, u.ranges, u.range_count * sizeof *ranges);
    range_count += u.range_count;
  }
  model_writer w = { 0 };
  lk_struct current;
  bool have = false;
  lk_update_writer_init(&w.out, test_alloc(), format, (size_t)1 << 24);
  while ((left = model_drop_empty(order, left)) > 0) {
    model_sort(order, left);
    model_turn(&w, order[0], &current, &have);
  }
  if (have) model_write(&w, &current);
  model_write_ranges(&w.out, ranges, model_merge_ranges(ranges, range_count));
  CHECK_OK(lk_update_writer_finish(&w.out, out));
  lk_update_writer_deinit(&w.out);
}

#endif
