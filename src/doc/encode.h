/* doc/encode.h -- what the files that write updates share: encode.c, which knows every kind of struct, and
 * encode_whole.c, which writes a whole document in V1. */
#ifndef LK_DOC_ENCODE_H
#define LK_DOC_ENCODE_H

#include "doc/engine.h"

/* A client with the clock to write it from. */
typedef struct lk_part {
  uint64_t id;
  uint32_t client, from;
} lk_part;

/* A stretch of items that Yjs has as one struct. */
typedef struct lk_group {
  uint16_t client;
  lk_place first;
  uint32_t offset; /* clocks of it that are left out */
  uint32_t len;    /* all of it */
  uint32_t items;
} lk_group;

/* The struct that begins with the item at |place|. */
lk_group lk_group_at(const lk_doc *doc, uint16_t client, lk_place place);
lk_err lk_group_write_v1(const lk_doc *doc, const lk_group *self, lk_buf *out) LK_MUST_USE;

/* Appends the whole document in V1; |parts| are its clients in the order in which they are written, each from clock 0. On
 * error |out| has some of it, but for LK_ERR_UNSUPPORTED: it has to be encoded as any part of one (wasm/doc_ways.c). */
lk_err lk_doc_encode_whole(const lk_doc *doc, const lk_part *parts, uint32_t count,
                           lk_buf *out) LK_MUST_USE;

#endif
