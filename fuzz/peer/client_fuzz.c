/* A server that says anything. */
#include "peer/client.h"

#include "harness/test.h"

static const lk_slice messages[] = {
  LK_LIT_INIT("[\"1\",\"1\",\"crdt:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{\"type\":"
              "\"gcounter\",\"value\":0,\"state\":\"AQAAAA==\",\"level\":\"durable\"}}]"),
  LK_LIT_INIT(
      "[\"2\",\"2\",\"doc:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{\"history\":[],"
      "\"state_vector\":\"AA==\",\"generation\":\"00ff\",\"access\":\"write\","
      "\"durability\":\"durable\",\"profile\":\"full_client\",\"encoding\":\"binary\"}}]"),
  LK_LIT_INIT("[\"2\",\"2\",\"doc:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":"
              "\"diverged\",\"retry_after_ms\":5}}]"),
  LK_LIT_INIT("[null,null,\"crdt:a\",\"state_updated\",{\"value\":1,\"delta\":\"AQAAAA==\"}]"),
  LK_LIT_INIT("[\"1\",\"1\",\"crdt:a\",\"phx_error\",{\"reason\":\"storage_full\"}]"),
  LK_LIT_INIT("[null,null,\"doc:a\",\"server_update\",{\"b64\":\"AQEFAAQBAXQCaGkA\"}]"),
  LK_LIT_INIT("\x02\x05\x0d"
              "doc:aserver_update\x01\x01\x05\x00\x04\x01\x01t\x02hi\x00"),
  LK_LIT_INIT("\x01\x01\x01\x05\x02"
              "23doc:aok{}"),
};

/* Two topics, joined, with a change each under way; then a few messages. */
FUZZ(lk_client_receive) {
  uint8_t scratch[400];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_limits limits = lk_limits_default();
  lk_client_options options = LK_CLIENT_OPTIONS_INIT;
  lk_client *client;
  lk_topic *crdt, *doc;
  lk_client_event event;
  lk_node node;
  options.entropy[0] = gen_u64(g);
  CHECK_OK(lk_client_open_limited(&env, &limits, &options, &client));
  CHECK_OK(
      lk_client_open_crdt(client, LK_LIT("crdt:a"), LK_CRDT_GCOUNTER, LK_TOPIC_KEPT, 1, &crdt));
  CHECK_OK(lk_client_open_doc(client, LK_LIT("doc:a"), LK_TOPIC_KEPT, 1, &doc));
  lk_client_connect(client, 1);
  while (lk_client_poll(client, &event)) continue;
  if (gen_bool(g)) lk_client_opened(client, 1);
  else lk_client_opened_as_text(client, 1);
  CHECK_OK(lk_topic_apply(crdt, LK_SLICE_EMPTY, LK_LIT("increment"), LK_LIT("[1]"), 1, 1));
  CHECK_OK(lk_doc_root(lk_topic_doc(doc), LK_LIT("t"), LK_NODE_TEXT, &node));
  CHECK_OK(lk_doc_text_insert(lk_topic_doc(doc), node, 0, LK_LIT("x"), NULL));
  for (uint32_t i = gen_range(g, 1, 6); i > 0; i--) {
    bool is_binary = gen_bool(g);
    lk_slice in = gen_hostile(g, messages, sizeof messages / sizeof messages[0], scratch,
                              sizeof scratch);
    (void)lk_client_receive(client, in, is_binary, 1);
    while (lk_client_poll(client, &event)) continue;
  }
  CHECK_U64(client->pending_count, crdt->backlog.entries.count + doc->backlog.entries.count);
  lk_client_close(client);
}

static const lk_slice changes[] = {
  LK_LIT_INIT("\x01\x01\x00\x00"),
  LK_LIT_INIT("\x01\x01\x01\x01"
              "a\x01\x01\x00\x01\x00"),
  LK_LIT_INIT("\x01\x01\x05\x00\x04\x01\x01t\x02hi\x00"),
  LK_LIT_INIT("\x01\x01\x05\x01\x84\x05\x00\x02hi\x00"),
  LK_LIT_INIT("\x00\x01\x05\x01\x00\x01"),
};

/* A page that gives anything for a change: what is taken is pending, once, and can be asked for. */
/* also fuzzes: lk_topic_since */
FUZZ(lk_topic_merge) {
  uint8_t scratch[400];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  const lk_client_options options = LK_CLIENT_OPTIONS_INIT;
  lk_client *client;
  lk_topic *topics[2];
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 20);
  CHECK_OK(lk_client_open(&env, &options, &client));
  CHECK_OK(lk_client_open_crdt(client, LK_LIT("crdt:a"), LK_CRDT_GCOUNTER, LK_TOPIC_KEPT, 1,
                               &topics[0]));
  CHECK_OK(lk_client_open_doc(client, LK_LIT("doc:a"), LK_TOPIC_KEPT, 1, &topics[1]));
  for (uint32_t i = gen_range(g, 1, 6); i > 0; i--) {
    lk_topic *topic = topics[gen_bool(g)];
    lk_slice in = gen_hostile(g, changes, sizeof changes / sizeof changes[0], scratch,
                              sizeof scratch);
    uint64_t number, again, pending = client->pending_count;
    lk_err err = lk_topic_merge(topic, in, false, 1, &number);
    CHECK(err == LK_OK || number == 0);
    CHECK((client->pending_count > pending) == (number != 0));
    if (err == LK_OK) CHECK_OK(lk_topic_merge(topic, in, false, 1, &again));
    if (err == LK_OK) CHECK_U64(again, 0);
    lk_buf_truncate(&out, 0);
    err = lk_topic_since(topic, in, &out);
    CHECK(err != LK_OK || out.len > 0);
    CHECK_OK(lk_topic_since(topic, LK_SLICE_EMPTY, &out));
  }
  lk_buf_deinit(&out);
  lk_client_close(client);
}
