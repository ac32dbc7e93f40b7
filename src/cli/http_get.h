/* cli/http_get.h -- one GET to a server of ours, over plain HTTP. */
#ifndef LK_CLI_HTTP_GET_H
#define LK_CLI_HTTP_GET_H

#include "base/buf.h"

#define LK_CLI_HOST_MAX 256

typedef struct lk_cli_url {
  char host[LK_CLI_HOST_MAX]; /* without the brackets of an IPv6 address */
  char authority[LK_CLI_HOST_MAX + 16];
  char port[8];
} lk_cli_url;

/* "http://HOST[:PORT][/]". False after saying what is wrong; also where the host is none of this machine's loopback
 * names and |any_host| is false. */
/* not foreign: the command line is the operator's own */
bool lk_cli_parse_url(const char *text, bool any_host, lk_cli_url *out);

/* A connection that does not block, or -1 with errno. */
int lk_cli_connect(const lk_cli_url *url, uint64_t deadline_ms);

/* Appends the body of |path|. |why| says what went wrong: static or |room|. All of it ends within |deadline_ms|, a
 * monotonic time. */
bool lk_cli_http_get(const lk_cli_url *url, const char *path, uint64_t deadline_ms, lk_buf *out,
                     char *why, size_t why_size);

#endif
