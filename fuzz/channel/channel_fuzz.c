#include "channel/message.h"
#include "channel/session.h"

#include "harness/test.h"

static const lk_slice texts[] = {
  LK_LIT_INIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{\"p\":1}]"),
  LK_LIT_INIT("[\"1\",\"2\",\"crdt:a\",\"crdt.increment\",{\"payload\":{\"amount\":1}}]"),
  LK_LIT_INIT("[null,\"5\",\"phoenix\",\"heartbeat\",{}]"),
  LK_LIT_INIT("[null,\"5\",\"phoenix\",\"access_token\",{\"token\":\"a\\u0062\"}]"),
  LK_LIT_INIT("[\"1\",\"4\",\"crdt:a\",\"phx_leave\",{}]"),
};
#define TEXTS (sizeof texts / sizeof texts[0])

static const lk_slice objects[] = {
  LK_LIT_INIT("{\"topic\":\"crdt:a\",\"event\":\"phx_join\",\"payload\":{\"p\":1},\"ref\":\"1\"}"),
  LK_LIT_INIT(
      "{\"topic\":\"crdt:a\",\"event\":\"e\",\"payload\":[1],\"ref\":\"2\",\"join_ref\":\"1\"}"),
  LK_LIT_INIT("{\"topic\":\"phoenix\",\"event\":\"heartbeat\",\"payload\":{},\"ref\":null}"),
  LK_LIT_INIT("{\"topic\":\"crdt:a\",\"event\":\"phx_leave\",\"payload\":{},\"ref\":\"4\"}"),
};
#define OBJECTS (sizeof objects / sizeof objects[0])

static const lk_slice frames[] = {
  LK_LIT_INIT("\x00\x01\x02\x05\x03"
              "212cap:abin\x01\x02\x03"),
  LK_LIT_INIT("\x00\x01\x01\x06\x08"
              "11crdt:aphx_join{}"),
};
#define FRAMES (sizeof frames / sizeof frames[0])

static const lk_slice documents[] = {
  LK_LIT_INIT("\x00\x00\x01\x00"),
  LK_LIT_INIT("\x00\x02\x02\x00\x00\x01\x01\x00"),
  LK_LIT_INIT("\x03"),
};
#define DOCUMENTS (sizeof documents / sizeof documents[0])

static void check_same(const lk_message *a, const lk_message *b) {
  CHECK_SLICE(a->topic, b->topic);
  CHECK_SLICE(a->event, b->event);
  CHECK_SLICE(a->ref, b->ref);
  CHECK_SLICE(a->payload, b->payload);
  CHECK((a->ref.ptr == NULL) == (b->ref.ptr == NULL));
}

/* What was read is written back to something that reads the same. A writer of V1 drops join_ref. */
static void check_text(lk_gen *g, lk_message_form form, const lk_slice *samples, size_t count) {
  uint8_t scratch[200];
  bool is_binary;
  lk_limits limits = lk_limits_default();
  lk_arena arena;
  lk_buf out;
  lk_message m, again;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  lk_buf_init(&out, test_alloc(), 1 << 22);
  lk_slice in = gen_hostile(g, samples, count, scratch, sizeof scratch);
  if (lk_message_decode(form, in, false, &limits, &arena, &m) == LK_OK) {
    CHECK_OK(lk_message_encode_push(form, &m, &out, &is_binary));
    CHECK(!is_binary);
    CHECK_OK(lk_message_decode(form, lk_buf_slice(&out), false, &limits, &arena, &again));
    check_same(&again, &m);
    if (form != LK_MESSAGE_V1) CHECK((again.join_ref.ptr == NULL) == (m.join_ref.ptr == NULL));
  }
  lk_arena_deinit(&arena);
  lk_buf_deinit(&out);
}

/* also fuzzes: lk_message_decode */
FUZZ(lk_message_decode_text) {
  lk_message m;
  lk_limits limits = lk_limits_default();
  lk_arena arena;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  (void)!lk_message_decode_text(LK_LIT("[]"), &limits, &arena, &m);
  lk_arena_deinit(&arena);
  check_text(g, LK_MESSAGE_V2, texts, TEXTS);
}

FUZZ(lk_message_decode_text_v1) {
  lk_message m;
  lk_limits limits = lk_limits_default();
  lk_arena arena;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  (void)!lk_message_decode_text_v1(LK_LIT("{}"), &limits, &arena, &m);
  lk_arena_deinit(&arena);
  check_text(g, LK_MESSAGE_V1, objects, OBJECTS);
}

FUZZ(lk_message_decode_binary) {
  uint8_t scratch[64];
  lk_message m;
  lk_slice in = gen_hostile(g, frames, FRAMES, scratch, sizeof scratch);
  if (lk_message_decode_binary(in, &m) != LK_OK) return;
  CHECK_U64(5 + m.join_ref.len + m.ref.len + m.topic.len + m.event.len + m.payload.len, in.len);
}

/* What is read of a beginning is what the whole message says; in a form that has none it is refused. */
FUZZ(lk_message_decode_beginning) {
  uint8_t scratch[200];
  lk_message whole, names;
  lk_limits limits = lk_limits_default();
  lk_arena arena;
  bool is_binary = gen_bool(g);
  lk_message_form form = gen_bool(g) ? LK_MESSAGE_V2 : LK_MESSAGE_V2_TEXT;
  lk_slice in = is_binary ? gen_hostile(g, frames, FRAMES, scratch, sizeof scratch)
                          : gen_hostile(g, texts, TEXTS, scratch, sizeof scratch);
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  bool is_good = lk_message_decode(form, in, is_binary, &limits, &arena, &whole) == LK_OK;
  lk_slice front = lk_slice_first(in, gen_below(g, (uint32_t)in.len + 1));
  lk_err err = lk_message_decode_beginning(form, front, is_binary, &limits, &arena, &names);
  if (err == LK_OK && is_good) {
    CHECK(lk_slice_equal(names.join_ref, whole.join_ref) && lk_slice_equal(names.ref, whole.ref));
    CHECK_SLICE(names.topic, whole.topic);
    CHECK_SLICE(names.event, whole.event);
  }
  if (err == LK_OK) CHECK_U64(names.payload.len, 0);
  if (is_good)
    CHECK_OK(lk_message_decode_beginning(form, in, is_binary, &limits, &arena, &names));
  CHECK_ERR(lk_message_decode_beginning(LK_MESSAGE_V1, in, false, &limits, &arena, &names),
            LK_ERR_TOO_BIG);
  lk_arena_deinit(&arena);
}

typedef struct host {
  lk_session session;
  lk_limits limits;
  lk_arena scratch;
  lk_outbox output;
  lk_session_io io;
  int64_t joined; /* JOINs that were neither refused nor left */
} host;

/* One message from outside: whole from the fuzzer's bytes, or a sample that was damaged. */
static lk_slice next_input(lk_gen *g, lk_message_form form, uint8_t *scratch, size_t cap,
                           bool *is_binary) {
  *is_binary = gen_chance(g, 1, 4);
  if (g->from_bytes) {
    lk_slice in = lk_slice_first(g->bytes, gen_below(g, (uint32_t)cap));
    g->bytes = lk_slice_skip(g->bytes, in.len);
    return in;
  }
  const lk_slice *samples = *is_binary ? frames : form == LK_MESSAGE_V1 ? objects : texts;
  size_t count = *is_binary ? FRAMES : form == LK_MESSAGE_V1 ? OBJECTS : TEXTS;
  if (form == LK_MESSAGE_Y) {
    *is_binary = !*is_binary;
    samples = documents;
    count = DOCUMENTS;
  }
  if (gen_bool(g)) return samples[gen_below(g, (uint32_t)count)];
  return gen_hostile(g, samples, count, scratch, cap);
}

static void answer(lk_gen *g, host *h, const lk_session_event *e) {
  lk_session_answer a = { .topic = e->topic,
                          .channel = e->channel,
                          .ref = e->ref,
                          .status = LK_LIT("ok"),
                          .event = LK_LIT("e"),
                          .payload = LK_LIT("{}"),
                          .is_binary = gen_bool(g) };
  uint32_t choice = gen_below(g, 8);
  lk_err err = LK_OK;
  h->joined += e->kind == LK_SESSION_JOIN ? 1 : e->kind == LK_SESSION_LEAVE ? -1 : 0;
  bool was_in = lk_session_has(&h->session, &h->io, a.topic, a.channel);
  if (e->kind == LK_SESSION_LEAVE) CHECK(!was_in);
  if (e->kind == LK_SESSION_JOIN) {
    err = choice < 2   ? lk_session_refuse(&h->session, &h->io, &a)
          : choice < 5 ? lk_session_accept(&h->session, &h->io, &a)
          : choice < 6 ? lk_session_unmatched(&h->session, &h->io, &a)
                       : LK_OK;
  } else if (e->kind == LK_SESSION_MESSAGE) {
    err = choice < 2   ? lk_session_push(&h->session, &h->io, &a)
          : choice < 3 ? lk_session_crash(&h->session, &h->io, &a)
          : choice < 4 ? lk_session_close(&h->session, &h->io, &a)
                       : lk_session_reply(&h->session, &h->io, &a);
  } else if (e->kind == LK_SESSION_TOKEN) {
    err = lk_session_reply(&h->session, &h->io, &a);
  }
  if (lk_session_form(&h->session) != LK_MESSAGE_Y) CHECK_OK(err);
  if (was_in && !lk_session_has(&h->session, &h->io, a.topic, a.channel)) h->joined--;
  CHECK_I64(lk_session_count(&h->session), h->joined);
}

/* Each message that is sent is one that a client can read. */
static void check_output(host *h) {
  lk_slice bytes;
  lk_message m;
  bool is_binary;
  lk_message_form form = lk_session_form(&h->session);
  while (lk_outbox_next_message(&h->output, &bytes, &is_binary)) {
    CHECK(!is_binary || form == LK_MESSAGE_V2 || form == LK_MESSAGE_Y);
    if (form == LK_MESSAGE_Y) CHECK(is_binary && bytes.len > 0);
    else if (is_binary) CHECK(bytes.len > 3 && bytes.ptr[0] <= 1);
    else CHECK_OK(lk_message_decode(form, bytes, false, &h->limits, &h->scratch, &m));
  }
}

/* A few messages in a row; the host answers as it likes. Every LEAVE fits an earlier JOIN.
 * also fuzzes: lk_session_feed_beginning */
FUZZ(lk_session_feed) {
  static const uint64_t seed[2] = { 1, 2 };
  uint8_t scratch[200];
  bool is_binary;
  host h = { .limits = lk_limits_default() };
  lk_session_events events;
  lk_session_event e;
  h.limits.channel_topics_count = 2;
  lk_arena_init(&h.scratch, test_alloc(), 1 << 20);
  lk_outbox_init(&h.output, test_alloc(), 1 << 20);
  h.io = (lk_session_io){ test_alloc(), &h.limits, seed, &h.scratch, &h.output };
  lk_message_form form = (lk_message_form)gen_below(g, LK_MESSAGE_FORMS);
  lk_session_init(&h.session, form);
  if (form == LK_MESSAGE_Y) {
    CHECK_OK(lk_session_open(&h.session, &h.io, LK_LIT("doc:a"), LK_LIT("{}"), &events));
    answer(g, &h, &events.items[0]);
  }
  for (int i = 0; i < 12; i++) {
    lk_slice in = next_input(g, form, scratch, sizeof scratch, &is_binary);
    lk_err err = gen_chance(g, 1, 6)
                     ? lk_session_feed_beginning(&h.session, &h.io, in, is_binary, &events)
                     : lk_session_feed(&h.session, &h.io, in, is_binary, &events);
    if (err != LK_OK) {
      CHECK_U64(events.count, 0);
      continue; /* a real host closes; here it shall bear more */
    }
    for (uint32_t k = 0; k < events.count; k++) {
      /* The second event of a message has happened already when the first is looked at. */
      if (k == 0 && events.count == 2) h.joined++;
      if (k == 1) h.joined--;
      answer(g, &h, &events.items[k]);
    }
    check_output(&h);
    lk_arena_reset(&h.scratch);
  }
  while (lk_session_end(&h.session, &h.io, &e)) h.joined--;
  CHECK_I64(h.joined, 0);
  lk_session_deinit(&h.session, test_alloc());
  lk_arena_deinit(&h.scratch);
  lk_outbox_deinit(&h.output);
}
