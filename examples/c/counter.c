/* examples/c/counter.c -- two replicas count apart, exchange what they know, and agree.
 *
 *   cc counter.c $(pkg-config --cflags --libs laniakea) -o counter && ./counter */
#include <laniakea/laniakea.h>

#include <stdio.h>
#include <stdlib.h>

static void *resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  (void)ctx;
  (void)old_size;
  if (new_size > 0) return realloc(ptr, new_size);
  free(ptr);
  return NULL;
}

static void check(lk_err err) {
  if (err == LK_OK) return;
  fprintf(stderr, "%s: %s\n", lk_err_name(err), lk_err_text(err));
  exit(1);
}

/* Sends everything that |from| knows to |to|, by way of |bytes|. */
static void send_state(const lk_crdt *from, lk_crdt *to, lk_buf *bytes) {
  lk_buf_clear(bytes);
  check(lk_crdt_encode(from, bytes));
  check(lk_crdt_merge(to, lk_buf_bytes(bytes), NULL));
}

static void print_value(const char *who, const lk_crdt *counter, lk_buf *json) {
  const lk_slice no_path = { NULL, 0 };
  lk_buf_clear(json);
  check(lk_crdt_value(counter, no_path, json));
  lk_slice text = lk_buf_bytes(json);
  printf("%s %.*s\n", who, (int)text.len, (const char *)text.ptr);
}

int main(void) {
  const lk_alloc heap = { resize, NULL };
  const lk_env env = LK_ENV_INIT(&heap, NULL);
  /* A real program draws actors at random: one for each replica, never used again. */
  const lk_crdt_op by_laptop = { .actor = { (const uint8_t *)"5f0c7d1e9a3b4c62", 16 } };
  lk_crdt_op by_phone = { .actor = { (const uint8_t *)"c41e88d25b7f9063", 16 } };
  lk_crdt *laptop, *phone;
  lk_buf *bytes, *delta;
  check(lk_crdt_open(&env, LK_CRDT_GCOUNTER, &laptop));
  check(lk_crdt_open(&env, LK_CRDT_GCOUNTER, &phone));
  check(lk_buf_open(&env, 1 << 16, &bytes));
  check(lk_buf_open(&env, 1 << 16, &delta));

  check(lk_gcounter_add(laptop, &by_laptop, 3)); /* both are offline */
  check(lk_gcounter_add(phone, &by_phone, 5));
  send_state(laptop, phone, bytes);
  send_state(phone, laptop, bytes);
  send_state(phone, laptop, bytes); /* a message that comes twice does no harm */

  by_phone.delta = delta; /* now both are online: what changed is enough */
  check(lk_gcounter_add(phone, &by_phone, 2));
  check(lk_crdt_merge(laptop, lk_buf_bytes(delta), NULL));

  print_value("laptop", laptop, bytes);
  print_value("phone", phone, bytes);
  lk_buf_close(bytes);
  lk_buf_close(delta);
  lk_crdt_close(laptop);
  lk_crdt_close(phone);
  return 0;
}
