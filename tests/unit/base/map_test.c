#include "base/map.h"
#include "harness/test.h"

static const uint64_t seed[2] = { 1, 2 };

static lk_slice key_of(uint32_t n, uint8_t bytes[4]) {
  lk_store_be32(bytes, n);
  return lk_slice_of(bytes, 4);
}

TEST(map_finds_what_was_put_and_nothing_else) {
  lk_map m;
  void *value;
  bool is_new;
  lk_map_init(&m, test_alloc(), sizeof(uint32_t), 100, seed);
  CHECK(lk_map_get(&m, LK_LIT("ada")) == NULL);
  CHECK_OK(lk_map_put(&m, LK_LIT("ada"), &value, &is_new));
  CHECK(is_new && *(uint32_t *)value == 0);
  *(uint32_t *)value = 36;
  CHECK_OK(lk_map_put(&m, LK_SLICE_EMPTY, &value, &is_new));
  CHECK(is_new);
  CHECK_OK(lk_map_put(&m, LK_LIT("ada"), &value, &is_new));
  CHECK(!is_new && *(uint32_t *)value == 36);
  CHECK(lk_map_get(&m, LK_LIT("")) != NULL);
  CHECK(lk_map_get(&m, LK_LIT("ad")) == NULL);
  CHECK(lk_map_remove(&m, LK_LIT("ada")) && !lk_map_remove(&m, LK_LIT("ada")));
  CHECK(lk_map_get(&m, LK_LIT("ada")) == NULL);
  CHECK_U64(lk_map_count(&m), 1);
  lk_map_deinit(&m);
  lk_map_deinit(&m);
}

/* Goal: two maps with different hash seeds, hence different slots, iterate alike: the order is
 * that of the insertions. Method: a model in an array; puts and removes of few keys. */
PROPERTY(map_equals_a_model_and_iterates_in_order_of_insertion) {
  enum { KEYS = 24 };
  uint32_t order[KEYS], values[KEYS];
  uint32_t count = 0;
  uint64_t seeds[2] = { gen_u64(g), gen_u64(g) };
  lk_map m;
  lk_map_init(&m, test_alloc(), sizeof(uint32_t), KEYS, seeds);
  for (uint32_t i = gen_below(g, 120); i > 0; i--) {
    uint8_t bytes[4];
    uint32_t n = gen_below(g, KEYS);
    lk_slice key = key_of(n, bytes);
    uint32_t at = 0;
    while (at < count && order[at] != n) at++;
    if (gen_below(g, 5) < 3) {
      void *value;
      bool is_new;
      CHECK_OK(lk_map_put(&m, key, &value, &is_new));
      CHECK(is_new == (at == count));
      if (is_new) order[count++] = n;
      *(uint32_t *)value = values[at] = i;
    } else {
      CHECK(lk_map_remove(&m, key) == (at < count));
      if (at < count) {
        count--;
        memmove(order + at, order + at + 1, (count - at) * sizeof order[0]);
        memmove(values + at, values + at + 1, (count - at) * sizeof values[0]);
      }
    }
    CHECK_U64(lk_map_count(&m), count);
    uint32_t cursor = 0, seen = 0;
    lk_slice found;
    void *value;
    while (lk_map_next(&m, &cursor, &found, &value)) {
      CHECK(seen < count && lk_load_be32(found.ptr) == order[seen]);
      CHECK_U64(*(uint32_t *)value, values[seen]);
      CHECK(lk_map_get(&m, found) == value);
      seen++;
    }
    CHECK_U64(seen, count);
  }
  lk_map_deinit(&m);
}

TEST(map_refuses_more_keys_than_its_maximum) {
  lk_map m;
  void *value;
  bool is_new;
  uint8_t bytes[4];
  lk_map_init(&m, test_alloc(), 0, 3, seed);
  for (uint32_t i = 0; i < 3; i++) CHECK_OK(lk_map_put(&m, key_of(i, bytes), &value, &is_new));
  CHECK_ERR(lk_map_put(&m, key_of(3, bytes), &value, &is_new), LK_ERR_LIMIT);
  CHECK_COVERED(map_reached_its_maximum);
  CHECK_OK(lk_map_put(&m, key_of(2, bytes), &value, &is_new)); /* there already */
  CHECK(lk_map_remove(&m, key_of(0, bytes)));
  CHECK_OK(lk_map_put(&m, key_of(3, bytes), &value, &is_new));
  lk_map_deinit(&m);
}

/* Goal: used as a queue, a map of few live keys stays small for ever. */
TEST(map_used_as_a_queue_does_not_grow) {
  lk_map m;
  void *value;
  bool is_new;
  uint8_t bytes[4];
  lk_map_init(&m, test_alloc(), 8, 100, seed);
  for (uint32_t i = 0; i < 20000; i++) {
    CHECK_OK(lk_map_put(&m, key_of(i, bytes), &value, &is_new));
    if (i >= 10) CHECK(lk_map_remove(&m, key_of(i - 10, bytes)));
  }
  CHECK(m.entry_cap <= 32);
  CHECK_U64(lk_map_count(&m), 10);
  lk_map_deinit(&m);
}

TEST(map_is_as_before_after_every_failed_allocation) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_map m;
    uint8_t bytes[4];
    uint32_t put = 0;
    lk_map_init(&m, faulty_alloc(&faults), sizeof(uint32_t), 100, seed);
    for (uint32_t i = 0; i < 40; i++) {
      void *value;
      bool is_new;
      lk_err err = lk_map_put(&m, key_of(put, bytes), &value, &is_new);
      if (err == LK_OK) *(uint32_t *)value = put++;
      else CHECK_ERR(err, LK_ERR_NOMEM);
      CHECK_U64(lk_map_count(&m), put);
    }
    for (uint32_t i = 0; i < put; i++) {
      uint32_t *value = lk_map_get(&m, key_of(i, bytes));
      CHECK(value != NULL && *value == i);
    }
    lk_map_deinit(&m);
  }
}

/* Published vectors are of SipHash-2-4. These were made with CPython 3.11, whose hash of bytes is
 * SipHash-1-3 under the key 0 when PYTHONHASHSEED is 0. */
TEST(siphash13_agrees_with_another_implementation) {
  static const uint64_t zero[2] = { 0, 0 };
  uint8_t counting[15];
  for (uint8_t i = 0; i < sizeof counting; i++) counting[i] = i;
  CHECK_U64(lk_siphash13(zero, LK_LIT("laniakea")), 0xe298a6884d8ef62eu);
  CHECK_U64(lk_siphash13(zero, LK_LIT("a room is a state machine")), 0x1e09c51264640db8u);
  CHECK_U64(lk_siphash13(zero, LK_LIT("abc")), 0xc03bc3a0042630f2u);
  CHECK_U64(lk_siphash13(zero, lk_slice_of(counting, 15)), 0xf30eb725bb91c9eau);
}

TEST(siphash13_depends_on_every_byte_and_on_the_seed) {
  uint8_t bytes[17] = { 0 };
  uint64_t base = lk_siphash13(seed, lk_slice_of(bytes, sizeof bytes));
  for (size_t i = 0; i < sizeof bytes; i++) {
    bytes[i] ^= 1;
    CHECK(lk_siphash13(seed, lk_slice_of(bytes, sizeof bytes)) != base);
    CHECK(lk_siphash13(seed, lk_slice_of(bytes, i)) != base);
    bytes[i] ^= 1;
  }
  uint64_t other[2] = { 1, 3 };
  CHECK(lk_siphash13(other, lk_slice_of(bytes, sizeof bytes)) != base);
}

/* Goal: removing gives the index its slot back. Method: a map that becomes empty never rebuilds itself, so
 * slots that stay taken would fill its index, and looking for what is absent would never end. */
TEST(map_that_becomes_empty_over_and_over_keeps_its_index_free) {
  static const uint64_t a_seed[2] = { 1, 2 };
  lk_map m;
  void *value;
  bool is_new;
  lk_map_init(&m, test_alloc(), 0, 100, a_seed);
  for (uint32_t i = 0; i < 200; i++) {
    uint8_t key[4];
    lk_store_be32(key, i);
    CHECK_OK(lk_map_put(&m, lk_slice_of(key, 4), &value, &is_new));
    CHECK(lk_map_remove(&m, lk_slice_of(key, 4)));
    for (uint32_t slot = 0; slot < m.index_cap; slot++) CHECK_U64(m.index[slot], 0);
  }
  lk_map_deinit(&m);
}
