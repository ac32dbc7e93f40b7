/* The host that tests of clients share: lab.h. */
#include "unit/peer/lab.h"

#include <stdio.h>

static void report(lab *self, lab_client *c, bool is_open) {
  if (is_open) lk_client_opened(c->client, self->now);
  else lk_client_closed(c->client, 0, 0, self->now);
}

static void drop_connection(lab *self, lab_client *c) {
  if (c->connection == 0) return;
  lk_hub_disconnect(self->hub, c->connection, self->now);
  c->connection = 0;
}

static void connect(lab *self, lab_client *c, lk_slice token) {
  c->opens++;
  size_t len = token.len < sizeof c->token - 1 ? token.len : sizeof c->token - 1;
  if (len > 0) memcpy(c->token, token.ptr, len);
  c->token[len] = 0;
  CHECK_U64(c->connection, 0);
  if (!c->unreachable) CHECK_OK(lk_hub_connect(self->hub, &c->connection));
  report(self, c, !c->unreachable);
}

static void give_token(lab *self, lab_client *c) {
  char text[32];
  int len = snprintf(text, sizeof text, "token-%u", ++c->tokens);
  if (c->refuses_token) lk_client_no_token(c->client, self->now);
  else CHECK_OK(lk_client_set_token(c->client, lk_slice_of(text, (size_t)len), 0, self->now));
}

static void say(lab *self, lab_client *c, const lk_client_event *event) {
  CHECK(c->connection != 0);
  lk_err err = event->is_binary
                   ? lk_hub_receive_binary(self->hub, c->connection, event->bytes, self->now)
                   : lk_hub_receive(self->hub, c->connection, event->bytes, self->now);
  CHECK_OK(err);
}

static void serve(lab *self, lab_client *c, const lk_client_event *event) {
  switch (event->kind) {
  case LK_CLIENT_TOKEN: give_token(self, c); break;
  case LK_CLIENT_CONNECT: connect(self, c, event->bytes); break;
  case LK_CLIENT_SEND: say(self, c, event); break;
  case LK_CLIENT_HANG_UP: drop_connection(self, c); break;
  case LK_CLIENT_READY: c->readies++; break;
  case LK_CLIENT_CHANGED: c->changes++; break;
  case LK_CLIENT_STATUS: break;
  }
}

static bool step_client(lab *self, lab_client *c) {
  lk_client_event event;
  bool busy = false;
  if (c->client == NULL) return false;
  if (c->has_storage && lk_client_is_busy(c->client) && !c->storage.hold) {
    lk_client_stored(c->client, self->now);
    busy = true;
  }
  while (lk_client_poll(c->client, &event)) {
    serve(self, c, &event);
    busy = true;
  }
  return busy;
}

static lab_client *client_of(lab *self, uint64_t connection) {
  for (int i = 0; i < LAB_CLIENTS; i++) {
    if (connection != 0 && self->clients[i].connection == connection) return &self->clients[i];
  }
  return NULL;
}

static void hear(lab *self, const lk_hub_output *out) {
  lab_client *c = client_of(self, out->connection);
  if (c == NULL) return;
  if (out->kind == LK_HUB_CLOSE) {
    drop_connection(self, c);
    report(self, c, false);
  } else if (!c->is_deaf) {
    lk_err err = lk_client_receive(c->client, out->text, out->is_binary, self->now);
    CHECK(err == LK_OK || err == LK_ERR_NOMEM);
  }
}

void lab_settle(lab *self) {
  lk_hub_output out;
  bool busy = true;
  while (busy) {
    busy = false;
    for (int i = 0; i < LAB_CLIENTS; i++) busy |= step_client(self, &self->clients[i]);
    lk_hub_step(self->hub, self->now);
    while (lk_hub_poll(self->hub, &out)) {
      hear(self, &out);
      busy = true;
    }
  }
}

static uint64_t next_time(lab *self) {
  uint64_t at = lk_hub_deadline(self->hub);
  for (int i = 0; i < LAB_CLIENTS; i++) {
    if (self->clients[i].client != NULL)
      at = lk_min_u64(at, lk_client_deadline(self->clients[i].client));
  }
  return at;
}

void lab_wait(lab *self, uint64_t ms) {
  uint64_t until = self->now + ms;
  lab_settle(self);
  while (next_time(self) <= until) {
    self->now = lk_max_u64(self->now, next_time(self));
    for (int i = 0; i < LAB_CLIENTS; i++) {
      if (self->clients[i].client != NULL) lk_client_tick(self->clients[i].client, self->now);
    }
    lab_settle(self);
    self->now++;
  }
  self->now = lk_max_u64(self->now, until);
  lab_settle(self);
}

void lab_cut(lab *self, int i) {
  lab_client *c = &self->clients[i];
  if (c->connection == 0) return;
  drop_connection(self, c);
  report(self, c, false);
}

lk_err lab_try_start(lab *self, int i) {
  lab_client *c = &self->clients[i];
  const lk_env *env = self->client_env != NULL ? self->client_env : &self->env;
  lk_client_options options = self->options;
  options.entropy[0] = ++c->entropy;
  options.entropy[1] = (uint64_t)i;
  if (c->has_storage) options.storage = c->behind != NULL ? c->behind : &c->storage.table;
  lk_err err = lk_client_open_limited(env, &self->client_limits, &options, &c->client);
  if (err != LK_OK) return err;
  lk_client_connect(c->client, self->now);
  lab_settle(self);
  return LK_OK;
}

void lab_start(lab *self, int i) { CHECK_OK(lab_try_start(self, i)); }

void lab_stop(lab *self, int i) {
  lab_client *c = &self->clients[i];
  lk_storage *storage = c->behind != NULL ? c->behind : &c->storage.table;
  drop_connection(self, c);
  /* What is under way is carried out, and nobody hears of it. */
  c->storage.hold = false;
  if (c->has_storage) lk_memory_storage_release(&c->storage, UINT32_MAX);
  while (c->has_storage && storage->poll(storage) != NULL) continue;
  lk_client_close(c->client);
  c->client = NULL;
}

void lab_crash(lab *self, int i) {
  lab_client *c = &self->clients[i];
  drop_connection(self, c);
  c->storage.submitted = (lk_list){ 0 };
  c->storage.hold = false;
  lk_client_close(c->client);
  c->client = NULL;
}

static void open_hub(lab *self) {
  lk_memory_storage_init(&self->storage, test_alloc(), 1 << 26);
  CHECK_OK(lk_hub_open(&self->env, &self->limits, &self->storage.table, ++self->hubs, &self->hub));
}

void lab_replace_server(lab *self) {
  for (int i = 0; i < LAB_CLIENTS; i++) self->clients[i].connection = 0;
  lk_hub_close(self->hub);
  lk_memory_storage_deinit(&self->storage);
  open_hub(self);
  for (int i = 0; i < LAB_CLIENTS; i++) {
    if (self->clients[i].client != NULL) report(self, &self->clients[i], false);
  }
}

void lab_init(lab *self) {
  *self = (lab){ .env = LK_ENV_INIT(test_alloc(), NULL),
                 .limits = lk_limits_default(),
                 .client_limits = lk_limits_default(),
                 .options = LK_CLIENT_OPTIONS_INIT,
                 .now = 1000 };
  open_hub(self);
  for (int i = 0; i < LAB_CLIENTS; i++) {
    self->clients[i].has_storage = true;
    self->clients[i].entropy = (uint64_t)i * 1000;
    lk_memory_storage_init(&self->clients[i].storage, test_alloc(), 1 << 26);
  }
}

void lab_deinit(lab *self) {
  for (int i = 0; i < LAB_CLIENTS; i++) {
    if (self->clients[i].client != NULL) lab_stop(self, i);
    lk_memory_storage_deinit(&self->clients[i].storage);
  }
  lk_hub_close(self->hub);
  lk_memory_storage_deinit(&self->storage);
}

lk_topic *lab_open(lab *self, int i, const char *name, lk_crdt_kind kind) {
  lk_topic *topic;
  CHECK_OK(lk_client_open_crdt(lab_get(self, i), lk_slice_cstr(name), kind, LK_TOPIC_KEPT,
                               self->now, &topic));
  lab_settle(self);
  return topic;
}

lk_topic *lab_open_doc(lab *self, int i, const char *name) {
  lk_topic *topic;
  CHECK_OK(
      lk_client_open_doc(lab_get(self, i), lk_slice_cstr(name), LK_TOPIC_KEPT, self->now, &topic));
  lab_settle(self);
  return topic;
}

lk_err lab_apply(lab *self, lk_topic *topic, const char *name, const char *arguments) {
  return lk_topic_apply(topic, LK_SLICE_EMPTY, lk_slice_cstr(name), lk_slice_cstr(arguments),
                        1700000000000u + self->now, self->now);
}

void lab_write(lab *self, lk_topic *topic, uint64_t at, const char *text) {
  lk_node node;
  lk_doc *doc = lk_topic_doc(topic);
  CHECK_OK(lk_doc_root(doc, LK_LIT("t"), LK_NODE_TEXT, &node));
  CHECK_OK(lk_doc_text_insert(doc, node, at, lk_slice_cstr(text), NULL));
  lk_topic_changed(topic, self->now);
}

void lab_check_value(const char *file, unsigned line, const lk_topic *topic, const char *json) {
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 20);
  test_check_err(file, line, "lk_topic_value", lk_topic_value(topic, LK_SLICE_EMPTY, &out), LK_OK);
  test_check_slice(file, line, "value", lk_buf_slice(&out), lk_slice_cstr(json));
  lk_buf_deinit(&out);
}

lk_client_status lab_status(lab *self, int i) {
  lk_client_status status = { .size = sizeof status };
  lk_client_get_status(lab_get(self, i), &status);
  return status;
}

lk_topic_status lab_topic_status(const lk_topic *topic) {
  lk_topic_status status = { .size = sizeof status };
  lk_topic_get_status(topic, &status);
  return status;
}
