/* Replicas beside a client's own, as pages of a browser have them; and what is said beside replicas. */
#include <stdio.h>

#include "harness/faulty.h"
#include "unit/peer/lab.h"

/* ---- what a watcher was told ---- */

#define HEARD_MAX 32

typedef struct heard {
  lk_topic *topic;
  lk_client_message message;
  char word[40]; /* of a reply the status, else the event */
  char payload[200];
  size_t payload_len;
} heard;

typedef struct ear {
  uint32_t news, empty_news, count;
  lk_topic *topic; /* of the latest news */
  lk_buf bytes;
  heard heard[HEARD_MAX];
} ear;

static void on_news(void *ctx, lk_topic *topic, lk_slice bytes) {
  ear *self = ctx;
  self->news++;
  self->empty_news += bytes.len == 0;
  self->topic = topic;
  lk_buf_truncate(&self->bytes, 0);
  CHECK_OK(lk_buf_append(&self->bytes, bytes));
}

static void on_heard(void *ctx, lk_topic *topic, const lk_client_message *message) {
  ear *self = ctx;
  CHECK(self->count < HEARD_MAX);
  heard *h = &self->heard[self->count++];
  lk_slice word = message->is_reply ? message->status : message->event;
  h->topic = topic;
  h->message = *message;
  h->payload_len = message->payload.len;
  (void)snprintf(h->word, sizeof h->word, "%.*s", (int)word.len, (const char *)word.ptr);
  (void)snprintf(h->payload, sizeof h->payload, "%.*s", (int)message->payload.len,
                 (const char *)message->payload.ptr);
}

static void listen(lab *l, int i, ear *self) {
  const lk_client_watcher watcher = { self, on_news, on_heard };
  *self = (ear){ 0 };
  lk_buf_init(&self->bytes, test_alloc(), 1 << 20);
  lk_client_watch(lab_get(l, i), &watcher);
}

static const heard *find_heard(const ear *self, const char *word) {
  for (uint32_t i = 0; i < self->count; i++) {
    if (lk_slice_equal(lk_slice_cstr(self->heard[i].word), lk_slice_cstr(word)))
      return &self->heard[i];
  }
  return NULL;
}

/* ---- what a page has ---- */

typedef struct page {
  lk_env env;
  lk_crdt *crdt;
  lk_doc *doc;
  lk_node text;
  lk_buf change; /* the latest */
  const char *name;
} page;

static void on_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  page *self = ctx;
  (void)doc, (void)origin;
  if (!local) return;
  lk_buf_truncate(&self->change, 0);
  CHECK_OK(lk_buf_append(&self->change, update));
}

static void page_init(page *self, lk_crdt_kind kind, const char *name, uint64_t client) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  *self = (page){ .env = LK_ENV_INIT(test_alloc(), NULL), .name = name };
  options.client = client;
  CHECK_OK(lk_crdt_open(&self->env, kind, &self->crdt));
  CHECK_OK(lk_doc_open(&self->env, &options, &self->doc));
  CHECK_OK(lk_doc_on_update(self->doc, LK_UPDATE_V1, on_update, self, NULL));
  CHECK_OK(lk_doc_root(self->doc, LK_LIT("t"), LK_NODE_TEXT, &self->text));
  lk_buf_init(&self->change, test_alloc(), 1 << 20);
}

static void page_deinit(page *self) {
  lk_crdt_close(self->crdt);
  lk_doc_close(self->doc);
  lk_buf_deinit(&self->change);
}

static lk_slice apply(page *self, const char *name, const char *arguments) {
  const lk_crdt_op op = { .actor = lk_slice_cstr(self->name), .delta = &self->change };
  lk_buf_truncate(&self->change, 0);
  CHECK_OK(lk_crdt_apply(self->crdt, &op, lk_slice_cstr(name), lk_slice_cstr(arguments)));
  return lk_buf_slice(&self->change);
}

static lk_slice write(page *self, uint64_t at, const char *text) {
  CHECK_OK(lk_doc_text_insert(self->doc, self->text, at, lk_slice_cstr(text), NULL));
  return lk_buf_slice(&self->change);
}

static lk_slice erase(page *self, uint64_t at, uint64_t len) {
  CHECK_OK(lk_doc_text_delete(self->doc, self->text, at, len));
  return lk_buf_slice(&self->change);
}

static uint64_t merge_as(lab *l, lk_topic *topic, lk_slice bytes, bool waits) {
  uint64_t number = 77;
  CHECK_OK(lk_topic_merge(topic, bytes, waits, l->now, &number));
  return number;
}

static uint64_t merge(lab *l, lk_topic *topic, lk_slice bytes) {
  return merge_as(l, topic, bytes, false);
}

/* ---- changes ---- */

TEST(pages_change_an_object_through_the_client) {
  lab l;
  page p;
  lab_init(&l);
  page_init(&p, LK_CRDT_GCOUNTER, "page", 7);
  lab_start(&l, 0);
  lab_start(&l, 1);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  lk_topic *b = lab_open(&l, 1, "crdt:a", LK_CRDT_GCOUNTER);
  CHECK_U64(merge(&l, a, apply(&p, "increment", "[3]")), 1);
  LAB_CHECK_VALUE(a, "3");
  CHECK_U64(lab_status(&l, 0).pending_count, 1);
  lab_settle(&l);
  LAB_CHECK_VALUE(b, "3");
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  /* What it has already says nothing new, and is not pending again. */
  CHECK_U64(merge(&l, a, lk_buf_slice(&p.change)), 0);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  CHECK_U64(lab_topic_status(a).changes, 1);
  page_deinit(&p);
  lab_deinit(&l);
}

/* A page may give all that it has: what was known here is not sent again. */
TEST(pages_may_give_a_whole_state) {
  lab l;
  page p;
  lk_buf state;
  lab_init(&l);
  page_init(&p, LK_CRDT_ORSET, "page", 7);
  lk_buf_init(&state, test_alloc(), 1 << 20);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_ORSET);
  for (int i = 0; i < 50; i++) {
    char element[40];
    (void)snprintf(element, sizeof element, "[\"element number %d\"]", i);
    CHECK_U64(merge(&l, a, apply(&p, "add", element)), (uint64_t)i + 1);
  }
  uint64_t bytes = lab_status(&l, 0).pending_bytes;
  (void)apply(&p, "add", "[\"x\"]");
  CHECK_OK(lk_crdt_encode(p.crdt, &state));
  CHECK_U64(merge(&l, a, lk_buf_slice(&state)), 51);
  CHECK(lab_status(&l, 0).pending_bytes - bytes < 100);
  CHECK_U64(merge(&l, a, lk_buf_slice(&state)), 0);
  lk_buf_deinit(&state);
  page_deinit(&p);
  lab_deinit(&l);
}

TEST(pages_change_a_document_through_the_client) {
  lab l;
  page p;
  lab_init(&l);
  page_init(&p, LK_CRDT_GCOUNTER, "page", 7);
  lab_start(&l, 0);
  lab_start(&l, 1);
  lk_topic *a = lab_open_doc(&l, 0, "doc:a");
  lk_topic *b = lab_open_doc(&l, 1, "doc:a");
  CHECK_U64(merge(&l, a, write(&p, 0, "hello")), 1);
  CHECK_U64(merge(&l, a, lk_buf_slice(&p.change)), 0);
  CHECK_U64(lab_status(&l, 0).pending_count, 1);
  lab_settle(&l);
  LAB_CHECK_VALUE(b, "{\"t\":\"hello\"}");
  CHECK_U64(merge(&l, a, erase(&p, 0, 4)), 2);
  CHECK_U64(merge(&l, a, lk_buf_slice(&p.change)), 0);
  lab_settle(&l);
  LAB_CHECK_VALUE(b, "{\"t\":\"o\"}");
  CHECK_U64(lab_topic_status(a).acknowledged, 2);
  page_deinit(&p);
  lab_deinit(&l);
}

/* It is kept and sent, though nothing reads otherwise yet. */
TEST(pages_may_give_what_waits_for_other_updates) {
  lab l;
  page p;
  lk_buf first;
  lab_init(&l);
  page_init(&p, LK_CRDT_GCOUNTER, "page", 7);
  lk_buf_init(&first, test_alloc(), 1 << 20);
  lab_start(&l, 0);
  lab_start(&l, 1);
  lk_topic *a = lab_open_doc(&l, 0, "doc:a");
  CHECK_OK(lk_buf_append(&first, write(&p, 0, "a")));
  CHECK_U64(merge(&l, a, write(&p, 1, "b")), 1);
  CHECK_COVERED(topic_takes_what_waits);
  CHECK_U64(merge(&l, a, lk_buf_slice(&p.change)), 0);
  lab_settle(&l);
  lab_stop(&l, 0);
  lab_start(&l, 0);
  a = lab_open_doc(&l, 0, "doc:a");
  CHECK(merge(&l, a, lk_buf_slice(&first)) > 0);
  lab_settle(&l);
  LAB_CHECK_VALUE(a, "{\"t\":\"ab\"}");
  LAB_CHECK_VALUE(lab_open_doc(&l, 1, "doc:a"), "{\"t\":\"ab\"}");
  lk_buf_deinit(&first);
  page_deinit(&p);
  lab_deinit(&l);
}

/* |waits| says whether a change may be known to others before it is on this device for good. */
TEST(pages_say_whether_a_change_waits_for_its_record) {
  for (int waits = 0; waits < 2; waits++) {
    lab l;
    page p;
    lab_init(&l);
    page_init(&p, LK_CRDT_ORSET, "page", 7);
    lab_start(&l, 0);
    lab_start(&l, 1);
    lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_ORSET);
    lk_topic *b = lab_open(&l, 1, "crdt:a", LK_CRDT_ORSET);
    lk_topic *c = lab_open_doc(&l, 0, "doc:a");
    lk_topic *d = lab_open_doc(&l, 1, "doc:a");
    l.clients[0].storage.hold = true;
    (void)merge_as(&l, a, apply(&p, "add", "[1]"), waits != 0);
    (void)merge_as(&l, c, write(&p, 0, "x"), waits != 0);
    lab_settle(&l);
    LAB_CHECK_VALUE(b, waits ? "[]" : "[1]");
    LAB_CHECK_VALUE(d, waits ? "{}" : "{\"t\":\"x\"}");
    l.clients[0].storage.hold = false;
    lk_memory_storage_release(&l.clients[0].storage, UINT32_MAX);
    lab_settle(&l);
    LAB_CHECK_VALUE(b, "[1]");
    LAB_CHECK_VALUE(d, "{\"t\":\"x\"}");
    page_deinit(&p);
    lab_deinit(&l);
  }
}

/* What a page gave is kept over a restart, and sent by a process that nobody gave it. */
TEST(pages_changes_survive_the_client) {
  lab l;
  page p;
  lab_init(&l);
  page_init(&p, LK_CRDT_GCOUNTER, "page", 7);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  (void)merge_as(&l, lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER), apply(&p, "increment", "[3]"),
                 true);
  (void)merge(&l, lab_open_doc(&l, 0, "doc:a"), write(&p, 0, "x"));
  lab_settle(&l);
  lab_crash(&l, 0);
  l.clients[0].unreachable = false;
  lab_start(&l, 0);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  lab_start(&l, 1);
  LAB_CHECK_VALUE(lab_open(&l, 1, "crdt:a", LK_CRDT_GCOUNTER), "3");
  LAB_CHECK_VALUE(lab_open_doc(&l, 1, "doc:a"), "{\"t\":\"x\"}");
  page_deinit(&p);
  lab_deinit(&l);
}

/* The page asked before it made the change: what is made is kept. */
TEST(pages_are_not_refused_for_want_of_room) {
  lab l;
  page p;
  lab_init(&l);
  page_init(&p, LK_CRDT_GCOUNTER, "page", 7);
  l.options.pending_count_max = 1;
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  for (uint64_t i = 1; i < 4; i++) CHECK_U64(merge(&l, a, apply(&p, "increment", "[1]")), i);
  CHECK_ERR(lk_topic_may_change(a), LK_ERR_BACKLOG);
  CHECK_U64(lab_status(&l, 0).pending_count, 3);
  page_deinit(&p);
  lab_deinit(&l);
}

TEST(pages_are_refused_what_is_no_change) {
  lab l;
  page p, other;
  uint64_t number = 1;
  lab_init(&l);
  page_init(&p, LK_CRDT_ORSET, "page", 7);
  page_init(&other, LK_CRDT_ORSET, "page", 7);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_ORSET);
  lk_topic *d = lab_open_doc(&l, 0, "doc:a");
  CHECK(lk_topic_merge(a, LK_LIT("no"), false, l.now, &number) != LK_OK);
  CHECK_U64(number, 0);
  CHECK(lk_topic_merge(a, LK_SLICE_EMPTY, false, l.now, &number) != LK_OK);
  CHECK(lk_topic_merge(d, LK_LIT("\xff"), false, l.now, &number) != LK_OK);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  /* Two pages under one name: it is shown, and nothing more is sent. */
  (void)merge(&l, a, apply(&p, "add", "[1]"));
  CHECK_ERR(lk_topic_merge(a, apply(&other, "add", "[2]"), false, l.now, &number), LK_ERR_DOT);
  CHECK_COVERED(topic_is_forked);
  CHECK_U64(lab_topic_status(a).state, LK_TOPIC_REFUSED);
  CHECK_TEXT(lab_topic_status(a).reason, "LK_ERR_DOT");
  CHECK_U64(lab_status(&l, 0).pending_count, 1);
  page_deinit(&p);
  page_deinit(&other);
  lab_deinit(&l);
}

/* What found no memory in the backlog has a number as well, and counts as recorded and acknowledged when it is. */
TEST(pages_changes_have_numbers_without_memory_too) {
  lab l;
  page p;
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lab_init(&l);
  page_init(&p, LK_CRDT_GCOUNTER, "page", 7);
  l.client_env = &env;
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  CHECK_U64(merge(&l, a, apply(&p, "increment", "[1]")), 1);
  lab_settle(&l);
  lk_topic_note_change(a, LK_SLICE_EMPTY, false); /* as it is where there is none */
  CHECK_COVERED(topic_misses_a_change);
  CHECK_U64(merge(&l, a, apply(&p, "increment", "[1]")), 3);
  CHECK_U64(lab_topic_status(a).changes, 3);
  CHECK_U64(lab_topic_status(a).recorded, 1);
  lab_settle(&l);
  CHECK_U64(lab_topic_status(a).recorded, 3);
  CHECK_U64(lab_topic_status(a).acknowledged, 0);
  l.clients[0].unreachable = false;
  lab_wait(&l, 11000);
  CHECK_U64(lab_topic_status(a).acknowledged, 3);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  page_deinit(&p);
  lab_deinit(&l);
}

/* All that the page has, until it is taken. */
static void give(lab *l, page *p, lk_topic *crdt, lk_topic *doc) {
  uint64_t number;
  lk_buf all;
  lk_buf_init(&all, test_alloc(), 1 << 20);
  CHECK_OK(lk_crdt_encode(p->crdt, &all));
  lk_err err = crdt == NULL ? LK_OK
                            : lk_topic_merge(crdt, lk_buf_slice(&all), true, l->now, &number);
  CHECK(err == LK_OK || err == LK_ERR_NOMEM);
  lk_buf_truncate(&all, 0);
  CHECK_OK(lk_doc_encode(p->doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &all));
  err = doc == NULL ? LK_OK : lk_topic_merge(doc, lk_buf_slice(&all), false, l->now, &number);
  CHECK(err == LK_OK || err == LK_ERR_NOMEM);
  lk_buf_deinit(&all);
}

static void give_with_faults(faulty *faults) {
  lab l;
  page p;
  lk_topic *a = NULL, *d = NULL;
  lab_init(&l);
  lk_env env = LK_ENV_INIT(faulty_alloc(faults), NULL);
  l.client_env = &env;
  if (lab_try_start(&l, 0) != LK_OK) {
    lab_deinit(&l);
    return;
  }
  page_init(&p, LK_CRDT_GCOUNTER, "page", 7);
  for (int i = 0; i < 3; i++) {
    if (a == NULL && lk_client_open_crdt(lab_get(&l, 0), LK_LIT("crdt:a"), LK_CRDT_GCOUNTER,
                                         LK_TOPIC_KEPT, l.now, &a) != LK_OK)
      a = NULL;
    if (d == NULL &&
        lk_client_open_doc(lab_get(&l, 0), LK_LIT("doc:a"), LK_TOPIC_KEPT, l.now, &d) != LK_OK)
      d = NULL;
    (void)apply(&p, "increment", "[1]");
    (void)write(&p, 0, "x");
    give(&l, &p, a, d);
    if (a != NULL) CHECK(lab_topic_status(a).acknowledged <= lab_topic_status(a).changes);
    lab_settle(&l);
    if (i == 1) lab_cut(&l, 0);
    lab_wait(&l, 40000);
  }
  uint64_t fail_at = faults->fail_at;
  faults->fail_at = 0;
  give(&l, &p, a, d);
  lab_wait(&l, 120000);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  if (a != NULL) CHECK_U64(lab_topic_status(a).acknowledged, lab_topic_status(a).changes);
  if (a != NULL) CHECK_U64(lab_topic_status(a).recorded, lab_topic_status(a).changes);
  lab_stop(&l, 0);
  l.client_env = NULL;
  lab_start(&l, 1);
  if (a != NULL) LAB_CHECK_VALUE(lab_open(&l, 1, "crdt:a", LK_CRDT_GCOUNTER), "3");
  if (d != NULL) LAB_CHECK_VALUE(lab_open_doc(&l, 1, "doc:a"), "{\"t\":\"xxx\"}");
  page_deinit(&p);
  lab_deinit(&l);
  faults->fail_at = fail_at;
}

TEST(pages_changes_are_not_lost_when_memory_fails) {
  FAULT_LOOP(faults, test_alloc()) { give_with_faults(&faults); }
}

/* ---- what a replica knows ---- */

TEST(pages_are_told_what_they_lack) {
  lab l;
  page p;
  lk_buf version, news;
  lab_init(&l);
  page_init(&p, LK_CRDT_ORSET, "page", 7);
  lk_buf_init(&version, test_alloc(), 1 << 20);
  lk_buf_init(&news, test_alloc(), 1 << 20);
  lab_start(&l, 0);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_ORSET);
  lk_topic *d = lab_open_doc(&l, 0, "doc:a");
  CHECK_OK(lab_apply(&l, a, "add", "[1]"));
  lab_write(&l, d, 0, "one ");
  CHECK_OK(lk_topic_since(a, LK_SLICE_EMPTY, &news));
  CHECK_OK(lk_crdt_merge(p.crdt, lk_buf_slice(&news), NULL));
  lk_buf_truncate(&news, 0);
  CHECK_OK(lk_topic_since(d, LK_SLICE_EMPTY, &news));
  CHECK_OK(lk_doc_apply(p.doc, LK_UPDATE_V1, lk_buf_slice(&news), 0));
  CHECK_U64(lk_crdt_compare(p.crdt, lk_topic_crdt(a)), LK_CRDT_EQUAL);

  CHECK_OK(lk_crdt_version(p.crdt, &version));
  CHECK_OK(lab_apply(&l, a, "add", "[2]"));
  lk_buf_truncate(&news, 0);
  CHECK_OK(lk_topic_since(a, lk_buf_slice(&version), &news));
  CHECK_OK(lk_crdt_merge(p.crdt, lk_buf_slice(&news), NULL));
  CHECK_U64(lk_crdt_compare(p.crdt, lk_topic_crdt(a)), LK_CRDT_EQUAL);
  lk_buf_truncate(&version, 0);
  CHECK_OK(lk_doc_state_vector(p.doc, &version));
  lab_write(&l, d, 4, "two");
  lk_buf_truncate(&news, 0);
  CHECK_OK(lk_topic_since(d, lk_buf_slice(&version), &news));
  CHECK_OK(lk_doc_apply(p.doc, LK_UPDATE_V1, lk_buf_slice(&news), 0));

  /* Both know the same, as both say. */
  lk_buf_truncate(&version, 0);
  lk_buf_truncate(&news, 0);
  CHECK_OK(lk_topic_version(d, &version));
  CHECK_OK(lk_doc_state_vector(p.doc, &news));
  CHECK_SLICE(lk_buf_slice(&version), lk_buf_slice(&news));
  lk_buf_truncate(&version, 0);
  lk_buf_truncate(&news, 0);
  CHECK_OK(lk_topic_version(a, &version));
  CHECK_OK(lk_crdt_version(p.crdt, &news));
  CHECK_SLICE(lk_buf_slice(&version), lk_buf_slice(&news));
  CHECK(lk_topic_since(a, LK_LIT("\xff"), &news) != LK_OK);
  CHECK(lk_topic_since(d, LK_LIT("\xff"), &news) != LK_OK);
  lk_buf_deinit(&version);
  lk_buf_deinit(&news);
  page_deinit(&p);
  lab_deinit(&l);
}

TEST(pages_hear_what_others_change) {
  lab l;
  page p;
  ear e;
  lab_init(&l);
  page_init(&p, LK_CRDT_GCOUNTER, "page", 7);
  lab_start(&l, 0);
  lab_start(&l, 1);
  listen(&l, 0, &e);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  lk_topic *d = lab_open_doc(&l, 0, "doc:a");
  CHECK_OK(lab_apply(&l, lab_open(&l, 1, "crdt:a", LK_CRDT_GCOUNTER), "increment", "[3]"));
  lab_settle(&l);
  CHECK_U64(e.news, 1);
  CHECK(e.topic == a);
  CHECK_OK(lk_crdt_merge(p.crdt, lk_buf_slice(&e.bytes), NULL));
  CHECK_U64(lk_crdt_compare(p.crdt, lk_topic_crdt(a)), LK_CRDT_EQUAL);
  lab_write(&l, lab_open_doc(&l, 1, "doc:a"), 0, "hello");
  lab_settle(&l);
  CHECK_U64(e.news, 2);
  CHECK(e.topic == d);
  CHECK_OK(lk_doc_apply(p.doc, LK_UPDATE_V1, lk_buf_slice(&e.bytes), 0));
  CHECK_U64(lk_doc_get_size(p.doc).units, 5);

  /* What is made here is no news, and neither is what a topic says that nobody has open. */
  (void)merge(&l, d, write(&p, 0, "x"));
  CHECK_OK(lab_apply(&l, a, "increment", "[1]"));
  lab_settle(&l);
  lk_topic_close(d, l.now);
  CHECK_U64(e.news, 2);
  CHECK_U64(e.count, 0);
  /* How is not known: what there is has to be asked for. */
  lk_topic_note_news(a, LK_SLICE_EMPTY);
  CHECK_U64(e.empty_news, 1);
  CHECK(a->records.owes_state);
  lk_client_watch(lab_get(&l, 0), NULL);
  lk_topic_note_news(a, LK_SLICE_EMPTY);
  CHECK_U64(e.news, 3);
  lk_buf_deinit(&e.bytes);
  page_deinit(&p);
  lab_deinit(&l);
}

/* ---- how far a change has come ---- */

TEST(pages_see_how_far_changes_have_come) {
  lab l;
  page p;
  lab_init(&l);
  page_init(&p, LK_CRDT_GCOUNTER, "page", 7);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  CHECK(lab_topic_status(a).is_kept);
  CHECK_U64(lab_topic_status(a).changes, 0);
  (void)merge(&l, a, apply(&p, "increment", "[1]"));
  lab_settle(&l);
  l.clients[0].storage.hold = true;
  (void)merge(&l, a, apply(&p, "increment", "[1]"));
  lab_settle(&l);
  CHECK_U64(lab_topic_status(a).changes, 2);
  CHECK_U64(lab_topic_status(a).recorded, 1);
  CHECK_U64(lab_topic_status(a).acknowledged, 0);
  a->has_status = false;
  l.clients[0].storage.hold = false;
  lk_memory_storage_release(&l.clients[0].storage, UINT32_MAX);
  lk_client_stored(lab_get(&l, 0), l.now);
  CHECK(a->has_status);
  CHECK_U64(lab_topic_status(a).recorded, 2);
  l.clients[0].unreachable = false;
  lab_wait(&l, 11000);
  CHECK_U64(lab_topic_status(a).acknowledged, 2);
  page_deinit(&p);
  lab_deinit(&l);
}

TEST(pages_see_that_nothing_is_kept) {
  lab l;
  page p;
  lk_topic *m;
  faulty faults;
  faulty_storage storage;
  lab_init(&l);
  page_init(&p, LK_CRDT_GCOUNTER, "page", 7);
  faulty_init(&faults, test_alloc());
  faulty_storage_init(&storage, &l.clients[0].storage.table, &faults, STORAGE_FAIL, LK_ERR_IO, 1);
  l.clients[0].behind = &storage.table;
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  CHECK_OK(lk_client_open_crdt(lab_get(&l, 0), LK_LIT("crdt:m"), LK_CRDT_GCOUNTER, LK_TOPIC_MEMORY,
                               l.now, &m));
  (void)merge(&l, m, apply(&p, "increment", "[1]"));
  CHECK(!lab_topic_status(m).is_kept);
  CHECK_U64(lab_topic_status(m).recorded, 1);
  /* The storage fails: nothing waits for it. */
  CHECK(lab_topic_status(a).is_kept);
  faults.fail_at = faults.seen + 1;
  faults.lasting = true;
  (void)merge_as(&l, a, apply(&p, "increment", "[1]"), true);
  CHECK_U64(lab_topic_status(a).recorded, 0);
  a->has_status = false;
  lk_client_stored(lab_get(&l, 0), l.now);
  CHECK(a->has_status);
  CHECK(!lab_topic_status(a).is_kept);
  CHECK_U64(lab_topic_status(a).recorded, 1);
  page_deinit(&p);
  lab_deinit(&l);
}

/* ---- what is said beside replicas ---- */

static lk_topic *open_plain(lab *l, int i, const char *name) {
  lk_topic *topic;
  CHECK_OK(lk_client_open_plain(lab_get(l, i), lk_slice_cstr(name), l->now, &topic));
  lab_settle(l);
  return topic;
}

TEST(pages_say_and_hear_things_in_a_topic_without_a_replica) {
  lab l;
  ear e, other;
  uint64_t ref, bin;
  lab_init(&l);
  lab_start(&l, 0);
  lab_start(&l, 1);
  listen(&l, 0, &e);
  listen(&l, 1, &other);
  lk_topic *a = open_plain(&l, 0, "relay:lobby");
  lk_topic *b = open_plain(&l, 1, "relay:lobby");
  CHECK_U64(lab_topic_status(a).state, LK_TOPIC_JOINED);
  CHECK(!lab_topic_status(a).is_kept);
  CHECK_OK(lk_topic_push(a, LK_LIT("hey"), LK_LIT("{\"a\":1}"), false, l.now, &ref));
  CHECK_OK(lk_topic_push(a, LK_LIT("raw"), LK_LIT("\x01\x02"), true, l.now, &bin));
  CHECK(ref > 0 && bin > ref);
  lab_settle(&l);
  CHECK_U64(e.count, 2);
  CHECK(e.heard[0].topic == a && e.heard[0].message.is_reply);
  CHECK_U64(e.heard[0].message.ref, ref);
  CHECK_U64(e.heard[1].message.ref, bin);
  CHECK_TEXT(lk_slice_cstr(e.heard[0].word), "ok");
  CHECK_TEXT(lk_slice_cstr(e.heard[0].payload), "{}");
  CHECK_U64(other.count, 2);
  CHECK(other.heard[0].topic == b && !other.heard[0].message.is_reply);
  CHECK_TEXT(lk_slice_cstr(other.heard[0].word), "hey");
  CHECK_TEXT(lk_slice_cstr(other.heard[0].payload), "{\"a\":1}");
  CHECK(!other.heard[0].message.is_binary && other.heard[1].message.is_binary);
  CHECK_U64(other.heard[1].payload_len, 2);
  CHECK_U64(other.heard[1].message.ref, 0);
  /* Nobody has it open: nobody is told, and it is left. */
  lk_topic_close(b, l.now);
  lab_settle(&l);
  CHECK(lk_client_find_topic(lab_get(&l, 1), LK_LIT("relay:lobby")) == NULL);
  lk_buf_deinit(&e.bytes);
  lk_buf_deinit(&other.bytes);
  lab_deinit(&l);
}

TEST(pages_are_refused_what_cannot_be_said) {
  lab l;
  lk_buf out;
  uint64_t number;
  lab_init(&l);
  lk_buf_init(&out, test_alloc(), 1 << 20);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  lk_topic *a = open_plain(&l, 0, "relay:lobby");
  CHECK_ERR(lk_topic_push(a, LK_LIT("x"), LK_LIT("{}"), false, l.now, &number), LK_ERR_STATE);
  CHECK_ERR(lk_topic_merge(a, LK_LIT("x"), false, l.now, &number), LK_ERR_TYPE);
  CHECK_ERR(lk_topic_version(a, &out), LK_ERR_TYPE);
  CHECK_ERR(lk_topic_since(a, LK_SLICE_EMPTY, &out), LK_ERR_TYPE);
  CHECK_ERR(lk_topic_value(a, LK_SLICE_EMPTY, &out), LK_ERR_TYPE);
  CHECK_ERR(lab_apply(&l, a, "increment", "[1]"), LK_ERR_TYPE);
  CHECK(lk_topic_doc(a) == NULL && lk_topic_crdt(a) == NULL);
  lk_topic *other;
  CHECK_ERR(lk_client_open_doc(lab_get(&l, 0), LK_LIT("relay:lobby"), LK_TOPIC_KEPT, l.now, &other),
            LK_ERR_TYPE);
  l.clients[0].unreachable = false;
  lab_wait(&l, 11000);
  CHECK_OK(lk_topic_start_anew(a, l.now));
  lab_wait(&l, 1000);
  CHECK_ERR(lk_topic_push(a, LK_SLICE_EMPTY, LK_LIT("{}"), false, l.now, &number), LK_ERR_INVALID);
  CHECK_ERR(lk_topic_push(a, LK_LIT("phx_leave"), LK_LIT("{}"), false, l.now, &number),
            LK_ERR_INVALID);
  CHECK_ERR(lk_topic_push(a, LK_LIT("\xff"), LK_LIT("{}"), false, l.now, &number), LK_ERR_UTF8);
  CHECK_ERR(lk_topic_push(a, LK_LIT("x"), LK_LIT("{"), false, l.now, &number), LK_ERR_PAYLOAD);
  l.limits.ws_message_bytes = 1024;
  lab_get(&l, 0)->limits.ws_message_bytes = 1025;
  CHECK_ERR(lk_topic_push(a, LK_LIT("x"), LK_LIT("{}"), false, l.now, &number), LK_ERR_TOO_BIG);
  CHECK_U64(number, 0);
  CHECK_U64(lab_topic_status(a).state, LK_TOPIC_JOINED);
  lk_buf_deinit(&out);
  lab_deinit(&l);
}

/* What was said before a connection was lost is not said on the next. */
TEST(pages_say_nothing_twice) {
  lab l;
  ear e, other;
  uint64_t ref;
  lab_init(&l);
  lab_start(&l, 0);
  lab_start(&l, 1);
  listen(&l, 0, &e);
  listen(&l, 1, &other);
  lk_topic *a = open_plain(&l, 0, "relay:lobby");
  (void)open_plain(&l, 1, "relay:lobby");
  CHECK_OK(lk_topic_push(a, LK_LIT("hey"), LK_LIT("{}"), false, l.now, &ref));
  lab_cut(&l, 0);
  lab_wait(&l, 11000);
  CHECK_U64(lab_topic_status(a).state, LK_TOPIC_JOINED);
  CHECK_U64(e.count + other.count, 0);
  lk_buf_deinit(&e.bytes);
  lk_buf_deinit(&other.bytes);
  lab_deinit(&l);
}

TEST(pages_hear_presence_where_they_asked_for_it) {
  lab l;
  ear e;
  uint64_t ref;
  lab_init(&l);
  lab_start(&l, 0);
  lab_start(&l, 1);
  listen(&l, 0, &e);
  lk_topic *a = lab_open_doc(&l, 0, "doc:a");
  lk_topic *b = lab_open_doc(&l, 1, "doc:a");
  lab_wait(&l, 2000);
  CHECK(find_heard(&e, "presence_state") == NULL);
  lk_topic_hear_presence(a, l.now);
  lk_topic_hear_presence(a, l.now);
  lab_wait(&l, 2000);
  CHECK_U64(lab_topic_status(a).state, LK_TOPIC_JOINED);
  CHECK(find_heard(&e, "presence_state") != NULL);
  CHECK_OK(lk_topic_push(b, LK_LIT("presence.track"), LK_LIT("{\"key\":\"ada\",\"meta\":{}}"),
                         false, l.now, &ref));
  lab_wait(&l, 2000);
  const heard *h = find_heard(&e, "presence_diff");
  CHECK(h != NULL && h->topic == a);
  /* It says so with each join from now on. */
  e.count = 0;
  lab_cut(&l, 0);
  lab_wait(&l, 11000);
  CHECK(find_heard(&e, "presence_state") != NULL);
  lk_buf_deinit(&e.bytes);
  lab_deinit(&l);
}

/* Messages about the replica are the client's own business. */
TEST(pages_hear_awareness_and_not_what_the_replica_takes) {
  lab l;
  ear e;
  uint64_t ref;
  lab_init(&l);
  lab_start(&l, 0);
  lab_start(&l, 1);
  listen(&l, 0, &e);
  lk_topic *a = lab_open_doc(&l, 0, "doc:a");
  lk_topic *b = lab_open_doc(&l, 1, "doc:a");
  lab_write(&l, b, 0, "x");
  CHECK_OK(lk_topic_push(b, LK_LIT("awareness"), LK_LIT("\x01\x05\x01\x02{}"), true, l.now, &ref));
  lab_wait(&l, 1000);
  CHECK_U64(e.count, 1);
  CHECK(e.heard[0].topic == a && e.heard[0].message.is_binary);
  CHECK_TEXT(lk_slice_cstr(e.heard[0].word), "awareness");
  lk_buf_deinit(&e.bytes);
  lab_deinit(&l);
}

/* ---- capabilities ---- */

TEST(client_tells_other_capabilities_when_there_are_some) {
  lab l;
  ear e;
  lab_init(&l);
  l.options.capabilities = LK_LIT("{\"memory_mb\":8192,\"connection_type\":\"wifi\"}");
  lab_start(&l, 0);
  listen(&l, 0, &e);
  lk_topic *d = lab_open_doc(&l, 0, "doc:a");
  CHECK_TEXT(lab_topic_status(d).profile, "full_client");
  CHECK_OK(lk_client_set_capabilities(
      lab_get(&l, 0),
      LK_LIT("{\"memory_mb\":64,\"connection_type\":\"cellular\",\"effective_type\":\"2g\"}"),
      l.now));
  lab_settle(&l);
  CHECK_TEXT(lab_topic_status(d).profile, "minimal_client");
  /* As with each join from now on. */
  lab_cut(&l, 0);
  lab_wait(&l, 11000);
  CHECK_TEXT(lab_topic_status(d).profile, "minimal_client");
  CHECK_OK(lk_client_set_capabilities(lab_get(&l, 0), LK_SLICE_EMPTY, l.now));
  lab_settle(&l);
  CHECK_TEXT(lab_topic_status(d).profile, "full_client");
  CHECK_ERR(lk_client_set_capabilities(lab_get(&l, 0), LK_LIT("[]"), l.now), LK_ERR_INVALID);
  CHECK_ERR(lk_client_set_capabilities(lab_get(&l, 0), LK_LIT("{"), l.now), LK_ERR_INVALID);
  CHECK_U64(e.count, 0);
  lk_buf_deinit(&e.bytes);
  lab_deinit(&l);
}
