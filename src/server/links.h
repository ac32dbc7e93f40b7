/* server/links.h -- what the processes of a server share: rings, bells and numbers.
 *
 *          edge 0   edge 1 ...        for each pair a ring in each direction; for each process a bell and
 *   room 0   ⇅        ⇅               a row of numbers that others may read
 *   room 1   ⇅        ⇅
 *
 * Between each two edges there is a ring in each direction as well. The process for webhooks is an edge to rooms and a room to
 * edges (server/webhook_process.h).
 *
 * The supervisor makes all of it before it starts anybody, and whoever it starts inherits it; so a
 * process that is replaced leaves it to its successor. */
#ifndef LK_SERVER_LINKS_H
#define LK_SERVER_LINKS_H

#include "base/histogram.h"
#include "platform/posix/channel_ring.h"

#define LK_LINKS_RING_BYTES (128u * 1024)

typedef enum lk_links_number {
#define NUMBER(name, of, kind, metric, help) LK_NUMBER_##name,
#define HISTOGRAM(name, of, metric, help)
#include "server/numbers.def"
#undef NUMBER
#undef HISTOGRAM
  LK_NUMBERS_COUNT
} lk_links_number;

typedef enum lk_histogram_name {
#define NUMBER(name, of, kind, metric, help)
#define HISTOGRAM(name, of, metric, help) LK_HISTOGRAM_##name,
#include "server/numbers.def"
#undef NUMBER
#undef HISTOGRAM
  LK_HISTOGRAMS_COUNT
} lk_histogram_name;

typedef struct lk_links_histogram {
  _Atomic uint64_t counts[LK_HISTOGRAM_BUCKETS];
  _Atomic uint64_t sum_us;
} lk_links_histogram;

/* What a process says of itself. Each cell has one writer, so that nobody locks: the process, or the supervisor while
 * there is none. Readers may see one value before another. */
typedef struct lk_links_numbers {
  _Atomic uint64_t values[LK_NUMBERS_COUNT];
  uint64_t base[LK_NUMBERS_COUNT]; /* of counters: what those before had said; the process's own */
  lk_links_histogram histograms[LK_HISTOGRAMS_COUNT];
  _Atomic uint64_t failed_ms; /* the monotonic time at which its storage failed last; 0: never */
  _Atomic uint64_t ready;     /* 1: it does its work */
  _Atomic uint64_t pid;       /* 0: there is none */
  _Atomic uint64_t starts;    /* processes in this place so far: the supervisor's */
  _Atomic uint64_t blamed;    /* the pid of a process that has to be ended: whoever found why, for the supervisor */
} lk_links_numbers;

static inline void lk_links_say(lk_links_numbers *self, lk_links_number which, uint64_t value) {
  atomic_store_explicit(&self->values[which], self->base[which] + value, memory_order_relaxed);
}
static inline void lk_links_set(_Atomic uint64_t *cell, uint64_t value) {
  atomic_store_explicit(cell, value, memory_order_relaxed);
}
/* For the one writer of |cell|. */
static inline void lk_links_add(_Atomic uint64_t *cell, uint64_t value) {
  lk_links_set(cell, atomic_load_explicit(cell, memory_order_relaxed) + value);
}
static inline void lk_links_observe(lk_links_numbers *self, lk_histogram_name which, uint64_t us) {
  lk_links_add(&self->histograms[which].counts[lk_histogram_bucket(us)], 1);
  lk_links_add(&self->histograms[which].sum_us, us);
}

/* The process, when it begins: counters go on, gauges are 0. */
void lk_links_begin(lk_links_numbers *self, uint64_t pid);
/* The supervisor, when the process has ended. */
void lk_links_end(lk_links_numbers *self);
/* Adds what is new in |now| since |told|, which becomes |now|. */
void lk_links_tell(lk_links_numbers *self, lk_histogram_name which, const lk_histogram *now,
                   lk_histogram *told);

static inline uint64_t lk_links_hear(const lk_links_numbers *self, lk_links_number which) {
  return atomic_load_explicit(&self->values[which], memory_order_relaxed);
}

typedef struct lk_links {
  uint32_t edges_count; /* the process for webhooks included, which has the last place of the edges */
  uint32_t rooms_count; /* and the last of the rooms */
  bool has_webhooks;
  lk_bell *bells;            /* of edges, then of rooms */
  lk_channel_ring *rings;    /* [edge][room][0: to the room, 1: to the edge] */
  lk_channel_ring *ways;     /* [edge from][edge to]; there is none from an edge to itself */
  lk_links_numbers *numbers; /* in shared memory; of edges, then of rooms */
  uint64_t supervisor_pid;   /* who made them */
  int blame_fd;              /* an eventfd: readable where somebody was blamed */
} lk_links;

/* Those that have clients, and those that have rooms. */
static inline uint32_t lk_links_edges(const lk_links *self) {
  return self->edges_count - self->has_webhooks;
}
static inline uint32_t lk_links_rooms(const lk_links *self) {
  return self->rooms_count - self->has_webhooks;
}

/* Whether every room can be reached and written to: all room processes do their work, and the storage of none has failed
 * within LK_LINKS_DOUBT_MS. |now_ms| is the monotonic time. */
#define LK_LINKS_DOUBT_MS 10000
bool lk_links_is_ready(const lk_links *self, uint64_t now_ms);

/* LK_ERR_LIMIT, LK_ERR_NOMEM: nothing is held. */
lk_err lk_links_make(lk_links *self, const lk_alloc *alloc, uint32_t edges,
                     uint32_t rooms) LK_MUST_USE;
/* The same with a process for webhooks, which is one more of either. */
lk_err lk_links_make_with_webhooks(lk_links *self, const lk_alloc *alloc, uint32_t edges,
                                   uint32_t rooms) LK_MUST_USE;
/* Safe on a zeroed struct, and twice. */
void lk_links_close(lk_links *self, const lk_alloc *alloc);

static inline lk_bell *lk_links_edge_bell(const lk_links *self, uint32_t edge) {
  LK_ASSERT(edge < self->edges_count);
  return &self->bells[edge];
}
static inline lk_bell *lk_links_room_bell(const lk_links *self, uint32_t room) {
  LK_ASSERT(room < self->rooms_count);
  return &self->bells[self->edges_count + room];
}
static inline lk_channel_ring *lk_links_to_room(const lk_links *self, uint32_t edge,
                                                uint32_t room) {
  return &self->rings[2 * (edge * self->rooms_count + room)];
}
static inline lk_channel_ring *lk_links_to_edge(const lk_links *self, uint32_t edge,
                                                uint32_t room) {
  return &self->rings[2 * (edge * self->rooms_count + room) + 1];
}
/* What polls travel on (channel/relay.h). |from| is not |to|. */
static inline lk_channel_ring *lk_links_way(const lk_links *self, uint32_t from, uint32_t to) {
  LK_ASSERT(from != to && from < self->edges_count && to < self->edges_count);
  return &self->ways[from * self->edges_count + to];
}
static inline lk_links_numbers *lk_links_edge_numbers(const lk_links *self, uint32_t edge) {
  return &self->numbers[edge];
}
static inline lk_links_numbers *lk_links_room_numbers(const lk_links *self, uint32_t room) {
  return &self->numbers[self->edges_count + room];
}

/* ---- what makes no sense ---- */

/* A process mends its end of each ring when it begins, so that nobody is blamed for what its predecessor left. */
void lk_links_take_over_edge(const lk_links *self, uint32_t edge);
void lk_links_take_over_room(const lk_links *self, uint32_t room);

/* Where a ring made no sense to this process, the one at its other end is blamed: the supervisor kills it. Once in a turn. */
void lk_links_blame_of_edge(const lk_links *self, uint32_t edge);
void lk_links_blame_of_room(const lk_links *self, uint32_t room);

/* The supervisor: the process that |pid| was of this row is to be killed. Forgets it. */
bool lk_links_is_blamed(lk_links_numbers *self, uint64_t pid);

/* ---- sending frames ---- */

/* Bus frames (channel/bus.h) go into a ring one by one, so that whoever reads it knows where each begins. */
typedef struct lk_link_sender {
  lk_channel_ring *ring;
  lk_bell *bell; /* the reader's */
  size_t left;   /* of a frame of which a part is in the ring */
} lk_link_sender;

/* Puts what fits of |frames| into the ring, and rings. How many bytes that were: the caller lets them go. */
size_t lk_link_send(lk_link_sender *self, lk_slice frames);

#endif
