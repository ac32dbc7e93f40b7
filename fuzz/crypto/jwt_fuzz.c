/* Tokens from outside, and headers and claims behind a good signature. */
#include "crypto/jwt.h"

#include "codec/base64.h"
#include "codec/json_reader.h"
#include "harness/test.h"

#define SECRET LK_LIT("0123456789abcdef0123456789abcdef")
#define NOW 1700000000000

static lk_err accept_nothing(void *ctx, const uint8_t *key, lk_slice message,
                             const uint8_t *signature) {
  (void)ctx;
  (void)key;
  (void)message;
  (void)signature;
  return LK_ERR_AUTH;
}

static lk_err verify(lk_slice token, lk_arena *arena, lk_jwt_claims *claims) {
  static const uint8_t public_key[LK_ED25519_PUBLIC_LEN] = { 1 };
  lk_limits limits = lk_limits_default();
  lk_crypto crypto = *lk_crypto_portable();
  lk_jwt_key keys[2];
  crypto.ed25519_verify = accept_nothing;
  CHECK_OK(lk_jwt_key_init_hs256(&keys[0], LK_SLICE_EMPTY, SECRET));
  lk_jwt_key_init_ed25519(&keys[1], LK_LIT("k"), public_key);
  lk_jwt_rules rules = { .keys = keys, .key_count = 2, .audience = LK_LIT("us"), .leeway_s = 60 };
  return lk_jwt_verify(&rules, &crypto, &limits, token, NOW, arena, claims);
}

FUZZ(lk_jwt_verify) {
  static const lk_slice samples[] = {
    LK_LIT_INIT(
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODB9."
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    LK_LIT_INIT(
        "eyJhbGciOiJFZERTQSIsImtpZCI6ImsifQ.e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    LK_LIT_INIT("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."),
  };
  uint8_t scratch[512];
  lk_jwt_claims claims;
  lk_arena arena;
  lk_slice token = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  lk_arena_init(&arena, test_alloc(), 1u << 20);
  lk_err err = verify(token, &arena, &claims);
  CHECK(err == LK_ERR_TOKEN_MISSING || err == LK_ERR_TOKEN_INVALID || err == LK_ERR_TOO_BIG);
  lk_arena_deinit(&arena);
}

/* The hostile text is the header, or the claims behind a good one. */
FUZZ(jwt_verify_signed) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("{\"alg\":\"HS256\",\"kid\":\"k\",\"typ\":\"JWT\"}"),
    LK_LIT_INIT("{\"sub\":\"al\\u0069ce\",\"exp\":1.7000001e9,\"nbf\":1,\"iat\":2,\"aud\":\"us\"}"),
    LK_LIT_INIT("{\"exp\":1800000000,\"aud\":[\"them\",[\"us\"],\"us\"],\"iss\":null}"),
  };
  uint8_t scratch[512], mac[LK_SHA256_LEN];
  lk_limits limits = lk_limits_default();
  lk_jwt_claims claims;
  lk_arena arena;
  lk_buf token;
  bool is_header = gen_bool(g);
  lk_slice text = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  lk_arena_init(&arena, test_alloc(), 1u << 20);
  lk_buf_init(&token, test_alloc(), 1u << 20);
  CHECK_OK(lk_base64_encode(&token, is_header ? text : LK_LIT("{\"alg\":\"HS256\"}"),
                            LK_BASE64_FORM_URL));
  (void)lk_buf_append_u8(&token, '.');
  CHECK_OK(lk_base64_encode(&token, is_header ? samples[1] : text, LK_BASE64_FORM_URL));
  CHECK_OK(lk_crypto_hmac_sha256(lk_crypto_portable(), SECRET, lk_buf_slice(&token), mac));
  (void)lk_buf_append_u8(&token, '.');
  CHECK_OK(lk_base64_encode(&token, lk_slice_of(mac, sizeof mac), LK_BASE64_FORM_URL));
  lk_err err = verify(lk_buf_slice(&token), &arena, &claims);
  if (err == LK_OK) {
    CHECK_OK(lk_json_check(claims.json, &limits, NULL));
    CHECK(claims.expires_at_ms > NOW - 61000);
  } else {
    CHECK(err == LK_ERR_TOKEN_INVALID || err == LK_ERR_TOKEN_EXPIRED || err == LK_ERR_TOKEN_CLAIMS);
  }
  lk_buf_deinit(&token);
  lk_arena_deinit(&arena);
}
