/* room/policy.c -- rules are few, and looked at when a room opens or becomes idle. */
#include "room/policy.h"

#define IDLE_MS_MAX (UINT64_C(365) * 24 * 60 * 60 * 1000)

bool lk_topic_matches(lk_slice pattern, lk_slice topic) {
  bool is_beginning = pattern.len > 0 && pattern.ptr[pattern.len - 1] == '*';
  if (!is_beginning) return lk_slice_equal(pattern, topic);
  return lk_slice_starts_with(topic, lk_slice_first(pattern, pattern.len - 1));
}

bool lk_room_policy_is_ephemeral(const lk_room_policy *self, lk_slice topic) {
  for (size_t i = 0; i < self->ephemeral_count; i++) {
    if (lk_topic_matches(self->ephemeral[i], topic)) return true;
  }
  return false;
}

uint64_t lk_room_policy_idle_ms(const lk_room_policy *self, lk_slice topic) {
  for (size_t i = 0; i < self->idle_count; i++) {
    if (lk_topic_matches(self->idle[i].pattern, topic)) return self->idle[i].idle_ms;
  }
  return self->idle_ms;
}

/* 0: no unit that is known. */
static uint64_t unit_of(lk_slice text) {
  static const struct {
    lk_slice name;
    uint64_t ms;
  } units[] = { { LK_LIT_INIT("ms"), 1 },
                { LK_LIT_INIT("s"), 1000 },
                { LK_LIT_INIT("m"), 60000 },
                { LK_LIT_INIT("h"), 3600000 },
                { LK_LIT_INIT("d"), 86400000 } };
  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
    if (lk_slice_equal(units[i].name, text)) return units[i].ms;
  }
  return 0;
}

/* Behind the last =, so that a topic's name may have one. */
lk_err lk_idle_rule_read(lk_slice text, lk_idle_rule *out) {
  size_t at = text.len, digits = 0;
  uint64_t value = 0;
  while (at > 0 && text.ptr[at - 1] != '=') at--;
  if (at < 2) return LK_ERR_SYNTAX;
  lk_slice age = lk_slice_skip(text, at);
  for (; digits < age.len && age.ptr[digits] >= '0' && age.ptr[digits] <= '9'; digits++) {
    value = value * 10 + (uint64_t)(age.ptr[digits] - '0');
    if (value > IDLE_MS_MAX) return LK_ERR_RANGE;
  }
  uint64_t unit = unit_of(lk_slice_skip(age, digits));
  if (digits == 0 || unit == 0) return LK_ERR_SYNTAX;
  if (value > IDLE_MS_MAX / unit) return LK_ERR_RANGE;
  *out = (lk_idle_rule){ lk_slice_first(text, at - 1), value * unit };
  return LK_OK;
}
