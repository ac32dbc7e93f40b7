#include "tests/conformance/doc/serve.h"

#include "codec/lib0.h"
#include "codec/varint.h"
#include "tests/conformance/doc/ops.h"
#include "tests/conformance/doc/stream.h"

#define REPLICAS_MAX 64
#define ROOTS_MAX 16

typedef struct replica {
  lk_doc *doc;
  bool bare;      /* what is alone is done without a transaction around it */
  lk_arena arena; /* of the names of its roots */
  root roots[ROOTS_MAX];
  size_t root_count;
  lk_buf sent; /* bytes v1, bytes v2, ... */
  uint64_t sent_count;
} replica;

typedef struct server {
  replica replicas[REPLICAS_MAX];
  lk_arena scratch;
  lk_buf answer;
} server;

static void keep(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  replica *self = ctx;
  (void)doc;
  (void)local;
  if (origin == ORIGIN_REMOTE) return;
  must(lk_lib0_bytes_encode(&self->sent, update), "keep an update");
  self->sent_count++;
}

static void close_replica(replica *self) {
  lk_doc_close(self->doc);
  lk_buf_deinit(&self->sent);
  lk_arena_deinit(&self->arena);
  *self = (replica){ 0 };
}

static lk_err open_roots(replica *self, lk_slice json) {
  lk_slice copy;
  must(lk_arena_copy(&self->arena, json, &copy), "open a replica");
  const js_value *roots = value_of_json(copy, &self->arena);
  if (roots == NULL || roots->kind != VALUE_ARRAY || roots->count > ROOTS_MAX) return LK_ERR_SYNTAX;
  for (const js_value *item = roots->first; item != NULL; item = item->next) {
    const js_value *kind = value_at(item, 1);
    if (kind == NULL) return LK_ERR_SYNTAX;
    root *made = &self->roots[self->root_count++];
    *made = (root){ item->first->text, root_kind_of(kind->text) };
    lk_node node;
    lk_err err = lk_doc_root(self->doc, made->name, made->kind, &node);
    if (err != LK_OK) return err;
  }
  return LK_OK;
}

static lk_err open_replica(replica *self, record *from) {
  close_replica(self);
  const lk_env *env = conformance_env();
  lk_arena_init(&self->arena, env->alloc, SIZE_MAX >> 1);
  buf_open(&self->sent);
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = take_number(from);
  options.keep_deleted = take_number(from) == 0;
  self->bare = options.client % 2 != 0;
  lk_err err = lk_doc_open(env, &options, &self->doc);
  if (err == LK_OK) err = open_roots(self, take_bytes(from));
  /* In this order, V1 comes before V2 of the same update. */
  if (err == LK_OK) err = lk_doc_on_update(self->doc, LK_UPDATE_V1, keep, self, NULL);
  if (err == LK_OK) err = lk_doc_on_update(self->doc, LK_UPDATE_V2, keep, self, NULL);
  return err;
}

static void answer_sent(server *self, replica *from) {
  if (from->sent_count % 2 != 0) die("an update came in one format alone");
  must(lk_varuint_encode(&self->answer, from->sent_count / 2), "answer");
  must(lk_buf_append(&self->answer, lk_buf_slice(&from->sent)), "answer");
  lk_buf_truncate(&from->sent, 0);
  from->sent_count = 0;
}

static lk_err run_operations(server *self, replica *on, record *from) {
  ops_error error;
  ops_result result = ops_run(on->doc, NULL, on->roots, on->root_count, take_bytes(from), on->bare,
                              &self->scratch, &error);
  if (result == OPS_UNSUPPORTED) return LK_ERR_UNSUPPORTED;
  if (result == OPS_DONE) answer_sent(self, on);
  return error.err;
}

static lk_err receive(server *self, replica *on, record *from) {
  lk_update_format format = (lk_update_format)take_number(from);
  lk_err err = lk_doc_apply(on->doc, format, take_bytes(from), ORIGIN_REMOTE);
  if (err == LK_OK) answer_sent(self, on);
  return err;
}

static lk_err encode(server *self, const replica *on, record *from) {
  lk_update_format format = (lk_update_format)take_number(from);
  return lk_doc_encode(on->doc, format, take_bytes(from), &self->answer);
}

static lk_err obey(server *self, record *from) {
  uint64_t index = take_number(from);
  if (index >= REPLICAS_MAX) die("there is no replica %llu", (unsigned long long)index);
  replica *on = &self->replicas[index];
  if (from->tag != 'c' && on->doc == NULL)
    die("replica %llu is not open", (unsigned long long)index);
  switch (from->tag) {
  case 'c': return open_replica(on, from);
  case 'l': return run_operations(self, on, from);
  case 'a': return receive(self, on, from);
  case 's': return states_print(on->doc, on->roots, on->root_count, &self->answer, &self->scratch);
  case 'e': return encode(self, on, from);
  case 'v': return lk_doc_state_vector(on->doc, &self->answer);
  case 'd': close_replica(on); return LK_OK;
  default: die("no command is called %c", from->tag);
  }
}

static void answer(server *self, lk_err err, FILE *out) {
  if (err != LK_OK) {
    const char *name = lk_err_name(err);
    lk_buf_truncate(&self->answer, 0);
    lk_slice text = lk_slice_of((const uint8_t *)name, __builtin_strlen(name));
    must(lk_lib0_string_encode(&self->answer, text), "answer");
  }
  lk_buf head;
  buf_open(&head);
  must(lk_buf_append_u8(&head, err == LK_OK ? '+' : '-'), "answer");
  must(lk_varuint_encode(&head, self->answer.len), "answer");
  bool ok = fwrite(head.ptr, 1, head.len, out) == head.len;
  if (self->answer.len > 0) {
    ok = fwrite(self->answer.ptr, 1, self->answer.len, out) == self->answer.len && ok;
  }
  if (!ok || fflush(out) != 0) die("nobody hears the answer");
  lk_buf_deinit(&head);
}

void serve(FILE *in, FILE *out) {
  static server self; /* large */
  lk_buf room;
  buf_open(&room);
  buf_open(&self.answer);
  lk_arena_init(&self.scratch, conformance_env()->alloc, SIZE_MAX >> 1);
  for (record next; record_read(in, &room, &next);) {
    lk_buf_truncate(&self.answer, 0);
    answer(&self, obey(&self, &next), out);
    lk_arena_reset(&self.scratch);
  }
  for (size_t i = 0; i < REPLICAS_MAX; i++) close_replica(&self.replicas[i]);
  lk_arena_deinit(&self.scratch);
  lk_buf_deinit(&self.answer);
  lk_buf_deinit(&room);
}
