/* room/crdt_trial.h -- a change of a room's object that may turn out to be too much.
 *
 *   begin ──> object: change it ──> end (it is made, or LK_ERR_LIMIT and it is not)
 *                              └──> drop, in every case
 *
 * What is kept must fit into one answer to a join: crdt_trial.c. */
#ifndef LK_ROOM_CRDT_TRIAL_H
#define LK_ROOM_CRDT_TRIAL_H

#include "room/crdt_answers.h"
#include "room/crdt_copies.h"

typedef struct lk_crdt_trial {
  lk_crdt_copies *copies;
  lk_crdt_answers *answers;
  lk_crdt *object; /* the state of |copies|, or a copy of it */
  size_t len;      /* of a copy: what the answer was before */
  bool is_copy;
} lk_crdt_trial;

/* How long the answer to a join may become. What has grown longer somehow may still be changed, but not grow. */
size_t lk_crdt_trial_len_max(const lk_crdt_copies *copies);

/* What a command of |len| bytes, and a delta of |len| bytes, add to that answer at most. */
size_t lk_crdt_trial_most_of_command(size_t len);
size_t lk_crdt_trial_most_of_delta(size_t len);

/* A change begins that adds |more| at most. |copies| has a type. LK_ERR_NOMEM: drop it. */
lk_err lk_crdt_trial_begin(lk_crdt_trial *self, lk_crdt_copies *copies, lk_crdt_answers *answers,
                           size_t more) LK_MUST_USE;

/* The change of |object| was made, and adds |more| at most. LK_ERR_LIMIT where that is too much, and LK_ERR_NOMEM: |copies| is
 * as before. */
lk_err lk_crdt_trial_end(lk_crdt_trial *self, size_t more) LK_MUST_USE;

/* Gives back what is not the room's. */
void lk_crdt_trial_drop(lk_crdt_trial *self);

#endif
