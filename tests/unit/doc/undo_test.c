/* Goal: an undo manager takes back and makes again what Yjs' does, and its updates are the same bytes.
 * Method: cases played by real Yjs (tests/vectors/doc_undo.json); every allocation failed once; counts of steps and of
 * memory for what must not grow with the document. */
#include "codec/json_reader.h"
#include "doc/engine.h"
#include "doc/events.h"
#include "doc/undo.h"
#include "harness/test.h"
#include "unit/doc/check.h"

enum { ORIGIN = 1, TAKEN = 9 };

/* ---- a document with an undo manager ---- */

typedef struct replica {
  lk_alloc alloc;
  lk_env env;
  lk_doc *doc;
  lk_undo *undo;
  uint64_t now;
  lk_buf sent; /* hex, one blank between updates */
} replica;

static void append_hex(lk_buf *out, lk_slice bytes) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < bytes.len; i++) {
    lk_buf_append_u8(out, (uint8_t)digits[bytes.ptr[i] >> 4]);
    lk_buf_append_u8(out, (uint8_t)digits[bytes.ptr[i] & 15]);
  }
}

static void take_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  replica *r = ctx;
  (void)doc, (void)local;
  if (origin == TAKEN) return;
  if (r->sent.len > 0) lk_buf_append_u8(&r->sent, ' ');
  append_hex(&r->sent, update);
}

static uint64_t tell_time(void *ctx) { return ((const replica *)ctx)->now; }

static lk_node_kind kind_of(lk_slice name) {
  if (lk_slice_equal(name, LK_LIT("text"))) return LK_NODE_TEXT;
  return lk_slice_equal(name, LK_LIT("map")) ? LK_NODE_MAP : LK_NODE_ARRAY;
}

static const lk_slice root_names[] = { LK_LIT_INIT("text"), LK_LIT_INIT("map"),
                                       LK_LIT_INIT("list") };

static lk_err open_with(replica *r, const lk_alloc *alloc, lk_slice scope, uint64_t capture,
                        bool ignore) {
  static const uint64_t origins[] = { ORIGIN };
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  lk_undo_options undo = LK_UNDO_OPTIONS_INIT;
  lk_node nodes[3], node;
  size_t count = 0;
  *r = (replica){ .alloc = *alloc };
  r->env = (lk_env)LK_ENV_INIT(&r->alloc, NULL);
  lk_buf_init(&r->sent, test_alloc(), 1 << 24);
  lk_err err = lk_doc_open(&r->env, &options, &r->doc);
  for (size_t i = 0; err == LK_OK && i < 3; i++) {
    err = lk_doc_root(r->doc, root_names[i], kind_of(root_names[i]), &node);
    if (scope.len == 0 || lk_slice_equal(scope, root_names[i])) nodes[count++] = node;
  }
  undo.capture_ms = capture;
  undo.origins = origins;
  undo.origin_count = 1;
  undo.ignore_remote_map_changes = ignore;
  undo.now_ms = tell_time;
  undo.now_ctx = r;
  if (err == LK_OK) err = lk_doc_on_update(r->doc, LK_UPDATE_V1, take_update, r, NULL);
  if (err == LK_OK) err = lk_undo_open(r->doc, nodes, count, &undo, &r->undo);
  return err;
}

static void open_replica(replica *r) {
  CHECK_OK(open_with(r, test_alloc(), LK_SLICE_EMPTY, 0, false));
}

static void close_replica(replica *r) {
  lk_undo_close(r->undo);
  lk_doc_close(r->doc);
  lk_buf_deinit(&r->sent);
}

/* ---- lines of commands ---- */

static lk_slice next_word(lk_slice *rest, char end) {
  size_t len = 0;
  while (len < rest->len && rest->ptr[len] != (uint8_t)end) len++;
  lk_slice word = lk_slice_first(*rest, len);
  *rest = lk_slice_skip(*rest, len < rest->len ? len + 1 : len);
  return word;
}

static uint64_t number_of(lk_slice word) {
  uint64_t number = 0;
  for (size_t i = 0; i < word.len; i++) number = number * 10 + (word.ptr[i] - '0');
  return number;
}

static bool is(lk_slice word, const char *text) {
  return lk_slice_equal(word, lk_slice_cstr(text));
}

static lk_err find_node(replica *r, lk_slice path, lk_node *out) {
  lk_value found;
  lk_slice name = next_word(&path, '/');
  lk_err err = lk_doc_root(r->doc, name, kind_of(name), out);
  while (err == LK_OK && path.len > 0) {
    lk_slice step = next_word(&path, '/');
    bool list = lk_doc_node_kind(r->doc, *out) == LK_NODE_ARRAY;
    err = list ? lk_doc_list_get(r->doc, *out, number_of(step), &found)
               : lk_doc_map_get(r->doc, *out, step, &found);
    if (err == LK_OK) *out = found.node;
  }
  return err;
}

static lk_node node_at(replica *r, const char *path) {
  lk_node node;
  CHECK_OK(find_node(r, lk_slice_cstr(path), &node));
  return node;
}

static lk_err add_numbers(replica *r, lk_node node, lk_slice at, lk_slice rest) {
  lk_value values[8];
  size_t count = 0;
  while (rest.len > 0) {
    values[count++] = (lk_value){ .kind = LK_VALUE_NUMBER,
                                  .number = (double)number_of(next_word(&rest, ' ')) };
  }
  return lk_doc_list_insert(r->doc, node, number_of(at), values, count);
}

static lk_err run_command(replica *r, lk_slice line) {
  lk_slice name = next_word(&line, ' ');
  lk_node node, made;
  lk_err err = find_node(r, next_word(&line, ' '), &node);
  if (err != LK_OK) return err;
  lk_slice at = next_word(&line, ' ');
  bool map = lk_doc_node_kind(r->doc, node) == LK_NODE_MAP;
  lk_value text = { .kind = LK_VALUE_STRING, .bytes = line };
  if (is(name, "ins")) return lk_doc_text_insert(r->doc, node, number_of(at), line, NULL);
  if (is(name, "del")) return lk_doc_text_delete(r->doc, node, number_of(at), number_of(line));
  if (is(name, "add")) return add_numbers(r, node, at, line);
  if (is(name, "cut")) return lk_doc_list_delete(r->doc, node, number_of(at), number_of(line));
  if (is(name, "set")) return lk_doc_map_set(r->doc, node, at, &text);
  if (is(name, "unset")) return lk_doc_map_delete(r->doc, node, at);
  if (is(name, "node") && map)
    return lk_doc_map_set_node(r->doc, node, at, kind_of(line), LK_SLICE_EMPTY, &made);
  if (is(name, "node")) {
    return lk_doc_list_insert_node(r->doc, node, number_of(at), kind_of(line), LK_SLICE_EMPTY,
                                   &made);
  }
  CHECK(is(name, "bold"));
  uint64_t length = number_of(next_word(&line, ' '));
  lk_attribute bold = {
    LK_LIT("bold"), { .kind = is(line, "on") ? LK_VALUE_BOOL : LK_VALUE_NULL, .boolean = true }
  };
  lk_attributes attributes = { &bold, 1 };
  return lk_doc_text_format(r->doc, node, number_of(at), length, &attributes);
}

/* What has been done of a line when one of its commands fails stays: here no faults are injected. */
static lk_err run_commands(replica *r, lk_slice line, uint64_t origin) {
  lk_err err = lk_doc_begin(r->doc, origin);
  if (err != LK_OK) return err;
  while (err == LK_OK && line.len > 0) {
    lk_slice command = next_word(&line, ';');
    if (line.len > 0) line = lk_slice_skip(line, 1);
    err = run_command(r, command);
  }
  lk_doc_commit(r->doc);
  return err;
}

static uint8_t nibble(uint8_t c) { return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10); }

static lk_err take(replica *r, lk_slice hex) {
  uint8_t bytes[1024];
  CHECK(hex.len / 2 <= sizeof bytes);
  for (size_t i = 0; i < hex.len / 2; i++) {
    bytes[i] = (uint8_t)(nibble(hex.ptr[2 * i]) << 4 | nibble(hex.ptr[2 * i + 1]));
  }
  return lk_doc_apply(r->doc, LK_UPDATE_V1, lk_slice_of(bytes, hex.len / 2), TAKEN);
}

static lk_err run(replica *r, lk_slice line) {
  lk_slice rest = line, first = next_word(&rest, ' ');
  if (is(first, "undo")) return lk_undo_undo(r->undo, NULL);
  if (is(first, "redo")) return lk_undo_redo(r->undo, NULL);
  if (is(first, "clear")) return lk_undo_clear(r->undo, is(rest, "undo"), is(rest, "redo"));
  if (is(first, "take")) return take(r, rest);
  if (is(first, "now")) r->now = number_of(rest);
  else if (is(first, "stop")) lk_undo_stop_capturing(r->undo);
  else if (is(first, "by"))
    return run_commands(r, lk_slice_skip(rest, 2), number_of(lk_slice_first(rest, 1)));
  else return run_commands(r, line, ORIGIN);
  return LK_OK;
}

static void do_line(replica *r, const char *line) { CHECK_OK(run(r, lk_slice_cstr(line))); }

/* ---- cases of Yjs ---- */

typedef struct vector_step {
  lk_slice line, sent, json;
  uint64_t undo, redo;
} vector_step;

#define STEPS_MAX 64

typedef struct vector_case {
  lk_slice name, scope, end;
  uint64_t capture;
  bool ignore;
  vector_step steps[STEPS_MAX];
  size_t step_count;
} vector_case;

typedef struct vectors {
  lk_json_reader reader;
  lk_arena arena;
  lk_limits limits;
} vectors;

static void read_steps(vectors *v, lk_slice json, vector_case *out) {
  lk_json_reader reader;
  lk_json_event event;
  lk_slice raw;
  CHECK_OK(lk_json_reader_init(&reader, json, &v->limits, &v->arena));
  CHECK_OK(lk_json_next(&reader, &event));
  for (out->step_count = 0; lk_json_skip_value(&reader, &raw) == LK_OK; out->step_count++) {
    lk_json_reader inner;
    lk_json_member m[] = { { .name = LK_LIT("line") },
                           { .name = LK_LIT("sent") },
                           { .name = LK_LIT("json") },
                           { .name = LK_LIT("undo") },
                           { .name = LK_LIT("redo") } };
    CHECK(out->step_count < STEPS_MAX);
    vector_step *step = &out->steps[out->step_count];
    CHECK_OK(lk_json_reader_init(&inner, raw, &v->limits, &v->arena));
    CHECK_OK(lk_json_read_members(&inner, m, 5));
    *step = (vector_step){ m[0].value.text, m[1].value.text, m[2].value.text, 0, 0 };
    CHECK_OK(lk_json_get_u64(&m[3].value, &step->undo));
    CHECK_OK(lk_json_get_u64(&m[4].value, &step->redo));
  }
}

static void open_vectors(vectors *v) {
  lk_json_event event;
  v->limits = lk_limits_default();
  v->limits.json_bytes = 1 << 24;
  lk_arena_init(&v->arena, test_alloc(), 1 << 24);
  CHECK_OK(lk_json_reader_init(&v->reader, test_read_file("tests/vectors/doc_undo.json"),
                               &v->limits, &v->arena));
  CHECK_OK(lk_json_next(&v->reader, &event));
}

static bool next_case(vectors *v, vector_case *out) {
  lk_json_reader inner;
  lk_slice raw;
  lk_json_member m[] = { { .name = LK_LIT("name") },   { .name = LK_LIT("scope") },
                         { .name = LK_LIT("end") },    { .name = LK_LIT("capture") },
                         { .name = LK_LIT("ignore") }, { .name = LK_LIT("steps") } };
  if (lk_json_skip_value(&v->reader, &raw) != LK_OK) return false;
  CHECK_OK(lk_json_reader_init(&inner, raw, &v->limits, &v->arena));
  CHECK_OK(lk_json_read_members(&inner, m, 6));
  out->name = m[0].value.text;
  out->scope = m[1].value.text;
  out->end = m[2].value.text;
  CHECK_OK(lk_json_get_u64(&m[3].value, &out->capture));
  CHECK_OK(lk_json_get_bool(&m[4].value, &out->ignore));
  read_steps(v, m[5].raw, out);
  return true;
}

static void check_json(replica *r, lk_slice want) {
  lk_buf json;
  lk_buf_init(&json, test_alloc(), 1 << 20);
  CHECK_OK(lk_doc_json(r->doc, &json));
  CHECK_SLICE(lk_buf_slice(&json), want);
  lk_buf_deinit(&json);
}

static void check_end(replica *r, lk_slice want) {
  lk_buf state, hex;
  lk_buf_init(&state, test_alloc(), 1 << 20);
  lk_buf_init(&hex, test_alloc(), 1 << 20);
  CHECK_OK(lk_doc_encode(r->doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &state));
  append_hex(&hex, lk_buf_slice(&state));
  CHECK_SLICE(lk_buf_slice(&hex), want);
  lk_buf_deinit(&state);
  lk_buf_deinit(&hex);
}

static void play(const vector_case *one) {
  replica r;
  test_note("%.*s", (int)one->name.len, (const char *)one->name.ptr);
  CHECK_OK(open_with(&r, test_alloc(), one->scope, one->capture, one->ignore));
  for (size_t i = 0; i < one->step_count; i++) {
    const vector_step *step = &one->steps[i];
    test_note("  %.*s", (int)step->line.len, (const char *)step->line.ptr);
    CHECK_OK(run(&r, step->line));
    CHECK_SLICE(lk_buf_slice(&r.sent), step->sent);
    check_json(&r, step->json);
    CHECK_U64(lk_undo_undo_count(r.undo), step->undo);
    CHECK_U64(lk_undo_redo_count(r.undo), step->redo);
    CHECK_DOC(r.doc);
    lk_buf_truncate(&r.sent, 0);
  }
  check_end(&r, one->end);
  close_replica(&r);
}

TEST(undoing_and_redoing_sends_the_bytes_of_yjs) {
  static vector_case one;
  vectors v;
  size_t count = 0;
  open_vectors(&v);
  for (; next_case(&v, &one); count++) play(&one);
  CHECK(count > 40);
  lk_arena_deinit(&v.arena);
}

/* ---- what the caller sees ---- */

typedef struct diary {
  lk_buf lines;
  uint64_t cursor;
} diary;

static void keep_diary(void *ctx, lk_undo *undo, bool is_redo, bool popped, uint64_t *meta) {
  diary *self = ctx;
  (void)undo;
  lk_buf_append(&self->lines, is_redo ? LK_LIT("redo") : LK_LIT("undo"));
  lk_buf_append(&self->lines, popped ? LK_LIT("-") : LK_LIT("+"));
  lk_buf_append_decimal(&self->lines, *meta);
  lk_buf_append(&self->lines, LK_LIT(" "));
  if (!popped) *meta = self->cursor;
}

TEST(what_the_caller_keeps_with_an_item_comes_back_with_it) {
  replica r;
  diary d = { .cursor = 5 };
  CHECK_OK(open_with(&r, test_alloc(), LK_SLICE_EMPTY, 500, false));
  lk_buf_init(&d.lines, test_alloc(), 1 << 16);
  lk_undo_on_item(r.undo, keep_diary, &d);
  r.now = 1000;
  do_line(&r, "ins text 0 a");
  d.cursor = 6;
  do_line(&r, "ins text 1 b");
  lk_undo_stop_capturing(r.undo);
  d.cursor = 7;
  do_line(&r, "ins text 2 c");
  d.cursor = 8;
  do_line(&r, "undo");
  do_line(&r, "undo");
  do_line(&r, "redo");
  CHECK_TEXT(lk_buf_slice(&d.lines),
             "undo+0 undo+5 undo+0 redo+0 undo-7 redo+0 undo-6 undo+0 redo-8 ");
  lk_buf_deinit(&d.lines);
  close_replica(&r);
}

TEST(undoing_says_whether_there_was_something_to_undo) {
  replica r;
  bool done = true;
  open_replica(&r);
  CHECK_OK(lk_undo_undo(r.undo, &done));
  CHECK(!done);
  do_line(&r, "ins text 0 a");
  CHECK_OK(lk_undo_undo(r.undo, &done));
  CHECK(done);
  CHECK_OK(lk_undo_redo(r.undo, &done));
  CHECK(done);
  do_line(&r, "by 2 del text 0 1");
  CHECK_OK(lk_undo_undo(r.undo, &done)); /* it is gone already: the entry is dropped */
  CHECK(!done);
  CHECK_U64(lk_undo_undo_count(r.undo), 0);
  close_replica(&r);
}

static void undo_again(void *ctx, lk_doc *doc, const lk_event *event) {
  (void)doc, (void)event;
  CHECK_ERR(lk_undo_undo(ctx, NULL), LK_ERR_STATE);
}

TEST(an_observer_of_what_is_undone_cannot_undo) {
  replica r;
  open_replica(&r);
  do_line(&r, "ins text 0 a");
  do_line(&r, "ins text 1 b");
  CHECK_OK(lk_doc_observe(r.doc, node_at(&r, "text"), undo_again, r.undo, NULL));
  do_line(&r, "undo");
  CHECK_U64(lk_undo_undo_count(r.undo), 1);
  CHECK_U64(lk_undo_redo_count(r.undo), 1);
  close_replica(&r);
}

TEST(a_whole_document_is_watched_and_what_changes_nothing_does_not_count) {
  replica r;
  lk_undo *whole;
  lk_node late;
  lk_undo_options options = LK_UNDO_OPTIONS_INIT;
  open_replica(&r);
  CHECK_OK(lk_undo_open(r.doc, NULL, 0, &options, &whole));
  do_line(&r, "by 0 ins text 0 a");
  CHECK_OK(lk_doc_root(r.doc, LK_LIT("late"), LK_NODE_TEXT, &late));
  CHECK_OK(lk_doc_text_insert(r.doc, late, 0, LK_LIT("x"), NULL));
  do_line(&r, "by 7 ins text 0 b");
  CHECK_U64(lk_undo_undo_count(whole), 2);
  CHECK_OK(lk_undo_undo(whole, NULL));
  CHECK_OK(lk_doc_root(r.doc, LK_LIT("later"), LK_NODE_TEXT, &late));
  CHECK_U64(lk_undo_redo_count(whole), 1);
  CHECK_OK(lk_undo_undo(whole, NULL));
  check_json(&r, LK_LIT("{\"text\":\"b\",\"map\":{},\"list\":[],\"late\":\"\",\"later\":\"\"}"));
  lk_undo_close(whole);
  close_replica(&r);
}

TEST(origins_and_nodes_may_be_added_later) {
  replica r;
  CHECK_OK(open_with(&r, test_alloc(), LK_LIT("text"), 0, false));
  CHECK_OK(lk_undo_add_origin(r.undo, 2));
  CHECK_OK(lk_undo_add_origin(r.undo, 2));
  do_line(&r, "by 2 ins text 0 a");
  CHECK_U64(lk_undo_undo_count(r.undo), 1);
  lk_undo_remove_origin(r.undo, 2);
  do_line(&r, "by 2 ins text 0 a");
  do_line(&r, "set map k v");
  CHECK_U64(lk_undo_undo_count(r.undo), 1);
  CHECK_OK(lk_undo_add_scope(r.undo, node_at(&r, "map")));
  do_line(&r, "set map k w");
  CHECK_U64(lk_undo_undo_count(r.undo), 2);
  close_replica(&r);
}

/* ---- a lot of it ---- */

/* Each of the characters is an item of its own, in an order that has nothing to do with that of its clock. */
TEST(a_large_node_is_made_again_in_one_go) {
  replica r;
  lk_node text;
  lk_buf before, after;
  uint32_t seed = 5;
  open_replica(&r);
  lk_buf_init(&before, test_alloc(), 1 << 20);
  lk_buf_init(&after, test_alloc(), 1 << 20);
  do_line(&r, "node list 0 text");
  text = node_at(&r, "list/0");
  for (uint32_t i = 0; i < 3000; i++) {
    uint8_t c = (uint8_t)('a' + i % 26);
    seed = seed * 1664525 + 1013904223;
    CHECK_OK(lk_doc_text_insert(r.doc, text, (seed >> 8) % (i + 1), lk_slice_of(&c, 1), NULL));
  }
  CHECK_OK(lk_doc_text_string(r.doc, text, &before));
  do_line(&r, "cut list 0 1");
  do_line(&r, "undo"); /* that it was filled was not followed: it comes back full */
  CHECK_COVERED(doc_undo_shelf);
  CHECK_OK(lk_doc_text_string(r.doc, node_at(&r, "list/0"), &after));
  CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
  CHECK_DOC(r.doc);
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  close_replica(&r);
}

/* ---- without memory ---- */

static void check_same(replica *r, lk_buf *json, const lk_buf *before) {
  lk_buf_truncate(json, 0);
  CHECK_OK(lk_doc_json(r->doc, json));
  CHECK_SLICE(lk_buf_slice(json), lk_buf_slice(before));
}

/* What undoes changes nothing where it fails. Other lines may find that what they build on was not made. */
static void run_under_faults(faulty *faults, replica *r, lk_slice line) {
  lk_buf before, after;
  size_t undo = lk_undo_undo_count(r->undo), redo = lk_undo_redo_count(r->undo);
  uint64_t fail_at = faults->fail_at;
  bool undoes = is(line, "undo") || is(line, "redo");
  lk_buf_init(&before, test_alloc(), 1 << 20);
  lk_buf_init(&after, test_alloc(), 1 << 20);
  faults->fail_at = 0;
  CHECK_OK(lk_doc_json(r->doc, &before));
  faults->fail_at = fail_at;
  lk_err err = run(r, line);
  faults->fail_at = 0;
  CHECK(err == LK_OK || (undoes ? err == LK_ERR_NOMEM : faults->hit));
  if (err != LK_OK && undoes) {
    check_same(r, &after, &before);
    CHECK_U64(lk_undo_undo_count(r->undo), undo);
    CHECK_U64(lk_undo_redo_count(r->undo), redo);
  }
  CHECK_DOC(r->doc);
  faults->fail_at = fail_at;
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
}

TEST(undoing_without_memory_changes_nothing) {
  static const char *const lines[] = {
    "node list 0 array",
    "add list/0 0 1 2 3",
    "set map k v",
    "set map k w",
    "ins text 0 abcdef",
    "bold text 1 3 on",
    "del text 2 2",
    "cut list 0 1",
    "undo",
    "undo",
    "redo",
    "undo",
    "undo",
    "undo",
    "redo",
    "redo",
    "redo",
    "clear redo",
    "undo",
    "clear undo",
  };
  FAULT_LOOP(faults, test_alloc()) {
    replica r;
    lk_err err = open_with(&r, faulty_alloc(&faults), LK_SLICE_EMPTY, 0, false);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    for (size_t i = 0; err == LK_OK && i < sizeof lines / sizeof *lines; i++) {
      run_under_faults(&faults, &r, lk_slice_cstr(lines[i]));
    }
    close_replica(&r);
  }
}
