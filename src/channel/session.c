/* channel/session.c -- the table of Phoenix.Socket, as a machine.
 *
 * For each topic there is either nothing or one record: the number of the joining, its join_ref,
 * and whether the room has accepted it. What a message does:
 *
 *   message          topic unknown                        topic known
 *   phx_join         new record, JOIN; beyond the limit   old one LEAVE, new record, JOIN; when that is
 *                    reply "too many channels joined"     answered: reply first, then phx_close
 *                                                         with the old join_ref
 *   phx_leave        reply ok                             stale: nothing; else reply ok, phx_close, LEAVE
 *   other            reply "unmatched topic", whose       stale: nothing; one that only a server
 *                    join_ref is null                     says: reply "reserved event"; else MESSAGE
 *
 *   on the topic phoenix: heartbeat: reply ok; access_token: TOKEN
 *
 * A connection of one document (LK_MESSAGE_Y) has a single record and none of these messages: its peer knows no
 * topics, joins, references or replies.
 *
 * Stale means that the message names a join_ref and it is not the record's. A joining that was replaced before the
 * room answered hands the old join_ref on to the one that replaced it.
 *
 * Ten thousand connections idle, most of them in one topic. So a session keeps nothing but its records, and a record
 * is one block of just the size that its names need:
 *
 *   record := prev next | tag | number | hash | lengths flags | topic join_ref [the join_ref that it replaces]
 *
 * They hang in a list in order of joining. A few are found by looking at each; from LIST_MAX on there is a table of
 * pointers, half empty at least, with linear probing and a keyed hash, since strangers choose the topics. It
 * shrinks again, and goes when a few are left.
 *
 * Always: a record exists from the JOIN event until the LEAVE event or the refusal; channel
 * numbers only grow, so that an answer to a joining that is gone can be told from one that is not; where there is
 * a table, all records are in it. */
#include "channel/session.h"

#include "base/map.h"
#include "channel/y_sync.h"
#include "codec/json_reader.h"
#include "codec/utf.h"

#define LIST_MAX 8       /* records without a table */
#define TABLE_CAP_MIN 32 /* for LIST_MAX + 1 records and some more */

enum {
  ACCEPTED = 1,
  HAS_REF = 2,     /* the join_ref is not null */
  REPLACES = 4,    /* a phx_close is due after the answer, with the old join_ref */
  HAS_OLD_REF = 8, /* which is not null */
};

struct lk_session_channel {
  lk_session_channel *prev;
  lk_session_channel *next;
  uint64_t tag;
  uint32_t number;
  uint32_t hash; /* while there is a table */
  uint8_t topic_len;
  uint8_t ref_len;
  uint8_t old_ref_len;
  uint8_t flags;
  uint8_t names[];
};

typedef lk_session_channel channel;

/* ---- records ---- */

/* Not less than the struct, which is written whole and has room for a few bytes at its end. */
static size_t size_for(size_t names_len) {
  return lk_max_size(sizeof(channel), offsetof(channel, names) + names_len);
}

static size_t channel_size(const channel *c) {
  return size_for((size_t)c->topic_len + c->ref_len + c->old_ref_len);
}

static lk_slice topic_of(const channel *c) { return lk_slice_of(c->names, c->topic_len); }

static lk_slice ref_of(const channel *c) {
  if ((c->flags & HAS_REF) == 0) return LK_SLICE_EMPTY;
  return lk_slice_of(c->names + c->topic_len, c->ref_len);
}

static lk_slice old_ref_of(const channel *c) {
  if ((c->flags & HAS_OLD_REF) == 0) return LK_SLICE_EMPTY;
  return lk_slice_of(c->names + c->topic_len + c->ref_len, c->old_ref_len);
}

static void free_channel(const lk_alloc *alloc, channel *c) {
  lk_free_bytes(alloc, c, channel_size(c));
}

/* Behind the answer to a new joining follows the phx_close of the one that the room had accepted: |old|, or
 * the one that |old| was to replace. */
static bool is_closed_later(const channel *old, lk_slice *ref) {
  if (old == NULL) return false;
  *ref = (old->flags & ACCEPTED) != 0 ? ref_of(old) : old_ref_of(old);
  return (old->flags & (ACCEPTED | REPLACES)) != 0;
}

/* NULL where memory is out. Names have at most 255 bytes, by the decoder. */
static channel *make_channel(const lk_alloc *alloc, const lk_message *m, const channel *old) {
  lk_slice old_ref = LK_SLICE_EMPTY;
  uint8_t flags = m->join_ref.ptr != NULL ? HAS_REF : 0;
  if (is_closed_later(old, &old_ref)) flags |= REPLACES;
  else old_ref = LK_SLICE_EMPTY;
  if (old_ref.ptr != NULL) flags |= HAS_OLD_REF;
  const lk_slice names[] = { m->topic, m->join_ref, old_ref };
  LK_ASSERT(m->topic.len <= UINT8_MAX && m->join_ref.len <= UINT8_MAX);
  channel *c = lk_alloc_bytes(alloc, size_for(m->topic.len + m->join_ref.len + old_ref.len));
  if (c == NULL) return NULL;
  *c = (channel){ .topic_len = (uint8_t)m->topic.len,
                  .ref_len = (uint8_t)m->join_ref.len,
                  .old_ref_len = (uint8_t)old_ref.len,
                  .flags = flags };
  uint8_t *at = c->names;
  for (size_t i = 0; i < 3; i++) {
    if (names[i].len > 0) memcpy(at, names[i].ptr, names[i].len);
    at += names[i].len;
  }
  return c;
}

static bool is_stale(const channel *c, const lk_message *m) {
  return m->join_ref.ptr != NULL &&
         !((c->flags & HAS_REF) != 0 && lk_slice_equal(ref_of(c), m->join_ref));
}

/* ---- the list ---- */

static void link_last(lk_session *self, channel *c) {
  c->prev = self->last;
  c->next = NULL;
  if (self->last == NULL) self->first = c;
  else self->last->next = c;
  self->last = c;
}

static void unlink_channel(lk_session *self, channel *c) {
  if (c->prev == NULL) self->first = c->next;
  else c->prev->next = c->next;
  if (c->next == NULL) self->last = c->prev;
  else c->next->prev = c->prev;
}

/* ---- the table ---- */

static uint32_t hash_of(const lk_session_io *io, lk_slice topic) {
  return (uint32_t)lk_siphash13(io->hash_seed, topic);
}

static void table_put(channel **table, uint32_t cap, channel *c) {
  uint32_t at = c->hash & (cap - 1);
  while (table[at] != NULL) at = (at + 1) & (cap - 1);
  table[at] = c;
}

/* Where |c| stands. */
static uint32_t table_place(const lk_session *self, const channel *c) {
  uint32_t at = c->hash & (self->table_cap - 1);
  while (self->table[at] != c) at = (at + 1) & (self->table_cap - 1);
  return at;
}

/* Moves up what stands behind the gap and belongs before it, so that searches may end at a free place. */
static void table_remove(lk_session *self, const channel *c) {
  uint32_t mask = self->table_cap - 1;
  uint32_t gap = table_place(self, c);
  for (uint32_t at = (gap + 1) & mask; self->table[at] != NULL; at = (at + 1) & mask) {
    uint32_t home = self->table[at]->hash & mask;
    if (((at - home) & mask) < ((at - gap) & mask)) continue; /* its home is behind the gap */
    self->table[gap] = self->table[at];
    gap = at;
  }
  self->table[gap] = NULL;
}

static void drop_table(lk_session *self, const lk_alloc *alloc) {
  lk_free_array(alloc, self->table, self->table_cap, sizeof *self->table);
  self->table = NULL;
  self->table_cap = 0;
}

/* All records into a table of |cap| places. */
static lk_err make_table(lk_session *self, const lk_session_io *io, uint32_t cap) {
  channel **table = lk_alloc_array(io->alloc, cap, sizeof *table);
  if (table == NULL) return LK_ERR_NOMEM;
  memset(table, 0, cap * sizeof *table);
  for (channel *c = self->first; c != NULL; c = c->next) {
    if (self->table == NULL) c->hash = hash_of(io, topic_of(c));
    table_put(table, cap, c);
  }
  drop_table(self, io->alloc);
  self->table = table;
  self->table_cap = cap;
  return LK_OK;
}

/* Room for one record more. */
static lk_err reserve_place(lk_session *self, const lk_session_io *io) {
  uint32_t count = self->count + 1;
  if (count <= LIST_MAX || count <= self->table_cap / 2) return LK_OK;
  return make_table(self, io, lk_max_u32(TABLE_CAP_MIN, self->table_cap * 2));
}

/* After a record went. That there is no memory for a smaller table does no harm. */
static void shrink_table(lk_session *self, const lk_session_io *io) {
  if (self->table == NULL) return;
  if (self->count <= LIST_MAX / 2) drop_table(self, io->alloc);
  else if (self->table_cap > TABLE_CAP_MIN && self->count < self->table_cap / 8)
    (void)!make_table(self, io, self->table_cap / 2);
}

static channel *find_topic(const lk_session *self, const lk_session_io *io, lk_slice topic) {
  if (self->table == NULL) {
    channel *c = self->first;
    while (c != NULL && !lk_slice_equal(topic_of(c), topic)) c = c->next;
    return c;
  }
  uint32_t hash = hash_of(io, topic), mask = self->table_cap - 1;
  for (uint32_t at = hash & mask; self->table[at] != NULL; at = (at + 1) & mask) {
    channel *c = self->table[at];
    if (c->hash == hash && lk_slice_equal(topic_of(c), topic)) return c;
  }
  return NULL;
}

/* The record of this very joining, or NULL where it is gone. */
static channel *find(const lk_session *self, const lk_session_io *io, lk_slice topic,
                     uint32_t number) {
  channel *c = find_topic(self, io, topic);
  return c != NULL && c->number == number ? c : NULL;
}

/* There is room. */
static void add_channel(lk_session *self, const lk_session_io *io, channel *c) {
  if (self->table != NULL) {
    c->hash = hash_of(io, topic_of(c));
    table_put(self->table, self->table_cap, c);
  }
  link_last(self, c);
  self->count++;
}

/* |fresh| takes the place of |old|, which is freed. */
static void replace_channel(lk_session *self, const lk_session_io *io, channel *old,
                            channel *fresh) {
  if (self->table != NULL) {
    fresh->hash = old->hash;
    self->table[table_place(self, old)] = fresh;
  }
  unlink_channel(self, old);
  link_last(self, fresh);
  free_channel(io->alloc, old);
}

static void remove_channel(lk_session *self, const lk_session_io *io, channel *c) {
  if (self->table != NULL) table_remove(self, c);
  unlink_channel(self, c);
  self->count--;
  free_channel(io->alloc, c);
  shrink_table(self, io);
}

/* ---- life ---- */

void lk_session_init(lk_session *self, lk_message_form form) {
  LK_ASSERT((uint32_t)form < LK_MESSAGE_FORMS);
  *self = (lk_session){ .channel_next = 1, .form = (uint8_t)form };
}

void lk_session_deinit(lk_session *self, const lk_alloc *alloc) {
  for (channel *c = self->first, *next; c != NULL; c = next) {
    next = c->next;
    free_channel(alloc, c);
  }
  drop_table(self, alloc);
  *self = (lk_session){ 0 };
}

size_t lk_session_bytes(const lk_session *self) {
  size_t bytes = self->table_cap * sizeof *self->table;
  for (const channel *c = self->first; c != NULL; c = c->next) bytes += channel_size(c);
  return bytes;
}

/* ---- output ---- */

static lk_err send_message(const lk_session *self, const lk_session_io *io, const lk_message *m) {
  bool is_binary = false;
  if (!lk_message_is_sayable(lk_session_form(self), m)) return LK_OK;
  size_t start = lk_outbox_begin(io->output);
  lk_err err = lk_message_encode_push(lk_session_form(self), m, &io->output->bytes, &is_binary);
  return lk_outbox_end_as(io->output, start, is_binary, err);
}

static lk_err send_reply(const lk_session *self, const lk_session_io *io, const lk_message *m,
                         lk_slice status) {
  bool is_binary = false;
  if (m->ref.ptr == NULL || self->form == LK_MESSAGE_Y) return LK_OK; /* nobody waits for it */
  size_t start = lk_outbox_begin(io->output);
  lk_err err = lk_message_encode_reply(lk_session_form(self), m, status, &io->output->bytes,
                                       &is_binary);
  return lk_outbox_end_as(io->output, start, is_binary, err);
}

/* What the session itself says to |m|, of which join_ref, ref and topic count. */
static lk_err send_own(const lk_session *self, const lk_session_io *io, const lk_message *m,
                       lk_slice status, lk_slice response) {
  lk_message reply = {
    .join_ref = m->join_ref, .ref = m->ref, .topic = m->topic, .payload = response
  };
  return send_reply(self, io, &reply, status);
}

/* Nobody answers to this topic: the one reply whose join_ref is null. */
static lk_err send_unmatched(const lk_session *self, const lk_session_io *io, lk_slice topic,
                             lk_slice ref) {
  lk_message m = { .topic = topic, .ref = ref };
  return send_own(self, io, &m, LK_LIT("error"), LK_LIT("{\"reason\":\"unmatched topic\"}"));
}

/* phx_close and phx_error carry the join_ref twice. */
static lk_err send_end(const lk_session *self, const lk_session_io *io, lk_slice join_ref,
                       lk_slice topic, lk_slice event, lk_slice payload) {
  lk_message m = {
    .join_ref = join_ref, .ref = join_ref, .topic = topic, .event = event, .payload = payload
  };
  return send_message(self, io, &m);
}

static lk_err send_close(const lk_session *self, const lk_session_io *io, lk_slice join_ref,
                         lk_slice topic) {
  return send_end(self, io, join_ref, topic, LK_LIT("phx_close"), LK_LIT("{}"));
}

/* ---- what a message does ---- */

typedef struct step {
  lk_session *self;
  const lk_session_io *io;
  const lk_message *m;
  channel *channel; /* of the topic, or NULL */
  lk_session_events *out;
} step;

static void emit(const step *s, lk_session_event event) {
  LK_ASSERT(s->out->count < LK_SESSION_EVENTS_MAX);
  s->out->items[s->out->count++] = event;
}

static void emit_leave(const step *s, const channel *c) {
  emit(s,
       (lk_session_event){
           .kind = LK_SESSION_LEAVE, .channel = c->number, .tag = c->tag, .topic = s->m->topic });
}

/* What goes to the room as it came. */
static void emit_message(const step *s, lk_session_event_kind kind, const channel *c) {
  emit(s, (lk_session_event){ .kind = kind,
                              .channel = c->number,
                              .tag = c->tag,
                              .topic = s->m->topic,
                              .event = s->m->event,
                              .ref = s->m->ref,
                              .payload = s->m->payload,
                              .is_binary = s->m->binary });
}

static lk_err on_join(const step *s) {
  lk_session *self = s->self;
  if (self->channel_next > LK_SESSION_CHANNEL_MAX) return LK_ERR_LIMIT;
  if (s->channel == NULL && self->count >= s->io->limits->channel_topics_count) {
    s->out->is_refused = true;
    return send_own(self, s->io, s->m, LK_LIT("error"),
                    LK_LIT("{\"reason\":\"too many channels joined\"}"));
  }
  if (s->channel == NULL && reserve_place(self, s->io) != LK_OK) return LK_ERR_NOMEM;
  channel *fresh = make_channel(s->io->alloc, s->m, s->channel);
  if (fresh == NULL) return LK_ERR_NOMEM;
  fresh->number = self->channel_next++;
  if (s->channel != NULL) {
    emit_leave(s, s->channel);
    replace_channel(self, s->io, s->channel, fresh);
  } else {
    add_channel(self, s->io, fresh);
  }
  emit_message(s, LK_SESSION_JOIN, fresh);
  return LK_OK;
}

static lk_err on_leave(const step *s) {
  channel *c = s->channel;
  if (c == NULL) return send_own(s->self, s->io, s->m, LK_LIT("ok"), LK_LIT("{}"));
  if (is_stale(c, s->m)) return LK_OK;
  lk_message reply = { .join_ref = ref_of(c), .ref = s->m->ref, .topic = s->m->topic };
  lk_err err = send_own(s->self, s->io, &reply, LK_LIT("ok"), LK_LIT("{}"));
  if (err == LK_OK) err = send_close(s->self, s->io, ref_of(c), s->m->topic);
  if (err != LK_OK) return err;
  emit_leave(s, c);
  remove_channel(s->self, s->io, c);
  return LK_OK;
}

/* What clients of Phoenix take for words of the server: phx_close and the like, presence_state and presence_diff, and
 * chan_reply_ with a reference, as phoenix.js calls the answer to a push inside itself. A room that passes events on would pass on a forged
 * answer, or the end of the channel. */
static bool is_reserved(lk_slice event) {
  return lk_slice_starts_with(event, LK_LIT("phx_")) ||
         lk_slice_starts_with(event, LK_LIT("presence_")) ||
         lk_slice_starts_with(event, LK_LIT("chan_reply_"));
}

static lk_err on_other(const step *s) {
  if (s->channel == NULL) return send_unmatched(s->self, s->io, s->m->topic, s->m->ref);
  if (is_stale(s->channel, s->m)) return LK_OK;
  if (is_reserved(s->m->event)) {
    lk_message reply = { .join_ref = ref_of(s->channel), .ref = s->m->ref, .topic = s->m->topic };
    return send_own(s->self, s->io, &reply, LK_LIT("error"),
                    LK_LIT("{\"reason\":\"reserved event\"}"));
  }
  emit_message(s, LK_SESSION_MESSAGE, s->channel);
  return LK_OK;
}

static lk_err on_heartbeat(const step *s) {
  lk_message reply = { .ref = s->m->ref, .topic = s->m->topic };
  return send_own(s->self, s->io, &reply, LK_LIT("ok"), LK_LIT("{}"));
}

/* The text of {"token": text}; false for another payload. The decoder has checked that it is JSON. */
static lk_err read_token(const step *s, lk_slice *token, bool *found) {
  lk_json_reader in;
  lk_json_member member = { .name = LK_LIT_INIT("token") };
  *found = false;
  if (s->m->binary) return LK_OK;
  lk_err err = lk_json_reader_init(&in, s->m->payload, s->io->limits, s->io->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, &member, 1);
  if (err == LK_ERR_TYPE) return LK_OK;
  *found = err == LK_OK && lk_json_get_string(&member.value, token) == LK_OK;
  return err;
}

static lk_err on_token(const step *s) {
  lk_slice token;
  bool found;
  lk_err err = read_token(s, &token, &found);
  if (err != LK_OK) return err;
  if (!found) {
    lk_message reply = { .ref = s->m->ref, .topic = s->m->topic };
    return send_own(s->self, s->io, &reply, LK_LIT("error"), LK_LIT("{\"reason\":\"no token\"}"));
  }
  emit(s, (lk_session_event){
              .kind = LK_SESSION_TOKEN, .topic = s->m->topic, .ref = s->m->ref, .payload = token });
  return LK_OK;
}

typedef lk_err (*handler)(const step *s);
typedef enum place { CHANNEL, CONNECTION } place;

static handler handler_of(const lk_message *m) {
  static const struct {
    lk_slice event;
    place where;
    handler run;
  } rules[] = {
#define EVENT(name, text, where, run) { LK_LIT_INIT(text), where, run },
#include "channel/events.def"
#undef EVENT
  };
  bool of_connection = lk_slice_equal(m->topic, LK_LIT("phoenix"));
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    if (rules[i].where == CONNECTION && !of_connection) continue;
    if (lk_slice_equal(rules[i].event, m->event)) return rules[i].run;
  }
  return on_other;
}

/* ---- one document ---- */

lk_err lk_session_open(lk_session *self, const lk_session_io *io, lk_slice topic, lk_slice payload,
                       lk_session_events *out) {
  LK_ASSERT(self->form == LK_MESSAGE_Y && self->channel_next == 1);
  out->count = 0;
  out->is_refused = false;
  if (topic.len > io->limits->channel_name_bytes) return LK_ERR_TOO_BIG;
  lk_err err = lk_utf8_check(topic);
  if (err != LK_OK) return err;
  const lk_message m = { .topic = topic, .payload = payload };
  return on_join(&(step){ self, io, &m, NULL, out });
}

/* Peers read the first message of a frame and drop the rest; what comes from them may be several. */
static lk_err check_y_messages(lk_slice bytes) {
  lk_reader in = lk_reader_of(bytes);
  lk_y_message ignored;
  lk_err err;
  do err = lk_y_message_decode(&in, &ignored);
  while (err == LK_OK && lk_reader_rest(&in).len > 0);
  return err;
}

static lk_err feed_document(lk_session *self, const lk_session_io *io, lk_slice bytes,
                            bool is_binary, lk_session_events *out) {
  if (!is_binary) return LK_ERR_UNSUPPORTED;
  if (self->first == NULL) return LK_ERR_NOT_JOINED;
  lk_err err = check_y_messages(bytes);
  if (err != LK_OK) return err;
  const lk_message m = {
    .topic = topic_of(self->first), .event = LK_LIT("yjs"), .payload = bytes, .binary = true
  };
  emit_message(&(step){ self, io, &m, self->first, out }, LK_SESSION_MESSAGE, self->first);
  return LK_OK;
}

/* Why a connection of one document ends, from the reason that a Phoenix client would have been told. */
static lk_err end_of_document(lk_slice payload) {
  static const struct {
    lk_slice reason;
    lk_err err;
  } rows[] = {
#define REASON(text, err) { LK_LIT_INIT("\"reason\":\"" text "\""), err },
#include "channel/y_ends.def"
#undef REASON
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (lk_slice_find(payload, rows[i].reason) != LK_SLICE_NONE) return rows[i].err;
  }
  return LK_ERR_FULL;
}

/* A reply to a connection that reads none. What the room has to say to it, it has said in y-protocols' words. */
static lk_err reply_document(const lk_session_answer *a) {
  return lk_slice_equal(a->status, LK_LIT("ok")) ? LK_OK : end_of_document(a->payload);
}

lk_err lk_session_feed(lk_session *self, const lk_session_io *io, lk_slice bytes, bool is_binary,
                       lk_session_events *out) {
  lk_message m;
  LK_ASSERT(!self->is_ending);
  out->count = 0;
  out->is_refused = false;
  if (self->form == LK_MESSAGE_Y) return feed_document(self, io, bytes, is_binary, out);
  lk_err err = lk_message_decode(lk_session_form(self), bytes, is_binary, io->limits, io->scratch,
                                 &m);
  if (err != LK_OK) return err;
  step s = { self, io, &m, find_topic(self, io, m.topic), out };
  return handler_of(&m)(&s);
}

/* What is for a room goes there, in the order of what the client said, since only the room knows what is missing now. */
static lk_err on_too_big(const step *s) {
  lk_message m = *s->m;
  bool is_join = lk_slice_equal(m.event, LK_LIT("phx_join"));
  if (s->channel != NULL && !is_join && is_stale(s->channel, &m)) return LK_OK;
  if (s->channel == NULL || is_reserved(m.event))
    return send_own(s->self, s->io, &m, LK_LIT("error"), LK_TOO_BIG_ANSWER);
  m.payload = m.event;
  m.event = LK_EVENT_TOO_BIG;
  m.binary = true;
  emit_message(&(step){ s->self, s->io, &m, s->channel, s->out }, LK_SESSION_MESSAGE, s->channel);
  return LK_OK;
}

lk_err lk_session_feed_beginning(lk_session *self, const lk_session_io *io, lk_slice beginning,
                                 bool is_binary, lk_session_events *out) {
  lk_message m;
  LK_ASSERT(!self->is_ending);
  out->count = 0;
  out->is_refused = false;
  lk_err err = lk_message_decode_beginning(lk_session_form(self), beginning, is_binary, io->limits,
                                           io->scratch, &m);
  if (err != LK_OK) return err == LK_ERR_NOMEM ? err : LK_ERR_TOO_BIG; /* all that is known of it */
  return on_too_big(&(step){ self, io, &m, find_topic(self, io, m.topic), out });
}

bool lk_session_end(lk_session *self, const lk_session_io *io, lk_session_event *out) {
  if (self->is_ending && self->first != NULL) remove_channel(self, io, self->first);
  self->is_ending = true;
  if (self->first == NULL) return false;
  *out = (lk_session_event){ .kind = LK_SESSION_LEAVE,
                             .channel = self->first->number,
                             .tag = self->first->tag,
                             .topic = topic_of(self->first) };
  return true;
}

bool lk_session_has(const lk_session *self, const lk_session_io *io, lk_slice topic,
                    uint32_t number) {
  return find(self, io, topic, number) != NULL;
}

bool lk_session_set_tag(lk_session *self, const lk_session_io *io, lk_slice topic, uint32_t number,
                        uint64_t tag) {
  channel *c = find(self, io, topic, number);
  if (c == NULL) return false;
  c->tag = tag;
  return true;
}

const lk_session_channel *lk_session_next(const lk_session *self, const lk_session_channel *after,
                                          uint64_t *tag) {
  const channel *next = after == NULL ? self->first : after->next;
  if (next != NULL) *tag = next->tag;
  return next;
}

/* ---- answers ---- */

static channel *find_answered(const lk_session *self, const lk_session_io *io,
                              const lk_session_answer *a) {
  return find(self, io, a->topic, a->channel);
}

/* What |a| says to the joining whose join_ref is given. */
static lk_message message_of(const lk_session_answer *a, lk_slice join_ref) {
  lk_message m = { .join_ref = join_ref,
                   .ref = a->ref,
                   .topic = a->topic,
                   .event = a->event,
                   .payload = a->payload,
                   .binary = a->is_binary,
                   .dialect = a->dialect };
  if (!a->is_binary && a->payload.len == 0) m.payload = LK_LIT("{}");
  return m;
}

static lk_err answer_join(lk_session *self, const lk_session_io *io, channel *c,
                          const lk_session_answer *a, lk_slice status) {
  lk_message m = message_of(a, ref_of(c));
  lk_err err = send_reply(self, io, &m, status);
  if (err == LK_OK && (c->flags & REPLACES) != 0) {
    err = send_close(self, io, old_ref_of(c), a->topic);
    c->flags &= (uint8_t)~REPLACES;
  }
  return err;
}

lk_err lk_session_accept(lk_session *self, const lk_session_io *io, const lk_session_answer *a) {
  channel *c = find_answered(self, io, a);
  if (c == NULL) return LK_OK;
  c->flags |= ACCEPTED;
  return answer_join(self, io, c, a, LK_LIT("ok"));
}

lk_err lk_session_refuse(lk_session *self, const lk_session_io *io, const lk_session_answer *a) {
  channel *c = find_answered(self, io, a);
  if (c == NULL) return LK_OK;
  lk_err err = answer_join(self, io, c, a, LK_LIT("error"));
  remove_channel(self, io, c);
  if (self->form != LK_MESSAGE_Y) return err;
  err = end_of_document(a->payload);
  return err == LK_OK ? LK_ERR_DENIED : err;
}

lk_err lk_session_unmatched(lk_session *self, const lk_session_io *io, const lk_session_answer *a) {
  channel *c = find_answered(self, io, a);
  if (c == NULL) return LK_OK;
  lk_err err = send_unmatched(self, io, a->topic, a->ref);
  remove_channel(self, io, c);
  return self->form == LK_MESSAGE_Y ? LK_ERR_UNMATCHED_TOPIC : err;
}

lk_err lk_session_too_late(lk_session *self, const lk_session_io *io, const lk_session_answer *a) {
  return send_unmatched(self, io, a->topic, a->ref);
}

lk_err lk_session_reply(lk_session *self, const lk_session_io *io, const lk_session_answer *a) {
  const channel *c = find_answered(self, io, a);
  if (c == NULL && a->channel != 0) return LK_OK;
  if (self->form == LK_MESSAGE_Y) return reply_document(a);
  lk_message m = message_of(a, c == NULL ? LK_SLICE_EMPTY : ref_of(c));
  return send_reply(self, io, &m, a->status);
}

lk_err lk_session_push(lk_session *self, const lk_session_io *io, const lk_session_answer *a) {
  const channel *c = find_answered(self, io, a);
  if (c == NULL) return LK_OK;
  lk_message m = message_of(a, ref_of(c));
  m.ref = LK_SLICE_EMPTY;
  return send_message(self, io, &m);
}

/* The room is done with the joining, which goes. */
static lk_err end_channel(lk_session *self, const lk_session_io *io, const lk_session_answer *a,
                          lk_slice event, lk_slice payload) {
  channel *c = find_answered(self, io, a);
  if (c == NULL) return LK_OK;
  lk_err err = send_end(self, io, ref_of(c), a->topic, event, payload);
  remove_channel(self, io, c);
  if (self->form != LK_MESSAGE_Y) return err;
  return end_of_document(payload) == LK_ERR_REFUSED ? LK_ERR_REFUSED : LK_ERR_CLOSED;
}

lk_err lk_session_crash(lk_session *self, const lk_session_io *io, const lk_session_answer *a) {
  lk_slice payload = a->payload.len > 0 ? a->payload : LK_LIT("{\"reason\":\"channel_crash\"}");
  return end_channel(self, io, a, LK_LIT("phx_error"), payload);
}

lk_err lk_session_close(lk_session *self, const lk_session_io *io, const lk_session_answer *a) {
  return end_channel(self, io, a, LK_LIT("phx_close"), LK_LIT("{}"));
}
