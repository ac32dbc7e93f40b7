/* sim/counter_world.h -- one server, some users with replicas, some clients without: one counter.
 *
 *   counter_server   lk_hub on a simulated disk, behind simulated connections
 *   counter_user     a tab: lk_peer, a user who clicks, goes offline, closes and comes back
 *   counter_plain    a program that speaks Phoenix messages and keeps nothing
 *   counter_vandal   one that says nonsense
 *
 * The parts know the world only through this struct: its net and its oracle. */
#ifndef SIM_COUNTER_WORLD_H
#define SIM_COUNTER_WORLD_H

#include "peer/peer.h"
#include "room/hub.h"
#include "sim/disk.h"
#include "sim/nemesis.h"
#include "sim/net.h"
#include "sim/oracle.h"

#define COUNTER_TOPIC "crdt:demo"
#define COUNTER_MEMORY_BOUND ((size_t)8 << 20)
#define COUNTER_LINKS_MAX 256
#define COUNTER_OUTSTANDING_MAX 8

typedef struct counter_world counter_world;

/* ---- the server ---- */

typedef struct counter_link {
  sim_end end;
  uint64_t connection; /* the hub's name for it */
  uint64_t heard_ms;
} counter_link;

typedef struct counter_server {
  sim_node node; /* first */
  counter_world *world;
  sim_disk disk;
  lk_limits limits;
  lk_hub *hub;
  counter_link links[COUNTER_LINKS_MAX];
  uint32_t link_count;
  uint64_t sweep_at_ms;
} counter_server;

void counter_server_init(counter_server *self, counter_world *world);
void counter_server_deinit(counter_server *self);

/* What the server would find if it started now, or after a power cut that spares nothing it may
 * take. |out| is initialised and empty. */
lk_err counter_server_recover(counter_server *self, sim_view view, lk_gcounter *out);

/* The process with the rooms ends, and another one begins; connections stay. False where the server is down. */
bool counter_server_kill_rooms(counter_server *self);

/* Whether a file that is not the only copy rotted. */
bool counter_server_rot(counter_server *self, lk_prng *prng);

/* ---- a user with a replica ---- */

typedef struct counter_user {
  sim_node node; /* first */
  counter_world *world;
  lk_limits limits;
  lk_peer peer;
  bool has_peer;
  bool is_online;
  bool is_resting; /* no actions any more */
  bool has_saved;
  lk_buf saved; /* what the last tab left behind */
  sim_end end;  /* SIM_END_NONE: no connection */
  uint64_t connections;
  uint64_t seen; /* the value of the last CHANGED */
  char actor[24];
  uint32_t replica_count; /* actors so far */
  lk_prng prng;
  sim_event act;
} counter_user;

void counter_user_init(counter_user *self, counter_world *world, uint32_t number);
void counter_user_deinit(counter_user *self);

/* No more actions: comes back, goes online and waits. */
void counter_user_rest(counter_user *self);

/* True when everything that it counted is confirmed. */
bool counter_user_is_settled(const counter_user *self);

/* ---- a client without a replica ---- */

typedef struct counter_request {
  uint64_t ref; /* 0: free, or waits to be sent again */
  uint64_t id;  /* of one that is sent until it is answered; 0: it is sent once */
  uint64_t amount;
} counter_request;

typedef struct counter_plain {
  sim_node node; /* first */
  counter_world *world;
  lk_limits limits;
  sim_end end;
  bool is_open;
  bool is_joined;
  bool is_resting;
  bool owes_last; /* one more request is to be answered before the end */
  bool uses_ids;  /* gives its requests ids, under which each must be executed once */
  uint64_t id_next;
  uint64_t ref_next;
  uint64_t join_ref;
  uint64_t beat_ref;
  uint64_t next_try_ms;
  uint64_t beat_at_ms;
  uint64_t value;
  counter_request requests[COUNTER_OUTSTANDING_MAX];
  lk_prng prng;
  sim_event act;
} counter_plain;

void counter_plain_init(counter_plain *self, counter_world *world, uint32_t number);
void counter_plain_deinit(counter_plain *self);
void counter_plain_rest(counter_plain *self);
bool counter_plain_is_settled(const counter_plain *self);

/* ---- a client that means no good ---- */

typedef struct counter_vandal {
  sim_node node; /* first */
  counter_world *world;
  sim_end end;
  bool is_open;
  lk_prng prng;
  sim_event act;
} counter_vandal;

void counter_vandal_init(counter_vandal *self, counter_world *world, uint32_t number);
void counter_vandal_deinit(counter_vandal *self);

/* ---- all together ---- */

#define COUNTER_USERS_MAX 8
#define COUNTER_PLAINS_MAX 4

struct counter_world {
  sim_world *world;
  sim_net net;
  sim_oracle oracle;
  sim_nemesis nemesis;
  counter_server server;
  counter_user users[COUNTER_USERS_MAX];
  counter_plain plains[COUNTER_PLAINS_MAX];
  counter_vandal vandal;
  uint32_t user_count;
  uint32_t plain_count;
  bool has_vandal;
  uint64_t changes;
  lk_prng prng;
};

/* Checks what the server's medium holds against everything that was promised. */
void counter_world_check_server(counter_world *self, sim_view view);

/* Somebody was just told something: look now and then whether it is true. */
void counter_world_check_promise(counter_world *self);

#endif
