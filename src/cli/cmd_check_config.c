/* cli/cmd_check_config.c -- `laniakea check-config`. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/files.h"
#include "cli/settings.h"
#include "codec/json_writer.h"
#include "platform/posix/heap.h"
#include "server/console.h"

#define TEXT_WIDTH 22

/* As a configuration file would say it: of a list, its texts with commas between. */
static void append_text(const lk_settings *settings, lk_setting setting, lk_buf *out) {
  const lk_setting_value *value = &settings->values[setting];
  const char *at = value->text;
  if (lk_setting_is_list(lk_setting_row_of(setting))) {
    for (uint32_t i = 0; i < value->count; i++) {
      if (i > 0) (void)lk_buf_append(out, LK_LIT(", "));
      (void)lk_buf_append(out, lk_slice_cstr(at));
      at += strlen(at) + 1;
    }
  } else if (at[0] != 0) {
    (void)lk_buf_append(out, lk_slice_cstr(at));
  } else if (value->number != LK_SETTINGS_NONE) {
    (void)lk_buf_append_decimal(out, value->number);
  }
}

static void append_source(const lk_settings *settings, lk_setting setting, lk_buf *out) {
  const lk_setting_value *value = &settings->values[setting];
  char text[LK_CONSOLE_LINE_MAX], name[LK_SETTINGS_VARIABLE_MAX];
  switch (value->source) {
  case LK_SETTINGS_DEFAULT: (void)snprintf(text, sizeof text, "default"); break;
  case LK_SETTINGS_FILE:
    (void)snprintf(text, sizeof text, "%s:%u", settings->file, (unsigned)value->line);
    break;
  case LK_SETTINGS_ENVIRONMENT:
  case LK_SETTINGS_FLAG:
    (void)snprintf(text, sizeof text, "%s",
                   lk_settings_origin(settings, setting, name, sizeof name));
    break;
  }
  (void)lk_buf_append(out, lk_slice_cstr(text));
}

/* ---- for people ---- */

static void append_padded(lk_slice text, size_t width, lk_buf *out) {
  size_t before = out->len;
  lk_console_escape(text, out);
  do (void)lk_buf_append_u8(out, ' ');
  while (lk_buf_err(out) == LK_OK && out->len - before < width);
}

static void print_row(const lk_settings *settings, lk_setting setting, lk_buf *line, lk_buf *part) {
  lk_buf_truncate(line, 0);
  append_padded(lk_slice_cstr(lk_setting_row_of(setting)->name), 34, line);
  lk_buf_truncate(part, 0);
  append_text(settings, setting, part);
  append_padded(part->len > 0 ? lk_buf_slice(part) : LK_LIT("-"), TEXT_WIDTH, line);
  lk_buf_truncate(part, 0);
  append_source(settings, setting, part);
  lk_console_escape(lk_buf_slice(part), line);
  (void)lk_buf_append_u8(line, '\n');
  (void)fwrite(line->ptr, 1, line->len, stdout);
}

/* Problems go where a compiler's do, to be read by the same programs. */
static void print_problems(const lk_settings *settings, lk_buf *line) {
  char text[LK_CONSOLE_LINE_MAX];
  for (uint32_t i = 0; i < settings->problems_count; i++) {
    lk_buf_truncate(line, 0);
    lk_console_escape(lk_slice_cstr(lk_cli_problem_text(settings, i, text, sizeof text)), line);
    (void)lk_buf_append_u8(line, '\n');
    (void)fwrite(line->ptr, 1, line->len, stderr);
  }
}

static void print_text(const lk_settings *settings) {
  lk_buf line, part;
  lk_buf_init(&line, lk_posix_heap(), 65536);
  lk_buf_init(&part, lk_posix_heap(), 65536);
  print_problems(settings, &line);
  for (uint32_t i = 0; i < LK_SETTINGS_COUNT && settings->errors == 0; i++)
    print_row(settings, (lk_setting)i, &line, &part);
  lk_buf_deinit(&line);
  lk_buf_deinit(&part);
}

/* ---- for programs ---- */

static const char *const source_names[] = { "default", "file", "environment", "flag" };

static void write_value(lk_json_writer *w, const lk_settings *settings, lk_setting setting) {
  const lk_setting_value *value = &settings->values[setting];
  const lk_setting_row *row = lk_setting_row_of(setting);
  const char *at = value->text;
  if (lk_setting_is_list(row)) {
    (void)lk_json_begin_array(w);
    for (uint32_t i = 0; i < value->count; i++, at += strlen(at) + 1)
      (void)lk_json_write_string(w, lk_slice_cstr(at));
    (void)lk_json_end_array(w);
  } else if (row->type == LK_SETTING_FLAG) {
    (void)lk_json_write_bool(w, value->number == 1);
  } else if (value->number != LK_SETTINGS_NONE) {
    (void)lk_json_write_u64(w, value->number);
  } else if (at[0] != 0) {
    (void)lk_json_write_string(w, lk_slice_cstr(at));
  } else {
    (void)lk_json_write_null(w);
  }
}

static void write_row(lk_json_writer *w, const lk_settings *settings, lk_setting setting) {
  const lk_setting_value *value = &settings->values[setting];
  (void)lk_json_begin_object(w);
  (void)lk_json_write_key(w, LK_LIT("name"));
  (void)lk_json_write_string(w, lk_slice_cstr(lk_setting_row_of(setting)->name));
  (void)lk_json_write_key(w, LK_LIT("value"));
  write_value(w, settings, setting);
  (void)lk_json_write_key(w, LK_LIT("source"));
  (void)lk_json_write_string(w, lk_slice_cstr(source_names[value->source]));
  if (value->source == LK_SETTINGS_FILE) {
    (void)lk_json_write_key(w, LK_LIT("line"));
    (void)lk_json_write_u64(w, value->line);
  }
  (void)lk_json_end_object(w);
}

static void write_problem(lk_json_writer *w, const lk_settings_problem *problem) {
  (void)lk_json_begin_object(w);
  (void)lk_json_write_key(w, LK_LIT("kind"));
  (void)lk_json_write_string(w, problem->is_warning ? LK_LIT("warning") : LK_LIT("error"));
  (void)lk_json_write_key(w, LK_LIT("line"));
  if (problem->line == 0) (void)lk_json_write_null(w);
  else (void)lk_json_write_u64(w, problem->line);
  (void)lk_json_write_key(w, LK_LIT("message"));
  (void)lk_json_write_string(w, lk_slice_cstr(problem->text));
  (void)lk_json_end_object(w);
}

static void write_json(lk_json_writer *w, const lk_settings *settings) {
  (void)lk_json_begin_object(w);
  (void)lk_json_write_key(w, LK_LIT("ok"));
  (void)lk_json_write_bool(w, settings->errors == 0);
  (void)lk_json_write_key(w, LK_LIT("file"));
  if (settings->file == NULL) (void)lk_json_write_null(w);
  else (void)lk_json_write_string(w, lk_slice_cstr(settings->file));
  (void)lk_json_write_key(w, LK_LIT("problems"));
  (void)lk_json_begin_array(w);
  for (uint32_t i = 0; i < settings->problems_count; i++) write_problem(w, &settings->problems[i]);
  (void)lk_json_end_array(w);
  (void)lk_json_write_key(w, LK_LIT("settings"));
  (void)lk_json_begin_array(w);
  for (uint32_t i = 0; i < LK_SETTINGS_COUNT; i++) write_row(w, settings, (lk_setting)i);
  (void)lk_json_end_array(w);
  (void)lk_json_end_object(w);
}

static bool print_json(const lk_settings *settings) {
  lk_json_writer w;
  lk_buf out;
  lk_buf_init(&out, lk_posix_heap(), 4u << 20);
  lk_json_writer_init(&w, &out);
  write_json(&w, settings);
  lk_err err = lk_json_writer_finish(&w);
  if (err == LK_OK) (void)lk_buf_append_u8(&out, '\n');
  else lk_cli_say_error("the settings", err, ""); /* a path that is no UTF-8 */
  if (out.len > 0) (void)fwrite(out.ptr, 1, out.len, stdout);
  lk_buf_deinit(&out);
  return err == LK_OK;
}

int lk_cli_check__config(const lk_cli_args *args) {
  lk_settings settings;
  bool ok = lk_cli_load_settings(args->plain_count > 0 ? args->plain[0] : NULL, &settings);
  if (ok) {
    lk_settings_finish(&settings);
    lk_cli_check_keys(&settings);
    ok = settings.errors == 0;
    if (lk_cli_args_get(args, "json") == NULL) print_text(&settings);
    else ok = print_json(&settings) && ok;
  }
  lk_settings_deinit(&settings);
  int code = lk_cli_finish_output();
  return ok ? code : 1;
}
