/* How clients are served, by what they say. */
#include "channel/profile.h"

#include "harness/faulty.h"
#include "harness/test.h"

static lk_err judge(const char *params, lk_profile_preset preset, lk_profile *out,
                    lk_slice *field) {
  const lk_limits limits = lk_limits_default();
  lk_capabilities c;
  lk_arena scratch;
  lk_arena_init(&scratch, test_alloc(), 1 << 16);
  lk_err err = lk_capabilities_read(lk_slice_cstr(params), &limits, &scratch, &c, field);
  if (err == LK_OK) *out = lk_profile_of(preset, &c);
  lk_arena_deinit(&scratch);
  return err;
}

TEST(clients_are_served_by_what_they_say_that_they_can) {
  static const struct {
    const char *params;
    lk_profile strict, lenient;
  } rows[] = {
    { "{}", LK_PROFILE_FULL, LK_PROFILE_FULL },
    { "[]", LK_PROFILE_FULL, LK_PROFILE_FULL },
    { "7", LK_PROFILE_FULL, LK_PROFILE_FULL },
    { "{\"token\":\"x\"}", LK_PROFILE_FULL, LK_PROFILE_FULL },
    /* The paper's own three. */
    { "{\"has_workers\":true,\"has_sab\":true,\"memory_mb\":8192,\"connection_type\":\"wifi\"}",
      LK_PROFILE_FULL, LK_PROFILE_FULL },
    { "{\"has_workers\":true,\"has_sab\":false,\"memory_mb\":1024,\"connection_type\":"
      "\"cellular\"}",
      LK_PROFILE_CONSTRAINED, LK_PROFILE_CONSTRAINED },
    { "{\"has_workers\":false,\"memory_mb\":8192,\"connection_type\":\"wifi\"}", LK_PROFILE_MINIMAL,
      LK_PROFILE_MINIMAL },
    /* One thing missing of the full. */
    { "{\"has_workers\":true,\"has_sab\":false,\"memory_mb\":8192,\"connection_type\":"
      "\"ethernet\"}",
      LK_PROFILE_CONSTRAINED, LK_PROFILE_FULL },
    { "{\"has_workers\":true,\"has_sab\":true,\"memory_mb\":2048,\"connection_type\":\"wifi\"}",
      LK_PROFILE_CONSTRAINED, LK_PROFILE_FULL },
    { "{\"has_workers\":true,\"has_sab\":true,\"memory_mb\":2047,\"connection_type\":\"wifi\"}",
      LK_PROFILE_CONSTRAINED, LK_PROFILE_CONSTRAINED },
    { "{\"has_workers\":true,\"has_sab\":true,\"memory_mb\":8192,\"connection_type\":\"cellular\"}",
      LK_PROFILE_CONSTRAINED, LK_PROFILE_CONSTRAINED },
    /* What a desktop says that calls its cable unknown. */
    { "{\"has_workers\":true,\"has_sab\":true,\"memory_mb\":8192,\"connection_type\":\"unknown\","
      "\"effective_type\":\"4g\"}",
      LK_PROFILE_CONSTRAINED, LK_PROFILE_FULL },
    { "{\"has_workers\":true,\"has_sab\":true,\"memory_mb\":8192,\"connection_type\":\"unknown\","
      "\"effective_type\":\"3g\"}",
      LK_PROFILE_CONSTRAINED, LK_PROFILE_CONSTRAINED },
    /* What a browser says that tells next to nothing. */
    { "{\"has_workers\":true,\"memory_mb\":null}", LK_PROFILE_MINIMAL, LK_PROFILE_FULL },
    { "{\"has_workers\":true,\"memory_mb\":512}", LK_PROFILE_MINIMAL, LK_PROFILE_CONSTRAINED },
    { "{\"has_workers\":true,\"memory_mb\":513}", LK_PROFILE_CONSTRAINED, LK_PROFILE_CONSTRAINED },
    { "{\"has_workers\":true,\"memory_mb\":511.5}", LK_PROFILE_MINIMAL, LK_PROFILE_MINIMAL },
    { "{\"effective_type\":\"slow-2g\"}", LK_PROFILE_MINIMAL, LK_PROFILE_CONSTRAINED },
    { "{\"capabilities\":{\"has_workers\":false},\"has_workers\":true}", LK_PROFILE_MINIMAL,
      LK_PROFILE_MINIMAL },
    { "{\"capabilities\":7}", LK_PROFILE_FULL, LK_PROFILE_FULL },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    lk_profile got = LK_PROFILES;
    lk_slice field;
    test_note("row %u", (unsigned)i);
    CHECK_OK(judge(rows[i].params, LK_PRESET_STRICT, &got, &field));
    CHECK_SLICE(lk_profile_name(got), lk_profile_name(rows[i].strict));
    CHECK_OK(judge(rows[i].params, LK_PRESET_LENIENT, &got, &field));
    CHECK_SLICE(lk_profile_name(got), lk_profile_name(rows[i].lenient));
  }
}

TEST(capabilities_of_another_type_are_named) {
  static const struct {
    const char *params, *field;
  } rows[] = {
    { "{\"has_workers\":1}", "has_workers" },
    { "{\"has_sab\":\"yes\"}", "has_sab" },
    { "{\"has_webtransport\":[]}", "has_webtransport" },
    { "{\"memory_mb\":\"8192\"}", "memory_mb" },
    { "{\"capabilities\":{\"connection_type\":4}}", "connection_type" },
    { "{\"effective_type\":{}}", "effective_type" },
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    lk_profile got;
    lk_slice field;
    CHECK_ERR(judge(rows[i].params, LK_PRESET_LENIENT, &got, &field), LK_ERR_PAYLOAD);
    CHECK_SLICE(field, lk_slice_cstr(rows[i].field));
  }
}
