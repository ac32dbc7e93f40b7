/* sim/net.h -- wires between nodes: connections, which keep order, and datagrams, which do not.
 *
 * A connection is what a WebSocket over TCP shows to our code: messages arrive whole, in order and
 * once, or the connection is over. What differs from a good network is when, and who gets to know:
 *
 *   - each message takes its own time; a later one never overtakes;
 *   - a path that is blocked holds messages back, as TCP does, until it is free again or the
 *     sender gives up, which the receiver then does not hear of: a half-open connection;
 *   - a connection may die at any message, for both sides or for one;
 *   - connecting to a process that is down is refused; to a machine without power, it hangs;
 *   - sending to somebody who has forgotten the connection (a restart) ends it.
 *
 * Datagrams have no order and no promise: each is lost, doubled or late by itself.
 *
 * Paths are directed. Blocks are counted: a path is free when everybody who blocked it has let go. */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "base/list.h"
#include "base/map.h"
#include "sim/node.h"

/* How long a sender's system keeps trying before it gives a connection up. */
#define SIM_NET_GIVE_UP_US (30000u * SIM_MS)

#define SIM_END_NONE 0

typedef struct sim_net {
  sim_world *world;
  lk_prng prng;
  lk_map connections; /* number, 8 bytes big endian -> connection * */
  uint64_t next;
  uint32_t blocks[SIM_NODES_MAX][SIM_NODES_MAX]; /* [from][to]: how many blocks */
  uint64_t clogged_until_us[SIM_NODES_MAX][SIM_NODES_MAX];
  uint64_t delivered;
  lk_list datagrams; /* under way */
} sim_net;

void sim_net_init(sim_net *self, sim_world *world);

/* Nobody is called; nodes should be stopped before. */
void sim_net_deinit(sim_net *self);

/* ---- connections ---- */

/* |from|'s end of a new connection. Its kind hears opened or closed, unless it closes first. */
sim_end sim_net_connect(sim_net *self, sim_node *from, sim_node *to);

/* Ends that are closed or unknown are ignored. */
void sim_net_send(sim_net *self, sim_end end, lk_slice text);

/* What was sent before still arrives; then the other side hears closed. This side hears nothing more. */
void sim_net_close(sim_net *self, sim_end end);

/* Bytes that were sent from this end and have not arrived. */
size_t sim_net_queued(const sim_net *self, sim_end end);

/* |node|'s process is gone, call it after sim_node_stop. Its system says so to the other ends,
 * unless the machine is dark. */
void sim_net_forget(sim_net *self, sim_node *node);

/* Connections that are known to at least one side. */
uint32_t sim_net_count(const sim_net *self);

/* ---- datagrams ---- */

void sim_net_datagram(sim_net *self, sim_node *from, sim_node *to, lk_slice bytes);

/* ---- trouble ---- */

void sim_net_block(sim_net *self, uint32_t from, uint32_t to);
void sim_net_unblock(sim_net *self, uint32_t from, uint32_t to);
void sim_net_clog(sim_net *self, uint32_t from, uint32_t to, uint64_t until_us);

/* Frees all paths. What is blocked moves on by itself. */
void sim_net_heal(sim_net *self);

#endif
