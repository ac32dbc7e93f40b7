/* room/crdt_execution.c -- commands: changes that the room makes for clients that have no replica.
 *
 *   read ──> looked up by request_id ──(new)──> made under the room's replica id ──> gathers, with its request
 *                                 └──(known)──> answered as if it had been made just now
 *
 * What was executed is remembered in |requests| and kept in the same record as the delta that it made. One that comes
 * again waits for the journal like any other, and is answered. */
#include "room/crdt_parts.h"

#include "room/crdt_commands.h"

/* In what time it happened. */
static uint64_t time_of(const lk_room_input *input, const lk_crdt_command *command) {
  if (command->timestamp_ms != 0) return command->timestamp_ms;
  return input->wall_ms != 0 ? input->wall_ms : input->now_ms;
}

/* Only counts are told by who made them. */
static lk_slice label_of(const lk_room *self, const lk_crdt_command *command) {
  return self->copies.type == &lk_crdt_type_gcounter ? command->node_id : LK_SLICE_EMPTY;
}

/* Executes |command|, all of it or nothing; its delta is in the scratch memory. */
static lk_err make(lk_room *self, const lk_crdt_command *command, const lk_crdt_op *op,
                   lk_slice *delta) {
  lk_crdt_trial trial;
  size_t most = lk_crdt_trial_most_of_command(command->arguments.len);
  lk_err err = lk_crdt_trial_begin(&trial, &self->copies, &self->answers, most);
  if (err != LK_OK) return err;
  lk_buf_truncate(&self->bytes, 0);
  err = lk_crdt_apply(trial.object, op, command->name, command->arguments);
  if (err == LK_OK) err = lk_arena_copy(&self->scratch, lk_buf_slice(&self->bytes), delta);
  if (err == LK_OK) err = lk_crdt_trial_end(&trial, lk_crdt_trial_most_of_delta(delta->len));
  lk_crdt_trial_drop(&trial);
  return err;
}

/* That, under the room's name. On an error |*field| is to blame. */
static lk_err execute(lk_room *self, const lk_room_input *input, const lk_crdt_command *command,
                      lk_slice *delta, lk_slice *field) {
  uint8_t name[LK_ACTOR_LEN_MAX];
  lk_crdt_op op = { .at = command->at, .delta = &self->bytes, .now_ms = time_of(input, command) };
  *field = LK_LIT("payload.node_id");
  lk_err err = lk_crdt_author_name(&self->author, input->entropy, label_of(self, command), name,
                                   &op.actor);
  if (err != LK_OK) return err;
  *field = LK_LIT("timestamp");
  if (op.now_ms > stamp_max(input)) return LK_ERR_CLOCK;
  err = make(self, command, &op, delta);
  if (err != LK_OK) *field = lk_crdt_command_blame(command, err, &self->scratch);
  return err;
}

/* Whether it was executed before. LK_ERR_EXISTS where its id was that of another command. */
static lk_err look_up(const lk_room *self, const lk_crdt_command *command, lk_crdt_request *out,
                      bool *known) {
  const lk_slice parts[] = { command->name, command->at, command->arguments, command->node_id };
  *known = false;
  if (command->request_id.len == 0) return LK_OK;
  *out = lk_crdt_request_of(command->request_id, parts, sizeof parts / sizeof parts[0]);
  const lk_crdt_request *found = lk_crdt_requests_find(&self->requests, out);
  if (found == NULL) return LK_OK;
  *known = true;
  return memcmp(found->content, out->content, sizeof out->content) == 0 ? LK_OK : LK_ERR_EXISTS;
}

/* |delta| gathers with its request, in the same record. One that changes nothing is written for the request's sake:
 * what it did not find may be there when it comes again. */
static lk_err gather(lk_room *self, const lk_room_input *input, lk_slice delta,
                     const lk_crdt_request *request) {
  lk_crdt_journal *journal = &self->journal;
  bool changed;
  lk_err err = lk_crdt_journal_need_next(journal, &self->copies);
  if (err == LK_OK) err = lk_crdt_merge(journal->next, delta, &changed);
  if (err == LK_OK && request != NULL) err = lk_crdt_requests_add(&self->requests, request);
  if (err != LK_OK) return err;
  if (request != NULL) {
    journal->requests_next++;
  } else if (!changed) {
    lk_crdt_journal_forget_nothing(journal);
    return lk_crdt_room_answer_known(self, input);
  }
  return lk_crdt_room_answer_changed(self, input);
}

static lk_err run(lk_room *self, const lk_room_input *input, const lk_crdt_command *command) {
  lk_crdt_request request;
  lk_slice delta, field;
  bool known;
  lk_err err = look_up(self, command, &request, &known);
  if (err != LK_OK) return lk_crdt_room_refuse(self, input, err, LK_LIT("request_id"));
  if (!lk_crdt_room_may_wait(self))
    return lk_crdt_room_refuse(self, input, LK_ERR_FULL, LK_SLICE_EMPTY);
  if (known || input->applied) {
    LK_COVERED(crdt_room_answers_what_is_applied);
    return lk_crdt_room_answer_known(self, input);
  }
  if ((err = execute(self, input, command, &delta, &field)) != LK_OK)
    return lk_crdt_room_refuse(self, input, err, field);
  return gather(self, input, delta, command->request_id.len > 0 ? &request : NULL);
}

lk_err lk_crdt_room_on_command(lk_room *self, const lk_room_input *input) {
  lk_crdt_command command;
  lk_slice field, event = input->event;
  lk_err err = lk_crdt_room_settle_type(self, NULL);
  if (err != LK_OK) return err;
  if (input->binary) return lk_crdt_room_refuse(self, input, LK_ERR_PAYLOAD, LK_LIT("payload"));
  bool is_plain = !lk_slice_starts_with(event, LK_LIT("crdt."));
  if (!is_plain) event = lk_slice_skip(event, 5);
  const lk_crdt_command_source source = { .event = event,
                                          .payload = input->payload,
                                          .type = self->copies.type,
                                          .limits = self->limits,
                                          .amount_is_one = is_plain };
  err = lk_crdt_command_read(&source, &self->scratch, &command, &field);
  if (err != LK_OK) return lk_crdt_room_refuse(self, input, err, field);
  return run(self, input, &command);
}
