/* Rings in shared memory: between two threads (TSan looks on), and between processes that are killed. */
#include "platform/posix/channel_ring.h"

#include "harness/gen.h"
#include "harness/test.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define RING_SIZE 4096

/* Message |number|: its length and each byte follow from the number. */
static size_t message_len(uint32_t number) {
  return number % 97 == 0 ? 3 * RING_SIZE + number % 1000 : 4 + number * 7919u % 600;
}

static void make_message(uint32_t number, uint8_t *out) {
  size_t len = message_len(number);
  for (size_t i = 4; i < len; i++) out[i] = (uint8_t)(number + i);
  lk_store_le32(out, number);
}

static bool is_message(lk_slice bytes, uint32_t *number) {
  uint8_t want[4 * RING_SIZE];
  if (bytes.len < 4) return false;
  *number = lk_load_le32(bytes.ptr);
  if (bytes.len != message_len(*number)) return false;
  make_message(*number, want);
  return memcmp(bytes.ptr, want, bytes.len) == 0;
}

typedef struct way {
  lk_channel_ring ring;
  lk_bell reader;
  lk_bell writer;
} way;

static void way_init(way *w) {
  CHECK_OK(lk_channel_ring_make(&w->ring, RING_SIZE));
  CHECK_OK(lk_bell_make(&w->reader));
  CHECK_OK(lk_bell_make(&w->writer));
}

static void way_deinit(way *w) {
  lk_channel_ring_close(&w->ring);
  lk_channel_ring_close(&w->ring);
  lk_bell_close(&w->reader);
  lk_bell_close(&w->writer);
  lk_bell_close(&w->writer);
}

static void wait_for(lk_bell *bell) {
  struct pollfd fd = { .fd = bell->fd, .events = POLLIN };
  if (poll(&fd, 1, 10000) == 1) lk_bell_drain(bell);
}

static void write_all(way *w, uint32_t number) {
  uint8_t bytes[4 * RING_SIZE];
  size_t done = 0;
  make_message(number, bytes);
  lk_slice message = lk_slice_of(bytes, message_len(number));
  for (bool may_sleep = false; done < message.len;) {
    size_t n = lk_channel_ring_write(&w->ring, lk_slice_skip(message, done), done == 0);
    done += n;
    lk_bell_ring(&w->reader);
    if (n > 0) {
      may_sleep = false;
    } else if (!may_sleep) { /* look once more behind this */
      lk_bell_prepare(&w->writer);
      may_sleep = true;
    } else {
      wait_for(&w->writer);
      may_sleep = false;
    }
  }
  lk_bell_wake(&w->writer);
}

/* The bytes of one message, gathered from its pieces. */
typedef struct gathered {
  uint8_t bytes[8 * RING_SIZE];
  size_t len;
} gathered;

static lk_err read_piece(way *w, gathered *g, bool *is_first) {
  lk_slice piece;
  lk_err err = lk_channel_ring_peek(&w->ring, &piece, is_first);
  if (err != LK_OK) return err;
  if (*is_first) g->len = 0;
  CHECK(piece.len <= sizeof g->bytes - g->len);
  memcpy(g->bytes + g->len, piece.ptr, piece.len);
  g->len += piece.len;
  if (lk_channel_ring_consume(&w->ring)) lk_bell_ring(&w->writer);
  return LK_OK;
}

enum { THREAD_MESSAGES = 20000 };

static void *write_many(void *ctx) {
  for (uint32_t i = 0; i < THREAD_MESSAGES; i++) write_all(ctx, i);
  return NULL;
}

TEST(what_one_thread_writes_another_one_reads_in_order_and_nobody_spins) {
  way w;
  pthread_t writer;
  gathered *g = test_alloc()->resize(test_alloc()->ctx, NULL, 0, sizeof *g);
  way_init(&w);
  g->len = 0;
  CHECK(pthread_create(&writer, NULL, write_many, &w) == 0);
  for (uint32_t i = 0; i < THREAD_MESSAGES;) {
    bool is_first;
    uint32_t number;
    if (read_piece(&w, g, &is_first) == LK_ERR_END) {
      lk_bell_prepare(&w.reader);
      if (lk_channel_ring_is_empty(&w.ring)) wait_for(&w.reader);
      lk_bell_wake(&w.reader);
      continue;
    }
    if (g->len < message_len(i)) continue;
    CHECK(is_message(lk_slice_of(g->bytes, g->len), &number));
    CHECK_U64(number, i);
    i++;
  }
  CHECK(pthread_join(writer, NULL) == 0);
  CHECK(lk_channel_ring_is_empty(&w.ring));
  test_alloc()->resize(test_alloc()->ctx, g, sizeof *g, 0);
  way_deinit(&w);
}

#ifndef __has_feature /* gcc */
#define __has_feature(feature) 0
#endif
#if !defined(__SANITIZE_THREAD__) && !__has_feature(thread_sanitizer)
/* Writes from number |first| on until it is killed, and leaves in |*written| how many are surely whole. */
static _Noreturn void write_until_killed(way *w, uint32_t first, _Atomic uint32_t *written) {
  for (uint32_t i = first;; i++) {
    write_all(w, i);
    atomic_store(written, i + 1);
  }
}

/* Goal: a writer that is killed takes nothing with it but the message that it was writing.
 * Method: forty writers, one after the other, each killed at another moment; each goes on with the number behind the
 * last that its predecessor finished. The reader must see every finished number once and in order, and pieces of
 * others only in front of a first piece. */
TEST(a_writer_that_is_killed_loses_only_the_message_that_it_was_writing) {
  way w;
  gathered *g = test_alloc()->resize(test_alloc()->ctx, NULL, 0, sizeof *g);
  way_init(&w);
  _Atomic uint32_t *written = mmap(NULL, sizeof *written, PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(written != MAP_FAILED);
  atomic_store(written, 0);
  uint32_t expected = 0, number;
  bool is_first;
  g->len = 0;
  for (int round = 0; round < 40; round++) {
    pid_t pid = fork();
    if (pid == 0) write_until_killed(&w, atomic_load(written), written);
    CHECK(pid > 0);
    uint32_t pieces = (uint32_t)(round * 37 % 500);
    for (uint32_t i = 0; i < pieces;) {
      if (read_piece(&w, g, &is_first) != LK_OK) continue;
      i++;
      if (is_message(lk_slice_of(g->bytes, g->len), &number)) {
        CHECK(number == expected || number + 1 == expected); /* finished, but not yet said to be */
        expected = number + 1;
      }
    }
    CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
    while (read_piece(&w, g, &is_first) == LK_OK) {
      if (is_message(lk_slice_of(g->bytes, g->len), &number)) {
        CHECK(number == expected || number + 1 == expected);
        expected = number + 1;
      }
    }
    CHECK(expected >= atomic_load(written));
  }
  CHECK(expected > 100);
  CHECK(munmap((void *)written, sizeof *written) == 0);
  test_alloc()->resize(test_alloc()->ctx, g, sizeof *g, 0);
  way_deinit(&w);
}
#endif

TEST(a_ring_whose_lengths_make_no_sense_is_emptied) {
  way w;
  lk_slice piece;
  bool is_first;
  way_init(&w);
  CHECK(lk_channel_ring_write(&w.ring, LK_LIT("hello"), true) == 5);
  lk_store_le32(w.ring.bytes, 0x00FFFFFF);
  CHECK_ERR(lk_channel_ring_peek(&w.ring, &piece, &is_first), LK_ERR_CORRUPT);
  CHECK_ERR(lk_channel_ring_peek(&w.ring, &piece, &is_first), LK_ERR_END);
  CHECK(lk_channel_ring_write(&w.ring, LK_LIT("again"), true) == 5);
  CHECK_OK(lk_channel_ring_peek(&w.ring, &piece, &is_first));
  CHECK_TEXT(piece, "again");
  CHECK(is_first);
  way_deinit(&w);
}

/* ---- a process gone mad at the other end ---- */

/* What lies in the shared page, as platform/posix/channel_ring.c has it. */
static void poison(const lk_channel_ring *ring, size_t off, uint64_t value, size_t len) {
  memcpy((uint8_t *)ring->shared + off, &value, len);
}

enum { AT_TAIL = 0, AT_HEAD = 64, AT_WANTS_ROOM = 72 };

/* Reads until there is nothing, and gives back how many pieces were. Each lies within the ring. */
static size_t read_out(lk_channel_ring *ring) {
  lk_slice piece;
  bool is_first;
  size_t count = 0;
  lk_err err = LK_OK;
  for (int i = 0; i < 3000 && err != LK_ERR_END; i++) {
    err = lk_channel_ring_peek(ring, &piece, &is_first);
    if (err == LK_ERR_CORRUPT) return count;
    if (err != LK_OK) break;
    CHECK(piece.ptr >= ring->bytes && piece.len <= RING_SIZE);
    CHECK(piece.ptr + piece.len <= ring->bytes + (size_t)2 * RING_SIZE);
    (void)lk_channel_ring_consume(ring);
    count++;
  }
  CHECK_ERR(err, LK_ERR_END);
  return count;
}

static void fill_ring(lk_channel_ring *ring, size_t messages) {
  uint8_t bytes[200] = { 0 };
  for (size_t i = 0; i < messages; i++)
    (void)lk_channel_ring_write(ring, lk_slice_of(bytes, 50 + i % 100), true);
}

static bool passes(lk_channel_ring *ring) {
  lk_slice piece;
  bool is_first;
  if (lk_channel_ring_write(ring, LK_LIT("hello"), true) != 5) return false;
  if (lk_channel_ring_peek(ring, &piece, &is_first) != LK_OK) return false;
  bool is_hello = is_first && lk_slice_equal(piece, LK_LIT("hello"));
  (void)lk_channel_ring_consume(ring);
  return is_hello;
}

static const uint64_t nonsense[] = { 0,
                                     1,
                                     7,
                                     8,
                                     RING_SIZE,
                                     RING_SIZE + 8,
                                     2 * RING_SIZE,
                                     UINT32_MAX,
                                     UINT64_C(1) << 31,
                                     UINT64_C(1) << 63,
                                     UINT64_MAX,
                                     UINT64_MAX - 7,
                                     UINT64_C(0x5A5A5A5A5A5A5A5A) };

/* Goal: whatever stands in a ring, neither end waits for the other for ever, and nobody looks outside of it. Method: each
 * field that is shared, with each value, in rings that are empty, in use, and full; either end goes on first; and where
 * neither of them found a fault, the message that follows comes through. Where one did, its successor mends the ring. */
TEST(a_ring_with_any_field_poisoned_stalls_nobody) {
  static const size_t fields[] = { AT_TAIL, AT_HEAD, AT_WANTS_ROOM };
  size_t faults = 0;
  for (size_t i = 0; i < 3 * (sizeof nonsense / sizeof nonsense[0]) * 3 * 2; i++) {
    lk_channel_ring ring;
    size_t field = fields[i % 3], state = i / 3 % 3;
    bool writes_first = i / 9 % 2 == 0;
    CHECK_OK(lk_channel_ring_make(&ring, RING_SIZE));
    fill_ring(&ring, 30); /* so that counters are not 0 */
    (void)read_out(&ring);
    fill_ring(&ring, state == 0 ? 0 : state == 1 ? 5 : 200);
    poison(&ring, field, nonsense[i / 18], field == AT_WANTS_ROOM ? 4 : 8);
    if (writes_first) fill_ring(&ring, 3);
    (void)read_out(&ring);
    if (!writes_first) fill_ring(&ring, 3);
    (void)read_out(&ring);
    if (lk_channel_ring_take_fault(&ring)) {
      faults++;
      CHECK(!lk_channel_ring_take_fault(&ring));
      lk_channel_ring_take_over_writing(&ring);
      lk_channel_ring_take_over_reading(&ring);
    }
    (void)read_out(&ring);
    CHECK(passes(&ring));
    CHECK(!lk_channel_ring_take_fault(&ring));
    lk_channel_ring_close(&ring);
  }
  CHECK(faults > 60);
  CHECK_COVERED(channel_ring_made_no_sense);
  CHECK_COVERED(channel_ring_cannot_be_written);
}

/* The same for what stands before each piece. */
TEST(a_ring_with_any_length_poisoned_stalls_nobody) {
  for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
    for (size_t at = 0; at < 1000; at += 8) {
      lk_channel_ring ring;
      CHECK_OK(lk_channel_ring_make(&ring, RING_SIZE));
      fill_ring(&ring, 10);
      lk_store_le32(ring.bytes + at, (uint32_t)nonsense[i]);
      (void)read_out(&ring);
      fill_ring(&ring, 3);
      (void)lk_channel_ring_take_fault(&ring);
      (void)read_out(&ring);
      CHECK(passes(&ring));
      lk_channel_ring_close(&ring);
    }
  }
}

/* Goal: who takes a place over does not blame the other end for what stood there before. */
TEST(what_a_predecessor_left_is_mended_and_nobodys_fault) {
  for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
    for (int which = 0; which < 3; which++) {
      lk_channel_ring ring;
      CHECK_OK(lk_channel_ring_make(&ring, RING_SIZE));
      fill_ring(&ring, 10);
      if (which == 0) poison(&ring, AT_TAIL, nonsense[i], 8);
      else if (which == 1) poison(&ring, AT_HEAD, nonsense[i], 8);
      else lk_store_le32(ring.bytes, (uint32_t)nonsense[i] | 0x7FFF0000);
      if (which == 0) lk_channel_ring_take_over_writing(&ring);
      else lk_channel_ring_take_over_reading(&ring);
      fill_ring(&ring, 1);
      if (which != 0) CHECK(!ring.is_faulty);
      (void)read_out(&ring);
      if (which != 0) CHECK(!ring.is_faulty);
      (void)read_out(&ring);
      CHECK(passes(&ring));
      lk_channel_ring_close(&ring);
    }
  }
}

/* A piece whose length changes between looking at it and being done with it. */
TEST(a_length_that_changes_while_it_is_read_moves_nobody_out_of_the_ring) {
  lk_channel_ring ring;
  lk_slice piece;
  bool is_first;
  CHECK_OK(lk_channel_ring_make(&ring, RING_SIZE));
  fill_ring(&ring, 2);
  CHECK_OK(lk_channel_ring_peek(&ring, &piece, &is_first));
  lk_store_le32(ring.bytes, 0x7FFFFFFF);
  (void)lk_channel_ring_consume(&ring);
  CHECK_OK(lk_channel_ring_peek(&ring, &piece, &is_first));
  CHECK_U64(piece.len, 51);
  lk_channel_ring_close(&ring);
}

TEST(a_bell_is_rung_once_for_whoever_sleeps_and_costs_nothing_for_whoever_does_not) {
  lk_bell bell;
  CHECK_OK(lk_bell_make(&bell));
  struct pollfd fd = { .fd = bell.fd, .events = POLLIN };
  lk_bell_ring(&bell);
  CHECK(poll(&fd, 1, 0) == 0);
  lk_bell_prepare(&bell);
  lk_bell_ring(&bell);
  CHECK(poll(&fd, 1, 0) == 1);
  lk_bell_drain(&bell);
  lk_bell_ring(&bell);
  CHECK(poll(&fd, 1, 0) == 0);
  lk_bell_ring_always(&bell);
  CHECK(poll(&fd, 1, 0) == 1);
  lk_bell_close(&bell);
}
