#include "room/policy.h"

#include "harness/test.h"

/* Likewise. */
FUZZ(lk_version_rule_read) {
  static const lk_slice samples[] = { LK_LIT_INIT("doc:live-*=5m/9"), LK_LIT_INIT("a=b=saved"),
                                      LK_LIT_INIT("*=365d") };
  uint8_t scratch[64];
  lk_version_rule rule;
  lk_slice in = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  if (lk_version_rule_read(in, &rule) != LK_OK) return;
  CHECK(rule.pattern.len > 0 && rule.pattern.len + 3 <= in.len);
  CHECK(lk_slice_starts_with(in, rule.pattern) && in.ptr[rule.pattern.len] == '=');
  CHECK(rule.policy.is_on && rule.policy.automatic_max > 0);
}

/* Whatever a rule says, it is refused, or the topic is what stands before its last =. */
FUZZ(lk_idle_rule_read) {
  static const lk_slice samples[] = { LK_LIT_INIT("doc:live-*=5m"), LK_LIT_INIT("a=b=250ms"),
                                      LK_LIT_INIT("*=365d") };
  uint8_t scratch[64];
  lk_idle_rule rule;
  lk_slice in = gen_hostile(g, samples, 3, scratch, sizeof scratch);
  if (lk_idle_rule_read(in, &rule) != LK_OK) return;
  CHECK(rule.pattern.len > 0 && rule.pattern.len + 3 <= in.len);
  CHECK(lk_slice_starts_with(in, rule.pattern) && in.ptr[rule.pattern.len] == '=');
  CHECK(rule.idle_ms <= UINT64_C(366) * 86400000);
}
