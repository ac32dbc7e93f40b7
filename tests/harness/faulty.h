/* harness/faulty.h -- failing the 1st, the 2nd, ... allocation or storage operation.
 *
 *   FAULT_LOOP(faults, test_alloc()) {
 *     lk_err err = scenario(faulty_alloc(&faults));
 *     CHECK(err == LK_OK || err == LK_ERR_NOMEM);
 *     ... check that nothing was lost and that the object is as before ...
 *   }
 *
 * The loop runs the scenario once to see that it passes without a fault, then with fault 1, 2,
 * ... once as a single failure and once as a failure that lasts, until the scenario passes
 * without touching the fault. It also fails the test when no operation was ever counted: a fault
 * loop that injects nothing proves nothing. */
#ifndef LK_TESTS_FAULTY_H
#define LK_TESTS_FAULTY_H

#include "base/prng.h"
#include "base/storage.h"
#include "laniakea/env.h"

typedef struct faulty {
  lk_alloc table; /* hands on to |inner|, unless it is this one's turn to fail */
  const lk_alloc *inner;
  uint64_t fail_at; /* 0: never */
  bool lasting;     /* every operation from fail_at on, or that one alone */
  uint64_t seen;    /* operations in this round */
  bool hit;         /* a fault was delivered in this round */
  uint64_t rounds;
  uint64_t hits;
  bool began;
} faulty;

void faulty_init(faulty *self, const lk_alloc *inner);
/* The next round; false when the last two rounds (single, lasting) passed untouched. */
bool faulty_next(faulty *self);
/* To be called by whatever injects: counts one operation and says whether it must fail. */
bool faulty_should_fail(faulty *self);
static inline const lk_alloc *faulty_alloc(faulty *self) { return &self->table; }

#define FAULT_LOOP(name, inner_alloc)                                                              \
  faulty name;                                                                                     \
  faulty_init(&name, inner_alloc);                                                                 \
  while (faulty_next(&name))

/* What a storage may do to one operation. */
typedef enum storage_fault {
  STORAGE_FAIL,  /* the operation has no effect and reports an error */
  STORAGE_TEAR,  /* a write reaches the medium in part, then reports an error */
  STORAGE_DELAY, /* completes only after operations that came later, on other files */
  STORAGE_LOSE,  /* reports success and has no effect: the medium lies */
  STORAGE_FAULTS
} storage_fault;

/* A storage in front of another one that does |fault| to the operations which |faults| picks. */
typedef struct faulty_storage {
  lk_storage table;
  lk_storage *inner;
  faulty *faults;
  storage_fault fault;
  lk_err error; /* for FAIL and TEAR: LK_ERR_IO, LK_ERR_NO_SPACE, ... (sync: LK_ERR_SYNC) */
  lk_prng prng; /* where to tear */
  lk_list done; /* completed here, without the inner storage */
  lk_list delayed;
  lk_io torn; /* the stand-in that writes the first part */
  lk_io *torn_for;
  uint32_t spoiled_count;
  lk_file spoiled[16]; /* files whose sync failed: rule 3 of base/storage.h */
} faulty_storage;

void faulty_storage_init(faulty_storage *self, lk_storage *inner, faulty *faults,
                         storage_fault fault, lk_err error, uint64_t seed);

#endif
