/* room/crdt_commands.c -- envelopes become operations with arguments.
 *
 *   {"payload":{"value":"x","index":0}}  +  insert(index: u32, value: json)  ──>  insert [0,"x"]
 *
 * lk_crdt_apply() takes arguments by their order and says what is wrong with them, but not which. Clients name
 * them, and want to be told the name. So the signature is taken apart here, word by word, and each argument is
 * looked at before they are lined up. A type that comes to types.def needs no line here. */
#include "room/crdt_commands.h"

#include "codec/json_reader.h"

/* No operation has more arguments, beside "at" and "node_id". */
#define ARGUMENTS_MAX 4
#define MEMBERS_MAX (ARGUMENTS_MAX + 2)

/* Somewhere in the year 2248: no clock is there, and the end of lk_hlc is far. */
#define TIME_MS_MAX (UINT64_C(1) << 43)

typedef struct argument {
  lk_slice name;
  lk_slice kind;
} argument;

/* ---- signatures ---- */

lk_slice lk_crdt_operations_of(const lk_crdt_type *type) {
  static const char *const by_number[] = {
#define CRDT_TYPE(name, number, shape, operations, value, text) [number] = operations,
#include "crdt/types.def"
#undef CRDT_TYPE
  };
  return lk_slice_cstr(by_number[type->number]);
}

/* "add(element: json)" of "add(element: json); clear()". */
static bool find_signature(const lk_crdt_type *type, lk_slice name, lk_slice *out) {
  lk_slice rest = lk_crdt_operations_of(type), inside;
  while (rest.len > 0) {
    *out = lk_slice_trim(lk_slice_cut(rest, ';', &rest));
    if (lk_slice_equal(lk_slice_cut(*out, '(', &inside), name)) return true;
  }
  return false;
}

/* Of any type. */
static bool is_operation(lk_slice name) {
  const lk_crdt_type *type;
  lk_slice signature;
  for (size_t i = 0; (type = lk_crdt_type_at(i)) != NULL; i++) {
    if (find_signature(type, name, &signature)) return true;
  }
  return false;
}

/* Takes the next argument off |rest|, which is what stands between the brackets. */
static bool next_argument(lk_slice *rest, argument *out) {
  lk_slice kind, one = lk_slice_trim(lk_slice_cut(*rest, ',', rest));
  if (one.len == 0) return false;
  out->name = lk_slice_trim(lk_slice_cut(one, ':', &kind));
  out->kind = lk_slice_trim(kind);
  return true;
}

static uint32_t read_signature(lk_slice signature, argument out[ARGUMENTS_MAX]) {
  lk_slice inside, behind;
  uint32_t count = 0;
  (void)lk_slice_cut(signature, '(', &inside);
  inside = lk_slice_cut(inside, ')', &behind);
  while (count < ARGUMENTS_MAX && next_argument(&inside, &out[count])) count++;
  LK_ASSERT(inside.len == 0);
  return count;
}

/* "payload.amount". Without memory for that the whole payload is to blame. */
static lk_slice field_of(lk_slice name, lk_arena *arena) {
  static const uint8_t before[] = { 'p', 'a', 'y', 'l', 'o', 'a', 'd', '.' };
  uint8_t *text = lk_arena_push_bytes(arena, sizeof before + name.len);
  if (text == NULL) return LK_LIT("payload");
  memcpy(text, before, sizeof before);
  memcpy(text + sizeof before, name.ptr, name.len);
  return lk_slice_of(text, sizeof before + name.len);
}

static bool is_kind(const argument *self, lk_slice kind) {
  return lk_slice_equal(self->kind, kind);
}

static bool is_text(const argument *self) {
  return is_kind(self, LK_LIT("text")) || is_kind(self, LK_LIT("actor"));
}

/* Numbers are to blame for what does not fit or is not there, names for names, and the largest for the rest. */
static bool is_to_blame(const argument *self, lk_err why) {
  switch (why) {
  case LK_ERR_RANGE: return is_kind(self, LK_LIT("u64")) || is_kind(self, LK_LIT("u32"));
  case LK_ERR_OVERFLOW:
  case LK_ERR_RIGHTS: return is_kind(self, LK_LIT("u64"));
  case LK_ERR_ACTOR: return is_kind(self, LK_LIT("actor"));
  default: return is_kind(self, LK_LIT("json")) || is_kind(self, LK_LIT("text"));
  }
}

lk_slice lk_crdt_command_blame(const lk_crdt_command *self, lk_err why, lk_arena *arena) {
  argument arguments[ARGUMENTS_MAX];
  uint32_t count = read_signature(self->signature, arguments);
  if (why == LK_ERR_TYPE) return LK_LIT("payload.at");
  for (uint32_t i = 0; i < count; i++) {
    if (is_to_blame(&arguments[i], why)) return field_of(arguments[i].name, arena);
  }
  return LK_SLICE_EMPTY;
}

/* ---- parts of the payload ---- */

/* The type that the path ends with; appends one step of it. */
static lk_err read_step(lk_json_reader *in, lk_buf *path, const lk_crdt_type **type) {
  lk_json_event name, key, end;
  lk_err err = lk_json_next(in, &name);
  if (err == LK_OK) err = lk_json_next(in, &key);
  if (err == LK_OK) err = lk_json_next(in, &end);
  if (err != LK_OK) return err;
  if (name.kind != LK_JSON_STRING || key.kind != LK_JSON_STRING || end.kind != LK_JSON_ARRAY_END)
    return LK_ERR_PAYLOAD;
  *type = lk_crdt_type_named(name.text);
  if (*type == NULL) return LK_ERR_UNKNOWN_TYPE;
  return lk_crdt_path_append(path, (lk_crdt_kind)(*type)->number, key.text);
}

static lk_err read_steps(lk_json_reader *in, lk_buf *path, const lk_crdt_type **type) {
  lk_json_event event;
  lk_err err = lk_json_next(in, &event);
  if (err == LK_OK && event.kind != LK_JSON_ARRAY_BEGIN) err = LK_ERR_PAYLOAD;
  while (err == LK_OK) {
    err = lk_json_next(in, &event);
    if (err != LK_OK || event.kind == LK_JSON_ARRAY_END) return err;
    err = event.kind == LK_JSON_ARRAY_BEGIN ? read_step(in, path, type) : LK_ERR_PAYLOAD;
  }
  return err;
}

static lk_err read_path(const lk_crdt_command_source *source, const lk_json_member *at,
                        lk_arena *arena, lk_slice *out, const lk_crdt_type **type) {
  lk_json_reader in;
  lk_buf path;
  *type = source->type;
  if (at->value.kind == LK_JSON_ABSENT || at->value.kind == LK_JSON_NULL) return LK_OK;
  lk_buf_init(&path, arena->alloc, source->limits->ws_message_bytes);
  lk_err err = lk_json_reader_init(&in, at->raw, source->limits, arena);
  if (err == LK_OK) err = read_steps(&in, &path, type);
  if (err == LK_OK) err = lk_arena_copy(arena, lk_buf_slice(&path), out);
  lk_buf_deinit(&path);
  return err;
}

/* A string that may be left out. */
static lk_err read_text(const lk_json_member *member, size_t len_max, lk_slice *out) {
  if (member->value.kind == LK_JSON_ABSENT || member->value.kind == LK_JSON_NULL) return LK_OK;
  if (member->value.kind != LK_JSON_STRING) return LK_ERR_PAYLOAD;
  if (member->value.text.len > len_max) return LK_ERR_TOO_BIG;
  *out = member->value.text;
  return LK_OK;
}

static lk_err check_argument(const argument *self, const lk_json_member *member) {
  uint64_t number;
  if (is_text(self)) return member->value.kind == LK_JSON_STRING ? LK_OK : LK_ERR_PAYLOAD;
  if (is_kind(self, LK_LIT("json"))) {
    return member->value.kind != LK_JSON_ABSENT ? LK_OK : LK_ERR_PAYLOAD;
  }
  lk_err err = lk_json_get_u64(&member->value, &number);
  if (err != LK_OK) return err == LK_ERR_TYPE ? LK_ERR_PAYLOAD : err;
  return is_kind(self, LK_LIT("u64")) || number <= UINT32_MAX ? LK_OK : LK_ERR_RANGE;
}

/* [first,second]: as they stand in the payload. */
static lk_err join_arguments(const lk_json_member *members, uint32_t count, lk_arena *arena,
                             lk_slice *out) {
  size_t len = 2 + (count > 0 ? count - 1 : 0), at = 1;
  for (uint32_t i = 0; i < count; i++) len += members[i].raw.len;
  uint8_t *text = lk_arena_push_bytes(arena, len);
  if (text == NULL) return LK_ERR_NOMEM;
  text[0] = '[';
  for (uint32_t i = 0; i < count; i++) {
    if (i > 0) text[at++] = ',';
    memcpy(text + at, members[i].raw.ptr, members[i].raw.len);
    at += members[i].raw.len;
  }
  text[at] = ']';
  *out = lk_slice_of(text, len);
  return LK_OK;
}

static lk_err read_arguments(const lk_crdt_command_source *source, argument *arguments,
                             lk_json_member *members, uint32_t count, lk_arena *arena,
                             lk_crdt_command *out, lk_slice *field) {
  for (uint32_t i = 0; i < count; i++) {
    bool is_missing = members[i].value.kind == LK_JSON_ABSENT;
    if (is_missing && source->amount_is_one && is_kind(&arguments[i], LK_LIT("u64"))) {
      members[i].raw = LK_LIT("1");
      continue;
    }
    lk_err err = check_argument(&arguments[i], &members[i]);
    if (err != LK_OK) {
      *field = field_of(arguments[i].name, arena);
      return err;
    }
  }
  return join_arguments(members, count, arena, &out->arguments);
}

static lk_err read_members(lk_slice json, const lk_limits *limits, lk_arena *arena,
                           lk_json_member *members, size_t count) {
  lk_json_reader in;
  lk_err err = lk_json_reader_init(&in, json, limits, arena);
  if (err == LK_OK) err = lk_json_read_members(&in, members, count);
  if (err == LK_OK) err = lk_json_finish(&in);
  return err == LK_ERR_TYPE ? LK_ERR_PAYLOAD : err;
}

/* What is in the payload: which type the operation is of decides what else must be there. */
static lk_err read_inner(const lk_crdt_command_source *source, lk_slice inner, lk_arena *arena,
                         lk_crdt_command *out, lk_slice *field) {
  argument arguments[ARGUMENTS_MAX];
  lk_json_member members[MEMBERS_MAX] = { { .name = LK_LIT("at") }, { .name = LK_LIT("node_id") } };
  const lk_crdt_type *type;
  *field = LK_LIT("payload");
  lk_err err = read_members(inner, source->limits, arena, members, 2);
  if (err != LK_OK) return err;
  *field = LK_LIT("payload.at");
  if ((err = read_path(source, &members[0], arena, &out->at, &type)) != LK_OK) return err;
  *field = LK_LIT("payload.node_id");
  if ((err = read_text(&members[1], SIZE_MAX, &out->node_id)) != LK_OK) return err;
  *field = LK_LIT("type");
  if (!find_signature(type, source->event, &out->signature)) return LK_ERR_UNKNOWN_OP;
  out->name = source->event;
  uint32_t count = read_signature(out->signature, arguments);
  for (uint32_t i = 0; i < count; i++) {
    members[i] = (lk_json_member){ .name = arguments[i].name };
  }
  *field = LK_LIT("payload");
  if ((err = read_members(inner, source->limits, arena, members, count)) != LK_OK) return err;
  return read_arguments(source, arguments, members, count, arena, out, field);
}

/* ---- the envelope ---- */

enum { PAYLOAD, TYPE, REQUEST_ID, TIMESTAMP, NODE_ID, ENVELOPE };

/* "crdt.increment" for the event "increment"; without an envelope the member is something else. */
static lk_err check_type(const lk_json_member *member, lk_slice event) {
  lk_slice name;
  if (member->value.kind == LK_JSON_ABSENT || member->value.kind == LK_JSON_NULL) return LK_OK;
  if (member->value.kind != LK_JSON_STRING) return LK_ERR_PAYLOAD;
  name = member->value.text;
  if (lk_slice_starts_with(name, LK_LIT("crdt."))) name = lk_slice_skip(name, 5);
  return lk_slice_equal(name, event) ? LK_OK : LK_ERR_PAYLOAD;
}

static lk_err read_time(const lk_json_member *member, uint64_t *out) {
  if (member->value.kind == LK_JSON_ABSENT || member->value.kind == LK_JSON_NULL) return LK_OK;
  lk_err err = lk_json_get_u64(&member->value, out);
  if (err != LK_OK) return err == LK_ERR_TYPE ? LK_ERR_PAYLOAD : err;
  return *out <= TIME_MS_MAX ? LK_OK : LK_ERR_CLOCK;
}

static lk_err read_envelope(lk_slice payload, const lk_limits *limits, lk_arena *arena,
                            lk_json_member members[ENVELOPE], lk_slice *inner) {
  static const lk_slice names[ENVELOPE] = {
    [PAYLOAD] = LK_LIT_INIT("payload"),       [TYPE] = LK_LIT_INIT("type"),
    [REQUEST_ID] = LK_LIT_INIT("request_id"), [TIMESTAMP] = LK_LIT_INIT("timestamp"),
    [NODE_ID] = LK_LIT_INIT("node_id"),
  };
  for (int i = 0; i < ENVELOPE; i++) members[i] = (lk_json_member){ .name = names[i] };
  lk_err err = read_members(payload, limits, arena, members, ENVELOPE);
  if (err != LK_OK) return err;
  *inner = payload;
  if (members[PAYLOAD].value.kind == LK_JSON_ABSENT) return LK_OK;
  if (members[PAYLOAD].value.kind != LK_JSON_OBJECT_BEGIN) return LK_ERR_PAYLOAD;
  *inner = members[PAYLOAD].raw;
  return LK_OK;
}

lk_err lk_crdt_command_unwrap(lk_slice payload, const lk_limits *limits, lk_arena *arena,
                              lk_slice *inner) {
  lk_json_member members[ENVELOPE];
  return read_envelope(payload, limits, arena, members, inner);
}

lk_err lk_crdt_command_read(const lk_crdt_command_source *source, lk_arena *arena,
                            lk_crdt_command *out, lk_slice *field) {
  lk_json_member members[ENVELOPE];
  lk_slice inner;
  *out = (lk_crdt_command){ 0 };
  *field = LK_SLICE_EMPTY;
  if (!is_operation(source->event)) return LK_ERR_UNKNOWN_EVENT;
  *field = LK_LIT("payload");
  lk_err err = read_envelope(source->payload, source->limits, arena, members, &inner);
  if (err != LK_OK) return err;
  *field = LK_LIT("type");
  if (members[PAYLOAD].value.kind != LK_JSON_ABSENT)
    err = check_type(&members[TYPE], source->event);
  if (err != LK_OK) return err;
  *field = LK_LIT("request_id");
  err = read_text(&members[REQUEST_ID], LK_CRDT_REQUEST_ID_LEN_MAX, &out->request_id);
  if (err != LK_OK) return err;
  *field = LK_LIT("timestamp");
  if ((err = read_time(&members[TIMESTAMP], &out->timestamp_ms)) != LK_OK) return err;
  if ((err = read_inner(source, inner, arena, out, field)) != LK_OK) return err;
  *field = LK_LIT("node_id");
  if (out->node_id.len > 0) return LK_OK;
  return read_text(&members[NODE_ID], SIZE_MAX, &out->node_id);
}
