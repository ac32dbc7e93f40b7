/* server/settings_check.c -- settings against each other, and against the system.
 *
 * What a value by itself can tell was seen when it came. Here is the rest: files that are named must be there,
 * and secrets must be secret. A secret is never opened: whether others may read it is in its mode. */
#include "server/settings.h"

#include <errno.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "channel/bus.h"
#include "server/origin.h"
#include "server/webhook_options.h"
#include "server/own_secret.h"

#define HOW_MAX 384

static bool is_given(const lk_settings *self, lk_setting setting) {
  return self->values[setting].source != LK_SETTINGS_DEFAULT &&
         (self->values[setting].text[0] != 0 || self->values[setting].count > 0);
}

#define COMPLAIN(self, setting, ...)                                                               \
  lk_settings_note((self), (self)->values[setting].line, false, __VA_ARGS__)

static bool has_keys(const lk_settings *self) {
  return is_given(self, LK_SETTING_token_secret_file) ||
         is_given(self, LK_SETTING_token_jwt_secret_file) ||
         is_given(self, LK_SETTING_token_jwt_public_key_file);
}

/* Somebody has said who may do what, or that all may do everything. */
static bool is_guarded(const lk_settings *self) {
  return has_keys(self) || lk_settings_flag(self, LK_SETTING_open);
}

/* Which files those are, for people: the data directory has one. */
static const char *how_to_guard(const lk_settings *self, char *out, size_t size) {
  const char *data = lk_settings_text(self, LK_SETTING_data);
  (void)snprintf(out, size,
                 "name a file with a key of tokens by token.secret-file%s%s%s, "
                 "token.jwt-secret-file or token.jwt-public-key-file, or let everybody do everything "
                 "by open",
                 data != NULL ? " (`laniakea token mint` uses " : "", data != NULL ? data : "",
                 data != NULL ? "/" LK_OWN_SECRET_NAME ")" : "");
  return out;
}

/* Where others can connect, somebody must have said who may, or that all may. */
static void check_address(lk_settings *self, lk_setting setting) {
  const char *text = self->values[setting].text;
  struct in6_addr v6;
  struct in_addr v4;
  char name[LK_SETTINGS_VARIABLE_MAX], how[HOW_MAX];
  (void)lk_settings_origin(self, setting, name, sizeof name);
  if (inet_pton(AF_INET, text, &v4) != 1 && inet_pton(AF_INET6, text, &v6) != 1)
    COMPLAIN(self, setting, "%s %s is not an address in numbers, such as 127.0.0.1 or ::1", name,
             text);
  else if (!lk_origin_address_is_loopback(text) && !is_guarded(self))
    COMPLAIN(self, setting,
             "%s %s can be reached by others, and nothing says who may do what: %s", name, text,
             how_to_guard(self, how, sizeof how));
}

static void check_open(lk_settings *self) {
  if (lk_settings_flag(self, LK_SETTING_open) && has_keys(self))
    COMPLAIN(self, LK_SETTING_open,
             "open lets everybody do everything, and keys of tokens are there to ask who it is; "
             "leave one of them out");
}

/* False where it has been told that the file cannot be used. */
static bool check_file(lk_settings *self, lk_setting setting, const char *path, bool may_be_empty,
                       struct stat *about) {
  char name[LK_SETTINGS_VARIABLE_MAX];
  (void)lk_settings_origin(self, setting, name, sizeof name);
  if (stat(path, about) != 0) COMPLAIN(self, setting, "%s: %s: %s", name, path, strerror(errno));
  else if (!S_ISREG(about->st_mode)) COMPLAIN(self, setting, "%s: %s is not a file", name, path);
  else if (about->st_size == 0 && !may_be_empty)
    COMPLAIN(self, setting, "%s: %s is empty", name, path);
  else if (access(path, R_OK) != 0)
    COMPLAIN(self, setting, "%s: %s: %s", name, path, strerror(errno));
  else return true;
  return false;
}

/* What is in |closed|, of S_IROTH and S_IWOTH, must not be the file's. */
static void check_closed(lk_settings *self, lk_setting setting, const char *path, mode_t closed) {
  struct stat about;
  char name[LK_SETTINGS_VARIABLE_MAX];
  bool may_be_empty = setting == LK_SETTING_token_revoked_file;
  if (!check_file(self, setting, path, may_be_empty, &about) || (about.st_mode & closed) == 0)
    return;
  COMPLAIN(self, setting, "%s: everybody on this machine may %s %s; chmod 600 makes it a secret",
           lk_settings_origin(self, setting, name, sizeof name),
           (about.st_mode & closed & S_IROTH) != 0 ? "read" : "change", path);
}

static void check_files(lk_settings *self, lk_setting setting, mode_t closed) {
  const lk_setting_value *value = &self->values[setting];
  const char *path = value->text;
  for (uint32_t i = 0; i < value->count; i++, path += strlen(path) + 1)
    check_closed(self, setting, path, closed);
}

static void check_rules(lk_settings *self, lk_setting setting, bool (*is_rule)(lk_slice),
                        const char *wanted) {
  const lk_setting_value *value = &self->values[setting];
  const char *text = value->text;
  for (uint32_t i = 0; i < value->count; i++, text += strlen(text) + 1) {
    if (!is_rule(lk_slice_cstr(text)))
      COMPLAIN(self, setting, "%s: %.64s is not %s", lk_setting_row_of(setting)->name, text,
               wanted);
  }
}

/* It may be missing: then it is made. */
static void check_data(lk_settings *self) {
  struct stat about;
  const char *path = self->values[LK_SETTING_data].text;
  if (stat(path, &about) == 0 && !S_ISDIR(about.st_mode))
    COMPLAIN(self, LK_SETTING_data, "data: %s is not a directory", path);
}

#define CONFIGURED_MAX (LK_ALIASES_MAX - LK_ALIASES_OWN)

lk_aliases lk_settings_aliases(const lk_settings *self, lk_alias items[LK_ALIASES_MAX]) {
  const lk_setting_value *value = &self->values[LK_SETTING_aliases];
  const char *text = value->text;
  lk_aliases aliases = { items, 0 };
  for (uint32_t i = 0; i < value->count && aliases.count < CONFIGURED_MAX; i++) {
    if (lk_alias_read(lk_slice_cstr(text), &items[aliases.count]) == LK_OK) aliases.count++;
    text += strlen(text) + 1;
  }
  items[aliases.count++] = (lk_alias)LK_ALIAS_COUNTER;
  return aliases;
}

/* A * stands at the end, or nowhere. */
static bool is_pattern(lk_slice text) {
  size_t at = lk_slice_find(text, LK_LIT("*"));
  return text.len > 0 && (at == LK_SLICE_NONE || at == text.len - 1);
}

static bool is_version_rule(lk_slice text) {
  lk_version_rule rule;
  return lk_version_rule_read(text, &rule) == LK_OK && is_pattern(rule.pattern);
}

static bool is_idle_rule(lk_slice text) {
  lk_idle_rule rule;
  return lk_idle_rule_read(text, &rule) == LK_OK && is_pattern(rule.pattern);
}

/* Patterns that borrow from |setting|; how many. */
static size_t read_patterns(const lk_settings *self, lk_setting setting, lk_slice *out) {
  const lk_setting_value *value = &self->values[setting];
  const char *text = value->text;
  size_t count = 0;
  for (; count < value->count && count < LK_SETTINGS_RULES_MAX; text += strlen(text) + 1)
    out[count++] = lk_slice_cstr(text);
  return count;
}

size_t lk_settings_y_off(const lk_settings *self, lk_settings_rules *items) {
  return read_patterns(self, LK_SETTING_y_off, items->y_off);
}

/* With * each page that somebody opens may talk to a server of his machine; that of hosts lets it do so by giving itself a
 * name that points here. */
static void check_any(lk_settings *self, lk_setting setting, const char *what) {
  const lk_setting_value *value = &self->values[setting];
  const char *text = value->text;
  for (uint32_t i = 0; i < value->count; i++, text += strlen(text) + 1) {
    if (strcmp(text, "*") != 0 || is_guarded(self)) continue;
    COMPLAIN(self, setting,
             "%s: * lets every page of the web in, and nothing asks who is behind it: name %s; or "
             "have tokens asked for by a key, or say open",
             lk_setting_row_of(setting)->name, what);
  }
}

lk_proxies lk_settings_proxies(const lk_settings *self, lk_settings_rules *items) {
  const lk_setting_value *value = &self->values[LK_SETTING_trusted_proxies];
  const char *text = value->text;
  lk_proxies proxies = { items->proxies, 0 };
  for (uint32_t i = 0; i < value->count && proxies.count < LK_PROXIES_MAX; i++) {
    if (lk_network_read(lk_slice_cstr(text), &items->proxies[proxies.count])) proxies.count++;
    text += strlen(text) + 1;
  }
  return proxies;
}

static bool is_network(lk_slice text) {
  lk_network ignored;
  return lk_network_read(text, &ignored);
}

/* A server behind a proxy is everybody's whom the proxy lets pass, wherever it listens. */
static void check_proxies(lk_settings *self) {
  char how[HOW_MAX];
  check_rules(self, LK_SETTING_trusted_proxies, is_network,
              "an address, or a network with no bits behind its length, such as 10.0.0.0/8 or "
              "2001:db8::/32");
  if (self->values[LK_SETTING_trusted_proxies].count > LK_PROXIES_MAX)
    COMPLAIN(self, LK_SETTING_trusted_proxies, "trusted-proxies: more than %d", LK_PROXIES_MAX);
  if (is_given(self, LK_SETTING_trusted_proxies) && !is_guarded(self))
    COMPLAIN(self, LK_SETTING_trusted_proxies,
             "trusted-proxies: others can reach the server through a proxy, and nothing says who "
             "may do what: %s",
             how_to_guard(self, how, sizeof how));
}

static size_t read_version_rules(const lk_settings *self, lk_version_rule *out) {
  const lk_setting_value *value = &self->values[LK_SETTING_versions];
  const char *text = value->text;
  size_t count = 0;
  for (uint32_t i = 0; i < value->count && i < LK_SETTINGS_RULES_MAX; i++) {
    if (lk_version_rule_read(lk_slice_cstr(text), &out[count]) == LK_OK) count++;
    text += strlen(text) + 1;
  }
  return count;
}

lk_room_policy lk_settings_policy(const lk_settings *self, lk_settings_rules *items) {
  const lk_setting_value *idle = &self->values[LK_SETTING_room_idle_for];
  lk_room_policy policy = { .ephemeral = items->ephemeral,
                            .idle = items->idle,
                            .versions = items->versions,
                            .idle_ms = lk_settings_number(self, LK_SETTING_room_idle),
                            .profiles = LK_PRESET_LENIENT };
  const char *text = idle->text;
  if (strcmp(lk_settings_text(self, LK_SETTING_profiles), "strict") == 0)
    policy.profiles = LK_PRESET_STRICT;
  policy.versions_count = read_version_rules(self, items->versions);
  policy.ephemeral_count = read_patterns(self, LK_SETTING_ephemeral, items->ephemeral);
  for (uint32_t i = 0; i < idle->count && i < LK_SETTINGS_RULES_MAX; i++) {
    if (lk_idle_rule_read(lk_slice_cstr(text), &items->idle[policy.idle_count]) == LK_OK)
      policy.idle_count++;
    text += strlen(text) + 1;
  }
  return policy;
}

static void check_patterns(lk_settings *self, lk_setting setting) {
  check_rules(self, setting, is_pattern, "a topic, or the beginning of topics with a * behind");
  if (self->values[setting].count > LK_SETTINGS_RULES_MAX)
    COMPLAIN(self, setting, "%s: more than %d", lk_setting_row_of(setting)->name,
             LK_SETTINGS_RULES_MAX);
}

static void check_policy(lk_settings *self) {
  check_patterns(self, LK_SETTING_ephemeral);
  check_patterns(self, LK_SETTING_y_off);
  check_rules(self, LK_SETTING_room_idle_for, is_idle_rule,
              "TOPIC=TIME or TOPIC*=TIME, such as doc:live-*=5m");
  check_rules(self, LK_SETTING_versions, is_version_rule,
              "TOPIC=TIME, TOPIC=TIME/COUNT or TOPIC=saved, such as doc:notes-*=1h/50");
  if (self->values[LK_SETTING_room_idle_for].count > LK_SETTINGS_RULES_MAX)
    COMPLAIN(self, LK_SETTING_room_idle_for, "room.idle-for: more than %d", LK_SETTINGS_RULES_MAX);
  if (self->values[LK_SETTING_versions].count > LK_SETTINGS_RULES_MAX)
    COMPLAIN(self, LK_SETTING_versions, "versions: more than %d", LK_SETTINGS_RULES_MAX);
}

static bool is_alias(lk_slice text) {
  lk_alias ignored;
  return lk_alias_read(text, &ignored) == LK_OK;
}

static void check_aliases(lk_settings *self) {
  lk_alias items[LK_ALIASES_MAX];
  const lk_aliases aliases = lk_settings_aliases(self, items);
  check_rules(self, LK_SETTING_aliases, is_alias, "NAME=TOPIC, or NAME*=TOPIC*");
  if (self->values[LK_SETTING_aliases].count > CONFIGURED_MAX)
    COMPLAIN(self, LK_SETTING_aliases, "aliases: more than %d", CONFIGURED_MAX);
  else if (!lk_aliases_are_apart(&aliases))
    COMPLAIN(self, LK_SETTING_aliases,
             "aliases: what one leads to is the name of another; name the topic itself");
}

static void check_one(lk_settings *self, lk_setting setting) {
  const lk_setting_row *row = lk_setting_row_of(setting);
  struct stat about;
  char name[LK_SETTINGS_VARIABLE_MAX];
  if (row->type == LK_SETTING_ADDRESS) check_address(self, setting);
  if (!is_given(self, setting)) return;
  if (setting == LK_SETTING_data) check_data(self);
  else if (setting == LK_SETTING_aliases) check_aliases(self);
  else if (setting == LK_SETTING_token_revoked_file)
    check_closed(self, setting, self->values[setting].text, S_IWOTH);
  else if (row->type == LK_SETTING_SECRET)
    check_closed(self, setting, self->values[setting].text, S_IROTH | S_IWOTH);
  else if (row->type == LK_SETTING_SECRETS) check_files(self, setting, S_IROTH | S_IWOTH);
  else if (row->type == LK_SETTING_PATHS) check_files(self, setting, S_IWOTH);
  else if (row->type == LK_SETTING_PATH)
    (void)check_file(self, setting, self->values[setting].text, false, &about);
  if (row->when == LK_SETTING_RESERVED)
    COMPLAIN(self, setting, "%s is for a later version: this one does not serve it; leave it out",
             lk_settings_origin(self, setting, name, sizeof name));
}

static void check_pair(lk_settings *self, lk_setting one, lk_setting other) {
  if (is_given(self, one) && !is_given(self, other))
    COMPLAIN(self, one, "%s needs %s beside it", lk_setting_row_of(one)->name,
             lk_setting_row_of(other)->name);
}

/* A size as it is set: in M or K where it is a whole number of them. */
static const char *write_size(uint64_t bytes, char out[24]) {
  if (bytes % (1u << 20) == 0) (void)snprintf(out, 24, "%lluM", (unsigned long long)bytes >> 20);
  else if (bytes % 1024 == 0) (void)snprintf(out, 24, "%lluK", (unsigned long long)bytes >> 10);
  else (void)snprintf(out, 24, "%llu", (unsigned long long)bytes);
  return out;
}

/* |of| holds |least|, which is what |setting|, being |number|, asks for. */
static void check_holds(lk_settings *self, lk_setting setting, uint64_t number, lk_setting of,
                        uint64_t least) {
  char name[LK_SETTINGS_VARIABLE_MAX], size[24], most[24], wanted[24];
  uint64_t there = lk_settings_number(self, of);
  if (least <= there) return;
  lk_setting told = is_given(self, setting) ? setting : of;
  COMPLAIN(self, told, "%s %s does not go with %s %s: set %s to %s or more, or %s lower",
           lk_settings_origin(self, setting, name, sizeof name), write_size(number, size),
           lk_setting_row_of(of)->name, write_size(there, most), lk_setting_row_of(of)->name,
           write_size(least, wanted), lk_setting_row_of(setting)->name);
}

/* What one process takes must go to another in one piece, and not alone: else it would wait there for ever. */
static void check_sizes(lk_settings *self) {
  static const lk_setting whole[] = { LK_SETTING_limit_ws_message_bytes,
                                      LK_SETTING_limit_api_body_bytes,
                                      LK_SETTING_limit_longpoll_body_bytes,
                                      LK_SETTING_limit_longpoll_output_bytes,
                                      LK_SETTING_limit_awareness_bytes };
  uint64_t frame = lk_settings_number(self, LK_SETTING_limit_bus_frame_bytes);
  for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
    uint64_t number = lk_settings_number(self, whole[i]), least = number + LK_BUS_FRAME_REST;
    check_holds(self, whole[i], number, LK_SETTING_limit_bus_frame_bytes, least);
    frame = lk_max_u64(frame, least);
  }
  check_holds(self, LK_SETTING_limit_bus_frame_bytes, frame, LK_SETTING_limit_bus_output_bytes,
              2 * frame);
}

void lk_settings_finish(lk_settings *self) {
  for (uint32_t i = 0; i < LK_SETTINGS_LIMITS; i++) check_one(self, (lk_setting)i);
  check_pair(self, LK_SETTING_tls_cert, LK_SETTING_tls_key);
  check_pair(self, LK_SETTING_tls_key, LK_SETTING_tls_cert);
  check_pair(self, LK_SETTING_tls_listen, LK_SETTING_tls_cert);
  check_open(self);
  check_sizes(self);
  check_policy(self);
  check_proxies(self);
  check_any(self, LK_SETTING_hosts, "the names of this server, such as app.example or *.app.example");
  check_any(self, LK_SETTING_origins, "the pages, such as https://app.example or http://localhost:*");
  check_rules(self, LK_SETTING_hosts, lk_origin_is_host_rule,
              "the name of a host, such as app.example or *.app.example");
  check_rules(self, LK_SETTING_origins, lk_origin_is_origin_rule,
              "the origin of pages, such as https://app.example or https://*.app.example");
  lk_webhook_check_settings(self);
  if (self->out_of_memory)
    lk_settings_note(self, 0, false, "there is not enough memory for the settings");
}
