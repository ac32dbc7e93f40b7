/* platform/memory/storage.c -- a map of names to buffers, and open handles into it.
 *
 * A removed file stays readable through its open handle, as on POSIX: |links| counts its name
 * and its handles, and the last one to go frees it. */
#include "platform/memory/storage.h"

#define NAMES_MAX 65536
#define OPEN_MAX 65536

struct lk_memory_file {
  lk_link link;
  lk_buf bytes;
  size_t reserved; /* the bytes that it may have without asking; counted in |size_used| */
  uint32_t links;
};

/* What |file| counts for. */
static size_t claimed(const lk_memory_file *file) {
  return lk_max_size(file->bytes.len, file->reserved);
}

static void unlink_file(lk_memory_storage *self, lk_memory_file *file) {
  LK_ASSERT(file->links > 0);
  if (--file->links > 0) return;
  self->size_used -= claimed(file);
  lk_list_remove(&self->all, &file->link);
  lk_buf_deinit(&file->bytes);
  lk_free_bytes(self->alloc, file, sizeof *file);
}

static lk_memory_file *named(const lk_memory_storage *self, lk_slice name) {
  lk_memory_file **at = lk_map_get(&self->names, name);
  return at == NULL ? NULL : *at;
}

/* ---- handles ---- */

static lk_err find_handle(lk_memory_storage *self, lk_file *out) {
  for (uint32_t i = 0; i < self->open_cap; i++) {
    if (self->open[i] != NULL) continue;
    *out = i;
    return LK_OK;
  }
  size_t cap;
  if (!lk_grow_cap(self->open_cap, (size_t)self->open_cap + 1, 8, OPEN_MAX, &cap))
    return LK_ERR_LIMIT;
  lk_memory_file **open = lk_resize_array(self->alloc, self->open, self->open_cap, cap,
                                          sizeof(lk_memory_file *));
  if (open == NULL) return LK_ERR_NOMEM;
  for (size_t i = self->open_cap; i < cap; i++) open[i] = NULL;
  *out = self->open_cap;
  self->open = open;
  self->open_cap = (uint32_t)cap;
  return LK_OK;
}

static lk_memory_file *of_handle(const lk_memory_storage *self, lk_file file) {
  LK_ASSERT(file < self->open_cap && self->open[file] != NULL); /* else used after close */
  return self->open[file];
}

static lk_err make_file(lk_memory_storage *self, lk_slice name, lk_memory_file **out) {
  void *slot;
  bool is_new;
  lk_memory_file *file = lk_alloc_bytes(self->alloc, sizeof *file);
  if (file == NULL) return LK_ERR_NOMEM;
  lk_err err = lk_map_put(&self->names, name, &slot, &is_new);
  if (err != LK_OK) {
    lk_free_bytes(self->alloc, file, sizeof *file);
    return err;
  }
  *file = (lk_memory_file){ .links = 1 };
  lk_buf_init(&file->bytes, self->alloc, SIZE_MAX / 2);
  lk_list_push_last(&self->all, &file->link);
  *(lk_memory_file **)slot = file;
  *out = file;
  return LK_OK;
}

static lk_err do_open(lk_memory_storage *self, lk_io *io) {
  lk_file handle;
  if (!lk_storage_name_ok(io->name)) return LK_ERR_INVALID;
  lk_memory_file *file = named(self, io->name);
  if (file == NULL && !io->create) return LK_ERR_NOT_FOUND;
  lk_err err = find_handle(self, &handle);
  if (err == LK_OK && file == NULL) err = make_file(self, io->name, &file);
  if (err != LK_OK) return err;
  file->links++;
  self->open[handle] = file;
  io->file = handle;
  return LK_OK;
}

/* ---- bytes ---- */

static lk_err claim(lk_memory_storage *self, const lk_memory_file *file, size_t len) {
  size_t more = len > claimed(file) ? len - claimed(file) : 0;
  uint64_t left = self->size_max - lk_min_u64(self->size_max, self->size_used);
  if (more > left) return LK_ERR_NO_SPACE;
  self->size_used += more;
  return LK_OK;
}

static lk_err reserve(lk_memory_storage *self, lk_memory_file *file, uint64_t size) {
  size_t len;
  if (!lk_u64_to_size(size, &len)) return LK_ERR_NO_SPACE;
  lk_err err = claim(self, file, len);
  if (err == LK_OK) file->reserved = lk_max_size(file->reserved, len);
  return err;
}

static lk_err resize(lk_memory_storage *self, lk_memory_file *file, uint64_t size) {
  size_t len;
  if (!lk_u64_to_size(size, &len)) return LK_ERR_NO_SPACE;
  if (len > file->bytes.len) {
    size_t more = len - file->bytes.len;
    uint64_t before = self->size_used;
    if (claim(self, file, len) != LK_OK) return LK_ERR_NO_SPACE;
    uint8_t *fresh = lk_buf_extend(&file->bytes, more);
    if (fresh == NULL) {
      lk_buf_truncate(&file->bytes, file->bytes.len); /* forget the error: the file is as before */
      self->size_used = before;
      return LK_ERR_NO_SPACE;
    }
    memset(fresh, 0, more);
  } else {
    self->size_used -= claimed(file) - len;
    file->reserved = 0;
    lk_buf_truncate(&file->bytes, len);
  }
  return LK_OK;
}

static lk_err do_write(lk_memory_storage *self, lk_io *io) {
  lk_memory_file *file = of_handle(self, io->file);
  uint64_t end;
  if (!lk_add_u64(io->off, io->from.len, &end)) return LK_ERR_RANGE;
  if (end > file->bytes.len) {
    lk_err err = resize(self, file, end);
    if (err != LK_OK) return err;
  }
  if (io->from.len > 0) memcpy(file->bytes.ptr + (size_t)io->off, io->from.ptr, io->from.len);
  io->done = io->from.len;
  return LK_OK;
}

static lk_err do_read(const lk_memory_file *file, lk_io *io) {
  size_t off;
  io->done = 0;
  if (!lk_u64_to_size(io->off, &off) || off >= file->bytes.len) return LK_OK;
  io->done = lk_min_size(io->into_len, file->bytes.len - off);
  if (io->done > 0) memcpy(io->into, file->bytes.ptr + off, io->done);
  return LK_OK;
}

static lk_err do_peek(lk_memory_storage *self, lk_io *io) {
  if (!lk_storage_name_ok(io->name)) return LK_ERR_INVALID;
  const lk_memory_file *file = named(self, io->name);
  return file == NULL ? LK_ERR_NOT_FOUND : do_read(file, io);
}

static lk_err do_remove(lk_memory_storage *self, lk_slice name) {
  if (!lk_storage_name_ok(name)) return LK_ERR_INVALID;
  lk_memory_file *file = named(self, name);
  if (file == NULL) return LK_ERR_NOT_FOUND;
  (void)lk_map_remove(&self->names, name);
  unlink_file(self, file);
  return LK_OK;
}

static lk_err do_rename(lk_memory_storage *self, lk_io *io) {
  void *slot;
  bool is_new;
  if (!lk_storage_name_ok(io->name) || !lk_storage_name_ok(io->name_to)) return LK_ERR_INVALID;
  lk_memory_file *file = named(self, io->name);
  if (file == NULL) return LK_ERR_NOT_FOUND;
  if (lk_slice_equal(io->name, io->name_to)) return LK_OK;
  lk_err err = lk_map_put(&self->names, io->name_to, &slot, &is_new);
  if (err != LK_OK) return err;
  lk_memory_file **target = slot;
  if (!is_new) unlink_file(self, *target);
  *target = file;
  (void)lk_map_remove(&self->names, io->name);
  return LK_OK;
}

static void do_list(const lk_memory_storage *self, lk_io *io) {
  uint32_t cursor = 0;
  lk_slice name;
  void *value;
  lk_storage_list_begin(io);
  while (lk_map_next(&self->names, &cursor, &name, &value)) lk_storage_list_offer(io, name);
}

static lk_err carry_out(lk_memory_storage *self, lk_io *io) {
  switch (io->kind) {
  case LK_IO_OPEN: return do_open(self, io);
  case LK_IO_READ: return do_read(of_handle(self, io->file), io);
  case LK_IO_PEEK: return do_peek(self, io);
  case LK_IO_WRITE: return do_write(self, io);
  case LK_IO_TRUNCATE: return resize(self, of_handle(self, io->file), io->off);
  case LK_IO_RENAME: return do_rename(self, io);
  case LK_IO_REMOVE: return do_remove(self, io->name);
  case LK_IO_WALK:
  case LK_IO_LIST: do_list(self, io); return LK_OK;
  case LK_IO_SYNC: (void)of_handle(self, io->file); return LK_OK;
  case LK_IO_RESERVE: return reserve(self, of_handle(self, io->file), io->off);
  case LK_IO_SIZE: io->off = of_handle(self, io->file)->bytes.len; return LK_OK;
  case LK_IO_CLOSE:
    unlink_file(self, of_handle(self, io->file));
    self->open[io->file] = NULL;
    return LK_OK;
  }
  LK_UNREACHABLE();
}

void lk_memory_storage_release(lk_memory_storage *self, uint32_t count) {
  for (; count > 0 && self->submitted.count > 0; count--) {
    lk_io *io = LK_CONTAINER(lk_list_pop_first(&self->submitted), lk_io, link);
    io->result = carry_out(self, io);
    lk_list_push_last(&self->done, &io->link);
  }
}

static void submit(lk_storage *storage, lk_io *io) {
  lk_memory_storage *self = LK_CONTAINER(storage, lk_memory_storage, table);
  lk_list_push_last(&self->submitted, &io->link);
}

static lk_io *poll(lk_storage *storage) {
  lk_memory_storage *self = LK_CONTAINER(storage, lk_memory_storage, table);
  if (!self->hold) lk_memory_storage_release(self, UINT32_MAX);
  lk_link *link = lk_list_pop_first(&self->done);
  return link == NULL ? NULL : LK_CONTAINER(link, lk_io, link);
}

void lk_memory_storage_init(lk_memory_storage *self, const lk_alloc *alloc, uint64_t size_max) {
  static const uint64_t seed[2] = { 0, 0 }; /* names are the program's own */
  *self = (lk_memory_storage){ .alloc = alloc, .size_max = size_max };
  self->table = (lk_storage){ sizeof(lk_storage), submit, poll };
  lk_map_init(&self->names, alloc, sizeof(lk_memory_file *), NAMES_MAX, seed);
}

void lk_memory_storage_deinit(lk_memory_storage *self) {
  while (self->all.first != NULL) {
    lk_memory_file *file = LK_CONTAINER(self->all.first, lk_memory_file, link);
    file->links = 1;
    unlink_file(self, file);
  }
  if (self->alloc != NULL) {
    lk_free_array(self->alloc, self->open, self->open_cap, sizeof(lk_memory_file *));
  }
  lk_map_deinit(&self->names);
  *self = (lk_memory_storage){ 0 };
}
