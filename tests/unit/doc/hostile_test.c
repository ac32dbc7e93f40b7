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

/* A document that is told all at once what |self| was told bit by bit; |honest|: within the steps of an update. */
static void check_tells_again(const victim *self, bool honest) {
  victim other;
  lk_buf state, again;
  open_victim(&other, 999999);
  state_of(self, &state);
  lk_err (*take)(lk_doc *, lk_update_format, lk_slice, uint64_t) = honest ? lk_doc_apply
                                                                          : lk_doc_load;
  CHECK_OK(take(other.doc, LK_UPDATE_V1, lk_buf_slice(&state), 0));
  CHECK_DOC(other.doc);
  state_of(&other, &again);
  CHECK_SLICE(lk_buf_slice(&again), lk_buf_slice(&state));
  lk_buf_deinit(&state);
  lk_buf_deinit(&again);
  close_victim(&other);
}

static void check_loads_again(const victim *self) { check_tells_again(self, false); }

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
    CHECK(a.doc->steps <= 64);
  }
  check_loads_again(&a);
  check_tells_again(&a, true);
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

/* What fits exactly, and what does not: |edge| is the least limit at which |write| is taken in. */
typedef struct edge_case {
  const char *name;
  size_t limit; /* offset in lk_limits */
  uint32_t edge;
  void (*write)(craft *u);
  lk_update_format format;
} edge_case;

static void write_subdocs(craft *u) {
  static const uint8_t options[] = { 0x76, 0x00 };
  at_client(u);
  for (uint32_t i = 0; i < 5; i++) {
    lk_struct view = craft_view(CRAFT_NONE, i == 0 ? CRAFT_NONE : AT(7, i - 1), LK_CONTENT_DOC, 1);
    view.key = LK_LIT("guid");
    view.value = lk_slice_of(options, sizeof options);
    craft_put(u, &view);
  }
}
static void write_gc(craft *u) {
  at_client(u);
  for (uint32_t i = 0; i < 20; i++) craft_gc(u, 1);
}

#define LIMIT_AT(name_) #name_, offsetof(lk_limits, name_)

static void set_limit(lk_doc *doc, const edge_case *at, uint32_t value) {
  memcpy((uint8_t *)&doc->limits + at->limit, &value, sizeof value);
}

static void write_edge(craft *u, const edge_case *at) {
  craft_begin(u, at->format);
  at->write(u);
}

/* A document with something in it is told it within one less than the edge, which it refuses without a trace, and then
 * within the edge. */
static void check_edge(const edge_case *at) {
  victim a;
  craft u;
  lk_buf before, after;
  test_note("%s", at->name);
  open_victim(&a, 1);
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 3, 0);
  craft_text(&u, CRAFT_NONE, CRAFT_NONE, "ab");
  CHECK_OK(feed(&a, &u));
  state_of(&a, &before);
  set_limit(a.doc, at, at->edge - 1);
  write_edge(&u, at);
  lk_slice update = craft_end(&u);
  CHECK_ERR(lk_doc_apply(a.doc, at->format, update, 0), LK_ERR_LIMIT);
  CHECK_SLICE(lk_slice_cstr(lk_doc_limit_hit(a.doc)), lk_slice_cstr(at->name));
  CHECK_DOC(a.doc);
  lk_doc_pending pending = lk_doc_get_pending(a.doc);
  CHECK_U64(pending.structs + pending.delete_ranges + pending.bytes, 0);
  lk_limits limits = a.doc->limits;
  a.doc->limits = lk_limits_default();
  state_of(&a, &after);
  CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
  a.doc->limits = limits;
  set_limit(a.doc, at, at->edge);
  CHECK_OK(lk_doc_apply(a.doc, at->format, update, 0));
  CHECK_DOC(a.doc);
  craft_free(&u);
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  close_victim(&a);
}

TEST(what_just_fits_into_a_limit_is_taken_and_one_more_is_not) {
  /* client 3 and its text of two characters are there already, and so is root "r" */
  static const edge_case cases[] = {
    { LIMIT_AT(doc_update_bytes), 20, write_text, LK_UPDATE_V1 },
    { LIMIT_AT(doc_clients_count), 21, write_clients, LK_UPDATE_V1 },
    { LIMIT_AT(doc_structs_count), 21, write_structs, LK_UPDATE_V1 },
    { LIMIT_AT(doc_structs_count), 21, write_late, LK_UPDATE_V1 },
    { LIMIT_AT(doc_update_structs_count), 20, write_gc, LK_UPDATE_V1 },
    { LIMIT_AT(doc_update_structs_count), 20, write_gc, LK_UPDATE_V2 },
    { LIMIT_AT(doc_clock), 5000, write_long, LK_UPDATE_V1 },
    { LIMIT_AT(doc_units_count), 5002, write_long, LK_UPDATE_V1 },
    { LIMIT_AT(doc_units_count), 12, write_text, LK_UPDATE_V1 },
    { LIMIT_AT(doc_depth), 21, write_nested, LK_UPDATE_V1 },
    { LIMIT_AT(doc_nodes_count), 21, write_nodes, LK_UPDATE_V1 },
    { LIMIT_AT(doc_roots_count), 7, write_roots, LK_UPDATE_V1 },
    { LIMIT_AT(doc_subdocs_count), 5, write_subdocs, LK_UPDATE_V1 },
    { LIMIT_AT(doc_subdocs_count), 5, write_subdocs, LK_UPDATE_V2 },
    { LIMIT_AT(doc_names_bytes), 22, write_entries, LK_UPDATE_V1 },
    { LIMIT_AT(doc_text_bytes), 12, write_text, LK_UPDATE_V1 },
    { LIMIT_AT(doc_values_bytes), 20, write_entries, LK_UPDATE_V1 },
    { LIMIT_AT(doc_pending_bytes), 20 * (sizeof(lk_item) + sizeof(lk_pending_struct) + 1),
      write_late, LK_UPDATE_V1 },
    { LIMIT_AT(doc_pending_count), 20, write_late, LK_UPDATE_V1 },
    { LIMIT_AT(doc_pending_count), 20, write_late_deletes, LK_UPDATE_V1 },
    { LIMIT_AT(doc_delete_ranges_count), 20, write_late_deletes, LK_UPDATE_V1 },
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_edge(&cases[i]);
}

TEST(a_subdocument_that_is_deleted_makes_room_for_another) {
  victim a;
  craft u;
  open_victim(&a, 1);
  a.doc->limits.doc_subdocs_count = 5;
  craft_begin(&u, LK_UPDATE_V1);
  write_subdocs(&u);
  CHECK_OK(feed(&a, &u));
  for (uint32_t i = 0; i < 3; i++) {
    /* one more, and only then the deletion: too many, and all of it is taken back */
    craft_begin(&u, LK_UPDATE_V1);
    craft_client(&u, 8, 0);
    lk_struct view = craft_view(AT(7, 0), CRAFT_NONE, LK_CONTENT_DOC, 1);
    view.key = LK_LIT("guid");
    view.value = LK_LIT("\x76\x00");
    craft_put(&u, &view);
    craft_deletes(&u);
    craft_delete(&u, 7, 1, 1);
    CHECK_ERR(feed(&a, &u), LK_ERR_LIMIT);
    CHECK_U64(a.doc->subdocs, 5);
  }
  craft_begin(&u, LK_UPDATE_V1);
  craft_deletes(&u);
  craft_delete(&u, 7, 1, 1);
  CHECK_OK(feed(&a, &u));
  CHECK_U64(a.doc->subdocs, 4);
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 9, 0);
  lk_struct view = craft_view(AT(7, 0), CRAFT_NONE, LK_CONTENT_DOC, 1);
  view.key = LK_LIT("guid");
  view.value = LK_LIT("\x76\x00");
  craft_put(&u, &view);
  CHECK_OK(feed(&a, &u));
  CHECK_U64(a.doc->subdocs, 5);
  CHECK_DOC(a.doc);
  close_victim(&a);
}

static void on_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  (void)ctx, (void)doc, (void)update, (void)origin, (void)local;
}

TEST(a_document_has_as_many_observers_as_it_may) {
  victim a;
  uint32_t id;
  open_victim(&a, 1);
  a.doc->limits.doc_observers_count = 3;
  for (uint32_t i = 0; i < 3; i++)
    CHECK_OK(lk_doc_on_update(a.doc, LK_UPDATE_V1, on_update, NULL, &id));
  CHECK_ERR(lk_doc_on_update(a.doc, LK_UPDATE_V2, on_update, NULL, NULL), LK_ERR_LIMIT);
  CHECK_SLICE(lk_slice_cstr(lk_doc_limit_hit(a.doc)), LK_LIT("doc_observers_count"));
  CHECK_U64(a.doc->observers.count, 3);
  lk_doc_off(a.doc, id);
  CHECK_OK(lk_doc_on_update(a.doc, LK_UPDATE_V2, on_update, NULL, NULL));
  close_victim(&a);
}

TEST(an_edit_beyond_a_limit_changes_nothing) {
  victim a;
  lk_node text, map;
  lk_buf before, after;
  lk_value doc = { .kind = LK_VALUE_DOC, .bytes = LK_LIT("guid"), .options = LK_LIT("\x76\x00") };
  open_victim(&a, 1);
  CHECK_OK(lk_doc_root(a.doc, LK_LIT("t"), LK_NODE_TEXT, &text));
  CHECK_OK(lk_doc_root(a.doc, LK_LIT("m"), LK_NODE_MAP, &map));
  CHECK_OK(lk_doc_text_insert(a.doc, text, 0, LK_LIT("abc"), NULL));
  CHECK_OK(lk_doc_map_set(a.doc, map, LK_LIT("k"), &doc));
  state_of(&a, &before);
  a.doc->limits.doc_subdocs_count = 1;
  CHECK_ERR(lk_doc_map_set(a.doc, map, LK_LIT("l"), &doc), LK_ERR_LIMIT);
  CHECK_SLICE(lk_slice_cstr(lk_doc_limit_hit(a.doc)), LK_LIT("doc_subdocs_count"));
  a.doc->limits.doc_units_count = 5;
  CHECK_ERR(lk_doc_text_insert(a.doc, text, 1, LK_LIT("xy"), NULL), LK_ERR_LIMIT);
  CHECK_SLICE(lk_slice_cstr(lk_doc_limit_hit(a.doc)), LK_LIT("doc_units_count"));
  a.doc->limits = lk_limits_default();
  a.doc->limits.doc_clock = 5;
  CHECK_ERR(lk_doc_text_insert(a.doc, text, 1, LK_LIT("xy"), NULL), LK_ERR_LIMIT);
  CHECK_SLICE(lk_slice_cstr(lk_doc_limit_hit(a.doc)), LK_LIT("doc_clock"));
  a.doc->limits = lk_limits_default();
  CHECK_DOC(a.doc);
  state_of(&a, &after);
  CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
  /* what takes the place of another is one, as before */
  a.doc->limits.doc_subdocs_count = 1;
  a.doc->limits.doc_units_count = 6;
  CHECK_OK(lk_doc_map_set(a.doc, map, LK_LIT("k"), &doc));
  CHECK_OK(lk_doc_text_insert(a.doc, text, 1, LK_LIT("x"), NULL));
  CHECK_DOC(a.doc);
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  close_victim(&a);
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

/* |clients| replicas that were apart, each of which wrote |count| items at the front of the list, of which each has the one
 * before for its right origin. */
static void feed_prepends(victim *a, uint32_t clients, uint32_t count, bool falling) {
  for (uint32_t i = 0; i < clients; i++) {
    uint32_t client = falling ? 1000 - i : 10 + i;
    for (uint32_t clock = 0; clock < count; clock++) {
      craft u;
      craft_begin(&u, LK_UPDATE_V1);
      craft_client(&u, client, clock);
      craft_text(&u, CRAFT_NONE, clock == 0 ? CRAFT_NONE : AT(client, clock - 1), "x");
      CHECK_OK(feed(a, &u));
      CHECK(a->doc->steps <= 64);
    }
  }
}

TEST(what_many_write_at_the_front_finds_its_place_in_few_steps) {
  static const uint32_t clients[] = { 2, 20, 200 };
  for (uint32_t i = 0; i < 6; i++) {
    victim a;
    open_victim(&a, 1);
    feed_prepends(&a, clients[i / 2], 6000 / clients[i / 2], i % 2 == 0);
    CHECK_DOC(a.doc);
    check_loads_again(&a);
    check_tells_again(&a, true);
    close_victim(&a);
  }
}

TEST(rivals_with_other_right_origins_find_their_places_in_few_steps) {
  for (uint32_t way = 0; way < 3; way++) {
    victim a;
    craft u;
    open_victim(&a, 1);
    craft_begin(&u, LK_UPDATE_V1);
    craft_client(&u, 90000, 0);
    for (uint32_t i = 0; i < 4000; i++)
      craft_text(&u, i == 0 ? CRAFT_NONE : AT(90000, i - 1), CRAFT_NONE, "x");
    CHECK_OK(feed(&a, &u));
    for (uint32_t i = 0; i < 4000; i++) {
      craft_begin(&u, LK_UPDATE_V1);
      craft_client(&u, 10 + (way == 0 ? i : way == 1 ? 4000 - i : i * 2401 % 4000), 0);
      craft_text(&u, AT(90000, 0), AT(90000, 1 + i * 7 % 3999), "y");
      CHECK_OK(feed(&a, &u));
      CHECK(a.doc->steps <= 64);
    }
    CHECK_DOC(a.doc);
    check_tells_again(&a, true);
    close_victim(&a);
  }
}

/* Of |clients| replicas that were apart each sets two keys in turn, |count| times: none of its values are one struct. */
TEST(values_of_keys_that_were_set_again_and_again_apart_are_taken_in_few_steps) {
  static const uint8_t one[] = { 0x7D, 0x01 };
  for (uint32_t way = 0; way < 2; way++) {
    victim a;
    open_victim(&a, 1);
    for (uint32_t i = 0; i < 10; i++) {
      uint32_t client = way == 0 ? 10 + i : 1000 - i;
      for (uint32_t clock = 0; clock < 1000; clock++) {
        craft u;
        craft_begin(&u, LK_UPDATE_V1);
        craft_client(&u, client, clock);
        craft_entry(&u, clock < 2 ? CRAFT_NONE : AT(client, clock - 2), "m",
                    clock % 2 == 0 ? "k" : "l", lk_slice_of(one, sizeof one));
        CHECK_OK(feed(&a, &u));
        CHECK(a.doc->steps <= 64);
      }
    }
    CHECK_DOC(a.doc);
    check_loads_again(&a);
    check_tells_again(&a, true);
    close_victim(&a);
  }
}

TEST(a_place_among_rivals_that_is_taken_back_is_found_again) {
  static const uint8_t one[] = { 0x7D, 0x01 };
  victim a;
  craft u;
  open_victim(&a, 1);
  for (uint32_t i = 0; i < 200; i++) {
    craft_begin(&u, LK_UPDATE_V1);
    craft_client(&u, 10 + i, 0);
    craft_entry(&u, CRAFT_NONE, "m", "k", lk_slice_of(one, sizeof one));
    CHECK_OK(feed(&a, &u));
  }
  CHECK_U64(a.doc->entry_orders, 1);
  for (uint32_t i = 0; i < 3; i++) {
    /* into the map, and then something that makes it all fail */
    craft_begin(&u, LK_UPDATE_V1);
    craft_client(&u, 5, 0);
    craft_entry(&u, CRAFT_NONE, "m", "k", lk_slice_of(one, sizeof one));
    for (uint32_t k = 0; k < 100; k++) craft_entry(&u, AT(5, k), "m", "k", lk_slice_of(one, 2));
    if (i < 2) craft_text(&u, AT(5, 1000), CRAFT_NONE, "x"); /* itself, later */
    lk_err err = feed(&a, &u);
    if (i < 2) CHECK_ERR(err, LK_ERR_DEPENDENCY);
    else CHECK_OK(err);
    CHECK_DOC(a.doc);
  }
  close_victim(&a);
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

TEST(what_waited_is_paid_for_by_the_bytes_that_it_kept) {
  victim a;
  craft u;
  open_victim(&a, 1);
  for (uint32_t i = 0; i < 60000; i++) {
    craft_begin(&u, LK_UPDATE_V1);
    craft_client(&u, 101 + i, 0);
    craft_text(&u, AT(100 + i, 0), CRAFT_NONE, "x");
    CHECK_OK(feed(&a, &u));
  }
  uint64_t released = lk_doc_get_pending(a.doc).bytes;
  size_t calls = a.calls;
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 100, 0);
  craft_text(&u, CRAFT_NONE, CRAFT_NONE, "x");
  CHECK_OK(feed(&a, &u));
  CHECK_U64(lk_doc_get_pending(a.doc).bytes, 0);
  CHECK(a.doc->steps <= released);    /* of ten for each byte */
  CHECK(a.calls - calls < 60000 * 3); /* two for the first item of a client */
  /* and is spent: the same again costs as much as any update that is known */
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 100, 0);
  craft_text(&u, CRAFT_NONE, CRAFT_NONE, "x");
  CHECK_OK(feed(&a, &u));
  CHECK(a.doc->steps <= 10);
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

/* ---- what is paid for once ---- */

/* |count| nodes of client 6 side by side in node 5:0, which is the value of key "k" of root "m". */
static void feed_children(victim *a, uint32_t count) {
  craft u;
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 5, 0);
  lk_struct view = craft_view(CRAFT_NONE, CRAFT_NONE, LK_CONTENT_TYPE, 1);
  view.info |= LK_INFO_SUB;
  view.sub = LK_LIT("k");
  view.parent_name = LK_LIT("m");
  craft_put(&u, &view);
  CHECK_OK(feed(a, &u));
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 6, 0);
  for (uint32_t i = 0; i < count; i++) {
    view = craft_view(i == 0 ? CRAFT_NONE : AT(6, i - 1), CRAFT_NONE, LK_CONTENT_TYPE, 1);
    if (i == 0) {
      view.parent_form = LK_PARENT_ITEM;
      view.parent_id = AT(5, 0);
    }
    craft_put(&u, &view);
  }
  CHECK_OK(feed(a, &u));
}

/* Deletes all of it, with its node or by the value that replaces that, and is cut off behind that. */
static void write_deletion(craft *u, bool replaces) {
  craft_begin(u, LK_UPDATE_V1);
  if (replaces) {
    craft_client(u, 9, 0);
    craft_deleted(u, AT(5, 0), CRAFT_NONE, 1);
    craft_gc(u, 1);
  } else {
    craft_deletes(u);
    lk_update_write_delete_client(&u->writer, 5, 2);
    lk_update_write_delete(&u->writer, 0, 1);
    lk_update_write_delete(&u->writer, 5, 1);
  }
}

TEST(an_update_that_fails_behind_a_large_deletion_has_deleted_little) {
  for (uint32_t way = 0; way < 2; way++) {
    victim a;
    craft u;
    lk_buf before, after;
    open_victim(&a, 1);
    feed_children(&a, 20000);
    state_of(&a, &before);
    write_deletion(&u, way == 1);
    lk_slice update = craft_end(&u);
    for (uint32_t i = 0; i < 2; i++) { /* the first one makes room for items */
      a.peak = a.now;
      size_t had = a.now;
      lk_err err = lk_doc_apply(a.doc, LK_UPDATE_V1, lk_slice_first(update, update.len - 2), 0);
      CHECK(err != LK_OK);
      /* each deletion would be noted in the journal, with 16 bytes */
      CHECK(i == 0 || a.peak - had < 65536);
    }
    CHECK_DOC(a.doc);
    state_of(&a, &after);
    CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
    /* and what does not fail deletes all */
    CHECK_OK(lk_doc_apply(a.doc, LK_UPDATE_V1, update, 0));
    CHECK_DOC(a.doc);
    CHECK(a.doc->item_live < 10);
    craft_free(&u);
    lk_buf_deinit(&before);
    lk_buf_deinit(&after);
    close_victim(&a);
  }
}

/* Items that the clean-up of formatting walked over last. */
static uint32_t walked(const lk_doc *doc) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < doc->marks_cap; i++) count += doc->marks[i] == doc->mark_next;
  return count;
}

TEST(formatting_among_what_was_deleted_long_ago_is_not_looked_for_very_far) {
  victim a;
  craft u;
  lk_node text;
  open_victim(&a, 1);
  CHECK_OK(lk_doc_root(a.doc, LK_LIT("r"), LK_NODE_TEXT, &text));
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 5, 0);
  craft_text(&u, CRAFT_NONE, CRAFT_NONE, "ab");
  craft_client(&u, 4, 0);
  for (uint32_t i = 0; i < 50000; i++) /* each in front of the other: they are not one */
    craft_deleted(&u, CRAFT_NONE, i == 0 ? AT(5, 0) : AT(4, i - 1), 1);
  CHECK_OK(feed(&a, &u));
  for (uint32_t i = 0; i < 10; i++) {
    craft_begin(&u, LK_UPDATE_V1);
    craft_client(&u, 6, 2 * i);
    lk_struct view = craft_view(AT(5, 1), CRAFT_NONE, LK_CONTENT_FORMAT, 1);
    view.key = LK_LIT("b");
    view.value = LK_LIT("true");
    view.value_is_json = true;
    if (i == 0) craft_put(&u, &view);
    else craft_text(&u, AT(6, 0), CRAFT_NONE, "y");
    craft_text(&u, AT(4, 25000), AT(4, 24999), "z");
    CHECK_OK(feed(&a, &u));
    craft_begin(&u, LK_UPDATE_V1);
    craft_deletes(&u);
    craft_delete(&u, 6, 2 * i + 1, 1);
    CHECK_OK(feed(&a, &u));
    CHECK(walked(a.doc) <= 4096 + 64 * 2);
    CHECK_DOC(a.doc);
  }
  close_victim(&a);
}

/* The struct that undo managers make one item of, so that it can be kept as one. */
TEST(a_struct_of_thousands_of_items_becomes_one_in_one_go) {
  victim a;
  craft u;
  open_victim(&a, 1);
  craft_begin(&u, LK_UPDATE_V1);
  craft_client(&u, 5, 0);
  for (uint32_t i = 0; i < 6000; i++) {
    lk_struct view = craft_view(i == 0 ? CRAFT_NONE : AT(5, i - 1), CRAFT_NONE, LK_CONTENT_STRING,
                                1);
    view.text.text = i % 2 == 0 ? LK_LIT("a") : LK_LIT("\xC3\xA9");
    craft_put(&u, &view);
  }
  CHECK_OK(feed(&a, &u));
  uint32_t item = lk_client_item(a.doc, 0, 4000), text = a.doc->text_len;
  CHECK(a.doc->item_live > 1000);
  a.calls = 0;
  CHECK_OK(lk_item_unite(a.doc, &item));
  CHECK_U64(a.doc->items[item].len, 6000);
  CHECK_U64(a.doc->item_live, 1);
  CHECK(a.doc->text_len <= text + 6000 * 2 + 2);
  CHECK(a.calls <= 1);
  CHECK_DOC(a.doc);
  check_loads_again(&a);
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
