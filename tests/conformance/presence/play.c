/* conformance/presence/play.c -- our presence under random changes, written down for phoenix.js.
 *
 *   presence_play SEED TURNS
 *
 * A line is one of
 *   ["state",client,{...}]   a presence_state for a client that joined
 *   ["diff",[client,..],{..}]  a presence_diff and who gets it
 *   ["check",[client,..],{..}]  what all of them must show now: a fresh state
 *   ["all",null,{..}]        each presence_diff from the beginning on
 *   ["late",null,{..}]       some of those as one, for a client that hears of them now and then */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "channel/presence.h"
#include "channel/presence_diffs.h"

#define MEMBERS 10
#define GATHERED_MAX 12

static void *resize(void *ctx, void *ptr, size_t old_size, size_t new_size) {
  (void)ctx;
  (void)old_size;
  if (new_size > 0) return realloc(ptr, new_size);
  free(ptr);
  return NULL;
}

static void need(lk_err err) {
  if (err == LK_OK) return;
  fprintf(stderr, "%s\n", lk_err_name(err));
  exit(1);
}

typedef struct play {
  lk_presence p;
  lk_prng prng;
  uint64_t now, next_id;
  uint64_t ids[MEMBERS]; /* 0: not here */
  bool synced[MEMBERS];
  lk_slice gathered[GATHERED_MAX]; /* owned */
  size_t gathered_count;
} play;

static uint32_t below(play *self, uint32_t bound) {
  return (uint32_t)(lk_prng_u64(&self->prng) % bound);
}

static void change(play *self) {
  static const char *const keys[] = { "ann", "constructor", "__proto__", "\xc3\xa9 \"quoted\"" };
  char meta[64];
  uint32_t who = below(self, MEMBERS), choice = below(self, 10);
  lk_slice key = lk_slice_cstr(keys[below(self, 4)]);
  uint64_t entropy = lk_prng_u64(&self->prng);
  if (self->ids[who] == 0) {
    self->ids[who] = self->next_id++;
    self->synced[who] = false;
    need(lk_presence_join(&self->p, self->ids[who], self->now));
  } else if (choice == 0) {
    lk_presence_leave(&self->p, self->ids[who], self->now);
    self->ids[who] = 0;
  } else if (choice < 3) {
    need(lk_presence_untrack(&self->p, self->ids[who], key, self->now));
  } else {
    (void)snprintf(meta, sizeof meta, "{\"n\":%u,\"phx_ref\":\"mine\"}", below(self, 1000));
    lk_err err = lk_presence_update(&self->p, self->ids[who], key, lk_slice_cstr(meta), entropy,
                                    self->now);
    if (err == LK_ERR_NOT_FOUND) {
      err = lk_presence_track(&self->p, self->ids[who], key, lk_slice_cstr(meta), entropy,
                              self->now);
    }
    need(err);
  }
}

static void print_line(const char *head, const char *who, lk_slice text) {
  printf("[\"%s\",%s,%.*s]\n", head, who, (int)text.len, (const char *)text.ptr);
}

/* Those who have had a state, as a JSON array of ids. */
static void list_synced(const play *self, char *out, size_t cap) {
  size_t len = (size_t)snprintf(out, cap, "[");
  for (uint32_t i = 0; i < MEMBERS; i++) {
    if (self->ids[i] == 0 || !self->synced[i]) continue;
    len += (size_t)snprintf(out + len, cap - len, "%s%u", len > 1 ? "," : "",
                            (unsigned)self->ids[i]);
  }
  (void)snprintf(out + len, cap - len, "]");
}

/* |diff| is one that all hear of. */
static void gather(play *self, lk_slice diff) {
  uint8_t *copy = malloc(diff.len);
  if (copy == NULL) exit(1);
  memcpy(copy, diff.ptr, diff.len);
  self->gathered[self->gathered_count++] = lk_slice_of(copy, diff.len);
  print_line("all", "null", diff);
}

static void tell_late(play *self) {
  static const uint64_t seed[2] = { 5, 6 };
  lk_buf merged;
  if (self->gathered_count < GATHERED_MAX && below(self, 4) > 0) return;
  lk_buf_init(&merged, self->p.env->alloc, SIZE_MAX / 4);
  need(lk_presence_diffs_merge(self->p.env, seed, self->gathered, self->gathered_count, &merged));
  print_line("late", "null", merged.len > 0 ? lk_buf_slice(&merged) : LK_LIT("null"));
  lk_buf_deinit(&merged);
  while (self->gathered_count > 0)
    free((void *)(uintptr_t)self->gathered[--self->gathered_count].ptr);
}

static void flush(play *self) {
  char who[400];
  lk_presence_flush f;
  if (lk_presence_deadline(&self->p) != LK_PRESENCE_NEVER)
    self->now = lk_presence_deadline(&self->p);
  need(lk_presence_tick(&self->p, self->now, &f));
  list_synced(self, who, sizeof who);
  if (f.diff.len > 0) {
    print_line("diff", who, f.diff);
    gather(self, f.diff);
  }
  for (uint32_t k = 0; k < f.joiner_count; k++) {
    for (uint32_t i = 0; i < MEMBERS; i++) {
      if (self->ids[i] == f.joiners[k]) self->synced[i] = true;
    }
    (void)snprintf(who, sizeof who, "%u", (unsigned)f.joiners[k]);
    print_line("state", who, f.state);
  }
}

/* What a client would get that joined now. */
static void check(play *self) {
  char who[400];
  lk_presence_flush f;
  uint64_t stranger = self->next_id++;
  need(lk_presence_join(&self->p, stranger, self->now));
  self->now = lk_presence_deadline(&self->p);
  need(lk_presence_tick(&self->p, self->now, &f));
  list_synced(self, who, sizeof who);
  print_line("check", who, f.state);
  lk_presence_leave(&self->p, stranger, self->now);
}

int main(int argc, char **argv) {
  static play self;
  lk_alloc alloc = { resize, NULL };
  lk_env env = LK_ENV_INIT(&alloc, NULL);
  lk_limits limits = lk_limits_default();
  lk_presence_options options = { .env = &env, .limits = &limits, .node = LK_LIT("n") };
  lk_prng_init(&self.prng, argc > 1 ? strtoull(argv[1], NULL, 10) : 1);
  self.next_id = 1;
  need(lk_presence_init(&self.p, &options));
  for (long turns = argc > 2 ? atol(argv[2]) : 100; turns > 0; turns--) {
    for (uint32_t i = below(&self, 6); i > 0; i--) change(&self);
    flush(&self);
    check(&self);
    tell_late(&self);
  }
  while (self.gathered_count > 0) tell_late(&self);
  lk_presence_deinit(&self.p);
  return 0;
}
