/* room/doc_version_commands.c -- versions in a document's room: how they come by themselves, and what is asked of them.
 *
 *   a change ──> is one due? ──> VERSION ──> the change
 *
 * An automatic version is made when the document is about to move on, and not when a while is over: so it is what somebody left
 * behind rather than what happened to stand there, nothing has to wake a document that sleeps, and none is made of a document
 * that nobody changes.
 *
 * To restore a version is to make an update (doc/restore.h) and to take it in like a member's. Whatever is shown then is
 * kept as a version before, where none has it yet: so going back can be gone back on. The update is a client's that has
 * never been here; its first writer is who asked.
 *
 * What is asked with a request_id is done once: what came of it is written down beside it, in the same record. */
#include "room/doc_parts.h"

#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "doc/news.h"
#include "doc/restore.h"
#include "room/doc_query.h"

#define LIST_PRESET 100u
#define LIST_MAX 1000u
#define REQUEST_ID_MAX 128u
#define CLIENT_LEAST 16u /* ids below are of what every client makes alike */
#define CLIENT_TRIES 32u

/* ---- payloads ---- */

/* What a payload has; 0 and empty: it does not. */
typedef struct wish {
  uint64_t id, from, to, before, limit;
  lk_slice name, request;
  bool must_exist;
} wish;

static lk_err read_number(const lk_json_member *member, uint64_t *out, lk_slice *field) {
  if (member->value.kind == LK_JSON_ABSENT || member->value.kind == LK_JSON_NULL) return LK_OK;
  *field = member->name;
  return lk_json_get_u64(&member->value, out) == LK_OK ? LK_OK : LK_ERR_PAYLOAD;
}

static lk_err read_text(const lk_json_member *member, size_t len_max, lk_slice *out,
                        lk_slice *field) {
  if (member->value.kind == LK_JSON_ABSENT || member->value.kind == LK_JSON_NULL) return LK_OK;
  *field = member->name;
  if (lk_json_get_string(&member->value, out) != LK_OK) return LK_ERR_PAYLOAD;
  return out->len <= len_max ? LK_OK : LK_ERR_TOO_BIG;
}

static lk_err read_wish(lk_room *self, const lk_room_input *input, wish *out, lk_slice *field) {
  lk_json_member m[] = { { .name = LK_LIT("id") },         { .name = LK_LIT("from") },
                         { .name = LK_LIT("to") },         { .name = LK_LIT("before") },
                         { .name = LK_LIT("limit") },      { .name = LK_LIT("name") },
                         { .name = LK_LIT("request_id") }, { .name = LK_LIT("must_exist") } };
  uint64_t *numbers[] = { &out->id, &out->from, &out->to, &out->before, &out->limit };
  lk_json_reader in;
  *out = (wish){ .limit = LIST_PRESET };
  *field = LK_SLICE_EMPTY;
  if (input->binary) return LK_ERR_PAYLOAD;
  lk_err err = lk_json_reader_init(&in, input->payload, self->limits, &self->work->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, m, sizeof m / sizeof m[0]);
  if (err == LK_ERR_TYPE || err == LK_ERR_END) err = LK_ERR_PAYLOAD;
  for (size_t i = 0; err == LK_OK && i < 5; i++) err = read_number(&m[i], numbers[i], field);
  if (err == LK_OK) err = read_text(&m[5], self->limits->version_name_bytes, &out->name, field);
  if (err == LK_OK) err = read_text(&m[6], REQUEST_ID_MAX, &out->request, field);
  out->must_exist = m[7].value.kind == LK_JSON_TRUE;
  if (err == LK_OK && (out->limit == 0 || out->limit > LIST_MAX)) {
    *field = LK_LIT("limit");
    return LK_ERR_RANGE;
  }
  return err;
}

/* ---- answers ---- */

static lk_err refuse(lk_room *self, const lk_room_input *input, lk_err why, const char *field) {
  return lk_doc_room_refuse(self, input, NULL, why, lk_slice_cstr(field));
}

/* Of a limit that is not the document's own. */
static lk_err refuse_limit(lk_room *self, const lk_room_input *input, const char *limit) {
  lk_json_writer w;
  lk_trace_emit(self->env, LK_TRACE_room_refused, input->member, LK_ERR_LIMIT, input->event);
  lk_buf_truncate(&self->work->text, 0);
  lk_json_writer_init(&w, &self->work->text);
  (void)lk_json_begin_object(&w);
  (void)lk_json_write_key(&w, LK_LIT("reason"));
  (void)lk_json_write_string(&w, lk_slice_cstr(lk_err_name(LK_ERR_LIMIT)));
  (void)lk_json_write_key(&w, LK_LIT("limit"));
  (void)lk_json_write_string(&w, lk_slice_cstr(limit));
  (void)lk_json_write_key(&w, LK_LIT("message"));
  (void)lk_json_write_string(&w, lk_slice_cstr(lk_err_text(LK_ERR_LIMIT)));
  (void)lk_json_end_object(&w);
  lk_err err = lk_json_writer_finish(&w);
  if (err != LK_OK) return err;
  return lk_doc_room_push(self, (lk_room_effect){ .kind = LK_ROOM_REPLY,
                                                  .member = input->member,
                                                  .request = input->request,
                                                  .payload = lk_buf_slice(&self->work->text) });
}

/* |text|, when what it is about is durable. */
static lk_err reply(lk_room *self, const lk_room_input *input, bool is_bytes) {
  const lk_room_effect effect = { .kind = LK_ROOM_REPLY,
                                  .member = input->member,
                                  .request = input->request,
                                  .ok = true,
                                  .binary = is_bytes,
                                  .payload = lk_buf_slice(&self->work->text) };
#ifdef LK_BUG_VERSION_ACK_EARLY /* planted for the simulator, which must find it: sim/README.md */
  return lk_doc_room_push(self, effect);
#endif
  return lk_doc_room_push_kept(self, effect);
}

static void write_number(lk_json_writer *w, lk_slice key, uint64_t value) {
  (void)lk_json_write_key(w, key);
  (void)lk_json_write_u64(w, value);
}

static void write_text(lk_json_writer *w, lk_slice key, lk_slice text) {
  if (text.len == 0) return;
  (void)lk_json_write_key(w, key);
  (void)lk_json_write_string(w, text);
}

/* The members of an object. */
static void write_version(lk_json_writer *w, const lk_doc_version *version) {
  write_number(w, LK_LIT("id"), version->id);
  if (version->wall_ms > 0) write_number(w, LK_LIT("at"), version->wall_ms);
  write_text(w, LK_LIT("name"), version->name);
  write_text(w, LK_LIT("by"), version->author);
  (void)lk_json_write_key(w, LK_LIT("automatic"));
  (void)lk_json_write_bool(w, version->is_automatic);
  write_number(w, LK_LIT("bytes"), version->snapshot.len);
}

/* {"id":..., ..., "level":...}. |before|: the version that was made before this one was restored, 0: none. */
static lk_err reply_about(lk_room *self, const lk_room_input *input, uint64_t id, uint64_t before) {
  const lk_doc_version *version = lk_doc_versions_find(self->versions, id);
  lk_json_writer w;
  lk_buf_truncate(&self->work->text, 0);
  lk_json_writer_init(&w, &self->work->text);
  (void)lk_json_begin_object(&w);
  if (version != NULL) write_version(&w, version);
  else write_number(&w, LK_LIT("id"), id);
  if (before != 0) write_number(&w, LK_LIT("before"), before);
  write_text(&w, LK_LIT("level"), self->level);
  (void)lk_json_end_object(&w);
  lk_err err = lk_json_writer_finish(&w);
  return err == LK_OK ? reply(self, input, false) : err;
}

/* All members hear, when it is durable, that version |id| was "made", "deleted" or "restored", and which one was made |before|
 * that, 0: none. Those that went to make room for one are not named: who shows a list asks for it anew. */
static lk_err tell(lk_room *self, const char *change, uint64_t id, uint64_t before) {
  const lk_doc_version *version = lk_doc_versions_find(self->versions, id);
  lk_json_writer w;
  lk_buf text;
  lk_buf_init(&text, self->env->alloc, self->limits->bus_frame_bytes);
  lk_json_writer_init(&w, &text);
  (void)lk_json_begin_object(&w);
  write_text(&w, LK_LIT("change"), lk_slice_cstr(change));
  if (version != NULL) write_version(&w, version);
  else write_number(&w, LK_LIT("id"), id);
  if (before != 0) write_number(&w, LK_LIT("before"), before);
  (void)lk_json_end_object(&w);
  lk_err err = lk_json_writer_finish(&w);
  if (err == LK_OK)
    err = lk_doc_room_push_kept_copy(self, (lk_room_effect){ .kind = LK_ROOM_BROADCAST,
                                                             .event = LK_LIT("versions_changed"),
                                                             .payload = lk_buf_slice(&text) });
  lk_buf_deinit(&text);
  return err;
}

/* ---- requests that come again ---- */

/* What came of it before; where it is new, |*is_done| is false. LK_ERR_EXISTS: the id was that of another request. */
static lk_err find_done(lk_room *self, const lk_room_input *input, const wish *w, bool *is_done,
                        uint64_t *number) {
  uint8_t id[8];
  lk_store_le64(id, w->id);
  const lk_slice parts[] = { input->event, lk_slice_of(id, 8), w->name };
  *is_done = false;
  if (w->request.len == 0) return LK_OK;
  lk_crdt_request request = lk_crdt_request_of(w->request, parts, 3);
  const lk_doc_version_done *done = lk_doc_versions_find_done(self->versions, &request);
  if (done == NULL) return LK_OK;
  if (memcmp(done->request.content, request.content, sizeof request.content) != 0)
    return LK_ERR_EXISTS;
  *is_done = true;
  *number = done->number;
  return LK_OK;
}

static lk_err note_done(lk_room *self, const lk_room_input *input, const wish *w, uint64_t number) {
  uint8_t id[8], bytes[LK_CRDT_REQUEST_LEN];
  lk_store_le64(id, w->id);
  const lk_slice parts[] = { input->event, lk_slice_of(id, 8), w->name };
  if (w->request.len == 0) return LK_OK;
#ifdef LK_BUG_RESTORE_TWICE /* planted for the simulator, which must find it: sim/README.md */
  return LK_OK;
#endif
  lk_crdt_request request = lk_crdt_request_of(w->request, parts, 3);
  lk_doc_version_done_store(&request, bytes);
  const lk_doc_item item = { LK_DOC_ITEM_VERSION_DONE, number, lk_slice_of(bytes, sizeof bytes) };
  lk_err err = lk_doc_versions_add_done(self->versions, &request, number);
  return err == LK_OK ? lk_doc_room_note_item(self, &item, 0) : err;
}

/* ---- making and removing ---- */

static lk_err note_gone(lk_room *self, uint64_t id) {
  const lk_doc_item item = { .kind = LK_DOC_ITEM_VERSION_GONE, .number = id };
#ifdef LK_BUG_VERSION_UNDEAD /* planted for the simulator, which must find it: sim/README.md */
  lk_doc_versions_remove(self->versions, id);
  return LK_OK;
#endif
  lk_err err = lk_doc_room_note_item(self, &item, 0);
  if (err == LK_OK) lk_doc_versions_remove(self->versions, id);
  return err;
}

static lk_err note_version(lk_room *self, const lk_doc_version *version) {
  lk_buf bytes;
  lk_buf_init(&bytes, self->env->alloc, SIZE_MAX / 4);
  lk_err err = lk_doc_version_encode(version, &bytes);
  const lk_doc_item item = { LK_DOC_ITEM_VERSION, version->id, lk_buf_slice(&bytes) };
  if (err == LK_OK) err = lk_doc_room_note_item(self, &item, 0);
  lk_buf_deinit(&bytes);
  return err;
}

/* Whether there is, or can be made, room for |version|; else |*limit| says what of. */
static bool has_room(const lk_room *self, const lk_doc_version *version, const char **limit) {
  const lk_doc_version *goes;
  *limit = "log_record_bytes";
  if (lk_doc_version_size(version) > lk_doc_room_message_bytes_max(self->limits)) return false;
  return lk_doc_versions_make_room(self->versions, version, &goes, limit) == LK_OK;
}

/* For |version|, which gets its id. Those that have to go for it go. LK_ERR_LIMIT, before anything was changed: there is no
 * room, |*limit| names it. All other errors are the room's end. */
static lk_err keep(lk_room *self, lk_doc_version *version, const char **limit) {
  const lk_doc_version *goes;
  lk_err err;
  version->id = self->versions->last_id + 1;
  if (!has_room(self, version, limit)) return LK_ERR_LIMIT;
  while ((err = lk_doc_versions_make_room(self->versions, version, &goes, limit)) == LK_OK &&
         goes != NULL) {
    if ((err = note_gone(self, goes->id)) != LK_OK) return err;
  }
  if (err == LK_OK) err = note_version(self, version);
  return err == LK_OK ? lk_doc_versions_add(self->versions, version) : err;
}

/* Whether the newest version shows what |snapshot| shows; or there is none, and nothing to be shown. */
static bool is_newest(const lk_room *self, lk_slice snapshot) {
  static const uint8_t nothing[] = { 0, 0 };
  const lk_doc_version *newest = lk_doc_versions_newest(self->versions);
  if (newest == NULL) return lk_slice_equal(snapshot, lk_slice_of(nothing, sizeof nothing));
  return lk_slice_equal(newest->snapshot, snapshot);
}

lk_err lk_doc_room_keep_version(lk_room *self, const lk_room_input *input) {
  lk_buf snapshot;
  const char *limit;
  lk_doc_versions *versions = self->versions;
  if (versions == NULL) return LK_OK;
  versions->shown_id = 0;
  if (!lk_doc_versions_is_due(versions, input->now_ms, input->wall_ms)) return LK_OK;
  lk_doc_versions_set_due(versions, input->now_ms);
  lk_buf_init(&snapshot, self->env->alloc, self->limits->doc_update_bytes);
  lk_err err = lk_doc_snapshot(self->doc, LK_UPDATE_V2, &snapshot);
  lk_doc_version version = { .wall_ms = input->wall_ms,
                             .is_automatic = true,
                             .snapshot = lk_buf_slice(&snapshot) };
  if (err == LK_OK && !is_newest(self, version.snapshot)) {
    err = keep(self, &version, &limit);
    if (err == LK_OK) err = lk_doc_room_begin_journal(self);
    if (err == LK_OK) err = tell(self, "made", version.id, 0);
  }
  lk_buf_deinit(&snapshot);
  return err == LK_ERR_LIMIT ? LK_OK : err; /* then there is none this time */
}

/* ---- list ---- */

static lk_err write_list(lk_room *self, const wish *w) {
  const lk_doc_versions *versions = self->versions;
  const lk_link *at = versions->items.last;
  lk_json_writer out;
  lk_buf_truncate(&self->work->text, 0);
  lk_json_writer_init(&out, &self->work->text);
  (void)lk_json_begin_object(&out);
  (void)lk_json_write_key(&out, LK_LIT("versions"));
  (void)lk_json_begin_array(&out);
  for (uint64_t count = 0; at != NULL && count < w->limit; at = at->prev) {
    const lk_doc_version *version = LK_CONTAINER(at, const lk_doc_version, link);
    if (w->before != 0 && version->id >= w->before) continue;
    (void)lk_json_begin_object(&out);
    write_version(&out, version);
    (void)lk_json_end_object(&out);
    count++;
  }
  (void)lk_json_end_array(&out);
  (void)lk_json_write_key(&out, LK_LIT("more"));
  (void)lk_json_write_bool(&out, at != NULL);
  write_number(&out, LK_LIT("interval_ms"), versions->policy.interval_ms);
  (void)lk_json_end_object(&out);
  return lk_json_writer_finish(&out);
}

static lk_err on_list(lk_room *self, const lk_room_input *input, const wish *w) {
  if (w->must_exist && self->versions->last_id == 0 && lk_doc_encoded_is_empty(&self->encoded, self->doc))
    return refuse(self, input, LK_ERR_NOT_FOUND, "topic");
  lk_err err = write_list(self, w);
  return err == LK_OK ? reply(self, input, false) : err;
}

/* ---- save ---- */

/* The newest that the member saved under that name; 0: none. */
static uint64_t find_saved(const lk_room *self, lk_slice name, lk_slice author) {
  for (const lk_link *at = self->versions->items.last; at != NULL; at = at->prev) {
    const lk_doc_version *version = LK_CONTAINER(at, const lk_doc_version, link);
    if (!version->is_automatic && lk_slice_equal(version->name, name) &&
        lk_slice_equal(version->author, author))
      return version->id;
  }
  return 0;
}

static lk_err save(lk_room *self, const lk_room_input *input, const wish *w, uint64_t *id,
                   const char **limit) {
  lk_buf snapshot;
  lk_buf_init(&snapshot, self->env->alloc, self->limits->doc_update_bytes);
  lk_err err = lk_doc_snapshot(self->doc, LK_UPDATE_V2, &snapshot);
  lk_doc_version version = { .wall_ms = input->wall_ms,
                             .name = w->name,
                             .author = lk_doc_room_subject_of(self, input),
                             .snapshot = lk_buf_slice(&snapshot) };
  if (err == LK_OK) err = keep(self, &version, limit);
  if (err == LK_OK) err = note_done(self, input, w, version.id);
  if (err == LK_OK) lk_doc_versions_set_due(self->versions, input->now_ms);
  if (err == LK_OK) err = lk_doc_room_begin_journal(self);
  if (err == LK_OK) err = tell(self, "made", version.id, 0);
  *id = version.id;
  lk_buf_deinit(&snapshot);
  return err;
}

static lk_err on_save(lk_room *self, const lk_room_input *input, const wish *w) {
  uint64_t id = 0;
  bool is_done;
  const char *limit = "";
  if (!self->versions->policy.is_on) return refuse(self, input, LK_ERR_UNSUPPORTED, "");
  lk_err err = find_done(self, input, w, &is_done, &id);
  if (err != LK_OK) return refuse(self, input, err, "request_id");
  if (!is_done && input->applied)
    id = find_saved(self, w->name, lk_doc_room_subject_of(self, input));
  if (id != 0) return reply_about(self, input, id, 0);
  if ((err = lk_doc_room_wake(self, input)) != LK_OK) return err;
  err = save(self, input, w, &id, &limit);
  if (err == LK_ERR_LIMIT) return refuse_limit(self, input, limit);
  return err == LK_OK ? reply_about(self, input, id, 0) : err;
}

/* ---- read ---- */

/* What a version says, as a document of its own. */
static lk_err open_version(lk_room *self, lk_slice snapshot, lk_doc **out) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  lk_buf update;
  options.seed[0] = self->seed[0];
  options.seed[1] = self->seed[1];
  *out = NULL;
  lk_buf_init(&update, self->env->alloc, self->limits->doc_update_bytes);
  lk_err err = lk_doc_shows(self->doc, LK_UPDATE_V2, snapshot);
  if (err == LK_OK)
    err = lk_doc_at_snapshot(self->doc, LK_UPDATE_V2, snapshot, LK_UPDATE_V1, &update);
  if (err == LK_OK) err = lk_doc_open(self->env, &options, out);
  if (err == LK_OK) lk_doc_set_limits(*out, self->limits);
  if (err == LK_OK) err = lk_doc_load(*out, LK_UPDATE_V1, lk_buf_slice(&update), 0);
  lk_buf_deinit(&update);
  if (err == LK_OK) return LK_OK;
  lk_doc_close(*out);
  *out = NULL;
  return err;
}

/* The snapshot itself, for whoever has the document: Yjs' decodeSnapshotV2. */
static bool wants_snapshot(lk_room *self, const lk_room_input *input) {
  lk_json_member as = { .name = LK_LIT("as") };
  lk_json_reader in;
  lk_err err = lk_json_reader_init(&in, input->payload, self->limits, &self->work->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, &as, 1);
  return err == LK_OK && as.value.kind == LK_JSON_STRING &&
         lk_slice_equal(as.value.text, LK_LIT("snapshot_v2"));
}

static lk_err on_read(lk_room *self, const lk_room_input *input, const wish *w) {
  const lk_doc_version *version = lk_doc_versions_find(self->versions, w->id);
  lk_doc_reading reading = { false, false };
  lk_doc *doc;
  if (version == NULL) return refuse(self, input, LK_ERR_NOT_FOUND, "id");
  lk_buf_truncate(&self->work->text, 0);
  if (wants_snapshot(self, input)) {
    lk_err err = lk_buf_append(&self->work->text, version->snapshot);
    return err == LK_OK ? reply(self, input, true) : err;
  }
  lk_err err = lk_doc_room_wake(self, input);
  if (err != LK_OK) return err;
  err = open_version(self, version->snapshot, &doc);
  if (err != LK_OK) return refuse(self, input, err, "id");
  err = lk_doc_query_read(doc, self->limits, &self->work->scratch, input->payload,
                          &self->work->text, &reading);
  lk_doc_close(doc);
  if (err != LK_OK) return refuse(self, input, err, "as");
  return lk_doc_room_push_kept(self,
                               (lk_room_effect){ .kind = LK_ROOM_REPLY,
                                                 .member = input->member,
                                                 .request = input->request,
                                                 .ok = reading.ok,
                                                 .binary = reading.binary,
                                                 .payload = lk_buf_slice(&self->work->text) });
}

/* ---- compare ---- */

static lk_slice user_of(void *ctx, uint64_t client) {
  const lk_room *self = ctx;
  return lk_doc_room_writer_of(self, client);
}

/* The snapshot of a version; empty for 0. False where there is none. */
static bool find_side(const lk_room *self, uint64_t id, lk_slice *out) {
  const lk_doc_version *version = lk_doc_versions_find(self->versions, id);
  *out = version == NULL ? LK_SLICE_EMPTY : version->snapshot;
  return version != NULL || id == 0;
}

static lk_err on_compare(lk_room *self, const lk_room_input *input, const wish *w) {
  lk_slice from, to;
  lk_buf out;
  if (!find_side(self, w->from, &from)) return refuse(self, input, LK_ERR_NOT_FOUND, "from");
  if (!find_side(self, w->to, &to)) return refuse(self, input, LK_ERR_NOT_FOUND, "to");
  lk_err err = lk_doc_room_wake(self, input);
  if (err != LK_OK) return err;
  if (from.len > 0 && (err = lk_doc_shows(self->doc, LK_UPDATE_V2, from)) != LK_OK)
    return refuse(self, input, err, "from");
  if (to.len > 0 && (err = lk_doc_shows(self->doc, LK_UPDATE_V2, to)) != LK_OK)
    return refuse(self, input, err, "to");
  lk_buf_init(&out, self->env->alloc, lk_doc_room_message_bytes_max(self->limits));
  err = lk_doc_compare_snapshots(self->doc, LK_UPDATE_V2, from, to, user_of, self, &out);
  lk_buf_truncate(&self->work->text, 0);
  if (err == LK_OK) err = lk_buf_append(&self->work->text, lk_buf_slice(&out));
  lk_buf_deinit(&out);
  if (err == LK_ERR_LIMIT) return refuse_limit(self, input, "bus_frame_bytes");
  return err == LK_OK ? reply(self, input, false) : refuse(self, input, err, "");
}

/* ---- restore ---- */

/* An id that nobody has here, as Yjs draws them. */
static uint64_t draw_client(const lk_room *self, uint64_t entropy) {
  for (uint64_t i = 0; i < CLIENT_TRIES; i++) {
    uint64_t x = entropy + i * UINT64_C(0x9E3779B97F4A7C15);
    uint64_t client = (x ^ x >> 32) & UINT32_MAX;
    if (client >= CLIENT_LEAST && lk_doc_clock_of(self->doc, client) == 0) return client;
  }
  return self->doc_client;
}

/* What a restoring has to do: |update| leads to the version, |before| is what it leads away from. */
typedef struct way_back {
  lk_buf update, snapshot;
  lk_doc_version before;
  bool keeps_before;
} way_back;

static lk_err find_way(lk_room *self, const lk_room_input *input, lk_slice snapshot,
                       way_back *out) {
  uint64_t client = draw_client(self, input->entropy);
  lk_err err = lk_doc_restore(self->doc, LK_UPDATE_V2, snapshot, client, LK_UPDATE_V1,
                              &out->update);
  if (err == LK_OK && out->update.len > lk_doc_room_message_bytes_max(self->limits))
    err = LK_ERR_TOO_BIG;
  if (err == LK_OK) err = lk_doc_room_check_size(self, lk_buf_slice(&out->update));
  if (err == LK_OK) err = lk_doc_snapshot(self->doc, LK_UPDATE_V2, &out->snapshot);
  out->before = (lk_doc_version){ .wall_ms = input->wall_ms,
                                  .is_automatic = true,
                                  .author = lk_doc_room_subject_of(self, input),
                                  .snapshot = lk_buf_slice(&out->snapshot) };
  out->keeps_before = err == LK_OK && !is_newest(self, out->before.snapshot);
  return err;
}

/* As for a member's update: what only deletes may always come. */
static lk_err check_memory(lk_room *self, lk_slice update) {
  bool only_deletes = update.ptr[0] == 0;
  if (only_deletes) return LK_OK;
  return lk_doc_check_memory(self->doc, update.len, self->limits->room_memory_bytes);
}

/* The document has taken the update in. */
static lk_err note_way(lk_room *self, const lk_room_input *input, const wish *w, way_back *way) {
  const lk_doc_item item = { .kind = LK_DOC_ITEM_UPDATE, .bytes = lk_buf_slice(&way->update) };
  const char *ignored;
  lk_err err = LK_OK;
  lk_doc_encoded_note(&self->encoded, item.bytes);
  self->encoded_most += item.bytes.len;
  if (way->keeps_before) err = keep(self, &way->before, &ignored);
  LK_ASSERT(err != LK_ERR_LIMIT); /* there was room */
  if (err == LK_OK) err = lk_doc_room_note_item(self, &item, 0);
  if (err == LK_OK) err = lk_doc_room_attribute_clients(self, input, item.bytes);
  if (err == LK_OK) err = note_done(self, input, w, way->before.id);
  if (err == LK_OK) lk_doc_versions_set_due(self->versions, input->now_ms);
  self->versions->shown_id = w->id;
  return err == LK_OK ? lk_doc_room_begin_journal(self) : err;
}

/* The document shows it already, and there is nothing to do. */
static lk_err stay(lk_room *self, const lk_room_input *input, const wish *w) {
  lk_err err = note_done(self, input, w, 0);
  if (err == LK_OK) err = lk_doc_room_begin_journal(self);
  return err == LK_OK ? reply_about(self, input, w->id, 0) : err;
}

static lk_err go_back(lk_room *self, const lk_room_input *input, const wish *w, lk_slice snapshot,
                      way_back *way) {
  const char *limit = "";
  lk_err err = find_way(self, input, snapshot, way);
  if (err != LK_OK) return refuse(self, input, err, "id");
  if (lk_doc_update_is_empty(lk_buf_slice(&way->update))) return stay(self, input, w);
  if (way->keeps_before && !has_room(self, &way->before, &limit))
    return refuse_limit(self, input, limit);
  err = check_memory(self, lk_buf_slice(&way->update));
  if (err == LK_OK) err = lk_doc_load(self->doc, LK_UPDATE_V1, lk_buf_slice(&way->update), 0);
  if (err != LK_OK) return refuse(self, input, err, "id");
  err = note_way(self, input, w, way);
  if (err == LK_OK) err = tell(self, "restored", w->id, way->before.id);
  return err == LK_OK ? reply_about(self, input, w->id, way->before.id) : err;
}

static lk_err on_restore(lk_room *self, const lk_room_input *input, const wish *w) {
  uint64_t before = 0;
  bool is_done;
  way_back way = { .keeps_before = false };
  lk_err err = find_done(self, input, w, &is_done, &before);
  if (err != LK_OK) return refuse(self, input, err, "request_id");
  if (is_done || input->applied) return reply_about(self, input, w->id, before);
  const lk_doc_version *version = lk_doc_versions_find(self->versions, w->id);
  if (version == NULL) return refuse(self, input, LK_ERR_NOT_FOUND, "id");
  if (self->versions->shown_id == w->id) return stay(self, input, w);
  if ((err = lk_doc_room_wake(self, input)) != LK_OK) return err;
  lk_buf_init(&way.update, self->env->alloc, self->limits->doc_update_bytes);
  lk_buf_init(&way.snapshot, self->env->alloc, self->limits->doc_update_bytes);
  err = go_back(self, input, w, version->snapshot, &way);
  lk_buf_deinit(&way.update);
  lk_buf_deinit(&way.snapshot);
  return err;
}

/* ---- delete ---- */

static lk_err on_delete(lk_room *self, const lk_room_input *input, const wish *w) {
  uint64_t ignored;
  bool is_done;
  lk_err err = find_done(self, input, w, &is_done, &ignored);
  if (err != LK_OK) return refuse(self, input, err, "request_id");
  if (is_done || input->applied) return reply_about(self, input, w->id, 0);
  if (lk_doc_versions_find(self->versions, w->id) == NULL)
    return refuse(self, input, LK_ERR_NOT_FOUND, "id");
  err = note_gone(self, w->id);
  if (err == LK_OK) err = note_done(self, input, w, w->id);
  if (err == LK_OK) err = lk_doc_room_begin_journal(self);
  if (err == LK_OK) err = tell(self, "deleted", w->id, 0);
  return err == LK_OK ? reply_about(self, input, w->id, 0) : err;
}

/* ---- all of them ---- */

typedef struct command {
  lk_slice event;
  lk_rights rights;
  lk_err (*run)(lk_room *self, const lk_room_input *input, const wish *w);
} command;

static const command *find_command(lk_slice event) {
  static const command commands[] = {
    { LK_LIT_INIT("versions"), LK_RIGHTS_READ, on_list },
    { LK_LIT_INIT("version_save"), LK_RIGHTS_WRITE, on_save },
    { LK_LIT_INIT("version_read"), LK_RIGHTS_READ, on_read },
    { LK_LIT_INIT("version_compare"), LK_RIGHTS_READ, on_compare },
    { LK_LIT_INIT("version_restore"), LK_RIGHTS_WRITE, on_restore },
    { LK_LIT_INIT("version_delete"), LK_RIGHTS_ADMIN, on_delete },
  };
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    if (lk_slice_equal(commands[i].event, event)) return &commands[i];
  }
  return NULL;
}

bool lk_doc_room_is_of_versions(lk_slice event) { return find_command(event) != NULL; }

lk_err lk_doc_room_on_version(lk_room *self, const lk_room_input *input) {
  const command *c = find_command(input->event);
  lk_slice field;
  wish w;
  if (input->rights < c->rights)
    return lk_doc_room_refuse(self, input,
                              c->rights == LK_RIGHTS_ADMIN ? "unauthorized" : "read_only", LK_OK,
                              LK_SLICE_EMPTY);
  if (self->versions == NULL) return refuse(self, input, LK_ERR_UNSUPPORTED, "");
  lk_err err = read_wish(self, input, &w, &field);
  if (err != LK_OK) return lk_doc_room_refuse(self, input, NULL, err, field);
  if (input->is_full && !input->applied && c->rights > LK_RIGHTS_READ)
    return lk_doc_room_refuse(self, input, "storage_full", LK_ERR_NO_SPACE, LK_SLICE_EMPTY);
  return c->run(self, input, &w);
}
