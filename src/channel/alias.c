#include "channel/alias.h"

#include "base/mem.h"
#include "codec/utf.h"

/* Takes the * from the end of |name|. */
static bool cut_star(lk_slice *name) {
  bool is_there = name->len > 0 && name->ptr[name->len - 1] == '*';
  if (is_there) name->len--;
  return is_there;
}

static bool has_star(lk_slice name) { return lk_slice_find(name, LK_LIT("*")) != LK_SLICE_NONE; }

lk_err lk_alias_read(lk_slice text, lk_alias *out) {
  lk_slice topic;
  if (lk_slice_find(text, LK_LIT("=")) == LK_SLICE_NONE) return LK_ERR_SYNTAX;
  lk_slice name = lk_slice_cut(text, '=', &topic);
  bool is_prefix = cut_star(&name);
  if (cut_star(&topic) != is_prefix || has_star(name) || has_star(topic)) return LK_ERR_SYNTAX;
  if (name.len == 0 || topic.len == 0) return LK_ERR_SYNTAX;
  if (name.len > LK_ALIAS_NAME_MAX || topic.len > LK_ALIAS_NAME_MAX) return LK_ERR_TOO_BIG;
  lk_err err = lk_utf8_check(text);
  if (err == LK_OK) *out = (lk_alias){ name, topic, is_prefix };
  return err;
}

/* Whether some name may be both what |alias| leads to and what |other| is for. */
static bool leads_to(const lk_alias *alias, const lk_alias *other) {
  if (lk_slice_equal(alias->topic, other->name)) return true;
  if (alias->is_prefix && lk_slice_starts_with(other->name, alias->topic)) return true;
  return other->is_prefix && lk_slice_starts_with(alias->topic, other->name);
}

bool lk_aliases_are_apart(const lk_aliases *self) {
  for (uint32_t i = 0; i < self->count; i++) {
    for (uint32_t j = 0; j < self->count; j++) {
      if (leads_to(&self->items[i], &self->items[j])) return false;
    }
  }
  return true;
}

static bool fits(const lk_alias *alias, lk_slice name) {
  return alias->is_prefix ? lk_slice_starts_with(name, alias->name)
                          : lk_slice_equal(name, alias->name);
}

lk_slice lk_aliases_resolve(const lk_aliases *self, lk_slice name, uint8_t *bytes) {
  LK_ASSERT(self->count == 0 || name.len <= LK_ALIAS_NAME_MAX);
  for (uint32_t i = 0; i < self->count; i++) {
    const lk_alias *alias = &self->items[i];
    if (!fits(alias, name)) continue;
    lk_slice rest = lk_slice_skip(name, alias->name.len);
    memcpy(bytes, alias->topic.ptr, alias->topic.len);
    if (rest.len > 0) memcpy(bytes + alias->topic.len, rest.ptr, rest.len);
    return lk_slice_of(bytes, alias->topic.len + rest.len);
  }
  return name;
}
