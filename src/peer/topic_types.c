/* peer/topic_types.c -- which kinds of topics there are.
 *
 * Documents and objects are most of what a client is, and a page that never opens one of them need not load it. So
 * only this file names both as what is there always; where they may be missing, another file stands in place of it (wasm/client_parts.c)
 * and asks. */
#include "crdt/type.h"
#include "peer/topic.h"

lk_err lk_topic_type_of(uint64_t kind, const lk_topic_type **out) {
  if (kind == LK_TOPIC_DOC) *out = &lk_topic_type_doc;
  else if (kind == LK_TOPIC_PLAIN) *out = &lk_topic_type_plain;
  else if (lk_crdt_type_of(kind) != NULL) *out = &lk_topic_type_crdt;
  else return LK_ERR_UNKNOWN_TYPE;
  return LK_OK;
}
