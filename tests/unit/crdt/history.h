/* unit/crdt/history.h -- a few replicas, what they do, and a model that knows what they know.
 *
 *   history h;
 *   history_begin(&h, g, LK_CRDT_ORSET);
 *   while (history_step(&h)) {}          operations, deltas that are lost, late or twice, restarts, ...
 *   history_exchange(&h);                everybody has everything
 *   history_end(&h);
 *
 * Everything is drawn from |g|. After each step the set of events that a replica knows is brought up to
 * date, and its state is held against what the model makes of that set. A check that fails prints the
 * history so far. */
#ifndef LK_TESTS_CRDT_HISTORY_H
#define LK_TESTS_CRDT_HISTORY_H

#include "harness/gen.h"
#include "unit/crdt/model.h"

enum {
  HISTORY_REPLICAS_MAX = 6,
  HISTORY_MESSAGES_MAX = 24,
  HISTORY_STEPS_MAX = 60,
};

typedef struct history_replica {
  lk_crdt *state;
  model_set knows;
  uint8_t actor;
  uint8_t side; /* of the partition that it is on */
  uint64_t clock_ahead_ms;
} history_replica;

/* A delta, several merged into one, or a whole state; it stays and may be delivered again. */
typedef struct history_message {
  lk_buf bytes;
  model_set tells;
  uint8_t side;
} history_message;

typedef struct history {
  lk_gen *g;
  lk_env env;
  lk_crdt_kind root;
  lk_crdt_kind kinds[3]; /* what this history has below a map */
  uint8_t first_key;
  uint8_t depth_max;
  uint8_t actors; /* used so far */
  uint32_t steps_left;
  uint64_t now_ms;
  uint32_t replica_count;
  uint32_t message_count;
  uint32_t next_message;
  history_replica replica[HISTORY_REPLICAS_MAX];
  history_message message[HISTORY_MESSAGES_MAX];
  model model;
  /* For each two places of sequences: 1 where the first was seen in front of the second, 2 for behind. */
  uint8_t order[MODEL_EVENTS_MAX][MODEL_EVENTS_MAX];
} history;

void history_begin(history *self, lk_gen *g, lk_crdt_kind root);
/* False when the history is long enough. */
bool history_step(history *self);
/* Gives every replica all that any of them knows, and holds all of them against the model. */
void history_exchange(history *self);
void history_end(history *self);

/* An object that knows nothing, and one that knows |bytes|. The caller closes them. */
lk_crdt *history_open(const history *self);
lk_crdt *history_load(const history *self, lk_slice bytes);

/* Initialises |out| and fills it with the state's bytes. */
lk_slice history_encode(const lk_crdt *state, lk_buf *out);

/* Merges, and checks that it is told rightly whether that changed anything. */
void history_merge(lk_crdt *state, lk_slice bytes);

/* Holds a state, and every object below it, against what the model makes of |knows|. */
void history_check(history *self, const lk_crdt *state, model_set knows);

/* Whether the model can tell exactly what replicas have to say to each other. */
bool history_is_exact(const history *self);

/* Checks what lk_crdt_compare() says, and that equal knowledge gives equal bytes, digests, versions. */
void history_check_pair(const history *self, const lk_crdt *a, model_set a_knows, const lk_crdt *b,
                        model_set b_knows);

#endif
