/* platform/providers/deflate_zlib.c -- zlib with an allocator, a cap and a memory of errors.
 *
 * zlib frees without saying a size, so each of its blocks is preceded by a header that remembers
 * it. zlib counts in 32 bits, so long input is handed over in parts.
 *
 * Output is made in steps of at most STEP_LEN bytes of fresh room at the end of the caller's
 * buffer, so that a small message costs a small allocation. Two maxima bound it: the buffer's,
 * and for inflate the call's. Room is at most what they leave. Where they leave nothing, zlib is
 * offered one byte of our own: when that fills, there is more than allowed, and the call fails.
 * That is needed since a stream that ends exactly at the cap may still have to read its last
 * block's end, which makes no output. What inflate made before an error stays: it is the same
 * wherever the input was cut, so that a reader who judges the text finds the same first fault.
 *
 * A stream fails for good: what its window holds after an error is nobody's business. */
#include "platform/providers/deflate_zlib.h"

#include <stdalign.h>
#include <stddef.h>
#include <zlib.h>

#define STEP_LEN 4096u
#define PART_LEN ((size_t)1 << 30)

typedef struct block {
  size_t size; /* with this header */
  alignas(max_align_t) uint8_t bytes[];
} block;

static void *zlib_alloc(void *ctx, unsigned count, unsigned item_size) {
  const lk_alloc *alloc = ctx;
  size_t size;
  if (!lk_mul_size(count, item_size, &size) || !lk_add_size(size, sizeof(block), &size))
    return NULL;
  block *made = lk_alloc_bytes(alloc, size);
  if (made == NULL) return NULL;
  made->size = size;
  return made->bytes;
}

static void zlib_free(void *ctx, void *ptr) {
  if (ptr == NULL) return;
  block *made = (block *)(void *)((uint8_t *)ptr - offsetof(block, bytes));
  lk_free_bytes(ctx, made, made->size);
}

static lk_err err_of(int code) {
  switch (code) {
  case Z_OK:
  case Z_STREAM_END: return LK_OK;
  case Z_MEM_ERROR: return LK_ERR_NOMEM;
  case Z_STREAM_ERROR: return LK_ERR_RANGE;
  default: return LK_ERR_CORRUPT;
  }
}

static z_stream stream_of(const lk_alloc *alloc) {
  return (z_stream){ .zalloc = zlib_alloc, .zfree = zlib_free, .opaque = (void *)(uintptr_t)alloc };
}

static bool window_is_valid(unsigned bits) {
  return bits >= LK_DEFLATE_WINDOW_BITS_MIN && bits <= LK_DEFLATE_WINDOW_BITS_MAX;
}

/* zlib packs the format into the sign and the sixteens of the window's bits. */
static int zlib_bits(lk_deflate_format format, unsigned bits) {
  if (format == LK_DEFLATE_RAW) return -(int)bits;
  return (int)bits + (format == LK_DEFLATE_GZIP ? 16 : 0);
}

static void give_input(z_stream *z, lk_slice in) {
  z->next_in = (Bytef *)(uintptr_t)in.ptr;
  z->avail_in = (uInt)in.len;
}

/* How much of |wanted| the buffer's maximum still allows. */
static size_t room_in(const lk_buf *out, size_t wanted) {
  return lk_min_size(wanted, out->max - out->len);
}

/* ---- deflate ---- */

struct lk_deflate_stream {
  const lk_alloc *alloc;
  z_stream z;
  lk_err err;
  bool finished;
};

static lk_err deflate_open(const lk_alloc *alloc, const lk_deflate_options *options,
                           lk_deflate_stream **out) {
  if (!window_is_valid(options->window_bits) || options->level > LK_DEFLATE_LEVEL_MAX ||
      options->memory < 1 || options->memory > 9) {
    return LK_ERR_RANGE;
  }
  lk_deflate_stream *self = lk_alloc_bytes(alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_deflate_stream){ .alloc = alloc, .z = stream_of(alloc) };
  int code = deflateInit2(&self->z, options->level, Z_DEFLATED,
                          zlib_bits(options->format, options->window_bits), options->memory,
                          Z_DEFAULT_STRATEGY);
  if (code != Z_OK) {
    lk_free_bytes(alloc, self, sizeof *self);
    return err_of(code);
  }
  *out = self;
  return LK_OK;
}

static void deflate_reset(lk_deflate_stream *self) {
  (void)deflateReset(&self->z);
  self->err = LK_OK;
  self->finished = false;
}

static void deflate_close(lk_deflate_stream *self) {
  if (self == NULL) return;
  (void)deflateEnd(&self->z);
  lk_free_bytes(self->alloc, self, sizeof *self);
}

static void deflate_into(z_stream *z, int flush, uint8_t *room, size_t len) {
  z->next_out = room;
  z->avail_out = (uInt)len;
  int code = deflate(z, flush);
  LK_ASSERT(code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR);
}

/* Runs zlib until it has taken its input and has room left, which means that nothing waits. Where
 * a flush fills its room to the last byte, zlib cannot tell, and the next run adds one more empty
 * block: five bytes that change nothing. */
static lk_err deflate_part(z_stream *z, int flush, lk_buf *out) {
  do {
    uint8_t excess;
    size_t room_len = room_in(out, STEP_LEN);
    if (room_len > 0) {
      uint8_t *room = lk_buf_extend(out, room_len);
      if (room == NULL) return lk_buf_err(out);
      deflate_into(z, flush, room, room_len);
      lk_buf_truncate(out, out->len - z->avail_out);
    } else {
      deflate_into(z, flush, &excess, 1);
      if (z->avail_out == 0) return LK_ERR_LIMIT;
    }
  } while (z->avail_out == 0);
  return LK_OK;
}

static lk_err deflate_all(z_stream *z, lk_slice in, int flush, lk_buf *out) {
  lk_err err;
  do {
    lk_slice part = lk_slice_first(in, PART_LEN);
    in = lk_slice_skip(in, part.len);
    give_input(z, part);
    if ((err = deflate_part(z, in.len > 0 ? Z_NO_FLUSH : flush, out)) != LK_OK) return err;
  } while (in.len > 0);
  return LK_OK;
}

static lk_err deflate_feed(lk_deflate_stream *self, lk_slice in, lk_deflate_flush flush,
                           lk_buf *out) {
  static const int flushes[] = { Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH };
  size_t before = out->len;
  if (self->err != LK_OK) return self->err;
  if (self->finished) return LK_ERR_STATE;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  self->err = deflate_all(&self->z, in, flushes[flush], out);
  self->finished = flush == LK_DEFLATE_FINISH;
  if (self->err != LK_OK) lk_buf_truncate(out, before);
  return self->err;
}

/* ---- inflate ---- */

struct lk_inflate_stream {
  const lk_alloc *alloc;
  z_stream z;
  lk_err err;
  bool ended;
};

static lk_err inflate_open(const lk_alloc *alloc, lk_deflate_format format, uint8_t window_bits,
                           lk_inflate_stream **out) {
  if (!window_is_valid(window_bits)) return LK_ERR_RANGE;
  lk_inflate_stream *self = lk_alloc_bytes(alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_inflate_stream){ .alloc = alloc, .z = stream_of(alloc) };
  int code = inflateInit2(&self->z, zlib_bits(format, window_bits));
  if (code != Z_OK) {
    lk_free_bytes(alloc, self, sizeof *self);
    return err_of(code);
  }
  *out = self;
  return LK_OK;
}

static void inflate_reset(lk_inflate_stream *self) {
  (void)inflateReset(&self->z);
  self->err = LK_OK;
  self->ended = false;
}

/* zlib's reset forgets the window; its Keep does not. */
static void inflate_continue(lk_inflate_stream *self) {
  LK_ASSERT(self->ended && self->err == LK_OK);
  (void)inflateResetKeep(&self->z);
  self->ended = false;
}

static void inflate_close(lk_inflate_stream *self) {
  if (self == NULL) return;
  (void)inflateEnd(&self->z);
  lk_free_bytes(self->alloc, self, sizeof *self);
}

/* zlib names its errors by text only; the sums at the end are the ones that mean damage. */
static lk_err inflate_err(const z_stream *z, int code) {
  if (code != Z_DATA_ERROR || z->msg == NULL) return err_of(code);
  bool sum = lk_slice_equal(lk_slice_cstr(z->msg), LK_LIT("incorrect data check")) ||
             lk_slice_equal(lk_slice_cstr(z->msg), LK_LIT("incorrect length check"));
  return sum ? LK_ERR_CHECKSUM : LK_ERR_CORRUPT;
}

/* One run of zlib into |room|. Z_BUF_ERROR only says that it could do nothing. */
static lk_err inflate_into(z_stream *z, uint8_t *room, size_t len, bool *ended) {
  z->next_out = room;
  z->avail_out = (uInt)len;
  int code = inflate(z, Z_NO_FLUSH);
  *ended = code == Z_STREAM_END;
  if (code == Z_BUF_ERROR) return LK_OK;
  return code == Z_NEED_DICT ? LK_ERR_CORRUPT : inflate_err(z, code);
}

/* Runs zlib until it needs more input or has ended. |*made| counts towards |max|. */
static lk_err inflate_part(z_stream *z, size_t max, size_t *made, lk_buf *out, bool *ended) {
  do {
    lk_err err;
    uint8_t excess;
    size_t room_len = room_in(out, lk_min_size(STEP_LEN, max - *made));
    if (room_len > 0) {
      uint8_t *room = lk_buf_extend(out, room_len);
      if (room == NULL) return lk_buf_err(out);
      err = inflate_into(z, room, room_len, ended);
      lk_buf_truncate(out, out->len - z->avail_out);
      *made += room_len - z->avail_out;
    } else {
      err = inflate_into(z, &excess, 1, ended);
      if (z->avail_out == 0) return *made == max ? LK_ERR_TOO_BIG : LK_ERR_LIMIT;
    }
    if (err != LK_OK) return err;
  } while (!*ended && z->avail_out == 0);
  return LK_OK;
}

static lk_err inflate_all(lk_inflate_stream *self, lk_slice *in, size_t max, lk_buf *out) {
  size_t made = 0;
  lk_err err;
  do {
    lk_slice part = lk_slice_first(*in, PART_LEN);
    give_input(&self->z, part);
    if ((err = inflate_part(&self->z, max, &made, out, &self->ended)) != LK_OK) return err;
    *in = lk_slice_skip(*in, part.len - self->z.avail_in);
  } while (in->len > 0 && !self->ended);
  return LK_OK;
}

static lk_err inflate_feed(lk_inflate_stream *self, lk_slice *in, size_t max, lk_buf *out,
                           bool *ended) {
  lk_slice rest = *in;
  if (self->err != LK_OK) return self->err;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  if (!self->ended) self->err = inflate_all(self, &rest, max, out);
  if (self->err != LK_OK) {
    lk_buf_truncate(out, out->len); /* clears what the buffer remembers of it */
    return self->err;
  }
  *in = rest;
  *ended = self->ended;
  return LK_OK;
}

const lk_deflate_provider *lk_deflate_zlib(void) {
  static const lk_deflate_provider provider = {
    .deflate_open = deflate_open,
    .deflate_feed = deflate_feed,
    .deflate_reset = deflate_reset,
    .deflate_close = deflate_close,
    .inflate_open = inflate_open,
    .inflate_feed = inflate_feed,
    .inflate_reset = inflate_reset,
    .inflate_continue = inflate_continue,
    .inflate_close = inflate_close,
  };
  return &provider;
}
