/* Goal: a document is seen as it was, changes are told to those who made them, and positions stay with their text.
 * Method: vectors of real Yjs (tools/gen_vectors_doc_history.mjs) for bytes and deltas; documents by hand for what
 * comparisons say; every allocation failed once; bytes that no Yjs writes. */
#include "laniakea/doc_history.h"

#include "codec/varint.h"
#include "doc/history.h"
#include "unit/codec/vectors.h"

#define PATH "tests/vectors/doc_history.json"

/* ---- documents ---- */

typedef struct replica {
  lk_alloc alloc;
  lk_env env;
  lk_doc *doc;
  lk_node text, map, list;
  lk_buf out;
} replica;

static lk_err open_with(replica *r, const lk_alloc *alloc, uint64_t client, bool keep) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = client;
  options.keep_deleted = keep;
  *r = (replica){ .alloc = *alloc };
  r->env = (lk_env)LK_ENV_INIT(&r->alloc, NULL);
  lk_buf_init(&r->out, &r->alloc, 1 << 20);
  return lk_doc_open(&r->env, &options, &r->doc);
}

static void open_roots(replica *r) {
  CHECK_OK(lk_doc_root(r->doc, LK_LIT("t"), LK_NODE_TEXT, &r->text));
  CHECK_OK(lk_doc_root(r->doc, LK_LIT("m"), LK_NODE_MAP, &r->map));
  CHECK_OK(lk_doc_root(r->doc, LK_LIT("a"), LK_NODE_ARRAY, &r->list));
}

static void open_replica(replica *r, uint64_t client) {
  CHECK_OK(open_with(r, test_alloc(), client, true));
  open_roots(r);
}

static void open_collecting(replica *r, uint64_t client) {
  CHECK_OK(open_with(r, test_alloc(), client, false));
  open_roots(r);
}

static void close_replica(replica *r) {
  lk_doc_close(r->doc);
  lk_buf_deinit(&r->out);
}

static void insert(replica *r, uint64_t index, const char *utf8) {
  CHECK_OK(lk_doc_text_insert(r->doc, r->text, index, lk_slice_cstr(utf8), NULL));
}

static void cut(replica *r, uint64_t index, uint64_t length) {
  CHECK_OK(lk_doc_text_delete(r->doc, r->text, index, length));
}

static lk_value number(double value) {
  return (lk_value){ .kind = LK_VALUE_NUMBER, .number = value };
}

static void set(replica *r, const char *key, double value) {
  lk_value v = number(value);
  CHECK_OK(lk_doc_map_set(r->doc, r->map, lk_slice_cstr(key), &v));
}

static void bold(replica *r, uint64_t index, uint64_t length, bool on) {
  lk_attribute attribute = { LK_LIT("bold"),
                             { .kind = on ? LK_VALUE_BOOL : LK_VALUE_NULL, .boolean = on } };
  lk_attributes attributes = { &attribute, 1 };
  CHECK_OK(lk_doc_text_format(r->doc, r->text, index, length, &attributes));
}

static void mark(replica *r, uint64_t index, uint64_t length, const char *key, double value) {
  lk_attribute attribute = { lk_slice_cstr(key), number(value) };
  lk_attributes attributes = { &attribute, 1 };
  CHECK_OK(lk_doc_text_format(r->doc, r->text, index, length, &attributes));
}

/* What is made of it goes into memory of the test. */
static lk_buf snapshot_of(replica *r, lk_update_format format) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 20);
  CHECK_OK(lk_doc_snapshot(r->doc, format, &out));
  return out;
}

static lk_buf version_of(replica *r) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 20);
  CHECK_OK(lk_doc_encode(r->doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &out));
  return out;
}

/* |to| receives all that |from| has. */
static void send(replica *from, replica *to) {
  lk_buf update = version_of(from);
  CHECK_OK(lk_doc_apply(to->doc, LK_UPDATE_V1, lk_buf_slice(&update), 0));
  lk_buf_deinit(&update);
}

static void load(replica *r, vectors *v, const lk_json_member *update) {
  CHECK_OK(open_with(r, test_alloc(), 99, true));
  CHECK_OK(lk_doc_apply(r->doc, LK_UPDATE_V1, vectors_hex(v, update), 0));
}

static lk_node root_of(replica *r, lk_slice name) {
  lk_node node;
  CHECK_OK(lk_doc_root(r->doc, name, LK_NODE_UNKNOWN, &node));
  return node;
}

/* ---- snapshots ---- */

TEST(snapshots_are_the_bytes_of_yjs) {
  lk_json_member f[] = { VECTORS_FIELD("update"), VECTORS_FIELD("v1"), VECTORS_FIELD("v2") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("snapshot"));
  while (vectors_next(&v, f, 3)) {
    replica r;
    load(&r, &v, &f[0]);
    for (size_t i = 1; i <= 2; i++) {
      lk_buf got = snapshot_of(&r, (lk_update_format)i);
      CHECK_SLICE(lk_buf_slice(&got), vectors_hex(&v, &f[i]));
      lk_buf_deinit(&got);
    }
    close_replica(&r);
  }
  vectors_close(&v);
}

static void check_at(replica *r, lk_update_format format, lk_slice snapshot, lk_update_format to,
                     lk_slice expected) {
  replica old;
  lk_buf_truncate(&r->out, 0);
  CHECK_OK(lk_doc_at_snapshot(r->doc, format, snapshot, to, &r->out));
  CHECK_OK(open_with(&old, test_alloc(), 7, true));
  CHECK_OK(lk_doc_apply(old.doc, to, lk_buf_slice(&r->out), 0));
  lk_buf state = version_of(&old);
  CHECK_SLICE(lk_buf_slice(&state), expected);
  lk_buf_deinit(&state);
  close_replica(&old);
}

TEST(a_document_at_a_snapshot_is_the_one_that_yjs_makes) {
  lk_json_member f[] = { VECTORS_FIELD("update"), VECTORS_FIELD("format"),
                         VECTORS_FIELD("snapshot"), VECTORS_FIELD("out") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("at"));
  while (vectors_next(&v, f, 4)) {
    replica r;
    load(&r, &v, &f[0]);
    lk_buf before = version_of(&r);
    lk_update_format format = (lk_update_format)vectors_u64(&f[1]);
    check_at(&r, format, vectors_hex(&v, &f[2]), LK_UPDATE_V1, vectors_hex(&v, &f[3]));
    check_at(&r, format, vectors_hex(&v, &f[2]), LK_UPDATE_V2, vectors_hex(&v, &f[3]));
    lk_buf after = version_of(&r);
    CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
    lk_buf_deinit(&before);
    lk_buf_deinit(&after);
    close_replica(&r);
  }
  vectors_close(&v);
}

TEST(text_deltas_at_snapshots_are_those_of_yjs) {
  lk_json_member f[] = { VECTORS_FIELD("update"), VECTORS_FIELD("format"),
                         VECTORS_FIELD("snapshot"), VECTORS_FIELD("before"), VECTORS_FIELD("out") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("delta"));
  while (vectors_next(&v, f, 5)) {
    replica r;
    load(&r, &v, &f[0]);
    lk_slice before = vectors_hex(&v, &f[3]);
    CHECK_OK(lk_doc_text_delta_at(r.doc, root_of(&r, LK_LIT("t")),
                                  (lk_update_format)vectors_u64(&f[1]), vectors_hex(&v, &f[2]),
                                  before, &r.out));
    CHECK_SLICE(lk_buf_slice(&r.out), vectors_text(&f[4]));
    close_replica(&r);
  }
  vectors_close(&v);
}

TEST(a_text_of_now_is_told_without_a_snapshot) {
  replica r;
  open_replica(&r, 5);
  insert(&r, 0, "abc");
  lk_buf before = snapshot_of(&r, LK_UPDATE_V1);
  cut(&r, 1, 1);
  insert(&r, 2, "d");
  CHECK_OK(
      lk_doc_text_delta_at(r.doc, r.text, LK_UPDATE_V1, LK_SLICE_EMPTY, LK_SLICE_EMPTY, &r.out));
  CHECK_TEXT(lk_buf_slice(&r.out), "[{\"insert\":\"acd\"}]");
  lk_buf_truncate(&r.out, 0);
  CHECK_OK(lk_doc_text_delta_at(r.doc, r.text, LK_UPDATE_V1, LK_SLICE_EMPTY, lk_buf_slice(&before),
                                &r.out));
  CHECK_TEXT(lk_buf_slice(&r.out), "[{\"insert\":\"a\"},{\"insert\":\"b\",\"attributes\":{"
                                   "\"ychange\":{\"type\":\"removed\",\"client\":5}}},"
                                   "{\"insert\":\"c\"},{\"insert\":\"d\",\"attributes\":{"
                                   "\"ychange\":{\"type\":\"added\",\"client\":5}}}]");
  lk_buf_deinit(&before);
  close_replica(&r);
}

TEST(a_snapshot_may_delete_what_this_document_shows) {
  replica r;
  open_replica(&r, 5);
  insert(&r, 0, "abcdef");
  CHECK_OK(lk_doc_text_delta_at(r.doc, r.text, LK_UPDATE_V1,
                                LK_LIT("\x01\x05\x02\x01\x02\x04\x01\x01\x05\x06"),
                                LK_LIT("\x00\x01\x05\x06"), &r.out));
  CHECK_TEXT(lk_buf_slice(&r.out), "[{\"insert\":\"a\"},{\"insert\":\"bc\",\"attributes\":{"
                                   "\"ychange\":{\"type\":\"removed\",\"client\":5}}},"
                                   "{\"insert\":\"d\"},{\"insert\":\"e\",\"attributes\":{"
                                   "\"ychange\":{\"type\":\"removed\",\"client\":5}}},"
                                   "{\"insert\":\"f\"}]");
  close_replica(&r);
}

TEST(keys_that_are_numbers_come_first_as_in_javascript) {
  static const char *const keys[] = { "b", "5", "7", "6" };
  replica r;
  open_replica(&r, 5);
  insert(&r, 0, "a");
  for (size_t i = 0; i < 4; i++) mark(&r, 0, 1, keys[i], (double)i);
  CHECK_OK(
      lk_doc_text_delta_at(r.doc, r.text, LK_UPDATE_V1, LK_SLICE_EMPTY, LK_SLICE_EMPTY, &r.out));
  CHECK_TEXT(lk_buf_slice(&r.out),
             "[{\"insert\":\"a\",\"attributes\":{\"5\":1,\"6\":3,\"7\":2,\"b\":0}}]");
  close_replica(&r);
}

/* Yjs takes a document's own "ychange" for a mark of its own: off text, and on an embed. */
TEST(a_key_ychange_of_the_documents_own_gives_way) {
  replica r;
  lk_value embed = number(7);
  lk_attribute own = { LK_LIT("ychange"), number(1) };
  lk_attributes attributes = { &own, 1 };
  open_replica(&r, 5);
  lk_buf before = snapshot_of(&r, LK_UPDATE_V1);
  insert(&r, 0, "a");
  CHECK_OK(lk_doc_text_insert_embed(r.doc, r.text, 1, &embed, &attributes));
  CHECK_OK(lk_doc_text_insert(r.doc, r.text, 2, LK_LIT("b"), &attributes));
  CHECK_OK(lk_doc_text_delta_at(r.doc, r.text, LK_UPDATE_V1, LK_SLICE_EMPTY, lk_buf_slice(&before),
                                &r.out));
  CHECK_TEXT(lk_buf_slice(&r.out),
             "[{\"insert\":\"a\",\"attributes\":{\"ychange\":{\"type\":\"added\",\"client\":5}}},"
             "{\"insert\":7,\"attributes\":{\"ychange\":1}},"
             "{\"insert\":\"b\",\"attributes\":{\"ychange\":{\"type\":\"added\",\"client\":5}}}]");
  lk_buf_deinit(&before);
  close_replica(&r);
}

/* Its client is known here by then, but has written nothing. */
TEST(what_waits_for_others_is_not_in_a_snapshot) {
  replica r;
  open_replica(&r, 5);
  /* 9:3 "a" behind 9:2 */
  CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1,
                        LK_LIT("\x01\x01\x09\x03\x84\x09\x02\x01"
                               "a\x00"),
                        0));
  CHECK_U64(lk_doc_get_pending(r.doc).structs, 1);
  lk_buf snapshot = snapshot_of(&r, LK_UPDATE_V1);
  CHECK_SLICE(lk_buf_slice(&snapshot), LK_LIT("\x00\x00"));
  lk_buf_deinit(&snapshot);
  close_replica(&r);
}

TEST(a_document_that_collects_garbage_has_no_way_back) {
  replica r;
  open_collecting(&r, 5);
  insert(&r, 0, "abc");
  lk_buf before = snapshot_of(&r, LK_UPDATE_V1);
  lk_slice at = lk_buf_slice(&before);
  CHECK_ERR(lk_doc_at_snapshot(r.doc, LK_UPDATE_V1, at, LK_UPDATE_V1, &r.out), LK_ERR_STATE);
  CHECK_ERR(lk_doc_compare_snapshots(r.doc, LK_UPDATE_V1, at, at, NULL, NULL, &r.out),
            LK_ERR_STATE);
  CHECK_U64(r.out.len, 0);
  lk_buf_deinit(&before);
  close_replica(&r);
}

TEST(a_snapshot_of_a_later_state_is_not_found) {
  replica r, other;
  open_replica(&r, 5);
  open_replica(&other, 6);
  insert(&r, 0, "abc");
  send(&r, &other);
  insert(&other, 0, "x");
  lk_buf later = snapshot_of(&other, LK_UPDATE_V2);
  CHECK_ERR(lk_doc_at_snapshot(r.doc, LK_UPDATE_V2, lk_buf_slice(&later), LK_UPDATE_V1, &r.out),
            LK_ERR_NOT_FOUND);
  lk_buf_deinit(&later);
  insert(&r, 3, "d");
  later = snapshot_of(&r, LK_UPDATE_V2);
  CHECK_ERR(lk_doc_at_snapshot(other.doc, LK_UPDATE_V2, lk_buf_slice(&later), LK_UPDATE_V1, &r.out),
            LK_ERR_NOT_FOUND);
  lk_buf_deinit(&later);
  close_replica(&r);
  close_replica(&other);
}

/* As Yjs, which cuts the text there. */
TEST(a_snapshot_that_cuts_a_pair_leaves_a_replacement_character) {
  replica r;
  open_replica(&r, 5);
  insert(&r, 0, "a\xF0\x9F\x98\x80z");
  static const lk_slice cut_pair = LK_LIT_INIT("\x00\x01\x05\x02");
  CHECK_OK(lk_doc_text_delta_at(r.doc, r.text, LK_UPDATE_V1, cut_pair, LK_SLICE_EMPTY, &r.out));
  CHECK_TEXT(lk_buf_slice(&r.out), "[{\"insert\":\"a\xEF\xBF\xBD\"}]");
  replica old;
  open_replica(&old, 7);
  for (int to = 1; to <= 2; to++) {
    lk_buf_truncate(&r.out, 0);
    CHECK_OK(lk_doc_at_snapshot(r.doc, LK_UPDATE_V1, cut_pair, (lk_update_format)to, &r.out));
    CHECK_OK(lk_doc_apply(old.doc, (lk_update_format)to, lk_buf_slice(&r.out), 0));
  }
  CHECK_OK(lk_doc_text_string(old.doc, old.text, &old.out));
  CHECK_TEXT(lk_buf_slice(&old.out), "a\xEF\xBF\xBD");
  lk_buf_truncate(&r.out, 0);
  CHECK_OK(lk_doc_text_string(r.doc, r.text, &r.out));
  CHECK_TEXT(lk_buf_slice(&r.out), "a\xF0\x9F\x98\x80z");
  close_replica(&old);
  close_replica(&r);
}

/* Runs of values, JSON of the first Yjs among them, are cut between values. */
TEST(a_snapshot_may_end_within_a_run_of_values) {
  replica r, old;
  open_replica(&r, 5);
  open_replica(&old, 6);
  /* 9:0 JSON ["1","{}","undefined"] in "a" */
  CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1,
                        LK_LIT("\x01\x01\x09\x00\x02\x01\x01"
                               "a\x03\x01"
                               "1\x02{}\x09undefined\x00"),
                        0));
  lk_value values[] = { number(7), number(8), number(9) };
  CHECK_OK(lk_doc_list_insert(r.doc, r.list, 0, values, 3));
  CHECK_OK(lk_doc_at_snapshot(r.doc, LK_UPDATE_V1, LK_LIT("\x00\x02\x09\x02\x05\x02"), LK_UPDATE_V1,
                              &r.out));
  CHECK_OK(lk_doc_apply(old.doc, LK_UPDATE_V1, lk_buf_slice(&r.out), 0));
  CHECK_OK(lk_doc_node_json(old.doc, old.list, &old.out));
  CHECK_TEXT(lk_buf_slice(&old.out), "[7,8,1,{}]");
  close_replica(&old);
  close_replica(&r);
}

TEST(snapshots_that_say_the_same_are_equal) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  static const struct {
    lk_slice a, b;
    lk_update_format format;
    bool equal;
  } cases[] = {
    { LK_LIT_INIT("\x00\x00"), LK_LIT_INIT("\x00\x00"), LK_UPDATE_V1, true },
    { LK_LIT_INIT("\x01\x05\x01\x02\x03\x01\x05\x09"),
      LK_LIT_INIT("\x01\x05\x02\x04\x01\x02\x02\x01\x05\x09"), LK_UPDATE_V1, true },
    { LK_LIT_INIT("\x01\x05\x01\x02\x03\x01\x05\x09"),
      LK_LIT_INIT("\x01\x05\x02\x02\x01\x04\x00\x01\x05\x09"), LK_UPDATE_V1, false },
    { LK_LIT_INIT("\x01\x05\x02\x02\x00\x00\x01\x01\x05\x09"),
      LK_LIT_INIT("\x01\x05\x01\x02\x02\x01\x05\x09"), LK_UPDATE_V2, true },
    { LK_LIT_INIT("\x00\x01\x05\x09"), LK_LIT_INIT("\x00\x01\x05\x08"), LK_UPDATE_V1, false },
    { LK_LIT_INIT("\x00\x02\x05\x09\x06\x00"), LK_LIT_INIT("\x00\x01\x05\x09"), LK_UPDATE_V1,
      true },
    /* a range of no length; ranges and clients in another order */
    { LK_LIT_INIT("\x01\x05\x01\x02\x00\x01\x05\x09"), LK_LIT_INIT("\x00\x01\x05\x09"),
      LK_UPDATE_V1, true },
    { LK_LIT_INIT("\x01\x05\x02\x06\x01\x02\x01\x00"),
      LK_LIT_INIT("\x01\x05\x02\x02\x01\x06\x01\x00"), LK_UPDATE_V1, true },
    { LK_LIT_INIT("\x00\x02\x05\x09\x06\x01"), LK_LIT_INIT("\x00\x02\x06\x01\x05\x09"),
      LK_UPDATE_V1, true },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    bool equal = !cases[i].equal;
    test_note("case %zu", i);
    CHECK_OK(lk_snapshot_equal(&env, cases[i].format, cases[i].a, cases[i].b, &equal));
    CHECK(equal == cases[i].equal);
  }
}

TEST(snapshots_that_are_none_are_refused) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  static const struct {
    lk_slice bytes;
    lk_update_format format;
    lk_err err;
  } cases[] = {
    { LK_LIT_INIT(""), LK_UPDATE_V1, LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x00"), LK_UPDATE_V1, LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x00\x00\x00"), LK_UPDATE_V1, LK_ERR_TRAILING },
    { LK_LIT_INIT("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x0F\x00"), LK_UPDATE_V1, LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x01\x05\xFF\xFF\xFF\xFF\x0F\x01"), LK_UPDATE_V1, LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x00\xFF\xFF\xFF\xFF\x0F\x01\x01"), LK_UPDATE_V1, LK_ERR_TRUNCATED },
    /* clock and length are 2^53 - 1 */
    { LK_LIT_INIT("\x01\x05\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x0F\x01\x00"), LK_UPDATE_V1,
      LK_ERR_RANGE },
    { LK_LIT_INIT("\x01\x05\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x0F\x00\x00"), LK_UPDATE_V2,
      LK_ERR_RANGE },
    { LK_LIT_INIT("\x01\x05\x02\x01\xFE\xFF\xFF\xFF\xFF\xFF\xFF\x0F\x01\x00\x00"), LK_UPDATE_V2,
      LK_ERR_RANGE },
    { LK_LIT_INIT("\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x1F\x00\x00"), LK_UPDATE_V1, LK_ERR_RANGE },
    { LK_LIT_INIT("\x00\x00"), (lk_update_format)3, LK_ERR_INVALID },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    bool equal;
    test_note("case %zu", i);
    CHECK_ERR(lk_snapshot_equal(&env, cases[i].format, cases[i].bytes, cases[i].bytes, &equal),
              cases[i].err);
  }
}

TEST(a_snapshot_of_more_ranges_than_the_limits_allow_is_refused) {
  lk_limits limits = lk_limits_default();
  lk_version version;
  limits.doc_delete_ranges_count = 2;
  lk_version_init(&version, test_alloc(), &limits);
  CHECK_ERR(
      lk_version_decode(&version, LK_UPDATE_V1, LK_LIT("\x01\x05\x03\x01\x01\x03\x01\x05\x01\x00")),
      LK_ERR_LIMIT);
  lk_version_deinit(&version);
  limits.doc_clients_count = 2;
  lk_version_init(&version, test_alloc(), &limits);
  CHECK_ERR(lk_version_decode(&version, LK_UPDATE_V1, LK_LIT("\x00\x03\x01\x01\x03\x01\x05\x01")),
            LK_ERR_LIMIT);
  lk_version_deinit(&version);
}

/* ---- comparing ---- */

static lk_slice user_of(void *ctx, uint64_t client) {
  (void)ctx;
  return client == 9 ? LK_SLICE_EMPTY : client < 7 ? LK_LIT("ann") : LK_LIT("bob");
}

static lk_slice bad_user(void *ctx, uint64_t client) {
  (void)ctx;
  (void)client;
  return LK_LIT("\xFF");
}

static lk_slice compare(replica *r, const lk_buf *before, const lk_buf *after, lk_user_fn users) {
  lk_buf_truncate(&r->out, 0);
  CHECK_OK(lk_doc_compare(&r->env, LK_UPDATE_V1, lk_buf_slice(before), lk_buf_slice(after), users,
                          NULL, &r->out));
  return lk_buf_slice(&r->out);
}

/* What the two versions of |r| differ in, apart from who did how much. */
static lk_slice roots_of(lk_slice json) {
  size_t at = lk_slice_find(json, LK_LIT("\"roots\":"));
  CHECK(at < json.len);
  return lk_slice_skip(json, at + 8);
}

TEST(what_two_people_wrote_is_told_of_each) {
  replica ann, bob;
  open_collecting(&ann, 5);
  open_collecting(&bob, 8);
  insert(&ann, 0, "hello world");
  send(&ann, &bob);
  lk_buf before = version_of(&ann);
  insert(&bob, 5, ", dear");
  cut(&bob, 11, 6);
  insert(&ann, 0, "> ");
  send(&bob, &ann);
  lk_buf after = version_of(&ann);
  CHECK_TEXT(
      compare(&ann, &before, &after, user_of),
      "{\"clients\":[{\"client\":5,\"user\":\"ann\",\"added\":2,\"deleted\":6,\"formats\":0},"
      "{\"client\":8,\"user\":\"bob\",\"added\":6,\"deleted\":0,\"formats\":0}],"
      "\"users\":[{\"user\":\"ann\",\"added\":2,\"deleted\":6,\"formats\":0},"
      "{\"user\":\"bob\",\"added\":6,\"deleted\":0,\"formats\":0}],"
      "\"roots\":{\"t\":[{\"path\":[],\"kind\":\"text\",\"delta\":[{\"insert\":\"> "
      "\",\"client\":5},"
      "{\"retain\":5},{\"insert\":\", dear\",\"client\":8},{\"delete\":\" "
      "world\",\"client\":5}]}]}}");
  CHECK_TEXT(roots_of(compare(&ann, &after, &before, NULL)),
             "{\"t\":[{\"path\":[],\"kind\":\"text\",\"delta\":[{\"delete\":\"> \",\"client\":5},"
             "{\"retain\":5},{\"delete\":\", dear\",\"client\":8},{\"insert\":\" "
             "world\",\"client\":5}]}]}}");
  CHECK_TEXT(compare(&ann, &after, &after, user_of), "{\"clients\":[],\"users\":[],\"roots\":{}}");
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  close_replica(&ann);
  close_replica(&bob);
}

/* Clients of one user are one user, and those without a name are nobody's. */
TEST(users_add_up_over_their_clients) {
  static const uint64_t clients[] = { 6, 8, 9, 5 };
  replica all, one;
  lk_buf none;
  open_replica(&all, 1);
  lk_buf_init(&none, test_alloc(), 1);
  for (size_t i = 0; i < 4; i++) {
    open_replica(&one, clients[i]);
    insert(&one, 0, "ab");
    send(&one, &all);
    close_replica(&one);
  }
  lk_buf after = version_of(&all);
  static const lk_slice added = LK_LIT_INIT(
      "{\"clients\":[{\"client\":5,\"user\":\"ann\",\"added\":2,\"deleted\":0,\"formats\":0},"
      "{\"client\":6,\"user\":\"ann\",\"added\":2,\"deleted\":0,\"formats\":0},"
      "{\"client\":8,\"user\":\"bob\",\"added\":2,\"deleted\":0,\"formats\":0},"
      "{\"client\":9,\"added\":2,\"deleted\":0,\"formats\":0}],"
      "\"users\":[{\"user\":\"ann\",\"added\":4,\"deleted\":0,\"formats\":0},"
      "{\"user\":\"bob\",\"added\":2,\"deleted\":0,\"formats\":0}],");
  CHECK(lk_slice_starts_with(compare(&all, &none, &after, user_of), added));
  lk_slice json = compare(&all, &after, &none, user_of);
  CHECK(lk_slice_find(json, LK_LIT("{\"user\":\"ann\",\"added\":0,\"deleted\":4,")) < json.len);
  lk_buf_deinit(&after);
  lk_buf_deinit(&none);
  close_replica(&all);
}

TEST(formatting_that_changed_is_told_of_text_that_stayed) {
  replica ann, bob;
  open_replica(&ann, 5);
  open_replica(&bob, 8);
  insert(&ann, 0, "abcdef");
  bold(&ann, 4, 2, true);
  send(&ann, &bob);
  lk_buf before = version_of(&ann);
  bold(&bob, 1, 2, true);
  bold(&bob, 4, 2, false);
  insert(&bob, 2, "X");
  lk_buf after = version_of(&bob);
  CHECK_TEXT(roots_of(compare(&ann, &before, &after, NULL)),
             "{\"t\":[{\"path\":[],\"kind\":\"text\",\"delta\":[{\"retain\":1},"
             "{\"retain\":1,\"formats\":{\"bold\":{\"new\":true,\"client\":8}}},"
             "{\"insert\":\"X\",\"attributes\":{\"bold\":true},\"client\":8},"
             "{\"retain\":1,\"formats\":{\"bold\":{\"new\":true,\"client\":8}}},{\"retain\":1},"
             "{\"retain\":2,\"formats\":{\"bold\":{\"old\":true,\"client\":8}}}]}]}}");
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  close_replica(&ann);
  close_replica(&bob);
}

TEST(entries_of_maps_are_told_with_what_they_were) {
  replica r;
  open_replica(&r, 5);
  set(&r, "z", 1);
  set(&r, "gone", 2);
  set(&r, "same", 3);
  lk_buf before = version_of(&r);
  set(&r, "z", 4);
  set(&r, "z", 5);
  CHECK_OK(lk_doc_map_delete(r.doc, r.map, LK_LIT("gone")));
  set(&r, "b", 6);
  CHECK_OK(lk_doc_map_delete(r.doc, r.map, LK_LIT("b")));
  set(&r, "a", 7);
  lk_buf after = version_of(&r);
  CHECK_TEXT(roots_of(compare(&r, &before, &after, NULL)),
             "{\"m\":[{\"path\":[],\"kind\":\"map\",\"entries\":{\"a\":{\"action\":\"add\",\"new\":"
             "7,\"client\":5},"
             "\"gone\":{\"action\":\"delete\",\"old\":2,\"client\":5},"
             "\"z\":{\"action\":\"update\",\"old\":1,\"new\":5,\"client\":5}}}]}}");
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  close_replica(&r);
}

TEST(nobody_is_named_where_formatting_ended_by_deleting_its_mark) {
  replica r;
  open_replica(&r, 5);
  insert(&r, 0, "abc");
  bold(&r, 0, 1, true);
  bold(&r, 2, 1, true);
  lk_buf before = snapshot_of(&r, LK_UPDATE_V1);
  bold(&r, 2, 1, false);
  CHECK_OK(lk_doc_compare_snapshots(r.doc, LK_UPDATE_V1, lk_buf_slice(&before), LK_SLICE_EMPTY,
                                    NULL, NULL, &r.out));
  CHECK_TEXT(lk_buf_slice(&r.out),
             "{\"clients\":[],\"roots\":{\"t\":[{\"path\":[],\"kind\":\"text\",\"delta\":["
             "{\"retain\":2},{\"retain\":1,\"formats\":{\"bold\":{\"old\":true}}}]}]}}");
  lk_buf_deinit(&before);
  close_replica(&r);
}

TEST(each_key_of_formatting_is_told_where_it_differs) {
  replica r;
  open_replica(&r, 5);
  insert(&r, 0, "abcdef");
  lk_buf before = snapshot_of(&r, LK_UPDATE_V1);
  mark(&r, 0, 3, "x", 1);
  mark(&r, 1, 4, "y", 2);
  mark(&r, 2, 2, "z", 3);
  CHECK_OK(lk_doc_compare_snapshots(r.doc, LK_UPDATE_V1, lk_buf_slice(&before), LK_SLICE_EMPTY,
                                    NULL, NULL, &r.out));
  static const lk_slice marks[] = {
    LK_LIT_INIT("[{\"retain\":1,\"formats\":{\"x\":{\"new\":1,\"client\":5}}},"),
    LK_LIT_INIT("{\"retain\":1,\"formats\":{\"x\":{\"new\":1,\"client\":5},\"y\":{\"new\":2,"
                "\"client\":5}}},"),
    LK_LIT_INIT(
        "{\"retain\":1,\"formats\":{\"x\":{\"new\":1,\"client\":5},\"y\":{\"new\":2,\"client\":5},"
        "\"z\":{\"new\":3,\"client\":5}}},"),
    LK_LIT_INIT("{\"retain\":1,\"formats\":{\"z\":{\"new\":3,\"client\":5},\"y\":{\"new\":2,"
                "\"client\":5}}},"),
    LK_LIT_INIT("{\"retain\":1,\"formats\":{\"y\":{\"new\":2,\"client\":5}}}]"),
  };
  lk_slice json = lk_buf_slice(&r.out);
  for (size_t i = 0; i < 5; i++) {
    test_note("mark %zu of %.*s", i, (int)json.len, (const char *)json.ptr);
    size_t at = lk_slice_find(json, marks[i]);
    CHECK(at < json.len);
    json = lk_slice_skip(json, at + marks[i].len);
  }
  lk_buf_deinit(&before);
  close_replica(&r);
}

/* Formatting that both versions have makes no new operation; what comes by another writer does, and an embed. */
TEST(operations_end_only_where_something_else_begins) {
  replica ann, bob;
  lk_value embeds[] = { number(1), number(2) };
  open_replica(&ann, 5);
  open_replica(&bob, 8);
  insert(&ann, 0, "abc");
  bold(&ann, 1, 1, true);
  send(&ann, &bob);
  lk_buf before = version_of(&ann);
  insert(&ann, 3, "d");
  insert(&ann, 4, "e");
  send(&ann, &bob);
  insert(&bob, 5, "f");
  CHECK_OK(lk_doc_text_insert_embed(bob.doc, bob.text, 6, &embeds[0], NULL));
  CHECK_OK(lk_doc_text_insert_embed(bob.doc, bob.text, 7, &embeds[1], NULL));
  CHECK_OK(lk_doc_list_insert(bob.doc, bob.list, 0, embeds, 2));
  send(&bob, &ann);
  CHECK_OK(lk_doc_list_insert(ann.doc, ann.list, 2, embeds, 1));
  lk_buf after = version_of(&ann);
  CHECK_TEXT(roots_of(compare(&ann, &before, &after, NULL)),
             "{\"a\":[{\"path\":[],\"kind\":\"array\",\"delta\":[{\"insert\":[1,2],\"client\":8},"
             "{\"insert\":[1],\"client\":5}]}],"
             "\"t\":[{\"path\":[],\"kind\":\"text\",\"delta\":[{\"retain\":3},{\"insert\":\"de\","
             "\"client\":5},"
             "{\"insert\":\"f\",\"client\":8},{\"insert\":[1],\"client\":8},{\"insert\":[2],"
             "\"client\":8}]}]}}");
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  close_replica(&ann);
  close_replica(&bob);
}

/* What is in force in one text is not in force in the next one. */
TEST(formatting_does_not_leave_its_text) {
  replica r;
  lk_node inner[2];
  lk_attribute attribute = { LK_LIT("bold"), { .kind = LK_VALUE_BOOL, .boolean = true } };
  lk_attributes attributes = { &attribute, 1 };
  open_replica(&r, 5);
  for (size_t i = 0; i < 2; i++) {
    CHECK_OK(lk_doc_list_insert_node(r.doc, r.list, i, LK_NODE_TEXT, LK_SLICE_EMPTY, &inner[i]));
    CHECK_OK(lk_doc_text_insert(r.doc, inner[i], 0, LK_LIT("ab"), NULL));
  }
  lk_buf before = snapshot_of(&r, LK_UPDATE_V1);
  CHECK_OK(lk_doc_text_format(r.doc, inner[0], 1, 1, &attributes));
  /* the mark that ends it is deleted by hand: bold to the end of the text */
  lk_call call;
  CHECK_OK(lk_call_begin(r.doc, &call));
  CHECK_OK(lk_item_delete(r.doc, r.doc->types.at[inner[0].slot].end));
  CHECK_OK(lk_call_end(r.doc, &call, LK_OK));
  CHECK_OK(lk_doc_text_insert(r.doc, inner[1], 2, LK_LIT("c"), NULL));
  CHECK_OK(lk_doc_compare_snapshots(r.doc, LK_UPDATE_V1, lk_buf_slice(&before), LK_SLICE_EMPTY,
                                    NULL, NULL, &r.out));
  CHECK_TEXT(roots_of(lk_buf_slice(&r.out)),
             "{\"a\":[{\"path\":[0],\"kind\":\"text\",\"delta\":[{\"retain\":1},"
             "{\"retain\":1,\"formats\":{\"bold\":{\"new\":true,\"client\":5}}}]},"
             "{\"path\":[1],\"kind\":\"text\",\"delta\":[{\"retain\":2},{\"insert\":\"c\","
             "\"client\":5}]}]}}");
  lk_buf_deinit(&before);
  close_replica(&r);
}

/* Each has collected what the other one still shows. */
TEST(versions_that_went_apart_are_compared_as_far_as_they_know) {
  replica ann, bob;
  open_collecting(&ann, 5);
  open_collecting(&bob, 8);
  insert(&ann, 0, "abcd");
  send(&ann, &bob);
  cut(&ann, 0, 1);
  cut(&bob, 3, 1);
  lk_buf before = version_of(&ann), after = version_of(&bob);
  CHECK_TEXT(compare(&ann, &before, &after, NULL),
             "{\"clients\":[{\"client\":5,\"added\":0,\"deleted\":1,\"formats\":0}],\"roots\":{"
             "\"t\":[{\"path\":[],"
             "\"kind\":\"text\",\"delta\":[{\"retain\":2},{\"delete\":\"d\",\"client\":5}]}]}}");
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  close_replica(&ann);
  close_replica(&bob);
}

/* What one client sets in a row becomes one item once it is deleted: each of its units was the value at a time. */
TEST(values_that_became_one_item_are_told_apart) {
  replica r, other;
  open_replica(&r, 5);
  open_replica(&other, 6);
  set(&r, "k", 1);
  lk_buf one = snapshot_of(&r, LK_UPDATE_V1);
  set(&r, "k", 2);
  lk_buf two = snapshot_of(&r, LK_UPDATE_V1);
  set(&r, "k", 3);
  set(&r, "k", 4);
  send(&r, &other);
  CHECK_U64(lk_doc_get_size(other.doc).structs, 2);
  CHECK_OK(lk_doc_compare_snapshots(other.doc, LK_UPDATE_V1, lk_buf_slice(&one), lk_buf_slice(&two),
                                    NULL, NULL, &r.out));
  CHECK_TEXT(roots_of(lk_buf_slice(&r.out)),
             "{\"m\":[{\"path\":[],\"kind\":\"map\",\"entries\":{\"k\":"
             "{\"action\":\"update\",\"old\":1,\"new\":2,\"client\":5}}}]}}");
  lk_buf_deinit(&one);
  lk_buf_deinit(&two);
  close_replica(&r);
  close_replica(&other);
}

TEST(nodes_are_told_with_their_paths) {
  replica r;
  lk_node inner, paragraph, gone;
  open_replica(&r, 5);
  lk_value values[] = { number(1), number(2) };
  CHECK_OK(lk_doc_list_insert(r.doc, r.list, 0, values, 2));
  CHECK_OK(lk_doc_list_insert_node(r.doc, r.list, 1, LK_NODE_MAP, LK_SLICE_EMPTY, &inner));
  CHECK_OK(lk_doc_list_insert_node(r.doc, r.list, 3, LK_NODE_TEXT, LK_SLICE_EMPTY, &gone));
  CHECK_OK(lk_doc_text_insert(r.doc, gone, 0, LK_LIT("bye"), NULL));
  lk_buf before = version_of(&r);
  CHECK_OK(lk_doc_list_delete(r.doc, r.list, 0, 1));
  CHECK_OK(lk_doc_list_delete(r.doc, r.list, 2, 1));
  CHECK_OK(lk_doc_list_insert(r.doc, r.list, 1, values, 2));
  CHECK_OK(
      lk_doc_map_set_node(r.doc, inner, LK_LIT("k"), LK_NODE_XML_ELEMENT, LK_LIT("p"), &paragraph));
  CHECK_OK(lk_doc_map_set(r.doc, paragraph, LK_LIT("id"), &values[1]));
  lk_buf after = version_of(&r);
  CHECK_TEXT(roots_of(compare(&r, &before, &after, NULL)),
             "{\"a\":[{\"path\":[],\"kind\":\"array\",\"delta\":[{\"delete\":[1],\"client\":5},{"
             "\"retain\":1},"
             "{\"insert\":[1,2],\"client\":5},{\"retain\":1},{\"delete\":{\"kind\":\"text\"},"
             "\"client\":5}]},"
             "{\"path\":[0],\"kind\":\"map\",\"entries\":{\"k\":{\"action\":\"add\","
             "\"new_node\":{\"kind\":\"xml_element\",\"name\":\"p\"},\"client\":5}}},"
             "{\"path\":[0,\"k\"],\"kind\":\"xml_element\",\"name\":\"p\",\"state\":\"added\","
             "\"entries\":{\"id\":{\"action\":\"add\",\"new\":2,\"client\":5}}},"
             "{\"path\":[3],\"kind\":\"text\",\"state\":\"deleted\",\"delta\":[{\"delete\":\"bye\","
             "\"client\":5}]}]}}");
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  close_replica(&r);
}

TEST(nodes_on_the_way_to_a_change_are_not_told) {
  replica r;
  lk_node outer, inner;
  lk_value one = number(1);
  open_replica(&r, 5);
  CHECK_OK(lk_doc_map_set_node(r.doc, r.map, LK_LIT("k"), LK_NODE_ARRAY, LK_SLICE_EMPTY, &outer));
  CHECK_OK(lk_doc_list_insert(r.doc, outer, 0, &one, 1));
  CHECK_OK(lk_doc_list_insert_node(r.doc, outer, 1, LK_NODE_TEXT, LK_SLICE_EMPTY, &inner));
  lk_buf before = snapshot_of(&r, LK_UPDATE_V1);
  CHECK_OK(lk_doc_text_insert(r.doc, inner, 0, LK_LIT("deep"), NULL));
  CHECK_OK(lk_doc_compare_snapshots(r.doc, LK_UPDATE_V1, lk_buf_slice(&before), LK_SLICE_EMPTY,
                                    NULL, NULL, &r.out));
  CHECK_TEXT(roots_of(lk_buf_slice(&r.out)), "{\"m\":[{\"path\":[\"k\",1],\"kind\":\"text\","
                                             "\"delta\":[{\"insert\":\"deep\",\"client\":5}]}]}}");
  lk_buf_deinit(&before);
  close_replica(&r);
}

/* A stranger's item of very many values, with as many borders in it: each value is found from the one before it. A way
 * through all of them for each would take hours. */
TEST(many_values_in_one_item_take_linear_time) {
  enum { COUNT = 1 << 18 };
  replica r;
  open_replica(&r, 5);
  lk_buf update, snapshot;
  lk_buf_init(&update, test_alloc(), 1 << 24);
  lk_buf_init(&snapshot, test_alloc(), 1 << 24);
  lk_buf_append(&update, LK_LIT("\x01\x01\x09\x00\x08\x01\x01"
                                "a"));
  lk_varuint_encode(&update, COUNT);
  for (uint32_t i = 0; i < COUNT; i++) lk_buf_append_u8(&update, 120); /* true */
  lk_buf_append_u8(&update, 0);
  CHECK_OK(lk_doc_apply(r.doc, LK_UPDATE_V1, lk_buf_slice(&update), 0));
  lk_buf_append(&snapshot, LK_LIT("\x01\x09"));
  lk_varuint_encode(&snapshot, COUNT / 2);
  for (uint32_t i = 0; i < COUNT; i += 2) {
    lk_varuint_encode(&snapshot, i);
    lk_varuint_encode(&snapshot, 1);
  }
  lk_buf_append(&snapshot, LK_LIT("\x01\x09"));
  lk_varuint_encode(&snapshot, COUNT);
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 26);
  CHECK_OK(lk_doc_compare_snapshots(r.doc, LK_UPDATE_V1, lk_buf_slice(&snapshot), LK_SLICE_EMPTY,
                                    NULL, NULL, &out));
  CHECK(lk_slice_starts_with(lk_buf_slice(&out),
                             LK_LIT("{\"clients\":[{\"client\":9,\"added\":131072,")));
  CHECK(lk_slice_ends_with(lk_buf_slice(&out),
                           LK_LIT(",{\"retain\":1},{\"insert\":[true],\"client\":9}]}]}}")));
  lk_buf_deinit(&out);
  lk_buf_deinit(&update);
  lk_buf_deinit(&snapshot);
  close_replica(&r);
}

/* A mark may come and go without changing how anything looks: that is nobody's news. */
TEST(a_node_without_news_is_not_told) {
  replica r;
  open_replica(&r, 5);
  insert(&r, 0, "ab");
  lk_buf before = snapshot_of(&r, LK_UPDATE_V1);
  bold(&r, 0, 2, true);
  cut(&r, 0, 2);
  lk_buf middle = snapshot_of(&r, LK_UPDATE_V1);
  insert(&r, 0, "c");
  bold(&r, 0, 1, true);
  cut(&r, 0, 1);
  CHECK_OK(lk_doc_compare_snapshots(r.doc, LK_UPDATE_V1, lk_buf_slice(&middle), LK_SLICE_EMPTY,
                                    NULL, NULL, &r.out));
  CHECK_TEXT(roots_of(lk_buf_slice(&r.out)), "{}}");
  lk_buf_deinit(&before);
  lk_buf_deinit(&middle);
  close_replica(&r);
}

TEST(a_comparison_stays_within_its_buffer) {
  replica r;
  open_replica(&r, 5);
  insert(&r, 0, "a text that is too long for it");
  lk_buf small;
  lk_buf_init(&small, test_alloc(), 64);
  lk_buf_append(&small, LK_LIT("kept"));
  CHECK_ERR(lk_doc_compare_snapshots(r.doc, LK_UPDATE_V1, LK_SLICE_EMPTY, LK_SLICE_EMPTY, NULL,
                                     NULL, &small),
            LK_ERR_LIMIT);
  CHECK_TEXT(lk_buf_slice(&small), "kept");
  lk_buf_deinit(&small);
  close_replica(&r);
}

TEST(names_of_users_that_are_no_text_are_refused) {
  replica r;
  open_replica(&r, 5);
  insert(&r, 0, "a");
  CHECK_ERR(lk_doc_compare_snapshots(r.doc, LK_UPDATE_V1, LK_SLICE_EMPTY, LK_SLICE_EMPTY, bad_user,
                                     NULL, &r.out),
            LK_ERR_UTF8);
  CHECK_U64(r.out.len, 0);
  close_replica(&r);
}

/* ---- positions ---- */

TEST(positions_are_the_bytes_of_yjs) {
  lk_json_member f[] = { VECTORS_FIELD("update"), VECTORS_FIELD("root"), VECTORS_FIELD("index"),
                         VECTORS_FIELD("assoc"),  VECTORS_FIELD("out"),  VECTORS_FIELD("json") };
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  vectors v;
  vectors_open(&v, PATH, LK_LIT("position"));
  while (vectors_next(&v, f, 6)) {
    replica r;
    int64_t assoc;
    uint64_t index;
    lk_node found;
    load(&r, &v, &f[0]);
    lk_node node = root_of(&r, vectors_text(&f[1]));
    lk_slice expected = vectors_hex(&v, &f[4]);
    CHECK_OK(lk_json_get_i64(&f[3].value, &assoc));
    CHECK_OK(lk_doc_position(r.doc, node, vectors_u64(&f[2]), (int)assoc, &r.out));
    CHECK_SLICE(lk_buf_slice(&r.out), expected);
    lk_buf_truncate(&r.out, 0);
    CHECK_OK(lk_doc_position_json(r.doc, node, vectors_u64(&f[2]), (int)assoc, &r.out));
    CHECK_SLICE(lk_buf_slice(&r.out), vectors_text(&f[5]));
    lk_buf_truncate(&r.out, 0);
    CHECK_OK(lk_position_of_json(&env, vectors_text(&f[5]), &r.out));
    CHECK_SLICE(lk_buf_slice(&r.out), expected);
    CHECK_OK(lk_doc_resolve_position(r.doc, expected, &found, &index));
    CHECK_U64(index, vectors_u64(&f[2]));
    CHECK(found.slot == node.slot && found.check == node.check);
    close_replica(&r);
  }
  vectors_close(&v);
}

TEST(positions_lead_where_yjs_finds_them) {
  lk_json_member f[] = { VECTORS_FIELD("update"), VECTORS_FIELD("position"), VECTORS_FIELD("out") };
  vectors v;
  vectors_open(&v, PATH, LK_LIT("resolve"));
  while (vectors_next(&v, f, 3)) {
    replica r;
    int64_t expected;
    uint64_t index = 0;
    load(&r, &v, &f[0]);
    CHECK_OK(lk_json_get_i64(&f[2].value, &expected));
    lk_err err = lk_doc_resolve_position(r.doc, vectors_hex(&v, &f[1]), NULL, &index);
    CHECK_ERR(err, expected < 0 ? LK_ERR_NOT_FOUND : LK_OK);
    if (err == LK_OK) CHECK_U64(index, (uint64_t)expected);
    close_replica(&r);
  }
  vectors_close(&v);
}

static uint64_t resolve(replica *r, const lk_buf *position) {
  uint64_t index = UINT64_MAX;
  CHECK_OK(lk_doc_resolve_position(r->doc, lk_buf_slice(position), NULL, &index));
  return index;
}

TEST(a_position_stays_with_its_side) {
  replica r;
  open_replica(&r, 5);
  insert(&r, 0, "abcd");
  lk_buf left, right;
  lk_buf_init(&left, test_alloc(), 100);
  lk_buf_init(&right, test_alloc(), 100);
  CHECK_OK(lk_doc_position(r.doc, r.text, 2, -1, &left));
  CHECK_OK(lk_doc_position(r.doc, r.text, 2, 0, &right));
  insert(&r, 2, "__");
  CHECK_U64(resolve(&r, &left), 2);
  CHECK_U64(resolve(&r, &right), 4);
  insert(&r, 0, "1");
  cut(&r, 2, 4); /* "b__c" */
  CHECK_U64(resolve(&r, &left), 2);
  CHECK_U64(resolve(&r, &right), 2);
  lk_buf_deinit(&left);
  lk_buf_deinit(&right);
  close_replica(&r);
}

/* As an undo manager would note it: units 1 and 2 of "abcd", deleted, came again as "BC". */
TEST(a_position_follows_what_was_made_again) {
  replica r;
  open_replica(&r, 5);
  insert(&r, 0, "abcd");
  lk_buf at;
  lk_buf_init(&at, test_alloc(), 100);
  CHECK_OK(lk_doc_position(r.doc, r.text, 2, 0, &at));
  cut(&r, 1, 2);
  insert(&r, 2, "BC");
  lk_call call;
  CHECK_OK(lk_call_begin(r.doc, &call));
  CHECK_OK(lk_item_set_redone(r.doc, lk_client_item(r.doc, 0, 1), 0, 4));
  CHECK_OK(lk_call_end(r.doc, &call, LK_OK));
  CHECK_U64(resolve(&r, &at), 3);
  lk_buf_deinit(&at);
  close_replica(&r);
}

TEST(a_position_in_a_node_that_is_gone_is_not_found) {
  replica r;
  lk_node inner, found;
  uint64_t index;
  open_replica(&r, 5);
  CHECK_OK(lk_doc_map_set_node(r.doc, r.map, LK_LIT("k"), LK_NODE_TEXT, LK_SLICE_EMPTY, &inner));
  lk_buf end, unit;
  lk_buf_init(&end, test_alloc(), 100);
  lk_buf_init(&unit, test_alloc(), 100);
  CHECK_OK(lk_doc_position(r.doc, inner, 0, 0, &end));
  CHECK_OK(lk_doc_text_insert(r.doc, inner, 0, LK_LIT("ab"), NULL));
  CHECK_OK(lk_doc_position(r.doc, inner, 1, 0, &unit));
  CHECK_OK(lk_doc_resolve_position(r.doc, lk_buf_slice(&end), &found, &index));
  CHECK(found.slot == inner.slot && index == 2);
  CHECK_OK(lk_doc_map_delete(r.doc, r.map, LK_LIT("k")));
  CHECK_ERR(lk_doc_resolve_position(r.doc, lk_buf_slice(&end), NULL, NULL), LK_ERR_NOT_FOUND);
  CHECK_ERR(lk_doc_resolve_position(r.doc, lk_buf_slice(&unit), NULL, NULL), LK_ERR_NOT_FOUND);
  CHECK_ERR(lk_doc_position(r.doc, inner, 0, 0, &end), LK_ERR_NOT_FOUND);
  lk_buf_deinit(&end);
  lk_buf_deinit(&unit);
  close_replica(&r);
}

TEST(a_position_in_what_was_collected_is_not_found) {
  replica r;
  lk_node inner;
  open_collecting(&r, 5);
  CHECK_OK(lk_doc_map_set_node(r.doc, r.map, LK_LIT("k"), LK_NODE_TEXT, LK_SLICE_EMPTY, &inner));
  CHECK_OK(lk_doc_text_insert(r.doc, inner, 0, LK_LIT("ab"), NULL));
  CHECK_OK(lk_doc_position(r.doc, inner, 1, 0, &r.out));
  CHECK_OK(lk_doc_map_delete(r.doc, r.map, LK_LIT("k")));
  CHECK_ERR(lk_doc_resolve_position(r.doc, lk_buf_slice(&r.out), NULL, NULL), LK_ERR_NOT_FOUND);
  close_replica(&r);
}

TEST(a_value_of_a_map_has_no_index) {
  replica r;
  lk_node found;
  uint64_t index = 7;
  open_replica(&r, 5);
  set(&r, "k", 1);
  CHECK_OK(lk_doc_resolve_position(r.doc, LK_LIT("\x00\x05\x00\x41"), &found, &index));
  CHECK(found.slot == r.map.slot);
  CHECK_U64(index, 0);
  close_replica(&r);
}

TEST(positions_that_are_none_are_refused) {
  static const struct {
    lk_slice bytes;
    lk_err err;
  } cases[] = {
    { LK_LIT_INIT(""), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x00\x05"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x03\x05\x00\x00"), LK_ERR_CORRUPT },
    { LK_LIT_INIT("\x01\x02t"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x01\x01\xFF\x00"), LK_ERR_UTF8 },
    { LK_LIT_INIT("\x00\x05\x00\x00\x00"), LK_ERR_TRAILING },
    { LK_LIT_INIT("\x00\x05\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x1F\x00"), LK_ERR_RANGE },
    { LK_LIT_INIT("\x00\x05\x03\x00"), LK_ERR_NOT_FOUND }, /* the client has three units */
    { LK_LIT_INIT("\x00\x06\x00\x00"), LK_ERR_NOT_FOUND },
    { LK_LIT_INIT("\x00\x05\x80\x80\x80\x80\x10\x00"), LK_ERR_NOT_FOUND }, /* 2^32 */
    { LK_LIT_INIT("\x01\x01z\x00"), LK_ERR_NOT_FOUND },
    { LK_LIT_INIT("\x02\x05\x00\x00"), LK_ERR_NOT_FOUND }, /* no node */
    { LK_LIT_INIT("\x01\x01t"), LK_OK },                   /* without assoc, as Yjs wrote it once */
    { LK_LIT_INIT("\x00\x05\x02\x40"), LK_OK },            /* assoc is -0 */
  };
  replica r;
  open_replica(&r, 5);
  insert(&r, 0, "abc");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    test_note("case %zu", i);
    CHECK_ERR(lk_doc_resolve_position(r.doc, cases[i].bytes, NULL, NULL), cases[i].err);
  }
  CHECK_ERR(lk_doc_position(r.doc, r.text, 4, 0, &r.out), LK_ERR_RANGE);
  CHECK_ERR(lk_doc_position_json(r.doc, r.text, UINT64_MAX, -1, &r.out), LK_ERR_RANGE);
  close_replica(&r);
}

TEST(json_that_is_no_position_is_refused) {
  static const struct {
    lk_slice json;
    lk_err err;
  } cases[] = {
    { LK_LIT_INIT("{}"), LK_ERR_CORRUPT },
    { LK_LIT_INIT("[]"), LK_ERR_CORRUPT },
    { LK_LIT_INIT("{\"item\":null,\"tname\":null}"), LK_ERR_CORRUPT },
    { LK_LIT_INIT("{\"item\":{\"client\":1}}"), LK_ERR_CORRUPT },
    { LK_LIT_INIT("{\"item\":7}"), LK_ERR_CORRUPT },
    { LK_LIT_INIT("{\"tname\":7}"), LK_ERR_CORRUPT },
    { LK_LIT_INIT("{\"tname\":\"t\",\"assoc\":\"0\"}"), LK_ERR_CORRUPT },
    { LK_LIT_INIT("{\"tname\":\"t\",\"assoc\":9007199254740992}"), LK_ERR_RANGE },
    { LK_LIT_INIT("{\"item\":{\"client\":9007199254740992,\"clock\":0}}"), LK_ERR_RANGE },
    { LK_LIT_INIT("{\"tname\":\"t\"} x"), LK_ERR_TRAILING },
    { LK_LIT_INIT("{\"tname\":\"t\""), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("{\"type\":{\"client\":1,\"clock\":2},\"item\":null,\"tname\":null}"), LK_OK },
  };
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 100);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    test_note("case %zu", i);
    CHECK_ERR(lk_position_of_json(&env, cases[i].json, &out), cases[i].err);
  }
  CHECK_SLICE(lk_buf_slice(&out), LK_LIT("\x02\x01\x02\x00"));
  lk_buf_deinit(&out);
}

/* ---- faults ---- */

static void write_history(replica *r, lk_buf *before) {
  lk_value values[] = { number(1), { .kind = LK_VALUE_BINARY, .bytes = LK_LIT("\x01\x02") } };
  lk_node inner;
  open_roots(r);
  insert(r, 0, "some text");
  bold(r, 2, 4, true);
  set(r, "k", 1);
  CHECK_OK(lk_doc_list_insert_node(r->doc, r->list, 0, LK_NODE_TEXT, LK_SLICE_EMPTY, &inner));
  CHECK_OK(lk_doc_text_insert(r->doc, inner, 0, LK_LIT("in"), NULL));
  *before = snapshot_of(r, LK_UPDATE_V1);
  cut(r, 3, 3);
  bold(r, 0, 3, true);
  set(r, "k", 2);
  CHECK_OK(lk_doc_list_insert(r->doc, r->list, 1, values, 2));
  CHECK_OK(lk_doc_list_delete(r->doc, r->list, 0, 1));
  CHECK_OK(lk_doc_text_insert_embed(r->doc, r->text, 1, &values[0], NULL));
}

/* Each call either gives what it gives with memory, or an error and nothing. */
typedef lk_err (*fault_call)(replica *r, lk_slice before, lk_buf *out);

static lk_err call_snapshot(replica *r, lk_slice before, lk_buf *out) {
  (void)before;
  return lk_doc_snapshot(r->doc, LK_UPDATE_V2, out);
}
static lk_err call_at(replica *r, lk_slice before, lk_buf *out) {
  return lk_doc_at_snapshot(r->doc, LK_UPDATE_V1, before, LK_UPDATE_V2, out);
}
static lk_err call_delta(replica *r, lk_slice before, lk_buf *out) {
  return lk_doc_text_delta_at(r->doc, r->text, LK_UPDATE_V1, LK_SLICE_EMPTY, before, out);
}
static lk_err call_compare(replica *r, lk_slice before, lk_buf *out) {
  return lk_doc_compare_snapshots(r->doc, LK_UPDATE_V1, before, LK_SLICE_EMPTY, user_of, NULL, out);
}
static lk_err call_position(replica *r, lk_slice before, lk_buf *out) {
  (void)before;
  return lk_doc_position_json(r->doc, r->text, 3, 0, out);
}
static lk_err call_equal(replica *r, lk_slice before, lk_buf *out) {
  bool equal = false;
  lk_err err = lk_snapshot_equal(&r->env, LK_UPDATE_V1, before, before, &equal);
  if (err == LK_OK) err = lk_buf_append_u8(out, equal);
  return err;
}
static lk_err call_of_json(replica *r, lk_slice before, lk_buf *out) {
  (void)before;
  return lk_position_of_json(&r->env, LK_LIT("{\"tname\":\"\\u0074\",\"assoc\":-1}"), out);
}

TEST(calls_that_find_no_memory_leave_nothing) {
  static const fault_call calls[] = { call_snapshot, call_at,    call_delta,  call_compare,
                                      call_position, call_equal, call_of_json };
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    lk_buf first;
    lk_buf_init(&first, test_alloc(), 1 << 20);
    test_note("call %zu", i);
    FAULT_LOOP(faults, test_alloc()) {
      replica r;
      lk_buf before;
      CHECK_OK(open_with(&r, test_alloc(), 5, true));
      write_history(&r, &before);
      lk_buf state = version_of(&r);
      lk_alloc working = r.alloc;
      r.alloc = *faulty_alloc(&faults);
      lk_err err = calls[i](&r, lk_buf_slice(&before), &r.out);
      r.alloc = working;
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      if (err != LK_OK) CHECK_U64(r.out.len, 0);
      else if (first.len == 0) CHECK_OK(lk_buf_append(&first, lk_buf_slice(&r.out)));
      else CHECK_SLICE(lk_buf_slice(&r.out), lk_buf_slice(&first));
      lk_buf after = version_of(&r);
      CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&state));
      lk_buf_deinit(&state);
      lk_buf_deinit(&after);
      lk_buf_deinit(&before);
      lk_buf_truncate(&r.out, 0);
      close_replica(&r);
    }
    CHECK(first.len > 0);
    lk_buf_deinit(&first);
  }
}

TEST(versions_that_find_no_memory_are_not_compared) {
  replica r;
  lk_buf unused;
  CHECK_OK(open_with(&r, test_alloc(), 5, false));
  write_history(&r, &unused);
  lk_buf before = version_of(&r);
  cut(&r, 0, 2);
  set(&r, "k", 9);
  lk_buf after = version_of(&r);
  FAULT_LOOP(faults, test_alloc()) {
    lk_env env = LK_ENV_INIT(faulty_alloc(&faults), NULL);
    lk_buf out;
    lk_buf_init(&out, test_alloc(), 1 << 20);
    lk_err err = lk_doc_compare(&env, LK_UPDATE_V1, lk_buf_slice(&before), lk_buf_slice(&after),
                                user_of, NULL, &out);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    CHECK((err == LK_OK) == (out.len > 0));
    lk_buf_deinit(&out);
  }
  lk_buf_deinit(&unused);
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  close_replica(&r);
}

/* ---- the two ways of comparing ---- */

static void change_text(replica *r, lk_gen *g, lk_node text) {
  uint64_t length = lk_doc_node_length(r->doc, text), at = gen_below(g, (uint32_t)length + 1);
  uint64_t some = gen_below(g, (uint32_t)lk_min_u64(length - at, 3) + 1);
  lk_attribute mark = { gen_bool(g) ? LK_LIT("b") : LK_LIT("i"),
                        { .kind = gen_bool(g) ? LK_VALUE_NULL : LK_VALUE_NUMBER } };
  lk_attributes attributes = { &mark, 1 };
  switch (gen_below(g, 4)) {
  case 0: CHECK_OK(lk_doc_text_delete(r->doc, text, at, some)); break;
  case 1: CHECK_OK(lk_doc_text_format(r->doc, text, at, some, &attributes)); break;
  default:
    CHECK_OK(lk_doc_text_insert(r->doc, text, at, gen_bool(g) ? LK_LIT("ab") : LK_LIT("\xC3\xA9"),
                                NULL));
  }
}

static void change_list(replica *r, lk_gen *g) {
  lk_value values[] = { number(1), number(2) };
  uint32_t length = (uint32_t)lk_doc_node_length(r->doc, r->list);
  uint32_t at = gen_below(g, length + 1);
  lk_value found;
  if (at < length && lk_doc_list_get(r->doc, r->list, at, &found) == LK_OK &&
      found.kind == LK_VALUE_NODE && gen_bool(g)) {
    change_text(r, g, found.node);
    return;
  }
  switch (gen_below(g, 3)) {
  case 0:
    if (at < length) CHECK_OK(lk_doc_list_delete(r->doc, r->list, at, 1));
    break;
  case 1:
    CHECK_OK(lk_doc_list_insert_node(r->doc, r->list, at, LK_NODE_TEXT, LK_SLICE_EMPTY, NULL));
    break;
  default: CHECK_OK(lk_doc_list_insert(r->doc, r->list, at, values, 2));
  }
}

static void change(replica *r, lk_gen *g) {
  static const char *const keys[] = { "k", "l" };
  switch (gen_below(g, 3)) {
  case 0: change_text(r, g, r->text); break;
  case 1: set(r, keys[gen_below(g, 2)], gen_below(g, 5)); break;
  default: change_list(r, g);
  }
}

/* Goal: versions of a document that collects tell what snapshots of one that keeps everything tell. */
PROPERTY_SLOW(versions_and_snapshots_tell_the_same, 4) {
  replica kept, collected;
  open_replica(&kept, 5);
  open_collecting(&collected, 6);
  for (uint32_t n = gen_below(g, 12); n > 0; n--) change(&kept, g);
  send(&kept, &collected);
  lk_buf snapshot = snapshot_of(&kept, LK_UPDATE_V2), before = version_of(&collected);
  for (uint32_t n = gen_below(g, 12); n > 0; n--) change(&kept, g);
  send(&kept, &collected);
  lk_buf after = version_of(&collected);
  CHECK_OK(lk_doc_compare_snapshots(kept.doc, LK_UPDATE_V2, lk_buf_slice(&snapshot), LK_SLICE_EMPTY,
                                    user_of, NULL, &kept.out));
  CHECK_SLICE(compare(&collected, &before, &after, user_of), lk_buf_slice(&kept.out));
  lk_buf_deinit(&snapshot);
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  close_replica(&kept);
  close_replica(&collected);
}
