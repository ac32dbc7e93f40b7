/* server/api.h -- the HTTP API: a request becomes a question to a room, and what is answered becomes a response.
 *
 *   request ──lk_api_read──> call ──lk_api_question──> edge ──> room
 *                             │                                  │
 *   response <──lk_api_answer─┴──────────── lk_edge's ANSWER <───┘
 *
 *   GET    /api/topics?after=NAME&prefix=TEXT&limit=N   which topics there are: for who may administer all of them
 *   GET    /api/topics/TOPIC?as=FORM&root=NAME   what it says
 *   PUT    /api/topics/TOPIC                     its first content, where it has none
 *   POST   /api/topics/TOPIC                     more of it: an update, or a command
 *   DELETE /api/topics/TOPIC                     all of it goes
 *   POST   /api/topics/TOPIC/snapshot            a version is saved, without a name
 *   GET    /api/topics/TOPIC/versions?before=ID&limit=N         its versions, the newest first
 *   POST   /api/topics/TOPIC/versions            a version is saved
 *   GET    /api/topics/TOPIC/versions/ID?as=FORM&root=NAME      what it said then
 *   DELETE /api/topics/TOPIC/versions/ID
 *   GET    /api/topics/TOPIC/versions/ID/changes?from=ID        what changed until then; ID may be "now"
 *   POST   /api/topics/TOPIC/versions/ID/restore                it says again what it said then
 *   GET    /render/TOPIC                         a page without scripts
 *   POST   /render/TOPIC                         the form of a counter
 *
 * TOPIC is escaped as in URLs, "/" as "%2F"; in /render/ that may stand as it is. docs/reference/http.md is for users.
 *
 * Refusals and errors are {"reason","field","message"}, in the API; a page says them as a page. Functions here are pure:
 * no socket, no clock. Whether the page that asks may talk to us at all, and who its user is, routes.c finds out. */
#ifndef LK_SERVER_API_H
#define LK_SERVER_API_H

#include "channel/access.h"
#include "channel/alias.h"
#include "channel/queries.h"
#include "wire/http1.h"

#define LK_API_PATH "/api/"
#define LK_API_TOPICS "/api/topics"
#define LK_API_RENDER "/render/"
#define LK_API_TOPIC_MAX 255
#define LK_API_HOUSES_MAX 64

typedef enum lk_api_action {
  LK_API_NONE,
  LK_API_LIST,
  LK_API_READ,
  LK_API_CREATE,
  LK_API_WRITE,
  LK_API_DELETE,
  LK_API_SNAPSHOT,
  LK_API_VERSIONS,
  LK_API_SAVE, /* a version */
  LK_API_VERSION,
  LK_API_FORGET, /* a version */
  LK_API_CHANGES,
  LK_API_RESTORE,
  LK_API_SHOW,  /* a page */
  LK_API_PRESS, /* its form */
} lk_api_action;

typedef enum lk_api_kind { LK_API_DOC, LK_API_CRDT, LK_API_OTHER } lk_api_kind;

/* What is read of a topic. */
typedef enum lk_api_form {
#define API_FORM(name, text, type) LK_API_FORM_##name,
#include "server/api_forms.def"
#undef API_FORM
  LK_API_FORMS
} lk_api_form;

typedef struct lk_api_options {
  const lk_alloc *alloc;
  const lk_limits *limits;
  lk_aliases aliases;
  bool is_open;     /* nobody is asked for a token, and everybody may do everything */
  bool is_draining; /* the server stops: nothing new is taken */
  uint32_t
      wait_s; /* the client is too fast, and is to come again after so many seconds; 0: it is not */
} lk_api_options;

/* Why a call is not asked, or what was wrong with it: in a response. */
typedef struct lk_api_refusal {
  uint16_t status; /* 0: it is none */
  lk_slice reason;
  lk_slice field; /* empty: none */
  lk_slice message;
  lk_slice limit; /* which one it was; likewise */
} lk_api_refusal;

typedef struct lk_api_call {
  lk_api_action action;
  lk_api_kind kind;
  lk_api_form form;
  bool is_page;    /* errors are pages, too */
  bool is_counter; /* of kind CRDT: a counter's page is there before anybody has counted */
  bool is_head;
  bool keep_alive;
  lk_arena arena; /* of all texts here */
  lk_slice topic; /* as it was asked for, decoded */
  lk_slice event;
  lk_buf payload;
  bool is_binary;
  lk_slice subject;
  lk_rights rights;
  lk_slice origin;     /* of the page that asks, which may; empty: none */
  lk_slice known_tags; /* of If-None-Match */
  lk_slice location;   /* where a form leads back to */
  uint32_t limit;      /* of a list */
  uint64_t version;    /* of which the path speaks */
  lk_slice allowed;    /* with 405: the methods */
  uint32_t wait_s;     /* with 429: how long to wait, in seconds; 0: not known */
  lk_api_refusal refusal;
} lk_api_call;

/* Whether |path| is the API's. */
bool lk_api_has(lk_slice path);

/* |request|'s methods by the path, for preflights: "GET, HEAD, PUT". */
lk_slice lk_api_methods(lk_slice path);

/* Reads |request|, of a client that may do what |grant| says (NULL: nothing, but in an open server). Where
 * |out->refusal| has a status nothing is to be asked. |why| is what became of its token; not LK_OK: it is refused. Nothing of
 * |request| is borrowed. LK_ERR_NOMEM: |out| needs no deinit then. */
lk_err lk_api_read(const lk_api_options *options, const lk_http1_request *request, lk_err why,
                   const lk_grant *grant, lk_api_call *out) LK_MUST_USE;

/* Safe on a zeroed struct, and twice. */
void lk_api_call_deinit(lk_api_call *self);

/* What to ask; of a LIST each house is asked. Borrows from the call. */
lk_question lk_api_question(const lk_api_call *self, uint32_t house, uint64_t tag);

/* What came back. */
typedef struct lk_api_answer {
  lk_answer_status status;
  bool is_binary;
  lk_slice payload;
} lk_api_answer;

/* Appends the response: to |answers|, of which a LIST has one of each house and others have one; or to a call that was
 * refused, which has none. LK_ERR_NOMEM, LK_ERR_LIMIT: |out| is as before. */
lk_err lk_api_respond(lk_api_call *self, const lk_api_answer *answers, size_t count,
                      const lk_limits *limits, uint64_t wall_ms, lk_buf *out) LK_MUST_USE;

/* Refuses a call because of |why|, of which we know the status: LK_ERR_TIMEOUT, NOMEM, LIMIT and the like. */
void lk_api_refuse(lk_api_call *self, lk_err why);

/* ---- what stands in paths and forms ---- */

typedef struct lk_api_target {
  lk_api_action
      action; /* the first of those of its path: the method may make another one of it; NONE: there is nothing */
  lk_slice name;    /* of the topic, escaped */
  uint64_t version; /* VERSION, CHANGES, RESTORE: its id; CHANGES: 0 for now */
} lk_api_target;

/* What |path| is about. */
lk_api_target lk_api_parse_path(lk_slice path);

/* The decoded value of |name| in |text|, a query or a form: of the first that is called so, in |arena|. LK_ERR_NOT_FOUND,
 * LK_ERR_SYNTAX for a wrong escape, LK_ERR_UTF8, LK_ERR_TOO_BIG for more than |len_max| bytes, LK_ERR_NOMEM. */
lk_err lk_api_parse_field(lk_slice text, lk_slice name, size_t len_max, lk_arena *arena,
                          lk_slice *out) LK_MUST_USE;

/* The body of a counter's form. LK_ERR_PAYLOAD where "amount" is no number from 1 to 2^53; the errors of
 * lk_api_parse_field(). */
lk_err lk_api_parse_amount(lk_slice body, lk_arena *arena, uint64_t *out) LK_MUST_USE;

#endif
