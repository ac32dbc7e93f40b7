/* Updates of pages that leave together: whatever they are, what is gathered is an update. */
#include "harness/test.h"
#include "laniakea/update.h"
#include "peer/gather.h"

static const lk_slice seeds[] = {
  LK_LIT_INIT("\x01\x01\x05\x00\x04\x01\x01t\x02hi\x00"),
  LK_LIT_INIT("\x01\x01\x05\x02\x84\x05\x01\x02ho\x00"),
  LK_LIT_INIT("\x01\x01\x05\x07\x0a\x02\x00"),
  LK_LIT_INIT("\x00\x01\x05\x01\x00\x01"),
};

FUZZ(lk_gather_updates) {
  uint8_t scratch[3][120];
  lk_slice updates[3];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  const lk_limits limits = lk_limits_default();
  lk_buf out;
  lk_buf_init(&out, test_alloc(), 1 << 20);
  for (int i = 0; i < 3; i++)
    updates[i] = gen_hostile(g, seeds, sizeof seeds / sizeof seeds[0], scratch[i],
                             sizeof scratch[i]);
  if (lk_gather_updates(env.alloc, &limits, updates, 3, &out) == LK_OK)
    CHECK_OK(lk_update_check(&env, LK_UPDATE_V1, lk_buf_slice(&out), NULL));
  else CHECK_U64(out.len, 0);
  lk_buf_deinit(&out);
}
