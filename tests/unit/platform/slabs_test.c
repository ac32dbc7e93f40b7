/* The memory of processes: blocks do not touch, and what is freed goes back to the system. */
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* The system refuses what it is asked for, when a test says so. */
static int mappings_left = -1;
static void *test_mmap(void *at, size_t len, int protection, int flags, int fd, long offset) {
  if (mappings_left == 0) return MAP_FAILED;
  if (mappings_left > 0) mappings_left--;
  return mmap(at, len, protection, flags, fd, offset);
}

/* And its pages have another length. */
static size_t page_len = 4096;
static long test_sysconf(int name) { return name == _SC_PAGESIZE ? (long)page_len : sysconf(name); }
static int test_madvise(void *at, size_t len, int advice) {
  if (advice == MADV_DONTNEED && (uintptr_t)at % page_len != 0) {
    errno = EINVAL;
    return -1;
  }
  return madvise(at, (len + page_len - 1) / page_len * page_len, advice);
}
#define mmap test_mmap
#define madvise test_madvise
#define sysconf test_sysconf
#include "platform/posix/slabs.c"
#undef mmap
#undef madvise
#undef sysconf

#include "harness/gen.h"
#include "harness/test.h"

#define BLOCKS 300

typedef struct block {
  uint8_t *ptr;
  size_t size;
  uint8_t fill;
  bool is_brief;
} block;

static void fill_block(const block *b) {
  if (b->size > 0) memset(b->ptr, b->fill, b->size);
}

static void check_block(const block *b) {
  for (size_t i = 0; i < b->size; i++) CHECK(b->ptr[i] == b->fill);
}

static void resize_block(lk_slabs *slabs, block *b, size_t size, uint8_t fill) {
  if (b->size == 0 && size == 0) return;
  lk_slabs_face *face = b->is_brief ? &slabs->brief : &slabs->lasting;
  uint8_t *moved = face->alloc.resize(face, b->ptr, b->size, size);
  if (moved == NULL && size > 0) return; /* no memory: the old block is as it was */
  CHECK(((uintptr_t)moved & (GRAIN - 1)) == 0);
  block kept = { moved, b->size < size ? b->size : size, b->fill, false };
  check_block(&kept);
  *b = (block){ size > 0 ? moved : NULL, size, fill, b->is_brief };
  fill_block(b);
}

static size_t draw_size(lk_gen *g) {
  static const uint32_t bounds[] = { 40, 300, 1200, LK_SLABS_SMALL_MAX + 1, 40000 };
  return gen_below(g, bounds[gen_below(g, 5)]);
}

static uint32_t count_bits(uint64_t bits) {
  uint32_t count = 0;
  for (; bits != 0; bits &= bits - 1) count++;
  return count;
}

/* Each slab is where the head of the file says. */
static void check_lists(const lk_slabs *slabs) {
  uint32_t open = 0, listed = slabs->spare.count;
  for (lk_link *at = slabs->areas.first; at != NULL; at = at->next) {
    const area *a = LK_CONTAINER(at, area, link);
    for (uint32_t i = 1; i < SLABS_COUNT; i++) {
      const slab *s = &a->slabs[i];
      bool is_vacant = (a->vacant >> i & 1) != 0;
      CHECK(is_vacant == (s->size == 0));
      if (!is_vacant && !is_full(s)) open++;
    }
  }
  for (uint32_t i = 0; i < 2 * LK_SLABS_CLASSES; i++) {
    uint32_t side = i / LK_SLABS_CLASSES, class = i % LK_SLABS_CLASSES;
    for (lk_link *at = slabs->classes[side][class].first; at != NULL; at = at->next) {
      const slab *s = LK_CONTAINER(at, slab, link);
      CHECK(s->used > 0 && !is_full(s) && s->class == class && s->side == side);
      listed++;
    }
  }
  CHECK_U64(listed, open);
}

static uint32_t count_slabs(const lk_slabs *slabs) {
  uint32_t count = 0;
  for (lk_link *at = slabs->areas.first; at != NULL; at = at->next)
    count += count_bits(VACANT_ALL & ~LK_CONTAINER(at, area, link)->vacant);
  return count;
}

TEST(slabs_classes_hold_their_sizes_and_waste_little) {
  for (size_t size = 1; size <= LK_SLABS_SMALL_MAX; size++) {
    uint32_t class = class_of(size);
    CHECK(class < LK_SLABS_CLASSES);
    CHECK(class_size(class) >= size && class_size(class) % GRAIN == 0);
    CHECK(class == 0 || class_size(class - 1) < size);
    if (size > FINE_MAX) CHECK((class_size(class) - size) * 9 <= class_size(class));
  }
  CHECK_U64(class_of(LK_SLABS_SMALL_MAX), LK_SLABS_CLASSES - 1);
}

/* Goal: no two blocks share a byte, contents survive moves, lists are as they are described, and all goes back.
 * Method: random calls, now and then without memory; each block is filled with a byte of its own. */
PROPERTY(slabs_give_blocks_that_do_not_touch_and_take_all_of_them_back) {
  static block blocks[BLOCKS];
  lk_slabs slabs;
  memset(blocks, 0, sizeof blocks);
  lk_slabs_init(&slabs, gen_bool(g));
  for (uint32_t i = 0; i < BLOCKS; i++) blocks[i].is_brief = gen_bool(g);
  mappings_left = gen_chance(g, 1, 4) ? (int)gen_below(g, 3) : -1;
  for (uint32_t n = gen_below(g, 600), i = 0; i < n; i++) {
    block *b = &blocks[gen_below(g, BLOCKS)];
    check_block(b);
    resize_block(&slabs, b, gen_below(g, 3) == 0 ? 0 : draw_size(g), (uint8_t)(i + 1));
  }
  check_lists(&slabs);
  for (uint32_t i = 0; i < BLOCKS; i++) {
    check_block(&blocks[i]);
    resize_block(&slabs, &blocks[i], 0, 0);
  }
  check_lists(&slabs);
  CHECK(count_slabs(&slabs) <= LK_SLABS_SPARE_MAX);
  mappings_left = -1;
  lk_slabs_deinit(&slabs);
  lk_slabs_deinit(&slabs);
}

static size_t resident_bytes(const lk_slabs *slabs) {
  size_t pages = 0;
  for (lk_link *at = slabs->areas.first; at != NULL; at = at->next) {
    unsigned char there[AREA_LEN / 4096];
    CHECK(mincore(LK_CONTAINER(at, area, link), AREA_LEN, there) == 0);
    for (size_t i = 0; i < sizeof there; i++) pages += there[i] & 1;
  }
  return pages * 4096;
}

static void *take_block(lk_slabs *slabs, size_t size) {
  void *ptr = slabs->lasting.alloc.resize(&slabs->lasting, NULL, 0, size);
  CHECK(ptr != NULL);
  memset(ptr, 0x5a, size);
  return ptr;
}

static void give_block(lk_slabs *slabs, void *ptr, size_t size) {
  (void)slabs->lasting.alloc.resize(&slabs->lasting, ptr, size, 0);
}

/* Goal: what stays takes little more than it is, however it is mixed with what goes.
 * Method: of what is taken in turns, the blocks of three sizes out of five go. */
TEST(slabs_give_back_the_pages_of_what_is_freed) {
  enum { ROUNDS = 2000 };
  static const size_t sizes[] = { 64, 1512, 288, 1608, 480 };
  static void *taken[ROUNDS][5];
  lk_slabs slabs;
  lk_slabs_init(&slabs, false);
  for (int i = 0; i < ROUNDS; i++)
    for (int k = 0; k < 5; k++) taken[i][k] = take_block(&slabs, sizes[k]);
  size_t most = resident_bytes(&slabs), stays = (size_t)ROUNDS * (64 + 288);
  CHECK(most >= ROUNDS * (size_t)(64 + 1512 + 288 + 1608 + 480));
  for (int i = 0; i < ROUNDS; i++)
    for (int k = 1; k < 5; k++)
      if (k != 2) give_block(&slabs, taken[i][k], sizes[k]);
  size_t left = resident_bytes(&slabs);
  test_note("%zu bytes, then %zu for %zu", most, left, stays);
  CHECK(left < stays + stays / 20 + (LK_SLABS_SPARE_MAX + 4) * SLAB_LEN);
  lk_slabs_deinit(&slabs);
}

/* Goal: where a page has several slabs, none is given back with what others have in it; areas go back all the same.
 * Method: four slabs share a page of 64 KiB. What is in the first one of each goes. */
TEST(slabs_that_share_a_page_are_not_given_back) {
  enum { SLABS = 100, IN_SLAB = SLAB_LEN / 4096 };
  static void *taken[SLABS][IN_SLAB];
  lk_slabs slabs;
  page_len = 65536;
  lk_slabs_init(&slabs, false);
  for (int i = 0; i < SLABS; i++)
    for (int k = 0; k < IN_SLAB; k++) taken[i][k] = take_block(&slabs, 4096);
  uint32_t gone = 0;
  for (int i = 0; i < SLABS; i++) {
    if ((uintptr_t)taken[i][0] % page_len != 0) continue;
    for (int k = 0; k < IN_SLAB; k++) give_block(&slabs, taken[i][k], 4096);
    gone++;
  }
  CHECK(gone > LK_SLABS_SPARE_MAX + 8);
  CHECK_U64(count_slabs(&slabs), SLABS - gone + LK_SLABS_SPARE_MAX);
  for (int i = 0; i < SLABS; i++) {
    if ((uintptr_t)taken[i][0] % page_len == 0) continue;
    for (int k = 0; k < IN_SLAB; k++) {
      check_block(&(block){ taken[i][k], 4096, 0x5a, false });
      give_block(&slabs, taken[i][k], 4096);
    }
  }
  CHECK(slabs.areas.count <= 2);
  page_len = 4096;
  lk_slabs_deinit(&slabs);
}

/* The same where all have the same size: what is there for a moment says so. */
TEST(slabs_keep_what_is_brief_apart) {
  enum { ROUNDS = 4000, TIMES = 5 };
  static void *taken[ROUNDS][TIMES];
  lk_slabs slabs;
  lk_slabs_init(&slabs, false);
  for (int i = 0; i < ROUNDS; i++) {
    (void)take_block(&slabs, 64);
    for (int k = 0; k < TIMES; k++) {
      taken[i][k] = slabs.brief.alloc.resize(&slabs.brief, NULL, 0, 64);
      CHECK(taken[i][k] != NULL);
      memset(taken[i][k], 1, 64);
    }
  }
  CHECK(resident_bytes(&slabs) >= (size_t)ROUNDS * (1 + TIMES) * 64);
  for (int i = 0; i < ROUNDS; i++)
    for (int k = 0; k < TIMES; k++)
      (void)slabs.brief.alloc.resize(&slabs.brief, taken[i][k], 64, 0);
  CHECK(resident_bytes(&slabs) < (size_t)ROUNDS * 64 + (LK_SLABS_SPARE_MAX + 3) * SLAB_LEN);
  lk_slabs_deinit(&slabs);
}

/* Memory that a class had may serve another one. */
TEST(slabs_of_one_size_become_slabs_of_another) {
  enum { COUNT = 1000 };
  static void *taken[COUNT];
  lk_slabs slabs;
  lk_slabs_init(&slabs, false);
  for (int round = 0; round < 20; round++) {
    size_t size = 100 + 200 * (size_t)round;
    for (int i = 0; i < COUNT; i++) taken[i] = take_block(&slabs, size);
    CHECK(slabs.areas.count <= COUNT * size / AREA_LEN * 3 / 2 + 2);
    for (int i = 0; i < COUNT; i++) give_block(&slabs, taken[i], size);
    CHECK(slabs.areas.count <= 2);
  }
  lk_slabs_deinit(&slabs);
}

/* Of what was written there is nothing left, also in places that wait to be used again. */
TEST(clean_slabs_keep_nothing_of_what_was_freed) {
  enum { COUNT = 500 };
  static void *taken[COUNT];
  lk_slabs slabs;
  lk_slabs_init(&slabs, true);
  for (int i = 0; i < COUNT; i++) taken[i] = take_block(&slabs, 200);
  uint8_t *shrunk = slabs.lasting.alloc.resize(&slabs.lasting, take_block(&slabs, 512), 512, 500);
  for (int i = 0; i < COUNT; i += 2) give_block(&slabs, taken[i], 200);
  for (int i = 0; i < COUNT; i += 2)
    for (size_t k = sizeof(free_block); k < 200; k++) CHECK(((uint8_t *)taken[i])[k] == 0);
  for (size_t k = 500; k < 512; k++) CHECK(shrunk[k] == 0);
  lk_slabs_deinit(&slabs);
}

TEST(slabs_without_memory_say_so_and_keep_what_there_is) {
  lk_slabs slabs;
  lk_slabs_init(&slabs, false);
  mappings_left = 1;
  uint8_t *kept = take_block(&slabs, 100);
  uint32_t count = 1;
  while (slabs.lasting.alloc.resize(&slabs.lasting, NULL, 0, 4000) != NULL) CHECK(count++ < 1000);
  CHECK_U64(count, 1 + 62 * 4); /* the first slab of the area has the small one */
  CHECK(slabs.lasting.alloc.resize(&slabs.lasting, kept, 100, 4000) == NULL);
  for (int i = 0; i < 100; i++) CHECK(kept[i] == 0x5a);
  mappings_left = -1;
  CHECK(slabs.lasting.alloc.resize(&slabs.lasting, kept, 100, 4000) != NULL);
  lk_slabs_deinit(&slabs);
}
