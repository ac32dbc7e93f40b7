/* server/log.c -- format, escape, write once.
 *
 * A line has a fixed place for each part, and only the message can be long: so the message gets what the other parts
 * leave of LK_LOG_LINE_MAX, escapes included, and is cut between two characters. Nothing is allocated: a process
 * that is out of memory can still say so.
 *
 * The gate is a bucket in which time is the currency: each line costs LK_LOG_EACH_MS, and nobody can have saved more
 * than LK_LOG_BURST of them. */
#include "server/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "codec/utf.h"
#include "platform/posix/clock.h"

#define MESSAGE_MAX 2048
#define TAIL_MAX 96 /* what follows the message: how many were left out, the end */
#define MARK "..."

static const struct {
  const char *name;
  lk_log_level level;
} events[] = {
#define LOG(name, level, text) { #name, LK_LOG_##level },
#include "server/log.def"
#undef LOG
};

static const char *const level_names[] = { "error", "warning", "info", "debug" };

static struct {
  lk_log_form form;
  lk_log_level level;
  const char *process;
  uint32_t index;
  lk_log_gate gates[LK_LOG_EVENTS_COUNT];
} state = { .level = LK_LOG_WARNING, .process = "supervisor" };

/* ---- a line ---- */

typedef struct writer {
  char *out;
  size_t len;
  size_t max; /* may be moved: what follows has its room kept */
} writer;

static bool put(writer *self, const char *bytes, size_t len) {
  if (len > self->max - self->len) return false;
  memcpy(self->out + self->len, bytes, len);
  self->len += len;
  return true;
}

static bool put_format(writer *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool put_format(writer *self, const char *format, ...) {
  char text[192];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return len >= 0 && put(self, text, lk_min_size((size_t)len, sizeof text - 1));
}

/* One character in JSON's way: what could steer a terminal, end the line or the text, as \u00XX. */
static size_t escape_json(uint32_t point, lk_slice raw, char out[16]) {
  if (point == '"' || point == '\\') return (size_t)snprintf(out, 16, "\\%c", (char)point);
  if (point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x2028 || point == 0x2029)
    return (size_t)snprintf(out, 16, "\\u%04x", (unsigned)point);
  memcpy(out, raw.ptr, raw.len);
  return raw.len;
}

/* The same for people, as server/console.h does it. */
static size_t escape_text(uint32_t point, lk_slice raw, char out[16]) {
  size_t len = 0;
  bool is_printable = point >= 0x20 && (point < 0x7f || point >= 0xa0) && point != 0x2028 &&
                      point != 0x2029;
  for (size_t i = 0; i < raw.len; i++) {
    if (is_printable) out[len++] = (char)raw.ptr[i];
    else len += (size_t)snprintf(out + len, 16 - len, "\\x%02x", raw.ptr[i]);
  }
  return len;
}

static void put_escaped(writer *self, lk_slice text, lk_log_form form) {
  size_t fits = self->len; /* up to here the mark has room, too */
  while (text.len > 0) {
    char piece[16];
    lk_slice rest = text;
    uint32_t point = LK_UTF_REPLACEMENT;
    bool valid = lk_utf8_decode(&rest, &point) == LK_OK;
    lk_slice raw = valid ? lk_slice_first(text, text.len - rest.len) : LK_UTF8_REPLACEMENT;
    size_t len = form == LK_LOG_JSON ? escape_json(point, raw, piece)
                                     : escape_text(point, raw, piece);
    if (!put(self, piece, len)) {
      self->len = fits;
      (void)put(self, MARK, sizeof MARK - 1);
      return;
    }
    if (self->max - self->len >= sizeof MARK - 1) fits = self->len;
    text = lk_slice_skip(text, valid ? raw.len : 1);
  }
}

static void put_time(writer *self, uint64_t wall_ms) {
  time_t seconds = (time_t)(wall_ms / 1000);
  struct tm utc = { 0 };
  (void)gmtime_r(&seconds, &utc);
  (void)put_format(self, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", utc.tm_year + 1900, utc.tm_mon + 1,
                   utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, (unsigned)(wall_ms % 1000));
}

static void put_json(writer *self, const lk_log_line *line) {
  (void)put_format(self, "{\"time\":\"");
  put_time(self, line->wall_ms);
  (void)put_format(self,
                   "\",\"level\":\"%s\",\"event\":\"%s\",\"process\":\"%s\",\"index\":%u,\"pid\":%"
                   "u,\"message\":\"",
                   level_names[events[line->event].level], events[line->event].name, line->process,
                   (unsigned)line->index, (unsigned)line->pid);
  self->max -= TAIL_MAX;
  put_escaped(self, line->message, LK_LOG_JSON);
  self->max += TAIL_MAX;
  if (line->left_out > 0)
    (void)put_format(self, "\",\"left_out\":%llu}\n", (unsigned long long)line->left_out);
  else (void)put_format(self, "\"}\n");
}

static void put_text(writer *self, const lk_log_line *line) {
  (void)put_format(self, "laniakea: ");
  put_time(self, line->wall_ms);
  (void)put_format(self, " %s: ", level_names[events[line->event].level]);
  self->max -= TAIL_MAX;
  put_escaped(self, line->message, LK_LOG_TEXT);
  self->max += TAIL_MAX;
  if (line->left_out > 0)
    (void)put_format(self, " (%llu more like it left out)", (unsigned long long)line->left_out);
  (void)put_format(self, "\n");
}

size_t lk_log_format(const lk_log_line *line, lk_log_form form, char out[LK_LOG_LINE_MAX]) {
  writer w = { .out = out, .max = LK_LOG_LINE_MAX };
  if (form == LK_LOG_JSON) put_json(&w, line);
  else put_text(&w, line);
  return w.len;
}

/* ---- how often ---- */

bool lk_log_gate_pass(lk_log_gate *self, uint64_t now_ms, uint64_t *left_out) {
  uint64_t burst_ms = (uint64_t)LK_LOG_BURST * LK_LOG_EACH_MS;
  uint64_t now = now_ms + burst_ms; /* so that nothing below is negative */
  if (self->earned_ms < now - burst_ms) self->earned_ms = now - burst_ms;
  if (self->earned_ms + LK_LOG_EACH_MS > now) {
    self->left_out++;
    return false;
  }
  self->earned_ms += LK_LOG_EACH_MS;
  *left_out = self->left_out;
  self->left_out = 0;
  return true;
}

/* ---- the process's own ---- */

void lk_log_setup(lk_log_form form, lk_log_level level) {
  state.form = form;
  state.level = level;
}

void lk_log_set_process(const char *kind, uint32_t index) {
  state.process = kind;
  state.index = index;
  for (int i = 0; i < LK_LOG_EVENTS_COUNT; i++) state.gates[i] = (lk_log_gate){ 0 };
}

bool lk_log_is_on(lk_log_level level) { return level <= state.level; }

void lk_log_say(lk_log_event event, const char *format, ...) {
  char message[MESSAGE_MAX], out[LK_LOG_LINE_MAX];
  uint64_t left_out;
  va_list args;
  if (!lk_log_is_on(events[event].level)) return;
  if (!lk_log_gate_pass(&state.gates[event], lk_posix_monotonic_ms(), &left_out)) return;
  va_start(args, format);
  int len = vsnprintf(message, sizeof message, format, args);
  va_end(args);
  lk_log_line line = { .wall_ms = lk_posix_wall_ms(),
                       .event = event,
                       .process = state.process,
                       .index = state.index,
                       .pid = (uint32_t)getpid(),
                       .left_out = left_out,
                       .message = lk_slice_of(
                           message, len < 0 ? 0 : lk_min_size((size_t)len, sizeof message - 1)) };
  /* Where standard error is gone there is nobody left to tell. */
  ssize_t ignored = write(STDERR_FILENO, out, lk_log_format(&line, state.form, out));
  (void)ignored;
}
