/* server/prometheus.c -- a line at a time; a comment opens a family, a sample belongs to it. */
#include "server/prometheus.h"

#include "codec/number.h"
#include "codec/utf.h"

void lk_prometheus_init(lk_prometheus *self, lk_slice text) {
  *self = (lk_prometheus){ .rest = text };
}

static bool is_name_byte(uint8_t c, bool is_first) {
  bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':';
  return is_letter || (!is_first && c >= '0' && c <= '9');
}

/* The name at the front of |in|, which moves behind it; empty where there is none. */
static lk_slice take_name(lk_slice *in) {
  size_t len = 0;
  while (len < in->len && is_name_byte(in->ptr[len], len == 0)) len++;
  lk_slice name = lk_slice_first(*in, len);
  *in = lk_slice_skip(*in, len);
  return name;
}

static bool take_text(lk_slice *in, lk_slice text) {
  if (!lk_slice_starts_with(*in, text)) return false;
  *in = lk_slice_skip(*in, text.len);
  return true;
}

/* One label with its value; |in| moves behind it. */
static bool take_label(lk_slice *in, lk_slice *name, lk_slice *value) {
  *name = take_name(in);
  if (name->len == 0 || !take_text(in, LK_LIT("=\""))) return false;
  size_t len = 0;
  while (len < in->len && in->ptr[len] != '"') {
    if (in->ptr[len] == '\\') {
      len++;
      bool is_known = len < in->len &&
                      (in->ptr[len] == '\\' || in->ptr[len] == '"' || in->ptr[len] == 'n');
      if (!is_known) return false;
    }
    len++;
  }
  *value = lk_slice_first(*in, len);
  *in = lk_slice_skip(*in, len);
  return take_text(in, LK_LIT("\""));
}

static bool take_labels(lk_slice *in, lk_slice *out) {
  lk_slice all = *in, name, value;
  do {
    if (!take_label(in, &name, &value)) return false;
  } while (take_text(in, LK_LIT(",")));
  *out = lk_slice_first(all, all.len - in->len);
  return take_text(in, LK_LIT("}"));
}

static bool read_value(lk_slice text, double *out) {
  static const double huge = 1e308;
  double infinite = huge * 10;
  if (lk_slice_equal(text, LK_LIT("+Inf"))) *out = infinite;
  else if (lk_slice_equal(text, LK_LIT("-Inf"))) *out = -infinite;
  else if (lk_slice_equal(text, LK_LIT("NaN"))) *out = infinite - infinite;
  else return lk_number_parse_f64(text, out) == LK_OK;
  return true;
}

static bool belongs(const lk_prometheus *self, lk_slice name) {
  static const lk_slice suffixes[] = { LK_LIT_INIT("_bucket"), LK_LIT_INIT("_sum"),
                                       LK_LIT_INIT("_count") };
  bool is_histogram = lk_slice_equal(self->kind, LK_LIT("histogram"));
  if (self->kind.len == 0 || !lk_slice_starts_with(name, self->family)) return false;
  lk_slice suffix = lk_slice_skip(name, self->family.len);
  if (!is_histogram) return suffix.len == 0;
  for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
    if (lk_slice_equal(suffix, suffixes[i])) return true;
  }
  return false;
}

static bool is_kind(lk_slice kind) {
  return lk_slice_equal(kind, LK_LIT("counter")) || lk_slice_equal(kind, LK_LIT("gauge")) ||
         lk_slice_equal(kind, LK_LIT("histogram"));
}

/* "# HELP name text" begins a family, "# TYPE name kind" follows it at once. */
static bool take_comment(lk_prometheus *self, lk_slice line) {
  if (take_text(&line, LK_LIT("HELP "))) {
    bool is_done = self->family.len == 0 || self->has_sample;
    self->family = take_name(&line);
    self->kind = LK_SLICE_EMPTY;
    self->has_sample = false;
    return is_done && self->family.len > 0 && take_text(&line, LK_LIT(" ")) && line.len > 0;
  }
  if (self->kind.len > 0 || !take_text(&line, LK_LIT("TYPE ")) || self->family.len == 0)
    return false;
  if (!take_text(&line, self->family) || !take_text(&line, LK_LIT(" "))) return false;
  self->kind = line;
  return is_kind(line);
}

static bool take_sample(lk_prometheus *self, lk_slice line, lk_sample *out) {
  *out = (lk_sample){ .family = self->family, .kind = self->kind, .name = take_name(&line) };
  if (!belongs(self, out->name)) return false;
  if (take_text(&line, LK_LIT("{")) && !take_labels(&line, &out->labels)) return false;
  self->has_sample = true;
  return take_text(&line, LK_LIT(" ")) && read_value(line, &out->value);
}

static lk_err fail(lk_prometheus *self) {
  self->rest = LK_LIT("\n"); /* it stays so: no line is empty */
  return LK_ERR_SYNTAX;
}

lk_err lk_prometheus_parse_next(lk_prometheus *self, lk_sample *out) {
  while (self->rest.len > 0) {
    bool has_end = lk_slice_find_byte(self->rest, '\n') != LK_SLICE_NONE;
    lk_slice line = lk_slice_cut(self->rest, '\n', &self->rest);
    self->line++;
    if (!has_end || lk_utf8_check(line) != LK_OK) return fail(self);
    if (take_text(&line, LK_LIT("# "))) {
      if (!take_comment(self, line)) return fail(self);
    } else {
      return take_sample(self, line, out) ? LK_OK : fail(self);
    }
  }
  return self->family.len == 0 || self->has_sample ? LK_ERR_END : fail(self);
}

bool lk_sample_label(const lk_sample *self, lk_slice name, lk_slice *out) {
  lk_slice rest = self->labels, found;
  while (rest.len > 0 && take_label(&rest, &found, out)) {
    if (lk_slice_equal(found, name)) return true;
    (void)take_text(&rest, LK_LIT(","));
  }
  return false;
}
