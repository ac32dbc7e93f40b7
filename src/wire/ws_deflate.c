/* wire/ws_deflate.c -- from packed payload to message and back, with a bomb in mind.
 *
 *   sending     message ──deflate──> blocks ... 00 00 FF FF     the last four bytes are cut off,
 *   receiving   payload || 00 00 FF FF ──inflate──> message     and put back
 *
 * A message is a row of DEFLATE blocks that ends on a byte. Where context takeover is agreed on,
 * the window stays and a message may refer to those before it; else each stands alone. A block may
 * call itself the last one of its stream (§7.2.3.4); the next one then begins a stream that goes on
 * with the window. A payload that ends right behind such a block gets no four bytes: there is
 * nothing that they would finish. One that ends within a block is not found out: what the four
 * bytes make of it is the message, as with every peer that follows the RFC to the letter.
 *
 * What a message may become is checked against two maxima, and the provider never makes more:
 *
 *   allowed  ^            ........... bytes_max
 *            |          /
 *            |        /   100 for each byte that came
 *   64 KiB   |-------
 *            +--------------------------> bytes that came
 *
 * The slope has steps of LK_WS_DEFLATE_STEP_BYTES, and no piece is inflated across one. So whether
 * a message is refused depends on its bytes alone and not on how the network cut them.
 *
 * Sending never fails. A message that does not get shorter, or finds no memory, goes out as it is,
 * which the RFC allows for each one. Then the compressor is reset: its window holds what the peer has
 * not seen. A compressor that begins afresh needs no word to the peer, as it refers to less. For
 * the same reason it can be given back after each message where its window is not to be kept.
 *
 * A window of 8 bits is not made by zlib. We never agree on one for what we send; a peer's is read
 * with one of 9 bits.
 *
 * Not chosen: a compressor shared by all connections without takeover. It would save making one for
 * each message, and tie connections together that know nothing of each other. */
#include "wire/ws_deflate.h"

#define TAIL LK_LIT("\x00\x00\xFF\xFF")
enum { TAIL_LEN = 4, BITS_DEFAULT = 15 };

/* What 0 stands for in an answer. */
static uint8_t bits_of(uint8_t said) { return said == 0 ? BITS_DEFAULT : said; }

lk_err lk_ws_deflate_open(const lk_alloc *alloc, const lk_ws_deflate_policy *policy,
                          const lk_ws_deflate_params *params, bool is_server, lk_ws_deflate **out) {
  bool server_takeover = !params->server_no_takeover, client_takeover = !params->client_no_takeover;
  uint8_t server_bits = bits_of(params->server_bits), client_bits = bits_of(params->client_bits);
  lk_ws_deflate *self = lk_alloc_bytes(alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  uint8_t send_bits = is_server ? server_bits : client_bits;
  *self = (lk_ws_deflate){
    .alloc = alloc,
    .policy = policy,
    .send_bits = send_bits < policy->window_bits_max ? send_bits : policy->window_bits_max,
    .receive_bits = is_server ? client_bits : server_bits,
    .send_takeover = policy->send_takeover && (is_server ? server_takeover : client_takeover),
    .receive_takeover = is_server ? client_takeover : server_takeover,
  };
  if (self->receive_bits < LK_DEFLATE_WINDOW_BITS_MIN)
    self->receive_bits = LK_DEFLATE_WINDOW_BITS_MIN;
  *out = self;
  return LK_OK;
}

static void close_inflate(lk_ws_deflate *self) {
  self->policy->provider->inflate_close(self->inflate);
  self->inflate = NULL;
  self->ended = false;
}

static void close_deflate(lk_ws_deflate *self) {
  self->policy->provider->deflate_close(self->deflate);
  self->deflate = NULL;
}

void lk_ws_deflate_close(lk_ws_deflate *self) {
  if (self == NULL) return;
  close_inflate(self);
  close_deflate(self);
  lk_free_bytes(self->alloc, self, sizeof *self);
}

void lk_ws_deflate_rest(lk_ws_deflate *self) {
  if (!self->receive_takeover) close_inflate(self);
}

/* ---- receiving ---- */

lk_err lk_ws_deflate_begin(lk_ws_deflate *self) {
  const lk_deflate_provider *provider = self->policy->provider;
  LK_ASSERT(!self->receiving);
  if (self->inflate == NULL) {
    lk_err err = provider->inflate_open(self->alloc, LK_DEFLATE_RAW, self->receive_bits,
                                        &self->inflate);
    if (err != LK_OK) return LK_ERR_NOMEM; /* the bits are right: there is no other reason */
  } else if (!self->receive_takeover) {
    provider->inflate_reset(self->inflate);
    self->ended = false;
  }
  self->receiving = true;
  return LK_OK;
}

/* Packing may make a message a little longer: zlib adds five bytes to each 16 KB that it cannot
 * make shorter. A peer that flushes all the time may need more, and is refused. */
uint64_t lk_ws_deflate_room(const lk_ws_deflate *self, size_t bytes_max) {
  uint64_t most = (uint64_t)bytes_max + bytes_max / 64 + 1024;
  return most - lk_min_u64(most, self->taken);
}

static size_t allowed(const lk_ws_deflate *self, size_t bytes_max) {
  uint64_t steps = (self->taken + LK_WS_DEFLATE_STEP_BYTES - 1) / LK_WS_DEFLATE_STEP_BYTES;
  uint64_t most = steps * LK_WS_DEFLATE_STEP_BYTES * LK_WS_DEFLATE_RATIO_MAX;
  if (most < LK_WS_DEFLATE_FREE_BYTES) most = LK_WS_DEFLATE_FREE_BYTES;
  return most < bytes_max ? (size_t)most : bytes_max;
}

static lk_err inflate(lk_ws_deflate *self, lk_slice in, size_t bytes_max, lk_buf *out) {
  const lk_deflate_provider *provider = self->policy->provider;
  size_t max = allowed(self, bytes_max);
  lk_err err = LK_OK;
  while (in.len > 0 && err == LK_OK) {
    if (self->ended) {
      LK_COVERED(ws_deflate_went_on_behind_a_last_block);
      provider->inflate_continue(self->inflate);
      self->ended = false;
    }
    LK_ASSERT(out->len <= max);
    err = provider->inflate_feed(self->inflate, &in, max - out->len, out, &self->ended);
  }
  return err;
}

lk_err lk_ws_deflate_feed(lk_ws_deflate *self, lk_slice piece, size_t bytes_max, lk_buf *out) {
  lk_err err = LK_OK;
  LK_ASSERT(self->receiving);
  while (piece.len > 0 && err == LK_OK) {
    size_t to_step = LK_WS_DEFLATE_STEP_BYTES - (size_t)(self->taken % LK_WS_DEFLATE_STEP_BYTES);
    lk_slice part = lk_slice_first(piece, to_step);
    piece = lk_slice_skip(piece, part.len);
    self->taken += part.len;
    err = inflate(self, part, bytes_max, out);
  }
  return err;
}

lk_err lk_ws_deflate_end(lk_ws_deflate *self, size_t bytes_max, lk_buf *out) {
  LK_ASSERT(self->receiving);
  lk_err err = self->ended ? LK_OK : inflate(self, TAIL, bytes_max, out);
  self->receiving = false;
  self->taken = 0;
  return err;
}

/* ---- sending ---- */

void lk_ws_deflate_unpack(lk_ws_deflate *self) {
  if (self->deflate != NULL) self->policy->provider->deflate_reset(self->deflate);
}

static bool open_deflate(lk_ws_deflate *self) {
  lk_deflate_options options = { .format = LK_DEFLATE_RAW,
                                 .window_bits = self->send_bits,
                                 .level = self->policy->level,
                                 .memory = self->policy->memory };
  if (self->deflate != NULL) return true;
  return self->policy->provider->deflate_open(self->alloc, &options, &self->deflate) == LK_OK;
}

bool lk_ws_deflate_pack(lk_ws_deflate *self, lk_slice payload, lk_buf *out) {
  LK_ASSERT(out->len == 0);
  if (payload.len < self->policy->packed_bytes_min || payload.len == 0) return false;
  if (!open_deflate(self)) return false;
  /* So that the provider gives up as soon as the message is no longer shorter. */
  out->max = lk_min_size(out->max, payload.len + TAIL_LEN - 1);
  lk_err err = self->policy->provider->deflate_feed(self->deflate, payload, LK_DEFLATE_SYNC, out);
  bool packed = err == LK_OK && lk_slice_ends_with(lk_buf_slice(out), TAIL);
  lk_buf_truncate(out, packed ? out->len - TAIL_LEN : 0);
  if (!self->send_takeover) close_deflate(self);
  else if (!packed) lk_ws_deflate_unpack(self);
  return packed;
}
