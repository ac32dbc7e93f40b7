/* tests/conformance/doc/replay.c
 *
 * Each client of a session is a document of ours with the client's id. It does what the client did and
 * receives what the client received, from the stream: Yjs' bytes, never ours. So a difference stays with the
 * client that made it, and clients are compared as long as they have made none. After that, what they
 * should do is skipped and counted.
 *
 * What a client sends out is queued by its callbacks; a U record takes the front of the queue, and any
 * other record finds it empty or says what was sent too much.
 *
 * The engine has short ways for single changes outside of a transaction, and which of them it takes hangs on who observes
 * what. So half of the sessions, as seed and number of the session say, are bare: in them an operation that is alone
 * is done without a transaction around it, which is all the same to Yjs, and clients are observed in both formats, in
 * one of them, or not at all. */
#include "tests/conformance/doc/replay.h"

#include "base/prng.h"
#include "laniakea/doc.h"
#include "laniakea/doc_events.h"
#include "laniakea/doc_history.h"
#include "laniakea/update.h"
#include "tests/conformance/doc/dump.h"
#include "tests/conformance/doc/ops.h"

#include <stdlib.h>
#include <string.h>

#define CLIENTS_MAX 64
#define ROOTS_MAX 64
#define STATES_MAX 4096
#define REPLICA_CLIENT 4000000000u
#define PENDING_CLIENT 4000000001u
#define SNAPSHOT_CLIENT 4000000003u

typedef struct sent {
  lk_slice bytes;
  struct sent *next;
} sent;

/* What an observer was told. */
typedef struct told {
  const root *about;
  lk_slice delta; /* JSON; empty where it could not be had */
  struct told *next;
} told;

struct client;

typedef struct observer {
  struct client *of;
  const root *about;
} observer;

typedef struct client {
  lk_doc *doc;
  lk_undo *undo; /* in sessions that undo, where there are undo managers */
  bool lost;     /* it has differed, or could not do something */
  bool acts;     /* in the L, I or B before this record; |at| is then the level of what it sends */
  level at;
  bool observed[2]; /* V1, V2: whether it is asked for updates in that format */
  sent *queues[2];
  sent **ends[2];
  told *heard;
  told **heard_end;
  lk_arena *arena;
} client;

/* How a root should read, under a label. */
typedef struct reading {
  lk_slice label, root, state, string, json;
} reading;

typedef struct session {
  uint64_t number;
  uint64_t record;
  bool gc;
  bool diverged;
  bool undo;     /* undo managers keep deleted content, and so change bytes from the beginning */
  bool scripted; /* there are L records */
  bool asks;     /* there are V records */
  bool bare;     /* an operation that is alone is done without a transaction */
  lk_prng draws; /* what a bare session has besides */
  lk_slice profile;
  client clients[CLIENTS_MAX];
  size_t client_count;
  root roots[ROOTS_MAX];
  size_t root_count;
  lk_slice *updates[2];
  size_t update_count, update_cap;
  reading readings[STATES_MAX];
  size_t reading_count;
  lk_slice merged[2]; /* of the first M */
  lk_doc *replica;
  lk_slice label; /* of the replica */
} session;

typedef struct replay {
  const replay_options *options;
  replay_result *result;
  session now;
  uint64_t seed;    /* of the stream */
  lk_arena arena;   /* of the session */
  lk_arena scratch; /* of the record */
  char tag;
  uint64_t failures;
  uint64_t bytes_checked;
  bool stopped;
} replay;

/* ---- telling ---- */

static bool wants(const replay *self, level at) { return self->options->levels[at]; }

static void skip(replay *self, level at) {
  if (wants(self, at)) self->result->levels[at].skipped++;
}

static void pass(replay *self, level at) { self->result->levels[at].passed++; }

/* Counts, and says where; the caller says what. False where it is not to be shown. */
static bool fail(replay *self, level at, const char *what) {
  static const char letters[] = {
#define LEVEL(name, letter, about) letter,
#include "tests/conformance/doc/levels.def"
#undef LEVEL
  };
  const session *now = &self->now;
  if (now->diverged) {
    self->result->levels[at].excused++;
    return false;
  }
  self->result->levels[at].failed++;
  self->failures++;
  if (self->options->stop_after > 0 && self->failures >= self->options->stop_after) {
    self->stopped = true;
  }
  (void)fprintf(self->options->report, "FAIL %c session %llu (%.*s, gc %s) record %llu %c: %s\n",
                letters[at], (unsigned long long)now->number, (int)now->profile.len,
                (const char *)now->profile.ptr, now->gc ? "on" : "off",
                (unsigned long long)now->record, self->tag, what);
  return true;
}

static bool check_ok(replay *self, level at, const char *what, lk_err err) {
  if (err == LK_OK) return true;
  if (fail(self, at, what)) (void)fprintf(self->options->report, "    %s\n", lk_err_name(err));
  return false;
}

/* |format| 0 for state vectors. */
static bool check_bytes(replay *self, level at, const char *what, int format, lk_slice expected,
                        lk_slice got) {
  if (++self->bytes_checked == self->options->spoil && got.len > 0) {
    lk_slice copy;
    must(lk_arena_copy(&self->scratch, got, &copy), "spoil");
    ((uint8_t *)(uintptr_t)copy.ptr)[copy.len / 2] ^= 1;
    got = copy;
  }
  if (lk_slice_equal(expected, got)) {
    pass(self, at);
    return true;
  }
  if (fail(self, at, what)) {
    dump_difference(self->options->report, format, expected, got, self->options->whole);
  }
  return false;
}

static bool check_text(replay *self, level at, const char *what, lk_slice expected, lk_slice got) {
  if (lk_slice_equal(expected, got)) {
    pass(self, at);
    return true;
  }
  if (fail(self, at, what)) dump_text_difference(self->options->report, expected, got);
  return false;
}

static bool check_flag(replay *self, level at, const char *what, bool expected, bool got) {
  if (expected == got) pass(self, at);
  else if (fail(self, at, what)) {
    (void)fprintf(self->options->report, "    expected %d, got %d\n", expected, got);
  }
  return expected == got;
}

/* ---- sessions ---- */

static void end_session(replay *self) {
  session *now = &self->now;
  for (size_t i = 0; i < now->client_count; i++) {
    ops_close_undo(now->clients[i].undo);
    lk_doc_close(now->clients[i].doc);
  }
  lk_doc_close(now->replica);
  free(now->updates[0]);
  free(now->updates[1]);
  *now = (session){ 0 };
  lk_arena_reset(&self->arena);
}

static lk_doc *open_doc(replay *self, uint64_t id, bool with_roots) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = id;
  options.seed[0] = id + 1;
  options.keep_deleted = !self->now.gc;
  lk_doc *doc = NULL;
  must(lk_doc_open(conformance_env(), &options, &doc), "open a document");
  for (size_t i = 0; with_roots && i < self->now.root_count; i++) {
    lk_node node;
    const root *wanted = &self->now.roots[i];
    must(lk_doc_root(doc, wanted->name, wanted->kind, &node), "open a root");
  }
  return doc;
}

static void queue(client *self, size_t which, lk_slice update, uint64_t origin) {
  if (origin == ORIGIN_REMOTE) return;
  sent *made = push(self->arena, sizeof *made);
  must(lk_arena_copy(self->arena, update, &made->bytes), "keep an update");
  *self->ends[which] = made;
  self->ends[which] = &made->next;
}
static void queue_v1(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  (void)doc;
  (void)local;
  queue(ctx, 0, update, origin);
}
static void queue_v2(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  (void)doc;
  (void)local;
  queue(ctx, 1, update, origin);
}

/* As bindings do: they know what they did themselves. */
static void ask(void *ctx, lk_doc *doc, const lk_event *event) {
  const observer *from = ctx;
  client *self = from->of;
  (void)doc;
  if (lk_event_origin(event) == ORIGIN_LOCAL) return;
  lk_buf delta;
  buf_open(&delta);
  told *made = push(self->arena, sizeof *made);
  *made = (told){ .about = from->about };
  if (lk_event_delta(event, &delta) == LK_OK)
    must(lk_arena_copy(self->arena, lk_buf_slice(&delta), &made->delta), "keep a delta");
  lk_buf_deinit(&delta);
  *self->heard_end = made;
  self->heard_end = &made->next;
}

static void observe_texts(const session *now, client *self) {
  for (size_t i = 0; i < now->root_count; i++) {
    const root *about = &now->roots[i];
    if (about->kind != LK_NODE_TEXT) continue;
    observer *made = push(self->arena, sizeof *made);
    *made = (observer){ self, about };
    lk_node node;
    must(lk_doc_root(self->doc, about->name, about->kind, &node), "open a root");
    must(lk_doc_observe(self->doc, node, ask, made, NULL), "observe");
  }
}

static bool plays_clients(const replay *self) {
  return wants(self, LEVEL_LOCAL) || wants(self, LEVEL_CLEANUP) || wants(self, LEVEL_EVENT) ||
         wants(self, LEVEL_CHECKPOINT) || wants(self, LEVEL_FINAL) || wants(self, LEVEL_DOCDIFF) ||
         wants(self, LEVEL_POSITION);
}

/* In bare sessions by one format or the other now and then, or by nobody. */
static void observe_updates(session *now, client *made) {
  static const lk_doc_update_fn fns[2] = { queue_v1, queue_v2 };
  uint64_t draw = now->bare ? lk_prng_below(&now->draws, 8) : 0;
  made->observed[0] = draw < 5;
  made->observed[1] = draw < 2 || draw == 5 || draw == 6;
  for (int i = 0; i < 2; i++) {
    if (!made->observed[i]) continue;
    must(lk_doc_on_update(made->doc, (lk_update_format)(i + 1), fns[i], made, NULL), "observe");
  }
}

static void open_client(replay *self, client *made, uint64_t id) {
  *made = (client){ .arena = &self->arena, .lost = !plays_clients(self) || !self->now.scripted };
  made->ends[0] = &made->queues[0];
  made->ends[1] = &made->queues[1];
  made->heard_end = &made->heard;
  if (made->lost) return;
  made->doc = open_doc(self, id, true);
  if (self->now.undo) {
    made->undo = ops_open_undo(made->doc, self->now.roots, self->now.root_count);
    made->lost = made->undo == NULL;
  }
  observe_updates(&self->now, made);
  if (self->now.asks) observe_texts(&self->now, made);
}

static const js_value *header_member(const js_value *header, const char *name, value_kind kind) {
  const js_value *member = value_member(header, name);
  if (member == NULL || member->kind != kind) die("a session's header has no %s", name);
  return member;
}

static bool header_flag(const js_value *header, const char *name) {
  const js_value *member = value_member(header, name);
  return member != NULL && member->boolean;
}

/* Those whose texts are observed know their own doings by their origin. */
static bool is_bare(replay *self) {
  session *now = &self->now;
  lk_prng stream;
  lk_prng_init(&stream, self->seed);
  lk_prng_split(&stream, now->number, &now->draws);
  bool drawn = lk_prng_chance(&now->draws, 1, 2);
  if (self->options->bare != BARE_HALF) drawn = self->options->bare == BARE_ALL;
  return drawn && !now->asks;
}

/* False where the session is not wanted. */
static bool begin_session(replay *self, record *from) {
  end_session(self);
  session *now = &self->now;
  lk_slice json;
  must(lk_arena_copy(&self->arena, take_bytes(from), &json), "read a header");
  const js_value *header = value_of_json(json, &self->arena);
  now->number = (uint64_t)header_member(header, "session", VALUE_NUMBER)->number;
  now->profile = header_member(header, "profile", VALUE_STRING)->text;
  now->gc = header_member(header, "gc", VALUE_BOOL)->boolean;
  now->diverged = header_flag(header, "diverged");
  now->scripted = value_member(header, "undo") != NULL;
  now->undo = header_flag(header, "undo");
  now->asks = header_flag(header, "asks");
  now->bare = is_bare(self);
  if (self->options->one_session && now->number != self->options->session) return false;
  const js_value *roots = header_member(header, "roots", VALUE_ARRAY);
  const js_value *ids = header_member(header, "clients", VALUE_ARRAY);
  if (roots->count > ROOTS_MAX || ids->count > CLIENTS_MAX) die("a session is too large");
  for (const js_value *item = roots->first; item != NULL; item = item->next) {
    const js_value *kind = value_at(item, 1);
    if (kind == NULL) die("a root has no kind");
    now->roots[now->root_count++] = (root){ item->first->text, root_kind_of(kind->text) };
  }
  for (const js_value *item = ids->first; item != NULL; item = item->next) {
    open_client(self, &now->clients[now->client_count++], (uint64_t)item->number);
  }
  self->result->sessions++;
  self->result->diverged += now->diverged;
  return true;
}

static client *take_client(replay *self, record *from) {
  uint64_t index = take_number(from);
  if (index >= self->now.client_count) die("there is no client %llu", (unsigned long long)index);
  return &self->now.clients[index];
}

static lk_slice update_at(const replay *self, uint64_t id, int version) {
  if (id >= self->now.update_count) die("there is no update %llu", (unsigned long long)id);
  return self->now.updates[version - 1][id];
}

/* ---- clients ---- */

static void settle_heard(replay *self, client *from) {
  const told *extra = from->heard;
  if (from->lost || extra == NULL) return;
  if (wants(self, LEVEL_EVENT) && fail(self, LEVEL_EVENT, "before this an observer was told more"))
    dump_text_difference(self->options->report, LK_SLICE_EMPTY, extra->delta);
  from->lost = true;
}

/* What was sent that Yjs did not send. */
static void settle(replay *self) {
  for (size_t i = 0; i < self->now.client_count; i++) {
    client *from = &self->now.clients[i];
    from->acts = false;
    settle_heard(self, from);
    if (from->lost || (from->queues[0] == NULL && from->queues[1] == NULL)) continue;
    if (wants(self, from->at) &&
        fail(self, from->at, "an update before this was sent by us alone")) {
      const sent *extra = from->queues[0];
      if (extra != NULL) {
        dump_difference(self->options->report, LK_UPDATE_V1, LK_SLICE_EMPTY, extra->bytes, true);
      }
    }
    from->lost = true;
  }
}

static void play_local(replay *self, record *from) {
  client *who = take_client(self, from);
  lk_slice json = take_bytes(from);
  if (who->lost) {
    skip(self, LEVEL_LOCAL);
    return;
  }
  who->acts = true;
  who->at = LEVEL_LOCAL;
  ops_error error;
  ops_result result = ops_run(who->doc, who->undo, self->now.roots, self->now.root_count, json,
                              self->now.bare, &self->scratch, &error);
  if (result == OPS_DONE) return;
  who->lost = true;
  if (result == OPS_UNSUPPORTED) skip(self, LEVEL_LOCAL);
  else if (fail(self, LEVEL_LOCAL, "an operation failed")) {
    (void)fprintf(self->options->report, "    %s: %.*s\n", lk_err_name(error.err),
                  (int)error.op.len, (const char *)error.op.ptr);
  }
}

static void receive(replay *self, client *who, int version, lk_slice update) {
  if (who->lost) return;
  who->acts = true;
  who->at = LEVEL_CLEANUP;
  lk_err err = lk_doc_apply(who->doc, (lk_update_format)version, update, ORIGIN_REMOTE);
  if (!check_ok(self, LEVEL_CLEANUP, "an update is not taken", err)) who->lost = true;
}

static void play_receive(replay *self, record *from) {
  client *who = take_client(self, from);
  uint64_t *ids;
  size_t count = take_list(from, &self->scratch, &ids);
  if (who->lost) skip(self, LEVEL_CLEANUP);
  for (size_t i = 0; i < count; i++) receive(self, who, 1, update_at(self, ids[i], 1));
}

static void play_receive_bytes(replay *self, record *from) {
  client *who = take_client(self, from);
  int version = (int)take_number(from);
  if (who->lost) skip(self, LEVEL_CLEANUP);
  receive(self, who, version, take_bytes(from));
}

static void keep_update(replay *self, uint64_t id, const lk_slice bytes[2]) {
  session *now = &self->now;
  if (id != now->update_count) die("update %llu comes out of order", (unsigned long long)id);
  if (now->update_count == now->update_cap) {
    now->update_cap = now->update_cap == 0 ? 64 : 2 * now->update_cap;
    for (size_t i = 0; i < 2; i++) {
      now->updates[i] = realloc(now->updates[i], now->update_cap * sizeof(lk_slice));
      if (now->updates[i] == NULL) die("out of memory");
    }
  }
  for (size_t i = 0; i < 2; i++) {
    must(lk_arena_copy(&self->arena, bytes[i], &now->updates[i][id]), "keep an update");
  }
  now->update_count++;
}

static void play_update(replay *self, record *from) {
  client *who = take_client(self, from);
  uint64_t id = take_number(from);
  lk_slice bytes[2];
  for (size_t i = 0; i < 2; i++) bytes[i] = take_bytes(from);
  keep_update(self, id, bytes);
  if (!who->acts && !who->lost) die("update %llu comes from nothing", (unsigned long long)id);
  static const char *const whats[] = { "an update sent, V1", "an update sent, V2" };
  for (size_t i = 0; i < 2 && !who->lost; i++) {
    if (!who->observed[i]) continue;
    sent *mine = who->queues[i];
    if (mine != NULL && (who->queues[i] = mine->next) == NULL) who->ends[i] = &who->queues[i];
    lk_slice got = mine == NULL ? LK_SLICE_EMPTY : mine->bytes;
    if (!wants(self, who->at)) continue;
    if (!check_bytes(self, who->at, whats[i], (int)i + 1, bytes[i], got)) who->lost = true;
  }
}

/* Both as JSON with sorted members. */
static bool same_delta(replay *self, lk_slice expected, lk_slice got) {
  const js_value *values[2] = { value_of_json(expected, &self->scratch),
                                value_of_json(got, &self->scratch) };
  lk_buf texts[2];
  for (size_t i = 0; i < 2; i++) {
    buf_open(&texts[i]);
    if (values[i] != NULL) value_print(values[i], &texts[i], &self->scratch);
  }
  bool same = check_text(self, LEVEL_EVENT, "a delta", lk_buf_slice(&texts[0]),
                         lk_buf_slice(&texts[1]));
  for (size_t i = 0; i < 2; i++) lk_buf_deinit(&texts[i]);
  return same;
}

static void play_told(replay *self, record *from) {
  client *who = take_client(self, from);
  lk_slice name = take_bytes(from);
  lk_slice expected = take_bytes(from);
  if (who->lost) {
    skip(self, LEVEL_EVENT);
    return;
  }
  const told *got = who->heard;
  if (got != NULL && (who->heard = got->next) == NULL) who->heard_end = &who->heard;
  if (!wants(self, LEVEL_EVENT)) return;
  bool right = got != NULL && lk_slice_equal(got->about->name, name);
  if (!right && fail(self, LEVEL_EVENT, "an observer is not told"))
    dump_text_difference(self->options->report, expected, LK_SLICE_EMPTY);
  if (!right || !same_delta(self, expected, got->delta)) who->lost = true;
}

/* ---- how documents read ---- */

static bool tells(lk_slice expected) {
  static const char mark[] = "\"insert\":{\"$type\"";
  if (state_tells_embedded()) return true;
  return memmem(expected.ptr, expected.len, mark, sizeof mark - 1) == NULL;
}

static void check_states(replay *self, level at, lk_doc *doc, const root *roots, size_t count,
                         lk_slice expected) {
  if (!tells(expected)) {
    skip(self, at);
    return;
  }
  lk_buf states;
  buf_open(&states);
  lk_err err = states_print(doc, roots, count, &states, &self->scratch);
  if (check_ok(self, at, "the state cannot be read", err)) {
    (void)check_text(self, at, "the state", expected, lk_buf_slice(&states));
  }
  lk_buf_deinit(&states);
}

static void check_string(replay *self, const reading *should, lk_doc *doc, const root *from,
                         lk_node node) {
  bool is_text = from->kind == LK_NODE_TEXT;
  if (!is_text && from->kind != LK_NODE_XML_FRAGMENT) return;
  if (should->string.len == 0 && lk_doc_node_length(doc, node) > 0) return; /* Yjs threw */
  lk_buf string;
  buf_open(&string);
  lk_err err = is_text ? lk_doc_text_string(doc, node, &string)
                       : lk_doc_xml_string(doc, node, &string);
  if (check_ok(self, LEVEL_STRING, "the string cannot be read", err)) {
    (void)check_text(self, LEVEL_STRING, "the string", should->string, lk_buf_slice(&string));
  }
  lk_buf_deinit(&string);
}

/* Members that JSON.stringify leaves out. */
static void drop_undefined(js_value *object) {
  js_value *item = object->first;
  object->first = object->last = NULL;
  object->count = 0;
  while (item != NULL) {
    js_value *next = item->next;
    if (item->kind != VALUE_UNDEFINED) value_add(object, item->key, item);
    item = next;
  }
}

/* What is left of a value in JSON. False where that is not defined, as for documents. */
static bool simplify(js_value *item, lk_arena *arena) {
  lk_buf text;
  buf_open(&text);
  switch (item->kind) {
  case VALUE_UNDEFINED: item->kind = VALUE_NULL; break;
  case VALUE_OBJECT: drop_undefined(item); break;
  case VALUE_NUMBER:
    if (!__builtin_isfinite(item->number)) item->kind = VALUE_NULL;
    if (item->number == 0) item->number = 0;
    break;
  case VALUE_BIGINT: /* {"$bigint":"1"} without what is around the digits */
  case VALUE_BYTES: {
    size_t before = item->kind == VALUE_BIGINT ? 12 : 9;
    value_print(item, &text, arena);
    lk_slice inner = lk_slice_skip(lk_buf_slice(&text), before);
    must(lk_arena_copy(arena, lk_slice_first(inner, inner.len - 2), &item->text), "simplify");
    item->kind = VALUE_STRING;
    break;
  }
  default: break;
  }
  lk_buf_deinit(&text);
  for (js_value *child = item->first; child != NULL; child = child->next) {
    if (!simplify(child, arena)) return false;
  }
  return item->kind != VALUE_DOC;
}

static void check_json(replay *self, const reading *should, lk_doc *doc, lk_node node) {
  js_value *expected = should->json.len == 0 ? NULL : value_of_json(should->json, &self->scratch);
  if (expected == NULL || !simplify(expected, &self->scratch)) {
    skip(self, LEVEL_JSON);
    return;
  }
  lk_buf texts[3];
  for (size_t i = 0; i < 3; i++) buf_open(&texts[i]);
  lk_err err = lk_doc_node_json(doc, node, &texts[0]);
  const js_value *got = NULL;
  if (check_ok(self, LEVEL_JSON, "no JSON can be had", err)) {
    got = value_of_json(lk_buf_slice(&texts[0]), &self->scratch);
  }
  if (got != NULL) {
    value_print(expected, &texts[1], &self->scratch);
    value_print(got, &texts[2], &self->scratch);
    (void)check_text(self, LEVEL_JSON, "the JSON", lk_buf_slice(&texts[1]),
                     lk_buf_slice(&texts[2]));
  } else if (err == LK_OK && fail(self, LEVEL_JSON, "the JSON is none")) {
    dump_text_difference(self->options->report, should->json, lk_buf_slice(&texts[0]));
  }
  for (size_t i = 0; i < 3; i++) lk_buf_deinit(&texts[i]);
}

static lk_doc *doc_labelled(replay *self, lk_slice label) {
  if (self->now.replica != NULL && lk_slice_equal(label, self->now.label)) return self->now.replica;
  if (!text_is(label, "final") || self->now.client_count == 0 || self->now.clients[0].lost)
    return NULL;
  return self->now.clients[0].doc;
}

static void check_reading(replay *self, lk_slice label, const reading *should) {
  lk_doc *doc = doc_labelled(self, label);
  if (doc == NULL) {
    skip(self, text_is(label, "snapshot") ? LEVEL_SNAPSHOT : LEVEL_STATE);
    return;
  }
  const root *from = NULL;
  for (size_t i = 0; i < self->now.root_count; i++) {
    if (lk_slice_equal(self->now.roots[i].name, should->root)) from = &self->now.roots[i];
  }
  if (from == NULL) die("a reading of a root that the session has not");
  lk_node node;
  lk_err err = lk_doc_root(doc, from->name, from->kind, &node);
  if (!check_ok(self, LEVEL_STATE, "the root cannot be had", err)) return;
  if (wants(self, LEVEL_STATE)) check_states(self, LEVEL_STATE, doc, from, 1, should->state);
  if (wants(self, LEVEL_STRING)) check_string(self, should, doc, from, node);
  if (wants(self, LEVEL_JSON)) check_json(self, should, doc, node);
}

static void play_reading(replay *self, record *from) {
  session *now = &self->now;
  if (now->reading_count == STATES_MAX) die("a session has too many states");
  reading *made = &now->readings[now->reading_count++];
  lk_slice *fields[] = { &made->label, &made->root, &made->state, &made->string, &made->json };
  for (size_t i = 0; i < 5; i++) {
    must(lk_arena_copy(&self->arena, take_bytes(from), fields[i]), "keep a state");
  }
  check_reading(self, made->label, made);
}

static void play_reading_again(replay *self, record *from) {
  lk_slice label = take_bytes(from);
  lk_slice name = take_bytes(from);
  lk_slice known = take_bytes(from);
  for (size_t i = 0; i < self->now.reading_count; i++) {
    const reading *should = &self->now.readings[i];
    if (lk_slice_equal(should->label, known) && lk_slice_equal(should->root, name)) {
      check_reading(self, label, should);
      return;
    }
  }
  die("there is no state called %.*s", (int)known.len, (const char *)known.ptr);
}

static void check_vector(replay *self, level at, const lk_doc *doc, lk_slice expected) {
  lk_buf sv;
  buf_open(&sv);
  if (check_ok(self, at, "no state vector can be had", lk_doc_state_vector(doc, &sv))) {
    (void)check_bytes(self, at, "the state vector", 0, expected, lk_buf_slice(&sv));
  }
  lk_buf_deinit(&sv);
}

static void check_encoded(replay *self, level at, const lk_doc *doc, int version, lk_slice sv,
                          lk_slice expected) {
  lk_buf update;
  buf_open(&update);
  lk_err err = lk_doc_encode(doc, (lk_update_format)version, sv, &update);
  if (check_ok(self, at, "it cannot be encoded", err)) {
    const char *what = version == 1 ? "encoded as V1" : "encoded as V2";
    (void)check_bytes(self, at, what, version, expected, lk_buf_slice(&update));
  }
  lk_buf_deinit(&update);
}

/* v1, v2, sv. */
static void check_encodings(replay *self, level at, const lk_doc *doc, record *from) {
  lk_slice v1 = take_bytes(from);
  lk_slice v2 = take_bytes(from);
  check_encoded(self, at, doc, 1, LK_SLICE_EMPTY, v1);
  check_encoded(self, at, doc, 2, LK_SLICE_EMPTY, v2);
  check_vector(self, at, doc, take_bytes(from));
}

static void play_checkpoint(replay *self, record *from) {
  const client *who = take_client(self, from);
  if (who->lost || !wants(self, LEVEL_CHECKPOINT)) {
    skip(self, LEVEL_CHECKPOINT);
    return;
  }
  check_vector(self, LEVEL_CHECKPOINT, who->doc, take_bytes(from));
  check_states(self, LEVEL_CHECKPOINT, who->doc, self->now.roots, self->now.root_count,
               take_bytes(from));
}

static void play_final(replay *self, record *from) {
  const client *who = take_client(self, from);
  if (who->lost || !wants(self, LEVEL_FINAL)) skip(self, LEVEL_FINAL);
  else check_encodings(self, LEVEL_FINAL, who->doc, from);
}

/* ---- replicas ---- */

static void new_replica(replay *self, lk_slice label, uint64_t id, bool with_roots) {
  lk_doc_close(self->now.replica);
  self->now.replica = open_doc(self, id, with_roots);
  must(lk_arena_copy(&self->arena, label, &self->now.label), "keep a label");
}

static bool apply(replay *self, level at, int version, uint64_t id) {
  lk_slice update = update_at(self, id, version);
  lk_err err = lk_doc_apply(self->now.replica, (lk_update_format)version, update, ORIGIN_REMOTE);
  if (check_ok(self, at, "an update is not taken", err)) return true;
  lk_doc_close(self->now.replica);
  self->now.replica = NULL;
  return false;
}

static bool wants_replicas(const replay *self) {
  return wants(self, LEVEL_STATE) || wants(self, LEVEL_STRING) || wants(self, LEVEL_JSON) ||
         wants(self, LEVEL_ENCODE);
}

static void play_replica(replay *self, record *from) {
  if (!wants_replicas(self)) return;
  lk_slice label = take_bytes(from);
  bool late = label.len >= 4 && memcmp(label.ptr, "late", 4) == 0;
  new_replica(self, label, REPLICA_CLIENT, !late);
  int version = (int)take_number(from);
  uint64_t *ids;
  size_t count = take_list(from, &self->scratch, &ids);
  for (size_t i = 0; i < count; i++) {
    if (!apply(self, LEVEL_STATE, version, ids[i])) return;
  }
}

static void play_encoded(replay *self, record *from) {
  lk_slice label = take_bytes(from);
  const lk_doc *doc = doc_labelled(self, label);
  if (doc == NULL || !wants(self, LEVEL_ENCODE)) skip(self, LEVEL_ENCODE);
  else check_encodings(self, LEVEL_ENCODE, doc, from);
}

static bool is_in(const uint64_t *list, size_t count, uint64_t number) {
  for (size_t i = 0; i < count; i++) {
    if (list[i] == number) return true;
  }
  return false;
}

static void play_pending(replay *self, record *from) {
  if (!wants(self, LEVEL_PENDING)) {
    lk_doc_close(self->now.replica);
    self->now.replica = NULL;
    return;
  }
  new_replica(self, LK_LIT("pending"), PENDING_CLIENT, true);
  uint64_t *missing;
  size_t count = take_list(from, &self->scratch, &missing);
  for (uint64_t id = 0; id < self->now.update_count; id++) {
    if (!is_in(missing, count, id) && !apply(self, LEVEL_PENDING, 1, id)) return;
  }
  lk_slice sv = take_bytes(from);
  lk_slice update = take_bytes(from);
  bool structs = take_number(from) != 0;
  bool deletes = take_number(from) != 0;
  lk_doc_pending pending = lk_doc_get_pending(self->now.replica);
  (void)check_flag(self, LEVEL_PENDING, "structs wait", structs, pending.structs > 0);
  (void)check_flag(self, LEVEL_PENDING, "deletions wait", deletes, pending.delete_ranges > 0);
  check_vector(self, LEVEL_PENDING, self->now.replica, sv);
  check_encoded(self, LEVEL_PENDING, self->now.replica, 1, LK_SLICE_EMPTY, update);
}

/* ---- history ---- */

static void check_snapshot(replay *self, const lk_doc *doc, int version, lk_slice expected) {
  lk_buf bytes;
  buf_open(&bytes);
  lk_err err = lk_doc_snapshot(doc, (lk_update_format)version, &bytes);
  if (check_ok(self, LEVEL_SNAPSHOT, "no snapshot can be had", err)) {
    (void)check_bytes(self, LEVEL_SNAPSHOT, "the snapshot", 0, expected, lk_buf_slice(&bytes));
  }
  lk_buf_deinit(&bytes);
}

/* The replica becomes what the document was; X and Y of "snapshot" follow. */
static void go_back(replay *self, int version, lk_slice snapshot) {
  lk_update_format to = version == 1 ? LK_UPDATE_V2 : LK_UPDATE_V1;
  lk_buf update;
  buf_open(&update);
  lk_err err = lk_doc_at_snapshot(self->now.replica, (lk_update_format)version, snapshot, to,
                                  &update);
  bool had = check_ok(self, LEVEL_SNAPSHOT, "the snapshot cannot be opened", err);
  new_replica(self, LK_LIT("snapshot"), SNAPSHOT_CLIENT + 1, true);
  if (had) {
    err = lk_doc_apply(self->now.replica, to, lk_buf_slice(&update), ORIGIN_REMOTE);
    had = check_ok(self, LEVEL_SNAPSHOT, "what it was cannot be applied", err);
  }
  if (!had) {
    lk_doc_close(self->now.replica);
    self->now.replica = NULL;
  }
  lk_buf_deinit(&update);
}

static void play_snapshot(replay *self, record *from) {
  if (!wants(self, LEVEL_SNAPSHOT)) return;
  uint64_t at = take_number(from);
  lk_slice snapshots[2];
  for (size_t i = 0; i < 2; i++) snapshots[i] = take_bytes(from);
  new_replica(self, LK_LIT("history"), SNAPSHOT_CLIENT, true);
  for (uint64_t id = 0; id < self->now.update_count; id++) {
    if (!apply(self, LEVEL_SNAPSHOT, 1, id)) return;
    for (int version = 1; id == at && version <= 2; version++) {
      check_snapshot(self, self->now.replica, version, snapshots[version - 1]);
    }
  }
  int version = 1 + (int)(at % 2);
  go_back(self, version, snapshots[version - 1]);
}

static void check_position_json(replay *self, lk_doc *doc, lk_node node, uint64_t index, int assoc,
                                lk_slice expected) {
  lk_buf texts[2];
  for (size_t i = 0; i < 2; i++) buf_open(&texts[i]);
  lk_err err = lk_doc_position_json(doc, node, index, assoc, &texts[0]);
  if (check_ok(self, LEVEL_POSITION, "no JSON of the position", err)) {
    const js_value *got = value_of_json(lk_buf_slice(&texts[0]), &self->scratch);
    if (got != NULL) value_print(got, &texts[1], &self->scratch);
    (void)check_text(self, LEVEL_POSITION, "its JSON", expected, lk_buf_slice(&texts[1]));
  }
  for (size_t i = 0; i < 2; i++) lk_buf_deinit(&texts[i]);
}

static void check_resolved(replay *self, lk_doc *doc, lk_slice position, lk_node node,
                           uint64_t expected) {
  uint64_t index = UINT32_MAX;
  lk_node found = node;
  lk_err err = lk_doc_resolve_position(doc, position, &found, &index);
  if (err == LK_ERR_NOT_FOUND) err = LK_OK;
  if (!check_ok(self, LEVEL_POSITION, "the position leads nowhere", err)) return;
  (void)check_flag(self, LEVEL_POSITION, "the node of the position", true,
                   found.slot == node.slot && found.check == node.check);
  if (index == expected) pass(self, LEVEL_POSITION);
  else if (fail(self, LEVEL_POSITION, "the position leads elsewhere")) {
    (void)fprintf(self->options->report, "    expected %llu, got %llu\n",
                  (unsigned long long)expected, (unsigned long long)index);
  }
}

static void play_position(replay *self, record *from) {
  const client *first = &self->now.clients[0];
  if (first->lost || !wants(self, LEVEL_POSITION)) {
    skip(self, LEVEL_POSITION);
    return;
  }
  lk_slice name = take_bytes(from);
  uint64_t index = take_number(from);
  int assoc = take_number(from) != 0 ? -1 : 0;
  lk_slice expected = take_bytes(from);
  lk_slice json = take_bytes(from);
  lk_node node;
  must(lk_doc_root(first->doc, name, LK_NODE_UNKNOWN, &node), "open a root");
  lk_buf position;
  buf_open(&position);
  lk_err err = lk_doc_position(first->doc, node, index, assoc, &position);
  if (check_ok(self, LEVEL_POSITION, "no position can be had", err)) {
    (void)check_bytes(self, LEVEL_POSITION, "the position", 0, expected, lk_buf_slice(&position));
    check_position_json(self, first->doc, node, index, assoc, json);
    check_resolved(self, first->doc, expected, node, take_number(from));
  }
  lk_buf_truncate(&position, 0);
  err = lk_position_of_json(conformance_env(), json, &position);
  if (check_ok(self, LEVEL_POSITION, "no position of the JSON", err)) {
    (void)check_bytes(self, LEVEL_POSITION, "the position of the JSON", 0, expected,
                      lk_buf_slice(&position));
  }
  lk_buf_deinit(&position);
}

/* ---- updates without a document ---- */

static void check_merge(replay *self, int version, const uint64_t *ids, size_t count,
                        lk_slice expected) {
  lk_slice *updates = push(&self->scratch, (count + 1) * sizeof *updates);
  for (size_t i = 0; i < count; i++) updates[i] = update_at(self, ids[i], version);
  lk_buf merged;
  buf_open(&merged);
  lk_err err = lk_update_merge(conformance_env(), (lk_update_format)version, updates, count,
                               &merged);
  if (check_ok(self, LEVEL_MERGE, "no merging", err)) {
    const char *what = version == 1 ? "merged as V1" : "merged as V2";
    (void)check_bytes(self, LEVEL_MERGE, what, version, expected, lk_buf_slice(&merged));
  }
  lk_buf_deinit(&merged);
}

static void play_merge(replay *self, record *from) {
  uint64_t *ids;
  size_t count = take_list(from, &self->scratch, &ids);
  lk_slice merged[2];
  for (size_t i = 0; i < 2; i++) merged[i] = take_bytes(from);
  lk_slice expected = take_bytes(from);
  for (size_t i = 0; i < 2 && self->now.merged[1].len == 0; i++) {
    must(lk_arena_copy(&self->arena, merged[i], &self->now.merged[i]), "keep an update");
  }
  if (!wants(self, LEVEL_MERGE)) return;
  check_merge(self, 1, ids, count, merged[0]);
  check_merge(self, 2, ids, count, merged[1]);
  lk_buf sv;
  buf_open(&sv);
  lk_err err = lk_update_state_vector(conformance_env(), LK_UPDATE_V1, merged[0], &sv);
  if (check_ok(self, LEVEL_MERGE, "no state vector of it", err)) {
    (void)check_bytes(self, LEVEL_MERGE, "its state vector", 0, expected, lk_buf_slice(&sv));
  }
  lk_buf_deinit(&sv);
}

static void check_diff(replay *self, int version, lk_slice sv, lk_slice expected) {
  lk_buf diff;
  buf_open(&diff);
  lk_err err = lk_update_diff(conformance_env(), (lk_update_format)version,
                              self->now.merged[version - 1], sv, &diff);
  if (check_ok(self, LEVEL_DIFF, "no cutting", err)) {
    const char *what = version == 1 ? "cut as V1" : "cut as V2";
    (void)check_bytes(self, LEVEL_DIFF, what, version, expected, lk_buf_slice(&diff));
  }
  lk_buf_deinit(&diff);
}

static void play_diff(replay *self, record *from) {
  lk_slice sv = take_bytes(from);
  for (int version = 1; version <= 2; version++) {
    lk_slice expected = take_bytes(from);
    if (wants(self, LEVEL_DIFF)) check_diff(self, version, sv, expected);
  }
  const client *first = &self->now.clients[0];
  for (int version = 1; version <= 2; version++) {
    lk_slice expected = take_bytes(from);
    if (!wants(self, LEVEL_DOCDIFF)) continue;
    if (first->lost) skip(self, LEVEL_DOCDIFF);
    else check_encoded(self, LEVEL_DOCDIFF, first->doc, version, sv, expected);
  }
}

static void check_convert(replay *self, int version, lk_slice update, int to, lk_slice expected) {
  lk_buf out;
  buf_open(&out);
  lk_err err = lk_update_convert(conformance_env(), (lk_update_format)version, update,
                                 (lk_update_format)to, &out);
  if (check_ok(self, LEVEL_CONVERT, "no converting", err)) {
    const char *what = to == 1 ? "converted to V1" : "converted to V2";
    (void)check_bytes(self, LEVEL_CONVERT, what, to, expected, lk_buf_slice(&out));
  }
  lk_buf_deinit(&out);
}

static void play_convert(replay *self, record *from) {
  if (!wants(self, LEVEL_CONVERT)) return;
  lk_slice v1 = take_bytes(from);
  lk_slice v2 = take_bytes(from);
  check_convert(self, 1, v1, 2, v2);
  check_convert(self, 2, v2, 1, take_bytes(from));
}

/* ---- the stream ---- */

static void play(replay *self, record *from) {
  if (from->tag != 'U' && from->tag != 'V') settle(self);
  switch (from->tag) {
  case 'L': play_local(self, from); break;
  case 'I': play_receive(self, from); break;
  case 'B': play_receive_bytes(self, from); break;
  case 'U': play_update(self, from); break;
  case 'V': play_told(self, from); break;
  case 'K': play_checkpoint(self, from); break;
  case 'R': play_replica(self, from); break;
  case 'E': play_encoded(self, from); break;
  case 'X': play_reading(self, from); break;
  case 'Y': play_reading_again(self, from); break;
  case 'P': play_pending(self, from); break;
  case 'M': play_merge(self, from); break;
  case 'D': play_diff(self, from); break;
  case 'C': play_convert(self, from); break;
  case 'F': play_final(self, from); break;
  case 'N': play_snapshot(self, from); break;
  case 'Q': play_position(self, from); break;
  case '!':
    self->result->diverged += !self->now.diverged;
    self->now.diverged = true;
    break;
  case 'Z': break;
  default: die("no record is called %c", from->tag);
  }
}

static void read_seed(replay *self, record *from) {
  const js_value *header = value_of_json(take_bytes(from), &self->scratch);
  const js_value *seed = header == NULL ? NULL : value_member(header, "seed");
  self->seed = seed == NULL || seed->kind != VALUE_NUMBER ? 0 : (uint64_t)seed->number;
  lk_arena_reset(&self->scratch);
}

void replay_run(const replay_options *options, replay_result *out) {
  static replay self; /* large */
  self = (replay){ .options = options, .result = out };
  *out = (replay_result){ 0 };
  const lk_alloc *alloc = conformance_env()->alloc;
  lk_arena_init(&self.arena, alloc, SIZE_MAX >> 1);
  lk_arena_init(&self.scratch, alloc, SIZE_MAX >> 1);
  lk_buf room;
  buf_open(&room);
  char magic[4];
  if (fread(magic, 1, 4, options->in) != 4 || memcmp(magic, "YCC1", 4) != 0) die("no YCC1 stream");
  bool wanted = false;
  for (record next; !self.stopped && record_read(options->in, &room, &next);) {
    self.tag = next.tag;
    if (next.tag == 'H') {
      read_seed(&self, &next);
    } else if (next.tag == 'S') {
      wanted = begin_session(&self, &next);
    } else if (wanted) {
      self.now.record++;
      play(&self, &next);
      lk_arena_reset(&self.scratch);
    }
  }
  end_session(&self);
  lk_buf_deinit(&room);
  lk_arena_deinit(&self.arena);
  lk_arena_deinit(&self.scratch);
}
