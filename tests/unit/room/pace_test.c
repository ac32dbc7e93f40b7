/* Members that are served less often: what they hear, and when. Through the house, by its bus. */
#include "room/house.h"

#include <stdio.h>
#include <string.h>

#include "channel/profile.h"
#include "codec/base64.h"
#include "codec/json_reader.h"
#include "harness/faulty.h"
#include "laniakea/crdt.h"
#include "laniakea/doc.h"
#include "unit/room/house_world.h"

typedef struct world {
  lk_env env;
  lk_limits limits;
  lk_room_policy policy;
  lk_memory_storage storage;
  lk_house *house;
  uint64_t now_ms;
  uint64_t request;
} world;

static void say(world *w, lk_bus_message m) {
  m.request = m.kind == LK_BUS_JOIN || m.kind == LK_BUS_MESSAGE ? ++w->request : 0;
  m.rights = LK_RIGHTS_WRITE;
  edge_says(w->house, &m, w->now_ms);
}

static void init_with(world *w, const lk_alloc *alloc) {
  *w = (world){ .env = LK_ENV_INIT(alloc, NULL),
                .limits = lk_limits_default(),
                .policy = LK_ROOM_POLICY_PRESET };
  lk_memory_storage_init(&w->storage, test_alloc(), 1 << 24);
  CHECK_OK(lk_house_open(&(lk_house_options){ .env = &w->env,
                                              .limits = &w->limits,
                                              .memory = &w->storage.table,
                                              .policy = &w->policy,
                                              .entropy = 1,
                                              .generation = 9,
                                              .edges_count = 1 },
                         &w->house));
  say(w, (lk_bus_message){ .kind = LK_BUS_HELLO, .generation = 5, .answers = 9 });
  lk_house_step(w->house, 0);
}

static void init(world *w) { init_with(w, test_alloc()); }

static void deinit(world *w) {
  lk_house_close(w->house);
  lk_memory_storage_deinit(&w->storage);
}

#define HEARD_MAX 32

/* What the edge was told since the last time, as text: "BROADCAST event set payload". */
typedef struct heard {
  lk_bus_message at[HEARD_MAX];
  uint32_t count;
  lk_buf bytes;
} heard;

static void hear(world *w, heard *h) {
  lk_bus_reader reader;
  lk_bus_message m;
  lk_house_step(w->house, w->now_ms);
  lk_slice out = lk_house_output(w->house, 0);
  lk_buf_init(&h->bytes, test_alloc(), 1 << 20);
  CHECK_OK(lk_buf_append(&h->bytes, out));
  lk_house_consume(w->house, 0, out.len);
  lk_bus_reader_init(&reader, test_alloc(), 1 << 20);
  lk_bus_reader_boundary(&reader);
  lk_slice in = lk_buf_slice(&h->bytes);
  h->count = 0;
  while (lk_bus_read(&reader, &in, &m) == LK_OK) {
    CHECK(h->count < HEARD_MAX);
    h->at[h->count++] = m;
  }
  lk_bus_reader_deinit(&reader);
}

static void forget(heard *h) { lk_buf_deinit(&h->bytes); }

static uint64_t member_of(uint32_t n) { return UINT64_C(1) << 32 | n; }

static void join(world *w, uint32_t n, const char *topic, const char *params) {
  say(w, (lk_bus_message){ .kind = LK_BUS_JOIN,
                           .member = member_of(n),
                           .topic = lk_slice_cstr(topic),
                           .payload = lk_slice_cstr(params) });
  lk_house_step(w->house, w->now_ms);
}

static void tell(world *w, uint32_t n, const char *event, lk_slice payload, bool binary) {
  say(w, (lk_bus_message){ .kind = LK_BUS_MESSAGE,
                           .member = member_of(n),
                           .event = lk_slice_cstr(event),
                           .payload = payload,
                           .binary = binary });
}

/* The edge says how far member |n| has fallen behind. */
static void say_lag(world *w, uint32_t n, lk_bus_lag lag) {
  edge_says(w->house,
            &(lk_bus_message){ .kind = LK_BUS_LAG, .member = member_of(n), .request = lag },
            w->now_ms);
}

#define CONSTRAINED "{\"has_workers\":true,\"memory_mb\":1024}"
#define MINIMAL "{\"has_workers\":false}"

static uint32_t count_of(const heard *h, const char *event, lk_profile_set set) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < h->count; i++) {
    count += h->at[i].kind == LK_BUS_BROADCAST && h->at[i].profiles == set &&
             lk_slice_equal(h->at[i].event, lk_slice_cstr(event));
  }
  return count;
}

static const lk_bus_message *find(const heard *h, lk_bus_kind kind) {
  for (uint32_t i = 0; i < h->count; i++)
    if (h->at[i].kind == kind) return &h->at[i];
  return NULL;
}

TEST(where_nobody_is_slow_everybody_hears_at_once) {
  world w;
  heard h;
  init(&w);
  join(&w, 1, "relay:a", "{}");
  join(&w, 2, "relay:a", "{}");
  tell(&w, 1, "move", LK_LIT("{}"), false);
  hear(&w, &h);
  CHECK_U64(count_of(&h, "move", 0), 1);
  forget(&h);
  deinit(&w);
}

TEST(constrained_members_hear_in_turn_after_a_tenth_of_a_second) {
  world w;
  heard h;
  init(&w);
  join(&w, 1, "relay:a", "{}");
  join(&w, 2, "relay:a", CONSTRAINED);
  hear(&w, &h);
  CHECK_U64(h.at[h.count - 1].kind, LK_BUS_ACCEPT);
  CHECK_U64(h.at[h.count - 1].profiles, lk_profile_only(LK_PROFILE_CONSTRAINED));
  forget(&h);
  w.now_ms = 1000;
  tell(&w, 1, "move", LK_LIT("{\"x\":1}"), false);
  w.now_ms = 1050;
  tell(&w, 1, "move", LK_LIT("{\"x\":2}"), false);
  tell(&w, 2, "ping", LK_LIT("{}"), false);
  hear(&w, &h);
  CHECK_U64(count_of(&h, "move", lk_profile_only(LK_PROFILE_FULL)), 2);
  CHECK_U64(count_of(&h, "move", 6), 0);
  forget(&h);
  CHECK_U64(lk_house_deadline(w.house), 1100);
  w.now_ms = 1100;
  hear(&w, &h);
  CHECK_U64(h.count, 3);
  CHECK_TEXT(h.at[0].payload, "{\"x\":1}");
  CHECK_TEXT(h.at[1].payload, "{\"x\":2}");
  CHECK_U64(h.at[1].profiles, 6); /* who could read HTML alone, in a room without it, too */
  CHECK_TEXT(h.at[2].event, "ping");
  CHECK_U64(h.at[2].member, member_of(2));
  forget(&h);
  /* When the slow one has left there is no more gathering. */
  tell(&w, 1, "move", LK_LIT("{}"), false);
  say(&w, (lk_bus_message){ .kind = LK_BUS_LEAVE, .member = member_of(2) });
  tell(&w, 1, "move", LK_LIT("{}"), false);
  w.now_ms = 2000;
  hear(&w, &h);
  CHECK_U64(count_of(&h, "move", lk_profile_only(LK_PROFILE_FULL)), 1);
  CHECK_U64(count_of(&h, "move", 0), 1);
  CHECK_U64(count_of(&h, "move", 6), 0);
  forget(&h);
  deinit(&w);
}

static void note_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  (void)doc, (void)origin, (void)local;
  lk_buf_truncate(ctx, 0);
  CHECK_OK(lk_buf_append(ctx, update));
}

/* Goal: what was typed in a tenth of a second goes out as one update, and a second later as HTML. */
TEST(documents_are_merged_for_the_constrained_and_rendered_for_the_minimal) {
  world w;
  heard h;
  lk_doc *doc, *slow;
  lk_node text, read;
  lk_buf update, got;
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  init(&w);
  lk_buf_init(&update, test_alloc(), 1 << 20);
  lk_buf_init(&got, test_alloc(), 1 << 20);
  CHECK_OK(lk_doc_open(&env, &options, &doc));
  options.client = 2;
  CHECK_OK(lk_doc_open(&env, &options, &slow));
  CHECK_OK(lk_doc_root(doc, LK_LIT("t"), LK_NODE_TEXT, &text));
  CHECK_OK(lk_doc_on_update(doc, LK_UPDATE_V1, note_update, &update, NULL));
  join(&w, 1, "doc:a", "{}");
  join(&w, 2, "doc:a", CONSTRAINED);
  join(&w, 3, "doc:a", "{\"capabilities\":" MINIMAL "}");
  hear(&w, &h);
  for (uint32_t i = 0, accepts = 0; i < h.count; i++) {
    static const char *names[] = { "\"profile\":\"full_client\"",
                                   "\"profile\":\"constrained_client\"",
                                   "\"profile\":\"minimal_client\"" };
    if (h.at[i].kind != LK_BUS_ACCEPT) continue;
    CHECK(lk_slice_find(h.at[i].payload, lk_slice_cstr(names[accepts])) != LK_SLICE_NONE);
    CHECK_U64(h.at[i].profiles, 1u << accepts++);
  }
  forget(&h);
  w.now_ms = 100;
  for (uint64_t i = 0; i < 10; i++) {
    CHECK_OK(lk_doc_text_insert(doc, text, i, LK_LIT("<"), NULL));
    tell(&w, 1, "client_update", lk_buf_slice(&update), true);
  }
  hear(&w, &h);
  CHECK_U64(count_of(&h, "server_update", lk_profile_only(LK_PROFILE_FULL)), 10);
  forget(&h);
  w.now_ms = 200;
  hear(&w, &h);
  CHECK_U64(count_of(&h, "server_update", lk_profile_only(LK_PROFILE_CONSTRAINED)), 1);
  const lk_bus_message *m = find(&h, LK_BUS_BROADCAST);
  CHECK(m->binary && m->payload.len < 40);
  CHECK_OK(lk_doc_apply(slow, LK_UPDATE_V1, m->payload, 0));
  CHECK_OK(lk_doc_root(slow, LK_LIT("t"), LK_NODE_TEXT, &read));
  CHECK_OK(lk_doc_text_string(slow, read, &got));
  CHECK_TEXT(lk_buf_slice(&got), "<<<<<<<<<<");
  forget(&h);
  w.now_ms = 1100;
  hear(&w, &h);
  CHECK_U64(count_of(&h, "render", lk_profile_only(LK_PROFILE_MINIMAL)), 1);
  m = find(&h, LK_BUS_BROADCAST);
  CHECK_TEXT(m->payload, "{\"fragments\":[{\"root\":\"t\",\"html\":\"<p>&lt;&lt;&lt;&lt;&lt;&lt;&"
                         "lt;&lt;&lt;&lt;</p>\\n\"}]}");
  forget(&h);
  /* Something was said, but the page is the same: nothing is told. */
  tell(&w, 1, "awareness", LK_LIT("\x01\x0a\x01\x02{}"), true);
  hear(&w, &h);
  CHECK_U64(count_of(&h, "awareness", lk_profile_only(LK_PROFILE_FULL)), 1);
  forget(&h);
  w.now_ms = 9000;
  hear(&w, &h);
  CHECK_U64(count_of(&h, "awareness", lk_profile_only(LK_PROFILE_CONSTRAINED)), 1);
  CHECK_U64(count_of(&h, "render", lk_profile_only(LK_PROFILE_MINIMAL)), 0);
  forget(&h);
  /* The connection got better. */
  tell(&w, 2, "capabilities", LK_LIT("{\"has_workers\":true,\"memory_mb\":8192}"), false);
  hear(&w, &h);
  m = find(&h, LK_BUS_REPLY);
  CHECK_TEXT(m->payload, "{\"profile\":\"full_client\"}");
  CHECK_U64(m->profiles, lk_profile_only(LK_PROFILE_FULL));
  forget(&h);
  tell(&w, 2, "capabilities", LK_LIT("{\"memory_mb\":\"much\"}"), false);
  hear(&w, &h);
  m = find(&h, LK_BUS_REPLY);
  CHECK(lk_slice_starts_with(m->payload,
                             LK_LIT("{\"reason\":\"LK_ERR_PAYLOAD\",\"field\":\"memory_mb\",")));
  forget(&h);
  join(&w, 4, "doc:a", "{\"has_sab\":7}");
  hear(&w, &h);
  CHECK(lk_slice_starts_with(find(&h, LK_BUS_REFUSE)->payload,
                             LK_LIT("{\"reason\":\"LK_ERR_PAYLOAD\",\"field\":\"has_sab\",")));
  forget(&h);
  lk_doc_close(doc);
  lk_doc_close(slow);
  lk_buf_deinit(&update);
  lk_buf_deinit(&got);
  deinit(&w);
}

/* A member of the JSON object |payload|, as text. */
static lk_slice member_of_json(lk_slice payload, const char *name, lk_arena *arena) {
  const lk_limits limits = lk_limits_default();
  lk_json_member member = { .name = lk_slice_cstr(name) };
  lk_json_reader in;
  CHECK_OK(lk_json_reader_init(&in, payload, &limits, arena));
  CHECK_OK(lk_json_read_members(&in, &member, 1));
  return member.value.kind == LK_JSON_STRING ? member.value.text : member.raw;
}

/* Merges the delta of a message into |into|. */
static void merge_told(lk_crdt *into, lk_slice payload) {
  lk_arena arena;
  lk_buf bytes;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  lk_buf_init(&bytes, test_alloc(), 1 << 20);
  CHECK_OK(
      lk_base64_decode(&bytes, member_of_json(payload, "delta", &arena), LK_BASE64_FORM_STANDARD));
  CHECK_OK(lk_crdt_merge(into, lk_buf_slice(&bytes), NULL));
  lk_buf_deinit(&bytes);
  lk_arena_deinit(&arena);
}

/* Tells what member 1 asks for, ten times, and waits for each to be kept. Returns how many messages constrained
 * members heard when their time had come; |last| is the one. Full ones merge into |full|. */
static uint32_t hear_ten(world *w, const char *event, const char *format, lk_crdt *full,
                         lk_crdt *constrained, lk_buf *last) {
  char payload[100];
  heard h;
  uint32_t count = 0;
  for (int i = 0; i < 10; i++) {
    (void)snprintf(payload, sizeof payload, format, i % 3, i);
    tell(w, 1, event, lk_slice_cstr(payload), false);
    hear(w, &h);
    CHECK_U64(count_of(&h, "state_updated", lk_profile_only(LK_PROFILE_FULL)), 1);
    CHECK_U64(count_of(&h, "state_updated", lk_profile_only(LK_PROFILE_CONSTRAINED)), 0);
    for (uint32_t j = 0; j < h.count; j++)
      if (h.at[j].kind == LK_BUS_BROADCAST) merge_told(full, h.at[j].payload);
    forget(&h);
  }
  w->now_ms += 100;
  hear(w, &h);
  for (uint32_t j = 0; j < h.count; j++) {
    if (h.at[j].kind != LK_BUS_BROADCAST) continue;
    count++;
    merge_told(constrained, h.at[j].payload);
    lk_buf_truncate(last, 0);
    CHECK_OK(lk_buf_append(last, h.at[j].payload));
  }
  forget(&h);
  return count;
}

/* Goal: what changed of an object in a tenth of a second is one message, and says what the many said. */
TEST(objects_are_joined_for_the_constrained) {
  static const struct {
    const char *type, *event, *format, *value;
    lk_crdt_kind kind;
    bool counts;
  } rows[] = {
    { "gcounter", "crdt.increment", "{\"node_id\":\"n%d\",\"amount\":1%d}", "145", LK_CRDT_GCOUNTER,
      true },
    { "orset", "crdt.add", "{\"element\":\"%d %d\"}",
      "[\"0 0\",\"0 3\",\"0 6\",\"0 9\",\"1 1\",\"1 4\",\"1 7\",\"2 2\",\"2 5\",\"2 8\"]",
      LK_CRDT_ORSET, false },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    world w;
    lk_crdt *full, *constrained;
    lk_buf last;
    lk_arena arena;
    char params[100];
    init(&w);
    lk_buf_init(&last, test_alloc(), 1 << 20);
    lk_arena_init(&arena, test_alloc(), 1 << 20);
    CHECK_OK(lk_crdt_open(&w.env, rows[i].kind, &full));
    CHECK_OK(lk_crdt_open(&w.env, rows[i].kind, &constrained));
    (void)snprintf(params, sizeof params, "{\"type\":\"%s\"}", rows[i].type);
    join(&w, 1, "crdt:a", params);
    join(&w, 2, "crdt:a", CONSTRAINED);
    CHECK_U64(hear_ten(&w, rows[i].event, rows[i].format, full, constrained, &last), 1);
    CHECK(lk_crdt_compare(full, constrained) == LK_CRDT_EQUAL);
    CHECK_SLICE(member_of_json(lk_buf_slice(&last), "value", &arena), lk_slice_cstr(rows[i].value));
    lk_slice counts = member_of_json(lk_buf_slice(&last), "counts", &arena);
    CHECK((counts.len > 0) == rows[i].counts);
    /* The room's own replica id stands before each label. */
    for (int n = 0; n < 3 && counts.len > 0; n++) {
      static const char *labels[] = { ":n0\":58", ":n1\":42", ":n2\":45" };
      CHECK(lk_slice_find(counts, lk_slice_cstr(labels[n])) != LK_SLICE_NONE);
    }
    lk_crdt_close(full);
    lk_crdt_close(constrained);
    lk_arena_deinit(&arena);
    lk_buf_deinit(&last);
    deinit(&w);
  }
}

/* Goal: a reader that falls behind misses nothing that was gathered for it: its room counts that as told.
 * Method: it is slow, then behind, and a change is said between. */
TEST(what_is_gathered_is_sent_before_a_member_is_passed_by) {
  /* Of client 1: the text "a" at the end of the root "t". */
  static const uint8_t update[] = { 1, 1, 1, 0, 4, 1, 1, 't', 1, 'a', 0 };
  world w;
  heard h;
  init(&w);
  join(&w, 1, "doc:a", "{}");
  join(&w, 2, "doc:a", "{}");
  hear(&w, &h);
  forget(&h);
  w.now_ms = 1000;
  say_lag(&w, 2, LK_BUS_SLOW);
  hear(&w, &h);
  forget(&h);
  tell(&w, 1, "client_update", lk_slice_of(update, sizeof update), true);
  hear(&w, &h);
  CHECK_U64(count_of(&h, "server_update", lk_profile_only(LK_PROFILE_FULL)), 1);
  CHECK_U64(count_of(&h, "server_update", lk_profile_only(LK_PROFILE_CONSTRAINED)), 0);
  forget(&h);
  say_lag(&w, 2, LK_BUS_BEHIND);
  hear(&w, &h);
  CHECK_U64(count_of(&h, "server_update", lk_profile_only(LK_PROFILE_CONSTRAINED)), 1);
  const lk_bus_message *passed = find(&h, LK_BUS_LAG);
  CHECK(passed != NULL && passed->request == LK_BUS_BEHIND);
  CHECK(find(&h, LK_BUS_BROADCAST) < passed);
  forget(&h);
  deinit(&w);
}

/* Changes of a document by client 1: "a", and behind it "b" and "c". */
static void write_letter(world *w, uint8_t n) {
  const uint8_t first[] = { 1, 1, 1, 0, 4, 1, 1, 't', 1, 'a', 0 };
  const uint8_t next[] = { 1, 1, 1, n, 0x84, 1, (uint8_t)(n - 1), 1, (uint8_t)('a' + n), 0 };
  tell(w, 1, "client_update",
       n == 0 ? lk_slice_of(first, sizeof first) : lk_slice_of(next, sizeof next), true);
}

/* What one change is to full clients, and a window later to constrained ones; |all|: to everybody at once. */
static void check_letter(world *w, uint8_t n, uint32_t all, uint32_t full, uint32_t constrained) {
  heard h;
  write_letter(w, n);
  hear(w, &h);
  CHECK_U64(count_of(&h, "server_update", 0), all);
  CHECK_U64(count_of(&h, "server_update", lk_profile_only(LK_PROFILE_FULL)), full);
  forget(&h);
  w->now_ms += LK_PROFILE_CONSTRAINED_MS;
  hear(w, &h);
  CHECK_U64(count_of(&h, "server_update", lk_profile_only(LK_PROFILE_CONSTRAINED)), constrained);
  forget(&h);
}

/* Goal: for a reader that is passed by nothing is gathered, and a constrained one that has caught up is served as before. */
TEST(nothing_is_gathered_for_who_is_passed_by) {
  world w;
  heard h;
  init(&w);
  join(&w, 1, "doc:a", "{}");
  join(&w, 2, "doc:a", CONSTRAINED);
  hear(&w, &h);
  forget(&h);
  w.now_ms = 1000;
  check_letter(&w, 0, 0, 1, 1);
  say_lag(&w, 2, LK_BUS_BEHIND);
  hear(&w, &h);
  CHECK(find(&h, LK_BUS_LAG) != NULL);
  forget(&h);
  check_letter(&w, 1, 1, 0, 0);
  say_lag(&w, 2, LK_BUS_IN_STEP);
  hear(&w, &h);
  CHECK(find(&h, LK_BUS_PUSH) != NULL);
  const lk_bus_message *back = find(&h, LK_BUS_LAG);
  CHECK(back != NULL && back->request == LK_BUS_IN_STEP);
  forget(&h);
  check_letter(&w, 2, 0, 1, 1);
  edge_says(w.house, &(lk_bus_message){ .kind = LK_BUS_LEAVE, .member = member_of(2) }, w.now_ms);
  say_lag(&w, 1, LK_BUS_BEHIND);
  hear(&w, &h);
  forget(&h);
  edge_says(w.house, &(lk_bus_message){ .kind = LK_BUS_LEAVE, .member = member_of(1) }, w.now_ms);
  lk_house_step(w.house, w.now_ms); /* who leaves while it is passed by was not counted */
  deinit(&w);
}

/* Goal: who shows itself and hears of nobody may fall behind, catch up and go without a trace. */
TEST(who_only_shows_itself_is_told_of_nobody_when_it_has_caught_up) {
  world w;
  heard h;
  init(&w);
  join(&w, 1, "doc:a", "{}");
  tell(&w, 1, "presence.track", LK_LIT("{\"key\":\"ada\"}"), false);
  w.now_ms = 1000;
  hear(&w, &h);
  forget(&h);
  say_lag(&w, 1, LK_BUS_BEHIND);
  say_lag(&w, 1, LK_BUS_IN_STEP);
  tell(&w, 1, "presence.untrack", LK_LIT("{\"key\":\"ada\"}"), false);
  w.now_ms = 2000;
  hear(&w, &h);
  CHECK(find(&h, LK_BUS_LAG) != NULL);
  CHECK_U64(count_of(&h, "presence_state", 0), 0);
  forget(&h);
  deinit(&w);
}

TEST(what_is_gathered_is_bounded) {
  world w;
  heard h;
  static char text[100001];
  char payload[100100];
  memset(text, 'x', sizeof text - 1);
  init(&w);
  join(&w, 1, "relay:a", "{}");
  join(&w, 2, "relay:a", CONSTRAINED);
  hear(&w, &h);
  forget(&h);
  (void)snprintf(payload, sizeof payload, "{\"x\":\"%s\"}", text);
  for (int i = 0; i < 3; i++) tell(&w, 1, "move", lk_slice_cstr(payload), false);
  hear(&w, &h);
  CHECK_U64(count_of(&h, "move", 6), 3); /* before its time */
  forget(&h);
  deinit(&w);
}

/* ---- presence ---- */

#define SHOWN(key, more) "{\"presence\":{\"key\":\"" key "\",\"meta\":{}}" more "}"
#define HEARS(more) "{\"presence\":{}" more "}"
#define IS_CONSTRAINED ",\"has_workers\":true,\"memory_mb\":1024"
#define IS_MINIMAL ",\"has_workers\":false"

/* Whether the message at |i| is |event| of presence for those of |profile|. */
static bool is_told(const heard *h, uint32_t i, const char *event, lk_profile profile) {
  const lk_bus_message *m = &h->at[i];
  return m->kind == LK_BUS_BROADCAST && m->profiles == lk_profile_only(profile) &&
         lk_slice_equal(m->event, lk_slice_cstr(event));
}

/* The place of the first one, or h->count. */
static uint32_t place_of(const heard *h, const char *event, lk_profile profile) {
  uint32_t i = 0;
  while (i < h->count && !is_told(h, i, event, profile)) i++;
  return i;
}

static bool is_heard(const heard *h, const char *event, lk_profile profile) {
  return place_of(h, event, profile) < h->count;
}

static void update_presence(world *w, uint32_t n, const char *key, int number) {
  char payload[100];
  (void)snprintf(payload, sizeof payload, "{\"key\":\"%s\",\"meta\":{\"n\":%d}}", key, number);
  tell(w, n, "presence.update", lk_slice_cstr(payload), false);
}

/* Lets |ms| pass, and counts the diffs for each profile; |gap| is the least time between two of them. */
static void count_diffs(world *w, uint64_t ms, uint32_t count[LK_PROFILES],
                        uint64_t gap[LK_PROFILES]) {
  uint64_t last[LK_PROFILES] = { 0 };
  int number = 0;
  for (int p = 0; p < LK_PROFILES; p++) {
    count[p] = 0;
    gap[p] = UINT64_MAX;
  }
  for (uint64_t end = w->now_ms + ms; w->now_ms < end; w->now_ms += 10) {
    heard h;
    if (w->now_ms % 20 == 0 && w->now_ms + 200 < end) update_presence(w, 1, "ada", number++);
    hear(w, &h);
    for (int p = 0; p < LK_PROFILES; p++) {
      if (!is_heard(&h, "presence_diff", (lk_profile)p)) continue;
      if (count[p]++ > 0) gap[p] = lk_min_u64(gap[p], w->now_ms - last[p]);
      last[p] = w->now_ms;
    }
    forget(&h);
  }
}

/* Goal: who shows itself is told to each as often as it is served, from its state on. */
TEST(presence_is_told_at_the_pace_of_each_profile) {
  world w;
  heard h;
  uint32_t count[LK_PROFILES];
  uint64_t gap[LK_PROFILES];
  init(&w);
  w.now_ms = 1000;
  join(&w, 1, "relay:a", SHOWN("ada", ""));
  join(&w, 2, "relay:a", HEARS(IS_CONSTRAINED));
  join(&w, 3, "relay:a", HEARS(IS_MINIMAL));
  w.now_ms = 1050;
  hear(&w, &h);
  for (int p = 0; p < LK_PROFILES; p++) { /* nobody waits longer for its first state */
    CHECK(is_heard(&h, "presence_state", (lk_profile)p));
    CHECK(place_of(&h, "presence_diff", (lk_profile)p) <
          place_of(&h, "presence_state", (lk_profile)p));
  }
  forget(&h);
  w.now_ms = 4000;
  count_diffs(&w, 3000, count, gap);
  CHECK_U64(gap[LK_PROFILE_CONSTRAINED], LK_PROFILE_CONSTRAINED_MS);
  CHECK_U64(gap[LK_PROFILE_MINIMAL], LK_PROFILE_MINIMAL_MS);
  CHECK(count[LK_PROFILE_FULL] > 40);
  CHECK(count[LK_PROFILE_CONSTRAINED] > 20 && count[LK_PROFILE_CONSTRAINED] <= 30);
  CHECK_U64(count[LK_PROFILE_MINIMAL], 3);
  deinit(&w);
}

/* The value of phx_ref of the only meta in |side| of a diff. */
static lk_slice ref_in(lk_slice diff, const char *side, const char *name) {
  lk_slice rest = lk_slice_skip(diff, lk_slice_find(diff, lk_slice_cstr(side)));
  size_t at = lk_slice_find(rest, lk_slice_cstr(name));
  return at == LK_SLICE_NONE ? LK_SLICE_EMPTY
                             : lk_slice_first(lk_slice_skip(rest, at + strlen(name) + 3), 6);
}

TEST(what_changed_of_presence_meanwhile_is_one_diff) {
  world w;
  heard h;
  uint8_t first[6];
  init(&w);
  w.now_ms = 1000;
  join(&w, 1, "relay:a", SHOWN("ada", ""));
  join(&w, 2, "relay:a", HEARS(IS_MINIMAL));
  w.now_ms = 1050;
  hear(&w, &h);
  const lk_bus_message *m = &h.at[place_of(&h, "presence_state", LK_PROFILE_MINIMAL)];
  memcpy(first, ref_in(m->payload, "ada", "phx_ref").ptr, sizeof first);
  forget(&h);
  for (int i = 1; i <= 3; i++) { /* and somebody comes and goes */
    update_presence(&w, 1, "ada", i);
    if (i == 1) join(&w, 4, "relay:a", SHOWN("eve", ""));
    if (i == 2) say(&w, (lk_bus_message){ .kind = LK_BUS_LEAVE, .member = member_of(4) });
    w.now_ms += 100;
    hear(&w, &h);
    CHECK(is_heard(&h, "presence_diff", LK_PROFILE_FULL));
    CHECK(!is_heard(&h, "presence_diff", LK_PROFILE_MINIMAL));
    forget(&h);
  }
  w.now_ms = 2049;
  hear(&w, &h);
  CHECK_U64(h.count, 0);
  forget(&h);
  CHECK_U64(lk_house_deadline(w.house), 2050);
  w.now_ms = 2050;
  hear(&w, &h);
  CHECK_U64(h.count, 1);
  lk_slice diff = h.at[place_of(&h, "presence_diff", LK_PROFILE_MINIMAL)].payload;
  CHECK(lk_slice_starts_with(diff, LK_LIT("{\"joins\":{\"ada\":{\"metas\":[{\"n\":3,\"phx_ref\"")));
  CHECK_SLICE(ref_in(diff, "joins", "phx_ref_prev"), lk_slice_of(first, sizeof first));
  CHECK_SLICE(ref_in(diff, "leaves", "phx_ref"), lk_slice_of(first, sizeof first));
  CHECK(lk_slice_find(diff, LK_LIT("eve")) == LK_SLICE_NONE);
  forget(&h);
  deinit(&w);
}

/* Goal: who is told of all by a state is not told of a part of it again. */
TEST(a_state_comes_behind_the_diffs_that_it_says) {
  world w;
  heard h;
  init(&w);
  w.now_ms = 1000;
  join(&w, 1, "relay:a", SHOWN("ada", ""));
  join(&w, 2, "relay:a", HEARS(IS_MINIMAL));
  w.now_ms = 1050;
  hear(&w, &h);
  forget(&h);
  update_presence(&w, 1, "ada", 1);
  join(&w, 3, "relay:a", HEARS(IS_MINIMAL));
  join(&w, 4, "relay:a", HEARS(""));
  w.now_ms = 1100;
  hear(&w, &h);
  CHECK(is_heard(&h, "presence_state", LK_PROFILE_FULL));
  CHECK(!is_heard(&h, "presence_state", LK_PROFILE_MINIMAL));
  forget(&h);
  update_presence(&w, 1, "ada", 2);
  w.now_ms = 2050;
  hear(&w, &h);
  uint32_t state_at = place_of(&h, "presence_state", LK_PROFILE_MINIMAL);
  CHECK(state_at == h.count - 1 && is_told(&h, state_at - 1, "presence_diff", LK_PROFILE_MINIMAL));
  CHECK(lk_slice_find(h.at[state_at].payload, LK_LIT("\"n\":2")) != LK_SLICE_NONE);
  forget(&h);
  deinit(&w);
}

/* Goal: neither is anything missed that others of the old profile were told, nor told twice by those of the new one. */
TEST(who_is_served_in_another_way_is_told_first_what_waits) {
  world w;
  heard h;
  init(&w);
  w.now_ms = 1000;
  join(&w, 1, "relay:a", SHOWN("ada", ""));
  join(&w, 2, "relay:a", HEARS(""));
  join(&w, 3, "relay:a", HEARS(IS_MINIMAL));
  w.now_ms = 1050;
  hear(&w, &h);
  forget(&h);
  update_presence(&w, 1, "ada", 1);
  join(&w, 4, "relay:a", HEARS(IS_MINIMAL));
  w.now_ms = 1100;
  hear(&w, &h);
  CHECK(!is_heard(&h, "presence_diff", LK_PROFILE_MINIMAL));
  forget(&h);
  tell(&w, 2, "capabilities", LK_LIT("{\"has_workers\":false}"), false);
  hear(&w, &h);
  CHECK_U64(h.count, 3);
  CHECK(is_told(&h, 0, "presence_diff", LK_PROFILE_MINIMAL));
  CHECK(is_told(&h, 1, "presence_state", LK_PROFILE_MINIMAL));
  CHECK_U64(h.at[2].kind, LK_BUS_REPLY);
  forget(&h);
  update_presence(&w, 1, "ada", 2);
  w.now_ms = 1150;
  hear(&w, &h);
  forget(&h);
  say_lag(&w, 1, LK_BUS_SLOW);
  hear(&w, &h);
  CHECK(h.count == 2 && is_told(&h, 0, "presence_diff", LK_PROFILE_MINIMAL));
  CHECK_U64(h.at[1].kind, LK_BUS_LAG);
  forget(&h);
  /* Nobody is left of it: what waits is forgotten. */
  update_presence(&w, 1, "ada", 3);
  w.now_ms = 1200;
  hear(&w, &h);
  forget(&h);
  for (uint32_t n = 2; n <= 4; n++)
    say(&w, (lk_bus_message){ .kind = LK_BUS_LEAVE, .member = member_of(n) });
  w.now_ms = 9000;
  hear(&w, &h);
  CHECK(!is_heard(&h, "presence_diff", LK_PROFILE_MINIMAL));
  forget(&h);
  deinit(&w);
}

TEST(what_waits_of_presence_is_bounded) {
  static char meta[4001];
  world w;
  heard h;
  char payload[4100];
  init(&w);
  memset(meta, 'x', sizeof meta - 1);
  w.now_ms = 1000;
  join(&w, 1, "relay:a", SHOWN("ada", ""));
  join(&w, 2, "relay:a", HEARS(IS_MINIMAL));
  w.now_ms = 1050;
  hear(&w, &h);
  forget(&h);
  for (uint32_t n = 10; n < 50; n++) {
    join(&w, n, "relay:a", "{}");
    forget_said(w.house);
  }
  uint32_t told = 0;
  for (int turn = 0; turn < 3;
       turn++) { /* 40 of 4 KB, and the same as leaves from the second turn on */
    for (uint32_t n = 10; n < 50; n++) {
      (void)snprintf(payload, sizeof payload, "{\"key\":\"k\",\"meta\":{\"%d\":\"%s\"}}", turn,
                     meta);
      tell(&w, n, turn == 0 ? "presence.track" : "presence.update", lk_slice_cstr(payload), false);
      hear(&w, &h);
      forget(&h);
    }
    w.now_ms = turn == 0 ? 1200 : turn == 1 ? 1500 : 1950;
    hear(&w, &h);
    told += is_heard(&h, "presence_diff", LK_PROFILE_MINIMAL);
    forget(&h);
  }
  CHECK_U64(told, 2);
  deinit(&w);
}

/* Goal: what memory is out for is told at once, one by one, or later, and never not at all.
 * Method: two changes while allocations fail, and then one more; the last thing that is told names the last of them, and what
 * came is told in order. An edge that could not be told anything begins again: of it nothing is asked. */
TEST(presence_is_told_to_slow_members_where_memory_was_out) {
  FAULT_LOOP(faults, test_alloc()) {
    world w;
    heard h;
    int last = 0;
    uint64_t failing = faults.fail_at;
    faults.fail_at = 0;
    init_with(&w, faulty_alloc(&faults));
    w.now_ms = 1000;
    join(&w, 1, "relay:a", SHOWN("ada", ""));
    join(&w, 2, "relay:a", HEARS(IS_CONSTRAINED));
    w.now_ms = 1050;
    hear(&w, &h);
    forget(&h);
    faults.fail_at = failing;
    faults.seen = 0;
    for (int i = 1; i <= 4; i++) {
      if (i == 3) join(&w, 3, "relay:a", HEARS(IS_CONSTRAINED));
      if (i == 4) faults.fail_at = 0;
      update_presence(&w, 1, "ada", i);
      for (int step = 0; step < (i == 4 ? 30 : 1); step++) {
        w.now_ms += 51;
        hear(&w, &h);
        if (find(&h, LK_BUS_HELLO) != NULL) last = 4;
        for (uint32_t k = 0; k < h.count; k++) {
          if (!is_told(&h, k, "presence_diff", LK_PROFILE_CONSTRAINED)) continue;
          size_t at = lk_slice_find(h.at[k].payload, LK_LIT("\"n\":"));
          int number = h.at[k].payload.ptr[at + 4] - '0';
          CHECK(number > last || last == 4);
          last = number > last ? number : last;
        }
        forget(&h);
      }
    }
    CHECK_U64(last, 4);
    faults.fail_at = failing; /* the loop goes on from there */
    deinit(&w);
  }
  CHECK_COVERED(house_presence_without_memory);
}
