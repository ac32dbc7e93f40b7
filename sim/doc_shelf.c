/* sim/doc_shelf.c -- versions, and what somebody was told of them.
 *
 *   saved     acknowledged: it is there until somebody asks to delete it, under its name. It shows what had been acknowledged
 *             before it was asked for, nothing that was typed after it was acknowledged, and always the same
 *   deleted   acknowledged: it is not there, and does not come back
 *   restored  acknowledged: what had been acknowledged before it was asked for and the version does not show is gone.
 *             A room restores under a client id of its own: there are no more of those than requests
 *
 * To restore is to delete and to write again, so the ledger lets go of all letters that were there by then. What they became
 * is asked here, as far as no other restoring was under way. Versions that are made by themselves are nobody's promise. */
#include "codec/utf.h"
#include "codec/varint.h"
#include "laniakea/doc_history.h"
#include "sim/doc_world.h"

#define CLIENT_LEAST 16 /* ids below are of what every client makes alike */

static bool has(const doc_letters set, uint32_t index) {
  return (set[index / 8] >> index % 8 & 1) != 0;
}

static void put(doc_letters set, uint32_t index) {
  set[index / 8] = (uint8_t)(set[index / 8] | 1u << index % 8);
}

/* ---- what users ask for and are told ---- */

void doc_shelf_opened(doc_shelf *self, uint64_t client) {
  if (self->clients_count < DOC_CLIENTS_MAX) self->clients[self->clients_count] = client;
  self->clients_count++;
}

bool doc_shelf_draw(const doc_shelf *self, lk_prng *prng, uint32_t *index) {
  if (self->count == 0) return false;
  *index = (uint32_t)lk_prng_below(prng, self->count);
  return !self->saved[*index].is_doomed;
}

/* All that is settled now will be shown by a version that is made later, unless somebody restores another one meanwhile. */
static void ask_to_save(doc_shelf *self, doc_wish *wish) {
  const doc_ledger *ledger = self->ledger;
  for (uint32_t i = 0; i < ledger->count && ledger->rewritings == 0; i++) {
    const doc_letter *letter = &ledger->letters[i];
    if (letter->is_acked && !letter->was_deleted && !letter->is_rewritten) put(wish->due, i);
  }
}

static void ask_to_restore(doc_shelf *self, const doc_wish *wish) {
  doc_restore *last = &self->last;
  *last = (doc_restore){ .index = wish->index, .is_alone = self->ledger->rewritings == 0 };
  for (uint32_t i = 0; i < self->ledger->count; i++)
    if (self->ledger->letters[i].is_acked) put(last->before, i);
  last->number = wish->number;
  self->restores_asked++;
  doc_ledger_rewriting(self->ledger);
}

void doc_shelf_ask(doc_shelf *self, doc_wish *wish) {
  memset(wish->due, 0, sizeof wish->due);
  wish->number = ++self->wishes;
  switch (wish->kind) {
  case DOC_WISH_NONE: break;
  case DOC_WISH_SAVE: ask_to_save(self, wish); return;
  case DOC_WISH_RESTORE: ask_to_restore(self, wish); return;
  case DOC_WISH_DELETE: self->saved[wish->index].is_doomed = true; return;
  }
  LK_UNREACHABLE();
}

static void saved(doc_shelf *self, const doc_wish *wish, uint64_t id) {
  const doc_ledger *ledger = self->ledger;
  if (self->count == DOC_SAVED_MAX) return;
  doc_saved *it = &self->saved[self->count++];
  *it = (doc_saved){ .id = id, .number = wish->number, .typed = ledger->count };
  for (uint32_t i = 0; i < ledger->count; i++) {
    const doc_letter *letter = &ledger->letters[i];
    if (has(wish->due, i) && !letter->was_deleted && !letter->is_rewritten) put(it->due, i);
  }
}

static void end_restoring(doc_shelf *self, const doc_wish *wish, bool is_done) {
  if (self->last.number == wish->number) self->last.is_acked = is_done;
  doc_ledger_rewritten(self->ledger);
}

void doc_shelf_answered(doc_shelf *self, const doc_wish *wish, bool is_done, uint64_t id) {
  if (wish->kind == DOC_WISH_SAVE && is_done) saved(self, wish, id);
  if (wish->kind == DOC_WISH_RESTORE) end_restoring(self, wish, is_done);
  if (wish->kind == DOC_WISH_DELETE && is_done) self->saved[wish->index].is_gone = true;
}

/* ---- what must hold ---- */

/* What a version says; false where it cannot be read. */
static bool read_version(const doc_kept *kept, const lk_doc_version *version, doc_world *world,
                         lk_buf *out) {
  doc_kept then;
  lk_buf update;
  doc_kept_init(&then, world);
  lk_buf_init(&update, world->world->alloc, SIZE_MAX / 2);
  lk_err err = lk_doc_at_snapshot(kept->doc, LK_UPDATE_V2, version->snapshot, LK_UPDATE_V1,
                                  &update);
  if (err == LK_OK) err = lk_doc_load(then.doc, LK_UPDATE_V1, lk_buf_slice(&update), 0);
  if (err == LK_OK) doc_write_text(then.doc, out);
  lk_buf_deinit(&update);
  doc_kept_deinit(&then);
  return err == LK_OK;
}

static uint64_t digest_of(lk_slice text) {
  uint64_t digest = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < text.len; i++) digest = (digest ^ text.ptr[i]) * UINT64_C(0x100000001b3);
  return digest;
}

/* The letters of |text| as a set. What is no letter, or there twice, is a failure. */
static void gather(doc_shelf *self, const char *who, lk_slice text, doc_letters out) {
  uint32_t all[DOC_LETTERS_MAX];
  size_t count;
  memset(out, 0, sizeof(doc_letters));
  if (!doc_letters_of(text, all, DOC_LETTERS_MAX, &count)) {
    sim_world_fail(self->ledger->world, "phantom: %s has a letter that nobody typed", who);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    if (has(out, all[i]))
      sim_world_fail(self->ledger->world, "twice: %s has letter %u twice", who, all[i]);
    put(out, all[i]);
  }
}

static void check_letters(doc_shelf *self, const doc_saved *it, lk_slice text) {
  char who[48];
  doc_letters shown;
  sim_world *world = self->ledger->world;
  (void)snprintf(who, sizeof who, "version %llu", (unsigned long long)it->id);
  gather(self, who, text, shown);
  for (uint32_t i = 0; i < self->ledger->count && !world->failed; i++) {
    if (has(it->due, i) && !has(shown, i))
      sim_world_fail(world, "lost: %s misses letter %u, which had been acknowledged", who, i);
    if (i >= it->typed && has(shown, i))
      sim_world_fail(world, "phantom: %s has letter %u, which was typed after it", who, i);
    if (has(shown, i) && self->ledger->letters[i].is_forbidden)
      sim_world_fail(world, "forbidden: %s has letter %u", who, i);
  }
}

static void check_saved(doc_shelf *self, doc_saved *it, const doc_kept *kept, doc_world *world) {
  char name[32];
  lk_buf text;
  const lk_doc_version *version = lk_doc_versions_find(&kept->versions, it->id);
  unsigned long long id = it->id;
  if (it->is_gone && version != NULL)
    sim_world_fail(world->world, "undead: version %llu is there, and was deleted", id);
  if (it->is_doomed && version == NULL) return;
  (void)snprintf(name, sizeof name, "v%llu", (unsigned long long)it->number);
  if (version == NULL || !lk_slice_equal(version->name, lk_slice_cstr(name))) {
    sim_world_fail(world->world, "lost: version %llu, acknowledged, is not there", id);
    return;
  }
  lk_buf_init(&text, world->world->alloc, SIZE_MAX / 2);
  if (!read_version(kept, version, world, &text))
    sim_world_fail(world->world, "lost: version %llu cannot be read", id);
  uint64_t digest = digest_of(lk_buf_slice(&text));
  if (!it->has_said) check_letters(self, it, lk_buf_slice(&text));
  else if (digest != it->digest)
    sim_world_fail(world->world, "lost: version %llu said something else before", id);
  it->has_said = true;
  it->digest = digest;
  lk_buf_deinit(&text);
}

/* What the version of the last restoring does not show was there before it, and is not any more. */
static void check_restored(doc_shelf *self, const doc_kept *kept, doc_world *world) {
  lk_buf text;
  doc_letters now, then;
  const doc_restore *last = &self->last;
  if (!last->is_acked || !last->is_alone || self->ledger->rewritings > 0) return;
  const lk_doc_version *version = lk_doc_versions_find(&kept->versions,
                                                       self->saved[last->index].id);
  if (version == NULL) return; /* deleted */
  lk_buf_init(&text, world->world->alloc, SIZE_MAX / 2);
  bool is_read = read_version(kept, version, world, &text);
  gather(self, "a version that was restored", lk_buf_slice(&text), then);
  lk_buf_truncate(&text, 0);
  doc_write_text(kept->doc, &text);
  gather(self, "the server", lk_buf_slice(&text), now);
  for (uint32_t i = 0; is_read && i < self->ledger->count && !world->world->failed; i++) {
    if (has(last->before, i) && !has(then, i) && has(now, i))
      sim_world_fail(world->world, "undone: version %llu was restored, and letter %u is there",
                     (unsigned long long)version->id, i);
  }
  lk_buf_deinit(&text);
}

static bool is_of_a_user(const doc_shelf *self, uint64_t client) {
  if (self->clients_count > DOC_CLIENTS_MAX) return true; /* not all are known */
  for (uint32_t i = 0; i < self->clients_count; i++) {
    if (self->clients[i] == client) return true;
  }
  return client < CLIENT_LEAST;
}

static void check_clients(doc_shelf *self, const doc_kept *kept, doc_world *world) {
  lk_buf vector;
  uint64_t count = 0, client = 0, clock = 0;
  uint32_t strangers = 0;
  lk_buf_init(&vector, world->world->alloc, SIZE_MAX / 2);
  lk_err err = lk_doc_state_vector(kept->doc, &vector);
  lk_reader in = lk_reader_of(lk_buf_slice(&vector));
  if (err == LK_OK) err = lk_varuint_decode(&in, UINT32_MAX, &count);
  for (; err == LK_OK && count > 0; count--) {
    err = lk_varuint_decode(&in, UINT64_MAX, &client);
    if (err == LK_OK) err = lk_varuint_decode(&in, UINT64_MAX, &clock);
    strangers += !is_of_a_user(self, client);
  }
  LK_ASSERT(err == LK_OK); /* our own bytes, and the simulator's own memory */
  if (strangers > self->restores_asked)
    sim_world_fail(world->world, "twice: %u restorings were asked for, and %u were made",
                   self->restores_asked, strangers);
  lk_buf_deinit(&vector);
}

void doc_shelf_check(doc_shelf *self, const doc_kept *kept, doc_world *world) {
  for (uint32_t i = 0; i < self->count && !world->world->failed; i++)
    check_saved(self, &self->saved[i], kept, world);
  if (!world->world->failed) check_restored(self, kept, world);
  if (!world->world->failed) check_clients(self, kept, world);
}
