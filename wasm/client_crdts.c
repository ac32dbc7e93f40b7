/* wasm/client_crdts.c -- a client that has objects and no documents: peer/topic_types.c says why. */
#include "crdt/type.h"
#include "peer/topic.h"

lk_err lk_topic_type_of(uint64_t kind, const lk_topic_type **out) {
  if (kind == LK_TOPIC_DOC) return LK_ERR_UNSUPPORTED;
  if (kind == LK_TOPIC_PLAIN) *out = &lk_topic_type_plain;
  else if (lk_crdt_type_of(kind) != NULL) *out = &lk_topic_type_crdt;
  else return LK_ERR_UNKNOWN_TYPE;
  return LK_OK;
}
