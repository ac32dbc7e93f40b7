/* room/doc_parts.h -- what the files of a document's room share; nobody else includes it.
 *
 *   doc_room.c      the essay; inputs, effects
 *   doc_joins.c     who comes in, and what it is given
 *   doc_updates.c   what members write
 *   doc_yjs.c       the same in y-protocols' messages
 *   doc_version_commands.c    how the document looked, and the way back
 *   doc_shown.c     what members show each other
 *   doc_answers.c   what a member is told, and when
 *   doc_writers.c   members who have a note (doc_notes.h), and who wrote first
 *   doc_sleep.c     the document, open and closed
 *   doc_life.c      the room's beginning from what was kept, its snapshots, its end */
#ifndef LK_ROOM_DOC_PARTS_H
#define LK_ROOM_DOC_PARTS_H

#include "room/doc_room.h"

#include "base/map.h"
#include "room/doc_awareness.h"
#include "room/doc_bridge.h"
#include "room/doc_encoded.h"
#include "room/doc_journal.h"
#include "room/doc_notes.h"
#include "room/doc_render.h"
#include "room/doc_versions.h"
#include "room/effects.h"
#include "room/held.h"

#define LK_DOC_ROOM_NEVER UINT64_MAX

/* What a room needs while it does something. One that sleeps has none. */
typedef struct lk_doc_work {
  lk_effects effects;
  lk_held held;     /* what waits for the records before it */
  lk_arena scratch; /* of one input */
  lk_buf bytes;     /* of one input: what its payload has */
  lk_buf text;      /* of one input: a payload to send */
  lk_doc_journal journal;
} lk_doc_work;

/* Who did what: only where somebody has a name, or speaks y-protocols. */
typedef struct lk_doc_people {
  lk_doc_notes notes;
  lk_map *writers;  /* client -> its first writer's subject, an owned lk_slice; NULL: none yet */
  uint32_t hearers; /* notes of those who hear */
} lk_doc_people;

struct lk_room {
  const lk_env *env;
  const lk_env *awake; /* of |doc| and |work| */
  const lk_limits *limits;
  lk_slice level;
  uint64_t erased_after_ms; /* as its options say */
  lk_doc *doc;              /* NULL while it sleeps */
  uint64_t doc_client;
  uint64_t seed[2];
  uint64_t touched_ms; /* when somebody needed the document last */
  uint64_t timer_at;   /* the TICK that is due; NEVER: none */
  uint64_t generation;
  bool generation_is_kept;
  bool keeps_deleted;  /* no garbage collection: there are versions, or may be */
  bool is_looked_at;   /* LK_ROOM_LOOK */
  bool is_watching;    /* LK_ROOM_WATCH */
  size_t encoded_most; /* the whole document is no longer than that, encoded */
  lk_doc_work *work;
  lk_doc_people *people; /* NULL where there are none */
  lk_doc_encoded encoded;
  lk_doc_awareness *awareness; /* NULL where nobody ever showed anything */
  lk_doc_rendered *rendered;   /* NULL where nobody ever read HTML */
  lk_doc_versions *versions;   /* NULL where there are none, and never were */
};

/* What came of something that a member sent. */
typedef struct outcome {
  const char *reason; /* it was refused: why, in a word of ours */
  lk_err why;         /* and in one of errors.def */
  const char *limit;  /* which one it was; NULL: none, or the document's own */
  uint64_t ticket;    /* what must be durable before it is answered; 0: nothing */
} outcome;

static inline outcome refused(const char *reason, lk_err why) {
  return (outcome){ .reason = reason, .why = why };
}

/* It is in the document, now or from before, but perhaps not durable yet. */
static inline outcome known(const lk_room *self) {
  return (outcome){ .ticket = lk_doc_journal_ticket(&self->work->journal) };
}

static inline lk_slice key_of(uint64_t number, uint8_t bytes[8]) {
  lk_store_le64(bytes, number);
  return lk_slice_of(bytes, 8);
}

/* All that return lk_err: an error is the room's end. */

/* ---- doc_answers.c ---- */

/* What the effect points to lives until the next step. */
lk_err lk_doc_room_push(lk_room *self, lk_room_effect effect);
lk_err lk_doc_room_push_copy(lk_room *self, lk_room_effect effect);
/* What it says of the document is durable when it is sent: at once, as lk_doc_room_push(), or later. */
lk_err lk_doc_room_push_kept(lk_room *self, lk_room_effect effect);
lk_err lk_doc_room_push_kept_copy(lk_room *self, lk_room_effect effect);
/* So much is held that nothing long should be added. */
bool lk_doc_room_is_busy(const lk_room *self);
/* The same, of bytes to one member. */
lk_err lk_doc_room_push_bytes(lk_room *self, uint64_t member, lk_slice event, lk_slice bytes,
                              lk_message_dialect dialect);
/* The member is told and the room goes on. Where memory is out, it does not. */
lk_err lk_doc_room_refuse(lk_room *self, const lk_room_input *input, const char *reason, lk_err why,
                          lk_slice field);
lk_room_effect lk_doc_room_reply_ok(const lk_room *self, uint64_t member, uint64_t request);
/* At once, or when what it is about is durable. */
lk_err lk_doc_room_answer(lk_room *self, const lk_room_input *input, const outcome *o);

/* ---- doc_sleep.c ---- */

lk_err lk_doc_room_open_doc(lk_room *self);
/* Before anything that needs the document. */
lk_err lk_doc_room_wake(lk_room *self, const lk_room_input *input);
uint64_t lk_doc_room_sleep_at(const lk_room *self);
/* What cannot be encoded for want of memory stays open, and is tried again later. */
void lk_doc_room_fall_asleep(lk_room *self, uint64_t now_ms);
/* Before an input is taken. */
lk_err lk_doc_room_begin_work(lk_room *self);
/* Nothing is left to be polled: a room that sleeps and waits for nothing rests. */
void lk_doc_room_end_work(lk_room *self);
void lk_doc_room_free_work(lk_room *self);

/* ---- doc_writers.c ---- */

/* NULL where there is none. */
lk_doc_note *lk_doc_room_find_note(const lk_room *self, uint64_t member);
lk_err lk_doc_room_make_note(lk_room *self, uint64_t member, lk_doc_note **out);
lk_err lk_doc_room_note_subject(lk_room *self, uint64_t member, lk_slice subject);
void lk_doc_room_forget_note(lk_room *self, uint64_t member);
/* |*is_new|: false where the client is known already. */
lk_err lk_doc_room_add_writer(lk_room *self, uint64_t client, lk_slice subject, bool *is_new);
/* |update| brought clients that had not written before: they are the member's. Forwarded ones of others are, too, where this
 * is the first that we see of them. */
lk_err lk_doc_room_attribute_clients(lk_room *self, const lk_room_input *input, lk_slice update);
/* Who asks, by the token: empty for nobody in particular. */
lk_slice lk_doc_room_subject_of(const lk_room *self, const lk_room_input *input);
/* Who wrote first as |client|: empty for nobody in particular. */
lk_slice lk_doc_room_writer_of(const lk_room *self, uint64_t client);
lk_err lk_doc_room_append_writers(lk_room *self, lk_buf *out);
void lk_doc_room_free_people(lk_room *self);

/* ---- doc_updates.c ---- */

/* Into the record that gathers. The first record says which document this is. */
lk_err lk_doc_room_note_item(lk_room *self, const lk_doc_item *item, uint64_t from);
/* The record that gathers goes out, where none is under way. */
lk_err lk_doc_room_begin_journal(lk_room *self);
/* What fits into one record of the journal, and into one message to an edge. */
size_t lk_doc_room_message_bytes_max(const lk_limits *limits);
/* LK_ERR_TOO_BIG where the document would no longer go into one message and one snapshot with |update|; what only deletes may
 * always come. */
/* not foreign: of its bytes the first is looked at, and lk_doc_room_step() is fuzzed with it */
lk_err lk_doc_room_check_size(lk_room *self, lk_slice update);
lk_err lk_doc_room_take_update(lk_room *self, const lk_room_input *input, lk_slice update,
                               outcome *out);
lk_err lk_doc_room_on_client_update(lk_room *self, const lk_room_input *input);
/* Something was too long to be read; the payload says what. */
lk_err lk_doc_room_on_too_big(lk_room *self, const lk_room_input *input);
lk_err lk_doc_room_on_journaled(lk_room *self, const lk_room_input *input);
/* The next update that became durable, for the others; false where there is none. */
bool lk_doc_room_poll_news(lk_room *self, lk_room_effect *out);

/* ---- doc_shown.c ---- */

lk_err lk_doc_room_take_awareness(lk_room *self, const lk_room_input *input, lk_slice update,
                                  outcome *out);
lk_err lk_doc_room_on_awareness(lk_room *self, const lk_room_input *input);
/* What all show, to one. */
lk_err lk_doc_room_push_awareness(lk_room *self, uint64_t member);
/* |member| speaks y-protocols. */
lk_err lk_doc_room_note_hearer(lk_room *self, uint64_t member);
/* Presence: what it wants to know, and what it says. */
lk_err lk_doc_room_on_look(lk_room *self, const lk_room_input *input);
lk_err lk_doc_room_on_seen(lk_room *self, const lk_room_input *input);
/* A member has left, and was forgotten. */
lk_err lk_doc_room_unsee(lk_room *self, const lk_room_input *input);
/* What changed, to all, where it is time. */
lk_err lk_doc_room_tell_awareness(lk_room *self, uint64_t now_ms);
/* One awareness update of several. */
/* not foreign: broadcasts of this room */
lk_err lk_doc_room_merge_awareness(const lk_slice *updates, size_t count, lk_buf *out);

/* ---- doc_yjs.c ---- */

/* Our state vector, so that the member sends what we lack. */
lk_err lk_doc_room_ask_for_rest(lk_room *self, const lk_room_input *input);
lk_err lk_doc_room_on_yjs(lk_room *self, const lk_room_input *input);
lk_err lk_doc_room_on_yjs_sync(lk_room *self, const lk_room_input *input);

/* ---- doc_version_commands.c ---- */

/* Before the document, which is open, moves on: an automatic version, where it is time. */
lk_err lk_doc_room_keep_version(lk_room *self, const lk_room_input *input);
bool lk_doc_room_is_of_versions(lk_slice event);
lk_err lk_doc_room_on_version(lk_room *self, const lk_room_input *input);

/* ---- doc_joins.c ---- */

lk_err lk_doc_room_on_join(lk_room *self, const lk_room_input *input);
lk_err lk_doc_room_on_restore(lk_room *self, const lk_room_input *input);
/* The member reads too slowly: it is spared what others are told, until it is told all that it missed. */
lk_err lk_doc_room_on_lag(lk_room *self, const lk_room_input *input);
lk_err lk_doc_room_on_catch_up(lk_room *self, const lk_room_input *input);
/* What a join would say, for a member that wants to be sure. */
lk_err lk_doc_room_on_sync(lk_room *self, const lk_room_input *input);

/* ---- doc_life.c ---- */

lk_err lk_doc_room_open_room(const lk_room_options *options, lk_room **out);
void lk_doc_room_close_room(lk_room *self);
lk_err lk_doc_room_on_snapshot(lk_room *self);

/* ---- doc_room.c ---- */

/* To a member that just came and reads HTML all of it; to those who are in what changed. */
lk_err lk_doc_room_tell_page(lk_room *self, const lk_room_input *input);

#endif
