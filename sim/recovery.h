/* sim/recovery.h -- what a house would open a topic from, read past it: a server that is asked what it remembers
 * could lie.
 *
 * A topic is a snapshot in one of its two slots, and the records behind it: in the journal of all rooms where it is durable, in
 * a scroll of its own where it is of level memory. */
#ifndef SIM_RECOVERY_H
#define SIM_RECOVERY_H

#include "crypto/crypto.h"
#include "platform/memory/storage.h"
#include "sim/disk.h"

#define SIM_SLOT_NAME_LEN (2 * LK_SHA256_LEN + 2)

/* Takes what a snapshot or a record holds of the room, in order. */
typedef lk_err (*sim_kept_fn)(void *ctx, lk_slice bytes);

/* The house names a topic's two slots by its digest. */
lk_slice sim_slot_name(lk_slice topic, unsigned slot, uint8_t name[SIM_SLOT_NAME_LEN]);

/* A topic of level durable. The errors of what is read, and those of |each|. */
lk_err sim_recover_durable(const sim_disk *disk, sim_view view, lk_slice topic, sim_kept_fn each,
                           void *ctx);

/* A topic of level memory. */
lk_err sim_recover_memory(lk_memory_storage *storage, lk_slice topic, sim_kept_fn each, void *ctx);

/* Whether any file of |topic| is there. */
bool sim_memory_has(lk_memory_storage *storage, lk_slice topic);

/* Makes |to|, a storage that nobody uses yet, hold what |from| holds: handles and operations of a process that died
 * are then gone. */
void sim_memory_copy(lk_memory_storage *from, lk_memory_storage *to);

/* Whether a slot that is not the only copy rotted: the one that was synced before the other. Whatever is newest has no
 * copy. */
bool sim_rot_slot(sim_disk *disk, lk_slice topic);

#endif
