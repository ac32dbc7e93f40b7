#include "sim/disk.h"

#include "harness/test.h"
#include "unit/platform/storage_rules.h"

typedef struct bench {
  sim_options options;
  sim_world world;
  sim_disk disk;
} bench;

static void begin(bench *b, uint64_t seed) {
  *b = (bench){ .options = { .seed = seed,
                             .disk_low_us = 1,
                             .disk_high_us = 1000,
                             .sync_low_us = 10,
                             .sync_high_us = 5000 } };
  sim_world_init(&b->world, test_alloc(), &b->options, NULL);
  sim_disk_init(&b->disk, &b->world, 0);
}

static void end(bench *b) {
  sim_disk_deinit(&b->disk);
  sim_disk_deinit(&b->disk);
  CHECK(!b->world.failed);
  sim_world_deinit(&b->world);
}

static void wait_for_event(void *ctx) { (void)sim_world_step(ctx); }

#define RUN(b, ...)                                                                                \
  storage_run(&(b)->disk.table, wait_for_event, &(b)->world, &(lk_io){ __VA_ARGS__ })

static lk_file open_file(bench *b, lk_slice name) {
  lk_io io = { .kind = LK_IO_OPEN, .name = name, .create = true };
  CHECK_OK(storage_run(&b->disk.table, wait_for_event, &b->world, &io));
  return io.file;
}

static void write_at(bench *b, lk_file file, uint64_t off, lk_slice bytes) {
  CHECK_OK(RUN(b, .kind = LK_IO_WRITE, .file = file, .off = off, .from = bytes));
}

/* Whether |name| holds |want| as |view| sees it. */
static bool holds(bench *b, lk_slice name, sim_view view, lk_slice want) {
  lk_buf got;
  lk_buf_init(&got, test_alloc(), 1 << 20);
  lk_err err = sim_disk_look(&b->disk, name, view, &got);
  bool same = err == LK_OK && lk_slice_equal(lk_buf_slice(&got), want);
  lk_buf_deinit(&got);
  return same;
}

static bool exists(bench *b, lk_slice name) {
  uint32_t cursor = 0;
  uint64_t synced;
  lk_slice found;
  while (sim_disk_next(&b->disk, &cursor, &found, &synced)) {
    if (lk_slice_equal(found, name)) return true;
  }
  return false;
}

TEST(simulated_disk_keeps_the_rules_of_every_storage) {
  for (uint64_t seed = 1; seed <= 20; seed++) {
    bench b;
    begin(&b, seed);
    storage_check_rules(&b.disk.table, wait_for_event, &b.world);
    end(&b);
  }
}

TEST(operations_of_different_files_overtake_each_other) {
  bool overtaken = false;
  for (uint64_t seed = 1; seed <= 20 && !overtaken; seed++) {
    bench b;
    begin(&b, seed);
    lk_file one = open_file(&b, LK_LIT("one")), two = open_file(&b, LK_LIT("two"));
    lk_io first = { .kind = LK_IO_SYNC, .file = one }, second = { .kind = LK_IO_SIZE, .file = two };
    b.disk.table.submit(&b.disk.table, &first);
    b.disk.table.submit(&b.disk.table, &second);
    sim_world_run(&b.world, b.world.now_us + 10000);
    overtaken = b.disk.table.poll(&b.disk.table) == &second;
    end(&b);
  }
  CHECK(overtaken);
}

/* Goal: whatever moment the power goes, what a completed sync covers is there, and the rest is old,
 * new or torn, but never something else.
 * Method: write, sync, overwrite in place and append, sync; cut after each number of events. */
TEST(power_cut_at_any_moment_spares_what_was_synced) {
  for (uint64_t seed = 1; seed <= 40; seed++) {
    for (uint32_t steps = 0; steps <= 9; steps++) {
      bench b;
      begin(&b, seed);
      lk_file f = open_file(&b, LK_LIT("f"));
      lk_io ios[] = {
        { .kind = LK_IO_WRITE, .file = f, .from = LK_LIT("aaaa") },
        { .kind = LK_IO_SYNC, .file = f },
        { .kind = LK_IO_WRITE, .file = f, .off = 2, .from = LK_LIT("bbbb") },
        { .kind = LK_IO_SYNC, .file = f },
      };
      lk_buf got;
      for (size_t i = 0; i < 4; i++) b.disk.table.submit(&b.disk.table, &ios[i]);
      for (uint32_t i = 0; i < steps; i++) (void)sim_world_step(&b.world);
      uint32_t done = 0;
      while (b.disk.table.poll(&b.disk.table) != NULL) done++;
      sim_disk_cut(&b.disk);
      lk_buf_init(&got, test_alloc(), 100);
      lk_err err = sim_disk_look(&b.disk, LK_LIT("f"), SIM_VIEW_MEDIUM, &got);
      CHECK(err == LK_OK || (err == LK_ERR_NOT_FOUND && done < 2));
      CHECK(got.len <= 6);
      if (done >= 2) CHECK(got.len >= 4 && got.ptr[0] == 'a' && got.ptr[1] == 'a');
      if (done == 4) CHECK(lk_slice_equal(lk_buf_slice(&got), LK_LIT("aabbbb")));
      for (size_t i = 0; i < got.len; i++)
        CHECK(got.ptr[i] == 'a' || got.ptr[i] == 'b' || got.ptr[i] == 0);
      lk_buf_deinit(&got);
      end(&b);
    }
  }
}

/* Goal: an unsynced write may meet each fate, so that a user who trusts one of them is found out. */
TEST(unsynced_write_is_kept_or_dropped_or_torn) {
  static uint8_t old[2048], fresh[2048];
  bool kept = false, dropped = false, torn_bytes = false, torn_sectors = false;
  memset(old, 'o', sizeof old);
  memset(fresh, 'n', sizeof fresh);
  for (uint64_t seed = 1; seed <= 100; seed++) {
    bench b;
    lk_buf got;
    begin(&b, seed);
    lk_file f = open_file(&b, LK_LIT("f"));
    write_at(&b, f, 0, lk_slice_of(old, sizeof old));
    CHECK_OK(RUN(&b, .kind = LK_IO_SYNC, .file = f));
    write_at(&b, f, 0, lk_slice_of(fresh, sizeof fresh));
    CHECK(holds(&b, LK_LIT("f"), SIM_VIEW_MEDIUM, lk_slice_of(old, sizeof old)));
    CHECK(holds(&b, LK_LIT("f"), SIM_VIEW_CACHED, lk_slice_of(fresh, sizeof fresh)));
    sim_disk_cut(&b.disk);
    lk_buf_init(&got, test_alloc(), 4096);
    CHECK_OK(sim_disk_look(&b.disk, LK_LIT("f"), SIM_VIEW_CACHED, &got));
    CHECK_U64(got.len, sizeof old);
    size_t changes = 0;
    bool on_sectors = true;
    for (size_t i = 1; i < got.len; i++) {
      if (got.ptr[i] == got.ptr[i - 1]) continue;
      changes++;
      if (i % 512 != 0) on_sectors = false;
    }
    kept |= changes == 0 && got.ptr[0] == 'n';
    dropped |= changes == 0 && got.ptr[0] == 'o';
    torn_bytes |= changes == 1 && !on_sectors;
    torn_sectors |= changes > 0 && on_sectors && got.ptr[0] == 'o';
    CHECK(changes <= 1 || on_sectors);
    lk_buf_deinit(&got);
    end(&b);
  }
  CHECK(kept && dropped && torn_bytes && torn_sectors);
}

TEST(name_that_was_never_synced_may_vanish_and_one_that_was_does_not) {
  bool vanished = false, stayed = false;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    bench b;
    begin(&b, seed);
    (void)open_file(&b, LK_LIT("new"));
    lk_file f = open_file(&b, LK_LIT("synced"));
    CHECK_OK(RUN(&b, .kind = LK_IO_SYNC, .file = f));
    sim_disk_cut(&b.disk);
    CHECK(exists(&b, LK_LIT("synced")));
    vanished |= !exists(&b, LK_LIT("new"));
    stayed |= exists(&b, LK_LIT("new"));
    end(&b);
  }
  CHECK(vanished && stayed);
}

TEST(killed_process_loses_nothing_that_was_written) {
  bench b;
  begin(&b, 1);
  lk_file f = open_file(&b, LK_LIT("f"));
  write_at(&b, f, 0, LK_LIT("in the cache"));
  sim_disk_kill(&b.disk);
  CHECK(holds(&b, LK_LIT("f"), SIM_VIEW_CACHED, LK_LIT("in the cache")));
  CHECK(!holds(&b, LK_LIT("f"), SIM_VIEW_MEDIUM, LK_LIT("in the cache")));
  f = open_file(&b, LK_LIT("f")); /* the old handle is free again */
  CHECK_U64(f, 0);
  CHECK_OK(RUN(&b, .kind = LK_IO_SYNC, .file = f));
  CHECK(holds(&b, LK_LIT("f"), SIM_VIEW_MEDIUM, LK_LIT("in the cache")));
  end(&b);
}

/* Goal: a write under way when its process dies is there, not there, or there in part, and the
 * operation itself is touched no more. */
TEST(write_under_way_at_a_kill_may_be_done_in_part) {
  bool none = false, part = false;
  for (uint64_t seed = 1; seed <= 100; seed++) {
    bench b;
    lk_buf got;
    begin(&b, seed);
    lk_file f = open_file(&b, LK_LIT("f"));
    lk_io io = {
      .kind = LK_IO_WRITE, .file = f, .from = LK_LIT("0123456789"), .result = LK_ERR_END
    };
    b.disk.table.submit(&b.disk.table, &io);
    sim_disk_kill(&b.disk);
    sim_world_run(&b.world, b.world.now_us + 100000);
    CHECK(b.disk.table.poll(&b.disk.table) == NULL);
    CHECK_ERR(io.result, LK_ERR_END);
    lk_buf_init(&got, test_alloc(), 100);
    CHECK_OK(sim_disk_look(&b.disk, LK_LIT("f"), SIM_VIEW_CACHED, &got));
    CHECK(lk_slice_starts_with(LK_LIT("0123456789"), lk_buf_slice(&got)));
    none |= got.len == 0;
    part |= got.len > 0 && got.len < 10;
    lk_buf_deinit(&got);
    end(&b);
  }
  CHECK(none && part);
}

/* Goal: rule 3, as Linux breaks hearts with it. After a failed sync the handle is of no use; opened
 * anew, the file may show what it will not keep, and a sync that works does not help; only writing
 * the bytes again does. */
TEST(failed_sync_leaves_bytes_that_only_writing_again_makes_safe) {
  bool looked_well_and_was_lost = false;
  for (uint64_t seed = 1; seed <= 100; seed++) {
    for (int again = 0; again < 2; again++) {
      bench b;
      begin(&b, seed);
      lk_file f = open_file(&b, LK_LIT("f"));
      write_at(&b, f, 0, LK_LIT("old"));
      CHECK_OK(RUN(&b, .kind = LK_IO_SYNC, .file = f));
      write_at(&b, f, 0, LK_LIT("new"));
      b.options.rate[SIM_FAULT_disk_sync_failed] = 1000000;
      CHECK_ERR(RUN(&b, .kind = LK_IO_SYNC, .file = f), LK_ERR_SYNC);
      b.options.rate[SIM_FAULT_disk_sync_failed] = 0;
      CHECK_ERR(RUN(&b, .kind = LK_IO_SYNC, .file = f), LK_ERR_SYNC);
      CHECK_ERR(RUN(&b, .kind = LK_IO_WRITE, .file = f, .from = LK_LIT("x")), LK_ERR_SYNC);
      CHECK_ERR(RUN(&b, .kind = LK_IO_CLOSE, .file = f), LK_ERR_SYNC);
      f = open_file(&b, LK_LIT("f"));
      bool looks_well = holds(&b, LK_LIT("f"), SIM_VIEW_CACHED, LK_LIT("new"));
      CHECK(looks_well || holds(&b, LK_LIT("f"), SIM_VIEW_CACHED, LK_LIT("old")));
      if (again == 1) write_at(&b, f, 0, LK_LIT("new"));
      CHECK_OK(RUN(&b, .kind = LK_IO_SYNC, .file = f));
      sim_disk_cut(&b.disk);
      bool is_there = holds(&b, LK_LIT("f"), SIM_VIEW_CACHED, LK_LIT("new"));
      if (again == 1) CHECK(is_there);
      else looked_well_and_was_lost |= looks_well && !is_there;
      end(&b);
    }
  }
  CHECK(looked_well_and_was_lost);
}

TEST(disk_that_lies_loses_what_it_said_to_have_synced) {
  bool lost = false;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    bench b;
    begin(&b, seed);
    b.disk.lies = true;
    lk_file f = open_file(&b, LK_LIT("f"));
    write_at(&b, f, 0, LK_LIT("safe"));
    CHECK_OK(RUN(&b, .kind = LK_IO_SYNC, .file = f));
    sim_disk_cut(&b.disk);
    lost |= !holds(&b, LK_LIT("f"), SIM_VIEW_CACHED, LK_LIT("safe"));
    end(&b);
  }
  CHECK(lost);
}

TEST(failed_write_leaves_a_part_and_failed_reads_and_opens_leave_nothing) {
  bool part = false;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    bench b;
    uint8_t into[8];
    lk_buf got;
    begin(&b, seed);
    lk_file f = open_file(&b, LK_LIT("f"));
    b.options.rate[SIM_FAULT_disk_write_failed] = b.options.rate[SIM_FAULT_disk_read_failed] =
        b.options.rate[SIM_FAULT_disk_open_failed] = 1000000;
    CHECK_ERR(RUN(&b, .kind = LK_IO_WRITE, .file = f, .from = LK_LIT("0123456789")), LK_ERR_IO);
    CHECK_ERR(RUN(&b, .kind = LK_IO_READ, .file = f, .into = into, .into_len = 8), LK_ERR_IO);
    CHECK_ERR(RUN(&b, .kind = LK_IO_OPEN, .name = LK_LIT("g"), .create = true), LK_ERR_IO);
    CHECK_ERR(RUN(&b, .kind = LK_IO_OPEN, .name = LK_LIT("none")), LK_ERR_NOT_FOUND);
    CHECK(!exists(&b, LK_LIT("g")));
    lk_buf_init(&got, test_alloc(), 100);
    CHECK_OK(sim_disk_look(&b.disk, LK_LIT("f"), SIM_VIEW_CACHED, &got));
    CHECK(lk_slice_starts_with(LK_LIT("0123456789"), lk_buf_slice(&got)));
    part |= got.len > 0 && got.len < 10;
    lk_buf_deinit(&got);
    end(&b);
  }
  CHECK(part);
}

TEST(full_disk_lets_nothing_grow_and_keeps_what_it_has) {
  bench b;
  begin(&b, 1);
  lk_file f = open_file(&b, LK_LIT("f"));
  write_at(&b, f, 0, LK_LIT("1234"));
  b.disk.full_until_us = b.world.now_us + 1000000;
  CHECK_ERR(RUN(&b, .kind = LK_IO_WRITE, .file = f, .off = 2, .from = LK_LIT("xyz")),
            LK_ERR_NO_SPACE);
  CHECK_ERR(RUN(&b, .kind = LK_IO_TRUNCATE, .file = f, .off = 5), LK_ERR_NO_SPACE);
  CHECK_ERR(RUN(&b, .kind = LK_IO_OPEN, .name = LK_LIT("g"), .create = true), LK_ERR_NO_SPACE);
  write_at(&b, f, 2, LK_LIT("xy"));
  CHECK(holds(&b, LK_LIT("f"), SIM_VIEW_CACHED, LK_LIT("12xy")));
  sim_world_run(&b.world, b.world.now_us + 1000000);
  write_at(&b, f, 4, LK_LIT("z"));
  end(&b);
}

TEST(full_disk_lets_grow_what_has_reserved_its_space) {
  bench b;
  begin(&b, 1);
  b.disk.reserves = true;
  lk_file f = open_file(&b, LK_LIT("f"));
  for (int i = 0; i < 20; i++) /* one of them is meant */
    CHECK_OK(RUN(&b, .kind = LK_IO_RESERVE, .file = f, .off = 4));
  b.disk.full_until_us = b.world.now_us + 1000000;
  CHECK_ERR(RUN(&b, .kind = LK_IO_RESERVE, .file = f, .off = 5), LK_ERR_NO_SPACE);
  write_at(&b, f, 0, LK_LIT("1234"));
  CHECK_ERR(RUN(&b, .kind = LK_IO_WRITE, .file = f, .off = 4, .from = LK_LIT("5")), LK_ERR_NO_SPACE);
  CHECK_OK(RUN(&b, .kind = LK_IO_TRUNCATE, .file = f, .off = 1)); /* gives it back */
  CHECK_ERR(RUN(&b, .kind = LK_IO_WRITE, .file = f, .off = 1, .from = LK_LIT("2")), LK_ERR_NO_SPACE);
  end(&b);
}

TEST(rot_flips_bits_of_a_file_at_rest_and_of_no_other) {
  bench b;
  begin(&b, 1);
  lk_file f = open_file(&b, LK_LIT("f"));
  write_at(&b, f, 0, LK_LIT("cold data"));
  CHECK(!sim_disk_rot(&b.disk, LK_LIT("f"))); /* still being written */
  CHECK(!sim_disk_rot(&b.disk, LK_LIT("none")));
  CHECK_OK(RUN(&b, .kind = LK_IO_SYNC, .file = f));
  lk_file other = open_file(&b, LK_LIT("other"));
  write_at(&b, other, 0, LK_LIT("warm"));
  uint32_t tries = 0;
  do CHECK(sim_disk_rot(&b.disk, LK_LIT("f")) && tries++ < 10); /* two flips may cancel out */
  while (holds(&b, LK_LIT("f"), SIM_VIEW_MEDIUM, LK_LIT("cold data")));
  CHECK(!holds(&b, LK_LIT("f"), SIM_VIEW_CACHED, LK_LIT("cold data")));
  CHECK(holds(&b, LK_LIT("other"), SIM_VIEW_CACHED, LK_LIT("warm")));
  end(&b);
}

TEST(files_tell_which_of_them_was_synced_last) {
  bench b;
  uint32_t cursor = 0;
  uint64_t synced;
  lk_slice name;
  begin(&b, 1);
  lk_file one = open_file(&b, LK_LIT("one")), two = open_file(&b, LK_LIT("two"));
  CHECK_OK(RUN(&b, .kind = LK_IO_SYNC, .file = two));
  CHECK_OK(RUN(&b, .kind = LK_IO_SYNC, .file = one));
  (void)open_file(&b, LK_LIT("three"));
  CHECK(sim_disk_next(&b.disk, &cursor, &name, &synced));
  CHECK(lk_slice_equal(name, LK_LIT("one")) && synced == 2);
  CHECK(sim_disk_next(&b.disk, &cursor, &name, &synced));
  CHECK(lk_slice_equal(name, LK_LIT("two")) && synced == 1);
  CHECK(sim_disk_next(&b.disk, &cursor, &name, &synced));
  CHECK(lk_slice_equal(name, LK_LIT("three")) && synced == 0);
  CHECK(!sim_disk_next(&b.disk, &cursor, &name, &synced));
  end(&b);
}
