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

/* Sends everything that |from| knows to |to|. */
static void send_state(const lk_counter *from, lk_counter *to) {
  uint8_t bytes[256];
  lk_slice state = { bytes, 0 };
  check(lk_counter_encode(from, bytes, sizeof bytes, &state.len));
  check(lk_counter_merge(to, state));
}

int main(void) {
  const lk_alloc heap = { resize, NULL };
  const lk_env env = LK_ENV_INIT(&heap, NULL);
  /* A real program draws these at random: one for each replica, never used again. */
  const lk_slice laptop_actor = { (const uint8_t *)"5f0c7d1e9a3b4c62", 16 };
  const lk_slice phone_actor = { (const uint8_t *)"c41e88d25b7f9063", 16 };
  lk_counter *laptop, *phone;
  check(lk_counter_open(&env, laptop_actor, &laptop));
  check(lk_counter_open(&env, phone_actor, &phone));

  check(lk_counter_increment(laptop, 3)); /* both are offline */
  check(lk_counter_increment(phone, 5));
  send_state(laptop, phone);
  send_state(phone, laptop);
  send_state(phone, laptop); /* a message that comes twice does no harm */

  printf("laptop %llu, phone %llu\n", (unsigned long long)lk_counter_value(laptop),
         (unsigned long long)lk_counter_value(phone));
  lk_counter_close(laptop);
  lk_counter_close(phone);
  return 0;
}
