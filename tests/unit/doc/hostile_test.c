/* Goal: no update, whoever wrote it, breaks a document, makes it slow or large, or keeps others from going on.
 * Method: attacks by hand, each with a bound that is counted (steps, allocations, bytes), and the checker behind each. */
#include <string.h>

#include "check.h"
#include "craft.h"
#include "doc/engine.h"
#include "doc/events.h"
#include "harness/test.h"

/* ---- a document whose memory is counted ---- */

typedef struct victim {
  lk_alloc table;
  const lk_alloc *below;
  size_t now, peak, calls;
  lk_env env;
  lk_doc *doc;
} victim;

static void *counted(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  victim *self = ctx;
  void *result = self->below->resize(self->below->ctx, ptr, old_size, new_size);
  if (result != NULL || new_size == 0) self->now += new_size - old_size;
  if (self->now > self->peak) self->peak = self->now;
  self->calls += new_size > old_size;
  return result;
}

static void open_victim(victim *self, uint64_t client) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = client;
  options.seed[0] = 7;
  *self = (victim){ .table = { counted, self }, .below = test_alloc() };
  self->env = (lk_env)LK_ENV_INIT(&self->table, NULL);
  CHECK_OK(lk_doc_open(&self->env, &options, &self->doc));
  self->peak = self->now;
}

static void close_victim(victim *self) {
  lk_doc_close(self->doc);
  CHECK_U64(self->now, 0);
}

static lk_err feed(victim *self, craft *update) {
  lk_err err = lk_doc_apply(self->doc, LK_UPDATE_V1, craft_end(update), 0);
  craft_free(update);
  return err;
}

static void state_of(const victim *self, lk_buf *out) {
  lk_buf_init(out, test_alloc(), (size_t)1 << 28);
  CHECK_OK(lk_doc_encode(self->doc, LK_UPDATE_V1, LK_SLICE_EMPTY, out));
}

/* A document that is told all at once what |self| was told bit by bit. */
static void check_loads_again(const victim *self) {
  victim other;
  lk_buf state, again;
  open_victim(&other, 999999);
  state_of(self, &state);
  CHECK_OK(lk_doc_load(other.doc, LK_UPDATE_V1, lk_buf_slice(&state), 0));
  CHECK_DOC(other.doc);
  state_of(&other, &again);
  CHECK_SLICE(lk_buf_slice(&again), lk_buf_slice(&state));
  lk_buf_deinit(&state);
  lk_buf_deinit(&again);
  close_victim(&other);
}

/* ---- what honest documents grow to ---- */

TEST(a_delete_set_that_is_known_already_is_taken_however_long_it_is) {
  victim a, b;
  lk_node map;
  lk_buf state;
  lk_value value = { .kind = LK_VALUE_NUMBER };
  open_victim(&a, 1);
  open_victim(&b, 2);
  CHECK_OK(lk_doc_root(a.doc, LK_LIT("m"), LK_NODE_MAP, &map));
  for (uint32_t i = 0; i < 20000; i++) {
    value.number = i;
    CHECK_OK(lk_doc_map_set(a.doc, map, i % 2 == 0 ? LK_LIT("x") : LK_LIT("y"), &value));
  }
  state_of(&a, &state);
  CHECK_OK(lk_doc_apply(b.doc, LK_UPDATE_V1, lk_buf_slice(&state), 0));
  CHECK_OK(lk_doc_apply(b.doc, LK_UPDATE_V1, lk_buf_slice(&state), 0));
  lk_buf sv, rest;
  lk_buf_init(&sv, test_alloc(), 4096);
  lk_buf_init(&rest, test_alloc(), 1 << 20);
  CHECK_OK(lk_doc_state_vector(b.doc, &sv));
  CHECK_OK(lk_doc_encode(a.doc, LK_UPDATE_V1, lk_buf_slice(&sv), &rest));
  CHECK_OK(lk_doc_apply(b.doc, LK_UPDATE_V1, lk_buf_slice(&rest), 0));
  CHECK_DOC(b.doc);
  lk_buf_deinit(&sv);
  lk_buf_deinit(&rest);
  lk_buf_deinit(&state);
  close_victim(&a);
  close_victim(&b);
}

TEST(a_node_with_thousands_of_items_can_be_deleted_by_others) {
  victim a, b;
  lk_node array, inner;
  lk_value value = { .kind = LK_VALUE_NUMBER };
  lk_buf state, rest, sv;
  open_victim(&a, 1);
  open_victim(&b, 2);
  CHECK_OK(lk_doc_root(a.doc, LK_LIT("a"), LK_NODE_ARRAY, &array));
  CHECK_OK(lk_doc_list_insert_node(a.doc, array, 0, LK_NODE_ARRAY, LK_SLICE_EMPTY, &inner));
  for (uint32_t i = 0; i < 5000; i++) {
    value.number = i;
    CHECK_OK(lk_doc_list_insert(a.doc, inner, 0, &value, 1));
  }
  state_of(&a, &state);
  CHECK_OK(lk_doc_apply(b.doc, LK_UPDATE_V1, lk_buf_slice(&state), 0));
  CHECK_OK(lk_doc_list_delete(a.doc, array, 0, 1));
  lk_buf_init(&sv, test_alloc(), 4096);
  lk_buf_init(&rest, test_alloc(), 1 << 20);
  CHECK_OK(lk_doc_state_vector(b.doc, &sv));
  CHECK_OK(lk_doc_encode(a.doc, LK_UPDATE_V1, lk_buf_slice(&sv), &rest));
  CHECK_OK(lk_doc_apply(b.doc, LK_UPDATE_V1, lk_buf_slice(&rest), 0));
  CHECK_DOC(a.doc);
  CHECK_DOC(b.doc);
  lk_buf_deinit(&sv);
  lk_buf_deinit(&rest);
  lk_buf_deinit(&state);
  close_victim(&a);
  close_victim(&b);
}

TEST(an_array_that_was_filled_at_once_can_be_emptied_from_its_front) {
  static lk_value values[10000];
  victim a;
  lk_node array;
  open_victim(&a, 1);
  CHECK_OK(lk_doc_root(a.doc, LK_LIT("a"), LK_NODE_ARRAY, &array));
  for (uint32_t i = 0; i < 10000; i++)
    values[i] = (lk_value){ .kind = LK_VALUE_NUMBER, .number = 100000.5 + i };
  CHECK_OK(lk_doc_list_insert(a.doc, array, 0, values, 10000));
  for (uint32_t i = 0; i < 10000; i++) CHECK_OK(lk_doc_list_delete(a.doc, array, 0, 1));
  CHECK(a.peak < 64 * 10000 * 9 + 100000);
  CHECK_DOC(a.doc);
  close_victim(&a);
}

/* ---- what strangers do to the budget ---- */

TEST(what_was_taken_bit_by_bit_is_taken_as_a_whole) {
  victim a;
  craft u;
  open_victim(&a, 1);
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 5, 0);
  for (uint32_t i = 0; i < 400; i++)
    craft_text(&u, i == 0 ? CRAFT_NONE : AT(5, i - 1), CRAFT_NONE, "x");
  CHECK_OK(feed(&a, &u));
  /* rivals at the front, each with another right origin */
  for (uint32_t i = 0; i < 400; i++) {
    craft_begin(&u, LK_UPDATE_V1);
    craft_client(&u, 100000 - i, 0);
    craft_text(&u, CRAFT_NONE, AT(5, 399 - i), "y");
    lk_err err = feed(&a, &u);
    if (err == LK_ERR_STEPS) break;
    CHECK_OK(err);
  }
  CHECK_DOC(a.doc);
  check_loads_again(&a);
  close_victim(&a);
}

TEST(one_key_set_by_thousands_at_once_is_taken_in_any_order) {
  static const uint8_t one[] = { 0x7D, 0x01 };
  victim a;
  craft u;
  open_victim(&a, 1);
  for (uint32_t i = 0; i < 8000; i++) {
    craft_begin(&u, LK_UPDATE_V1);
    craft_client(&u, 10 + i, 0);
    craft_entry(&u, CRAFT_NONE, "m", "k", lk_slice_of(one, sizeof one));
    CHECK_OK(feed(&a, &u));
  }
  check_loads_again(&a);
  close_victim(&a);
}

/* ---- memory ---- */

TEST(a_pending_text_that_comes_again_and_again_takes_no_more_memory) {
  static char text[20001];
  victim a;
  craft u;
  memset(text, 'x', 20000);
  open_victim(&a, 1);
  for (uint32_t i = 0; i < 200; i++) {
    craft_begin(&u, LK_UPDATE_V1);
    craft_client(&u, 5, 0);
    craft_text(&u, AT(6, 3), CRAFT_NONE, text);
    CHECK_OK(feed(&a, &u));
  }
  CHECK_DOC(a.doc);
  CHECK(a.now < 64 * 20000);
  close_victim(&a);
}

TEST(an_update_in_v2_cannot_claim_more_structs_than_its_bytes_warrant) {
  victim a;
  craft u;
  open_victim(&a, 1);
  craft_begin(&u, LK_UPDATE_V2);
  craft_client(&u, 5, 0);
  for (uint32_t i = 0; i < 200000; i++) craft_gc(&u, 1);
  lk_slice update = craft_end(&u);
  CHECK(update.len < 100);
  lk_err err = lk_doc_apply(a.doc, LK_UPDATE_V2, update, 0);
  CHECK(err == LK_OK || err == LK_ERR_LIMIT || err == LK_ERR_STEPS);
  craft_free(&u);
  CHECK(a.peak < 64 * 100 + 200000);
  close_victim(&a);
}

TEST(sections_without_anything_new_make_no_clients) {
  victim a;
  craft u;
  open_victim(&a, 1);
  a.doc->limits.doc_clients_count = 100;
  craft_begin(&u, LK_UPDATE_V1);
  for (uint32_t i = 0; i < 90; i++) {
    craft_client(&u, 1000 - i, 0);
    lk_update_put_skip(&u.writer, 3);
  }
  CHECK_OK(feed(&a, &u));
  CHECK_U64(a.doc->clients.count, 0);
  close_victim(&a);
}

/* ---- lists that are entangled ---- */

TEST(a_struct_that_is_known_in_part_stays_in_its_list) {
  victim a;
  craft u;
  open_victim(&a, 1);
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 5, 0);
  craft_text(&u, CRAFT_NONE, CRAFT_NONE, "abc");
  CHECK_OK(feed(&a, &u));
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 5, 0);
  lk_struct view = craft_view(CRAFT_NONE, CRAFT_NONE, LK_CONTENT_STRING, 6);
  view.parent_name = LK_LIT("other");
  view.text.text = LK_LIT("abcdef");
  craft_put(&u, &view);
  lk_err err = feed(&a, &u);
  CHECK(err == LK_OK || err == LK_ERR_CORRUPT);
  CHECK_DOC(a.doc);
  close_victim(&a);
}

TEST(a_struct_that_is_pending_in_part_stays_in_its_list) {
  victim a;
  craft u;
  open_victim(&a, 1);
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 5, 2);
  craft_text(&u, CRAFT_NONE, CRAFT_NONE, "abc");
  CHECK_OK(feed(&a, &u));
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 5, 3);
  lk_struct view = craft_view(CRAFT_NONE, CRAFT_NONE, LK_CONTENT_STRING, 6);
  view.parent_name = LK_LIT("other");
  view.text.text = LK_LIT("abcdef");
  craft_put(&u, &view);
  CHECK_OK(feed(&a, &u));
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 5, 0);
  craft_text(&u, CRAFT_NONE, CRAFT_NONE, "xy");
  lk_err err = feed(&a, &u);
  CHECK(err == LK_OK || err == LK_ERR_CORRUPT);
  CHECK_DOC(a.doc);
  close_victim(&a);
}

TEST(deep_origins_do_not_close_a_list) {
  victim a;
  craft u;
  lk_node text;
  open_victim(&a, 1);
  for (uint32_t i = 0; i < 3; i++) {
    craft_begin(&u, LK_UPDATE_V1);
    craft_client(&u, 5 + i, 0);
    craft_deleted(&u, i == 0 ? CRAFT_NONE : AT(4 + i, 0x7FFFFFEF), CRAFT_NONE, 0x7FFFFFF0);
    lk_err err = feed(&a, &u);
    CHECK(err == LK_OK || err == LK_ERR_LIMIT);
  }
  CHECK_OK(lk_doc_root(a.doc, LK_LIT("r"), LK_NODE_TEXT, &text));
  for (uint32_t i = 0; i < 100; i++)
    CHECK_OK(lk_doc_text_insert(a.doc, text, i, LK_LIT("a"), NULL));
  CHECK_DOC(a.doc);
  close_victim(&a);
}

/* ---- typing ---- */

TEST(deleting_forward_keeps_the_blocks_of_a_client) {
  victim a;
  lk_node text;
  open_victim(&a, 1);
  CHECK_OK(lk_doc_root(a.doc, LK_LIT("t"), LK_NODE_TEXT, &text));
  for (uint32_t i = 0; i < 300; i++) {
    CHECK_OK(lk_doc_text_insert(a.doc, text, 0, LK_LIT("abcdefgh"), NULL));
    CHECK_DOC(a.doc);
  }
  for (uint32_t at = 0; at < 300 * 4; at += 4) {
    for (uint32_t i = 0; i < 4; i++) {
      CHECK_OK(lk_doc_text_delete(a.doc, text, at, 1));
      CHECK_DOC(a.doc);
    }
  }
  close_victim(&a);
}

TEST(an_own_id_in_a_strangers_update_is_given_up) {
  victim a;
  craft u;
  open_victim(&a, 5);
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 5, 0);
  craft_text(&u, CRAFT_NONE, CRAFT_NONE, "abc");
  CHECK_OK(feed(&a, &u));
  CHECK(lk_doc_client(a.doc) != 5);
  close_victim(&a);
}

/* ---- limits ---- */

typedef struct limit_case {
  const char *name;
  void (*set)(lk_limits *limits);
  void (*write)(craft *u);
} limit_case;

static void at_client(craft *u) { craft_client(u, 7, 0); }
static void write_text(craft *u) {
  at_client(u), craft_text(u, CRAFT_NONE, CRAFT_NONE, "0123456789");
}
static void write_structs(craft *u) {
  at_client(u);
  for (uint32_t i = 0; i < 20; i++)
    craft_text(u, CRAFT_NONE, i == 0 ? CRAFT_NONE : AT(7, i - 1), "a");
}
static void write_clients(craft *u) {
  for (uint32_t i = 0; i < 20; i++)
    craft_client(u, 50 - i, 0), craft_text(u, CRAFT_NONE, CRAFT_NONE, "a");
}
static void write_nodes(craft *u) {
  at_client(u);
  for (uint32_t i = 0; i < 20; i++)
    craft_type(u, CRAFT_NONE, i == 0 ? CRAFT_NONE : AT(7, i - 1), 0);
}
static void write_nested(craft *u) {
  at_client(u);
  craft_type(u, CRAFT_NONE, CRAFT_NONE, 0);
  for (uint32_t i = 0; i < 20; i++) {
    lk_struct view = craft_view(CRAFT_NONE, CRAFT_NONE, LK_CONTENT_TYPE, 1);
    view.parent_form = LK_PARENT_ITEM;
    view.parent_id = AT(7, i);
    craft_put(u, &view);
  }
}
static void write_roots(craft *u) {
  static const char *const names[] = { "r1", "r2", "r3", "r4", "r5", "r6" };
  at_client(u);
  for (uint32_t i = 0; i < 6; i++) {
    lk_struct view = craft_view(CRAFT_NONE, CRAFT_NONE, LK_CONTENT_DELETED, 1);
    view.parent_name = lk_slice_cstr(names[i]);
    craft_put(u, &view);
  }
}
static void write_entries(craft *u) {
  static const uint8_t any[] = { 0x77, 0x08, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' };
  at_client(u),
      craft_entry(u, CRAFT_NONE, "m", "a key of some length", lk_slice_of(any, sizeof any));
}
static void write_late(craft *u) {
  at_client(u);
  for (uint32_t i = 0; i < 20; i++)
    craft_text(u, i == 0 ? AT(6, 3) : AT(7, i - 1), CRAFT_NONE, "a");
}
static void write_long(craft *u) { at_client(u), craft_gc(u, 5000); }
static void write_late_deletes(craft *u) {
  craft_deletes(u);
  lk_update_write_delete_client(&u->writer, 7, 20);
  for (uint32_t i = 0; i < 20; i++) lk_update_write_delete(&u->writer, 3 * i, 1);
}
static void set_bytes(lk_limits *l) { l->doc_update_bytes = 12; }
static void set_clients(lk_limits *l) { l->doc_clients_count = 10; }
static void set_structs(lk_limits *l) { l->doc_structs_count = 10; }
static void set_clock(lk_limits *l) { l->doc_clock = 4096; }
static void set_depth(lk_limits *l) { l->doc_depth = 10; }
static void set_nodes(lk_limits *l) { l->doc_nodes_count = 10; }
static void set_roots(lk_limits *l) { l->doc_roots_count = 3; }
static void set_names(lk_limits *l) { l->doc_names_bytes = 10; }
static void set_text(lk_limits *l) { l->doc_text_bytes = 8; }
static void set_values(lk_limits *l) { l->doc_values_bytes = 12; }
static void set_pending_bytes(lk_limits *l) { l->doc_pending_bytes = 600; }
static void set_pending_count(lk_limits *l) { l->doc_pending_count = 10; }
static void set_ranges(lk_limits *l) { l->doc_delete_ranges_count = 10; }

TEST(an_update_beyond_a_limit_is_refused_and_the_limit_is_named) {
  static const limit_case cases[] = {
    { "doc_update_bytes", set_bytes, write_text },
    { "doc_clients_count", set_clients, write_clients },
    { "doc_structs_count", set_structs, write_structs },
    { "doc_structs_count", set_structs, write_late },
    { "doc_clock", set_clock, write_long },
    { "doc_depth", set_depth, write_nested },
    { "doc_nodes_count", set_nodes, write_nodes },
    { "doc_roots_count", set_roots, write_roots },
    { "doc_names_bytes", set_names, write_entries },
    { "doc_text_bytes", set_text, write_text },
    { "doc_values_bytes", set_values, write_entries },
    { "doc_pending_bytes", set_pending_bytes, write_late },
    { "doc_pending_count", set_pending_count, write_late },
    { "doc_pending_count", set_pending_count, write_late_deletes },
    { "doc_delete_ranges_count", set_ranges, write_late_deletes },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    victim a;
    craft u;
    lk_buf before, after;
    test_note("%s", cases[i].name);
    open_victim(&a, 1);
    craft_begin(&u, LK_UPDATE_V1);
    craft_client(&u, 3, 0);
    craft_text(&u, CRAFT_NONE, CRAFT_NONE, "ab");
    CHECK_OK(feed(&a, &u));
    state_of(&a, &before);
    cases[i].set(&a.doc->limits);
    craft_begin(&u, LK_UPDATE_V1);
    cases[i].write(&u);
    CHECK_ERR(feed(&a, &u), LK_ERR_LIMIT);
    CHECK_SLICE(lk_slice_cstr(lk_doc_limit_hit(a.doc)), lk_slice_cstr(cases[i].name));
    CHECK_DOC(a.doc);
    a.doc->limits = lk_limits_default();
    state_of(&a, &after);
    CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
    craft_begin(&u, LK_UPDATE_V1);
    cases[i].write(&u);
    CHECK_OK(feed(&a, &u));
    CHECK_DOC(a.doc);
    lk_buf_deinit(&before);
    lk_buf_deinit(&after);
    close_victim(&a);
  }
}

/* ---- floods ---- */

TEST(thousands_of_rivals_find_their_places_in_few_steps) {
  for (uint32_t way = 0; way < 3; way++) {
    victim a;
    craft u;
    uint64_t most = 0;
    open_victim(&a, 1);
    for (uint32_t i = 0; i < 8000; i++) {
      craft_begin(&u, LK_UPDATE_V1);
      craft_client(&u, 10 + (way == 0 ? i : way == 1 ? 8000 - i : i * 4801 % 8000), 0);
      craft_text(&u, CRAFT_NONE, CRAFT_NONE, "x");
      CHECK_OK(feed(&a, &u));
      most = lk_max_u64(most, a.doc->steps);
    }
    CHECK(most <= 64);
    CHECK_DOC(a.doc);
    check_loads_again(&a);
    close_victim(&a);
  }
}

TEST(a_chain_of_pending_structs_that_came_backwards_is_taken_in_once) {
  victim a;
  craft u;
  open_victim(&a, 1);
  for (uint32_t i = 0; i < 20000; i++) {
    craft_begin(&u, LK_UPDATE_V1);
    craft_client(&u, 30000 - i, 0);
    craft_text(&u, AT(29999 - i, 0), CRAFT_NONE, "x");
    CHECK_OK(feed(&a, &u));
    CHECK(a.doc->steps < 100);
  }
  CHECK_U64(lk_doc_get_pending(a.doc).structs, 20000);
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 10000, 0);
  craft_text(&u, CRAFT_NONE, CRAFT_NONE, "x");
  CHECK_OK(feed(&a, &u));
  CHECK_U64(lk_doc_get_pending(a.doc).structs, 0);
  CHECK(a.doc->steps < 20000 * 8);
  CHECK(a.peak < 64 * 20000 * 14);
  CHECK_DOC(a.doc);
  close_victim(&a);
}

TEST(a_length_that_is_a_lie_costs_nothing) {
  static const uint8_t huge[][24] = {
    { 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F },                              /* clients */
    { 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x05, 0x00 },            /* structs */
    { 0x01, 0x01, 0x05, 0x00, 0x04, 0x01, 0x01, 'r', 0xFF, 0xFF, 0xFF, 0xFF, 0x0F }, /* text */
    { 0x01, 0x01, 0x05, 0x00, 0x08, 0x01, 0x01, 'r', 0xFF, 0xFF, 0xFF, 0xFF, 0x0F }, /* values */
    { 0x00, 0x01, 0x05, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F },            /* ranges */
    { 0x01, 0x01, 0x05, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x00 }, /* GC */
    { 0x01, 0x01, 0x05, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x00, 0x01,
      0x00 }, /* clock */
  };
  for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
    victim a;
    open_victim(&a, 1);
    size_t before = a.now;
    lk_err err = lk_doc_apply(a.doc, LK_UPDATE_V1, lk_slice_of(huge[i], sizeof huge[i]), 0);
    CHECK(err != LK_OK && err != LK_ERR_NOMEM);
    CHECK(a.peak < before + 8192);
    CHECK_DOC(a.doc);
    close_victim(&a);
  }
}

TEST(a_text_of_many_pieces_is_put_together_once) {
  victim a;
  craft u;
  open_victim(&a, 1);
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 5, 0);
  for (uint32_t i = 0; i < 3000; i++) {
    lk_struct view = craft_view(i == 0 ? CRAFT_NONE : AT(5, i - 1), CRAFT_NONE, LK_CONTENT_STRING,
                                1);
    view.text.text = i % 2 == 0 ? LK_LIT("a") : LK_LIT("\xC3\xA9");
    craft_put(&u, &view);
  }
  CHECK_OK(feed(&a, &u));
  CHECK_DOC(a.doc);
  CHECK_U64(lk_doc_get_size(a.doc).structs, 1);
  close_victim(&a);
}

/* ---- what waits for others must not hurt them ---- */

/* Nodes 0 to |count| - 1 of client |id|, each in the one before. */
static void write_chain(craft *u, uint64_t id, uint32_t count) {
  craft_client(u, id, 0);
  craft_type(u, CRAFT_NONE, CRAFT_NONE, 0);
  for (uint32_t i = 1; i < count; i++) {
    lk_struct view = craft_view(CRAFT_NONE, CRAFT_NONE, LK_CONTENT_TYPE, 1);
    view.parent_form = LK_PARENT_ITEM;
    view.parent_id = AT(id, i - 1);
    craft_put(u, &view);
  }
}

/* Of client 66: |count| texts behind what client 5 writes next, and then a node in the deepest node of client 7. */
static void write_poison(craft *u, uint32_t count, uint32_t depth) {
  craft_client(u, 66, 0);
  for (uint32_t i = 0; i < count; i++)
    craft_text(u, i == 0 ? AT(5, 0) : AT(66, i - 1), CRAFT_NONE, "x");
  lk_struct view = craft_view(CRAFT_NONE, CRAFT_NONE, LK_CONTENT_TYPE, 1);
  view.parent_form = LK_PARENT_ITEM;
  view.parent_id = AT(7, depth - 1);
  craft_put(u, &view);
}

TEST(what_waits_for_an_update_cannot_make_it_fail) {
  victim a;
  craft u;
  open_victim(&a, 1);
  a.doc->limits.doc_depth = 8;
  craft_begin(&u, LK_UPDATE_V1);
  write_chain(&u, 7, 8);
  CHECK_OK(feed(&a, &u));
  craft_begin(&u, LK_UPDATE_V1);
  write_poison(&u, 1, 8);
  CHECK_OK(feed(&a, &u));
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 5, 0);
  craft_text(&u, CRAFT_NONE, CRAFT_NONE, "honest");
  CHECK_OK(feed(&a, &u));
  CHECK_DOC(a.doc);
  close_victim(&a);
}

TEST(an_update_that_wakes_thousands_and_fails_leaves_them_waiting) {
  victim a;
  craft u;
  lk_buf before, after;
  open_victim(&a, 1);
  craft_begin(&u, LK_UPDATE_V1);
  write_poison(&u, 2000, 1);
  CHECK_OK(feed(&a, &u));
  craft_begin(&u, LK_UPDATE_V1);
  craft_deletes(&u);
  lk_update_write_delete_client(&u.writer, 5, 2000);
  for (uint32_t i = 0; i < 2000; i++) lk_update_write_delete(&u.writer, 2 * i, 1);
  CHECK_OK(feed(&a, &u));
  state_of(&a, &before);
  a.doc->limits.doc_nodes_count = a.doc->types.count +
                                  2; /* root and chain, and not one node more */
  craft_begin(&u, LK_UPDATE_V1);
  write_chain(&u, 7, 1);
  craft_client(&u, 5, 0);
  craft_text(&u, CRAFT_NONE, CRAFT_NONE, "y");
  lk_err err = feed(&a, &u);
  CHECK(err == LK_ERR_LIMIT || err == LK_OK);
  CHECK_DOC(a.doc);
  if (err != LK_OK) {
    state_of(&a, &after);
    CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
    lk_buf_deinit(&after);
  }
  lk_buf_deinit(&before);
  close_victim(&a);
}
