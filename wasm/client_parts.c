/* wasm/client_parts.c -- a client whose documents and objects are parts that its host loads when they are needed: peer/topic_types.c says
 * why there are fewer kinds of topics sometimes, tools/split_wasm.mjs how parts are made. */
#include "crdt/type.h"
#include "peer/topic.h"
#include "wasm/client.h"

/* Which are there: the table has their functions. */
enum { DOCUMENTS = 1, OBJECTS = 2 };
static uint32_t parts, lacking;

void lk_wasm_client_has(u32 part) {
  parts |= part;
  lacking &= ~part;
}

u32 lk_wasm_client_lacks(void) { return lacking; }

static lk_err need(uint32_t part) {
  if ((parts & part) != 0) return LK_OK;
  lacking |= part;
  return LK_ERR_UNSUPPORTED;
}

lk_err lk_topic_type_of(uint64_t kind, const lk_topic_type **out) {
  if (kind == LK_TOPIC_PLAIN) {
    *out = &lk_topic_type_plain;
    return LK_OK;
  }
  if (kind != LK_TOPIC_DOC && lk_crdt_type_of(kind) == NULL) return LK_ERR_UNKNOWN_TYPE;
  lk_err err = need(kind == LK_TOPIC_DOC ? DOCUMENTS : OBJECTS);
  if (err != LK_OK) return err;
  *out = kind == LK_TOPIC_DOC ? &lk_topic_type_doc : &lk_topic_type_crdt;
  return LK_OK;
}
