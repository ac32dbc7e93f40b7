/* Awareness: y-protocols' own scenarios, then limits, time and failures. */
#include "channel/awareness.h"

#include "channel/js_json.h"
#include "codec/lib0.h"
#include "codec/varint.h"
#include "tests/unit/codec/vectors.h"

#ifndef PATH
#define PATH "tests/vectors/awareness.json"
#endif

#define OWN 7

static void init(lk_awareness *a, uint64_t client) {
  lk_limits limits = lk_limits_default();
  CHECK_OK(lk_awareness_init(a, test_alloc(), &limits, client, 1000));
}

/* ---- updates by hand ---- */

typedef struct update {
  lk_buf bytes;
  uint32_t count;
} update;

static void add_entry(update *u, uint64_t client, uint64_t clock, lk_slice state) {
  if (u->bytes.alloc == NULL) lk_buf_init(&u->bytes, test_alloc(), 1 << 26);
  lk_varuint_encode(&u->bytes, client);
  lk_varuint_encode(&u->bytes, clock);
  CHECK_OK(lk_lib0_string_encode(&u->bytes, state));
  u->count++;
}

static lk_err apply_at(lk_awareness *a, update *u, uint64_t now_ms) {
  lk_buf all;
  lk_buf_init(&all, test_alloc(), 1 << 26);
  lk_varuint_encode(&all, u->count);
  lk_buf_append(&all, lk_buf_slice(&u->bytes));
  CHECK_OK(lk_buf_err(&all));
  lk_err err = lk_awareness_apply(a, lk_buf_slice(&all), now_ms);
  lk_buf_deinit(&all);
  lk_buf_deinit(&u->bytes);
  *u = (update){ 0 };
  return err;
}

static lk_err apply_one(lk_awareness *a, uint64_t client, uint64_t clock, lk_slice state,
                        uint64_t now_ms) {
  update u = { 0 };
  add_entry(&u, client, clock, state);
  return apply_at(a, &u, now_ms);
}

/* ---- what must always hold ---- */

static void check_sound(const lk_awareness *a) {
  uint32_t online = 0, cursor = 0;
  size_t bytes = 0;
  uint64_t client;
  lk_slice state, same;
  for (uint32_t i = 0; i < a->count; i++) {
    const lk_awareness_client *c = &a->clients[i];
    CHECK(c->online == (c->state != NULL));
    CHECK(i == 0 || a->clients[a->ranks[i - 1]].id < a->clients[a->ranks[i]].id);
    online += c->online;
    bytes += c->state_len;
  }
  CHECK_U64(a->online_count, online);
  CHECK_U64(a->state_bytes, bytes);
  while (lk_awareness_next(a, &cursor, &client, &state)) {
    CHECK(cursor <= a->count && a->clients[cursor - 1].id == client);
    CHECK(lk_awareness_get(a, client, &same));
    CHECK_SLICE(state, same);
    online--;
  }
  CHECK_U64(online, 0);
}

static lk_slice encode_all(const lk_awareness *a, lk_buf *out) {
  lk_buf_init(out, test_alloc(), 1 << 26);
  CHECK_OK(lk_awareness_encode(a, out));
  return lk_buf_slice(out);
}

/* The clients of the events that |wanted| has a bit for, as numbers with spaces between. */
static lk_slice list_events(const lk_awareness *a, unsigned wanted, lk_buf *out) {
  size_t count;
  const lk_awareness_event *events = lk_awareness_events(a, &count);
  lk_buf_truncate(out, 0);
  for (size_t i = 0; i < count; i++) {
    if ((wanted >> events[i].change & 1) == 0) continue;
    if (out->len > 0) lk_buf_append_u8(out, ' ');
    lk_buf_append_decimal(out, events[i].client);
  }
  return lk_buf_slice(out);
}

#define ADDED (1u << LK_AWARENESS_ADDED)
#define UPDATED (1u << LK_AWARENESS_UPDATED)
#define RENEWED (1u << LK_AWARENESS_RENEWED)
#define REMOVED (1u << LK_AWARENESS_REMOVED)

static void check_events(const lk_awareness *a, unsigned wanted, lk_slice want) {
  lk_buf list;
  lk_buf_init(&list, test_alloc(), 1 << 20);
  CHECK_SLICE(list_events(a, wanted, &list), want);
  lk_buf_deinit(&list);
}

/* ---- y-protocols' scenarios ---- */

static size_t parse_ids(lk_slice text, uint64_t *ids) {
  size_t count = 0;
  while (text.len > 0) {
    lk_slice rest;
    CHECK_OK(lk_number_parse_u64(lk_slice_cut(text, ' ', &rest), &ids[count++]));
    text = rest;
  }
  return count;
}

enum { NOW, DO, ARG, NAME, LIST_ADDED, LIST_UPDATED, LIST_FILTERED, LIST_REMOVED, ALL, CHANGED };

static void do_step(lk_awareness *a, vectors *v, const lk_json_member *f) {
  uint64_t now = vectors_u64(&f[NOW]), ids[8];
  lk_slice what = vectors_text(&f[DO]), arg = vectors_text(&f[ARG]);
  if (lk_slice_equal(what, LK_LIT("apply"))) {
    CHECK_OK(lk_awareness_apply(a, vectors_unhex(v, arg), now));
  } else if (lk_slice_equal(what, LK_LIT("set"))) {
    CHECK_OK(lk_awareness_set_local(a, arg, now));
  } else if (lk_slice_equal(what, LK_LIT("field"))) {
    CHECK_OK(lk_awareness_set_local_field(a, vectors_hex(v, &f[NAME]), arg, now));
  } else if (lk_slice_equal(what, LK_LIT("remove"))) {
    CHECK_OK(lk_awareness_remove(a, ids, parse_ids(arg, ids), now));
  } else {
    CHECK_TEXT(what, "tick");
    CHECK_OK(lk_awareness_tick(a, now));
  }
}

static void check_step(lk_awareness *a, vectors *v, lk_slice raw) {
  lk_json_member f[] = { VECTORS_FIELD("now"),      VECTORS_FIELD("do"),
                         VECTORS_FIELD("arg"),      VECTORS_FIELD("name"),
                         VECTORS_FIELD("added"),    VECTORS_FIELD("updated"),
                         VECTORS_FIELD("filtered"), VECTORS_FIELD("removed"),
                         VECTORS_FIELD("all"),      VECTORS_FIELD("changed") };
  lk_limits limits = lk_limits_default();
  lk_json_reader r;
  lk_buf all, changed;
  CHECK_OK(lk_json_reader_init(&r, raw, &limits, &v->arena));
  CHECK_OK(lk_json_read_members(&r, f, sizeof f / sizeof f[0]));
  do_step(a, v, f);
  check_sound(a);
  check_events(a, ADDED, vectors_text(&f[LIST_ADDED]));
  check_events(a, UPDATED | RENEWED, vectors_text(&f[LIST_UPDATED]));
  check_events(a, UPDATED, vectors_text(&f[LIST_FILTERED]));
  check_events(a, REMOVED, vectors_text(&f[LIST_REMOVED]));
  CHECK_SLICE(encode_all(a, &all), vectors_hex(v, &f[ALL]));
  lk_buf_init(&changed, test_alloc(), 1 << 20);
  CHECK_OK(lk_awareness_encode_changed(a, &changed));
  CHECK_SLICE(lk_buf_slice(&changed), vectors_hex(v, &f[CHANGED]));
  lk_buf_deinit(&all);
  lk_buf_deinit(&changed);
}

/* Goal: the same events, and the same bytes after each step, as y-protocols in JavaScript. */
TEST(awareness_does_what_y_protocols_does) {
  lk_json_member f[] = { VECTORS_FIELD("own"), VECTORS_FIELD("steps") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("scenarios"));
  while (vectors_next(&v, f, 2)) {
    lk_limits limits = lk_limits_default();
    lk_awareness a;
    lk_json_reader steps;
    lk_json_event event;
    lk_slice raw;
    uint32_t step = 0;
    init(&a, vectors_has(&f[0]) ? vectors_u64(&f[0]) : LK_AWARENESS_NO_CLIENT);
    CHECK_OK(lk_json_reader_init(&steps, f[1].raw, &limits, &v.arena));
    CHECK_OK(lk_json_next(&steps, &event));
    while (lk_json_skip_value(&steps, &raw) == LK_OK) {
      test_note("scenario %u, step %u", v.count, step++);
      check_step(&a, &v, raw);
    }
    lk_awareness_deinit(&a);
  }
  CHECK_COVERED(awareness_said_that_it_is_still_here);
  vectors_close(&v);
}

/* ---- the own state ---- */

TEST(awareness_starts_with_an_empty_state_that_others_ignore) {
  lk_awareness a, b;
  lk_slice state;
  lk_buf bytes;
  init(&a, OWN);
  init(&b, 8);
  CHECK(lk_awareness_get(&a, OWN, &state));
  CHECK_TEXT(state, "{}");
  CHECK_TEXT(encode_all(&a, &bytes), "\x01\x07\x00\x02{}");
  CHECK_OK(lk_awareness_apply(&b, lk_buf_slice(&bytes), 1000));
  CHECK(!lk_awareness_get(&b, OWN, &state));
  lk_buf_deinit(&bytes);
  CHECK_OK(lk_awareness_set_local(&a, LK_LIT("{ \"x\" : 1 }"), 1001));
  check_events(&a, UPDATED, LK_LIT("7"));
  CHECK_OK(lk_awareness_apply(&b, encode_all(&a, &bytes), 1001));
  check_events(&b, ADDED, LK_LIT("7"));
  CHECK(lk_awareness_get(&b, OWN, &state));
  CHECK_TEXT(state, "{\"x\":1}");
  CHECK_U64(lk_awareness_count(&b), 2);
  lk_buf_deinit(&bytes);
  lk_awareness_deinit(&a);
  lk_awareness_deinit(&b);
  lk_awareness_deinit(&b);
}

TEST(awareness_opens_only_for_ids_that_javascript_can_hold) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_awareness *a = NULL;
  size_t count;
  CHECK_ERR(lk_awareness_open(&env, LK_AWARENESS_MAX + 1, 0, &a), LK_ERR_RANGE);
  CHECK(a == NULL);
  CHECK_OK(lk_awareness_open(&env, LK_AWARENESS_MAX, 0, &a));
  (void)lk_awareness_events(a, &count);
  CHECK_U64(count, 0);
  lk_awareness_close(a);
  lk_awareness_close(NULL);
}

TEST(awareness_without_an_own_client_has_no_own_state) {
  lk_awareness a;
  init(&a, LK_AWARENESS_NO_CLIENT);
  CHECK_U64(lk_awareness_count(&a), 0);
  CHECK_U64(lk_awareness_deadline(&a), UINT64_MAX);
  CHECK_ERR(lk_awareness_set_local(&a, LK_LIT("{}"), 0), LK_ERR_STATE);
  CHECK_ERR(lk_awareness_set_local_field(&a, LK_LIT("a"), LK_LIT("1"), 0), LK_ERR_STATE);
  CHECK_OK(lk_awareness_tick(&a, UINT64_MAX));
  lk_awareness_deinit(&a);
}

/* Goal: what is refused changes nothing, and no value can reach out of its member. */
TEST(awareness_refuses_own_states_that_are_none) {
  static const struct {
    lk_slice name, value;
    lk_err want;
  } cases[] = {
    { LK_LIT_INIT("a"), LK_LIT_INIT("1,\"b\":2"), LK_ERR_TRAILING },
    { LK_LIT_INIT("a"), LK_LIT_INIT("1}"), LK_ERR_TRAILING },
    { LK_LIT_INIT("a"), LK_LIT_INIT(""), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("a"), LK_LIT_INIT("{1}"), LK_ERR_SYNTAX },
    { LK_LIT_INIT("\xFF"), LK_LIT_INIT("1"), LK_ERR_UTF8 },
    { LK_LIT_INIT("a"), LK_LIT_INIT("1e999"), LK_ERR_RANGE },
  };
  lk_awareness a;
  lk_slice state;
  uint64_t clock;
  size_t count;
  init(&a, OWN);
  CHECK_OK(lk_awareness_set_local(&a, LK_LIT("{\"a\":0}"), 1000));
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    test_note("case %zu", i);
    CHECK_ERR(lk_awareness_set_local_field(&a, cases[i].name, cases[i].value, 1000), cases[i].want);
    (void)lk_awareness_events(&a, &count);
    CHECK_U64(count, 0);
  }
  CHECK_ERR(lk_awareness_set_local(&a, LK_LIT("{\"a\""), 1000), LK_ERR_TRUNCATED);
  CHECK(lk_awareness_get(&a, OWN, &state) && lk_awareness_clock(&a, OWN, &clock));
  CHECK_TEXT(state, "{\"a\":0}");
  CHECK_U64(clock, 1);
  CHECK_OK(lk_awareness_set_local_field(&a, LK_LIT("a\"b"), LK_LIT("[ ]"), 1000));
  CHECK(lk_awareness_get(&a, OWN, &state));
  CHECK_TEXT(state, "{\"a\":0,\"a\\\"b\":[]}");
  CHECK_OK(lk_awareness_set_local(&a, LK_LIT("[1]"), 1000));
  CHECK_ERR(lk_awareness_set_local_field(&a, LK_LIT("a"), LK_LIT("1"), 1000), LK_ERR_TYPE);
  CHECK_OK(lk_awareness_set_local(&a, LK_SLICE_EMPTY, 1000));
  check_events(&a, REMOVED, LK_LIT("7"));
  CHECK_OK(lk_awareness_set_local_field(&a, LK_LIT("a"), LK_LIT("1"), 1000));
  CHECK(!lk_awareness_get(&a, OWN, &state));
  lk_awareness_deinit(&a);
}

/* Goal: a stranger can use up our clock, but not make us send what nobody can read. */
TEST(awareness_clock_never_leaves_what_javascript_can_hold) {
  lk_awareness a;
  uint64_t clock;
  init(&a, OWN);
  CHECK_ERR(apply_one(&a, OWN, LK_AWARENESS_MAX, LK_LIT("null"), 1000), LK_ERR_RANGE);
  CHECK_OK(apply_one(&a, OWN, LK_AWARENESS_MAX - 1, LK_LIT("null"), 1000));
  CHECK(lk_awareness_clock(&a, OWN, &clock));
  CHECK_U64(clock, LK_AWARENESS_MAX);
  CHECK_ERR(lk_awareness_set_local(&a, LK_LIT("{}"), 1000), LK_ERR_OVERFLOW);
  CHECK_OK(lk_awareness_tick(&a, 100000));
  CHECK_U64(lk_awareness_deadline(&a), UINT64_MAX);
  CHECK_OK(lk_awareness_remove(&a, (uint64_t[]){ OWN }, 1, 100000));
  CHECK(lk_awareness_clock(&a, OWN, &clock));
  CHECK_U64(clock, LK_AWARENESS_MAX);
  CHECK_ERR(apply_one(&a, 1, LK_AWARENESS_MAX + 1, LK_LIT("1"), 1000), LK_ERR_RANGE);
  lk_awareness_deinit(&a);
}

/* ---- refusing ---- */

TEST(awareness_updates_that_are_none_are_refused_as_a_whole) {
  static const struct {
    lk_slice bytes;
    lk_err want;
  } cases[] = {
    { LK_LIT_INIT(""), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x01"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x01\x01\x01"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x01\x01\x01\x03{}"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\xFF\xFF\xFF\xFF\x0F\x01\x01\x02{}"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x00\x00"), LK_ERR_TRAILING },
    { LK_LIT_INIT("\x01\x01\x01\x02{}x"), LK_ERR_TRAILING },
    { LK_LIT_INIT("\x02\x01\x01\x02{}\x02\x01\x00"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x02\x01\x01\x02{}\x02\x01\x02[}"), LK_ERR_SYNTAX },
    { LK_LIT_INIT("\x02\x01\x01\x02{}\x02\x01\x04{} 1"), LK_ERR_TRAILING },
    { LK_LIT_INIT("\x02\x01\x01\x02{}\x02\x01\x03\"\xFF\""), LK_ERR_UTF8 },
    { LK_LIT_INIT("\x02\x01\x01\x02{}\x02\x01\x05"
                  "1e999"),
      LK_ERR_RANGE },
    { LK_LIT_INIT("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), LK_ERR_NOT_CANONICAL },
  };
  lk_awareness a;
  size_t count;
  init(&a, OWN);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    test_note("case %zu", i);
    CHECK_ERR(lk_awareness_apply(&a, cases[i].bytes, 1000), cases[i].want);
    (void)lk_awareness_events(&a, &count);
    CHECK_U64(count, 0);
    CHECK_U64(a.count, 1);
  }
  CHECK_OK(lk_awareness_apply(&a, LK_LIT("\x00"), 1000));
  lk_awareness_deinit(&a);
}

TEST(awareness_limits_are_exact_and_change_nothing) {
  lk_limits limits = lk_limits_default();
  lk_awareness a;
  update u = { 0 };
  uint64_t clock;
  limits.awareness_clients_count = 3;
  limits.awareness_state_bytes = 10;
  limits.awareness_bytes = 22;
  CHECK_OK(lk_awareness_init(&a, test_alloc(), &limits, OWN, 0)); /* {}: two bytes */
  CHECK_ERR(apply_one(&a, 1, 1, LK_LIT("\"123456789\""), 0), LK_ERR_TOO_BIG);
  CHECK_OK(apply_one(&a, 1, 1, LK_LIT("\"12345678\""), 0));
  add_entry(&u, 1, 2, LK_LIT("\"1\"")); /* would be taken, if not for the next */
  add_entry(&u, 2, 1, LK_LIT("\"12345678\""));
  add_entry(&u, 3, 1, LK_LIT("1"));
  CHECK_ERR(apply_at(&a, &u, 0), LK_ERR_LIMIT); /* four clients */
  CHECK(lk_awareness_clock(&a, 1, &clock) && clock == 1 && !lk_awareness_clock(&a, 2, &clock));
  CHECK_OK(apply_one(&a, 2, 1, LK_LIT("\"12345678\""), 0)); /* 22 bytes */
  CHECK_OK(apply_one(&a, 2, 2, LK_LIT("\"12345679\""), 0)); /* in place of the other */
  CHECK_ERR(lk_awareness_set_local(&a, LK_LIT("{ \"a\":1}"), 0), LK_ERR_LIMIT);
  CHECK_ERR(lk_awareness_set_local(&a, LK_LIT("\"123456789\""), 0), LK_ERR_TOO_BIG);
  CHECK_ERR(apply_one(&a, OWN, 5, LK_LIT("123"), 0), LK_ERR_LIMIT);
  CHECK_OK(lk_awareness_set_local(&a, LK_LIT("[]"), 0));
  CHECK_OK(lk_awareness_remove(&a, (uint64_t[]){ OWN }, 1, 0));
  CHECK_OK(apply_one(&a, 3, 1, LK_LIT("1"), 0));
  CHECK_ERR(lk_awareness_set_local(&a, LK_LIT("1"), 0), LK_ERR_LIMIT);
  for (uint64_t i = 0; i < 4; i++) add_entry(&u, 1, 0, LK_LIT("1"));
  CHECK_ERR(apply_at(&a, &u, 0), LK_ERR_LIMIT); /* entries */
  check_sound(&a);
  lk_awareness_deinit(&a);
}

/* ---- time ---- */

TEST(awareness_takes_clients_to_have_gone_after_their_time) {
  lk_awareness a;
  lk_slice state;
  uint64_t clock;
  init(&a, OWN);
  CHECK_OK(apply_one(&a, 2, 5, LK_LIT("1"), 2000));
  CHECK_OK(apply_one(&a, 1, 5, LK_LIT("1"), 2000));
  CHECK_OK(apply_one(&a, 3, 5, LK_LIT("1"), 2001));
  CHECK_U64(lk_awareness_deadline(&a), 16000); /* the own state is renewed */
  CHECK_OK(lk_awareness_tick(&a, 15999));
  check_events(&a, ~0u, LK_LIT(""));
  CHECK_OK(lk_awareness_tick(&a, 16000));
  check_events(&a, RENEWED, LK_LIT("7"));
  CHECK_U64(lk_awareness_deadline(&a), 31000);
  CHECK_OK(lk_awareness_tick(&a, 31999));
  check_events(&a, ~0u, LK_LIT("7"));
  CHECK_OK(lk_awareness_tick(&a, 32000));
  check_events(&a, REMOVED, LK_LIT("2 1"));
  CHECK(!lk_awareness_get(&a, 1, &state) && lk_awareness_get(&a, 3, &state));
  CHECK(lk_awareness_clock(&a, 1, &clock) && clock == 5);
  CHECK_OK(apply_one(&a, 1, 5, LK_LIT("1"), 32000)); /* late: it is known to have gone */
  check_events(&a, ~0u, LK_LIT(""));
  CHECK_OK(apply_one(&a, 1, 6, LK_LIT("1"), 32000));
  check_events(&a, UPDATED, LK_LIT("1"));
  CHECK_OK(lk_awareness_tick(&a, 10)); /* a clock that went back does no harm */
  check_events(&a, ~0u, LK_LIT(""));
  lk_awareness_deinit(&a);
}

/* Goal: 0 and the like are nothing to JavaScript: held, but neither renewed nor defended. */
TEST(awareness_does_not_renew_what_javascript_takes_for_nothing) {
  static const lk_slice states[] = { LK_LIT_INIT("0"), LK_LIT_INIT("false"), LK_LIT_INIT("\"\"") };
  for (size_t i = 0; i < 3; i++) {
    lk_awareness a;
    lk_slice state;
    init(&a, OWN);
    CHECK_OK(lk_awareness_set_local(&a, states[i], 1000));
    CHECK_OK(lk_awareness_tick(&a, 20000));
    check_events(&a, ~0u, LK_LIT(""));
    CHECK(lk_awareness_get(&a, OWN, &state));
    CHECK_SLICE(state, states[i]);
    CHECK_OK(apply_one(&a, OWN, 1, LK_LIT("null"), 20000));
    CHECK(!lk_awareness_get(&a, OWN, &state));
    lk_awareness_deinit(&a);
  }
}

TEST(awareness_forgets_clients_long_after_they_went) {
  lk_awareness a;
  uint64_t clock;
  lk_buf changed;
  init(&a, LK_AWARENESS_NO_CLIENT);
  for (uint64_t i = 1; i <= 9; i++) CHECK_OK(apply_one(&a, i, 1, LK_LIT("1"), i * 1000));
  /* Nobody ticked for long: that they went is told before they are forgotten. */
  CHECK_OK(lk_awareness_tick(&a, 305000));
  check_events(&a, REMOVED, LK_LIT("1 2 3 4 5 6 7 8 9"));
  lk_buf_init(&changed, test_alloc(), 1000);
  CHECK_OK(lk_awareness_encode_changed(&a, &changed));
  lk_buf_deinit(&changed);
  CHECK_U64(lk_awareness_deadline(&a), 301000);
  CHECK_OK(apply_one(&a, 2, 2, LK_LIT("2"), 305000));
  CHECK_OK(apply_one(&a, 8, 2, LK_LIT("2"), 305000));
  CHECK_OK(lk_awareness_tick(&a, 305000));
  CHECK_COVERED(awareness_forgot_a_client);
  for (uint64_t i = 1; i <= 9; i++) {
    CHECK(lk_awareness_clock(&a, i, &clock) == (i == 2 || i == 8 || i > 5));
  }
  check_sound(&a);
  CHECK_U64(lk_awareness_deadline(&a), 306000);
  CHECK_OK(apply_one(&a, 3, 1, LK_LIT("3"), 305000)); /* forgotten: comes last, as new */
  check_events(&a, ADDED, LK_LIT("3"));
  CHECK_OK(lk_awareness_remove(&a, (uint64_t[]){ 8 }, 1, 305000));
  check_sound(&a);
  CHECK_OK(lk_awareness_tick(&a, UINT64_MAX));
  CHECK_OK(lk_awareness_tick(&a, UINT64_MAX));
  CHECK_U64(a.count, 0);
  lk_awareness_deinit(&a);
}

/* Goal: however many come and go, memory is bounded by the limit, and those who stay are not touched. */
TEST(awareness_forgets_clients_that_went_when_there_are_many) {
  lk_limits limits = lk_limits_default();
  lk_awareness a;
  lk_slice state;
  limits.awareness_clients_count = 10;
  CHECK_OK(lk_awareness_init(&a, test_alloc(), &limits, OWN, 0));
  CHECK_OK(lk_awareness_set_local(&a, LK_LIT("null"), 0));
  for (uint64_t i = 100; i < 300; i += 2) {
    update u = { 0 };
    add_entry(&u, 1, i, LK_LIT("1"));
    add_entry(&u, 400 - i, 1, LK_LIT("2"));
    add_entry(&u, i + 1, 1, LK_LIT("null"));
    CHECK_OK(apply_at(&a, &u, 0));
    CHECK_OK(lk_awareness_remove(&a, (uint64_t[]){ 400 - i }, 1, 0));
    check_sound(&a);
    CHECK(a.count <= 2 * 10 + 1);
  }
  CHECK_COVERED(awareness_forgot_a_client);
  CHECK_OK(lk_awareness_set_local(&a, LK_LIT("3"), 0));
  CHECK(lk_awareness_get(&a, 1, &state));
  CHECK_TEXT(state, "1");
  CHECK(lk_awareness_get(&a, OWN, &state));
  CHECK_TEXT(state, "3");
  check_sound(&a);
  lk_awareness_deinit(&a);
}

/* ---- writing and modifying ---- */

TEST(awareness_encodes_only_clients_it_knows) {
  lk_awareness a;
  lk_buf out;
  init(&a, OWN);
  CHECK_OK(apply_one(&a, 1, 5, LK_LIT("1"), 0));
  CHECK_OK(lk_awareness_remove(&a, (uint64_t[]){ 1, 1, 44 }, 3, 0));
  lk_buf_init(&out, test_alloc(), 1000);
  CHECK_OK(lk_buf_append(&out, LK_LIT("x")));
  CHECK_OK(lk_awareness_encode_clients(&a, (uint64_t[]){ 1, OWN, 1 }, 3, &out));
  CHECK_TEXT(lk_buf_slice(&out), "x\x03\x01\x05\x04null\x07\x00\x02{}\x01\x05\x04null");
  CHECK_ERR(lk_awareness_encode_clients(&a, (uint64_t[]){ 1, 2 }, 2, &out), LK_ERR_NOT_FOUND);
  CHECK_U64(out.len, 21);
  lk_buf_deinit(&out);
  for (size_t max = 0; max < 6; max++) {
    lk_buf_init(&out, test_alloc(), max);
    CHECK_ERR(lk_awareness_encode(&a, &out), max < 6 ? LK_ERR_LIMIT : LK_OK);
    CHECK_ERR(lk_awareness_encode_clients(&a, (uint64_t[]){ 1 }, 1, &out), LK_ERR_LIMIT);
    CHECK_ERR(lk_awareness_encode_changed(&a, &out), LK_ERR_LIMIT);
    CHECK_U64(out.len, 0);
    lk_buf_deinit(&out);
  }
  lk_awareness_deinit(&a);
}

static lk_err keep(void *ctx, const lk_awareness_entry *entry, lk_slice *state) {
  (void)ctx;
  CHECK_SLICE(*state, entry->state);
  return LK_OK;
}

static lk_err wrap(void *ctx, const lk_awareness_entry *entry, lk_slice *state) {
  (void)ctx;
  if (lk_slice_equal(entry->state, LK_LIT("null"))) *state = LK_LIT("{ \"gone\" : true }");
  if (lk_slice_equal(entry->state, LK_LIT("0"))) *state = LK_LIT("null");
  return LK_OK;
}

TEST(awareness_updates_are_modified_as_y_protocols_does_it) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_json_member f[] = { VECTORS_FIELD("update"), VECTORS_FIELD("same"), VECTORS_FIELD("wrapped") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("modified"));
  while (vectors_next(&v, f, 3)) {
    lk_buf out;
    lk_slice bytes = vectors_hex(&v, &f[0]);
    lk_buf_init(&out, test_alloc(), 1 << 20);
    CHECK_OK(lk_awareness_update_modify(&env, bytes, keep, NULL, &out));
    CHECK_SLICE(lk_buf_slice(&out), vectors_hex(&v, &f[1]));
    lk_buf_truncate(&out, 0);
    CHECK_OK(lk_awareness_update_modify(&env, bytes, wrap, NULL, &out));
    CHECK_SLICE(lk_buf_slice(&out), vectors_hex(&v, &f[2]));
    lk_buf_deinit(&out);
  }
  vectors_close(&v);
}

static lk_err spoil(void *ctx, const lk_awareness_entry *entry, lk_slice *state) {
  uint64_t *sum = ctx;
  *sum += entry->client;
  if (entry->client == 3) *state = LK_LIT("{");
  return entry->client == 4 ? LK_ERR_RIGHTS : LK_OK;
}

static lk_err sum_up(void *ctx, const lk_awareness_entry *entry) {
  lk_slice state = LK_SLICE_EMPTY;
  return spoil(ctx, entry, &state);
}

TEST(awareness_updates_are_read_and_modified_until_the_first_error) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_buf out;
  uint64_t sum = 0;
  lk_buf_init(&out, test_alloc(), 100);
  CHECK_OK(lk_buf_append(&out, LK_LIT("x")));
  CHECK_OK(lk_awareness_update_read(LK_LIT("\x02\x03\x01\x02{}\x09\x01\x00"), sum_up, &sum));
  CHECK_U64(sum, 12);
  CHECK_ERR(lk_awareness_update_read(LK_LIT("\x02\x04\x01\x00\x09\x01\x00"), sum_up, &sum),
            LK_ERR_RIGHTS);
  CHECK_U64(sum, 16);
  CHECK_ERR(lk_awareness_update_read(LK_LIT("\x01\x09\x01\x00z"), sum_up, &sum), LK_ERR_TRAILING);
  CHECK_ERR(lk_awareness_update_modify(&env,
                                       LK_LIT("\x01\x03\x01\x01"
                                              "1"),
                                       spoil, &sum, &out),
            LK_ERR_TRUNCATED);
  CHECK_ERR(lk_awareness_update_modify(&env,
                                       LK_LIT("\x01\x04\x01\x01"
                                              "1"),
                                       spoil, &sum, &out),
            LK_ERR_RIGHTS);
  CHECK_ERR(lk_awareness_update_modify(&env, LK_LIT("\x01\x05\x01\x01["), spoil, &sum, &out),
            LK_ERR_TRUNCATED);
  CHECK_TEXT(lk_buf_slice(&out), "x");
  lk_buf_deinit(&out);
}

/* ---- much, and failures ---- */

/* Goal: an update with as many clients as the limit allows, in the worst order and with each client twice, takes
 * near-linear time, and so do many small ones. */
TEST(awareness_with_many_clients_is_not_slow) {
  lk_limits limits = lk_limits_default();
  lk_awareness a;
  update u = { 0 };
  limits.awareness_clients_count = 200000;
  CHECK_OK(lk_awareness_init(&a, test_alloc(), &limits, OWN, 0));
  for (uint64_t i = 100000; i > 0; i--) add_entry(&u, 1000 + i, 1, LK_LIT("{\"b\":1,\"a\":2}"));
  for (uint64_t i = 0; i < 100000; i++) {
    add_entry(&u, 1001 + i * 7919 % 100000, 2, LK_LIT("{\"a\":2,\"b\":1}"));
  }
  CHECK_OK(apply_at(&a, &u, 0));
  CHECK_U64(lk_awareness_count(&a), 100001);
  CHECK_U64(a.event_count, 200000);
  check_sound(&a);
  for (uint64_t i = 1; i < 1000; i++) CHECK_OK(apply_one(&a, i, 1, LK_LIT("1"), 0));
  CHECK_OK(lk_awareness_tick(&a, 30000));
  CHECK_U64(lk_awareness_count(&a), 1);
  lk_awareness_deinit(&a);
}

/* One random call; the same for both of two objects. */
static lk_err any_call(lk_awareness *a, uint64_t seed) {
  static const lk_slice states[] = {
    LK_LIT_INIT("null"), LK_LIT_INIT("{\"b\":1,\"1\":2}"), LK_LIT_INIT("{\"1\":2,\"b\":1}"),
    LK_LIT_INIT("0"),    LK_LIT_INIT("[1,2,3]"),
  };
  lk_gen g;
  gen_init_seed(&g, seed);
  uint64_t now = 1000 + seed * 4000;
  update u = { 0 };
  uint64_t id = gen_range(&g, 5, 9);
  lk_slice state = states[gen_below(&g, 5)];
  switch (gen_below(&g, 6)) {
  case 0: return lk_awareness_set_local(a, state, now);
  case 1: return lk_awareness_set_local_field(a, LK_LIT("k"), state, now);
  case 2: return lk_awareness_remove(a, &id, 1, now);
  case 3: return lk_awareness_tick(a, now);
  default: break;
  }
  for (uint32_t n = gen_range(&g, 1, 6); n > 0; n--) {
    add_entry(&u, gen_range(&g, 5, 15), gen_range(&g, 1, 6), states[gen_below(&g, 5)]);
  }
  return apply_at(a, &u, now);
}

/* Goal: whatever allocation fails, nothing but the events has changed.
 * Method: a second object, whose memory never fails, does what succeeded. */
TEST(awareness_is_as_before_after_every_failed_allocation) {
  lk_limits limits = lk_limits_default();
  FAULT_LOOP(faults, test_alloc()) {
    lk_awareness a, shadow;
    lk_err err = lk_awareness_init(&a, faulty_alloc(&faults), &limits, OWN, 0);
    if (err == LK_ERR_NOMEM) {
      lk_awareness_deinit(&a);
      continue;
    }
    CHECK_OK(err);
    CHECK_OK(lk_awareness_init(&shadow, test_alloc(), &limits, OWN, 0));
    for (uint64_t seed = 1; seed < 25; seed++) {
      lk_buf left, right;
      err = any_call(&a, seed);
      if (err != LK_ERR_NOMEM) CHECK_ERR(any_call(&shadow, seed), err);
      else CHECK_U64(a.event_count, 0);
      check_sound(&a);
      CHECK_SLICE(encode_all(&a, &left), encode_all(&shadow, &right));
      CHECK_U64(a.count, shadow.count);
      lk_buf_deinit(&left);
      lk_buf_deinit(&right);
    }
    lk_awareness_deinit(&a);
    lk_awareness_deinit(&shadow);
  }
}

/* Goal: those who hear the same in any order show the same in the end, as long as no client was said to have
 * gone by others. */
PROPERTY(awareness_replicas_that_heard_the_same_show_the_same) {
  lk_awareness a[3];
  lk_buf said[12];
  uint32_t said_count = 0;
  for (uint32_t i = 0; i < 3; i++) init(&a[i], i);
  for (uint32_t n = gen_below(g, 12); n > 0; n--) {
    uint32_t who = gen_below(g, 3);
    lk_slice state = gen_bool(g) ? LK_LIT("{\"x\":1}") : gen_bool(g) ? LK_LIT("null") : LK_LIT("2");
    CHECK_OK(lk_awareness_set_local(&a[who], state, 2000));
    lk_buf_init(&said[said_count], test_alloc(), 1000);
    CHECK_OK(lk_awareness_encode_changed(&a[who], &said[said_count++]));
  }
  for (uint32_t i = 0; i < 3; i++) {
    for (uint32_t n = 0, from = gen_below(g, 13); n < said_count; n++) {
      lk_slice bytes = lk_buf_slice(&said[(from + n) % said_count]);
      CHECK_OK(lk_awareness_apply(&a[i], bytes, 2000));
    }
    check_sound(&a[i]);
  }
  for (uint64_t id = 0; id < 3; id++) {
    lk_slice want = LK_SLICE_EMPTY, got;
    bool shown = lk_awareness_get(&a[id], id, &want);
    uint64_t clock;
    CHECK(lk_awareness_clock(&a[id], id, &clock));
    if (clock == 0) continue; /* nothing was said */
    for (uint32_t i = 0; i < 3; i++) {
      got = LK_SLICE_EMPTY;
      CHECK(lk_awareness_get(&a[i], id, &got) == shown);
      CHECK_SLICE(got, want);
    }
  }
  for (uint32_t i = 0; i < 3; i++) lk_awareness_deinit(&a[i]);
  for (uint32_t i = 0; i < said_count; i++) lk_buf_deinit(&said[i]);
}
