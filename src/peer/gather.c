/* peer/gather.c -- sections, sorted, one behind the other.
 *
 *   update      := section* deletes
 *   section     := client clock struct*
 *
 * A section's structs know neither its client nor its clock by themselves, so those of two sections that follow on each other are those of
 * one; between two that do not stands a Skip. Clients come the greatest first, as Yjs writes them. */
#include "peer/gather.h"

#include "doc/delete_set.h"
#include "doc/update.h"

#define SECTIONS_LEAST 16u
#define SCRATCH_MAX ((size_t)64 << 20)

typedef struct section {
  uint64_t end; /* the clock behind it */
  uint64_t structs;
  lk_slice body;
} section;

typedef struct gathering {
  const lk_alloc *alloc;
  const lk_limits *limits;
  section *sections;
  lk_clock_entry *order; /* of these: by client, then by clock */
  size_t count, cap, order_cap;
  lk_arena scratch;
  lk_delete_set deletes;
  lk_update_writer writer;
} gathering;

static lk_err make_room(gathering *self) {
  size_t cap;
  if (self->count < self->order_cap) return LK_OK;
  if (!lk_grow_cap(self->cap, self->count + 1, SECTIONS_LEAST, self->limits->doc_clients_count,
                   &cap))
    return LK_ERR_LIMIT;
  section *sections = lk_resize_array(self->alloc, self->sections, self->cap, cap,
                                      sizeof *sections);
  if (sections == NULL) return LK_ERR_NOMEM;
  self->sections = sections;
  self->cap = cap;
  lk_clock_entry *order = lk_resize_array(self->alloc, self->order, self->order_cap, cap,
                                          sizeof *order);
  if (order == NULL) return LK_ERR_NOMEM;
  self->order = order;
  self->order_cap = cap;
  return LK_OK;
}

static lk_err read_section(gathering *self, lk_update_reader *in) {
  lk_struct view;
  uint64_t client, clock, structs;
  lk_err err = lk_update_next_client(in, &client, &clock, &structs);
  if (err == LK_OK) err = make_room(self);
  if (err != LK_OK) return err;
  section *s = &self->sections[self->count];
  s->structs = structs;
  size_t start = in->in.pos;
  s->end = clock;
  while ((err = lk_update_next_struct(in, &view)) == LK_OK) s->end = view.id.clock + view.len;
  if (err != LK_ERR_END) return err;
  s->body = lk_slice_of(in->in.bytes.ptr + start, in->in.pos - start);
  self->order[self->count] = (lk_clock_entry){ client, clock, self->count };
  self->count++;
  return LK_OK;
}

static lk_err read_update(gathering *self, lk_slice update) {
  lk_update_reader in;
  lk_err err = lk_update_reader_init(&in, LK_UPDATE_V1, update, self->limits->any_depth,
                                     &self->scratch);
  while (err == LK_OK) err = read_section(self, &in);
  if (err == LK_ERR_END) err = lk_delete_set_read(&self->deletes, &in, true);
  lk_arena_reset(&self->scratch);
  return err;
}

static lk_err write_sections(gathering *self) {
  const lk_clock_entry *before = NULL;
  for (size_t i = 0; i < self->count; i++) {
    const lk_clock_entry *at = &self->order[i];
    const section *s = &self->sections[at->value];
    uint64_t end = before == NULL ? 0 : self->sections[before->value].end;
    if (before == NULL || before->client != at->client)
      lk_update_write_client(&self->writer, at->client, at->clock);
    else if (at->clock < end) return LK_ERR_UNSUPPORTED;
    else if (at->clock > end) lk_update_put_skip(&self->writer, at->clock - end);
    lk_update_put_structs(&self->writer, s->body, s->structs);
    before = at;
  }
  return LK_OK;
}

static lk_err gather(gathering *self, const lk_slice *updates, size_t count, lk_buf *out) {
  lk_err err = LK_OK;
  for (size_t i = 0; err == LK_OK && i < count; i++) err = read_update(self, updates[i]);
  if (err == LK_OK) err = lk_clock_entries_sort(self->alloc, self->order, self->count);
  if (err == LK_OK) err = write_sections(self);
  if (err == LK_OK) err = lk_delete_set_merge(&self->deletes);
  if (err == LK_OK) err = lk_delete_set_write(&self->deletes, &self->writer);
  return err == LK_OK ? lk_update_writer_finish(&self->writer, out) : err;
}

lk_err lk_gather_updates(const lk_alloc *alloc, const lk_limits *limits, const lk_slice *updates,
                         size_t count, lk_buf *out) {
  gathering self = { .alloc = alloc, .limits = limits };
  lk_arena_init(&self.scratch, alloc, SCRATCH_MAX);
  lk_delete_set_init(&self.deletes, alloc, limits->doc_delete_ranges_count);
  lk_update_writer_init(&self.writer, alloc, LK_UPDATE_V1, limits->doc_update_bytes);
  lk_err err = gather(&self, updates, count, out);
  lk_update_writer_deinit(&self.writer);
  lk_delete_set_deinit(&self.deletes);
  lk_arena_deinit(&self.scratch);
  lk_free_array(alloc, self.sections, self.cap, sizeof *self.sections);
  lk_free_array(alloc, self.order, self.order_cap, sizeof *self.order);
  return err;
}
