/* unit/crdt/model.h -- what the catalogue means, said a second time and in another way.
 *
 * The product keeps dots, runs and a causal context, and forgets what is over. The model forgets
 * nothing: a history is a list of events, what a replica knows is a set of them, and the value is
 * worked out from that set each time it is asked for. It is slow, small, and shares no thought with
 * src/crdt; where the two disagree, one of them is wrong.
 *
 * An event supersedes some of the events that were in force where it was made, as its type says;
 * model_record() notes which. Of a set S of events:
 *
 *   dead(S)  := all that an event of S supersedes. S need not be closed: deltas get lost, so
 *               a removal may be known before what it removes.
 *   live(S)  := the events of S that leave something, without the dead ones
 *   known(S) := the events of S that leave something, and the dead ones
 *
 * Live events are all that a value depends on. live and known together are all that a replica can
 * tell another one: two sets that agree in both are one state.
 *
 * "In force where it was made" is less than "seen there": what was dead there already is not superseded
 * again. The two differ only for a replica that lacks a removal in the middle, and there the product
 * cannot know better, for it would have to keep every removal for ever.
 *
 * Not in the model: where a sequence puts concurrent inserts, and which of the units of a bounded
 * counter a removal of its map hits. model_sequence_* and model_rights_* say what must hold of them. */
#ifndef LK_TESTS_CRDT_MODEL_H
#define LK_TESTS_CRDT_MODEL_H

#include "base/buf.h"
#include "laniakea/crdt.h"

enum {
  MODEL_EVENTS_MAX = 128,
  MODEL_DEPTH_MAX = 4,
  MODEL_KEYS = 5,     /* of maps, in the order of their bytes */
  MODEL_ELEMENTS = 7, /* of sets and registers */
  MODEL_ACTORS = 16,
  MODEL_KINDS = LK_CRDT_TEXT + 1,
};

/* A set of events. */
typedef struct model_set {
  uint64_t bits[MODEL_EVENTS_MAX / 64];
} model_set;

static inline bool model_has(model_set s, uint32_t id) { return s.bits[id / 64] >> id % 64 & 1; }
static inline void model_put(model_set *s, uint32_t id) {
  s->bits[id / 64] |= UINT64_C(1) << id % 64;
}
model_set model_union(model_set a, model_set b);
model_set model_without(model_set a, model_set b);
bool model_is_subset(model_set a, model_set b);
bool model_is_empty(model_set s);
static inline bool model_is_equal(model_set a, model_set b) {
  return model_is_subset(a, b) && model_is_subset(b, a);
}

/* The words of the histories. A text has its canonical form and another one of the same value. */
typedef struct model_word {
  lk_slice canonical;
  lk_slice other;
} model_word;
extern const model_word model_elements[MODEL_ELEMENTS];
extern const lk_slice model_keys[MODEL_KEYS];
extern const lk_slice model_keys_json[MODEL_KEYS];
extern const lk_slice model_actors[MODEL_ACTORS];

/* Where an object is: below maps, each step with the type of the object there. */
typedef struct model_step {
  uint8_t kind;
  uint8_t key;
} model_step;
typedef struct model_path {
  uint8_t depth;
  model_step step[MODEL_DEPTH_MAX];
} model_path;

typedef enum model_verb {
  MODEL_INCREMENT,
  MODEL_DECREMENT,
  MODEL_TRANSFER,
  MODEL_ADD,
  MODEL_REMOVE, /* of a set's element, or of a map's key */
  MODEL_CLEAR,
  MODEL_ENABLE,
  MODEL_DISABLE,
  MODEL_SET,
  MODEL_INSERT,
  MODEL_MOVE,
  MODEL_DELETE,
} model_verb;

typedef struct model_stamp {
  uint64_t ms;
  uint64_t count;
} model_stamp;

/* The first part is the caller's, the second is filled in by model_record(). */
typedef struct model_event {
  model_path at;
  lk_crdt_kind kind;
  model_verb verb;
  uint8_t actor;
  uint8_t to;      /* of a transfer */
  uint8_t element; /* of a set; the value of a register */
  uint8_t key;     /* of a map */
  uint64_t amount; /* of a counter */
  uint64_t now_ms; /* of lww */
  model_set items; /* that a set, a move or a delete of a sequence is about, by their inserts */

  uint32_t item;        /* the one that an insert, a set or a move asserts */
  bool leaves;          /* something that can be superseded; removals do not */
  model_stamp stamp;    /* of lww */
  model_set seen;       /* what its replica knew */
  model_set supersedes; /* what was in force there and no longer is */
  /* Sequences: an insert, a set and a move carry the whole element on, so they tell of writes of its
   * value and its place that were made before, and of which of those are beaten by others. */
  model_set values, values_beaten;
  model_set places, places_beaten;
} model_event;

typedef struct model {
  uint32_t count;
  model_event event[MODEL_EVENTS_MAX];
} model;

/* Adds the event that |draft| begins, made by a replica that knew |seen|; returns its number. */
uint32_t model_record(model *self, const model_event *draft, model_set seen);

model_set model_dead(const model *self, model_set s);
model_set model_live(const model *self, model_set s);
model_set model_known(const model *self, model_set s);

/* What lk_crdt_compare() must say of replicas that know |a| and |b|. */
lk_crdt_order model_compare(const model *self, model_set a, model_set b);

/* Whether |s| has all that its events had seen. */
bool model_is_closed(const model *self, model_set s);

/* Whether |event| is about the object of |kind| at |at| itself. */
bool model_is_about(const model_event *event, const model_path *at, lk_crdt_kind kind);

/* What the model cannot say is asked of |opaque|: it appends the value of a sequence or bounded
 * counter, or returns false where nothing is there. */
typedef struct model_view {
  const model *model;
  model_set live;
  bool (*opaque)(void *ctx, const model_path *at, lk_crdt_kind kind, lk_buf *out);
  void *ctx;
} model_view;

/* Appends the value of the object of |kind| at |at|. False, and nothing appended, where nothing live is in
 * it: no map shows it then, and who asks for it itself is shown model_nothing(). */
bool model_value(const model_view *view, const model_path *at, lk_crdt_kind kind, lk_buf *out);
lk_slice model_nothing(lk_crdt_kind kind);

/* ---- sequences ---- */

/* The elements that are there, by the numbers of their inserts. */
model_set model_sequence_items(const model *self, model_set live, const model_path *at,
                               lk_crdt_kind kind);

/* The writes of the value, or of the place, of |item| that may be the one that counts: none of them was
 * made in knowledge of another. */
model_set model_sequence_values(const model *self, model_set live, uint32_t item);
model_set model_sequence_places(const model *self, model_set live, uint32_t item);

/* ---- bounded counters ---- */

/* What |actor| may spend, as far as |s| tells; exact where |s| is closed and no map was removed above. */
int64_t model_rights(const model *self, model_set s, const model_path *at, uint8_t actor);

/* The value and the rights of all, from |s|. */
void model_rights_value(const model *self, model_set s, const model_path *at, lk_buf *out);

#endif
