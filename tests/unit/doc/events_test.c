/* Goal: observers hear what Yjs' hear, in its order, and may do at any time what they like.
 * Method: events and updates of real Yjs sessions (13.6); a model that deltas are carried out on; every allocation failed
 * once. */
#include "doc/events.h"

#include "harness/test.h"
#include "unit/doc/check.h"

/* ---- a document whose observers write down what they hear ---- */

typedef struct replica replica;

typedef struct ear {
  replica *r;
  const char *name;
  bool silent; /* counts alone */
  uint32_t heard;
  void (*then)(replica *r); /* what it does once */
} ear;

struct replica {
  lk_alloc alloc;
  lk_env env;
  lk_doc *doc;
  lk_node text, list, map;
  lk_buf heard; /* lines */
  lk_buf sent;  /* hex, one blank between updates */
  ear ears[4];
  uint32_t ids[4];
  lk_err err; /* of what is asked of an event */
};

static void say(replica *r, const char *text) { lk_buf_append(&r->heard, lk_slice_cstr(text)); }

static void note_err(replica *r, lk_err err) {
  if (r->err == LK_OK) r->err = err;
}

static void write_keys(replica *r, const lk_event *event) {
  static const char *const actions[] = { "add", "update", "delete" };
  uint32_t cursor = 0;
  lk_slice key;
  lk_key_action action;
  lk_buf old;
  lk_buf_init(&old, &r->alloc, 1 << 16);
  while (lk_event_next_key(event, &cursor, &key, &action, &old)) {
    say(r, " ");
    lk_buf_append(&r->heard, key);
    say(r, ":");
    say(r, actions[action]);
    if (old.len > 0) say(r, "=");
    lk_buf_append(&r->heard, lk_buf_slice(&old));
    note_err(r, lk_buf_err(&old));
    lk_buf_truncate(&old, 0);
  }
  lk_buf_deinit(&old);
}

static void write_event(replica *r, const lk_event *event) {
  lk_buf out;
  lk_buf_init(&out, &r->alloc, 1 << 24);
  note_err(r, lk_event_path(event, &out));
  note_err(r, lk_event_delta(event, &out));
  lk_buf_append(&r->heard, lk_buf_slice(&out));
  lk_buf_deinit(&out);
  write_keys(r, event);
}

static void act_once(ear *self) {
  void (*then)(replica * r) = self->then;
  self->then = NULL;
  if (then != NULL) then(self->r);
}

static void hear(void *ctx, lk_doc *doc, const lk_event *event) {
  ear *self = ctx;
  (void)doc;
  self->heard++;
  if (!self->silent) {
    say(self->r, self->name);
    write_event(self->r, event);
    say(self->r, "\n");
  }
  act_once(self);
}

static void hear_deep(void *ctx, lk_doc *doc, const lk_event *const *events, size_t count) {
  ear *self = ctx;
  (void)doc;
  self->heard++;
  for (size_t i = 0; i < count && !self->silent; i++) {
    say(self->r, self->name);
    write_event(self->r, events[i]);
    say(self->r, "\n");
  }
  act_once(self);
}

static void take_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  static const char digits[] = "0123456789abcdef";
  replica *r = ctx;
  (void)doc, (void)origin, (void)local;
  if (r->sent.len > 0) lk_buf_append_u8(&r->sent, ' ');
  for (size_t i = 0; i < update.len; i++) {
    lk_buf_append_u8(&r->sent, (uint8_t)digits[update.ptr[i] >> 4]);
    lk_buf_append_u8(&r->sent, (uint8_t)digits[update.ptr[i] & 15]);
  }
}

static lk_err open_with(replica *r, const lk_alloc *alloc) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  *r = (replica){ .alloc = *alloc };
  r->env = (lk_env)LK_ENV_INIT(&r->alloc, NULL);
  lk_buf_init(&r->heard, test_alloc(), 1 << 24);
  lk_buf_init(&r->sent, test_alloc(), 1 << 24);
  lk_err err = lk_doc_open(&r->env, &options, &r->doc);
  if (err == LK_OK) err = lk_doc_root(r->doc, LK_LIT("text"), LK_NODE_TEXT, &r->text);
  if (err == LK_OK) err = lk_doc_root(r->doc, LK_LIT("list"), LK_NODE_ARRAY, &r->list);
  if (err == LK_OK) err = lk_doc_root(r->doc, LK_LIT("map"), LK_NODE_MAP, &r->map);
  if (err == LK_OK) err = lk_doc_on_update(r->doc, LK_UPDATE_V1, take_update, r, NULL);
  return err;
}

static void open_replica(replica *r) { CHECK_OK(open_with(r, test_alloc())); }

static void close_replica(replica *r) {
  lk_doc_close(r->doc);
  lk_buf_deinit(&r->heard);
  lk_buf_deinit(&r->sent);
}

static lk_err listen(replica *r, uint32_t number, lk_node node, bool deep, const char *name,
                     void (*then)(replica *r)) {
  r->ears[number] = (ear){ .r = r, .name = name, .then = then };
  if (deep) return lk_doc_observe_deep(r->doc, node, hear_deep, &r->ears[number], &r->ids[number]);
  return lk_doc_observe(r->doc, node, hear, &r->ears[number], &r->ids[number]);
}

static void check_heard(replica *r, const char *lines) {
  CHECK_OK(r->err);
  CHECK_SLICE(lk_buf_slice(&r->heard), lk_slice_cstr(lines));
  lk_buf_truncate(&r->heard, 0);
}

static lk_err add_number(replica *r, lk_node list, uint64_t index, double number) {
  lk_value value = { .kind = LK_VALUE_NUMBER, .number = number };
  return lk_doc_list_insert(r->doc, list, index, &value, 1);
}

static lk_err set_text(replica *r, lk_node map, const char *key, const char *text) {
  lk_value value = { .kind = LK_VALUE_STRING, .bytes = lk_slice_cstr(text) };
  return lk_doc_map_set(r->doc, map, lk_slice_cstr(key), &value);
}

static lk_err insert(replica *r, uint64_t index, const char *text) {
  return lk_doc_text_insert(r->doc, r->text, index, lk_slice_cstr(text), NULL);
}

static lk_err format(replica *r, uint64_t index, uint64_t length, const char *key,
                     const char *value) {
  lk_attribute items[] = { { lk_slice_cstr(key), { .kind = LK_VALUE_NULL } } };
  lk_attributes attributes = { items, 1 };
  if (value != NULL)
    items[0].value = (lk_value){ .kind = LK_VALUE_STRING, .bytes = lk_slice_cstr(value) };
  if (value != NULL && value[0] == 0)
    items[0].value = (lk_value){ .kind = LK_VALUE_BOOL, .boolean = true };
  return lk_doc_text_format(r->doc, r->text, index, length, &attributes);
}

static uint8_t nibble(char c) { return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10); }

static void apply_hex(replica *r, const char *hex) {
  uint8_t bytes[256];
  size_t count = 0;
  for (; hex[2 * count] != 0; count++) {
    CHECK(count < sizeof bytes);
    bytes[count] = (uint8_t)(nibble(hex[2 * count]) << 4 | nibble(hex[2 * count + 1]));
  }
  CHECK_OK(lk_doc_apply(r->doc, LK_UPDATE_V1, lk_slice_of(bytes, count), 9));
}

/* ---- deltas ---- */

TEST(a_list_says_what_was_inserted_and_deleted_and_at_which_place) {
  replica r;
  lk_node made;
  open_replica(&r);
  CHECK_OK(listen(&r, 0, r.list, false, "", NULL));
  CHECK_OK(lk_doc_begin(r.doc, 0));
  for (uint32_t i = 0; i < 5; i++) CHECK_OK(add_number(&r, r.list, i, i));
  lk_doc_commit(r.doc);
  check_heard(&r, "[][{\"insert\":[0,1,2,3,4]}]\n");
  CHECK_OK(lk_doc_begin(r.doc, 0));
  CHECK_OK(add_number(&r, r.list, 1, 7));
  CHECK_OK(lk_doc_list_delete(r.doc, r.list, 3, 1));
  CHECK_OK(add_number(&r, r.list, 5, 8));
  CHECK_OK(lk_doc_list_delete(r.doc, r.list, 5, 1));
  CHECK_OK(lk_doc_list_insert_node(r.doc, r.list, 4, LK_NODE_XML_ELEMENT, LK_LIT("p"), &made));
  lk_doc_commit(r.doc);
  check_heard(&r, "[][{\"retain\":1},{\"insert\":[7]},{\"retain\":1},{\"delete\":1},{\"retain\":1},"
                  "{\"insert\":[\"<p></p>\"]}]\n");
  lk_value two[] = { { .kind = LK_VALUE_BOOL }, { .kind = LK_VALUE_NULL } };
  CHECK_OK(lk_doc_begin(r.doc, 0));
  CHECK_OK(lk_doc_list_insert(r.doc, r.list, 2, two, 2));
  CHECK_OK(lk_doc_list_delete(r.doc, r.list, 5, 1));
  lk_doc_commit(r.doc);
  check_heard(&r, "[][{\"retain\":2},{\"insert\":[false,null]},{\"retain\":1},{\"delete\":1}]\n");
  close_replica(&r);
}

/* Yjs 13.6 said the same of the same calls. */
TEST(a_text_says_what_was_inserted_deleted_and_formatted) {
  replica r;
  lk_value image = { .kind = LK_VALUE_ANY, .bytes = LK_LIT("\x76\x01\x05image\x77\x01x") };
  lk_attribute two[] = { { LK_LIT("bold"), { .kind = LK_VALUE_NULL } },
                         { LK_LIT("color"),
                           { .kind = LK_VALUE_STRING, .bytes = LK_LIT_INIT("red") } } };
  lk_attributes attributes = { two, 2 };
  open_replica(&r);
  CHECK_OK(listen(&r, 0, r.text, false, "", NULL));
  CHECK_OK(insert(&r, 0, "abcdef"));
  CHECK_OK(format(&r, 1, 3, "bold", ""));
  CHECK_OK(insert(&r, 2, "X"));
  CHECK_OK(lk_doc_text_delete(r.doc, r.text, 0, 2));
  CHECK_OK(lk_doc_text_insert_embed(r.doc, r.text, 1, &image, NULL));
  check_heard(&r, "[][{\"insert\":\"abcdef\"}]\n"
                  "[][{\"retain\":1},{\"retain\":3,\"attributes\":{\"bold\":true}}]\n"
                  "[][{\"retain\":2},{\"insert\":\"X\",\"attributes\":{\"bold\":true}}]\n"
                  "[][{\"delete\":2}]\n"
                  "[][{\"retain\":1},{\"insert\":{\"image\":\"x\"}}]\n");
  CHECK_OK(lk_doc_text_format(r.doc, r.text, 0, 4, &attributes));
  check_heard(&r, "[][{\"retain\":2,\"attributes\":{\"color\":\"red\",\"bold\":null}},"
                  "{\"retain\":2,\"attributes\":{\"color\":\"red\",\"bold\":null}},"
                  "{\"retain\":2,\"attributes\":{\"bold\":null}}]\n");
  CHECK_OK(lk_doc_begin(r.doc, 0));
  CHECK_OK(insert(&r, 1, "p"));
  CHECK_OK(lk_doc_text_delete(r.doc, r.text, 3, 1));
  CHECK_OK(format(&r, 2, 1, "color", NULL));
  CHECK_OK(insert(&r, lk_doc_node_length(r.doc, r.text), "end"));
  lk_doc_commit(r.doc);
  check_heard(&r, "[][{\"retain\":1},{\"insert\":\"p\",\"attributes\":{\"color\":\"red\"}},"
                  "{\"retain\":1,\"attributes\":{\"color\":null}},{\"delete\":1},{\"retain\":3},{"
                  "\"insert\":\"end\"}]\n");
  close_replica(&r);
}

/* So does Yjs, and others are sent the deletion: the same bytes. */
TEST(asking_for_a_delta_deletes_formatting_that_says_nothing_new) {
  replica r;
  open_replica(&r);
  CHECK_OK(insert(&r, 0, "abcdef"));
  CHECK_OK(format(&r, 4, 1, "bold", ""));
  CHECK_OK(listen(&r, 0, r.text, false, "", NULL));
  lk_buf_truncate(&r.sent, 0);
  apply_hex(&r, "01020200c60103010404626f6c64047472756586010504626f6c64046e756c6c00");
  CHECK_TEXT(lk_buf_slice(&r.sent),
             "01020200c60103010404626f6c64047472756586010504626f6c64046e756c6c00 000102010001");
  CHECK_DOC(r.doc);
  close_replica(&r);
}

/* The text of a delta, carried out on numbers. */
static void carry_out(lk_slice delta, const uint32_t *from, uint32_t from_count, uint32_t *to,
                      uint32_t *to_count) {
  uint32_t at = 0;
  *to_count = 0;
  for (size_t i = 0; i < delta.len; i++) {
    uint8_t c = delta.ptr[i];
    if (c != 'r' && c != 'i' && c != 'd') continue;
    while (delta.ptr[i] < '0' || delta.ptr[i] > '9') i++;
    for (bool more = true; more; i++) {
      uint32_t number = 0;
      for (; delta.ptr[i] >= '0' && delta.ptr[i] <= '9'; i++)
        number = number * 10 + (delta.ptr[i] - '0');
      if (c == 'i') to[(*to_count)++] = number;
      for (; c == 'r' && number > 0; number--) to[(*to_count)++] = from[at++];
      if (c == 'd') at += number;
      more = delta.ptr[i] == ',' && c == 'i';
    }
  }
  while (at < from_count) to[(*to_count)++] = from[at++];
}

#define NUMBERS_MAX 4096

static void check_numbers(replica *r, const uint32_t *numbers, uint32_t count) {
  CHECK_U64(lk_doc_node_length(r->doc, r->list), count);
  for (uint32_t i = 0; i < count; i++) {
    lk_value value;
    CHECK_OK(lk_doc_list_get(r->doc, r->list, i, &value));
    CHECK_U64(value.number, numbers[i]);
  }
}

/* Long enough for an order index, which short lists do without. */
PROPERTY_SLOW(carrying_out_the_deltas_of_a_list_gives_the_list, 10) {
  static uint32_t a[NUMBERS_MAX], b[NUMBERS_MAX];
  uint32_t count = 0, *from = a, *to = b, next = 0, size = gen_below(g, 300);
  replica r;
  open_replica(&r);
  for (uint32_t i = 0; i < size; i++) {
    CHECK_OK(add_number(&r, r.list, gen_below(g, i + 1), i));
  }
  for (; count < size; count++) {
    lk_value value;
    CHECK_OK(lk_doc_list_get(r.doc, r.list, count, &value));
    from[count] = (uint32_t)value.number;
  }
  CHECK_OK(listen(&r, 0, r.list, false, "", NULL));
  for (uint32_t round = gen_below(g, 12); round > 0; round--) {
    CHECK_OK(lk_doc_begin(r.doc, 0));
    for (uint32_t edits = gen_below(g, 10); edits > 0; edits--) {
      uint32_t length = (uint32_t)lk_doc_node_length(r.doc, r.list), at = gen_below(g, length + 1);
      if (gen_below(g, 5) < 3 || at == length) CHECK_OK(add_number(&r, r.list, at, 1000 + next++));
      else
        CHECK_OK(
            lk_doc_list_delete(r.doc, r.list, at, 1 + gen_below(g, lk_min_u32(length - at, 5))));
    }
    lk_doc_commit(r.doc);
    uint32_t to_count;
    carry_out(lk_slice_skip(lk_buf_slice(&r.heard), lk_min_size(2, r.heard.len)), from, count, to,
              &to_count);
    check_numbers(&r, to, to_count);
    uint32_t *other = from;
    from = to;
    to = other;
    count = to_count;
    lk_buf_truncate(&r.heard, 0);
  }
  CHECK_OK(r.err);
  close_replica(&r);
}

/* ---- keys and paths ---- */

TEST(a_map_says_which_keys_came_changed_and_went) {
  replica r;
  open_replica(&r);
  CHECK_OK(listen(&r, 0, r.map, false, "", NULL));
  CHECK_OK(lk_doc_begin(r.doc, 0));
  CHECK_OK(set_text(&r, r.map, "a", "1"));
  CHECK_OK(set_text(&r, r.map, "b", "2"));
  CHECK_OK(set_text(&r, r.map, "a", "3"));
  lk_doc_commit(r.doc);
  CHECK_OK(lk_doc_begin(r.doc, 0));
  CHECK_OK(set_text(&r, r.map, "a", "4"));
  CHECK_OK(set_text(&r, r.map, "a", "5"));
  CHECK_OK(set_text(&r, r.map, "c", "6"));
  CHECK_OK(lk_doc_map_delete(r.doc, r.map, LK_LIT("c")));
  CHECK_OK(lk_doc_map_delete(r.doc, r.map, LK_LIT("b")));
  lk_doc_commit(r.doc);
  check_heard(&r, "[][] a:add b:add\n[][] a:update=\"3\" b:delete=\"2\"\n");
  close_replica(&r);
}

static void nest(replica *r, lk_node *in_list, lk_node *in_map) {
  CHECK_OK(add_number(r, r->list, 0, 1));
  CHECK_OK(lk_doc_list_insert_node(r->doc, r->list, 1, LK_NODE_MAP, LK_SLICE_EMPTY, in_list));
  CHECK_OK(
      lk_doc_map_set_node(r->doc, *in_list, LK_LIT("k\""), LK_NODE_ARRAY, LK_SLICE_EMPTY, in_map));
}

TEST(deep_observers_get_all_events_below_them_the_shortest_way_first) {
  replica r;
  lk_node in_list, in_map;
  open_replica(&r);
  nest(&r, &in_list, &in_map);
  CHECK_OK(listen(&r, 0, r.list, true, "root ", NULL));
  CHECK_OK(listen(&r, 1, in_list, true, "map ", NULL));
  CHECK_OK(listen(&r, 2, in_map, false, "node ", NULL));
  CHECK_OK(lk_doc_begin(r.doc, 0));
  CHECK_OK(add_number(&r, in_map, 0, 5));
  CHECK_OK(set_text(&r, in_list, "x", "y"));
  CHECK_OK(add_number(&r, r.list, 0, 0));
  lk_doc_commit(r.doc);
  check_heard(
      &r, "node [2,\"k\\\"\"][{\"insert\":[5]}]\n"
          "map [][] x:add\nmap [\"k\\\"\"][{\"insert\":[5]}]\n"
          "root [][{\"insert\":[0]}]\nroot [2][] x:add\nroot [2,\"k\\\"\"][{\"insert\":[5]}]\n");
  close_replica(&r);
}

TEST(nodes_are_told_about_in_the_order_in_which_they_were_changed_first) {
  replica r;
  lk_node nodes[12];
  open_replica(&r);
  for (uint32_t i = 0; i < 12; i++) {
    CHECK_OK(lk_doc_list_insert_node(r.doc, r.list, i, LK_NODE_MAP, LK_SLICE_EMPTY, &nodes[i]));
  }
  CHECK_OK(listen(&r, 0, nodes[3], false, "3 ", NULL));
  CHECK_OK(listen(&r, 1, nodes[9], false, "9 ", NULL));
  CHECK_OK(listen(&r, 2, r.map, false, "map ", NULL));
  CHECK_OK(listen(&r, 3, r.list, true, "", NULL));
  CHECK_OK(lk_doc_begin(r.doc, 0));
  for (uint32_t i = 0; i < 12; i++) CHECK_OK(set_text(&r, nodes[11 - i], "k", "v"));
  CHECK_OK(set_text(&r, r.map, "k", "v"));
  CHECK_OK(set_text(&r, nodes[3], "l", "v"));
  lk_doc_commit(r.doc);
  check_heard(&r, "9 [9][] k:add\n3 [3][] k:add l:add\nmap [][] k:add\n"
                  "[11][] k:add\n[10][] k:add\n[9][] k:add\n[8][] k:add\n[7][] k:add\n[6][] "
                  "k:add\n[5][] k:add\n"
                  "[4][] k:add\n[3][] k:add l:add\n[2][] k:add\n[1][] k:add\n[0][] k:add\n");
  close_replica(&r);
}

/* ---- what callbacks may do ---- */

static void insert_more(replica *r) { CHECK_OK(insert(r, 0, "more")); }

TEST(what_a_callback_changes_is_told_about_afterwards) {
  replica r;
  open_replica(&r);
  CHECK_OK(listen(&r, 0, r.text, false, "first ", insert_more));
  CHECK_OK(listen(&r, 1, r.text, true, "deep ", NULL));
  CHECK_OK(insert(&r, 0, "a"));
  /* as in Yjs, who asks late is told of both at first */
  check_heard(&r, "first [][{\"insert\":\"a\"}]\ndeep [][{\"insert\":\"morea\"}]\n"
                  "first [][{\"insert\":\"more\"}]\ndeep [][{\"insert\":\"more\"}]\n");
  CHECK_DOC(r.doc);
  close_replica(&r);
}

static void delete_all(replica *r) { CHECK_OK(lk_doc_list_delete(r->doc, r->list, 0, 2)); }

TEST(a_node_that_a_callback_deleted_is_not_told_about_any_more) {
  replica r;
  lk_node in_list, in_map;
  open_replica(&r);
  nest(&r, &in_list, &in_map);
  CHECK_OK(listen(&r, 0, r.map, false, "", delete_all));
  CHECK_OK(listen(&r, 1, in_list, false, "gone ", NULL));
  CHECK_OK(listen(&r, 2, r.list, true, "deep ", NULL));
  CHECK_OK(lk_doc_begin(r.doc, 0));
  CHECK_OK(set_text(&r, r.map, "k", "v"));
  CHECK_OK(set_text(&r, in_list, "k", "v"));
  lk_doc_commit(r.doc);
  check_heard(&r, "[][] k:add\ndeep [][{\"delete\":2}]\n");
  CHECK_ERR(lk_doc_observe(r.doc, in_list, hear, &r.ears[0], NULL), LK_ERR_NOT_FOUND);
  CHECK_DOC(r.doc);
  close_replica(&r);
}

static void swap_observers(replica *r) {
  lk_doc_off(r->doc, r->ids[1]);
  lk_doc_off(r->doc, r->ids[0]);
  CHECK_OK(listen(r, 2, r->text, false, "new ", NULL));
}

static void add_observer(replica *r) { CHECK_OK(listen(r, 3, r->text, false, "last ", NULL)); }

TEST(observers_may_come_and_go_while_they_are_called) {
  replica r;
  open_replica(&r);
  CHECK_OK(listen(&r, 0, r.text, false, "first ", swap_observers));
  CHECK_OK(listen(&r, 1, r.text, false, "second ", NULL));
  CHECK_OK(insert(&r, 0, "a"));
  check_heard(&r, "first [][{\"insert\":\"a\"}]\n");
  r.ears[2].then = add_observer;
  CHECK_OK(insert(&r, 0, "b"));
  check_heard(&r, "new [][{\"insert\":\"b\"}]\n");
  CHECK_OK(insert(&r, 0, "c"));
  check_heard(&r, "new [][{\"insert\":\"c\"}]\nlast [][{\"insert\":\"c\"}]\n");
  close_replica(&r);
}

/* ---- subdocuments ---- */

static void hear_subdocs(void *ctx, lk_doc *doc, const lk_value *added, size_t added_count,
                         const lk_value *removed, size_t removed_count) {
  replica *r = ctx;
  (void)doc;
  for (size_t i = 0; i < added_count; i++) {
    say(r, "+");
    lk_buf_append(&r->heard, added[i].bytes);
    CHECK_U64(added[i].options.len, 2);
  }
  for (size_t i = 0; i < removed_count; i++) {
    say(r, "-");
    lk_buf_append(&r->heard, removed[i].bytes);
  }
  say(r, "\n");
}

static lk_err add_subdoc(replica *r, lk_node list, const char *guid) {
  lk_value value = { .kind = LK_VALUE_DOC,
                     .bytes = lk_slice_cstr(guid),
                     .options = LK_LIT("\x76\x00") };
  return lk_doc_list_insert(r->doc, list, 0, &value, 1);
}

TEST(subdocuments_that_come_and_go_are_told_with_what_they_were) {
  replica r;
  lk_node inner;
  char guid[] = "many0";
  open_replica(&r);
  CHECK_OK(lk_doc_list_insert_node(r.doc, r.list, 0, LK_NODE_ARRAY, LK_SLICE_EMPTY, &inner));
  CHECK_OK(lk_doc_on_subdocs(r.doc, hear_subdocs, &r, NULL));
  CHECK_OK(add_subdoc(&r, inner, "one"));
  CHECK_OK(lk_doc_begin(r.doc, 0));
  CHECK_OK(add_subdoc(&r, r.list, "two"));
  CHECK_OK(add_subdoc(&r, r.list, "three"));
  CHECK_OK(lk_doc_list_delete(r.doc, r.list, 0, 1));
  CHECK_OK(lk_doc_list_delete(r.doc, r.list, 1, 1));
  lk_doc_commit(r.doc);
  CHECK_OK(insert(&r, 0, "a"));
  CHECK_OK(lk_doc_begin(r.doc, 0));
  for (; guid[4] <= '9'; guid[4]++) CHECK_OK(add_subdoc(&r, r.list, guid));
  lk_doc_commit(r.doc);
  check_heard(&r, "+one\n+two-one\n+many0+many1+many2+many3+many4+many5+many6+many7+many8+many9\n");
  close_replica(&r);
}

/* ---- without memory ---- */

#define NODES 12

static lk_err change_all(replica *r, const lk_node *nodes) {
  lk_err err = lk_doc_begin(r->doc, 0);
  if (err != LK_OK) return err;
  for (uint32_t i = 0; err == LK_OK && i < 2 * NODES; i++) {
    err = set_text(r, nodes[i * 5 % NODES], i < NODES ? "k" : "l", "v");
  }
  lk_doc_commit(r->doc);
  return err;
}

/* Every node is told about all the same. Events are asked for everything, which may fail. */
TEST(without_memory_observers_are_called_still) {
  FAULT_LOOP(faults, test_alloc()) {
    replica r;
    lk_node nodes[NODES];
    lk_err err = open_with(&r, faulty_alloc(&faults));
    for (uint32_t i = 0; err == LK_OK && i < NODES; i++) {
      err = lk_doc_list_insert_node(r.doc, r.list, i, LK_NODE_MAP, LK_SLICE_EMPTY, &nodes[i]);
    }
    if (err == LK_OK) err = listen(&r, 0, nodes[7], false, "", NULL);
    if (err == LK_OK) err = listen(&r, 1, r.list, true, "", NULL);
    if (err == LK_OK) err = change_all(&r, nodes);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (err == LK_OK) CHECK(r.ears[0].heard >= 1 && r.ears[1].heard >= 1);
    CHECK(r.err == LK_OK || r.err == LK_ERR_NOMEM);
    if (r.doc != NULL) CHECK_DOC(r.doc);
    close_replica(&r);
  }
}

static lk_err edit_text(replica *r) {
  lk_err err = insert(r, 0, "abcdef");
  if (err == LK_OK) err = format(r, 1, 3, "bold", "");
  for (uint32_t i = 0; err == LK_OK && i < 40; i++) {
    err = insert(r, i * 2, "xy");
    if (err == LK_OK) err = format(r, i, 2, "color", i % 2 == 0 ? "red" : "blue");
  }
  return err;
}

TEST(a_delta_for_which_there_is_no_memory_changes_nothing) {
  FAULT_LOOP(faults, test_alloc()) {
    replica r;
    lk_err err = open_with(&r, faulty_alloc(&faults));
    if (err == LK_OK) err = listen(&r, 0, r.text, false, "", NULL);
    if (err == LK_OK) err = edit_text(&r);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    CHECK(r.err == LK_OK || r.err == LK_ERR_NOMEM);
    if (r.doc != NULL) CHECK_DOC(r.doc);
    close_replica(&r);
  }
}
