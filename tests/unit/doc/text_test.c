/* Goal: what a text call changes, and the update that says so, are Yjs's.
 * Method: bytes of real Yjs sessions (13.6) for each rule; a model of units with their attributes for what the calls
 * mean; every allocation failed once for what they leave behind. */
#include "codec/any.h"
#include "doc/engine.h"
#include "doc/text.h"
#include "doc/value.h"
#include "harness/test.h"

/* ---- documents ---- */

typedef struct replica {
  lk_alloc alloc;
  lk_env env;
  lk_doc *doc;
  lk_node text;
  lk_buf updates; /* hex, one blank between them */
  lk_buf out;
} replica;

static void take_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  static const char digits[] = "0123456789abcdef";
  replica *r = ctx;
  (void)doc, (void)origin, (void)local;
  if (r->updates.len > 0) lk_buf_append_u8(&r->updates, ' ');
  for (size_t i = 0; i < update.len; i++) {
    lk_buf_append_u8(&r->updates, (uint8_t)digits[update.ptr[i] >> 4]);
    lk_buf_append_u8(&r->updates, (uint8_t)digits[update.ptr[i] & 15]);
  }
}

static lk_err open_with(replica *r, const lk_alloc *alloc, uint64_t client) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = client;
  *r = (replica){ .alloc = *alloc };
  r->env = (lk_env)LK_ENV_INIT(&r->alloc, NULL);
  lk_buf_init(&r->updates, test_alloc(), 1 << 24);
  lk_buf_init(&r->out, test_alloc(), 1 << 24);
  lk_err err = lk_doc_open(&r->env, &options, &r->doc);
  if (err == LK_OK) err = lk_doc_root(r->doc, LK_LIT("t"), LK_NODE_TEXT, &r->text);
  if (err == LK_OK) err = lk_doc_on_update(r->doc, LK_UPDATE_V1, take_update, r, NULL);
  return err;
}

static void open_replica(replica *r, uint64_t client) {
  CHECK_OK(open_with(r, test_alloc(), client));
}

static void close_replica(replica *r) {
  lk_doc_close(r->doc);
  lk_buf_deinit(&r->updates);
  lk_buf_deinit(&r->out);
}

static uint8_t nibble(char c) { return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10); }

static void apply_hex(replica *r, lk_slice hex) {
  uint8_t bytes[512];
  CHECK(hex.len / 2 <= sizeof bytes);
  for (size_t i = 0; i < hex.len / 2; i++) {
    bytes[i] = (uint8_t)(nibble((char)hex.ptr[2 * i]) << 4 | nibble((char)hex.ptr[2 * i + 1]));
  }
  CHECK_OK(lk_doc_apply(r->doc, LK_UPDATE_V1, lk_slice_of(bytes, hex.len / 2), 0));
}

static void check_updates(replica *r, const char *hex) {
  CHECK_SLICE(lk_buf_slice(&r->updates), lk_slice_cstr(hex));
  lk_buf_truncate(&r->updates, 0);
}

static lk_slice delta_of(replica *r) {
  lk_buf_truncate(&r->out, 0);
  CHECK_OK(lk_doc_text_delta(r->doc, r->text, &r->out));
  return lk_buf_slice(&r->out);
}

/* ---- attributes ---- */

static lk_value of_true(void) { return (lk_value){ .kind = LK_VALUE_BOOL, .boolean = true }; }
static lk_value of_null(void) { return (lk_value){ .kind = LK_VALUE_NULL }; }
static lk_value of_number(double number) {
  return (lk_value){ .kind = LK_VALUE_NUMBER, .number = number };
}
/* { "href": "x" } */
static lk_value of_link(void) {
  return (lk_value){ .kind = LK_VALUE_ANY, .bytes = LK_LIT("\x76\x01\x04href\x77\x01x") };
}

static const lk_attributes none = { NULL, 0 };

/* One attribute, in memory that the next call of this uses again. */
static const lk_attributes *one(const char *key, lk_value value) {
  static lk_attribute attribute;
  static lk_attributes attributes;
  attribute = (lk_attribute){ lk_slice_cstr(key), value };
  attributes = (lk_attributes){ &attribute, 1 };
  return &attributes;
}

static void insert(replica *r, uint64_t index, const char *utf8, const lk_attributes *attributes) {
  CHECK_OK(lk_doc_text_insert(r->doc, r->text, index, lk_slice_cstr(utf8), attributes));
}

static void apply_delta(replica *r, const char *json) {
  CHECK_OK(lk_doc_text_apply_delta(r->doc, r->text, lk_slice_cstr(json), true));
}

/* ---- inserting ---- */

TEST(text_inserted_with_attributes_is_put_between_formatting) {
  replica r;
  open_replica(&r, 1);
  insert(&r, 0, "ab", one("bold", of_true()));
  check_updates(&r, "010301000601017404626f6c64047472756584010002616286010204626f6c64046e756c6c00");
  CHECK_TEXT(delta_of(&r), "[{\"insert\":\"ab\",\"attributes\":{\"bold\":true}}]");
  close_replica(&r);
}

TEST(text_typed_behind_formatted_text_is_formatted_like_it) {
  replica r;
  open_replica(&r, 1);
  insert(&r, 0, "ab", one("bold", of_true()));
  lk_buf_truncate(&r.updates, 0);
  insert(&r, 2, "c", NULL);
  check_updates(&r, "01010104c401020103016300");
  insert(&r, 3, "d", one("bold", of_true()));
  check_updates(&r, "01010105c401040103016400");
  insert(&r, 4, "e", &none);
  check_updates(&r, "01010106840103016500");
  close_replica(&r);
}

TEST(attributes_are_written_as_a_javascript_object_orders_its_keys) {
  replica r;
  lk_attribute items[] = {
    { LK_LIT("b"), of_number(1) }, { LK_LIT("10"), of_number(2) }, { LK_LIT("9"), of_number(3) },
    { LK_LIT("a"), of_number(4) }, { LK_LIT("01"), of_number(7) }, { LK_LIT("01"), of_number(5) },
  };
  lk_attributes attributes = { items, 6 };
  open_replica(&r, 1);
  insert(&r, 0, "x", &attributes);
  check_updates(
      &r, "010b0100060101740139013386010002313001328601010162013186010201610134860103023031013584"
          "010401788601050139046e756c6c860106023130046e756c6c8601070162046e756c6c860108016104"
          "6e756c6c860109023031046e756c6c00");
  close_replica(&r);
}

TEST(an_embed_without_attributes_ends_what_holds_around_it) {
  replica r;
  lk_value rule = { .kind = LK_VALUE_ANY, .bytes = LK_LIT("\x76\x01\x02hr\x78") },
           five = of_number(5);
  open_replica(&r, 1);
  insert(&r, 0, "ab", one("bold", of_true()));
  lk_buf_truncate(&r.updates, 0);
  CHECK_OK(lk_doc_text_insert_embed(r.doc, r.text, 1, &rule, NULL));
  check_updates(
      &r,
      "01030104c60101010204626f6c64046e756c6cc5010401020b7b226872223a747275657dc60105010204626f6c"
      "64047472756500");
  CHECK_OK(lk_doc_text_insert_embed(r.doc, r.text, 1, &five, one("bold", of_true())));
  check_updates(&r, "01010107c501010104013500");
  close_replica(&r);
}

static lk_err fill_text(void *ctx, lk_doc *doc, lk_node made) {
  (void)ctx;
  return lk_doc_text_insert(doc, made, 0, LK_LIT("in"), NULL);
}

TEST(a_node_is_one_unit_and_its_content_comes_before_the_formatting_behind_it) {
  replica r;
  lk_node made;
  open_replica(&r, 1);
  insert(&r, 0, "ab", one("bold", of_true()));
  lk_buf_truncate(&r.updates, 0);
  CHECK_OK(lk_text_insert_filled(r.doc, r.text, 1, LK_NODE_TEXT, LK_SLICE_EMPTY, NULL, fill_text,
                                 NULL, &made));
  check_updates(
      &r,
      "01040104c60101010204626f6c64046e756c6cc701040102020400010502696ec60105010204626f6c64047472"
      "756500");
  CHECK_U64(lk_doc_node_length(r.doc, made), 2);
  CHECK_U64(lk_doc_node_length(r.doc, r.text), 3);
  close_replica(&r);
}

TEST(an_xml_element_in_a_text_has_its_name) {
  replica r;
  lk_node made;
  open_replica(&r, 1);
  insert(&r, 0, "ab", one("bold", of_true()));
  lk_buf_truncate(&r.updates, 0);
  CHECK_OK(lk_doc_text_insert_node(r.doc, r.text, 1, LK_NODE_XML_ELEMENT, LK_LIT("p"),
                                   one("bold", of_true()), &made));
  check_updates(&r, "01010104c70101010203017000");
  CHECK_TEXT(lk_doc_node_name(r.doc, made), "p");
  close_replica(&r);
}

/* ---- formatting and deleting ---- */

TEST(formatting_uses_what_is_there_and_deletes_what_it_replaces) {
  replica r;
  open_replica(&r, 1);
  insert(&r, 0, "abcdef", NULL);
  lk_buf_truncate(&r.updates, 0);
  CHECK_OK(lk_doc_text_format(r.doc, r.text, 1, 2, one("bold", of_true())));
  check_updates(&r, "01020106c60100010104626f6c640474727565c60102010304626f6c64046e756c6c00");
  CHECK_OK(lk_doc_text_format(r.doc, r.text, 2, 3, one("bold", of_true())));
  check_updates(&r, "01010108c60104010504626f6c64046e756c6c0101010701");
  CHECK_OK(lk_doc_text_format(r.doc, r.text, 0, 6, one("bold", of_null())));
  check_updates(&r, "0001010206010801");
  CHECK_TEXT(delta_of(&r), "[{\"insert\":\"abcdef\"}]");
  close_replica(&r);
}

TEST(deleting_formatted_text_takes_its_formatting_along) {
  replica r;
  open_replica(&r, 1);
  insert(&r, 0, "abcdef", NULL);
  CHECK_OK(lk_doc_text_format(r.doc, r.text, 1, 2, one("bold", of_true())));
  lk_buf_truncate(&r.updates, 0);
  CHECK_OK(lk_doc_text_delete(r.doc, r.text, 1, 2));
  check_updates(&r, "0001010201020602");
  close_replica(&r);
}

TEST(equal_objects_that_were_set_here_are_one) {
  replica r;
  open_replica(&r, 1);
  insert(&r, 0, "ab", one("link", of_link()));
  insert(&r, 2, "c", &none);
  insert(&r, 3, "d", one("link", of_link()));
  lk_buf_truncate(&r.updates, 0);
  CHECK_OK(lk_doc_text_delete(r.doc, r.text, 2, 1));
  check_updates(&r, "000101010303"); /* the link goes on: its second beginning is needless */
  close_replica(&r);
}

#define REMOTE_LINK                                                                                \
  "0103010006010174046c696e6b0c7b2268726566223a2278227d84010003616263860103046c696e6b046e756c6c00"

TEST(an_object_that_is_given_back_is_the_one_that_held_before) {
  replica r;
  open_replica(&r, 2);
  apply_hex(&r, LK_LIT(REMOTE_LINK));
  lk_buf_truncate(&r.updates, 0);
  CHECK_OK(lk_doc_text_format(r.doc, r.text, 1, 1, one("link", of_null())));
  check_updates(
      &r, "01020200c601010102046c696e6b046e756c6cc601020103046c696e6b0c7b2268726566223a2278227d00");
  CHECK_OK(lk_doc_text_delete(r.doc, r.text, 1, 1));
  check_updates(&r, "00020201000201010201");
  close_replica(&r);
}

TEST(an_object_that_others_set_is_not_one_that_was_set_here) {
  replica r;
  open_replica(&r, 2);
  apply_hex(&r, LK_LIT(REMOTE_LINK));
  insert(&r, 3, "d", &none);
  insert(&r, 4, "e", one("link", of_link()));
  lk_buf_truncate(&r.updates, 0);
  CHECK_OK(lk_doc_text_delete(r.doc, r.text, 3, 1));
  check_updates(
      &r, "00020201000101010401"); /* the end of the one goes, the beginning of the other stays */
  close_replica(&r);
}

/* ---- deltas ---- */

TEST(a_delta_goes_through_the_text_once) {
  replica r;
  open_replica(&r, 1);
  apply_delta(&r,
              "[{\"insert\":\"Gandalf\",\"attributes\":{\"bold\":true}},{\"insert\":\" the \"},"
              "{\"insert\":\"Grey\",\"attributes\":{\"color\":\"#ccc\"}},{\"insert\":{\"img\":1}},"
              "{\"insert\":\"\\n\"}]");
  check_updates(
      &r, "010901000601017404626f6c6404747275658401000747616e64616c6686010704626f6c64046e756c6c8401"
          "08052074"
          "68652086010d05636f6c6f720622236363632284010e044772657986011205636f6c6f72046e756c6c850113"
          "097b22696d67223a317d840114010a00");
  apply_delta(&r, "[{\"retain\":8},{\"delete\":3},{\"insert\":\"a\"},{\"retain\":2,\"attributes\":{"
                  "\"bold\":true}}]");
  check_updates(&r, "01030116c4010c010d0161c60116010d04626f6c640474727565c6010f011004626f6c64046e75"
                    "6c6c0101010a03");
  CHECK_TEXT(delta_of(&r),
             "[{\"insert\":\"Gandalf\",\"attributes\":{\"bold\":true}},{\"insert\":\" a\"},"
             "{\"insert\":\" \",\"attributes\":{\"bold\":true}},"
             "{\"insert\":\"G\",\"attributes\":{\"bold\":true,\"color\":\"#ccc\"}},"
             "{\"insert\":\"rey\",\"attributes\":{\"color\":\"#ccc\"}},{\"insert\":{\"img\":1}},"
             "{\"insert\":\"\\n\"}]");
  close_replica(&r);
}

TEST(what_a_delta_keeps_beyond_the_end_becomes_newlines) {
  replica r;
  open_replica(&r, 1);
  insert(&r, 0, "ab", NULL);
  apply_delta(&r, "[{\"retain\":4},{\"insert\":\"!\"}]");
  CHECK_TEXT(delta_of(&r), "[{\"insert\":\"ab\\n\\n!\"}]");
  apply_delta(&r, "[{\"retain\":1},{\"delete\":9007199254740991}]");
  CHECK_TEXT(delta_of(&r), "[{\"insert\":\"a\"}]");
  CHECK_ERR(lk_doc_text_apply_delta(r.doc, r.text, LK_LIT("[{\"retain\":9007199254740991}]"), true),
            LK_ERR_LIMIT);
  CHECK_SLICE(lk_slice_cstr(lk_doc_limit_hit(r.doc)), LK_LIT("doc_text_bytes"));
  close_replica(&r);
}

TEST(a_delta_that_is_not_sanitized_loses_its_newline_at_the_very_end) {
  replica r;
  open_replica(&r, 1);
  CHECK_OK(lk_doc_text_apply_delta(r.doc, r.text, LK_LIT("[{\"insert\":\"a\\n\"}]"), false));
  check_updates(&r, "0101010004010174016100");
  insert(&r, 1, "bc", NULL);
  CHECK_OK(lk_doc_text_delete(r.doc, r.text, 1, 2));
  CHECK_OK(lk_doc_text_apply_delta(r.doc, r.text, LK_LIT("[{\"retain\":1},{\"insert\":\"\\n\"}]"),
                                   false));
  CHECK_TEXT(delta_of(&r), "[{\"insert\":\"a\"}]"); /* behind it is only what was deleted */
  CHECK_OK(lk_doc_text_apply_delta(r.doc, r.text, LK_LIT("[{\"insert\":\"\\n\"}]"), false));
  CHECK_TEXT(delta_of(&r), "[{\"insert\":\"\\na\"}]");
  close_replica(&r);
}

TEST(a_delta_that_is_wrong_anywhere_changes_nothing) {
  static const struct {
    const char *json;
    lk_err err;
  } wrong[] = {
    { "", LK_ERR_TRUNCATED },
    { "{}", LK_ERR_PAYLOAD },
    { "[5]", LK_ERR_PAYLOAD },
    { "[{}]", LK_ERR_PAYLOAD },
    { "[{\"insert\":\"x\"},{\"insert\":null}]", LK_ERR_PAYLOAD },
    { "[{\"insert\":\"x\"},{\"retain\":-1}]", LK_ERR_PAYLOAD },
    { "[{\"insert\":\"x\"},{\"retain\":1.5}]", LK_ERR_PAYLOAD },
    { "[{\"insert\":\"x\"},{\"retain\":1e999}]", LK_ERR_PAYLOAD },
    { "[{\"insert\":\"x\"},{\"retain\":\"1\"}]", LK_ERR_PAYLOAD },
    { "[{\"insert\":\"x\"},{\"delete\":null}]", LK_ERR_PAYLOAD },
    { "[{\"insert\":\"x\",\"attributes\":[]}]", LK_ERR_PAYLOAD },
    { "[{\"insert\":\"x\"},{\"delete\":1}", LK_ERR_TRUNCATED },
    { "[{\"insert\":\"x\"}]]", LK_ERR_TRAILING },
    { "[{\"insert\":\"x\"},]", LK_ERR_SYNTAX },
  };
  replica r;
  open_replica(&r, 1);
  insert(&r, 0, "ab", one("bold", of_true()));
  lk_buf_truncate(&r.updates, 0);
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    test_note("%s", wrong[i].json);
    CHECK_ERR(lk_doc_text_apply_delta(r.doc, r.text, lk_slice_cstr(wrong[i].json), true),
              wrong[i].err);
    check_updates(&r, "");
  }
  CHECK_TEXT(delta_of(&r), "[{\"insert\":\"ab\",\"attributes\":{\"bold\":true}}]");
  close_replica(&r);
}

/* ---- what is refused ---- */

TEST(calls_that_reach_past_the_end_or_to_another_kind_are_refused) {
  replica r;
  lk_node map;
  lk_value bold = of_true(), string = { .kind = LK_VALUE_STRING, .bytes = LK_LIT("s") },
           null = of_null();
  lk_value node = { .kind = LK_VALUE_NODE }, nothing = { .kind = LK_VALUE_UNDEFINED };
  open_replica(&r, 1);
  insert(&r, 0, "abc", NULL);
  lk_buf_truncate(&r.updates, 0);
  CHECK_OK(lk_doc_root(r.doc, LK_LIT("m"), LK_NODE_MAP, &map));
  CHECK_ERR(lk_doc_text_insert(r.doc, map, 0, LK_LIT("x"), NULL), LK_ERR_TYPE);
  CHECK_ERR(lk_doc_text_apply_delta(r.doc, map, LK_LIT("[]"), true), LK_ERR_TYPE);
  CHECK_ERR(lk_doc_text_insert(r.doc, (lk_node){ 77, 0 }, 0, LK_LIT("x"), NULL), LK_ERR_NOT_FOUND);
  CHECK_ERR(lk_doc_text_insert(r.doc, r.text, 4, LK_LIT("x"), NULL), LK_ERR_RANGE);
  CHECK_ERR(lk_doc_text_insert(r.doc, r.text, 0, LK_LIT("\xff"), NULL), LK_ERR_UTF8);
  CHECK_ERR(lk_doc_text_insert(r.doc, r.text, 0, LK_LIT("x"), one("\xff", bold)), LK_ERR_UTF8);
  CHECK_ERR(lk_doc_text_insert(r.doc, r.text, 0, LK_LIT("x"), one("k", node)), LK_ERR_INVALID);
  CHECK_ERR(lk_doc_text_insert(r.doc, r.text, 0, LK_LIT("x"), one("k", nothing)), LK_ERR_INVALID);
  CHECK_ERR(lk_doc_text_delete(r.doc, r.text, 1, 3), LK_ERR_RANGE);
  CHECK_ERR(lk_doc_text_delete(r.doc, r.text, 1, UINT64_MAX), LK_ERR_RANGE);
  CHECK_ERR(lk_doc_text_format(r.doc, r.text, 4, 0, one("k", bold)), LK_ERR_RANGE);
  CHECK_ERR(lk_doc_text_insert_embed(r.doc, r.text, 0, &string, NULL), LK_ERR_INVALID);
  CHECK_ERR(lk_doc_text_insert_embed(r.doc, r.text, 0, &null, NULL), LK_ERR_INVALID);
  CHECK_ERR(lk_doc_text_insert_embed(r.doc, r.text, 0, &node, NULL), LK_ERR_INVALID);
  CHECK_ERR(lk_doc_text_insert_node(r.doc, r.text, 0, LK_NODE_UNKNOWN, LK_SLICE_EMPTY, NULL, NULL),
            LK_ERR_INVALID);
  CHECK_OK(lk_doc_text_insert(r.doc, r.text, 3, LK_SLICE_EMPTY, NULL));
  CHECK_OK(lk_doc_text_delete(r.doc, r.text, 3, 0));
  CHECK_OK(lk_doc_text_format(r.doc, r.text, 0, 3, &none));
  check_updates(&r, "");
  close_replica(&r);
}

/* ---- clean-up ---- */

#define FORMATTED                                                                                  \
  "0105010004010174016184010001628401010163c60100010104626f6c640474727565c60101010204626f6c64046e" \
  "756c6c00"

TEST(the_greatest_index_is_refused_also_where_somebody_typed_and_stopped) {
  replica r;
  open_replica(&r, 1);
  insert(&r, 0, "abcd", NULL);
  insert(&r, 4, "e", NULL); /* goes on from there */
  CHECK_OK(lk_doc_text_delete(r.doc, r.text, 1, 1));
  CHECK_OK(lk_doc_text_delete(r.doc, r.text, 1, 1)); /* and likewise */
  CHECK_OK(lk_doc_text_format(r.doc, r.text, 0, 1, &none));
  CHECK_ERR(lk_doc_text_insert(r.doc, r.text, UINT64_MAX, LK_LIT("x"), NULL), LK_ERR_RANGE);
  CHECK_ERR(lk_doc_text_delete(r.doc, r.text, UINT64_MAX, 1), LK_ERR_RANGE);
  close_replica(&r);
}

TEST(formatting_around_text_that_others_delete_goes_in_a_transaction_of_its_own) {
  replica r;
  open_replica(&r, 2);
  apply_hex(&r, LK_LIT(FORMATTED));
  lk_buf_truncate(&r.updates, 0);
  apply_hex(&r, LK_LIT("000101010101"));
  check_updates(&r, "000101010101 000101010301");
  close_replica(&r);
}

TEST(formatting_that_comes_from_others_cleans_the_first_gap) {
  replica r;
  open_replica(&r, 1);
  insert(&r, 0, "abc", NULL);
  CHECK_OK(lk_doc_text_format(r.doc, r.text, 0, 1, one("bold", of_true())));
  lk_buf_truncate(&r.updates, 0);
  apply_hex(&r, LK_LIT("0102020046010004626f6c640474727565c60100010104626f6c64046e756c6c00"));
  check_updates(&r,
                "0102020046010004626f6c640474727565c60100010104626f6c64046e756c6c00 000101010301");
  close_replica(&r);
}

/* 9 wrote "-abc", 5 made "b" bold and "c" italic. */
#define OF_TWO                                                                                     \
  "0203090004010174022d6184090101628409020163040500c60901090204626f6c640474727565c60902090304"     \
  "626f6c64046e756c6cc605010903066974616c69630474727565860903066974616c6963046e756c6c00"

TEST(text_that_is_deleted_before_formatting_leaves_a_clean_gap) {
  replica r;
  open_replica(&r, 1);
  apply_hex(&r, LK_LIT(OF_TWO));
  lk_buf_truncate(&r.updates, 0);
  apply_hex(&r, LK_LIT("00020901020105010201"));
  check_updates(&r, "00020901020105010201 000105010001");
  close_replica(&r);
  open_replica(&r, 1);
  apply_hex(&r, LK_LIT(OF_TWO));
  lk_buf_truncate(&r.updates, 0);
  apply_hex(&r, LK_LIT("00020501020109010201"));
  check_updates(&r, "00020901020105010201");
  close_replica(&r);
}

/* 1 wrote "xy" and made "x" italic while 2 made "y" italic: one ends where the other begins, in one gap. Nobody
 * cleans it until the text of a third goes from it. */
#define SIDE_BY_SIDE                                                                               \
  "02020200c601000101016904747275658601010169046e756c6c040100040101740178840100017946010001690474" \
  "727565c6010001010169046e756c6c00"

static void check_late(const char *const updates[], const char *emitted) {
  replica r;
  open_replica(&r, 9);
  apply_hex(&r, LK_LIT(SIDE_BY_SIDE));
  lk_buf_truncate(&r.updates, 0);
  for (; *updates != NULL; updates++) apply_hex(&r, lk_slice_cstr(*updates));
  check_updates(&r, emitted);
  close_replica(&r);
}

/* 4 made "y" bold; 3 had a letter before that, without formatting and gone again, and made "y" plain. */
TEST(formatting_that_was_deleted_before_it_came_goes_before_text_that_waited_for_it) {
  static const char *const late[] = {
    "01010300c10400010101020401000203010001",
    "01020400c601030101016204747275658601010162046e756c6c00",
    NULL,
  };
  check_late(late, "02020400c1010301010181010101010300c10400010101020401000203010001");
}

/* After 5 wrote, one of 3 and 4 wrote into the gap and the other made "y" bold; 8 took back both. Text that goes first
 * leaves a clean gap, formatting that goes first does not. */
TEST(what_waited_for_the_same_update_goes_by_the_ids_of_clients) {
  static const char *const text_of_3[] = {
    "010203008405000141c401030101017a00",
    "010304008405000142c60103010101620474727565c6010105000162046e756c6c00",
    "00020401010203010101",
    "01010500840101017100",
    NULL,
  };
  static const char *const text_of_4[] = {
    "010204008405000141c401030101017a00",
    "010303008405000142c60103010101620474727565c6010105000162046e756c6c00",
    "00020401010103010102",
    "01010500840101017100",
    NULL,
  };
  check_late(text_of_3, "0301050084010101710304008405000142c10103010101c101010500010203008405000141"
                        "c10103010101020401010203010101");
  check_late(text_of_4, "0301050084010101710204008405000141c101030101010303008405000142c10103010101"
                        "c10101050001020401010103010102 000101010301");
}

/* The same, but 3 and 4 took their text back themselves, so that it comes deleted: then the order is that of structs. */
TEST(what_comes_deleted_goes_by_the_ids_of_clients_that_waited) {
  static const char *const gap_of_3[] = {
    "010203008405000141c101030101010103010101",
    "01040400840500014281040001c60103010101620474727565c6010105000162046e756c6c0104010101",
    "00020401010303010101",
    "01010500840101017100",
    NULL,
  };
  static const char *const gap_of_4[] = {
    "010204008405000141c101030101010104010101",
    "01040300840500014281030001c60103010101620474727565c6010105000162046e756c6c0103010101",
    "00020401010103010103",
    "01010500840101017100",
    NULL,
  };
  check_late(gap_of_3,
             "030105008401010171040400840500014281040001c10103010101c101010500010203008405"
             "000141c10103010101020401010303010101");
  check_late(gap_of_4,
             "0301050084010101710204008405000141c10103010101040300840500014281030001c10103"
             "010101c10101050001020401010103010103 000101010301");
}

/* ---- sessions ---- */

/* One call, and the update that Yjs emits for it. */
typedef struct session_step {
  char op; /* o: a new document of client |at|; i insert, f format, d delete, j delta, u update */
  uint32_t at, len;       /* index and length */
  const char *text;       /* to insert, delta or update */
  const char *attributes; /* one JSON object, or NULL */
  const char *updates;
} session_step;

/* Each is the shortest session that told one rule of text_format.c or text_cleanup.c from its absence. */
static const session_step session[] = {
  /* formatting that follows what is inserted gives back what held before it */
  { .op = 'o', .at = 23823 },
  { 'i', 0, 0, "日本", NULL, "01018fba01000401017406e697a5e69cac00" },
  { 'u', 0, 0,
    "0104c0890700c68fba01008fba010104626f6c640474727565c7c08907008fba0101020400c089070102696ec6c089"
    "07018fba010104626f6c64046e756c6c00",
    NULL,
    "0104c0890700c68fba01008fba010104626f6c640474727565c7c08907008fba0101020400c089070102696ec6c089"
    "07018fba010104626f6c64046e756c6c00" },
  { 'f', 0, 3, NULL, "{\"bold\":0}",
    "01028fba0102468fba010004626f6c640130868fba010104626f6c64046e756c6c01c089070200010401" },
  { 'd', 1, 2, NULL, NULL, "0002c089070101038fba01010101" },
  { 'u', 0, 0, "0002c089070100058fba01010002", NULL, "00018fba01010001 00018fba01010201" },
  { 'i', 0, 0, "b ", "{\"10\":null,\"bold\":0}",
    "01028fba0104c68fba01018fba010304626f6c640130c48fba01048fba010302622000" },
  /* formatting right behind a stretch belongs to what follows */
  { .op = 'o', .at = 1 },
  { 'i', 0, 0, "ab", "{\"bold\":1}",
    "010301000601017404626f6c64013184010002616286010204626f6c64046e756c6c00" },
  { 'f', 0, 2, NULL, "{\"bold\":true}",
    "0102010446010004626f6c640474727565c60102010304626f6c6401310101010001" },
  /* unless it ends what was formatted */
  { .op = 'o', .at = 1 },
  { 'i', 0, 0, "ab", "{\"bold\":1}",
    "010301000601017404626f6c64013184010002616286010204626f6c64046e756c6c00" },
  { 'f', 1, 1, NULL, "{\"bold\":null}", "01010104c60101010204626f6c64046e756c6c0101010301" },
  /* formatting that stands behind deleted text alone */
  { .op = 'o', .at = 1 },
  { 'i', 0, 0, "the", NULL, "01010100040101740374686500" },
  { 'i', 3, 0, "b ", "{\"10\":0}", "010301038601020231300130840103026220860105023130046e756c6c00" },
  { 'd', 4, 1, NULL, NULL, "000101010501" },
  { 'f', 1, 3, NULL, "{\"10\":\"red\"}",
    "01020107c601000101023130052272656422c60105010602313001300101010301" },
  { 'd', 3, 1, NULL, NULL, "0001010204010801" },
  /* what a deletion makes needless does not hold for the rest of the delta */
  { .op = 'o', .at = 1 },
  { 'i', 0, 0, "ab", "{\"bold\":\"red\"}",
    "010301000601017404626f6c6405227265642284010002616286010204626f6c64046e756c6c00" },
  { 'j', 0, 0, "[{\"delete\":2},{\"insert\":3},{\"retain\":2}]", NULL,
    "010201048501030133840104020a0a0101010004" },
  /* nor does formatting that the delta has not come to */
  { .op = 'o', .at = 1 },
  { 'i', 0, 0, "b ", "{\"bold\":true,\"italic\":false}",
    "010501000601017404626f6c640474727565860100066974616c69630566616c736584010102622086010304626f6c"
    "64046e756c6c860104066974616c6963046e756c6c00" },
  { 'j', 0, 0, "[{\"insert\":\"the\"},{\"delete\":0},{\"insert\":\"the\"},{\"retain\":2}]", NULL,
    "010101064401000674686574686500" },
  /* a text of formatting alone has no first gap to clean */
  { .op = 'o', .at = 128273 },
  { 'u', 0, 0,
    "010580a8080006010174066974616c69630222228680a80800046c696e6b0622626c7565228480a808010374686586"
    "80a80804066974616c6963046e756c6c8680a80805046c696e6b046e756c6c00",
    NULL,
    "010580a8080006010174066974616c69630222228680a80800046c696e6b0622626c7565228480a808010374686586"
    "80a80804066974616c6963046e756c6c8680a80805046c696e6b046e756c6c00" },
  { 'f', 1, 2, NULL, "{\"bold\":true}",
    "010291ea0700c680a8080280a8080304626f6c6404747275658680a8080604626f6c64046e756c6c00" },
  { 'u', 0, 0, "000180a808010007", NULL, "000180a808010007" },
  { 'i', 0, 0, "b ", "{\"7\":true}",
    "010391ea0702c680a8080291ea070001370474727565c491ea070291ea0700026220c691ea070491ea07000137046e"
    "756c6c00" },
};

/* The attributes of one flat JSON object; |any| holds the values. */
static lk_attributes attributes_of_json(const char *json, lk_attribute items[4], lk_arena *arena) {
  lk_attributes made = { items, 0 };
  lk_slice any;
  lk_any_frame frames[8];
  lk_any_reader reader;
  lk_any_item item;
  CHECK_OK(lk_value_any_of_json(lk_slice_cstr(json), 8, arena, &any));
  lk_reader in = lk_reader_of(any);
  lk_any_reader_init(&reader, &in, frames, 8);
  CHECK_OK(lk_any_decode(&reader, &item));
  while (lk_any_decode(&reader, &item) == LK_OK && item.kind == LK_ANY_KEY) {
    lk_slice rest = lk_reader_rest(&in), value = lk_slice_first(rest, lk_value_any_length(rest));
    items[made.count++] = (lk_attribute){ item.as.bytes, { .kind = LK_VALUE_ANY, .bytes = value } };
    CHECK_OK(lk_any_decode(&reader, &item));
  }
  return made;
}

static void play(replica *r, const session_step *step, lk_arena *arena) {
  lk_attribute items[4];
  lk_attributes made;
  const lk_attributes *attributes = NULL;
  if (step->attributes != NULL) {
    made = attributes_of_json(step->attributes, items, arena);
    attributes = &made;
  }
  switch (step->op) {
  case 'i': insert(r, step->at, step->text, attributes); break;
  case 'f': CHECK_OK(lk_doc_text_format(r->doc, r->text, step->at, step->len, attributes)); break;
  case 'd': CHECK_OK(lk_doc_text_delete(r->doc, r->text, step->at, step->len)); break;
  case 'j': apply_delta(r, step->text); break;
  default: apply_hex(r, lk_slice_cstr(step->text));
  }
  check_updates(r, step->updates);
}

TEST(sessions_in_which_each_rule_shows_emit_the_bytes_of_yjs) {
  replica r;
  lk_arena arena;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  for (size_t i = 0; i < sizeof session / sizeof session[0]; i++) {
    test_note("step %zu", i);
    if (session[i].op == 'o') {
      if (i > 0) close_replica(&r);
      open_replica(&r, session[i].at);
    } else {
      play(&r, &session[i], &arena);
    }
  }
  close_replica(&r);
  lk_arena_deinit(&arena);
}

/* ---- meaning ---- */

#define UNITS_MAX 400
#define KEYS 3

/* A unit and the value of each attribute, 0 for none. */
typedef struct unit {
  char letter;
  uint8_t values[KEYS];
} unit;

typedef struct model {
  unit units[UNITS_MAX];
  uint32_t count;
} model;

static const char *const keys[KEYS] = { "b", "i", "7" };

static lk_value value_of(uint8_t value) {
  if (value == 0) return of_null();
  return value == 1 ? of_link() : of_number(value);
}

/* What a reader of the list finds: every live unit with what the formatting before it says. */
static void read_units(replica *r, model *out) {
  lk_doc *doc = r->doc;
  uint8_t holds[KEYS] = { 0 };
  out->count = 0;
  for (uint32_t at = doc->types.at[r->text.slot].start; at != LK_NONE; at = doc->items[at].right) {
    const lk_item *item = &doc->items[at];
    if (lk_item_deleted(item)) continue;
    for (uint32_t i = 0; i < lk_item_units(item); i++) {
      unit *u = &out->units[out->count++];
      u->letter = (char)lk_item_unit(doc, item, i);
      memcpy(u->values, holds, sizeof holds);
    }
    for (uint32_t k = 0; item->kind == LK_CONTENT_FORMAT && k < KEYS; k++) {
      if (!lk_slice_equal(lk_name_slice(doc, lk_item_key(doc, item)), lk_slice_cstr(keys[k])))
        continue;
      lk_slice any = lk_value_bytes(doc, item->content);
      holds[k] = any.ptr[0] == 126 ? 0 : any.ptr[0] == 118 ? 1 : any.ptr[1];
    }
  }
}

static void check_model(replica *r, const model *want) {
  model got;
  read_units(r, &got);
  CHECK_U64(lk_doc_node_length(r->doc, r->text), want->count);
  CHECK_U64(got.count, want->count);
  for (uint32_t i = 0; i < want->count; i++) {
    test_note("unit %u", i);
    CHECK(memcmp(&got.units[i], &want->units[i], sizeof(unit)) == 0);
  }
}

/* Some attributes; |values| receives what they set, or 255 for those not given. */
static lk_attributes gen_attributes(lk_gen *g, lk_attribute items[KEYS], uint8_t values[KEYS]) {
  lk_attributes made = { items, 0 };
  for (uint32_t k = 0; k < KEYS; k++) {
    values[k] = 255;
    if (gen_bool(g)) continue;
    values[k] = (uint8_t)gen_below(g, 4);
    items[made.count++] = (lk_attribute){ lk_slice_cstr(keys[k]), value_of(values[k]) };
  }
  return made;
}

static void step_insert(lk_gen *g, replica *r, model *m) {
  lk_attribute items[KEYS];
  uint8_t values[KEYS], text[8];
  lk_attributes attributes = gen_attributes(g, items, values);
  uint32_t at = gen_below(g, m->count + 1), len = gen_range(g, 1, 8);
  bool alike = gen_bool(g);
  if (len > UNITS_MAX - m->count) return;
  unit made = { 0 };
  if (alike && at > 0) made = m->units[at - 1];
  for (uint32_t k = 0; !alike && k < KEYS; k++) made.values[k] = values[k] == 255 ? 0 : values[k];
  memmove(m->units + at + len, m->units + at, (m->count - at) * sizeof(unit));
  for (uint32_t i = 0; i < len; i++) {
    text[i] = (uint8_t)gen_range(g, 'a', 'z');
    m->units[at + i] = made;
    m->units[at + i].letter = (char)text[i];
  }
  m->count += len;
  CHECK_OK(
      lk_doc_text_insert(r->doc, r->text, at, lk_slice_of(text, len), alike ? NULL : &attributes));
}

static void step_format(lk_gen *g, replica *r, model *m) {
  lk_attribute items[KEYS];
  uint8_t values[KEYS];
  lk_attributes attributes = gen_attributes(g, items, values);
  uint32_t at = gen_below(g, m->count + 1), len = gen_below(g, lk_min_u32(m->count - at, 12) + 1);
  for (uint32_t i = at; i < at + len; i++) {
    for (uint32_t k = 0; k < KEYS; k++) {
      if (values[k] != 255) m->units[i].values[k] = values[k];
    }
  }
  CHECK_OK(lk_doc_text_format(r->doc, r->text, at, len, &attributes));
}

static void step_delete(lk_gen *g, replica *r, model *m) {
  uint32_t at = gen_below(g, m->count + 1), len = gen_below(g, lk_min_u32(m->count - at, 12) + 1);
  memmove(m->units + at, m->units + at + len, (m->count - at - len) * sizeof(unit));
  m->count -= len;
  CHECK_OK(lk_doc_text_delete(r->doc, r->text, at, len));
}

PROPERTY_SLOW(each_unit_has_the_attributes_that_it_was_given, 8) {
  replica r, other;
  model m = { .count = 0 };
  open_replica(&r, 1);
  open_replica(&other, 2);
  for (uint32_t left = gen_below(g, 120); left > 0; left--) {
    switch (gen_below(g, 4)) {
    case 0:
    case 1: step_insert(g, &r, &m); break;
    case 2: step_format(g, &r, &m); break;
    default: step_delete(g, &r, &m);
    }
    check_model(&r, &m);
  }
  lk_buf_truncate(&r.out, 0);
  CHECK_OK(lk_doc_encode(r.doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &r.out));
  CHECK_OK(lk_doc_apply(other.doc, LK_UPDATE_V1, lk_buf_slice(&r.out), 0));
  check_model(&other, &m);
  close_replica(&r);
  close_replica(&other);
}

/* Sends all updates of |from| that it has emitted since the last time. */
static void send_to(replica *from, replica *to) {
  lk_slice rest = lk_buf_slice(&from->updates);
  while (rest.len > 0) apply_hex(to, lk_slice_cut(rest, ' ', &rest));
}

/* Goal: formatting that is cleaned up by each for himself must not tear replicas apart. */
PROPERTY_SLOW(replicas_that_format_at_the_same_time_read_the_same, 8) {
  replica r[2];
  for (uint32_t i = 0; i < 2; i++) open_replica(&r[i], i + 1);
  for (uint32_t left = gen_below(g, 12); left > 0; left--) {
    for (uint32_t i = 0; i < 2; i++) {
      model m;
      lk_buf_truncate(&r[i].updates, 0);
      for (uint32_t steps = gen_below(g, 4); steps > 0; steps--) {
        read_units(&r[i], &m);
        if (gen_bool(g)) step_insert(g, &r[i], &m);
        else if (gen_bool(g)) step_format(g, &r[i], &m);
        else step_delete(g, &r[i], &m);
      }
    }
    lk_buf sent = r[0].updates;
    lk_buf_init(&r[0].updates, test_alloc(), 1 << 24);
    send_to(&r[1], &r[0]);
    lk_buf echoed = r[0].updates;
    r[0].updates = sent;
    send_to(&r[0], &r[1]);
    lk_buf_deinit(&echoed);
  }
  for (uint32_t round = 0; round < 2; round++) { /* and what they cleaned up */
    for (uint32_t i = 0; i < 2; i++) {
      lk_buf_truncate(&r[i].out, 0);
      CHECK_OK(lk_doc_encode(r[i].doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &r[i].out));
      CHECK_OK(lk_doc_apply(r[1 - i].doc, LK_UPDATE_V1, lk_buf_slice(&r[i].out), 0));
    }
  }
  model one_reads, other_reads;
  read_units(&r[0], &one_reads);
  read_units(&r[1], &other_reads);
  CHECK_U64(one_reads.count, other_reads.count);
  CHECK(memcmp(one_reads.units, other_reads.units, one_reads.count * sizeof(unit)) == 0);
  close_replica(&r[0]);
  close_replica(&r[1]);
}

/* ---- many attributes ---- */

/* Goal: a map of attributes is a Map, also when it is large and holes come and go. */
PROPERTY(a_map_of_attributes_keeps_the_order_of_insertion) {
  lk_arena arena;
  lk_text_map map = { 0 };
  uint32_t order[256], count = 0;
  lk_arena_init(&arena, test_alloc(), 1 << 22);
  for (uint32_t left = gen_below(g, 600); left > 0; left--) {
    uint32_t key = gen_below(g, gen_bool(g) ? 8 : 200), at = 0;
    while (at < count && order[at] != key) at++;
    if (gen_chance(g, 1, 3)) {
      lk_text_map_remove(&map, key);
      if (at < count) memmove(order + at, order + at + 1, (--count - at) * sizeof order[0]);
    } else {
      CHECK_OK(lk_text_map_set(&map, &arena, key, (lk_text_value){ .at = left }));
      CHECK_U64(lk_text_map_find(&map, key)->at, left);
      if (at == count) order[count++] = key;
    }
  }
  uint32_t seen = 0;
  for (uint32_t i = 0; i < map.count; i++) {
    if (map.items[i].key != LK_NONE) CHECK_U64(map.items[i].key, order[seen++]);
  }
  CHECK_U64(seen, count);
  CHECK_U64(map.live, count);
  lk_arena_deinit(&arena);
}

/* ---- faults ---- */

typedef struct snapshot {
  lk_buf state, delta;
} snapshot;

static void take_snapshot(replica *r, snapshot *out) {
  lk_buf_init(&out->state, test_alloc(), 1 << 20);
  lk_buf_init(&out->delta, test_alloc(), 1 << 20);
  CHECK_OK(lk_doc_encode(r->doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &out->state));
  CHECK_OK(lk_doc_text_delta(r->doc, r->text, &out->delta));
}

static void drop_snapshot(snapshot *self) {
  lk_buf_deinit(&self->state);
  lk_buf_deinit(&self->delta);
}

#define STEPS 7

static lk_err do_step(replica *r, uint32_t step) {
  lk_value rule = { .kind = LK_VALUE_ANY, .bytes = LK_LIT("\x76\x01\x02hr\x78") };
  switch (step) {
  case 0: return lk_doc_text_insert(r->doc, r->text, 0, LK_LIT("abcdef"), one("bold", of_true()));
  case 1: return lk_doc_text_format(r->doc, r->text, 1, 3, one("link", of_link()));
  case 2: return lk_doc_text_insert(r->doc, r->text, 4, LK_LIT("x\xF0\x9F\x91\x8D"), NULL);
  case 3: return lk_doc_text_insert_embed(r->doc, r->text, 2, &rule, NULL);
  case 4:
    return lk_doc_text_insert_node(r->doc, r->text, 3, LK_NODE_XML_ELEMENT, LK_LIT("p"),
                                   one("k", of_true()), NULL);
  case 5: return lk_doc_text_delete(r->doc, r->text, 1, 4);
  default:
    return lk_doc_text_apply_delta(
        r->doc, r->text,
        LK_LIT("[{\"retain\":2},{\"insert\":\"y\",\"attributes\":{\"1\":{\"a\":2}}},"
               "{\"delete\":1},{\"retain\":9,\"attributes\":{\"bold\":null}}]"),
        true);
  }
}

/* |step| with the faults on, and all that looks at it with the faults off. */
static void check_step(faulty *faults, replica *r, uint32_t step) {
  uint64_t fail_at = faults->fail_at, seen = faults->seen;
  snapshot before, after;
  faults->fail_at = 0;
  take_snapshot(r, &before);
  faults->fail_at = fail_at;
  faults->seen = seen;
  lk_err err = do_step(r, step);
  seen = faults->seen;
  faults->fail_at = 0;
  CHECK(err == LK_OK || err == LK_ERR_NOMEM);
  if (err != LK_OK) {
    take_snapshot(r, &after);
    CHECK_SLICE(lk_buf_slice(&after.state), lk_buf_slice(&before.state));
    CHECK_SLICE(lk_buf_slice(&after.delta), lk_buf_slice(&before.delta));
    drop_snapshot(&after);
    CHECK_OK(do_step(r, step));
  }
  drop_snapshot(&before);
  faults->fail_at = fail_at;
  faults->seen = seen;
}

/* Goal: a call that runs out of memory changes nothing, and works when there is some again.
 * Method: each allocation fails once; the step that failed is compared with before and then repeated. */
TEST(a_text_call_without_memory_changes_nothing) {
  replica whole;
  snapshot want, got;
  open_replica(&whole, 1);
  for (uint32_t i = 0; i < STEPS; i++) CHECK_OK(do_step(&whole, i));
  take_snapshot(&whole, &want);
  FAULT_LOOP(faults, test_alloc()) {
    replica r;
    if (open_with(&r, faulty_alloc(&faults), 1) == LK_OK) {
      for (uint32_t i = 0; i < STEPS; i++) check_step(&faults, &r, i);
      uint64_t fail_at = faults.fail_at;
      faults.fail_at = 0;
      take_snapshot(&r, &got);
      faults.fail_at = fail_at;
      CHECK_SLICE(lk_buf_slice(&got.state), lk_buf_slice(&want.state));
      drop_snapshot(&got);
    }
    close_replica(&r);
  }
  drop_snapshot(&want);
  close_replica(&whole);
}
