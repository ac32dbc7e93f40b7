/* A merge that is small: what it says of each clock must be what the merge says, less what is deleted. */
#include "unit/doc/merge_model.h"

/* ---- by hand ---- */

/* Checks what |count| updates of V1 are compacted to. */
static void check_compact(const lk_slice *updates, size_t count, lk_slice want) {
  lk_env env = model_env(test_alloc());
  lk_buf out = model_buf();
  CHECK_OK(lk_update_compact(&env, LK_UPDATE_V1, updates, count, &out));
  CHECK_SLICE(lk_buf_slice(&out), want);
  lk_buf_deinit(&out);
}

TEST(texts_that_go_on_become_one) {
  lk_slice updates[] = { LK_LIT("\x01\x01\x07\x00\x04\x01\x01t\x03hel\x00"),
                         LK_LIT("\x01\x01\x07\x03\x84\x07\x02\x02lo\x00"),
                         LK_LIT("\x01\x01\x07\x05\x84\x07\x04\x01!\x00") };
  lk_slice want = LK_LIT("\x01\x01\x07\x00\x04\x01\x01t\x06hello!\x00");
  check_compact(updates, 3, want);
  check_compact(&want, 1, want);
  check_compact(NULL, 0, LK_LIT("\x00\x00"));
}

TEST(what_does_not_go_on_stays_apart) {
  static const lk_slice apart[] = {
    /* after another clock */
    LK_LIT_INIT("\x01\x02\x07\x00\x04\x01\x01t\x03hel\x84\x07\x01\x02lo\x00"),
    /* before something */
    LK_LIT_INIT("\x01\x02\x07\x00\x04\x01\x01t\x03hel\xC4\x07\x02\x05\x01\x02lo\x00"),
    /* before something else */
    LK_LIT_INIT("\x01\x02\x07\x00\x44\x05\x01\x03hel\xC4\x07\x02\x05\x02\x02lo\x00"),
    /* of another kind */
    LK_LIT_INIT("\x01\x02\x07\x00\x04\x01\x01t\x03hel\x88\x07\x02\x01\x7E\x00"),
    /* one clock each: embeds */
    LK_LIT_INIT("\x01\x02\x07\x00\x05\x01\x01t\x01"
                "1\x85\x07\x00\x01"
                "1\x00"),
    /* a gap */
    LK_LIT_INIT("\x01\x03\x07\x00\x04\x01\x01t\x03hel\x0A\x02\x84\x07\x04\x02lo\x00"),
  };
  for (size_t i = 0; i < sizeof apart / sizeof apart[0]; i++) check_compact(&apart[i], 1, apart[i]);
}

TEST(values_become_one_in_a_list_but_not_in_a_map_and_not_where_nobody_knows) {
  lk_slice list = LK_LIT("\x01\x02\x07\x00\x08\x01\x01t\x01\x7E\x88\x07\x00\x01\x7F\x00");
  check_compact(&list, 1, LK_LIT("\x01\x01\x07\x00\x08\x01\x01t\x02\x7E\x7F\x00"));
  lk_slice map = LK_LIT("\x01\x02\x07\x00\x28\x01\x01t\x01k\x01\x7E\x88\x07\x00\x01\x7F\x00");
  check_compact(&map, 1, map);
  lk_slice text = LK_LIT("\x01\x02\x07\x00\x24\x01\x01t\x01k\x01"
                         "a\x84\x07\x00\x01"
                         "b\x00");
  check_compact(&text, 1, text);
  lk_slice unknown = LK_LIT("\x01\x02\x07\x00\x88\x05\x09\x01\x7E\x88\x07\x00\x01\x7F\x00");
  check_compact(&unknown, 1, unknown);
  /* The way to the root may lead through other clients, and by the right. */
  lk_slice far = LK_LIT("\x02\x02\x07\x00\x48\x05\x00\x01\x7E\xC8\x07\x00\x05\x00\x01\x7F"
                        "\x01\x05\x00\x08\x01\x01t\x01\x7F\x00");
  check_compact(
      &far, 1,
      LK_LIT("\x02\x01\x07\x00\x48\x05\x00\x02\x7E\x7F\x01\x05\x00\x08\x01\x01t\x01\x7F\x00"));
}

TEST(what_is_deleted_loses_its_content) {
  lk_slice text = LK_LIT("\x01\x01\x07\x00\x04\x01\x01t\x06"
                         "abcdef\x01\x07\x01\x02\x02");
  check_compact(&text, 1,
                LK_LIT("\x01\x03\x07\x00\x04\x01\x01t\x02"
                       "ab\x81\x07\x01\x02\x84\x07\x03\x02"
                       "ef\x01\x07\x01\x02\x02"));
  /* From the first to the last, in two ranges of two updates, and beyond what is there. */
  lk_slice all[] = { LK_LIT("\x01\x01\x07\x00\x04\x01\x01t\x06"
                            "abcdef\x01\x07\x01\x00\x02"),
                     LK_LIT("\x00\x01\x07\x01\x02\x09") };
  check_compact(all, 2, LK_LIT("\x01\x01\x07\x00\x01\x01\x01t\x06\x01\x07\x01\x00\x0B"));
  /* Two ends of it; a value of any kind is cut as well. */
  lk_slice any = LK_LIT(
      "\x01\x01\x07\x00\x08\x01\x01t\x04\x7E\x78\x77\x01x\x7F\x01\x07\x02\x00\x01\x03\x01");
  check_compact(&any, 1,
                LK_LIT("\x01\x03\x07\x00\x01\x01\x01t\x01\x88\x07\x00\x02\x78\x77\x01x"
                       "\x81\x07\x02\x01\x01\x07\x02\x00\x01\x03\x01"));
}

TEST(a_pair_of_which_half_is_deleted_leaves_a_mark) {
  lk_slice text = LK_LIT("\x01\x01\x07\x00\x04\x01\x01t\x05"
                         "a\xF0\x9F\x98\x80\x01\x07\x01\x02\x01");
  check_compact(&text, 1,
                LK_LIT("\x01\x02\x07\x00\x04\x01\x01t\x04"
                       "a\xEF\xBF\xBD\x81\x07\x01\x01\x01\x07\x01\x02\x01"));
  CHECK_COVERED(compact_cuts_a_pair);
  lk_slice front = LK_LIT("\x01\x01\x07\x00\x04\x01\x01t\x05\xF0\x9F\x98\x80"
                          "b\x01\x07\x01\x00\x01");
  check_compact(&front, 1,
                LK_LIT("\x01\x02\x07\x00\x01\x01\x01t\x01\x84\x07\x00\x04\xEF\xBF\xBD"
                       "b\x01\x07\x01\x00\x01"));
}

/* 5:0 is an array in t; 7:0 is in it, 7:1 after that, 9:0 an array before 7:0, and 9:1 in that. */
#define TREE_CLIENTS                                                                               \
  "\x03\x02\x09\x00\x47\x07\x00\x00\x04\x00\x09\x00\x01x\x02\x07\x00\x08\x00\x05\x00\x01\x7E\x88"  \
  "\x07\x00\x01\x7F\x01\x05\x00\x07\x01\x01t\x00"

TEST(all_that_is_in_a_deleted_type_is_collected) {
  lk_slice tree = LK_LIT(TREE_CLIENTS "\x01\x05\x01\x00\x01");
  check_compact(&tree, 1,
                LK_LIT("\x03\x01\x09\x00\x00\x02\x01\x07\x00\x00\x02\x01\x05\x00\x01\x01\x01t\x01"
                       "\x01\x05\x01\x00\x01"));
  lk_slice alive = LK_LIT(TREE_CLIENTS "\x00");
  check_compact(
      &alive, 1,
      LK_LIT("\x03\x02\x09\x00\x47\x07\x00\x00\x04\x00\x09\x00\x01x\x01\x07\x00\x08\x00\x05"
             "\x00\x02\x7E\x7F\x01\x05\x00\x07\x01\x01t\x00\x00"));
  /* What is in a type that was deleted before, or collected. */
  lk_slice gone = LK_LIT(
      "\x02\x01\x07\x00\x08\x00\x05\x00\x01\x7E\x01\x05\x00\x01\x01\x01t\x01\x00");
  check_compact(&gone, 1, LK_LIT("\x02\x01\x07\x00\x00\x01\x01\x05\x00\x01\x01\x01t\x01\x00"));
  lk_slice collected = LK_LIT("\x02\x01\x07\x00\x08\x00\x05\x00\x01\x7E\x01\x05\x00\x00\x01\x00");
  check_compact(&collected, 1, LK_LIT("\x02\x01\x07\x00\x00\x01\x01\x05\x00\x00\x01\x00"));
}

TEST(those_that_wait_for_themselves_are_left_alone) {
  /* 7:0 is where 5:0 is, 5:0 is where 7:0 is; 3:0 is in itself. */
  lk_slice circle = LK_LIT("\x03\x01\x07\x00\x88\x05\x00\x01\x7E\x01\x05\x00\x88\x07\x00\x01\x7E"
                           "\x01\x03\x00\x07\x00\x03\x00\x00\x00");
  check_compact(&circle, 1, circle);
}

TEST(halves_of_a_pair_in_two_structs_stay_apart) {
  lk_env env = model_env(test_alloc());
  lk_buf in = model_buf(), out = model_buf();
  lk_update_writer w;
  lk_update_writer_init(&w, test_alloc(), LK_UPDATE_V2, 1000);
  lk_update_write_client(&w, 7, 0);
  lk_struct high = { .kind = LK_CONTENT_STRING,
                     .info = LK_CONTENT_STRING,
                     .parent_form = LK_PARENT_ROOT,
                     .id = { 7, 0 },
                     .len = 2,
                     .parent_name = LK_LIT("t"),
                     .text = { .text = LK_LIT("a"), .high_last = 0xD83D } };
  lk_struct low = { .kind = LK_CONTENT_STRING,
                    .info = LK_CONTENT_STRING | LK_INFO_ORIGIN,
                    .id = { 7, 2 },
                    .len = 2,
                    .origin = { 7, 1 },
                    .text = { .text = LK_LIT("b"), .low_first = 0xDE00 } };
  lk_update_write_struct(&w, &high, 0);
  lk_update_write_struct(&w, &low, 0);
  CHECK_OK(lk_update_writer_finish(&w, &in));
  lk_update_writer_deinit(&w);
  lk_slice update = lk_buf_slice(&in);
  CHECK_OK(lk_update_compact(&env, LK_UPDATE_V2, &update, 1, &out));
  CHECK_SLICE(lk_buf_slice(&out), update);
  lk_buf_deinit(&in);
  lk_buf_deinit(&out);
}

/* ---- clock by clock ---- */

/* All that an update says of one clock. */
typedef struct unit {
  lk_doc_id id, origin, right;
  const lk_struct *from; /* parent and sub, where it is the first of one without origins */
  uint8_t kind, info;
  uint64_t text;  /* STRING: the UTF-16 unit */
  lk_slice value; /* others: what they hold */
  bool first;
} unit;

typedef struct units {
  unit *items;
  size_t count;
} units;

static void add_text(units *out, const lk_struct *s) {
  uint16_t text[64];
  size_t len = 0;
  if (s->text.low_first != 0) text[len++] = s->text.low_first;
  len += lk_utf16_of_utf8(s->text.text, text + len, 60);
  if (s->text.high_last != 0) text[len++] = s->text.high_last;
  CHECK_U64(len, s->len);
  for (size_t i = 0; i < len; i++) out->items[out->count + i].text = text[i];
}

static void add_values(units *out, const lk_struct *s) {
  lk_reader in = lk_reader_of(s->value);
  for (uint64_t i = 0; i < s->len; i++) {
    size_t from = in.pos;
    if (s->kind == LK_CONTENT_ANY) {
      in.pos++; /* ours are a byte each */
    } else {
      uint64_t len;
      CHECK_OK(lk_varuint_decode(&in, 1000, &len));
      CHECK_OK(lk_reader_skip(&in, len));
    }
    out->items[out->count + i].value = lk_reader_since(&in, from);
  }
  CHECK_OK(lk_reader_end(&in));
}

static void add_struct(units *out, const lk_struct *s) {
  for (uint64_t i = 0; i < s->len; i++) {
    unit *u = &out->items[out->count + i];
    *u = (unit){ .id = { s->id.client, s->id.clock + i }, .kind = s->kind, .info = s->info };
    if (s->kind == LK_CONTENT_GC) continue;
    u->first = i == 0;
    u->from = s;
    if (i > 0) u->info |= LK_INFO_ORIGIN;
    if (i > 0) u->origin = (lk_doc_id){ s->id.client, s->id.clock + i - 1 };
    else if ((u->info & LK_INFO_ORIGIN) != 0) u->origin = s->origin;
    if ((u->info & LK_INFO_RIGHT) != 0) u->right = s->right;
    if ((s->info & (LK_INFO_ORIGIN | LK_INFO_RIGHT)) != 0 || i > 0)
      u->info &= (uint8_t)~LK_INFO_SUB; /* not said of it */
    if (s->kind != LK_CONTENT_STRING && s->kind != LK_CONTENT_DELETED) u->value = s->value;
  }
  if (s->kind == LK_CONTENT_STRING) add_text(out, s);
  if (s->kind == LK_CONTENT_ANY || s->kind == LK_CONTENT_JSON) add_values(out, s);
  out->count += s->len;
}

static units units_of(const model_update *u, lk_arena *arena) {
  uint64_t total = 0;
  for (size_t i = 0; i < u->struct_count; i++) total += u->structs[i].len;
  CHECK(total < 100000);
  units out = { .items = model_push(arena, (size_t)total, sizeof(unit)) };
  for (size_t i = 0; i < u->struct_count; i++) add_struct(&out, &u->structs[i]);
  return out;
}

static const unit *find_unit(const units *all, lk_doc_id id) {
  for (size_t i = 0; i < all->count; i++)
    if (all->items[i].id.client == id.client && all->items[i].id.clock == id.clock)
      return &all->items[i];
  return NULL;
}

static bool in_ranges(const model_update *u, lk_doc_id id) {
  for (size_t i = 0; i < u->range_count; i++) {
    const model_range *r = &u->ranges[i];
    if (r->client == id.client && r->clock <= id.clock && id.clock < r->clock + r->len) return true;
  }
  return false;
}

/* Which clocks are in a deleted type: asked round after round, until nothing changes. */
static bool *find_dead(const units *all, const model_update *u, lk_arena *arena) {
  bool *dead = model_push(arena, all->count, sizeof *dead), changed = true;
  memset(dead, 0, all->count);
  while (changed) {
    changed = false;
    for (size_t i = 0; i < all->count; i++) {
      const unit *at = &all->items[i];
      if (dead[i]) continue;
      bool now = at->kind == LK_CONTENT_GC;
      const lk_doc_id *of = NULL;
      if (now) {
      } else if ((at->info & LK_INFO_ORIGIN) != 0) {
        of = &at->origin;
      } else if ((at->info & LK_INFO_RIGHT) != 0) {
        of = &at->right;
      } else if (at->from->parent_form == LK_PARENT_ITEM) {
        of = &at->from->parent_id;
        const unit *parent = find_unit(all, *of);
        now = in_ranges(u, *of) || (parent != NULL && parent->kind == LK_CONTENT_DELETED);
      }
      const unit *other = of != NULL ? find_unit(all, *of) : NULL;
      if (other != NULL && dead[other - all->items]) now = true;
      dead[i] = now;
      changed |= now;
    }
  }
  return dead;
}

/* What the second of two halves leaves of the first, and the other way round. */
static void mend_halves(units *all, const bool *gone) {
  for (size_t i = 0; i + 1 < all->count; i++) {
    unit *a = &all->items[i], *b = a + 1;
    if (a->kind != LK_CONTENT_STRING || a->from != b->from) continue;
    if (lk_utf_is_high_surrogate((uint32_t)a->text) && gone[i] != gone[i + 1])
      a->text = b->text = LK_UTF_REPLACEMENT;
  }
}

static void check_unit(const unit *got, const unit *want, bool dead, bool gone) {
  CHECK(got->id.client == want->id.client && got->id.clock == want->id.clock);
  if (dead) {
    CHECK_U64(got->kind, LK_CONTENT_GC);
    return;
  }
  CHECK_U64(got->kind, gone ? LK_CONTENT_DELETED : want->kind);
  CHECK_U64(got->info >> 5, want->info >> 5);
  CHECK(got->origin.client == want->origin.client && got->origin.clock == want->origin.clock);
  CHECK(got->right.client == want->right.client && got->right.clock == want->right.clock);
  if ((want->info & (LK_INFO_ORIGIN | LK_INFO_RIGHT)) == 0) {
    CHECK_U64(got->from->parent_form, want->from->parent_form);
    if (want->from->parent_form == LK_PARENT_ROOT)
      CHECK_SLICE(got->from->parent_name, want->from->parent_name);
    else CHECK_U64(got->from->parent_id.clock, want->from->parent_id.clock);
    if ((want->info & LK_INFO_SUB) != 0) CHECK_SLICE(got->from->sub, want->from->sub);
  }
  if (gone) return;
  if (want->kind == LK_CONTENT_STRING) CHECK_U64(got->text, want->text);
  if (want->kind == LK_CONTENT_TYPE) CHECK_U64(got->from->type_ref, want->from->type_ref);
  else CHECK_SLICE(got->value, want->value);
}

/* No two neighbours that everybody would join. */
static void check_joined(const model_update *u) {
  for (size_t i = 1; i < u->struct_count; i++) {
    const lk_struct *a = &u->structs[i - 1], *b = &u->structs[i];
    if (a->id.client != b->id.client || model_end(a) != b->id.clock || a->kind != b->kind) continue;
    CHECK(a->kind != LK_CONTENT_GC);
    if (a->kind != LK_CONTENT_DELETED || (b->info & LK_INFO_ORIGIN) == 0) continue;
    bool goes_on = b->origin.client == a->id.client && b->origin.clock + 1 == b->id.clock;
    bool same_right = (a->info & LK_INFO_RIGHT) == (b->info & LK_INFO_RIGHT) &&
                      ((a->info & LK_INFO_RIGHT) == 0 ||
                       (a->right.client == b->right.client && a->right.clock == b->right.clock));
    CHECK(!goes_on || !same_right);
  }
}

/* Goal: what is written differs from the merge in nothing but what the delete set allows.
 * Method: both are taken apart into clocks; what is gone and what is dead is asked in another way. */
PROPERTY_SLOW(compacting_says_of_each_clock_what_merging_says, 2) {
  lk_update_format format = gen_bool(g) ? LK_UPDATE_V2 : LK_UPDATE_V1;
  model_style style = model_gen_style(g);
  style.wild = false;
  lk_slice updates[6];
  lk_arena arena = model_arena();
  lk_env env = model_env(test_alloc());
  lk_buf merged = model_buf(), small = model_buf(), again = model_buf();
  size_t count = model_gen_updates(g, format, &style, updates, 6, &arena);
  CHECK_OK(lk_update_merge(&env, format, updates, count, &merged));
  CHECK_OK(lk_update_compact(&env, format, updates, count, &small));

  model_update before = model_read(format, lk_buf_slice(&merged), false, &arena);
  model_update after = model_read(format, lk_buf_slice(&small), false, &arena);
  units want = units_of(&before, &arena), got = units_of(&after, &arena);
  bool *dead = find_dead(&want, &before, &arena);
  bool *gone = model_push(&arena, want.count, sizeof *gone);
  for (size_t i = 0; i < want.count; i++) gone[i] = in_ranges(&before, want.items[i].id);
  mend_halves(&want, gone);
  CHECK_U64(got.count, want.count);
  for (size_t i = 0; i < want.count; i++)
    check_unit(&got.items[i], &want.items[i], dead[i],
               gone[i] || want.items[i].kind == LK_CONTENT_DELETED);
  check_joined(&after);
  CHECK_U64(after.range_count, model_merge_ranges(before.ranges, before.range_count));

  lk_slice once = lk_buf_slice(&small);
  CHECK_OK(lk_update_compact(&env, format, &once, 1, &again));
  CHECK_SLICE(lk_buf_slice(&again), once);
  lk_buf *all[] = { &merged, &small, &again };
  for (size_t i = 0; i < 3; i++) lk_buf_deinit(all[i]);
  lk_arena_deinit(&arena);
}

/* Clients in any order, and sections that overlap, as they never come from Yjs. */
PROPERTY(compacting_whatever_is_an_update_gives_an_update) {
  lk_update_format format = gen_bool(g) ? LK_UPDATE_V2 : LK_UPDATE_V1;
  model_style style = model_gen_style(g);
  lk_slice updates[4];
  lk_arena arena = model_arena();
  lk_env env = model_env(test_alloc());
  lk_buf small = model_buf();
  style.wild = true;
  size_t count = model_gen_updates(g, format, &style, updates, 4, &arena);
  CHECK_OK(lk_update_compact(&env, format, updates, count, &small));
  CHECK_OK(lk_update_check(&env, format, lk_buf_slice(&small), NULL));
  lk_buf_deinit(&small);
  lk_arena_deinit(&arena);
}

PROPERTY_SLOW(compacting_without_memory_changes_nothing, 100) {
  lk_update_format format = gen_bool(g) ? LK_UPDATE_V2 : LK_UPDATE_V1;
  model_style style = model_gen_style(g);
  lk_slice updates[4];
  lk_arena arena = model_arena();
  size_t count = model_gen_updates(g, format, &style, updates, 4, &arena);
  FAULT_LOOP(faults, test_alloc()) {
    lk_env env = model_env(faulty_alloc(&faults));
    lk_buf out = model_buf();
    lk_buf_append(&out, LK_LIT("before"));
    lk_err err = lk_update_compact(&env, format, updates, count, &out);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (err != LK_OK) CHECK_TEXT(lk_buf_slice(&out), "before");
    CHECK_OK(lk_buf_err(&out));
    lk_buf_deinit(&out);
  }
  lk_arena_deinit(&arena);
}
