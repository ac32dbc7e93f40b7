/* One peer, then two, against a real hub; the connection is a function call that may fail. */
#include "peer/peer.h"

#include "harness/test.h"
#include "platform/memory/storage.h"
#include "room/hub.h"

typedef struct client {
  lk_peer peer;
  uint64_t connection; /* 0: none */
  bool unreachable;
  uint32_t opens;
} client;

typedef struct world {
  lk_env env;
  lk_limits limits;
  lk_memory_storage storage;
  lk_hub *hub;
  uint64_t now;
  client clients[2];
} world;

static void client_init(world *w, size_t i, lk_slice actor, lk_slice restored) {
  lk_peer_options options = {
    &w->env, &w->limits, LK_LIT("crdt:a"), actor, restored, i + 1, w->now
  };
  w->clients[i] = (client){ 0 };
  CHECK_OK(lk_peer_init(&w->clients[i].peer, &options));
}

static void world_init(world *w) {
  *w =
      (world){ .env = LK_ENV_INIT(test_alloc(), NULL), .limits = lk_limits_default(), .now = 1000 };
  lk_memory_storage_init(&w->storage, test_alloc(), 1 << 24);
  CHECK_OK(lk_hub_open(&w->env, &w->limits, &w->storage.table, 7, &w->hub));
  client_init(w, 0, LK_LIT("ada"), LK_SLICE_EMPTY);
  client_init(w, 1, LK_LIT("bob"), LK_SLICE_EMPTY);
}

static void world_deinit(world *w) {
  for (size_t i = 0; i < 2; i++) lk_peer_deinit(&w->clients[i].peer);
  lk_hub_close(w->hub);
  lk_memory_storage_deinit(&w->storage);
}

static void drop_connection(world *w, client *c) {
  if (c->connection == 0) return;
  lk_hub_disconnect(w->hub, c->connection, w->now);
  c->connection = 0;
}

static void cut(world *w, client *c) {
  drop_connection(w, c);
  lk_peer_closed(&c->peer, w->now);
}

static void serve(world *w, client *c, const lk_peer_event *event) {
  switch (event->kind) {
  case LK_PEER_OPEN:
    c->opens++;
    if (c->unreachable) {
      lk_peer_closed(&c->peer, w->now);
      break;
    }
    CHECK_OK(lk_hub_connect(w->hub, &c->connection));
    lk_peer_opened(&c->peer, w->now);
    break;
  case LK_PEER_SEND:
    CHECK(c->connection != 0);
    CHECK_OK(lk_hub_receive(w->hub, c->connection, event->text, w->now));
    break;
  case LK_PEER_CLOSE: drop_connection(w, c); break;
  case LK_PEER_CHANGED: break;
  }
}

/* Until nothing more happens at this instant. */
static void settle(world *w) {
  bool busy = true;
  while (busy) {
    lk_hub_output out;
    lk_peer_event event;
    busy = false;
    for (size_t i = 0; i < 2; i++) {
      while (lk_peer_poll(&w->clients[i].peer, &event)) {
        busy = true;
        serve(w, &w->clients[i], &event);
      }
    }
    lk_hub_step(w->hub, w->now);
    while (lk_hub_poll(w->hub, &out)) {
      busy = true;
      for (size_t i = 0; i < 2; i++) {
        if (w->clients[i].connection != out.connection) continue;
        CHECK(out.kind == LK_HUB_SEND);
        CHECK_OK(lk_peer_receive(&w->clients[i].peer, out.text, w->now));
      }
    }
  }
}

static void pass(world *w, uint64_t ms) {
  uint64_t end = w->now + ms;
  for (;;) {
    settle(w);
    uint64_t due = lk_min_u64(lk_peer_deadline(&w->clients[0].peer),
                              lk_peer_deadline(&w->clients[1].peer));
    due = lk_min_u64(due, lk_hub_deadline(w->hub));
    if (due > end) break;
    w->now = lk_max_u64(due, w->now);
    for (size_t i = 0; i < 2; i++) lk_peer_tick(&w->clients[i].peer, w->now);
  }
  w->now = end;
  settle(w);
}

TEST(a_peer_joins_and_its_count_reaches_another) {
  world w;
  world_init(&w);
  settle(&w);
  CHECK(lk_peer_get_state(&w.clients[0].peer) == LK_PEER_JOINED);
  CHECK_OK(lk_peer_increment(&w.clients[0].peer, 3, w.now));
  CHECK_U64(lk_peer_value(&w.clients[0].peer), 3); /* at once */
  CHECK_U64(lk_peer_pending(&w.clients[0].peer), 3);
  settle(&w);
  CHECK_U64(lk_peer_pending(&w.clients[0].peer), 0);
  CHECK_U64(lk_peer_value(&w.clients[1].peer), 3);
  world_deinit(&w);
}

TEST(a_peer_counts_without_a_server_and_catches_up_when_it_is_back) {
  world w;
  world_init(&w);
  w.clients[0].unreachable = true;
  settle(&w);
  for (int i = 0; i < 5; i++) CHECK_OK(lk_peer_increment(&w.clients[0].peer, 1, w.now));
  CHECK_OK(lk_peer_increment(&w.clients[1].peer, 10, w.now));
  pass(&w, 60000);
  CHECK_U64(lk_peer_value(&w.clients[0].peer), 5);
  CHECK_U64(lk_peer_pending(&w.clients[0].peer), 5);
  CHECK_U64(lk_peer_value(&w.clients[1].peer), 10);
  w.clients[0].unreachable = false;
  pass(&w, LK_PEER_RETRY_MAX_MS);
  for (size_t i = 0; i < 2; i++) {
    CHECK_U64(lk_peer_value(&w.clients[i].peer), 15);
    CHECK_U64(lk_peer_pending(&w.clients[i].peer), 0);
  }
  world_deinit(&w);
}

/* Goal: back-off grows, stays below its maximum, and does not hammer: in ten minutes without a
 * server there are at least one try each 10 s and at most a few hundred. */
TEST(back_off_is_bounded_from_both_sides_and_ends_at_a_wake) {
  world w;
  world_init(&w);
  w.clients[0].unreachable = true;
  pass(&w, 600000);
  CHECK(w.clients[0].opens >= 60 && w.clients[0].opens < 300);
  w.clients[0].unreachable = false;
  lk_peer_wake(&w.clients[0].peer, w.now);
  settle(&w);
  CHECK(lk_peer_get_state(&w.clients[0].peer) == LK_PEER_JOINED);
  world_deinit(&w);
}

TEST(a_connection_that_says_nothing_is_given_up) {
  world w;
  lk_peer_event event;
  world_init(&w);
  lk_peer *p = &w.clients[0].peer;
  CHECK(lk_peer_poll(p, &event) && event.kind == LK_PEER_OPEN);
  lk_peer_opened(p, w.now);
  while (lk_peer_poll(p, &event)) continue; /* the join goes into the void */
  CHECK_U64(lk_peer_deadline(p), w.now + LK_PEER_REPLY_MS);
  lk_peer_tick(p, w.now + LK_PEER_REPLY_MS);
  CHECK_COVERED(peer_reply_overdue);
  CHECK(lk_peer_get_state(p) == LK_PEER_IDLE);
  CHECK(lk_peer_poll(p, &event) && event.kind == LK_PEER_CLOSE);
  world_deinit(&w);
}

TEST(heartbeats_go_out_and_a_missing_answer_ends_the_connection) {
  world w;
  lk_peer_event event;
  world_init(&w);
  settle(&w);
  pass(&w, 10 * LK_PEER_HEARTBEAT_MS);
  CHECK_U64(w.clients[0].opens, 1); /* answered: the connection lived on */
  lk_peer *p = &w.clients[0].peer;
  lk_peer_tick(p, w.now + LK_PEER_HEARTBEAT_MS);
  CHECK(lk_peer_poll(p, &event) && event.kind == LK_PEER_SEND);
  while (lk_peer_poll(p, &event)) continue;
  lk_peer_tick(p, w.now + 2 * LK_PEER_HEARTBEAT_MS);
  CHECK(lk_peer_get_state(p) == LK_PEER_IDLE);
  world_deinit(&w);
}

/* Goal: a server that lost everything gets it back from the replicas, the counts of others included. */
TEST(replicas_give_a_server_its_memory_back) {
  world w;
  world_init(&w);
  settle(&w);
  CHECK_OK(lk_peer_increment(&w.clients[0].peer, 3, w.now));
  CHECK_OK(lk_peer_increment(&w.clients[1].peer, 4, w.now));
  settle(&w);
  for (size_t i = 0; i < 2; i++) cut(&w, &w.clients[i]);
  lk_hub_close(w.hub);
  lk_memory_storage_deinit(&w.storage);
  lk_memory_storage_init(&w.storage, test_alloc(), 1 << 24);
  CHECK_OK(lk_hub_open(&w.env, &w.limits, &w.storage.table, 9, &w.hub));
  w.clients[0].unreachable = true; /* bob alone brings both counts */
  pass(&w, LK_PEER_RETRY_MAX_MS);
  lk_peer_deinit(&w.clients[0].peer);
  client_init(&w, 0, LK_LIT("carol"), LK_SLICE_EMPTY);
  settle(&w);
  CHECK_U64(lk_peer_value(&w.clients[0].peer), 7);
  world_deinit(&w);
}

TEST(a_saved_replica_knows_how_much_of_it_the_server_has) {
  world w;
  lk_buf saved;
  world_init(&w);
  settle(&w);
  CHECK_OK(lk_peer_increment(&w.clients[0].peer, 5, w.now));
  settle(&w);
  cut(&w, &w.clients[0]);
  CHECK_OK(lk_peer_increment(&w.clients[0].peer, 2, w.now));
  lk_buf_init(&saved, test_alloc(), 1000);
  CHECK_OK(lk_peer_save(&w.clients[0].peer, &saved));
  lk_peer_deinit(&w.clients[0].peer);
  client_init(&w, 0, LK_LIT("ada"), lk_buf_slice(&saved));
  CHECK_U64(lk_peer_value(&w.clients[0].peer), 7);
  CHECK_U64(lk_peer_pending(&w.clients[0].peer), 2);
  lk_buf_deinit(&saved);
  world_deinit(&w);
}

TEST(a_saved_replica_comes_back_with_what_it_had_not_sent) {
  world w;
  lk_buf saved;
  world_init(&w);
  w.clients[0].unreachable = true;
  settle(&w);
  CHECK_OK(lk_peer_increment(&w.clients[0].peer, 2, w.now));
  lk_buf_init(&saved, test_alloc(), 1000);
  CHECK_OK(lk_peer_save(&w.clients[0].peer, &saved));
  lk_peer_deinit(&w.clients[0].peer);
  client_init(&w, 0, LK_LIT("ada"), lk_buf_slice(&saved));
  CHECK_U64(lk_peer_value(&w.clients[0].peer), 2);
  CHECK_U64(lk_peer_pending(&w.clients[0].peer), 2);
  settle(&w);
  CHECK_U64(lk_peer_pending(&w.clients[0].peer), 0);
  CHECK_U64(lk_peer_value(&w.clients[1].peer), 2);
  lk_buf_deinit(&saved);
  world_deinit(&w);
}

TEST(nonsense_from_a_server_ends_the_connection_and_keeps_the_replica) {
  static const lk_slice cases[] = {
    LK_LIT_INIT("nonsense"),
    LK_LIT_INIT("[null,null,\"crdt:a\",\"state_updated\",{}]"),
    LK_LIT_INIT("[null,null,\"crdt:a\",\"state_updated\",{\"counts\":{\"x\":-1}}]"),
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    world w;
    world_init(&w);
    settle(&w);
    CHECK_OK(lk_peer_increment(&w.clients[0].peer, 2, w.now));
    settle(&w);
    CHECK(lk_peer_receive(&w.clients[0].peer, cases[i], w.now) != LK_OK);
    CHECK(lk_peer_get_state(&w.clients[0].peer) == LK_PEER_IDLE);
    CHECK_U64(lk_peer_value(&w.clients[0].peer), 2);
    pass(&w, LK_PEER_RETRY_MAX_MS);
    CHECK(lk_peer_get_state(&w.clients[0].peer) == LK_PEER_JOINED);
    world_deinit(&w);
  }
}

TEST(a_peer_without_a_proper_actor_or_topic_does_not_start) {
  world w;
  lk_peer p;
  world_init(&w);
  lk_peer_options options = {
    &w.env, &w.limits, LK_LIT("crdt:a"), LK_LIT(""), LK_SLICE_EMPTY, 1, 0
  };
  CHECK_ERR(lk_peer_init(&p, &options), LK_ERR_ACTOR);
  lk_peer_deinit(&p);
  options.actor = LK_LIT("a");
  options.topic = LK_SLICE_EMPTY;
  CHECK_ERR(lk_peer_init(&p, &options), LK_ERR_INVALID);
  lk_peer_deinit(&p);
  options.topic = LK_LIT("crdt:a");
  options.restored = LK_LIT("\x00\x01\x02");
  CHECK_ERR(lk_peer_init(&p, &options), LK_ERR_VERSION);
  lk_peer_deinit(&p);
  options.restored = LK_LIT("\x80\x00\x01\x01\x00"); /* 0 in two bytes */
  CHECK_ERR(lk_peer_init(&p, &options), LK_ERR_NOT_CANONICAL);
  lk_peer_deinit(&p);
  options.restored = LK_LIT("\x01\x01\x01\x00\x00\x00"); /* confirmed more than was counted */
  CHECK_ERR(lk_peer_init(&p, &options), LK_ERR_CORRUPT);
  lk_peer_deinit(&p);
  world_deinit(&w);
}

/* ---- a server that the test plays itself ---- */

/* The reference in a message [join_ref, ref, ...] that the peer sent: the second string. */
static lk_slice ref_of(lk_slice text) {
  lk_slice rest;
  (void)lk_slice_cut(text, ',', &rest);
  return lk_slice_cut(lk_slice_skip(rest, 1), '"', &rest);
}

static lk_err answer(lk_peer *p, lk_slice ref, lk_slice payload, uint64_t now) {
  lk_buf text;
  lk_buf_init(&text, test_alloc(), 1000);
  lk_buf_append(&text, LK_LIT("[null,\""));
  lk_buf_append(&text, ref);
  lk_buf_append(&text, LK_LIT("\",\"crdt:a\",\"phx_reply\","));
  lk_buf_append(&text, payload);
  lk_buf_append(&text, LK_LIT("]"));
  lk_err err = lk_peer_receive(p, lk_buf_slice(&text), now);
  lk_buf_deinit(&text);
  return err;
}

#define JOINED_OK LK_LIT("{\"status\":\"ok\",\"response\":{\"value\":0,\"counts\":{}}}")
#define REFUSED LK_LIT("{\"status\":\"error\",\"response\":{\"reason\":\"LK_ERR_LIMIT\"}}")

/* Goal: a server that lets a peer in and refuses its merge is not asked more often than one that is
 * not there. Method: ten minutes of it, as in the test of the back-off. */
TEST(a_server_that_refuses_every_merge_is_not_hammered) {
  world w;
  lk_peer_event event;
  uint32_t opens = 0;
  world_init(&w);
  lk_peer *p = &w.clients[0].peer;
  CHECK_OK(lk_peer_increment(p, 1, w.now));
  for (uint64_t end = w.now + 600000; w.now < end; w.now = lk_max_u64(w.now, lk_peer_deadline(p))) {
    lk_peer_tick(p, w.now);
    while (lk_peer_poll(p, &event)) {
      if (event.kind == LK_PEER_OPEN) {
        opens++;
        lk_peer_opened(p, w.now);
      } else if (event.kind == LK_PEER_SEND) {
        bool joins = lk_slice_find(event.text, LK_LIT("phx_join")) != LK_SLICE_NONE;
        lk_err err = answer(p, ref_of(event.text), joins ? JOINED_OK : REFUSED, w.now);
        CHECK(err == LK_OK || err == LK_ERR_STATE);
      }
    }
  }
  CHECK(opens >= 60 && opens < 300);
  CHECK_U64(lk_peer_pending(p), 1);
  world_deinit(&w);
}

/* Goal: the row of failures ends where the server confirms something, so that the next loss is short. */
TEST(a_confirmed_merge_and_a_join_with_nothing_to_send_end_the_row_of_failures) {
  world w;
  world_init(&w);
  w.clients[0].unreachable = w.clients[1].unreachable = true;
  CHECK_OK(lk_peer_increment(&w.clients[0].peer, 1, w.now));
  pass(&w, 60000);
  w.clients[0].unreachable = w.clients[1].unreachable = false;
  pass(&w, LK_PEER_RETRY_MAX_MS);
  for (size_t i = 0; i < 2; i++) {
    CHECK(lk_peer_get_state(&w.clients[i].peer) == LK_PEER_JOINED);
    cut(&w, &w.clients[i]);
    CHECK(lk_peer_deadline(&w.clients[i].peer) <= w.now + LK_PEER_RETRY_FIRST_MS);
  }
  world_deinit(&w);
}

/* Goal: a host that polls late still hears that the connection of before must be closed. */
TEST(a_close_that_is_due_stays_due_while_further_attempts_come_and_go) {
  world w;
  lk_peer_event event;
  world_init(&w);
  lk_peer *p = &w.clients[0].peer;
  CHECK(lk_peer_poll(p, &event) && event.kind == LK_PEER_OPEN);
  lk_peer_opened(p, w.now);
  lk_peer_tick(p, w.now += LK_PEER_REPLY_MS);   /* given up: a CLOSE is due */
  lk_peer_tick(p, w.now = lk_peer_deadline(p)); /* connecting again: an OPEN is due */
  CHECK(lk_peer_get_state(p) == LK_PEER_CONNECTING);
  lk_peer_tick(p, w.now += LK_PEER_REPLY_MS); /* nobody took that OPEN */
  CHECK(lk_peer_poll(p, &event) && event.kind == LK_PEER_CLOSE);
  while (lk_peer_poll(p, &event)) CHECK(event.kind == LK_PEER_CHANGED);
  world_deinit(&w);
}

TEST(reports_that_do_not_fit_the_state_change_nothing) {
  world w;
  lk_peer_event event;
  world_init(&w);
  lk_peer *p = &w.clients[0].peer;
  CHECK_U64(lk_peer_deadline(p),
            w.now + LK_PEER_REPLY_MS); /* no heartbeat before there is a connection */
  lk_peer_opened(p, w.now);            /* nothing was asked for yet */
  lk_peer_closed(p, w.now);
  CHECK(lk_peer_get_state(p) == LK_PEER_CONNECTING);
  CHECK_OK(lk_peer_receive(p, LK_LIT("nonsense"), w.now)); /* of a connection that is gone */
  CHECK(lk_peer_poll(p, &event) && event.kind == LK_PEER_OPEN);
  lk_peer_closed(p, w.now); /* it did not open */
  CHECK(lk_peer_get_state(p) == LK_PEER_IDLE);
  uint64_t due = lk_peer_deadline(p);
  lk_peer_closed(p, w.now);
  lk_peer_opened(p, w.now);
  CHECK(lk_peer_get_state(p) == LK_PEER_IDLE);
  CHECK_U64(lk_peer_deadline(p), due);
  lk_peer_tick(p, due + 1000000); /* long overdue: one attempt, with its whole time */
  CHECK(lk_peer_get_state(p) == LK_PEER_CONNECTING);
  CHECK_U64(lk_peer_deadline(p), due + 1000000 + LK_PEER_REPLY_MS);
  world_deinit(&w);
}

/* Goal: what is counted while the join is under way goes out with its answer, once; answers that come
 * twice or for what was never asked are not taken. */
TEST(counts_made_while_joining_are_sent_after_the_answer_and_repeated_answers_are_ignored) {
  world w;
  lk_peer_event event;
  uint32_t sent = 0;
  world_init(&w);
  lk_peer *p = &w.clients[0].peer;
  CHECK(lk_peer_poll(p, &event) && event.kind == LK_PEER_OPEN);
  lk_peer_opened(p, w.now);
  lk_peer_opened(p, w.now);
  CHECK_OK(lk_peer_increment(p, 2, w.now));
  CHECK(lk_peer_poll(p, &event) && event.kind == LK_PEER_SEND);
  CHECK_TEXT(event.text, "[\"1\",\"1\",\"crdt:a\",\"phx_join\",{\"type\":\"gcounter\"}]");
  CHECK_OK(answer(p, LK_LIT("2"), JOINED_OK, w.now)); /* not asked yet */
  CHECK(lk_peer_get_state(p) == LK_PEER_JOINING);
  for (int i = 0; i < 2; i++) CHECK_OK(answer(p, LK_LIT("1"), JOINED_OK, w.now));
  while (lk_peer_poll(p, &event)) {
    if (event.kind != LK_PEER_SEND) continue;
    CHECK_TEXT(event.text, "[\"1\",\"2\",\"crdt:a\",\"crdt.merge\",{\"counts\":{\"ada\":2}}]");
    sent++;
  }
  CHECK_U64(sent, 1);
  for (int i = 0; i < 2; i++) CHECK_OK(answer(p, LK_LIT("2"), JOINED_OK, w.now));
  CHECK_U64(lk_peer_pending(p), 0);
  CHECK_U64(lk_peer_deadline(p), w.now + LK_PEER_HEARTBEAT_MS);
  world_deinit(&w);
}

/* Opens and joins; the reference of the join is 1. */
static lk_peer *joined(world *w) {
  lk_peer_event event;
  lk_peer *p = &w->clients[0].peer;
  CHECK(lk_peer_poll(p, &event) && event.kind == LK_PEER_OPEN);
  lk_peer_opened(p, w->now);
  CHECK_OK(answer(p, LK_LIT("1"), JOINED_OK, w->now));
  CHECK(lk_peer_get_state(p) == LK_PEER_JOINED);
  while (lk_peer_poll(p, &event)) continue;
  return p;
}

TEST(the_bound_of_the_back_off_doubles_with_each_failure) {
  world w;
  lk_peer_event event;
  uint64_t longest = 0;
  world_init(&w);
  lk_peer *p = &w.clients[0].peer;
  for (uint32_t failures = 0; failures < 40; failures++) {
    CHECK(lk_peer_poll(p, &event) && event.kind == LK_PEER_OPEN);
    lk_peer_closed(p, w.now);
    uint64_t wait = lk_peer_deadline(p) - w.now;
    uint64_t bound = (uint64_t)LK_PEER_RETRY_FIRST_MS << lk_min_u32(failures, 20);
    CHECK(wait <= lk_min_u64(bound, LK_PEER_RETRY_MAX_MS));
    longest = lk_max_u64(longest, wait);
    lk_peer_tick(p, w.now += wait);
  }
  CHECK(longest > LK_PEER_RETRY_MAX_MS / 2);
  world_deinit(&w);
}

/* Goal: whoever shows the value hears of each change of it, of the state and of what is pending. */
TEST(changes_are_told_once_and_nothing_else_is) {
  world w;
  lk_peer_event event;
  world_init(&w);
  lk_peer *p = joined(&w);
  CHECK(!lk_peer_poll(p, &event));
  CHECK_OK(lk_peer_increment(p, 1, w.now));
  CHECK(lk_peer_poll(p, &event) && event.kind == LK_PEER_SEND);
  CHECK(lk_peer_poll(p, &event) && event.kind == LK_PEER_CHANGED);
  CHECK(!lk_peer_poll(p, &event));
  CHECK_OK(answer(p, LK_LIT("2"), JOINED_OK, w.now)); /* no longer pending */
  CHECK(lk_peer_poll(p, &event) && event.kind == LK_PEER_CHANGED);
  CHECK(!lk_peer_poll(p, &event));
  lk_peer_closed(p, w.now); /* no longer joined */
  CHECK(lk_peer_poll(p, &event) && event.kind == LK_PEER_CHANGED);
  CHECK(!lk_peer_poll(p, &event));
  world_deinit(&w);
}

TEST(a_refused_join_is_asked_again_on_the_same_connection) {
  world w;
  lk_peer_event event;
  world_init(&w);
  lk_peer *p = &w.clients[0].peer;
  CHECK(lk_peer_poll(p, &event) && event.kind == LK_PEER_OPEN);
  lk_peer_opened(p, w.now);
  CHECK_OK(answer(p, LK_LIT("1"), REFUSED, w.now));
  CHECK(lk_peer_get_state(p) == LK_PEER_JOINING);
  uint64_t due = lk_peer_deadline(p);
  CHECK(due >= w.now && due <= w.now + LK_PEER_RETRY_FIRST_MS);
  while (lk_peer_poll(p, &event)) continue;
  CHECK_OK(answer(p, LK_LIT("1"), JOINED_OK, w.now)); /* too late: this joining was refused */
  CHECK(lk_peer_get_state(p) == LK_PEER_JOINING);
  lk_peer_tick(p, due);
  CHECK(lk_peer_poll(p, &event) && event.kind == LK_PEER_SEND);
  CHECK_TEXT(event.text, "[\"2\",\"2\",\"crdt:a\",\"phx_join\",{\"type\":\"gcounter\"}]");
  world_deinit(&w);
}

/* Goal: an end that was said of an earlier joining does not end this one; escapes spell what they spell. */
TEST(what_is_meant_for_an_earlier_joining_is_ignored) {
  world w;
  world_init(&w);
  lk_peer *p = joined(&w);
  CHECK_OK(lk_peer_receive(p, LK_LIT("[\"9\",\"9\",\"crdt:a\",\"phx_error\",{}]"), w.now));
  CHECK_OK(lk_peer_receive(p, LK_LIT("[\"1\",\"1\",\"crdt:b\",\"phx_error\",{}]"), w.now));
  CHECK(lk_peer_get_state(p) == LK_PEER_JOINED);
  CHECK_OK(lk_peer_receive(p, LK_LIT("[\"1\",\"1\",\"crdt:\\u0061\",\"phx_error\",{}]"), w.now));
  CHECK(lk_peer_get_state(p) == LK_PEER_JOINING);
  world_deinit(&w);
}

/* Goal: also who counts without a pause has a row of failures that ends. Method: more was counted while
 * the merge was under way, so that its answer sends the next one. */
TEST(a_peer_that_always_has_news_is_forgiven_by_each_answer) {
  world w;
  world_init(&w);
  lk_peer *p = joined(&w);
  p->attempt = 9;
  CHECK_OK(lk_peer_increment(p, 1, w.now));
  CHECK_OK(lk_peer_increment(p, 1, w.now));
  CHECK_OK(answer(p, LK_LIT("2"), JOINED_OK, w.now));
  CHECK_U64(lk_peer_pending(p), 1);
  lk_peer_closed(p, w.now);
  CHECK(lk_peer_deadline(p) <= w.now + LK_PEER_RETRY_FIRST_MS);
  world_deinit(&w);
}

/* Goal: without memory a peer keeps what was counted, leaks nothing and goes on when there is some.
 * Method: the fault loop over a join, counts, news of others and a save; then all of it again. */
TEST(peer_survives_every_failed_allocation) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_env env = LK_ENV_INIT(faulty_alloc(&faults), NULL);
    lk_limits limits = lk_limits_default();
    lk_peer_options options = {
      &env, &limits, LK_LIT("crdt:a"), LK_LIT("ada"), LK_SLICE_EMPTY, 1, 0
    };
    lk_peer p;
    lk_peer_event event;
    lk_buf saved;
    uint64_t counted = 0, now = 0, fail_at = faults.fail_at;
    if (lk_peer_init(&p, &options) != LK_OK) {
      CHECK(faults.hit);
      lk_peer_deinit(&p);
      continue;
    }
    for (int i = 0; i < 4; i++) {
      if (i == 3) faults.fail_at = UINT64_MAX; /* now there is memory */
      if (lk_peer_increment(&p, 1, now) == LK_OK) counted++;
      CHECK_U64(lk_gcounter_count_of(&p.counter, LK_LIT("ada")), counted);
      lk_peer_tick(&p, now += LK_PEER_RETRY_MAX_MS - 1);
      while (lk_peer_poll(&p, &event)) {
        if (event.kind == LK_PEER_OPEN) lk_peer_opened(&p, now);
        if (event.kind == LK_PEER_SEND) {
          uint8_t ref[20];
          lk_slice digits = ref_of(event.text);
          memcpy(ref, digits.ptr, digits.len);
          (void)!answer(&p, lk_slice_of(ref, digits.len),
                        LK_LIT("{\"status\":\"ok\",\"response\":{\"counts\":{\"b\\u0062\":2}}}"),
                        now);
        }
      }
      (void)!lk_peer_receive(
          &p, LK_LIT("[null,null,\"crdt:\\u0061\",\"state_updated\",{\"counts\":{\"carol\":2}}]"),
          now);
    }
    CHECK(lk_peer_get_state(&p) == LK_PEER_JOINED);
    CHECK_U64(lk_peer_value(&p), counted + 4);
    CHECK_U64(lk_peer_pending(&p), 0);
    lk_buf_init(&saved, test_alloc(), 1000);
    CHECK_OK(lk_peer_save(&p, &saved));
    lk_buf_deinit(&saved);
    CHECK_OK(lk_peer_increment(&p, 1, now)); /* ends with a merge under way */
    lk_peer_deinit(&p);
    faults.fail_at = fail_at;
  }
}

/* Goal: counts and cuts in any order; when the network holds, both replicas show the sum. */
PROPERTY_SLOW(peers_converge_whatever_is_cut_and_when, 4) {
  world w;
  uint64_t counted = 0;
  world_init(&w);
  for (uint32_t i = gen_below(g, 30); i > 0; i--) {
    client *c = &w.clients[gen_below(g, 2)];
    switch (gen_below(g, 5)) {
    case 0:
    case 1: {
      uint64_t amount = gen_range(g, 1, 5), before = lk_peer_value(&c->peer);
      CHECK_OK(lk_peer_increment(&c->peer, amount, w.now));
      CHECK_U64(lk_peer_value(&c->peer), before + amount);
      counted += amount;
      break;
    }
    case 2: cut(&w, c); break;
    case 3: c->unreachable = gen_bool(g); break;
    default: pass(&w, gen_below(g, 3000)); break;
    }
  }
  for (size_t i = 0; i < 2; i++) w.clients[i].unreachable = false;
  pass(&w, 2 * LK_PEER_RETRY_MAX_MS);
  for (size_t i = 0; i < 2; i++) {
    CHECK_U64(lk_peer_value(&w.clients[i].peer), counted);
    CHECK_U64(lk_peer_pending(&w.clients[i].peer), 0);
  }
  world_deinit(&w);
}

/* Goal: a herd of peers that lost the same server does not come back in step. */
TEST(peers_with_different_entropy_wait_differently) {
  world w;
  uint64_t same = 0;
  world_init(&w);
  for (size_t i = 0; i < 2; i++) w.clients[i].unreachable = true;
  for (int round = 0; round < 20; round++) {
    settle(&w);
    uint64_t due[2];
    for (size_t i = 0; i < 2; i++) due[i] = lk_peer_deadline(&w.clients[i].peer);
    same += due[0] == due[1];
    w.now = lk_max_u64(due[0], due[1]);
    for (size_t i = 0; i < 2; i++) lk_peer_tick(&w.clients[i].peer, w.now);
  }
  CHECK(same < 5);
  world_deinit(&w);
}
