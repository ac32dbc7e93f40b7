/* cli/cmd_serve.c -- `laniakea serve`: options into a supervisor. */
#include "cli/commands.h"
#include "server/console.h"
#include "server/supervisor.h"

#define DEFAULT_PORT 4000

static bool read_port(const char *text, uint16_t *out) {
  uint64_t port = DEFAULT_PORT;
  if (text != NULL && !lk_cli_parse_number(text, 65535, &port)) {
    lk_console_say("--port %s is not a number from 0 to 65535", text);
    return false;
  }
  *out = (uint16_t)port;
  return true;
}

static bool read_count(const lk_cli_args *args, const char *name, uint32_t *out) {
  const char *text = lk_cli_args_get(args, name);
  uint64_t count = 1;
  if (text != NULL && (!lk_cli_parse_number(text, LK_SERVER_PROCESSES_MAX, &count) || count == 0)) {
    lk_console_say("--%s %s is not a number from 1 to %d", name, text, LK_SERVER_PROCESSES_MAX);
    return false;
  }
  *out = (uint32_t)count;
  return true;
}

int lk_cli_serve(const lk_cli_args *args) {
  const char *address = lk_cli_args_get(args, "listen");
  lk_server_options options = {
    .address = address != NULL ? address : "127.0.0.1",
    .directory = lk_cli_args_get(args, "data"),
    .assets = &lk_assets_built,
    .limits = lk_limits_default(),
    .debug_echo = lk_cli_args_get(args, "debug-echo") != NULL,
    .quiet = lk_cli_args_get(args, "quiet") != NULL,
  };
  if (!read_port(lk_cli_args_get(args, "port"), &options.port)) return 2;
  if (!read_count(args, "edges", &options.edges) || !read_count(args, "rooms", &options.rooms)) return 2;
  return lk_supervisor_run(&options);
}
