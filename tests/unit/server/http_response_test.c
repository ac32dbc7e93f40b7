/* Responses to the program's own client: what is whole is read, and nothing else. */
#include "harness/test.h"
#include "server/http_response.h"

TEST(http_responses_are_whole_or_refused) {
  static const struct {
    lk_slice bytes;
    lk_err err;
    uint32_t status;
    lk_slice body;
  } cases[] = {
    { LK_LIT_INIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), LK_OK, 200,
      LK_LIT_INIT("hi") },
    { LK_LIT_INIT("HTTP/1.0 404\r\n\r\nall of it"), LK_OK, 404, LK_LIT_INIT("all of it") },
    { LK_LIT_INIT("HTTP/1.1 200 \r\na: b\r\nCONTENT-LENGTH:0\r\n\r\n"), LK_OK, 200,
      LK_LIT_INIT("") },
    { LK_LIT_INIT("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi"), LK_ERR_TRUNCATED, 0, { 0 } },
    { LK_LIT_INIT("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nhi"), LK_ERR_HTTP, 0, { 0 } },
    { LK_LIT_INIT("HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nhi"), LK_ERR_HTTP, 0, { 0 } },
    { LK_LIT_INIT("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
      LK_ERR_HTTP,
      0,
      { 0 } },
    { LK_LIT_INIT("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"), LK_ERR_TRUNCATED, 0, { 0 } },
    { LK_LIT_INIT("HTTP/1.1 2x0 OK\r\n\r\n"), LK_ERR_HTTP, 0, { 0 } },
    { LK_LIT_INIT("HTTP/1.1 2000\r\n\r\n"), LK_ERR_HTTP, 0, { 0 } },
    { LK_LIT_INIT("HTTP/2 200\r\n\r\n"), LK_ERR_HTTP, 0, { 0 } },
    { LK_LIT_INIT("SSH-2.0-x\r\n"), LK_ERR_HTTP, 0, { 0 } },
    { LK_LIT_INIT(""), LK_ERR_HTTP, 0, { 0 } },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    lk_http_response response = { 0 };
    test_note("case %zu", i);
    CHECK_ERR(lk_http_response_parse(cases[i].bytes, &response), cases[i].err);
    if (cases[i].err != LK_OK) continue;
    CHECK_U64(response.status, cases[i].status);
    CHECK_SLICE(response.body, cases[i].body);
  }
}
