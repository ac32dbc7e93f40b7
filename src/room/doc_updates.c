/* room/doc_updates.c -- what members write, on its way to the others.
 *
 * Read-only members may say what changes nothing that can be seen; an update that is known is answered when what is
 * known is durable. */
#include "room/doc_parts.h"

#include "doc/news.h"
#include "room/doc_payload.h"

lk_err lk_doc_room_begin_journal(lk_room *self) {
  lk_room_effect effect = { .kind = LK_ROOM_JOURNAL };
  lk_doc_journal *journal = &self->work->journal;
  if (!lk_doc_journal_begin(journal, &effect.ticket, &effect.turn_last, &effect.payload))
    return LK_OK;
  return lk_doc_room_push(self, effect);
}

lk_err lk_doc_room_note_item(lk_room *self, const lk_doc_item *item, uint64_t from) {
  lk_err err = LK_OK;
  if (!self->generation_is_kept) {
    const lk_doc_item generation = { .kind = LK_DOC_ITEM_GENERATION, .number = self->generation };
    err = lk_doc_journal_append(&self->work->journal, &generation, 0);
    self->generation_is_kept = true;
  }
  return err == LK_OK ? lk_doc_journal_append(&self->work->journal, item, from) : err;
}

lk_err lk_doc_room_on_journaled(lk_room *self, const lk_room_input *input) {
  lk_doc_journal_landed(&self->work->journal, input->ticket);
  return lk_doc_room_begin_journal(self);
}

/* Who is no member has nothing that could go on. */
static lk_err end_writing(lk_room *self, const lk_room_input *input, lk_err why, outcome *out) {
  lk_doc_note *n;
  if (why == LK_ERR_NOMEM) return why;
  *out = refused("replica_refused", why);
  if (input->kind == LK_ROOM_QUERY) return LK_OK;
  lk_err err = lk_doc_room_make_note(self, input->member, &n);
  if (err == LK_OK) n->is_refused = true;
  return err;
}

size_t lk_doc_room_message_bytes_max(const lk_limits *limits) {
  size_t most = lk_min_size(limits->log_record_bytes, limits->bus_frame_bytes);
  return most - lk_min_size(most, LK_DOC_JOURNAL_RECORD_MAX + 65536);
}

bool lk_doc_room_poll_news(lk_room *self, lk_room_effect *out) {
  *out = (lk_room_effect){ .kind = LK_ROOM_BROADCAST,
                           .event = LK_LIT("server_update"),
                           .binary = true };
  return lk_doc_journal_poll_update(&self->work->journal, &out->member, &out->payload);
}

/* A document that is too large may still be made smaller: an update that only deletes begins with a zero, the number of
 * clients whose structs follow. */
static lk_err check_memory(lk_room *self, lk_slice update) {
  bool only_deletes = update.len > 0 && update.ptr[0] == 0;
  if (only_deletes) return LK_OK;
  return lk_doc_check_memory(self->doc, update.len, self->limits->room_memory_bytes);
}

/* That of the largest whole document which is the least. */
static const char *size_limit(const lk_limits *limits) {
  if (limits->crdt_state_bytes <= lk_doc_room_message_bytes_max(limits)) return "crdt_state_bytes";
  return limits->log_record_bytes <= limits->bus_frame_bytes ? "log_record_bytes"
                                                             : "bus_frame_bytes";
}

/* Its length is only known when it was encoded: until it may be too much it is estimated, by adding up. */
lk_err lk_doc_room_check_size(lk_room *self, lk_slice update) {
  size_t most = lk_min_size(lk_doc_room_message_bytes_max(self->limits),
                            self->limits->crdt_state_bytes);
  bool only_deletes = update.len > 0 && update.ptr[0] == 0;
  lk_slice whole;
  if (only_deletes || self->encoded_most + update.len <= most) return LK_OK;
  LK_COVERED(doc_room_measures_itself);
  lk_err err = lk_doc_encoded_whole(&self->encoded, self->doc, &whole);
  if (err != LK_OK) return err;
  self->encoded_most = whole.len;
  return whole.len + update.len <= most ? LK_OK : LK_ERR_TOO_BIG;
}

static lk_err apply_news(lk_room *self, const lk_room_input *input, lk_slice update, outcome *out) {
  uint32_t clients = lk_doc_clients_count(self->doc);
  const lk_doc_item item = { .kind = LK_DOC_ITEM_UPDATE, .bytes = update };
  lk_err err = LK_ERR_TOO_BIG;
  if (update.len <= lk_doc_room_message_bytes_max(self->limits)) {
    err = check_memory(self, update);
    if (err == LK_OK) err = lk_doc_room_check_size(self, update);
  }
  if (err != LK_OK) {
    lk_err refusal = end_writing(self, input, err, out);
    if (err == LK_ERR_TOO_BIG) out->limit = size_limit(self->limits);
    return refusal;
  }
  err = lk_doc_room_keep_version(self, input);
  if (err != LK_OK) return err;
  err = lk_doc_apply(self->doc, LK_UPDATE_V1, update, 0);
  if (err != LK_OK) return end_writing(self, input, err, out);
  lk_doc_encoded_note(&self->encoded, update);
  self->encoded_most += update.len;
  err = lk_doc_room_note_item(self, &item, input->kind == LK_ROOM_QUERY ? 0 : input->member);
  if (err == LK_OK && lk_doc_clients_count(self->doc) != clients)
    err = lk_doc_room_attribute_clients(self, input, update);
  if (err == LK_OK) err = lk_doc_room_begin_journal(self);
  *out = known(self);
  return err;
}

lk_err lk_doc_room_take_update(lk_room *self, const lk_room_input *input, lk_slice update,
                               outcome *out) {
  lk_news news = LK_NEWS_SOME;
  const lk_doc_note *n = lk_doc_room_find_note(self, input->member);
  lk_err err = lk_doc_room_wake(self, input);
  if (err != LK_OK) return err;
  err = lk_doc_news(self->doc, LK_UPDATE_V1, update, &news);
  if (err != LK_OK && err != LK_ERR_NOMEM && input->rights < LK_RIGHTS_WRITE) {
    *out = refused("read_only", err);
    return LK_OK;
  }
  if (err != LK_OK) return end_writing(self, input, err, out);
  if (input->rights < LK_RIGHTS_WRITE) {
    *out = news == LK_NEWS_SOME ? refused("read_only", LK_OK) : known(self);
    return LK_OK;
  }
  if (news == LK_NEWS_NONE) {
    LK_COVERED(doc_room_knows_an_update);
    *out = known(self);
    return LK_OK;
  }
  if (n != NULL && n->is_refused) {
    *out = refused("replica_refused", LK_OK);
    return LK_OK;
  }
#ifdef LK_BUG_DOC_FULL_ACK /* planted for the simulator, which must find it: sim/README.md */
  if (input->is_full) {
    *out = known(self);
    return LK_OK;
  }
#endif
  if (input->is_full) {
    *out = refused("storage_full", LK_ERR_NO_SPACE);
    return LK_OK;
  }
  return apply_news(self, input, update, out);
}

lk_err lk_doc_room_on_client_update(lk_room *self, const lk_room_input *input) {
  lk_slice update;
  outcome o;
  lk_doc_payload in = { self->limits, &self->work->scratch, &self->work->bytes, LK_SLICE_EMPTY };
  lk_err err = lk_doc_payload_read(&in, input->payload, input->binary, &update);
  if (err != LK_OK) return lk_doc_room_refuse(self, input, NULL, err, in.field);
  err = lk_doc_room_take_update(self, input, update, &o);
  return err == LK_OK ? lk_doc_room_answer(self, input, &o) : err;
}

/* Whatever its writer sends next may need what was in it. */
lk_err lk_doc_room_on_too_big(lk_room *self, const lk_room_input *input) {
  bool is_inside = lk_slice_equal(input->event, LK_EVENT_TOO_BIG_INSIDE);
  outcome o = refused("message_too_big", LK_ERR_TOO_BIG);
  lk_err err = LK_OK;
  if (lk_slice_equal(input->payload, LK_LIT("client_update")) ||
      lk_slice_starts_with(input->payload, LK_LIT("yjs"))) {
    if (input->rights >= LK_RIGHTS_WRITE) err = end_writing(self, input, LK_ERR_TOO_BIG, &o);
    else o = refused("read_only", LK_ERR_TOO_BIG);
  }
  o.limit = is_inside ? "bus_frame_bytes" : "ws_message_bytes";
  return err == LK_OK ? lk_doc_room_answer(self, input, &o) : err;
}
