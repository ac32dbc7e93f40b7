/* Tokens from outside, and payloads that a key has vouched for but nobody else has looked at. */
#include "crypto/phoenix_token.h"

#include "codec/base64.h"
#include "codec/json_reader.h"
#include "harness/test.h"

#define NOW 1700000000000

/* A key without its derivation, which would take all the time. */
static lk_phoenix_key make_key(const lk_crypto *crypto, const lk_limits *limits) {
  lk_phoenix_key key = { .crypto = crypto, .limits = limits, .len = 32 };
  memset(key.bytes, 7, key.len);
  return key;
}

/* A cipher that lets everything through: what is sealed is what is opened. */
static lk_err open_anything(void *ctx, const uint8_t *key, const uint8_t *nonce, lk_slice ad,
                            lk_slice sealed, uint8_t *out) {
  (void)ctx;
  (void)key;
  (void)nonce;
  (void)ad;
  memmove(out, sealed.ptr, sealed.len - LK_AEAD_TAG_LEN);
  return LK_OK;
}

static void check_result(lk_err err, const lk_phoenix_claims *claims, const lk_limits *limits) {
  if (err == LK_OK) {
    CHECK_OK(lk_json_check(claims->json, limits, NULL));
    CHECK(claims->signed_at_ms <= NOW + LK_PHOENIX_SKEW_MS && claims->expires_at_ms >= NOW);
    return;
  }
  CHECK(err == LK_ERR_TOKEN_MISSING || err == LK_ERR_TOKEN_INVALID || err == LK_ERR_TOKEN_EXPIRED ||
        err == LK_ERR_TOKEN_CLAIMS || err == LK_ERR_TOO_BIG);
}

/* also fuzzes: lk_phoenix_decrypt */
FUZZ(lk_phoenix_verify) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("SFMyNTY.g2gDYSpuBgAAaOXPiwFiAAFRgA.ipvH1fI-Vgjjr9nxOURhUoGpxl6EzCPXJVysXuyxsAU"),
    LK_LIT_INIT("XCP.ZFoXmurKzB3wWiIH65Fc_ZuzsbLEhXywOOZXl3zDxa7JzJp-WHJDVDZTZzUYG6CzXRz_DnEZY0g0"),
  };
  uint8_t scratch[256];
  lk_crypto crypto = *lk_crypto_portable();
  lk_limits limits = lk_limits_default();
  lk_phoenix_rules rules = { .skew_ms = LK_PHOENIX_SKEW_MS };
  lk_phoenix_claims claims;
  lk_arena arena;
  crypto.xchacha20poly1305_open = open_anything;
  lk_phoenix_key key = make_key(&crypto, &limits);
  lk_slice token = gen_hostile(g, samples, 2, scratch, sizeof scratch);
  lk_arena_init(&arena, test_alloc(), 1u << 20);
  rules.digest = token.len % 3 == 0 ? LK_PHOENIX_SHA256 : LK_PHOENIX_SHA512;
  lk_err err = lk_phoenix_verify(&key, token, NOW, &rules, &arena, &claims);
  CHECK(err == LK_ERR_TOKEN_MISSING || err == LK_ERR_TOKEN_INVALID || err == LK_ERR_TOO_BIG);
  err = lk_phoenix_decrypt(&key, token, NOW, &rules, &arena, &claims);
  check_result(err, &claims, &limits);
  lk_arena_deinit(&arena);
}

/* What is behind a good signature. */
FUZZ(phoenix_verify_signed) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("\x83h\x03"
                "a*n\x06\x00\x00h\xe5\xcf\x8b\x01"
                "b\x00\x01Q\x80"),
    LK_LIT_INIT("\x83h\x02"
                "a*n\x06\x00\x00h\xe5\xcf\x8b\x01"),
    LK_LIT_INIT("\x83h\x03t\x00\x00\x00\x01w\x01"
                "am\x00\x00\x00\x01xn\x06\x00\x00h\xe5\xcf\x8b\x01w\x08infinity"),
    LK_LIT_INIT("\x83t\x00\x00\x00\x02"
                "d\x00\x04"
                "dataa*d\x00\x06signedn\x06\x00\x00h\xe5\xcf\x8b\x01"),
    LK_LIT_INIT("\x83h\x03jn\x06\x00\x00h\xe5\xcf\x8b\x01"
                "F@\x00\x00\x00\x00\x00\x00\x00"),
  };
  uint8_t scratch[256], mac[LK_SHA256_LEN];
  lk_limits limits = lk_limits_default();
  lk_phoenix_key key = make_key(lk_crypto_portable(), &limits);
  lk_phoenix_rules rules = { .skew_ms = LK_PHOENIX_SKEW_MS };
  lk_phoenix_claims claims;
  lk_arena arena;
  lk_buf token;
  lk_slice term = gen_hostile(g, samples, 5, scratch, sizeof scratch);
  lk_arena_init(&arena, test_alloc(), 1u << 20);
  lk_buf_init(&token, test_alloc(), 1u << 20);
  (void)lk_buf_append(&token, LK_LIT("SFMyNTY."));
  CHECK_OK(lk_base64_encode(&token, term, LK_BASE64_FORM_URL));
  CHECK_OK(lk_crypto_hmac_sha256(key.crypto, lk_slice_of(key.bytes, key.len), lk_buf_slice(&token),
                                 mac));
  (void)lk_buf_append_u8(&token, '.');
  CHECK_OK(lk_base64_encode(&token, lk_slice_of(mac, sizeof mac), LK_BASE64_FORM_URL));
  lk_err err = lk_phoenix_verify(&key, lk_buf_slice(&token), NOW, &rules, &arena, &claims);
  check_result(err, &claims, &limits);
  lk_buf_deinit(&token);
  lk_arena_deinit(&arena);
}
