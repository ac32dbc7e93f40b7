/* peer/topic_plain.c -- a topic without a replica: it is joined, and what is said there goes to who opened it. */
#include "peer/topic.h"

static lk_err init(lk_topic *self) {
  (void)self;
  return LK_OK;
}

static void deinit(lk_topic *self) { (void)self; }

static lk_err write_params(lk_topic *self, lk_json_writer *w) {
  (void)self, (void)w;
  return LK_OK;
}

static lk_err joined(lk_topic *self, const lk_message *m, uint64_t now_ms) {
  (void)self, (void)m, (void)now_ms;
  return LK_OK;
}

static lk_err heard(lk_topic *self, const lk_message *m, bool *is_used) {
  (void)self, (void)m;
  *is_used = false;
  return LK_OK;
}

/* Nothing is ever kept of it, nor pending: the others are not called. */
const lk_topic_type lk_topic_type_plain = {
  .init = init,
  .deinit = deinit,
  .write_params = write_params,
  .joined = joined,
  .heard = heard,
};
