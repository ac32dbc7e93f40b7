/* Updates without a document: Yjs's bytes, a second and slower opinion about every merge, and strangers' bytes. */
#include "doc/merge.h"

#include "unit/codec/vectors.h"
#include "unit/doc/merge_model.h"

#define PATH "tests/vectors/doc_merge.json"
#define UPDATES_MAX 128

/* ---- Yjs's own answers ---- */

/* Updates in hex, with spaces between them. */
static size_t split_updates(vectors *v, lk_slice text, lk_slice *out) {
  size_t count = 0;
  while (text.len > 0) {
    CHECK(count < UPDATES_MAX);
    lk_slice one = lk_slice_cut(text, ' ', &text);
    out[count++] = vectors_unhex(v, one);
  }
  return count;
}

TEST(merge_gives_the_bytes_of_yjs) {
  lk_json_member f[] = { VECTORS_FIELD("format"), VECTORS_FIELD("updates"), VECTORS_FIELD("out") };
  lk_slice updates[UPDATES_MAX];
  lk_env env = model_env(test_alloc());
  lk_buf out = model_buf();
  vectors v;
  vectors_open(&v, PATH, LK_LIT("merge"));
  while (vectors_next(&v, f, 3)) {
    size_t count = split_updates(&v, vectors_text(&f[1]), updates);
    lk_buf_truncate(&out, 0);
    CHECK_OK(lk_update_merge(&env, (lk_update_format)vectors_u64(&f[0]), updates, count, &out));
    CHECK_SLICE(lk_buf_slice(&out), vectors_hex(&v, &f[2]));
  }
  CHECK_COVERED(merge_begins_again);
  vectors_close(&v);
  lk_buf_deinit(&out);
}

TEST(diff_gives_the_bytes_of_yjs) {
  lk_json_member f[] = { VECTORS_FIELD("format"), VECTORS_FIELD("update"), VECTORS_FIELD("sv"),
                         VECTORS_FIELD("out") };
  lk_env env = model_env(test_alloc());
  lk_buf out = model_buf();
  vectors v;
  vectors_open(&v, PATH, LK_LIT("diff"));
  while (vectors_next(&v, f, 4)) {
    lk_slice update = vectors_hex(&v, &f[1]), sv = vectors_hex(&v, &f[2]);
    lk_buf_truncate(&out, 0);
    CHECK_OK(lk_update_diff(&env, (lk_update_format)vectors_u64(&f[0]), update, sv, &out));
    CHECK_SLICE(lk_buf_slice(&out), vectors_hex(&v, &f[3]));
  }
  vectors_close(&v);
  lk_buf_deinit(&out);
}

TEST(state_vector_gives_the_bytes_of_yjs) {
  lk_json_member f[] = { VECTORS_FIELD("format"), VECTORS_FIELD("update"), VECTORS_FIELD("out") };
  lk_env env = model_env(test_alloc());
  lk_buf out = model_buf();
  vectors v;
  vectors_open(&v, PATH, LK_LIT("state_vector"));
  while (vectors_next(&v, f, 3)) {
    lk_slice update = vectors_hex(&v, &f[1]);
    lk_buf_truncate(&out, 0);
    CHECK_OK(lk_update_state_vector(&env, (lk_update_format)vectors_u64(&f[0]), update, &out));
    CHECK_SLICE(lk_buf_slice(&out), vectors_hex(&v, &f[2]));
  }
  vectors_close(&v);
  lk_buf_deinit(&out);
}

TEST(convert_gives_the_bytes_of_yjs_and_comes_back) {
  lk_json_member f[] = { VECTORS_FIELD("v1"), VECTORS_FIELD("v2"), VECTORS_FIELD("back") };
  lk_env env = model_env(test_alloc());
  lk_buf out = model_buf();
  vectors v;
  vectors_open(&v, PATH, LK_LIT("convert"));
  while (vectors_next(&v, f, 3)) {
    lk_slice v1 = vectors_hex(&v, &f[0]), v2 = vectors_hex(&v, &f[1]),
             back = vectors_hex(&v, &f[2]);
    lk_buf_truncate(&out, 0);
    CHECK_OK(lk_update_convert(&env, LK_UPDATE_V1, v1, LK_UPDATE_V2, &out));
    CHECK_SLICE(lk_buf_slice(&out), v2);
    lk_buf_truncate(&out, 0);
    CHECK_OK(lk_update_convert(&env, LK_UPDATE_V2, v2, LK_UPDATE_V1, &out));
    CHECK_SLICE(lk_buf_slice(&out), back);
    lk_buf_truncate(&out, 0);
    CHECK_OK(lk_update_convert(&env, LK_UPDATE_V1, v1, LK_UPDATE_V1, &out));
    CHECK_SLICE(lk_buf_slice(&out), back);
  }
  vectors_close(&v);
  lk_buf_deinit(&out);
}

/* ---- the loop of Yjs, as a model ---- */

static void check_like_model(lk_gen *g, const model_style *style, uint32_t max) {
  lk_update_format format = gen_bool(g) ? LK_UPDATE_V2 : LK_UPDATE_V1;
  lk_slice updates[UPDATES_MAX];
  lk_arena arena = model_arena();
  lk_env env = model_env(test_alloc());
  lk_buf got = model_buf(), want = model_buf();
  size_t count = model_gen_updates(g, format, style, updates, max, &arena);
  if (count != 1) {
    model_merge(format, updates, count, &want, &arena);
    CHECK_OK(lk_update_merge(&env, format, updates, count, &got));
    CHECK_SLICE(lk_buf_slice(&got), lk_buf_slice(&want));
  }
  lk_buf_deinit(&got);
  lk_buf_deinit(&want);
  lk_arena_deinit(&arena);
}

/* Goal: the same bytes as the loop that sorts in each turn, ties between GCs and items among them. */
PROPERTY(merge_does_what_the_loop_of_yjs_does) {
  model_style style = model_gen_style(g);
  check_like_model(g, &style, 8);
}

/* More readers than fit in the flat order: the row and the heap. GCs would have two answers. */
PROPERTY_SLOW(merge_of_many_does_what_the_loop_of_yjs_does, 20) {
  model_style style = model_gen_style(g);
  style.gc = 0;
  check_like_model(g, &style, UPDATES_MAX);
}

/* Method: 70 updates of one client each, so that nobody but the two of a pair ever tie, and the turns between decide. */
TEST(two_that_tie_among_many_change_places_with_each_turn) {
  lk_arena arena = model_arena();
  lk_env env = model_env(test_alloc());
  lk_slice updates[72];
  static const uint8_t item[] = { 1, 1, 0, 0, 4, 1, 1, 't', 1, 'x', 0 };
  static const uint8_t gc[] = { 1, 1, 0, 0, 0, 1, 0 };
  for (size_t i = 0; i < 72; i++) {
    lk_slice bytes = i % 2 == 0 ? lk_slice_of(item, sizeof item) : lk_slice_of(gc, sizeof gc);
    uint8_t *copy = model_push(&arena, bytes.len, 1);
    memcpy(copy, bytes.ptr, bytes.len);
    copy[2] = (uint8_t)(i / 2);
    updates[i] = lk_slice_of(copy, bytes.len);
  }
  lk_buf out = model_buf();
  CHECK_OK(lk_update_merge(&env, LK_UPDATE_V1, updates, 72, &out));
  CHECK_COVERED(merge_tie_among_many);
  model_update u = model_read(LK_UPDATE_V1, lk_buf_slice(&out), true, &arena);
  CHECK_U64(u.struct_count, 36);
  /* Each client takes two turns, so every pair meets its turn after an odd number of sorts: the later update, the
   * GC, is in front. Yjs in Node gives the same. */
  for (size_t i = 0; i < 36; i++) CHECK_U64(u.structs[i].kind, LK_CONTENT_GC);
  lk_buf_deinit(&out);
  lk_arena_deinit(&arena);
}

TEST(gcs_that_touch_at_the_border_of_two_updates_become_one) {
  lk_slice updates[] = { LK_LIT("\x01\x01\x05\x00\x00\x03\x00"),
                         LK_LIT("\x01\x01\x05\x02\x00\x04\x00") };
  lk_env env = model_env(test_alloc());
  lk_buf out = model_buf();
  CHECK_OK(lk_update_merge(&env, LK_UPDATE_V1, updates, 2, &out));
  CHECK_SLICE(lk_buf_slice(&out), LK_LIT("\x01\x01\x05\x00\x00\x06\x00"));
  CHECK_COVERED(merge_gc_grows);
  lk_buf_deinit(&out);
}

TEST(no_updates_give_the_empty_one_and_one_gives_itself) {
  lk_env env = model_env(test_alloc());
  lk_buf out = model_buf();
  CHECK_OK(lk_update_merge(&env, LK_UPDATE_V1, NULL, 0, &out));
  CHECK_TEXT(lk_buf_slice(&out), "\x00\x00");
  lk_buf_truncate(&out, 0);
  /* A Skip in front and a number that is longer than it need be: nothing that we would write. */
  lk_slice odd = LK_LIT("\x01\x82\x00\x05\x00\x0A\x03\x00\x01\x00");
  CHECK_OK(lk_update_merge(&env, LK_UPDATE_V1, &odd, 1, &out));
  CHECK_SLICE(lk_buf_slice(&out), odd);
  lk_slice bad = LK_LIT("\x01\x02\x05\x00\x0A\x03\x00\x01");
  CHECK_ERR(lk_update_merge(&env, LK_UPDATE_V1, &bad, 1, &out), LK_ERR_TRUNCATED);
  CHECK_SLICE(lk_buf_slice(&out), odd);
  lk_buf_deinit(&out);
}

/* Goal: what is copied in one piece is only what we would have written ourselves. */
TEST(an_update_in_longer_numbers_is_written_in_short_ones) {
  /* 7:0 "ab" in t, and 7:2 "c" after 7:1: once plainly, then with a long number at each place. */
  static const lk_slice plain = LK_LIT_INIT("\x01\x02\x07\x00\x04\x01\x01t\x02"
                                            "ab\x84\x07\x01\x01"
                                            "c\x00");
  static const size_t numbers[] = { 0, 1, 2, 3, 5, 6, 8, 12, 13, 14 };
  lk_env env = model_env(test_alloc());
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    lk_buf longer = model_buf(), out = model_buf();
    lk_buf_append(&longer, lk_slice_first(plain, numbers[i]));
    lk_buf_append_u8(&longer, plain.ptr[numbers[i]] | 0x80);
    lk_buf_append_u8(&longer, 0);
    lk_buf_append(&longer, lk_slice_skip(plain, numbers[i] + 1));
    lk_slice updates[] = { lk_buf_slice(&longer), LK_LIT("\x00\x00") };
    CHECK_OK(lk_update_merge(&env, LK_UPDATE_V1, updates, 2, &out));
    CHECK_SLICE(lk_buf_slice(&out), plain);
    lk_buf_deinit(&longer);
    lk_buf_deinit(&out);
  }
}

/* Found by the fuzzer: the empty section was copied along with the structs. */
TEST(sections_without_structs_leave_no_trace) {
  static const lk_slice odd[] = { LK_LIT_INIT("\x02\x01\x07\x00\x05\x01\x01t\x01"
                                              "1\x00\x01\x02\x00"),
                                  LK_LIT_INIT("\x02\x00\x01\x02\x01\x07\x00\x05\x01\x01t\x01"
                                              "1\x00") };
  lk_env env = model_env(test_alloc());
  for (size_t i = 0; i < 2; i++) {
    lk_buf out = model_buf();
    lk_slice updates[] = { odd[i], LK_LIT("\x00\x00") };
    CHECK_OK(lk_update_merge(&env, LK_UPDATE_V1, updates, 2, &out));
    CHECK_TEXT(lk_buf_slice(&out), "\x01\x01\x07\x00\x05\x01\x01t\x01"
                                   "1\x00");
    lk_buf_deinit(&out);
  }
}

/* ---- where we are not Yjs ---- */

TEST(a_skip_at_the_beginning_is_nothing_that_is_known) {
  lk_env env = model_env(test_alloc());
  lk_buf out = model_buf();
  lk_slice update = LK_LIT("\x01\x02\x05\x00\x0A\x03\x00\x01\x00");
  CHECK_OK(lk_update_state_vector(&env, LK_UPDATE_V1, update, &out));
  CHECK_TEXT(lk_buf_slice(&out), "\x00");
  lk_buf_deinit(&out);
}

TEST(sections_that_do_not_follow_on_each_other_stay_apart) {
  lk_env env = model_env(test_alloc());
  lk_buf out = model_buf();
  lk_slice apart = LK_LIT("\x02\x01\x05\x00\x00\x03\x01\x05\x09\x00\x02\x00");
  CHECK_OK(lk_update_convert(&env, LK_UPDATE_V1, apart, LK_UPDATE_V1, &out));
  CHECK_SLICE(lk_buf_slice(&out), apart);
  lk_buf_truncate(&out, 0);
  lk_slice touching = LK_LIT("\x02\x01\x05\x00\x00\x03\x01\x05\x03\x00\x02\x00");
  CHECK_OK(lk_update_convert(&env, LK_UPDATE_V1, touching, LK_UPDATE_V1, &out));
  CHECK_TEXT(lk_buf_slice(&out), "\x01\x02\x05\x00\x00\x03\x00\x02\x00");
  lk_buf_deinit(&out);
}

TEST(a_delete_set_that_v2_cannot_say_is_merged_first) {
  lk_env env = model_env(test_alloc());
  lk_buf v2 = model_buf(), v1 = model_buf();
  /* 5: 8+2, 1+3, 2+4, 20+0; then 9: 0+1 */
  lk_slice update = LK_LIT("\x00\x02\x05\x04\x08\x02\x01\x03\x02\x04\x14\x00\x09\x01\x00\x01");
  CHECK_OK(lk_update_convert(&env, LK_UPDATE_V1, update, LK_UPDATE_V2, &v2));
  CHECK_COVERED(delete_set_v2_merges);
  CHECK_OK(lk_update_convert(&env, LK_UPDATE_V2, lk_buf_slice(&v2), LK_UPDATE_V1, &v1));
  CHECK_TEXT(lk_buf_slice(&v1), "\x00\x02\x09\x01\x00\x01\x05\x02\x01\x05\x08\x02");
  lk_buf_truncate(&v1, 0);
  lk_buf_truncate(&v2, 0);
  /* Nothing but that one is empty. */
  lk_slice empty = LK_LIT("\x00\x01\x05\x02\x01\x00\x08\x02");
  CHECK_OK(lk_update_convert(&env, LK_UPDATE_V1, empty, LK_UPDATE_V2, &v2));
  CHECK_OK(lk_update_convert(&env, LK_UPDATE_V2, lk_buf_slice(&v2), LK_UPDATE_V1, &v1));
  CHECK_TEXT(lk_buf_slice(&v1), "\x00\x01\x05\x01\x08\x02");
  lk_buf_truncate(&v1, 0);
  CHECK_OK(lk_update_convert(&env, LK_UPDATE_V1, update, LK_UPDATE_V1, &v1));
  CHECK_TEXT(lk_buf_slice(&v1), "\x00\x02\x09\x01\x00\x01\x05\x04\x08\x02\x01\x03\x02\x04\x14\x00");
  lk_buf_deinit(&v1);
  lk_buf_deinit(&v2);
}

/* ---- looking into updates ---- */

typedef struct seen_clients {
  lk_update_client items[8];
  size_t count, stop_at;
} seen_clients;

static lk_err see_client(void *ctx, const lk_update_client *client) {
  seen_clients *seen = ctx;
  if (seen->count == seen->stop_at) return LK_ERR_CANCELED;
  seen->items[seen->count++] = *client;
  return LK_OK;
}

/* 9:4 GC+3; 5:0 "ab" in t, Skip+4, 5:6 deleted+2 after 5:1; deleted are 9:4+2, 9:5+1, 7:0+5, 5:0+1 */
static const lk_slice sample = LK_LIT_INIT(
    "\x02\x01\x09\x04\x00\x03\x03\x05\x00\x04\x01\x01t\x02"
    "ab\x0A\x04\x81\x05\x01\x02\x03\x09\x02\x04\x02\x05\x01\x07\x01\x00\x05\x05\x01\x00\x01");

TEST(a_summary_counts_what_is_there) {
  lk_env env = model_env(test_alloc());
  lk_update_summary sum = { .size = sizeof sum };
  CHECK_OK(lk_update_check(&env, LK_UPDATE_V1, sample, &sum));
  CHECK_U64(sum.clients, 3);
  CHECK_U64(sum.structs, 4);
  CHECK_U64(sum.units, 7);
  CHECK_U64(sum.deleted_ranges, 4);
  CHECK_U64(sum.deleted_units, 8);
  CHECK_U64(sum.tombstones, 2);
  CHECK_U64(sum.skips, 1);
  CHECK_U64(sum.kinds[LK_CONTENT_STRING], 1);
  CHECK_U64(sum.kind_bytes[LK_CONTENT_STRING], 2);
  CHECK_U64(sum.kinds[LK_CONTENT_GC], 1);
  /* One from headers that know less of it is not written beyond its end. */
  lk_update_summary old = { .size = offsetof(lk_update_summary, structs), .structs = 77 };
  CHECK_OK(lk_update_check(&env, LK_UPDATE_V1, sample, &old));
  CHECK_U64(old.clients, 3);
  CHECK_U64(old.structs, 77);
  CHECK_OK(lk_update_check(&env, LK_UPDATE_V1, sample, NULL));
}

TEST(clients_come_in_their_order_and_those_that_only_delete_last) {
  lk_env env = model_env(test_alloc());
  seen_clients seen = { .stop_at = 8 };
  CHECK_OK(lk_update_clients(&env, LK_UPDATE_V1, sample, see_client, &seen));
  CHECK_U64(seen.count, 3);
  CHECK(seen.items[0].client == 9 && seen.items[0].from == 4 && seen.items[0].to == 7);
  CHECK(seen.items[0].structs == 1 && seen.items[0].deleted_units == 2);
  CHECK(seen.items[1].client == 5 && seen.items[1].from == 0 && seen.items[1].to == 8);
  CHECK(seen.items[1].structs == 3 && seen.items[1].deleted_units == 1);
  CHECK(seen.items[2].client == 7 && seen.items[2].structs == 0);
  CHECK_U64(seen.items[2].deleted_units, 5);
  seen = (seen_clients){ .stop_at = 1 };
  CHECK_ERR(lk_update_clients(&env, LK_UPDATE_V1, sample, see_client, &seen), LK_ERR_CANCELED);
  /* One that has two sections is one client, where the first one stands. */
  lk_slice twice = LK_LIT("\x03\x01\x05\x08\x00\x03\x01\x09\x00\x00\x01\x01\x05\x01\x00\x02\x00");
  seen = (seen_clients){ .stop_at = 8 };
  CHECK_OK(lk_update_clients(&env, LK_UPDATE_V1, twice, see_client, &seen));
  CHECK_U64(seen.count, 2);
  CHECK(seen.items[0].client == 5 && seen.items[0].from == 1 && seen.items[0].to == 11);
  CHECK(seen.items[0].structs == 2 && seen.items[1].client == 9);
}

/* ---- sorting and ranges ---- */

PROPERTY(ranges_are_sorted_and_merged_as_one_by_one) {
  lk_delete_set set;
  lk_arena arena = model_arena();
  uint32_t count = gen_below(g, 200), spread = gen_bool(g) ? 1u << 24 : 300;
  model_range *ranges = model_push(&arena, count, sizeof *ranges);
  bool joined = gen_bool(g);
  lk_delete_set_init(&set, test_alloc(), 1000);
  for (uint32_t i = 0; i < count; i++) {
    model_range r = { model_clients[gen_below(g, 6)], gen_below(g, spread), gen_below(g, 6) };
    if (gen_chance(g, 1, 3) && i > 0) {
      r = ranges[i - 1];
      r.clock += gen_below(g, 4);
    }
    ranges[i] = r;
    CHECK_OK(joined ? lk_delete_set_join(&set, r.client, r.clock, r.len)
                    : lk_delete_set_add(&set, r.client, r.clock, r.len));
  }
  CHECK_OK(lk_delete_set_merge(&set));
  CHECK_U64(set.count, model_merge_ranges(ranges, count));
  for (size_t i = 0; i < set.count; i++) {
    const lk_clock_entry *r = &set.ranges[i];
    CHECK(r->client == ranges[i].client && r->clock == ranges[i].clock &&
          r->value == ranges[i].len);
    CHECK(r->value == 0 || lk_delete_set_has(&set, r->client, r->clock + r->value - 1));
    CHECK(!lk_delete_set_has(&set, r->client, r->clock + r->value));
  }
  lk_delete_set_deinit(&set);
  lk_arena_deinit(&arena);
}

PROPERTY(entries_are_sorted_stably) {
  lk_clock_entry entries[300];
  uint32_t count = gen_below(g, 300), spread = gen_bool(g) ? 4 : 1u << 30;
  for (uint32_t i = 0; i < count; i++)
    entries[i] = (lk_clock_entry){ model_clients[gen_below(g, 6)], gen_below(g, spread), i };
  CHECK_OK(lk_clock_entries_sort(test_alloc(), entries, count));
  for (uint32_t i = 1; i < count; i++) {
    const lk_clock_entry *a = &entries[i - 1], *b = &entries[i];
    CHECK(a->client >= b->client);
    if (a->client == b->client) CHECK(a->clock <= b->clock);
    if (a->client == b->client && a->clock == b->clock) CHECK(a->value < b->value);
  }
}

TEST(a_set_takes_no_more_ranges_than_it_may) {
  lk_delete_set set;
  lk_delete_set_init(&set, test_alloc(), 2);
  CHECK_OK(lk_delete_set_add(&set, 1, 0, 1));
  CHECK_OK(lk_delete_set_add(&set, 1, 5, 1));
  CHECK_ERR(lk_delete_set_add(&set, 1, 9, 1), LK_ERR_LIMIT);
  CHECK_OK(lk_delete_set_join(&set, 1, 6, 1));
  CHECK_U64(set.count, 2);
  lk_delete_set_deinit(&set);
  lk_delete_set_deinit(&set);
}

/* ---- strangers, and no memory ---- */

/* Every function on the bytes; each result is appended to |out|, or an error leaves it as it was. */
static lk_err each_function(const lk_env *env, lk_update_format format, lk_slice bytes,
                            lk_buf *out) {
  lk_slice two[] = { bytes, bytes };
  lk_update_format other = format == LK_UPDATE_V1 ? LK_UPDATE_V2 : LK_UPDATE_V1;
  lk_err errs[8];
  size_t at = 0, before = out->len;
  errs[at++] = lk_update_merge(env, format, two, 2, out);
  errs[at++] = lk_update_merge(env, format, two, 1, out);
  errs[at++] = lk_update_compact(env, format, two, 2, out);
  errs[at++] = lk_update_diff(env, format, bytes, LK_LIT("\x01\x05\x01"), out);
  errs[at++] = lk_update_state_vector(env, format, bytes, out);
  errs[at++] = lk_update_convert(env, format, bytes, other, out);
  errs[at++] = lk_update_convert(env, format, bytes, format, out);
  errs[at++] = lk_update_check(env, format, bytes, NULL);
  lk_err first = LK_OK;
  for (size_t i = 0; i < at; i++)
    if (errs[i] != LK_OK && first == LK_OK) first = errs[i];
  /* What is wrong with an update is so for all of them. */
  if (first != LK_OK && first != LK_ERR_NOMEM) {
    for (size_t i = 0; i < at; i++) CHECK(errs[i] != LK_OK);
    CHECK_U64(out->len, before);
  }
  CHECK_OK(lk_buf_err(out));
  return first;
}

TEST(an_update_cut_anywhere_changes_nothing) {
  lk_env env = model_env(test_alloc());
  lk_buf out = model_buf(), v2 = model_buf();
  lk_buf_append(&out, LK_LIT("before"));
  CHECK_OK(lk_update_convert(&env, LK_UPDATE_V1, sample, LK_UPDATE_V2, &v2));
  for (size_t len = 0; len < sample.len; len++)
    CHECK(each_function(&env, LK_UPDATE_V1, lk_slice_first(sample, len), &out) != LK_OK);
  for (size_t len = 0; len < v2.len; len++)
    CHECK(each_function(&env, LK_UPDATE_V2, lk_slice_first(lk_buf_slice(&v2), len), &out) != LK_OK);
  CHECK_TEXT(lk_buf_slice(&out), "before");
  lk_buf_deinit(&out);
  lk_buf_deinit(&v2);
}

TEST(a_format_that_is_none_and_a_broken_buffer_are_refused) {
  lk_env env = model_env(test_alloc());
  lk_buf out = model_buf(), full;
  lk_update_format none = (lk_update_format)3;
  CHECK_ERR(lk_update_merge(&env, none, &sample, 1, &out), LK_ERR_INVALID);
  CHECK_ERR(lk_update_compact(&env, none, &sample, 1, &out), LK_ERR_INVALID);
  CHECK_ERR(lk_update_diff(&env, none, sample, LK_SLICE_EMPTY, &out), LK_ERR_INVALID);
  CHECK_ERR(lk_update_state_vector(&env, none, sample, &out), LK_ERR_INVALID);
  CHECK_ERR(lk_update_convert(&env, LK_UPDATE_V1, sample, none, &out), LK_ERR_INVALID);
  CHECK_ERR(lk_update_check(&env, none, sample, NULL), LK_ERR_INVALID);
  lk_buf_init(&full, test_alloc(), 3);
  CHECK_ERR(lk_update_merge(&env, LK_UPDATE_V1, &sample, 1, &full), LK_ERR_LIMIT);
  CHECK_ERR(lk_update_state_vector(&env, LK_UPDATE_V1,
                                   LK_LIT("\x01\x01\x8F\x8F\x8F\x01\x00\x00\x03\x00"), &full),
            LK_ERR_LIMIT);
  CHECK_ERR(lk_update_compact(&env, LK_UPDATE_V1, &sample, 1, &full), LK_ERR_LIMIT);
  CHECK_ERR(lk_update_diff(&env, LK_UPDATE_V1, sample, LK_SLICE_EMPTY, &full), LK_ERR_LIMIT);
  CHECK_ERR(lk_update_convert(&env, LK_UPDATE_V1, sample, LK_UPDATE_V2, &full), LK_ERR_LIMIT);
  CHECK(full.len == 0 && lk_buf_err(&full) == LK_OK);
  lk_buf_append(&full, LK_LIT("too much"));
  CHECK_ERR(lk_update_merge(&env, LK_UPDATE_V1, &sample, 1, &full), LK_ERR_LIMIT);
  CHECK_ERR(lk_buf_err(&full), LK_ERR_LIMIT); /* the caller's own error stays */
  lk_buf_deinit(&full);
  lk_buf_deinit(&out);
}

TEST(state_vectors_from_strangers_are_refused) {
  static const lk_slice bad[] = { LK_LIT_INIT("\x01"),
                                  LK_LIT_INIT("\x01\x05"),
                                  LK_LIT_INIT("\x01\x05\x01\x01"),
                                  LK_LIT_INIT("\x00\x00"),
                                  LK_LIT_INIT("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x0F\x01\x01"),
                                  LK_LIT_INIT("\x01\x05\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01") };
  lk_env env = model_env(test_alloc());
  lk_buf out = model_buf();
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    CHECK(lk_update_diff(&env, LK_UPDATE_V1, sample, bad[i], &out) != LK_OK);
  CHECK_U64(out.len, 0);
  /* Of a client that comes twice the last clock counts. */
  lk_slice gcs = LK_LIT("\x01\x01\x05\x00\x00\x09\x00");
  CHECK_OK(lk_update_diff(&env, LK_UPDATE_V1, gcs, LK_LIT("\x02\x05\x08\x05\x02"), &out));
  CHECK_TEXT(lk_buf_slice(&out), "\x01\x01\x05\x02\x00\x07\x00");
  lk_buf_deinit(&out);
}

/* A few bytes of V2 may claim any number of structs. */
TEST(more_structs_than_the_limit_are_refused_before_they_are_read) {
  lk_env env = model_env(test_alloc());
  lk_buf update = model_buf(), out = model_buf();
  /* No keys; client 5; no clocks; infos: GC for ever; no texts, parents, types; lens: 1 for ever */
  lk_buf_append(&update, LK_LIT("\x00\x00\x01\x05\x00\x00\x01\x00\x01\x00\x00\x00\x08"));
  lk_buf_append(&update,
                LK_LIT("\x41\xFE\xFF\xFF\xFF\xFF\xFF\x07\x01\xFF\xFF\xFF\xFF\x7F\x00\x00"));
  CHECK_ERR(lk_update_check(&env, LK_UPDATE_V2, lk_buf_slice(&update), NULL), LK_ERR_LIMIT);
  CHECK_ERR(each_function(&env, LK_UPDATE_V2, lk_buf_slice(&update), &out), LK_ERR_LIMIT);
  lk_slice huge = { sample.ptr, (size_t)lk_limits_default().doc_update_bytes + 1 };
  CHECK_ERR(each_function(&env, LK_UPDATE_V1, huge, &out), LK_ERR_LIMIT);
  lk_buf_deinit(&update);
  lk_buf_deinit(&out);
}

PROPERTY_SLOW(without_memory_nothing_is_changed, 100) {
  model_style style = model_gen_style(g);
  lk_update_format format = gen_bool(g) ? LK_UPDATE_V2 : LK_UPDATE_V1;
  lk_slice updates[8];
  lk_arena arena = model_arena();
  lk_env env = model_env(test_alloc());
  size_t count = model_gen_updates(g, format, &style, updates, 8, &arena);
  lk_buf want = model_buf();
  CHECK_OK(lk_update_merge(&env, format, updates, count, &want));
  FAULT_LOOP(faults, test_alloc()) {
    lk_env tight = model_env(faulty_alloc(&faults));
    lk_buf out;
    lk_buf_init(&out, test_alloc(), (size_t)1 << 26);
    lk_err err = lk_update_merge(&tight, format, updates, count, &out);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (err == LK_OK) CHECK_SLICE(lk_buf_slice(&out), lk_buf_slice(&want));
    else CHECK_U64(out.len, 0);
    if (count > 0) {
      size_t before = out.len;
      err = each_function(&tight, format, updates[0], &out);
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      CHECK(out.len >= before);
    }
    lk_buf_deinit(&out);
  }
  lk_buf_deinit(&want);
  lk_arena_deinit(&arena);
}

/* ---- how much work and memory strangers can ask for ---- */

typedef struct counting {
  lk_alloc table;
  const lk_alloc *inner;
  size_t live, peak;
  uint64_t calls;
} counting;

static void *counting_resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  counting *self = ctx;
  void *got = self->inner->resize(self->inner->ctx, ptr, old_size, new_size);
  if (got == NULL && new_size > 0) return NULL;
  self->live += new_size - old_size;
  self->peak = lk_max_size(self->peak, self->live);
  self->calls++;
  return got;
}

/* |count| updates of 11 bytes with two clients each, so that all readers wait for their second client at once. */
static size_t peak_of(size_t count, uint64_t *calls) {
  lk_arena arena = model_arena();
  lk_slice *updates = model_push(&arena, count, sizeof *updates);
  for (size_t i = 0; i < count; i++) {
    static const uint8_t bytes[] = { 2, 1, 9, 0x80, 0x80, 1, 0, 1, 1, 5, 0x80, 0x80, 1, 0, 1, 0 };
    uint8_t *copy = model_push(&arena, sizeof bytes, 1);
    memcpy(copy, bytes, sizeof bytes);
    size_t clock = (i * 7919) % count;
    copy[3] = copy[10] = (uint8_t)(0x80 | clock % 128);
    copy[4] = copy[11] = (uint8_t)(0x80 | clock / 128);
    updates[i] = lk_slice_of(copy, sizeof bytes);
  }
  counting counter = { .inner = test_alloc() };
  counter.table = (lk_alloc){ counting_resize, &counter };
  lk_env env = model_env(&counter.table);
  lk_buf out = model_buf();
  CHECK_OK(lk_update_merge(&env, LK_UPDATE_V1, updates, count, &out));
  lk_buf_deinit(&out);
  lk_arena_deinit(&arena);
  CHECK_U64(counter.live, 0);
  *calls = counter.calls;
  return counter.peak;
}

TEST(memory_grows_with_the_input_and_no_faster) {
  uint64_t few_calls, many_calls;
  size_t few = peak_of(1000, &few_calls), many = peak_of(16000, &many_calls);
  CHECK(many <= 20 * few);
  CHECK(many_calls <= few_calls + 60); /* arrays that double, not something for each reader */
}
