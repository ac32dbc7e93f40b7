/* server/links.c -- made whole or not at all. */
#include "server/links.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static size_t process_count(const lk_links *self) {
  return (size_t)self->edges_count + self->rooms_count;
}
static size_t ring_count(const lk_links *self) {
  return 2 * (size_t)self->edges_count * self->rooms_count;
}
static size_t way_count(const lk_links *self) {
  return (size_t)self->edges_count * self->edges_count;
}

static lk_err make_ways(lk_links *self) {
  for (uint32_t from = 0; from < self->edges_count; from++) {
    for (uint32_t to = 0; to < self->edges_count; to++) {
      if (from == to) continue;
      lk_err err = lk_channel_ring_make(lk_links_way(self, from, to), LK_LINKS_RING_BYTES);
      if (err != LK_OK) return err;
    }
  }
  return LK_OK;
}

lk_err lk_links_make(lk_links *self, const lk_alloc *alloc, uint32_t edges, uint32_t rooms) {
  LK_ASSERT(edges > 0 && rooms > 0);
  *self = (lk_links){ .edges_count = edges,
                      .rooms_count = rooms,
                      .supervisor_pid = (uint64_t)getpid(),
                      .blame_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) };
  lk_err err = LK_ERR_NOMEM;
  if (self->blame_fd < 0) {
    *self = (lk_links){ 0 };
    return LK_ERR_LIMIT;
  }
  self->bells = lk_alloc_array(alloc, process_count(self), sizeof *self->bells);
  self->rings = lk_alloc_array(alloc, ring_count(self), sizeof *self->rings);
  if (self->bells != NULL) {
    for (size_t i = 0; i < process_count(self); i++) self->bells[i] = (lk_bell){ .fd = -1 };
  }
  if (self->rings != NULL) memset(self->rings, 0, ring_count(self) * sizeof *self->rings);
  self->ways = lk_alloc_array(alloc, way_count(self), sizeof *self->ways);
  if (self->ways != NULL) memset(self->ways, 0, way_count(self) * sizeof *self->ways);
  if (self->bells == NULL || self->rings == NULL || self->ways == NULL) goto fail;
  void *numbers = mmap(NULL, process_count(self) * sizeof *self->numbers, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (numbers == MAP_FAILED) goto fail;
  self->numbers = numbers;
  for (size_t i = 0; i < process_count(self); i++) {
    if ((err = lk_bell_make(&self->bells[i])) != LK_OK) goto fail;
  }
  for (size_t i = 0; i < ring_count(self); i++) {
    if ((err = lk_channel_ring_make(&self->rings[i], LK_LINKS_RING_BYTES)) != LK_OK) goto fail;
  }
  if ((err = make_ways(self)) == LK_OK) return LK_OK;
fail:
  lk_links_close(self, alloc);
  return err;
}

lk_err lk_links_make_with_webhooks(lk_links *self, const lk_alloc *alloc, uint32_t edges,
                                   uint32_t rooms) {
  lk_err err = lk_links_make(self, alloc, edges + 1, rooms + 1);
  self->has_webhooks = err == LK_OK;
  return err;
}

void lk_links_close(lk_links *self, const lk_alloc *alloc) {
  for (size_t i = 0; self->bells != NULL && i < process_count(self); i++)
    lk_bell_close(&self->bells[i]);
  for (size_t i = 0; self->rings != NULL && i < ring_count(self); i++)
    lk_channel_ring_close(&self->rings[i]);
  for (size_t i = 0; self->ways != NULL && i < way_count(self); i++)
    lk_channel_ring_close(&self->ways[i]);
  if (self->numbers != NULL)
    (void)munmap(self->numbers, process_count(self) * sizeof *self->numbers);
  lk_free_array(alloc, self->bells, process_count(self), sizeof *self->bells);
  lk_free_array(alloc, self->rings, ring_count(self), sizeof *self->rings);
  lk_free_array(alloc, self->ways, way_count(self), sizeof *self->ways);
  if (self->supervisor_pid != 0) (void)close(self->blame_fd);
  *self = (lk_links){ 0 };
}

/* ---- numbers ---- */

static const bool is_counter[] = {
#define NUMBER(name, of, kind, metric, help) (kind)[0] == 'c',
#define HISTOGRAM(name, of, metric, help)
#include "server/numbers.def"
#undef NUMBER
#undef HISTOGRAM
};

void lk_links_begin(lk_links_numbers *self, uint64_t pid) {
  for (int i = 0; i < LK_NUMBERS_COUNT; i++) {
    self->base[i] = is_counter[i] ? atomic_load_explicit(&self->values[i], memory_order_relaxed)
                                  : 0;
    lk_links_say(self, (lk_links_number)i, 0);
  }
  lk_links_set(&self->ready, 0);
  lk_links_set(&self->failed_ms, 0);
  lk_links_set(&self->pid, pid);
}

void lk_links_end(lk_links_numbers *self) {
  for (int i = 0; i < LK_NUMBERS_COUNT; i++) {
    if (!is_counter[i]) lk_links_set(&self->values[i], 0);
  }
  lk_links_set(&self->ready, 0);
  lk_links_set(&self->pid, 0);
}

void lk_links_tell(lk_links_numbers *self, lk_histogram_name which, const lk_histogram *now,
                   lk_histogram *told) {
  lk_links_histogram *cells = &self->histograms[which];
  if (now->sum_us == told->sum_us && memcmp(now, told, sizeof *now) == 0) return;
  for (int i = 0; i < LK_HISTOGRAM_BUCKETS; i++) {
    if (now->counts[i] != told->counts[i])
      lk_links_add(&cells->counts[i], now->counts[i] - told->counts[i]);
  }
  lk_links_add(&cells->sum_us, now->sum_us - told->sum_us);
  *told = *now;
}

bool lk_links_is_ready(const lk_links *self, uint64_t now_ms) {
  for (uint32_t i = 0; i < self->rooms_count; i++) {
    const lk_links_numbers *row = lk_links_room_numbers(self, i);
    uint64_t failed_ms = atomic_load_explicit(&row->failed_ms, memory_order_relaxed);
    if (atomic_load_explicit(&row->ready, memory_order_relaxed) == 0) return false;
    if (failed_ms != 0 && now_ms < failed_ms + LK_LINKS_DOUBT_MS) return false;
  }
  return true;
}

/* ---- what makes no sense ---- */

static void take_over(lk_channel_ring *read, lk_channel_ring *written) {
  lk_channel_ring_take_over_reading(read);
  lk_channel_ring_take_over_writing(written);
}

void lk_links_take_over_edge(const lk_links *self, uint32_t edge) {
  for (uint32_t i = 0; i < self->rooms_count; i++)
    take_over(lk_links_to_edge(self, edge, i), lk_links_to_room(self, edge, i));
  for (uint32_t i = 0; i < self->edges_count; i++) {
    if (i != edge) take_over(lk_links_way(self, i, edge), lk_links_way(self, edge, i));
  }
}

void lk_links_take_over_room(const lk_links *self, uint32_t room) {
  for (uint32_t i = 0; i < self->edges_count; i++)
    take_over(lk_links_to_room(self, i, room), lk_links_to_edge(self, i, room));
}

static void blame(const lk_links *self, lk_channel_ring *one, lk_channel_ring *other,
                  lk_links_numbers *who) {
  const uint64_t count = 1;
  bool is_faulty = lk_channel_ring_take_fault(one);
  if (!lk_channel_ring_take_fault(other) && !is_faulty) return;
  lk_links_set(&who->blamed, atomic_load_explicit(&who->pid, memory_order_relaxed));
  ssize_t ignored = write(self->blame_fd, &count, sizeof count);
  (void)ignored;
}

/* The process for webhooks has one row, among the edges. */
static lk_links_numbers *row_of_room(const lk_links *self, uint32_t room) {
  bool is_webhooks = self->has_webhooks && room + 1 == self->rooms_count;
  return is_webhooks ? lk_links_edge_numbers(self, self->edges_count - 1)
                     : lk_links_room_numbers(self, room);
}

void lk_links_blame_of_edge(const lk_links *self, uint32_t edge) {
  for (uint32_t i = 0; i < self->rooms_count; i++)
    blame(self, lk_links_to_edge(self, edge, i), lk_links_to_room(self, edge, i),
          row_of_room(self, i));
  for (uint32_t i = 0; i < self->edges_count; i++) {
    if (i == edge) continue;
    blame(self, lk_links_way(self, i, edge), lk_links_way(self, edge, i),
          lk_links_edge_numbers(self, i));
  }
}

void lk_links_blame_of_room(const lk_links *self, uint32_t room) {
  for (uint32_t i = 0; i < self->edges_count; i++)
    blame(self, lk_links_to_room(self, i, room), lk_links_to_edge(self, i, room),
          lk_links_edge_numbers(self, i));
}

bool lk_links_is_blamed(lk_links_numbers *self, uint64_t pid) {
  return pid != 0 && atomic_exchange(&self->blamed, 0) == pid;
}

/* ---- frames ---- */

size_t lk_link_send(lk_link_sender *self, lk_slice frames) {
  size_t sent = 0;
  while (sent < frames.len) {
    lk_slice rest = lk_slice_skip(frames, sent);
    bool is_first = self->left == 0;
    if (is_first) self->left = 4 + (size_t)lk_load_le32(rest.ptr);
    size_t n = lk_channel_ring_write(self->ring, lk_slice_first(rest, self->left), is_first);
    if (is_first && n == 0) self->left = 0; /* it has not begun */
    else self->left -= n;
    sent += n;
    if (n == 0 || self->left > 0) break;
  }
  if (sent > 0) lk_bell_ring(self->bell);
  return sent;
}
