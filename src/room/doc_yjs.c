/* room/doc_yjs.c -- y-protocols' messages, several of which may stand one behind the other. */
#include "room/doc_parts.h"

#include "channel/y_sync.h"
#include "room/doc_payload.h"

static lk_err push_y(lk_room *self, uint64_t member, lk_y_kind kind, lk_slice body) {
  lk_buf message;
  lk_buf_init(&message, self->env->alloc, SIZE_MAX / 4);
  lk_err err = lk_y_message_encode(kind, body, &message);
  if (err == LK_OK)
    err = lk_doc_room_push_bytes(self, member, LK_LIT("yjs"), lk_buf_slice(&message),
                                 LK_DIALECT_YJS);
  lk_buf_deinit(&message);
  return err;
}

/* Our state vector, so that the member sends what we lack. */
lk_err lk_doc_room_ask_for_rest(lk_room *self, const lk_room_input *input) {
  lk_doc_note *n;
  lk_buf vector;
  lk_err err = lk_doc_room_make_note(self, input->member, &n);
  if (err != LK_OK || n->was_asked) return err;
  n->was_asked = true;
  if ((err = lk_doc_room_wake(self, input)) != LK_OK) return err;
  lk_buf_init(&vector, self->env->alloc, self->limits->doc_update_bytes);
  err = lk_doc_state_vector(self->doc, &vector);
  if (err == LK_OK) err = push_y(self, input->member, LK_Y_SYNC_STEP1, lk_buf_slice(&vector));
  lk_buf_deinit(&vector);
  return err;
}

/* Who has nothing gets what is encoded for all. */
static lk_err send_all(lk_room *self, uint64_t member) {
  static const uint8_t nothing[] = { 0, 0 };
  lk_doc_encoded_walk walk;
  lk_slice update = lk_slice_of(nothing, sizeof nothing);
  lk_err err = lk_doc_encoded_begin(&self->encoded, self->doc, &walk);
  lk_y_kind kind = LK_Y_SYNC_STEP2;
  while (err == LK_OK && (lk_doc_encoded_next(&walk, &update) || kind == LK_Y_SYNC_STEP2)) {
    err = push_y(self, member, kind, update);
    kind = LK_Y_UPDATE;
  }
  return err;
}

static lk_err send_missing(lk_room *self, uint64_t member, lk_slice vector) {
  lk_buf update;
  lk_buf_init(&update, self->env->alloc, self->limits->doc_update_bytes);
  lk_err err = lk_doc_encode(self->doc, LK_UPDATE_V1, vector, &update);
  if (err == LK_OK) err = push_y(self, member, LK_Y_SYNC_STEP2, lk_buf_slice(&update));
  lk_buf_deinit(&update);
  return err;
}

/* What the member lacks, and the question for what we lack. */
static lk_err answer_step1(lk_room *self, const lk_room_input *input, lk_slice vector,
                           outcome *out) {
  bool has_nothing = vector.len == 1 && vector.ptr[0] == 0;
  if (lk_doc_room_is_busy(self)) {
    *out = refused("busy", LK_ERR_LIMIT);
    return LK_OK;
  }
  lk_err err = lk_doc_room_wake(self, input);
  if (err == LK_OK)
    err = has_nothing ? send_all(self, input->member) : send_missing(self, input->member, vector);
  if (err != LK_OK && err != LK_ERR_NOMEM) {
    *out = refused("state_vector", err);
    return LK_OK;
  }
  return err == LK_OK ? lk_doc_room_ask_for_rest(self, input) : err;
}

/* What was asked in one message of ours: each answer may be as long as the document, and a question has a byte. So it is
 * given once. */
typedef struct questions {
  bool state;
  bool awareness;
} questions;

static bool is_first(bool *was_asked) {
  bool is_first = !*was_asked;
  *was_asked = true;
  return is_first;
}

static lk_err take_y_message(lk_room *self, const lk_room_input *input, const lk_y_message *m,
                             questions *asked, outcome *out) {
  switch (m->kind) {
  case LK_Y_SYNC_STEP1:
    return is_first(&asked->state) ? answer_step1(self, input, m->body, out) : LK_OK;
  case LK_Y_SYNC_STEP2:
  case LK_Y_UPDATE: return lk_doc_room_take_update(self, input, m->body, out);
  case LK_Y_AWARENESS: return lk_doc_room_take_awareness(self, input, m->body, out);
  case LK_Y_QUERY_AWARENESS:
    return is_first(&asked->awareness) ? lk_doc_room_push_awareness(self, input->member) : LK_OK;
  case LK_Y_AUTH_DENIED:
  case LK_Y_KINDS: break; /* nothing that a client has to say */
  }
  return LK_OK;
}

/* y-protocols has no replies: who was refused is told in its own words, once. */
static lk_err tell_denied(lk_room *self, const lk_room_input *input, const outcome *o) {
  lk_slice reason = lk_slice_cstr(o->reason);
  if (input->kind == LK_ROOM_QUERY) return LK_OK;
  return push_y(self, input->member, LK_Y_AUTH_DENIED, reason);
}

/* Several may stand one behind the other. The answer is to the last one that was refused, or waits for all. */
lk_err lk_doc_room_on_yjs(lk_room *self, const lk_room_input *input) {
  lk_slice bytes;
  outcome all = { 0 };
  questions asked = { false, false };
  lk_doc_payload payload = { self->limits, &self->work->scratch, &self->work->bytes,
                             LK_SLICE_EMPTY };
  lk_err err = lk_doc_payload_read(&payload, input->payload, input->binary, &bytes);
  if (err != LK_OK) return lk_doc_room_refuse(self, input, NULL, err, payload.field);
  for (lk_reader in = lk_reader_of(bytes); lk_reader_left(&in) > 0;) {
    lk_y_message m;
    outcome o = { 0 };
    err = lk_y_message_decode(&in, &m);
    if (err != LK_OK) return lk_doc_room_refuse(self, input, NULL, err, LK_SLICE_EMPTY);
    if ((err = take_y_message(self, input, &m, &asked, &o)) != LK_OK) return err;
    if (o.reason != NULL) all = o;
    else if (all.reason == NULL) all.ticket = lk_max_u64(all.ticket, o.ticket);
  }
  if (all.reason != NULL && (err = tell_denied(self, input, &all)) != LK_OK) return err;
  return lk_doc_room_answer(self, input, &all);
}

/* The first word of a provider that named no dialect when it joined: what others show it was told in words that it does not
 * read. */
lk_err lk_doc_room_on_yjs_sync(lk_room *self, const lk_room_input *input) {
  lk_err err = lk_doc_room_on_yjs(self, input);
  if (err == LK_OK) err = lk_doc_room_push_awareness(self, input->member);
  return err == LK_OK ? lk_doc_room_note_hearer(self, input->member) : err;
}
