/* doc/update.h -- the two formats of Yjs's updates, struct by struct.
 *
 *   update  := structs deletes
 *   structs := clients (count client clock struct*)*            first clock, then they follow on
 *   deletes := clients (client count (clock len)*)*
 *
 * V1 is one stream. V2 begins with 0 and nine columns (codec/column.h), each with its length, and
 * what has no column follows behind them. The reader hands out structs as views of the input, the
 * writer takes such views; the difference between the formats ends here.
 *
 *   kind       content of the view
 *   GC, DELETED, SKIP   len
 *   JSON       |value| is |len| varStrings of JSON text (or "undefined"), as V1 has them
 *   BINARY     |value| is the bytes
 *   STRING     |text|, |len| UTF-16 units
 *   EMBED      |value|, one value: JSON text where |value_is_json|, otherwise lib0's any
 *   FORMAT     the same, and |key|
 *   TYPE       |type_ref|; |key| is the node name of XmlElement and XmlHook
 *   ANY        |value| is |len| values of lib0's any
 *   DOC        |key| is the guid, |value| the options, one any
 *
 * Values come canonical: written as Yjs would write what it reads there, whatever the sender's way
 * was (order of keys as JavaScript has them, shortest numbers). That is what lets bytes be
 * copied. */
#ifndef LK_DOC_UPDATE_H
#define LK_DOC_UPDATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "codec/column.h"
#include "codec/reader.h"
#include "laniakea/update.h"

typedef enum lk_content {
  LK_CONTENT_GC = 0,
  LK_CONTENT_DELETED = 1,
  LK_CONTENT_JSON = 2,
  LK_CONTENT_BINARY = 3,
  LK_CONTENT_STRING = 4,
  LK_CONTENT_EMBED = 5,
  LK_CONTENT_FORMAT = 6,
  LK_CONTENT_TYPE = 7,
  LK_CONTENT_ANY = 8,
  LK_CONTENT_DOC = 9,
  LK_CONTENT_SKIP = 10,
} lk_content;

#define LK_TYPE_REF_COUNT 7 /* Array Map Text XmlElement XmlFragment XmlHook XmlText */
#define LK_TYPE_REF_ELEMENT 3
#define LK_TYPE_REF_HOOK 5

/* The info byte: content in the lowest five bits, and what is written of the rest. */
#define LK_INFO_CONTENT 0x1F
#define LK_INFO_SUB 0x20
#define LK_INFO_RIGHT 0x40
#define LK_INFO_ORIGIN 0x80

typedef struct lk_doc_id {
  uint64_t client, clock;
} lk_doc_id;

/* Who the parent is. INHERITED: it is the one of the origin or right origin. */
typedef enum lk_parent_form {
  LK_PARENT_INHERITED,
  LK_PARENT_ROOT, /* |parent_name| */
  LK_PARENT_ITEM, /* |parent_id| */
} lk_parent_form;

typedef struct lk_struct {
  uint8_t kind; /* lk_content */
  /* As it was read. A document sets LK_INFO_SUB for every struct in a map, also where |sub| is not
   * written since the parent is inherited. Yjs without a document (merge, diff, convert) knows no
   * sub of those, and writes them without that bit. */
  uint8_t info;
  uint8_t parent_form;
  uint8_t type_ref;
  bool value_is_json;
  lk_doc_id id;
  uint64_t len;         /* in clocks; above 0, and id.clock + len is at most LK_VARUINT_MAX_SAFE */
  lk_doc_id origin;     /* where info has LK_INFO_ORIGIN */
  lk_doc_id right;      /* where info has LK_INFO_RIGHT */
  lk_doc_id parent_id;  /* LK_PARENT_ITEM */
  lk_slice parent_name; /* LK_PARENT_ROOT */
  lk_slice sub;         /* where info has LK_INFO_SUB and the parent is not inherited */
  lk_column_piece text;
  lk_slice key;
  lk_slice value;
} lk_struct;

/* ---- reading ----
 *
 *   init; for each client: next_client, then next_struct until LK_ERR_END; next_client gives
 *   LK_ERR_END; then for each: next_delete_client, next_delete until LK_ERR_END. No deinit.
 *
 * Sections must be read to their ends, in that order. Nothing is read ahead, so an error comes when
 * its place is reached: who must not act on half an update reads it twice, or into memory of his
 * own. A struct's slices are good until |scratch| is popped where they had to be rewritten, and as
 * long as the input otherwise; |text|, |key|, |parent_name| and |sub| of V1 are always in the
 * input. In V2 only |text| may be cut inside a surrogate pair: in the other three half a pair has
 * become U+FFFD.
 *
 * Errors: LK_ERR_TRUNCATED, LK_ERR_CORRUPT, LK_ERR_RANGE, LK_ERR_UTF8, LK_ERR_TRAILING; those of
 * doc/value.h; LK_ERR_NOMEM, also for a |scratch| that is full. After one the reader may not be
 * used again.
 *
 * Refused with LK_ERR_CORRUPT, since no Yjs writes it, though it may read it: a struct without
 * length, bits beside the content in the info of GC and Skip, kinds of content and types that are
 * not listed here, a parent info other than 0 and 1, a negative key clock, a feature flag, options
 * of a subdocument that are null or say "guid". Not looked at: the order of clients, whether a
 * client comes twice (of the structs Yjs then keeps the last section if it applies the update, and
 * all if it merges it: both count here), whether ranges overlap, what columns hold beyond what was
 * asked of them. */
typedef struct lk_update_reader {
  lk_update_format format;
  lk_reader in; /* V1: all; V2: what follows the columns */
  uint64_t sections_left;
  uint64_t structs_left;
  uint64_t ranges_left;
  bool in_deletes;
  uint64_t client, clock; /* of the struct that comes next; in deletes what V2 counts from */
  uint64_t client_word, client_mask; /* V1: the bytes of |client|, to know it by */
  uint8_t client_len;
  uint32_t any_depth;
  uint32_t empty_count; /* texts without a unit, which are not handed out */
  lk_arena *scratch;
  /* V2 */
  lk_column_diff_decoder key_clock;
  lk_column_uint_decoder clients;
  lk_column_diff_decoder left_clock;
  lk_column_diff_decoder right_clock;
  lk_column_rle_decoder infos;
  lk_column_text_decoder texts;
  lk_column_rle_decoder parent_infos;
  lk_column_uint_decoder type_refs;
  lk_column_uint_decoder lens;
  lk_slice *keys; /* V2: those that were read, by their key clock; in |scratch| */
  size_t key_count, key_cap;
} lk_update_reader;

/* LK_ERR_NOMEM only from the columns' keys and rewritten values: V1 of canonical values needs no
 * |scratch|. |scratch| is the caller's, and bounds what they take. The reader leaves on it what it
 * has handed out, and the table of V2's keys: so it may be popped between structs in V1 only.
 * |any_depth| is at most LK_ANY_DEPTH_MAX, and also bounds JSON. */
lk_err lk_update_reader_init(lk_update_reader *self, lk_update_format format, lk_slice update,
                             uint32_t any_depth, lk_arena *scratch) LK_MUST_USE;

/* |*count| is the number of structs, at least 1 (clients without any are passed over) and checked
 * against nothing: V2 packs any number into a few bytes. LK_ERR_END after the last one. |*clock| is
 * that of the first struct. */
lk_err lk_update_next_client(lk_update_reader *self, uint64_t *client, uint64_t *clock,
                             uint64_t *count) LK_MUST_USE;
lk_err lk_update_next_struct(lk_update_reader *self, lk_struct *out) LK_MUST_USE;

/* |*count| may be 0, and is checked against nothing. After the last client, LK_ERR_END;
 * LK_ERR_TRAILING where bytes follow. */
lk_err lk_update_next_delete_client(lk_update_reader *self, uint64_t *client,
                                    uint64_t *count) LK_MUST_USE;
/* |*len| is above 0 in V2 by its form; V1 may say 0. clock + len is at most LK_VARUINT_MAX_SAFE. */
lk_err lk_update_next_delete(lk_update_reader *self, uint64_t *clock, uint64_t *len) LK_MUST_USE;

/* ---- writing ----
 *
 *   init; for each client: client, then its structs; then deletes, for each client: delete_client
 *   with the number of its ranges, the ranges; finish; deinit.
 *
 * The numbers of clients and structs need not be known: they are filled in by finish. Errors are
 * remembered, and told by finish. Fields may also be put one by one in the order of the format, by
 * who has no lk_struct: start each struct with lk_update_put_info(). */

/* A number that is written before what it counts: |len| bytes at |at| of |rest| are kept for it. */
typedef struct lk_update_count {
  size_t at;
  size_t len;
  uint64_t value;
  uint64_t full; /* the value that needs one byte more; 0 before there is a place */
} lk_update_count;

typedef struct lk_update_writer {
  lk_update_format format;
  const lk_alloc *alloc;
  size_t max;
  lk_err err;  /* the first one, where no buffer has it */
  lk_buf rest; /* V1: all */
  lk_update_count clients_written, structs, delete_clients;
  bool in_deletes;
  uint64_t delete_clock; /* V2: what the next range counts from */
  uint64_t client;       /* of the section that is open */
  uint64_t client_word;  /* V1: its bytes */
  uint8_t client_len;
  lk_buf scratch; /* values that are converted */
  lk_arena arena; /* the same */
  int64_t key_clock_next;
  lk_column_diff_encoder key_clock;
  lk_column_uint_encoder clients;
  lk_column_diff_encoder left_clock;
  lk_column_diff_encoder right_clock;
  lk_column_rle_encoder infos;
  lk_column_text_encoder texts;
  lk_column_rle_encoder parent_infos;
  lk_column_uint_encoder type_refs;
  lk_column_uint_encoder lens;
} lk_update_writer;

/* |max| bounds the bytes of the whole update. */
void lk_update_writer_init(lk_update_writer *self, const lk_alloc *alloc, lk_update_format format,
                           size_t max);
void lk_update_writer_deinit(lk_update_writer *self);

/* As after init, with the memory that it has: for who writes many small updates. */
void lk_update_writer_reset(lk_update_writer *self);

/* Makes room for an update of |bytes| at once. Errors are remembered, as always. */
void lk_update_writer_reserve(lk_update_writer *self, size_t bytes);

void lk_update_write_client(lk_update_writer *self, uint64_t client, uint64_t clock);

/* The struct without its first |offset| clocks, which is below its length: as Yjs writes it, with
 * the origin right before it. The |info| of the view gives the parts that are written; |id| is not
 * looked at but for that origin, so structs must follow each other. A view that the reader gave is
 * written byte for byte as Yjs would write it. */
void lk_update_write_struct(lk_update_writer *self, const lk_struct *view, uint64_t offset);

/* The same for a whole struct, where few bytes of code count for more than time. */
void lk_update_put_struct(lk_update_writer *self, const lk_struct *view);

/* Takes |count| clocks, fewer than it has, off the front of |self|, as Yjs does when it merges
 * updates: an item's origin is then the clock before, its parent stays in the view but is not
 * written any more. Of a text that is cut inside a surrogate pair a U+FFFD remains at the front;
 * write_struct with an |offset| leaves the second half there instead, which V2 may join with a
 * first half. Both are what Yjs does. */
void lk_struct_cut_front(lk_struct *self, uint64_t count);

void lk_update_write_deletes(lk_update_writer *self);
/* |ranges|: how many will follow; LK_UPDATE_COUNTED where that is not known: at least one then. */
#define LK_UPDATE_COUNTED UINT64_MAX
void lk_update_write_delete_client(lk_update_writer *self, uint64_t client, uint64_t ranges);
/* V2 has no way to say a length of 0, or ranges of a client that do not ascend: LK_ERR_RANGE. */
void lk_update_write_delete(lk_update_writer *self, uint64_t clock, uint64_t len);

/* Appends the update to |out|. May be called once, until reset. On error |out| has the bytes that
 * it had. A V1 update that is large moves into an empty |out| of the same allocator without a
 * copy. */
lk_err lk_update_writer_finish(lk_update_writer *self, lk_buf *out) LK_MUST_USE;

/* Instead of finish, for a writer that was made for V2, which writes either format then. Between open and close an update
 * in V1 is in |out| itself, which nobody else may touch; |max| is that of |out|. |err| is what went wrong meanwhile, and
 * returned then. On error |out| may have some bytes more. */
void lk_update_writer_open(lk_update_writer *self, lk_update_format format, lk_buf *out);
lk_err lk_update_writer_close(lk_update_writer *self, lk_err err, lk_buf *out) LK_MUST_USE;

/* One struct alone, in V1: for who writes the rest of the update himself. */
lk_err lk_update_append_struct(lk_update_writer *self, const lk_struct *view,
                               lk_buf *out) LK_MUST_USE;

/* Fields. */
void lk_update_put_info(lk_update_writer *self, uint8_t info); /* counts a struct */
void lk_update_put_left(lk_update_writer *self, lk_doc_id id); /* origin, and a parent's id */
void lk_update_put_right(lk_update_writer *self, lk_doc_id id);
void lk_update_put_parent_info(lk_update_writer *self, bool is_root);
void lk_update_put_text(lk_update_writer *self,
                        lk_column_piece text); /* parent name, sub, content */
void lk_update_put_type_ref(lk_update_writer *self, uint8_t type_ref);
void lk_update_put_len(lk_update_writer *self, uint64_t len);
/* V1: counts a struct whose bytes the caller puts behind |rest| himself. */
void lk_update_count_wide(lk_update_writer *self); /* when the count needs another byte */
static inline __attribute__((always_inline)) void lk_update_count_struct(lk_update_writer *self) {
  if (++self->structs.value >= self->structs.full) lk_update_count_wide(self);
}
void lk_update_put_skip(lk_update_writer *self, uint64_t len); /* a whole Skip, with its info */
/* V1: |count| structs as they stand in an update, of the client and from the clock that come
 * next. */
void lk_update_put_structs(lk_update_writer *self, lk_slice structs, uint64_t count);
void lk_update_put_key(lk_update_writer *self, lk_slice key);
void lk_update_put_any(lk_update_writer *self, lk_slice canonical); /* any number of values */
void lk_update_put_bytes(lk_update_writer *self, lk_slice bytes);   /* with their length */
/* One value of EMBED or FORMAT, converted where the format wants the other form. */
void lk_update_put_json(lk_update_writer *self, lk_slice value, bool is_json);

#endif
