/* cli/top.c -- samples into cells, cells into lines.
 *
 * Names of metrics stand in server/numbers.def alone: a number that is added there is read here, and is in the
 * JSON. The view for people shows the ones that tell how the server is. */
#include "cli/top.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "codec/json_writer.h"
#include "codec/number.h"
#include "server/prometheus.h"

static const struct {
  const char *name;
  const char *metric;
} numbers[] = {
#define NUMBER(name, of, kind, metric, help) { #name, metric },
#define HISTOGRAM(name, of, metric, help)
#include "server/numbers.def"
#undef NUMBER
#undef HISTOGRAM
};

static const struct {
  const char *name;
  const char *metric;
} histograms[] = {
#define NUMBER(name, of, kind, metric, help)
#define HISTOGRAM(name, of, metric, help) { #name, metric },
#include "server/numbers.def"
#undef NUMBER
#undef HISTOGRAM
};

/* ---- reading ---- */

static uint64_t to_count(double value) {
  return value >= 0 && value < 9e15 ? (uint64_t)(value + 0.5) : 0;
}

static lk_top_process *process_of(lk_top_snapshot *self, const lk_sample *sample) {
  lk_slice kind, text;
  uint64_t index;
  if (!lk_sample_label(sample, LK_LIT("process"), &kind) ||
      kind.len >= sizeof self->processes[0].kind)
    return NULL;
  if (!lk_sample_label(sample, LK_LIT("index"), &text)) return NULL;
  if (lk_number_parse_u64(text, &index) != LK_OK || index > UINT32_MAX) return NULL;
  for (size_t i = 0; i < kind.len; i++) {
    if (kind.ptr[i] < 'a' || kind.ptr[i] > 'z') return NULL; /* it goes to a terminal */
  }
  for (uint32_t i = 0; i < self->processes_count; i++) {
    lk_top_process *p = &self->processes[i];
    if (p->index == index && lk_slice_equal(kind, lk_slice_cstr(p->kind))) return p;
  }
  if (self->processes_count == LK_TOP_PROCESSES_MAX) return NULL;
  lk_top_process *p = &self->processes[self->processes_count++];
  *p = (lk_top_process){ .index = (uint32_t)index };
  memcpy(p->kind, kind.ptr, kind.len);
  return p;
}

static void take_process(lk_top_snapshot *self, const lk_sample *sample) {
  bool is_ready = lk_slice_equal(sample->name, LK_LIT("laniakea_process_ready"));
  if (!is_ready && !lk_slice_equal(sample->name, LK_LIT("laniakea_process_resident_bytes"))) return;
  lk_top_process *p = process_of(self, sample);
  if (p == NULL) return;
  if (!is_ready) p->resident_bytes = to_count(sample->value);
  else {
    p->is_known = true;
    p->is_ready = sample->value == 1;
  }
}

static void take_restarts(lk_top_snapshot *self, const lk_sample *sample) {
  lk_slice kind;
  if (!lk_slice_equal(sample->name, LK_LIT("laniakea_restarts_total"))) return;
  if (!lk_sample_label(sample, LK_LIT("process"), &kind)) return;
  bool is_room = lk_slice_equal(kind, LK_LIT("room"));
  if (is_room || lk_slice_equal(kind, LK_LIT("edge")))
    self->restarts[is_room ? 1 : 0] = to_count(sample->value);
}

/* Buckets come as sums, in the order of their bounds; |*place| is the next one of this family. */
static void take_bucket(lk_top_snapshot *self, const lk_sample *sample, uint32_t *place) {
  if (!lk_slice_ends_with(sample->name, LK_LIT("_bucket")) || *place >= LK_HISTOGRAM_BUCKETS)
    return;
  for (int i = 0; i < LK_HISTOGRAMS_COUNT; i++) {
    if (!lk_slice_equal(sample->family, lk_slice_cstr(histograms[i].metric))) continue;
    uint64_t sum = to_count(sample->value);
    for (uint32_t b = 0; b < *place; b++) sum -= lk_min_u64(sum, self->times[i].counts[b]);
    self->times[i].counts[(*place)++] = sum;
  }
}

lk_err lk_top_read(lk_slice text, uint64_t now_ms, lk_top_snapshot *out) {
  lk_prometheus reader;
  lk_sample sample;
  lk_slice family = LK_SLICE_EMPTY;
  uint32_t place = 0;
  lk_err err;
  *out = (lk_top_snapshot){ .taken_ms = now_ms };
  lk_prometheus_init(&reader, text);
  while ((err = lk_prometheus_parse_next(&reader, &sample)) == LK_OK) {
    if (sample.family.ptr != family.ptr) place = 0;
    family = sample.family;
    for (int i = 0; i < LK_NUMBERS_COUNT; i++) {
      if (lk_slice_equal(sample.name, lk_slice_cstr(numbers[i].metric)))
        out->values[i] = to_count(sample.value);
    }
    take_process(out, &sample);
    take_restarts(out, &sample);
    take_bucket(out, &sample, &place);
  }
  return err == LK_ERR_END ? LK_OK : err;
}

/* ---- what follows from two of them ---- */

/* For a second; not a number where that cannot be told. Counters that fell are of a server that was started anew. */
static double rate(const lk_top_snapshot *now, const lk_top_snapshot *before,
                   lk_links_number which) {
  if (before == NULL || now->taken_ms <= before->taken_ms ||
      now->values[which] < before->values[which])
    return NAN;
  return (double)(now->values[which] - before->values[which]) * 1000 /
         (double)(now->taken_ms - before->taken_ms);
}

/* What came since |before|, or all there is where that is nothing. */
static lk_top_times times_since(const lk_top_snapshot *now, const lk_top_snapshot *before,
                                lk_histogram_name which) {
  lk_top_times times = now->times[which];
  uint64_t count = 0;
  for (uint32_t i = 0; before != NULL && i < LK_HISTOGRAM_BUCKETS; i++) {
    if (times.counts[i] < before->times[which].counts[i]) return now->times[which];
    times.counts[i] -= before->times[which].counts[i];
    count += times.counts[i];
  }
  return count > 0 ? times : now->times[which];
}

/* The upper end of the bucket in which |percent| of 100 are reached, in microseconds; 0: nothing was measured; UINT64_MAX:
 * longer than the last end. */
static uint64_t percentile(const lk_top_times *times, uint64_t percent) {
  uint64_t total = 0, below = 0;
  for (uint32_t i = 0; i < LK_HISTOGRAM_BUCKETS; i++) total += times->counts[i];
  if (total == 0) return 0;
  for (uint32_t i = 0; i < LK_HISTOGRAM_BOUNDS_COUNT; i++) {
    below += times->counts[i];
    if (below * 100 >= total * percent) return lk_histogram_bound_us(i);
  }
  return UINT64_MAX;
}

static bool is_ready(const lk_top_snapshot *now) {
  for (uint32_t i = 0; i < now->processes_count; i++) {
    if (now->processes[i].is_known && !now->processes[i].is_ready) return false;
  }
  return now->processes_count > 0;
}

/* ---- for people ---- */

static void print(lk_buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void print(lk_buf *out, const char *format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (len > 0)
    (void)lk_buf_append(out, lk_slice_of(line, lk_min_size((size_t)len, sizeof line - 1)));
}

static void print_row(const char *what, uint64_t value, double per_second, const char *of,
                      lk_buf *out) {
  print(out, "  %-18s %12llu", what, (unsigned long long)value);
  if (of != NULL && isnan(per_second)) print(out, " %12s %s", "-", of);
  else if (of != NULL) print(out, " %12.1f %s", per_second, of);
  print(out, "\n");
}

static void print_count(const lk_top_snapshot *now, const char *what, lk_links_number which,
                        lk_buf *out) {
  print_row(what, now->values[which], 0, NULL, out);
}

static void print_rate(const lk_top_snapshot *now, const lk_top_snapshot *before, const char *what,
                       lk_links_number which, lk_buf *out) {
  print_row(what, now->values[which], rate(now, before, which), "a second", out);
}

static void print_time(uint64_t us, lk_buf *out) {
  if (us == 0) print(out, " %12s", "-");
  else if (us == UINT64_MAX) print(out, " %12s", "> 10 s");
  else print(out, " %9.3g ms", (double)us / 1000);
}

static void print_times(const lk_top_snapshot *now, const lk_top_snapshot *before, const char *what,
                        lk_histogram_name which, lk_buf *out) {
  lk_top_times times = times_since(now, before, which);
  print(out, "  %-18s", what);
  print_time(percentile(&times, 50), out);
  print_time(percentile(&times, 99), out);
  print(out, "\n");
}

static void print_process(const lk_top_process *p, lk_buf *out) {
  char name[32];
  if (strcmp(p->kind, "supervisor") == 0) (void)snprintf(name, sizeof name, "%s", p->kind);
  else (void)snprintf(name, sizeof name, "%s %u", p->kind, (unsigned)p->index);
  print(out, "  %-18s", name);
  if (p->resident_bytes == 0) print(out, " %12s", "-");
  else print(out, " %8.1f MiB", (double)p->resident_bytes / 1048576);
  print(out, " %12s\n", !p->is_known ? "" : p->is_ready ? "ready" : "down");
}

void lk_top_print(const lk_top_snapshot *now, const lk_top_snapshot *before, const char *url,
                  lk_buf *out) {
  print(out, "Laniakea at %s: %s\n\n", url, is_ready(now) ? "ready" : "not ready");
  print_count(now, "connections", LK_NUMBER_connections, out);
  print_count(now, "sockets", LK_NUMBER_sockets, out);
  print_count(now, "rooms", LK_NUMBER_rooms, out);
  print_count(now, "members", LK_NUMBER_members, out);
  print_count(now, "unanswered", LK_NUMBER_unanswered, out);
  print(out, "\n");
  print_rate(now, before, "accepted", LK_NUMBER_accepted, out);
  print_rate(now, before, "refused", LK_NUMBER_refused, out);
  print_rate(now, before, "messages in", LK_NUMBER_messages_in, out);
  print_rate(now, before, "messages out", LK_NUMBER_messages_out, out);
  print_rate(now, before, "requests", LK_NUMBER_requests, out);
  print_rate(now, before, "durable changes", LK_NUMBER_journals, out);
  print(out, "\n  %-18s %12s %12s\n", "latency, at most", "median", "99 %");
  print_times(now, before, "request", LK_HISTOGRAM_request, out);
  print_times(now, before, "journal sync", LK_HISTOGRAM_journal_sync, out);
  print(out, "\n  %-18s %12s %12s\n", "process", "memory", "");
  for (uint32_t i = 0; i < now->processes_count; i++) print_process(&now->processes[i], out);
  print(out, "  %-18s %12llu edges %6llu rooms\n", "restarts", (unsigned long long)now->restarts[0],
        (unsigned long long)now->restarts[1]);
}

/* ---- for programs ---- */

static void write_key(lk_json_writer *w, const char *name) {
  (void)lk_json_write_key(w, lk_slice_cstr(name));
}

static void write_rate(lk_json_writer *w, double value) {
  if (isnan(value)) (void)lk_json_write_null(w);
  else (void)lk_json_write_f64(w, value);
}

static void write_percentile(lk_json_writer *w, const char *name, const lk_top_times *times,
                             uint64_t percent) {
  uint64_t us = percentile(times, percent);
  write_key(w, name);
  if (us == 0 || us == UINT64_MAX) (void)lk_json_write_null(w);
  else (void)lk_json_write_f64(w, (double)us / 1e6);
}

static void write_times(lk_json_writer *w, const lk_top_snapshot *now,
                        const lk_top_snapshot *before) {
  for (int i = 0; i < LK_HISTOGRAMS_COUNT; i++) {
    lk_top_times times = times_since(now, before, (lk_histogram_name)i);
    uint64_t count = 0;
    for (uint32_t b = 0; b < LK_HISTOGRAM_BUCKETS; b++) count += now->times[i].counts[b];
    write_key(w, histograms[i].name);
    (void)lk_json_begin_object(w);
    write_key(w, "count");
    (void)lk_json_write_u64(w, count);
    write_percentile(w, "p50_seconds", &times, 50);
    write_percentile(w, "p99_seconds", &times, 99);
    (void)lk_json_end_object(w);
  }
}

static void write_process(lk_json_writer *w, const lk_top_process *p) {
  (void)lk_json_begin_object(w);
  write_key(w, "process");
  (void)lk_json_write_string(w, lk_slice_cstr(p->kind));
  write_key(w, "index");
  (void)lk_json_write_u64(w, p->index);
  write_key(w, "ready");
  if (p->is_known) (void)lk_json_write_bool(w, p->is_ready);
  else (void)lk_json_write_null(w);
  write_key(w, "resident_bytes");
  if (p->resident_bytes > 0) (void)lk_json_write_u64(w, p->resident_bytes);
  else (void)lk_json_write_null(w);
  (void)lk_json_end_object(w);
}

static void write_all(lk_json_writer *w, const lk_top_snapshot *now,
                      const lk_top_snapshot *before) {
  (void)lk_json_begin_object(w);
  write_key(w, "ready");
  (void)lk_json_write_bool(w, is_ready(now));
  write_key(w, "numbers");
  (void)lk_json_begin_object(w);
  for (int i = 0; i < LK_NUMBERS_COUNT; i++) {
    write_key(w, numbers[i].name);
    (void)lk_json_write_u64(w, now->values[i]);
  }
  (void)lk_json_end_object(w);
  write_key(w, "per_second");
  (void)lk_json_begin_object(w);
  static const lk_links_number rates[] = { LK_NUMBER_accepted,    LK_NUMBER_refused,
                                           LK_NUMBER_messages_in, LK_NUMBER_messages_out,
                                           LK_NUMBER_requests,    LK_NUMBER_journals };
  for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
    write_key(w, numbers[rates[i]].name);
    write_rate(w, rate(now, before, rates[i]));
  }
  (void)lk_json_end_object(w);
  write_key(w, "times");
  (void)lk_json_begin_object(w);
  write_times(w, now, before);
  (void)lk_json_end_object(w);
  write_key(w, "restarts");
  (void)lk_json_begin_object(w);
  write_key(w, "edge");
  (void)lk_json_write_u64(w, now->restarts[0]);
  write_key(w, "room");
  (void)lk_json_write_u64(w, now->restarts[1]);
  (void)lk_json_end_object(w);
  write_key(w, "processes");
  (void)lk_json_begin_array(w);
  for (uint32_t i = 0; i < now->processes_count; i++) write_process(w, &now->processes[i]);
  (void)lk_json_end_array(w);
  (void)lk_json_end_object(w);
}

lk_err lk_top_write_json(const lk_top_snapshot *now, const lk_top_snapshot *before, lk_buf *out) {
  lk_json_writer w;
  lk_json_writer_init(&w, out);
  write_all(&w, now, before);
  lk_err err = lk_json_writer_finish(&w);
  return err != LK_OK ? err : lk_buf_append_u8(out, '\n');
}
