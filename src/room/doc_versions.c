/* room/doc_versions.c -- a list by ids, and when the next one comes.
 *
 * The room's clock begins anew with each machine, and the date may be wrong; so the first change after the room was opened
 * goes by the dates of then and now, and where either is not known, or they contradict each other, a version is made rather
 * than left out. From then on the room's clock counts, which never goes back. */
#include "room/doc_versions.h"

#include "codec/varint.h"

#define AUTOMATIC 1 /* the one flag */

void lk_doc_versions_init(lk_doc_versions *self, const lk_alloc *alloc, const lk_limits *limits,
                          const lk_version_policy *policy) {
  *self = (lk_doc_versions){ .alloc = alloc, .limits = limits, .policy = *policy };
  if (!policy->is_on) self->policy.automatic_max = UINT32_MAX;
}

/* One piece of memory, with what its slices point to. */
static size_t owned_size(const lk_doc_version *version) {
  return sizeof *version + version->name.len + version->author.len + version->snapshot.len;
}

static void free_done(lk_doc_versions *self, lk_doc_version_done *done) {
  lk_free_bytes(self->alloc, done, sizeof *done);
}

void lk_doc_versions_deinit(lk_doc_versions *self) {
  for (lk_link *at; (at = lk_list_pop_first(&self->items)) != NULL;) {
    lk_doc_version *version = LK_CONTAINER(at, lk_doc_version, link);
    lk_free_bytes(self->alloc, version, owned_size(version));
  }
  for (lk_link *at; (at = lk_list_pop_first(&self->done)) != NULL;)
    free_done(self, LK_CONTAINER(at, lk_doc_version_done, link));
  *self = (lk_doc_versions){ 0 };
}

/* ---- time ---- */

void lk_doc_versions_set_due(lk_doc_versions *self, uint64_t now_ms) {
  self->is_timed = true;
  self->due_at = now_ms + self->policy.interval_ms;
}

static bool begin_time(lk_doc_versions *self, uint64_t now_ms, uint64_t wall_ms) {
  const lk_doc_version *last = lk_doc_versions_newest(self);
  if (last == NULL || last->wall_ms == 0 || wall_ms < last->wall_ms) return true;
  uint64_t age = wall_ms - last->wall_ms;
  if (age >= self->policy.interval_ms) return true;
  self->is_timed = true;
  self->due_at = now_ms + self->policy.interval_ms - age;
  return false;
}

bool lk_doc_versions_is_due(lk_doc_versions *self, uint64_t now_ms, uint64_t wall_ms) {
  if (!self->policy.is_on || self->policy.interval_ms == 0) return false;
  return self->is_timed ? now_ms >= self->due_at : begin_time(self, now_ms, wall_ms);
}

/* ---- items ---- */

const lk_doc_version *lk_doc_versions_find(const lk_doc_versions *self, uint64_t id) {
  for (const lk_link *at = self->items.last; at != NULL; at = at->prev) {
    const lk_doc_version *version = LK_CONTAINER(at, const lk_doc_version, link);
    if (version->id <= id) return version->id == id ? version : NULL;
  }
  return NULL;
}

size_t lk_doc_version_size(const lk_doc_version *version) { return owned_size(version); }

static const lk_doc_version *oldest_automatic(const lk_doc_versions *self) {
  for (const lk_link *at = self->items.first; at != NULL; at = at->next) {
    const lk_doc_version *version = LK_CONTAINER(at, const lk_doc_version, link);
    if (version->is_automatic) return version;
  }
  return NULL;
}

static bool has_place(size_t used, size_t size, size_t max) {
  return size <= max && used <= max - size;
}

/* The limit that no going of automatic ones would help against; NULL: none. */
static const char *limit_for_good(const lk_doc_versions *self, const lk_doc_version *version) {
  const lk_limits *limits = self->limits;
  size_t saved_bytes = self->bytes - self->automatic_bytes;
  uint32_t saved_count = self->items.count - self->automatic_count;
  if (!has_place(saved_bytes, lk_doc_version_size(version), limits->versions_bytes))
    return "versions_bytes";
  if (!version->is_automatic && saved_count >= limits->versions_saved_count)
    return "versions_saved_count";
  return NULL;
}

static bool has_room(const lk_doc_versions *self, const lk_doc_version *version) {
  const lk_limits *limits = self->limits;
  uint32_t automatic_max = lk_min_u32(limits->versions_automatic_count, self->policy.automatic_max);
  return has_place(self->bytes, lk_doc_version_size(version), limits->versions_bytes) &&
         (!version->is_automatic || self->automatic_count < automatic_max);
}

lk_err lk_doc_versions_make_room(const lk_doc_versions *self, const lk_doc_version *version,
                                 const lk_doc_version **goes, const char **limit) {
  *goes = NULL;
  *limit = limit_for_good(self, version);
  if (*limit != NULL) return LK_ERR_LIMIT;
  if (!has_room(self, version)) *goes = oldest_automatic(self);
  return LK_OK;
}

static lk_slice put_bytes(uint8_t **at, lk_slice from) {
  lk_slice to = lk_slice_of(*at, from.len);
  if (from.len > 0) memcpy(*at, from.ptr, from.len);
  *at += from.len;
  return to;
}

static void insert(lk_doc_versions *self, lk_doc_version *version) {
  self->bytes += lk_doc_version_size(version);
  if (version->is_automatic) {
    self->automatic_count++;
    self->automatic_bytes += lk_doc_version_size(version);
  }
  self->last_id = lk_max_u64(self->last_id, version->id);
  lk_list_push_last(&self->items, &version->link);
}

lk_err lk_doc_versions_add(lk_doc_versions *self, const lk_doc_version *version) {
  size_t size = owned_size(version);
  if (version->id <= self->last_id) return LK_OK; /* it was here, or is gone */
  lk_doc_version *copy = lk_alloc_bytes(self->alloc, size);
  if (copy == NULL) return LK_ERR_NOMEM;
  uint8_t *at = (uint8_t *)copy + sizeof *copy;
  *copy = *version;
  copy->name = put_bytes(&at, version->name);
  copy->author = put_bytes(&at, version->author);
  copy->snapshot = put_bytes(&at, version->snapshot);
  insert(self, copy);
  return LK_OK;
}

void lk_doc_versions_remove(lk_doc_versions *self, uint64_t id) {
  for (lk_link *at = self->items.first; at != NULL; at = at->next) {
    lk_doc_version *version = LK_CONTAINER(at, lk_doc_version, link);
    if (version->id != id) continue;
    self->bytes -= lk_doc_version_size(version);
    if (version->is_automatic) {
      self->automatic_count--;
      self->automatic_bytes -= lk_doc_version_size(version);
    }
    lk_list_remove(&self->items, at);
    lk_free_bytes(self->alloc, version, owned_size(version));
    return;
  }
}

/* ---- requests ---- */

const lk_doc_version_done *lk_doc_versions_find_done(const lk_doc_versions *self,
                                                     const lk_crdt_request *request) {
  for (const lk_link *at = self->done.first; at != NULL; at = at->next) {
    const lk_doc_version_done *done = LK_CONTAINER(at, const lk_doc_version_done, link);
    if (memcmp(done->request.id, request->id, sizeof request->id) == 0) return done;
  }
  return NULL;
}

lk_err lk_doc_versions_add_done(lk_doc_versions *self, const lk_crdt_request *request,
                                uint64_t number) {
  if (lk_doc_versions_find_done(self, request) != NULL) return LK_OK;
  lk_doc_version_done *done = lk_alloc_bytes(self->alloc, sizeof *done);
  if (done == NULL) return LK_ERR_NOMEM;
  *done = (lk_doc_version_done){ .request = *request, .number = number };
  lk_list_push_last(&self->done, &done->link);
  if (self->done.count > self->limits->room_requests_count) {
    LK_COVERED(doc_versions_forget_a_request);
    free_done(self, LK_CONTAINER(lk_list_pop_first(&self->done), lk_doc_version_done, link));
  }
  return LK_OK;
}

/* ---- what is written down ---- */

lk_err lk_doc_version_encode(const lk_doc_version *version, lk_buf *out) {
  (void)lk_buf_append_u8(out, version->is_automatic ? AUTOMATIC : 0);
  (void)lk_varuint_encode(out, version->wall_ms);
  (void)lk_varuint_encode(out, version->name.len);
  (void)lk_buf_append(out, version->name);
  (void)lk_varuint_encode(out, version->author.len);
  (void)lk_buf_append(out, version->author);
  return lk_buf_append(out, version->snapshot);
}

static lk_err read_text(lk_reader *in, lk_slice *out) {
  uint64_t len;
  lk_err err = lk_varuint_decode(in, SIZE_MAX, &len);
  return err == LK_OK ? lk_reader_bytes(in, len, out) : err;
}

lk_err lk_doc_version_decode(lk_slice bytes, lk_doc_version *out) {
  lk_reader in = lk_reader_of(bytes);
  uint8_t flags = 0;
  *out = (lk_doc_version){ 0 };
  lk_err err = lk_reader_u8(&in, &flags);
  if (err == LK_OK && flags > AUTOMATIC) return LK_ERR_CORRUPT;
  if (err == LK_OK) err = lk_varuint_decode(&in, UINT64_MAX, &out->wall_ms);
  if (err == LK_OK) err = read_text(&in, &out->name);
  if (err == LK_OK) err = read_text(&in, &out->author);
  if (err != LK_OK) return err;
  out->is_automatic = flags == AUTOMATIC;
  out->snapshot = lk_reader_rest(&in);
  return LK_OK;
}

void lk_doc_version_done_store(const lk_crdt_request *request, uint8_t out[LK_CRDT_REQUEST_LEN]) {
  memcpy(out, request->id, sizeof request->id);
  memcpy(out + sizeof request->id, request->content, sizeof request->content);
}

static lk_err take_done(lk_doc_versions *self, const lk_doc_item *item) {
  lk_crdt_request request;
  if (item->bytes.len != LK_CRDT_REQUEST_LEN) return LK_ERR_CORRUPT;
  memcpy(request.id, item->bytes.ptr, sizeof request.id);
  memcpy(request.content, item->bytes.ptr + sizeof request.id, sizeof request.content);
  return lk_doc_versions_add_done(self, &request, item->number);
}

lk_err lk_doc_versions_take(lk_doc_versions *self, const lk_doc_item *item) {
  lk_doc_version version;
  if (item->kind == LK_DOC_ITEM_VERSION_DONE) return take_done(self, item);
  if (item->kind == LK_DOC_ITEM_VERSION_GONE) {
    lk_doc_versions_remove(self, item->number);
    self->last_id = lk_max_u64(self->last_id, item->number);
    return LK_OK;
  }
  lk_err err = lk_doc_version_decode(item->bytes, &version);
  version.id = item->number;
  return err == LK_OK ? lk_doc_versions_add(self, &version) : err;
}

static lk_err append_version(const lk_doc_versions *self, const lk_doc_version *version,
                             lk_buf *out) {
  lk_buf bytes;
  lk_buf_init(&bytes, self->alloc, SIZE_MAX / 4);
  lk_err err = lk_doc_version_encode(version, &bytes);
  const lk_doc_item item = { LK_DOC_ITEM_VERSION, version->id, lk_buf_slice(&bytes) };
  if (err == LK_OK) err = lk_doc_record_append(out, &item);
  lk_buf_deinit(&bytes);
  return err;
}

/* Where the greatest id is that of none, it is told as one that is gone. */
lk_err lk_doc_versions_append(const lk_doc_versions *self, lk_buf *out) {
  const lk_doc_version *newest = lk_doc_versions_newest(self);
  lk_err err = LK_OK;
  for (const lk_link *at = self->items.first; err == LK_OK && at != NULL; at = at->next)
    err = append_version(self, LK_CONTAINER(at, const lk_doc_version, link), out);
  if (err == LK_OK && self->last_id > (newest == NULL ? 0 : newest->id)) {
    const lk_doc_item gone = { .kind = LK_DOC_ITEM_VERSION_GONE, .number = self->last_id };
    err = lk_doc_record_append(out, &gone);
  }
  for (const lk_link *at = self->done.first; err == LK_OK && at != NULL; at = at->next) {
    const lk_doc_version_done *done = LK_CONTAINER(at, const lk_doc_version_done, link);
    uint8_t bytes[LK_CRDT_REQUEST_LEN];
    lk_doc_version_done_store(&done->request, bytes);
    const lk_doc_item item = { LK_DOC_ITEM_VERSION_DONE, done->number,
                               lk_slice_of(bytes, sizeof bytes) };
    err = lk_doc_record_append(out, &item);
  }
  return err;
}
