/* room/house_parts.h -- what the files of the house share; nobody else includes it.
 *
 *   house.c           the essay; opening, time, ending
 *   house_edges.c     what edges say, and what they are told
 *   house_members.c   who is in a room, what they asked, which of it was applied
 *   house_entries.c   an entry's beginning: making, loading, opening
 *   house_closing.c   and its end: dropping, closing, erasing
 *   house_revival.c   what a house of before had in memory
 *   house_queries.c   requests from nobody who is in a room
 *   house_names.c     which topics there are, in memory or not
 *   house_pace.c      members that are served less often
 *   house_lag.c       members that read too slowly
 *   house_effects.c   inputs to a room, and what follows from them
 *   house_presence.c  who is there
 *   house_journal.c   records and snapshots
 *   house_space.c     when there is no space for them
 *   house_warmth.c    what a topic needs while it is written to
 *   house_news.c      which topics have changed, for who asks
 *
 * Whatever may drop a room says so: its caller looks at entry.state before it goes on. */
#ifndef LK_ROOM_HOUSE_PARTS_H
#define LK_ROOM_HOUSE_PARTS_H

#include "room/house.h"

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/prng.h"
#include "channel/bus.h"
#include "channel/refusal.h"
#include "channel/window.h"
#include "log/journal.h"
#include "room/attendance.h"
#include "room/kept.h"
#include "room/keeper.h"
#include "room/names.h"
#include "room/scroll.h"
#include "room/tails.h"

#define EDGE_SHIFT 56
#define INDEX_MASK UINT32_MAX

typedef struct entry entry;

typedef enum member_state { MEMBER_WAITS, MEMBER_JOINS, MEMBER_IN } member_state;

typedef struct member {
  lk_link link; /* of the entry's members, once it is in */
  entry *entry;
  uint64_t number; /* the edge in the top byte, below it the edge's own number */
  member_state state;
  uint8_t profile;     /* lk_profile: how it is served */
  uint8_t own_profile; /* and how it would be if it kept up */
  uint8_t lag;         /* lk_bus_lag, as its edge sees it */
  bool is_skipped;     /* its edge passes it by */
  bool
      is_behind; /* it has what was refused for want of space: it must come again when there is some */
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
  bool is_known;    /* and were before: it may ask again for what this very house did */
  bool has_parted;  /* some of its requests may stand in rooms without it */
} edge;

#define TURN_NONE 0

/* A request that a room has not answered. */
typedef struct asked {
  lk_link link; /* of the entry's requests */
  entry *entry;
  uint64_t member;
  uint64_t request;
  uint64_t ticket; /* of the journal that covers it; 0: none yet */
  uint64_t turn;   /* when the room was given it; TURN_NONE: it waits for the room */
  bool is_parted;  /* nobody waits for its answer: here until a record covers it */
  uint32_t params_len;
  uint8_t *params; /* owned: of a join that the room answers later; else NULL */
} asked;

/* A request that is in the state. */
typedef struct applied {
  lk_mark mark;
  bool is_durable; /* its record is */
} applied;

/* What is under way of the record of a room. */
typedef enum flight { FLIGHT_NONE, FLIGHT_UNSENT, FLIGHT_FLYING, FLIGHT_WRITING } flight;

typedef enum entry_state { ENTRY_LOADING, ENTRY_OPEN, ENTRY_CLOSING, ENTRY_GONE } entry_state;

/* What came while the room, or its member, was not there. */
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

/* What an entry needs while it is written to: see house_warmth.c. */
typedef struct warmth {
  lk_link link; /* on house.warm */
  entry *entry;
  uint64_t cools_at_ms;
  lk_link flight_link;  /* on house.unsent or house.flying */
  lk_tail_item *unsent; /* the record, while it is that */
  uint64_t ticket;      /* of the record */
  lk_scroll scroll;     /* of level memory: its records */
} warmth;

/* There are many: what most of them have no use for most of the time stands elsewhere. */
struct entry {
  lk_house *house;
  const lk_room_kind *kind;
  lk_room *room; /* ENTRY_OPEN */
  lk_keeper keeper;
  warmth *warmth;       /* NULL: nothing of its records is under way, and was not for a while */
  uint64_t scroll_end;  /* of level memory: as lk_scroll.end, where it is cold */
  uint64_t index;       /* of the record under way or the last one, once it is appended */
  uint64_t journaled;   /* the room has every record of its up to this index, and knows */
  uint64_t keeping;     /* the index of the snapshot under way */
  entry_state state;
  flight flight;
  lk_err closing_err;   /* of the first step of closing that failed */
  uint8_t closing;      /* the step of closing that is next */
  bool is_memory;       /* its level; else durable */
  bool is_tombstone;    /* what is under way says that the topic is deleted */
  bool is_doomed;       /* all that is kept of it is to go */
  bool is_erasing;      /* it is going */
  bool is_snapshotting; /* from SNAPSHOT to the keeper's completion */
  bool is_leaving;      /* and then it is put away */
  bool is_watched;      /* the room wants to know what members show in presence */
  bool has_let_in;      /* somebody whose join was answered late: what it said meanwhile may wait */
  size_t kept_len;      /* of the last snapshot */
  lk_list waiting;      /* inputs, in order of arrival */
  size_t waiting_bytes; /* of those, bounded by limits.ws_output_bytes and one that is longer */
  lk_list members;      /* those who are in, in order of joining */
  lk_list asked;        /* in order of arrival */
  applied *applied;     /* in the state, in no order that matters */
  uint32_t applied_count;
  uint32_t applied_cap;
  lk_map *recovered; /* what may come again and was applied, as marks; NULL: none */
  bool
      is_searched; /* there was no memory for all of them in |recovered|: |applied| is looked through */
  entry_timer idle;     /* no members for as long as the policy says: put the room away */
  lk_link idle_link;    /* on house.idlers, while that timer runs; on house.gone at the end */
  entry_timer timer;    /* the room's own */
  entry_timer *presence; /* there is something to tell of who is there; NULL: never was */
  lk_attendance attendance;
  struct pace *pace; /* NULL where all members are served at once */
  uint64_t number;   /* of this entry among all that the house has had */
  uint32_t topic_len;
  uint32_t edge_members[]; /* for each edge how many members; behind them the topic */
};

/* What those of one profile are still to be told of presence: see house_presence.c. */
typedef struct later {
  entry_timer timer;
  lk_buf diffs;    /* length, 4 bytes, and presence_diff, one behind the other */
  uint64_t due_ms; /* not before that */
  bool owes_state; /* and somebody among them waits for a state */
} later;

/* Members that are not served at once: see house_pace.c. */
typedef struct pace {
  uint32_t members[LK_PROFILES]; /* who is in, by profile; full ones are not counted */
  lk_buf waiting;                /* gathered */
  entry_timer gather;
  entry_timer render;
  later presence[LK_PROFILES]; /* of slow ones */
} pace;

typedef enum journal_state {
  JOURNAL_OPENING,
  JOURNAL_OPEN,
  JOURNAL_ENDING,
  JOURNAL_PAUSED,
  JOURNAL_ENDED
} journal_state;

/* Topics of level memory that the house before had: see house_revival.c. */
typedef struct revival {
  lk_io io;
  uint32_t phase; /* 0: there is nothing to do */
  lk_file file;
  uint64_t began_ms;    /* the last time */
  uint64_t again_at_ms; /* LK_HOUSE_NEVER: no topic is known to need it */
  uint64_t pause_ms;    /* before that; 0: there was none */
  size_t names_len;
  size_t next;         /* of |names| */
  size_t last_len;     /* of the name that was taken last */
  uint8_t names[4096]; /* a page of them */
  uint8_t last[LK_IO_NAME_MAX];
  uint8_t head[LK_SCROLL_HEAD_MAX];
} revival;

/* Changes that somebody wants to hear of: see house_news.c. */
#define LK_HOUSE_NEWS_BY_MAX 8u
typedef struct house_news {
  lk_map topics; /* of those that are fresh */
  lk_list fresh; /* in order of their first change */
  lk_list told;  /* and not known to have come */
  uint64_t serial;
  uint64_t after; /* up to this index of the journal all has come */
  uint64_t asker;
  uint64_t request; /* of the question that waits; 0: none */
  lk_map subjects;  /* who asks: (member, 0) or (edge, request of a query) -> subject */
  bool is_landing;  /* a room answers what is in a record that was just kept */
} house_news;

/* What is set aside of level memory: see house_space.c. */
typedef struct ballast {
  lk_io io;
  uint32_t phase;
  lk_file file;
  bool has_file;
  bool is_held;
} ballast;

/* Names of what is kept are looked for in the storage: see house_names.c. */
typedef struct lk_house_scan lk_house_scan;
typedef enum scan_state { SCAN_NONE, SCAN_RUNS, SCAN_DONE } scan_state;

struct lk_house {
  const lk_env *env;
  const lk_env *awake; /* the rooms': or NULL */
  const lk_limits *limits;
  lk_storage *storage; /* of level durable, or NULL */
  lk_storage *memory;  /* of level memory, or NULL */
  const lk_room_policy *policy;
  uint32_t index; /* of this house among |houses_count| that share the storage */
  uint32_t houses_count;
  lk_names names;      /* of all topics that there are */
  lk_house_scan *scan; /* SCAN_RUNS */
  scan_state scan_state;
  bool lacks_names; /* no space for one; a file not read, or that does not say whose it is */
  bool has_missed;  /* the same, since the scan began */
  uint64_t scan_began_ms;
  uint64_t rescan_at_ms; /* where names lack: not before that */
  revival revival;
  uint64_t generation;
  uint64_t turns; /* one for each request that its rooms were given */
  lk_prng ids;    /* what inputs call entropy: clients see it as ids */
  lk_prng seeds;  /* of hashes: nobody may guess them */
  lk_map entries; /* topic -> entry * */
  lk_heap timers; /* entries' idle and timer items */
  lk_buf
      refused; /* numbers of members that were refused though their room took them; only while it is drained */
  bool is_taking_leave; /* of those */
  bool has_paused;      /* some of what waits in open rooms waits for its edge to read */
  lk_buf
      put_out; /* numbers of members who go when the running call ends: no frame held what was for them */
  lk_list gone;   /* entries to free when the running call ends */
  lk_list idlers; /* open rooms without members, the longest idle first */
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
  bool is_disk_full;     /* no more records of level durable */
  bool is_memory_full;   /* and of level memory */
  uint64_t space_at_ms;  /* where one of the two is: when to look again */
  uint64_t keep_at_ms;   /* no snapshot before that: the last one found no space */
  ballast ballast;
  lk_list warm;   /* warmth of entries, the coldest first */
  lk_list unsent; /* likewise, in the order of their JOURNAL effects */
  lk_list flying; /* likewise, in the order of their indexes */
  lk_tails tails;
  house_news news;
  edge *edges;
  uint32_t edges_count;
  uint64_t busy_count;
  uint64_t entries_made;
  uint64_t presence_calls; /* each has a number of its own */
  lk_slice joining; /* the payload of the join that is being answered */
  uint64_t now_ms;
  uint64_t wall_ms; /* the date at |wall_at_ms|; 0: not known */
  uint64_t wall_at_ms;
  lk_house_stats stats;
};

/* ---- numbers ---- */

static inline uint64_t number_of(uint32_t edge_index, uint64_t own) {
  return (uint64_t)edge_index << EDGE_SHIFT | own;
}
static inline uint32_t edge_of(uint64_t number) { return (uint32_t)(number >> EDGE_SHIFT); }
static inline uint64_t own_of(uint64_t number) {
  return number & ((UINT64_C(1) << EDGE_SHIFT) - 1);
}

static inline size_t entry_size(const lk_house *self, size_t topic_len) {
  return sizeof(entry) + self->edges_count * sizeof(uint32_t) + topic_len;
}

static inline uint8_t *topic_at(entry *e) {
  return (uint8_t *)(e->edge_members + e->house->edges_count);
}
static inline lk_slice entry_topic(entry *e) { return lk_slice_of(topic_at(e), e->topic_len); }

/* It is refused because of a limit of ours: that is counted. */
static inline bool is_limit(lk_err why) { return why == LK_ERR_LIMIT || why == LK_ERR_TOO_BIG; }

/* ---- house.c ---- */

/* Nobody may guess it. */
void lk_house_draw_seed(lk_house *self, uint64_t seed[2]);

/* ---- house_edges.c ---- */

/* An edge that cannot take it is given up: it begins again. A message that no frame holds is not told: see lk_house_put_out(). */
void lk_house_tell(lk_house *self, uint32_t to, const lk_bus_message *message);
/* Members who were not told something go, and learn why. */
void lk_house_put_out(lk_house *self);
/* |number| asked |request|, which is done with. */
void lk_house_answer(lk_house *self, uint64_t number, uint64_t request, lk_bus_kind kind,
                     lk_slice status, lk_slice payload, bool binary);
/* |number| is out; |reason| needs no escapes. */
void lk_house_tell_crash(lk_house *self, uint64_t number, lk_slice reason);
/* It begins again, with another greeting. */
void lk_house_give_up(lk_house *self, edge *to);
/* The answer is lost, and nobody knows what became of it. */
void lk_house_answer_late(lk_house *self, uint64_t number, uint64_t request);
/* A message of a kind of room that need not know was too long to be read: answered. */
bool lk_house_answers_too_big(entry *e, uint64_t number, uint64_t request, lk_slice event);
/* ok {}, or the error as JSON. */
void lk_house_answer_outcome(lk_house *self, uint64_t number, uint64_t request, lk_err err);
void lk_house_greet(lk_house *self, edge *to);
void lk_house_init_edge(lk_house *self, edge *e);
void lk_house_deinit_edge(lk_house *self, edge *e);

/* ---- house_members.c ---- */

/* NULL where there is none. */
member *lk_house_find_member(const lk_house *self, uint64_t number);
/* LK_ERR_EXISTS, LK_ERR_LIMIT: the edge has lost count; LK_ERR_NOMEM. */
lk_err lk_house_make_member(entry *at, uint64_t number, member **out);
void lk_house_free_member(lk_house *self, member *m);
/* False where the room has as many as it may have. */
bool lk_house_let_in(member *m);
/* The request is answered, or nobody waits for its answer. */
void lk_house_settle(lk_house *self, uint64_t number, uint64_t request);
/* LK_ERR_RANGE: the edge has used the number before; LK_ERR_NOMEM, LK_ERR_LIMIT. */
lk_err lk_house_note_asked(entry *e, uint64_t number, uint64_t request);
/* The room answers the join later: its params are needed then. LK_ERR_NOMEM. */
lk_err lk_house_keep_params(entry *e, uint64_t number, uint64_t request, lk_slice params);
lk_slice lk_house_kept_params(const lk_house *self, uint64_t number, uint64_t request);
/* What the room was asked and did not answer is forgotten with it; |all|: also what waits for the next one. Who was joining is
 * refused. */
void lk_house_forget_handed(entry *e, bool all);
lk_slice lk_house_mark_key(const lk_mark *mark, uint8_t bytes[20]);
/* It is applied, and asked again by an edge that has begun again with this house, or with this one for another. */
bool lk_house_was_applied(const entry *e, uint64_t number, uint64_t request);
lk_err lk_house_note_applied(entry *e, applied a);
/* Not from an edge that is gone, and not where the edge has the answer. */
/* The mark of a request of a member or a query that is here. */
lk_mark lk_house_mark_of(const entry *e, const asked *a);
/* The edge begins again with this house: it will ask again whatever it has no answer to. */
void lk_house_part(lk_house *self, uint32_t index);
/* It is another process: what is parted from the one before cannot come again, and has its numbers. */
void lk_house_forget_parted(lk_house *self, uint32_t index);
/* Somebody waits for an answer of this room. */
bool lk_house_is_asked(const entry *e);
/* A record covers |a|, of which nobody waits for the answer; or the room is gone. */
void lk_house_free_parted(lk_house *self, asked *a);
lk_err lk_house_know_applied(entry *e, const lk_mark *mark);
bool lk_house_may_come_again(const lk_house *self, const lk_mark *mark);
void lk_house_prune_applied(entry *e);
/* The same, and the memory of it where nothing is left. */
void lk_house_free_answered(entry *e);
/* Whatever the edge asked, not as a member: it is another edge now. */
void lk_house_forget_queries(lk_house *self, uint32_t index);
/* It leaves, with what it asked. May drop the room. */
void lk_house_remove_member(lk_house *self, member *m);

/* ---- house_entries.c ---- */

void lk_house_stop_timer(lk_house *house, entry_timer *timer);
void lk_house_stop_timers(entry *e);
void lk_house_forget_recovered(entry *e);
/* The record of |e| is not waited for any more. One that was appended may be there in the end. */
void lk_house_forget_flight(entry *e);
/* Nothing of it is under way. */
bool lk_house_is_at_rest(const entry *e);
/* |w| is on the list no more. */
void lk_house_free_waiting(entry *e, waiting_input *w);
void lk_house_free_entry(entry *e);
size_t lk_house_kept_bytes_max(const lk_limits *limits);
/* LK_ERR_NOMEM, LK_ERR_LIMIT, LK_ERR_TOO_BIG. Begin to load it. */
lk_err lk_house_make_entry(lk_house *self, lk_slice topic, const lk_room_kind *kind, entry **out);
/* Of its slots. */
lk_keeper_place lk_house_place_of(entry *e);
/* NULL where there is none. */
entry *lk_house_find_entry(const lk_house *self, lk_slice topic);
/* An open room without members is put away after a while. */
void lk_house_watch_idle(entry *e);
/* It is not waited for any more. */
void lk_house_stop_idle(entry *e);
/* It is in memory, or the policy has it there. */
bool lk_house_wants_memory(entry *e);
/* |e| has no room, and nothing is under way. */
void lk_house_begin_loading(entry *e);
/* What loading waits for: each may open the room. */
void lk_house_journal_is_open(entry *e);
void lk_house_slots_are_loaded(entry *e);
void lk_house_scroll_is_loaded(entry *e);
/* Copies |m| for later. LK_ERR_LIMIT, LK_ERR_NOMEM. */
lk_err lk_house_queue_input(entry *e, uint64_t number, const lk_bus_message *m);
/* Everybody who waits is told |why|. */
void lk_house_refuse_waiting(entry *e, lk_err why);
/* What waited for its edge to read, in all rooms. May drop them. */
void lk_house_take_paused(lk_house *self);
/* What those said who were let in late. May drop the room. */
void lk_house_let_waiting_in(entry *e);
/* |err| says how the loading of |kept| went. May drop the room. */
void lk_house_open_and_let_in(entry *e, lk_slice kept, bool is_intact, lk_err err);

/* ---- house_closing.c ---- */

/* Frees what is gone; where a public call ends. */
void lk_house_sweep(lk_house *self);
/* The room goes; its members are told why, so that they come back. */
void lk_house_drop_room(entry *e, lk_err why);
/* Nothing that was kept of |e| up to |index| counts any more: whoever asks hears that it was deleted, and by whom. */
void lk_house_tell_deletion(entry *e, uint64_t index);
/* |e| is closing, and what was under way has ended with |err|. */
void lk_house_closing_goes_on(entry *e, lk_err err);

/* ---- house_revival.c ---- */

void lk_house_begin_revival(lk_house *self);
/* A topic of level memory has no entry any more, and was not erased. */
void lk_house_revive_later(lk_house *self);
/* When to begin it again. */
uint64_t lk_house_revives_at(const lk_house *self);
void lk_house_advance_revival(lk_house *self);

/* ---- house_names.c ---- */

void lk_house_init_names(lk_house *self);
void lk_house_deinit_names(lk_house *self);
/* There is an entry of |topic|, or a tail. */
void lk_house_name_is_there(lk_house *self, lk_slice topic);
/* The storage has a snapshot of it, of level durable. */
void lk_house_name_is_kept(lk_house *self, lk_slice topic);
/* It has none any more. */
void lk_house_name_is_erased(lk_house *self, lk_slice topic);
/* Its entry is gone: perhaps nothing is left of it. */
void lk_house_settle_name(lk_house *self, lk_slice topic);
/* Whether a topic that the index has, with |flags|, is there for others. */
bool lk_house_has_topic(const lk_house *self, lk_slice topic, uint8_t flags);
bool lk_house_knows_all_names(const lk_house *self);
/* Unless it is under way, or done with nothing missed, or was done lately; when the journal is open. */
void lk_house_begin_scan(lk_house *self);
bool lk_house_is_of_scan(const lk_house *self, const lk_io *io);
void lk_house_advance_scan(lk_house *self, lk_io *io);

/* ---- house_queries.c ---- */

/* |number| is an edge's, without a member. May drop the room. */
void lk_house_on_query(lk_house *self, uint64_t number, const lk_bus_message *m);

/* ---- house_news.c ---- */

void lk_house_init_news(lk_house *self);
void lk_house_deinit_news(lk_house *self);
/* A record of |topic| is kept, at |index| of its journal. */
void lk_house_note_news(lk_house *self, lk_slice topic, uint64_t index, bool is_memory);
/* The same: it was deleted. */
void lk_house_note_deletion(lk_house *self, lk_slice topic, uint64_t index, bool is_memory);
/* Who |number| is, a member, or an edge that asks |request| for nobody who is in a room. Without memory he has no name. */
void lk_house_note_subject(lk_house *self, uint64_t number, uint64_t request, lk_slice subject);
void lk_house_forget_subject(lk_house *self, uint64_t number, uint64_t request);
/* He is told that his change is kept. */
void lk_house_note_author(entry *e, uint64_t number, uint64_t request);
/* Whoever asks hears it; where a call ends. */
void lk_house_tell_news(lk_house *self);
/* Records from here on stay in the journal. */
uint64_t lk_house_news_bound(const lk_house *self);
void lk_house_on_changes(lk_house *self, uint64_t number, const lk_bus_message *m);
void lk_house_forget_asker(lk_house *self, uint32_t index);

/* ---- house_pace.c ---- */

/* How the params of a join want to be served. LK_ERR_PAYLOAD, of |*field|; the errors of JSON. */
/* not foreign: lk_house_feed() hands it what edges say, and fuzzes it so */
lk_err lk_house_read_profile(lk_house *self, lk_slice params, lk_profile *out, lk_slice *field);
/* That, told to the client; until the next record or snapshot. */
lk_slice lk_house_profile_refusal(lk_house *self, lk_err why, lk_slice field);
/* |m| is in now, or no longer. */
void lk_house_enter_pace(member *m);
void lk_house_leave_pace(member *m);
/* |effect| goes to all, and was sent to full clients. There is a pace. */
void lk_house_note_pace(entry *e, const lk_room_effect *effect);
/* False for the timers of others. May drop the room. */
bool lk_house_tick_pace(entry *e, const entry_timer *timer);
/* What a member says about how it is to be served. */
bool lk_house_is_of_pace(lk_slice event);
void lk_house_change_pace(entry *e, member *m, uint64_t request, lk_slice payload);
void lk_house_free_pace(entry *e);

/* What is gathered is sent now. */
void lk_house_flush_pace(entry *e);

/* As |profile| from now on. */
void lk_house_set_pace(member *m, lk_profile profile);

/* ---- house_lag.c ---- */

/* May drop the room. */
void lk_house_on_lag(lk_house *self, uint64_t number, lk_bus_lag lag);
/* What was heard of that while the room of a member of before was not there. May drop the room. */
void lk_house_tell_profile(member *m);
void lk_house_repeat_lag(lk_house *self, uint64_t number);
/* What the room answers to that. */
void lk_house_skip(entry *e, uint64_t number);
void lk_house_resume(entry *e, uint64_t number);

/* ---- house_effects.c ---- */

/* A BROADCAST, to those of |effect->profiles|: one message for each edge that has somebody in the room. */
void lk_house_send_to_all(entry *e, const lk_room_effect *effect);
void lk_house_refuse_join(lk_house *self, uint64_t number, uint64_t request, lk_slice payload);
/* One input to an open room, and what follows. May drop the room; whoever was joining is told that it did not work. */
void lk_house_run_room(entry *e, lk_room_input input);
/* The same for one that is to be answered: from here on a record covers it. */
void lk_house_ask_room(entry *e, lk_room_input input);
/* A member of before comes in without asking. */
void lk_house_restore(entry *e, member *m, lk_room_input input);

/* ---- house_presence.c ---- */

/* |payload| is that of its join. The errors of lk_attendance_enter(). */
lk_err lk_house_enter_attendance(entry *e, uint64_t number, lk_slice payload, bool *hears);
void lk_house_leave_attendance(entry *e, uint64_t number);
void lk_house_repeat_attendance(entry *e, uint64_t number);
/* A window has ended. May drop the room. */
void lk_house_tell_attendance(entry *e);
/* What the room knows of a member, from elsewhere; and whether it wants to know what others show. */
void lk_house_show_attendance(entry *e, const lk_room_effect *effect);
void lk_house_watch_attendance(entry *e, const lk_room_effect *effect);
void lk_house_change_attendance(entry *e, uint64_t number, uint64_t request, lk_slice event,
                                lk_slice payload);
/* That, told to the client; until the next record or snapshot. */
lk_slice lk_house_presence_refusal(lk_house *self, lk_err why);
/* Of a pace that was just made. */
void lk_house_init_presence(entry *e);
/* |number| is to have another profile. */
void lk_house_flush_presence(entry *e, uint64_t number);
/* Nobody is there of |profile| any more. There is a pace. */
void lk_house_forget_presence(entry *e, lk_profile profile);
/* False for the timers of others. There is a pace. */
bool lk_house_tick_presence(entry *e, const entry_timer *timer);

/* ---- house_space.c ---- */

/* There is no space for records of |e|. */
bool lk_house_is_full(const entry *e);
/* A room refuses what was asked for that. */
void lk_house_note_refusal(lk_house *self, const lk_room_effect *effect);
/* The record of |e| found no space: those who asked for it are told, and the room goes. */
void lk_house_take_back(entry *e);
/* What the journal says: records from |index| on are none; there is space, or none. */
void lk_house_journal_refused(lk_house *self, uint64_t index);
void lk_house_journal_space(lk_house *self, bool is_there);
/* The record of |e| found no space in memory: false where there is nothing left that could be given up for it. */
bool lk_house_write_on_ballast(entry *e);
void lk_house_begin_ballast(lk_house *self);
void lk_house_advance_ballast(lk_house *self);
/* It is time to look. */
void lk_house_try_space(lk_house *self);

/* ---- house_warmth.c ---- */

/* Before a record, and before anything is done with the scroll: it is needed for a while. LK_ERR_NOMEM. */
lk_err lk_house_warm(entry *e);
void lk_house_free_warmth(entry *e);
/* Of level memory: how long its records are. */
uint64_t lk_house_scroll_bytes(entry *e);
/* From here on it is of level memory. Nothing is under way. */
void lk_house_move_to_memory(entry *e);
void lk_house_scroll_is_closed(entry *e);
/* Those that were warm for long enough. */
void lk_house_cool(lk_house *self);
uint64_t lk_house_cools_at(const lk_house *self);

/* ---- house_journal.c ---- */

/* An open room whose tail has grown long gets a snapshot. May drop the room. */
void lk_house_watch_tail(entry *e);
void lk_house_put_off_relief(entry *e);
/* Nobody has been in the room for a while. May drop it. */
void lk_house_put_away(entry *e);
/* The journal needs to keep only what is behind the snapshots. */
void lk_house_retire(lk_house *self);
void lk_house_poll_journal(lk_house *self);
void lk_house_open_journal(lk_house *self);
/* What the call that is running left to be done. Entries may be gone after it. */
void lk_house_end_call(lk_house *self);
/* What the storages have completed. */
void lk_house_take_completions(lk_house *self);
void lk_house_init_journal(lk_house *self, uint32_t index);

#endif
