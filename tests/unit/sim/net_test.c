/* Two nodes that write down what they are told. Delays are 1 to 10 ms unless a test says otherwise. */
#include "sim/net.h"

#include "harness/test.h"

typedef struct pair {
  sim_options options;
  sim_world world;
  sim_net net;
  sim_node nodes[2];
  char said[2][256]; /* what each was told: letters for events, texts as they came */
  sim_end accepted;
} pair;

static pair *world_pair;

static void say(sim_node *node, const char *text, size_t len) {
  char *to = world_pair->said[node->number];
  size_t at = lk_slice_cstr(to).len;
  CHECK(at + len < sizeof world_pair->said[0]);
  memcpy(to + at, text, len);
}

static void on_accepted(sim_node *node, sim_end end, sim_node *from) {
  CHECK(from == &world_pair->nodes[0]);
  world_pair->accepted = end;
  say(node, "A", 1);
}
static void on_opened(sim_node *node, sim_end end) {
  (void)end;
  say(node, "O", 1);
}
static void on_closed(sim_node *node, sim_end end) {
  (void)end;
  say(node, "C", 1);
}
static void on_received(sim_node *node, sim_end end, lk_slice text) {
  (void)end;
  say(node, (const char *)text.ptr, text.len);
}
static void on_datagram(sim_node *node, sim_node *from, lk_slice text) {
  CHECK(from != node);
  say(node, (const char *)text.ptr, text.len);
}

static const sim_node_kind kind = { .name = "pair",
                                    .accepted = on_accepted,
                                    .opened = on_opened,
                                    .closed = on_closed,
                                    .received = on_received,
                                    .datagram = on_datagram };

static void begin(pair *p, uint64_t seed) {
  *p = (pair){ .options = { .seed = seed, .delay_low_us = 1000, .delay_high_us = 10000 } };
  world_pair = p;
  sim_world_init(&p->world, test_alloc(), &p->options, NULL);
  sim_net_init(&p->net, &p->world);
  for (uint32_t i = 0; i < 2; i++) {
    sim_node_init(&p->nodes[i], &p->world, &kind, i, i == 0 ? "client" : "server", 1000);
    sim_node_start(&p->nodes[i]);
  }
}

static void end(pair *p) {
  CHECK(!p->world.failed);
  for (uint32_t i = 0; i < 2; i++) {
    if (p->nodes[i].is_up) sim_node_stop(&p->nodes[i]);
  }
  sim_net_deinit(&p->net);
  sim_world_deinit(&p->world);
}

static void run_ms(pair *p, uint64_t ms) {
  sim_world_run(&p->world, p->world.now_us + ms * SIM_MS);
}

static sim_end connected(pair *p) {
  sim_end c = sim_net_connect(&p->net, &p->nodes[0], &p->nodes[1]);
  run_ms(p, 100);
  CHECK_SLICE(lk_slice_cstr(p->said[0]), LK_LIT("O"));
  CHECK_SLICE(lk_slice_cstr(p->said[1]), LK_LIT("A"));
  memset(p->said, 0, sizeof p->said);
  return c;
}

#define SAID(p, number, text) CHECK_SLICE(lk_slice_cstr((p)->said[number]), LK_LIT(text))

PROPERTY_SLOW(messages_of_a_connection_arrive_in_order_and_before_its_end, 20) {
  pair p;
  begin(&p, gen_u64(g));
  sim_end c = connected(&p);
  for (char letter = 'a'; letter <= 'z'; letter++) {
    sim_net_send(&p.net, c, lk_slice_of(&letter, 1));
    if (gen_bool(g)) run_ms(&p, gen_below(g, 4));
  }
  sim_net_send(&p.net, p.accepted, LK_LIT("back"));
  sim_net_close(&p.net, c);
  sim_net_send(&p.net, c, LK_LIT("too late"));
  run_ms(&p, 1000);
  SAID(&p, 1, "abcdefghijklmnopqrstuvwxyzC");
  CHECK_U64(sim_net_count(&p.net), 0);
  end(&p);
}

TEST(a_message_takes_at_least_the_shortest_delay) {
  pair p;
  begin(&p, 1);
  sim_end c = connected(&p);
  sim_net_send(&p.net, c, LK_LIT("x"));
  CHECK_U64(sim_net_queued(&p.net, c), 1);
  sim_world_run(&p.world, p.world.now_us + 999);
  SAID(&p, 1, "");
  run_ms(&p, 10);
  SAID(&p, 1, "x");
  CHECK_U64(sim_net_queued(&p.net, c), 0);
  end(&p);
}

TEST(a_blocked_path_holds_back_one_direction_until_it_is_free) {
  pair p;
  begin(&p, 1);
  sim_end c = connected(&p);
  sim_net_block(&p.net, 0, 1);
  sim_net_block(&p.net, 0, 1);
  sim_net_send(&p.net, c, LK_LIT("x"));
  sim_net_send(&p.net, p.accepted, LK_LIT("y"));
  run_ms(&p, 5000);
  SAID(&p, 0, "y");
  sim_net_unblock(&p.net, 0, 1);
  run_ms(&p, 5000);
  SAID(&p, 1, ""); /* the other block still holds */
  sim_net_unblock(&p.net, 0, 1);
  run_ms(&p, 200);
  SAID(&p, 1, "x");
  end(&p);
}

TEST(a_sender_whose_path_stays_blocked_gives_up_and_the_receiver_is_not_told) {
  pair p;
  begin(&p, 1);
  sim_end c = connected(&p);
  sim_net_block(&p.net, 0, 1);
  sim_net_send(&p.net, c, LK_LIT("x"));
  run_ms(&p, SIM_NET_GIVE_UP_US / SIM_MS + 1000);
  SAID(&p, 0, "C");
  SAID(&p, 1, "");
  CHECK_U64(sim_net_count(&p.net), 1); /* half-open */
  sim_net_heal(&p.net);
  sim_net_send(&p.net, p.accepted, LK_LIT("still there?"));
  run_ms(&p, 1000);
  SAID(&p, 0, "C");
  SAID(&p, 1, "C");
  CHECK_U64(sim_net_count(&p.net), 0);
  end(&p);
}

TEST(a_process_that_is_down_refuses_and_a_machine_without_power_hangs) {
  pair p;
  begin(&p, 1);
  sim_node_stop(&p.nodes[1]);
  (void)sim_net_connect(&p.net, &p.nodes[0], &p.nodes[1]);
  run_ms(&p, 100);
  SAID(&p, 0, "C");
  p.nodes[1].is_dark = true;
  (void)sim_net_connect(&p.net, &p.nodes[0], &p.nodes[1]);
  run_ms(&p, 20000);
  SAID(&p, 0, "C");
  run_ms(&p, 20000);
  SAID(&p, 0, "CC");
  CHECK_U64(sim_net_count(&p.net), 0);
  end(&p);
}

TEST(a_killed_process_hangs_up_and_one_without_power_does_not) {
  for (int dark = 0; dark < 2; dark++) {
    pair p;
    begin(&p, 1);
    sim_end c = connected(&p);
    p.nodes[1].is_dark = dark == 1;
    sim_node_stop(&p.nodes[1]);
    sim_net_forget(&p.net, &p.nodes[1]);
    run_ms(&p, 1000);
    CHECK_SLICE(lk_slice_cstr(p.said[0]), dark == 1 ? LK_SLICE_EMPTY : LK_LIT("C"));
    /* After the restart nobody there knows the connection: the next message ends it. */
    sim_node_start(&p.nodes[1]);
    sim_net_send(&p.net, c, LK_LIT("x"));
    run_ms(&p, 1000);
    SAID(&p, 0, "C");
    SAID(&p, 1, "");
    CHECK_U64(sim_net_count(&p.net), 0);
    end(&p);
  }
}

TEST(what_arrives_during_a_pause_is_told_behind_it) {
  pair p;
  begin(&p, 1);
  sim_end c = connected(&p);
  sim_node_pause(&p.nodes[1], p.world.now_us + 50 * SIM_MS);
  sim_net_send(&p.net, c, LK_LIT("x"));
  sim_net_datagram(&p.net, &p.nodes[0], &p.nodes[1], LK_LIT("d"));
  run_ms(&p, 49);
  SAID(&p, 1, "");
  run_ms(&p, 2);
  CHECK_U64(lk_slice_cstr(p.said[1]).len, 2);
  end(&p);
}

/* Goal: a cut tells both sides, or only one, and nothing that was sent afterwards arrives. */
TEST(a_connection_that_dies_tells_both_sides_or_one) {
  bool seen[4] = { false };
  for (uint64_t seed = 1; seed <= 60; seed++) {
    pair p;
    begin(&p, seed);
    sim_end c = connected(&p);
    p.options.rate[SIM_FAULT_net_cut] = 1000000;
    sim_net_send(&p.net, c, LK_LIT("x"));
    run_ms(&p, 1000);
    CHECK(p.said[0][0] == 0 || p.said[0][0] == 'C');
    CHECK(p.said[1][0] == 0 || p.said[1][0] == 'C');
    seen[(p.said[0][0] == 'C') * 2 + (p.said[1][0] == 'C')] = true;
    end(&p);
  }
  CHECK(!seen[0] && seen[1] && seen[2] && seen[3]);
}

TEST(a_stall_delays_a_message_and_everything_behind_it) {
  pair p;
  begin(&p, 3);
  sim_end c = connected(&p);
  p.options.rate[SIM_FAULT_net_stall] = 1000000;
  sim_net_send(&p.net, c, LK_LIT("a"));
  p.options.rate[SIM_FAULT_net_stall] = 0;
  sim_net_send(&p.net, c, LK_LIT("b"));
  run_ms(&p, 20);
  SAID(&p, 1, "");
  run_ms(&p, 21000);
  SAID(&p, 1, "ab");
  end(&p);
}

TEST(a_clogged_path_is_slow_for_a_while) {
  uint64_t slow = 0;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    pair p;
    begin(&p, seed);
    sim_end c = connected(&p);
    sim_net_clog(&p.net, 0, 1, p.world.now_us + 1000);
    sim_net_send(&p.net, c, LK_LIT("x"));
    run_ms(&p, 11);
    slow += p.said[1][0] == 0;
    run_ms(&p, 4000);
    SAID(&p, 1, "x");
    end(&p);
  }
  CHECK(slow > 15);
}

/* Goal: datagrams are lost, doubled and overtake each other, and otherwise arrive. */
TEST(datagrams_keep_no_order_and_no_promise) {
  pair p;
  begin(&p, 1);
  for (char letter = 'a'; letter <= 'z'; letter++) {
    sim_net_datagram(&p.net, &p.nodes[0], &p.nodes[1], lk_slice_of(&letter, 1));
  }
  run_ms(&p, 100);
  CHECK_U64(lk_slice_cstr(p.said[1]).len, 26);
  CHECK(!lk_slice_equal(lk_slice_cstr(p.said[1]), LK_LIT("abcdefghijklmnopqrstuvwxyz")));
  p.options.rate[SIM_FAULT_net_drop] = 1000000;
  sim_net_datagram(&p.net, &p.nodes[0], &p.nodes[1], LK_LIT("lost"));
  p.options.rate[SIM_FAULT_net_drop] = 0;
  p.options.rate[SIM_FAULT_net_duplicate] = 1000000;
  sim_net_datagram(&p.net, &p.nodes[1], &p.nodes[0], LK_LIT("x"));
  run_ms(&p, 100);
  SAID(&p, 0, "xx");
  CHECK_U64(lk_slice_cstr(p.said[1]).len, 26);
  sim_net_block(&p.net, 0, 1);
  sim_net_datagram(&p.net, &p.nodes[0], &p.nodes[1], LK_LIT("blocked"));
  run_ms(&p, 100);
  CHECK_U64(lk_slice_cstr(p.said[1]).len, 26);
  sim_net_datagram(&p.net, &p.nodes[0], &p.nodes[1], LK_LIT("under way at the end"));
  end(&p);
}
