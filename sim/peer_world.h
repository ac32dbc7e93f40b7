/* sim/peer_world.h -- devices with replicas and disks of their own, and a server: lk_client as it is shipped.
 *
 *   peer_server   lk_hub on a simulated disk, behind simulated connections
 *   peer_device   lk_client on a simulated disk, and somebody who changes things whether there is a network or not
 *   peer_ledger   what each change was promised: saved on its device, acknowledged by the server
 *
 * Every change is one of its own: the 17th of device 2 in a topic inserts "2.17", or counts one. So a list or a document tells of
 * each change whether it is there, and whether it is there twice. */
#ifndef SIM_PEER_WORLD_H
#define SIM_PEER_WORLD_H

#include "peer/client.h"
#include "room/hub.h"
#include "sim/disk.h"
#include "sim/nemesis.h"
#include "sim/net.h"

#define PEER_MEMORY_BOUND ((size_t)64 << 20)
#define PEER_LINKS_MAX 256
#define PEER_DEVICES_MAX 6
#define PEER_CHANGES_MAX 120 /* of one device in one topic */

typedef struct peer_world peer_world;

/* ---- topics ---- */

typedef enum peer_subject {
  PEER_COUNT,  /* a counter */
  PEER_LIST,   /* a list */
  PEER_DOC,    /* an array in a document */
  PEER_MEMORY, /* a list that devices do not keep */
  PEER_SUBJECTS
} peer_subject;

extern const char *const peer_subject_names[PEER_SUBJECTS];

/* ---- what was promised ---- */

typedef struct peer_change {
  uint64_t number; /* in the backlog; 0: there was no memory for it there */
  bool is_saved;   /* its device was told that it is kept */
  bool is_acked;   /* its device was told that the server has it */
  bool is_over;    /* the process that made it ended before it was either: it may be there or not */
} peer_change;

typedef struct peer_ledger {
  peer_change changes[PEER_CHANGES_MAX];
  uint32_t count;
} peer_ledger;

/* ---- the server ---- */

typedef struct peer_link {
  sim_end end;
  uint64_t connection; /* the hub's name for it */
  uint64_t heard_ms;
} peer_link;

typedef struct peer_server {
  sim_node node; /* first */
  peer_world *world;
  sim_disk disk;
  lk_limits limits;
  lk_hub *hub;
  peer_link links[PEER_LINKS_MAX];
  uint32_t link_count;
  uint64_t sweep_at_ms;
} peer_server;

void peer_server_init(peer_server *self, peer_world *world);
void peer_server_deinit(peer_server *self);
/* The process with the rooms ends, and another one begins; connections stay. False where the server is down. */
bool peer_server_kill_rooms(peer_server *self);

/* ---- a device ---- */

typedef struct peer_device {
  sim_node node; /* first */
  peer_world *world;
  sim_disk disk;
  bool has_disk; /* a newcomer has none */
  lk_limits limits;
  lk_client *client;               /* NULL: no memory for it */
  lk_topic *topics[PEER_SUBJECTS]; /* NULL: not open yet */
  peer_ledger ledgers[PEER_SUBJECTS];
  bool is_online;
  bool is_resting; /* no actions any more */
  bool has_left;   /* its user closed it */
  sim_end end;     /* SIM_END_NONE: no connection */
  uint32_t connections;
  lk_prng prng;
  sim_event act;
} peer_device;

void peer_device_init(peer_device *self, peer_world *world, uint32_t number, bool has_disk);
void peer_device_deinit(peer_device *self);

/* No more actions: comes back, goes online and waits. */
void peer_device_rest(peer_device *self);

/* What keeps it from being settled, or NULL. */
const char *peer_device_unsettled(const peer_device *self);

/* ---- all together ---- */

struct peer_world {
  sim_world *world;
  sim_net net;
  sim_nemesis nemesis;
  peer_server server;
  peer_device devices[PEER_DEVICES_MAX];
  peer_device newcomer; /* comes when all others are gone */
  uint32_t device_count;
  uint64_t changes;
  uint64_t checks;
};

/* What |topic| shows on |device|: changes that somebody made, each once; and all that must be there:
 *
 *   PEER_MUST_NOTHING   nothing has to
 *   PEER_MUST_SAVED     what this device itself was told is kept
 *   PEER_MUST_ALL       what any device was told is kept, or acknowledged */
typedef enum peer_must { PEER_MUST_NOTHING, PEER_MUST_SAVED, PEER_MUST_ALL } peer_must;
void peer_world_check(peer_world *self, const peer_device *device, peer_subject subject,
                      peer_must must);

#endif
