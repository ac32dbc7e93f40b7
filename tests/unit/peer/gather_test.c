/* Updates that leave together say what they say one by one. */
#include "harness/test.h"
#include "harness/faulty.h"
#include "laniakea/doc.h"
#include "peer/gather.h"

#define UPDATES_MAX 24
#define REPLICAS 3

typedef struct log {
  lk_buf bytes;
  size_t ends[UPDATES_MAX];
  size_t count;
} log;

static void on_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  log *self = ctx;
  (void)doc, (void)origin;
  if (!local || self->count == UPDATES_MAX) return;
  CHECK_OK(lk_buf_append(&self->bytes, update));
  self->ends[self->count++] = self->bytes.len;
}

static lk_slice update_at(const log *self, size_t index) {
  size_t from = index == 0 ? 0 : self->ends[index - 1];
  return lk_slice_of(self->bytes.ptr + from, self->ends[index] - from);
}

static lk_doc *open_doc(const lk_env *env, uint64_t client, log *to) {
  lk_doc *doc;
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = client;
  CHECK_OK(lk_doc_open(env, &options, &doc));
  CHECK_OK(lk_doc_on_update(doc, LK_UPDATE_V1, on_update, to, NULL));
  return doc;
}

static void edit(lk_gen *g, lk_doc *doc) {
  lk_node text, map;
  const lk_value value = { .kind = LK_VALUE_NUMBER, .number = gen_range(g, 0, 9) };
  CHECK_OK(lk_doc_root(doc, LK_LIT("t"), LK_NODE_TEXT, &text));
  CHECK_OK(lk_doc_root(doc, LK_LIT("m"), LK_NODE_MAP, &map));
  uint64_t len = lk_doc_node_length(doc, text);
  switch (gen_range(g, 0, 3)) {
  case 0:
    if (len > 0) CHECK_OK(lk_doc_text_delete(doc, text, gen_range(g, 0, (uint32_t)len - 1), 1));
    break;
  case 1: CHECK_OK(lk_doc_map_set(doc, map, LK_LIT("k"), &value)); break;
  default:
    CHECK_OK(lk_doc_text_insert(doc, text, gen_range(g, 0, (uint32_t)len), LK_LIT("ab"), NULL));
  }
}

static void tell(const lk_env *env, lk_doc *from, lk_doc *to) {
  lk_buf all;
  lk_buf_init(&all, env->alloc, 1 << 20);
  CHECK_OK(lk_doc_encode(from, LK_UPDATE_V1, LK_SLICE_EMPTY, &all));
  CHECK_OK(lk_doc_apply(to, LK_UPDATE_V1, lk_buf_slice(&all), 0));
  lk_buf_deinit(&all);
}

static void apply(lk_doc *doc, const lk_slice *updates, size_t count) {
  for (size_t i = 0; i < count; i++) CHECK_OK(lk_doc_apply(doc, LK_UPDATE_V1, updates[i], 0));
}

static void check_same(lk_doc *a, lk_doc *b) {
  lk_buf left, right;
  lk_buf_init(&left, test_alloc(), 1 << 20);
  lk_buf_init(&right, test_alloc(), 1 << 20);
  CHECK_OK(lk_doc_encode(a, LK_UPDATE_V1, LK_SLICE_EMPTY, &left));
  CHECK_OK(lk_doc_encode(b, LK_UPDATE_V1, LK_SLICE_EMPTY, &right));
  CHECK_SLICE(lk_buf_slice(&left), lk_buf_slice(&right));
  lk_buf_deinit(&left);
  lk_buf_deinit(&right);
}

/* Replicas that write, delete and hear of each other. Some of their updates, each once and gathered, and then all that
 * was left out: that is what all of them are. */
PROPERTY(gathered_updates_say_what_they_said_alone) {
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  const lk_limits limits = lk_limits_default();
  lk_doc *docs[REPLICAS], *alone, *together;
  log all = { 0 }, none = { .count = UPDATES_MAX };
  lk_slice some[UPDATES_MAX], rest[UPDATES_MAX];
  size_t some_count = 0, rest_count = 0;
  lk_buf gathered;
  lk_buf_init(&all.bytes, test_alloc(), 1 << 20);
  lk_buf_init(&gathered, test_alloc(), 1 << 20);
  for (uint64_t i = 0; i < REPLICAS; i++) docs[i] = open_doc(&env, i + 1, &all);
  for (uint32_t i = gen_range(g, 1, 20); i > 0; i--) {
    lk_doc *doc = docs[gen_range(g, 0, REPLICAS - 1)];
    edit(g, doc);
    if (gen_range(g, 0, 4) == 0) tell(&env, doc, docs[gen_range(g, 0, REPLICAS - 1)]);
  }
  for (size_t i = 0; i < all.count; i++) {
    if (gen_range(g, 0, 5) > 0) some[some_count++] = update_at(&all, i);
    else rest[rest_count++] = update_at(&all, i);
  }
  CHECK_OK(lk_gather_updates(env.alloc, &limits, some, some_count, &gathered));
  const lk_slice as_one = lk_buf_slice(&gathered);
  alone = open_doc(&env, 10, &none);
  together = open_doc(&env, 11, &none);
  apply(alone, some, some_count);
  apply(together, &as_one, 1);
  if (rest_count == 0) check_same(alone, together);
  apply(alone, rest, rest_count);
  apply(together, rest, rest_count);
  check_same(alone, together);
  for (size_t i = 0; i < REPLICAS; i++) lk_doc_close(docs[i]);
  lk_doc_close(alone);
  lk_doc_close(together);
  lk_buf_deinit(&gathered);
  lk_buf_deinit(&all.bytes);
}

TEST(gathered_updates_have_nothing_twice) {
  lk_limits limits = lk_limits_default();
  lk_buf out;
  const lk_slice update = LK_LIT("\x01\x01\x05\x00\x04\x01\x01t\x02hi\x00");
  const lk_slice twice[] = { update, update }, broken[] = { update, LK_LIT("\x01") };
  lk_buf_init(&out, test_alloc(), 1 << 20);
  CHECK_ERR(lk_gather_updates(test_alloc(), &limits, twice, 2, &out), LK_ERR_UNSUPPORTED);
  CHECK_ERR(lk_gather_updates(test_alloc(), &limits, broken, 2, &out), LK_ERR_TRUNCATED);
  limits.doc_clients_count = 1;
  const lk_slice both[] = { update, LK_LIT("\x01\x01\x06\x00\x04\x01\x01t\x02ho\x00") };
  CHECK_OK(lk_gather_updates(test_alloc(), &limits, twice, 1, &out));
  CHECK_SLICE(lk_buf_slice(&out), update);
  CHECK_ERR(lk_gather_updates(test_alloc(), &limits, both, 2, &out), LK_ERR_LIMIT);
  CHECK_SLICE(lk_buf_slice(&out), update);
  lk_buf_deinit(&out);
}

TEST(gathered_updates_need_memory) {
  const lk_limits limits = lk_limits_default();
  const lk_slice updates[] = { LK_LIT("\x01\x01\x05\x00\x04\x01\x01t\x02hi\x00"),
                               LK_LIT("\x01\x01\x05\x02\x84\x05\x01\x02ho\x01\x05\x01\x00\x01") };
  FAULT_LOOP(faults, test_alloc()) {
    lk_buf out;
    lk_buf_init(&out, faulty_alloc(&faults), 1 << 20);
    lk_err err = lk_gather_updates(faulty_alloc(&faults), &limits, updates, 2, &out);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    CHECK(err == LK_OK || out.len == 0);
    lk_buf_deinit(&out);
  }
}
