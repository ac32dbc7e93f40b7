/* Updates from strangers: whatever one function takes all of them take, and what comes out goes in again. */
#include "unit/doc/merge_model.h"

#include "doc/merge.h"

/* 9:4 GC; 5:0 "ab", Skip, deleted; deletes: as V1, and a text with an embed and a map as V2. */
static const lk_slice samples[] = {
  LK_LIT_INIT(
      "\x01\x02\x01\x09\x04\x00\x03\x03\x05\x00\x04\x01\x01t\x02"
      "ab\x0A\x04\x81\x05\x01\x02\x03\x09\x02\x04\x02\x05\x01\x07\x01\x00\x05\x05\x01\x00\x01"),
  LK_LIT_INIT("\x01\x01\x01\x05\x00\x28\x01\x01m\x01k\x01\x77\x01x\x00"),
  LK_LIT_INIT("\x02\x00\x00\x01\x05\x00\x00\x01\x04\x05\x03t\xC3\xA9z\x02\x01\x02\x01\x01\x00\x00"
              "\x01\x01\x00\x00"),
};

/* The first byte is the format; what follows is cut at its middle where two updates are wanted. */
static lk_update_format take_format(lk_slice *in) {
  lk_update_format format = in->len > 0 && in->ptr[0] % 2 == 0 ? LK_UPDATE_V2 : LK_UPDATE_V1;
  *in = lk_slice_skip(*in, 1);
  return format;
}

/* Limits and clocks that do not fit together aside, the one says yes if the other does. */
static void check_same(lk_err one, lk_err other) {
  CHECK((one == LK_OK) == (other == LK_OK) || one == LK_ERR_LIMIT || other == LK_ERR_LIMIT);
}

static void check_again(const lk_env *env, lk_update_format format, const lk_buf *out) {
  CHECK_OK(lk_update_check(env, format, lk_buf_slice(out), NULL));
}

/* also fuzzes: lk_update_check */
FUZZ(lk_update_merge) {
  uint8_t scratch[256];
  lk_slice in = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  lk_env env = model_env(test_alloc());
  lk_update_format format = take_format(&in);
  lk_slice head = lk_slice_first(in, in.len / 2), rest = lk_slice_skip(in, in.len / 2);
  lk_buf out = model_buf(), twice = model_buf();
  lk_slice all[] = { in, in, rest, head };
  lk_err err = lk_update_check(&env, format, in, NULL);
  check_same(lk_update_merge(&env, format, all, 2, &out), err);
  if (err == LK_OK) {
    check_again(&env, format, &out);
    /* What is merged is merged. */
    lk_slice merged[] = { lk_buf_slice(&out), lk_buf_slice(&out) };
    CHECK_OK(lk_update_merge(&env, format, merged, 2, &twice));
    check_again(&env, format, &twice);
  }
  lk_buf_truncate(&out, 0);
  err = lk_update_merge(&env, format, all + 2, 2, &out);
  if (err == LK_OK) check_again(&env, format, &out);
  else CHECK_U64(out.len, 0);
  lk_buf_deinit(&out);
  lk_buf_deinit(&twice);
}

FUZZ(lk_update_diff) {
  uint8_t scratch[256];
  lk_slice in = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  lk_env env = model_env(test_alloc());
  lk_update_format format = take_format(&in);
  lk_buf out = model_buf(), sv = model_buf(), rest = model_buf();
  /* The beginning as the state vector, the end as the update. */
  lk_err err = lk_update_diff(&env, format, lk_slice_skip(in, 8), lk_slice_first(in, 8), &out);
  if (err == LK_OK) check_again(&env, format, &out);
  else CHECK_U64(out.len, 0);
  lk_buf_truncate(&out, 0);
  err = lk_update_check(&env, format, in, NULL);
  check_same(lk_update_diff(&env, format, in, LK_SLICE_EMPTY, &out), err);
  check_same(lk_update_state_vector(&env, format, in, &sv), err);
  if (err == LK_OK) {
    check_again(&env, format, &out);
    CHECK_OK(lk_update_diff(&env, format, in, lk_buf_slice(&sv), &rest));
    check_again(&env, format, &rest);
  }
  lk_buf_deinit(&out);
  lk_buf_deinit(&sv);
  lk_buf_deinit(&rest);
}

FUZZ(lk_update_convert) {
  uint8_t scratch[256];
  lk_slice in = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  lk_env env = model_env(test_alloc());
  lk_update_format format = take_format(&in);
  lk_update_format other = format == LK_UPDATE_V1 ? LK_UPDATE_V2 : LK_UPDATE_V1;
  lk_buf there = model_buf(), back = model_buf(), again = model_buf();
  lk_err err = lk_update_check(&env, format, in, NULL);
  lk_err converted = lk_update_convert(&env, format, in, other, &there);
  check_same(lk_update_convert(&env, format, in, format, &back), err);
  if (err != LK_OK) CHECK(converted != LK_OK && there.len == 0);
  if (converted == LK_OK) {
    check_again(&env, other, &there);
    CHECK_OK(lk_update_convert(&env, other, lk_buf_slice(&there), other, &again));
    CHECK_SLICE(lk_buf_slice(&again), lk_buf_slice(&there));
  }
  lk_buf_deinit(&there);
  lk_buf_deinit(&back);
  lk_buf_deinit(&again);
}

static lk_err see_client(void *ctx, const lk_update_client *client) {
  uint64_t *units = ctx;
  CHECK(client->from <= client->to);
  *units += client->to - client->from;
  return LK_OK;
}

/* also fuzzes: lk_update_clients */
FUZZ(lk_update_compact) {
  uint8_t scratch[256];
  lk_slice in = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  lk_env env = model_env(test_alloc());
  lk_update_format format = take_format(&in);
  lk_update_summary before = { .size = sizeof before }, after = before;
  lk_buf out = model_buf();
  uint64_t units = 0;
  lk_err err = lk_update_check(&env, format, in, &before);
  check_same(lk_update_compact(&env, format, &in, 1, &out), err);
  if (err == LK_OK) {
    CHECK_OK(lk_update_check(&env, format, lk_buf_slice(&out), &after));
    CHECK_U64(after.units, before.units);
    CHECK_OK(lk_update_clients(&env, format, lk_buf_slice(&out), see_client, &units));
  }
  lk_buf_deinit(&out);
}

/* The set that an update brings, before and after it is put in order. */
FUZZ(lk_delete_set_read) {
  uint8_t scratch[256];
  lk_slice in = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  lk_update_format format = take_format(&in);
  lk_limits limits = lk_limits_default();
  lk_arena arena = model_arena();
  lk_update_walk walk;
  lk_delete_set set, joined;
  lk_delete_set_init(&set, test_alloc(), 1u << 20);
  lk_delete_set_init(&joined, test_alloc(), 1u << 20);
  lk_err err = lk_update_walk_init(&walk, format, in, &limits, &arena);
  for (uint32_t left = 1000; left > 0 && err == LK_OK; left--) err = lk_update_walk_next(&walk);
  if (err == LK_ERR_END) {
    lk_update_reader again = walk.reader;
    err = lk_delete_set_read(&set, &walk.reader, false);
    CHECK_ERR(lk_delete_set_read(&joined, &again, true), err);
    if (err == LK_OK) {
      CHECK_OK(lk_delete_set_merge(&set));
      CHECK_OK(lk_delete_set_merge(&joined));
      CHECK_U64(set.count, joined.count);
      for (size_t i = 0; i < set.count; i++)
        CHECK(memcmp(&set.ranges[i], &joined.ranges[i], sizeof set.ranges[i]) == 0);
    }
  }
  lk_delete_set_deinit(&set);
  lk_delete_set_deinit(&joined);
  lk_arena_deinit(&arena);
}
