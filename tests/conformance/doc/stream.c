#include "tests/conformance/doc/stream.h"

#include "codec/lib0.h"
#include "codec/varint.h"

#define RECORD_MAX ((uint64_t)1 << 30)

static bool read_varuint(FILE *file, uint64_t *out) {
  *out = 0;
  for (uint32_t shift = 0; shift < 63; shift += 7) {
    int byte = getc(file);
    if (byte == EOF) return false;
    *out |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return true;
  }
  die("a record's length is no varuint");
}

bool record_read(FILE *file, lk_buf *room, record *out) {
  int tag = getc(file);
  if (tag == EOF) return false;
  uint64_t len;
  if (!read_varuint(file, &len)) die("the stream ends within a record");
  if (len > RECORD_MAX) die("a record of %llu bytes", (unsigned long long)len);
  lk_buf_truncate(room, 0);
  uint8_t *bytes = len == 0 ? NULL : lk_buf_extend(room, (size_t)len);
  if (len > 0 && bytes == NULL) die("out of memory");
  if (len > 0 && fread(bytes, 1, (size_t)len, file) != len) die("the stream ends within a record");
  *out = (record){ (char)tag, lk_reader_of(lk_slice_of(room->ptr, (size_t)len)) };
  return true;
}

uint64_t take_number(record *self) {
  uint64_t number = 0;
  if (lk_varuint_decode(&self->in, UINT64_MAX, &number) != LK_OK)
    die("record %c: no number", self->tag);
  return number;
}

lk_slice take_bytes(record *self) {
  lk_slice bytes = LK_SLICE_EMPTY;
  if (lk_lib0_bytes_decode(&self->in, &bytes) != LK_OK) die("record %c: no bytes", self->tag);
  return bytes;
}

size_t take_list(record *self, lk_arena *arena, uint64_t **out) {
  uint64_t count = take_number(self);
  if (count > lk_reader_left(&self->in)) die("record %c: a list too long", self->tag);
  *out = push(arena, (size_t)(count + 1) * sizeof **out);
  for (size_t i = 0; i < count; i++) (*out)[i] = take_number(self);
  return (size_t)count;
}
