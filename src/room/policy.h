/* room/policy.h -- what is decided for topics by their names: where they are kept, and for how long without members.
 *
 * A pattern is a topic's name, or the beginning of names with a * at its end; * alone is all of them. Where several rules
 * match, the first one counts. */
#ifndef LK_ROOM_POLICY_H
#define LK_ROOM_POLICY_H

#include "channel/profile.h"

#define LK_ROOM_IDLE_MS_PRESET (15u * 60 * 1000)

typedef struct lk_idle_rule {
  lk_slice pattern;
  uint64_t idle_ms;
} lk_idle_rule;

/* Whether documents keep versions: how they looked at times, with all that was deleted since. */
typedef struct lk_version_policy {
  bool is_on;
  uint64_t interval_ms;   /* between those that are made by themselves, at least; 0: none is */
  uint32_t automatic_max; /* of those; the oldest goes */
} lk_version_policy;

#define LK_VERSIONS_AUTOMATIC_PRESET 100u

typedef struct lk_version_rule {
  lk_slice pattern;
  lk_version_policy policy;
} lk_version_rule;

/* What it points to outlives it. */
typedef struct lk_room_policy {
  const lk_slice *ephemeral; /* topics of level memory: nothing of them ever reaches a disk */
  size_t ephemeral_count;
  const lk_idle_rule *idle;
  size_t idle_count;
  uint64_t idle_ms; /* of all other topics */
  const lk_version_rule *versions;
  size_t versions_count;
  const lk_slice *watched; /* topics whose changes are noted for who asks: room/house_news.c */
  size_t watched_count;
  lk_profile_preset profiles; /* by which clients are judged */
} lk_room_policy;

#define LK_ROOM_POLICY_PRESET                                                                      \
  { .idle_ms = LK_ROOM_IDLE_MS_PRESET }

bool lk_topic_matches(lk_slice pattern, lk_slice topic);

bool lk_room_policy_is_ephemeral(const lk_room_policy *self, lk_slice topic);
bool lk_room_policy_is_watched(const lk_room_policy *self, lk_slice topic);

/* How long a room stays open after its last member has left. */
uint64_t lk_room_policy_idle_ms(const lk_room_policy *self, lk_slice topic);

/* Reads "pattern=5m", a number with ms, s, m, h or d behind it; borrows |text|. LK_ERR_SYNTAX, LK_ERR_RANGE. */
lk_err lk_idle_rule_read(lk_slice text, lk_idle_rule *out) LK_MUST_USE;

/* Of a topic that no rule names: off. */
lk_version_policy lk_room_policy_versions(const lk_room_policy *self, lk_slice topic);

/* Reads "pattern=1h", or with how many are kept "pattern=1h/50", or "pattern=saved" where none is made by itself; borrows
 * |text|. LK_ERR_SYNTAX, LK_ERR_RANGE. */
lk_err lk_version_rule_read(lk_slice text, lk_version_rule *out) LK_MUST_USE;

#endif
