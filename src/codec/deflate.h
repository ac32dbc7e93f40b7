/* codec/deflate.h -- compressing and decompressing, by whoever the embedder brings.
 *
 * The core has no compressor of its own: it is given a table of functions. On the native
 * platform that is zlib's (platform/providers/deflate_zlib.h); where there is none, the table's
 * pointer is NULL and nothing is offered to peers.
 *
 * A stream remembers its window between calls, so input may be cut anywhere: the output is the
 * same. Streams allocate through the allocator that was passed to open, which must outlive them.
 *
 * Decompressing strangers' bytes is where a kilobyte turns into a gigabyte. So each call says
 * how much it will take at most, and what would be more is refused before it is made. */
#ifndef LK_CODEC_DEFLATE_H
#define LK_CODEC_DEFLATE_H

#include "base/buf.h"

typedef enum lk_deflate_format {
  LK_DEFLATE_RAW,  /* RFC 1951, as in WebSocket's permessage-deflate */
  LK_DEFLATE_ZLIB, /* RFC 1950 */
  LK_DEFLATE_GZIP, /* RFC 1952 */
} lk_deflate_format;

#define LK_DEFLATE_WINDOW_BITS_MIN 9
#define LK_DEFLATE_WINDOW_BITS_MAX 15
#define LK_DEFLATE_LEVEL_MAX 9

typedef struct lk_deflate_options {
  lk_deflate_format format;
  uint8_t window_bits; /* 9 to 15: the window is 2^window_bits bytes */
  uint8_t level;       /* 0 (store) to 9 (smallest) */
  uint8_t memory;      /* 1 (least) to 9 (fastest) */
} lk_deflate_options;

#define LK_DEFLATE_OPTIONS_INIT                                                                    \
  { LK_DEFLATE_RAW, LK_DEFLATE_WINDOW_BITS_MAX, 6, 8 }

typedef enum lk_deflate_flush {
  LK_DEFLATE_MORE,   /* more input follows; output may wait inside */
  LK_DEFLATE_SYNC,   /* all output comes out, ending in 00 00 FF FF */
  LK_DEFLATE_FINISH, /* the stream ends; only reset or close may follow */
} lk_deflate_flush;

typedef struct lk_deflate_stream lk_deflate_stream; /* the provider's */
typedef struct lk_inflate_stream lk_inflate_stream;

typedef struct lk_deflate_provider {
  /* LK_ERR_RANGE for options outside of what is said above, LK_ERR_NOMEM. */
  lk_err (*deflate_open)(const lk_alloc *alloc, const lk_deflate_options *options,
                         lk_deflate_stream **out);
  /* Takes all of |in| and appends to |out|. LK_ERR_STATE behind a FINISH. Where |out| fails
   * (NOMEM; LIMIT, also where the output would just fill it), |out| is as before but the stream
   * is lost: it stays failed until reset. */
  lk_err (*deflate_feed)(lk_deflate_stream *self, lk_slice in, lk_deflate_flush flush, lk_buf *out);
  /* As after open, with the memory kept. */
  void (*deflate_reset)(lk_deflate_stream *self);
  /* NULL is allowed, for both closes. */
  void (*deflate_close)(lk_deflate_stream *self);

  /* |window_bits| is at least what the other side used. Errors as for deflate_open. */
  lk_err (*inflate_open)(const lk_alloc *alloc, lk_deflate_format format, uint8_t window_bits,
                         lk_inflate_stream **out);
  /* Takes from |in|, which moves on, and appends at most |max| bytes to |out|. |*ended| is true
   * once the compressed stream is complete: |in| is then what stands behind it. Otherwise all of
   * |in| was taken. LK_ERR_TOO_BIG where there would be more than |max|; LK_ERR_CORRUPT;
   * LK_ERR_CHECKSUM for zlib's and gzip's sums; NOMEM and LIMIT. After an error |in| is as before,
   * |out| ends with what was made before it, wherever the input was cut, and the stream stays
   * failed with it until reset. */
  lk_err (*inflate_feed)(lk_inflate_stream *self, lk_slice *in, size_t max, lk_buf *out,
                         bool *ended);
  void (*inflate_reset)(lk_inflate_stream *self);
  /* Begins the next compressed stream behind one that has ended: as reset, but the new one may refer
   * to what the old one's window holds. RAW only. */
  void (*inflate_continue)(lk_inflate_stream *self);
  void (*inflate_close)(lk_inflate_stream *self);
} lk_deflate_provider;

#endif
