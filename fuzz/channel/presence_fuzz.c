#include "channel/presence.h"

#include "codec/json_reader.h"

#include "harness/test.h"

static void open_presence(lk_presence *p, const lk_env *env, const lk_limits *limits,
                          lk_slice node) {
  lk_presence_options options = { .env = env, .limits = limits, .node = node };
  CHECK_OK(lk_presence_init(p, &options));
}

/* A delta of another node that shows two members and has removed one. */
static void make_sample(const lk_env *env, const lk_limits *limits, lk_buf *delta) {
  lk_presence p;
  open_presence(&p, env, limits, LK_LIT("b"));
  CHECK_OK(lk_presence_track(&p, 1, LK_LIT("u"), LK_LIT("{\"a\":[1]}"), 1, 0));
  CHECK_OK(lk_presence_track(&p, 2, LK_LIT("v"), LK_LIT("{}"), 2, 0));
  CHECK_OK(lk_presence_track(&p, 3, LK_LIT("v"), LK_LIT("{}"), 3, 0));
  lk_presence_leave(&p, 3, 0);
  CHECK_OK(lk_presence_take_delta(&p, delta));
  lk_presence_deinit(&p);
}

/* Whatever comes from another node, what goes to clients is JSON, and a state without what was dropped. */
FUZZ(lk_presence_merge) {
  uint8_t scratch[300];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_limits limits = lk_limits_default();
  lk_presence p;
  lk_presence_flush flush;
  lk_buf sample, version;
  lk_buf_init(&sample, test_alloc(), 1 << 20);
  lk_buf_init(&version, test_alloc(), 1 << 20);
  if (!g->from_bytes) make_sample(&env, &limits, &sample);
  lk_slice samples[] = { lk_buf_slice(&sample) };
  lk_slice in = gen_hostile(g, samples, g->from_bytes ? 0 : 1, scratch, sizeof scratch);
  open_presence(&p, &env, &limits, LK_LIT("a"));
  CHECK_OK(lk_presence_join(&p, 1, 0));
  CHECK_OK(lk_presence_track(&p, 1, LK_LIT("u"), LK_LIT("{}"), 1, 0));
  (void)!lk_presence_diff_since(&p, in, &version);
  lk_err err = lk_presence_merge(&p, in, 0);
  if (err == LK_OK) CHECK_OK(lk_presence_drop_node(&p, LK_LIT("b"), 0));
  CHECK_OK(lk_presence_tick(&p, lk_presence_deadline(&p), &flush));
  CHECK_OK(lk_json_check(flush.diff, &limits, NULL));
  CHECK_OK(lk_json_check(flush.state, &limits, NULL));
  CHECK_U64(flush.joiner_count, 1);
  lk_presence_deinit(&p);
  lk_buf_deinit(&sample);
  lk_buf_deinit(&version);
}
