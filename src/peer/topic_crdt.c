/* peer/topic_crdt.c -- an object of the catalogue as a topic.
 *
 * The answer to a join has all that the server holds durably, as a state. So what each side lacks of the other is two differences
 * between two states: ours beyond theirs is the flush, theirs beyond ours is news. Where the server has all that
 * we have, everything that waits is acknowledged without being sent: an answer of an earlier connection got lost. */
#include "peer/topic.h"

#include "codec/base64.h"
#include "codec/json_reader.h"
#include "crdt/type.h"
#include "peer/client.h"

static const lk_crdt_type *type_of(const lk_topic *self) { return lk_crdt_type_of(self->kind); }

static lk_err make(const lk_topic *self, lk_crdt **out) {
  return lk_crdt_open(self->client->env, (lk_crdt_kind)self->kind, out);
}

static lk_err init(lk_topic *self) { return make(self, &self->crdt); }

static void deinit(lk_topic *self) {
  lk_crdt_close(self->crdt);
  self->crdt = NULL;
}

static lk_err load(lk_topic *self, lk_slice bytes) {
  return lk_crdt_merge(self->crdt, bytes, NULL);
}

static lk_err encode(const lk_topic *self, lk_buf *out) { return lk_crdt_encode(self->crdt, out); }

static lk_err write_params(lk_topic *self, lk_json_writer *w) {
  (void)lk_json_write_key(w, LK_LIT("type"));
  return lk_json_write_string(w, lk_slice_cstr(type_of(self)->name));
}

/* ---- what the server says ---- */

enum { STATE, DELTA, LEVEL, PROFILE, MEMBERS };

static lk_err read_members(lk_topic *self, const lk_message *m, lk_json_member members[MEMBERS]) {
  static const lk_slice names[MEMBERS] = { [STATE] = LK_LIT_INIT("state"),
                                           [DELTA] = LK_LIT_INIT("delta"),
                                           [LEVEL] = LK_LIT_INIT("level"),
                                           [PROFILE] = LK_LIT_INIT("profile") };
  lk_json_reader in;
  for (int i = 0; i < MEMBERS; i++) members[i] = (lk_json_member){ .name = names[i] };
  if (m->binary) return LK_ERR_PAYLOAD;
  lk_err err = lk_json_reader_init(&in, m->payload, &self->client->limits, &self->client->scratch);
  return err == LK_OK ? lk_json_read_members(&in, members, MEMBERS) : err;
}

/* |member|, base64, into the client's buffer. */
static lk_err read_bytes(lk_topic *self, const lk_json_member *member) {
  lk_slice text;
  lk_buf_truncate(&self->client->bytes, 0);
  if (lk_json_get_string(&member->value, &text) != LK_OK) return LK_ERR_PAYLOAD;
  return lk_base64_decode(&self->client->bytes, text, LK_BASE64_FORM_STANDARD);
}

typedef void (*note)(lk_topic *self, lk_slice bytes);

static void note_own(lk_topic *self, lk_slice bytes) {
  lk_topic_note_change(self, bytes, self->ours_waits);
}

/* Merges |theirs|: all of it, since a difference says nothing of what both have, and would not show two changes under one dot. Then
 * another replica has our name, or this one lost its memory; what it made cannot be told from what others know by these
 * names. What was new is told to |how|. */
static lk_err take(lk_topic *self, const lk_crdt *theirs, note how) {
  lk_buf news;
  bool changed = false;
  lk_buf_init(&news, self->client->env->alloc, self->client->limits.crdt_state_bytes);
  lk_err err = lk_crdt_diff(theirs, self->crdt, &news);
  if (err == LK_OK) err = lk_crdt_merge_from(self->crdt, theirs, &changed);
  if (err == LK_OK && changed) how(self, lk_buf_slice(&news));
  if (err == LK_ERR_DOT) {
    LK_COVERED(topic_is_forked);
    lk_topic_block(self, LK_LIT("LK_ERR_DOT"));
  }
  lk_buf_deinit(&news);
  return err;
}

static lk_err compare(lk_topic *self, const lk_crdt *theirs, uint64_t now_ms) {
  lk_crdt_order order = lk_crdt_compare(self->crdt, theirs);
  lk_err err = LK_OK;
  if (order == LK_CRDT_EQUAL || order == LK_CRDT_BEFORE) {
    lk_topic_note_acked(self, self->backlog.last, self->missed.count, now_ms);
  } else if (self->missed.safe == self->missed.count) {
    err = lk_crdt_diff(self->crdt, theirs, &self->flush);
    lk_topic_note_flush(self);
  }
  return err == LK_OK ? take(self, theirs, lk_topic_note_news) : err;
}

/* What |bytes| say, as an object of its own. */
static lk_err open_theirs(const lk_topic *self, lk_slice bytes, lk_crdt **out) {
  lk_err err = make(self, out);
  if (err != LK_OK) return err;
  err = lk_crdt_merge(*out, bytes, NULL);
  if (err != LK_OK) lk_crdt_close(*out);
  return err;
}

static lk_err joined(lk_topic *self, const lk_message *m, uint64_t now_ms) {
  lk_json_member members[MEMBERS];
  lk_crdt *theirs;
  lk_err err = read_members(self, m, members);
  if (err == LK_OK) err = read_bytes(self, &members[STATE]);
  if (err == LK_OK) err = open_theirs(self, lk_buf_slice(&self->client->bytes), &theirs);
  if (err != LK_OK) return err;
  err = compare(self, theirs, now_ms);
  lk_crdt_close(theirs);
  if (err != LK_OK) return err;
  if (members[LEVEL].value.kind == LK_JSON_STRING)
    lk_topic_note_level(self, members[LEVEL].value.text);
  if (members[PROFILE].value.kind == LK_JSON_STRING)
    lk_topic_note_profile(self, members[PROFILE].value.text);
  return LK_OK;
}

static lk_err heard(lk_topic *self, const lk_message *m, bool *is_used) {
  lk_json_member members[MEMBERS];
  bool changed = false;
  *is_used = lk_slice_equal(m->event, LK_LIT("state_updated"));
  if (!*is_used) return LK_OK;
  lk_err err = read_members(self, m, members);
  if (err == LK_OK && members[DELTA].value.kind == LK_JSON_ABSENT) return LK_OK; /* counts alone */
  if (err == LK_OK) err = read_bytes(self, &members[DELTA]);
  if (err == LK_OK) err = lk_crdt_merge(self->crdt, lk_buf_slice(&self->client->bytes), &changed);
  if (err == LK_OK && changed) lk_topic_note_news(self, lk_buf_slice(&self->client->bytes));
  if (err == LK_ERR_DOT) lk_topic_block(self, LK_LIT("LK_ERR_DOT"));
  return err;
}

static lk_err gather(lk_topic *self, const lk_slice *changes, size_t count, lk_buf *out) {
  lk_crdt *all;
  lk_err err = make(self, &all);
  if (err != LK_OK) return err;
  for (size_t i = 0; err == LK_OK && i < count; i++) err = lk_crdt_merge(all, changes[i], NULL);
  if (err == LK_OK) err = lk_crdt_encode(all, out);
  lk_crdt_close(all);
  return err;
}

static lk_err merge(lk_topic *self, lk_slice bytes, bool waits) {
  lk_crdt *theirs;
  lk_err err = open_theirs(self, bytes, &theirs);
  if (err != LK_OK) return err;
  self->ours_waits = waits;
  err = take(self, theirs, note_own);
  lk_crdt_close(theirs);
  return err;
}

static lk_err version(const lk_topic *self, lk_buf *out) {
  return lk_crdt_version(self->crdt, out);
}

static lk_err since(const lk_topic *self, lk_slice known, lk_buf *out) {
  return known.len > 0 ? lk_crdt_diff_since(self->crdt, known, out) : encode(self, out);
}

const lk_topic_type lk_topic_type_crdt = {
  .event = LK_LIT_INIT("crdt.merge"),
  .init = init,
  .deinit = deinit,
  .load = load,
  .encode = encode,
  .write_params = write_params,
  .joined = joined,
  .heard = heard,
  .gather = gather,
  .merge = merge,
  .version = version,
  .since = since,
};

/* ---- what the user does ---- */

/* Where the diary cannot take it, a name that may be forgotten without harm, from now on. That is in no TOPIC, ever: what is made
 * under it leaves before it is recorded. */
static void choose_name(lk_topic *self) {
  if (!self->is_kept) self->uses_kept_name = false;
  if (!self->uses_kept_name || lk_keeping_is_well(&self->client->keeping)) return;
  LK_COVERED(topic_takes_another_name);
  self->uses_kept_name = false;
}

lk_err lk_topic_apply(lk_topic *self, lk_slice path, lk_slice name, lk_slice arguments,
                      uint64_t time_ms, uint64_t now_ms) {
  lk_buf delta;
  if (self->crdt == NULL) return LK_ERR_TYPE;
  lk_err err = lk_topic_may_change(self);
  if (err != LK_OK) return err;
  choose_name(self);
  lk_buf_init(&delta, self->client->env->alloc, self->client->limits.crdt_state_bytes);
  const uint8_t *name_used = self->uses_kept_name ? self->kept_name : self->own_name;
  const lk_crdt_op op = { .actor = lk_slice_of(name_used, LK_TOPIC_ACTOR_LEN),
                          .at = path,
                          .now_ms = time_ms,
                          .delta = &delta };
  err = lk_crdt_apply(self->crdt, &op, name, arguments);
  if (err == LK_OK) lk_topic_note_change(self, lk_buf_slice(&delta), self->uses_kept_name);
  lk_buf_deinit(&delta);
  if (err != LK_OK) return err;
  self->client->now_ms = lk_max_u64(self->client->now_ms, now_ms);
  lk_client_step(self->client);
  return LK_OK;
}
