/* The table at the top of channel/session.c, line by line. */
#include "channel/session.h"

#include <stdio.h>

#include "harness/test.h"

static const uint64_t seed[2] = { 1, 2 };

typedef struct fixture {
  lk_limits limits;
  lk_session session;
  lk_arena scratch;
  lk_outbox output;
  lk_session_io io;
} fixture;

static void setup_as(fixture *f, lk_message_form form, const lk_alloc *alloc) {
  f->limits = lk_limits_default();
  lk_arena_init(&f->scratch, alloc, 1 << 20);
  lk_outbox_init(&f->output, alloc, 1 << 16);
  f->io = (lk_session_io){ alloc, &f->limits, seed, &f->scratch, &f->output };
  lk_session_init(&f->session, form);
}

static void setup(fixture *f) { setup_as(f, LK_MESSAGE_V2, test_alloc()); }

static void teardown(fixture *f) {
  lk_session_deinit(&f->session, f->io.alloc);
  lk_arena_deinit(&f->scratch);
  lk_outbox_deinit(&f->output);
}

static lk_session_events feed_all(fixture *f, lk_slice bytes, bool is_binary) {
  lk_session_events events;
  CHECK_OK(lk_session_feed(&f->session, &f->io, bytes, is_binary, &events));
  return events;
}

static lk_session_event feed(fixture *f, lk_slice text) {
  lk_session_events events = feed_all(f, text, false);
  CHECK_U64(events.count, 1);
  return events.items[0];
}

static void feed_quietly(fixture *f, lk_slice text) {
  CHECK_U64(feed_all(f, text, false).count, 0);
}

#define CHECK_SENT_AS(f, want, want_binary)                                                        \
  do {                                                                                             \
    lk_slice text_;                                                                                \
    bool is_binary_;                                                                               \
    CHECK(lk_outbox_next_message(&(f)->output, &text_, &is_binary_));                              \
    CHECK_TEXT(text_, want);                                                                       \
    CHECK(is_binary_ == (want_binary));                                                            \
  } while (0)
#define CHECK_SENT(f, want) CHECK_SENT_AS(f, want, false)

static void check_silent(fixture *f) { CHECK(lk_outbox_is_empty(&f->output)); }

/* An answer to |e| with |payload|. */
static lk_session_answer answer_to(const lk_session_event *e, lk_slice status, lk_slice payload) {
  return (lk_session_answer){
    .topic = e->topic, .channel = e->channel, .ref = e->ref, .status = status, .payload = payload
  };
}

static void accept(fixture *f, const lk_session_event *e, lk_slice payload) {
  lk_session_answer a = answer_to(e, LK_SLICE_EMPTY, payload);
  CHECK_OK(lk_session_accept(&f->session, &f->io, &a));
}

static void refuse(fixture *f, const lk_session_event *e, lk_slice payload) {
  lk_session_answer a = answer_to(e, LK_SLICE_EMPTY, payload);
  CHECK_OK(lk_session_refuse(&f->session, &f->io, &a));
}

static void reply(fixture *f, const lk_session_event *e, lk_slice status, lk_slice payload) {
  lk_session_answer a = answer_to(e, status, payload);
  CHECK_OK(lk_session_reply(&f->session, &f->io, &a));
}

static bool has(const fixture *f, lk_slice topic, uint32_t channel) {
  return lk_session_has(&f->session, &f->io, topic, channel);
}

static uint32_t join(fixture *f) {
  lk_session_event e = feed(f, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{\"p\":1}]"));
  CHECK(e.kind == LK_SESSION_JOIN);
  CHECK_TEXT(e.topic, "crdt:a");
  CHECK_TEXT(e.payload, "{\"p\":1}");
  accept(f, &e, LK_LIT("{\"hi\":1}"));
  CHECK_SENT(f,
             "[\"1\",\"1\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{\"hi\":1}}]");
  return e.channel;
}

TEST(a_heartbeat_is_answered_at_once) {
  fixture f;
  setup(&f);
  feed_quietly(&f, LK_LIT("[null,\"5\",\"phoenix\",\"heartbeat\",{}]"));
  CHECK_SENT(&f, "[null,\"5\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  check_silent(&f);
  teardown(&f);
  teardown(&f);
}

TEST(an_event_for_a_topic_that_was_not_joined_is_unmatched_with_a_null_join_ref) {
  fixture f;
  setup(&f);
  feed_quietly(&f, LK_LIT("[null,\"7\",\"phoenix\",\"x\",{}]")); /* not a heartbeat */
  CHECK_SENT(&f, "[null,\"7\",\"phoenix\",\"phx_reply\",{\"status\":\"error\",\"response\":{"
                 "\"reason\":\"unmatched topic\"}}]");
  feed_quietly(&f, LK_LIT("[\"1\",\"2\",\"crdt:a\",\"x\",{}]"));
  CHECK_SENT(&f, "[null,\"2\",\"crdt:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{"
                 "\"reason\":\"unmatched topic\"}}]");
  teardown(&f);
}

TEST(events_reach_the_room_with_their_own_or_a_null_join_ref_and_stale_ones_do_not) {
  fixture f;
  setup(&f);
  uint32_t channel = join(&f);
  lk_session_event e = feed(&f, LK_LIT("[\"1\",\"2\",\"crdt:a\",\"ev\",[1]]"));
  CHECK(e.kind == LK_SESSION_MESSAGE && e.channel == channel);
  CHECK_TEXT(e.event, "ev");
  reply(&f, &e, LK_LIT("teapot"), LK_LIT("{}"));
  CHECK_SENT(&f, "[\"1\",\"2\",\"crdt:a\",\"phx_reply\",{\"status\":\"teapot\",\"response\":{}}]");
  e = feed(&f, LK_LIT("[null,null,\"crdt:a\",\"ev\",{}]"));
  CHECK(e.kind == LK_SESSION_MESSAGE && e.ref.ptr == NULL);
  reply(&f, &e, LK_LIT("ok"), LK_LIT("{}"));
  check_silent(&f); /* nobody asked */
  feed_quietly(&f, LK_LIT("[\"9\",\"3\",\"crdt:a\",\"ev\",{}]"));
  check_silent(&f);
  teardown(&f);
}

/* Goal: no member can make others believe that the server spoke, through a room that passes events on. */
TEST(events_that_only_a_server_says_never_reach_the_room) {
  static const char *const words[] = { "phx_close",      "phx_error",       "phx_reply",
                                       "phx_",           "phx_\\u0063lose", "chan_reply_7",
                                       "presence_state", "presence_diff" };
  fixture f;
  setup(&f);
  join(&f);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    char text[128];
    int len = snprintf(text, sizeof text, "[null,\"2\",\"crdt:a\",\"%s\",{}]", words[i]);
    feed_quietly(&f, lk_slice_of(text, (size_t)len));
    CHECK_SENT(&f, "[\"1\",\"2\",\"crdt:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{"
                   "\"reason\":\"reserved event\"}}]");
  }
  feed_quietly(&f, LK_LIT("[\"0\",\"2\",\"crdt:a\",\"phx_close\",{}]")); /* stale */
  feed_quietly(&f, LK_LIT("[\"1\",null,\"crdt:a\",\"phx_close\",{}]"));
  check_silent(&f);
  CHECK(feed(&f, LK_LIT("[\"1\",\"2\",\"crdt:a\",\"phx\",{}]")).kind == LK_SESSION_MESSAGE);
  CHECK(feed(&f, LK_LIT("[\"1\",\"2\",\"crdt:a\",\"chan_reply\",{}]")).kind == LK_SESSION_MESSAGE);
  teardown(&f);
}

TEST(leaving_is_answered_then_closed_and_a_second_time_only_answered) {
  fixture f;
  setup(&f);
  uint32_t channel = join(&f);
  feed_quietly(&f, LK_LIT("[\"9\",\"3\",\"crdt:a\",\"phx_leave\",{}]")); /* stale */
  check_silent(&f);
  lk_session_event e = feed(&f, LK_LIT("[\"1\",\"4\",\"crdt:a\",\"phx_leave\",{}]"));
  CHECK(e.kind == LK_SESSION_LEAVE && e.channel == channel);
  CHECK_SENT(&f, "[\"1\",\"4\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  CHECK_SENT(&f, "[\"1\",\"1\",\"crdt:a\",\"phx_close\",{}]");
  feed_quietly(&f, LK_LIT("[\"1\",\"5\",\"crdt:a\",\"phx_leave\",{}]"));
  CHECK_SENT(&f, "[\"1\",\"5\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  check_silent(&f);
  /* What comes for the joining that is gone goes nowhere. */
  lk_session_answer a = { .topic = LK_LIT("crdt:a"), .channel = channel, .event = LK_LIT("e") };
  CHECK_OK(lk_session_push(&f.session, &f.io, &a));
  check_silent(&f);
  teardown(&f);
}

TEST(a_topic_with_escapes_is_the_topic_that_they_spell) {
  fixture f;
  setup(&f);
  uint32_t channel = join(&f);
  lk_session_event e = feed(&f, LK_LIT("[\"1\",\"2\",\"crdt:\\u0061\",\"e\\u0076\",{}]"));
  CHECK(e.kind == LK_SESSION_MESSAGE && e.channel == channel);
  CHECK_TEXT(e.topic, "crdt:a");
  CHECK_TEXT(e.event, "ev");
  teardown(&f);
}

TEST(a_join_that_nobody_serves_is_unmatched_with_a_null_join_ref_and_forgotten) {
  fixture f;
  setup(&f);
  lk_session_event e = feed(&f, LK_LIT("[\"1\",\"1\",\"x\",\"phx_join\",{}]"));
  lk_session_answer a = answer_to(&e, LK_SLICE_EMPTY, LK_SLICE_EMPTY);
  a.channel++; /* another joining's */
  CHECK_OK(lk_session_unmatched(&f.session, &f.io, &a));
  check_silent(&f);
  a.channel--;
  CHECK_OK(lk_session_unmatched(&f.session, &f.io, &a));
  CHECK_SENT(&f, "[null,\"1\",\"x\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":"
                 "\"unmatched topic\"}}]");
  CHECK(!has(&f, LK_LIT("x"), e.channel));
  teardown(&f);
}

TEST(a_second_join_replaces_the_first_reply_first_then_close_of_the_old) {
  fixture f;
  setup(&f);
  uint32_t channel = join(&f);
  CHECK(lk_session_set_tag(&f.session, &f.io, LK_LIT("crdt:a"), channel, 77));
  lk_session_events two = feed_all(&f, LK_LIT("[\"6\",\"6\",\"crdt:a\",\"phx_join\",{}]"), false);
  CHECK_U64(two.count, 2);
  CHECK(two.items[0].kind == LK_SESSION_LEAVE && two.items[0].channel == channel);
  CHECK_U64(two.items[0].tag, 77);
  CHECK(two.items[1].kind == LK_SESSION_JOIN && two.items[1].channel != channel);
  CHECK_U64(two.items[1].tag, 0);
  accept(&f, &two.items[1], LK_SLICE_EMPTY);
  CHECK_SENT(&f, "[\"6\",\"6\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  CHECK_SENT(&f, "[\"1\",\"1\",\"crdt:a\",\"phx_close\",{}]");
  check_silent(&f);
  teardown(&f);
}

/* Goal: the close of the joining that was accepted is not lost where two others replace it before the room answers. */
TEST(a_third_join_before_the_second_is_answered_still_closes_the_first) {
  fixture f;
  setup(&f);
  (void)join(&f);
  lk_session_event second =
      feed_all(&f, LK_LIT("[\"6\",\"6\",\"crdt:a\",\"phx_join\",{}]"), false).items[1];
  lk_session_events e = feed_all(&f, LK_LIT("[\"7\",\"7\",\"crdt:a\",\"phx_join\",{}]"), false);
  CHECK(e.items[0].kind == LK_SESSION_LEAVE && e.items[0].channel == second.channel);
  accept(&f, &second, LK_SLICE_EMPTY);
  check_silent(&f);
  accept(&f, &e.items[1], LK_SLICE_EMPTY);
  CHECK_SENT(&f, "[\"7\",\"7\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  CHECK_SENT(&f, "[\"1\",\"1\",\"crdt:a\",\"phx_close\",{}]");
  check_silent(&f);
  /* A joining that nobody accepted needs no close. */
  e = feed_all(&f, LK_LIT("[\"8\",\"8\",\"crdt:b\",\"phx_join\",{}]"), false);
  e = feed_all(&f, LK_LIT("[\"9\",\"9\",\"crdt:b\",\"phx_join\",{}]"), false);
  accept(&f, &e.items[1], LK_SLICE_EMPTY);
  CHECK_SENT(&f, "[\"9\",\"9\",\"crdt:b\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  check_silent(&f);
  teardown(&f);
}

TEST(a_refused_join_and_an_ended_room_may_be_joined_again) {
  fixture f;
  setup(&f);
  lk_session_event e = feed(&f, LK_LIT("[\"1\",\"1\",\"x:a\",\"phx_join\",{}]"));
  refuse(&f, &e, LK_LIT("{\"reason\":\"no\"}"));
  CHECK_SENT(&f, "[\"1\",\"1\",\"x:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{"
                 "\"reason\":\"no\"}}]");
  CHECK(!has(&f, LK_LIT("x:a"), e.channel));
  lk_session_answer a = { .topic = LK_LIT("crdt:a"), .channel = join(&f) };
  CHECK(has(&f, a.topic, a.channel));
  CHECK_OK(lk_session_crash(&f.session, &f.io, &a));
  CHECK_SENT(&f, "[\"1\",\"1\",\"crdt:a\",\"phx_error\",{\"reason\":\"channel_crash\"}]");
  a.channel = join(&f);
  a.payload = LK_LIT("{\"reason\":\"storage\"}");
  CHECK_OK(lk_session_crash(&f.session, &f.io, &a));
  CHECK_SENT(&f, "[\"1\",\"1\",\"crdt:a\",\"phx_error\",{\"reason\":\"storage\"}]");
  a.channel = join(&f);
  CHECK_OK(lk_session_close(&f.session, &f.io, &a));
  CHECK_SENT(&f, "[\"1\",\"1\",\"crdt:a\",\"phx_close\",{}]");
  (void)join(&f);
  teardown(&f);
}

TEST(answers_to_a_joining_that_is_gone_go_nowhere) {
  fixture f;
  setup(&f);
  lk_session_answer a = { .topic = LK_LIT("crdt:a"),
                          .channel = join(&f),
                          .ref = LK_LIT("1"),
                          .status = LK_LIT("ok"),
                          .event = LK_LIT("e") };
  (void)feed(&f, LK_LIT("[\"1\",\"4\",\"crdt:a\",\"phx_leave\",{}]"));
  lk_outbox_clear(&f.output);
  CHECK_OK(lk_session_accept(&f.session, &f.io, &a));
  CHECK_OK(lk_session_refuse(&f.session, &f.io, &a));
  CHECK_OK(lk_session_unmatched(&f.session, &f.io, &a));
  CHECK_OK(lk_session_reply(&f.session, &f.io, &a));
  CHECK_OK(lk_session_push(&f.session, &f.io, &a));
  CHECK_OK(lk_session_crash(&f.session, &f.io, &a));
  CHECK_OK(lk_session_close(&f.session, &f.io, &a));
  CHECK(!lk_session_set_tag(&f.session, &f.io, a.topic, a.channel, 1));
  check_silent(&f);
  CHECK_OK(lk_session_too_late(&f.session, &f.io, &a));
  CHECK_SENT(&f, "[null,\"1\",\"crdt:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{"
                 "\"reason\":\"unmatched topic\"}}]");
  teardown(&f);
}

TEST(the_end_of_a_connection_leaves_every_topic_in_order) {
  fixture f;
  lk_session_event e;
  setup(&f);
  uint32_t channel = join(&f);
  CHECK(lk_session_set_tag(&f.session, &f.io, LK_LIT("crdt:a"), channel, 5));
  (void)feed(&f, LK_LIT("[\"2\",\"2\",\"crdt:b\",\"phx_join\",{}]"));
  CHECK(lk_session_end(&f.session, &f.io, &e));
  CHECK_TEXT(e.topic, "crdt:a");
  CHECK(e.kind == LK_SESSION_LEAVE && e.channel == channel && e.tag == 5);
  CHECK(lk_session_end(&f.session, &f.io, &e));
  CHECK_TEXT(e.topic, "crdt:b");
  CHECK(!lk_session_end(&f.session, &f.io, &e));
  CHECK(!lk_session_end(&f.session, &f.io, &e));
  teardown(&f);
}

TEST(topics_and_waiting_output_are_bounded) {
  fixture f;
  lk_session_events events;
  setup(&f);
  f.limits.channel_topics_count = 1;
  lk_outbox_init(&f.output, test_alloc(),
                 210); /* the length of a fourth heartbeat fits, its text does not */
  (void)feed(&f, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  feed_quietly(&f, LK_LIT("[\"2\",\"2\",\"crdt:b\",\"phx_join\",{}]"));
  CHECK_SENT(&f, "[\"2\",\"2\",\"crdt:b\",\"phx_reply\",{\"status\":\"error\",\"response\":{"
                 "\"reason\":\"too many channels joined\"}}]");
  CHECK_U64(feed_all(&f, LK_LIT("[\"3\",\"3\",\"crdt:a\",\"phx_join\",{}]"), false).count, 2);
  check_silent(&f);
  lk_err err = LK_OK;
  for (int i = 0; i < 10 && err == LK_OK; i++) {
    err = lk_session_feed(&f.session, &f.io, LK_LIT("[null,\"5\",\"phoenix\",\"heartbeat\",{}]"),
                          false, &events);
  }
  CHECK_ERR(err, LK_ERR_LIMIT);
  CHECK_COVERED(outbox_took_a_message_back);
  for (int i = 0; i < 3; i++) {
    CHECK_SENT(&f, "[null,\"5\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  }
  check_silent(&f); /* of what did not fit not even its length is there */
  teardown(&f);
}

TEST(a_token_is_handed_out_and_answered_like_a_message_of_the_connection) {
  fixture f;
  setup(&f);
  lk_session_event e = feed(
      &f, LK_LIT("[null,\"3\",\"phoenix\",\"access_token\",{\"x\":1,\"token\":\"a\\u0062c\"}]"));
  CHECK(e.kind == LK_SESSION_TOKEN && e.channel == 0);
  CHECK_TEXT(e.payload, "abc");
  CHECK_TEXT(e.ref, "3");
  reply(&f, &e, LK_LIT("error"), LK_LIT("{\"reason\":\"expired\"}"));
  CHECK_SENT(&f, "[null,\"3\",\"phoenix\",\"phx_reply\",{\"status\":\"error\",\"response\":{"
                 "\"reason\":\"expired\"}}]");
  feed_quietly(&f, LK_LIT("[null,\"4\",\"phoenix\",\"access_token\",{\"token\":5}]"));
  CHECK_SENT(&f, "[null,\"4\",\"phoenix\",\"phx_reply\",{\"status\":\"error\",\"response\":{"
                 "\"reason\":\"no token\"}}]");
  feed_quietly(&f, LK_LIT("[null,\"4\",\"phoenix\",\"access_token\",[]]"));
  CHECK_SENT(&f, "[null,\"4\",\"phoenix\",\"phx_reply\",{\"status\":\"error\",\"response\":{"
                 "\"reason\":\"no token\"}}]");
  /* On another topic it is a room's event. */
  (void)join(&f);
  e = feed(&f, LK_LIT("[\"1\",\"5\",\"crdt:a\",\"access_token\",{\"token\":\"t\"}]"));
  CHECK(e.kind == LK_SESSION_MESSAGE);
  teardown(&f);
}

/* The frames of the captures: see message_test.c for each layout. */
TEST(binary_pushes_are_taken_and_binary_answers_go_as_frames) {
  fixture f;
  setup(&f);
  lk_session_event e = feed(&f, LK_LIT("[\"2\",\"2\",\"cap:a\",\"phx_join\",{}]"));
  accept(&f, &e, LK_SLICE_EMPTY);
  CHECK_SENT(&f, "[\"2\",\"2\",\"cap:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  e = feed_all(&f,
               LK_LIT("\x00\x01\x02\x05\x03"
                      "212cap:abin\x01\x02\x03"),
               true)
          .items[0];
  CHECK(e.kind == LK_SESSION_MESSAGE && e.is_binary);
  CHECK_TEXT(e.event, "bin");
  CHECK_TEXT(e.payload, "\x01\x02\x03");
  lk_session_answer a = answer_to(&e, LK_LIT("ok"), e.payload);
  a.is_binary = true;
  CHECK_OK(lk_session_reply(&f.session, &f.io, &a));
  CHECK_SENT_AS(&f,
                "\x01\x01\x02\x05\x02"
                "212cap:aok\x01\x02\x03",
                true);
  a.event = LK_LIT("bp");
  CHECK_OK(lk_session_push(&f.session, &f.io, &a));
  CHECK_SENT_AS(&f,
                "\x00\x01\x05\x02"
                "2cap:abp\x01\x02\x03",
                true);
  a.payload = LK_SLICE_EMPTY; /* no bytes are not {} */
  CHECK_OK(lk_session_push(&f.session, &f.io, &a));
  CHECK_SENT_AS(&f,
                "\x00\x01\x05\x02"
                "2cap:abp",
                true);
  /* Also what the session itself answers may have come in a frame. */
  (void)feed_all(&f,
                 LK_LIT("\x00\x00\x01\x07\x09"
                        "7phoenixheartbeat"),
                 true);
  CHECK_SENT(&f, "[null,\"7\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  (void)feed_all(&f,
                 LK_LIT("\x00\x00\x01\x07\x0c"
                        "7phoenixaccess_token{}"),
                 true);
  CHECK_SENT(&f, "[null,\"7\",\"phoenix\",\"phx_reply\",{\"status\":\"error\",\"response\":{"
                 "\"reason\":\"no token\"}}]");
  teardown(&f);
}

TEST(a_long_poll_client_gets_bytes_as_base64_in_json) {
  fixture f;
  setup_as(&f, LK_MESSAGE_V2_TEXT, test_alloc());
  lk_session_event e = feed(&f, LK_LIT("[\"2\",\"2\",\"cap:a\",\"phx_join\",{}]"));
  accept(&f, &e, LK_SLICE_EMPTY);
  lk_outbox_clear(&f.output);
  e = feed_all(&f,
               LK_LIT("\x00\x01\x02\x05\x03"
                      "212cap:abin\x01\x02\x03"),
               true)
          .items[0];
  lk_session_answer a = answer_to(&e, LK_LIT("ok"), LK_LIT("\x01\x02\xff\xfe"));
  a.is_binary = true;
  a.event = LK_LIT("bp");
  CHECK_OK(lk_session_reply(&f.session, &f.io, &a));
  CHECK_SENT(&f, "[\"2\",\"12\",\"cap:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{\"b64\":"
                 "\"AQL//g==\"}}]");
  CHECK_OK(lk_session_push(&f.session, &f.io, &a));
  CHECK_SENT(&f, "[\"2\",null,\"cap:a\",\"bp\",{\"b64\":\"AQL//g==\"}]");
  teardown(&f);
}

TEST(a_client_of_the_first_version_speaks_in_objects_and_needs_no_join_ref) {
  fixture f;
  setup_as(&f, LK_MESSAGE_V1, test_alloc());
  feed_quietly(
      &f, LK_LIT("{\"topic\":\"phoenix\",\"event\":\"heartbeat\",\"payload\":{},\"ref\":\"1\"}"));
  CHECK_SENT(&f, "{\"topic\":\"phoenix\",\"event\":\"phx_reply\",\"ref\":\"1\",\"payload\":{"
                 "\"status\":\"ok\",\"response\":{}}}");
  lk_session_event e = feed(
      &f,
      LK_LIT("{\"topic\":\"cap:a\",\"event\":\"phx_join\",\"payload\":{\"x\":1},\"ref\":\"2\"}"));
  CHECK_TEXT(e.payload, "{\"x\":1}");
  accept(&f, &e, LK_SLICE_EMPTY);
  CHECK_SENT(&f, "{\"topic\":\"cap:a\",\"event\":\"phx_reply\",\"ref\":\"2\",\"payload\":{"
                 "\"status\":\"ok\",\"response\":{}}}");
  e = feed(&f, LK_LIT("{\"ref\":\"3\",\"event\":\"e\",\"payload\":5,\"topic\":\"cap:a\"}"));
  CHECK(e.kind == LK_SESSION_MESSAGE);
  lk_session_answer a = answer_to(&e, LK_LIT("ok"), LK_LIT("\xff"));
  a.is_binary = true;
  a.event = LK_LIT("bp");
  CHECK_OK(lk_session_push(&f.session, &f.io, &a));
  CHECK_SENT(&f,
             "{\"topic\":\"cap:a\",\"event\":\"bp\",\"ref\":null,\"payload\":{\"b64\":\"/w==\"}}");
  lk_session_events none;
  CHECK_ERR(lk_session_feed(&f.session, &f.io,
                            LK_LIT("\x00\x00\x01\x07\x09"
                                   "7phoenixheartbeat"),
                            true, &none),
            LK_ERR_BAD_MESSAGE);
  CHECK_U64(none.count, 0);
  (void)feed(&f,
             LK_LIT("{\"topic\":\"cap:a\",\"event\":\"phx_leave\",\"payload\":{},\"ref\":\"4\"}"));
  CHECK_SENT(&f, "{\"topic\":\"cap:a\",\"event\":\"phx_reply\",\"ref\":\"4\",\"payload\":{"
                 "\"status\":\"ok\",\"response\":{}}}");
  CHECK_SENT(&f, "{\"topic\":\"cap:a\",\"event\":\"phx_close\",\"ref\":null,\"payload\":{}}");
  check_silent(&f);
  teardown(&f);
}

/* What the figures of 10,000 idle connections rest on. */
TEST(an_idle_session_in_one_topic_costs_at_most_160_bytes) {
  fixture f;
  setup(&f);
  lk_session_event e = feed(&f,
                            LK_LIT("[\"17\",\"17\",\"crdt:a-topic-of-25-bytes\",\"phx_join\",{}]"));
  accept(&f, &e, LK_SLICE_EMPTY);
  CHECK(sizeof f.session + lk_session_bytes(&f.session) <= 120); /* and what malloc adds */
  teardown(&f);
}

static lk_slice join_text(lk_buf *buf, uint32_t number, const char *event) {
  lk_buf_truncate(buf, 0);
  lk_buf_append(buf, LK_LIT("[\"1\",\"1\",\"t:"));
  lk_buf_append_decimal(buf, number);
  lk_buf_append(buf, LK_LIT("\",\""));
  lk_buf_append(buf, lk_slice_cstr(event));
  lk_buf_append(buf, LK_LIT("\",{}]"));
  return lk_buf_slice(buf);
}

/* Goal: what holds of one topic holds of any number, through the table's growing and shrinking.
 * Method: a model of which of the topics are joined, under random joins and leaves that lean to the one, then to the other. */
PROPERTY_SLOW(many_topics_are_found_as_one_is, 20) {
  static uint32_t channels[300];
  fixture f;
  lk_buf text;
  setup(&f);
  f.limits.channel_topics_count = 300;
  lk_buf_init(&text, test_alloc(), 1000);
  memset(channels, 0, sizeof channels);
  uint32_t joined = 0, topics = gen_chance(g, 1, 2) ? 300 : 20, turns = gen_below(g, 1500);
  for (uint32_t i = 0; i < turns; i++) {
    uint32_t topic = gen_below(g, topics);
    bool leans_to_join = i < turns / 2, is_join = gen_chance(g, leans_to_join ? 4 : 1, 5);
    lk_session_events e = feed_all(&f, join_text(&text, topic, is_join ? "phx_join" : "phx_leave"),
                                   false);
    CHECK_U64(e.count, (channels[topic] != 0) + is_join);
    if (channels[topic] != 0) CHECK_U64(e.items[0].channel, channels[topic]);
    joined = joined - (channels[topic] != 0) + is_join;
    channels[topic] = is_join ? e.items[e.count - 1].channel : 0;
    lk_outbox_clear(&f.output);
    lk_arena_reset(&f.scratch);
    CHECK_U64(lk_session_count(&f.session), joined);
    CHECK(f.session.table_cap == 0 || f.session.table_cap >= 2 * joined);
    if (joined <= 4) CHECK_U64(f.session.table_cap, 0);
  }
  for (uint32_t topic = 0; topic < topics; topic++) {
    lk_slice name = lk_slice_cut(lk_slice_skip(join_text(&text, topic, "e"), 10), '"',
                                 &(lk_slice){ 0 });
    if (channels[topic] != 0) CHECK(has(&f, name, channels[topic]));
  }
  lk_session_event e;
  uint32_t last = 0;
  while (lk_session_end(&f.session, &f.io, &e)) {
    CHECK(e.channel > last);
    last = e.channel;
    joined--;
  }
  CHECK_U64(joined, 0);
  lk_buf_deinit(&text);
  teardown(&f);
}

/* Goal: what fails for want of memory leaves the channels as before, and works when memory is there. */
TEST(a_session_without_memory_stays_as_it_was) {
  FAULT_LOOP(faults, test_alloc()) {
    fixture f;
    lk_buf text;
    setup_as(&f, LK_MESSAGE_V2, faulty_alloc(&faults));
    lk_buf_init(&text, test_alloc(), 1000);
    lk_session_events e;
    lk_err err = LK_OK;
    uint32_t joined = 0;
    for (uint32_t i = 0; i < 20 && err == LK_OK; i++) {
      err = lk_session_feed(&f.session, &f.io, join_text(&text, i, "phx_join"), false, &e);
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      CHECK_U64(e.count, err == LK_OK);
      joined += err == LK_OK;
      CHECK_U64(lk_session_count(&f.session), joined);
      if (err != LK_OK) break;
      lk_session_answer a = answer_to(&e.items[0], LK_LIT("ok"), LK_SLICE_EMPTY);
      err = lk_session_accept(&f.session, &f.io, &a);
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      CHECK(has(&f, a.topic, a.channel));
    }
    if (err == LK_OK) {
      err = lk_session_feed(&f.session, &f.io, join_text(&text, 3, "phx_join"), false, &e);
      CHECK_U64(lk_session_count(&f.session), 20);
      CHECK_U64(e.count, err == LK_OK ? 2 : 0);
    }
    for (uint32_t i = 0; i < 20 && err == LK_OK; i++) {
      err = lk_session_feed(&f.session, &f.io, join_text(&text, i, "phx_leave"), false, &e);
      CHECK_U64(e.count, err == LK_OK);
      CHECK_U64(lk_session_count(&f.session), 20 - i - (err == LK_OK));
    }
    lk_buf_deinit(&text);
    teardown(&f);
  }
}

/* ---- connections of one document ---- */

#define STEP1 LK_LIT("\x00\x00\x01\x00")
#define UPDATE LK_LIT("\x00\x02\x02\x00\x00")

static lk_session_event open_document(fixture *f) {
  lk_session_events events;
  setup_as(f, LK_MESSAGE_Y, test_alloc());
  CHECK_OK(lk_session_open(&f->session, &f->io, LK_LIT("doc:a"), LK_LIT("{\"dialect\":\"y\"}"),
                           &events));
  CHECK_U64(events.count, 1);
  CHECK(events.items[0].kind == LK_SESSION_JOIN);
  CHECK_TEXT(events.items[0].topic, "doc:a");
  CHECK_TEXT(events.items[0].payload, "{\"dialect\":\"y\"}");
  return events.items[0];
}

TEST(a_connection_of_one_document_sends_and_gets_its_messages_and_no_replies) {
  fixture f;
  lk_session_event e = open_document(&f);
  lk_session_events events = feed_all(&f, STEP1, true); /* peers do not wait for the room */
  CHECK_U64(events.count, 1);
  accept(&f, &e, LK_LIT("{}"));
  events = feed_all(&f, UPDATE, true);
  CHECK(events.items[0].kind == LK_SESSION_MESSAGE && events.items[0].is_binary);
  CHECK_U64(events.items[0].channel, e.channel);
  CHECK_TEXT(events.items[0].topic, "doc:a");
  CHECK_TEXT(events.items[0].event, "yjs");
  CHECK_SLICE(events.items[0].payload, UPDATE);
  CHECK(events.items[0].ref.ptr == NULL);
  reply(&f, &events.items[0], LK_LIT("ok"), LK_LIT("{}"));
  check_silent(&f);
  lk_session_answer a = answer_to(&e, LK_SLICE_EMPTY, LK_LIT("\x09"));
  a.event = LK_LIT("server_update");
  a.is_binary = true;
  CHECK_OK(lk_session_push(&f.session, &f.io, &a));
  CHECK_SENT_AS(&f, "\x00\x02\x01\x09", true);
  a = answer_to(&e, LK_SLICE_EMPTY, LK_LIT("{}"));
  a.event = LK_LIT("presence_diff");
  CHECK_OK(lk_session_push(&f.session, &f.io, &a));
  check_silent(&f);
  CHECK(lk_session_end(&f.session, &f.io, &e) && e.kind == LK_SESSION_LEAVE);
  CHECK(!lk_session_end(&f.session, &f.io, &e));
  teardown(&f);
}

TEST(what_is_no_message_of_a_document_is_refused_and_changes_nothing) {
  static const struct {
    lk_slice bytes;
    lk_err err;
  } rows[] = {
    { LK_LIT_INIT(""), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x09"), LK_ERR_UNKNOWN_EVENT },
    { LK_LIT_INIT("\x00\x02\x05\x00"), LK_ERR_TRUNCATED },
    { LK_LIT_INIT("\x00\x02\x02\x00\x00\x00"),
      LK_ERR_TRUNCATED }, /* a whole one and half of another */
    { LK_LIT_INIT("[\"1\",\"1\",\"doc:b\",\"phx_join\",{}]"), LK_ERR_UNKNOWN_EVENT },
  };
  fixture f;
  lk_session_events events;
  lk_session_event e = open_document(&f);
  accept(&f, &e, LK_LIT("{}"));
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    CHECK_ERR(lk_session_feed(&f.session, &f.io, rows[i].bytes, true, &events), rows[i].err);
    CHECK_U64(events.count, 0);
  }
  CHECK_ERR(lk_session_feed(&f.session, &f.io, STEP1, false, &events), LK_ERR_UNSUPPORTED);
  CHECK_U64(feed_all(&f, LK_LIT("\x00\x02\x02\x00\x00\x03"), true).count, 1); /* two of them */
  check_silent(&f);
  teardown(&f);
}

TEST(the_name_of_a_document_is_bounded_text) {
  fixture f;
  lk_session_events events;
  uint8_t name[256];
  memset(name, 'a', sizeof name);
  setup_as(&f, LK_MESSAGE_Y, test_alloc());
  CHECK_ERR(lk_session_open(&f.session, &f.io, lk_slice_of(name, 256), LK_LIT("{}"), &events),
            LK_ERR_TOO_BIG);
  CHECK_ERR(lk_session_open(&f.session, &f.io, LK_LIT("doc:\xff"), LK_LIT("{}"), &events),
            LK_ERR_UTF8);
  CHECK_ERR(lk_session_feed(&f.session, &f.io, STEP1, true, &events), LK_ERR_NOT_JOINED);
  CHECK_OK(lk_session_open(&f.session, &f.io, lk_slice_of(name, 255), LK_LIT("{}"), &events));
  teardown(&f);
}

/* Goal: a client that would be refused again is told so, and others come back. */
TEST(what_ends_the_joining_of_a_document_says_why_the_connection_ends) {
  static const struct {
    const char *payload;
    lk_err err;
  } rows[] = {
    { "{\"reason\":\"unauthorized\"}", LK_ERR_DENIED },
    { "{\"reason\":\"token_invalid\",\"message\":\"m\"}", LK_ERR_TOKEN_INVALID },
    { "{\"reason\":\"token_expired\"}", LK_ERR_TOKEN_EXPIRED },
    { "{\"reason\":\"replica_refused\",\"message\":\"m\"}", LK_ERR_REFUSED },
    { "{\"reason\":\"server full\"}", LK_ERR_FULL },
    { "{\"reason\":\"m\",\"message\":\"\\\"reason\\\":\\\"unauthorized\\\"\"}", LK_ERR_FULL },
    { "{}", LK_ERR_FULL },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    for (int as_reply = 0; as_reply < 2; as_reply++) {
      fixture f;
      lk_session_event e = open_document(&f);
      lk_session_answer a = answer_to(&e, LK_LIT("error"), lk_slice_cstr(rows[i].payload));
      CHECK_ERR(as_reply == 1 ? lk_session_reply(&f.session, &f.io, &a)
                              : lk_session_refuse(&f.session, &f.io, &a),
                rows[i].err);
      CHECK_U64(lk_session_count(&f.session), (uint64_t)as_reply);
      check_silent(&f);
      teardown(&f);
    }
  }
}

TEST(the_end_of_a_room_ends_the_connection_of_its_document) {
  fixture f;
  lk_err (*const ends[])(lk_session *, const lk_session_io *,
                         const lk_session_answer *) = { lk_session_crash, lk_session_close,
                                                        lk_session_unmatched };
  static const lk_err errs[] = { LK_ERR_CLOSED, LK_ERR_CLOSED, LK_ERR_UNMATCHED_TOPIC };
  for (size_t i = 0; i < 3; i++) {
    lk_session_event e = open_document(&f);
    lk_session_answer a = answer_to(&e, LK_SLICE_EMPTY, LK_SLICE_EMPTY);
    CHECK_ERR(ends[i](&f.session, &f.io, &a), errs[i]);
    CHECK_OK(ends[i](&f.session, &f.io, &a)); /* nobody is there */
    check_silent(&f);
    teardown(&f);
  }
}

TEST(who_may_only_read_a_document_goes_on_reading) {
  fixture f;
  lk_session_event e = open_document(&f);
  accept(&f, &e, LK_LIT("{}"));
  reply(&f, &e, LK_LIT("error"), LK_LIT("{\"reason\":\"read_only\"}"));
  check_silent(&f);
  CHECK(has(&f, LK_LIT("doc:a"), e.channel));
  lk_session_answer a = answer_to(&e, LK_SLICE_EMPTY, LK_LIT("{\"reason\":\"read_only\"}"));
  CHECK_ERR(lk_session_refuse(&f.session, &f.io, &a),
            LK_ERR_DENIED); /* a join has no such answer */
  teardown(&f);
}
