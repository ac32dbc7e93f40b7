/* channel/access.c -- claims into a grant, once; a grant into rights, for each message.
 *
 *   claims := {"sub": "ann", "jti": "7f", "topics": {"doc:*": "write"}, ...} | "ann" | 42
 *
 * A connection keeps its grant for as long as it lives, and thousands of them idle. So a grant is one block of just
 * the size that its names need:
 *
 *   grant := expires size counts | subject id rule*        rule := rights and kind:u8 len:u8 name
 *
 * Reading is strict in one direction only: what was signed by a key of ours and is not understood (a right that a
 * later version knows, a * in the middle) refuses the token. To pass over it could mean to give more than was
 * meant, and nobody would notice.
 *
 * Not chosen: the most specific pattern instead of the most of all. It could take rights away for single topics, but who
 * reads a token would have to know an order of patterns; as it is, each line can only add. */
#include "channel/access.h"

#include "codec/json_reader.h"

#define IS_BEGINNING 0x80u /* of a name, beside the rights */
#define RIGHTS_MASK 0x03u
#define RULE_HEAD 2u

bool lk_rights_of_word(lk_slice word, lk_rights *out) {
  static const lk_slice words[] = { LK_LIT_INIT("read"), LK_LIT_INIT("write"),
                                    LK_LIT_INIT("admin") };
  for (unsigned i = 0; i < 3; i++) {
    if (!lk_slice_equal(word, words[i])) continue;
    *out = (lk_rights)(LK_RIGHTS_READ + i);
    return true;
  }
  return false;
}

/* ---- rights ---- */

lk_rights lk_grant_rights(const lk_grant *self, lk_slice topic) {
  unsigned most = LK_RIGHTS_NONE;
  const uint8_t *at = self->bytes + self->subject_len + self->id_len;
  for (uint32_t i = 0; i < self->rules_count; i++) {
    lk_slice name = lk_slice_of(at + RULE_HEAD, at[1]);
    bool fits = (at[0] & IS_BEGINNING) != 0 ? lk_slice_starts_with(topic, name)
                                            : lk_slice_equal(topic, name);
    if (fits) most = lk_max_u32(most, at[0] & RIGHTS_MASK);
    at += RULE_HEAD + name.len;
  }
  return (lk_rights)most;
}

/* ---- reading claims ---- */

typedef struct parsing {
  const lk_limits *limits;
  lk_arena *arena;
  lk_slice subject;
  lk_slice id;
  lk_buf rules;
  uint32_t rules_count;
} parsing;

/* Everything but the want of memory is the token's fault. */
static lk_err refusal(lk_err err) {
  return err == LK_OK || err == LK_ERR_NOMEM || err == LK_ERR_TOO_BIG ? err : LK_ERR_TOKEN_CLAIMS;
}

static lk_err add_rule(parsing *self, lk_slice pattern, lk_rights rights) {
  bool is_beginning = lk_slice_ends_with(pattern, LK_LIT("*"));
  lk_slice name = lk_slice_first(pattern, pattern.len - is_beginning);
  if (pattern.len == 0 || lk_slice_find_byte(name, '*') != LK_SLICE_NONE)
    return LK_ERR_TOKEN_CLAIMS;
  if (name.len > LK_GRANT_NAME_MAX || self->rules_count == LK_GRANT_RULES_MAX)
    return LK_ERR_TOO_BIG;
  self->rules_count++;
  (void)lk_buf_append_u8(&self->rules, (uint8_t)(rights | (is_beginning ? IS_BEGINNING : 0)));
  (void)lk_buf_append_u8(&self->rules, (uint8_t)name.len);
  return lk_buf_append(&self->rules, name);
}

/* {"doc:*": "write", ...} */
static lk_err read_topics(parsing *self, lk_slice json) {
  lk_json_reader in;
  lk_json_event event, value;
  lk_rights rights;
  lk_err err = lk_json_reader_init(&in, json, self->limits, self->arena);
  if (err == LK_OK) err = lk_json_next(&in, &event);
  if (err == LK_OK && event.kind != LK_JSON_OBJECT_BEGIN) return LK_ERR_TOKEN_CLAIMS;
  while (err == LK_OK && (err = lk_json_next(&in, &event)) == LK_OK && event.kind == LK_JSON_KEY) {
    err = lk_json_next(&in, &value);
    if (err != LK_OK) break;
    if (value.kind != LK_JSON_STRING || !lk_rights_of_word(value.text, &rights))
      return LK_ERR_TOKEN_CLAIMS;
    err = add_rule(self, event.text, rights);
  }
  return refusal(err);
}

/* A text, or the digits of a number, which are the same text wherever they come from. */
static lk_err read_name(const lk_json_event *event, lk_slice *out) {
  if (event->kind == LK_JSON_STRING) *out = event->text;
  else if (event->kind == LK_JSON_NUMBER) *out = event->raw;
  else return LK_ERR_TOKEN_CLAIMS;
  return out->len <= LK_GRANT_NAME_MAX ? LK_OK : LK_ERR_TOO_BIG;
}

static bool is_absent(const lk_json_member *member) {
  return member->value.kind == LK_JSON_ABSENT || member->value.kind == LK_JSON_NULL;
}

static lk_err read_object(parsing *self, lk_json_reader *in, bool *has_topics) {
  lk_json_member members[] = { { .name = LK_LIT_INIT("sub") },
                               { .name = LK_LIT_INIT("user_id") },
                               { .name = LK_LIT_INIT("jti") },
                               { .name = LK_LIT_INIT("topics") } };
  const lk_json_member *topics = &members[3];
  const lk_json_member *subject = &members[0];
  lk_err err = lk_json_read_members(in, members, 4);
  if (err == LK_OK && is_absent(subject)) subject = &members[1];
  if (err == LK_OK && !is_absent(subject)) err = read_name(&subject->value, &self->subject);
  if (err == LK_OK && !is_absent(&members[2])) err = read_name(&members[2].value, &self->id);
  if (err != LK_OK) return err;
  *has_topics = topics->value.kind != LK_JSON_ABSENT;
  return *has_topics ? read_topics(self, topics->raw) : LK_OK;
}

static lk_err read_claims(parsing *self, lk_slice claims, lk_rights default_rights) {
  lk_json_reader in;
  lk_json_event event;
  bool has_topics = false;
  lk_err err = lk_json_reader_init(&in, claims, self->limits, self->arena);
  if (err == LK_OK) err = read_object(self, &in, &has_topics);
  if (err == LK_ERR_TYPE) { /* no object, and nothing was read */
    err = lk_json_next(&in, &event);
    if (err == LK_OK) err = read_name(&event, &self->subject);
  }
  if (err == LK_OK) err = lk_json_finish(&in);
  if (err == LK_OK && !has_topics && default_rights != LK_RIGHTS_NONE)
    err = add_rule(self, LK_LIT("*"), default_rights);
  return refusal(err);
}

/* ---- making ---- */

static uint8_t *put(uint8_t *at, lk_slice bytes) {
  if (bytes.len > 0) memcpy(at, bytes.ptr, bytes.len);
  return at + bytes.len;
}

static lk_err make_grant(const parsing *self, uint64_t expires_ms, const lk_alloc *alloc,
                         lk_grant **out) {
  size_t size = sizeof(lk_grant) + self->subject.len + self->id.len + self->rules.len;
  lk_grant *grant = lk_alloc_bytes(alloc, size);
  if (grant == NULL) return LK_ERR_NOMEM;
  *grant = (lk_grant){ .expires_ms = expires_ms,
                       .size = (uint32_t)size,
                       .rules_count = (uint16_t)self->rules_count,
                       .subject_len = (uint8_t)self->subject.len,
                       .id_len = (uint8_t)self->id.len };
  uint8_t *at = put(grant->bytes, self->subject);
  at = put(at, self->id);
  (void)put(at, lk_buf_slice(&self->rules));
  *out = grant;
  return LK_OK;
}

lk_err lk_grant_parse(lk_slice claims, const lk_grant_options *options, const lk_limits *limits,
                      const lk_alloc *alloc, lk_grant **out) {
  lk_arena arena;
  parsing self = { .limits = limits, .arena = &arena };
  lk_arena_init(&arena, alloc, (size_t)limits->json_bytes * 2);
  lk_buf_init(&self.rules, alloc, LK_GRANT_RULES_MAX * (RULE_HEAD + LK_GRANT_NAME_MAX));
  lk_err err = read_claims(&self, claims, options->default_rights);
  if (err == LK_OK) err = make_grant(&self, options->expires_ms, alloc, out);
  lk_buf_deinit(&self.rules);
  lk_arena_deinit(&arena);
  return err;
}

void lk_grant_free(lk_grant *self, const lk_alloc *alloc) {
  if (self != NULL) lk_free_bytes(alloc, self, self->size);
}
