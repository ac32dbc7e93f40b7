/* examples/c/editor.c -- the core of an editor that several people type in: two replicas of one text, which
 * lose their connection, go on, and agree when it is back. Yjs in a browser could be either of them.
 *
 *   cc editor.c $(pkg-config --cflags --libs laniakea) -o editor && ./editor */
#include <laniakea/doc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  (void)ctx;
  (void)old_size;
  if (new_size > 0) return realloc(ptr, new_size);
  free(ptr);
  return NULL;
}

static const lk_alloc heap = { resize, NULL };
static const lk_env env = LK_ENV_INIT(&heap, NULL);

static void check(lk_err err) {
  if (err == LK_OK) return;
  fprintf(stderr, "%s: %s\n", lk_err_name(err), lk_err_text(err));
  exit(1);
}

static lk_slice slice(const char *text) {
  return (lk_slice){ (const uint8_t *)text, strlen(text) };
}

/* One window of the editor. */
typedef struct editor {
  const char *name;
  lk_doc *doc;
  lk_node text;
  struct editor *peer; /* whom changes are sent to; NULL: offline */
} editor;

/* The origin of what the peer did, by which an undo manager (laniakea/doc_undo.h) would know to leave it alone. */
enum { RECEIVED = 1 };

/* After each change; those of the peer are not sent back to it. A real editor would write |update| to a socket. */
static void send_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  editor *self = ctx;
  (void)doc;
  (void)origin;
  if (!local || self->peer == NULL) return;
  check(lk_doc_apply(self->peer->doc, LK_UPDATE_V1, update, RECEIVED));
}

static void editor_open(editor *self, const char *name, uint64_t client) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = client; /* a real program draws it at random, each time anew */
  *self = (editor){ .name = name };
  check(lk_doc_open(&env, &options, &self->doc));
  check(lk_doc_root(self->doc, slice("text"), LK_NODE_TEXT, &self->text));
  check(lk_doc_on_update(self->doc, LK_UPDATE_V1, send_update, self, NULL));
}

static void type(editor *self, uint64_t at, const char *what) {
  check(lk_doc_text_insert(self->doc, self->text, at, slice(what), NULL));
}

static void erase(editor *self, uint64_t at, uint64_t length) {
  check(lk_doc_text_delete(self->doc, self->text, at, length));
}

static void make_bold(editor *self, uint64_t at, uint64_t length) {
  const lk_attribute bold = { slice("bold"), { .kind = LK_VALUE_BOOL, .boolean = true } };
  const lk_attributes all = { &bold, 1 };
  check(lk_doc_text_format(self->doc, self->text, at, length, &all));
}

/* Brings |to| what it has missed, and no more. */
static void catch_up(const editor *from, editor *to, lk_buf *sv, lk_buf *missing) {
  lk_buf_clear(sv);
  lk_buf_clear(missing);
  check(lk_doc_state_vector(to->doc, sv));
  check(lk_doc_encode(from->doc, LK_UPDATE_V1, lk_buf_bytes(sv), missing));
  check(lk_doc_apply(to->doc, LK_UPDATE_V1, lk_buf_bytes(missing), RECEIVED));
}

static void print(const editor *self, lk_buf *out) {
  lk_buf_clear(out);
  check(lk_doc_text_delta(self->doc, self->text, out));
  lk_slice json = lk_buf_bytes(out);
  printf("%-6s %.*s\n", self->name, (int)json.len, (const char *)json.ptr);
}

int main(void) {
  editor ada, ben;
  lk_buf *one, *two;
  check(lk_buf_open(&env, 1 << 20, &one));
  check(lk_buf_open(&env, 1 << 20, &two));
  editor_open(&ada, "ada", 1);
  editor_open(&ben, "ben", 2);

  ada.peer = &ben; /* both are online */
  ben.peer = &ada;
  type(&ada, 0, "The milky way is big");
  type(&ben, 20, ", really");
  print(&ada, one);

  ada.peer = ben.peer = NULL; /* in a tunnel */
  erase(&ada, 17, 3);
  type(&ada, 17, "vast");
  make_bold(&ben, 4, 9);
  type(&ben, 28, ".");
  print(&ada, one);
  print(&ben, one);

  catch_up(&ada, &ben, one, two);
  catch_up(&ben, &ada, one, two);
  print(&ada, one);
  print(&ben, one);

  lk_doc_close(ada.doc);
  lk_doc_close(ben.doc);
  lk_buf_close(one);
  lk_buf_close(two);
  return 0;
}
