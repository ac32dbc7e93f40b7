/* Phoenix's tokens: the genuine ones, every way to be refused, and ours as others read them. */
#include "crypto/phoenix_token.h"

#include "codec/base64.h"
#include "codec/etf.h"
#include "crypto/sha512.h"
#include "crypto/token_parts.h"
#include "platform/providers/crypto_native.h"
#include "unit/codec/vectors.h"

#define FILE_PATH "tests/vectors/phoenix_token.json"
#define SECRET LK_LIT("laniakealaniakealaniakealaniakealaniakealaniakealaniakealaniakea")
#define SALT LK_LIT("user socket")
#define SIGNED_AT 1700000000000
#define TOKEN                                                                                      \
  LK_LIT("SFMyNTY.g2gDYSpuBgAAaOXPiwFiAAFRgA.ipvH1fI-Vgjjr9nxOURhUoGpxl6EzCPXJVysXuyxsAU")
#define ENCRYPTED                                                                                  \
  LK_LIT("XCP.ZFoXmurKzB3wWiIH65Fc_ZuzsbLEhXywOOZXl3zDxa7JzJp-WHJDVDZTZzUYG6CzXRz_DnEZY0g0ra3PaN_" \
         "8kOs")

static const lk_phoenix_rules strict;

typedef struct fixture {
  lk_crypto_native *native;
  const lk_crypto *crypto;
  lk_limits limits;
  lk_phoenix_key key;
  lk_arena arena;
  lk_buf out;
} fixture;

static void setup(fixture *f) {
  CHECK_OK(lk_crypto_native_open(test_alloc(), &f->native));
  f->crypto = lk_crypto_native_table(f->native);
  f->limits = lk_limits_default();
  CHECK_OK(lk_phoenix_key_init(&f->key, f->crypto, &f->limits, SECRET, SALT, NULL));
  lk_arena_init(&f->arena, test_alloc(), 1u << 20);
  lk_buf_init(&f->out, test_alloc(), 1u << 20);
}

static void teardown(fixture *f) {
  lk_phoenix_key_deinit(&f->key);
  lk_arena_deinit(&f->arena);
  lk_buf_deinit(&f->out);
  lk_crypto_native_close(f->native);
}

/* Verifies, and sees that a failure gave all memory back. */
static lk_err verify_with(fixture *f, lk_slice token, int64_t now, const lk_phoenix_rules *rules,
                          lk_phoenix_claims *out) {
  lk_arena_mark before = lk_arena_get_mark(&f->arena);
  lk_err err = lk_phoenix_is_encrypted(token)
                   ? lk_phoenix_decrypt(&f->key, token, now, rules, &f->arena, out)
                   : lk_phoenix_verify(&f->key, token, now, rules, &f->arena, out);
  lk_arena_mark after = lk_arena_get_mark(&f->arena);
  if (err != LK_OK) CHECK(before.pos == after.pos && before.chunk == after.chunk);
  return err;
}

static lk_err verify(fixture *f, lk_slice token, int64_t now) {
  lk_phoenix_claims claims;
  return verify_with(f, token, now, &strict, &claims);
}

/* ---- the vectors ---- */

TEST(phoenix_keys_are_derived_as_plug_crypto_does) {
  lk_json_member m[] = { VECTORS_FIELD("secret"), VECTORS_FIELD("salt"),
                         VECTORS_FIELD("iterations"), VECTORS_FIELD("digest"),
                         VECTORS_FIELD("key") };
  lk_limits limits = lk_limits_default();
  vectors v;
  vectors_open(&v, FILE_PATH, LK_LIT("keys"));
  while (vectors_next(&v, m, 5)) {
    uint64_t digest = vectors_u64(&m[3]);
    lk_phoenix_key key;
    lk_phoenix_key_options options = {
      .iterations = (uint32_t)vectors_u64(&m[2]),
      .length = 32,
      .digest = digest == 256   ? LK_PHOENIX_SHA256
                : digest == 384 ? LK_PHOENIX_SHA384
                                : LK_PHOENIX_SHA512,
    };
    CHECK_OK(lk_phoenix_key_init(&key, lk_crypto_portable(), &limits, vectors_text(&m[0]),
                                 vectors_text(&m[1]), &options));
    CHECK_SLICE(lk_slice_of(key.bytes, key.len), vectors_hex(&v, &m[4]));
    lk_phoenix_key_deinit(&key);
    CHECK_U64(key.len, 0);
  }
  vectors_close(&v);
}

TEST(phoenix_genuine_tokens_say_what_was_signed) {
  lk_json_member m[] = { VECTORS_FIELD("token"), VECTORS_FIELD("json") };
  fixture f;
  vectors v;
  lk_phoenix_claims claims;
  setup(&f);
  vectors_open(&v, FILE_PATH, LK_LIT("signed"));
  while (vectors_next(&v, m, 2)) {
    CHECK_OK(verify_with(&f, vectors_text(&m[0]), SIGNED_AT, &strict, &claims));
    CHECK_SLICE(claims.json, vectors_text(&m[1]));
    CHECK_I64(claims.signed_at_ms, SIGNED_AT);
    CHECK_I64(claims.expires_at_ms, SIGNED_AT + 86400000);
  }
  CHECK_U64(v.count, 10);
  vectors_close(&v);
  teardown(&f);
}

TEST(phoenix_our_tokens_are_the_genuine_ones_where_there_are_no_atoms) {
  lk_json_member m[] = { VECTORS_FIELD("token"), VECTORS_FIELD("json"), VECTORS_FIELD("same") };
  lk_phoenix_stamp stamp = { SIGNED_AT, LK_PHOENIX_MAX_AGE_S };
  fixture f;
  vectors v;
  lk_phoenix_claims claims;
  setup(&f);
  vectors_open(&v, FILE_PATH, LK_LIT("signed"));
  while (vectors_next(&v, m, 3)) {
    lk_buf_truncate(&f.out, 0);
    CHECK_OK(lk_phoenix_sign(&f.key, vectors_text(&m[1]), stamp, &f.out));
    if (vectors_bool(&m[2])) CHECK_SLICE(lk_buf_slice(&f.out), vectors_text(&m[0]));
    CHECK_OK(verify_with(&f, lk_buf_slice(&f.out), SIGNED_AT, &strict, &claims));
    CHECK_SLICE(claims.json, vectors_text(&m[1]));
  }
  vectors_close(&v);
  teardown(&f);
}

TEST(phoenix_genuine_encrypted_tokens_are_decrypted) {
  lk_json_member m[] = { VECTORS_FIELD("token"), VECTORS_FIELD("json") };
  fixture f;
  vectors v;
  lk_phoenix_claims claims;
  setup(&f);
  vectors_open(&v, FILE_PATH, LK_LIT("encrypted"));
  while (vectors_next(&v, m, 2)) {
    CHECK_OK(verify_with(&f, vectors_text(&m[0]), INT64_MAX, &strict, &claims));
    CHECK_SLICE(claims.json, vectors_text(&m[1]));
    CHECK_I64(claims.expires_at_ms, LK_PHOENIX_FOREVER);
  }
  vectors_close(&v);
  teardown(&f);
}

TEST(phoenix_results_have_the_names_of_genuine_phoenix) {
  lk_json_member m[] = { VECTORS_FIELD("token"), VECTORS_FIELD("salt"), VECTORS_FIELD("now"),
                         VECTORS_FIELD("error") };
  fixture f;
  vectors v;
  setup(&f);
  vectors_open(&v, FILE_PATH, LK_LIT("results"));
  while (vectors_next(&v, m, 4)) {
    CHECK_OK(lk_phoenix_key_init(&f.key, f.crypto, &f.limits, SECRET, vectors_text(&m[1]), NULL));
    lk_err err = verify(&f, vectors_text(&m[0]), (int64_t)vectors_u64(&m[2]));
    lk_slice name = lk_slice_cstr(lk_err_name(err));
    if (vectors_has(&m[3])) CHECK_SLICE(name, vectors_text(&m[3]));
    else CHECK_OK(err);
  }
  vectors_close(&v);
  teardown(&f);
}

/* The genuine HS512 line signs "hi", which is no term: its signature is good and the token is not. */
TEST(phoenix_the_genuine_hs512_signature_is_ours) {
  lk_json_member m[] = { VECTORS_FIELD("token"), VECTORS_FIELD("key") };
  uint8_t mac[LK_SHA512_LEN];
  lk_hmac_sha512 hmac;
  lk_token_parts parts;
  lk_slice wanted;
  fixture f;
  vectors v;
  setup(&f);
  vectors_open(&v, FILE_PATH, LK_LIT("mac"));
  while (vectors_next(&v, m, 2)) {
    CHECK_OK(lk_token_parts_of(vectors_text(&m[0]), 1000, &parts));
    CHECK_OK(lk_token_parts_bytes(parts.signature, &f.arena, &wanted));
    lk_hmac_sha512_init(&hmac, LK_SHA512_LEN, vectors_text(&m[1]));
    lk_hmac_sha512_update(&hmac, parts.signed_text);
    lk_hmac_sha512_final(&hmac, mac);
    CHECK_SLICE(lk_slice_of(mac, sizeof mac), wanted);
  }
  vectors_close(&v);
  teardown(&f);
}

/* ---- forgeries ---- */

/* Goal: nobody can change a token. Method: each character replaced by every other one that may
 * stand in a token, and by some that may not; each beginning; each piece left out. */
static void check_unforgeable(fixture *f, lk_slice token) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                                ".=+/ \n\x80";
  uint8_t copy[256];
  CHECK(token.len < sizeof copy);
  memcpy(copy, token.ptr, token.len);
  for (size_t k = 0; k < sizeof letters; k++) { /* "=" is padding, and as forbidden as the rest */
    copy[token.len] = (uint8_t)letters[k];
    CHECK_ERR(verify(f, lk_slice_of(copy, token.len + 1), SIGNED_AT), LK_ERR_TOKEN_INVALID);
  }
  for (size_t i = 0; i < token.len; i++) {
    for (size_t k = 0; k < sizeof letters; k++) {
      memcpy(copy, token.ptr, token.len);
      if (copy[i] == (uint8_t)letters[k]) continue;
      copy[i] = (uint8_t)letters[k];
      test_note("character %zu is %c", i, letters[k]);
      CHECK_ERR(verify(f, lk_slice_of(copy, token.len), SIGNED_AT), LK_ERR_TOKEN_INVALID);
    }
    lk_err want = i == 0 ? LK_ERR_TOKEN_MISSING : LK_ERR_TOKEN_INVALID;
    CHECK_ERR(verify(f, lk_slice_first(token, i), SIGNED_AT), want);
    memcpy(copy, token.ptr, token.len);
    memmove(copy + i, copy + i + 1, token.len - i - 1);
    CHECK_ERR(verify(f, lk_slice_of(copy, token.len - 1), SIGNED_AT), LK_ERR_TOKEN_INVALID);
  }
}

TEST(phoenix_signed_tokens_with_any_character_changed_are_invalid) {
  fixture f;
  setup(&f);
  CHECK_OK(verify(&f, TOKEN, SIGNED_AT));
  check_unforgeable(&f, TOKEN);
  teardown(&f);
}

TEST(phoenix_encrypted_tokens_with_any_character_changed_are_invalid) {
  fixture f;
  setup(&f);
  CHECK_OK(verify(&f, ENCRYPTED, SIGNED_AT));
  check_unforgeable(&f, ENCRYPTED);
  teardown(&f);
}

/* |text| signed with HMAC-SHA-384 or 512 under the fixture's key. */
static void sign_with(fixture *f, lk_slice header, size_t len) {
  uint8_t mac[LK_SHA512_LEN];
  lk_hmac_sha512 hmac;
  lk_buf_truncate(&f->out, 0);
  (void)lk_buf_append(&f->out, header);
  CHECK_OK(lk_buf_append(&f->out, LK_LIT(".g2gDYSpuBgAAaOXPiwFiAAFRgA")));
  lk_hmac_sha512_init(&hmac, len, lk_slice_of(f->key.bytes, f->key.len));
  lk_hmac_sha512_update(&hmac, lk_buf_slice(&f->out));
  lk_hmac_sha512_final(&hmac, mac);
  (void)lk_buf_append_u8(&f->out, '.');
  CHECK_OK(lk_base64_encode(&f->out, lk_slice_of(mac, len), LK_BASE64_FORM_URL));
}

TEST(phoenix_the_verifier_and_not_the_token_chooses_the_hmac) {
  static const lk_slice headers[] = { LK_LIT_INIT("SFMyNTY"), LK_LIT_INIT("SFMzODQ"),
                                      LK_LIT_INIT("SFM1MTI") };
  fixture f;
  lk_phoenix_claims claims;
  setup(&f);
  for (unsigned header = 0; header < 3; header++) {
    for (unsigned made = 1; made < 3; made++) {
      sign_with(&f, headers[header], made == 1 ? LK_SHA384_LEN : LK_SHA512_LEN);
      for (unsigned asked = 0; asked < 3; asked++) {
        lk_phoenix_rules rules = { .digest = (lk_phoenix_digest)asked };
        bool good = header == made && asked == made;
        CHECK_ERR(verify_with(&f, lk_buf_slice(&f.out), SIGNED_AT, &rules, &claims),
                  good ? LK_OK : LK_ERR_TOKEN_INVALID);
      }
    }
  }
  teardown(&f);
}

TEST(phoenix_encrypted_tokens_shorter_than_nonce_and_tag_are_invalid) {
  static const uint8_t zeroes[LK_XCHACHA20_NONCE_LEN + LK_AEAD_TAG_LEN];
  fixture f;
  setup(&f);
  for (size_t len = 0; len <= sizeof zeroes; len++) {
    lk_buf_truncate(&f.out, 0);
    (void)lk_buf_append(&f.out, LK_LIT("XCP."));
    CHECK_OK(lk_base64_encode(&f.out, lk_slice_of(zeroes, len), LK_BASE64_FORM_URL));
    CHECK_ERR(verify(&f, lk_buf_slice(&f.out), SIGNED_AT), LK_ERR_TOKEN_INVALID);
  }
  teardown(&f);
}

TEST(phoenix_tokens_of_one_kind_are_not_tokens_of_the_other) {
  fixture f;
  lk_phoenix_claims claims;
  setup(&f);
  CHECK_ERR(lk_phoenix_decrypt(&f.key, TOKEN, SIGNED_AT, &strict, &f.arena, &claims),
            LK_ERR_TOKEN_INVALID);
  CHECK_ERR(lk_phoenix_verify(&f.key, ENCRYPTED, SIGNED_AT, &strict, &f.arena, &claims),
            LK_ERR_TOKEN_INVALID);
  CHECK_ERR(lk_phoenix_decrypt(&f.key, LK_SLICE_EMPTY, 0, &strict, &f.arena, &claims),
            LK_ERR_TOKEN_MISSING);
  teardown(&f);
}

TEST(phoenix_tokens_above_the_limit_are_too_big) {
  fixture f;
  lk_phoenix_stamp stamp = { SIGNED_AT, 1 };
  setup(&f);
  f.limits.token_bytes = (uint32_t)TOKEN.len;
  CHECK_OK(verify(&f, TOKEN, SIGNED_AT));
  CHECK_OK(lk_phoenix_sign(&f.key, LK_LIT("42"), stamp, &f.out));
  lk_buf_truncate(&f.out, 0);
  CHECK_ERR(lk_phoenix_sign(&f.key, LK_LIT("\"longer\""), stamp, &f.out), LK_ERR_TOO_BIG);
  CHECK_U64(f.out.len, 0);
  f.limits.token_bytes--;
  CHECK_ERR(verify(&f, TOKEN, SIGNED_AT), LK_ERR_TOO_BIG);
  CHECK_ERR(verify(&f, ENCRYPTED, SIGNED_AT), LK_ERR_TOO_BIG);
  teardown(&f);
}

/* ---- payloads: signed by us over any term ---- */

static lk_err verify_term(fixture *f, lk_slice term, int64_t now, const lk_phoenix_rules *rules,
                          lk_phoenix_claims *out) {
  uint8_t mac[LK_SHA256_LEN];
  lk_buf_truncate(&f->out, 0);
  (void)lk_buf_append(&f->out, LK_LIT("SFMyNTY."));
  CHECK_OK(lk_base64_encode(&f->out, term, LK_BASE64_FORM_URL));
  CHECK_OK(lk_crypto_hmac_sha256(f->crypto, lk_slice_of(f->key.bytes, f->key.len),
                                 lk_buf_slice(&f->out), mac));
  (void)lk_buf_append_u8(&f->out, '.');
  CHECK_OK(lk_base64_encode(&f->out, lk_slice_of(mac, sizeof mac), LK_BASE64_FORM_URL));
  return verify_with(f, lk_buf_slice(&f->out), now, rules, out);
}

/* A tuple of 42, |signed_at| and the age that |age| is in bytes. */
static lk_err verify_aged(fixture *f, int64_t signed_at, lk_slice age, int64_t now,
                          lk_phoenix_claims *out) {
  lk_buf term;
  lk_buf_init(&term, test_alloc(), 1000);
  (void)lk_etf_write_version(&term);
  (void)lk_etf_write_tuple(&term, 3);
  (void)lk_etf_write_i64(&term, 42);
  (void)lk_etf_write_i64(&term, signed_at);
  CHECK_OK(lk_buf_append(&term, age));
  lk_err err = verify_term(f, lk_buf_slice(&term), now, &strict, out);
  lk_buf_deinit(&term);
  return err;
}

#define INFINITY_ATOM LK_LIT("\x77\x08infinity")

TEST(phoenix_payloads_of_old_versions_are_read) {
  fixture f;
  lk_phoenix_claims claims;
  setup(&f);
  lk_slice pair = LK_LIT("\x83h\x02"
                         "a*n\x06\x00\x00h\xe5\xcf\x8b\x01");
  lk_slice map = LK_LIT("\x83t\x00\x00\x00\x03"
                        "d\x00\x04"
                        "dataa*d\x00\x01xh\x01"
                        "a\x07"
                        "d\x00\x06signedn\x06\x00\x00h\xe5\xcf\x8b\x01");
  CHECK_OK(verify_term(&f, pair, SIGNED_AT + 86400000, &strict, &claims));
  CHECK_TEXT(claims.json, "42");
  CHECK_I64(claims.signed_at_ms, SIGNED_AT);
  CHECK_ERR(verify_term(&f, pair, SIGNED_AT + 86400001, &strict, &claims), LK_ERR_TOKEN_EXPIRED);
  CHECK_OK(verify_term(&f, map, SIGNED_AT + 86400000, &strict, &claims));
  CHECK_TEXT(claims.json, "42");
  CHECK_ERR(verify_term(&f, map, SIGNED_AT + 86400001, &strict, &claims), LK_ERR_TOKEN_EXPIRED);
  teardown(&f);
}

TEST(phoenix_signed_terms_that_are_no_payload_are_invalid) {
  static const lk_slice terms[] = {
    LK_LIT_INIT(""),
    LK_LIT_INIT("hi"),
    LK_LIT_INIT("\x83"),
    LK_LIT_INIT("\x83"
                "a*"),
    LK_LIT_INIT("\x83h\x01"
                "a*"),
    LK_LIT_INIT("\x83h\x04"
                "a*a\x01"
                "a\x01"
                "a\x01"),
    LK_LIT_INIT("\x83h\x03"
                "a*a\x01"
                "a\x01"
                "a\x01"), /* something behind it */
    LK_LIT_INIT("\x83h\x03"
                "a*m\x00\x00\x00\x01"
                "1a\x01"),
    LK_LIT_INIT("\x83h\x03"
                "a*a\x01w\x07"
                "forever"),
    LK_LIT_INIT("\x83h\x03"
                "a*n\x09\x00\x01\x01\x01\x01\x01\x01\x01\x01\x01"
                "a\x01"),
    LK_LIT_INIT("\x83t\x00\x00\x00\x01w\x04"
                "dataa*"),
    LK_LIT_INIT("\x83t\x00\x00\x00\x01w\x06signeda*"),
    LK_LIT_INIT("\x83t\x00\x00\x00\x02m\x00\x00\x00\x04"
                "dataa*w\x06signeda*"),
    LK_LIT_INIT("\x83P\x00\x00\x00\x10xx"), /* compressed */
  };
  fixture f;
  lk_phoenix_claims claims;
  setup(&f);
  for (size_t i = 0; i < sizeof terms / sizeof *terms; i++) {
    test_note("term %zu", i);
    CHECK_ERR(verify_term(&f, terms[i], 42, &strict, &claims), LK_ERR_TOKEN_INVALID);
  }
  teardown(&f);
}

TEST(phoenix_data_without_json_has_a_name_of_its_own) {
  fixture f;
  lk_phoenix_claims claims;
  setup(&f);
  CHECK_ERR(verify_term(&f,
                        LK_LIT("\x83h\x03m\x00\x00\x00\x01\xff"
                               "a\x01"
                               "a\x01"),
                        1, &strict, &claims),
            LK_ERR_TOKEN_CLAIMS);
  teardown(&f);
}

/* ---- time ---- */

TEST(phoenix_ages_count_milliseconds_and_end_with_the_last_one) {
  fixture f;
  lk_phoenix_claims c;
  setup(&f);
  CHECK_OK(verify_aged(&f, 1000, LK_LIT("a\x02"), 3000, &c));
  CHECK_I64(c.expires_at_ms, 3000);
  CHECK_ERR(verify_aged(&f, 1000, LK_LIT("a\x02"), 3001, &c), LK_ERR_TOKEN_EXPIRED);
  CHECK_ERR(verify_aged(&f, 1000, LK_LIT("a\x00"), 1000, &c), LK_ERR_TOKEN_EXPIRED);
  CHECK_ERR(verify_aged(&f, 1000, LK_LIT("b\xff\xff\xff\xff"), 1000, &c), LK_ERR_TOKEN_EXPIRED);
  lk_slice half = LK_LIT("F?\xe0\x00\x00\x00\x00\x00\x00"); /* 0.5 s */
  CHECK_OK(verify_aged(&f, 1000, half, 1500, &c));
  CHECK_ERR(verify_aged(&f, 1000, half, 1501, &c), LK_ERR_TOKEN_EXPIRED);
  teardown(&f);
}

/* Goal: no time and no age makes a number overflow. */
TEST(phoenix_times_at_the_ends_of_their_range_are_still_compared) {
  fixture f;
  lk_phoenix_claims c;
  lk_slice most = LK_LIT("n\x08\x00\xff\xff\xff\xff\xff\xff\xff\x7f");
  lk_slice more = LK_LIT("n\x09\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff");
  lk_slice less = LK_LIT("n\x09\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff");
  lk_slice huge = LK_LIT("F\x7f\xef\xff\xff\xff\xff\xff\xff");
  setup(&f);
  CHECK_OK(verify_aged(&f, SIGNED_AT, most, INT64_MAX, &c));
  CHECK_OK(verify_aged(&f, SIGNED_AT, more, INT64_MAX, &c));
  CHECK_OK(verify_aged(&f, SIGNED_AT, huge, INT64_MAX, &c));
  CHECK_OK(verify_aged(&f, INT64_MIN, INFINITY_ATOM, INT64_MAX, &c));
  CHECK_I64(c.expires_at_ms, LK_PHOENIX_FOREVER);
  CHECK_ERR(verify_aged(&f, SIGNED_AT, less, SIGNED_AT, &c), LK_ERR_TOKEN_EXPIRED);
  CHECK_ERR(verify_aged(&f, INT64_MIN, LK_LIT("a\x01"), INT64_MAX, &c), LK_ERR_TOKEN_EXPIRED);
  CHECK_OK(verify_aged(&f, INT64_MAX, LK_LIT("a\x01"), INT64_MAX, &c));
  teardown(&f);
}

TEST(phoenix_the_verifiers_age_counts_and_not_the_tokens) {
  fixture f;
  lk_phoenix_claims c;
  lk_phoenix_rules minute = { .age = LK_PHOENIX_AGE_GIVEN, .max_age_s = 60 };
  lk_phoenix_rules none = { .age = LK_PHOENIX_AGE_GIVEN };
  lk_phoenix_rules any = { .age = LK_PHOENIX_AGE_ANY };
  setup(&f);
  CHECK_OK(verify_with(&f, TOKEN, SIGNED_AT + 60000, &minute, &c));
  CHECK_ERR(verify_with(&f, TOKEN, SIGNED_AT + 60001, &minute, &c), LK_ERR_TOKEN_EXPIRED);
  CHECK_ERR(verify_with(&f, ENCRYPTED, SIGNED_AT + 3600000000, &minute, &c), LK_ERR_TOKEN_EXPIRED);
  CHECK_ERR(verify_with(&f, TOKEN, SIGNED_AT, &none, &c), LK_ERR_TOKEN_EXPIRED);
  CHECK_OK(verify_with(&f, TOKEN, INT64_MAX, &any, &c));
  teardown(&f);
}

TEST(phoenix_tokens_from_the_future_are_taken_within_the_skew_only) {
  fixture f;
  lk_phoenix_claims c;
  lk_phoenix_rules rules = { .skew_ms = LK_PHOENIX_SKEW_MS };
  setup(&f);
  CHECK_OK(verify_with(&f, TOKEN, SIGNED_AT - LK_PHOENIX_SKEW_MS, &rules, &c));
  CHECK_ERR(verify_with(&f, TOKEN, SIGNED_AT - LK_PHOENIX_SKEW_MS - 1, &rules, &c),
            LK_ERR_TOKEN_INVALID);
  CHECK_ERR(verify(&f, TOKEN, SIGNED_AT - 1), LK_ERR_TOKEN_INVALID);
  rules.age = LK_PHOENIX_AGE_ANY;
  CHECK_ERR(verify_with(&f, TOKEN, 0, &rules, &c), LK_ERR_TOKEN_INVALID);
  rules.age = LK_PHOENIX_AGE_GIVEN; /* of 0 s: never good, not even before it was signed */
  CHECK_ERR(verify_with(&f, TOKEN, SIGNED_AT - 10, &rules, &c), LK_ERR_TOKEN_EXPIRED);
  teardown(&f);
}

/* ---- keys and making ---- */

TEST(phoenix_keys_out_of_range_are_refused_and_verify_nothing) {
  fixture f;
  lk_phoenix_claims claims;
  lk_phoenix_stamp stamp = { SIGNED_AT, 1 };
  lk_phoenix_key_options slow = { .iterations = LK_PBKDF2_ITERATIONS_MAX + 1 };
  lk_phoenix_key_options slow512 = { .iterations = LK_PBKDF2_ITERATIONS_MAX + 1,
                                     .digest = LK_PHOENIX_SHA512 };
  lk_phoenix_key_options wide = { .length = LK_PHOENIX_KEY_LEN_MAX + 1 };
  setup(&f);
  lk_phoenix_key *key = &f.key;
  CHECK_ERR(lk_phoenix_key_init(key, f.crypto, &f.limits, SECRET, SALT, &slow), LK_ERR_RANGE);
  CHECK_ERR(lk_phoenix_key_init(key, f.crypto, &f.limits, SECRET, SALT, &slow512), LK_ERR_RANGE);
  CHECK_ERR(lk_phoenix_key_init(key, f.crypto, &f.limits, SECRET, SALT, &wide), LK_ERR_RANGE);
  CHECK_ERR(lk_phoenix_key_init(key, f.crypto, &f.limits, lk_slice_first(SECRET, 19), SALT, NULL),
            LK_ERR_KEY);
  CHECK_ERR(verify(&f, TOKEN, SIGNED_AT), LK_ERR_KEY);
  CHECK_ERR(verify(&f, ENCRYPTED, SIGNED_AT), LK_ERR_KEY);
  CHECK_ERR(lk_phoenix_sign(key, LK_LIT("1"), stamp, &f.out), LK_ERR_KEY);
  CHECK_ERR(lk_phoenix_encrypt(key, LK_LIT("1"), stamp, &f.out), LK_ERR_KEY);
  CHECK_OK(lk_phoenix_key_init(key, f.crypto, &f.limits, lk_slice_first(SECRET, 20), SALT, NULL));
  CHECK_ERR(lk_phoenix_verify(key, TOKEN, SIGNED_AT, &strict, &f.arena, &claims),
            LK_ERR_TOKEN_INVALID);
  teardown(&f);
}

TEST(phoenix_longer_keys_sign_and_do_not_encrypt) {
  fixture f;
  lk_phoenix_key_options wide = { .length = 64 };
  lk_phoenix_stamp stamp = { SIGNED_AT, 1 };
  setup(&f);
  CHECK_OK(lk_phoenix_key_init(&f.key, f.crypto, &f.limits, SECRET, SALT, &wide));
  CHECK_OK(lk_phoenix_sign(&f.key, LK_LIT("1"), stamp, &f.out));
  CHECK_OK(verify(&f, lk_buf_slice(&f.out), SIGNED_AT));
  CHECK_ERR(lk_phoenix_encrypt(&f.key, LK_LIT("1"), stamp, &f.out), LK_ERR_KEY);
  teardown(&f);
}

TEST(phoenix_encrypted_tokens_of_ours_are_read_back_and_never_alike) {
  fixture f;
  lk_phoenix_claims claims;
  lk_slice data = LK_LIT("{\"user_id\":42,\"roles\":[\"a\",\"b\"]}");
  lk_phoenix_stamp stamp = { SIGNED_AT, LK_PHOENIX_FOREVER };
  lk_buf again;
  setup(&f);
  lk_buf_init(&again, test_alloc(), 1000);
  CHECK_OK(lk_buf_append(&f.out, LK_LIT("before")));
  CHECK_OK(lk_phoenix_encrypt(&f.key, data, stamp, &f.out));
  CHECK_OK(lk_phoenix_encrypt(&f.key, data, stamp, &again));
  lk_slice token = lk_slice_skip(lk_buf_slice(&f.out), 6);
  CHECK(lk_slice_starts_with(lk_buf_slice(&f.out), LK_LIT("beforeXCP.")));
  CHECK(!lk_slice_equal(token, lk_buf_slice(&again)));
  CHECK_OK(verify_with(&f, token, INT64_MAX, &strict, &claims));
  CHECK_SLICE(claims.json, data);
  lk_buf_deinit(&again);
  teardown(&f);
}

TEST(phoenix_without_the_cipher_encrypted_tokens_are_unsupported) {
  fixture f;
  lk_phoenix_claims claims;
  setup(&f);
  CHECK_OK(lk_phoenix_key_init(&f.key, lk_crypto_portable(), &f.limits, SECRET, SALT, NULL));
  CHECK_ERR(verify(&f, ENCRYPTED, SIGNED_AT), LK_ERR_UNSUPPORTED);
  CHECK_ERR(lk_phoenix_encrypt(&f.key, LK_LIT("1"), (lk_phoenix_stamp){ 1, 1 }, &f.out),
            LK_ERR_UNSUPPORTED);
  CHECK_U64(f.out.len, 0);
  CHECK_OK(verify_with(&f, TOKEN, SIGNED_AT, &strict, &claims));
  teardown(&f);
}

TEST(phoenix_data_that_cannot_be_signed_leaves_nothing_behind) {
  fixture f;
  setup(&f);
  lk_phoenix_stamp good = { SIGNED_AT, 1 }, bad = { SIGNED_AT, 0 };
  CHECK_OK(lk_buf_append(&f.out, LK_LIT("before")));
  CHECK_ERR(lk_phoenix_sign(&f.key, LK_LIT("{"), good, &f.out), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_phoenix_sign(&f.key, LK_LIT("1"), bad, &f.out), LK_ERR_RANGE);
  CHECK_ERR(lk_phoenix_encrypt(&f.key, LK_LIT("[1,]"), good, &f.out), LK_ERR_SYNTAX);
  CHECK_TEXT(lk_buf_slice(&f.out), "before");
  teardown(&f);
}

TEST(phoenix_every_failed_allocation_is_told_and_undone) {
  fixture f;
  setup(&f);
  lk_phoenix_stamp stamp = { SIGNED_AT, 60 };
  FAULT_LOOP(faults, test_alloc()) {
    lk_arena arena;
    lk_buf out;
    lk_phoenix_claims claims;
    lk_arena_init(&arena, faulty_alloc(&faults), 1u << 16);
    lk_buf_init(&out, faulty_alloc(&faults), 1u << 16);
    lk_err err = lk_phoenix_verify(&f.key, TOKEN, SIGNED_AT, &strict, &arena, &claims);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    err = lk_phoenix_decrypt(&f.key, ENCRYPTED, SIGNED_AT, &strict, &arena, &claims);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    err = lk_phoenix_sign(&f.key, LK_LIT("{\"a\":[1]}"), stamp, &out);
    CHECK(err == LK_OK || (err == LK_ERR_NOMEM && out.len == 0));
    lk_buf_truncate(&out, 0);
    err = lk_phoenix_encrypt(&f.key, LK_LIT("{\"a\":[1]}"), stamp, &out);
    CHECK(err == LK_OK || (err == LK_ERR_NOMEM && out.len == 0));
    lk_arena_deinit(&arena);
    lk_buf_deinit(&out);
  }
  teardown(&f);
}
