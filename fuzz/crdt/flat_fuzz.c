#include "crdt/flat.h"

#include "harness/test.h"

/* What decodes is canonical: encoding it again gives the same bytes. Its JSON leads back to them,
 * too. */
FUZZ(lk_flat_decode) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("\x00\x01\x02\x03\x05"
                "alice\x02\x00\x04\x01\x02\x03"
                "bob\x03\x00"),
    LK_LIT_INIT("\x01\x01\x01\x01\x01\x05"
                "alice\xac\x02\x00\x00\x00"),
    LK_LIT_INIT("\x0b\x01\x01\x01\x04\x03\x01"
                "a\x00\x02\x02\x05\x04tags\x02\x07\"black\"\x01\x02\x03\x03ue\"\x01\x01"
                "\x0a\x01\x04itle\x01\x00\x02"
                "42"),
    LK_LIT_INIT("\x07\x01\x02\x02\x02\x01"
                "a\x01\x00\x00\x01"
                "b\x00\x00\x00\x00\x01\x00"),
    LK_LIT_INIT("\x0b\x01\x01\x01\x03\x01\x01"
                "a\x00\x04\x01\x0b\x01m\x01\x02\x01p\x01\x01p\x01\x00\x04"),
  };
  uint8_t scratch[256];
  lk_limits limits = lk_limits_default();
  lk_crdt_scope scope = { test_alloc(), &limits };
  lk_flat flat, again;
  lk_arena arena;
  lk_buf out;
  lk_slice in = gen_hostile(g, samples, 5, scratch, sizeof scratch);
  lk_arena_init(&arena, test_alloc(), 1 << 26);
  lk_buf_init(&out, test_alloc(), 1 << 24);
  if (lk_flat_decode(&flat, in, &scope, &arena) == LK_OK) {
    CHECK_OK(lk_flat_encode(&flat, &out));
    CHECK_SLICE(lk_buf_slice(&out), in);
    lk_buf_truncate(&out, 0);
    if (flat.type != NULL && lk_flat_encode_json(&flat, &out) == LK_OK &&
        out.len <= limits.json_bytes) {
      lk_slice text;
      CHECK_OK(lk_arena_copy(&arena, lk_buf_slice(&out), &text));
      CHECK_OK(lk_flat_decode_json(&again, flat.type, text, &scope, &arena));
      lk_buf_truncate(&out, 0);
      CHECK_OK(lk_flat_encode(&again, &out));
      CHECK_SLICE(lk_buf_slice(&out), in);
    }
  } else {
    CHECK(arena.top == NULL);
  }
  lk_buf_deinit(&out);
  lk_arena_deinit(&arena);
}

/* What JSON says can be said in bytes. */
FUZZ(lk_flat_decode_json) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("{\"counts\":{\"alice\":3,\"bob\":5}}"),
    LK_LIT_INIT("{\"type\":\"orset\",\"known\":{\"a\":[[1,3]]},\"items\":[{\"key\":[1.0],\"facts\":"
                "[[\"a\",1],[\"a\",3]]}]}"),
    LK_LIT_INIT(
        "{\"type\":\"ormap\",\"known\":{\"a\":[[1,5],[7,9]]},\"items\":[{\"type\":\"pncounter\","
        "\"key\":\"k\",\"items\":[{\"key\":\"p\",\"facts\":[[\"a\",1,5]]}]},{\"key\":\"r\","
        "\"type\":"
        "\"mvreg\",\"facts\":[[\"a\",7,{\"b\":1,\"a\":2}]]}]}"),
  };
  static const lk_crdt_type *const types[] = { &lk_crdt_type_gcounter, &lk_crdt_type_orset,
                                               &lk_crdt_type_ormap };
  uint8_t scratch[512];
  lk_limits limits = lk_limits_default();
  lk_crdt_scope scope = { test_alloc(), &limits };
  lk_flat flat, again;
  lk_arena arena;
  lk_buf out;
  lk_slice in = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  lk_arena_init(&arena, test_alloc(), 1 << 26);
  lk_buf_init(&out, test_alloc(), 1 << 24);
  for (size_t i = 0; i < 3; i++) {
    if (lk_flat_decode_json(&flat, types[i], in, &scope, &arena) != LK_OK) continue;
    lk_buf_truncate(&out, 0);
    CHECK_OK(lk_flat_encode(&flat, &out));
    CHECK_OK(lk_flat_decode(&again, lk_buf_slice(&out), &scope, &arena));
    CHECK_U64(again.fact_count, flat.fact_count);
  }
  lk_buf_deinit(&out);
  lk_arena_deinit(&arena);
}
