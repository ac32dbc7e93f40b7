/* Goal: an update leaves the same document and tells observers the same, whichever way it is taken in: at once
 * (text_fast.c), in bulk (apply_plain.c), or struct by struct.
 * Method: documents of few items, and updates for them that no editor would write: any structs beside any others, any
 * ranges of any client, in V1 and V2. A twin gets each in a form that is not taken in at once; the checker looks at both
 * behind each. Now and then memory runs out first, or the end is missing, and nothing may have changed. */
#include <string.h>

#include "check.h"
#include "craft.h"
#include "doc/engine.h"
#include "harness/test.h"

#define ORIGIN 5
#define OTHERS 4
static const uint64_t others[OTHERS] = { 38, 31, 17, 3 };

/* ---- two documents ---- */

typedef struct twin {
  lk_alloc table;
  lk_env env;
  lk_doc *doc;
  lk_gen *failing; /* whom to ask whether there is memory; NULL: there is */
  lk_buf heard;    /* all updates that it told of */
  uint32_t ears[2];
} twin;

static void *twin_resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  twin *self = ctx;
  if (self->failing != NULL && new_size > old_size && gen_chance(self->failing, 1, 3)) return NULL;
  return test_alloc()->resize(test_alloc()->ctx, ptr, old_size, new_size);
}

static void hear(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  twin *self = ctx;
  (void)doc, (void)local;
  CHECK_U64(origin, ORIGIN);
  lk_buf_append(&self->heard, update);
}

static void twin_open(twin *self, bool keep_deleted) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = 20;
  options.keep_deleted = keep_deleted;
  *self = (twin){ .table = { twin_resize, self } };
  self->env = (lk_env)LK_ENV_INIT(&self->table, NULL);
  lk_buf_init(&self->heard, test_alloc(), 1 << 26);
  CHECK_OK(lk_doc_open(&self->env, &options, &self->doc));
}

static void twin_close(twin *self) {
  lk_doc_close(self->doc);
  lk_buf_deinit(&self->heard);
}

/* Who listened to updates of |format| goes, or comes. */
static void twin_listen(twin *self, lk_update_format format) {
  uint32_t *ear = &self->ears[format == LK_UPDATE_V1];
  if (*ear == 0) {
    CHECK_OK(lk_doc_on_update(self->doc, format, hear, self, ear));
    return;
  }
  lk_doc_off(self->doc, *ear);
  *ear = 0;
}

static void take_state(const lk_doc *doc, lk_buf *out) {
  lk_buf_init(out, test_alloc(), 1 << 26);
  CHECK_OK(lk_doc_encode(doc, LK_UPDATE_V1, LK_SLICE_EMPTY, out));
}

static void check_same_twins(twin *a, twin *b) {
  lk_buf x, y;
  CHECK_DOC(a->doc);
  CHECK_DOC(b->doc);
  take_state(a->doc, &x);
  take_state(b->doc, &y);
  CHECK_SLICE(lk_buf_slice(&x), lk_buf_slice(&y));
  CHECK_SLICE(lk_buf_slice(&a->heard), lk_buf_slice(&b->heard));
  lk_buf_deinit(&x);
  lk_buf_deinit(&y);
}

/* ---- updates ---- */

static lk_doc_id any_place(lk_gen *g, lk_doc *doc) {
  if (doc->clients.count == 0) return CRAFT_NONE;
  uint16_t number = (uint16_t)gen_below(g, doc->clients.count);
  const lk_client *client = &doc->clients.at[number];
  if (client->clock == 0) return CRAFT_NONE;
  uint32_t clock = gen_below(g, client->clock);
  if (gen_bool(g)) clock = lk_item_end(&doc->items[lk_client_item(doc, number, clock)]) - 1;
  return AT(client->id, clock);
}

/* What stands right of |place|. */
static lk_doc_id right_of(lk_doc *doc, lk_doc_id place) {
  uint16_t number = lk_client_find(doc, place.client);
  if (number == LK_NO_CLIENT || place.clock >= doc->clients.at[number].clock) return CRAFT_NONE;
  const lk_item *item = &doc->items[lk_client_item(doc, number, (uint32_t)place.clock)];
  if (lk_item_end(item) - 1 > place.clock) return AT(place.client, place.clock + 1);
  if (item->right == LK_NONE) return CRAFT_NONE;
  item = &doc->items[item->right];
  return AT(doc->clients.at[item->client].id, item->clock);
}

static lk_struct draw_text(lk_gen *g, lk_doc_id origin, lk_doc_id right) {
  static const char *const texts[] = { "a",
                                       "bc",
                                       "def",
                                       "0123456789",
                                       "more than what is copied by words, as a rule",
                                       "\xC3\xA9",
                                       "\xF0\x9F\x98\x80" };
  static const uint8_t units[] = { 1, 2, 3, 10, 44, 1, 2 };
  uint32_t which = gen_below(g, gen_chance(g, 1, 8) ? 7 : 4);
  lk_struct view = craft_view(origin, right, LK_CONTENT_STRING, units[which]);
  view.text.text = lk_slice_cstr(texts[which]);
  return view;
}

static lk_struct draw_struct(lk_gen *g, lk_doc_id origin, lk_doc_id right) {
  lk_struct view;
  switch (gen_below(g, 16)) {
  case 0: return craft_view(CRAFT_NONE, CRAFT_NONE, LK_CONTENT_GC, 1 + gen_below(g, 3));
  case 1:
    view = craft_view(origin, right, LK_CONTENT_TYPE, 1);
    view.type_ref = (uint8_t)gen_below(g, 3);
    return view;
  case 2:
    view = craft_view(origin, right, LK_CONTENT_EMBED, 1);
    view.value = LK_LIT("\x7D\x05");
    return view;
  case 3:
  case 4:
    view = craft_view(origin, right, LK_CONTENT_ANY, 1);
    view.value = LK_LIT("\x7D\x05");
    return view;
  case 5:
  case 6:
  case 7: return craft_view(origin, right, LK_CONTENT_DELETED, 1 + gen_below(g, 4));
  default: return draw_text(g, origin, right);
  }
}

/* Structs of one client; mostly each goes on where the last one ended. */
static void put_section(lk_gen *g, lk_doc *doc, craft *out, uint64_t id, uint32_t most) {
  uint16_t number = lk_client_find(doc, id);
  uint32_t clock = number == LK_NO_CLIENT ? 0 : doc->clients.at[number].clock;
  if (gen_chance(g, 1, 12)) clock += 1 + gen_below(g, 3);
  else if (gen_chance(g, 1, 12)) clock -= gen_below(g, lk_min_u32(clock, 4) + 1);
  craft_client(out, id, clock);
  lk_doc_id origin = any_place(g, doc), right = right_of(doc, origin);
  for (uint32_t count = 1 + gen_below(g, most); count > 0; count--) {
    lk_struct view = draw_struct(g, origin, right);
    craft_put(out, &view);
    clock += (uint32_t)view.len;
    origin = AT(id, clock - 1);
    if (gen_chance(g, 3, 4)) continue;
    origin = any_place(g, doc);
    right = right_of(doc, origin);
  }
}

/* Ranges of one client, here and there, which ascend. */
static void put_ranges(lk_gen *g, craft *out, uint64_t id) {
  uint32_t count = 1 + gen_below(g, 4), clock = 0;
  lk_update_write_delete_client(&out->writer, id, count);
  for (; count > 0; count--) {
    uint32_t len = 1 + gen_below(g, 4);
    clock += gen_below(g, 4);
    lk_update_write_delete(&out->writer, clock, len);
    clock += len;
  }
}

static lk_slice draw_update(lk_gen *g, lk_doc *doc, lk_update_format format, craft *out) {
  uint32_t sections = gen_chance(g, 1, 3) ? gen_below(g, OTHERS) : 1;
  bool deletes = gen_chance(g, 1, 2);
  uint32_t most = gen_chance(g, 1, 4) ? 30 : 3;
  if (deletes && gen_bool(g)) sections = 0;
  else if (deletes && gen_bool(g)) sections = most = 1; /* as text that replaces others */
  craft_begin(out, format);
  for (uint32_t i = gen_below(g, OTHERS); sections > 0 && i < OTHERS; i++, sections--)
    put_section(g, doc, out, others[i], most);
  craft_deletes(out);
  if (deletes) put_ranges(g, out, others[gen_below(g, OTHERS)]);
  return craft_end(out);
}

/* ---- taking them in ---- */

/* In V1, with the number of sections in two bytes: nothing that is taken in at once begins like that. */
static lk_err apply_slowly(twin *self, lk_update_format format, lk_slice update) {
  lk_buf v1, out;
  lk_buf_init(&v1, test_alloc(), 1 << 26);
  lk_buf_init(&out, test_alloc(), 1 << 26);
  CHECK_OK(lk_update_convert(&self->env, format, update, LK_UPDATE_V1, &v1));
  lk_buf_append_u8(&out, v1.ptr[0] | 0x80);
  lk_buf_append_u8(&out, 0);
  lk_buf_append(&out, lk_slice_skip(lk_buf_slice(&v1), 1));
  lk_err err = lk_doc_apply(self->doc, LK_UPDATE_V1, lk_buf_slice(&out), ORIGIN);
  lk_buf_deinit(&v1);
  lk_buf_deinit(&out);
  return err;
}

/* An update that cannot be taken in changes nothing. False where it was taken in all the same. */
static bool fails_without_trace(twin *self, lk_update_format format, lk_slice update,
                                lk_gen *failing) {
  lk_buf before, after;
  take_state(self->doc, &before);
  self->failing = failing;
  lk_err err = lk_doc_apply(self->doc, format, update, ORIGIN);
  self->failing = NULL;
  CHECK_DOC(self->doc);
  take_state(self->doc, &after);
  if (err != LK_OK) CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  return err != LK_OK;
}

PROPERTY_SLOW(any_update_is_taken_in_the_same_way_fast_and_slow, 2) {
  static twin fast, slow;
  static craft update;
  bool keep = gen_chance(g, 1, 8), goes_on = true;
  twin_open(&fast, keep);
  twin_open(&slow, keep);
  for (uint32_t turns = 1 + gen_below(g, 12); goes_on && turns > 0; turns--) {
    lk_update_format format = gen_bool(g) ? LK_UPDATE_V1 : LK_UPDATE_V2;
    if (gen_chance(g, 1, 6)) {
      twin_listen(&fast, format);
      twin_listen(&slow, format);
    }
    lk_slice bytes = draw_update(g, fast.doc, format, &update);
    if (gen_chance(g, 1, 16))
      (void)fails_without_trace(&fast, format,
                                lk_slice_first(bytes, gen_below(g, (uint32_t)bytes.len)), NULL);
    if (gen_chance(g, 1, 8)) goes_on = fails_without_trace(&fast, format, bytes, g);
    if (goes_on) {
      lk_err err = lk_doc_apply(fast.doc, format, bytes, ORIGIN);
      CHECK_ERR(apply_slowly(&slow, format, bytes), err);
      check_same_twins(&fast, &slow);
    }
    craft_free(&update);
  }
  twin_close(&fast);
  twin_close(&slow);
}
