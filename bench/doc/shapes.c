/* bench/doc/shapes.c -- changes of the kinds that crdt-benchmarks (B1 to B3) asks for, with the same numbers drawn as
 * in shared/shapes.mjs, where it says more. Its B4 is the session automerge-paper. */
#include "bench/doc/replay.h"

#include <stdlib.h>

#define COUNT 6000u
#define MANY 1540u /* the root of COUNT, rounded down, times 20 */
#define SEED 0x2545f491u
#define START 100u /* units that both begin with in B2 */
#define STRING 150u

/* An edit of the text, or values for the list. */
typedef struct change {
  trace_edit edit;
  const lk_value *values; /* or NULL */
  uint32_t count;
} change;

#define PUSHED UINT32_MAX /* |edit.at| of values that come behind the others */

/* What he will do is drawn before the clock starts. */
typedef struct author {
  replica replica;
  lk_node list, map;
  trace_random random;
  uint32_t start; /* units of the text when it begins */
  change changes[COUNT];
  uint32_t count;
  uint8_t bytes[COUNT * 10];
  uint32_t len;
  lk_value numbers[COUNT];
} author;

static void add(author *self, change next) { self->changes[self->count++] = next; }

static void insert(author *self, uint32_t at, lk_slice text) {
  self->len += (uint32_t)text.len;
  add(self, (change){ .edit = { at, 0, text } });
}

static lk_slice word(author *self, uint32_t least, uint32_t most) {
  return trace_word(&self->random, least, most, self->bytes + self->len);
}

static lk_slice letter(author *self) {
  uint8_t *at = self->bytes + self->len;
  *at = trace_letter(&self->random);
  return (lk_slice){ at, 1 };
}

static const lk_value *number(author *self, uint32_t i) {
  self->numbers[i] = (lk_value){ .kind = LK_VALUE_NUMBER,
                                 .number = (double)trace_below(&self->random, 1u << 30) };
  return &self->numbers[i];
}

/* ---- what one author does ---- */

static void append_characters(author *self) {
  for (uint32_t i = 0; i < COUNT; i++) insert(self, i, letter(self));
}

static void insert_string(author *self) { insert(self, 0, word(self, COUNT, COUNT)); }

static void prepend_characters(author *self) {
  for (uint32_t i = 0; i < COUNT; i++) insert(self, 0, letter(self));
}

static void characters_anywhere(author *self) {
  for (uint32_t i = 0; i < COUNT; i++) {
    uint32_t at = trace_below(&self->random, self->start + i + 1);
    insert(self, at, letter(self));
  }
}

static void words_anywhere(author *self) {
  uint32_t length = self->start;
  for (uint32_t i = 0; i < COUNT; i++) {
    uint32_t at = trace_below(&self->random, length + 1);
    lk_slice text = word(self, 2, 10);
    insert(self, at, text);
    length += (uint32_t)text.len;
  }
}

static void insert_and_delete(author *self) {
  insert_string(self);
  add(self, (change){ .edit = { 0, COUNT, { NULL, 0 } } });
}

static void edit_anywhere(author *self) {
  uint32_t length = self->start;
  for (uint32_t i = 0; i < COUNT; i++) {
    uint32_t at = trace_below(&self->random, length + 1);
    if (length == at || trace_below(&self->random, 2) == 0) {
      lk_slice text = word(self, 2, 10);
      insert(self, at, text);
      length += (uint32_t)text.len;
    } else {
      uint32_t count = 1 + trace_below(&self->random, 9);
      if (count > length - at) count = length - at;
      add(self, (change){ .edit = { at, count, { NULL, 0 } } });
      length -= count;
    }
  }
}

static void append_numbers(author *self) {
  for (uint32_t i = 0; i < COUNT; i++) add(self, (change){ { .at = PUSHED }, number(self, i), 1 });
}

static void insert_numbers(author *self) {
  for (uint32_t i = 0; i < COUNT; i++) (void)number(self, i);
  add(self, (change){ { .at = 0 }, self->numbers, COUNT });
}

static void prepend_numbers(author *self) {
  for (uint32_t i = 0; i < COUNT; i++) add(self, (change){ { .at = 0 }, number(self, i), 1 });
}

static void numbers_anywhere(author *self) {
  for (uint32_t i = 0; i < COUNT; i++) {
    uint32_t at = trace_below(&self->random, i + 1);
    add(self, (change){ { .at = at }, number(self, i), 1 });
  }
}

static void draw(author *self, void (*what)(author *), uint32_t seed, uint32_t start) {
  self->random = (trace_random){ seed };
  self->start = start;
  self->count = self->len = 0;
  what(self);
}

static void act(author *self) {
  lk_doc *doc = self->replica.doc;
  for (uint32_t i = 0; i < self->count; i++) {
    const change *next = &self->changes[i];
    if (next->values == NULL) bench_edit(&self->replica, &next->edit);
    else if (next->edit.at == PUSHED)
      bench_must(lk_doc_list_push(doc, self->list, next->values, next->count));
    else bench_must(lk_doc_list_insert(doc, self->list, next->edit.at, next->values, next->count));
  }
}

/* ---- what each of many does ---- */

static void set(author *self, const lk_value *value) {
  bench_must(lk_doc_map_set(self->replica.doc, self->map, TEXT("v"), value));
}

static void set_number(author *self, uint32_t i) {
  set(self, &(lk_value){ .kind = LK_VALUE_NUMBER, .number = i });
}

static void set_object(author *self, uint32_t i) {
  lk_buf *any;
  (void)i;
  bench_must(lk_buf_open(&bench_env, BYTES_MAX, &any));
  bench_must(lk_doc_any_of_json(TEXT("{\"name\":\"Ada\",\"tags\":[\"a\",\"b\"],\"age\":36}"), any));
  set(self, &(lk_value){ .kind = LK_VALUE_ANY, .bytes = lk_buf_bytes(any) });
  lk_buf_close(any);
}

static void set_string(author *self, uint32_t i) {
  (void)i;
  set(self, &(lk_value){ .kind = LK_VALUE_STRING, .bytes = word(self, STRING, STRING) });
}

static void insert_in_array(author *self, uint32_t i) {
  lk_value value = { .kind = LK_VALUE_STRING, .bytes = word(self, STRING, STRING) };
  (void)i;
  bench_must(lk_doc_list_insert(self->replica.doc, self->list, 0, &value, 1));
}

/* ---- measuring ---- */

static void open_author(author *self, uint64_t client) {
  self->replica = bench_open(client);
  bench_must(lk_doc_root(self->replica.doc, TEXT("list"), LK_NODE_ARRAY, &self->list));
  bench_must(lk_doc_root(self->replica.doc, TEXT("map"), LK_NODE_MAP, &self->map));
}

typedef struct shape {
  const char *name;
  void (*draw)(author *self);
  void (*act_once)(author *self, uint32_t i); /* B3: the author is the |i|th */
} shape;

typedef struct measurement {
  const shape *shape;
  author authors[2];
  update_log logs[2];
  uint8_t begin[START]; /* what both begin with in B2 */
} measurement;

static void pass_on(void *ctx, lk_doc *doc, lk_slice update, uint64_t origin, bool local) {
  (void)doc;
  (void)origin;
  (void)local;
  bench_apply(ctx, LK_UPDATE_V2, update);
}

static void *pair(void *ctx) {
  measurement *self = ctx;
  for (uint32_t i = 0; i < 2; i++) open_author(&self->authors[i], i + 1);
  bench_must(lk_doc_on_update(self->authors[0].replica.doc, LK_UPDATE_V2, pass_on,
                              &self->authors[1].replica, NULL));
  act(&self->authors[0]);
  return NULL;
}

static void apply_log(const replica *to, const update_log *log) {
  for (size_t i = 0; i < log->count; i++) bench_apply(to, LK_UPDATE_V2, update_log_at(log, i));
}

static void *crossing(void *ctx) {
  measurement *self = ctx;
  for (uint32_t i = 0; i < 2; i++) {
    update_log_clear(&self->logs[i]);
    open_author(&self->authors[i], i + 1);
    update_log_listen(&self->logs[i], &self->authors[i].replica, LK_UPDATE_V2);
  }
  bench_edit(&self->authors[0].replica, &(trace_edit){ 0, 0, { self->begin, START } });
  apply_log(&self->authors[1].replica, &self->logs[0]);
  update_log_clear(&self->logs[0]);
  for (uint32_t i = 0; i < 2; i++) act(&self->authors[i]);
  apply_log(&self->authors[0].replica, &self->logs[1]);
  apply_log(&self->authors[1].replica, &self->logs[0]);
  return NULL;
}

static lk_slice json(const replica *self, lk_buf *out) {
  bench_must(lk_doc_json(self->doc, out));
  return lk_buf_bytes(out);
}

static void check_agreement(void *ctx, void *result) {
  measurement *self = ctx;
  lk_buf *out[2];
  lk_slice read[2];
  (void)result;
  for (int i = 0; i < 2; i++) {
    bench_must(lk_buf_open(&bench_env, BYTES_MAX, &out[i]));
    read[i] = json(&self->authors[i].replica, out[i]);
  }
  bench_expect(bench_equal(read[0], read[1]), "two replicas differ");
  for (int i = 0; i < 2; i++) {
    lk_buf_close(out[i]);
    bench_close(&self->authors[i].replica);
  }
}

static void make_many(measurement *self) {
  author *each = &self->authors[0];
  trace_random random = { SEED };
  update_log_clear(&self->logs[0]);
  for (uint32_t i = 0; i < MANY; i++) {
    open_author(each, i + 10);
    each->random = random;
    each->len = 0;
    update_log_listen(&self->logs[0], &each->replica, LK_UPDATE_V2);
    self->shape->act_once(each, i);
    random = each->random;
    bench_close(&each->replica);
  }
}

static void *apply_many(void *ctx) {
  measurement *self = ctx;
  self->authors[0].replica = bench_open(1);
  apply_log(&self->authors[0].replica, &self->logs[0]);
  return NULL;
}

static void close_one(void *ctx, void *result) {
  measurement *self = ctx;
  (void)result;
  bench_close(&self->authors[0].replica);
}

static const shape b1[] = {
  { "B1.1 append 6,000 characters", append_characters, NULL },
  { "B1.2 insert a string of 6,000", insert_string, NULL },
  { "B1.3 prepend 6,000 characters", prepend_characters, NULL },
  { "B1.4 insert 6,000 characters anywhere", characters_anywhere, NULL },
  { "B1.5 insert 6,000 words anywhere", words_anywhere, NULL },
  { "B1.6 insert a string of 6,000 and delete it", insert_and_delete, NULL },
  { "B1.7 insert and delete anywhere, 6,000 times", edit_anywhere, NULL },
  { "B1.8 append 6,000 numbers", append_numbers, NULL },
  { "B1.9 insert 6,000 numbers at once", insert_numbers, NULL },
  { "B1.10 prepend 6,000 numbers", prepend_numbers, NULL },
  { "B1.11 insert 6,000 numbers anywhere", numbers_anywhere, NULL },
};

static const shape b2[] = {
  { "B2.1 two insert strings of 6,000 at the same place", insert_string, NULL },
  { "B2.2 two insert 6,000 characters anywhere", characters_anywhere, NULL },
  { "B2.3 two insert 6,000 words anywhere", words_anywhere, NULL },
  { "B2.4 two insert and delete anywhere, 6,000 times", edit_anywhere, NULL },
};

static const shape b3[] = {
  { "B3.1 1,540 replicas set a number in a map", NULL, set_number },
  { "B3.2 1,540 replicas set an object in a map", NULL, set_object },
  { "B3.3 1,540 replicas set a string in a map", NULL, set_string },
  { "B3.4 1,540 replicas insert a string in an array", NULL, insert_in_array },
};

/* In B1 only the first one of both acts. */
static void prepare(measurement *self, const shape *next, bool both) {
  trace_random random = { SEED };
  self->shape = next;
  if (next->act_once != NULL) {
    make_many(self);
    return;
  }
  (void)trace_word(&random, START, START, self->begin);
  draw(&self->authors[0], next->draw, SEED, both ? START : 0);
  if (both) draw(&self->authors[1], next->draw, SEED + 1, START);
}

static void measure(measurement *self, const shape *shapes, size_t count, bench_run *run,
                    bench_check *check) {
  for (size_t i = 0; i < count; i++) {
    prepare(self, &shapes[i], run == crossing);
    bench_show(NULL, shapes[i].name, "ms", bench_fastest(run, check, self, BENCH_ROUNDS));
  }
}

void bench_shapes(void) {
  static measurement self;
  measure(&self, b1, sizeof b1 / sizeof b1[0], pair, check_agreement);
  measure(&self, b2, sizeof b2 / sizeof b2[0], crossing, check_agreement);
  measure(&self, b3, sizeof b3 / sizeof b3[0], apply_many, close_one);
  for (int i = 0; i < 2; i++) update_log_free(&self.logs[i]);
}
