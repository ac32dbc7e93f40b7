/* sim/disk.c -- files as a medium and a list of writes that may not have reached it.
 *
 *   medium ──> write(SYNCED) ──> write(LOST) ──> write(DIRTY)   in order of submission
 *
 *   DIRTY    in the cache; the next sync that works makes it SYNCED
 *   LOST     a sync failed over it: no later one will take it, though it may have got there
 *   SYNCED   promised; leaves the list, into the medium, once nothing unsure stands before it
 *
 * A power cut walks the list in order: SYNCED is done, the others are each kept, dropped or torn.
 * So two unsynced writes to one place can end as the first, the second, neither, or a mixture.
 *
 * Names: one that was made is durable with its file's first sync; renames and removals are durable
 * when they complete (base/storage.h). A file that has lost its name lives as long as its handles. */
#include "sim/disk.h"

#include "base/num.h"

#define SECTOR 512u
#define SLOW_MAX_US (5000u * SIM_MS)
#define NAME_LEN_MAX 200

typedef enum write_state { WRITE_DIRTY, WRITE_LOST, WRITE_SYNCED } write_state;

typedef struct write {
  lk_link link;
  write_state state;
  bool truncates; /* to |off| */
  uint64_t off;
  size_t len;
  uint8_t bytes[];
} write;

struct sim_file {
  lk_link link;
  lk_buf medium;
  lk_buf cached;
  lk_list writes;
  uint32_t handles;
  uint64_t reserved; /* it may grow to that many bytes, also while the disk is full */
  uint64_t synced;
  bool name_durable;
  uint32_t name_len; /* 0: removed */
  uint8_t name[NAME_LEN_MAX];
};

typedef struct op {
  lk_link link;
  sim_disk *disk;
  lk_io *io;
  sim_event event;
} op;

static lk_slice name_of(const sim_file *f) { return lk_slice_of(f->name, f->name_len); }

static sim_file *find(const sim_disk *self, lk_slice name) {
  for (lk_link *at = self->files.first; at != NULL; at = at->next) {
    sim_file *f = LK_CONTAINER(at, sim_file, link);
    if (f->name_len > 0 && lk_slice_equal(name_of(f), name)) return f;
  }
  return NULL;
}

/* ---- bytes ---- */

/* Puts |bytes| at |off| of |buf|, zeros before them where it was shorter. */
static void put(lk_buf *buf, uint64_t off, lk_slice bytes) {
  size_t end = (size_t)off + bytes.len;
  if (bytes.len == 0) return;
  if (end > buf->len) {
    size_t had = buf->len;
    uint8_t *fresh = lk_buf_extend(buf, end - had);
    LK_ASSERT(fresh != NULL); /* the simulator's own memory */
    memset(fresh, 0, end - had);
  }
  memcpy(buf->ptr + (size_t)off, bytes.ptr, bytes.len);
}

static void cut_to(lk_buf *buf, uint64_t size) {
  static const uint8_t zero[1] = { 0 };
  if (size < buf->len) lk_buf_truncate(buf, (size_t)size);
  else if (size > buf->len) put(buf, size - 1, lk_slice_of(zero, 1));
}

static void apply(lk_buf *buf, const write *w) {
  if (w->truncates) cut_to(buf, w->off);
  else put(buf, w->off, lk_slice_of(w->bytes, w->len));
}

static void free_write(sim_disk *self, sim_file *f, write *w) {
  lk_list_remove(&f->writes, &w->link);
  lk_free_bytes(self->world->alloc, w, sizeof *w + w->len);
}

static void add_write(sim_disk *self, sim_file *f, uint64_t off, lk_slice bytes, bool truncates) {
  write *w = lk_alloc_bytes(self->world->alloc, sizeof *w + bytes.len);
  LK_ASSERT(w != NULL);
  *w = (write){ .truncates = truncates, .off = off, .len = bytes.len };
  if (bytes.len > 0) memcpy(w->bytes, bytes.ptr, bytes.len);
  lk_list_push_last(&f->writes, &w->link);
  apply(&f->cached, w);
}

/* What is certain and has nothing uncertain before it belongs to the medium. */
static void settle(sim_disk *self, sim_file *f) {
  while (f->writes.first != NULL) {
    write *w = LK_CONTAINER(f->writes.first, write, link);
    if (w->state != WRITE_SYNCED) return;
    apply(&f->medium, w);
    free_write(self, f, w);
  }
}

static void rebuild_cache(sim_file *f) {
  lk_buf_truncate(&f->cached, 0);
  put(&f->cached, 0, lk_buf_slice(&f->medium));
  for (lk_link *at = f->writes.first; at != NULL; at = at->next)
    apply(&f->cached, LK_CONTAINER(at, write, link));
}

/* ---- files ---- */

static void free_if_unused(sim_disk *self, sim_file *f) {
  if (f->name_len > 0 || f->handles > 0) return;
  while (f->writes.first != NULL) free_write(self, f, LK_CONTAINER(f->writes.first, write, link));
  lk_buf_deinit(&f->medium);
  lk_buf_deinit(&f->cached);
  lk_list_remove(&self->files, &f->link);
  lk_free_bytes(self->world->alloc, f, sizeof *f);
}

static sim_file *make_file(sim_disk *self, lk_slice name) {
  sim_file *f = lk_alloc_bytes(self->world->alloc, sizeof *f);
  LK_ASSERT(f != NULL);
  *f = (sim_file){ .name_len = (uint32_t)name.len };
  memcpy(f->name, name.ptr, name.len);
  lk_buf_init(&f->medium, self->world->alloc, SIZE_MAX / 2);
  lk_buf_init(&f->cached, self->world->alloc, SIZE_MAX / 2);
  lk_list_push_last(&self->files, &f->link);
  return f;
}

static bool is_full(const sim_disk *self) {
  return self->full_until_us > self->world->now_us && !self->world->calm;
}

/* Whether |f| may become that long. */
static bool has_place(const sim_disk *self, const sim_file *f, uint64_t size) {
  if (size > self->bytes_max) return false;
  return size <= lk_max_u64(f->cached.len, f->reserved) || !is_full(self);
}

/* ---- operations ---- */

static lk_err do_open(sim_disk *self, lk_io *io) {
  uint32_t handle = 0;
  if (!lk_storage_name_ok(io->name)) return LK_ERR_INVALID;
  sim_file *f = find(self, io->name);
  if (f == NULL && !io->create) return LK_ERR_NOT_FOUND;
  if (sim_world_strikes(self->world, SIM_FAULT_disk_open_failed, &self->prng)) return LK_ERR_IO;
  if (f == NULL && is_full(self)) return LK_ERR_NO_SPACE;
  while (handle < SIM_DISK_OPEN_MAX && self->handles[handle].file != NULL) handle++;
  if (handle == SIM_DISK_OPEN_MAX) return LK_ERR_LIMIT;
  if (f == NULL) f = make_file(self, io->name);
  f->handles++;
  self->handles[handle] = (sim_handle){ .file = f };
  io->file = handle;
  return LK_OK;
}

static lk_err do_close(sim_disk *self, lk_io *io) {
  sim_handle *h = &self->handles[io->file];
  bool spoiled = h->spoiled;
  sim_file *f = h->file;
  *h = (sim_handle){ 0 };
  f->handles--;
  free_if_unused(self, f);
  return spoiled ? LK_ERR_SYNC : LK_OK;
}

static lk_err do_read(sim_disk *self, sim_file *f, lk_io *io) {
  io->done = 0;
  if (sim_world_strikes(self->world, SIM_FAULT_disk_read_failed, &self->prng)) return LK_ERR_IO;
  if (io->off >= f->cached.len) return LK_OK;
  io->done = lk_min_size(io->into_len, f->cached.len - (size_t)io->off);
  if (io->done > 0) memcpy(io->into, f->cached.ptr + (size_t)io->off, io->done);
  return LK_OK;
}

static lk_err do_peek(sim_disk *self, lk_io *io) {
  if (!lk_storage_name_ok(io->name)) return LK_ERR_INVALID;
  sim_file *f = find(self, io->name);
  return f == NULL ? LK_ERR_NOT_FOUND : do_read(self, f, io);
}

static lk_err do_write(sim_disk *self, sim_file *f, lk_io *io) {
  uint64_t end;
  io->done = 0;
  if (!lk_add_u64(io->off, io->from.len, &end)) return LK_ERR_RANGE;
  if (!has_place(self, f, end)) return LK_ERR_NO_SPACE;
  if (sim_world_strikes(self->world, SIM_FAULT_disk_write_failed, &self->prng)) {
    size_t part = (size_t)lk_prng_below(&self->prng, io->from.len + 1);
    add_write(self, f, io->off, lk_slice_first(io->from, part), false);
    return LK_ERR_IO;
  }
  add_write(self, f, io->off, io->from, false);
  io->done = io->from.len;
  return LK_OK;
}

static void promise(sim_disk *self, sim_file *f) {
  for (lk_link *at = f->writes.first; at != NULL; at = at->next) {
    write *w = LK_CONTAINER(at, write, link);
    if (w->state == WRITE_DIRTY) w->state = WRITE_SYNCED;
  }
  f->name_durable = true;
  f->synced = ++self->syncs;
  settle(self, f);
}

/* The writes are no longer dirty. Either the cache still shows them, or it is read anew. */
static void break_sync(sim_disk *self, sim_file *f) {
  bool cache_is_dropped = lk_prng_chance(&self->prng, 1, 2);
  for (lk_link *at = f->writes.first, *next; at != NULL; at = next) {
    write *w = LK_CONTAINER(at, write, link);
    next = at->next;
    if (w->state == WRITE_DIRTY) w->state = WRITE_LOST;
    if (w->state == WRITE_LOST && cache_is_dropped && lk_prng_chance(&self->prng, 1, 2))
      free_write(self, f, w);
  }
  if (!cache_is_dropped) return;
  /* What is still listed did reach the medium, without anybody having promised it. */
  for (lk_link *at = f->writes.first; at != NULL; at = at->next) {
    LK_CONTAINER(at, write, link)->state = WRITE_SYNCED;
  }
  settle(self, f);
  rebuild_cache(f);
}

static lk_err do_sync(sim_disk *self, sim_handle *h) {
  if (self->lies) return LK_OK;
  if (!sim_world_strikes(self->world, SIM_FAULT_disk_sync_failed, &self->prng)) {
    promise(self, h->file);
    return LK_OK;
  }
  h->spoiled = true;
  break_sync(self, h->file);
  return LK_ERR_SYNC;
}

static lk_err do_truncate(sim_disk *self, sim_file *f, uint64_t size) {
  if (!has_place(self, f, size)) return LK_ERR_NO_SPACE;
  f->reserved = 0;
  add_write(self, f, size, LK_SLICE_EMPTY, true);
  return LK_OK;
}

static lk_err do_reserve(sim_disk *self, sim_file *f, uint64_t size) {
  if (!self->reserves) return LK_ERR_UNSUPPORTED;
  if (!has_place(self, f, size)) return LK_ERR_NO_SPACE;
  /* What copies on write promises more than it keeps. */
  if (!lk_prng_chance(&self->prng, 1, 8)) f->reserved = lk_max_u64(f->reserved, size);
  return LK_OK;
}

static lk_err do_remove(sim_disk *self, lk_slice name) {
  if (!lk_storage_name_ok(name)) return LK_ERR_INVALID;
  sim_file *f = find(self, name);
  if (f == NULL) return LK_ERR_NOT_FOUND;
  f->name_len = 0;
  free_if_unused(self, f);
  return LK_OK;
}

static lk_err do_rename(sim_disk *self, lk_io *io) {
  if (!lk_storage_name_ok(io->name) || !lk_storage_name_ok(io->name_to)) return LK_ERR_INVALID;
  sim_file *f = find(self, io->name);
  if (f == NULL) return LK_ERR_NOT_FOUND;
  if (lk_slice_equal(io->name, io->name_to)) return LK_OK;
  (void)do_remove(self, io->name_to);
  f->name_len = (uint32_t)io->name_to.len;
  memcpy(f->name, io->name_to.ptr, io->name_to.len);
  f->name_durable = true;
  return LK_OK;
}

static void do_list(const sim_disk *self, lk_io *io) {
  lk_storage_list_begin(io);
  for (const lk_link *at = self->files.first; at != NULL; at = at->next) {
    const sim_file *f = LK_CONTAINER(at, sim_file, link);
    if (f->name_len > 0) lk_storage_list_offer(io, lk_slice_of(f->name, f->name_len));
  }
}

static bool has_handle(lk_io_kind kind) {
  return lk_io_has_file(kind);
}

static lk_err carry_out(sim_disk *self, lk_io *io) {
  sim_handle *h = has_handle(io->kind) ? &self->handles[io->file] : NULL;
  if (h != NULL && h->spoiled && io->kind != LK_IO_CLOSE) return LK_ERR_SYNC;
  switch (io->kind) {
  case LK_IO_OPEN: return do_open(self, io);
  case LK_IO_CLOSE: return do_close(self, io);
  case LK_IO_READ: return do_read(self, h->file, io);
  case LK_IO_WRITE: return do_write(self, h->file, io);
  case LK_IO_SYNC: return do_sync(self, h);
  case LK_IO_TRUNCATE: return do_truncate(self, h->file, io->off);
  case LK_IO_RESERVE: return do_reserve(self, h->file, io->off);
  case LK_IO_SIZE: io->off = h->file->cached.len; return LK_OK;
  case LK_IO_RENAME: return do_rename(self, io);
  case LK_IO_REMOVE: return do_remove(self, io->name);
  case LK_IO_WALK:
  case LK_IO_LIST: do_list(self, io); return LK_OK;
  case LK_IO_PEEK: return do_peek(self, io);
  }
  LK_UNREACHABLE();
}

/* ---- submitting and completing ---- */

static void free_op(op *o) {
  lk_list_remove(&o->disk->under_way, &o->link);
  sim_world_cancel(o->disk->world, &o->event);
  lk_free_bytes(o->disk->world->alloc, o, sizeof *o);
}

static void on_due(sim_event *event) {
  op *o = LK_CONTAINER(event, op, event);
  sim_disk *self = o->disk;
  lk_io *io = o->io;
  free_op(o);
  io->result = carry_out(self, io);
  sim_world_note(self->world, "disk", "done", (uint64_t)io->kind, (uint64_t)io->result, io->name);
  lk_list_push_last(&self->done, &io->link);
  if (self->ready != NULL) self->ready(self->ready_ctx);
}

static uint64_t draw_latency(sim_disk *self, const lk_io *io) {
  const sim_options *options = self->world->options;
  bool is_sync = io->kind == LK_IO_SYNC;
  uint64_t latency = lk_prng_range(&self->prng,
                                   is_sync ? options->sync_low_us : options->disk_low_us,
                                   is_sync ? options->sync_high_us : options->disk_high_us);
  if (sim_world_strikes(self->world, SIM_FAULT_disk_slow, &self->prng)) {
    latency += lk_prng_below(&self->prng, SLOW_MAX_US);
  }
  return latency;
}

static void submit(lk_storage *storage, lk_io *io) {
  sim_disk *self = LK_CONTAINER(storage, sim_disk, table);
  op *o = lk_alloc_bytes(self->world->alloc, sizeof *o);
  LK_ASSERT(o != NULL);
  *o = (op){ .disk = self, .io = io };
  sim_event_init(&o->event, on_due);
  lk_list_push_last(&self->under_way, &o->link);
  uint64_t due = self->world->now_us + draw_latency(self, io);
  if (has_handle(io->kind)) {
    LK_ASSERT(io->file < SIM_DISK_OPEN_MAX && self->handles[io->file].file != NULL);
    due = lk_max_u64(due, self->handles[io->file].last_us);
    self->handles[io->file].last_us = due;
  }
  sim_world_schedule(self->world, &o->event, due);
}

static lk_io *poll(lk_storage *storage) {
  sim_disk *self = LK_CONTAINER(storage, sim_disk, table);
  lk_link *link = lk_list_pop_first(&self->done);
  return link == NULL ? NULL : LK_CONTAINER(link, lk_io, link);
}

void sim_disk_init(sim_disk *self, sim_world *world, uint64_t number) {
  *self = (sim_disk){ .world = world, .bytes_max = (uint64_t)64 << 20 };
  self->table = (lk_storage){ sizeof(lk_storage), submit, poll };
  sim_world_stream(world, SIM_STREAM_DISK + number, &self->prng);
  self->reserves = lk_prng_chance(&self->prng, 3, 4);
}

void sim_disk_deinit(sim_disk *self) {
  if (self->world == NULL) return;
  while (self->under_way.first != NULL) free_op(LK_CONTAINER(self->under_way.first, op, link));
  for (lk_link *at = self->files.first, *next; at != NULL; at = next) {
    sim_file *f = LK_CONTAINER(at, sim_file, link);
    next = at->next;
    f->name_len = f->handles = 0;
    free_if_unused(self, f);
  }
  *self = (sim_disk){ 0 };
}

/* ---- crashes ---- */

/* An operation whose process dies meanwhile: done, half done or not done. */
static void half_do(sim_disk *self, lk_io *io) {
  sim_handle *h = has_handle(io->kind) ? &self->handles[io->file] : NULL;
  if (lk_prng_chance(&self->prng, 1, 2)) return;
  if (h != NULL && (h->file == NULL || h->spoiled)) return;
  switch (io->kind) {
  case LK_IO_OPEN:
    if (io->create && find(self, io->name) == NULL && !is_full(self))
      (void)make_file(self, io->name);
    break;
  case LK_IO_WRITE:
    add_write(self, h->file, io->off,
              lk_slice_first(io->from, (size_t)lk_prng_below(&self->prng, io->from.len + 1)),
              false);
    break;
  case LK_IO_SYNC:
    if (!self->lies) promise(self, h->file);
    break;
  case LK_IO_TRUNCATE: add_write(self, h->file, io->off, LK_SLICE_EMPTY, true); break;
  case LK_IO_RENAME: (void)do_rename(self, io); break;
  case LK_IO_REMOVE: (void)do_remove(self, io->name); break;
  case LK_IO_CLOSE:
  case LK_IO_READ:
  case LK_IO_LIST:
  case LK_IO_WALK:
  case LK_IO_PEEK:
  case LK_IO_RESERVE:
  case LK_IO_SIZE: break;
  }
}

void sim_disk_kill(sim_disk *self) {
  while (self->under_way.first != NULL) {
    op *o = LK_CONTAINER(self->under_way.first, op, link);
    half_do(self, o->io);
    free_op(o);
  }
  self->done = (lk_list){ 0 }; /* the structs are their owner's, who is gone */
  for (uint32_t i = 0; i < SIM_DISK_OPEN_MAX; i++) {
    sim_file *f = self->handles[i].file;
    self->handles[i] = (sim_handle){ 0 };
    if (f == NULL) continue;
    f->handles--;
    free_if_unused(self, f);
  }
}

/* One write that nobody promised meets the end of power. */
static void damage(sim_disk *self, sim_file *f, const write *w) {
  uint64_t kind = lk_prng_below(&self->prng, 5);
  lk_slice bytes = { w->bytes, w->len };
  if (kind == 0) return;
  if (kind == 1 || w->truncates || w->len == 0) {
    apply(&f->medium, w);
  } else if (kind == 2) { /* torn at any byte */
    put(&f->medium, w->off, lk_slice_first(bytes, (size_t)lk_prng_below(&self->prng, w->len)));
  } else if (kind == 3) { /* each sector by itself */
    for (size_t at = 0; at < w->len; at += SECTOR) {
      if (lk_prng_chance(&self->prng, 1, 2)) {
        put(&f->medium, w->off + at, lk_slice_first(lk_slice_skip(bytes, at), SECTOR));
      }
    }
  } else { /* the new size came through, the bytes did not */
    if (w->off + w->len > f->medium.len) cut_to(&f->medium, w->off + w->len);
  }
}

static void cut_file(sim_disk *self, sim_file *f) {
  if (!f->name_durable && lk_prng_chance(&self->prng, 1, 2)) f->name_len = 0;
  while (f->writes.first != NULL) {
    write *w = LK_CONTAINER(f->writes.first, write, link);
    if (w->state == WRITE_SYNCED) apply(&f->medium, w);
    else damage(self, f, w);
    free_write(self, f, w);
  }
  f->name_durable = true;
  f->reserved = 0;
  rebuild_cache(f);
  free_if_unused(self, f);
}

void sim_disk_cut(sim_disk *self) {
  sim_disk_kill(self);
  for (lk_link *at = self->files.first, *next; at != NULL; at = next) {
    next = at->next;
    cut_file(self, LK_CONTAINER(at, sim_file, link));
  }
}

/* ---- looking and meddling ---- */

lk_err sim_disk_look(const sim_disk *self, lk_slice name, sim_view view, lk_buf *out) {
  const sim_file *f = find(self, name);
  if (f == NULL || (view == SIM_VIEW_MEDIUM && !f->name_durable)) return LK_ERR_NOT_FOUND;
  if (view == SIM_VIEW_CACHED) return lk_buf_append(out, lk_buf_slice(&f->cached));
  lk_buf sure;
  lk_buf_init(&sure, self->world->alloc, SIZE_MAX / 2);
  put(&sure, 0, lk_buf_slice(&f->medium));
  for (lk_link *at = f->writes.first; at != NULL; at = at->next) {
    const write *w = LK_CONTAINER(at, write, link);
    if (w->state == WRITE_SYNCED) apply(&sure, w);
  }
  lk_err err = lk_buf_append(out, lk_buf_slice(&sure));
  lk_buf_deinit(&sure);
  return err;
}

bool sim_disk_next(const sim_disk *self, uint32_t *cursor, lk_slice *name, uint64_t *synced) {
  uint32_t index = 0;
  for (lk_link *at = self->files.first; at != NULL; at = at->next) {
    const sim_file *f = LK_CONTAINER(at, sim_file, link);
    if (index++ < *cursor || f->name_len == 0) continue;
    *cursor = index;
    *name = name_of(f);
    *synced = f->synced;
    return true;
  }
  return false;
}

bool sim_disk_rot(sim_disk *self, lk_slice name) {
  sim_file *f = find(self, name);
  if (f == NULL || f->writes.count > 0 || f->medium.len == 0) return false;
  for (uint64_t n = lk_prng_range(&self->prng, 1, 8); n > 0; n--) {
    uint64_t bit = lk_prng_below(&self->prng, (uint64_t)f->medium.len * 8);
    f->medium.ptr[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  rebuild_cache(f);
  return true;
}
