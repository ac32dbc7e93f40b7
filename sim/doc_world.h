/* sim/doc_world.h -- one server, some users with replicas, two documents: one durable, one of level memory.
 *
 *   doc_server   two edges and a house that die one by one or together, on a simulated disk and a storage that
 *                survives the house
 *   doc_user     a tab: an lk_doc, somebody who types, deletes, formats, goes offline, closes and comes back; by
 *                Phoenix in one of three encodings, or by y-protocols. Some may only read, and type all the same
 *   doc_ledger   who typed and deleted what, and what of it was acknowledged
 *   doc_shelf    which versions were saved, restored and deleted, and what they showed
 *
 * Each letter that anybody types is typed once in the whole world, so that a text tells what became of all of them. */
#ifndef SIM_DOC_WORLD_H
#define SIM_DOC_WORLD_H

#include "base/map.h"
#include "channel/edge.h"
#include "laniakea/awareness.h"
#include "laniakea/doc.h"
#include "platform/memory/storage.h"
#include "room/doc_versions.h"
#include "room/house.h"
#include "sim/disk.h"
#include "sim/nemesis.h"
#include "sim/net.h"

#define DOC_TOPICS 2
#define DOC_KEPT 0  /* a topic of level durable */
#define DOC_BRIEF 1 /* one of level memory */
#define DOC_EDGES 2
#define DOC_LINKS_MAX 256
#define DOC_USERS_MAX 12
#define DOC_LETTERS_MAX 16000
#define DOC_MEMORY_BOUND ((size_t)256 << 20)
#define DOC_STORE_MAX ((uint64_t)64 << 20)

typedef struct doc_world doc_world;

lk_slice doc_topic(uint32_t topic);

/* ---- what was typed ---- */

/* Users are bits. A user's replica that is thrown away takes with it what nobody else has of it: then what it typed may
 * be there or not, unless it was acknowledged. */
typedef struct doc_letter {
  uint16_t author;
  uint16_t deleters; /* whose replicas live */
  bool is_alive;     /* its author's replica */
  bool is_forbidden; /* its author may only read */
  bool is_acked;
  bool was_deleted; /* by anybody, ever */
  bool deletion_is_acked;
  bool
      is_rewritten; /* it was there when somebody restored a version, and may have gone or come back by that */
} doc_letter;

typedef struct doc_ledger {
  sim_world *world;
  const char *topic;
  doc_letter letters[DOC_LETTERS_MAX];
  uint32_t count;
  uint32_t
      epoch; /* how often all that was acknowledged was void: level memory, when the machine died or it was erased */
  uint32_t rewritings; /* that are under way */
  uint64_t checks;
} doc_ledger;

/* Letters are characters of one UTF-16 unit and three bytes. */
uint32_t doc_letter_point(uint32_t index);

/* The letters of |utf8|, one for each character; false where there is one that is none. |out| is emptied before. */
bool doc_letters_of(lk_slice utf8, uint32_t *out, size_t max, size_t *count);

void doc_ledger_typed(doc_ledger *self, uint32_t user, bool is_forbidden, uint32_t *index);
void doc_ledger_deleted(doc_ledger *self, uint32_t user, uint32_t index);
void doc_ledger_acked(doc_ledger *self, uint32_t index);
void doc_ledger_deletion_acked(doc_ledger *self, uint32_t index);
void doc_ledger_replica_gone(doc_ledger *self, uint32_t user);
void doc_ledger_void(doc_ledger *self);

/* A version is restored from now on, and when that has ended: of what was typed by then nothing is promised but that it is not
 * there twice. */
void doc_ledger_rewriting(doc_ledger *self);
void doc_ledger_rewritten(doc_ledger *self);

/* Nothing acknowledged is missing, nothing is there twice, nothing that nobody may type. */
void doc_ledger_check(doc_ledger *self, const char *who, lk_slice text);

/* The same, and that everything is there which living replicas typed. */
void doc_ledger_check_complete(doc_ledger *self, const char *who, lk_slice text);

/* ---- versions of the durable document ---- */

#define DOC_SAVED_MAX 128
#define DOC_CLIENTS_MAX 4096

typedef uint8_t doc_letters[DOC_LETTERS_MAX / 8]; /* a set of them */

typedef enum doc_wish_kind {
  DOC_WISH_NONE,
  DOC_WISH_SAVE,
  DOC_WISH_RESTORE,
  DOC_WISH_DELETE
} doc_wish_kind;

/* What a user has asked for and was not answered yet. */
typedef struct doc_wish {
  doc_wish_kind kind;
  uint64_t number; /* of all wishes */
  uint32_t index;  /* of what was saved, where it is about that */
  doc_letters due; /* what it has to show, where it is to be saved */
  uint64_t ref;    /* under which it was sent on this connection; 0: it was not */
} doc_wish;

/* A version that somebody saved and was told of. */
typedef struct doc_saved {
  uint64_t id;
  uint64_t number; /* of the wish: its name */
  uint32_t typed;  /* how many letters there were by then */
  doc_letters due;
  bool has_said; /* it was looked at: */
  uint64_t digest;
  bool is_doomed; /* somebody asks to delete it */
  bool is_gone;   /* and was told that it is */
} doc_saved;

typedef struct doc_restore {
  uint64_t number;
  uint32_t index;
  bool is_alone; /* no other one was under way */
  bool is_acked;
  doc_letters before; /* what had been acknowledged when it was asked for */
} doc_restore;

typedef struct doc_shelf {
  doc_ledger *ledger;
  doc_saved saved[DOC_SAVED_MAX];
  uint32_t count;
  uint64_t wishes;
  uint32_t restores_asked;
  doc_restore last;
  uint64_t clients[DOC_CLIENTS_MAX]; /* of users, ever */
  uint32_t clients_count;
} doc_shelf;

/* A user's replica was opened. */
void doc_shelf_opened(doc_shelf *self, uint64_t client);

/* One of those that were saved; false where there is none that nobody wants to delete. */
bool doc_shelf_draw(const doc_shelf *self, lk_prng *prng, uint32_t *index);

/* |wish| is about to be sent for the first time, and gets its number; and was answered. */
void doc_shelf_ask(doc_shelf *self, doc_wish *wish);
void doc_shelf_answered(doc_shelf *self, const doc_wish *wish, bool is_done, uint64_t id);

struct doc_kept;
void doc_shelf_check(doc_shelf *self, const struct doc_kept *kept, doc_world *world);

/* ---- the server ---- */

typedef struct doc_link {
  sim_end end;
  uint32_t edge;
  bool is_open;        /* has said what it is */
  uint64_t connection; /* the edge's name for it */
  uint64_t heard_ms;
  lk_bus_lag lag;        /* what its edge was told */
  uint64_t lag_until_ms; /* until then it is said to read too slowly */
  uint64_t lagged_ms;    /* when it did so last */
} doc_link;

typedef struct doc_server {
  sim_node node; /* first */
  doc_world *world;
  sim_disk disk;
  lk_memory_storage memory;
  uint64_t memory_full_until_us;
  uint64_t memory_full_bytes; /* and no more, until then */
  lk_limits limits;
  lk_room_policy policy;
  lk_slice ephemeral[1];
  lk_idle_rule idle[1];
  lk_version_rule versions[1];
  lk_access access;
  lk_edge *edges[DOC_EDGES];
  lk_house *house;
  size_t to_house_left[DOC_EDGES]; /* of the frame that is under way */
  size_t to_edge_left[DOC_EDGES];
  uint32_t bus_us; /* how long the bus takes at most; 0: no time */
  uint64_t erased;
  doc_link links[DOC_LINKS_MAX];
  uint32_t link_count;
  uint64_t sweep_at_ms;
  sim_event bus;
  lk_prng prng;
} doc_server;

void doc_server_init(doc_server *self, doc_world *world);
void doc_server_deinit(doc_server *self);

/* The house ends, or an edge with its connections; another one begins. False where the server is down. */
bool doc_server_kill_rooms(doc_server *self);
bool doc_server_kill_edge(doc_server *self);

/* Whether the client at |end| was behind a moment ago: it may not have been told all yet. */
bool doc_server_lags(const doc_server *self, sim_end end);

/* The storage that survives the house cannot grow until then. */
void doc_server_fill_memory(doc_server *self, uint64_t until_us);

/* What a server has of a topic. */
typedef struct doc_kept {
  lk_doc *doc; /* with what was deleted */
  lk_doc_versions versions;
} doc_kept;

/* Empty, on the simulator's own memory. */
void doc_kept_init(doc_kept *self, doc_world *world);
void doc_kept_deinit(doc_kept *self);

/* What a house would open |topic| from now. |out| is empty. */
lk_err doc_server_recover(doc_server *self, uint32_t topic, sim_view view, doc_kept *out);

/* ---- a user ---- */

typedef enum doc_wire { DOC_WIRE_ARRAY, DOC_WIRE_BASE64, DOC_WIRE_BINARY, DOC_WIRE_Y } doc_wire;

#define DOC_DELETED_MAX 4
#define DOC_TYPED_MAX 6
#define DOC_PENDING_MAX 128
#define DOC_GENERATION_LEN 16

/* A change that was not acknowledged. */
typedef struct doc_pending {
  lk_buf update;
  uint64_t ref;   /* under which it was sent on this connection; 0: it was not */
  uint32_t epoch; /* the ledger's, when it was sent */
  uint32_t typed[DOC_TYPED_MAX];
  uint32_t typed_count;
  uint32_t deleted[DOC_DELETED_MAX];
  uint32_t deleted_count;
} doc_pending;

typedef struct doc_user {
  sim_node node; /* first */
  doc_world *world;
  uint32_t number; /* among users */
  uint32_t topic;
  doc_wire wire;
  bool may_write;
  bool may_delete; /* versions */
  lk_limits limits;
  lk_doc *doc;
  lk_node text;
  lk_node map;
  lk_awareness *here;
  lk_buf saved;
  bool has_saved;
  bool is_new;     /* the replica is not the one that the last tab had */
  bool is_dirty;   /* it has what nobody will take: it may only read, and has typed */
  bool has_tidied; /* it may only read, and took away marks of formatting that all others have */
  bool is_online;
  bool is_resting;
  bool is_open;
  bool is_joined;
  bool was_acked; /* as of this generation */
  bool is_synced; /* since it rests: what it has is what the room has */
  char generation[DOC_GENERATION_LEN + 1];
  doc_pending pending[DOC_PENDING_MAX]; /* a ring would be shorter to move, not to read */
  uint32_t pending_count;
  doc_wish wish;
  lk_buf local; /* the update of the change that is being made */
  sim_end end;
  uint64_t ref_next;
  uint64_t join_ref;
  uint64_t beat_ref;
  uint64_t sync_ref;
  uint64_t next_try_ms;
  uint64_t beat_at_ms;
  uint64_t heard_ms;
  uint32_t replicas;
  uint32_t refusals;
  lk_prng prng;
  sim_event act;
} doc_user;

void doc_user_init(doc_user *self, doc_world *world, uint32_t number, uint32_t topic, doc_wire wire,
                   bool may_write);
void doc_user_deinit(doc_user *self);

/* No more actions: it comes back, goes online, gives up what it may not say, and asks for what it lacks. */
void doc_user_rest(doc_user *self);
bool doc_user_is_settled(const doc_user *self);

/* What it waits for that is not settled. */
const char *doc_user_waits_for(const doc_user *self);

/* It closes its tab for good. */
void doc_user_leave(doc_user *self);

/* Appends all that the replica says: JSON, and text with its formatting. */
void doc_write_state(lk_doc *doc, lk_buf *out);
void doc_write_text(lk_doc *doc, lk_buf *out);

/* ---- all together ---- */

struct doc_world {
  sim_world *world;
  lk_env env; /* the simulator's own */
  sim_net net;
  sim_nemesis nemesis;
  doc_server server;
  doc_ledger ledgers[DOC_TOPICS];
  doc_shelf shelf;
  doc_user users[DOC_USERS_MAX];
  uint32_t user_count;
  uint64_t changes;
  uint64_t look_at_us; /* no look at the server's files before */
  lk_prng prng;
};

/* Compares what the server keeps with what was acknowledged. */
void doc_world_check_server(doc_world *self, sim_view view);

/* Somebody was just told something: look now and then whether it is true. */
void doc_world_check_promise(doc_world *self);

#endif
