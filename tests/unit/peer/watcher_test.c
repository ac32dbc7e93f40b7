/* What a server says in a topic, as lines. */
#include "peer/watcher.h"

#include "harness/faulty.h"
#include "harness/test.h"

static const uint8_t update[] = { 1, 1, 5, 0, 4, 1, 1, 't', 5, 'h', 'e', 'l', 'l', 'o', 0 };

typedef struct fixture {
  lk_env env;
  lk_limits limits;
  lk_watcher watcher;
  lk_buf line;
  lk_watched what;
} fixture;

static void init(fixture *f, const lk_alloc *alloc) {
  f->env = (lk_env)LK_ENV_INIT(alloc, NULL);
  f->limits = lk_limits_default();
  lk_watcher_init(&f->watcher, &f->env, &f->limits, LK_LIT("doc:a"));
  lk_buf_init(&f->line, alloc, 65536);
}

static void deinit(fixture *f) {
  lk_watcher_deinit(&f->watcher);
  lk_buf_deinit(&f->line);
}

static lk_err feed(fixture *f, lk_slice bytes, bool is_binary) {
  lk_buf_truncate(&f->line, 0);
  return lk_watcher_feed(&f->watcher, bytes, is_binary, 12, &f->line, &f->what);
}

static void frame(lk_buf *out, const char *head, lk_slice payload) {
  lk_buf_init(out, test_alloc(), 4096);
  (void)lk_buf_append(out, lk_slice_cstr(head));
  CHECK_OK(lk_buf_append(out, payload));
}

TEST(messages_in_text_become_lines) {
  static const struct {
    const char *text;
    lk_watched what;
    const char *line;
    const char *json;
  } rows[] = {
    { "[\"1\",\"1\",\"doc:a\",\"phx_reply\",{\"status\":\"ok\",\"response\":{\"level\":\"durable\","
      "\"x\":1}}]",
      LK_WATCHED_JOINED, "joined bytes=25 level=\"durable\"",
      "{\"at\":12,\"event\":\"joined\",\"bytes\":25,\"level\":\"durable\"}" },
    { "[\"1\",\"1\",\"doc:a\",\"phx_reply\",{\"status\":\"error\",\"response\":{\"reason\":\"no\"}}"
      "]",
      LK_WATCHED_REFUSED, "refused bytes=15 reason=\"no\"",
      "{\"at\":12,\"event\":\"refused\",\"bytes\":15,\"reason\":\"no\"}" },
    { "[null,\"heartbeat\",\"phoenix\",\"phx_reply\",{\"status\":\"ok\",\"response\":{}}]",
      LK_WATCHED_NOTHING, "", "" },
    { "[null,null,\"doc:b\",\"state_updated\",{}]", LK_WATCHED_NOTHING, "", "" },
    { "[\"1\",\"7\",\"doc:a\",\"phx_reply\",{}]", LK_WATCHED_NOTHING, "", "" },
    { "[null,null,\"doc:a\",\"state_updated\",{\"value\":3}]", LK_WATCHED_NEWS,
      "state_updated bytes=11", "{\"at\":12,\"event\":\"state_updated\",\"bytes\":11}" },
    { "[\"1\",null,\"doc:a\",\"phx_error\",{\"reason\":\"deleted\"}]", LK_WATCHED_ENDED,
      "phx_error bytes=20 reason=\"deleted\"",
      "{\"at\":12,\"event\":\"phx_error\",\"bytes\":20,\"reason\":\"deleted\"}" },
    { "[\"1\",null,\"doc:a\",\"presence_state\",{\"ann\":{},\"b\\\"c\":{}}]", LK_WATCHED_NEWS,
      "presence_state present=\"ann, b\\\"c\"",
      "{\"at\":12,\"event\":\"presence_state\",\"present\":\"ann, b\\\"c\"}" },
    { "[null,null,\"doc:a\",\"presence_diff\",{\"joins\":{\"ann\":{}},\"leaves\":{}}]",
      LK_WATCHED_NEWS, "presence_diff joins=\"ann\" leaves=\"\"",
      "{\"at\":12,\"event\":\"presence_diff\",\"joins\":\"ann\",\"leaves\":\"\"}" },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    fixture f;
    test_note("%s", rows[i].text);
    init(&f, test_alloc());
    for (int as_json = 0; as_json < 2; as_json++) {
      f.watcher.as_json = as_json == 1;
      CHECK_OK(feed(&f, lk_slice_cstr(rows[i].text), false));
      CHECK_U64(f.what, rows[i].what);
      CHECK_SLICE(lk_buf_slice(&f.line), lk_slice_cstr(as_json == 1 ? rows[i].json : rows[i].line));
    }
    deinit(&f);
  }
}

TEST(updates_and_awareness_are_looked_into) {
  static const uint8_t states[] = { 2, 1, 1, 2, '{', '}', 2, 9, 4, 'n', 'u', 'l', 'l' };
  static const uint8_t broken[] = { 9, 9, 9 };
  fixture f;
  lk_buf bytes;
  init(&f, test_alloc());
  frame(&bytes,
        "\x02\x05\x0d"
        "doc:aserver_update",
        lk_slice_of(update, sizeof update));
  CHECK_OK(feed(&f, lk_buf_slice(&bytes), true));
  CHECK_TEXT(lk_buf_slice(&f.line),
             "server_update bytes=15 structs=1 clients=1 text_bytes=5 deleted=0 by=5");
  f.watcher.with_content = true;
  CHECK_OK(feed(&f, lk_buf_slice(&bytes), true));
  CHECK(lk_slice_ends_with(lk_buf_slice(&f.line), LK_LIT(" by=5 text=\"hello\"")));
  lk_buf_deinit(&bytes);
  frame(&bytes,
        "\x02\x05\x09"
        "doc:aawareness",
        lk_slice_of(states, sizeof states));
  CHECK_OK(feed(&f, lk_buf_slice(&bytes), true));
  CHECK_TEXT(lk_buf_slice(&f.line), "awareness bytes=13 clients=2 gone=1");
  lk_buf_deinit(&bytes);
  frame(&bytes,
        "\x02\x05\x0d"
        "doc:aserver_update",
        lk_slice_of(broken, sizeof broken));
  CHECK_OK(feed(&f, lk_buf_slice(&bytes), true));
  CHECK_U64(f.what, LK_WATCHED_NEWS);
  CHECK(lk_slice_find(lk_buf_slice(&f.line), LK_LIT("error=\"LK_ERR_")) != LK_SLICE_NONE);
  lk_buf_deinit(&bytes);
  deinit(&f);
}

TEST(what_is_no_message_is_no_line) {
  fixture f;
  init(&f, test_alloc());
  CHECK_ERR(feed(&f, LK_LIT("{}"), false), LK_ERR_BAD_MESSAGE);
  CHECK_ERR(feed(&f, LK_LIT("\x03"), true), LK_ERR_BAD_MESSAGE);
  CHECK_ERR(feed(&f,
                 LK_LIT("\x02\x09\x01"
                        "doc"),
                 true),
            LK_ERR_BAD_MESSAGE);
  CHECK_ERR(feed(&f, LK_LIT("[\"1\",\"1\",\"doc:a\",\"phx_reply\",3]"), false), LK_ERR_BAD_MESSAGE);
  CHECK_U64(f.line.len, 0);
  deinit(&f);
}

TEST(lines_without_memory_are_none) {
  lk_buf bytes;
  frame(&bytes,
        "\x02\x05\x0d"
        "doc:aserver_update",
        lk_slice_of(update, sizeof update));
  const struct {
    lk_slice bytes;
    bool is_binary;
  } rows[] = {
    { lk_buf_slice(&bytes), true },
    { LK_LIT("[\"1\",null,\"doc:a\",\"presence_state\",{\"b\\\"c\":{}}]"), false },
  };
  for (size_t i = 0; i < 4; i++) {
    FAULT_LOOP(faults, test_alloc()) {
      fixture f;
      init(&f, faulty_alloc(&faults));
      f.watcher.with_content = true;
      f.watcher.as_json = i >= 2;
      lk_err err = feed(&f, rows[i % 2].bytes, rows[i % 2].is_binary);
      CHECK(err == LK_OK || (err == LK_ERR_NOMEM && f.line.len == 0));
      deinit(&f);
    }
  }
  lk_buf_deinit(&bytes);
}
