/* Records of a diary, by way of a real journal; and the list of what is pending. */
#include "peer/backlog.h"
#include "peer/diary.h"

#include "harness/test.h"
#include "platform/memory/storage.h"

static void check_same(const lk_diary_record *a, const lk_diary_record *b) {
  CHECK_U64(a->kind, b->kind);
  CHECK_SLICE(a->topic, b->topic);
  CHECK_U64(a->topic_kind, b->topic_kind);
  CHECK_SLICE(a->actor, b->actor);
  CHECK_SLICE(a->generation, b->generation);
  CHECK_U64(a->number, b->number);
  CHECK_SLICE(a->bytes, b->bytes);
  CHECK_U64(a->of, b->of);
  CHECK_U64(a->total, b->total);
  CHECK_U64(a->off, b->off);
}

TEST(diary_reads_what_it_wrote) {
  static const lk_diary_record records[] = {
    { .kind = LK_DIARY_TOPIC,
      .topic = LK_LIT_INIT("doc:a"),
      .topic_kind = 3,
      .actor = LK_LIT_INIT("0123456789abcdef"),
      .generation = LK_LIT_INIT("ff") },
    { .kind = LK_DIARY_STATE, .topic = LK_LIT_INIT("doc:a"), .bytes = LK_LIT_INIT("all") },
    { .kind = LK_DIARY_CHANGE,
      .topic = LK_LIT_INIT("doc:a"),
      .number = 300,
      .bytes = LK_LIT_INIT("one") },
    { .kind = LK_DIARY_NEWS, .topic = LK_LIT_INIT("b") },
    { .kind = LK_DIARY_ACKED, .topic = LK_LIT_INIT("b"), .number = UINT64_MAX },
    { .kind = LK_DIARY_DROP, .topic = LK_LIT_INIT("b") },
    { .kind = LK_DIARY_PIECE,
      .topic = LK_LIT_INIT("b"),
      .of = LK_DIARY_CHANGE,
      .number = 300,
      .total = (uint64_t)1 << 40,
      .off = 70000,
      .bytes = LK_LIT_INIT("part") },
  };
  lk_limits limits = lk_limits_default();
  lk_memory_storage storage;
  lk_journal journal;
  lk_journal_event event;
  lk_buf scratch;
  lk_diary_record read;
  uint64_t index;
  lk_memory_storage_init(&storage, test_alloc(), 1 << 24);
  lk_buf_init(&scratch, test_alloc(), 1024);
  const lk_journal_options options = {
    .alloc = test_alloc(), .limits = &limits, .storage = &storage.table, .name = LK_LIT("diary")
  };
  lk_journal_init(&journal, &options);
  for (int round = 0; round < 2; round++) {
    size_t seen = 0;
    bool is_open = false, is_closed = false;
    lk_journal_open(&journal);
    while (!is_closed) {
      while (lk_journal_poll(&journal, &event)) {
        if (event.what == LK_JOURNAL_RECORD) {
          CHECK_OK(lk_diary_decode(event.kind, event.body, &read));
          check_same(&read, &records[seen++]);
        }
        is_open |= event.what == LK_JOURNAL_OPENED;
        is_closed |= event.what == LK_JOURNAL_CLOSED;
        if (event.what != LK_JOURNAL_OPENED) continue;
        for (size_t i = 0; round == 0 && i < sizeof records / sizeof records[0]; i++)
          CHECK_OK(lk_diary_append(&journal, &scratch, &records[i], &index));
        lk_journal_close(&journal);
      }
      if (storage.table.poll(&storage.table) != NULL) lk_journal_advance(&journal);
    }
    CHECK(is_open);
    CHECK_U64(seen, round == 0 ? 0 : sizeof records / sizeof records[0]);
  }
  lk_journal_deinit(&journal);
  lk_buf_deinit(&scratch);
  lk_memory_storage_deinit(&storage);
}

TEST(diary_refuses_what_makes_no_sense) {
  lk_diary_record record;
  CHECK_ERR(lk_diary_decode(0, LK_LIT("\x01"), &record), LK_ERR_VERSION);
  CHECK_ERR(lk_diary_decode(8,
                            LK_LIT("\x01"
                                   "a"),
                            &record),
            LK_ERR_VERSION);
  CHECK_ERR(lk_diary_decode(LK_DIARY_STATE, LK_LIT(""), &record), LK_ERR_CORRUPT);
  CHECK_ERR(lk_diary_decode(LK_DIARY_STATE, LK_LIT("\x00"), &record), LK_ERR_CORRUPT);
  CHECK_ERR(lk_diary_decode(LK_DIARY_STATE,
                            LK_LIT("\x05"
                                   "ab"),
                            &record),
            LK_ERR_CORRUPT);
  CHECK_ERR(lk_diary_decode(LK_DIARY_DROP,
                            LK_LIT("\x01"
                                   "ab"),
                            &record),
            LK_ERR_CORRUPT);
  CHECK_ERR(lk_diary_decode(LK_DIARY_ACKED,
                            LK_LIT("\x01"
                                   "a\x80\x00"),
                            &record),
            LK_ERR_CORRUPT);
  static const lk_slice pieces[] = {
    LK_LIT_INIT("\x01"
                "a\x05\x00\x05\x00"
                "bytes"), /* of an ACKED */
    LK_LIT_INIT("\x01"
                "a\x02\x00\x05\x06"), /* behind the end */
    LK_LIT_INIT("\x01"
                "a\x02\x00\x05\x05"), /* of nothing */
    LK_LIT_INIT("\x01"
                "a\x02\x00\x05\x01"
                "bytes"), /* beyond the end */
    LK_LIT_INIT("\x01"
                "a\x02\x00\x05"),
  };
  for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
    CHECK_ERR(lk_diary_decode(LK_DIARY_PIECE, pieces[i], &record), LK_ERR_CORRUPT);
}

TEST(backlog_goes_from_the_front_and_numbers_go_on) {
  lk_backlog b;
  lk_backlog_entry *e;
  lk_backlog_init(&b, test_alloc());
  for (uint64_t i = 1; i <= 4; i++) {
    CHECK_OK(lk_backlog_add(&b, LK_LIT("xyz"), true, &e));
    CHECK_U64(e->number, i);
  }
  lk_backlog_ack(&b, 2);
  CHECK_U64(b.bytes, 6);
  CHECK_U64(lk_backlog_first(&b)->number, 3);
  CHECK_OK(lk_backlog_restore(&b, 4, LK_LIT("again"), 9)); /* it is here */
  CHECK_OK(lk_backlog_restore(&b, 6, LK_LIT("later"), 9));
  CHECK_U64(b.entries.count, 3);
  lk_backlog_ack(&b, 9);
  CHECK(lk_backlog_is_empty(&b));
  CHECK_OK(lk_backlog_restore(&b, 8, LK_LIT("acknowledged"), 9));
  CHECK(lk_backlog_is_empty(&b));
  CHECK_ERR(lk_backlog_restore(&b, 0, LK_LIT(""), 9), LK_ERR_CORRUPT);
  CHECK_OK(lk_backlog_add(&b, LK_LIT(""), true, &e));
  CHECK_U64(e->number, 10);
  lk_backlog_deinit(&b);
  lk_backlog_deinit(&b);
}
