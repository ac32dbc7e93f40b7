/* doc/news.c -- an update is read as if it were taken in, and left at the first thing that is new.
 *
 * What editors send is nearly always new, and its first struct says so. Only what is all known is read to its end, with
 * its deleted ranges: those are walked item by item, but for blocks of which it is known that all is deleted. Ranges
 * may lie over each other as often as a stranger likes, so steps are counted, as for applying. */
#include "doc/news.h"

#include "doc/apply.h"

#define SCRATCH_MAX ((size_t)1 << 26)

typedef struct reading {
  lk_doc *doc;
  lk_update_reader in;
  uint64_t steps_left;
  lk_news found;
} reading;

static uint32_t clock_of(const lk_doc *doc, uint16_t client) {
  return client == LK_NO_CLIENT ? 0 : doc->clients.at[client].clock;
}

/* LK_ERR_END where all structs are known. */
static lk_err read_structs(reading *self) {
  uint64_t id, clock, count;
  lk_struct view;
  lk_err err;
  while ((err = lk_update_next_client(&self->in, &id, &clock, &count)) == LK_OK) {
    uint32_t known = clock_of(self->doc, lk_client_find(self->doc, id));
    while ((err = lk_update_next_struct(&self->in, &view)) == LK_OK) {
      bool is_known = view.kind == LK_CONTENT_SKIP || view.id.clock + view.len <= known;
      if (is_known && self->steps_left-- > 0)
        continue; /* V2 says any number of structs in a few bytes */
      self->found = LK_NEWS_SOME;
      return LK_OK;
    }
    if (err != LK_ERR_END) return err;
  }
  return err;
}

/* What of one client's items between the clocks is not deleted yet. */
static void look_at_range(reading *self, uint16_t client, uint32_t clock, uint32_t end) {
  lk_doc *doc = self->doc;
  lk_place place = lk_client_place(doc, client, clock);
  do {
    const lk_block *block = &doc->clients.at[client].blocks[place.block];
    const lk_item *item = lk_item_at(doc, lk_place_item(doc, client, place));
    if (item->clock >= end) return;
    if (self->steps_left-- == 0) self->found = LK_NEWS_SOME;
    else if (block->dead) place.at = block->count - 1u;
    else if (!lk_item_deleted(item)) {
      lk_news news = item->kind == LK_CONTENT_FORMAT ? LK_NEWS_HIDDEN : LK_NEWS_SOME;
      if (news > self->found) self->found = news;
    }
  } while (self->found != LK_NEWS_SOME && lk_place_next(doc, client, &place));
}

static lk_err read_deletes(reading *self) {
  uint64_t id, count, clock, len;
  lk_err err;
  while ((err = lk_update_next_delete_client(&self->in, &id, &count)) == LK_OK) {
    uint16_t client = lk_client_find(self->doc, id);
    uint32_t known = clock_of(self->doc, client);
    while ((err = lk_update_next_delete(&self->in, &clock, &len)) == LK_OK) {
      if (len == 0) continue;
      if (self->steps_left == 0 || clock + len > known) self->found = LK_NEWS_SOME;
      else look_at_range(self, client, (uint32_t)clock, (uint32_t)(clock + len));
      if (self->found == LK_NEWS_SOME) return LK_OK;
    }
    if (err != LK_ERR_END) return err;
  }
  return err == LK_ERR_END ? LK_OK : err;
}

lk_err lk_doc_news(lk_doc *doc, lk_update_format format, lk_slice update, lk_news *out) {
  reading self = { .doc = doc,
                   .steps_left = LK_STEPS_BASE + (uint64_t)LK_STEPS_EACH * update.len,
                   .found = LK_NEWS_NONE };
  lk_arena scratch;
  lk_arena_init(&scratch, &doc->alloc, SCRATCH_MAX);
  lk_typing_end(doc);
  lk_err err = lk_update_reader_init(&self.in, format, update, doc->limits.any_depth, &scratch);
  if (err == LK_OK) err = read_structs(&self);
  if (err == LK_ERR_END) err = read_deletes(&self);
  lk_arena_deinit(&scratch);
  if (err == LK_OK) *out = self.found;
  return err;
}

void lk_doc_set_limits(lk_doc *doc, const lk_limits *limits) {
  LK_ASSERT(doc->item_count == 0);
  doc->limits = *limits;
}

lk_err lk_doc_check_memory(lk_doc *doc, size_t more, size_t most) {
  size_t sum;
  if (lk_add_size(doc->bytes, more, &sum) && sum <= most) return LK_OK;
  return lk_doc_limit(doc, "room_memory_bytes");
}

uint32_t lk_doc_clients_count(const lk_doc *doc) { return doc->clients.count; }

uint64_t lk_doc_clock_of(const lk_doc *doc, uint64_t client) {
  return clock_of(doc, lk_client_find(doc, client));
}
