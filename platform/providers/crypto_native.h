/* platform/providers/crypto_native.h -- the lk_crypto of native programs, over the system's
 * libcrypto (OpenSSL 3) and libsodium. It has every member of the table.
 *
 * The object holds what is dear to look up (algorithms) and contexts that are used again for each
 * call. So one object serves one thread at a time; open one for each thread. The contexts keep
 * the key of the last call until the next one or until closing, which wipes them. */
#ifndef LK_PLATFORM_PROVIDERS_CRYPTO_NATIVE_H
#define LK_PLATFORM_PROVIDERS_CRYPTO_NATIVE_H

#include "crypto/crypto.h"
#include "laniakea/env.h"

typedef struct lk_crypto_native lk_crypto_native;

/* |alloc| must outlive the object; the libraries use the C library's heap besides. LK_ERR_NOMEM,
 * or LK_ERR_UNSUPPORTED where a library lacks an algorithm or refuses to start: |out| is NULL. */
lk_err lk_crypto_native_open(const lk_alloc *alloc, lk_crypto_native **out) LK_MUST_USE;

/* NULL is allowed. */
void lk_crypto_native_close(lk_crypto_native *self);

/* Lives as long as |self|. */
const lk_crypto *lk_crypto_native_table(const lk_crypto_native *self);

#endif
