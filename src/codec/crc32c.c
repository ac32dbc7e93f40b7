/* codec/crc32c.c -- eight bytes for eight look-ups, or one for one.
 *
 * A CRC is the remainder of the message, read as a polynomial over GF(2), when divided by a
 * fixed one; here 0x1EDC6F41, least significant bit first (RFC 3720, 12.1). Remainders add up by
 * xor, so the contribution of each of eight bytes can be looked up by itself:
 *
 *   table[k][b]  the remainder of byte b followed by k bytes of zero
 *   crc'         table[7][crc ^ byte 0] ^ ... ^ table[4][.. byte 3] ^ table[3][byte 4] ^ ...
 *
 * which leaves eight independent loads where the plain way waits for each one. The price is
 * 8 KiB of tables. In WebAssembly, where the tables would be downloaded, only the first one is
 * built in. tools/gen_crc32c.mjs makes the tables; the tests compute them bit by bit.
 *
 * Not chosen: the processors' own instruction, several times faster still: it must be asked for
 * at run time, which is the platform's business and not the core's. */
#include "codec/crc32c.h"

#if defined(__wasm__)
#define SLICES 1
#else
#define SLICES 8
#endif

static const uint32_t table[SLICES][256] = {
#include "codec/crc32c.gen.h"
};

#if SLICES == 8
static uint32_t update_8(uint32_t crc, const uint8_t *at) {
  uint32_t low = lk_load_le32(at) ^ crc, high = lk_load_le32(at + 4);
  return table[7][low & 0xFF] ^ table[6][low >> 8 & 0xFF] ^ table[5][low >> 16 & 0xFF] ^
         table[4][low >> 24] ^ table[3][high & 0xFF] ^ table[2][high >> 8 & 0xFF] ^
         table[1][high >> 16 & 0xFF] ^ table[0][high >> 24];
}
#endif

uint32_t lk_crc32c_update(uint32_t crc, lk_slice bytes) {
  size_t at = 0;
  crc = ~crc;
#if SLICES == 8
  for (; bytes.len - at >= 8; at += 8) crc = update_8(crc, bytes.ptr + at);
#endif
  for (; at < bytes.len; at++) crc = table[0][(crc ^ bytes.ptr[at]) & 0xFF] ^ crc >> 8;
  return ~crc;
}
