/* server/webhook_desk.c -- questions of edges, one job each.
 *
 *   AUTHORISE_WAITS ──> AUTHORISE ──┬──> done
 *                                   v
 *                       FOLLOWS   LOOKS (is there anything?) ──> LOAD_WAITS ──> LOAD ──> CREATES ──> done
 *                          └── somebody else loads this topic: done when he is
 *
 * A job whose edge has begun anew is an orphan: it goes on, since others may follow it, and answers nobody.
 *
 * Always: a job is in the window; on |waiting| exactly while its stage says so; in |loading| from LOOKS on; a follower is on its
 * leader's list. */
#include "server/webhook_desk.h"

#include "platform/posix/clock.h"
#include "server/log.h"

#define ANSWER_BYTES_MAX 65536u
#define REQUEST_BYTES_MAX ((size_t)1 << 24)

typedef enum job_stage {
  AUTHORISE_WAITS,
  AUTHORISE,
  FOLLOWS,
  LOOKS,
  LOAD_WAITS,
  LOAD,
  CREATES
} job_stage;

typedef struct job {
  lk_link link; /* of those that wait, or of the leader's followers */
  lk_list followers;
  const lk_webhook_rule *rule; /* of the hook that is being asked */
  uint64_t number;
  uint64_t request;
  uint64_t deadline_ms; /* while it waits for a connection */
  uint64_t began_us;
  uint32_t edge;
  job_stage stage;
  lk_rights rights; /* what it asks with, and then what it gets */
  bool is_orphan;
  uint32_t topic_len;
  uint32_t action_len;
  uint32_t subject_len;
  uint32_t params_len;
  uint8_t bytes[]; /* topic, action, subject, params */
} job;

static size_t job_size(const job *j) {
  return sizeof *j + j->topic_len + j->action_len + j->subject_len + (size_t)j->params_len;
}
static lk_slice topic_of(const job *j) { return lk_slice_of(j->bytes, j->topic_len); }

static const lk_alloc *alloc_of(const lk_webhook_desk *self) { return self->options.alloc; }

static const lk_webhook_rule *rule_for(const lk_webhook_desk *self, lk_webhook_kind kind,
                                       const job *j) {
  return lk_webhook_find(&self->options.webhooks->rules[kind], topic_of(j));
}

/* ---- edges ---- */

static void greet(lk_webhook_desk *self, lk_webhook_desk_edge *e) {
  const lk_bus_message hello = { .kind = LK_BUS_HELLO,
                                 .generation = e->greeting,
                                 .answers = e->generation };
  /* Without it the edge goes on asking. */
  (void)!lk_bus_encode(&hello, self->options.limits->bus_frame_bytes, &e->out);
}

/* An edge that cannot be told begins again. */
static void tell(lk_webhook_desk *self, uint32_t to, const lk_bus_message *message) {
  lk_webhook_desk_edge *e = &self->edges[to];
  if (!e->is_greeted) return;
  if (lk_bus_encode(message, self->options.limits->bus_frame_bytes, &e->out) == LK_OK) return;
  LK_COVERED(webhook_desk_gives_an_edge_up);
  e->is_greeted = false;
  e->greeting++;
  lk_bus_forget(&e->out, e->out_off);
  greet(self, e);
}

static lk_slice word_of(lk_rights rights) {
  static const lk_slice words[] = { LK_LIT_INIT("none"), LK_LIT_INIT("read"), LK_LIT_INIT("write"),
                                    LK_LIT_INIT("admin") };
  return words[rights & 3];
}

static void refuse(lk_webhook_desk *self, uint32_t edge, uint64_t request,
                   lk_webhook_verdict verdict) {
  self->stats.refused++;
  tell(self, edge,
       &(lk_bus_message){ .kind = LK_BUS_REPLY,
                          .request = request,
                          .event = LK_LIT("error"),
                          .payload = lk_webhook_refusal(verdict) });
}

/* ---- ends ---- */

static void free_job(lk_webhook_desk *self, job *j) {
  (void)lk_window_take(&self->jobs, j->number);
  self->count--;
  lk_free_bytes(alloc_of(self), j, job_size(j));
}

static void answer(lk_webhook_desk *self, job *j, lk_webhook_verdict verdict) {
  if (j->is_orphan) {
    LK_COVERED(webhook_desk_has_an_orphan);
  } else if (verdict != LK_WEBHOOK_OK) {
    refuse(self, j->edge, j->request, verdict);
  } else {
    self->stats.allowed++;
    tell(self, j->edge,
         &(lk_bus_message){ .kind = LK_BUS_REPLY,
                            .request = j->request,
                            .event = LK_LIT("ok"),
                            .payload = word_of(j->rights) });
  }
  free_job(self, j);
}

/* |j| is on no list. */
static void end(lk_webhook_desk *self, job *j, lk_webhook_verdict verdict) {
  job *const *leader = lk_map_get(&self->loading, topic_of(j));
  if (leader != NULL && *leader == j) (void)lk_map_remove(&self->loading, topic_of(j));
  for (lk_link *at; (at = lk_list_pop_first(&j->followers)) != NULL;)
    answer(self, LK_CONTAINER(at, job, link), verdict);
  answer(self, j, verdict);
}

/* ---- asking hooks ---- */

static void wait_for_connection(lk_webhook_desk *self, job *j, job_stage stage,
                                const lk_webhook_rule *rule) {
  j->stage = stage;
  j->rule = rule;
  j->deadline_ms = self->now_ms + self->options.webhooks->times.timeout_ms;
  lk_list_push_last(&self->waiting, &j->link);
}

static lk_err write_body(const lk_webhook_desk *self, const job *j, lk_buf *out) {
  const uint8_t *at = j->bytes + j->topic_len;
  lk_webhook_question question = { .topic = topic_of(j), .rights = j->rights };
  if (j->stage == LOAD_WAITS) return lk_webhook_write_loading(topic_of(j), self->wall_ms, out);
  question.action = lk_slice_of(at, j->action_len);
  question.subject = lk_slice_of(at += j->action_len, j->subject_len);
  question.params = lk_slice_of(at + j->subject_len, j->params_len);
  return lk_webhook_write_authorise(&question, self->wall_ms, out);
}

static lk_err write_request(const lk_webhook_desk *self, const job *j, lk_buf *out) {
  uint8_t id[LK_WEBHOOK_ID_LEN];
  lk_buf body;
  lk_buf_init(&body, alloc_of(self), REQUEST_BYTES_MAX);
  lk_webhook_id(topic_of(j), j->number * 2 + (j->stage == LOAD_WAITS), self->options.seed, id);
  lk_err err = write_body(self, j, &body);
  if (err == LK_OK)
    err = lk_webhook_request(&j->rule->url, self->options.secrets, lk_slice_of(id, sizeof id),
                             self->wall_ms, lk_buf_slice(&body), out);
  lk_buf_deinit(&body);
  return err;
}

/* |j| waits no more. */
static void call(lk_webhook_desk *self, job *j) {
  bool is_load = j->stage == LOAD_WAITS;
  lk_buf request;
  lk_buf_init(&request, alloc_of(self), REQUEST_BYTES_MAX * 2);
  lk_err err = write_request(self, j, &request);
  j->stage = is_load ? LOAD : AUTHORISE;
  j->began_us = lk_posix_monotonic_us();
  if (err == LK_OK)
    err = lk_webhook_caller_begin(self->options.caller, &j->rule->url, lk_buf_slice(&request),
                                  is_load ? self->options.limits->api_body_bytes : ANSWER_BYTES_MAX,
                                  self->options.webhooks->times.timeout_ms,
                                  self->options.tag + j->number);
  lk_buf_deinit(&request);
  if (err != LK_OK) end(self, j, LK_WEBHOOK_FAILED);
}

void lk_webhook_desk_step(lk_webhook_desk *self, uint64_t now_ms, uint64_t wall_ms) {
  self->now_ms = now_ms;
  self->wall_ms = wall_ms;
  for (lk_link *at; (at = self->waiting.first) != NULL;) {
    job *j = LK_CONTAINER(at, job, link);
    bool is_late = j->deadline_ms <= now_ms;
    if (!is_late && lk_webhook_caller_is_full(self->options.caller)) return;
    lk_list_remove(&self->waiting, at);
    if (is_late) end(self, j, LK_WEBHOOK_TIMEOUT);
    else call(self, j);
  }
}

uint64_t lk_webhook_desk_deadline(const lk_webhook_desk *self) {
  const lk_link *first = self->waiting.first;
  return first == NULL ? UINT64_MAX : LK_CONTAINER(first, const job, link)->deadline_ms;
}

/* ---- loading ---- */

static void ask_room(lk_webhook_desk *self, job *j, job_stage stage, const lk_question *question) {
  lk_question asked = *question;
  asked.topic = topic_of(j);
  asked.tag = self->options.tag + j->number;
  j->stage = stage;
  if (lk_edge_query(self->options.edge, &asked) != LK_OK) end(self, j, LK_WEBHOOK_FAILED);
}

/* Whoever may come in comes in where there is something, or nobody says what there should be. */
static void begin_loading(lk_webhook_desk *self, job *j) {
  void *place;
  bool is_new;
  if (rule_for(self, LK_WEBHOOK_LOAD, j) == NULL) {
    end(self, j, LK_WEBHOOK_OK);
    return;
  }
  if (lk_map_put(&self->loading, topic_of(j), &place, &is_new) != LK_OK) {
    end(self, j, LK_WEBHOOK_FAILED);
    return;
  }
  if (!is_new) {
    j->stage = FOLLOWS;
    lk_list_push_last(&(*(job **)place)->followers, &j->link);
    return;
  }
  *(job **)place = j;
  ask_room(self, j, LOOKS,
           &(lk_question){ .event = LK_LIT("read"),
                           .payload = LK_LIT("{\"as\":\"state_vector\",\"must_exist\":true}"),
                           .rights = LK_RIGHTS_READ });
}

static bool is_reason(const lk_edge_output *answer, const char *reason) {
  static const lk_slice before = LK_LIT_INIT("{\"reason\":\"");
  if (answer->status != LK_ANSWER_ERROR || !lk_slice_starts_with(answer->bytes, before))
    return false;
  lk_slice rest, word = lk_slice_cut(lk_slice_skip(answer->bytes, before.len), '"', &rest);
  return lk_slice_equal(word, lk_slice_cstr(reason));
}

static void say_not_created(const job *j, const lk_edge_output *answer) {
  lk_log_say(LK_LOG_webhook_failed,
             "the content from the webhook at %.*s is refused by its room: %.*s",
             (int)j->rule->url.authority.len, (const char *)j->rule->url.authority.ptr,
             (int)lk_min_size(answer->bytes.len, 200), (const char *)answer->bytes.ptr);
}

void lk_webhook_desk_take_answer(lk_webhook_desk *self, const lk_edge_output *answer,
                                 uint64_t number) {
  job *j = lk_window_get(&self->jobs, number);
  if (j == NULL) return;
  if (j->stage == LOOKS && answer->status == LK_ANSWER_OK) {
    end(self, j, LK_WEBHOOK_OK);
  } else if (j->stage == LOOKS && is_reason(answer, "LK_ERR_NOT_FOUND")) {
    wait_for_connection(self, j, LOAD_WAITS, rule_for(self, LK_WEBHOOK_LOAD, j));
  } else if (j->stage == LOOKS) {
    end(self, j, LK_WEBHOOK_FAILED);
  } else if (j->stage == CREATES) {
    bool is_there = answer->status == LK_ANSWER_OK || is_reason(answer, "LK_ERR_EXISTS");
    self->stats.loaded += answer->status == LK_ANSWER_OK;
    if (!is_there) {
      self->stats.failed++;
      say_not_created(j, answer);
    }
    end(self, j, is_there ? LK_WEBHOOK_OK : LK_WEBHOOK_FAILED);
  }
}

/* ---- what hooks answer ---- */

static void say_failure(const job *j, const lk_webhook_result *result) {
  const lk_slice at = j->rule->url.authority;
  if (result->err != LK_OK)
    lk_log_say(LK_LOG_webhook_failed, "the webhook at %.*s: %s (%s)", (int)at.len,
               (const char *)at.ptr, result->why != NULL ? result->why : lk_err_text(result->err),
               lk_err_name(result->err));
  else
    lk_log_say(LK_LOG_webhook_failed, "the webhook at %.*s answers %u, and not what was asked",
               (int)at.len, (const char *)at.ptr, (unsigned)result->response.status);
}

static lk_webhook_verdict judge(lk_webhook_desk *self, const job *j,
                                const lk_webhook_result *result, lk_rights *rights,
                                lk_slice *content, bool *is_binary) {
  lk_webhook_verdict verdict = LK_WEBHOOK_FAILED;
  if (result->err == LK_ERR_TIMEOUT) verdict = LK_WEBHOOK_TIMEOUT;
  else if (result->err == LK_OK && j->stage == AUTHORISE)
    verdict = lk_webhook_read_authorise(&result->response, self->options.limits, alloc_of(self),
                                        rights);
  else if (result->err == LK_OK)
    verdict = lk_webhook_read_load(&result->response, content, is_binary);
  if (verdict == LK_WEBHOOK_FAILED || verdict == LK_WEBHOOK_TIMEOUT) {
    self->stats.failed++;
    say_failure(j, result);
  }
  return verdict;
}

void lk_webhook_desk_take_result(lk_webhook_desk *self, const lk_webhook_result *result,
                                 uint64_t number) {
  job *j = lk_window_get(&self->jobs, number);
  lk_rights rights = LK_RIGHTS_ADMIN;
  lk_slice content = LK_SLICE_EMPTY;
  bool is_binary = false;
  if (j == NULL || (j->stage != AUTHORISE && j->stage != LOAD)) return;
  lk_histogram_add(self->options.latency, lk_posix_monotonic_us() - j->began_us);
  lk_webhook_verdict verdict = judge(self, j, result, &rights, &content, &is_binary);
  if (verdict != LK_WEBHOOK_OK) {
    end(self, j, verdict);
  } else if (j->stage == AUTHORISE) {
    j->rights = rights < j->rights ? rights : j->rights;
    if (j->rights == LK_RIGHTS_NONE) end(self, j, LK_WEBHOOK_FORBIDDEN);
    else begin_loading(self, j);
  } else if (content.len == 0) {
    end(self, j, LK_WEBHOOK_OK);
  } else {
    ask_room(self, j, CREATES,
             &(lk_question){ .event = LK_LIT("create"),
                             .payload = content,
                             .is_binary = is_binary,
                             .rights = LK_RIGHTS_WRITE });
  }
}

/* ---- what edges ask ---- */

static job *make_job(lk_webhook_desk *self, uint32_t edge, const lk_bus_message *m) {
  const lk_slice parts[] = { m->topic, m->event, m->subject, m->payload };
  size_t size = sizeof(job);
  if (self->count >= LK_WEBHOOK_DESK_JOBS_MAX) return NULL;
  for (size_t i = 0; i < 4; i++) size += parts[i].len;
  job *j = lk_alloc_bytes(alloc_of(self), size);
  if (j == NULL) return NULL;
  *j = (job){ .number = self->next,
              .edge = edge,
              .request = m->request,
              .rights = m->rights,
              .topic_len = (uint32_t)parts[0].len, /* a frame's length has 32 bits */
              .action_len = (uint32_t)parts[1].len,
              .subject_len = (uint32_t)parts[2].len,
              .params_len = (uint32_t)parts[3].len };
  uint8_t *at = j->bytes;
  for (size_t i = 0; i < 4; at += parts[i++].len)
    if (parts[i].len > 0) memcpy(at, parts[i].ptr, parts[i].len);
  if (lk_window_put(&self->jobs, j->number, j) != LK_OK) {
    lk_free_bytes(alloc_of(self), j, size);
    return NULL;
  }
  self->next++;
  self->count++;
  return j;
}

static void on_query(lk_webhook_desk *self, uint32_t edge, const lk_bus_message *m) {
  job *j = make_job(self, edge, m);
  if (j == NULL) {
    LK_COVERED(webhook_desk_is_full);
    refuse(self, edge, m->request, LK_WEBHOOK_FAILED);
    return;
  }
  const lk_webhook_rule *rule = rule_for(self, LK_WEBHOOK_AUTHORISE, j);
  if (rule != NULL) wait_for_connection(self, j, AUTHORISE_WAITS, rule);
  else begin_loading(self, j);
}

static void forget_edge(lk_webhook_desk *self, uint32_t edge) {
  job *j;
  for (uint64_t number = 0; (j = lk_window_next(&self->jobs, &number)) != NULL; number++)
    if (j->edge == edge) j->is_orphan = true;
}

static void on_hello(lk_webhook_desk *self, uint32_t index, const lk_bus_message *m) {
  lk_webhook_desk_edge *e = &self->edges[index];
  bool is_ours = m->answers == e->greeting;
  if (is_ours && e->is_greeted && e->generation == m->generation) return;
  forget_edge(self, index); /* it asks again from here on */
  e->generation = m->generation;
  e->is_greeted = is_ours;
  if (!is_ours) greet(self, e);
}

void lk_webhook_desk_feed(lk_webhook_desk *self, uint32_t index, lk_slice bytes, bool boundary) {
  lk_webhook_desk_edge *e = &self->edges[index];
  lk_bus_message m;
  lk_err err;
  LK_ASSERT(index < self->options.edges_count);
  if (boundary) lk_bus_reader_boundary(&e->reader);
  while ((err = lk_bus_read(&e->reader, &bytes, &m)) == LK_OK) {
    if (m.kind == LK_BUS_HELLO) on_hello(self, index, &m);
    else if (m.kind == LK_BUS_QUERY && e->is_greeted) on_query(self, index, &m);
  }
  if (err == LK_ERR_MORE) return;
  LK_COVERED(webhook_desk_edge_out_of_step);
  e->is_greeted = false;
  e->greeting++;
  lk_bus_forget(&e->out, e->out_off);
  greet(self, e);
}

lk_slice lk_webhook_desk_output(const lk_webhook_desk *self, uint32_t index) {
  const lk_webhook_desk_edge *e = &self->edges[index];
  return lk_slice_skip(lk_buf_slice(&e->out), e->out_off);
}

void lk_webhook_desk_consume(lk_webhook_desk *self, uint32_t index, size_t count) {
  lk_bus_consume(&self->edges[index].out, &self->edges[index].out_off, count);
}

/* ---- life ---- */

lk_err lk_webhook_desk_init(lk_webhook_desk *self, const lk_webhook_desk_options *options) {
  const uint64_t seed[2] = { options->seed, ~options->generation };
  const lk_alloc *alloc = options->alloc;
  LK_ASSERT(options->edges_count <= LK_WEBHOOK_DESK_EDGES_MAX);
  *self = (lk_webhook_desk){ .options = *options, .next = 1 };
  lk_window_init(&self->jobs, alloc, 1u << 20);
  lk_map_init(&self->loading, alloc, sizeof(job *), LK_WEBHOOK_DESK_JOBS_MAX, seed);
  self->edges = lk_alloc_array(alloc, options->edges_count, sizeof *self->edges);
  if (self->edges == NULL) return LK_ERR_NOMEM;
  for (uint32_t i = 0; i < options->edges_count; i++) {
    lk_webhook_desk_edge *e = &self->edges[i];
    *e = (lk_webhook_desk_edge){ .greeting = options->generation };
    lk_bus_reader_init(&e->reader, alloc, options->limits->bus_frame_bytes);
    lk_buf_init(&e->out, alloc, options->limits->bus_output_bytes);
    greet(self, e);
  }
  return LK_OK;
}

void lk_webhook_desk_deinit(lk_webhook_desk *self) {
  const lk_alloc *alloc = self->options.alloc;
  job *j;
  if (alloc == NULL) return;
  for (uint64_t number = 0; (j = lk_window_next(&self->jobs, &number)) != NULL; number++)
    lk_free_bytes(alloc, j, job_size(j));
  lk_window_deinit(&self->jobs);
  lk_map_deinit(&self->loading);
  for (uint32_t i = 0; self->edges != NULL && i < self->options.edges_count; i++) {
    lk_bus_reader_deinit(&self->edges[i].reader);
    lk_buf_deinit(&self->edges[i].out);
  }
  lk_free_array(alloc, self->edges, self->options.edges_count, sizeof *self->edges);
  *self = (lk_webhook_desk){ 0 };
}
