/* room/doc_query.c -- forms of doc/print.h, and three of bytes. */
#include "room/doc_query.h"

#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "doc/print.h"
#include "room/doc_page.h"

static lk_err say_error(lk_buf *out, lk_err why, lk_slice field, lk_slice message, lk_slice roots) {
  lk_json_writer w;
  lk_buf_truncate(out, 0);
  lk_json_writer_init(&w, out);
  (void)lk_json_begin_object(&w);
  (void)lk_json_write_key(&w, LK_LIT("reason"));
  (void)lk_json_write_string(&w, lk_slice_cstr(lk_err_name(why)));
  (void)lk_json_write_key(&w, LK_LIT("field"));
  (void)lk_json_write_string(&w, field);
  (void)lk_json_write_key(&w, LK_LIT("message"));
  (void)lk_json_write_string(&w, message);
  if (roots.len > 0) {
    (void)lk_json_write_key(&w, LK_LIT("roots"));
    (void)lk_json_write_string(&w, roots);
  }
  (void)lk_json_end_object(&w);
  return lk_json_writer_finish(&w);
}

static lk_err complain(const lk_doc *doc, lk_print_form form, lk_print_choice choice, lk_buf *out) {
  lk_buf roots;
  lk_slice message = LK_LIT("which root is meant? Name one");
  lk_err why = LK_ERR_INVALID;
  lk_buf_init(&roots, out->alloc, 4096);
  lk_print_root_names(doc, choice == LK_PRINT_SEVERAL ? lk_print_kinds(form) : 0, &roots);
  if (choice == LK_PRINT_MISSING) {
    why = LK_ERR_NOT_FOUND;
    message = LK_LIT("there is no root of that name");
  } else if (choice == LK_PRINT_WRONG) {
    why = LK_ERR_TYPE;
    message = LK_LIT("the root cannot be shown in that form");
  } else if (choice == LK_PRINT_NONE) {
    why = LK_ERR_TYPE;
    message = LK_LIT("no root can be shown in that form");
  }
  lk_err err = say_error(out, why, LK_LIT("root"), message, lk_buf_slice(&roots));
  lk_buf_deinit(&roots);
  return err;
}

static lk_err print(const lk_doc *doc, lk_print_form form, lk_slice root, lk_buf *out,
                    lk_doc_reading *reading) {
  lk_node node = { 0, 0 };
  lk_print_choice choice = lk_print_choose(doc, form, root, &node);
  if (choice > LK_PRINT_NOTHING) return complain(doc, form, choice, out);
  *reading = (lk_doc_reading){ true, form != LK_PRINT_JSON && form != LK_PRINT_DELTA };
  return lk_print_write(doc, form, choice, node, out);
}

static lk_err read_as(const lk_doc *doc, lk_slice as, lk_slice root, lk_buf *out,
                      lk_doc_reading *reading) {
  lk_print_form form;
  if (lk_print_form_of(as, &form)) return print(doc, form, root, out, reading);
  *reading = (lk_doc_reading){ true, true };
  if (lk_slice_equal(as, LK_LIT("update")))
    return lk_doc_encode(doc, LK_UPDATE_V1, LK_SLICE_EMPTY, out);
  if (lk_slice_equal(as, LK_LIT("update_v2")))
    return lk_doc_encode(doc, LK_UPDATE_V2, LK_SLICE_EMPTY, out);
  if (lk_slice_equal(as, LK_LIT("state_vector"))) return lk_doc_state_vector(doc, out);
  if (lk_slice_equal(as, LK_LIT("page"))) return lk_doc_page_write(doc, out);
  *reading = (lk_doc_reading){ false, false };
  return say_error(
      out, LK_ERR_INVALID, LK_LIT("as"),
      LK_LIT("one of json, text, delta, html, markdown, update, update_v2, state_vector"),
      LK_SLICE_EMPTY);
}

/* Nobody has written in it, and nothing waits for what somebody else has. */
static lk_err look_whether_empty(const lk_doc *doc, lk_buf *out, bool *is_empty) {
  static const uint8_t nothing[] = { 0, 0 };
  *is_empty = false;
  lk_err err = lk_doc_state_vector(doc, out);
  bool has_vector = out->len > 1;
  lk_buf_truncate(out, 0);
  if (err != LK_OK || has_vector) return err;
  err = lk_doc_encode(doc, LK_UPDATE_V1, LK_SLICE_EMPTY, out);
  *is_empty = lk_slice_equal(lk_buf_slice(out), lk_slice_of(nothing, sizeof nothing));
  lk_buf_truncate(out, 0);
  return err;
}

lk_err lk_doc_query_read(const lk_doc *doc, const lk_limits *limits, lk_arena *scratch,
                         lk_slice payload, lk_buf *out, lk_doc_reading *reading) {
  lk_json_member members[] = { { .name = LK_LIT("as") },
                               { .name = LK_LIT("root") },
                               { .name = LK_LIT("must_exist") } };
  lk_json_reader in;
  bool is_empty = false;
  *reading = (lk_doc_reading){ false, false };
  lk_err err = lk_json_reader_init(&in, payload, limits, scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 3);
  if (err == LK_ERR_NOMEM) return err;
  if (err != LK_OK)
    return say_error(out, LK_ERR_PAYLOAD, LK_LIT("as"), LK_LIT("an object is wanted"),
                     LK_SLICE_EMPTY);
  if (members[2].value.kind == LK_JSON_TRUE) err = look_whether_empty(doc, out, &is_empty);
  if (err != LK_OK) return err;
  if (is_empty)
    return say_error(out, LK_ERR_NOT_FOUND, LK_LIT("topic"),
                     LK_LIT("nothing is kept under this name"), LK_SLICE_EMPTY);
  lk_slice as = LK_LIT("json"), root = LK_SLICE_EMPTY;
  if (members[0].value.kind == LK_JSON_STRING) as = members[0].value.text;
  if (members[1].value.kind == LK_JSON_STRING)
    root = members[1].value.text.ptr != NULL ? members[1].value.text : LK_LIT("");
  return read_as(doc, as, root, out, reading);
}
