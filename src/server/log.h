/* server/log.h -- what happens while the server runs, a line for each event, for people or for programs.
 *
 *   lk_log_say(LK_LOG_process_died, "the room process %u died", index)
 *
 *   text  laniakea: 2026-11-21T17:30:00.123Z error: the room process 0 died
 *   JSON  {"time":"2026-11-21T17:30:00.123Z","level":"error","event":"process_died","process":"supervisor","pid":17,
 *          "message":"the room process 0 died"}
 *
 * A line is one call of write() of at most LK_LOG_LINE_MAX bytes, so that lines of several processes do not mix, not
 * even in a pipe. It is one line whatever a value holds, and its JSON is valid: what does not fit is cut with "...".
 * What clients send or write is never logged; what the system says, such as their addresses, and what the operator
 * configured, may be.
 *
 * Of each event a process tells at most LK_LOG_BURST at once and then one in LK_LOG_EACH_MS; the next line says
 * how many were left out.
 *
 * What it writes, and how, is the process's own and set before it starts others, which inherit it: the one
 * place of the server with a variable that all of it can see, since everything may have to say something. */
#ifndef LK_SERVER_LOG_H
#define LK_SERVER_LOG_H

#include "base/slice.h"

#define LK_LOG_LINE_MAX 4096 /* PIPE_BUF of Linux */
#define LK_LOG_BURST 20
#define LK_LOG_EACH_MS 1000

typedef enum lk_log_level { LK_LOG_ERROR, LK_LOG_WARNING, LK_LOG_INFO, LK_LOG_DEBUG } lk_log_level;
typedef enum lk_log_form { LK_LOG_TEXT, LK_LOG_JSON } lk_log_form;

typedef enum lk_log_event {
#define LOG(name, level, text) LK_LOG_##name,
#include "server/log.def"
#undef LOG
  LK_LOG_EVENTS_COUNT
} lk_log_event;

/* Before other processes are started. Without it: text, and warnings. */
void lk_log_setup(lk_log_form form, lk_log_level level);

/* What this process calls itself from now on: static text, such as "room". */
void lk_log_set_process(const char *kind, uint32_t index);

/* Writes a line to standard error, unless its level or the number of its like says otherwise. */
void lk_log_say(lk_log_event event, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Whether lines of this level are written: where it costs something to make one. */
bool lk_log_is_on(lk_log_level level);

/* ---- the parts, which are pure ---- */

typedef struct lk_log_line {
  uint64_t wall_ms;
  lk_log_event event;
  const char *process;
  uint32_t index;
  uint32_t pid;
  uint64_t left_out; /* lines of this event before it */
  lk_slice message;
} lk_log_line;

/* Writes |line| with its newline, and returns its length. */
size_t lk_log_format(const lk_log_line *line, lk_log_form form, char out[LK_LOG_LINE_MAX]);

/* How many lines of one event there were of late. Begins zeroed. */
typedef struct lk_log_gate {
  uint64_t earned_ms; /* the time up to which lines were paid for */
  uint64_t left_out;
} lk_log_gate;

/* Whether a line may be written at |now_ms|, which never goes back; |*left_out| is how many were not before. */
bool lk_log_gate_pass(lk_log_gate *self, uint64_t now_ms, uint64_t *left_out);

#endif
