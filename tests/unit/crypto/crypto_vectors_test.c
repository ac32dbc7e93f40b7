/* The portable provider against the published vectors (tests/vectors/crypto.json). */
#include "unit/crypto/crypto_suite.h"

TEST(portable_sha1_gives_the_published_digests) {
  crypto_suite_hash(lk_crypto_portable(), "sha1", lk_crypto_sha1, LK_SHA1_LEN);
}

TEST(portable_sha256_gives_the_published_digests) {
  crypto_suite_hash(lk_crypto_portable(), "sha256", lk_crypto_sha256, LK_SHA256_LEN);
}

TEST(portable_hmac_gives_the_published_codes_wherever_the_message_is_cut) {
  crypto_suite_hmac(lk_crypto_portable());
}

TEST(portable_hkdf_gives_the_published_keys) { crypto_suite_hkdf(lk_crypto_portable()); }

TEST(portable_pbkdf2_gives_the_published_keys) { crypto_suite_pbkdf2(lk_crypto_portable()); }
