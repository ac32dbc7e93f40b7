/* cli/cmd_health.c -- `laniakea health`: one question to a server, for who watches it without a program of his own. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/http_get.h"
#include "platform/posix/clock.h"
#include "platform/posix/heap.h"
#include "server/console.h"

#define ANSWER_MS 3000
#define ANSWER_MAX ((size_t)1 << 16)

static bool ask(const lk_cli_url *url, char *why, size_t size) {
  lk_buf answer;
  lk_buf_init(&answer, lk_posix_heap(), ANSWER_MAX);
  bool ok = lk_cli_http_get(url, "/readyz", lk_posix_monotonic_ms() + ANSWER_MS, &answer, why,
                            size);
  lk_buf_deinit(&answer);
  return ok;
}

int lk_cli_health(const lk_cli_args *args) {
  const char *text = lk_cli_args_get(args, "url");
  char why[128] = "";
  lk_cli_url url;
  if (text == NULL) text = "http://127.0.0.1:4000";
  if (!lk_cli_parse_url(text, lk_cli_args_get(args, "any-host") != NULL, &url)) return 2;
  if (!ask(&url, why, sizeof why)) {
    lk_console_say("%.200s: %s", text, why);
    return 1;
  }
  (void)printf("%s takes work\n", text);
  return lk_cli_finish_output();
}
