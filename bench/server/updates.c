/* bench/server/updates.c -- updates.h. The small ones are written by hand: one struct, and at most one deleted range. */
#include "bench/server/updates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "laniakea/doc.h"
#include "platform/posix/heap.h"

#define AUTHORS 20
#define INFO_STRING 4
#define INFO_ORIGIN 0x80

static const lk_slice root = { (const uint8_t *)"text", 4 };

static size_t put_number(uint8_t *out, uint64_t value) {
  size_t n = 0;
  for (; value > 127; value >>= 7) out[n++] = (uint8_t)(value | 128);
  out[n++] = (uint8_t)value;
  return n;
}

static size_t put_bytes(uint8_t *out, const void *bytes, size_t len) {
  size_t n = put_number(out, len);
  memcpy(out + n, bytes, len);
  return n + len;
}

/* What stands to the left: the author's last character, or the beginning of the text. */
static size_t put_place(uint8_t *out, const author *self) {
  size_t n = 0;
  if (self->clock == 0) {
    out[n++] = INFO_STRING;
    out[n++] = 1; /* a root follows */
    return n + put_bytes(out + n, root.ptr, root.len);
  }
  out[n++] = INFO_STRING | INFO_ORIGIN;
  n += put_number(out + n, self->client);
  return n + put_number(out + n, self->clock - 1);
}

size_t author_write(author *self, const char *text, size_t len, size_t deleted, uint8_t *out) {
  size_t n = 0;
  out[n++] = 1; /* client with */
  out[n++] = 1; /* struct */
  n += put_number(out + n, self->client);
  n += put_number(out + n, self->clock);
  n += put_place(out + n, self);
  n += put_bytes(out + n, text, len);
  if (deleted > self->clock) deleted = (size_t)self->clock;
  out[n++] = deleted > 0;
  if (deleted > 0) {
    n += put_number(out + n, self->client);
    out[n++] = 1; /* range */
    n += put_number(out + n, self->clock - deleted);
    n += put_number(out + n, deleted);
  }
  self->clock += len;
  return n;
}

/* ---- a session ---- */

static void must(lk_err err) {
  if (err == LK_OK) return;
  (void)fprintf(stderr, "updates: %s\n", lk_err_text(err));
  exit(1);
}

static lk_env environment(void) {
  const lk_env env = LK_ENV_INIT(lk_posix_heap(), NULL);
  return env;
}

typedef struct writer {
  lk_doc *doc;
  lk_node text;
  size_t seen; /* updates of the session that are in it */
  session *session;
} writer;

static void note(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  const writer *self = ctx;
  session *all = self->session;
  size_t begin = all->count > 0 ? all->ends[all->count - 1] : 0;
  (void)doc;
  (void)origin;
  if (!local) return;
  memcpy(all->bytes + begin, update.ptr, update.len);
  all->ends[all->count++] = begin + update.len;
}

static void open_writer(writer *self, const lk_env *env, uint64_t client, session *all) {
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.client = client;
  *self = (writer){ .session = all };
  must(lk_doc_open(env, &options, &self->doc));
  must(lk_doc_root(self->doc, root, LK_NODE_TEXT, &self->text));
  must(lk_doc_on_update(self->doc, LK_UPDATE_V1, note, self, NULL));
}

/* What the others wrote since this one had its turn. */
static void catch_up(writer *self) {
  const session *all = self->session;
  for (; self->seen < all->count; self->seen++) {
    size_t begin = self->seen > 0 ? all->ends[self->seen - 1] : 0;
    const lk_slice update = { all->bytes + begin, all->ends[self->seen] - begin };
    must(lk_doc_apply(self->doc, LK_UPDATE_V1, update, 0));
  }
}

static uint32_t random_below(uint64_t *state, uint64_t most) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((*state >> 33) % most);
}

static void type(writer *self, uint64_t *at, uint64_t *random, uint64_t *units) {
  if (random_below(random, 5) == 0 && *at > 0) {
    must(lk_doc_text_delete(self->doc, self->text, --*at, 1));
    --*units;
  } else {
    const uint8_t letter = (uint8_t)('a' + random_below(random, 26));
    must(lk_doc_text_insert(self->doc, self->text, (*at)++, (lk_slice){ &letter, 1 }, NULL));
    ++*units;
  }
}

session session_make(size_t count) {
  const lk_env env = environment();
  session all = { .bytes = malloc(count * 64), .ends = malloc(count * sizeof(size_t)) };
  writer writers[AUTHORS];
  uint64_t random = 12345;
  if (all.bytes == NULL || all.ends == NULL) abort();
  for (uint64_t i = 0; i < AUTHORS; i++)
    open_writer(&writers[i], &env, 1000000007 + i * 7919, &all);
  while (all.count < count) {
    writer *self = &writers[random_below(&random, AUTHORS)];
    uint64_t at = random_below(&random, all.units + 1);
    catch_up(self);
    for (uint32_t i = 5 + random_below(&random, 40); i > 0 && all.count < count; i--)
      type(self, &at, &random, &all.units);
    self->seen = all.count;
  }
  for (size_t i = 0; i < AUTHORS; i++) lk_doc_close(writers[i].doc);
  return all;
}

uint64_t update_units(const uint8_t *update, size_t len) {
  const lk_env env = environment();
  writer reader;
  lk_buf *out;
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  must(lk_doc_open(&env, &options, &reader.doc));
  must(lk_doc_root(reader.doc, root, LK_NODE_TEXT, &reader.text));
  must(lk_buf_open(&env, (size_t)1 << 30, &out));
  lk_err err = lk_doc_load(reader.doc, LK_UPDATE_V1, (lk_slice){ update, len }, 0);
  if (err == LK_OK) err = lk_doc_text_string(reader.doc, reader.text, out);
  uint64_t units = err == LK_OK ? lk_buf_bytes(out).len : UINT64_MAX; /* all of it is ASCII */
  lk_buf_close(out);
  lk_doc_close(reader.doc);
  return units;
}
