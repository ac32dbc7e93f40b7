/* Claims from anywhere: a key of ours signed them, but not what wrote them. */
#include "channel/access.h"
#include "channel/edge.h"

#include "codec/json_reader.h"
#include "harness/test.h"

FUZZ(lk_grant_parse) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("{\"sub\":\"ann\",\"jti\":\"7\",\"topics\":{\"doc:*\":\"write\",\"crdt:demo\":"
                "\"read\",\"*\":\"admin\"}}"),
    LK_LIT_INIT("{\"user_id\":42,\"topics\":{}}"),
    LK_LIT_INIT("\"us\\u0065r-42\""),
    LK_LIT_INIT("-42"),
  };
  uint8_t scratch[512];
  lk_limits limits = lk_limits_default();
  lk_grant *grant = NULL;
  lk_slice claims = gen_hostile(g, samples, 4, scratch, sizeof scratch);
  const lk_grant_options options = { .expires_ms = 1,
                                     .default_rights = (lk_rights)gen_below(g, 4) };
  lk_err err = lk_grant_parse(claims, &options, &limits, test_alloc(), &grant);
  if (err == LK_OK) {
    CHECK_OK(lk_json_check(claims, &limits, NULL));
    lk_rights rights = lk_grant_rights(grant, LK_LIT("doc:a"));
    CHECK(rights <= LK_RIGHTS_ADMIN);
    if (lk_slice_find(claims, LK_LIT("topics")) == LK_SLICE_NONE &&
        lk_slice_find_byte(claims, '\\') == LK_SLICE_NONE)
      CHECK_U64(rights, options.default_rights);
    if (grant->rules_count == 0) CHECK_U64(rights, LK_RIGHTS_NONE);
  } else {
    CHECK(err == LK_ERR_TOKEN_CLAIMS || err == LK_ERR_TOO_BIG);
    CHECK(grant == NULL);
  }
  lk_grant_free(grant, test_alloc());
}

/* A token is its claims. */
static lk_err check(void *ctx, lk_slice token, const lk_alloc *alloc, lk_grant **out) {
  const lk_limits *limits = ctx;
  return lk_grant_parse(token, &(lk_grant_options){ .expires_ms = 1000 + token.len }, limits, alloc,
                        out);
}

static bool is_revoked(void *ctx, const lk_grant *grant) {
  (void)ctx;
  return lk_grant_id(grant).len == 1;
}

/* A client that says anything about tokens: it stays who it is, and whatever it was given ends. */
FUZZ(edge_tokens_of_clients) {
  static const lk_slice samples[] = {
    LK_LIT_INIT("[\"1\",\"1\",\"t\",\"phx_join\",{\"a\":{\"b\":[1]},\"token\":\"{\\\"topics\\\":{"
                "\\\"t\\\":\\\"read\\\"}}\",\"c\":2}]"),
    LK_LIT_INIT("[\"1\",\"1\",\"u\",\"phx_join\",{\"t\\u006fken\":\"{\\\"jti\\\":7,\\\"topics\\\":{"
                "\\\"*\\\":\\\"admin\\\"}}\"}]"),
    LK_LIT_INIT("[\"1\",\"2\",\"t\",\"access_token\",{\"token\":\"{\\\"topics\\\":{\\\"t\\\":"
                "\\\"write\\\"}}\"}]"),
    LK_LIT_INIT(
        "[null,\"3\",\"phoenix\",\"access_token\",{\"token\":\"{\\\"sub\\\":\\\"ann\\\"}\"}]"),
    LK_LIT_INIT("[\"1\",\"4\",\"t\",\"phx_leave\",{}]"),
  };
  uint8_t scratch[400];
  lk_env env = LK_ENV_INIT(test_alloc(), NULL);
  lk_limits limits = lk_limits_default();
  const lk_access access = { .ctx = &limits, .check = check, .is_revoked = is_revoked };
  lk_grant *grant = NULL;
  lk_edge *edge;
  lk_edge_output out;
  uint64_t c;
  CHECK_OK(lk_edge_open(
      &(lk_edge_options){
          .env = &env, .limits = &limits, .generation = 5, .houses_count = 1, .access = &access },
      &edge));
  CHECK_OK(check(&limits, LK_LIT("{\"sub\":\"ann\",\"topics\":{\"v\":\"read\"}}"), test_alloc(),
                 &grant));
  CHECK_OK(lk_edge_connect(edge, LK_MESSAGE_V2, grant, &c));
  for (int i = 0; i < 8; i++) {
    lk_slice text = gen_chance(g, 1, 2) ? samples[gen_below(g, 5)]
                                        : gen_hostile(g, samples, 5, scratch, sizeof scratch);
    if (lk_edge_receive(edge, c, text, false) != LK_OK) break;
    if (gen_chance(g, 1, 8)) lk_edge_recheck(edge);
    if (gen_chance(g, 1, 8)) lk_edge_step(edge, 1000 + gen_below(g, 60));
    while (lk_edge_poll(edge, &out)) CHECK(out.count > 0);
    if (g->from_bytes) g->bytes = lk_slice_skip(g->bytes, lk_min_size(g->bytes.len, 20));
  }
  lk_edge_step(edge, UINT64_MAX - 1);
  CHECK_U64(lk_edge_deadline(edge), UINT64_MAX);
  CHECK_U64(lk_edge_get_stats(edge).members == 0 || lk_edge_get_stats(edge).connections == 1, 1);
  lk_edge_close(edge);
}
