/* Ids: the published example, order under every clock, and the text form. */
#include "codec/id.h"
#include "harness/test.h"

static lk_slice text_of(const lk_id *id, uint8_t out[LK_ID_TEXT_LEN]) {
  lk_id_format(id, out);
  return lk_slice_of(out, LK_ID_TEXT_LEN);
}

/* RFC 9562, A.6. */
TEST(id_is_the_example_of_the_rfc) {
  uint8_t text[LK_ID_TEXT_LEN];
  lk_id id = lk_id_of_parts(UINT64_C(0x017F22E279B0), 0xCC3, UINT64_C(0x18C4DC0C0C07398F));
  CHECK_TEXT(text_of(&id, text), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  CHECK(lk_id_is_v7(&id));
  CHECK_U64(lk_id_ms(&id), UINT64_C(0x017F22E279B0));
}

TEST(id_text_is_read_in_either_case_and_nothing_else_is) {
  static const char *const refused[] = {
    "",
    "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
    "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
    "017f22e279b0-7cc3-98c4-dc0c0c07398f-",
    "017f22e2x79b0-7cc3-98c4-dc0c0c07398f",
    "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
    "{17f22e2-79b0-7cc3-98c4-dc0c0c07398f",
  };
  lk_id id = { { 0 } }, again;
  uint8_t text[LK_ID_TEXT_LEN];
  CHECK_OK(lk_id_decode_text(LK_LIT("017F22E2-79b0-7CC3-98C4-DC0C0C07398F"), &id));
  CHECK_TEXT(text_of(&id, text), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
  again = id;
  for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
    test_note("text %zu", i);
    CHECK_ERR(lk_id_decode_text(lk_slice_cstr(refused[i]), &id), LK_ERR_SYNTAX);
    CHECK(lk_id_compare(&id, &again) == 0);
  }
  CHECK_OK(lk_id_decode_text(LK_LIT("00000000-0000-4000-8000-000000000000"), &id));
  CHECK(!lk_id_is_v7(&id));
  CHECK_OK(lk_id_decode_text(LK_LIT("00000000-0000-7000-c000-000000000000"), &id));
  CHECK(!lk_id_is_v7(&id));
}

/* Goal: an id's bits are where RFC 9562 wants them, and entropy is used. */
TEST(id_of_a_new_millisecond_holds_its_entropy) {
  static const uint8_t entropy[LK_ID_ENTROPY_LEN] = { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                                      0xFF, 0xFF, 0xFF, 0xFF, 0xFE };
  lk_id_generator gen = { 0 };
  lk_id id;
  uint8_t text[LK_ID_TEXT_LEN];
  CHECK_OK(lk_id_generate(&gen, 0x123456789ABC, entropy, &id));
  CHECK_TEXT(text_of(&id, text), "12345678-9abc-77ff-bfff-fffffffffffe");
  CHECK_OK(lk_id_generate(&gen, 0, entropy, &id)); /* the clock went back: counts on */
  CHECK_TEXT(text_of(&id, text), "12345678-9abc-7800-8000-0000fffffffe");
}

/* Goal: what is used up borrows from the future, and fails only at the end of time. */
TEST(id_generator_runs_ahead_when_a_millisecond_is_used_up) {
  static const uint8_t entropy[LK_ID_ENTROPY_LEN] = { 0 };
  lk_id_generator gen = {
    .ms = 1000, .high = 0xFFF, .low = (UINT64_C(1) << 62) - 1, .began = true
  };
  lk_id id, last = lk_id_of_parts(gen.ms, gen.high, gen.low);
  CHECK_OK(lk_id_generate(&gen, 999, entropy, &id));
  CHECK_COVERED(id_used_up_a_millisecond);
  CHECK_U64(lk_id_ms(&id), 1001);
  CHECK(lk_id_compare(&last, &id) < 0);

  gen = (lk_id_generator){
    .ms = LK_ID_MS_MAX, .high = 0xFFF, .low = (UINT64_C(1) << 62) - 1, .began = true
  };
  lk_id_generator before = gen;
  CHECK_ERR(lk_id_generate(&gen, 5, entropy, &id), LK_ERR_RANGE);
  CHECK_ERR(lk_id_generate(&gen, LK_ID_MS_MAX + 1, entropy, &id), LK_ERR_RANGE);
  CHECK(gen.ms == before.ms && gen.high == before.high && gen.low == before.low);
}

/* Method: a clock that stands, jumps and goes back, and entropy that is often extreme. */
PROPERTY(ids_of_one_generator_only_grow) {
  lk_id_generator gen = { 0 };
  lk_id last = { { 0 } }, id, back;
  uint64_t now = gen_u64(g) & LK_ID_MS_MAX >> 1;
  gen.began = false;
  for (int i = 0; i < 20; i++) {
    uint8_t entropy[LK_ID_ENTROPY_LEN], text[LK_ID_TEXT_LEN];
    uint64_t a = gen_u64(g), b = gen_u64(g);
    memcpy(entropy, &a, 8);
    memcpy(entropy + 8, &b, 2);
    switch (gen_below(g, 4)) {
    case 0: now += gen_below(g, 5); break;
    case 1: now -= lk_min_u64(now, gen_below(g, 100000)); break;
    default: break;
    }
    if (gen_chance(g, 1, 8)) gen.high = 0xFFF; /* as after very many ids */
    if (gen_chance(g, 1, 8)) gen.low = (UINT64_C(1) << 62) - 2;
    if (gen.began) last = lk_id_of_parts(gen.ms, gen.high, gen.low);
    CHECK_OK(lk_id_generate(&gen, now, entropy, &id));
    CHECK(lk_id_is_v7(&id));
    CHECK(lk_id_ms(&id) >= now);
    if (i > 0) CHECK(lk_id_compare(&last, &id) < 0);
    CHECK_OK(lk_id_decode_text(text_of(&id, text), &back));
    CHECK(lk_id_compare(&back, &id) == 0);
    last = id;
  }
}
