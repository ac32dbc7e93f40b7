/* The incremental hashes: where a message is cut, and who goes on with a context. */
#include "crypto/hmac.h"
#include "crypto/sha1.h"
#include "crypto/sha256.h"
#include "harness/test.h"

#define MESSAGE_MAX 200 /* three blocks and a part */

static void fill(uint8_t *bytes, size_t len) {
  for (size_t i = 0; i < len; i++) bytes[i] = (uint8_t)(i * 7 + 1);
}

static void sha256_once(lk_slice data, uint8_t out[LK_SHA256_LEN]) {
  CHECK_OK(lk_crypto_sha256(lk_crypto_portable(), data, out));
}

/* Goal: the state between two updates holds everything.
 * Method: every length up to three blocks, cut in two at every place. That the uncut result is
 * right for each residue of the block length is for the native provider's test to say. */
TEST(sha256_does_not_depend_on_where_the_message_is_cut) {
  uint8_t bytes[MESSAGE_MAX], want[LK_SHA256_LEN], got[LK_SHA256_LEN];
  fill(bytes, sizeof bytes);
  for (size_t len = 0; len <= sizeof bytes; len++) {
    lk_slice whole = lk_slice_of(bytes, len);
    sha256_once(whole, want);
    for (size_t cut = 0; cut <= len; cut++) {
      lk_sha256 hash;
      lk_sha256_init(&hash);
      lk_sha256_update(&hash, lk_slice_first(whole, cut));
      lk_sha256_update(&hash, lk_slice_skip(whole, cut));
      lk_sha256_final(&hash, got);
      CHECK_SLICE(lk_slice_of(got, sizeof got), lk_slice_of(want, sizeof want));
    }
  }
}

TEST(sha1_does_not_depend_on_where_the_message_is_cut) {
  uint8_t bytes[MESSAGE_MAX], want[LK_SHA1_LEN], got[LK_SHA1_LEN];
  fill(bytes, sizeof bytes);
  for (size_t len = 0; len <= sizeof bytes; len++) {
    lk_slice whole = lk_slice_of(bytes, len);
    CHECK_OK(lk_crypto_sha1(lk_crypto_portable(), whole, want));
    for (size_t cut = 0; cut <= len; cut++) {
      lk_sha1 hash;
      lk_sha1_init(&hash);
      lk_sha1_update(&hash, lk_slice_first(whole, cut));
      lk_sha1_update(&hash, lk_slice_skip(whole, cut));
      lk_sha1_final(&hash, got);
      CHECK_SLICE(lk_slice_of(got, sizeof got), lk_slice_of(want, sizeof want));
    }
  }
}

/* Any number of pieces, also empty ones, and HMAC the same way. */
PROPERTY(hashes_of_pieces_equal_the_hash_of_the_whole) {
  uint8_t bytes[512], want[LK_SHA256_LEN], got[LK_SHA256_LEN];
  lk_slice whole = lk_slice_of(bytes, gen_bytes(g, bytes, sizeof bytes));
  lk_slice key = lk_slice_first(whole, gen_below(g, 100));
  lk_slice rest = whole;
  lk_sha256 hash;
  lk_hmac_sha256 hmac;
  lk_sha256_init(&hash);
  lk_hmac_sha256_init(&hmac, key);
  while (rest.len > 0) {
    size_t n = gen_range(g, 0, 130);
    lk_slice piece = lk_slice_first(rest, n == 0 && !gen_chance(g, 1, 4) ? rest.len : n);
    lk_sha256_update(&hash, piece);
    lk_hmac_sha256_update(&hmac, piece);
    rest = lk_slice_skip(rest, piece.len);
  }
  lk_sha256_final(&hash, got);
  sha256_once(whole, want);
  CHECK_SLICE(lk_slice_of(got, sizeof got), lk_slice_of(want, sizeof want));
  lk_hmac_sha256_final(&hmac, got);
  CHECK_OK(lk_crypto_hmac_sha256(lk_crypto_portable(), key, whole, want));
  CHECK_SLICE(lk_slice_of(got, sizeof got), lk_slice_of(want, sizeof want));
}

TEST(a_copied_context_goes_on_by_itself) {
  uint8_t one[LK_SHA256_LEN], two[LK_SHA256_LEN], want[LK_SHA256_LEN];
  lk_sha256 first, second;
  lk_sha256_init(&first);
  lk_sha256_update(&first, LK_LIT("common "));
  second = first;
  lk_sha256_update(&first, LK_LIT("one"));
  lk_sha256_update(&second, LK_LIT("two"));
  lk_sha256_final(&first, one);
  lk_sha256_final(&second, two);
  sha256_once(LK_LIT("common one"), want);
  CHECK_SLICE(lk_slice_of(one, sizeof one), lk_slice_of(want, sizeof want));
  sha256_once(LK_LIT("common two"), want);
  CHECK_SLICE(lk_slice_of(two, sizeof two), lk_slice_of(want, sizeof want));
}

TEST(a_finished_context_keeps_nothing_of_key_or_message) {
  static const uint8_t zeroes[sizeof(lk_hmac_sha256)];
  uint8_t mac[LK_SHA256_LEN];
  lk_hmac_sha256 hmac;
  lk_hmac_sha256_init(&hmac, LK_LIT("a secret key"));
  lk_hmac_sha256_update(&hmac, LK_LIT("a message"));
  lk_hmac_sha256_final(&hmac, mac);
  CHECK(memcmp(&hmac, zeroes, sizeof hmac) == 0);
}
