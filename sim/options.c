/* sim/options.c -- one seed, one mixture. */
#include "sim/options.h"

const sim_fault_row sim_fault_rows[SIM_FAULT_COUNT] = {
#define FAULT(name, unit, low, high, text) { #name, SIM_UNIT_##unit, low, high, text },
#include "sim/faults.def"
#undef FAULT
};

const char *const sim_plant_names[SIM_PLANT_COUNT] = { "none", "lying-sync", "drop-resend",
                                                       "reuse-actor", "deaf-timers" };

sim_plant sim_plant_of(lk_slice name) {
  uint32_t i = 0;
  while (i < SIM_PLANT_COUNT && !lk_slice_equal(name, lk_slice_cstr(sim_plant_names[i]))) i++;
  return (sim_plant)i;
}

/* Picks a power of two between the bounds, then a place in that octave: integers only, so that
 * every platform draws the same. */
uint32_t sim_draw_log(lk_prng *prng, uint32_t low, uint32_t high) {
  LK_ASSERT(low > 0 && low <= high);
  uint32_t octave = 0;
  while ((uint64_t)low << (octave + 1) <= high) octave++;
  uint64_t from = (uint64_t)low << lk_prng_below(prng, octave + 1);
  return (uint32_t)lk_prng_range(prng, from, lk_min_u64(from * 2 - 1, high));
}

static void draw_span(lk_prng *prng, uint32_t low, uint32_t high, uint32_t *from, uint32_t *to) {
  *from = sim_draw_log(prng, low, high);
  *to = sim_draw_log(prng, *from, high);
}

static void draw_versions(sim_options *self, lk_prng *prng) {
  uint32_t percent = sim_draw_log(prng, 3, 40);
  uint32_t interval_ms = sim_draw_log(prng, 500, 60000);
  self->versions_percent = lk_prng_chance(prng, 2, 3) ? percent : 0;
  self->versions_interval_ms = lk_prng_chance(prng, 1, 2) ? interval_ms : 0;
  self->restores = lk_prng_chance(prng, 1, 2);
}

void sim_options_draw(sim_options *self, uint64_t seed) {
  static const uint32_t effects[] = { 4096, 256, 32 };
  static const uint32_t outputs[] = { 1u << 20, 1u << 17, 1u << 15 };
  lk_prng prng;
  lk_prng_init(&prng, seed);
  *self = (sim_options){ .seed = seed };
  self->safety_ms = sim_draw_log(&prng, 20000, 600000);
  self->liveness_ms = 300000;
  self->peers = (uint32_t)lk_prng_range(&prng, 2, 6);
  self->plains = (uint32_t)lk_prng_range(&prng, 0, 2);
  self->vandals = lk_prng_chance(&prng, 1, 4) ? 1 : 0;
  self->user_gap_ms = sim_draw_log(&prng, 100, 20000);
  self->amount_max = sim_draw_log(&prng, 1, 1000000);
  draw_span(&prng, 100, 300000, &self->delay_low_us, &self->delay_high_us);
  draw_span(&prng, 10, 20000, &self->disk_low_us, &self->disk_high_us);
  draw_span(&prng, 50, 200000, &self->sync_low_us, &self->sync_high_us);
  self->outage_max_ms = sim_draw_log(&prng, 100, 90000);
  self->effects_max = effects[lk_prng_below(&prng, 3)];
  self->output_bytes_max = outputs[lk_prng_below(&prng, 3)];
  self->tail_bytes_max = sim_draw_log(&prng, 200, 1u << 14);
  self->segment_bytes_max = sim_draw_log(&prng, 200, 1u << 14);
  for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
    uint32_t rate = sim_draw_log(&prng, sim_fault_rows[i].low, sim_fault_rows[i].high);
    self->rate[i] = lk_prng_chance(&prng, 1, 2) ? rate : 0;
  }
  draw_versions(self, &prng);
}

void sim_options_calm(sim_options *self) {
  for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) self->rate[i] = 0;
}

void sim_options_storm(sim_options *self) {
  lk_prng root, prng;
  lk_prng_init(&root, self->seed);
  lk_prng_split(&root, 1, &prng);
  for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
    self->rate[i] = sim_draw_log(&prng, sim_fault_rows[i].low, sim_fault_rows[i].high);
  }
}

#define DOC_SAFETY_MS_MAX 90000
#define DOC_GAP_MS_MIN 200
#define KILLS_EVERY_MS 50
#define KILLS_SAFETY_MS_MAX 20000

void sim_options_doc(sim_options *self) {
  self->safety_ms = lk_min_u64(self->safety_ms, DOC_SAFETY_MS_MAX);
  self->user_gap_ms = lk_max_u32(self->user_gap_ms, DOC_GAP_MS_MIN);
}

void sim_options_doc_calm(sim_options *self) {
  sim_options_doc(self);
  sim_options_calm(self);
}

void sim_options_doc_storm(sim_options *self) {
  sim_options_doc(self);
  sim_options_storm(self);
}

void sim_options_doc_kills(sim_options *self) {
  sim_options_doc(self);
  self->safety_ms = lk_min_u64(self->safety_ms, KILLS_SAFETY_MS_MAX);
  self->user_gap_ms = lk_min_u32(self->user_gap_ms, 1000);
  self->disk_low_us = lk_min_u32(self->disk_low_us, 50);
  self->disk_high_us = lk_min_u32(self->disk_high_us, 500);
  self->sync_low_us = lk_min_u32(self->sync_low_us, 100);
  self->sync_high_us = lk_min_u32(self->sync_high_us, 2000);
  self->rate[SIM_FAULT_disk_slow] = 0;
  self->rate[SIM_FAULT_rooms_kill] = KILLS_EVERY_MS;
}

void sim_options_print(const sim_options *self, FILE *to) {
  (void)fprintf(to, "  safety %llu ms, liveness %llu ms, peers %u, plains %u, vandals %u\n",
                (unsigned long long)self->safety_ms, (unsigned long long)self->liveness_ms,
                self->peers, self->plains, self->vandals);
  (void)fprintf(
      to, "  user gap %u ms, amounts to %u, outages to %u ms, effects %u, output %u, plant %s\n",
      self->user_gap_ms, self->amount_max, self->outage_max_ms, self->effects_max,
      self->output_bytes_max, sim_plant_names[self->plant]);
  (void)fprintf(to, "  delay %u..%u us, disk %u..%u us, sync %u..%u us\n", self->delay_low_us,
                self->delay_high_us, self->disk_low_us, self->disk_high_us, self->sync_low_us,
                self->sync_high_us);
  (void)fprintf(to, "  tails to %u bytes, segments to %u\n", self->tail_bytes_max,
                self->segment_bytes_max);
  (void)fprintf(to, "  versions %u %%, every %u ms, %s restores (documents)\n",
                self->versions_percent, self->versions_interval_ms,
                self->restores ? "with" : "without");
  for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
    if (self->rate[i] == 0) continue;
    (void)fprintf(to, "  %-18s %u %s\n", sim_fault_rows[i].name, self->rate[i],
                  sim_fault_rows[i].unit == SIM_UNIT_PPM ? "ppm" : "ms between two");
  }
}
