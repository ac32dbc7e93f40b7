/* bench/doc/gapbuf.c -- gapbuf.h. */
#include "bench/doc/gapbuf.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_CAP 1024

static void *must_have(void *ptr) {
  if (ptr == NULL) abort();
  return ptr;
}

void gapbuf_init(gapbuf *self) {
  self->units = must_have(malloc(FIRST_CAP * sizeof *self->units));
  self->gap = 0;
  self->gap_end = self->cap = FIRST_CAP;
}

void gapbuf_deinit(gapbuf *self) {
  free(self->units);
  self->units = NULL;
}

static void move_gap(gapbuf *self, size_t at) {
  if (at < self->gap) {
    size_t count = self->gap - at;
    self->gap_end -= count;
    memmove(self->units + self->gap_end, self->units + at, count * sizeof *self->units);
  } else {
    size_t count = at - self->gap;
    memmove(self->units + self->gap, self->units + self->gap_end, count * sizeof *self->units);
    self->gap_end += count;
  }
  self->gap = at;
}

static void grow(gapbuf *self, size_t wanted) {
  size_t behind = self->cap - self->gap_end;
  size_t cap = 2 * self->cap + wanted;
  self->units = must_have(realloc(self->units, cap * sizeof *self->units));
  memmove(self->units + cap - behind, self->units + self->gap_end, behind * sizeof *self->units);
  self->gap_end = cap - behind;
  self->cap = cap;
}

/* Puts the character at |utf8| into |units|; returns how many bytes it took. */
static size_t decode(const uint8_t *utf8, uint16_t *units, size_t *count) {
  uint32_t first = utf8[0];
  if (first < 0x80) {
    units[(*count)++] = (uint16_t)first;
    return 1;
  }
  size_t len = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  uint32_t code = first & (0x7Fu >> len);
  for (size_t i = 1; i < len; i++) code = code << 6 | (utf8[i] & 0x3Fu);
  if (code < 0x10000) {
    units[(*count)++] = (uint16_t)code;
    return len;
  }
  units[(*count)++] = (uint16_t)(0xD7C0 + (code >> 10));
  units[(*count)++] = (uint16_t)(0xDC00 + (code & 0x3FF));
  return len;
}

/* Nearly every edit is one ASCII character, or none, where the gap is: that much and no more is done on the way. */
void gapbuf_edit(gapbuf *self, size_t at, size_t deleted, lk_slice utf8) {
  if (at != self->gap) move_gap(self, at);
  self->gap_end += deleted;
  if (self->gap_end - self->gap < utf8.len) grow(self, utf8.len);
  uint16_t *out = self->units + self->gap;
  size_t ascii = 0;
  for (; ascii < utf8.len && utf8.ptr[ascii] < 0x80; ascii++) out[ascii] = utf8.ptr[ascii];
  self->gap += ascii;
  for (size_t i = ascii; i < utf8.len;) i += decode(utf8.ptr + i, self->units, &self->gap);
}

static uint32_t unit_at(const gapbuf *self, size_t index, size_t len) {
  if (index >= len) return 0;
  return self->units[index < self->gap ? index : index + self->gap_end - self->gap];
}

static size_t encode(uint32_t code, uint8_t *out) {
  if (code < 0x80) {
    out[0] = (uint8_t)code;
    return 1;
  }
  size_t len = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = len - 1; i > 0; i--, code >>= 6) out[i] = (uint8_t)(0x80 | (code & 0x3F));
  out[0] = (uint8_t)((0xF00u >> len) & 0xFF) | (uint8_t)code;
  return len;
}

lk_slice gapbuf_text(const gapbuf *self) {
  size_t len = self->cap - (self->gap_end - self->gap);
  uint8_t *out = must_have(malloc(3 * len + 1));
  size_t at = 0;
  for (size_t i = 0; i < len; i++) {
    uint32_t code = unit_at(self, i, len), next = unit_at(self, i + 1, len);
    bool is_pair = code >> 10 == 0xD800 >> 10 && next >> 10 == 0xDC00 >> 10;
    if (is_pair) i++;
    if (is_pair) code = 0x10000 + ((code & 0x3FF) << 10 | (next & 0x3FF));
    else if (code >> 11 == 0xD800 >> 11) code = 0xFFFD;
    at += encode(code, out + at);
  }
  return (lk_slice){ out, at };
}
