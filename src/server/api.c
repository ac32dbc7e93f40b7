/* server/api.c -- from a request to a question.
 *
 * The order of the checks is the order of trust: whether the client is too fast to be listened to, what the path names, which methods it has, who asks, what he may do
 * there, and only then what he sent. So who may not read a topic does not learn from us whether it would take his bytes.
 *
 * A call outlives its request: the room's answer takes its time, and a client that has gone meanwhile takes its request
 * with it. So whatever is needed later is copied into the call's arena, once.
 *
 * Rooms of documents are asked "read", "create" and "client_update" (room/doc_query.h), those of the catalogue "ask", which has
 * the question itself and its terms (room/crdt_room.h). Versions are documents' alone: room/doc_version_commands.c. */
#include "server/api.h"

#include "codec/json_reader.h"
#include "codec/json_writer.h"
#include "codec/utf.h"
#include "room/room.h"

#define ARENA_MAX ((size_t)1 << 22)
#define PAGE_PRESET 100u
#define PAGE_MAX 1000u
#define REQUEST_ID_MAX 128u
#define AMOUNT_MAX (UINT64_C(1) << 53)
#define NAMES_MAX 1024u

/* ---- paths, queries and forms ---- */

bool lk_api_has(lk_slice path) {
  return lk_slice_starts_with(path, LK_LIT(LK_API_PATH)) ||
         lk_slice_starts_with(path, LK_LIT(LK_API_RENDER));
}

/* What stands behind the name of a topic and a slash. */
static lk_api_target parse_part(lk_slice name, lk_slice part) {
  lk_slice rest, id, more = LK_SLICE_EMPTY;
  lk_api_target target = { LK_API_NONE, LK_SLICE_EMPTY, 0 };
  bool has_id = lk_slice_starts_with(part, LK_LIT("versions/"));
  if (lk_slice_equal(part, LK_LIT("snapshot"))) return (lk_api_target){ LK_API_SNAPSHOT, name, 0 };
  if (lk_slice_equal(part, LK_LIT("versions"))) return (lk_api_target){ LK_API_VERSIONS, name, 0 };
  if (!has_id) return target;
  rest = lk_slice_skip(part, sizeof "versions/" - 1);
  id = lk_slice_cut(rest, '/', &more);
  bool is_now = lk_slice_equal(id, LK_LIT("now"));
  if (!is_now && (lk_number_parse_u64(id, &target.version) != LK_OK || target.version == 0))
    return (lk_api_target){ LK_API_NONE, LK_SLICE_EMPTY, 0 };
  if (id.len == rest.len && !is_now) target.action = LK_API_VERSION;
  else if (lk_slice_equal(more, LK_LIT("changes"))) target.action = LK_API_CHANGES;
  else if (lk_slice_equal(more, LK_LIT("restore")) && !is_now) target.action = LK_API_RESTORE;
  if (target.action != LK_API_NONE) target.name = name;
  return target;
}

lk_api_target lk_api_parse_path(lk_slice path) {
  static const lk_api_target nothing = { LK_API_NONE, { 0 }, 0 };
  lk_slice rest, name;
  if (lk_slice_starts_with(path, LK_LIT(LK_API_RENDER))) {
    name = lk_slice_skip(path, sizeof LK_API_RENDER - 1);
    return name.len > 0 ? (lk_api_target){ LK_API_SHOW, name, 0 } : nothing;
  }
  if (!lk_slice_starts_with(path, LK_LIT(LK_API_TOPICS))) return nothing;
  path = lk_slice_skip(path, sizeof LK_API_TOPICS - 1);
  if (path.len == 0) return (lk_api_target){ LK_API_LIST, LK_SLICE_EMPTY, 0 };
  if (path.ptr[0] != '/') return nothing;
  bool has_more = lk_slice_find_byte(lk_slice_skip(path, 1), '/') != LK_SLICE_NONE;
  name = lk_slice_cut(lk_slice_skip(path, 1), '/', &rest);
  if (name.len == 0) return nothing;
  return has_more ? parse_part(name, rest) : (lk_api_target){ LK_API_READ, name, 0 };
}

static lk_err decode(lk_slice text, bool is_form, size_t len_max, lk_arena *arena, lk_slice *out) {
  lk_buf decoded;
  lk_buf_init(&decoded, arena->alloc, len_max);
  lk_err err = lk_http1_percent_decode(text, is_form, &decoded);
  if (err == LK_ERR_LIMIT) err = LK_ERR_TOO_BIG;
  if (err == LK_OK) err = lk_utf8_check(lk_buf_slice(&decoded));
  if (err == LK_OK) err = lk_arena_copy(arena, lk_buf_slice(&decoded), out);
  lk_buf_deinit(&decoded);
  return err;
}

lk_err lk_api_parse_field(lk_slice text, lk_slice wanted, size_t len_max, lk_arena *arena,
                          lk_slice *out) {
  lk_slice name, value;
  while (lk_http1_query_next(&text, &name, &value)) {
    if (lk_slice_equal(name, wanted)) return decode(value, true, len_max, arena, out);
  }
  return LK_ERR_NOT_FOUND;
}

lk_err lk_api_parse_amount(lk_slice body, lk_arena *arena, uint64_t *out) {
  lk_slice text;
  lk_err err = lk_api_parse_field(body, LK_LIT("amount"), 32, arena, &text);
  if (err == LK_ERR_NOT_FOUND || err == LK_ERR_TOO_BIG) return LK_ERR_PAYLOAD;
  if (err != LK_OK) return err;
  if (lk_number_parse_u64(lk_slice_trim(text), out) != LK_OK) return LK_ERR_PAYLOAD;
  return *out >= 1 && *out <= AMOUNT_MAX ? LK_OK : LK_ERR_PAYLOAD;
}

lk_slice lk_api_methods(lk_slice path) {
  switch (lk_api_parse_path(path).action) {
  case LK_API_LIST: return LK_LIT("GET, HEAD, OPTIONS");
  case LK_API_READ: return LK_LIT("GET, HEAD, PUT, POST, DELETE, OPTIONS");
  case LK_API_SNAPSHOT:
  case LK_API_RESTORE: return LK_LIT("POST, OPTIONS");
  case LK_API_VERSIONS: return LK_LIT("GET, HEAD, POST, OPTIONS");
  case LK_API_VERSION: return LK_LIT("GET, HEAD, DELETE, OPTIONS");
  case LK_API_CHANGES: return LK_LIT("GET, HEAD, OPTIONS");
  case LK_API_SHOW: return LK_LIT("GET, HEAD, POST, OPTIONS");
  default: return LK_SLICE_EMPTY;
  }
}

/* ---- refusing ---- */

static lk_err refuse(lk_api_call *self, uint16_t status, lk_slice reason, lk_slice field,
                     lk_slice message) {
  self->refusal = (lk_api_refusal){ status, reason, field, message, LK_SLICE_EMPTY };
  return LK_OK;
}

/* |message| may be empty: then the error's own. */
static lk_err refuse_for(lk_api_call *self, uint16_t status, lk_err why, lk_slice field,
                         lk_slice message) {
  if (message.len == 0) message = lk_slice_cstr(lk_err_text(why));
  return refuse(self, status, lk_slice_cstr(lk_err_name(why)), field, message);
}

void lk_api_refuse(lk_api_call *self, lk_err why) {
  if (why == LK_ERR_TIMEOUT)
    (void)refuse_for(self, 504, why, LK_SLICE_EMPTY,
                     LK_LIT("the room did not answer in time; a change may have been made or not, "
                            "so send it again with the same Idempotency-Key"));
  else
    (void)refuse_for(self, why == LK_ERR_TOO_BIG ? 413 : 503, why, LK_SLICE_EMPTY, LK_SLICE_EMPTY);
}

static bool is_refused(const lk_api_call *self) { return self->refusal.status != 0; }

/* ---- who asks ---- */

static lk_err judge_token(lk_api_call *self, lk_err why) {
  switch (why) {
  case LK_OK: return LK_OK;
  case LK_ERR_TOKEN_MISSING:
  case LK_ERR_TOKEN_INVALID:
  case LK_ERR_TOKEN_EXPIRED:
  case LK_ERR_TOKEN_REVOKED:
  case LK_ERR_TOKEN_CLAIMS:
  case LK_ERR_TOO_BIG: return refuse_for(self, 401, why, LK_LIT("token"), LK_SLICE_EMPTY);
  default: return refuse_for(self, 503, why, LK_SLICE_EMPTY, LK_SLICE_EMPTY);
  }
}

static lk_rights rights_needed(lk_api_action action) {
  switch (action) {
  case LK_API_READ:
  case LK_API_VERSIONS:
  case LK_API_VERSION:
  case LK_API_CHANGES:
  case LK_API_SHOW: return LK_RIGHTS_READ;
  case LK_API_CREATE:
  case LK_API_WRITE:
  case LK_API_SNAPSHOT:
  case LK_API_SAVE:
  case LK_API_RESTORE:
  case LK_API_PRESS: return LK_RIGHTS_WRITE;
  default: return LK_RIGHTS_ADMIN;
  }
}

/* What the client may do with |topic|; a list is of all topics, so it is for who may administer "*". */
static lk_err judge_rights(lk_api_call *self, const lk_api_options *options, const lk_grant *grant,
                           lk_slice topic) {
  if (options->is_open) self->rights = LK_RIGHTS_ADMIN;
  else if (grant != NULL) self->rights = lk_grant_rights(grant, topic);
  if (grant != NULL) {
    lk_err err = lk_arena_copy(&self->arena, lk_grant_subject(grant), &self->subject);
    if (err != LK_OK) return err;
  }
  if (self->rights >= rights_needed(self->action)) return LK_OK;
  if (self->rights == LK_RIGHTS_NONE)
    return refuse(self, 403, LK_LIT("unauthorized"), LK_SLICE_EMPTY,
                  LK_LIT("your token gives no rights here"));
  if (rights_needed(self->action) == LK_RIGHTS_WRITE)
    return refuse(self, 403, LK_LIT("read_only"), LK_SLICE_EMPTY,
                  LK_LIT("you may read this and not change it"));
  return refuse(self, 403, LK_LIT("unauthorized"), LK_SLICE_EMPTY,
                LK_LIT("only who may administer this may do that"));
}

/* ---- which topic ---- */

/* Its name, and |*meant| what that is an alias of, in |bytes|. */
static lk_err read_topic(lk_api_call *self, const lk_api_options *options, lk_slice name,
                         uint8_t *bytes, lk_slice *meant) {
  lk_err err = decode(name, false, LK_API_TOPIC_MAX, &self->arena, &self->topic);
  if (err == LK_ERR_NOMEM) return err;
  if (err == LK_ERR_TOO_BIG)
    return refuse_for(self, 414, err, LK_LIT("topic"), LK_LIT("a topic has at most 255 bytes"));
  if (err != LK_OK) return refuse_for(self, 400, err, LK_LIT("topic"), LK_SLICE_EMPTY);
  *meant = lk_aliases_resolve(&options->aliases, self->topic, bytes);
  if (meant->len > LK_API_TOPIC_MAX)
    return refuse_for(self, 414, LK_ERR_TOO_BIG, LK_LIT("topic"), LK_SLICE_EMPTY);
  if (lk_room_kind_of(*meant) == NULL)
    return refuse_for(self, 404, LK_ERR_UNMATCHED_TOPIC, LK_LIT("topic"), LK_SLICE_EMPTY);
  if (lk_slice_starts_with(*meant, LK_LIT("doc:"))) self->kind = LK_API_DOC;
  if (lk_slice_starts_with(*meant, LK_LIT("crdt:"))) self->kind = LK_API_CRDT;
  self->is_counter = self->kind == LK_API_CRDT &&
                     lk_slice_starts_with(self->topic, LK_LIT("counter:"));
  return LK_OK;
}

/* ---- what to ask ---- */

static void write_flag(lk_json_writer *w, lk_slice name, bool value) {
  if (!value) return;
  (void)lk_json_write_key(w, name);
  (void)lk_json_write_bool(w, true);
}

static void write_text(lk_json_writer *w, lk_slice name, lk_slice text) {
  (void)lk_json_write_key(w, name);
  (void)lk_json_write_string(w, text);
}

static const lk_slice form_names[LK_API_FORMS] = {
#define API_FORM(name, text, type) LK_LIT_INIT(text),
#include "server/api_forms.def"
#undef API_FORM
};

static lk_err refuse_form(lk_api_call *self) {
  return refuse_for(self, 400, LK_ERR_INVALID, LK_LIT("as"),
                    self->kind == LK_API_DOC
                        ? LK_LIT("one of json, text, html, markdown, delta, update, update_v2, "
                                 "state_vector; of a version also snapshot_v2")
                        : LK_LIT("one of json, html, state"));
}

static lk_err read_form(lk_api_call *self, lk_slice query) {
  lk_slice text;
  lk_err err = lk_api_parse_field(query, LK_LIT("as"), 32, &self->arena, &text);
  self->form = LK_API_FORM_JSON;
  if (err == LK_ERR_NOT_FOUND) return LK_OK;
  if (err == LK_ERR_NOMEM) return err;
  for (unsigned i = 0; err == LK_OK && i < LK_API_FORMS; i++) {
    bool is_of_crdts = i == LK_API_FORM_STATE;
    bool is_of_versions = i == LK_API_FORM_SNAPSHOT_V2;
    bool fits = self->kind == LK_API_DOC
                    ? !is_of_crdts && (!is_of_versions || self->action == LK_API_VERSION)
                    : is_of_crdts || i == LK_API_FORM_JSON || i == LK_API_FORM_HTML;
    if (!fits || !lk_slice_equal(form_names[i], text)) continue;
    self->form = (lk_api_form)i;
    return LK_OK;
  }
  return refuse_form(self);
}

/* A field of the query that may be missing; refused where it is not text. */
static lk_err read_option(lk_api_call *self, lk_slice query, lk_slice name, lk_slice *out) {
  lk_err err = lk_api_parse_field(query, name, NAMES_MAX, &self->arena, out);
  if (err == LK_ERR_NOT_FOUND) return LK_OK;
  return err == LK_OK || err == LK_ERR_NOMEM ? err
                                             : refuse_for(self, 400, err, name, LK_SLICE_EMPTY);
}

static lk_err ask_doc(lk_api_call *self, lk_slice as, lk_slice root) {
  lk_json_writer w;
  self->event = LK_LIT("read");
  lk_json_writer_init(&w, &self->payload);
  (void)lk_json_begin_object(&w);
  write_text(&w, LK_LIT("as"), as);
  if (root.ptr != NULL) write_text(&w, LK_LIT("root"), root);
  write_flag(&w, LK_LIT("must_exist"), true);
  (void)lk_json_end_object(&w);
  return lk_json_writer_finish(&w);
}

/* What rooms of the catalogue are asked: |event| with |payload|, and on which terms. */
typedef struct terms {
  lk_slice event;
  lk_slice payload; /* JSON; empty: {} */
  lk_slice type;    /* empty: any */
  bool must_exist;
  bool is_new;
} terms;

static lk_err ask_crdt(lk_api_call *self, const terms *asked) {
  lk_json_writer w;
  self->event = LK_LIT("ask");
  lk_json_writer_init(&w, &self->payload);
  (void)lk_json_begin_object(&w);
  write_text(&w, LK_LIT("event"), asked->event);
  if (asked->payload.len > 0) {
    (void)lk_json_write_key(&w, LK_LIT("payload"));
    (void)lk_json_write_raw(&w, asked->payload);
  }
  if (asked->type.len > 0) write_text(&w, LK_LIT("type"), asked->type);
  write_flag(&w, LK_LIT("must_exist"), asked->must_exist);
  write_flag(&w, LK_LIT("is_new"), asked->is_new);
  (void)lk_json_end_object(&w);
  return lk_json_writer_finish(&w);
}

static lk_err read_read(lk_api_call *self, const lk_http1_request *request) {
  lk_slice root = LK_SLICE_EMPTY;
  lk_err err = read_form(self, request->query);
  if (err == LK_OK && !is_refused(self))
    err = read_option(self, request->query, LK_LIT("root"), &root);
  if (err != LK_OK || is_refused(self)) return err;
  if (self->kind == LK_API_DOC) return ask_doc(self, form_names[self->form], root);
  bool is_html = self->form == LK_API_FORM_HTML;
  return ask_crdt(self, &(terms){ .event = is_html ? LK_LIT("render") : LK_LIT("crdt.get"),
                                  .must_exist = true });
}

/* ---- versions ---- */

static void write_number(lk_json_writer *w, lk_slice name, uint64_t number) {
  (void)lk_json_write_key(w, name);
  (void)lk_json_write_u64(w, number);
}

/* An id or a number of the query; |*out| stays where there is none. */
static lk_err read_count(lk_api_call *self, lk_slice query, lk_slice name, uint64_t *out) {
  lk_slice text = LK_SLICE_EMPTY;
  lk_err err = read_option(self, query, name, &text);
  if (err != LK_OK || is_refused(self) || text.ptr == NULL) return err;
  if (lk_number_parse_u64(text, out) == LK_OK) return LK_OK;
  return refuse_for(self, 400, LK_ERR_RANGE, name, LK_LIT("a number"));
}

static lk_err read_versions(lk_api_call *self, const lk_http1_request *request) {
  uint64_t before = 0, limit = PAGE_PRESET;
  lk_json_writer w;
  lk_err err = read_count(self, request->query, LK_LIT("before"), &before);
  if (err == LK_OK && !is_refused(self))
    err = read_count(self, request->query, LK_LIT("limit"), &limit);
  if (err != LK_OK || is_refused(self)) return err;
  self->event = LK_LIT("versions");
  lk_json_writer_init(&w, &self->payload);
  (void)lk_json_begin_object(&w);
  write_number(&w, LK_LIT("before"), before);
  write_number(&w, LK_LIT("limit"), limit);
  write_flag(&w, LK_LIT("must_exist"), true);
  (void)lk_json_end_object(&w);
  return lk_json_writer_finish(&w);
}

static lk_err read_version(lk_api_call *self, const lk_http1_request *request) {
  lk_slice root = LK_SLICE_EMPTY;
  lk_json_writer w;
  lk_err err = read_form(self, request->query);
  if (err == LK_OK && !is_refused(self))
    err = read_option(self, request->query, LK_LIT("root"), &root);
  if (err != LK_OK || is_refused(self)) return err;
  self->event = LK_LIT("version_read");
  lk_json_writer_init(&w, &self->payload);
  (void)lk_json_begin_object(&w);
  write_number(&w, LK_LIT("id"), self->version);
  write_text(&w, LK_LIT("as"), form_names[self->form]);
  if (root.ptr != NULL) write_text(&w, LK_LIT("root"), root);
  (void)lk_json_end_object(&w);
  return lk_json_writer_finish(&w);
}

static lk_err read_changes(lk_api_call *self, const lk_http1_request *request) {
  uint64_t from = 0;
  lk_json_writer w;
  lk_err err = read_count(self, request->query, LK_LIT("from"), &from);
  if (err != LK_OK || is_refused(self)) return err;
  self->event = LK_LIT("version_compare");
  lk_json_writer_init(&w, &self->payload);
  (void)lk_json_begin_object(&w);
  write_number(&w, LK_LIT("from"), from);
  write_number(&w, LK_LIT("to"), self->version);
  (void)lk_json_end_object(&w);
  return lk_json_writer_finish(&w);
}

/* A counter that nobody has pressed yet has a page, or nobody could press it. */
static lk_err read_show(lk_api_call *self) {
  if (self->kind == LK_API_DOC) return ask_doc(self, LK_LIT("page"), LK_SLICE_EMPTY);
  return ask_crdt(self, &(terms){ .event = LK_LIT("render"), .must_exist = !self->is_counter });
}

static lk_err read_list(lk_api_call *self, const lk_http1_request *request) {
  lk_slice after = LK_SLICE_EMPTY, prefix = LK_SLICE_EMPTY, limit = LK_SLICE_EMPTY;
  uint64_t number = PAGE_PRESET;
  lk_json_writer w;
  lk_err err = read_option(self, request->query, LK_LIT("after"), &after);
  if (err == LK_OK && !is_refused(self))
    err = read_option(self, request->query, LK_LIT("prefix"), &prefix);
  if (err == LK_OK && !is_refused(self))
    err = read_option(self, request->query, LK_LIT("limit"), &limit);
  if (err != LK_OK || is_refused(self)) return err;
  if (limit.ptr != NULL &&
      (lk_number_parse_u64(limit, &number) != LK_OK || number == 0 || number > PAGE_MAX))
    return refuse_for(self, 400, LK_ERR_RANGE, LK_LIT("limit"), LK_LIT("a number from 1 to 1000"));
  self->limit = (uint32_t)number;
  self->event = LK_LIT("topics");
  lk_json_writer_init(&w, &self->payload);
  (void)lk_json_begin_object(&w);
  write_text(&w, LK_LIT("after"), after);
  if (prefix.len > 0) write_text(&w, LK_LIT("prefix"), prefix);
  (void)lk_json_write_key(&w, LK_LIT("limit"));
  (void)lk_json_write_u64(&w, number);
  (void)lk_json_end_object(&w);
  return lk_json_writer_finish(&w);
}

/* ---- changes ---- */

/* What stands in a Content-Type before its parameters; empty: there is none. */
static lk_slice media_type(const lk_http1_request *request) {
  lk_slice type, parameters;
  if (lk_http1_header(request, LK_LIT("content-type"), &type) != LK_OK) return LK_SLICE_EMPTY;
  return lk_slice_trim(lk_slice_cut(type, ';', &parameters));
}

static bool is_json(const lk_http1_request *request) {
  return lk_slice_equal_nocase(media_type(request), LK_LIT("application/json"));
}

static lk_err read_update(lk_api_call *self, const lk_http1_request *request) {
  self->event = self->action == LK_API_CREATE ? LK_LIT("create") : LK_LIT("client_update");
  self->is_binary = lk_slice_equal_nocase(media_type(request), LK_LIT("application/octet-stream"));
  if (!self->is_binary && !is_json(request))
    return refuse(self, 415, LK_LIT("LK_ERR_PAYLOAD"), LK_LIT("content-type"),
                  LK_LIT("an update is wanted: application/octet-stream, or application/json with "
                         "b64 or bin"));
  if (request->body.len == 0)
    return refuse_for(self, 400, LK_ERR_PAYLOAD, LK_LIT("body"), LK_LIT("an update is wanted"));
  return lk_buf_append(&self->payload, request->body);
}

typedef enum part { PART_TYPE, PART_PAYLOAD, PART_ID, PART_TIME, PARTS } part;

/* The envelope as rooms read it, with the id of the header where it has none of its own. */
static lk_err write_envelope(const lk_json_member *parts, lk_slice id, lk_buf *out) {
  lk_json_writer w;
  lk_json_writer_init(&w, out);
  (void)lk_json_begin_object(&w);
  write_text(&w, LK_LIT("type"), parts[PART_TYPE].value.text);
  (void)lk_json_write_key(&w, LK_LIT("payload"));
  (void)lk_json_write_raw(&w, parts[PART_PAYLOAD].value.kind == LK_JSON_ABSENT
                                  ? LK_LIT("{}")
                                  : parts[PART_PAYLOAD].raw);
  if (id.len > 0) write_text(&w, LK_LIT("request_id"), id);
  if (parts[PART_TIME].value.kind != LK_JSON_ABSENT) {
    (void)lk_json_write_key(&w, LK_LIT("timestamp"));
    (void)lk_json_write_raw(&w, parts[PART_TIME].raw);
  }
  (void)lk_json_end_object(&w);
  return lk_json_writer_finish(&w);
}

static lk_err ask_command(lk_api_call *self, lk_slice type, const lk_json_member *parts,
                          lk_slice id) {
  lk_buf envelope;
  lk_buf_init(&envelope, self->arena.alloc, self->payload.max);
  lk_err err = write_envelope(parts, id, &envelope);
  if (err == LK_OK)
    err = ask_crdt(self, &(terms){ .event = parts[PART_TYPE].value.text,
                                   .payload = lk_buf_slice(&envelope),
                                   .type = type,
                                   .is_new = self->action == LK_API_CREATE });
  lk_buf_deinit(&envelope);
  return err;
}

/* A question changes nothing, so it makes nothing either. */
static bool is_question(lk_slice type) {
  return lk_slice_equal(type, LK_LIT("crdt.get")) || lk_slice_equal(type, LK_LIT("render")) ||
         lk_slice_equal(type, LK_LIT("crdt.subscribe"));
}

/* The id under which a command is executed once: the body's, or that of the header. They must not differ. */
static lk_err read_id(lk_api_call *self, const lk_http1_request *request,
                      const lk_json_member *inside, lk_slice *out) {
  lk_slice header;
  const lk_slice field = LK_LIT("Idempotency-Key");
  lk_err err = lk_http1_header(request, LK_LIT("idempotency-key"), &header);
  *out = LK_SLICE_EMPTY;
  if (inside->value.kind != LK_JSON_ABSENT && inside->value.kind != LK_JSON_STRING)
    return refuse_for(self, 400, LK_ERR_PAYLOAD, LK_LIT("request_id"), LK_SLICE_EMPTY);
  if (inside->value.kind == LK_JSON_STRING) *out = inside->value.text;
  if (err == LK_ERR_NOT_FOUND) return LK_OK;
  if (err != LK_OK || header.len == 0 || lk_utf8_check(header) != LK_OK)
    return refuse_for(self, 400, LK_ERR_INVALID, field, LK_LIT("one text is wanted"));
  if (header.len > REQUEST_ID_MAX)
    return refuse_for(self, 400, LK_ERR_TOO_BIG, field, LK_LIT("at most 128 bytes"));
  if (out->len > 0 && !lk_slice_equal(*out, header))
    return refuse_for(self, 400, LK_ERR_INVALID, field,
                      LK_LIT("it differs from the request_id in the body"));
  *out = header;
  return LK_OK;
}

static lk_err read_command(lk_api_call *self, const lk_http1_request *request,
                           const lk_limits *limits) {
  lk_json_member parts[PARTS] = { { .name = LK_LIT("type") },
                                  { .name = LK_LIT("payload") },
                                  { .name = LK_LIT("request_id") },
                                  { .name = LK_LIT("timestamp") } };
  lk_json_reader in;
  lk_slice type = LK_SLICE_EMPTY, id;
  if (!is_json(request))
    return refuse(self, 415, LK_LIT("LK_ERR_PAYLOAD"), LK_LIT("content-type"),
                  LK_LIT("application/json with a command is wanted"));
  lk_err err = lk_json_reader_init(&in, request->body, limits, &self->arena);
  if (err == LK_OK) err = lk_json_read_members(&in, parts, PARTS);
  if (err == LK_OK) err = lk_json_finish(&in);
  if (err == LK_ERR_NOMEM) return err;
  if (err != LK_OK)
    return refuse_for(self, err == LK_ERR_TOO_BIG ? 413 : 400, err, LK_LIT("body"), LK_SLICE_EMPTY);
  if (parts[PART_TYPE].value.kind != LK_JSON_STRING || is_question(parts[PART_TYPE].value.text))
    return refuse_for(self, 400, LK_ERR_PAYLOAD, LK_LIT("type"),
                      LK_LIT("the name of a command, such as crdt.increment"));
  err = read_id(self, request, &parts[PART_ID], &id);
  if (err == LK_OK && !is_refused(self))
    err = read_option(self, request->query, LK_LIT("type"), &type);
  if (err != LK_OK || is_refused(self)) return err;
  return ask_command(self, type, parts, id);
}

/* What changes versions: a body that is an object, or none. */
static lk_err read_version_change(lk_api_call *self, const lk_http1_request *request,
                                  const lk_limits *limits, lk_slice event) {
  lk_json_member parts[] = { { .name = LK_LIT("request_id") }, { .name = LK_LIT("name") } };
  lk_slice id;
  lk_json_reader in;
  lk_json_writer w;
  if (request->body.len > 0 && !is_json(request))
    return refuse(self, 415, LK_LIT("LK_ERR_PAYLOAD"), LK_LIT("content-type"),
                  LK_LIT("application/json is wanted, or no body"));
  lk_err err = LK_OK;
  if (request->body.len > 0) {
    err = lk_json_reader_init(&in, request->body, limits, &self->arena);
    if (err == LK_OK) err = lk_json_read_members(&in, parts, 2);
    if (err == LK_OK) err = lk_json_finish(&in);
  }
  if (err == LK_ERR_NOMEM) return err;
  if (err != LK_OK)
    return refuse_for(self, err == LK_ERR_TOO_BIG ? 413 : 400, err, LK_LIT("body"), LK_SLICE_EMPTY);
  if ((err = read_id(self, request, &parts[0], &id)) != LK_OK || is_refused(self)) return err;
  self->event = event;
  lk_json_writer_init(&w, &self->payload);
  (void)lk_json_begin_object(&w);
  if (self->version != 0) write_number(&w, LK_LIT("id"), self->version);
  if (id.len > 0) write_text(&w, LK_LIT("request_id"), id);
  if (parts[1].value.kind != LK_JSON_ABSENT) {
    (void)lk_json_write_key(&w, LK_LIT("name"));
    (void)lk_json_write_raw(&w, parts[1].raw);
  }
  (void)lk_json_end_object(&w);
  return lk_json_writer_finish(&w);
}

/* Back to the page, with the query: it may have the token. What is no plain text was not sent by a browser. */
static lk_err note_location(lk_api_call *self, const lk_http1_request *request) {
  lk_slice target = request->target;
  for (size_t i = 0; i < target.len; i++) {
    if (target.ptr[i] <= 0x20 || target.ptr[i] >= 0x7F || target.ptr[i] == '\\')
      return refuse_for(self, 400, LK_ERR_HTTP, LK_SLICE_EMPTY, LK_SLICE_EMPTY);
  }
  if (!lk_slice_starts_with(target, LK_LIT("/"))) target = request->path;
  return lk_arena_copy(&self->arena, target, &self->location);
}

static lk_err read_press(lk_api_call *self, const lk_http1_request *request) {
  uint64_t amount;
  lk_buf text;
  if (self->kind != LK_API_CRDT)
    return refuse_for(self, 405, LK_ERR_HTTP_METHOD, LK_SLICE_EMPTY, LK_SLICE_EMPTY);
  if (!lk_slice_equal_nocase(media_type(request), LK_LIT("application/x-www-form-urlencoded")))
    return refuse(self, 415, LK_LIT("LK_ERR_PAYLOAD"), LK_LIT("content-type"),
                  LK_LIT("a form is wanted: application/x-www-form-urlencoded"));
  lk_err err = lk_api_parse_amount(request->body, &self->arena, &amount);
  if (err == LK_ERR_NOMEM) return err;
  if (err != LK_OK)
    return refuse_for(self, 400, err, LK_LIT("amount"),
                      LK_LIT("the amount must be a whole number from 1 on"));
  if ((err = note_location(self, request)) != LK_OK || is_refused(self)) return err;
  lk_buf_init(&text, self->arena.alloc, 64);
  (void)lk_buf_append(&text, LK_LIT("{\"amount\":"));
  (void)lk_buf_append_decimal(&text, amount);
  err = lk_buf_append(&text, LK_LIT("}"));
  if (err == LK_OK)
    err = ask_crdt(self,
                   &(terms){ .event = LK_LIT("crdt.increment"), .payload = lk_buf_slice(&text) });
  lk_buf_deinit(&text);
  return err;
}

/* ---- the whole request ---- */

/* By the method, what is wanted; NONE: there is no such method here. */
static lk_api_action action_of(lk_api_action target, lk_slice method) {
  static const struct {
    lk_api_action target;
    lk_slice method;
    lk_api_action action;
  } rows[] = {
    { LK_API_LIST, LK_LIT_INIT("GET"), LK_API_LIST },
    { LK_API_LIST, LK_LIT_INIT("HEAD"), LK_API_LIST },
    { LK_API_READ, LK_LIT_INIT("GET"), LK_API_READ },
    { LK_API_READ, LK_LIT_INIT("HEAD"), LK_API_READ },
    { LK_API_READ, LK_LIT_INIT("PUT"), LK_API_CREATE },
    { LK_API_READ, LK_LIT_INIT("POST"), LK_API_WRITE },
    { LK_API_READ, LK_LIT_INIT("DELETE"), LK_API_DELETE },
    { LK_API_SNAPSHOT, LK_LIT_INIT("POST"), LK_API_SNAPSHOT },
    { LK_API_VERSIONS, LK_LIT_INIT("GET"), LK_API_VERSIONS },
    { LK_API_VERSIONS, LK_LIT_INIT("HEAD"), LK_API_VERSIONS },
    { LK_API_VERSIONS, LK_LIT_INIT("POST"), LK_API_SAVE },
    { LK_API_VERSION, LK_LIT_INIT("GET"), LK_API_VERSION },
    { LK_API_VERSION, LK_LIT_INIT("HEAD"), LK_API_VERSION },
    { LK_API_VERSION, LK_LIT_INIT("DELETE"), LK_API_FORGET },
    { LK_API_CHANGES, LK_LIT_INIT("GET"), LK_API_CHANGES },
    { LK_API_CHANGES, LK_LIT_INIT("HEAD"), LK_API_CHANGES },
    { LK_API_RESTORE, LK_LIT_INIT("POST"), LK_API_RESTORE },
    { LK_API_SHOW, LK_LIT_INIT("GET"), LK_API_SHOW },
    { LK_API_SHOW, LK_LIT_INIT("HEAD"), LK_API_SHOW },
    { LK_API_SHOW, LK_LIT_INIT("POST"), LK_API_PRESS },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (rows[i].target == target && lk_slice_equal(rows[i].method, method)) return rows[i].action;
  }
  return LK_API_NONE;
}

static bool is_of_versions(lk_api_action action) {
  return action >= LK_API_SNAPSHOT && action <= LK_API_RESTORE;
}

static lk_err read_of_versions(lk_api_call *self, const lk_api_options *options,
                               const lk_http1_request *request) {
  if (self->kind != LK_API_DOC)
    return refuse_for(self, 501, LK_ERR_UNSUPPORTED, LK_LIT("topic"),
                      LK_LIT("only documents have versions"));
  switch (self->action) {
  case LK_API_VERSIONS: return read_versions(self, request);
  case LK_API_VERSION: return read_version(self, request);
  case LK_API_CHANGES: return read_changes(self, request);
  case LK_API_FORGET:
    return read_version_change(self, request, options->limits, LK_LIT("version_delete"));
  case LK_API_RESTORE:
    return read_version_change(self, request, options->limits, LK_LIT("version_restore"));
  default: return read_version_change(self, request, options->limits, LK_LIT("version_save"));
  }
}

static lk_err read_what(lk_api_call *self, const lk_api_options *options,
                        const lk_http1_request *request) {
  bool is_generic = self->action == LK_API_DELETE || self->action == LK_API_LIST;
  if (is_of_versions(self->action)) return read_of_versions(self, options, request);
  if (self->kind == LK_API_OTHER && !is_generic)
    return refuse_for(
        self, 501, LK_ERR_UNSUPPORTED, LK_LIT("topic"),
        LK_LIT("topics of this kind keep nothing that could be read or written here"));
  switch (self->action) {
  case LK_API_LIST: return read_list(self, request);
  case LK_API_READ: return read_read(self, request);
  case LK_API_SHOW: return read_show(self);
  case LK_API_PRESS: return read_press(self, request);
  case LK_API_CREATE:
  case LK_API_WRITE:
    return self->kind == LK_API_DOC ? read_update(self, request)
                                    : read_command(self, request, options->limits);
  case LK_API_DELETE: self->event = LK_LIT("delete"); return LK_OK;
  default: break;
  }
  LK_UNREACHABLE();
}

/* What a response needs of the request. */
static lk_err note_headers(lk_api_call *self, const lk_http1_request *request) {
  lk_slice value;
  lk_err err = LK_OK;
  self->keep_alive = request->keep_alive;
  self->is_head = lk_slice_equal(request->method, LK_LIT("HEAD"));
  if (lk_http1_header(request, LK_LIT("origin"), &value) == LK_OK)
    err = lk_arena_copy(&self->arena, value, &self->origin);
  if (err == LK_OK && lk_http1_header(request, LK_LIT("if-none-match"), &value) == LK_OK)
    err = lk_arena_copy(&self->arena, value, &self->known_tags);
  return err;
}

static lk_err read_call(lk_api_call *self, const lk_api_options *options,
                        const lk_http1_request *request, lk_err why, const lk_grant *grant) {
  uint8_t bytes[LK_ALIAS_TOPIC_MAX];
  lk_slice meant = LK_SLICE_EMPTY;
  const lk_api_target target = lk_api_parse_path(request->path);
  self->is_page = target.action == LK_API_SHOW;
  lk_err err = note_headers(self, request);
  if (err != LK_OK) return err;
  self->wait_s = options->wait_s;
  if (self->wait_s > 0)
    return refuse(
        self, 429, LK_LIT("rate_limited"), LK_SLICE_EMPTY,
        LK_LIT("so many requests came from you that this one was not looked at; nothing was "
               "changed"));
  if (target.action == LK_API_NONE)
    return refuse_for(self, 404, LK_ERR_NOT_FOUND, LK_LIT("path"),
                      LK_LIT("there is nothing at this path; a slash in a topic is written %2F"));
  self->action = action_of(target.action, request->method);
  self->version = target.version;
  self->allowed = lk_api_methods(request->path);
  if (self->action == LK_API_NONE)
    return refuse_for(self, 405, LK_ERR_HTTP_METHOD, LK_SLICE_EMPTY, LK_SLICE_EMPTY);
  if (options->is_draining)
    return refuse_for(self, 503, LK_ERR_CLOSED, LK_SLICE_EMPTY,
                      LK_LIT("the server stops; nothing new is taken"));
  if ((err = judge_token(self, why)) != LK_OK || is_refused(self)) return err;
  if (target.name.len > 0) err = read_topic(self, options, target.name, bytes, &meant);
  if (err != LK_OK || is_refused(self)) return err;
  if ((err = judge_rights(self, options, grant, meant)) != LK_OK || is_refused(self)) return err;
  return read_what(self, options, request);
}

lk_err lk_api_read(const lk_api_options *options, const lk_http1_request *request, lk_err why,
                   const lk_grant *grant, lk_api_call *out) {
  *out = (lk_api_call){ .kind = LK_API_OTHER };
  lk_arena_init(&out->arena, options->alloc, ARENA_MAX);
  lk_buf_init(&out->payload, options->alloc, (size_t)options->limits->api_body_bytes + 65536);
  lk_err err = read_call(out, options, request, why, grant);
  if (err != LK_OK) lk_api_call_deinit(out);
  return err;
}

void lk_api_call_deinit(lk_api_call *self) {
  lk_buf_deinit(&self->payload);
  lk_arena_deinit(&self->arena);
  *self = (lk_api_call){ 0 };
}

lk_question lk_api_question(const lk_api_call *self, uint32_t house, uint64_t tag) {
  return (lk_question){ .topic = self->topic,
                        .house = house,
                        .event = self->event,
                        .payload = lk_buf_slice(&self->payload),
                        .is_binary = self->is_binary,
                        .rights = self->rights,
                        .subject = self->subject,
                        .tag = tag };
}
