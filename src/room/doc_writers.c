/* room/doc_writers.c -- members who have a note, and who wrote first as which client. */
#include "room/doc_parts.h"

#include "codec/varint.h"

static lk_err make_people(lk_room *self) {
  if (self->people != NULL) return LK_OK;
  self->people = lk_alloc_bytes(self->env->alloc, sizeof *self->people);
  if (self->people == NULL) return LK_ERR_NOMEM;
  *self->people = (lk_doc_people){ 0 };
  return LK_OK;
}

/* ---- notes ---- */

lk_doc_note *lk_doc_room_find_note(const lk_room *self, uint64_t member) {
  return self->people == NULL ? NULL : lk_doc_notes_find(&self->people->notes, member);
}

lk_err lk_doc_room_make_note(lk_room *self, uint64_t member, lk_doc_note **out) {
  lk_err err = make_people(self);
  if (err != LK_OK) return err;
  return lk_doc_notes_make(&self->people->notes, self->env->alloc, member, out);
}

lk_err lk_doc_room_note_subject(lk_room *self, uint64_t member, lk_slice subject) {
  lk_doc_note *n;
  if (subject.len == 0) return LK_OK;
  lk_err err = lk_doc_room_make_note(self, member, &n);
  if (err != LK_OK || lk_doc_note_subject(n).len > 0) return err;
  return lk_doc_note_set(n, self->env->alloc, subject, lk_doc_note_vector(n));
}

void lk_doc_room_forget_note(lk_room *self, uint64_t member) {
  const lk_doc_note *n = lk_doc_room_find_note(self, member);
  if (n == NULL) return;
  if (n->hears) self->people->hearers--;
  lk_doc_notes_forget(&self->people->notes, self->env->alloc, member);
}

/* ---- writers ---- */

static lk_err make_writers(lk_room *self) {
  lk_err err = make_people(self);
  if (err != LK_OK || self->people->writers != NULL) return err;
  lk_map *writers = lk_alloc_bytes(self->env->alloc, sizeof *writers);
  if (writers == NULL) return LK_ERR_NOMEM;
  lk_map_init(writers, self->env->alloc, sizeof(lk_slice), self->limits->doc_clients_count,
              self->seed);
  self->people->writers = writers;
  return LK_OK;
}

/* NULL where nobody was noted. */
static const lk_map *writers_of(const lk_room *self) {
  return self->people == NULL ? NULL : self->people->writers;
}

lk_slice lk_doc_room_writer_of(const lk_room *self, uint64_t client) {
  uint8_t bytes[8];
  const lk_map *writers = writers_of(self);
  const lk_slice *subject = writers == NULL ? NULL : lk_map_get(writers, key_of(client, bytes));
  return subject == NULL ? LK_SLICE_EMPTY : *subject;
}

/* False where the client is known already. */
lk_err lk_doc_room_add_writer(lk_room *self, uint64_t client, lk_slice subject, bool *is_new) {
  uint8_t bytes[8];
  void *value;
  lk_err err = make_writers(self);
  if (err == LK_OK) err = lk_map_put(self->people->writers, key_of(client, bytes), &value, is_new);
  if (err != LK_OK || !*is_new) return err;
  uint8_t *copy = lk_alloc_bytes(self->env->alloc, subject.len);
  if (copy == NULL) {
    (void)lk_map_remove(self->people->writers, key_of(client, bytes));
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
  const lk_doc_note *n = lk_doc_room_find_note(self, input->member);
  lk_slice known = n == NULL ? LK_SLICE_EMPTY : lk_doc_note_subject(n);
  return known.len > 0 ? known : input->subject;
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
  const lk_map *writers = writers_of(self);
  while (err == LK_OK && writers != NULL && lk_map_next(writers, &cursor, &key, &value)) {
    const lk_doc_item item = { LK_DOC_ITEM_WRITER, lk_load_le64(key.ptr), *(lk_slice *)value };
    err = lk_doc_record_append(out, &item);
  }
  return err;
}

static void free_writers(lk_room *self) {
  lk_map *writers = self->people->writers;
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  if (writers == NULL) return;
  while (lk_map_next(writers, &cursor, &key, &value)) {
    const lk_slice *subject = value;
    lk_free_bytes(self->env->alloc, (void *)(uintptr_t)subject->ptr, subject->len);
  }
  lk_map_deinit(writers);
  lk_free_bytes(self->env->alloc, writers, sizeof *writers);
}

void lk_doc_room_free_people(lk_room *self) {
  if (self->people == NULL) return;
  lk_doc_notes_deinit(&self->people->notes, self->env->alloc);
  free_writers(self);
  lk_free_bytes(self->env->alloc, self->people, sizeof *self->people);
  self->people = NULL;
}
