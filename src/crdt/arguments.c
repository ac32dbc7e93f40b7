/* crdt/arguments.c -- the JSON reader with the one error that callers of operations want. */
#include "crdt/arguments.h"

lk_err lk_arguments_init(lk_arguments *self, const lk_crdt *crdt, lk_slice json) {
  const lk_limits *limits = crdt->scope.limits;
  lk_json_event event;
  lk_arena_init(&self->arena, crdt->scope.alloc, (size_t)limits->json_bytes * 2);
  lk_err err = lk_json_reader_init(&self->reader, json, limits, &self->arena);
  if (err == LK_OK) err = lk_json_next(&self->reader, &event);
  if (err != LK_OK) return err;
  return event.kind == LK_JSON_ARRAY_BEGIN ? LK_OK : LK_ERR_PAYLOAD;
}

void lk_arguments_deinit(lk_arguments *self) { lk_arena_deinit(&self->arena); }

lk_err lk_arguments_u64(lk_arguments *self, uint64_t *out) {
  lk_json_event event;
  lk_err err = lk_json_next(&self->reader, &event);
  if (err != LK_OK) return err;
  return lk_json_get_u64(&event, out) == LK_OK ? LK_OK : LK_ERR_PAYLOAD;
}

lk_err lk_arguments_u32(lk_arguments *self, uint32_t *out) {
  uint64_t value;
  lk_err err = lk_arguments_u64(self, &value);
  if (err != LK_OK) return err;
  return lk_u64_to_u32(value, out) ? LK_OK : LK_ERR_PAYLOAD;
}

lk_err lk_arguments_text(lk_arguments *self, lk_slice *out) {
  lk_json_event event;
  lk_err err = lk_json_next(&self->reader, &event);
  if (err != LK_OK) return err;
  return lk_json_get_string(&event, out) == LK_OK ? LK_OK : LK_ERR_PAYLOAD;
}

lk_err lk_arguments_json(lk_arguments *self, lk_slice *out) {
  lk_err err = lk_json_skip_value(&self->reader, out);
  return err == LK_ERR_END ? LK_ERR_PAYLOAD : err;
}

lk_err lk_arguments_end(lk_arguments *self) {
  lk_json_event event;
  lk_err err = lk_json_next(&self->reader, &event);
  if (err != LK_OK) return err;
  return event.kind == LK_JSON_ARRAY_END ? lk_json_finish(&self->reader) : LK_ERR_PAYLOAD;
}
