/* codec/lib0.h -- lib0's strings, byte arrays and fixed-width numbers.
 *
 *   varString      := byteLength:varuint utf8       varUint8Array := length:varuint bytes
 *   float32/64, bigInt64, bigUint64: big endian
 *
 * Integers of variable length are in codec/varint.h, values of any type in codec/any.h, the
 * columns of Yjs' second update format in codec/column.h.
 *
 * Decoders move |in| only where they succeed, and write |out| only then. What they hand out is
 * borrowed from the input. Common errors: LK_ERR_TRUNCATED, and those of lk_varuint_decode() for
 * a length. No length is limited beyond what is left of the input, since nothing is allocated. */
#ifndef LK_CODEC_LIB0_H
#define LK_CODEC_LIB0_H

#include "base/buf.h"
#include "codec/reader.h"

/* LK_ERR_UTF8 where the text is not valid, which lib0 refuses as well. A byte order mark is
 * text like any other. */
lk_err lk_lib0_string_decode(lk_reader *in, lk_slice *out) LK_MUST_USE;
lk_err lk_lib0_bytes_decode(lk_reader *in, lk_slice *out) LK_MUST_USE;
lk_err lk_lib0_f32_decode(lk_reader *in, float *out) LK_MUST_USE;
lk_err lk_lib0_f64_decode(lk_reader *in, double *out) LK_MUST_USE;
lk_err lk_lib0_i64_decode(lk_reader *in, int64_t *out) LK_MUST_USE;
lk_err lk_lib0_u64_decode(lk_reader *in, uint64_t *out) LK_MUST_USE;

/* Encoders append to |out|; errors are the buffer's and it remembers them. For
 * lk_lib0_string_encode() |text| must be valid UTF-8. A NaN is written as JavaScript writes it. */
lk_err lk_lib0_string_encode(lk_buf *out, lk_slice text);
lk_err lk_lib0_bytes_encode(lk_buf *out, lk_slice bytes);
lk_err lk_lib0_f32_encode(lk_buf *out, float value);
lk_err lk_lib0_f64_encode(lk_buf *out, double value);
lk_err lk_lib0_i64_encode(lk_buf *out, int64_t value);
lk_err lk_lib0_u64_encode(lk_buf *out, uint64_t value);

#endif
