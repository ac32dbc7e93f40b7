/* Compressed bytes from strangers, cut at a place of their choice. */
#include "harness/test.h"
#include "platform/providers/deflate_zlib.h"

#define CAP 65536

static void inflate_hostile(lk_gen *g, lk_deflate_format format) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("\xF2\x48\xCD\xC9\xC9\x07\x00\x00\x00\xFF\xFF"),
    LK_LIT_INIT("\x78\x9C\x4B\x4C\x4A\x4E\x44\x20\x00\x11\x2D\x03\x6F"),
    LK_LIT_INIT("\x1F\x8B\x08\x00\x00\x00\x00\x00\x00\x03\x4B\x4C\x4A\x06\x00\xC2\x41\x24\x35\x03"
                "\x00\x00\x00"),
  };
  const lk_deflate_provider *zlib = lk_deflate_zlib();
  uint8_t scratch[256];
  size_t cut = gen_below(g, 64), max = gen_below(g, CAP);
  lk_slice all = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  lk_slice head = lk_slice_first(all, cut), rest = lk_slice_skip(all, head.len);
  lk_inflate_stream *s = NULL;
  lk_buf out;
  bool ended = false;
  lk_buf_init(&out, test_alloc(), 2 * CAP);
  CHECK_OK(zlib->inflate_open(test_alloc(), format, 15, &s));
  lk_err err = zlib->inflate_feed(s, &head, max, &out, &ended);
  size_t made = out.len;
  CHECK(made <= max);
  if (err == LK_OK && !ended) {
    CHECK_U64(head.len, 0);
    err = zlib->inflate_feed(s, &rest, max, &out, &ended);
    CHECK(out.len - made <= max);
  }
  zlib->inflate_close(s);
  lk_buf_deinit(&out);
}

FUZZ(deflate_zlib_inflate_raw) { inflate_hostile(g, LK_DEFLATE_RAW); }
FUZZ(deflate_zlib_inflate_zlib) { inflate_hostile(g, LK_DEFLATE_ZLIB); }
FUZZ(deflate_zlib_inflate_gzip) { inflate_hostile(g, LK_DEFLATE_GZIP); }
