/* peer/topic_doc.c -- a document as a topic.
 *
 * The join tells our state vector, and is answered with the server's; what we lack follows as updates. What the server lacks is
 * encoded against its vector: that has all deletions that we know of, since no vector speaks of those. So there is a flush
 * where it has structs, or where changes wait; deletions alone that nobody waits for were acknowledged once.
 *
 * The generation says which document it is that has the topic's name. It is ours as soon as both have something in common,
 * and not before: one that is empty may begin again under another generation, and what was written here meanwhile is
 * of whichever comes first. It is recorded before anything of that document is, since the one log has one order; without it a
 * server that has begun anew could not tell that our content is another one's. */
#include "peer/topic.h"

#include "codec/base64.h"
#include "codec/json_reader.h"
#include "codec/varint.h"
#include "doc/news.h"
#include "peer/client.h"
#include "peer/gather.h"

#define ORIGIN_OTHERS UINT64_MAX

/* An update that says nothing, and the vector of nothing. */
static bool has_structs(lk_slice update) { return update.len > 0 && update.ptr[0] != 0; }

static void on_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  lk_topic *self = ctx;
  (void)doc;
  (void)origin;
  if (self->is_foreign) return;
  if (local || self->is_ours) lk_topic_note_change(self, update, self->is_ours && self->ours_waits);
  else lk_topic_note_news(self, update);
}

static lk_err init(lk_topic *self) {
  lk_prng *names = &self->client->names;
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = lk_prng_u64(names) & UINT32_MAX;
  options.seed[0] = lk_prng_u64(names);
  options.seed[1] = lk_prng_u64(names);
  lk_doc *doc = NULL;
  lk_err err = lk_doc_open(self->client->env, &options, &doc);
  if (err != LK_OK) return err;
  lk_doc_set_limits(doc, &self->client->limits);
  err = lk_doc_on_update(doc, LK_UPDATE_V1, on_update, self, &self->doc_observer);
  if (err != LK_OK) lk_doc_close(doc);
  else self->doc = doc;
  return err;
}

static void deinit(lk_topic *self) {
  lk_doc_close(self->doc);
  self->doc = NULL;
}

static lk_err load(lk_topic *self, lk_slice bytes) {
  return lk_doc_load(self->doc, LK_UPDATE_V1, bytes, ORIGIN_OTHERS);
}

static lk_err encode(const lk_topic *self, lk_buf *out) {
  return lk_doc_encode(self->doc, LK_UPDATE_V1, LK_SLICE_EMPTY, out);
}

static void write_text(lk_json_writer *w, lk_slice key, lk_slice text) {
  (void)lk_json_write_key(w, key);
  (void)lk_json_write_string(w, text);
}

/* Nothing of any document: a generation without its content, which a crash has left, says nothing. */
static bool is_empty(const lk_topic *self, lk_slice vector) {
  return vector.len <= 1 && lk_doc_get_pending(self->doc).structs == 0;
}

static lk_err write_params(lk_topic *self, lk_json_writer *w) {
  lk_buf vector, text;
  lk_buf_init(&vector, self->client->env->alloc, self->client->limits.doc_update_bytes);
  lk_buf_init(&text, self->client->env->alloc, self->client->limits.doc_update_bytes);
  lk_err err = lk_doc_state_vector(self->doc, &vector);
  if (err == LK_OK) err = lk_base64_encode(&text, lk_buf_slice(&vector), LK_BASE64_FORM_STANDARD);
  write_text(w, LK_LIT("encoding"), LK_LIT("binary"));
  write_text(w, LK_LIT("state_vector"), lk_buf_slice(&text));
  if (self->generation.len > 0 && !is_empty(self, lk_buf_slice(&vector)))
    write_text(w, LK_LIT("generation"), lk_topic_generation_name(&self->generation));
  lk_buf_deinit(&vector);
  lk_buf_deinit(&text);
  return err;
}

/* ---- what the server says ---- */

enum { VECTOR, GENERATION, ACCESS, DURABILITY, PROFILE, MEMBERS };

static lk_err read_members(lk_topic *self, const lk_message *m, lk_json_member members[MEMBERS]) {
  static const lk_slice names[MEMBERS] = { [VECTOR] = LK_LIT_INIT("state_vector"),
                                           [GENERATION] = LK_LIT_INIT("generation"),
                                           [ACCESS] = LK_LIT_INIT("access"),
                                           [DURABILITY] = LK_LIT_INIT("durability"),
                                           [PROFILE] = LK_LIT_INIT("profile") };
  lk_json_reader in;
  for (int i = 0; i < MEMBERS; i++) members[i] = (lk_json_member){ .name = names[i] };
  if (m->binary) return LK_ERR_PAYLOAD;
  lk_err err = lk_json_reader_init(&in, m->payload, &self->client->limits, &self->client->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, MEMBERS);
  for (int i = 0; err == LK_OK && i <= GENERATION; i++) {
    if (members[i].value.kind != LK_JSON_STRING) err = LK_ERR_PAYLOAD;
  }
  return err;
}

/* There is content that both have: it is one document from now on. */
static void share(lk_topic *self) {
  lk_slice name = lk_topic_generation_name(&self->joined);
  if (lk_slice_equal(name, lk_topic_generation_name(&self->generation))) return;
  self->generation = self->joined;
  self->records.owes_topic = true;
}

static lk_err note_generation(lk_topic *self, lk_slice name) {
  if (name.len == 0 || name.len > LK_DIARY_NAME_MAX) return LK_ERR_PAYLOAD;
  memcpy(self->joined.name, name.ptr, name.len);
  self->joined.len = (uint32_t)name.len;
  return LK_OK;
}

/* Whether something that the server has is here, too. */
static bool has_common(const lk_topic *self, lk_slice vector) {
  uint64_t count, client, clock;
  lk_reader in = lk_reader_of(vector);
  lk_err err = lk_varuint_decode(&in, UINT32_MAX, &count);
  for (; err == LK_OK && count > 0; count--) {
    err = lk_varuint_decode(&in, UINT64_MAX, &client);
    if (err == LK_OK) err = lk_varuint_decode(&in, UINT64_MAX, &clock);
    if (err == LK_OK && clock > 0 && lk_doc_clock_of(self->doc, client) > 0) return true;
  }
  return false;
}

/* What the server lacks, into |flush|. */
static lk_err find_flush(lk_topic *self, lk_slice vector) {
  lk_err err = lk_doc_encode(self->doc, LK_UPDATE_V1, vector, &self->flush);
  if (err != LK_OK) return err;
  lk_topic_note_flush(self);
  if (has_structs(lk_buf_slice(&self->flush)) || lk_topic_pending(self) > 0) return LK_OK;
  lk_buf_truncate(&self->flush, 0);
  return LK_OK;
}

static lk_err joined(lk_topic *self, const lk_message *m, uint64_t now_ms) {
  lk_json_member members[MEMBERS];
  lk_buf *bytes = &self->client->bytes;
  (void)now_ms;
  lk_err err = read_members(self, m, members);
  if (err == LK_OK) err = note_generation(self, members[GENERATION].value.text);
  lk_buf_truncate(bytes, 0);
  if (err == LK_OK)
    err = lk_base64_decode(bytes, members[VECTOR].value.text, LK_BASE64_FORM_STANDARD);
  if (err == LK_OK && has_common(self, lk_buf_slice(bytes))) share(self);
  if (err == LK_OK) err = find_flush(self, lk_buf_slice(bytes));
  if (err != LK_OK) return err;
  self->is_read_only = members[ACCESS].value.kind == LK_JSON_STRING &&
                       lk_slice_equal(members[ACCESS].value.text, LK_LIT("read"));
  if (self->is_read_only && self->flush.len > 0) lk_topic_block(self, LK_LIT("read_only"));
  if (members[DURABILITY].value.kind == LK_JSON_STRING)
    lk_topic_note_level(self, members[DURABILITY].value.text);
  if (members[PROFILE].value.kind == LK_JSON_STRING)
    lk_topic_note_profile(self, members[PROFILE].value.text);
  return LK_OK;
}

static lk_err heard(lk_topic *self, const lk_message *m, bool *is_used) {
  *is_used = lk_slice_equal(m->event, LK_LIT("server_update")) && m->binary;
  if (!*is_used) return LK_OK;
  lk_slice name = lk_topic_generation_name(&self->joined);
  /* Recorded before the content; and where that is not taken, it is not ours. */
  if (!lk_slice_equal(name, lk_topic_generation_name(&self->generation)))
    self->records.owes_topic = true;
  lk_err err = lk_doc_apply(self->doc, LK_UPDATE_V1, m->payload, ORIGIN_OTHERS);
  if (err == LK_OK) share(self);
  return err;
}

static lk_err gather(lk_topic *self, const lk_slice *changes, size_t count, lk_buf *out) {
  return lk_gather_updates(self->client->env->alloc, &self->client->limits, changes, count, out);
}

/* What waits for structs that have not come is no news of the document's yet, and a change all the same. */
static lk_err merge(lk_topic *self, lk_slice bytes, bool waits) {
  lk_doc_pending before = lk_doc_get_pending(self->doc);
  self->is_ours = true;
  self->ours_waits = waits;
  lk_err err = lk_doc_apply(self->doc, LK_UPDATE_V1, bytes, ORIGIN_OTHERS);
  self->is_ours = false;
  if (err != LK_OK) return err;
  lk_doc_pending after = lk_doc_get_pending(self->doc);
  if (after.structs > before.structs || after.delete_ranges > before.delete_ranges) {
    LK_COVERED(topic_takes_what_waits);
    lk_topic_note_change(self, bytes, waits);
  }
  return LK_OK;
}

static lk_err version(const lk_topic *self, lk_buf *out) {
  return lk_doc_state_vector(self->doc, out);
}

static lk_err since(const lk_topic *self, lk_slice known, lk_buf *out) {
  return lk_doc_encode(self->doc, LK_UPDATE_V1, known, out);
}

const lk_topic_type lk_topic_type_doc = {
  .event = LK_LIT_INIT("client_update"),
  .init = init,
  .deinit = deinit,
  .load = load,
  .encode = encode,
  .write_params = write_params,
  .joined = joined,
  .acked = share,
  .heard = heard,
  .gather = gather,
  .merge = merge,
  .version = version,
  .since = since,
};
