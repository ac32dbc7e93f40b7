#include "room/crdt_commands.h"
#include "room/crdt_html.h"
#include "room/crdt_record.h"
#include "room/crdt_room.h"

#include "codec/json_reader.h"
#include "harness/test.h"

static const lk_crdt_type *draw_type(lk_gen *g) {
  const lk_crdt_type *type = lk_crdt_type_at(gen_below(g, 13));
  return type != NULL ? type : lk_crdt_type_at(0);
}

static const lk_slice payloads[] = {
  LK_LIT_INIT("{\"type\":\"crdt.increment\",\"payload\":{\"amount\":2,\"node_id\":\"n\"},\"request_"
              "id\":\"r\","
              "\"timestamp\":1700000000000}"),
  LK_LIT_INIT("{\"payload\":{\"element\":{\"a\":[1,2.5e3,\"\\u0000\"]}}}"),
  LK_LIT_INIT("{\"payload\":{\"at\":[[\"ormap\",\"a\"],[\"lww\",\"t\"]],\"value\":null}}"),
  LK_LIT_INIT(
      "{\"index\":0,\"value\":\"v\",\"text\":\"t\",\"from\":0,\"to\":0,\"count\":1,\"key\":\"k\"}"),
  LK_LIT_INIT("{\"counts\":{\"x\":3,\"y\":4}}"),
  LK_LIT_INIT("{\"delta\":\"BQEBAQEBeAEAAQEDImEiAAA=\"}"),
  LK_LIT_INIT("{\"state\":{\"type\":\"orset\",\"known\":{\"x\":[[1,1]]},\"items\":[{\"key\":\"c\","
              "\"facts\":[[\"x\",1]]}]}}"),
  LK_LIT_INIT("{\"type\":\"orset\",\"encoding\":\"json\"}"),
  LK_LIT_INIT("{}"),
};
#define PAYLOADS (sizeof payloads / sizeof payloads[0])

static const lk_slice events[] = {
  LK_LIT_INIT("crdt.increment"), LK_LIT_INIT("crdt.decrement"), LK_LIT_INIT("crdt.transfer"),
  LK_LIT_INIT("crdt.add"),       LK_LIT_INIT("crdt.remove"),    LK_LIT_INIT("crdt.clear"),
  LK_LIT_INIT("crdt.enable"),    LK_LIT_INIT("crdt.disable"),   LK_LIT_INIT("crdt.set"),
  LK_LIT_INIT("crdt.insert"),    LK_LIT_INIT("crdt.delete"),    LK_LIT_INIT("crdt.move"),
  LK_LIT_INIT("crdt.merge"),     LK_LIT_INIT("crdt.get"),       LK_LIT_INIT("render"),
  LK_LIT_INIT("increment"),
};
#define EVENTS (sizeof events / sizeof events[0])

/* A payload that is hostile, but no longer than |scratch_len|. */
static lk_slice draw_payload(lk_gen *g, uint8_t *scratch, size_t scratch_len) {
  if (!g->from_bytes) return gen_hostile(g, payloads, PAYLOADS, scratch, scratch_len);
  lk_slice out = lk_slice_first(g->bytes, gen_below(g, (uint32_t)scratch_len));
  g->bytes = lk_slice_skip(g->bytes, out.len);
  return out;
}

FUZZ(lk_crdt_command_read) {
  uint8_t scratch[400];
  const lk_limits limits = lk_limits_default();
  lk_crdt_command command;
  lk_slice field, event = events[gen_below(g, EVENTS)];
  lk_arena arena;
  if (lk_slice_starts_with(event, LK_LIT("crdt."))) event = lk_slice_skip(event, 5);
  lk_crdt_command_source source = {
    .event = event, .type = draw_type(g), .limits = &limits, .amount_is_one = gen_bool(g)
  };
  source.payload = draw_payload(g, scratch, sizeof scratch);
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  if (lk_crdt_command_read(&source, &arena, &command, &field) == LK_OK) {
    CHECK_OK(lk_json_check(command.arguments, &limits, NULL));
    (void)lk_crdt_command_blame(&command, (lk_err)gen_below(g, 90), &arena);
  }
  lk_arena_deinit(&arena);
}

FUZZ(lk_crdt_command_unwrap) {
  uint8_t scratch[400];
  const lk_limits limits = lk_limits_default();
  lk_slice inner;
  lk_arena arena;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  lk_slice payload = draw_payload(g, scratch, sizeof scratch);
  if (lk_crdt_command_unwrap(payload, &limits, &arena, &inner) == LK_OK)
    CHECK_OK(lk_json_check(inner, &limits, NULL));
  lk_arena_deinit(&arena);
}

/* What was written is read back the same, whatever else was in the bytes. */
FUZZ(lk_crdt_requests_decode) { /* also fuzzes: lk_crdt_requests_skip */
  static const lk_slice samples[] = {
    LK_LIT_INIT("\x02"
                "aaaaaaaaaaaaaaaabbbbccccccccccccccccdddd"),
    LK_LIT_INIT("\x00"),
  };
  uint8_t scratch[200];
  lk_crdt_requests first, second;
  lk_buf again;
  lk_slice bytes = gen_hostile(g, samples, 2, scratch, sizeof scratch);
  lk_reader passed = lk_reader_of(bytes);
  lk_reader in = lk_reader_of(bytes);
  lk_crdt_requests_init(&first, test_alloc(), 4);
  lk_crdt_requests_init(&second, test_alloc(), 4);
  lk_buf_init(&again, test_alloc(), 1000);
  if (lk_crdt_requests_decode(&first, &in) == LK_OK) {
    CHECK_OK(lk_crdt_requests_skip(&passed));
    CHECK_U64(passed.pos, in.pos);
    lk_crdt_requests_encode(&first, first.count, 0, &again);
    lk_reader back = lk_reader_of(lk_buf_slice(&again));
    CHECK_OK(lk_crdt_requests_decode(&second, &back));
    CHECK_U64(lk_reader_left(&back), 0);
    CHECK_U64(second.count, first.count);
  }
  lk_crdt_requests_deinit(&first);
  lk_crdt_requests_deinit(&second);
  lk_buf_deinit(&again);
}

FUZZ(lk_crdt_record_read) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("\xFF\x03\x15room-0000000000000002\x01"
                "aaaaaaaaaaaaaaaabbbb\x01\x01\x01\x01\x01\x01x\x00\x02\x00\x02"),
    LK_LIT_INIT("\x01\x01\x01\x01\x01\x01x\x00\x02\x00\x02"),
  };
  uint8_t scratch[200];
  const lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  const lk_limits limits = lk_limits_default();
  lk_room *room;
  lk_slice actor, state, kept = gen_hostile(g, samples, 2, scratch, sizeof scratch);
  lk_err err = lk_crdt_record_read(kept, NULL, &actor, &state);
  const lk_room_options options = {
    .env = &env, .limits = &limits, .topic = LK_LIT("crdt:a"), .records = &kept, .records_count = 1
  };
  if (lk_crdt_room_kind.open(&options, &room) != LK_OK) return;
  CHECK_OK(err);
  lk_crdt_room_kind.close(room);
}

/* What of the page would be part of the tree must be ours. */
FUZZ(lk_crdt_html_write) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("{\"a<\":[1,\"</dd>\",null],\"b\":{\"&\":\"\\u0000'\\\"\"}}"),
    LK_LIT_INIT("\"text\\r\\n<script>\""),
    LK_LIT_INIT("[[],[1e9],{}]"),
  };
  uint8_t scratch[300];
  const lk_limits limits = lk_limits_default();
  lk_arena arena;
  lk_buf out;
  lk_crdt_page page = {
    .type = draw_type(g), .name = LK_LIT("<n>"), .limits = &limits, .len_max = gen_below(g, 300)
  };
  page.value = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  lk_buf_init(&out, test_alloc(), 1 << 20);
  if (lk_crdt_html_write(&page, &arena, &out) == LK_OK) {
    size_t open = 0, closed = 0, names = 0, values = 0;
    for (size_t i = 0; i < out.len; i++) {
      open += out.ptr[i] == '<' && out.ptr[i + 1] != '/';
      closed += out.ptr[i] == '<' && out.ptr[i + 1] == '/';
      lk_slice rest = lk_slice_skip(lk_buf_slice(&out), i);
      names += lk_slice_starts_with(rest, LK_LIT("<dt>"));
      values += lk_slice_starts_with(rest, LK_LIT("<dd>"));
    }
    CHECK_U64(open - closed, lk_shape_has_runs(page.type) ? 1 : 0); /* <input> */
    CHECK_U64(names, values);
  } else {
    CHECK_U64(out.len, 0);
  }
  lk_arena_deinit(&arena);
  lk_buf_deinit(&out);
}

typedef struct member_of_room {
  lk_room *room;
  uint64_t ticket; /* under way */
  uint64_t asked, answered;
} member_of_room;

static void drain(member_of_room *self) {
  lk_room_effect effect;
  while (lk_crdt_room_kind.poll(self->room, &effect)) {
    if (effect.kind == LK_ROOM_JOURNAL) self->ticket = effect.ticket;
    self->answered += effect.kind == LK_ROOM_REPLY;
    if (effect.payload.len > 0 && effect.kind <= LK_ROOM_BROADCAST) {
      const lk_limits limits = lk_limits_default();
      CHECK_OK(lk_json_check(effect.payload, &limits, NULL));
    }
  }
}

static void tell(member_of_room *self, lk_room_input input) {
  CHECK_OK(lk_crdt_room_kind.step(self->room, &input));
  self->asked += input.kind == LK_ROOM_MESSAGE;
  drain(self);
}

/* Whatever a stranger says, the room goes on, says nothing but JSON, and answers each message once. */
PROPERTY(whatever_strangers_say_a_crdt_room_goes_on) {
  uint8_t scratch[300];
  const lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_limits limits = lk_limits_default();
  member_of_room m = { 0 };
  if (gen_bool(g)) limits.ws_output_bytes = 2000;
  const lk_room_options options = { .env = &env,
                                    .limits = &limits,
                                    .topic = LK_LIT("crdt:a"),
                                    .intact = true,
                                    .level = LK_LIT("memory") };
  CHECK_OK(lk_crdt_room_kind.open(&options, &m.room));
  for (uint32_t n = 0; n < 30; n++) {
    lk_room_input input = { .kind = LK_ROOM_MESSAGE,
                            .member = 1,
                            .request = n + 1,
                            .entropy = gen_below(g, 3),
                            .now_ms = (uint64_t)n * gen_below(g, 4000),
                            .event = events[gen_below(g, EVENTS)],
                            .binary = gen_chance(g, 1, 10),
                            .rights = LK_RIGHTS_WRITE };
    input.payload = draw_payload(g, scratch, sizeof scratch);
    switch (gen_below(g, 8)) {
    case 0: input.kind = LK_ROOM_JOIN; break;
    case 1: input.kind = LK_ROOM_RESTORE; break;
    case 2: input.kind = LK_ROOM_TICK; break;
    case 3: input.kind = LK_ROOM_SNAPSHOT; break;
    default: break;
    }
    tell(&m, input);
    if (m.ticket == 0 || gen_bool(g)) continue;
    input = (lk_room_input){ .kind = LK_ROOM_JOURNALED, .ticket = m.ticket };
    m.ticket = 0;
    tell(&m, input);
  }
  while (m.ticket != 0) {
    const lk_room_input input = { .kind = LK_ROOM_JOURNALED, .ticket = m.ticket };
    m.ticket = 0;
    tell(&m, input);
  }
  CHECK_U64(m.asked, m.answered);
  lk_crdt_room_kind.close(m.room);
}
