/* A server that says anything: a line of JSON is one, whatever came. */
#include "peer/watcher.h"

#include "codec/json_reader.h"
#include "harness/test.h"

static const lk_slice samples[] = {
  LK_LIT_INIT(
      "[\"1\",\"1\",\"doc:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{\"type\":\"x\"}}]"),
  LK_LIT_INIT("[null,null,\"doc:a\",\"presence_diff\",{\"joins\":{\"a\":{}},\"leaves\":{}}]"),
  LK_LIT_INIT("\x02\x05\x0d"
              "doc:aserver_update\x01\x01\x05\x00\x04\x01\x01t\x02hi\x00"),
  LK_LIT_INIT("\x02\x05\x09"
              "doc:aawareness\x01\x01\x01\x02{}"),
  LK_LIT_INIT("\x01\x01\x01\x05\x02"
              "11doc:aok{}"),
  LK_LIT_INIT("\x00\x01\x05\x01"
              "1doc:ae\x01"),
};

FUZZ(lk_watcher_feed) {
  uint8_t scratch[300];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_limits limits = lk_limits_default();
  lk_watcher watcher;
  lk_watched what;
  lk_buf line;
  lk_watcher_init(&watcher, &env, &limits, LK_LIT("doc:a"));
  lk_buf_init(&line, test_alloc(), 1u << 20);
  watcher.with_content = gen_bool(g);
  watcher.as_json = gen_bool(g);
  bool is_binary = gen_bool(g);
  lk_slice in = gen_hostile(g, samples, 6, scratch, sizeof scratch);
  lk_err err = lk_watcher_feed(&watcher, in, is_binary, 1, &line, &what);
  if (err != LK_OK || what == LK_WATCHED_NOTHING) CHECK_U64(line.len, 0);
  else if (watcher.as_json) CHECK_OK(lk_json_check(lk_buf_slice(&line), &limits, NULL));
  lk_buf_deinit(&line);
  lk_watcher_deinit(&watcher);
}
