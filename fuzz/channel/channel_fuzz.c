#include "channel/message.h"
#include "channel/session.h"

#include "harness/test.h"

static const lk_slice texts[] = {
  LK_LIT_INIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{\"p\":1}]"),
  LK_LIT_INIT("[\"1\",\"2\",\"crdt:a\",\"crdt.increment\",{\"payload\":{\"amount\":1}}]"),
  LK_LIT_INIT("[null,\"5\",\"phoenix\",\"heartbeat\",{}]"),
  LK_LIT_INIT("[\"1\",\"4\",\"crdt:a\",\"phx_leave\",{}]"),
};

/* What was read is written back to something that reads the same. */
FUZZ(lk_message_decode_text) {
  uint8_t scratch[200];
  lk_limits limits = lk_limits_default();
  lk_arena arena;
  lk_buf out;
  lk_message m, again;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  lk_buf_init(&out, test_alloc(), 1 << 22);
  lk_slice in = gen_hostile(g, texts, 4, scratch, sizeof scratch);
  if (lk_message_decode_text(in, &limits, &arena, &m) == LK_OK) {
    CHECK_OK(lk_message_encode_text(&m, &out));
    CHECK_OK(lk_message_decode_text(lk_buf_slice(&out), &limits, &arena, &again));
    CHECK_SLICE(again.topic, m.topic);
    CHECK_SLICE(again.event, m.event);
    CHECK_SLICE(again.ref, m.ref);
    CHECK_SLICE(again.payload, m.payload);
    CHECK((again.join_ref.ptr == NULL) == (m.join_ref.ptr == NULL));
  }
  lk_arena_deinit(&arena);
  lk_buf_deinit(&out);
}

FUZZ(lk_message_decode_binary) {
  static const lk_slice samples[] = { LK_LIT_INIT("\x00\x01\x02\x05\x03"
                                                  "212cap:abin\x01\x02\x03") };
  uint8_t scratch[64];
  lk_message m;
  lk_slice in = gen_hostile(g, samples, 1, scratch, sizeof scratch);
  if (lk_message_decode_binary(in, &m) != LK_OK) return;
  CHECK_U64(5 + m.join_ref.len + m.ref.len + m.topic.len + m.event.len + m.payload.len, in.len);
}

/* A few messages in a row; the host answers as it likes. Every LEAVE fits an earlier JOIN. */
FUZZ(lk_session_feed) {
  static const uint64_t seed[2] = { 1, 2 };
  uint8_t scratch[200];
  lk_limits limits = lk_limits_default();
  lk_session s;
  lk_session_event e;
  lk_slice text;
  int64_t joined = 0;
  limits.channel_topics_count = 2;
  lk_session_init(&s, test_alloc(), &limits, seed);
  for (int i = 0; i < 6; i++) {
    lk_slice in = g->from_bytes ? lk_slice_first(g->bytes, gen_below(g, 200))
                                : gen_hostile(g, texts, 4, scratch, sizeof scratch);
    if (g->from_bytes) g->bytes = lk_slice_skip(g->bytes, in.len);
    lk_err err = lk_session_feed(&s, in);
    while (lk_session_poll(&s, &e)) {
      uint32_t choice = gen_below(g, 3);
      joined += e.kind == LK_SESSION_JOIN ? 1 : e.kind == LK_SESSION_LEAVE ? -1 : 0;
      if (e.kind == LK_SESSION_JOIN && choice == 0) {
        (void)lk_session_refuse(&s, e.topic, e.channel, e.ref, LK_LIT("{}"));
        joined--;
      } else if (e.kind == LK_SESSION_JOIN && choice == 1) {
        (void)lk_session_accept(&s, e.topic, e.channel, e.ref, LK_LIT("{}"));
      } else if (e.kind == LK_SESSION_MESSAGE) {
        (void)lk_session_reply(&s, e.topic, e.channel, e.ref, LK_LIT("ok"), LK_LIT("{}"));
      }
      CHECK(joined >= 0);
    }
    if (err != LK_OK) break;
    if (gen_bool(g))
      while (lk_session_next_output(&s, &text)) CHECK(text.len > 0);
  }
  while (lk_session_end(&s, &e)) joined--;
  CHECK_I64(joined, 0);
  lk_session_deinit(&s);
}
