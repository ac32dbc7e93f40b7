/* What another edge process says, which talks to strangers and may be broken: any bytes, cut anywhere, leave a relay
 * that answers each of its waiters at most once, and an lk_longpoll that knows no waiter of a request that is gone. */
#include "channel/relay.h"

#include "harness/test.h"

#define TOKEN "AQEBAQEBAQEBAQEBAQEBAA"

static lk_poller waiters[8];
static int told[8];

static void tell(const lk_relay_answer *answer) {
  size_t which = (size_t)(answer->waiter - waiters);
  CHECK(which < 8);
  CHECK_U64(++told[which], 1);
}

/* A frame of a kind and with fields that make sense at least alone, or anything. */
static void append_frame(lk_gen *g, lk_buf *out) {
  uint8_t junk[64];
  size_t len = gen_below(g, sizeof junk);
  if (gen_below(g, 8) == 0) {
    for (size_t i = 0; i < len; i++) junk[i] = (uint8_t)gen_below(g, 256);
    CHECK_OK(lk_buf_append(out, lk_slice_of(junk, len)));
    return;
  }
  static const lk_bus_kind kinds[] = { LK_BUS_HELLO,       LK_BUS_POLL_GET,  LK_BUS_POLL_POST,
                                       LK_BUS_POLL_ANSWER, LK_BUS_POLL_GONE, LK_BUS_POLL_WRITTEN,
                                       LK_BUS_POLL_LOST,   LK_BUS_BROADCAST };
  const lk_bus_message m = {
    .kind = kinds[gen_below(g, 8)],
    .binary = gen_bool(g),
    .generation = gen_below(g, 4),
    .request = gen_bool(g) ? (401u >> 2) + gen_below(g, 10) : gen_below(g, 6),
    .topic = gen_bool(g) ? LK_LIT(TOKEN) : LK_LIT("x"),
    .payload = LK_LIT("[null,\"5\",\"phoenix\",\"heartbeat\",{}]\n"),
  };
  CHECK_OK(lk_bus_encode(&m, 4096, out));
}

static void run(lk_edge *edge, lk_longpoll *polls, lk_relay *relay) {
  lk_relay_answer relayed;
  lk_longpoll_answer answer;
  lk_edge_output out;
  do {
    while (lk_relay_poll(relay, &relayed)) tell(&relayed);
    while (lk_edge_poll(edge, &out)) {
      if (out.kind == LK_EDGE_SEND) lk_longpoll_take(polls, out.connections[0], out.bytes);
    }
    while (lk_longpoll_poll(polls, &answer)) {
      CHECK(((lk_poller *)answer.waiter)->is_relayed);
      lk_relay_take(relay, &answer);
    }
  } while (lk_longpoll_is_due(polls));
}

FUZZ(lk_relay_feed) {
  lk_limits limits = lk_limits_default();
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_edge *edge;
  lk_longpoll polls;
  lk_relay relay;
  lk_relay_answer answer;
  lk_buf json, in;
  uint64_t number, session;
  uint8_t random[LK_LONGPOLL_RANDOM_LEN];
  lk_poller nobody = { 0 };
  memset(told, 0, sizeof told);
  memset(random, 1, sizeof random);
  random[15] = 0;
  limits.bus_frame_bytes = 4096;
  lk_buf_init(&json, test_alloc(), 4096);
  lk_buf_init(&in, test_alloc(), 1 << 20);
  CHECK_OK(lk_edge_open(
      &(lk_edge_options){ .env = &env, .limits = &limits, .generation = 1, .houses_count = 1 },
      &edge));
  lk_longpoll_init(&polls,
                   &(lk_longpoll_options){
                       .alloc = test_alloc(), .limits = &limits, .edge = edge, .window_ms = 10 });
  CHECK_OK(lk_relay_open(&relay, &(lk_relay_options){ .alloc = test_alloc(),
                                                      .limits = &limits,
                                                      .longpoll = &polls,
                                                      .generation = 401,
                                                      .edges_count = 2,
                                                      .patience_ms = 30 }));
  lk_longpoll_request request = {
    .now_ms = 1, .waiter = &nobody, .form = LK_MESSAGE_V2_TEXT, .random = random
  };
  CHECK_OK(lk_longpoll_get(&polls, &request, &json, &session));
  CHECK_U64(lk_relay_edge_of(&relay, LK_LIT(TOKEN)), 0);
  for (int i = 0; i < 8; i++) {
    request.waiter = &waiters[i];
    CHECK_OK(lk_relay_ask(&relay, 1, &request, gen_bool(g), &number));
  }
  for (uint64_t now = 1; now < 24; now++) {
    lk_buf_truncate(&in, 0);
    append_frame(g, &in);
    lk_slice all = lk_buf_slice(&in);
    for (bool is_first = true; all.len > 0; is_first = false) {
      lk_slice piece = lk_slice_first(all, lk_min_size(all.len, 1 + gen_below(g, 100)));
      all = lk_slice_skip(all, piece.len);
      for (bool boundary = is_first; lk_relay_feed(&relay, 1, &piece, boundary, &answer);
           boundary = false) {
        tell(&answer);
        if (gen_bool(g)) lk_relay_written(&relay, answer.number);
        else lk_relay_lost(&relay, answer.number);
      }
    }
    lk_relay_tick(&relay, now);
    lk_longpoll_tick(&polls, now);
    run(edge, &polls, &relay);
    lk_relay_consume(&relay, 1, lk_relay_output(&relay, 1).len);
  }
  lk_relay_close(&relay);
  lk_longpoll_deinit(&polls);
  lk_edge_close(edge);
  lk_buf_deinit(&json);
  lk_buf_deinit(&in);
}
