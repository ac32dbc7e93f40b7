/* doc/apply.c -- taking in an update.
 *
 * Structs that continue their client and find what they refer to go straight in, the plainest of them in bulk
 * (apply_plain.c). From the first one on that does not, the update is decoded into loose items, all of it. Then they are
 * integrated: clients with high ids first, since that is how updates are written, and
 * where an item refers to one of another client in the same update, that one's come before. What refers
 * to something that is neither here nor in the update becomes pending (pending.c), with all that
 * follows it from the same client. Bytes that are no update are found out on the way, and then all is taken back.
 *
 * Time is bounded by steps: an update has as many as its structs and content warrant. Whoever asks for
 * more is refused, and all is as it was. */
#include "doc/apply.h"

#include "base/sort.h"
#include "codec/lib0.h"
#include "codec/utf.h"
#include "doc/value.h"

/* ---- decoding ---- */

static lk_err intern_id(lk_doc *doc, lk_doc_id id, uint16_t *client, uint32_t *clock) {
  if (id.clock >= doc->limits.doc_clock) return lk_doc_limit(doc, "doc_clock");
  *clock = (uint32_t)id.clock;
  return lk_client_intern(doc, id.client, client);
}

/* What an item refers to was there when it was written. */
static bool refers_ahead(const lk_struct *in, lk_doc_id id) {
  return id.client == in->id.client && id.clock >= in->id.clock;
}

static lk_err loose_parent(lk_doc *doc, const lk_struct *in, lk_item *item) {
  lk_err err = LK_OK;
  uint16_t client;
  item->parent = item->left = item->right = item->leaf = LK_NONE;
  if (in->parent_form == LK_PARENT_ROOT) {
    err = lk_root_intern(doc, in->parent_name, &item->parent);
  } else if (in->parent_form == LK_PARENT_ITEM) {
    if (refers_ahead(in, in->parent_id)) return LK_ERR_DEPENDENCY;
    item->parent = LK_PARENT_LOOSE;
    if ((err = intern_id(doc, in->parent_id, &client, &item->left)) == LK_OK) item->leaf = client;
  } else {
    return LK_OK;
  }
  if (err == LK_OK && (in->info & LK_INFO_SUB) != 0) {
    item->flags |= LK_ITEM_SUB;
    err = lk_name_intern(doc, in->sub, &item->right);
  }
  return err;
}

static lk_err loose_value(lk_doc *doc, const lk_struct *in, lk_arena *scratch, lk_item *item) {
  lk_slice value = in->value;
  uint32_t name = LK_NONE;
  lk_err err = LK_OK;
  if (in->kind == LK_CONTENT_FORMAT || in->kind == LK_CONTENT_DOC)
    err = lk_name_intern(doc, in->key, &name);
  if (err == LK_OK && (in->kind == LK_CONTENT_EMBED || in->kind == LK_CONTENT_FORMAT) &&
      in->value_is_json) {
    err = lk_value_any_of_json(in->value, doc->limits.any_depth, scratch, &value);
  }
  if (err == LK_OK) err = lk_value_add(doc, value, name, &item->content);
  return err;
}

static lk_err loose_content(lk_doc *doc, const lk_struct *in, lk_arena *scratch, lk_item *item) {
  lk_err err;
  uint32_t name = LK_NONE, units;
  bool wide;
  switch (in->kind) {
  case LK_CONTENT_GC:
  case LK_CONTENT_DELETED: return LK_OK;
  case LK_CONTENT_STRING:
    err = lk_text_add(doc, in->text, &item->content, &units, &wide);
    if (err == LK_OK && wide) item->flags |= LK_ITEM_WIDE;
    return err;
  case LK_CONTENT_TYPE:
    if (in->type_ref == LK_TYPE_REF_ELEMENT || in->type_ref == LK_TYPE_REF_HOOK) {
      if ((err = lk_name_intern(doc, in->key, &name)) != LK_OK) return err;
    }
    item->content = (uint32_t)in->type_ref << 28 | (name + 1);
    return LK_OK;
  default: return loose_value(doc, in, scratch, item);
  }
}

static lk_err decode_item(lk_doc *doc, const lk_struct *in, uint16_t client, lk_arena *scratch) {
  uint32_t number;
  lk_err err = LK_VEC_RESERVE_HERE(doc, doc->incoming, 1);
  if (err == LK_OK) err = lk_item_new(doc, &number);
  if (err != LK_OK) return err;
  lk_item item = {
    .clock = (uint32_t)in->id.clock,
    .len = (uint32_t)in->len,
    .client = client,
    .origin_client = LK_NO_CLIENT,
    .right_client = LK_NO_CLIENT,
    .left = LK_NONE,
    .right = LK_NONE,
    .parent = LK_NONE,
    .leaf = LK_NONE,
    .kind = in->kind,
    .flags = LK_ITEM_LOOSE,
  };
  if (in->kind != LK_CONTENT_GC) {
    if ((in->info & LK_INFO_ORIGIN) != 0) {
      if (refers_ahead(in, in->origin)) return LK_ERR_DEPENDENCY;
      if ((err = intern_id(doc, in->origin, &item.origin_client, &item.origin_clock)) != LK_OK)
        return err;
    }
    if ((in->info & LK_INFO_RIGHT) != 0) {
      if (refers_ahead(in, in->right)) return LK_ERR_DEPENDENCY;
      if ((err = intern_id(doc, in->right, &item.right_client, &item.right_clock)) != LK_OK)
        return err;
    }
    if (in->parent_form != LK_PARENT_INHERITED) err = loose_parent(doc, in, &item);
    if (err == LK_OK) err = loose_content(doc, in, scratch, &item);
    if (err != LK_OK) return err;
  }
  doc->items[number] = item;
  doc->incoming.at[doc->incoming.count++] = number;
  return LK_OK;
}

static size_t content_size(const lk_struct *in) {
  switch (in->kind) {
  case LK_CONTENT_STRING: return in->text.text.len;
  case LK_CONTENT_GC:
  case LK_CONTENT_DELETED:
  case LK_CONTENT_SKIP:
  case LK_CONTENT_TYPE: return 0;
  default: return in->value.len;
  }
}

/* Where nobody else wrote, the right origin stands right behind the left one: found without a search. */
static bool stands_behind(const lk_doc *doc, const lk_item *item, uint32_t left, uint32_t *right) {
  if (left == LK_NONE || doc->items[left].kind == LK_CONTENT_GC) return false;
  uint32_t next = doc->items[left].right;
  if (next == LK_NONE) return false;
  const lk_item *at = &doc->items[next];
  if (at->client != item->right_client || at->clock != item->right_clock) return false;
  if ((at->flags & LK_ITEM_JOINED) != 0) return false;
  *right = next;
  return true;
}

/* ---- straight in ----
 *
 * Nearly every struct continues its client and finds what it refers to, and is then integrated at once, without ever
 * being loose. From the first one on that does not, all that follows is decoded before anything else
 * is integrated: the order is the same in both cases, since updates have the clients in the order in which
 * they are taken. */

/* The client of an id that is here; false where it is not. */
static bool is_here(lk_doc *doc, lk_doc_id id, uint16_t *client) {
  uint16_t found = doc->client_last;
  if (found >= doc->clients.count || doc->clients.at[found].id != id.client) {
    found = lk_client_find(doc, id.client);
    if (found == LK_NO_CLIENT) return false;
    doc->client_last = found;
  }
  *client = found;
  return id.clock < doc->clients.at[found].clock;
}

static lk_err direct_neighbours(lk_doc *doc, lk_item *item, uint32_t *left, uint32_t *right) {
  lk_err err = LK_OK;
  *left = *right = LK_NONE;
  if (item->origin_client != LK_NO_CLIENT) {
    if (item->origin_client == item->client && item->origin_clock + 1 == item->clock) {
      *left = lk_client_last(doc, item->client);
    } else {
      err = lk_item_clean_end(doc, item->origin_client, item->origin_clock, left);
    }
  }
  if (err == LK_OK && item->right_client != LK_NO_CLIENT &&
      !stands_behind(doc, item, *left, right)) {
    err = lk_item_clean_start(doc, item->right_client, item->right_clock, right);
  }
  return err;
}

/* The parent by name; |*ready| false where it is an item that is not here. */
static lk_err direct_parent(lk_doc *doc, const lk_struct *in, lk_item *item, bool *ready) {
  uint16_t client;
  uint32_t key;
  lk_err err;
  if (in->parent_form == LK_PARENT_ROOT) {
    if ((err = lk_root_intern(doc, in->parent_name, &item->parent)) != LK_OK) return err;
  } else {
    *ready = is_here(doc, in->parent_id, &client);
    if (!*ready) return LK_OK;
    const lk_item *owner = &doc->items[lk_client_item(doc, client, (uint32_t)in->parent_id.clock)];
    item->parent = owner->kind == LK_CONTENT_TYPE ? owner->content : LK_NONE;
  }
  if ((in->info & LK_INFO_SUB) == 0 || item->parent == LK_NONE) return LK_OK;
  if ((err = lk_name_intern(doc, in->sub, &key)) != LK_OK) return err;
  item->flags |= LK_ITEM_SUB;
  return lk_entry_intern(doc, item->parent, key, &item->leaf);
}

static void inherit_parent(const lk_doc *doc, lk_item *item, uint32_t left, uint32_t right) {
  const lk_item *a = left == LK_NONE ? NULL : &doc->items[left],
                *b = right == LK_NONE ? NULL : &doc->items[right];
  item->parent = LK_NONE;
  if ((a != NULL && a->kind == LK_CONTENT_GC) || (b != NULL && b->kind == LK_CONTENT_GC)) return;
  const lk_item *from = a != NULL ? a : b;
  item->parent = from->parent;
  if ((from->flags & LK_ITEM_SUB) == 0) return;
  item->flags |= LK_ITEM_SUB;
  item->leaf = from->leaf;
}

static lk_err direct_content(lk_applying *self, const lk_struct *in, lk_item *item) {
  lk_doc *doc = self->doc;
  lk_err err = loose_content(doc, in, &self->scratch, item);
  if (err != LK_OK || item->kind != LK_CONTENT_TYPE) return err;
  uint32_t name = item->content & 0x0FFFFFFF;
  return lk_type_new(doc, in->type_ref, name == 0 ? LK_NONE : name - 1, &item->content);
}

static bool ends_in_gc(const lk_doc *doc, uint16_t client) {
  const lk_client *at = &doc->clients.at[client];
  return at->block_count > 0 && doc->items[lk_client_last(doc, client)].kind == LK_CONTENT_GC;
}

/* GC behind GC is one struct in the end, and is made so at once: V2 says a million of them in a few bytes. */
static lk_err grow_gc(lk_doc *doc, uint16_t client, uint32_t len) {
  lk_client *at = &doc->clients.at[client];
  uint32_t last = lk_client_last(doc, client);
  lk_err err = lk_tx_touch(doc, client);
  if (err == LK_OK) err = lk_doc_check_units(doc, len);
  const lk_journal_entry *step = doc->journal.count > 0 ? &doc->journal.at[doc->journal.count - 1]
                                                        : NULL;
  bool noted = step != NULL && step->step == LK_STEP_GROWN && step->a == last;
  if (err == LK_OK && !noted) err = lk_journal(doc, LK_STEP_GROWN, last, doc->items[last].len, 0);
  if (err != LK_OK) return err;
  doc->items[last].len += len;
  at->clock += len;
  doc->units += len;
  return LK_OK;
}

/* Integrates |in|, or leaves |*ready| false and the document as it was. */
static lk_err take_direct(lk_applying *self, const lk_struct *in, uint16_t client, bool *ready) {
  lk_doc *doc = self->doc;
  uint32_t number, left = LK_NONE, right = LK_NONE;
  lk_err err;
  lk_item item = {
    .clock = (uint32_t)in->id.clock,
    .len = (uint32_t)in->len,
    .client = client,
    .origin_client = LK_NO_CLIENT,
    .right_client = LK_NO_CLIENT,
    .left = LK_NONE,
    .right = LK_NONE,
    .parent = LK_NONE,
    .leaf = LK_NONE,
    .kind = in->kind,
  };
  *ready = doc->clients.at[client].clock == item.clock;
  if (!*ready) return LK_OK;
  if (in->kind == LK_CONTENT_GC && ends_in_gc(doc, client)) return grow_gc(doc, client, item.len);
  if (in->kind != LK_CONTENT_GC) {
    if ((in->info & LK_INFO_ORIGIN) != 0) {
      if (refers_ahead(in, in->origin)) return LK_ERR_DEPENDENCY;
      *ready = is_here(doc, in->origin, &item.origin_client);
      item.origin_clock = (uint32_t)in->origin.clock;
    }
    if (*ready && (in->info & LK_INFO_RIGHT) != 0) {
      if (refers_ahead(in, in->right)) return LK_ERR_DEPENDENCY;
      *ready = is_here(doc, in->right, &item.right_client);
      item.right_clock = (uint32_t)in->right.clock;
    }
    if (!*ready) return LK_OK;
    if (in->parent_form != LK_PARENT_INHERITED) {
      if (in->parent_form == LK_PARENT_ITEM && refers_ahead(in, in->parent_id))
        return LK_ERR_DEPENDENCY;
      err = direct_parent(doc, in, &item, ready);
      if (err != LK_OK || !*ready) return err;
    } else {
      if ((err = direct_neighbours(doc, &item, &left, &right)) != LK_OK) return err;
      inherit_parent(doc, &item, left, right);
    }
    if (item.parent != LK_NONE && (err = direct_content(self, in, &item)) != LK_OK) return err;
  }
  item.left = left;
  item.right = right;
  if ((err = lk_item_new(doc, &number)) != LK_OK) return err;
  doc->items[number] = item;
  return lk_item_integrate(doc, number);
}

/* A long run of values, as several items that are one struct: splitting one, and finding a value, then takes as long
 * for the last value as for the first. */
static lk_err take_values(lk_applying *self, const lk_struct *in, uint16_t client, bool *ready) {
  lk_doc *doc = self->doc;
  lk_struct piece = *in;
  lk_err err = LK_OK;
  for (uint64_t done = 0; err == LK_OK && done < in->len; done += piece.len) {
    lk_slice rest = lk_slice_skip(in->value, (size_t)(piece.value.ptr - in->value.ptr) +
                                                 (done > 0 ? piece.value.len : 0));
    size_t bytes = 0;
    piece.id.clock = in->id.clock + done;
    piece.len = lk_min_u64(in->len - done, LK_VALUES_MAX);
    for (uint64_t i = 0; i < piece.len; i++) {
      uint64_t integers = piece.len - i;
      if (LK_FAST_ALL) {
        bytes += lk_value_integers_length(lk_slice_skip(rest, bytes), &integers);
        if ((i += integers) == piece.len) break;
      }
      bytes += lk_value_any_length(lk_slice_skip(rest, bytes));
    }
    piece.value = lk_slice_first(rest, bytes);
    if (done > 0) {
      piece.info |= LK_INFO_ORIGIN;
      piece.origin = (lk_doc_id){ in->id.client, piece.id.clock - 1 };
      piece.parent_form = LK_PARENT_INHERITED;
    }
    err = take_direct(self, &piece, client, ready);
    if (err != LK_OK || !*ready) return err;
    if (done > 0) err = lk_item_join(doc, lk_client_last(doc, client));
  }
  return err;
}

/* The section of |id|, made with the first of its structs that is of any use. */
static lk_err open_section(lk_applying *self, const lk_struct *first, uint64_t count,
                           uint16_t *client) {
  lk_doc *doc = self->doc;
  uint64_t id = first->id.client;
  lk_err err = lk_client_intern(doc, id, client);
  if (err == LK_OK) err = LK_VEC_RESERVE(doc, self->sections, 1);
  if (err != LK_OK) return err;
  if (doc->clients.at[*client].section != LK_NONE) return LK_ERR_CORRUPT; /* twice in one update */
  if (id >= self->above) self->direct = false; /* not in Yjs' order: all of it is sorted first */
  self->above = id;
  doc->clients.at[*client].section = self->sections.count;
  lk_section *section = &self->sections.at[self->sections.count++];
  *section = (lk_section){ .id = id,
                           .client = *client,
                           .next = doc->incoming.count,
                           .end = doc->incoming.count,
                           .first_delete = doc->tx->ranges.count };
  /* a struct takes two bytes in V1; V2 may claim any number */
  uint32_t left = (uint32_t)lk_reader_left(&self->in.in);
  uint32_t expected = (uint32_t)lk_min_u64(count, left / 2 + 1);
  lk_section_map(self, section, expected);
  if ((err = lk_items_reserve(doc, expected)) != LK_OK && err != LK_ERR_LIMIT) return err;
  /* what follows is text, most of it */
  if (expected > 64 && (err = lk_text_reserve(doc, left)) == LK_ERR_NOMEM) return err;
  return LK_OK;
}

static lk_err decode_section(lk_applying *self, uint64_t id, uint64_t count) {
  lk_doc *doc = self->doc;
  lk_struct in;
  uint16_t client = lk_client_find(doc, id);
  lk_section *section = NULL;
  bool plain = self->in.format == LK_UPDATE_V1;
  uint32_t most = doc->limits.doc_update_structs_count;
  if (count > most - lk_min_u32(self->structs, most)) {
    return lk_doc_limit(doc, "doc_update_structs_count");
  }
  self->structs += (uint32_t)count;
  for (;;) {
    lk_err err = LK_OK;
    if (plain && section != NULL) err = lk_take_plain_run(self, section);
    if (err == LK_OK) err = lk_update_next_struct(&self->in, &in);
    if (err == LK_ERR_END) break;
    if (err != LK_OK) return err;
    doc->steps_max += LK_STEPS_EACH * (1 + (uint64_t)content_size(&in));
    if (in.kind == LK_CONTENT_SKIP) continue;
    if (in.id.clock > doc->limits.doc_clock || in.len > doc->limits.doc_clock - in.id.clock) {
      return lk_doc_limit(doc, "doc_clock");
    }
    bool known = client != LK_NO_CLIENT && in.id.clock + in.len <= doc->clients.at[client].clock;
    if (known) continue;
    if (section == NULL) {
      if ((err = open_section(self, &in, count, &client)) != LK_OK) return err;
      section = &self->sections.at[self->sections.count - 1];
    }
    bool long_run = in.kind == LK_CONTENT_ANY && in.len > LK_VALUES_MAX &&
                    (in.info & LK_INFO_SUB) == 0 && in.id.clock == doc->clients.at[client].clock;
    if (self->direct) {
      err = (long_run ? take_values : take_direct)(self, &in, client, &self->direct);
      if (err != LK_OK) return err;
    }
    if (!self->direct && (err = decode_item(doc, &in, client, &self->scratch)) != LK_OK) return err;
    uint32_t number = self->direct ? lk_client_last(doc, client)
                                   : doc->incoming.at[doc->incoming.count - 1];
    lk_section_note(self, section, number);
  }
  if (section != NULL) section->end = doc->incoming.count;
  return LK_OK;
}

static lk_err decode(lk_applying *self) {
  uint64_t id, clock, count;
  for (;;) {
    lk_err err = lk_update_next_client(&self->in, &id, &clock, &count);
    if (err == LK_ERR_END) return LK_OK;
    if (err == LK_OK) err = decode_section(self, id, count);
    if (err != LK_OK) return err;
  }
}

/* ---- integrating loose items ---- */

bool lk_loose_missing(const lk_doc *doc, const lk_item *item, uint32_t *client, uint32_t *clock) {
  const lk_client *clients = doc->clients.at;
  if (item->origin_client != LK_NO_CLIENT && item->origin_client != item->client &&
      item->origin_clock >= clients[item->origin_client].clock) {
    *client = item->origin_client;
    *clock = item->origin_clock;
    return true;
  }
  if (item->right_client != LK_NO_CLIENT && item->right_client != item->client &&
      item->right_clock >= clients[item->right_client].clock) {
    *client = item->right_client;
    *clock = item->right_clock;
    return true;
  }
  if (item->parent == LK_PARENT_LOOSE && item->leaf != item->client &&
      item->left >= clients[item->leaf].clock) {
    *client = item->leaf;
    *clock = item->left;
    return true;
  }
  return false;
}

/* The first unit of a text that was cut within a pair becomes U+FFFD. */
static lk_err trim_text(lk_doc *doc, lk_item *item, uint32_t offset) {
  bool wide = (item->flags & LK_ITEM_WIDE) != 0;
  bool cut = wide && lk_utf_is_high_surrogate(lk_item_unit(doc, item, offset - 1));
  item->content += offset * (wide ? 2u : 1u);
  if (!cut) return LK_OK;
  uint16_t unit = lk_item_unit(doc, item, 0), replacement = LK_UTF_REPLACEMENT;
  lk_err err = lk_journal(doc, LK_STEP_UNIT, item->content, unit, 0);
  if (err == LK_OK) memcpy(doc->text + item->content, &replacement, 2);
  return err;
}

static lk_err trim_values(lk_doc *doc, lk_item *item, uint32_t offset) {
  lk_slice all = lk_value_bytes(doc, item->content), first = lk_item_any(doc, item, offset);
  size_t cut = (size_t)(first.ptr - all.ptr);
  if (item->kind == LK_CONTENT_JSON) cut -= lk_varuint_len(first.len);
  return lk_value_add(doc, lk_slice_skip(all, cut), LK_NONE, &item->content);
}

lk_err lk_loose_trim(lk_doc *doc, uint32_t number, uint32_t offset) {
  lk_item *item = &doc->items[number];
  lk_err err = LK_OK;
  if (item->kind == LK_CONTENT_STRING) err = trim_text(doc, item, offset);
  else if (item->kind == LK_CONTENT_ANY || item->kind == LK_CONTENT_JSON)
    err = trim_values(doc, item, offset);
  if (err != LK_OK) return err;
  item->clock += offset;
  item->len -= offset;
  if (item->kind == LK_CONTENT_GC) return LK_OK;
  item->origin_client = item->client;
  item->origin_clock = item->clock - 1;
  return LK_OK;
}

/* The parent that a loose item names, or takes over from its neighbours. LK_NONE turns it into GC. */
static lk_err find_parent(lk_doc *doc, lk_item *item, uint32_t left, uint32_t right) {
  uint32_t key = (item->flags & LK_ITEM_SUB) != 0 ? item->right : LK_NONE;
  uint32_t parent = item->parent;
  item->leaf = LK_NONE;
  item->flags &= (uint8_t) ~(LK_ITEM_SUB | LK_ITEM_LOOSE);
  if ((left != LK_NONE && doc->items[left].kind == LK_CONTENT_GC) ||
      (right != LK_NONE && doc->items[right].kind == LK_CONTENT_GC)) {
    item->parent = LK_NONE;
    return LK_OK;
  }
  /* what was cut off behind its client's own struct stays in its list, whatever it says itself */
  if (parent == LK_NONE || left != LK_NONE) {
    const lk_item *neighbour = &doc->items[left != LK_NONE ? left : right];
    item->parent = neighbour->parent;
    if ((neighbour->flags & LK_ITEM_SUB) == 0) return LK_OK;
    item->flags |= LK_ITEM_SUB;
    item->leaf = neighbour->leaf;
    return LK_OK;
  }
  item->parent = parent;
  if (parent == LK_NONE || key == LK_NONE) return LK_OK;
  item->flags |= LK_ITEM_SUB;
  return lk_entry_intern(doc, parent, key, &item->leaf);
}

lk_err lk_loose_integrate(lk_doc *doc, uint32_t number) {
  lk_item *item = &doc->items[number];
  uint32_t left = LK_NONE, right = LK_NONE;
  lk_err err = LK_OK;
  bool named = item->origin_client == LK_NO_CLIENT && item->right_client == LK_NO_CLIENT;
  if (item->kind == LK_CONTENT_GC) {
    item->flags = 0;
    uint32_t state = doc->clients.at[item->client].clock;
    if (state > item->clock) err = lk_loose_trim(doc, number, state - item->clock);
    return err != LK_OK ? err : lk_item_integrate(doc, number);
  }
  if (item->origin_client != LK_NO_CLIENT) {
    err = lk_item_clean_end(doc, item->origin_client, item->origin_clock, &left);
    item = &doc->items[number];
  }
  if (err == LK_OK && item->right_client != LK_NO_CLIENT &&
      !stands_behind(doc, item, left, &right)) {
    err = lk_item_clean_start(doc, item->right_client, item->right_clock, &right);
    item = &doc->items[number];
  }
  if (err != LK_OK) return err;
  if (item->parent == LK_PARENT_LOOSE) {
    const lk_item *owner = &doc->items[lk_client_item(doc, (uint16_t)item->leaf, item->left)];
    item->parent = owner->kind == LK_CONTENT_TYPE ? owner->content : LK_NONE;
    if (item->parent == LK_NONE) named = false, left = LK_NONE;
  }
  if (!named && left == LK_NONE && right == LK_NONE) {
    item->parent = LK_NONE; /* what it was in is collected */
    item->flags &= (uint8_t) ~(LK_ITEM_SUB | LK_ITEM_LOOSE);
  } else if ((err = find_parent(doc, item, left, right)) != LK_OK) {
    return err;
  }
  item = &doc->items[number];
  uint32_t state = doc->clients.at[item->client].clock;
  if (state > item->clock) {
    if ((err = lk_loose_trim(doc, number, state - item->clock)) != LK_OK) return err;
    if ((err = lk_item_clean_end(doc, item->client, state - 1, &left)) != LK_OK) return err;
    item = &doc->items[number];
    item->flags &= (uint8_t)~LK_ITEM_SUB;
    item->leaf = LK_NONE;
    inherit_parent(doc, item, left, LK_NONE);
  }
  item->left = left;
  item->right = right;
  if (item->kind == LK_CONTENT_TYPE && item->parent != LK_NONE) {
    uint32_t loose = item->content, type;
    err = lk_type_new(doc, (uint8_t)(loose >> 28), (loose & 0x0FFFFFFF) - 1, &type);
    if (err != LK_OK) return err;
    if ((loose & 0x0FFFFFFF) == 0) doc->types.at[type].name = LK_NONE;
    doc->items[number].content = type;
  }
  return lk_item_integrate(doc, number);
}

/* ---- the order among the structs of an update ---- */

/* Nothing on the stack can be integrated now, nor what follows it. */
static lk_err give_up_stack(lk_applying *self) {
  lk_doc *doc = self->doc;
  for (uint32_t i = 0; i < doc->stack.count; i++) {
    uint32_t number = doc->stack.at[i];
    lk_section *rest = &self->sections.at[doc->clients.at[doc->items[number].client].section];
    lk_err err = lk_pending_add(doc, number);
    for (; err == LK_OK && rest->next < rest->end; rest->next++) {
      err = lk_pending_add(doc, doc->incoming.at[rest->next]);
    }
    if (err != LK_OK) return err;
  }
  doc->stack.count = 0;
  return LK_OK;
}

/* Integrates |head|, and what follows it as long as that is wanted and plain, or puts it on the stack and gives what must come
 * before it; LK_NONE where that is to be taken from elsewhere. */
static lk_err take(lk_applying *self, uint32_t head, uint32_t *before) {
  lk_doc *doc = self->doc;
  const lk_item *item = &doc->items[head];
  uint32_t state = doc->clients.at[item->client].clock, client, clock;
  lk_section *own = &self->sections.at[doc->clients.at[item->client].section];
  lk_err err;
  *before = LK_NONE;
  uint32_t next = own->next--;
  LK_DEBUG_ASSERT(doc->incoming.at[own->next] == head);
  if ((err = lk_take_plain_loose(self, own, own->until)) != LK_OK || own->next >= next) return err;
  own->next = next;
  self->known = LK_TYPE_UNKNOWN;
  if (state < item->clock) {
    if ((err = lk_numbers_push(doc, &doc->stack, head)) != LK_OK) return err;
    return give_up_stack(self);
  }
  if (lk_loose_missing(doc, item, &client, &clock)) {
    if ((err = lk_numbers_push(doc, &doc->stack, head)) != LK_OK) return err;
    uint32_t number = doc->clients.at[client].section;
    lk_section *other = number == LK_NONE ? NULL : &self->sections.at[number];
    if (other == NULL || other->next == other->end) return give_up_stack(self);
    other->until = clock;
    *before = doc->incoming.at[other->next++];
    return LK_OK;
  }
  if (state - item->clock < item->len) return lk_loose_integrate(doc, head);
  return lk_numbers_push(doc, &doc->dropped, head);
}

static bool section_before(const void *ctx, const void *a, const void *b) {
  (void)ctx;
  return ((const lk_section *)a)->id > ((const lk_section *)b)->id;
}

/* The highest id first, which they nearly always are. */
static void sort_sections(lk_applying *self) {
  lk_sort(self->sections.at, self->sections.count, sizeof(lk_section), section_before, NULL);
  for (uint32_t i = 0; i < self->sections.count; i++) {
    self->doc->clients.at[self->sections.at[i].client].section = i;
  }
}

static lk_err integrate_all(lk_applying *self) {
  lk_doc *doc = self->doc;
  sort_sections(self);
  for (uint32_t i = 0; i < self->sections.count; i++) {
    lk_section *current = &self->sections.at[i];
    for (;;) {
      uint32_t head;
      if (doc->stack.count == 0) current->until = UINT32_MAX;
      if (doc->stack.count > 0) head = doc->stack.at[--doc->stack.count];
      else if (current->next < current->end) head = doc->incoming.at[current->next++];
      else break;
      while (head != LK_NONE) {
        lk_err err = take(self, head, &head);
        if (err != LK_OK) return err;
      }
    }
  }
  return LK_OK;
}

/* ---- deletions ---- */

/* Whether the whole block was found deleted before, which it then stays; goes on to the next one. */
static bool skip_dead_block(const lk_doc *doc, uint16_t client, lk_place *place) {
  const lk_client *at = &doc->clients.at[client];
  if (!at->blocks[place->block].dead || place->block + 1 == at->block_count) return false;
  place->block++;
  place->at = 0;
  return true;
}

/* Steps are counted by blocks: deleted items are looked at one by one only until their block is known to be dead. */
lk_err lk_delete_range(lk_doc *doc, uint16_t client, uint32_t clock, uint32_t end) {
  lk_place place = lk_client_place(doc, client, clock);
  uint32_t number = lk_place_item(doc, client, place), half, whole = UINT32_MAX;
  const lk_item *item = &doc->items[number];
  lk_err err = LK_OK;
  if (!lk_item_deleted(item) && item->clock < clock) {
    if ((err = lk_item_split(doc, number, clock - item->clock, &half)) != LK_OK) return err;
    place = lk_client_place(doc, client, clock);
  }
  for (;;) {
    number = lk_place_item(doc, client, place);
    item = &doc->items[number];
    if (item->clock >= end) return LK_OK;
    if (place.at == 0) {
      whole = place.block;
      if ((err = lk_doc_step(doc, 1)) != LK_OK) return err;
      if (skip_dead_block(doc, client, &place)) continue;
    }
    if (!lk_item_deleted(item)) {
      if (end < lk_item_end(item)) {
        if ((err = lk_item_split(doc, number, end - item->clock, &half)) != LK_OK) return err;
        place = lk_client_place(doc, client, doc->items[number].clock);
        whole = UINT32_MAX;
      }
      if ((err = lk_item_delete(doc, number)) != LK_OK) return err;
    }
    lk_block *block = &doc->clients.at[client].blocks[place.block];
    if (place.at + 1u == block->count && whole == place.block) block->dead = true;
    if (!lk_place_next(doc, client, &place)) return LK_OK;
  }
}

static lk_err apply_delete(lk_doc *doc, uint64_t id, uint16_t client, uint64_t clock,
                           uint64_t len) {
  uint64_t state = client == LK_NO_CLIENT ? 0 : doc->clients.at[client].clock, end = clock + len;
  if (len == 0) return LK_OK;
  if (clock >= state) return lk_pending_add_range(doc, (lk_pending_range){ id, clock, len });
  if (end > state) {
    lk_err err = lk_pending_add_range(doc, (lk_pending_range){ id, state, end - state });
    if (err != LK_OK) return err;
    end = state;
  }
  return lk_delete_range(doc, client, (uint32_t)clock, (uint32_t)end);
}

static lk_err apply_deletes_of(lk_applying *self, uint64_t id, uint64_t *ranges) {
  lk_doc *doc = self->doc;
  uint64_t clock, len;
  uint16_t client = lk_client_find(doc, id);
  uint32_t section = client == LK_NO_CLIENT ? LK_NONE : doc->clients.at[client].section;
  uint32_t known = section == LK_NONE ? LK_NONE : self->sections.at[section].first_delete;
  for (;;) {
    uint32_t skipped = 0;
    if (known != LK_NONE && self->in.format == LK_UPDATE_V1)
      skipped = lk_skip_known_deletes(self, client, &known);
    doc->steps_max += (uint64_t)LK_STEPS_EACH * skipped;
    *ranges += skipped;
    lk_err err = lk_update_next_delete(&self->in, &clock, &len);
    if (*ranges + (err != LK_ERR_END) > doc->limits.doc_delete_ranges_count)
      return lk_doc_limit(doc, "doc_delete_ranges_count");
    if (err != LK_OK) return err == LK_ERR_END ? LK_OK : err;
    doc->steps_max += LK_STEPS_EACH;
    ++*ranges;
    if ((err = apply_delete(doc, id, client, clock, len)) != LK_OK) return err;
  }
}

static lk_err check_deletes(const lk_update_reader *in) {
  lk_update_reader ahead = *in;
  uint64_t id, count, clock, len;
  lk_err err;
  while ((err = lk_update_next_delete_client(&ahead, &id, &count)) == LK_OK) {
    do err = lk_update_next_delete(&ahead, &clock, &len);
    while (err == LK_OK);
    if (err != LK_ERR_END) return err;
  }
  return err == LK_ERR_END ? LK_OK : err;
}

static lk_err apply_deletes(lk_applying *self) {
  uint64_t id, count, ranges = 0;
  /* Whether all that is left can be read is asked before the first deletion: what an update deletes is not paid for by its
   * bytes, and one that fails behind that could come again and again. */
  if (self->doc->steps_max < UINT64_MAX / 2 && !lk_deletes_are_plain(self)) {
    lk_err bad = check_deletes(&self->in);
    if (bad != LK_OK) return bad;
  }
  for (;;) {
    lk_err err = lk_update_next_delete_client(&self->in, &id, &count);
    if (err == LK_ERR_END) return LK_OK;
    if (err == LK_OK) err = apply_deletes_of(self, id, &ranges);
    if (err != LK_OK) return err;
  }
}

/* ---- applying ---- */

static lk_err wake_others(const lk_applying *self) {
  lk_doc *doc = self->doc;
  if (lk_btree_count(&doc->pending) == 0 && lk_btree_count(&doc->pending_ranges) == 0) return LK_OK;
  for (uint32_t i = 0; i < self->sections.count; i++) {
    lk_err err = lk_numbers_push(doc, &doc->woken, self->sections.at[i].client);
    if (err != LK_OK) return err;
  }
  /* what we wrote since the last update woke nobody then; Yjs looks at all that waits with each update */
  const uint16_t ours[] = { doc->client, doc->fled };
  for (uint32_t i = 0; i < 2; i++) {
    if (ours[i] == LK_NO_CLIENT || doc->clients.at[ours[i]].section != LK_NONE) continue;
    lk_err err = lk_numbers_push(doc, &doc->woken, ours[i]);
    if (err != LK_OK) return err;
  }
  return lk_pending_wake(doc);
}

static lk_err apply(lk_applying *self, lk_update_format format, lk_slice update) {
  lk_doc *doc = self->doc;
  lk_err err = lk_update_reader_init(&self->in, format, update, doc->limits.any_depth,
                                     &self->scratch);
  if (err == LK_OK) err = decode(self);
  if (err == LK_OK) err = integrate_all(self);
  if (err == LK_OK) err = apply_deletes(self);
  if (err == LK_OK) err = wake_others(self);
  return err;
}

#define SECTIONS_KEPT 16
#define KEEP_MAX 1024 /* entries of a vector that are kept for the next call */

/* Gives back what a large load needed for itself, and its slack. */
static void shrink_after(lk_doc *doc, size_t update_len) {
  if (doc->journal.cap > KEEP_MAX && doc->calls == 0) LK_VEC_FREE(doc, doc->journal);
  if (doc->incoming.cap > KEEP_MAX) LK_VEC_FREE(doc, doc->incoming);
  if (doc->saved.cap > KEEP_MAX) LK_VEC_FREE(doc, doc->saved);
  if (doc->saved_ranges.cap > KEEP_MAX) LK_VEC_FREE(doc, doc->saved_ranges);
  uint32_t cap = doc->text_len + doc->text_len / 16 + 64;
  if (update_len < 65536 || doc->text_cap - doc->text_len < doc->text_len / 8) return;
  uint8_t *text = lk_resize_array(&doc->alloc, doc->text, doc->text_cap, cap, 1);
  if (text == NULL) return;
  doc->text = text;
  doc->text_cap = cap;
}

static lk_err take_in(lk_doc *doc, lk_update_format format, lk_slice update, uint64_t origin,
                      bool counts) {
  if (format != LK_UPDATE_V1 && format != LK_UPDATE_V2) return LK_ERR_INVALID;
  if (update.len > doc->limits.doc_update_bytes) return lk_doc_limit(doc, "doc_update_bytes");
  if (lk_apply_fast(doc, format, update, origin)) return LK_OK;
  lk_applying self;
  self.doc = doc;
  self.direct = true;
  self.above = UINT64_MAX;
  self.other = (lk_id_bytes){ .mask = 0 };
  self.known = LK_TYPE_UNKNOWN;
  self.careful = false;
  self.structs = 0;
  lk_call call;
  lk_err err = lk_doc_begin(doc, origin);
  if (err != LK_OK) return err;
  self.sections.at =
      doc->sections; /* from here to where they are given back nobody else applies anything */
  self.sections.cap = doc->section_cap;
  self.sections.count = 0;
  doc->sections = NULL;
  doc->section_cap = 0;
  bool local = doc->tx->local;
  err = lk_call_begin(doc, &call);
  LK_ASSERT(err == LK_OK); /* a transaction is open */
  doc->tx->local = false;
  doc->steps = 0;
  doc->steps_max = counts ? LK_STEPS_BASE : UINT64_MAX / 2;
  lk_arena_init(&self.scratch, &doc->alloc, doc->limits.doc_update_bytes);
  err = apply(&self, format, update);
  for (uint32_t i = 0; i < self.sections.count; i++)
    doc->clients.at[self.sections.at[i].client].section = LK_NONE;
  doc->incoming.count = doc->stack.count = doc->woken.count = 0;
  doc->steps_max = UINT64_MAX;
  if (self.sections.cap > SECTIONS_KEPT) LK_VEC_FREE(doc, self.sections);
  doc->sections = self.sections.at;
  doc->section_cap = self.sections.cap;
  lk_arena_deinit(&self.scratch);
  if (err != LK_OK) doc->tx->local = local;
  err = lk_call_end(doc, &call, err);
  for (uint32_t i = 0; err == LK_OK && i < doc->dropped.count; i++) {
    lk_item_waste(doc, &doc->items[doc->dropped.at[i]]);
    lk_item_free(doc, doc->dropped.at[i]);
  }
  doc->dropped.count = 0;
  doc->saved.count = doc->saved_ranges.count = 0;
  doc->taken_structs = doc->taken_waits = 0;
  shrink_after(doc, update.len);
  lk_doc_commit(doc);
  return err;
}

lk_err lk_doc_apply(lk_doc *doc, lk_update_format format, lk_slice update, uint64_t origin) {
  return take_in(doc, format, update, origin, true);
}

lk_err lk_doc_load(lk_doc *doc, lk_update_format format, lk_slice update, uint64_t origin) {
  return take_in(doc, format, update, origin, false);
}
