/* Records of a diary that are longer than the journal takes: as pieces, and in a client. */
#include "peer/pieces.h"
#include "unit/peer/lab.h"

#include "harness/faulty.h"
#include "harness/test.h"

#include <stdio.h>
#include <string.h>

/* ---- pieces alone ---- */

#define RECORDS_MAX 6
#define PIECES_MAX 64
#define WHOLE_MAX 600

/* A journal, and what it had when it was opened. */
typedef struct book {
  lk_limits limits;
  lk_memory_storage storage;
  lk_journal journal;
  lk_buf scratch;
  lk_buf pieces; /* kind and body of each, behind each other */
  size_t ends[PIECES_MAX];
  size_t count;
  uint64_t durable;
} book;

static void note_piece(book *self, const lk_journal_event *event) {
  CHECK(self->count < PIECES_MAX);
  CHECK_OK(lk_buf_append_u8(&self->pieces, event->kind));
  CHECK_OK(lk_buf_append(&self->pieces, event->body));
  self->ends[self->count++] = self->pieces.len;
}

static void settle(book *self) {
  lk_journal_event event;
  do {
    while (lk_journal_poll(&self->journal, &event)) {
      if (event.what == LK_JOURNAL_RECORD) note_piece(self, &event);
      if (event.what == LK_JOURNAL_DURABLE) self->durable = event.index;
    }
    if (self->storage.table.poll(&self->storage.table) == NULL) break;
    lk_journal_advance(&self->journal);
  } while (true);
}

static void book_init(book *self, uint32_t record_max, uint32_t batch_max) {
  *self = (book){ .limits = lk_limits_default() };
  self->limits.log_record_bytes = record_max;
  self->limits.log_batch_bytes = batch_max;
  self->limits.doc_update_bytes = self->limits.crdt_state_bytes = WHOLE_MAX;
  lk_memory_storage_init(&self->storage, test_alloc(), 1 << 24);
  lk_buf_init(&self->scratch, test_alloc(), 512);
  lk_buf_init(&self->pieces, test_alloc(), 1 << 20);
  const lk_journal_options options = { .alloc = test_alloc(),
                                       .limits = &self->limits,
                                       .storage = &self->storage.table,
                                       .name = LK_LIT("diary") };
  lk_journal_init(&self->journal, &options);
  lk_journal_open(&self->journal);
  settle(self);
}

static void book_reopen(book *self) {
  lk_journal_close(&self->journal);
  settle(self);
  lk_journal_open(&self->journal);
  settle(self);
  lk_journal_close(&self->journal);
  settle(self);
}

static void book_deinit(book *self) {
  lk_journal_deinit(&self->journal);
  lk_buf_deinit(&self->scratch);
  lk_buf_deinit(&self->pieces);
  lk_memory_storage_deinit(&self->storage);
}

static lk_diary_record piece_at(const book *self, size_t i) {
  lk_diary_record piece;
  size_t from = i == 0 ? 0 : self->ends[i - 1];
  lk_slice bytes = lk_slice_of(self->pieces.ptr + from, self->ends[i] - from);
  CHECK_OK(lk_diary_decode(bytes.ptr[0], lk_slice_skip(bytes, 1), &piece));
  CHECK_U64(piece.kind, LK_DIARY_PIECE);
  return piece;
}

/* What a test had written: all of it, or until it was given up. */
typedef struct written {
  lk_diary_record record;
  uint8_t bytes[WHOLE_MAX];
  size_t first, last; /* pieces */
  bool is_whole;
} written;

static void write_one(lk_gen *g, book *b, written *w, uint32_t i, size_t *pieces) {
  lk_pieces_writer writer = { 0 };
  uint64_t index = 0;
  bool is_state = gen_bool(g);
  size_t len = gen_range(g, 1, WHOLE_MAX);
  for (size_t at = 0; at < len; at++) w->bytes[at] = (uint8_t)(i * 31 + at);
  w->record = (lk_diary_record){ .kind = is_state ? LK_DIARY_STATE : LK_DIARY_CHANGE,
                                 .topic = gen_bool(g) ? LK_LIT("a") : LK_LIT("bb"),
                                 .number = is_state ? 0 : i + 1,
                                 .bytes = lk_slice_of(w->bytes, len) };
  w->first = *pieces;
  lk_err err = LK_ERR_MORE;
  while (err == LK_ERR_MORE && !(*pieces > w->first && gen_chance(g, 1, 12))) {
    err = lk_pieces_write(&writer, &b->journal, &b->scratch, &w->record, b->durable);
    *pieces += writer.index != index;
    index = writer.index;
    if (gen_bool(g)) continue; /* the next one is not appended before this one is durable */
    lk_journal_flush(&b->journal);
    settle(b);
  }
  CHECK(err == LK_OK || err == LK_ERR_MORE);
  w->is_whole = err == LK_OK;
  w->last = *pieces - 1;
  lk_journal_flush(&b->journal);
  settle(b);
}

/* Goal: whatever part of a journal is left, what is read is what was written whole and is there whole.
 * Method: write, give up now and then, cut pieces off at both ends. */
PROPERTY(pieces_are_read_whole_or_not_at_all) {
  book b;
  written all[RECORDS_MAX];
  lk_pieces_collector reader;
  lk_diary_record record;
  bool is_whole;
  size_t pieces = 0;
  book_init(&b, gen_range(g, 100, 400), gen_range(g, 100, 400));
  uint32_t count = gen_range(g, 1, RECORDS_MAX);
  for (uint32_t i = 0; i < count; i++) write_one(g, &b, &all[i], i, &pieces);
  book_reopen(&b);
  CHECK_U64(b.count, pieces);
  size_t from = gen_bool(g) ? 0 : gen_below(g, (uint32_t)pieces);
  size_t to = gen_bool(g) ? pieces : gen_range(g, (uint32_t)from, (uint32_t)pieces);
  lk_pieces_collector_init(&reader, test_alloc(), &b.limits);
  uint32_t next = 0;
  for (size_t i = from; i < to; i++) {
    const lk_diary_record piece = piece_at(&b, i);
    CHECK_OK(lk_pieces_read(&reader, &piece, &is_whole, &record));
    while (next < count && (all[next].last < i || !all[next].is_whole || all[next].first < from))
      next++;
    bool expected = next < count && all[next].last == i;
    CHECK(is_whole == expected);
    if (!is_whole) continue;
    CHECK_U64(record.kind, all[next].record.kind);
    CHECK_U64(record.number, all[next].record.number);
    CHECK_SLICE(record.topic, all[next].record.topic);
    CHECK_SLICE(record.bytes, all[next].record.bytes);
  }
  lk_pieces_collector_deinit(&reader);
  lk_pieces_collector_deinit(&reader);
  book_deinit(&b);
}

TEST(pieces_that_are_not_of_one_record_make_none) {
  static const lk_diary_record first = { .kind = LK_DIARY_PIECE,
                                         .topic = LK_LIT_INIT("a"),
                                         .of = LK_DIARY_CHANGE,
                                         .number = 4,
                                         .total = 4,
                                         .bytes = LK_LIT_INIT("on") };
  lk_limits limits = lk_limits_default();
  lk_pieces_collector reader;
  lk_diary_record record, others[5];
  bool is_whole;
  for (int i = 0; i < 5; i++) {
    others[i] = first;
    others[i].off = 2;
  }
  others[0].topic = LK_LIT("b");
  others[1].of = LK_DIARY_STATE;
  others[2].number = 5;
  others[3].total = 5;
  others[4].off = 3;
  others[4].bytes = LK_LIT("e");
  lk_pieces_collector_init(&reader, test_alloc(), &limits);
  for (int i = 0; i < 5; i++) {
    CHECK_OK(lk_pieces_read(&reader, &first, &is_whole, &record));
    CHECK(!is_whole);
    CHECK_OK(lk_pieces_read(&reader, &others[i], &is_whole, &record));
    CHECK(!is_whole);
  }
  CHECK_COVERED(pieces_lost_their_beginning);
  lk_diary_record last = first;
  last.off = 2;
  CHECK_OK(lk_pieces_read(&reader, &last, &is_whole,
                          &record)); /* its first was forgotten with the other */
  CHECK(!is_whole);
  CHECK_OK(lk_pieces_read(&reader, &first, &is_whole, &record));
  CHECK_OK(lk_pieces_read(&reader, &first, &is_whole, &record));
  CHECK_COVERED(pieces_were_given_up);
  CHECK_OK(lk_pieces_read(&reader, &last, &is_whole, &record));
  CHECK(is_whole);
  CHECK_TEXT(record.bytes, "onon");
  CHECK_OK(lk_pieces_read(&reader, &last, &is_whole, &record)); /* twice */
  CHECK(!is_whole);
  lk_diary_record endless = first;
  endless.total = (uint64_t)limits.doc_update_bytes + 1;
  CHECK_ERR(lk_pieces_read(&reader, &endless, &is_whole, &record), LK_ERR_LIMIT);
  lk_pieces_collector_deinit(&reader);
}

TEST(pieces_are_refused_where_none_would_end) {
  book b;
  lk_pieces_writer writer = { 0 };
  uint8_t bytes[WHOLE_MAX + 1] = { 0 };
  lk_diary_record record = { .kind = LK_DIARY_STATE,
                             .topic = LK_LIT("crdt:a"),
                             .bytes = lk_slice_of(bytes, sizeof bytes) };
  book_init(&b, 100, 100);
  CHECK_ERR(lk_pieces_write(&writer, &b.journal, &b.scratch, &record, 0), LK_ERR_TOO_BIG);
  record.bytes.len--;
  b.limits.log_record_bytes = 12; /* no room beside what says which piece it is */
  CHECK_ERR(lk_pieces_write(&writer, &b.journal, &b.scratch, &record, 0), LK_ERR_TOO_BIG);
  CHECK_U64(writer.off, 0);
  b.limits.log_record_bytes = 100;
  CHECK_ERR(lk_pieces_write(&writer, &b.journal, &b.scratch, &record, 0), LK_ERR_MORE);
  CHECK(writer.off > 0 && writer.off < 100);
  book_reopen(&b);
  book_deinit(&b);
}

/* ---- in a client ---- */

#define LONG 900

/* Most records are too long for its journal, and it compacts often. */
static void init_small(lab *l) {
  lab_init(l);
  l->client_limits.log_record_bytes = 300;
  l->client_limits.log_batch_bytes = 400;
  l->client_limits.log_segment_bytes = 32768; /* compaction at a sixteenth of that */
  l->client_limits.log_reserve_bytes = 1024;
}

/* |count| times |ch|, at the end. */
static void write_many(lab *l, lk_topic *d, char ch, size_t count) {
  char text[LONG + 1];
  CHECK(count <= LONG);
  memset(text, ch, count);
  text[count] = 0;
  lab_write(l, d, lk_doc_get_size(lk_topic_doc(d)).units, text);
}

static void check_text(lk_topic *d, const char *runs, size_t count) {
  char json[64 + 12 * LONG];
  size_t len = (size_t)snprintf(json, sizeof json, "{\"t\":\"");
  for (const char *run = runs; *run != 0; run++) {
    memset(json + len, *run, count);
    len += count;
  }
  (void)snprintf(json + len, sizeof json - len, "\"}");
  LAB_CHECK_VALUE(d, json);
}

TEST(client_keeps_changes_that_are_longer_than_a_record) {
  lab l;
  init_small(&l);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  lk_topic *d = lab_open_doc(&l, 0, "doc:a");
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  for (int i = 0; i < 3; i++) {
    write_many(&l, d, (char)('a' + i), LONG);
    CHECK_OK(lab_apply(&l, a, "increment", "[1]"));
    if (i < 2) lab_settle(&l);
  }
  CHECK_COVERED(keeping_writes_a_change_in_pieces);
  CHECK_U64(lab_topic_status(d).recorded, 2);
  lab_settle(&l);
  CHECK_U64(lab_topic_status(d).recorded, 3);
  CHECK_U64(lab_status(&l, 0).unsaved_count, 0);
  CHECK_U64(lab_status(&l, 0).storage, LK_OK);
  lab_stop(&l, 0);
  lab_start(&l, 0);
  CHECK_COVERED(keeping_reads_pieces);
  d = lab_open_doc(&l, 0, "doc:a");
  check_text(d, "abc", LONG);
  CHECK_U64(lab_topic_status(d).pending_count, 3);
  l.clients[0].unreachable = false;
  lab_wait(&l, 11000);
  CHECK_U64(lab_status(&l, 0).pending_count, 0);
  lab_start(&l, 1);
  check_text(lab_open_doc(&l, 1, "doc:a"), "abc", LONG);
  LAB_CHECK_VALUE(lab_open(&l, 1, "crdt:a", LK_CRDT_GCOUNTER), "3");
  lab_deinit(&l);
}

/* Its state is longer than a record, and what stood before that is let go of. */
TEST(client_compacts_what_is_longer_than_a_record) {
  lab l;
  init_small(&l);
  lab_start(&l, 0);
  lk_topic *d = lab_open_doc(&l, 0, "doc:a");
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  for (int i = 0; i < 10; i++) {
    write_many(&l, d, (char)('a' + i), LONG / 2);
    lab_settle(&l);
  }
  for (int i = 0; i < 2000; i++) {
    CHECK_OK(lab_apply(&l, a, "increment", "[1]"));
    lab_settle(&l);
  }
  CHECK_COVERED(keeping_writes_a_state_in_pieces);
  CHECK_COVERED(keeping_compacts);
  CHECK(l.clients[0].storage.size_used < 65536);
  CHECK_U64(lab_status(&l, 0).storage, LK_OK);
  CHECK(lab_topic_status(d).is_kept);
  lab_stop(&l, 0);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  check_text(lab_open_doc(&l, 0, "doc:a"), "abcdefghij", LONG / 2);
  LAB_CHECK_VALUE(lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER), "2000");
  lab_deinit(&l);
}

/* One operation of the storage, and what follows from it. */
static void store_one(lab *l) {
  lk_memory_storage_release(&l->clients[0].storage, 1);
  lk_client_stored(lab_get(l, 0), l->now);
  lab_settle(l);
}

static void store_all(lab *l) {
  l->clients[0].storage.hold = false;
  lk_memory_storage_release(&l->clients[0].storage, UINT32_MAX);
  lab_settle(l);
}

/* Makes a client owe a long STATE of "doc:a" that others have a part in, and stops when it has begun to write that. */
static lk_topic *begin_long_state(lab *l) {
  lab_start(l, 0);
  lab_start(l, 1);
  lk_topic *other = lab_open_doc(l, 1, "doc:a");
  write_many(l, other, 'a', LONG);
  lab_settle(l);
  lk_topic *d = lab_open_doc(l, 0, "doc:a"); /* what is news is too long, too */
  l->clients[0].storage.hold = true;
  write_many(l, other, 'b', LONG);
  lab_settle(l);
  lk_keeping *keeping = &lab_get(l, 0)->keeping;
  while (keeping->being_written.writer.off == 0) store_one(l);
  CHECK_U64(keeping->being_written.kind, LK_DIARY_STATE);
  CHECK(keeping->being_written.topic == d);
  return other;
}

/* Goal: what is learned while a STATE is being written is recorded, and is no reason for another STATE. */
TEST(client_records_what_came_while_it_wrote_a_long_state) {
  lab l;
  init_small(&l);
  lk_topic *other = begin_long_state(&l);
  lk_topic *d = lk_client_find_topic(lab_get(&l, 0), LK_LIT("doc:a"));
  lab_write(&l, other, 0, "news ");
  lab_write(&l, d, 0, "ours ");
  lab_settle(&l);
  CHECK_U64(lab_topic_status(d).pending_count, 0);
  lk_keeping *keeping = &lab_get(&l, 0)->keeping;
  CHECK(keeping->being_written.is_behind);
  store_all(&l);
  CHECK_COVERED(keeping_writes_a_difference);
  CHECK(!d->records.owes_state);
  CHECK_U64(lab_status(&l, 0).unsaved_count, 0);
  lk_buf before, after;
  lk_buf_init(&before, test_alloc(), 1 << 20);
  lk_buf_init(&after, test_alloc(), 1 << 20);
  CHECK_OK(lk_topic_value(d, LK_SLICE_EMPTY, &before));
  lab_stop(&l, 0);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  CHECK_OK(lk_topic_value(lab_open_doc(&l, 0, "doc:a"), LK_SLICE_EMPTY, &after));
  CHECK_SLICE(lk_buf_slice(&after), lk_buf_slice(&before));
  lk_buf_deinit(&before);
  lk_buf_deinit(&after);
  lab_deinit(&l);
}

TEST(client_that_starts_anew_writes_nothing_more_of_what_was) {
  lab l;
  init_small(&l);
  l.client_limits.log_segment_bytes = 1 << 24; /* a compaction would hide it */
  (void)begin_long_state(&l);
  l.clients[0].is_deaf = true;
  CHECK_OK(lk_topic_start_anew(lk_client_find_topic(lab_get(&l, 0), LK_LIT("doc:a")), l.now));
  CHECK_COVERED(keeping_gives_up_pieces);
  store_all(&l);
  lab_stop(&l, 0);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  LAB_CHECK_VALUE(lab_open_doc(&l, 0, "doc:a"), "{}");
  lab_deinit(&l);
}

/* A document sends at once, and may have its answer before the last piece of a change is written. */
TEST(client_gives_up_the_pieces_of_what_the_server_has) {
  lab l;
  init_small(&l);
  lab_start(&l, 0);
  lk_topic *d = lab_open_doc(&l, 0, "doc:a");
  lk_keeping *keeping = &lab_get(&l, 0)->keeping;
  l.clients[0].storage.hold = true;
  l.clients[0].is_deaf = true;
  write_many(&l, d, 'a', LONG);
  while (keeping->being_written.writer.off == 0) store_one(&l);
  CHECK_U64(keeping->being_written.number, 1);
  l.clients[0].is_deaf = false;
  lab_wait(&l, 40000); /* its answer got lost: it joins again, and what it has is there */
  CHECK_U64(lab_topic_status(d).pending_count, 0);
  store_all(&l);
  CHECK_COVERED(keeping_gives_up_pieces);
  CHECK_COVERED(keeping_writes_a_state_in_pieces);
  CHECK(keeping->being_written.topic == NULL);
  lab_stop(&l, 0);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  check_text(lab_open_doc(&l, 0, "doc:a"), "a", LONG);
  lab_deinit(&l);
}

/* The same while it is written once more: that record of it stays behind unfinished, and nothing waits for it. */
TEST(client_gives_up_what_it_wrote_again_when_the_server_has_it) {
  lab l;
  init_small(&l);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  lk_topic *d = lab_open_doc(&l, 0, "doc:a");
  lk_topic *a = lab_open(&l, 0, "crdt:a", LK_CRDT_GCOUNTER);
  write_many(&l, d, 'a', LONG);
  lab_settle(&l);
  lk_keeping *keeping = &lab_get(&l, 0)->keeping;
  while (!keeping->is_compacting || d->records.rewrite != LK_TOPIC_REWRITE_CHANGES ||
         keeping->being_written.writer.off == 0) {
    CHECK_OK(lab_apply(&l, a, "increment", "[1]"));
    l.clients[0].storage.hold = true;
    store_one(&l);
  }
  CHECK_U64(keeping->being_written.kind, LK_DIARY_CHANGE);
  l.clients[0].unreachable = false;
  lab_wait(&l, 40000);
  CHECK_U64(lab_topic_status(d).pending_count, 0);
  CHECK(keeping->being_written.topic == NULL);
  CHECK_COVERED(keeping_gives_up_pieces);
  store_all(&l);
  CHECK_U64(lab_status(&l, 0).unsaved_count, 0);
  lab_stop(&l, 0);
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  check_text(lab_open_doc(&l, 0, "doc:a"), "a", LONG);
  lab_deinit(&l);
}

/* ---- power cuts ---- */

/* The write that is under way reaches the medium in part. */
static void tear(lab *l) {
  lk_memory_storage *storage = &l->clients[0].storage;
  if (storage->submitted.first == NULL) return;
  lk_io *io = LK_CONTAINER(storage->submitted.first, lk_io, link);
  if (io->kind != LK_IO_WRITE) return;
  io->from.len /= 2;
  lk_memory_storage_release(storage, 1);
  storage->done = (lk_list){ 0 }; /* nobody hears of it */
}

/* Writes six runs of letters, long and short ones, and dies behind |count| operations of the storage. What was said to be recorded is there,
 * and of what was not, nothing or all. False: it did not take so many. */
static bool die_after(uint32_t count, bool tears) {
  lab l;
  init_small(&l);
  l.client_limits.log_segment_bytes = 8192;
  l.clients[0].unreachable = true;
  lab_start(&l, 0);
  lk_topic *d = lab_open_doc(&l, 0, "doc:a");
  l.clients[0].storage.hold = true;
  uint64_t recorded = 0, wrote = 0;
  while (count > 0 && (wrote < 6 || lab_status(&l, 0).unsaved_count > 0)) {
    if (lab_status(&l, 0).unsaved_count == 0) write_many(&l, d, (char)('a' + wrote++), 500);
    store_one(&l);
    count--;
    recorded = lab_topic_status(d).recorded;
  }
  if (tears) tear(&l);
  lab_crash(&l, 0);
  lab_start(&l, 0);
  CHECK_U64(lab_status(&l, 0).storage, LK_OK);
  d = lab_open_doc(&l, 0, "doc:a");
  uint64_t runs = lk_doc_get_size(lk_topic_doc(d)).units / 500;
  CHECK(runs >= recorded && runs <= wrote);
  char text[8] = "abcdef";
  text[runs] = 0;
  if (runs > 0) check_text(d, text, 500);
  else LAB_CHECK_VALUE(d, "{}");
  CHECK_U64(lab_topic_status(d).pending_count, runs);
  lab_settle(&l);
  /* It goes on from there. */
  write_many(&l, d, 'z', 500);
  lab_settle(&l);
  CHECK_U64(lab_status(&l, 0).unsaved_count, 0);
  text[runs] = 'z';
  text[runs + 1] = 0;
  lab_stop(&l, 0);
  lab_start(&l, 0);
  check_text(lab_open_doc(&l, 0, "doc:a"), text, 500);
  lab_deinit(&l);
  return count == 0;
}

TEST(client_that_dies_between_pieces_has_what_was_recorded) {
  for (uint32_t count = 0; die_after(count, false); count++) continue;
  CHECK_COVERED(keeping_compacts);
  CHECK_COVERED(keeping_reads_pieces);
  CHECK_COVERED(keeping_writes_a_state_in_pieces);
}

TEST(client_that_dies_in_the_middle_of_a_piece_has_what_was_recorded) {
  for (uint32_t count = 0; die_after(count, true); count++) continue;
}

/* ---- faults ---- */

static uint64_t mend(faulty *faults) {
  uint64_t fail_at = faults->fail_at;
  if (fail_at != 0) faults->fail_at = UINT64_MAX;
  return fail_at;
}

/* Two long runs and what another client adds; then everything works again, and nothing may be missing. */
static void write_with_faults(lab *l, faulty *faults) {
  lk_topic *d = NULL;
  char text[4] = "";
  for (int i = 0; i < 2; i++) {
    if (d == NULL &&
        lk_client_open_doc(lab_get(l, 0), LK_LIT("doc:a"), LK_TOPIC_KEPT, l->now, &d) != LK_OK)
      d = NULL;
    if (d != NULL) {
      lk_node node;
      char run[LONG + 1];
      memset(run, 'a' + i, LONG);
      run[LONG] = 0;
      if (lk_doc_root(lk_topic_doc(d), LK_LIT("t"), LK_NODE_TEXT, &node) == LK_OK &&
          lk_doc_text_insert(lk_topic_doc(d), node, strlen(text) * LONG, lk_slice_cstr(run),
                             NULL) == LK_OK)
        text[strlen(text)] = (char)('a' + i);
      lk_topic_changed(d, l->now);
    }
    lab_settle(l);
    if (i == 0) lab_cut(l, 0);
    lab_wait(l, 40000);
  }
  uint64_t fail_at = mend(faults);
  lab_wait(l, 120000);
  CHECK_U64(lab_status(l, 0).pending_count, 0);
  CHECK_U64(lab_status(l, 0).storage, LK_OK);
  CHECK_U64(lab_status(l, 0).unsaved_count, 0);
  lab_stop(l, 0);
  l->client_env = NULL;
  l->clients[0].behind = NULL;
  l->clients[0].unreachable = true;
  lab_start(l, 0);
  d = lab_open_doc(l, 0, "doc:a");
  if (text[0] != 0) check_text(d, text, LONG);
  lab_start(l, 1);
  d = lab_open_doc(l, 1, "doc:a");
  if (text[0] != 0) check_text(d, text, LONG);
  lab_deinit(l);
  faults->fail_at = fail_at;
}

TEST(client_loses_nothing_long_when_memory_fails) {
  FAULT_LOOP(faults, test_alloc()) {
    lab l;
    init_small(&l);
    lk_env env = LK_ENV_INIT(faulty_alloc(&faults), NULL);
    l.client_env = &env;
    if (lab_try_start(&l, 0) != LK_OK) lab_deinit(&l);
    else write_with_faults(&l, &faults);
  }
}

/* Memory fails while the diary is read, and is there when it is read again. */
TEST(client_reads_pieces_when_there_is_memory_again) {
  FAULT_LOOP(faults, test_alloc()) {
    lab l;
    init_small(&l);
    l.clients[0].unreachable = true;
    lab_start(&l, 0);
    write_many(&l, lab_open_doc(&l, 0, "doc:a"), 'a', LONG);
    lab_settle(&l);
    lab_stop(&l, 0);
    lk_env env = LK_ENV_INIT(faulty_alloc(&faults), NULL);
    l.client_env = &env;
    lk_err err = lab_try_start(&l, 0);
    uint64_t fail_at = mend(&faults);
    if (err == LK_OK) {
      lab_wait(&l, 60000);
      CHECK_U64(lab_status(&l, 0).storage, LK_OK);
      check_text(lab_open_doc(&l, 0, "doc:a"), "a", LONG);
      lab_stop(&l, 0);
    }
    l.client_env = NULL;
    faults.fail_at = fail_at;
    lab_deinit(&l);
  }
}

static void store_with_faults(faulty *faults, storage_fault fault, lk_err error) {
  lab l;
  faulty_storage storage;
  init_small(&l);
  faulty_storage_init(&storage, &l.clients[0].storage.table, faults, fault, error, 1);
  l.clients[0].behind = &storage.table;
  lab_start(&l, 0);
  write_with_faults(&l, faults);
}

TEST(client_loses_nothing_long_when_its_storage_fails) {
  FAULT_LOOP(faults, test_alloc()) { store_with_faults(&faults, STORAGE_FAIL, LK_ERR_IO); }
  CHECK_COVERED(keeping_opens_again);
  CHECK_COVERED(keeping_gives_up_pieces);
}

TEST(client_loses_nothing_long_when_its_storage_is_full_at_times) {
  FAULT_LOOP(faults, test_alloc()) { store_with_faults(&faults, STORAGE_TEAR, LK_ERR_NO_SPACE); }
  CHECK_COVERED(keeping_was_refused);
  CHECK_COVERED(keeping_gives_up_pieces);
}
