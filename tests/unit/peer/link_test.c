/* One connection that is lost in every way there is. */
#include "peer/link.h"

#include "harness/test.h"

#include <stdio.h>

typedef struct rig {
  lk_env env;
  lk_limits limits;
  lk_peer_link link;
  lk_arena arena;
  lk_buf sent; /* the latest message */
  uint64_t now;
  uint32_t opens, closes, tokens, sends;
} rig;

static void rig_init(rig *r, bool uses_token) {
  *r = (rig){ .env = LK_ENV_INIT(test_alloc(), NULL), .limits = lk_limits_default(), .now = 1000 };
  const lk_peer_link_options options = { &r->env, &r->limits, 42, uses_token };
  lk_peer_link_init(&r->link, &options);
  lk_arena_init(&r->arena, test_alloc(), 1 << 20);
  lk_buf_init(&r->sent, test_alloc(), 1 << 20);
}

static void rig_deinit(rig *r) {
  lk_peer_link_deinit(&r->link);
  lk_arena_deinit(&r->arena);
  lk_buf_deinit(&r->sent);
}

static void drain(rig *r) {
  lk_peer_link_event event;
  while (lk_peer_link_poll(&r->link, &event)) {
    r->opens += event.kind == LK_PEER_LINK_OPEN;
    r->closes += event.kind == LK_PEER_LINK_CLOSE;
    r->tokens += event.kind == LK_PEER_LINK_TOKEN;
    r->sends += event.kind == LK_PEER_LINK_SEND;
    if (event.kind != LK_PEER_LINK_SEND && event.kind != LK_PEER_LINK_OPEN) continue;
    lk_buf_truncate(&r->sent, 0);
    CHECK_OK(lk_buf_append(&r->sent, event.bytes));
  }
}

static void to(rig *r, uint64_t ms) {
  r->now = ms;
  lk_peer_link_tick(&r->link, r->now);
  drain(r);
}

static void to_deadline(rig *r) { to(r, lk_peer_link_deadline(&r->link)); }

static void be_online(rig *r) {
  lk_peer_link_start(&r->link, r->now);
  drain(r);
  lk_peer_link_opened(&r->link, false, r->now);
  CHECK_U64(r->link.state, LK_PEER_LINK_ONLINE);
}

static lk_err hear(rig *r, const char *text) {
  lk_frame frame;
  bool is_taken;
  lk_err err = lk_peer_link_receive(&r->link, lk_slice_cstr(text), false, &r->arena, r->now, &frame,
                                    &is_taken);
  drain(r);
  return err;
}

TEST(link_waits_longer_after_each_failure_and_never_in_step) {
  rig r;
  uint64_t most = 0, zeroes = 0;
  rig_init(&r, false);
  lk_peer_link_start(&r.link, r.now);
  for (uint32_t i = 0; i < 40; i++) {
    drain(&r);
    CHECK_U64(r.opens, i + 1);
    lk_peer_link_closed(&r.link, 0, 0, r.now);
    uint64_t wait = lk_peer_link_deadline(&r.link) - r.now;
    CHECK(wait <= lk_min_u64((uint64_t)LK_PEER_LINK_RETRY_FIRST_MS << lk_min_u32(i, 16),
                             LK_PEER_LINK_RETRY_MAX_MS));
    most = lk_max_u64(most, wait);
    zeroes += wait < 1000;
    to_deadline(&r);
  }
  CHECK(most > LK_PEER_LINK_RETRY_MAX_MS / 2);
  CHECK(zeroes < 30);
  rig_deinit(&r);
}

TEST(link_leaves_a_server_alone_for_as_long_as_it_asks) {
  rig r;
  rig_init(&r, false);
  be_online(&r);
  lk_peer_link_closed(&r.link, 1013, 60000, r.now);
  CHECK(lk_peer_link_deadline(&r.link) >= r.now + 60000);
  CHECK(lk_peer_link_deadline(&r.link) <= r.now + 60000 + LK_PEER_LINK_RETRY_FIRST_MS);
  to_deadline(&r);
  lk_peer_link_closed(&r.link, 0, UINT64_MAX, r.now);
  CHECK(lk_peer_link_deadline(&r.link) <= r.now + LK_PEER_LINK_HINT_MAX_MS + 10000);
  rig_deinit(&r);
}

TEST(link_tries_at_once_when_the_network_comes_back) {
  rig r;
  rig_init(&r, false);
  lk_peer_link_start(&r.link, r.now);
  drain(&r);
  lk_peer_link_closed(&r.link, 0, 60000, r.now);
  lk_peer_link_wake(&r.link, r.now);
  drain(&r);
  CHECK_U64(r.opens, 2);
  lk_peer_link_wake(&r.link, r.now); /* it is trying already */
  drain(&r);
  CHECK_U64(r.opens, 2);
  rig_deinit(&r);
}

TEST(link_gives_up_an_opening_that_takes_too_long) {
  rig r;
  rig_init(&r, false);
  lk_peer_link_start(&r.link, r.now);
  drain(&r);
  to(&r, 1000 + LK_PEER_LINK_OPEN_MS);
  CHECK_U64(r.closes, 1);
  lk_peer_link_opened(&r.link, false, r.now); /* too late: it was given up */
  CHECK_U64(r.link.state, LK_PEER_LINK_OFFLINE);
  rig_deinit(&r);
}

TEST(link_beats_and_gives_up_a_server_that_does_not_answer) {
  rig r;
  rig_init(&r, false);
  be_online(&r);
  to_deadline(&r);
  CHECK_TEXT(lk_buf_slice(&r.sent), "[null,\"1\",\"phoenix\",\"heartbeat\",{}]");
  r.now += 30;
  CHECK_OK(hear(&r, "[null,\"1\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]"));
  CHECK_U64(r.link.round_trip_ms, 30);
  to_deadline(&r);
  CHECK_U64(r.sends, 2);
  CHECK_U64(lk_peer_link_deadline(&r.link), r.now + LK_PEER_LINK_REPLY_MS);
  to_deadline(&r);
  CHECK_COVERED(link_reply_overdue);
  CHECK_U64(r.closes, 1);
  CHECK_U64(r.link.state, LK_PEER_LINK_OFFLINE);
  rig_deinit(&r);
}

TEST(link_forgets_what_was_queued_with_its_connection) {
  rig r;
  rig_init(&r, false);
  be_online(&r);
  const lk_message m = { .topic = LK_LIT("a"), .event = LK_LIT("e"), .payload = LK_LIT("{}") };
  CHECK(lk_peer_link_send(&r.link, &m, 0, false, r.now) != 0);
  lk_peer_link_closed(&r.link, 0, 0, r.now);
  CHECK_U64(lk_peer_link_send(&r.link, &m, 0, false, r.now), 0);
  to_deadline(&r);
  lk_peer_link_opened(&r.link, false, r.now);
  drain(&r);
  CHECK_U64(r.sends, 0);
  rig_deinit(&r);
}

/* Goal: what is bytes where there are no frames is somebody's JSON where there are, and the next connection may be of the other kind. */
TEST(link_knows_what_its_connection_carries) {
  static const char text[] = "[null,null,\"a\",\"e\",{\"b64\":\"AQI=\"}]";
  rig r;
  lk_frame frame;
  bool is_taken;
  rig_init(&r, false);
  be_online(&r);
  for (int is_text = 1; is_text >= 0; is_text--) {
    lk_peer_link_closed(&r.link, 0, 0, r.now);
    to_deadline(&r);
    lk_peer_link_opened(&r.link, is_text != 0, r.now);
    CHECK_OK(lk_peer_link_receive(&r.link, lk_slice_cstr(text), false, &r.arena, r.now, &frame,
                                  &is_taken));
    CHECK(!is_taken && frame.message.binary == (is_text != 0));
    CHECK_SLICE(frame.message.payload,
                is_text != 0 ? LK_LIT("\x01\x02") : LK_LIT("{\"b64\":\"AQI=\"}"));
  }
  rig_deinit(&r);
}

TEST(link_gives_up_a_server_that_says_nonsense) {
  rig r;
  rig_init(&r, false);
  be_online(&r);
  CHECK_ERR(hear(&r, "{}"), LK_ERR_BAD_MESSAGE);
  CHECK_U64(r.closes, 1);
  CHECK_OK(hear(&r, "{}")); /* nobody listens */
  rig_deinit(&r);
}

TEST(link_renews_a_token_in_band_before_it_ends) {
  rig r;
  rig_init(&r, true);
  lk_peer_link_start(&r.link, r.now);
  drain(&r);
  CHECK_U64(r.tokens, 1);
  CHECK_U64(r.opens, 0);
  CHECK_OK(lk_peer_link_set_token(&r.link, LK_LIT("one"), 200000, r.now));
  drain(&r);
  CHECK_TEXT(lk_buf_slice(&r.sent), "one");
  lk_peer_link_opened(&r.link, false, r.now);
  while (r.tokens == 1) {
    to_deadline(&r);
    char reply[96];
    (void)snprintf(reply, sizeof reply,
                   "[null,\"%d\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]",
                   (int)r.link.heartbeat_ref);
    CHECK_OK(hear(&r, reply));
  }
  CHECK(r.now < 1000 + 200000 - 30000 && r.now > 1000 + 100000);
  CHECK_OK(lk_peer_link_set_token(&r.link, LK_LIT("t\"wo"), 0, r.now));
  drain(&r);
  CHECK(lk_slice_ends_with(lk_buf_slice(&r.sent),
                           LK_LIT(",\"phoenix\",\"access_token\",{\"token\":\"t\\\"wo\"}]")));
  CHECK_U64(r.opens, 1);
  char refusal[96];
  (void)snprintf(refusal, sizeof refusal,
                 "[null,\"%d\",\"phoenix\",\"phx_reply\",{\"status\":\"error\",\"response\":{}}]",
                 (int)r.link.token_ref);
  CHECK_OK(hear(&r, refusal));
  CHECK_COVERED(link_token_was_refused);
  CHECK_U64(r.link.state, LK_PEER_LINK_ONLINE);
  while (r.tokens == 2 && r.link.state == LK_PEER_LINK_ONLINE) to_deadline(&r);
  CHECK_U64(r.tokens, 3);
  rig_deinit(&r);
}

TEST(link_forgets_a_token_that_the_server_does_not_take) {
  rig r;
  rig_init(&r, true);
  lk_peer_link_start(&r.link, r.now);
  drain(&r);
  CHECK_OK(lk_peer_link_set_token(&r.link, LK_LIT("one"), 0, r.now));
  drain(&r);
  lk_peer_link_closed(&r.link, 1006, 0, r.now);
  to_deadline(&r);
  CHECK_U64(r.opens, 2);
  CHECK_U64(r.tokens, 1);
  lk_peer_link_closed(&r.link, LK_PEER_LINK_CLOSE_TOKEN, 0, r.now);
  to_deadline(&r);
  CHECK_U64(r.tokens, 2);
  CHECK_U64(r.opens, 2);
  lk_peer_link_no_token(&r.link, r.now);
  CHECK(lk_peer_link_deadline(&r.link) != LK_PEER_LINK_NEVER);
  to_deadline(&r);
  CHECK_U64(r.tokens, 3);
  CHECK_ERR(lk_peer_link_set_token(&r.link, lk_slice_of(r.env.alloc, 1 << 20), 0, r.now),
            LK_ERR_TOO_BIG);
  CHECK(lk_peer_link_deadline(&r.link) != LK_PEER_LINK_NEVER);
  rig_deinit(&r);
}
