/* channel/edge_members.c -- topics by their names, and who is in them. */
#include "channel/edge_parts.h"

/* Not less than the struct, which is written whole and has room for a few bytes at its end. */
static size_t size_for(size_t name_len) {
  return lk_max_size(sizeof(topic), offsetof(topic, name) + name_len);
}

static void free_record(lk_edge *self, topic *t) {
  lk_free_bytes(self->alloc, t, size_for(t->name_len));
}

/* The record of |name|, made where there is none: at home in |home|, or NULL for itself. */
static lk_err put_topic(lk_edge *self, lk_slice name, topic *home, topic **out) {
  topic *t = lk_edge_topic_of(self, name);
  *out = t;
  if (t != NULL) return LK_OK;
  LK_ASSERT(name.len <= UINT8_MAX);
  t = lk_alloc_bytes(self->alloc, size_for(name.len));
  if (t == NULL) return LK_ERR_NOMEM;
  *t = (topic){ .kin = t, .name_len = (uint8_t)name.len, .is_alias = home != NULL };
  if (name.len > 0) memcpy(t->name, name.ptr, name.len);
  lk_err err = lk_edge_add_topic(self, t);
  if (err != LK_OK) {
    free_record(self, t);
    return err;
  }
  if (home != NULL) {
    t->kin = home->kin;
    home->kin = t;
    home->users++;
  }
  t->house = (uint8_t)lk_edge_house_at(self, home_name(t));
  *out = t;
  return LK_OK;
}

static void free_topic(lk_edge *self, topic *t) {
  lk_edge_remove_topic(self, t);
  free_record(self, t);
}

/* One of whose home nothing may be left either. */
static void release_topic(lk_edge *self, topic *t) {
  topic *home = home_of(t);
  if (t->users > 0) return;
  if (t != home) {
    topic *before = home;
    while (before->kin != t) before = before->kin;
    before->kin = t->kin;
    home->users--;
    free_topic(self, t);
  }
  if (home->users == 0) free_topic(self, home);
}

/* The record of what a client calls |name|. */
static lk_err get_topic(lk_edge *self, lk_slice name, topic **out) {
  uint8_t bytes[LK_ALIAS_TOPIC_MAX];
  topic *home;
  lk_slice meant = lk_aliases_resolve(&self->options.aliases, name, bytes);
  if (meant.ptr == name.ptr) return put_topic(self, name, NULL, out);
  if (meant.len > self->limits->channel_name_bytes) return LK_ERR_TOO_BIG;
  lk_err err = put_topic(self, meant, NULL, &home);
  if (err == LK_OK && (err = put_topic(self, name, home, out)) != LK_OK) release_topic(self, home);
  return err;
}

lk_err lk_edge_make_member(lk_edge *self, connection *c, const lk_session_event *event,
                           member **out) {
  topic *t;
  lk_err err = get_topic(self, event->topic, &t);
  if (err != LK_OK) return err;
  lk_slice payload = lk_slice_equal(event->payload, LK_LIT("{}")) ? LK_SLICE_EMPTY : event->payload;
  if (payload.len > PAYLOAD_MAX) {
    release_topic(self, t);
    return LK_ERR_TOO_BIG;
  }
  size_t size = sizeof(member) + payload.len;
  member *m = lk_alloc_bytes(self->alloc, size);
  uint64_t number = 0;
  err = m == NULL ? LK_ERR_NOMEM : lk_edge_table_add(self->alloc, &self->members, m, &number);
  if (err != LK_OK) {
    lk_free_bytes(self->alloc, m, size);
    release_topic(self, t);
    return err;
  }
  *m = (member){ .connection = c,
                 .topic = t,
                 .number = number,
                 .channel = event->channel & LK_SESSION_CHANNEL_MAX,
                 .ceiling = LK_RIGHTS_ADMIN,
                 .is_gated = lk_gate_is_before(self->options.gate, home_name(t)),
                 .payload_len = (uint32_t)payload.len & PAYLOAD_MAX };
  if (payload.len > 0) memcpy(m->payload, payload.ptr, payload.len);
  t->users++;
  *out = m;
  return LK_OK;
}

void lk_edge_free_member(lk_edge *self, member *m) {
  topic *t = m->topic;
  house *h = &self->houses[t->house];
  while (m->asked.first != NULL) {
    asked *a = LK_CONTAINER(m->asked.first, asked, link);
    (void)lk_window_take(&h->asked, a->request);
    lk_edge_free_asked(self, a);
  }
  if (m->is_in) lk_list_remove(&t->members, &m->link);
  lk_edge_table_remove(&self->members, m->number);
  lk_edge_free_lease(self, m->lease);
  lk_free_bytes(self->alloc, m, sizeof *m + m->payload_len);
  t->users--;
  release_topic(self, t);
}

void lk_edge_let_in(member *m) {
  m->is_in = true;
  lk_list_push_last(&m->topic->members, &m->link);
  note_class(m);
}
