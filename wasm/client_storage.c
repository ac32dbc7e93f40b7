/* wasm/client_storage.c -- a storage whose files are the host's.
 *
 *   submit() ──> submitted ──client_io()──> under_way ──client_io_done()──> completed ──> poll()
 *
 * The host carries out what it takes in whatever order it can, but for operations of one file, and says so once for each. Operations
 * have numbers, which stand where their results will (|done|): so what comes twice, or was never asked for, fits nothing.
 *
 * Like all of wasm/ this is the border: one host, one thread, globals. */
#include "wasm/client.h"

#define CLIENT_EVENT(name, number)
#define CLIENT_NEWS(name, number, text)
#define EXPORT(name, result, parameters, text)
#define IO(name, number, text)                                                                     \
  _Static_assert(LK_IO_##name == (number), "client.def says otherwise");
#include "wasm/client.def"
#undef CLIENT_EVENT
#undef CLIENT_NEWS
#undef EXPORT
#undef IO

static lk_list submitted, under_way, completed;
static u32 number_last;
static lk_wasm_io_board board;

static lk_io *io_of(lk_link *link) { return link == NULL ? NULL : LK_CONTAINER(link, lk_io, link); }

static void submit(lk_storage *self, lk_io *io) {
  (void)self;
  lk_list_push_last(&submitted, &io->link);
}

static lk_io *poll(lk_storage *self) {
  (void)self;
  return io_of(lk_list_pop_first(&completed));
}

lk_storage *lk_wasm_storage_begin(void) {
  static lk_storage storage = { sizeof storage, submit, poll };
  submitted = under_way = completed = (lk_list){ 0 };
  return &storage;
}

/* ---- the host's side ---- */

u32 lk_wasm_client_io_board(void) { return (u32)(uintptr_t)&board; }

static bool has_into(lk_io_kind kind) {
  return kind == LK_IO_READ || kind == LK_IO_LIST || kind == LK_IO_WALK || kind == LK_IO_PEEK;
}

static void show(const lk_io *io) {
  bool has_bytes = io->kind == LK_IO_WRITE || !lk_io_has_file(io->kind);
  lk_slice bytes = has_bytes ? io->from : LK_SLICE_EMPTY, into = LK_SLICE_EMPTY;
  if (has_into(io->kind)) into = lk_slice_of(io->into, io->into_len);
  if (io->kind == LK_IO_RENAME) into = io->name_to;
  board = (lk_wasm_io_board){ .kind = io->kind,
                              .file = lk_io_has_file(io->kind) ? io->file : 0,
                              .create = io->kind == LK_IO_OPEN && io->create,
                              .off_lo = (u32)io->off,
                              .off_hi = (u32)(io->off >> 32),
                              .bytes_at = (u32)(uintptr_t)bytes.ptr,
                              .bytes_len = (u32)bytes.len,
                              .into_at = (u32)(uintptr_t)into.ptr,
                              .into_len = (u32)into.len };
}

u32 lk_wasm_client_io(void) {
  lk_io *io = io_of(lk_list_pop_first(&submitted));
  if (io == NULL) return 0;
  show(io);
  if (++number_last == 0) number_last = 1;
  io->done = number_last;
  lk_list_push_last(&under_way, &io->link);
  return number_last;
}

/* A host that says more than there is room for has not done what it was asked. */
static void finish(lk_io *io, u32 result, u32 done, ms off) {
  io->result = (lk_err)result;
  io->done = 0;
  if (result != LK_OK) return;
  switch (io->kind) {
  case LK_IO_OPEN: io->file = done; break;
  case LK_IO_SIZE: io->off = lk_wasm_time(off); break;
  case LK_IO_WRITE: io->done = io->from.len; break;
  default:
    if (!has_into(io->kind)) break;
    if (done > io->into_len) io->result = LK_ERR_IO;
    else io->done = done;
  }
}

void lk_wasm_client_io_done(u32 number, u32 result, u32 done, ms off) {
  lk_io *io = io_of(under_way.first);
  while (io != NULL && io->done != number) io = io_of(io->link.next);
  if (io == NULL) return;
  lk_list_remove(&under_way, &io->link);
  finish(io, result, done, off);
  lk_list_push_last(&completed, &io->link);
}
