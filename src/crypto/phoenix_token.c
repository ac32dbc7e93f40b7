/* crypto/phoenix_token.c -- the tokens of Phoenix, as plug_crypto makes them.
 *
 *   key       := PBKDF2-HMAC(secret_key_base, salt, iterations, length)
 *   signed    := P "." B(payload) "." B(HMAC(key, P "." B(payload)))
 *   P         := B("HS256") | B("HS384") | B("HS512")
 *   encrypted := "XCP." B(nonce:24 tag:16 ciphertext)      XChaCha20-Poly1305 over the payload
 *   B         := base64url without padding
 *   payload   := the external term {data, signed_at_ms, max_age_s}
 *              | {data, signed_at_ms} | %{data: data, signed: signed_at_ms}         long ago
 *
 * What must always hold: not a byte of the payload is looked at before the key has vouched for it,
 * and it is the caller who says which HMAC counts, never the token.
 *
 * Time. An age is what the verifier says, or else the token. A token is expired iff
 *
 *   signed_at_ms + trunc(max_age_s * 1000) < now_ms
 *
 * computed so that no number overflows: a stranger cannot choose them, but a mistaken application can.
 * A token from the future is refused, beyond a skew of clocks: plug_crypto did not do so before 2.2,
 * and a server whose clock was once wrong had made tokens that lived for years.
 *
 * In the encrypted form the tag stands in front of the ciphertext; the provider wants it behind. The
 * associated data "A128GCM" is what it is because another cipher once had this place.
 *
 * The text of the signature is decoded and the bytes are compared, not the texts: encoding ours would
 * look up a table at places that tell about the very bytes which the sender has to guess. */
#include "crypto/phoenix_token.h"

#include "codec/base64.h"
#include "codec/etf.h"
#include "crypto/sha512.h"
#include "crypto/token_parts.h"

#define MAC_LEN_MAX LK_SHA512_LEN
#define ENCRYPTED_PREFIX LK_LIT("XCP.")
#define SIGNED_PREFIX LK_LIT("SFMyNTY.")
#define ASSOCIATED_DATA LK_LIT("A128GCM")

/* JSON is longer than the term that it is made of, but not beyond this: a control character in a
 * binary is one byte there and six here. */
#define JSON_GROWTH 8

/* ---- the key ---- */

static size_t digest_len(lk_phoenix_digest digest) {
  switch (digest) {
  case LK_PHOENIX_SHA256: return LK_SHA256_LEN;
  case LK_PHOENIX_SHA384: return LK_SHA384_LEN;
  case LK_PHOENIX_SHA512: return LK_SHA512_LEN;
  }
  LK_UNREACHABLE();
}

static lk_err derive(lk_phoenix_key *self, lk_slice secret, lk_slice salt, uint32_t iterations,
                     lk_phoenix_digest digest) {
  if (digest == LK_PHOENIX_SHA256)
    return lk_crypto_pbkdf2_sha256(self->crypto, secret, salt, iterations, self->bytes, self->len);
  lk_pbkdf2_sha512(digest_len(digest), secret, salt, iterations, self->bytes, self->len);
  return LK_OK;
}

lk_err lk_phoenix_key_init(lk_phoenix_key *self, const lk_crypto *crypto, const lk_limits *limits,
                           lk_slice secret_key_base, lk_slice salt,
                           const lk_phoenix_key_options *options) {
  lk_phoenix_key_options how = { 0 };
  if (options != NULL) how = *options;
  if (how.iterations == 0) how.iterations = LK_PHOENIX_ITERATIONS;
  if (how.length == 0) how.length = LK_PHOENIX_KEY_LEN;
  *self = (lk_phoenix_key){ .crypto = crypto, .limits = limits };
  if (secret_key_base.len < LK_PHOENIX_SECRET_LEN_MIN) return LK_ERR_KEY;
  if (how.length > LK_PHOENIX_KEY_LEN_MAX) return LK_ERR_RANGE;
  if (how.iterations > LK_PBKDF2_ITERATIONS_MAX) return LK_ERR_RANGE;
  self->len = how.length;
  lk_err err = derive(self, secret_key_base, salt, how.iterations, how.digest);
  if (err != LK_OK) lk_phoenix_key_deinit(self);
  return err;
}

void lk_phoenix_key_deinit(lk_phoenix_key *self) { lk_crypto_wipe(self, sizeof *self); }

static lk_slice key_slice(const lk_phoenix_key *self) {
  return lk_slice_of(self->bytes, self->len);
}

/* Writes digest_len(digest) bytes. */
static lk_err authenticate(const lk_phoenix_key *self, lk_phoenix_digest digest, lk_slice text,
                           uint8_t out[MAC_LEN_MAX]) {
  lk_hmac_sha512 hmac;
  if (digest == LK_PHOENIX_SHA256)
    return lk_crypto_hmac_sha256(self->crypto, key_slice(self), text, out);
  lk_hmac_sha512_init(&hmac, digest_len(digest), key_slice(self));
  lk_hmac_sha512_update(&hmac, text);
  lk_hmac_sha512_final(&hmac, out);
  return LK_OK;
}

/* ---- the payload ---- */

/* Ages are milliseconds, NEVER where even a token of this moment is too old. */
#define NEVER ((int64_t)-1)

typedef struct envelope {
  lk_slice data;
  int64_t signed_at_ms;
  int64_t max_age_ms;
} envelope;

static int64_t age_of_seconds(int64_t seconds) {
  if (seconds <= 0) return NEVER;
  return seconds > INT64_MAX / 1000 ? LK_PHOENIX_FOREVER : seconds * 1000;
}

static int64_t age_of_number(double seconds) {
  if (seconds <= 0) return NEVER;
  return seconds * 1000 >= 9e18 ? LK_PHOENIX_FOREVER : (int64_t)(seconds * 1000);
}

static lk_err read_age(const lk_etf_event *event, int64_t *out) {
  int64_t seconds;
  if (lk_etf_is_atom(event, LK_LIT("infinity"))) {
    *out = LK_PHOENIX_FOREVER;
  } else if (event->kind == LK_ETF_FLOAT) {
    *out = age_of_number(event->number);
  } else if (event->kind != LK_ETF_INTEGER) {
    return LK_ERR_TYPE;
  } else if (lk_etf_get_i64(event, &seconds) == LK_OK) {
    *out = age_of_seconds(seconds);
  } else {
    *out = event->is_negative ? NEVER : LK_PHOENIX_FOREVER;
  }
  return LK_OK;
}

/* Behind the opening of a tuple. */
static lk_err read_tuple(lk_etf_reader *in, uint32_t count, envelope *out) {
  lk_etf_event event;
  lk_err err = lk_etf_skip_value(in, &out->data);
  if (err == LK_OK) err = lk_etf_next(in, &event);
  if (err == LK_OK) err = lk_etf_get_i64(&event, &out->signed_at_ms);
  if (err != LK_OK || count == 2) return err;
  if ((err = lk_etf_next(in, &event)) == LK_OK) err = read_age(&event, &out->max_age_ms);
  return err;
}

/* The only event of a term of one value; ABSENT for others, which have been read before. */
static lk_etf_event only_event(lk_slice term) {
  lk_etf_reader in;
  lk_etf_event event = { 0 };
  lk_etf_term_reader_init(&in, term);
  if (lk_etf_next(&in, &event) != LK_OK || in.depth > 0) return (lk_etf_event){ 0 };
  return event;
}

/* Behind the opening of a map. Other keys are passed over, as a pattern match would. */
static lk_err read_map(lk_etf_reader *in, uint32_t count, envelope *out) {
  bool has_data = false, has_signed = false;
  for (uint32_t i = 0; i < count; i++) {
    lk_slice key, value;
    lk_err err = lk_etf_skip_value(in, &key);
    if (err == LK_OK) err = lk_etf_skip_value(in, &value);
    if (err != LK_OK) return err;
    lk_etf_event name = only_event(key), number = only_event(value);
    if (lk_etf_is_atom(&name, LK_LIT("data"))) {
      out->data = value;
      has_data = true;
    } else if (lk_etf_is_atom(&name, LK_LIT("signed"))) {
      if ((err = lk_etf_get_i64(&number, &out->signed_at_ms)) != LK_OK) return err;
      has_signed = true;
    }
  }
  return has_data && has_signed ? LK_OK : LK_ERR_TYPE;
}

static lk_err read_envelope(lk_slice bytes, envelope *out) {
  lk_etf_reader in;
  lk_etf_event event;
  lk_err err = lk_etf_reader_init(&in, bytes);
  out->max_age_ms = age_of_seconds(LK_PHOENIX_MAX_AGE_S);
  if (err == LK_OK) err = lk_etf_next(&in, &event);
  if (err != LK_OK) return err;
  bool is_tuple = event.kind == LK_ETF_TUPLE && (event.count == 2 || event.count == 3);
  if (is_tuple) err = read_tuple(&in, event.count, out);
  else err = event.kind == LK_ETF_MAP ? read_map(&in, event.count, out) : LK_ERR_TYPE;
  while (err == LK_OK && event.kind != LK_ETF_END) err = lk_etf_next(&in, &event);
  return err;
}

/* ---- time ---- */

static int64_t saturating_add(int64_t a, int64_t b) {
  int64_t sum;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b > 0 ? INT64_MAX : INT64_MIN;
}

static lk_err check_age(const envelope *self, int64_t now_ms, const lk_phoenix_rules *rules,
                        int64_t *expires_at_ms) {
  int64_t age = self->max_age_ms;
  if (rules->age == LK_PHOENIX_AGE_GIVEN) age = age_of_seconds(rules->max_age_s);
  else if (rules->age == LK_PHOENIX_AGE_ANY) age = LK_PHOENIX_FOREVER;
  if (self->signed_at_ms > saturating_add(now_ms, rules->skew_ms)) return LK_ERR_TOKEN_INVALID;
  if (age == NEVER) return LK_ERR_TOKEN_EXPIRED;
  *expires_at_ms = age == LK_PHOENIX_FOREVER ? LK_PHOENIX_FOREVER
                                             : saturating_add(self->signed_at_ms, age);
  return *expires_at_ms < now_ms ? LK_ERR_TOKEN_EXPIRED : LK_OK;
}

/* ---- from genuine payload to claims ---- */

static lk_err push_json(lk_slice term, lk_arena *arena, lk_slice *out) {
  lk_buf json;
  lk_buf_init(&json, arena->alloc, term.len * JSON_GROWTH);
  lk_err err = lk_etf_to_json(term, &json);
  if (err != LK_OK && err != LK_ERR_NOMEM) err = LK_ERR_TOKEN_CLAIMS;
  if (err == LK_OK) err = lk_arena_copy(arena, lk_buf_slice(&json), out);
  lk_buf_deinit(&json);
  return err;
}

/* |payload| lies in |arena|. */
static lk_err accept(lk_slice payload, int64_t now_ms, const lk_phoenix_rules *rules,
                     lk_arena *arena, lk_phoenix_claims *out) {
  envelope self = { 0 };
  lk_phoenix_claims claims = { 0 };
  lk_err err = lk_token_refusal(read_envelope(payload, &self));
  if (err == LK_OK) err = check_age(&self, now_ms, rules, &claims.expires_at_ms);
  if (err == LK_OK) err = push_json(self.data, arena, &claims.json);
  if (err != LK_OK) return err;
  claims.term = self.data;
  claims.signed_at_ms = self.signed_at_ms;
  *out = claims;
  return LK_OK;
}

/* ---- signed tokens ---- */

static lk_slice header_of(lk_phoenix_digest digest) {
  switch (digest) {
  case LK_PHOENIX_SHA256: return LK_LIT("SFMyNTY");
  case LK_PHOENIX_SHA384: return LK_LIT("SFMzODQ");
  case LK_PHOENIX_SHA512: return LK_LIT("SFM1MTI");
  }
  LK_UNREACHABLE();
}

/* The payload of a token whose signature is good. */
static lk_err open_signed(const lk_phoenix_key *self, lk_slice token, lk_phoenix_digest digest,
                          lk_arena *arena, lk_slice *payload) {
  lk_token_parts parts;
  lk_slice given;
  uint8_t wanted[MAC_LEN_MAX];
  size_t len = digest_len(digest);
  lk_err err = lk_token_parts_of(token, self->limits->token_bytes, &parts);
  if (err != LK_OK) return err;
  if (!lk_slice_equal(parts.header, header_of(digest))) return LK_ERR_TOKEN_INVALID;
  if ((err = lk_token_parts_bytes(parts.signature, arena, &given)) != LK_OK) return err;
  if ((err = authenticate(self, digest, parts.signed_text, wanted)) != LK_OK) return err;
  bool genuine = given.len == len && lk_crypto_equal(given.ptr, wanted, len);
  lk_crypto_wipe(wanted, sizeof wanted);
  if (!genuine) return LK_ERR_TOKEN_INVALID;
  return lk_token_parts_bytes(parts.payload, arena, payload);
}

lk_err lk_phoenix_verify(const lk_phoenix_key *self, lk_slice token, int64_t now_ms,
                         const lk_phoenix_rules *rules, lk_arena *arena, lk_phoenix_claims *out) {
  lk_arena_mark mark = lk_arena_get_mark(arena);
  lk_slice payload;
  if (self->len == 0) return LK_ERR_KEY; /* an empty key verifies what anybody signs with one */
  lk_err err = open_signed(self, token, rules->digest, arena, &payload);
  if (err == LK_OK) err = accept(payload, now_ms, rules, arena, out);
  if (err != LK_OK) lk_arena_pop_to(arena, mark);
  return err;
}

/* ---- encrypted tokens ---- */

bool lk_phoenix_is_encrypted(lk_slice token) {
  return lk_slice_starts_with(token, ENCRYPTED_PREFIX);
}

/* nonce, tag, ciphertext in |text|; the plaintext in |arena|. */
static lk_err open_encrypted(const lk_phoenix_key *self, lk_slice token, lk_arena *arena,
                             lk_slice *payload) {
  lk_slice bytes, text = lk_slice_skip(token, ENCRYPTED_PREFIX.len);
  lk_err err = lk_token_parts_bytes(text, arena, &bytes);
  if (err != LK_OK) return err;
  if (bytes.len < LK_XCHACHA20_NONCE_LEN + LK_AEAD_TAG_LEN) return LK_ERR_TOKEN_INVALID;
  lk_slice tag = lk_slice_first(lk_slice_skip(bytes, LK_XCHACHA20_NONCE_LEN), LK_AEAD_TAG_LEN);
  lk_slice cipher = lk_slice_skip(bytes, LK_XCHACHA20_NONCE_LEN + LK_AEAD_TAG_LEN);
  uint8_t *sealed = lk_arena_push_bytes(arena, cipher.len + tag.len);
  if (sealed == NULL) return LK_ERR_NOMEM;
  if (cipher.len > 0) memcpy(sealed, cipher.ptr, cipher.len);
  memcpy(sealed + cipher.len, tag.ptr, tag.len);
  err = lk_crypto_xchacha20poly1305_open(self->crypto, self->bytes, bytes.ptr, ASSOCIATED_DATA,
                                         lk_slice_of(sealed, cipher.len + tag.len), sealed,
                                         cipher.len);
  *payload = lk_slice_of(sealed, cipher.len);
  return err == LK_ERR_AUTH ? LK_ERR_TOKEN_INVALID : err;
}

lk_err lk_phoenix_decrypt(const lk_phoenix_key *self, lk_slice token, int64_t now_ms,
                          const lk_phoenix_rules *rules, lk_arena *arena, lk_phoenix_claims *out) {
  lk_arena_mark mark = lk_arena_get_mark(arena);
  lk_slice payload;
  if (self->len != LK_AEAD_KEY_LEN) return LK_ERR_KEY;
  if (token.len == 0) return LK_ERR_TOKEN_MISSING;
  if (token.len > self->limits->token_bytes) return LK_ERR_TOO_BIG;
  if (!lk_phoenix_is_encrypted(token)) return LK_ERR_TOKEN_INVALID;
  lk_err err = open_encrypted(self, token, arena, &payload);
  if (err == LK_OK) err = accept(payload, now_ms, rules, arena, out);
  if (err != LK_OK) lk_arena_pop_to(arena, mark);
  return err;
}

/* ---- making ---- */

static lk_err write_payload(lk_buf *out, lk_slice json, lk_phoenix_stamp stamp,
                            const lk_limits *limits) {
  if (stamp.max_age_s < 1) return LK_ERR_RANGE;
  (void)lk_etf_write_version(out);
  (void)lk_etf_write_tuple(out, 3);
  lk_err err = lk_etf_write_json(out, json, limits);
  if (err != LK_OK) return err;
  (void)lk_etf_write_i64(out, stamp.signed_at_ms);
  if (stamp.max_age_s == LK_PHOENIX_FOREVER) return lk_etf_write_atom(out, LK_LIT("infinity"));
  return lk_etf_write_i64(out, stamp.max_age_s);
}

/* Appends |prefix| and the base64url of |bytes|. */
static lk_err write_text(lk_buf *out, lk_slice prefix, lk_slice bytes) {
  (void)lk_buf_append(out, prefix);
  return lk_base64_encode(out, bytes, LK_BASE64_FORM_URL);
}

static lk_err sign_payload(const lk_phoenix_key *self, lk_slice payload, lk_buf *out) {
  uint8_t mac[MAC_LEN_MAX];
  size_t start = out->len;
  lk_err err = write_text(out, SIGNED_PREFIX, payload);
  if (err != LK_OK) return err;
  lk_slice text = lk_slice_skip(lk_buf_slice(out), start);
  if ((err = authenticate(self, LK_PHOENIX_SHA256, text, mac)) != LK_OK) return err;
  return write_text(out, LK_LIT("."), lk_slice_of(mac, LK_SHA256_LEN));
}

static lk_err encrypt_payload(const lk_phoenix_key *self, lk_slice payload, lk_buf *out) {
  lk_buf bytes; /* nonce, tag, ciphertext; behind it the tag where the provider puts it */
  lk_buf_init(&bytes, out->alloc, SIZE_MAX / 2);
  size_t head = LK_XCHACHA20_NONCE_LEN + LK_AEAD_TAG_LEN;
  uint8_t *nonce = lk_buf_extend(&bytes, head + payload.len + LK_AEAD_TAG_LEN);
  lk_err err = nonce == NULL ? lk_buf_err(&bytes) : LK_OK;
  if (err == LK_OK) err = lk_crypto_random(self->crypto, nonce, LK_XCHACHA20_NONCE_LEN);
  if (err == LK_OK)
    err = lk_crypto_xchacha20poly1305_seal(self->crypto, self->bytes, nonce, ASSOCIATED_DATA,
                                           payload, nonce + head, payload.len + LK_AEAD_TAG_LEN);
  if (err == LK_OK) {
    memcpy(nonce + LK_XCHACHA20_NONCE_LEN, nonce + head + payload.len, LK_AEAD_TAG_LEN);
    lk_buf_truncate(&bytes, head + payload.len);
    err = write_text(out, ENCRYPTED_PREFIX, lk_buf_slice(&bytes));
  }
  lk_buf_deinit(&bytes);
  return err;
}

/* Writes a payload and lets |seal| make a token of it. */
static lk_err make(const lk_phoenix_key *self, lk_slice json, lk_phoenix_stamp stamp,
                   lk_err (*seal)(const lk_phoenix_key *, lk_slice, lk_buf *), lk_buf *out) {
  lk_buf payload;
  size_t start = out->len;
  lk_err err = lk_buf_err(out);
  if (err != LK_OK) return err;
  lk_buf_init(&payload, out->alloc, SIZE_MAX / 2);
  err = write_payload(&payload, json, stamp, self->limits);
  if (err == LK_OK) err = seal(self, lk_buf_slice(&payload), out);
  if (err == LK_OK && out->len - start > self->limits->token_bytes) err = LK_ERR_TOO_BIG;
  lk_buf_deinit(&payload);
  if (err != LK_OK) lk_buf_truncate(out, start);
  return err;
}

lk_err lk_phoenix_sign(const lk_phoenix_key *self, lk_slice json, lk_phoenix_stamp stamp,
                       lk_buf *out) {
  if (self->len == 0) return LK_ERR_KEY;
  return make(self, json, stamp, sign_payload, out);
}

lk_err lk_phoenix_encrypt(const lk_phoenix_key *self, lk_slice json, lk_phoenix_stamp stamp,
                          lk_buf *out) {
  if (self->len != LK_AEAD_KEY_LEN) return LK_ERR_KEY;
  return make(self, json, stamp, encrypt_payload, out);
}
