/* room/house_news.c -- which topics have changed, for the one who wants to know: the process that calls webhooks.
 *
 *   a record is kept ──> fresh ──"changes" is asked──> told ──the next question says that it came──> forgotten
 *                          ^                             │
 *                          └── another one asks, or it did not come ──┘
 *
 * Of topics that nobody watches (room/policy.h) nothing is noted. Of the others there is one entry each, which is the sum of its
 * changes; so however many there are, who asks gets each topic once, and asks when it likes. A question that finds nothing waits.
 *
 *   "changes" {"after": 17, "serial": 4}      by an edge that may administer; at most one waits, and a new one sends the old one home
 *   ok {"serial": 5, "upto": 21, "more": false, "changes": [{"topic": "doc:a", "sequence": 21, "changes": 3, "first": MS,
 *       "last": MS, "memory": false, "by": ["ann"]}]}
 *       and "deleted": true where that is what happened last, "anew": true where it happened before
 *
 * Nothing that was acknowledged to a client may be forgotten here before somebody else has it. For topics of level memory the
 * serial sees to that while this process lives, and their files do not outlive it by much. For durable ones |upto| is an index of the
 * journal: every change up to it has been told. Who asks keeps that, durably, and says it as |after|; the journal keeps its records
 * until then, and a house that begins notes those behind it again. So a change is told at least once, whatever dies
 * when.
 *
 * Who changed a topic are those whose requests are answered when its record has been kept, as far as they have a name.
 *
 * Where there is no memory for an entry, or there are limits.webhook_dues_count of them, the change is not told: it is kept all the
 * same, and the next change of that topic says so. */
#include "room/house_parts.h"

#include "codec/json_reader.h"
#include "codec/json_writer.h"

#define TOLD_AT_ONCE 1000u

typedef struct news {
  lk_link link; /* of fresh, or of told */
  uint64_t first_index;
  uint64_t index;
  uint64_t changes;
  uint64_t first_ms; /* the date; 0: not known */
  uint64_t last_ms;
  uint64_t deleted_index; /* of the last deletion; 0: none */
  bool is_memory;
  bool is_deleted; /* that is what happened last */
  bool is_anew;    /* it happened before that */
  lk_buf by;       /* names, each with a byte of length in front */
  uint32_t topic_len;
  uint8_t topic[];
} news;

typedef struct subject {
  uint8_t len;
  uint8_t bytes[UINT8_MAX];
} subject;

static lk_slice topic_of(const news *n) { return lk_slice_of(n->topic, n->topic_len); }

static news *of_link(lk_link *link) { return LK_CONTAINER(link, news, link); }

static bool is_watching(const lk_house *self) { return self->policy->watched_count > 0; }

static void free_news(lk_house *self, news *n) {
  lk_buf_deinit(&n->by);
  lk_free_bytes(self->env->alloc, n, sizeof *n + n->topic_len);
}

static void free_all(lk_house *self, lk_list *list) {
  for (lk_link *at; (at = lk_list_pop_first(list)) != NULL;) free_news(self, of_link(at));
}

void lk_house_init_news(lk_house *self) {
  uint64_t seed[2];
  if (!is_watching(self)) return;
  lk_house_draw_seed(self, seed);
  lk_map_init(&self->news.topics, self->env->alloc, sizeof(news *),
              self->limits->webhook_dues_count, seed);
  lk_house_draw_seed(self, seed);
  lk_map_init(&self->news.subjects, self->env->alloc, sizeof(subject), UINT32_MAX / 4, seed);
  self->news.serial = self->generation;
}

void lk_house_deinit_news(lk_house *self) {
  free_all(self, &self->news.fresh);
  free_all(self, &self->news.told);
  lk_map_deinit(&self->news.topics);
  lk_map_deinit(&self->news.subjects);
}

/* ---- noting ---- */

static news *make_news(lk_house *self, lk_slice topic) {
  void *place;
  bool is_new;
  news *n = lk_alloc_bytes(self->env->alloc, sizeof *n + topic.len);
  if (n == NULL) return NULL;
  *n = (news){ .topic_len = (uint32_t)topic.len };
  memcpy(n->topic, topic.ptr, topic.len);
  lk_buf_init(&n->by, self->env->alloc, LK_HOUSE_NEWS_BY_MAX * 256u);
  if (lk_map_put(&self->news.topics, topic, &place, &is_new) != LK_OK) {
    LK_COVERED(house_news_are_lost);
    free_news(self, n);
    return NULL;
  }
  *(news **)place = n;
  lk_list_push_last(&self->news.fresh, &n->link);
  return n;
}

static uint64_t date(const lk_house *self) {
  if (self->wall_ms == 0) return 0;
  return self->wall_ms + self->now_ms - lk_min_u64(self->wall_at_ms, self->now_ms);
}

static void add_name(news *n, lk_slice name) {
  uint32_t count = 0;
  if (name.len == 0 || name.len > UINT8_MAX) return;
  for (size_t at = 0; at < n->by.len; at += 1u + n->by.ptr[at], count++) {
    if (lk_slice_equal(lk_slice_of(n->by.ptr + at + 1, n->by.ptr[at]), name)) return;
  }
  size_t before = n->by.len;
  if (count == LK_HOUSE_NEWS_BY_MAX) return;
  (void)lk_buf_append_u8(&n->by, (uint8_t)name.len);
  if (lk_buf_append(&n->by, name) != LK_OK) lk_buf_truncate(&n->by, before);
}

static void answer_waiting(lk_house *self);

static void note(lk_house *self, lk_slice topic, uint64_t index, bool is_memory, bool is_deleted) {
  if (!is_watching(self) || !lk_room_policy_is_watched(self->policy, topic)) return;
  if (!is_memory && index <= self->news.after) return; /* whoever asks has it */
  news **found = lk_map_get(&self->news.topics, topic);
  news *n = found != NULL ? *found : make_news(self, topic);
  if (n == NULL) return;
  n->index = lk_max_u64(n->index, index);
  n->last_ms = date(self);
  n->is_memory = is_memory;
  if (n->changes++ == 0) {
    n->first_index = index;
    n->first_ms = n->last_ms;
  }
  if (!is_deleted) n->is_anew |= n->is_deleted;
  n->is_deleted = is_deleted;
  if (is_deleted) n->deleted_index = index;
}

void lk_house_note_news(lk_house *self, lk_slice topic, uint64_t index, bool is_memory) {
  note(self, topic, index, is_memory, false);
}

void lk_house_note_deletion(lk_house *self, lk_slice topic, uint64_t index, bool is_memory) {
  note(self, topic, index, is_memory, true);
}

/* ---- who ---- */

static lk_slice subject_key(uint64_t number, uint64_t request, uint8_t bytes[16]) {
  lk_store_le64(bytes, number);
  lk_store_le64(bytes + 8, own_of(number) != 0 ? 0 : request);
  return lk_slice_of(bytes, 16);
}

void lk_house_note_subject(lk_house *self, uint64_t number, uint64_t request, lk_slice name) {
  uint8_t key[16];
  void *place;
  bool is_new;
  if (!is_watching(self) || name.len == 0 || name.len > UINT8_MAX) return;
  if (lk_map_put(&self->news.subjects, subject_key(number, request, key), &place, &is_new) != LK_OK)
    return;
  subject *s = place;
  s->len = (uint8_t)name.len;
  memcpy(s->bytes, name.ptr, name.len);
}

void lk_house_forget_subject(lk_house *self, uint64_t number, uint64_t request) {
  uint8_t key[16];
  if (is_watching(self))
    (void)lk_map_remove(&self->news.subjects, subject_key(number, request, key));
}

void lk_house_note_author(entry *e, uint64_t number, uint64_t request) {
  lk_house *self = e->house;
  uint8_t key[16];
  if (!self->news.is_landing) return;
  const subject *s = lk_map_get(&self->news.subjects, subject_key(number, request, key));
  news **found = lk_map_get(&self->news.topics, entry_topic(e));
  if (s != NULL && found != NULL) add_name(*found, lk_slice_of(s->bytes, s->len));
}

uint64_t lk_house_news_bound(const lk_house *self) {
  return is_watching(self) ? self->news.after + 1 : UINT64_MAX;
}

/* ---- telling ---- */

/* What came behind it meanwhile is told with it. */
static void untell(lk_house *self, news *old) {
  void *place;
  bool is_new;
  news **found = lk_map_get(&self->news.topics, topic_of(old));
  if (found != NULL) {
    news *n = *found;
    n->first_index = lk_min_u64(n->first_index, old->first_index);
    n->first_ms = lk_min_u64(n->first_ms, old->first_ms);
    n->changes += old->changes;
    n->is_anew |= !n->is_deleted && (old->is_anew || old->is_deleted);
    n->deleted_index = lk_max_u64(n->deleted_index, old->deleted_index);
    for (size_t at = 0; at < old->by.len; at += 1u + old->by.ptr[at])
      add_name(n, lk_slice_of(old->by.ptr + at + 1, old->by.ptr[at]));
    free_news(self, old);
  } else if (lk_map_put(&self->news.topics, topic_of(old), &place, &is_new) == LK_OK) {
    *(news **)place = old;
    lk_list_push_first(&self->news.fresh, &old->link);
  } else {
    LK_COVERED(house_news_are_lost);
    free_news(self, old);
  }
}

static void untell_all(lk_house *self) {
  for (lk_link *at; (at = self->news.told.last) != NULL;) {
    lk_list_remove(&self->news.told, at);
    untell(self, of_link(at));
  }
}

static void forget_up_to(lk_house *self, uint64_t index) {
  for (lk_link *at = self->news.fresh.first, *next; at != NULL; at = next) {
    news *n = of_link(at);
    next = at->next;
    if (!n->is_memory && n->deleted_index <= index) n->is_anew = false; /* they know of that one */
    if (n->is_memory || n->index > index) continue;
    lk_list_remove(&self->news.fresh, at);
    (void)lk_map_remove(&self->news.topics, topic_of(n));
    free_news(self, n);
  }
}

static void write_text(lk_json_writer *w, const char *name, uint64_t value) {
  (void)lk_json_write_key(w, lk_slice_cstr(name));
  (void)lk_json_write_u64(w, value);
}

static void write_flag(lk_json_writer *w, const char *name, bool value) {
  if (!value) return;
  (void)lk_json_write_key(w, lk_slice_cstr(name));
  (void)lk_json_write_bool(w, true);
}

static void write_news(const news *n, lk_json_writer *w) {
  (void)lk_json_begin_object(w);
  (void)lk_json_write_key(w, LK_LIT("topic"));
  (void)lk_json_write_string(w, topic_of(n));
  write_text(w, "sequence", n->index);
  write_text(w, "changes", n->changes);
  write_text(w, "first", n->first_ms);
  write_text(w, "last", n->last_ms);
  (void)lk_json_write_key(w, LK_LIT("memory"));
  (void)lk_json_write_bool(w, n->is_memory);
  (void)lk_json_write_key(w, LK_LIT("by"));
  (void)lk_json_begin_array(w);
  for (size_t at = 0; at < n->by.len; at += 1u + n->by.ptr[at])
    (void)lk_json_write_string(w, lk_slice_of(n->by.ptr + at + 1, n->by.ptr[at]));
  (void)lk_json_end_array(w);
  write_flag(w, "deleted", n->is_deleted);
  write_flag(w, "anew", n->is_anew && !n->is_deleted);
  (void)lk_json_end_object(w);
}

/* Up to where all is told when |left| of what is fresh is told later. */
static uint64_t upto(const lk_house *self, const lk_link *left) {
  uint64_t bound = self->journal_state == JOURNAL_OPEN ? self->durable : self->news.after;
  for (const lk_link *at = left; at != NULL; at = at->next) {
    const news *n = LK_CONTAINER(at, const news, link);
    if (!n->is_memory) bound = lk_min_u64(bound, n->first_index - 1);
  }
  return lk_max_u64(bound, self->news.after);
}

static void tell_changes(lk_house *self, lk_slice text, bool is_ok) {
  uint64_t number = self->news.asker, request = self->news.request;
  self->news.request = 0;
  if (is_ok) lk_house_answer(self, number, request, LK_BUS_REPLY, LK_LIT("ok"), text, false);
  else lk_house_answer_outcome(self, number, request, LK_ERR_NOMEM);
}

static void answer_changes(lk_house *self) {
  lk_json_writer w;
  lk_buf text;
  uint32_t count = 0;
  lk_link *at = self->news.fresh.first;
  lk_buf_init(&text, self->env->alloc, self->limits->bus_frame_bytes);
  lk_json_writer_init(&w, &text);
  (void)lk_json_begin_object(&w);
  (void)lk_json_write_key(&w, LK_LIT("changes"));
  (void)lk_json_begin_array(&w);
  for (; at != NULL && count < TOLD_AT_ONCE; at = at->next, count++) write_news(of_link(at), &w);
  (void)lk_json_end_array(&w);
  write_text(&w, "serial", self->news.serial + 1);
  write_text(&w, "upto", upto(self, at));
  (void)lk_json_write_key(&w, LK_LIT("more"));
  (void)lk_json_write_bool(&w, at != NULL);
  (void)lk_json_end_object(&w);
  lk_err err = lk_json_writer_finish(&w);
  if (err == LK_OK) {
    self->news.serial++;
    for (; count > 0; count--) {
      news *n = of_link(lk_list_pop_first(&self->news.fresh));
      (void)lk_map_remove(&self->news.topics, topic_of(n));
      lk_list_push_last(&self->news.told, &n->link);
    }
  }
  tell_changes(self, lk_buf_slice(&text), err == LK_OK);
  lk_buf_deinit(&text);
}

static void answer_waiting(lk_house *self) {
  if (self->news.request != 0 && self->news.fresh.count > 0) answer_changes(self);
}

void lk_house_tell_news(lk_house *self) {
  if (is_watching(self)) answer_waiting(self);
}

static lk_err read_question(lk_house *self, lk_slice payload, uint64_t *after, uint64_t *serial) {
  lk_json_member members[] = { { .name = LK_LIT("after") }, { .name = LK_LIT("serial") } };
  lk_json_reader in;
  lk_arena scratch;
  lk_arena_init(&scratch, self->env->alloc, self->limits->json_bytes);
  lk_err err = lk_json_reader_init(&in, payload, self->limits, &scratch);
  if (err == LK_OK) err = lk_json_read_members(&in, members, 2);
  if (err == LK_OK) err = lk_json_get_u64(&members[0].value, after);
  if (err == LK_OK) err = lk_json_get_u64(&members[1].value, serial);
  lk_arena_deinit(&scratch);
  return err;
}

void lk_house_on_changes(lk_house *self, uint64_t number, const lk_bus_message *m) {
  uint64_t after, serial;
  if (!is_watching(self)) {
    lk_house_answer_outcome(self, number, m->request, LK_ERR_UNSUPPORTED);
    return;
  }
  lk_err err = m->binary ? LK_ERR_PAYLOAD : read_question(self, m->payload, &after, &serial);
  if (err != LK_OK) {
    lk_house_answer_outcome(self, number, m->request, err);
    return;
  }
  /* What the old question is told is told again with the new one, whose serial does not know it. */
  if (self->news.request != 0) answer_changes(self);
  if (serial == self->news.serial) free_all(self, &self->news.told);
  else untell_all(self);
  /* What is said of another journal than this one counts for nothing. */
  if (self->journal_state == JOURNAL_OPEN && after > self->durable) after = 0;
  self->news.after = lk_max_u64(self->news.after, after);
  forget_up_to(self, self->news.after);
  lk_house_retire(self);
  self->news.asker = number;
  self->news.request = m->request;
  answer_waiting(self);
}

/* It is another edge now: nobody waits for the answer. */
void lk_house_forget_asker(lk_house *self, uint32_t index) {
  if (self->news.request != 0 && edge_of(self->news.asker) == index) self->news.request = 0;
}
