/* cli/top.h -- what /metrics says, as `laniakea top` shows it. No socket, no terminal, no clock. */
#ifndef LK_CLI_TOP_H
#define LK_CLI_TOP_H

#include "base/buf.h"
#include "server/links.h"

#define LK_TOP_PROCESSES_MAX 80

typedef struct lk_top_process {
  char kind[12]; /* "supervisor", "edge" or "room" */
  uint32_t index;
  bool is_known; /* whether it is ready */
  bool is_ready;
  uint64_t resident_bytes; /* 0: not known */
} lk_top_process;

/* Of a histogram, its buckets one by one, not added up. */
typedef struct lk_top_times {
  uint64_t counts[LK_HISTOGRAM_BUCKETS];
} lk_top_times;

typedef struct lk_top_snapshot {
  uint64_t taken_ms; /* monotonic */
  uint64_t values[LK_NUMBERS_COUNT];
  lk_top_times times[LK_HISTOGRAMS_COUNT];
  lk_top_process processes[LK_TOP_PROCESSES_MAX];
  uint32_t processes_count;
  uint64_t restarts[2]; /* of edges, of rooms */
} lk_top_snapshot;

/* Reads the text of /metrics. LK_ERR_SYNTAX: it is none. What is not known is passed over, and what is not there is 0. */
/* not foreign: server/prometheus.h, which is fuzzed, reads the text */
lk_err lk_top_read(lk_slice text, uint64_t now_ms, lk_top_snapshot *out) LK_MUST_USE;

/* Appends the view as lines. |before| gives rates, and the latency of what came since; NULL where it is the first. */
void lk_top_print(const lk_top_snapshot *now, const lk_top_snapshot *before, const char *url,
                  lk_buf *out);

/* Appends one line of JSON. */
lk_err lk_top_write_json(const lk_top_snapshot *now, const lk_top_snapshot *before,
                         lk_buf *out) LK_MUST_USE;

#endif
