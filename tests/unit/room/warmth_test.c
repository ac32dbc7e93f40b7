/* What a topic needs only while it is written goes a while after the last record, and comes back with the next. */
#include "harness/faulty.h"
#include "room/scroll.h"
#include "unit/room/house_world.h"

#define IDLE_MS 60000
#define MEMBER (UINT64_C(1) << 32)
#define TOPIC LK_LIT("crdt:e")

static const lk_slice everything[] = { LK_LIT_INIT("crdt:e*") };

typedef house_world world;

static void step(world *w) { lk_house_step(w->house, w->now); }

static void wait(world *w, uint64_t ms) {
  w->now += ms;
  step(w);
}

static void begin(world *w) {
  house_world_open(w);
  house_world_hello(w);
  step(w);
}

static void init(world *w) {
  house_world_init(
      w, &(lk_room_policy){ .ephemeral = everything, .ephemeral_count = 1, .idle_ms = IDLE_MS });
  w->limits.house_ballast_bytes = 50000;
  begin(w);
}

static void let_storages_finish(world *w) {
  while (w->disk.table.poll(&w->disk.table) != NULL) continue;
  while (w->memory.table.poll(&w->memory.table) != NULL) continue;
}

static void deinit(world *w) {
  let_storages_finish(w);
  house_world_deinit(w);
}

static void join(world *w, uint64_t member) {
  house_world_say(w, &(lk_bus_message){ .kind = LK_BUS_JOIN,
                                        .request = ++w->request,
                                        .member = member,
                                        .topic = TOPIC,
                                        .rights = LK_RIGHTS_ADMIN });
  step(w);
}

static void increment(world *w) {
  house_world_say(w, &(lk_bus_message){ .kind = LK_BUS_MESSAGE,
                                        .request = ++w->request,
                                        .member = MEMBER,
                                        .event = LK_LIT("crdt.increment"),
                                        .payload = LK_LIT("{\"payload\":{\"amount\":1}}"),
                                        .rights = LK_RIGHTS_ADMIN });
  step(w);
}

static bool joins_with(world *w, uint64_t member, lk_slice text) {
  forget_said(w->house);
  join(w, member);
  return house_has_said(w->house, text);
}

static void leave(world *w, uint64_t member) {
  house_world_say(w, &(lk_bus_message){ .kind = LK_BUS_LEAVE, .member = member });
  step(w);
}

/* But for the ballast's, of each house that there was. */
static uint32_t open_files(const world *w) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < w->memory.open_cap; i++) count += w->memory.open[i] != NULL;
  return count - (uint32_t)w->generation;
}

TEST(a_topic_that_nobody_writes_has_no_file_open) {
  world w;
  init(&w);
  join(&w, MEMBER);
  increment(&w);
  for (int i = 0; i < 3; i++) {
    CHECK_U64(open_files(&w), 1);
    wait(&w, 1500);
    CHECK_U64(open_files(&w), 1);
    increment(&w); /* as long as it is written it stays */
    wait(&w, 1500);
    CHECK_U64(open_files(&w), 1);
    CHECK_U64(lk_house_deadline(w.house), w.now + 500);
    wait(&w, 500);
    CHECK_U64(open_files(&w), 0);
    CHECK(lk_house_deadline(w.house) > w.now);
    increment(&w);
  }
  CHECK(joins_with(&w, MEMBER + 1, LK_LIT("\"value\":7")));
  deinit(&w);
}

TEST(a_house_that_begins_finds_what_was_written_before_and_behind_a_pause) {
  world w;
  init(&w);
  join(&w, MEMBER);
  increment(&w);
  wait(&w, 2000);
  increment(&w);
  wait(&w, 2000);
  let_storages_finish(&w);
  lk_house_close(w.house);
  begin(&w);
  CHECK(joins_with(&w, MEMBER + 1, LK_LIT("\"value\":2")));
  deinit(&w);
}

/* Goal: an idle topic is erased whether it was written a moment or long ago. Where there is no memory for that, it is tried again. */
TEST(a_topic_that_nobody_wrote_for_long_is_erased_when_it_is_idle) {
  FAULT_LOOP(faults, test_alloc()) {
    world w;
    uint64_t fail_at = faults.fail_at;
    faults.fail_at = 0;
    init(&w);
    let_storages_finish(&w);
    lk_house_close(w.house);
    w.env = (lk_env)LK_ENV_INIT(faulty_alloc(&faults), NULL);
    begin(&w);
    join(&w, MEMBER);
    increment(&w);
    leave(&w, MEMBER);
    wait(&w, 2000);
    CHECK_U64(open_files(&w), 0);
    faults.seen = 0;
    faults.fail_at = fail_at;
    wait(&w, IDLE_MS);
    faults.fail_at = 0;
    wait(&w, IDLE_MS);
    wait(&w, IDLE_MS); /* it may have been opened once more for that */
    CHECK_U64(lk_house_get_stats(w.house).rooms, 0);
    CHECK_U64(open_files(&w), 0);
    CHECK(joins_with(&w, MEMBER + 1, LK_LIT("\"value\":0")));
    deinit(&w);
    faults.fail_at = fail_at;
  }
  CHECK_COVERED(house_has_no_memory_to_put_away);
}

/* Method: the storage holds what it is asked, so that a record comes while the file is being closed. */
TEST(a_record_that_comes_while_the_file_is_closed_is_kept) {
  world w;
  init(&w);
  join(&w, MEMBER);
  increment(&w);
  w.memory.hold = true;
  wait(&w, 2000);
  forget_said(w.house);
  increment(&w);
  CHECK(!house_has_said(w.house, LK_LIT("\"status\"")));
  w.memory.hold = false;
  lk_memory_storage_release(&w.memory, 100);
  for (int i = 0; i < 3; i++) step(&w);
  CHECK(joins_with(&w, MEMBER + 1, LK_LIT("\"value\":2")));
  let_storages_finish(&w);
  lk_house_close(w.house);
  begin(&w);
  CHECK(joins_with(&w, MEMBER + 1, LK_LIT("\"value\":2")));
  deinit(&w);
}

/* ---- the scroll alone ---- */

static lk_scroll_event finish(lk_scroll *s, lk_memory_storage *storage) {
  lk_scroll_event event = LK_SCROLL_BUSY;
  while (event == LK_SCROLL_BUSY && storage->table.poll(&storage->table) != NULL)
    event = lk_scroll_advance(s);
  return event;
}

static void begin_scroll(lk_scroll *s, lk_memory_storage *storage) {
  lk_scroll_init(s, test_alloc(), &storage->table, LK_LIT("topic"), 100, 1000, NULL);
}

TEST(a_scroll_goes_on_where_it_ended) {
  lk_memory_storage storage;
  lk_scroll s;
  lk_slice rest, bytes;
  uint64_t index, end, count = 0;
  lk_memory_storage_init(&storage, test_alloc(), 1000);
  begin_scroll(&s, &storage);
  CHECK_OK(lk_scroll_append(&s, 1, LK_LIT("one")));
  CHECK(finish(&s, &storage) == LK_SCROLL_APPENDED);
  CHECK(lk_scroll_close(&s));
  CHECK_OK(lk_scroll_append(&s, 2, LK_LIT("two"))); /* while it is closed */
  CHECK(finish(&s, &storage) == LK_SCROLL_CLOSED && lk_scroll_is_busy(&s));
  CHECK(finish(&s, &storage) == LK_SCROLL_APPENDED && s.result == LK_OK);
  CHECK(lk_scroll_close(&s) && finish(&s, &storage) == LK_SCROLL_CLOSED);
  end = s.end;
  lk_scroll_deinit(&s);
  begin_scroll(&s, &storage);
  lk_scroll_resume(&s, end);
  CHECK_OK(lk_scroll_append(&s, 3, LK_LIT("three")));
  CHECK(finish(&s, &storage) == LK_SCROLL_APPENDED && s.result == LK_OK);
  CHECK(lk_scroll_close(&s) && finish(&s, &storage) == LK_SCROLL_CLOSED);
  lk_scroll_load(&s);
  CHECK(finish(&s, &storage) == LK_SCROLL_LOADED && s.result == LK_OK);
  for (rest = lk_scroll_records(&s); lk_scroll_next(&rest, &index, &bytes);) CHECK_U64(index, ++count);
  CHECK_U64(count, 3);
  CHECK_U64(lk_scroll_bytes_before(LK_LIT("topic"), s.end), 3 * 12 + 11);
  CHECK(lk_scroll_close(&s) && finish(&s, &storage) == LK_SCROLL_CLOSED);
  CHECK(lk_scroll_condemn(&s)); /* the file is closed */
  CHECK(finish(&s, &storage) == LK_SCROLL_CONDEMNED && s.result == LK_OK);
  CHECK(lk_scroll_close(&s) && finish(&s, &storage) == LK_SCROLL_CLOSED);
  lk_scroll_load(&s);
  CHECK(finish(&s, &storage) == LK_SCROLL_LOADED && s.is_condemned);
  lk_scroll_deinit(&s);
  lk_memory_storage_deinit(&storage);
}

TEST(a_scroll_whose_file_is_gone_is_not_begun_in_its_middle) {
  lk_memory_storage storage;
  lk_scroll s;
  lk_memory_storage_init(&storage, test_alloc(), 1000);
  begin_scroll(&s, &storage);
  lk_scroll_resume(&s, 50);
  CHECK_OK(lk_scroll_append(&s, 3, LK_LIT("three")));
  CHECK(finish(&s, &storage) == LK_SCROLL_APPENDED && s.result == LK_ERR_NOT_FOUND);
  CHECK(lk_scroll_condemn(&s));
  CHECK(finish(&s, &storage) == LK_SCROLL_CONDEMNED && s.result == LK_ERR_NOT_FOUND);
  CHECK_U64(lk_map_count(&storage.names), 0);
  lk_scroll_deinit(&s);
  lk_memory_storage_deinit(&storage);
}

/* Method: the completion is changed. The storage may have cut or not, so nothing is written behind what may be a gap. */
TEST(a_record_that_waits_for_a_cut_goes_with_it_where_that_fails) {
  lk_memory_storage storage;
  lk_scroll s;
  lk_memory_storage_init(&storage, test_alloc(), 1000);
  begin_scroll(&s, &storage);
  CHECK_OK(lk_scroll_append(&s, 1, LK_LIT("one")));
  CHECK(finish(&s, &storage) == LK_SCROLL_APPENDED);
  lk_scroll_cut(&s);
  CHECK_OK(lk_scroll_append(&s, 2, LK_LIT("two")));
  CHECK(storage.table.poll(&storage.table) == &s.io);
  s.io.result = LK_ERR_IO;
  CHECK(lk_scroll_advance(&s) == LK_SCROLL_CUT && s.result == LK_ERR_IO);
  CHECK(!lk_scroll_is_busy(&s));
  CHECK(lk_scroll_close(&s) && finish(&s, &storage) == LK_SCROLL_CLOSED);
  CHECK(!lk_scroll_is_busy(&s)); /* it has been forgotten */
  lk_scroll_deinit(&s);
  lk_memory_storage_deinit(&storage);
}

/* ---- a storage that does not cut ---- */

static lk_io *(*poll_before)(lk_storage *);
static void (*submit_before)(lk_storage *, lk_io *);

static void hold_cuts(lk_storage *self, lk_io *io) {
  lk_memory_storage *storage = LK_CONTAINER(self, lk_memory_storage, table);
  if (io->kind == LK_IO_TRUNCATE && io->user != NULL) storage->hold = true;
  submit_before(self, io);
}

static lk_io *fail_cuts(lk_storage *self) {
  lk_io *io = poll_before(self);
  if (io != NULL && io->kind == LK_IO_TRUNCATE) io->result = LK_ERR_IO;
  return io;
}

/* Goal: a topic whose records could not be cut, while the next one waited for that, is there again for who comes. */
TEST(a_topic_whose_records_cannot_be_cut_is_opened_again) {
  world w;
  init(&w);
  w.limits.room_tail_bytes = 1;
  submit_before = w.memory.table.submit;
  poll_before = w.memory.table.poll;
  w.memory.table.submit = hold_cuts;
  w.memory.table.poll = fail_cuts;
  join(&w, MEMBER);
  for (int i = 0; i < 100 && !w.memory.hold; i++) increment(&w);
  CHECK(w.memory.hold);
  increment(&w);
  w.memory.hold = false;
  w.memory.table.submit = submit_before;
  lk_memory_storage_release(&w.memory, 100);
  for (int i = 0; i < 3; i++) step(&w);
  w.memory.table.poll = poll_before;
  CHECK(joins_with(&w, MEMBER + 1, LK_LIT("\"value\":")));
  let_storages_finish(&w);
  CHECK(lk_house_is_idle(w.house));
  deinit(&w);
}

static lk_io *fail_writes(lk_storage *self) {
  lk_io *io = poll_before(self);
  if (io != NULL && io->kind == LK_IO_WRITE) io->result = LK_ERR_IO;
  return io;
}

/* Goal: a topic to which nobody comes back is erased in time, also where its room was dropped. */
TEST(a_topic_whose_room_was_dropped_is_erased_when_nobody_comes_back) {
  world w;
  init(&w);
  join(&w, MEMBER);
  increment(&w);
  poll_before = w.memory.table.poll;
  w.memory.table.poll = fail_writes;
  increment(&w);
  w.memory.table.poll = poll_before;
  CHECK_U64(lk_house_get_stats(w.house).rooms, 0);
  CHECK_U64(lk_map_count(&w.memory.names), 2); /* the ballast, and its records */
  CHECK_U64(lk_house_deadline(w.house), w.now + 30000);
  wait(&w, 30000);
  step(&w);
  CHECK_U64(lk_house_get_stats(w.house).rooms, 1);
  CHECK(joins_with(&w, MEMBER + 1, LK_LIT("\"value\":")));
  leave(&w, MEMBER + 1);
  wait(&w, IDLE_MS);
  CHECK_U64(lk_house_get_stats(w.house).rooms, 0);
  CHECK_U64(lk_map_count(&w.memory.names), 1);
  CHECK(lk_house_deadline(w.house) > w.now);
  deinit(&w);
}
