/* room/crdt_trial.c -- how long the answer to a join may become.
 *
 * All that a room holds must fit into one answer to a join, or nobody could join any more: half of the bytes that may
 * wait for one member. How long that answer is costs as much to find out as to write it, so |bound| is an upper
 * bound which grows with each change by the most that it could add; only where the bound is over the limit is the
 * answer measured, and the change made in a copy first. What makes the answer shorter is never refused.
 *
 *   bound + more <= max ─────> changed in place, bound += more
 *                └──> measured: bound = length; fits now ──> the same
 *                                               └──> changed in a copy and measured; the copy becomes the state */
#include "room/crdt_trial.h"

/* What a change adds to the answer to a join at most: for each byte of a delta (in base64, and as a value with escapes),
 * and for each byte of what a command says (a character of a text is an element of its own, with a key). Where that
 * should not be enough for once, the other half of a member's bytes is. */
#define ANSWER_PER_DELTA_BYTE 16u
#define ANSWER_PER_COMMAND_BYTE 128u
#define ANSWER_LEAST 512u

size_t lk_crdt_trial_len_max(const lk_crdt_copies *copies) {
  return copies->scope.limits->ws_output_bytes / 2;
}

static size_t most_of(size_t len, size_t each) {
  size_t most;
  if (!lk_mul_size(len, each, &most) || !lk_add_size(most, ANSWER_LEAST, &most)) return SIZE_MAX;
  return most;
}

size_t lk_crdt_trial_most_of_command(size_t len) { return most_of(len, ANSWER_PER_COMMAND_BYTE); }
size_t lk_crdt_trial_most_of_delta(size_t len) { return most_of(len, ANSWER_PER_DELTA_BYTE); }

static lk_err measure(const lk_crdt_trial *self, const lk_crdt *of, size_t *out) {
  lk_slice answer;
  lk_err err = lk_crdt_answer_join(self->answers, of, 0, LK_CRDT_FORM_BYTES, &answer);
  if (err == LK_OK) *out = answer.len;
  return err;
}

static bool has_room_for(const lk_crdt_copies *copies, size_t more) {
  size_t max = lk_crdt_trial_len_max(copies);
  return more <= max - lk_min_size(copies->bound, max);
}

lk_err lk_crdt_trial_begin(lk_crdt_trial *self, lk_crdt_copies *copies, lk_crdt_answers *answers,
                           size_t more) {
  *self = (lk_crdt_trial){ .copies = copies, .answers = answers };
  lk_err err = lk_crdt_copies_need_state(copies);
  if (err == LK_OK && !has_room_for(copies, more))
    err = measure(self, copies->state, &copies->bound);
  if (err != LK_OK) return err;
  self->object = copies->state;
  self->len = copies->bound;
  if (has_room_for(copies, more)) return LK_OK;
  LK_COVERED(crdt_room_is_nearly_full);
  err = lk_crdt_copies_make_of(copies, copies->state, &self->object);
  self->is_copy = err == LK_OK;
  return err;
}

lk_err lk_crdt_trial_end(lk_crdt_trial *self, size_t more) {
  size_t len;
  if (!self->is_copy) {
    self->copies->bound += more;
    return LK_OK;
  }
  lk_err err = measure(self, self->object, &len);
  if (err == LK_OK && len > lk_crdt_trial_len_max(self->copies) && len > self->len) {
    LK_COVERED(crdt_room_is_full);
    err = LK_ERR_LIMIT;
  }
  if (err != LK_OK) return err;
  lk_crdt_close(self->copies->state);
  self->copies->state = self->object;
  self->copies->bound = len;
  self->is_copy = false;
  return LK_OK;
}

void lk_crdt_trial_drop(lk_crdt_trial *self) {
  if (self->is_copy) lk_crdt_close(self->object);
  self->is_copy = false;
}
