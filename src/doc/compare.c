/* doc/compare.c -- what changed between two versions of a document, and who wrote it.
 *
 * Both versions are looked at in one document that has everything: with snapshots the document itself, which keeps
 * what was deleted; with updates one that takes in both, first the one that has deleted less, whose content the other
 * one may have collected. What a version shows is then a question to its state vector and delete set (history.h).
 *
 * Two passes, each over every item once:
 *
 *   counting   all items by client: what one version shows and the other one does not is added to its writer's
 *              tally, its node is marked as CHANGED, and the nodes above as being on the WAY to it
 *   telling    from each root down the marked nodes, each list from left to right with an operation that grows
 *              (the run) until something of another kind comes
 *
 * Nodes are told one after the other, each with its path, rather than within one another: so the JSON is as deep as a
 * value and never as deep as the document, and what is in force in a text is forgotten before the next text begins.
 * The nodes that are still to be told wait on a stack; where a node stands in its parent is found while the parent is
 * walked, and kept in its mark.
 *
 * Formatting is a state: for each key the last mark to the left, in either version. The keys of which the two differ
 * are kept in a list, so that retained text costs as many steps as it has differences. */
#include "base/map.h"
#include "codec/base64.h"
#include "codec/varint.h"
#include "doc/history.h"
#include "doc/merge.h"

#define ANY_NULL 126 /* lib0's */

enum {
  CHANGED = 1 << 0, /* its list or one of its entries */
  WAY = 1 << 1,     /* a node somewhere below */
  WAS = 1 << 2,     /* the earlier version shows it */
  IS = 1 << 3,      /* the later one does */
};

/* What is known of a node. */
typedef struct told {
  uint32_t flags;
  uint32_t was, is; /* its index in the list of its parent, in each version that shows it */
} told;

typedef struct tally {
  uint64_t client;
  lk_slice user;
  uint64_t added, deleted, formats;
} tally;

/* A key of formatting: the marks that count here, LK_NONE for none. */
typedef struct key_state {
  uint32_t was, is;
  uint32_t place; /* 1 + its place in |differing|, or 0 */
} key_state;

typedef enum run_kind { RUN_NONE, RUN_RETAIN, RUN_INSERT, RUN_DELETE } run_kind;

/* The operation that grows. */
typedef struct run {
  run_kind kind;
  bool values;     /* an array of them is open; text otherwise */
  uint16_t client; /* of INSERT and DELETE */
  uint16_t high;
  uint64_t units; /* of RETAIN */
} run;

typedef struct compare {
  lk_doc *doc;
  const lk_version *before, *after;
  lk_json_writer w;
  lk_err err;
  lk_user_fn user_of;
  void *user_ctx;
  tally *tallies; /* by client */
  uint32_t tally_count;
  told *nodes;   /* by type */
  lk_refs stack; /* nodes to be told */
  lk_refs path;
  /* of the node that is being told */
  uint32_t root, type;
  bool root_open, node_open, delta_open, entries_open;
  uint64_t was_index, is_index;
  uint64_t retained; /* units that the next operation has to pass over */
  run run;
  lk_buf text, scratch;
  lk_formats formats; /* of the later version */
  key_state *keys;    /* by name; NULL before the first mark */
  uint32_t key_count;
  const lk_item *values_of; /* whose values are being read, */
  lk_read_values values;    /* and those that are left, */
  uint32_t values_at;       /* from that one on */
  lk_refs used;             /* the keys of this node */
  lk_refs differing;
  lk_refs refs;
} compare;

/* The writer ignores what comes after an error, whoever's it is. */
static void check(compare *self, lk_err err) {
  if (self->err == LK_OK) self->err = err;
  if (self->w.err == LK_OK) self->w.err = self->err;
}

static uint64_t client_id(const compare *self, uint16_t client) {
  return self->doc->clients.at[client].id;
}

/* What the versions show of an item from unit |from| on; gives up to where that holds. */
static uint32_t see(const compare *self, const lk_item *item, uint32_t from, bool *was, bool *is) {
  uint32_t to, until;
  *was = lk_version_shows(self->before, self->doc, item, from, &to);
  *is = lk_version_shows(self->after, self->doc, item, from, &until);
  return lk_min_u32(to, until);
}

/* ---- counting ---- */

static void mark(compare *self, uint32_t type) {
  self->nodes[type].flags |= CHANGED;
  for (;;) {
    uint32_t item = self->doc->types.at[type].item;
    if (item == LK_NONE) return;
    type = self->doc->items[item].parent;
    if (type == LK_NONE || (self->nodes[type].flags & WAY) != 0) return;
    self->nodes[type].flags |= WAY;
  }
}

static void count_item(compare *self, const lk_item *item, tally *of) {
  if (item->kind == LK_CONTENT_GC || item->kind == LK_CONTENT_DELETED) return;
  for (uint32_t from = 0, to; from < item->len; from = to) {
    bool was, is;
    to = see(self, item, from, &was, &is);
    if (was == is) continue;
    mark(self, item->parent);
    if (item->kind == LK_CONTENT_FORMAT) of->formats += is;
    else if (is) of->added += to - from;
    else of->deleted += to - from;
  }
}

static void count_client(compare *self, const lk_client *client, tally *of) {
  of->client = client->id;
  for (uint32_t b = 0; b < client->block_count; b++) {
    const lk_block *block = &client->blocks[b];
    for (uint32_t i = 0; i < block->count; i++)
      count_item(self, &self->doc->items[block->items[i]], of);
  }
}

static bool is_zero(const tally *self) {
  return self->added == 0 && self->deleted == 0 && self->formats == 0;
}

static bool by_client(const tally *a, const tally *b) { return a->client < b->client; }

/* Those whose users are not known come last. */
static bool by_user(const tally *a, const tally *b) {
  if ((a->user.len == 0) != (b->user.len == 0)) return b->user.len == 0;
  int order = lk_slice_compare(a->user, b->user);
  return order != 0 ? order < 0 : a->client < b->client;
}

typedef bool (*tally_before)(const tally *a, const tally *b);

static void sift(tally *heap, uint32_t at, uint32_t count, tally_before before) {
  for (uint32_t child; (child = at * 2 + 1) < count; at = child) {
    if (child + 1 < count && before(&heap[child], &heap[child + 1])) child++;
    if (!before(&heap[at], &heap[child])) return;
    tally other = heap[at];
    heap[at] = heap[child];
    heap[child] = other;
  }
}

static void sort_tallies(tally *heap, uint32_t count, tally_before before) {
  for (uint32_t i = count / 2; i > 0; i--) sift(heap, i - 1, count, before);
  for (uint32_t end = count; end > 1; end--) {
    tally first = heap[0];
    heap[0] = heap[end - 1];
    heap[end - 1] = first;
    sift(heap, 0, end - 1, before);
  }
}

static void count_all(compare *self) {
  const lk_doc *doc = self->doc;
  for (uint32_t i = 0; i < doc->clients.count; i++) {
    tally *of = &self->tallies[self->tally_count];
    *of = (tally){ 0 };
    count_client(self, &doc->clients.at[i], of);
    if (is_zero(of)) continue;
    if (self->user_of != NULL) of->user = self->user_of(self->user_ctx, of->client);
    self->tally_count++;
  }
}

/* ---- who ---- */

static void write_count(compare *self, lk_slice key, uint64_t value) {
  (void)lk_json_write_key(&self->w, key);
  check(self, lk_json_write_u64(&self->w, value));
}

static void write_text(compare *self, lk_slice key, lk_slice text) {
  (void)lk_json_write_key(&self->w, key);
  check(self, lk_json_write_string(&self->w, text));
}

static void write_tally(compare *self, const tally *of, bool with_client) {
  (void)lk_json_begin_object(&self->w);
  if (with_client) write_count(self, LK_LIT("client"), of->client);
  if (of->user.len > 0) write_text(self, LK_LIT("user"), of->user);
  write_count(self, LK_LIT("added"), of->added);
  write_count(self, LK_LIT("deleted"), of->deleted);
  write_count(self, LK_LIT("formats"), of->formats);
  check(self, lk_json_end_object(&self->w));
}

static void write_clients(compare *self) {
  sort_tallies(self->tallies, self->tally_count, by_client);
  (void)lk_json_write_key(&self->w, LK_LIT("clients"));
  (void)lk_json_begin_array(&self->w);
  for (uint32_t i = 0; i < self->tally_count; i++) write_tally(self, &self->tallies[i], true);
  check(self, lk_json_end_array(&self->w));
}

static void write_users(compare *self) {
  if (self->user_of == NULL) return;
  sort_tallies(self->tallies, self->tally_count, by_user);
  (void)lk_json_write_key(&self->w, LK_LIT("users"));
  (void)lk_json_begin_array(&self->w);
  for (uint32_t i = 0, end; i < self->tally_count && self->tallies[i].user.len > 0; i = end) {
    tally sum = self->tallies[i];
    for (end = i + 1; end < self->tally_count && lk_slice_equal(self->tallies[end].user, sum.user);
         end++) {
      sum.added += self->tallies[end].added;
      sum.deleted += self->tallies[end].deleted;
      sum.formats += self->tallies[end].formats;
    }
    write_tally(self, &sum, false);
  }
  check(self, lk_json_end_array(&self->w));
}

/* ---- formatting that differs ---- */

static lk_slice format_value(const compare *self, uint32_t item) {
  lk_slice value = item == LK_NONE ? LK_SLICE_EMPTY
                                   : lk_value_bytes(self->doc, self->doc->items[item].content);
  return value.len > 0 && value.ptr[0] == ANY_NULL ? LK_SLICE_EMPTY : value;
}

static void reset_formats(compare *self) {
  for (uint32_t i = 0; i < self->used.count; i++)
    self->keys[self->used.at[i]] = (key_state){ LK_NONE, LK_NONE, 0 };
  self->used.count = self->differing.count = 0;
}

static lk_err make_keys(compare *self) {
  if (self->keys != NULL) return LK_OK;
  uint32_t count = self->doc->names.count;
  self->keys = lk_alloc_array(&self->doc->alloc, count, sizeof *self->keys);
  if (self->keys == NULL) return LK_ERR_NOMEM;
  self->key_count = count;
  for (uint32_t i = 0; i < count; i++) self->keys[i] = (key_state){ LK_NONE, LK_NONE, 0 };
  return LK_OK;
}

/* Puts the key into the list of those that differ, or takes it out. */
static lk_err place_key(compare *self, uint32_t name) {
  key_state *key = &self->keys[name];
  bool differs = !lk_slice_equal(format_value(self, key->was), format_value(self, key->is));
  if (differs == (key->place > 0)) return LK_OK;
  if (differs) {
    lk_err err = lk_refs_push(&self->differing, name);
    if (err == LK_OK) key->place = self->differing.count;
    return err;
  }
  uint32_t last = self->differing.at[--self->differing.count];
  self->differing.at[key->place - 1] = last;
  self->keys[last].place = key->place;
  key->place = 0;
  return LK_OK;
}

static lk_err pass_format(compare *self, uint32_t number, bool was, bool is) {
  lk_err err = make_keys(self);
  if (err != LK_OK) return err;
  uint32_t name = lk_item_key(self->doc, &self->doc->items[number]);
  key_state *key = &self->keys[name];
  if (key->was == LK_NONE && key->is == LK_NONE && (err = lk_refs_push(&self->used, name)) != LK_OK)
    return err;
  if (was) key->was = number;
  if (is) key->is = number;
  if (is) err = lk_formats_apply(&self->formats, number);
  return err == LK_OK ? place_key(self, name) : err;
}

/* ---- the beginning of a node ---- */

static lk_slice kind_name(lk_node_kind kind) {
  static const char *const names[] = { "array",        "map",      "text",     "xml_element",
                                       "xml_fragment", "xml_hook", "xml_text", "unknown" };
  return lk_slice_cstr(names[kind]);
}

/* A root of which nobody has said what it is: what it looks like, deleted things too. */
static lk_node_kind kind_of(const compare *self, uint32_t type) {
  const lk_type *at = &self->doc->types.at[type];
  if (at->kind != LK_NODE_UNKNOWN) return (lk_node_kind)at->kind;
  for (uint32_t i = at->start; i != LK_NONE; i = self->doc->items[i].right) {
    const lk_item *item = &self->doc->items[i];
    switch (item->kind) {
    case LK_CONTENT_DELETED: continue;
    case LK_CONTENT_STRING:
    case LK_CONTENT_FORMAT:
    case LK_CONTENT_EMBED: return LK_NODE_TEXT;
    case LK_CONTENT_TYPE:
      return self->doc->types.at[item->content].kind >= LK_NODE_XML_ELEMENT ? LK_NODE_XML_FRAGMENT
                                                                            : LK_NODE_ARRAY;
    default: return LK_NODE_ARRAY;
    }
  }
  return at->entry_first != LK_NONE ? LK_NODE_MAP : LK_NODE_UNKNOWN;
}

static void write_kind(compare *self, uint32_t type) {
  uint32_t name = self->doc->types.at[type].name;
  lk_node_kind kind = kind_of(self, type);
  write_text(self, LK_LIT("kind"), kind_name(kind));
  if (self->doc->types.at[type].item == LK_NONE || name == LK_NONE) return;
  write_text(self, LK_LIT("name"), lk_name_slice(self->doc, name));
}

/* A node that is gone has its way in the earlier version, all others in the later one. */
static void write_path(compare *self, uint32_t type) {
  const lk_doc *doc = self->doc;
  bool gone = (self->nodes[type].flags & IS) == 0;
  self->path.count = 0;
  for (uint32_t at = type; doc->types.at[at].item != LK_NONE;
       at = doc->items[doc->types.at[at].item].parent) {
    check(self, lk_refs_push(&self->path, at));
  }
  (void)lk_json_write_key(&self->w, LK_LIT("path"));
  (void)lk_json_begin_array(&self->w);
  for (uint32_t i = self->path.count; i > 0; i--) {
    const told *node = &self->nodes[self->path.at[i - 1]];
    const lk_item *item = &doc->items[doc->types.at[self->path.at[i - 1]].item];
    if ((item->flags & LK_ITEM_SUB) == 0)
      (void)lk_json_write_u64(&self->w, gone ? node->was : node->is);
    else (void)lk_json_write_string(&self->w, lk_name_slice(doc, doc->entries.at[item->leaf].key));
  }
  check(self, lk_json_end_array(&self->w));
}

/* The beginning of a node that has something to tell after all: a mark may come or go without changing how
 * anything looks. */
static void begin_node(compare *self) {
  uint32_t type = self->type, flags = self->nodes[type].flags;
  if (self->node_open) return;
  self->node_open = true;
  if (!self->root_open) {
    (void)lk_json_write_key(&self->w,
                            lk_name_slice(self->doc, self->doc->types.at[self->root].name));
    (void)lk_json_begin_array(&self->w);
    self->root_open = true;
  }
  (void)lk_json_begin_object(&self->w);
  write_path(self, type);
  write_kind(self, type);
  if (self->doc->types.at[type].item == LK_NONE || (flags & (WAS | IS)) == (WAS | IS)) return;
  write_text(self, LK_LIT("state"), (flags & IS) != 0 ? LK_LIT("added") : LK_LIT("deleted"));
}

/* ---- operations ---- */

static void write_any(compare *self, lk_slice key, lk_slice any) {
  (void)lk_json_write_key(&self->w, key);
  check(self, lk_history_write_any(&self->w, any, &self->scratch));
}

static void write_client(compare *self, uint16_t client) {
  write_count(self, LK_LIT("client"), client_id(self, client));
}

static void begin_op(compare *self) {
  begin_node(self);
  if (!self->delta_open) {
    (void)lk_json_write_key(&self->w, LK_LIT("delta"));
    (void)lk_json_begin_array(&self->w);
    self->delta_open = true;
  }
  if (self->retained > 0) {
    (void)lk_json_begin_object(&self->w);
    write_count(self, LK_LIT("retain"), self->retained);
    (void)lk_json_end_object(&self->w);
    self->retained = 0;
  }
  check(self, lk_json_begin_object(&self->w));
}

/* Whoever set what counts now is named, if that came since. */
static void write_format_change(compare *self, uint32_t name) {
  const key_state *key = &self->keys[name];
  lk_slice was = format_value(self, key->was), is = format_value(self, key->is);
  (void)lk_json_write_key(&self->w, lk_name_slice(self->doc, name));
  (void)lk_json_begin_object(&self->w);
  if (was.len > 0) write_any(self, LK_LIT("old"), was);
  if (is.len > 0) write_any(self, LK_LIT("new"), is);
  if (key->is != LK_NONE) {
    bool was_there, is_there;
    const lk_item *item = &self->doc->items[key->is];
    (void)see(self, item, 0, &was_there, &is_there);
    if (!was_there) write_client(self, item->client);
  }
  check(self, lk_json_end_object(&self->w));
}

static void write_retain(compare *self) {
  if (self->differing.count == 0) {
    self->retained += self->run.units;
    return;
  }
  begin_op(self);
  write_count(self, LK_LIT("retain"), self->run.units);
  (void)lk_json_write_key(&self->w, LK_LIT("formats"));
  (void)lk_json_begin_object(&self->w);
  for (uint32_t i = 0; i < self->differing.count && self->err == LK_OK; i++) {
    write_format_change(self, self->differing.at[i]);
  }
  (void)lk_json_end_object(&self->w);
  check(self, lk_json_end_object(&self->w));
}

/* The end of an operation whose content is written. */
static void end_op(compare *self, bool insert, uint16_t client) {
  if (insert && lk_formats_count(&self->formats) > 0) {
    (void)lk_json_write_key(&self->w, LK_LIT("attributes"));
    (void)lk_json_begin_object(&self->w);
    check(self, lk_history_write_formats(&self->w, &self->formats, &self->refs, &self->scratch));
    (void)lk_json_end_object(&self->w);
  }
  write_client(self, client);
  check(self, lk_json_end_object(&self->w));
}

static void write_run(compare *self) {
  bool insert = self->run.kind == RUN_INSERT;
  if (self->run.values) {
    (void)lk_json_end_array(&self->w);
  } else {
    lk_text_flush(&self->run.high, &self->text);
    check(self, lk_buf_err(&self->text));
    begin_op(self);
    write_text(self, insert ? LK_LIT("insert") : LK_LIT("delete"), lk_buf_slice(&self->text));
    lk_buf_truncate(&self->text, 0);
  }
  end_op(self, insert, self->run.client);
}

static void flush(compare *self) {
  if (self->run.kind == RUN_RETAIN) write_retain(self);
  else if (self->run.kind != RUN_NONE) write_run(self);
  self->run = (run){ .kind = RUN_NONE };
}

/* Makes the run one of that kind; values need a run that is of values, text one that is not. */
static void want_run(compare *self, run_kind kind, bool values, uint16_t client) {
  const run *now = &self->run;
  if (now->kind == kind && (kind == RUN_RETAIN || (now->values == values && now->client == client)))
    return;
  flush(self);
  self->run = (run){ .kind = kind, .values = values, .client = client };
  if (!values) return;
  begin_op(self);
  (void)lk_json_write_key(&self->w, kind == RUN_INSERT ? LK_LIT("insert") : LK_LIT("delete"));
  check(self, lk_json_begin_array(&self->w));
}

static bool has_many(const lk_item *item) {
  return item->kind == LK_CONTENT_ANY || item->kind == LK_CONTENT_JSON;
}

/* Value |at| of an item that has many. They are asked for from the first to the last: a stranger may put a million of
 * them into one item, and each is found behind the one before it. */
static void write_one_of_many(compare *self, const lk_item *item, uint32_t at) {
  if (self->values_of != item || self->values_at > at) {
    self->values = lk_read_values_of(self->doc, item);
    self->values_of = item;
    self->values_at = 0;
  }
  for (; self->values_at < at; self->values_at++) (void)lk_read_next_value(&self->values);
  lk_slice value = lk_read_next_value(&self->values);
  self->values_at++;
  if (!self->values.json) check(self, lk_history_write_any(&self->w, value, &self->scratch));
  else if (lk_slice_equal(value, LK_LIT("undefined"))) check(self, lk_json_write_null(&self->w));
  else check(self, lk_json_write_raw(&self->w, value));
}

/* A value that is not a node, where one may stand. */
static void write_value(compare *self, const lk_item *item, uint32_t at) {
  lk_json_writer *w = &self->w;
  lk_value value;
  lk_buf_truncate(&self->scratch, 0);
  if (has_many(item)) {
    write_one_of_many(self, item, at);
    return;
  }
  switch (item->kind) {
  case LK_CONTENT_EMBED:
    check(self, lk_history_write_any(w, lk_value_bytes(self->doc, item->content), &self->scratch));
    break;
  case LK_CONTENT_BINARY:
    lk_read_value(self->doc, item, at, &value);
    check(self, lk_base64_encode(&self->scratch, value.bytes, LK_BASE64_FORM_STANDARD));
    check(self, lk_json_write_string(w, lk_buf_slice(&self->scratch)));
    break;
  case LK_CONTENT_DOC:
    (void)lk_json_begin_object(w);
    write_text(self, LK_LIT("guid"), lk_name_slice(self->doc, lk_item_key(self->doc, item)));
    check(self, lk_json_end_object(w));
    break;
  default: { /* one unit of a text that stands where values do */
    uint16_t high = 0;
    lk_item_append_utf8(self->doc, item, at, 1, &high, &self->scratch);
    lk_text_flush(&high, &self->scratch);
    check(self, lk_json_write_string(w, lk_buf_slice(&self->scratch)));
    break;
  }
  }
}

/* ---- nodes that are met ---- */

/* Notes a node for later, if there is anything to tell of it or in it. */
static void meet_node(compare *self, const lk_item *item, bool was, bool is) {
  told *node = &self->nodes[item->content];
  if ((node->flags & (CHANGED | WAY)) == 0) return;
  node->flags |= (was ? WAS : 0u) | (is ? IS : 0u);
  node->was = (uint32_t)self->was_index;
  node->is = (uint32_t)self->is_index;
  check(self, lk_refs_push(&self->stack, item->content));
}

static void put_node(compare *self, const lk_item *item, bool was, bool is) {
  meet_node(self, item, was, is);
  if (was == is) {
    want_run(self, RUN_RETAIN, false, 0);
    self->run.units++;
    return;
  }
  flush(self);
  begin_op(self);
  (void)lk_json_write_key(&self->w, is ? LK_LIT("insert") : LK_LIT("delete"));
  (void)lk_json_begin_object(&self->w);
  write_kind(self, item->content);
  (void)lk_json_end_object(&self->w);
  end_op(self, is, item->client);
}

/* ---- a list ---- */

/* What came or went, of an item that is neither a node nor a mark. */
static void put_change(compare *self, const lk_item *item, uint32_t from, uint32_t to, bool is) {
  run_kind kind = is ? RUN_INSERT : RUN_DELETE;
  if (item->kind == LK_CONTENT_STRING) {
    want_run(self, kind, false, item->client);
    lk_item_append_utf8(self->doc, item, from, to - from, &self->run.high, &self->text);
    check(self, lk_buf_err(&self->text));
    return;
  }
  want_run(self, kind, true, item->client);
  for (uint32_t i = from; i < to && self->err == LK_OK; i++) write_value(self, item, i);
  /* an embed is an operation of its own, as in toDelta */
  if (item->kind == LK_CONTENT_EMBED) flush(self);
}

static void put_stretch(compare *self, uint32_t number, uint32_t from, uint32_t to, bool was,
                        bool is) {
  const lk_item *item = &self->doc->items[number];
  if (item->kind == LK_CONTENT_FORMAT) {
    flush(self);
    check(self, pass_format(self, number, was, is));
    return;
  }
  if (!lk_item_countable(item)) return;
  if (item->kind == LK_CONTENT_TYPE) {
    put_node(self, item, was, is);
  } else if (was && is) {
    want_run(self, RUN_RETAIN, false, 0);
    self->run.units += to - from;
  } else {
    put_change(self, item, from, to, is);
  }
  if (was) self->was_index += to - from;
  if (is) self->is_index += to - from;
}

static void put_list(compare *self) {
  uint32_t next;
  for (uint32_t i = self->doc->types.at[self->type].start; i != LK_NONE && self->err == LK_OK;
       i = next) {
    const lk_item *item = &self->doc->items[i];
    next = item->right;
    for (uint32_t from = 0, to; from < item->len && self->err == LK_OK; from = to) {
      bool was, is;
      to = see(self, item, from, &was, &is);
      if (was || is) put_stretch(self, i, from, to, was, is);
    }
  }
  flush(self);
  if (self->delta_open) check(self, lk_json_end_array(&self->w));
}

/* ---- entries ---- */

/* A value of an entry: an item, LK_NONE for none, and the unit that is the value. */
typedef struct spot {
  uint32_t item, unit;
} spot;

/* Looks for the last unit of an item that a version shows, where nothing was found yet. What was set by one client in a
 * row and deleted became one item, of which each unit was the entry's value once. */
static void find_units(const compare *self, uint32_t number, spot *was_spot, spot *is_spot) {
  const lk_item *item = &self->doc->items[number];
  spot was_here = *was_spot, is_here = *is_spot;
  for (uint32_t from = 0, to; from < item->len; from = to) {
    bool was, is;
    to = see(self, item, from, &was, &is);
    if (was) was_here = (spot){ number, to - 1 };
    if (is) is_here = (spot){ number, to - 1 };
  }
  if (was_spot->item == LK_NONE) *was_spot = was_here;
  if (is_spot->item == LK_NONE) *is_spot = is_here;
}

static void find_values(const compare *self, uint32_t entry, spot *was, spot *is) {
  *was = *is = (spot){ LK_NONE, 0 };
  for (uint32_t i = self->doc->entries.at[entry].last; i != LK_NONE; i = self->doc->items[i].left) {
    if (lk_item_countable(&self->doc->items[i])) find_units(self, i, was, is);
  }
}

static void write_side(compare *self, spot at, lk_slice value_key, lk_slice node_key) {
  if (at.item == LK_NONE) return;
  const lk_item *item = &self->doc->items[at.item];
  if (item->kind != LK_CONTENT_TYPE) {
    (void)lk_json_write_key(&self->w, value_key);
    write_value(self, item, at.unit);
    return;
  }
  (void)lk_json_write_key(&self->w, node_key);
  (void)lk_json_begin_object(&self->w);
  write_kind(self, item->content);
  check(self, lk_json_end_object(&self->w));
}

static void write_change(compare *self, uint32_t key, spot was, spot is) {
  bool added = was.item == LK_NONE, deleted = is.item == LK_NONE;
  begin_node(self);
  if (!self->entries_open) {
    (void)lk_json_write_key(&self->w, LK_LIT("entries"));
    (void)lk_json_begin_object(&self->w);
    self->entries_open = true;
  }
  (void)lk_json_write_key(&self->w, lk_name_slice(self->doc, key));
  (void)lk_json_begin_object(&self->w);
  write_text(self, LK_LIT("action"),
             added     ? LK_LIT("add")
             : deleted ? LK_LIT("delete")
                       : LK_LIT("update"));
  write_side(self, was, LK_LIT("old"), LK_LIT("old_node"));
  write_side(self, is, LK_LIT("new"), LK_LIT("new_node"));
  write_client(self, self->doc->items[deleted ? was.item : is.item].client);
  check(self, lk_json_end_object(&self->w));
}

static void meet_value(compare *self, spot at, bool was, bool is) {
  if (at.item == LK_NONE) return;
  const lk_item *item = &self->doc->items[at.item];
  if (item->kind == LK_CONTENT_TYPE) meet_node(self, item, was, is);
}

static bool key_before(const void *ctx, uint32_t a, uint32_t b) {
  const lk_doc *doc = ctx;
  lk_slice x = lk_name_slice(doc, doc->entries.at[a].key),
           y = lk_name_slice(doc, doc->entries.at[b].key);
  return lk_slice_compare(x, y) < 0;
}

static void put_entry(compare *self, uint32_t entry) {
  spot was, is;
  find_values(self, entry, &was, &is);
  if (was.item == is.item && was.unit == is.unit) {
    meet_value(self, was, true, true);
    return;
  }
  write_change(self, self->doc->entries.at[entry].key, was, is);
  meet_value(self, was, true, false);
  meet_value(self, is, false, true);
}

/* By key: the order in which keys came to this document is not the same everywhere. */
static void put_entries(compare *self) {
  uint32_t from = self->refs.count, end;
  for (uint32_t e = self->doc->types.at[self->type].entry_first; e != LK_NONE && self->err == LK_OK;
       e = self->doc->entries.at[e].next) {
    check(self, lk_refs_push(&self->refs, e));
  }
  lk_refs_sort(&self->refs, from, key_before, self->doc);
  end = self->refs.count;
  for (uint32_t i = from; i < end && self->err == LK_OK; i++) put_entry(self, self->refs.at[i]);
  self->refs.count = from;
  if (self->entries_open) check(self, lk_json_end_object(&self->w));
}

/* ---- nodes ---- */

static void reverse(lk_refs *refs, uint32_t from) {
  for (uint32_t to = refs->count; from + 1 < to; from++) {
    uint32_t first = refs->at[from];
    refs->at[from] = refs->at[--to];
    refs->at[to] = first;
  }
}

/* Tells one node, and puts those in it on the stack, the first on top. */
static void put_one(compare *self, uint32_t type) {
  uint32_t floor = self->stack.count;
  lk_formats_outer none = lk_formats_begin(&self->formats);
  self->type = type;
  self->node_open = self->delta_open = self->entries_open = false;
  self->was_index = self->is_index = self->retained = 0;
  put_list(self);
  put_entries(self);
  if (self->node_open) check(self, lk_json_end_object(&self->w));
  lk_formats_end(&self->formats, none);
  reset_formats(self);
  reverse(&self->stack, floor);
}

static void put_root(compare *self, uint32_t root) {
  if ((self->nodes[root].flags & (CHANGED | WAY)) == 0) return;
  self->root = root;
  self->root_open = false;
  check(self, lk_refs_push(&self->stack, root));
  while (self->err == LK_OK && self->stack.count > 0)
    put_one(self, self->stack.at[--self->stack.count]);
  if (self->root_open) check(self, lk_json_end_array(&self->w));
}

static bool root_before(const void *ctx, uint32_t a, uint32_t b) {
  const lk_doc *doc = ctx;
  return lk_slice_compare(lk_name_slice(doc, doc->types.at[a].name),
                          lk_name_slice(doc, doc->types.at[b].name)) < 0;
}

static void put_roots(compare *self) {
  const lk_doc *doc = self->doc;
  (void)lk_json_write_key(&self->w, LK_LIT("roots"));
  (void)lk_json_begin_object(&self->w);
  for (uint32_t i = 0; i < doc->roots.count && self->err == LK_OK; i++) {
    check(self, lk_refs_push(&self->refs, doc->roots.at[i]));
  }
  lk_refs_sort(&self->refs, 0, root_before, doc);
  for (uint32_t i = 0, end = self->refs.count; i < end && self->err == LK_OK; i++)
    put_root(self, self->refs.at[i]);
  self->refs.count = 0;
  check(self, lk_json_end_object(&self->w));
}

/* ---- all of it ---- */

static void put_all(compare *self) {
  count_all(self);
  check(self, lk_json_begin_object(&self->w));
  write_clients(self);
  write_users(self);
  put_roots(self);
  check(self, lk_json_end_object(&self->w));
  check(self, lk_json_writer_finish(&self->w));
}

static void compare_init(compare *self, lk_doc *doc, lk_buf *out) {
  const lk_alloc *alloc = &doc->alloc;
  lk_refs none = { .alloc = alloc };
  *self = (compare){
    .doc = doc, .stack = none, .path = none, .used = none, .differing = none, .refs = none
  };
  lk_json_writer_init(&self->w, out);
  lk_buf_init(&self->text, alloc, SIZE_MAX / 2);
  lk_buf_init(&self->scratch, alloc, SIZE_MAX / 2);
  lk_formats_init(&self->formats, doc);
  self->tallies = lk_alloc_array(alloc, doc->clients.count + 1u, sizeof *self->tallies);
  self->nodes = lk_alloc_array(alloc, doc->types.count + 1u, sizeof *self->nodes);
  if (self->nodes != NULL) memset(self->nodes, 0, (doc->types.count + 1u) * sizeof *self->nodes);
  if (self->tallies == NULL || self->nodes == NULL) self->err = LK_ERR_NOMEM;
}

static void compare_deinit(compare *self) {
  const lk_alloc *alloc = &self->doc->alloc;
  lk_free_array(alloc, self->tallies, self->doc->clients.count + 1u, sizeof *self->tallies);
  lk_free_array(alloc, self->nodes, self->doc->types.count + 1u, sizeof *self->nodes);
  lk_free_array(alloc, self->keys, self->key_count, sizeof *self->keys);
  lk_formats_deinit(&self->formats);
  lk_buf_deinit(&self->text);
  lk_buf_deinit(&self->scratch);
  lk_refs *refs[] = { &self->stack, &self->path, &self->used, &self->differing, &self->refs };
  for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) lk_refs_deinit(refs[i]);
}

static lk_err put_comparison(lk_doc *doc, const lk_version *before, const lk_version *after,
                             lk_user_fn user_of, void *ctx, lk_buf *out) {
  compare self;
  compare_init(&self, doc, out);
  self.before = before;
  self.after = after;
  self.user_of = user_of;
  self.user_ctx = ctx;
  if (self.err == LK_OK) put_all(&self);
  compare_deinit(&self);
  return self.err;
}

lk_err lk_doc_compare_snapshots(lk_doc *doc, lk_update_format format, lk_slice before,
                                lk_slice after, lk_user_fn user_of, void *ctx, lk_buf *out) {
  lk_version was, is;
  lk_err err = LK_OK;
  if (!lk_update_format_is_valid(format)) return LK_ERR_INVALID;
  if (doc->gc) return LK_ERR_STATE;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  lk_version_init(&was, &doc->alloc, &doc->limits);
  lk_version_init(&is, &doc->alloc, &doc->limits);
  is.now = after.len == 0;
  if (before.len > 0) err = lk_version_decode(&was, format, before);
  if (err == LK_OK && after.len > 0) err = lk_version_decode(&is, format, after);
  if (err == LK_OK) err = put_comparison(doc, &was, &is, user_of, ctx, out);
  lk_version_deinit(&was);
  lk_version_deinit(&is);
  return err;
}

/* ---- versions that are updates ---- */

/* What an update deletes. Its structs are read to get there. */
static lk_err read_deleted(const lk_env *env, const lk_limits *limits, lk_update_format format,
                           lk_slice update, lk_delete_set *out) {
  lk_arena scratch;
  lk_update_walk walk;
  lk_arena_init(&scratch, env->alloc, lk_update_scratch_max(limits));
  lk_err err = lk_update_walk_init(&walk, format, update, limits, &scratch);
  while (err == LK_OK) err = lk_update_walk_next(&walk);
  if (err == LK_ERR_END) err = lk_delete_set_read(out, &walk.reader, true);
  lk_arena_deinit(&scratch);
  return err == LK_OK ? lk_delete_set_merge(out) : err;
}

/* Of each client what the update has without a gap from the beginning. */
static lk_err read_known(const lk_env *env, const lk_limits *limits, lk_update_format format,
                         lk_slice update, lk_delete_set *out) {
  lk_buf sv;
  lk_buf_init(&sv, env->alloc, limits->doc_update_bytes);
  lk_err err = lk_update_state_vector(env, format, update, &sv);
  lk_reader in = lk_reader_of(lk_buf_slice(&sv));
  uint64_t count = 0, client, clock;
  if (err == LK_OK) err = lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &count);
  for (uint64_t i = 0; i < count && err == LK_OK; i++) {
    err = lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &client);
    if (err == LK_OK) err = lk_varuint_decode(&in, LK_VARUINT_MAX_SAFE, &clock);
    if (err == LK_OK) err = lk_delete_set_join(out, client, 0, clock);
  }
  lk_buf_deinit(&sv);
  return err == LK_OK ? lk_delete_set_merge(out) : err;
}

static lk_err read_version(const lk_env *env, const lk_limits *limits, lk_update_format format,
                           lk_slice update, lk_version *out) {
  if (update.len == 0) return LK_OK;
  lk_err err = read_deleted(env, limits, format, update, &out->deleted);
  return err == LK_OK ? read_known(env, limits, format, update, &out->known) : err;
}

static uint64_t deleted_units(const lk_version *self) {
  uint64_t units = 0;
  for (size_t i = 0; i < self->deleted.count; i++) units += self->deleted.ranges[i].value;
  return units;
}

/* What a clean-up of formatting deletes here is no matter: the versions are asked, not the document. */
static lk_err load(lk_doc *doc, lk_update_format format, lk_slice first, lk_slice second) {
  lk_err err = LK_OK;
  if (first.len > 0) err = lk_doc_apply(doc, format, first, 0);
  if (err == LK_OK && second.len > 0) err = lk_doc_apply(doc, format, second, 0);
  return err;
}

/* A document of its own has nobody who could give it entropy: the versions themselves choose its hash seeds. */
static lk_doc_options options_for(lk_slice before, lk_slice after) {
  static const uint64_t seed[2] = { 0, 1 };
  lk_doc_options options = LK_DOC_OPTIONS_INIT;
  options.keep_deleted = true;
  options.seed[0] = lk_siphash13(seed, before);
  options.seed[1] = lk_siphash13(options.seed, after);
  return options;
}

static lk_err compare_updates(const lk_env *env, lk_update_format format, lk_slice before,
                              lk_slice after, const lk_version *was, const lk_version *is,
                              lk_user_fn user_of, void *ctx, lk_buf *out) {
  lk_doc *doc;
  lk_doc_options options = options_for(before, after);
  bool forward = deleted_units(was) <= deleted_units(is);
  lk_err err = lk_doc_open(env, &options, &doc);
  if (err != LK_OK) return err;
  err = load(doc, format, forward ? before : after, forward ? after : before);
  if (err == LK_OK) err = put_comparison(doc, was, is, user_of, ctx, out);
  lk_doc_close(doc);
  return err;
}

lk_err lk_doc_compare(const lk_env *env, lk_update_format format, lk_slice before, lk_slice after,
                      lk_user_fn user_of, void *ctx, lk_buf *out) {
  lk_limits limits = lk_limits_default();
  lk_version was, is;
  if (!lk_update_format_is_valid(format)) return LK_ERR_INVALID;
  if (lk_buf_err(out) != LK_OK) return lk_buf_err(out);
  lk_version_init(&was, env->alloc, &limits);
  lk_version_init(&is, env->alloc, &limits);
  lk_err err = read_version(env, &limits, format, before, &was);
  if (err == LK_OK) err = read_version(env, &limits, format, after, &is);
  if (err == LK_OK) err = compare_updates(env, format, before, after, &was, &is, user_of, ctx, out);
  lk_version_deinit(&was);
  lk_version_deinit(&is);
  return err;
}
