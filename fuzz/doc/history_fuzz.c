/* Snapshots, positions and versions from strangers: refused, or good for every question about them. */
#include "codec/json_reader.h"
#include "harness/test.h"
#include "laniakea/doc_history.h"
#include "doc/engine.h"

/* Of the document below, behind a byte that says the format: its end, its beginning, ranges that overlap, a cut pair. */
static const lk_slice snapshots[] = {
  LK_LIT_INIT("\x00\x01\x05\x01\x02\x02\x01\x05\x10"),         LK_LIT_INIT("\x00\x00\x01\x05\x03"),
  LK_LIT_INIT("\x00\x01\x05\x02\x00\x04\x03\x02\x01\x05\x08"), LK_LIT_INIT("\x00\x00\x01\x05\x07"),
  LK_LIT_INIT("\x01\x01\x05\x02\x02\x00\x01\x01\x01\x05\x0C"),
};

static const lk_slice positions[] = {
  LK_LIT_INIT("\x00\x05\x03\x00"), LK_LIT_INIT("\x00\x05\x03\x41"), LK_LIT_INIT("\x01\x01t\x00"),
  LK_LIT_INIT("\x02\x05\x0C\x00"), LK_LIT_INIT("\x01\x01t"),
};

static const lk_slice jsons[] = {
  LK_LIT_INIT("{\"tname\":\"t\",\"item\":{\"client\":5,\"clock\":3},\"assoc\":0}"),
  LK_LIT_INIT("{\"type\":{\"client\":5,\"clock\":12},\"assoc\":-1}"),
  LK_LIT_INIT("{\"tname\":\"t\",\"item\":null}"),
};

/* Behind the same byte: 9:4 GC; 5:0 "ab", Skip, deleted; a map; a text with formatting. */
static const lk_slice updates[] = {
  LK_LIT_INIT(
      "\x00\x02\x01\x09\x04\x00\x03\x03\x05\x00\x04\x01\x01t\x02"
      "ab\x0A\x04\x81\x05\x01\x02\x03\x09\x02\x04\x02\x05\x01\x07\x01\x00\x05\x05\x01\x00\x01"),
  LK_LIT_INIT("\x00\x01\x01\x05\x00\x28\x01\x01m\x01k\x01\x77\x01x\x00"),
  LK_LIT_INIT("\x00\x01\x03\x01\x00\x06\x01\x01t\x04"
              "bold\x04"
              "true\x84\x01\x00\x02"
              "ab\x86\x01\x02\x04"
              "bold\x04null\x00"),
};

typedef struct subject {
  lk_env env;
  lk_doc *doc;
  lk_node text;
} subject;

static lk_doc *open_doc(const lk_env *env) {
  lk_doc *doc;
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = 5;
  options.keep_deleted = true;
  CHECK_OK(lk_doc_open(env, &options, &doc));
  return doc;
}

/* A text with a deletion, formatting and a pair, and a node in a map. */
static void open_subject(subject *s) {
  lk_attribute bold = { LK_LIT("bold"), { .kind = LK_VALUE_BOOL, .boolean = true } };
  lk_attributes attributes = { &bold, 1 };
  lk_node map, inner;
  s->env = (lk_env)LK_ENV_INIT(test_alloc(), NULL);
  s->doc = open_doc(&s->env);
  CHECK_OK(lk_doc_root(s->doc, LK_LIT("t"), LK_NODE_TEXT, &s->text));
  CHECK_OK(lk_doc_root(s->doc, LK_LIT("m"), LK_NODE_MAP, &map));
  CHECK_OK(lk_doc_text_insert(s->doc, s->text, 0, LK_LIT("abcdef\xF0\x9F\x98\x80h"), NULL));
  CHECK_OK(lk_doc_text_delete(s->doc, s->text, 2, 2));
  CHECK_OK(lk_doc_text_format(s->doc, s->text, 1, 2, &attributes));
  CHECK_OK(lk_doc_map_set_node(s->doc, map, LK_LIT("k"), LK_NODE_TEXT, LK_SLICE_EMPTY, &inner));
  CHECK_OK(lk_doc_text_insert(s->doc, inner, 0, LK_LIT("xyz"), NULL));
}

static lk_buf buffer(void) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 22);
  return out;
}

static lk_update_format take_format(lk_slice *in) {
  lk_update_format format = in->len > 0 && in->ptr[0] % 2 != 0 ? LK_UPDATE_V2 : LK_UPDATE_V1;
  *in = lk_slice_skip(*in, in->len > 0);
  return format;
}

static void check_json(const lk_buf *out) {
  lk_limits limits = lk_limits_default();
  limits.json_bytes = 1u << 24;
  limits.json_depth = LK_JSON_DEPTH_MAX;
  CHECK_OK(lk_json_check(lk_buf_slice(out), &limits, NULL));
}

/* What a document at the snapshot reads is what the delta at the snapshot says. */
static void check_restored(subject *s, lk_update_format format, lk_slice snapshot) {
  lk_buf update = buffer(), there = buffer(), here = buffer();
  lk_err err = lk_doc_at_snapshot(s->doc, format, snapshot, format, &update);
  CHECK(err == LK_OK || (err == LK_ERR_NOT_FOUND && update.len == 0));
  if (err == LK_OK) {
    lk_node text;
    lk_doc *old = open_doc(&s->env);
    CHECK_OK(lk_doc_root(old, LK_LIT("t"), LK_NODE_TEXT, &text));
    CHECK_OK(lk_doc_apply(old, format, lk_buf_slice(&update), 0));
    CHECK_OK(lk_doc_text_delta(old, text, &there));
    CHECK_OK(lk_doc_text_delta_at(s->doc, s->text, format, snapshot, LK_SLICE_EMPTY, &here));
    CHECK_SLICE(lk_buf_slice(&here), lk_buf_slice(&there));
    lk_doc_close(old);
  }
  lk_buf_deinit(&update);
  lk_buf_deinit(&there);
  lk_buf_deinit(&here);
}

/* also fuzzes: lk_doc_at_snapshot, lk_doc_text_delta_at, lk_doc_compare_snapshots */
FUZZ(lk_snapshot_equal) {
  uint8_t scratch[256];
  lk_slice in = gen_hostile(g, snapshots, 5, scratch, sizeof scratch);
  lk_update_format format = take_format(&in);
  subject s;
  bool equal = false;
  lk_buf out = buffer();
  open_subject(&s);
  lk_err err = lk_snapshot_equal(&s.env, format, in, in, &equal);
  CHECK((err == LK_OK) == equal);
  if (in.len > 0) {
    CHECK_ERR(lk_doc_text_delta_at(s.doc, s.text, format, in, in, &out), err);
    if (err == LK_OK) check_json(&out);
    lk_buf_truncate(&out, 0);
    CHECK_ERR(lk_doc_compare_snapshots(s.doc, format, in, LK_SLICE_EMPTY, NULL, NULL, &out), err);
    if (err == LK_OK) check_json(&out);
    if (err == LK_OK) check_restored(&s, format, in);
    else CHECK_U64(out.len, 0);
  }
  lk_buf_deinit(&out);
  lk_doc_close(s.doc);
}

FUZZ(lk_doc_resolve_position) {
  uint8_t scratch[64];
  lk_slice in = gen_hostile(g, positions, 5, scratch, sizeof scratch);
  subject s;
  lk_node node;
  uint64_t index;
  open_subject(&s);
  if (lk_doc_resolve_position(s.doc, in, &node, &index) == LK_OK) {
    CHECK(lk_doc_has_node(s.doc, node));
    CHECK(index <= lk_doc_node_length(s.doc, node));
  }
  lk_doc_close(s.doc);
}

FUZZ(lk_position_of_json) {
  uint8_t scratch[256];
  lk_slice in = gen_hostile(g, jsons, 3, scratch, sizeof scratch);
  subject s;
  lk_buf out = buffer();
  open_subject(&s);
  if (lk_position_of_json(&s.env, in, &out) == LK_OK) {
    lk_err err = lk_doc_resolve_position(s.doc, lk_buf_slice(&out), NULL, NULL);
    CHECK(err == LK_OK || err == LK_ERR_NOT_FOUND);
  } else {
    CHECK_U64(out.len, 0);
  }
  lk_buf_deinit(&out);
  lk_doc_close(s.doc);
}

FUZZ(lk_doc_compare) {
  uint8_t scratch[256];
  lk_slice in = gen_hostile(g, updates, 3, scratch, sizeof scratch);
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_update_format format = take_format(&in);
  lk_buf out = buffer();
  /* a stranger's version against nothing, and against a part of itself */
  lk_slice befores[] = { LK_SLICE_EMPTY, lk_slice_skip(in, in.len / 2), in };
  for (size_t i = 0; i < 3; i++) {
    lk_buf_truncate(&out, 0);
    lk_err err = lk_doc_compare(&env, format, befores[i], in, NULL, NULL, &out);
    if (err == LK_OK) check_json(&out);
    else CHECK_U64(out.len, 0);
    if (i == 2 && err == LK_OK) CHECK_TEXT(lk_buf_slice(&out), "{\"clients\":[],\"roots\":{}}");
  }
  lk_buf_deinit(&out);
}
