/* room/house.c -- which rooms are open, who is in them, and what their journals are doing.
 *
 * A topic has an entry from the first join until its room has been idle for a while:
 *
 *            first join                    journal open, both slots read, kind->open
 *   (none) ────────────> LOADING ─────────────────────────────────────> OPEN
 *                           │ storage error: joins refused                │ idle, STOP, step failed
 *                           v                                             v
 *                        CLOSING <───────────────────────────────────────┘
 *                           │ nothing under way, files closed; joins came meanwhile: LOADING again, else GONE
 *
 * Two places hold what a room is. The journal (log/journal.h) has the records of all rooms, one write and
 * one sync for as many as came together. The keeper of each entry (room/keeper.h) has its snapshots. A
 * completion of the storage finds the journal or its entry by lk_io.user.
 *
 * A change and its record
 * -----------------------
 *   JOURNAL effect ──> UNSENT ──append──> FLYING ──DURABLE──> JOURNALED to the room, which answers
 *                        │ the journal's batch is full: wait, in order
 *
 * Appending is done when a public call ends, and then one flush. The record goes into the topic's tail
 * (room/tails.h) as it is appended, so the tail may hold what is not durable yet. A room that ends meanwhile
 * is opened again only when that is decided: its entry stays in CLOSING until then. Otherwise
 * it could give out the same count for a second change, or show a change that a crash takes back.
 *
 * Snapshots
 * ---------
 * A snapshot holds exactly the records that are durable, and says up to which index. When it is durable
 * itself, the tail is cut to what follows, and the journal is told the oldest record that anybody needs.
 * One is taken when
 *
 *   the tail has grown beyond room_tail_bytes and twice the state, so that each byte is rewritten once at most;
 *   the room is put away, so that what is not open has no tail, unless a house died;
 *   the journal has grown beyond house_journal_bytes, of the topic with the oldest record, which is opened
 *   for that where it is not open.
 *
 * The journal fails
 * -----------------
 *   OPENING ──> OPEN ── error ──> ENDING ── closed ──> PAUSED ── 1 s, 2 s, ... 30 s ──> OPENING
 *                  └─ lk_house_end ─┘ └──────────────> ENDED
 *
 * Whether what was appended last is there, only opening again tells. So every room that is kept is dropped,
 * and nobody who waits for an answer gets one. Joins wait while the journal opens, and are refused while
 * it ends or pauses. Where a snapshot fails, only its room is dropped.
 *
 * An edge and its generation
 * --------------------------
 * Each edge has a place that outlives it. HELLO makes both sides known to each other; before that, what
 * an edge sends is passed over, since it was meant for a house that died. An edge with another
 * generation is another process: the members of the one before are gone.
 *
 *   house starts: HELLO h ──> edge: HELLO e (answers h), RESTORE*, JOIN*, MESSAGE* (those unanswered)
 *   edge starts:  HELLO e ──> house: HELLO h ──> as above
 *
 * An edge that has to begin again, since it did not take what it was sent or sent what is no message, is
 * greeted with the next number.
 *
 * What has been applied
 * ---------------------
 * A request that changes a room is answered when the journal has it. If the house dies between the two,
 * the request comes again, and must not be applied again. So each record has marks: the numbers of the requests
 * whose changes are in it, which are all that were open when it was made and that no earlier record has. A
 * snapshot has those of the records in it, but for requests whose edges know them to be answered: an
 * edge says with each request below which number all is answered, so they are few (room/kept.h).
 *
 * Members are found by their number's lower half in a table of their edge, entries by topic. An entry
 * that is done with leaves the map at once, so that a new join makes a new one, but its memory goes only
 * when the public call that was running ends: whatever called it may still look.
 *
 * Always: busy_count is the number of keepers with something under way; an entry in LOADING or
 * CLOSING has no room; inputs wait only there; an entry that is kept is OPEN only while the journal is; what
 * flies is in order of index, and every index in it is above what is durable.
 *
 * Not chosen: a journal for each room, which is a sync for each; the whole state in each record, which is what
 * the slots were before (docs/decisions/016). */
#include "room/house.h"

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "channel/bus.h"
#include "channel/window.h"
#include "codec/varint.h"
#include "crypto/sha256.h"
#include "log/journal.h"
#include "room/attendance.h"
#include "room/kept.h"
#include "room/keeper.h"
#include "room/tails.h"

#define ROOM_IDLE_MS 30000
#define REOPEN_FIRST_MS 1000
#define REOPEN_LAST_MS 30000
#define RELIEF_RETRY_MS 30000 /* a room that could not be opened for its snapshot */
#define EDGE_SHIFT 56
#define INDEX_MASK UINT32_MAX

typedef struct entry entry;

typedef enum member_state { MEMBER_WAITS, MEMBER_JOINS, MEMBER_IN } member_state;

typedef struct member {
  lk_link link; /* of the entry's members, once it is in */
  entry *entry;
  uint64_t number; /* the edge in the top byte, below it the edge's own number */
  member_state state;
  uint32_t asked_count; /* of its requests, those that are not answered */
} member;

typedef struct edge {
  lk_bus_reader reader;
  lk_buf out;
  size_t out_off;
  member **members; /* by the lower half of the edge's number */
  uint32_t members_cap;
  uint32_t members_count;
  lk_window asked;   /* request -> asked */
  uint64_t greeting; /* which of our greetings it must answer */
  uint64_t generation;
  uint64_t settled; /* it knows that all below are answered */
  bool greeted;     /* its messages are meant for us */
} edge;

/* A request that a room has not answered. */
typedef struct asked {
  lk_link link; /* of the entry's requests */
  entry *entry;
  uint64_t member;
  uint64_t request;
  uint64_t ticket; /* of the journal that covers it; 0: none yet */
  bool is_handed;  /* the room has it; else it waits for the room */
} asked;

/* A request that is in the state. */
typedef struct applied {
  lk_mark mark;
  bool is_durable; /* its record is */
} applied;

/* What is under way of the record of a room. */
typedef enum flight { FLIGHT_NONE, FLIGHT_UNSENT, FLIGHT_FLYING } flight;

typedef enum entry_state { ENTRY_LOADING, ENTRY_OPEN, ENTRY_CLOSING, ENTRY_GONE } entry_state;

/* What came while the room was not there. */
typedef struct waiting_input {
  lk_link link;
  lk_bus_kind kind;
  bool binary;
  bool again;
  uint64_t member;
  uint64_t request;
  lk_rights rights;
  uint32_t event_len;
  uint32_t subject_len;
  uint32_t payload_len;
  uint8_t bytes[]; /* event, subject, payload */
} waiting_input;

typedef struct entry_timer {
  lk_heap_item item;
  entry *entry;
} entry_timer;

struct entry {
  lk_house *house;
  lk_link gone_link;
  const lk_room_kind *kind;
  lk_room *room; /* ENTRY_OPEN */
  entry_state state;
  lk_keeper keeper;
  flight flight;
  lk_link flight_link;  /* on house.unsent or house.flying */
  lk_tail_item *unsent; /* the record, while it is that */
  uint64_t ticket;      /* of the record */
  uint64_t index;       /* of the record, once it is appended */
  uint64_t journaled;   /* the room has every record of its up to this index, and knows */
  uint64_t keeping;     /* the index of the snapshot under way */
  size_t kept_len;      /* of the last snapshot */
  bool is_snapshotting; /* from SNAPSHOT to the keeper's completion */
  bool is_leaving;      /* and then it is put away */
  lk_list waiting;      /* inputs, in order of arrival */
  size_t waiting_bytes; /* of those, bounded by limits.ws_output_bytes */
  lk_list members;      /* those who are in, in order of joining */
  lk_list asked;        /* in order of arrival */
  applied *applied;     /* in the state, in no order that matters */
  uint32_t applied_count;
  uint32_t applied_cap;
  lk_map recovered;     /* those of |applied| that an earlier house applied: may come again */
  entry_timer idle;     /* no members for ROOM_IDLE_MS: put the room away */
  entry_timer timer;    /* the room's own */
  entry_timer presence; /* there is something to tell of who is there */
  lk_attendance attendance;
  uint64_t number; /* of this entry among all that the house has had */
  uint32_t topic_len;
  uint32_t edge_members[]; /* for each edge how many members; behind them the topic */
};

typedef enum journal_state {
  JOURNAL_OPENING,
  JOURNAL_OPEN,
  JOURNAL_ENDING,
  JOURNAL_PAUSED,
  JOURNAL_ENDED
} journal_state;

struct lk_house {
  const lk_env *env;
  const lk_limits *limits;
  lk_storage *storage;
  lk_slice level;
  uint64_t generation;
  lk_prng ids;    /* what inputs call entropy: clients see it as ids */
  lk_prng seeds;  /* of hashes: nobody may guess them */
  lk_map entries; /* topic -> entry * */
  lk_heap timers; /* entries' idle and timer items */
  lk_list gone;   /* entries to free when the running call ends */
  lk_buf kept;    /* one record or snapshot */
  lk_journal journal;
  journal_state journal_state;
  lk_err journal_err;    /* why it is not open */
  bool is_ending;        /* lk_house_end() */
  uint64_t durable;      /* the last index that is */
  uint64_t appended;     /* the last index that there is */
  uint64_t reopen_at_ms; /* JOURNAL_PAUSED */
  uint64_t reopen_ms;    /* the next pause */
  uint64_t relief_at_ms; /* not before that */
  lk_list unsent;        /* entries, in the order of their JOURNAL effects */
  lk_list flying;        /* entries, in the order of their indexes */
  lk_tails tails;
  edge *edges;
  uint32_t edges_count;
  uint64_t busy_count;
  uint64_t entries_made;
  lk_slice joining; /* the payload of the join that is being answered */
  uint64_t now_ms;
  lk_house_stats stats;
};

/* ---- numbers ---- */

static uint64_t number_of(uint32_t edge_index, uint64_t own) {
  return (uint64_t)edge_index << EDGE_SHIFT | own;
}
static uint32_t edge_of(uint64_t number) { return (uint32_t)(number >> EDGE_SHIFT); }
static uint64_t own_of(uint64_t number) { return number & ((UINT64_C(1) << EDGE_SHIFT) - 1); }

static size_t entry_size(const lk_house *self, size_t topic_len) {
  return sizeof(entry) + self->edges_count * sizeof(uint32_t) + topic_len;
}

static uint8_t *topic_at(entry *e) { return (uint8_t *)(e->edge_members + e->house->edges_count); }
static lk_slice entry_topic(entry *e) { return lk_slice_of(topic_at(e), e->topic_len); }

static void draw_seed(lk_house *self, uint64_t seed[2]) {
  seed[0] = lk_prng_u64(&self->seeds);
  seed[1] = lk_prng_u64(&self->seeds);
}

/* Who sees enough numbers of one generator knows its state. So the streams are derived by a hash that
 * does not lead back: the ids that clients see say nothing about the seeds of the maps. */
static void derive_stream(uint64_t entropy, lk_slice purpose, lk_prng *out) {
  lk_sha256 hash;
  uint8_t bytes[8], digest[LK_SHA256_LEN];
  lk_store_le64(bytes, entropy);
  lk_sha256_init(&hash);
  lk_sha256_update(&hash, purpose);
  lk_sha256_update(&hash, lk_slice_of(bytes, sizeof bytes));
  lk_sha256_final(&hash, digest);
  for (size_t i = 0; i < 4; i++) out->state[i] = lk_load_le64(digest + 8 * i);
}

/* ---- what edges are told ---- */

/* An edge that does not take what it is sent is dead, or will be: it begins again with a new HELLO. */
static void give_up(lk_house *self, edge *to);

static void tell(lk_house *self, uint32_t to, const lk_bus_message *message) {
  edge *e = &self->edges[to];
  if (!e->greeted) return;
  lk_err err = lk_bus_encode(message, self->limits->bus_frame_bytes, &e->out);
  if (err != LK_OK) {
    LK_COVERED(house_edge_given_up);
    give_up(self, e);
  }
}

static void settle(lk_house *self, uint64_t number, uint64_t request);

static void answer(lk_house *self, uint64_t number, uint64_t request, lk_bus_kind kind,
                   lk_slice status, lk_slice payload, bool binary) {
  settle(self, number, request);
  tell(self, edge_of(number),
       &(lk_bus_message){ .kind = kind,
                          .request = request,
                          .event = status,
                          .payload = payload,
                          .binary = binary });
}

static void tell_crash(lk_house *self, uint64_t number, lk_slice reason) {
  tell(self, edge_of(number),
       &(lk_bus_message){ .kind = LK_BUS_CRASH, .member = own_of(number), .event = reason });
}

/* ---- members ---- */

static member *find_member(const lk_house *self, uint64_t number) {
  uint64_t index = number & INDEX_MASK;
  const edge *e = &self->edges[edge_of(number)];
  member *m = index < e->members_cap ? e->members[index] : NULL;
  return m != NULL && m->number == number ? m : NULL;
}

static lk_err make_place(lk_house *self, edge *e, uint64_t index) {
  size_t cap;
  uint64_t most = (uint64_t)self->limits->server_connections_count *
                  self->limits->channel_topics_count;
  if (index < e->members_cap) return LK_OK;
  if (index >= most || !lk_grow_cap(e->members_cap, (size_t)index + 1, 64, UINT32_MAX / 2, &cap))
    return LK_ERR_LIMIT;
  member **members = lk_resize_array(self->env->alloc, e->members, e->members_cap, cap,
                                     sizeof *members);
  if (members == NULL) return LK_ERR_NOMEM;
  memset(members + e->members_cap, 0, (cap - e->members_cap) * sizeof *members);
  e->members = members;
  e->members_cap = (uint32_t)cap;
  return LK_OK;
}

static lk_err make_member(entry *at, uint64_t number, member **out) {
  lk_house *self = at->house;
  edge *e = &self->edges[edge_of(number)];
  uint64_t index = number & INDEX_MASK;
  lk_err err = make_place(self, e, index);
  if (err != LK_OK) return err;
  if (e->members[index] != NULL) return LK_ERR_EXISTS; /* the edge has lost count */
  member *m = lk_alloc_bytes(self->env->alloc, sizeof *m);
  if (m == NULL) return LK_ERR_NOMEM;
  *m = (member){ .entry = at, .number = number, .state = MEMBER_WAITS };
  e->members[index] = m;
  e->members_count++;
  *out = m;
  return LK_OK;
}

static void free_member(lk_house *self, member *m) {
  edge *e = &self->edges[edge_of(m->number)];
  if (m->state == MEMBER_IN) {
    lk_list_remove(&m->entry->members, &m->link);
    m->entry->edge_members[edge_of(m->number)]--;
  }
  e->members[m->number & INDEX_MASK] = NULL;
  e->members_count--;
  lk_free_bytes(self->env->alloc, m, sizeof *m);
}

static bool let_in(member *m) {
  entry *e = m->entry;
  if (e->members.count >= e->house->limits->room_members_count) return false;
  m->state = MEMBER_IN;
  lk_list_push_last(&e->members, &m->link);
  e->edge_members[edge_of(m->number)]++;
  return true;
}

/* ---- requests ---- */

static void free_asked(lk_house *self, asked *a) {
  member *m = find_member(self, a->member);
  if (m != NULL) m->asked_count--;
  lk_list_remove(&a->entry->asked, &a->link);
  lk_free_bytes(self->env->alloc, a, sizeof *a);
}

/* The request is answered, or nobody waits for its answer. */
static void settle(lk_house *self, uint64_t number, uint64_t request) {
  asked *a = lk_window_take(&self->edges[edge_of(number)].asked, request);
  if (a != NULL) free_asked(self, a);
}

/* LK_ERR_RANGE: the edge has used the number before. */
static lk_err note_asked(entry *e, uint64_t number, uint64_t request) {
  lk_house *self = e->house;
  asked *a = lk_alloc_bytes(self->env->alloc, sizeof *a);
  if (a == NULL) return LK_ERR_NOMEM;
  *a = (asked){ .entry = e, .member = number, .request = request };
  lk_err err = lk_window_put(&self->edges[edge_of(number)].asked, request, a);
  if (err != LK_OK) {
    lk_free_bytes(self->env->alloc, a, sizeof *a);
    return err;
  }
  lk_list_push_last(&e->asked, &a->link);
  find_member(self, number)->asked_count++; /* its caller has looked */
  return LK_OK;
}

/* What |m| asked and nobody answered is forgotten. Most who leave have asked for nothing, and look at nothing. */
static void forget_asked(member *m) {
  entry *e = m->entry;
  for (lk_link *at = e->asked.first, *next; m->asked_count > 0 && at != NULL; at = next) {
    asked *a = LK_CONTAINER(at, asked, link);
    next = at->next;
    if (a->member == m->number) settle(e->house, a->member, a->request);
  }
}

/* What the room was asked and did not answer is forgotten with it; |all|: also what waits for the next one. */
static void forget_handed(entry *e, bool all) {
  for (lk_link *at = e->asked.first, *next; at != NULL; at = next) {
    asked *a = LK_CONTAINER(at, asked, link);
    next = at->next;
    if (all || a->is_handed) settle(e->house, a->member, a->request);
  }
}

static lk_slice mark_key(const lk_mark *mark, uint8_t bytes[20]) {
  lk_store_le32(bytes, mark->edge);
  lk_store_le64(bytes + 4, mark->generation);
  lk_store_le64(bytes + 12, mark->request);
  return lk_slice_of(bytes, 20);
}

static bool was_applied(const entry *e, uint64_t number, uint64_t request) {
  uint8_t bytes[20];
  const lk_mark mark = { e->house->edges[edge_of(number)].generation, request, edge_of(number) };
  return lk_map_get(&e->recovered, mark_key(&mark, bytes)) != NULL;
}

static lk_err note_applied(entry *e, applied a) {
  size_t cap;
  if (e->applied_count == e->applied_cap) {
    if (!lk_grow_cap(e->applied_cap, (size_t)e->applied_count + 1, 8,
                     (size_t)e->house->limits->bus_requests_count * LK_HOUSE_EDGES_MAX, &cap))
      return LK_ERR_LIMIT;
    applied *items = lk_resize_array(e->house->env->alloc, e->applied, e->applied_cap, cap,
                                     sizeof *items);
    if (items == NULL) return LK_ERR_NOMEM;
    e->applied = items;
    e->applied_cap = (uint32_t)cap;
  }
  e->applied[e->applied_count++] = a;
  return LK_OK;
}

/* May |mark| come again? Not from an edge that is gone, and not where the edge has the answer. An edge that
 * has not greeted us yet may be any. */
static bool may_come_again(const lk_house *self, const lk_mark *mark) {
  if (mark->edge >= self->edges_count) return false;
  const edge *e = &self->edges[mark->edge];
  if (!e->greeted) return true;
  return mark->generation == e->generation && mark->request >= e->settled;
}

static void prune_applied(entry *e) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < e->applied_count; i++) {
    if (may_come_again(e->house, &e->applied[i].mark)) e->applied[kept++] = e->applied[i];
  }
  e->applied_count = kept;
}

/* ---- entries ---- */

static void stop_timer(lk_house *house, entry_timer *timer) {
  if (timer->item.place != LK_HEAP_OUT) lk_heap_remove(&house->timers, &timer->item);
}

static void stop_timers(entry *e) {
  stop_timer(e->house, &e->idle);
  stop_timer(e->house, &e->timer);
  stop_timer(e->house, &e->presence);
}

static size_t waiting_size(const waiting_input *w) {
  return sizeof *w + w->event_len + w->subject_len + w->payload_len;
}

/* The record of |e| is not waited for any more. One that was appended may be there in the end. */
static void forget_flight(entry *e) {
  lk_house *house = e->house;
  if (e->flight == FLIGHT_NONE) return;
  lk_list_remove(e->flight == FLIGHT_UNSENT ? &house->unsent : &house->flying, &e->flight_link);
  if (e->flight == FLIGHT_UNSENT) lk_tails_unmake(&house->tails, e->unsent);
  e->unsent = NULL;
  e->flight = FLIGHT_NONE;
}

static bool is_at_rest(const entry *e) {
  return e->flight == FLIGHT_NONE && !lk_keeper_is_busy(&e->keeper);
}

/* |w| is on the list no more. */
static void free_waiting(entry *e, waiting_input *w) {
  e->waiting_bytes -= waiting_size(w);
  lk_free_bytes(e->house->env->alloc, w, waiting_size(w));
}

static void free_entry(entry *e) {
  lk_house *house = e->house;
  const lk_alloc *alloc = house->env->alloc;
  if (e->room != NULL) e->kind->close(e->room);
  stop_timers(e);
  forget_flight(e);
  for (lk_link *at; (at = lk_list_pop_first(&e->waiting)) != NULL;) {
    free_waiting(e, LK_CONTAINER(at, waiting_input, link));
  }
  forget_handed(e, true);
  lk_free_array(alloc, e->applied, e->applied_cap, sizeof *e->applied);
  lk_map_deinit(&e->recovered);
  lk_attendance_deinit(&e->attendance);
  lk_keeper_deinit(&e->keeper);
  lk_free_bytes(alloc, e, entry_size(house, e->topic_len));
}

static size_t kept_bytes_max(const lk_limits *limits) {
  return (size_t)limits->crdt_state_bytes +
         (size_t)limits->bus_requests_count * LK_KEPT_MARK_LEN_MAX + LK_KEPT_HEAD_LEN_MAX;
}

static lk_err make_entry(lk_house *self, lk_slice topic, const lk_room_kind *kind, entry **out) {
  uint64_t seed[2];
  void *slot;
  bool is_new;
  const lk_alloc *alloc = self->env->alloc;
  size_t size = entry_size(self, topic.len);
  entry *e = lk_alloc_bytes(alloc, size);
  if (e == NULL) return LK_ERR_NOMEM;
  lk_err err = lk_map_put(&self->entries, topic, &slot, &is_new);
  if (err != LK_OK) {
    lk_free_bytes(alloc, e, size);
    return err;
  }
  memset(e, 0, size);
  e->house = self;
  e->kind = kind;
  e->idle = (entry_timer){ LK_HEAP_ITEM_INIT, e };
  e->timer = (entry_timer){ LK_HEAP_ITEM_INIT, e };
  e->presence = (entry_timer){ LK_HEAP_ITEM_INIT, e };
  e->number = ++self->entries_made;
  e->topic_len =
      (uint32_t)topic.len; /* the edge's session bounds names, bus_frame_bytes at least */
  memcpy(topic_at(e), topic.ptr, topic.len);
  lk_keeper_init(&e->keeper, alloc, self->storage, topic, kept_bytes_max(self->limits), e);
  draw_seed(self, seed);
  lk_map_init(&e->recovered, alloc, 0, UINT32_MAX / 4, seed);
  *(entry **)slot = e;
  *out = e;
  return LK_OK;
}

static entry *find_entry(const lk_house *self, lk_slice topic) {
  entry **at = lk_map_get(&self->entries, topic);
  return at == NULL ? NULL : *at;
}

/* An open room without members is put away after a while. */
static void watch_idle(entry *e) {
  lk_heap *timers = &e->house->timers;
  bool is_idle = e->state == ENTRY_OPEN && e->members.count == 0;
  if (!is_idle) {
    stop_timer(e->house, &e->idle);
  } else if (e->idle.item.place == LK_HEAP_OUT) {
    /* Without memory for the timer the room stays until the next member leaves. */
    (void)!lk_heap_push(timers, &e->idle.item, e->house->now_ms + ROOM_IDLE_MS);
  }
}

static void open_and_let_in(entry *e, lk_slice kept, bool is_intact, lk_err err);

static void load(entry *e) {
  e->house->busy_count++;
  lk_keeper_load(&e->keeper);
}

/* A room that keeps nothing is open at once; others wait for a journal that is being opened. */
static void begin_loading(entry *e) {
  LK_ASSERT(e->room == NULL && is_at_rest(e));
  e->state = ENTRY_LOADING;
  if (!e->kind->is_kept) {
    open_and_let_in(e, LK_SLICE_EMPTY, true, LK_OK);
    return;
  }
  switch (e->house->journal_state) {
  case JOURNAL_OPENING: break;
  case JOURNAL_OPEN: load(e); break;
  case JOURNAL_ENDING:
  case JOURNAL_PAUSED:
  case JOURNAL_ENDED:
    LK_COVERED(house_refuses_without_journal);
    open_and_let_in(e, LK_SLICE_EMPTY, true, e->house->journal_err);
    break;
  }
}

/* The files are closed. Who wanted to join meanwhile gets the room as it is now in the storage. */
static void finish_closing(entry *e) {
  if (e->waiting.count > 0) {
    LK_COVERED(hub_room_opened_again_after_a_drop);
    begin_loading(e);
    return;
  }
  e->state = ENTRY_GONE;
  (void)lk_map_remove(&e->house->entries, entry_topic(e));
  lk_list_push_last(&e->house->gone, &e->gone_link);
}

static void begin_closing(entry *e) {
  if (lk_keeper_close(&e->keeper)) e->house->busy_count++;
  else finish_closing(e);
}

static void sweep(lk_house *self) {
  for (lk_link *at; (at = lk_list_pop_first(&self->gone)) != NULL;) {
    free_entry(LK_CONTAINER(at, entry, gone_link));
  }
}

static bool is_of_storage(lk_err why) {
  return why == LK_ERR_IO || why == LK_ERR_SYNC || why == LK_ERR_NO_SPACE ||
         why == LK_ERR_PERMISSION || why == LK_ERR_CORRUPT || why == LK_ERR_CHECKSUM;
}

/* The room goes; its members are told why, so that they come back. Where its record or its snapshot is
 * under way, the completion goes on from here. */
static void entry_drop(entry *e, lk_err why) {
  lk_house *house = e->house;
  lk_trace_emit(house->env, LK_TRACE_room_stopped, (uint64_t)why, 0, entry_topic(e));
  if (e->room != NULL) e->kind->close(e->room);
  e->room = NULL;
  e->state = ENTRY_CLOSING;
  if (why != LK_OK) house->stats.rooms_dropped++;
  if (is_of_storage(why)) house->stats.storage_failures++;
  forget_handed(e, false);
  while (e->members.first != NULL) {
    member *m = LK_CONTAINER(e->members.first, member, link);
    uint64_t number = m->number;
    free_member(house, m);
    tell_crash(house, number, LK_LIT("storage"));
  }
  e->applied_count = 0;
  lk_map_deinit(&e->recovered);
  lk_attendance_deinit(&e->attendance);
  e->number = ++house->entries_made;
  stop_timers(e);
  e->is_snapshotting = e->is_leaving = false;
  if (e->flight == FLIGHT_UNSENT) forget_flight(e);
  if (is_at_rest(e)) begin_closing(e);
}

/* ---- what a room wants done ---- */

static lk_err step_room(entry *e, lk_room_input input) {
  input.now_ms = e->house->now_ms;
  input.entropy = lk_prng_u64(&e->house->ids);
  return e->kind->step(e->room, &input);
}

static void answer_accept(lk_house *self, const lk_room_effect *effect, bool hears) {
  settle(self, effect->member, effect->request);
  tell(self, edge_of(effect->member),
       &(lk_bus_message){ .kind = LK_BUS_ACCEPT,
                          .audience = hears ? LK_BUS_WAITERS : LK_BUS_ALL,
                          .request = effect->request,
                          .payload = effect->payload,
                          .binary = effect->binary,
                          .dialect = effect->dialect });
}

/* ---- who is there ---- */

static lk_attendance_context attendance_context(entry *e) {
  lk_house *house = e->house;
  return (lk_attendance_context){ .env = house->env,
                                  .limits = house->limits,
                                  .node = { house->generation, e->number },
                                  .entropy = lk_prng_u64(&house->ids),
                                  .now_ms = house->now_ms };
}

/* What changed is told when the window ends. Without memory for the timer it is told with a later change. */
static void watch_presence(entry *e) {
  lk_heap *timers = &e->house->timers;
  uint64_t deadline = lk_attendance_deadline(&e->attendance);
  if (deadline == LK_PRESENCE_NEVER) stop_timer(e->house, &e->presence);
  else if (e->presence.item.place != LK_HEAP_OUT) lk_heap_move(timers, &e->presence.item, deadline);
  else (void)!lk_heap_push(timers, &e->presence.item, deadline);
}

static lk_err enter_attendance(entry *e, uint64_t number, lk_slice payload, bool *hears) {
  lk_attendance_context context = attendance_context(e);
  lk_err err = lk_attendance_enter(&e->attendance, &context, number, payload, hears);
  watch_presence(e);
  return err;
}

static void leave_attendance(entry *e, uint64_t number) {
  lk_attendance_leave(&e->attendance, number, e->house->now_ms);
  watch_presence(e);
}

static void tell_presence(entry *e, lk_bus_audience audience, lk_slice event, lk_slice payload) {
  for (uint32_t i = 0; payload.len > 0 && i < e->house->edges_count; i++) {
    if (e->edge_members[i] == 0) continue;
    tell(e->house, i,
         &(lk_bus_message){ .kind = LK_BUS_BROADCAST,
                            .audience = audience,
                            .topic = entry_topic(e),
                            .event = event,
                            .payload = payload });
  }
}

/* First the changes, to those who know the rest; then the state, to those who know nothing. */
static void tell_attendance(entry *e) {
  lk_slice diff, state;
  lk_err err = lk_attendance_tick(&e->attendance, e->house->now_ms, &diff, &state);
  if (err == LK_OK) {
    tell_presence(e, LK_BUS_HEARERS, LK_LIT("presence_diff"), diff);
    tell_presence(e, LK_BUS_WAITERS, LK_LIT("presence_state"), state);
  }
  watch_presence(e);
}

/* Names and texts of errors need no escapes. */
static lk_slice presence_refusal(lk_house *self, lk_err why) {
  lk_buf *out = &self->kept;
  lk_buf_truncate(out, 0);
  (void)lk_buf_append(out, LK_LIT("{\"reason\":\""));
  (void)lk_buf_append(out, lk_slice_cstr(lk_err_name(why)));
  (void)lk_buf_append(out, LK_LIT("\",\"field\":\"presence\",\"message\":\""));
  (void)lk_buf_append(out, lk_slice_cstr(lk_err_text(why)));
  return lk_buf_append(out, LK_LIT("\"}")) == LK_OK ? lk_buf_slice(out) : LK_LIT("{}");
}

static void change_attendance(entry *e, uint64_t number, uint64_t request, lk_slice event,
                              lk_slice payload) {
  lk_attendance_context context = attendance_context(e);
  lk_err err = lk_attendance_change(&e->attendance, &context, number, event, payload);
  watch_presence(e);
  answer(e->house, number, request, LK_BUS_REPLY, err == LK_OK ? LK_LIT("ok") : LK_LIT("error"),
         err == LK_OK ? LK_LIT("{}") : presence_refusal(e->house, err), false);
}

/* ---- answers ---- */

static void do_accept(entry *e, const lk_room_effect *effect) {
  lk_house *house = e->house;
  member *m = find_member(house, effect->member);
  bool hears = false;
  if (m == NULL) return; /* left meanwhile */
  lk_err err = enter_attendance(e, effect->member, house->joining, &hears);
  if (err == LK_OK && !let_in(m)) err = LK_ERR_FULL;
  if (err != LK_OK) {
    leave_attendance(e, effect->member);
    free_member(house, m);
    answer(house, effect->member, effect->request, LK_BUS_REFUSE, LK_SLICE_EMPTY,
           err == LK_ERR_FULL ? LK_LIT("{\"reason\":\"room full\"}") : presence_refusal(house, err),
           false);
    return;
  }
  answer_accept(house, effect, hears);
  lk_trace_emit(house->env, LK_TRACE_room_joined, effect->member, e->members.count, entry_topic(e));
}

static void do_refuse(entry *e, const lk_room_effect *effect) {
  member *m = find_member(e->house, effect->member);
  if (m == NULL) return;
  free_member(e->house, m);
  answer(e->house, effect->member, effect->request, LK_BUS_REFUSE, LK_SLICE_EMPTY, effect->payload,
         effect->binary);
}

static void do_reply(entry *e, const lk_room_effect *effect) {
  if (find_member(e->house, effect->member) == NULL) return;
  answer(e->house, effect->member, effect->request, LK_BUS_REPLY,
         effect->ok ? LK_LIT("ok") : LK_LIT("error"), effect->payload, effect->binary);
}

static void do_push(entry *e, const lk_room_effect *effect) {
  if (find_member(e->house, effect->member) == NULL) return;
  tell(e->house, edge_of(effect->member),
       &(lk_bus_message){ .kind = LK_BUS_PUSH,
                          .member = own_of(effect->member),
                          .event = effect->event,
                          .payload = effect->payload,
                          .binary = effect->binary });
}

/* One message for each edge that has somebody in the room: it knows who. */
static void do_broadcast(entry *e, const lk_room_effect *effect) {
  lk_house *house = e->house;
  for (uint32_t i = 0; i < house->edges_count; i++) {
    bool is_there = effect->member != 0 && edge_of(effect->member) == i;
    if (e->edge_members[i] == 0) continue;
    tell(house, i,
         &(lk_bus_message){ .kind = LK_BUS_BROADCAST,
                            .member = is_there ? own_of(effect->member) : 0,
                            .topic = entry_topic(e),
                            .event = effect->event,
                            .payload = effect->payload,
                            .binary = effect->binary });
  }
}

/* Every open request that no record covered yet is in this one. The marks are the last of e->applied. */
static lk_err cover(entry *e, uint64_t ticket) {
  for (lk_link *at = e->asked.last; at != NULL; at = at->prev) {
    asked *a = LK_CONTAINER(at, asked, link);
    if (!a->is_handed) continue;
    if (a->ticket != 0) break; /* and so all before it */
    a->ticket = ticket;
    const lk_mark mark = { e->house->edges[edge_of(a->member)].generation, a->request,
                           edge_of(a->member) };
    lk_err err = note_applied(e, (applied){ .mark = mark });
    if (err != LK_OK) return err;
  }
  return LK_OK;
}

/* Appends those marks of |e| that are durable, or those that are not: the others. */
static void encode_marks(entry *e, bool durable, lk_buf *out) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < e->applied_count; i++) count += e->applied[i].is_durable == durable;
  (void)lk_varuint_encode(out, count);
  for (uint32_t i = 0; i < e->applied_count; i++) {
    if (e->applied[i].is_durable == durable) (void)lk_kept_encode_mark(out, &e->applied[i].mark);
  }
}

/* One record at a time: the room waits for its completion. It is appended when the running call ends. */
static lk_err do_journal(entry *e, const lk_room_effect *effect) {
  lk_house *house = e->house;
  LK_ASSERT(e->flight == FLIGHT_NONE && e->kind->is_kept);
  prune_applied(e);
  lk_err err = cover(e, effect->ticket);
  if (err != LK_OK) return err;
  lk_buf_truncate(&house->kept, 0);
  encode_marks(e, false, &house->kept);
  err = lk_buf_append(&house->kept, effect->payload);
  if (err != LK_OK) return err;
  err = lk_tails_make(&house->tails, entry_topic(e), lk_buf_slice(&house->kept), &e->unsent);
  if (err != LK_OK) return err;
  e->ticket = effect->ticket;
  e->flight = FLIGHT_UNSENT;
  lk_list_push_last(&house->unsent, &e->flight_link);
  return LK_OK;
}

/* Its marks are those of durable records only: the change of another one is not in it. */
static lk_err do_snapshot(entry *e, const lk_room_effect *effect) {
  lk_house *house = e->house;
  LK_ASSERT(e->is_snapshotting && !lk_keeper_is_busy(&e->keeper));
  prune_applied(e);
  lk_buf_truncate(&house->kept, 0);
  (void)lk_kept_encode_snapshot_head(&house->kept, e->journaled);
  encode_marks(e, true, &house->kept);
  lk_err err = lk_buf_append(&house->kept, effect->payload);
  if (err == LK_OK) err = lk_keeper_keep(&e->keeper, lk_buf_slice(&house->kept));
  if (err != LK_OK) return err;
  e->keeping = e->journaled;
  e->kept_len = house->kept.len;
  house->busy_count++;
  return LK_OK;
}

static lk_err do_timer(entry *e, uint64_t at_ms) {
  if (e->timer.item.place != LK_HEAP_OUT) {
    lk_heap_move(&e->house->timers, &e->timer.item, at_ms);
    return LK_OK;
  }
  return lk_heap_push(&e->house->timers, &e->timer.item, at_ms);
}

/* Carries out what the room's last step left behind. May drop the room. */
static void entry_drain(entry *e) {
  lk_room_effect effect;
  lk_err err = LK_OK;
  while (err == LK_OK && e->kind->poll(e->room, &effect)) {
    switch (effect.kind) {
    case LK_ROOM_ACCEPT: do_accept(e, &effect); break;
    case LK_ROOM_REFUSE: do_refuse(e, &effect); break;
    case LK_ROOM_REPLY: do_reply(e, &effect); break;
    case LK_ROOM_PUSH: do_push(e, &effect); break;
    case LK_ROOM_BROADCAST: do_broadcast(e, &effect); break;
    case LK_ROOM_JOURNAL: err = do_journal(e, &effect); break;
    case LK_ROOM_SNAPSHOT_DONE: err = do_snapshot(e, &effect); break;
    case LK_ROOM_TIMER: err = do_timer(e, effect.at_ms); break;
    case LK_ROOM_STOP: err = effect.result != LK_OK ? effect.result : LK_ERR_STATE; break;
    }
  }
  if (err != LK_OK) entry_drop(e, err);
  else watch_idle(e);
}

static void refuse_join(lk_house *self, uint64_t number, uint64_t request, lk_slice payload) {
  member *m = find_member(self, number);
  if (m != NULL) free_member(self, m);
  answer(self, number, request, LK_BUS_REFUSE, LK_SLICE_EMPTY, payload, false);
}

/* One input to an open room, and what follows from it. May drop the room; whoever was joining is
 * told that it did not work. */
static void run_room(entry *e, lk_room_input input) {
  e->house->joining = input.kind == LK_ROOM_JOIN ? input.payload : LK_SLICE_EMPTY;
  uint64_t room = e->number;
  lk_err err = step_room(e, input);
  if (err == LK_OK) entry_drain(e);
  else entry_drop(e, err);
  const member *m = input.kind == LK_ROOM_JOIN ? find_member(e->house, input.member) : NULL;
  if (m == NULL || m->state != MEMBER_JOINS) return;
  LK_ASSERT(e->number != room); /* a room answers a join at once, or it is gone */
  refuse_join(e->house, input.member, input.request, LK_LIT("{\"reason\":\"room crashed\"}"));
}

/* From here on a record covers the request. */
static void ask_room(entry *e, lk_room_input input) {
  asked *a = lk_window_get(&e->house->edges[edge_of(input.member)].asked, input.request);
  if (a == NULL || a->entry != e) return; /* the edge has used its number for something else */
  a->is_handed = true;
  e->house->stats.requests++;
  run_room(e, input);
}

/* A member of before comes in without asking. Where there is no more room for it, it must join again. */
static void restore(entry *e, member *m, lk_room_input input) {
  uint64_t number = m->number;
  if (!let_in(m)) {
    free_member(e->house, m);
    tell_crash(e->house, number, LK_LIT("room full"));
    return;
  }
  bool ignored;
  lk_err err = enter_attendance(e, number, input.payload, &ignored);
  if (err != LK_OK) LK_COVERED(house_restored_without_presence);
  input.kind = LK_ROOM_RESTORE;
  input.member = number;
  run_room(e, input);
}

/* ---- opening ---- */

static void refuse_waiting(entry *e, lk_err why) {
  lk_house *house = e->house;
  lk_buf text;
  lk_buf_init(&text, house->env->alloc, 256);
  lk_buf_append(&text, LK_LIT("{\"reason\":\"storage\",\"message\":\""));
  lk_buf_append(&text, lk_slice_cstr(lk_err_name(why)));
  lk_buf_append(&text, LK_LIT("\"}"));
  lk_slice response = lk_buf_err(&text) == LK_OK ? lk_buf_slice(&text) : LK_LIT("{}");
  for (lk_link *at; (at = lk_list_pop_first(&e->waiting)) != NULL;) {
    waiting_input *w = LK_CONTAINER(at, waiting_input, link);
    member *m = find_member(house, w->member);
    if (w->kind == LK_BUS_JOIN) {
      refuse_join(house, w->member, w->request, response);
    } else if (w->kind == LK_BUS_MESSAGE) {
      answer(house, w->member, w->request, LK_BUS_LATE, LK_SLICE_EMPTY, LK_SLICE_EMPTY, false);
    } else if (m != NULL) {
      free_member(house, m);
      tell_crash(house, w->member, LK_LIT("storage"));
    }
    free_waiting(e, w);
  }
  lk_buf_deinit(&text);
}

static void take_in(entry *e, const waiting_input *w) {
  lk_slice rest = lk_slice_of(w->bytes, waiting_size(w) - sizeof *w);
  member *m = find_member(e->house, w->member);
  lk_room_input input = { .kind = w->kind == LK_BUS_JOIN ? LK_ROOM_JOIN : LK_ROOM_MESSAGE,
                          .member = w->member,
                          .request = w->request,
                          .event = lk_slice_first(rest, w->event_len),
                          .subject = lk_slice_first(lk_slice_skip(rest, w->event_len),
                                                    w->subject_len),
                          .payload = lk_slice_skip(rest, (size_t)w->event_len + w->subject_len),
                          .rights = w->rights,
                          .binary = w->binary };
  if (m == NULL) { /* its join was refused */
    answer(e->house, w->member, w->request, LK_BUS_LATE, LK_SLICE_EMPTY, LK_SLICE_EMPTY, false);
    return;
  }
  if (w->kind == LK_BUS_RESTORE) {
    restore(e, m, input);
    return;
  }
  if (w->kind == LK_BUS_MESSAGE && lk_attendance_knows(input.event)) {
    change_attendance(e, w->member, w->request, input.event, input.payload);
    return;
  }
  if (w->kind == LK_BUS_JOIN) m->state = MEMBER_JOINS;
  else input.applied = w->again && was_applied(e, w->member, w->request);
  if (input.applied) e->house->stats.repeated++;
  ask_room(e, input);
}

/* What waited goes in, in its order. Any of it may drop the room: the rest then waits for the next
 * loading. */
static void let_waiting_in(entry *e) {
  while (e->state == ENTRY_OPEN && e->waiting.count > 0) {
    waiting_input *w = LK_CONTAINER(lk_list_pop_first(&e->waiting), waiting_input, link);
    take_in(e, w);
    free_waiting(e, w);
  }
  if (e->state == ENTRY_OPEN) watch_idle(e); /* those who waited may all have left */
}

/* The edge may ask for it again: it is known as applied. */
static lk_err note_recovered(entry *e, const lk_mark *mark) {
  uint8_t bytes[20];
  void *value;
  bool is_new;
  if (!may_come_again(e->house, mark)) return LK_OK;
  lk_err err = note_applied(e, (applied){ *mark, true });
  return err == LK_OK ? lk_map_put(&e->recovered, mark_key(mark, bytes), &value, &is_new) : err;
}

/* Takes the marks out of |rest|; |*bytes| are the room's. */
static lk_err read_kept(entry *e, lk_slice rest, lk_slice *bytes) {
  lk_kept kept;
  lk_err err = lk_kept_decode(rest, &kept);
  lk_reader marks = lk_reader_of(kept.marks);
  for (uint64_t i = 0; err == LK_OK && i < kept.marks_count; i++) {
    lk_mark mark;
    err = lk_kept_decode_mark(&marks, &mark);
    if (err == LK_OK) err = note_recovered(e, &mark);
  }
  if (err == LK_OK) *bytes = kept.bytes;
  return err;
}

/* Nothing was ever kept where |kept| is empty. */
static lk_err read_snapshot(entry *e, lk_slice kept, lk_slice *state) {
  lk_slice rest;
  uint64_t index = 0;
  *state = LK_SLICE_EMPTY;
  e->journaled = 0;
  if (kept.len == 0) return LK_OK;
  lk_err err = lk_kept_decode_snapshot(kept, &index, &rest);
  if (err == LK_OK) err = read_kept(e, rest, state);
  /* Later than all that the journal has: it lost records, and would give their numbers to others, which this
   * room would then take for old. */
  if (err == LK_OK && index > e->house->durable) err = LK_ERR_CORRUPT;
  if (err == LK_OK) e->journaled = index;
  return err;
}

/* |*records| is an array of |*count|, to be freed. */
static lk_err read_tail(entry *e, lk_slice **records, size_t *count) {
  lk_house *house = e->house;
  const lk_tail *tail = lk_tails_find(&house->tails, entry_topic(e));
  lk_err err = LK_OK;
  size_t i = 0;
  *records = NULL;
  *count = tail == NULL ? 0 : tail->items.count;
  if (tail == NULL) return LK_OK;
  *records = lk_alloc_array(house->env->alloc, *count, sizeof **records);
  if (*records == NULL) return LK_ERR_NOMEM;
  for (lk_link *at = tail->items.first; err == LK_OK && at != NULL; at = at->next) {
    lk_tail_item *item = LK_CONTAINER(at, lk_tail_item, of_tail);
    LK_ASSERT(item->index <= house->durable);
    e->journaled = item->index;
    err = read_kept(e, lk_slice_of(item->bytes, item->len), &(*records)[i++]);
  }
  return err;
}

static lk_err open_room(entry *e, lk_slice kept, bool is_intact) {
  lk_house *house = e->house;
  lk_slice state, *records = NULL;
  size_t count = 0;
  lk_err err = read_snapshot(e, kept, &state);
  if (err == LK_OK) {
    e->kept_len = kept.len;
    lk_tails_drop(&house->tails, entry_topic(e), e->journaled); /* what is loaded is durable */
    err = read_tail(e, &records, &count);
  }
  if (err == LK_OK) {
    lk_room_options options = { .env = house->env,
                                .limits = house->limits,
                                .topic = entry_topic(e),
                                .recovered = state,
                                .records = records,
                                .records_count = count,
                                .intact = is_intact,
                                .level = house->level,
                                .entropy = lk_prng_u64(&house->ids) };
    err = e->kind->open(&options, &e->room);
  }
  if (records != NULL) lk_free_array(house->env->alloc, records, count, sizeof *records);
  return err;
}

static void watch_tail(entry *e);

/* The topic that holds the journal cannot be opened: not again at once. */
static void put_off_relief(entry *e) {
  lk_house *house = e->house;
  const lk_tail_item *oldest = lk_tails_oldest(&house->tails);
  if (oldest != NULL && lk_slice_equal(lk_tail_topic(oldest->tail), entry_topic(e)))
    house->relief_at_ms = house->now_ms + RELIEF_RETRY_MS;
}

/* |err| says how the loading of |kept| went. */
static void open_and_let_in(entry *e, lk_slice kept, bool is_intact, lk_err err) {
  if (err == LK_OK) err = open_room(e, kept, is_intact);
  lk_keeper_release(&e->keeper);
  if (err != LK_OK) {
    put_off_relief(e);
    refuse_waiting(e, err);
    entry_drop(e, err);
    return;
  }
  lk_trace_emit(e->house->env, LK_TRACE_room_opened, e->waiting.count, kept.len, entry_topic(e));
  e->state = ENTRY_OPEN;
  let_waiting_in(e);
  watch_tail(e);
}

/* ---- snapshots ---- */

/* The journal needs to keep only what is behind the snapshots. */
static void retire(lk_house *self) {
  const lk_tail_item *oldest = lk_tails_oldest(&self->tails);
  if (self->journal_state != JOURNAL_OPEN) return;
  lk_journal_retire(&self->journal, oldest != NULL ? oldest->index : self->appended + 1);
}

/* Asks for one, unless it would hold nothing that the last one has not. May drop the room. */
static void begin_snapshot(entry *e) {
  const lk_tail *tail = lk_tails_find(&e->house->tails, entry_topic(e));
  if (e->is_snapshotting || tail == NULL || lk_tail_first(tail)->index > e->journaled) return;
  e->is_snapshotting = true;
  run_room(e, (lk_room_input){ .kind = LK_ROOM_SNAPSHOT });
}

/* An open room whose tail has grown long gets a snapshot. */
static void watch_tail(entry *e) {
  if (e->state != ENTRY_OPEN || !e->kind->is_kept) return;
  const lk_tail *tail = lk_tails_find(&e->house->tails, entry_topic(e));
  if (tail == NULL || tail->bytes <= e->house->limits->room_tail_bytes) return;
  if (tail->bytes / 2 > e->kept_len) begin_snapshot(e);
}

static bool has_tail(entry *e) { return lk_tails_find(&e->house->tails, entry_topic(e)) != NULL; }

/* Nobody has been in the room for a while. */
static void put_away(entry *e) {
  if (!is_at_rest(e) || e->is_snapshotting) {
    watch_idle(e); /* look again later */
  } else if (has_tail(e)) {
    e->is_leaving = true;
    begin_snapshot(e);
  } else {
    LK_COVERED(hub_idle_room_put_away);
    entry_drop(e, LK_OK);
  }
}

static void on_snapshot_kept(entry *e) {
  bool is_leaving = e->is_leaving;
  e->is_snapshotting = e->is_leaving = false;
  if (!is_leaving || e->members.count > 0) return;
  if (is_at_rest(e) && !has_tail(e)) {
    LK_COVERED(house_put_away_behind_its_snapshot);
    entry_drop(e, LK_OK);
  } else {
    watch_idle(e);
  }
}

/* Where the journal has grown long, the topic that needs its oldest record is kept whole; one that is not open
 * is opened for that. */
static void relieve(lk_house *self) {
  const lk_tail_item *oldest = lk_tails_oldest(&self->tails);
  if (self->journal_state != JOURNAL_OPEN || self->now_ms < self->relief_at_ms) return;
  if (lk_tails_span(&self->tails) <= self->limits->house_journal_bytes) return;
  lk_slice topic = lk_tail_topic(oldest->tail);
  entry *e = find_entry(self, topic);
  if (e != NULL) {
    if (e->state == ENTRY_OPEN) begin_snapshot(e);
    return;
  }
  const lk_room_kind *kind = lk_room_kind_of(topic);
  if (kind == NULL || !kind->is_kept || make_entry(self, topic, kind, &e) != LK_OK) {
    self->relief_at_ms = self->now_ms + RELIEF_RETRY_MS;
    return;
  }
  LK_COVERED(house_opens_a_room_for_its_snapshot);
  begin_loading(e);
}

/* ---- what the keeper reports ---- */

static void on_kept(entry *e) {
  lk_err result = e->keeper.result;
  if (result == LK_OK) {
    e->house->stats.snapshots++;
    lk_trace_emit(e->house->env, LK_TRACE_room_kept, e->keeping, e->kept_len, entry_topic(e));
    lk_tails_drop(&e->house->tails, entry_topic(e), e->keeping);
    retire(e->house);
  }
  if (e->state != ENTRY_OPEN) { /* the room was dropped meanwhile */
    if (is_at_rest(e)) begin_closing(e);
  } else if (result != LK_OK) {
    entry_drop(e, result); /* which slot is whole, only loading tells */
  } else {
    on_snapshot_kept(e);
  }
}

static void on_loaded(entry *e) {
  if (e->state == ENTRY_LOADING) {
    open_and_let_in(e, e->keeper.state, e->keeper.intact, e->keeper.result);
    return;
  }
  lk_keeper_release(&e->keeper); /* the journal failed meanwhile */
  begin_closing(e);
}

/* The operation of |e| that was under way is complete. */
static void advance_keeper(entry *e) {
  lk_keeper_event event = lk_keeper_advance(&e->keeper);
  if (event == LK_KEEPER_BUSY) return;
  e->house->busy_count--;
  switch (event) {
  case LK_KEEPER_BUSY: break;
  case LK_KEEPER_LOADED: on_loaded(e); break;
  case LK_KEEPER_KEPT: on_kept(e); break;
  case LK_KEEPER_CLOSED: finish_closing(e); break;
  }
}

/* ---- the journal ---- */

static lk_err append(entry *e) {
  lk_house *house = e->house;
  lk_tail_item *item = e->unsent;
  lk_slice topic = entry_topic(e);
  uint8_t len[LK_VARUINT_LEN_MAX];
  const lk_slice parts[] = { lk_slice_of(len, lk_varuint_store(len, topic.len)), topic,
                             lk_slice_of(item->bytes, item->len) };
  lk_err err = lk_journal_append(&house->journal, LK_KEPT_RECORD, parts, 3, &e->index);
  if (err != LK_OK) return err;
  house->appended = e->index;
  lk_tails_put(&house->tails, item, e->index);
  lk_list_remove(&house->unsent, &e->flight_link);
  lk_list_push_last(&house->flying, &e->flight_link);
  e->unsent = NULL;
  e->flight = FLIGHT_FLYING;
  return LK_OK;
}

/* All that waits, or as much as the batch has room for: the rest goes when that is durable. */
static void append_unsent(lk_house *self) {
  while (self->unsent.first != NULL) {
    entry *e = LK_CONTAINER(self->unsent.first, entry, flight_link);
    lk_err err = append(e);
    if (err == LK_ERR_FULL) {
      LK_COVERED(house_waits_for_the_batch_before);
      return;
    }
    if (err != LK_OK) entry_drop(e, err);
  }
}

/* The record of |e| is durable. */
static void land(entry *e) {
  forget_flight(e);
  e->house->stats.journals++;
  if (e->state != ENTRY_OPEN) {
    LK_COVERED(house_record_landed_without_its_room);
    if (is_at_rest(e)) begin_closing(e);
    return;
  }
  e->journaled = e->index;
  for (uint32_t i = e->applied_count; i-- > 0 && !e->applied[i].is_durable;)
    e->applied[i].is_durable = true;
  lk_trace_emit(e->house->env, LK_TRACE_room_journaled, e->ticket, e->index, entry_topic(e));
  run_room(e, (lk_room_input){ .kind = LK_ROOM_JOURNALED, .ticket = e->ticket });
  watch_tail(e);
}

/* What flies with an index up to |durable| is answered. */
static void land_up_to(lk_house *self, uint64_t durable) {
  while (self->flying.first != NULL) {
    entry *e = LK_CONTAINER(self->flying.first, entry, flight_link);
    if (e->index > durable) return;
    land(e);
  }
}

/* While opening: to be known before any room is. */
static lk_err note_record(lk_house *self, const lk_journal_event *event) {
  lk_slice topic, rest;
  lk_tail_item *item;
  if (event->kind != LK_KEPT_RECORD) return LK_ERR_VERSION;
  lk_err err = lk_kept_decode_record(event->body, &topic, &rest);
  if (err == LK_OK) err = lk_tails_make(&self->tails, topic, rest, &item);
  if (err == LK_OK) lk_tails_put(&self->tails, item, event->index);
  return err;
}

static void on_journal_opened(lk_house *self, uint64_t index) {
  uint32_t cursor = 0;
  lk_slice topic;
  void *value;
  self->journal_state = JOURNAL_OPEN;
  self->durable = self->appended = index;
  while (lk_map_next(&self->entries, &cursor, &topic, &value)) {
    entry *e = *(entry **)value;
    if (e->state == ENTRY_LOADING && is_at_rest(e)) load(e);
  }
}

/* |e| has to do with the journal, which is gone. */
static void abandon(entry *e, lk_err why) {
  bool was_flying = e->flight != FLIGHT_NONE;
  forget_flight(e);
  switch (e->state) {
  case ENTRY_OPEN: entry_drop(e, why); break;
  case ENTRY_LOADING:
    refuse_waiting(e, why);
    entry_drop(e, why);
    break;
  case ENTRY_CLOSING:
    if (was_flying && is_at_rest(e)) begin_closing(e);
    break;
  case ENTRY_GONE: break;
  }
}

/* What was not durable may be there or not. */
static void on_journal_failed(lk_house *self, lk_err why) {
  uint32_t cursor = 0;
  lk_slice topic;
  void *value;
  self->journal_state = JOURNAL_ENDING;
  self->journal_err = why;
  self->stats.journal_failures++;
  self->stats.storage_failures++;
  lk_trace_emit(self->env, LK_TRACE_journal_failed, (uint64_t)why, 0, LK_SLICE_EMPTY);
  while (lk_map_next(&self->entries, &cursor, &topic, &value)) {
    entry *e = *(entry **)value;
    if (e->kind->is_kept) abandon(e, why);
  }
  lk_tails_clear(&self->tails);
  lk_journal_close(&self->journal);
}

static void on_journal_closed(lk_house *self) {
  if (self->is_ending) {
    self->journal_state = JOURNAL_ENDED;
    return;
  }
  self->journal_state = JOURNAL_PAUSED;
  self->reopen_at_ms = self->now_ms + self->reopen_ms;
  self->reopen_ms = lk_min_u64(self->reopen_ms * 2, REOPEN_LAST_MS);
}

static void on_journal_event(lk_house *self, const lk_journal_event *event) {
  lk_err err;
  switch (event->what) {
  case LK_JOURNAL_RECORD:
    if (self->journal_state != JOURNAL_OPENING) return; /* the one before was refused */
    if ((err = note_record(self, event)) != LK_OK) on_journal_failed(self, err);
    return;
  case LK_JOURNAL_OPENED: on_journal_opened(self, event->index); return;
  case LK_JOURNAL_DURABLE:
    self->durable = event->index;
    self->reopen_ms = REOPEN_FIRST_MS;
    land_up_to(self, event->index);
    return;
  case LK_JOURNAL_RETIRED: return;
  case LK_JOURNAL_FAILED:
    if (self->journal_state != JOURNAL_ENDING) on_journal_failed(self, event->err);
    return;
  case LK_JOURNAL_CLOSED: on_journal_closed(self); return;
  }
}

static void poll_journal(lk_house *self) {
  lk_journal_event event;
  while (lk_journal_poll(&self->journal, &event)) on_journal_event(self, &event);
}

static void open_journal(lk_house *self) {
  self->journal_state = JOURNAL_OPENING;
  lk_journal_open(&self->journal);
  poll_journal(self);
}

/* What the call that is running left to be done: one write for all rooms that changed. */
static void end_call(lk_house *self) {
  relieve(self);
  append_unsent(self);
#ifdef LK_BUG_ACK_APPENDED /* planted for the simulator, which must find it: sim/README.md */
  land_up_to(self, self->appended);
#endif
  lk_journal_flush(&self->journal);
  poll_journal(self);
  sweep(self);
}

/* ---- what edges say ---- */

static lk_err queue_input(entry *e, uint64_t number, const lk_bus_message *m) {
  lk_house *house = e->house;
  size_t size = sizeof(waiting_input) + m->event.len + m->subject.len + m->payload.len;
  /* What was in the room before may always come back. */
  if (m->kind != LK_BUS_RESTORE && (e->waiting_bytes > house->limits->ws_output_bytes ||
                                    size > house->limits->ws_output_bytes - e->waiting_bytes))
    return LK_ERR_LIMIT;
  waiting_input *w = lk_alloc_bytes(house->env->alloc, size);
  if (w == NULL) return LK_ERR_NOMEM;
  *w = (waiting_input){
    .kind = m->kind,
    .binary = m->binary,
    .again = m->again,
    .member = number,
    .request = m->request,
    .rights = m->rights,
    .event_len = (uint32_t)m->event.len, /* a frame's length has 32 bits */
    .subject_len = (uint32_t)m->subject.len,
    .payload_len = (uint32_t)m->payload.len,
  };
  const lk_slice parts[] = { m->event, m->subject, m->payload };
  uint8_t *at = w->bytes;
  for (size_t i = 0; i < 3; i++) {
    if (parts[i].len > 0) memcpy(at, parts[i].ptr, parts[i].len);
    at += parts[i].len;
  }
  e->waiting_bytes += size;
  lk_list_push_last(&e->waiting, &w->link);
  return LK_OK;
}

static void refuse_entry(lk_house *self, uint64_t number, const lk_bus_message *m) {
  if (m->kind == LK_BUS_JOIN)
    refuse_join(self, number, m->request, LK_LIT("{\"reason\":\"server full\"}"));
  else tell_crash(self, number, LK_LIT("server full"));
}

/* JOIN and RESTORE: the room is there, or will be. */
static void on_entering(lk_house *self, uint64_t number, const lk_bus_message *m) {
  const lk_room_kind *kind = lk_room_kind_of(m->topic);
  entry *e = find_entry(self, m->topic);
  member *who;
  lk_err err = LK_OK;
  if (kind == NULL) {
    if (m->kind == LK_BUS_JOIN)
      answer(self, number, m->request, LK_BUS_UNMATCHED, LK_SLICE_EMPTY, LK_SLICE_EMPTY, false);
    else tell_crash(self, number, LK_LIT("unmatched topic"));
    return;
  }
  const bool is_new = e == NULL;
  if (is_new) err = make_entry(self, m->topic, kind, &e);
  if (err != LK_OK) {
    refuse_entry(self, number, m);
    return;
  }
  err = make_member(e, number, &who);
  if (err == LK_OK && m->kind == LK_BUS_JOIN && (err = note_asked(e, number, m->request)) != LK_OK)
    free_member(self, who);
  if (err == LK_OK && e->state == ENTRY_OPEN && !is_new) {
    if (m->kind == LK_BUS_RESTORE) {
      restore(e, who,
              (lk_room_input){ .payload = m->payload, .rights = m->rights, .subject = m->subject });
    } else {
      who->state = MEMBER_JOINS;
      ask_room(e, (lk_room_input){ .kind = LK_ROOM_JOIN,
                                   .member = number,
                                   .request = m->request,
                                   .payload = m->payload,
                                   .rights = m->rights,
                                   .subject = m->subject });
    }
    return;
  }
  if (err == LK_OK && (err = queue_input(e, number, m)) != LK_OK) free_member(self, who);
  if (is_new)
    begin_loading(e); /* also without the join: the entry is there and finds its way out */
  if (err == LK_ERR_EXISTS || err == LK_ERR_RANGE) give_up(self, &self->edges[edge_of(number)]);
  else if (err != LK_OK) refuse_entry(self, number, m);
}

static void remove_member(lk_house *self, member *m) {
  entry *e = m->entry;
  uint64_t number = m->number;
  bool was_in = m->state == MEMBER_IN;
  for (lk_link *at = e->waiting.first, *next; at != NULL; at = next) {
    waiting_input *w = LK_CONTAINER(at, waiting_input, link);
    next = at->next;
    if (w->member != number) continue;
    lk_list_remove(&e->waiting, at);
    free_waiting(e, w);
  }
  forget_asked(m);
  free_member(self, m);
  if (e->state != ENTRY_OPEN) return;
  leave_attendance(e, number);
  if (was_in) {
    lk_trace_emit(self->env, LK_TRACE_room_left, number, e->members.count, entry_topic(e));
  }
  run_room(e, (lk_room_input){ .kind = LK_ROOM_LEAVE, .member = number });
}

static void on_leave(lk_house *self, uint64_t number) {
  member *m = find_member(self, number);
  if (m != NULL) remove_member(self, m);
}

/* A message that comes right behind its join waits with it, as it would in Phoenix. */
static void on_message(lk_house *self, uint64_t number, const lk_bus_message *m) {
  member *who = find_member(self, number);
  if (who == NULL) {
    answer(self, number, m->request, LK_BUS_LATE, LK_SLICE_EMPTY, LK_SLICE_EMPTY, false);
    return;
  }
  entry *e = who->entry;
  lk_err err = note_asked(e, number, m->request);
  if (err == LK_ERR_RANGE) {
    give_up(self, &self->edges[edge_of(number)]);
    return;
  }
  if (err == LK_OK && e->state == ENTRY_OPEN && who->state == MEMBER_IN &&
      lk_attendance_knows(m->event)) {
    change_attendance(e, number, m->request, m->event, m->payload);
    return;
  }
  if (err == LK_OK && e->state == ENTRY_OPEN && who->state == MEMBER_IN) {
    bool is_applied = m->again && was_applied(e, number, m->request);
    if (is_applied) self->stats.repeated++;
    ask_room(e, (lk_room_input){ .kind = LK_ROOM_MESSAGE,
                                 .member = number,
                                 .request = m->request,
                                 .event = m->event,
                                 .payload = m->payload,
                                 .binary = m->binary,
                                 .rights = m->rights,
                                 .applied = is_applied });
    return;
  }
  if (err == LK_OK)
    err = who->state == MEMBER_WAITS ? queue_input(e, number, m) : LK_ERR_NOT_JOINED;
  if (err == LK_OK) return;
  answer(self, number, m->request, LK_BUS_REPLY, LK_LIT("error"),
         err == LK_ERR_NOT_JOINED ? LK_LIT("{\"reason\":\"not joined\"}")
                                  : LK_LIT("{\"reason\":\"server full\"}"),
         false);
}

/* ---- edges ---- */

static void greet(lk_house *self, edge *to) {
  lk_bus_message hello = { .kind = LK_BUS_HELLO,
                           .generation = to->greeting,
                           .answers = to->generation };
  lk_err err = lk_bus_encode(&hello, self->limits->bus_frame_bytes, &to->out);
  /* Without it the edge goes on asking. */
  if (err != LK_OK) LK_COVERED(house_hello_without_memory);
}

static void forget_members(lk_house *self, edge *e) {
  for (uint32_t i = 0; i < e->members_cap && e->members_count > 0; i++) {
    if (e->members[i] != NULL) remove_member(self, e->members[i]);
  }
}

/* What waits for it will not be read by whoever comes next. */
static void give_up(lk_house *self, edge *to) {
  to->greeted = false;
  to->greeting++;
  lk_bus_forget(&to->out, to->out_off);
  greet(self, to);
}

static void on_hello(lk_house *self, uint32_t index, const lk_bus_message *m) {
  edge *e = &self->edges[index];
  bool is_ours = m->answers == e->greeting;
  if (is_ours && e->greeted && e->generation == m->generation) return;
  /* It restores its members from here on; what we believe of it is over, whoever it is. */
  e->greeted = false;
  forget_members(self, e);
  lk_window_deinit(&e->asked);
  lk_window_init(&e->asked, self->env->alloc, self->limits->bus_requests_count);
  e->generation = m->generation;
  e->settled = 0;
  e->greeted = is_ours;
  if (!is_ours) greet(self, e);
}

static void on_message_of_edge(lk_house *self, uint32_t index, const lk_bus_message *m) {
  edge *e = &self->edges[index];
  uint64_t number = number_of(index, own_of(m->member));
  if (m->kind == LK_BUS_HELLO) {
    on_hello(self, index, m);
    return;
  }
  if (!e->greeted) return;
  e->settled = lk_max_u64(e->settled, m->settled);
  switch (m->kind) {
  case LK_BUS_JOIN:
  case LK_BUS_RESTORE: on_entering(self, number, m); break;
  case LK_BUS_MESSAGE: on_message(self, number, m); break;
  case LK_BUS_LEAVE: on_leave(self, number); break;
  default: break; /* what only houses say */
  }
}

void lk_house_feed(lk_house *self, uint32_t index, lk_slice bytes, bool boundary, uint64_t now_ms) {
  LK_ASSERT(index < self->edges_count);
  lk_bus_message m;
  lk_err err;
  edge *e = &self->edges[index];
  self->now_ms = lk_max_u64(self->now_ms, now_ms);
  if (boundary) lk_bus_reader_boundary(&e->reader);
  while ((err = lk_bus_read(&e->reader, &bytes, &m)) == LK_OK) on_message_of_edge(self, index, &m);
  if (err != LK_ERR_MORE) {
    LK_COVERED(house_edge_out_of_step);
    give_up(self, e);
  }
  end_call(self);
}

lk_slice lk_house_output(const lk_house *self, uint32_t index) {
  LK_ASSERT(index < self->edges_count);
  const edge *e = &self->edges[index];
  return lk_slice_skip(lk_buf_slice(&e->out), e->out_off);
}

void lk_house_consume(lk_house *self, uint32_t index, size_t count) {
  LK_ASSERT(index < self->edges_count);
  edge *e = &self->edges[index];
  lk_bus_consume(&e->out, &e->out_off, count);
}

/* ---- time, life ---- */

static void on_timer(entry *e, const entry_timer *timer) {
  if (timer == &e->presence) tell_attendance(e);
  else if (timer == &e->timer) run_room(e, (lk_room_input){ .kind = LK_ROOM_TICK });
  else put_away(e);
}

void lk_house_step(lk_house *self, uint64_t now_ms) {
  lk_io *io;
  lk_heap_item *item;
  self->now_ms = lk_max_u64(self->now_ms, now_ms);
  while ((io = self->storage->poll(self->storage)) != NULL) {
    if (io->user == self) {
      lk_journal_advance(&self->journal);
      poll_journal(self);
    } else {
      advance_keeper(io->user);
    }
    end_call(self);
  }
  if (self->journal_state == JOURNAL_PAUSED && self->now_ms >= self->reopen_at_ms)
    open_journal(self);
  while ((item = lk_heap_first(&self->timers)) != NULL && item->key <= self->now_ms) {
    lk_heap_remove(&self->timers, item);
    entry_timer *timer = LK_CONTAINER(item, entry_timer, item);
    on_timer(timer->entry, timer);
  }
  end_call(self);
}

uint64_t lk_house_deadline(const lk_house *self) {
  lk_heap_item *item = lk_heap_first(&self->timers);
  uint64_t at_ms = item == NULL ? LK_HOUSE_NEVER : item->key;
  return self->journal_state == JOURNAL_PAUSED ? lk_min_u64(at_ms, self->reopen_at_ms) : at_ms;
}

/* Rooms that still have something to be journaled are dropped by the error of append; what flies, lands. */
void lk_house_end(lk_house *self) {
  end_call(self); /* what is gathered is begun */
  self->is_ending = true;
  if (self->journal_state == JOURNAL_PAUSED) self->journal_state = JOURNAL_ENDED;
  if (self->journal_state != JOURNAL_OPENING && self->journal_state != JOURNAL_OPEN) return;
  self->journal_state = JOURNAL_ENDING;
  self->journal_err = LK_ERR_CANCELED;
  lk_journal_close(&self->journal);
  poll_journal(self);
  sweep(self);
}

bool lk_house_is_idle(const lk_house *self) {
  return self->busy_count == 0 && !lk_journal_is_busy(&self->journal);
}

lk_house_stats lk_house_get_stats(const lk_house *self) {
  lk_house_stats stats = self->stats;
  stats.journal_err = self->stats.journal_failures > 0 ? self->journal_err : LK_OK;
  stats.batches = self->journal.stats.batches;
  stats.rooms = lk_map_count(&self->entries);
  stats.members = 0;
  for (uint32_t i = 0; i < self->edges_count; i++) stats.members += self->edges[i].members_count;
  return stats;
}

static void init_edge(lk_house *self, edge *e) {
  *e = (edge){ .greeting = self->generation };
  lk_bus_reader_init(&e->reader, self->env->alloc, self->limits->bus_frame_bytes);
  lk_buf_init(&e->out, self->env->alloc, self->limits->bus_output_bytes);
  lk_window_init(&e->asked, self->env->alloc, self->limits->bus_requests_count);
}

static void deinit_edge(lk_house *self, edge *e) {
  for (uint32_t i = 0; i < e->members_cap; i++) {
    if (e->members[i] != NULL) lk_free_bytes(self->env->alloc, e->members[i], sizeof(member));
  }
  lk_free_array(self->env->alloc, e->members, e->members_cap, sizeof *e->members);
  lk_window_deinit(&e->asked);
  lk_buf_deinit(&e->out);
  lk_bus_reader_deinit(&e->reader);
}

/* "journal-" and the index of the house: several may share a storage. */
static void init_journal(lk_house *self, uint32_t index) {
  uint8_t name[24] = "journal-";
  size_t len = 8, digits = 1;
  lk_journal_options options = {
    .alloc = self->env->alloc, .limits = self->limits, .storage = self->storage, .user = self
  };
  for (uint32_t left = index; left >= 10; left /= 10) digits++;
  for (size_t i = digits; i-- > 0; index /= 10) name[len + i] = (uint8_t)('0' + index % 10);
  options.name = lk_slice_of(name, len + digits);
  for (size_t i = 0; i < sizeof options.salt; i += 8)
    lk_store_le64(options.salt + i, lk_prng_u64(&self->seeds));
  lk_journal_init(&self->journal, &options);
}

lk_err lk_house_open(const lk_house_options *options, lk_house **out) {
  uint64_t seed[2];
  const lk_alloc *alloc = options->env->alloc;
  LK_ASSERT(options->generation != 0);
  LK_ASSERT(options->edges_count > 0 && options->edges_count <= LK_HOUSE_EDGES_MAX);
  lk_house *self = lk_alloc_bytes(alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_house){ .env = options->env,
                      .limits = options->limits,
                      .storage = options->storage,
                      .level = options->level,
                      .generation = options->generation,
                      .reopen_ms = REOPEN_FIRST_MS };
  self->edges = lk_alloc_array(alloc, options->edges_count, sizeof *self->edges);
  if (self->edges == NULL) {
    lk_free_bytes(alloc, self, sizeof *self);
    return LK_ERR_NOMEM;
  }
  self->edges_count = options->edges_count;
  derive_stream(options->entropy, LK_LIT("ids"), &self->ids);
  derive_stream(options->entropy, LK_LIT("seeds"), &self->seeds);
  draw_seed(self, seed);
  lk_map_init(&self->entries, alloc, sizeof(entry *), options->limits->rooms_count, seed);
  lk_heap_init(&self->timers, alloc, UINT32_MAX / 4);
  lk_buf_init(&self->kept, alloc, kept_bytes_max(options->limits));
  draw_seed(self, seed);
  lk_tails_init(&self->tails, alloc, seed);
  init_journal(self, options->index);
  for (uint32_t i = 0; i < self->edges_count; i++) {
    init_edge(self, &self->edges[i]);
    greet(self, &self->edges[i]);
  }
  open_journal(self);
  *out = self;
  return LK_OK;
}

void lk_house_close(lk_house *self) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  if (self == NULL) return;
  while (lk_map_next(&self->entries, &cursor, &key, &value)) free_entry(*(entry **)value);
  for (uint32_t i = 0; i < self->edges_count; i++) deinit_edge(self, &self->edges[i]);
  lk_free_array(self->env->alloc, self->edges, self->edges_count, sizeof *self->edges);
  lk_map_deinit(&self->entries);
  lk_heap_deinit(&self->timers);
  lk_buf_deinit(&self->kept);
  lk_tails_deinit(&self->tails);
  lk_journal_deinit(&self->journal);
  lk_free_bytes(self->env->alloc, self, sizeof *self);
}
