/* Who asks which topics have changed hears of each change at least once, whatever dies when. */
#include "room/house.h"

#include "unit/room/house_world.h"

static const lk_slice ephemeral[] = { LK_LIT_INIT("crdt:e*") };
static const lk_slice watched[] = { LK_LIT_INIT("crdt:a*"), LK_LIT_INIT("crdt:e*") };

typedef struct world {
  house_world in;
  lk_buf said; /* the payloads of replies */
} world;

static void say(world *w, const lk_bus_message *m) {
  house_world_say(&w->in, m);
  lk_house_step(w->in.house, 0);
}

static void hello(world *w) {
  house_world_hello(&w->in);
  lk_house_step(w->in.house, 0);
}

static void begin(world *w) {
  house_world_open(&w->in);
  lk_house_set_date(w->in.house, 1000, 0);
  hello(w);
}

static void init(world *w) {
  house_world_init(&w->in, &(lk_room_policy){ .ephemeral = ephemeral,
                                              .ephemeral_count = 1,
                                              .watched = watched,
                                              .watched_count = 2,
                                              .idle_ms = 1000 });
  lk_buf_init(&w->said, test_alloc(), 100000);
  begin(w);
}

static void deinit(world *w) {
  house_world_deinit(&w->in);
  lk_buf_deinit(&w->said);
}

static void restart(world *w) {
  lk_house_close(w->in.house);
  begin(w);
}

static void query(world *w, lk_slice topic, lk_slice event, lk_slice payload) {
  say(w, &(lk_bus_message){ .kind = LK_BUS_QUERY,
                            .request = ++w->in.request,
                            .topic = topic,
                            .event = event,
                            .payload = payload,
                            .subject = LK_LIT("ann"),
                            .rights = LK_RIGHTS_ADMIN });
}

static void change(world *w, lk_slice topic) {
  query(w, topic, LK_LIT("ask"),
        LK_LIT("{\"event\":\"crdt.increment\",\"payload\":{\"payload\":{\"amount\":1}}}"));
}

/* What was replied since the last time, all payloads in a row. */
static lk_slice hear(world *w) {
  lk_bus_reader reader;
  lk_bus_message m;
  lk_slice in = lk_house_output(w->in.house, 0);
  size_t len = in.len;
  lk_buf_truncate(&w->said, 0);
  lk_bus_reader_init(&reader, test_alloc(), 1 << 20);
  lk_bus_reader_boundary(&reader);
  while (lk_bus_read(&reader, &in, &m) == LK_OK)
    if (m.kind == LK_BUS_REPLY) CHECK_OK(lk_buf_append(&w->said, m.payload));
  lk_bus_reader_deinit(&reader);
  lk_house_consume(w->in.house, 0, len);
  return lk_buf_slice(&w->said);
}

static uint64_t number_behind(lk_slice text, const char *name) {
  size_t at = lk_slice_find(text, lk_slice_cstr(name));
  uint64_t value = 0;
  CHECK(at != LK_SLICE_NONE);
  text = lk_slice_skip(text, at + lk_slice_cstr(name).len);
  for (; text.len > 0 && text.ptr[0] >= '0' && text.ptr[0] <= '9'; text = lk_slice_skip(text, 1))
    value = value * 10 + (uint64_t)(text.ptr[0] - '0');
  return value;
}

static void ask(world *w, uint64_t after, uint64_t serial) {
  lk_buf text;
  lk_buf_init(&text, test_alloc(), 200);
  (void)lk_buf_append(&text, LK_LIT("{\"after\":"));
  (void)lk_buf_append_decimal(&text, after);
  (void)lk_buf_append(&text, LK_LIT(",\"serial\":"));
  (void)lk_buf_append_decimal(&text, serial);
  CHECK_OK(lk_buf_append(&text, LK_LIT("}")));
  query(w, LK_SLICE_EMPTY, LK_LIT("changes"), lk_buf_slice(&text));
  lk_buf_deinit(&text);
}

static bool has(lk_slice text, const char *what) {
  return lk_slice_find(text, lk_slice_cstr(what)) != LK_SLICE_NONE;
}

TEST(changes_of_watched_topics_are_told_as_a_sum) {
  world w;
  init(&w);
  change(&w, LK_LIT("crdt:a"));
  change(&w, LK_LIT("crdt:a"));
  change(&w, LK_LIT("crdt:b"));
  change(&w, LK_LIT("crdt:e"));
  (void)hear(&w);
  ask(&w, 0, 0);
  lk_slice text = hear(&w);
  CHECK(has(text, "\"topic\":\"crdt:a\",\"sequence\":2,\"changes\":2,\"first\":1000,\"last\":1000,"
                  "\"memory\":false,\"by\":[\"ann\"]"));
  CHECK(has(text, "\"topic\":\"crdt:e\",\"sequence\":1,\"changes\":1"));
  CHECK(!has(text, "crdt:b"));
  CHECK_U64(number_behind(text, "\"upto\":"), 3);
  deinit(&w);
}

TEST(a_question_about_changes_waits_for_one) {
  world w;
  init(&w);
  ask(&w, 0, 0);
  CHECK_U64(hear(&w).len, 0);
  change(&w, LK_LIT("crdt:a"));
  CHECK(has(hear(&w), "\"topic\":\"crdt:a\""));
  deinit(&w);
}

TEST(changes_are_told_again_until_they_are_known_to_have_come) {
  world w;
  init(&w);
  change(&w, LK_LIT("crdt:a"));
  change(&w, LK_LIT("crdt:e"));
  ask(&w, 0, 0);
  (void)hear(&w);
  change(&w, LK_LIT("crdt:a"));
  (void)hear(&w);
  w.in.edge_generation++; /* another process, which has heard of nothing */
  w.in.request = 0;
  hello(&w);
  ask(&w, 0, 0);
  lk_slice text = hear(&w);
  CHECK(has(text, "\"topic\":\"crdt:a\",\"sequence\":2,\"changes\":2"));
  CHECK(has(text, "\"topic\":\"crdt:e\",\"sequence\":1,\"changes\":1"));
  ask(&w, number_behind(text, "\"upto\":"), number_behind(text, "\"serial\":"));
  CHECK_U64(hear(&w).len, 0);
  deinit(&w);
}

TEST(a_new_question_sends_the_old_one_home) {
  world w;
  init(&w);
  ask(&w, 0, 0);
  ask(&w, 0, 0);
  CHECK(has(hear(&w), "\"changes\":[],"));
  change(&w, LK_LIT("crdt:a"));
  CHECK(has(hear(&w), "\"topic\":\"crdt:a\""));
  deinit(&w);
}

/* Goal: what nobody has heard of is told by the house that comes next. Method: snapshots at once, so that the journal would
 * be emptied, were it not for whoever asks. */
TEST(changes_that_nobody_heard_of_are_told_behind_a_restart) {
  world w;
  init(&w);
  w.in.limits.room_tail_bytes = w.in.limits.log_segment_bytes = 1;
  for (int i = 0; i < 4; i++) change(&w, LK_LIT("crdt:a"));
  CHECK(lk_house_get_stats(w.in.house).snapshots > 0);
  change(&w, LK_LIT("crdt:e"));
  restart(&w);
  (void)hear(&w);
  ask(&w, 0, 0);
  lk_slice text = hear(&w);
  CHECK(has(text, "\"topic\":\"crdt:a\",\"sequence\":4,\"changes\":4"));
  CHECK(has(text, "\"topic\":\"crdt:e\",\"sequence\":1"));
  uint64_t upto = number_behind(text, "\"upto\":");
  CHECK_U64(upto, 4);
  ask(&w, upto, number_behind(text, "\"serial\":"));
  change(&w, LK_LIT("crdt:a1"));
  change(&w, LK_LIT("crdt:a2")); /* with which the records before are let go of */
  restart(&w);
  (void)hear(&w);
  ask(&w, upto, 0);
  text = hear(&w);
  CHECK(!has(text, "\"topic\":\"crdt:a\",") && has(text, "\"topic\":\"crdt:a1\""));
  deinit(&w);
}

/* Goal: whoever asks hears that a topic was deleted, by whom, and whether it was begun again. */
TEST(a_deletion_is_told) {
  const lk_slice topics[] = { LK_LIT("crdt:a"), LK_LIT("crdt:e") };
  for (int i = 0; i < 2; i++) {
    world w;
    init(&w);
    change(&w, topics[i]);
    query(&w, topics[i], LK_LIT("delete"), LK_LIT("{}"));
    (void)hear(&w);
    ask(&w, 0, 0);
    lk_slice text = hear(&w);
    CHECK(has(text, "\"sequence\":2,\"changes\":2"));
    CHECK(has(text, "\"by\":[\"ann\"],\"deleted\":true}"));
    uint64_t upto = number_behind(text, "\"upto\":"), serial = number_behind(text, "\"serial\":");
    change(&w, topics[i]);
    (void)hear(&w);
    ask(&w, upto, serial);
    CHECK(has(hear(&w), "\"by\":[\"ann\"]}")); /* the deletion has been told */
    query(&w, topics[i], LK_LIT("delete"), LK_LIT("{}"));
    (void)hear(&w);
    ask(&w, upto, serial);
    CHECK(has(hear(&w), "\"by\":[\"ann\"],\"deleted\":true}"));
    change(&w, topics[i]);
    (void)hear(&w);
    ask(&w, upto, serial); /* nobody has heard any of it, as far as we know */
    CHECK(has(hear(&w), "\"by\":[\"ann\"],\"anew\":true}"));
    deinit(&w);
  }
}

TEST(a_deletion_that_nobody_heard_of_is_told_behind_a_restart) {
  world w;
  init(&w);
  change(&w, LK_LIT("crdt:a"));
  query(&w, LK_LIT("crdt:a"), LK_LIT("delete"), LK_LIT("{}"));
  query(&w, LK_LIT("crdt:a1"), LK_LIT("delete"), LK_LIT("{}")); /* of which there was nothing */
  restart(&w);
  (void)hear(&w);
  ask(&w, 0, 0);
  lk_slice text = hear(&w);
  CHECK(has(text, "\"topic\":\"crdt:a\",\"sequence\":2") && has(text, "\"deleted\":true"));
  CHECK(!has(text, "crdt:a1"));
  deinit(&w);
}

/* The journal still has the deletion, and so has the house that comes next; but whoever asks has heard of it. */
TEST(a_deletion_that_was_told_is_not_told_again_behind_a_restart) {
  world w;
  init(&w);
  change(&w, LK_LIT("crdt:a"));
  query(&w, LK_LIT("crdt:a"), LK_LIT("delete"), LK_LIT("{}"));
  change(&w, LK_LIT("crdt:a"));
  (void)hear(&w);
  ask(&w, 0, 0);
  lk_slice text = hear(&w);
  CHECK(has(text, "\"anew\":true"));
  uint64_t upto = number_behind(text, "\"upto\":");
  ask(&w, upto, number_behind(text, "\"serial\":"));
  restart(&w);
  change(&w, LK_LIT("crdt:a"));
  (void)hear(&w);
  ask(&w, upto, 0);
  text = hear(&w);
  CHECK(has(text, "\"topic\":\"crdt:a\"") && !has(text, "anew"));
  deinit(&w);
}

/* What is in memory goes when it is idle, as its clients were told it would. */
TEST(what_is_erased_when_it_is_idle_is_not_told_as_deleted) {
  world w;
  init(&w);
  change(&w, LK_LIT("crdt:e"));
  lk_house_step(w.in.house, 5000);
  CHECK_U64(lk_house_get_stats(w.in.house).erased, 1);
  (void)hear(&w);
  ask(&w, 0, 0);
  CHECK(!has(hear(&w), "deleted"));
  deinit(&w);
}

TEST(only_who_may_administer_hears_of_changes) {
  world w;
  init(&w);
  change(&w, LK_LIT("crdt:a"));
  (void)hear(&w);
  say(&w, &(lk_bus_message){ .kind = LK_BUS_QUERY,
                             .request = ++w.in.request,
                             .event = LK_LIT("changes"),
                             .payload = LK_LIT("{\"after\":0,\"serial\":0}"),
                             .rights = LK_RIGHTS_WRITE });
  CHECK(has(hear(&w), "LK_ERR_DENIED"));
  query(&w, LK_SLICE_EMPTY, LK_LIT("changes"), LK_LIT("{}"));
  CHECK(has(hear(&w), "LK_ERR_TYPE"));
  deinit(&w);
}
