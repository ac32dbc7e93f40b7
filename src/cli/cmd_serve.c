/* cli/cmd_serve.c -- `laniakea serve`: settings into a supervisor. The only place where what was set becomes what the
 * server does. */
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/settings.h"
#include "server/console.h"
#include "server/log.h"
#include "server/supervisor.h"

/* Each row of settings.def has a flag of its own, and the limits have one for all. */
static void take_flags(const lk_cli_args *args, lk_settings *settings) {
  const char *text;
  for (uint32_t i = 0; i < LK_SETTINGS_LIMITS; i++) {
    const lk_setting_row *row = lk_setting_row_of((lk_setting)i);
    text = lk_cli_args_get(args, row->flag);
    if (text == NULL) continue;
    if (row->type == LK_SETTING_FLAG) text = "true";
    else if (row->argument[0] == '[' && text[0] == 0) text = "*"; /* the option alone */
    lk_settings_take(settings, (lk_setting)i, text, LK_SETTINGS_FLAG);
  }
  for (size_t pos = 0; (text = lk_cli_args_next(args, "limit", &pos)) != NULL;)
    lk_settings_take_limit(settings, text);
}

static void say_problems(const lk_settings *settings) {
  char text[LK_CONSOLE_LINE_MAX];
  for (uint32_t i = 0; i < settings->problems_count; i++)
    lk_console_say("%s", lk_cli_problem_text(settings, i, text, sizeof text));
}

static void setup_log(const lk_settings *settings) {
  static const char *const levels[] = { "error", "warning", "info", "debug" };
  const char *form = lk_settings_text(settings, LK_SETTING_log_format);
  const char *level = lk_settings_text(settings, LK_SETTING_log_level);
  bool is_text = strcmp(form, "auto") == 0 ? isatty(STDERR_FILENO) != 0 : strcmp(form, "text") == 0;
  lk_log_level least = LK_LOG_ERROR;
  while (strcmp(levels[least], level) != 0) least++;
  if (lk_settings_flag(settings, LK_SETTING_quiet)) least = LK_LOG_ERROR;
  lk_log_setup(is_text ? LK_LOG_TEXT : LK_LOG_JSON, least);
}

static uint32_t ms(const lk_settings *settings, lk_setting setting) {
  return (uint32_t)lk_settings_number(settings, setting);
}

static lk_times times_of(const lk_settings *settings) {
  return (lk_times){ .tls_handshake = ms(settings, LK_SETTING_tls_handshake_timeout),
                     .http_request = ms(settings, LK_SETTING_http_request_timeout),
                     .http_idle = ms(settings, LK_SETTING_http_idle_timeout),
                     .http_write = ms(settings, LK_SETTING_http_write_timeout),
                     .socket_idle = ms(settings, LK_SETTING_socket_idle_timeout),
                     .longpoll_window = ms(settings, LK_SETTING_longpoll_window),
                     .drain = ms(settings, LK_SETTING_drain),
                     .stop = ms(settings, LK_SETTING_stop_timeout) };
}

static lk_origin_rules origins_of(const lk_settings *settings) {
  const lk_setting_value *hosts = &settings->values[LK_SETTING_hosts];
  const lk_setting_value *origins = &settings->values[LK_SETTING_origins];
  return (lk_origin_rules){ .hosts = hosts->text,
                            .hosts_count = hosts->count,
                            .origins = origins->text,
                            .origins_count = origins->count };
}

static int serve(const lk_settings *settings) {
  lk_alias aliases[LK_ALIASES_MAX];
  lk_settings_rules rules;
  lk_webhook_options webhooks;
  lk_server_options options = {
    .address = lk_settings_text(settings, LK_SETTING_listen),
    .directory = lk_settings_text(settings, LK_SETTING_data),
    .tls_certificate = lk_settings_text(settings, LK_SETTING_tls_cert),
    .tls_key = lk_settings_text(settings, LK_SETTING_tls_key),
    .keys = lk_keyring_options_of(settings),
    .origins = origins_of(settings),
    .assets = &lk_assets_built,
    .limits = lk_settings_limits(settings),
    .rates = lk_settings_rates(settings),
    .times = times_of(settings),
    .restarts = (uint32_t)lk_settings_number(settings, LK_SETTING_restart_count),
    .restarts_period_ms = ms(settings, LK_SETTING_restart_period),
    .edges = (uint32_t)lk_settings_number(settings, LK_SETTING_edges),
    .rooms = (uint32_t)lk_settings_number(settings, LK_SETTING_rooms),
    .port = (uint16_t)lk_settings_number(settings, LK_SETTING_port),
    .quiet = lk_settings_flag(settings, LK_SETTING_quiet),
    .aliases = lk_settings_aliases(settings, aliases),
    .policy = lk_settings_policy(settings, &rules),
    .proxies = lk_settings_proxies(settings, &rules),
    .y_off = rules.y_off,
    .y_off_count = lk_settings_y_off(settings, &rules),
    .memory_bytes = lk_settings_number(settings, LK_SETTING_memory),
    .debug_echo = lk_settings_flag(settings, LK_SETTING_debug_echo),
    .open = lk_settings_flag(settings, LK_SETTING_open),
  };
  lk_webhook_options_of(settings, &webhooks);
  options.policy.watched = webhooks.watched;
  options.policy.watched_count = webhooks.watched_count;
  options.webhooks = &webhooks;
  setup_log(settings);
  return lk_supervisor_run(&options);
}

int lk_cli_serve(const lk_cli_args *args) {
  lk_settings settings;
  int code = 1;
  if (lk_cli_load_settings(lk_cli_args_get(args, "config"), &settings)) {
    uint32_t before = settings.errors;
    take_flags(args, &settings);
    if (settings.errors > before) code = 2; /* the command line was not understood */
    lk_settings_finish(&settings);
    say_problems(&settings);
    if (settings.errors == 0) code = serve(&settings);
  }
  lk_settings_deinit(&settings);
  return code;
}
