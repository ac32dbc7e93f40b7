/* sim/world.c -- the loop, the dice and the hash.
 *
 * The hash takes 64 bits at a time (FNV's multiplication, with the high half folded back): it has
 * to tell runs apart, not to resist anybody. Names are hashed by their letters and never by their
 * address, which differs from run to run. */
#include "sim/world.h"

#include <stdarg.h>

#include "base/num.h"

/* More events than this at a time that does not move on: a loop between machines. */
#define EVENTS_MAX 200000000u

static void hash_u64(sim_world *self, uint64_t value) {
  uint64_t h = (self->hash ^ value) * 0x100000001b3u;
  self->hash = h ^ (h >> 32);
}

static void hash_bytes(sim_world *self, lk_slice bytes) {
  hash_u64(self, bytes.len);
  while (bytes.len >= 8) {
    hash_u64(self, lk_load_le64(bytes.ptr));
    bytes = lk_slice_skip(bytes, 8);
  }
  uint64_t last = 0;
  for (size_t i = 0; i < bytes.len; i++) last |= (uint64_t)bytes.ptr[i] << (8 * i);
  hash_u64(self, last);
}

void sim_world_init(sim_world *self, const lk_alloc *alloc, const sim_options *options,
                    FILE *trace) {
  *self = (sim_world){ .alloc = alloc, .options = options, .trace = trace };
  self->hash = 0xcbf29ce484222325u;
  lk_prng_init(&self->root, options->seed);
  lk_heap_init(&self->events, alloc, UINT32_MAX / 4);
}

void sim_world_deinit(sim_world *self) { lk_heap_deinit(&self->events); }

void sim_world_stream(const sim_world *self, uint64_t purpose, lk_prng *out) {
  lk_prng_split(&self->root, purpose, out);
}

/* ---- events ---- */

void sim_event_init(sim_event *self, void (*run)(sim_event *self)) {
  *self = (sim_event){ .item = LK_HEAP_ITEM_INIT, .run = run };
}

void sim_world_schedule(sim_world *self, sim_event *event, uint64_t at_us) {
  uint64_t key = lk_max_u64(at_us, self->now_us);
  if (at_us == SIM_NEVER) {
    sim_world_cancel(self, event);
  } else if (sim_event_is_set(event)) {
    if (event->item.key != key) lk_heap_move(&self->events, &event->item, key);
  } else if (lk_heap_push(&self->events, &event->item, key) != LK_OK) {
    sim_world_fail(self, "the simulator itself ran out of memory");
  }
}

void sim_world_cancel(sim_world *self, sim_event *event) {
  if (sim_event_is_set(event)) lk_heap_remove(&self->events, &event->item);
}

bool sim_world_step(sim_world *self) {
  if (self->failed) return false;
  lk_heap_item *item = lk_heap_pop(&self->events);
  if (item == NULL) return false;
  LK_ASSERT(item->key >= self->now_us);
  self->now_us = item->key;
  if (++self->event_count >= EVENTS_MAX) sim_world_fail(self, "more events than a run should have");
  sim_event *event = LK_CONTAINER(item, sim_event, item);
  event->run(event);
  return !self->failed;
}

void sim_world_run(sim_world *self, uint64_t until_us) {
  while (!self->failed) {
    lk_heap_item *item = lk_heap_first(&self->events);
    if (item == NULL || item->key > until_us) break;
    (void)sim_world_step(self);
  }
  if (!self->failed) self->now_us = lk_max_u64(self->now_us, until_us);
}

/* ---- chance ---- */

bool sim_world_strikes(sim_world *self, sim_fault fault, lk_prng *prng) {
  LK_ASSERT(sim_fault_rows[fault].unit == SIM_UNIT_PPM);
  uint32_t rate = self->options->rate[fault];
  if (rate == 0 || self->calm || !lk_prng_chance(prng, rate, 1000000)) return false;
  sim_world_count(self, fault, 0, 0);
  return true;
}

void sim_world_count(sim_world *self, sim_fault fault, uint64_t a, uint64_t b) {
  self->faults[fault]++;
  sim_world_note(self, "fault", sim_fault_rows[fault].name, a, b, LK_SLICE_EMPTY);
}

/* ---- record ---- */

static void print_text(FILE *to, lk_slice text) {
  for (size_t i = 0; i < text.len; i++) {
    uint8_t c = text.ptr[i];
    if (c >= 0x20 && c != 0x7f) (void)fputc(c, to);
    else (void)fprintf(to, "\\x%02x", c);
  }
}

void sim_world_note(sim_world *self, const char *who, const char *what, uint64_t a, uint64_t b,
                    lk_slice text) {
  hash_u64(self, self->now_us);
  hash_bytes(self, lk_slice_cstr(who));
  hash_bytes(self, lk_slice_cstr(what));
  hash_u64(self, a);
  hash_u64(self, b);
  hash_bytes(self, text);
  if (self->trace == NULL) return;
  (void)fprintf(self->trace, "%12.6f %-8s %-18s %llu %llu ", (double)self->now_us / 1e6, who, what,
                (unsigned long long)a, (unsigned long long)b);
  print_text(self->trace, text);
  (void)fputc('\n', self->trace);
}

void sim_world_fail(sim_world *self, const char *format, ...) {
  va_list args;
  if (self->failed) return;
  self->failed = true;
  va_start(args, format);
  (void)vsnprintf(self->failure, sizeof self->failure, format, args);
  va_end(args);
  sim_world_note(self, "world", "FAILED", 0, 0, lk_slice_cstr(self->failure));
}
