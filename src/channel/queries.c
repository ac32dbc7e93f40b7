/* channel/queries.c -- one block for each query, in its house's window until it is answered, then on a list until it is told. */
#include "channel/queries.h"

static size_t query_size(const lk_query *q) {
  return sizeof *q + q->topic_len + q->event_len + (size_t)q->payload_len + q->subject_len;
}

static void free_query(lk_queries *self, lk_query *q) {
  if (q == NULL) return;
  lk_buf_deinit(&q->answer);
  lk_free_bytes(self->alloc, q, query_size(q));
}

void lk_queries_init(lk_queries *self, const lk_alloc *alloc, uint32_t answer_max) {
  *self = (lk_queries){ .alloc = alloc, .answer_max = answer_max };
}

void lk_queries_deinit(lk_queries *self) {
  for (lk_link *at; (at = lk_list_pop_first(&self->answered)) != NULL;)
    free_query(self, LK_CONTAINER(at, lk_query, link));
  free_query(self, self->given);
  *self = (lk_queries){ 0 };
}

void lk_queries_clear(lk_queries *self, lk_window *window) {
  for (uint64_t request = 0; lk_window_next(window, &request) != NULL;)
    free_query(self, lk_window_take(window, request));
}

lk_err lk_queries_ask(lk_queries *self, lk_window *window, uint64_t request,
                      const lk_question *question, const lk_query **out) {
  const lk_slice parts[] = { question->topic, question->event, question->payload,
                             question->subject };
  size_t size = sizeof(lk_query);
  for (size_t i = 0; i < 4; i++) {
    if (parts[i].len > UINT32_MAX / 8) return LK_ERR_TOO_BIG;
    size += parts[i].len;
  }
  lk_query *q = lk_alloc_bytes(self->alloc, size);
  if (q == NULL) return LK_ERR_NOMEM;
  *q = (lk_query){ .request = request,
                   .tag = question->tag,
                   .rights = question->rights,
                   .is_binary = question->is_binary,
                   .topic_len = (uint32_t)parts[0].len,
                   .event_len = (uint32_t)parts[1].len,
                   .payload_len = (uint32_t)parts[2].len,
                   .subject_len = (uint32_t)parts[3].len };
  lk_buf_init(&q->answer, self->alloc, self->answer_max);
  uint8_t *at = q->bytes;
  for (size_t i = 0; i < 4; i++) {
    if (parts[i].len > 0) memcpy(at, parts[i].ptr, parts[i].len);
    at += parts[i].len;
  }
  lk_err err = lk_window_put(window, request, q);
  if (err != LK_OK) {
    free_query(self, q);
    return err;
  }
  *out = q;
  return LK_OK;
}

lk_bus_message lk_query_message(const lk_query *q, uint64_t settled, bool again) {
  const uint8_t *at = q->bytes;
  lk_bus_message m = { .kind = LK_BUS_QUERY,
                       .request = q->request,
                       .settled = settled,
                       .again = again,
                       .binary = q->is_binary,
                       .rights = q->rights };
  m.topic = lk_slice_of(at, q->topic_len);
  m.event = lk_slice_of(at += q->topic_len, q->event_len);
  m.payload = lk_slice_of(at += q->event_len, q->payload_len);
  m.subject = lk_slice_of(at + q->payload_len, q->subject_len);
  return m;
}

static lk_answer_status status_of(const lk_bus_message *m) {
  if (m->kind == LK_BUS_UNMATCHED) return LK_ANSWER_UNMATCHED;
  if (m->kind != LK_BUS_REPLY) return LK_ANSWER_LATE;
  return lk_slice_equal(m->event, LK_LIT("ok")) ? LK_ANSWER_OK : LK_ANSWER_ERROR;
}

bool lk_queries_answer(lk_queries *self, lk_window *window, const lk_bus_message *m) {
  lk_query *q = lk_window_take(window, m->request);
  if (q == NULL) return false;
  q->status = status_of(m);
  q->is_binary = m->binary;
  if (lk_buf_append(&q->answer, m->payload) != LK_OK) {
    LK_COVERED(query_answer_without_memory);
    lk_buf_deinit(&q->answer);
    q->status = LK_ANSWER_LATE;
  }
  lk_list_push_last(&self->answered, &q->link);
  return true;
}

bool lk_queries_settle(lk_queries *self, lk_window *window, uint64_t request, uint64_t *tag) {
  lk_query *q = lk_window_take(window, request);
  if (q == NULL) return false;
  *tag = q->tag;
  free_query(self, q);
  return true;
}

bool lk_queries_forget(lk_queries *self, lk_window *window, uint64_t request) {
  uint64_t ignored;
  return lk_queries_settle(self, window, request, &ignored);
}

void lk_queries_hold(lk_window *window, uint64_t request) {
  lk_query *q = lk_window_get(window, request);
  if (q != NULL) q->is_held = true;
}

const lk_query *lk_queries_release(lk_window *window, uint64_t request, uint64_t number,
                                   lk_rights most) {
  lk_query *q = lk_window_get(window, request);
  if (q == NULL || lk_window_put(window, number, q) != LK_OK) return NULL;
  (void)lk_window_take(window, request);
  q->request = number;
  q->is_held = false;
  q->rights = q->rights < most ? q->rights : most;
  return q;
}

const lk_query *lk_queries_poll(lk_queries *self) {
  free_query(self, self->given);
  lk_link *at = lk_list_pop_first(&self->answered);
  self->given = at == NULL ? NULL : LK_CONTAINER(at, lk_query, link);
  return self->given;
}
