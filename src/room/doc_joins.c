/* room/doc_joins.c -- who comes in, and what it is given.
 *
 * Updates that together are the document are encoded already (doc_encoded.h); who tells its state vector gets what is
 * made for it. All of it is durable when it is sent: it may have to wait for that. */
#include "room/doc_parts.h"

#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/json_bytes.h"
#include "codec/varint.h"
#include "doc/news.h"
#include "room/doc_payload.h"

#define GENERATION_LEN 16
#define ALIKE_CLIENTS                                                                              \
  16 /* ids below it are for what every client makes alike, such as a first paragraph */

/* |bytes| as the encoding has it, in an answer, which is JSON. */
static void write_bytes(lk_buf *out, lk_slice bytes, lk_message_dialect dialect) {
  if (dialect == LK_DIALECT_ARRAY) {
    (void)lk_json_append_bytes(out, bytes);
    return;
  }
  (void)lk_buf_append(out, LK_LIT("\""));
  (void)lk_base64_encode(out, bytes, LK_BASE64_FORM_STANDARD);
  (void)lk_buf_append(out, LK_LIT("\""));
}

/* Begins to walk over the updates that together are what |wish| asks for. |rest| is for what was made for that. */
static lk_err begin_history(lk_room *self, const lk_doc_wish *wish, lk_buf *rest,
                            lk_doc_encoded_walk *walk) {
  lk_buf_init(rest, self->env->alloc, self->limits->doc_update_bytes);
  if (!wish->has_vector) return lk_doc_encoded_begin(&self->encoded, self->doc, walk);
  lk_err err = lk_doc_encode(self->doc, LK_UPDATE_V1, wish->vector, rest);
  *walk = (lk_doc_encoded_walk){ .whole = lk_buf_slice(rest) };
  if (lk_doc_update_is_empty(walk->whole)) walk->whole = LK_SLICE_EMPTY;
  return err;
}

static lk_err write_history(lk_room *self, const lk_doc_wish *wish) {
  lk_buf rest;
  lk_slice update;
  lk_doc_encoded_walk walk;
  lk_err err = begin_history(self, wish, &rest, &walk);
  for (bool is_first = true; err == LK_OK && lk_doc_encoded_next(&walk, &update);
       is_first = false) {
    if (!is_first) (void)lk_buf_append(&self->work->text, LK_LIT(","));
    write_bytes(&self->work->text, update, wish->dialect);
    err = lk_buf_err(&self->work->text);
  }
  lk_buf_deinit(&rest);
  return err;
}

static lk_err push_history(lk_room *self, uint64_t member, const lk_doc_wish *wish) {
  lk_buf rest;
  lk_slice update;
  lk_doc_encoded_walk walk;
  lk_err err = begin_history(self, wish, &rest, &walk);
  while (err == LK_OK && lk_doc_encoded_next(&walk, &update))
    err = lk_doc_room_push_bytes(self, member, LK_LIT("server_update"), update, LK_DIALECT_PLAIN);
  lk_buf_deinit(&rest);
  return err;
}

static void write_generation(const lk_room *self, lk_buf *out) {
  uint8_t bytes[8], digits[GENERATION_LEN];
  lk_store_be64(bytes, self->generation);
  lk_hex_store(digits, lk_slice_of(bytes, sizeof bytes));
  (void)lk_buf_append(out, LK_LIT("\"generation\":\""));
  (void)lk_buf_append(out, lk_slice_of(digits, sizeof digits));
  (void)lk_buf_append(out, LK_LIT("\""));
}

/* Who reads binary frames gets the history in some. */
static bool is_pushed(const lk_doc_wish *wish) {
  return wish->dialect == LK_DIALECT_PLAIN || wish->dialect == LK_DIALECT_YJS;
}

/* {"history":[...],"state_vector":... without its end. */
static lk_err write_state(lk_room *self, const lk_doc_wish *wish) {
  lk_buf *out = &self->work->text, vector;
  lk_buf_truncate(out, 0);
  (void)lk_buf_append(out, LK_LIT("{\"history\":["));
  lk_err err = is_pushed(wish) ? LK_OK : write_history(self, wish);
  (void)lk_buf_append(out, LK_LIT("],\"state_vector\":"));
  lk_buf_init(&vector, self->env->alloc, self->limits->doc_update_bytes);
  if (err == LK_OK) err = lk_doc_state_vector(self->doc, &vector);
  if (err == LK_OK) write_bytes(out, lk_buf_slice(&vector), wish->dialect);
  lk_buf_deinit(&vector);
  return err == LK_OK ? lk_buf_err(out) : err;
}

static lk_slice access_name(lk_rights rights) {
  if (rights < LK_RIGHTS_WRITE) return LK_LIT("read");
  return rights == LK_RIGHTS_WRITE ? LK_LIT("write") : LK_LIT("admin");
}

static lk_slice encoding_name(lk_message_dialect dialect) {
  if (dialect == LK_DIALECT_ARRAY) return LK_LIT("array");
  return dialect == LK_DIALECT_BASE64 ? LK_LIT("base64") : LK_LIT("binary");
}

static lk_err write_join(lk_room *self, const lk_room_input *input, const lk_doc_wish *wish) {
  lk_buf *out = &self->work->text;
  lk_err err = write_state(self, wish);
  if (err != LK_OK) return err;
  (void)lk_buf_append(out, LK_LIT(","));
  write_generation(self, out);
  (void)lk_buf_append(out, LK_LIT(",\"access\":\""));
  (void)lk_buf_append(out, access_name(input->rights));
  (void)lk_buf_append(out, LK_LIT("\",\"durability\":\""));
  (void)lk_buf_append(out, self->level);
  (void)lk_buf_append(out, LK_LIT("\""));
  if (self->erased_after_ms > 0) {
    (void)lk_buf_append(out, LK_LIT(",\"idle_ms\":"));
    (void)lk_buf_append_decimal(out, self->erased_after_ms);
  }
  (void)lk_buf_append(out, LK_LIT(",\"profile\":\""));
  (void)lk_buf_append(out, lk_profile_name(input->profile));
  (void)lk_buf_append(out, LK_LIT("\",\"encoding\":\""));
  (void)lk_buf_append(out, encoding_name(wish->dialect));
  return lk_buf_append(out, LK_LIT("\"}"));
}

static bool is_own_generation(const lk_room *self, lk_slice text) {
  uint8_t bytes[8], digits[GENERATION_LEN];
  lk_store_be64(bytes, self->generation);
  lk_hex_store(digits, lk_slice_of(bytes, sizeof bytes));
  return lk_slice_equal(text, lk_slice_of(digits, sizeof digits));
}

/* Whether something that the client has is here, too, and whether it has what is not. Where it shares something, it is of
 * this document, whatever it was told: a room that dies before its first record is kept begins again with another
 * generation, and members who were in it stay. */
static lk_err shares_content(lk_room *self, const lk_room_input *input, lk_slice vector,
                             bool *out, bool *is_ahead) {
  uint64_t count = 0, client, clock;
  lk_reader in = lk_reader_of(vector);
  *out = *is_ahead = false;
  lk_err err = lk_doc_room_wake(self, input);
  if (err == LK_OK) err = lk_varuint_decode(&in, UINT32_MAX, &count);
  for (; err == LK_OK && count > 0; count--) {
    err = lk_varuint_decode(&in, UINT64_MAX, &client);
    if (err == LK_OK) err = lk_varuint_decode(&in, UINT64_MAX, &clock);
    if (err != LK_OK) break;
    uint64_t ours = lk_doc_clock_of(self->doc, client);
    if (client >= ALIKE_CLIENTS && clock > 0 && ours > 0) *out = true;
    if (clock > ours) *is_ahead = true;
  }
  return err == LK_ERR_NOMEM ? err
                             : LK_OK; /* what is wrong with it is told by who encodes beyond it */
}

static lk_err refuse_generation(lk_room *self, const lk_room_input *input, lk_slice reason,
                                lk_slice message) {
  lk_buf_truncate(&self->work->text, 0);
  (void)lk_buf_append(&self->work->text, LK_LIT("{\"reason\":\""));
  (void)lk_buf_append(&self->work->text, reason);
  (void)lk_buf_append(&self->work->text, LK_LIT("\","));
  write_generation(self, &self->work->text);
  (void)lk_buf_append(&self->work->text, LK_LIT(",\"message\":\""));
  (void)lk_buf_append(&self->work->text, message);
  lk_err err = lk_buf_append(&self->work->text, LK_LIT("\"}"));
  if (err != LK_OK) return err;
  return lk_doc_room_push(self, (lk_room_effect){ .kind = LK_ROOM_REFUSE,
                                                  .member = input->member,
                                                  .request = input->request,
                                                  .payload = lk_buf_slice(&self->work->text) });
}

static lk_err accept(lk_room *self, const lk_room_input *input, lk_slice payload,
                     lk_message_dialect dialect) {
  lk_err err = lk_doc_room_note_subject(self, input->member, input->subject);
  if (err != LK_OK) return err;
  return lk_doc_room_push_kept(self, (lk_room_effect){ .kind = LK_ROOM_ACCEPT,
                                                       .member = input->member,
                                                       .request = input->request,
                                                       .payload = payload,
                                                       .dialect = dialect });
}

static lk_err join_y(lk_room *self, const lk_room_input *input) {
  lk_err err = accept(self, input, LK_LIT("{}"), LK_DIALECT_YJS);
  if (err == LK_OK) err = lk_doc_room_ask_for_rest(self, input);
  if (err == LK_OK) err = lk_doc_room_push_awareness(self, input->member);
  return err == LK_OK ? lk_doc_room_note_hearer(self, input->member) : err;
}

/* The client comes with another generation. What it has may be content of another document: to merge the two would give text
 * that nobody wrote. Where there is nothing here it may seed the document again; who may only read cannot, and what it
 * has would stand beside whatever is written next: it comes back when somebody has. Neither can such a one send what is missing of
 * a document that was seeded again by another one, who had less of it: it would show that for good. */
static lk_err check_generation(lk_room *self, const lk_room_input *input, const lk_doc_wish *wish,
                               bool *is_refused) {
  bool is_own = false, is_ahead = false, has_content = wish->has_vector && wish->vector.len > 1;
  *is_refused = false;
  if (wish->generation.len == 0 || is_own_generation(self, wish->generation)) return LK_OK;
  if (lk_doc_encoded_is_empty(&self->encoded, self->doc)) {
    if (input->rights >= LK_RIGHTS_WRITE || !has_content) return LK_OK;
    LK_COVERED(doc_room_unseeded);
    *is_refused = true;
    return refuse_generation(
        self, input, LK_LIT("unseeded"),
        LK_LIT("this document began again and is empty: come back when somebody has written"));
  }
  lk_err err = wish->has_vector ? shares_content(self, input, wish->vector, &is_own, &is_ahead)
                                : LK_OK;
  bool is_stuck = is_ahead && input->rights < LK_RIGHTS_WRITE;
  if (is_own && is_stuck) LK_COVERED(doc_room_diverged_reader);
  if (err != LK_OK || (is_own && !is_stuck)) return err;
  *is_refused = true;
  return refuse_generation(self, input, LK_LIT("diverged"),
                           LK_LIT("this document began again, keep your content as a copy"));
}

lk_err lk_doc_room_on_join(lk_room *self, const lk_room_input *input) {
  lk_doc_wish wish;
  lk_doc_payload in = { self->limits, &self->work->scratch, &self->work->bytes, LK_SLICE_EMPTY };
  lk_err err = lk_doc_payload_wish(&in, input->payload, &wish);
  if (err != LK_OK) return lk_doc_room_refuse(self, input, NULL, err, in.field);
  bool is_refused = false;
  err = check_generation(self, input, &wish, &is_refused);
  if (err != LK_OK || is_refused) return err;
  if (wish.dialect == LK_DIALECT_YJS) return join_y(self, input);
  if ((err = lk_doc_room_wake(self, input)) != LK_OK) return err;
  err = write_join(self, input, &wish);
  if (err != LK_OK && err != LK_ERR_NOMEM)
    return lk_doc_room_refuse(self, input, NULL, err,
                              wish.has_vector ? LK_LIT("state_vector") : LK_SLICE_EMPTY);
  if (err == LK_OK) err = accept(self, input, lk_buf_slice(&self->work->text), wish.dialect);
  if (err == LK_OK && is_pushed(&wish)) err = push_history(self, input->member, &wish);
  if (err == LK_OK && input->profile == LK_PROFILE_MINIMAL)
    err = lk_doc_room_tell_page(self, input);
  return err == LK_OK ? lk_doc_room_push_awareness(self, input->member) : err;
}

/* What a join would say, for a member that wants to be sure. */
lk_err lk_doc_room_on_sync(lk_room *self, const lk_room_input *input) {
  lk_doc_wish wish;
  lk_doc_payload in = { self->limits, &self->work->scratch, &self->work->bytes, LK_SLICE_EMPTY };
  lk_err err = lk_doc_payload_wish(&in, input->payload, &wish);
  if (err != LK_OK) return lk_doc_room_refuse(self, input, NULL, err, in.field);
  if ((err = lk_doc_room_wake(self, input)) != LK_OK) return err;
  err = write_state(self, &wish);
  if (err == LK_OK) err = lk_buf_append(&self->work->text, LK_LIT("}"));
  if (err == LK_ERR_NOMEM) return err;
  if (err != LK_OK) return lk_doc_room_refuse(self, input, NULL, err, LK_LIT("state_vector"));
  if (is_pushed(&wish)) err = push_history(self, input->member, &wish);
  if (err != LK_OK) return err;
  return lk_doc_room_push_kept(self,
                               (lk_room_effect){ .kind = LK_ROOM_REPLY,
                                                 .is_reading = true,
                                                 .member = input->member,
                                                 .request = input->request,
                                                 .ok = true,
                                                 .payload = lk_buf_slice(&self->work->text) });
}

/* It was in before the room died, and may have missed what was passed on just then: nobody knows what, so it gets all. What
 * it showed is lost with the room: it is asked for that, in y-protocols' words, or by an awareness update of nobody. */
lk_err lk_doc_room_on_restore(lk_room *self, const lk_room_input *input) {
  static const uint8_t query[] = { 3 }, nobody[] = { 0 };
  lk_doc_wish wish = { 0 };
  lk_err err = lk_doc_room_note_subject(self, input->member, input->subject);
  if (err == LK_OK) err = push_history(self, input->member, &wish);
  if (err != LK_OK) return err;
  if (lk_slice_find(input->payload, LK_LIT("\"dialect\"")) == LK_SLICE_NONE)
    return lk_doc_room_push_bytes(self, input->member, LK_LIT("awareness"),
                                  lk_slice_of(nobody, sizeof nobody), LK_DIALECT_PLAIN);
  err = lk_doc_room_push_bytes(self, input->member, LK_LIT("yjs"),
                               lk_slice_of(query, sizeof query), LK_DIALECT_YJS);
  return err == LK_OK ? lk_doc_room_note_hearer(self, input->member) : err;
}

/* ---- who reads too slowly ---- */

/* What is known now is told before the SKIP; what comes later is not in the vector. */
lk_err lk_doc_room_on_lag(lk_room *self, const lk_room_input *input) {
  lk_doc_note *n;
  lk_buf vector;
  lk_err err = lk_doc_room_make_note(self, input->member, &n);
  if (err == LK_OK) err = lk_doc_room_wake(self, input);
  if (err != LK_OK) return err;
  lk_buf_init(&vector, self->env->alloc, self->limits->doc_update_bytes);
  err = lk_doc_state_vector(self->doc, &vector);
  if (err == LK_OK)
    err = lk_doc_note_set(n, self->env->alloc, lk_doc_note_subject(n), lk_buf_slice(&vector));
  lk_buf_deinit(&vector);
  if (err != LK_OK) return err;
  return lk_doc_room_push_kept(self,
                               (lk_room_effect){ .kind = LK_ROOM_SKIP, .member = input->member });
}

/* One update instead of all that there were. Where there is no vector, it was in before the room died, and has been told all. */
lk_err lk_doc_room_on_catch_up(lk_room *self, const lk_room_input *input) {
  lk_doc_note *n = lk_doc_room_find_note(self, input->member);
  lk_err err = LK_OK;
  if (n != NULL && lk_doc_note_vector(n).len > 0) {
    const lk_doc_wish wish = { .has_vector = true, .vector = lk_doc_note_vector(n) };
    LK_COVERED(doc_room_catches_up);
    err = lk_doc_room_wake(self, input);
    if (err == LK_OK)
      err = input->profile == LK_PROFILE_MINIMAL ? lk_doc_room_tell_page(self, input)
                                                 : push_history(self, input->member, &wish);
    if (err == LK_OK) err = lk_doc_room_push_awareness(self, input->member);
    /* Without memory it stays, and the next one takes its place. */
    (void)!lk_doc_note_set(n, self->env->alloc, lk_doc_note_subject(n), LK_SLICE_EMPTY);
  }
  if (err != LK_OK) return err;
  return lk_doc_room_push_kept(self,
                               (lk_room_effect){ .kind = LK_ROOM_RESUME, .member = input->member });
}
