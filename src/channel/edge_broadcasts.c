/* channel/edge_broadcasts.c -- one message to many. */
#include "channel/edge_parts.h"

/* Whether |m| is meant for |who|. Who waited for a state has it with this. */
static bool is_receiver(member *who, const lk_bus_message *m, unsigned classes) {
  if ((1u << class_of(who) & classes) == 0 || who->number == m->member ||
      who->connection->is_closing)
    return false;
  if (m->audience != LK_BUS_ALL && who->audience != m->audience) return false;
  if (who->is_behind || !lk_profile_is_in(m->profiles, (lk_profile)who->profile)) return false;
  if (m->audience == LK_BUS_WAITERS) who->audience = LK_BUS_HEARERS;
  return true;
}

/* Who walks the list knows of which classes its members are. */
static lk_err note_receivers(lk_edge *self, topic *t, unsigned classes, const lk_bus_message *m,
                             uint32_t *count) {
  unsigned present = 0;
  size_t cap, most = self->receivers_count + t->members.count;
  if (most > self->receivers_cap) {
    if (!lk_grow_cap(self->receivers_cap, most, 64, SIZE_MAX / 16, &cap)) return LK_ERR_LIMIT;
    uint64_t *receivers = lk_resize_array(self->alloc, self->receivers, self->receivers_cap, cap,
                                          sizeof *receivers);
    if (receivers == NULL) return LK_ERR_NOMEM;
    self->receivers = receivers;
    self->receivers_cap = cap;
  }
  *count = 0;
  for (lk_link *at = t->members.first; at != NULL; at = at->next) {
    member *who = LK_CONTAINER(at, member, link);
    present |= 1u << class_of(who);
    if (!is_receiver(who, m, classes)) continue;
    self->receivers[self->receivers_count + *count] = who->connection->number;
    ++*count;
  }
  t->classes = (uint16_t)present;
  return LK_OK;
}

/* To all receivers whose class is in |classes|: they read the same bytes, those of |class|. */
static lk_err broadcast(lk_edge *self, topic *t, const lk_bus_message *m, unsigned class,
                        unsigned classes) {
  lk_message_form form = (lk_message_form)(class / LK_DIALECTS);
  const lk_message message = { .topic = topic_name(t),
                               .event = m->event,
                               .payload = m->payload,
                               .binary = m->binary,
                               .dialect = (lk_message_dialect)(class % LK_DIALECTS) };
  uint32_t count;
  bool is_binary;
  if (!lk_message_is_sayable(form, &message)) return LK_OK;
  lk_err err = lk_edge_reserve_item(self);
  if (err == LK_OK) err = note_receivers(self, t, classes, m, &count);
  if (err != LK_OK || count == 0) return err;
  size_t start = lk_outbox_begin(&self->box);
  err = lk_message_encode_broadcast(form, &message, &self->box.bytes, &is_binary);
  err = lk_outbox_end_as(&self->box, start, is_binary, err);
  if (err != LK_OK) return err;
  lk_edge_add_item(self, (item){ .kind = LK_EDGE_SEND,
                                 .messages = 1,
                                 .receivers = count,
                                 .receivers_at = self->receivers_count });
  self->receivers_count += count;
  return LK_OK;
}

/* Those who cannot be told end: they come back, and get the state. */
static void end_receivers(lk_edge *self, const topic *t, unsigned classes, lk_err why) {
  for (const lk_link *at = t->members.first; at != NULL; at = at->next) {
    const member *who = LK_CONTAINER(at, member, link);
    if ((1u << class_of(who) & classes) != 0) lk_edge_end_connection(self, who->connection, why);
  }
}

/* To those who came by one name. */
static void broadcast_to_all(lk_edge *self, topic *t, const lk_bus_message *m) {
  unsigned done = 0;
  for (unsigned i = 0; i < LK_MESSAGE_CLASSES; i++) {
    unsigned classes = 0;
    if ((t->classes >> i & 1) == 0 || (done >> i & 1) != 0) continue;
    unsigned class = lk_message_shared_class(i, m->binary);
    for (unsigned j = 0; j < LK_MESSAGE_CLASSES; j++) {
      if (lk_message_shared_class(j, m->binary) == class) classes |= 1u << j;
    }
    done |= classes;
    lk_err err = broadcast(self, t, m, class, classes);
    if (err != LK_OK) end_receivers(self, t, classes, err);
  }
}

void lk_edge_on_broadcast(lk_edge *self, const lk_bus_message *m) {
  topic *home = lk_edge_topic_of(self, m->topic), *t = home;
  if (t == NULL) return;
  do {
    broadcast_to_all(self, t, m);
    t = t->kin;
  } while (t != home);
}
