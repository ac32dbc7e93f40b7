/* channel/y_sync.c -- one or two numbers, then a body with its length. */
#include "channel/y_sync.h"

#include "codec/lib0.h"
#include "codec/varint.h"

/* The kinds stand in y_sync.h in the order of their numbers, outer before inner. */
typedef struct row {
  uint8_t outer;
  uint8_t inner; /* NO_INNER: there is none */
  bool has_body;
} row;

#define NO_INNER UINT8_MAX

enum { SYNC = 0, AWARENESS = 1, AUTH = 2, QUERY_AWARENESS = 3 };

static const row rows[LK_Y_KINDS] = {
  [LK_Y_SYNC_STEP1] = { SYNC, 0, true },
  [LK_Y_SYNC_STEP2] = { SYNC, 1, true },
  [LK_Y_UPDATE] = { SYNC, 2, true },
  [LK_Y_AWARENESS] = { AWARENESS, NO_INNER, true },
  [LK_Y_AUTH_DENIED] = { AUTH, 0, true },
  [LK_Y_QUERY_AWARENESS] = { QUERY_AWARENESS, NO_INNER, false },
};

/* The kind of those numbers, of which the second is read only where there is one. */
static lk_err decode_kind(lk_reader *in, lk_y_kind *out) {
  uint64_t outer, inner = NO_INNER;
  lk_err err = lk_varuint_decode(in, LK_VARUINT_MAX_SAFE, &outer);
  if (err == LK_OK && (outer == SYNC || outer == AUTH)) {
    err = lk_varuint_decode(in, LK_VARUINT_MAX_SAFE, &inner);
  }
  if (err != LK_OK) return err;
  for (uint32_t kind = 0; kind < LK_Y_KINDS; kind++) {
    if (rows[kind].outer != outer || rows[kind].inner != inner) continue;
    *out = (lk_y_kind)kind;
    return LK_OK;
  }
  return LK_ERR_UNKNOWN_EVENT;
}

lk_err lk_y_message_decode(lk_reader *in, lk_y_message *out) {
  lk_y_message message = { 0 };
  lk_reader at = *in;
  lk_err err = decode_kind(&at, &message.kind);
  if (err != LK_OK) return err;
  if (message.kind == LK_Y_AUTH_DENIED) err = lk_lib0_string_decode(&at, &message.body);
  else if (rows[message.kind].has_body) err = lk_lib0_bytes_decode(&at, &message.body);
  if (err != LK_OK) return err;
  *in = at;
  *out = message;
  return LK_OK;
}

lk_err lk_y_message_encode(lk_y_kind kind, lk_slice body, lk_buf *out) {
  LK_ASSERT((uint32_t)kind < LK_Y_KINDS);
  const row *r = &rows[kind];
  LK_ASSERT(r->has_body || body.len == 0);
  /* Room for all of it at once, so that no part is written where it does not fit. */
  size_t len, head = r->inner == NO_INNER ? 1 : 2;
  if (r->has_body) head += lk_varuint_len(body.len);
  if (!lk_add_size(head, body.len, &len)) len = SIZE_MAX;
  lk_err err = lk_buf_reserve(out, len);
  if (err != LK_OK) return err;
  lk_varuint_encode(out, r->outer);
  if (r->inner != NO_INNER) lk_varuint_encode(out, r->inner);
  if (r->has_body) lk_lib0_bytes_encode(out, body);
  return lk_buf_err(out);
}
