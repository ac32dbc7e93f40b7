/* sim/disk.h -- an lk_storage that keeps its rules, and nothing beyond them.
 *
 * The rules of base/storage.h, read by an enemy: operations of different files overtake each
 * other, completions come late, and what no completed sync covers is lost, kept or torn when the
 * power goes. Three views of a file:
 *
 *   medium   what is there after a power cut for sure
 *   writes   what was written since; at a cut each is kept, dropped or torn by itself
 *   cached   what a process reads: the medium with all writes, while the machine has power
 *
 * A sync that fails leaves its writes in the cache, where they look well, and no longer dirty: a
 * later sync does not take them to the medium (or the cache is thrown away; both happen). That is
 * what Linux does. A process that is killed loses nothing but what it had not submitted, and a
 * write that was under way may have been done in part.
 *
 * Which file may rot is for the scenario to say: it knows which copy is spare. */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "base/buf.h"
#include "base/list.h"
#include "base/storage.h"
#include "sim/world.h"

#define SIM_DISK_OPEN_MAX 64

typedef struct sim_file sim_file;

typedef struct sim_handle {
  sim_file *file;   /* NULL: free */
  bool spoiled;     /* its sync failed: rule 3 */
  uint64_t last_us; /* when its latest operation takes effect: rule 1 */
} sim_handle;

typedef struct sim_disk {
  lk_storage table; /* pass &self->table where an lk_storage is wanted */
  sim_world *world;
  lk_prng prng;
  void (*ready)(void *ctx); /* something completed; may be NULL */
  void *ready_ctx;
  lk_list files; /* in order of creation */
  sim_handle handles[SIM_DISK_OPEN_MAX];
  lk_list under_way; /* in order of submission */
  lk_list done;      /* lk_io, for poll */
  uint64_t full_until_us;
  uint64_t bytes_max;
  bool reserves;  /* it knows LK_IO_RESERVE */
  uint64_t syncs; /* completed with LK_OK; stamps files */
  bool lies;      /* a planted bug: syncs say that they worked, and did nothing */
} sim_disk;

void sim_disk_init(sim_disk *self, sim_world *world, uint64_t number);
void sim_disk_deinit(sim_disk *self);

/* The process that used the disk is gone: its operations and handles are forgotten, those under
 * way done, half done or not done. Nothing that it submitted is touched any more. */
void sim_disk_kill(sim_disk *self);

/* The power goes as well. */
void sim_disk_cut(sim_disk *self);

/* ---- looking and meddling; what no process can do ---- */

typedef enum sim_view {
  SIM_VIEW_CACHED, /* as a process would read it now */
  SIM_VIEW_MEDIUM, /* as it is sure to be after a power cut; a name that is not durable is missing */
} sim_view;

/* Appends |name|'s bytes; LK_ERR_NOT_FOUND, or the buffer's error. */
lk_err sim_disk_look(const sim_disk *self, lk_slice name, sim_view view, lk_buf *out);

/* The next file that has a name, from *|cursor| 0 on. |synced|: when it was last synced, counted in
 * syncs of the disk; 0: never. */
bool sim_disk_next(const sim_disk *self, uint32_t *cursor, lk_slice *name, uint64_t *synced);

/* Flips one to eight bits of |name| wherever it is kept. False where there is nothing to flip, or
 * where writes are outstanding. */
bool sim_disk_rot(sim_disk *self, lk_slice name);

#endif
