/* platform/posix/shared_storage.c -- a file system for one process at a time, in memory that is not its own.
 *
 *   head │ rows: one for each file │ links: one for each block │ blocks of 128 bytes
 *
 *   row    state, size, first block, name
 *   link   the block that follows, or END: a file is a chain
 *
 * The writer may be killed between any two instructions; the next one sees all that was stored before, in order, and
 * nothing that was stored after. So there is nothing to flush and no journal: it is enough that each operation takes
 * effect by one store, and that what is stored before and after it can be told:
 *
 *   make        name, size, first block       ──> state: USED
 *   write       blocks linked to the chain, bytes ──> size, where it grows. Bytes in place may be torn, as rule 4 allows
 *   cut         ──> size; then the rest of the chain goes
 *   reserve     blocks linked to the chain, and nothing else: they go when the file is closed, or opened anew
 *   remove      ──> state: FREE, or GONE while it is open; then the chain goes
 *   rename      head: from and to, the new name ──> head.renaming; then the steps, which may be done again
 *
 * What is free is written down nowhere: a block is free where no chain has it. Whoever opens walks all chains, cuts those
 * that are longer than their size says, and has a map of what is in use, which is its own. So a crash leaks nothing.
 *
 * What was removed is to be gone. Each free block is zero: a page whose blocks are all free is given back to the
 * system, which also zeroes it; others are overwritten. The next one to open does it again for all that is free, since
 * the one before may have died between the store and this.
 *
 * Always: bytes of a chain behind its file's size are zero, but while a write is under way.
 *
 * Blocks are short since most files are: the scroll of a document has some 300 bytes. Each costs four bytes more for its
 * link, and no time to speak of: free ones are taken from the lowest on, neighbours together, and a chain's neighbours are
 * copied in one go.
 *
 * The chain of a file that is open is kept as an array of the process, so that any place is found at once.
 * Which row has a name is told by a table of the process, which holds no names: they are in the rows.
 *
 * Not chosen: a file of the system for each (memfd), which takes four kilobytes and a descriptor of the supervisor each, and
 * a system call for each write; one shared log of all topics, out of which one of them cannot be erased. */
#include "platform/posix/shared_storage.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "platform/posix/row_index.h"

#define BLOCK_SIZE 128u
#define BLOCKS_PER_ROW 31u /* one file for each four kilobytes, and no more */
#define END UINT32_MAX
#define MAGIC UINT64_C(0x31657261756B6C01)
#define HANDLES_MAX 65536u

_Static_assert(LK_SHARED_MEMORY_MOST / (BLOCK_SIZE + sizeof(uint32_t)) < END - 65536u,
               "each block has a number, and so have those behind the last one, of its page");

enum { ROW_FREE, ROW_USED, ROW_GONE };

typedef struct row {
  _Atomic uint64_t size;
  _Atomic uint32_t state;
  _Atomic uint32_t first;
  uint8_t name_len;
  uint8_t name[LK_SHARED_NAME_MAX];
  uint8_t padding[8];
} row;
_Static_assert(sizeof(row) == 128, "rows do not straddle lines");

typedef struct head {
  _Atomic uint64_t magic;      /* 0: never opened */
  _Atomic uint64_t renaming;   /* 0, or from + 1 in the upper half, and below it to + 1 or 0 */
  _Atomic uint32_t rows_end;   /* rows from here on were never used, */
  _Atomic uint32_t blocks_end; /* nor blocks: nobody looks at them, since a look takes memory */
  uint32_t rows_count;
  uint32_t blocks_count;
  uint8_t name_len;
  uint8_t name[LK_SHARED_NAME_MAX];
} head;

/* A file that is open. */
typedef struct opened {
  uint32_t *chain;
  uint32_t count;
  uint32_t cap;
  uint32_t handles;
} opened;

struct lk_shared_storage {
  lk_storage table;
  const lk_alloc *alloc;
  head *head;
  row *rows;
  _Atomic uint32_t *links;
  uint8_t *blocks;
  size_t page_size;
  lk_row_index names;
  opened **opened; /* by row; as many as were ever used */
  uint32_t opened_cap;
  uint32_t *handles; /* row + 1 by lk_file; 0: free */
  uint32_t handles_cap;
  uint64_t *used; /* a bit for each block; likewise */
  uint32_t words_cap;
  uint32_t used_count;
  uint32_t row_hint; /* rows below it are in use */
  uint32_t word_hint;
  lk_list done;
};

/* ---- memory ---- */

lk_err lk_shared_memory_make(lk_shared_memory *self, uint64_t bytes) {
  size_t size;
  *self = (lk_shared_memory){ 0 };
  if (bytes < LK_SHARED_MEMORY_LEAST || bytes > LK_SHARED_MEMORY_MOST) return LK_ERR_LIMIT;
  if (!lk_u64_to_size(bytes, &size)) return LK_ERR_LIMIT;
  void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
                  -1, 0);
  if (at == MAP_FAILED) return LK_ERR_NOMEM;
  (void)madvise(at, size, MADV_DONTDUMP); /* what users wrote belongs into no file */
  *self = (lk_shared_memory){ at, size };
  return LK_OK;
}

void lk_shared_memory_close(lk_shared_memory *self) {
  if (self->at != NULL) (void)munmap(self->at, self->size);
  *self = (lk_shared_memory){ 0 };
}

/* ---- blocks ---- */

static uint8_t *block_at(const lk_shared_storage *self, uint32_t block) {
  return self->blocks + (size_t)block * BLOCK_SIZE;
}

static bool is_used(const lk_shared_storage *self, uint32_t block) {
  return (self->used[block / 64] >> block % 64 & 1) != 0;
}

static void set_used(lk_shared_storage *self, uint32_t block) {
  self->used[block / 64] |= UINT64_C(1) << block % 64;
  self->used_count++;
}

static void set_free(lk_shared_storage *self, uint32_t block) {
  self->used[block / 64] &= ~(UINT64_C(1) << block % 64);
  self->used_count--;
  if (block / 64 < self->word_hint) self->word_hint = block / 64;
}

/* |count| more can be taken: as the first free one is taken each time, no other word than these is needed. */
static lk_err reserve_blocks(lk_shared_storage *self, uint32_t count) {
  size_t cap, wanted = ((size_t)self->used_count + count) / 64 + 1;
  if (count > self->head->blocks_count - self->used_count) return LK_ERR_NO_SPACE;
  if (wanted <= self->words_cap) return LK_OK;
  if (!lk_grow_cap(self->words_cap, wanted, 16, UINT32_MAX / 64 + 1, &cap)) return LK_ERR_NO_SPACE;
  uint64_t *used = lk_resize_array(self->alloc, self->used, self->words_cap, cap, sizeof *used);
  if (used == NULL) return LK_ERR_NOMEM;
  memset(used + self->words_cap, 0, (cap - self->words_cap) * sizeof *used);
  self->used = used;
  self->words_cap = (uint32_t)cap;
  return LK_OK;
}

/* Takes blocks that are neighbours: the first free one, and those behind it that are free, too, at most |max| and as far as
 * one word of |used| tells. As many as |max| are free. */
static uint32_t take_run(lk_shared_storage *self, uint32_t max, uint32_t *len) {
  while (self->used[self->word_hint] == UINT64_MAX) self->word_hint++;
  uint64_t *word = &self->used[self->word_hint];
  uint32_t bit = (uint32_t)__builtin_ctzll(~*word);
  uint64_t behind = *word >> bit; /* zeros up to the next one that is in use */
  uint32_t block = self->word_hint * 64 + bit;
  *len = lk_min_u32(behind == 0 ? 64 - bit : (uint32_t)__builtin_ctzll(behind), max);
  LK_ASSERT(block + *len <= self->head->blocks_count);
  *word |= UINT64_MAX >> (64 - *len) << bit;
  self->used_count += *len;
  if (block + *len > atomic_load(&self->head->blocks_end))
    atomic_store_explicit(&self->head->blocks_end, block + *len, memory_order_release);
  return block;
}

/* The page that begins with block |first|: a part of one word of |used|, or whole words. */
static bool is_page_free(const lk_shared_storage *self, uint32_t first) {
  uint32_t per_page = (uint32_t)(self->page_size / BLOCK_SIZE), word = first / 64;
  uint64_t mask = per_page < 64 ? ((UINT64_C(1) << per_page) - 1) << first % 64 : UINT64_MAX;
  for (uint32_t left = per_page; word < self->words_cap; word++, left -= 64) {
    if ((self->used[word] & mask) != 0) return false;
    if (left <= 64) return true;
  }
  return true;
}

/* Blocks from |from| to |to|, in whole pages, are free. Where the system does not take them back they are zeroed at least. */
static void give_back(lk_shared_storage *self, uint32_t from, uint32_t to) {
  if (from >= to) return;
  size_t len = (size_t)(to - from) * BLOCK_SIZE;
  if (madvise(block_at(self, from), len, MADV_REMOVE) != 0) memset(block_at(self, from), 0, len);
}

/* Gathers pages that are next to each other. */
typedef struct sweep {
  uint32_t from;
  uint32_t to;
} sweep;

static void scrub(lk_shared_storage *self, uint32_t block, sweep *pages) {
  uint32_t per_page = (uint32_t)(self->page_size / BLOCK_SIZE);
  uint32_t first = block & ~(per_page - 1);
  if (first >= pages->from && first < pages->to) return;
  if (!is_page_free(self, first)) {
    memset(block_at(self, block), 0, BLOCK_SIZE);
    return;
  }
  uint32_t end = (uint32_t)lk_min_u64((uint64_t)first + per_page, self->head->blocks_count);
  if (first == pages->to) {
    pages->to = end;
    return;
  }
  give_back(self, pages->from, pages->to);
  *pages = (sweep){ first, end };
}

/* The chain that begins with |block| belongs to no file any more. */
static void free_chain(lk_shared_storage *self, uint32_t block) {
  sweep pages = { 0, 0 };
  for (uint32_t at = block; at != END; at = atomic_load(&self->links[at])) set_free(self, at);
  for (uint32_t at = block, next; at != END; at = next) {
    next = atomic_load(&self->links[at]);
    scrub(self, at, &pages);
  }
  give_back(self, pages.from, pages.to);
}

/* ---- files that are open ---- */

static uint32_t blocks_of(uint64_t size) {
  return (uint32_t)((size + BLOCK_SIZE - 1) / BLOCK_SIZE);
}

static lk_err reserve_chain(lk_shared_storage *self, opened *o, uint32_t count) {
  size_t cap;
  if (count <= o->cap) return LK_OK;
  if (!lk_grow_cap(o->cap, count, 4, UINT32_MAX / 8, &cap)) return LK_ERR_NO_SPACE;
  uint32_t *chain = lk_resize_array(self->alloc, o->chain, o->cap, cap, sizeof *chain);
  if (chain == NULL) return LK_ERR_NOMEM;
  o->chain = chain;
  o->cap = (uint32_t)cap;
  return LK_OK;
}

static void free_opened(lk_shared_storage *self, uint32_t index) {
  opened *o = self->opened[index];
  self->opened[index] = NULL;
  if (o == NULL) return;
  lk_free_array(self->alloc, o->chain, o->cap, sizeof *o->chain);
  lk_free_bytes(self->alloc, o, sizeof *o);
}

static lk_err open_row(lk_shared_storage *self, uint32_t index) {
  row *r = &self->rows[index];
  opened *o = self->opened[index];
  if (o != NULL) {
    o->handles++;
    return LK_OK;
  }
  o = lk_alloc_bytes(self->alloc, sizeof *o);
  if (o == NULL) return LK_ERR_NOMEM;
  *o = (opened){ .handles = 1 };
  self->opened[index] = o;
  lk_err err = reserve_chain(self, o, blocks_of(atomic_load(&r->size)));
  if (err != LK_OK) {
    free_opened(self, index);
    return err;
  }
  for (uint32_t at = atomic_load(&r->first); at != END; at = atomic_load(&self->links[at]))
    o->chain[o->count++] = at;
  return LK_OK;
}

/* ---- rows ---- */

/* Empty where there is no such file any more, or not yet. */
static lk_slice name_of(const void *rows, uint32_t index) {
  const row *r = (const row *)rows + index;
  if (atomic_load(&r->state) != ROW_USED) return LK_SLICE_EMPTY;
  return lk_slice_of(r->name, r->name_len);
}

/* The row holds nothing of the file any more. It was unreachable before. */
static void wipe_row(lk_shared_storage *self, uint32_t index) {
  row *r = &self->rows[index];
  free_chain(self, atomic_load(&r->first));
  atomic_store(&r->first, END);
  atomic_store(&r->size, 0);
  memset(r->name, 0, sizeof r->name);
  r->name_len = 0;
  if (index < self->row_hint) self->row_hint = index;
}

static void remove_row(lk_shared_storage *self, uint32_t index) {
  row *r = &self->rows[index];
  lk_row_index_remove(&self->names, index);
  bool is_open = self->opened[index] != NULL;
  atomic_store(&r->state, is_open ? ROW_GONE : ROW_FREE);
  if (!is_open) wipe_row(self, index);
}

static lk_err reserve_row(lk_shared_storage *self, uint32_t index) {
  size_t cap;
  if (index < self->opened_cap) return LK_OK;
  if (!lk_grow_cap(self->opened_cap, (size_t)index + 1, 16, UINT32_MAX / 4, &cap))
    return LK_ERR_NO_SPACE;
  opened **grown = lk_resize_array(self->alloc, (void *)self->opened, self->opened_cap, cap,
                                   sizeof(opened *));
  if (grown == NULL) return LK_ERR_NOMEM;
  for (size_t i = self->opened_cap; i < cap; i++) grown[i] = NULL;
  self->opened = grown;
  self->opened_cap = (uint32_t)cap;
  return LK_OK;
}

static lk_err make_row(lk_shared_storage *self, lk_slice name, uint32_t *out) {
  uint32_t index = self->row_hint, rows_end = atomic_load(&self->head->rows_end);
  while (index < rows_end && atomic_load(&self->rows[index].state) != ROW_FREE) index++;
  self->row_hint = index;
  if (index == self->head->rows_count) return LK_ERR_NO_SPACE;
  lk_err err = reserve_row(self, index);
  if (err == LK_OK) err = lk_row_index_reserve(&self->names);
  if (err != LK_OK) return err;
  row *r = &self->rows[index];
  if (index == rows_end) atomic_store(&self->head->rows_end, index + 1);
  memcpy(r->name, name.ptr, name.len);
  r->name_len = (uint8_t)name.len;
  atomic_store(&r->size, 0);
  atomic_store(&r->first, END);
  atomic_store(&r->state, ROW_USED);
  lk_row_index_add(&self->names, index);
  *out = index;
  return LK_OK;
}

static bool find_row(const lk_shared_storage *self, lk_slice name, uint32_t *out) {
  return lk_row_index_find(&self->names, name, out);
}

static bool is_name_ok(lk_slice name) {
  return lk_storage_name_ok(name) && name.len <= LK_SHARED_NAME_MAX;
}

/* ---- cutting ---- */

/* What is behind |size| goes: the rest of the last block first, then the blocks behind it. */
static void cut(lk_shared_storage *self, uint32_t index, uint64_t size) {
  opened *o = self->opened[index];
  uint32_t count = blocks_of(size);
  if (size % BLOCK_SIZE != 0) {
    size_t within = (size_t)(size % BLOCK_SIZE);
    memset(block_at(self, o->chain[count - 1]) + within, 0, BLOCK_SIZE - within);
  }
  if (count >= o->count) return;
  uint32_t rest = o->chain[count];
  if (count == 0) atomic_store(&self->rows[index].first, END);
  else atomic_store(&self->links[o->chain[count - 1]], END);
  o->count = count;
  free_chain(self, rest);
}

/* ---- opening and closing ---- */

static lk_err find_handle(lk_shared_storage *self, uint32_t *out) {
  size_t cap;
  for (uint32_t i = 0; i < self->handles_cap; i++) {
    if (self->handles[i] != 0) continue;
    *out = i;
    return LK_OK;
  }
  if (!lk_grow_cap(self->handles_cap, (size_t)self->handles_cap + 1, 16, HANDLES_MAX, &cap))
    return LK_ERR_LIMIT;
  uint32_t *handles = lk_resize_array(self->alloc, self->handles, self->handles_cap, cap,
                                      sizeof *handles);
  if (handles == NULL) return LK_ERR_NOMEM;
  memset(handles + self->handles_cap, 0, (cap - self->handles_cap) * sizeof *handles);
  *out = self->handles_cap;
  self->handles = handles;
  self->handles_cap = (uint32_t)cap;
  return LK_OK;
}

static lk_err do_open(lk_shared_storage *self, lk_io *io) {
  uint32_t index = 0, handle;
  if (!is_name_ok(io->name)) return LK_ERR_INVALID;
  bool is_there = find_row(self, io->name, &index);
  if (!is_there && !io->create) return LK_ERR_NOT_FOUND;
  lk_err err = find_handle(self, &handle);
  if (err == LK_OK && !is_there) err = make_row(self, io->name, &index);
  if (err != LK_OK) return err;
  if ((err = open_row(self, index)) != LK_OK) {
    if (!is_there) remove_row(self, index);
    return err;
  }
  self->handles[handle] = index + 1;
  io->file = handle;
  return LK_OK;
}

static uint32_t row_of(const lk_shared_storage *self, lk_file file) {
  LK_ASSERT(file < self->handles_cap && self->handles[file] != 0); /* else used after close */
  return self->handles[file] - 1;
}

static void do_close(lk_shared_storage *self, lk_file file) {
  uint32_t index = row_of(self, file);
  self->handles[file] = 0;
  if (--self->opened[index]->handles > 0) return;
  cut(self, index, atomic_load(&self->rows[index].size)); /* what was reserved and not used */
  free_opened(self, index);
  if (atomic_load(&self->rows[index].state) != ROW_GONE) return;
  atomic_store(&self->rows[index].state, ROW_FREE);
  wipe_row(self, index);
}

static lk_err do_remove(lk_shared_storage *self, lk_slice name) {
  uint32_t index;
  if (!is_name_ok(name)) return LK_ERR_INVALID;
  if (!find_row(self, name, &index)) return LK_ERR_NOT_FOUND;
  remove_row(self, index);
  return LK_OK;
}

/* ---- bytes ---- */

/* A chain of |len| neighbours, which is nobody's yet. */
static void link_run(lk_shared_storage *self, uint32_t block, uint32_t len) {
  uint32_t last = block + len - 1;
  for (; block < last; block++)
    atomic_store_explicit(&self->links[block], block + 1, memory_order_relaxed);
  atomic_store_explicit(&self->links[last], END, memory_order_relaxed);
}

/* The chain gets as many blocks as |size| needs; the size itself stays. */
static lk_err extend(lk_shared_storage *self, uint32_t index, uint64_t size) {
  opened *o = self->opened[index];
  if (size > (uint64_t)self->head->blocks_count * BLOCK_SIZE) return LK_ERR_NO_SPACE;
  uint32_t count = blocks_of(size);
  if (count <= o->count) return LK_OK;
  lk_err err = reserve_blocks(self, count - o->count);
  if (err == LK_OK) err = reserve_chain(self, o, count);
  if (err != LK_OK) return err;
  while (o->count < count) {
    uint32_t len, block = take_run(self, count - o->count, &len);
    link_run(self, block, len);
    if (o->count == 0) atomic_store_explicit(&self->rows[index].first, block, memory_order_release);
    else atomic_store_explicit(&self->links[o->chain[o->count - 1]], block, memory_order_release);
    for (uint32_t i = 0; i < len; i++) o->chain[o->count++] = block + i;
  }
  return LK_OK;
}

/* How many bytes behind |off|, at most |max|, lie in memory one behind the other. The chain is long enough for all of them. */
static size_t run_len(const opened *o, uint64_t off, size_t max) {
  const uint32_t *block = &o->chain[off / BLOCK_SIZE];
  size_t len = BLOCK_SIZE - (size_t)(off % BLOCK_SIZE);
  for (; len < max && block[1] == block[0] + 1; block++) len += BLOCK_SIZE;
  return lk_min_size(len, max);
}

/* Copies between a file's blocks and |bytes|. */
static void copy(const lk_shared_storage *self, const opened *o, uint64_t off, uint8_t *into,
                 const uint8_t *from, size_t len) {
  for (size_t done = 0; done < len;) {
    size_t n = run_len(o, off + done, len - done);
    uint8_t *at = block_at(self, o->chain[(off + done) / BLOCK_SIZE]) + (off + done) % BLOCK_SIZE;
    if (into != NULL) memcpy(into + done, at, n);
    else memcpy(at, from + done, n);
    done += n;
  }
}

static lk_err do_write(lk_shared_storage *self, lk_io *io) {
  uint32_t index = row_of(self, io->file);
  row *r = &self->rows[index];
  uint64_t end;
  io->done = 0;
  if (!lk_add_u64(io->off, io->from.len, &end)) return LK_ERR_RANGE;
  if (io->from.len == 0) return LK_OK;
  lk_err err = extend(self, index, end);
  if (err != LK_OK) return err;
  copy(self, self->opened[index], io->off, NULL, io->from.ptr, io->from.len);
  if (end > atomic_load_explicit(&r->size, memory_order_relaxed))
    atomic_store_explicit(&r->size, end, memory_order_release);
  io->done = io->from.len;
  return LK_OK;
}

static lk_err do_read(lk_shared_storage *self, lk_io *io) {
  uint32_t index = row_of(self, io->file);
  uint64_t size = atomic_load(&self->rows[index].size);
  io->done = 0;
  if (io->off >= size) return LK_OK;
  io->done = (size_t)lk_min_u64(io->into_len, size - io->off);
  copy(self, self->opened[index], io->off, io->into, NULL, io->done);
  return LK_OK;
}

static lk_err do_peek(lk_shared_storage *self, lk_io *io) {
  lk_io open = { .kind = LK_IO_OPEN, .name = io->name };
  lk_err err = do_open(self, &open);
  if (err != LK_OK) return err;
  io->file = open.file;
  err = do_read(self, io);
  do_close(self, open.file);
  return err;
}

static lk_err do_truncate(lk_shared_storage *self, const lk_io *io) {
  uint32_t index = row_of(self, io->file);
  row *r = &self->rows[index];
  bool grows = io->off > atomic_load(&r->size);
  lk_err err = grows ? extend(self, index, io->off) : LK_OK;
  if (err != LK_OK) return err;
  atomic_store(&r->size, io->off);
  if (!grows) cut(self, index, io->off);
  return LK_OK;
}

/* ---- renaming ---- */

/* The steps that head.renaming asks for, as often as somebody dies over them. The rows are not in |names|. */
static lk_err finish_renaming(lk_shared_storage *self) {
  uint64_t what = atomic_load(&self->head->renaming);
  uint32_t from = (uint32_t)(what >> 32), to = (uint32_t)what;
  uint32_t rows_end = atomic_load(&self->head->rows_end);
  if (from == 0) return LK_OK;
  if (from > rows_end || to > rows_end || self->head->name_len > LK_SHARED_NAME_MAX)
    return LK_ERR_CORRUPT;
  if (to != 0) atomic_store(&self->rows[to - 1].state, ROW_GONE);
  memcpy(self->rows[from - 1].name, self->head->name, sizeof self->head->name);
  self->rows[from - 1].name_len = self->head->name_len;
  atomic_store(&self->head->renaming, 0);
  return LK_OK;
}

static lk_err do_rename(lk_shared_storage *self, const lk_io *io) {
  uint32_t from, to = 0;
  if (!is_name_ok(io->name) || !is_name_ok(io->name_to)) return LK_ERR_INVALID;
  if (!find_row(self, io->name, &from)) return LK_ERR_NOT_FOUND;
  if (lk_slice_equal(io->name, io->name_to)) return LK_OK;
  bool replaces = find_row(self, io->name_to, &to);
  if (replaces) lk_row_index_remove(&self->names, to);
  lk_row_index_remove(&self->names, from); /* and so there is room for it, under its new name */
  memset(self->head->name, 0, sizeof self->head->name);
  memcpy(self->head->name, io->name_to.ptr, io->name_to.len);
  self->head->name_len = (uint8_t)io->name_to.len;
  atomic_store(&self->head->renaming, (uint64_t)(from + 1) << 32 | (replaces ? to + 1 : 0));
  lk_err err = finish_renaming(self);
  if (err != LK_OK) return err;
  lk_row_index_add(&self->names, from);
  if (replaces && self->opened[to] == NULL) {
    atomic_store(&self->rows[to].state, ROW_FREE);
    wipe_row(self, to);
  }
  return LK_OK;
}

/* ---- the table ---- */

static void do_list(const lk_shared_storage *self, lk_io *io) {
  lk_storage_list_begin(io);
  for (uint32_t i = 0; i < atomic_load(&self->head->rows_end); i++)
    lk_storage_list_offer(io, name_of(self->rows, i)); /* an empty one is passed over */
}

static lk_err carry_out(lk_shared_storage *self, lk_io *io) {
  switch (io->kind) {
  case LK_IO_OPEN: return do_open(self, io);
  case LK_IO_CLOSE: do_close(self, io->file); return LK_OK;
  case LK_IO_READ: return do_read(self, io);
  case LK_IO_WRITE: return do_write(self, io);
  case LK_IO_SYNC: (void)row_of(self, io->file); return LK_OK;
  case LK_IO_TRUNCATE: return do_truncate(self, io);
  case LK_IO_RESERVE: return extend(self, row_of(self, io->file), io->off);
  case LK_IO_SIZE: io->off = atomic_load(&self->rows[row_of(self, io->file)].size); return LK_OK;
  case LK_IO_RENAME: return do_rename(self, io);
  case LK_IO_REMOVE: return do_remove(self, io->name);
  case LK_IO_PEEK: return do_peek(self, io);
  case LK_IO_WALK:
  case LK_IO_LIST: do_list(self, io); return LK_OK;
  }
  LK_UNREACHABLE();
}

static void submit(lk_storage *storage, lk_io *io) {
  lk_shared_storage *self = LK_CONTAINER(storage, lk_shared_storage, table);
  io->result = carry_out(self, io);
  lk_list_push_last(&self->done, &io->link);
}

static lk_io *poll_done(lk_storage *storage) {
  lk_shared_storage *self = LK_CONTAINER(storage, lk_shared_storage, table);
  lk_link *link = lk_list_pop_first(&self->done);
  return link == NULL ? NULL : LK_CONTAINER(link, lk_io, link);
}

/* ---- opening ---- */

/* The first to open it says how it is divided; the same for ever. */
static void divide(lk_shared_storage *self, const lk_shared_memory *memory) {
  size_t rows_at = self->page_size;
  size_t each = sizeof(row) + BLOCKS_PER_ROW * (BLOCK_SIZE + sizeof(uint32_t));
  uint64_t count = (memory->size - rows_at - 2 * self->page_size) / each;
  uint32_t rows = (uint32_t)count, blocks = rows * BLOCKS_PER_ROW;
  size_t links_at = rows_at + rows * sizeof(row);
  size_t blocks_at = links_at + (size_t)blocks * sizeof(uint32_t);
  blocks_at = (blocks_at + self->page_size - 1) / self->page_size * self->page_size;
  self->head = (head *)(void *)memory->at;
  self->rows = (row *)(void *)(memory->at + rows_at);
  self->links = (_Atomic uint32_t *)(void *)(memory->at + links_at);
  self->blocks = memory->at + blocks_at;
  if (atomic_load(&self->head->magic) != 0) return;
  self->head->rows_count = rows;
  self->head->blocks_count = blocks;
  atomic_store(&self->head->magic, MAGIC);
}

/* Cuts the chain of |r| to what its size says, and notes its blocks. */
static lk_err walk_chain(lk_shared_storage *self, row *r) {
  uint64_t size = atomic_load(&r->size);
  uint32_t left = blocks_of(size), last = END;
  if (size > (uint64_t)self->head->blocks_count * BLOCK_SIZE) return LK_ERR_CORRUPT;
  uint32_t at = atomic_load(&r->first);
  for (; left > 0; left--) {
    if (at >= atomic_load(&self->head->blocks_end) || is_used(self, at)) return LK_ERR_CORRUPT;
    set_used(self, at);
    last = at;
    at = atomic_load(&self->links[at]);
  }
  if (at != END && last != END) atomic_store(&self->links[last], END);
  if (at != END && last == END) atomic_store(&r->first, END);
  if (last != END && size % BLOCK_SIZE != 0) {
    size_t within = (size_t)(size % BLOCK_SIZE);
    memset(block_at(self, last) + within, 0, BLOCK_SIZE - within);
  }
  return LK_OK;
}

static lk_err find_files(lk_shared_storage *self) {
  for (uint32_t i = 0; i < atomic_load(&self->head->rows_end); i++) {
    row *r = &self->rows[i];
    uint32_t other;
    if (atomic_load(&r->state) != ROW_USED) {
      memset(r->name, 0, sizeof r->name); /* whoever freed it did not come so far */
      r->name_len = 0;
      atomic_store(&r->state, ROW_FREE);
      continue;
    }
    lk_slice name = name_of(self->rows, i);
    if (!is_name_ok(name) || find_row(self, name, &other)) return LK_ERR_CORRUPT;
    lk_err err = lk_row_index_reserve(&self->names);
    if (err != LK_OK) return err;
    lk_row_index_add(&self->names, i);
    if ((err = walk_chain(self, r)) != LK_OK) return err;
  }
  return LK_OK;
}

/* All that no file has, as runs of pages and single blocks. */
static void scrub_all(lk_shared_storage *self) {
  sweep pages = { 0, 0 };
  for (uint32_t i = 0; i < atomic_load(&self->head->blocks_end); i++) {
    if (self->used[i / 64] == UINT64_MAX) i |= 63; /* all of them at once */
    else if (!is_used(self, i)) scrub(self, i, &pages);
  }
  give_back(self, pages.from, pages.to);
}

static lk_err allocate(lk_shared_storage *self) {
  static const uint64_t seed[2] = { 0, 0 }; /* names are the program's own */
  uint32_t rows = atomic_load(&self->head->rows_end), blocks = atomic_load(&self->head->blocks_end);
  lk_row_index_init(&self->names, self->alloc, seed, name_of, self->rows);
  if (rows > self->head->rows_count || blocks > self->head->blocks_count) return LK_ERR_CORRUPT;
  lk_err err = rows > 0 ? reserve_row(self, rows - 1) : LK_OK;
  return err == LK_OK ? reserve_blocks(self, blocks) : err;
}

lk_err lk_shared_storage_open(const lk_alloc *alloc, const lk_shared_memory *memory,
                              lk_shared_storage **out) {
  long page_size = sysconf(_SC_PAGESIZE);
  LK_ASSERT(page_size >= (long)BLOCK_SIZE && (page_size & (page_size - 1)) == 0);
  *out = NULL;
  lk_shared_storage *self = lk_alloc_bytes(alloc, sizeof *self);
  if (self == NULL) return LK_ERR_NOMEM;
  *self = (lk_shared_storage){ .alloc = alloc, .page_size = (size_t)page_size };
  self->table = (lk_storage){ sizeof(lk_storage), submit, poll_done };
  divide(self, memory);
  lk_err err = atomic_load(&self->head->magic) == MAGIC ? allocate(self) : LK_ERR_CORRUPT;
  if (err == LK_OK) {
    err = finish_renaming(self);
    if (err == LK_OK) err = find_files(self);
  }
  if (err != LK_OK) {
    lk_shared_storage_close(self);
    return err;
  }
  scrub_all(self);
  *out = self;
  return LK_OK;
}

lk_storage *lk_shared_storage_table(lk_shared_storage *self) { return &self->table; }

uint64_t lk_shared_storage_used(const lk_shared_storage *self) {
  return (uint64_t)self->used_count * BLOCK_SIZE;
}

void lk_shared_storage_close(lk_shared_storage *self) {
  if (self == NULL) return;
  const lk_alloc *alloc = self->alloc;
  for (uint32_t i = 0; i < self->opened_cap; i++) free_opened(self, i);
  lk_free_array(alloc, (void *)self->opened, self->opened_cap, sizeof(opened *));
  lk_free_array(alloc, self->used, self->words_cap, sizeof *self->used);
  lk_free_array(alloc, self->handles, self->handles_cap, sizeof *self->handles);
  lk_row_index_deinit(&self->names);
  lk_free_bytes(alloc, self, sizeof *self);
}
