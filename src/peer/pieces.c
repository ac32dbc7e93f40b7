/* peer/pieces.c -- see the header. */
#include "peer/pieces.h"

/* ---- writing ---- */

/* With what of |record| comes next; empty where there is no room beside what says which piece it is. */
static lk_diary_record next_piece(const lk_pieces_writer *self, const lk_limits *limits,
                                  const lk_diary_record *record) {
  lk_diary_record piece = { .kind = LK_DIARY_PIECE,
                            .topic = record->topic,
                            .of = record->kind,
                            .number = record->number,
                            .total = record->bytes.len,
                            .off = self->off };
  /* With a whole batch for itself the journal takes it in any case, as soon as nothing else is gathered. */
  size_t most = lk_min_size(limits->log_record_bytes, limits->log_batch_bytes);
  size_t around = lk_diary_piece_around(&piece);
  LK_ASSERT(self->off <= record->bytes.len);
  piece.bytes = lk_slice_first(lk_slice_skip(record->bytes, self->off),
                               most - lk_min_size(most, around));
  return piece;
}

bool lk_pieces_is_last(const lk_pieces_writer *self, const lk_limits *limits,
                       const lk_diary_record *record) {
  return self->off + next_piece(self, limits, record).bytes.len == record->bytes.len;
}

lk_err lk_pieces_write(lk_pieces_writer *self, lk_journal *journal, lk_buf *scratch,
                       const lk_diary_record *record, uint64_t durable) {
  const lk_limits *limits = journal->options.limits;
  size_t total = record->bytes.len;
  if (total == 0 || total > lk_pieces_whole_max(limits)) return LK_ERR_TOO_BIG;
  if (self->off == total) return LK_OK;
  if (self->index > durable) return LK_ERR_MORE;
  const lk_diary_record piece = next_piece(self, limits, record);
  if (piece.bytes.len == 0) return LK_ERR_TOO_BIG;
  lk_err err = lk_diary_append(journal, scratch, &piece, &self->index);
  if (err != LK_OK) return err;
  self->off += piece.bytes.len;
  return self->off == total ? LK_OK : LK_ERR_MORE;
}

/* ---- reading ---- */

void lk_pieces_collector_init(lk_pieces_collector *self, const lk_alloc *alloc,
                              const lk_limits *limits) {
  *self = (lk_pieces_collector){ 0 };
  lk_buf_init(&self->bytes, alloc, lk_pieces_whole_max(limits));
}

void lk_pieces_collector_deinit(lk_pieces_collector *self) {
  lk_buf_deinit(&self->bytes);
  *self = (lk_pieces_collector){ 0 };
}

void lk_pieces_collector_reset(lk_pieces_collector *self) {
  lk_buf_truncate(&self->bytes, 0); /* what failed once may not fail again */
  lk_buf_rest(&self->bytes, 0);
  self->total = 0;
}

static lk_err begin(lk_pieces_collector *self, const lk_diary_record *piece) {
  if (self->total > 0) LK_COVERED(pieces_were_given_up);
  lk_pieces_collector_reset(self);
  if (piece->total > self->bytes.max) return LK_ERR_LIMIT;
  lk_err err = lk_buf_reserve(&self->bytes, (size_t)piece->total);
  if (err != LK_OK) return err;
  self->total = piece->total;
  self->number = piece->number;
  self->of = piece->of;
  self->topic_len = piece->topic.len;
  memcpy(self->topic, piece->topic.ptr, piece->topic.len);
  return LK_OK;
}

static bool is_next(const lk_pieces_collector *self, const lk_diary_record *piece) {
  return piece->of == self->of && piece->number == self->number && piece->total == self->total &&
         piece->off == self->bytes.len &&
         lk_slice_equal(piece->topic, lk_slice_of(self->topic, self->topic_len));
}

lk_err lk_pieces_read(lk_pieces_collector *self, const lk_diary_record *piece, bool *is_whole,
                      lk_diary_record *out) {
  *is_whole = false;
  lk_err err = piece->off == 0 ? begin(self, piece) : LK_OK;
  if (err != LK_OK) {
    lk_pieces_collector_reset(self);
    return err;
  }
  if (!is_next(self, piece)) {
    LK_COVERED(pieces_lost_their_beginning);
    lk_pieces_collector_reset(self);
    return LK_OK;
  }
  err = lk_buf_append(&self->bytes, piece->bytes);
  LK_ASSERT(err == LK_OK); /* there is room for all of it */
  if (self->bytes.len < self->total) return LK_OK;
  *out = (lk_diary_record){ .kind = piece->of,
                            .topic = piece->topic,
                            .number = piece->number,
                            .bytes = lk_buf_slice(&self->bytes) };
  *is_whole = true;
  self->total = 0;
  return LK_OK;
}
