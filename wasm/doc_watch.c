/* wasm/doc_watch.c -- what observers of documents are told, and undo managers.
 *
 * Most of it is written down, and the host reads it when the call that caused it has returned:
 *
 *   queue   := record*
 *   record  := kind:u32 token:u32 origin:u32 len:u32 body            padded to four bytes
 *   kind    := 1 an update            token: its format              body: the update
 *            | 2 an item of an undo stack     token: the manager     body: redo:u8 popped:u8 meta:u32
 *            | 3 subdocuments                 token: how many came   body: (guid:varString options:any)*, which
 *                                                                    came, then those that went
 *              each of them | 256 where the change was made here
 *
 * The board says how many bytes wait and where; the host sets that to 0 when it has taken them. Where there was no
 * memory to write an update down, |lost| on the board is set, and the host helps itself by encoding all.
 *
 * Events are another matter. What one says can be worked out only while the engine tells of it: a moment later neighbours are
 * joined and what was deleted is gone. To work it out ahead (path, delta and keys of each keystroke, for an observer that
 * wants to know no more than that there was one) took 1.1 of the 1.7 microseconds of a keystroke. So for events the
 * engine's callback is the host's: lk_wasm_host_tell(). It gets a number under which doc_event() answers until it returns:
 *
 *   doc_text_insert() -> lk_wasm_host_tell(token, 7, ...) -> the host's listener
 *                                     doc_event(7, 0, delta) <- asks, or does not
 *                                     any other call         <- may read, change, observe; but free nothing
 *
 * Listeners may change other documents meanwhile, whose listeners are called in turn: rounds nest, and the inner ones
 * do not end the outer ones. The host must not let anything be thrown through us, but for a trap behind
 * which it calls nothing here any more. Nothing in a call may be needed behind the callbacks that lies where the host
 * puts its next input.
 *
 * Not chosen: to hold the engine in the middle of a transaction until the host has told its listeners, and to be called a second
 * time for the rest of it. It needs no import, but a call more of each keystroke, and an engine that can stop
 * between any two observers. */
#include "wasm/doc.h"

#include "codec/lib0.h"
#include "doc/read_tree.h"
#include "laniakea/doc_events.h"
#include "laniakea/doc_undo.h"

#define KIND_UPDATE 1u
#define KIND_ITEM 2u
#define KIND_SUBDOCS 3u
#define LOCAL 256u
#define HEAD_LEN 16u

static lk_buf queue;

/* ---- the queue ---- */

/* The instruction that copies is a call of the host: for the few bytes of a keystroke's update words are faster. */
static void copy(uint8_t *to, lk_slice bytes) {
  if (bytes.len < 8 || bytes.len > 64) {
    memcpy(to, bytes.ptr, bytes.len);
    return;
  }
  size_t last = bytes.len - 8;
  for (size_t i = 0; i < last; i += 8) lk_store_le64(to + i, lk_load_le64(bytes.ptr + i));
  lk_store_le64(to + last, lk_load_le64(bytes.ptr + last));
}

static lk_err make_room(size_t len) {
  if (queue.alloc == NULL) lk_buf_init(&queue, lk_wasm_alloc(), LK_WASM_DOC_BYTES_MAX);
  lk_buf_truncate(&queue, queue.len);
  return lk_buf_reserve(&queue, len);
}

static lk_err put_record(u32 kind, u32 token, uint64_t origin, lk_slice body) {
  queue.len = lk_wasm_doc_board.queued;
  if (queue.cap - queue.len < HEAD_LEN + 3 + body.len) {
    lk_err err = make_room(HEAD_LEN + 3 + body.len);
    if (err != LK_OK) return err;
  }
  uint8_t *head = queue.ptr + queue.len;
  lk_store_le32(head, kind);
  lk_store_le32(head + 4, token);
  lk_store_le32(head + 8, (uint32_t)origin);
  lk_store_le32(head + 12, (uint32_t)body.len);
  copy(head + HEAD_LEN, body);
  queue.len += HEAD_LEN + ((body.len + 3) & ~(size_t)3);
  lk_wasm_doc_board.queue = (u32)(uintptr_t)queue.ptr;
  lk_wasm_doc_board.queued = (u32)queue.len;
  return LK_OK;
}

static void tell_update(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  u32 kind = KIND_UPDATE | (local ? LOCAL : 0);
  (void)doc;
  /* empty: there was no memory to write it */
  if (update.len == 0 || put_record(kind, (u32)(uintptr_t)ctx, origin, update) != LK_OK)
    lk_wasm_doc_board.lost = 1;
}

static void tell_subdocs(void *ctx, lk_doc *doc, const lk_value *added, size_t added_count,
                         const lk_value *removed, size_t removed_count) {
  lk_buf body;
  (void)ctx, (void)doc;
  lk_buf_init(&body, lk_wasm_alloc(), LK_WASM_DOC_BYTES_MAX);
  for (size_t i = 0; i < added_count + removed_count; i++) {
    const lk_value *value = i < added_count ? &added[i] : &removed[i - added_count];
    (void)lk_lib0_string_encode(&body, value->bytes);
    (void)lk_buf_append(&body, value->options);
  }
  if (lk_buf_err(&body) == LK_OK)
    (void)put_record(KIND_SUBDOCS, (u32)added_count, 0, lk_buf_slice(&body));
  lk_buf_deinit(&body);
}

/* ---- events ---- */

/* Events that the host is being told of, for as long as its function runs; others may come in between. */
typedef struct round {
  const struct round *outer;
  const lk_doc *doc;
  const lk_event *const *events;
  size_t count;
  u32 number;
} round;

static const round *innermost;
static u32 round_last;

static void tell_events(void *ctx, lk_doc *doc, const lk_event *const *events, size_t count) {
  round own = { innermost, doc, events, count, ++round_last };
  u32 local = lk_event_local(events[0]) ? 1 : 0;
  innermost = &own;
  lk_wasm_host_tell((u32)(uintptr_t)ctx, own.number, (u32)lk_event_origin(events[0]),
                    (u32)count << 1 | local);
  innermost = own.outer;
}

static void tell_event(void *ctx, lk_doc *doc, const lk_event *event) {
  tell_events(ctx, doc, &event, 1);
}

static lk_err put_keys(const lk_event *event, lk_buf *out) {
  lk_slice key;
  lk_key_action action;
  lk_buf old;
  lk_buf_init(&old, lk_wasm_alloc(), LK_WASM_DOC_BYTES_MAX);
  for (u32 cursor = 0; lk_event_next_key_as(event, &lk_event_tree, &cursor, &key, &action, &old);) {
    (void)lk_lib0_string_encode(out, key);
    (void)lk_buf_append_u8(out, (uint8_t)action);
    (void)lk_lib0_string_encode(out, lk_buf_slice(&old));
    if (lk_buf_err(&old) != LK_OK) break;
    lk_buf_truncate(&old, 0);
  }
  lk_err err = lk_buf_err(&old);
  lk_buf_deinit(&old);
  return err == LK_OK ? lk_buf_err(out) : err;
}

static lk_err put_part(const lk_event *event, u32 part, lk_buf *out) {
  switch (part) {
  case LK_WASM_EVENT_PATH: return lk_event_path_as(event, &lk_event_tree, out);
  case LK_WASM_EVENT_DELTA: return lk_event_delta_as(event, &lk_event_tree, out);
  case LK_WASM_EVENT_KEYS: return put_keys(event, out);
  default: return LK_OK;
  }
}

u32 lk_wasm_doc_event(u32 number, u32 index, u32 part) {
  const round *own = innermost;
  while (own != NULL && own->number != number) own = own->outer;
  if (own == NULL || index >= own->count) return LK_ERR_STATE;
  const lk_event *event = own->events[index];
  lk_buf *out = lk_wasm_result(LK_WASM_DOC_BYTES_MAX);
  lk_wasm_show_node(own->doc, lk_event_target(event));
  lk_wasm_doc_board.count = lk_event_list_changed(event);
  return lk_wasm_answer(put_part(event, part, out), out);
}

u32 lk_wasm_doc_observe(u32 doc, u32 slot, u32 check, u32 what, u32 token) {
  lk_doc *self = lk_wasm_doc_of(doc);
  lk_node node = lk_wasm_node(slot, check);
  void *ctx = (void *)(uintptr_t)token;
  u32 *id = &lk_wasm_doc_board.count;
  if (self == NULL) return LK_ERR_INVALID;
  if (what == LK_WASM_OBSERVE_UPDATES)
    return lk_doc_on_update(self, (lk_update_format)token, tell_update, ctx, id);
  if (what == LK_WASM_OBSERVE_SUBDOCS) return lk_doc_on_subdocs(self, tell_subdocs, NULL, id);
  if (what == LK_WASM_OBSERVE_DEEP) return lk_doc_observe_deep(self, node, tell_events, ctx, id);
  return lk_doc_observe(self, node, tell_event, ctx, id);
}

void lk_wasm_doc_off(u32 doc, u32 id) {
  lk_doc *self = lk_wasm_doc_of(doc);
  if (self != NULL) lk_doc_off(self, id);
}

/* ---- undo managers: a list of each document, which is short ---- */

struct lk_wasm_undo {
  lk_wasm_undo *next;
  lk_undo *undo;
  u32 id;
};

static u32 undo_last;
static u32 meta_last;

/* Takes it out of its list. */
static void free_undo(lk_wasm_undo **at) {
  lk_wasm_undo *self = *at;
  *at = self->next;
  lk_undo_close(self->undo);
  lk_free_bytes(lk_wasm_alloc(), self, sizeof *self);
}

void lk_wasm_undos_close(lk_wasm_undo *undos) {
  while (undos != NULL) free_undo(&undos);
}

static uint64_t now(void *ctx) {
  (void)ctx;
  return lk_wasm_time(lk_wasm_host_now());
}

u32 lk_wasm_doc_undo_new(u32 doc, u32 slot, u32 check, u32 whole, ms capture, u32 ignore_remote) {
  lk_doc *self = lk_wasm_doc_of(doc);
  lk_node node = lk_wasm_node(slot, check);
  if (self == NULL) return LK_ERR_INVALID;
  lk_undo_options options = LK_UNDO_OPTIONS_INIT;
  options.capture_ms = lk_wasm_time(capture);
  options.ignore_remote_map_changes = ignore_remote != 0;
  options.now_ms = now;
  lk_wasm_undo *made = lk_alloc_bytes(lk_wasm_alloc(), sizeof *made);
  if (made == NULL) return LK_ERR_NOMEM;
  lk_err err = lk_undo_open(self, whole != 0 ? NULL : &node, 1, &options, &made->undo);
  if (err != LK_OK) {
    lk_free_bytes(lk_wasm_alloc(), made, sizeof *made);
    return err;
  }
  lk_wasm_undo **first = lk_wasm_undos_of(doc);
  made->id = lk_wasm_doc_board.count = ++undo_last;
  made->next = *first;
  *first = made;
  return LK_OK;
}

static void tell_item(void *ctx, lk_undo *undo, bool is_redo, bool popped, uint64_t *meta) {
  uint8_t body[6] = { is_redo, popped };
  (void)undo;
  if (*meta == 0) *meta = ++meta_last;
  lk_store_le32(body + 2, (uint32_t)*meta);
  (void)put_record(KIND_ITEM, (u32)(uintptr_t)ctx, 0, lk_slice_of(body, sizeof body));
}

static lk_err undo_do(lk_undo *self, u32 id, u32 what, u32 a, u32 b) {
  bool done = false;
  lk_err err = LK_OK;
  switch (what) {
  case LK_WASM_UNDO_POP:
    err = a != 0 ? lk_undo_redo(self, &done) : lk_undo_undo(self, &done);
    lk_wasm_doc_board.count = done;
    return err;
  case LK_WASM_UNDO_COUNT:
    lk_wasm_doc_board.count = (u32)(a != 0 ? lk_undo_redo_count(self) : lk_undo_undo_count(self));
    return LK_OK;
  case LK_WASM_UNDO_STOP: lk_undo_stop_capturing(self); return LK_OK;
  case LK_WASM_UNDO_CLEAR: return lk_undo_clear(self, a != 0, b != 0);
  case LK_WASM_UNDO_SCOPE: return lk_undo_add_scope(self, lk_wasm_node(a, b));
  case LK_WASM_UNDO_TRACK:
    if (b != 0) return lk_undo_add_origin(self, a);
    lk_undo_remove_origin(self, a);
    return LK_OK;
  case LK_WASM_UNDO_ORIGIN: lk_wasm_doc_board.count = (u32)lk_undo_origin(self); return LK_OK;
  case LK_WASM_UNDO_WATCH: lk_undo_on_item(self, tell_item, (void *)(uintptr_t)id); return LK_OK;
  default: return LK_ERR_INVALID;
  }
}

u32 lk_wasm_doc_undo(u32 doc, u32 undo, u32 what, u32 a, u32 b) {
  lk_wasm_undo **at = lk_wasm_undos_of(doc);
  while (at != NULL && *at != NULL && (*at)->id != undo) at = &(*at)->next;
  if (at == NULL || *at == NULL) return LK_ERR_INVALID;
  if (what != LK_WASM_UNDO_FREE) return undo_do((*at)->undo, undo, what, a, b);
  free_undo(at);
  return LK_OK;
}
