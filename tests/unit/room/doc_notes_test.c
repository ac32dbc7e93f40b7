#include "room/doc_notes.h"

#include "harness/gen.h"
#include "harness/test.h"

#include <stdio.h>

enum { MEMBERS = 60 };

/* As edges give them: a place, and above it how often it was taken, and whose it is. */
static uint64_t number_of(uint32_t i) {
  return (uint64_t)(i % 3) << 56 | (uint64_t)(1 + i % 2) << 32 | i / 3;
}

static void check_texts(const lk_doc_note *n, const char *subject, const char *vector) {
  CHECK_SLICE(lk_doc_note_subject(n), lk_slice_cstr(subject));
  CHECK_SLICE(lk_doc_note_vector(n), lk_slice_cstr(vector));
}

TEST(a_note_has_a_subject_and_a_vector_or_none) {
  lk_doc_notes notes = { 0 };
  lk_doc_note *n;
  CHECK(lk_doc_notes_find(&notes, 7) == NULL);
  lk_doc_notes_forget(&notes, test_alloc(), 7);
  CHECK_OK(lk_doc_notes_make(&notes, test_alloc(), 7, &n));
  CHECK(n->member == 7 && !n->is_refused && !n->was_asked && !n->hears);
  CHECK(lk_doc_notes_find(&notes, 0) == NULL); /* who asks without being in: no free place is its own */
  check_texts(n, "", "");
  CHECK_OK(lk_doc_note_set(n, test_alloc(), LK_LIT("ann"), LK_SLICE_EMPTY));
  check_texts(n, "ann", "");
  CHECK_OK(lk_doc_note_set(n, test_alloc(), lk_doc_note_subject(n), LK_LIT("\x01\x02\x03")));
  check_texts(n, "ann", "\x01\x02\x03");
  CHECK_OK(lk_doc_note_set(n, test_alloc(), LK_SLICE_EMPTY, lk_doc_note_vector(n)));
  check_texts(n, "", "\x01\x02\x03");
  CHECK_OK(lk_doc_note_set(n, test_alloc(), LK_SLICE_EMPTY, LK_SLICE_EMPTY));
  CHECK(n->texts == NULL);
  CHECK_OK(lk_doc_note_set(n, test_alloc(), LK_LIT("bob"), LK_LIT("v")));
  lk_doc_notes_forget(&notes, test_alloc(), 7);
  CHECK(lk_doc_notes_find(&notes, 7) == NULL);
  CHECK(notes.count == 0 && notes.cap == 0); /* who has none takes nothing */
  lk_doc_notes_deinit(&notes, test_alloc());
}

/* Against an array with a place for each member. */
PROPERTY(a_note_is_found_whoever_came_and_went) {
  bool model[MEMBERS] = { 0 };
  lk_doc_notes notes = { 0 };
  lk_doc_note *n;
  for (uint32_t step = 0; step < 300; step++) {
    char text[20];
    uint32_t who = gen_below(g, MEMBERS);
    bool is_growing = step < 150;
    if (gen_chance(g, is_growing ? 4 : 1, 5)) {
      CHECK_OK(lk_doc_notes_make(&notes, test_alloc(), number_of(who), &n));
      CHECK_U64(n->member, number_of(who));
      CHECK(n->hears == model[who]);
      (void)snprintf(text, sizeof text, "%u", (unsigned)who);
      if (!n->hears && who % 2 == 0)
        CHECK_OK(lk_doc_note_set(n, test_alloc(), lk_slice_cstr(text), LK_SLICE_EMPTY));
      n->hears = model[who] = true;
    } else {
      lk_doc_notes_forget(&notes, test_alloc(), number_of(who));
      model[who] = false;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < MEMBERS; i++) {
      n = lk_doc_notes_find(&notes, number_of(i));
      CHECK((n != NULL) == model[i]);
      count += model[i];
      (void)snprintf(text, sizeof text, "%u", (unsigned)i);
      if (n != NULL) check_texts(n, i % 2 == 0 ? text : "", "");
    }
    CHECK_U64(notes.count, count);
  }
  lk_doc_notes_deinit(&notes, test_alloc());
}

TEST(notes_without_memory_are_as_before) {
  FAULT_LOOP(faults, test_alloc()) {
    lk_doc_notes notes = { 0 };
    lk_doc_note *n;
    uint64_t made = 0;
    for (uint64_t i = 1; i <= 20; i++) {
      if (lk_doc_notes_make(&notes, faulty_alloc(&faults), i, &n) != LK_OK) break;
      made = i;
      if (lk_doc_note_set(n, faulty_alloc(&faults), LK_LIT("ann"), LK_SLICE_EMPTY) != LK_OK) {
        check_texts(n, "", "");
        break;
      }
    }
    CHECK_U64(notes.count, made);
    for (uint64_t i = 1; i <= 20; i++) CHECK((lk_doc_notes_find(&notes, i) != NULL) == (i <= made));
    lk_doc_notes_deinit(&notes, faulty_alloc(&faults));
  }
}
