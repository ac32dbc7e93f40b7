/* When a change is told: once it is quiet, again where it failed, once for each topic, also behind a restart. */
#include "server/webhook_dues.h"

#include "harness/test.h"

static const lk_webhook_times times = { .debounce_ms = 100,
                                        .debounce_most_ms = 250,
                                        .retry_ms = 1000,
                                        .retry_most_ms = 8000,
                                        .retry_for_ms = 60000 };
static const uint64_t seed[3] = { 1, 2, 3 };
static lk_webhook_dues dues;

static void begin(void) { lk_webhook_dues_init(&dues, test_alloc(), &times, 4, seed); }

static void note_as(const char *topic, uint64_t sequence, uint64_t now, lk_slice by,
                    bool is_memory) {
  const lk_webhook_change change = { .topic = lk_slice_cstr(topic),
                                     .sequence = sequence,
                                     .changes = 1,
                                     .first_ms = now,
                                     .last_ms = now,
                                     .by = { by },
                                     .by_count = by.len > 0,
                                     .is_memory = is_memory };
  CHECK_OK(lk_webhook_dues_note(&dues, &change, now));
}

static void note(const char *topic, uint64_t sequence, uint64_t now) {
  note_as(topic, sequence, now, LK_SLICE_EMPTY, false);
}

TEST(a_change_is_told_when_its_topic_is_quiet) {
  begin();
  note("a", 1, 1000);
  CHECK_U64(lk_webhook_dues_deadline(&dues), 1100);
  note("a", 2, 1050);
  CHECK(lk_webhook_dues_poll(&dues, 1149) == NULL);
  lk_webhook_due *due = lk_webhook_dues_poll(&dues, 1150);
  CHECK(due != NULL);
  const lk_webhook_change change = lk_webhook_due_change(due);
  CHECK_TEXT(change.topic, "a");
  CHECK_U64(change.sequence, 2);
  CHECK_U64(change.changes, 2);
  CHECK_U64(change.first_ms, 1000);
  CHECK_U64(change.last_ms, 1050);
  CHECK(lk_webhook_dues_poll(&dues, 9999) == NULL); /* one at a time */
  lk_webhook_dues_delivered(&dues, due, 1160);
  CHECK_U64(lk_webhook_dues_count(&dues), 0);
  lk_webhook_dues_deinit(&dues);
}

TEST(a_topic_that_is_never_quiet_is_told_all_the_same) {
  begin();
  for (uint64_t now = 1000; now < 1250; now += 50) note("a", now, now);
  CHECK_U64(lk_webhook_dues_deadline(&dues), 1250);
  lk_webhook_dues_deinit(&dues);
}

TEST(what_changed_under_way_is_told_next) {
  begin();
  note("a", 1, 1000);
  lk_webhook_due *due = lk_webhook_dues_poll(&dues, 1100);
  note("a", 2, 1110);
  CHECK(lk_webhook_dues_poll(&dues, 5000) == NULL);
  lk_webhook_dues_delivered(&dues, due, 1120);
  CHECK_U64(lk_webhook_dues_deadline(&dues), 1220);
  due = lk_webhook_dues_poll(&dues, 1220);
  CHECK_U64(lk_webhook_due_change(due).sequence, 2);
  CHECK_U64(lk_webhook_due_change(due).changes, 1);
  lk_webhook_dues_deinit(&dues);
}

TEST(waits_double_up_to_the_longest) {
  static const uint64_t want[] = { 1000, 2000, 4000, 8000, 8000, 8000 };
  for (uint32_t i = 0; i < 6; i++) CHECK_U64(lk_webhook_backoff_ms(&times, i + 1), want[i]);
  CHECK_U64(lk_webhook_backoff_ms(&times, UINT32_MAX), 8000);
}

TEST(what_failed_is_tried_again_later_and_later_and_given_up_in_the_end) {
  uint64_t now = 1000, least = 500;
  uint32_t attempts = 0;
  begin();
  note("a", 1, now);
  for (bool is_kept = true; is_kept; attempts++) {
    now = lk_webhook_dues_deadline(&dues);
    lk_webhook_due *due = lk_webhook_dues_poll(&dues, now);
    CHECK(due != NULL);
    is_kept = lk_webhook_dues_failed(&dues, due, 0, now, now);
    if (!is_kept) break;
    uint64_t wait = lk_webhook_dues_deadline(&dues) - now;
    CHECK(wait >= least && wait <= least * 2);
    note("a", 2 + attempts, now + 1); /* which does not hurry it */
    CHECK_U64(lk_webhook_dues_deadline(&dues), now + wait);
    least = lk_min_u64(least * 2, 4000);
  }
  CHECK(now >= 61000);
  CHECK(attempts >= 8 && attempts <= 20);
  CHECK_U64(dues.given_up, 1);
  CHECK_U64(lk_webhook_dues_count(&dues), 0);
  lk_webhook_dues_deinit(&dues);
}

static void note_deletion(const char *topic, uint64_t sequence, uint64_t now, bool is_memory) {
  const lk_webhook_change change = { .topic = lk_slice_cstr(topic),
                                     .sequence = sequence,
                                     .changes = 1,
                                     .is_memory = is_memory,
                                     .is_deleted = true };
  CHECK_OK(lk_webhook_dues_note(&dues, &change, now));
}

/* "deleted", "anew" or "changed", as the message says it. */
static const char *kind_of(const lk_webhook_due *due) {
  const lk_webhook_change change = lk_webhook_due_change(due);
  if (change.is_deleted) return "deleted";
  return change.is_anew ? "anew" : "changed";
}

TEST(what_happened_last_is_told_and_that_it_was_gone_in_between) {
  begin();
  note("a", 1, 1000);
  note_deletion("a", 2, 1000, false);
  lk_webhook_due *due = lk_webhook_dues_poll(&dues, 2000);
  CHECK_SLICE(lk_slice_cstr(kind_of(due)), LK_LIT("deleted"));
  lk_webhook_dues_put_off(&dues, due, 1, 2000);
  note("a", 3, 2000);
  due = lk_webhook_dues_poll(&dues, 3000);
  CHECK_SLICE(lk_slice_cstr(kind_of(due)), LK_LIT("anew"));
  CHECK(lk_webhook_dues_failed(&dues, due, 0, 3000, 3000)); /* so nobody has heard it */
  due = lk_webhook_dues_poll(&dues, 9000);
  CHECK_SLICE(lk_slice_cstr(kind_of(due)), LK_LIT("anew"));
  note("a", 4, 9000);
  lk_webhook_dues_delivered(&dues, due, 9000);
  due = lk_webhook_dues_poll(&dues, 10000);
  CHECK_SLICE(lk_slice_cstr(kind_of(due)), LK_LIT("changed"));
  lk_webhook_dues_deinit(&dues);
}

/* Goal: two messages that differ have ids that differ, which are made of their sequences. */
TEST(sequences_of_a_topic_in_memory_grow_over_its_deletion) {
  begin();
  note_as("m", 7, 1000, LK_SLICE_EMPTY, true);
  note_deletion("m", 8, 1000, true);
  note_as("m", 1, 1000, LK_SLICE_EMPTY, true);
  CHECK_U64(lk_webhook_due_change(lk_webhook_dues_poll(&dues, 2000)).sequence, 9);
  lk_webhook_dues_deinit(&dues);
}

TEST(deletions_are_written_down_and_what_was_written_before_there_were_any_is_read) {
  static const char old[] = "\x01\x01\x01"
                            "a\x07\x01\x00\x00\x00\x00\x00";
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1000);
  for (int is_anew = 0; is_anew < 2; is_anew++) {
    begin();
    lk_buf_truncate(&out, 0);
    note_deletion("a", 1, 1000, false);
    if (is_anew) note("a", 2, 1000);
    if (is_anew) (void)lk_webhook_dues_poll(&dues, 2000);
    CHECK_OK(lk_webhook_dues_encode(&dues, false, &out));
    lk_webhook_dues_deinit(&dues);
    begin();
    CHECK_OK(lk_webhook_dues_decode(&dues, false, lk_buf_slice(&out), 50));
    CHECK_SLICE(lk_slice_cstr(kind_of(lk_webhook_dues_poll(&dues, 2000))),
                is_anew ? LK_LIT("anew") : LK_LIT("deleted"));
    lk_webhook_dues_deinit(&dues);
  }
  begin();
  CHECK_OK(lk_webhook_dues_decode(&dues, false, lk_slice_of(old, sizeof old - 1), 50));
  CHECK_SLICE(lk_slice_cstr(kind_of(lk_webhook_dues_poll(&dues, 2000))), LK_LIT("changed"));
  lk_webhook_dues_deinit(&dues);
  lk_buf_deinit(&out);
}

TEST(who_asks_to_be_left_alone_is) {
  begin();
  note("a", 1, 1000);
  lk_webhook_due *due = lk_webhook_dues_poll(&dues, 1100);
  CHECK(lk_webhook_dues_failed(&dues, due, 30000, 1100, 1100));
  CHECK_U64(lk_webhook_dues_deadline(&dues), 31100);
  lk_webhook_dues_deinit(&dues);
}

TEST(names_are_told_once_and_only_some_of_them) {
  begin();
  for (uint8_t i = 0; i < 24; i++) {
    uint8_t name = (uint8_t)('a' + i / 2);
    note_as("t", i, 1000, lk_slice_of(&name, 1), false);
  }
  const lk_webhook_change change = lk_webhook_due_change(lk_webhook_dues_poll(&dues, 2000));
  CHECK_U64(change.by_count, LK_WEBHOOK_BY_MAX);
  CHECK_TEXT(change.by[0], "a");
  CHECK_TEXT(change.by[7], "h");
  lk_webhook_dues_deinit(&dues);
}

TEST(more_topics_than_there_may_be_are_counted_and_the_others_stay) {
  begin();
  note("a", 1, 1000);
  note("b", 2, 1000);
  note("c", 3, 1000);
  note("d", 4, 1000);
  note("e", 5, 1000);
  CHECK_U64(lk_webhook_dues_count(&dues), 4);
  CHECK_U64(dues.dropped, 1);
  note("a", 6, 1000);
  CHECK_U64(dues.dropped, 1);
  lk_webhook_dues_deinit(&dues);
}

TEST(what_is_due_is_due_again_behind_a_restart) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1000);
  begin();
  note_as("a", 7, 1000, LK_LIT("ann"), false);
  note_as("m", 8, 1000, LK_SLICE_EMPTY, true);
  lk_webhook_due *due = lk_webhook_dues_poll(&dues, 1100);
  CHECK(lk_webhook_dues_failed(&dues, due, 0, 1100, 5000));
  CHECK_OK(lk_webhook_dues_encode(&dues, false, &out));
  lk_webhook_dues_deinit(&dues);
  begin();
  CHECK_OK(lk_webhook_dues_decode(&dues, false, lk_buf_slice(&out), 50));
  CHECK_U64(lk_webhook_dues_count(&dues), 1);
  CHECK(lk_webhook_dues_deadline(&dues) >= 50 && lk_webhook_dues_deadline(&dues) <= 1050);
  due = lk_webhook_dues_poll(&dues, 1050);
  const lk_webhook_change change = lk_webhook_due_change(due);
  CHECK_U64(change.sequence, 7);
  CHECK_U64(change.first_ms, 1000);
  CHECK_TEXT(change.by[0], "ann");
  CHECK_U64(due->failing_ms, 5000);
  CHECK_U64(due->attempts, 1);
  for (size_t cut = 0; cut < out.len; cut++) {
    lk_webhook_dues_deinit(&dues);
    begin();
    CHECK(lk_webhook_dues_decode(&dues, false, lk_slice_first(lk_buf_slice(&out), cut), 50) !=
          LK_OK);
  }
  lk_webhook_dues_deinit(&dues);
  lk_buf_deinit(&out);
}

/* Goal: one that was written down with the others of its level is not read with them when it has gone to the other level. */
TEST(a_topic_that_changes_its_level_is_written_down_in_both) {
  begin();
  note_as("a", 1, 1000, LK_SLICE_EMPTY, true);
  uint64_t memory = dues.version[1], durable = dues.version[0];
  note_as("a", 2, 1000, LK_SLICE_EMPTY, false);
  CHECK(dues.version[1] > memory && dues.version[0] > durable);
  lk_webhook_dues_deinit(&dues);
}

TEST(noting_without_memory_changes_nothing) {
  FAULT_LOOP(faults, test_alloc()) {
    const lk_webhook_change change = { .topic = LK_LIT("a"), .sequence = 1, .changes = 1 };
    lk_webhook_dues_init(&dues, faulty_alloc(&faults), &times, 4, seed);
    lk_err err = lk_webhook_dues_note(&dues, &change, 1);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    CHECK_U64(lk_webhook_dues_count(&dues), err == LK_OK);
    lk_webhook_dues_deinit(&dues);
  }
}
