/* What members of a document say, whatever it is. */
#include "room/doc_room.h"

#include <stdlib.h>
#include <string.h>

#include "harness/test.h"
#include "room/doc_payload.h"
#include "room/doc_record.h"
#include "room/doc_versions.h"

/* also fuzzes: lk_doc_payload_wish */
FUZZ(lk_doc_payload_read) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("{\"bin\":[1,1,5,0,4,1,1,116,1,120,0]}"),
    LK_LIT_INIT("{\"b64\":\"AQEHAAQBAXQBeAA=\"}"),
    LK_LIT_INIT("{\"encoding\":\"base64\",\"state_vector\":{\"bin\":[0]},\"generation\":\"00\"}"),
    LK_LIT_INIT("{\"encoding\":\"array\",\"state_vector\":\"AA==\",\"dialect\":\"y\"}"),
  };
  uint8_t scratch[200];
  const lk_limits limits = lk_limits_default();
  lk_arena arena;
  lk_buf bytes;
  lk_slice out;
  lk_doc_wish wish;
  lk_arena_init(&arena, test_alloc(), 1 << 20);
  lk_buf_init(&bytes, test_alloc(), 1 << 20);
  lk_doc_payload in = { &limits, &arena, &bytes, LK_SLICE_EMPTY };
  lk_slice text = gen_hostile(g, samples, 4, scratch, sizeof scratch);
  if (lk_doc_payload_read(&in, text, false, &out) == LK_OK) CHECK(out.len <= text.len);
  if (lk_doc_payload_wish(&in, text, &wish) == LK_OK) CHECK(wish.vector.len <= text.len);
  lk_arena_deinit(&arena);
  lk_buf_deinit(&bytes);
}

/* also fuzzes: lk_doc_record_open */
/* What can be read can be written, and takes no more: numbers may have longer forms. */
FUZZ(lk_doc_record_next) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("\x01\x01\x01\x02\x03\x04\x05\x06\x07\x08\x00\x03xyz"),
    LK_LIT_INIT("\x01\x02\x05\x03"
                "ada\x00\x01z"),
  };
  uint8_t scratch[100];
  lk_reader in;
  lk_doc_item item;
  lk_buf out;
  lk_err err;
  lk_slice text = gen_hostile(g, samples, 2, scratch, sizeof scratch);
  if (lk_doc_record_open(text, &in) != LK_OK) return;
  lk_buf_init(&out, test_alloc(), 1 << 16);
  CHECK_OK(lk_doc_record_begin(&out));
  while ((err = lk_doc_record_next(&in, &item)) == LK_OK) {
    CHECK_OK(lk_doc_record_append(&out, &item));
    CHECK(lk_doc_record_size(&item) >= 1 + item.bytes.len);
  }
  if (err == LK_ERR_END) CHECK(out.len <= text.len);
  lk_buf_deinit(&out);
}

/* What can be read can be written, and takes no more. */
FUZZ(lk_doc_version_decode) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("\x01\x05\x01n\x02me\x00\x01\x05\x03"),
    LK_LIT_INIT("\x00\x80\x80\x80\x01\x00\x00\x01\x05\x01\x01\x00\x01\x05\x03"),
  };
  uint8_t scratch[60];
  lk_doc_version version;
  lk_buf out;
  lk_slice in = gen_hostile(g, samples, 2, scratch, sizeof scratch);
  if (lk_doc_version_decode(in, &version) != LK_OK) return;
  lk_buf_init(&out, test_alloc(), 1 << 16);
  CHECK_OK(lk_doc_version_encode(&version, &out));
  CHECK(out.len <= in.len);
  lk_buf_deinit(&out);
}

#define RECORDS_MAX 64

typedef struct kept {
  lk_slice at[RECORDS_MAX];
  uint32_t count;
  uint64_t ticket;
  bool is_flying;
} kept;

static void poll_all(lk_room *room, kept *k, lk_slice *snapshot) {
  lk_room_effect effect;
  while (lk_doc_room_kind.poll(room, &effect)) {
    if (effect.kind != LK_ROOM_JOURNAL && effect.kind != LK_ROOM_SNAPSHOT_DONE) continue;
    uint8_t *copy = malloc(effect.payload.len + 1);
    memcpy(copy, effect.payload.ptr, effect.payload.len);
    if (effect.kind == LK_ROOM_SNAPSHOT_DONE) {
      *snapshot = lk_slice_of(copy, effect.payload.len);
      continue;
    }
    CHECK(!k->is_flying && k->count < RECORDS_MAX);
    k->at[k->count++] = lk_slice_of(copy, effect.payload.len);
    k->ticket = effect.ticket;
    k->is_flying = true;
  }
}

/* Goal: the room lives on, and what it wrote down makes the same document. */
FUZZ(lk_doc_room_step) {
  static const lk_slice events[] = {
    LK_LIT_INIT("client_update"),   LK_LIT_INIT("yjs"),
    LK_LIT_INIT("awareness"),       LK_LIT_INIT("sync"),
    LK_LIT_INIT("yjs_sync"),        LK_LIT_INIT("x"),
    LK_LIT_INIT("versions"),        LK_LIT_INIT("version_save"),
    LK_LIT_INIT("version_read"),    LK_LIT_INIT("version_compare"),
    LK_LIT_INIT("version_restore"), LK_LIT_INIT("version_delete")
  };
  static const lk_slice samples[] = {
    LK_LIT_INIT("{\"bin\":[1,1,5,0,4,1,1,116,1,120,0]}"),
    LK_LIT_INIT("{\"b64\":\"AQEHAAQBAXQBeAA=\"}"),
    LK_LIT_INIT("\x01\x01\x05\x01\x84\x05\x00\x01y\x00"),
    LK_LIT_INIT("\x00\x02\x0b\x01\x01\x06\x00\x04\x01\x01t\x01x\x00\x00\x00\x01\x00"),
    LK_LIT_INIT("\x01\x06\x01\x0a\x01\x02{}"),
    LK_LIT_INIT("{\"encoding\":\"binary\"}"),
    LK_LIT_INIT("{\"id\":1,\"request_id\":\"r\",\"as\":\"html\"}"),
    LK_LIT_INIT("{\"name\":\"n\",\"from\":1,\"to\":2,\"id\":2}"),
    LK_LIT_INIT("{\"encoding\":\"binary\",\"dialect\":\"y\"}"),
  };
  uint8_t scratch[200];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_limits limits = lk_limits_default();
  lk_room *room, *again;
  kept k = { .count = 0 };
  lk_slice live = LK_SLICE_EMPTY, back = LK_SLICE_EMPTY;
  limits.doc_structs_count = limits.doc_update_structs_count = 8192;
  lk_room_options options = { .env = &env,
                              .limits = &limits,
                              .topic = LK_LIT("doc:f"),
                              .level = LK_LIT("durable"),
                              .versions = { gen_bool(g), gen_bool(g) ? 100 : 0, 3 },
                              .entropy = 3 };
  CHECK_OK(lk_doc_room_kind.open(&options, &room));
  for (uint32_t i = 0; i < 24; i++) {
    lk_room_input input = { .kind = gen_below(g, 8) == 0    ? LK_ROOM_LEAVE
                                    : gen_below(g, 4) == 0  ? LK_ROOM_JOIN
                                    : gen_below(g, 8) == 0  ? LK_ROOM_SEEN
                                    : gen_below(g, 16) == 0 ? LK_ROOM_LOOK
                                                            : LK_ROOM_MESSAGE,
                            .member = 1 + gen_below(g, 3),
                            .request = i,
                            .now_ms = i * 20,
                            .wall_ms = i * 20,
                            .entropy = 77 + i,
                            .event = events[gen_below(g, 12)],
                            .payload = gen_hostile(g, samples, 9, scratch, sizeof scratch),
                            .binary = gen_bool(g),
                            .rights = (lk_rights)(LK_RIGHTS_READ + gen_below(g, 3)),
                            .subject = gen_bool(g) ? LK_LIT("ada") : LK_SLICE_EMPTY };
    CHECK_OK(lk_doc_room_step(room, &input));
    poll_all(room, &k, &live);
    while (k.is_flying && gen_bool(g)) {
      k.is_flying = false;
      CHECK_OK(lk_doc_room_step(room,
                                &(lk_room_input){ .kind = LK_ROOM_JOURNALED, .ticket = k.ticket }));
      poll_all(room, &k, &live);
    }
    if (g->from_bytes) g->bytes = lk_slice_skip(g->bytes, lk_min_size(g->bytes.len, 20));
  }
  while (k.is_flying) {
    k.is_flying = false;
    CHECK_OK(
        lk_doc_room_step(room, &(lk_room_input){ .kind = LK_ROOM_JOURNALED, .ticket = k.ticket }));
    poll_all(room, &k, &live);
  }
  CHECK_OK(lk_doc_room_step(room, &(lk_room_input){ .kind = LK_ROOM_SNAPSHOT }));
  poll_all(room, &k, &live);
  lk_doc_room_kind.close(room);
  options.records = k.at;
  options.records_count = k.count;
  CHECK_OK(lk_doc_room_kind.open(&options, &again));
  CHECK_OK(lk_doc_room_step(again, &(lk_room_input){ .kind = LK_ROOM_SNAPSHOT }));
  poll_all(again, &k, &back);
  /* Without any record there is no generation, and each opening makes its own. */
  if (k.count > 0) CHECK_SLICE(back, live);
  lk_doc_room_kind.close(again);
  for (uint32_t i = 0; i < k.count; i++) free((void *)(uintptr_t)k.at[i].ptr);
  free((void *)(uintptr_t)live.ptr);
  free((void *)(uintptr_t)back.ptr);
}
