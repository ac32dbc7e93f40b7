/* platform/posix/channel_ring.c -- two counters that only grow, and bytes between them.
 *
 *   head ──────────────── tail          tail - head bytes are written and not read; places are
 *    │ piece │ piece │ .. │             counters modulo the size
 *
 *   piece := word:u32 bytes padding     to the next multiple of 8; the word's top bit: begins a message
 *
 * The writer fills the bytes and then moves |tail| with release; the reader takes |tail| with acquire, reads,
 * and moves |head| with release, which the writer takes with acquire before it fills again. Nothing else is
 * shared, and each counter has one writer. So a process that dies leaves either counter where it was, which is
 * between two pieces: what it was filling is not there yet, what it was reading is still there.
 *
 * A message that is longer than what is free goes in several pieces. If its writer dies in between, the next
 * one begins another message with a first piece, and the reader sees that the last one had no end.
 *
 * Nonsense: counters are multiples of 8, the reader's is behind the writer's by no more than the size, and pieces end before |tail|. An
 * end that finds it otherwise sets the counter that is its own to the other one, which empties the ring: the reader skips what
 * is there, the writer takes back what it wrote. Which of the two ends, or of the processes before them, has written it does
 * not matter here; who takes over an end mends it first, so that the other one is blamed for what it did itself.
 *
 * Sleeping: |asleep| is set by the owner of a bell before it looks into its rings for the last time; a writer
 * looks at |asleep| after it moved |tail|. Both are sequentially consistent, so that one of the two sees the
 * other: either the owner finds the message, or the writer rings. A writer that dies between taking |asleep| and
 * ringing leaves its reader asleep; so a process that begins rings all bells, whoever sleeps. */
#include "platform/posix/channel_ring.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define FIRST_BIT (UINT32_C(1) << 31)
#define WORD_SIZE 4
#define ALIGNMENT 8
#define LEAST_PIECE 256 /* a shorter one is written only where it ends a message */
#define LINE 64

struct lk_channel_ring_shared {
  _Alignas(LINE) _Atomic uint64_t tail;
  _Alignas(LINE) _Atomic uint64_t head;
  _Atomic uint32_t wants_room; /* the writer could not write all */
};

/* ---- bells ---- */

static void *map_shared(size_t size) {
  void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? NULL : at;
}

lk_err lk_bell_make(lk_bell *self) {
  *self = (lk_bell){ .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
  if (self->fd < 0) return LK_ERR_LIMIT;
  self->shared = map_shared(sizeof *self->shared);
  if (self->shared != NULL) return LK_OK;
  lk_bell_close(self);
  return LK_ERR_NOMEM;
}

void lk_bell_close(lk_bell *self) {
  if (self->shared != NULL) (void)munmap(self->shared, sizeof *self->shared);
  if (self->fd >= 0) (void)close(self->fd);
  *self = (lk_bell){ .fd = -1 };
}

void lk_bell_prepare(lk_bell *self) { atomic_store(&self->shared->asleep, 1); }

void lk_bell_wake(lk_bell *self) { atomic_store(&self->shared->asleep, 0); }

void lk_bell_drain(lk_bell *self) {
  uint64_t count;
  ssize_t ignored = read(self->fd, &count, sizeof count);
  (void)ignored;
}

void lk_bell_ring_always(lk_bell *self) {
  const uint64_t one = 1;
  atomic_store(&self->shared->asleep, 0);
  ssize_t ignored = write(self->fd, &one, sizeof one);
  (void)ignored;
}

void lk_bell_ring(lk_bell *self) {
  if (atomic_load(&self->shared->asleep) == 0 || atomic_exchange(&self->shared->asleep, 0) == 0)
    return;
  lk_bell_ring_always(self);
}

/* ---- making ---- */

/* The same pages twice, one behind the other. */
static uint8_t *map_twice(size_t size) {
  int fd = memfd_create("laniakea-ring", MFD_CLOEXEC);
  if (fd < 0) return NULL;
  uint8_t *at = MAP_FAILED;
  if (ftruncate(fd, (off_t)size) == 0)
    at = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at != MAP_FAILED) {
    for (int i = 0; i < 2; i++) {
      void *half = mmap(at + (size_t)i * size, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                        fd, 0);
      if (half != MAP_FAILED) continue;
      (void)munmap(at, 2 * size);
      at = MAP_FAILED;
      break;
    }
  }
  (void)close(fd); /* the mappings keep it */
  return at == MAP_FAILED ? NULL : at;
}

lk_err lk_channel_ring_make(lk_channel_ring *self, uint32_t size) {
  LK_ASSERT(size >= 4096 && (size & (size - 1)) == 0 && size < FIRST_BIT);
  *self = (lk_channel_ring){ .shared = map_shared(sizeof(lk_channel_ring_shared)), .size = size };
  if (self->shared != NULL) self->bytes = map_twice(size);
  if (self->bytes != NULL) return LK_OK;
  lk_channel_ring_close(self);
  return LK_ERR_NOMEM;
}

void lk_channel_ring_close(lk_channel_ring *self) {
  if (self->shared != NULL) (void)munmap(self->shared, sizeof *self->shared);
  if (self->bytes != NULL) (void)munmap(self->bytes, 2 * (size_t)self->size);
  *self = (lk_channel_ring){ 0 };
}

/* ---- writing ---- */

static size_t piece_size(size_t len) {
  return (WORD_SIZE + len + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static uint8_t *place(const lk_channel_ring *self, uint64_t counter) {
  return self->bytes + (counter & (self->size - 1));
}

static bool are_counters_ok(const lk_channel_ring *self, uint64_t head, uint64_t tail) {
  return tail - head <= self->size && head % ALIGNMENT == 0 && tail % ALIGNMENT == 0;
}

/* How many bytes may be written. False: the counters make no sense. */
static bool room(const lk_channel_ring *self, uint64_t tail, size_t *out) {
  uint64_t head = atomic_load_explicit(&self->shared->head, memory_order_acquire);
  *out = self->size - (size_t)lk_min_u64(tail - head, self->size);
  return are_counters_ok(self, head, tail);
}

/* What is in it was written in vain. The reader's counter may be anything: ours has to be a possible one. */
static void take_back(lk_channel_ring *self) {
  uint64_t head = atomic_load(&self->shared->head) / ALIGNMENT * ALIGNMENT;
  atomic_store(&self->shared->tail, head);
}

void lk_channel_ring_take_over_writing(lk_channel_ring *self) {
  size_t ignored;
  if (!room(self, atomic_load(&self->shared->tail), &ignored)) take_back(self);
}

bool lk_channel_ring_take_fault(lk_channel_ring *self) {
  bool was_faulty = self->is_faulty;
  self->is_faulty = false;
  return was_faulty;
}

/* As much of |left| bytes as one piece can hold now. */
static size_t fitting(size_t left, size_t free_bytes) {
  if (piece_size(left) <= free_bytes) return left;
  size_t most = free_bytes > WORD_SIZE ? (free_bytes - WORD_SIZE) / ALIGNMENT * ALIGNMENT : 0;
  most = most > WORD_SIZE ? most - WORD_SIZE : 0;
  return most >= LEAST_PIECE ? most : 0;
}

static void write_piece(lk_channel_ring *self, uint64_t tail, lk_slice bytes, bool is_first) {
  uint8_t *at = place(self, tail);
  lk_store_le32(at, (uint32_t)bytes.len | (is_first ? FIRST_BIT : 0));
  if (bytes.len > 0) memcpy(at + WORD_SIZE, bytes.ptr, bytes.len);
  atomic_store(&self->shared->tail, tail + piece_size(bytes.len));
}

/* As much as fits of what is |left|; false where the ring makes no sense. */
static bool find_room(const lk_channel_ring *self, uint64_t tail, size_t left, size_t *out) {
  size_t free_bytes;
  bool is_sane = room(self, tail, &free_bytes);
  *out = is_sane ? fitting(left, free_bytes) : 0;
  return is_sane;
}

/* Likewise. Where nothing fits it says so, and looks again: the reader may have made room in between. */
static bool insist_on_room(lk_channel_ring *self, uint64_t tail, size_t left, size_t *out) {
  bool is_sane = find_room(self, tail, left, out);
  if (!is_sane || *out > 0) return is_sane;
  atomic_store(&self->shared->wants_room, 1);
  atomic_thread_fence(memory_order_seq_cst);
  return find_room(self, tail, left, out);
}

size_t lk_channel_ring_write(lk_channel_ring *self, lk_slice bytes, bool is_first) {
  uint64_t tail = atomic_load_explicit(&self->shared->tail, memory_order_relaxed);
  size_t done = 0, n;
  while (done < bytes.len) {
    if (!insist_on_room(self, tail, bytes.len - done, &n)) {
      LK_COVERED(channel_ring_cannot_be_written);
      self->is_faulty = true;
      take_back(self);
      return done;
    }
    if (n == 0) break;
    write_piece(self, tail, lk_slice_first(lk_slice_skip(bytes, done), n), is_first && done == 0);
    tail += piece_size(n);
    done += n;
  }
  return done;
}

/* ---- reading ---- */

bool lk_channel_ring_is_empty(const lk_channel_ring *self) {
  return atomic_load(&self->shared->tail) ==
         atomic_load_explicit(&self->shared->head, memory_order_relaxed);
}

/* The next piece before |tail|, where there is one that makes sense. */
static lk_err look(const lk_channel_ring *self, uint64_t head, uint64_t tail, uint32_t *word) {
  if (!are_counters_ok(self, head, tail)) return LK_ERR_CORRUPT;
  if (head == tail) return LK_ERR_END;
  *word = lk_load_le32(place(self, head));
  return piece_size(*word & ~FIRST_BIT) <= tail - head ? LK_OK : LK_ERR_CORRUPT;
}

/* Whatever the writer's counter is, ours is a possible one then, and what follows is read from there. */
static void skip_all(lk_channel_ring *self) {
  uint64_t tail = atomic_load(&self->shared->tail) / ALIGNMENT * ALIGNMENT;
  self->peeked = 0;
  atomic_store(&self->shared->head, tail);
}

void lk_channel_ring_take_over_reading(lk_channel_ring *self) {
  uint64_t head = atomic_load(&self->shared->head), tail = atomic_load(&self->shared->tail);
  uint32_t word;
  lk_err err;
  while ((err = look(self, head, tail, &word)) == LK_OK) head += piece_size(word & ~FIRST_BIT);
  if (err == LK_ERR_CORRUPT) skip_all(self);
}

lk_err lk_channel_ring_peek(lk_channel_ring *self, lk_slice *piece, bool *is_first) {
  uint32_t word;
  uint64_t head = atomic_load_explicit(&self->shared->head, memory_order_relaxed);
  uint64_t tail = atomic_load_explicit(&self->shared->tail, memory_order_acquire);
  lk_err err = look(self, head, tail, &word);
  if (err == LK_ERR_CORRUPT) {
    LK_COVERED(channel_ring_made_no_sense);
    self->is_faulty = true;
    skip_all(self);
  }
  if (err != LK_OK) return err;
  self->peeked = (uint32_t)piece_size(word & ~FIRST_BIT);
  *is_first = (word & FIRST_BIT) != 0;
  *piece = lk_slice_of(place(self, head) + WORD_SIZE, word & ~FIRST_BIT);
  return LK_OK;
}

bool lk_channel_ring_consume(lk_channel_ring *self) {
  uint64_t head = atomic_load_explicit(&self->shared->head, memory_order_relaxed);
  size_t size = self->peeked; /* not what the piece says by now */
  self->peeked = 0;
  /* What was read is not to be found here any more: it may be of a topic that leaves nothing behind. */
  memset(place(self, head), 0, size);
  atomic_store(&self->shared->head, head + size);
  return atomic_load(&self->shared->wants_room) != 0 &&
         atomic_exchange(&self->shared->wants_room, 0) != 0;
}
