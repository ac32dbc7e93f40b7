/* server/process.c -- signals that are not for us, and the first word to everybody. */
#include "server/process.h"

#include "platform/posix/heap.h"

#include <signal.h>
#include <unistd.h>

lk_err lk_process_watch_signals(lk_loop *loop, lk_loop_signal on_signal, void *ctx) {
  sigset_t stop;
  (void)sigemptyset(&stop);
  (void)sigaddset(&stop, SIGTERM);
  (void)signal(SIGPIPE, SIG_IGN);
  (void)signal(SIGXFSZ, SIG_IGN); /* a file at its limit is a full disk */
  /* Ctrl-C reaches every process of the terminal; the supervisor decides what it means. */
  (void)signal(SIGINT, SIG_IGN);
  (void)signal(SIGHUP, SIG_IGN);
  return lk_loop_watch_signals(loop, &stop, on_signal, ctx);
}

/* Whoever was here before may have died between taking a message and ringing. */
static void ring_all(const lk_links *links) {
  for (uint32_t i = 0; i < links->rooms_count; i++)
    lk_bell_ring_always(lk_links_room_bell(links, i));
  for (uint32_t i = 0; i < links->edges_count; i++)
    lk_bell_ring_always(lk_links_edge_bell(links, i));
}

void lk_process_tell_ready(const lk_links *links, lk_links_numbers *row, int ready_fd) {
  static const uint64_t one = 1;
  lk_links_set(&row->ready, 1);
  ssize_t ignored = write(ready_fd, &one, sizeof one);
  (void)ignored; /* then the supervisor's words are late, and nothing else */
  ring_all(links);
}

void lk_process_heap(lk_slabs *slabs, bool is_clean, const lk_alloc **lasting,
                     const lk_alloc **brief) {
  lk_slabs_init(slabs, is_clean);
#ifdef LK_UNDER_SANITIZER
  *lasting = is_clean ? lk_posix_clean_heap() : lk_posix_heap();
  if (brief != NULL) *brief = *lasting;
#else
  *lasting = &slabs->lasting.alloc;
  if (brief != NULL) *brief = &slabs->brief.alloc;
#endif
}
