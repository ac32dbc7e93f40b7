/* doc/engine.h -- what an open document is made of; for the files of this floor alone.
 *
 * A document is one pool of small records, the items, addressed by 32-bit numbers. An item is what Yjs
 * calls a struct: a run of |len| clocks of one client with one content. It hangs in three orders:
 *
 *   by clock     the client's runs (store.c): what update decoding, splitting and merging walk
 *   in its list  left and right: the document's order. An item of a map hangs in the list of its
 *                key, of which the last one counts
 *   by position  the order index of its parent (order.c), a B+tree of visible units, made when somebody asks a
 *                long list for an index, and kept from then on
 *
 * What is written where Yjs would have one struct may be several items here: a JOINED item continues
 * its predecessor by clock (content that could not be put side by side in memory). Whatever looks
 * at struct boundaries (encode.c, cleanup.c, undo.c) looks at that flag; nothing else has to.
 *
 * Every change goes through few primitives (link, split, delete, ... below), each of which asks for its
 * memory first, changes, and notes in the journal how to take it back. So any call may fail half-way,
 * and lk_doc_rollback() makes the document what it was. Commit needs no memory that was not reserved. */
#ifndef LK_DOC_ENGINE_H
#define LK_DOC_ENGINE_H

#include "base/alloc.h"
#include "base/arena.h"
#include "base/btree.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/prng.h"
#include "doc/update.h"
#include "laniakea/doc.h"

#define LK_NONE UINT32_MAX
#define LK_NO_CLIENT UINT16_MAX

/* ---- items ---- */

enum {
  LK_ITEM_DELETED = 1 << 0,
  LK_ITEM_KEEP = 1 << 1,   /* an undo manager wants its content */
  LK_ITEM_JOINED = 1 << 2, /* one struct with the item before it, by clock */
  LK_ITEM_WIDE = 1 << 3,   /* STRING: UTF-16 units; otherwise ASCII */
  LK_ITEM_SUB = 1 << 4,    /* in a map: |leaf| is its entry */
  LK_ITEM_REDONE = 1 << 5, /* |redone| of the document has what redid it */
  LK_ITEM_LOOSE = 1 << 6,  /* decoded, not integrated: see lk_item_loose in apply.c */
};

#define LK_CONTENT_FREE 31 /* an item that is not in use; |left| is the next one */

typedef struct lk_item {
  uint32_t clock;
  uint32_t len;
  uint32_t origin_clock; /* where origin_client is not LK_NO_CLIENT */
  uint32_t right_clock;
  uint32_t left, right; /* list neighbours, or LK_NONE */
  uint32_t parent;      /* a type; LK_NONE for GC */
  uint32_t
      content; /* STRING: offset in |text|; TYPE: a type; others with a value: offset in |values| */
  uint32_t leaf;  /* SUB: an entry; otherwise a leaf of the order index, or LK_NONE */
  uint32_t depth; /* units on the way over its origins to one without: see integrate.c */
  uint16_t client, origin_client, right_client;
  uint8_t kind; /* lk_content */
  uint8_t flags;
} lk_item;

/* A value in |values|: this header, then |size| bytes; offsets are multiples of 4. ANY and EMBED: canonical
 * any. FORMAT: the same, |name| is the key. DOC: options, |name| is the guid. BINARY: the bytes.
 * JSON: varStrings. */
typedef struct lk_value_head {
  uint32_t size;
  uint32_t name;
} lk_value_head;

/* A value of JSON, parsed. */
typedef struct lk_parsed {
  uint32_t client, clock;
  lk_slice any;
} lk_parsed;

/* Values in one item at most: one of them is found by walking over those before it. */
#define LK_VALUES_MAX 64

/* ---- clients ---- */

/* A stretch of the client's items by clock. */
typedef struct lk_block {
  uint32_t *items;
  uint32_t first; /* about the clock of the first item: see place_settle() in store.c */
  uint16_t count, cap;
  bool
      dead; /* all its items are deleted, as apply.c found; until one comes or a deletion is taken back */
} lk_block;
#define LK_BLOCK_MAX 64

typedef struct lk_client {
  uint64_t id;
  lk_block *blocks;
  uint32_t block_count, block_cap;
  uint32_t clock;      /* where it is: the next struct's clock */
  uint32_t hint_block; /* where something was found last */
  uint32_t hint_at;
  uint32_t touched; /* number of the transaction in whose |touched| it is */
  uint32_t before;  /* |clock| when that transaction began; valid where touched */
  uint32_t ranged;  /* number of the transaction in whose |range_clients| it is */
  uint32_t
      text_used; /* the text that ends here may grow up to text_end: room set aside for what the */
  uint32_t text_end;    /* client types next, while others type too (cleanup.c); 0 for none */
  uint32_t section;     /* apply.c: its part of the update that is being applied */
  uint32_t waits_for;   /* its first pending struct waits for that client, or LK_NONE ... */
  uint32_t waits_clock; /* ... to pass that clock */
} lk_client;

/* The bytes by which V1 names a client, to know it by: those under |mask|. */
typedef struct lk_id_bytes {
  uint64_t word, mask;
  uint8_t len;
  uint16_t client;
} lk_id_bytes;
#define LK_ID_BYTES_NONE                                                                           \
  ((lk_id_bytes){ .word = 1, .client = LK_NO_CLIENT }) /* no bytes are that */

/* ---- types and entries ---- */

enum {
  LK_TYPE_HAS_FORMAT = 1 << 0,
  LK_TYPE_FREED = 1 << 1,   /* its item was garbage-collected; the slot stays, handles are told */
  LK_TYPE_CROSSED = 1 << 3, /* its lists do not follow the order of origins: integrate.c */
  LK_TYPE_CLEANS =
      1 << 2, /* got a format since it is known to be a text: remote changes are cleaned up */
};

typedef struct lk_type {
  uint32_t item;       /* the item whose content it is, or LK_NONE for a root */
  uint32_t name;       /* a name: of the root, XmlElement or XmlHook; LK_NONE otherwise */
  uint32_t start, end; /* of the list, or LK_NONE */
  uint32_t length;     /* visible units */
  uint32_t entry_first, entry_last; /* in order of insertion */
  uint32_t order;                   /* root of the order index, or LK_NONE */
  uint32_t cursor;                  /* an item whose position is known, or LK_NONE */
  uint32_t cursor_at;               /* units before it */
  uint32_t changed;                 /* number of the transaction in whose |changed| it is */
  uint32_t changed_list;            /* the same with its list among the changes */
  uint32_t depth;                   /* of nesting; 0 for a root */
  uint32_t check;                   /* what handles must have */
  uint8_t kind;                     /* lk_node_kind */
  uint8_t flags;
} lk_type;

typedef struct lk_entry {
  uint32_t type;
  uint32_t key;     /* a name */
  uint32_t first;   /* of its items, from left to right */
  uint32_t last;    /* the rightmost item, which counts; of a root its type */
  uint32_t next;    /* entry of the same type, or LK_NONE */
  uint32_t changed; /* number of the transaction in whose |changed| it is */
  uint32_t order;   /* root of the order index of its items + 1, or 0: see order.c */
} lk_entry;

typedef struct lk_name {
  uint32_t at, len; /* in |name_bytes| */
} lk_name;

/* Numbers by what they stand for: open addressing, emptied in reverse order of filling. */
typedef struct lk_index {
  uint32_t *slots; /* number + 1, or 0 */
  uint32_t cap;    /* 0 or a power of two, more than twice the numbers in it */
} lk_index;

/* ---- order index ---- */

#define LK_ORDER_FAN 32

typedef struct lk_order_node {
  uint32_t parent;     /* LK_NONE for a root; in a free node the next free one */
  uint32_t units;      /* visible, below it */
  uint32_t formats;    /* FORMAT items that are not deleted, below it */
  uint32_t prev, next; /* leaves */
  uint32_t depth;      /* at most the least one below it */
  uint64_t client;     /* where it is the least: at most the least id among those of that depth */
  uint16_t count;
  uint16_t height; /* 0 for a leaf */
  uint32_t child[LK_ORDER_FAN];
  uint32_t spare; /* is read with the last children, and means nothing */
} lk_order_node;

/* ---- transactions ---- */

typedef struct lk_range {
  uint32_t client, clock, len;
} lk_range;

/* Something to try to merge afterwards with what is in front of it: the item was |item| when this was noted. */
typedef struct lk_merge_try {
  uint32_t client, clock, item;
} lk_merge_try;

typedef struct lk_touched {
  uint32_t client, before, after;
} lk_touched;

/* |key| is a name, or LK_NONE for the list. An entry whose type's or entry's mark is not this transaction's
 * was taken back. */
typedef struct lk_change {
  uint32_t type, key, entry;
} lk_change;

/* An array that grows. */
#define LK_VEC(item_type)                                                                          \
  struct {                                                                                         \
    item_type *at;                                                                                 \
    uint32_t count, cap;                                                                           \
  }

typedef LK_VEC(uint32_t) lk_numbers;

typedef struct lk_tx {
  uint32_t number; /* above 0 */
  uint32_t depth;
  uint64_t origin;
  bool local;
  bool collects;            /* deleted something that was not deleted already */
  uint32_t range_floor;     /* ranges below it are not added to */
  LK_VEC(lk_range) ranges;  /* what it deleted */
  lk_numbers range_clients; /* clients of |ranges| in the order in which they came up; filled where
                                     somebody wants events or formats are cleaned */
  LK_VEC(lk_touched) touched; /* clients with new structs */
  LK_VEC(lk_merge_try)
  merges; /* what was split, and new items that look like one with the item before them */
  LK_VEC(lk_change) changed;
  lk_numbers subdocs; /* items with DOC that came or went */
  struct lk_tx *next; /* waiting for its clean-up, or free */
} lk_tx;

typedef enum lk_undo_step {
  LK_STEP_NEW,           /* items a to a + b */
  LK_STEP_LINK,          /* item a; b: the entry's former last item */
  LK_STEP_LINKED,        /* items a to a + b, in lists */
  LK_STEP_MADE,          /* items a to a + b: new, and linked in lists */
  LK_STEP_SPLIT,         /* items a, b; c: the pair that was cut, or 0 */
  LK_STEP_DELETE,        /* item a */
  LK_STEP_KIND,          /* item a; b: kind | flags << 8; c: content */
  LK_STEP_FLAGS,         /* item a; b: flags */
  LK_STEP_TYPE,          /* type a; b: flags | kind << 8 */
  LK_STEP_CHANGED,       /* type a; b: changed; c: changed_list */
  LK_STEP_ENTRY_CHANGED, /* entry a; b: changed */
  LK_STEP_TOUCH,         /* client a; b: touched; c: before */
  LK_STEP_REDONE,        /* item a */
  LK_STEP_ENTRY,         /* entry a; b: the one before it in its type, or LK_NONE */
  LK_STEP_SAVED,         /* pending item a was as |saved| has it at b */
  LK_STEP_GROWN,         /* GC a, the last of its client, had the length b */
  LK_STEP_UNIT,          /* the UTF-16 unit at byte a of |text| was b */
  LK_STEP_PEND,          /* item a became pending */
  LK_STEP_UNPEND,        /* item a was pending */
  LK_STEP_WAIT,          /* client a began to wait for client b to pass clock c */
  LK_STEP_UNWAIT,        /* it waited for that */
  LK_STEP_RANGE,         /* |saved_ranges| at a became pending */
  LK_STEP_UNRANGE,       /* it was pending */
  LK_STEP_REMARK,        /* type a was taken out of the changes; b: changed; c: changed_list */
} lk_undo_step;

typedef struct lk_journal_entry {
  uint32_t step, a, b, c;
} lk_journal_entry;

/* A deletion that goes on when nothing else can fail any more: of what is in item |number|, from child |at| of |type| on. */
typedef struct lk_later {
  uint32_t number, type, at;
} lk_later;

/* An attribute that holds at a place: its key, a name, and the FORMAT item's |content| and flags. */
typedef struct lk_held {
  uint32_t key, at;
  uint32_t flags;
} lk_held;

typedef struct lk_redone {
  uint32_t
      item; /* the key: changes when items are merged never happen to it, redone items do not merge */
  uint32_t client, clock;
} lk_redone;

/* A struct that waits: a loose item. */
typedef struct lk_pending_struct {
  uint32_t client, clock, len, item;
} lk_pending_struct;

/* |waiter|'s first pending struct waits for |client| to pass |clock|. */
typedef struct lk_pending_wait {
  uint32_t client, clock, waiter;
} lk_pending_wait;

/* Deleted clocks of structs that are not here. */
typedef struct lk_pending_range {
  uint64_t client; /* an id */
  uint64_t clock, len;
} lk_pending_range;

/* ---- observers ---- */

typedef struct lk_observer {
  uint32_t id;   /* 0: free */
  uint32_t what; /* lk_observer_kind in events.h */
  uint32_t type; /* LK_NONE for those of the document */
  void (*fn)(void);
  void *ctx;
} lk_observer;

/* Where the last keystroke was made, for the next one: text_fast.c. Whatever else changes the document makes it of no
 * use, see lk_typing_end(). */
typedef struct lk_typing {
  uint64_t types_at;   /* a character that is typed at that index goes on in |item|, */
  uint64_t types_end;  /* but not at that one; both are UINT64_MAX for none */
  uint64_t deletes_at; /* one that is deleted at that index is the last, or first, of |item| */
  uint64_t
      types_from; /* |types_at| and |deletes_at| as they were in the beginning, until something is */
  uint64_t deletes_from; /* typed or deleted: as long as they are equal nobody has to be told */
  lk_node node;
  uint32_t item;
  uint32_t gone;   /* what was deleted stands there, beside |item| */
  uint32_t beside; /* |item| as it will be, while something is deleted */
  uint32_t known;  /* units of |item|, as the order index has it, if there is one */
} lk_typing;
#define LK_TYPING_NONE                                                                             \
  (lk_typing) {                                                                                    \
    .types_at = UINT64_MAX, .types_end = UINT64_MAX, .deletes_at = UINT64_MAX,                     \
    .types_from = UINT64_MAX, .deletes_from = UINT64_MAX, .item = LK_NONE                          \
  }

/* Whether what replaces text, and one value in a list, is made at once, too. Modules in which bytes of code count for more
 * do without. */
#ifdef LK_SMALL
#define LK_FAST_ALL false
#else
#define LK_FAST_ALL true
#endif

/* Whether anything is made at once: not in modules that have one way for everything (wasm/doc_ways.c). */
#ifdef LK_PLAIN
#define LK_FAST false
#else
#define LK_FAST true
#endif

/* A change that text_fast.c made at once while somebody observes events. As long as they are told about it the items look as
 * they will when it is over; lk_stroke_settle() makes them what a transaction would have left. */
typedef struct lk_stroke {
  lk_tx *tx; /* NULL where nobody is being told about one */
  uint32_t type;
  uint32_t client, clock, len; /* what was typed, or deleted */
  uint32_t content;            /* deleted: where its text lies in |text| */
  uint32_t right;              /* typed: what was cut off for it, or LK_NONE */
  bool deleted;
  bool head, tail; /* deleted: it began, or ended, where its item did */
  bool many;       /* what was deleted stands in |gone|, and what was typed came instead of that */
  bool kept;       /* what was deleted still has its text, for undo managers ... */
  bool wanted;     /* ... of which one has said that it wants it */
  uint32_t index;  /* many, as long as the transaction is open: where that was in its text */
} lk_stroke;

/* A stretch that |stroke| deleted, with its text, and whether it began, or ended, where its item did. */
typedef struct lk_gone {
  uint32_t client, clock, len;
  uint32_t content;
  bool head, tail;
} lk_gone;

struct lk_doc {
  const lk_env *env;
  lk_alloc alloc; /* counts |bytes| */
  const lk_alloc *below;
  bool gc;
  uint32_t units;   /* clocks of all clients together */
  uint32_t subdocs; /* items with DOC that are not deleted */
  uint16_t client;  /* ours in |clients|, or LK_NO_CLIENT as long as we wrote nothing */
  uint16_t fled;    /* ours before somebody else had it, too; or LK_NO_CLIENT */
  uint64_t client_id;

  lk_item *items;
  uint32_t item_count, item_cap;
  uint32_t item_free; /* first free one, or LK_NONE */
  uint32_t item_live; /* items in use */

  uint8_t *text;
  uint32_t text_len, text_cap;
  uint32_t text_waste; /* bytes that no item shows */
  uint8_t *values;
  uint32_t values_len, values_cap;
  uint32_t values_waste;

  LK_VEC(lk_client) clients;
  lk_index client_index;
  uint16_t client_last; /* asked for last */
  lk_id_bytes known_ids[2]; /* whom keystrokes that came from others named last */
  LK_VEC(lk_type) types;
  LK_VEC(lk_entry) entries;
  lk_index entry_index;
  LK_VEC(lk_name) names;
  lk_index name_index;
  uint8_t *name_bytes;
  uint32_t name_bytes_len, name_bytes_cap;
  lk_numbers roots; /* types, in the order in which they came up */

  LK_VEC(lk_order_node) nodes;
  uint32_t node_free;
  uint32_t node_free_count;
  uint32_t *entry_leaves; /* by item: its leaf in the order index of an entry */
  uint32_t entry_leaves_cap;
  uint32_t entry_orders; /* how many entries have an index */

  lk_btree redone; /* lk_redone, by item */
  LK_VEC(lk_journal_entry) journal;
  uint64_t steps, steps_max; /* of the call that runs */
  LK_VEC(lk_later) later;    /* see delete_within() in integrate.c */
  uint32_t deleted_within;

  lk_typing typing;
  lk_stroke stroke;
  LK_VEC(lk_gone) gone;    /* what |stroke| deleted, where that is many, in the order of that */
  LK_VEC(lk_range) erased; /* what an update deletes that text_fast.c takes in */
  lk_tx *tx;             /* open, or NULL */
  lk_tx *cleanups;       /* committed, their clean-up is under way or waits; in order */
  lk_tx *tx_free;
  uint32_t tx_number;
  bool cleaning;
  uint32_t calls; /* lk_call_begin() without their ends */
  LK_VEC(lk_observer) observers;
  uint32_t observer_next;
  uint32_t update_observers;  /* how many of them want updates in V1 */
  uint32_t update2_observers; /* ... in V2 */
  uint32_t event_observers;   /* how many want anything else */
  uint32_t after_observers;   /* among them: how many transactions, as undo managers do */
  bool
      tells_txs; /* not updates in one format alone: what observers of V1 change, those of V2 get */

  /* conflicts (integrate.c): marks[item] says when the item was last seen in a scan */
  uint32_t *marks;
  uint32_t marks_cap;
  uint32_t mark_next;

  /* What holds behind |held_item| of type |held_type| - 1, or 0 where nothing is known: so who types goes on from there. See
   * text_format.c. */
  uint32_t held_type, held_item;
  LK_VEC(lk_held) held;

  /* apply.c, pending.c */
  struct lk_section *sections; /* what the last update needed, for the next one */
  uint32_t section_cap;
  lk_numbers incoming; /* decoded items, by client */
  lk_numbers stack;
  lk_numbers dropped; /* decoded items that turned out to be known */
  lk_numbers woken;   /* clients that went on */
  LK_VEC(lk_item) saved;
  LK_VEC(lk_pending_range) saved_ranges;
  uint32_t taken_structs, taken_waits; /* out of the trees, by the update that is being applied */
  lk_btree pending;                    /* lk_pending_struct */
  lk_btree waits;                      /* lk_pending_wait */
  lk_btree pending_ranges;             /* lk_pending_range */

  /* read.c */
  lk_btree parsed; /* lk_parsed */
  lk_arena parsed_room;
  uint32_t parsed_at; /* |tx_number| then */
  size_t pending_bytes;

  lk_buf emit;              /* the update that observers get */
  lk_update_writer *writer; /* of updates; NULL before the first, and behind a large one */

  /* Last, since it is large: so the way to what is reached often is short. */
  size_t bytes;
  lk_limits limits;
  const char *limit_hit;
  uint64_t seed[2];
  lk_prng prng;
};

/* Modules in which bytes of code count for more read each id. */
static inline void lk_known_ids_forget(lk_doc *doc) {
  if (LK_FAST_ALL) doc->known_ids[0] = doc->known_ids[1] = LK_ID_BYTES_NONE;
}

/* ---- vectors (store.c) ---- */

/* Room for |more| items behind |count|. LK_ERR_NOMEM; LK_ERR_LIMIT above |max|. */
lk_err lk_vec_grow(lk_doc *doc, void **at, uint32_t *cap, uint32_t count, uint32_t more,
                   uint32_t max, size_t item_size) LK_MUST_USE;
#define LK_VEC_RESERVE_HERE(doc, vec, more)                                                        \
  ((vec).cap - (vec).count >= (more)                                                               \
       ? LK_OK                                                                                     \
       : lk_vec_grow((doc), (void **)&(vec).at, &(vec).cap, (vec).count, (more), UINT32_MAX / 2,   \
                     sizeof *(vec).at))
/* Whether there is room already is asked by a call where bytes of code count for more. */
lk_err lk_vec_reserve(lk_doc *doc, void *vec, uint32_t more, size_t item_size) LK_MUST_USE;
#if defined LK_SMALL && !defined LK_QUICK
#define LK_VEC_RESERVE(doc, vec, more) lk_vec_reserve((doc), &(vec), (more), sizeof *(vec).at)
#else
#define LK_VEC_RESERVE LK_VEC_RESERVE_HERE
#endif
void lk_vec_free(lk_doc *doc, void *vec, size_t item_size);
#define LK_VEC_FREE(doc, vec) lk_vec_free((doc), &(vec), sizeof *(vec).at)

/* Puts |number| behind the last one. LK_ERR_NOMEM, LK_ERR_LIMIT. */
lk_err lk_numbers_push(lk_doc *doc, lk_numbers *self, uint32_t number) LK_MUST_USE;

/* Remembers which limit it was. */
static inline lk_err lk_doc_limit(lk_doc *doc, const char *name) {
  doc->limit_hit = name;
  return LK_ERR_LIMIT;
}

/* Work that a stranger can ask for counts its steps. */
static inline lk_err lk_doc_step(lk_doc *doc, uint32_t count) {
  doc->steps += count;
  return doc->steps > doc->steps_max ? LK_ERR_STEPS : LK_OK;
}

/* Whether |len| clocks more may be written. */
static inline lk_err lk_doc_check_units(lk_doc *doc, uint32_t len) {
  uint32_t most = doc->limits.doc_units_count;
  return len > most - lk_min_u32(doc->units, most) ? lk_doc_limit(doc, "doc_units_count") : LK_OK;
}

/* ---- items (store.c) ---- */

static inline lk_item *lk_item_at(const lk_doc *doc, uint32_t item) {
  LK_DEBUG_ASSERT(item < doc->item_count);
  return &doc->items[item];
}
static inline lk_type *lk_type_at(const lk_doc *doc, uint32_t type) {
  LK_DEBUG_ASSERT(type < doc->types.count);
  return &doc->types.at[type];
}
static inline bool lk_item_deleted(const lk_item *item) {
  return (item->flags & LK_ITEM_DELETED) != 0;
}
/* Whether it takes a place among the indexes, as long as it is not deleted. */
#define LK_UNCOUNTABLE (1u << LK_CONTENT_FORMAT | 1u << LK_CONTENT_DELETED | 1u << LK_CONTENT_GC)
static inline bool lk_item_countable(const lk_item *item) {
  return (LK_UNCOUNTABLE >> item->kind & 1) == 0;
}
/* Units that it shows in its list. Written without a branch: which items of a text are deleted nobody can predict. */
static inline uint32_t lk_item_units(const lk_item *item) {
  uint32_t hidden = (LK_UNCOUNTABLE >> item->kind | item->flags) & LK_ITEM_DELETED;
  return item->len & (hidden - 1);
}
static inline uint32_t lk_item_end(const lk_item *item) { return item->clock + item->len; }

/* A zeroed item that is journalled; its number stays its number until it is merged or rolled back.
 * LK_ERR_NOMEM, LK_ERR_LIMIT. Pointers to items are good until the next call of this. */
lk_err lk_item_new(lk_doc *doc, uint32_t *out) LK_MUST_USE;
/* Room for |count| of them. */
lk_err lk_items_reserve(lk_doc *doc, uint32_t count) LK_MUST_USE;
void lk_item_free(lk_doc *doc, uint32_t item);

/* The client with that id, made if needed. LK_ERR_LIMIT, LK_ERR_NOMEM. */
lk_err lk_client_intern(lk_doc *doc, uint64_t id, uint16_t *out) LK_MUST_USE;
/* LK_NO_CLIENT where there is none. */
uint16_t lk_client_find(const lk_doc *doc, uint64_t id);
/* This replica as a writer. */
lk_err lk_doc_own_client(lk_doc *doc, uint16_t *out) LK_MUST_USE;

/* Where in the client's blocks the item is that covers |clock|, which must be below the client's. */
typedef struct lk_place {
  uint32_t block, at;
} lk_place;
lk_place lk_client_place(lk_doc *doc, uint16_t client, uint32_t clock);
/* That of the first item of the struct which that one is part of. */
lk_place lk_struct_place(lk_doc *doc, uint16_t client, uint32_t clock);
lk_place lk_item_place(lk_doc *doc, uint32_t item);
uint32_t lk_client_item(lk_doc *doc, uint16_t client, uint32_t clock);
static inline uint32_t lk_place_item(const lk_doc *doc, uint16_t client, lk_place place) {
  return doc->clients.at[client].blocks[place.block].items[place.at];
}
/* Its last item; it has one. */
static inline uint32_t lk_client_last(const lk_doc *doc, uint16_t client) {
  const lk_client *at = &doc->clients.at[client];
  const lk_block *block = &at->blocks[at->block_count - 1];
  LK_DEBUG_ASSERT(block->count > 0);
  return block->items[block->count - 1u];
}
/* Room for some items more in the last block, which may then be empty: until lk_client_trim() nobody may look for
 * anything in it. LK_ERR_NOMEM. */
lk_err lk_client_room(lk_doc *doc, uint16_t client) LK_MUST_USE;
void lk_client_trim(lk_doc *doc, uint16_t client);
/* False at the ends; |place| is then as before. */
bool lk_place_next(const lk_doc *doc, uint16_t client, lk_place *place);
bool lk_place_prev(const lk_doc *doc, uint16_t client, lk_place *place);
/* Room for |more|, up to half of LK_BLOCK_MAX, in the block of |place|, which moves to where that item stands then.
 * LK_ERR_NOMEM. */
lk_err lk_client_spread(lk_doc *doc, uint16_t client, lk_place *place, uint32_t more) LK_MUST_USE;
/* Puts |item| behind the one at |place|, or at the very end. LK_ERR_NOMEM. */
lk_err lk_client_insert(lk_doc *doc, uint16_t client, lk_place place, uint32_t item) LK_MUST_USE;
lk_err lk_client_append(lk_doc *doc, uint16_t client, uint32_t item) LK_MUST_USE;
/* Room for |count| more at the end, for who loads many. */
lk_err lk_client_reserve(lk_doc *doc, uint16_t client, uint32_t count) LK_MUST_USE;
void lk_client_remove(lk_doc *doc, uint16_t client, lk_place place);
/* Those |count| from |place| on. */
void lk_client_remove_run(lk_doc *doc, uint16_t client, lk_place place, uint32_t count);

/* Names: each once, in order of appearance. */
lk_err lk_name_intern(lk_doc *doc, lk_slice name, uint32_t *out) LK_MUST_USE;
uint32_t lk_name_find(const lk_doc *doc, lk_slice name); /* or LK_NONE */
static inline lk_slice lk_name_slice(const lk_doc *doc, uint32_t name) {
  const lk_name *at = &doc->names.at[name];
  return at->len == 0 ? LK_SLICE_EMPTY : lk_slice_of(doc->name_bytes + at->at, at->len);
}

lk_err lk_type_new(lk_doc *doc, uint8_t kind, uint32_t name, uint32_t *out) LK_MUST_USE;
/* The root |name|, made as LK_NODE_UNKNOWN if it is not there. */
lk_err lk_root_intern(lk_doc *doc, lk_slice name, uint32_t *out) LK_MUST_USE;
uint32_t lk_entry_find(const lk_doc *doc, uint32_t type, uint32_t key); /* or LK_NONE */
lk_err lk_entry_intern(lk_doc *doc, uint32_t type, uint32_t key, uint32_t *out) LK_MUST_USE;
/* The item that counts in an entry, deleted or not; or LK_NONE. */
static inline uint32_t lk_entry_item(const lk_doc *doc, uint32_t entry) {
  return entry == LK_NONE ? LK_NONE : doc->entries.at[entry].last;
}

/* Text: appended, and given as an offset. |units| receives UTF-16 units. LK_ERR_UTF8 is not checked. */
lk_err lk_text_add(lk_doc *doc, lk_column_piece text, uint32_t *at, uint32_t *units,
                   bool *wide) LK_MUST_USE;
lk_err lk_text_reserve(lk_doc *doc, uint32_t more) LK_MUST_USE;
/* Copies as long as it is ASCII; false where it is not all. */
static inline bool lk_ascii_copy(uint8_t *to, const uint8_t *from, size_t len) {
  uint64_t bits = 0;
  size_t i = 0;
  for (; i + 8 <= len; i += 8) {
    uint64_t word;
    memcpy(&word, from + i, 8);
    memcpy(to + i, &word, 8);
    bits |= word;
  }
  for (; i < len; i++) {
    to[i] = from[i];
    bits |= from[i];
  }
  return (bits & UINT64_C(0x8080808080808080)) == 0;
}
/* One UTF-16 unit of a STRING item. */
static inline uint16_t lk_item_unit(const lk_doc *doc, const lk_item *item, uint32_t at) {
  const uint8_t *text = doc->text + item->content;
  if ((item->flags & LK_ITEM_WIDE) == 0) return text[at];
  uint16_t unit;
  memcpy(&unit, text + (size_t)at * 2, 2);
  return unit;
}
/* Appends |len| units from |from| on as UTF-8; a high surrogate at the end is held in |*high| for the
 * next call, what stood there before is joined or becomes U+FFFD. Start with 0, end with lk_text_flush(). */
void lk_item_append_utf8(const lk_doc *doc, const lk_item *item, uint32_t from, uint32_t len,
                         uint16_t *high, lk_buf *out);
void lk_text_flush(uint16_t *high, lk_buf *out);
/* How many bytes that appends, for text in one item. */
uint32_t lk_item_utf8_len(const lk_doc *doc, const lk_item *item, uint32_t from, uint32_t len);

/* |bytes| may lie in |values| itself. */
lk_err lk_value_add(lk_doc *doc, lk_slice bytes, uint32_t name, uint32_t *at) LK_MUST_USE;
static inline const lk_value_head *lk_value_head_at(const lk_doc *doc, uint32_t at) {
  return (const lk_value_head *)(const void *)(doc->values + at);
}
static inline lk_slice lk_value_bytes(const lk_doc *doc, uint32_t at) {
  return lk_slice_of(doc->values + at + sizeof(lk_value_head), lk_value_head_at(doc, at)->size);
}
/* FORMAT: its key, a name. */
static inline uint32_t lk_item_key(const lk_doc *doc, const lk_item *item) {
  return lk_value_head_at(doc, item->content)->name;
}
/* ANY: the value with that index in the item. JSON: its JSON text. */
lk_slice lk_item_any(const lk_doc *doc, const lk_item *item, uint32_t at);

/* ---- journal (store.c) ---- */

typedef struct lk_mark {
  uint32_t journal, items, names, name_bytes, clients, types, entries, roots, text, values, redone;
  uint32_t ranges, touched, merges, changed, subdocs;
} lk_mark;

lk_err lk_journal(lk_doc *doc, lk_undo_step step, uint32_t a, uint32_t b, uint32_t c) LK_MUST_USE;
void lk_doc_mark(const lk_doc *doc, lk_mark *out);
/* Everything as it was at |mark|, which was taken in the transaction that is open. */
void lk_doc_rollback(lk_doc *doc, const lk_mark *mark);

/* ---- primitives (integrate.c) ---- */

/* Cuts |item| before its unit |offset|, 0 < offset < len, and gives the right half. As Yjs: the halves are tried
 * to be merged again when the transaction is over. Cutting where a JOINED item begins is
 * lk_item_part(). */
lk_err lk_item_split(lk_doc *doc, uint32_t item, uint32_t offset, uint32_t *right) LK_MUST_USE;
/* The item that begins at, or ends with, that clock: split or parted as needed. GC is not split. */
lk_err lk_item_clean_start(lk_doc *doc, uint16_t client, uint32_t clock, uint32_t *out) LK_MUST_USE;
lk_err lk_item_clean_end(lk_doc *doc, uint16_t client, uint32_t clock, uint32_t *out) LK_MUST_USE;
/* Makes |item|, which may be JOINED, the first of its own struct. */
lk_err lk_item_part(lk_doc *doc, uint32_t item) LK_MUST_USE;

/* Makes |item|, which was just integrated behind the rest of its struct, part of that; where it stayed alive. */
lk_err lk_item_join(lk_doc *doc, uint32_t item) LK_MUST_USE;

/* Integrates an item whose left, right, parent, origin and content are set: finds its place among what
 * others inserted there, links it, lets its content take effect. */
lk_err lk_item_integrate(lk_doc *doc, uint32_t item) LK_MUST_USE;

lk_err lk_item_delete(lk_doc *doc, uint32_t item) LK_MUST_USE;

/* What lk_item_delete() left for the end of an update. LK_ERR_NOMEM. */
lk_err lk_deletes_finish(lk_doc *doc) LK_MUST_USE;

/* Before a rollback to |journal|: sees to what store.c knows nothing of, the indexes of entries and the number of
 * subdocuments. */
void lk_items_take_back(lk_doc *doc, uint32_t journal);

/* Room in |marks| for all items, and |mark_next| far from its end. LK_ERR_NOMEM. */
lk_err lk_marks_reserve(lk_doc *doc) LK_MUST_USE;

/* What redid |item|: its id; false where nothing did. */
bool lk_item_redone(const lk_doc *doc, uint32_t item, uint16_t *client, uint32_t *clock);
lk_err lk_item_set_redone(lk_doc *doc, uint32_t item, uint16_t client, uint32_t clock) LK_MUST_USE;
void lk_item_drop_redone(lk_doc *doc, uint32_t item);
void lk_redone_init(lk_doc *doc);
/* Yjs' keepItem: the item and what it is in. */
lk_err lk_item_set_keep(lk_doc *doc, uint32_t item, bool keep) LK_MUST_USE;

/* Notes that the list of |type| (entry LK_NONE) or one of its entries changed. */
lk_err lk_type_changed(lk_doc *doc, uint32_t type, uint32_t entry) LK_MUST_USE;

/* Whether a deleted node is in the way up. */
static inline bool lk_type_deleted(const lk_doc *doc, uint32_t type) {
  uint32_t item = doc->types.at[type].item;
  return item != LK_NONE && lk_item_deleted(&doc->items[item]);
}

/* ---- local edits ---- */

/* A new struct of this replica between |left| and |right| in |parent|, integrated. |entry| is LK_NONE in a list.
 * |content| must be in place already. */
lk_err lk_insert_item(lk_doc *doc, uint32_t parent, uint32_t entry, uint32_t left, uint32_t right,
                      uint8_t kind, uint32_t content, uint32_t len, uint8_t flags,
                      uint32_t *out) LK_MUST_USE;

/* Checks a handle. |kinds| is a set of 1 << lk_node_kind, 0 for any. LK_ERR_NOT_FOUND, LK_ERR_TYPE. */
lk_err lk_node_resolve(const lk_doc *doc, lk_node node, uint32_t kinds, uint32_t *type) LK_MUST_USE;
static inline lk_node lk_node_of(const lk_doc *doc, uint32_t type) {
  return (lk_node){ type, doc->types.at[type].check };
}

/* The last item that ends at visible unit |index|, with what is right of it: Yjs's findNextPosition without
 * formatting. Splits the item that |index| is within. LK_ERR_RANGE past the end. */
lk_err lk_list_seek(lk_doc *doc, uint32_t type, uint32_t index, uint32_t *left,
                    uint32_t *right) LK_MUST_USE;
/* The visible item that holds unit |index|, and the units before it; LK_NONE past the end. Changes only
 * caches. */
uint32_t lk_list_find(lk_doc *doc, uint32_t type, uint32_t index, uint32_t *before);
/* Visible units in front of |item| in its list. */
uint32_t lk_list_index(lk_doc *doc, uint32_t item);

/* Deletes |length| visible units from |index| on; both were checked. */
lk_err lk_list_erase(lk_doc *doc, uint32_t type, uint32_t index, uint32_t length) LK_MUST_USE;

/* ---- plain typing (text_fast.c) ---- */

/* The change done, without a transaction; false, and nothing changed, where it is not of the simple kind. |text| is a
 * type that is a text, and the range is within it. */
bool lk_text_insert_fast(lk_doc *doc, uint32_t text, uint32_t index, lk_slice utf8);
bool lk_text_delete_fast(lk_doc *doc, uint32_t text, uint32_t index, uint32_t length);
/* The same for one more character, typed or deleted where the last one was. */
bool lk_text_type_on(lk_doc *doc, lk_node text, uint64_t index, lk_slice utf8);
bool lk_text_delete_on(lk_doc *doc, lk_node text, uint64_t index, uint64_t length);
/* For whoever changes or looks for anything in the document. */
void lk_typing_stop(lk_doc *doc);
static inline bool lk_typing_owes(const lk_typing *at) {
  return ((at->types_at ^ at->types_from) | (at->deletes_at ^ at->deletes_from)) != 0;
}
static inline void lk_typing_end(lk_doc *doc) {
  lk_typing *at = &doc->typing;
  if (!LK_FAST) return;
  if (lk_typing_owes(at)) lk_typing_stop(doc);
  at->types_at = at->types_end = at->types_from = at->deletes_at = at->deletes_from = UINT64_MAX;
}
/* One value, canonical any, into a list: in front of |index|, or behind all else where that is LK_NONE. */
bool lk_list_insert_fast(lk_doc *doc, uint32_t list, uint32_t index, lk_slice any);
/* The same for an update. */
bool lk_apply_fast(lk_doc *doc, lk_update_format format, lk_slice update, uint64_t origin);
/* For whoever looks at where structs begin, or changes anything, also while events are told. LK_ERR_NOMEM, LK_ERR_LIMIT:
 * nothing changed. */
lk_err lk_stroke_open(lk_doc *doc) LK_MUST_USE;
static inline lk_err lk_stroke_settle(lk_doc *doc) {
  return !LK_FAST || doc->stroke.tx == NULL ? LK_OK : lk_stroke_open(doc);
}

/* ---- order index (order.c) ---- */

/* Lists with fewer items are walked. */
#define LK_ORDER_MIN 64

lk_err lk_order_build(lk_doc *doc, uint32_t type) LK_MUST_USE;
void lk_order_drop(lk_doc *doc, uint32_t type);
/* The same for the list of an entry, which has no units: only for finding rivals. */
lk_err lk_order_build_entry(lk_doc *doc, uint32_t entry) LK_MUST_USE;
void lk_order_drop_entry(lk_doc *doc, uint32_t entry);
/* Whether the list that |item| is in, or will be, has an index. */
bool lk_order_has(const lk_doc *doc, const lk_item *item);
/* Room for |count| insertions. */
lk_err lk_order_reserve(lk_doc *doc, uint32_t count) LK_MUST_USE;
void lk_order_link(lk_doc *doc, uint32_t type, uint32_t item); /* by item->left */
/* The same for what was part of its left neighbour until now: units and all are counted already. */
void lk_order_link_half(lk_doc *doc, uint32_t item);
/* Room for two behind |item| in its leaf, asked for before |item| is cut; for which there was memory. */
void lk_order_room(lk_doc *doc, uint32_t item);
/* |first| and |second| stand behind |left|. |second| was part of it until now, and so was |first|, if it is not new. */
void lk_order_link_two(lk_doc *doc, uint32_t left, uint32_t first, uint32_t second, bool is_new);
void lk_order_unlink(lk_doc *doc, uint32_t item);
/* Where |item| stands among the children of its leaf. */
uint32_t lk_order_slot(const lk_doc *doc, uint32_t item);
/* The children of |leaf| from |from| on move to |to|, over those that left the list; and |units| of it are gone. */
void lk_order_close(lk_doc *doc, uint32_t leaf, uint32_t to, uint32_t from, uint32_t units);
/* The item's units or formats changed by so much. */
void lk_order_add(lk_doc *doc, uint32_t leaf, int32_t units, int32_t formats);
/* The item is less deep than it was. */
void lk_order_rise(lk_doc *doc, uint32_t item);
uint32_t lk_order_find(const lk_doc *doc, uint32_t type, uint32_t index, uint32_t *before);
/* The first item at or behind |item| that shows something; there is one. */
uint32_t lk_order_next_shown(const lk_doc *doc, uint32_t item);
uint32_t lk_order_index(const lk_doc *doc, uint32_t item);
/* Below zero where |a| stands before |b| in one indexed list. */
int lk_order_compare(const lk_doc *doc, uint32_t a, uint32_t b);
/* In the list of |like|, which has an index. The first item behind |from| (LK_NONE: of all) that is less deep than |depth|;
 * or LK_NONE. */
uint32_t lk_order_next_above(lk_doc *doc, const lk_item *like, uint32_t from, uint32_t depth);
/* The last item before |until| (LK_NONE: of all) that is less deep than |depth|, or as deep and of a client with an id below
 * |client|; or LK_NONE. */
uint32_t lk_order_last_rival(lk_doc *doc, const lk_item *like, uint32_t until, uint32_t depth,
                             uint64_t client);
/* The next live FORMAT item at or after |item| and before |until| (LK_NONE: the end); or LK_NONE. */
uint32_t lk_order_next_format(const lk_doc *doc, uint32_t item, uint32_t until);

/* ---- transactions (transact.c) ---- */

/* For every changing call:
 *
 *   lk_call call;
 *   if ((err = lk_call_begin(doc, &call)) != LK_OK) return err;
 *   err = ...
 *   return lk_call_end(doc, &call, err);           rolls back where err, commits where it opened */
typedef struct lk_call {
  lk_mark mark;
} lk_call;
lk_err lk_call_begin(lk_doc *doc, lk_call *call) LK_MUST_USE;
lk_err lk_call_end(lk_doc *doc, lk_call *call, lk_err err);

/* State before the transaction. */
static inline uint32_t lk_tx_before(const lk_doc *doc, const lk_tx *tx, uint16_t client) {
  const lk_client *c = &doc->clients.at[client];
  return c->touched == tx->number ? c->before : c->clock;
}
/* The first new struct of |client| in the open transaction: notes what was before. */
lk_err lk_tx_touch(lk_doc *doc, uint16_t client) LK_MUST_USE;
lk_err lk_tx_add_range(lk_doc *doc, uint16_t client, uint32_t clock, uint32_t len) LK_MUST_USE;
lk_err lk_tx_add_merge(lk_doc *doc, uint16_t client, uint32_t clock, uint32_t item) LK_MUST_USE;
/* The ranges of a transaction that is being cleaned up, client by client in the order in which the clients came up: Yjs'
 * order. Begin with a zeroed walk; false when there is no more. */
typedef struct lk_range_walk {
  uint32_t client; /* in |range_clients|, the one that comes next */
  uint32_t at;     /* in |ranges|, the one that comes next */
} lk_range_walk;
bool lk_tx_next_range(const lk_tx *tx, lk_range_walk *walk, lk_range *out);

/* Tells everybody about |stroke|, which is done and, where somebody wants it in V1, stands in |emit|; where
 * lk_stroke_ready() was true before. */
bool lk_stroke_ready(lk_doc *doc);
/* Writes what |tx| did, all of which is done and its ranges sorted, into |emit| in V1: plain text that replaced text, or deletions
 * alone. False where somebody wants more, or it is of several clients. */
bool lk_replace_emit(lk_doc *doc, const lk_tx *tx);
/* Tells everybody of |doc->stroke|, which is many, with its deletions in |tx|, the first free one. */
void lk_replace_tell(lk_doc *doc, lk_tx *tx, uint64_t origin, bool local);
void lk_stroke_tell(lk_doc *doc, const lk_stroke *stroke, uint64_t origin, bool local);
/* Whether an undo manager wants to keep what a transaction of |origin| deletes in |type|: undo.c. */
bool lk_undo_keeps(const lk_doc *doc, uint32_t type, uint64_t origin);

/* Cleans up what was committed, and what observers commit meanwhile. */
void lk_cleanups_run(lk_doc *doc);
/* Hands |emit| to those who observe |what|. */
void lk_emit_update(lk_doc *doc, uint32_t what, uint64_t origin, bool local);

/* Sorted by client and clock, merged. */
void lk_ranges_sort(lk_range *ranges, uint32_t *count, bool merge);
/* Whether the sorted ranges have that clock. */
bool lk_ranges_have(const lk_range *ranges, uint32_t count, uint32_t client, uint32_t clock);

/* ---- clean-up (cleanup.c): after the observers, nothing fails ---- */
void lk_tx_collect(lk_doc *doc, lk_tx *tx);
void lk_tx_merge(lk_doc *doc, lk_tx *tx);
/* Makes |left| one with |right|, its neighbour and continuation; neither has content. */
void lk_item_absorb(lk_doc *doc, uint32_t left, uint32_t right);
/* The same for the |count| items behind |left|, each of which continues the one before it, shows nothing, and left the
 * order index. */
void lk_items_absorb(lk_doc *doc, uint32_t left, uint32_t count);
/* Moves text and values together where too much of them is waste. */
void lk_doc_tidy(lk_doc *doc);
/* The bytes of its content are of no use any more. */
void lk_item_waste(lk_doc *doc, const lk_item *item);
/* Makes a struct of several items one item. LK_ERR_NOMEM. */
lk_err lk_item_unite(lk_doc *doc, uint32_t *item) LK_MUST_USE;

/* ---- observers of other kinds (events.c) ---- */
void lk_events_call(lk_doc *doc, lk_tx *tx);
/* Yjs' clean-up of formatting in the texts that a remote transaction changed (text.c). */
lk_err lk_text_cleanup(lk_doc *doc, lk_tx *tx) LK_MUST_USE;

/* ---- encoding (encode.c) ---- */

/* The structs from lk_tx_before() on and the ranges: the update of a transaction. */
lk_err lk_tx_encode(lk_doc *doc, lk_tx *tx, lk_update_format format, lk_buf *out) LK_MUST_USE;

void lk_encode_deinit(lk_doc *doc);
/* Reads a state vector into |froms|, which has a word for each client of the document: those that it names. */
lk_err lk_doc_read_state_vector(const lk_doc *doc, lk_slice sv, uint32_t *froms) LK_MUST_USE;

/* What is integrated beyond |sv|, without pending things. */
lk_err lk_doc_encode_state(lk_doc *doc, lk_update_format format, lk_slice sv,
                           lk_buf *out) LK_MUST_USE;

/* ---- applying (apply.c) ---- */

/* A decoded item that is not integrated is loose. Its fields mean then:
 *
 *   parent  a root; LK_NONE: inherited; LK_PARENT_LOOSE: the type of the item |leaf| (client), |left| (clock)
 *   right   with LK_ITEM_SUB and a parent that is not inherited: the key, a name
 *   content TYPE: type_ref << 28 | name + 1, name 0 for none */
#define LK_PARENT_LOOSE (UINT32_MAX - 1)

/* What the loose item waits for: a client and the clock that it must pass; false where it is here. */
bool lk_loose_missing(const lk_doc *doc, const lk_item *item, uint32_t *client, uint32_t *clock);
/* Integrates a loose item, the first of which may be here already. */
lk_err lk_loose_integrate(lk_doc *doc, uint32_t item) LK_MUST_USE;
/* Takes the first |offset| clocks off a loose item. */
lk_err lk_loose_trim(lk_doc *doc, uint32_t item, uint32_t offset) LK_MUST_USE;
/* Deletes what is here of a range; |client| has passed its beginning. */
lk_err lk_delete_range(lk_doc *doc, uint16_t client, uint32_t clock, uint32_t end) LK_MUST_USE;

/* ---- pending (pending.c) ---- */
void lk_pending_init(lk_doc *doc);
void lk_pending_deinit(lk_doc *doc);
/* Keeps a loose item until what it waits for comes. */
lk_err lk_pending_add(lk_doc *doc, uint32_t item) LK_MUST_USE;
lk_err lk_pending_add_range(lk_doc *doc, lk_pending_range range) LK_MUST_USE;
/* Takes in what waited for the clients in |woken|. */
lk_err lk_pending_wake(lk_doc *doc) LK_MUST_USE;
/* For a rollback: takes one step back. */
void lk_pending_step_back(lk_doc *doc, const lk_journal_entry *step);

#endif
