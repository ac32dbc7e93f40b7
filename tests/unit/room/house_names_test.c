/* Which topics a house knows of: those that were put away, too, and after a restart. */
#include "channel/bus.h"
#include "codec/crc32c.h"
#include "codec/varint.h"
#include "harness/faulty.h"
#include "harness/test.h"
#include "log/slot.h"
#include "platform/memory/storage.h"
#include "room/house.h"
#include "room/keeper.h"
#include "room/kept.h"

#define IDLE_MS 1000u
#define MEMBER (UINT64_C(1) << 32)

/* A storage that is late with what was peeked at, as the rules of storages allow, or cannot read it. */
typedef struct late_storage {
  lk_storage table;
  lk_storage *inner;
  lk_list late;
  bool is_late;
  uint8_t unreadable; /* of what names the last letter is that; 0: none */
  uint32_t walks;
} late_storage;

static void late_submit(lk_storage *table, lk_io *io) {
  late_storage *self = LK_CONTAINER(table, late_storage, table);
  self->walks += io->kind == LK_IO_WALK && io->name.len == 0;
  self->inner->submit(self->inner, io);
}

static lk_io *late_poll(lk_storage *table) {
  late_storage *self = LK_CONTAINER(table, late_storage, table);
  lk_io *io;
  while ((io = self->inner->poll(self->inner)) != NULL) {
    if (io->kind == LK_IO_PEEK && io->name.ptr[io->name.len - 1] == self->unreadable)
      io->result = LK_ERR_IO;
    if (!self->is_late || io->kind != LK_IO_PEEK) return io;
    lk_list_push_last(&self->late, &io->link);
  }
  if (self->is_late || self->late.first == NULL) return NULL;
  return LK_CONTAINER(lk_list_pop_first(&self->late), lk_io, link);
}

typedef struct world {
  lk_env env;
  lk_limits limits;
  lk_room_policy policy;
  lk_memory_storage disk;
  late_storage late;
  lk_house *house;
  uint64_t generation;
  uint64_t request;
  uint64_t now;
  uint32_t index, houses_count;
} world;

static void say(world *w, const lk_bus_message *m) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 10000);
  CHECK_OK(lk_bus_encode(m, 10000, &out));
  lk_house_feed(w->house, 0, lk_buf_slice(&out), true, w->now);
  lk_buf_deinit(&out);
}

static void step(world *w) { lk_house_step(w->house, w->now); }

static void begin(world *w) {
  w->generation++;
  w->request = 0;
  CHECK_OK(lk_house_open(&(lk_house_options){ .env = &w->env,
                                              .limits = &w->limits,
                                              .storage = &w->late.table,
                                              .policy = &w->policy,
                                              .entropy = w->generation,
                                              .generation = w->generation,
                                              .edges_count = 1,
                                              .index = w->index,
                                              .houses_count = w->houses_count },
                         &w->house));
  say(w, &(lk_bus_message){
             .kind = LK_BUS_HELLO, .generation = w->generation, .answers = w->generation });
}

static void init(world *w) {
  *w = (world){ .env = LK_ENV_INIT(test_alloc(), NULL),
                .limits = lk_limits_default(),
                .policy = { .idle_ms = IDLE_MS } };
  w->limits.log_reserve_bytes = 10000;
  lk_memory_storage_init(&w->disk, test_alloc(), 1 << 26);
  w->late = (late_storage){ .table = { sizeof(lk_storage), late_submit, late_poll },
                            .inner = &w->disk.table };
  begin(w);
  step(w);
}

static void end(world *w) {
  lk_house_end(w->house);
  step(w);
  CHECK(lk_house_is_idle(w->house));
  lk_house_close(w->house);
}

static void deinit(world *w) {
  end(w);
  lk_memory_storage_deinit(&w->disk);
}

static bool has_said(const world *w, lk_slice text) {
  return lk_slice_find(lk_house_output(w->house, 0), text) != LK_SLICE_NONE;
}

static void query(world *w, lk_slice topic, lk_slice event, lk_slice payload) {
  lk_house_consume(w->house, 0, lk_house_output(w->house, 0).len);
  say(w, &(lk_bus_message){ .kind = LK_BUS_QUERY,
                            .request = ++w->request,
                            .topic = topic,
                            .event = event,
                            .payload = payload,
                            .rights = LK_RIGHTS_ADMIN });
}

static void increment(world *w, lk_slice topic) {
  query(w, topic, LK_LIT("crdt.increment"), LK_LIT("{\"payload\":{\"amount\":1}}"));
  step(w);
}

static void put_all_away(world *w) {
  for (int i = 0; i < 3; i++) {
    w->now += IDLE_MS + 1;
    step(w);
  }
  CHECK_U64(lk_house_get_stats(w->house).rooms, 0);
}

static void list(world *w, lk_slice payload) {
  query(w, LK_SLICE_EMPTY, LK_LIT("topics"), payload);
}

/* The answer has these topics, by their last letters in order, and none of them is open. */
static void check_list(world *w, const char *payload, const char *letters, bool more,
                       bool complete) {
  char got[32];
  size_t count = 0, at;
  list(w, lk_slice_cstr(payload));
  lk_slice rest = lk_house_output(w->house, 0);
  while ((at = lk_slice_find(rest, LK_LIT("\"topic\":\"crdt:"))) != LK_SLICE_NONE) {
    rest = lk_slice_skip(rest, at + 14);
    got[count++] = (char)rest.ptr[0];
    CHECK(lk_slice_starts_with(lk_slice_skip(rest, 1),
                               LK_LIT("\",\"members\":0,\"level\":\"durable\",\"open\":false")));
  }
  CHECK_SLICE(lk_slice_of((const uint8_t *)got, count), lk_slice_cstr(letters));
  CHECK(has_said(w, more ? LK_LIT("],\"more\":true,") : LK_LIT("],\"more\":false,")));
  CHECK(has_said(w, complete ? LK_LIT("\"complete\":true}") : LK_LIT("\"complete\":false}")));
}

static lk_slice topic_of(char letter, uint8_t bytes[6]) {
  memcpy(bytes, "crdt:", 5);
  bytes[5] = (uint8_t)letter;
  return lk_slice_of(bytes, 6);
}

static void make(world *w, const char *letters) {
  uint8_t bytes[6];
  for (; *letters != 0; letters++) increment(w, topic_of(*letters, bytes));
}

TEST(topics_that_were_put_away_are_listed) {
  world w;
  init(&w);
  make(&w, "cab");
  put_all_away(&w);
  check_list(&w, "{}", "abc", false, true);
  CHECK(!has_said(&w, LK_LIT("\"bytes\"")));
  check_list(&w, "{\"limit\":2}", "ab", true, true);
  check_list(&w, "{\"after\":\"crdt:b\"}", "c", false, true);
  check_list(&w, "{\"prefix\":\"crdt:b\",\"limit\":1}", "b", false, true);
  check_list(&w, "{\"prefix\":\"crdt:\",\"after\":\"crdt:a\",\"limit\":1}", "b", true, true);
  check_list(&w, "{\"prefix\":\"doc:\"}", "", false, true);
  /* How much is kept of one is known when it was asked about. */
  query(&w, LK_LIT("crdt:a"), LK_LIT("crdt.get"), LK_LIT("{}"));
  step(&w);
  list(&w, LK_LIT("{\"limit\":1}"));
  CHECK(has_said(&w, LK_LIT("\"open\":true,\"bytes\":")));
  CHECK(!has_said(&w, LK_LIT("\"bytes\":0")));
  deinit(&w);
}

/* Goal: a house knows the topics of the one before, however that ended, and says so when it does. */
TEST(a_new_house_lists_the_topics_of_the_one_before) {
  for (int dies = 0; dies < 2; dies++) {
    world w;
    init(&w);
    make(&w, "ab");
    put_all_away(&w);
    make(&w, "bcd"); /* b has two snapshots, c and d are in the journal alone */
    if (!dies) put_all_away(&w);
    if (dies) lk_house_close(w.house);
    else end(&w);
    w.disk.hold = true;
    begin(&w);
    for (int i = 0; i < 40; i++) {
      list(&w, LK_LIT("{}"));
      if (has_said(&w, LK_LIT("\"complete\":true"))) break;
      lk_memory_storage_release(&w.disk, 1);
      step(&w);
    }
    w.disk.hold = false;
    step(&w);
    list(&w, LK_LIT("{}"));
    for (char letter = 'a'; letter <= 'd'; letter++) {
      uint8_t bytes[6];
      CHECK(has_said(&w, topic_of(letter, bytes)));
    }
    CHECK(has_said(&w, LK_LIT("\"more\":false,\"complete\":true}")));
    CHECK_U64(lk_house_get_stats(w.house).rooms, 0);
    deinit(&w);
  }
}

/* Another house would not have their records in its journal: so they are found by their slots alone. */
TEST(a_list_that_is_not_complete_says_so) {
  world w;
  init(&w);
  make(&w, "abcdefghijklmnopqrstuvwxyz");
  put_all_away(&w);
  end(&w);
  w.disk.hold = true;
  w.index = 7;
  begin(&w);
  check_list(&w, "{}", "", false, false);
  for (int i = 0; i < 60 && !has_said(&w, LK_LIT("crdt:")); i++) {
    lk_memory_storage_release(&w.disk, 1);
    step(&w);
    list(&w, LK_LIT("{}"));
  }
  CHECK(has_said(&w, LK_LIT("\"complete\":false}")));
  w.disk.hold = false;
  step(&w);
  check_list(&w, "{}", "abcdefghijklmnopqrstuvwxyz", false, true);
  deinit(&w);
}

TEST(a_deleted_topic_is_listed_no_more) {
  world w;
  init(&w);
  make(&w, "ab");
  put_all_away(&w);
  query(&w, LK_LIT("crdt:a"), LK_LIT("delete"), LK_LIT("{}"));
  step(&w);
  check_list(&w, "{}", "b", false, true);
  end(&w);
  begin(&w);
  step(&w);
  check_list(&w, "{}", "b", false, true);
  deinit(&w);
}

/* Goal: what the scan read before a deletion was done is not believed after it. */
TEST(a_topic_that_is_deleted_while_names_are_looked_for_does_not_come_back) {
  world w;
  init(&w);
  make(&w, "ab");
  put_all_away(&w);
  end(&w);
  w.late.is_late = true;
  begin(&w);
  step(&w);
  query(&w, LK_LIT("crdt:a"), LK_LIT("delete"), LK_LIT("{}"));
  step(&w);
  CHECK_U64(lk_house_get_stats(w.house).erased, 1);
  check_list(&w, "{}", "b", false, false);
  w.late.is_late = false;
  step(&w);
  check_list(&w, "{}", "b", false, true);
  deinit(&w);
}

/* What was asked about, and has nothing, is gone with its room. */
TEST(a_topic_that_holds_nothing_leaves_the_list_with_its_room) {
  world w;
  init(&w);
  query(&w, LK_LIT("crdt:a"), LK_LIT("crdt.get"), LK_LIT("{}"));
  step(&w);
  put_all_away(&w);
  check_list(&w, "{}", "", false, true);
  deinit(&w);
}

/* Goal: strangers who ask about this and that do not fill the index. */
TEST(names_of_topics_that_hold_nothing_take_no_space_for_long) {
  world w;
  init(&w);
  w.limits.house_names_bytes = 1500;
  end(&w);
  begin(&w);
  step(&w);
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < 26; i++) {
      const uint8_t topic[8] = {
        'c', 'r', 'd', 't', ':', (uint8_t)('a' + i), '-', (uint8_t)('0' + round)
      };
      query(&w, lk_slice_of(topic, 8), LK_LIT("crdt.get"), LK_LIT("{}"));
      step(&w);
    }
    put_all_away(&w);
  }
  check_list(&w, "{}", "", false, true);
  deinit(&w);
}

TEST(houses_that_share_a_storage_list_their_own_topics) {
  world w;
  uint32_t seen = 0;
  init(&w);
  end(&w);
  w.index = 7; /* whose journal they do not read */
  begin(&w);
  make(&w, "abcdef");
  put_all_away(&w);
  end(&w);
  w.houses_count = 2;
  for (w.index = 0; w.index < 2; w.index++) {
    begin(&w);
    step(&w);
    list(&w, LK_LIT("{}"));
    for (char letter = 'a'; letter <= 'f'; letter++) {
      uint8_t bytes[6];
      lk_slice topic = topic_of(letter, bytes);
      CHECK(has_said(&w, topic) == (lk_crc32c(topic) % 2 == w.index));
      seen += has_said(&w, topic);
    }
    if (w.index == 0) end(&w);
  }
  CHECK_U64(seen, 6);
  deinit(&w);
}

TEST(a_house_without_space_for_names_says_that_it_lacks_some) {
  world w;
  init(&w);
  w.limits.house_names_bytes = 1;
  end(&w);
  begin(&w);
  step(&w);
  make(&w, "a");
  check_list(&w, "{}", "", false, false);
  deinit(&w);
}

/* Files that are called like slots and are none, and slots that lie under another topic's name. */
TEST(what_lies_in_a_storage_and_is_no_slot_of_ours_is_not_listed) {
  static const char *const contents[] = { "", "LKSL",
                                          "something else that is long enough for a head" };
  world w;
  init(&w);
  make(&w, "ab");
  put_all_away(&w);
  uint8_t name[66], head[300];
  memset(name, '0', sizeof name);
  name[64] = '.';
  for (size_t i = 0; i < 4; i++) {
    name[0] = (uint8_t)('0' + i);
    lk_io io = { .kind = LK_IO_PEEK, .into = head, .into_len = sizeof head };
    lk_io walk = { .kind = LK_IO_WALK, .into = head, .into_len = sizeof head };
    lk_slice bytes = LK_SLICE_EMPTY;
    if (i < 3) {
      bytes = lk_slice_cstr(contents[i]);
    } else { /* the slot of somebody, copied */
      w.disk.table.submit(&w.disk.table, &walk);
      CHECK(w.disk.table.poll(&w.disk.table) == &walk);
      lk_slice left = lk_slice_of(head, walk.done), rest;
      uint8_t found[66];
      for (; left.len > 0; left = rest) {
        lk_slice one = lk_slice_cut(left, '\n', &rest);
        if (one.len == 66 && one.ptr[1] != '0') memcpy(found, one.ptr, 66);
      }
      io.name = lk_slice_of(found, 66);
      w.disk.table.submit(&w.disk.table, &io);
      CHECK(w.disk.table.poll(&w.disk.table) == &io);
      CHECK_OK(io.result);
      bytes = lk_slice_of(head, io.done);
    }
    lk_io open = { .kind = LK_IO_OPEN, .create = true, .name = lk_slice_of(name, 66) };
    w.disk.table.submit(&w.disk.table, &open);
    CHECK(w.disk.table.poll(&w.disk.table) == &open);
    lk_io write = { .kind = LK_IO_WRITE, .file = open.file, .from = bytes };
    w.disk.table.submit(&w.disk.table, &write);
    CHECK(w.disk.table.poll(&w.disk.table) == &write);
  }
  query(&w, LK_LIT("crdt:a"), LK_LIT("delete"), LK_LIT("{}"));
  query(&w, LK_LIT("crdt:b"), LK_LIT("delete"), LK_LIT("{}"));
  step(&w);
  end(&w);
  w.index = 7; /* whose journal knows nothing of all this */
  begin(&w);
  step(&w);
  check_list(&w, "{}", "", false, true);
  deinit(&w);
}

/* Looks for all names once more, if it is time. */
static void list_anew(world *w) {
  list(w, LK_LIT("{}"));
  step(w);
}

/* Goal: what could not be read makes lists incomplete until it can be, and is not tried all the time.
 * Method: of each topic the first slot, and then both, give an error. */
TEST(files_that_cannot_be_read_make_a_list_incomplete_until_they_can_be) {
  world w;
  init(&w);
  make(&w, "ab");
  put_all_away(&w);
  make(&w, "ab"); /* into their other slots */
  put_all_away(&w);
  make(&w, "c");
  put_all_away(&w);
  end(&w);
  w.index = 7; /* without what the journal knows */
  w.late.unreadable = '0';
  begin(&w);
  step(&w);
  check_list(&w, "{}", "abc", false, true); /* each has a slot that says whose it is */
  end(&w);
  w.late.unreadable = '1';
  begin(&w);
  step(&w);
  check_list(&w, "{}", "ab", false, false); /* that of c was the second one */
  w.late.unreadable = 0;
  w.late.walks = 0;
  for (int i = 0; i < 59; i++) {
    w.now += 1000;
    list_anew(&w);
  }
  CHECK_U64(w.late.walks, 0);
  check_list(&w, "{}", "ab", false, false);
  w.now += 1000;
  list_anew(&w);
  CHECK_U64(w.late.walks, 1);
  check_list(&w, "{}", "abc", false, true);
  w.now += 1000000;
  list_anew(&w);
  CHECK_U64(w.late.walks, 1); /* it knows all */
  deinit(&w);
}

static lk_io do_io(world *w, lk_io io) {
  w->disk.table.submit(&w->disk.table, &io);
  CHECK(w->disk.table.poll(&w->disk.table) == &io);
  CHECK_OK(io.result);
  return io;
}

/* The snapshot in |slot| of |topic| becomes one of version 2, which had all but the topic. */
static void make_old(world *w, lk_slice topic, unsigned slot) {
  static uint8_t bytes[10000];
  uint8_t name[LK_KEEPER_NAME_LEN];
  uint64_t number, index;
  lk_slice body, said, rest;
  lk_buf old, out;
  lk_keeper_name(topic, slot, name);
  lk_io peek = do_io(w, (lk_io){ .kind = LK_IO_PEEK,
                                 .name = lk_slice_of(name, sizeof name),
                                 .into = bytes,
                                 .into_len = sizeof bytes });
  CHECK_OK(lk_slot_decode(lk_slice_of(bytes, peek.done), &number, &body));
  CHECK_OK(lk_kept_decode_snapshot(body, &index, &said, &rest));
  CHECK_SLICE(said, topic);
  lk_buf_init(&old, test_alloc(), sizeof bytes);
  lk_buf_init(&out, test_alloc(), sizeof bytes);
  CHECK_OK(lk_buf_append_u8(&old, 2));
  CHECK_OK(lk_varuint_encode(&old, index));
  CHECK_OK(lk_buf_append(&old, rest));
  CHECK_OK(lk_slot_encode(number, lk_buf_slice(&old), &out));
  lk_io open = do_io(w, (lk_io){ .kind = LK_IO_OPEN, .name = lk_slice_of(name, sizeof name) });
  (void)do_io(w, (lk_io){ .kind = LK_IO_WRITE, .file = open.file, .from = lk_buf_slice(&out) });
  (void)do_io(w, (lk_io){ .kind = LK_IO_CLOSE, .file = open.file });
  lk_buf_deinit(&old);
  lk_buf_deinit(&out);
}

TEST(snapshots_that_do_not_say_whose_they_are_make_a_list_incomplete_until_others_do) {
  uint8_t bytes[6];
  world w;
  init(&w);
  make(&w, "ab");
  put_all_away(&w);
  end(&w);
  make_old(&w, topic_of('a', bytes), 1);
  begin(&w);
  step(&w);
  check_list(&w, "{}", "ab", false, false); /* the journal knows it; but there may be others */
  query(&w, topic_of('a', bytes), LK_LIT("crdt.get"), LK_LIT("{}"));
  step(&w);
  CHECK(has_said(&w, LK_LIT("\"value\":1"))); /* it is read as before */
  put_all_away(&w);
  make(&w, "a");
  put_all_away(&w);
  w.now += 60000;
  list_anew(&w);
  check_list(&w, "{}", "ab", false, true);
  deinit(&w);
}

/* Goal: a name that found no space is there when others have gone, whether its topic is open or not. */
TEST(names_without_space_are_found_again_when_there_is_some) {
  for (int is_open = 0; is_open < 2; is_open++) {
    world w;
    uint8_t topic[160];
    memset(topic, 'x', sizeof topic);
    memcpy(topic, "crdt:", 5);
    init(&w);
    end(&w);
    if (is_open) w.policy.idle_ms = 1000000;
    w.limits.house_names_bytes = 1500; /* one block: seven of these names, not eight */
    begin(&w);
    step(&w);
    for (int i = 0; i < 8; i++) {
      topic[20] = (uint8_t)('a' + i);
      increment(&w, lk_slice_of(topic, sizeof topic));
    }
    if (!is_open) put_all_away(&w);
    list_anew(&w);
    CHECK(has_said(&w, LK_LIT("\"complete\":false}")));
    topic[20] = 'a';
    query(&w, lk_slice_of(topic, sizeof topic), LK_LIT("delete"), LK_LIT("{}"));
    step(&w);
    w.now = 59999; /* names were looked for at 0 */
    list_anew(&w);
    list_anew(&w);
    CHECK(has_said(&w, LK_LIT("\"complete\":false}")));
    w.now = 60000;
    list_anew(&w);
    list_anew(&w);
    CHECK(has_said(&w, LK_LIT("\"complete\":true}")));
    topic[20] = 'h';
    CHECK(has_said(&w, lk_slice_of(topic, sizeof topic)));
    deinit(&w);
  }
}
