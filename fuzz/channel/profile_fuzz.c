/* What a stranger says that it can. */
#include "channel/profile.h"
#include "harness/test.h"

FUZZ(lk_capabilities_read) {
  static const lk_slice samples[] = {
    LK_LIT_INIT(
        "{\"has_workers\":true,\"has_sab\":false,\"memory_mb\":8192,\"connection_type\":\"wifi\"}"),
    LK_LIT_INIT("{\"capabilities\":{\"effective_type\":\"4g\",\"has_webtransport\":null}}"),
  };
  uint8_t scratch[200];
  const lk_limits limits = lk_limits_default();
  lk_capabilities c;
  lk_slice field;
  lk_arena arena;
  lk_arena_init(&arena, test_alloc(), 1 << 16);
  lk_slice text = gen_hostile(g, samples, 2, scratch, sizeof scratch);
  if (lk_capabilities_read(text, &limits, &arena, &c, &field) == LK_OK) {
    lk_profile strict = lk_profile_of(LK_PRESET_STRICT, &c);
    CHECK(strict >= lk_profile_of(LK_PRESET_LENIENT, &c));
  }
  lk_arena_deinit(&arena);
}
