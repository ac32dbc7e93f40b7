/* Logs: each line is one line, whole and readable by its readers, whatever is in it; and there are not too many. */
#include <stdio.h>
#include <string.h>

#include "codec/json_reader.h"
#include "codec/utf.h"
#include "harness/test.h"
#include "server/log.h"

static lk_log_line line_of(lk_slice message) {
  return (lk_log_line){ .wall_ms = 1763746200123,
                        .event = LK_LOG_process_died,
                        .process = "room",
                        .index = 2,
                        .pid = 17,
                        .message = message };
}

static void check(lk_log_line line, lk_log_form form, const char *want) {
  char out[LK_LOG_LINE_MAX];
  CHECK_SLICE(lk_slice_of(out, lk_log_format(&line, form, out)), lk_slice_cstr(want));
}

TEST(log_lines_are_for_people_or_for_programs) {
  lk_log_line line = line_of(LK_LIT("it \"died\"\nof \xC3\xA4\xff\x1b[31m"));
  check(line, LK_LOG_TEXT,
        "laniakea: 2025-11-21T17:30:00.123Z error: it \"died\"\\x0aof "
        "\xC3\xA4\xEF\xBF\xBD\\x1b[31m\n");
  line.left_out = 3;
  check(line, LK_LOG_JSON,
        "{\"time\":\"2025-11-21T17:30:00.123Z\",\"level\":\"error\",\"event\":\"process_died\","
        "\"process\":\"room\","
        "\"index\":2,\"pid\":17,\"message\":\"it \\\"died\\\"\\u000aof "
        "\xC3\xA4\xEF\xBF\xBD\\u001b[31m\",\"left_out\":3}\n");
  line.message = LK_LIT("x");
  check(line, LK_LOG_TEXT,
        "laniakea: 2025-11-21T17:30:00.123Z error: x (3 more like it left out)\n");
}

PROPERTY(log_any_message_makes_one_line_that_parses) {
  static uint8_t message[6000];
  char out[LK_LOG_LINE_MAX];
  size_t max = gen_bool(g) ? sizeof message : 200, len = gen_below(g, (uint32_t)max);
  bool is_text = gen_bool(g);
  if (is_text) len = gen_utf8(g, message, len);
  else
    for (size_t i = 0; i < len; i++) message[i] = (uint8_t)gen_below(g, 256);
  lk_log_line line = line_of(lk_slice_of(message, len));
  line.left_out = gen_u64(g);
  line.event = (lk_log_event)gen_below(g, LK_LOG_EVENTS_COUNT);
  for (int form = LK_LOG_TEXT; form <= LK_LOG_JSON; form++) {
    size_t n = lk_log_format(&line, (lk_log_form)form, out);
    CHECK(n > 0 && n <= LK_LOG_LINE_MAX && out[n - 1] == '\n');
    lk_slice text = lk_slice_of(out, n - 1);
    CHECK_OK(lk_utf8_check(text));
    for (size_t i = 0; i < text.len; i++) CHECK(text.ptr[i] >= 0x20 && text.ptr[i] != 0x7f);
    lk_limits limits = lk_limits_default();
    size_t offset;
    if (form == LK_LOG_JSON) CHECK_OK(lk_json_check(text, &limits, &offset));
    if (len > LK_LOG_LINE_MAX && is_text)
      CHECK(lk_slice_find(text, LK_LIT("...")) != LK_SLICE_NONE);
  }
}

TEST(log_a_flood_of_one_event_is_cut_to_a_trickle_that_tells_how_much) {
  lk_log_gate gate = { 0 };
  uint64_t left_out, passed = 0, told = 0;
  for (uint64_t now = 1000000; now < 1010000; now++) {
    if (!lk_log_gate_pass(&gate, now, &left_out)) continue;
    passed++;
    told += left_out;
  }
  CHECK_U64(passed, LK_LOG_BURST + 9);
  CHECK_U64(told + gate.left_out, 10000 - passed);
  CHECK(lk_log_gate_pass(&gate, 1010000 + LK_LOG_EACH_MS, &left_out));
  CHECK(left_out > 0);
  CHECK(lk_log_gate_pass(&gate, 1010000 + LK_LOG_EACH_MS * LK_LOG_BURST, &left_out));
  CHECK_U64(left_out, 0);
}

TEST(log_the_first_lines_of_a_process_are_not_left_out) {
  lk_log_gate gate = { 0 };
  uint64_t left_out;
  for (int i = 0; i < LK_LOG_BURST; i++) CHECK(lk_log_gate_pass(&gate, 0, &left_out));
  CHECK(!lk_log_gate_pass(&gate, 0, &left_out));
}
