#include "room/hub.h"

#include "harness/test.h"
#include "platform/memory/storage.h"

/* Messages of a stranger and of an honest member side by side: the honest one keeps its connection. */
FUZZ(lk_hub_receive) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("[\"1\",\"1\",\"crdt:a\",\"phx_join\",{}]"),
    LK_LIT_INIT("[\"1\",\"2\",\"crdt:a\",\"crdt.increment\",{\"payload\":{\"amount\":1}}]"),
    LK_LIT_INIT("[\"1\",\"3\",\"crdt:a\",\"crdt.merge\",{\"counts\":{\"x\":3,\"y\":4}}]"),
    LK_LIT_INIT("[\"1\",\"4\",\"crdt:a\",\"phx_leave\",{}]"),
    LK_LIT_INIT("[\"1\",\"9\",\"crdt:a\",\"crdt.get\",{}]"),
  };
  uint8_t scratch[200];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_limits limits = lk_limits_default();
  lk_memory_storage storage;
  lk_hub *hub;
  lk_hub_output out;
  uint64_t stranger, honest, now = 0;
  lk_memory_storage_init(&storage, test_alloc(), 1 << 24);
  CHECK_OK(lk_hub_open(&env, &limits, &storage.table, 1, &hub));
  CHECK_OK(lk_hub_connect(hub, &stranger));
  CHECK_OK(lk_hub_connect(hub, &honest));
  for (int i = 0; i < 8; i++) {
    CHECK_OK(lk_hub_receive(hub, honest, samples[i == 0 ? 0 : 1], now));
    lk_slice in = g->from_bytes ? lk_slice_first(g->bytes, gen_below(g, 200))
                                : gen_hostile(g, samples, 5, scratch, sizeof scratch);
    if (g->from_bytes) g->bytes = lk_slice_skip(g->bytes, in.len);
    if (lk_hub_receive(hub, stranger, in, now) != LK_OK) {
      lk_hub_disconnect(hub, stranger, now);
      CHECK_OK(lk_hub_connect(hub, &stranger));
    }
    if (gen_bool(g)) lk_hub_step(hub, now += gen_below(g, 20000));
    while (lk_hub_poll(hub, &out)) CHECK(out.kind == LK_HUB_SEND || out.connection != honest);
  }
  lk_hub_step(hub, now);
  CHECK(lk_hub_is_idle(hub));
  lk_hub_close(hub);
  lk_memory_storage_deinit(&storage);
}
