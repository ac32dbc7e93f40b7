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
    if (amount > 0)
      CHECK_OK(lk_gcounter_increment(c, actor_of(gen_below(g, 5), name), amount, NULL));
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
  CHECK_OK(lk_gcounter_increment(&c, LK_LIT("bob"), 5, NULL));
  CHECK_OK(lk_gcounter_increment(&c, LK_LIT("alice"), 1, NULL));
  CHECK_OK(lk_gcounter_increment(&c, LK_LIT("alice"), 2, NULL));
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

PROPERTY(merge_is_commutative) {
  lk_gcounter a, b, ab, ba;
  gen_state(g, &a);
  gen_state(g, &b);
  merged(&a, &b, &ab);
  merged(&b, &a, &ba);
  CHECK(lk_gcounter_equal(&ab, &ba));
  lk_gcounter_deinit(&a);
  lk_gcounter_deinit(&b);
  lk_gcounter_deinit(&ab);
  lk_gcounter_deinit(&ba);
}

PROPERTY(merge_is_associative) {
  lk_gcounter a, b, c, ab, bc, left, right;
  gen_state(g, &a);
  gen_state(g, &b);
  gen_state(g, &c);
  merged(&a, &b, &ab);
  merged(&b, &c, &bc);
  merged(&ab, &c, &left);
  merged(&a, &bc, &right);
  CHECK(lk_gcounter_equal(&left, &right));
  lk_gcounter *all[] = { &a, &b, &c, &ab, &bc, &left, &right };
  for (size_t i = 0; i < 7; i++) lk_gcounter_deinit(all[i]);
}

PROPERTY(merge_is_idempotent_and_says_whether_anything_was_new) {
  lk_gcounter a, b;
  bool changed;
  gen_state(g, &a);
  init(&b);
  CHECK_OK(lk_gcounter_merge(&b, &a, &changed));
  CHECK(changed == (a.count > 0));
  CHECK_OK(lk_gcounter_merge(&b, &a, &changed));
  CHECK(!changed && lk_gcounter_equal(&a, &b));
  CHECK_OK(lk_gcounter_merge(&b, &b, &changed));
  CHECK(!changed && lk_gcounter_equal(&a, &b));
  lk_gcounter_deinit(&a);
  lk_gcounter_deinit(&b);
}

/* Goal: replicas that only exchange deltas, some lost, some twice, in any order, then one state,
 * agree with a model that just adds. */
PROPERTY(deltas_and_states_converge_to_what_was_counted) {
  enum { REPLICAS = 4 };
  lk_gcounter replica[REPLICAS], delta;
  uint64_t counted = 0;
  uint8_t name[2];
  for (size_t i = 0; i < REPLICAS; i++) init(&replica[i]);
  for (uint32_t i = gen_below(g, 40); i > 0; i--) {
    uint32_t who = gen_below(g, REPLICAS), amount = gen_range(g, 1, 9);
    init(&delta);
    CHECK_OK(lk_gcounter_increment(&replica[who], actor_of(who, name), amount, &delta));
    counted += amount;
    for (uint32_t copies = gen_below(g, 4); copies > 0; copies--) {
      CHECK_OK(lk_gcounter_merge(&replica[gen_below(g, REPLICAS)], &delta, NULL));
    }
    lk_gcounter_deinit(&delta);
  }
  for (size_t round = 0; round < 2; round++) {
    for (size_t i = 0; i < REPLICAS; i++) {
      CHECK_OK(lk_gcounter_merge(&replica[(i + 1) % REPLICAS], &replica[i], NULL));
    }
  }
  for (size_t i = 0; i < REPLICAS; i++) {
    CHECK_U64(lk_gcounter_value(&replica[i]), counted);
    CHECK(lk_gcounter_equal(&replica[i], &replica[0]));
  }
  for (size_t i = 0; i < REPLICAS; i++) lk_gcounter_deinit(&replica[i]);
}

PROPERTY(diff_is_what_the_other_lacks_and_no_more) {
  lk_gcounter a, b, diff, joined;
  gen_state(g, &a);
  gen_state(g, &b);
  init(&diff);
  CHECK_OK(lk_gcounter_diff(&a, &b, &diff));
  for (uint32_t i = 0; i < diff.count; i++) {
    lk_slice actor = lk_slice_of(diff.entries[i].actor, diff.entries[i].actor_len);
    CHECK(diff.entries[i].count > lk_gcounter_count_of(&b, actor));
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
  lk_limits l = limits();
  gen_state(g, &a);
  init(&b);
  /* The same state by another way: one actor at a time, backwards. */
  for (uint32_t i = a.count; i-- > 0;) {
    CHECK_OK(lk_gcounter_increment(&b, lk_slice_of(a.entries[i].actor, a.entries[i].actor_len),
                                   a.entries[i].count, NULL));
  }
  CHECK_SLICE(encode(&b, &again), encode(&a, &bytes));
  init(&back);
  CHECK_OK(lk_gcounter_decode(&back, lk_buf_slice(&bytes)));
  CHECK(lk_gcounter_equal(&a, &back));
  lk_buf_init(&text, test_alloc(), 1 << 20);
  CHECK_OK(lk_gcounter_encode_json(&a, &text));
  init(&json);
  CHECK_OK(lk_gcounter_decode_json(&json, lk_buf_slice(&text), &l));
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
  CHECK_OK(lk_gcounter_increment(&c, LK_LIT("a"), UINT64_MAX, NULL));
  CHECK_ERR(lk_gcounter_increment(&c, LK_LIT("a"), 1, NULL), LK_ERR_OVERFLOW);
  CHECK_ERR(lk_gcounter_increment(&c, LK_LIT("b"), 1, NULL), LK_ERR_OVERFLOW);
  CHECK_OK(lk_gcounter_increment(&other, LK_LIT("b"), 1, NULL));
  CHECK_ERR(lk_gcounter_merge(&c, &other, NULL), LK_ERR_OVERFLOW);
  CHECK_U64(c.count, 1);
  CHECK_U64(lk_gcounter_value(&c), UINT64_MAX);
  lk_gcounter_deinit(&c);
  lk_gcounter_deinit(&other);
}

TEST(an_actor_is_short_text_and_an_amount_is_positive) {
  lk_gcounter c;
  uint8_t name[LK_ACTOR_LEN_MAX + 1];
  memset(name, 'n', sizeof name);
  init(&c);
  CHECK_ERR(lk_gcounter_increment(&c, LK_LIT(""), 1, NULL), LK_ERR_ACTOR);
  CHECK_ERR(lk_gcounter_increment(&c, LK_LIT("\xff"), 1, NULL), LK_ERR_ACTOR);
  CHECK_ERR(lk_gcounter_increment(&c, lk_slice_of(name, sizeof name), 1, NULL), LK_ERR_ACTOR);
  CHECK_ERR(lk_gcounter_increment(&c, LK_LIT("a"), 0, NULL), LK_ERR_RANGE);
  CHECK_U64(c.count, 0);
  CHECK_OK(lk_gcounter_increment(&c, lk_slice_of(name, LK_ACTOR_LEN_MAX), 1, NULL));
  lk_gcounter_deinit(&c);
}

TEST(more_actors_than_the_limit_are_refused) {
  lk_limits l = limits();
  lk_gcounter c, other;
  uint8_t name[2];
  l.crdt_actors_count = 3;
  lk_gcounter_init(&c, test_alloc(), &l);
  init(&other);
  for (uint32_t i = 0; i < 3; i++) CHECK_OK(lk_gcounter_increment(&c, actor_of(i, name), 1, NULL));
  CHECK_ERR(lk_gcounter_increment(&c, actor_of(3, name), 1, NULL), LK_ERR_LIMIT);
  CHECK_COVERED(gcounter_reached_its_maximum);
  CHECK_OK(lk_gcounter_increment(&other, actor_of(1, name), 9, NULL));
  CHECK_OK(lk_gcounter_merge(&c, &other, NULL)); /* known already */
  CHECK_OK(lk_gcounter_increment(&other, actor_of(7, name), 9, NULL));
  CHECK_ERR(lk_gcounter_merge(&c, &other, NULL), LK_ERR_LIMIT);
  CHECK_U64(lk_gcounter_value(&c), 11);
  lk_gcounter_deinit(&c);
  lk_gcounter_deinit(&other);
}

TEST(counters_differ_in_actors_counts_and_number) {
  lk_gcounter a, b;
  init(&a);
  init(&b);
  CHECK(lk_gcounter_equal(&a, &b));
  CHECK_OK(lk_gcounter_increment(&a, LK_LIT("x"), 3, NULL));
  CHECK(!lk_gcounter_equal(&a, &b));
  CHECK_OK(lk_gcounter_increment(&b, LK_LIT("y"), 3, NULL));
  CHECK(!lk_gcounter_equal(&a, &b)); /* the same sum of another */
  CHECK_OK(lk_gcounter_increment(&b, LK_LIT("x"), 1, NULL));
  CHECK_OK(lk_gcounter_increment(&a, LK_LIT("y"), 1, NULL));
  CHECK_U64(lk_gcounter_value(&a), lk_gcounter_value(&b));
  CHECK(!lk_gcounter_equal(&a, &b)); /* the same sum, shared out differently */
  lk_gcounter_deinit(&a);
  lk_gcounter_deinit(&b);
}

/* Goal: each way in which bytes can be wrong has its name, and leaves an empty counter. */
TEST(bytes_that_are_not_the_canonical_form_are_refused_by_name) {
  static const struct {
    lk_slice bytes;
    lk_err want;
  } cases[] = {
    { LK_LIT_INIT("\x01\x01\x01\x01"
                  "a\x03"),
      LK_OK },
    { LK_LIT_INIT(""), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x02\x01\x00"), LK_ERR_TYPE },
    { LK_LIT_INIT("\x01\x02\x00"), LK_ERR_VERSION },
    { LK_LIT_INIT("\x01\x01"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x01\x01\x01\x01"
                  "a"),
      LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x01\x01\x00\x00"), LK_ERR_TRAILING },
    { LK_LIT_INIT("\x01\x01\x81\x00\x01"
                  "a\x03"),
      LK_ERR_NOT_CANONICAL }, /* a long 1 */
    { LK_LIT_INIT("\x01\x01\x01\x01"
                  "a\x00"),
      LK_ERR_NOT_CANONICAL }, /* a count of 0 */
    { LK_LIT_INIT("\x01\x01\x02\x01"
                  "b\x01\x01"
                  "a\x01"),
      LK_ERR_NOT_CANONICAL },
    { LK_LIT_INIT("\x01\x01\x02\x01"
                  "a\x01\x01"
                  "a\x01"),
      LK_ERR_NOT_CANONICAL },
    { LK_LIT_INIT("\x01\x01\x01\x00\x01\x01"), LK_ERR_ACTOR },
    { LK_LIT_INIT("\x01\x01\x01\x41\x01\x01"), LK_ERR_ACTOR },
    { LK_LIT_INIT("\x01\x01\x01\x01\xff\x01"), LK_ERR_ACTOR },
    { LK_LIT_INIT("\x01\x01\xff\xff\xff\x7f"), LK_ERR_LIMIT },
    { LK_LIT_INIT("\x01\x01\xff\xff\x03"), LK_ERR_TRUNCATED }, /* 65,535 entries in no bytes */
    { LK_LIT_INIT("\x01\x01\x02\x01"
                  "a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01"
                  "b\x01"),
      LK_ERR_OVERFLOW },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_gcounter c;
    init(&c);
    test_note("case %zu", i);
    CHECK_ERR(lk_gcounter_decode(&c, cases[i].bytes), cases[i].want);
    CHECK_U64(c.count, cases[i].want == LK_OK);
    lk_gcounter_deinit(&c);
  }
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
  lk_limits l = limits();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_gcounter c;
    init(&c);
    test_note("case %zu", i);
    CHECK_ERR(lk_gcounter_decode_json(&c, cases[i].text, &l), cases[i].want);
    if (cases[i].want != LK_OK) CHECK_U64(c.count, 0);
    lk_gcounter_deinit(&c);
  }
}

/* Goal: the order of the members, repetitions and zeros do not matter: each actor has its greatest count. */
PROPERTY(json_counts_in_any_order_are_the_greatest_of_each_actor) {
  lk_limits l = limits();
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
    if (count > had) CHECK_OK(lk_gcounter_increment(&model, actor, count - had, NULL));
    lk_buf_append(&text, i == 0 ? LK_LIT("\"") : LK_LIT(",\""));
    lk_buf_append(&text, actor);
    lk_buf_append(&text, LK_LIT("\":"));
    lk_buf_append_decimal(&text, count);
  }
  lk_buf_append(&text, LK_LIT("}}"));
  CHECK_OK(lk_gcounter_decode_json(&c, lk_buf_slice(&text), &l));
  CHECK(lk_gcounter_equal(&c, &model));
  lk_buf_deinit(&text);
  lk_gcounter_deinit(&c);
  lk_gcounter_deinit(&model);
}

/* Goal: whatever allocation fails, the counters are as before or the change is whole. */
TEST(counter_is_as_before_after_every_failed_allocation) {
  lk_limits l = limits();
  lk_gcounter other;
  uint8_t name[2];
  init(&other);
  for (uint32_t i = 0; i < 20; i += 2)
    CHECK_OK(lk_gcounter_increment(&other, actor_of(i, name), 3, NULL));
  FAULT_LOOP(faults, test_alloc()) {
    lk_gcounter c;
    lk_buf before, after;
    lk_gcounter_init(&c, faulty_alloc(&faults), &l);
    for (uint32_t i = 0; i < 12; i++) {
      encode(&c, &before);
      lk_err err = i == 6 ? lk_gcounter_merge(&c, &other, NULL)
                          : lk_gcounter_increment(&c, actor_of(i, name), 1, NULL);
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      if (err != LK_OK) CHECK_SLICE(encode(&c, &after), lk_buf_slice(&before));
      if (err != LK_OK) lk_buf_deinit(&after);
      lk_buf_deinit(&before);
    }
    lk_gcounter_deinit(&c);
  }
  lk_gcounter_deinit(&other);
}
