/* room/crdt_queries.c -- what somebody asks who is not in the room: any of a member's messages, with terms around it.
 *
 *   {"event","payload","type","must_exist","is_new"}     crdt_room.h
 *
 * The terms are judged first; then it is a message like any other. */
#include "room/crdt_parts.h"

#include "codec/json_reader.h"

typedef struct terms {
  lk_slice event;
  lk_slice payload;
  const lk_crdt_type *type; /* NULL: any */
  bool must_exist;
  bool is_new;
} terms;

static lk_err read_terms(lk_room *self, const lk_room_input *input, terms *out, lk_slice *field) {
  lk_json_member members[] = { { .name = LK_LIT("event") },
                               { .name = LK_LIT("payload") },
                               { .name = LK_LIT("type") },
                               { .name = LK_LIT("must_exist") },
                               { .name = LK_LIT("is_new") } };
  lk_json_reader in;
  *out = (terms){ .payload = LK_LIT("{}") };
  *field = LK_LIT("payload");
  if (input->binary) return LK_ERR_PAYLOAD;
  lk_err err = lk_json_reader_init(&in, input->payload, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, sizeof members / sizeof members[0]);
  if (err != LK_OK) return err;
  if (members[0].value.kind != LK_JSON_STRING) return LK_ERR_PAYLOAD;
  out->event = members[0].value.text;
  if (members[1].value.kind != LK_JSON_ABSENT) out->payload = members[1].raw;
  out->must_exist = members[3].value.kind == LK_JSON_TRUE;
  out->is_new = members[4].value.kind == LK_JSON_TRUE;
  *field = LK_LIT("type");
  return lk_crdt_room_read_type(&members[2].value, &out->type);
}

static bool is_nothing(const lk_room *self) {
  return !self->journal.in_flight && lk_crdt_copies_are_blank(&self->copies);
}

/* A command that made the object may come again, and is answered like any other then. */
lk_err lk_crdt_room_is_executed(lk_room *self, lk_slice command, bool *out) {
  lk_json_member id = { .name = LK_LIT("request_id") };
  lk_json_reader in;
  *out = false;
  lk_err err = lk_json_reader_init(&in, command, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, &id, 1);
  if (err != LK_OK || id.value.kind != LK_JSON_STRING || id.value.text.len == 0) return err;
  const lk_crdt_request request = lk_crdt_request_of(id.value.text, NULL, 0);
  *out = lk_crdt_requests_find(&self->requests, &request) != NULL;
  return LK_OK;
}

static lk_err judge_terms(lk_room *self, const lk_room_input *input, const terms *asked) {
  bool is_known = false;
  if (asked->must_exist && is_nothing(self)) return LK_ERR_NOT_FOUND;
  if (!asked->is_new || input->applied || is_nothing(self)) return LK_OK;
  lk_err err = lk_crdt_room_is_executed(self, asked->payload, &is_known);
  return err == LK_OK && !is_known ? LK_ERR_EXISTS : err;
}

lk_err lk_crdt_room_on_query(lk_room *self, const lk_room_input *input) {
  terms asked;
  lk_slice field;
  if (!lk_slice_equal(input->event, LK_LIT("ask"))) return lk_crdt_room_on_message(self, input);
  lk_err err = read_terms(self, input, &asked, &field);
  if (err != LK_OK) return lk_crdt_room_refuse(self, input, err, field);
  err = judge_terms(self, input, &asked);
  if (err != LK_OK) return lk_crdt_room_refuse(self, input, err, LK_LIT("topic"));
  if (asked.type != NULL && input->rights >= LK_RIGHTS_WRITE) {
    err = lk_crdt_room_settle_type(self, asked.type);
    if (err == LK_ERR_TYPE) return lk_crdt_room_refuse_type(self, input);
    if (err != LK_OK) return err;
  }
  lk_room_input inner = *input;
  inner.event = asked.event;
  inner.payload = asked.payload;
  return lk_crdt_room_on_message(self, &inner);
}
