/* channel/bus.c -- frames with a length in front; see bus.h for the form.
 *
 * Nearly always a whole frame lies in what was given, and is read where it lies. One that is cut is
 * gathered in |partial|, which takes only as much as that frame needs, so that |in| goes on at a
 * frame's beginning. */
#include "channel/bus.h"

#include "codec/reader.h"
#include "codec/varint.h"

#define LEN_SIZE 4
#define HEAD_SIZE 2
#define COMPACT_BYTES 65536
#define KEPT_BYTES 65536 /* of a buffer that has been emptied */

enum { FLAG_BINARY = 1, FLAG_AGAIN = 2, AUDIENCE_SHIFT = 2, RIGHTS_SHIFT = 4, DIALECT_SHIFT = 6 };

/* 0: there is no such kind. */
static unsigned fields_of(unsigned kind) {
  static const uint16_t fields[] = {
#define BUS(name, number, fields) [number] = (fields),
#include "channel/bus.def"
#undef BUS
  };
  return kind < sizeof fields / sizeof fields[0] ? fields[kind] : 0;
}

/* ---- writing ---- */

static void append_text(lk_buf *out, lk_slice text) {
  (void)lk_varuint_encode(out, text.len);
  (void)lk_buf_append(out, text);
}

static void append_fields(const lk_bus_message *m, unsigned fields, lk_buf *out) {
  if ((fields & LK_BUS_HAS_GENERATION) != 0) {
    (void)lk_varuint_encode(out, m->generation);
    (void)lk_varuint_encode(out, m->answers);
  }
  if ((fields & LK_BUS_HAS_REQUEST) != 0) (void)lk_varuint_encode(out, m->request);
  if ((fields & LK_BUS_HAS_SETTLED) != 0) (void)lk_varuint_encode(out, m->settled);
  if ((fields & LK_BUS_HAS_MEMBER) != 0) (void)lk_varuint_encode(out, m->member);
  if ((fields & LK_BUS_HAS_TOPIC) != 0) append_text(out, m->topic);
  if ((fields & LK_BUS_HAS_EVENT) != 0) append_text(out, m->event);
  if ((fields & LK_BUS_HAS_PAYLOAD) != 0) append_text(out, m->payload);
  if ((fields & LK_BUS_HAS_SUBJECT) != 0) append_text(out, m->subject);
  if ((fields & LK_BUS_HAS_PROFILES) != 0) (void)lk_buf_append_u8(out, m->profiles);
}

static size_t text_size(lk_slice text) { return lk_varuint_len(text.len) + text.len; }

size_t lk_bus_size(const lk_bus_message *m) {
  unsigned fields = fields_of((unsigned)m->kind);
  size_t size = LEN_SIZE + HEAD_SIZE;
  if ((fields & LK_BUS_HAS_GENERATION) != 0)
    size += lk_varuint_len(m->generation) + lk_varuint_len(m->answers);
  if ((fields & LK_BUS_HAS_REQUEST) != 0) size += lk_varuint_len(m->request);
  if ((fields & LK_BUS_HAS_SETTLED) != 0) size += lk_varuint_len(m->settled);
  if ((fields & LK_BUS_HAS_MEMBER) != 0) size += lk_varuint_len(m->member);
  if ((fields & LK_BUS_HAS_TOPIC) != 0) size += text_size(m->topic);
  if ((fields & LK_BUS_HAS_EVENT) != 0) size += text_size(m->event);
  if ((fields & LK_BUS_HAS_PAYLOAD) != 0) size += text_size(m->payload);
  if ((fields & LK_BUS_HAS_SUBJECT) != 0) size += text_size(m->subject);
  if ((fields & LK_BUS_HAS_PROFILES) != 0) size++;
  return size;
}

static uint8_t flags_of(const lk_bus_message *m) {
  return (uint8_t)((m->binary ? FLAG_BINARY : 0) | (m->again ? FLAG_AGAIN : 0) |
                   (unsigned)m->audience << AUDIENCE_SHIFT | (unsigned)m->rights << RIGHTS_SHIFT |
                   (unsigned)m->dialect << DIALECT_SHIFT);
}

lk_err lk_bus_encode(const lk_bus_message *m, uint32_t frame_max, lk_buf *out) {
  unsigned fields = fields_of((unsigned)m->kind);
  size_t start = out->len;
  LK_ASSERT(fields != 0);
  lk_err err = lk_buf_err(out);
  if (err != LK_OK) return err;
  size_t size = lk_bus_size(m);
  if (size > frame_max) return LK_ERR_TOO_BIG; /* before anything long is copied */
  (void)lk_buf_append_le32(out, (uint32_t)(size - LEN_SIZE));
  (void)lk_buf_append_u8(out, (uint8_t)m->kind);
  (void)lk_buf_append_u8(out, flags_of(m));
  append_fields(m, fields, out);
  err = lk_buf_err(out);
  if (err != LK_OK) lk_buf_truncate(out, start);
  LK_ASSERT(err != LK_OK || out->len - start == size);
  return err;
}

void lk_bus_forget(lk_buf *out, size_t off) {
  size_t end = 0;
  while (end < off) end += LEN_SIZE + lk_load_le32(out->ptr + end);
  lk_buf_truncate(out, end);
}

void lk_bus_consume(lk_buf *out, size_t *off, size_t count) {
  LK_ASSERT(count <= out->len - *off);
  *off += count;
  if (*off == out->len) {
    lk_buf_truncate(out, 0);
    lk_buf_rest(out, KEPT_BYTES);
    *off = 0;
  } else if (*off >= COMPACT_BYTES && *off > out->len / 2) {
    /* Moving the rest costs less than what was sent since the last time. */
    LK_COVERED(bus_output_compacted);
    size_t end = 0;
    for (size_t next; (next = end + LEN_SIZE + lk_load_le32(out->ptr + end)) <= *off;) end = next;
    lk_buf_consume(out, end);
    *off -= end;
  }
}

/* ---- reading ---- */

static lk_err read_text(lk_reader *in, lk_slice *out) {
  uint64_t len;
  lk_err err = lk_varuint_decode(in, UINT32_MAX, &len);
  return err == LK_OK ? lk_reader_bytes(in, len, out) : err;
}

static lk_err read_profiles(lk_reader *in, lk_profile_set *out) {
  lk_err err = lk_reader_u8(in, out);
  return err == LK_OK && *out >> LK_PROFILES != 0 ? LK_ERR_CORRUPT : err;
}

static lk_err read_fields(lk_reader *in, unsigned fields, lk_bus_message *m) {
  lk_err err = LK_OK;
  if ((fields & LK_BUS_HAS_GENERATION) != 0) {
    err = lk_varuint_decode(in, UINT64_MAX, &m->generation);
    if (err == LK_OK) err = lk_varuint_decode(in, UINT64_MAX, &m->answers);
  }
  if (err == LK_OK && (fields & LK_BUS_HAS_REQUEST) != 0)
    err = lk_varuint_decode(in, UINT64_MAX, &m->request);
  if (err == LK_OK && (fields & LK_BUS_HAS_SETTLED) != 0)
    err = lk_varuint_decode(in, UINT64_MAX, &m->settled);
  if (err == LK_OK && (fields & LK_BUS_HAS_MEMBER) != 0)
    err = lk_varuint_decode(in, UINT64_MAX, &m->member);
  if (err == LK_OK && (fields & LK_BUS_HAS_TOPIC) != 0) err = read_text(in, &m->topic);
  if (err == LK_OK && (fields & LK_BUS_HAS_EVENT) != 0) err = read_text(in, &m->event);
  if (err == LK_OK && (fields & LK_BUS_HAS_PAYLOAD) != 0) err = read_text(in, &m->payload);
  if (err == LK_OK && (fields & LK_BUS_HAS_SUBJECT) != 0) err = read_text(in, &m->subject);
  if (err == LK_OK && (fields & LK_BUS_HAS_PROFILES) != 0) err = read_profiles(in, &m->profiles);
  return err == LK_OK ? lk_reader_end(in) : err;
}

/* |body| is a frame behind its length. */
static lk_err decode(lk_slice body, lk_bus_message *out) {
  lk_bus_message m = { 0 };
  lk_reader in = lk_reader_of(body);
  uint8_t kind, flags;
  if (lk_reader_u8(&in, &kind) != LK_OK || lk_reader_u8(&in, &flags) != LK_OK)
    return LK_ERR_CORRUPT;
  unsigned fields = fields_of(kind);
  if (fields == 0 || (flags >> AUDIENCE_SHIFT & 3) >= LK_BUS_AUDIENCES) return LK_ERR_CORRUPT;
  m.kind = (lk_bus_kind)kind;
  m.binary = (flags & FLAG_BINARY) != 0;
  m.again = (flags & FLAG_AGAIN) != 0;
  m.audience = (lk_bus_audience)(flags >> AUDIENCE_SHIFT & 3);
  m.rights = (lk_rights)(flags >> RIGHTS_SHIFT & 3);
  m.dialect = (lk_message_dialect)(flags >> DIALECT_SHIFT);
  if (read_fields(&in, fields, &m) != LK_OK) return LK_ERR_CORRUPT;
  *out = m;
  return LK_OK;
}

void lk_bus_reader_init(lk_bus_reader *self, const lk_alloc *alloc, uint32_t frame_max) {
  *self = (lk_bus_reader){ .frame_max = frame_max };
  lk_buf_init(&self->partial, alloc, frame_max);
}

void lk_bus_reader_deinit(lk_bus_reader *self) {
  lk_buf_deinit(&self->partial);
  *self = (lk_bus_reader){ 0 };
}

/* The length of the frame that begins |bytes|, its own four bytes included. */
static lk_err frame_len(const lk_bus_reader *self, lk_slice bytes, size_t *out) {
  uint32_t len = lk_load_le32(bytes.ptr);
  if (len < HEAD_SIZE) return LK_ERR_CORRUPT;
  if (len > self->frame_max - LEN_SIZE) return LK_ERR_TOO_BIG;
  *out = (size_t)len + LEN_SIZE;
  return LK_OK;
}

/* Moves bytes to |partial| until it has |wanted|, or |in| is used up. */
static lk_err gather(lk_bus_reader *self, size_t wanted, lk_slice *in) {
  size_t n = lk_min_size(wanted - self->partial.len, in->len);
  size_t before = self->partial.len;
  lk_err err = lk_buf_append(&self->partial, lk_slice_first(*in, n));
  if (err != LK_OK) {
    lk_buf_truncate(&self->partial, before);
    return err;
  }
  *in = lk_slice_skip(*in, n);
  return self->partial.len == wanted ? LK_OK : LK_ERR_MORE;
}

static lk_err read_partial(lk_bus_reader *self, lk_slice *in, lk_bus_message *out) {
  size_t len;
  lk_err err;
  if (self->partial.len < LEN_SIZE && (err = gather(self, LEN_SIZE, in)) != LK_OK) return err;
  if ((err = frame_len(self, lk_buf_slice(&self->partial), &len)) != LK_OK) return err;
  if ((err = gather(self, len, in)) != LK_OK) return err;
  self->is_whole = true;
  return decode(lk_slice_skip(lk_buf_slice(&self->partial), LEN_SIZE), out);
}

static lk_err read_next(lk_bus_reader *self, lk_slice *in, lk_bus_message *out) {
  size_t len;
  lk_err err;
  if (self->partial.len > 0 || in->len < LEN_SIZE) return read_partial(self, in, out);
  if ((err = frame_len(self, *in, &len)) != LK_OK) return err;
  if (in->len < len) return read_partial(self, in, out);
  err = decode(lk_slice_skip(lk_slice_first(*in, len), LEN_SIZE), out);
  *in = lk_slice_skip(*in, len);
  return err;
}

/* Large frames are rare: what one of them took is given back. */
static void forget_partial(lk_bus_reader *self) {
  const lk_alloc *alloc = self->partial.alloc;
  lk_buf_deinit(&self->partial);
  lk_buf_init(&self->partial, alloc, self->frame_max);
  self->is_whole = false;
}

void lk_bus_reader_boundary(lk_bus_reader *self) {
  if (self->partial.cap > 0) forget_partial(self);
  self->is_in_step = true;
}

lk_err lk_bus_read(lk_bus_reader *self, lk_slice *in, lk_bus_message *out) {
  if (self->is_whole) forget_partial(self);
  if (!self->is_in_step) *in = LK_SLICE_EMPTY;
  if (in->len == 0) return LK_ERR_MORE;
  lk_err err = read_next(self, in, out);
  if (err != LK_OK && err != LK_ERR_MORE) {
    self->is_in_step = false;
    *in = LK_SLICE_EMPTY;
  }
  return err;
}
