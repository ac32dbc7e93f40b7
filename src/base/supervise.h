/* base/supervise.h -- a supervisor as in OTP, without processes: it says what to start, to stop and to kill.
 *
 * A supervisor keeps children in the order in which they were started. It starts them in that order, stops
 * them in the reverse one, and when one of them ends it does what the child's restart type and its own
 * strategy say. What a child is -- a process, a room, a worker of a browser, another supervisor -- only
 * the host knows: it is told by effects what to do, and tells in turn what became of it.
 *
 *      host:  begin  started  failed  ignored  exited  tick  stop      calls: start_child, terminate_child,
 *                 \______________ |_______________/                           restart_child, delete_child
 *                                 v                                          |
 *                            lk_supervise  <---------------------------------+
 *                                 |
 *      poll:   READY   START id   STOP id   KILL id   ENDED why, reason                  deadline()
 *
 * One thing at a time, as in OTP: while a child is being started or stopped, exits of others wait in the
 * order in which they came. The one exception is lk_supervise_stop(), which is obeyed at once: nobody who
 * wants the end shall have to wait for a child that is slow to start.
 *
 * Nesting: a supervisor's READY is `started` for its parent, its ENDED is `failed` where it was never
 * READY, else `exited` with the reason that the effect carries. Its parent's STOP is lk_supervise_stop(),
 * its parent's KILL lk_supervise_kill(). Such a child has LK_SHUTDOWN_INFINITY.
 *
 * Times are of one clock that never goes back. Memory: one block for each child, and an index. */
#ifndef LK_BASE_SUPERVISE_H
#define LK_BASE_SUPERVISE_H

#include "base/intensity.h"
#include "base/list.h"
#include "base/map.h"

typedef enum lk_strategy {
  LK_ONE_FOR_ONE,  /* who ended is started again, and nobody else */
  LK_ONE_FOR_ALL,  /* all others are stopped, then all are started */
  LK_REST_FOR_ONE, /* likewise, but only those that were started after it */
  LK_SIMPLE_ONE_FOR_ONE /* one for one; children are alike, none at first, and stop all at the same time */
} lk_strategy;

typedef enum lk_restart {
  LK_PERMANENT, /* always started again */
  LK_TRANSIENT, /* where it ended otherwise than by LK_EXIT_NORMAL, _SHUTDOWN, _SHUTDOWN_TERM */
  LK_TEMPORARY  /* never; forgotten when it has ended */
} lk_restart;

typedef enum lk_auto_shutdown {
  LK_AUTO_NEVER,
  LK_AUTO_ANY_SIGNIFICANT, /* ends when a significant child has ended by itself and is not started again */
  LK_AUTO_ALL_SIGNIFICANT /* likewise, when it was the last one */
} lk_auto_shutdown;

/* How a child ended. */
typedef enum lk_exit {
  LK_EXIT_NORMAL,
  LK_EXIT_SHUTDOWN,
  LK_EXIT_SHUTDOWN_TERM, /* OTP's {shutdown, Term}: a shutdown for a reason that the child names */
  LK_EXIT_KILLED,
  LK_EXIT_ERROR /* any other way */
} lk_exit;

#define LK_SHUTDOWN_KILL (UINT32_MAX - 1) /* OTP's brutal_kill: no STOP, KILL at once */
#define LK_SHUTDOWN_INFINITY (UINT32_MAX) /* STOP, and wait as long as it takes */
#define LK_SHUTDOWN_MS 5000u              /* what OTP gives to a worker that says nothing else */
#define LK_SUPERVISE_NEVER UINT64_MAX

typedef struct lk_child_spec {
  uint64_t id; /* of the host's choice; one child of a supervisor has it */
  lk_restart restart;
  uint32_t shutdown_ms; /* between STOP and KILL; or one of the two above */
  bool significant;     /* not for permanent ones, and not under LK_AUTO_NEVER */
} lk_child_spec;

typedef struct lk_supervise_flags {
  lk_strategy strategy;
  lk_auto_shutdown auto_shutdown;
  uint32_t intensity;    /* more restarts than this, 0 to LK_INTENSITY_COUNT_MAX, ... */
  uint64_t period_ms;    /* ... within this time, above 0, end the supervisor */
  uint32_t children_max; /* above 0 */
} lk_supervise_flags;

typedef enum lk_child_state {
  LK_CHILD_NONE,       /* there is no such child */
  LK_CHILD_DOWN,       /* it does not run, and nobody means to start it */
  LK_CHILD_RESTARTING, /* starting it again failed, and will be tried once more */
  LK_CHILD_STARTING,   /* between START and `started` */
  LK_CHILD_UP,
  LK_CHILD_STOPPING, /* between STOP or KILL and `exited` */
} lk_child_state;

typedef enum lk_effect_kind {
  LK_EFFECT_NONE,
  LK_EFFECT_READY, /* all children of init have been started */
  LK_EFFECT_START, /* start |id|; then say started, failed or ignored */
  LK_EFFECT_STOP,  /* ask |id| to end; then say exited */
  LK_EFFECT_KILL,  /* end |id| without asking; then say exited */
  LK_EFFECT_ENDED  /* no child runs, none will: the last effect */
} lk_effect_kind;

typedef enum lk_end {
  LK_END_NONE,
  LK_END_STOPPED,     /* lk_supervise_stop() */
  LK_END_KILLED,      /* lk_supervise_kill() */
  LK_END_NOT_STARTED, /* a child failed to start at the beginning; was never READY */
  LK_END_INTENSITY,   /* children ended too often */
  LK_END_AUTO         /* significant children have ended */
} lk_end;

typedef struct lk_supervise_effect {
  lk_effect_kind kind;
  uint64_t id;     /* of START, STOP, KILL */
  bool is_restart; /* of START: the child had ended, or a sibling with whom it goes */
  lk_end why;      /* of ENDED */
  lk_exit reason;  /* of ENDED: how a parent sees it */
} lk_supervise_effect;

typedef struct lk_child lk_child;

typedef struct lk_supervise {
  const lk_alloc *alloc;
  lk_supervise_flags flags;
  lk_child_spec like; /* simple_one_for_one: what children have in common */
  lk_intensity intensity;
  lk_map ids;      /* to lk_child * */
  lk_list order;   /* all children, as they are started */
  lk_list inbox;   /* children that have ended and wait for their turn */
  lk_list again;   /* children whose restart failed, to be tried again */
  lk_list outbox;  /* children of which the host must be told something */
  lk_child *at;    /* who is being started or stopped, and waited for */
  lk_child *next;  /* whose turn it is then, where several are started or stopped */
  lk_child *first; /* who must be started again, with all after it; NULL: with all */
  uint64_t kill_ms;
  uint32_t alive; /* children between START and `exited` */
  uint8_t state;  /* see supervise.c */
  bool is_ready_due;
  bool is_end_due;
  lk_end why;
} lk_supervise;

/* |specs| are the children of the beginning, in order; under simple_one_for_one it is one, which says what
 * all have in common (its id means nothing). LK_ERR_INVALID where OTP would refuse flags or specs (an
 * id that comes twice, `significant` where it is not allowed) and for an intensity above the maximum;
 * LK_ERR_LIMIT, LK_ERR_NOMEM: |self| needs no deinit. */
lk_err lk_supervise_init(lk_supervise *self, const lk_alloc *alloc, const lk_supervise_flags *flags,
                         const lk_child_spec *specs, uint32_t count) LK_MUST_USE;

/* Safe on a zeroed struct, and twice. Children that run are forgotten. */
void lk_supervise_deinit(lk_supervise *self);

/* ---- what the host tells ---- */

/* Starts the children of the beginning. Once. */
void lk_supervise_begin(lk_supervise *self, uint64_t now_ms);

/* The child of a START runs; could not be started (an exit before `started` is the same); or, OTP's `ignore`,
 * need not run now: it stays known unless it is temporary or a child of simple_one_for_one. */
void lk_supervise_started(lk_supervise *self, uint64_t id, uint64_t now_ms);
void lk_supervise_failed(lk_supervise *self, uint64_t id, uint64_t now_ms);
void lk_supervise_ignored(lk_supervise *self, uint64_t id, uint64_t now_ms);

/* The child ended, by itself or since it was told to. Any of these four is ignored where no child |id|
 * can have done so: news may cross with an order. */
void lk_supervise_exited(lk_supervise *self, uint64_t id, lk_exit reason, uint64_t now_ms);

/* Time has passed: what did not stop in time is killed, and a restart that failed is tried again. That comes
 * only here, so that calls and the news of others are not kept out by a child that fails and fails. */
void lk_supervise_tick(lk_supervise *self, uint64_t now_ms);

/* Stops all children in reverse order (simple_one_for_one: together), then ENDED. Does nothing where it is on
 * its way to the end already. */
void lk_supervise_stop(lk_supervise *self, uint64_t now_ms);

/* Kills all children, also where it is stopping them; ENDED when all are gone. */
void lk_supervise_kill(lk_supervise *self, uint64_t now_ms);

/* ---- what it wants ---- */

/* The next effect, or false. Drain it after each call above or below: an order that the host has not
 * fetched may be taken back when things change. */
bool lk_supervise_poll(lk_supervise *self, lk_supervise_effect *out);

/* When to call lk_supervise_tick() at the latest: 0 is now. LK_SUPERVISE_NEVER where it need not. */
uint64_t lk_supervise_deadline(const lk_supervise *self);

/* ---- children that come and go ---- */

/* All four answer at once: LK_OK says that it will be done, and lk_supervise_is_idle() when it has been. Where
 * it is not idle they answer LK_ERR_STATE and change nothing: ask again. OTP's answers in brackets. */

/* Adds a child after all others and starts it; if that fails, it is forgotten. Under simple_one_for_one only the id
 * is looked at. LK_ERR_EXISTS [already_started where it runs, else already_present], LK_ERR_INVALID,
 * LK_ERR_LIMIT, LK_ERR_NOMEM. */
lk_err lk_supervise_start_child(lk_supervise *self, const lk_child_spec *spec,
                                uint64_t now_ms) LK_MUST_USE;

/* Stops the child, who stays known unless it is temporary or of simple_one_for_one. Of one who does not run nothing
 * more is tried. LK_ERR_NOT_FOUND. */
lk_err lk_supervise_terminate_child(lk_supervise *self, uint64_t id, uint64_t now_ms) LK_MUST_USE;

/* Starts a child that is LK_CHILD_DOWN; where that fails it stays so. LK_ERR_NOT_FOUND,
 * LK_ERR_STATE [running or restarting, as its state says], LK_ERR_UNSUPPORTED [simple_one_for_one]. */
lk_err lk_supervise_restart_child(lk_supervise *self, uint64_t id, uint64_t now_ms) LK_MUST_USE;

/* Forgets a child that is LK_CHILD_DOWN. Errors as restart_child. */
lk_err lk_supervise_delete_child(lk_supervise *self, uint64_t id) LK_MUST_USE;

/* ---- looking ---- */

/* It has been READY, waits for nobody, and neither ends nor has ended. */
bool lk_supervise_is_idle(const lk_supervise *self);
bool lk_supervise_has_ended(const lk_supervise *self);

/* Why it ends or has ended; LK_END_NONE until then. */
static inline lk_end lk_supervise_why(const lk_supervise *self) { return self->why; }

lk_child_state lk_supervise_state_of(const lk_supervise *self, uint64_t id);

/* Children that are known, and those between START and `exited` (one that has ended counts until its turn comes). */
static inline uint32_t lk_supervise_count(const lk_supervise *self) { return self->order.count; }
static inline uint32_t lk_supervise_active(const lk_supervise *self) { return self->alive; }

/* Restarts so far; the one that was too many is none. */
static inline uint64_t lk_supervise_restarts(const lk_supervise *self) {
  return self->intensity.total;
}

#endif
