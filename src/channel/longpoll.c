/* channel/longpoll.c -- a session between requests, and who waits for what.
 *
 *   edge ──take──> items: "...","...","...",        JSON strings, ready to be put between brackets
 *                  \carried/                        the part that a GET was given and that may come back
 *
 * A session has at most one GET that waits and one whose messages are on their way (the carrier). While there is
 * a carrier no other GET gets messages: were it to fail afterwards, its messages would come behind later ones.
 * A second GET means that the client gave the first one up, so the first is answered 204 and the second waits.
 *
 * A POST is read line by line, and only as far as the edge takes messages: the rest stays where the host has the
 * body, and is read on when the edge says RESUME. At most longpoll_lines_count lines are looked at, empty ones
 * included, and nothing is ever split in advance: 8 MB of newlines cost what a hundred lines do (Phoenix made a list
 * of all of them first: CVE-2026-32689).
 *
 * Tokens are 128 random bits and the key of a map. Nothing about the session stands in them, so there is nothing to
 * sign or to leak; the map's hash is keyed, so how long a look-up takes tells nothing about tokens that exist. An HMAC
 * over the session's place would save the map and cost a key, a format, and a comparison that must not be forgotten.
 *
 * What ends a session may happen while the edge is giving output, when it must not be called. So ending only
 * takes the session off its token and makes it due; poll does the rest: disconnects it, answers who waits, frees it.
 *
 *   alive ──CLOSE of the edge, with messages left──> over ──they were written──> gone ──polled──> freed
 *     \_________________ limits, time, protocol, CLOSE ___________________________^
 *
 * Always: a session is in by_token and in the heap exactly while it is not gone; a gone one is due; the first
 * carried_len bytes of items belong to the carrier, and are 0 where there is none. */
#include "channel/longpoll.h"

#include "channel/bus.h"
#include "channel/refusal.h"
#include "codec/base64.h"
#include "codec/json_writer.h"

#define ANSWER_FRAME 128 /* what stands around the messages of an answer */
#define NO_ROOM LK_LIT("{\"status\":500," LK_RETRY_FULL "}")

typedef struct session {
  lk_link due;
  lk_heap_item timer;
  uint64_t number; /* the edge's */
  uint8_t token[LK_LONGPOLL_RANDOM_LEN];
  lk_message_form form;
  lk_buf items;
  uint32_t items_count;
  uint32_t carried_count;
  size_t carried_len;
  const void *carrier;
  void *get;
  void *replaced; /* a GET that another one took the place of */
  void *post;
  lk_slice rest; /* of the body of |post| */
  uint32_t lines_left;
  bool is_batch;
  uint16_t post_status; /* with |post|: the answer is due */
  uint64_t get_ms;      /* when they began to wait */
  uint64_t post_ms;
  uint64_t polled_ms; /* when the client was last known to poll */
  bool get_timed_out;
  bool is_due;
  bool resumes; /* |post| is to be read on */
  bool is_over; /* the edge has closed it; what waits is still delivered */
  bool is_gone;
  bool is_connected; /* in the edge */
} session;

/* What an answer holds at most: it may have to travel to another edge process, in one frame. */
static size_t items_max(const lk_limits *limits) {
  uint32_t frame = limits->bus_frame_bytes;
  return lk_max_u32(limits->longpoll_output_bytes,
                    frame > LK_BUS_FRAME_REST ? frame - LK_BUS_FRAME_REST : 0);
}

void lk_longpoll_init(lk_longpoll *self, const lk_longpoll_options *options) {
  LK_ASSERT(options->window_ms > 0);
  const lk_limits *limits = options->limits;
  uint32_t count = limits->longpoll_sessions_count;
  *self = (lk_longpoll){ .options = *options };
  lk_map_init(&self->by_token, options->alloc, sizeof(session *), count, options->hash_seed);
  lk_map_init(&self->by_number, options->alloc, sizeof(session *), count, options->hash_seed);
  lk_heap_init(&self->timers, options->alloc, count);
  lk_buf_init(&self->body, options->alloc, items_max(limits) + ANSWER_FRAME);
  lk_buf_init(&self->line, options->alloc, limits->ws_message_bytes);
}

static lk_slice token_key(const session *s) { return lk_slice_of(s->token, sizeof s->token); }

static lk_slice number_key(const uint64_t *number) { return lk_slice_of(number, sizeof *number); }

static session *find_number(const lk_longpoll *self, uint64_t number) {
  session *const *place = lk_map_get(&self->by_number, number_key(&number));
  return place != NULL ? *place : NULL;
}

/* ---- time ---- */

static uint64_t later_by(uint64_t at, uint64_t span) {
  uint64_t sum;
  return lk_add_u64(at, span, &sum) ? sum : UINT64_MAX;
}

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

static bool is_polling(const session *s) { return s->get != NULL || s->carrier != NULL; }

static uint64_t get_deadline(const lk_longpoll *self, const session *s) {
  if (s->get == NULL || s->get_timed_out) return UINT64_MAX;
  return later_by(s->get_ms, self->options.window_ms);
}

static uint64_t post_deadline(const lk_longpoll *self, const session *s) {
  if (s->post == NULL || s->post_status != 0) return UINT64_MAX;
  return later_by(s->post_ms, self->options.window_ms);
}

static uint64_t life_deadline(const lk_longpoll *self, const session *s) {
  uint64_t window = self->options.window_ms;
  return is_polling(s) ? UINT64_MAX : later_by(s->polled_ms, window + window / 2);
}

static void set_timer(lk_longpoll *self, session *s) {
  if (s->is_gone) return;
  uint64_t at = earlier(get_deadline(self, s), post_deadline(self, s));
  lk_heap_move(&self->timers, &s->timer, earlier(at, life_deadline(self, s)));
}

uint64_t lk_longpoll_deadline(const lk_longpoll *self) {
  const lk_heap_item *first = lk_heap_first(&self->timers);
  return first != NULL ? first->key : UINT64_MAX;
}

/* ---- birth and end ---- */

static void make_due(lk_longpoll *self, session *s) {
  if (s->is_due) return;
  s->is_due = true;
  lk_list_push_last(&self->due, &s->due);
}

static void end_session(lk_longpoll *self, session *s) {
  if (s->is_gone) return;
  s->is_gone = true;
  (void)lk_map_remove(&self->by_token, token_key(s));
  lk_heap_remove(&self->timers, &s->timer);
  make_due(self, s);
}

static void free_session(lk_longpoll *self, session *s) {
  if (s->is_connected) lk_edge_disconnect(self->options.edge, s->number);
  if (s->is_due) lk_list_remove(&self->due, &s->due);
  (void)lk_map_remove(&self->by_number, number_key(&s->number));
  lk_buf_deinit(&s->items);
  lk_free_bytes(self->options.alloc, s, sizeof *s);
}

void lk_longpoll_end_some(lk_longpoll *self, uint32_t count) {
  lk_slice key;
  void *value;
  for (uint32_t at = 0; count > 0 && lk_map_next(&self->by_token, &at, &key, &value); count--)
    end_session(self, *(session **)value);
}

void lk_longpoll_deinit(lk_longpoll *self) {
  lk_slice key;
  void *value;
  lk_longpoll_end_some(self, UINT32_MAX);
  for (uint32_t at = 0; lk_map_next(&self->by_number, &at, &key, &value);)
    free_session(self, *(session **)value);
  lk_map_deinit(&self->by_token);
  lk_map_deinit(&self->by_number);
  lk_heap_deinit(&self->timers);
  lk_buf_deinit(&self->body);
  lk_buf_deinit(&self->line);
  *self = (lk_longpoll){ 0 };
}

static lk_err add_to_map(lk_map *map, lk_slice key, session *s) {
  void *value;
  bool is_new;
  lk_err err = lk_map_put(map, key, &value, &is_new);
  if (err != LK_OK) return err;
  LK_ASSERT(is_new);
  *(session **)value = s;
  return LK_OK;
}

/* Puts |s| where it is looked for, or nowhere. */
static lk_err register_session(lk_longpoll *self, session *s) {
  lk_err err = lk_heap_push(&self->timers, &s->timer, life_deadline(self, s));
  if (err != LK_OK) return err;
  err = add_to_map(&self->by_number, number_key(&s->number), s);
  if (err == LK_OK) {
    err = add_to_map(&self->by_token, token_key(s), s);
    if (err != LK_OK) (void)lk_map_remove(&self->by_number, number_key(&s->number));
  }
  if (err != LK_OK) lk_heap_remove(&self->timers, &s->timer);
  return err;
}

static lk_err begin_session(lk_longpoll *self, const lk_longpoll_request *request, session **out) {
  const lk_alloc *alloc = self->options.alloc;
  session *s = lk_alloc_bytes(alloc, sizeof *s);
  if (s == NULL) {
    lk_grant_free(request->grant, alloc);
    return LK_ERR_NOMEM;
  }
  *s = (session){ .timer = LK_HEAP_ITEM_INIT, .form = request->form, .polled_ms = request->now_ms };
  memcpy(s->token, request->random, sizeof s->token);
  lk_buf_init(&s->items, alloc, items_max(self->options.limits));
  lk_err err = lk_edge_connect(self->options.edge, request->form, request->grant, &s->number);
  if (err == LK_OK) {
    s->is_connected = true;
    err = register_session(self, s);
    if (err != LK_OK) lk_edge_disconnect(self->options.edge, s->number);
  }
  if (err != LK_OK) lk_free_bytes(alloc, s, sizeof *s);
  else *out = s;
  return err;
}

/* ---- tokens ---- */

static session *find_token(const lk_longpoll *self, lk_slice text) {
  uint8_t bytes[LK_LONGPOLL_RANDOM_LEN];
  lk_buf token = { .ptr = bytes, .cap = sizeof bytes, .max = sizeof bytes };
  if (text.len != LK_LONGPOLL_TOKEN_LEN) return NULL;
  if (lk_base64_decode(&token, text, LK_BASE64_FORM_URL) != LK_OK) return NULL;
  session *const *place = lk_map_get(&self->by_token, lk_buf_slice(&token));
  return place != NULL ? *place : NULL;
}

bool lk_longpoll_knows(const lk_longpoll *self, lk_slice token) {
  return find_token(self, token) != NULL;
}

/* ---- bodies ---- */

/* Members stand in the order in which Phoenix writes them. */
static lk_err write_poll(lk_buf *out, uint16_t status, const session *s, lk_slice items) {
  (void)lk_buf_append(out, LK_LIT("{\"messages\":["));
  (void)lk_buf_append(out, items);
  (void)lk_buf_append(out, LK_LIT("],\"status\":"));
  (void)lk_buf_append_decimal(out, status);
  if (!s->is_gone) {
    (void)lk_buf_append(out, LK_LIT(",\"token\":\""));
    (void)lk_base64_encode(out, token_key(s), LK_BASE64_FORM_URL);
    (void)lk_buf_append_u8(out, '"');
  }
  return lk_buf_append_u8(out, '}');
}

static lk_err write_status(lk_buf *out, uint16_t status) {
  (void)lk_buf_append(out, LK_LIT("{\"status\":"));
  (void)lk_buf_append_decimal(out, status);
  return lk_buf_append_u8(out, '}');
}

static lk_err finish(lk_buf *out, size_t before) {
  lk_err err = lk_buf_err(out);
  if (err != LK_OK) lk_buf_truncate(out, before);
  return err;
}

/* ---- GET ---- */

/* There is no status for "no room" that all clients know: 500 makes them come again, ever more slowly. */
static lk_err answer_new(lk_longpoll *self, const lk_longpoll_request *request, lk_buf *out) {
  session *s = NULL;
  size_t before = out->len;
  if (begin_session(self, request, &s) != LK_OK) (void)lk_buf_append(out, NO_ROOM);
  else (void)write_poll(out, 410, s, LK_SLICE_EMPTY);
  lk_err err = finish(out, before);
  if (err != LK_OK && s != NULL) end_session(self, s);
  return err;
}

lk_err lk_longpoll_get(lk_longpoll *self, const lk_longpoll_request *request, lk_buf *out,
                       uint64_t *number) {
  session *s = find_token(self, request->token);
  LK_ASSERT(request->waiter != NULL);
  *number = 0;
  if (s == NULL) return answer_new(self, request, out);
  if (s->replaced != NULL) { /* a client that does not wait for us need not be waited for */
    size_t before = out->len;
    (void)write_poll(out, 204, s, LK_SLICE_EMPTY);
    return finish(out, before);
  }
  s->replaced = s->get;
  s->get = request->waiter;
  s->get_ms = s->polled_ms = request->now_ms;
  s->get_timed_out = false;
  if (s->items_count > 0 || s->replaced != NULL) make_due(self, s);
  set_timer(self, s);
  *number = s->number;
  return LK_OK;
}

/* ---- POST ---- */

/* Of a line of base64 that is too long, the beginning. */
static lk_err take_long_binary(lk_longpoll *self, const session *s, lk_slice line) {
  uint32_t most = lk_min_u32(LK_MESSAGE_BEGINNING_MAX, self->options.limits->ws_message_bytes);
  lk_slice first = lk_slice_first(line, most / 3 * 4);
  lk_err err = lk_base64_decode(&self->line, first, LK_BASE64_FORM_STANDARD);
  if (err != LK_OK) return err;
  return lk_edge_receive_beginning(self->options.edge, s->number, lk_buf_slice(&self->line),
                                   line.len / 4 * 3, true);
}

static lk_err take_binary(lk_longpoll *self, const session *s, lk_slice line) {
  lk_buf_truncate(&self->line, 0);
  if (line.len / 4 * 3 > (size_t)self->options.limits->ws_message_bytes + 2)
    return take_long_binary(self, s, line);
  lk_err err = lk_base64_decode(&self->line, line, LK_BASE64_FORM_STANDARD);
  if (err != LK_OK) return err;
  return lk_edge_receive(self->options.edge, s->number, lk_buf_slice(&self->line), true);
}

static lk_err take_text(lk_longpoll *self, const session *s, lk_slice text) {
  if (text.len > self->options.limits->ws_message_bytes)
    return lk_edge_receive_beginning(self->options.edge, s->number,
                                     lk_slice_first(text, LK_MESSAGE_BEGINNING_MAX), text.len,
                                     false);
  return lk_edge_receive(self->options.edge, s->number, text, false);
}

/* V1 has no binary frames, and its texts are objects. */
static lk_err take_line(lk_longpoll *self, const session *s, lk_slice line) {
  if (lk_slice_ends_with(line, LK_LIT("\r"))) line = lk_slice_first(line, line.len - 1);
  if (line.len == 0) return LK_OK;
  bool is_text = s->form == LK_MESSAGE_V1 || line.ptr[0] == '[';
  return is_text ? take_text(self, s, line) : take_binary(self, s, line);
}

static lk_err take_next(lk_longpoll *self, session *s) {
  lk_slice all = s->rest;
  s->rest = LK_SLICE_EMPTY;
  if (!s->is_batch) return take_text(self, s, all);
  lk_slice line = lk_slice_cut(all, '\n', &all);
  if (--s->lines_left > 0) s->rest = all;
  return take_line(self, s, line);
}

/* Reads on in the body until it ends or the edge is full; |rest| tells which. */
static lk_err take_lines(lk_longpoll *self, session *s) {
  lk_err err = LK_OK;
  while (err == LK_OK && s->rest.len > 0 && !lk_edge_is_full(self->options.edge, s->number))
    err = take_next(self, s);
  if (self->line.cap > 0) {
    lk_buf_deinit(&self->line);
    lk_buf_init(&self->line, self->options.alloc, self->options.limits->ws_message_bytes);
  }
  return err;
}

static uint16_t begin_post(lk_longpoll *self, session *s, const lk_longpoll_request *request) {
  if (s->is_over) return 410;
  if (s->post != NULL) return 408; /* the client sends one batch at a time */
  s->rest = request->body;
  s->is_batch = request->is_batch;
  s->lines_left = self->options.limits->longpoll_lines_count;
  bool is_nothing = !s->is_batch && s->rest.len == 0;
  if (is_nothing || take_lines(self, s) != LK_OK) {
    s->rest = LK_SLICE_EMPTY;
    end_session(self, s);
    return 410;
  }
  if (s->rest.len == 0) return 200;
  s->post = request->waiter;
  s->post_ms = request->now_ms;
  s->post_status = 0;
  set_timer(self, s);
  return 0;
}

lk_err lk_longpoll_post(lk_longpoll *self, const lk_longpoll_request *request, lk_buf *out,
                        uint64_t *number) {
  session *s = find_token(self, request->token);
  LK_ASSERT(request->waiter != NULL);
  uint16_t status = s != NULL ? begin_post(self, s, request) : 410;
  size_t before = out->len;
  *number = status == 0 ? s->number : 0;
  if (status == 0) return LK_OK;
  (void)write_status(out, status);
  return finish(out, before);
}

static void end_post(lk_longpoll *self, session *s, uint16_t status) {
  s->rest = LK_SLICE_EMPTY;
  s->post_status = status;
  make_due(self, s);
}

/* ---- what became of answers ---- */

static void forget_carried(lk_longpoll *self, session *s) {
  lk_buf_consume(&s->items, s->carried_len);
  s->items_count -= s->carried_count;
  if (s->items.len > 0) return;
  lk_buf_deinit(&s->items);
  lk_buf_init(&s->items, self->options.alloc, items_max(self->options.limits));
}

static void end_carrier(lk_longpoll *self, session *s, uint64_t now_ms) {
  s->carrier = NULL;
  s->carried_len = 0;
  s->carried_count = 0;
  s->polled_ms = now_ms;
  if (s->get != NULL && s->items_count > 0) make_due(self, s);
  if (s->is_over && s->items_count == 0) end_session(self, s);
}

void lk_longpoll_written(lk_longpoll *self, uint64_t number, const void *waiter, uint64_t now_ms) {
  session *s = find_number(self, number);
  if (s == NULL || s->carrier != waiter) return;
  forget_carried(self, s);
  end_carrier(self, s, now_ms);
  set_timer(self, s);
}

void lk_longpoll_lost(lk_longpoll *self, uint64_t number, const void *waiter, uint64_t now_ms) {
  session *s = find_number(self, number);
  if (s == NULL) return;
  if (s->replaced == waiter) s->replaced = NULL;
  if (s->get == waiter) {
    s->get = NULL;
    s->polled_ms = now_ms;
  }
  if (s->post == waiter) {
    s->post = NULL;
    s->rest = LK_SLICE_EMPTY;
  }
  if (s->carrier == waiter) {
    LK_COVERED(longpoll_messages_come_back);
    end_carrier(self, s, now_ms);
  }
  set_timer(self, s);
}

/* ---- what the edge says ---- */

/* A document may be longer than the limit, and its client would come back for it for ever: so it goes where little else waits, as
 * in a WebSocket (wire/ws.h). */
static lk_err add_item(session *s, lk_slice text, const lk_limits *limits) {
  lk_json_writer writer;
  size_t most = limits->longpoll_output_bytes, before = s->items.len;
  if (s->items_count == limits->longpoll_messages_count) return LK_ERR_LIMIT;
  lk_json_writer_init(&writer, &s->items);
  (void)lk_json_write_string(&writer, text);
  lk_err err = lk_json_writer_finish(&writer);
  if (err == LK_OK) err = lk_buf_append_u8(&s->items, ',');
  if (err == LK_OK) s->items_count++;
  return s->items.len > most && before > most / 2 ? LK_ERR_LIMIT : err;
}

void lk_longpoll_take(lk_longpoll *self, uint64_t number, lk_slice text) {
  session *s = find_number(self, number);
  if (s == NULL || s->is_gone) return;
  /* A gap in what the client was told would be worse than a new start. */
  if (add_item(s, text, self->options.limits) != LK_OK) end_session(self, s);
  else if (s->get != NULL && s->carrier == NULL) make_due(self, s);
}

void lk_longpoll_resume(lk_longpoll *self, uint64_t number) {
  session *s = find_number(self, number);
  if (s == NULL || s->post == NULL) return;
  s->resumes = true;
  make_due(self, s);
}

void lk_longpoll_close(lk_longpoll *self, uint64_t number) {
  session *s = find_number(self, number);
  if (s == NULL) return;
  s->is_over = true;
  if (s->items_count == 0) end_session(self, s);
  else make_due(self, s); /* the edge wants to be told that it is disconnected */
}

/* ---- answers ---- */

static void tick_session(lk_longpoll *self, session *s, uint64_t now_ms) {
  if (get_deadline(self, s) <= now_ms) {
    s->get_timed_out = true;
    s->polled_ms = now_ms;
    make_due(self, s);
  }
  if (post_deadline(self, s) <= now_ms) end_post(self, s, 408);
  if (life_deadline(self, s) <= now_ms) end_session(self, s);
  set_timer(self, s);
}

void lk_longpoll_tick(lk_longpoll *self, uint64_t now_ms) {
  LK_ASSERT(now_ms < UINT64_MAX);
  while (lk_longpoll_deadline(self) <= now_ms)
    tick_session(self, LK_CONTAINER(lk_heap_first(&self->timers), session, timer), now_ms);
}

/* The edge is called here, and only here, for sessions that have ended or have lines left. */
static void attend(lk_longpoll *self, session *s) {
  if ((s->is_gone || s->is_over) && s->is_connected) {
    s->is_connected = false;
    lk_edge_disconnect(self->options.edge, s->number);
  }
  if (!s->is_connected && s->post != NULL && s->post_status == 0) end_post(self, s, 410);
  if (!s->resumes) return;
  s->resumes = false;
  if (s->post == NULL || s->post_status != 0) return;
  if (take_lines(self, s) != LK_OK) {
    end_session(self, s);
    end_post(self, s, 410);
  } else if (s->rest.len == 0) {
    end_post(self, s, 200);
  }
}

/* Everything that waits, without the last comma. Where there is no memory for it the client begins anew. */
static void give_messages(lk_longpoll *self, session *s, lk_longpoll_answer *out) {
  lk_slice items = lk_buf_slice(&s->items);
  if (write_poll(&self->body, 200, s, lk_slice_first(items, items.len - 1)) != LK_OK) {
    lk_buf_truncate(&self->body, 0);
    end_session(self, s);
    out->body = LK_LIT("{\"status\":500}");
    return;
  }
  s->carrier = out->waiter;
  s->carried_len = items.len;
  s->carried_count = s->items_count;
  out->has_messages = true;
  out->body = lk_buf_slice(&self->body);
}

static void give_none(lk_longpoll *self, const session *s, lk_longpoll_answer *out) {
  bool done = write_poll(&self->body, s->is_gone ? 410 : 204, s, LK_SLICE_EMPTY) == LK_OK;
  out->body = done ? lk_buf_slice(&self->body) : LK_LIT("{\"status\":500}");
}

/* Moves a waiter out of its place. */
static void *take_waiter(void **place) {
  void *waiter = *place;
  *place = NULL;
  return waiter;
}

static bool poll_session(lk_longpoll *self, session *s, lk_longpoll_answer *out) {
  *out = (lk_longpoll_answer){ 0 };
  if (s->post != NULL && s->post_status != 0) {
    out->waiter = take_waiter(&s->post);
    bool done = write_status(&self->body, s->post_status) == LK_OK;
    out->body = done ? lk_buf_slice(&self->body) : LK_LIT("{\"status\":500}");
  } else if (s->replaced != NULL) {
    out->waiter = take_waiter(&s->replaced);
    give_none(self, s, out);
  } else if (s->get != NULL && !s->is_gone && s->items_count > 0 && s->carrier == NULL) {
    out->waiter = take_waiter(&s->get);
    give_messages(self, s, out);
  } else if (s->get != NULL && (s->is_gone || s->get_timed_out)) {
    out->waiter = take_waiter(&s->get);
    give_none(self, s, out);
  }
  return out->waiter != NULL;
}

/* An answer that was large gives its memory back. */
static void forget_body(lk_longpoll *self) {
  size_t max = self->body.max;
  if (self->body.cap > 4096) {
    lk_buf_deinit(&self->body);
    lk_buf_init(&self->body, self->options.alloc, max);
  }
  lk_buf_truncate(&self->body, 0);
}

bool lk_longpoll_poll(lk_longpoll *self, lk_longpoll_answer *out) {
  forget_body(self);
  while (self->due.first != NULL) {
    session *s = LK_CONTAINER(self->due.first, session, due);
    attend(self, s);
    bool has_answer = poll_session(self, s, out);
    set_timer(self, s);
    if (has_answer) return true;
    lk_list_remove(&self->due, &s->due);
    s->is_due = false;
    if (s->is_gone) free_session(self, s);
  }
  return false;
}
