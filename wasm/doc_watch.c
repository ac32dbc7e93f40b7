/* wasm/doc_watch.c -- what observers of documents are told, and undo managers.
 *
 * The module calls nothing of its host. So what an observer would be called with is written down, and the host
 * reads it when the call that caused it has returned:
 *
 *   queue   := record*
 *   record  := kind:u32 token:u32 origin:u32 len:u32 body            padded to four bytes
 *   kind    := 1 an update            token: its format              body: the update
 *            | 2 events of one node or below it                      body: event*
 *            | 3 an item of an undo stack     token: the manager     body: redo:u8 popped:u8 meta:u32
 *              each of them | 256 where the change was made here
 *   event   := node path:varString list keys
 *   list    := 0 | 1 delta:varString | 2                             2: there was no memory for it
 *   keys    := (1 key:varString action:u8 old:varString)* 0          as JSON; |old| empty where there was none
 *
 * The board says how many bytes wait and where; the host sets that to 0 when it has taken them. Where there was no
 * memory to write an update down, |lost| on the board is set, and the host helps itself by encoding all.
 *
 * An event can be asked only while the engine tells of it, so all that it can say is written, at once. */
#include "wasm/doc.h"

#include "codec/lib0.h"
#include "codec/varint.h"
#include "laniakea/doc_events.h"
#include "laniakea/doc_undo.h"

#define KIND_UPDATE 1u
#define KIND_EVENTS 2u
#define KIND_ITEM 3u
#define LOCAL 256u
#define HEAD_LEN 16u

#define LIST_SAME 0
#define LIST_CHANGED 1
#define LIST_UNKNOWN 2

static lk_buf queue;
static lk_buf piece; /* what has to be there before its length is known */

/* ---- the queue ---- */

/* |more| is what its body will take at least, for which room is made with that of the head. */
static void begin_record(u32 kind, u32 token, uint64_t origin, size_t more) {
  if (queue.alloc == NULL) lk_buf_init(&queue, lk_wasm_alloc(), LK_WASM_DOC_BYTES_MAX);
  lk_buf_truncate(&queue, lk_wasm_doc_board.queued);
  if (lk_buf_reserve(&queue, HEAD_LEN + more + 3) != LK_OK) return;
  uint8_t *head = queue.ptr + queue.len;
  lk_store_le32(head, kind);
  lk_store_le32(head + 4, token);
  lk_store_le32(head + 8, (uint32_t)origin);
  queue.len += HEAD_LEN;
}

static lk_err end_record(void) {
  size_t begin = lk_wasm_doc_board.queued, end = queue.len;
  if (lk_buf_reserve(&queue, 3) != LK_OK) {
    lk_err err = lk_buf_err(&queue);
    lk_buf_truncate(&queue, begin);
    return err;
  }
  while (queue.len % 4 != 0) queue.ptr[queue.len++] = 0;
  lk_store_le32(queue.ptr + begin + 12, (uint32_t)(end - begin - HEAD_LEN));
  lk_wasm_doc_board.queue = (u32)(uintptr_t)queue.ptr;
  lk_wasm_doc_board.queued = (u32)queue.len;
  return LK_OK;
}

/* ---- updates ---- */

static void tell_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  (void)doc;
  begin_record(KIND_UPDATE | (local ? LOCAL : 0), (u32)(uintptr_t)ctx, origin, update.len);
  (void)lk_buf_append(&queue, update);
  /* empty: there was no memory to write it */
  if (update.len == 0 || end_record() != LK_OK) lk_wasm_doc_board.lost = 1;
}

u32 lk_wasm_doc_on_update(u32 doc, u32 format) {
  lk_doc *self = lk_wasm_doc_of(doc);
  if (self == NULL) return LK_ERR_INVALID;
  return lk_doc_on_update(self, (lk_update_format)format, tell_update, (void *)(uintptr_t)format,
                          &lk_wasm_doc_board.count);
}

void lk_wasm_doc_off(u32 doc, u32 id) {
  lk_doc *self = lk_wasm_doc_of(doc);
  if (self != NULL) lk_doc_off(self, id);
}

/* ---- events ---- */

static lk_buf *empty_piece(void) {
  if (piece.alloc == NULL) lk_buf_init(&piece, lk_wasm_alloc(), LK_WASM_DOC_BYTES_MAX);
  lk_buf_truncate(&piece, 0);
  return &piece;
}

static void put_piece(void) { (void)lk_lib0_string_encode(&queue, lk_buf_slice(&piece)); }

static void put_list(const lk_event *event) {
  if (!lk_event_list_changed(event)) {
    (void)lk_buf_append_u8(&queue, LIST_SAME);
    return;
  }
  lk_err err = lk_event_delta(event, empty_piece());
  (void)lk_buf_append_u8(&queue, err == LK_OK ? LIST_CHANGED : LIST_UNKNOWN);
  if (err == LK_OK) put_piece();
}

static void put_keys(const lk_event *event) {
  lk_slice key;
  lk_key_action action;
  for (u32 cursor = 0; lk_event_next_key(event, &cursor, &key, &action, empty_piece());) {
    (void)lk_buf_append_u8(&queue, 1);
    (void)lk_lib0_string_encode(&queue, key);
    (void)lk_buf_append_u8(&queue, (uint8_t)action);
    put_piece();
  }
  (void)lk_buf_append_u8(&queue, 0);
}

static void put_event(const lk_doc *doc, const lk_event *event) {
  lk_wasm_append_node(doc, lk_event_target(event), &queue);
  if (lk_event_path(event, empty_piece()) != LK_OK) lk_buf_truncate(&piece, 0);
  put_piece();
  put_list(event);
  put_keys(event);
}

static void tell_events(void *ctx, lk_doc *doc, const lk_event *const *events, size_t count) {
  u32 local = lk_event_local(events[0]) ? LOCAL : 0;
  begin_record(KIND_EVENTS | local, (u32)(uintptr_t)ctx, lk_event_origin(events[0]), 0);
  for (size_t i = 0; i < count; i++) put_event(doc, events[i]);
  (void)end_record();
}

static void tell_event(void *ctx, lk_doc *doc, const lk_event *event) {
  tell_events(ctx, doc, &event, 1);
}

u32 lk_wasm_doc_observe(u32 doc, u32 slot, u32 check, u32 deep, u32 token) {
  lk_doc *self = lk_wasm_doc_of(doc);
  lk_node node = lk_wasm_node(slot, check);
  void *ctx = (void *)(uintptr_t)token;
  if (self == NULL) return LK_ERR_INVALID;
  if (deep != 0) return lk_doc_observe_deep(self, node, tell_events, ctx, &lk_wasm_doc_board.count);
  return lk_doc_observe(self, node, tell_event, ctx, &lk_wasm_doc_board.count);
}

/* ---- undo managers: a list of each document, which is short ---- */

struct lk_wasm_undo {
  lk_wasm_undo *next;
  lk_undo *undo;
  u32 id;
};

static u32 undo_last;
static u32 meta_last;

static void free_undo(lk_wasm_undo *self) {
  lk_undo_close(self->undo);
  lk_free_bytes(lk_wasm_doc_env()->alloc, self, sizeof *self);
}

void lk_wasm_undos_close(lk_wasm_undo *undos) {
  while (undos != NULL) {
    lk_wasm_undo *next = undos->next;
    free_undo(undos);
    undos = next;
  }
}

/* Where the pointer to it stands; NULL where there is none. */
static lk_wasm_undo **place_of(u32 doc, u32 id) {
  lk_wasm_undo **at = lk_wasm_undos_of(doc);
  while (at != NULL && *at != NULL && (*at)->id != id) at = &(*at)->next;
  return at == NULL || *at == NULL ? NULL : at;
}

static lk_undo *undo_of(u32 doc, u32 id) {
  lk_wasm_undo **at = place_of(doc, id);
  return at == NULL ? NULL : (*at)->undo;
}

static uint64_t now_of_board(void *ctx) {
  (void)ctx;
  return lk_wasm_time(lk_wasm_doc_board.now_ms);
}

static lk_node take_node(lk_slice *scope) {
  lk_node node = lk_wasm_node(lk_load_le32(scope->ptr), lk_load_le32(scope->ptr + 4));
  *scope = lk_slice_skip(*scope, 8);
  return node;
}

/* Its scope; opened with none it would watch everything, so the first node opens it. */
static lk_err open_undo(lk_doc *doc, lk_slice scope, const lk_undo_options *options,
                        lk_undo **out) {
  if (scope.len == 0) return lk_undo_open(doc, NULL, 0, options, out);
  lk_node first = take_node(&scope);
  lk_err err = lk_undo_open(doc, &first, 1, options, out);
  if (err != LK_OK) return err;
  while (err == LK_OK && scope.len > 0) err = lk_undo_add_scope(*out, take_node(&scope));
  if (err != LK_OK) lk_undo_close(*out);
  return err;
}

u32 lk_wasm_doc_undo_new(u32 doc, u32 scope_len, ms capture, u32 ignore_remote) {
  lk_doc *self = lk_wasm_doc_of(doc);
  lk_slice scope;
  if (self == NULL || scope_len % 8 != 0 || lk_wasm_input(scope_len, &scope) != LK_OK)
    return LK_ERR_INVALID;
  lk_undo_options options = LK_UNDO_OPTIONS_INIT;
  options.capture_ms = lk_wasm_time(capture);
  options.ignore_remote_map_changes = ignore_remote != 0;
  options.now_ms = now_of_board;
  lk_wasm_undo *made = lk_alloc_bytes(lk_wasm_doc_env()->alloc, sizeof *made);
  if (made == NULL) return LK_ERR_NOMEM;
  lk_err err = open_undo(self, scope, &options, &made->undo);
  if (err != LK_OK) {
    lk_free_bytes(lk_wasm_doc_env()->alloc, made, sizeof *made);
    return err;
  }
  lk_wasm_undo **first = lk_wasm_undos_of(doc);
  made->id = ++undo_last;
  made->next = *first;
  *first = made;
  lk_wasm_doc_board.count = made->id;
  return LK_OK;
}

void lk_wasm_doc_undo_free(u32 doc, u32 undo) {
  lk_wasm_undo **at = place_of(doc, undo);
  if (at == NULL) return;
  lk_wasm_undo *self = *at;
  *at = self->next;
  free_undo(self);
}

u32 lk_wasm_doc_undo_pop(u32 doc, u32 undo, u32 redo) {
  lk_undo *self = undo_of(doc, undo);
  bool done = false;
  if (self == NULL) return LK_ERR_INVALID;
  lk_err err = redo != 0 ? lk_undo_redo(self, &done) : lk_undo_undo(self, &done);
  lk_wasm_doc_board.count = done;
  return err;
}

u32 lk_wasm_doc_undo_count(u32 doc, u32 undo, u32 redo) {
  const lk_undo *self = undo_of(doc, undo);
  if (self == NULL) return 0;
  return (u32)(redo != 0 ? lk_undo_redo_count(self) : lk_undo_undo_count(self));
}

void lk_wasm_doc_undo_stop(u32 doc, u32 undo) {
  lk_undo *self = undo_of(doc, undo);
  if (self != NULL) lk_undo_stop_capturing(self);
}

u32 lk_wasm_doc_undo_clear(u32 doc, u32 undo, u32 undos, u32 redos) {
  lk_undo *self = undo_of(doc, undo);
  return self == NULL ? LK_ERR_INVALID : lk_undo_clear(self, undos != 0, redos != 0);
}

u32 lk_wasm_doc_undo_add_scope(u32 doc, u32 undo, u32 slot, u32 check) {
  lk_undo *self = undo_of(doc, undo);
  return self == NULL ? LK_ERR_INVALID : lk_undo_add_scope(self, lk_wasm_node(slot, check));
}

u32 lk_wasm_doc_undo_track(u32 doc, u32 undo, u32 origin, u32 tracked) {
  lk_undo *self = undo_of(doc, undo);
  if (self == NULL) return LK_ERR_INVALID;
  if (tracked != 0) return lk_undo_add_origin(self, origin);
  lk_undo_remove_origin(self, origin);
  return LK_OK;
}

u32 lk_wasm_doc_undo_origin(u32 doc, u32 undo) {
  const lk_undo *self = undo_of(doc, undo);
  return self == NULL ? 0 : (u32)lk_undo_origin(self);
}

static void tell_item(void *ctx, lk_undo *undo, bool is_redo, bool popped, uint64_t *meta) {
  (void)undo;
  if (*meta == 0) *meta = ++meta_last;
  begin_record(KIND_ITEM, (u32)(uintptr_t)ctx, 0, 6);
  (void)lk_buf_append_u8(&queue, is_redo);
  (void)lk_buf_append_u8(&queue, popped);
  (void)lk_buf_append_le32(&queue, (uint32_t)*meta);
  (void)end_record();
}

u32 lk_wasm_doc_undo_watch(u32 doc, u32 undo) {
  lk_undo *self = undo_of(doc, undo);
  if (self == NULL) return LK_ERR_INVALID;
  lk_undo_on_item(self, tell_item, (void *)(uintptr_t)undo);
  return LK_OK;
}
