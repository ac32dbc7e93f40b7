/* sim/doc_librarian.c -- whoever saves, restores and deletes versions of the durable document.
 *
 * One thing at a time, under a request id: it is asked for again, also by the next tab, until it is answered. */
#include <stdio.h>

#include "codec/json_reader.h"
#include "sim/doc_user.h"

static doc_shelf *shelf_of(doc_user *self) { return &self->world->shelf; }

static const char *const events[] = { "", "version_save", "version_restore", "version_delete" };

void doc_librarian_send(doc_user *self) {
  char payload[96];
  int len;
  const doc_wish *wish = &self->wish;
  unsigned long long number = wish->number;
  if (wish->kind == DOC_WISH_NONE || wish->ref != 0 || !self->is_joined) return;
  if (wish->kind == DOC_WISH_SAVE)
    len = snprintf(payload, sizeof payload, "{\"name\":\"v%llu\",\"request_id\":\"r%llu\"}", number,
                   number);
  else
    len = snprintf(payload, sizeof payload, "{\"id\":%llu,\"request_id\":\"r%llu\"}",
                   (unsigned long long)shelf_of(self)->saved[wish->index].id, number);
  self->wish.ref = doc_wire_push(self, doc_topic(self->topic), events[wish->kind],
                                 lk_slice_of(payload, (size_t)len));
}

static void begin(doc_user *self, doc_wish_kind what, uint32_t index) {
  self->wish = (doc_wish){ .kind = what, .index = index };
  doc_shelf_ask(shelf_of(self), &self->wish);
  self->world->changes++;
  doc_librarian_send(self);
}

void doc_librarian_act(doc_user *self) {
  uint32_t index = 0;
  uint64_t choice = lk_prng_below(&self->prng, 100);
  bool is_able = self->topic == DOC_KEPT && self->wire != DOC_WIRE_Y && self->may_write;
  if (!is_able || self->wish.kind != DOC_WISH_NONE) return;
  if (choice < 40) {
    begin(self, DOC_WISH_SAVE, 0);
  } else if (doc_shelf_draw(shelf_of(self), &self->prng, &index)) {
    if (choice < 80 && world_of(self)->options->restores) begin(self, DOC_WISH_RESTORE, index);
    if (choice >= 80 && self->may_delete) begin(self, DOC_WISH_DELETE, index);
  }
}

static uint64_t id_of(doc_user *self, lk_slice response, lk_arena *scratch) {
  lk_json_member member = { .name = LK_LIT("id") };
  lk_json_reader in;
  uint64_t id = 0;
  lk_err err = lk_json_reader_init(&in, response, &self->limits, scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, &member, 1);
  if (err == LK_OK) err = lk_json_get_u64(&member.value, &id);
  doc_user_expect(self, err, "reads the id of a version");
  return id;
}

static void end(doc_user *self, bool is_done, uint64_t id) {
  doc_shelf_answered(shelf_of(self), &self->wish, is_done, id);
  self->wish = (doc_wish){ .kind = DOC_WISH_NONE };
}

/* Whether nothing will come of it, and with reason: another deleted the version, or there are too many of them. */
static bool is_over(doc_user *self, lk_slice reason) {
  const doc_wish *wish = &self->wish;
  if (lk_slice_equal(reason, LK_LIT("LK_ERR_NOT_FOUND")))
    return wish->kind != DOC_WISH_SAVE && shelf_of(self)->saved[wish->index].is_doomed;
  return lk_slice_equal(reason, LK_LIT("LK_ERR_LIMIT")) ||
         lk_slice_equal(reason, LK_LIT("LK_ERR_TOO_BIG"));
}

/* It may, and it was said well: all else is a trouble of the server's, which passes. */
static bool is_wrong(lk_slice reason) {
  static const lk_slice wrongs[] = {
    LK_LIT_INIT("read_only"),         LK_LIT_INIT("unauthorized"),
    LK_LIT_INIT("LK_ERR_NOT_FOUND"),  LK_LIT_INIT("LK_ERR_EXISTS"),
    LK_LIT_INIT("LK_ERR_PAYLOAD"),    LK_LIT_INIT("LK_ERR_COLLECTED"),
    LK_LIT_INIT("LK_ERR_UNSUPPORTED")
  };
  for (size_t i = 0; i < sizeof wrongs / sizeof wrongs[0]; i++) {
    if (lk_slice_equal(reason, wrongs[i])) return true;
  }
  return false;
}

void doc_librarian_on_reply(doc_user *self, bool ok, lk_slice response, lk_slice reason,
                            lk_arena *scratch) {
  self->wish.ref = 0;
  if (ok) {
    end(self, true, id_of(self, response, scratch));
  } else if (is_over(self, reason)) {
    end(self, false, 0);
  } else if (is_wrong(reason)) {
    sim_world_fail(world_of(self), "refused: %s asked for %s and was told %.*s", self->node.name,
                   events[self->wish.kind], (int)reason.len, (const char *)reason.ptr);
  } else {
    doc_provider_on_refused(self, reason);
  }
}
