/* laniakea/client_tls.h -- TLS for laniakea/client_host.h, by GnuTLS.
 *
 *   lk_client_tls_options tls = LK_CLIENT_TLS_OPTIONS_INIT;
 *   lk_client_host_options options = LK_CLIENT_HOST_OPTIONS_INIT;
 *   options.url = "https://notes.example";
 *   lk_client_tls_open(&tls, &options.tls);
 *   lk_client_host_open(&options, &host);
 *   ...
 *   lk_client_host_close(host);
 *   lk_client_tls_close(options.tls);
 *
 * It is a library of its own, liblaniakea-tls (pkg-config laniakea-tls), so that who needs no TLS needs no GnuTLS.
 *
 * TLS 1.2 and 1.3. The server's certificate has to lead to one that is trusted, to be for the name (or the address) of the URL and for
 * servers, and to be valid now; that cannot be switched off. For a server with a certificate of your own making, name the file of your
 * authority's certificate, or of that one. Whether it was revoked is not asked anybody. */
#ifndef LANIAKEA_CLIENT_TLS_H
#define LANIAKEA_CLIENT_TLS_H

#include "laniakea/client_host.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lk_client_tls_options {
  size_t size; /* sizeof(lk_client_tls_options) of the caller's headers */
  const char *
      ca_file; /* PEM: whom to trust, instead of whom the system does; read now; NULL: the system's */
} lk_client_tls_options;
#define LK_CLIENT_TLS_OPTIONS_INIT                                                                 \
  { sizeof(lk_client_tls_options), NULL }

/* |*out| is for any number of hosts. LK_ERR_NOT_FOUND: there is no such file, or the system trusts nobody (Debian's package is
 * ca-certificates); LK_ERR_PERMISSION: it may not be read; LK_ERR_CORRUPT: there is no certificate in it; LK_ERR_NOMEM. */
LK_API lk_err lk_client_tls_open(const lk_client_tls_options *options,
                                 const lk_client_tls **out) LK_MUST_USE;
/* After its hosts. NULL: nothing happens. */
LK_API void lk_client_tls_close(const lk_client_tls *self);

#ifdef __cplusplus
}
#endif
#endif
