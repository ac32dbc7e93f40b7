/* sim/doc_provider_y.c -- what a provider of y-protocols does. It is told of nothing that is acknowledged, and compares state
 * vectors instead. */
#include "sim/doc_user.h"

void doc_provider_join_y(doc_user *self) {
  lk_buf bytes;
  self->is_joined = true;
  doc_replica_encode_vector(self, &bytes);
  doc_wire_send_y(self, LK_Y_SYNC_STEP1, lk_buf_slice(&bytes));
  lk_buf_deinit(&bytes);
  doc_provider_show(self);
  self->next_try_ms = SIM_NEVER;
}

/* A reader has what the room has not, and cannot give it. In memory the document may have begun again, of which y-protocols has
 * no words: the page is loaded anew some day. On disk it has heard of nothing that could be lost. */
static void note_surplus(doc_user *self) {
  if (self->topic == DOC_KEPT && !self->is_dirty)
    sim_world_fail(world_of(self), "lost: %s was told what the server does not have",
                   self->node.name);
  self->is_dirty = true;
  if (!self->is_resting) return;
  doc_replica_renew(self);
  doc_user_give_up(self);
}

static void answer_step1(doc_user *self, lk_slice vector) {
  lk_buf update;
  bool is_beyond = doc_replica_has_more(self, vector);
  doc_replica_encode_beyond(self, vector, &update);
  doc_wire_send_y(self, LK_Y_SYNC_STEP2, lk_buf_slice(&update));
  lk_buf_deinit(&update);
  if (is_beyond && !self->may_write) note_surplus(self);
}

static void on_y_message(doc_user *self, const lk_y_message *m) {
  switch (m->kind) {
  case LK_Y_SYNC_STEP1: answer_step1(self, m->body); return;
  case LK_Y_SYNC_STEP2: self->is_synced = self->is_resting; /* fallthrough */
  case LK_Y_UPDATE: doc_replica_apply(self, m->body); return;
  case LK_Y_AWARENESS: doc_provider_on_awareness(self, m->body); return;
  case LK_Y_QUERY_AWARENESS: doc_provider_show(self); return;
  case LK_Y_AUTH_DENIED: doc_provider_on_refused(self, m->body); return;
  case LK_Y_KINDS: break;
  }
  LK_UNREACHABLE();
}

void doc_provider_on_y(doc_user *self, lk_slice bytes) {
  for (lk_reader in = lk_reader_of(bytes); lk_reader_left(&in) > 0 && !world_of(self)->failed;) {
    lk_y_message m;
    lk_err err = lk_y_message_decode(&in, &m);
    doc_user_expect(self, err, "reads a message of y-protocols");
    if (err != LK_OK) return;
    on_y_message(self, &m);
  }
}
