/* unit/room/doc_client.h -- somebody with a replica of their own, whose changes a test carries to the room. */
#ifndef LK_TESTS_ROOM_DOC_CLIENT_H
#define LK_TESTS_ROOM_DOC_CLIENT_H

#include "harness/test.h"
#include "laniakea/doc.h"

typedef struct client {
  lk_env env;
  lk_doc *doc;
  lk_node text; /* the root "t" */
  lk_buf last;  /* the last update that it made */
} client;

static inline void client_note(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin,
                               bool local) {
  client *c = ctx;
  (void)doc, (void)origin;
  if (!local) return;
  lk_buf_truncate(&c->last, 0);
  CHECK_OK(lk_buf_append(&c->last, update));
}

static inline void client_init(client *c, uint64_t id) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = id;
  c->env = (lk_env)LK_ENV_INIT(test_alloc(), NULL);
  lk_buf_init(&c->last, test_alloc(), 1 << 24);
  CHECK_OK(lk_doc_open(&c->env, &options, &c->doc));
  CHECK_OK(lk_doc_root(c->doc, LK_LIT("t"), LK_NODE_TEXT, &c->text));
  CHECK_OK(lk_doc_on_update(c->doc, LK_UPDATE_V1, client_note, c, NULL));
}

static inline void client_deinit(client *c) {
  lk_doc_close(c->doc);
  lk_buf_deinit(&c->last);
}

static inline void check_text(client *c, const char *want) {
  lk_buf text;
  lk_buf_init(&text, test_alloc(), 1 << 20);
  CHECK_OK(lk_doc_text_string(c->doc, c->text, &text));
  CHECK_SLICE(lk_buf_slice(&text), lk_slice_cstr(want));
  lk_buf_deinit(&text);
}

#endif
