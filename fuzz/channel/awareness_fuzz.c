#include "channel/awareness.h"

#include "harness/test.h"

static const lk_slice samples[] = {
  LK_LIT_INIT("\x01\x05\x01\x0e{\"name\":\"Ada\"}"),
  LK_LIT_INIT("\x03\x07\x02\x04null\x05\x01\x02{}\x05\x02\x0d{\"b\":1,\"a\":2}"),
  LK_LIT_INIT("\x02\x06\x09\x01\x30\x06\x09\x04null"),
};

static lk_err count_entry(void *ctx, const lk_awareness_entry *entry) {
  CHECK(entry->client <= LK_AWARENESS_MAX && entry->clock <= LK_AWARENESS_MAX);
  ++*(uint32_t *)ctx;
  return LK_OK;
}

static lk_err keep(void *ctx, const lk_awareness_entry *entry, lk_slice *state) {
  (void)ctx;
  CHECK_SLICE(*state, entry->state);
  return LK_OK;
}

/* What one has taken in, another one can take in from it; and taking it in again does nothing. */
static void check_relay(const lk_awareness *a) {
  lk_limits limits = lk_limits_default();
  lk_awareness b;
  lk_buf all;
  size_t count;
  lk_buf_init(&all, test_alloc(), 1 << 24);
  CHECK_OK(lk_awareness_init(&b, test_alloc(), &limits, LK_AWARENESS_NO_CLIENT, 0));
  CHECK_OK(lk_awareness_encode(a, &all));
  CHECK_OK(lk_awareness_apply(&b, lk_buf_slice(&all), 0));
  CHECK(lk_awareness_count(&b) <= lk_awareness_count(a));
  CHECK_OK(lk_awareness_apply(&b, lk_buf_slice(&all), 0));
  (void)lk_awareness_events(&b, &count);
  CHECK_U64(count, 0);
  lk_awareness_deinit(&b);
  lk_buf_deinit(&all);
}

/* also fuzzes: lk_awareness_update_read, lk_awareness_update_modify */
FUZZ(lk_awareness_apply) {
  uint8_t scratch[128];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_limits limits = lk_limits_default();
  lk_awareness a;
  lk_buf out;
  limits.awareness_clients_count = 8;
  CHECK_OK(lk_awareness_init(&a, test_alloc(), &limits, 7, 0));
  for (uint64_t i = 0; i < 4; i++) {
    lk_slice in = g->from_bytes ? lk_slice_first(g->bytes, gen_below(g, 100))
                                : gen_hostile(g, samples, 3, scratch, sizeof scratch);
    if (g->from_bytes) g->bytes = lk_slice_skip(g->bytes, in.len);
    uint32_t entries = 0;
    lk_err read = lk_awareness_update_read(in, count_entry, &entries);
    lk_err err = lk_awareness_apply(&a, in, i * 20000);
    if (err == LK_OK) CHECK_OK(read);
    lk_buf_init(&out, test_alloc(), 1 << 22);
    if (lk_awareness_update_modify(&env, in, keep, NULL, &out) == LK_OK) {
      CHECK(read == LK_OK && (err == LK_OK || err == LK_ERR_LIMIT || err == LK_ERR_RANGE));
      CHECK_OK(lk_awareness_update_read(lk_buf_slice(&out), count_entry, &entries));
    }
    lk_buf_truncate(&out, 0);
    CHECK_OK(lk_awareness_encode_changed(&a, &out));
    CHECK_OK(lk_awareness_tick(&a, i * 20000 + 10000));
    lk_buf_deinit(&out);
    check_relay(&a);
  }
  lk_awareness_deinit(&a);
}
