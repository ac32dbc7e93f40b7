/* SHA-384 and SHA-512: the standard's examples, RFC 4231's codes, and where a message is cut. */
#include "crypto/sha512.h"

#include "codec/hex.h"
#include "harness/test.h"

static void check_hex(const uint8_t *bytes, size_t len, const char *want) {
  uint8_t text[2 * 128];
  CHECK(len <= 128);
  lk_hex_store(text, lk_slice_of(bytes, len));
  CHECK_SLICE(lk_slice_of(text, 2 * len), lk_slice_cstr(want));
}

static void check_digest(size_t len, lk_slice message, const char *want) {
  uint8_t out[LK_SHA512_LEN];
  lk_sha512 hash;
  lk_sha512_init(&hash, len);
  lk_sha512_update(&hash, message);
  lk_sha512_final(&hash, out);
  check_hex(out, len, want);
}

/* FIPS 180-4's examples: "abc", two blocks, and nothing. */
TEST(sha512_and_sha384_give_the_published_digests) {
  lk_slice two = LK_LIT(
      "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklm"
      "nopqklmnopqrlmnopqrsmnopqrstnopqrstu");
  check_digest(
      48, LK_LIT("abc"),
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358bae"
      "ca134c825a7");
  check_digest(
      64, LK_LIT("abc"),
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3"
      "c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  check_digest(
      48, two,
      "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712fcc7c71a557e2db966c3e"
      "9fa91746039");
  check_digest(
      64, two,
      "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b9"
      "9dec4b5433ac7d329eeb6dd26545e96e55b874be909");
  check_digest(
      64, LK_SLICE_EMPTY,
      "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff831"
      "8d2877eec2f63b931bd47417a81a538327af927da3e");
}

/* Goal: where the bytes are cut must not matter. Method: messages around the lengths at which the
 * padding takes another block, in two parts, cut everywhere. */
TEST(sha512_does_not_depend_on_where_a_message_is_cut) {
  uint8_t message[260], whole[LK_SHA512_LEN], parts[LK_SHA512_LEN];
  for (size_t i = 0; i < sizeof message; i++) message[i] = (uint8_t)(i * 7);
  for (size_t len = 100; len <= sizeof message; len++) {
    lk_sha512 hash;
    lk_sha512_init(&hash, 64);
    lk_sha512_update(&hash, lk_slice_of(message, len));
    lk_sha512_final(&hash, whole);
    for (size_t cut = 0; cut <= len; cut++) {
      lk_sha512_init(&hash, 64);
      lk_sha512_update(&hash, lk_slice_of(message, cut));
      lk_sha512_update(&hash, lk_slice_of(message + cut, len - cut));
      lk_sha512_final(&hash, parts);
      CHECK(memcmp(whole, parts, sizeof whole) == 0);
    }
  }
}

static void check_mac(size_t len, lk_slice key, lk_slice message, const char *want) {
  uint8_t out[LK_SHA512_LEN];
  lk_hmac_sha512 hmac;
  lk_hmac_sha512_init(&hmac, len, key);
  lk_hmac_sha512_update(&hmac, message);
  lk_hmac_sha512_final(&hmac, out);
  check_hex(out, len, want);
}

/* RFC 4231, cases 2 and 6: a short key, and one longer than a block. */
TEST(hmac_sha512_gives_the_published_codes) {
  uint8_t key[131];
  memset(key, 0xaa, sizeof key);
  lk_slice text = LK_LIT("what do ya want for nothing?"), jefe = LK_LIT("Jefe");
  lk_slice long_text = LK_LIT("Test Using Larger Than Block-Size Key - Hash Key First");
  check_mac(
      48, jefe, text,
      "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ec"
      "fab21649");
  check_mac(
      64, jefe, text,
      "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65"
      "f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
  check_mac(
      48, lk_slice_of(key, sizeof key), long_text,
      "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df1"
      "63f44952");
  check_mac(
      64, lk_slice_of(key, sizeof key), long_text,
      "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd221"
      "5d6a1e5295e64f73f63f0aec8b915a985d786598");
}

/* The expected keys are Python's hashlib.pbkdf2_hmac(); more than one block each. */
TEST(pbkdf2_sha512_gives_what_others_derive) {
  uint8_t out[100];
  lk_pbkdf2_sha512(48, LK_LIT("password"), LK_LIT("salt"), 2, out, sizeof out);
  check_hex(
      out, sizeof out,
      "54f775c6d790f21930459162fc535dbf04a939185127016a04176a0730c6f1f4fb48832ad1261baadd2cedd5"
      "0814b1c806ad1bbf43ebdc9d047904bf7ceafe1ebeeba01a91d12a600a7606046edeaaae8d02e87146e3fc7f"
      "2fda3596dbbe6112ad599912");
  lk_pbkdf2_sha512(64, LK_LIT("password"), LK_LIT("salt"), 2, out, sizeof out);
  check_hex(
      out, sizeof out,
      "e1d9c16aa681708a45f5c7c4e215ceb66e011a2e9f0040713f18aefdb866d53cf76cab2868a39b9f7840edce"
      "4fef5a82be67335c77a6068e04112754f27ccf4e473e311ad827b68945f4e2dddb204c78e40e2495141e411c"
      "d272d020640d673cd34aa29f");
}
