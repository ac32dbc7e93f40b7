/* base/supervise.c -- one thing at a time.
 *
 * OTP's supervisor is a process that blocks: while it waits for a child to start or to end, what else happens
 * waits in its mailbox. That is what makes its strategies simple, so this machine keeps it, with a state in
 * place of each line on which OTP's process would wait:
 *
 *   NEW ──begin──> BEGINNING ──all started──> IDLE ──start_child──────> ADDING ───────────┐
 *                      │                      │  ^ ──restart_child────> RESUMING ─────────┤ started,
 *                      │ one failed           │  │ ──one for one──────> RESTARTING ───────┤ failed, exited:
 *                      v                      │  │ ──terminate_child──> TERMINATING ──────┤ IDLE again
 *                   ENDING <──stop, kill, ────┤  │ ──one for all, ────> CLEARING ─all──> REVIVING
 *                      │      intensity,      │  │   rest for one          down            │
 *                      v      auto shutdown ──┘  └─────────────────────────────────────────┘
 *                    ENDED
 *
 * What a child that ended by itself wants, waits in |inbox| until the state is IDLE; a child that is stopped
 * in the meantime is found there dead, and has been stopped in no time. A restart that failed waits in
 * |again| for the next tick, the place where OTP sends itself a message.
 *
 * Always: whoever is waited for is |at|, so that one |kill_ms| is enough: under simple_one_for_one, where all
 * are stopped together, they are alike and have one time. |alive| counts the children between START and their end,
 * so that ENDED comes when it is 0. A child is in the outbox at most once: an order that was not fetched
 * is replaced by the next one, or taken back.
 *
 * Other than OTP: `stop` is obeyed at once, also where a child is still starting, which is then stopped
 * like one that runs; and the intensity counts milliseconds.
 *
 * Not chosen: stopping children of one_for_one side by side. What waits for what is then a matter of
 * luck; who wants that puts them under a simple_one_for_one. */
#include "base/supervise.h"

enum {
  NEW,
  BEGINNING,
  IDLE,
  ADDING,
  RESUMING,
  RESTARTING,
  TERMINATING,
  CLEARING,
  REVIVING,
  ENDING,
  ENDED
};

struct lk_child {
  lk_link by_order;
  lk_link by_turn; /* on inbox where it is UP, on again where it is RESTARTING */
  lk_link by_outbox;
  lk_child_spec spec;
  lk_child_state state;
  lk_exit exit;
  lk_effect_kind due;  /* the order in the outbox */
  lk_effect_kind told; /* the last order */
  bool is_dead;        /* it ended, and is on inbox */
  bool is_restart;
};

/* ---- children ---- */

static lk_slice key_of(const uint64_t *id) { return (lk_slice){ (const uint8_t *)id, sizeof *id }; }

static lk_child *find(const lk_supervise *self, uint64_t id) {
  lk_child **found = lk_map_get(&self->ids, key_of(&id));
  return found != NULL ? *found : NULL;
}

static lk_child *by_order(lk_link *link) {
  return link != NULL ? LK_CONTAINER(link, lk_child, by_order) : NULL;
}

static bool is_simple(const lk_supervise *self) {
  return self->flags.strategy == LK_SIMPLE_ONE_FOR_ONE;
}

static lk_err make_child(lk_supervise *self, const lk_child_spec *spec, lk_child **out) {
  lk_child *child = lk_alloc_bytes(self->alloc, sizeof *child);
  if (child == NULL) return LK_ERR_NOMEM;
  void *value;
  bool is_new;
  lk_err err = lk_map_put(&self->ids, key_of(&spec->id), &value, &is_new);
  if (err == LK_OK && !is_new) err = LK_ERR_EXISTS;
  if (err != LK_OK) {
    lk_free_bytes(self->alloc, child, sizeof *child);
    return err;
  }
  *child = (lk_child){ .spec = *spec, .state = LK_CHILD_DOWN };
  *(lk_child **)value = child;
  lk_list_push_last(&self->order, &child->by_order);
  *out = child;
  return LK_OK;
}

static void tell(lk_supervise *self, lk_child *child, lk_effect_kind what) {
  if (child->due == LK_EFFECT_NONE) lk_list_push_last(&self->outbox, &child->by_outbox);
  child->due = what;
  child->told = what;
}

static void take_back(lk_supervise *self, lk_child *child) {
  if (child->due == LK_EFFECT_NONE) return;
  lk_list_remove(&self->outbox, &child->by_outbox);
  child->due = LK_EFFECT_NONE;
}

static void begin_start(lk_supervise *self, lk_child *child, bool is_restart) {
  LK_ASSERT(child->state == LK_CHILD_DOWN);
  child->state = LK_CHILD_STARTING;
  child->is_restart = is_restart;
  self->at = child;
  self->alive++;
  tell(self, child, LK_EFFECT_START);
}

/* It runs no more, or never did. */
static void set_down(lk_supervise *self, lk_child *child) {
  if (child->state == LK_CHILD_RESTARTING) lk_list_remove(&self->again, &child->by_turn);
  else if (child->state != LK_CHILD_DOWN) self->alive--;
  if (child->is_dead) lk_list_remove(&self->inbox, &child->by_turn);
  child->is_dead = false;
  take_back(self, child);
  child->state = LK_CHILD_DOWN;
  if (self->at == child) {
    self->at = NULL;
    self->kill_ms = LK_SUPERVISE_NEVER;
  }
}

static void forget(lk_supervise *self, lk_child *child) {
  uint64_t id = child->spec.id;
  set_down(self, child);
  lk_list_remove(&self->order, &child->by_order);
  (void)lk_map_remove(&self->ids, key_of(&id));
  lk_free_bytes(self->alloc, child, sizeof *child);
}

/* What remains of a child that is down and not to be started: its spec, unless it is temporary. */
static void lay_down(lk_supervise *self, lk_child *child) {
  if (is_simple(self) || child->spec.restart == LK_TEMPORARY) forget(self, child);
  else set_down(self, child);
}

static void set_to_try_again(lk_supervise *self, lk_child *child) {
  set_down(self, child);
  child->state = LK_CHILD_RESTARTING;
  lk_list_push_last(&self->again, &child->by_turn);
}

/* Either it is STOPPING now, and waited for where |self->at| is what the caller makes it, or it is down:
 * since it was, had ended unnoticed, or the host has not heard of its start. */
static void begin_stop(lk_supervise *self, lk_child *child, uint64_t now_ms) {
  bool runs = (child->state == LK_CHILD_UP && !child->is_dead) ||
              (child->state == LK_CHILD_STARTING && child->due != LK_EFFECT_START);
  if (!runs) {
    set_down(self, child);
    return;
  }
  child->state = LK_CHILD_STOPPING;
  tell(self, child, child->spec.shutdown_ms == LK_SHUTDOWN_KILL ? LK_EFFECT_KILL : LK_EFFECT_STOP);
  if (child->spec.shutdown_ms >= LK_SHUTDOWN_KILL) return;
  if (!lk_add_u64(now_ms, child->spec.shutdown_ms, &self->kill_ms))
    self->kill_ms = LK_SUPERVISE_NEVER;
}

/* ---- the end ---- */

static void go_on_ending(lk_supervise *self, uint64_t now_ms) {
  while (self->at == NULL && self->next != NULL) {
    lk_child *child = self->next;
    self->next = by_order(child->by_order.prev);
    begin_stop(self, child, now_ms);
    if (child->state == LK_CHILD_STOPPING && !is_simple(self)) self->at = child;
  }
  if (self->at != NULL || self->alive > 0) return;
  self->state = ENDED;
  self->is_end_due = true;
  self->kill_ms = LK_SUPERVISE_NEVER;
}

static void end(lk_supervise *self, lk_end why, uint64_t now_ms) {
  self->state = ENDING;
  self->why = why;
  self->next = by_order(self->order.last);
  /* One that starts is stopped when its turn comes; one that is being stopped already is waited for first. */
  if (self->at != NULL && self->at->state != LK_CHILD_STOPPING) self->at = NULL;
  go_on_ending(self, now_ms);
}

/* ---- all, or the rest ---- */

static void go_on_starting(lk_supervise *self) {
  lk_child *child = self->next;
  if (child != NULL) {
    self->next = by_order(child->by_order.next);
    begin_start(self, child, self->state == REVIVING);
    return;
  }
  self->is_ready_due = self->state == BEGINNING;
  self->state = IDLE;
}

static void go_on_clearing(lk_supervise *self, uint64_t now_ms) {
  while (self->next != NULL) {
    lk_child *child = self->next;
    self->next = child == self->first ? NULL : by_order(child->by_order.prev);
    begin_stop(self, child, now_ms);
    if (child->state == LK_CHILD_STOPPING) {
      self->at = child;
      return;
    }
    lay_down(self, child);
  }
  self->state = REVIVING;
  self->next = self->first != NULL ? self->first : by_order(self->order.first);
  go_on_starting(self);
}

/* ---- a child that ended ---- */

static void restart(lk_supervise *self, lk_child *child, uint64_t now_ms) {
  set_down(self, child);
  if (!lk_intensity_allow(&self->intensity, now_ms)) {
    end(self, LK_END_INTENSITY, now_ms);
    return;
  }
  if (is_simple(self) || self->flags.strategy == LK_ONE_FOR_ONE) {
    self->state = RESTARTING;
    begin_start(self, child, true);
    return;
  }
  self->state = CLEARING;
  self->first = self->flags.strategy == LK_REST_FOR_ONE ? child : NULL;
  self->next = by_order(self->order.last);
  go_on_clearing(self, now_ms);
}

static bool must_restart(const lk_child *child) {
  if (child->spec.restart == LK_PERMANENT) return true;
  return child->spec.restart == LK_TRANSIENT && child->exit >= LK_EXIT_KILLED;
}

static bool any_significant_is_up(const lk_supervise *self) {
  for (lk_link *link = self->order.first; link != NULL; link = link->next) {
    const lk_child *child = by_order(link);
    if (child->spec.significant && child->state != LK_CHILD_DOWN) return true;
  }
  return false;
}

static void take_exit(lk_supervise *self, lk_child *child, uint64_t now_ms) {
  if (must_restart(child)) {
    restart(self, child, now_ms);
    return;
  }
  bool was_significant = child->spec.significant;
  lay_down(self, child);
  if (!was_significant) return;
  if (self->flags.auto_shutdown == LK_AUTO_ANY_SIGNIFICANT || !any_significant_is_up(self))
    end(self, LK_END_AUTO, now_ms);
}

static void take_turns(lk_supervise *self, uint64_t now_ms) {
  while (self->state == IDLE && self->inbox.first != NULL)
    take_exit(self, LK_CONTAINER(self->inbox.first, lk_child, by_turn), now_ms);
}

/* ---- what the host tells ---- */

static void on_not_started(lk_supervise *self, lk_child *child, bool ignored, uint64_t now_ms) {
  if (self->state == ENDING) {
    set_down(self, child);
    go_on_ending(self, now_ms);
    return;
  }
  LK_ASSERT(child == self->at);
  bool is_one_of_many = self->state == BEGINNING || self->state == REVIVING;
  if (ignored) lay_down(self, child);
  else if (self->state == ADDING) forget(self, child);
  else if (self->state == RESTARTING || self->state == REVIVING) set_to_try_again(self, child);
  else set_down(self, child);
  if (ignored && is_one_of_many) go_on_starting(self);
  else if (self->state == BEGINNING) end(self, LK_END_NOT_STARTED, now_ms);
  else self->state = IDLE;
}

static void on_stopped(lk_supervise *self, lk_child *child, uint64_t now_ms) {
  set_down(self, child);
  if (self->state == ENDING) {
    go_on_ending(self, now_ms);
    return;
  }
  lay_down(self, child);
  if (self->state == CLEARING) {
    go_on_clearing(self, now_ms);
  } else {
    LK_ASSERT(self->state == TERMINATING);
    self->state = IDLE;
  }
}

/* A child that was told to start, and has not answered yet. */
static bool is_starting(const lk_child *child) {
  return child->state == LK_CHILD_STARTING && child->due != LK_EFFECT_START;
}

void lk_supervise_begin(lk_supervise *self, uint64_t now_ms) {
  LK_ASSERT(self->state == NEW);
  self->state = BEGINNING;
  self->next = by_order(self->order.first);
  go_on_starting(self);
  take_turns(self, now_ms);
}

void lk_supervise_started(lk_supervise *self, uint64_t id, uint64_t now_ms) {
  lk_child *child = find(self, id);
  if (child == NULL || !is_starting(child)) return;
  child->state = LK_CHILD_UP;
  if (self->state == ENDING) return; /* it is stopped when its turn comes */
  LK_ASSERT(self->at == child);
  self->at = NULL;
  if (self->state == BEGINNING || self->state == REVIVING) go_on_starting(self);
  else self->state = IDLE;
  take_turns(self, now_ms);
}

static void not_started(lk_supervise *self, uint64_t id, bool ignored, uint64_t now_ms) {
  lk_child *child = find(self, id);
  if (child == NULL) return;
  if (is_starting(child)) on_not_started(self, child, ignored, now_ms);
  else if (child->state == LK_CHILD_STOPPING) on_stopped(self, child, now_ms);
  take_turns(self, now_ms);
}

void lk_supervise_failed(lk_supervise *self, uint64_t id, uint64_t now_ms) {
  not_started(self, id, false, now_ms);
}

void lk_supervise_ignored(lk_supervise *self, uint64_t id, uint64_t now_ms) {
  not_started(self, id, true, now_ms);
}

void lk_supervise_exited(lk_supervise *self, uint64_t id, lk_exit reason, uint64_t now_ms) {
  lk_child *child = find(self, id);
  if (child == NULL || child->state != LK_CHILD_UP) {
    not_started(self, id, false, now_ms);
    return;
  }
  if (child->is_dead) return;
  if (self->state == ENDING) {
    set_down(self, child);
    go_on_ending(self, now_ms);
    return;
  }
  child->exit = reason;
  child->is_dead = true;
  lk_list_push_last(&self->inbox, &child->by_turn);
  take_turns(self, now_ms);
}

static void kill_those_that_stop(lk_supervise *self) {
  for (lk_link *link = self->order.first; link != NULL; link = link->next) {
    lk_child *child = by_order(link);
    if (child->state == LK_CHILD_STOPPING && child->told != LK_EFFECT_KILL)
      tell(self, child, LK_EFFECT_KILL);
  }
}

void lk_supervise_tick(lk_supervise *self, uint64_t now_ms) {
  if (now_ms >= self->kill_ms) {
    self->kill_ms = LK_SUPERVISE_NEVER;
    kill_those_that_stop(self);
  }
  while (self->state == IDLE && self->again.first != NULL)
    restart(self, LK_CONTAINER(self->again.first, lk_child, by_turn), now_ms);
  take_turns(self, now_ms);
}

uint64_t lk_supervise_deadline(const lk_supervise *self) {
  return self->state == IDLE && self->again.first != NULL ? 0 : self->kill_ms;
}

void lk_supervise_stop(lk_supervise *self, uint64_t now_ms) {
  if (self->state >= ENDING) return;
  end(self, LK_END_STOPPED, now_ms);
}

void lk_supervise_kill(lk_supervise *self, uint64_t now_ms) {
  if (self->state == ENDED) return;
  self->state = ENDING;
  self->why = LK_END_KILLED;
  self->at = NULL;
  self->next = NULL;
  for (lk_link *link = self->order.first; link != NULL; link = link->next) {
    lk_child *child = by_order(link);
    if (child->state != LK_CHILD_STOPPING) begin_stop(self, child, now_ms);
  }
  self->kill_ms = LK_SUPERVISE_NEVER;
  kill_those_that_stop(self);
  go_on_ending(self, now_ms);
}

/* ---- what it wants ---- */

static void report_end(lk_supervise *self, lk_supervise_effect *out) {
  static const lk_exit reasons[] = { [LK_END_STOPPED] = LK_EXIT_SHUTDOWN,
                                     [LK_END_KILLED] = LK_EXIT_KILLED,
                                     [LK_END_NOT_STARTED] = LK_EXIT_SHUTDOWN_TERM,
                                     [LK_END_INTENSITY] = LK_EXIT_SHUTDOWN,
                                     [LK_END_AUTO] = LK_EXIT_SHUTDOWN };
  self->is_end_due = false;
  *out = (lk_supervise_effect){ .kind = LK_EFFECT_ENDED,
                                .why = self->why,
                                .reason = reasons[self->why] };
}

bool lk_supervise_poll(lk_supervise *self, lk_supervise_effect *out) {
  if (self->is_ready_due) {
    self->is_ready_due = false;
    *out = (lk_supervise_effect){ .kind = LK_EFFECT_READY };
    return true;
  }
  lk_link *link = lk_list_pop_first(&self->outbox);
  if (link != NULL) {
    lk_child *child = LK_CONTAINER(link, lk_child, by_outbox);
    *out = (lk_supervise_effect){ .kind = child->due,
                                  .id = child->spec.id,
                                  .is_restart = child->is_restart };
    child->due = LK_EFFECT_NONE;
    return true;
  }
  if (!self->is_end_due) return false;
  report_end(self, out);
  return true;
}

/* ---- children that come and go ---- */

static bool is_valid(const lk_supervise *self, const lk_child_spec *spec) {
  if (spec->restart > LK_TEMPORARY) return false;
  return !spec->significant ||
         (spec->restart != LK_PERMANENT && self->flags.auto_shutdown != LK_AUTO_NEVER);
}

lk_err lk_supervise_start_child(lk_supervise *self, const lk_child_spec *spec, uint64_t now_ms) {
  (void)now_ms;
  lk_child_spec merged = is_simple(self) ? self->like : *spec;
  merged.id = spec->id;
  if (self->state != IDLE) return LK_ERR_STATE;
  if (!is_valid(self, &merged)) return LK_ERR_INVALID;
  lk_child *child;
  lk_err err = make_child(self, &merged, &child);
  if (err != LK_OK) return err;
  self->state = ADDING;
  begin_start(self, child, false);
  return LK_OK;
}

lk_err lk_supervise_terminate_child(lk_supervise *self, uint64_t id, uint64_t now_ms) {
  if (self->state != IDLE) return LK_ERR_STATE;
  lk_child *child = find(self, id);
  if (child == NULL) return LK_ERR_NOT_FOUND;
  begin_stop(self, child, now_ms);
  if (child->state == LK_CHILD_STOPPING) {
    self->state = TERMINATING;
    self->at = child;
  } else {
    lay_down(self, child);
  }
  return LK_OK;
}

/* The child |id| where it is known and down. */
static lk_err find_down(const lk_supervise *self, uint64_t id, lk_child **out) {
  if (self->state != IDLE) return LK_ERR_STATE;
  if (is_simple(self)) return LK_ERR_UNSUPPORTED;
  *out = find(self, id);
  if (*out == NULL) return LK_ERR_NOT_FOUND;
  return (*out)->state == LK_CHILD_DOWN ? LK_OK : LK_ERR_STATE;
}

lk_err lk_supervise_restart_child(lk_supervise *self, uint64_t id, uint64_t now_ms) {
  (void)now_ms;
  lk_child *child;
  lk_err err = find_down(self, id, &child);
  if (err != LK_OK) return err;
  self->state = RESUMING;
  begin_start(self, child, false);
  return LK_OK;
}

lk_err lk_supervise_delete_child(lk_supervise *self, uint64_t id) {
  lk_child *child;
  lk_err err = find_down(self, id, &child);
  if (err == LK_OK) forget(self, child);
  return err;
}

/* ---- making and looking ---- */

static bool are_valid(const lk_supervise_flags *flags, uint32_t count) {
  return flags->strategy <= LK_SIMPLE_ONE_FOR_ONE &&
         flags->auto_shutdown <= LK_AUTO_ALL_SIGNIFICANT &&
         flags->intensity <= LK_INTENSITY_COUNT_MAX && flags->period_ms > 0 &&
         flags->children_max > 0 && (flags->strategy != LK_SIMPLE_ONE_FOR_ONE || count == 1);
}

lk_err lk_supervise_init(lk_supervise *self, const lk_alloc *alloc, const lk_supervise_flags *flags,
                         const lk_child_spec *specs, uint32_t count) {
  static const uint64_t seed[2] = { 0, 0 }; /* ids are the host's, not strangers' */
  *self = (lk_supervise){ .alloc = alloc, .flags = *flags, .kill_ms = LK_SUPERVISE_NEVER };
  if (!are_valid(flags, count)) return LK_ERR_INVALID;
  lk_intensity_init(&self->intensity, flags->intensity, flags->period_ms);
  lk_map_init(&self->ids, alloc, sizeof(lk_child *), flags->children_max, seed);
  lk_err err = LK_OK;
  for (uint32_t i = 0; i < count && err == LK_OK; i++) {
    lk_child *child;
    if (!is_valid(self, &specs[i])) err = LK_ERR_INVALID;
    else if (is_simple(self)) self->like = specs[i];
    else err = make_child(self, &specs[i], &child);
  }
  if (err == LK_OK) return LK_OK;
  lk_supervise_deinit(self);
  return err == LK_ERR_EXISTS ? LK_ERR_INVALID : err;
}

void lk_supervise_deinit(lk_supervise *self) {
  for (lk_link *link; (link = lk_list_pop_first(&self->order)) != NULL;)
    lk_free_bytes(self->alloc, by_order(link), sizeof(lk_child));
  lk_map_deinit(&self->ids);
  *self = (lk_supervise){ 0 };
}

bool lk_supervise_is_idle(const lk_supervise *self) { return self->state == IDLE; }

bool lk_supervise_has_ended(const lk_supervise *self) { return self->state == ENDED; }

lk_child_state lk_supervise_state_of(const lk_supervise *self, uint64_t id) {
  const lk_child *child = find(self, id);
  return child != NULL ? child->state : LK_CHILD_NONE;
}
