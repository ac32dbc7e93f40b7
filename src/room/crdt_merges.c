/* room/crdt_merges.c -- what replicas made, taken into the object.
 *
 *   read ──> decoded ──> admitted ──> narrowed to what is new ──> merged ──> gathers
 *
 * A replica may say anything, as long as it keeps to the clock, and as long as the result can be told: crdt_trial.h. */
#include "room/crdt_parts.h"

#include "codec/base64.h"
#include "codec/json_reader.h"
#include "room/crdt_commands.h"

/* Deltas of that many bytes are looked through for what the room has already. */
#define NARROWED_LEAST 1024u

/* The delta of a payload in the catalogue's bytes, in the scratch memory; or its JSON form. */
typedef struct foreign {
  lk_slice bytes;
  lk_slice json; /* used where |bytes| is empty */
} foreign;

static lk_err read_bytes(lk_room *self, lk_slice text, lk_slice *out) {
  lk_buf bytes;
  lk_buf_init(&bytes, self->env->alloc, self->limits->crdt_state_bytes);
  lk_err err = lk_base64_decode(&bytes, text, LK_BASE64_FORM_STANDARD);
  if (err == LK_OK) err = lk_arena_copy(&self->scratch, lk_buf_slice(&bytes), out);
  lk_buf_deinit(&bytes);
  return err;
}

static lk_err read_foreign(lk_room *self, const lk_room_input *input, foreign *out,
                           lk_slice *field) {
  lk_json_member members[2] = { { .name = LK_LIT("delta") }, { .name = LK_LIT("state") } };
  lk_json_reader in;
  lk_slice inner;
  *out = (foreign){ .bytes = input->payload };
  *field = LK_LIT("payload");
  if (input->binary) return LK_OK;
  lk_err err = lk_crdt_command_unwrap(input->payload, self->limits, &self->scratch, &inner);
  if (err == LK_OK) err = lk_json_reader_init(&in, inner, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 2);
  if (err != LK_OK) return err;
  *out = (foreign){ .json = inner }; /* "counts", or the form itself */
  for (int i = 0; i < 2; i++) {
    if (members[i].value.kind == LK_JSON_ABSENT) continue;
    *field = members[i].name;
    if (members[i].value.kind == LK_JSON_STRING)
      return read_bytes(self, members[i].value.text, &out->bytes);
    out->json = members[i].raw;
    return LK_OK;
  }
  bool may_count = self->copies.type == &lk_crdt_type_gcounter;
  *field = may_count ? LK_LIT("counts") : LK_LIT("delta");
  return LK_OK;
}

/* A merge may be the first that is heard of an object; it says what it is of. */
static lk_err settle_type(lk_room *self, const foreign *in) {
  bool says = in->bytes.len > 0 && in->bytes.ptr[0] != 0;
  if (!says || !lk_crdt_room_is_open_to_any_type(self)) return LK_OK;
  return lk_crdt_room_settle_type(self, lk_crdt_type_of(in->bytes.ptr[0]));
}

static lk_err decode(lk_room *self, const foreign *in, lk_flat *out) {
  const lk_crdt_scope *scope = &self->copies.scope;
  const lk_crdt_type *type = self->copies.type;
  if (in->bytes.len == 0) return lk_flat_decode_json(out, type, in->json, scope, &self->scratch);
  lk_err err = lk_flat_decode(out, in->bytes, scope, &self->scratch);
  return err == LK_OK && out->type != type ? LK_ERR_TYPE : err;
}

/* Every stamp must be of a time in which somebody may live, or the clock of the object would be at its end. */
static lk_err admit(const lk_room_input *input, const lk_flat *news) {
  lk_err err = LK_OK;
  for (uint32_t i = 0; err == LK_OK && i < news->fact_count; i++) {
    const lk_crdt_type *type = lk_flat_type_at(news, news->facts[i].node);
    if (type->admit_value != NULL)
      err = type->admit_value(news->facts[i].value, stamp_max(input), 0);
  }
  return err;
}

/* What of |news| the room lacks. A replica that comes back may send its whole state for a single change; that one alone
 * should go into the journal and to everybody. */
static lk_err narrow(lk_room *self, lk_flat *news, size_t *len) {
  const lk_crdt_copies *copies = &self->copies;
  lk_crdt *object;
  lk_slice bytes;
  lk_err err = lk_crdt_copies_make(copies, copies->type, &object);
  if (err != LK_OK) return err;
  lk_buf_truncate(&self->bytes, 0);
  err = lk_crdt_merge_flat(object, news, NULL);
  if (err == LK_OK) err = lk_crdt_diff(object, lk_crdt_copies_all(copies), &self->bytes);
  lk_crdt_close(object);
  if (err == LK_OK) err = lk_arena_copy(&self->scratch, lk_buf_slice(&self->bytes), &bytes);
  if (err != LK_OK) return err;
  *len = bytes.len;
  return lk_flat_decode(news, bytes, &copies->scope, &self->scratch);
}

/* Takes in |news|, which came in |len| bytes, all of it or nothing; it becomes what was new of it. */
static lk_err take_in(lk_room *self, const lk_room_input *input, lk_flat *news, size_t len,
                      bool *changed) {
  lk_crdt_trial trial;
  lk_err err = admit(input, news);
  if (err == LK_OK && len >= NARROWED_LEAST) err = narrow(self, news, &len);
  if (err != LK_OK) return err;
  if (lk_crdt_author_is_outdone(&self->author, lk_crdt_copies_all(&self->copies), news)) {
    LK_COVERED(crdt_room_takes_another_name);
    lk_crdt_author_forget(&self->author);
  }
  size_t more = lk_crdt_trial_most_of_delta(len);
  err = lk_crdt_trial_begin(&trial, &self->copies, &self->answers, more);
  if (err != LK_OK) return err;
  err = lk_crdt_merge_flat(trial.object, news, changed);
  if (err == LK_OK) err = lk_crdt_trial_end(&trial, *changed ? more : 0);
  lk_crdt_trial_drop(&trial);
  return err;
}

lk_err lk_crdt_room_on_merge(lk_room *self, const lk_room_input *input) {
  foreign in;
  lk_flat news;
  lk_slice field;
  bool changed = false;
  lk_err err = lk_crdt_room_settle_type(self, NULL);
  if (err != LK_OK) return err;
  if (!lk_crdt_room_may_wait(self))
    return lk_crdt_room_refuse(self, input, LK_ERR_FULL, LK_SLICE_EMPTY);
  err = read_foreign(self, input, &in, &field);
  if (err == LK_OK) err = settle_type(self, &in);
  if (err == LK_OK) err = decode(self, &in, &news);
  size_t len = in.bytes.len > 0 ? in.bytes.len : in.json.len;
  if (err == LK_OK) err = take_in(self, input, &news, len, &changed);
  if (err != LK_OK) return lk_crdt_room_refuse(self, input, err, field);
  if (!changed) return lk_crdt_room_answer_known(self, input);
  err = lk_crdt_journal_need_next(&self->journal, &self->copies);
  if (err == LK_OK) err = lk_crdt_merge_flat(self->journal.next, &news, NULL);
  return err == LK_OK ? lk_crdt_room_answer_changed(self, input) : err;
}
