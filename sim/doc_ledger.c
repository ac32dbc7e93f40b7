/* sim/doc_ledger.c -- letters and what became of them.
 *
 * A letter must be there where it was acknowledged or its author's replica lives, unless somebody deleted it; it must not be
 * there where a living replica deleted it, or its deletion was acknowledged. In between it may. Who restores a version
 * rewrites the text: of letters that were there before, doc_shelf.c knows what must hold. */
#include "codec/utf.h"
#include "sim/doc_world.h"

#define POINT_FIRST 0x3400u /* all up to 0xd7ff are three bytes and one unit */
#define TIMES_MAX 2

uint32_t doc_letter_point(uint32_t index) { return POINT_FIRST + index; }

bool doc_letters_of(lk_slice utf8, uint32_t *out, size_t max, size_t *count) {
  uint32_t point;
  *count = 0;
  while (utf8.len > 0) {
    if (*count == max || lk_utf8_decode(&utf8, &point) != LK_OK) return false;
    if (point < POINT_FIRST || point >= POINT_FIRST + DOC_LETTERS_MAX) return false;
    out[(*count)++] = point - POINT_FIRST;
  }
  return true;
}

/* ---- what users did and were told ---- */

void doc_ledger_typed(doc_ledger *self, uint32_t user, bool is_forbidden, uint32_t *index) {
  LK_ASSERT(self->count < DOC_LETTERS_MAX);
  *index = self->count++;
  self->letters[*index] = (doc_letter){ .author = (uint16_t)user,
                                        .is_alive = true,
                                        .is_forbidden = is_forbidden,
                                        .is_rewritten = self->rewritings > 0 };
}

void doc_ledger_deleted(doc_ledger *self, uint32_t user, uint32_t index) {
  self->letters[index].was_deleted = true;
  self->letters[index].deleters |= (uint16_t)(1u << user);
}

void doc_ledger_acked(doc_ledger *self, uint32_t index) { self->letters[index].is_acked = true; }

void doc_ledger_deletion_acked(doc_ledger *self, uint32_t index) {
  self->letters[index].deletion_is_acked = true;
}

void doc_ledger_replica_gone(doc_ledger *self, uint32_t user) {
  for (uint32_t i = 0; i < self->count; i++) {
    self->letters[i].deleters &= (uint16_t) ~(1u << user);
    if (self->letters[i].author == user) self->letters[i].is_alive = false;
  }
}

void doc_ledger_void(doc_ledger *self) {
  self->epoch++;
  for (uint32_t i = 0; i < self->count; i++)
    self->letters[i].is_acked = self->letters[i].deletion_is_acked = false;
}

void doc_ledger_rewriting(doc_ledger *self) {
  self->rewritings++;
  for (uint32_t i = 0; i < self->count; i++) self->letters[i].is_rewritten = true;
}

void doc_ledger_rewritten(doc_ledger *self) { self->rewritings--; }

/* ---- what must hold ---- */

static void count_letters(doc_ledger *self, const char *who, lk_slice text,
                          uint8_t times[DOC_LETTERS_MAX]) {
  uint32_t point;
  memset(times, 0, DOC_LETTERS_MAX);
  while (text.len > 0) {
    uint32_t index = lk_utf8_decode(&text, &point) == LK_OK ? point - POINT_FIRST : UINT32_MAX;
    if (index >= self->count) {
      sim_world_fail(self->world, "phantom: %s of %s has a letter that nobody typed", who,
                     self->topic);
      return;
    }
    if (times[index] < TIMES_MAX) times[index]++;
  }
}

static void check_letter(doc_ledger *self, const char *who, uint32_t i, uint8_t times) {
  const doc_letter *letter = &self->letters[i];
  if (times > 1)
    sim_world_fail(self->world, "twice: %s of %s has letter %u of user %u twice", who, self->topic,
                   i, letter->author);
  if (times > 0 && letter->is_forbidden)
    sim_world_fail(self->world, "forbidden: %s of %s has letter %u of user %u, who may only read",
                   who, self->topic, i, letter->author);
  if (times > 0 && letter->deletion_is_acked && !letter->is_rewritten)
    sim_world_fail(self->world, "lost: %s of %s has letter %u, whose deletion was acknowledged",
                   who, self->topic, i);
}

/* Where it is due at all. */
static bool may_not_miss(const doc_letter *letter) {
  return !letter->was_deleted && !letter->is_rewritten;
}

void doc_ledger_check(doc_ledger *self, const char *who, lk_slice text) {
  uint8_t times[DOC_LETTERS_MAX];
  self->checks++;
  count_letters(self, who, text, times);
  for (uint32_t i = 0; i < self->count && !self->world->failed; i++) {
    const doc_letter *letter = &self->letters[i];
    check_letter(self, who, i, times[i]);
    if (times[i] == 0 && letter->is_acked && may_not_miss(letter))
      sim_world_fail(self->world, "lost: %s of %s misses letter %u of user %u, acknowledged", who,
                     self->topic, i, letter->author);
  }
}

void doc_ledger_check_complete(doc_ledger *self, const char *who, lk_slice text) {
  uint8_t times[DOC_LETTERS_MAX];
  self->checks++;
  count_letters(self, who, text, times);
  for (uint32_t i = 0; i < self->count && !self->world->failed; i++) {
    const doc_letter *letter = &self->letters[i];
    bool is_alive = letter->is_alive && !letter->is_forbidden;
    bool is_due = is_alive || letter->is_acked;
    check_letter(self, who, i, times[i]);
    if (times[i] == 0 && is_due && may_not_miss(letter))
      sim_world_fail(self->world, "lost: %s of %s misses letter %u of user %u in the end", who,
                     self->topic, i, letter->author);
    if (times[i] > 0 && letter->deleters != 0 && !letter->is_rewritten)
      sim_world_fail(self->world, "diverged: %s of %s has letter %u, which somebody deleted", who,
                     self->topic, i);
  }
}
