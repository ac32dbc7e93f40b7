/* Who speaks for whom in a document, by itself. What its room makes of that is in doc_shown_test.c and doc_room_test.c. */
#include "room/doc_awareness.h"

#include <time.h>

#include "codec/varint.h"
#include "harness/test.h"

typedef struct world {
  lk_limits limits;
  lk_doc_awareness all;
  lk_buf update;
} world;

static void init(world *w) {
  static const uint64_t seed[2] = { 1, 2 };
  *w = (world){ .limits = lk_limits_default() };
  lk_buf_init(&w->update, test_alloc(), SIZE_MAX / 4);
  lk_doc_awareness_init(&w->all, test_alloc(), &w->limits, seed);
}

static void deinit(world *w) {
  lk_doc_awareness_deinit(&w->all);
  lk_buf_deinit(&w->update);
}

/* |member| shows an empty state for each of |count| clients from |first| on, or |step| apart. */
static void speak(world *w, uint64_t member, uint64_t first, uint64_t count, uint64_t step,
                  uint64_t clock, uint64_t now_ms) {
  lk_buf_truncate(&w->update, 0);
  (void)lk_varuint_encode(&w->update, count);
  for (uint64_t i = 0; i < count; i++) {
    (void)lk_varuint_encode(&w->update, first + i * step);
    (void)lk_varuint_encode(&w->update, clock);
    (void)lk_buf_append(&w->update, LK_LIT("\x02{}"));
  }
  CHECK_OK(lk_doc_awareness_take(&w->all, member, lk_buf_slice(&w->update), now_ms));
}

static uint64_t shown(world *w) {
  lk_reader in;
  uint64_t count = 0;
  lk_buf_truncate(&w->update, 0);
  CHECK_OK(lk_doc_awareness_encode(&w->all, &w->update));
  in = lk_reader_of(lk_buf_slice(&w->update));
  if (w->update.len > 0) CHECK_OK(lk_varuint_decode(&in, UINT64_MAX, &count));
  return count;
}

/* Goal: whoever owns a client takes it away, and nobody else's, whatever it had besides, in whatever order.
 * Method: three members take clients from each other at random, which a table follows, and leave in turn. */
PROPERTY(clients_go_with_the_member_that_spoke_for_them_last) {
  enum { CLIENTS = 12, MEMBERS = 3 };
  uint64_t of[CLIENTS] = { 0 }, now_ms = 1000;
  world w;
  init(&w);
  for (uint64_t clock = 1; clock < 40; clock++) {
    uint32_t client = gen_below(g, CLIENTS), count = 1 + gen_below(g, CLIENTS - client);
    uint64_t member = 1 + gen_below(g, MEMBERS);
    now_ms += 10;
    speak(&w, member, client, count, 1, clock, now_ms);
    for (uint32_t i = 0; i < count; i++) of[client + i] = member;
    if (gen_below(g, 4) > 0) continue;
    member = 1 + gen_below(g, MEMBERS);
    CHECK_OK(lk_doc_awareness_leave(&w.all, member, now_ms));
    uint64_t left = 0;
    for (int i = 0; i < CLIENTS; i++) {
      if (of[i] == member) of[i] = 0;
      left += of[i] != 0;
    }
    CHECK_U64(shown(&w), left);
  }
  for (uint64_t member = 1; member <= MEMBERS; member++)
    CHECK_OK(lk_doc_awareness_leave(&w.all, member, now_ms));
  CHECK_U64(shown(&w), 0);
  CHECK_U64(lk_doc_awareness_speakers(&w.all), 0);
  deinit(&w);
}

/* Goal: a client that goes takes about as long as it took to come, however many its member has. With a walk through these it was
 * thirteen times as long.
 * Method: one member repeats what many show, as an editor does when a room has come back. Half of them say it themselves, and the
 * others are silent until they count as gone. */
TEST(many_clients_of_one_member_go_as_fast_as_they_came) {
  enum { CLIENTS = 200000 };
  world w;
  init(&w);
  w.limits.awareness_clients_count = CLIENTS;
  w.limits.awareness_bytes = 1 << 26;
  const clock_t began = clock();
  speak(&w, 1, 100, CLIENTS, 1, 1, 1000);
  const clock_t came = clock();
  CHECK_U64(shown(&w), CLIENTS);
  const clock_t go = clock();
  speak(&w, 2, 100, CLIENTS / 2, 2, 2, 2000);
  CHECK_OK(lk_doc_awareness_tick(&w.all, 1000 + LK_AWARENESS_TIMEOUT_MS, &w.update));
  const clock_t gone = clock();
  test_note("%ld to come, %ld to go", (long)(came - began), (long)(gone - go));
  CHECK((gone - go) / 4 <= came - began);
  CHECK_U64(shown(&w), CLIENTS / 2);
  CHECK_OK(lk_doc_awareness_leave(&w.all, 1, 40000));
  CHECK_U64(shown(&w), CLIENTS / 2);
  CHECK_OK(lk_doc_awareness_leave(&w.all, 2, 40000));
  CHECK_U64(shown(&w), 0);
  deinit(&w);
}
