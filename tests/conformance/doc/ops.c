#include "tests/conformance/doc/ops.h"

#include "codec/any.h"

#include <string.h>

typedef struct operation {
  lk_doc *doc;
  lk_node node;
  const js_value *args; /* the first one behind the path */
  lk_arena *arena;
} operation;

/* ---- arguments ---- */

static const js_value *arg(const operation *op, size_t index) {
  const js_value *item = op->args;
  while (item != NULL && index-- > 0) item = item->next;
  return item;
}

static uint64_t arg_number(const operation *op, size_t index) {
  const js_value *item = arg(op, index);
  if (item == NULL || item->kind != VALUE_NUMBER) die("an operation lacks a number");
  return (uint64_t)item->number;
}

static lk_slice arg_text(const operation *op, size_t index) {
  const js_value *item = arg(op, index);
  if (item == NULL || item->kind != VALUE_STRING) die("an operation lacks a text");
  return item->text;
}

static const js_value *arg_of(const operation *op, size_t index, value_kind kind) {
  const js_value *item = arg(op, index);
  if (item == NULL || item->kind != kind) die("an operation lacks an argument");
  return item;
}

/* Formatting attributes; those that are not there, or null, give |missing|. */
static const lk_attributes *arg_attributes(const operation *op, size_t index,
                                           const lk_attributes *missing) {
  const js_value *item = arg(op, index);
  if (item == NULL || item->kind != VALUE_OBJECT) return missing;
  lk_attributes *made = push(op->arena, sizeof *made);
  lk_attribute *items = push(op->arena, (item->count + 1) * sizeof *items);
  for (const js_value *member = item->first; member != NULL; member = member->next) {
    items[made->count++] = (lk_attribute){ member->key, value_to_doc(member, op->arena) };
  }
  made->items = items;
  return made;
}

/* ---- nodes that are made ---- */

typedef struct new_node {
  lk_node_kind kind;
  lk_slice name;
  lk_slice text; /* that it is made with */
} new_node;

static new_node arg_node(const operation *op, size_t index) {
  const js_value *type = arg_of(op, index, VALUE_ARRAY);
  const js_value *argument = value_at(type, 1);
  lk_slice kind = type->first == NULL ? LK_SLICE_EMPTY : type->first->text;
  lk_slice text = argument == NULL ? LK_SLICE_EMPTY : argument->text;
  if (text_is(kind, "map")) return (new_node){ .kind = LK_NODE_MAP };
  if (text_is(kind, "array")) return (new_node){ .kind = LK_NODE_ARRAY };
  if (text_is(kind, "text")) return (new_node){ .kind = LK_NODE_TEXT, .text = text };
  if (text_is(kind, "xtext")) return (new_node){ .kind = LK_NODE_XML_TEXT, .text = text };
  if (text_is(kind, "elem")) return (new_node){ .kind = LK_NODE_XML_ELEMENT, .name = text };
  if (text_is(kind, "hook")) return (new_node){ .kind = LK_NODE_XML_HOOK, .name = text };
  die("no type is called %.*s", (int)kind.len, (const char *)kind.ptr);
}

static lk_err fill(const operation *op, lk_node node, const new_node *made) {
  return made->text.len == 0 ? LK_OK : lk_doc_text_insert(op->doc, node, 0, made->text, NULL);
}

/* The options that Yjs writes for a document made with those of the operation, in its order. */
static lk_value arg_document(const operation *op, size_t guid, size_t options) {
  const js_value *given = arg_of(op, options, VALUE_OBJECT);
  const js_value *gc = value_member(given, "gc");
  const js_value *load = value_member(given, "autoLoad");
  const js_value *meta = value_member(given, "meta");
  js_value *kept = value_new(VALUE_OBJECT, op->arena);
  js_value *truth = value_new(VALUE_BOOL, op->arena);
  truth->boolean = true;
  if (gc != NULL && !gc->boolean) value_add(kept, LK_LIT("gc"), value_new(VALUE_BOOL, op->arena));
  if (load != NULL && load->boolean) value_add(kept, LK_LIT("autoLoad"), truth);
  if (meta != NULL && meta->kind != VALUE_NULL) {
    js_value *copy = push(op->arena, sizeof *copy);
    *copy = *meta;
    value_add(kept, LK_LIT("meta"), copy);
  }
  return (lk_value){ .kind = LK_VALUE_DOC,
                     .bytes = arg_text(op, guid),
                     .options = value_to_doc(kept, op->arena).bytes };
}

/* ---- the operations ---- */

static const lk_attributes unformatted = { NULL, 0 };

static lk_err text_insert(const operation *op) {
  return lk_doc_text_insert(op->doc, op->node, arg_number(op, 0), arg_text(op, 1),
                            arg_attributes(op, 2, NULL));
}
static lk_err text_delete(const operation *op) {
  return lk_doc_text_delete(op->doc, op->node, arg_number(op, 0), arg_number(op, 1));
}
static lk_err text_format(const operation *op) {
  return lk_doc_text_format(op->doc, op->node, arg_number(op, 0), arg_number(op, 1),
                            arg_attributes(op, 2, &unformatted));
}
static lk_err text_embed(const operation *op) {
  lk_value embed = value_to_doc(arg_of(op, 1, VALUE_OBJECT), op->arena);
  return lk_doc_text_insert_embed(op->doc, op->node, arg_number(op, 0), &embed,
                                  arg_attributes(op, 2, &unformatted));
}
static lk_err text_embed_node(const operation *op) {
  new_node made = arg_node(op, 1);
  lk_node node;
  lk_err err = lk_doc_text_insert_node(op->doc, op->node, arg_number(op, 0), made.kind, made.name,
                                       &unformatted, &node);
  return err == LK_OK ? fill(op, node, &made) : err;
}
static lk_err text_apply(const operation *op) {
  const js_value *sanitize = arg(op, 1);
  return lk_doc_text_apply_delta(op->doc, op->node, arg_of(op, 0, VALUE_ARRAY)->raw,
                                 sanitize == NULL || sanitize->boolean);
}

static lk_value *arg_values(const operation *op, size_t index, size_t *count) {
  const js_value *list = arg_of(op, index, VALUE_ARRAY);
  lk_value *made = push(op->arena, (list->count + 1) * sizeof *made);
  *count = 0;
  for (const js_value *item = list->first; item != NULL; item = item->next) {
    made[(*count)++] = value_to_doc(item, op->arena);
  }
  return made;
}
static lk_err list_insert(const operation *op) {
  size_t count;
  const lk_value *values = arg_values(op, 1, &count);
  return lk_doc_list_insert(op->doc, op->node, arg_number(op, 0), values, count);
}
static lk_err list_push(const operation *op) {
  size_t count;
  const lk_value *values = arg_values(op, 0, &count);
  return lk_doc_list_push(op->doc, op->node, values, count);
}
static lk_err list_delete(const operation *op) {
  return lk_doc_list_delete(op->doc, op->node, arg_number(op, 0), arg_number(op, 1));
}
static lk_err list_node(const operation *op) {
  new_node made = arg_node(op, 1);
  lk_node node;
  lk_err err = lk_doc_list_insert_node(op->doc, op->node, arg_number(op, 0), made.kind, made.name,
                                       &node);
  return err == LK_OK ? fill(op, node, &made) : err;
}
static lk_err list_push_node(const operation *op) {
  new_node made = arg_node(op, 0);
  lk_node node;
  lk_err err = lk_doc_list_insert_node(op->doc, op->node, lk_doc_node_length(op->doc, op->node),
                                       made.kind, made.name, &node);
  return err == LK_OK ? fill(op, node, &made) : err;
}
static lk_err list_document(const operation *op) {
  lk_value made = arg_document(op, 1, 2);
  return lk_doc_list_insert(op->doc, op->node, arg_number(op, 0), &made, 1);
}

static lk_err map_set(const operation *op) {
  const js_value *given = arg(op, 1);
  if (given == NULL) die("an operation lacks a value");
  lk_value made = value_to_doc(given, op->arena);
  return lk_doc_map_set(op->doc, op->node, arg_text(op, 0), &made);
}
static lk_err map_delete(const operation *op) {
  return lk_doc_map_delete(op->doc, op->node, arg_text(op, 0));
}
static lk_err map_node(const operation *op) {
  new_node made = arg_node(op, 1);
  lk_node node;
  lk_err err = lk_doc_map_set_node(op->doc, op->node, arg_text(op, 0), made.kind, made.name, &node);
  return err == LK_OK ? fill(op, node, &made) : err;
}
static lk_err map_document(const operation *op) {
  lk_value made = arg_document(op, 1, 2);
  return lk_doc_map_set(op->doc, op->node, arg_text(op, 0), &made);
}

typedef lk_err (*action)(const operation *op);

static action find_action(lk_slice name) {
  static const struct {
    const char *name;
    action run;
  } actions[] = {
    { "t.ins", text_insert }, { "t.del", text_delete },      { "t.fmt", text_format },
    { "t.emb", text_embed },  { "t.embt", text_embed_node }, { "t.delta", text_apply },
    { "a.ins", list_insert }, { "a.push", list_push },       { "a.del", list_delete },
    { "a.type", list_node },  { "a.doc", list_document },    { "m.set", map_set },
    { "m.del", map_delete },  { "m.type", map_node },        { "m.doc", map_document },
    { "x.ins", list_node },   { "x.push", list_push_node },  { "x.del", list_delete },
    { "x.attr", map_set },    { "x.unattr", map_delete },
  };
  for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
    if (text_is(name, actions[i].name)) return actions[i].run;
  }
  die("no operation is called %.*s", (int)name.len, (const char *)name.ptr);
}

/* ---- paths ---- */

static lk_err open_root(lk_doc *doc, const root *roots, size_t count, lk_slice name, lk_node *out) {
  for (size_t i = 0; i < count; i++) {
    if (lk_slice_equal(roots[i].name, name)) return lk_doc_root(doc, name, roots[i].kind, out);
  }
  die("no root is called %.*s", (int)name.len, (const char *)name.ptr);
}

static size_t number_of(lk_slice digits) {
  size_t number = 0;
  for (size_t i = 0; i < digits.len; i++) number = number * 10 + (size_t)(digits.ptr[i] - '0');
  return number;
}

static lk_err go(lk_doc *doc, const js_value *step, lk_node *node, lk_arena *arena) {
  lk_value found = { 0 };
  lk_err err;
  if (step->kind == VALUE_NUMBER) {
    err = lk_doc_list_get(doc, *node, (uint64_t)step->number, &found);
  } else if (step->text.len > 0 && step->text.ptr[0] == 'd') {
    return state_embedded(doc, *node, number_of(lk_slice_skip(step->text, 1)), node, arena);
  } else {
    err = lk_doc_map_get(doc, *node, lk_slice_skip(step->text, 2), &found);
  }
  if (err == LK_OK && found.kind != LK_VALUE_NODE) err = LK_ERR_TYPE;
  if (err == LK_OK) *node = found.node;
  return err;
}

static bool goes_through_text(const js_value *path) {
  for (const js_value *step = value_at(path, 1); step != NULL; step = step->next) {
    if (step->kind == VALUE_STRING && step->text.len > 0 && step->text.ptr[0] == 'd') return true;
  }
  return false;
}

static lk_err run(lk_doc *doc, const root *roots, size_t root_count, const js_value *list,
                  lk_arena *arena) {
  if (text_is(list->first->text, "nop")) return LK_OK;
  const js_value *path = list->first->next;
  if (path == NULL || path->kind != VALUE_ARRAY || path->first == NULL)
    die("an operation lacks its path");
  operation op = { .doc = doc, .args = path->next, .arena = arena };
  lk_err err = open_root(doc, roots, root_count, path->first->text, &op.node);
  for (const js_value *step = path->first->next; step != NULL && err == LK_OK; step = step->next) {
    err = go(doc, step, &op.node, arena);
  }
  if (err != LK_OK) return err;
  return find_action(list->first->text)(&op);
}

/* Yjs fills an embedded text before it ends the formatting around it; the functions cannot. */
static bool embeds_text_with_text(const js_value *op) {
  const js_value *text = value_at(value_at(op, 3), 1);
  return text != NULL && text->text.len > 0;
}

static bool is_undo(lk_slice name) { return text_is(name, "undo") || text_is(name, "redo"); }

/* Texts may not tell which node is embedded where. */
static bool is_unsupported(const js_value *ops, bool undoes) {
  for (const js_value *op = ops->first; op != NULL; op = op->next) {
    if (op->kind != VALUE_ARRAY || op->first == NULL) die("an operation is no array");
    lk_slice name = op->first->text;
    if (is_undo(name) && !undoes) return true;
    if (text_is(name, "t.embt") && embeds_text_with_text(op)) return true;
    if (goes_through_text(op->first->next) && !state_tells_embedded()) return true;
  }
  return false;
}

/* A node is made by one call and filled by another. */
static bool fills_node(const js_value *op) {
  for (const js_value *arg = op->first; arg != NULL; arg = arg->next) {
    if (arg->kind != VALUE_ARRAY || arg->first == NULL || arg == value_at(op, 1)) continue;
    bool is_text = text_is(arg->first->text, "text") || text_is(arg->first->text, "xtext");
    const js_value *text = value_at(arg, 1);
    if (is_text && text != NULL && text->text.len > 0) return true;
  }
  return false;
}

/* As an editor's keystroke, which undo managers follow as they do a transaction that has their origin. */
static lk_err run_bare(lk_doc *doc, lk_undo *undo, const root *roots, size_t root_count,
                       const js_value *op, lk_arena *arena, ops_error *error) {
  error->op = op->raw;
  if (undo != NULL) must(lk_undo_add_origin(undo, 0), "follow another origin");
  error->err = run(doc, roots, root_count, op, arena);
  if (undo != NULL) lk_undo_remove_origin(undo, 0);
  return error->err;
}

static lk_err run_all(lk_doc *doc, const root *roots, size_t root_count, const js_value *ops,
                      lk_arena *arena, ops_error *error) {
  if ((error->err = lk_doc_begin(doc, ORIGIN_LOCAL)) != LK_OK) return error->err;
  for (const js_value *op = ops->first; op != NULL && error->err == LK_OK; op = op->next) {
    error->op = op->raw;
    error->err = run(doc, roots, root_count, op, arena);
  }
  lk_doc_commit(doc);
  return error->err;
}

/* ---- undoing ---- */

lk_undo *ops_open_undo(lk_doc *doc, const root *roots, size_t root_count) {
  static const uint64_t origins[] = { ORIGIN_LOCAL };
  lk_undo_options options = LK_UNDO_OPTIONS_INIT;
  options.capture_ms = 0;
  options.origins = origins;
  options.origin_count = 1;
  lk_undo *undo = NULL;
  must(lk_undo_open(doc, NULL, 0, &options, &undo), "open an undo manager");
  for (size_t i = 0; i < root_count; i++) {
    lk_node node;
    must(lk_doc_root(doc, roots[i].name, roots[i].kind, &node), "open a root");
    must(lk_undo_add_scope(undo, node), "widen an undo manager");
  }
  return undo;
}
void ops_close_undo(lk_undo *undo) {
  if (undo != NULL) lk_undo_close(undo);
}
static lk_err run_undo(lk_undo *undo, bool redoes) {
  return redoes ? lk_undo_redo(undo, NULL) : lk_undo_undo(undo, NULL);
}

ops_result ops_run(lk_doc *doc, lk_undo *undo, const root *roots, size_t root_count, lk_slice json,
                   bool bare, lk_arena *arena, ops_error *error) {
  const js_value *ops = value_of_json(json, arena);
  if (ops == NULL || ops->kind != VALUE_ARRAY) die("operations are no JSON array");
  *error = (ops_error){ LK_OK, json };
  if (is_unsupported(ops, undo != NULL)) return OPS_UNSUPPORTED;
  if (ops->first != NULL && is_undo(ops->first->first->text)) {
    error->err = run_undo(undo, text_is(ops->first->first->text, "redo"));
  } else if (bare && ops->count == 1 && !fills_node(ops->first)) {
    error->err = run_bare(doc, undo, roots, root_count, ops->first, arena, error);
  } else {
    error->err = run_all(doc, roots, root_count, ops, arena, error);
  }
  return error->err == LK_OK ? OPS_DONE : OPS_FAILED;
}
