/* channel/edge_tokens.c -- what tokens gave: leases, rights, renewal in band, and their ends. */
#include "channel/edge_parts.h"

#include "codec/json_reader.h"
#include "codec/json_writer.h"

void lk_edge_free_lease(lk_edge *self, lease *l) {
  if (l == NULL) return;
  if (l->timer.place != LK_HEAP_OUT) lk_heap_remove(&self->leases, &l->timer);
  lk_pacer_leave(&self->pacer, l->spender, self->now_us);
  lk_grant_free(l->grant, self->alloc);
  lk_free_bytes(self->alloc, l, sizeof *l);
}

lk_err lk_edge_make_lease(lk_edge *self, lk_grant *grant, connection *c, lease **out) {
  *out = NULL;
  if (grant == NULL) return LK_OK;
  lease *l = lk_alloc_bytes(self->alloc, sizeof *l);
  lk_err err = l == NULL ? LK_ERR_NOMEM : LK_OK;
  if (err == LK_OK) {
    *l = (lease){ .timer = LK_HEAP_ITEM_INIT, .grant = grant, .connection = c };
    if (grant->expires_ms != LK_GRANT_FOREVER)
      err = lk_heap_push(&self->leases, &l->timer, grant->expires_ms);
  }
  if (err == LK_OK) {
    l->spender = lk_pacer_enter(&self->pacer, lk_grant_subject(grant), self->now_us);
    *out = l;
    return LK_OK;
  }
  lk_grant_free(grant, self->alloc);
  lk_free_bytes(self->alloc, l, sizeof *l);
  return err;
}

lk_rights lk_edge_rights_on(const lk_edge *self, const connection *c, const lease *own,
                            lk_slice name) {
  unsigned most = LK_RIGHTS_NONE;
  if (self->options.access == NULL) return LK_RIGHTS_ADMIN;
  if (c->lease != NULL) most = lk_grant_rights(c->lease->grant, name);
  if (own != NULL) most = lk_max_u32(most, lk_grant_rights(own->grant, name));
  return (lk_rights)most;
}

lk_rights lk_edge_rights_of(const lk_edge *self, const member *m) {
  return (lk_rights)lk_min_u32(
      lk_edge_rights_on(self, m->connection, m->lease, home_name(m->topic)), m->ceiling);
}

static lk_slice subject_of_lease(const lease *l) {
  return l != NULL ? lk_grant_subject(l->grant) : LK_SLICE_EMPTY;
}

lk_spender *lk_edge_spender_on(const connection *c, const lease *own) {
  if (c->lease != NULL && c->lease->spender != NULL) return c->lease->spender;
  return own != NULL ? own->spender : NULL;
}

lk_slice lk_edge_subject_on(const connection *c, const lease *own) {
  lk_slice subject = subject_of_lease(c->lease);
  return subject.len > 0 ? subject : subject_of_lease(own);
}

/* Params of a join without their "token", which goes to nobody else, into |out|, which has room for |params|. */
static lk_err strip_token(lk_edge *self, lk_slice params, uint8_t *out, size_t *len,
                          lk_json_event *token) {
  lk_json_reader in;
  lk_json_event event;
  lk_slice value;
  size_t at = 0;
  lk_err err = lk_json_reader_init(&in, params, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_next(&in, &event);
  if (err == LK_OK && event.kind != LK_JSON_OBJECT_BEGIN) return LK_ERR_TYPE;
  while (err == LK_OK && (err = lk_json_next(&in, &event)) == LK_OK && event.kind == LK_JSON_KEY) {
    if (lk_slice_equal(event.text, LK_LIT("token"))) {
      err = lk_json_next(&in, token);
      if (err == LK_OK) err = lk_json_skip_rest(&in, token, &value);
      continue;
    }
    if ((err = lk_json_skip_value(&in, &value)) != LK_OK) break;
    out[at] = at == 0 ? '{' : ',';
    at++;
    memcpy(out + at, event.raw.ptr, event.raw.len);
    at += event.raw.len;
    out[at++] = ':';
    memcpy(out + at, value.ptr, value.len);
    at += value.len;
  }
  if (at == 0) out[at++] = '{';
  out[at++] = '}';
  *len = at;
  return err;
}

/* Another somebody than the connection may not come in by a token for one topic. */
static lk_err check_subject(lk_slice before, const lk_grant *grant) {
  lk_slice subject = lk_grant_subject(grant);
  bool fits = before.len == 0 || subject.len == 0 || lk_slice_equal(before, subject);
  return fits ? LK_OK : LK_ERR_TOKEN_CLAIMS;
}

static lk_err take_token(lk_edge *self, connection *c, lk_slice token, lk_slice subject,
                         lease **out) {
  const lk_access *access = self->options.access;
  lk_grant *grant = NULL;
  lk_err err = access->check(access->ctx, token, self->alloc, &grant);
  if (err == LK_OK) err = check_subject(subject, grant);
  if (err == LK_OK) return lk_edge_make_lease(self, grant, c, out);
  lk_grant_free(grant, self->alloc);
  return err;
}

lk_err lk_edge_take_topic_token(lk_edge *self, connection *c, lk_session_event *event,
                                lease **out) {
  lk_json_event token = { .kind = LK_JSON_ABSENT };
  *out = NULL;
  if (self->options.access == NULL || event->is_binary || event->payload.len <= 2) return LK_OK;
  size_t len = 0;
  uint8_t *rest = lk_arena_push(&self->scratch, event->payload.len + 2);
  if (rest == NULL) return LK_ERR_NOMEM;
  lk_err err = strip_token(self, event->payload, rest, &len, &token);
  if (err == LK_ERR_TYPE) return LK_OK; /* no object: what the room makes of it */
  if (err != LK_OK || token.kind == LK_JSON_ABSENT) return err;
  event->payload = lk_slice_of(rest, len);
  if (token.kind != LK_JSON_STRING) return LK_ERR_TOKEN_INVALID;
  err = take_token(self, c, token.text, subject_of_lease(c->lease), out);
  c->is_known |= err == LK_OK;
  return err;
}

static void reply_expiry(lk_edge *self, connection *c, const lk_session_event *event,
                         const lease *l) {
  lk_session_io io = lk_edge_io_of(self);
  lk_buf text;
  uint32_t before;
  lk_buf_init(&text, self->alloc, 64);
  (void)lk_buf_append(&text, LK_LIT("{\"expires_at\":"));
  if (l->grant->expires_ms == LK_GRANT_FOREVER) (void)lk_buf_append(&text, LK_LIT("null"));
  else (void)lk_buf_append_decimal(&text, l->grant->expires_ms);
  lk_err err = lk_buf_append(&text, LK_LIT("}"));
  const lk_session_answer given = { .topic = event->topic,
                                    .channel = event->channel,
                                    .ref = event->ref,
                                    .status = LK_LIT("ok"),
                                    .payload = err == LK_OK ? lk_buf_slice(&text)
                                                            : LK_SLICE_EMPTY };
  if (lk_edge_begin_speech(self, c, &before))
    lk_edge_end_speech(self, c, before, lk_session_reply(&c->session, &io, &given));
  lk_buf_deinit(&text);
}

static lk_slice reason_of(lk_err why) {
  switch (why) {
  case LK_ERR_TOKEN_EXPIRED: return LK_LIT("{\"reason\":\"token_expired\"}");
  case LK_ERR_TOKEN_REVOKED: return LK_LIT("{\"reason\":\"token_revoked\"}");
  default: return LK_LIT("{\"reason\":\"unauthorized\"}");
  }
}

/* The member is out, as if its room had ended under it: a client comes back, and asks its page for a token. */
static void eject(lk_edge *self, member *who, lk_err why) {
  connection *c = who->connection;
  lk_session_io io = lk_edge_io_of(self);
  lk_session_answer given = { .topic = topic_name(who->topic),
                              .channel = who->channel,
                              .payload = reason_of(why) };
  uint32_t before;
  if (!who->is_in) given.ref = lk_edge_asked_ref(LK_CONTAINER(who->asked.first, asked, link));
  if (lk_edge_begin_speech(self, c, &before))
    lk_edge_end_speech(self, c, before,
                       who->is_in ? lk_session_crash(&c->session, &io, &given)
                                  : lk_session_refuse(&c->session, &io, &given));
  lk_edge_on_leave(self, who->number);
}

/* With another token a connection may have lost what it is in. */
static void eject_unauthorized(lk_edge *self, connection *c) {
  uint64_t tag = 0, next_tag = 0;
  const lk_session_channel *next, *at = lk_session_next(&c->session, NULL, &tag);
  for (; at != NULL; at = next, tag = next_tag) {
    next = lk_session_next(&c->session, at, &next_tag);
    member *m = lk_edge_table_get(&self->members, tag);
    if (m != NULL && lk_edge_rights_of(self, m) < LK_RIGHTS_READ)
      eject(self, m, LK_ERR_TOKEN_CLAIMS);
  }
}

#define NO_TOKENS LK_LIT("{\"reason\":\"this server asks for no token\"}")

void lk_edge_on_token(lk_edge *self, connection *c, const lk_session_event *event) {
  lease *fresh = NULL;
  if (self->options.access == NULL) {
    lk_edge_reply_error(self, c, event, NO_TOKENS);
    return;
  }
  lk_err err = take_token(self, c, event->payload, LK_SLICE_EMPTY, &fresh);
  if (err == LK_OK && !lk_slice_equal(subject_of_lease(fresh), subject_of_lease(c->lease))) {
    lk_edge_free_lease(self, fresh);
    err = LK_ERR_TOKEN_CLAIMS;
  }
  if (err != LK_OK) {
    lk_edge_reply_error(self, c, event, lk_edge_write_error(self, err));
    return;
  }
  lk_edge_free_lease(self, c->lease);
  c->lease = fresh;
  reply_expiry(self, c, event, fresh);
  eject_unauthorized(self, c);
}

/* The text of {"token": text}. */
static bool read_token(lk_edge *self, const lk_session_event *event, lk_slice *token) {
  lk_json_reader in;
  lk_json_member wanted = { .name = LK_LIT_INIT("token") };
  if (event->is_binary) return false;
  lk_err err = lk_json_reader_init(&in, event->payload, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, &wanted, 1);
  return err == LK_OK && lk_json_get_string(&wanted.value, token) == LK_OK;
}

void lk_edge_on_topic_token(lk_edge *self, member *m, const lk_session_event *event) {
  connection *c = m->connection;
  lease *fresh = NULL;
  lk_slice token;
  if (self->options.access == NULL || !read_token(self, event, &token)) {
    lk_edge_reply_error(self, c, event,
                        self->options.access == NULL ? NO_TOKENS
                                                     : LK_LIT("{\"reason\":\"token_missing\"}"));
    return;
  }
  lk_err err = take_token(self, c, token, lk_edge_subject_on(c, m->lease), &fresh);
  if (err == LK_OK && lk_edge_rights_on(self, c, fresh, home_name(m->topic)) < LK_RIGHTS_READ) {
    self->stats.unauthorized++;
    lk_edge_free_lease(self, fresh);
    lk_edge_reply_error(self, c, event, UNAUTHORIZED);
    return;
  }
  if (err != LK_OK) {
    lk_edge_reply_error(self, c, event, lk_edge_write_error(self, err));
    return;
  }
  lk_edge_free_lease(self, m->lease);
  m->lease = fresh;
  fresh->member = m;
  reply_expiry(self, c, event, fresh);
}

void lk_edge_end_lease(lk_edge *self, lease *l, lk_err why) {
  self->stats.leases_ended++;
  if (l->member != NULL) eject(self, l->member, why);
  else lk_edge_end_connection(self, l->connection, why);
}

static bool is_revoked(const lk_edge *self, const lease *l) {
  const lk_access *access = self->options.access;
  return l != NULL && access->is_revoked(access->ctx, l->grant);
}

void lk_edge_recheck(lk_edge *self) {
  if (self->options.access == NULL) return;
  for (uint32_t i = 0; i < self->members.cap; i++) {
    const member *m = self->members.slots[i].thing;
    if (m != NULL && is_revoked(self, m->lease))
      lk_edge_end_lease(self, m->lease, LK_ERR_TOKEN_REVOKED);
  }
  for (uint32_t i = 0; i < self->connections.cap; i++) {
    const connection *c = self->connections.slots[i].thing;
    if (c != NULL && is_revoked(self, c->lease))
      lk_edge_end_lease(self, c->lease, LK_ERR_TOKEN_REVOKED);
  }
}
