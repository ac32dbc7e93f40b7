/* What processes of a server do about each other's nonsense. */
#include "server/links.h"

#include "harness/test.h"

#include <poll.h>

/* Goal: who is at the other end of a ring that makes no sense is blamed, by its pid, and nobody else. Method: each end of each
 * ring of two edges, a room and the process for webhooks; a counter is poisoned, the other end uses the ring. */
static bool is_readable(const lk_links *links) {
  struct pollfd fd = { .fd = links->blame_fd, .events = POLLIN };
  return poll(&fd, 1, 0) == 1;
}

static void poison_tail(lk_channel_ring *ring) {
  const uint64_t nonsense = UINT64_C(0x5A5A5A5A5A5A5A5A);
  memcpy(ring->shared, &nonsense, sizeof nonsense);
}

static void use(lk_channel_ring *ring, bool reads) {
  lk_slice piece;
  bool is_first;
  if (reads) (void)!lk_channel_ring_peek(ring, &piece, &is_first);
  else (void)lk_channel_ring_write(ring, LK_LIT("hello"), true);
}

TEST(the_process_at_the_other_end_of_a_ring_without_sense_is_blamed) {
  for (int i = 0; i < 8; i++) {
    lk_links links;
    CHECK_OK(lk_links_make_with_webhooks(&links, test_alloc(), 2, 1));
    CHECK(links.edges_count == 3 && links.rooms_count == 2);
    for (uint32_t e = 0; e < 3; e++) lk_links_set(&lk_links_edge_numbers(&links, e)->pid, 100 + e);
    lk_links_set(&lk_links_room_numbers(&links, 0)->pid, 200);
    bool reads = i % 2 == 0, is_edge = true;
    uint64_t guilty = 200;
    lk_channel_ring *ring = NULL;
    switch (i / 2) {
    case 0: ring = reads ? lk_links_to_edge(&links, 1, 0) : lk_links_to_room(&links, 1, 0); break;
    case 1:
      ring = reads ? lk_links_to_room(&links, 1, 0) : lk_links_to_edge(&links, 1, 0);
      is_edge = false;
      guilty = 101;
      break;
    case 2:
      ring = reads ? lk_links_way(&links, 0, 1) : lk_links_way(&links, 1, 0);
      guilty = 100;
      break;
    default:
      ring = reads ? lk_links_to_edge(&links, 1, 1) : lk_links_to_room(&links, 1, 1);
      guilty = 102; /* webhooks, which are a room here */
    }
    poison_tail(ring);
    use(ring, reads);
    CHECK(!is_readable(&links));
    if (is_edge) lk_links_blame_of_edge(&links, 1);
    else lk_links_blame_of_room(&links, 0);
    CHECK(is_readable(&links));
    for (uint32_t e = 0; e < 3; e++)
      CHECK(lk_links_is_blamed(lk_links_edge_numbers(&links, e), 100 + e) == (guilty == 100 + e));
    CHECK(lk_links_is_blamed(lk_links_room_numbers(&links, 0), 200) == (guilty == 200));
    CHECK(!lk_links_is_blamed(lk_links_room_numbers(&links, 0), 200)); /* once */
    /* Whoever takes its place finds nothing to blame others for. */
    lk_links_take_over_edge(&links, 0);
    lk_links_take_over_edge(&links, 1);
    lk_links_take_over_edge(&links, 2);
    lk_links_take_over_room(&links, 0);
    lk_links_take_over_room(&links, 1);
    use(ring, false);
    use(ring, true);
    CHECK(!lk_channel_ring_take_fault(ring));
    lk_links_close(&links, test_alloc());
    lk_links_close(&links, test_alloc());
  }
}

TEST(a_successor_is_not_blamed_for_its_predecessor) {
  lk_links links;
  CHECK_OK(lk_links_make(&links, test_alloc(), 1, 1));
  lk_links_numbers *room = lk_links_room_numbers(&links, 0);
  lk_links_set(&room->pid, 200);
  poison_tail(lk_links_to_edge(&links, 0, 0));
  use(lk_links_to_edge(&links, 0, 0), true);
  lk_links_blame_of_edge(&links, 0);
  CHECK(!lk_links_is_blamed(room, 201));
  CHECK(!lk_links_is_blamed(room, 0));
  lk_links_close(&links, test_alloc());
}
