/* Clients on storages of their own against a real hub: offline, restarts, lost answers, lost servers. */
#include "unit/peer/lab.h"

#include <stdio.h>
#include <string.h>

/* ---- objects ---- */

TEST(client_changes_at_once_and_the_server_acknowledges) {
  lab l;
  lab_init(&l);
  lab_start(&l, 0);
  lab_start(&l, 1);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  lk_topic *b = lab_open(&l, 1, "crdt:a", LK_CRDT_GCOUNTER);
  CHECK_U64(lab_topic_status(a).state, LK_TOPIC_JOINED);
  CHECK_OK(lab_apply(&l, a, "increment", "[3]"));
  LAB_CHECK_VALUE(a, "3");
  CHECK_U64(lab_status(&l, 0).pending_count, 1);
  lab_settle(&l);
  LAB_CHECK_VALUE(b, "3");
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  CHECK_U64(lab_status(&l, 0).pending_bytes, 0);
  CHECK_U64(lab_status(&l, 0).acknowledged_ms, l.now);
  CHECK_TEXT(lab_topic_status(a).level, "durable");
  CHECK(l.clients[1].changes > 0);
  lab_deinit(&l);
}

TEST(client_offline_is_a_connection_that_is_not_there) {
  lab l;
  lab_init(&l);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  lab_start(&l, 1);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_ORSET);
  lk_topic *b = lab_open(&l, 1, "crdt:a", LK_CRDT_ORSET);
  CHECK_OK(lab_apply(&l, a, "add", "[\"x\"]"));
  CHECK_OK(lab_apply(&l, a, "add", "[\"y\"]"));
  CHECK_OK(lab_apply(&l, b, "add", "[\"z\"]"));
  lab_wait(&l, 60000);
  LAB_CHECK_VALUE(a, "[\"x\",\"y\"]");
  CHECK_U64(lab_status(&l, 0).pending_count, 2);
  l.clients[0].unreachable = false;
  lk_client_wake(lab_get(&l, 0), l.now);
  lab_settle(&l);
  LAB_CHECK_VALUE(a, "[\"x\",\"y\",\"z\"]");
  LAB_CHECK_VALUE(b, "[\"x\",\"y\",\"z\"]");
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  lab_deinit(&l);
}

TEST(client_keeps_what_is_pending_over_restarts) {
  lab l;
  lab_init(&l);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  CHECK_OK(lab_apply(&l, a, "increment", "[3]"));
  lab_settle(&l);
  for (int i = 0; i < 3; i++) {
    lab_stop(&l, 0);
    lab_start(&l, 0);
    a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
    CHECK_OK(lab_apply(&l, a, "increment", "[1]"));
    lab_settle(&l);
    CHECK_U64(lab_status(&l, 0).pending_count, (uint64_t)i + 2);
  }
  LAB_CHECK_VALUE(a, "6");
  CHECK_U64(lk_crdt_get_size(lk_topic_crdt(a)).actors, 1); /* one name, not one for each start */
  l.clients[0].unreachable = false;
  lab_wait(&l, 11000);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  lab_start(&l, 1);
  LAB_CHECK_VALUE(lab_open(&l, 1, "crdt:a", LK_CRDT_GCOUNTER), "6");
  lab_deinit(&l);
}

/* Nobody opens the topic in the second process. */
TEST(client_sends_what_an_earlier_process_left) {
  lab l;
  lab_init(&l);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  CHECK_OK(lab_apply(&l, lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER), "increment", "[3]"));
  lab_settle(&l);
  lab_stop(&l, 0);
  l.clients[0].unreachable = false;
  lab_start(&l, 0);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  lab_start(&l, 1);
  LAB_CHECK_VALUE(lab_open(&l, 1, "crdt:a", LK_CRDT_GCOUNTER), "3");
  lab_deinit(&l);
}

TEST(client_whose_answer_got_lost_is_counted_once) {
  lab l;
  lab_init(&l);
  lab_start(&l, 0);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  l.clients[0].is_deaf = true;
  CHECK_OK(lab_apply(&l, a, "increment", "[3]"));
  lab_settle(&l);
  CHECK_U64(lab_status(&l, 0).pending_count, 1);
  lab_stop(&l, 0);
  l.clients[0].is_deaf = false;
  lab_start(&l, 0);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  LAB_CHECK_VALUE(lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER), "3");
  lab_deinit(&l);
}

/* A change that could be forgotten must not be known to others: its dot would be used again. */
TEST(client_sends_nothing_that_it_may_forget) {
  lab l;
  lab_init(&l);
  lab_start(&l, 0);
  lab_start(&l, 1);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_ORSET);
  lk_topic *b = lab_open(&l, 1, "crdt:a", LK_CRDT_ORSET);
  l.clients[0].storage.hold = true;
  CHECK_OK(lab_apply(&l, a, "add", "[\"x\"]"));
  lab_settle(&l);
  LAB_CHECK_VALUE(b, "[]");
  CHECK_U64(lab_status(&l, 0).unsaved_count, 1);
  l.clients[0].storage.hold = false;
  lk_memory_storage_release(&l.clients[0].storage, UINT32_MAX);
  lab_settle(&l);
  LAB_CHECK_VALUE(b, "[\"x\"]");
  CHECK_U64(lab_status(&l, 0).unsaved_count, 0);
  lab_deinit(&l);
}

/* Joining again takes nothing along that may be forgotten, either. */
TEST(client_flushes_nothing_that_it_may_forget) {
  lab l;
  lab_init(&l);
  lab_start(&l, 0);
  lab_start(&l, 1);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_ORSET);
  lk_topic *b = lab_open(&l, 1, "crdt:a", LK_CRDT_ORSET);
  l.clients[0].storage.hold = true;
  CHECK_OK(lab_apply(&l, a, "add", "[\"x\"]"));
  lab_cut(&l, 0);
  lab_wait(&l, 1000);
  CHECK_U64(lab_topic_status(a).state, LK_TOPIC_JOINED);
  LAB_CHECK_VALUE(b, "[]");
  l.clients[0].storage.hold = false;
  lk_memory_storage_release(&l.clients[0].storage, UINT32_MAX);
  lab_settle(&l);
  LAB_CHECK_VALUE(b, "[\"x\"]");
  lab_deinit(&l);
}

TEST(client_brings_back_what_the_server_lost) {
  lab l;
  lab_init(&l);
  lab_start(&l, 0);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  CHECK_OK(lab_apply(&l, a, "increment", "[3]"));
  lab_settle(&l);
  lab_replace_server(&l);
  lab_wait(&l, 11000);
  lab_start(&l, 1);
  LAB_CHECK_VALUE(lab_open(&l, 1, "crdt:a", LK_CRDT_GCOUNTER), "3");
  lab_deinit(&l);
}

TEST(client_without_a_storage_works_and_forgets) {
  lab l;
  lab_init(&l);
  l.clients[0].has_storage = false;
  lab_start(&l, 0);
  CHECK_U64(l.clients[0].readies, 1);
  CHECK_OK(lab_apply(&l, lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER), "increment", "[3]"));
  lab_settle(&l);
  lab_stop(&l, 0);
  lab_start(&l, 0);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  LAB_CHECK_VALUE(a, "3");
  CHECK_OK(lab_apply(&l, a, "increment", "[1]"));
  lab_settle(&l);
  CHECK_U64(lk_crdt_get_size(lk_topic_crdt(a)).actors, 2);
  lab_deinit(&l);
}

TEST(client_refuses_changes_beyond_its_limits_by_name) {
  lab l;
  lab_init(&l);
  l.options.pending_count_max = 2;
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  CHECK_OK(lab_apply(&l, a, "increment", "[1]"));
  CHECK_OK(lab_apply(&l, a, "increment", "[1]"));
  CHECK_ERR(lab_apply(&l, a, "increment", "[1]"), LK_ERR_BACKLOG);
  CHECK_ERR(lk_topic_may_change(a), LK_ERR_BACKLOG);
  LAB_CHECK_VALUE(a, "2");
  l.clients[0].unreachable = false;
  lab_wait(&l, 11000);
  CHECK_OK(lab_apply(&l, a, "increment", "[1]"));
  lab_settle(&l);
  lab_stop(&l, 0);
  l.options = (lk_client_options)LK_CLIENT_OPTIONS_INIT;
  l.options.pending_bytes_max = 1;
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  a = lab_open(&l, 0, "crdt:b", LK_CRDT_GCOUNTER);
  CHECK_OK(lab_apply(&l, a, "increment", "[1]"));
  CHECK_ERR(lab_apply(&l, a, "increment", "[1]"), LK_ERR_BACKLOG);
  lab_deinit(&l);
}

TEST(client_refuses_what_makes_no_sense) {
  lab l;
  lk_topic *t;
  lk_client *client;
  lab_init(&l);
  l.clients[0].storage.hold = true;
  lab_start(&l, 0);
  CHECK_ERR(lk_client_open_doc(lab_get(&l, 0), LK_LIT("doc:a"), LK_TOPIC_KEPT, 0, &t),
            LK_ERR_STATE);
  l.clients[0].storage.hold = false;
  lk_memory_storage_release(&l.clients[0].storage, UINT32_MAX);
  lab_settle(&l);
  client = lab_get(&l, 0);
  CHECK_ERR(lk_client_open_doc(client, LK_LIT(""), LK_TOPIC_KEPT, 0, &t), LK_ERR_INVALID);
  CHECK_ERR(lk_client_open_crdt(client, LK_LIT("crdt:a"), (lk_crdt_kind)99, LK_TOPIC_KEPT, 0, &t),
            LK_ERR_UNKNOWN_TYPE);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  CHECK_ERR(lk_client_open_crdt(client, LK_LIT("crdt:a"), LK_CRDT_LIST, LK_TOPIC_KEPT, 0, &t),
            LK_ERR_TYPE);
  CHECK_ERR(lab_apply(&l, a, "insert", "[0,1]"), LK_ERR_UNKNOWN_OP);
  CHECK_ERR(lab_apply(&l, lab_open_doc(&l, 0, "doc:a"), "increment", "[1]"), LK_ERR_TYPE);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  l.options.capabilities = LK_LIT("[1]");
  CHECK_ERR(lk_client_open(&l.env, &l.options, &client), LK_ERR_INVALID);
  lab_deinit(&l);
}

TEST(client_is_told_for_good_that_the_type_is_another) {
  lab l;
  lab_init(&l);
  lab_start(&l, 0);
  lab_start(&l, 1);
  CHECK_OK(lab_apply(&l, lab_open(&l, 0, "crdt:a", LK_CRDT_ORSET), "add", "[1]"));
  lab_settle(&l);
  lk_topic *b = lab_open(&l, 1, "crdt:a", LK_CRDT_LIST);
  CHECK_U64(lab_topic_status(b).state, LK_TOPIC_REFUSED);
  CHECK_TEXT(lab_topic_status(b).reason, "type_mismatch");
  CHECK_OK(lab_apply(&l, b, "insert", "[0,7]"));
  lab_wait(&l, 60000);
  CHECK_U64(lab_topic_status(b).pending_count, 1);
  LAB_CHECK_VALUE(b, "[7]");
  lab_deinit(&l);
}

TEST(client_closes_topics_when_nothing_is_pending) {
  lab l;
  lab_init(&l);
  lab_start(&l, 0);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  CHECK_OK(lab_apply(&l, a, "increment", "[3]"));
  lk_topic_close(a, l.now);
  lab_settle(&l);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  CHECK_U64(a->channel.state, LK_PEER_CHANNEL_OUT);
  LAB_CHECK_VALUE(lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER), "3");
  lab_deinit(&l);
}

/* ---- documents ---- */

TEST(client_documents_merge_what_was_written_apart) {
  lab l;
  lab_init(&l);
  lab_start(&l, 0);
  lab_start(&l, 1);
  lk_topic *a = lab_open_doc(&l, 0, "doc:a"), *b = lab_open_doc(&l, 1, "doc:a");
  lab_write(&l, a, 0, "hello");
  lab_settle(&l);
  LAB_CHECK_VALUE(b, "{\"t\":\"hello\"}");
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  l.clients[0].unreachable = true;
  lab_cut(&l, 0);
  lab_write(&l, a, 5, "!");
  lab_write(&l, b, 0, "> ");
  lab_settle(&l);
  lab_stop(&l, 0);
  lab_start(&l, 0);
  a = lab_open_doc(&l, 0, "doc:a");
  LAB_CHECK_VALUE(a, "{\"t\":\"hello!\"}");
  lab_write(&l, a, 6, "?");
  CHECK_U64(lab_status(&l, 0).pending_count, 2);
  l.clients[0].unreachable = false;
  lab_wait(&l, 11000);
  LAB_CHECK_VALUE(a, "{\"t\":\"> hello!?\"}");
  LAB_CHECK_VALUE(b, "{\"t\":\"> hello!?\"}");
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  CHECK_TEXT(lab_topic_status(a).level, "durable");
  CHECK_TEXT(lab_topic_status(a).profile, "full_client");
  lab_deinit(&l);
}

TEST(client_documents_send_deletions_that_were_made_offline) {
  lab l;
  lk_node node;
  lab_init(&l);
  lab_start(&l, 0);
  lab_start(&l, 1);
  lk_topic *a = lab_open_doc(&l, 0, "doc:a"), *b = lab_open_doc(&l, 1, "doc:a");
  lab_write(&l, a, 0, "hello");
  lab_settle(&l);
  lab_cut(&l, 0);
  CHECK_OK(lk_doc_root(lk_topic_doc(a), LK_LIT("t"), LK_NODE_TEXT, &node));
  CHECK_OK(lk_doc_text_delete(lk_topic_doc(a), node, 0, 4));
  lk_topic_changed(a, l.now);
  lab_wait(&l, 11000);
  LAB_CHECK_VALUE(b, "{\"t\":\"o\"}");
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  lab_deinit(&l);
}

/* The document began again while a client was away, and both sides wrote. */
TEST(client_keeps_a_document_that_diverged_until_told_to_start_anew) {
  lab l;
  lab_init(&l);
  lab_start(&l, 0);
  lk_topic *a = lab_open_doc(&l, 0, "doc:a");
  lab_write(&l, a, 0, "old");
  lab_settle(&l);
  l.clients[0].unreachable = true;
  lab_replace_server(&l);
  lab_start(&l, 1);
  lab_write(&l, lab_open_doc(&l, 1, "doc:a"), 0, "new");
  lab_settle(&l);
  l.clients[0].unreachable = false;
  lab_write(&l, a, 3, "er");
  lab_wait(&l, 20000);
  CHECK_U64(lab_topic_status(a).state, LK_TOPIC_REFUSED);
  CHECK_TEXT(lab_topic_status(a).reason, "diverged");
  LAB_CHECK_VALUE(a, "{\"t\":\"older\"}");
  lab_stop(&l, 0);
  lab_start(&l, 0);
  a = lab_open_doc(&l, 0, "doc:a");
  CHECK_TEXT(lab_topic_status(a).reason, "diverged");
  LAB_CHECK_VALUE(a, "{\"t\":\"older\"}");
  CHECK_OK(lk_topic_start_anew(a, l.now));
  lab_settle(&l);
  LAB_CHECK_VALUE(a, "{\"t\":\"new\"}");
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  lab_write(&l, a, 3, "!");
  lab_settle(&l);
  lab_stop(&l, 0);
  lab_start(&l, 0);
  LAB_CHECK_VALUE(lab_open_doc(&l, 0, "doc:a"), "{\"t\":\"new!\"}");
  lab_deinit(&l);
}

/* An empty document may begin again while somebody is away, and what was written meanwhile is of the one that there is. */
TEST(client_that_was_in_an_empty_document_belongs_to_the_next) {
  lab l;
  lab_init(&l);
  lab_start(&l, 0);
  lk_topic *a = lab_open_doc(&l, 0, "doc:a");
  CHECK_U64(lab_topic_status(a).state, LK_TOPIC_JOINED);
  l.clients[0].unreachable = true;
  lab_replace_server(&l);
  lab_write(&l, a, 0, "mine");
  lab_start(&l, 1);
  lk_topic *b = lab_open_doc(&l, 1, "doc:a");
  lab_write(&l, b, 0, "yours");
  lab_settle(&l);
  l.clients[0].unreachable = false;
  lab_wait(&l, 11000);
  CHECK_U64(lab_topic_status(a).state, LK_TOPIC_JOINED);
  CHECK_U64(lk_doc_get_size(lk_topic_doc(a)).units, 9);
  CHECK_U64(lk_doc_get_size(lk_topic_doc(b)).units, 9);
  lab_deinit(&l);
}

/* A document that nobody has is brought back by who has a copy. */
TEST(client_brings_a_document_back) {
  lab l;
  lab_init(&l);
  lab_start(&l, 0);
  lk_topic *a = lab_open_doc(&l, 0, "doc:a");
  lab_write(&l, a, 0, "mine");
  lab_settle(&l);
  lab_replace_server(&l);
  lab_wait(&l, 11000);
  lab_start(&l, 1);
  LAB_CHECK_VALUE(lab_open_doc(&l, 1, "doc:a"), "{\"t\":\"mine\"}");
  lab_deinit(&l);
}

/* ---- the storage ---- */

TEST(client_compacts_its_diary) {
  lab l;
  char text[64];
  lab_init(&l);
  l.client_limits.log_segment_bytes = 16384; /* compaction at a sixteenth of that */
  l.client_limits.log_reserve_bytes = 4096;
  lab_start(&l, 0);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_ORSET);
  for (int i = 0; i < 300; i++) {
    (void)snprintf(text, sizeof text, "[\"element %d\"]", i % 7);
    CHECK_OK(lab_apply(&l, a, i % 2 == 0 ? "add" : "remove", text));
    if (i == 290) l.clients[0].is_deaf = true;
    lab_settle(&l);
  }
  CHECK_COVERED(keeping_compacts);
  CHECK(l.clients[0].storage.size_used < 65536);
  lk_buf before, after;
  lk_buf_init(&before, test_alloc(), 1 << 20);
  lk_buf_init(&after, test_alloc(), 1 << 20);
  CHECK_OK(lk_crdt_encode(lk_topic_crdt(a), &before));
  uint64_t pending = lab_status(&l, 0).pending_count;
  CHECK(pending > 0);
  l.clients[0].unreachable = true;
  lab_stop(&l, 0);
  lab_start(&l, 0);
  a = lab_open(&l, 0, "crdt:a", LK_CRDT_ORSET);
  CHECK_U64(lab_status(&l, 0).pending_count, pending);
  CHECK_OK(lk_crdt_encode(lk_topic_crdt(a), &after));
  CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  lab_deinit(&l);
}

TEST(client_goes_on_when_its_storage_is_full) {
  lab l;
  lab_init(&l);
  l.client_limits.log_reserve_bytes = 64;
  lab_start(&l, 0);
  lab_start(&l, 1);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_ORSET);
  lk_topic *b = lab_open(&l, 1, "crdt:a", LK_CRDT_ORSET);
  l.clients[0].storage.size_max = l.clients[0].storage.size_used;
  for (int i = 0; i < 3; i++) {
    CHECK_OK(lab_apply(&l, a, "add", "[1]"));
    lab_settle(&l);
    CHECK_OK(lab_apply(&l, a, "add", i == 0 ? "[2]" : i == 1 ? "[3]" : "[4]"));
    lab_settle(&l);
  }
  CHECK_U64(lab_status(&l, 0).storage, LK_ERR_NO_SPACE);
  l.clients[0].storage.size_max = 1 << 26;
  lab_wait(&l, 20000);
  CHECK_U64(lab_status(&l, 0).storage, LK_OK);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  LAB_CHECK_VALUE(b, "[1,2,3,4]");
  lab_stop(&l, 0);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  LAB_CHECK_VALUE(lab_open(&l, 0, "crdt:a", LK_CRDT_ORSET), "[1,2,3,4]");
  lab_deinit(&l);
}

/* What others changed is there without a server, too. */
TEST(client_keeps_what_others_changed) {
  lab l;
  lab_init(&l);
  lab_start(&l, 0);
  lab_start(&l, 1);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_ORSET);
  lk_topic *d = lab_open_doc(&l, 0, "doc:a");
  CHECK_OK(lab_apply(&l, lab_open(&l, 1, "crdt:a", LK_CRDT_ORSET), "add", "[1]"));
  lab_write(&l, lab_open_doc(&l, 1, "doc:a"), 0, "yours");
  lab_settle(&l);
  lab_stop(&l, 0);
  l.clients[0].unreachable = true;
  CHECK_OK(lab_apply(&l, lab_open(&l, 1, "crdt:a", LK_CRDT_ORSET), "add", "[2]"));
  lab_settle(&l);
  lab_start(&l, 0);
  a = lab_open(&l, 0, "crdt:a", LK_CRDT_ORSET);
  LAB_CHECK_VALUE(a, "[1]");
  d = lab_open_doc(&l, 0, "doc:a");
  LAB_CHECK_VALUE(d, "{\"t\":\"yours\"}");
  l.clients[0].unreachable = false; /* and so is what came with a join */
  lab_wait(&l, 11000);
  LAB_CHECK_VALUE(a, "[1,2]");
  lab_stop(&l, 0);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  LAB_CHECK_VALUE(lab_open(&l, 0, "crdt:a", LK_CRDT_ORSET), "[1,2]");
  lab_deinit(&l);
}

/* A document waits for no disk: what was acknowledged while there was no space is recorded when there is. */
TEST(client_records_later_what_was_acknowledged_meanwhile) {
  lab l;
  lab_init(&l);
  l.client_limits.log_reserve_bytes = 64;
  lab_start(&l, 0);
  lk_topic *d = lab_open_doc(&l, 0, "doc:a");
  lab_write(&l, d, 0, "one ");
  lab_settle(&l);
  l.clients[0].storage.size_max = l.clients[0].storage.size_used;
  for (int i = 0; i < 20; i++) {
    lab_write(&l, d, 0, "and more of it ");
    lab_settle(&l);
  }
  CHECK_U64(lab_status(&l, 0).storage, LK_ERR_NO_SPACE);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  l.clients[0].storage.size_max = 1 << 26;
  lab_wait(&l, 20000);
  CHECK_U64(lab_status(&l, 0).storage, LK_OK);
  lab_stop(&l, 0);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  CHECK_U64(lk_doc_get_size(lk_topic_doc(lab_open_doc(&l, 0, "doc:a"))).units, 4 + 20 * 15);
  lab_deinit(&l);
}

/* ---- tokens ---- */

TEST(client_asks_for_a_token_before_it_connects) {
  lab l;
  lab_init(&l);
  l.options.uses_token = true;
  l.clients[0].refuses_token = true;
  lab_start(&l, 0);
  CHECK_U64(l.clients[0].opens, 0);
  CHECK_U64(lab_status(&l, 0).state, LK_CLIENT_OFFLINE);
  l.clients[0].refuses_token = false;
  lab_wait(&l, 11000);
  CHECK_U64(l.clients[0].opens, 1);
  CHECK_U64(lab_status(&l, 0).state, LK_CLIENT_ONLINE);
  uint32_t tokens = l.clients[0].tokens;
  lk_hub_disconnect(l.hub, l.clients[0].connection, l.now);
  l.clients[0].connection = 0;
  lk_client_closed(lab_get(&l, 0), 4401, 0, l.now);
  lab_wait(&l, 11000);
  CHECK_U64(l.clients[0].tokens, tokens + 1);
  CHECK_U64(lab_status(&l, 0).state, LK_CLIENT_ONLINE);
  lab_deinit(&l);
}

/* ---- faults ---- */

/* Nothing fails any more. Returns what to give back when the round is over. */
static uint64_t mend(faulty *faults) {
  uint64_t fail_at = faults->fail_at;
  if (fail_at != 0) faults->fail_at = UINT64_MAX;
  return fail_at;
}

/* Memory for the client fails; the hub's is its own. */
static void count_with_faults(faulty *faults) {
  lab l;
  lk_topic *a = NULL;
  lab_init(&l);
  lk_env env = LK_ENV_INIT(faulty_alloc(faults), NULL);
  l.client_env = &env;
  uint64_t counted = 0;
  if (lab_try_start(&l, 0) != LK_OK) {
    lab_deinit(&l);
    return;
  }
  for (int i = 0; i < 4; i++) {
    if (a == NULL && lk_client_open_crdt(lab_get(&l, 0), LK_LIT("crdt:a"), LK_CRDT_GCOUNTER,
                                         LK_TOPIC_KEPT, l.now, &a) != LK_OK)
      a = NULL;
    if (a != NULL && lab_apply(&l, a, "increment", "[1]") == LK_OK) counted++;
    lab_settle(&l);
    if (i == 1) lab_cut(&l, 0);
    lab_wait(&l, 40000);
  }
  uint64_t fail_at = mend(faults);
  lab_wait(&l, 120000);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  lab_stop(&l, 0);
  l.client_env = NULL;
  char text[24];
  (void)snprintf(text, sizeof text, "%llu", (unsigned long long)counted);
  lab_start(&l, 0);
  LAB_CHECK_VALUE(lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER), text);
  lab_start(&l, 1);
  LAB_CHECK_VALUE(lab_open(&l, 1, "crdt:a", LK_CRDT_GCOUNTER), text);
  lab_deinit(&l);
  faults->fail_at = fail_at;
}

TEST(client_loses_nothing_when_memory_fails) {
  FAULT_LOOP(faults, test_alloc()) { count_with_faults(&faults); }
}

static void write_with_faults(faulty *faults) {
  lab l;
  lk_topic *a = NULL;
  lk_node node;
  char text[8] = "";
  lab_init(&l);
  lk_env env = LK_ENV_INIT(faulty_alloc(faults), NULL);
  l.client_env = &env;
  if (lab_try_start(&l, 0) != LK_OK) {
    lab_deinit(&l);
    return;
  }
  for (int i = 0; i < 4; i++) {
    if (a == NULL &&
        lk_client_open_doc(lab_get(&l, 0), LK_LIT("doc:a"), LK_TOPIC_KEPT, l.now, &a) != LK_OK)
      a = NULL;
    if (a != NULL && lk_doc_root(lk_topic_doc(a), LK_LIT("t"), LK_NODE_TEXT, &node) == LK_OK &&
        lk_doc_text_insert(lk_topic_doc(a), node, strlen(text), LK_LIT("x"), NULL) == LK_OK)
      text[strlen(text)] = 'x';
    if (a != NULL) lk_topic_changed(a, l.now);
    lab_settle(&l);
    if (i == 1) lab_cut(&l, 0);
    lab_wait(&l, 40000);
  }
  uint64_t fail_at = mend(faults);
  lab_wait(&l, 120000);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  lab_stop(&l, 0);
  l.client_env = NULL;
  char json[32] = "{}";
  if (text[0] != 0) (void)snprintf(json, sizeof json, "{\"t\":\"%s\"}", text);
  lab_start(&l, 0);
  LAB_CHECK_VALUE(lab_open_doc(&l, 0, "doc:a"), json);
  lab_start(&l, 1);
  LAB_CHECK_VALUE(lab_open_doc(&l, 1, "doc:a"), json);
  lab_deinit(&l);
  faults->fail_at = fail_at;
}

TEST(client_loses_no_writing_when_memory_fails) {
  FAULT_LOOP(faults, test_alloc()) { write_with_faults(&faults); }
  CHECK_COVERED(topic_misses_a_change);
}

/* The storage fails once at each place, and works again later. */
static void store_with_faults(faulty *faults, storage_fault fault, lk_err error) {
  lab l;
  lk_topic *a = NULL;
  faulty_storage storage;
  uint64_t counted = 0;
  char text[24];
  lab_init(&l);
  faulty_storage_init(&storage, &l.clients[0].storage.table, faults, fault, error, 1);
  l.clients[0].behind = &storage.table;
  lab_start(&l, 0);
  for (int i = 0; i < 4; i++) {
    if (a == NULL && lk_client_open_crdt(lab_get(&l, 0), LK_LIT("crdt:a"), LK_CRDT_GCOUNTER,
                                         LK_TOPIC_KEPT, l.now, &a) != LK_OK)
      a = NULL;
    if (a != NULL && lab_apply(&l, a, "increment", "[1]") == LK_OK) counted++;
    lab_settle(&l);
    lab_wait(&l, 40000);
  }
  uint64_t fail_at = mend(faults);
  lab_wait(&l, 120000);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  CHECK_U64(lab_status(&l, 0).storage, LK_OK);
  lab_stop(&l, 0);
  l.clients[0].behind = NULL;
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  (void)snprintf(text, sizeof text, "%llu", (unsigned long long)counted);
  LAB_CHECK_VALUE(lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER), text);
  lab_start(&l, 1);
  LAB_CHECK_VALUE(lab_open(&l, 1, "crdt:a", LK_CRDT_GCOUNTER), text);
  lab_deinit(&l);
  faults->fail_at = fail_at;
}

TEST(client_loses_nothing_when_its_storage_fails) {
  FAULT_LOOP(faults, test_alloc()) { store_with_faults(&faults, STORAGE_FAIL, LK_ERR_IO); }
  CHECK_COVERED(keeping_opens_again);
  CHECK_COVERED(topic_takes_another_name);
}

TEST(client_loses_nothing_when_its_storage_is_full_at_times) {
  FAULT_LOOP(faults, test_alloc()) { store_with_faults(&faults, STORAGE_TEAR, LK_ERR_NO_SPACE); }
  CHECK_COVERED(keeping_was_refused);
}

/* While the storage fails, changes are made under a name that may be forgotten; so nobody may go on under it later. */
TEST(client_never_goes_on_under_a_name_that_it_may_forget) {
  lab l;
  faulty faults;
  faulty_storage storage;
  lab_init(&l);
  faulty_init(&faults, test_alloc());
  faulty_storage_init(&storage, &l.clients[0].storage.table, &faults, STORAGE_FAIL, LK_ERR_IO, 1);
  l.clients[0].behind = &storage.table;
  lab_start(&l, 0);
  lab_start(&l, 1);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_LIST);
  lk_topic *b = lab_open(&l, 1, "crdt:a", LK_CRDT_LIST);
  CHECK_OK(lab_apply(&l, a, "insert", "[0,1]"));
  lab_settle(&l);
  faults.fail_at = faults.seen + 1;
  CHECK_OK(lab_apply(&l, a, "insert", "[0,2]"));
  lab_settle(&l);
  CHECK(lab_status(&l, 0).storage != LK_OK);
  CHECK_OK(lab_apply(&l, a, "insert", "[0,3]"));
  lab_wait(&l, 10000);
  CHECK_U64(lab_status(&l, 0).storage, LK_OK);
  l.clients[0].storage.hold = true; /* this one is sent, and forgotten */
  CHECK_OK(lab_apply(&l, a, "insert", "[0,4]"));
  lab_settle(&l);
  LAB_CHECK_VALUE(b, "[4,3,2,1]");
  lab_crash(&l, 0);
  l.clients[0].behind = NULL;
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  a = lab_open(&l, 0, "crdt:a", LK_CRDT_LIST);
  LAB_CHECK_VALUE(a, "[3,2,1]");
  CHECK_OK(lab_apply(&l, a, "insert", "[0,5]"));
  l.clients[0].unreachable = false;
  lab_wait(&l, 20000);
  CHECK_U64(lab_topic_status(a).state, LK_TOPIC_JOINED);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  CHECK_U64(lk_crdt_get_size(lk_topic_crdt(b)).entries, lk_crdt_get_size(lk_topic_crdt(a)).entries);
  lab_deinit(&l);
}

/* What stands in the files makes no sense: they stay, and the client works without. */
TEST(client_leaves_a_damaged_storage_alone) {
  lab l;
  lab_init(&l);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  CHECK_OK(lab_apply(&l, lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER), "increment", "[3]"));
  lab_settle(&l);
  lab_stop(&l, 0);
  lk_io open = { .kind = LK_IO_OPEN, .name = LK_LIT("diary-0000000001") };
  lk_storage *storage = &l.clients[0].storage.table;
  storage->submit(storage, &open);
  CHECK(storage->poll(storage) == &open);
  CHECK_OK(open.result);
  lk_io write = { .kind = LK_IO_WRITE, .file = open.file, .off = 4, .from = LK_LIT("damaged!") };
  storage->submit(storage, &write);
  CHECK(storage->poll(storage) == &write);
  lk_io close = { .kind = LK_IO_CLOSE, .file = open.file };
  storage->submit(storage, &close);
  CHECK(storage->poll(storage) == &close);
  l.clients[0].unreachable = false;
  lab_start(&l, 0);
  CHECK_COVERED(keeping_is_lost);
  CHECK_U64(lab_status(&l, 0).storage, LK_ERR_CORRUPT);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  CHECK_OK(lab_apply(&l, a, "increment", "[1]"));
  lab_settle(&l);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  lab_deinit(&l);
}

/* ---- everything at once ---- */

static void act(lab *l, lk_gen *g, int i, uint64_t counted[LAB_CLIENTS]) {
  lk_client *client = lab_get(l, i);
  lk_topic *t;
  uint32_t amount = 1 + gen_below(g, 3);
  char text[16];
  switch (gen_below(g, 8)) {
  case 0: lab_cut(l, i); break;
  case 1: l->clients[i].unreachable = !l->clients[i].unreachable; break;
  case 2:
    lab_settle(l); /* so that what was counted is kept */
    lab_stop(l, i);
    lab_start(l, i);
    break;
  case 3: lab_wait(l, gen_below(g, 5000)); break;
  case 4: l->clients[i].is_deaf = !l->clients[i].is_deaf; break;
  default:
    CHECK_OK(
        lk_client_open_crdt(client, LK_LIT("crdt:a"), LK_CRDT_GCOUNTER, LK_TOPIC_KEPT, l->now, &t));
    (void)snprintf(text, sizeof text, "[%u]", amount);
    CHECK_OK(lab_apply(l, t, "increment", text));
    counted[i] += amount;
    lk_topic_close(t, l->now);
    break;
  }
}

PROPERTY_SLOW(clients_count_each_change_once_whatever_happens, 20) {
  lab l;
  uint64_t counted[LAB_CLIENTS] = { 0 }, total = 0;
  char text[24];
  lab_init(&l);
  l.client_limits.log_segment_bytes = 4096;
  l.client_limits.log_reserve_bytes = 1024;
  for (int i = 0; i < LAB_CLIENTS; i++) lab_start(&l, i);
  for (uint32_t n = gen_below(g, 40); n > 0; n--)
    act(&l, g, (int)gen_below(g, LAB_CLIENTS), counted);
  for (int i = 0; i < LAB_CLIENTS; i++) {
    l.clients[i].unreachable = l.clients[i].is_deaf = false;
    lab_cut(&l, i);
    total += counted[i];
  }
  lab_wait(&l, 60000);
  (void)snprintf(text, sizeof text, "%llu", (unsigned long long)total);
  for (int i = 0; i < LAB_CLIENTS; i++) {
    CHECK_U64(lab_status(&l, i).pending_count, 0);
    LAB_CHECK_VALUE(lab_open(&l, i, "crdt:a", LK_CRDT_GCOUNTER), text);
  }
  lab_deinit(&l);
}
