#include "room/crdt_parts.h"

#include "codec/json_reader.h"
#include "room/crdt_commands.h"

/* The object in which a client says what it wants: a join's params, or what is in an envelope. Empty: it says nothing. */
static lk_err unwrap(lk_room *self, const lk_room_input *input, lk_slice *out) {
  *out = LK_SLICE_EMPTY;
  if (input->binary || input->payload.len == 0) return LK_OK;
  *out = input->payload;
  if (input->kind == LK_ROOM_JOIN || input->kind == LK_ROOM_RESTORE) return LK_OK;
  return lk_crdt_command_unwrap(input->payload, self->limits, &self->scratch, out);
}

lk_err lk_crdt_room_read_type(const lk_json_event *event, const lk_crdt_type **out) {
  if (event->kind == LK_JSON_ABSENT || event->kind == LK_JSON_NULL) return LK_OK;
  if (event->kind != LK_JSON_STRING) return LK_ERR_PAYLOAD;
  if (lk_slice_starts_with(event->text, LK_LIT("crdt."))) return LK_OK; /* an empty envelope */
  *out = lk_crdt_type_named(event->text);
  return *out != NULL ? LK_OK : LK_ERR_UNKNOWN_TYPE;
}

/* Who calls the topic by the first clients' name for it speaks as they do. */
static lk_crdt_form form_of_name(const lk_room_input *input) {
  bool comes = input->kind == LK_ROOM_JOIN || input->kind == LK_ROOM_RESTORE;
  bool counts = comes && lk_slice_starts_with(input->event, LK_LIT("counter:"));
  return counts ? LK_CRDT_FORM_COUNTS : LK_CRDT_FORM_BYTES;
}

lk_err lk_crdt_room_read_wishes(lk_room *self, const lk_room_input *input, lk_crdt_wishes *out,
                                lk_slice *field) {
  lk_json_member members[2] = { { .name = LK_LIT("type") }, { .name = LK_LIT("encoding") } };
  lk_json_reader in;
  lk_slice json;
  *out = (lk_crdt_wishes){ .form = form_of_name(input) };
  *field = LK_LIT("payload");
  lk_err err = unwrap(self, input, &json);
  if (err == LK_ERR_PAYLOAD || (err == LK_OK && json.len == 0)) return LK_OK;
  if (err == LK_OK) err = lk_json_reader_init(&in, json, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 2);
  if (err != LK_OK) return err == LK_ERR_TYPE ? LK_OK : err;
  if (out->form == LK_CRDT_FORM_BYTES && lk_slice_equal(members[1].value.text, LK_LIT("json")))
    out->form = LK_CRDT_FORM_JSON;
  *field = LK_LIT("type");
  return lk_crdt_room_read_type(&members[0].value, &out->type);
}

bool lk_crdt_room_is_open_to_any_type(const lk_room *self) {
  if (self->copies.type == NULL) return true;
  return self->members == 0 && !self->journal.in_flight && lk_crdt_copies_are_blank(&self->copies);
}

lk_err lk_crdt_room_settle_type(lk_room *self, const lk_crdt_type *wanted) {
  lk_crdt_copies *copies = &self->copies;
  if (copies->type != NULL && (wanted == NULL || wanted == copies->type)) return LK_OK;
  if (!lk_crdt_room_is_open_to_any_type(self)) return LK_ERR_TYPE;
  return lk_crdt_copies_set_type(copies, wanted != NULL ? wanted : &lk_crdt_type_gcounter);
}

lk_err lk_crdt_room_settle_wishes(lk_room *self, const lk_crdt_wishes *wanted) {
  const lk_crdt_type *type = wanted->type;
  if (wanted->form == LK_CRDT_FORM_COUNTS) {
    if (type == NULL && lk_crdt_room_is_open_to_any_type(self)) type = &lk_crdt_type_gcounter;
    const lk_crdt_type *asked = type != NULL ? type : self->copies.type;
    if (asked != &lk_crdt_type_gcounter && asked != &lk_crdt_type_pncounter) {
      /* There must be an object, for its type to be named. */
      lk_err err = lk_crdt_room_settle_type(self, NULL);
      return err == LK_OK ? LK_ERR_TYPE : err;
    }
  }
  return lk_crdt_room_settle_type(self, type);
}
