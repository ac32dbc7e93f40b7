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
  lk_client_opened(client, 1);
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
