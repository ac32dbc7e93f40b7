/* channel/edge_parts.h -- what the files of the edge share; nobody else includes it.
 *
 *   edge.c              the essay; life, time
 *   edge_receiving.c    what clients say
 *   edge_tokens.c       what tokens gave
 *   edge_members.c      topics, and who is in them
 *   edge_asking.c       what houses are told and asked
 *   edge_houses.c       houses that begin
 *   edge_answers.c      what houses answer, and say to one
 *   edge_broadcasts.c   and to many
 *   edge_output.c       what goes to connections
 *   edge_tables.c       numbers of connections and members, names of topics */
#ifndef LK_CHANNEL_EDGE_PARTS_H
#define LK_CHANNEL_EDGE_PARTS_H

#include "channel/edge.h"

#include "base/heap.h"
#include "base/list.h"
#include "channel/bus.h"
#include "channel/pacer.h"
#include "channel/window.h"

#define INDEX_BITS 32
#define USES_MASK 0xFFFFFFu /* a house has 56 bits for the number of a member */
#define NO_PLACE UINT32_MAX
#define PAYLOAD_MAX 0x1FFFFFFFu /* of a join; limits.json_bytes has less */
#define GATE_SHIFT                                                                                 \
  56 /* in what a gate is asked: above a member's number nothing, above a query's its house and 1 */
#define GREET_MS                                                                                   \
  1000 /* between two times that houses that were given up are asked to begin again */
#define BOX_KEPT 65536 /* bytes that the empty box keeps */

/* There are as many as documents that somebody has open, and most have one member and no alias. */
typedef struct topic {
  struct topic
      *kin; /* the next in the ring of a home and its aliases: itself where there are none */
  lk_list members;        /* those who are in, in order of joining */
  lk_allowance allowance; /* of a home: what all of them may send */
  uint32_t hash;          /* of its name */
  uint32_t users;         /* members, in or joining, and aliases */
  uint16_t
      classes; /* a bit for each that members are of, and until the next broadcast that they were of */
  uint8_t house;
  uint8_t name_len;
  bool is_alias;
  uint8_t name[]; /* |name_len| bytes */
} topic;

_Static_assert(LK_MESSAGE_CLASSES <= 16, "classes are bits of 16");
_Static_assert(LK_EDGE_HOUSES_MAX <= UINT8_MAX, "houses have a byte");

typedef struct connection connection;
typedef struct member member;

/* What a token gave, and when that ends. */
typedef struct lease {
  lk_heap_item timer; /* in the heap where the grant has an end */
  lk_grant *grant;
  lk_spender *spender; /* its subject's buckets; NULL: none */
  connection *connection;
  member *member; /* NULL: it is the connection's own */
} lease;

struct connection {
  lk_session session;
  uint64_t number;
  lease *lease;         /* NULL: none */
  connection *next_end; /* while a CLOSE is due */
  lk_allowance allowance;
  lk_hold *hold;       /* NULL: none. RESUME is due when it ends, unless |is_full| */
  uint32_t unanswered; /* bytes of requests: a message beyond edge_unanswered_bytes at most */
  uint32_t
      strange_bytes; /* that came while nobody knew who it is; likewise strange_count messages */
  uint16_t strange_count;
  uint16_t reason;     /* lk_err */
  bool is_closing : 1; /* a CLOSE is due, or was given out: nothing more is taken or sent */
  bool is_told : 1;    /* the CLOSE was given out */
  bool is_full : 1;    /* with what is unanswered. RESUME is due some day, unless there is a hold */
  bool is_known : 1;   /* it has brought a good token for a topic */
  uint8_t lag;         /* lk_bus_lag */
};

struct member {
  lk_link link; /* of its topic, while it is in */
  connection *connection;
  topic *topic;
  lease *lease; /* of a token for this topic; NULL: none */
  lk_list asked;
  uint64_t number;
  uint32_t payload_len : 29; /* of its join, what a new house is told; 0: {}, as nearly always */
  uint32_t ceiling : 2;      /* lk_rights: what its gate lets it do at most */
  uint32_t is_gated : 1;     /* the gate has not answered: nothing of it has a number, or is sent */
  uint32_t channel : 24;     /* at most LK_SESSION_CHANNEL_MAX */
  uint32_t audience : 2;     /* lk_bus_audience: ALL where it has not asked for presence */
  uint32_t profile : 2;      /* lk_profile */
  uint32_t dialect : 2;      /* lk_message_dialect */
  uint32_t is_in : 1;
  uint32_t is_behind : 1; /* broadcasts pass it by */
  uint8_t payload[];
};

/* A request without an answer. */
typedef struct asked {
  lk_link link; /* of its member */
  member *member;
  uint64_t request;
  bool is_join;
  bool is_binary;
  bool has_ref;
  uint32_t asked_us; /* the lower half of the time */
  uint32_t ref_len;
  uint32_t event_len;
  uint32_t payload_len;
  uint8_t bytes[]; /* ref, event, payload */
} asked;

typedef struct house {
  lk_bus_reader reader;
  lk_buf out;
  size_t out_off;
  lk_window asked;
  lk_window queries; /* numbered with the others */
  uint64_t greeting; /* what it said last in a HELLO; 0: nothing yet */
  bool must_greet;   /* it was given up: it is to be asked for another HELLO */
  uint64_t request_next;
  uint64_t unsent;      /* requests from it on wait until |out| has room */
  uint64_t again_below; /* those below were sent to the one before */
  uint32_t
      unrestored; /* members from this place on wait likewise, to be told of; NO_PLACE: all were */
} house;

typedef struct item {
  lk_edge_output_kind kind; /* SEND or RESUME */
  uint32_t messages;        /* SEND: so many from the box */
  uint32_t receivers;       /* SEND to many: so many numbers; 0: to |connection| alone */
  size_t receivers_at;
  uint64_t connection;
} item;

typedef struct slot {
  void *thing;        /* NULL: free */
  uint32_t uses;      /* how often it was taken */
  uint32_t next_free; /* while it is free */
} slot;

/* Things with numbers: a place, and above it how often it was taken. No number is 0. */
typedef struct table {
  slot *slots;
  uint32_t cap;
  uint32_t count;
  uint32_t first_free;
  uint32_t count_max;
} table;

/* Topics, each at a place that the hash of its name chooses. */
typedef struct names {
  topic **places; /* NULL: free */
  uint32_t cap;   /* a power of two, or 0 */
  uint32_t count;
} names;

struct lk_edge {
  lk_edge_options options;
  const lk_alloc *alloc;
  const lk_limits *limits;
  table connections;
  table members;
  names topics;
  lk_arena scratch;
  lk_outbox box;
  item *items;
  uint32_t items_count;
  uint32_t items_next;
  uint32_t items_cap;
  connection *first_end; /* those that a CLOSE is due for, in order */
  connection *last_end;
  lk_pacer pacer;
  lk_heap leases;       /* by their ends */
  bool must_greet;      /* some house */
  uint64_t greet_at_ms; /* not before that */
  uint64_t *receivers;
  size_t receivers_count;
  size_t receivers_cap;
  house *houses;
  lk_queries queries; /* those that are answered and not told */
  lk_edge_stats stats;
  lk_histogram latency;
  uint64_t now_us; /* 0: nobody says */
};

/* As its members call it. */
static inline lk_slice topic_name(const topic *t) { return lk_slice_of(t->name, t->name_len); }

/* What it is an alias of; itself where it is none. */
static inline topic *home_of(topic *t) {
  while (t->is_alias) t = t->kin;
  return t;
}

/* As its house, and whatever speaks of rights, calls it. */
static inline lk_slice home_name(const topic *t) {
  while (t->is_alias) t = t->kin;
  return topic_name(t);
}
/* The other name by which members know it; empty: there is none. */
static inline lk_slice alias_of(const topic *t) {
  return t->is_alias ? topic_name(t) : LK_SLICE_EMPTY;
}

/* Who keeps the gate comes behind the houses. */
static inline uint32_t houses_of(const lk_edge *self) {
  return self->options.houses_count + (self->options.gate != NULL ? 1 : 0);
}

static inline unsigned class_of(const member *m) {
  return lk_message_class(lk_session_form(&m->connection->session), (lk_message_dialect)m->dialect);
}

/* |m| is in, and is of its class from now on. */
static inline void note_class(member *m) {
  m->topic->classes = (uint16_t)(m->topic->classes | 1u << class_of(m));
}

/* What is said to who may not read a topic. */
#define UNAUTHORIZED                                                                               \
  LK_LIT("{\"reason\":\"unauthorized\",\"message\":\"what this client was given says nothing of "  \
         "this topic; ask for a token that does\"}")

/* ---- edge_tables.c ---- */

void *lk_edge_table_get(const table *self, uint64_t number);
lk_err lk_edge_table_add(const lk_alloc *alloc, table *self, void *thing, uint64_t *number);
void lk_edge_table_remove(table *self, uint64_t number);

/* NULL where there is none. */
topic *lk_edge_topic_of(const lk_edge *self, lk_slice name);
/* Its name is that of no other. LK_ERR_LIMIT, LK_ERR_NOMEM. */
lk_err lk_edge_add_topic(lk_edge *self, topic *t);
void lk_edge_remove_topic(lk_edge *self, const topic *t);

/* ---- edge_output.c ---- */

lk_err lk_edge_reserve_item(lk_edge *self);
/* There is room: reserve_item() was asked. */
void lk_edge_add_item(lk_edge *self, item what);
lk_session_io lk_edge_io_of(lk_edge *self);
/* Ends the connection: a gap in what it was told would be worse than a new start. */
void lk_edge_end_connection(lk_edge *self, connection *c, lk_err why);
/* |c| goes before its CLOSE was given out: rare enough to look for it. */
void lk_edge_forget_end(lk_edge *self, const connection *c);
/* What a session puts into the box is for its connection: begin, let the session speak, end. Without memory
 * for a note of it nothing may be said. */
bool lk_edge_begin_speech(lk_edge *self, connection *c, uint32_t *before);
void lk_edge_end_speech(lk_edge *self, connection *c, uint32_t before, lk_err err);

/* ---- edge_asking.c ---- */

/* A house that does not take what it is sent gets it anew when it says HELLO again. It does so by itself where it is another
 * process by then; lk_edge_step() asks the one that is the same. Not here: without memory the two would ask each other for ever. */
void lk_edge_tell(lk_edge *self, uint32_t to, const lk_bus_message *message);
uint32_t lk_edge_house_at(const lk_edge *self, lk_slice name);
/* Whether |message| is one that can be told: what is longer than a frame never goes, and must not be kept to be sent again. */
bool lk_edge_is_sayable(const lk_edge *self, const lk_bus_message *message);
/* Whether |message| goes now; else what was told before has to go first. */
bool lk_edge_has_room(const lk_edge *self, const house *h, const lk_bus_message *message);
/* Every request below it has been answered. */
uint64_t lk_edge_settled_of(const house *h);
/* Sends what waits, as far as there is room: members who are to be restored, then requests, in order. */
void lk_edge_fill(lk_edge *self, uint32_t index);
/* Asks whether |question|, whose topic is no alias, may be asked. LK_ERR_TOO_BIG and those of lk_queries_ask(). */
lk_err lk_edge_ask_gate(lk_edge *self, const lk_question *question, lk_slice action,
                        lk_slice payload, uint64_t tag);
lk_slice lk_edge_asked_ref(const asked *a);
/* There is room: reserve_item() was asked. */
void lk_edge_resume(lk_edge *self, const connection *c);
/* |a| is in its window no more. */
void lk_edge_free_asked(lk_edge *self, asked *a);
/* LK_ERR_TOO_BIG: no frame holds it. LK_ERR_LIMIT, LK_ERR_NOMEM: nothing was asked. */
lk_err lk_edge_ask(lk_edge *self, member *m, const lk_session_event *event);

/* ---- edge_members.c ---- */

lk_err lk_edge_make_member(lk_edge *self, connection *c, const lk_session_event *event,
                           member **out);
void lk_edge_free_member(lk_edge *self, member *m);
void lk_edge_let_in(member *m);

/* ---- edge_tokens.c ---- */

void lk_edge_free_lease(lk_edge *self, lease *l);
/* Takes over |grant|, also where it fails. Without a grant there is no lease. */
lk_err lk_edge_make_lease(lk_edge *self, lk_grant *grant, connection *c, lease **out);
/* |own| is of a token for this topic, which is not called by an alias. */
lk_rights lk_edge_rights_on(const lk_edge *self, const connection *c, const lease *own,
                            lk_slice name);
lk_rights lk_edge_rights_of(const lk_edge *self, const member *m);
/* Where the connection's subject is nobody, that of the topic's token counts, as below. */
lk_spender *lk_edge_spender_on(const connection *c, const lease *own);
/* Who the member is: the connection's subject, or where that is nobody, that of the topic's token. */
lk_slice lk_edge_subject_on(const connection *c, const lease *own);
/* A join may bring a token for its topic: |event| is then without it. */
lk_err lk_edge_take_topic_token(lk_edge *self, connection *c, lk_session_event *event, lease **out);
/* On the topic phoenix: the connection's own. */
void lk_edge_on_token(lk_edge *self, connection *c, const lk_session_event *event);
/* On a topic: for that alone. What it does not allow leaves the one before in force. */
void lk_edge_on_topic_token(lk_edge *self, member *m, const lk_session_event *event);
void lk_edge_end_lease(lk_edge *self, lease *l, lk_err why);

/* ---- edge_receiving.c ---- */

/* {"reason": name, "message": text} in the scratch arena, or something shorter where that is full. */
lk_slice lk_edge_write_error(lk_edge *self, lk_err why);
void lk_edge_on_leave(lk_edge *self, uint64_t number);
void lk_edge_reply_error(lk_edge *self, connection *c, const lk_session_event *event,
                         lk_slice payload);

/* ---- edge_answers.c ---- */

void lk_edge_tell_lag(lk_edge *self, const member *m);
/* Who heard of presence hears of it anew when it is in step again. */
void lk_edge_on_lag(lk_edge *self, const lk_bus_message *m);
void lk_edge_on_answer(lk_edge *self, house *h, const lk_bus_message *m);
void lk_edge_on_push(lk_edge *self, const lk_bus_message *m);
/* The room ended under the member. |event| is a word of the house's that needs no escapes. */
void lk_edge_on_crash(lk_edge *self, const lk_bus_message *m);

/* ---- edge_broadcasts.c ---- */

void lk_edge_on_broadcast(lk_edge *self, const lk_bus_message *m);

/* ---- edge_houses.c ---- */

void lk_edge_say_hello(lk_edge *self, house *h);
/* Tells the house of the next member that it does not know of. False: |out| has no room for that. */
bool lk_edge_restore_next(lk_edge *self, uint32_t index);
/* Houses that were given up are asked for another HELLO, at most once in a while. */
void lk_edge_greet_again(lk_edge *self, uint64_t wall_ms);

#endif
