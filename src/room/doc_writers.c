/* room/doc_writers.c -- what is remembered of members, and who wrote first as which client. */
#include "room/doc_parts.h"

#include "codec/varint.h"

static lk_err make_people(lk_room *self) {
  if (self->people != NULL) return LK_OK;
  self->people = lk_alloc_bytes(self->env->alloc, sizeof *self->people);
  if (self->people == NULL) return LK_ERR_NOMEM;
  *self->people = (lk_doc_people){ 0 };
  lk_map_init(&self->people->notes, self->env->alloc, sizeof(note), UINT32_MAX / 4, self->seed);
  lk_map_init(&self->people->writers, self->env->alloc, sizeof(lk_slice),
              self->limits->doc_clients_count, self->seed);
  return LK_OK;
}

note *lk_doc_room_find_note(const lk_room *self, uint64_t member) {
  uint8_t bytes[8];
  return self->people == NULL ? NULL : lk_map_get(&self->people->notes, key_of(member, bytes));
}

lk_err lk_doc_room_make_note(lk_room *self, uint64_t member, note **out) {
  uint8_t bytes[8];
  void *value;
  bool is_new;
  lk_err err = make_people(self);
  if (err == LK_OK) err = lk_map_put(&self->people->notes, key_of(member, bytes), &value, &is_new);
  if (err == LK_OK) *out = value;
  return err;
}

lk_err lk_doc_room_note_subject(lk_room *self, uint64_t member, lk_slice subject) {
  note *n;
  if (subject.len == 0) return LK_OK;
  lk_err err = lk_doc_room_make_note(self, member, &n);
  if (err != LK_OK || n->subject != NULL) return err;
  n->subject = lk_alloc_bytes(self->env->alloc, subject.len);
  if (n->subject == NULL) return LK_ERR_NOMEM;
  memcpy(n->subject, subject.ptr, subject.len);
  n->subject_len = (uint32_t)subject.len;
  return LK_OK;
}

void lk_doc_room_forget_note(lk_room *self, uint64_t member) {
  uint8_t bytes[8];
  const note *n = lk_doc_room_find_note(self, member);
  if (n == NULL) return;
  lk_free_bytes(self->env->alloc, n->subject, n->subject_len);
  lk_free_bytes(self->env->alloc, n->vector, n->vector_len);
  if (n->hears) self->people->hearers--;
  (void)lk_map_remove(&self->people->notes, key_of(member, bytes));
}

static void free_notes(lk_room *self) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  while (lk_map_next(&self->people->notes, &cursor, &key, &value)) {
    const note *n = value;
    lk_free_bytes(self->env->alloc, n->subject, n->subject_len);
    lk_free_bytes(self->env->alloc, n->vector, n->vector_len);
  }
  lk_map_deinit(&self->people->notes);
}

/* False where the client is known already. */
lk_err lk_doc_room_add_writer(lk_room *self, uint64_t client, lk_slice subject, bool *is_new) {
  uint8_t bytes[8];
  void *value;
  lk_err err = make_people(self);
  if (err == LK_OK) err = lk_map_put(&self->people->writers, key_of(client, bytes), &value, is_new);
  if (err != LK_OK || !*is_new) return err;
  uint8_t *copy = lk_alloc_bytes(self->env->alloc, subject.len);
  if (copy == NULL) {
    (void)lk_map_remove(&self->people->writers, key_of(client, bytes));
    return LK_ERR_NOMEM;
  }
  memcpy(copy, subject.ptr, subject.len);
  *(lk_slice *)value = lk_slice_of(copy, subject.len);
  return LK_OK;
}

typedef struct attribution {
  lk_room *self;
  lk_slice subject;
} attribution;

static lk_err attribute(void *ctx, const lk_update_client *client) {
  const attribution *a = ctx;
  bool is_new = false;
  if (client->structs == 0) return LK_OK;
  lk_err err = lk_doc_room_add_writer(a->self, client->client, a->subject, &is_new);
  if (err != LK_OK || !is_new) return err;
  const lk_doc_item item = { LK_DOC_ITEM_WRITER, client->client, a->subject };
  return lk_doc_room_note_item(a->self, &item, 0);
}

/* |update| brought clients that had not written before: they are the member's. Forwarded ones of others are, too,
 * where this is the first that we see of them. */
lk_slice lk_doc_room_subject_of(const lk_room *self, const lk_room_input *input) {
  const note *n = lk_doc_room_find_note(self, input->member);
  return n != NULL && n->subject != NULL ? lk_slice_of(n->subject, n->subject_len) : input->subject;
}

lk_err lk_doc_room_attribute_clients(lk_room *self, const lk_room_input *input, lk_slice update) {
  lk_slice subject = lk_doc_room_subject_of(self, input);
  if (subject.len == 0) return LK_OK;
  attribution a = { self, subject };
  return lk_update_clients(self->env, LK_UPDATE_V1, update, attribute, &a);
}

lk_err lk_doc_room_append_writers(lk_room *self, lk_buf *out) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  lk_err err = LK_OK;
  while (err == LK_OK && self->people != NULL &&
         lk_map_next(&self->people->writers, &cursor, &key, &value)) {
    const lk_doc_item item = { LK_DOC_ITEM_WRITER, lk_load_le64(key.ptr), *(lk_slice *)value };
    err = lk_doc_record_append(out, &item);
  }
  return err;
}

static void free_writers(lk_room *self) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  while (lk_map_next(&self->people->writers, &cursor, &key, &value)) {
    const lk_slice *subject = value;
    lk_free_bytes(self->env->alloc, (void *)(uintptr_t)subject->ptr, subject->len);
  }
  lk_map_deinit(&self->people->writers);
}

void lk_doc_room_free_people(lk_room *self) {
  if (self->people == NULL) return;
  free_notes(self);
  free_writers(self);
  lk_free_bytes(self->env->alloc, self->people, sizeof *self->people);
  self->people = NULL;
}
