/* wasm/client_docs.c -- a client that has documents and no objects: peer/topic_types.c says why. */
#include "peer/topic.h"

lk_err lk_topic_type_of(uint64_t kind, const lk_topic_type **out) {
  if (kind == LK_TOPIC_DOC) *out = &lk_topic_type_doc;
  else if (kind == LK_TOPIC_PLAIN) *out = &lk_topic_type_plain;
  else return LK_ERR_UNSUPPORTED;
  return LK_OK;
}
