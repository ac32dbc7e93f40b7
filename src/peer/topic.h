/* peer/topic.h -- one topic on this device: a replica, what of it the server has not acknowledged, and a channel.
 *
 *            lk_topic_apply()                    JOINED                  reply ok
 *   user ──> replica ──> backlog ──> diary        server's state          backlog ──> gone
 *               │           └──────── merge ────> server                     │
 *               └── value                                                    └── diary
 *
 * A change is made in the replica at once and stands in the backlog until the server says that it is kept. One message with
 * changes is under way at a time; what is changed meanwhile goes together in the next.
 *
 * JOINING AGAIN is flush, receive, merge. The answer to a join says what the server has; what it lacks of ours is worked out against
 * that and sent (the flush), which is more than the backlog where the server has lost something: replicas are each
 * other's backup. Then what it has and we lack is merged. A difference that is too long for one message is not sent; the backlog
 * is, change by change.
 *
 * EXACTLY ONCE. What is sent are facts with dots, or structs with clocks: the server takes them once, however often and over
 * whatever connection they come. That holds as long as no dot stands for two changes. A replica of an object changes it under a
 * name that is kept in the diary and goes on over restarts, so a change may leave this device only when it cannot be
 * forgotten: when its record is durable (|waits|). Where nothing is kept, or the storage has failed, the name is one
 * of this process alone, and nothing waits. Documents take a new client id in each process, as Yjs does, and never wait.
 *
 * REFUSED. What the server does not take for good (peer/refusals.def) stays in the replica and in the backlog, and is not sent
 * any more (|is_blocked|) until lk_topic_retry(); what others write still comes. Nothing is dropped but by
 * lk_topic_start_anew(). */
#ifndef LK_PEER_TOPIC_H
#define LK_PEER_TOPIC_H

#include "base/list.h"
#include "codec/json_writer.h"
#include "laniakea/client.h"
#include "peer/backlog.h"
#include "peer/channel.h"
#include "peer/diary.h"

#define LK_TOPIC_REPLY_MS 15000 /* a change is acknowledged by then, or the topic is joined again */
#define LK_TOPIC_ACTOR_LEN 16
#define LK_TOPIC_PROFILE_MAX 32
/* In place of a number of types.def. */
#define LK_TOPIC_DOC 0u
#define LK_TOPIC_PLAIN 255u /* there is no replica */

typedef struct lk_topic_type lk_topic_type;

/* How far a compaction has got in a topic. */
typedef enum lk_topic_rewrite {
  LK_TOPIC_REWRITTEN,
  LK_TOPIC_REWRITE_TOPIC,
  LK_TOPIC_REWRITE_STATE,
  LK_TOPIC_REWRITE_CHANGES,
} lk_topic_rewrite;

typedef struct lk_topic_generation {
  uint8_t name[LK_DIARY_NAME_MAX];
  uint32_t len;
} lk_topic_generation;

/* What the diary has of a topic, and what it should have. */
typedef struct lk_topic_records {
  bool is_known;   /* a TOPIC, in |topic| */
  bool owes_topic; /* another one */
  bool owes_state; /* a STATE: something stands in no other record, and not in the one that is being written */
  bool owes_drop;  /* a DROP, before anything else */
  uint64_t topic;  /* index of the latest TOPIC; 0: none, or none that counts */
  lk_topic_generation generation; /* that the diary knows */
  uint64_t state;  /* of the latest STATE or NEWS; 0: there is none that has everything */
  uint64_t acked;  /* what the latest ACKED says */
  lk_topic_rewrite rewrite;
  uint64_t rewritten; /* changes up to this number were written again */
} lk_topic_records;

/* Changes that are in the replica and not in the backlog: there was no memory for them. A flush has them, when they may leave. */
typedef struct lk_topic_missed {
  uint32_t count;
  uint32_t safe;  /* of these, they are in a STATE that is durable */
  uint32_t flush; /* of these, they are in the flush */
  uint64_t first; /* the number of the first of them; each has one */
} lk_topic_missed;

/* The message that is under way: one at a time. */
typedef struct lk_topic_flight {
  uint64_t ref; /* 0: none is */
  uint64_t to;  /* it has all changes up to this number */
  uint64_t by_ms;
  uint64_t sent_ms;
  uint32_t missed; /* as many as this that are in no backlog */
} lk_topic_flight;

static inline lk_slice lk_topic_generation_name(const lk_topic_generation *self) {
  return lk_slice_of(self->name, self->len);
}

struct lk_topic {
  lk_link link; /* in the client's list */
  lk_client *client;
  const lk_topic_type *type;
  lk_buf name;
  lk_peer_channel channel;
  lk_backlog backlog;
  lk_topic_records records;
  lk_topic_flight flight;
  lk_topic_missed missed;
  lk_buf flush;      /* the difference that a join told, not sent yet; empty: none */
  uint64_t flush_to; /* it has all changes up to this number */
  uint32_t holders;  /* how often it is open */
  bool is_kept;      /* in the diary */

  /* ---- the replica ---- */
  uint8_t kind;  /* of types.def; 0: a document; LK_TOPIC_PLAIN */
  lk_crdt *crdt; /* one of the two, the other is NULL; a plain topic has neither */
  lk_doc *doc;
  uint32_t doc_observer;
  uint8_t
      kept_name[LK_TOPIC_ACTOR_LEN]; /* the replica's, over restarts: what is made under it waits */
  uint8_t own_name[LK_TOPIC_ACTOR_LEN]; /* of this process alone */
  bool uses_kept_name;
  lk_topic_generation
      generation; /* of the document that shares content with ours; empty: none does yet */
  lk_topic_generation joined; /* of the one that we are in */
  bool is_foreign; /* what is being merged comes from the diary: it is neither news nor a change */
  bool is_ours;    /* it comes from another replica on this device: a change */
  bool ours_waits;

  /* ---- what is asked of the server beside that ---- */
  bool hears_presence;
  bool owes_capabilities;    /* those that it was told with the join are not those that there are */
  uint64_t capabilities_ref; /* of the message that told others; 0: none did */

  /* ---- what is known of it ---- */
  bool is_read_only;
  bool is_blocked;  /* what is pending was refused: channel.reason says why */
  bool has_changed; /* tell the host */
  bool has_status;  /* likewise */
  lk_slice level;   /* static */
  uint8_t profile[LK_TOPIC_PROFILE_MAX];
  uint32_t profile_len;
};

/* What differs between objects of the catalogue and documents. */
struct lk_topic_type {
  lk_slice event; /* of a change */
  lk_err (*init)(lk_topic *self);
  void (*deinit)(lk_topic *self);
  /* Takes in a state or a delta of the diary's. */
  lk_err (*load)(lk_topic *self, lk_slice bytes);
  /* Appends all of the replica. */
  lk_err (*encode)(const lk_topic *self, lk_buf *out);
  /* Writes members of the join's params. */
  lk_err (*write_params)(lk_topic *self, lk_json_writer *w);
  /* The join was answered: works out the flush, takes in what the server has. */
  lk_err (*joined)(lk_topic *self, const lk_message *m, uint64_t now_ms);
  /* Something of ours was acknowledged; may be NULL. */
  void (*acked)(lk_topic *self);
  /* Something else was said in the topic. |*is_used|: it was about the replica. */
  lk_err (*heard)(lk_topic *self, const lk_message *m, bool *is_used);
  /* Appends one message that says what |count| changes say. */
  lk_err (*gather)(lk_topic *self, const lk_slice *changes, size_t count, lk_buf *out);
  /* Takes in what another replica on this device made; notes it as a change if it says something new. */
  lk_err (*merge)(lk_topic *self, lk_slice bytes, bool waits);
  lk_err (*version)(const lk_topic *self, lk_buf *out);
  lk_err (*since)(const lk_topic *self, lk_slice version, lk_buf *out);
};

extern const lk_topic_type lk_topic_type_crdt;
extern const lk_topic_type lk_topic_type_doc;
extern const lk_topic_type lk_topic_type_plain;

/* Of a number of types.def, 0 for a document, LK_TOPIC_PLAIN. LK_ERR_UNKNOWN_TYPE; LK_ERR_UNSUPPORTED where this build has no
 * such topics, or has not loaded them: those for browsers (topic_types.c). */
lk_err lk_topic_type_of(uint64_t kind, const lk_topic_type **out) LK_MUST_USE;

/* LK_ERR_NOMEM; LK_ERR_UNKNOWN_TYPE and LK_ERR_UNSUPPORTED for its kind. Nobody holds it yet, and nothing is known of it. */
lk_err lk_topic_make(lk_client *client, lk_slice name, uint8_t kind, lk_topic **out) LK_MUST_USE;
void lk_topic_free(lk_topic *self);

/* Joins, leaves and sends, as is due. */
void lk_topic_step(lk_topic *self, uint64_t now_ms);
void lk_topic_tick(lk_topic *self, uint64_t now_ms);
uint64_t lk_topic_deadline(const lk_topic *self);

/* The link is not online any more. */
void lk_topic_lost_link(lk_topic *self);

/* Takes what may be about this topic. An error: the server, or memory, is not to be relied on for now. */
lk_err lk_topic_receive(lk_topic *self, const lk_frame *frame, uint64_t now_ms) LK_MUST_USE;

/* Both names anew: it is another replica from now on. */
void lk_topic_draw_names(lk_topic *self);

/* Whether everything up to change |number| may leave this device. */
bool lk_topic_may_send(const lk_topic *self, uint64_t number);

/* What one message may carry. */
size_t lk_topic_payload_max(const lk_topic *self);

/* Changes up to this number are durable on this device, or with the server, or need not be. */
uint64_t lk_topic_recorded(const lk_topic *self);
/* The server has changes up to this number. */
uint64_t lk_topic_acknowledged(const lk_topic *self);
/* What is made now is recorded in a moment. */
bool lk_topic_is_kept_now(const lk_topic *self);

/* ---- for the types ---- */

/* A change was made: |bytes| tell it. Empty: there was no memory to write them down. */
void lk_topic_note_change(lk_topic *self, lk_slice bytes, bool waits);
/* Others changed it. Empty: there was no memory to write down how. */
void lk_topic_note_news(lk_topic *self, lk_slice bytes);
/* The server has all changes up to |number|, and |missed| of those that are in no backlog. */
void lk_topic_note_acked(lk_topic *self, uint64_t number, uint32_t missed, uint64_t now_ms);
/* |flush| has been worked out: it has all that there is. */
void lk_topic_note_flush(lk_topic *self);
/* What the server has not acknowledged. */
static inline uint64_t lk_topic_pending(const lk_topic *self) {
  return self->backlog.entries.count + self->missed.count;
}
/* What is pending will not be taken, for |reason|. */
void lk_topic_block(lk_topic *self, lk_slice reason);
/* "durable" or "memory" of the server's, or other words of its, which are none. */
void lk_topic_note_level(lk_topic *self, lk_slice level);
void lk_topic_note_profile(lk_topic *self, lk_slice profile);

#endif
