/* What a server may say to a device, said by hand: refusals of every kind, hints, silence, and messages that are too long. */
#include "unit/peer/lab.h"

#include <stdio.h>

#include "codec/base64.h"

/* ---- a server that says what it is told to ---- */

typedef struct puppet {
  lk_env env;
  lk_limits limits;
  lk_client *client;
  lk_topic *topic;
  uint64_t now;
  uint32_t joins, pushes, leaves;
  uint64_t ref, join_ref; /* of the latest message but heartbeats, and of the latest join */
  size_t longest;
} puppet;

static uint64_t number_at(lk_slice text, size_t index) {
  uint64_t number = 0;
  for (; index > 0; index--) (void)lk_slice_cut(text, '"', &text);
  for (size_t i = 0; i < text.len && text.ptr[i] != '"'; i++)
    number = number * 10 + (uint64_t)(text.ptr[i] - '0');
  return number;
}

static void note_text(puppet *p, lk_slice text) {
  if (lk_slice_find(text, LK_LIT("\"access_token\"")) != LK_SLICE_NONE) return;
  if (lk_slice_find(text, LK_LIT("\"heartbeat\"")) != LK_SLICE_NONE) {
    char reply[96];
    int len = snprintf(
        reply, sizeof reply,
        "[null,\"%d\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]",
        (int)number_at(text, 1));
    CHECK_OK(lk_client_receive(p->client, lk_slice_of(reply, (size_t)len), false, p->now));
    return;
  }
  if (lk_slice_find(text, LK_LIT("\"phx_leave\"")) != LK_SLICE_NONE) {
    p->leaves++;
    return;
  }
  p->joins++;
  p->ref = p->join_ref = number_at(text, 3);
}

static void note_frame(puppet *p, lk_slice bytes) {
  lk_message m;
  CHECK_OK(lk_message_decode_binary(bytes, &m));
  p->pushes++;
  p->ref = 0;
  for (size_t i = 0; i < m.ref.len; i++) p->ref = p->ref * 10 + (uint64_t)(m.ref.ptr[i] - '0');
}

static void drain(puppet *p) {
  lk_client_event event;
  while (lk_client_poll(p->client, &event)) {
    if (event.kind == LK_CLIENT_CONNECT) lk_client_opened(p->client, p->now);
    if (event.kind != LK_CLIENT_SEND) continue;
    p->longest = lk_max_size(p->longest, event.bytes.len);
    if (event.is_binary) note_frame(p, event.bytes);
    else note_text(p, event.bytes);
  }
}

static void puppet_begin(puppet *p, const lk_limits *limits) {
  const lk_client_options options = LK_CLIENT_OPTIONS_INIT;
  *p = (puppet){ .env = LK_ENV_INIT(test_alloc(), NULL), .limits = *limits, .now = 1000 };
  CHECK_OK(lk_client_open_limited(&p->env, &p->limits, &options, &p->client));
  CHECK_OK(lk_client_open_crdt(p->client, LK_LIT("crdt:a"), LK_CRDT_GCOUNTER, LK_TOPIC_KEPT, p->now,
                               &p->topic));
  lk_client_connect(p->client, p->now);
  drain(p);
  CHECK_U64(p->joins, 1);
}

static void puppet_init(puppet *p) {
  const lk_limits limits = lk_limits_default();
  puppet_begin(p, &limits);
}

static void to(puppet *p, uint64_t ms) {
  p->now = ms;
  lk_client_tick(p->client, p->now);
  drain(p);
}

static void answer(puppet *p, const char *status, const char *response) {
  char text[400];
  int len = snprintf(text, sizeof text,
                     "[\"%d\",\"%d\",\"crdt:a\",\"phx_reply\",{\"status\":\"%s\",\"response\":%s}]",
                     (int)p->join_ref, (int)p->ref, status, response);
  CHECK_OK(lk_client_receive(p->client, lk_slice_of(text, (size_t)len), false, p->now));
  drain(p);
}

/* An empty counter. */
static void let_in(puppet *p) {
  answer(p, "ok", "{\"type\":\"gcounter\",\"state\":\"AQEAAAA=\",\"level\":\"durable\"}");
  CHECK_U64(lab_topic_status(p->topic).state, LK_TOPIC_JOINED);
}

static void count(puppet *p) {
  CHECK_OK(
      lk_topic_apply(p->topic, LK_SLICE_EMPTY, LK_LIT("increment"), LK_LIT("[1]"), p->now, p->now));
  drain(p);
}

/* ---- refusals ---- */

TEST(topic_whose_join_is_refused_for_now_comes_back_later_each_time) {
  puppet p;
  uint64_t most = 0;
  puppet_init(&p);
  for (uint32_t i = 1; i < 20; i++) {
    answer(&p, "error", "{\"reason\":\"room full\"}");
    CHECK_TEXT(lab_topic_status(p.topic).reason, "room full");
    CHECK_U64(lab_topic_status(p.topic).state, LK_TOPIC_AWAY);
    uint64_t at = p.topic->channel.try_at_ms;
    CHECK(at - p.now <= LK_PEER_LINK_RETRY_MAX_MS);
    most = lk_max_u64(most, at - p.now);
    to(&p, at);
    CHECK_U64(p.joins, i + 1);
  }
  CHECK(most > 3000);
  lk_client_close(p.client);
}

TEST(topic_comes_back_when_the_server_says) {
  puppet p;
  puppet_init(&p);
  answer(&p, "error", "{\"reason\":\"server full\",\"retry_after_ms\":20000}");
  to(&p, p.now + 19999);
  CHECK_U64(p.joins, 1);
  to(&p, p.now + 10002);
  CHECK_U64(p.joins, 2);
  lk_client_close(p.client);
}

TEST(topic_that_is_refused_for_good_waits_for_another_token) {
  puppet p;
  puppet_init(&p);
  answer(&p, "error", "{\"reason\":\"unauthorized\"}");
  CHECK_U64(lab_topic_status(p.topic).state, LK_TOPIC_REFUSED);
  count(&p);
  lk_client_closed(p.client, 0, 0, p.now);
  to(&p, p.now + 60000);
  CHECK_U64(p.joins, 1);
  CHECK_OK(lk_client_set_token(p.client, LK_LIT("better"), 0, p.now));
  drain(&p);
  CHECK_U64(p.joins, 2);
  let_in(&p);
  CHECK_U64(p.pushes, 1);
  lk_client_close(p.client);
}

/* As much of a reason as there is room for, and no half of a character: it goes into JSON as it is. */
TEST(topic_keeps_a_reason_that_is_text) {
  puppet p;
  char response[120];
  puppet_init(&p);
  int len = snprintf(response, sizeof response, "{\"reason\":\"%063d\xc3\xbc\"}", 0);
  CHECK(len > 0);
  answer(&p, "error", response);
  CHECK_U64(lab_topic_status(p.topic).reason.len, 63);
  lk_client_close(p.client);
}

/* What was refused is kept and shown, and what others write still comes. */
TEST(topic_whose_change_is_refused_for_good_keeps_it) {
  puppet p;
  puppet_init(&p);
  let_in(&p);
  count(&p);
  answer(&p, "error", "{\"reason\":\"read_only\"}");
  CHECK_COVERED(topic_is_blocked);
  CHECK_U64(lab_topic_status(p.topic).state, LK_TOPIC_REFUSED);
  CHECK_TEXT(lab_topic_status(p.topic).reason, "read_only");
  count(&p);
  CHECK_U64(p.pushes, 1);
  CHECK_U64(lab_topic_status(p.topic).pending_count, 2);
  LAB_CHECK_VALUE(p.topic, "2");
  lk_topic_retry(p.topic, p.now);
  to(&p, p.now + 200);
  CHECK_U64(p.joins, 2);
  let_in(&p);
  CHECK_U64(p.pushes, 2);
  answer(&p, "ok", "{\"level\":\"durable\"}");
  CHECK_U64(lab_topic_status(p.topic).pending_count, 0);
  lk_client_close(p.client);
}

TEST(topic_whose_change_is_refused_for_now_sends_it_again) {
  puppet p;
  puppet_init(&p);
  let_in(&p);
  count(&p);
  for (uint32_t i = 2; i < 5; i++) {
    answer(&p, "error", "{\"reason\":\"storage_full\",\"error\":\"LK_ERR_NO_SPACE\"}");
    to(&p, p.topic->channel.try_at_ms);
    CHECK_U64(p.joins, i);
    let_in(&p);
    CHECK_U64(p.pushes, i);
  }
  answer(&p, "ok", "{\"level\":\"memory\"}");
  CHECK_U64(lab_topic_status(p.topic).pending_count, 0);
  CHECK_TEXT(lab_topic_status(p.topic).level, "memory");
  lk_client_close(p.client);
}

/* The answer got lost with the connection; the join says that the server has it. */
TEST(topic_sends_nothing_that_the_server_has) {
  puppet p;
  lk_buf state, text;
  char reply[400];
  puppet_init(&p);
  let_in(&p);
  count(&p);
  CHECK_U64(p.pushes, 1);
  lk_client_closed(p.client, 0, 0, p.now);
  to(&p, p.now + 200);
  CHECK_U64(p.joins, 2);
  lk_buf_init(&state, test_alloc(), 1024);
  lk_buf_init(&text, test_alloc(), 1024);
  CHECK_OK(lk_crdt_encode(lk_topic_crdt(p.topic), &state));
  CHECK_OK(lk_base64_encode(&text, lk_buf_slice(&state), LK_BASE64_FORM_STANDARD));
  (void)snprintf(reply, sizeof reply, "{\"state\":\"%.*s\"}", (int)text.len, (char *)text.ptr);
  answer(&p, "ok", reply);
  CHECK_U64(lab_topic_status(p.topic).pending_count, 0);
  CHECK_U64(p.pushes, 1);
  lk_buf_deinit(&state);
  lk_buf_deinit(&text);
  lk_client_close(p.client);
}

TEST(topic_comes_back_when_its_room_goes_away) {
  static const char *const ends[] = { "phx_error", "phx_close" };
  for (int i = 0; i < 2; i++) {
    puppet p;
    char text[80];
    puppet_init(&p);
    let_in(&p);
    count(&p);
    int len = snprintf(text, sizeof text, "[\"%d\",\"%d\",\"crdt:a\",\"%s\",{}]", (int)p.join_ref,
                       (int)p.join_ref, ends[i]);
    CHECK_OK(lk_client_receive(p.client, lk_slice_of(text, (size_t)len), false, p.now));
    to(&p, p.now + 200);
    CHECK_U64(p.joins, 2);
    let_in(&p);
    CHECK_U64(p.pushes, 2);
    /* What was said of the earlier joining fits nothing. */
    CHECK_OK(lk_client_receive(p.client, lk_slice_of(text, (size_t)len), false, p.now));
    CHECK_U64(lab_topic_status(p.topic).state, LK_TOPIC_JOINED);
    lk_client_close(p.client);
  }
}

/* ---- silence ---- */

TEST(topic_asks_again_where_nobody_answers) {
  puppet p;
  puppet_init(&p);
  to(&p, p.now + LK_PEER_JOIN_MS);
  CHECK_COVERED(peer_channel_join_overdue);
  to(&p, p.now + 200);
  CHECK_U64(p.joins, 2);
  let_in(&p);
  count(&p);
  to(&p, p.now + LK_TOPIC_REPLY_MS);
  CHECK_COVERED(topic_reply_overdue);
  to(&p, p.topic->channel.try_at_ms);
  CHECK_U64(p.joins, 3);
  lk_client_close(p.client);
}

/* ---- nonsense ---- */

TEST(topic_joins_again_when_the_answer_makes_no_sense) {
  static const char *const answers[] = { "{}", "[]", "{\"state\":\"?\"}", "{\"state\":\"AQE=\"}" };
  for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
    puppet p;
    char text[120];
    puppet_init(&p);
    int len = snprintf(
        text, sizeof text,
        "[\"1\",\"%d\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":%s}]", (int)p.ref,
        answers[i]);
    CHECK(lk_client_receive(p.client, lk_slice_of(text, (size_t)len), false, p.now) != LK_OK);
    CHECK_U64(lab_topic_status(p.topic).state, LK_TOPIC_AWAY);
    to(&p, p.now + 200);
    CHECK_U64(p.joins, 2);
    lk_client_close(p.client);
  }
}

/* ---- lengths ---- */

/* What is pending is longer than a message may be: it goes in several, none of them too long. */
TEST(topic_sends_in_pieces_what_is_too_long_for_one_message) {
  lab l;
  char text[64];
  lab_init(&l);
  l.client_limits.ws_message_bytes = 1024 + 300;
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_ORSET);
  lk_topic *d = lab_open_doc(&l, 0, "doc:a");
  for (int i = 0; i < 60; i++) {
    (void)snprintf(text, sizeof text, "[\"element number %d\"]", i);
    CHECK_OK(lab_apply(&l, a, "add", text));
    lab_write(&l, d, 0, "some words ");
    lk_topic_changed(d, l.now);
  }
  l.clients[0].unreachable = false;
  lab_wait(&l, 11000);
  CHECK_COVERED(topic_flush_is_too_long);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  lab_start(&l, 1);
  lk_topic *b = lab_open(&l, 1, "crdt:a", LK_CRDT_ORSET);
  CHECK_U64(lk_crdt_get_size(lk_topic_crdt(b)).entries, 60);
  CHECK_U64(lk_doc_get_size(lk_topic_doc(lab_open_doc(&l, 1, "doc:a"))).units, 60 * 11);
  lab_deinit(&l);
}

/* A replica that is longer than any may be is not kept from then on, and says so; the others are. */
TEST(topic_that_is_too_large_for_the_diary_is_not_kept) {
  lab l;
  char text[400];
  lab_init(&l);
  l.client_limits.doc_update_bytes = 200;
  l.client_limits.log_segment_bytes = 1024; /* compaction at a sixteenth of that */
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_LWW);
  lk_topic *b = lab_open(&l, 0, "crdt:b", LK_CRDT_GCOUNTER);
  text[0] = '[';
  text[1] = '"';
  for (int i = 2; i < 300; i++) text[i] = 'x';
  text[300] = '"';
  text[301] = ']';
  text[302] = 0;
  CHECK_OK(lab_apply(&l, a, "set", text));
  for (int i = 0; i < 50; i++) {
    CHECK_OK(lab_apply(&l, b, "increment", "[1]"));
    lab_settle(&l);
  }
  CHECK_COVERED(keeping_topic_is_too_big);
  CHECK_U64(lab_status(&l, 0).storage, LK_ERR_TOO_BIG);
  CHECK(!lab_topic_status(a).is_kept);
  CHECK(lab_topic_status(b).is_kept);
  CHECK_U64(lab_status(&l, 0).pending_count, 51);
  lab_stop(&l, 0);
  lab_start(&l, 0);
  LAB_CHECK_VALUE(lab_open(&l, 0, "crdt:b", LK_CRDT_GCOUNTER), "50");
  CHECK_U64(lab_status(&l, 0).pending_count, 51); /* what was recorded before counts */
  lab_deinit(&l);
}
