/* crypto/jwt.c -- the token says who somebody is; the key says how that is checked.
 *
 *   token := B(header) "." B(payload) "." B(signature)
 *   header {"alg":"HS256","kid":"2026-11","typ":"JWT"}     payload {"sub":"alice","exp":1700000000}
 *
 * The famous holes of this format have one cause: libraries let the header, which anybody can write,
 * choose the algorithm. "none" needs no key at all; "HS256" with a public key as its secret is a
 * signature that everybody can make. Here the header chooses among keys, and each key has its
 * algorithm:
 *
 *   header --alg, kid--> keys that fit --for each--> its own algorithm over the token's bytes
 *
 * So a forged header gets another refusal and nothing else. For the same reason "jwk", "jku" and
 * "x5c", which bring a key along, are not even looked at, and "crit" is refused as the RFC says.
 *
 * Names must not stand twice, neither in the header nor in the payload: who reads the claims after
 * us may take the other one. Times are doubles, as JSON numbers are; seconds since 1970 are exact
 * in them for the next 285 million years. */
#include "crypto/jwt.h"

#include "codec/json_canonical.h"
#include "codec/json_reader.h"
#include "crypto/token_parts.h"

/* ---- keys ---- */

lk_err lk_jwt_key_init_hs256(lk_jwt_key *self, lk_slice kid, lk_slice secret) {
  *self = (lk_jwt_key){ .algorithm = LK_JWT_HS256, .kid = kid };
  bool is_public = lk_slice_find(secret, LK_LIT("BEGIN PUBLIC KEY")) != LK_SLICE_NONE ||
                   lk_slice_find(secret, LK_LIT("BEGIN CERTIFICATE")) != LK_SLICE_NONE;
  if (secret.len < LK_JWT_SECRET_LEN_MIN || is_public) return LK_ERR_KEY;
  self->secret = secret;
  return LK_OK;
}

void lk_jwt_key_init_ed25519(lk_jwt_key *self, lk_slice kid,
                             const uint8_t public_key[LK_ED25519_PUBLIC_LEN]) {
  *self = (lk_jwt_key){ .algorithm = LK_JWT_ED25519, .kid = kid };
  memcpy(self->public_key, public_key, LK_ED25519_PUBLIC_LEN);
}

void lk_jwt_key_init_es256(lk_jwt_key *self, lk_slice kid,
                           const uint8_t public_key[LK_P256_PUBLIC_LEN]) {
  *self = (lk_jwt_key){ .algorithm = LK_JWT_ES256, .kid = kid };
  memcpy(self->public_key, public_key, LK_P256_PUBLIC_LEN);
}

/* "Ed25519" is the name of RFC 9864 for what RFC 8037 calls "EdDSA". */
static bool has_algorithm(const lk_jwt_key *key, lk_slice name) {
  switch (key->algorithm) {
  case LK_JWT_HS256: return lk_slice_equal(name, LK_LIT("HS256"));
  case LK_JWT_ED25519:
    return lk_slice_equal(name, LK_LIT("EdDSA")) || lk_slice_equal(name, LK_LIT("Ed25519"));
  case LK_JWT_ES256: return lk_slice_equal(name, LK_LIT("ES256"));
  }
  LK_UNREACHABLE();
}

/* RFC 7518 has the two numbers of a signature side by side, and not as DER as other protocols do. */
static lk_err check_es256(const lk_jwt_key *key, const lk_crypto *crypto, lk_slice text,
                          lk_slice signature) {
  uint8_t digest[LK_SHA256_LEN];
  if (signature.len != LK_P256_SIGNATURE_LEN) return LK_ERR_TOKEN_INVALID;
  lk_err err = lk_crypto_sha256(crypto, text, digest);
  if (err == LK_OK) err = lk_crypto_p256_verify(crypto, key->public_key, digest, signature.ptr);
  return err == LK_ERR_AUTH || err == LK_ERR_KEY ? LK_ERR_TOKEN_INVALID : err;
}

/* LK_ERR_TOKEN_INVALID where it is not this key's signature. */
static lk_err check_signature(const lk_jwt_key *key, const lk_crypto *crypto, lk_slice text,
                              lk_slice signature) {
  uint8_t wanted[LK_SHA256_LEN];
  lk_err err;
  if (key->algorithm == LK_JWT_ES256) return check_es256(key, crypto, text, signature);
  if (key->algorithm == LK_JWT_ED25519) {
    if (signature.len != LK_ED25519_SIGNATURE_LEN) return LK_ERR_TOKEN_INVALID;
    err = lk_crypto_ed25519_verify(crypto, key->public_key, text, signature.ptr);
    return err == LK_ERR_AUTH ? LK_ERR_TOKEN_INVALID : err;
  }
  if (signature.len != sizeof wanted) return LK_ERR_TOKEN_INVALID;
  err = lk_crypto_hmac_sha256(crypto, key->secret, text, wanted);
  if (err != LK_OK) return err;
  bool genuine = lk_crypto_equal(signature.ptr, wanted, sizeof wanted);
  lk_crypto_wipe(wanted, sizeof wanted);
  return genuine ? LK_OK : LK_ERR_TOKEN_INVALID;
}

/* ---- objects ---- */

/* One part of the token as bytes in |arena|, and its |members|. */
static lk_err read_object(lk_slice text, const lk_limits *limits, lk_arena *arena,
                          lk_json_member *members, size_t count, lk_slice *json) {
  lk_json_reader in;
  lk_buf canonical;
  lk_err err = lk_token_parts_bytes(text, arena, json);
  if (err != LK_OK) return err;
  lk_buf_init(&canonical, arena->alloc, SIZE_MAX / 2);
  err = lk_json_canonicalize(*json, limits, &canonical); /* names that stand twice */
  lk_buf_deinit(&canonical);
  if (err == LK_OK) err = lk_json_reader_init(&in, *json, limits, arena);
  if (err == LK_OK) err = lk_json_read_members(&in, members, count);
  return lk_token_refusal(err);
}

static bool is_absent(const lk_json_member *member) { return member->value.kind == LK_JSON_ABSENT; }

static bool is_text(const lk_json_member *member) { return member->value.kind == LK_JSON_STRING; }

/* ---- the header ---- */

typedef struct header {
  lk_slice algorithm;
  lk_slice kid;
  bool has_kid;
} header;

/* "JWT" and what RFC 9068 calls access tokens; without regard to case, as media types are. */
static bool is_known_type(lk_slice type) {
  return lk_slice_equal_nocase(type, LK_LIT("JWT")) ||
         lk_slice_equal_nocase(type, LK_LIT("at+jwt")) ||
         lk_slice_equal_nocase(type, LK_LIT("application/at+jwt"));
}

static lk_err read_header(lk_slice text, const lk_limits *limits, lk_arena *arena, header *out) {
  lk_slice json;
  lk_json_member members[] = { { .name = LK_LIT_INIT("alg") },
                               { .name = LK_LIT_INIT("kid") },
                               { .name = LK_LIT_INIT("typ") },
                               { .name = LK_LIT_INIT("crit") } };
  const lk_json_member *alg = &members[0], *kid = &members[1], *typ = &members[2];
  lk_err err = read_object(text, limits, arena, members, 4, &json);
  if (err != LK_OK) return err;
  if (!is_text(alg) || !is_absent(&members[3])) return LK_ERR_TOKEN_INVALID;
  if (!is_absent(kid) && !is_text(kid)) return LK_ERR_TOKEN_INVALID;
  if (!is_absent(typ) && !(is_text(typ) && is_known_type(typ->value.text)))
    return LK_ERR_TOKEN_INVALID;
  *out = (header){ alg->value.text, LK_SLICE_EMPTY, !is_absent(kid) };
  if (out->has_kid) out->kid = kid->value.text;
  return LK_OK;
}

static bool fits(const lk_jwt_key *key, const header *asked) {
  if (!has_algorithm(key, asked->algorithm)) return false;
  return !asked->has_kid || key->kid.len == 0 || lk_slice_equal(key->kid, asked->kid);
}

/* |key| receives the one that vouches for the token. */
static lk_err find_signer(const lk_jwt_rules *rules, const lk_crypto *crypto,
                          const lk_limits *limits, const lk_token_parts *parts, lk_arena *arena,
                          const lk_jwt_key **key) {
  header asked;
  lk_slice signature;
  lk_err err = read_header(parts->header, limits, arena, &asked);
  if (err == LK_OK) err = lk_token_parts_bytes(parts->signature, arena, &signature);
  if (err != LK_OK) return err;
  for (size_t i = 0; i < rules->key_count; i++) {
    if (!fits(&rules->keys[i], &asked)) continue;
    err = check_signature(&rules->keys[i], crypto, parts->signed_text, signature);
    *key = &rules->keys[i];
    if (err != LK_ERR_TOKEN_INVALID) return err;
  }
  return LK_ERR_TOKEN_INVALID;
}

/* ---- claims ---- */

typedef enum claim { EXP, NBF, IAT, ISS, AUD, SUB, CLAIMS } claim;

/* The time of |member| in seconds, or |otherwise| where there is none. */
static lk_err read_time(const lk_json_member *member, double otherwise, double *out) {
  *out = otherwise;
  if (is_absent(member)) return LK_OK;
  return lk_json_get_f64(&member->value, out) == LK_OK ? LK_OK : LK_ERR_TOKEN_INVALID;
}

static int64_t to_ms(double seconds) {
  if (seconds >= 9e15) return LK_JWT_FOREVER;
  return seconds <= -9e15 ? INT64_MIN : (int64_t)(seconds * 1000);
}

static lk_err check_times(const lk_json_member *members, const lk_jwt_rules *rules, int64_t now_ms,
                          int64_t *expires_at_ms) {
  double now = (double)now_ms / 1000, leeway = rules->leeway_s, exp, nbf, iat;
  lk_err err = read_time(&members[EXP], 0, &exp);
  if (err == LK_OK) err = read_time(&members[NBF], now, &nbf);
  if (err == LK_OK) err = read_time(&members[IAT], now, &iat);
  if (err != LK_OK) return err;
  bool has_exp = !is_absent(&members[EXP]);
  if (!has_exp && !rules->allows_no_exp) return LK_ERR_TOKEN_CLAIMS;
  if (has_exp && now >= exp + leeway) return LK_ERR_TOKEN_EXPIRED;
  if (nbf > now + leeway || iat > now + leeway) return LK_ERR_TOKEN_CLAIMS;
  *expires_at_ms = has_exp ? to_ms(exp) : LK_JWT_FOREVER;
  return LK_OK;
}

/* Whether the array |json| has |audience|; what is no text in it is passed over. */
static lk_err find_audience(lk_slice json, lk_slice audience, const lk_limits *limits,
                            lk_arena *arena, bool *found) {
  lk_json_reader in;
  lk_json_event event = { 0 };
  lk_err err = lk_json_reader_init(&in, json, limits, arena);
  while (err == LK_OK && (err = lk_json_next(&in, &event)) == LK_OK && event.kind != LK_JSON_END) {
    bool is_own = event.kind == LK_JSON_STRING && in.depth == 1;
    if (is_own && lk_slice_equal(event.text, audience)) *found = true;
  }
  return lk_token_refusal(err);
}

static lk_err check_audience(const lk_json_member *aud, const lk_jwt_rules *rules,
                             const lk_limits *limits, lk_arena *arena) {
  bool found = false;
  lk_err err = LK_OK;
  if (rules->audience.len == 0) return is_absent(aud) ? LK_OK : LK_ERR_TOKEN_CLAIMS;
  if (is_text(aud)) found = lk_slice_equal(aud->value.text, rules->audience);
  else if (aud->value.kind == LK_JSON_ARRAY_BEGIN)
    err = find_audience(aud->raw, rules->audience, limits, arena, &found);
  if (err != LK_OK) return err;
  return found ? LK_OK : LK_ERR_TOKEN_CLAIMS;
}

static lk_err check_issuer(const lk_json_member *iss, lk_slice wanted) {
  if (wanted.len == 0) return LK_OK;
  return is_text(iss) && lk_slice_equal(iss->value.text, wanted) ? LK_OK : LK_ERR_TOKEN_CLAIMS;
}

static lk_err read_claims(lk_slice text, const lk_jwt_rules *rules, const lk_limits *limits,
                          int64_t now_ms, lk_arena *arena, lk_jwt_claims *out) {
  lk_json_member members[CLAIMS] = {
    [EXP] = { .name = LK_LIT_INIT("exp") }, [NBF] = { .name = LK_LIT_INIT("nbf") },
    [IAT] = { .name = LK_LIT_INIT("iat") }, [ISS] = { .name = LK_LIT_INIT("iss") },
    [AUD] = { .name = LK_LIT_INIT("aud") }, [SUB] = { .name = LK_LIT_INIT("sub") },
  };
  lk_err err = read_object(text, limits, arena, members, CLAIMS, &out->json);
  if (err == LK_OK) err = check_times(members, rules, now_ms, &out->expires_at_ms);
  if (err == LK_OK) err = check_issuer(&members[ISS], rules->issuer);
  if (err == LK_OK) err = check_audience(&members[AUD], rules, limits, arena);
  if (err != LK_OK) return err;
  if (!is_absent(&members[SUB]) && !is_text(&members[SUB])) return LK_ERR_TOKEN_INVALID;
  if (is_text(&members[SUB])) out->subject = members[SUB].value.text;
  return LK_OK;
}

lk_err lk_jwt_verify(const lk_jwt_rules *rules, const lk_crypto *crypto, const lk_limits *limits,
                     lk_slice token, int64_t now_ms, lk_arena *arena, lk_jwt_claims *out) {
  lk_token_parts parts;
  lk_jwt_claims claims = { 0 };
  lk_arena_mark mark = lk_arena_get_mark(arena);
  lk_err err = lk_token_parts_of(token, limits->token_bytes, &parts);
  if (err == LK_OK) err = find_signer(rules, crypto, limits, &parts, arena, &claims.key);
  if (err == LK_OK) err = read_claims(parts.payload, rules, limits, now_ms, arena, &claims);
  if (err == LK_OK) *out = claims;
  else lk_arena_pop_to(arena, mark);
  return err;
}
