/* unit/server/tls_peer.h -- certificates, and a client by another library (OpenSSL) whose bytes the test carries. */
#ifndef LK_TESTS_SERVER_TLS_PEER_H
#define LK_TESTS_SERVER_TLS_PEER_H

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/test.h"
#include "server/tls.h"

/* ---- certificates ---- */

/* A folder of its own, with the files cert.pem and key.pem in it. */
typedef struct peer_folder {
  char path[64];
  char certificate[96];
  char key[96];
} peer_folder;

static inline void folder_init(peer_folder *self) {
  strcpy(self->path, "/tmp/laniakea-tls-XXXXXX");
  CHECK(mkdtemp(self->path) != NULL);
  (void)snprintf(self->certificate, sizeof self->certificate, "%s/cert.pem", self->path);
  (void)snprintf(self->key, sizeof self->key, "%s/key.pem", self->path);
}

static inline void folder_deinit(peer_folder *self) {
  (void)unlink(self->certificate);
  (void)unlink(self->key);
  (void)rmdir(self->path);
}

/* "EC", "ED25519" or the number of an RSA key's bits. */
static inline EVP_PKEY *peer_key(const char *kind) {
  if (strcmp(kind, "EC") == 0) return EVP_EC_gen("P-256");
  if (strcmp(kind, "ED25519") == 0) return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  if (strcmp(kind, "ED448") == 0) return EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
  return EVP_RSA_gen((unsigned)atoi(kind));
}

static inline X509 *peer_certificate(EVP_PKEY *key, const char *name) {
  X509 *cert = X509_new();
  X509_NAME *subject = X509_get_subject_name(cert);
  int id = EVP_PKEY_get_base_id(key);
  bool hashes_itself = id == EVP_PKEY_ED25519 || id == EVP_PKEY_ED448;
  CHECK(X509_set_version(cert, 2) == 1);
  CHECK(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1 + rand() % 1000000) == 1);
  CHECK(X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL);
  CHECK(X509_gmtime_adj(X509_getm_notAfter(cert), 86400) != NULL);
  CHECK(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1,
                                   0) == 1);
  CHECK(X509_set_issuer_name(cert, subject) == 1);
  CHECK(X509_set_pubkey(cert, key) == 1);
  CHECK(X509_sign(cert, key, hashes_itself ? NULL : EVP_sha256()) > 0);
  return cert;
}

static inline void write_certificate(const char *path, X509 *cert) {
  FILE *file = fopen(path, "w");
  CHECK(file != NULL && PEM_write_X509(file, cert) == 1);
  CHECK(fclose(file) == 0);
}

static inline void write_key(const char *path, EVP_PKEY *key, const char *password) {
  FILE *file = fopen(path, "w");
  const EVP_CIPHER *cipher = password != NULL ? EVP_aes_128_cbc() : NULL;
  CHECK(file != NULL &&
        PEM_write_PKCS8PrivateKey(file, key, cipher, password,
                                  password != NULL ? (int)strlen(password) : 0, NULL, NULL) == 1);
  CHECK(fclose(file) == 0);
}

/* Both files anew. */
static inline void folder_fill(const peer_folder *self, const char *kind, const char *name) {
  EVP_PKEY *key = peer_key(kind);
  CHECK(key != NULL);
  X509 *cert = peer_certificate(key, name);
  write_certificate(self->certificate, cert);
  write_key(self->key, key, NULL);
  X509_free(cert);
  EVP_PKEY_free(key);
}

/* ---- a client ---- */

typedef struct peer {
  SSL *ssl;
  BIO *from_server, *to_server;
} peer;

static inline SSL_CTX *peer_context(int version) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  CHECK(context != NULL);
  SSL_CTX_set_security_level(context, 0);
  CHECK(SSL_CTX_set_cipher_list(context, "ALL:COMPLEMENTOFALL:@SECLEVEL=0") == 1);
  CHECK(SSL_CTX_set_min_proto_version(context, version) == 1);
  CHECK(SSL_CTX_set_max_proto_version(context, version) == 1);
  return context;
}

static inline void peer_init(peer *self, SSL_CTX *context) {
  self->ssl = SSL_new(context);
  self->from_server = BIO_new(BIO_s_mem());
  self->to_server = BIO_new(BIO_s_mem());
  CHECK(self->ssl != NULL && self->from_server != NULL && self->to_server != NULL);
  SSL_set_bio(self->ssl, self->from_server, self->to_server);
  SSL_set_connect_state(self->ssl);
}

/* Politely, as OpenSSL takes up no session that ended in another way. */
static inline void peer_deinit(peer *self) {
  SSL_set_shutdown(self->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(self->ssl);
  ERR_clear_error();
}

/* What the client wants to send, up to |cap| bytes. */
static inline size_t peer_take(peer *self, uint8_t *out, size_t cap) {
  int n = BIO_read(self->to_server, out, (int)cap);
  return n > 0 ? (size_t)n : 0;
}

/* What the server wants to send goes to the client. */
static inline void carry_to_client(peer *self, lk_tls *tls) {
  lk_slice out = lk_tls_output(tls);
  if (out.len == 0) return;
  CHECK(BIO_write(self->from_server, out.ptr, (int)out.len) == (int)out.len);
  lk_tls_consume(tls, out.len);
}

/* What the client sends goes to the server, |step| bytes at a time; what it says is appended to |heard|. */
static inline lk_err carry_to_server(peer *self, lk_tls *tls, size_t step, lk_buf *heard) {
  uint8_t bytes[4096];
  lk_slice plain;
  lk_err err = LK_ERR_MORE;
  for (size_t n;
       err == LK_ERR_MORE && (n = peer_take(self, bytes, lk_min_size(step, sizeof bytes))) > 0;) {
    lk_tls_feed(tls, lk_slice_of(bytes, n));
    while ((err = lk_tls_read(tls, &plain)) == LK_OK) CHECK_OK(lk_buf_append(heard, plain));
  }
  return err;
}

/* Until both are done with it. False where either gave up; |err| is what the server said last. */
static inline bool shake_hands(peer *self, lk_tls *tls, size_t step, lk_buf *heard, lk_err *err) {
  *err = LK_ERR_MORE;
  for (int i = 0; i < 20; i++) {
    int code = SSL_do_handshake(self->ssl);
    bool waits = code == 1 || SSL_get_error(self->ssl, code) == SSL_ERROR_WANT_READ;
    if (*err == LK_ERR_MORE) *err = carry_to_server(self, tls, step, heard);
    carry_to_client(self, tls);
    if (!waits || *err != LK_ERR_MORE) return false;
    if (code == 1 && lk_tls_deadline(tls) == LK_TLS_NEVER) return true;
  }
  return false;
}

#endif
