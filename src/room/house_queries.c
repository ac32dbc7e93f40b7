/* room/house_queries.c -- requests from nobody who is in a room: an HTTP API, a page that is rendered, whoever administers.
 *
 *   about a topic          its room answers; the room is opened for it and goes when it has been idle, like any other
 *   "delete" of a topic    the house itself, for those who may administer: all that is kept of it is erased, durably.
 *                          Members are out first, with the reason "deleted"; ok {}, or error {"reason": ...}
 *   "topics" of ""         the house itself, likewise: {"after": "doc:a", "prefix": "doc:", "limit": 100}, none of which must
 *                          be there
 *                          ok {"topics": [{"topic": "doc:b", "members": 2, "level": "durable", "open": true,
 *                          "bytes": 120}, ...], "more": true, "complete": true}
 *                          All that are open or kept, in order of name; not |complete| while names are still looked for
 *                          (house_names.c). |bytes| is said of those that are open, or have records that no snapshot has.
 *   "changes" of ""      the house itself, likewise: which topics have changed (house_news.c)
 *
 * A query has no member: its number is that of its edge alone. It counts among the requests whose changes are marked in
 * records, so that one that comes again after a death of the house is answered and not made twice. */
#include "room/house_parts.h"

#include "codec/json_reader.h"
#include "codec/json_writer.h"

#define PAGE_MAX 1000u
#define PAGE_PRESET 100u

/* ---- which topics there are ---- */

typedef struct listing {
  lk_slice after;
  lk_slice prefix;
  uint64_t limit;
  lk_slice *topics; /* in order; borrowed from the names */
  size_t count;
  bool more;
} listing;

/* The first |limit| that begin with |prefix|, behind |after|. */
static void gather(const lk_house *self, listing *out) {
  bool is_behind = lk_slice_compare(out->after, out->prefix) > 0;
  lk_names_cursor at = lk_names_seek(&self->names, is_behind ? out->after : out->prefix);
  lk_slice topic;
  uint8_t flags;
  while (lk_names_next(&self->names, &at, &topic, &flags)) {
    if (!lk_slice_starts_with(topic, out->prefix)) return;
    if (lk_slice_equal(topic, out->after) || !lk_house_has_topic(self, topic, flags)) continue;
    out->more = out->count == out->limit;
    if (out->more) return;
    out->topics[out->count++] = topic;
  }
}

static void write_topic(const lk_house *self, lk_slice topic, lk_json_writer *out) {
  entry *e = lk_house_find_entry(self, topic);
  const lk_tail *tail = lk_tails_find(&self->tails, topic);
  bool is_memory = e != NULL && (e->is_memory || self->storage == NULL);
  uint64_t bytes = e != NULL ? e->kept_len : 0;
  if (e != NULL && e->is_memory) bytes += lk_house_scroll_bytes(e);
  else if (tail != NULL) bytes += tail->bytes;
  lk_json_begin_object(out);
  lk_json_write_key(out, LK_LIT("topic"));
  lk_json_write_string(out, topic);
  lk_json_write_key(out, LK_LIT("members"));
  lk_json_write_u64(out, e != NULL ? e->members.count : 0);
  lk_json_write_key(out, LK_LIT("level"));
  lk_json_write_string(out, is_memory ? LK_LIT("memory") : LK_LIT("durable"));
  lk_json_write_key(out, LK_LIT("open"));
  lk_json_write_bool(out, e != NULL && e->state == ENTRY_OPEN);
  if (e != NULL || tail != NULL) {
    lk_json_write_key(out, LK_LIT("bytes"));
    lk_json_write_u64(out, bytes);
  }
  lk_json_end_object(out);
}

static lk_err write_listing(const lk_house *self, const listing *from, lk_buf *text) {
  lk_json_writer out;
  lk_json_writer_init(&out, text);
  lk_json_begin_object(&out);
  lk_json_write_key(&out, LK_LIT("topics"));
  lk_json_begin_array(&out);
  for (size_t i = 0; i < from->count; i++) write_topic(self, from->topics[i], &out);
  lk_json_end_array(&out);
  lk_json_write_key(&out, LK_LIT("more"));
  lk_json_write_bool(&out, from->more);
  lk_json_write_key(&out, LK_LIT("complete"));
  lk_json_write_bool(&out, lk_house_knows_all_names(self));
  lk_json_end_object(&out);
  return lk_json_writer_finish(&out);
}

/* What the payload says; nothing is as good as {}. */
static lk_err read_page(lk_house *self, lk_slice payload, lk_arena *scratch, listing *out) {
  lk_json_member members[] = { { .name = LK_LIT("after") },
                               { .name = LK_LIT("limit") },
                               { .name = LK_LIT("prefix") } };
  lk_json_reader in;
  *out = (listing){ .limit = PAGE_PRESET };
  if (payload.len == 0) return LK_OK;
  lk_err err = lk_json_reader_init(&in, payload, self->limits, scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 3);
  if (err == LK_OK && members[0].value.kind != LK_JSON_ABSENT)
    err = lk_json_get_string(&members[0].value, &out->after);
  if (err == LK_OK && members[1].value.kind != LK_JSON_ABSENT)
    err = lk_json_get_u64(&members[1].value, &out->limit);
  if (err == LK_OK && members[2].value.kind != LK_JSON_ABSENT)
    err = lk_json_get_string(&members[2].value, &out->prefix);
  if (err == LK_OK && (out->limit == 0 || out->limit > PAGE_MAX)) err = LK_ERR_RANGE;
  return err;
}

static void answer_topics(lk_house *self, uint64_t number, const lk_bus_message *m) {
  lk_arena scratch;
  lk_buf text;
  listing page;
  lk_arena_init(&scratch, self->env->alloc, self->limits->json_bytes);
  lk_buf_init(&text, self->env->alloc, self->limits->bus_frame_bytes);
  lk_err err = m->binary ? LK_ERR_PAYLOAD : read_page(self, m->payload, &scratch, &page);
  if (err == LK_OK) {
    page.topics = lk_alloc_array(self->env->alloc, (size_t)page.limit, sizeof *page.topics);
    if (page.topics == NULL) err = LK_ERR_NOMEM;
  }
  if (err == LK_OK) {
    lk_house_begin_scan(self); /* where it found no memory, or failed */
    gather(self, &page);
    err = write_listing(self, &page, &text);
    lk_free_array(self->env->alloc, page.topics, (size_t)page.limit, sizeof *page.topics);
  }
  if (err != LK_OK) lk_house_answer_outcome(self, number, m->request, err);
  else
    lk_house_answer(self, number, m->request, LK_BUS_REPLY, LK_LIT("ok"), lk_buf_slice(&text),
                    false);
  lk_buf_deinit(&text);
  lk_arena_deinit(&scratch);
}

static void on_query_of_house(lk_house *self, uint64_t number, const lk_bus_message *m) {
  bool is_about_changes = lk_slice_equal(m->event, LK_LIT("changes"));
  if (!is_about_changes && !lk_slice_equal(m->event, LK_LIT("topics")))
    lk_house_answer_outcome(self, number, m->request, LK_ERR_UNKNOWN_EVENT);
  else if (m->rights < LK_RIGHTS_ADMIN)
    lk_house_answer_outcome(self, number, m->request, LK_ERR_DENIED);
  else if (is_about_changes) lk_house_on_changes(self, number, m);
  else answer_topics(self, number, m);
}

/* ---- about a topic ---- */

/* It waits until nothing is kept of the topic any more. Whoever waits with it gets an empty room. */
static lk_err doom(entry *e, uint64_t number, const lk_bus_message *m) {
  lk_err err = lk_house_queue_input(e, number, m);
  if (err != LK_OK) return err;
  e->is_doomed = true;
  if (e->state == ENTRY_OPEN) lk_house_drop_room(e, LK_OK);
  return LK_OK;
}

static lk_err hand_over(entry *e, uint64_t number, const lk_bus_message *m) {
  if (lk_slice_equal(m->event, LK_LIT("delete"))) return doom(e, number, m);
  if (e->state != ENTRY_OPEN) return lk_house_queue_input(e, number, m);
  bool is_applied = m->again && lk_house_was_applied(e, number, m->request);
  if (is_applied) e->house->stats.repeated++;
  lk_house_ask_room(e, (lk_room_input){ .kind = LK_ROOM_QUERY,
                                        .member = number,
                                        .request = m->request,
                                        .event = m->event,
                                        .payload = m->payload,
                                        .binary = m->binary,
                                        .applied = is_applied,
                                        .rights = m->rights,
                                        .subject = m->subject });
  return LK_OK;
}

static void on_query_of_topic(lk_house *self, uint64_t number, const lk_bus_message *m) {
  const lk_room_kind *kind = lk_room_kind_of(m->topic);
  entry *e = lk_house_find_entry(self, m->topic);
  lk_err err = LK_OK;
  if (kind == NULL) {
    lk_house_answer(self, number, m->request, LK_BUS_UNMATCHED, LK_SLICE_EMPTY, LK_SLICE_EMPTY,
                    false);
    return;
  }
  const bool is_new = e == NULL;
  if (is_new) err = lk_house_make_entry(self, m->topic, kind, &e);
  if (err != LK_OK) {
    lk_house_answer_outcome(self, number, m->request, err);
    return;
  }
  err = lk_house_note_asked(e, number, m->request);
  if (err == LK_OK) {
    lk_house_note_subject(self, number, m->request, m->subject);
    err = hand_over(e, number, m);
    if (err != LK_OK) lk_house_answer_outcome(self, number, m->request, err);
  } else if (err == LK_ERR_RANGE) {
    lk_house_give_up(self, &self->edges[edge_of(number)]);
  } else {
    lk_house_answer_outcome(self, number, m->request, err);
  }
  if (is_new) lk_house_begin_loading(e); /* in any case, so that the entry finds its way out */
}

void lk_house_on_query(lk_house *self, uint64_t number, const lk_bus_message *m) {
  if (m->topic.len == 0) on_query_of_house(self, number, m);
  else if (m->rights < LK_RIGHTS_ADMIN && lk_slice_equal(m->event, LK_LIT("delete")))
    lk_house_answer_outcome(self, number, m->request, LK_ERR_DENIED);
  else on_query_of_topic(self, number, m);
}
