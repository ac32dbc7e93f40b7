#include "crdt/gcounter.h"

#include "harness/test.h"

static lk_limits limits(void) { return lk_limits_default(); }

static void init(lk_gcounter *c) {
  lk_limits l = limits();
  lk_gcounter_init(c, test_alloc(), &l);
}

static lk_slice encode(const lk_gcounter *c, lk_buf *out) {
  lk_buf_init(out, test_alloc(), 1 << 20);
  CHECK_OK(lk_gcounter_encode(c, out));
  return lk_buf_slice(out);
}

static lk_slice actor_of(uint32_t n, uint8_t name[2]) {
  name[0] = (uint8_t)('a' + n % 26);
  name[1] = 'x';
  return lk_slice_of(name, 1 + n / 26);
}

/* A state with few actors and few counts, so that histories overlap and tie. */
static void gen_state(lk_gen *g, lk_gcounter *c) {
  init(c);
  for (uint32_t i = gen_below(g, 8); i > 0; i--) {
    uint8_t name[2];
    uint64_t amount = gen_chance(g, 1, 8) ? gen_u64(g) >> 8 : gen_range(g, 1, 4);
    if (amount > 0) CHECK_OK(lk_gcounter_increment(c, actor_of(gen_below(g, 5), name), amount));
  }
}

static void merged(const lk_gcounter *a, const lk_gcounter *b, lk_gcounter *out) {
  init(out);
  CHECK_OK(lk_gcounter_merge(out, a, NULL));
  CHECK_OK(lk_gcounter_merge(out, b, NULL));
}

TEST(counter_starts_at_zero_and_sums_its_actors) {
  lk_gcounter c;
  init(&c);
  CHECK_U64(lk_gcounter_value(&c), 0);
  CHECK_OK(lk_gcounter_increment(&c, LK_LIT("bob"), 5));
  CHECK_OK(lk_gcounter_increment(&c, LK_LIT("alice"), 1));
  CHECK_OK(lk_gcounter_increment(&c, LK_LIT("alice"), 2));
  CHECK_U64(lk_gcounter_value(&c), 8);
  CHECK_U64(lk_gcounter_count_of(&c, LK_LIT("alice")), 3);
  CHECK_U64(lk_gcounter_count_of(&c, LK_LIT("carol")), 0);
  lk_buf text;
  lk_buf_init(&text, test_alloc(), 1000);
  CHECK_OK(lk_gcounter_encode_json(&c, &text));
  CHECK_TEXT(lk_buf_slice(&text), "{\"counts\":{\"alice\":3,\"bob\":5}}");
  lk_buf_deinit(&text);
  lk_gcounter_deinit(&c);
  lk_gcounter_deinit(&c);
}

PROPERTY(merge_is_idempotent_and_says_whether_anything_was_new) {
  lk_gcounter a, b;
  bool changed;
  gen_state(g, &a);
  init(&b);
  CHECK_OK(lk_gcounter_merge(&b, &a, &changed));
  CHECK(changed == !lk_gcounter_is_empty(&a));
  CHECK_OK(lk_gcounter_merge(&b, &a, &changed));
  CHECK(!changed && lk_gcounter_equal(&a, &b));
  CHECK_OK(lk_gcounter_merge(&b, &b, &changed));
  CHECK(!changed && lk_gcounter_equal(&a, &b));
  lk_gcounter_deinit(&a);
  lk_gcounter_deinit(&b);
}

PROPERTY(diff_is_what_the_other_lacks_and_no_more) {
  lk_gcounter a, b, diff, joined;
  gen_state(g, &a);
  gen_state(g, &b);
  init(&diff);
  CHECK_OK(lk_gcounter_diff(&a, &b, &diff));
  uint32_t cursor = 0;
  uint64_t more;
  lk_slice actor;
  while (lk_gcounter_next(&diff, &cursor, &actor, &more)) {
    CHECK(more > lk_gcounter_count_of(&b, actor));
    CHECK_U64(more, lk_gcounter_count_of(&a, actor));
  }
  CHECK_OK(lk_gcounter_merge(&b, &diff, NULL));
  merged(&a, &b, &joined);
  CHECK(lk_gcounter_equal(&b, &joined));
  lk_gcounter *all[] = { &a, &b, &diff, &joined };
  for (size_t i = 0; i < 4; i++) lk_gcounter_deinit(all[i]);
}

PROPERTY(equal_states_have_equal_bytes_and_come_back_from_them) {
  lk_gcounter a, b, back, json;
  lk_buf bytes, again, text;
  gen_state(g, &a);
  init(&b);
  /* The same state by another way: one actor at a time. */
  uint32_t cursor = 0;
  uint64_t count;
  lk_slice actor;
  while (lk_gcounter_next(&a, &cursor, &actor, &count)) {
    CHECK_OK(lk_gcounter_increment(&b, actor, count));
  }
  CHECK_SLICE(encode(&b, &again), encode(&a, &bytes));
  init(&back);
  CHECK_OK(lk_gcounter_decode(&back, lk_buf_slice(&bytes)));
  CHECK(lk_gcounter_equal(&a, &back));
  lk_buf_init(&text, test_alloc(), 1 << 20);
  CHECK_OK(lk_gcounter_encode_json(&a, &text));
  init(&json);
  CHECK_OK(lk_gcounter_decode_json(&json, lk_buf_slice(&text)));
  CHECK(lk_gcounter_equal(&a, &json));
  lk_buf_deinit(&bytes);
  lk_buf_deinit(&again);
  lk_buf_deinit(&text);
  lk_gcounter *all[] = { &a, &b, &back, &json };
  for (size_t i = 0; i < 4; i++) lk_gcounter_deinit(all[i]);
}

TEST(counting_beyond_64_bits_is_refused_and_changes_nothing) {
  lk_gcounter c, other;
  init(&c);
  init(&other);
  CHECK_OK(lk_gcounter_increment(&c, LK_LIT("a"), UINT64_MAX));
  CHECK_ERR(lk_gcounter_increment(&c, LK_LIT("a"), 1), LK_ERR_OVERFLOW);
  CHECK_ERR(lk_gcounter_increment(&c, LK_LIT("b"), 1), LK_ERR_OVERFLOW);
  CHECK_OK(lk_gcounter_increment(&other, LK_LIT("b"), 1));
  CHECK_ERR(lk_gcounter_merge(&c, &other, NULL), LK_ERR_OVERFLOW);
  CHECK_U64(lk_gcounter_count_of(&c, LK_LIT("b")), 0);
  CHECK_U64(lk_gcounter_value(&c), UINT64_MAX);
  lk_gcounter_deinit(&c);
  lk_gcounter_deinit(&other);
}

TEST(counters_differ_in_actors_counts_and_number) {
  lk_gcounter a, b;
  init(&a);
  init(&b);
  CHECK(lk_gcounter_equal(&a, &b));
  CHECK_OK(lk_gcounter_increment(&a, LK_LIT("x"), 3));
  CHECK(!lk_gcounter_equal(&a, &b));
  CHECK_OK(lk_gcounter_increment(&b, LK_LIT("y"), 3));
  CHECK(!lk_gcounter_equal(&a, &b)); /* the same sum of another */
  CHECK_OK(lk_gcounter_increment(&b, LK_LIT("x"), 1));
  CHECK_OK(lk_gcounter_increment(&a, LK_LIT("y"), 1));
  CHECK_U64(lk_gcounter_value(&a), lk_gcounter_value(&b));
  CHECK(!lk_gcounter_equal(&a, &b)); /* the same sum, shared out differently */
  lk_gcounter_deinit(&a);
  lk_gcounter_deinit(&b);
}

TEST(json_without_integers_under_counts_is_refused) {
  static const struct {
    lk_slice text;
    lk_err want;
  } cases[] = {
    { LK_LIT_INIT("{\"counts\":{}}"), LK_OK },
    { LK_LIT_INIT("{\"value\":3,\"counts\":{\"a\":3}, \"x\":[]}"), LK_OK },
    { LK_LIT_INIT("{\"counts\":{\"a\":18446744073709551615}}"), LK_OK },
    { LK_LIT_INIT("{\"counts\":{\"a\":18446744073709551616}}"), LK_ERR_PAYLOAD },
    { LK_LIT_INIT("{\"counts\":{\"a\":-1}}"), LK_ERR_PAYLOAD },
    { LK_LIT_INIT("{\"counts\":{\"a\":1.5}}"), LK_ERR_PAYLOAD },
    { LK_LIT_INIT("{\"counts\":{\"a\":\"1\"}}"), LK_ERR_PAYLOAD },
    { LK_LIT_INIT("{\"counts\":[1]}"), LK_ERR_PAYLOAD },
    { LK_LIT_INIT("{}"), LK_ERR_PAYLOAD },
    { LK_LIT_INIT("[]"), LK_ERR_PAYLOAD },
    { LK_LIT_INIT("{\"counts\":{\"\":1}}"), LK_ERR_ACTOR },
    { LK_LIT_INIT("{\"counts\":{\"b\":18446744073709551615,\"a\":1,\"b\":2}}"), LK_ERR_OVERFLOW },
    { LK_LIT_INIT("{\"counts\":{\"a\":1}"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("{\"counts\":{\"a\":1}} x"), LK_ERR_TRAILING },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_gcounter c;
    init(&c);
    test_note("case %zu", i);
    CHECK_ERR(lk_gcounter_decode_json(&c, cases[i].text), cases[i].want);
    if (cases[i].want != LK_OK) CHECK(lk_gcounter_is_empty(&c));
    lk_gcounter_deinit(&c);
  }
}

/* Goal: the order of the members, repetitions and zeros do not matter: each actor has its greatest count. */
PROPERTY(json_counts_in_any_order_are_the_greatest_of_each_actor) {
  lk_gcounter c, model;
  lk_buf text;
  init(&c);
  init(&model);
  lk_buf_init(&text, test_alloc(), 4000);
  lk_buf_append(&text, LK_LIT("{\"counts\":{"));
  for (uint32_t i = 0, n = gen_below(g, 40); i < n; i++) {
    uint8_t name[2];
    lk_slice actor = actor_of(gen_below(g, 52), name);
    uint64_t count = gen_below(g, 4), had = lk_gcounter_count_of(&model, actor);
    if (count > had) CHECK_OK(lk_gcounter_increment(&model, actor, count - had));
    lk_buf_append(&text, i == 0 ? LK_LIT("\"") : LK_LIT(",\""));
    lk_buf_append(&text, actor);
    lk_buf_append(&text, LK_LIT("\":"));
    lk_buf_append_decimal(&text, count);
  }
  lk_buf_append(&text, LK_LIT("}}"));
  CHECK_OK(lk_gcounter_decode_json(&c, lk_buf_slice(&text)));
  CHECK(lk_gcounter_equal(&c, &model));
  lk_buf_deinit(&text);
  lk_gcounter_deinit(&c);
  lk_gcounter_deinit(&model);
}

/* Goal: whatever allocation fails, the counter is as before or the change is whole.
 * Method: a second counter, whose memory never fails, makes the changes that succeeded. */
TEST(counter_is_as_before_after_every_failed_allocation) {
  lk_limits l = limits();
  lk_gcounter other;
  uint8_t name[2];
  init(&other);
  for (uint32_t i = 0; i < 20; i += 2)
    CHECK_OK(lk_gcounter_increment(&other, actor_of(i, name), 3));
  FAULT_LOOP(faults, test_alloc()) {
    lk_gcounter c, shadow;
    lk_gcounter_init(&c, faulty_alloc(&faults), &l);
    init(&shadow);
    for (uint32_t i = 0; i < 12; i++) {
      bool merge = i == 6;
      lk_err err = merge ? lk_gcounter_merge(&c, &other, NULL)
                         : lk_gcounter_increment(&c, actor_of(i, name), 1);
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      if (err == LK_OK && merge) CHECK_OK(lk_gcounter_merge(&shadow, &other, NULL));
      if (err == LK_OK && !merge) CHECK_OK(lk_gcounter_increment(&shadow, actor_of(i, name), 1));
      CHECK(lk_gcounter_equal(&c, &shadow));
    }
    lk_gcounter_deinit(&c);
    lk_gcounter_deinit(&shadow);
  }
  lk_gcounter_deinit(&other);
}
