/* Goal: the machine does what OTP's documentation of `supervisor` and its design principles say.
 * Method: rows of a small language, each a supervisor, what happens to it, and what it then does; then a model
 * that is written as OTP's supervisor is, a process that blocks, against the machine.
 *
 *   strategies   one all rest simple; then "auto-any" or "auto-all"; then intensity/period in ms
 *   children     id, restart type (P T Y: permanent, transient, temporary), then any of
 *                * significant, k brutal_kill, i infinity; else they get 1000 ms
 *   events       a! a. a~ a: a#     a ended: error, normal, shutdown, {shutdown, term}, killed
 *                +N                 N ms pass                stop kill     the supervisor is told to end
 *                add:cP term:a restart:a delete:a            calls; what they answer is seen if it is not ok
 *                fail:a ignore:a    a's next start (twice: two more)      a?           the state of a
 *                deaf:a stone:a     a does not end when told, nor when killed
 *                slow:a             a's start is not answered before      ok:a bad:a skip:a
 *                hold go            what failed to start is tried again later, now
 *   trace        Sa Ra started, restarted; Xa Ka told to stop, killed; ready; end:why */
#include "base/supervise.h"
#include "harness/test.h"

/* ---- a host that answers ---- */

enum { IDS = 128 };

typedef struct host {
  lk_supervise machine;
  uint64_t now;
  uint8_t fails[IDS], ignores[IDS];
  bool deaf[IDS], slow[IDS], stone[IDS];
  bool held;
  char trace[512];
  size_t trace_len;
} host;

static void say(host *h, const char *text) {
  if (h->trace_len > 0) h->trace[h->trace_len++] = ' ';
  for (; *text != 0; text++) {
    CHECK(h->trace_len + 2 < sizeof h->trace);
    h->trace[h->trace_len++] = *text;
  }
}

static void say_of(host *h, char what, uint64_t id) {
  char text[3] = { what, (char)id, 0 };
  say(h, text);
}

static void on_start(host *h, const lk_supervise_effect *e) {
  say_of(h, e->is_restart ? 'R' : 'S', e->id);
  if (h->slow[e->id]) return;
  if (h->fails[e->id] > 0) {
    h->fails[e->id]--;
    lk_supervise_failed(&h->machine, e->id, h->now);
  } else if (h->ignores[e->id] > 0) {
    h->ignores[e->id]--;
    lk_supervise_ignored(&h->machine, e->id, h->now);
  } else {
    lk_supervise_started(&h->machine, e->id, h->now);
  }
}

static void carry_out(host *h, const lk_supervise_effect *e) {
  static const char *const ends[] = {
    "", "end:stopped", "end:killed", "end:not-started", "end:intensity", "end:auto"
  };
  switch (e->kind) {
  case LK_EFFECT_READY: say(h, "ready"); break;
  case LK_EFFECT_START: on_start(h, e); break;
  case LK_EFFECT_STOP:
    say_of(h, 'X', e->id);
    if (!h->deaf[e->id] && !h->stone[e->id])
      lk_supervise_exited(&h->machine, e->id, LK_EXIT_SHUTDOWN, h->now);
    break;
  case LK_EFFECT_KILL:
    say_of(h, 'K', e->id);
    if (!h->stone[e->id]) lk_supervise_exited(&h->machine, e->id, LK_EXIT_KILLED, h->now);
    break;
  case LK_EFFECT_ENDED: say(h, ends[e->why]); break;
  case LK_EFFECT_NONE: CHECK(false);
  }
}

static void drain(host *h) {
  lk_supervise_effect e;
  do {
    while (lk_supervise_poll(&h->machine, &e)) carry_out(h, &e);
    if (h->held || lk_supervise_deadline(&h->machine) > h->now) return;
    lk_supervise_tick(&h->machine, h->now);
  } while (true);
}

/* ---- the language ---- */

static bool begins(lk_slice *text, const char *with) {
  size_t len = lk_slice_cstr(with).len;
  if (text->len < len || memcmp(text->ptr, with, len) != 0) return false;
  *text = lk_slice_skip(*text, len);
  return true;
}

static lk_slice word_of(lk_slice *text) {
  while (begins(text, " ")) continue;
  size_t len = 0;
  while (len < text->len && text->ptr[len] != ' ') len++;
  lk_slice word = lk_slice_first(*text, len);
  *text = lk_slice_skip(*text, len);
  return word;
}

static uint64_t number_of(lk_slice text) {
  uint64_t value = 0;
  for (size_t i = 0; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
    value = value * 10 + (uint64_t)(text.ptr[i] - '0');
  return value;
}

static lk_child_spec spec_of(lk_slice word) {
  lk_child_spec spec = { .id = word.ptr[0], .shutdown_ms = 1000 };
  for (size_t i = 1; i < word.len; i++) {
    if (word.ptr[i] == 'T') spec.restart = LK_TRANSIENT;
    if (word.ptr[i] == 'Y') spec.restart = LK_TEMPORARY;
    if (word.ptr[i] == '*') spec.significant = true;
    if (word.ptr[i] == 'k') spec.shutdown_ms = LK_SHUTDOWN_KILL;
    if (word.ptr[i] == 'i') spec.shutdown_ms = LK_SHUTDOWN_INFINITY;
  }
  return spec;
}

static lk_supervise_flags flags_of(lk_slice text) {
  lk_supervise_flags flags = { .intensity = 3, .period_ms = 5000, .children_max = 10 };
  for (lk_slice word = word_of(&text); word.len > 0; word = word_of(&text)) {
    if (begins(&word, "all")) flags.strategy = LK_ONE_FOR_ALL;
    else if (begins(&word, "rest")) flags.strategy = LK_REST_FOR_ONE;
    else if (begins(&word, "simple")) flags.strategy = LK_SIMPLE_ONE_FOR_ONE;
    else if (begins(&word, "auto-any")) flags.auto_shutdown = LK_AUTO_ANY_SIGNIFICANT;
    else if (begins(&word, "auto-all")) flags.auto_shutdown = LK_AUTO_ALL_SIGNIFICANT;
    else if (!begins(&word, "one")) {
      flags.intensity = (uint32_t)number_of(word);
      while (!begins(&word, "/")) word = lk_slice_skip(word, 1);
      flags.period_ms = number_of(word);
    }
  }
  return flags;
}

/* OTP's word for what a call answered. */
static void say_answer(host *h, lk_err err, uint64_t id) {
  lk_child_state state = lk_supervise_state_of(&h->machine, id);
  bool idle = lk_supervise_is_idle(&h->machine);
  if (err == LK_ERR_EXISTS) say(h, state == LK_CHILD_UP ? "already_started" : "already_present");
  else if (err == LK_ERR_NOT_FOUND) say(h, "not_found");
  else if (err == LK_ERR_UNSUPPORTED) say(h, "simple_one_for_one");
  else if (err == LK_ERR_INVALID) say(h, "invalid");
  else if (err == LK_ERR_LIMIT) say(h, "limit");
  else if (err == LK_ERR_STATE && !idle) say(h, "busy");
  else if (err == LK_ERR_STATE) say(h, state == LK_CHILD_RESTARTING ? "restarting" : "running");
  else CHECK_OK(err);
}

static void say_state(host *h, uint64_t id) {
  static const char *const names[] = { "=none",     "=down", "=restarting",
                                       "=starting", "=up",   "=stopping" };
  char text[16] = { (char)id };
  const char *name = names[lk_supervise_state_of(&h->machine, id)];
  for (size_t i = 0; name[i] != 0; i++) text[1 + i] = name[i];
  say(h, text);
}

static void say_exit(host *h, uint64_t id, uint8_t how) {
  lk_exit reason = how == '.'   ? LK_EXIT_NORMAL
                   : how == '~' ? LK_EXIT_SHUTDOWN
                   : how == ':' ? LK_EXIT_SHUTDOWN_TERM
                   : how == '#' ? LK_EXIT_KILLED
                                : LK_EXIT_ERROR;
  if (how == '?') say_state(h, id);
  else lk_supervise_exited(&h->machine, id, reason, h->now);
}

static void happen(host *h, lk_slice word) {
  lk_supervise *m = &h->machine;
  lk_child_spec spec;
  uint64_t id = word.ptr[word.len - 1];
  if (begins(&word, "+")) lk_supervise_tick(m, h->now += number_of(word));
  else if (begins(&word, "stop")) lk_supervise_stop(m, h->now);
  else if (begins(&word, "kill")) lk_supervise_kill(m, h->now);
  else if (begins(&word, "hold")) h->held = true;
  else if (begins(&word, "go")) h->held = false;
  else if (begins(&word, "add:")) {
    spec = spec_of(word);
    say_answer(h, lk_supervise_start_child(m, &spec, h->now), spec.id);
  } else if (begins(&word, "term:")) say_answer(h, lk_supervise_terminate_child(m, id, h->now), id);
  else if (begins(&word, "restart:")) say_answer(h, lk_supervise_restart_child(m, id, h->now), id);
  else if (begins(&word, "delete:")) say_answer(h, lk_supervise_delete_child(m, id), id);
  else if (begins(&word, "fail:")) h->fails[id]++;
  else if (begins(&word, "ignore:")) h->ignores[id]++;
  else if (begins(&word, "deaf:")) h->deaf[id] = true;
  else if (begins(&word, "slow:")) h->slow[id] = true;
  else if (begins(&word, "stone:")) h->stone[id] = true;
  else if (begins(&word, "ok:")) lk_supervise_started(m, id, h->now);
  else if (begins(&word, "bad:")) lk_supervise_failed(m, id, h->now);
  else if (begins(&word, "skip:")) lk_supervise_ignored(m, id, h->now);
  else {
    CHECK(word.len == 2);
    say_exit(h, word.ptr[0], id & 0x7F);
  }
}

typedef struct row {
  const char *what;
  const char *flags;
  const char *children;
  const char *events; /* those before "begin" prepare the host */
  const char *trace;
} row;

static void run_row(const row *r) {
  host h = { .now = 1000 };
  lk_child_spec specs[12];
  uint32_t count = 0;
  test_note("%s", r->what);
  lk_supervise_flags flags = flags_of(lk_slice_cstr(r->flags));
  lk_slice text = lk_slice_cstr(r->children);
  for (lk_slice word = word_of(&text); word.len > 0; word = word_of(&text))
    specs[count++] = spec_of(word);
  lk_err err = lk_supervise_init(&h.machine, test_alloc(), &flags, specs, count);
  if (err != LK_OK) {
    say_answer(&h, err, 0);
  } else {
    text = lk_slice_cstr(r->events);
    for (lk_slice word = word_of(&text); word.len > 0; word = word_of(&text)) {
      if (begins(&word, "begin")) lk_supervise_begin(&h.machine, h.now);
      else happen(&h, word);
      drain(&h);
    }
  }
  CHECK_SLICE(lk_slice_of(h.trace, h.trace_len), lk_slice_cstr(r->trace));
  lk_supervise_deinit(&h.machine);
  lk_supervise_deinit(&h.machine);
}

#define RUN_ROWS(rows)                                                                             \
  for (size_t i_ = 0; i_ < sizeof(rows) / sizeof *(rows); i_++) run_row(&(rows)[i_])

/* ---- OTP's documented behaviour ---- */

/* clang-format off */

TEST(a_supervisor_starts_its_children_in_order_and_stops_them_in_reverse) {
  static const row rows[] = {
    { "in order", "one", "aP bP cP", "begin", "Sa Sb Sc ready" },
    { "in reverse", "one", "aP bP cP", "begin stop", "Sa Sb Sc ready Xc Xb Xa end:stopped" },
    { "one_for_all too", "all", "aP bP", "begin stop", "Sa Sb ready Xb Xa end:stopped" },
    { "rest_for_one too", "rest", "aP bP", "begin stop", "Sa Sb ready Xb Xa end:stopped" },
    { "without children", "one", "", "begin stop", "ready end:stopped" },
    { "each waits for the one before", "one", "aP bP", "slow:a begin a? b? ok:a", "Sa a=starting b=down Sb ready" },
    { "a failure stops those before, in reverse", "one", "aP bP cP", "fail:c begin", "Sa Sb Sc Xb Xa end:not-started" },
    { "the first one fails", "all", "aP bP", "fail:a begin", "Sa end:not-started" },
    { "a temporary one fails", "one", "aP bY", "fail:b begin", "Sa Sb Xa end:not-started" },
    { "a failure is not tried again", "rest", "aP bP", "fail:b begin a? b?", "Sa Sb Xa end:not-started a=down b=down" },
    { "ignore keeps the spec", "one", "aP bP", "ignore:a begin a? restart:a", "Sa Sb ready a=down Sa" },
    { "ignore, temporary", "one", "aY bP", "ignore:a begin a? restart:a", "Sa Sb ready a=none not_found" },
    { "one dies while others start", "one", "aP bP", "slow:b begin a! a? ok:b", "Sa Sb a=up ready Ra" },
    { "told to stop while it starts", "one", "aP bP cP", "slow:b begin stop", "Sa Sb Xb Xa end:stopped" },
    { "a second stop says nothing", "one", "aP", "deaf:a begin stop stop +1000 stop", "Sa ready Xa Ka end:stopped" },
  };
  RUN_ROWS(rows);
}

TEST(restart_types_decide_by_the_reason_of_the_end) {
  static const row rows[] = {
    { "permanent, error", "one", "aP", "begin a!", "Sa ready Ra" },
    { "permanent, killed", "one", "aP", "begin a#", "Sa ready Ra" },
    { "permanent, normal", "one", "aP", "begin a.", "Sa ready Ra" },
    { "permanent, shutdown", "one", "aP", "begin a~", "Sa ready Ra" },
    { "permanent, {shutdown, term}", "one", "aP", "begin a:", "Sa ready Ra" },
    { "transient, error", "one", "aT", "begin a!", "Sa ready Ra" },
    { "transient, killed", "one", "aT", "begin a#", "Sa ready Ra" },
    { "transient, normal", "one", "aT", "begin a. a?", "Sa ready a=down" },
    { "transient, shutdown", "one", "aT", "begin a~ a?", "Sa ready a=down" },
    { "transient, {shutdown, term}", "one", "aT", "begin a: a?", "Sa ready a=down" },
    { "temporary, error", "one", "aY", "begin a! a?", "Sa ready a=none" },
    { "temporary, killed", "one", "aY", "begin a# a?", "Sa ready a=none" },
    { "temporary, normal", "one", "aY", "begin a. a?", "Sa ready a=none" },
    { "temporary ends are no restarts", "one 0/5000", "aY bP", "begin a! b?", "Sa Sb ready b=up" },
    { "normal ends of transient ones are none", "one 0/5000", "aT bT", "begin a. b~", "Sa Sb ready" },
    { "who is down cannot end", "one", "aT", "begin a. a! a!", "Sa ready" },
    { "a stranger cannot either", "one", "aP", "begin z!", "Sa ready" },
  };
  RUN_ROWS(rows);
}

TEST(strategies_decide_who_else_is_stopped_and_started) {
  static const row rows[] = {
    { "one_for_one", "one", "aP bP cP", "begin b!", "Sa Sb Sc ready Rb" },
    { "one_for_all", "all", "aP bP cP", "begin b!", "Sa Sb Sc ready Xc Xa Ra Rb Rc" },
    { "rest_for_one", "rest", "aP bP cP", "begin b!", "Sa Sb Sc ready Xc Rb Rc" },
    { "rest_for_one, the first", "rest", "aP bP", "begin a!", "Sa Sb ready Xb Ra Rb" },
    { "rest_for_one, the last", "rest", "aP bP", "begin b!", "Sa Sb ready Rb" },
    { "siblings' temporary ones are not started", "all", "aP bY cP", "begin a! b?", "Sa Sb Sc ready Xc Xb Ra Rc b=none" },
    { "nor in the rest", "rest", "aP bY cP", "begin a! b?", "Sa Sb Sc ready Xc Xb Ra Rc b=none" },
    { "a temporary one stops nobody", "all", "aP bY", "begin b!", "Sa Sb ready" },
    { "transient, normal, stops nobody", "all", "aP bT", "begin b.", "Sa Sb ready" },
    { "siblings' transient ones are started", "all", "aT bP", "begin b!", "Sa Sb ready Xa Ra Rb" },
    { "one that ended normally before, too", "all", "aT bP", "begin a. b!", "Sa Sb ready Ra Rb" },
    { "one that was terminated, too", "rest", "aP bP cP", "begin term:c b!", "Sa Sb Sc ready Xc Rb Rc" },
    { "those before stay as they are", "rest", "aP bP", "begin term:a b! a?", "Sa Sb ready Xa Rb a=down" },
    { "all count as one restart", "all 1/5000", "aP bP cP", "begin b!", "Sa Sb Sc ready Xc Xa Ra Rb Rc" },
    { "one that died meanwhile is not stopped", "all", "aP bP cP", "deaf:c begin b! a! c.", "Sa Sb Sc ready Xc Ra Rb Rc" },
    { "one that dies while others start waits", "all", "aP bP", "begin slow:b b! a! ok:b",
      "Sa Sb ready Xa Ra Rb Xb Ra Rb" },
    { "who does not stop is killed first", "rest", "aP bP", "deaf:b begin a! +999 b? +1", "Sa Sb ready Xb b=stopping Kb Ra Rb" },
  };
  RUN_ROWS(rows);
}

TEST(more_restarts_than_the_intensity_within_the_period_end_it) {
  static const row rows[] = {
    { "as many are allowed", "one 2/5000", "aP", "begin a! a!", "Sa ready Ra Ra" },
    { "one more is not", "one 2/5000", "aP", "begin a! a! a!", "Sa ready Ra Ra end:intensity" },
    { "none", "one 0/5000", "aP", "begin a!", "Sa ready end:intensity" },
    { "all children count together", "one 1/5000", "aP bP", "begin a! b!", "Sa Sb ready Ra Xa end:intensity" },
    { "the others stop in reverse", "one 0/5000", "aP bP cP dP", "begin b!", "Sa Sb Sc Sd ready Xd Xc Xa end:intensity" },
    { "within the period", "one 1/5000", "aP", "begin a! +4999 a!", "Sa ready Ra end:intensity" },
    { "after it", "one 1/5000", "aP", "begin a! +5000 a!", "Sa ready Ra Ra" },
    { "a window, not a sum", "one 2/1000", "aP", "begin a! +600 a! +600 a! +600 a! +100 a!", "Sa ready Ra Ra Ra Ra end:intensity" },
    { "rest_for_one", "rest 0/5000", "aP bP", "begin a!", "Sa Sb ready Xb end:intensity" },
    { "one_for_all", "all 0/5000", "aP bP", "begin b!", "Sa Sb ready Xa end:intensity" },
    { "simple_one_for_one", "simple 1/5000", "xP", "begin add:a a! a!", "ready Sa Ra end:intensity" },
    { "a restart that fails is tried again", "one 3/5000", "aP", "begin fail:a a!", "Sa ready Ra Ra" },
    { "each try counts", "one 2/5000", "aP bP", "begin fail:a fail:a a!", "Sa Sb ready Ra Ra Xb end:intensity" },
    { "so two fit", "one 3/5000", "aP", "begin fail:a fail:a a!", "Sa ready Ra Ra Ra" },
    { "simple ones are tried again", "simple", "xP", "begin add:a fail:a a!", "ready Sa Ra Ra" },
    { "between, news are heard", "one", "aP bP", "begin hold fail:a a! a? b! a? go", "Sa Sb ready Ra a=restarting Rb a=restarting Ra" },
    { "between, it can be stopped", "one", "aP bP", "begin hold fail:a a! stop", "Sa Sb ready Ra Xb end:stopped" },
    { "ignore ends the trying", "one", "aP", "begin ignore:a a! a?", "Sa ready Ra a=down" },
    { "one_for_all: all again from the first", "all", "aP bP cP", "begin fail:b a!", "Sa Sb Sc ready Xc Xb Ra Rb Xa Ra Rb Rc" },
    { "rest_for_one: from the one that failed", "rest", "aP bP cP", "begin fail:b a!", "Sa Sb Sc ready Xc Xb Ra Rb Rb Rc" },
    { "rest_for_one: those behind wait", "rest", "aP bP cP", "begin hold fail:b a! a? b? c?", "Sa Sb Sc ready Xc Xb Ra Rb a=up b=restarting c=down" },
    { "an end before `started` is a failure", "one", "aP", "begin slow:a a! a! hold a? go", "Sa ready Ra Ra a=starting" },
  };
  RUN_ROWS(rows);
}

TEST(children_are_stopped_as_their_shutdown_says) {
  static const row rows[] = {
    { "killed after its time", "one", "aP", "deaf:a begin stop +999 +1", "Sa ready Xa Ka end:stopped" },
    { "not before", "one", "aP", "deaf:a begin stop +999 a?", "Sa ready Xa a=stopping" },
    { "brutal_kill", "one", "aPk bP", "begin stop", "Sa Sb ready Xb Ka end:stopped" },
    { "infinity", "one", "aPi", "deaf:a begin stop +90000000 a? a~", "Sa ready Xa a=stopping end:stopped" },
    { "each has its own time", "one", "aP bP", "deaf:a deaf:b begin stop +1000 +999 a? +1", "Sa Sb ready Xb Kb Xa a=stopping Ka end:stopped" },
    { "in time, so nobody is killed", "one", "aP", "deaf:a begin stop +500 a~ +1000", "Sa ready Xa end:stopped" },
    { "simple: all together", "simple", "xP", "begin add:a add:b add:c stop", "ready Sa Sb Sc Xc Xb Xa end:stopped" },
    { "simple: one time for all", "simple", "xP", "deaf:a deaf:b begin add:a add:b stop +999 +1", "ready Sa Sb Xb Xa Ka Kb end:stopped" },
    { "simple: brutal_kill", "simple", "xPk", "begin add:a add:b stop", "ready Sa Sb Kb Ka end:stopped" },
    { "simple: who ends in time is not killed", "simple", "xP", "deaf:a deaf:b begin add:a add:b stop a. +1000", "ready Sa Sb Xb Xa Kb end:stopped" },
    { "kill", "one", "aP bP cPi", "begin kill", "Sa Sb Sc ready Ka Kb Kc end:killed" },
    { "kill while it stops", "one", "aP bPi", "deaf:b begin stop kill", "Sa Sb ready Xb Ka Kb end:killed" },
    { "kill while one starts", "one", "aP bP", "slow:b begin kill", "Sa Sb Ka Kb end:killed" },
    { "the order is given once", "one", "aP", "stone:a begin stop kill +1000 kill a#", "Sa ready Xa Ka end:killed" },
    { "nobody is started while it stops", "one", "aP bP", "deaf:b begin stop a! b~", "Sa Sb ready Xb end:stopped" },
    { "the one in the making is waited for", "one", "aP bP", "deaf:a begin term:a stop b? a~", "Sa Sb ready Xa b=up Xb end:stopped" },
  };
  RUN_ROWS(rows);
}

TEST(children_come_and_go_while_it_runs) {
  static const row rows[] = {
    { "start_child", "one", "aP", "begin add:bP stop", "Sa ready Sb Xb Xa end:stopped" },
    { "it is the last of the rest", "rest", "aP", "begin add:bP a!", "Sa ready Sb Xb Ra Rb" },
    { "already_started", "one", "aP", "begin add:aP", "Sa ready already_started" },
    { "already_present", "one", "aP", "begin term:a add:aP", "Sa ready Xa already_present" },
    { "already_present while restarting", "one", "aP", "begin hold fail:a a! add:aP", "Sa ready Ra already_present" },
    { "a start that fails is forgotten", "one", "", "begin fail:b add:bP b? add:bP", "ready Sb b=none Sb" },
    { "a start that is ignored is kept", "one", "", "begin ignore:b add:bT b?", "ready Sb b=down" },
    { "unless it is temporary", "one", "", "begin ignore:b add:bY b?", "ready Sb b=none" },
    { "a limit", "one", "aY bY cY dY eY fY gY hY iY jY", "begin add:kY", "Sa Sb Sc Sd Se Sf Sg Sh Si Sj ready limit" },
    { "terminate_child keeps the spec", "one", "aP", "begin term:a a?", "Sa ready Xa a=down" },
    { "unless it is temporary", "one", "aY", "begin term:a a? term:a", "Sa ready Xa a=none not_found" },
    { "terminate_child of who is down", "one", "aP", "begin term:a term:a", "Sa ready Xa" },
    { "terminate_child ends the trying", "one", "aP", "begin hold fail:a a! term:a a? go", "Sa ready Ra a=down" },
    { "terminate_child, not_found", "one", "", "begin term:a", "ready not_found" },
    { "terminate_child with its shutdown", "one", "aP bPk", "deaf:a begin term:b term:a +1000", "Sa Sb ready Kb Xa Ka" },
    { "terminate_child is no restart", "one 0/5000", "aP", "begin term:a restart:a", "Sa ready Xa Sa" },
    { "under one_for_all it is alone", "all", "aP bP", "begin term:a b?", "Sa Sb ready Xa b=up" },
    { "restart_child", "one", "aT", "begin a. restart:a a?", "Sa ready Sa a=up" },
    { "restart_child, running", "one", "aP", "begin restart:a", "Sa ready running" },
    { "restart_child, restarting", "one", "aP", "begin hold fail:a a! restart:a", "Sa ready Ra restarting" },
    { "restart_child, not_found", "one", "aY", "begin a! restart:a", "Sa ready not_found" },
    { "restart_child that fails leaves it down", "one", "aP", "begin term:a fail:a restart:a a?", "Sa ready Xa Sa a=down" },
    { "it keeps its place", "one", "aP bP", "begin term:a restart:a stop", "Sa Sb ready Xa Sa Xb Xa end:stopped" },
    { "delete_child", "one", "aP", "begin term:a delete:a a? delete:a", "Sa ready Xa a=none not_found" },
    { "then it comes anew, as the last", "one", "aP bP", "begin term:a delete:a add:aP stop", "Sa Sb ready Xa Sa Xa Xb end:stopped" },
    { "delete_child, running", "one", "aP", "begin delete:a", "Sa ready running" },
    { "delete_child, restarting", "one", "aP", "begin hold fail:a a! delete:a", "Sa ready Ra restarting" },
    { "delete_child, not_found", "one", "", "begin delete:a", "ready not_found" },
    { "simple: start_child makes it like all", "simple", "xT", "begin add:aY a! a. a?", "ready Sa Ra a=none" },
    { "simple: terminate_child forgets it", "simple", "xP", "begin add:a term:a a?", "ready Sa Xa a=none" },
    { "simple: a start that is ignored adds none", "simple", "xP", "begin ignore:a add:a a?", "ready Sa a=none" },
    { "simple: restart_child", "simple", "xP", "begin add:a restart:a", "ready Sa simple_one_for_one" },
    { "simple: delete_child", "simple", "xP", "begin add:a delete:a", "ready Sa simple_one_for_one" },
    { "one call at a time", "one", "aP bP", "deaf:a begin term:a term:b a~ term:b", "Sa Sb ready Xa busy Xb" },
    { "none after the end", "one", "aP", "begin stop add:bP", "Sa ready Xa end:stopped busy" },
  };
  RUN_ROWS(rows);
}

TEST(significant_children_end_it_when_it_is_to_shut_down_by_itself) {
  static const row rows[] = {
    { "any: transient, normal", "one auto-any", "aP bT* cP", "begin b.", "Sa Sb Sc ready Xc Xa end:auto" },
    { "any: transient, shutdown", "one auto-any", "aP bT*", "begin b~", "Sa Sb ready Xa end:auto" },
    { "any: transient, error, is started again", "one auto-any", "aP bT*", "begin b!", "Sa Sb ready Rb" },
    { "any: temporary, normal", "one auto-any", "aP bY*", "begin b.", "Sa Sb ready Xa end:auto" },
    { "any: temporary, error", "one auto-any", "aP bY*", "begin b!", "Sa Sb ready Xa end:auto" },
    { "any: others do not matter", "one auto-any", "aT bT*", "begin a.", "Sa Sb ready" },
    { "all: one of two", "one auto-all", "aT* bT*", "begin a. b?", "Sa Sb ready b=up" },
    { "all: both", "one auto-all", "aT* bY* cP", "begin a. b!", "Sa Sb Sc ready Xc end:auto" },
    { "all: one who is tried again is active", "one auto-all", "aT* bT*", "begin hold fail:a a! b. b?", "Sa Sb ready Ra b=down" },
    { "all: one who was terminated is not", "one auto-all", "aT* bT*", "begin term:a b.", "Sa Sb ready Xa end:auto" },
    { "terminate_child does not count", "one auto-any", "aT*", "begin term:a a?", "Sa ready Xa a=down" },
    { "nor does a sibling's death", "all auto-any", "aP bY*", "begin a! b?", "Sa Sb ready Xb Ra b=none" },
    { "simple, any", "simple auto-any", "xY*", "begin add:a add:b a!", "ready Sa Sb Xb end:auto" },
    { "simple, all", "simple auto-all", "xY*", "begin add:a add:b a! b.", "ready Sa Sb end:auto" },
    { "significant needs auto_shutdown", "one", "aT*", "", "invalid" },
    { "also later", "one", "", "begin add:aT*", "ready invalid" },
    { "a permanent one cannot be", "one auto-any", "aP*", "", "invalid" },
    { "nor later", "one auto-all", "", "begin add:aP*", "ready invalid" },
  };
  RUN_ROWS(rows);
}

TEST(what_otp_refuses_is_refused) {
  static const row rows[] = {
    { "an id twice", "one", "aP bP aT", "", "invalid" },
    { "a period of none", "one 1/0", "aP", "", "invalid" },
    { "too many restarts for us", "one 65/1", "aP", "", "invalid" },
    { "simple without a spec", "simple", "", "", "invalid" },
    { "simple with two", "simple", "aP bP", "", "invalid" },
    { "more children than allowed", "one", "aP bP cP dP eP fP gP hP iP jP kP", "", "limit" },
  };
  RUN_ROWS(rows);
}
/* clang-format on */

/* ---- nesting ---- */

/* A parent whose child 's' is a supervisor of its own. */
typedef struct tree {
  host parent, child;
} tree;

/* Starts the machine of the child anew, as a host does for a supervisor that is started again. */
static void begin_child(tree *t) {
  lk_supervise_flags flags = flags_of(LK_LIT("one 1/5000"));
  lk_child_spec specs[] = { spec_of(LK_LIT("aP")), spec_of(LK_LIT("bP")) };
  lk_supervise_deinit(&t->child.machine);
  CHECK_OK(lk_supervise_init(&t->child.machine, test_alloc(), &flags, specs, 2));
  lk_supervise_begin(&t->child.machine, t->parent.now);
}

static void drain_child(tree *t) {
  lk_supervise_effect e;
  bool was_ready = lk_supervise_state_of(&t->parent.machine, 's') != LK_CHILD_STARTING;
  while (lk_supervise_poll(&t->child.machine, &e)) {
    carry_out(&t->child, &e);
    if (e.kind == LK_EFFECT_READY) {
      was_ready = true;
      lk_supervise_started(&t->parent.machine, 's', t->parent.now);
    }
    if (e.kind != LK_EFFECT_ENDED) continue;
    if (was_ready) lk_supervise_exited(&t->parent.machine, 's', e.reason, t->parent.now);
    else lk_supervise_failed(&t->parent.machine, 's', t->parent.now);
  }
}

static void drain_tree(tree *t) {
  lk_supervise_effect e;
  drain_child(t);
  while (lk_supervise_poll(&t->parent.machine, &e)) {
    if (e.kind != LK_EFFECT_ENDED && e.id == 's') {
      say_of(&t->parent, e.kind == LK_EFFECT_START ? 'S' : 'X', 's');
      if (e.kind == LK_EFFECT_START) begin_child(t);
      else if (e.kind == LK_EFFECT_STOP) lk_supervise_stop(&t->child.machine, t->parent.now);
      else lk_supervise_kill(&t->child.machine, t->parent.now);
    } else {
      carry_out(&t->parent, &e);
    }
    drain_child(t);
  }
}

static void make_tree(tree *t, const char *spec) {
  lk_supervise_flags flags = flags_of(LK_LIT("rest 1/5000"));
  lk_child_spec specs[] = { spec_of(lk_slice_cstr(spec)), spec_of(LK_LIT("zP")) };
  *t = (tree){ 0 };
  CHECK_OK(lk_supervise_init(&t->parent.machine, test_alloc(), &flags, specs, 2));
}

static void check_tree(tree *t, const char *parent, const char *child) {
  CHECK_SLICE(lk_slice_of(t->parent.trace, t->parent.trace_len), lk_slice_cstr(parent));
  CHECK_SLICE(lk_slice_of(t->child.trace, t->child.trace_len), lk_slice_cstr(child));
  lk_supervise_deinit(&t->parent.machine);
  lk_supervise_deinit(&t->child.machine);
}

/* Goal: what is too much for one supervisor is a child's death for the one above it: each level multiplies what
 * is tolerated, and the top ends in the end. */
TEST(a_supervisor_that_gives_up_is_started_again_by_its_parent) {
  tree t;
  make_tree(&t, "sPi");
  lk_supervise_begin(&t.parent.machine, 0);
  drain_tree(&t);
  for (int i = 0; i < 4; i++) {
    lk_supervise_exited(&t.child.machine, 'a', LK_EXIT_ERROR, 0);
    drain_tree(&t);
  }
  CHECK(lk_supervise_has_ended(&t.parent.machine) && lk_supervise_has_ended(&t.child.machine));
  check_tree(&t, "Ss Sz ready Xz Ss Rz Xz end:intensity",
             "Sa Sb ready Ra Xb end:intensity Sa Sb ready Ra Xb end:intensity");
}

TEST(a_supervisor_that_gives_up_is_not_started_again_where_it_is_transient) {
  tree t;
  make_tree(&t, "sTi");
  lk_supervise_begin(&t.parent.machine, 0);
  drain_tree(&t);
  for (int i = 0; i < 2; i++) lk_supervise_exited(&t.child.machine, 'a', LK_EXIT_ERROR, 0);
  lk_supervise_started(&t.child.machine, 'a', 0);
  drain_tree(&t);
  lk_supervise_exited(&t.child.machine, 'a', LK_EXIT_ERROR, 0);
  drain_tree(&t);
  CHECK(lk_supervise_state_of(&t.parent.machine, 's') == LK_CHILD_DOWN);
  check_tree(&t, "Ss Sz ready", "Sa Sb ready Ra Xb end:intensity");
}

TEST(a_parent_stops_the_tree_below_it_and_waits_for_its_end) {
  tree t;
  make_tree(&t, "sPi");
  lk_supervise_begin(&t.parent.machine, 0);
  drain_tree(&t);
  t.child.deaf['a'] = true;
  lk_supervise_stop(&t.parent.machine, 0);
  drain_tree(&t);
  CHECK(!lk_supervise_has_ended(&t.parent.machine));
  CHECK_U64(lk_supervise_deadline(&t.parent.machine), LK_SUPERVISE_NEVER);
  CHECK_U64(lk_supervise_deadline(&t.child.machine), 1000);
  lk_supervise_tick(&t.child.machine, 1000);
  drain_tree(&t);
  check_tree(&t, "Ss Sz ready Xz Xs end:stopped", "Sa Sb ready Xb Xa Ka end:stopped");
}

TEST(a_supervisor_whose_children_fail_at_first_has_failed_to_start) {
  tree t;
  make_tree(&t, "sPi");
  t.child.fails['b'] = 1;
  lk_supervise_begin(&t.parent.machine, 0);
  drain_tree(&t);
  check_tree(&t, "Ss end:not-started", "Sa Sb Xa end:not-started");
}

TEST(the_reason_of_an_end_is_the_one_that_otp_gives) {
  static const struct {
    lk_end why;
    lk_exit reason;
  } rows[] = { { LK_END_STOPPED, LK_EXIT_SHUTDOWN }, { LK_END_KILLED, LK_EXIT_KILLED } };
  for (size_t i = 0; i < 2; i++) {
    lk_supervise m;
    lk_supervise_effect e;
    lk_supervise_flags flags = flags_of(LK_LIT("one"));
    CHECK_OK(lk_supervise_init(&m, test_alloc(), &flags, NULL, 0));
    lk_supervise_begin(&m, 0);
    if (rows[i].why == LK_END_STOPPED) lk_supervise_stop(&m, 0);
    else lk_supervise_kill(&m, 0);
    CHECK(lk_supervise_poll(&m, &e) && e.kind == LK_EFFECT_READY);
    CHECK(lk_supervise_poll(&m, &e) && e.kind == LK_EFFECT_ENDED);
    CHECK(e.why == rows[i].why && e.reason == rows[i].reason);
    CHECK(!lk_supervise_poll(&m, &e));
    lk_supervise_deinit(&m);
  }
}

TEST(an_order_that_was_not_fetched_is_taken_back_when_things_change) {
  lk_supervise m;
  lk_supervise_effect e;
  lk_supervise_flags flags = flags_of(LK_LIT("one"));
  lk_child_spec spec = spec_of(LK_LIT("aP"));
  CHECK_OK(lk_supervise_init(&m, test_alloc(), &flags, &spec, 1));
  lk_supervise_begin(&m, 0);
  lk_supervise_started(&m, 'a', 0); /* nobody has been told to start it */
  lk_supervise_exited(&m, 'a', LK_EXIT_ERROR, 0);
  CHECK(lk_supervise_state_of(&m, 'a') == LK_CHILD_STARTING);
  CHECK_U64(lk_supervise_active(&m), 1);
  lk_supervise_stop(&m, 0);
  CHECK(lk_supervise_poll(&m, &e) && e.kind == LK_EFFECT_ENDED);
  CHECK(!lk_supervise_poll(&m, &e));
  lk_supervise_deinit(&m);
}

TEST(a_time_to_stop_that_ends_after_all_time_never_ends) {
  lk_supervise m;
  lk_supervise_effect e;
  lk_supervise_flags flags = flags_of(LK_LIT("one"));
  lk_child_spec spec = spec_of(LK_LIT("aP"));
  CHECK_OK(lk_supervise_init(&m, test_alloc(), &flags, &spec, 1));
  lk_supervise_begin(&m, 0);
  CHECK(lk_supervise_poll(&m, &e));
  lk_supervise_started(&m, 'a', 0);
  lk_supervise_stop(&m, UINT64_MAX - 999);
  CHECK_U64(lk_supervise_deadline(&m), LK_SUPERVISE_NEVER);
  lk_supervise_kill(&m, 5);
  CHECK_U64(lk_supervise_deadline(&m), LK_SUPERVISE_NEVER);
  lk_supervise_deinit(&m);
}

TEST(killing_has_no_time_to_wait_for) {
  lk_supervise m;
  lk_supervise_effect e;
  lk_supervise_flags flags = flags_of(LK_LIT("one"));
  lk_child_spec spec = spec_of(LK_LIT("aP"));
  CHECK_OK(lk_supervise_init(&m, test_alloc(), &flags, &spec, 1));
  lk_supervise_begin(&m, 0);
  CHECK(lk_supervise_poll(&m, &e));
  lk_supervise_started(&m, 'a', 0);
  lk_supervise_kill(&m, 0);
  CHECK_U64(lk_supervise_deadline(&m), LK_SUPERVISE_NEVER);
  lk_supervise_deinit(&m);
}

TEST(a_supervisor_is_as_before_after_every_failed_allocation) {
  FAULT_LOOP(faults, test_alloc()) {
    host h = { 0 };
    lk_supervise_flags flags = flags_of(LK_LIT("rest"));
    lk_child_spec specs[] = { spec_of(LK_LIT("aP")), spec_of(LK_LIT("bT")) };
    lk_err err = lk_supervise_init(&h.machine, faulty_alloc(&faults), &flags, specs, 2);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
    if (err != LK_OK) continue;
    lk_supervise_begin(&h.machine, 0);
    drain(&h);
    uint32_t known = 2;
    for (uint64_t id = 'c'; id < 'k'; id++) {
      lk_child_spec spec = { .id = id };
      err = lk_supervise_start_child(&h.machine, &spec, 0);
      CHECK(err == LK_OK || err == LK_ERR_NOMEM);
      drain(&h);
      known += err == LK_OK;
      CHECK(lk_supervise_state_of(&h.machine, id) == (err == LK_OK ? LK_CHILD_UP : LK_CHILD_NONE));
      CHECK_U64(lk_supervise_count(&h.machine), known);
    }
    lk_supervise_exited(&h.machine, 'a', LK_EXIT_ERROR, 0); /* what goes on needs no memory */
    drain(&h);
    CHECK(lk_supervise_is_idle(&h.machine));
    CHECK_U64(lk_supervise_active(&h.machine), known);
    lk_supervise_deinit(&h.machine);
  }
}

/* ---- against a model ---- */

/* The model is a process that blocks, as OTP's is: start and shutdown return when they are done, and whoever dies
 * meanwhile leaves a letter in the mailbox. What the world does is drawn beforehand for the first, the second ... order
 * that a supervisor gives, so that machine and model meet the same world as long as they give the same orders. Behind those that
 * were drawn everybody does as told: else whoever is deaf for longer than a period could be restarted without end. */

enum { KIDS = 7, ORDERS = 256, LETTERS = 64, CALM = 2 * KIDS * LETTERS };

typedef struct deed {
  uint8_t outcome; /* of a start: 0 fails, 1 ignored, else done; of a stop: 0 deaf, else done */
  uint8_t
      victim; /* who dies first, if it runs and has not been told to end; KIDS and above: nobody */
  lk_exit reason;
} deed;

typedef struct world {
  deed deeds[ORDERS];
  uint32_t orders;
  uint64_t now;
  char trace[2 * (ORDERS + CALM) + 64];
  size_t trace_len;
} world;

static const deed *next_deed(world *w, char what, uint32_t id) {
  static const deed done = { .outcome = UINT8_MAX, .victim = UINT8_MAX };
  CHECK(w->orders < ORDERS + CALM);
  w->trace[w->trace_len++] = what;
  w->trace[w->trace_len++] = (char)('0' + id);
  uint32_t number = w->orders++;
  return number < ORDERS ? &w->deeds[number] : &done;
}

typedef struct kid {
  uint32_t id;
  lk_child_spec spec;
  bool runs, dead, trying;
} kid;

typedef struct letter {
  uint32_t id;
  bool again;
  lk_exit reason;
} letter;

typedef struct model {
  world w;
  lk_supervise_flags flags;
  lk_child_spec like;
  kid kids[KIDS];
  uint32_t count;
  letter mail[LETTERS];
  uint32_t mail_count;
  uint64_t restarted[ORDERS + CALM];
  uint32_t restarted_count;
  bool over;
} model;

static kid *kid_of(model *m, uint32_t id) {
  for (uint32_t i = 0; i < m->count; i++) {
    if (m->kids[i].id == id) return &m->kids[i];
  }
  return NULL;
}

static void drop_kid(model *m, uint32_t id) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < m->count; i++) {
    if (m->kids[i].id != id) m->kids[kept++] = m->kids[i];
  }
  m->count = kept;
}

static void drop_letter(model *m, uint32_t at) {
  for (uint32_t i = at; i + 1 < m->mail_count; i++) m->mail[i] = m->mail[i + 1];
  m->mail_count--;
}

static void drop_letters_of(model *m, uint32_t id) {
  for (uint32_t i = m->mail_count; i-- > 0;) {
    if (m->mail[i].id == id) drop_letter(m, i);
  }
}

static void model_dies(model *m, uint32_t id, lk_exit reason) {
  kid *k = kid_of(m, id);
  if (k == NULL || !k->runs || k->dead) return;
  k->dead = true;
  m->mail[m->mail_count++] = (letter){ id, false, reason };
}

static uint8_t model_does(model *m, char what, uint32_t id) {
  const deed *d = next_deed(&m->w, what, id);
  if (d->victim != id) model_dies(m, d->victim, d->reason);
  return d->outcome;
}

static bool model_simple(const model *m) { return m->flags.strategy == LK_SIMPLE_ONE_FOR_ONE; }

/* 0: failed, 1: ignored, else it runs. */
static uint8_t model_start(model *m, uint32_t id, bool again) {
  uint8_t outcome = model_does(m, again ? 'R' : 'S', id);
  kid_of(m, id)->runs = outcome > 1;
  kid_of(m, id)->trying = false;
  return outcome;
}

static void model_shutdown(model *m, uint32_t id) {
  kid *k = kid_of(m, id);
  if (k->runs && !k->dead) {
    bool brutal = k->spec.shutdown_ms == LK_SHUTDOWN_KILL;
    if (brutal) (void)model_does(m, 'K', id);
    else if (model_does(m, 'X', id) == 0) {
      m->w.now += k->spec.shutdown_ms;
      (void)model_does(m, 'K', id);
    }
  }
  k = kid_of(m, id);
  k->runs = k->dead = k->trying = false;
  drop_letters_of(m, id);
}

static void model_erase(model *m, uint32_t id) {
  kid *k = kid_of(m, id);
  k->runs = k->dead = k->trying = false;
  if (k->spec.restart == LK_TEMPORARY || model_simple(m)) drop_kid(m, id);
}

static void model_terminate_simple(model *m) {
  bool waits[KIDS] = { false };
  uint64_t due = m->w.now + m->like.shutdown_ms;
  bool late = false;
  for (uint32_t i = m->count; i-- > 0;) {
    kid *k = &m->kids[i];
    if (!k->runs || k->dead) continue;
    bool brutal = k->spec.shutdown_ms == LK_SHUTDOWN_KILL;
    waits[i] = model_does(m, brutal ? 'K' : 'X', k->id) == 0 && !brutal;
    k->runs = waits[i];
  }
  for (uint32_t i = 0; i < m->count; i++) {
    if (!waits[i]) continue;
    if (!late) m->w.now = due;
    late = true;
    (void)model_does(m, 'K', m->kids[i].id);
  }
}

static void model_end(model *m, char why) {
  if (model_simple(m)) model_terminate_simple(m);
  else {
    for (uint32_t i = m->count; i-- > 0;) model_shutdown(m, m->kids[i].id);
  }
  m->over = true;
  m->w.trace[m->w.trace_len++] = why;
}

static bool model_may_restart(model *m) {
  uint32_t recent = 0;
  for (uint32_t i = 0; i < m->restarted_count; i++)
    recent += m->w.now - m->restarted[i] < m->flags.period_ms;
  if (recent >= m->flags.intensity) return false;
  m->restarted[m->restarted_count++] = m->w.now;
  return true;
}

static void model_try_again(model *m, uint32_t id) {
  kid_of(m, id)->trying = true;
  m->mail[m->mail_count++] = (letter){ id, true, LK_EXIT_NORMAL };
}

/* All kids from the one at |from| on: stop them, then start them. */
static void model_restart_many(model *m, uint32_t from) {
  for (uint32_t i = m->count; i-- > from;) {
    uint32_t id = m->kids[i].id;
    model_shutdown(m, id);
    if (m->kids[i].spec.restart == LK_TEMPORARY) drop_kid(m, id);
  }
  for (uint32_t i = from; i < m->count; i++) {
    uint32_t id = m->kids[i].id;
    if (model_start(m, id, true) != 0) continue;
    model_try_again(m, id);
    return;
  }
}

static void model_restart(model *m, uint32_t id) {
  if (!model_may_restart(m)) {
    model_erase(m, id);
    model_end(m, 'I');
    return;
  }
  kid *k = kid_of(m, id);
  k->runs = k->dead = k->trying = false;
  if (m->flags.strategy == LK_ONE_FOR_ALL) model_restart_many(m, 0);
  else if (m->flags.strategy == LK_REST_FOR_ONE) model_restart_many(m, (uint32_t)(k - m->kids));
  else {
    uint8_t outcome = model_start(m, id, true);
    if (outcome == 0) model_try_again(m, id);
    if (outcome == 1 && model_simple(m)) drop_kid(m, id);
  }
}

static void model_exit(model *m, uint32_t id, lk_exit reason) {
  kid *k = kid_of(m, id);
  bool clean = reason == LK_EXIT_NORMAL || reason == LK_EXIT_SHUTDOWN ||
               reason == LK_EXIT_SHUTDOWN_TERM;
  if (k->spec.restart == LK_PERMANENT || (k->spec.restart == LK_TRANSIENT && !clean)) {
    model_restart(m, id);
    return;
  }
  bool significant = k->spec.significant, others = false;
  model_erase(m, id);
  for (uint32_t i = 0; i < m->count; i++)
    others = others || (m->kids[i].spec.significant && (m->kids[i].runs || m->kids[i].trying));
  if (significant && (m->flags.auto_shutdown == LK_AUTO_ANY_SIGNIFICANT || !others))
    model_end(m, 'A');
}

/* Reads the mailbox; what the supervisor has written to itself is read last. */
static void model_read_mail(model *m) {
  while (!m->over && m->mail_count > 0) {
    uint32_t at = 0;
    while (at < m->mail_count && m->mail[at].again) at++;
    letter l = m->mail[at < m->mail_count ? at : 0];
    drop_letter(m, at < m->mail_count ? at : 0);
    if (l.again) model_restart(m, l.id);
    else model_exit(m, l.id, l.reason);
  }
}

static void model_begin(model *m) {
  for (uint32_t i = 0; i < m->count && !model_simple(m); i++) {
    uint32_t id = m->kids[i].id;
    uint8_t outcome = model_start(m, id, false);
    if (outcome == 0) {
      model_end(m, 'N');
      return;
    }
    if (outcome == 1 && m->kids[i].spec.restart == LK_TEMPORARY) {
      drop_kid(m, id);
      i--;
    }
  }
  m->w.trace[m->w.trace_len++] = '!';
}

static lk_err model_start_child(model *m, const lk_child_spec *spec) {
  uint32_t id = (uint32_t)spec->id;
  if (kid_of(m, id) != NULL) return LK_ERR_EXISTS;
  m->kids[m->count++] = (kid){ .id = id, .spec = model_simple(m) ? m->like : *spec };
  uint8_t outcome = model_start(m, id, false);
  if (outcome == 0) drop_kid(m, id);
  else if (outcome == 1) model_erase(m, id);
  return LK_OK;
}

static lk_err model_call(model *m, uint32_t call, const lk_child_spec *spec) {
  uint32_t id = (uint32_t)spec->id;
  kid *k = kid_of(m, id);
  if (call == 0) return model_start_child(m, spec);
  if (call > 1 && model_simple(m)) return LK_ERR_UNSUPPORTED;
  if (k == NULL) return LK_ERR_NOT_FOUND;
  if (call == 1) {
    model_shutdown(m, id);
    model_erase(m, id);
    return LK_OK;
  }
  if (k->runs || k->trying) return LK_ERR_STATE;
  if (call == 2) (void)model_start(m, id, false);
  else drop_kid(m, id);
  return LK_OK;
}

/* ---- the machine in the same world ---- */

typedef struct real {
  world w;
  lk_supervise machine;
  bool deaf[KIDS];
} real;

static void real_orders(real *r, const lk_supervise_effect *e) {
  uint32_t id = (uint32_t)e->id;
  char what = e->kind == LK_EFFECT_STOP ? 'X' : 'K';
  if (e->kind == LK_EFFECT_START) what = e->is_restart ? 'R' : 'S';
  const deed *d = next_deed(&r->w, what, id);
  if (d->victim != id && d->victim < KIDS && !r->deaf[d->victim])
    lk_supervise_exited(&r->machine, d->victim, d->reason, r->w.now);
  if (what == 'X' && d->outcome == 0) r->deaf[id] = true;
  else if (what == 'X') lk_supervise_exited(&r->machine, id, LK_EXIT_SHUTDOWN, r->w.now);
  else if (what == 'K') lk_supervise_exited(&r->machine, id, LK_EXIT_KILLED, r->w.now);
  else if (d->outcome == 0) lk_supervise_failed(&r->machine, id, r->w.now);
  else if (d->outcome == 1) lk_supervise_ignored(&r->machine, id, r->w.now);
  else lk_supervise_started(&r->machine, id, r->w.now);
  if (what != 'X') r->deaf[id] = false;
}

static void real_drains(real *r) {
  lk_supervise_effect e;
  do {
    while (lk_supervise_poll(&r->machine, &e)) {
      if (e.kind == LK_EFFECT_READY) r->w.trace[r->w.trace_len++] = '!';
      else if (e.kind == LK_EFFECT_ENDED) r->w.trace[r->w.trace_len++] = "0SKNIA"[e.why];
      else real_orders(r, &e);
    }
    uint64_t deadline = lk_supervise_deadline(&r->machine);
    if (deadline == LK_SUPERVISE_NEVER) return;
    if (deadline > r->w.now) r->w.now = deadline;
    lk_supervise_tick(&r->machine, r->w.now);
  } while (true);
}

static lk_err real_call(real *r, uint32_t call, const lk_child_spec *spec) {
  if (call == 0) return lk_supervise_start_child(&r->machine, spec, r->w.now);
  if (call == 1) return lk_supervise_terminate_child(&r->machine, spec->id, r->w.now);
  if (call == 2) return lk_supervise_restart_child(&r->machine, spec->id, r->w.now);
  return lk_supervise_delete_child(&r->machine, spec->id);
}

static lk_child_spec draw_spec(lk_gen *g, uint32_t id, const lk_supervise_flags *flags) {
  static const uint32_t times[] = { 0, 40, 100, LK_SHUTDOWN_KILL };
  lk_child_spec spec = { .id = id,
                         .restart = gen_below(g, 3),
                         .shutdown_ms = times[gen_below(g, 4)] };
  spec.significant = flags->auto_shutdown != LK_AUTO_NEVER && spec.restart != LK_PERMANENT &&
                     gen_bool(g);
  return spec;
}

static void draw_world(lk_gen *g, world *w) {
  uint32_t calm = gen_range(g, 1, 12);
  for (uint32_t i = 0; i < ORDERS; i++) {
    w->deeds[i] = (deed){ .outcome = (uint8_t)gen_below(g, 3 + calm),
                          .victim = (uint8_t)gen_below(g, KIDS * calm),
                          .reason = (lk_exit)gen_below(g, LK_EXIT_ERROR + 1) };
  }
}

static void check_same(const model *m, const real *r) {
  CHECK_SLICE(lk_slice_of(r->w.trace, r->w.trace_len), lk_slice_of(m->w.trace, m->w.trace_len));
  CHECK_U64(r->w.now, m->w.now);
  CHECK(lk_supervise_has_ended(&r->machine) == m->over);
  if (m->over) return;
  CHECK(lk_supervise_is_idle(&r->machine));
  CHECK_U64(lk_supervise_count(&r->machine), m->count);
  for (uint32_t i = 0; i < m->count; i++) {
    lk_child_state state = lk_supervise_state_of(&r->machine, m->kids[i].id);
    CHECK(state == (m->kids[i].runs ? LK_CHILD_UP : LK_CHILD_DOWN));
  }
}

/* One thing happens to both. */
static void happen_to_both(lk_gen *g, model *m, real *r) {
  uint32_t id = gen_below(g, KIDS), what = gen_below(g, 10);
  lk_exit reason = (lk_exit)gen_below(g, LK_EXIT_ERROR + 1);
  if (what < 5) {
    model_dies(m, id, reason);
    lk_supervise_exited(&r->machine, id, reason, r->w.now);
  } else if (what < 9) {
    lk_child_spec spec = draw_spec(g, id, &m->flags);
    uint32_t call = gen_below(g, 4);
    CHECK(real_call(r, call, &spec) == model_call(m, call, &spec));
  } else if (gen_chance(g, 1, 8)) {
    model_end(m, 'S');
    lk_supervise_stop(&r->machine, r->w.now);
  }
}

PROPERTY(the_machine_gives_the_orders_of_a_supervisor_that_blocks) {
  static model m;
  static real r;
  lk_child_spec specs[KIDS];
  m = (model){ .flags = { .strategy = gen_below(g, 4),
                          .auto_shutdown = gen_below(g, 3),
                          .intensity = gen_below(g, 12),
                          .period_ms = 1 + gen_below(g, 300),
                          .children_max = KIDS } };
  uint32_t count = m.flags.strategy == LK_SIMPLE_ONE_FOR_ONE ? 1 : gen_below(g, KIDS);
  for (uint32_t i = 0; i < count; i++) {
    specs[i] = draw_spec(g, i, &m.flags);
    if (model_simple(&m)) m.like = specs[i];
    else m.kids[m.count++] = (kid){ .id = i, .spec = specs[i] };
  }
  draw_world(g, &m.w);
  r = (real){ .w = m.w };
  CHECK_OK(lk_supervise_init(&r.machine, test_alloc(), &m.flags, specs, count));
  model_begin(&m);
  model_read_mail(&m);
  lk_supervise_begin(&r.machine, r.w.now);
  real_drains(&r);
  check_same(&m, &r);
  while (!m.over && m.w.orders < ORDERS / 3) {
    uint32_t pause = gen_below(g, 60);
    m.w.now += pause;
    r.w.now += pause;
    happen_to_both(g, &m, &r);
    model_read_mail(&m);
    real_drains(&r);
    check_same(&m, &r);
    if (!gen_chance(g, 59, 60)) break;
  }
  lk_supervise_deinit(&r.machine);
}

/* ---- a host that is slow, and one that is wrong ---- */

typedef struct slow_host {
  lk_supervise machine;
  uint64_t now;
  bool runs[KIDS];    /* between START and the news of its end */
  bool started[KIDS]; /* that news has been given */
  bool ended;
} slow_host;

static void fetch_one(slow_host *h) {
  lk_supervise_effect e;
  if (!lk_supervise_poll(&h->machine, &e)) return;
  CHECK(!h->ended);
  if (e.kind == LK_EFFECT_START) {
    CHECK(!h->runs[e.id]);
    h->runs[e.id] = true;
    h->started[e.id] = false;
  } else if (e.kind == LK_EFFECT_ENDED) {
    h->ended = true;
    for (uint32_t i = 0; i < KIDS; i++) CHECK(!h->runs[i]);
  } else if (e.kind != LK_EFFECT_READY) {
    CHECK(h->runs[e.id]);
  }
}

static uint32_t running_children(const slow_host *h) {
  uint32_t count = 0;
  for (uint64_t id = 0; id < KIDS; id++)
    count += lk_supervise_state_of(&h->machine, id) >= LK_CHILD_STARTING;
  return count;
}

/* News that may be true, in which case the host goes by them, or not. */
static void give_news(slow_host *h, uint32_t what, uint32_t id, lk_exit reason) {
  lk_supervise *m = &h->machine;
  lk_child_state before = lk_supervise_state_of(m, id);
  bool news = what == 0 ? h->runs[id] && !h->started[id] : h->runs[id];
  if (what != 0 && what < 3 && h->started[id]) return; /* that would be a lie: it had started */
  if (what == 0) lk_supervise_started(m, id, h->now);
  else if (what == 1) lk_supervise_failed(m, id, h->now);
  else if (what == 2) lk_supervise_ignored(m, id, h->now);
  else lk_supervise_exited(m, id, reason, h->now);
  if (!news) CHECK(lk_supervise_state_of(m, id) == before);
  else if (what == 0) h->started[id] = true;
  else h->runs[id] = false;
}

static void do_anything(lk_gen *g, slow_host *h) {
  uint32_t what = gen_below(g, 24), id = gen_below(g, KIDS);
  lk_child_spec spec = draw_spec(g, id, &h->machine.flags);
  lk_err err = LK_OK;
  if (what < 8) fetch_one(h);
  else if (what < 16) give_news(h, what % 4, id, (lk_exit)gen_below(g, LK_EXIT_ERROR + 1));
  else if (what < 18) lk_supervise_tick(&h->machine, h->now += gen_below(g, 60));
  else if (what == 18) err = lk_supervise_start_child(&h->machine, &spec, h->now);
  else if (what == 19) err = lk_supervise_terminate_child(&h->machine, id, h->now);
  else if (what == 20) err = lk_supervise_restart_child(&h->machine, id, h->now);
  else if (what == 21) err = lk_supervise_delete_child(&h->machine, id);
  else if (gen_chance(g, 1, 16)) lk_supervise_stop(&h->machine, h->now);
  else if (gen_chance(g, 1, 32)) lk_supervise_kill(&h->machine, h->now);
  CHECK(err != LK_ERR_NOMEM && err != LK_ERR_LIMIT);
}

/* Goal: whenever and in whatever order news come, true ones and false ones, a child is not started while it runs,
 * false news change nothing, and the end comes when nobody runs and not before. */
PROPERTY(a_host_may_be_slow_or_wrong) {
  slow_host h = { 0 };
  lk_child_spec specs[KIDS];
  lk_supervise_flags flags = { .strategy = gen_below(g, 4),
                               .auto_shutdown = gen_below(g, 3),
                               .intensity = gen_below(g, 30),
                               .period_ms = 1 + gen_below(g, 100),
                               .children_max = KIDS };
  uint32_t count = flags.strategy == LK_SIMPLE_ONE_FOR_ONE ? 1 : gen_below(g, KIDS);
  for (uint32_t i = 0; i < count; i++) specs[i] = draw_spec(g, i, &flags);
  CHECK_OK(lk_supervise_init(&h.machine, test_alloc(), &flags, specs, count));
  lk_supervise_begin(&h.machine, 0);
  for (uint32_t n = gen_below(g, 300); n > 0; n--) {
    do_anything(g, &h);
    CHECK_U64(lk_supervise_active(&h.machine), running_children(&h));
  }
  if (gen_bool(g)) lk_supervise_stop(&h.machine, h.now);
  else lk_supervise_kill(&h.machine, h.now);
  for (uint32_t n = 0; n < 4 * KIDS && !h.ended; n++) {
    for (uint32_t id = 0; id < KIDS; id++) fetch_one(&h);
    for (uint32_t id = 0; id < KIDS; id++) {
      if (lk_supervise_state_of(&h.machine, id) == LK_CHILD_STOPPING)
        give_news(&h, 3, id, LK_EXIT_KILLED);
    }
  }
  CHECK(h.ended && lk_supervise_active(&h.machine) == 0);
  lk_supervise_deinit(&h.machine);
}
