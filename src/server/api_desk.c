/* server/api_desk.c -- a record for each call; its address is its tag, since it lives until each answer has come. */
#include "server/api_desk.h"

void lk_api_desk_init(lk_api_desk *self, const lk_alloc *alloc, const lk_limits *limits,
                      lk_edge *edge, uint32_t houses_count) {
  LK_ASSERT(houses_count <= LK_API_HOUSES_MAX);
  *self =
      (lk_api_desk){ .alloc = alloc, .limits = limits, .edge = edge, .houses_count = houses_count };
}

static void drop_texts(lk_api_desk *self, lk_api_pending *p) {
  if (p->call.action != LK_API_LIST) return;
  for (uint32_t i = 0; i < p->heard_count; i++) {
    lk_slice text = p->answers[i].payload;
    if (text.len > 0) lk_free_bytes(self->alloc, (void *)(uintptr_t)text.ptr, text.len);
    p->answers[i].payload = LK_SLICE_EMPTY;
  }
}

static void free_pending(lk_api_desk *self, lk_api_pending *p) {
  drop_texts(self, p);
  lk_list_remove(&self->all, &p->all);
  lk_api_call_deinit(&p->call);
  lk_free_bytes(self->alloc, p, sizeof *p);
}

void lk_api_desk_deinit(lk_api_desk *self) {
  while (self->all.first != NULL)
    free_pending(self, LK_CONTAINER(self->all.first, lk_api_pending, all));
  *self = (lk_api_desk){ 0 };
}

void lk_api_desk_leave(lk_api_desk *self, lk_api_pending *p) {
  if (p->asker != NULL) lk_list_remove(&self->waiting, &p->waits);
  p->asker = NULL;
  if (p->heard_count == p->asked_count) free_pending(self, p);
}

lk_err lk_api_desk_finish(lk_api_desk *self, lk_api_pending *p, uint64_t wall_ms, bool *keep_alive,
                          lk_buf *out) {
  p->call.keep_alive = p->call.keep_alive && *keep_alive;
  *keep_alive = p->call.keep_alive;
  lk_err err = lk_api_respond(&p->call, p->answers, p->heard_count, self->limits, wall_ms, out);
  if (p->call.refusal.status != 0) self->refused++;
  lk_api_desk_leave(self, p);
  return err;
}

/* ---- asking ---- */

/* As many as can be asked; where one cannot, the call is refused, and what was asked is answered to nobody. */
static void ask(lk_api_desk *self, lk_api_pending *p) {
  uint32_t count = p->call.action == LK_API_LIST ? self->houses_count : 1;
  for (uint32_t i = 0; i < count; i++) {
    const lk_question question = lk_api_question(&p->call, i, (uint64_t)(uintptr_t)p);
    lk_err err = lk_edge_query(self->edge, &question);
    if (err != LK_OK) {
      lk_api_refuse(&p->call, err);
      return;
    }
    p->asked_count++;
  }
}

static lk_err make_pending(lk_api_desk *self, lk_api_pending **out) {
  lk_api_pending *p = lk_alloc_bytes(self->alloc, sizeof *p);
  if (p == NULL) return LK_ERR_NOMEM;
  *p = (lk_api_pending){ 0 };
  lk_list_push_last(&self->all, &p->all);
  *out = p;
  return LK_OK;
}

lk_err lk_api_desk_take(lk_api_desk *self, const lk_api_options *options,
                        const lk_http1_request *request, lk_err why, const lk_grant *grant,
                        void *asker, uint64_t now_ms, uint64_t wall_ms, lk_buf *response,
                        lk_api_pending **out) {
  lk_api_pending *p;
  bool keep_alive = true;
  *out = NULL;
  lk_err err = make_pending(self, &p);
  if (err != LK_OK) return err;
  err = lk_api_read(options, request, why, grant, &p->call);
  if (err != LK_OK) {
    free_pending(self, p);
    return err;
  }
  self->asked[p->call.kind]++;
  p->asker = asker;
  p->deadline_ms = now_ms + LK_API_DESK_WAIT_MS;
  lk_list_push_last(&self->waiting, &p->waits);
  if (p->call.refusal.status == 0) ask(self, p);
  if (p->call.refusal.status != 0)
    return lk_api_desk_finish(self, p, wall_ms, &keep_alive, response);
  lk_buf_deinit(&p->call.payload); /* the edge has it now */
  *out = p;
  return LK_OK;
}

/* ---- being answered ---- */

static lk_err keep(const lk_api_desk *self, lk_slice text, lk_slice *out) {
  *out = LK_SLICE_EMPTY;
  if (text.len == 0) return LK_OK;
  uint8_t *copy = lk_alloc_bytes(self->alloc, text.len);
  if (copy == NULL) return LK_ERR_NOMEM;
  memcpy(copy, text.ptr, text.len);
  *out = lk_slice_of(copy, text.len);
  return LK_OK;
}

lk_api_pending *lk_api_desk_hear(lk_api_desk *self, const lk_edge_output *output) {
  lk_api_pending *p = (lk_api_pending *)(uintptr_t)output->tag;
  LK_ASSERT(p->heard_count < p->asked_count);
  lk_api_answer *answer = &p->answers[p->heard_count++];
  *answer = (lk_api_answer){ output->status, output->is_binary, LK_SLICE_EMPTY };
  if (p->call.action != LK_API_LIST) answer->payload = output->bytes;
  else if (p->asker != NULL && keep(self, output->bytes, &answer->payload) != LK_OK)
    lk_api_refuse(&p->call, LK_ERR_NOMEM);
  if (p->heard_count < p->asked_count) return NULL;
  if (p->asker != NULL) return p;
  free_pending(self, p);
  return NULL;
}

uint64_t lk_api_desk_deadline(const lk_api_desk *self) {
  const lk_link *first = self->waiting.first;
  return first == NULL ? UINT64_MAX : LK_CONTAINER(first, lk_api_pending, waits)->deadline_ms;
}

lk_api_pending *lk_api_desk_late(lk_api_desk *self, uint64_t now_ms) {
  if (lk_api_desk_deadline(self) > now_ms) return NULL;
  lk_api_pending *p = LK_CONTAINER(self->waiting.first, lk_api_pending, waits);
  lk_api_refuse(&p->call, LK_ERR_TIMEOUT);
  return p;
}
