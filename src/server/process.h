/* server/process.h -- how processes of a server begin and end: what those for connections, for rooms and for webhooks have in common. */
#ifndef LK_SERVER_PROCESS_H
#define LK_SERVER_PROCESS_H

#include "platform/posix/slabs.h"
#include "server/links.h"
#include "server/loop.h"

/* Exit codes. */
enum {
  LK_PROCESS_STOPPED = 0,  /* as it was told */
  LK_PROCESS_FAILED = 1,   /* try another one */
  LK_PROCESS_HOPELESS = 3, /* another one would fail in the same way; the reason has been said */
};

/* SIGTERM comes through |loop|; what else the terminal or the system may send is passed over. */
lk_err lk_process_watch_signals(lk_loop *loop, lk_loop_signal on_signal, void *ctx) LK_MUST_USE;

/* The process does its work from now on: says so in its |row| and to the supervisor, and wakes all others. */
void lk_process_tell_ready(const lk_links *links, lk_links_numbers *row, int ready_fd);

/* What the state of the process is in: |slabs|, which begin with this; under a sanitizer the C library's heap, where it
 * sees more. |brief| may be NULL. */
void lk_process_heap(lk_slabs *slabs, bool is_clean, const lk_alloc **lasting,
                     const lk_alloc **brief);

#endif
