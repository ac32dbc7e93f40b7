#include "log/segment_reader.h"

#include "codec/crc32c.h"
#include "codec/hex.h"
#include "harness/test.h"

#define BODY_MAX 100000u
#define FILE_MAX 400000u
#define SECTOR 512u

/* A segment in memory, and where each of its batches begins. */
typedef struct file {
  lk_segment_id id;
  lk_slice name;
  lk_segment_place place;
  lk_buf bytes;
  size_t batches;
  size_t begins[16];
} file;

static void file_init(file *f, uint64_t number) {
  *f = (file){ .id = { .number = number, .base = 100 }, .name = LK_LIT("j-0000000007") };
  for (uint8_t i = 0; i < LK_SEGMENT_SALT_LEN; i++) f->id.salt[i] = (uint8_t)(i * 7 + 1);
  for (uint8_t i = 0; i < LK_SHA256_LEN; i++) f->id.prev.hash[i] = (uint8_t)(i + 100);
  lk_buf_init(&f->bytes, test_alloc(), FILE_MAX);
  uint8_t *header = lk_buf_extend(&f->bytes, LK_SEGMENT_HEADER_LEN);
  lk_segment_header_encode(&f->id, header);
  f->place = lk_segment_start(&f->id, f->name);
}

/* Appends a batch of |count| records; what they say depends on |seed|, their lengths do not. */
static void file_add(file *f, uint32_t count, size_t len, uint8_t seed) {
  static uint8_t body[60000];
  lk_buf batch;
  lk_buf_init(&batch, test_alloc(), FILE_MAX);
  CHECK_OK(lk_batch_begin(&batch));
  for (uint32_t i = 0; i < count; i++) {
    memset(body, (uint8_t)(seed + i), len + i);
    lk_slice parts[2] = { lk_slice_of(body, 1), lk_slice_of(body, len + i - 1) };
    CHECK_OK(lk_batch_append(&batch, (uint8_t)i, parts, 2));
  }
  f->begins[f->batches++] = f->bytes.len;
  CHECK_U64(f->place.off, f->bytes.len);
  lk_batch_finish(&batch, count, &f->place);
  CHECK_OK(lk_buf_append(&f->bytes, lk_buf_slice(&batch)));
  CHECK_U64(f->place.off, f->bytes.len);
  lk_buf_deinit(&batch);
}

static void file_init_three(file *f) {
  file_init(f, 7);
  file_add(f, 2, 10, 'a');
  file_add(f, 1, 3, 'k');
  file_add(f, 3, 21, 'x');
}

typedef struct outcome {
  lk_segment_step step;
  lk_err err;
  uint64_t records;
  uint64_t place_off;
  size_t most; /* bytes of memory at any time */
} outcome;

/* Reads |bytes| as the segment |f|. Records must be numbered without gaps. */
static outcome read_as(const file *f, lk_slice bytes, uint64_t sealed_to, const lk_alloc *alloc) {
  lk_segment_reader r;
  outcome out = { 0 };
  lk_segment_reader_init(&r, alloc, &f->id, f->name, bytes.len, sealed_to, BODY_MAX);
  for (;;) {
    out.step = lk_segment_reader_poll(&r);
    out.most = lk_max_size(out.most, r.window.cap);
    if (out.step == LK_SEGMENT_RECORD) {
      CHECK_U64(r.index, f->id.base + out.records++);
    } else if (out.step == LK_SEGMENT_READ) {
      lk_slice part = lk_slice_first(lk_slice_skip(bytes, (size_t)r.read_off), r.into_len);
      CHECK_U64(part.len, r.into_len); /* never asks for more than there is */
      memcpy(r.into, part.ptr, part.len);
      lk_segment_reader_feed(&r, part.len);
    } else {
      break;
    }
  }
  CHECK(lk_segment_reader_poll(&r) == out.step);
  out.err = out.step == LK_SEGMENT_FAILED ? r.err : LK_OK;
  out.place_off = r.place.off;
  lk_segment_reader_deinit(&r);
  lk_segment_reader_deinit(&r);
  return out;
}

static outcome read_file(const file *f) {
  return read_as(f, lk_buf_slice(&f->bytes), 0, test_alloc());
}

static void check_corrupt(const file *f, lk_slice bytes, uint64_t sealed_to) {
  outcome got = read_as(f, bytes, sealed_to, test_alloc());
  CHECK(got.step == LK_SEGMENT_FAILED);
  CHECK_ERR(got.err, LK_ERR_CORRUPT);
}

TEST(records_come_back_in_order_with_kind_and_body) {
  file f;
  lk_segment_reader r;
  lk_slice all;
  file_init_three(&f);
  all = lk_buf_slice(&f.bytes);
  lk_segment_reader_init(&r, test_alloc(), &f.id, f.name, all.len, 0, BODY_MAX);
  CHECK(lk_segment_reader_poll(&r) == LK_SEGMENT_READ);
  CHECK(r.read_off == 0 && r.into_len == all.len);
  memcpy(r.into, all.ptr, all.len);
  lk_segment_reader_feed(&r, all.len);
  CHECK(lk_segment_reader_poll(&r) == LK_SEGMENT_RECORD);
  CHECK(r.index == 100 && r.record.kind == 0);
  CHECK_TEXT(r.record.body, "aaaaaaaaaa");
  CHECK(lk_segment_reader_poll(&r) == LK_SEGMENT_RECORD);
  CHECK(r.index == 101 && r.record.kind == 1);
  CHECK_TEXT(r.record.body, "bbbbbbbbbbb");
  CHECK(lk_segment_reader_poll(&r) == LK_SEGMENT_RECORD);
  CHECK(r.index == 102 && r.record.kind == 0);
  CHECK_TEXT(r.record.body, "kkk");
  for (uint64_t i = 0; i < 3; i++) CHECK(lk_segment_reader_poll(&r) == LK_SEGMENT_RECORD);
  CHECK_U64(r.index, 105);
  CHECK(lk_segment_reader_poll(&r) == LK_SEGMENT_END);
  CHECK(memcmp(r.place.chain.hash, f.place.chain.hash, LK_SHA256_LEN) == 0);
  CHECK(r.place.index == f.place.index && r.place.off == f.place.off);
  CHECK_U64(r.last.off, f.begins[2]);
  lk_segment_reader_deinit(&r);
  lk_buf_deinit(&f.bytes);
}

/* Goal: the format stays what it is. Method: the bytes were computed by another program, from the
 * description on top of segment.c (Python's hashlib, and a CRC done bit by bit). */
TEST(segment_has_the_bytes_that_its_description_gives) {
  static const char want[] =
      "4c4b5347010000000700000000000000640000000000000001080f161d242b323940474e555c636a"
      "6465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f8081828300000000b1952ad1"
      "110000000200000020868d0aa57d5a7531410daed22fae3803000000006161610400000001626262"
      "6200000000000000060000000100000031246b7e33fad4de22a5a9e4195c109001000000007a0000";
  file f;
  uint8_t text[1024];
  file_init(&f, 7);
  file_add(&f, 2, 3, 'a');
  file_add(&f, 1, 1, 'z');
  CHECK_U64(f.bytes.len * 2, sizeof want - 1);
  lk_hex_store(text, lk_buf_slice(&f.bytes));
  CHECK_SLICE(lk_slice_of(text, f.bytes.len * 2), lk_slice_of(want, sizeof want - 1));
  lk_buf_deinit(&f.bytes);
}

/* Goal: wherever the file ends, the batches that are whole are there, all of their records and no others. */
TEST(file_cut_at_any_byte_keeps_its_whole_batches) {
  static const uint64_t records[] = { 0, 2, 3, 6 };
  file f;
  file_init_three(&f);
  for (size_t len = 0; len <= f.bytes.len; len++) {
    size_t whole = 0;
    while (whole < 3 && len >= (whole < 2 ? f.begins[whole + 1] : f.bytes.len)) whole++;
    uint64_t good = len < LK_SEGMENT_HEADER_LEN ? 0 : whole == 3 ? f.bytes.len : f.begins[whole];
    outcome got = read_as(&f, lk_slice_first(lk_buf_slice(&f.bytes), len), 0, test_alloc());
    CHECK(got.step == (len == good && len > 0 ? LK_SEGMENT_END : LK_SEGMENT_TORN));
    CHECK_U64(got.records, records[whole]);
    CHECK_U64(got.place_off, good);
  }
  CHECK_COVERED(segment_torn);
  lk_buf_deinit(&f.bytes);
}

/* Goal: a last batch of which any sectors did not arrive is as if it had never been written.
 * Method: all subsets of its sectors, where missing ones hold zeroes or other bytes. */
TEST(last_batch_with_any_sectors_missing_is_cut) {
  file f;
  file_init(&f, 7);
  file_add(&f, 1, 300, 'a');
  file_add(&f, 4, 700, 'b');
  size_t begin = f.begins[1], first = begin / SECTOR,
         sectors = (f.bytes.len + SECTOR - 1) / SECTOR - first;
  CHECK(sectors >= 5 && sectors <= 8);
  for (uint32_t subset = 0; subset < 1u << sectors; subset++) {
    for (uint8_t filler = 0; filler < 2; filler++) {
      uint8_t copy[8192];
      memcpy(copy, f.bytes.ptr, f.bytes.len);
      for (size_t at = begin; at < f.bytes.len; at++) {
        if ((subset >> (at / SECTOR - first) & 1) == 0) copy[at] = (uint8_t)(filler * 0x5A);
      }
      outcome got = read_as(&f, lk_slice_of(copy, f.bytes.len), 0, test_alloc());
      bool whole = subset == (1u << sectors) - 1;
      CHECK(got.step == (whole ? LK_SEGMENT_END : LK_SEGMENT_TORN));
      CHECK_U64(got.records, whole ? 5 : 1);
    }
  }
  lk_buf_deinit(&f.bytes);
}

/* Goal: no single bit can change unnoticed; what has a good batch behind it is rot and never cut, and
 * so is everything that is known to have been acknowledged. */
TEST(every_flipped_bit_is_detected) {
  file f;
  file_init_three(&f);
  for (size_t bit = 0; bit < f.bytes.len * 8; bit++) {
    f.bytes.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
    lk_slice all = lk_buf_slice(&f.bytes);
    if (bit / 8 < f.begins[2]) {
      check_corrupt(&f, all, 0);
    } else {
      outcome got = read_file(&f);
      CHECK(got.step == LK_SEGMENT_TORN && got.records == 3 && got.place_off == f.begins[2]);
    }
    check_corrupt(&f, all, all.len);
    f.bytes.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  CHECK_COVERED(segment_damaged_in_the_middle);
  CHECK_COVERED(segment_damaged_where_sealed);
  lk_buf_deinit(&f.bytes);
}

/* Goal: runs of damage too. Method: any one byte range of the middle batch filled with zeroes, ones. */
TEST(overwritten_ranges_with_a_good_batch_behind_are_rot) {
  file f;
  file_init_three(&f);
  size_t from = f.begins[1], to = f.begins[2];
  for (size_t begin = from; begin < to; begin++) {
    for (size_t end = begin + 1; end <= to; end++) {
      uint8_t copy[1024];
      memcpy(copy, f.bytes.ptr, f.bytes.len);
      memset(copy + begin, end % 2 ? 0 : 0xFF, end - begin);
      if (memcmp(copy, f.bytes.ptr, f.bytes.len) == 0) continue;
      check_corrupt(&f, lk_slice_of(copy, f.bytes.len), 0);
    }
  }
  lk_buf_deinit(&f.bytes);
}

/* Goal: a write, or a read, that went to another place is found although its bytes are intact. */
TEST(intact_batches_in_the_wrong_place_are_refused) {
  file f, other;
  file_init(&f, 7);
  file_add(&f, 1, 20, 'a');
  file_add(&f, 1, 20, 'b');
  file_add(&f, 1, 20, 'c');
  size_t len = f.begins[1] - f.begins[0];
  uint8_t copy[1024];
  /* One batch over another, both ways. */
  for (size_t from = 0; from < 3; from++) {
    for (size_t to = 0; to < 3; to++) {
      if (from == to) continue;
      memcpy(copy, f.bytes.ptr, f.bytes.len);
      memcpy(copy + f.begins[to], f.bytes.ptr + f.begins[from], len);
      outcome got = read_as(&f, lk_slice_of(copy, f.bytes.len), 0, test_alloc());
      CHECK(to == 2 ? got.step == LK_SEGMENT_TORN && got.records == 2
                    : got.step == LK_SEGMENT_FAILED && got.err == LK_ERR_CORRUPT);
    }
  }
  /* The same place of another segment, of another journal, of a file with another name. */
  for (int what = 0; what < 3; what++) {
    file_init(&other, what == 0 ? 8 : 7);
    if (what == 1) {
      other.id.salt[3] ^= 1;
      lk_segment_header_encode(&other.id, other.bytes.ptr);
      other.place = lk_segment_start(&other.id, other.name);
    } else if (what == 2) {
      other.place = lk_segment_start(&other.id, LK_LIT("k-0000000007"));
    }
    file_add(&other, 1, 20, 'a');
    memcpy(copy, f.bytes.ptr, f.bytes.len);
    memcpy(copy + f.begins[0], other.bytes.ptr + f.begins[0], len);
    check_corrupt(&f, lk_slice_of(copy, f.bytes.len), 0);
    if (what < 2) check_corrupt(&f, lk_buf_slice(&other.bytes), 0); /* as a whole */
    lk_buf_deinit(&other.bytes);
  }
  lk_buf_deinit(&f.bytes);
}

TEST(missing_middle_and_replaced_beginning_are_refused) {
  file f, other;
  uint8_t copy[1024];
  file_init(&f, 7);
  file_init(&other, 7);
  for (uint8_t i = 0; i < 3; i++) {
    file_add(&f, 1, 20, (uint8_t)('a' + i));
    file_add(&other, 1, 20, (uint8_t)('A' + i));
  }
  size_t len = f.begins[1] - f.begins[0];
  memcpy(copy, f.bytes.ptr, f.bytes.len);
  memmove(copy + f.begins[1], copy + f.begins[2], len);
  outcome got = read_as(&f, lk_slice_of(copy, f.bytes.len - len), 0, test_alloc());
  CHECK(got.records == 1 &&
        got.step == LK_SEGMENT_TORN); /* not the one that was there: its place differs */
  check_corrupt(&f, lk_slice_of(copy, f.bytes.len - len), f.bytes.len);
  /* Every batch intact, in its place, of this segment; but not one history. */
  memcpy(copy, f.bytes.ptr, f.bytes.len);
  memcpy(copy + f.begins[0], other.bytes.ptr + f.begins[0], len);
  check_corrupt(&f, lk_slice_of(copy, f.bytes.len), 0);
  CHECK_COVERED(segment_batch_does_not_follow);
  lk_buf_deinit(&f.bytes);
  lk_buf_deinit(&other.bytes);
}

/* Goal: what clients write cannot make a crash look like rot. Method: a torn batch whose records hold whole
 * batches and headers of this very segment, at every alignment. */
TEST(records_that_look_like_batches_are_no_evidence) {
  for (size_t shift = 0; shift < LK_BATCH_ALIGN; shift++) {
    file f;
    lk_buf batch, body;
    file_init_three(&f);
    lk_buf_init(&batch, test_alloc(), FILE_MAX);
    lk_buf_init(&body, test_alloc(), FILE_MAX);
    CHECK_OK(lk_buf_append(&body, lk_slice_first(LK_LIT("01234567"), shift)));
    CHECK_OK(lk_buf_append(&body, lk_slice_skip(lk_buf_slice(&f.bytes), f.begins[0])));
    lk_slice parts[] = { lk_buf_slice(&body) };
    CHECK_OK(lk_batch_begin(&batch));
    CHECK_OK(lk_batch_append(&batch, 0, parts, 1));
    uint64_t good = f.place.off;
    lk_batch_finish(&batch, 1, &f.place);
    CHECK_OK(lk_buf_append(&f.bytes, lk_buf_slice(&batch)));
    f.bytes.ptr[good] ^= 1;
    outcome got = read_file(&f);
    CHECK(got.step == LK_SEGMENT_TORN && got.place_off == good);
    lk_buf_deinit(&batch);
    lk_buf_deinit(&body);
    lk_buf_deinit(&f.bytes);
  }
}

TEST(header_of_a_batch_proves_rot_even_where_its_body_is_torn) {
  file f;
  file_init_three(&f);
  f.bytes.ptr[f.begins[1] + 30] ^= 1;
  check_corrupt(&f, lk_slice_first(lk_buf_slice(&f.bytes), f.begins[2] + LK_BATCH_HEADER_LEN), 0);
  outcome got = read_as(
      &f, lk_slice_first(lk_buf_slice(&f.bytes), f.begins[2] + LK_BATCH_HEADER_LEN - 1), 0,
      test_alloc());
  CHECK(got.step == LK_SEGMENT_TORN && got.place_off == f.begins[1]);
  lk_buf_deinit(&f.bytes);
}

/* Zeroes behind the end are what a crash leaves where the new size came through and the bytes did not. */
TEST(zeroes_behind_the_end_are_cut_however_many) {
  static uint8_t copy[2000000];
  file f;
  file_init_three(&f);
  memcpy(copy, f.bytes.ptr, f.bytes.len);
  outcome got = read_as(&f, lk_slice_of(copy, sizeof copy), 0, test_alloc());
  CHECK(got.step == LK_SEGMENT_TORN && got.place_off == f.bytes.len && got.records == 6);
  CHECK(got.most <= 2 * (LK_SEGMENT_READ_LEN + BODY_MAX));
  lk_buf_deinit(&f.bytes);
}

TEST(file_shorter_than_what_was_acknowledged_is_rot) {
  file f;
  file_init_three(&f);
  for (size_t len = 0; len < f.bytes.len; len++)
    check_corrupt(&f, lk_slice_first(lk_buf_slice(&f.bytes), len), f.bytes.len);
  outcome got = read_as(&f, lk_buf_slice(&f.bytes), f.bytes.len, test_alloc());
  CHECK(got.step == LK_SEGMENT_END);
  /* A torn batch behind what was acknowledged is just that. */
  got = read_as(&f, lk_slice_first(lk_buf_slice(&f.bytes), f.bytes.len - 1), f.begins[2],
                test_alloc());
  CHECK(got.step == LK_SEGMENT_TORN && got.place_off == f.begins[2]);
  lk_buf_deinit(&f.bytes);
}

TEST(header_of_a_later_version_is_refused_by_name) {
  file f;
  lk_segment_id id;
  file_init_three(&f);
  lk_store_le16(f.bytes.ptr + 4, 2);
  lk_store_le32(f.bytes.ptr + 76, lk_crc32c(lk_slice_of(f.bytes.ptr, 76)));
  CHECK_ERR(lk_segment_header_decode(lk_buf_slice(&f.bytes), &id), LK_ERR_VERSION);
  outcome got = read_file(&f);
  CHECK(got.step == LK_SEGMENT_FAILED);
  CHECK_ERR(got.err, LK_ERR_VERSION);
  CHECK_ERR(lk_segment_header_decode(lk_slice_first(lk_buf_slice(&f.bytes), 79), &id),
            LK_ERR_TRUNCATED);
  f.bytes.ptr[0] = 'X';
  CHECK_ERR(lk_segment_header_decode(lk_buf_slice(&f.bytes), &id), LK_ERR_CORRUPT);
  lk_buf_deinit(&f.bytes);
}

/* Makes a batch header that is intact and claims |len|. */
static void forge(file *f, uint32_t len) {
  uint8_t header[LK_BATCH_HEADER_LEN] = { 0 }, covered[28];
  lk_store_le32(header, len);
  lk_store_le32(header + 4, 1);
  memcpy(header + 8, f->place.chain.hash, 8);
  lk_store_le64(covered, f->place.off);
  memcpy(covered + 8, header, 20);
  lk_store_le32(header + 20, lk_crc32c_update(f->place.seed, lk_slice_of(covered, 28)));
  CHECK_OK(lk_buf_append(&f->bytes, lk_slice_of(header, sizeof header)));
}

TEST(claims_of_length_take_no_memory) {
  file f;
  uint8_t zeroes[5000] = { 0 };
  file_init(&f, 7);
  forge(&f, 1u << 30);
  outcome got = read_file(&f);
  CHECK(got.step == LK_SEGMENT_TORN && got.most < 10000); /* the file is not that long */
  lk_buf_truncate(&f.bytes, LK_SEGMENT_HEADER_LEN);
  forge(&f, BODY_MAX + 1);
  while (f.bytes.len < BODY_MAX + 1000)
    CHECK_OK(lk_buf_append(&f.bytes, lk_slice_of(zeroes, sizeof zeroes)));
  got = read_file(&f);
  CHECK(got.step == LK_SEGMENT_FAILED); /* and nothing is cut, since higher limits can read it */
  CHECK_ERR(got.err, LK_ERR_LIMIT);
  lk_buf_deinit(&f.bytes);
}

TEST(segment_that_is_longer_than_the_window_is_read_in_bounded_memory) {
  file f;
  file_init(&f, 7);
  for (uint8_t i = 0; i < 7; i++) file_add(&f, 1, 50000u - i * 11u, i);
  outcome got = read_file(&f);
  CHECK(got.step == LK_SEGMENT_END && got.records == 7);
  CHECK(f.bytes.len > LK_SEGMENT_READ_LEN);
  CHECK(got.most <= 2 * (LK_SEGMENT_READ_LEN + BODY_MAX));
  lk_buf_deinit(&f.bytes);
}

TEST(medium_that_ends_before_the_size_it_gave_is_an_error_and_no_tear) {
  file f;
  lk_segment_reader r;
  file_init_three(&f);
  lk_segment_reader_init(&r, test_alloc(), &f.id, f.name, f.bytes.len, 0, BODY_MAX);
  CHECK(lk_segment_reader_poll(&r) == LK_SEGMENT_READ);
  memcpy(r.into, f.bytes.ptr, f.begins[1]);
  lk_segment_reader_feed(&r, f.begins[1]);
  CHECK(lk_segment_reader_poll(&r) == LK_SEGMENT_FAILED);
  CHECK_ERR(r.err, LK_ERR_IO);
  lk_segment_reader_deinit(&r);
  lk_buf_deinit(&f.bytes);
}

TEST(reader_without_memory_says_so_and_cuts_nothing) {
  file f;
  file_init_three(&f);
  FAULT_LOOP(faults, test_alloc()) {
    outcome got = read_as(&f, lk_buf_slice(&f.bytes), 0, faulty_alloc(&faults));
    CHECK(got.step == LK_SEGMENT_END || (got.step == LK_SEGMENT_FAILED && got.err == LK_ERR_NOMEM));
  }
  lk_buf_deinit(&f.bytes);
}

TEST(batch_that_cannot_grow_stays_as_it_was) {
  lk_slice big[] = { { (const uint8_t *)"", SIZE_MAX / 2 }, { (const uint8_t *)"", SIZE_MAX / 2 } };
  lk_slice small[] = { LK_LIT("small") };
  FAULT_LOOP(faults, test_alloc()) {
    lk_buf batch;
    lk_buf_init(&batch, faulty_alloc(&faults), 1000);
    lk_err err = lk_batch_begin(&batch);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    CHECK_U64(batch.len, err == LK_OK ? LK_BATCH_HEADER_LEN : 0);
    for (int i = 0; err == LK_OK && i < 40; i++) {
      size_t before = batch.len;
      err = lk_batch_append(&batch, 1, small, 1);
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      if (err != LK_OK) CHECK(batch.len == before && lk_buf_err(&batch) == LK_OK);
      CHECK_ERR(lk_batch_append(&batch, 1, big, 2), LK_ERR_TOO_BIG);
    }
    lk_buf_deinit(&batch);
  }
}
