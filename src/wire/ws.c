/* wire/ws.c -- frames become messages, one byte or one megabyte at a time.
 *
 *    0               1               2 or 10                     payload
 *   +-+---+--------+-+-------------+---------------+-----------+---------...
 *   |F|RSV| opcode |M| length 7    | length 16/64  | key 32    | bytes XOR key
 *   +-+---+--------+-+-------------+---------------+-----------+---------...
 *                                    if 126 / 127    if M
 *
 * Reading alternates between two steps. step_header() takes one byte at a time and judges each
 * field in the moment that it is complete, so that a bad frame is refused at its first bad byte
 * and a length is refused before its key has come. step_payload() copies what there is to its
 * place, unmasking eight bytes at a time; text passes a validator in the same stride, which is
 * why invalid UTF-8 is found at its byte and not at the end of a message.
 *
 *   OPEN --our Close--> CLOSING --peer's Close, time-out--> CLOSED
 *     \---peer's Close (echoed), error (Close queued), time-out, lost------^
 *
 * Data frames go to |message|, where fragments grow together; control frames, which may stand
 * between fragments, go to |control|. Fragments are not counted, since they leave nothing behind
 * but their bytes, and those are capped; only empty ones are, as they would otherwise never end.
 *
 * A packed message (wire/ws_deflate.h) is unmasked in small pieces on the stack, and what comes out
 * of each goes to |message| and past the same validator: limits and UTF-8 are judged on what the
 * message becomes, as it becomes it. RSV1 on its first frame says that it is one.
 *
 * The output is one buffer with a consumed part in front. It is moved down only when the consumed
 * part is the greater one, so each byte moves at most once on average. Beyond ws_output_bytes
 * there is a fixed reserve for control frames: a Close can always be queued, and pongs may take
 * LK_WS_PONG_BYTES_MAX until they are sent; further pings overwrite one waiting pong.
 *
 *   output  | consumed ... | pending: data <= ws_output_bytes, pongs <= 1024, Close <= 131 |
 *
 * A message that is longer than that by itself, such as a large document that somebody joins, is not what a slow reader
 * is known by: it is queued where at most half of ws_output_bytes waits.
 *
 * Where the options allow longer messages than ws_message_bytes, those go the same way through a small piece of stack: the
 * validator sees all of them, |message| their beginning. That a message is long may be known from its first header or
 * only when a later fragment is announced; what it had before is cut then. Nothing of it is kept that would not be for a
 * message of LK_WS_BEGINNING_BYTES, so that whoever speaks a protocol above can say what it refuses.
 *
 * Always: message.len <= ws_message_bytes, and together with frame_left where it is not packed;
 * pending <= ws_output_bytes + reserve, or half of that and one message of ws_send_bytes; consumed < pending after each
 * growth, so the buffer is at most twice that.
 *
 * Not chosen: unmasking in the host's read buffer, which saves a copy but makes every caller's
 * input writable; handing out fragments as they come, since every protocol above needs whole
 * messages; a queue of frames, which costs an allocation each where one buffer costs none. */
#include "wire/ws.h"

#include "crypto/crypto.h"

enum {
  OP_CONTINUE = 0x0,
  OP_TEXT = 0x1,
  OP_BINARY = 0x2,
  OP_CLOSE = 0x8,
  OP_PING = 0x9,
  OP_PONG = 0xA,
  RSV1 = 0x40, /* beside an opcode: the message is packed */
  RSV_OTHERS = 0x30,
  UNMASK_BYTES = 1024,
  CONTROL_FRAME_MAX = 2 + 4 + LK_WS_CONTROL_MAX,
  CONTROL_BLOCK = 2 * LK_WS_CONTROL_MAX,
  LARGE_OUTPUT = 65536, /* of somebody who does not read, and there may be many */
  OUTPUT_RESERVE = LK_WS_PONG_BYTES_MAX + CONTROL_FRAME_MAX
};

static size_t output_max(const lk_limits *limits) {
  size_t most = lk_max_size(limits->ws_output_bytes,
                            (size_t)limits->ws_output_bytes / 2 + limits->ws_send_bytes);
  return 2 * (most + OUTPUT_RESERVE);
}

void lk_ws_init(lk_ws *self, const lk_alloc *alloc, const lk_limits *limits,
                const lk_ws_options *options, uint64_t now_ms) {
  LK_ASSERT((options->role == LK_WS_CLIENT) == (options->mask != NULL));
  *self = (lk_ws){ .limits = limits, .options = *options, .since_ms = now_ms };
  lk_buf_init(&self->message, alloc, limits->ws_message_bytes);
  lk_buf_init(&self->output, alloc, output_max(limits));
}

static void free_control(lk_ws *self) {
  if (self->control != NULL) lk_free_bytes(self->message.alloc, self->control, CONTROL_BLOCK);
  self->control = NULL;
}

static void close_deflate(lk_ws *self) {
  lk_ws_deflate_close(self->options.deflate);
  self->options.deflate = NULL;
}

void lk_ws_deinit(lk_ws *self) {
  free_control(self);
  close_deflate(self);
  lk_buf_deinit(&self->message);
  lk_buf_deinit(&self->output);
  *self = (lk_ws){ .state = LK_WS_CLOSED, .err = LK_ERR_CLOSED };
}

static void empty_buf(lk_buf *buf) {
  const lk_alloc *alloc = buf->alloc;
  size_t max = buf->max;
  lk_buf_deinit(buf);
  lk_buf_init(buf, alloc, max);
}

/* ---- masking ---- */

/* XORs |from| to |to|, which may be the same place; |phase| is how many bytes of the payload came
 * before. Eight bytes at a time: the key repeats every four, so a word of it may be made once. */
static void mask_copy(uint8_t *to, const uint8_t *from, size_t len, const uint8_t key[4],
                      uint64_t phase) {
  uint8_t turned[8];
  uint64_t mask, word;
  size_t at = 0;
  for (size_t i = 0; i < 8; i++) turned[i] = key[(phase + i) & 3];
  memcpy(&mask, turned, 8);
  for (; len - at >= 8; at += 8) {
    memcpy(&word, from + at, 8);
    word ^= mask;
    memcpy(to + at, &word, 8);
  }
  for (; at < len; at++) to[at] = (uint8_t)(from[at] ^ turned[at & 7]);
}

/* The next masking key: a hash of the seed and a counter, which nobody can foretell who does not
 * know the seed. */
static void draw_key(lk_ws *self, uint8_t key[4]) {
  uint8_t text[LK_WS_MASK_SEED_LEN + 8], digest[LK_SHA256_LEN];
  lk_ws_mask *mask = self->options.mask;
  memcpy(text, mask->seed, LK_WS_MASK_SEED_LEN);
  lk_store_le64(text + LK_WS_MASK_SEED_LEN, mask->count++);
  lk_err err = lk_crypto_sha256(lk_crypto_portable(), lk_slice_of(text, sizeof text), digest);
  LK_ASSERT(err == LK_OK); /* the portable provider always has SHA-256 */
  memcpy(key, digest, 4);
}

/* ---- output ---- */

static size_t pending(const lk_ws *self) { return self->output.len - self->output_off; }

lk_slice lk_ws_output(const lk_ws *self) {
  return lk_slice_skip(lk_buf_slice(&self->output), self->output_off);
}

static bool is_long_alone(const lk_ws *self, size_t more) {
  size_t most = self->limits->ws_output_bytes;
  return more > most && more <= self->limits->ws_send_bytes && pending(self) <= most / 2;
}

/* What was consumed makes room: at once where little is left to move, and before the buffer grows where each byte that it
 * gives moves eight at most. */
static bool is_worth_moving(const lk_ws *self, size_t more) {
  size_t left = pending(self);
  bool must_grow = more > self->output.cap - self->output.len;
  return self->output_off >= left || (must_grow && self->output_off >= left / 8);
}

/* Room for |more| bytes so that at most ws_output_bytes + |reserve| are pending. */
static lk_err reserve_output(lk_ws *self, size_t more, size_t reserve) {
  size_t total, len;
  if (!lk_add_size(pending(self), more, &total)) return LK_ERR_LIMIT;
  if (total > (size_t)self->limits->ws_output_bytes + reserve && !is_long_alone(self, more))
    return LK_ERR_LIMIT;
  if (is_worth_moving(self, more)) {
    lk_buf_consume(&self->output, self->output_off);
    self->output_off = 0;
  }
  len = self->output.len;
  lk_err err = pending(self) < LARGE_OUTPUT ? lk_buf_reserve(&self->output, more)
                                            : lk_buf_reserve_tight(&self->output, more);
  if (err != LK_OK) lk_buf_truncate(&self->output, len);
  return err;
}

/* A frame's header without its key; returns its length. */
static size_t write_header(uint8_t *out, uint8_t opcode, size_t len, bool masked) {
  uint8_t mask_bit = masked ? 0x80 : 0;
  out[0] = (uint8_t)(0x80 | opcode);
  if (len <= 125) {
    out[1] = (uint8_t)(mask_bit | len);
    return 2;
  }
  if (len <= UINT16_MAX) {
    out[1] = mask_bit | 126;
    lk_store_be16(out + 2, (uint16_t)len);
    return 4;
  }
  out[1] = mask_bit | 127;
  lk_store_be64(out + 2, len);
  return 10;
}

static lk_err queue_frame(lk_ws *self, uint8_t opcode, lk_slice payload, size_t reserve) {
  bool masked = self->options.role == LK_WS_CLIENT;
  uint8_t header[LK_WS_HEADER_MAX], *body;
  size_t len = write_header(header, opcode, payload.len, masked), total;
  if (!lk_add_size(len + 4, payload.len, &total)) return LK_ERR_LIMIT;
  lk_err err = reserve_output(self, masked ? total : total - 4, reserve);
  if (err != LK_OK) return err;
  if (masked) {
    draw_key(self, header + len);
    len += 4;
  }
  lk_buf_append(&self->output, lk_slice_of(header, len));
  lk_buf_append(&self->output, payload);
  LK_ASSERT(lk_buf_err(&self->output) == LK_OK); /* room was made above */
  if (masked && payload.len > 0) {
    body = self->output.ptr + self->output.len - payload.len;
    mask_copy(body, body, payload.len, header + len - 4, 0);
  }
  return LK_OK;
}

/* Packed where that makes it shorter. */
static lk_err send_packed(lk_ws *self, uint8_t opcode, lk_slice payload) {
  lk_buf packed;
  lk_buf_init(&packed, self->output.alloc, SIZE_MAX);
  bool shorter = lk_ws_deflate_pack(self->options.deflate, payload, &packed);
  lk_err err = shorter ? queue_frame(self, opcode | RSV1, lk_buf_slice(&packed), 0)
                       : queue_frame(self, opcode, payload, 0);
  if (shorter && err != LK_OK) lk_ws_deflate_unpack(self->options.deflate);
  lk_buf_deinit(&packed);
  return err;
}

lk_err lk_ws_send(lk_ws *self, lk_ws_kind kind, lk_slice payload) {
  LK_DEBUG_ASSERT(kind == LK_WS_BINARY || lk_utf8_check(payload) == LK_OK);
  if (self->state != LK_WS_OPEN) return LK_ERR_CLOSED;
  if (self->options.deflate != NULL) return send_packed(self, (uint8_t)kind, payload);
  return queue_frame(self, (uint8_t)kind, payload, 0);
}

static lk_err encode_frame(uint8_t opcode, lk_slice payload, lk_buf *out) {
  uint8_t header[LK_WS_HEADER_MAX];
  size_t before = out->len, len = write_header(header, opcode, payload.len, false);
  lk_err err = lk_buf_err(out);
  if (err != LK_OK) return err;
  lk_buf_append(out, lk_slice_of(header, len));
  err = lk_buf_append(out, payload);
  if (err != LK_OK) lk_buf_truncate(out, before);
  return err;
}

lk_err lk_ws_frame_encode(lk_ws_kind kind, lk_slice payload, lk_buf *out) {
  return encode_frame((uint8_t)kind, payload, out);
}

lk_err lk_ws_send_frames(lk_ws *self, lk_slice frames) {
  LK_ASSERT(self->options.role == LK_WS_SERVER);
  if (self->state != LK_WS_OPEN) return LK_ERR_CLOSED;
  lk_err err = reserve_output(self, frames.len, 0);
  return err == LK_OK ? lk_buf_append(&self->output, frames) : err;
}

lk_err lk_ws_send_ping(lk_ws *self, lk_slice payload) {
  LK_ASSERT(payload.len <= LK_WS_CONTROL_MAX);
  if (self->state != LK_WS_OPEN) return LK_ERR_CLOSED;
  return queue_frame(self, OP_PING, payload, 0);
}

/* ---- pongs ---- */

static bool queue_pong(lk_ws *self, lk_slice payload) {
  size_t before = pending(self);
  if (self->sent >= self->pong_mark) self->pong_bytes = 0;
  if (self->pong_bytes + CONTROL_FRAME_MAX > LK_WS_PONG_BYTES_MAX) return false;
  if (queue_frame(self, OP_PONG, payload, LK_WS_PONG_BYTES_MAX) != LK_OK) return false;
  self->pong_bytes = (uint16_t)(self->pong_bytes + (pending(self) - before));
  self->pong_mark = self->sent + pending(self);
  return true;
}

/* A pong that found no room waits behind the control frame in its block, and a newer one takes
 * its place. Failing to allocate is a lack of room too: nothing is lost but time. */
static void answer_ping(lk_ws *self, lk_slice payload) {
  if (self->state != LK_WS_OPEN) return;
  if (!self->pong_waits && queue_pong(self, payload)) return;
  LK_COVERED(ws_pong_had_to_wait);
  if (payload.len > 0) memcpy(self->control + LK_WS_CONTROL_MAX, payload.ptr, payload.len);
  self->pong_len = (uint8_t)payload.len;
  self->pong_waits = true;
}

static void flush_pong(lk_ws *self) {
  if (!self->pong_waits || self->state != LK_WS_OPEN) return;
  lk_slice payload = LK_SLICE_EMPTY;
  if (self->pong_len > 0) payload = lk_slice_of(self->control + LK_WS_CONTROL_MAX, self->pong_len);
  if (queue_pong(self, payload)) self->pong_waits = false;
}

void lk_ws_consume(lk_ws *self, size_t count) {
  LK_ASSERT(count <= pending(self));
  self->output_off += count;
  self->sent += count;
  if (pending(self) == 0) {
    empty_buf(&self->output);
    self->output_off = 0;
  }
  flush_pong(self);
}

/* ---- the end ---- */

bool lk_ws_code_is_valid(uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

static lk_slice close_payload(uint16_t code, lk_slice reason, uint8_t bytes[LK_WS_CONTROL_MAX]) {
  if (code == LK_WS_CODE_NONE) return LK_SLICE_EMPTY;
  lk_store_be16(bytes, code);
  if (reason.len > 0) memcpy(bytes + 2, reason.ptr, reason.len);
  return lk_slice_of(bytes, 2 + reason.len);
}

static lk_err queue_close(lk_ws *self, uint16_t code, lk_slice reason) {
  uint8_t bytes[LK_WS_CONTROL_MAX];
  return queue_frame(self, OP_CLOSE, close_payload(code, reason, bytes), OUTPUT_RESERVE);
}

lk_err lk_ws_close_encode(uint16_t code, lk_slice reason, lk_buf *out) {
  uint8_t bytes[LK_WS_CONTROL_MAX];
  LK_ASSERT(lk_ws_code_is_valid(code) && reason.len <= LK_WS_REASON_MAX);
  return encode_frame(OP_CLOSE, close_payload(code, reason, bytes), out);
}

static void end(lk_ws *self, uint64_t now_ms, uint16_t code, bool clean) {
  self->state = LK_WS_CLOSED;
  self->since_ms = now_ms;
  self->close_code = code;
  self->clean = clean;
  self->closed_ready = true;
  self->in_message = false; /* this and the next line let give_back() free what they are about */
  self->pong_waits = false;
}

static lk_err fail(lk_ws *self, uint64_t now_ms, lk_err err, uint16_t code) {
  /* Without memory for the Close the peer sees the connection end without one, which is what
   * code 1006 is for: nothing better can be done. */
  if (self->state == LK_WS_OPEN) (void)queue_close(self, code, LK_SLICE_EMPTY);
  end(self, now_ms, code, false);
  self->err = err;
  return err;
}

lk_err lk_ws_close(lk_ws *self, uint64_t now_ms, uint16_t code, lk_slice reason) {
  LK_ASSERT(lk_ws_code_is_valid(code) && reason.len <= LK_WS_REASON_MAX);
  LK_DEBUG_ASSERT(lk_utf8_check(reason) == LK_OK);
  if (self->state != LK_WS_OPEN) return LK_ERR_CLOSED;
  lk_err err = queue_close(self, code, reason);
  if (err != LK_OK) return err;
  self->state = LK_WS_CLOSING;
  self->since_ms = now_ms;
  return LK_OK;
}

void lk_ws_lost(lk_ws *self) {
  if (self->state != LK_WS_CLOSED) end(self, self->since_ms, LK_WS_CODE_ABNORMAL, false);
  self->expired = true;
}

/* ---- one frame's header ---- */

static uint8_t opcode_of(const lk_ws *self) { return self->header[0] & 0x0F; }
static bool is_final(const lk_ws *self) { return (self->header[0] & 0x80) != 0; }
static bool is_control(const lk_ws *self) { return (self->header[0] & 0x08) != 0; }
static bool is_masked(const lk_ws *self) { return (self->header[1] & 0x80) != 0; }

/* Whether this frame is of a packed message: RSV1 stands on the first one only. */
static bool is_packed(const lk_ws *self) {
  if (self->options.deflate == NULL || is_control(self)) return false;
  return (self->header[0] & RSV1) != 0 ||
         (opcode_of(self) == OP_CONTINUE && self->options.deflate->receiving);
}

/* Where the length ends. */
static uint8_t length_end(const lk_ws *self) {
  uint8_t code = self->header[1] & 0x7F;
  return code < 126 ? 2 : code == 126 ? 4 : 10;
}

static uint8_t header_end(const lk_ws *self) {
  if (self->header_len < 2) return 2;
  return (uint8_t)(length_end(self) + (is_masked(self) ? 4 : 0));
}

static bool first_byte_is_valid(const lk_ws *self) {
  if ((self->header[0] & RSV_OTHERS) != 0) return false;
  if ((self->header[0] & RSV1) != 0 &&
      (self->options.deflate == NULL || is_control(self) || opcode_of(self) == OP_CONTINUE))
    return false;
  switch (opcode_of(self)) {
  case OP_CONTINUE: return self->in_message;
  case OP_TEXT:
  case OP_BINARY: return !self->in_message;
  case OP_CLOSE:
  case OP_PING:
  case OP_PONG: return is_final(self);
  default: return false;
  }
}

static bool second_byte_is_valid(const lk_ws *self) {
  if (is_masked(self) != (self->options.role == LK_WS_SERVER)) return false;
  return !is_control(self) || (self->header[1] & 0x7F) <= LK_WS_CONTROL_MAX;
}

/* False where the length is not in its shortest form, or has its highest bit set. */
static bool read_length(lk_ws *self) {
  switch (length_end(self)) {
  case 2: self->frame_len = self->header[1] & 0x7F; return true;
  case 4: self->frame_len = lk_load_be16(self->header + 2); return self->frame_len > 125;
  default:
    self->frame_len = lk_load_be64(self->header + 2);
    return self->frame_len > UINT16_MAX && self->frame_len <= INT64_MAX;
  }
}

static bool length_is_allowed(const lk_ws *self) {
  size_t most = self->limits->ws_message_bytes;
  if (is_control(self)) return true;
  if (is_packed(self)) return self->frame_len <= lk_ws_deflate_room(self->options.deflate, most);
  uint64_t before = self->in_message ? (uint64_t)self->message.len + self->dropped : 0;
  return self->frame_len <= lk_max_u64(most, self->options.long_bytes) - before;
}

/* Whether the frame that begins makes its message too long to be kept. */
static bool becomes_long(const lk_ws *self) {
  if (is_control(self) || is_packed(self) || self->is_long) return false;
  return self->frame_len > self->limits->ws_message_bytes - self->message.len;
}

/* Judges the field that the newest byte of the header has completed, if it did. */
static lk_err check_header(lk_ws *self, uint64_t now_ms) {
  bool valid = true;
  if (self->header_len == 1) valid = first_byte_is_valid(self);
  if (self->header_len == 2) valid = second_byte_is_valid(self);
  if (valid && self->header_len >= 2 && self->header_len == length_end(self)) {
    valid = read_length(self);
    if (valid && !length_is_allowed(self))
      return fail(self, now_ms, LK_ERR_TOO_BIG, LK_WS_CODE_TOO_BIG);
  }
  return valid ? LK_OK : fail(self, now_ms, LK_ERR_WS_PROTOCOL, LK_WS_CODE_PROTOCOL);
}

/* ---- what a whole frame does ---- */

/* |text| has just come. */
static lk_err check_text_in(lk_ws *self, uint64_t now_ms, lk_slice text) {
  if (self->message_kind != LK_WS_TEXT || lk_utf8_validator_feed(&self->text, text, NULL) == LK_OK)
    return LK_OK;
  return fail(self, now_ms, LK_ERR_UTF8, LK_WS_CODE_UTF8);
}

/* What |message| holds from |from| on has. */
static lk_err check_text(lk_ws *self, uint64_t now_ms, size_t from) {
  return check_text_in(self, now_ms, lk_slice_skip(lk_buf_slice(&self->message), from));
}

/* Unpacking went as |unpacked| says, and added what stands behind |from|. A fault in the text comes
 * before the one that unpacking ended with. */
static lk_err check_unpacked(lk_ws *self, uint64_t now_ms, size_t from, lk_err unpacked) {
  lk_err err = check_text(self, now_ms, from);
  if (err != LK_OK) return err;
  switch (unpacked) {
  case LK_OK: return LK_OK;
  case LK_ERR_TOO_BIG: return fail(self, now_ms, unpacked, LK_WS_CODE_TOO_BIG);
  case LK_ERR_NOMEM: return fail(self, now_ms, unpacked, LK_WS_CODE_INTERNAL);
  default: return fail(self, now_ms, LK_ERR_CORRUPT, LK_WS_CODE_UTF8);
  }
}

static lk_err end_packed(lk_ws *self, uint64_t now_ms) {
  size_t before = self->message.len;
  lk_err err = lk_ws_deflate_end(self->options.deflate, self->limits->ws_message_bytes,
                                 &self->message);
  return check_unpacked(self, now_ms, before, err);
}

static lk_err end_data(lk_ws *self, uint64_t now_ms) {
  if (!is_final(self)) {
    if (self->frame_len == 0 && ++self->empty_count > LK_WS_EMPTY_FRAGMENTS_MAX)
      return fail(self, now_ms, LK_ERR_LIMIT, LK_WS_CODE_POLICY);
    return LK_OK;
  }
  lk_err err = is_packed(self) ? end_packed(self, now_ms) : LK_OK;
  if (err != LK_OK) return err;
  if (self->message_kind == LK_WS_TEXT && lk_utf8_validator_end(&self->text) != LK_OK)
    return fail(self, now_ms, LK_ERR_UTF8, LK_WS_CODE_UTF8);
  self->in_message = false;
  self->message_ready = true;
  return LK_OK;
}

static lk_err end_close(lk_ws *self, uint64_t now_ms, lk_slice payload) {
  uint16_t code = LK_WS_CODE_NONE;
  if (payload.len > 0) {
    code = payload.len >= 2 ? lk_load_be16(payload.ptr) : 0;
    if (!lk_ws_code_is_valid(code))
      return fail(self, now_ms, LK_ERR_WS_PROTOCOL, LK_WS_CODE_PROTOCOL);
    if (lk_utf8_check(lk_slice_skip(payload, 2)) != LK_OK)
      return fail(self, now_ms, LK_ERR_UTF8, LK_WS_CODE_UTF8);
    self->reason_len = (uint8_t)(payload.len - 2);
  }
  if (self->state == LK_WS_OPEN) (void)queue_close(self, code, LK_SLICE_EMPTY); /* as in fail() */
  end(self, now_ms, code, true);
  return LK_OK;
}

static lk_err end_frame(lk_ws *self, uint64_t now_ms) {
  lk_slice payload = LK_SLICE_EMPTY;
  self->header_len = 0;
  self->in_payload = false;
  if (self->state == LK_WS_OPEN) self->since_ms = now_ms;
  self->progress = 0;
  if (!is_control(self)) return end_data(self, now_ms);
  if (self->frame_len > 0) payload = lk_slice_of(self->control, (size_t)self->frame_len);
  if (opcode_of(self) == OP_CLOSE) return end_close(self, now_ms, payload);
  if (opcode_of(self) == OP_PING) answer_ping(self, payload);
  return LK_OK;
}

/* ---- feeding ---- */

static void begin_message(lk_ws *self) {
  lk_buf_truncate(&self->message, 0);
  lk_utf8_validator_init(&self->text);
  self->message_kind = opcode_of(self);
  self->empty_count = 0;
  self->dropped = 0;
  self->in_message = true;
  self->is_long = false;
}

static size_t beginning_bytes(const lk_ws *self) {
  return lk_min_size(LK_WS_BEGINNING_BYTES, self->limits->ws_message_bytes);
}

static void begin_to_drop(lk_ws *self) {
  size_t kept = lk_min_size(self->message.len, beginning_bytes(self));
  self->is_long = true;
  self->dropped = (uint32_t)(self->message.len - kept);
  lk_buf_truncate(&self->message, kept);
}

/* The header is complete. Only this allocates, and it may be tried again. */
static lk_err begin_frame(lk_ws *self, uint64_t now_ms) {
  if (is_control(self) && self->frame_len > 0 && self->control == NULL) {
    self->control = lk_alloc_bytes(self->message.alloc, CONTROL_BLOCK);
    if (self->control == NULL) return LK_ERR_NOMEM;
  }
  if ((self->header[0] & RSV1) != 0) {
    lk_err err = lk_ws_deflate_begin(self->options.deflate);
    if (err != LK_OK) return err;
  }
  if (opcode_of(self) == OP_TEXT || opcode_of(self) == OP_BINARY) begin_message(self);
  if (becomes_long(self)) begin_to_drop(self);
  self->frame_left = self->frame_len;
  self->in_payload = true;
  return self->frame_left == 0 ? end_frame(self, now_ms) : LK_OK;
}

static lk_err step_header(lk_ws *self, uint64_t now_ms, lk_slice *in) {
  /* The condition does not hold at first where begin_frame() found no memory the last time. */
  while (self->header_len < header_end(self)) {
    if (in->len == 0) return LK_OK;
    self->header[self->header_len++] = in->ptr[0];
    *in = lk_slice_skip(*in, 1);
    lk_err err = check_header(self, now_ms);
    if (err != LK_OK) return err;
  }
  return begin_frame(self, now_ms);
}

/* Room for the next |len| bytes of the payload; NULL without memory. */
static uint8_t *payload_room(lk_ws *self, size_t len) {
  if (is_control(self)) return self->control + (size_t)(self->frame_len - self->frame_left);
  size_t before = self->message.len;
  uint8_t *room = lk_buf_extend(&self->message, len);
  if (room == NULL) lk_buf_truncate(&self->message, before);
  return room;
}

/* Unmasks |piece|, the front of |in|, to |room|, and counts it. */
static void take_piece(lk_ws *self, uint64_t now_ms, lk_slice piece, uint8_t *room, lk_slice *in) {
  static const uint8_t no_key[4] = { 0 };
  const uint8_t *key = is_masked(self) ? self->header + length_end(self) : no_key;
  mask_copy(room, piece.ptr, piece.len, key, self->frame_len - self->frame_left);
  *in = lk_slice_skip(*in, piece.len);
  self->frame_left -= piece.len;
  self->progress += (uint32_t)lk_min_size(piece.len, LK_WS_PROGRESS_BYTES);
  if (self->progress >= LK_WS_PROGRESS_BYTES && self->state == LK_WS_OPEN) {
    self->since_ms = now_ms;
    self->progress = 0;
  }
}

static lk_err take_plain(lk_ws *self, uint64_t now_ms, lk_slice piece, lk_slice *in) {
  size_t before = self->message.len;
  uint8_t *room = payload_room(self, piece.len);
  if (room == NULL) return LK_ERR_NOMEM;
  take_piece(self, now_ms, piece, room, in);
  return is_control(self) ? LK_OK : check_text(self, now_ms, before);
}

/* What has room in the beginning goes there; the rest is only looked at. */
static lk_err take_long(lk_ws *self, uint64_t now_ms, lk_slice piece, lk_slice *in) {
  uint8_t bytes[UNMASK_BYTES];
  size_t room = beginning_bytes(self) - self->message.len;
  if (room > 0) return take_plain(self, now_ms, lk_slice_first(piece, room), in);
  piece = lk_slice_first(piece, sizeof bytes);
  take_piece(self, now_ms, piece, bytes, in);
  self->dropped += (uint32_t)piece.len; /* long_bytes at most in all */
  return check_text_in(self, now_ms, lk_slice_of(bytes, piece.len));
}

static lk_err take_packed(lk_ws *self, uint64_t now_ms, lk_slice piece, lk_slice *in) {
  uint8_t bytes[UNMASK_BYTES];
  size_t before = self->message.len;
  piece = lk_slice_first(piece, sizeof bytes);
  take_piece(self, now_ms, piece, bytes, in);
  lk_err err = lk_ws_deflate_feed(self->options.deflate, lk_slice_of(bytes, piece.len),
                                  self->limits->ws_message_bytes, &self->message);
  return check_unpacked(self, now_ms, before, err);
}

static lk_err step_payload(lk_ws *self, uint64_t now_ms, lk_slice *in) {
  lk_slice piece = self->frame_left < in->len ? lk_slice_first(*in, (size_t)self->frame_left) : *in;
  lk_err err = is_packed(self)                      ? take_packed(self, now_ms, piece, in)
               : self->is_long && !is_control(self) ? take_long(self, now_ms, piece, in)
                                                    : take_plain(self, now_ms, piece, in);
  if (err != LK_OK) return err;
  return self->frame_left == 0 ? end_frame(self, now_ms) : LK_OK;
}

lk_err lk_ws_feed(lk_ws *self, uint64_t now_ms, lk_slice *in) {
  flush_pong(self);
  if (self->err != LK_OK) return self->err;
  while (in->len > 0 && self->state != LK_WS_CLOSED && !self->message_ready) {
    lk_err err = self->in_payload ? step_payload(self, now_ms, in) : step_header(self, now_ms, in);
    if (err != LK_OK) return err;
  }
  if (self->state == LK_WS_CLOSED) *in = lk_slice_skip(*in, in->len);
  return LK_OK;
}

/* Gives back what nothing is in. */
static void give_back(lk_ws *self) {
  if (!self->in_message && !self->message_ready) {
    empty_buf(&self->message);
    if (self->state == LK_WS_CLOSED) close_deflate(self);
    else if (self->options.deflate != NULL) lk_ws_deflate_rest(self->options.deflate);
  }
  if (!self->pong_waits && !(self->in_payload && is_control(self))) free_control(self);
}

bool lk_ws_poll(lk_ws *self, lk_ws_event *out) {
  flush_pong(self);
  if (self->message_ready) {
    self->message_ready = false;
    *out = (lk_ws_event){ .kind = LK_WS_MESSAGE,
                          .text = self->message_kind == LK_WS_TEXT,
                          .payload = lk_buf_slice(&self->message),
                          .dropped = self->dropped };
    return true;
  }
  if (self->closed_ready) {
    self->closed_ready = false;
    *out = (lk_ws_event){ .kind = LK_WS_ENDED, .clean = self->clean, .code = self->close_code };
    if (self->reason_len > 0) out->payload = lk_slice_of(self->control + 2, self->reason_len);
    return true;
  }
  give_back(self);
  return false;
}

/* ---- time ---- */

uint64_t lk_ws_deadline(const lk_ws *self) {
  uint64_t at, span = self->state == LK_WS_OPEN ? self->options.idle_ms : self->options.close_ms;
  if (self->expired || span == 0) return UINT64_MAX;
  return lk_add_u64(self->since_ms, span, &at) ? at : UINT64_MAX;
}

void lk_ws_tick(lk_ws *self, uint64_t now_ms) {
  if (now_ms < lk_ws_deadline(self)) return;
  switch ((lk_ws_state)self->state) {
  case LK_WS_OPEN: (void)fail(self, now_ms, LK_ERR_TIMEOUT, LK_WS_CODE_GOING_AWAY); break;
  case LK_WS_CLOSING:
    (void)fail(self, now_ms, LK_ERR_TIMEOUT, LK_WS_CODE_ABNORMAL);
    self->expired = true;
    break;
  case LK_WS_CLOSED: self->expired = true; break;
  }
}
