#include "channel/alias.h"

#include "harness/test.h"

/* What is read is what was written, and a name that it fits becomes one of its topics. */
FUZZ(lk_alias_read) {
  static const lk_slice samples[] = { LK_LIT_INIT("y_doc_room:*=doc:*"), LK_LIT_INIT("a=b") };
  uint8_t scratch[64], bytes[LK_ALIAS_TOPIC_MAX];
  lk_alias alias;
  lk_slice in = gen_hostile(g, samples, 2, scratch, sizeof scratch);
  if (lk_alias_read(in, &alias) != LK_OK) return;
  size_t stars = alias.is_prefix ? 2 : 0;
  CHECK_U64(alias.name.len + 1 + alias.topic.len + stars, in.len);
  const lk_aliases aliases = { &alias, 1 };
  CHECK_SLICE(lk_aliases_resolve(&aliases, alias.name, bytes), alias.topic);
  if (lk_aliases_are_apart(&aliases)) {
    lk_slice topic = lk_aliases_resolve(&aliases, alias.topic, bytes);
    CHECK(topic.ptr == alias.topic.ptr);
  }
}
