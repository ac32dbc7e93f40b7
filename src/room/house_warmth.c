/* room/house_warmth.c -- what a topic needs while somebody writes it, and not when nobody does.
 *
 * Many topics are open, and few of them are written at a time. What writing takes stands apart from the entry, and is
 * given back a while after the last record: the record under way, and in level memory the scroll with its open file.
 *
 *        a record, a load, an end             WARM_MS without one, nothing under way
 *   cold ─────────────────────> warm ───────────────────────────> the scroll's file is closed ──> cold
 *                                 ^                                   │ a record came meanwhile
 *                                 └───────────────────────────────────┘
 *
 * Of a scroll, where it ends is all that an entry that is cold knows. With it goes what had to be remembered of requests
 * that their edges know to be answered by now.
 *
 * Always: an entry with a record under way is warm, and so is one whose scroll has something under way, or a file open. Those
 * that are warm are on house.warm, in the order of their last use. */
#include "room/house_parts.h"

#define WARM_MS 2000

static const lk_alloc *alloc_of(const lk_house *self) {
  return (self->awake != NULL ? self->awake : self->env)->alloc;
}

static void use(warmth *w) {
  lk_house *house = w->entry->house;
  w->cools_at_ms = house->now_ms + WARM_MS;
  lk_list_push_last(&house->warm, &w->link);
}

static void init_scroll(entry *e) {
  lk_house *house = e->house;
  lk_scroll *scroll = &e->warmth->scroll;
  lk_scroll_init(scroll, alloc_of(house), house->memory, entry_topic(e),
                 house->limits->log_record_bytes, SIZE_MAX / 4, e);
  lk_scroll_resume(scroll, e->scroll_end);
}

lk_err lk_house_warm(entry *e) {
  lk_house *house = e->house;
  if (e->warmth != NULL) {
    lk_list_remove(&house->warm, &e->warmth->link);
  } else {
    warmth *w = lk_alloc_bytes(alloc_of(house), sizeof *w);
    if (w == NULL) return LK_ERR_NOMEM;
    *w = (warmth){ .entry = e };
    e->warmth = w;
    if (e->is_memory) init_scroll(e);
  }
  use(e->warmth);
  return LK_OK;
}

void lk_house_free_warmth(entry *e) {
  warmth *w = e->warmth;
  lk_house *house = e->house;
  if (w == NULL) return;
  if (e->is_memory) e->scroll_end = w->scroll.end;
  lk_list_remove(&house->warm, &w->link);
  lk_scroll_deinit(&w->scroll);
  lk_free_bytes(alloc_of(house), w, sizeof *w);
  e->warmth = NULL;
}

uint64_t lk_house_scroll_bytes(entry *e) {
  uint64_t end = e->warmth != NULL ? e->warmth->scroll.end : e->scroll_end;
  return lk_scroll_bytes_before(entry_topic(e), end);
}

void lk_house_move_to_memory(entry *e) {
  LK_ASSERT(lk_house_is_at_rest(e));
  lk_house_free_warmth(e);
  e->is_memory = true;
  e->scroll_end = 0;
  lk_keeper_deinit(&e->keeper);
}

/* ---- cooling ---- */

static void cool(entry *e) {
  lk_house_free_answered(e);
  if (e->is_memory && lk_scroll_close(&e->warmth->scroll)) {
    lk_list_remove(&e->house->warm, &e->warmth->link);
    use(e->warmth); /* until it is closed */
    e->house->busy_count++;
  } else {
    lk_house_free_warmth(e);
  }
}

void lk_house_scroll_is_closed(entry *e) {
  if (e->state != ENTRY_OPEN) lk_house_closing_goes_on(e, LK_OK);
  else if (lk_house_is_at_rest(e)) lk_house_free_warmth(e);
}

/* What is not open is loaded or closed soon, and looked at again after that. */
void lk_house_cool(lk_house *self) {
  for (lk_link *at; (at = self->warm.first) != NULL;) {
    warmth *w = LK_CONTAINER(at, warmth, link);
    if (w->cools_at_ms > self->now_ms) return;
    if (w->entry->state == ENTRY_OPEN && lk_house_is_at_rest(w->entry)) {
      cool(w->entry);
    } else {
      lk_list_remove(&self->warm, at);
      use(w);
    }
  }
}

uint64_t lk_house_cools_at(const lk_house *self) {
  if (self->warm.first == NULL) return LK_HOUSE_NEVER;
  return LK_CONTAINER(self->warm.first, const warmth, link)->cools_at_ms;
}
