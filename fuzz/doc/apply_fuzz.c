/* Updates from strangers, one after the other, into a document that holds something: whatever they say, it stays whole,
 * and what it says of itself makes the same document again. */
#include <stdlib.h>

#include "doc/engine.h"
#include "harness/test.h"
#include "tests/unit/doc/check.h"
#include "tests/unit/doc/craft.h"

#define MAX ((size_t)1 << 16)
#define STRUCTS_MAX 8192u /* V2 claims any number in a few bytes */

static void open_doc(const lk_env *env, lk_doc **doc, uint64_t client) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = client;
  CHECK_OK(lk_doc_open(env, &options, doc));
  (*doc)->limits.doc_structs_count = STRUCTS_MAX;
}

/* Text with holes, a map, an array with a nested text, something pending. */
static void fill(lk_doc *doc) {
  craft u;
  static const uint8_t any[] = { 0x7D, 0x01 };
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 3, 0);
  craft_text(&u, CRAFT_NONE, CRAFT_NONE, "hello");
  craft_text(&u, AT(3, 4), CRAFT_NONE, "world");
  craft_entry(&u, CRAFT_NONE, "m", "k", lk_slice_of(any, 2));
  craft_entry(&u, AT(3, 10), "m", "k", lk_slice_of(any, 2));
  craft_type(&u, AT(3, 9), CRAFT_NONE, 2);
  craft_text_in(&u, AT(3, 12), "nested");
  craft_client(&u, 2, 0);
  craft_text(&u, AT(3, 2), AT(3, 3), "!");
  craft_text(&u, AT(1, 7), CRAFT_NONE, "late");
  craft_client(&u, 1, 2);
  craft_text(&u, CRAFT_NONE, CRAFT_NONE, "abc");
  craft_deletes(&u);
  lk_update_write_delete_client(&u.writer, 3, 2);
  lk_update_write_delete(&u.writer, 1, 2);
  lk_update_write_delete(&u.writer, 14, 30);
  CHECK_OK(lk_doc_apply(doc, LK_UPDATE_V1, craft_end(&u), 0));
  craft_free(&u);
}

/* Whoever loads what |doc| says has the same. */
static void check_loads(const lk_env *env, lk_doc *doc) {
  lk_doc *other;
  lk_buf state, again;
  lk_buf_init(&state, test_alloc(), 1 << 26);
  lk_buf_init(&again, test_alloc(), 1 << 26);
  lk_err err = lk_doc_encode(doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &state);
  CHECK(err == LK_OK || err == LK_ERR_LIMIT);
  if (err == LK_OK) {
    open_doc(env, &other, 78);
    err = lk_doc_load(other, LK_UPDATE_V1, lk_buf_slice(&state), 0);
    CHECK_DOC(other);
    /* known to differ: limits of what merging updates writes twice */
    if (err != LK_ERR_LIMIT) CHECK_OK(err);
    lk_doc_close(other);
  }
  lk_buf_deinit(&state);
  lk_buf_deinit(&again);
}

static lk_slice next_part(lk_gen *g, lk_slice *rest) {
  (void)g;
  if (rest->len < 2) return (lk_slice){ rest->ptr, 0 };
  size_t len = lk_min_size((size_t)(rest->ptr[0] | rest->ptr[1] << 8), rest->len - 2);
  lk_slice part = lk_slice_of(rest->ptr + 2, len);
  *rest = lk_slice_skip(*rest, 2 + len);
  return part;
}

/* also fuzzes: lk_doc_load */
FUZZ(lk_doc_apply) {
  static uint8_t scratch[MAX];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_doc *doc;
  bool parts = gen_bool(g);
  lk_update_format format = gen_bool(g) ? LK_UPDATE_V1 : LK_UPDATE_V2;
  open_doc(&env, &doc, 77);
  fill(doc);
  CHECK_DOC(doc);
  lk_buf sample;
  lk_buf_init(&sample, test_alloc(), 1 << 20);
  CHECK_OK(lk_doc_encode(doc, format, LK_SLICE_EMPTY, &sample));
  lk_slice samples[] = { lk_buf_slice(&sample) };
  lk_slice rest = gen_hostile(g, samples, 1, scratch, sizeof scratch);
  for (uint32_t i = 0; i < 16 && rest.len > 0; i++) {
    lk_slice update = parts ? next_part(g, &rest) : rest;
    if (!parts) rest.len = 0;
    lk_err err = lk_doc_apply(doc, format, update, 0);
    (void)err;
    CHECK_DOC(doc);
  }
  check_loads(&env, doc);
  lk_buf_deinit(&sample);
  lk_doc_close(doc);
}

/* Whatever a stranger says to have, he gets an update, or a named error and nothing. */
FUZZ(lk_doc_read_state_vector) {
  static uint8_t scratch[MAX];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_doc *doc, *other;
  lk_update_format format = gen_bool(g) ? LK_UPDATE_V1 : LK_UPDATE_V2;
  lk_buf sv, update;
  lk_buf_init(&sv, test_alloc(), 1 << 20);
  lk_buf_init(&update, test_alloc(), 1 << 20);
  open_doc(&env, &doc, 77);
  open_doc(&env, &other, 78);
  fill(doc);
  CHECK_OK(lk_doc_state_vector(doc, &sv));
  lk_slice samples[] = { lk_buf_slice(&sv) };
  lk_slice input = gen_hostile(g, samples, 1, scratch, sizeof scratch);
  uint32_t froms[8] = { 0 };
  CHECK(doc->clients.count <= 8);
  lk_err reads = lk_doc_read_state_vector(doc, input, froms);
  lk_err err = lk_doc_encode(doc, format, input, &update);
  CHECK_ERR(err, reads);
  if (err == LK_OK) CHECK_OK(lk_doc_apply(other, format, lk_buf_slice(&update), 0));
  else CHECK_U64(lk_buf_slice(&update).len, 0);
  CHECK_DOC(other);
  lk_buf_deinit(&sv);
  lk_buf_deinit(&update);
  lk_doc_close(doc);
  lk_doc_close(other);
}
