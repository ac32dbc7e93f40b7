/* server/room_process.h -- the process that holds rooms: a house (room/house.h), its storage, and rings to the edges.
 *
 * It talks to no stranger, but decodes and merges what strangers wrote: it may die at any instant. What it
 * acknowledged lies in the data directory, which its supervisor owns; the next one goes on from there, and
 * the edges send again what was not answered. */
#ifndef LK_SERVER_ROOM_PROCESS_H
#define LK_SERVER_ROOM_PROCESS_H

#include "base/limits.h"
#include "platform/posix/shared_storage.h"
#include "room/policy.h"
#include "server/links.h"
#include "server/times.h"

typedef struct lk_room_process_options {
  const lk_links *links;
  uint32_t index;        /* which of the links' rooms */
  int ready_fd;          /* an eventfd: 1 is written when it serves */
  const char *directory; /* where durable topics are kept; NULL: there are none */
  lk_shared_memory memory; /* where the others are; zeroed: there are none */
  lk_room_policy policy;
  lk_limits limits;
  lk_times times;
} lk_room_process_options;

/* Runs until SIGTERM, then finishes what is being made durable. Returns an exit code of server/process.h. Other
 * signals that ask to stop are the supervisor's. */
int lk_room_process_run(const lk_room_process_options *options);

#endif
