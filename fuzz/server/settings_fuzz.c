/* Hostile configuration files: any bytes give values that their settings allow, and problems that name a line of them. */
#include <string.h>

#include "codec/utf.h"
#include "harness/test.h"
#include "server/settings.h"
#include "server/toml.h"

static const lk_slice samples[] = {
  LK_LIT_INIT("# a comment\nport = 4000\nlisten = \"127.0.0.1\" # end\n"),
  LK_LIT_INIT("[limit]\nrooms_count = 4_096\nws_message_bytes = \"4M\"\n"),
  LK_LIT_INIT("hosts = [\"a.example\", 'b',\n # c\n]\nquiet = true\n"),
  LK_LIT_INIT("token.max-age = \"7d\"\r\ndata = \"\\u00e4\\t\\\\x\"\n[tls]\ncert='x'\nlisten=1\n"),
  LK_LIT_INIT("port = 1\nport = 2\n[tls]\n[tls]\nlimit.x = {}\n[[x]]\n"),
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static void check_item(const lk_toml_item *item, lk_slice in) {
  uint32_t ends = 0;
  CHECK(item->line > 0 && item->line <= in.len + 1);
  CHECK(item->kind == LK_TOML_SECTION ? item->section.len > 0 : item->name.len > 0);
  CHECK(item->name.len <= LK_TOML_NAME_MAX && item->section.len <= LK_TOML_NAME_MAX);
  CHECK_OK(lk_utf8_check(item->text));
  for (size_t i = 0; i < item->text.len; i++) ends += item->text.ptr[i] == 0;
  CHECK_U64(ends, item->kind == LK_TOML_LIST ? item->count : 0);
}

FUZZ(lk_toml_parse_next) {
  uint8_t scratch[400];
  lk_slice in = gen_hostile(g, samples, SAMPLES, scratch, sizeof scratch);
  lk_toml toml;
  lk_toml_item item;
  lk_err err;
  uint32_t line = 0;
  lk_toml_init(&toml, test_alloc(), in);
  while ((err = lk_toml_parse_next(&toml, &item)) != LK_ERR_END) {
    CHECK(toml.number > line); /* so it ends */
    line = toml.number;
    CHECK(err == LK_OK || ((err == LK_ERR_SYNTAX || err == LK_ERR_UTF8) && toml.problem != NULL));
    if (err == LK_OK) check_item(&item, in);
  }
  lk_toml_deinit(&toml);
}

FUZZ(lk_settings_load) {
  uint8_t scratch[400];
  lk_slice in = gen_hostile(g, samples, SAMPLES, scratch, sizeof scratch);
  lk_settings *s = lk_alloc_bytes(test_alloc(), sizeof *s);
  CHECK(s != NULL);
  lk_settings_init(s, test_alloc());
  CHECK_OK(lk_settings_load(s, "a", in));
  CHECK((s->errors == 0) == (s->problems_count == 0));
  for (uint32_t i = 0; i < s->problems_count; i++) {
    CHECK(s->problems[i].line > 0 && s->problems[i].line <= in.len + 1);
    CHECK(s->problems[i].text[0] != 0);
  }
  for (uint32_t i = 0; i < LK_SETTINGS_COUNT; i++) {
    const lk_setting_row *row = lk_setting_row_of((lk_setting)i);
    uint64_t number = lk_settings_number(s, (lk_setting)i);
    if (row->most > 0 && number != LK_SETTINGS_NONE)
      CHECK(number >= row->least && number <= row->most);
    CHECK((s->values[i].source == LK_SETTINGS_FILE) == (s->values[i].line > 0));
  }
  (void)lk_settings_limits(s);
  lk_settings_deinit(s);
  lk_free_bytes(test_alloc(), s, sizeof *s);
}
