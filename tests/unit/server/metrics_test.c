/* Numbers of processes: they go on over deaths, and their text is what Prometheus reads. */
#include <string.h>
#include <unistd.h>

#include "harness/test.h"
#include "server/metrics.h"
#include "server/prometheus.h"

static lk_links links;
static lk_buf text;

static void begin(uint32_t edges, uint32_t rooms) {
  CHECK_OK(lk_links_make(&links, test_alloc(), edges, rooms));
  lk_buf_init(&text, test_alloc(), 65536);
}

static void end(void) {
  lk_buf_deinit(&text);
  lk_links_close(&links, test_alloc());
}

/* Reads all of it strictly; the value of the sample |name| with |labels|, which must be there. */
static double value_of(const char *name, const char *labels) {
  lk_prometheus reader;
  lk_sample sample;
  lk_err err;
  double value = -1;
  lk_buf_truncate(&text, 0);
  lk_metrics_write(&links, &text);
  CHECK_OK(lk_buf_err(&text));
  lk_prometheus_init(&reader, lk_buf_slice(&text));
  while ((err = lk_prometheus_parse_next(&reader, &sample)) == LK_OK) {
    bool same = lk_slice_equal(sample.name, lk_slice_cstr(name)) &&
                lk_slice_equal(sample.labels, lk_slice_cstr(labels));
    if (same) {
      CHECK(value < 0); /* once */
      value = sample.value;
    }
  }
  test_note("line %u of:\n%.*s", (unsigned)reader.line, (int)text.len, (const char *)text.ptr);
  CHECK_ERR(err, LK_ERR_END);
  CHECK(value >= 0);
  return value;
}

TEST(metrics_are_sums_over_processes_of_a_kind) {
  begin(2, 1);
  lk_links_say(lk_links_edge_numbers(&links, 0), LK_NUMBER_connections, 3);
  lk_links_say(lk_links_edge_numbers(&links, 1), LK_NUMBER_connections, 4);
  lk_links_say(lk_links_room_numbers(&links, 0), LK_NUMBER_rooms, 5);
  CHECK_U64(value_of("laniakea_connections", ""), 7);
  CHECK_U64(value_of("laniakea_rooms", ""), 5);
  end();
}

TEST(metrics_counters_go_on_after_a_death_and_gauges_do_not) {
  begin(1, 1);
  lk_links_numbers *row = lk_links_edge_numbers(&links, 0);
  lk_links_begin(row, 1);
  lk_links_say(row, LK_NUMBER_accepted, 10);
  lk_links_say(row, LK_NUMBER_connections, 6);
  lk_links_observe(row, LK_HISTOGRAM_request, 70);
  lk_links_end(row);
  CHECK_U64(value_of("laniakea_connections_accepted_total", ""), 10);
  CHECK_U64(value_of("laniakea_connections", ""), 0);
  lk_links_begin(row, 2);
  CHECK_U64(value_of("laniakea_connections_accepted_total", ""), 10);
  lk_links_say(row, LK_NUMBER_accepted, 2);
  CHECK_U64(value_of("laniakea_connections_accepted_total", ""), 12);
  CHECK_U64(value_of("laniakea_request_seconds_count", ""), 1);
  end();
}

TEST(metrics_histograms_have_cumulative_buckets_a_sum_and_a_count) {
  begin(1, 2);
  lk_links_observe(lk_links_room_numbers(&links, 0), LK_HISTOGRAM_journal_sync, 300);
  lk_links_observe(lk_links_room_numbers(&links, 1), LK_HISTOGRAM_journal_sync, 700);
  lk_links_observe(lk_links_room_numbers(&links, 1), LK_HISTOGRAM_journal_sync, 20000000);
  CHECK_U64(value_of("laniakea_journal_sync_seconds_bucket", "le=\"0.00025\""), 0);
  CHECK_U64(value_of("laniakea_journal_sync_seconds_bucket", "le=\"0.0005\""), 1);
  CHECK_U64(value_of("laniakea_journal_sync_seconds_bucket", "le=\"0.001\""), 2);
  CHECK_U64(value_of("laniakea_journal_sync_seconds_bucket", "le=\"10\""), 2);
  CHECK_U64(value_of("laniakea_journal_sync_seconds_bucket", "le=\"+Inf\""), 3);
  CHECK_U64(value_of("laniakea_journal_sync_seconds_count", ""), 3);
  CHECK_U64((uint64_t)(value_of("laniakea_journal_sync_seconds_sum", "") * 1000000 + 0.5),
            20001000);
  end();
}

TEST(metrics_a_histogram_is_told_in_what_is_new) {
  lk_histogram now = { 0 }, told = { 0 };
  begin(1, 1);
  lk_links_numbers *row = lk_links_edge_numbers(&links, 0);
  lk_histogram_add(&now, 80);
  lk_links_tell(row, LK_HISTOGRAM_request, &now, &told);
  lk_links_tell(row, LK_HISTOGRAM_request, &now, &told);
  lk_histogram_add(&now, 0); /* changes a count and not the sum */
  lk_links_tell(row, LK_HISTOGRAM_request, &now, &told);
  CHECK_U64(value_of("laniakea_request_seconds_count", ""), 2);
  CHECK_U64(value_of("laniakea_request_seconds_bucket", "le=\"5e-05\""), 1);
  end();
}

TEST(metrics_show_of_each_process_whether_it_works_and_what_it_weighs) {
  begin(1, 2);
  lk_links_begin(lk_links_room_numbers(&links, 1), (uint64_t)getpid());
  lk_links_set(&lk_links_room_numbers(&links, 1)->ready, 1);
  CHECK_U64(value_of("laniakea_process_ready", "process=\"room\",index=\"0\""), 0);
  CHECK_U64(value_of("laniakea_process_ready", "process=\"room\",index=\"1\""), 1);
  CHECK(value_of("laniakea_process_resident_bytes", "process=\"room\",index=\"1\"") > 100000);
  CHECK(value_of("laniakea_process_resident_bytes", "process=\"supervisor\",index=\"0\"") > 100000);
  end();
}

TEST(links_are_ready_while_all_rooms_work_and_no_storage_has_failed_of_late) {
  begin(1, 2);
  CHECK(!lk_links_is_ready(&links, 50000));
  for (uint32_t i = 0; i < 2; i++) {
    lk_links_begin(lk_links_room_numbers(&links, i), 1);
    lk_links_set(&lk_links_room_numbers(&links, i)->ready, 1);
  }
  CHECK(lk_links_is_ready(&links, 50000));
  lk_links_set(&lk_links_room_numbers(&links, 1)->failed_ms, 49000);
  CHECK(!lk_links_is_ready(&links, 50000));
  CHECK(!lk_links_is_ready(&links, 49000 + LK_LINKS_DOUBT_MS - 1));
  CHECK(lk_links_is_ready(&links, 49000 + LK_LINKS_DOUBT_MS));
  lk_links_end(lk_links_room_numbers(&links, 0));
  CHECK(!lk_links_is_ready(&links, 90000));
  end();
}

/* ---- the format ---- */

static lk_err read_all(lk_slice bytes, uint32_t *line) {
  lk_prometheus reader;
  lk_sample sample;
  lk_err err;
  lk_prometheus_init(&reader, bytes);
  while ((err = lk_prometheus_parse_next(&reader, &sample)) == LK_OK) continue;
  *line = reader.line;
  return err;
}

#define HEAD "# HELP a some text\n# TYPE a gauge\n"

TEST(prometheus_what_is_not_its_format_is_refused_with_the_line) {
  static const struct {
    lk_slice text;
    uint32_t line; /* 0: it is good */
  } cases[] = {
    { LK_LIT_INIT(""), 0 },
    { LK_LIT_INIT(HEAD "a 1\n"), 0 },
    { LK_LIT_INIT(HEAD "a{b=\"c\\\\\\\"\\n\",d=\"\"} -1.5e-3\na +Inf\na NaN\n"), 0 },
    { LK_LIT_INIT("# HELP a t\n# TYPE a histogram\na_bucket{le=\"1\"} 1\na_sum 1\na_count 1\n"),
      0 },
    { LK_LIT_INIT("a 1\n"), 1 },
    { LK_LIT_INIT("# TYPE a gauge\na 1\n"), 1 },
    { LK_LIT_INIT("# HELP a t\na 1\n"), 2 },
    { LK_LIT_INIT(HEAD), 2 },
    { LK_LIT_INIT(HEAD "# HELP b t\n# TYPE b gauge\nb 1\n"), 3 },
    { LK_LIT_INIT("# HELP a t\n# TYPE b gauge\nb 1\n"), 2 },
    { LK_LIT_INIT("# HELP a t\n# TYPE a gouge\na 1\n"), 2 },
    { LK_LIT_INIT(HEAD "b 1\n"), 3 },
    { LK_LIT_INIT(HEAD "a_sum 1\n"), 3 },
    { LK_LIT_INIT("# HELP a t\n# TYPE a histogram\na 1\n"), 3 },
    { LK_LIT_INIT(HEAD "a 1"), 3 },
    { LK_LIT_INIT(HEAD "a 1 \n"), 3 },
    { LK_LIT_INIT(HEAD "a  1\n"), 3 },
    { LK_LIT_INIT(HEAD "a one\n"), 3 },
    { LK_LIT_INIT(HEAD "a{} 1\n"), 3 },
    { LK_LIT_INIT(HEAD "a{b=\"c\",} 1\n"), 3 },
    { LK_LIT_INIT(HEAD "a{b=\"c} 1\n"), 3 },
    { LK_LIT_INIT(HEAD "a{b=\"\\t\"} 1\n"), 3 },
    { LK_LIT_INIT(HEAD "a{1=\"c\"} 1\n"), 3 },
    { LK_LIT_INIT(HEAD "\na 1\n"), 3 },
    { LK_LIT_INIT(HEAD "a 1\n# a word\n"), 4 },
    { LK_LIT_INIT(HEAD "a 1\nA\xff 2\n"), 4 },
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint32_t line;
    test_note("case %zu", i);
    lk_err err = read_all(cases[i].text, &line);
    CHECK_ERR(err, cases[i].line == 0 ? LK_ERR_END : LK_ERR_SYNTAX);
    if (cases[i].line > 0) CHECK_U64(line, cases[i].line);
  }
}

TEST(prometheus_labels_are_found_by_name) {
  lk_prometheus reader;
  lk_sample sample;
  lk_slice value;
  lk_prometheus_init(&reader, LK_LIT(HEAD "a{process=\"edge\",index=\"12\"} 4\n"));
  CHECK_OK(lk_prometheus_parse_next(&reader, &sample));
  CHECK(lk_sample_label(&sample, LK_LIT("index"), &value));
  CHECK_TEXT(value, "12");
  CHECK(!lk_sample_label(&sample, LK_LIT("ind"), &value));
}
