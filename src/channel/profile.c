/* channel/profile.c -- a table of rules, and what the lenient preset makes of what is not said.
 *
 * Browsers tell little: Firefox and Safari neither memory nor connection, Chromium on a desk calls a cable "unknown".
 * SharedArrayBuffer is there in isolated pages only, which few are. So lenient takes what is not said for good
 * enough, and an unknown connection that feels like 4g for a cable. */
#include "channel/profile.h"

#include "codec/json_reader.h"

typedef struct rule {
  lk_profile_preset preset;
  lk_profile profile;
  bool workers, sab;
  uint32_t memory_mb;
  bool near;
} rule;

static const rule rules[] = {
#define RULE(preset, profile, workers, sab, memory_mb, near)                                       \
  { LK_PRESET_##preset, LK_PROFILE_##profile, workers, sab, memory_mb, near },
#include "channel/profiles.def"
#undef RULE
};

lk_slice lk_profile_name(lk_profile profile) {
  static const lk_slice names[] = { LK_LIT_INIT("full_client"), LK_LIT_INIT("constrained_client"),
                                    LK_LIT_INIT("minimal_client") };
  LK_ASSERT((unsigned)profile < LK_PROFILES);
  return names[profile];
}

static bool is_near(lk_profile_preset preset, const lk_capabilities *c) {
  lk_slice type = c->connection_type;
  if (lk_slice_equal(type, LK_LIT("wifi")) || lk_slice_equal(type, LK_LIT("ethernet"))) return true;
  if (preset == LK_PRESET_STRICT) return false;
  if (type.len > 0 && !lk_slice_equal(type, LK_LIT("unknown"))) return false;
  return c->effective_type.len == 0 || lk_slice_equal(c->effective_type, LK_LIT("4g"));
}

/* What is not said is true for the lenient. */
static bool has(lk_profile_preset preset, bool knows, bool value) {
  return knows ? value : preset == LK_PRESET_LENIENT;
}

static bool holds(const rule *r, const lk_capabilities *c) {
  if (r->workers && !has(r->preset, c->knows_workers, c->has_workers)) return false;
  if (r->sab && !has(r->preset, c->knows_sab, c->has_sab)) return false;
  if (r->memory_mb > 0 && !has(r->preset, c->knows_memory, c->memory_mb >= r->memory_mb))
    return false;
  return !r->near || is_near(r->preset, c);
}

lk_profile lk_profile_of(lk_profile_preset preset, const lk_capabilities *c) {
  if (!c->is_declared) return LK_PROFILE_FULL;
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
    if (rules[i].preset == preset && holds(&rules[i], c)) return rules[i].profile;
  }
  LK_UNREACHABLE();
}

/* ---- reading ---- */

enum { WORKERS, SAB, WEBTRANSPORT, MEMORY, CONNECTION, EFFECTIVE, NESTED, MEMBERS };

static lk_err read_bool(const lk_json_member *m, bool *knows, bool *value) {
  *knows = m->value.kind != LK_JSON_ABSENT && m->value.kind != LK_JSON_NULL;
  return *knows ? lk_json_get_bool(&m->value, value) : LK_OK;
}

static lk_err read_text(const lk_json_member *m, lk_slice *out) {
  if (m->value.kind == LK_JSON_ABSENT || m->value.kind == LK_JSON_NULL) return LK_OK;
  return lk_json_get_string(&m->value, out);
}

static lk_err read_memory(const lk_json_member *m, lk_capabilities *out) {
  out->knows_memory = m->value.kind != LK_JSON_ABSENT && m->value.kind != LK_JSON_NULL;
  return out->knows_memory ? lk_json_get_f64(&m->value, &out->memory_mb) : LK_OK;
}

static lk_err take_member(const lk_json_member *m, int which, lk_capabilities *out) {
  bool knows, value;
  switch (which) {
  case WORKERS: return read_bool(m, &out->knows_workers, &out->has_workers);
  case SAB: return read_bool(m, &out->knows_sab, &out->has_sab);
  case WEBTRANSPORT: return read_bool(m, &knows, &value);
  case MEMORY: return read_memory(m, out);
  case CONNECTION: return read_text(m, &out->connection_type);
  case EFFECTIVE: return read_text(m, &out->effective_type);
  default: return LK_OK;
  }
}

static lk_err take_members(const lk_json_member *members, lk_capabilities *out, lk_slice *field) {
  for (int i = 0; i < NESTED; i++) {
    if (members[i].value.kind == LK_JSON_ABSENT) continue;
    out->is_declared = true;
    *field = members[i].name;
    lk_err err = take_member(&members[i], i, out);
    if (err != LK_OK) return err == LK_ERR_TYPE ? LK_ERR_PAYLOAD : err;
  }
  *field = LK_SLICE_EMPTY;
  return LK_OK;
}

static lk_err read_members(lk_slice text, const lk_limits *limits, lk_arena *scratch,
                           lk_json_member *members) {
  lk_json_reader in;
  lk_err err = lk_json_reader_init(&in, text, limits, scratch);
  return err == LK_OK ? lk_json_read_members(&in, members, MEMBERS) : err;
}

lk_err lk_capabilities_read(lk_slice params, const lk_limits *limits, lk_arena *scratch,
                            lk_capabilities *out, lk_slice *field) {
  static const lk_json_member wanted[MEMBERS] = {
    [WORKERS] = { .name = LK_LIT_INIT("has_workers") },
    [SAB] = { .name = LK_LIT_INIT("has_sab") },
    [WEBTRANSPORT] = { .name = LK_LIT_INIT("has_webtransport") },
    [MEMORY] = { .name = LK_LIT_INIT("memory_mb") },
    [CONNECTION] = { .name = LK_LIT_INIT("connection_type") },
    [EFFECTIVE] = { .name = LK_LIT_INIT("effective_type") },
    [NESTED] = { .name = LK_LIT_INIT("capabilities") },
  };
  lk_json_member members[MEMBERS];
  *out = (lk_capabilities){ .is_declared = false };
  *field = LK_SLICE_EMPTY;
  memcpy(members, wanted, sizeof wanted);
  lk_err err = read_members(params, limits, scratch, members);
  if (err == LK_OK && members[NESTED].value.kind == LK_JSON_OBJECT_BEGIN) {
    lk_slice nested = members[NESTED].raw;
    memcpy(members, wanted, sizeof wanted);
    err = read_members(nested, limits, scratch, members);
  }
  if (err == LK_ERR_TYPE) return LK_OK;
  return err == LK_OK ? take_members(members, out, field) : err;
}
