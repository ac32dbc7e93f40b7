/* room/doc_notes.c -- notes at places that the numbers of their members choose.
 *
 * Each stands at its own place or at the next free one behind it. A quarter of the places is free at least. Numbers are
 * given by edges and not chosen by strangers, so the hash needs no key.
 *
 *   texts   lengths | subject | vector       one block of just that size */
#include "room/doc_notes.h"

#define CAP_MIN 2u
#define CAP_MAX (1u << 30)

struct lk_doc_note_texts {
  uint32_t subject_len;
  uint32_t vector_len;
  uint8_t bytes[];
};

typedef lk_doc_note note;
typedef lk_doc_note_texts texts;

/* ---- texts ---- */

static size_t size_of(const texts *t) { return sizeof *t + (size_t)t->subject_len + t->vector_len; }

static void free_texts(lk_doc_note *self, const lk_alloc *alloc) {
  if (self->texts != NULL) lk_free_bytes(alloc, self->texts, size_of(self->texts));
  self->texts = NULL;
}

lk_slice lk_doc_note_subject(const lk_doc_note *self) {
  const texts *t = self->texts;
  return t == NULL ? LK_SLICE_EMPTY : lk_slice_of(t->bytes, t->subject_len);
}

lk_slice lk_doc_note_vector(const lk_doc_note *self) {
  const texts *t = self->texts;
  return t == NULL ? LK_SLICE_EMPTY : lk_slice_of(t->bytes + t->subject_len, t->vector_len);
}

lk_err lk_doc_note_set(lk_doc_note *self, const lk_alloc *alloc, lk_slice subject,
                       lk_slice vector) {
  texts *made = NULL;
  size_t len;
  if (!lk_add_size(subject.len, vector.len, &len) || len > UINT32_MAX) return LK_ERR_LIMIT;
  if (len > 0) {
    made = lk_alloc_bytes(alloc, sizeof *made + len);
    if (made == NULL) return LK_ERR_NOMEM;
    *made = (texts){ (uint32_t)subject.len, (uint32_t)vector.len };
    if (subject.len > 0) memcpy(made->bytes, subject.ptr, subject.len);
    if (vector.len > 0) memcpy(made->bytes + subject.len, vector.ptr, vector.len);
  }
  free_texts(self, alloc);
  self->texts = made;
  return LK_OK;
}

/* ---- places ---- */

/* The golden ratio spreads numbers that follow one another. */
static uint32_t own_place(uint64_t member, uint32_t mask) {
  return (uint32_t)(member * UINT64_C(0x9E3779B97F4A7C15) >> 32) & mask;
}

/* Where |member| stands, or where it would. */
static note *place_of(const lk_doc_notes *self, uint64_t member) {
  uint32_t mask = self->cap - 1, at = own_place(member, mask);
  while (self->places[at].member != member && self->places[at].member != 0) at = (at + 1) & mask;
  return &self->places[at];
}

lk_doc_note *lk_doc_notes_find(const lk_doc_notes *self, uint64_t member) {
  if (self->count == 0 || member == 0) return NULL;
  note *n = place_of(self, member);
  return n->member == member ? n : NULL;
}

static lk_err grow(lk_doc_notes *self, const lk_alloc *alloc) {
  lk_doc_notes now = { .cap = lk_max_u32(CAP_MIN, self->cap * 2), .count = self->count };
  if (self->cap == CAP_MAX) return LK_ERR_LIMIT;
  now.places = lk_alloc_array(alloc, now.cap, sizeof *now.places);
  if (now.places == NULL) return LK_ERR_NOMEM;
  memset(now.places, 0, now.cap * sizeof *now.places);
  for (uint32_t i = 0; i < self->cap; i++) {
    const note *n = &self->places[i];
    if (n->member != 0) *place_of(&now, n->member) = *n;
  }
  lk_free_array(alloc, self->places, self->cap, sizeof *self->places);
  *self = now;
  return LK_OK;
}

lk_err lk_doc_notes_make(lk_doc_notes *self, const lk_alloc *alloc, uint64_t member,
                         lk_doc_note **out) {
  LK_ASSERT(member != 0);
  *out = lk_doc_notes_find(self, member);
  if (*out != NULL) return LK_OK;
  if ((self->count + (uint64_t)1) * 4 > (uint64_t)self->cap * 3) {
    lk_err err = grow(self, alloc);
    if (err != LK_OK) return err;
  }
  *out = place_of(self, member);
  **out = (note){ .member = member };
  self->count++;
  return LK_OK;
}

/* Moves up what stands behind the gap and belongs before it, so that searches may end at a free place. */
static void close_gap(const lk_doc_notes *self, uint32_t gap) {
  uint32_t mask = self->cap - 1;
  for (uint32_t at = (gap + 1) & mask; self->places[at].member != 0; at = (at + 1) & mask) {
    uint32_t own = own_place(self->places[at].member, mask);
    if (((at - own) & mask) < ((at - gap) & mask)) continue; /* its own is behind the gap */
    self->places[gap] = self->places[at];
    gap = at;
  }
  self->places[gap] = (note){ 0 };
}

void lk_doc_notes_forget(lk_doc_notes *self, const lk_alloc *alloc, uint64_t member) {
  note *n = lk_doc_notes_find(self, member);
  if (n == NULL) return;
  free_texts(n, alloc);
  close_gap(self, (uint32_t)(n - self->places));
  if (--self->count == 0) lk_doc_notes_deinit(self, alloc);
}

void lk_doc_notes_deinit(lk_doc_notes *self, const lk_alloc *alloc) {
  for (uint32_t i = 0; i < self->cap; i++) free_texts(&self->places[i], alloc);
  lk_free_array(alloc, self->places, self->cap, sizeof *self->places);
  *self = (lk_doc_notes){ 0 };
}
