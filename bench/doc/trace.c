/* bench/doc/trace.c -- trace.h. */
#include "bench/doc/trace.h"
#include "bench/doc/gapbuf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void broken(const char *name) {
  (void)fprintf(stderr, "bench: %s is not a trace\n", name);
  exit(1);
}

static void *room(size_t count, size_t size) {
  void *ptr = calloc(count + 1, size);
  if (ptr == NULL) abort();
  return ptr;
}

/* ---- reading ---- */

lk_slice trace_file(const char *folder, const char *name) {
  char path[4096];
  (void)snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  if (file == NULL) return (lk_slice){ NULL, 0 };
  (void)fseek(file, 0, SEEK_END);
  long len = ftell(file);
  if (len < 0) broken(path);
  rewind(file);
  uint8_t *bytes = room((size_t)len, 1);
  if (fread(bytes, 1, (size_t)len, file) != (size_t)len) broken(path);
  (void)fclose(file);
  return (lk_slice){ bytes, (size_t)len };
}

typedef struct input {
  lk_slice bytes;
  size_t at;
  const char *name;
} input;

static uint32_t read_u32(input *in) {
  if (in->bytes.len - in->at < 4) broken(in->name);
  const uint8_t *p = in->bytes.ptr + in->at;
  in->at += 4;
  return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t read_varuint(input *in) {
  uint32_t value = 0;
  for (uint32_t shift = 0; shift < 32; shift += 7) {
    if (in->at == in->bytes.len) broken(in->name);
    uint8_t byte = in->bytes.ptr[in->at++];
    value |= (byte & 0x7Fu) << shift;
    if (byte < 0x80) return value;
  }
  broken(in->name);
  return 0;
}

static lk_slice read_bytes(input *in, size_t len) {
  if (in->bytes.len - in->at < len) broken(in->name);
  in->at += len;
  return (lk_slice){ in->bytes.ptr + in->at - len, len };
}

static void read_edits(recording *out, input *in, trace_txn *txn, size_t edits_cap) {
  txn->edits_begin = (uint32_t)out->edit_count;
  txn->edits_count = read_varuint(in);
  if (edits_cap - out->edit_count < txn->edits_count) broken(in->name);
  for (uint32_t i = 0; i < txn->edits_count; i++) {
    trace_edit *edit = &out->edits[out->edit_count++];
    edit->at = read_varuint(in);
    edit->deleted = read_varuint(in);
    edit->text = read_bytes(in, read_varuint(in));
  }
}

/* A parent takes a byte at least, so |parents| with room for the file's bytes has room for all. */
static void read_parents(recording *out, input *in, trace_txn *txn, uint32_t at, size_t *count) {
  txn->agent = read_varuint(in);
  txn->parents_begin = (uint32_t)*count;
  txn->parents_count = read_varuint(in);
  if (txn->agent >= out->agents || in->bytes.len - *count < txn->parents_count) broken(in->name);
  for (uint32_t i = 0; i < txn->parents_count; i++) {
    uint32_t parent = read_varuint(in);
    if (parent >= at) broken(in->name);
    out->parents[(*count)++] = parent;
  }
}

bool trace_read(recording *out, const char *folder, const char *name, const char *extension) {
  char file[256];
  (void)snprintf(file, sizeof file, "%s.%s", name, extension);
  lk_slice bytes = trace_file(folder, file);
  if (bytes.ptr == NULL) return false;
  bool is_concurrent = strcmp(extension, "ltc") == 0;
  input in = { bytes, 4, name };
  if (bytes.len < 20 || memcmp(bytes.ptr, is_concurrent ? "LTC1" : "LTR1", 4) != 0) broken(name);
  size_t edits = read_u32(&in), txns = read_u32(&in), text = read_u32(&in);
  if (edits > bytes.len || txns > bytes.len) broken(name);
  *out = (recording){ .name = name, .is_concurrent = is_concurrent, .agents = read_u32(&in) };
  out->bytes = (uint8_t *)bytes.ptr;
  out->edits = room(edits, sizeof *out->edits);
  out->txns = room(txns, sizeof *out->txns);
  out->txn_count = txns;
  out->parents = room(is_concurrent ? bytes.len : 0, sizeof *out->parents);
  size_t parents = 0;
  for (uint32_t i = 0; i < txns; i++) {
    if (is_concurrent) read_parents(out, &in, &out->txns[i], i, &parents);
    read_edits(out, &in, &out->txns[i], edits);
  }
  out->text = read_bytes(&in, text);
  return true;
}

void trace_free(recording *self) {
  free(self->edits);
  free(self->txns);
  free(self->parents);
  free(self->bytes);
  *self = (recording){ 0 };
}

/* ---- random numbers ---- */

static const char letters[] =
    "       eeeeeeetttttaaaaaooooiiiinnnnsssshhhrrrdddlluuccmmwwffggyyppbbvk,.";

uint32_t trace_below(trace_random *self, uint32_t count) {
  self->state ^= self->state << 13;
  self->state ^= self->state >> 17;
  self->state ^= self->state << 5;
  return self->state % count;
}

uint8_t trace_letter(trace_random *self) {
  return (uint8_t)letters[trace_below(self, sizeof letters - 1)];
}

lk_slice trace_word(trace_random *self, uint32_t least, uint32_t most, uint8_t *out) {
  uint32_t len = least + trace_below(self, most - least + 1);
  for (uint32_t i = 0; i < len; i++) out[i] = trace_letter(self);
  return (lk_slice){ out, len };
}

/* ---- a session that is made up ---- */

#define GENERATED_EDITS 200000u
#define GENERATED_HASH 0x1aa6a860u
#define EDITS_OF_ONE_ACT 64u /* at most */
#define WORD_MOST 200u

typedef struct typist {
  recording *out;
  trace_random random;
  uint32_t cursor, length;
  uint8_t *room; /* for what is typed */
} typist;

static void push(typist *self, uint32_t at, uint32_t deleted, lk_slice text) {
  self->out->edits[self->out->edit_count++] = (trace_edit){ at, deleted, text };
  self->cursor = at + (uint32_t)text.len;
  self->length += (uint32_t)text.len - deleted;
}

static lk_slice keep(typist *self, lk_slice text) {
  self->room += text.len;
  return text;
}

static lk_slice word(typist *self, uint32_t least, uint32_t most) {
  return keep(self, trace_word(&self->random, least, most, self->room));
}

static void type(typist *self, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    *self->room = trace_letter(&self->random);
    push(self, self->cursor, 0, keep(self, (lk_slice){ self->room, 1 }));
  }
}

static void erase_backwards(typist *self, uint32_t count) {
  for (uint32_t i = 0; i < count && self->cursor > 0; i++)
    push(self, self->cursor - 1, 1, (lk_slice){ NULL, 0 });
}

static void jump(typist *self) {
  uint32_t where = trace_below(&self->random, 10);
  if (where < 3) {
    self->cursor = self->length;
  } else if (where < 4) {
    self->cursor = trace_below(&self->random, self->length + 1);
  } else {
    uint32_t step = trace_below(&self->random, 400), room = self->length - self->cursor;
    if (step < 200) self->cursor -= step < self->cursor ? step : self->cursor;
    else self->cursor += step - 200 < room ? step - 200 : room;
  }
}

static uint32_t some_after_cursor(typist *self, uint32_t most) {
  uint32_t count = 1 + trace_below(&self->random, most), room = self->length - self->cursor;
  return count < room ? count : room;
}

static void correct(typist *self) {
  uint32_t count = 1 + trace_below(&self->random, 24);
  erase_backwards(self, count);
  type(self, trace_below(&self->random, count + 1));
}

static void cut_out(typist *self) {
  uint32_t count = some_after_cursor(self, 300);
  if (count > 0) push(self, self->cursor, count, (lk_slice){ NULL, 0 });
}

static void replace(typist *self) {
  uint32_t count = some_after_cursor(self, 8);
  push(self, self->cursor, count, word(self, 2, 9));
}

static void act(typist *self) {
  uint32_t what = trace_below(&self->random, 100);
  if (what < 45) type(self, 1 + trace_below(&self->random, 40));
  else if (what < 78) correct(self);
  else if (what < 96) jump(self);
  else if (what < 97) cut_out(self);
  else if (what < 98) push(self, self->cursor, 0, word(self, 20, WORD_MOST));
  else replace(self);
}

static uint32_t hash(lk_slice bytes) {
  uint32_t value = 0x811c9dc5u;
  for (size_t i = 0; i < bytes.len; i++) value = (value ^ bytes.ptr[i]) * 0x01000193u;
  return value;
}

void trace_generate(recording *out) {
  *out = (recording){ .name = "typing", .agents = 1 };
  out->edits = room(GENERATED_EDITS + EDITS_OF_ONE_ACT, sizeof *out->edits);
  out->bytes = room(GENERATED_EDITS, WORD_MOST);
  typist self = { .out = out, .random = { 0x1a41a4ea }, .room = out->bytes };
  while (out->edit_count < GENERATED_EDITS) act(&self);
  out->edit_count = GENERATED_EDITS;

  gapbuf buffer;
  gapbuf_init(&buffer);
  for (size_t i = 0; i < out->edit_count; i++)
    gapbuf_edit(&buffer, out->edits[i].at, out->edits[i].deleted, out->edits[i].text);
  out->text = gapbuf_text(&buffer);
  gapbuf_deinit(&buffer);
  if (hash(out->text) != GENERATED_HASH) {
    (void)fprintf(stderr, "bench: the session made up is another one than in shared/trace.mjs\n");
    exit(1);
  }
}
