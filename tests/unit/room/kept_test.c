/* Records and snapshots as bytes: what was written is read again, and nothing else is. */
#include "room/kept.h"

#include "harness/test.h"

TEST(a_record_says_its_topic_its_marks_and_the_bytes_of_its_room) {
  const lk_mark marks[2] = { { UINT64_MAX, 1, 0 }, { 7, UINT64_MAX, UINT32_MAX } };
  lk_buf out;
  lk_slice topic, rest;
  lk_kept kept;
  lk_mark mark;
  lk_buf_init(&out, test_alloc(), 1000);
  CHECK_OK(lk_kept_encode_record_head(&out, LK_LIT("crdt:a")));
  CHECK_OK(lk_buf_append_u8(&out, 2));
  for (int i = 0; i < 2; i++) CHECK_OK(lk_kept_encode_mark(&out, &marks[i]));
  CHECK_OK(lk_buf_append(&out, LK_LIT("change")));
  CHECK_OK(lk_kept_decode_record(lk_buf_slice(&out), &topic, &rest));
  CHECK_TEXT(topic, "crdt:a");
  CHECK_OK(lk_kept_decode(rest, &kept));
  CHECK_U64(kept.marks_count, 2);
  CHECK_TEXT(kept.bytes, "change");
  lk_reader in = lk_reader_of(kept.marks);
  for (int i = 0; i < 2; i++) {
    CHECK_OK(lk_kept_decode_mark(&in, &mark));
    CHECK(mark.edge == marks[i].edge && mark.generation == marks[i].generation);
    CHECK_U64(mark.request, marks[i].request);
  }
  CHECK_U64(lk_reader_left(&in), 0);
  lk_buf_deinit(&out);
}

TEST(a_snapshot_of_another_version_is_refused_by_name) {
  lk_buf out;
  lk_slice topic, rest;
  uint64_t index;
  lk_buf_init(&out, test_alloc(), 1000);
  CHECK_OK(lk_kept_encode_snapshot_head(&out, 300, LK_LIT("doc:a")));
  CHECK_OK(lk_kept_decode_snapshot(lk_buf_slice(&out), &index, &topic, &rest));
  CHECK_U64(index, 300);
  CHECK_TEXT(topic, "doc:a");
  CHECK_U64(rest.len, 0);
  CHECK_ERR(lk_kept_decode_snapshot(lk_slice_first(lk_buf_slice(&out), out.len - 1), &index, &topic,
                                    &rest),
            LK_ERR_TRUNCATED);
  out.ptr[0]++;
  CHECK_ERR(lk_kept_decode_snapshot(lk_buf_slice(&out), &index, &topic, &rest), LK_ERR_VERSION);
  lk_buf_deinit(&out);
}

/* Goal: what was kept before snapshots said whose they are can be read. */
TEST(a_snapshot_that_does_not_say_whose_it_is_is_read) {
  lk_slice topic, rest;
  uint64_t index;
  CHECK_OK(lk_kept_decode_snapshot(LK_LIT("\x02\x07rest"), &index, &topic, &rest));
  CHECK_U64(index, 7);
  CHECK_U64(topic.len, 0);
  CHECK_TEXT(rest, "rest");
}

/* Goal: a count of marks that the bytes do not have is refused before anything is believed of it. */
TEST(marks_that_are_not_there_are_refused) {
  static const uint8_t bytes[] = { 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 1, 2, 3 };
  lk_kept kept;
  CHECK_ERR(lk_kept_decode(lk_slice_of(bytes, sizeof bytes), &kept), LK_ERR_TRUNCATED);
  CHECK_ERR(lk_kept_decode(LK_SLICE_EMPTY, &kept), LK_ERR_TRUNCATED);
}
