/* The table at the top of channel/session.c, line by line. */
#include "channel/session.h"

#include "harness/test.h"

static const uint64_t seed[2] = { 1, 2 };

typedef struct fixture {
  lk_limits limits;
  lk_session session;
} fixture;

static void setup(fixture *f) {
  f->limits = lk_limits_default();
  lk_session_init(&f->session, test_alloc(), &f->limits, seed);
}

static lk_session_event feed(fixture *f, lk_slice text) {
  lk_session_event event = { 0 };
  CHECK_OK(lk_session_feed(&f->session, text));
  CHECK(lk_session_poll(&f->session, &event));
  return event;
}

static void feed_quietly(fixture *f, lk_slice text) {
  lk_session_event event;
  CHECK_OK(lk_session_feed(&f->session, text));
  CHECK(!lk_session_poll(&f->session, &event));
}

#define CHECK_SENT(f, want)                                                                        \
  do {                                                                                             \
    lk_slice text_;                                                                                \
    CHECK(lk_session_next_output(&(f)->session, &text_));                                          \
    CHECK_TEXT(text_, want);                                                                       \
  } while (0)

static void check_silent(fixture *f) {
  lk_slice text;
  CHECK(!lk_session_next_output(&f->session, &text));
}

static uint32_t join(fixture *f) {
  lk_session_event e = feed(f, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{\"p\":1}]"));
  CHECK(e.kind == LK_SESSION_JOIN);
  CHECK_TEXT(e.topic, "crdt:a");
  CHECK_TEXT(e.payload, "{\"p\":1}");
  CHECK_OK(lk_session_accept(&f->session, e.topic, e.channel, e.ref, LK_LIT("{\"hi\":1}")));
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
  lk_session_deinit(&f.session);
  lk_session_deinit(&f.session);
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
  lk_session_deinit(&f.session);
}

TEST(events_reach_the_room_with_their_own_or_a_null_join_ref_and_stale_ones_do_not) {
  fixture f;
  setup(&f);
  uint32_t channel = join(&f);
  lk_session_event e = feed(&f, LK_LIT("[\"1\",\"2\",\"crdt:a\",\"ev\",[1]]"));
  CHECK(e.kind == LK_SESSION_MESSAGE && e.channel == channel);
  CHECK_TEXT(e.event, "ev");
  CHECK_OK(lk_session_reply(&f.session, e.topic, e.channel, e.ref, LK_LIT("teapot"), LK_LIT("{}")));
  CHECK_SENT(&f, "[\"1\",\"2\",\"crdt:a\",\"phx_reply\",{\"status\":\"teapot\",\"response\":{}}]");
  e = feed(&f, LK_LIT("[null,null,\"crdt:a\",\"ev\",{}]"));
  CHECK(e.kind == LK_SESSION_MESSAGE && e.ref.ptr == NULL);
  CHECK_OK(lk_session_reply(&f.session, e.topic, e.channel, e.ref, LK_LIT("ok"), LK_LIT("{}")));
  check_silent(&f); /* nobody asked */
  feed_quietly(&f, LK_LIT("[\"9\",\"3\",\"crdt:a\",\"ev\",{}]"));
  check_silent(&f);
  lk_session_deinit(&f.session);
}

TEST(a_join_that_nobody_serves_is_unmatched_with_a_null_join_ref_and_forgotten) {
  fixture f;
  setup(&f);
  lk_session_event e = feed(&f, LK_LIT("[\"1\",\"1\",\"x\",\"phx_join\",{}]"));
  CHECK_OK(lk_session_unmatched(&f.session, e.topic, e.channel + 1, e.ref)); /* another joining's */
  check_silent(&f);
  CHECK_OK(lk_session_unmatched(&f.session, e.topic, e.channel, e.ref));
  CHECK_SENT(&f, "[null,\"1\",\"x\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":"
                 "\"unmatched topic\"}}]");
  CHECK(!lk_session_has(&f.session, LK_LIT("x"), e.channel));
  lk_session_deinit(&f.session);
}

/* Goal: a reader that keeps up but is never quite done is not taken for one that does not read. */
TEST(output_that_was_taken_does_not_count_as_waiting) {
  fixture f;
  lk_slice text;
  setup(&f);
  f.limits.ws_output_bytes = 400; /* five messages and a bit */
  lk_session_deinit(&f.session);
  lk_session_init(&f.session, test_alloc(), &f.limits, seed);
  for (int i = 0; i < 100; i++) {
    feed_quietly(&f, LK_LIT("[null,\"5\",\"phoenix\",\"heartbeat\",{}]"));
    if (i > 0)
      CHECK_SENT(&f, "[null,\"5\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  }
  CHECK(lk_session_next_output(&f.session, &text));
  check_silent(&f);
  lk_session_deinit(&f.session);
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
  CHECK_OK(lk_session_push(&f.session, LK_LIT("crdt:a"), channel, LK_LIT("e"), LK_LIT("{}")));
  check_silent(&f);
  lk_session_deinit(&f.session);
}

TEST(a_second_join_replaces_the_first_reply_first_then_close_of_the_old) {
  fixture f;
  setup(&f);
  uint32_t channel = join(&f);
  lk_session_event e = feed(&f, LK_LIT("[\"6\",\"6\",\"crdt:a\",\"phx_join\",{}]"));
  CHECK(e.kind == LK_SESSION_LEAVE && e.channel == channel);
  CHECK(lk_session_poll(&f.session, &e));
  CHECK(e.kind == LK_SESSION_JOIN && e.channel != channel);
  CHECK_OK(lk_session_accept(&f.session, e.topic, e.channel, e.ref, LK_LIT("{}")));
  CHECK_SENT(&f, "[\"6\",\"6\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  CHECK_SENT(&f, "[\"1\",\"1\",\"crdt:a\",\"phx_close\",{}]");
  check_silent(&f);
  lk_session_deinit(&f.session);
}

TEST(a_refused_join_and_a_crashed_room_may_be_joined_again) {
  fixture f;
  setup(&f);
  lk_session_event e = feed(&f, LK_LIT("[\"1\",\"1\",\"x:a\",\"phx_join\",{}]"));
  CHECK_OK(lk_session_refuse(&f.session, e.topic, e.channel, e.ref, LK_LIT("{\"reason\":\"no\"}")));
  CHECK_SENT(&f, "[\"1\",\"1\",\"x:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{"
                 "\"reason\":\"no\"}}]");
  CHECK(!lk_session_has(&f.session, LK_LIT("x:a"), e.channel));
  uint32_t channel = join(&f);
  CHECK(lk_session_has(&f.session, LK_LIT("crdt:a"), channel));
  CHECK_OK(lk_session_crash(&f.session, LK_LIT("crdt:a"), channel, LK_LIT("storage")));
  CHECK_SENT(&f, "[\"1\",\"1\",\"crdt:a\",\"phx_error\",{\"reason\":\"storage\"}]");
  (void)join(&f);
  lk_session_deinit(&f.session);
}

TEST(answers_to_a_joining_that_is_gone_go_nowhere) {
  fixture f;
  setup(&f);
  uint32_t channel = join(&f);
  (void)feed(&f, LK_LIT("[\"1\",\"4\",\"crdt:a\",\"phx_leave\",{}]"));
  lk_slice text, topic = LK_LIT("crdt:a"), ref = LK_LIT("1"), empty = LK_LIT("{}");
  while (lk_session_next_output(&f.session, &text)) continue;
  CHECK_OK(lk_session_accept(&f.session, topic, channel, ref, empty));
  CHECK_OK(lk_session_refuse(&f.session, topic, channel, ref, empty));
  CHECK_OK(lk_session_unmatched(&f.session, topic, channel, ref));
  CHECK_OK(lk_session_reply(&f.session, topic, channel, ref, LK_LIT("ok"), empty));
  CHECK_OK(lk_session_push(&f.session, topic, channel, LK_LIT("e"), empty));
  CHECK_OK(lk_session_crash(&f.session, topic, channel, LK_LIT("storage")));
  check_silent(&f);
  lk_session_deinit(&f.session);
}

TEST(a_topic_with_escapes_is_the_topic_that_they_spell) {
  fixture f;
  setup(&f);
  uint32_t channel = join(&f);
  lk_session_event e = feed(&f, LK_LIT("[\"1\",\"2\",\"crdt:\\u0061\",\"e\\u0076\",{}]"));
  CHECK(e.kind == LK_SESSION_MESSAGE && e.channel == channel);
  CHECK_TEXT(e.topic, "crdt:a");
  CHECK_TEXT(e.event, "ev");
  lk_session_deinit(&f.session);
}

TEST(the_end_of_a_connection_leaves_every_topic_in_order) {
  fixture f;
  lk_session_event e;
  setup(&f);
  (void)join(&f);
  (void)feed(&f, LK_LIT("[\"2\",\"2\",\"crdt:b\",\"phx_join\",{}]"));
  CHECK(lk_session_end(&f.session, &e));
  CHECK_TEXT(e.topic, "crdt:a");
  CHECK(lk_session_end(&f.session, &e));
  CHECK_TEXT(e.topic, "crdt:b");
  CHECK(!lk_session_end(&f.session, &e));
  lk_session_deinit(&f.session);
}

TEST(topics_and_waiting_output_are_bounded) {
  fixture f;
  setup(&f);
  f.limits.channel_topics_count = 1;
  f.limits.ws_output_bytes = 210; /* the length of a fourth heartbeat fits, its text does not */
  lk_session_deinit(&f.session);
  lk_session_init(&f.session, test_alloc(), &f.limits, seed);
  (void)feed(&f, LK_LIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"));
  feed_quietly(&f, LK_LIT("[\"2\",\"2\",\"crdt:b\",\"phx_join\",{}]"));
  CHECK_SENT(&f, "[\"2\",\"2\",\"crdt:b\",\"phx_reply\",{\"status\":\"error\",\"response\":{"
                 "\"reason\":\"too many channels joined\"}}]");
  check_silent(&f);
  lk_err err = LK_OK;
  for (int i = 0; i < 10 && err == LK_OK; i++) {
    err = lk_session_feed(&f.session, LK_LIT("[null,\"5\",\"phoenix\",\"heartbeat\",{}]"));
  }
  CHECK_ERR(err, LK_ERR_LIMIT);
  CHECK_COVERED(outbox_took_a_message_back);
  for (int i = 0; i < 3; i++) {
    CHECK_SENT(&f, "[null,\"5\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]");
  }
  check_silent(&f); /* of what did not fit not even its length is there */
  lk_session_deinit(&f.session);
}
