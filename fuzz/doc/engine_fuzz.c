/* Structs with any neighbours, from any client, in any order: a document takes them in or refuses them, stays whole, and
 * refuses without a trace. Between them its own user types. */
#include "doc/engine.h"
#include "harness/test.h"
#include "tests/unit/doc/check.h"
#include "tests/unit/doc/craft.h"

#define CLIENTS 5

/* Small numbers, so that they meet. */
static lk_doc_id draw_id(lk_gen *g) {
  if (gen_chance(g, 1, 4)) return CRAFT_NONE;
  return AT(1 + gen_below(g, CLIENTS), gen_below(g, 24));
}

static void draw_struct(lk_gen *g, craft *u) {
  static const char *const texts[] = { "a", "bc", "defg", "hijklmnopqrstuvwxyz" };
  static const uint8_t any[] = { 0x7D, 0x01, 0x7E, 0x77, 0x01, 0x61 };
  lk_doc_id origin = draw_id(g), right = draw_id(g);
  /* cut under its own feet: the checker cannot tell its depth */
  if (right.client == origin.client && right.clock <= origin.clock) right = CRAFT_NONE;
  uint32_t kind = gen_below(g, 10);
  lk_struct view = craft_view(origin, right, LK_CONTENT_STRING, 1);
  if (view.parent_form == LK_PARENT_ROOT) {
    if (gen_bool(g)) view.parent_name = LK_LIT("s");
    if (gen_chance(g, 1, 3)) {
      view.parent_form = LK_PARENT_ITEM;
      view.parent_id = AT(1 + gen_below(g, CLIENTS), gen_below(g, 24));
    }
  }
  switch (kind) {
  case 0: craft_gc(u, 1 + gen_below(g, 4)); return;
  case 1:
    view.kind = LK_CONTENT_DELETED;
    view.len = 1 + gen_below(g, 5);
    break;
  case 2:
    view.kind = LK_CONTENT_TYPE;
    view.type_ref = (uint8_t)gen_below(g, 3);
    break;
  case 3:
    view.kind = LK_CONTENT_ANY;
    view.len = 3;
    view.value = lk_slice_of(any, sizeof any);
    break;
  case 4: lk_update_put_skip(&u->writer, 1 + gen_below(g, 4)); return;
  case 5:
    view.text.text = LK_LIT("\xF0\x9F\x98\x80\xC3\xA9");
    view.len = 3;
    break;
  case 6:
    view.kind = LK_CONTENT_FORMAT;
    view.key = LK_LIT("b");
    view.value = LK_LIT("true");
    view.value_is_json = true;
    break;
  default: view.text.text = lk_slice_cstr(texts[gen_below(g, 4)]); view.len = view.text.text.len;
  }
  view.info = (uint8_t)((view.info & ~LK_INFO_CONTENT) | view.kind);
  if (gen_chance(g, 1, 4)) {
    view.info |= LK_INFO_SUB;
    view.sub = gen_bool(g) ? LK_LIT("k") : LK_LIT("l");
  }
  craft_put(u, &view);
}

static void draw_update(lk_gen *g, craft *u) {
  craft_begin(u, LK_UPDATE_V1);
  uint32_t client = CLIENTS;
  for (uint32_t sections = 1 + gen_below(g, 3); sections > 0 && client > 0; sections--) {
    client -= gen_below(g, lk_min_u32(2, client));
    craft_client(u, client, gen_below(g, 24));
    for (uint32_t structs = 1 + gen_below(g, 4); structs > 0; structs--) draw_struct(g, u);
    client--;
  }
  craft_deletes(u);
  for (uint32_t i = gen_below(g, 3); i > 0; i--)
    craft_delete(u, 1 + gen_below(g, CLIENTS), gen_below(g, 30), 1 + gen_below(g, 8));
}

static void encode(const lk_doc *doc, lk_buf *out) {
  lk_buf_init(out, test_alloc(), 1 << 24);
  CHECK_OK(lk_doc_encode(doc, LK_UPDATE_V1, LK_SLICE_EMPTY, out));
}

/* Refused is refused: nothing is left of it. */
static void apply_one(lk_doc *doc, lk_slice update) {
  lk_buf before, after;
  encode(doc, &before);
  lk_doc_pending pending = lk_doc_get_pending(doc);
  lk_err err = lk_doc_apply(doc, LK_UPDATE_V1, update, 0);
  CHECK_DOC(doc);
  encode(doc, &after);
  if (err != LK_OK) {
    CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
    CHECK_U64(lk_doc_get_pending(doc).structs, pending.structs);
    CHECK_U64(lk_doc_get_pending(doc).bytes, pending.bytes);
  }
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
}

static void type_one(lk_gen *g, lk_doc *doc, lk_node text) {
  uint32_t units = (uint32_t)lk_doc_node_length(doc, text), at = gen_below(g, units + 1);
  if (gen_chance(g, 1, 3))
    CHECK_OK(lk_doc_text_delete(doc, text, at, gen_below(g, lk_min_u32(units - at, 3) + 1)));
  else
    CHECK_OK(
        lk_doc_text_insert(doc, text, at, gen_bool(g) ? LK_LIT("xy") : LK_LIT("\xC3\xA9"), NULL));
  CHECK_DOC(doc);
}

PROPERTY(a_document_takes_any_structs_or_refuses_them) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = 9;
  options.keep_deleted = gen_chance(g, 1, 4);
  lk_doc *doc;
  lk_node text;
  craft u;
  CHECK_OK(lk_doc_open(&env, &options, &doc));
  CHECK_OK(lk_doc_root(doc, LK_LIT("r"), LK_NODE_TEXT, &text));
  for (uint32_t turns = gen_below(g, 24); turns > 0; turns--) {
    if (gen_chance(g, 1, 4)) {
      type_one(g, doc, text);
      continue;
    }
    draw_update(g, &u);
    apply_one(doc, craft_end(&u));
    if (gen_chance(g, 1, 3)) apply_one(doc, lk_buf_slice(&u.out));
    craft_free(&u);
  }
  lk_doc_close(doc);
}
