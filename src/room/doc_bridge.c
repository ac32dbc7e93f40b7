/* room/doc_bridge.c -- a few fields of one object, put into another one. */
#include "room/doc_bridge.h"

#include "codec/json_reader.h"
#include "codec/json_writer.h"

/* Absent and null are the same. */
static bool is_there(const lk_json_member *m) {
  return m->value.kind != LK_JSON_ABSENT && m->value.kind != LK_JSON_NULL;
}

/* "name":value, behind a comma where something stands before it. */
static void append_field(lk_buf *out, lk_slice name, lk_slice value) {
  if (out->len > 0 && out->ptr[out->len - 1] != '{') lk_buf_append_u8(out, ',');
  lk_buf_append_u8(out, '"');
  lk_buf_append(out, name);
  lk_buf_append(out, LK_LIT("\":"));
  lk_buf_append(out, value);
}

/* Whether there is room for a field and the end of the object. */
static bool fits(const lk_buf *out, lk_slice name, lk_slice value, const lk_limits *limits) {
  return out->len + name.len + value.len + 5 <= limits->presence_awareness_bytes;
}

lk_err lk_doc_bridge_presence(lk_slice state, const lk_limits *limits, lk_arena *scratch,
                              lk_buf *out) {
  lk_json_member members[2] = { { .name = LK_LIT("user") }, { .name = LK_LIT("cursor") } };
  lk_json_reader in;
  lk_err err = lk_json_reader_init(&in, state, limits, scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 2);
  if (err == LK_ERR_NOMEM) return err;
  lk_buf_append_u8(out, '{');
  for (int i = 0; err == LK_OK && i < 2; i++) {
    if (!is_there(&members[i])) continue;
    if (fits(out, members[i].name, members[i].raw, limits))
      append_field(out, members[i].name, members[i].raw);
    else LK_COVERED(doc_bridge_shows_less_in_presence);
  }
  return lk_buf_append_u8(out, '}');
}

/* Not of the application, or said in another place. */
static bool is_of_presence(lk_slice name) {
  static const lk_slice names[] = { LK_LIT_INIT("phx_ref"), LK_LIT_INIT("phx_ref_prev"),
                                    LK_LIT_INIT("cursor_pos"), LK_LIT_INIT("user") };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (lk_slice_equal(name, names[i])) return true;
  }
  return false;
}

/* The object's members, each behind a comma; |*has_name|: a name that can be shown is among them. */
static lk_err copy_members(lk_json_reader *in, bool is_meta, bool *has_name, lk_buf *out) {
  lk_json_event event, value;
  lk_slice raw;
  lk_err err = lk_json_next(in, &event);
  while (err == LK_OK && (err = lk_json_next(in, &event)) == LK_OK && event.kind == LK_JSON_KEY) {
    err = lk_json_next(in, &value);
    if (err == LK_OK) err = lk_json_skip_rest(in, &value, &raw);
    if (err != LK_OK || (is_meta && is_of_presence(event.text))) continue;
    const bool is_name = lk_slice_equal(event.text, LK_LIT("name"));
    if (is_name && (value.kind != LK_JSON_STRING || value.text.len == 0)) continue;
    *has_name = *has_name || is_name;
    lk_buf_append_u8(out, ',');
    lk_buf_append(out, event.raw);
    lk_buf_append_u8(out, ':');
    err = lk_buf_append(out, raw);
  }
  return err;
}

/* Without |object|: only its name. */
static lk_err write_user(lk_slice key, lk_slice object, bool is_meta, const lk_limits *limits,
                         lk_arena *scratch, lk_buf *out) {
  lk_json_writer w;
  lk_json_reader in;
  bool has_name = false;
  size_t start = out->len;
  lk_err err = LK_OK;
  if (object.len > 0) {
    err = lk_json_reader_init(&in, object, limits, scratch);
    if (err == LK_OK) err = copy_members(&in, is_meta, &has_name, out);
  }
  if (err == LK_OK && !has_name) {
    (void)lk_buf_append(out, LK_LIT(",\"name\":"));
    lk_json_writer_init(&w, out);
    (void)lk_json_write_string(&w, key);
    err = lk_json_writer_finish(&w);
  }
  if (err == LK_OK) err = lk_buf_append_u8(out, '}');
  if (err == LK_OK) out->ptr[start] = '{'; /* in the place of the first comma */
  return err;
}

static lk_err write_state(lk_slice key, lk_slice object, bool is_meta, const lk_limits *limits,
                          lk_arena *scratch, lk_buf *out) {
  lk_json_writer w;
  lk_buf_truncate(out, 0);
  (void)lk_buf_append(out, LK_LIT("{\"user\":"));
  lk_err err = write_user(key, object, is_meta, limits, scratch, out);
  if (err != LK_OK) return err;
  (void)lk_buf_append(out, LK_LIT(",\"presence\":"));
  lk_json_writer_init(&w, out);
  (void)lk_json_write_string(&w, key);
  return lk_json_writer_finish(&w);
}

lk_err lk_doc_bridge_awareness(lk_slice key, lk_slice meta, const lk_limits *limits,
                               lk_arena *scratch, lk_buf *out) {
  lk_json_member members[2] = { { .name = LK_LIT("user") }, { .name = LK_LIT("cursor_pos") } };
  lk_json_reader in;
  lk_err err = lk_json_reader_init(&in, meta, limits, scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 2);
  if (err != LK_OK) return err;
  const bool is_meta = members[0].value.kind != LK_JSON_OBJECT_BEGIN;
  err = write_state(key, is_meta ? meta : members[0].raw, is_meta, limits, scratch, out);
  if (err == LK_OK && out->len + 1 > limits->presence_awareness_bytes) {
    LK_COVERED(doc_bridge_shows_less_in_awareness);
    err = write_state(key, LK_SLICE_EMPTY, false, limits, scratch, out);
  }
  if (err != LK_OK) return err;
  if (is_there(&members[1]) && fits(out, members[1].name, members[1].raw, limits))
    append_field(out, members[1].name, members[1].raw);
  return lk_buf_append_u8(out, '}');
}
