/* room/crdt_parts.h -- what the files of a room of the catalogue share; nobody else includes it.
 *
 *   crdt_room.c         the essay; inputs, resting, opening and closing
 *   crdt_wishes.c       what a client says that it wants: a type, a form of states
 *   crdt_members.c      joining and asking
 *   crdt_execution.c    changing by command
 *   crdt_merges.c       changing by merge
 *   crdt_replies.c      refusals, and answers to changes when they are durable
 *   crdt_queries.c      what somebody asks who is not in the room
 *
 * Below them, with headers of their own: copies, trial, journal, record, author, requests; commands, answers, news, html.
 *
 * What takes an input returns LK_OK where the member did something wrong: it is told. An error is the room's end. */
#ifndef LK_ROOM_CRDT_PARTS_H
#define LK_ROOM_CRDT_PARTS_H

#include "room/crdt_room.h"

#include "codec/json_reader.h"
#include "room/crdt_answers.h"
#include "room/crdt_journal.h"
#include "room/crdt_trial.h"
#include "room/effects.h"

/* How far the clock of a client may be ahead of ours; where the house does not know the date, some time in the year 2248:
 * nobody is there, and the end of lk_hlc is far. */
#define LK_CRDT_ROOM_DRIFT_MS 300000u
#define LK_CRDT_ROOM_STAMP_MS_MAX (UINT64_C(1) << 43)

struct lk_room {
  const lk_env *env;
  const lk_limits *limits;
  lk_crdt_copies copies;
  lk_crdt_journal journal;
  lk_crdt_requests requests;
  lk_crdt_author author;
  lk_crdt_answers answers;
  lk_effects effects;
  lk_arena scratch; /* of one input */
  lk_buf bytes;     /* likewise: a delta, a snapshot */
  uint32_t members;
  uint64_t used_ms; /* when there was something to do */
  bool timer_is_set;
  bool tells_all_counts; /* somebody came by counter:<id>, and not all have left since */
  lk_slice name;         /* of the topic, without its kind; owned */
};

/* What is the latest time that a client may say. */
static inline uint64_t stamp_max(const lk_room_input *input) {
  return input->wall_ms != 0 ? input->wall_ms + LK_CRDT_ROOM_DRIFT_MS : LK_CRDT_ROOM_STAMP_MS_MAX;
}

/* ---- crdt_wishes.c ---- */

typedef struct lk_crdt_wishes {
  const lk_crdt_type *type; /* NULL: any */
  lk_crdt_form form;
} lk_crdt_wishes;

/* What the input says of the type and of how states are told. One that is no JSON object says nothing. On an error
 * |*field| is to blame. LK_ERR_PAYLOAD, LK_ERR_UNKNOWN_TYPE; LK_ERR_NOMEM and other errors of the JSON reader. */
/* not foreign: the step of a room hands it what clients say, and is fuzzed so */
lk_err lk_crdt_room_read_wishes(lk_room *self, const lk_room_input *input, lk_crdt_wishes *out,
                                lk_slice *field) LK_MUST_USE;
/* The type that |event| names; |*out| stays where it names none. LK_ERR_PAYLOAD, LK_ERR_UNKNOWN_TYPE. */
lk_err lk_crdt_room_read_type(const lk_json_event *event, const lk_crdt_type **out) LK_MUST_USE;
/* What the object is may still be said anew: nothing is there, and nobody relies on it. */
bool lk_crdt_room_is_open_to_any_type(const lk_room *self);
/* From here on there is an object, of the type |wanted| unless that is NULL. LK_ERR_TYPE where it is another one;
 * LK_ERR_NOMEM. */
lk_err lk_crdt_room_settle_type(lk_room *self, const lk_crdt_type *wanted) LK_MUST_USE;
/* Likewise, of one that can be told in the form that is wanted. */
lk_err lk_crdt_room_settle_wishes(lk_room *self, const lk_crdt_wishes *wanted) LK_MUST_USE;

/* ---- crdt_replies.c ---- */

/* To who sent |input|. */
lk_err lk_crdt_room_push(lk_room *self, const lk_room_input *input, lk_room_effect_kind kind,
                         bool ok, lk_slice payload) LK_MUST_USE;
lk_err lk_crdt_room_refuse_with(lk_room *self, const lk_room_input *input, lk_slice reason,
                                lk_slice field, lk_slice message) LK_MUST_USE;
/* Because of |why|, which |field| is to blame for. Returns LK_ERR_NOMEM where it is that. */
lk_err lk_crdt_room_refuse(lk_room *self, const lk_room_input *input, lk_err why,
                           lk_slice field) LK_MUST_USE;
/* What a client is told that wants another type. */
lk_err lk_crdt_room_render_mismatch(lk_room *self, lk_slice *payload) LK_MUST_USE;
lk_err lk_crdt_room_refuse_type(lk_room *self, const lk_room_input *input) LK_MUST_USE;

/* There is room for one more who waits for a record. */
bool lk_crdt_room_may_wait(const lk_room *self);
/* What |input| says was there already, but perhaps it is not durable yet. */
lk_err lk_crdt_room_answer_known(lk_room *self, const lk_room_input *input) LK_MUST_USE;
/* What changed gathers in the journal. */
lk_err lk_crdt_room_answer_changed(lk_room *self, const lk_room_input *input) LK_MUST_USE;
/* The record under way is durable: everybody is told what changed. */
lk_err lk_crdt_room_on_journaled(lk_room *self, const lk_room_input *input) LK_MUST_USE;

/* ---- crdt_members.c ---- */

lk_err lk_crdt_room_on_join(lk_room *self, const lk_room_input *input) LK_MUST_USE;
lk_err lk_crdt_room_on_restore(lk_room *self, const lk_room_input *input) LK_MUST_USE;
void lk_crdt_room_on_leave(lk_room *self, const lk_room_input *input);
/* It reads too slowly, and does so no longer. */
lk_err lk_crdt_room_on_lag(lk_room *self, const lk_room_input *input);
lk_err lk_crdt_room_on_catch_up(lk_room *self, const lk_room_input *input);
lk_err lk_crdt_room_on_get(lk_room *self, const lk_room_input *input) LK_MUST_USE;
lk_err lk_crdt_room_on_render(lk_room *self, const lk_room_input *input) LK_MUST_USE;
/* For members that can show nothing but HTML: |member| alone, or, where it is 0, all of them. */
lk_err lk_crdt_room_tell_page(lk_room *self, uint64_t member) LK_MUST_USE;

/* ---- crdt_execution.c, crdt_merges.c ---- */

lk_err lk_crdt_room_on_command(lk_room *self, const lk_room_input *input) LK_MUST_USE;
lk_err lk_crdt_room_on_merge(lk_room *self, const lk_room_input *input) LK_MUST_USE;

/* ---- crdt_queries.c, crdt_room.c ---- */

lk_err lk_crdt_room_on_query(lk_room *self, const lk_room_input *input) LK_MUST_USE;
/* Whether |command| has the id of one that was. The errors of JSON. */
lk_err lk_crdt_room_is_executed(lk_room *self, lk_slice command, bool *out) LK_MUST_USE;
lk_err lk_crdt_room_on_message(lk_room *self, const lk_room_input *input) LK_MUST_USE;

#endif
