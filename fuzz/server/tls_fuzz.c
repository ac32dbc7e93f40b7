/* Bytes of a stranger on a port with TLS: whole flights of a real client, changed, and cut anywhere. GnuTLS is fuzzed by
 * others; what is looked for here is how we hold it. */
#include "../../tests/unit/server/tls_peer.h"

#define FLIGHT_MAX 4096

static peer_folder folder;
static void remove_folder(void) { folder_deinit(&folder); }

/* The files are made once: keys take longer than the rest. */
static lk_tls_server *server(const lk_alloc *alloc, lk_tls_files *files) {
  static lk_tls_server it;
  lk_buf why;
  if (folder.path[0] == 0) {
    folder_init(&folder);
    folder_fill(&folder, "EC", "localhost");
    CHECK(atexit(remove_folder) == 0);
  }
  lk_buf_init(&why, alloc, 1024);
  CHECK_OK(lk_tls_files_open(files, alloc, folder.certificate, folder.key, 0, &why));
  CHECK_OK(lk_tls_server_init(&it, alloc, files, NULL));
  lk_buf_deinit(&why);
  return &it;
}

static size_t first_flight(int version, uint8_t *out) {
  SSL_CTX *context = peer_context(version);
  peer client;
  peer_init(&client, context);
  (void)SSL_do_handshake(client.ssl);
  size_t n = peer_take(&client, out, FLIGHT_MAX);
  peer_deinit(&client);
  SSL_CTX_free(context);
  return n;
}

/* also fuzzes: lk_tls_read */
FUZZ(lk_tls_feed) {
  static uint8_t flights[2][FLIGHT_MAX];
  static size_t lens[2];
  static uint8_t scratch[4 * FLIGHT_MAX];
  lk_tls_files files;
  lk_tls *tls;
  lk_slice plain;
  lk_err err = LK_ERR_MORE;
  if (lens[0] == 0) {
    lens[0] = first_flight(TLS1_2_VERSION, flights[0]);
    lens[1] = first_flight(TLS1_3_VERSION, flights[1]);
  }
  lk_tls_server *s = server(test_alloc(), &files);
  CHECK_OK(lk_tls_open(s, 0, &tls));
  const lk_slice samples[2] = { lk_slice_of(flights[0], lens[0]),
                                lk_slice_of(flights[1], lens[1]) };
  size_t step = 1 + gen_below(g, 2000);
  lk_slice in = gen_hostile(g, samples, 2, scratch, sizeof scratch);
  while (in.len > 0 && err == LK_ERR_MORE) {
    lk_slice piece = lk_slice_first(in, lk_min_size(in.len, step));
    in = lk_slice_skip(in, piece.len);
    lk_tls_feed(tls, piece);
    while ((err = lk_tls_read(tls, &plain)) == LK_OK) CHECK(plain.len <= LK_TLS_RECORD_MAX);
    CHECK(err == LK_ERR_MORE || err == LK_ERR_CLOSED || err == LK_ERR_END);
    size_t waiting = lk_tls_output(tls).len;
    CHECK(waiting < LK_TLS_WRITE_MAX);
    if (gen_bool(g)) lk_tls_consume(tls, waiting);
  }
  size_t before = lk_tls_output(tls).len;
  CHECK(lk_tls_end(tls) == (lk_tls_output(tls).len > before));
  lk_tls_close(tls);
  lk_tls_server_deinit(s);
  lk_tls_files_close(&files);
}
