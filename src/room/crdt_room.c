/* room/crdt_room.c -- one object, its journal, and those who wait for it.
 *
 * A change is made in |state| at once and shown to nobody. It waits in two places: its delta in |next|, whoever asked
 * for it in |waiting| with the ticket of the journal that will cover it. At most one journal is under way; it writes
 * what changed:
 *
 *   change ──> next ──(no journal under way: JOURNAL t)──> flying ──(JOURNALED t)──> shown, broadcast
 *   asker  ──> waiting, with that ticket ───────────────────────────(JOURNALED t)──> reply
 *
 * So while one write is on its way all further changes gather for the next one: deltas merge into one, and the
 * storage decides how many share a write. Joins and reads never wait: they are answered from |shown|.
 *
 * Two copies of an object are dear where rooms are many and mostly at rest. So there is no |state| while nothing is
 * under way: it is made from |shown| when a change comes, and dropped when it has become durable. A large one stays,
 * since making it anew for every change would cost more than it does. And where nobody says anything for a while,
 * |shown| itself is |packed|: its bytes, a twentieth of the memory, from which it is made again when it is asked for.
 *
 * What was executed under a request_id is remembered in |requests| and written with the delta that it made: a record
 * has both or neither, so a command is never there without its id. One that comes again waits for the journal like any
 * other, and is answered.
 *
 *   kept := state                                    a state or a delta in the catalogue's bytes, whose first is below 128
 *         | 0xFF flags:u8 [actor] [requests] state   flags: 1 actor, 2 requests
 *   actor := len:u8 u8*                              the id for commands from then on
 *
 * Commands of clients without a replica are made under a replica id of the room's own. It is kept from one opening to the
 * next, unless what the room came back with may not be the latest: then it takes a new one, since to use up numbers
 * that some replica has already seen would let merging swallow them. For the same reason it takes a new one when a
 * merge brings something under its id that it has never made.
 *
 * All that a room holds must fit into one answer to a join, or nobody could join any more: half of the bytes that may
 * wait for one member. How long that answer is costs as much to find out as to write it, so |bound| is an upper
 * bound which grows with each change by the most that it could add; only where the bound is over the limit is the
 * answer measured, and the change made in a copy first. What makes the answer shorter is never refused.
 *
 * A journal that fails ends the room. What was not acknowledged then is gone here, and comes back from the replicas,
 * which send again what was not confirmed, and from clients, which do so under the same request_id.
 *
 * Always: state == shown + flying + next (as merges); the ticket under way is ticket_next - 1; next is empty and nobody
 * waits where nothing is under way. */
#include "room/crdt_room.h"

#include "base/list.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/json_reader.h"
#include "crdt/state.h"
#include "room/crdt_answers.h"
#include "room/crdt_commands.h"
#include "room/crdt_requests.h"
#include "room/effects.h"

/* A broadcast and a journal. */
#define EFFECTS_BESIDE_REPLIES 2

/* After so long without an input an object is packed, unless its bytes are more. */
#define PACKED_AFTER_MS 5000u
#define PACKED_MAX 65536u

/* "room-" and 16 hexadecimal digits; with a label, ":" and the label. */
#define ROOM_ACTOR_LEN (sizeof room_prefix + 16)
static const uint8_t room_prefix[] = { 'r', 'o', 'o', 'm', '-' };

/* A |state| that takes more memory stays while nothing is under way. */
#define STATE_DROPPED_MAX 4096u
/* Likewise of buffers. */
#define BUFFER_KEPT_MAX 128u

/* What a change adds to the answer to a join at most: for each byte of a delta (in base64, and as a value with escapes),
 * and for each byte of what a command says (a character of a text is an element of its own, with a key). Where that
 * should not be enough for once, the other half of a member's bytes is. */
#define ANSWER_PER_DELTA_BYTE 16u
#define ANSWER_PER_COMMAND_BYTE 128u
#define ANSWER_LEAST 512u

/* Deltas of that many bytes are looked through for what the room has already. */
#define NARROWED_LEAST 1024u

#define KEPT_MORE 0xFFu
enum { KEPT_ACTOR = 1, KEPT_REQUESTS = 2 };

/* How far the clock of a client may be ahead of ours; where the house does not know the date, some time in the year 2248:
 * nobody is there, and the end of lk_hlc is far. */
#define DRIFT_MS 300000u
#define STAMP_MS_MAX (UINT64_C(1) << 43)

typedef struct waiter {
  lk_link link;
  uint64_t ticket;
  uint64_t member;
  uint64_t request;
} waiter;

struct lk_room {
  const lk_env *env;
  const lk_limits *limits;
  const lk_crdt_type *type; /* NULL: nobody has said */
  lk_crdt *shown;           /* durable; NULL as |type| is, or while it is packed */
  lk_buf packed;            /* |shown| as bytes; empty while it is there */
  lk_crdt *state;           /* everything; NULL: as |shown| */
  lk_crdt *next;            /* what changed since the journal under way began; NULL: nothing */
  lk_buf flying;            /* the delta that the journal under way makes durable */
  lk_buf delta;             /* of one change; the bytes of one state */
  lk_buf record;            /* or a snapshot */
  lk_crdt_answers answers;
  lk_list waiting; /* in order of arrival, hence of ticket */
  lk_effects effects;
  lk_arena scratch; /* of one input */
  lk_crdt_requests requests;
  uint32_t requests_next;   /* how many of them, the latest, belong to |next| */
  uint32_t requests_flying; /* and how many before those to |flying| */
  uint32_t members;
  uint64_t ticket_next;
  uint64_t used_ms; /* when there was something to do */
  size_t bound;     /* of the answer to a join, were everything durable */
  bool in_flight;
  bool timer_is_set;
  bool actor_is_kept; /* in a record */
  uint32_t actor_len; /* 0 until the first command */
  uint8_t actor[ROOM_ACTOR_LEN];
  lk_slice name; /* of the topic, without its kind; owned */
};

/* ---- objects ---- */

static lk_err open_object(const lk_room *self, const lk_crdt_type *type, lk_crdt **out) {
  lk_crdt *made = lk_alloc_bytes(self->env->alloc, sizeof *made);
  if (made == NULL) return LK_ERR_NOMEM;
  lk_err err = lk_crdt_init(made, type, self->env->alloc, self->limits);
  if (err != LK_OK) lk_free_bytes(self->env->alloc, made, sizeof *made);
  else *out = made;
  return err;
}

static lk_err copy_object(const lk_room *self, const lk_crdt *of, lk_crdt **out) {
  lk_crdt *made;
  lk_err err = open_object(self, self->type, &made);
  if (err != LK_OK) return err;
  err = lk_crdt_merge_from(made, of, NULL);
  if (err != LK_OK) lk_crdt_close(made);
  else *out = made;
  return err;
}

static void close_object(lk_crdt **object) {
  lk_crdt_close(*object);
  *object = NULL;
}

static bool is_blank(const lk_crdt *object) { return lk_btree_count(&object->known) == 0; }

/* Everything, durable or not. */
static const lk_crdt *all_of(const lk_room *self) {
  return self->state != NULL ? self->state : self->shown;
}

/* What it is may still be said anew: nothing is there, and nobody relies on it. */
static bool is_open_to_any_type(const lk_room *self) {
  return self->type == NULL || (self->members == 0 && !self->in_flight && is_blank(all_of(self)));
}

static lk_err set_type(lk_room *self, const lk_crdt_type *type) {
  lk_crdt *made;
  lk_err err = open_object(self, type, &made);
  if (err != LK_OK) return err;
  close_object(&self->shown);
  close_object(&self->state);
  self->shown = made;
  self->type = type;
  return LK_OK;
}

/* Makes |shown| from its bytes, where it is packed. */
static lk_err unpack(lk_room *self) {
  lk_crdt *made;
  if (self->packed.len == 0) return LK_OK;
  lk_err err = open_object(self, self->type, &made);
  if (err != LK_OK) return err;
  err = lk_crdt_merge(made, lk_buf_slice(&self->packed), NULL);
  if (err != LK_OK) {
    lk_crdt_close(made);
    return err;
  }
  LK_COVERED(crdt_room_unpacks);
  self->shown = made;
  lk_buf_deinit(&self->packed);
  return LK_OK;
}

/* |wanted| may be NULL. LK_ERR_TYPE where it is another one. */
static lk_err settle_type(lk_room *self, const lk_crdt_type *wanted) {
  if (self->type == wanted && wanted != NULL) return LK_OK;
  if (wanted == NULL) return self->type != NULL ? LK_OK : set_type(self, &lk_crdt_type_gcounter);
  return is_open_to_any_type(self) ? set_type(self, wanted) : LK_ERR_TYPE;
}

/* ---- answers ---- */

static lk_err push_effect(lk_room *self, const lk_room_input *input, lk_room_effect_kind kind,
                          bool ok, lk_slice payload) {
  lk_room_effect effect = {
    .kind = kind, .member = input->member, .request = input->request, .ok = ok, .payload = payload
  };
  return lk_effects_push(&self->effects, &effect);
}

static lk_err refuse_with(lk_room *self, const lk_room_input *input, lk_slice reason,
                          lk_slice field, lk_slice message) {
  lk_slice payload;
  lk_err err = lk_crdt_answer_error(&self->answers, reason, field, message, &payload);
  if (err != LK_OK) return err;
  lk_room_effect_kind kind = input->kind == LK_ROOM_JOIN ? LK_ROOM_REFUSE : LK_ROOM_REPLY;
  return push_effect(self, input, kind, false, payload);
}

/* The member did something wrong: it is told, and the room goes on. Memory is our problem and the room's end. */
static lk_err refuse(lk_room *self, const lk_room_input *input, lk_err why, lk_slice field) {
  if (why == LK_ERR_NOMEM) return why;
  lk_trace_emit(self->env, LK_TRACE_room_refused, input->member, (uint64_t)why, input->event);
  return refuse_with(self, input, lk_slice_cstr(lk_err_name(why)), field,
                     lk_slice_cstr(lk_err_text(why)));
}

static lk_err answer_ack(lk_room *self, const lk_room_input *input) {
  lk_slice payload;
  lk_err err = lk_crdt_answer_change(&self->answers, self->shown, &payload);
  return err == LK_OK ? push_effect(self, input, LK_ROOM_REPLY, true, payload) : err;
}

/* ---- waiting and journals ---- */

static void free_waiter(lk_room *self, waiter *w) { lk_free_bytes(self->env->alloc, w, sizeof *w); }

static lk_err wait_for(lk_room *self, const lk_room_input *input, uint64_t ticket) {
  waiter *w = lk_alloc_bytes(self->env->alloc, sizeof *w);
  if (w == NULL) return LK_ERR_NOMEM;
  *w = (waiter){ .ticket = ticket, .member = input->member, .request = input->request };
  lk_list_push_last(&self->waiting, &w->link);
  return LK_OK;
}

/* The head of a record or a snapshot, as far as one is needed: |count| requests, up to |skip| before the latest. */
static void encode_head(const lk_room *self, bool with_actor, uint32_t count, uint32_t skip,
                        lk_buf *out) {
  uint8_t flags = (uint8_t)((with_actor ? KEPT_ACTOR : 0) | (count > 0 ? KEPT_REQUESTS : 0));
  if (flags == 0) return;
  (void)lk_buf_append_u8(out, KEPT_MORE);
  (void)lk_buf_append_u8(out, flags);
  if (with_actor) {
    (void)lk_buf_append_u8(out, (uint8_t)self->actor_len);
    (void)lk_buf_append(out, lk_slice_of(self->actor, self->actor_len));
  }
  if (count > 0) lk_crdt_requests_encode(&self->requests, count, skip, out);
}

static bool is_actor_news(const lk_room *self) {
  return self->actor_len > 0 && !self->actor_is_kept;
}

static lk_err begin_journal(lk_room *self) {
  LK_ASSERT(!self->in_flight && self->next != NULL);
  lk_buf_truncate(&self->flying, 0);
  lk_err err = lk_crdt_encode(self->next, &self->flying);
  if (err != LK_OK) return err;
  lk_buf_truncate(&self->record, 0);
  encode_head(self, is_actor_news(self), self->requests_next, 0, &self->record);
  if ((err = lk_buf_append(&self->record, lk_buf_slice(&self->flying))) != LK_OK) return err;
  lk_room_effect effect = { .kind = LK_ROOM_JOURNAL,
                            .ticket = self->ticket_next,
                            .payload = lk_buf_slice(&self->record) };
  if ((err = lk_effects_push(&self->effects, &effect)) != LK_OK) return err;
  close_object(&self->next);
  self->actor_is_kept = self->actor_len > 0;
  self->requests_flying = self->requests_next;
  self->requests_next = 0;
  self->ticket_next++;
  self->in_flight = true;
  return LK_OK;
}

static lk_err answer_waiting(lk_room *self, uint64_t ticket, lk_slice payload) {
  while (self->waiting.first != NULL) {
    waiter *w = LK_CONTAINER(self->waiting.first, waiter, link);
    if (w->ticket > ticket) break;
    lk_room_effect effect = { .kind = LK_ROOM_REPLY,
                              .member = w->member,
                              .request = w->request,
                              .ok = true,
                              .payload = payload };
    lk_list_remove(&self->waiting, &w->link);
    lk_err err = lk_effects_push(&self->effects, &effect);
    free_waiter(self, w);
    if (err != LK_OK) return err;
  }
  return LK_OK;
}

/* Those who asked know their change; the broadcast tells it to everybody once. */
static lk_err tell_change(lk_room *self, uint64_t ticket, const lk_flat *changed) {
  lk_room_effect effect = { .kind = LK_ROOM_BROADCAST, .event = LK_LIT("state_updated") };
  lk_slice payload;
  lk_err err = lk_crdt_answer_change(&self->answers, self->shown, &payload);
  if (err == LK_OK) err = answer_waiting(self, ticket, payload);
  /* A record may have nothing but requests. */
  if (err != LK_OK || changed->range_count == 0) return err;
  err = lk_crdt_answer_news(&self->answers, self->shown, changed, lk_buf_slice(&self->flying),
                            &effect.payload);
  return err == LK_OK ? lk_effects_push(&self->effects, &effect) : err;
}

static lk_err on_journaled(lk_room *self, const lk_room_input *input) {
  lk_flat changed;
  LK_ASSERT(self->in_flight && input->ticket == self->ticket_next - 1);
  self->in_flight = false;
  self->requests_flying = 0;
  lk_err err = lk_flat_decode(&changed, lk_buf_slice(&self->flying), &self->shown->scope,
                              &self->scratch);
  if (err == LK_OK) err = lk_crdt_merge_flat(self->shown, &changed, NULL);
  if (err == LK_OK) err = tell_change(self, input->ticket, &changed);
  if (err != LK_OK) return err;
  return self->next != NULL ? begin_journal(self) : LK_OK;
}

static lk_err on_snapshot(lk_room *self) {
  uint32_t fresh = self->requests_flying + self->requests_next;
  uint32_t durable = self->requests.count - lk_min_u32(fresh, self->requests.count);
  lk_err err = settle_type(self, NULL);
  if (err != LK_OK) return err;
  lk_buf_truncate(&self->record, 0);
  encode_head(self, self->actor_len > 0, durable, fresh, &self->record);
  if ((err = lk_crdt_encode(self->shown, &self->record)) != LK_OK) return err;
  lk_room_effect effect = { .kind = LK_ROOM_SNAPSHOT_DONE, .payload = lk_buf_slice(&self->record) };
  return lk_effects_push(&self->effects, &effect);
}

/* ---- joining and asking ---- */

typedef struct wishes {
  const lk_crdt_type *type; /* NULL: any */
  bool as_json;
} wishes;

/* The object in which a client says what it wants: a join's params, or what is in an envelope. Empty: it says nothing. */
static lk_err unwrap(lk_room *self, const lk_room_input *input, lk_slice *out) {
  *out = LK_SLICE_EMPTY;
  if (input->binary || input->payload.len == 0) return LK_OK;
  *out = input->payload;
  if (input->kind == LK_ROOM_JOIN || input->kind == LK_ROOM_RESTORE) return LK_OK;
  return lk_crdt_command_unwrap(input->payload, self->limits, &self->scratch, out);
}

static lk_err read_type(const lk_json_event *event, const lk_crdt_type **out) {
  if (event->kind == LK_JSON_ABSENT || event->kind == LK_JSON_NULL) return LK_OK;
  if (event->kind != LK_JSON_STRING) return LK_ERR_PAYLOAD;
  if (lk_slice_starts_with(event->text, LK_LIT("crdt."))) return LK_OK; /* an empty envelope */
  *out = lk_crdt_type_named(event->text);
  return *out != NULL ? LK_OK : LK_ERR_UNKNOWN_TYPE;
}

/* What the input says of the type and of how states are written. One that is no JSON object says nothing. */
static lk_err read_wishes(lk_room *self, const lk_room_input *input, wishes *out, lk_slice *field) {
  lk_json_member members[2] = { { .name = LK_LIT("type") }, { .name = LK_LIT("encoding") } };
  lk_json_reader in;
  lk_slice json;
  *out = (wishes){ .type = self->answers.is_counter ? &lk_crdt_type_gcounter : NULL };
  *field = LK_LIT("payload");
  lk_err err = unwrap(self, input, &json);
  if (err == LK_ERR_PAYLOAD || (err == LK_OK && json.len == 0)) return LK_OK;
  if (err == LK_OK) err = lk_json_reader_init(&in, json, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 2);
  if (err != LK_OK) return err == LK_ERR_TYPE ? LK_OK : err;
  out->as_json = lk_slice_equal(members[1].value.text, LK_LIT("json"));
  *field = LK_LIT("type");
  return read_type(&members[0].value, &out->type);
}

static lk_err render_mismatch(lk_room *self, lk_slice *out) {
  LK_COVERED(crdt_room_type_mismatch);
  lk_slice name = lk_slice_cstr(self->type->name);
  uint8_t text[64];
  static const char said[] = "the object is of the type ";
  LK_ASSERT(sizeof said - 1 + name.len <= sizeof text);
  memcpy(text, said, sizeof said - 1);
  memcpy(text + sizeof said - 1, name.ptr, name.len);
  return lk_crdt_answer_error(&self->answers, LK_LIT("type_mismatch"), LK_LIT("type"),
                              lk_slice_of(text, sizeof said - 1 + name.len), out);
}

/* {"html":...} */
static lk_err render_page(lk_room *self, lk_slice *payload) {
  lk_crdt_page page = { .name = self->name,
                        .limits = self->limits,
                        .len_max = self->limits->ws_output_bytes / 4 };
  lk_err err = settle_type(self, NULL);
  if (err != LK_OK) return err;
  return lk_crdt_answer_page(&self->answers, &page, self->shown, &self->scratch, payload);
}

static lk_err on_render(lk_room *self, const lk_room_input *input) {
  lk_slice payload;
  lk_err err = render_page(self, &payload);
  return err == LK_OK ? push_effect(self, input, LK_ROOM_REPLY, true, payload) : err;
}

/* For members that can show nothing but HTML: |member| alone, or, where it is 0, all of them. */
static lk_err tell_page(lk_room *self, uint64_t member) {
  lk_room_effect effect = { .kind = member != 0 ? LK_ROOM_PUSH : LK_ROOM_BROADCAST,
                            .member = member,
                            .event = LK_LIT("render"),
                            .profiles = lk_profile_only(LK_PROFILE_MINIMAL) };
  lk_err err = render_page(self, &effect.payload);
  return err == LK_OK ? lk_effects_push(&self->effects, &effect) : err;
}

static lk_err on_join(lk_room *self, const lk_room_input *input) {
  wishes wanted;
  lk_slice field, payload;
  lk_err err = read_wishes(self, input, &wanted, &field);
  if (err != LK_OK) return refuse(self, input, err, field);
  err = settle_type(self, wanted.type);
  if (err == LK_ERR_TYPE) {
    err = render_mismatch(self, &payload);
    return err == LK_OK ? push_effect(self, input, LK_ROOM_REFUSE, false, payload) : err;
  }
  if (err == LK_OK)
    err = lk_crdt_answer_join(&self->answers, self->shown, input->entropy, wanted.as_json,
                              &payload);
  if (err == LK_OK) err = push_effect(self, input, LK_ROOM_ACCEPT, true, payload);
  if (err == LK_OK) self->members++;
  if (err == LK_OK && input->profile == LK_PROFILE_MINIMAL) err = tell_page(self, input->member);
  return err;
}

/* It may have missed changes while there was no room: it gets all of them, which does no harm to who has them. Where
 * the room came back as something else, since nothing had been made durable, it must join again and hear why not. */
static lk_err on_restore(lk_room *self, const lk_room_input *input) {
  lk_room_effect effect = { .kind = LK_ROOM_PUSH,
                            .member = input->member,
                            .event = LK_LIT("state_updated") };
  wishes wanted;
  lk_slice field;
  lk_err err = read_wishes(self, input, &wanted, &field);
  if (err == LK_ERR_NOMEM) return err;
  err = settle_type(self, wanted.type);
  self->members++;
  if (err == LK_ERR_TYPE) {
    effect.event = LK_LIT("phx_error");
    err = render_mismatch(self, &effect.payload);
    return err == LK_OK ? lk_effects_push(&self->effects, &effect) : err;
  }
  if (err != LK_OK) return err;
  err = lk_crdt_answer_all(&self->answers, self->shown, wanted.as_json, &effect.payload);
  return err == LK_OK ? lk_effects_push(&self->effects, &effect) : err;
}

/* Everything that may be shown. */
static lk_err on_get(lk_room *self, const lk_room_input *input) {
  wishes wanted;
  lk_slice field, payload;
  lk_err err = read_wishes(self, input, &wanted, &field);
  if (err != LK_OK) return refuse(self, input, err, field);
  err = settle_type(self, wanted.type);
  if (err == LK_ERR_TYPE) {
    err = render_mismatch(self, &payload);
    return err == LK_OK ? push_effect(self, input, LK_ROOM_REPLY, false, payload) : err;
  }
  if (err == LK_OK) err = lk_crdt_answer_get(&self->answers, self->shown, wanted.as_json, &payload);
  return err == LK_OK ? push_effect(self, input, LK_ROOM_REPLY, true, payload) : err;
}

/* ---- how long the answer to a join is ---- */

static size_t answer_max(const lk_room *self) { return self->limits->ws_output_bytes / 2; }

static lk_err measure(lk_room *self, const lk_crdt *of, size_t *out) {
  lk_slice answer;
  lk_err err = lk_crdt_answer_join(&self->answers, of, 0, false, &answer);
  if (err == LK_OK) *out = answer.len;
  return err;
}

/* Where the next change is made. */
typedef struct trial {
  lk_crdt *object; /* the room's state, or a copy */
  size_t len;      /* of a copy: what the answer was before */
  bool is_copy;
} trial;

/* A change that adds |more| at most. */
static lk_err begin_trial(lk_room *self, size_t more, trial *out) {
  lk_err err = LK_OK;
  *out = (trial){ 0 };
  if (self->state == NULL) err = copy_object(self, self->shown, &self->state);
  if (err == LK_OK && more > answer_max(self) - lk_min_size(self->bound, answer_max(self)))
    err = measure(self, self->state, &self->bound);
  if (err != LK_OK) return err;
  out->object = self->state;
  out->len = self->bound;
  if (more <= answer_max(self) - lk_min_size(self->bound, answer_max(self))) return LK_OK;
  LK_COVERED(crdt_room_is_nearly_full);
  out->is_copy = true;
  return copy_object(self, self->state, &out->object);
}

static void drop_trial(trial *self) {
  if (self->is_copy) lk_crdt_close(self->object);
}

/* Of a copy: LK_ERR_LIMIT where it has grown too long, and nothing has changed; else it is the room's state. */
static lk_err end_trial(lk_room *self, trial *made, size_t more) {
  size_t len;
  if (!made->is_copy) {
    self->bound += more;
    return LK_OK;
  }
  lk_err err = measure(self, made->object, &len);
  if (err == LK_OK && len > answer_max(self) && len > made->len) {
    LK_COVERED(crdt_room_is_full);
    err = LK_ERR_LIMIT;
  }
  if (err != LK_OK) return err;
  lk_crdt_close(self->state);
  self->state = made->object;
  self->bound = len;
  made->is_copy = false;
  return LK_OK;
}

static size_t most_of(size_t len, size_t each) {
  size_t most;
  if (!lk_mul_size(len, each, &most) || !lk_add_size(most, ANSWER_LEAST, &most)) return SIZE_MAX;
  return most;
}

/* ---- changing ---- */

/* Nothing new came in, but perhaps it is not durable yet: then the answer waits for what is under way and what gathers
 * behind it. */
static lk_err answer_known(lk_room *self, const lk_room_input *input) {
  if (!self->in_flight) return answer_ack(self, input);
  LK_COVERED(crdt_room_known_but_not_durable);
  return wait_for(self, input, self->next != NULL ? self->ticket_next : self->ticket_next - 1);
}

/* What changed is in |next|. */
static lk_err answer_changed(lk_room *self, const lk_room_input *input) {
#ifdef LK_BUG_ACK_EARLY /* planted for the simulator, which must find it: sim/README.md */
  lk_err err = self->in_flight ? LK_OK : begin_journal(self);
  return err == LK_OK ? answer_ack(self, input) : err;
#else
  lk_err err = wait_for(self, input, self->ticket_next);
  if (err == LK_OK && !self->in_flight) err = begin_journal(self);
  return err;
#endif
}

/* One completion answers everybody who waits, and then broadcasts and journals: all of that must fit into the queue
 * of effects, or the room would end of it. */
static bool may_wait(const lk_room *self) {
  return (uint64_t)self->waiting.count + EFFECTS_BESIDE_REPLIES < self->limits->room_effects_count;
}

static lk_err need_next(lk_room *self) {
  return self->next == NULL ? open_object(self, self->type, &self->next) : LK_OK;
}

/* ---- changing by command ---- */

static void make_actor(lk_room *self, uint64_t entropy) {
  uint8_t bytes[8];
  lk_store_be64(bytes, entropy);
  memcpy(self->actor, room_prefix, sizeof room_prefix);
  lk_hex_store(self->actor + sizeof room_prefix, lk_slice_of(bytes, sizeof bytes));
  self->actor_len = ROOM_ACTOR_LEN;
  self->actor_is_kept = false;
}

/* The replica id under which a command is made. LK_ERR_ACTOR for a label that is too long. */
static lk_err name_actor(lk_room *self, const lk_room_input *input, lk_slice label,
                         uint8_t out[LK_ACTOR_LEN_MAX], lk_slice *actor) {
  if (self->actor_len == 0) make_actor(self, input->entropy);
  memcpy(out, self->actor, self->actor_len);
  *actor = lk_slice_of(out, self->actor_len);
  if (label.len == 0 || self->type != &lk_crdt_type_gcounter) return LK_OK;
  if (label.len > LK_ACTOR_LEN_MAX - self->actor_len - 1) return LK_ERR_ACTOR;
  out[self->actor_len] = ':';
  memcpy(out + self->actor_len + 1, label.ptr, label.len);
  *actor = lk_slice_of(out, self->actor_len + 1 + label.len);
  return LK_OK;
}

static uint64_t stamp_max(const lk_room_input *input) {
  return input->wall_ms != 0 ? input->wall_ms + DRIFT_MS : STAMP_MS_MAX;
}

/* Executes |command|, all of it or nothing; its delta is in the scratch memory. */
static lk_err execute(lk_room *self, const lk_room_input *input, const lk_crdt_command *command,
                      lk_slice *delta, lk_slice *field) {
  uint8_t name[LK_ACTOR_LEN_MAX];
  trial made;
  lk_crdt_op op = { .at = command->at, .delta = &self->delta };
  *field = LK_LIT("payload.node_id");
  lk_err err = name_actor(self, input, command->node_id, name, &op.actor);
  if (err != LK_OK) return err;
  *field = LK_SLICE_EMPTY;
  op.now_ms = command->timestamp_ms;
  if (op.now_ms == 0) op.now_ms = input->wall_ms != 0 ? input->wall_ms : input->now_ms;
  *field = LK_LIT("timestamp");
  if (op.now_ms > stamp_max(input)) return LK_ERR_CLOCK;
  *field = LK_SLICE_EMPTY;
  err = begin_trial(self, most_of(command->arguments.len, ANSWER_PER_COMMAND_BYTE), &made);
  if (err != LK_OK) return err;
  lk_buf_truncate(&self->delta, 0);
  err = lk_crdt_apply(made.object, &op, command->name, command->arguments);
  if (err == LK_OK) err = lk_arena_copy(&self->scratch, lk_buf_slice(&self->delta), delta);
  if (err == LK_OK) err = end_trial(self, &made, most_of(delta->len, ANSWER_PER_DELTA_BYTE));
  if (err != LK_OK) *field = lk_crdt_command_blame(command, err, &self->scratch);
  drop_trial(&made);
  return err;
}

/* Whether it was executed before. LK_ERR_EXISTS where its id was that of another command. */
static lk_err look_up(const lk_room *self, const lk_crdt_command *command, lk_crdt_request *out,
                      bool *known) {
  const lk_slice parts[] = { command->name, command->at, command->arguments, command->node_id };
  *known = false;
  if (command->request_id.len == 0) return LK_OK;
  *out = lk_crdt_request_of(command->request_id, parts, sizeof parts / sizeof parts[0]);
  const lk_crdt_request *found = lk_crdt_requests_find(&self->requests, out);
  if (found == NULL) return LK_OK;
  *known = true;
  return memcmp(found->content, out->content, sizeof out->content) == 0 ? LK_OK : LK_ERR_EXISTS;
}

/* |delta| gathers with its request, in the same record. One that changes nothing is written for the request's sake:
 * what it did not find may be there when it comes again. */
static lk_err gather_command(lk_room *self, const lk_room_input *input, lk_slice delta,
                             const lk_crdt_request *request) {
  bool changed, is_first = self->next == NULL;
  lk_err err = need_next(self);
  if (err == LK_OK) err = lk_crdt_merge(self->next, delta, &changed);
  if (err != LK_OK) return err;
  if (request != NULL) {
    if ((err = lk_crdt_requests_add(&self->requests, request)) != LK_OK) return err;
    self->requests_next++;
  } else if (!changed) {
    if (is_first) close_object(&self->next);
    return answer_known(self, input);
  }
  return answer_changed(self, input);
}

static lk_err run_command(lk_room *self, const lk_room_input *input, lk_crdt_command *command) {
  lk_crdt_request request;
  lk_slice delta, field;
  bool known;
  lk_err err = look_up(self, command, &request, &known);
  if (err != LK_OK) return refuse(self, input, err, LK_LIT("request_id"));
  if (!may_wait(self)) return refuse(self, input, LK_ERR_FULL, LK_SLICE_EMPTY);
  if (known || input->applied) {
    LK_COVERED(crdt_room_answers_what_is_applied);
    return answer_known(self, input);
  }
  if ((err = execute(self, input, command, &delta, &field)) != LK_OK)
    return refuse(self, input, err, field);
  return gather_command(self, input, delta, command->request_id.len > 0 ? &request : NULL);
}

static lk_err on_command(lk_room *self, const lk_room_input *input) {
  lk_crdt_command command;
  lk_slice field, event = input->event;
  lk_err err = settle_type(self, NULL);
  if (err != LK_OK) return err;
  if (input->binary) return refuse(self, input, LK_ERR_PAYLOAD, LK_LIT("payload"));
  bool is_plain = !lk_slice_starts_with(event, LK_LIT("crdt."));
  if (!is_plain) event = lk_slice_skip(event, 5);
  const lk_crdt_command_source source = { .event = event,
                                          .payload = input->payload,
                                          .type = self->type,
                                          .limits = self->limits,
                                          .amount_is_one = is_plain };
  err = lk_crdt_command_read(&source, &self->scratch, &command, &field);
  return err == LK_OK ? run_command(self, input, &command) : refuse(self, input, err, field);
}

/* ---- changing by merge ---- */

/* Every stamp must be of a time in which somebody may live, or the clock of the object would be at its end. */
static lk_err admit(const lk_room_input *input, const lk_flat *news) {
  lk_err err = LK_OK;
  for (uint32_t i = 0; err == LK_OK && i < news->fact_count; i++) {
    const lk_crdt_type *type = lk_flat_type_at(news, news->facts[i].node);
    if (type->admit_value != NULL)
      err = type->admit_value(news->facts[i].value, stamp_max(input), 0);
  }
  return err;
}

/* Somebody says more of the room's own replica than the room does: it has been there in another life. */
static bool has_more_of_us(const lk_room *self, const lk_flat *news) {
  const lk_crdt *all = all_of(self);
  const lk_slice us = lk_slice_of(self->actor, self->actor_len);
  for (uint32_t i = 0; us.len > 0 && i < news->range_count; i++) {
    const lk_flat_range *range = &news->ranges[i];
    lk_btree_cursor cursor;
    if (!lk_slice_starts_with(news->actors[range->actor], us)) continue;
    uint32_t actor = lk_actor_find(all, news->actors[range->actor]);
    if (actor == LK_ACTOR_NONE) return true;
    const lk_range *known = lk_known_at_least(all, actor, range->lo, &cursor);
    if (known == NULL || known->lo > range->lo || known->hi < range->hi) return true;
  }
  return false;
}

/* What of |news| the room lacks. A replica that comes back may send its whole state for a single change; that one alone
 * should go into the journal and to everybody. */
static lk_err narrow(lk_room *self, lk_flat *news, size_t *len) {
  lk_crdt *object;
  lk_slice bytes;
  lk_err err = open_object(self, self->type, &object);
  if (err != LK_OK) return err;
  lk_buf_truncate(&self->delta, 0);
  err = lk_crdt_merge_flat(object, news, NULL);
  if (err == LK_OK) err = lk_crdt_diff(object, all_of(self), &self->delta);
  lk_crdt_close(object);
  if (err == LK_OK) err = lk_arena_copy(&self->scratch, lk_buf_slice(&self->delta), &bytes);
  if (err != LK_OK) return err;
  *len = bytes.len;
  return lk_flat_decode(news, bytes, &self->shown->scope, &self->scratch);
}

/* Takes in |news|, which came in |len| bytes, all of it or nothing; it becomes what was new of it. */
static lk_err take_in(lk_room *self, const lk_room_input *input, lk_flat *news, size_t len,
                      bool *changed) {
  trial made;
  lk_err err = admit(input, news);
  if (err == LK_OK && len >= NARROWED_LEAST) err = narrow(self, news, &len);
  if (err != LK_OK) return err;
  if (has_more_of_us(self, news)) {
    LK_COVERED(crdt_room_takes_another_name);
    self->actor_len = 0;
  }
  size_t more = most_of(len, ANSWER_PER_DELTA_BYTE);
  if ((err = begin_trial(self, more, &made)) != LK_OK) return err;
  err = lk_crdt_merge_flat(made.object, news, changed);
  if (err == LK_OK) err = end_trial(self, &made, *changed ? more : 0);
  drop_trial(&made);
  return err;
}

/* The delta of a payload in the catalogue's bytes, in the scratch memory; or its JSON form. */
typedef struct foreign {
  lk_slice bytes;
  lk_slice json; /* used where |bytes| is empty */
} foreign;

static lk_err read_bytes(lk_room *self, lk_slice text, lk_slice *out) {
  lk_buf bytes;
  lk_buf_init(&bytes, self->env->alloc, self->limits->crdt_state_bytes);
  lk_err err = lk_base64_decode(&bytes, text, LK_BASE64_FORM_STANDARD);
  if (err == LK_OK) err = lk_arena_copy(&self->scratch, lk_buf_slice(&bytes), out);
  lk_buf_deinit(&bytes);
  return err;
}

static lk_err read_foreign(lk_room *self, const lk_room_input *input, foreign *out,
                           lk_slice *field) {
  lk_json_member members[2] = { { .name = LK_LIT("delta") }, { .name = LK_LIT("state") } };
  lk_json_reader in;
  lk_slice inner;
  *out = (foreign){ .bytes = input->payload };
  *field = LK_LIT("payload");
  if (input->binary) return LK_OK;
  lk_err err = lk_crdt_command_unwrap(input->payload, self->limits, &self->scratch, &inner);
  if (err == LK_OK) err = lk_json_reader_init(&in, inner, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 2);
  if (err != LK_OK) return err;
  *out = (foreign){ .json = inner }; /* "counts", or the form itself */
  for (int i = 0; i < 2; i++) {
    if (members[i].value.kind == LK_JSON_ABSENT) continue;
    *field = members[i].name;
    if (members[i].value.kind == LK_JSON_STRING)
      return read_bytes(self, members[i].value.text, &out->bytes);
    out->json = members[i].raw;
    return LK_OK;
  }
  *field = self->type == &lk_crdt_type_gcounter ? LK_LIT("counts") : LK_LIT("delta");
  return LK_OK;
}

static lk_err decode_foreign(lk_room *self, const foreign *in, lk_flat *out) {
  const lk_crdt_scope *scope = &self->shown->scope;
  if (in->bytes.len == 0)
    return lk_flat_decode_json(out, self->type, in->json, scope, &self->scratch);
  lk_err err = lk_flat_decode(out, in->bytes, scope, &self->scratch);
  return err == LK_OK && out->type != self->type ? LK_ERR_TYPE : err;
}

/* A merge may be the first that is heard of an object; it says what it is of. */
static lk_err settle_type_of_merge(lk_room *self, const foreign *in) {
  bool says = in->bytes.len > 0 && in->bytes.ptr[0] != 0;
  return settle_type(self,
                     says && is_open_to_any_type(self) ? lk_crdt_type_of(in->bytes.ptr[0]) : NULL);
}

static lk_err on_merge(lk_room *self, const lk_room_input *input) {
  foreign in;
  lk_flat news;
  lk_slice field;
  bool changed = false;
  lk_err err = settle_type(self, NULL);
  if (err != LK_OK) return err;
  if (!may_wait(self)) return refuse(self, input, LK_ERR_FULL, LK_SLICE_EMPTY);
  err = read_foreign(self, input, &in, &field);
  if (err == LK_OK) err = settle_type_of_merge(self, &in);
  if (err == LK_OK) err = decode_foreign(self, &in, &news);
  size_t len = in.bytes.len > 0 ? in.bytes.len : in.json.len;
  if (err == LK_OK) err = take_in(self, input, &news, len, &changed);
  if (err != LK_OK) return refuse(self, input, err, field);
  if (!changed) return answer_known(self, input);
  err = need_next(self);
  if (err == LK_OK) err = lk_crdt_merge_flat(self->next, &news, NULL);
  return err == LK_OK ? answer_changed(self, input) : err;
}

/* ---- inputs ---- */

static lk_err on_message(lk_room *self, const lk_room_input *input) {
  static const struct {
    lk_slice event;
    lk_err (*run)(lk_room *, const lk_room_input *);
    bool changes;
  } rules[] = {
    { LK_LIT_INIT("crdt.get"), on_get, false },
    { LK_LIT_INIT("crdt.subscribe"), on_get, false },
    { LK_LIT_INIT("render"), on_render, false },
    { LK_LIT_INIT("crdt.merge"), on_merge, true },
    { LK_LIT_INIT("increment"), on_command, true },
  };
  lk_err (*run)(lk_room *, const lk_room_input *) = NULL;
  bool changes = true;
  if (lk_slice_starts_with(input->event, LK_LIT("crdt."))) run = on_command;
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    if (!lk_slice_equal(rules[i].event, input->event)) continue;
    run = rules[i].run;
    changes = rules[i].changes;
  }
  if (run == NULL) return refuse(self, input, LK_ERR_UNKNOWN_EVENT, LK_SLICE_EMPTY);
  if (changes && input->rights == LK_RIGHTS_READ) {
    return refuse_with(self, input, LK_LIT("read_only"), LK_SLICE_EMPTY,
                       LK_LIT("you may read this and not change it"));
  }
  return run(self, input);
}

/* ---- asking without being in the room ---- */

/* Whatever was ever said of an object, its being emptied too, is in what it knows. */
static bool is_nothing(const lk_room *self) {
  return self->type == NULL || (!self->in_flight && is_blank(all_of(self)));
}

/* A command that made the object may come again, and is answered like any other then. */
static lk_err is_executed(lk_room *self, lk_slice command, bool *out) {
  lk_json_member id = { .name = LK_LIT("request_id") };
  lk_json_reader in;
  *out = false;
  lk_err err = lk_json_reader_init(&in, command, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, &id, 1);
  if (err != LK_OK || id.value.kind != LK_JSON_STRING || id.value.text.len == 0) return err;
  const lk_crdt_request request = lk_crdt_request_of(id.value.text, NULL, 0);
  *out = lk_crdt_requests_find(&self->requests, &request) != NULL;
  return LK_OK;
}

/* What stands around a question: crdt_room.h. */
typedef struct terms {
  lk_slice event;
  lk_slice payload;
  const lk_crdt_type *type; /* NULL: any */
  bool must_exist;
  bool is_new;
} terms;

static lk_err read_terms(lk_room *self, const lk_room_input *input, terms *out, lk_slice *field) {
  lk_json_member members[] = { { .name = LK_LIT("event") },
                               { .name = LK_LIT("payload") },
                               { .name = LK_LIT("type") },
                               { .name = LK_LIT("must_exist") },
                               { .name = LK_LIT("is_new") } };
  lk_json_reader in;
  *out = (terms){ .payload = LK_LIT("{}") };
  *field = LK_LIT("payload");
  if (input->binary) return LK_ERR_PAYLOAD;
  lk_err err = lk_json_reader_init(&in, input->payload, self->limits, &self->scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, sizeof members / sizeof members[0]);
  if (err != LK_OK) return err;
  if (members[0].value.kind != LK_JSON_STRING) return LK_ERR_PAYLOAD;
  out->event = members[0].value.text;
  if (members[1].value.kind != LK_JSON_ABSENT) out->payload = members[1].raw;
  out->must_exist = members[3].value.kind == LK_JSON_TRUE;
  out->is_new = members[4].value.kind == LK_JSON_TRUE;
  *field = LK_LIT("type");
  return read_type(&members[2].value, &out->type);
}

static lk_err judge_terms(lk_room *self, const lk_room_input *input, const terms *asked) {
  bool is_known = false;
  if (asked->must_exist && is_nothing(self)) return LK_ERR_NOT_FOUND;
  if (!asked->is_new || input->applied || is_nothing(self)) return LK_OK;
  lk_err err = is_executed(self, asked->payload, &is_known);
  return err == LK_OK && !is_known ? LK_ERR_EXISTS : err;
}

static lk_err on_query(lk_room *self, const lk_room_input *input) {
  terms asked;
  lk_slice field, payload;
  if (!lk_slice_equal(input->event, LK_LIT("ask"))) return on_message(self, input);
  lk_err err = read_terms(self, input, &asked, &field);
  if (err != LK_OK) return refuse(self, input, err, field);
  err = judge_terms(self, input, &asked);
  if (err != LK_OK) return refuse(self, input, err, LK_LIT("topic"));
  if (asked.type != NULL && input->rights >= LK_RIGHTS_WRITE) {
    err = settle_type(self, asked.type);
    if (err == LK_ERR_TYPE) {
      err = render_mismatch(self, &payload);
      return err == LK_OK ? push_effect(self, input, LK_ROOM_REPLY, false, payload) : err;
    }
    if (err != LK_OK) return err;
  }
  lk_room_input inner = *input;
  inner.event = asked.event;
  inner.payload = asked.payload;
  return on_message(self, &inner);
}

static void on_leave(lk_room *self, uint64_t member) {
  if (self->members > 0) self->members--;
  for (lk_link *at = self->waiting.first, *next; at != NULL; at = next) {
    waiter *w = LK_CONTAINER(at, waiter, link);
    next = at->next;
    if (w->member != member) continue;
    lk_list_remove(&self->waiting, at);
    free_waiter(self, w);
  }
}

static void shrink(lk_buf *buf, size_t cap_max) {
  if (buf->cap <= cap_max) return;
  const lk_alloc *alloc = buf->alloc;
  size_t max = buf->max;
  lk_buf_deinit(buf);
  lk_buf_init(buf, alloc, max);
}

/* Without memory for its bytes it stays as it is. */
static void pack(lk_room *self) {
  lk_buf_truncate(&self->delta, 0);
  if (lk_crdt_encode(self->shown, &self->delta) != LK_OK || self->delta.len > PACKED_MAX) return;
  lk_buf_init(&self->packed, self->env->alloc, self->delta.len);
  if (lk_buf_append(&self->packed, lk_buf_slice(&self->delta)) != LK_OK) {
    lk_buf_deinit(&self->packed);
    return;
  }
  close_object(&self->shown);
  close_object(&self->state);
  shrink(&self->record, 0);
  lk_crdt_answers_rest(&self->answers, 0);
  shrink(&self->delta, 0);
  shrink(&self->flying, 0);
}

static lk_err set_timer(lk_room *self) {
  lk_room_effect effect = { .kind = LK_ROOM_TIMER, .at_ms = self->used_ms + PACKED_AFTER_MS };
  self->timer_is_set = true;
  return lk_effects_push(&self->effects, &effect);
}

/* One timer at a time: what happened meanwhile only moves the next one. */
static lk_err on_tick(lk_room *self, const lk_room_input *input) {
  self->timer_is_set = false;
  if (self->shown == NULL) return LK_OK;
  if (self->in_flight || input->now_ms < self->used_ms + PACKED_AFTER_MS) {
    self->used_ms = lk_max_u64(self->used_ms, self->in_flight ? input->now_ms : 0);
    return set_timer(self);
  }
  pack(self);
  return LK_OK;
}

static lk_err take_input(lk_room *self, const lk_room_input *input) {
  switch (input->kind) {
  case LK_ROOM_JOIN: return on_join(self, input);
  case LK_ROOM_RESTORE: return on_restore(self, input);
  case LK_ROOM_MESSAGE: return on_message(self, input);
  case LK_ROOM_QUERY: return on_query(self, input);
  case LK_ROOM_JOURNALED: return on_journaled(self, input);
  case LK_ROOM_SNAPSHOT: return on_snapshot(self);
  case LK_ROOM_LEAVE: on_leave(self, input->member); return LK_OK;
  case LK_ROOM_TICK: return on_tick(self, input);
  case LK_ROOM_RENDER: return tell_page(self, 0);
  case LK_ROOM_LAG:
  case LK_ROOM_CATCH_UP: return LK_OK; /* of kinds that catch up */
  }
  LK_UNREACHABLE();
}

/* Gives back what only a busy room needs. */
static void rest(lk_room *self) {
  size_t scratch_max = self->scratch.max;
  lk_arena_deinit(&self->scratch);
  lk_arena_init(&self->scratch, self->env->alloc, scratch_max);
  shrink(&self->record, BUFFER_KEPT_MAX);
  lk_crdt_answers_rest(&self->answers, BUFFER_KEPT_MAX);
  shrink(&self->delta, BUFFER_KEPT_MAX);
  if (self->in_flight) return;
  shrink(&self->flying, BUFFER_KEPT_MAX);
  if (self->state != NULL && lk_crdt_get_size(self->state).bytes <= STATE_DROPPED_MAX)
    close_object(&self->state);
}

static lk_err step(lk_room *self, const lk_room_input *input) {
  bool needs_object = input->kind != LK_ROOM_TICK && input->kind != LK_ROOM_LEAVE;
  lk_err err = needs_object ? unpack(self) : LK_OK;
  if (err == LK_OK) err = take_input(self, input);
  if (needs_object) self->used_ms = input->now_ms;
  /* A completion has effects enough; what it completes has set the timer. */
  bool may_set = needs_object && input->kind != LK_ROOM_JOURNALED;
  if (err == LK_OK && may_set && self->shown != NULL && !self->timer_is_set) err = set_timer(self);
  rest(self);
  return err;
}

static bool poll(lk_room *self, lk_room_effect *out) {
  if (lk_effects_poll(&self->effects, out)) return true;
  lk_effects_deinit(&self->effects);
  lk_effects_init(&self->effects, self->env->alloc, self->limits);
  return false;
}

/* ---- life ---- */

static void close_room(lk_room *self) {
  const lk_alloc *alloc = self->env->alloc;
  for (lk_link *at; (at = lk_list_pop_first(&self->waiting)) != NULL;) {
    free_waiter(self, LK_CONTAINER(at, waiter, link));
  }
  close_object(&self->shown);
  close_object(&self->state);
  close_object(&self->next);
  lk_crdt_requests_deinit(&self->requests);
  lk_effects_deinit(&self->effects);
  lk_arena_deinit(&self->scratch);
  lk_buf_deinit(&self->packed);
  lk_buf_deinit(&self->flying);
  lk_buf_deinit(&self->delta);
  lk_buf_deinit(&self->record);
  lk_crdt_answers_deinit(&self->answers);
  lk_free_bytes(alloc, (void *)(uintptr_t)self->name.ptr, self->name.len);
  lk_free_bytes(alloc, self, sizeof *self);
}

static lk_err read_actor(lk_reader *in, lk_slice *out) {
  uint8_t len;
  lk_err err = lk_reader_u8(in, &len);
  if (err == LK_OK && len != ROOM_ACTOR_LEN) err = LK_ERR_RANGE;
  return err == LK_OK ? lk_reader_bytes(in, len, out) : err;
}

/* |requests|, where they are wanted, are added to |into|. */
static lk_err read_head(lk_reader *in, lk_slice *actor, lk_crdt_requests *into) {
  uint8_t first, flags;
  *actor = LK_SLICE_EMPTY;
  lk_err err = lk_reader_peek_u8(in, &first);
  if (err != LK_OK || first != KEPT_MORE) return err;
  err = lk_reader_skip(in, 1);
  if (err == LK_OK) err = lk_reader_u8(in, &flags);
  if (err == LK_OK && (flags & ~(KEPT_ACTOR | KEPT_REQUESTS)) != 0) err = LK_ERR_VERSION;
  if (err == LK_OK && (flags & KEPT_ACTOR) != 0) err = read_actor(in, actor);
  if (err == LK_OK && (flags & KEPT_REQUESTS) != 0) err = lk_crdt_requests_decode(into, in);
  return err;
}

lk_err lk_crdt_room_kept_state(lk_slice kept, lk_slice *state) {
  lk_reader in = lk_reader_of(kept);
  uint8_t first, flags = 0;
  lk_slice passed;
  lk_err err = lk_reader_peek_u8(&in, &first);
  if (err == LK_OK && first == KEPT_MORE) {
    err = lk_reader_skip(&in, 1);
    if (err == LK_OK) err = lk_reader_u8(&in, &flags);
  }
  if (err == LK_OK && (flags & KEPT_ACTOR) != 0) err = read_actor(&in, &passed);
  if (err == LK_OK && (flags & KEPT_REQUESTS) != 0) err = lk_crdt_requests_skip(&in);
  if (err == LK_OK) *state = lk_reader_rest(&in);
  return err;
}

static lk_err take_kept(lk_room *self, lk_slice kept) {
  lk_reader in = lk_reader_of(kept);
  lk_slice actor;
  lk_err err = read_head(&in, &actor, &self->requests);
  if (err != LK_OK) return err;
  if (actor.len > 0) {
    memcpy(self->actor, actor.ptr, actor.len);
    self->actor_len = ROOM_ACTOR_LEN;
    self->actor_is_kept = true;
  }
  lk_slice state = lk_reader_rest(&in);
  if (state.len == 0) return LK_ERR_TRUNCATED;
  if (self->type == NULL) {
    const lk_crdt_type *type = lk_crdt_type_of(state.ptr[0]);
    if (type == NULL) return LK_ERR_UNKNOWN_TYPE;
    if ((err = set_type(self, type)) != LK_OK) return err;
  }
  return lk_crdt_merge(self->shown, state, NULL);
}

static lk_err recover(lk_room *self, const lk_room_options *options) {
  lk_err err = LK_OK;
  if (options->recovered.len > 0) err = take_kept(self, options->recovered);
  for (size_t i = 0; err == LK_OK && i < options->records_count; i++)
    err = take_kept(self, options->records[i]);
  if (!options->intact) self->actor_len = 0;
  /* It is measured when the first change comes. */
  self->bound = answer_max(self);
  return err;
}

static lk_err copy_name(lk_room *self, lk_slice topic) {
  lk_slice name;
  (void)lk_slice_cut(topic, ':', &name);
  if (name.len == 0) return LK_OK;
  uint8_t *copy = lk_alloc_bytes(self->env->alloc, name.len);
  if (copy == NULL) return LK_ERR_NOMEM;
  memcpy(copy, name.ptr, name.len);
  self->name = lk_slice_of(copy, name.len);
  return LK_OK;
}

static lk_err open_as(const lk_room_options *options, bool is_counter, lk_room **out) {
  const lk_alloc *alloc = options->env->alloc;
  lk_room *self = lk_alloc_bytes(alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_room){ .env = options->env, .limits = options->limits, .ticket_next = 1 };
  lk_crdt_requests_init(&self->requests, alloc, options->limits->room_requests_count);
  lk_effects_init(&self->effects, alloc, options->limits);
  lk_arena_init(&self->scratch, alloc, SIZE_MAX / 2);
  lk_buf_init(&self->flying, alloc, SIZE_MAX / 2);
  lk_buf_init(&self->delta, alloc, SIZE_MAX / 2);
  lk_buf_init(&self->record, alloc, SIZE_MAX / 2);
  lk_crdt_answers_init(&self->answers, alloc, options->level, is_counter);
  lk_err err = copy_name(self, options->topic);
  if (err == LK_OK) err = recover(self, options);
  if (err != LK_OK) {
    close_room(self);
    return err;
  }
  *out = self;
  return LK_OK;
}

static lk_err open_room(const lk_room_options *options, lk_room **out) {
  return open_as(options, false, out);
}

static lk_err open_counter(const lk_room_options *options, lk_room **out) {
  return open_as(options, true, out);
}

const lk_room_kind lk_crdt_room_kind = {
  .size = sizeof(lk_room_kind),
  .name = "crdt",
  .open = open_room,
  .close = close_room,
  .step = step,
  .poll = poll,
  .is_kept = true,
  .renders = true,
};

const lk_room_kind lk_crdt_counter_room_kind = {
  .size = sizeof(lk_room_kind),
  .name = "counter",
  .open = open_counter,
  .close = close_room,
  .step = step,
  .poll = poll,
  .is_kept = true,
  .renders = true,
};
