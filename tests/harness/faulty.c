/* harness/faulty.c -- one fault at a time, then one that lasts.
 *
 * Round 0 injects nothing. Then rounds come in pairs: fault n once, fault n and all after it.
 * A pair in which neither was hit means that the scenario has fewer than n operations: done. */
#include "harness/faulty.h"

#include "harness/internal.h"
#include "base/num.h"
#include "base/slice.h"

static void *resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  faulty *self = ctx;
  /* Only what asks for more memory can fail; freeing never does. */
  if (new_size > old_size && faulty_should_fail(self)) return NULL;
  return self->inner->resize(self->inner->ctx, ptr, old_size, new_size);
}

void faulty_init(faulty *self, const lk_alloc *inner) {
  *self = (faulty){ .inner = inner };
  self->table = (lk_alloc){ resize, self };
}

bool faulty_next(faulty *self) {
  if (!self->began) {
    self->began = true;
  } else if (self->fail_at == 0) {
    if (self->seen == 0) harness_die("the fault loop's scenario asked for nothing that can fail");
    self->fail_at = 1;
  } else if (!self->lasting) {
    self->lasting = true;
    /* The same n again: untouched once means untouched for ever, but run it all the same. */
  } else {
    if (!self->hit) {
      if (self->hits == 0) harness_die("the fault loop never delivered a fault");
      return false;
    }
    self->lasting = false;
    self->fail_at++;
  }
  self->seen = 0;
  self->hit = false;
  self->rounds++;
  return true;
}

bool faulty_should_fail(faulty *self) {
  self->seen++;
  if (self->fail_at == 0) return false;
  bool fails = self->lasting ? self->seen >= self->fail_at : self->seen == self->fail_at;
  if (fails) {
    self->hit = true;
    self->hits++;
  }
  return fails;
}

/* ---- storage ---- */

static bool is_spoiled(const faulty_storage *self, lk_file file) {
  for (uint32_t i = 0; i < self->spoiled_count; i++) {
    if (self->spoiled[i] == file) return true;
  }
  return false;
}

static void forget_spoiled(faulty_storage *self, lk_file file) {
  for (uint32_t i = 0; i < self->spoiled_count; i++) {
    if (self->spoiled[i] != file) continue;
    self->spoiled[i] = self->spoiled[--self->spoiled_count];
    return;
  }
}

static void finish(faulty_storage *self, lk_io *io, lk_err result) {
  io->result = result;
  io->done = 0;
  lk_list_push_last(&self->done, &io->link);
}

static void fail_io(faulty_storage *self, lk_io *io) {
  if (io->kind == LK_IO_SYNC) {
    LK_ASSERT(self->spoiled_count < sizeof self->spoiled / sizeof self->spoiled[0]);
    if (!is_spoiled(self, io->file)) self->spoiled[self->spoiled_count++] = io->file;
    finish(self, io, LK_ERR_SYNC);
  } else {
    finish(self, io, self->error == LK_ERR_SYNC ? LK_ERR_IO : self->error);
  }
}

static void tear(faulty_storage *self, lk_io *io) {
  if (io->kind != LK_IO_WRITE || io->from.len < 2 || self->torn_for != NULL) {
    fail_io(self, io);
    return;
  }
  self->torn = *io;
  self->torn.from = lk_slice_first(io->from,
                                   (size_t)lk_prng_range(&self->prng, 1, io->from.len - 1));
  self->torn_for = io;
  self->inner->submit(self->inner, &self->torn);
}

static void lose(faulty_storage *self, lk_io *io) {
  switch (io->kind) {
  case LK_IO_WRITE:
    finish(self, io, LK_OK);
    io->done = io->from.len;
    break;
  case LK_IO_SYNC:
  case LK_IO_TRUNCATE:
  case LK_IO_RENAME:
  case LK_IO_REMOVE: finish(self, io, LK_OK); break;
  case LK_IO_OPEN:
  case LK_IO_CLOSE:
  case LK_IO_READ:
  case LK_IO_LIST:
  case LK_IO_WALK:
  case LK_IO_PEEK:
  case LK_IO_RESERVE:
  case LK_IO_SIZE: self->inner->submit(self->inner, io); break; /* nothing to lose */
  }
}

static void submit(lk_storage *storage, lk_io *io) {
  faulty_storage *self = LK_CONTAINER(storage, faulty_storage, table);
  bool has_file = lk_io_has_file(io->kind);
  if (io->kind == LK_IO_CLOSE) {
    forget_spoiled(self, io->file);
    self->inner->submit(self->inner, io); /* closing does not fail: its owner could do nothing */
    return;
  }
  if (has_file && is_spoiled(self, io->file)) {
    finish(self, io, LK_ERR_SYNC);
    return;
  }
  if (!faulty_should_fail(self->faults)) {
    self->inner->submit(self->inner, io);
    return;
  }
  switch (self->fault) {
  case STORAGE_FAIL: fail_io(self, io); break;
  case STORAGE_TEAR: tear(self, io); break;
  case STORAGE_LOSE: lose(self, io); break;
  case STORAGE_DELAY: lk_list_push_last(&self->delayed, &io->link); break;
  case STORAGE_FAULTS: LK_UNREACHABLE();
  }
}

/* A delayed operation enters the inner storage only when nothing else is left to complete, so
 * everything else overtakes it. A delayed file's later operations stay behind it by rule 1 only
 * if its owner waits for completions, which sans-I/O callers do; the simulator's disk delays
 * without that assumption. */
static lk_io *poll(lk_storage *storage) {
  faulty_storage *self = LK_CONTAINER(storage, faulty_storage, table);
  lk_link *link = lk_list_pop_first(&self->done);
  if (link != NULL) return LK_CONTAINER(link, lk_io, link);
  lk_io *io = self->inner->poll(self->inner);
  if (io == NULL && self->delayed.count > 0) {
    link = lk_list_pop_first(&self->delayed);
    self->inner->submit(self->inner, LK_CONTAINER(link, lk_io, link));
    io = self->inner->poll(self->inner);
  }
  if (io != NULL && io == &self->torn) {
    lk_io *original = self->torn_for;
    self->torn_for = NULL;
    original->result = self->error == LK_ERR_SYNC ? LK_ERR_IO : self->error;
    original->done = 0;
    return original;
  }
  return io;
}

void faulty_storage_init(faulty_storage *self, lk_storage *inner, faulty *faults,
                         storage_fault fault, lk_err error, uint64_t seed) {
  *self = (faulty_storage){ .inner = inner, .faults = faults, .fault = fault, .error = error };
  self->table = (lk_storage){ sizeof(lk_storage), submit, poll };
  lk_prng_init(&self->prng, seed);
}
