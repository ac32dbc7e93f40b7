/* sim/doc_typist.c -- whoever types, deletes and formats, and tells the ledger. */
#include "codec/utf.h"
#include "sim/doc_user.h"

static void type(doc_user *self) {
  uint8_t utf8[3 * DOC_TYPED_MAX + 1];
  size_t len = 0;
  doc_pending what = { 0 };
  doc_ledger *ledger = ledger_of(self);
  uint64_t length = lk_doc_node_length(self->doc, self->text);
  uint64_t wanted = lk_prng_range(&self->prng, 1, DOC_TYPED_MAX);
  if (ledger->count + DOC_TYPED_MAX > DOC_LETTERS_MAX) return;
  while (what.typed_count < wanted) {
    uint32_t *index = &what.typed[what.typed_count++];
    doc_ledger_typed(ledger, self->number, !self->may_write, index);
    len += lk_utf8_encode(doc_letter_point(*index), utf8 + len);
  }
  uint64_t at = lk_prng_chance(&self->prng, 1, 3) ? length : lk_prng_below(&self->prng, length + 1);
  doc_user_expect(self, lk_doc_text_insert(self->doc, self->text, at, lk_slice_of(utf8, len), NULL),
                  "types");
  doc_provider_take_change(self, &what);
}

/* Who may only read deletes nothing but in its own replica. */
static void note_deleted(doc_user *self, uint64_t at, uint64_t count, doc_pending *what) {
  lk_buf text;
  size_t letters;
  uint32_t *all = lk_alloc_array(alloc_of(self), DOC_LETTERS_MAX, sizeof *all);
  LK_ASSERT(all != NULL);
  lk_buf_init(&text, alloc_of(self), SIZE_MAX / 2);
  doc_user_expect(self, lk_doc_text_string(self->doc, self->text, &text), "reads its text");
  if (!doc_letters_of(lk_buf_slice(&text), all, DOC_LETTERS_MAX, &letters) ||
      letters < at + count) {
    sim_world_fail(world_of(self), "phantom: %s has letters that nobody typed", self->node.name);
    count = 0;
  }
  for (uint64_t i = 0; i < count && self->may_write; i++) {
    doc_ledger_deleted(ledger_of(self), self->number, all[at + i]);
    what->deleted[what->deleted_count++] = all[at + i];
  }
  lk_buf_deinit(&text);
  lk_free_array(alloc_of(self), all, DOC_LETTERS_MAX, sizeof *all);
}

static void erase(doc_user *self) {
  doc_pending what = { 0 };
  uint64_t length = lk_doc_node_length(self->doc, self->text);
  if (length == 0) return;
  uint64_t at = lk_prng_below(&self->prng, length);
  uint64_t count = lk_min_u64(1 + lk_prng_below(&self->prng, DOC_DELETED_MAX), length - at);
  note_deleted(self, at, count, &what);
  doc_user_expect(self, lk_doc_text_delete(self->doc, self->text, at, count), "deletes");
  doc_provider_take_change(self, &what);
}

static void format(doc_user *self) {
  static const doc_pending nothing = { 0 };
  uint64_t length = lk_doc_node_length(self->doc, self->text);
  if (length == 0) return;
  uint64_t at = lk_prng_below(&self->prng, length);
  uint64_t count = 1 + lk_prng_below(&self->prng, length - at);
  lk_attribute bold = { .key = LK_LIT("bold"),
                        .value = { .kind = LK_VALUE_BOOL, .boolean = true } };
  if (lk_prng_chance(&self->prng, 1, 2)) bold.value = (lk_value){ .kind = LK_VALUE_NULL };
  const lk_attributes attributes = { &bold, 1 };
  doc_user_expect(self, lk_doc_text_format(self->doc, self->text, at, count, &attributes),
                  "formats");
  doc_provider_take_change(self, &nothing);
}

static void set_entry(doc_user *self) {
  static const doc_pending nothing = { 0 };
  lk_slice key = doc_keys[lk_prng_below(&self->prng, DOC_KEYS_COUNT)];
  lk_value value = { .kind = LK_VALUE_NUMBER, .number = (double)lk_prng_below(&self->prng, 1000) };
  doc_user_expect(self, lk_doc_map_set(self->doc, self->map, key, &value), "sets an entry");
  doc_provider_take_change(self, &nothing);
}

void doc_typist_change(doc_user *self) {
  uint64_t choice = lk_prng_below(&self->prng, 100);
  if (lk_prng_below(&self->prng, 100) < world_of(self)->options->versions_percent) {
    doc_librarian_act(self);
    return;
  }
  if (self->pending_count == DOC_PENDING_MAX) return;
  if (!self->may_write && choice < 80) return; /* most of the time it keeps to it */
  lk_buf_truncate(&self->local, 0);
  if (choice < 55) type(self);
  else if (choice < 75) erase(self);
  else if (choice < 85) format(self);
  else if (choice < 92) set_entry(self);
  else if (self->is_joined) doc_provider_show(self);
}
