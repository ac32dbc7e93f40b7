/* sim/doc_replica.c -- what a tab has of the document, and how it is read.
 *
 * A replica that comes back does so under a new client id, as editors have it. One that is thrown away takes with it what
 * nobody else has: the ledger is told. */
#include "codec/varint.h"
#include "sim/doc_user.h"

const lk_slice doc_keys[DOC_KEYS_COUNT] = { LK_LIT_INIT("a"), LK_LIT_INIT("b"), LK_LIT_INIT("c") };

/* ---- its life ---- */

static void on_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  doc_user *self = ctx;
  (void)doc;
  (void)origin;
  if (local) (void)lk_buf_append(&self->local, update);
}

void doc_replica_open(doc_user *self) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = lk_prng_u64(&self->node.prng) >> 32;
  options.seed[0] = lk_prng_u64(&self->node.prng);
  if (self->topic == DOC_KEPT) doc_shelf_opened(&self->world->shelf, options.client);
  doc_user_expect(self, lk_doc_open(&self->node.env, &options, &self->doc), "opens");
  doc_user_expect(self, lk_doc_root(self->doc, LK_LIT("text"), LK_NODE_TEXT, &self->text),
                  "has a text");
  doc_user_expect(self, lk_doc_root(self->doc, LK_LIT("map"), LK_NODE_MAP, &self->map),
                  "has a map");
  doc_user_expect(self,
                  lk_awareness_open(&self->node.env, options.client, now_of(self), &self->here),
                  "shows itself");
  if (self->has_saved)
    doc_user_expect(self, lk_doc_load(self->doc, LK_UPDATE_V1, lk_buf_slice(&self->saved), 0),
                    "loads");
  doc_user_expect(self, lk_doc_on_update(self->doc, LK_UPDATE_V1, on_update, self, NULL),
                  "observes");
}

void doc_replica_close(doc_user *self) {
  lk_doc_close(self->doc);
  lk_awareness_close(self->here);
  self->doc = NULL;
  self->here = NULL;
}

void doc_replica_forget_pending(doc_user *self, uint32_t at) {
  lk_buf_deinit(&self->pending[at].update);
  self->pending_count--;
  for (uint32_t i = at; i < self->pending_count; i++) self->pending[i] = self->pending[i + 1];
}

/* Nothing of the replica is left. */
void doc_replica_lose(doc_user *self) {
  while (self->pending_count > 0) doc_replica_forget_pending(self, self->pending_count - 1);
  doc_ledger_replica_gone(ledger_of(self), self->number);
  self->has_saved = self->is_dirty = self->has_tidied = self->was_acked = false;
  self->generation[0] = 0;
  self->replicas++;
}

void doc_replica_renew(doc_user *self) {
  doc_replica_lose(self);
  doc_replica_close(self);
  doc_replica_open(self);
}

void doc_replica_save(doc_user *self) {
  lk_buf_truncate(&self->saved, 0);
  doc_user_expect(self, lk_doc_encode(self->doc, LK_UPDATE_V1, LK_SLICE_EMPTY, &self->saved),
                  "saves");
  self->has_saved = true;
}

/* ---- what it has ---- */

void doc_replica_apply(doc_user *self, lk_slice update) {
  lk_buf_truncate(&self->local, 0);
  doc_user_expect(self, lk_doc_apply(self->doc, LK_UPDATE_V1, update, 0),
                  "cannot apply what it was sent");
  if (self->local.len > 0) doc_provider_take_tidied(self);
}

/* What the replica has beyond |vector|. */
void doc_replica_encode_beyond(doc_user *self, lk_slice vector, lk_buf *out) {
  lk_buf_init(out, alloc_of(self), SIZE_MAX / 2);
  doc_user_expect(self, lk_doc_encode(self->doc, LK_UPDATE_V1, vector, out), "encodes");
}

void doc_replica_encode_vector(doc_user *self, lk_buf *out) {
  lk_buf_init(out, alloc_of(self), SIZE_MAX / 2);
  doc_user_expect(self, lk_doc_state_vector(self->doc, out), "encodes its vector");
}

/* The clock of |client| in |vector|; 0 where it has none. */
static uint64_t clock_in(lk_slice vector, uint64_t client) {
  lk_reader in = lk_reader_of(vector);
  uint64_t count = 0, other = 0, clock = 0;
  lk_err err = lk_varuint_decode(&in, UINT32_MAX, &count);
  for (; err == LK_OK && count > 0; count--) {
    err = lk_varuint_decode(&in, UINT64_MAX, &other);
    if (err == LK_OK) err = lk_varuint_decode(&in, UINT64_MAX, &clock);
    if (err == LK_OK && other == client) return clock;
  }
  return 0;
}

/* Whether the replica shows something that is beyond |vector|. What waits for other updates is in no vector: both may have it. */
bool doc_replica_has_more(doc_user *self, lk_slice vector) {
  lk_buf own;
  uint64_t count = 0, client = 0, clock = 0;
  bool more = false;
  doc_replica_encode_vector(self, &own);
  lk_reader in = lk_reader_of(lk_buf_slice(&own));
  lk_err err = lk_varuint_decode(&in, UINT32_MAX, &count);
  for (; err == LK_OK && !more && count > 0; count--) {
    err = lk_varuint_decode(&in, UINT64_MAX, &client);
    if (err == LK_OK) err = lk_varuint_decode(&in, UINT64_MAX, &clock);
    more = err == LK_OK && clock > clock_in(vector, client);
  }
  doc_user_expect(self, err, "reads its own vector");
  lk_buf_deinit(&own);
  return more;
}

/* ---- reading ---- */

void doc_write_text(lk_doc *doc, lk_buf *out) {
  lk_node text;
  lk_err err = lk_doc_root(doc, LK_LIT("text"), LK_NODE_TEXT, &text);
  if (err == LK_OK) err = lk_doc_text_string(doc, text, out);
  LK_ASSERT(err == LK_OK); /* the simulator's own memory */
}

/* Keys stand in the order in which they came, which differs from replica to replica: so they are asked for one by one. */
static void write_entries(lk_doc *doc, lk_buf *out) {
  lk_node map;
  lk_value value;
  lk_err err = lk_doc_root(doc, LK_LIT("map"), LK_NODE_MAP, &map);
  LK_ASSERT(err == LK_OK);
  for (size_t i = 0; i < DOC_KEYS_COUNT; i++) {
    bool has = lk_doc_map_get(doc, map, doc_keys[i], &value) == LK_OK;
    (void)lk_buf_append_decimal(out, has ? 1 + (uint64_t)value.number : 0);
    (void)lk_buf_append(out, LK_LIT(" "));
  }
}

void doc_write_state(lk_doc *doc, lk_buf *out) {
  lk_node text;
  write_entries(doc, out);
  lk_err err = lk_doc_root(doc, LK_LIT("text"), LK_NODE_TEXT, &text);
  if (err == LK_OK) err = lk_doc_text_delta(doc, text, out);
  if (err == LK_OK) err = lk_doc_node_json(doc, text, out);
  LK_ASSERT(err == LK_OK && lk_buf_err(out) == LK_OK);
}
