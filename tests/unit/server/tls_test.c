/* TLS of one connection, and the files that a certificate comes from. Clients are OpenSSL's: what two libraries agree on
 * is the protocol, and not one's idea of it. */
#include "server/tls.h"

#include <malloc.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "tls_peer.h"

#ifdef LK_UNDER_SANITIZER
size_t __sanitizer_get_current_allocated_bytes(void);
static size_t heap_bytes(void) { return __sanitizer_get_current_allocated_bytes(); }
#else
static size_t heap_bytes(void) { return mallinfo2().uordblks; }
#endif

typedef struct fixture {
  peer_folder folder;
  lk_tls_files files;
  lk_tls_tickets tickets;
  lk_tls_server server;
  SSL_CTX *context;
  lk_buf heard;
} fixture;

static void init(fixture *f, const char *kind, int version) {
  lk_buf why;
  folder_init(&f->folder);
  folder_fill(&f->folder, kind, "first.example");
  lk_buf_init(&why, test_alloc(), 1024);
  CHECK_OK(
      lk_tls_files_open(&f->files, test_alloc(), f->folder.certificate, f->folder.key, 1000, &why));
  CHECK_OK(lk_tls_tickets_make(&f->tickets, 1000));
  CHECK_OK(lk_tls_server_init(&f->server, test_alloc(), &f->files, &f->tickets));
  lk_buf_deinit(&why);
  f->context = peer_context(version);
  lk_buf_init(&f->heard, test_alloc(), 1 << 20);
}

static void deinit(fixture *f) {
  lk_tls_server_deinit(&f->server);
  lk_tls_tickets_close(&f->tickets);
  lk_tls_files_close(&f->files);
  folder_deinit(&f->folder);
  SSL_CTX_free(f->context);
  lk_buf_deinit(&f->heard);
}

static void meet(fixture *f, peer *client, lk_tls **tls, size_t step) {
  lk_err err;
  peer_init(client, f->context);
  CHECK_OK(lk_tls_open(&f->server, 1000, tls));
  CHECK(shake_hands(client, *tls, step, &f->heard, &err));
}

static void part(peer *client, lk_tls *tls) {
  peer_deinit(client);
  lk_tls_close(tls);
}

static void say_to_client(peer *client, lk_tls *tls, lk_slice text) {
  size_t taken;
  CHECK_OK(lk_tls_write(tls, text, &taken));
  CHECK_U64(taken, text.len);
  carry_to_client(client, tls);
}

static void exchange_words(fixture *f, peer *client, lk_tls *tls, size_t step) {
  char got[64];
  lk_buf_truncate(&f->heard, 0);
  CHECK(SSL_write(client->ssl, "question", 8) == 8);
  CHECK_ERR(carry_to_server(client, tls, step, &f->heard), LK_ERR_MORE);
  CHECK_TEXT(lk_buf_slice(&f->heard), "question");
  say_to_client(client, tls, LK_LIT("answer"));
  CHECK(SSL_read(client->ssl, got, sizeof got) == 6 && memcmp(got, "answer", 6) == 0);
}

/* ---- versions, suites, extensions ---- */

/* Goal: both versions are spoken with every kind of key that is served, and where the bytes are cut does not matter. */
TEST(clients_of_tls_1_2_and_1_3_say_and_hear_what_was_said) {
  static const char *const kinds[] = { "EC", "ED25519", "2048" };
  static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
  static const size_t steps[] = { 1, 7, 4096 };
  for (size_t i = 0; i < 18; i++) {
    fixture f;
    peer client;
    lk_tls *tls;
    size_t step = steps[i % 3];
    init(&f, kinds[i / 3 % 3], versions[i / 9]);
    meet(&f, &client, &tls, step);
    CHECK(SSL_version(client.ssl) == versions[i / 9]);
    exchange_words(&f, &client, tls, step);
    exchange_words(&f, &client, tls, step);
    part(&client, tls);
    deinit(&f);
  }
}

/* Tries to meet a client that is set up by |prepare|; the alert that it got, or -1 where they met. */
static int alert_of(int version, void (*prepare)(SSL_CTX *context)) {
  fixture f;
  peer client;
  lk_tls *tls;
  lk_err err;
  char got[16];
  init(&f, "EC", version);
  prepare(f.context);
  peer_init(&client, f.context);
  CHECK_OK(lk_tls_open(&f.server, 1000, &tls));
  bool met = shake_hands(&client, tls, 4096, &f.heard, &err);
  int alert = -1;
  if (!met) {
    CHECK_ERR(err, LK_ERR_CLOSED);
    (void)SSL_read(client.ssl, got, sizeof got);
    alert = ERR_GET_REASON(ERR_peek_last_error()) - SSL_AD_REASON_OFFSET;
    CHECK_ERR(lk_tls_write(tls, LK_LIT("x"), &(size_t){ 0 }), LK_ERR_CLOSED);
    CHECK(!lk_tls_end(tls));
  }
  part(&client, tls);
  deinit(&f);
  return alert;
}

static void nothing(SSL_CTX *context) { (void)context; }
static void cbc_only(SSL_CTX *context) {
  CHECK(SSL_CTX_set_cipher_list(
            context, "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0") == 1);
}
static void static_rsa_only(SSL_CTX *context) {
  CHECK(SSL_CTX_set_cipher_list(context, "AES128-GCM-SHA256:AES256-GCM-SHA384:@SECLEVEL=0") == 1);
}
static void ccm_only(SSL_CTX *context) {
  CHECK(SSL_CTX_set_ciphersuites(context, "TLS_AES_128_CCM_8_SHA256") == 1);
}
static void chacha_only(SSL_CTX *context) {
  CHECK(SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-CHACHA20-POLY1305") == 1);
}

TEST(old_versions_and_suites_without_authenticated_encryption_are_refused) {
  CHECK_I64(alert_of(TLS1_VERSION, nothing), SSL_AD_PROTOCOL_VERSION);
  CHECK_I64(alert_of(TLS1_1_VERSION, nothing), SSL_AD_PROTOCOL_VERSION);
  CHECK_I64(alert_of(TLS1_2_VERSION, cbc_only), SSL_AD_HANDSHAKE_FAILURE);
  CHECK_I64(alert_of(TLS1_2_VERSION, static_rsa_only), SSL_AD_HANDSHAKE_FAILURE);
  CHECK_I64(alert_of(TLS1_3_VERSION, ccm_only), SSL_AD_HANDSHAKE_FAILURE);
  CHECK_I64(alert_of(TLS1_2_VERSION, chacha_only), -1);
}

static void h2_only(SSL_CTX *context) {
  CHECK(SSL_CTX_set_alpn_protos(context, (const uint8_t *)"\2h2", 3) == 0);
}
static void h2_or_http(SSL_CTX *context) {
  CHECK(SSL_CTX_set_alpn_protos(context, (const uint8_t *)"\2h2\10http/1.1", 12) == 0);
}

TEST(a_client_that_names_protocols_must_name_http_1_1) {
  static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
  for (int i = 0; i < 2; i++) {
    CHECK_I64(alert_of(versions[i], h2_only), SSL_AD_NO_APPLICATION_PROTOCOL);
    CHECK_I64(alert_of(versions[i], h2_or_http), -1);
    CHECK_I64(alert_of(versions[i], nothing), -1);
  }
}

TEST(a_server_name_decides_nothing) {
  static const char *const names[] = { "first.example", "other.example", "127.0.0.1", "a..b",
                                       "xn--" };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    fixture f;
    peer client;
    lk_tls *tls;
    lk_err err;
    init(&f, "EC", TLS1_3_VERSION);
    peer_init(&client, f.context);
    CHECK(SSL_set_tlsext_host_name(client.ssl, names[i]) == 1);
    CHECK_OK(lk_tls_open(&f.server, 1000, &tls));
    test_note("%s", names[i]);
    CHECK(shake_hands(&client, tls, 4096, &f.heard, &err));
    part(&client, tls);
    deinit(&f);
  }
}

TEST(renegotiation_ends_the_connection) {
  fixture f;
  peer client;
  lk_tls *tls;
  char got[16];
  init(&f, "EC", TLS1_2_VERSION);
  meet(&f, &client, &tls, 4096);
  CHECK(SSL_renegotiate(client.ssl) == 1);
  (void)SSL_do_handshake(client.ssl);
  CHECK_ERR(carry_to_server(&client, tls, 4096, &f.heard), LK_ERR_CLOSED);
  CHECK_U64(f.heard.len, 0);
  carry_to_client(&client, tls);
  CHECK(SSL_read(client.ssl, got, sizeof got) < 0);
  CHECK_I64(ERR_GET_REASON(ERR_peek_last_error()), SSL_R_NO_RENEGOTIATION);
  part(&client, tls);
  deinit(&f);
}

/* ---- who speaks no TLS ---- */

static lk_err feed_and_read(lk_tls *tls, const void *bytes, size_t len) {
  lk_slice plain;
  lk_tls_feed(tls, lk_slice_of(bytes, len));
  return lk_tls_read(tls, &plain);
}

TEST(a_request_in_plain_text_is_told_that_this_is_no_place_for_it) {
  static const char *const requests[] = { "GET / HTTP/1.1\r\nhost: x\r\n\r\n", "P",
                                          "PRI * HTTP/2.0\r\n\r\n" };
  for (size_t i = 0; i < 3; i++) {
    fixture f;
    lk_tls *tls;
    init(&f, "EC", TLS1_3_VERSION);
    CHECK_OK(lk_tls_open(&f.server, 1000, &tls));
    CHECK_ERR(feed_and_read(tls, requests[i], strlen(requests[i])), LK_ERR_CLOSED);
    lk_slice out = lk_tls_output(tls);
    CHECK(lk_slice_starts_with(out, LK_LIT("HTTP/1.1 400 ")));
    CHECK(memmem(out.ptr, out.len, "This port speaks TLS", 20) != NULL);
    CHECK_ERR(feed_and_read(tls, "GET / HTTP/1.1\r\n", 16), LK_ERR_CLOSED);
    CHECK_U64(lk_tls_output(tls).len, out.len);
    CHECK_U64(lk_tls_deadline(tls), LK_TLS_NEVER);
    lk_tls_close(tls);
    deinit(&f);
  }
}

TEST(nonsense_is_refused_as_soon_as_it_is_seen) {
  static const char *const nonsense[] = {
    "\0\0\0\0\0\0\0\0",   "\x80\x2e\1\0\2\0\0\0",  "\x16\x03\x01\xff\xff\1\1\1",
    "\x17\x03\x03\0\1\1", "\x15\x03\x03\0\2\2\50", "\xff\xff\xff\xff\xff\xff"
  };
  static const size_t lens[] = { 8, 8, 8, 6, 7, 6 };
  for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
    fixture f;
    lk_tls *tls;
    init(&f, "EC", TLS1_3_VERSION);
    CHECK_OK(lk_tls_open(&f.server, 1000, &tls));
    test_note("nonsense %zu", i);
    CHECK_ERR(feed_and_read(tls, nonsense[i], lens[i]), LK_ERR_CLOSED);
    CHECK(lk_tls_output(tls).len < 64);
    lk_tls_close(tls);
    deinit(&f);
  }
}

/* Goal: a claim of length costs the claimant, not us. Method: claim a record of 16 KB, which is allowed, and then a message
 * of 16 MB, and look at the heap; give what was claimed, and see how long it is taken. */
TEST(a_claim_of_length_makes_no_room_for_more_than_some_records) {
  static const uint8_t record[] = { 22, 3, 1, 0x40, 0, 1, 0x00, 0x3f, 0xfc };
  static const uint8_t message[] = { 22, 3, 1, 0, 5, 1, 0xff, 0xff, 0xff, 3 };
  static const uint8_t more[5 + 4096] = { 22, 3, 1, 16, 0 };
  lk_err err = LK_ERR_MORE;
  size_t given = 0;
  fixture f;
  lk_tls *tls;
  init(&f, "EC", TLS1_3_VERSION);
  CHECK_OK(lk_tls_open(&f.server, 1000, &tls));
  size_t before = heap_bytes();
  CHECK_ERR(feed_and_read(tls, record, sizeof record), LK_ERR_MORE);
  test_note("%zu", heap_bytes() - before);
  CHECK(heap_bytes() - before < 3 * LK_TLS_RECORD_MAX);
  lk_tls_close(tls);
  CHECK_OK(lk_tls_open(&f.server, 1000, &tls));
  before = heap_bytes();
  CHECK_ERR(feed_and_read(tls, message, sizeof message), LK_ERR_MORE);
  CHECK(heap_bytes() - before < 3 * LK_TLS_RECORD_MAX);
  for (; err == LK_ERR_MORE && given < (1 << 20); given += sizeof more)
    err = feed_and_read(tls, more, sizeof more);
  test_note("%zu taken, %zu kept", given, heap_bytes() - before);
  CHECK_ERR(err, LK_ERR_CLOSED);
  CHECK(given <= 65536 + sizeof more && heap_bytes() - before < 3 * 65536);
  CHECK_COVERED(tls_says_nothing_at_length);
  lk_tls_close(tls);
  deinit(&f);
}

/* Goal: what a client says without any plaintext is bounded, after the handshake as in it. Method: new keys, again and again. */
TEST(a_client_that_only_changes_its_keys_is_cut_off) {
  fixture f;
  peer client;
  lk_tls *tls;
  lk_err err = LK_ERR_MORE;
  int rounds = 0;
  init(&f, "EC", TLS1_3_VERSION);
  meet(&f, &client, &tls, 4096);
  for (; err == LK_ERR_MORE && rounds < 5000; rounds++) {
    CHECK(SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED) == 1);
    CHECK(SSL_do_handshake(client.ssl) == 1);
    err = carry_to_server(&client, tls, 4096, &f.heard);
  }
  CHECK_ERR(err, LK_ERR_CLOSED);
  CHECK(rounds < 5000 && lk_tls_output(tls).len < LK_TLS_OUTPUT_MAX);
  part(&client, tls);
  deinit(&f);
}

/* ---- time, ends, limits ---- */

TEST(the_deadline_of_a_handshake_does_not_move_with_what_trickles_in) {
  fixture f;
  peer client;
  lk_tls *tls;
  uint8_t bytes[4096];
  init(&f, "EC", TLS1_3_VERSION);
  peer_init(&client, f.context);
  CHECK_OK(lk_tls_open(&f.server, 1000, &tls));
  (void)SSL_do_handshake(client.ssl);
  size_t n = peer_take(&client, bytes, sizeof bytes);
  for (size_t i = 0; i < n; i++) {
    CHECK_U64(lk_tls_deadline(tls), 1000 + LK_TLS_HANDSHAKE_MS);
    CHECK_ERR(feed_and_read(tls, &bytes[i], 1), LK_ERR_MORE);
  }
  CHECK_U64(lk_tls_deadline(tls), 1000 + LK_TLS_HANDSHAKE_MS);
  part(&client, tls);
  meet(&f, &client, &tls, 4096);
  CHECK_U64(lk_tls_deadline(tls), LK_TLS_NEVER);
  part(&client, tls);
  deinit(&f);
}

TEST(either_side_may_say_that_it_is_done) {
  static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
  for (int i = 0; i < 2; i++) {
    fixture f;
    peer client;
    lk_tls *tls;
    char got[16];
    size_t taken;
    init(&f, "EC", versions[i]);
    meet(&f, &client, &tls, 4096);
    CHECK(SSL_write(client.ssl, "last", 4) == 4);
    CHECK(SSL_shutdown(client.ssl) == 0);
    CHECK_ERR(carry_to_server(&client, tls, 4096, &f.heard), LK_ERR_END);
    CHECK_TEXT(lk_buf_slice(&f.heard), "last");
    CHECK(lk_tls_has_ended(tls));
    CHECK_ERR(feed_and_read(tls, "what follows does not count", 27), LK_ERR_END);
    say_to_client(&client, tls, LK_LIT("still"));
    CHECK(SSL_read(client.ssl, got, sizeof got) == 5);
    CHECK(lk_tls_end(tls));
    CHECK(!lk_tls_end(tls));
    CHECK_ERR(lk_tls_write(tls, LK_LIT("x"), &taken), LK_ERR_CLOSED);
    carry_to_client(&client, tls);
    CHECK(SSL_read(client.ssl, got, sizeof got) == 0);
    CHECK(SSL_get_error(client.ssl, 0) == SSL_ERROR_ZERO_RETURN);
    part(&client, tls);
    deinit(&f);
  }
}

TEST(a_client_that_does_not_read_holds_one_bounded_piece_of_output) {
  static uint8_t much[1 << 20];
  fixture f;
  peer client;
  lk_tls *tls;
  size_t taken, total = 0;
  init(&f, "EC", TLS1_3_VERSION);
  meet(&f, &client, &tls, 4096);
  for (int i = 0; i < 10; i++) {
    CHECK_OK(lk_tls_write(tls, lk_slice_of(much, sizeof much), &taken));
    total += taken;
  }
  CHECK_U64(total, LK_TLS_WRITE_MAX);
  CHECK(lk_tls_output(tls).len < LK_TLS_WRITE_MAX + 100);
  carry_to_client(&client, tls);
  CHECK_U64(f.server.alloc == test_alloc() ? lk_tls_output(tls).len : 1, 0);
  part(&client, tls);
  deinit(&f);
}

/* Goal: idle connections are what most connections are. Method: the heap's growth, OpenSSL's clients freed. */
TEST(an_idle_connection_keeps_at_most_16_kilobytes) {
  enum { COUNT = 64 };
  static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
  for (int v = 0; v < 2; v++) {
    static lk_tls *all[COUNT];
    fixture f;
    peer client;
    init(&f, "EC", versions[v]);
    meet(&f, &client, &all[0], 4096);
    part(&client, all[0]);
    size_t before = heap_bytes();
    for (int i = 0; i < COUNT; i++) {
      meet(&f, &client, &all[i], 4096);
      exchange_words(&f, &client, all[i], 4096);
      peer_deinit(&client);
    }
    size_t each = (heap_bytes() - before) / COUNT;
    if (getenv("LK_TLS_SAY") != NULL)
      (void)fprintf(stderr, "# TLS 1.%d: %zu bytes a connection\n", v + 2, each);
    CHECK(each <= 16384);
    for (int i = 0; i < COUNT; i++) lk_tls_close(all[i]);
    deinit(&f);
  }
}

/* ---- tickets ---- */

/* A client meets |server| with the session of |before|; whether it was taken up. */
static bool comes_back(fixture *f, lk_tls_server *server, SSL_SESSION *before) {
  peer client;
  lk_tls *tls;
  lk_err err;
  peer_init(&client, f->context);
  CHECK(SSL_set_session(client.ssl, before) == 1);
  CHECK_OK(lk_tls_open(server, 1000, &tls));
  CHECK(shake_hands(&client, tls, 4096, &f->heard, &err));
  exchange_words(f, &client, tls, 4096);
  bool is_resumed = SSL_session_reused(client.ssl) == 1;
  part(&client, tls);
  return is_resumed;
}

/* Goal: a client may come back to any process, until the secret is another one. Method: two servers with one secret, as in
 * two processes. */
TEST(a_ticket_is_read_by_every_process_until_the_secret_is_replaced) {
  static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
  for (int i = 0; i < 2; i++) {
    fixture f;
    peer client;
    lk_tls *tls;
    lk_tls_server other, none;
    init(&f, "EC", versions[i]);
    CHECK_OK(lk_tls_server_init(&other, test_alloc(), &f.files, &f.tickets));
    CHECK_OK(lk_tls_server_init(&none, test_alloc(), &f.files, NULL));
    meet(&f, &client, &tls, 4096);
    exchange_words(&f, &client, tls, 4096); /* 1.3 sends tickets behind the handshake */
    SSL_SESSION *session = SSL_get1_session(client.ssl);
    CHECK(SSL_SESSION_has_ticket(session) == 1);
    part(&client, tls);
    CHECK(comes_back(&f, &other, session));
    CHECK(!comes_back(&f, &none, session));
    lk_tls_tickets_tick(&f.tickets, 1000 + LK_TLS_SECRET_MS - 1);
    CHECK(comes_back(&f, &other, session));
    lk_tls_tickets_tick(&f.tickets, 1000 + LK_TLS_SECRET_MS);
    CHECK_U64(lk_tls_tickets_deadline(&f.tickets), 1000 + 2 * (uint64_t)LK_TLS_SECRET_MS);
    CHECK(!comes_back(&f, &other, session));
    SSL_SESSION_free(session);
    lk_tls_server_deinit(&other);
    lk_tls_server_deinit(&none);
    deinit(&f);
  }
}

/* ---- files ---- */

typedef struct complaint {
  lk_err err;
  char text[512];
} complaint;

static complaint open_files(const peer_folder *folder) {
  lk_tls_files files;
  lk_buf why;
  complaint got = { LK_OK, "" };
  lk_buf_init(&why, test_alloc(), 1024);
  got.err = lk_tls_files_open(&files, test_alloc(), folder->certificate, folder->key, 0, &why);
  if (why.len > 0) memcpy(got.text, why.ptr, lk_min_size(why.len, sizeof got.text - 1));
  lk_buf_deinit(&why);
  lk_tls_files_close(&files);
  return got;
}

static void write_text(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

#define CHECK_COMPLAINT(folder, code, words)                                                       \
  do {                                                                                             \
    complaint c_ = open_files(folder);                                                             \
    test_note("%s", c_.text);                                                                      \
    CHECK_ERR(c_.err, code);                                                                       \
    CHECK(strstr(c_.text, words) != NULL);                                                         \
  } while (0)

TEST(files_that_cannot_be_used_are_refused_by_name) {
  peer_folder folder;
  folder_init(&folder);
  CHECK_COMPLAINT(&folder, LK_ERR_NOT_FOUND, "cert.pem: No such file");
  folder_fill(&folder, "EC", "x");
  CHECK_OK(open_files(&folder).err);
  CHECK(unlink(folder.key) == 0);
  CHECK_COMPLAINT(&folder, LK_ERR_NOT_FOUND, "key.pem: No such file");
  write_text(folder.key, "this is no key\n");
  CHECK_COMPLAINT(&folder, LK_ERR_SYNTAX, "key.pem holds no private key in PEM form");
  write_text(folder.key, "");
  CHECK_COMPLAINT(&folder, LK_ERR_SYNTAX, "key.pem holds no private key");
  folder_fill(&folder, "EC", "x");
  write_text(folder.certificate, "this is no certificate\n");
  CHECK_COMPLAINT(&folder, LK_ERR_SYNTAX, "cert.pem holds no chain of certificates in PEM form");
  write_text(folder.certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  CHECK_COMPLAINT(&folder, LK_ERR_SYNTAX, "cert.pem holds no chain of certificates in PEM form");
  folder_fill(&folder, "ED448", "x");
  CHECK_COMPLAINT(&folder, LK_ERR_KEY, "of a kind that is not served");
  folder_fill(&folder, "EC", "x");
  CHECK(truncate(folder.certificate, LK_TLS_FILE_MAX + 1) == 0);
  CHECK_COMPLAINT(&folder, LK_ERR_TOO_BIG, "cert.pem has more than");
  CHECK(unlink(folder.certificate) == 0 && mkdir(folder.certificate, 0700) == 0);
  CHECK_COMPLAINT(&folder, LK_ERR_IO, "cert.pem is not a file");
  CHECK(rmdir(folder.certificate) == 0 && mkfifo(folder.certificate, 0600) == 0);
  CHECK_COMPLAINT(&folder, LK_ERR_IO, "cert.pem is not a file");
  folder_deinit(&folder);
}

TEST(a_key_of_another_certificate_or_with_a_password_is_refused) {
  peer_folder folder;
  EVP_PKEY *other = peer_key("EC");
  folder_init(&folder);
  folder_fill(&folder, "EC", "x");
  write_key(folder.key, other, NULL);
  CHECK_COMPLAINT(&folder, LK_ERR_KEY, "key.pem is not that of the first certificate in");
  write_key(folder.key, other, "secret");
  CHECK_COMPLAINT(&folder, LK_ERR_KEY, "key.pem is encrypted");
  EVP_PKEY_free(other);
  folder_deinit(&folder);
}

/* The name on the certificate that a new client is shown. */
static void check_shown(fixture *f, const char *name) {
  peer client;
  lk_tls *tls;
  char got[64] = "";
  meet(f, &client, &tls, 4096);
  X509 *cert = SSL_get1_peer_certificate(client.ssl);
  (void)X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, got, sizeof got);
  X509_free(cert);
  part(&client, tls);
  CHECK_SLICE(lk_slice_cstr(got), lk_slice_cstr(name));
}

/* As a program does that wants no reader to see half of a file. */
static void replace_both(const fixture *f, const char *name) {
  peer_folder fresh;
  folder_init(&fresh);
  folder_fill(&fresh, "EC", name);
  CHECK(rename(fresh.certificate, f->folder.certificate) == 0);
  CHECK(rename(fresh.key, f->folder.key) == 0);
  folder_deinit(&fresh);
}

TEST(new_connections_get_the_new_certificate_and_old_ones_go_on) {
  fixture f;
  peer old;
  lk_tls *old_tls;
  init(&f, "EC", TLS1_3_VERSION);
  f.files.is_quiet = true;
  meet(&f, &old, &old_tls, 4096);
  replace_both(&f, "second.example");
  lk_tls_files_tick(&f.files, 1000 + LK_TLS_LOOK_MS - 1);
  CHECK_U64(lk_tls_files_deadline(&f.files), 1000 + LK_TLS_LOOK_MS);
  lk_tls_files_tick(&f.files, 1000 + LK_TLS_LOOK_MS);
  check_shown(&f, "first.example"); /* it is not known yet whether all is written */
  CHECK_U64(lk_tls_files_deadline(&f.files), 1000 + LK_TLS_LOOK_MS + LK_TLS_SETTLE_MS);
  lk_tls_files_tick(&f.files, 1000 + LK_TLS_LOOK_MS + LK_TLS_SETTLE_MS);
  check_shown(&f, "second.example");
  exchange_words(&f, &old, old_tls, 4096);
  part(&old, old_tls);
  deinit(&f);
}

static void look_until_settled(fixture *f) {
  for (int i = 0; i < 3; i++) lk_tls_files_tick(&f->files, lk_tls_files_deadline(&f->files));
}

TEST(a_pair_that_does_not_fit_is_refused_once_and_the_one_before_stays) {
  fixture f;
  init(&f, "EC", TLS1_3_VERSION);
  f.files.is_quiet = true;
  lk_tls_identity *first = f.files.identity;
  EVP_PKEY *other = peer_key("EC");
  write_key(f.folder.key, other, NULL);
  look_until_settled(&f);
  CHECK(f.files.identity == first);
  lk_tls_stamp tried = f.files.tried[1];
  look_until_settled(&f);
  CHECK(memcmp(&tried, &f.files.tried[1], sizeof tried) == 0);
  CHECK(unlink(f.folder.certificate) == 0);
  write_key(f.folder.key, other, NULL);
  look_until_settled(&f);
  CHECK(f.files.identity == first);
  struct stat st; /* both were seen, though one was enough to refuse */
  CHECK(stat(f.folder.key, &st) == 0 && f.files.tried[1].modified.tv_nsec == st.st_mtim.tv_nsec);
  X509 *cert = peer_certificate(other, "third.example");
  write_certificate(f.folder.certificate, cert);
  look_until_settled(&f);
  check_shown(&f, "third.example");
  X509_free(cert);
  EVP_PKEY_free(other);
  deinit(&f);
}

TEST(files_that_go_on_changing_are_waited_for) {
  fixture f;
  init(&f, "EC", TLS1_3_VERSION);
  f.files.is_quiet = true;
  lk_tls_identity *first = f.files.identity;
  for (int i = 0; i < 5; i++) {
    replace_both(&f, "second.example");
    lk_tls_files_tick(&f.files, lk_tls_files_deadline(&f.files));
    CHECK(f.files.identity == first);
  }
  lk_tls_files_tick(&f.files, lk_tls_files_deadline(&f.files));
  check_shown(&f, "second.example");
  deinit(&f);
}

/* ---- memory that fails ---- */

TEST(every_allocation_of_ours_may_fail) {
  fixture f;
  init(&f, "EC", TLS1_3_VERSION);
  f.files.is_quiet = true;
  FAULT_LOOP(faults, test_alloc()) {
    lk_tls_server server;
    lk_tls_files files;
    lk_tls *tls;
    lk_buf why;
    peer client;
    size_t taken = 0;
    lk_buf_init(&why, test_alloc(), 1024);
    peer_init(&client, f.context);
    lk_err err = lk_tls_files_open(&files, faulty_alloc(&faults), f.folder.certificate,
                                   f.folder.key, 0, &why);
    if (err == LK_OK) err = lk_tls_server_init(&server, faulty_alloc(&faults), &files, &f.tickets);
    else CHECK(err == LK_ERR_NOMEM && why.len > 0);
    if (err == LK_OK) {
      err = lk_tls_open(&server, 0, &tls);
      if (err == LK_OK) {
        bool met = shake_hands(&client, tls, 4096, &f.heard, &err);
        CHECK(met || err == LK_ERR_CLOSED);
        err = lk_tls_write(tls, LK_LIT("answer"), &taken);
        CHECK(err == LK_OK ? met : err == LK_ERR_CLOSED);
        lk_tls_close(tls);
      } else {
        CHECK_ERR(err, LK_ERR_NOMEM);
      }
      lk_tls_server_deinit(&server);
    }
    lk_tls_files_close(&files);
    peer_deinit(&client);
    lk_buf_deinit(&why);
  }
  deinit(&f);
}
