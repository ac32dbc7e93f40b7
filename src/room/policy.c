/* room/policy.c -- rules are few, and looked at when a room opens or becomes idle. */
#include "room/policy.h"

#include "codec/number.h"

#define IDLE_MS_MAX (UINT64_C(365) * 24 * 60 * 60 * 1000)

bool lk_topic_matches(lk_slice pattern, lk_slice topic) {
  bool is_beginning = pattern.len > 0 && pattern.ptr[pattern.len - 1] == '*';
  if (!is_beginning) return lk_slice_equal(pattern, topic);
  return lk_slice_starts_with(topic, lk_slice_first(pattern, pattern.len - 1));
}

static bool fits_any(const lk_slice *patterns, size_t count, lk_slice topic) {
  for (size_t i = 0; i < count; i++) {
    if (lk_topic_matches(patterns[i], topic)) return true;
  }
  return false;
}

bool lk_room_policy_is_ephemeral(const lk_room_policy *self, lk_slice topic) {
  return fits_any(self->ephemeral, self->ephemeral_count, topic);
}

bool lk_room_policy_is_watched(const lk_room_policy *self, lk_slice topic) {
  return fits_any(self->watched, self->watched_count, topic);
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

/* "5m", into |*out|. */
static lk_err read_age(lk_slice age, uint64_t *out) {
  size_t digits = 0;
  uint64_t value = 0;
  for (; digits < age.len && age.ptr[digits] >= '0' && age.ptr[digits] <= '9'; digits++) {
    value = value * 10 + (uint64_t)(age.ptr[digits] - '0');
    if (value > IDLE_MS_MAX) return LK_ERR_RANGE;
  }
  uint64_t unit = unit_of(lk_slice_skip(age, digits));
  if (digits == 0 || unit == 0) return LK_ERR_SYNTAX;
  if (value > IDLE_MS_MAX / unit) return LK_ERR_RANGE;
  *out = value * unit;
  return LK_OK;
}

/* At the last =, so that a topic's name may have one. */
static lk_err cut_rule(lk_slice text, lk_slice *pattern, lk_slice *value) {
  size_t at = text.len;
  while (at > 0 && text.ptr[at - 1] != '=') at--;
  if (at < 2) return LK_ERR_SYNTAX;
  *pattern = lk_slice_first(text, at - 1);
  *value = lk_slice_skip(text, at);
  return LK_OK;
}

lk_err lk_idle_rule_read(lk_slice text, lk_idle_rule *out) {
  lk_idle_rule rule;
  lk_slice age;
  lk_err err = cut_rule(text, &rule.pattern, &age);
  if (err == LK_OK) err = read_age(age, &rule.idle_ms);
  if (err == LK_OK) *out = rule;
  return err;
}

lk_version_policy lk_room_policy_versions(const lk_room_policy *self, lk_slice topic) {
  for (size_t i = 0; i < self->versions_count; i++) {
    if (lk_topic_matches(self->versions[i].pattern, topic)) return self->versions[i].policy;
  }
  return (lk_version_policy){ .is_on = false };
}

/* "1h" or "1h/50". */
static lk_err read_interval(lk_slice value, lk_version_policy *out) {
  lk_slice count, age = lk_slice_cut(value, '/', &count);
  uint64_t number = LK_VERSIONS_AUTOMATIC_PRESET;
  lk_err err = read_age(age, &out->interval_ms);
  if (err != LK_OK) return err;
  if (age.len < value.len && lk_number_parse_u64(count, &number) != LK_OK) return LK_ERR_SYNTAX;
  if (out->interval_ms == 0 || number == 0 || number > UINT32_MAX) return LK_ERR_RANGE;
  out->automatic_max = (uint32_t)number;
  return LK_OK;
}

lk_err lk_version_rule_read(lk_slice text, lk_version_rule *out) {
  lk_version_rule rule = { .policy = { true, 0, LK_VERSIONS_AUTOMATIC_PRESET } };
  lk_slice value;
  lk_err err = cut_rule(text, &rule.pattern, &value);
  if (err == LK_OK && !lk_slice_equal(value, LK_LIT("saved")))
    err = read_interval(value, &rule.policy);
  if (err == LK_OK) *out = rule;
  return err;
}
