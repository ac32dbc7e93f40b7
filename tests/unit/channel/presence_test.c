/* Presence as its clients see it. What they see is kept by a model of phoenix.js's Presence, below; the real one is
 * asked in tests/conformance/presence. */
#include "channel/presence.h"

#include <stdio.h>

#include "codec/json_reader.h"
#include "crdt/state.h"
#include "harness/test.h"

/* ---- a client ---- */

#define VIEW_MAX 40
#define KEY_MAX 8
#define META_MAX 160

/* One meta: its key, its phx_ref, and all of it. */
typedef struct seen {
  uint8_t key[KEY_MAX];
  size_t key_len;
  uint8_t ref[LK_PRESENCE_REF_LEN];
  uint8_t meta[META_MAX];
  size_t meta_len;
} seen;

typedef struct view {
  bool is_synced; /* has had a state */
  uint32_t count;
  seen metas[VIEW_MAX];
} view;

static seen seen_of(lk_slice key, lk_slice meta, lk_arena *arena, const lk_limits *limits) {
  lk_json_reader in;
  lk_json_member ref = { .name = LK_LIT_INIT("phx_ref") };
  seen s = { .key_len = key.len, .meta_len = meta.len };
  CHECK(key.len <= KEY_MAX && meta.len <= META_MAX);
  if (key.len > 0) memcpy(s.key, key.ptr, key.len);
  memcpy(s.meta, meta.ptr, meta.len);
  CHECK_OK(lk_json_reader_init(&in, meta, limits, arena));
  CHECK_OK(lk_json_read_members(&in, &ref, 1));
  CHECK(ref.value.kind == LK_JSON_STRING && ref.value.text.len == LK_PRESENCE_REF_LEN);
  memcpy(s.ref, ref.value.text.ptr, LK_PRESENCE_REF_LEN);
  return s;
}

/* joins first: a meta that is there already is not there twice. */
static void see_join(view *v, const seen *s) {
  for (uint32_t i = 0; i < v->count; i++) {
    if (memcmp(v->metas[i].ref, s->ref, sizeof s->ref) == 0) {
      v->metas[i] = *s;
      return;
    }
  }
  CHECK(v->count < VIEW_MAX);
  v->metas[v->count++] = *s;
}

static void see_leave(view *v, const seen *s) {
  for (uint32_t i = 0; i < v->count; i++) {
    if (memcmp(v->metas[i].ref, s->ref, sizeof s->ref) != 0) continue;
    v->metas[i] = v->metas[--v->count];
    return;
  }
  test_fail(LK_FILE, __LINE__, "a leave of what was never seen");
}

/* {"key":{"metas":[...]},...} */
static void see_all(view *v, lk_json_reader *in, void (*see)(view *, const seen *),
                    const lk_limits *limits) {
  lk_json_event event;
  lk_slice meta;
  lk_err err;
  CHECK_OK(lk_json_next(in, &event));
  CHECK(event.kind == LK_JSON_OBJECT_BEGIN);
  while (lk_json_next(in, &event) == LK_OK && event.kind == LK_JSON_KEY) {
    lk_slice key = event.text;
    CHECK_OK(lk_json_next(in, &event));
    CHECK_OK(lk_json_next(in, &event));
    CHECK_TEXT(event.text, "metas");
    CHECK_OK(lk_json_next(in, &event));
    uint32_t count = 0;
    while ((err = lk_json_skip_value(in, &meta)) == LK_OK) {
      seen s = seen_of(key, meta, in->arena, limits);
      see(v, &s);
      count++;
    }
    CHECK_ERR(err, LK_ERR_END);
    CHECK(count > 0); /* phoenix.js would keep a key without metas */
    CHECK_OK(lk_json_next(in, &event));
    CHECK_OK(lk_json_next(in, &event));
    CHECK(event.kind == LK_JSON_OBJECT_END);
  }
  CHECK(event.kind == LK_JSON_OBJECT_END);
}

static void see_state(view *v, lk_slice text) {
  lk_limits limits = lk_limits_default();
  lk_json_reader in;
  lk_arena arena;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  CHECK_OK(lk_json_reader_init(&in, text, &limits, &arena));
  v->count = 0;
  v->is_synced = true;
  see_all(v, &in, see_join, &limits);
  CHECK_OK(lk_json_finish(&in));
  lk_arena_deinit(&arena);
}

static void see_diff(view *v, lk_slice text) {
  lk_limits limits = lk_limits_default();
  lk_json_reader in;
  lk_json_event event;
  lk_arena arena;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  CHECK_OK(lk_json_reader_init(&in, text, &limits, &arena));
  CHECK_OK(lk_json_next(&in, &event));
  CHECK_OK(lk_json_next(&in, &event));
  CHECK_TEXT(event.text, "joins");
  see_all(v, &in, see_join, &limits);
  CHECK_OK(lk_json_next(&in, &event));
  CHECK_TEXT(event.text, "leaves");
  see_all(v, &in, see_leave, &limits);
  CHECK_OK(lk_json_next(&in, &event));
  CHECK_OK(lk_json_finish(&in));
  lk_arena_deinit(&arena);
}

/* ---- one node ---- */

typedef struct fixture {
  lk_env env;
  lk_limits limits;
  lk_presence p;
  lk_presence_flush flush;
  uint64_t now;
} fixture;

static lk_err open_node(fixture *f, const lk_alloc *alloc, lk_slice node) {
  *f = (fixture){ .env = LK_ENV_INIT(alloc, NULL), .limits = lk_limits_default() };
  f->now = 1000;
  lk_presence_options options = {
    .env = &f->env, .limits = &f->limits, .node = node, .hash_seed = { 3, 4 }
  };
  return lk_presence_init(&f->p, &options);
}

static void setup(fixture *f) { CHECK_OK(open_node(f, test_alloc(), LK_LIT("n1"))); }

static void join(fixture *f, uint64_t member) { CHECK_OK(lk_presence_join(&f->p, member, f->now)); }
static void track(fixture *f, uint64_t member, const char *key, const char *meta) {
  CHECK_OK(lk_presence_track(&f->p, member, lk_slice_cstr(key), lk_slice_cstr(meta), 7, f->now));
}
static void update(fixture *f, uint64_t member, const char *key, const char *meta) {
  CHECK_OK(lk_presence_update(&f->p, member, lk_slice_cstr(key), lk_slice_cstr(meta), 7, f->now));
}

/* To the end of the window, where there is one. */
static void tick(fixture *f) {
  uint64_t deadline = lk_presence_deadline(&f->p);
  if (deadline != LK_PRESENCE_NEVER) f->now = lk_max_u64(f->now, deadline);
  CHECK_OK(lk_presence_tick(&f->p, f->now, &f->flush));
}

/* The text with each phx_ref made "R<index of it in the order of coming>": what a test can know. */
static lk_slice plain(lk_slice text, lk_buf *out) {
  static uint8_t refs[40][LK_PRESENCE_REF_LEN];
  uint32_t count = 0;
  lk_buf_truncate(out, 0);
  for (size_t at = 0; at < text.len;) {
    lk_slice rest = lk_slice_skip(text, at);
    size_t head = lk_slice_starts_with(rest, LK_LIT("\"phx_ref\":\""))        ? 11
                  : lk_slice_starts_with(rest, LK_LIT("\"phx_ref_prev\":\"")) ? 16
                                                                              : 0;
    lk_buf_append(out, lk_slice_first(rest, head == 0 ? 1 : head));
    at += head == 0 ? 1 : head;
    if (head == 0) continue;
    uint32_t i = 0;
    while (i < count && memcmp(refs[i], text.ptr + at, LK_PRESENCE_REF_LEN) != 0) i++;
    if (i == count) memcpy(refs[count++], text.ptr + at, LK_PRESENCE_REF_LEN);
    lk_buf_append_u8(out, 'R');
    lk_buf_append_decimal(out, i);
    at += LK_PRESENCE_REF_LEN;
  }
  return lk_buf_slice(out);
}

#define CHECK_PLAIN(text, want)                                                                    \
  do {                                                                                             \
    lk_buf plain_;                                                                                 \
    lk_buf_init(&plain_, test_alloc(), 1 << 20);                                                   \
    CHECK_TEXT(plain(text, &plain_), want);                                                        \
    lk_buf_deinit(&plain_);                                                                        \
  } while (0)

static void check_no_flush(fixture *f) {
  tick(f);
  CHECK(f->flush.diff.len == 0 && f->flush.state.len == 0 && f->flush.joiner_count == 0);
}

TEST(who_joins_gets_the_state_and_who_was_there_gets_the_difference) {
  fixture f;
  setup(&f);
  CHECK_U64(lk_presence_deadline(&f.p), LK_PRESENCE_NEVER);
  join(&f, 1);
  track(&f, 1, "u1", "{\"at\":1}");
  CHECK_U64(lk_presence_deadline(&f.p), 1050);
  CHECK_OK(lk_presence_tick(&f.p, 1049, &f.flush));
  CHECK_U64(f.flush.joiner_count, 0);
  tick(&f);
  CHECK_U64(f.flush.joiner_count, 1);
  CHECK_U64(f.flush.joiners[0], 1);
  CHECK_PLAIN(f.flush.state, "{\"u1\":{\"metas\":[{\"at\":1,\"phx_ref\":\"R0\"}]}}");
  CHECK_U64(lk_presence_deadline(&f.p), LK_PRESENCE_NEVER);
  join(&f, 2);
  track(&f, 2, "u2", "{}");
  track(&f, 3, "u1", " { \"at\" : 2 } "); /* shows itself and does not look */
  tick(&f);
  CHECK_U64(f.flush.joiner_count, 1);
  CHECK_U64(f.flush.joiners[0], 2);
  CHECK_PLAIN(f.flush.diff, "{\"joins\":{\"u1\":{\"metas\":[{\"at\":2,\"phx_ref\":\"R0\"}]},"
                            "\"u2\":{\"metas\":[{\"phx_ref\":\"R1\"}]}},\"leaves\":{}}");
  CHECK_PLAIN(f.flush.state, "{\"u1\":{\"metas\":[{\"at\":1,\"phx_ref\":\"R0\"},{\"at\":2,\"phx_"
                             "ref\":\"R1\"}]},\"u2\":{\"metas\":[{\"phx_ref\":\"R2\"}]}}");
  lk_presence_leave(&f.p, 1, f.now);
  lk_presence_leave(&f.p, 2, f.now);
  tick(&f);
  CHECK_PLAIN(f.flush.diff, "{\"joins\":{},\"leaves\":{\"u1\":{\"metas\":[{\"at\":1,\"phx_ref\":"
                            "\"R0\"}]},\"u2\":{\"metas\":[{\"phx_ref\":\"R1\"}]}}}");
  check_no_flush(&f);
  lk_presence_leave(&f.p, 3, f.now);
  CHECK(!lk_presence_is_empty(&f.p)); /* somebody is still to be told */
  tick(&f);
  CHECK(lk_presence_is_empty(&f.p));
  lk_presence_deinit(&f.p);
  lk_presence_deinit(&f.p);
}

TEST(who_came_and_went_in_one_window_is_not_mentioned) {
  fixture f;
  setup(&f);
  join(&f, 1);
  tick(&f);
  CHECK_TEXT(f.flush.state, "{}");
  join(&f, 2);
  track(&f, 2, "u2", "{}");
  track(&f, 3, "u3", "{}");
  CHECK_OK(lk_presence_untrack(&f.p, 3, LK_LIT("u3"), f.now));
  CHECK_OK(lk_presence_untrack(&f.p, 3, LK_LIT("u4"), f.now)); /* never was */
  lk_presence_leave(&f.p, 2, f.now);
  check_no_flush(&f);
  lk_presence_deinit(&f.p);
}

TEST(an_update_is_the_new_meta_among_the_joins_and_the_old_one_among_the_leaves) {
  fixture f;
  setup(&f);
  track(&f, 1, "u1", "{\"at\":1}");
  tick(&f);
  update(&f, 1, "u1", "{\"k\":2}");
  tick(&f);
  CHECK_PLAIN(f.flush.diff,
              "{\"joins\":{\"u1\":{\"metas\":[{\"k\":2,\"phx_ref\":\"R0\",\"phx_ref_prev\":\"R1\"}]"
              "}},\"leaves\":{\"u1\":{\"metas\":[{\"at\":1,\"phx_ref\":\"R1\"}]}}}");
  /* Of two updates in one window only the second is told, and what it follows is what clients know. */
  update(&f, 1, "u1", "{\"k\":3}");
  update(&f, 1, "u1", "{\"k\":4}");
  tick(&f);
  CHECK_PLAIN(
      f.flush.diff,
      "{\"joins\":{\"u1\":{\"metas\":[{\"k\":4,\"phx_ref\":\"R0\",\"phx_ref_prev\":\"R1\"}]"
      "}},\"leaves\":{\"u1\":{\"metas\":[{\"k\":2,\"phx_ref\":\"R1\",\"phx_ref_prev\":\"R2\"}]}}}");
  /* Nobody knows what an update follows whose track was never told. */
  track(&f, 2, "u2", "{}");
  update(&f, 2, "u2", "{\"x\":0}");
  tick(&f);
  CHECK_PLAIN(f.flush.diff,
              "{\"joins\":{\"u2\":{\"metas\":[{\"phx_ref\":\"R0\",\"x\":0}]}},\"leaves\":{}}");
  lk_presence_deinit(&f.p);
}

TEST(one_field_of_what_a_member_shows_is_set_under_all_its_keys) {
  fixture f;
  setup(&f);
  track(&f, 1, "u1", "{\"name\":\"Ada\",\"cursor_pos\":[1],\"x\":{\"cursor_pos\":5}}");
  track(&f, 1, "u2", "{}");
  tick(&f);
  CHECK_OK(lk_presence_set_field(&f.p, 1, LK_LIT("cursor_pos"), LK_LIT("{\"at\":7}"), 99, f.now));
  tick(&f);
  CHECK_PLAIN(f.flush.diff, "{\"joins\":{\"u1\":{\"metas\":[{\"cursor_pos\":{\"at\":7},\"name\":"
                            "\"Ada\",\"phx_ref\":\"R0\","
                            "\"phx_ref_prev\":\"R1\",\"x\":{\"cursor_pos\":5}}]},\"u2\":{\"metas\":"
                            "[{\"cursor_pos\":{\"at\":7},"
                            "\"phx_ref\":\"R2\",\"phx_ref_prev\":\"R3\"}]}},\"leaves\":{\"u1\":{"
                            "\"metas\":[{\"cursor_pos\":[1],"
                            "\"name\":\"Ada\",\"phx_ref\":\"R1\",\"x\":{\"cursor_pos\":5}}]},"
                            "\"u2\":{\"metas\":[{\"phx_ref\":"
                            "\"R3\"}]}}}");
  CHECK_ERR(lk_presence_set_field(&f.p, 2, LK_LIT("cursor_pos"), LK_LIT("1"), 99, f.now),
            LK_ERR_NOT_FOUND);
  CHECK_ERR(lk_presence_set_field(&f.p, 1, LK_LIT("cursor_pos"), LK_LIT("{"), 99, f.now),
            LK_ERR_SYNTAX);
  CHECK_U64(lk_presence_deadline(&f.p), LK_PRESENCE_NEVER);
  lk_presence_deinit(&f.p);
}

/* Lends `a` and `b`. */
static lk_err lend(fixture *f, uint64_t member, const char *a, const char *b) {
  const lk_presence_field fields[] = { { LK_LIT("a"), lk_slice_cstr(a) },
                                       { LK_LIT("b"), lk_slice_cstr(b) } };
  return lk_presence_lend(&f->p, member, fields, 2, 99, f->now);
}

TEST(fields_are_lent_where_a_meta_has_none_of_their_names_and_taken_back) {
  fixture f;
  setup(&f);
  CHECK_OK(lk_presence_join(&f.p, 9, f.now));
  CHECK_ERR(lend(&f, 1, "1", "2"), LK_ERR_NOT_FOUND);
  track(&f, 1, "u1", "{\"a\":\"own\",\"x\":{}}");
  track(&f, 1, "u2", "{}");
  tick(&f);
  CHECK_OK(lend(&f, 1, "1", "2"));
  tick(&f);
  CHECK_PLAIN(f.flush.diff,
              "{\"joins\":{\"u1\":{\"metas\":[{\"a\":\"own\",\"b\":2,\"phx_ref\":\"R0\","
              "\"phx_ref_prev\":\"R1\",\"x\":{}}]},\"u2\":{\"metas\":[{\"a\":1,\"b\":2,"
              "\"phx_ref\":\"R2\",\"phx_ref_prev\":\"R3\"}]}},\"leaves\":{\"u1\":{\"metas\":[{"
              "\"a\":\"own\",\"phx_ref\":\"R1\",\"x\":{}}]},\"u2\":{\"metas\":[{\"phx_ref\":"
              "\"R3\"}]}}}");
  CHECK_OK(lend(&f, 1, "1", "2")); /* the same: nobody is told */
  CHECK_U64(lk_presence_deadline(&f.p), LK_PRESENCE_NEVER);
  /* Other fields stay lent when one is set; its own meta takes the place of all. */
  CHECK_OK(lk_presence_set_field(&f.p, 1, LK_LIT("y"), LK_LIT("0"), 5, f.now));
  CHECK_OK(lend(&f, 1, "", "3"));
  lk_presence_repeat(&f.p, 9, f.now);
  tick(&f);
  CHECK_PLAIN(f.flush.state,
              "{\"u1\":{\"metas\":[{\"a\":\"own\",\"b\":3,\"phx_ref\":\"R0\",\"phx_ref_prev\":"
              "\"R1\",\"x\":{},\"y\":0}]},\"u2\":{\"metas\":[{\"b\":3,\"phx_ref\":\"R2\","
              "\"phx_ref_prev\":\"R3\",\"y\":0}]}}");
  update(&f, 1, "u1", "{\"b\":\"mine\"}");
  CHECK_OK(lend(&f, 1, "4", "4"));
  CHECK_OK(lk_presence_untrack(&f.p, 1, LK_LIT("u2"), f.now));
  lk_presence_repeat(&f.p, 9, f.now);
  tick(&f);
  CHECK_PLAIN(f.flush.state, "{\"u1\":{\"metas\":[{\"a\":4,\"b\":\"mine\",\"phx_ref\":\"R0\","
                             "\"phx_ref_prev\":\"R1\"}]}}");
  CHECK_OK(lend(&f, 1, "", ""));
  tick(&f);
  CHECK_PLAIN(f.flush.diff, "{\"joins\":{\"u1\":{\"metas\":[{\"b\":\"mine\",\"phx_ref\":\"R0\","
                            "\"phx_ref_prev\":\"R1\"}]}},\"leaves\":{\"u1\":{\"metas\":[{\"a\":4,"
                            "\"b\":\"mine\",\"phx_ref\":\"R1\",\"phx_ref_prev\":\"R2\"}]}}}");
  f.limits.presence_meta_bytes = 20;
  CHECK_ERR(lend(&f, 1, "\"01234567890123456789\"", ""), LK_ERR_TOO_BIG);
  CHECK_U64(lk_presence_deadline(&f.p), LK_PRESENCE_NEVER);
  lk_presence_deinit(&f.p);
}

TEST(what_a_member_shows_first_and_who_is_here_can_be_asked) {
  fixture f;
  lk_slice key, meta;
  uint32_t cursor = 0;
  uint64_t member;
  setup(&f);
  track(&f, 5, "u1", "{\"n\":1}");
  track(&f, 5, "u2", "{}");
  CHECK_OK(lk_presence_join(&f.p, 3, f.now));
  CHECK(lk_presence_first_of(&f.p, 5, &key, &meta));
  CHECK_TEXT(key, "u1");
  CHECK(lk_slice_find(meta, LK_LIT("\"n\":1")) != LK_SLICE_NONE);
  CHECK(!lk_presence_first_of(&f.p, 3, &key, &meta) && !lk_presence_first_of(&f.p, 4, &key, &meta));
  CHECK(lk_presence_next_member(&f.p, &cursor, &member) && member == 5);
  CHECK(lk_presence_next_member(&f.p, &cursor, &member) && member == 3);
  CHECK(!lk_presence_next_member(&f.p, &cursor, &member));
  lk_presence_deinit(&f.p);
}

TEST(who_only_shows_itself_waits_for_no_state) {
  fixture f;
  setup(&f);
  CHECK_OK(lk_presence_join(&f.p, 9, f.now));
  tick(&f);
  track(&f, 1, "u1", "{}");
  lk_presence_repeat(&f.p, 1, f.now);
  lk_presence_repeat(&f.p, 9, f.now);
  CHECK_OK(lk_presence_untrack(&f.p, 1, LK_LIT("u1"), f.now)); /* and nothing is left of it */
  tick(&f);
  CHECK(f.flush.joiner_count == 1 && f.flush.joiners[0] == 9);
  CHECK_TEXT(f.flush.state, "{}");
  lk_presence_deinit(&f.p);
}

TEST(metas_are_objects_whose_refs_are_ours) {
  static const struct {
    lk_slice meta;
    lk_err want;
  } cases[] = {
    { LK_LIT_INIT("[]"), LK_ERR_PAYLOAD },
    { LK_LIT_INIT("null"), LK_ERR_PAYLOAD },
    { LK_LIT_INIT(""), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("{\"a\":}"), LK_ERR_SYNTAX },
    { LK_LIT_INIT("{} x"), LK_ERR_TRAILING },
    { LK_LIT_INIT("{\"a\":1,\"a\":2}"), LK_ERR_PAYLOAD },
    { LK_LIT_INIT("{\"a\":\"0123456789\"}"), LK_ERR_TOO_BIG },
  };
  fixture f;
  setup(&f);
  f.limits.presence_meta_bytes = 17;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    test_note("case %zu", i);
    CHECK_ERR(lk_presence_track(&f.p, 1, LK_LIT("u"), cases[i].meta, 1, f.now), cases[i].want);
    CHECK_U64(lk_presence_deadline(&f.p), LK_PRESENCE_NEVER);
    CHECK(lk_presence_is_empty(&f.p));
  }
  CHECK_ERR(lk_presence_track(&f.p, 1, LK_LIT("\xff"), LK_LIT("{}"), 1, f.now), LK_ERR_UTF8);
  CHECK_ERR(lk_presence_update(&f.p, 1, LK_LIT("u"), LK_LIT("{}"), 1, f.now), LK_ERR_NOT_FOUND);
  f.limits.presence_meta_bytes = 100;
  track(&f, 1, "u\"", "{\"phx_ref\":5,\"b\":1.0,\"a\":[ ],\"phx_ref_prev\":\"x\"}");
  CHECK_ERR(lk_presence_track(&f.p, 1, LK_LIT("u\""), LK_LIT("{}"), 1, f.now), LK_ERR_EXISTS);
  track(&f, 1, "", "{}");
  tick(&f);
  CHECK_PLAIN(f.flush.diff, "{\"joins\":{\"\":{\"metas\":[{\"phx_ref\":\"R0\"}]},\"u\\\"\":{"
                            "\"metas\":[{\"a\":[],\"b\":1,\"phx_ref\":\"R1\"}]}},\"leaves\":{}}");
  lk_presence_deinit(&f.p);
}

TEST(metas_keys_and_members_are_bounded) {
  fixture f;
  setup(&f);
  f.limits.presence_metas_count = 4;
  f.limits.presence_key_metas_count = 2;
  f.limits.presence_member_keys_count = 2;
  f.limits.channel_name_bytes = 3;
  track(&f, 1, "a", "{}");
  track(&f, 1, "b", "{}");
  CHECK_ERR(lk_presence_track(&f.p, 1, LK_LIT("c"), LK_LIT("{}"), 1, f.now), LK_ERR_LIMIT);
  track(&f, 2, "a", "{}");
  CHECK_ERR(lk_presence_track(&f.p, 3, LK_LIT("a"), LK_LIT("{}"), 1, f.now), LK_ERR_LIMIT);
  CHECK_ERR(lk_presence_track(&f.p, 3, LK_LIT("aaaa"), LK_LIT("{}"), 1, f.now), LK_ERR_TOO_BIG);
  track(&f, 3, "aaa", "{}");
  CHECK_ERR(lk_presence_track(&f.p, 4, LK_LIT("d"), LK_LIT("{}"), 1, f.now), LK_ERR_LIMIT);
  CHECK_OK(lk_presence_untrack(&f.p, 1, LK_LIT("a"), f.now));
  track(&f, 4, "a", "{}");
  lk_presence_deinit(&f.p);
}

TEST(a_node_needs_a_name_of_its_own) {
  fixture f;
  uint8_t long_name[LK_PRESENCE_NODE_MAX + 1];
  memset(long_name, 'n', sizeof long_name);
  CHECK_ERR(open_node(&f, test_alloc(), LK_LIT("")), LK_ERR_ACTOR);
  CHECK_ERR(open_node(&f, test_alloc(), LK_LIT("\xff")), LK_ERR_ACTOR);
  CHECK_ERR(open_node(&f, test_alloc(), lk_slice_of(long_name, sizeof long_name)), LK_ERR_ACTOR);
  CHECK_OK(open_node(&f, test_alloc(), lk_slice_of(long_name, LK_PRESENCE_NODE_MAX)));
  CHECK_ERR(lk_presence_drop_node(&f.p, lk_slice_of(long_name, LK_PRESENCE_NODE_MAX), 1),
            LK_ERR_INVALID);
  lk_presence_deinit(&f.p);
}

/* Goal: the storm of 1,000 joins within a second is few frames for each, and each hears of each other once.
 * Method: joins evenly over the second; count what each client is sent. */
/* A thousand members join, one every |every_ms|: nobody hears more than |frames_max| frames. */
static void join_thousand(uint32_t every_ms, uint32_t frames_max) {
  enum { CLIENTS = 1000 };
  static uint32_t frames[CLIENTS];
  static uint64_t bytes;
  static bool synced[CLIENTS];
  fixture f;
  setup(&f);
  memset(frames, 0, sizeof frames);
  memset(synced, 0, sizeof synced);
  bytes = 0;
  for (uint32_t ms = 0; ms < CLIENTS * every_ms || lk_presence_deadline(&f.p) != LK_PRESENCE_NEVER;
       ms++) {
    uint32_t i = ms / every_ms;
    f.now = 1000 + ms;
    if (ms % every_ms == 0 && i < CLIENTS) {
      uint8_t key[4] = { 'u', (uint8_t)('0' + i / 100), (uint8_t)('0' + i / 10 % 10),
                         (uint8_t)('0' + i % 10) };
      join(&f, i);
      char meta[32];
      (void)snprintf(meta, sizeof meta, "{\"name\":\"user %u\"}", i);
      CHECK_OK(lk_presence_track(&f.p, i, lk_slice_of(key, 4), lk_slice_cstr(meta), i, f.now));
    }
    CHECK_OK(lk_presence_tick(&f.p, f.now, &f.flush));
    for (uint32_t k = 0; k < CLIENTS && f.flush.diff.len > 0; k++) {
      frames[k] += synced[k];
      if (synced[k]) bytes += f.flush.diff.len;
    }
    for (uint32_t k = 0; k < f.flush.joiner_count; k++) {
      uint64_t member = f.flush.joiners[k];
      CHECK(!synced[member]);
      synced[member] = true;
      frames[member]++;
      bytes += f.flush.state.len;
    }
  }
  for (uint32_t k = 0; k < CLIENTS; k++)
    CHECK(synced[k] && frames[k] >= 1 && frames[k] <= frames_max);
  CHECK(bytes < UINT64_C(60) * 1000 * 1000); /* Phoenix sends 118 MB */
  lk_presence_deinit(&f.p);
}

TEST(a_thousand_joins_are_few_frames_and_each_meta_once) { join_thousand(1, 8); }

/* 140 and 60 a second: too few in each window for its size to tell, but each is told to hundreds. */
TEST(a_thousand_joins_are_few_frames_also_where_they_take_their_time) {
  join_thousand(7, 20);
  join_thousand(17, 40);
}

TEST(windows_grow_while_a_topic_is_busy_and_are_short_again_when_it_was_quiet) {
  fixture f;
  setup(&f);
  uint64_t member = 1;
  static const uint32_t want[] = { 50, 100, 200, 400, 800, 1000, 1000 };
  for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
    uint64_t start = f.now;
    for (uint32_t k = 0; k < LK_PRESENCE_BUSY_COUNT; k++) track(&f, member++, "u", "{}");
    CHECK_U64(lk_presence_deadline(&f.p) - start, want[i]);
    tick(&f);
  }
  track(&f, member++, "u", "{}");
  CHECK_U64(lk_presence_deadline(&f.p) - f.now, 1000);
  tick(&f); /* one change is not busy */
  track(&f, member++, "u", "{}");
  CHECK_U64(lk_presence_deadline(&f.p) - f.now, 50);
  for (uint32_t k = 0; k < LK_PRESENCE_BUSY_COUNT; k++) track(&f, member++, "u", "{}");
  tick(&f);
  f.now += 101; /* quiet for longer than the window would be */
  track(&f, member++, "u", "{}");
  CHECK_U64(lk_presence_deadline(&f.p) - f.now, 50);
  lk_presence_deinit(&f.p);
}

/* ---- clients of one node, under anything ---- */

#define MEMBERS 12

typedef struct shown_by_model {
  bool there;
  uint32_t number; /* in its meta */
} shown_by_model;

typedef struct world {
  fixture f;
  uint64_t ids[MEMBERS]; /* 0: not here */
  view views[MEMBERS];
  shown_by_model shown[MEMBERS][3];
  uint64_t next_id;
  uint32_t next_number;
} world;

static const char *const keys[3] = { "a", "ab", "\xc3\xa9\"" };

static lk_slice meta_of(uint32_t number, lk_buf *buf) {
  lk_buf_truncate(buf, 0);
  lk_buf_append(buf, LK_LIT("{\"n\":"));
  lk_buf_append_decimal(buf, number);
  lk_buf_append(buf, LK_LIT("}"));
  return lk_buf_slice(buf);
}

static void change_member(world *w, lk_gen *g, uint32_t who, lk_buf *buf) {
  lk_presence *p = &w->f.p;
  uint32_t key = gen_below(g, 3), choice = gen_below(g, 8);
  shown_by_model *s = &w->shown[who][key];
  lk_slice name = lk_slice_cstr(keys[key]);
  if (w->ids[who] == 0) {
    w->ids[who] = w->next_id++;
    w->views[who].is_synced = false;
    if (choice > 0) (void)!lk_presence_join(p, w->ids[who], w->f.now);
  } else if (choice < 2) {
    lk_presence_leave(p, w->ids[who], w->f.now);
    w->ids[who] = 0;
    memset(w->shown[who], 0, sizeof w->shown[who]);
  } else if (choice < 3) {
    if (lk_presence_untrack(p, w->ids[who], name, w->f.now) == LK_OK) s->there = false;
  } else {
    uint32_t number = w->next_number++;
    lk_err err =
        s->there
            ? lk_presence_update(p, w->ids[who], name, meta_of(number, buf), gen_u64(g), w->f.now)
            : lk_presence_track(p, w->ids[who], name, meta_of(number, buf), gen_u64(g), w->f.now);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (err == LK_OK) *s = (shown_by_model){ true, number };
  }
}

/* Sends what a flush gave, as a host does. */
static void deliver(world *w) {
  const lk_presence_flush *flush = &w->f.flush;
  for (uint32_t i = 0; i < MEMBERS; i++) {
    if (w->ids[i] != 0 && w->views[i].is_synced && flush->diff.len > 0)
      see_diff(&w->views[i], flush->diff);
    for (uint32_t k = 0; k < flush->joiner_count; k++) {
      if (w->ids[i] == flush->joiners[k]) see_state(&w->views[i], flush->state);
    }
  }
}

static bool view_has(const view *v, lk_slice key, uint32_t number) {
  for (uint32_t i = 0; i < v->count; i++) {
    const seen *s = &v->metas[i];
    lk_slice rest = lk_slice_of(s->meta, s->meta_len);
    if (!lk_slice_equal(lk_slice_of(s->key, s->key_len), key)) continue;
    if (!lk_slice_starts_with(rest, LK_LIT("{\"n\":"))) continue;
    uint32_t got = 0;
    for (rest = lk_slice_skip(rest, 5); rest.ptr[0] != ','; rest = lk_slice_skip(rest, 1)) {
      got = got * 10 + (uint32_t)(rest.ptr[0] - '0');
    }
    if (got == number) return true;
  }
  return false;
}

static void check_views(const world *w) {
  uint32_t total = 0;
  for (uint32_t m = 0; m < MEMBERS; m++) {
    for (uint32_t k = 0; k < 3; k++) total += w->shown[m][k].there;
  }
  for (uint32_t i = 0; i < MEMBERS; i++) {
    if (w->ids[i] == 0 || !w->views[i].is_synced) continue;
    CHECK_U64(w->views[i].count, total);
    for (uint32_t m = 0; m < MEMBERS; m++) {
      for (uint32_t k = 0; k < 3; k++) {
        const shown_by_model *s = &w->shown[m][k];
        if (s->there) CHECK(view_has(&w->views[i], lk_slice_cstr(keys[k]), s->number));
      }
    }
  }
}

/* Goal: after each flush every client that has had a state sees exactly what is there.
 * Method: random joins, leaves, tracks, updates; a model of what is there; each client a view that only frames change. */
PROPERTY_SLOW(clients_see_what_is_there, 4) {
  static world w;
  lk_buf buf;
  w = (world){ .next_id = 1 };
  setup(&w.f);
  lk_buf_init(&buf, test_alloc(), 100);
  for (uint32_t turns = gen_below(g, 60); turns > 0; turns--) {
    for (uint32_t changes = gen_below(g, 8); changes > 0; changes--) {
      change_member(&w, g, gen_below(g, MEMBERS), &buf);
      w.f.now += gen_below(g, 3);
    }
    tick(&w.f);
    deliver(&w);
    check_views(&w);
  }
  lk_buf_deinit(&buf);
  lk_presence_deinit(&w.f.p);
}

/* Goal: no failing allocation loses anything: what was refused is not there, what was accepted is told in the end.
 * Method: the same world with one failure, or all from there on; then memory comes back. */
TEST(presence_without_memory_catches_up_when_there_is_some) {
  static world w;
  FAULT_LOOP(faults, test_alloc()) {
    lk_gen g;
    lk_buf buf;
    gen_init_seed(&g, 5);
    w = (world){ .next_id = 1 };
    lk_err err = open_node(&w.f, faulty_alloc(&faults), LK_LIT("n1"));
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (err != LK_OK) {
      lk_presence_deinit(&w.f.p);
      continue;
    }
    lk_buf_init(&buf, test_alloc(), 100);
    for (uint32_t turns = 0; turns < 3; turns++) {
      for (uint32_t i = 0; i < 6; i++) {
        uint32_t who = gen_below(&g, 3);
        change_member(&w, &g, who, &buf); /* whose join was refused never hears anything */
      }
      uint64_t deadline = lk_presence_deadline(&w.f.p);
      if (deadline != LK_PRESENCE_NEVER) w.f.now = lk_max_u64(w.f.now, deadline);
      err = lk_presence_tick(&w.f.p, w.f.now, &w.f.flush);
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      if (err != LK_OK)
        CHECK(lk_presence_deadline(&w.f.p) > w.f.now && w.f.flush.joiner_count == 0);
      deliver(&w);
      if (err == LK_OK && lk_presence_deadline(&w.f.p) == LK_PRESENCE_NEVER) check_views(&w);
    }
    uint64_t failing = faults.fail_at;
    faults.fail_at = 0;
    lk_presence_leave(&w.f.p, UINT64_MAX, w.f.now); /* never came */
    join(&w.f, UINT64_MAX - 1);
    tick(&w.f);
    deliver(&w);
    check_views(&w);
    faults.fail_at = failing; /* the loop goes on from there */
    lk_buf_deinit(&buf);
    lk_presence_deinit(&w.f.p);
  }
  CHECK_COVERED(presence_flush_was_put_off);
  CHECK_COVERED(presence_leave_was_put_off);
}

/* ---- several nodes ---- */

#define NODES 3

/* |to| gets from |from| what it lacks. */
static void sync(fixture *to, fixture *from) {
  lk_buf version, delta;
  lk_buf_init(&version, test_alloc(), 1 << 20);
  lk_buf_init(&delta, test_alloc(), 1 << 20);
  CHECK_OK(lk_presence_version(&to->p, &version));
  CHECK_OK(lk_presence_diff_since(&from->p, lk_buf_slice(&version), &delta));
  CHECK_OK(lk_presence_merge(&to->p, lk_buf_slice(&delta), to->now));
  lk_buf_deinit(&version);
  lk_buf_deinit(&delta);
}

static void pass_delta(fixture *from, fixture *to) {
  lk_buf delta;
  lk_buf_init(&delta, test_alloc(), 1 << 20);
  if (lk_presence_take_delta(&from->p, &delta) == LK_OK) {
    CHECK_OK(lk_presence_merge(&to->p, lk_buf_slice(&delta), to->now));
  }
  lk_buf_deinit(&delta);
}

TEST(nodes_show_each_others_members_and_what_a_lost_one_showed_goes) {
  fixture a, b;
  lk_buf delta;
  CHECK_OK(open_node(&a, test_alloc(), LK_LIT("a")));
  CHECK_OK(open_node(&b, test_alloc(), LK_LIT("b")));
  lk_buf_init(&delta, test_alloc(), 1 << 20);
  CHECK_ERR(lk_presence_take_delta(&a.p, &delta), LK_ERR_END);
  track(&a, 1, "u", "{\"of\":\"a\"}");
  track(&b, 1, "u", "{\"of\":\"b\"}");
  pass_delta(&a, &b);
  CHECK_ERR(lk_presence_take_delta(&a.p, &delta), LK_ERR_END);
  tick(&b);
  CHECK_PLAIN(b.flush.diff,
              "{\"joins\":{\"u\":{\"metas\":[{\"of\":\"a\",\"phx_ref\":\"R0\"},{\"of\":"
              "\"b\",\"phx_ref\":\"R1\"}]}},\"leaves\":{}}");
  tick(&a);
  pass_delta(&b, &a);
  /* What came from there is no news to take back. */
  CHECK_ERR(lk_presence_take_delta(&a.p, &delta), LK_ERR_END);
  tick(&a);
  CHECK_PLAIN(a.flush.diff,
              "{\"joins\":{\"u\":{\"metas\":[{\"of\":\"b\",\"phx_ref\":\"R0\"}]}},\"leaves\":{}}");
  CHECK_OK(lk_presence_drop_node(&b.p, LK_LIT("a"), b.now));
  CHECK_OK(lk_presence_drop_node(&b.p, LK_LIT("c"), b.now));
  tick(&b);
  CHECK_PLAIN(b.flush.diff,
              "{\"joins\":{},\"leaves\":{\"u\":{\"metas\":[{\"of\":\"a\",\"phx_ref\":\"R0\"}]}}}");
  /* It was not lost. Its own clients see nothing of it, those of the other see it again. */
  pass_delta(&b, &a);
  check_no_flush(&a);
  CHECK_COVERED(presence_showed_again_what_others_dropped);
  pass_delta(&a, &b);
  tick(&b);
  CHECK_PLAIN(b.flush.diff,
              "{\"joins\":{\"u\":{\"metas\":[{\"of\":\"a\",\"phx_ref\":\"R0\"}]}},\"leaves\":{}}");
  lk_buf_deinit(&delta);
  lk_presence_deinit(&a.p);
  lk_presence_deinit(&b.p);
}

/* Goal: a node passes on its own changes and not what it heard, and only the node that is lost goes.
 * Method: what |a| heard from |bb| does not reach |c| through it; then |b|, whose name |bb| begins with, is dropped. */
TEST(a_delta_has_ones_own_changes_and_a_name_is_compared_whole) {
  fixture a, bb, c;
  CHECK_OK(open_node(&a, test_alloc(), LK_LIT("a")));
  CHECK_OK(open_node(&bb, test_alloc(), LK_LIT("bb")));
  CHECK_OK(open_node(&c, test_alloc(), LK_LIT("c")));
  track(&bb, 1, "u", "{}");
  pass_delta(&bb, &a);
  track(&a, 1, "v", "{}");
  pass_delta(&a, &c);
  tick(&c);
  CHECK_PLAIN(c.flush.diff, "{\"joins\":{\"v\":{\"metas\":[{\"phx_ref\":\"R0\"}]}},\"leaves\":{}}");
  tick(&a);
  CHECK_OK(lk_presence_drop_node(&a.p, LK_LIT("b"), a.now));
  check_no_flush(&a);
  lk_presence_deinit(&a.p);
  lk_presence_deinit(&bb.p);
  lk_presence_deinit(&c.p);
}

/* Goal: no delta makes a node tell its clients what they cannot use. */
TEST(what_is_no_presence_is_merged_and_not_shown) {
  static const char *const values[] = { "5", "{}", "{\"phx_ref\":5}", "[\"phx_ref\"]" };
  fixture f;
  lk_crdt *other;
  lk_buf delta, path;
  setup(&f);
  CHECK_OK(lk_crdt_open(&f.env, LK_CRDT_ORMAP, &other));
  lk_buf_init(&delta, test_alloc(), 1 << 20);
  lk_buf_init(&path, test_alloc(), 1000);
  for (size_t i = 0; i < 6; i++) {
    lk_buf_truncate(&path, 0);
    CHECK_OK(lk_crdt_path_append(&path, i == 5 ? LK_CRDT_MVREG : LK_CRDT_ORMAP, LK_LIT("k")));
    if (i < 5)
      CHECK_OK(
          lk_crdt_path_append(&path, i == 4 ? LK_CRDT_LWW : LK_CRDT_MVREG, lk_slice_of(&i, 0)));
    lk_crdt_op op = { .actor = LK_LIT("x"), .at = lk_buf_slice(&path), .now_ms = 1 };
    if (i == 4) CHECK_OK(lk_lww_set(other, &op, LK_LIT("{\"phx_ref\":\"r\"}")));
    else
      CHECK_OK(lk_mvreg_set(other, &op,
                            i == 5 ? LK_LIT("{\"phx_ref\":\"r\"}") : lk_slice_cstr(values[i])));
    lk_buf_truncate(&delta, 0);
    CHECK_OK(lk_crdt_encode(other, &delta));
    CHECK_OK(lk_presence_merge(&f.p, lk_buf_slice(&delta), f.now));
    check_no_flush(&f);
  }
  CHECK_ERR(lk_presence_merge(&f.p, LK_LIT("junk"), f.now), LK_ERR_UNKNOWN_TYPE);
  lk_crdt_close(other);
  lk_buf_deinit(&delta);
  lk_buf_deinit(&path);
  lk_presence_deinit(&f.p);
}

static void read_state(fixture *f, uint64_t member, lk_buf *out) {
  join(f, member);
  tick(f);
  CHECK_U64(f->flush.joiner_count, 1);
  lk_buf_truncate(out, 0);
  CHECK_OK(lk_buf_append(out, f->flush.state));
  lk_presence_leave(&f->p, member, f->now);
}

/* Goal: nodes that heard of the same show the same, whatever was delivered when, lost or twice, and whoever was thought
 * lost meanwhile; and every node shows what its own members show. */
PROPERTY_SLOW(nodes_converge, 10) {
  static world worlds[NODES];
  static const char *const names[NODES] = { "n", "nn", "m" };
  lk_buf buf, states[NODES];
  lk_buf_init(&buf, test_alloc(), 100);
  for (uint32_t i = 0; i < NODES; i++) {
    worlds[i] = (world){ .next_id = 1, .next_number = i * 10000 };
    CHECK_OK(open_node(&worlds[i].f, test_alloc(), lk_slice_cstr(names[i])));
    lk_buf_init(&states[i], test_alloc(), 1 << 20);
  }
  for (uint32_t turns = gen_below(g, 80); turns > 0; turns--) {
    uint32_t i = gen_below(g, NODES), k = gen_below(g, NODES);
    switch (gen_below(g, 8)) {
    case 0: sync(&worlds[i].f, &worlds[k].f); break;
    case 1: pass_delta(&worlds[i].f, &worlds[k].f); break; /* the third one misses it */
    case 2:
      if (i != k)
        CHECK_OK(lk_presence_drop_node(&worlds[i].f.p, lk_slice_cstr(names[k]), worlds[i].f.now));
      break;
    case 3: tick(&worlds[i].f); break;
    default: change_member(&worlds[i], g, gen_below(g, 4), &buf); break;
    }
  }
  /* Twice: what was dropped is shown again by the first ticks. */
  for (uint32_t round = 0; round < 3; round++) {
    for (uint32_t i = 0; i < NODES; i++) {
      for (uint32_t k = 0; k < NODES; k++) {
        if (i != k) sync(&worlds[i].f, &worlds[k].f);
      }
    }
    for (uint32_t i = 0; i < NODES; i++) tick(&worlds[i].f);
  }
  uint32_t total = 0;
  for (uint32_t i = 0; i < NODES; i++) {
    read_state(&worlds[i].f, 1000000, &states[i]);
    CHECK_SLICE(lk_buf_slice(&states[i]), lk_buf_slice(&states[0]));
    for (uint32_t m = 0; m < MEMBERS; m++) {
      for (uint32_t k = 0; k < 3; k++) total += worlds[i].shown[m][k].there;
    }
  }
  static view all;
  see_state(&all, lk_buf_slice(&states[0]));
  CHECK_U64(all.count, total);
  for (uint32_t i = 0; i < NODES; i++) {
    for (uint32_t m = 0; m < MEMBERS; m++) {
      for (uint32_t k = 0; k < 3; k++) {
        const shown_by_model *s = &worlds[i].shown[m][k];
        if (s->there) CHECK(view_has(&all, lk_slice_cstr(keys[k]), s->number));
      }
    }
    lk_presence_deinit(&worlds[i].f.p);
    lk_buf_deinit(&states[i]);
  }
  lk_buf_deinit(&buf);
}

/* Goal: the calls between nodes fail whole, too. */
TEST(exchanging_without_memory_loses_nothing) {
  FAULT_LOOP(faults, test_alloc()) {
    fixture a, b;
    lk_buf delta;
    if (open_node(&a, faulty_alloc(&faults), LK_LIT("a")) != LK_OK) continue;
    CHECK_OK(open_node(&b, test_alloc(), LK_LIT("b")));
    lk_buf_init(&delta, test_alloc(), 1 << 20);
    track(&b, 1, "u", "{\"of\":\"b\"}");
    CHECK_OK(lk_presence_take_delta(&b.p, &delta));
    lk_err err = lk_presence_merge(&a.p, lk_buf_slice(&delta), a.now);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (err != LK_OK) CHECK_U64(lk_presence_deadline(&a.p), LK_PRESENCE_NEVER);
    bool is_shown = lk_presence_track(&a.p, 1, LK_LIT("u"), LK_LIT("{}"), 1, a.now) == LK_OK;
    lk_buf_truncate(&delta, 0);
    err = lk_presence_take_delta(&a.p, &delta);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM || err == LK_ERR_END);
    if (err != LK_OK) CHECK_U64(delta.len, 0);
    err = lk_presence_drop_node(&a.p, LK_LIT("b"), a.now);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    uint64_t failing = faults.fail_at;
    faults.fail_at = 0;
    CHECK_OK(lk_presence_drop_node(&a.p, LK_LIT("b"), a.now));
    sync(&b, &a);
    tick(&b); /* and shows its own again */
    sync(&a, &b);
    CHECK_U64(lk_crdt_get_size(a.p.state).entries, 1 + is_shown);
    CHECK_U64(lk_crdt_get_size(b.p.state).entries, 1 + is_shown);
    faults.fail_at = failing;
    lk_buf_deinit(&delta);
    lk_presence_deinit(&a.p);
    lk_presence_deinit(&b.p);
  }
}
