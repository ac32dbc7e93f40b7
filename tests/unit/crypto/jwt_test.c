/* JSON Web Tokens: what is accepted, and a matrix of forgeries that are not. */
#include "crypto/jwt.h"

#include "codec/base64.h"
#include "harness/test.h"
#include "platform/providers/crypto_native.h"

#define NOW_S 1700000000
#define NOW_MS ((int64_t)NOW_S * 1000)
#define SECRET LK_LIT("0123456789abcdef0123456789abcdef")
#define HS_HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define ED_HEADER "{\"alg\":\"EdDSA\",\"typ\":\"JWT\"}"
#define CLAIMS "{\"sub\":\"alice\",\"exp\":1700000060}"

typedef struct fixture {
  lk_crypto_native *native;
  const lk_crypto *crypto;
  lk_limits limits;
  lk_ed25519_key pair;
  lk_jwt_key keys[2]; /* HS256 and Ed25519, both without a name */
  lk_jwt_rules rules;
  lk_arena arena;
  lk_buf token;
} fixture;

static void setup(fixture *f) {
  static const uint8_t seed[LK_ED25519_SEED_LEN] = { 1, 2, 3 };
  CHECK_OK(lk_crypto_native_open(test_alloc(), &f->native));
  f->crypto = lk_crypto_native_table(f->native);
  f->limits = lk_limits_default();
  CHECK_OK(lk_crypto_ed25519_key(f->crypto, seed, &f->pair));
  CHECK_OK(lk_jwt_key_init_hs256(&f->keys[0], LK_SLICE_EMPTY, SECRET));
  lk_jwt_key_init_ed25519(&f->keys[1], LK_SLICE_EMPTY, f->pair.public_key);
  f->rules = (lk_jwt_rules){ .keys = f->keys, .key_count = 2 };
  lk_arena_init(&f->arena, test_alloc(), 1u << 20);
  lk_buf_init(&f->token, test_alloc(), 1u << 20);
}

static void teardown(fixture *f) {
  lk_arena_deinit(&f->arena);
  lk_buf_deinit(&f->token);
  lk_crypto_native_close(f->native);
}

/* ---- making tokens ---- */

static void begin_token(fixture *f, const char *header, const char *claims) {
  lk_buf_truncate(&f->token, 0);
  CHECK_OK(lk_base64_encode(&f->token, lk_slice_cstr(header), LK_BASE64_FORM_URL));
  (void)lk_buf_append_u8(&f->token, '.');
  CHECK_OK(lk_base64_encode(&f->token, lk_slice_cstr(claims), LK_BASE64_FORM_URL));
}

static void end_token(fixture *f, lk_slice signature) {
  (void)lk_buf_append_u8(&f->token, '.');
  CHECK_OK(lk_base64_encode(&f->token, signature, LK_BASE64_FORM_URL));
}

static lk_slice make_hs256(fixture *f, const char *header, const char *claims, lk_slice secret) {
  uint8_t mac[LK_SHA256_LEN];
  begin_token(f, header, claims);
  CHECK_OK(lk_crypto_hmac_sha256(f->crypto, secret, lk_buf_slice(&f->token), mac));
  end_token(f, lk_slice_of(mac, sizeof mac));
  return lk_buf_slice(&f->token);
}

static lk_slice make_ed25519(fixture *f, const char *header, const char *claims) {
  uint8_t signature[LK_ED25519_SIGNATURE_LEN];
  begin_token(f, header, claims);
  CHECK_OK(lk_crypto_ed25519_sign(f->crypto, &f->pair, lk_buf_slice(&f->token), signature));
  end_token(f, lk_slice_of(signature, sizeof signature));
  return lk_buf_slice(&f->token);
}

static lk_err verify(fixture *f, lk_slice token, lk_jwt_claims *out) {
  lk_arena_mark before = lk_arena_get_mark(&f->arena);
  lk_err err = lk_jwt_verify(&f->rules, f->crypto, &f->limits, token, NOW_MS, &f->arena, out);
  lk_arena_mark after = lk_arena_get_mark(&f->arena);
  if (err != LK_OK) CHECK(before.pos == after.pos && before.chunk == after.chunk);
  return err;
}

/* Of a genuine token with these claims. */
static lk_err verify_claims(fixture *f, const char *claims) {
  lk_jwt_claims out;
  test_note("%s", claims);
  return verify(f, make_hs256(f, HS_HEADER, claims, SECRET), &out);
}

static lk_err verify_header(fixture *f, const char *header) {
  lk_jwt_claims out;
  test_note("%s", header);
  return verify(f, make_hs256(f, header, CLAIMS, SECRET), &out);
}

/* ---- what is accepted ---- */

/* RFC 7515 appendix A.1; its secret is 64 bytes, its header and payload have line breaks. */
TEST(jwt_the_example_of_the_rfc_is_accepted_in_its_time) {
  fixture f;
  lk_jwt_claims claims;
  lk_buf secret;
  setup(&f);
  lk_buf_init(&secret, test_alloc(), 100);
  CHECK_OK(lk_base64_decode(&secret,
                            LK_LIT("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0"
                                   "iPS4hcgUuTwjAzZr1Z9CAow"),
                            LK_BASE64_FORM_URL));
  CHECK_OK(lk_jwt_key_init_hs256(&f.keys[0], LK_SLICE_EMPTY, lk_buf_slice(&secret)));
  lk_slice token = LK_LIT(
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAs"
      "DQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1g"
      "FWFOEjXk");
  f.rules.issuer = LK_LIT("joe");
  CHECK_OK(lk_jwt_verify(&f.rules, f.crypto, &f.limits, token, 1300819379999, &f.arena, &claims));
  CHECK(lk_slice_starts_with(claims.json, LK_LIT("{\"iss\":\"joe\",\r\n")));
  CHECK_I64(claims.expires_at_ms, 1300819380000);
  CHECK_U64(claims.subject.len, 0);
  CHECK_ERR(lk_jwt_verify(&f.rules, f.crypto, &f.limits, token, 1300819380000, &f.arena, &claims),
            LK_ERR_TOKEN_EXPIRED);
  lk_buf_deinit(&secret);
  teardown(&f);
}

/* RFC 7515 appendix A.3. */
TEST(jwt_the_example_of_the_rfc_for_es256_is_accepted_in_its_time) {
  fixture f;
  lk_jwt_claims claims;
  lk_buf point;
  setup(&f);
  lk_buf_init(&point, test_alloc(), LK_P256_PUBLIC_LEN);
  (void)lk_buf_append_u8(&point, 4);
  CHECK_OK(lk_base64_decode(&point, LK_LIT("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
                            LK_BASE64_FORM_URL));
  CHECK_OK(lk_base64_decode(&point, LK_LIT("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
                            LK_BASE64_FORM_URL));
  lk_jwt_key_init_es256(&f.keys[1], LK_SLICE_EMPTY, point.ptr);
  lk_slice token = LK_LIT(
      "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGx"
      "lLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8I"
      "SlSApmWQxfKTUJqPP3-Kg6NU1Q");
  CHECK_OK(lk_jwt_verify(&f.rules, f.crypto, &f.limits, token, 1300819379999, &f.arena, &claims));
  CHECK(claims.key == &f.keys[1]);
  CHECK_ERR(lk_jwt_verify(&f.rules, f.crypto, &f.limits, token, 1300819380000, &f.arena, &claims),
            LK_ERR_TOKEN_EXPIRED);
  f.keys[1].public_key[64] ^= 1; /* no point of the curve */
  CHECK_ERR(lk_jwt_verify(&f.rules, f.crypto, &f.limits, token, 1300819379999, &f.arena, &claims),
            LK_ERR_TOKEN_INVALID);
  lk_buf_deinit(&point);
  teardown(&f);
}

TEST(jwt_each_key_vouches_for_tokens_of_its_algorithm) {
  fixture f;
  lk_jwt_claims claims;
  setup(&f);
  CHECK_OK(verify(&f, make_hs256(&f, HS_HEADER, CLAIMS, SECRET), &claims));
  CHECK(claims.key == &f.keys[0]);
  CHECK_TEXT(claims.json, CLAIMS);
  CHECK_TEXT(claims.subject, "alice");
  CHECK_I64(claims.expires_at_ms, NOW_MS + 60000);
  CHECK_OK(verify(&f, make_ed25519(&f, ED_HEADER, CLAIMS), &claims));
  CHECK(claims.key == &f.keys[1]);
  CHECK_OK(verify(&f, make_ed25519(&f, "{\"alg\":\"Ed25519\"}", CLAIMS), &claims));
  teardown(&f);
}

TEST(jwt_kid_chooses_among_keys_of_one_algorithm) {
  fixture f;
  lk_jwt_claims claims;
  lk_jwt_key keys[3];
  lk_slice other = LK_LIT("another secret of 32 bytes or so");
  setup(&f);
  CHECK_OK(lk_jwt_key_init_hs256(&keys[0], LK_LIT("a"), SECRET));
  CHECK_OK(lk_jwt_key_init_hs256(&keys[1], LK_LIT("b"), other));
  lk_jwt_key_init_ed25519(&keys[2], LK_LIT("c"), f.pair.public_key);
  f.rules.keys = keys;
  f.rules.key_count = 3;
  CHECK_OK(verify_header(&f, "{\"alg\":\"HS256\",\"kid\":\"a\"}"));
  CHECK_ERR(verify_header(&f, "{\"alg\":\"HS256\",\"kid\":\"b\"}"), LK_ERR_TOKEN_INVALID);
  CHECK_ERR(verify_header(&f, "{\"alg\":\"HS256\",\"kid\":\"c\"}"), LK_ERR_TOKEN_INVALID);
  CHECK_ERR(verify_header(&f, "{\"alg\":\"HS256\",\"kid\":\"\"}"), LK_ERR_TOKEN_INVALID);
  CHECK_ERR(verify_header(&f, "{\"alg\":\"EdDSA\",\"kid\":\"a\"}"), LK_ERR_TOKEN_INVALID);
  CHECK_OK(
      verify(&f, make_hs256(&f, HS_HEADER, CLAIMS, other), &claims)); /* no kid: all are tried */
  CHECK(claims.key == &keys[1]);
  teardown(&f);
}

TEST(jwt_without_keys_nothing_is_accepted) {
  fixture f;
  setup(&f);
  f.rules.key_count = 0;
  CHECK_ERR(verify_header(&f, HS_HEADER), LK_ERR_TOKEN_INVALID);
  teardown(&f);
}

TEST(jwt_secrets_that_are_short_or_public_are_refused) {
  lk_jwt_key key;
  CHECK_ERR(lk_jwt_key_init_hs256(&key, LK_SLICE_EMPTY, lk_slice_first(SECRET, 31)), LK_ERR_KEY);
  CHECK_ERR(lk_jwt_key_init_hs256(&key, LK_SLICE_EMPTY,
                                  LK_LIT("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n")),
            LK_ERR_KEY);
  CHECK_U64(key.secret.len, 0);
}

/* ---- claims ---- */

TEST(jwt_times_are_compared_with_the_leeway_and_no_more) {
  fixture f;
  setup(&f);
  CHECK_OK(verify_claims(&f, "{\"exp\":1700000000.001}"));
  CHECK_ERR(verify_claims(&f, "{\"exp\":1700000000}"), LK_ERR_TOKEN_EXPIRED);
  CHECK_ERR(verify_claims(&f, "{\"exp\":-1e300}"), LK_ERR_TOKEN_EXPIRED);
  CHECK_OK(verify_claims(&f, "{\"exp\":1e300}"));
  CHECK_OK(verify_claims(&f, "{\"exp\":1e300,\"nbf\":1700000000,\"iat\":1700000000}"));
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300,\"nbf\":1700000001}"), LK_ERR_TOKEN_CLAIMS);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300,\"iat\":1700000001}"), LK_ERR_TOKEN_CLAIMS);
  f.rules.leeway_s = 10;
  CHECK_OK(verify_claims(&f, "{\"exp\":1699999990.001,\"nbf\":1700000010,\"iat\":1700000010}"));
  CHECK_ERR(verify_claims(&f, "{\"exp\":1699999990}"), LK_ERR_TOKEN_EXPIRED);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300,\"nbf\":1700000010.5}"), LK_ERR_TOKEN_CLAIMS);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300,\"iat\":1700000010.5}"), LK_ERR_TOKEN_CLAIMS);
  teardown(&f);
}

TEST(jwt_times_that_are_no_numbers_are_invalid) {
  fixture f;
  setup(&f);
  CHECK_ERR(verify_claims(&f, "{\"exp\":\"1800000000\"}"), LK_ERR_TOKEN_INVALID);
  CHECK_ERR(verify_claims(&f, "{\"exp\":null}"), LK_ERR_TOKEN_INVALID);
  CHECK_ERR(verify_claims(&f, "{\"exp\":[1800000000]}"), LK_ERR_TOKEN_INVALID);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e999}"), LK_ERR_TOKEN_INVALID);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300,\"nbf\":false}"), LK_ERR_TOKEN_INVALID);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300,\"iat\":\"\"}"), LK_ERR_TOKEN_INVALID);
  teardown(&f);
}

TEST(jwt_without_an_end_is_accepted_only_where_the_rules_say_so) {
  fixture f;
  lk_jwt_claims claims;
  setup(&f);
  CHECK_ERR(verify_claims(&f, "{}"), LK_ERR_TOKEN_CLAIMS);
  f.rules.allows_no_exp = true;
  CHECK_OK(verify(&f, make_hs256(&f, HS_HEADER, "{}", SECRET), &claims));
  CHECK_I64(claims.expires_at_ms, LK_JWT_FOREVER);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1}"), LK_ERR_TOKEN_EXPIRED);
  teardown(&f);
}

TEST(jwt_is_for_its_audience_and_no_other) {
  fixture f;
  setup(&f);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300,\"aud\":\"us\"}"), LK_ERR_TOKEN_CLAIMS);
  f.rules.audience = LK_LIT("us");
  CHECK_OK(verify_claims(&f, "{\"exp\":1e300,\"aud\":\"us\"}"));
  CHECK_OK(verify_claims(&f, "{\"exp\":1e300,\"aud\":[\"them\",1,\"\\u0075s\"]}"));
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300}"), LK_ERR_TOKEN_CLAIMS);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300,\"aud\":\"\"}"), LK_ERR_TOKEN_CLAIMS);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300,\"aud\":\"us \"}"), LK_ERR_TOKEN_CLAIMS);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300,\"aud\":[]}"), LK_ERR_TOKEN_CLAIMS);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300,\"aud\":[[\"us\"]]}"), LK_ERR_TOKEN_CLAIMS);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300,\"aud\":[{\"us\":\"us\"}]}"), LK_ERR_TOKEN_CLAIMS);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300,\"aud\":{\"us\":\"us\"}}"), LK_ERR_TOKEN_CLAIMS);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300,\"aud\":null}"), LK_ERR_TOKEN_CLAIMS);
  teardown(&f);
}

TEST(jwt_is_of_its_issuer_and_no_other) {
  fixture f;
  setup(&f);
  CHECK_OK(verify_claims(&f, "{\"exp\":1e300,\"iss\":\"anyone\"}"));
  f.rules.issuer = LK_LIT("https://login");
  CHECK_OK(verify_claims(&f, "{\"exp\":1e300,\"iss\":\"https://login\"}"));
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300}"), LK_ERR_TOKEN_CLAIMS);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300,\"iss\":\"https://login/\"}"), LK_ERR_TOKEN_CLAIMS);
  CHECK_ERR(verify_claims(&f, "{\"exp\":1e300,\"iss\":[\"https://login\"]}"), LK_ERR_TOKEN_CLAIMS);
  teardown(&f);
}

TEST(jwt_payloads_that_are_no_plain_object_are_invalid) {
  static const char *const payloads[] = {
    "",
    "1",
    "null",
    "[]",
    "\"exp\"",
    "{\"exp\":1e300",
    "{\"exp\":1e300}x",
    "{\"exp\":1e300,}",
    "{\"exp\":1e300,\"exp\":1e300}",
    "{\"exp\":1e300,\"a\":{\"b\":1,\"b\":1}}",
    "{\"exp\":1,\"\\u0065xp\":1e300}",
    "{\"exp\":1e300,\"sub\":7}",
    "{\"exp\":1e300,\"sub\":\"\xff\"}",
  };
  fixture f;
  setup(&f);
  for (size_t i = 0; i < sizeof payloads / sizeof *payloads; i++) {
    CHECK_ERR(verify_claims(&f, payloads[i]), LK_ERR_TOKEN_INVALID);
  }
  teardown(&f);
}

TEST(jwt_an_empty_text_is_missing_and_a_long_one_too_big) {
  fixture f;
  lk_jwt_claims claims;
  setup(&f);
  CHECK_ERR(verify(&f, LK_SLICE_EMPTY, &claims), LK_ERR_TOKEN_MISSING);
  lk_slice token = make_hs256(&f, HS_HEADER, CLAIMS, SECRET);
  f.limits.token_bytes = (uint32_t)token.len;
  CHECK_OK(verify(&f, token, &claims));
  f.limits.token_bytes--;
  CHECK_ERR(verify(&f, token, &claims), LK_ERR_TOO_BIG);
  teardown(&f);
}

TEST(jwt_a_provider_without_the_algorithm_says_nothing_about_the_token) {
  fixture f;
  lk_jwt_claims claims;
  setup(&f);
  lk_slice token = make_ed25519(&f, ED_HEADER, CLAIMS);
  f.crypto = lk_crypto_portable();
  CHECK_ERR(verify(&f, token, &claims), LK_ERR_UNSUPPORTED);
  teardown(&f);
}

TEST(jwt_every_failed_allocation_is_told_and_undone) {
  fixture f;
  setup(&f);
  f.rules.audience = LK_LIT("us");
  lk_slice token = make_hs256(
      &f, HS_HEADER, "{\"sub\":\"al\\u0069ce\",\"exp\":1e300,\"aud\":[\"\\u0075s\"]}", SECRET);
  FAULT_LOOP(faults, test_alloc()) {
    lk_arena arena;
    lk_jwt_claims claims;
    lk_arena_init(&arena, faulty_alloc(&faults), 1u << 16);
    lk_err err = lk_jwt_verify(&f.rules, f.crypto, &f.limits, token, NOW_MS, &arena, &claims);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (err == LK_OK) CHECK_TEXT(claims.subject, "alice");
    lk_arena_deinit(&arena);
  }
  teardown(&f);
}

/* ---- the matrix of forgeries ----
 *
 * Goal: nobody without a key makes a token. Method: what an attacker can do with a genuine token, with the
 * public key, and with what libraries have fallen for; each must be refused. They are counted, so that
 * a generator that makes nothing is seen. */

typedef struct forger {
  fixture *f;
  unsigned count;
} forger;

static void refuse(forger *self, lk_slice token) {
  lk_jwt_claims claims = { 0 };
  lk_err err = verify(self->f, token, &claims);
  CHECK(err == LK_ERR_TOKEN_INVALID || err == LK_ERR_TOKEN_MISSING);
  CHECK(claims.json.ptr == NULL && claims.key == NULL);
  self->count++;
}

/* Each character changed to its neighbours in the alphabet and to strangers; each beginning; each
 * character left out or doubled. */
static void forge_characters(forger *self, lk_slice token) {
  static const char strangers[] = "A-_.=+/ \n\x80\xff";
  uint8_t copy[512];
  CHECK(token.len + 1 < sizeof copy);
  memcpy(copy, token.ptr, token.len);
  for (size_t k = 0; k < sizeof strangers; k++) {
    copy[token.len] = (uint8_t)strangers[k];
    refuse(self, lk_slice_of(copy, token.len + 1));
  }
  for (size_t i = 0; i < token.len; i++) {
    test_note("character %zu", i);
    for (size_t k = 0; k < sizeof strangers + 8; k++) {
      memcpy(copy, token.ptr, token.len);
      if (k < 8) copy[i] ^= (uint8_t)(1u << k);
      else copy[i] = (uint8_t)strangers[k - 8];
      if (copy[i] != token.ptr[i]) refuse(self, lk_slice_of(copy, token.len));
    }
    refuse(self, lk_slice_first(token, i));
    refuse(self, lk_slice_skip(token, i + 1));
    memcpy(copy, token.ptr, i);
    memcpy(copy + i, token.ptr + i + 1, token.len - i - 1);
    refuse(self, lk_slice_of(copy, token.len - 1));
    memcpy(copy + i + 1, token.ptr + i, token.len - i);
    copy[i] = token.ptr[i];
    refuse(self, lk_slice_of(copy, token.len + 1));
  }
}

/* Headers that must never be believed, whoever signs. */
static const char *const evil_headers[] = {
  "{\"alg\":\"none\"}",
  "{\"alg\":\"None\"}",
  "{\"alg\":\"NONE\"}",
  "{\"alg\":\"nOnE\"}",
  "{\"alg\":\"none\",\"typ\":\"JWT\"}",
  "{\"typ\":\"JWT\"}",
  "{}",
  "{\"alg\":\"\"}",
  "{\"alg\":null}",
  "{\"alg\":true}",
  "{\"alg\":0}",
  "{\"alg\":[\"HS256\"]}",
  "{\"alg\":{\"HS256\":\"HS256\"}}",
  "{\"alg\":\"hs256\"}",
  "{\"alg\":\"HS256 \"}",
  "{\"alg\":\" HS256\"}",
  "{\"alg\":\"HS256\\u0000\"}",
  "{\"ALG\":\"HS256\"}",
  "{\"alg\":\"HS384\"}",
  "{\"alg\":\"HS512\"}",
  "{\"alg\":\"HS1\"}",
  "{\"alg\":\"RS256\"}",
  "{\"alg\":\"RS384\"}",
  "{\"alg\":\"RS512\"}",
  "{\"alg\":\"PS256\"}",
  "{\"alg\":\"PS384\"}",
  "{\"alg\":\"PS512\"}",
  "{\"alg\":\"ES256\"}",
  "{\"alg\":\"ES256K\"}",
  "{\"alg\":\"ES384\"}",
  "{\"alg\":\"ES512\"}",
  "{\"alg\":\"Ed448\"}",
  "{\"alg\":\"eddsa\"}",
  "{\"alg\":\"dir\"}",
  "{\"alg\":\"A256GCM\"}",
  "{\"alg\":\"HS256\",\"alg\":\"none\"}",
  "{\"alg\":\"none\",\"alg\":\"HS256\"}",
  "{\"alg\":\"none\",\"\\u0061lg\":\"HS256\"}",
  "{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}",
  "{\"alg\":\"HS256\",\"crit\":[]}",
  "{\"alg\":\"HS256\",\"b64\":false,\"crit\":[\"b64\"]}",
  "{\"alg\":\"HS256\",\"crit\":null}",
  "{\"alg\":\"HS256\",\"kid\":7}",
  "{\"alg\":\"HS256\",\"kid\":null}",
  "{\"alg\":\"HS256\",\"kid\":[\"a\"]}",
  "{\"alg\":\"HS256\",\"typ\":\"JWE\"}",
  "{\"alg\":\"HS256\",\"typ\":7}",
  "{\"alg\":\"HS256\"}{}",
  "{\"alg\":\"HS256\"} x",
  "[\"HS256\"]",
  "\"HS256\"",
  "HS256",
  "",
  "{\"alg\":\"HS256\"",
  "\xef\xbb\xbf{\"alg\":\"HS256\"}",
};

/* Each of them without a signature, with an empty one, with the secret's and with the public key's. */
static void forge_headers(forger *self) {
  fixture *f = self->f;
  lk_slice public_key = lk_slice_of(f->pair.public_key, LK_ED25519_PUBLIC_LEN);
  for (size_t i = 0; i < sizeof evil_headers / sizeof *evil_headers; i++) {
    const char *header = evil_headers[i];
    test_note("%s", header);
    begin_token(f, header, CLAIMS);
    refuse(self, lk_buf_slice(&f->token));
    CHECK_OK(lk_buf_append_u8(&f->token, '.'));
    refuse(self, lk_buf_slice(&f->token));
    refuse(self, make_hs256(f, header, CLAIMS, SECRET));
    refuse(self, make_hs256(f, header, CLAIMS, public_key));
    refuse(self, make_hs256(f, header, CLAIMS, LK_SLICE_EMPTY));
    refuse(self, make_ed25519(f, header, CLAIMS));
  }
}

/* Good headers, and keys that the server does not have for that algorithm. */
static void forge_keys(forger *self) {
  fixture *f = self->f;
  uint8_t zero[LK_ED25519_SIGNATURE_LEN] = { 0 };
  lk_slice public_key = lk_slice_of(f->pair.public_key, LK_ED25519_PUBLIC_LEN);
  static const char *const headers[] = {
    HS_HEADER,
    ED_HEADER,
    "{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}",
    "{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}",
    "{\"alg\":\"EdDSA\",\"jku\":\"https://evil\"}",
    "{\"alg\":\"EdDSA\",\"x5c\":[\"AAAA\"]}",
  };
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
    test_note("%s", headers[i]);
    refuse(self, make_hs256(f, headers[i], CLAIMS, public_key));
    refuse(self, make_hs256(f, headers[i], CLAIMS, LK_SLICE_EMPTY));
    refuse(self, make_hs256(f, headers[i], CLAIMS, lk_slice_of(zero, 32)));
    refuse(self, make_hs256(f, headers[i], CLAIMS, LK_LIT("secret")));
    for (size_t len = 0; len <= sizeof zero; len++) {
      begin_token(f, headers[i], CLAIMS);
      end_token(f, lk_slice_of(zero, len));
      refuse(self, lk_buf_slice(&f->token));
    }
  }
  refuse(self, make_ed25519(f, HS_HEADER, CLAIMS));
  refuse(self, make_hs256(f, ED_HEADER, CLAIMS, SECRET));
}

/* The signature of a genuine token under other claims, and the claims under another's signature. */
static void forge_claims(forger *self, lk_slice genuine) {
  static const char *const claims[] = {
    "{\"sub\":\"admin\",\"exp\":1700000060}",
    "{\"sub\":\"alice\",\"exp\":9700000060}",
    "{\"sub\":\"alice\"}",
    "{}",
    "{\"sub\":\"alice\",\"exp\":1700000060,\"admin\":true}",
    "{\"exp\":1700000060,\"sub\":\"alice\"}",
    "{\"sub\":\"alice\", \"exp\":1700000060}",
  };
  fixture *f = self->f;
  uint8_t copy[512];
  CHECK(genuine.len < sizeof copy);
  memcpy(copy, genuine.ptr, genuine.len);
  lk_slice rest, signature = lk_slice_of(copy, genuine.len), header;
  header = lk_slice_cut(signature, '.', &rest);
  (void)lk_slice_cut(rest, '.', &signature);
  for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
    lk_buf_truncate(&f->token, 0);
    (void)lk_buf_append(&f->token, header);
    (void)lk_buf_append_u8(&f->token, '.');
    CHECK_OK(lk_base64_encode(&f->token, lk_slice_cstr(claims[i]), LK_BASE64_FORM_URL));
    (void)lk_buf_append_u8(&f->token, '.');
    CHECK_OK(lk_buf_append(&f->token, signature));
    refuse(self, lk_buf_slice(&f->token));
  }
}

/* Runs |forge| over a copy of a genuine token. */
static void forge_all_of(forger *self, lk_slice token) {
  lk_slice copy = LK_SLICE_EMPTY;
  lk_jwt_claims claims;
  CHECK_OK(lk_arena_copy(&self->f->arena, token, &copy));
  CHECK_OK(verify(self->f, copy, &claims));
  forge_characters(self, copy);
  forge_claims(self, copy);
}

TEST(jwt_no_forgery_of_the_matrix_is_accepted) {
  fixture f;
  forger self = { .f = &f };
  setup(&f);
  forge_all_of(&self, make_hs256(&f, HS_HEADER, CLAIMS, SECRET));
  forge_all_of(&self, make_ed25519(&f, ED_HEADER, CLAIMS));
  forge_headers(&self);
  forge_keys(&self);
  CHECK(self.count >= 3000);
  teardown(&f);
}
