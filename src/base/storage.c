/* base/storage.c -- which names a storage takes: those that no path and no shell can misread; and how it lists them.
 *
 * A page of names is kept in order while names are offered: those that would come behind a full page are dropped. Nearly
 * all names of a large storage are, at the first comparison. */
#include "base/storage.h"

#include "base/mem.h"
#include "base/check.h"

static bool is_name_byte(uint8_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool lk_storage_name_ok(lk_slice name) {
  if (name.len == 0 || name.len > LK_IO_NAME_MAX || name.ptr[0] == '.') return false;
  for (size_t i = 0; i < name.len; i++) {
    if (!is_name_byte(name.ptr[i])) return false;
  }
  return true;
}

/* |off| tells whether a name was left out: then none that would be the last one comes in any more, or a short one could
 * come in where a longer one before it did not fit. */
void lk_storage_list_begin(lk_io *io) {
  LK_ASSERT(io->into_len > LK_IO_NAME_MAX);
  io->done = 0;
  io->off = 0;
}

/* Where the last name of the page begins. */
static size_t last_name(const lk_io *io) {
  size_t at = io->done;
  if (at > 0) at--;
  while (at > 0 && io->into[at - 1] != '\n') at--;
  return at;
}

static lk_slice name_at(const lk_io *io, size_t at) {
  size_t end = at;
  while (io->into[end] != '\n') end++;
  return lk_slice_of(io->into + at, end - at);
}

/* Where |name| belongs among those of the page; false where it is behind a page that is full. */
static bool find_place(const lk_io *io, lk_slice name, size_t *at) {
  bool is_last = io->done == 0 || lk_slice_compare(name_at(io, last_name(io)), name) < 0;
  *at = io->done;
  if (is_last) return io->off == 0;
  for (*at = 0; lk_slice_compare(name_at(io, *at), name) < 0;) *at += name_at(io, *at).len + 1;
  return true;
}

void lk_storage_list_offer(lk_io *io, lk_slice name) {
  size_t at;
  if (!lk_storage_name_ok(name) || lk_slice_compare(name, io->name) <= 0) return;
  if (!find_place(io, name, &at)) return;
  while (io->into_len - io->done <= name.len) {
    io->off = 1;
    if (io->done == at) return;
    io->done = last_name(io);
  }
  memmove(io->into + at + name.len + 1, io->into + at, io->done - at);
  memcpy(io->into + at, name.ptr, name.len);
  io->into[at + name.len] = '\n';
  io->done += name.len + 1;
}
