/* room/doc_room.c -- one document and its members.
 *
 *   update ──> is it news? ──> lk_doc_apply ──> broadcast
 *                │ no             │  └──> record ──JOURNAL t──> ... JOURNALED t ──> reply
 *                v                v refused
 *      reply, when what       replica_refused
 *      is known is kept
 *
 * What is written down and who waits for it: doc_journal.h. What who joins is given: doc_encoded.h. What members show
 * each other: doc_awareness.h. Here is what they say.
 *
 * A snapshot is the document as it is, with updates that are not durable yet: to have them twice does no harm.
 *
 * A document that nobody changes sleeps: it is closed, and what remains is its encoding, which is a fraction of it. The
 * next change opens it again, which takes a small one microseconds. Large ones are left open for longer.
 *
 * Effects point to what lives as long as they: the input, the journal's records, |text|. Each step puts at most one
 * payload into |text|; other things that are made for one effect are copied. */
#include "room/doc_room.h"

#include "base/map.h"
#include "channel/y_sync.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/json_bytes.h"
#include "codec/json_writer.h"
#include "codec/varint.h"
#include "crypto/sha256.h"
#include "doc/news.h"
#include "room/doc_awareness.h"
#include "room/doc_encoded.h"
#include "room/doc_journal.h"
#include "room/doc_payload.h"
#include "room/doc_query.h"
#include "room/doc_render.h"
#include "room/effects.h"

#define SCRATCH_MAX ((size_t)1 << 24)
#define BUF_KEPT 512 /* bytes that an idle buffer keeps */
#define NEVER UINT64_MAX
#define SLEEP_MS 2000        /* a small document that long without a change is closed */
#define SLEEP_LARGE_MS 60000 /* and a large one */
#define LARGE_BYTES 32768    /* as encoded */
#define GENERATION_LEN 16
#define ALIKE_CLIENTS                                                                              \
  16 /* ids below it are for what every client makes alike, such as a first paragraph */

/* What is to be remembered of a member; of most nothing is. */
typedef struct note {
  bool is_refused; /* its replica has what ours has not */
  bool was_asked;  /* it was sent our state vector */
  uint32_t subject_len;
  uint8_t *subject; /* owned */
} note;

struct lk_room {
  const lk_env *env;
  const lk_limits *limits;
  lk_slice level;
  lk_doc *doc; /* NULL while it sleeps */
  uint64_t doc_client;
  uint64_t seed[2];
  uint64_t touched_ms; /* when somebody needed the document last */
  uint64_t timer_at;   /* the TICK that is due; NEVER: none */
  uint64_t generation;
  bool generation_is_kept;
  lk_effects effects;
  lk_arena scratch; /* of one input */
  lk_buf bytes;     /* of one input: what its payload has */
  lk_buf text;      /* of one input: a payload to send */
  lk_map notes;     /* member -> note */
  lk_map writers;   /* client -> its first writer's subject, an owned lk_slice */
  lk_doc_journal journal;
  lk_doc_encoded encoded;
  lk_doc_awareness *awareness; /* NULL where nobody ever showed anything */
  lk_doc_rendered *rendered;   /* NULL where nobody ever read HTML */
};

static lk_slice key_of(uint64_t number, uint8_t bytes[8]) {
  lk_store_le64(bytes, number);
  return lk_slice_of(bytes, 8);
}

/* ---- effects ---- */

static lk_err push(lk_room *self, lk_room_effect effect) {
  return lk_effects_push_borrowed(&self->effects, &effect);
}

static lk_err push_copy(lk_room *self, lk_room_effect effect) {
  return lk_effects_push(&self->effects, &effect);
}

static void write_member(lk_json_writer *w, lk_slice key, lk_slice text) {
  if (text.len == 0) return;
  (void)lk_json_write_key(w, key);
  (void)lk_json_write_string(w, text);
}

/* {"reason":..., "field":..., "error":..., "limit":..., "message":...}, those that there are. */
static lk_err write_refusal(lk_room *self, const char *reason, lk_err why, lk_slice field) {
  lk_json_writer w;
  lk_slice name = why != LK_OK ? lk_slice_cstr(lk_err_name(why)) : LK_SLICE_EMPTY;
  lk_buf_truncate(&self->text, 0);
  lk_json_writer_init(&w, &self->text);
  (void)lk_json_begin_object(&w);
  write_member(&w, LK_LIT("reason"), reason != NULL ? lk_slice_cstr(reason) : name);
  write_member(&w, LK_LIT("field"), field);
  if (reason != NULL) write_member(&w, LK_LIT("error"), name);
  if (why == LK_ERR_LIMIT && self->doc != NULL)
    write_member(&w, LK_LIT("limit"), lk_slice_cstr(lk_doc_limit_hit(self->doc)));
  if (why != LK_OK) write_member(&w, LK_LIT("message"), lk_slice_cstr(lk_err_text(why)));
  (void)lk_json_end_object(&w);
  return lk_json_writer_finish(&w);
}

/* The member is told and the room goes on. Where memory is out, it does not. */
static lk_err refuse(lk_room *self, const lk_room_input *input, const char *reason, lk_err why,
                     lk_slice field) {
  if (why == LK_ERR_NOMEM) return why;
  lk_trace_emit(self->env, LK_TRACE_room_refused, input->member, (uint64_t)why, input->event);
  lk_err err = write_refusal(self, reason, why, field);
  if (err != LK_OK) return err;
  return push(
      self, (lk_room_effect){ .kind = input->kind == LK_ROOM_JOIN ? LK_ROOM_REFUSE : LK_ROOM_REPLY,
                              .member = input->member,
                              .request = input->request,
                              .payload = lk_buf_slice(&self->text) });
}

static lk_err push_bytes(lk_room *self, uint64_t member, lk_slice event, lk_slice bytes,
                         lk_message_dialect dialect) {
  return push_copy(self, (lk_room_effect){ .kind = LK_ROOM_PUSH,
                                           .member = member,
                                           .event = event,
                                           .payload = bytes,
                                           .binary = true,
                                           .dialect = dialect });
}

/* What the answer to an update means. */
static lk_slice level_payload(const lk_room *self) {
  return lk_slice_equal(self->level, LK_LIT("durable")) ? LK_LIT("{\"level\":\"durable\"}")
                                                        : LK_LIT("{\"level\":\"memory\"}");
}

static lk_room_effect reply_ok(const lk_room *self, uint64_t member, uint64_t request) {
  return (lk_room_effect){ .kind = LK_ROOM_REPLY,
                           .member = member,
                           .request = request,
                           .ok = true,
                           .payload = level_payload(self) };
}

/* ---- sleep ---- */

static lk_err open_doc(lk_room *self) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = self->doc_client;
  options.seed[0] = self->seed[0];
  options.seed[1] = self->seed[1];
  lk_err err = lk_doc_open(self->env, &options, &self->doc);
  if (err != LK_OK) return err;
  lk_doc_set_limits(self->doc, self->limits);
  lk_doc_encoded_attach(&self->encoded, self->doc);
  return LK_OK;
}

/* Before anything that needs the document. */
static lk_err wake(lk_room *self, const lk_room_input *input) {
  self->touched_ms = input->now_ms;
  if (self->doc != NULL) return LK_OK;
  LK_COVERED(doc_room_wakes);
  lk_slice whole = lk_buf_slice(&self->encoded.whole);
  lk_err err = open_doc(self);
  return err == LK_OK ? lk_doc_load(self->doc, LK_UPDATE_V1, whole, 0) : err;
}

static uint64_t sleep_at(const lk_room *self) {
  if (self->doc == NULL) return NEVER;
  return self->touched_ms + (self->encoded.whole.len > LARGE_BYTES ? SLEEP_LARGE_MS : SLEEP_MS);
}

static void empty(lk_room *self, lk_buf *buf) {
  size_t max = buf->max;
  lk_buf_deinit(buf);
  lk_buf_init(buf, self->env->alloc, max);
}

/* What cannot be encoded for want of memory stays open. */
static void fall_asleep(lk_room *self) {
  lk_slice whole;
  if (lk_doc_encoded_whole(&self->encoded, &whole) != LK_OK) return;
  lk_doc_encoded_attach(&self->encoded, NULL);
  lk_doc_close(self->doc);
  self->doc = NULL;
  lk_effects_trim(&self->effects);
  empty(self, &self->bytes);
  empty(self, &self->text);
  lk_arena_deinit(&self->scratch);
  lk_arena_init(&self->scratch, self->env->alloc, SCRATCH_MAX);
}

static lk_err arm_timer(lk_room *self) {
  uint64_t at = sleep_at(self);
  if (self->awareness != NULL) at = lk_min_u64(at, lk_doc_awareness_deadline(self->awareness));
  if (at >= self->timer_at) return LK_OK; /* then it is looked at again */
  self->timer_at = at;
  return push(self, (lk_room_effect){ .kind = LK_ROOM_TIMER, .at_ms = at });
}

/* ---- records ---- */

static lk_err begin_journal(lk_room *self) {
  lk_room_effect effect = { .kind = LK_ROOM_JOURNAL };
  if (!lk_doc_journal_begin(&self->journal, &effect.ticket, &effect.payload)) return LK_OK;
  return push(self, effect);
}

/* The first record says which document this is. */
static lk_err note_item(lk_room *self, const lk_doc_item *item) {
  lk_err err = LK_OK;
  if (!self->generation_is_kept) {
    const lk_doc_item generation = { .kind = LK_DOC_ITEM_GENERATION, .number = self->generation };
    err = lk_doc_journal_append(&self->journal, &generation);
    self->generation_is_kept = true;
  }
  return err == LK_OK ? lk_doc_journal_append(&self->journal, item) : err;
}

static lk_err on_journaled(lk_room *self, const lk_room_input *input) {
  lk_doc_journal_landed(&self->journal, input->ticket);
  return begin_journal(self);
}

/* ---- notes ---- */

static note *find_note(const lk_room *self, uint64_t member) {
  uint8_t bytes[8];
  return lk_map_get(&self->notes, key_of(member, bytes));
}

static lk_err make_note(lk_room *self, uint64_t member, note **out) {
  uint8_t bytes[8];
  void *value;
  bool is_new;
  lk_err err = lk_map_put(&self->notes, key_of(member, bytes), &value, &is_new);
  if (err == LK_OK) *out = value;
  return err;
}

static lk_err note_subject(lk_room *self, uint64_t member, lk_slice subject) {
  note *n;
  if (subject.len == 0) return LK_OK;
  lk_err err = make_note(self, member, &n);
  if (err != LK_OK || n->subject != NULL) return err;
  n->subject = lk_alloc_bytes(self->env->alloc, subject.len);
  if (n->subject == NULL) return LK_ERR_NOMEM;
  memcpy(n->subject, subject.ptr, subject.len);
  n->subject_len = (uint32_t)subject.len;
  return LK_OK;
}

static void forget_note(lk_room *self, uint64_t member) {
  uint8_t bytes[8];
  const note *n = find_note(self, member);
  if (n == NULL) return;
  lk_free_bytes(self->env->alloc, n->subject, n->subject_len);
  (void)lk_map_remove(&self->notes, key_of(member, bytes));
}

/* ---- who wrote ---- */

/* False where the client is known already. */
static lk_err add_writer(lk_room *self, uint64_t client, lk_slice subject, bool *is_new) {
  uint8_t bytes[8];
  void *value;
  lk_err err = lk_map_put(&self->writers, key_of(client, bytes), &value, is_new);
  if (err != LK_OK || !*is_new) return err;
  uint8_t *copy = lk_alloc_bytes(self->env->alloc, subject.len);
  if (copy == NULL) {
    (void)lk_map_remove(&self->writers, key_of(client, bytes));
    return LK_ERR_NOMEM;
  }
  memcpy(copy, subject.ptr, subject.len);
  *(lk_slice *)value = lk_slice_of(copy, subject.len);
  return LK_OK;
}

typedef struct attribution {
  lk_room *self;
  lk_slice subject;
} attribution;

static lk_err attribute(void *ctx, const lk_update_client *client) {
  const attribution *a = ctx;
  bool is_new = false;
  if (client->structs == 0) return LK_OK;
  lk_err err = add_writer(a->self, client->client, a->subject, &is_new);
  if (err != LK_OK || !is_new) return err;
  const lk_doc_item item = { LK_DOC_ITEM_WRITER, client->client, a->subject };
  return note_item(a->self, &item);
}

/* |update| brought clients that had not written before: they are the member's. Forwarded ones of others are, too,
 * where this is the first that we see of them. */
static lk_err attribute_clients(lk_room *self, const lk_room_input *input, lk_slice update) {
  const note *n = find_note(self, input->member);
  lk_slice subject = input->subject;
  if (n != NULL && n->subject != NULL) subject = lk_slice_of(n->subject, n->subject_len);
  if (subject.len == 0) return LK_OK;
  attribution a = { self, subject };
  return lk_update_clients(self->env, LK_UPDATE_V1, update, attribute, &a);
}

/* ---- updates ---- */

/* What came of an update. */
typedef struct outcome {
  const char *reason; /* it was refused: why, in a word of ours */
  lk_err why;         /* and in one of errors.def */
  uint64_t ticket;    /* what must be durable before it is answered; 0: nothing */
} outcome;

static outcome refused(const char *reason, lk_err why) {
  return (outcome){ .reason = reason, .why = why };
}

/* It is in the document, now or from before, but perhaps not durable yet. */
static outcome known(const lk_room *self) {
  return (outcome){ .ticket = lk_doc_journal_ticket(&self->journal) };
}

/* Who is no member has nothing that could go on. */
static lk_err end_writing(lk_room *self, const lk_room_input *input, lk_err why, outcome *out) {
  note *n;
  if (why == LK_ERR_NOMEM) return why;
  *out = refused("replica_refused", why);
  if (input->kind == LK_ROOM_QUERY) return LK_OK;
  lk_err err = make_note(self, input->member, &n);
  if (err == LK_OK) n->is_refused = true;
  return err;
}

/* It must fit into one record of the journal, and into one message to an edge. */
static size_t update_bytes_max(const lk_limits *limits) {
  size_t most = lk_min_size(limits->log_record_bytes, limits->bus_frame_bytes);
  return most - lk_min_size(most, LK_DOC_JOURNAL_RECORD_MAX + 65536);
}

static lk_err tell_others(lk_room *self, const lk_room_input *input, lk_slice update) {
  bool is_member = input->kind != LK_ROOM_QUERY;
  return push(self, (lk_room_effect){ .kind = LK_ROOM_BROADCAST,
                                      .member = is_member ? input->member : 0,
                                      .event = LK_LIT("server_update"),
                                      .payload = update,
                                      .binary = true });
}

static lk_err apply_news(lk_room *self, const lk_room_input *input, lk_slice update, outcome *out) {
  uint32_t clients = lk_doc_clients_count(self->doc);
  const lk_doc_item item = { .kind = LK_DOC_ITEM_UPDATE, .bytes = update };
  if (update.len > update_bytes_max(self->limits))
    return end_writing(self, input, LK_ERR_TOO_BIG, out);
  lk_err err = lk_doc_apply(self->doc, LK_UPDATE_V1, update, 0);
  if (err != LK_OK) return end_writing(self, input, err, out);
  lk_doc_encoded_note(&self->encoded, update);
  err = note_item(self, &item);
  if (err == LK_OK && lk_doc_clients_count(self->doc) != clients)
    err = attribute_clients(self, input, update);
  if (err == LK_OK) err = tell_others(self, input, update);
  if (err == LK_OK) err = begin_journal(self);
  *out = known(self);
  return err;
}

/* An error is the room's end. */
static lk_err take_update(lk_room *self, const lk_room_input *input, lk_slice update,
                          outcome *out) {
  lk_news news = LK_NEWS_SOME;
  const note *n = find_note(self, input->member);
  lk_err err = wake(self, input);
  if (err != LK_OK) return err;
  err = lk_doc_news(self->doc, LK_UPDATE_V1, update, &news);
  if (err != LK_OK && err != LK_ERR_NOMEM && input->rights < LK_RIGHTS_WRITE) {
    *out = refused("read_only", err);
    return LK_OK;
  }
  if (err != LK_OK) return end_writing(self, input, err, out);
  if (input->rights < LK_RIGHTS_WRITE) {
    *out = news == LK_NEWS_SOME ? refused("read_only", LK_OK) : known(self);
    return LK_OK;
  }
  if (news == LK_NEWS_NONE) {
    LK_COVERED(doc_room_knows_an_update);
    *out = known(self);
    return LK_OK;
  }
  if (n != NULL && n->is_refused) {
    *out = refused("replica_refused", LK_OK);
    return LK_OK;
  }
  return apply_news(self, input, update, out);
}

static lk_err answer(lk_room *self, const lk_room_input *input, const outcome *o) {
  if (o->reason != NULL) return refuse(self, input, o->reason, o->why, LK_SLICE_EMPTY);
  if (lk_doc_journal_is_kept(&self->journal, o->ticket))
    return push(self, reply_ok(self, input->member, input->request));
  return lk_doc_journal_wait(&self->journal, o->ticket, input->member, input->request);
}

static lk_err on_client_update(lk_room *self, const lk_room_input *input) {
  lk_slice update;
  outcome o;
  lk_doc_payload in = { self->limits, &self->scratch, &self->bytes, LK_SLICE_EMPTY };
  lk_err err = lk_doc_payload_read(&in, input->payload, input->binary, &update);
  if (err != LK_OK) return refuse(self, input, NULL, err, in.field);
  err = take_update(self, input, update, &o);
  return err == LK_OK ? answer(self, input, &o) : err;
}

/* ---- awareness ---- */

static lk_err tell_awareness(lk_room *self, uint64_t now_ms) {
  lk_buf update;
  if (self->awareness == NULL) return LK_OK;
  lk_buf_init(&update, self->env->alloc, self->limits->awareness_bytes);
  lk_err err = lk_doc_awareness_tick(self->awareness, now_ms, &update);
  if (err == LK_OK && update.len > 0) {
    err = push_copy(self, (lk_room_effect){ .kind = LK_ROOM_BROADCAST,
                                            .event = LK_LIT("awareness"),
                                            .payload = lk_buf_slice(&update),
                                            .binary = true });
  }
  lk_buf_deinit(&update);
  return err;
}

static lk_err make_awareness(lk_room *self) {
  if (self->awareness != NULL) return LK_OK;
  self->awareness = lk_alloc_bytes(self->env->alloc, sizeof *self->awareness);
  if (self->awareness == NULL) return LK_ERR_NOMEM;
  lk_doc_awareness_init(self->awareness, self->env->alloc, self->limits, self->seed);
  return LK_OK;
}

static lk_err take_awareness(lk_room *self, const lk_room_input *input, lk_slice update,
                             outcome *out) {
  *out = (outcome){ 0 };
  lk_err err = make_awareness(self);
  if (err == LK_OK)
    err = lk_doc_awareness_take(self->awareness, input->member, update, input->now_ms);
  if (err != LK_OK && err != LK_ERR_NOMEM) {
    *out = refused("awareness", err);
    return LK_OK;
  }
  return err == LK_OK ? tell_awareness(self, input->now_ms) : err;
}

static lk_err push_awareness(lk_room *self, uint64_t member) {
  lk_buf update;
  if (self->awareness == NULL) return LK_OK;
  lk_buf_init(&update, self->env->alloc, self->limits->awareness_bytes);
  lk_err err = lk_doc_awareness_encode(self->awareness, &update);
  if (err == LK_OK && update.len > 0)
    err = push_bytes(self, member, LK_LIT("awareness"), lk_buf_slice(&update), LK_DIALECT_PLAIN);
  lk_buf_deinit(&update);
  return err;
}

static lk_err on_awareness(lk_room *self, const lk_room_input *input) {
  lk_slice update;
  outcome o;
  lk_doc_payload in = { self->limits, &self->scratch, &self->bytes, LK_SLICE_EMPTY };
  lk_err err = lk_doc_payload_read(&in, input->payload, input->binary, &update);
  if (err != LK_OK) return refuse(self, input, NULL, err, in.field);
  err = take_awareness(self, input, update, &o);
  return err == LK_OK ? answer(self, input, &o) : err;
}

/* ---- y-protocols' messages ---- */

static lk_err push_y(lk_room *self, uint64_t member, lk_y_kind kind, lk_slice body) {
  lk_buf message;
  lk_buf_init(&message, self->env->alloc, SIZE_MAX / 4);
  lk_err err = lk_y_message_encode(kind, body, &message);
  if (err == LK_OK)
    err = push_bytes(self, member, LK_LIT("yjs"), lk_buf_slice(&message), LK_DIALECT_YJS);
  lk_buf_deinit(&message);
  return err;
}

/* Our state vector, so that the member sends what we lack. */
static lk_err ask_for_rest(lk_room *self, const lk_room_input *input) {
  note *n;
  lk_buf vector;
  lk_err err = make_note(self, input->member, &n);
  if (err != LK_OK || n->was_asked) return err;
  n->was_asked = true;
  if ((err = wake(self, input)) != LK_OK) return err;
  lk_buf_init(&vector, self->env->alloc, self->limits->doc_update_bytes);
  err = lk_doc_state_vector(self->doc, &vector);
  if (err == LK_OK) err = push_y(self, input->member, LK_Y_SYNC_STEP1, lk_buf_slice(&vector));
  lk_buf_deinit(&vector);
  return err;
}

/* Who has nothing gets what is encoded for all. */
static lk_err send_all(lk_room *self, uint64_t member) {
  static const uint8_t nothing[] = { 0, 0 };
  lk_doc_encoded_walk walk;
  lk_slice update = lk_slice_of(nothing, sizeof nothing);
  lk_err err = lk_doc_encoded_begin(&self->encoded, &walk);
  lk_y_kind kind = LK_Y_SYNC_STEP2;
  while (err == LK_OK && (lk_doc_encoded_next(&walk, &update) || kind == LK_Y_SYNC_STEP2)) {
    err = push_y(self, member, kind, update);
    kind = LK_Y_UPDATE;
  }
  return err;
}

static lk_err send_missing(lk_room *self, uint64_t member, lk_slice vector) {
  lk_buf update;
  lk_buf_init(&update, self->env->alloc, self->limits->doc_update_bytes);
  lk_err err = lk_doc_encode(self->doc, LK_UPDATE_V1, vector, &update);
  if (err == LK_OK) err = push_y(self, member, LK_Y_SYNC_STEP2, lk_buf_slice(&update));
  lk_buf_deinit(&update);
  return err;
}

/* What the member lacks, and the question for what we lack. */
static lk_err answer_step1(lk_room *self, const lk_room_input *input, lk_slice vector,
                           outcome *out) {
  bool has_nothing = vector.len == 1 && vector.ptr[0] == 0;
  lk_err err = wake(self, input);
  if (err == LK_OK)
    err = has_nothing ? send_all(self, input->member) : send_missing(self, input->member, vector);
  if (err != LK_OK && err != LK_ERR_NOMEM) {
    *out = refused("state_vector", err);
    return LK_OK;
  }
  return err == LK_OK ? ask_for_rest(self, input) : err;
}

static lk_err take_y_message(lk_room *self, const lk_room_input *input, const lk_y_message *m,
                             outcome *out) {
  switch (m->kind) {
  case LK_Y_SYNC_STEP1: return answer_step1(self, input, m->body, out);
  case LK_Y_SYNC_STEP2:
  case LK_Y_UPDATE: return take_update(self, input, m->body, out);
  case LK_Y_AWARENESS: return take_awareness(self, input, m->body, out);
  case LK_Y_QUERY_AWARENESS: return push_awareness(self, input->member);
  case LK_Y_AUTH_DENIED:
  case LK_Y_KINDS: break; /* nothing that a client has to say */
  }
  return LK_OK;
}

/* y-protocols has no replies: who was refused is told in its own words, once. */
static lk_err tell_denied(lk_room *self, const lk_room_input *input, const outcome *o) {
  lk_slice reason = lk_slice_cstr(o->reason);
  if (input->kind == LK_ROOM_QUERY) return LK_OK;
  return push_y(self, input->member, LK_Y_AUTH_DENIED, reason);
}

/* Several may stand one behind the other. The answer is to the last one that was refused, or waits for all. */
static lk_err on_yjs(lk_room *self, const lk_room_input *input) {
  lk_slice bytes;
  outcome all = { 0 };
  lk_doc_payload payload = { self->limits, &self->scratch, &self->bytes, LK_SLICE_EMPTY };
  lk_err err = lk_doc_payload_read(&payload, input->payload, input->binary, &bytes);
  if (err != LK_OK) return refuse(self, input, NULL, err, payload.field);
  for (lk_reader in = lk_reader_of(bytes); lk_reader_left(&in) > 0;) {
    lk_y_message m;
    outcome o = { 0 };
    err = lk_y_message_decode(&in, &m);
    if (err != LK_OK) return refuse(self, input, NULL, err, LK_SLICE_EMPTY);
    if ((err = take_y_message(self, input, &m, &o)) != LK_OK) return err;
    if (o.reason != NULL) all = o;
    else if (all.reason == NULL) all.ticket = lk_max_u64(all.ticket, o.ticket);
  }
  if (all.reason != NULL && (err = tell_denied(self, input, &all)) != LK_OK) return err;
  return answer(self, input, &all);
}

/* The first word of a provider that named no dialect when it joined: what others show it was told in words that it does not
 * read. */
static lk_err on_yjs_sync(lk_room *self, const lk_room_input *input) {
  lk_err err = on_yjs(self, input);
  return err == LK_OK ? push_awareness(self, input->member) : err;
}

/* ---- joins ---- */

/* |bytes| as the encoding has it, in an answer, which is JSON. */
static void write_bytes(lk_buf *out, lk_slice bytes, lk_message_dialect dialect) {
  if (dialect == LK_DIALECT_ARRAY) {
    (void)lk_json_append_bytes(out, bytes);
    return;
  }
  (void)lk_buf_append(out, LK_LIT("\""));
  (void)lk_base64_encode(out, bytes, LK_BASE64_FORM_STANDARD);
  (void)lk_buf_append(out, LK_LIT("\""));
}

/* Begins to walk over the updates that together are what |wish| asks for. |rest| is for what was made for that. */
static lk_err begin_history(lk_room *self, const lk_doc_wish *wish, lk_buf *rest,
                            lk_doc_encoded_walk *walk) {
  lk_buf_init(rest, self->env->alloc, self->limits->doc_update_bytes);
  if (!wish->has_vector) return lk_doc_encoded_begin(&self->encoded, walk);
  lk_err err = lk_doc_encode(self->doc, LK_UPDATE_V1, wish->vector, rest);
  *walk = (lk_doc_encoded_walk){ .whole = lk_buf_slice(rest) };
  if (lk_doc_update_is_empty(walk->whole)) walk->whole = LK_SLICE_EMPTY;
  return err;
}

static lk_err write_history(lk_room *self, const lk_doc_wish *wish) {
  lk_buf rest;
  lk_slice update;
  lk_doc_encoded_walk walk;
  lk_err err = begin_history(self, wish, &rest, &walk);
  for (bool is_first = true; err == LK_OK && lk_doc_encoded_next(&walk, &update);
       is_first = false) {
    if (!is_first) (void)lk_buf_append(&self->text, LK_LIT(","));
    write_bytes(&self->text, update, wish->dialect);
    err = lk_buf_err(&self->text);
  }
  lk_buf_deinit(&rest);
  return err;
}

static lk_err push_history(lk_room *self, uint64_t member, const lk_doc_wish *wish) {
  lk_buf rest;
  lk_slice update;
  lk_doc_encoded_walk walk;
  lk_err err = begin_history(self, wish, &rest, &walk);
  while (err == LK_OK && lk_doc_encoded_next(&walk, &update))
    err = push_bytes(self, member, LK_LIT("server_update"), update, LK_DIALECT_PLAIN);
  lk_buf_deinit(&rest);
  return err;
}

static void write_generation(const lk_room *self, lk_buf *out) {
  uint8_t bytes[8], digits[GENERATION_LEN];
  lk_store_be64(bytes, self->generation);
  lk_hex_store(digits, lk_slice_of(bytes, sizeof bytes));
  (void)lk_buf_append(out, LK_LIT("\"generation\":\""));
  (void)lk_buf_append(out, lk_slice_of(digits, sizeof digits));
  (void)lk_buf_append(out, LK_LIT("\""));
}

/* Who reads binary frames gets the history in some. */
static bool is_pushed(const lk_doc_wish *wish) {
  return wish->dialect == LK_DIALECT_PLAIN || wish->dialect == LK_DIALECT_YJS;
}

/* {"history":[...],"state_vector":... without its end. */
static lk_err write_state(lk_room *self, const lk_doc_wish *wish) {
  lk_buf *out = &self->text, vector;
  lk_buf_truncate(out, 0);
  (void)lk_buf_append(out, LK_LIT("{\"history\":["));
  lk_err err = is_pushed(wish) ? LK_OK : write_history(self, wish);
  (void)lk_buf_append(out, LK_LIT("],\"state_vector\":"));
  lk_buf_init(&vector, self->env->alloc, self->limits->doc_update_bytes);
  if (err == LK_OK) err = lk_doc_state_vector(self->doc, &vector);
  if (err == LK_OK) write_bytes(out, lk_buf_slice(&vector), wish->dialect);
  lk_buf_deinit(&vector);
  return err == LK_OK ? lk_buf_err(out) : err;
}

static lk_slice access_name(lk_rights rights) {
  if (rights < LK_RIGHTS_WRITE) return LK_LIT("read");
  return rights == LK_RIGHTS_WRITE ? LK_LIT("write") : LK_LIT("admin");
}

static lk_slice encoding_name(lk_message_dialect dialect) {
  if (dialect == LK_DIALECT_ARRAY) return LK_LIT("array");
  return dialect == LK_DIALECT_BASE64 ? LK_LIT("base64") : LK_LIT("binary");
}

static lk_err write_join(lk_room *self, const lk_room_input *input, const lk_doc_wish *wish) {
  lk_buf *out = &self->text;
  lk_err err = write_state(self, wish);
  if (err != LK_OK) return err;
  (void)lk_buf_append(out, LK_LIT(","));
  write_generation(self, out);
  (void)lk_buf_append(out, LK_LIT(",\"access\":\""));
  (void)lk_buf_append(out, access_name(input->rights));
  (void)lk_buf_append(out, LK_LIT("\",\"durability\":\""));
  (void)lk_buf_append(out, self->level);
  (void)lk_buf_append(out, LK_LIT("\",\"profile\":\""));
  (void)lk_buf_append(out, lk_profile_name(input->profile));
  (void)lk_buf_append(out, LK_LIT("\",\"encoding\":\""));
  (void)lk_buf_append(out, encoding_name(wish->dialect));
  return lk_buf_append(out, LK_LIT("\"}"));
}

static bool is_own_generation(const lk_room *self, lk_slice text) {
  uint8_t bytes[8], digits[GENERATION_LEN];
  lk_store_be64(bytes, self->generation);
  lk_hex_store(digits, lk_slice_of(bytes, sizeof bytes));
  return lk_slice_equal(text, lk_slice_of(digits, sizeof digits));
}

/* Whether something that the client has is here, too. Then it is of this document, whatever it was told: a room that dies
 * before its first record is kept begins again with another generation, and members who were in it stay. */
static lk_err shares_content(lk_room *self, const lk_room_input *input, lk_slice vector,
                             bool *out) {
  uint64_t count = 0, client, clock;
  lk_reader in = lk_reader_of(vector);
  *out = false;
  lk_err err = wake(self, input);
  if (err == LK_OK) err = lk_varuint_decode(&in, UINT32_MAX, &count);
  for (; err == LK_OK && !*out && count > 0; count--) {
    err = lk_varuint_decode(&in, UINT64_MAX, &client);
    if (err == LK_OK) err = lk_varuint_decode(&in, UINT64_MAX, &clock);
    if (err == LK_OK && client >= ALIKE_CLIENTS)
      *out = clock > 0 && lk_doc_clock_of(self->doc, client) > 0;
  }
  return err == LK_ERR_NOMEM ? err
                             : LK_OK; /* what is wrong with it is told by who encodes beyond it */
}

/* The client has content of another document: to merge the two would give text that nobody wrote. */
static lk_err refuse_diverged(lk_room *self, const lk_room_input *input) {
  lk_buf_truncate(&self->text, 0);
  (void)lk_buf_append(&self->text, LK_LIT("{\"reason\":\"diverged\","));
  write_generation(self, &self->text);
  lk_err err = lk_buf_append(
      &self->text,
      LK_LIT(",\"message\":\"this document began again, keep your content as a copy\"}"));
  if (err != LK_OK) return err;
  return push(self, (lk_room_effect){ .kind = LK_ROOM_REFUSE,
                                      .member = input->member,
                                      .request = input->request,
                                      .payload = lk_buf_slice(&self->text) });
}

static lk_err accept(lk_room *self, const lk_room_input *input, lk_slice payload,
                     lk_message_dialect dialect) {
  lk_err err = note_subject(self, input->member, input->subject);
  if (err != LK_OK) return err;
  return push(self, (lk_room_effect){ .kind = LK_ROOM_ACCEPT,
                                      .member = input->member,
                                      .request = input->request,
                                      .payload = payload,
                                      .dialect = dialect });
}

static lk_err join_y(lk_room *self, const lk_room_input *input) {
  lk_err err = accept(self, input, LK_LIT("{}"), LK_DIALECT_YJS);
  if (err == LK_OK) err = ask_for_rest(self, input);
  return err == LK_OK ? push_awareness(self, input->member) : err;
}

/* To a member that just came and reads HTML all of it; to those who are in what changed. */
static lk_err tell_page(lk_room *self, const lk_room_input *input) {
  bool is_join = input->kind == LK_ROOM_JOIN;
  lk_buf page;
  lk_err err = wake(self, input);
  if (err == LK_OK && self->rendered == NULL) {
    self->rendered = lk_alloc_bytes(self->env->alloc, sizeof *self->rendered);
    if (self->rendered == NULL) return LK_ERR_NOMEM;
    lk_doc_rendered_init(self->rendered, self->env->alloc, self->seed);
  }
  if (err != LK_OK) return err;
  lk_buf_init(&page, self->env->alloc, self->limits->bus_frame_bytes);
  err = lk_doc_rendered_write(self->rendered, self->doc, is_join, &page);
  if (err == LK_OK && page.len > 0) {
    err = push_copy(self, (lk_room_effect){ .kind = is_join ? LK_ROOM_PUSH : LK_ROOM_BROADCAST,
                                            .member = is_join ? input->member : 0,
                                            .event = LK_LIT("render"),
                                            .payload = lk_buf_slice(&page),
                                            .profiles = lk_profile_only(LK_PROFILE_MINIMAL) });
  }
  lk_buf_deinit(&page);
  return err == LK_ERR_LIMIT ? LK_OK : err; /* too long for a message: it is not told */
}

static lk_err on_join(lk_room *self, const lk_room_input *input) {
  lk_doc_wish wish;
  lk_doc_payload in = { self->limits, &self->scratch, &self->bytes, LK_SLICE_EMPTY };
  lk_err err = lk_doc_payload_wish(&in, input->payload, &wish);
  if (err != LK_OK) return refuse(self, input, NULL, err, in.field);
  if (wish.generation.len > 0 && !is_own_generation(self, wish.generation) &&
      !lk_doc_encoded_is_empty(&self->encoded)) {
    bool is_own = false;
    if (wish.has_vector && (err = shares_content(self, input, wish.vector, &is_own)) != LK_OK)
      return err;
    if (!is_own) return refuse_diverged(self, input);
  }
  if (wish.dialect == LK_DIALECT_YJS) return join_y(self, input);
  if ((err = wake(self, input)) != LK_OK) return err;
  err = write_join(self, input, &wish);
  if (err != LK_OK && err != LK_ERR_NOMEM)
    return refuse(self, input, NULL, err,
                  wish.has_vector ? LK_LIT("state_vector") : LK_SLICE_EMPTY);
  if (err == LK_OK) err = accept(self, input, lk_buf_slice(&self->text), wish.dialect);
  if (err == LK_OK && is_pushed(&wish)) err = push_history(self, input->member, &wish);
  if (err == LK_OK && input->profile == LK_PROFILE_MINIMAL) err = tell_page(self, input);
  return err == LK_OK ? push_awareness(self, input->member) : err;
}

/* What a join would say, for a member that wants to be sure. */
static lk_err on_sync(lk_room *self, const lk_room_input *input) {
  lk_doc_wish wish;
  lk_doc_payload in = { self->limits, &self->scratch, &self->bytes, LK_SLICE_EMPTY };
  lk_err err = lk_doc_payload_wish(&in, input->payload, &wish);
  if (err != LK_OK) return refuse(self, input, NULL, err, in.field);
  if ((err = wake(self, input)) != LK_OK) return err;
  err = write_state(self, &wish);
  if (err == LK_OK) err = lk_buf_append(&self->text, LK_LIT("}"));
  if (err == LK_ERR_NOMEM) return err;
  if (err != LK_OK) return refuse(self, input, NULL, err, LK_LIT("state_vector"));
  if (is_pushed(&wish)) err = push_history(self, input->member, &wish);
  if (err != LK_OK) return err;
  return push(self, (lk_room_effect){ .kind = LK_ROOM_REPLY,
                                      .member = input->member,
                                      .request = input->request,
                                      .ok = true,
                                      .payload = lk_buf_slice(&self->text) });
}

/* It was in before the room died, and may have missed what was passed on just then: nobody knows what, so it gets all. What
 * it showed is lost with the room: it is asked for that, in y-protocols' words, or by an awareness update of nobody. */
static lk_err on_restore(lk_room *self, const lk_room_input *input) {
  static const uint8_t query[] = { 3 }, nobody[] = { 0 };
  lk_doc_wish wish = { 0 };
  lk_err err = note_subject(self, input->member, input->subject);
  if (err == LK_OK) err = push_history(self, input->member, &wish);
  if (err != LK_OK) return err;
  if (lk_slice_find(input->payload, LK_LIT("\"dialect\"")) == LK_SLICE_NONE)
    return push_bytes(self, input->member, LK_LIT("awareness"), lk_slice_of(nobody, sizeof nobody),
                      LK_DIALECT_PLAIN);
  return push_bytes(self, input->member, LK_LIT("yjs"), lk_slice_of(query, sizeof query),
                    LK_DIALECT_YJS);
}

static lk_err on_leave(lk_room *self, const lk_room_input *input) {
  forget_note(self, input->member);
  if (self->awareness == NULL) return LK_OK;
  lk_err err = lk_doc_awareness_leave(self->awareness, input->member, input->now_ms);
  return err == LK_OK ? tell_awareness(self, input->now_ms) : err;
}

/* ---- snapshots ---- */

static lk_err append_writers(lk_room *self, lk_buf *out) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  lk_err err = LK_OK;
  while (err == LK_OK && lk_map_next(&self->writers, &cursor, &key, &value)) {
    const lk_doc_item item = { LK_DOC_ITEM_WRITER, lk_load_le64(key.ptr), *(lk_slice *)value };
    err = lk_doc_record_append(out, &item);
  }
  return err;
}

static lk_err on_snapshot(lk_room *self) {
  lk_doc_item update = { .kind = LK_DOC_ITEM_UPDATE };
  const lk_doc_item generation = { .kind = LK_DOC_ITEM_GENERATION, .number = self->generation };
  lk_buf *out = &self->text;
  lk_err err = lk_doc_encoded_whole(&self->encoded, &update.bytes);
  lk_buf_truncate(out, 0);
  if (err == LK_OK) err = lk_doc_record_begin(out);
  if (err == LK_OK) err = lk_doc_record_append(out, &generation);
  if (err == LK_OK) err = append_writers(self, out);
  if (err == LK_OK) err = lk_doc_record_append(out, &update);
  if (err != LK_OK) return err;
  return push(self,
              (lk_room_effect){ .kind = LK_ROOM_SNAPSHOT_DONE, .payload = lk_buf_slice(out) });
}

/* ---- inputs ---- */

static lk_err on_read(lk_room *self, const lk_room_input *input) {
  lk_doc_reading reading;
  lk_err err = wake(self, input);
  lk_buf_truncate(&self->text, 0);
  if (err == LK_OK)
    err = lk_doc_query_read(self->doc, self->limits, &self->scratch, input->payload, &self->text,
                            &reading);
  if (err != LK_OK) return err;
  return push(self, (lk_room_effect){ .kind = LK_ROOM_REPLY,
                                      .member = input->member,
                                      .request = input->request,
                                      .ok = reading.ok,
                                      .binary = reading.binary,
                                      .payload = lk_buf_slice(&self->text) });
}

static lk_err on_message(lk_room *self, const lk_room_input *input) {
  static const struct {
    lk_slice event;
    lk_err (*run)(lk_room *, const lk_room_input *);
  } rules[] = {
    { LK_LIT_INIT("client_update"), on_client_update },
    { LK_LIT_INIT("yjs"), on_yjs },
    { LK_LIT_INIT("yjs_sync"), on_yjs_sync },
    { LK_LIT_INIT("awareness"), on_awareness },
    { LK_LIT_INIT("sync"), on_sync },
    { LK_LIT_INIT("read"), on_read },
  };
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    if (lk_slice_equal(rules[i].event, input->event)) return rules[i].run(self, input);
  }
  return refuse(self, input, NULL, LK_ERR_UNKNOWN_EVENT, LK_SLICE_EMPTY);
}

/* Whatever was ever written is in a record that says which document this is. */
static lk_err on_create(lk_room *self, const lk_room_input *input) {
  if (self->generation_is_kept && !input->applied)
    return refuse(self, input, NULL, LK_ERR_EXISTS, LK_LIT("topic"));
  return on_client_update(self, input);
}

/* Who is in no room can ask what it says, and add to it. */
static lk_err on_query(lk_room *self, const lk_room_input *input) {
  if (lk_slice_equal(input->event, LK_LIT("create"))) return on_create(self, input);
  if (lk_slice_equal(input->event, LK_LIT("client_update"))) return on_client_update(self, input);
  if (lk_slice_equal(input->event, LK_LIT("read"))) return on_read(self, input);
  return refuse(self, input, NULL, LK_ERR_UNKNOWN_EVENT, LK_SLICE_EMPTY);
}

static lk_err on_tick(lk_room *self, const lk_room_input *input) {
  self->timer_at = NEVER;
  if (sleep_at(self) <= input->now_ms) fall_asleep(self);
  return tell_awareness(self, input->now_ms);
}

static lk_err run(lk_room *self, const lk_room_input *input) {
  switch (input->kind) {
  case LK_ROOM_JOIN: return on_join(self, input);
  case LK_ROOM_RESTORE: return on_restore(self, input);
  case LK_ROOM_MESSAGE: return on_message(self, input);
  case LK_ROOM_QUERY: return on_query(self, input);
  case LK_ROOM_JOURNALED: return on_journaled(self, input);
  case LK_ROOM_SNAPSHOT: return on_snapshot(self);
  case LK_ROOM_LEAVE: return on_leave(self, input);
  case LK_ROOM_TICK: return on_tick(self, input);
  case LK_ROOM_RENDER: return tell_page(self, input);
  }
  LK_UNREACHABLE();
}

static void shrink(lk_room *self, lk_buf *buf) {
  if (buf->cap > BUF_KEPT) empty(self, buf);
}

lk_err lk_doc_room_step(lk_room *self, const lk_room_input *input) {
  lk_arena_reset(&self->scratch);
  shrink(self, &self->bytes);
  shrink(self, &self->text);
  lk_err err = run(self, input);
  return err == LK_OK ? arm_timer(self) : err;
}

/* Who waited is answered last, one for each poll. */
static bool poll(lk_room *self, lk_room_effect *out) {
  lk_doc_waiter waiter;
  if (lk_effects_poll(&self->effects, out)) return true;
  if (!lk_doc_journal_poll(&self->journal, &waiter)) return false;
  *out = reply_ok(self, waiter.member, waiter.request);
  return true;
}

/* ---- life ---- */

static void free_writers(lk_room *self) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  while (lk_map_next(&self->writers, &cursor, &key, &value)) {
    const lk_slice *subject = value;
    lk_free_bytes(self->env->alloc, (void *)(uintptr_t)subject->ptr, subject->len);
  }
  lk_map_deinit(&self->writers);
}

static void free_notes(lk_room *self) {
  uint32_t cursor = 0;
  lk_slice key;
  void *value;
  while (lk_map_next(&self->notes, &cursor, &key, &value)) {
    const note *n = value;
    lk_free_bytes(self->env->alloc, n->subject, n->subject_len);
  }
  lk_map_deinit(&self->notes);
}

static void close_room(lk_room *self) {
  const lk_alloc *alloc = self->env->alloc;
  lk_doc_journal_deinit(&self->journal);
  lk_doc_encoded_deinit(&self->encoded);
  lk_doc_close(self->doc);
  lk_effects_deinit(&self->effects);
  lk_arena_deinit(&self->scratch);
  lk_buf_deinit(&self->bytes);
  lk_buf_deinit(&self->text);
  free_notes(self);
  free_writers(self);
  if (self->awareness != NULL) {
    lk_doc_awareness_deinit(self->awareness);
    lk_free_bytes(alloc, self->awareness, sizeof *self->awareness);
  }
  if (self->rendered != NULL) {
    lk_doc_rendered_deinit(self->rendered);
    lk_free_bytes(alloc, self->rendered, sizeof *self->rendered);
  }
  lk_free_bytes(alloc, self, sizeof *self);
}

static lk_err recover_item(lk_room *self, const lk_doc_item *item) {
  bool is_new;
  switch (item->kind) {
  case LK_DOC_ITEM_UPDATE: return lk_doc_load(self->doc, LK_UPDATE_V1, item->bytes, 0);
  case LK_DOC_ITEM_GENERATION:
    self->generation = item->number;
    self->generation_is_kept = true;
    return LK_OK;
  case LK_DOC_ITEM_WRITER: return add_writer(self, item->number, item->bytes, &is_new);
  }
  LK_UNREACHABLE();
}

static lk_err recover(lk_room *self, lk_slice bytes) {
  lk_reader in;
  lk_doc_item item;
  lk_err err = lk_doc_record_open(bytes, &in);
  if (err != LK_OK) return err;
  while ((err = lk_doc_record_next(&in, &item)) == LK_OK) {
    if ((err = recover_item(self, &item)) != LK_OK) return err;
  }
  return err == LK_ERR_END ? LK_OK : err;
}

static lk_err recover_all(lk_room *self, const lk_room_options *options) {
  lk_err err = options->recovered.len > 0 ? recover(self, options->recovered) : LK_OK;
  for (size_t i = 0; err == LK_OK && i < options->records_count; i++)
    err = recover(self, options->records[i]);
  return err;
}

/* Clients are told the generation, and must not guess the seeds from it: so all of them come from one hash, from which
 * no way leads back. */
static lk_err make_doc(lk_room *self, const lk_room_options *options) {
  uint8_t bytes[8], digest[LK_SHA256_LEN];
  lk_sha256 hash;
  lk_store_le64(bytes, options->entropy);
  lk_sha256_init(&hash);
  lk_sha256_update(&hash, LK_LIT("document"));
  lk_sha256_update(&hash, lk_slice_of(bytes, sizeof bytes));
  lk_sha256_final(&hash, digest);
  self->generation = lk_load_le64(digest);
  self->doc_client = lk_load_le64(digest + 8) >> 11;
  self->seed[0] = lk_load_le64(digest + 16);
  self->seed[1] = lk_load_le64(digest + 24);
  lk_map_init(&self->notes, self->env->alloc, sizeof(note), UINT32_MAX / 4, self->seed);
  lk_map_init(&self->writers, self->env->alloc, sizeof(lk_slice), self->limits->doc_clients_count,
              self->seed);
  lk_doc_encoded_init(&self->encoded, self->env->alloc, self->limits->doc_update_bytes);
  return open_doc(self);
}

static lk_err open_room(const lk_room_options *options, lk_room **out) {
  const lk_alloc *alloc = options->env->alloc;
  lk_room *self = lk_alloc_bytes(alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_room){
    .env = options->env, .limits = options->limits, .level = options->level, .timer_at = NEVER
  };
  lk_effects_init(&self->effects, alloc, options->limits);
  lk_arena_init(&self->scratch, alloc, SCRATCH_MAX);
  lk_buf_init(&self->bytes, alloc, options->limits->doc_update_bytes);
  lk_buf_init(&self->text, alloc, SIZE_MAX / 4);
  lk_doc_journal_init(&self->journal, alloc);
  lk_err err = make_doc(self, options);
  if (err == LK_OK) err = recover_all(self, options);
  if (err != LK_OK) {
    close_room(self);
    return err;
  }
  *out = self;
  return LK_OK;
}

/* One awareness update of several: entries one behind the other, so that the later one counts. */
static lk_err merge_awareness(const lk_slice *updates, size_t count, lk_buf *out) {
  uint64_t entries = 0, n;
  lk_err err = LK_OK;
  for (size_t i = 0; err == LK_OK && i < count; i++) {
    lk_reader in = lk_reader_of(updates[i]);
    err = lk_varuint_decode(&in, UINT32_MAX, &n);
    entries += err == LK_OK ? n : 0;
  }
  if (err == LK_OK) err = lk_varuint_encode(out, entries);
  for (size_t i = 0; err == LK_OK && i < count; i++) {
    lk_reader in = lk_reader_of(updates[i]);
    err = lk_varuint_decode(&in, UINT32_MAX, &n);
    if (err == LK_OK) err = lk_buf_append(out, lk_reader_rest(&in));
  }
  return err;
}

static lk_err merge(const lk_env *env, lk_slice event, const lk_slice *payloads, size_t count,
                    lk_buf *out) {
  if (lk_slice_equal(event, LK_LIT("server_update")))
    return lk_update_compact(env, LK_UPDATE_V1, payloads, count, out);
  if (lk_slice_equal(event, LK_LIT("awareness"))) return merge_awareness(payloads, count, out);
  return LK_ERR_UNSUPPORTED;
}

const lk_room_kind lk_doc_room_kind = {
  .size = sizeof(lk_room_kind),
  .name = "doc",
  .open = open_room,
  .close = close_room,
  .step = lk_doc_room_step,
  .poll = poll,
  .is_kept = true,
  .has_cursors = true,
  .renders = true,
  .merge = merge,
};
