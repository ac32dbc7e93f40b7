/* The crdt: room by itself: what it says, what it asks to be kept, and what it makes of that. */
#include "room/crdt_room.h"

#include <stdio.h>
#include <string.h>

#include "codec/base64.h"
#include "codec/json_reader.h"
#include "crdt/gcounter.h"
#include "harness/test.h"
#include "room/crdt_commands.h"

#define RECORDS_MAX 600

/* A house that writes down what it is told, when it is told to. */
typedef struct world {
  lk_env env;
  lk_limits limits;
  const lk_room_kind *kind;
  lk_room *room;
  lk_buf snapshot;
  lk_buf records[RECORDS_MAX];
  size_t records_count; /* durable */
  uint64_t ticket;      /* under way; 0: none. Its record is the one behind those */
  uint64_t journals;
  uint64_t entropy;
  lk_buf reply; /* the last one */
  bool reply_ok;
  uint64_t replies;
  lk_buf told; /* the last broadcast */
  uint64_t tells;
  uint64_t alarm_ms; /* of the timer */
  uint64_t later_ms; /* what is added to the time */
  uint64_t wall_ms;  /* 0: nobody says */
  lk_rights rights;
  bool intact;
  uint64_t skips, resumes;
} world;

static void open_room(world *w) {
  lk_slice records[RECORDS_MAX];
  for (size_t i = 0; i < w->records_count; i++) records[i] = lk_buf_slice(&w->records[i]);
  const lk_room_options options = { .env = &w->env,
                                    .limits = &w->limits,
                                    .topic = LK_LIT("crdt:a"),
                                    .recovered = lk_buf_slice(&w->snapshot),
                                    .records = records,
                                    .records_count = w->records_count,
                                    .intact = w->intact,
                                    .level = LK_LIT("memory") };
  CHECK_OK(w->kind->open(&options, &w->room));
}

static void init_as(world *w, const lk_room_kind *kind) {
  memset(w, 0, sizeof *w);
  w->env = (lk_env)LK_ENV_INIT(test_alloc(), NULL);
  w->limits = lk_limits_default();
  w->kind = kind;
  w->rights = LK_RIGHTS_WRITE;
  w->intact = true;
  lk_buf_init(&w->snapshot, test_alloc(), SIZE_MAX / 2);
  lk_buf_init(&w->reply, test_alloc(), SIZE_MAX / 2);
  lk_buf_init(&w->told, test_alloc(), SIZE_MAX / 2);
  for (size_t i = 0; i < RECORDS_MAX; i++) lk_buf_init(&w->records[i], test_alloc(), SIZE_MAX / 2);
  open_room(w);
}

static void init(world *w) { init_as(w, &lk_crdt_room_kind); }

static void deinit(world *w) {
  w->kind->close(w->room);
  lk_buf_deinit(&w->snapshot);
  lk_buf_deinit(&w->reply);
  lk_buf_deinit(&w->told);
  for (size_t i = 0; i < RECORDS_MAX; i++) lk_buf_deinit(&w->records[i]);
}

static void keep(lk_buf *at, lk_slice bytes) {
  lk_buf_truncate(at, 0);
  CHECK_OK(lk_buf_append(at, bytes));
}

static void drain(world *w) {
  lk_room_effect effect;
  while (w->kind->poll(w->room, &effect)) {
    switch (effect.kind) {
    case LK_ROOM_JOURNAL:
      CHECK_U64(w->ticket, 0);
      CHECK(w->records_count < RECORDS_MAX);
      w->ticket = effect.ticket;
      w->journals++;
      keep(&w->records[w->records_count], effect.payload);
      break;
    case LK_ROOM_TIMER: w->alarm_ms = effect.at_ms; break;
    case LK_ROOM_SNAPSHOT_DONE: keep(&w->snapshot, effect.payload); break;
    case LK_ROOM_BROADCAST:
    case LK_ROOM_PUSH:
      CHECK_TEXT(effect.event, "state_updated");
      keep(&w->told, effect.payload);
      w->tells++;
      break;
    case LK_ROOM_ACCEPT:
    case LK_ROOM_REFUSE:
    case LK_ROOM_REPLY:
      keep(&w->reply, effect.payload);
      w->reply_ok = effect.ok || effect.kind == LK_ROOM_ACCEPT;
      w->replies++;
      break;
    case LK_ROOM_SKIP: w->skips++; break;
    case LK_ROOM_RESUME: w->resumes++; break;
    default: CHECK(false);
    }
  }
}

static void step(world *w, lk_room_input input) {
  input.entropy = ++w->entropy;
  input.now_ms = UINT64_C(1700000000000) + w->entropy + w->later_ms;
  input.wall_ms = w->wall_ms;
  input.rights = w->rights;
  CHECK_OK(w->kind->step(w->room, &input));
  drain(w);
}

/* The record under way becomes durable. */
static void complete(world *w) {
  uint64_t ticket = w->ticket;
  if (ticket == 0) return;
  w->ticket = 0;
  w->records_count++;
  step(w, (lk_room_input){ .kind = LK_ROOM_JOURNALED, .ticket = ticket });
}

static void complete_all(world *w) {
  while (w->ticket != 0) complete(w);
}

static void join(world *w, const char *params) {
  step(w, (lk_room_input){
              .kind = LK_ROOM_JOIN, .member = 1, .request = 1, .payload = lk_slice_cstr(params) });
}

static void leave(world *w) { step(w, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = 1 }); }

/* Says something and does not wait. */
static void say(world *w, const char *event, const char *payload) {
  step(w, (lk_room_input){ .kind = LK_ROOM_MESSAGE,
                           .member = 1,
                           .request = 2,
                           .event = lk_slice_cstr(event),
                           .payload = lk_slice_cstr(payload) });
}

/* Says something and waits for the answer, which comes once. */
static void ask(world *w, const char *event, const char *payload) {
  uint64_t replies = w->replies;
  say(w, event, payload);
  complete_all(w);
  CHECK_U64(w->replies, replies + 1);
}

static void reopen(world *w) {
  w->kind->close(w->room);
  w->ticket = 0;
  open_room(w);
}

static void take_snapshot(world *w) {
  step(w, (lk_room_input){ .kind = LK_ROOM_SNAPSHOT });
  w->records_count = 0;
}

/* A member of the JSON object |text|, as it stands there; empty where there is none. */
static lk_slice member_of(const lk_buf *text, const char *name) {
  static uint8_t copy[8][300000];
  static unsigned next;
  lk_json_member member = { .name = lk_slice_cstr(name) };
  lk_json_reader in;
  lk_arena arena;
  lk_limits limits = lk_limits_default();
  uint8_t *to = copy[next++ % 8];
  lk_arena_init(&arena, test_alloc(), 1 << 24);
  CHECK_OK(lk_json_reader_init(&in, lk_buf_slice(text), &limits, &arena));
  CHECK_OK(lk_json_read_members(&in, &member, 1));
  lk_slice raw = member.value.kind == LK_JSON_STRING ? member.value.text : member.raw;
  CHECK(raw.len <= sizeof copy[0]);
  if (raw.len > 0) memcpy(to, raw.ptr, raw.len);
  lk_arena_deinit(&arena);
  return lk_slice_of(to, raw.len);
}

#define CHECK_REPLY(w, name, want) CHECK_TEXT(member_of(&(w)->reply, name), want)
#define CHECK_TOLD(w, name, want) CHECK_TEXT(member_of(&(w)->told, name), want)

static void check_refused(world *w, const char *reason, const char *field) {
  CHECK(!w->reply_ok);
  CHECK_SLICE(member_of(&w->reply, "reason"), lk_slice_cstr(reason));
  CHECK_SLICE(member_of(&w->reply, "field"), lk_slice_cstr(field));
  CHECK(member_of(&w->reply, "message").len > 0);
}

/* Merges base64 of |from| into |into|. */
static void merge_text(lk_crdt *into, lk_slice text) {
  lk_buf bytes;
  lk_buf_init(&bytes, test_alloc(), SIZE_MAX / 2);
  CHECK_OK(lk_base64_decode(&bytes, text, LK_BASE64_FORM_STANDARD));
  CHECK_OK(lk_crdt_merge(into, lk_buf_slice(&bytes), NULL));
  lk_buf_deinit(&bytes);
}

/* {"delta":"..."} */
static const char *payload_of(lk_slice delta) {
  static char text[200000];
  lk_buf b64;
  lk_buf_init(&b64, test_alloc(), sizeof text - 20);
  CHECK_OK(lk_base64_encode(&b64, delta, LK_BASE64_FORM_STANDARD));
  (void)snprintf(text, sizeof text, "{\"delta\":\"%.*s\"}", (int)b64.len, (const char *)b64.ptr);
  lk_buf_deinit(&b64);
  return text;
}

/* ---- records ---- */

/* Goal: records are what changed; a snapshot has those that are durable and nothing that is under way; both
 * together are the room. */
TEST(a_room_is_its_snapshot_and_the_records_behind_it) {
  world w;
  init(&w);
  join(&w, "{}");
  say(&w, "crdt.merge", "{\"counts\":{\"x\":3}}");
  say(&w, "crdt.merge", "{\"counts\":{\"y\":4}}");
  say(&w, "crdt.merge", "{\"counts\":{\"y\":5}}");
  CHECK_U64(w.replies, 1);
  complete(&w);
  CHECK_TEXT(lk_buf_slice(&w.reply), "{\"value\":3,\"counts\":{},\"level\":\"memory\"}");
  CHECK_TEXT(lk_buf_slice(&w.told),
             "{\"value\":3,\"counts\":{\"x\":3},\"delta\":\"AQEBAQEBeAACAAI=\"}");
  take_snapshot(&w); /* y is under way */
  keep(&w.records[0], lk_buf_slice(&w.records[1]));
  reopen(&w);
  ask(&w, "crdt.get", "{}");
  CHECK_TEXT(lk_buf_slice(&w.reply),
             "{\"value\":3,\"counts\":{\"x\":3},\"state\":\"AQEBAQEBeAACAAI=\"}");
  w.records_count = 1;
  reopen(&w);
  ask(&w, "crdt.get", "{}");
  CHECK_TEXT(lk_buf_slice(&w.reply), "{\"value\":8,\"counts\":{\"x\":3,\"y\":5},"
                                     "\"state\":\"AQECAgIBeAEAAgF5AAQAAAIBAAQ=\"}");
  deinit(&w);
}

TEST(a_room_that_does_not_understand_a_record_does_not_open) {
  static const lk_slice bad[] = {
    LK_LIT_INIT(""),         LK_LIT_INIT("nonsense"),       LK_LIT_INIT("\xFF"),
    LK_LIT_INIT("\xFF\x04"), LK_LIT_INIT("\xFF\x01\x02xy"), LK_LIT_INIT("\xFF\x02\x01xy"),
    LK_LIT_INIT("\xFF\x00")
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    lk_env env = LK_ENV_INIT(test_alloc(), NULL);
    lk_limits limits = lk_limits_default();
    lk_room *room;
    const lk_room_options options = {
      .env = &env, .limits = &limits, .records = &bad[i], .records_count = 1
    };
    test_note("record %zu", i);
    CHECK(lk_crdt_room_kind.open(&options, &room) != LK_OK);
  }
}

TEST(commands_that_come_while_a_journal_is_under_way_share_the_next_one) {
  world w;
  init(&w);
  join(&w, "{\"type\":\"orset\"}");
  for (int i = 0; i < 20; i++) {
    char payload[60];
    (void)snprintf(payload, sizeof payload, "{\"payload\":{\"element\":%d}}", i);
    say(&w, "crdt.add", payload);
  }
  CHECK_U64(w.journals, 1);
  CHECK_U64(w.replies, 1); /* the join */
  complete(&w);
  CHECK_U64(w.replies, 2);
  CHECK_U64(w.journals, 2);
  complete(&w);
  CHECK_U64(w.replies, 21);
  CHECK_U64(w.journals, 2);
  CHECK_U64(w.tells, 2);
  reopen(&w);
  ask(&w, "crdt.get", "{}");
  CHECK_REPLY(&w, "value", "[0,1,10,11,12,13,14,15,16,17,18,19,2,3,4,5,6,7,8,9]");
  deinit(&w);
}

/* ---- types ---- */

/* What an argument of each kind may be. */
static const char *sample_of(lk_slice kind) {
  static const struct {
    lk_slice kind;
    const char *sample;
  } rows[] = { { LK_LIT_INIT("u64"), "3" },
               { LK_LIT_INIT("u32"), "0" },
               { LK_LIT_INIT("json"), "{\"a\":[1,\"<&>\"]}" },
               { LK_LIT_INIT("text"), "\"some\"" },
               { LK_LIT_INIT("actor"), "\"bob\"" } };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (lk_slice_equal(rows[i].kind, kind)) return rows[i].sample;
  }
  return NULL;
}

typedef struct operation {
  char event[40];
  char payload[300];   /* an envelope */
  char arguments[200]; /* of lk_crdt_apply() */
  lk_slice name;
} operation;

/* The operation behind |rest|, with an argument for each of its kinds. */
static bool next_operation(lk_slice *rest, operation *out) {
  lk_slice inside, behind, kind, one = lk_slice_trim(lk_slice_cut(*rest, ';', rest));
  char members[150] = "", list[150] = "";
  if (one.len == 0) return false;
  out->name = lk_slice_cut(one, '(', &inside);
  inside = lk_slice_cut(inside, ')', &behind);
  for (bool first = true; inside.len > 0; first = false) {
    lk_slice argument = lk_slice_trim(lk_slice_cut(inside, ',', &inside));
    lk_slice name = lk_slice_trim(lk_slice_cut(argument, ':', &kind));
    const char *sample = sample_of(lk_slice_trim(kind));
    CHECK(sample != NULL);
    size_t at = strlen(members), to = strlen(list);
    (void)snprintf(members + at, sizeof members - at, "%s\"%.*s\":%s", first ? "" : ",",
                   (int)name.len, (const char *)name.ptr, sample);
    (void)snprintf(list + to, sizeof list - to, "%s%s", first ? "" : ",", sample);
  }
  (void)snprintf(out->event, sizeof out->event, "crdt.%.*s", (int)out->name.len,
                 (const char *)out->name.ptr);
  (void)snprintf(
      out->payload, sizeof out->payload,
      "{\"type\":\"%s\",\"payload\":{%s},\"request_id\":null,\"timestamp\":1700000000000}",
      out->event, members);
  (void)snprintf(out->arguments, sizeof out->arguments, "[%s]", list);
  return true;
}

/* Runs |it| in the room and on |model|; both have then the same value. */
static void run_in_both(world *w, lk_crdt *model, const operation *it) {
  lk_buf value;
  lk_crdt_op op = { .actor = LK_LIT("model"), .now_ms = 5 };
  lk_buf_init(&value, test_alloc(), 10000);
  CHECK_OK(lk_crdt_apply(model, &op, it->name, lk_slice_cstr(it->arguments)));
  test_note("%s %s", it->event, it->payload);
  ask(w, it->event, it->payload);
  CHECK(w->reply_ok);
  CHECK_OK(lk_crdt_value(model, LK_SLICE_EMPTY, &value));
  lk_slice want = lk_buf_slice(&value);
  if (want.ptr[0] == '"') want = lk_slice_of(want.ptr + 1, want.len - 2);
  if (lk_crdt_get_kind(model) != LK_CRDT_BCOUNTER) /* which shows who may spend */
    CHECK_SLICE(member_of(&w->reply, "value"), want);
  lk_buf_deinit(&value);
}

/* Goal: every operation of the catalogue works over the wire, a new type's too. Method: the first operation of a type
 * puts something there, twice; then all of them, each with a sample for each of its arguments. */
TEST(every_operation_of_every_type_works_over_the_wire) {
  const lk_crdt_type *type;
  for (size_t i = 0; (type = lk_crdt_type_at(i)) != NULL; i++) {
    world w;
    lk_crdt *model;
    operation it;
    char params[40];
    lk_slice rest = lk_crdt_operations_of(type), first = rest;
    init(&w);
    (void)snprintf(params, sizeof params, "{\"type\":\"%s\"}", type->name);
    join(&w, params);
    CHECK_SLICE(member_of(&w.reply, "type"), lk_slice_cstr(type->name));
    CHECK_OK(lk_crdt_open(&w.env, (lk_crdt_kind)type->number, &model));
    CHECK(next_operation(&first, &it));
    for (int n = 0; n < 4; n++) run_in_both(&w, model, &it);
    while (next_operation(&rest, &it)) {
      run_in_both(&w, model, &it);
      CHECK(type->number == LK_CRDT_ORMAP || w.journals > 0);
    }
    reopen(&w);
    ask(&w, "crdt.get", "{}");
    CHECK(w.reply_ok);
    lk_crdt_close(model);
    deinit(&w);
  }
}

/* Method: what is pushed on catching up has all, though of the change nobody was told anew. */
TEST(a_member_that_reads_too_slowly_is_passed_by_and_then_told_all) {
  world w;
  init(&w);
  join(&w, "{}");
  step(&w, (lk_room_input){ .kind = LK_ROOM_LAG, .member = 7 });
  CHECK_U64(w.skips, 1);
  ask(&w, "crdt.increment", "{\"payload\":{\"amount\":41}}");
  uint64_t tells = w.tells;
  keep(&w.told, LK_SLICE_EMPTY);
  step(&w, (lk_room_input){ .kind = LK_ROOM_CATCH_UP, .member = 7 });
  CHECK_COVERED(crdt_room_catches_up);
  CHECK_U64(w.tells, tells + 1);
  CHECK_TOLD(&w, "value", "41");
  CHECK(member_of(&w.told, "delta").len > 0);
  CHECK_U64(w.resumes, 1);
  deinit(&w);
}

TEST(the_payload_may_come_without_an_envelope) {
  world w;
  init(&w);
  join(&w, "{\"type\":\"list\"}");
  ask(&w, "crdt.insert", "{\"index\":0,\"value\":\"b\"}");
  ask(&w, "crdt.insert", "{\"value\":\"a\",\"index\":0}");
  CHECK_REPLY(&w, "value", "[\"a\",\"b\"]");
  ask(&w, "crdt.move", "{\"from\":0,\"to\":1}");
  CHECK_REPLY(&w, "value", "[\"b\",\"a\"]");
  deinit(&w);
}

TEST(the_first_clients_increment_counts_one) {
  world w;
  init(&w);
  join(&w, "{}");
  ask(&w, "increment", "{\"node_id\":\"ann\"}");
  ask(&w, "increment", "{\"node_id\":\"ann\",\"amount\":2}");
  CHECK_REPLY(&w, "value", "3");
  deinit(&w);
}

TEST(what_is_in_a_map_is_reached_by_a_path) {
  world w;
  init(&w);
  join(&w, "{\"type\":\"ormap\"}");
  ask(&w, "crdt.set",
      "{\"payload\":{\"at\":[[\"ormap\",\"a\"],[\"lww\",\"title\"]],\"value\":\"x\"}}");
  ask(&w, "crdt.increment", "{\"payload\":{\"at\":[[\"pncounter\",\"likes\"]],\"amount\":2}}");
  CHECK_REPLY(&w, "value", "{\"a\":{\"title\":\"x\"},\"likes\":2}");
  ask(&w, "crdt.remove", "{\"payload\":{\"key\":\"a\"}}");
  CHECK_REPLY(&w, "value", "{\"likes\":2}");
  deinit(&w);
}

TEST(an_object_keeps_its_type) {
  world w;
  init(&w);
  join(&w, "{\"type\":\"orset\"}");
  join(&w, "{}");
  CHECK_REPLY(&w, "type", "orset");
  join(&w, "{\"type\":\"lww\"}");
  check_refused(&w, "type_mismatch", "type");
  CHECK_COVERED(crdt_room_type_mismatch);
  join(&w, "{\"type\":\"nonsense\"}");
  check_refused(&w, "LK_ERR_UNKNOWN_TYPE", "type");
  join(&w, "{\"type\":5}");
  check_refused(&w, "LK_ERR_PAYLOAD", "type");
  ask(&w, "crdt.add", "{\"element\":1}");
  reopen(&w);
  join(&w, "{\"type\":\"gcounter\"}");
  check_refused(&w, "type_mismatch", "type");
  join(&w, "\"no object\"");
  CHECK_REPLY(&w, "type", "orset");
  deinit(&w);
}

/* Goal: who has left a key without changing it leaves nothing behind; nor does a question. */
TEST(an_object_that_nobody_changed_takes_any_type) {
  world w;
  init(&w);
  ask(&w, "crdt.get", "{}");
  CHECK_REPLY(&w, "value", "0");
  join(&w, "{\"type\":\"orset\"}");
  CHECK(w.reply_ok);
  leave(&w);
  join(&w, "{\"type\":\"lww\"}");
  CHECK(w.reply_ok);
  join(&w, "{\"type\":\"orset\"}");
  check_refused(&w, "type_mismatch", "type");
  deinit(&w);
}

/* Goal: a member that comes back to a room which has become something else hears of it. */
TEST(a_restored_member_makes_the_room_what_it_was) {
  world w;
  lk_room_effect effect;
  init(&w);
  step(&w, (lk_room_input){
               .kind = LK_ROOM_RESTORE, .member = 7, .payload = LK_LIT("{\"type\":\"gset\"}") });
  CHECK_TEXT(lk_buf_slice(&w.told), "{\"value\":[],\"delta\":\"BAEAAAAA\"}");
  const lk_room_input other = { .kind = LK_ROOM_RESTORE,
                                .member = 8,
                                .payload = LK_LIT("{\"type\":\"lww\"}") };
  CHECK_OK(w.kind->step(w.room, &other));
  CHECK(w.kind->poll(w.room, &effect));
  CHECK(effect.kind == LK_ROOM_PUSH && effect.member == 8);
  CHECK_TEXT(effect.event, "phx_error");
  drain(&w);
  deinit(&w);
}

/* ---- refusals ---- */

TEST(what_is_wrong_is_named_and_changes_nothing) {
  static const struct {
    const char *type, *event, *payload, *reason, *field;
  } rows[] = {
    { "gcounter", "crdt.increment", "{}", "LK_ERR_PAYLOAD", "payload.amount" },
    { "gcounter", "crdt.increment", "{\"payload\":{\"amount\":0}}", "LK_ERR_RANGE",
      "payload.amount" },
    { "gcounter", "crdt.increment", "{\"payload\":{\"amount\":-1}}", "LK_ERR_RANGE",
      "payload.amount" },
    { "gcounter", "crdt.increment", "{\"amount\":\"1\"}", "LK_ERR_PAYLOAD", "payload.amount" },
    { "gcounter", "crdt.increment", "{\"payload\":7}", "LK_ERR_PAYLOAD", "payload" },
    { "gcounter", "crdt.increment", "[]", "LK_ERR_PAYLOAD", "payload" },
    { "gcounter", "crdt.increment", "{\"payload\":{\"amount\":1,\"node_id\":5}}", "LK_ERR_PAYLOAD",
      "payload.node_id" },
    { "gcounter", "crdt.increment",
      "{\"payload\":{\"amount\":1,\"node_id\":"
      "\"0123456789012345678901234567890123456789012345678\"}}",
      "LK_ERR_ACTOR", "payload.node_id" },
    { "gcounter", "crdt.increment", "{\"type\":\"crdt.add\",\"payload\":{\"amount\":1}}",
      "LK_ERR_PAYLOAD", "type" },
    { "gcounter", "crdt.increment", "{\"payload\":{\"amount\":1},\"request_id\":5}",
      "LK_ERR_PAYLOAD", "request_id" },
    { "gcounter", "crdt.increment", "{\"payload\":{\"amount\":1},\"timestamp\":\"now\"}",
      "LK_ERR_PAYLOAD", "timestamp" },
    { "lww", "crdt.set", "{\"payload\":{\"value\":1},\"timestamp\":9000000000000000}",
      "LK_ERR_CLOCK", "timestamp" },
    { "gcounter", "crdt.add", "{\"payload\":{\"element\":1}}", "LK_ERR_UNKNOWN_OP", "type" },
    { "gcounter", "crdt.explode", "{}", "LK_ERR_UNKNOWN_EVENT", "" },
    { "gcounter", "add", "{}", "LK_ERR_UNKNOWN_EVENT", "" },
    { "orset", "increment", "{}", "LK_ERR_UNKNOWN_OP", "type" },
    { "gcounter", "crdt.merge", "{\"counts\":{\"\":1}}", "LK_ERR_ACTOR", "counts" },
    { "gcounter", "crdt.merge", "{\"delta\":\"????\"}", "LK_ERR_SYNTAX", "delta" },
    { "gcounter", "crdt.merge", "{\"delta\":\"BQEAAAAA\"}", "LK_ERR_TYPE", "delta" },
    { "gcounter", "crdt.merge", "{\"state\":{\"type\":\"orset\"}}", "LK_ERR_TYPE", "state" },
    { "orset", "crdt.add", "{\"payload\":{}}", "LK_ERR_PAYLOAD", "payload.element" },
    { "list", "crdt.insert", "{\"index\":1,\"value\":1}", "LK_ERR_RANGE", "payload.index" },
    { "list", "crdt.insert", "{\"index\":4294967296,\"value\":1}", "LK_ERR_RANGE",
      "payload.index" },
    { "list", "crdt.insert", "{\"index\":0}", "LK_ERR_PAYLOAD", "payload.value" },
    { "text", "crdt.insert", "{\"index\":0,\"text\":5}", "LK_ERR_PAYLOAD", "payload.text" },
    { "bcounter", "crdt.decrement", "{\"amount\":1}", "LK_ERR_RIGHTS", "payload.amount" },
    { "bcounter", "crdt.transfer", "{\"amount\":1,\"to\":\"\"}", "LK_ERR_ACTOR", "payload.to" },
    { "lww", "crdt.set", "{\"at\":[[\"lww\",\"x\"]],\"value\":1}", "LK_ERR_TYPE", "payload.at" },
    { "ormap", "crdt.set", "{\"at\":\"x\",\"value\":1}", "LK_ERR_PAYLOAD", "payload.at" },
    { "ormap", "crdt.set", "{\"at\":[[\"nothing\",\"x\"]],\"value\":1}", "LK_ERR_UNKNOWN_TYPE",
      "payload.at" },
    { "ormap", "crdt.set", "{\"at\":[[\"lww\"]],\"value\":1}", "LK_ERR_PAYLOAD", "payload.at" },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    world w;
    char params[40];
    init(&w);
    test_note("row %zu: %s %s", i, rows[i].event, rows[i].payload);
    (void)snprintf(params, sizeof params, "{\"type\":\"%s\"}", rows[i].type);
    join(&w, params);
    ask(&w, rows[i].event, rows[i].payload);
    check_refused(&w, rows[i].reason, rows[i].field);
    CHECK_U64(w.journals, 0);
    CHECK_U64(w.tells, 0);
    deinit(&w);
  }
}

TEST(a_counter_that_would_pass_64_bits_is_refused) {
  world w;
  init(&w);
  join(&w, "{}");
  ask(&w, "crdt.increment", "{\"amount\":18446744073709551615}");
  CHECK(w.reply_ok);
  ask(&w, "crdt.increment", "{\"amount\":1,\"node_id\":\"b\"}");
  check_refused(&w, "LK_ERR_OVERFLOW", "payload.amount");
  ask(&w, "crdt.get", "{}");
  CHECK_REPLY(&w, "value", "18446744073709551615");
  deinit(&w);
}

TEST(who_may_only_read_changes_nothing) {
  world w;
  init(&w);
  w.rights = LK_RIGHTS_READ;
  join(&w, "{}");
  CHECK(w.reply_ok);
  ask(&w, "crdt.increment", "{\"amount\":1}");
  check_refused(&w, "read_only", "");
  ask(&w, "crdt.merge", "{\"counts\":{\"x\":3}}");
  check_refused(&w, "read_only", "");
  ask(&w, "crdt.get", "{}");
  CHECK_REPLY(&w, "value", "0");
  ask(&w, "crdt.subscribe", "{}");
  CHECK_REPLY(&w, "value", "0");
  ask(&w, "render", "{}");
  CHECK(w.reply_ok);
  CHECK_U64(w.journals, 0);
  deinit(&w);
}

/* ---- once ---- */

TEST(a_command_is_executed_once_under_its_request_id) {
  world w;
  init(&w);
  join(&w, "{}");
  for (int i = 0; i < 3; i++) {
    ask(&w, "crdt.increment", "{\"payload\":{\"amount\":5},\"request_id\":\"r\",\"timestamp\":1}");
    CHECK_REPLY(&w, "value", "5");
  }
  CHECK_U64(w.journals, 1);
  /* Over a reconnect, a restart from records, and one from a snapshot. */
  leave(&w);
  join(&w, "{}");
  ask(&w, "crdt.increment", "{\"payload\":{\"amount\":5},\"request_id\":\"r\",\"timestamp\":2}");
  CHECK_REPLY(&w, "value", "5");
  reopen(&w);
  ask(&w, "crdt.increment", "{\"payload\":{\"amount\":5},\"request_id\":\"r\"}");
  CHECK_REPLY(&w, "value", "5");
  take_snapshot(&w);
  reopen(&w);
  ask(&w, "crdt.increment", "{\"payload\":{\"amount\":5},\"request_id\":\"r\"}");
  CHECK_REPLY(&w, "value", "5");
  ask(&w, "crdt.increment", "{\"payload\":{\"amount\":6},\"request_id\":\"r\"}");
  check_refused(&w, "LK_ERR_EXISTS", "request_id");
  ask(&w, "crdt.increment", "{\"payload\":{\"amount\":5},\"request_id\":\"s\"}");
  CHECK_REPLY(&w, "value", "10");
  deinit(&w);
}

/* Goal: the repeated one is answered when the first one's record is durable, and not before. */
TEST(a_repeated_command_waits_for_the_first_ones_record) {
  world w;
  init(&w);
  join(&w, "{}");
  for (int i = 0; i < 2; i++)
    say(&w, "crdt.increment", "{\"payload\":{\"amount\":5},\"request_id\":\"r\"}");
  CHECK_U64(w.replies, 1);
  complete(&w);
  CHECK_U64(w.replies, 3);
  CHECK_REPLY(&w, "value", "5");
  CHECK_U64(w.journals, 1);
  deinit(&w);
}

/* Goal: what was acknowledged without effect has none later: a remove must not come true when it is repeated. */
TEST(a_command_that_changed_nothing_is_remembered_too) {
  world w;
  init(&w);
  join(&w, "{\"type\":\"orset\"}");
  ask(&w, "crdt.remove", "{\"payload\":{\"element\":1},\"request_id\":\"r\"}");
  CHECK(w.reply_ok);
  CHECK_U64(w.tells, 0);
  ask(&w, "crdt.add", "{\"payload\":{\"element\":1}}");
  reopen(&w);
  ask(&w, "crdt.remove", "{\"payload\":{\"element\":1},\"request_id\":\"r\"}");
  CHECK_REPLY(&w, "value", "[1]");
  CHECK_U64(w.journals, 2);
  ask(&w, "crdt.remove", "{\"payload\":{\"element\":2}}"); /* nobody wants that remembered */
  CHECK_U64(w.journals, 2);
  deinit(&w);
}

/* Goal: the memory of requests is bounded, also by what is under way, and a snapshot has none that is not durable. */
TEST(requests_beyond_the_limit_are_forgotten_oldest_first) {
  world w;
  char payload[100];
  init(&w);
  w.kind->close(w.room);
  w.limits.room_requests_count = 4;
  open_room(&w);
  join(&w, "{}");
  for (int i = 0; i < 6; i++) {
    (void)snprintf(payload, sizeof payload, "{\"payload\":{\"amount\":1},\"request_id\":\"%d\"}",
                   i);
    say(&w, "crdt.increment", payload);
  }
  CHECK_COVERED(crdt_room_forgets_a_request);
  take_snapshot(&w);
  complete_all(&w);
  reopen(&w);
  for (int i = 5; i >= 2; i--) {
    (void)snprintf(payload, sizeof payload, "{\"payload\":{\"amount\":1},\"request_id\":\"%d\"}",
                   i);
    ask(&w, "crdt.increment", payload);
    CHECK_REPLY(&w, "value", "6");
  }
  ask(&w, "crdt.increment", "{\"payload\":{\"amount\":1},\"request_id\":\"0\"}");
  CHECK_REPLY(&w, "value", "7");
  deinit(&w);
}

/* Goal: a snapshot that is taken while a command is under way does not claim it. Method: its record is lost then. */
TEST(a_snapshot_knows_no_request_whose_record_is_not_durable) {
  world w;
  init(&w);
  join(&w, "{}");
  ask(&w, "crdt.increment", "{\"payload\":{\"amount\":1},\"request_id\":\"a\"}");
  say(&w, "crdt.increment", "{\"payload\":{\"amount\":1},\"request_id\":\"b\"}");
  say(&w, "crdt.increment", "{\"payload\":{\"amount\":1},\"request_id\":\"c\"}");
  take_snapshot(&w);
  reopen(&w);
  ask(&w, "crdt.increment", "{\"payload\":{\"amount\":1},\"request_id\":\"c\"}");
  CHECK_REPLY(&w, "value", "2");
  ask(&w, "crdt.increment", "{\"payload\":{\"amount\":1},\"request_id\":\"b\"}");
  ask(&w, "crdt.increment", "{\"payload\":{\"amount\":1},\"request_id\":\"a\"}");
  CHECK_REPLY(&w, "value", "3");
  deinit(&w);
}

TEST(what_the_house_says_is_applied_is_answered_and_not_done_again) {
  world w;
  init(&w);
  join(&w, "{}");
  step(&w, (lk_room_input){ .kind = LK_ROOM_MESSAGE,
                            .member = 1,
                            .request = 2,
                            .event = LK_LIT("crdt.increment"),
                            .payload = LK_LIT("{\"amount\":5}"),
                            .applied = true });
  CHECK_REPLY(&w, "value", "0");
  CHECK_U64(w.journals, 0);
  deinit(&w);
}

/* ---- replica ids ---- */

TEST(the_room_counts_under_one_name_of_its_own_and_labels) {
  world w;
  init(&w);
  join(&w, "{}");
  ask(&w, "crdt.increment", "{\"amount\":1}");
  ask(&w, "crdt.increment", "{\"amount\":2,\"node_id\":\"ann\"}");
  ask(&w, "crdt.increment", "{\"payload\":{\"amount\":3},\"node_id\":\"ann\"}");
  reopen(&w);
  take_snapshot(&w);
  reopen(&w);
  ask(&w, "crdt.increment", "{\"amount\":1}");
  ask(&w, "crdt.get", "{}");
  CHECK_REPLY(&w, "counts", "{\"room-0000000000000002\":2,\"room-0000000000000002:ann\":5}");
  w.intact = false;
  reopen(&w);
  ask(&w, "crdt.increment", "{\"amount\":1}");
  w.intact = true;
  reopen(&w); /* the newer name stays, whatever the order of their bytes */
  ask(&w, "crdt.increment", "{\"amount\":1}");
  ask(&w, "crdt.get", "{}");
  CHECK(lk_slice_find(member_of(&w.reply, "counts"), LK_LIT("\":2,\"room-0000000000000002:ann")) !=
        LK_SLICE_NONE);
  CHECK_REPLY(&w, "value", "9");
  deinit(&w);
}

/* Goal: a merge that claims the room's own numbers swallows no command. Method: somebody brings more of the room's
 * replica than there is; what the room counts next is of another one. */
TEST(who_has_more_of_the_room_than_the_room_makes_it_take_another_name) {
  world w;
  init(&w);
  join(&w, "{}");
  ask(&w, "crdt.increment", "{\"amount\":1}");
  ask(&w, "crdt.merge", "{\"counts\":{\"room-0000000000000002\":1}}");
  ask(&w, "crdt.increment", "{\"amount\":1}");
  ask(&w, "crdt.get", "{}");
  CHECK_REPLY(&w, "counts", "{\"room-0000000000000002\":2}");
  ask(&w, "crdt.merge", "{\"counts\":{\"room-0000000000000002\":40}}");
  CHECK_COVERED(crdt_room_takes_another_name);
  ask(&w, "crdt.increment", "{\"amount\":1}");
  CHECK_REPLY(&w, "value", "41");
  ask(&w, "crdt.merge", "{\"counts\":{\"room-0000000000000002\":41}}");
  CHECK_REPLY(&w, "value", "42");
  deinit(&w);
}

/* ---- merging ---- */

TEST(states_and_deltas_come_in_base64_in_json_and_in_bytes) {
  world w;
  lk_crdt *mine;
  lk_buf delta;
  init(&w);
  join(&w, "{\"type\":\"orset\"}");
  lk_buf_init(&delta, test_alloc(), 10000);
  CHECK_OK(lk_crdt_open(&w.env, LK_CRDT_ORSET, &mine));
  lk_crdt_op op = { .actor = LK_LIT("me"), .delta = &delta };
  CHECK_OK(lk_orset_add(mine, &op, LK_LIT("\"a\"")));
  ask(&w, "crdt.merge", payload_of(lk_buf_slice(&delta)));
  CHECK_REPLY(&w, "value", "[\"a\"]");
  CHECK(member_of(&w.told, "delta").len > 0);
  lk_buf_truncate(&delta, 0);
  CHECK_OK(lk_orset_add(mine, &op, LK_LIT("\"b\"")));
  step(&w, (lk_room_input){ .kind = LK_ROOM_MESSAGE,
                            .member = 1,
                            .request = 3,
                            .event = LK_LIT("crdt.merge"),
                            .payload = lk_buf_slice(&delta),
                            .binary = true });
  complete_all(&w);
  CHECK_REPLY(&w, "value", "[\"a\",\"b\"]");
  ask(&w, "crdt.merge",
      "{\"payload\":{\"delta\":{\"type\":\"orset\",\"known\":{\"x\":[[1,1]]},\"items\":["
      "{\"key\":\"c\",\"facts\":[[\"x\",1]]}]}},\"request_id\":\"r\"}");
  CHECK_REPLY(&w, "value", "[\"a\",\"b\",\"c\"]");
  ask(&w, "crdt.get", "{\"encoding\":\"json\"}");
  CHECK(
      lk_slice_starts_with(member_of(&w.reply, "state"), LK_LIT("{\"type\":\"orset\",\"known\":")));
  ask(&w, "crdt.get", "{\"type\":\"crdt.get\",\"request_id\":\"x\"}");
  CHECK(w.reply_ok);
  merge_text(mine, member_of(&w.reply, "state"));
  lk_buf_truncate(&delta, 0);
  CHECK_OK(lk_crdt_value(mine, LK_SLICE_EMPTY, &delta));
  CHECK_TEXT(lk_buf_slice(&delta), "[\"a\",\"b\",\"c\"]");
  lk_crdt_close(mine);
  lk_buf_deinit(&delta);
  deinit(&w);
}

/* Goal: a replica that sends its whole state for one change makes one change of it. */
TEST(of_a_whole_state_only_what_is_new_is_kept_and_told) {
  world w;
  lk_crdt *mine;
  lk_buf state;
  init(&w);
  join(&w, "{\"type\":\"gset\"}");
  lk_buf_init(&state, test_alloc(), 100000);
  CHECK_OK(lk_crdt_open(&w.env, LK_CRDT_GSET, &mine));
  for (int i = 0; i < 400; i++) {
    char element[40];
    lk_crdt_op op = { .actor = LK_LIT("me") };
    (void)snprintf(element, sizeof element, "\"element number %d\"", i);
    CHECK_OK(lk_gset_add(mine, &op, lk_slice_cstr(element)));
    if (i < 398) continue;
    lk_buf_truncate(&state, 0);
    CHECK_OK(lk_crdt_encode(mine, &state));
    ask(&w, "crdt.merge", payload_of(lk_buf_slice(&state)));
    CHECK(w.reply_ok);
  }
  CHECK_U64(w.journals, 2);
  CHECK(w.records[0].len > 2000);
  CHECK(w.records[1].len < 60);
  CHECK(member_of(&w.told, "delta").len < 80);
  CHECK_U64(member_of(&w.told, "value").len, 0); /* too long to be told each time */
  ask(&w, "crdt.merge", payload_of(lk_buf_slice(&state)));
  CHECK_U64(w.journals, 2);
  lk_crdt_close(mine);
  lk_buf_deinit(&state);
  deinit(&w);
}

/* Goal: a stamp at the end of time would be the last one that anybody can write. */
TEST(a_stamp_that_no_clock_shows_is_refused) {
  world w;
  init(&w);
  join(&w, "{\"type\":\"lww\"}");
  ask(&w, "crdt.merge",
      "{\"delta\":{\"type\":\"lww\",\"known\":{\"x\":[[1,1]]},\"facts\":[[\"x\",1,"
      "{\"ms\":281474976710655,\"count\":0,\"value\":1}]]}}");
  check_refused(&w, "LK_ERR_CLOCK", "delta");
  ask(&w, "crdt.set", "{\"value\":2}");
  CHECK_REPLY(&w, "value", "2");
  deinit(&w);
}

TEST(questions_and_commands_work_without_a_membership) {
  world w;
  init(&w);
  step(&w, (lk_room_input){ .kind = LK_ROOM_QUERY,
                            .member = 9,
                            .request = 2,
                            .event = LK_LIT("crdt.increment"),
                            .payload = LK_LIT("{\"amount\":5}") });
  complete_all(&w);
  CHECK_REPLY(&w, "value", "5");
  step(&w, (lk_room_input){
               .kind = LK_ROOM_QUERY, .member = 9, .request = 3, .event = LK_LIT("crdt.get") });
  CHECK_REPLY(&w, "value", "5");
  deinit(&w);
}

TEST(who_leaves_is_not_answered) {
  world w;
  init(&w);
  join(&w, "{}");
  say(&w, "crdt.increment", "{\"amount\":5}");
  leave(&w);
  complete_all(&w);
  CHECK_U64(w.replies, 1);
  CHECK_U64(w.tells, 1);
  deinit(&w);
}

/* ---- size ---- */

/* Goal: what a room holds fits into the answer to a join, up to the limit and not beyond; what makes it smaller always
 * goes. */
TEST(a_room_is_full_when_newcomers_could_not_be_told_and_can_be_emptied) {
  world w;
  int added = 0;
  char payload[300];
  init(&w);
  w.kind->close(w.room);
  w.limits.ws_output_bytes = 20000;
  open_room(&w);
  join(&w, "{\"type\":\"orset\"}");
  for (; added < 1000; added++) {
    (void)snprintf(payload, sizeof payload, "{\"element\":\"%0100d\"}", added);
    ask(&w, "crdt.add", payload);
    if (!w.reply_ok) break;
  }
  check_refused(&w, "LK_ERR_LIMIT", "payload.element");
  CHECK_COVERED(crdt_room_is_nearly_full);
  CHECK_COVERED(crdt_room_is_full);
  join(&w, "{}");
  CHECK(w.reply.len > 9500 && w.reply.len <= 10000);
  /* A large merge is refused whole. */
  ask(&w, "crdt.merge",
      "{\"delta\":{\"type\":\"orset\",\"known\":{\"x\":[[1,2]]},\"items\":["
      "{\"key\":\"c\",\"facts\":[[\"x\",1]]},{\"key\":\"0000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
      "00000000000000000000000000000000000000000000000000000000000000000000000000000000\","
      "\"facts\":[[\"x\",2]]}]}}");
  check_refused(&w, "LK_ERR_LIMIT", "delta");
  /* And of one that was opened with a lower limit than it was filled with. */
  w.limits.ws_output_bytes = 8000;
  reopen(&w);
  for (int i = 0; i < added; i++) {
    (void)snprintf(payload, sizeof payload, "{\"element\":\"%0100d\"}", i);
    ask(&w, "crdt.remove", payload);
    CHECK(w.reply_ok);
  }
  ask(&w, "crdt.get", "{}");
  CHECK_REPLY(&w, "value", "[]");
  deinit(&w);
}

/* Goal: a room at rest is small. Method: every byte that it has, counted. */
static size_t counted_bytes;
static void *counted_resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  const lk_alloc *inner = ctx;
  void *made = inner->resize(inner->ctx, ptr, old_size, new_size);
  if (made != NULL || new_size == 0) counted_bytes += new_size - old_size;
  return made;
}

TEST(a_small_room_at_rest_is_small) {
  world w;
  const lk_alloc counting = { counted_resize, (void *)(uintptr_t)test_alloc() };
  init(&w);
  w.kind->close(w.room);
  counted_bytes = 0;
  w.env.alloc = &counting;
  open_room(&w);
  join(&w, "{\"type\":\"orset\"}");
  for (int i = 0; i < 5; i++) {
    char payload[60];
    (void)snprintf(payload, sizeof payload, "{\"element\":\"number %d\"}", i);
    ask(&w, "crdt.add", payload);
  }
  test_note("%zu bytes", counted_bytes);
  CHECK(counted_bytes < 4600);
  /* And smaller when nothing happens any more; yet it is all there. */
  w.later_ms = 1000;
  ask(&w, "crdt.get", "{}");
  w.later_ms = 4999; /* the timer of the first input */
  step(&w, (lk_room_input){ .kind = LK_ROOM_TICK });
  CHECK(counted_bytes > 2000);
  w.later_ms = 7000;
  step(&w, (lk_room_input){ .kind = LK_ROOM_TICK });
  test_note("%zu bytes packed", counted_bytes);
  CHECK(counted_bytes < 1024);
  step(&w, (lk_room_input){ .kind = LK_ROOM_TICK });
  ask(&w, "crdt.add", "{\"element\":\"number 5\"}");
  CHECK_REPLY(&w, "value",
              "[\"number 0\",\"number 1\",\"number 2\",\"number 3\",\"number 4\",\"number 5\"]");
  CHECK_COVERED(crdt_room_unpacks);
  deinit(&w);
  CHECK_U64(counted_bytes, 0);
}

/* ---- the first clients' words ---- */

/* By the alias counter:<id> of crdt:<id>. */
static void join_as_counter(world *w, const char *params) {
  step(w, (lk_room_input){ .kind = LK_ROOM_JOIN,
                           .member = 2,
                           .event = LK_LIT("counter:a"),
                           .payload = lk_slice_cstr(params) });
}

TEST(who_comes_by_the_first_clients_name_is_spoken_to_in_their_words) {
  world w;
  init(&w);
  join_as_counter(&w, "{}");
  CHECK_REPLY(&w, "state", "{\"value\":0,\"counts\":{}}");
  ask(&w, "increment", "{\"node_id\":\"ann\"}");
  CHECK_REPLY(&w, "value", "1");
  CHECK_TOLD(&w, "counts", "{\"room-0000000000000002:ann\":1}");
  ask(&w, "increment", "{\"node_id\":\"bob\",\"amount\":4}");
  CHECK_TOLD(&w, "value", "5");
  CHECK_TOLD(&w, "counts", "{\"room-0000000000000002:ann\":1,\"room-0000000000000002:bob\":4}");
  join_as_counter(&w, "{\"type\":\"orset\"}");
  check_refused(&w, "type_mismatch", "type");
  deinit(&w);
}

/* Goal: counter:a and crdt:a are one object, and each is told of it as it always was. */
TEST(both_names_of_a_counter_are_of_one_object) {
  world w;
  init(&w);
  join(&w, "{}");
  ask(&w, "crdt.increment", "{\"amount\":2,\"node_id\":\"ann\"}");
  ask(&w, "crdt.increment", "{\"amount\":1,\"node_id\":\"bob\"}");
  CHECK_TOLD(&w, "counts", "{\"room-0000000000000002:bob\":1}"); /* what changed */
  join_as_counter(&w, "{}");
  CHECK_REPLY(&w, "state",
              "{\"value\":3,\"counts\":{\"room-0000000000000002:ann\":2,"
              "\"room-0000000000000002:bob\":1}}");
  join(&w, "{}");
  CHECK(lk_slice_starts_with(member_of(&w.reply, "state"), LK_LIT("AQE"))); /* in base64 */
  ask(&w, "increment", "{\"node_id\":\"bob\"}");
  CHECK_TOLD(&w, "counts", "{\"room-0000000000000002:ann\":2,\"room-0000000000000002:bob\":2}");
  step(&w, (lk_room_input){ .kind = LK_ROOM_RESTORE, .member = 3, .event = LK_LIT("counter:a") });
  CHECK_TOLD(&w, "value", "4");
  CHECK_TOLD(&w, "delta", "");
  for (uint64_t i = 0; i < 4; i++)
    step(&w, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = 1 + i });
  join(&w, "{}");
  ask(&w, "crdt.increment", "{\"amount\":1,\"node_id\":\"bob\"}");
  CHECK_TOLD(&w, "counts", "{\"room-0000000000000002:bob\":3}");
  deinit(&w);
}

TEST(the_first_clients_see_the_value_of_a_counter_of_another_type_and_nothing_else) {
  world w;
  init(&w);
  join(&w, "{\"type\":\"pncounter\"}");
  ask(&w, "crdt.decrement", "{\"amount\":2}");
  join_as_counter(&w, "{}");
  CHECK_REPLY(&w, "state", "{\"value\":-2}");
  ask(&w, "increment", "{\"node_id\":\"ann\"}");
  CHECK_TOLD(&w, "value", "-1");
  deinit(&w);
  init(&w);
  join(&w, "{\"type\":\"orset\"}");
  join_as_counter(&w, "{}");
  check_refused(&w, "type_mismatch", "type");
  deinit(&w);
}

/* ---- pages ---- */

TEST(a_page_shows_any_value_and_lets_nothing_out) {
  static const struct {
    const char *type, *event, *payload, *html;
  } rows[] = {
    { "gcounter", "crdt.increment", "{\"amount\":8}",
      "<output aria-live=\"polite\">8</output><form method=\"post\"><label>Amount <input "
      "name=\"amount\" "
      "type=\"number\" min=\"1\" step=\"1\" value=\"1\" required></label> "
      "<button type=\"submit\">Add</button></form>" },
    { "lww", "crdt.set", "{\"value\":{\"a\\\"<\":[true,null,{}],\"b\":\"<script>&'\\u0001\\r\"}}",
      "<dl><dt>a&quot;&lt;</dt><dd><ul><li>true</li><li>null</li><li><dl></dl></li></ul></dd>"
      "<dt>b</dt><dd>&lt;script&gt;&amp;&#39;\xEF\xBF\xBD&#13;</dd></dl>" },
    { "text", "crdt.insert", "{\"index\":0,\"text\":\"a\\n<b>\"}", "<pre>\na\n&lt;b&gt;</pre>" },
    { "list", "crdt.insert", "{\"index\":0,\"value\":[1]}",
      "<ol><li><ul><li>1</li></ul></li></ol>" },
    { "ewflag", "crdt.enable", "{}", "<output aria-live=\"polite\">true</output>" },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    world w;
    char params[40], want[500];
    init(&w);
    (void)snprintf(params, sizeof params, "{\"type\":\"%s\"}", rows[i].type);
    (void)snprintf(want, sizeof want,
                   "<section aria-label=\"a\" data-type=\"%s\"><h1>a</h1>%s</section>",
                   rows[i].type, rows[i].html);
    join(&w, params);
    ask(&w, rows[i].event, rows[i].payload);
    ask(&w, "render", "{}");
    CHECK_SLICE(member_of(&w.reply, "html"), lk_slice_cstr(want));
    deinit(&w);
  }
}

TEST(a_page_that_would_be_too_long_ends_whole) {
  world w;
  char payload[300];
  init(&w);
  w.kind->close(w.room);
  w.limits.ws_output_bytes = 20000;
  open_room(&w);
  join(&w, "{\"type\":\"ormap\"}");
  for (int i = 0; i == 0 || w.reply_ok; i++) {
    (void)snprintf(payload, sizeof payload,
                   "{\"at\":[[\"orset\",\"k%d\"]],\"element\":\"%030d<<<<<<<<<\"}", i, i);
    ask(&w, "crdt.add", payload);
  }
  ask(&w, "render", "{}");
  lk_slice html = member_of(&w.reply, "html");
  CHECK(html.len > 4000 && html.len < 6000);
  CHECK(lk_slice_ends_with(html,
                           LK_LIT("</dd></dl><p>There is more than is shown here.</p></section>")));
  deinit(&w);
}

/* ---- without memory ---- */

/* Everything that a room does, once. */
static lk_err live(const lk_alloc *alloc, lk_slice snapshot) {
  static const struct {
    lk_room_input_kind kind;
    const char *event, *payload;
  } inputs[] = {
    { LK_ROOM_JOIN, "", "{\"type\":\"ormap\"}" },
    { LK_ROOM_MESSAGE, "crdt.set",
      "{\"payload\":{\"at\":[[\"lww\",\"t\"]],\"value\":\"x\\n\"},\"request_id\":\"a\"}" },
    { LK_ROOM_MESSAGE, "crdt.insert", "{\"at\":[[\"list\",\"l\"]],\"index\":0,\"value\":[1,2]}" },
    { LK_ROOM_MESSAGE, "crdt.merge",
      "{\"delta\":{\"type\":\"ormap\",\"known\":{\"x\":[[1,1]]},\"items\":[{\"type\":\"orset\","
      "\"key\":\"s\","
      "\"items\":[{\"key\":\"c\",\"facts\":[[\"x\",1]]}]}]}}" },
    { LK_ROOM_JOURNALED, "", "" },
    { LK_ROOM_MESSAGE, "crdt.remove", "{\"key\":7}" },
    { LK_ROOM_SNAPSHOT, "", "" },
    { LK_ROOM_MESSAGE, "render", "{}" },
    { LK_ROOM_RESTORE, "", "{\"encoding\":\"json\"}" },
    { LK_ROOM_MESSAGE, "crdt.get", "{}" },
    { LK_ROOM_JOURNALED, "", "" },
    { LK_ROOM_TICK, "", "" },
    { LK_ROOM_MESSAGE, "crdt.get", "{}" },
    { LK_ROOM_LEAVE, "", "" },
  };
  const lk_env env = LK_ENV_INIT(alloc, NULL);
  lk_limits limits = lk_limits_default();
  lk_room *room;
  lk_room_effect effect;
  uint64_t tickets = 0;
  limits.ws_output_bytes = 4000; /* so that changes are tried in a copy */
  const lk_room_options options = { .env = &env,
                                    .limits = &limits,
                                    .topic = LK_LIT("crdt:a"),
                                    .recovered = snapshot,
                                    .intact = true,
                                    .level = LK_LIT("memory") };
  lk_err err = lk_crdt_room_kind.open(&options, &room);
  if (err != LK_OK) return err;
  for (size_t i = 0; err == LK_OK && i < sizeof inputs / sizeof inputs[0]; i++) {
    const lk_room_input input = { .kind = inputs[i].kind,
                                  .member = 1,
                                  .request = i + 1,
                                  .entropy = 5,
                                  .now_ms = inputs[i].kind == LK_ROOM_TICK ? 9000 : 0,
                                  .ticket = inputs[i].kind == LK_ROOM_JOURNALED ? ++tickets : 0,
                                  .event = lk_slice_cstr(inputs[i].event),
                                  .payload = lk_slice_cstr(inputs[i].payload),
                                  .rights = LK_RIGHTS_WRITE };
    err = lk_crdt_room_kind.step(room, &input);
    while (err == LK_OK && lk_crdt_room_kind.poll(room, &effect)) {}
  }
  lk_crdt_room_kind.close(room);
  return err;
}

TEST(without_memory_a_room_ends_and_leaves_nothing) {
  world w;
  init(&w);
  join(&w, "{\"type\":\"ormap\"}");
  ask(&w, "crdt.set", "{\"payload\":{\"at\":[[\"lww\",\"u\"]],\"value\":1},\"request_id\":\"b\"}");
  take_snapshot(&w);
  FAULT_LOOP(faults, test_alloc()) {
    lk_err err = live(faulty_alloc(&faults), lk_buf_slice(&w.snapshot));
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    CHECK((err == LK_OK) == !faults.hit || !faults.lasting);
  }
  deinit(&w);
}

/* ---- histories ---- */

#define REPLICAS 3

typedef struct history {
  world w;
  lk_crdt *told; /* all that the room has told anybody */
  lk_crdt *replicas[REPLICAS];
  lk_buf unsent[REPLICAS]; /* what the room has not confirmed */
  uint32_t commands;       /* that were executed: their ids are numbers from 0 */
  uint32_t ids;
  const lk_crdt_type *type;
} history;

/* An operation with drawn arguments that may be wrong. */
static void draw(lk_gen *g, const history *h, operation *out) {
  lk_slice rest = lk_crdt_operations_of(h->type);
  uint32_t count = 1;
  for (size_t i = 0; i < rest.len; i++) count += rest.ptr[i] == ';';
  for (uint32_t left = gen_below(g, count); next_operation(&rest, out) && left > 0; left--) {}
}

/* Merges what the room said last. */
static void hear(history *h) {
  lk_slice delta = member_of(&h->w.told, "delta");
  if (delta.len > 0) merge_text(h->told, delta);
}

static void complete_and_hear(history *h) {
  uint64_t tells = h->w.tells;
  complete(&h->w);
  if (h->w.tells > tells) hear(h);
}

static void check_told_is_kept(history *h) {
  lk_crdt *kept;
  CHECK_OK(lk_crdt_open(&h->w.env, (lk_crdt_kind)h->type->number, &kept));
  ask(&h->w, "crdt.get", "{}");
  merge_text(kept, member_of(&h->w.reply, "state"));
  lk_crdt_order order = lk_crdt_compare(h->told, kept);
  CHECK(order == LK_CRDT_EQUAL || order == LK_CRDT_BEFORE);
  merge_text(h->told, member_of(&h->w.reply, "state"));
  lk_crdt_close(kept);
}

/* The process dies; the record under way may or may not have reached the disk. */
static void crash(lk_gen *g, history *h) {
  if (h->w.ticket != 0 && gen_bool(g)) h->w.records_count++;
  if (gen_chance(g, 1, 8)) h->w.intact = false;
  reopen(&h->w);
  h->w.intact = true;
  check_told_is_kept(h);
}

static void command(lk_gen *g, history *h) {
  operation it;
  char payload[300];
  draw(g, h, &it);
  (void)snprintf(payload, sizeof payload, "%.*s,\"request_id\":\"%u\"}",
                 (int)strlen(it.payload) - 1, it.payload, gen_below(g, ++h->ids));
  say(&h->w, it.event, payload);
}

static void change_replica(lk_gen *g, history *h, uint32_t i) {
  static const lk_slice names[REPLICAS] = { LK_LIT_INIT("p"), LK_LIT_INIT("q"), LK_LIT_INIT("r") };
  operation it;
  lk_buf delta;
  draw(g, h, &it);
  lk_buf_init(&delta, test_alloc(), 1 << 20);
  lk_crdt_op op = { .actor = names[i], .now_ms = UINT64_C(1700000000000), .delta = &delta };
  if (lk_crdt_apply(h->replicas[i], &op, it.name, lk_slice_cstr(it.arguments)) == LK_OK)
    say(&h->w, "crdt.merge", payload_of(lk_buf_slice(&delta)));
  lk_buf_deinit(&delta);
}

static void push_whole(history *h, uint32_t i) {
  lk_buf state;
  lk_buf_init(&state, test_alloc(), 1 << 20);
  CHECK_OK(lk_crdt_encode(h->replicas[i], &state));
  say(&h->w, "crdt.merge", payload_of(lk_buf_slice(&state)));
  lk_buf_deinit(&state);
}

static void do_something(lk_gen *g, history *h) {
  uint32_t i = gen_below(g, REPLICAS);
  switch (gen_below(g, 9)) {
  case 8:
    h->w.later_ms += 6000;
    step(&h->w, (lk_room_input){ .kind = LK_ROOM_TICK });
    break;
  case 0:
  case 1: complete_and_hear(h); break;
  case 2: crash(g, h); break;
  case 3:
    if (h->w.ticket == 0) take_snapshot(&h->w);
    break;
  case 4: CHECK_OK(lk_crdt_merge_from(h->replicas[i], h->told, NULL)); break;
  case 5: push_whole(h, i); break;
  case 6: change_replica(g, h, i); break;
  default: command(g, h);
  }
}

/* Goal: whatever happens, what the room has told anybody it has for ever, and all replicas agree in the end. Method:
 * commands, merges, snapshots, records that get through or not, deaths at any time; then everybody sends
 * everything. */
PROPERTY(what_a_room_has_told_is_never_lost_and_replicas_agree) {
  history h = { .type = NULL };
  uint32_t types = 0;
  char params[40];
  while (lk_crdt_type_at(types) != NULL) types++;
  h.type = lk_crdt_type_at(gen_below(g, types));
  init(&h.w);
  (void)snprintf(params, sizeof params, "{\"type\":\"%s\"}", h.type->name);
  test_note("%s", params);
  join(&h.w, params);
  /* So that the type is there for good. */
  operation first;
  lk_slice rest = lk_crdt_operations_of(h.type);
  CHECK(next_operation(&rest, &first));
  if (h.type->number == LK_CRDT_ORMAP) say(&h.w, "crdt.enable", "{\"at\":[[\"ewflag\",\"f\"]]}");
  else say(&h.w, first.event, first.payload);
  CHECK_OK(lk_crdt_open(&h.w.env, (lk_crdt_kind)h.type->number, &h.told));
  complete_and_hear(&h);
  for (uint32_t i = 0; i < REPLICAS; i++)
    CHECK_OK(lk_crdt_open(&h.w.env, (lk_crdt_kind)h.type->number, &h.replicas[i]));
  for (uint32_t n = gen_below(g, 60); n > 0; n--) do_something(g, &h);
  for (uint32_t i = 0; i < REPLICAS; i++) push_whole(&h, i);
  while (h.w.ticket != 0) complete_and_hear(&h);
  check_told_is_kept(&h);
  reopen(&h.w);
  check_told_is_kept(&h);
  for (uint32_t i = 0; i < REPLICAS; i++) {
    lk_crdt_order order = lk_crdt_compare(h.replicas[i], h.told);
    CHECK(order == LK_CRDT_EQUAL || order == LK_CRDT_BEFORE);
    lk_crdt_close(h.replicas[i]);
  }
  lk_crdt_close(h.told);
  deinit(&h.w);
}

/* Goal: a command that is sent until it is answered is done exactly once, whatever dies in between. */
PROPERTY(a_command_that_is_sent_until_it_is_answered_is_done_once) {
  world w;
  uint64_t sum = 0;
  char payload[120];
  init(&w);
  join(&w, "{\"type\":\"pncounter\"}");
  for (uint32_t i = 0, count = gen_below(g, 20); i < count; i++) {
    uint64_t amount = gen_range(g, 1, 9);
    bool is_answered = false;
    (void)snprintf(payload, sizeof payload, "{\"payload\":{\"amount\":%u},\"request_id\":\"%u\"}",
                   (unsigned)amount, (unsigned)i);
    sum += amount;
    while (!is_answered) {
      uint64_t replies = w.replies;
      say(&w, "crdt.increment", payload);
      if (!gen_bool(g)) complete(&w);
      if (w.ticket == 0 && gen_chance(g, 1, 4)) take_snapshot(&w);
      is_answered = w.replies > replies;
      if (gen_bool(g)) continue;
      if (w.ticket != 0 && gen_bool(g)) w.records_count++;
      reopen(&w);
    }
  }
  complete_all(&w);
  ask(&w, "crdt.get", "{}");
  (void)snprintf(payload, sizeof payload, "%u", (unsigned)sum);
  CHECK_SLICE(member_of(&w.reply, "value"), lk_slice_cstr(payload));
  deinit(&w);
}

/* Goal: who sets his clock to the future does not win over everybody until then. Method: commands and merges around what a
 * clock may be ahead, in a house that knows the date. */
TEST(stamps_of_the_future_are_refused_where_the_date_is_known) {
  static const struct {
    const char *event, *payload;
    bool ok;
  } rows[] = {
    { "crdt.set", "{\"payload\":{\"value\":1},\"timestamp\":1700000300000}", true },
    { "crdt.set", "{\"payload\":{\"value\":2},\"timestamp\":1700000300001}", false },
    { "crdt.set", "{\"payload\":{\"value\":3}}", true },
  };
  world w;
  lk_buf far;
  lk_crdt *other;
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  init(&w);
  w.wall_ms = UINT64_C(1700000000000);
  join(&w, "{\"type\":\"lww\"}");
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    test_note("row %u", (unsigned)i);
    ask(&w, rows[i].event, rows[i].payload);
    complete_all(&w);
    CHECK(w.reply_ok == rows[i].ok);
    if (!rows[i].ok)
      CHECK(lk_slice_starts_with(lk_buf_slice(&w.reply),
                                 LK_LIT("{\"reason\":\"LK_ERR_CLOCK\",\"field\":\"timestamp\"")));
  }
  /* A replica that wrote in the year 2100. */
  lk_buf_init(&far, test_alloc(), 10000);
  CHECK_OK(lk_crdt_open(&env, LK_CRDT_LWW, &other));
  lk_crdt_op op = { .actor = LK_LIT("x"), .now_ms = UINT64_C(4102444800000), .delta = &far };
  CHECK_OK(lk_crdt_apply(other, &op, LK_LIT("set"), LK_LIT("[9]")));
  step(&w, (lk_room_input){ .kind = LK_ROOM_MESSAGE,
                            .member = 1,
                            .request = 77,
                            .event = LK_LIT("crdt.merge"),
                            .payload = lk_buf_slice(&far),
                            .binary = true });
  complete_all(&w);
  CHECK(!w.reply_ok);
  CHECK(lk_slice_starts_with(lk_buf_slice(&w.reply), LK_LIT("{\"reason\":\"LK_ERR_CLOCK\"")));
  lk_crdt_close(other);
  lk_buf_deinit(&far);
  deinit(&w);
}

/* ---- asking on terms ---- */

static void ask_on_terms(world *w, const char *payload) {
  step(w, (lk_room_input){ .kind = LK_ROOM_QUERY,
                           .member = 9,
                           .request = 9,
                           .event = LK_LIT("ask"),
                           .payload = lk_slice_cstr(payload) });
  complete_all(w);
}

static bool reply_says(const world *w, const char *text) {
  return lk_slice_find(lk_buf_slice(&w->reply), lk_slice_cstr(text)) != LK_SLICE_NONE;
}

/* Goal: who is in no room finds what is there and nothing else, and makes what is new once. */
TEST(questions_on_terms_are_answered_on_them) {
  static const struct {
    const char *payload;
    bool ok;
    const char *says;
  } rows[] = {
    { "{\"event\":\"crdt.get\",\"must_exist\":true}", false, "LK_ERR_NOT_FOUND" },
    { "{\"event\":\"render\",\"must_exist\":true}", false, "LK_ERR_NOT_FOUND" },
    { "{\"event\":\"render\"}", true, "html" },
    { "{\"event\":\"crdt.get\",\"must_exist\":true}", false, "LK_ERR_NOT_FOUND" },
    { "{\"event\":\"crdt.add\",\"type\":\"nix\"}", false, "LK_ERR_UNKNOWN_TYPE" },
    { "{\"event\":\"crdt.add\",\"type\":\"orset\",\"is_new\":true,\"payload\":{\"type\":\"crdt."
      "add\","
      "\"payload\":{\"element\":1},\"request_id\":\"r\"}}",
      true, "[1]" },
    { "{\"event\":\"crdt.add\",\"type\":\"orset\",\"is_new\":true,\"payload\":{\"type\":\"crdt."
      "add\","
      "\"payload\":{\"element\":1},\"request_id\":\"r\"}}",
      true, "[1]" },
    { "{\"event\":\"crdt.add\",\"is_new\":true,\"payload\":{\"element\":2}}", false,
      "LK_ERR_EXISTS" },
    { "{\"event\":\"crdt.add\",\"type\":\"list\",\"payload\":{\"element\":2}}", false,
      "type_mismatch" },
    { "{\"event\":\"crdt.add\",\"payload\":{\"element\":2}}", true, "[1,2]" },
    { "{\"event\":\"crdt.get\",\"must_exist\":true}", true, "[1,2]" },
    { "{\"payload\":{}}", false, "LK_ERR_PAYLOAD" },
    { "nonsense", false, "LK_ERR_SYNTAX" },
    { "{\"event\":\"ask\"}", false, "LK_ERR_UNKNOWN_EVENT" },
  };
  world w;
  init(&w);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    uint64_t replies = w.replies;
    test_note("%s", rows[i].payload);
    ask_on_terms(&w, rows[i].payload);
    CHECK_U64(w.replies, replies + 1);
    CHECK(w.reply_ok == rows[i].ok);
    CHECK(reply_says(&w, rows[i].says));
  }
  deinit(&w);
}

TEST(a_reader_who_names_a_type_makes_no_object_of_it) {
  world w;
  init(&w);
  w.rights = LK_RIGHTS_READ;
  ask_on_terms(&w, "{\"event\":\"crdt.get\",\"type\":\"orset\"}");
  w.rights = LK_RIGHTS_WRITE;
  ask_on_terms(&w, "{\"event\":\"crdt.increment\",\"payload\":{\"amount\":2}}");
  CHECK(w.reply_ok && reply_says(&w, "\"value\":2"));
  deinit(&w);
}
