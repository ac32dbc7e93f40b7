/* sim/recovery.c -- slots, journal and scrolls, by the readers that the house has for them. */
#include "sim/recovery.h"

#include <stdio.h>

#include "codec/hex.h"
#include "crypto/sha256.h"
#include "log/manifest.h"
#include "log/segment_reader.h"
#include "log/slot.h"
#include "room/kept.h"
#include "room/scroll.h"

/* Files by name, wherever they are; a missing one is empty. */
typedef struct files {
  const lk_alloc *alloc;
  const sim_disk *disk;
  sim_view view;
  lk_memory_storage *memory; /* NULL: |disk| */
} files;

static void digest_of(lk_slice topic, uint8_t name[2 * LK_SHA256_LEN]) {
  lk_sha256 hash;
  uint8_t digest[LK_SHA256_LEN];
  lk_sha256_init(&hash);
  lk_sha256_update(&hash, topic);
  lk_sha256_final(&hash, digest);
  lk_hex_store(name, lk_slice_of(digest, sizeof digest));
}

lk_slice sim_slot_name(lk_slice topic, unsigned slot, uint8_t name[SIM_SLOT_NAME_LEN]) {
  digest_of(topic, name);
  name[2 * LK_SHA256_LEN] = '.';
  name[2 * LK_SHA256_LEN + 1] = (uint8_t)('0' + slot);
  return lk_slice_of(name, SIM_SLOT_NAME_LEN);
}

static lk_slice scroll_name(lk_slice topic, uint8_t name[LK_SCROLL_NAME_LEN]) {
  digest_of(topic, name);
  memcpy(name + 2 * LK_SHA256_LEN, ".log", 4);
  return lk_slice_of(name, LK_SCROLL_NAME_LEN);
}

/* ---- a storage in memory: it completes at once ---- */

static lk_err carry_out(lk_memory_storage *storage, lk_io *io) {
  storage->table.submit(&storage->table, io);
  lk_io *done = storage->table.poll(&storage->table);
  LK_ASSERT(done == io); /* nobody else's is waiting to be taken */
  return io->result;
}

/* LK_ERR_NOT_FOUND, or the buffer's error. */
static lk_err read_memory(lk_memory_storage *storage, lk_slice name, lk_buf *out) {
  lk_io io = { .kind = LK_IO_OPEN, .name = name };
  lk_err err = carry_out(storage, &io);
  if (err != LK_OK) return err;
  lk_io size = { .kind = LK_IO_SIZE, .file = io.file };
  err = carry_out(storage, &size);
  uint8_t *into = err == LK_OK ? lk_buf_extend(out, (size_t)size.off) : NULL;
  if (into != NULL) {
    lk_io read = {
      .kind = LK_IO_READ, .file = io.file, .into = into, .into_len = (size_t)size.off
    };
    err = carry_out(storage, &read);
  }
  lk_io close = { .kind = LK_IO_CLOSE, .file = io.file };
  (void)carry_out(storage, &close);
  return err == LK_OK ? lk_buf_err(out) : err;
}

static void write_memory(lk_memory_storage *storage, lk_slice name, lk_slice bytes) {
  lk_io io = { .kind = LK_IO_OPEN, .name = name, .create = true };
  lk_err err = carry_out(storage, &io);
  lk_io write = { .kind = LK_IO_WRITE, .file = io.file, .from = bytes };
  if (err == LK_OK) err = carry_out(storage, &write);
  lk_io close = { .kind = LK_IO_CLOSE, .file = io.file };
  if (err == LK_OK) err = carry_out(storage, &close);
  LK_ASSERT(err == LK_OK); /* the simulator's own memory */
}

bool sim_memory_has(lk_memory_storage *storage, lk_slice topic) {
  uint8_t name[LK_SCROLL_NAME_LEN];
  lk_slice names[3] = { scroll_name(topic, name) };
  uint8_t slots[2][SIM_SLOT_NAME_LEN];
  bool has = false;
  for (unsigned i = 0; i < 2; i++) names[i + 1] = sim_slot_name(topic, i, slots[i]);
  for (unsigned i = 0; i < 3; i++) {
    lk_buf bytes;
    lk_buf_init(&bytes, storage->alloc, SIZE_MAX / 2);
    has = has || read_memory(storage, names[i], &bytes) == LK_OK;
    lk_buf_deinit(&bytes);
  }
  return has;
}

static void copy_file(lk_memory_storage *from, lk_memory_storage *to, lk_slice name) {
  lk_buf bytes;
  lk_buf_init(&bytes, from->alloc, SIZE_MAX / 2);
  lk_err err = read_memory(from, name, &bytes);
  LK_ASSERT(err == LK_OK);
  write_memory(to, name, lk_buf_slice(&bytes));
  lk_buf_deinit(&bytes);
}

void sim_memory_copy(lk_memory_storage *from, lk_memory_storage *to) {
  uint8_t last[LK_IO_NAME_MAX + 1], names[LK_IO_NAME_MAX + 1];
  size_t last_len = 0;
  while (from->table.poll(&from->table) != NULL) continue; /* nobody is there to take them */
  for (;;) {
    lk_io io = { .kind = LK_IO_LIST,
                 .name = lk_slice_of(last, last_len),
                 .into = names,
                 .into_len = sizeof names };
    lk_slice rest;
    if (carry_out(from, &io) != LK_OK || io.done == 0) return;
    lk_slice name = lk_slice_cut(lk_slice_of(names, io.done), '\n', &rest);
    memcpy(last, name.ptr, name.len);
    last_len = name.len;
    copy_file(from, to, lk_slice_of(last, last_len));
  }
}

/* ---- slots ---- */

static void look(const files *self, lk_slice name, lk_buf *out) {
  if (self->memory != NULL) (void)read_memory(self->memory, name, out);
  else (void)sim_disk_look(self->disk, name, self->view, out);
}

/* The newer of two slots, into |out|; empty where there is none. */
static lk_err look_at_slots(const files *self, lk_slice first, lk_slice second, lk_buf *out) {
  lk_buf slots[2];
  const lk_slice names[2] = { first, second };
  lk_slice body = LK_SLICE_EMPTY;
  uint64_t number;
  bool intact;
  for (unsigned i = 0; i < 2; i++) {
    lk_buf_init(&slots[i], self->alloc, SIZE_MAX / 2);
    look(self, names[i], &slots[i]);
  }
  lk_err err = lk_slot_recover(lk_buf_slice(&slots[0]), lk_buf_slice(&slots[1]), &number, &body,
                               &intact);
  if (err == LK_OK) err = lk_buf_append(out, body);
  if (err == LK_ERR_NOT_FOUND) err = LK_OK;
  for (unsigned i = 0; i < 2; i++) lk_buf_deinit(&slots[i]);
  return err;
}

static lk_err take_kept(lk_slice rest, sim_kept_fn each, void *ctx) {
  lk_kept kept;
  lk_err err = lk_kept_decode(rest, &kept);
  return err == LK_OK ? each(ctx, kept.bytes) : err;
}

static lk_err take_snapshot(const files *self, lk_slice topic, uint64_t *index, sim_kept_fn each,
                            void *ctx) {
  uint8_t names[2][SIM_SLOT_NAME_LEN];
  lk_buf bytes;
  lk_slice named, rest;
  lk_buf_init(&bytes, self->alloc, SIZE_MAX / 2);
  *index = 0;
  lk_err err = look_at_slots(self, sim_slot_name(topic, 0, names[0]),
                             sim_slot_name(topic, 1, names[1]), &bytes);
  if (err == LK_OK && bytes.len > 0) {
    err = lk_kept_decode_snapshot(lk_buf_slice(&bytes), index, &named, &rest);
    if (err == LK_OK) err = take_kept(rest, each, ctx);
  }
  lk_buf_deinit(&bytes);
  return err;
}

/* ---- the journal ---- */

static lk_err take_record(lk_slice body, lk_slice topic, sim_kept_fn each, void *ctx) {
  lk_slice name, rest;
  lk_err err = lk_kept_decode_record(body, &name, &rest);
  if (err == LK_OK && !lk_slice_equal(name, topic)) return LK_OK;
  return err == LK_OK ? take_kept(rest, each, ctx) : err;
}

typedef struct reading {
  const files *files;
  lk_slice topic;
  uint64_t index; /* records behind it count */
  sim_kept_fn each;
  void *ctx;
} reading;

/* The records of one segment. |id| becomes that of the next one. */
static lk_err take_segment(const reading *self, const lk_manifest *manifest, lk_segment_id *id) {
  char text[40];
  lk_buf bytes;
  lk_segment_reader reader;
  lk_segment_step step;
  lk_err err = LK_OK;
  const lk_alloc *alloc = self->files->alloc;
  bool is_last = id->number == manifest->last.number;
  (void)snprintf(text, sizeof text, "journal-0-%010llu", (unsigned long long)id->number);
  lk_buf_init(&bytes, alloc, SIZE_MAX / 2);
  look(self->files, lk_slice_cstr(text), &bytes);
  lk_segment_reader_init(&reader, alloc, id, lk_slice_cstr(text), bytes.len,
                         is_last ? manifest->sealed_to : LK_SEGMENT_HEADER_LEN, LK_BATCH_BODY_MAX / 2);
  while (err == LK_OK && (step = lk_segment_reader_poll(&reader)) != LK_SEGMENT_END &&
         step != LK_SEGMENT_TORN) {
    if (step == LK_SEGMENT_READ) {
      memcpy(reader.into, bytes.ptr + reader.read_off, reader.into_len);
      lk_segment_reader_feed(&reader, reader.into_len);
    } else if (step == LK_SEGMENT_RECORD) {
      if (reader.index > self->index)
        err = take_record(reader.record.body, self->topic, self->each, self->ctx);
    } else {
      err = reader.err;
    }
  }
  id->number++;
  id->base = reader.place.index;
  id->prev = reader.place.chain;
  lk_segment_reader_deinit(&reader);
  lk_buf_deinit(&bytes);
  return err;
}

static lk_err take_journal(const reading *self) {
  lk_buf bytes;
  lk_manifest manifest;
  lk_buf_init(&bytes, self->files->alloc, SIZE_MAX / 2);
  lk_err err = look_at_slots(self->files, LK_LIT("journal-0-manifest.0"),
                             LK_LIT("journal-0-manifest.1"), &bytes);
  if (err == LK_OK && bytes.len > 0) {
    err = lk_manifest_decode(lk_buf_slice(&bytes), &manifest);
    lk_segment_id id = manifest.first;
    while (err == LK_OK && id.number <= manifest.last.number)
      err = take_segment(self, &manifest, &id);
  }
  lk_buf_deinit(&bytes);
  return err;
}

lk_err sim_recover_durable(const sim_disk *disk, sim_view view, lk_slice topic, sim_kept_fn each,
                           void *ctx) {
  const files from = { .alloc = disk->world->alloc, .disk = disk, .view = view };
  reading journal = { .files = &from, .topic = topic, .each = each, .ctx = ctx };
  lk_err err = take_snapshot(&from, topic, &journal.index, each, ctx);
  return err == LK_OK ? take_journal(&journal) : err;
}

/* ---- scrolls ---- */

static lk_err take_scroll(const reading *self) {
  uint8_t name[LK_SCROLL_NAME_LEN];
  lk_buf bytes;
  lk_slice topic, record;
  uint64_t index;
  lk_err err = LK_OK;
  lk_buf_init(&bytes, self->files->alloc, SIZE_MAX / 2);
  look(self->files, scroll_name(self->topic, name), &bytes);
  if (bytes.len > 0) err = lk_scroll_topic(lk_buf_slice(&bytes), &topic);
  if (bytes.len > 0 && err == LK_OK) {
    lk_slice records = lk_slice_skip(lk_buf_slice(&bytes), 2 + topic.len);
    while (err == LK_OK && lk_scroll_next(&records, &index, &record)) {
      if (index > self->index) err = take_kept(record, self->each, self->ctx);
    }
  }
  lk_buf_deinit(&bytes);
  return err;
}

lk_err sim_recover_memory(lk_memory_storage *storage, lk_slice topic, sim_kept_fn each, void *ctx) {
  const files from = { .alloc = storage->alloc, .memory = storage };
  reading scroll = { .files = &from, .topic = topic, .each = each, .ctx = ctx };
  lk_err err = take_snapshot(&from, topic, &scroll.index, each, ctx);
  return err == LK_OK ? take_scroll(&scroll) : err;
}

/* ---- rot ---- */

bool sim_rot_slot(sim_disk *disk, lk_slice topic) {
  uint8_t wanted[SIM_SLOT_NAME_LEN];
  uint64_t synced[2] = { 0, 0 };
  uint32_t cursor = 0;
  uint64_t at;
  lk_slice name;
  while (sim_disk_next(disk, &cursor, &name, &at)) {
    for (unsigned i = 0; i < 2; i++) {
      if (lk_slice_equal(name, sim_slot_name(topic, i, wanted))) synced[i] = at;
    }
  }
  if (synced[0] == 0 || synced[1] == 0) return false;
  return sim_disk_rot(disk, sim_slot_name(topic, synced[0] < synced[1] ? 0 : 1, wanted));
}
